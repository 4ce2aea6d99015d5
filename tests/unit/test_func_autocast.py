"""Transforms under autocast, inside and outside of the region: the casts of eager calls, the backward pass too."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import mezzo
from mezzo import nn

RNG = np.random.default_rng(2)
IMAGES = mezzo.tensor(RNG.standard_normal((4, 1, 6, 6)).astype("f4"))
LABELS = mezzo.tensor([0, 2, 1, 2])
ROWS = mezzo.tensor(RNG.standard_normal((4, 5)).astype("f4"))
W1, W2 = (mezzo.tensor(RNG.standard_normal(s).astype("f4") * 0.4) for s in ((8, 5), (3, 8)))


def _network():
    mezzo.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


NET = _network()
WEIGHTS = {n: p.detach() for n, p in NET.named_parameters()}


def mlp(x):
    return mezzo.tanh(W1 @ x) @ W2.t()


def inside(function):
    """The function, a region around its body."""

    def run(*args):
        with mezzo.autocast("cpu"):
            return function(*args)

    return run


def image_loss(values, image, label):
    logits = mezzo.func.functional_call(NET, values, (image.unsqueeze(0),))
    return nn.functional.cross_entropy(logits.float(), label.unsqueeze(0))


def by_tape(function, inputs, others):
    """Gradients of every example by backward passes, one by one."""
    rows = []
    for example in zip(*others):
        leaves = [v.clone().requires_grad_() for v in inputs]
        rows.append(mezzo.autograd.grad(function(leaves, *example), leaves))
    return [mezzo.stack(column) for column in zip(*rows)]


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_per_sample_gradients(where):
    names = list(WEIGHTS)
    loss = inside(image_loss) if where == "inside" else image_loss
    with mezzo.autocast("cpu") if where == "outside" else contextlib.nullcontext():
        found = mezzo.vmap(mezzo.func.grad(loss), in_dims=(None, 0, 0))(WEIGHTS, IMAGES, LABELS)
        expected = by_tape(lambda leaves, i, t: loss(dict(zip(names, leaves)), i, t),
                           list(WEIGHTS.values()), (IMAGES, LABELS))  # fmt: skip
    for name, want in zip(names, expected):
        assert found[name].dtype is want.dtype is mezzo.float32
        np.testing.assert_allclose(found[name].numpy(), want.numpy(), rtol=2e-2, atol=4e-3)


def test_casts_happen_in_both_passes():
    """The ledger sees the low-precision products of forward and backward under vmap(grad)."""
    seen = []

    class Watch(mezzo.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x.clone()

        @staticmethod
        def setup_context(ctx, inputs, output):
            seen.append(("forward", inputs[0].dtype))

        @staticmethod
        def backward(ctx, g):
            seen.append(("backward", g.dtype))
            return g

    def loss(w, x):
        return Watch.apply(w @ x).float().sum()

    mezzo.vmap(mezzo.func.grad(inside(loss)), in_dims=(None, 0))(W1, ROWS)
    kinds = set(seen)
    assert ("forward", mezzo.bfloat16) in kinds
    assert ("backward", mezzo.bfloat16) in kinds
    assert len(kinds) == 2


FORMS = {
    "vmap": lambda f: mezzo.vmap(f)(ROWS),
    "jacrev": lambda f: mezzo.func.jacrev(f)(ROWS[0]),
    "jacfwd": lambda f: mezzo.func.jacfwd(f)(ROWS[0]),
    "vmap of jacrev": lambda f: mezzo.vmap(mezzo.func.jacrev(f))(ROWS),
    "jvp": lambda f: mezzo.func.jvp(f, (ROWS[0],), (ROWS[1],))[1],
    "vjp": lambda f: mezzo.func.vjp(f, ROWS[0])[1](mezzo.ones(3, dtype=f(ROWS[0]).dtype))[0],
    "linearize": lambda f: mezzo.func.linearize(f, ROWS[0])[1](ROWS[1]),
    "hessian": lambda f: mezzo.func.hessian(lambda x: (f(x).float() ** 2).sum())(ROWS[0]),
    "jacrev of jacfwd": lambda f: mezzo.func.jacrev(mezzo.func.jacfwd(f))(ROWS[0]),
}  # fmt: skip


@pytest.mark.parametrize("where", ["inside", "outside"])
@pytest.mark.parametrize("form", FORMS)
def test_close_to_full_precision(form, where):
    exact = FORMS[form](lambda x: mlp(x)).numpy()
    if where == "inside":
        found = FORMS[form](inside(mlp))
    else:
        with mezzo.autocast("cpu"):
            found = FORMS[form](mlp)
    value = found.float().numpy()
    # bfloat16 keeps 8 bits; second derivatives round twice as often.
    np.testing.assert_allclose(value, exact, rtol=0, atol=0.03 * max(1.0, np.abs(exact).max()))
    assert np.abs(value - exact).max() > 0, "nothing was computed in low precision"


@pytest.mark.parametrize("transform", ["grad", "vmap", "jvp"])
def test_regions_end_with_an_exception(transform):
    def fails(x):
        with mezzo.autocast("cpu"):
            raise KeyError("on purpose")

    with pytest.raises(KeyError):
        if transform == "jvp":
            mezzo.func.jvp(fails, (ROWS[0],), (ROWS[1],))
        else:
            getattr(mezzo.func, transform)(fails)(ROWS)
    assert not mezzo.is_autocast_enabled("cpu")
    assert (W1 @ ROWS[0]).dtype is mezzo.float32
    assert mezzo.is_grad_enabled()
