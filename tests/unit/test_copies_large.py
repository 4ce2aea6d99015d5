"""Copies of 16 MiB and more, which go past the caches where lines begin where they should, against NumPy."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import mezzo

RNG = np.random.default_rng(9)


def numbers(*shape: int, dtype: str = "float32") -> np.ndarray:
    """Reproducible numbers."""
    return RNG.integers(-100, 100, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "int16", "float64", "uint8"])
@pytest.mark.parametrize("widths", [(256, 128), (64, 5), (3, 448)])
def test_joins_along_rows(widths, dtype):
    rows = 4 * (1 << 20) // sum(widths) + 3
    parts = [numbers(rows, n, dtype=dtype) for n in widths]
    found = mezzo.cat([mezzo.from_numpy(p) for p in parts], 1)
    np.testing.assert_array_equal(found.numpy(), np.concatenate(parts, 1))


@pytest.mark.parametrize("first", [1000, 1001])
def test_joins_one_behind_another(first):
    parts = [numbers(first, 1024), numbers(1, 1024), numbers(3200, 1024)]
    parts[1] = parts[1][:, :1000] if first == 1001 else parts[1]
    flat = [mezzo.from_numpy(p).reshape(-1) for p in parts]
    expected = np.concatenate([p.reshape(-1) for p in parts])
    np.testing.assert_array_equal(mezzo.cat(flat, 0).numpy(), expected)


@pytest.mark.parametrize("offset", [0, 1, 16])
def test_writing_over_what_is_there(offset):
    """The first element may lie anywhere in a line; what lies around stays."""
    source = numbers(4100, 1024)
    for shape, part in (((4100, 1024), (4100, 1024)), ((4100, 1088), (4100, 1024))):
        room = np.full(shape[0] * shape[1] + 32, 7, "float32")
        expected = room.copy()
        ours = mezzo.from_numpy(room)
        whole = ours[offset : offset + shape[0] * shape[1]].reshape(shape)
        whole[:, : part[1]].copy_(mezzo.from_numpy(source))
        view = expected[offset : offset + shape[0] * shape[1]].reshape(shape)
        view[:, : part[1]] = source
        np.testing.assert_array_equal(ours.numpy(), expected)
        whole[:, : part[1]].copy_(mezzo.from_numpy(np.ascontiguousarray(source.T)).t() + 1)
        view[:, : part[1]] = source + 1
        np.testing.assert_array_equal(ours.numpy(), expected)
        whole[:, : part[1]].fill_(whole[3, 5])
        view[:, : part[1]] = view[3, 5]
        np.testing.assert_array_equal(ours.numpy(), expected)


@pytest.mark.parametrize("dtype", ["float32", "int16", "float64", "uint8"])
@pytest.mark.parametrize("shape", [(2048, 2064), (2049, 2050), (4, 1000, 1056)])
def test_turned_copies(shape, dtype):
    shape = (shape[0] * 4, *shape[1:]) if dtype == "uint8" else shape
    x = numbers(*shape, dtype=dtype)
    turned = mezzo.from_numpy(x).transpose(-1, -2)
    np.testing.assert_array_equal(turned.contiguous().numpy(), np.swapaxes(x, -1, -2))
    room = mezzo.zeros(*turned.shape, dtype=turned.dtype)
    room.copy_(turned)
    np.testing.assert_array_equal(room.numpy(), np.swapaxes(x, -1, -2))


def test_parts_of_rows_and_rows_backwards():
    x = numbers(5000, 2048)
    ours = mezzo.from_numpy(x)
    np.testing.assert_array_equal(ours[:, :1024].contiguous().numpy(), x[:, :1024])
    np.testing.assert_array_equal(ours[:, 5:1029].clone().numpy(), x[:, 5:1029])
    np.testing.assert_array_equal(ours.flip(0).numpy(), x[::-1])


@pytest.mark.parametrize("label", ["native", "avx2", "plain"])
def test_lower_targets(label):
    """Some of it on what lesser processors run, in memory that ends at pages which fault on access."""
    if os.environ.get("MEZZO_GUARD"):
        pytest.skip("already lowered")
    chosen = "(rows and float32) or offset or over or (turned and float64)"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", __file__, "-k", chosen],
        env={**os.environ, "MEZZO_CPU_TARGET": label, "MEZZO_GUARD": "1"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:]
