"""Scans of many lines at once, side by side and one behind another: against sums in order, and lines alone."""

from __future__ import annotations

import lowered
import numpy as np
import pytest
import torch

import mezzo
from mezzo.ops.scan import scan_log_sum, scan_recurrence, scan_sum

RNG = np.random.default_rng(8)
SHAPES = [(16, 16), (16, 67), (33, 130), (70, 64), (2, 37, 35), (40, 1100), (3, 16, 31)]
DTYPES = ["float32", "float64", "bfloat16", "float16", "uint8", "int16", "int64", "bool"]


def numbers(shape, dtype: str) -> mezzo.Tensor:
    """Numbers of every sign, small enough for any dtype."""
    x = RNG.standard_normal(shape) * 3
    x = np.abs(x) if dtype == "uint8" else x
    return mezzo.tensor(x.astype("float32")).to(getattr(mezzo, dtype))


def exact(x: mezzo.Tensor) -> np.ndarray:
    """The same numbers, in which sums of floats are exact enough and those of integers exact."""
    return x.to(mezzo.float64 if x.dtype.is_floating_point else mezzo.int64).numpy()


def reversed_sum(x: np.ndarray, axis: int) -> np.ndarray:
    """The sum of all from each element to the last."""
    return np.flip(np.flip(x, axis).cumsum(axis), axis)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_from_either_end(shape, dtype):
    x = numbers(shape, dtype)
    near = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 1e-6}.get(dtype, 1e-12)
    for y in (x, x.transpose(-1, -2), x[..., 1:], x.transpose(-1, -2)[1:]):
        for axis in range(y.ndim):
            found, expected = y.cumsum(axis), exact(y).cumsum(axis)
            np.testing.assert_allclose(exact(found), expected, near, near)
            found = scan_sum(y, axis, None, True)
            np.testing.assert_allclose(exact(found), reversed_sum(exact(y), axis), near, 8 * near)


@pytest.mark.parametrize("shape", [(33, 67), (70, 130)], ids=["33-67", "70-130"])
def test_other_folds(shape):
    x, b = numbers(shape, "float32"), numbers(shape, "float32")
    theirs = torch.from_numpy(x.numpy())
    for axis in (0, 1):
        wide = theirs.double()
        np.testing.assert_allclose(
            x.logcumsumexp(axis).numpy(), wide.logcumsumexp(axis).numpy(), 1e-5, 1e-6
        )
        back = wide.flip(axis).logcumsumexp(axis).flip(axis)
        np.testing.assert_allclose(scan_log_sum(x, axis, True).numpy(), back.numpy(), 1e-5, 1e-6)
        small = x * 0.3
        np.testing.assert_allclose(
            small.cumprod(axis).numpy(), torch.from_numpy(small.numpy()).double().cumprod(axis).numpy(), 1e-5, 1e-37
        )  # fmt: skip
        for ours, expected in (
            (x.cummax(axis), theirs.cummax(axis)),
            (x.cummin(axis), theirs.cummin(axis)),
        ):
            np.testing.assert_array_equal(ours.values.numpy(), expected.values.numpy())
            np.testing.assert_array_equal(ours.indices.numpy(), expected.indices.numpy())
        found, a = scan_recurrence(small, b, axis, False).numpy(), small.numpy().astype("float64")
        y = np.zeros_like(a.take(0, axis))
        for i in range(shape[axis]):
            y = a.take(i, axis) * y + b.numpy().take(i, axis)
            np.testing.assert_allclose(found.take(i, axis), y, 2e-5, 2e-5)


def test_a_line_has_the_same_bits_alone():
    x = numbers((70, 67), "float32")
    for axis in (0, 1):
        for name in ("cumsum", "cumprod", "logcumsumexp"):
            among = getattr(x, name)(axis).numpy()
            for i in (0, 15, 16, 63, 64, 66):
                line = x[:, i] if axis == 0 else x[i]
                alone = getattr(line.contiguous(), name)(0).numpy()
                np.testing.assert_array_equal(among[:, i] if axis == 0 else among[i], alone)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_what_no_cache_holds(dtype):
    """Results of 16 MiB go past the caches."""
    rows = {"float32": 1025, "float64": 513, "bfloat16": 2050}[dtype]
    x = mezzo.tensor(RNG.integers(-3, 4, (rows, 4096)).astype("float32")).to(getattr(mezzo, dtype))
    if dtype == "bfloat16":
        x = x.clamp(0, 0)  # sums would not be exact; what is stored where shows in a few elements
        x[::700, ::300] = 1
    for axis in (0, 1):
        np.testing.assert_array_equal(exact(x.cumsum(axis)), exact(x).cumsum(axis))
        found = scan_sum(x, axis, None, True)
        np.testing.assert_array_equal(exact(found), reversed_sum(exact(x), axis))


@pytest.mark.parametrize("target", ["avx512", "avx2", "plain"])
def test_lowered_target(target):
    """This file, once, on fewer instructions and with pages that fault behind every block."""
    chosen = "folds and 33-67 or alone or either_end and shape2 and (float32 or float16 or uint8)"
    lowered.run_again(__file__, target, chosen=chosen)
