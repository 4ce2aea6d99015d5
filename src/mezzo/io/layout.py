"""Which bytes of memory are written for a set of tensors: each byte once, views stay views.

Tensors of one storage, or whose memory overlaps, share a segment: from the first byte that one of them touches
to the last. So a view of a large tensor brings no more than the part that it spans.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mezzo import devices, dtypes
from mezzo.core.layout import dense
from mezzo.core.tensor import Tensor, array_over

_LARGEST = 16  # bytes of the largest element


@dataclass
class Segment:
    """Memory from address `low` to `high` (outside), and the numbers of the tensors that lie in it."""

    low: int
    high: int
    members: list[int]
    tensors: list[Tensor]

    @property
    def nbytes(self) -> int:
        """Bytes to write."""
        return self.high - self.low

    @property
    def dtype(self) -> dtypes.dtype | None:
        """The dtype of all tensors here, None where they differ."""
        found = {tensor.dtype for tensor in self.tensors}
        return found.pop() if len(found) == 1 else None

    def content(self) -> memoryview:
        """The bytes, without a copy."""
        flat = dense((self.nbytes,), dtypes.uint8, devices.cpu)
        array = array_over(self.tensors[0].storage, self.low, flat)
        return memoryview(np.ascontiguousarray(array))

    def join(self, other: Segment) -> None:
        """Take over another segment's memory and tensors."""
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.members += other.members
        self.tensors += other.tensors


def plan(tensors: list[Tensor]) -> tuple[list[Segment], list[tuple[int, int]]]:
    """The segments to write, in the order of the tensors, and (segment, byte offset) of each tensor."""
    by_storage: dict[int, Segment] = {}
    segments: list[Segment] = []
    for number, tensor in enumerate(tensors):
        low, high = tensor.layout.extent()
        made = Segment(tensor.ptr + low, tensor.ptr + high, [number], [tensor])
        if not tensor.numel() or id(tensor.storage) not in by_storage:
            segments.append(made)
            if tensor.numel():
                by_storage[id(tensor.storage)] = made
        else:
            by_storage[id(tensor.storage)].join(made)
    for segment in by_storage.values():
        if segment.dtype is None:  # every element must lie at a multiple of its size
            start = segment.tensors[0].storage.ptr
            segment.low -= (segment.low - start) % _LARGEST
    segments = _joined(segments)
    places = [(0, 0)] * len(tensors)
    for index, segment in enumerate(segments):
        for number in segment.members:
            places[number] = (index, tensors[number].ptr - segment.low)
    return segments, places


def _joined(segments: list[Segment]) -> list[Segment]:
    """Overlapping segments become one (memory that came from outside has several storages)."""
    full = sorted((s for s in segments if s.nbytes), key=lambda s: (s.low, s.high))
    kept = [segment for segment in segments if not segment.nbytes]
    for segment in full:
        last = kept[-1] if kept and kept[-1].nbytes else None
        if last is not None and segment.low < last.high and _aligned(last, segment):
            last.join(segment)
        else:
            kept.append(segment)
    return sorted(kept, key=lambda s: min(s.members))


def _aligned(first: Segment, second: Segment) -> bool:
    """Whether the elements of both lie at multiples of their sizes in one segment."""
    low = min(first.low, second.low)
    return all((t.ptr - low) % t.itemsize == 0 for t in first.tensors + second.tensors)
