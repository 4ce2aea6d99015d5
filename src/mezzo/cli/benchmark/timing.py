"""Measuring libraries in one run: calls alternate, medians are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

Call = Callable[[], object]


def once(call: Call, repeat: int) -> float:
    """Seconds for one call, as the mean over `repeat` calls."""
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def rested(call: Call, repeat: int) -> float:
    """As once, after the other library's worker threads have gone to sleep (they spin for a while)."""
    time.sleep(0.02)
    call()
    return once(call, repeat)


def repeats(call: Call, at_least: float) -> int:
    """How many calls make a sample long enough to time."""
    seconds = once(call, 1)
    if seconds < 1e-3:  # a single short call is mostly noise
        seconds = once(call, 20)
    return max(1, min(100_000, int(at_least / max(seconds, 1e-7))))


def alternate(calls: list[Call], samples: int = 9, at_least: float = 0.02):
    """(median seconds of each, median over samples of each one's time over the first one's)."""
    for call in calls * 3:  # the second call of a kind is learned, the third goes the short way
        call()
    counts = [repeats(call, at_least) for call in calls]
    taken = [[rested(c, n) for c, n in zip(calls, counts)] for _ in range(samples)]
    seconds = [statistics.median(line[i] for line in taken) for i in range(len(calls))]
    ratios = [statistics.median(line[i] / line[0] for line in taken) for i in range(len(calls))]
    return seconds, ratios


def text(seconds: float) -> str:
    """Seconds in a readable unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
