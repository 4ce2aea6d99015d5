"""Random numbers against their distributions' closed forms: moments within five standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import mezzo
from mezzo.nn import functional as F

N = 200_000


@pytest.fixture(autouse=True)
def _seed():
    mezzo.manual_seed(1234)


def _near(values, mean, variance):
    values = np.asarray(values, dtype=np.float64)
    assert abs(values.mean() - mean) < 5 * math.sqrt(variance / values.size)


DRAWS = {
    "rand": (lambda: mezzo.rand(N), 1 / 2, 1 / 12),
    "rand float64": (lambda: mezzo.rand(N, dtype=mezzo.float64), 1 / 2, 1 / 12),
    "randn": (lambda: mezzo.randn(N), 0.0, 1.0),
    "normal": (lambda: mezzo.normal(2.0, 3.0, (N,)), 2.0, 9.0),
    "uniform_": (lambda: mezzo.empty(N).uniform_(-1, 3), 1.0, 16 / 12),
    "exponential_": (lambda: mezzo.empty(N).exponential_(2.0), 0.5, 0.25),
    "bernoulli": (lambda: mezzo.bernoulli(mezzo.full((N,), 0.3)), 0.3, 0.21),
    "randint": (lambda: mezzo.randint(0, 10, (N,)), 4.5, 99 / 12),
    "dropout": (lambda: F.dropout(mezzo.ones(N), 0.25), 1.0, 1 / 3),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
def test_moments(name):
    draw, mean, variance = DRAWS[name]
    values = draw().double().numpy()
    _near(values, mean, variance)
    fourth = np.mean((values - mean) ** 4)
    assert abs(values.var() - variance) < 5 * math.sqrt((fourth - variance**2) / N) + 1e-9


def test_normal_tails():
    values = np.abs(mezzo.randn(N).numpy())
    for bound, probability in ((1.0, 0.317310508), (2.0, 0.045500264), (3.0, 0.002699796)):
        _near(values > bound, probability, probability * (1 - probability))


def test_integers_stay_in_range_and_reach_it():
    values = mezzo.randint(-3, 4, (N,)).numpy()
    assert set(values) == set(range(-3, 4))
    wide = mezzo.randint(-(2**40), 2**40, (N,)).numpy()
    assert wide.min() >= -(2**40) and wide.max() < 2**40 and abs(wide.astype("f8")).max() > 2**39


def test_permutations():
    order = mezzo.randperm(1000).numpy()
    assert sorted(order) == list(range(1000)) and not np.array_equal(order, np.arange(1000))


@pytest.mark.parametrize("replacement", [True, False])
def test_multinomial_draws_by_weight(replacement):
    weights = mezzo.tensor([[1.0, 2.0, 3.0, 0.0]]).expand(N // 10, 4)
    first = mezzo.multinomial(weights, 2, replacement).numpy()[:, 0]
    for i, p in enumerate((1 / 6, 2 / 6, 3 / 6, 0.0)):
        _near(first == i, p, p * (1 - p) + 1e-12)


def test_gumbel_softmax_picks_by_probability():
    logits = mezzo.log(mezzo.tensor([0.2, 0.3, 0.5])).expand(N // 4, 3)
    hard = F.gumbel_softmax(logits, hard=True).numpy()
    assert set(hard.ravel()) == {0.0, 1.0} and (hard.sum(-1) == 1).all()
    for i, p in enumerate((0.2, 0.3, 0.5)):
        _near(hard[:, i], p, p * (1 - p))
    x = mezzo.zeros(4, 3, requires_grad=True)
    soft = F.gumbel_softmax(x, tau=0.5)
    np.testing.assert_allclose(soft.sum(-1).tolist(), 1.0, rtol=1e-6)
    soft[:, 0].sum().backward()
    np.testing.assert_allclose(x.grad.sum(-1).tolist(), 0.0, atol=1e-6)


def test_generators_are_streams_of_their_own():
    a, b = mezzo.Generator().manual_seed(5), mezzo.Generator().manual_seed(5)
    assert mezzo.rand(3, generator=a).tolist() == mezzo.rand(3, generator=b).tolist()
    state = a.get_state()
    first = mezzo.rand(3, generator=a).tolist()
    a.set_state(state)
    assert mezzo.rand(3, generator=a).tolist() == first
    assert mezzo.rand(3, generator=a).tolist() != first


def test_state_of_the_default_generator():
    state = mezzo.get_rng_state()
    first = mezzo.randn(5).tolist()
    mezzo.set_rng_state(state)
    assert mezzo.randn(5).tolist() == first
