"""Reductions, scans and transposed copies at the edges of their kernels: odd lengths, masks, parts, strides."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import mezzo

RNG = np.random.default_rng(3)
LENGTHS = (1, 2, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 130)


def pair(array):
    """The same values for both libraries."""
    return mezzo.tensor(array), torch.tensor(array)


@pytest.mark.parametrize("rows", LENGTHS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_every_length_along_and_across(rows, dtype):
    for columns in (1, 5, 16, 63, 67, 129):
        x = (RNG.standard_normal((rows, columns)) * 9).astype(dtype)
        for array in (x, np.ascontiguousarray(x.T).T, np.repeat(x, 2, 1)[:, ::2]):
            ours, theirs = mezzo.from_numpy(array), torch.from_numpy(array)
            for dim in (0, 1):
                for name in ("sum", "amax", "argmin", "any"):
                    found, expected = getattr(ours, name)(dim), getattr(theirs, name)(dim)
                    np.testing.assert_allclose(
                        found.numpy(),
                        expected.numpy(),
                        1e-5,
                        1e-4,
                        err_msg=f"{name} {x.shape} {dim}",
                    )


@pytest.mark.parametrize(
    "shape", [(1000003,), (1009, 1013), (299993, 10), (3, 5, 99991), (17, 65537), (200001, 3)]
)
def test_long_reductions_in_uneven_parts(shape):
    x = RNG.standard_normal(shape).astype("float32")
    ours, theirs = pair(x)
    dims = [None, *range(len(shape))]
    for name, dim in itertools.product(("sum", "var", "amax", "argmax", "argmin", "any"), dims):
        args = () if dim is None else (dim,)
        found, expected = getattr(ours, name)(*args), getattr(theirs.double(), name)(*args)
        np.testing.assert_allclose(
            found.numpy(),
            expected.numpy(),
            2e-5,
            2e-2 if name == "sum" else 1e-6,
            err_msg=f"{name} {dim}",
        )
    assert ours.t().argmax().item() == theirs.t().argmax().item() if len(shape) == 2 else True


@pytest.mark.parametrize("shape", [(3, 67, 41, 23), (9, 130, 29, 5)])
def test_channels_of_images_in_uneven_parts(shape):
    x = RNG.standard_normal(shape).astype("float32")
    for order in (mezzo.contiguous_format, mezzo.channels_last):
        ours = mezzo.tensor(x).to(memory_format=order)
        for dims in ((0, 2, 3), (0, 2), (2, 3), (3,)):
            np.testing.assert_allclose(
                ours.sum(dims).numpy(), x.astype("float64").sum(dims), 1e-5, 1e-4
            )
            np.testing.assert_allclose(
                ours.var(dims).numpy(), x.astype("float64").var(dims, ddof=1), 1e-5
            )


def test_results_do_not_depend_on_threads():
    x = mezzo.tensor(RNG.standard_normal((301, 4099)).astype("float32"))
    before, found = mezzo.get_num_threads(), []
    try:
        for threads in (1, 2):
            mezzo.set_num_threads(threads)
            found.append([x.sum().item(), x.var(0).numpy(), x.sum(1).numpy(), x.cumsum(1).numpy()])
    finally:
        mezzo.set_num_threads(before)
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)


def test_the_first_nan_is_the_extreme():
    x = np.array([[1.0, np.nan, 3.0, np.nan], [5.0, 5.0, 2.0, 1.0]], "float32")
    ours, theirs = pair(x)
    for name in ("max", "min"):
        found, expected = getattr(ours, name)(1), getattr(theirs, name)(1)
        np.testing.assert_array_equal(found.values.numpy(), expected.values.numpy())
        np.testing.assert_array_equal(found.indices.numpy(), expected.indices.numpy())


def test_variance_keeps_its_digits_far_from_zero():
    x = (RNG.standard_normal(100_000) + 1e4).astype("float32")
    exact = x.astype("float64").var(ddof=1)
    assert abs(mezzo.tensor(x).var().item() / exact - 1) < 1e-4


def test_sums_in_half_precision_are_exact_to_one_rounding():
    x = mezzo.ones(1 << 16, dtype=mezzo.float16) * 0.5
    assert x.sum().item() == 32768.0
    assert mezzo.ones(300, 1 << 10, dtype=mezzo.bfloat16).mean(0).sum().item() == 1024.0


@pytest.mark.parametrize("length", LENGTHS)
def test_scans_of_every_length(length):
    for shape, dim in (((length,), 0), ((length, 20), 0), ((3, length), 1), ((2, length, 17), 1)):
        x = RNG.standard_normal(shape).astype("float32")
        ours, theirs = pair(x)
        for name in ("cumsum", "cumprod", "logcumsumexp"):
            found, expected = getattr(ours, name)(dim), getattr(theirs.double(), name)(dim)
            np.testing.assert_allclose(
                found.numpy(), expected.numpy(), 1e-5, 1e-5, err_msg=f"{name} {shape}"
            )
        found, expected = ours.cummax(dim), theirs.cummax(dim)
        np.testing.assert_array_equal(found.indices.numpy(), expected.indices.numpy())


def test_running_products_have_exact_gradients_at_zero():
    x = np.array([2.0, 0.0, 3.0, 0.0, 5.0], "float64")
    ours, theirs = mezzo.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    for function in (lambda t: t.cumprod(0).sum(), lambda t: t[:3].prod(), lambda t: t.prod()):
        (found,) = mezzo.autograd.grad(function(ours), ours)
        (expected,) = torch.autograd.grad(function(theirs), theirs)
        np.testing.assert_allclose(found.numpy(), expected.numpy())


@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32, np.int64, np.complex128])
@pytest.mark.parametrize(
    "shape", [(5, 7), (16, 16), (17, 33), (64, 100), (3, 20, 40), (2, 5, 40, 17), (100, 3)]
)
def test_transposed_copies(shape, dtype):
    x = (RNG.standard_normal(shape) * 50).astype(dtype)
    for order in itertools.permutations(range(len(shape))):
        expected = x.transpose(order)
        turned = mezzo.tensor(x).permute(*order)
        np.testing.assert_array_equal(turned.contiguous().numpy(), expected)
        frame = mezzo.zeros(*(n + 2 for n in expected.shape), dtype=turned.dtype)
        inside = tuple(slice(1, n + 1) for n in expected.shape)
        frame[inside] = turned
        np.testing.assert_array_equal(frame.numpy(), np.pad(expected, 1))
