"""Function transforms against torch.func, nested in each other, in vmap, in the outer tape and in autocast."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo

_RNG = np.random.default_rng(5)
POINT, BATCH, WEIGHT = (
    _RNG.standard_normal(5),
    _RNG.standard_normal((3, 5)),
    _RNG.standard_normal((4, 5)),
)


def _scalar(lib):
    return lambda x: ((lib.tensor(WEIGHT) @ x).tanh() ** 2).sum()


def _vector(lib):
    return lambda x: (lib.tensor(WEIGHT) @ x).tanh()


PROGRAMS = {
    "grad": lambda lib, f, v, x, b: f.grad(_scalar(lib))(x),
    "grad of grad": lambda lib, f, v, x, b: f.grad(lambda y: f.grad(_scalar(lib))(y).sum())(x),
    "grad and value": lambda lib, f, v, x, b: f.grad_and_value(_scalar(lib))(x),
    "aux": lambda lib, f, v, x, b: f.grad(lambda y: (_scalar(lib)(y), y * 2), has_aux=True)(x),
    "argnums": lambda lib, f, v, x, b: f.grad(lambda p, q: (p * q * q).sum(), argnums=(0, 1))(x, x + 1),
    "jacrev": lambda lib, f, v, x, b: f.jacrev(v)(x),
    "jacfwd": lambda lib, f, v, x, b: f.jacfwd(v)(x),
    "jacobian of a matrix": lambda lib, f, v, x, b: f.jacrev(lambda m: m.sin() * m.sum())(b),
    "forward jacobian of a matrix": lambda lib, f, v, x, b: f.jacfwd(lambda m: m.sin() * m.sum())(b),
    "hessian": lambda lib, f, v, x, b: f.hessian(_scalar(lib))(x),
    "jacrev of jacfwd": lambda lib, f, v, x, b: f.jacrev(f.jacfwd(v))(x),
    "jacfwd of jacrev": lambda lib, f, v, x, b: f.jacfwd(f.jacrev(v))(x),
    "vmap of grad": lambda lib, f, v, x, b: f.vmap(f.grad(_scalar(lib)))(b),
    "vmap of jacrev": lambda lib, f, v, x, b: f.vmap(f.jacrev(v))(b),
    "vmap of hessian": lambda lib, f, v, x, b: f.vmap(f.hessian(_scalar(lib)))(b),
    "grad of vmap": lambda lib, f, v, x, b: f.grad(lambda y: f.vmap(_scalar(lib))(y).sum())(b),
    "jvp": lambda lib, f, v, x, b: f.jvp(v, (x,), (x * 2,)),
    "vjp": lambda lib, f, v, x, b: f.vjp(v, x)[1](lib.tensor(WEIGHT[:, 0])),
    "linearize": lambda lib, f, v, x, b: f.linearize(v, x)[1](x),
    "no_grad inside": lambda lib, f, v, x, b: f.grad(lambda y: (y * y.detach()).sum())(x),
    "in place": lambda lib, f, v, x, b: f.grad(lambda y: (y * 2).mul_(y).sum())(x),
    "tree": lambda lib, f, v, x, b: f.grad(lambda p: (p["a"] * p["b"][0] * p["b"][1]).sum())({"a": x, "b": [x, x + 1]}),
    "chunks": lambda lib, f, v, x, b: f.vmap(f.grad(_scalar(lib)), chunk_size=2)(b),
    "out_dims": lambda lib, f, v, x, b: f.vmap(v, out_dims=1)(b),
}  # fmt: skip


def _flat(value):
    if isinstance(value, dict):
        return [x for k in value for x in _flat(value[k])]
    if isinstance(value, (tuple, list)):
        return [x for v in value for x in _flat(v)]
    return [value.detach().numpy()]


@pytest.mark.parametrize("name", PROGRAMS)
def test_equals_torch_func(name):
    program = PROGRAMS[name]
    ours = program(mezzo, mezzo.func, _vector(mezzo), mezzo.tensor(POINT), mezzo.tensor(BATCH))
    theirs = program(torch, torch.func, _vector(torch), torch.tensor(POINT), torch.tensor(BATCH))
    for a, b in zip(_flat(ours), _flat(theirs), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_the_outer_tape_sees_through_transforms():
    found = []
    for lib in (mezzo, torch):
        w = lib.tensor(WEIGHT, requires_grad=True)
        per_sample = lib.func.vmap(lib.func.grad(lambda x, w=w: ((w @ x).tanh() ** 2).sum()))(
            lib.tensor(BATCH)
        )
        per_sample.sum().backward()
        found.append(w.grad.numpy())
    np.testing.assert_allclose(*found, rtol=1e-9)


def test_results_of_closed_functions_are_free_of_history():
    assert not mezzo.func.grad(_scalar(mezzo))(mezzo.tensor(POINT)).requires_grad


def _network(lib):
    model = lib.nn.Sequential(
        lib.nn.Conv2d(1, 3, 3), lib.nn.ReLU(), lib.nn.Flatten(), lib.nn.Linear(48, 4)
    )
    rng = np.random.default_rng(1)
    state = {
        n: rng.standard_normal(tuple(p.shape)).astype("f4") * 0.3
        for n, p in model.named_parameters()
    }
    model.load_state_dict({n: lib.tensor(v) for n, v in state.items()})
    return model


def test_per_sample_gradients_of_a_convolutional_network():
    images, labels = (
        np.random.default_rng(2).standard_normal((5, 1, 6, 6)).astype("f4"),
        [0, 1, 2, 3, 0],
    )
    found = []
    for lib in (mezzo, torch):
        model = _network(lib)
        weights = {n: p.detach() for n, p in model.named_parameters()}

        def loss(values, image, label, lib=lib, model=model):
            logits = lib.func.functional_call(model, values, (image.unsqueeze(0),))
            return lib.nn.functional.cross_entropy(logits, label.unsqueeze(0))

        grads = lib.func.vmap(lib.func.grad(loss), in_dims=(None, 0, 0))(
            weights, lib.tensor(images), lib.tensor(labels)
        )
        found.append(grads)
    for name, value in found[1].items():
        np.testing.assert_allclose(found[0][name].numpy(), value.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_under_autocast(where):
    w = mezzo.randn(4, 4)

    def loss(w, x):
        return (w @ x).float().sum()

    def inside(w, x):
        with mezzo.autocast("cpu"):
            return loss(w, x)

    x = mezzo.randn(3, 4, 4)
    if where == "inside":
        grads = mezzo.vmap(mezzo.func.grad(inside), in_dims=(None, 0))(w, x)
    else:
        with mezzo.autocast("cpu"):
            grads = mezzo.vmap(mezzo.func.grad(loss), in_dims=(None, 0))(w, x)
    assert grads.dtype is mezzo.float32
    expected = x.numpy().sum(-1)[:, None, :].repeat(4, 1)
    np.testing.assert_allclose(grads.numpy(), expected, rtol=2e-2, atol=5e-2)


def test_errors_say_what_to_do():
    x = mezzo.tensor(POINT)
    with pytest.raises(RuntimeError, match="scalar"):
        mezzo.func.grad(_vector(mezzo))(x)
    with pytest.raises(RuntimeError, match="argnum=3"):
        mezzo.func.grad(_scalar(mezzo), argnums=3)(x)
    with pytest.raises(RuntimeError, match=r"where\(condition"):
        mezzo.vmap(lambda v: v if v.sum() > 0 else -v)(mezzo.tensor(BATCH))
    with pytest.raises(ValueError, match="same size in the mapped dimension"):
        mezzo.vmap(lambda a, b: a + b)(mezzo.zeros(3), mezzo.zeros(4))
    with pytest.raises(RuntimeError, match="inplace arithmetic"):
        mezzo.vmap(lambda a, b: a.add_(b), in_dims=(None, 0))(mezzo.zeros(5), mezzo.tensor(BATCH))
