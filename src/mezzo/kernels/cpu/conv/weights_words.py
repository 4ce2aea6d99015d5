"""What the kernel of conv/weights.py is called with: the words of its block, and what its functions find with them."""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.pack import Packer
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Value

WORDS = (
    "serial", "images", "groups", "channels", "outs", "panels", "rows", "columns", "images_each", "rows_each",
    "first_h", "first_w", "stride_h", "stride_w", "span_h", "height", "width", "across",
    "image_n", "image_h", "image_w", "image_c", "image_group", "image_first",
    "out_n", "out_h", "out_w", "out_c", "out_group",
    "pixel", "line", "plane", "term", "whole", "group_bytes", "step", "views", "view_at", "wide", "lines", "steps", "lanes",
    "down", "tall", "entries", "blocks", "block_at", "entry_at", "offset_at", "w_group", "w_column",
    "shares", "chains", "parts", "panel_bytes", "copy_bytes", "at_panels", "at_zeros", "own_bytes", "at_sums", "sums_bytes",
)  # fmt: skip
AT = {name: 8 * i for i, name in enumerate(WORDS)}
# What the kernel was called with; where a thread's copies and sums are, and the part of the images that it is at.
NAMES = (
    "block",
    "gradient",
    "image",
    "out",
    "workspace",
    "sums",
    "n",
    "many",
    "row",
    "high",
    "first",
)
ARGS = {name: 8 * i for i, name in enumerate(NAMES)}
GIVEN = 5
# What copies a share of a view of an image, and of a panel of the gradient.
VIEW, PANEL = "ptr %args, i64 %view, i64 %n, i64 %share", "ptr %args, i64 %panel, i64 %share"


def word(f: Function, name: str, kind: str = "i64") -> str:
    """A word of the block."""
    return f.load(kind, f.at(argument(f, "block"), AT[name]), 8)


def argument(f: Function, name: str, kind: str = "ptr") -> str:
    """An argument, or a number of the present part."""
    return f.load(kind, f.at("%args", ARGS[name]), 8)


def find_origin(f: Function, packer: Packer, n: str) -> str:
    """The first pixel of an image of the part."""
    at = f.add(word(f, "image_first"), f.mul(f.add(argument(f, "n", "i64"), n), word(f, "image_n")))
    return f.at(argument(f, "image"), at)


def find_copy(f: Function, scheme: Scheme) -> str:
    """Where the copy of an image in a view begins."""
    at = f.mul("%view", f.mul(word(f, "term"), scheme.terms))
    return f.at(argument(f, "workspace"), f.add(at, f.mul("%n", word(f, "whole"))))


def find_panel(f: Function, scheme: Scheme, step: Value) -> tuple[str, str, str]:
    """Where a panel's columns begin in the gradient, where the panel goes, and how many columns it has."""
    panels = word(f, "panels")
    group, column = f.div("%panel", panels), f.mul(f.rem("%panel", panels), scheme.tile_columns)
    first = f.mul(argument(f, "n", "i64"), word(f, "out_n"))
    first = f.add(first, f.add(f.mul(group, word(f, "out_group")), f.mul(column, step)))
    to = f.at(
        f.at(argument(f, "workspace"), word(f, "at_panels")),
        f.mul("%panel", word(f, "panel_bytes")),
    )
    return f.at(argument(f, "gradient"), first), to, f.sub(word(f, "outs"), column)


def find_view(f: Function) -> list[str]:
    """The rows' phase and the columns' shift of a view."""
    entry = f.at(word(f, "view_at", "ptr"), f.mul("%view", 16))
    return [f.load("i64", f.at(entry, 8 * i), 8) for i in (0, 1)]


def count_lines(f: Function) -> str:
    """Lines of places that follow each other in a view: one, or the rows of the part."""
    return f.select(f.compare("ne", word(f, "lines"), 0), argument(f, "high", "i64"), 1)


def count_steps(f: Function) -> str:
    """Steps of tiles in an image of the part."""
    return f.mul(count_lines(f), word(f, "steps"))


def find_share(f: Function, count: Value) -> tuple[str, str]:
    """Which of so many things belong to the share %share."""
    shares = word(f, "shares")
    return f.div(f.mul(count, "%share"), shares), f.div(f.mul(count, f.add("%share", 1)), shares)


def as_value(f: Function, packer: Packer, scheme: Scheme, raw: str, width: int) -> str:
    """Raw elements as what pairs are made of: the bits of bfloat16, or floats to be cut into terms."""
    if scheme.terms == 1:
        return packer.convert(f, raw, width)
    return lanes.operand(f, raw, packer.storage, packer.compute, "f32", width)
