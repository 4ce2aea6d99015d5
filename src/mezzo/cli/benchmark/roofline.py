"""The roofline picture: what each row makes of the machine's peaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

COLORS = {"fp32": "C0", "bf16": "C1", "fp16": "C2"}


def save(path: Path, figures: list[dict], limits: dict[str, dict[str, float]]) -> None:
    """Draw GFLOP/s over operations per byte, one panel for each number of threads.

    limits: for each number of threads the peaks of table.limits. Rows that memory bounds, which count
    bytes only, are drawn as one operation for each four bytes.
    """
    # Only here: matplotlib takes most of a second to import.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5 * len(limits), 5.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(limits), squeeze=False)[0]
    for axes, (threads, peak) in zip(panels, limits.items()):
        _roof(axes, peak)
        mine = [f for f in figures if str(f["threads"]) == threads and f.get("nbytes")]
        for kind, color in COLORS.items():
            for library, marker, face in (("mezzo", "o", color), ("torch", "x", color)):
                points = [_point(f, library) for f in mine if f["kind"] == kind]
                points = [p for p in points if p is not None]
                if points:
                    x, y = zip(*points)
                    label = f"{'mezzo' if library == 'mezzo' else 'PyTorch'}, {kind}"
                    axes.scatter(x, y, s=18, marker=marker, c=face, alpha=0.8, label=label)
        axes.set(xscale="log", yscale="log", xlabel="operations per byte moved at least",
                 ylabel="GFLOP/s", title=f"{threads} thread{'s' if threads != '1' else ''}")  # fmt: skip
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=7)
    figure.savefig(path)


def _roof(axes, peak: dict[str, float]) -> None:
    """Memory's slope up to each dtype's flat roof."""
    intensity = np.logspace(-1.5, 4, 200)
    for kind, color in COLORS.items():
        if kind in peak:
            roof = np.minimum(intensity * peak["memory"], peak[kind])
            axes.plot(intensity, roof, color=color, linewidth=1)
            axes.annotate(f"{kind} {peak[kind]:.0f} GFLOP/s", (intensity[-1], peak[kind]),
                          ha="right", va="bottom", fontsize=7, color=color)  # fmt: skip
    axes.annotate(f"copy {peak['memory']:.0f} GB/s", (0.04, 0.05 * peak["memory"]), fontsize=7)


def _point(figure: dict, library: str) -> tuple[float, float] | None:
    seconds = figure.get(f"{library}_s")
    if seconds is None:
        return None
    flops = figure["flops"] or figure["nbytes"] / 4
    return flops / figure["nbytes"], flops / seconds / 1e9
