"""Memory planning: a place in one arena for each block of a recording.

Blocks whose lives do not meet may share bytes. Places are given in the order of allocation, each in the
smallest gap that is free for the block's whole life; PyTorch's and our allocator's rounding do not arise.
"""

from __future__ import annotations

from mezzo.kernels.cpu.capture import Recording

ALIGNMENT = 64


class Arena:
    """offsets: {block: bytes from the start}; nbytes: the size of the arena."""

    def __init__(self, recording: Recording, skip: frozenset[int]):
        self.offsets: dict[int, int] = {}
        self.nbytes = 0
        free: list[list[int]] = []  # [start, end) gaps below the top, in order
        top = 0
        sizes = recording.sizes
        for event in recording.events:
            kind, block = event[0], event[1]
            if kind not in ("new", "free") or block in skip:
                continue
            size = max(-(-sizes[block] // ALIGNMENT) * ALIGNMENT, ALIGNMENT)
            if kind == "new":
                start = _take(free, size)
                if start is None:
                    if free and free[-1][1] == top:  # grow the last gap
                        start = free.pop()[0]
                    else:
                        start = top
                    top = start + size
                self.offsets[block] = start
                self.nbytes = max(self.nbytes, top)
            elif block in self.offsets:
                _give(free, self.offsets[block], size)


def _take(free: list[list[int]], size: int) -> int | None:
    best = None
    for gap in free:
        room = gap[1] - gap[0]
        if room >= size and (best is None or room < best[1] - best[0]):
            best = gap
    if best is None:
        return None
    start = best[0]
    best[0] += size
    if best[0] == best[1]:
        free.remove(best)
    return start


def _give(free: list[list[int]], start: int, size: int) -> None:
    free.append([start, start + size])
    free.sort()
    merged: list[list[int]] = []
    for gap in free:
        if merged and merged[-1][1] == gap[0]:
            merged[-1][1] = gap[1]
        else:
            merged.append(gap)
    free[:] = merged
