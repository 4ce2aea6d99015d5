"""Pooling against PyTorch where the derived tests do not look: memory formats, NaN, gradients of both."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo
from mezzo.kernels.cpu import pool
from mezzo.nn import functional as F

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def ours(tensor: torch.Tensor):
    wide = mezzo.from_numpy(tensor.detach().double().numpy().copy())
    return wide.to(getattr(mezzo, str(tensor.dtype).removeprefix("torch.")))


def theirs(tensor) -> torch.Tensor:
    return torch.from_numpy(np.array(tensor.detach().to(mezzo.float64).numpy()))


CALLS = [
    ("max_pool2d", (2,), {}),
    ("max_pool2d", (3, 2, 1), {"dilation": 2, "ceil_mode": True}),
    ("max_pool2d", ((3, 2), (1, 3), (1, 0)), {}),
    ("avg_pool2d", (2,), {}),
    ("avg_pool2d", (3, 2, 1), {"ceil_mode": True, "count_include_pad": False}),
    ("avg_pool2d", ((3, 2), 1, (1, 0)), {"divisor_override": 3}),
    ("adaptive_avg_pool2d", ((3, 5),), {}),
    ("adaptive_max_pool2d", ((3, 5),), {}),
]


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("channels", [3, 16, 37])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("name", "args", "options"), CALLS)
def test_memory_formats(name, args, options, dtype, channels, last):
    torch.manual_seed(0)
    x = torch.randn(2, channels, 9, 11).to(dtype)
    a, b = x.clone().requires_grad_(), ours(x)
    if last:
        b = b.contiguous(memory_format="channels_last")
    b.requires_grad = True
    want, got = (
        getattr(torch.nn.functional, name)(a, *args, **options),
        getattr(F, name)(b, *args, **options),
    )
    if last:
        assert got.is_contiguous(memory_format="channels_last")
    g = torch.randn(want.shape).to(dtype)
    want.backward(g)
    got.backward(ours(g))
    tolerance = {
        torch.float64: 1e-12,
        torch.float32: 1e-5,
        torch.bfloat16: 2e-2,
        torch.float16: 2e-3,
    }[dtype]
    torch.testing.assert_close(theirs(got), want.detach().double(), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(theirs(b.grad), a.grad.double(), rtol=tolerance, atol=8 * tolerance)


def test_nan_and_minus_infinity():
    x = torch.randn(1, 2, 6, 6)
    x[0, 0, 1, 1] = float("nan")
    x[0, 1] = float("-inf")
    want, where = torch.nn.functional.max_pool2d(x, 3, 1, 1, return_indices=True)
    got, at = F.max_pool2d(ours(x), 3, 1, 1, return_indices=True)
    torch.testing.assert_close(theirs(got), want.double(), equal_nan=True)
    assert (theirs(at).long() == where).all()
    assert at.dtype is mezzo.int64


def test_threads_do_not_change_results():
    x = mezzo.rand(4, 8, 65, 67)
    count = pool.get_num_threads()
    try:
        pool.set_num_threads(1)
        one = F.avg_pool2d(x, 3, 2, 1).numpy().copy()
        pool.set_num_threads(2)
        assert (F.avg_pool2d(x, 3, 2, 1).numpy() == one).all()
    finally:
        pool.set_num_threads(count)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.int32, torch.uint8], ids=str)
@pytest.mark.parametrize("args", [(3, 2, 1), (2, 2, 0), (3, 1, 1, 2), ((2, 5), (1, 3), 0)], ids=str)
def test_rows_of_many_places(args, dtype):
    """Many windows of a row at a time: ties, what is not a number, and gradients, on one thread and two."""
    torch.manual_seed(1)
    x = torch.randint(0, 9, (2, 3, 67, 75)).to(dtype)  # equal numbers in most windows
    floats = dtype.is_floating_point
    if floats:
        x[0, 1, 5:9, 20:30] = float("nan")
        x[1, 2, :8] = float("-inf")
    count, bits = pool.get_num_threads(), set()
    a = x.clone().requires_grad_(floats)
    want, where = torch.nn.functional.max_pool2d(a, *args, return_indices=True)
    g = torch.randn(want.shape).to(dtype)
    try:
        for threads in (1, 2):
            pool.set_num_threads(threads)
            b = ours(x).requires_grad_(floats)
            got, at = F.max_pool2d(b, *args, return_indices=True)
            torch.testing.assert_close(theirs(got), want.detach().double(), equal_nan=True)
            assert (theirs(at).long() == where).all()
            if floats:
                got.backward(ours(g))
                bits.add(b.grad.to(mezzo.float64).numpy().tobytes())
    finally:
        pool.set_num_threads(count)
    if floats:
        want.backward(g)
        assert len(bits) == 1
        tolerance = 8 * torch.finfo(dtype).eps
        torch.testing.assert_close(
            theirs(b.grad), a.grad.double(), rtol=tolerance, atol=64 * tolerance
        )
