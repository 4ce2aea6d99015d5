"""Depthwise convolutions of images whose pixels of a row are neighbours, where windows move by one pixel.

Rows of a plane are converted once, to where the first cache keeps them, with zeros on both sides. There the elements of any tap for
neighbouring places are a vector some elements further. The gradient of the input is the same with the window turned round; that
of the weights sums the gradient times such vectors.

    args = [block, source, weight, target, bias, workspace], or as in depthwise_grad.py
    block = depthwise.WORDS, then byte strides (n, c, h, w) of both tensors, then WORDS
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.lanes import load_some
from mezzo.kernels.cpu.contract.writer import Function
from mezzo.kernels.cpu.depthwise import WORDS as BEFORE
from mezzo.kernels.cpu.depthwise import Writer
from mezzo.kernels.cpu.emit import LANES, LLVM
from mezzo.kernels.ir import SIZE

WORDS = (
    "images",
    "strips",
    "high",
    "first_h",
    "first_w",
    "span_h",
    "height",
    "width",
    "line",
    "at_rows",
)
ROOM = 32 << 10  # bytes of rows that the first cache keeps
VECTORS = 4  # of neighbouring places, at most: sums that run side by side


class Window(NamedTuple):
    """Taps of a row; whether they are read from the last to the first; vectors of places that are summed together."""

    taps: int
    turned: bool
    vectors: int


class Shape(NamedTuple):
    """Places (rows, columns) of the target, pixels of the source, taps, and where the first tap of place 0 reads."""

    places: tuple[int, int]
    pixels: tuple[int, int]
    taps: tuple[int, int]
    first: tuple[int, int]


def window(columns: int, taps: int, turned: bool) -> Window:
    """The window for rows of so many places: few vectors cover them, many at a time."""
    count = -(-columns // LANES)
    many = min(range(VECTORS, 0, -1), key=lambda v: -(-count // v) * (v + 1))
    return Window(taps, turned, many)


def words(
    of: Shape, how: Window, images: int, compute: str, room: int
) -> tuple[list[int], int, int]:
    """The words, how many strips a plane is cut into, and the bytes of a thread's workspace. room: bytes before the rows."""
    size = SIZE["f64" if compute == "f64" else "f32"]
    each = LANES * how.vectors
    line = -(-of.places[1] // each) * each + of.taps[1] - 1
    line = -(-line // LANES) * LANES * size
    fits = max(8, ROOM // line - of.taps[0] + 1)
    strips = -(-of.places[0] // fits)
    high = -(-of.places[0] // strips)
    found = [images, strips, high, *of.first, of.taps[0], *of.pixels, line, room]
    return found, strips, -(-(room + (high + of.taps[0] - 1) * line + 64) // 4096) * 4096 + 64


class _Planes(Writer):
    """What the kernels share."""

    def __init__(self, *storages, window: Window):
        super().__init__(*storages, False)
        self.window = window

    def read_block(self, f: Function, block: str) -> None:
        """The words of depthwise.py, and those of this module."""
        super().read_block(f, block)
        at = 8 * (len(BEFORE) + 8)
        self.own = {name: f.load("i64", f.at(block, at + 8 * i), 8) for i, name in enumerate(WORDS)}

    @property
    def kind(self) -> str:
        """A vector of accumulators."""
        return f"<{LANES} x {LLVM[self.acc]}>"

    def rows(self, f: Function, plane: str, step: str, top: str, count: str, to: str) -> None:
        """Convert the rows of a plane of the source from `top` on; those outside of the image are left alone."""
        own, size = self.own, SIZE[self.source]
        line, element = own["line"], SIZE[self.acc]
        before, skip = f.max(f.sub(0, own["first_w"]), 0), f.max(own["first_w"], 0)
        exist = f.max(f.sub(own["width"], skip), 0)
        first = f.max(f.sub(0, top), 0)
        with f.loop(first, f.min(count, f.sub(own["height"], top))) as r:
            here = f.at(plane, f.add(f.mul(f.add(top, r), step), f.mul(skip, size)))
            onto = f.at(to, f.mul(r, line))
            end = f.at(onto, f.sub(line, LANES * element))
            with f.loop(0, before, LANES) as x:
                f.store(self.kind, "zeroinitializer", f.at(onto, f.mul(x, element)), element)
            inside = f.at(onto, f.mul(before, element))
            room = f.sub(f.div(line, element), before)
            with f.loop(0, f.sub(room, LANES - 1), LANES) as x:
                value = self.some(f, f.at(here, f.mul(x, size)), self.source, f.sub(exist, x))
                f.store(self.kind, value, f.at(inside, f.mul(x, element)), element)
            last = f.sub(room, LANES)  # where a line ends, a vector begins anew
            value = self.some(f, f.at(here, f.mul(last, size)), self.source, f.sub(exist, last))
            f.store(self.kind, value, end, element)

    def some(self, f: Function, pointer: str, storage: str, count: str) -> str:
        """Elements of which `count` exist, as accumulators; the others are 0."""
        e = self.emitter(f, LANES)
        raw = load_some(f, pointer, storage, LANES, count)
        return self.rounded(e, e.decode(raw, storage), storage)

    def strip(self, f: Function, index: str) -> tuple[str, str, str]:
        """Its first and last place, and the row of the source that the first one reads first."""
        begin = f.mul(index, self.own["high"])
        end = f.min(f.add(begin, self.own["high"]), self.word["rows"])
        return begin, end, f.add(begin, self.own["first_h"])

    def inside(self, f: Function, row: str) -> tuple[str, str]:
        """Which rows of a window that begins at this row of the source are in the image."""
        own = self.own
        return f.max(f.sub(0, row), 0), f.min(f.sub(own["height"], row), own["span_h"])


class _Sums(_Planes):
    """The convolution, and the gradient of its input."""

    def _body(self, f: Function) -> None:
        self.read_block(f, f.load("ptr", "%args", 8))
        source, weight, target, bias, space = (
            f.load("ptr", f.at("%args", 8 * (i + 1)), 8) for i in range(5)
        )
        self.bias_at, own = bias, self.own
        space = f.at(space, f.mul("%worker", self.word["lane_bytes"]))
        self._weights(f, weight, space)
        rows = f.at(space, own["at_rows"])
        with f.loop("%begin", "%end") as unit:
            plane, strip = f.div(unit, own["strips"]), f.rem(unit, own["strips"])
            image, channel = (how(plane, self.word["channels"]) for how in (f.div, f.rem))
            here, to = (
                f.at(p, f.add(f.mul(image, s[0]), f.mul(channel, s[1])))
                for p, s in zip((source, target), self.strides)
            )
            begin, end, top = self.strip(f, strip)
            count = f.add(f.sub(end, begin), f.sub(own["span_h"], 1))
            self.rows(f, here, self.strides[0][2], top, count, rows)
            weights = f.at(space, f.mul(f.mul(channel, self.word["window"]), SIZE[self.acc]))
            with f.loop(begin, end) as row:
                line = f.at(to, f.mul(row, self.strides[1][2]))
                ends = self.inside(f, f.add(row, own["first_h"]))
                first = f.at(rows, f.mul(f.sub(row, begin), own["line"]))
                with f.loop(0, self.word["columns"], LANES * self.window.vectors) as column:
                    self._places(f, f.at(first, f.mul(column, SIZE[self.acc])), ends, weights, (line, column), channel)  # fmt: skip

    def _places(
        self, f: Function, rows: str, ends, weights: str, to: tuple[str, str], channel: str
    ) -> None:
        """Some vectors of neighbouring places."""
        window, size, element = self.window, SIZE[self.acc], LLVM[self.acc]
        sums = [f.variable(self.kind, "zeroinitializer") for _ in range(window.vectors)]
        for total in sums:
            f.store(self.kind, "zeroinitializer", total)
        with f.loop(*ends) as r:
            line = f.at(rows, f.mul(r, self.own["line"]))
            tap = f.sub(f.sub(self.own["span_h"], 1), r) if window.turned else r
            taps = f.at(weights, f.mul(tap, window.taps * size))
            for c in range(window.taps):
                j = window.taps - 1 - c if window.turned else c
                e = self.emitter(f, LANES)
                weight = e.splat(f.load(element, f.at(taps, j * size), size), element)
                for v, total in enumerate(sums):
                    value = f.load(self.kind, f.at(line, (c + v * LANES) * size), size)
                    e = self.emitter(f, LANES)
                    term = e.call("fmuladd", element, value, weight, f.load(self.kind, total))
                    f.store(self.kind, term, total)
        line, column = to
        for v, total in enumerate(sums):
            first = f.add(column, v * LANES)
            left = f.sub(self.word["columns"], first)
            here = f.at(line, f.mul(first, SIZE[self.target]))
            with f.when(f.compare("sgt", left, 0)):
                self._finish(f, LANES, f.load(self.kind, total), here, channel, left)


class _Gradient(_Planes):
    """The gradient of the weights. target: the gradient of the result; a unit is a channel."""

    def _body(self, f: Function) -> None:
        self.read_block(f, f.load("ptr", "%args", 8))
        g, x, w, space = (f.load("ptr", f.at("%args", 8 * (i + 1)), 8) for i in range(4))
        own, size = self.own, LANES * SIZE[self.acc]
        space = f.at(space, f.mul("%worker", self.word["lane_bytes"]))
        rows = f.at(space, own["at_rows"])
        with f.loop("%begin", "%end") as channel:
            with f.loop(0, self.word["window"]) as tap:
                f.store(self.kind, "zeroinitializer", f.at(space, f.mul(tap, size)), 16)
            with f.loop(0, own["images"]) as image, f.loop(0, own["strips"]) as strip:
                to, here = (
                    f.at(p, f.add(f.mul(image, s[0]), f.mul(channel, s[1])))
                    for p, s in zip((g, x), self.strides)
                )
                begin, end, top = self.strip(f, strip)
                count = f.add(f.sub(end, begin), f.sub(own["span_h"], 1))
                self.rows(f, here, self.strides[1][2], top, count, rows)
                with f.loop(begin, end) as row:
                    line = f.at(to, f.mul(row, self.strides[0][2]))
                    first = f.at(rows, f.mul(f.sub(row, begin), own["line"]))
                    with f.loop(*self.inside(f, f.add(row, own["first_h"]))) as r:
                        self._add(f, line, f.at(first, f.mul(r, own["line"])), f.at(space, f.mul(r, self.window.taps * size)))  # fmt: skip
            self._store(f, w, space, channel)

    def _add(self, f: Function, line: str, row: str, space: str) -> None:
        """A row of the gradient times a row of the source, for all taps of a row."""
        size, element = SIZE[self.acc], LLVM[self.acc]
        sums = [f.variable(self.kind) for _ in range(self.window.taps)]
        for c, total in enumerate(sums):
            f.store(self.kind, f.load(self.kind, f.at(space, c * LANES * size), 16), total)
        columns = self.word["columns"]
        with f.loop(0, columns, LANES) as column:
            here = f.at(line, f.mul(column, SIZE[self.target]))
            g = self.some(f, here, self.target, f.sub(columns, column))
            near = f.at(row, f.mul(column, size))
            for c, total in enumerate(sums):
                value = f.load(self.kind, f.at(near, c * size), size)
                e = self.emitter(f, LANES)
                term = e.call("fmuladd", element, g, value, f.load(self.kind, total))
                f.store(self.kind, term, total)
        for c, total in enumerate(sums):
            f.store(self.kind, f.load(self.kind, total), f.at(space, c * LANES * size), 16)

    def _store(self, f: Function, w: str, space: str, channel: str) -> None:
        """The sums of all lanes, rounded."""
        element, size = LLVM[self.acc], SIZE[self.acc]
        total = f.variable(element)
        with f.loop(0, self.word["window"]) as tap:
            at = f.at(space, f.mul(tap, LANES * size))
            f.store(element, "0.0", total)
            with f.loop(0, LANES) as i:
                part = f.load(element, f.at(at, f.mul(i, size)), size)
                f.store(element, f.let(f"fadd {element} {f.load(element, total)}, {part}"), total)
            high, wide = (how(tap, self.word["window_w"]) for how in (f.div, f.rem))
            to = f.add(
                f.mul(channel, self.word["weight_channel"]), f.mul(high, self.word["weight_h"])
            )
            to = f.at(w, f.add(to, f.mul(wide, self.word["weight_w"])))
            self.put(f, 1, f.load(element, total), to, self.weight)


@functools.cache
def address(
    source: str, weight: str, target: str, bias: str | None, compute: str, window: Window
) -> int:
    """The native entry of a convolution, or of its gradient by its input, for these storage types."""
    writer = _Sums(source, weight, target, bias, compute, window=window)
    return jit.load(writer.text()).address("kernel")


@functools.cache
def grad_address(gradient: str, source: str, weight: str, compute: str, window: Window) -> int:
    """The native entry of the gradient by the weight."""
    writer = _Gradient(source, weight, gradient, None, compute, window=window)
    return jit.load(writer.text()).address("kernel")
