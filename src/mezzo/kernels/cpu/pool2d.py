"""Pooling: windows of images, given by tables, folded to one value; and the ways back.

    max        largest of each window, and where it stands (row-major in the plane)
    max_back   each pixel's sum of the gradients of the windows that chose it
    take       the elements at given places
    avg        sum of each window over its divisor
    avg_back   each pixel's sum of gradient over divisor of the windows that hold it

All but take walk the places of the *target* and, for each, a range of rows and columns of the
*source*: no two threads write one place, and sums have one order. Lanes run along channels where those
are innermost; else a unit is one row of one plane, of which max folds LANES places at a time. max_back there has planes as units: the
gradients of a plane's windows are added to the pixels that they chose, in memory of the thread.

    args  = [block, tensors...]
    block = WORDS, then byte strides (n, c, h, w) of each tensor
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.lanes import load_some, splat, store_some
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.conv.direct_weight import elements_at
from mezzo.kernels.cpu.emit import LANES, LLVM, Emitter, literal
from mezzo.kernels.ir import COMPUTE, FLOATS, SIZE

WORDS = ("units", "serial", "channels", "rows", "columns", "width", "step_h", "step_w", "divisor",
         "first_h", "after_h", "first_w", "after_w", "weight_h", "weight_w", "most_w", "source_rows", "source_columns",
         "lane_bytes")  # fmt: skip
# Tensors of each kind in the order of the arguments; the first is what is written.
TENSORS = {"max": 3, "max_back": 3, "take": 3, "avg": 2, "avg_back": 2}
_LOWEST = {
    "f32": float("-inf"),
    "f64": float("-inf"),
    "i64": -(2**63),
    "i32": -(2**31),
    "i16": -(2**15),
    "i8": -128,
    "u8": 0,
}


class _Writer:
    """Writes one kernel: kind, storage types of its tensors, whether channels are innermost."""

    def __init__(self, kind: str, storages: tuple[str, ...], last: bool):
        self.kind, self.storages, self.last = kind, storages, last
        self.program = Program()
        self.type = COMPUTE[storages[0]]
        self.is_float = self.type in FLOATS

    def text(self) -> str:
        """The module."""
        self.program.declares.add("declare void @mezzo_parallel(ptr, ptr, i64)")
        with self.program.function("body", "ptr %args, i64 %begin, i64 %end, i64 %worker") as f:
            self._units(f)
        with self.program.function("kernel", "ptr %args", linkage="") as f:
            block = f.load("ptr", "%args", 8)
            units, serial = f.load("i64", block, 8), f.load("i64", f.at(block, 8), 8)
            alone = f.compare("ne", serial, 0)
            with f.when(alone):
                f.call("body", "void", "ptr %args", "i64 0", f"i64 {units}", "i64 0")
            with f.unless(alone):
                f.call("mezzo_parallel", "void", "ptr @body", "ptr %args", f"i64 {units}")
        return self.program.text()

    def _units(self, f: Function) -> None:
        block = f.load("ptr", "%args", 8)
        self.word = {name: f.load("i64", f.at(block, 8 * i), 8) for i, name in enumerate(WORDS)}
        self.table = {
            name: f.let(f"inttoptr i64 {self.word[name]} to ptr")
            for name in ("first_h", "after_h", "first_w", "after_w", "weight_h", "weight_w")
        }
        bases, strides = [], []
        for t in range(len(self.storages)):
            bases.append(f.load("ptr", f.at("%args", 8 * (t + 1)), 8))
            at = 8 * (len(WORDS) + 4 * t)
            strides.append([f.load("i64", f.at(block, at + 8 * i), 8) for i in range(4)])
        self.strides = strides
        if by_planes(self.kind, self.last):
            space = f.load("ptr", f.at("%args", 8 * (len(self.storages) + 1)), 8)
            space = f.at(space, f.mul("%worker", self.word["lane_bytes"]))
            with f.loop("%begin", "%end") as plane:
                self._plane_back(f, self._planes(f, plane, bases), space)
            return
        with f.loop("%begin", "%end") as unit:
            row = f.rem(unit, self.word["rows"])
            plane = f.div(unit, self.word["rows"])
            if self.last:
                here = [f.at(b, f.mul(plane, s[0])) for b, s in zip(bases, strides)]
            else:
                here = self._planes(f, plane, bases)
            by_rows = self.kind == "max" and not self.last
            with f.loop(0, self.word["columns"], LANES if by_rows else 1) as column:
                (self._max_row if by_rows else self._place)(f, here, row, column)

    def _planes(self, f: Function, plane: str, bases: list[str]) -> list[str]:
        """Where a plane begins in each tensor."""
        image, channel = (how(plane, self.word["channels"]) for how in (f.div, f.rem))
        return [
            f.at(b, f.add(f.mul(image, s[0]), f.mul(channel, s[1])))
            for b, s in zip(bases, self.strides)
        ]

    def _place(self, f: Function, bases: list[str], row: str, column: str) -> None:
        """One place of the target, for one channel or for all."""
        target = f.add(f.mul(row, self.strides[0][2]), f.mul(column, self.strides[0][3]))
        reach = {}
        if self.kind != "take":
            for axis, at in (("h", row), ("w", column)):
                for end in ("first", "after"):
                    reach[end + axis] = self._entry(f, f"{end}_{axis}", at)
        where = (target, row, column, reach)
        if not self.last:
            self._cell(f, 1, bases, where)
            return
        channels = self.word["channels"]
        lanes = 1 if self.kind == "take" else LANES
        whole = f.mul(f.div(channels, lanes), lanes)
        for width, begin, end in ((lanes, 0, whole), (1, whole, channels)):
            with f.loop(begin, end, width) as channel:
                moved = [f.at(b, f.mul(channel, s[1])) for b, s in zip(bases, self.strides)]
                self._cell(f, width, moved, where)

    def _entry(self, f: Function, name: str, index: str) -> str:
        return f.load("i64", f.at(self.table[name], f.mul(index, 8)), 8)

    def _emitter(self, f: Function, lanes: int) -> Emitter:
        return Emitter(f.lines, f.program.declares, lanes, f.name("e") + "_", lambda e: "")

    def _cell(self, f: Function, lanes: int, bases: list[str], where: tuple) -> None:
        getattr(self, "_" + self.kind)(f, lanes, bases, *where)

    def _sources(self, f: Function, reach: dict):
        """Loops over the source range; yields row and column."""
        return f.loop(reach["firsth"], reach["afterh"], self.word["step_h"]), lambda: f.loop(
            reach["firstw"], reach["afterw"], self.word["step_w"]
        )

    def _offset(self, f: Function, tensor: int, row: str, column: str) -> str:
        return f.add(f.mul(row, self.strides[tensor][2]), f.mul(column, self.strides[tensor][3]))

    # ---- rows and planes whose pixels are neighbours

    def _max_row(self, f: Function, bases: list[str], row: str, column: str) -> None:
        """LANES places of a row: the largest of each window, the first of equals, or the last that is not a number."""
        e = self._emitter(f, LANES)
        kind, places, longs = e.wide(LLVM[self.type]), e.wide("i32"), e.wide("i64")
        count = f.sub(self.word["columns"], column)
        first, after = (
            load_some(f, f.at(self.table[name], f.mul(column, 8)), "i64", LANES, count)
            for name in ("first_w", "after_w")
        )
        begin, end = self._entry(f, "first_h", row), self._entry(f, "after_h", row)
        best = f.variable(kind)
        f.store(kind, e.const(_LOWEST[self.type], self.type), best)
        chosen = f.variable(places)
        f.store(places, self._numbers(f, begin, first), chosen)
        step = splat(f, "i64", self.strides[2][3], LANES)
        with f.loop(begin, end, self.word["step_h"]) as r, f.loop(0, self.word["most_w"]) as tap:
            e = self._emitter(f, LANES)
            moved = splat(f, "i64", f.mul(tap, self.word["step_w"]), LANES)
            c = f.let(f"add {longs} {first}, {moved}")
            inside = f.let(f"icmp slt {longs} {c}, {after}")
            line = f.at(bases[2], f.mul(r, self.strides[2][2]))
            raw = elements_at(f, line, f.let(f"mul {longs} {c}, {step}"), self.storages[2], LANES, inside)  # fmt: skip
            value, before = e.decode(raw, self.storages[2]), f.load(kind, best)
            takes = f.let(f"and {e.wide('i1')} {self._takes(f, e, value, before)}, {inside}")
            value = f.let(f"select {e.wide('i1')} {takes}, {kind} {value}, {kind} {before}")
            f.store(kind, value, best)
            here, place = self._numbers(f, r, c), f.load(places, chosen)
            place = f.let(f"select {e.wide('i1')} {takes}, {places} {here}, {places} {place}")
            f.store(places, place, chosen)
        e = self._emitter(f, LANES)
        value = e.encode(f.load(kind, best), self.storages[0])
        store_some(f, value, f.at(bases[0], self._offset(f, 0, row, column)), self.storages[0], LANES, count)  # fmt: skip
        store_some(f, f.load(places, chosen), f.at(bases[1], self._offset(f, 1, row, column)), "i32", LANES, count)  # fmt: skip

    def _numbers(self, f: Function, row: str, columns: str) -> str:
        """Places of a plane as i32, row-major."""
        line = splat(f, "i64", f.mul(row, self.word["width"]), LANES)
        number = f.let(f"add <{LANES} x i64> {line}, {columns}")
        return f.let(f"trunc <{LANES} x i64> {number} to <{LANES} x i32>")

    def _plane_back(self, f: Function, bases: list[str], space: str) -> None:
        """Gradients of a plane's windows, added in their order; then rounded once."""
        kind, size = LLVM[self.type], SIZE[self.type]
        rows, columns = self.word["rows"], self.word["columns"]
        zero = "zeroinitializer"
        with f.loop(0, f.mul(rows, columns), LANES) as at:
            f.store(f"<{LANES} x {kind}>", zero, f.at(space, f.mul(at, size)), size)
        limit = f.mul(rows, columns)
        with (
            f.loop(0, self.word["source_rows"]) as r,
            f.loop(0, self.word["source_columns"]) as c,
        ):
            e = self._emitter(f, 1)
            chosen = f.let(f"sext i32 {e.load(f.at(bases[2], self._offset(f, 2, r, c)), 'i32')} to i64")  # fmt: skip
            value = e.load(f.at(bases[1], self._offset(f, 1, r, c)), self.storages[1])
            with f.when(f.compare("ult", chosen, limit)):
                here = f.at(space, f.mul(chosen, size))
                how = "fadd" if self.is_float else "add"
                f.store(kind, f.let(f"{how} {kind} {f.load(kind, here, size)}, {value}"), here, size)  # fmt: skip
        with f.loop(0, rows) as r:
            line = f.at(bases[0], f.mul(r, self.strides[0][2]))
            near = f.at(space, f.mul(f.mul(r, columns), size))
            with f.loop(0, columns, LANES) as c:
                e = self._emitter(f, LANES)
                value = f.load(f"<{LANES} x {kind}>", f.at(near, f.mul(c, size)), size)
                to = f.at(line, f.mul(c, SIZE[self.storages[0]]))
                raw = e.encode(value, self.storages[0])
                store_some(f, raw, to, self.storages[0], LANES, f.sub(columns, c))

    # ---- kinds

    def _takes(self, f: Function, e: Emitter, value: str, before: str) -> str:
        """Whether a value takes the place of the largest before."""
        kind = e.wide(LLVM[self.type])
        if not self.is_float:
            how = "ugt" if self.type == "u8" else "sgt"
            return f.let(f"icmp {how} {kind} {value}, {before}")
        larger = f.let(f"fcmp ogt {kind} {value}, {before}")
        nan = f.let(f"fcmp uno {kind} {value}, {value}")
        return f.let(f"or {e.wide('i1')} {larger}, {nan}")

    def _max(self, f, lanes, bases, target, row, column, reach) -> None:
        e = self._emitter(f, lanes)
        kind, places = e.wide(LLVM[self.type]), e.wide("i32")
        best = f.variable(kind, e.const(_LOWEST[self.type], self.type))
        first = f.add(f.mul(reach["firsth"], self.word["width"]), reach["firstw"])
        chosen = f.variable(places, e.splat(f.let(f"trunc i64 {first} to i32"), "i32"))
        rows, columns = self._sources(f, reach)
        with rows as r, columns() as c:
            e = self._emitter(f, lanes)
            value = e.load(f.at(bases[2], self._offset(f, 2, r, c)), self.storages[2])
            here = e.splat(
                f.let(f"trunc i64 {f.add(f.mul(r, self.word['width']), c)} to i32"), "i32"
            )
            before, place = f.load(kind, best), f.load(places, chosen)
            takes = self._takes(f, e, value, before)
            f.store(
                kind, f.let(f"select {e.wide('i1')} {takes}, {kind} {value}, {kind} {before}"), best
            )
            f.store(
                places,
                f.let(f"select {e.wide('i1')} {takes}, {places} {here}, {places} {place}"),
                chosen,
            )
        e = self._emitter(f, lanes)
        e.store(f.load(kind, best), f.at(bases[0], target), self.storages[0])
        e.store(f.load(places, chosen), f.at(bases[1], self._offset(f, 1, row, column)), "i32")

    def _max_back(self, f, lanes, bases, target, row, column, reach) -> None:
        e = self._emitter(f, lanes)
        kind = e.wide(LLVM[self.type])
        total = f.variable(kind, "zeroinitializer" if lanes > 1 else literal(0, self.type))
        me = e.splat(
            f.let(f"trunc i64 {f.add(f.mul(row, self.word['width']), column)} to i32"), "i32"
        )
        rows, columns = self._sources(f, reach)
        with rows as r, columns() as c:
            e = self._emitter(f, lanes)
            chosen = e.load(f.at(bases[2], self._offset(f, 2, r, c)), "i32")
            value = e.load(f.at(bases[1], self._offset(f, 1, r, c)), self.storages[1])
            mine = f.let(f"icmp eq {e.wide('i32')} {chosen}, {me}")
            before = f.load(kind, total)
            after = f.let(f"{'fadd' if self.is_float else 'add'} {kind} {before}, {value}")
            f.store(
                kind, f.let(f"select {e.wide('i1')} {mine}, {kind} {after}, {kind} {before}"), total
            )
        self._emitter(f, lanes).store(f.load(kind, total), f.at(bases[0], target), self.storages[0])

    def _take(self, f, lanes, bases, target, row, column, reach) -> None:
        e = self._emitter(f, 1)
        chosen = e.load(f.at(bases[2], self._offset(f, 2, row, column)), "i32")
        chosen = f.let(f"sext i32 {chosen} to i64")
        r, c = f.div(chosen, self.word["width"]), f.rem(chosen, self.word["width"])
        value = e.load(f.at(bases[1], self._offset(f, 1, r, c)), self.storages[1])
        e.store(value, f.at(bases[0], target), self.storages[0])

    def _weight(self, f: Function, row: str, column: str) -> str:
        """The divisor of a window, in the compute type."""
        own = f.mul(self._entry(f, "weight_h", row), self._entry(f, "weight_w", column))
        fixed = self.word["divisor"]
        chosen = f.select(f.compare("ne", fixed, 0), fixed, own)
        if self.is_float:
            return f.let(f"sitofp i64 {chosen} to {LLVM[self.type]}")
        return chosen if self.type == "i64" else f.let(f"trunc i64 {chosen} to {LLVM[self.type]}")

    def _avg(self, f, lanes, bases, target, row, column, reach) -> None:
        e = self._emitter(f, lanes)
        kind = e.wide(LLVM[self.type])
        total = f.variable(kind, "zeroinitializer" if lanes > 1 else literal(0, self.type))
        rows, columns = self._sources(f, reach)
        with rows as r, columns() as c:
            e = self._emitter(f, lanes)
            value = e.load(f.at(bases[1], self._offset(f, 1, r, c)), self.storages[1])
            f.store(
                kind,
                f.let(
                    f"{'fadd' if self.is_float else 'add'} {kind} {f.load(kind, total)}, {value}"
                ),
                total,
            )
        e = self._emitter(f, lanes)
        by = e.splat(self._weight(f, row, column), LLVM[self.type])
        mean = f.let(f"{'fdiv' if self.is_float else 'sdiv'} {kind} {f.load(kind, total)}, {by}")
        e.store(mean, f.at(bases[0], target), self.storages[0])

    def _avg_back(self, f, lanes, bases, target, row, column, reach) -> None:
        e = self._emitter(f, lanes)
        kind = e.wide(LLVM[self.type])
        total = f.variable(kind, "zeroinitializer" if lanes > 1 else literal(0, self.type))
        rows, columns = self._sources(f, reach)
        with rows as r, columns() as c:
            e = self._emitter(f, lanes)
            value = e.load(f.at(bases[1], self._offset(f, 1, r, c)), self.storages[1])
            by = e.splat(self._weight(f, r, c), LLVM[self.type])
            part = f.let(f"{'fdiv' if self.is_float else 'sdiv'} {kind} {value}, {by}")
            f.store(
                kind,
                f.let(f"{'fadd' if self.is_float else 'add'} {kind} {f.load(kind, total)}, {part}"),
                total,
            )
        self._emitter(f, lanes).store(f.load(kind, total), f.at(bases[0], target), self.storages[0])


def by_planes(kind: str, last: bool) -> bool:
    """Whether units are planes, which take memory for each thread."""
    return kind == "max_back" and not last


def room(kind: str, storages: tuple[str, ...], places: int) -> int:
    """Bytes of that memory for planes of so many places."""
    return (places + LANES) * SIZE[COMPUTE[storages[0]]] + 63 & -64


@functools.cache
def address(kind: str, storages: tuple[str, ...], last: bool) -> int:
    """The native entry for tensors of these storage types."""
    return jit.load(_Writer(kind, storages, last).text()).address("kernel")


def sizes(storages: tuple[str, ...]) -> tuple[int, ...]:
    """Bytes of an element of each tensor."""
    return tuple(SIZE[s] for s in storages)
