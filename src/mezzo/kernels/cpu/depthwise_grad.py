"""The gradient of depthwise weights: for every channel and tap the sum of gradient times source.

A unit is a channel, or LANES of them where channels are innermost; it walks all images in one order and keeps
the sums of all taps, LANES of each, in its workspace.

    args = [block, gradient, source, weight gradient, workspace]
    block = depthwise.WORDS, then byte strides (n, c, h, w) of gradient and source, and the number of images
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.lanes import load_some
from mezzo.kernels.cpu.contract.writer import Function
from mezzo.kernels.cpu.depthwise import WORDS, Writer
from mezzo.kernels.cpu.emit import LANES, LLVM
from mezzo.kernels.ir import SIZE


class _Gradient(Writer):
    """source: the image; weight: the stored gradient of the weights; target: the gradient of the result."""

    def _body(self, f: Function) -> None:
        block = f.load("ptr", "%args", 8)
        self.read_block(f, block)
        g, x, w, space = (f.load("ptr", f.at("%args", 8 * (i + 1)), 8) for i in range(4))
        at = 8 * (len(WORDS) + 8)
        images = f.load("i64", f.at(block, at), 8)
        space = f.at(space, f.mul("%worker", self.word["lane_bytes"]))
        kind = f"<{LANES} x {LLVM[self.acc]}>"
        size = LANES * SIZE[self.acc]
        step = LANES if self.last else 1
        with f.loop("%begin", "%end") as unit:
            channel = f.mul(unit, step)
            with f.loop(0, self.word["window"]) as tap:
                f.store(kind, "zeroinitializer", f.at(space, f.mul(tap, size)), 16)
            with f.loop(0, images) as image:
                here = [
                    f.at(p, f.add(f.mul(image, s[0]), f.mul(channel, s[1])))
                    for p, s in zip((g, x), self.strides)
                ]
                with f.loop(0, self.word["rows"]) as row:
                    (self._channels if self.last else self._places)(f, here, space, row, channel)
            self._store(f, w, space, channel)

    def _gradient(self, f: Function, pointer: str, count: str) -> str:
        """LANES of the gradient of the result, as accumulators."""
        e = self.emitter(f, LANES)
        raw = load_some(f, pointer, self.target, LANES, count)
        return self.rounded(e, e.decode(raw, self.target), self.target)

    def _add(self, f: Function, g: str, x: str, space: str, tap: str) -> None:
        kind = f"<{LANES} x {LLVM[self.acc]}>"
        at = f.at(space, f.mul(tap, LANES * SIZE[self.acc]))
        e = self.emitter(f, LANES)
        f.store(kind, e.call("fmuladd", LLVM[self.acc], g, x, f.load(kind, at, 16)), at, 16)

    def _places(self, f: Function, here: list[str], space: str, row: str, channel: str) -> None:
        """LANES neighbours of a row at once."""
        columns = self.word["columns"]
        line = f.at(here[0], f.mul(row, self.strides[0][2]))
        with f.loop(0, f.ceil_div(columns, LANES)) as group:
            first = f.mul(group, LANES)
            g = self._gradient(
                f, f.at(line, f.mul(first, self.strides[0][3])), f.sub(columns, first)
            )
            with f.loop(*self.range(f, "h", row)) as i:
                source = f.at(here[1], f.mul(self.entry(f, "place_h", i), self.strides[1][2]))
                across = f.mul(self.entry(f, "tap_h", i), self.word["window_w"])
                with f.loop(*self.range(f, "w", group)) as j:
                    x = self.masked(f, self.emitter(f, LANES), source, j, self.strides[1][3])
                    self._add(f, g, x, space, f.add(across, self.entry(f, "tap_w", j)))

    def _channels(self, f: Function, here: list[str], space: str, row: str, channel: str) -> None:
        """LANES channels of each place of a row."""
        count = f.sub(self.word["channels"], channel)
        line = f.at(here[0], f.mul(row, self.strides[0][2]))
        with f.loop(0, self.word["columns"]) as column:
            g = self._gradient(f, f.at(line, f.mul(column, self.strides[0][3])), count)
            with f.loop(*self.range(f, "h", row)) as i:
                source = f.at(here[1], f.mul(self.entry(f, "place_h", i), self.strides[1][2]))
                across = f.mul(self.entry(f, "tap_h", i), self.word["window_w"])
                with f.loop(*self.range(f, "w", column)) as j:
                    at = f.at(source, f.mul(self.entry(f, "place_w", j), self.strides[1][3]))
                    e = self.emitter(f, LANES)
                    raw = load_some(f, at, self.source, LANES, count)
                    x = self.rounded(e, e.decode(raw, self.source), self.source)
                    self._add(f, g, x, space, f.add(across, self.entry(f, "tap_w", j)))

    def _store(self, f: Function, w: str, space: str, channel: str) -> None:
        """The sums, rounded: of all lanes, or a lane for each channel."""
        element, size = LLVM[self.acc], SIZE[self.acc]
        lanes = f.min(f.sub(self.word["channels"], channel), LANES) if self.last else "1"
        total = f.variable(element)
        with f.loop(0, self.word["window"]) as tap, f.loop(0, lanes) as lane:
            at = f.at(space, f.mul(tap, LANES * size))
            if self.last:
                f.store(element, f.load(element, f.at(at, f.mul(lane, size)), size), total)
            else:
                f.store(element, "0.0", total)
                with f.loop(0, LANES) as i:
                    part = f.load(element, f.at(at, f.mul(i, size)), size)
                    f.store(
                        element, f.let(f"fadd {element} {f.load(element, total)}, {part}"), total
                    )
            high, wide = f.div(tap, self.word["window_w"]), f.rem(tap, self.word["window_w"])
            to = f.add(
                f.mul(f.add(channel, lane), self.word["weight_channel"]),
                f.mul(high, self.word["weight_h"]),
            )
            to = f.at(w, f.add(to, f.mul(wide, self.word["weight_w"])))
            self.put(f, 1, f.load(element, total), to, self.weight)


@functools.cache
def address(gradient: str, source: str, weight: str, compute: str, last: bool) -> int:
    """The native entry for these storage types."""
    text = _Gradient(source, weight, gradient, None, compute, last).text()
    return jit.load(text).address("kernel")
