"""CTC against PyTorch's, values and gradients by the logits; bags of indices at offsets; unpooling undoes pooling."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo
from mezzo.nn import functional as F


def both(array: np.ndarray):
    return mezzo.from_numpy(array.copy()).requires_grad_(), torch.from_numpy(array).requires_grad_()


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("form", ["padded", "joined", "tuples"])
@pytest.mark.parametrize("blank", [0, 2])
def test_ctc(reduction, form, blank):
    """Different lengths, repeated labels, an empty target; the gradient through log_softmax."""
    rng = np.random.default_rng(0)
    x, y = both(rng.standard_normal((9, 4, 5)))
    inputs, lengths = [9, 7, 8, 5], [3, 4, 0, 2]
    labels = np.array([[1, 1, 3, 4], [4, 3, 3, 1], [1, 1, 1, 1], [3, 4, 1, 1]])
    targets = (
        np.concatenate([r[:n] for r, n in zip(labels, lengths)]) if form == "joined" else labels
    )
    sizes = lambda m: (
        (tuple(inputs), tuple(lengths))
        if form == "tuples"
        else (m.tensor(inputs), m.tensor(lengths))
    )
    ours = F.ctc_loss(x.log_softmax(2), mezzo.from_numpy(targets), *sizes(mezzo), blank, reduction)
    theirs = torch.nn.functional.ctc_loss(
        y.log_softmax(2), torch.from_numpy(targets), *sizes(torch), blank, reduction
    )
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-10)
    ours.sum().backward()
    theirs.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("zero", [False, True])
def test_ctc_of_targets_that_do_not_fit(zero):
    values = np.random.default_rng(0).standard_normal((3, 2, 4))
    x, y = both(values)
    args = [[1, 1, 1], [2, 3, 1]], (3, 3), (3, 3), 0, "none", zero
    ours = F.ctc_loss(x.log_softmax(2), mezzo.tensor(args[0]), *args[1:])
    theirs = torch.nn.functional.ctc_loss(y.log_softmax(2), torch.tensor(args[0]), *args[1:])
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-10)
    if zero:
        ours.sum().backward()
        theirs.sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-8, atol=1e-10)


def test_ctc_of_one_sequence():
    x, y = both(np.random.default_rng(0).standard_normal((6, 4)))
    ours = F.ctc_loss(x.log_softmax(1), mezzo.tensor([1, 2]), mezzo.tensor(6), mezzo.tensor(2))
    theirs = torch.nn.functional.ctc_loss(
        y.log_softmax(1), torch.tensor([1, 2]), torch.tensor(6), torch.tensor(2)
    )
    np.testing.assert_allclose(ours.item(), theirs.item(), rtol=1e-10)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("last", [False, True])
def test_embedding_bag_at_offsets(mode, last):
    """Empty bags, at the end too; a last offset that is the length."""
    table, other = both(np.random.default_rng(0).standard_normal((6, 3)))
    indices, offsets = [1, 5, 2, 2, 0, 3], [0, 2, 2, 5, 6][: 5 if last else 4]
    ours = F.embedding_bag(
        mezzo.tensor(indices), table, mezzo.tensor(offsets), mode=mode, include_last_offset=last
    )
    theirs = torch.nn.functional.embedding_bag(
        torch.tensor(indices), other, torch.tensor(offsets), mode=mode, include_last_offset=last
    )
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    np.testing.assert_allclose(table.grad.numpy(), other.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_unpooling_puts_values_back(axes):
    x, y = both(np.random.default_rng(0).standard_normal((2, 3, *(6, 4, 8)[:axes])))
    results = []
    for f, v in ((F, x), (torch.nn.functional, y)):
        pooled, at = getattr(f, f"max_pool{axes}d")(v, 2, return_indices=True)
        back = getattr(f, f"max_unpool{axes}d")(pooled, at, 2)
        back.square().sum().backward()
        results.append((back.detach().numpy(), v.grad.numpy()))
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-12)
