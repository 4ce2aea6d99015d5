"""Vectors through tables: a group of lanes is a few pieces, each of neighbours in memory.

A piece is a start (such that lane i lies at start + i * size) and a mask of its lanes. One masked load per
piece, and lanes that leave the image are masked out too: nothing outside the buffer is ever read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mezzo.kernels.cpu.contract.lanes import MEMORY, SIZE, splat, wide
from mezzo.kernels.cpu.contract.writer import Function, Value
from mezzo.kernels.cpu.conv.axes import AT

_BITS = {1: "i8", 2: "i16", 4: "i32", 8: "i64"}


@contextmanager
def during(f: Function, condition: Callable[[], str]) -> Iterator[None]:
    """while condition(): the block."""
    head, body, done = (f.name(hint) for hint in ("while", "turn", "over"))
    f.do(f"br label %{head}")
    f.start(head)
    f.do(f"br i1 {condition()}, label %{body}, label %{done}")
    f.start(body)
    yield
    f.do(f"br label %{head}")
    f.start(done)


def word(f: Function, axis: str, name: str, kind: str = "i64") -> str:
    """A word of an axis' block."""
    return f.load(kind, f.at(axis, AT[name]), 8)


def masked_load(f: Function, pointer: str, bits: str, width: int, mask: str, align: int) -> str:
    """Integers of the lanes in the mask; zeros elsewhere."""
    vector = wide(bits, width)
    name = f"llvm.masked.load.v{width}{bits}.p0"
    f.program.declares.add(f"declare {vector} @{name}(ptr, <{width} x i1>, {vector})")
    return f.let(
        f"call {vector} @{name}(ptr align {align} {pointer}, <{width} x i1> {mask}, {vector} zeroinitializer)"
    )


class Cursor:
    """A position on an axis that moves one by one: no division but the first."""

    def __init__(self, f: Function, axis: str, start: Value, dims: int):
        self.axis, self.dims = axis, dims
        self.period, self.big = word(f, axis, "period"), word(f, axis, "big")
        self.offsets = word(f, axis, "offsets", "ptr")
        self.places = [word(f, axis, f"place{d}", "ptr") for d in range(dims)]
        self.cycle = f.variable("i64", f.div(start, self.period))
        self.index = f.variable("i64", f.rem(start, self.period))

    def read(self, f: Function) -> tuple[str, list[str]]:
        """Byte offset and coordinates (i32) here."""
        index = f.load("i64", self.index)
        offset = f.load("i64", f.at(self.offsets, f.mul(index, 8)), 8)
        offset = f.add(offset, f.mul(f.load("i64", self.cycle), self.big))
        return offset, [f.load("i32", f.at(p, f.mul(index, 4)), 4) for p in self.places]

    def step(self, f: Function) -> None:
        """One further."""
        after = f.add(f.load("i64", self.index), 1)
        wraps = f.compare("sge", after, self.period)
        f.store("i64", f.select(wraps, 0, after), self.index)
        cycle = f.load("i64", self.cycle)
        f.store("i64", f.select(wraps, f.add(cycle, 1), cycle), self.cycle)


class Group:
    """The pieces of `width` neighbouring indices of an axis, on the stack."""

    def __init__(self, f: Function, width: int, storage: str, dims: int):
        self.width, self.storage, self.size, self.dims = width, storage, SIZE[storage], dims
        self.count = f.variable("i64", 0)
        self.starts, self.masks = f.array(8 * width), f.array(8 * width)
        self.places = [f.variable(wide("i32", width)) for _ in range(dims)]

    def fill(self, f: Function, axis: str, first: Value, many: Value) -> None:
        """Find the pieces of indices first to first + many (at most the width)."""
        period, big = word(f, axis, "period"), word(f, axis, "big")
        offsets, runs = word(f, axis, "offsets", "ptr"), word(f, axis, "runs", "ptr")
        tables = [word(f, axis, f"place{d}", "ptr") for d in range(self.dims)]
        for place in self.places:
            f.store(wide("i32", self.width), "zeroinitializer", place)
        f.store("i64", 0, self.count)
        cycle, index = (
            f.variable("i64", f.div(first, period)),
            f.variable("i64", f.rem(first, period)),
        )
        lane = f.variable("i64", 0)
        with during(f, lambda: f.compare("slt", f.load("i64", lane), many)):
            here, at, count = f.load("i64", lane), f.load("i64", index), f.load("i64", self.count)
            run = f.load("i64", f.at(runs, f.mul(at, 8)), 8)
            length = f.min(run, f.sub(many, here))
            start = f.add(
                f.mul(f.load("i64", cycle), big), f.load("i64", f.at(offsets, f.mul(at, 8)), 8)
            )
            start = f.sub(start, f.mul(here, self.size))
            bits = f.let(f"shl i64 {f.sub(f.let(f'shl i64 1, {length}'), 1)}, {here}")
            f.store("i64", start, f.at(self.starts, f.mul(count, 8)), 8)
            f.store("i64", bits, f.at(self.masks, f.mul(count, 8)), 8)
            for place, table in zip(self.places, tables):
                near = f.at(table, f.mul(f.sub(at, here), 4))
                found = masked_load(f, near, "i32", self.width, self._mask(f, bits), 4)
                vector = wide("i32", self.width)
                f.store(vector, f.let(f"or {vector} {f.load(vector, place)}, {found}"), place)
            f.store("i64", f.add(here, length), lane)
            f.store("i64", f.add(count, 1), self.count)
            after = f.add(at, length)
            wraps = f.compare("sge", after, period)
            f.store("i64", f.select(wraps, 0, after), index)
            now = f.load("i64", cycle)
            f.store("i64", f.select(wraps, f.add(now, 1), now), cycle)

    def _mask(self, f: Function, bits: str) -> str:
        short = f.let(f"trunc i64 {bits} to i{self.width}")
        return f.let(f"bitcast i{self.width} {short} to <{self.width} x i1>")

    def inside(self, f: Function, axis: str, places: list[str]) -> str | None:
        """The lanes whose coordinates plus `places` stay within the image; None: all do."""
        valid = None
        vector = wide("i32", self.width)
        for d, (mine, other) in enumerate(zip(self.places, places)):
            size = f.let(f"trunc i64 {word(f, axis, f'size{d}')} to i32")
            both = f.let(
                f"add {vector} {f.load(vector, mine)}, {splat(f, 'i32', other, self.width)}"
            )
            fits = f.let(f"icmp ult {vector} {both}, {splat(f, 'i32', size, self.width)}")
            valid = fits if valid is None else f.let(f"and <{self.width} x i1> {valid}, {fits}")
        return valid

    def _pieces(self, f: Function, base: str, valid: str | None, exists: str | None):
        """Yield pointer and mask of every piece, inside a loop."""
        count = f.load("i64", self.count)
        if exists is not None:
            count = f.select(exists, count, 0)
        return count, lambda j: self._piece(f, base, valid, j)

    def _piece(self, f: Function, base: str, valid: str | None, j: str) -> tuple[str, str]:
        start = f.load("i64", f.at(self.starts, f.mul(j, 8)), 8)
        mask = self._mask(f, f.load("i64", f.at(self.masks, f.mul(j, 8)), 8))
        if valid is not None:
            mask = f.let(f"and <{self.width} x i1> {mask}, {valid}")
        return f.at(base, start), mask

    def load(self, f: Function, base: str, valid: str | None, exists: str | None = None) -> str:
        """The raw elements; zeros in lanes that do not exist."""
        bits = _BITS[self.size]
        vector = wide(bits, self.width)
        total = f.variable(vector)
        f.store(vector, "zeroinitializer", total)
        count, piece = self._pieces(f, base, valid, exists)
        with f.loop(0, count) as j:
            pointer, mask = piece(j)
            found = masked_load(f, pointer, bits, self.width, mask, self.size)
            f.store(vector, f.let(f"or {vector} {f.load(vector, total)}, {found}"), total)
        return f.let(
            f"bitcast {vector} {f.load(vector, total)} to {wide(MEMORY[self.storage], self.width)}"
        )

    def store(self, f: Function, base: str, raw: str) -> None:
        """Store the raw elements of the lanes that exist."""
        bits = _BITS[self.size]
        vector = wide(bits, self.width)
        value = f.let(f"bitcast {wide(MEMORY[self.storage], self.width)} {raw} to {vector}")
        name = f"llvm.masked.store.v{self.width}{bits}.p0"
        f.program.declares.add(f"declare void @{name}({vector}, ptr, <{self.width} x i1>)")
        count, piece = self._pieces(f, base, None, None)
        with f.loop(0, count) as j:
            pointer, mask = piece(j)
            f.do(
                f"call void @{name}({vector} {value}, ptr align {self.size} {pointer}, <{self.width} x i1> {mask})"
            )


def clamp(f: Function, value: Value, limit: int) -> str:
    """value within 0 .. limit."""
    return f.max(f.min(value, limit), 0)
