"""Lazy modules beyond what the programs in tests/programs show."""

from __future__ import annotations

import copy

import pytest
import torch

import mezzo
from mezzo import nn


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose", "BatchNorm", "InstanceNorm"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_becomes_the_ordinary_layer(kind, axes):
    name = f"{kind}{axes}d"
    options = (5, 3) if "Conv" in kind else ()
    lazy, x = getattr(nn, f"Lazy{name}")(*options), mezzo.randn(2, 4, *[6] * axes)
    y = lazy(x)
    assert type(lazy) is getattr(nn, name)
    ordinary = getattr(nn, name)(4, *options)
    if kind == "InstanceNorm":
        ordinary = nn.__dict__[name](4, affine=True, track_running_stats=True)
    ordinary.load_state_dict(lazy.state_dict())
    if "Norm" not in kind:
        assert mezzo.equal(ordinary(x), y)
    assert repr(ordinary) == repr(lazy)


def test_an_optimizer_made_before_the_first_input_trains_the_layer():
    layer = nn.LazyLinear(3)
    optimizer = mezzo.optim.SGD(layer.parameters(), lr=0.1)
    layer(mezzo.ones(2, 4)).sum().backward()
    before = layer.weight.detach().clone()
    optimizer.step()
    assert bool((layer.weight == before - 0.1 * layer.weight.grad).all())


def test_state_without_shapes_is_copied_and_loaded():
    layer = nn.Sequential(nn.LazyLinear(3))
    twin = copy.deepcopy(layer)
    assert isinstance(layer.state_dict()["0.weight"], nn.UninitializedParameter)
    layer(mezzo.ones(2, 4))
    twin.load_state_dict(layer.state_dict())
    x = mezzo.randn(2, 4)
    assert mezzo.equal(twin(x), layer(x)) and twin[0].in_features == 4


@pytest.mark.parametrize(
    "mistake",
    [
        lambda m: m.nn.LazyLinear(3).weight.shape,
        lambda m: m.nn.LazyConv2d(3, 2)(m.ones(2, 3)),
        lambda m: m.nn.LazyBatchNorm2d()(m.ones(2, 3)),
    ],
)
def test_mistakes(mistake):
    with pytest.raises((RuntimeError, ValueError)) as theirs:
        mistake(torch)
    with pytest.raises(type(theirs.value)):
        mistake(mezzo)
