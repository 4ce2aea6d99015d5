"""Convolutions of every channel by itself: a weighted sum of a few places for each place of the target.

Tables say for each row and each column of the target which taps reach it, and where they stand in the
source; so the forward pass and the gradient of the input are one kernel. Lanes run along channels
where those are innermost; else along a row, where tables list the taps of LANES neighbours together with the
lanes that have them.

    args = [block, source, weight, target, bias, workspace]
    block = WORDS, then byte strides (n, c, h, w) of source and target

Each part of the work first turns the weights into floats of the order in which they are read.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.lanes import store_some
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.conv.fetch import during, masked_load
from mezzo.kernels.cpu.emit import LANES, LLVM, STORED, Emitter, literal
from mezzo.kernels.ir import SIZE

WORDS = ("units", "serial", "channels", "rows", "columns", "window", "window_w", "lane_bytes", "weight_channel",
         "weight_h", "weight_w", "bias_step", "begin_h", "tap_h", "place_h", "begin_w", "tap_w", "place_w", "mask_w", "joint_w")  # fmt: skip
CHAINS = 4  # sums that run side by side: a multiply-add takes as many cycles
_POINTERS = ("begin_h", "tap_h", "place_h", "begin_w", "tap_w", "place_w", "mask_w", "joint_w")
JOINT, VECTORS = 4, 2  # places of a row, and vectors of channels, whose sums share what they read


class Taps:
    """For each place of an axis the taps that reach it and the source places they read (sparse rows).

    together: for each LANES places instead; a source place is that of the first lane, mask the lanes that
    have the tap, and lists are filled up to a multiple of CHAINS by taps of no lane.
    """

    def __init__(self, pairs: Sequence[Sequence[tuple[int, int]]], together: bool):
        if together:
            pairs = [_joined(pairs[i : i + LANES]) for i in range(0, len(pairs), LANES)]
        else:
            pairs = [[(tap, place, 1) for tap, place in row] for row in pairs]
        self.begin = np.cumsum([0, *map(len, pairs)]).astype(np.int64)
        flat = np.array([p for row in pairs for p in row], np.int64).reshape(-1, 3)
        self.tap, self.place, self.mask = (np.ascontiguousarray(flat[:, i]) for i in range(3))


def _joined(rows: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int, int]]:
    found: dict[tuple[int, int], int] = {}
    for lane, row in enumerate(rows):
        for tap, place in row:
            key = (tap, place - lane)
            found[key] = found.get(key, 0) | 1 << lane
    entries = [(tap, start, mask) for (tap, start), mask in sorted(found.items())]
    return entries + [(0, 0, 0)] * (-len(entries) % CHAINS)


class Windows(NamedTuple):
    """Windows along a row that hold all their taps: how many those are, places from one to the next, and from tap to tap."""

    taps: int
    stride: int
    sign: int

    def joint(self, pairs: Sequence[Sequence[tuple[int, int]]]) -> np.ndarray:
        """For each place of a row whether it and the next ones, JOINT in all, have such windows."""
        whole = [[(j, at + self.sign * j) for j in range(self.taps)] == row
                 for row, at in ((row, row[0][1] if row else 0) for row in pairs)]  # fmt: skip
        firsts = [row[0][1] if row else 0 for row in pairs]
        return np.array([
            int(all(whole[u : u + JOINT]) and u + JOINT <= len(pairs)
                and all(firsts[u + p] == firsts[u] + p * self.stride for p in range(JOINT)))
            for u in range(len(pairs))
        ], np.int64)  # fmt: skip


class Plan:
    """One launch. plan: itself, as its users expect."""

    __slots__ = ("_alive", "address", "block", "plan", "workspace_bytes")

    def __init__(self, address: int, words: list[int], alive: list, workspace_bytes: int):
        words_block = (ctypes.c_int64 * len(words))(*words)
        self._alive = [words_block, *alive]
        self.address, self.block, self.workspace_bytes = (
            address,
            ctypes.addressof(words_block),
            workspace_bytes,
        )
        self.plan = self

    def slots(self, source: int, weight: int, target: int, bias: int, workspace: int) -> tuple:
        """The slots of a launch."""
        return self.block, source, weight, target, bias, workspace


class GradPlan(Plan):
    """The same for the gradient of the weights, which has no bias."""

    __slots__ = ()

    def slots(self, gradient: int, source: int, target: int, bias: int, workspace: int) -> tuple:
        return self.block, gradient, source, target, workspace


class Writer:
    """Writes one kernel."""

    def __init__(
        self, source: str, weight: str, target: str, bias: str | None, compute: str, last: bool,
        windows: Windows | None = None,
    ):  # fmt: skip
        self.windows = windows
        self.source, self.weight, self.target, self.bias = source, weight, target, bias
        self.compute, self.last = compute, last
        self.acc = "f64" if compute == "f64" else "f32"
        self.program = Program()

    def text(self) -> str:
        """The module."""
        self.program.declares.add("declare void @mezzo_parallel(ptr, ptr, i64)")
        with self.program.function("body", "ptr %args, i64 %begin, i64 %end, i64 %worker") as f:
            self._body(f)
        with self.program.function("kernel", "ptr %args", linkage="") as f:
            block = f.load("ptr", "%args", 8)
            units, serial = f.load("i64", block, 8), f.load("i64", f.at(block, 8), 8)
            alone = f.compare("ne", serial, 0)
            with f.when(alone):
                f.call("body", "void", "ptr %args", "i64 0", f"i64 {units}", "i64 0")
            with f.unless(alone):
                f.call("mezzo_parallel", "void", "ptr @body", "ptr %args", f"i64 {units}")
        return self.program.text()

    def emitter(self, f: Function, lanes: int) -> Emitter:
        """An emitter of that width for one expression."""
        return Emitter(f.lines, f.program.declares, lanes, f.name("e") + "_", lambda e: "")

    def rounded(self, e: Emitter, value: str, storage: str) -> str:
        """A loaded operand in the compute type, as an accumulator."""
        if self.compute in ("bf16", "f16") and storage != self.compute:
            if storage == "f64":
                value = e.put(f"fptrunc {e.wide('double')} {value} to {e.wide('float')}")
            return e.decode(e.encode(value, self.compute), self.compute)
        if self.acc == "f32" and storage == "f64":
            return e.put(f"fptrunc {e.wide('double')} {value} to {e.wide('float')}")
        if self.acc == "f64" and storage != "f64":
            return e.put(f"fpext {e.wide('float')} {value} to {e.wide('double')}")
        return value

    def read_block(self, f: Function, block: str) -> None:
        """Words, tables, and the strides of the two tensors that follow them."""
        self.word = {name: f.load("i64", f.at(block, 8 * i), 8) for i, name in enumerate(WORDS)}
        self.table = {name: f.let(f"inttoptr i64 {self.word[name]} to ptr") for name in _POINTERS}
        at = 8 * len(WORDS)
        found = [f.load("i64", f.at(block, at + 8 * i), 8) for i in range(8)]
        self.strides = [found[:4], found[4:]]

    def _body(self, f: Function) -> None:
        block = f.load("ptr", "%args", 8)
        self.read_block(f, block)
        source, weight, target, bias, space = (
            f.load("ptr", f.at("%args", 8 * (i + 1)), 8) for i in range(5)
        )
        strides, self.bias_at = self.strides, bias
        space = f.at(space, f.mul("%worker", self.word["lane_bytes"]))
        self._weights(f, weight, space)
        with f.loop("%begin", "%end") as unit:
            row, plane = f.rem(unit, self.word["rows"]), f.div(unit, self.word["rows"])
            if self.last:
                here = [f.at(p, f.mul(plane, s[0])) for p, s in zip((source, target), strides)]
                self._row_of_channels(f, here, space, row)
            else:
                image, channel = (
                    f.div(plane, self.word["channels"]),
                    f.rem(plane, self.word["channels"]),
                )
                here = [
                    f.at(p, f.add(f.mul(image, s[0]), f.mul(channel, s[1])))
                    for p, s in zip((source, target), strides)
                ]
                own = f.at(space, f.mul(f.mul(channel, self.word["window"]), SIZE[self.acc]))
                self._row_of_places(f, here, own, row, channel)

    def _weights(self, f: Function, weight: str, space: str) -> None:
        """All weights as accumulators: [tap][channel] or [channel][tap]."""
        size = SIZE[self.acc]
        with f.loop(0, self.word["channels"]) as channel, f.loop(0, self.word["window"]) as tap:
            e = self.emitter(f, 1)
            high, wide = f.div(tap, self.word["window_w"]), f.rem(tap, self.word["window_w"])
            at = f.add(
                f.mul(channel, self.word["weight_channel"]), f.mul(high, self.word["weight_h"])
            )
            at = f.add(at, f.mul(wide, self.word["weight_w"]))
            value = self.rounded(e, e.load(f.at(weight, at), self.weight), self.weight)
            if self.last:
                to = f.add(f.mul(tap, self.word["channels"]), channel)
            else:
                to = f.add(f.mul(channel, self.word["window"]), tap)
            f.store(LLVM[self.acc], value, f.at(space, f.mul(to, size)), size)

    def entry(self, f: Function, name: str, index: str) -> str:
        """An entry of a table."""
        return f.load("i64", f.at(self.table[name], f.mul(index, 8)), 8)

    def range(self, f: Function, axis: str, index: str) -> tuple[str, str]:
        """Begin and end of a row of a table."""
        return self.entry(f, "begin_" + axis, index), self.entry(
            f, "begin_" + axis, f.add(index, 1)
        )

    def _sum(self, f: Function, lanes: int, source: str, row: str, column: str, weight_at) -> str:
        """The sum over the taps of one place; weight_at(tap) -> a register of weights."""
        e = self.emitter(f, lanes)
        kind = e.wide(LLVM[self.acc])
        total = f.variable(kind, "zeroinitializer" if lanes > 1 else literal(0, self.acc))
        with f.loop(*self.range(f, "h", row)) as i:
            line = f.at(source, f.mul(self.entry(f, "place_h", i), self.strides[0][2]))
            across = f.mul(self.entry(f, "tap_h", i), self.word["window_w"])
            with f.loop(*self.range(f, "w", column)) as j:
                e = self.emitter(f, lanes)
                here = f.at(line, f.mul(self.entry(f, "place_w", j), self.strides[0][3]))
                value = self.rounded(e, e.load(here, self.source), self.source)
                weight = weight_at(f.add(across, self.entry(f, "tap_w", j)))
                term = e.call("fmuladd", LLVM[self.acc], value, weight, f.load(kind, total))
                f.store(kind, term, total)
        return f.load(kind, total)

    def _finish(
        self, f: Function, lanes: int, value: str, to: str, channel: str, count: str | None = None
    ) -> None:
        """Add the bias and store; count: how many lanes exist, if not all."""
        e = self.emitter(f, lanes)
        if self.bias:
            at = f.at(self.bias_at, f.mul(channel, self.word["bias_step"]))
            if self.last and lanes > 1:
                term = e.load(at, self.bias)
                term = self._as_acc(e, term, self.bias)
            else:
                one = self.emitter(f, 1)
                term = e.splat(
                    self._as_acc(one, one.load(at, self.bias), self.bias), LLVM[self.acc]
                )
            value = e.put(f"fadd {e.wide(LLVM[self.acc])} {value}, {term}")
        self.put(f, lanes, value, to, self.target, count)

    def put(
        self, f: Function, lanes: int, value: str, to: str, storage: str, count: str | None = None
    ) -> None:
        """Round accumulators and store them."""
        e = self.emitter(f, lanes)
        if self.acc == "f64" and storage != "f64":
            value = e.put(f"fptrunc {e.wide('double')} {value} to {e.wide('float')}")
        if self.acc == "f32" and storage == "f64":
            value = e.put(f"fpext {e.wide('float')} {value} to {e.wide('double')}")
        if count is None:
            e.store(value, to, storage)
        else:
            store_some(f, e.encode(value, storage), to, storage, lanes, count)

    def _as_acc(self, e: Emitter, value: str, storage: str) -> str:
        if self.acc == "f64" and storage != "f64":
            return e.put(f"fpext {e.wide('float')} {value} to {e.wide('double')}")
        if self.acc == "f32" and storage == "f64":
            return e.put(f"fptrunc {e.wide('double')} {value} to {e.wide('float')}")
        return value

    def _row_of_channels(self, f: Function, here: list[str], space: str, row: str) -> None:
        """A row of the target, all channels of each place, or of some together."""
        channels = self.word["channels"]
        line = f.at(here[1], f.mul(row, self.strides[1][2]))
        column = f.variable("i64", 0)
        with during(f, lambda: f.compare("slt", f.load("i64", column), self.word["columns"])):
            first = f.load("i64", column)
            done, count = 0, 1
            if self.windows:
                joint = f.let(f"trunc i64 {self.entry(f, 'joint_w', first)} to i1")
                many = LANES * VECTORS
                done = f.select(joint, f.mul(f.div(channels, many), many), 0)
                count = f.select(joint, JOINT, 1)
                with f.loop(0, done, many) as channel:
                    self._together(f, here[0], line, space, row, first, channel)
            with f.loop(first, f.add(first, count)) as at:
                self._channels(
                    f, here[0], f.at(line, f.mul(at, self.strides[1][3])), space, row, at, done
                )
            f.store("i64", f.add(first, count), column)

    def _channels(
        self, f: Function, source: str, target: str, space: str, row: str, column: str, done
    ) -> None:
        """Channels of one place, from `done` on."""
        size, channels = SIZE[self.acc], self.word["channels"]
        many = LANES * CHAINS
        most = f.add(done, f.mul(f.div(f.sub(channels, done), many), many))
        whole = f.mul(f.div(channels, LANES), LANES)
        for lanes, first, after in ((many, done, most), (LANES, most, whole), (1, whole, channels)):
            with f.loop(first, after, lanes) as channel:
                kind = self.emitter(f, lanes).wide(LLVM[self.acc])

                def weight_at(tap: str, kind=kind, channel=channel) -> str:
                    at = f.mul(f.add(f.mul(tap, channels), channel), size)
                    return f.load(kind, f.at(space, at), size)

                here = f.at(source, f.mul(channel, self.strides[0][1]))
                value = self._sum(f, lanes, here, row, column, weight_at)
                to = f.at(target, f.mul(channel, self.strides[1][1]))
                self._finish(f, lanes, value, to, channel)

    def _together(
        self, f: Function, source: str, line: str, space: str, row: str, column: str, channel: str
    ) -> None:
        """JOINT places of a row, VECTORS of channels: what their windows share is read and converted once."""
        window, size, steps = self.windows, SIZE[self.acc], self.strides[0]
        kind = f"<{LANES} x {LLVM[self.acc]}>"
        sums = {
            (p, v): f.variable(kind, "zeroinitializer")
            for p in range(JOINT)
            for v in range(VECTORS)
        }
        lowest = self.entry(f, "place_w", self.entry(f, "begin_w", column))
        if window.sign < 0:
            lowest = f.sub(lowest, window.taps - 1)
        lowest = f.add(f.mul(lowest, steps[3]), f.mul(channel, steps[1]))
        weights = f.at(space, f.mul(channel, size))
        with f.loop(*self.range(f, "h", row)) as i:
            here = f.at(source, f.add(lowest, f.mul(self.entry(f, "place_h", i), steps[2])))
            tap = f.mul(
                f.mul(self.entry(f, "tap_h", i), self.word["window_w"]), self.word["channels"]
            )
            rows = [
                f.at(weights, f.mul(f.add(tap, f.mul(self.word["channels"], j)), size))
                for j in range(window.taps)
            ]
            for c in range((JOINT - 1) * window.stride + window.taps):
                at = f.at(here, f.mul(steps[3], c))
                for v in range(VECTORS):
                    e = self.emitter(f, LANES)
                    near = f.at(at, v * LANES * SIZE[self.source])
                    value = self.rounded(e, e.load(near, self.source), self.source)
                    for p in range(JOINT):
                        j = c - p * window.stride
                        if 0 <= j < window.taps:
                            j = j if window.sign > 0 else window.taps - 1 - j
                            weight = f.load(kind, f.at(rows[j], v * LANES * size), size)
                            term = e.call(
                                "fmuladd", LLVM[self.acc], value, weight, f.load(kind, sums[p, v])
                            )
                            f.store(kind, term, sums[p, v])
        for (p, v), total in sums.items():
            to = f.at(line, f.mul(f.add(column, p), self.strides[1][3]))
            first = f.add(channel, v * LANES)
            to = f.at(to, f.mul(first, self.strides[1][1]))
            self._finish(f, LANES, f.load(kind, total), to, first)

    def _row_of_places(
        self, f: Function, here: list[str], weights: str, row: str, channel: str
    ) -> None:
        """A row of one plane, LANES places at once."""
        size, element = SIZE[self.acc], LLVM[self.acc]
        line = f.at(here[1], f.mul(row, self.strides[1][2]))
        columns = self.word["columns"]
        kind = f"<{LANES} x {element}>"
        sums = [f.variable(kind) for _ in range(CHAINS)]
        with f.loop(0, f.ceil_div(columns, LANES)) as group:
            for total in sums:
                f.store(kind, "zeroinitializer", total)
            with f.loop(*self.range(f, "h", row)) as i:
                source = f.at(here[0], f.mul(self.entry(f, "place_h", i), self.strides[0][2]))
                across = f.mul(self.entry(f, "tap_h", i), self.word["window_w"])
                with f.loop(*self.range(f, "w", group), CHAINS) as j:
                    for c, total in enumerate(sums):
                        entry = f.add(j, c)
                        e = self.emitter(f, LANES)
                        value = self.masked(f, e, source, entry, self.strides[0][3])
                        at = f.mul(f.add(across, self.entry(f, "tap_w", entry)), size)
                        weight = e.splat(f.load(element, f.at(weights, at), size), element)
                        f.store(
                            kind,
                            e.call("fmuladd", element, value, weight, f.load(kind, total)),
                            total,
                        )
            value = f.load(kind, sums[0])
            for total in sums[1:]:
                value = f.let(f"fadd {kind} {value}, {f.load(kind, total)}")
            first = f.mul(group, LANES)
            to = f.at(line, f.mul(first, self.strides[1][3]))
            self._finish(f, LANES, value, to, channel, f.sub(columns, first))

    def masked(self, f: Function, e: Emitter, source: str, entry: str, step: str) -> str:
        """The source places of a table's entry, as accumulators."""
        bits = {2: "i16", 4: "i32", 8: "i64"}[SIZE[self.source]]
        here = f.at(source, f.mul(self.entry(f, "place_w", entry), step))
        short = f.let(f"trunc i64 {self.entry(f, 'mask_w', entry)} to i{LANES}")
        mask = f.let(f"bitcast i{LANES} {short} to <{LANES} x i1>")
        raw = masked_load(f, here, bits, LANES, mask, SIZE[self.source])
        raw = f.let(f"bitcast <{LANES} x {bits}> {raw} to <{LANES} x {STORED[self.source]}>")
        return self.rounded(e, e.decode(raw, self.source), self.source)


@functools.cache
def address(
    source: str,
    weight: str,
    target: str,
    bias: str | None,
    compute: str,
    last: bool,
    windows: Windows | None = None,
) -> int:
    """The native entry for these storage types; windows: of rows, where channels are innermost."""
    writer = Writer(source, weight, target, bias, compute, last, windows)
    return jit.load(writer.text()).address("kernel")
