"""Points and boxes as they are written on the command line."""

from __future__ import annotations

import math

import click

_LABELS = {"+": 1, "-": 0}


class Point(click.ParamType):
    """x,y or x,y,+ for a point on the object, x,y,- for one beside it; in pixels."""

    name = "x,y[,+|-]"

    def convert(self, value, param, ctx) -> tuple[float, float, int]:
        """(x, y, label) with label 1 or 0."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in value.split(",")]
        label = 1
        if len(parts) == 3:
            label = _LABELS.get(parts.pop(), -1)
        if len(parts) != 2 or label < 0:
            self.fail(
                f"{value!r} is not a point; write x,y or x,y,+ for a point on the object, x,y,- for one "
                "beside it, in pixels from the left upper corner.",
                param,
                ctx,
            )
        x, y = (number(self, part, value, param, ctx) for part in parts)
        return x, y, label


class Box(click.ParamType):
    """x0,y0,x1,y1: the left upper and the right lower corner, in pixels."""

    name = "x0,y0,x1,y1"

    def convert(self, value, param, ctx) -> tuple[float, float, float, float]:
        """The four numbers, checked to be a box."""
        if isinstance(value, tuple):
            return value
        parts = value.split(",")
        if len(parts) != 4:
            self.fail(
                f"{value!r} is not a box; write x0,y0,x1,y1: left, top, right, bottom, in pixels.",
                param,
                ctx,
            )
        x0, y0, x1, y1 = (number(self, part, value, param, ctx) for part in parts)
        if not (x0 < x1 and y0 < y1):
            right = f"{min(x0, x1):g},{min(y0, y1):g},{max(x0, x1):g},{max(y0, y1):g}"
            hint = f" Did you mean {right}?" if x0 != x1 and y0 != y1 else ""
            self.fail(
                f"{value!r} is upside down or empty; x0,y0 is the left upper corner, x1,y1 the right "
                f"lower one, so x0 < x1 and y0 < y1.{hint}",
                param,
                ctx,
            )
        return x0, y0, x1, y1


def number(kind: click.ParamType, part: str, value: str, param, ctx) -> float:
    """A finite number of a point or a box."""
    try:
        found = float(part)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        kind.fail(f"{part.strip()!r} in {value!r} is not a number.", param, ctx)
    return found


def check_inside(points, box, width: int, height: int, name: str) -> None:
    """Raise UsageError if a point or a corner of the box lies beside an image."""
    corners = [] if box is None else [("--box", box[0], box[1]), ("--box", box[2], box[3])]
    for option, x, y in [("--point", x, y) for x, y, _ in points] + corners:
        if not (0 <= x <= width and 0 <= y <= height):
            raise click.UsageError(
                f"{option}: {x:g},{y:g} lies outside {name}, which is {width} pixels wide and {height} "
                f"high; x must be from 0 to {width} and y from 0 to {height}."
            )
