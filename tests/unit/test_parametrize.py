"""Parametrizations, weight_norm and spectral_norm beside PyTorch's."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch

import mezzo

LAYERS = {
    "linear": (lambda nn: nn.Linear(4, 3), (5, 4)),
    "conv": (lambda nn: nn.Conv2d(2, 4, 3), (2, 2, 5, 5)),
    "transposed": (lambda nn: nn.ConvTranspose1d(3, 2, 3), (2, 3, 6)),
}
NORMS = {
    "parametrizations.weight_norm": lambda nn, m: nn.utils.parametrizations.weight_norm(m),
    "parametrizations.weight_norm of dim 1": lambda nn, m: nn.utils.parametrizations.weight_norm(m, dim=1),
    "parametrizations.weight_norm of all": lambda nn, m: nn.utils.parametrizations.weight_norm(m, dim=None),
    "parametrizations.spectral_norm": lambda nn, m: nn.utils.parametrizations.spectral_norm(m, n_power_iterations=2),
    "weight_norm": lambda nn, m: nn.utils.weight_norm(m),
    "spectral_norm": lambda nn, m: nn.utils.spectral_norm(m, n_power_iterations=2),
}  # fmt: skip


def made(layer: str, norm: str):
    """The layer in both frameworks with the same state, in float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        theirs = NORMS[norm](torch.nn, LAYERS[layer][0](torch.nn).double())
        ours = NORMS[norm](mezzo.nn, LAYERS[layer][0](mezzo.nn).double())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(
        {k: mezzo.from_numpy(v.numpy().copy()) for k, v in theirs.state_dict().items()}
    )
    return ours, theirs


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("training", [True, False])
def test_norms(layer, norm, training):
    """Outputs, gradients and the state after two calls."""
    ours, theirs = made(layer, norm)
    ours.train(training), theirs.train(training)
    x = np.random.default_rng(0).standard_normal(LAYERS[layer][1])
    for _ in range(2):
        got, want = ours(mezzo.from_numpy(x)), theirs(torch.from_numpy(x))
        np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-10)
    got.square().sum().backward()
    want.square().sum().backward()
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters()):
        np.testing.assert_allclose(
            p.grad.numpy(), q.grad.numpy(), rtol=1e-8, atol=1e-10, err_msg=name
        )
    for (name, p), (_, q) in zip(ours.state_dict().items(), theirs.state_dict().items()):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_removing(kind):
    """The weight stays what it was; the layer is as before."""
    plain = set(mezzo.nn.Linear(4, 3).state_dict())
    old, _ = made("linear", kind)
    old.eval()
    x = mezzo.randn(2, 4, dtype=mezzo.float64)
    before = old(x)
    getattr(mezzo.nn.utils, f"remove_{kind}")(old)
    np.testing.assert_allclose(old(x).detach().numpy(), before.detach().numpy(), rtol=1e-12)
    new, _ = made("linear", f"parametrizations.{kind}")
    new.eval()
    before = new(x)
    mezzo.nn.utils.parametrize.remove_parametrizations(new, "weight")
    np.testing.assert_allclose(new(x).detach().numpy(), before.detach().numpy(), rtol=1e-12)
    for module in (old, new):
        assert set(module.state_dict()) == plain
        assert type(module) is mezzo.nn.Linear
        assert isinstance(module.weight, mezzo.nn.Parameter)
    with pytest.raises(ValueError, match="not"):
        getattr(mezzo.nn.utils, f"remove_{kind}")(old)


def symmetric(frame):
    class Symmetric(frame.nn.Module):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            return x.triu() + x.triu(1).transpose(-1, -2)

        def right_inverse(self, a):
            return a.triu()

    return Symmetric


def test_own_parametrization():
    """Read, assigned, chained, cached, copied, removed, with PyTorch's results."""
    shown = []
    for frame in (torch, mezzo):
        parametrize, kind = frame.nn.utils.parametrize, symmetric(frame)
        layer = frame.nn.Linear(3, 3)
        parametrize.register_parametrization(layer, "weight", kind())
        assert parametrize.is_parametrized(layer) and parametrize.is_parametrized(layer, "weight")
        value = frame.from_numpy(np.array([[1.0, 2, 3], [2, 4, 5], [3, 5, 6]], np.float32))
        layer.weight = value
        assert layer.weight.tolist() == value.tolist()
        original = layer.parametrizations.weight.original
        twin = copy.deepcopy(layer)
        assert twin.weight.tolist() == value.tolist()
        before = kind.calls
        with parametrize.cached():
            layer(value), layer(value)
        assert kind.calls == before + 1
        layer.weight.sum().backward()
        shown.append(
            (
                type(layer).__name__,
                original.tolist(),
                original.grad.tolist(),
                list(layer.state_dict()),
            )
        )
        with pytest.raises(RuntimeError, match="state_dict"):
            __import__("pickle").dumps(layer)
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
        assert layer.weight is original and not parametrize.is_parametrized(layer)
    assert shown[0] == shown[1]


@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_orthogonal(orthogonal_map, shape):
    """Rows or columns are orthonormal, and stay so under training."""
    layer = mezzo.nn.Linear(shape[1], shape[0]).double()
    mezzo.nn.utils.parametrizations.orthogonal(layer, orthogonal_map=orthogonal_map)
    optimizer = mezzo.optim.SGD(layer.parameters(), lr=0.1)
    x = mezzo.randn(7, shape[1], dtype=mezzo.float64)
    before = layer.weight.detach().numpy().copy()
    for _ in range(3):
        optimizer.zero_grad()
        layer(x).square().sum().backward()
        optimizer.step()
    q = layer.weight.detach().numpy()
    gram = q @ q.T if shape[0] <= shape[1] else q.T @ q
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-12)
    assert np.abs(q - before).max() > 1e-3 or shape[0] == shape[1]


def test_refusals():
    parametrize = mezzo.nn.utils.parametrize

    class Cut(mezzo.nn.Module):
        def forward(self, x):
            return x[:1]

    layer = mezzo.nn.Linear(3, 3)
    with pytest.raises(ValueError, match="may not change the shape"):
        parametrize.register_parametrization(layer, "weight", Cut())
    with pytest.raises(ValueError, match="does not have a parameter"):
        parametrize.register_parametrization(layer, "wait", Cut())
    with pytest.raises(ValueError, match="does not have a parametrization"):
        parametrize.remove_parametrizations(layer, "weight")
