"""Elements that masks choose, against PyTorch: sizes around vectors and chunks, dtypes, gradients, errors, lowered targets."""

from __future__ import annotations

import itertools

import lowered
import numpy as np
import pytest
import torch

import mezzo
from mezzo.kernels.cpu import pool
from mezzo.ops import sets

SHAPES = [(1,), (16,), (33,), (5, 7), (3, 40), (17, 16), (2, 3, 4), (0,), (0, 3)]
DTYPES = "float32 float64 bfloat16 int8 int64 bool".split()
ASKED = ("return_inverse", "return_counts")
CODE = """
import test_masks
for shape in test_masks.SHAPES:
    test_masks.check(shape, test_masks.DTYPES)
test_masks.check((300, 301), ["float32"])
"""


def ours(tensor: torch.Tensor):
    name = str(tensor.dtype).removeprefix("torch.")
    wide = tensor.detach().double() if tensor.dtype.is_floating_point else tensor
    return mezzo.tensor(wide.contiguous().numpy()).to(getattr(mezzo, name))


def same(got, want: torch.Tensor) -> None:
    assert tuple(got.shape) == tuple(want.shape)
    assert (got.to(mezzo.float64).numpy() == want.double().numpy()).all()


def check(shape, dtypes) -> None:
    torch.manual_seed(0)
    for part in (0.0, 0.02, 0.5, 1.0):
        numbers, mask = torch.randn(shape), torch.rand(shape) < part
        m = ours(mask)
        same(m.nonzero(), mask.nonzero())
        same(mezzo.argwhere(ours(numbers * mask)), torch.argwhere(numbers * mask))
        for got, want in zip(m.nonzero(as_tuple=True), mask.nonzero(as_tuple=True)):
            same(got, want)
        for name in dtypes:
            x = numbers.to(getattr(torch, name))
            y, count = ours(x), int(mask.sum())
            same(y[m], x[mask])
            same(y.masked_select(m), x.masked_select(mask))
            values = torch.randn(count + 2).to(x.dtype)
            same(y.masked_scatter(m, ours(values)), x.masked_scatter(mask, values))
            x[mask] = values[:count]
            y[m] = ours(values[:count])
            same(y, x)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_torch(shape):
    check(shape, DTYPES)


def test_strides_of_places():
    mask = torch.rand(6, 5) < 0.5
    assert ours(mask).nonzero().stride() == mask.nonzero().stride()


def test_many_chunks_and_threads():
    count = pool.get_num_threads()
    try:
        for threads in (1, 3):
            pool.set_num_threads(threads)
            check((70001,), ["float32"])
            check((300, 301), ["int8"])
    finally:
        pool.set_num_threads(count)


def test_views_and_broadcasts():
    torch.manual_seed(0)
    x, mask = torch.randn(4, 6), torch.rand(6, 4) < 0.5
    y, m = ours(x), ours(mask)
    same(y.t()[m], x.t()[mask])
    same(y[m.t()], x[mask.t()])
    same(y.masked_select(m[:, :1].t()), x.masked_select(mask[:, :1].t()))
    x.t()[mask] = torch.ones(int(mask.sum()))
    y.t()[m] = mezzo.ones(int(mask.sum()))
    same(y, x)


def test_gradients():
    torch.manual_seed(0)
    x, source, mask = torch.randn(4, 5), torch.randn(20), torch.rand(4, 5) < 0.5
    a, b = x.clone().requires_grad_(), source.clone().requires_grad_()
    p, q, m = ours(x).requires_grad_(), ours(source).requires_grad_(), ours(mask)

    def loss(x, source, mask):
        moved = x * 2
        moved[~mask] = source[: int((~mask).sum())]
        return (x[mask] ** 3).sum() + (x.masked_scatter(mask, source) ** 2).sum() + (moved**2).sum()

    want = torch.autograd.grad(loss(a, b, mask), (a, b), create_graph=True)
    got = mezzo.autograd.grad(loss(p, q, m), (p, q), create_graph=True)
    further = torch.autograd.grad(sum((w**2).sum() for w in want), (a, b))
    again = mezzo.autograd.grad(sum((g**2).sum() for g in got), (p, q))
    for g, w in zip((*got, *again), (*want, *further)):
        np.testing.assert_allclose(g.detach().numpy(), w.detach().numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [*DTYPES, "float16", "uint8"])
def test_unique(name):
    """With and without numbers that are none, which equal nothing; few elements and many, of few values and many."""
    torch.manual_seed(0)
    dtype = getattr(torch, name)
    for shape, below in (((1,), 9), ((64,), 9), ((3, 300), 9), ((800,), 120), ((), 9)):
        for broken in (False, True) if dtype.is_floating_point else (False,):
            x = torch.randint(0, below, shape).to(dtype)
            if broken:
                x.view(-1)[::3] = float("nan")
            for asked in itertools.product((False, True), repeat=2):
                for function in ("unique", "unique_consecutive"):
                    want = getattr(torch, function)(x, **dict(zip(ASKED, asked)))
                    got = getattr(mezzo, function)(ours(x), **dict(zip(ASKED, asked)))
                    if broken and asked[0]:
                        continue  # PyTorch's way back from what equals nothing is its own
                    pairs = zip(got, want) if any(asked) else [(got, want)]
                    for g, w in pairs:
                        assert tuple(g.shape) == tuple(w.shape)
                        np.testing.assert_array_equal(g.to(mezzo.float64).numpy(), w.double().numpy())  # fmt: skip


def test_unique_of_more_values_than_are_searched(monkeypatch):
    monkeypatch.setattr(sets, "_SEARCHED", 3)
    x = torch.randint(0, 9, (50,))
    for got, want in zip(
        mezzo.unique(ours(x), return_inverse=True), torch.unique(x, return_inverse=True)
    ):
        same(got, want)


@pytest.mark.parametrize("size", [0, 1, 64, 5000])
def test_bincount(size):
    torch.manual_seed(0)
    for dtype in (torch.int64, torch.uint8):
        x = torch.randint(0, 30, (size,)).to(dtype)
        for weights in (None, *(torch.rand(size).to(d) for d in (torch.float32, torch.float64))):
            for least in (0, 40):
                want = x.bincount(weights, least)
                got = ours(x).bincount(None if weights is None else ours(weights), least)
                assert str(want.dtype) == f"torch.{got.dtype.name}"
                np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5)
    with pytest.raises(RuntimeError, match="non-negative"):
        mezzo.tensor([-1, 2]).bincount()


def test_errors():
    x, m = mezzo.zeros(4), mezzo.tensor([True, True, False, True])
    with pytest.raises(RuntimeError, match=r"number of elements of source \(2\)"):
        x.masked_scatter(m, mezzo.ones(2))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        x[m] = mezzo.ones(2)
    with pytest.raises(IndexError, match="mask"):
        x[m[:3]]
    x[m] = mezzo.ones(1)  # one value for all
    assert x.tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize("label", ["avx512", "avx2", "plain"])
def test_other_processors(label):
    """The same with other vectors, and with pages behind every block that nobody may touch."""
    lowered.run_code(__file__, label, CODE)


def test_equal_of_large_tensors():
    """Compared piece by piece: a difference at either end of a piece is seen, and NaN equals nothing."""
    x = mezzo.zeros(400_000)
    assert mezzo.equal(x, x.clone()) and mezzo.equal(x[:0], x[:0])
    for at in (
        0,
        (1 << 14) - 1,
        1 << 14,
        (1 << 14) + (1 << 17) - 1,
        (1 << 14) + (1 << 17),
        399_999,
    ):
        other = x.clone()
        other[at] = 1.0
        assert not mezzo.equal(x, other)
    x[-1] = float("nan")
    assert not mezzo.equal(x, x)
