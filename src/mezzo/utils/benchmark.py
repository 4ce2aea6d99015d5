"""Timing small pieces of code: Timer, its measurements, and a table that compares them. Source: torch.utils.benchmark"""

from __future__ import annotations

import math
import timeit as python_timeit
from collections.abc import Callable, Iterable

import numpy as np

from mezzo.kernels.cpu.pool import get_num_threads, set_num_threads

__all__ = ["Compare", "Measurement", "Timer"]

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def _unit(seconds: float) -> tuple[float, str]:
    """The largest unit in which a time is at least one."""
    return next((u for u in _UNITS if seconds >= u[0]), _UNITS[-1])


class Measurement:
    """Times of a statement: raw_times (s, of number_per_run executions each), times (s, of one).

    Source: torch.utils.benchmark.Measurement
    """

    def __init__(self, number_per_run: int, raw_times: list[float], stmt: str, label: str | None,
                 sub_label: str | None, description: str | None, num_threads: int):  # fmt: skip
        self.number_per_run, self.raw_times, self.num_threads = (
            number_per_run,
            raw_times,
            num_threads,
        )
        self.stmt, self.label, self.sub_label = stmt, label, sub_label
        self.description = description

    @property
    def times(self) -> list[float]:
        """Seconds for one execution, of every run."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def median(self) -> float:
        """The median of times."""
        return float(np.median(self.times))

    @property
    def mean(self) -> float:
        """The mean of times."""
        return float(np.mean(self.times))

    @property
    def iqr(self) -> float:
        """The distance between the quartiles of times."""
        low, high = np.quantile(self.times, (0.25, 0.75))
        return float(high - low)

    @property
    def significant_figures(self) -> int:
        """How many digits of the median the spread leaves, at least one: of a normal variable's median."""
        error = self.iqr / 1.349 * math.sqrt(math.pi / 2 / len(self.raw_times))
        if not error or not self.median:
            return 3
        return max(1, min(5, int(math.log10(self.median / error))))

    @property
    def has_warnings(self) -> bool:
        """Whether the runs spread by more than a tenth of their median."""
        return self.iqr > 0.1 * self.median

    @property
    def title(self) -> str:
        """label and sub_label, or the statement."""
        label = self.label or self.stmt
        return f"{label}: {self.sub_label}" if self.sub_label else label

    def __repr__(self) -> str:
        scale, unit = _unit(self.median)
        lines = [f"<mezzo.utils.benchmark.Measurement>\n{self.title}"]
        lines += [self.description] if self.description else []
        threads = f"{self.num_threads} thread{'s' * (self.num_threads > 1)}"
        runs = f"{len(self.raw_times)} measurement{'s' * (len(self.raw_times) > 1)}, {self.number_per_run} runs per"
        if len(self.raw_times) > 1:
            lines.append(f"  Median: {self.median / scale:.2f} {unit}")
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit}")
        else:
            lines.append(f"  {self.median / scale:.2f} {unit}")
        lines.append(f"  {runs} measurement, {threads}")
        lines += [
            "  WARNING: the runs spread by more than 10 %; something else is at work."
        ] * self.has_warnings
        return "\n".join(lines)


class Timer:
    """Times a statement, with a fixed number of worker threads (one, unless told) and after a warm-up.

    Source: torch.utils.benchmark.Timer
    """

    def __init__(self, stmt: str | Callable = "pass", setup: str | Callable = "pass", global_setup: str = "", *,
                 timer: Callable[[], float] = python_timeit.default_timer, globals: dict | None = None,
                 label: str | None = None, sub_label: str | None = None, description: str | None = None,
                 env: str | None = None, num_threads: int = 1, language: str = "python"):  # fmt: skip
        if str(language).lower() not in ("python", "language.python", "py") or global_setup:
            raise NotImplementedError(
                "Timer: language and global_setup are for C++, which mezzo does not compile. Time Python statements."
            )
        if num_threads < 1:
            raise ValueError(f"Timer: num_threads is {num_threads}; it must be at least 1.")
        self._stmt = stmt if isinstance(stmt, str) else getattr(stmt, "__name__", "function")
        self._labels = (label, sub_label, description)
        self._threads = num_threads
        self._timer = python_timeit.Timer(stmt, setup, timer, globals)

    def _run(self, number: int) -> float:
        before = get_num_threads()
        set_num_threads(self._threads)
        try:
            return self._timer.timeit(number)
        finally:
            set_num_threads(before)

    def _measurement(self, number: int, times: list[float]) -> Measurement:
        return Measurement(number, times, self._stmt, *self._labels, self._threads)

    def timeit(self, number: int = 1000000) -> Measurement:
        """One run of `number` executions, after a warm-up of a hundredth of them, at least two."""
        self._run(max(number // 100, 2))
        return self._measurement(number, [self._run(number)])

    def _block(self, min_run_time: float) -> int:
        """How many executions make a run long enough that reading the clock costs under a thousandth."""
        self._run(2)
        overhead = float(np.median([self._empty() for _ in range(5)]))
        number = 1
        while True:
            took = self._run(number)
            if (
                overhead / max(took, 1e-9) <= 1e-4 and took >= min_run_time / 1000
            ) or took > min_run_time:
                return number
            number *= 10

    @staticmethod
    def _empty() -> float:
        begun = python_timeit.default_timer()
        return python_timeit.default_timer() - begun

    def blocked_autorange(
        self, callback: Callable | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Runs of equal length for at least min_run_time seconds.

        callback(number, seconds), if given, is called after every run.
        """
        number, times = self._block(min_run_time), []
        while sum(times) < min_run_time:
            times.append(self._run(number))
            if callback is not None:
                callback(number, times[-1])
        return self._measurement(number, times)

    def adaptive_autorange(self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0,
                           callback: Callable | None = None) -> Measurement:  # fmt: skip
        """Runs until the quartiles lie within threshold of the median, for at most max_run_time seconds."""
        number, times = self._block(0.05), []
        while True:
            begun = sum(times)
            while sum(times) - begun < min_run_time or len(times) < 4:
                times.append(self._run(number))
                if callback is not None:
                    callback(number, times[-1])
            found = self._measurement(number, times)
            if found.iqr <= threshold * found.median or sum(times) >= max_run_time:
                return found


class Compare:
    """Measurements side by side: a table for each label, a row for each sub_label, a column for each description.

    Source: torch.utils.benchmark.Compare
    """

    def __init__(self, results: Iterable[Measurement]):
        self._results = list(results)
        self._trims, self._colors = False, False

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Add measurements."""
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Show no more digits than the spread of the runs leaves."""
        self._trims = True

    def colorize(self, rowwise: bool = False) -> None:
        """Mark the fastest of each row with a star."""
        self._colors = True

    def print(self) -> None:
        """Print the tables."""
        print(str(self))

    def _cell(self, found: list[Measurement], scale: float, best: float) -> str:
        if not found:
            return ""
        median = float(np.median([m.median for m in found]))
        digits = min(m.significant_figures for m in found) if self._trims else 4
        shown = (
            f"{float(f'{median / scale:.{digits}g}'):g}" if self._trims else f"{median / scale:.1f}"
        )
        return shown + " *" * (self._colors and median == best)

    def _table(self, label: str, results: list[Measurement]) -> str:
        columns = list(dict.fromkeys(m.description or "" for m in results))
        rows = list(dict.fromkeys((m.num_threads, m.sub_label or m.stmt) for m in results))
        scale, unit = _unit(min(m.median for m in results))
        lines = [["", *columns]]
        for threads, name in rows:
            mine = [m for m in results if (m.num_threads, m.sub_label or m.stmt) == (threads, name)]
            best = min(m.median for m in mine)
            cells = [
                self._cell([m for m in mine if (m.description or "") == c], scale, best)
                for c in columns
            ]
            lines.append([f"{name} ({threads} thread{'s' * (threads > 1)})", *cells])
        widths = [max(len(line[i]) for line in lines) for i in range(len(columns) + 1)]
        body = [
            "  |  ".join(
                c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths))
            )
            for line in lines
        ]
        title = f"[ {label} ]".center(len(body[0]), "-")
        return "\n".join([title, *body, "", f"Times are in {unit}, medians."])

    def __str__(self) -> str:
        labels = list(dict.fromkeys(m.label or m.stmt for m in self._results))
        tables = [
            self._table(l, [m for m in self._results if (m.label or m.stmt) == l]) for l in labels
        ]
        return "\n\n".join(tables)
