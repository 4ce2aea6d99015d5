"""Initialisers (their distributions and formulas) and the helpers of nn.utils, beside PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import mezzo
from mezzo import nn

SHAPE = (60, 20, 3, 3)
DRAWN = """
uniform_(w) uniform_(w,-2.0,3.0) normal_(w) normal_(w,1.0,0.5) xavier_uniform_(w) xavier_uniform_(w,2.0)
xavier_normal_(w) kaiming_uniform_(w) kaiming_uniform_(w,a=2.2360679) kaiming_uniform_(w,mode='fan_out')
kaiming_normal_(w,nonlinearity='relu') kaiming_normal_(w,mode='fan_out',nonlinearity='tanh')
trunc_normal_(w) trunc_normal_(w,1.0,2.0,0.0,2.5)
""".split()


@pytest.mark.parametrize("text", DRAWN)
def test_distribution(text):
    """Mean, deviation and quantiles are PyTorch's."""
    drawn = []
    for t, init in ((mezzo, nn.init), (torch, torch.nn.init)):
        t.manual_seed(0)
        w = t.empty(SHAPE)
        eval(f"init.{text}", {"init": init, "w": w})
        drawn.append(w.numpy().ravel())
    mine, theirs = drawn
    assert mine.size == math.prod(SHAPE)
    spread = theirs.std()
    assert abs(mine.mean() - theirs.mean()) < 0.05 * spread
    np.testing.assert_allclose(mine.std(), spread, rtol=0.03)
    at = np.linspace(0, 1, 21)
    np.testing.assert_allclose(
        np.quantile(mine, at)[1:-1], np.quantile(theirs, at)[1:-1], atol=0.08 * spread
    )
    assert np.unique(mine).size > 0.9 * mine.size


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("zeros_(w)", (2, 3)), ("ones_(w)", (2, 3)), ("constant_(w,0.3)", (2, 3)), ("eye_(w)", (3, 5)),
        ("dirac_(w)", (4, 3, 3)), ("dirac_(w,2)", (4, 2, 3, 3)), ("dirac_(w)", (2, 4, 1, 4)),
    ],
)  # fmt: skip
def test_fixed_values(text, shape):
    made = []
    for t, init in ((mezzo, nn.init), (torch, torch.nn.init)):
        w = t.empty(shape)
        assert eval(f"init.{text}", {"init": init, "w": w}) is w
        made.append(w.numpy())
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3)])
def test_orthogonal(shape):
    w = nn.init.orthogonal_(mezzo.empty(shape), gain=2.0).numpy().reshape(shape[0], -1)
    w = w if w.shape[0] <= w.shape[1] else w.T
    np.testing.assert_allclose(w @ w.T, 4 * np.eye(len(w)), atol=1e-5)


def test_sparse():
    w = nn.init.sparse_(mezzo.empty(10, 8), 0.33, std=1.0).numpy()
    assert ((w == 0).sum(axis=0) == 4).all() and w.std() > 0.3


def test_generator_and_gradients():
    def draw():
        generator = mezzo.Generator()
        generator.manual_seed(4)
        return nn.init.normal_(nn.Parameter(mezzo.empty(20)), generator=generator)

    assert draw().requires_grad and draw().grad_fn is None
    np.testing.assert_array_equal(draw().detach().numpy(), draw().detach().numpy())


@pytest.mark.parametrize(
    "name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
)
def test_gain(name):
    assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain(
        "leaky_relu", 0.3
    )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: nn.init.xavier_normal_(mezzo.empty(3)), "fewer than 2 dimensions"),
        (lambda: nn.init.eye_(mezzo.empty(3)), "Only tensors with 2"),
        (lambda: nn.init.dirac_(mezzo.empty(3, 3)), "Only tensors with 3, 4, 5"),
        (lambda: nn.init.dirac_(mezzo.empty(3, 3, 3), 2), "divisible by groups"),
        (lambda: nn.init.calculate_gain("swish"), "Unsupported nonlinearity"),
        (lambda: nn.init.kaiming_normal_(mezzo.empty(3, 3), mode="in"), "not supported"),
    ],
)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_empty_tensors_warn():
    with pytest.warns(UserWarning, match="zero-element"):
        nn.init.kaiming_uniform_(mezzo.empty(0, 3))


# ---- nn.utils

GRADS = [np.array([3.0, -4.0], np.float32), np.array([[12.0]], np.float32), None]


def parameters(t, n):
    made = []
    for grad in GRADS:
        parameter = n.Parameter(t.zeros(2 if grad is None else grad.shape))
        parameter.grad = None if grad is None else t.tensor(grad)
        made.append(parameter)
    return made


def grads(made) -> list:
    return [None if p.grad is None else p.grad.tolist() for p in made]


@pytest.mark.parametrize("norm", [2, 1, 3.5, math.inf, "inf", 0])
@pytest.mark.parametrize("limit", [1.0, 100.0])
def test_clip_grad_norm(norm, limit):
    mine, theirs = parameters(mezzo, nn), parameters(torch, torch.nn)
    total = nn.utils.clip_grad_norm_(mine, limit, norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, limit, float(norm))
    np.testing.assert_allclose(total.item(), expected.item(), rtol=1e-6)
    for a, b in zip(grads(mine), grads(theirs)):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_clip_below_the_norm_touches_nothing():
    made = [p for p in parameters(mezzo, nn) if p.grad is not None]
    before = [(p.grad._version, p.grad.tolist()) for p in made]
    assert nn.utils.clip_grad_norm_(made, 14.0).item() == pytest.approx(13.0)
    assert [(p.grad._version, p.grad.tolist()) for p in made] == before
    nn.utils.clip_grad_norm_(made, 12.0)
    assert all(p.grad._version > version for p, (version, _) in zip(made, before))


def test_clip_one_tensor_an_iterator_and_nothing():
    one = parameters(mezzo, nn)[0]
    assert nn.utils.clip_grad_norm_(one, 1.0).item() == pytest.approx(5.0)
    assert nn.utils.clip_grad_norm_(iter(parameters(mezzo, nn)), 1.0).item() == pytest.approx(13.0)
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0
    assert nn.utils.get_total_norm([mezzo.ones(4)]).item() == 2
    with pytest.raises(TypeError, match="element 0"):
        nn.utils.clip_grad_norm_([3], 1.0)


def test_clip_of_non_finite_gradients():
    made = parameters(mezzo, nn)
    made[0].grad = mezzo.tensor([float("nan"), 1.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(made, 1.0, error_if_nonfinite=True)
    assert math.isnan(nn.utils.clip_grad_norm_(made, 1.0).item())


def test_clip_grad_value():
    mine, theirs = parameters(mezzo, nn), parameters(torch, torch.nn)
    nn.utils.clip_grad_value_(mine, 3.5)
    torch.nn.utils.clip_grad_value_(theirs, 3.5)
    assert grads(mine) == grads(theirs)


def test_parameters_as_a_vector():
    net = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert tuple(vector.shape) == (9,)
    nn.utils.vector_to_parameters(mezzo.arange(9, dtype=mezzo.float32), net.parameters())
    assert net.weight.tolist() == [[0, 1], [2, 3], [4, 5]] and net.bias.tolist() == [6, 7, 8]
    with pytest.raises(RuntimeError, match="has 3 elements; the parameters need 9"):
        nn.utils.vector_to_parameters(mezzo.zeros(3), net.parameters())
