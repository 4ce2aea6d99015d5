"""Connected parts of masks, by runs of pixels."""

from __future__ import annotations

import numpy as np


def _runs(mask: np.ndarray):
    """(row, first, end) of every run of true pixels, in reading order."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded, axis=1)
    rows, first = np.nonzero(change == 1)
    return rows, first, np.nonzero(change == -1)[1]


def _touching(rows, first, end, height: int):
    """Pairs of runs of neighbouring rows that touch, at corners too."""
    start = np.searchsorted(rows, np.arange(height + 1))
    base = start[np.minimum(rows + 1, height)]
    limit = start[np.minimum(rows + 2, height)]
    # Within a row runs are ordered, so (row, column) as one number finds them by bisection.
    stride = int(end.max(initial=0)) + 3
    below = rows + 1
    low = np.searchsorted(rows * stride + end, below * stride + first, "left")
    high = np.searchsorted(rows * stride + first, below * stride + end, "right")
    low, high = np.clip(low, base, limit), np.clip(high, base, limit)
    counts = np.maximum(high - low, 0)
    upper = np.repeat(np.arange(rows.size), counts)
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return upper, np.repeat(low, counts) + offset


def label(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels (h, w) int32 of the 8-connected parts of a mask (h, w), 0 outside; and each part's area.

    areas[i] is the number of pixels with label i + 1. Parts are numbered in reading order.
    """
    mask = np.asarray(mask, bool)
    rows, first, end = _runs(mask)
    upper, lower = _touching(rows, first, end, mask.shape[0])
    root = np.arange(rows.size)
    while True:  # every run takes the smallest root of its neighbours; roots follow their roots
        least = np.minimum(root[upper], root[lower])
        new = root.copy()
        np.minimum.at(new, root[upper], least)
        np.minimum.at(new, root[lower], least)
        new = new[new]
        while not np.array_equal(new, new[new]):
            new = new[new]
        new = new[root]
        if np.array_equal(new, root):
            break
        root = new
    _, number = np.unique(root, return_inverse=True)
    areas = np.bincount(number, weights=end - first).astype(np.int64)
    labels = np.zeros(mask.size + 1, np.int32)
    at = rows * mask.shape[1]
    np.add.at(labels, at + first, number + 1)
    np.subtract.at(labels, at + end, number + 1)
    return np.cumsum(labels[:-1], dtype=np.int32).reshape(mask.shape), areas


def small_parts(mask: np.ndarray, largest: float) -> np.ndarray:
    """The pixels of those parts of a mask (h, w) that have at most `largest` pixels."""
    labels, areas = label(mask)
    return np.concatenate(([False], areas <= largest))[labels]
