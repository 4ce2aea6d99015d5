"""Launches of the search in sorted lines and of counting in bins (kernels/cpu/search.py, histogram.py), for records of the host family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mezzo import dtypes
from mezzo.core.layout import Layout
from mezzo.core.storage import Storage
from mezzo.kernels.cpu import entry, histogram, search
from mezzo.kernels.cpu.memory import allocate

SERIAL = 4096  # values below which the pool is not worth waking
CHUNK = 4096  # values of a unit
PARTS = 32  # at most, of elements counted in bins; each has counts of its own
PART = 1 << 15  # elements of one, at least, and at least as many as there are bins


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


def histogram_launch(x: Layout, edges: Layout, bins: int) -> Callable | None:
    """launch(outs, args) for dense elements; None leaves the work to NumPy."""
    if not x.is_contiguous or not edges.is_contiguous:
        return None
    least = max(PART, bins)
    parts = max(1, min(PARTS, x.numel // least))
    chunk = -(-x.numel // parts)
    words = [parts, int(parts == 1), x.numel, chunk, bins]
    block, room = np.array(words, np.int64), 8 * parts * (bins + 1)
    address = histogram.address(x.dtype.ir)
    launch = "launch" if parts == 1 else "launch_unlocked"

    def run(outs, args) -> None:
        counts = allocate(room, Storage)
        getattr(entry, launch)(address, block.ctypes.data, outs[0].ptr, counts.ptr, args[0].ptr, args[1].ptr)  # fmt: skip

    return run
