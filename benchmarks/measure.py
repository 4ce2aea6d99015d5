"""Measuring two libraries in one run: calls alternate, medians are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def once(function: Callable, repeat: int) -> float:
    """Seconds for one call, as the mean over `repeat` calls."""
    start = time.perf_counter()
    for _ in range(repeat):
        function()
    return (time.perf_counter() - start) / repeat


def rested(function: Callable, repeat: int) -> float:
    """As once, after the other library's worker threads have gone to sleep (they spin for a while)."""
    time.sleep(0.02)
    function()
    return once(function, repeat)


def repeats(function: Callable, at_least: float = 0.02) -> int:
    """How many calls make a sample long enough to time."""
    seconds = once(function, 1)
    return max(1, min(100_000, int(at_least / max(seconds, 1e-7))))


def alternate(ours: Callable, theirs: Callable, samples: int = 9) -> tuple[float, float, float]:
    """Median seconds of each, and the median over pairs of theirs / ours."""
    for function in (ours, theirs, ours, theirs):
        function()
    n, m = repeats(ours), repeats(theirs)
    pairs = [(rested(ours, n), rested(theirs, m)) for _ in range(samples)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(b / a for a, b in pairs),
    )


def text(seconds: float) -> str:
    """Seconds in a readable unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
