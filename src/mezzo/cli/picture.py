"""Loss curves as a PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def smooth(values: list[float], window: int) -> np.ndarray:
    """Running mean over `window` values; the first ones average what there is so far."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def save_curves(path: Path, title: str, curves: dict[str, list[float]], window: int) -> None:
    """Draw one loss curve for each name, raw values faint and the running mean strong.

    Skipped or overflowed steps are NaN or Inf in the curve: they leave a gap and do not spread.
    """
    # Only here: matplotlib takes most of a second to import, and nothing else needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    widths = [4.0, 2.4, 1.2]  # curves that coincide stay visible below each other
    for number, (name, values) in enumerate(curves.items()):
        finite = np.array([v if np.isfinite(v) else np.nan for v in values])
        steps = np.arange(1, len(finite) + 1)
        filled = np.where(np.isnan(finite), np.nanmean(finite), finite)
        color = f"C{number}"
        axes.plot(steps, finite, color=color, alpha=0.15, linewidth=0.8)
        width = widths[number % len(widths)]
        axes.plot(steps, smooth(list(filled), window), color=color, linewidth=width, label=name)
    axes.set(xlabel="step", ylabel="training loss", title=title, yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path)
