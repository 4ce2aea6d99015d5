"""Views of one call with several results: written in place where PyTorch allows it, refused where it refuses."""

from __future__ import annotations

import pytest
import torch

import mezzo

MANY = {
    "chunk": lambda x: x.chunk(2),
    "split": lambda x: x.split(2),
    "split_with_sizes": lambda x: x.split_with_sizes([1, 3]),
    "unbind": lambda x: x.unbind(0),
}


@pytest.mark.parametrize("name", MANY)
def test_several_views_are_not_written_in_place(name):
    for frame in (torch, mezzo):
        x = frame.ones(4, 3, requires_grad=True) * 2
        part = MANY[name](x)[1]
        with pytest.raises(RuntimeError, match="is a view and is being modified inplace"):
            part.add_(1)
        with frame.no_grad():
            part.add_(1)  # nobody will differentiate it


@pytest.mark.parametrize("name", MANY)
def test_a_tensor_that_brings_a_gradient_is_refused_too(name):
    for frame in (torch, mezzo):
        part = MANY[name](frame.ones(4, 3))[0]
        with pytest.raises(RuntimeError, match="modified inplace"):
            part.mul_(frame.ones(3, requires_grad=True))


@pytest.mark.parametrize("name", MANY)
def test_without_gradients_the_memory_is_shared(name):
    results = []
    for frame in (torch, mezzo):
        x = frame.zeros(4, 3)
        for number, part in enumerate(MANY[name](x)):
            part.add_(number + 1)
        results.append(x.tolist())
    assert results[0] == results[1]


@pytest.mark.parametrize("name", MANY)
def test_a_write_to_the_source_reaches_the_views(name):
    """PyTorch refuses to go on; here the view's history is that of what was written."""
    leaf = mezzo.ones(4, 3, requires_grad=True)
    x = leaf * 1
    part = MANY[name](x)[0]
    x.mul_(3)
    (part * 2).sum().backward()
    used = MANY[name](mezzo.arange(4).unsqueeze(1).expand(4, 3))[0].max().item()
    assert leaf.grad.tolist() == [[6.0 if i <= used else 0.0] * 3 for i in range(4)]


def test_names_of_the_derivatives():
    x = mezzo.ones(4, requires_grad=True)
    assert [x.chunk(2)[0].grad_fn.name(), x.unbind()[0].grad_fn.name()] == [
        "SplitBackward0",
        "UnbindBackward0",
    ]
