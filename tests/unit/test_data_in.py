"""Numbers and arrays on their way in and out: what PyTorch makes of them, to the bit."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

import mezzo

NUMBERS = [
    1.5, 3, True, [], [[], []], [1.0, 2.0], [1, 2], [True, False], [1, 2.5], [True, 1.5], [2**60, 1], [1e-45, 1e300],
    [2**24 + 1, 5], [2**53 + 1, 2], [float("nan"), -0.0], [[1, 2], [3, 4.5]], ((1, 2), (3, 4)), [(1, 2), [3, 4]],
    [[[1.5]], [[2.5]]], range(3), [np.int64(3)],
]  # fmt: skip


@pytest.mark.parametrize("dtype", [None, "float32", "float64", "int64", "int32", "bool", "float16"])
@pytest.mark.parametrize("data", NUMBERS, ids=repr)
def test_numbers(data, dtype):
    if dtype == "int32" and data in ([2**60, 1], [2**53 + 1, 2]):
        with pytest.raises(RuntimeError, match="overflow"):
            mezzo.tensor(data, dtype=mezzo.int32)
        return
    if dtype in ("int32", "int64") and data in ([1e-45, 1e300], NUMBERS[14]):
        return  # what is no number or too large has no integer
    made, expected = (
        m.tensor(data, dtype=None if dtype is None else getattr(m, dtype)) for m in (mezzo, torch)
    )
    assert str(made.dtype).split(".")[1] == str(expected.dtype).split(".")[1]
    assert (tuple(made.shape), made.stride()) == (tuple(expected.shape), expected.stride())
    assert made.numpy().tobytes() == expected.numpy().tobytes()


ARRAYS = [
    np.arange(6).reshape(2, 3), np.zeros((5, 3), np.float32)[2:3], np.zeros((3, 5))[:, 2:3], np.zeros((3, 5)).T[2:3],
    np.zeros((0, 5), np.float32)[:, ::2], np.array(3.0), np.arange(8, dtype=np.int16)[2:], np.arange(9)[::3],
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.shape}{a.strides}")
def test_arrays(array):
    for way in ("from_numpy", "tensor", "as_tensor"):
        made, expected = (getattr(m, way)(array) for m in (mezzo, torch))
        if array.size and way != "tensor":
            assert made.stride() == expected.stride()
        if array.size:
            assert (made.data_ptr() == array.ctypes.data) is (way != "tensor")
        back = made.numpy()
        np.testing.assert_array_equal(back, array, strict=True)
        assert way == "tensor" or not array.size or back.strides == expected.numpy().strides


def test_an_array_keeps_its_tensor_alive():
    array = mezzo.arange(1000).numpy()
    gc.collect()
    mezzo.zeros(1000, dtype=mezzo.int64)
    np.testing.assert_array_equal(array, np.arange(1000))
    array[3] = 7
    assert mezzo.from_numpy(array)[3].item() == 7


def test_arrays_in_a_batch():
    loader = mezzo.utils.data.default_collate
    rows = [(np.full((2, 3), i, np.float32)[:, ::2], np.float64(i), i) for i in range(4)]
    made, expected = loader(rows), torch.utils.data.default_collate(rows)
    for got, want in zip(made, expected):
        np.testing.assert_array_equal(got.numpy(), want.numpy(), strict=True)
