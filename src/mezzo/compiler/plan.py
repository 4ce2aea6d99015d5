"""Memory planning: a place for each block of a recording.

Blocks whose lives do not meet may share bytes of one arena. Places are given in the order of allocation, each in the
smallest gap that is free for the block's whole life; PyTorch's and our allocator's rounding do not arise.

Results that may lie together (the gradients) have a region of their own, those written last at its start: so what is
not written yet is always a front part of the region, and blocks that die before may lie there.
"""

from __future__ import annotations

from collections.abc import Sequence

from mezzo.kernels.cpu.capture import Recording

ALIGNMENT = 64
_NEVER = 1 << 62


class Arena:
    """offsets: {block: bytes from the start}; nbytes: the size of the arena; shared: the region of the results together."""

    def __init__(self, recording: Recording, skip: frozenset[int], together: Sequence[int] = ()):
        self.offsets: dict[int, int] = {}
        self.nbytes = 0
        events = [(at, e[0], e[1]) for at, e in enumerate(recording.events) if e[0] in _LIFE]
        born = {block: at for at, kind, block in events if kind == "new"}
        died = {block: at for at, kind, block in events if kind == "free"}
        sizes = {block: _rounded(recording.sizes[block]) for block in {*born, *together}}
        self.shared = Shared(together, sizes, born)
        gaps = _Gaps()
        for _, kind, block in events:
            if block in skip or block not in born:  # a step that was taken back leaves frees behind
                continue
            size = sizes[block]
            if kind == "new":
                if not self.shared.lend(block, size, died.get(block, _NEVER)):
                    self.offsets[block] = gaps.take(size)
            elif block in self.offsets:
                gaps.give(self.offsets[block], size)
            else:
                self.shared.back(block, size)
        self.nbytes = gaps.top


_LIFE = ("new", "free")


def _rounded(nbytes: int) -> int:
    return max(-(-nbytes // ALIGNMENT) * ALIGNMENT, ALIGNMENT)


class Shared:
    """The region of the results together. offsets: of these, and of what it is lent to; nbytes: its size."""

    def __init__(self, together: Sequence[int], sizes: dict[int, int], born: dict[int, int]):
        self.offsets: dict[int, int] = {}
        self.nbytes = 0
        self._ends: list[tuple[int, int]] = []  # (when the bytes before are written from, bytes)
        for block in sorted(together, key=lambda b: born.get(b, 0), reverse=True):
            self.offsets[block] = self.nbytes
            self.nbytes += sizes[block]
            self._ends.append((born.get(block, 0), self.nbytes))
        self._gaps = _Gaps(self.nbytes)

    def lend(self, block: int, size: int, until: int) -> bool:
        """A place for a block that dies at `until`, where no result is written before; False if there is none."""
        free = max((end for written, end in self._ends if written > until), default=0)
        if size > free:
            return False
        at = self._gaps.take_below(size, free)
        if at is not None:
            self.offsets[block] = at
        return at is not None

    def back(self, block: int, size: int) -> None:
        """A block's place is free again."""
        self._gaps.give(self.offsets[block], size)


class _Gaps:
    """Free ranges [start, end) in order, below a top that grows."""

    def __init__(self, top: int = 0):
        self.top = top
        self._free: list[list[int]] = [[0, top]] if top else []

    def take(self, size: int) -> int:
        """The start of the smallest gap of at least the size, or of new room at the top."""
        start = self.take_below(size, _NEVER)
        if start is None:
            start = self.top
            if self._free and self._free[-1][1] == self.top:  # grow the last gap
                start = self._free.pop()[0]
            self.top = start + size
        return start

    def take_below(self, size: int, limit: int) -> int | None:
        """The start of the smallest gap that has room for the size below a limit, or None."""
        best = None
        for gap in self._free:
            room = min(gap[1], limit) - gap[0]
            if room >= size and (best is None or gap[1] - gap[0] < best[1] - best[0]):
                best = gap
        if best is None:
            return None
        start = best[0]
        best[0] += size
        if best[0] == best[1]:
            self._free.remove(best)
        return start

    def give(self, start: int, size: int) -> None:
        """A range is free again."""
        self._free.append([start, start + size])
        self._free.sort()
        merged: list[list[int]] = []
        for gap in self._free:
            if merged and merged[-1][1] == gap[0]:
                merged[-1][1] = gap[1]
            else:
                merged.append(gap)
        self._free[:] = merged
