"""Axes as tables: where each index lies in memory, and at which place of the image.

An axis of length cycles * len(offsets) repeats its table every len(offsets) entries, `big` bytes further:
pixels of one image and a step between images. The native side reads a block of WORDS i64.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

WORDS = (
    "period",
    "big",
    "offsets",
    "runs",
    "place0",
    "place1",
    "place2",
    "size0",
    "size1",
    "size2",
)
AT = {name: 8 * i for i, name in enumerate(WORDS)}


class Axis:
    """Byte offsets and image coordinates (one array per dimension) of the indices of an axis."""

    def __init__(
        self, offsets: np.ndarray, places: Sequence[np.ndarray] = (), cycles: int = 1, big: int = 0
    ):
        self.offsets = np.ascontiguousarray(offsets, np.int64).reshape(-1)
        self.places = [np.ascontiguousarray(p, np.int32).reshape(-1) for p in places]
        self.cycles, self.big = cycles, big

    @property
    def length(self) -> int:
        """How many indices there are."""
        return self.cycles * len(self.offsets)

    def runs(self, size: int) -> np.ndarray:
        """For every entry how many entries from it on lie side by side (elements of `size` bytes)."""
        count = len(self.offsets)
        breaks = np.flatnonzero(np.diff(self.offsets) != size) + 1
        ends = np.concatenate([breaks, [count]])
        return ends[np.searchsorted(ends, np.arange(count), side="right")] - np.arange(count)

    def step(self) -> int | None:
        """Bytes between neighbours if they are the same all along the table, else None."""
        steps = np.diff(self.offsets)
        if not len(steps):
            return self.big if self.cycles > 1 else 0
        return int(steps[0]) if (steps == steps[0]).all() and self.offsets[0] == 0 else None

    def whole(self) -> Axis:
        """The axis with its cycles merged into one table's step, where they go on without a break."""
        step = self.step()
        if step is None or self.cycles == 1 or self.big != step * len(self.offsets):
            return self
        return Axis(np.arange(self.length, dtype=np.int64) * step)

    def smoothness(self, size: int) -> float:
        """The mean length of runs."""
        count = len(self.offsets)
        return count / (1 + int(np.count_nonzero(np.diff(self.offsets) != size))) if count else 1.0

    def table(
        self, size: int, dims: Sequence[int], limits: Sequence[int]
    ) -> tuple[np.ndarray, list]:
        """The native block and the arrays it points to; dims: the coordinates that are checked."""
        if not len(self.offsets):  # never read; one entry keeps every pointer valid
            return Axis(np.zeros(1), [np.zeros(1)] * len(self.places)).table(size, dims, limits)
        runs = self.runs(size).astype(np.int64)
        arrays = [self.offsets, runs, *[self.places[d] for d in dims]]
        words = [len(self.offsets), self.big, *[a.ctypes.data for a in arrays]]
        words += [0] * (5 - len(arrays)) + [limits[d] for d in dims] + [0] * (3 - len(dims))
        block = np.array(words, np.int64)
        return block, [block, *arrays]


def grid(
    strides: Sequence[int], coordinates: Sequence[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Offsets and places of the product of one coordinate array per dimension, row-major."""
    if not coordinates:
        return np.zeros(1, np.int64), []
    mesh = np.meshgrid(*[np.asarray(c, np.int64) for c in coordinates], indexing="ij")
    offsets = sum(m * s for m, s in zip(mesh, strides))
    return offsets.reshape(-1), [m.reshape(-1) for m in mesh]


def beside(outer: Axis, inner: Axis) -> Axis:
    """The axis of pairs, the inner index running fastest; neither repeats."""
    offsets = (outer.offsets[:, None] + inner.offsets[None, :]).reshape(-1)
    count = max(len(outer.places), len(inner.places))
    zero = [np.zeros(1, np.int32)] * count
    places = [
        (
            np.broadcast_to(a, len(outer.offsets))[:, None]
            + np.broadcast_to(b, len(inner.offsets))[None, :]
        ).reshape(-1)
        for a, b in itertools.zip_longest(outer.places or zero, inner.places or zero)
    ]
    return Axis(offsets, places)


class Operand:
    """A matrix read through a row axis and a k axis. limits: the sizes of the image."""

    def __init__(self, storage: str, size: int, rows: Axis, k: Axis, limits: Sequence[int] = ()):
        self.storage, self.size, self.rows, self.k, self.limits = (
            storage,
            size,
            rows,
            k,
            tuple(limits),
        )
        self.dims = tuple(d for d, limit in enumerate(self.limits) if self._leaves(d, limit))

    def _leaves(self, dim: int, limit: int) -> bool:
        """True if some sum of coordinates lies outside 0 .. limit - 1."""
        if not self.rows.places or not self.k.places:
            return False
        a, b = self.rows.places[dim], self.k.places[dim]
        if not len(a) or not len(b):
            return False
        return int(a.min()) + int(b.min()) < 0 or int(a.max()) + int(b.max()) >= limit

    def vector(self, prefer: str) -> str:
        """The axis along which vectors are loaded: the one with the longer runs."""
        rows, k = self.rows.smoothness(self.size), self.k.smoothness(self.size)
        return prefer if rows == k else "rows" if rows > k else "k"

    def tables(self) -> tuple[int, int, list]:
        """Addresses of the blocks of rows and k, and what must stay alive."""
        a, alive_a = self.rows.table(self.size, self.dims, self.limits)
        b, alive_b = self.k.table(self.size, self.dims, self.limits)
        return a.ctypes.data, b.ctypes.data, alive_a + alive_b
