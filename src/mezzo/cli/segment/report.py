"""What `mezzo segment` prints: a line for each mask, times, memory, dtypes, and the comparison."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

import mezzo
from mezzo.cli import precision
from mezzo.cli.segment.run import Found, Outcome, process_peak
from mezzo.models.sam2 import rle


def lines(outcome: Outcome, limit: int | None = None) -> list[str]:
    """A line for each mask: score, area, box."""
    pixels = outcome.size[0] * outcome.size[1]
    shown = outcome.masks[:limit]
    wide = len(str(len(outcome.masks)))
    return [f"mask {n:>{wide}}  {describe(found, pixels)}" for n, found in enumerate(shown, 1)]


def describe(found: Found, pixels: int) -> str:
    """Score, area and box of a mask, in words."""
    stable = "" if found.stability is None else f"  stability {found.stability:.3f}"
    if not found.area:
        return f"score {found.score:.3f}{stable}  empty"
    x0, y0, x1, y1 = found.box
    share = found.area / pixels
    return (
        f"score {found.score:.3f}{stable}  area {found.area:,} px ({share:.1%})  "
        f"box {x0},{y0},{x1},{y1}"
    )


def show(console: Console, outcome: Outcome, dtype: str) -> None:
    """The masks of one photo, what they took and what memory."""
    height, width = outcome.size
    console.print(f"{outcome.path} ({width} x {height})", soft_wrap=True, highlight=False)
    for line in lines(outcome):
        console.print(f"  {line}", soft_wrap=True, highlight=False)
    if not outcome.masks:
        console.print("  no mask passed the filters: lower --min-score or --min-stability")
    console.print(f"  {cost(outcome, dtype)}", soft_wrap=True, highlight=False)


def cost(outcome: Outcome, dtype: str) -> str:
    """Time and memory of one photo, in words."""
    taken = f"{outcome.seconds:.2f} s"
    if outcome.embed_seconds is not None:
        rest = outcome.seconds - outcome.embed_seconds
        taken = f"image {outcome.embed_seconds:.2f} s, masks {rest:.2f} s"
    return (
        f"{taken} in {dtype} on {mezzo.get_num_threads()} threads; peak memory: tensors "
        f"{mebibytes(outcome.peak_bytes)}, process {mebibytes(process_peak())}"
    )


def mebibytes(size: int) -> str:
    """Bytes as MiB."""
    return f"{size / 2**20:,.{0 if size >= 100 << 20 else 1}f} MiB"


def dtypes(outcome: Outcome, dtype: str) -> Table:
    """What ran in which dtype, the most called first; integers are left out."""
    calls: dict[str, list[tuple[int, str]]] = {str(each): [] for each in precision.DTYPES.values()}
    for name, found in outcome.ran.items():
        for where, count in found.items():
            if f"mezzo.{where}" in calls:
                calls[f"mezzo.{where}"].append((count, name))
    made = Table(title=f"What ran in which dtype ({dtype})", title_justify="left")
    made.add_column("dtype", no_wrap=True)
    made.add_column("operations (calls)", overflow="fold")
    for where, counted in calls.items():
        if counted:
            counted.sort(key=lambda each: (-each[0], each[1]))
            text = ", ".join(f"{name} ({count:,})" for count, name in counted)
            made.add_row(where.rpartition(".")[2], text)
    return made


def agreement(full: list[Found], low: list[Found]) -> list[float]:
    """For each mask in full precision the IoU of the mask most like it in low precision."""
    others = [(found.box, found.mask) for found in low]
    best = []
    for found in full:
        mask = found.mask
        near = [other for box, other in others if _meet(found.box, box)]
        best.append(max((rle.iou(mask, other) for other in near), default=0.0))
    return best


def _meet(one, other) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def comparison(full: Outcome, low: Outcome, dtype: str) -> Table:
    """Full precision beside a low one: speed, memory, agreement of the masks."""
    made = Table(title=f"fp32 and {dtype}: {full.path.name}", title_justify="left")
    for head in ("", "fp32", dtype, "fp32 is"):
        made.add_column(head, justify="left" if not head else "right")

    def row(name: str, one: float, other: float, form) -> None:
        ratio = f"{one / other:.2f}x" if other else "-"
        made.add_row(name, form(one), form(other), ratio)

    if full.embed_seconds is not None and low.embed_seconds is not None:
        row("image", full.embed_seconds, low.embed_seconds, "{:.2f} s".format)
        row(
            "masks",
            full.seconds - full.embed_seconds,
            low.seconds - low.embed_seconds,
            "{:.2f} s".format,
        )
    row("time in all", full.seconds, low.seconds, "{:.2f} s".format)
    row("peak memory of tensors", full.peak_bytes, low.peak_bytes, mebibytes)
    made.add_row("masks found", str(len(full.masks)), str(len(low.masks)), "")
    same = agreement(full.masks, low.masks)
    if same:
        worst, mean = min(same), sum(same) / len(same)
        made.add_row("IoU with fp32 (mean, least)", "", f"{mean:.4f}, {worst:.4f}", "")
    return made
