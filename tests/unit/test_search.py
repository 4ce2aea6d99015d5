"""Search in sorted lines, and counts in bins, against PyTorch: dtypes, ties, what is no number, lines of their own, lowered targets, threads."""

from __future__ import annotations

import lowered
import pytest
import torch

import mezzo
from mezzo.kernels.cpu import pool

NAMES = "float32 float64 bfloat16 float16 int64 int32 int16 int8 uint8".split()
CODE = """
import test_search
for name in test_search.NAMES:
    test_search.check(name, (1, 17))
test_search.check_bins()
"""


def ours(tensor: torch.Tensor, name: str):
    wide = tensor.double() if tensor.dtype.is_floating_point else tensor
    return mezzo.tensor(wide.numpy()).to(getattr(mezzo, name))


def check(name: str, lengths) -> None:
    torch.manual_seed(0)
    dtype, low = getattr(torch, name), 0 if name == "uint8" else -99
    for n in lengths:
        for lead, shape in (((), (37,)), ((), (5, 70)), ((5,), (5, 70)), ((), ())):
            edges = (torch.randn(*lead, n) * 50).clamp(low, 99).to(dtype).sort(-1)[0]
            values = (torch.randn(shape) * 60).clamp(low, 99).to(dtype)
            if dtype.is_floating_point and shape:
                values.view(-1)[:3] = torch.tensor([float("nan"), float("inf"), float("-inf")])
            for right in (False, True):
                want = torch.searchsorted(edges, values, right=right)
                got = mezzo.searchsorted(ours(edges, name), ours(values, name), right=right)
                assert got.dtype is mezzo.int64
                assert (got.numpy() == want.numpy()).all(), (n, lead, shape, right)


@pytest.mark.parametrize("name", NAMES)
def test_against_torch(name):
    check(name, (1, 2, 3, 17, 100))


def check_bins() -> None:
    torch.manual_seed(0)
    for size in (0, 1, 17, 64, 70001):
        for name in ("float32", "float64"):
            x = torch.randn(size, dtype=getattr(torch, name))
            for asked in ((100, -3, 3), (7, 0, 1), (5000, -1, 1), (9,), (10, 2, 2)):
                assert (ours(x, name).histc(*asked).numpy() == x.histc(*asked).numpy()).all()
            if size > 1:
                x[3] = float("nan")
                assert (ours(x, name).histc(9, -1, 1).numpy() == x.histc(9, -1, 1).numpy()).all()


def test_bins():
    check_bins()
    x = torch.randn(300).bfloat16()
    want = x.float().histc(9, -1, 1)
    got = ours(x, "bfloat16").histc(9, -1, 1)
    assert got.dtype is mezzo.bfloat16
    assert (got.to(mezzo.float32).numpy() == want.numpy()).all()
    spread = ours(torch.stack([x, x], -1), "bfloat16")[:, 0]
    assert (spread.histc(9, -1, 1) == got).all()
    assert mezzo.ones(5).histc(4).tolist() == torch.ones(5).histc(4).tolist()


def test_strides_and_threads():
    torch.manual_seed(0)
    edges, values = torch.randn(1000).sort()[0], torch.randn(3, 5001)
    want = torch.bucketize(values, edges).numpy()
    count = pool.get_num_threads()
    try:
        for threads in (1, 3):
            pool.set_num_threads(threads)
            got = mezzo.bucketize(ours(values, "float32"), ours(edges, "float32"))
            assert (got.numpy() == want).all()
            check_bins()
    finally:
        pool.set_num_threads(count)
    spread = ours(torch.stack([values, values], -1), "float32")[..., 0]
    assert (mezzo.bucketize(spread, ours(edges, "float32")).numpy() == want).all()


@pytest.mark.parametrize("label", ["avx512", "avx2", "plain"])
def test_other_processors(label):
    lowered.run_code(__file__, label, CODE)
