"""CRC-32 of the kernel against zlib's."""

from __future__ import annotations

import subprocess
import sys
import zlib

import numpy as np
import pytest

from mezzo.kernels.cpu import crc


@pytest.mark.parametrize("count", [0, 1, 63, 65535, 65536, 65537, 65599, 65600, 100_003, 1 << 20])
def test_any_length_and_place(count):
    r = np.random.default_rng(count)
    data = r.integers(0, 256, count + 64, dtype=np.uint8)
    for start in (0, 1, 3, 16, 63):
        part = data[start : start + count]
        for before in (0, 1, 0xFFFFFFFF, 0xDEADBEEF):
            assert crc.crc32(part.data, before) == zlib.crc32(part.data, before), (start, before)


def test_pieces_follow_one_another():
    data = np.random.default_rng(0).bytes(500_000)
    found = 0
    for start, end in ((0, 70_000), (70_000, 70_001), (70_001, 400_000), (400_000, 500_000)):
        found = crc.crc32(data[start:end], found)
    assert found == zlib.crc32(data)
    assert crc.crc32(bytes(1 << 17)) == zlib.crc32(bytes(1 << 17))


def test_processors_without_the_multiplication():
    code = """
import os; os.environ["MEZZO_CPU_TARGET"] = "plain"
import zlib
from mezzo.kernels.cpu import crc
data = bytes(range(256)) * 1000
assert not crc.is_fast() and crc.crc32(data, 5) == zlib.crc32(data, 5)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
