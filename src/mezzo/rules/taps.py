"""Tables of taps: which elements of an axis, weighted how, make each element of a new axis.

A table is named by a spec, a tuple that prints as itself, such as ("linear", 4, 8, False, None, "f32"); the
arrays are made from it once. Axis sizes come first in every spec: from, then to.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np


class Table(NamedTuple):
    """Taps by row, as in a compressed sparse matrix of shape (to, from)."""

    size: int
    starts: np.ndarray
    index: np.ndarray
    weight: np.ndarray

    @property
    def rows(self) -> int:
        """The size of the new axis."""
        return len(self.starts) - 1


def _table(size: int, to: int, rows, columns, weights) -> Table:
    """From coordinates in any order; taps of one row that meet are added."""
    rows, columns = np.asarray(rows, np.int64).ravel(), np.asarray(columns, np.int64).ravel()
    weights = np.asarray(weights, np.float64).ravel()
    flat, inverse = np.unique(rows * max(size, 1) + columns, return_inverse=True)
    summed = np.bincount(inverse.ravel(), weights, len(flat)) if len(flat) else np.zeros(0)
    starts = np.searchsorted(flat // max(size, 1), np.arange(to + 1))
    return Table(size, starts.astype(np.int64), flat % max(size, 1), summed)


@functools.lru_cache(maxsize=1024)
def table(spec: tuple) -> Table:
    """The table that a spec names."""
    kind, *rest = spec
    return _KINDS[kind](*rest)


def transposed(spec: tuple) -> tuple:
    """The spec of the adjoint: gradients go back through it."""
    return spec[1] if spec[0] == "transposed" else ("transposed", spec)


def _transposed(spec: tuple) -> Table:
    plain = table(spec)
    rows = np.repeat(np.arange(plain.rows), np.diff(plain.starts))
    return _table(plain.rows, plain.size, plain.index, rows, plain.weight)


def _picked(size: int, index: tuple) -> Table:
    index = np.asarray(index, np.int64)
    there = np.flatnonzero(index >= 0)
    return _table(size, len(index), there, index[there], np.ones(len(there)))


def _windows(size: int, kernel: int, stride: int, padding: int, dilation: int) -> Table:
    """Windows of an axis, kernel positions outermost; what lies in the padding has no tap."""
    count = window_count(size, kernel, stride, padding, dilation)
    at = np.arange(kernel)[:, None] * dilation + np.arange(count)[None, :] * stride - padding
    at = at.ravel()
    return _picked(size, tuple(np.where((at >= 0) & (at < size), at, -1).tolist()))


def window_count(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many windows fit."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


# ---- interpolation. Coordinates are taken in the type PyTorch takes them in, so that floors agree.


def nearest(size: int, to: int, scale: float | None, exact: bool) -> np.ndarray:
    """The index that each new element copies."""
    step = np.float32(1.0 / scale) if scale else np.float32(size) / np.float32(to)
    at = np.arange(to, dtype=np.float32)
    at = (at + np.float32(0.5)) * step if exact else at * step
    return np.minimum(np.floor(at).astype(np.int64), size - 1)


def _coordinates(size: int, to: int, align: bool, scale: float | None, compute: str) -> np.ndarray:
    real = np.float64 if compute == "f64" else np.float32
    at = np.arange(to, dtype=real)
    if align:
        return at * (real(size - 1) / real(to - 1) if to > 1 else real(0))
    step = real(1.0 / scale) if scale else real(size) / real(to)
    return step * (at + real(0.5)) - real(0.5)


def _linear(size: int, to: int, align: bool, scale: float | None, compute: str) -> Table:
    at = np.maximum(_coordinates(size, to, align, scale, compute), 0)
    low = np.minimum(np.floor(at).astype(np.int64), size - 1)
    part = np.clip(at - low.astype(at.dtype), 0, 1).astype(np.float64)
    high = np.minimum(low + 1, size - 1)
    rows = np.arange(to)
    return _table(size, to, [rows, rows], [low, high], [1 - part, part])


def cubic(x, a: float = -0.75):
    """Keys' cubic at distance x (within 2)."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _cubic(size: int, to: int, align: bool, scale: float | None, compute: str) -> Table:
    at = _coordinates(size, to, align, scale, compute)
    low = np.floor(at)
    part = (at - low).astype(np.float64)
    rows, columns, weights = [], [], []
    for step in (-1, 0, 1, 2):
        rows.append(np.arange(to))
        columns.append(np.clip(low.astype(np.int64) + step, 0, size - 1))
        weights.append(cubic(part - step))
    return _table(size, to, rows, columns, weights)


def _area(size: int, to: int) -> Table:
    rows, columns, weights = [], [], []
    for j in range(to):
        first, last = j * size // to, -(-(j + 1) * size // to)
        rows += [j] * (last - first)
        columns += range(first, last)
        weights += [1.0 / (last - first)] * (last - first)
    return _table(size, to, rows, columns, weights)


def _smooth(kind: str, size: int, to: int, align: bool, scale: float | None) -> Table:
    """Interpolation whose filter widens with the step, so that a smaller picture has no aliases."""
    if align:
        step = (size - 1) / (to - 1) if to > 1 else 0.0
    else:
        step = 1.0 / scale if scale else size / to
    half = 1.0 if kind == "linear" else 2.0
    wide = max(step, 1.0)
    rows, columns, weights = [], [], []
    for j in range(to):
        center = step * (j + 0.5)
        first = max(int(center - half * wide + 0.5), 0)
        last = min(int(center + half * wide + 0.5), size)
        x = (np.arange(first, last) - center + 0.5) / wide
        w = np.maximum(1 - np.abs(x), 0) if kind == "linear" else cubic(x, -0.5)
        total = math.fsum(w)
        rows += [j] * (last - first)
        columns += range(first, last)
        weights += (w / total if total else w).tolist()
    return _table(size, to, rows, columns, weights)


_KINDS = {
    "transposed": _transposed,
    "picked": _picked,
    "windows": _windows,
    "linear": _linear,
    "cubic": _cubic,
    "area": _area,
    "smooth": _smooth,
    "nearest": lambda *spec: _picked(spec[0], tuple(nearest(*spec).tolist())),
}
