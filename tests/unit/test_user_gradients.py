"""What users rely on of gradients: what may be overwritten, several gradients in one call, older names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo

LAYERS = {
    "group_norm": (lambda m, x: m.nn.functional.group_norm(x, 2), (2, 4, 6)),
    "layer_norm": (lambda m, x: m.nn.functional.layer_norm(x, (6,)), (2, 4, 6)),
    "batch_norm": (lambda m, x: m.nn.functional.batch_norm(x, None, None, training=True), (3, 4, 6)),
    "max_pool2d": (lambda m, x: m.nn.functional.max_pool2d(x, 2), (1, 2, 4, 4)),
    "max": (lambda m, x: x.max(1).values, (3, 4)),
    "cummax": (lambda m, x: x.cummax(1).values, (3, 4)),
    "cross_entropy": (
        lambda m, x: m.nn.functional.cross_entropy(x, m.tensor([0, 1, 3]), reduction="none"),
        (3, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_activations_in_place_after(name):
    """The derivatives of these layers do not read their result, so nn.SiLU(inplace=True) may overwrite it."""
    layer, shape = LAYERS[name]
    values, grads = np.random.default_rng(0).standard_normal(shape).astype(np.float32), []
    for m in (mezzo, torch):
        x = m.tensor(values, requires_grad=True)
        y = layer(m, x)
        m.nn.functional.silu(y, inplace=True)
        y.sum().backward()
        grads.append(x.grad.numpy())
    np.testing.assert_allclose(*grads, rtol=1e-4, atol=1e-6)


def test_is_grads_batched():
    """One row of the Jacobian for each entry, and further derivatives through them."""
    found = []
    for m in (mezzo, torch):
        x = m.tensor([0.5, -1.0, 2.0], requires_grad=True)
        y = x.sin() * x.sum()
        (rows,) = m.autograd.grad(y, x, m.eye(3), is_grads_batched=True, create_graph=True)
        (second,) = m.autograd.grad(rows.square().sum(), x)
        found.append((rows.detach().numpy(), second.numpy()))
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_variable_and_only_inputs():
    for m in (mezzo, torch):
        Variable = m.autograd.Variable
        x = Variable(m.ones(2), requires_grad=True)
        assert isinstance(x, m.Tensor) and isinstance(m.ones(1), Variable) and x.requires_grad
        (g,) = m.autograd.grad((x * 3).sum(), x, only_inputs=True)
        assert g.tolist() == [3.0, 3.0]
        with pytest.warns(FutureWarning):
            m.autograd.grad((x * 3).sum(), x, only_inputs=False)


def _sums(m, a, b):
    ((a + b) ** 2).sum().backward()
    return a, b


def _recurrent(m, a, b):
    layer = m.nn.LSTM(3, 3)
    with m.no_grad():
        for p in layer.parameters():
            p.fill_(0.1)
    layer(a.reshape(1, 1, 3) + 0 * b.sum())[0].sum().backward()
    return layer.bias_ih_l0, layer.bias_hh_l0


def _given(m, a, b):
    given = m.ones(3)
    (a * 1).backward(given)
    a.grad.mul_(3)
    return a, m.zeros(3, requires_grad=True) + given


def _kept(m, a, b):
    y = a.clone()
    y.retain_grad()
    y.backward(m.ones(3))
    return a, y


def _watched(m, a, b):
    seen = []
    a.register_hook(lambda g: seen.append(g))
    (a * 2).sum().backward()
    b.grad = seen[0]
    return a, b


def _written(m, a, b):
    class Both(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return g, g

    Both.apply(a, b).exp().sum().backward()
    return a, b


def _created(m, a, b):
    (a + b).sin().sum().backward(create_graph=True)
    a.grad, b.grad = a.grad.detach(), b.grad.detach()
    return a, b


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [_sums, _recurrent, _given, _kept, _watched, _written, _created])
def test_gradients_lie_apart(make):
    """What is written into one .grad, as clipping does, changes no other gradient."""
    found = []
    for m in (mezzo, torch):
        a, b = (m.tensor([0.1, 0.2, 0.3], requires_grad=True) for _ in range(2))
        x, y = make(m, a, b)
        if x.grad is not None:
            x.grad.mul_(7)
        found.append([t.detach().numpy() if t.grad is None else t.grad.numpy() for t in (x, y)])
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_accumulate_apart(compiled):
    """Two backward passes into leaves that are sent the same gradient."""
    found = []
    for m in (mezzo, torch):
        a, b = (m.tensor([0.1, 0.2], requires_grad=True) for _ in range(2))

        def loss(a, b):
            return ((a + b) ** 2).sum()

        run = mezzo.compile(loss) if compiled and m is mezzo else loss
        for _ in range(3):
            run(a, b).backward()
        a.grad.mul_(2)
        found.append((a.grad.numpy(), b.grad.numpy()))
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
