"""The gradient of depthwise weights: for every channel and tap the sum of gradient times source.

A unit is a channel, or LANES of them (VECTORS times as many) where channels are innermost; it walks all images in one order and keeps
the sums of all taps, LANES of each, in its workspace. Where channels are innermost and taps are few, the sums are in registers
along the places of a row that have all taps.

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

MOST_TAPS = 9  # whose sums are kept in registers
VECTORS = 2  # of LANES channels that are read together then: neighbouring lines come in pairs


class _Gradient(Writer):
    """source: the image; weight: the stored gradient of the weights; target: the gradient of the result.

    shape: taps along both axes, if the code is to know them.
    """

    def __init__(self, *stored, last: bool, shape: tuple[int, int] | None):
        super().__init__(*stored, last)
        self.shape = shape

    def _body(self, f: Function) -> None:
        block = f.load("ptr", "%args", 8)
        self.read_block(f, block)
        g, x, w, space = (f.load("ptr", f.at("%args", 8 * (i + 1)), 8) for i in range(4))
        at = 8 * (len(WORDS) + 8)
        images = f.load("i64", f.at(block, at), 8)
        space = f.at(space, f.mul("%worker", self.word["lane_bytes"]))
        kind = f"<{LANES} x {LLVM[self.acc]}>"
        size = LANES * SIZE[self.acc]
        vectors = VECTORS if self.shape else 1
        step = vectors * LANES if self.last else 1
        whole = self._whole(f) if self.shape else None
        with f.loop("%begin", "%end") as unit:
            channel = f.mul(unit, step)
            with f.loop(0, f.mul(self.word["window"], vectors)) as tap:
                f.store(kind, "zeroinitializer", f.at(space, f.mul(tap, size)), 16)
            with f.loop(0, images) as image:
                here = [
                    f.at(p, f.add(f.mul(image, s[0]), f.mul(channel, s[1])))
                    for p, s in zip((g, x), self.strides)
                ]
                with f.loop(0, self.word["rows"]) as row:
                    if whole:
                        self._row(f, here, space, row, channel, whole)
                    elif self.last:
                        self._channels(f, here, space, row, channel, (0, self.word["columns"]))
                    else:
                        self._places(f, here, space, row, channel)
            for v in range(vectors):
                sums = f.at(space, f.mul(self.word["window"], v * size))
                self._store(f, w, sums, f.add(channel, v * LANES))

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

    def _whole(self, f: Function) -> tuple[str, str]:
        """From where to where the places of a row have all taps of the window's rows."""
        first, after = f.variable("i64", self.word["columns"]), f.variable("i64", 0)
        with f.loop(0, self.word["columns"]) as column:
            begin, end = self.range(f, "w", column)
            with f.when(f.compare("eq", f.sub(end, begin), self.shape[1])):
                f.store("i64", f.min(f.load("i64", first), column), first)
                f.store("i64", f.add(column, 1), after)
        begin, end = f.load("i64", first), f.load("i64", after)
        return f.min(begin, end), end

    def _row(
        self,
        f: Function,
        here: list[str],
        space: str,
        row: str,
        channel: str,
        whole: tuple[str, str],
    ) -> None:
        """LANES channels of each place of a row, most of them with sums in registers."""
        begin, end = self.range(f, "h", row)
        full = f.compare("eq", f.sub(end, begin), self.shape[0])
        first = f.select(full, whole[0], self.word["columns"])
        after = f.select(full, whole[1], self.word["columns"])
        size = LANES * SIZE[self.acc] * self.shape[0] * self.shape[1]
        every = []
        for v in range(VECTORS):
            steps = (f.mul(s[1], v * LANES) for s in self.strides)
            places = [f.at(p, step) for p, step in zip(here, steps)]
            every.append((places, f.at(space, v * size), f.add(channel, v * LANES)))
        for places, sums, number in every:
            self._channels(f, places, sums, row, number, (0, first))
        with f.when(full):
            self._inside(f, every, row, (first, after))
        for places, sums, number in every:
            self._channels(f, places, sums, row, number, (after, self.word["columns"]))

    def _inside(self, f: Function, every: list[tuple], row: str, columns: tuple) -> None:
        """The places of a row that have all taps; every: of each vector its places, sums and first channel."""
        high, wide = self.shape
        kind, size = f"<{LANES} x {LLVM[self.acc]}>", LANES * SIZE[self.acc]
        taps = [(v, i, j) for v in range(VECTORS) for i in range(high) for j in range(wide)]
        sums = {tap: f.variable(kind) for tap in taps}
        places = {(v, i, j): f.at(every[v][1], (i * wide + j) * size) for v, i, j in taps}
        for tap, total in sums.items():
            f.store(kind, f.load(kind, places[tap], 16), total)
        counts = [f.sub(self.word["channels"], channel) for _, _, channel in every]
        line = f.mul(row, self.strides[0][2])
        first, _ = self.range(f, "h", row)
        lines = [
            f.mul(self.entry(f, "place_h", f.add(first, i)), self.strides[1][2])
            for i in range(high)
        ]
        with f.loop(*columns) as column:
            at = f.add(line, f.mul(column, self.strides[0][3]))
            g = [self._gradient(f, f.at(p[0], at), n) for (p, _, _), n in zip(every, counts)]
            begin, _ = self.range(f, "w", column)
            across = [
                f.mul(self.entry(f, "place_w", f.add(begin, j)), self.strides[1][3])
                for j in range(wide)
            ]
            for (v, i, j), total in sums.items():
                here, e = f.at(every[v][0][1], f.add(lines[i], across[j])), self.emitter(f, LANES)
                raw = load_some(f, here, self.source, LANES, counts[v])
                x = self.rounded(e, e.decode(raw, self.source), self.source)
                more = e.call("fmuladd", LLVM[self.acc], g[v], x, f.load(kind, total))
                f.store(kind, more, total)
        for tap, total in sums.items():
            f.store(kind, f.load(kind, total), places[tap], 16)

    def _channels(
        self, f: Function, here: list[str], space: str, row: str, channel: str, columns: tuple
    ) -> None:
        """LANES channels of some places of a row."""
        count = f.sub(self.word["channels"], channel)
        line = f.at(here[0], f.mul(row, self.strides[0][2]))
        with f.loop(*columns) as column:
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
def address(
    gradient: str,
    source: str,
    weight: str,
    compute: str,
    last: bool,
    shape: tuple[int, int] | None = None,
) -> int:
    """The native entry for these storage types, and taps along both axes if there are few and channels are innermost."""
    text = _Gradient(source, weight, gradient, None, compute, last=last, shape=shape).text()
    return jit.load(text).address("kernel")
