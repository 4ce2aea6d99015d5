"""What the kernel of conv/direct.py is called with: the words of its block, and how its functions read them."""

from __future__ import annotations

from mezzo.kernels.cpu.contract.writer import Function

WORDS = (
    "serial", "lanes", "images", "groups", "outs", "rows", "images_each", "rows_each", "panels", "panels_each",
    "channels", "blocks", "length", "first_h", "first_w", "stride_h", "span_h", "height", "width", "across",
    "image_n", "image_h", "image_w", "image_c", "image_group", "image_first",
    "out_n", "out_h", "out_w", "out_c", "out_group", "out_first",
    "pixel", "line", "plane", "whole", "step", "run_lanes", "runs", "run_at", "tiles", "tile_at", "tile_rows", "tall",
    "w_column", "w_channel", "w_group", "taps", "tap_at", "panel_bytes", "bias_step", "kept", "private", "streams",
    "element_at", "stretches", "stretch_at", "column_at",
    "at_panels", "at_copies", "at_places", "at_tile", "at_panel", "copy_bytes",
)  # fmt: skip
AT = {name: 8 * i for i, name in enumerate(WORDS)}
ARGS = {
    name: 8 * i
    for i, name in enumerate(("block", "image", "weight", "out", "bias", "workspace", "panels"))
}


def word(f: Function, name: str, kind: str = "i64") -> str:
    """A word of the block."""
    return f.load(kind, f.at(argument(f, "block"), AT[name]), 8)


def argument(f: Function, name: str) -> str:
    """An argument, as a pointer."""
    return f.load("ptr", f.at("%args", ARGS[name]), 8)
