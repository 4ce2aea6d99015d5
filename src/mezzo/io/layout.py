"""Which bytes of memory are written for a set of arrays: each byte once, views stay views.

Arrays whose memory overlaps share a segment, so tied and sliced tensors are tied and sliced when
loaded. An array alone in its segment is written dense, in its own order of axes if that is dense.
"""

from __future__ import annotations

import ctypes
import dataclasses

import numpy as np


@dataclasses.dataclass
class Place:
    """Where an array lies in a segment: byte offset and byte strides."""

    segment: int
    offset: int
    strides: tuple[int, ...]


@dataclasses.dataclass
class _Extent:
    """The bytes from `low` to `high` (outside) that an array touches."""

    index: int
    array: np.ndarray
    low: int
    high: int


def _extent(index: int, array: np.ndarray) -> _Extent:
    start = array.__array_interface__["data"][0]
    reach = [(n - 1) * step for n, step in zip(array.shape, array.strides)]
    low = start + sum(r for r in reach if r < 0)
    high = start + sum(r for r in reach if r > 0) + array.itemsize
    return _Extent(index, array, low, high)


def plan(arrays: list[np.ndarray]) -> tuple[list, list[Place]]:
    """The segments (buffers to write) and the place of each array in them."""
    segments: list = []
    places: list = [None] * len(arrays)
    extents = [_extent(i, a) for i, a in enumerate(arrays) if a.size]
    for group in _overlapping(sorted(extents, key=lambda e: (e.low, e.high))):
        low, high = group[0].low, max(e.high for e in group)
        number = len(segments)
        if len(group) == 1 and high - low > group[0].array.nbytes:  # it has gaps
            dense = np.ascontiguousarray(group[0].array)
            segments.append(dense.reshape(-1).view(np.uint8).data)
            places[group[0].index] = Place(number, 0, dense.strides)
            continue
        # The extents overlap one another, so every byte between belongs to their memory.
        segments.append(memoryview((ctypes.c_char * (high - low)).from_address(low)).cast("B"))
        for e in group:
            offset = e.array.__array_interface__["data"][0] - low
            places[e.index] = Place(number, offset, e.array.strides)
    for index, array in enumerate(arrays):
        if not array.size:
            places[index] = Place(-1, 0, (0,) * array.ndim)
    return segments, places


def _overlapping(extents: list[_Extent]):
    """Groups of extents that overlap, directly or through others; sorted input."""
    group: list[_Extent] = []
    high = 0
    for extent in extents:
        if group and extent.low >= high:
            yield group
            group = []
        high = max(high, extent.high) if group else extent.high
        group.append(extent)
    if group:
        yield group
