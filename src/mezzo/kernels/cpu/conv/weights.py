"""Gradients of weights without patches.

    out[o, i, j, c] = sum over n, t of gradient[n, t, o] image[n, t_h stride_h + shift_h[i], t_w stride_w + shift_w[j], c]

Part after part of the images is copied, converted and with its padding, to where the second cache keeps it; there every tap is
the same copy some bytes further. Rows of a tile are channels of a tap, columns the result's channels, steps of k
neighbouring places of the gradient; sums stay in memory from part to part. Where there are parts enough, and sums few enough to
be held several times, chains of parts are shared by threads and their sums added at the end; else tiles are, part by part. Chains
are as many for any number of threads.

Vector registers read one element of the copy for all columns, so it keeps its order: where a window's taps touch, channels of
a row of taps are one range of rows. Tile registers want places side by side, so the copy is turned; floats are cut into terms
(contract/terms.py) on the way.
"""

from __future__ import annotations

import ctypes
import itertools

import numpy as np

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.lanes import SIZE
from mezzo.kernels.cpu.contract.plan import SERIAL_WORK, parts, up
from mezzo.kernels.cpu.contract.scheme import in_terms, scheme
from mezzo.kernels.cpu.conv.direct import LINE, TILE_ROWS, Image, Sliding, Weight, segments
from mezzo.kernels.cpu.conv.weights_ir import module
from mezzo.kernels.cpu.conv.weights_lying import STRIDES
from mezzo.kernels.cpu.conv.weights_words import WORDS

COPY_BYTES = 384 << 10  # of a part, for vector registers
# Places of a part, for tile registers: the copy stays in the second cache, and few of its rows belong to two parts.
PLACES = 896
DEEP = 32  # places of a step of tile registers, at most
# With fewer channels rows of tile registers would be mostly empty; the second is for terms, which compete with vectors.
FEW_CHANNELS = (16, 24)
# Places that make up for storing the sums element by element, where patches are cheap (pixels of a row are neighbours); the
# second is for terms.
LYING_PLACES = (4096, 1024)
# Chains of parts, at most; parts that make them pay, and bytes of all their sums.
CHAINS, CHAINED_PARTS, CHAINED_BYTES = 16, 8, 3 << 20
FEW_ROWS = 8  # of a tile, at least: channels of a column's taps, where an image has few channels


class Plan:
    """One launch. plan: itself, as its users expect."""

    __slots__ = ("_alive", "address", "block", "keeper", "plan", "workspace_bytes")

    def __init__(self, code: str, words: dict[str, int], tables: list[np.ndarray], workspace: int):
        block = (ctypes.c_int64 * len(WORDS))(*[words[name] for name in WORDS])
        self._alive = [block, *tables]
        self.address, self.block = jit.load(code).address("weights"), ctypes.addressof(block)
        self.workspace_bytes, self.plan, self.keeper = workspace, self, None

    def slots(self, gradient: int, image: int, out: int, bias: int, workspace: int) -> tuple:
        """The slots of a launch; there is no bias."""
        return self.block, gradient, image, out, workspace


def plan(
    image: Image, gradient: Image, rows: Sliding, columns: Sliding, out: Weight, channels: int, outs: int, groups: int,
    compute: str, threads: int = 1,
) -> Plan | None:  # fmt: skip
    """The plan, or None if another way serves better. channels, outs: of a group."""
    chosen = scheme(image.storage, gradient.storage, out.storage, compute, None)
    taps, places = len(rows.shifts) * len(columns.shifts), rows.count * columns.count
    copied = rows.reach(rows.count) * columns.reach(columns.count)
    if not image.sizes[0] or not channels or 2 * copied > taps * places:
        return None
    lying = columns.stride if image.turned else 0
    sides = (image, gradient)
    if lying and (lying > STRIDES or any(x.steps[2] != SIZE[x.storage] for x in sides)):
        return None
    if image.turned != gradient.turned:
        return None
    of = (image, gradient, rows, columns, out, channels, outs, groups)
    found, terms = None, in_terms(chosen)
    if lying and image.sizes[0] * places < LYING_PLACES[terms is not None]:
        return None
    if terms is not None:
        found = _on_tiles(terms, *of)
        chosen = terms if found else chosen
    if found is None and chosen.acc == "f32":
        on_vectors = None if image.turned else _for_vectors
        make = {"fma": on_vectors, "amx": _on_tiles}.get(chosen.method)
        found = make(chosen, *of) if make else None
    if found is None:
        return None
    words, tables, entries = found
    few = words.pop("few", False)
    panels = -(-outs // chosen.tile_columns)
    n = image.sizes[0]
    work = n * places * taps * channels * outs * groups
    serial = threads <= 1 or work < SERIAL_WORK
    words |= {
        "serial": int(serial), "images": n, "groups": groups, "channels": channels, "outs": outs, "panels": panels,
        "rows": rows.count, "columns": columns.count, "entries": entries,
        "first_h": rows.first, "first_w": columns.first, "stride_h": rows.stride, "stride_w": columns.stride,
        "height": image.sizes[1], "width": image.sizes[2],
        "image_n": image.steps[0], "image_h": image.steps[1], "image_w": image.steps[2], "image_group": image.group,
        "image_c": image.channel, "image_first": image.first, "out_c": gradient.channel,
        "out_n": gradient.steps[0], "out_h": gradient.steps[1], "out_w": gradient.steps[2], "out_group": gradient.group,
        "w_group": out.group, "w_column": out.column,
    }  # fmt: skip
    words["panel_bytes"] = words["images_each"] * words["rows_each"] * columns.count * chosen.tile_columns * (
        4 if chosen.method == "fma" else 2 * chosen.terms)  # fmt: skip
    words["sums_bytes"] = groups * panels * entries * chosen.tile_bytes
    workspace = _workspace(words, groups * panels, threads)
    exact = channels % 16 == 0 and outs % chosen.tile_columns == 0
    contiguous = out.channel == SIZE[out.storage]
    return Plan(module(chosen, exact, contiguous, lying, few), words, tables.alive, workspace)


def _workspace(w: dict[str, int], panels: int, threads: int) -> int:
    """Lay out the workspace: for each thread that has its own, or for all, a copy, panels and zeros; then sums."""
    w["parts"] = -(-w["images"] // w["images_each"]) * -(-w["rows"] // w["rows_each"])
    chains = min(CHAINS, w["parts"], CHAINED_BYTES // max(1, w["sums_bytes"]))
    w["chains"] = chains if w["parts"] >= CHAINED_PARTS and chains >= CHAINED_PARTS // 2 else 1
    alone = w["serial"] or w["chains"] > 1
    w["shares"] = 1 if alone else threads
    w["at_panels"] = up(w["copy_bytes"], 4096)
    w["at_zeros"] = w["at_panels"] + panels * w["panel_bytes"]
    w["own_bytes"] = up(w["at_zeros"] + 2 * LINE, 4096) + 5 * LINE
    lanes = threads if w["chains"] > 1 and not w["serial"] else 1
    w["at_sums"] = up(lanes * w["own_bytes"], 4096)
    return w["at_sums"] + w["chains"] * w["sums_bytes"]


class _Tiles:
    """The tables of tiles: where their rows read the copy, and where in the result they belong; blocks are tasks' shares."""

    def __init__(self, out: Weight):
        self.out, self.size = out, SIZE[out.storage]
        self.blocks, self.entries, self.offsets = [0], [], []
        self.alive: list[np.ndarray] = []

    def tap(self, i: int, j: int, channels: np.ndarray) -> list[int]:
        """Bytes from a group's first weight to those of a tap."""
        return (self.out.taps_h[i] + self.out.taps_w[j] + channels * self.out.channel).tolist()

    def add(self, at: int, offsets: list[int]) -> None:
        """A tile that reads the copy from `at` on."""
        touch = all(b - a == self.size for a, b in itertools.pairwise(offsets))
        self.entries.append((at, len(offsets), len(self.offsets), int(touch)))
        self.offsets += offsets

    def end(self) -> None:
        """End a block."""
        self.blocks.append(len(self.entries))

    def words(self, views: list[tuple[int, int]]) -> dict[str, int]:
        """Addresses of the tables."""
        given = {
            "entry_at": self.entries,
            "offset_at": self.offsets,
            "block_at": self.blocks,
            "view_at": views,
        }
        found = {"blocks": len(self.blocks) - 1}
        for name, table in given.items():
            self.alive.append(np.array(table, np.int64))
            found[name] = self.alive[-1].ctypes.data
        return found


def _for_vectors(chosen, image, gradient, rows, columns, out, channels, outs, groups):
    """Words and tiles for vector registers: the copy is [group][image][row][column][channel]."""
    pixel = channels * 4
    line = up(columns.reach(columns.count) * pixel, LINE)
    n = image.sizes[0]
    each = line * groups + columns.count * up(outs, chosen.tile_columns) * 4 * groups
    whole = rows.reach(rows.count) * each
    if whole <= COPY_BYTES:
        images, high = parts(n, COPY_BYTES // whole), rows.count
    else:
        images, high = (
            1,
            parts(rows.count, max(1, (COPY_BYTES // each - rows.span) // rows.stride + 1)),
        )
    plane = rows.reach(high) * line
    merged = all(b - a == 1 for a, b in itertools.pairwise(columns.shifts))
    ranges = (
        [list(range(len(columns.shifts)))] if merged else [[j] for j in range(len(columns.shifts))]
    )
    tiles = _Tiles(out)
    for i, shift in enumerate(rows.shifts):
        for taps in ranges:
            found = [o for j in taps for o in tiles.tap(i, j, np.arange(channels))]
            base = (shift - rows.first) * line + (columns.shifts[taps[0]] - columns.first) * pixel
            for at, count in segments(chosen, len(found)):
                tiles.add(base + at * 4, found[at : at + count])
            tiles.end()
    words = {
        "images_each": images, "rows_each": high, "views": 1, "wide": 0, "lines": 0, "steps": 0, "lanes": 0, "down": 0, "tall": 0,
        "pixel": pixel, "line": line, "across": columns.reach(columns.count), "plane": plane, "term": 0,
        "whole": plane, "group_bytes": images * plane, "step": pixel * columns.stride, "span_h": rows.span,
        "copy_bytes": groups * images * plane + LINE * 2,
    }  # fmt: skip
    return words | tiles.words([(0, 0)]), tiles, len(tiles.entries)


def _on_tiles(chosen, *of):
    """Words and tiles for tile registers."""
    return _for_tiles(chosen, *of) or _for_few(chosen, *of)


def _for_few(chosen, image, gradient, rows, columns, out, channels, outs, groups):
    """Words and tiles for images of few channels: the copy is [view][term][image][group][row][channel][place].

    A view is a phase of the strides along a row; steps of k end with the rows of the result. Rows of a tile are all channels of
    all taps of a column.
    """
    deep, count = _row_depth(columns.count), len(rows.shifts) * channels
    dense = gradient.steps[1] == columns.count * gradient.steps[2]
    touch = all(b - a == 1 for a, b in itertools.pairwise(rows.shifts))
    if channels >= FEW_CHANNELS[chosen.terms > 1] or count < FEW_ROWS:
        return None
    if deep is None or not dense or not touch:
        return None
    wider, sides = _phased(columns)
    wide = columns.count + max(wider)
    line = up(wide * 2, LINE)
    line += LINE * (line // LINE % 2 == 0)  # an odd count of lines: rows share no sets of a cache
    many = 2 * PLACES  # the copy is small
    high = parts(rows.count, max(1, many // columns.count))
    group = rows.reach(high) * channels * line
    places = high * columns.count
    images = parts(image.sizes[0], max(1, many // places)) if high == rows.count else 1
    term = images * groups * group
    tiles, each = _Tiles(out), 2 * TILE_ROWS
    for j, shift in enumerate(columns.shifts):
        view = sides.index((shift - columns.first) % columns.stride) * term * chosen.terms
        found = [o for i in range(len(rows.shifts)) for o in tiles.tap(i, j, np.arange(channels))]
        for at in range(0, count, each):
            tiles.add(view + at * line + wider[j] * 2, found[at : at + each])
        tiles.end()
    words = {
        "few": True, "images_each": images, "rows_each": high, "views": len(sides), "wide": wide, "lines": 1,
        "steps": columns.count // deep, "lanes": deep // 2, "down": rows.stride * channels * line,
        "tall": TILE_ROWS if count > each else -(-count // 2) if count > TILE_ROWS else count,
        "pixel": 0, "line": 0, "across": 0, "plane": line, "term": term, "whole": groups * group,
        "group_bytes": group, "step": deep * 2, "span_h": rows.span,
        "copy_bytes": term * chosen.terms * len(sides) + each * line,
    }  # fmt: skip
    return words | tiles.words([(0, side) for side in sides]), tiles, len(tiles.entries)


def _for_tiles(chosen, image, gradient, rows, columns, out, channels, outs, groups):
    """Words and tiles for tile registers: the copy is [view][term][image][group][channel][place].

    A view is a phase of the strides: places of the image a stride apart, row after row. Where steps of k end with the rows of
    the result, every tap reads it from some places on; else each column of taps has a view of its own, without gaps between rows.
    """
    dense = gradient.steps[1] == columns.count * gradient.steps[2]
    if channels < FEW_CHANNELS[chosen.terms > 1] or not dense:
        return None
    deep, high = _row_depth(columns.count), 0
    by_rows = deep is not None
    if by_rows:
        high = parts(rows.count, max(1, PLACES // columns.count))
    else:
        depth = _depth(rows.count, columns.count)
        if depth is None:
            return None
        high, deep = depth
    taller, phases = _phased(rows)
    wider, sides = _phased(columns)
    if not by_rows:
        sides, wider = [s - columns.first for s in columns.shifts], [0] * len(columns.shifts)
    tall, wide = high + max(taller), columns.count + max(wider)
    plane = up(tall * wide * 2, LINE)
    plane += LINE * (
        plane // LINE % 2 == 0
    )  # an odd count of lines: channels share no sets of a cache
    padded = up(channels, 32)
    whole = groups * padded * plane  # of an image in a view
    places = high * columns.count
    images = parts(image.sizes[0], max(1, PLACES // places)) if high == rows.count else 1
    term = images * whole
    tiles, views = _Tiles(out), list(itertools.product(phases, sides))
    for c, j in itertools.product(range(0, channels, 32), range(len(columns.shifts))):
        for p, phase in enumerate(phases):
            shift = columns.shifts[j] - columns.first
            side = sides.index(shift % columns.stride if by_rows else shift)
            view = (p * len(sides) + side) * term * chosen.terms
            for i in (
                i for i, s in enumerate(rows.shifts) if (s - rows.first) % rows.stride == phase
            ):
                at = view + c * plane + (taller[i] * wide + wider[j]) * 2
                tiles.add(at, tiles.tap(i, j, np.arange(c, min(c + 32, channels))))
        tiles.end()
    words = {
        "images_each": images, "rows_each": high, "views": len(views), "wide": wide, "lines": int(by_rows),
        "steps": (columns.count if by_rows else places) // deep, "lanes": deep // 2, "down": wide * 2, "tall": TILE_ROWS,
        "pixel": 0, "line": 0, "across": 0, "plane": plane, "term": term, "whole": whole,
        "group_bytes": padded * plane, "step": deep * 2, "span_h": tall, "copy_bytes": term * chosen.terms * len(views),
    }  # fmt: skip
    return words | tiles.words(views), tiles, len(tiles.entries)


def _phased(axis: Sliding) -> tuple[list[int], list[int]]:
    """For each shift how many strides it is from the first, and the phases of the stride that shifts have."""
    apart = [s - axis.first for s in axis.shifts]
    return [s // axis.stride for s in apart], sorted({s % axis.stride for s in apart})


def _row_depth(columns: int) -> int | None:
    """Places of a step if a row of results is some of them, nearly as deep as they may be."""
    fits = [d for d in range(DEEP, DEEP * 3 // 4 - 1, -2) if columns % d == 0]
    return fits[0] if fits else None


def _depth(rows: int, columns: int) -> tuple[int, int] | None:
    """Rows of a part, and places of a step: all parts alike, steps even and nearly as deep as they may be."""
    best = None
    for high in (h for h in range(1, rows + 1) if rows % h == 0):
        places = high * columns
        fits = [d for d in range(DEEP, 0, -2) if places % d == 0]
        if fits and fits[0] >= DEEP * 3 // 4 and (best is None or places <= PLACES):
            best = high, fits[0]
    return best
