"""Launches of the search in sorted lines (kernels/cpu/search.py), for records of the host family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mezzo import dtypes
from mezzo.core.layout import Layout
from mezzo.kernels.cpu import entry, search

SERIAL = 4096  # values below which the pool is not worth waking
CHUNK = 4096  # values of a unit


def search_launch(edges: Layout, values: Layout, right, dtype=None) -> Callable | None:
    """launch(outs, args) for dense operands of one dtype; None leaves the work to NumPy."""
    kinds = edges.dtype is values.dtype and edges.dtype.category in (dtypes.INTEGER, dtypes.FLOAT)
    if not kinds or not edges.numel or not (edges.is_contiguous and values.is_contiguous):
        return None
    length, lines = edges.shape[-1], edges.numel // edges.shape[-1]
    count = values.numel // lines
    chunk = min(CHUNK, count)
    parts = -(-count // chunk)
    step = length * edges.dtype.itemsize if lines > 1 else 0
    serial = values.numel <= SERIAL
    words = [lines * parts, int(serial), length, search.steps(length), count, chunk, parts, step]
    block = np.array(words, np.int64)
    address = search.address(edges.dtype.ir, bool(right))
    launch = "launch" if serial else "launch_unlocked"

    def run(outs, args) -> None:
        getattr(entry, launch)(address, block.ctypes.data, outs[0].ptr, args[0].ptr, args[1].ptr)

    return run
