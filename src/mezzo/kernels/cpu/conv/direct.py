"""Convolutions of images whose channels are innermost, without patches.

A part of the image is copied once, converted and with its padding, to where the second cache keeps it. There every window's
element of every tap lies at a fixed distance from the window's first, so register tiles read their operand from the copy:
neighbouring results are rows, channels of a tap (or of a whole row of taps, where there are few) the steps of k.
Weights are packed in that order. A tile is summed over all taps and channels before it is stored.

    out[n, t, o] = bias[o] + sum over i, j, c of weight[o, i, j, c] image[n, t_h stride_h + shift_h[i], t_w stride_w + shift_w[j], c]

This is a convolution, and each phase of its gradient by the image.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mezzo.kernels.cpu import entry, jit
from mezzo.kernels.cpu.contract.lanes import SIZE
from mezzo.kernels.cpu.contract.plan import SERIAL_WORK, parts, up
from mezzo.kernels.cpu.contract.scheme import Scheme, in_terms, scheme
from mezzo.kernels.cpu.conv.direct_ir import module
from mezzo.kernels.cpu.conv.direct_words import WORDS

COPY_BYTES = (
    384 << 10
)  # of an image that a task copies: it should stay in the second cache beside the weights
TASKS = 4  # for each thread, where the work allows
# Least places of a row, and in all (by whether the weight has neighbours in memory), that make up for packing the weight in
# this order; of a row where the other way would read the weight element by element; and those for which floats are cut
# into terms for tile registers.
FEW_COLUMNS, FEW_PLACES = 6, (512, 64)
APART_COLUMNS = 4
TERMS_COLUMNS, TERMS_PLACES = 6, 128
TERMS_RUN = (
    16  # elements of a run of k, at least, for terms: a step of tile registers has room for 32
)
# Of an image whose pixels are neighbours: with fewer channels squares to turn are mostly empty, which pays on vectors from so
# many columns and elements of a window on.
FEW_CHANNELS, MANY_OUTS, MANY_ELEMENTS = 8, 32, 25
WOVEN_CHANNELS = 4  # at most, whose pixels are put together without turning squares
STREAM = 16 << 20  # bytes of a result that goes past the caches
TILE_ROWS = 16  # of tile registers
LINE = 64


class Sliding(NamedTuple):
    """Places of the result along an axis, and what they read: image[t * stride + shift] for each shift."""

    count: int
    stride: int
    shifts: tuple[int, ...]

    @property
    def first(self) -> int:
        """The lowest shift."""
        return min(self.shifts)

    @property
    def span(self) -> int:
        """How many places a window covers."""
        return max(self.shifts) - min(self.shifts) + 1

    def reach(self, count: int) -> int:
        """How many places `count` neighbouring windows cover."""
        return (count - 1) * self.stride + self.span


class Image(NamedTuple):
    """An image: storage, sizes (n, h, w) and byte strides, bytes from group to group.

    first: bytes from the buffer's beginning to its first element; channel: bytes between channels.
    """

    storage: str
    sizes: tuple[int, int, int]
    steps: tuple[int, int, int]
    group: int
    first: int
    channel: int

    @property
    def turned(self) -> bool:
        """Whether neighbours in memory are not channels."""
        return self.channel != SIZE[self.storage]


class Weight(NamedTuple):
    """Byte strides of columns (the result's channels) and k's channels, offsets of the taps, bytes between groups."""

    storage: str
    column: int
    channel: int
    taps_h: tuple[int, ...]
    taps_w: tuple[int, ...]
    group: int


class Form(NamedTuple):
    """How a pixel's channels are cut: `blocks` of `length` elements; `merged` taps of a row are one run of k."""

    blocks: int
    length: int
    merged: int


class Keeper(NamedTuple):
    """The launch that packs a weight once; see contract.Keeper. which: the order of its panels; format: their element type."""

    address: int
    block: int
    which: tuple
    format: str
    groups: int
    nbytes: int

    def launch(self, operand: int, panels: int) -> None:
        """Pack the weight that lies at one address to another."""
        entry.launch(self.address, self.block, 0, operand, panels, 0, 0)


class Plan:
    """One launch. plan: itself, as its users expect; keeper: what packs the weight once, or None."""

    __slots__ = ("_alive", "address", "block", "keeper", "plan", "workspace_bytes")

    def slots(self, image: int, weight: int, out: int, bias: int, workspace: int) -> tuple:
        """The slots of a launch; weight: its panels, if there is a keeper."""
        return self.block, image, weight, out, bias, workspace


def form(chosen: Scheme, channels: int, across: Sequence[int]) -> Form:
    """The cut for so many channels and shifts `across` a row of the image."""
    most = 32 if chosen.panel_a.group == 2 else 16
    blocks = -(-channels // most)
    length = up(-(-channels // blocks), chosen.panel_a.group)
    merged = 1
    if blocks == 1 and all(b - a == 1 for a, b in itertools.pairwise(across)):
        fits = [d for d in range(1, len(across) + 1) if len(across) % d == 0]
        merged = max(d for d in fits if chosen.method != "amx" or d * length <= most)
    return Form(blocks, length, merged)


@functools.cache
def segments(chosen: Scheme, count: int) -> tuple[tuple[int, int], ...]:
    """Tiles along a row of `count` results, as (first, results): as few rows of registers as cover it."""
    if chosen.method == "amx":
        each = parts(count, TILE_ROWS)
        return tuple((at, min(each, count - at)) for at in range(0, count, each))
    steps, best = sorted(chosen.row_steps, reverse=True), [(0, 0)]
    for n in range(
        1, count + 1
    ):  # the cheapest way to cover n: a tile costs its rows and its columns' loads
        best.append(min((best[max(n - s, 0)][0] + s + 1, s) for s in steps))
    found, at = [], 0
    while at < count:
        size = min(best[count - at][1], count - at)
        found.append((at, size))
        at += size
    return tuple(found)


def serves(
    chosen: Scheme, image: Image, rows: Sliding, columns: Sliding, channels: int, outs: int
) -> bool:
    """Whether this is the way: each element is read several times, and rows of results fill tiles."""
    if not channels or not image.sizes[0]:
        return False
    taps = len(rows.shifts) * len(columns.shifts)
    many = outs >= MANY_OUTS and channels * taps >= MANY_ELEMENTS and chosen.method != "amx"
    if (
        image.turned
        and channels < FEW_CHANNELS
        and not many
        and not _woven(chosen, image, channels, columns)
    ):
        return False
    if image.turned and image.steps[2] != SIZE[image.storage]:
        return False
    copied = rows.reach(rows.count) * columns.reach(columns.count)
    if 2 * copied > taps * rows.count * columns.count:
        return False
    tiles = segments(chosen, columns.count)
    used = sum(_height(chosen, n, max(n for _, n in tiles)) for _, n in tiles)
    return chosen.method == "amx" or 8 * used <= 9 * columns.count


def _pays(chosen: Scheme, turned: bool, touch: bool, places: int, across: int) -> bool:
    """Whether places are enough. turned: pixels of the image are neighbours; touch: elements of the weight are."""
    if chosen.terms > 1:
        return True
    if not turned and not touch:
        return across >= APART_COLUMNS
    return across >= FEW_COLUMNS and places >= FEW_PLACES[touch]


def plan(
    image: Image, out: Image, rows: Sliding, columns: Sliding, weight: Weight, channels: int, outs: int, groups: int,
    compute: str, *, bias: str | None = None, bias_step: int = 0, threads: int = 1, kept: bool = False,
) -> Plan | None:  # fmt: skip
    """The plan, or None if another way serves better. channels, outs: of a group; kept: the weight comes as panels."""
    chosen = scheme(image.storage, weight.storage, out.storage, compute, bias)
    chosen = _on_tiles(chosen, image, rows, columns, channels)
    if chosen.acc != "f32" or not serves(chosen, image, rows, columns, channels, outs):
        return None
    how = reading(weight, channels, outs)
    places = out.sizes[0] * rows.count * columns.count
    if not _pays(chosen, image.turned, how[1], places, columns.count):
        return None
    cut = form(chosen, channels, columns.shifts)
    pixel = cut.length * (2 if chosen.panel_a.group == 2 else 4)
    words, tables = kernel_words(
        chosen, image, out, rows, columns, cut, pixel, outs, groups, threads
    )
    taps = np.add.outer(np.array(weight.taps_h), np.array(weight.taps_w)).astype(np.int64)
    words |= {"channels": channels, "w_column": weight.column, "w_channel": weight.channel, "w_group": weight.group,
              "taps": taps.size, "tap_at": taps.ctypes.data, "bias_step": bias_step, "kept": int(kept),
              "streams": int(places * outs * groups * SIZE[out.storage] >= STREAM)}  # fmt: skip
    most = 32 if chosen.panel_a.group == 2 else 16
    exact = channels == cut.blocks * cut.length and cut.length == most
    together = (
        groups == 1 and image.steps[2] == channels * SIZE[image.storage] and 2 * cut.length <= most
    )
    step = 0 if chosen.method == "amx" else pixel * columns.stride
    woven = _woven(chosen, image, channels, columns)
    few = (channels, cut.length) if together or woven else None
    code = module(chosen, how, exact, few, step,
                  (image.turned, out.turned))  # fmt: skip
    made, loaded = Plan(), jit.load(code)
    made.workspace_bytes = lay_out(words, chosen, kept)
    block = (ctypes.c_int64 * len(WORDS))(*[words[name] for name in WORDS])
    made._alive = [block, taps, *tables]
    made.plan, made.address, made.block = made, loaded.address("direct"), ctypes.addressof(block)
    made.keeper = None
    if kept:
        size = groups * words["panels"] * words["panel_bytes"]
        made.keeper = Keeper(
            loaded.address("keep"),
            made.block,
            ("direct", *cut, chosen.terms),
            compute,
            groups,
            size,
        )
    return made


def _on_tiles(
    chosen: Scheme, image: Image, rows: Sliding, columns: Sliding, channels: int
) -> Scheme:
    """The scheme of the same in terms, on tile registers, where there are any and it pays."""
    places = image.sizes[0] * rows.count * columns.count
    terms = in_terms(chosen)
    if terms is None or columns.count < TERMS_COLUMNS or places < TERMS_PLACES or not channels:
        return chosen
    cut = form(terms, channels, columns.shifts)
    few = image.turned and channels < FEW_CHANNELS and not _woven(terms, image, channels, columns)
    return chosen if few or cut.merged * cut.length < TERMS_RUN else terms


def _woven(chosen: Scheme, image: Image, channels: int, columns: Sliding) -> bool:
    """Whether the few channels of an image whose pixels are neighbours are interleaved for tile registers."""
    if chosen.method != "amx" or not image.turned or channels > WOVEN_CHANNELS:
        return False
    cut = form(chosen, channels, columns.shifts)
    return cut.merged * cut.length >= TERMS_RUN


def reading(weight: Weight, channels: int, outs: int) -> tuple[str, bool]:
    """The axis along which vectors of the weight are read, the closer one, and whether its neighbours touch."""
    size = SIZE[weight.storage]
    sides = {"k": (channels < 2, weight.channel), "columns": (outs < 2, weight.column)}
    along = min(sides, key=sides.get)
    return along, sides[along][1] == size


def kernel_words(
    chosen, image: Image, out: Image, rows, columns, cut: Form, pixel: int, outs, groups, threads, room: int = COPY_BYTES,
):  # fmt: skip
    """What the kernel must know, and the tables that it points to. room: bytes of a copy, at most."""
    tiles = segments(chosen, columns.count)
    tall = max(n for _, n in tiles)
    widest = max(at + _height(chosen, n, tall) for at, n in tiles)
    line = up(columns.reach(widest) * pixel, LINE)
    panels = -(-outs // chosen.tile_columns)
    n, _, _ = out.sizes
    block = _blocks(rows, line * cut.blocks * chosen.terms, n, room)
    units = groups * -(-n // block[0]) * -(-rows.count // block[1])
    work = n * rows.count * columns.count * outs * groups * len(rows.shifts) * len(columns.shifts)
    serial = threads <= 1 or work * cut.blocks * cut.length < SERIAL_WORK
    cuts = 1 if serial else min(panels, max(1, -(-threads * TASKS // units)))
    plane = rows.reach(block[1]) * line
    plane += LINE * (
        cut.blocks * chosen.terms > 1 and plane // LINE % 2 == 0
    )  # an odd count of lines: blocks share no sets of a cache
    group = chosen.panel_a.group
    runs = [(i - rows.first) * line + (columns.shifts[j] - columns.first) * pixel + b * chosen.terms * plane
            for b in range(cut.blocks) for i in rows.shifts for j in range(0, len(columns.shifts), cut.merged)]  # fmt: skip
    tables = [np.array(t, np.int64) for t in (runs, [at for at, _ in tiles], [n for _, n in tiles])]
    k = len(rows.shifts) * len(columns.shifts) * cut.blocks * cut.length
    words = {
        "serial": int(serial), "lanes": 1 if serial else threads, "images": n, "groups": groups, "outs": outs,
        "rows": rows.count, "images_each": block[0], "rows_each": block[1],
        "panels": panels, "panels_each": -(-panels // cuts),
        "blocks": cut.blocks, "length": cut.length, "first_h": rows.first, "first_w": columns.first,
        "stride_h": rows.stride, "span_h": rows.span, "height": image.sizes[1], "width": image.sizes[2],
        "across": columns.reach(widest), "image_n": image.steps[0], "image_h": image.steps[1], "image_w": image.steps[2],
        "image_c": image.channel, "out_c": out.channel,
        "image_group": image.group, "image_first": image.first,
        "out_n": out.steps[0], "out_h": out.steps[1], "out_w": out.steps[2], "out_group": out.group, "out_first": out.first,
        "pixel": pixel, "line": line, "plane": plane, "whole": plane * cut.blocks * chosen.terms, "step": pixel * columns.stride,
        "run_lanes": cut.merged * cut.length // group, "runs": len(runs), "run_at": tables[0].ctypes.data,
        "tiles": len(tiles), "tile_at": tables[1].ctypes.data, "tile_rows": tables[2].ctypes.data, "tall": tall,
        "panel_bytes": chosen.panel_b.nbytes(k),
        "element_at": 0, "stretches": 0, "stretch_at": 0, "column_at": 0,
    }  # fmt: skip
    return words, tables


def _height(chosen: Scheme, rows: int, tall: int) -> int:
    """Rows that a tile of so many results reads."""
    return tall if chosen.method == "amx" else min(s for s in chosen.row_steps if s >= rows)


def _blocks(rows: Sliding, line: int, images: int, room: int) -> tuple[int, int]:
    """Images and rows of results of a task: as many as their copy leaves room for."""
    whole = rows.reach(rows.count) * line
    if whole <= room:
        return parts(images, room // whole), rows.count
    fits = max(1, (room // line - rows.span) // rows.stride + 1)
    return 1, parts(rows.count, fits)


def lay_out(words: dict[str, int], chosen: Scheme, kept: bool) -> int:
    """Lay out the workspace: biases, panels, and for each thread a copy, the places of its tiles, one tile, its panel."""
    w = words
    columns = w["panels"] * chosen.tile_columns * w["groups"]
    w["at_panels"] = up(columns * 4, LINE)
    w["private"] = int(not kept and w["images_each"] == w["images"] and w["rows_each"] == w["rows"])
    shared = 0 if kept or w["private"] else w["groups"] * w["panels"] * w["panel_bytes"]
    w["at_copies"] = up(w["at_panels"] + shared, 4096)
    w["at_places"] = up(w["images_each"] * w["whole"], LINE)
    places = w["images_each"] * w["rows_each"] * w["tiles"]
    w["at_tile"] = up(w["at_places"] + places * 24, LINE)
    w["at_panel"] = up(w["at_tile"] + max(chosen.tile_bytes, 4096), LINE)
    own = w["panel_bytes"] * w["private"]
    w["copy_bytes"] = up(w["at_panel"] + own, 4096) + 5 * LINE
    return w["at_copies"] + w["lanes"] * w["copy_bytes"]
