"""Ranks in short lines: where each element of a line comes in order, found by comparing it with all others.

For lines of some dozens of elements that is less work than sorting them, and none of it branches. Elements become
integer keys that order as they do (NaN last, -0 like 0), in a room on the stack; equal ones keep their order.

    args = [source, target, lines, serial, length, inner, first, count, flip, mode]

A line is every inner-th element of dense memory. Target gets the places in the line of the elements of the ranks
first, ..., first + count - 1. flip: -1 for descending order, else 0. mode: PLAIN, or which median is wanted.
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.emit import LANES, LLVM, Emitter
from mezzo.kernels.ir import COMPUTE, FLOATS, SIZE

LONGEST = 512
PLAIN, MEDIAN, NANMEDIAN = range(3)
_WORDS = ("lines", "serial", "length", "inner", "first", "count", "flip", "mode")


@functools.cache
def address(storage: str) -> int:
    """The native entry for lines of a storage type."""
    return jit.load(_Writer(storage).text()).address("kernel")


def key_bytes(compute: str) -> int:
    """Of the integers that order as values of a compute type do."""
    return 8 if compute in ("f64", "i64") else 4


def order_key(f: Function, kind: str, value: str, lanes: int = 1) -> str:
    """Integers whose order is that of values of a compute type; NaN becomes the largest."""
    bits = 8 * key_bytes(kind)

    def wide(text: str) -> str:
        return text if lanes == 1 else f"<{lanes} x {text}>"

    def fixed(text: str, number: object) -> str:
        return str(number) if lanes == 1 else f"splat ({text} {number})"

    key, name = f"i{bits}", LLVM[kind]
    if kind in FLOATS:
        whole = f.let(f"fadd {wide(name)} {value}, {fixed(name, '0.0')}")  # -0 becomes 0
        pattern = f.let(f"bitcast {wide(name)} {whole} to {wide(key)}")
        # Of negative numbers the larger pattern is the smaller number.
        sign = f.let(f"ashr {wide(key)} {pattern}, {fixed(key, bits - 1)}")
        rest = f.let(f"lshr {wide(key)} {sign}, {fixed(key, 1)}")
        found = f.let(f"xor {wide(key)} {pattern}, {rest}")
        bad = f.let(f"fcmp uno {wide(name)} {value}, {value}")
        largest = fixed(key, (1 << (bits - 1)) - 1)
        return f.let(f"select {wide('i1')} {bad}, {wide(key)} {largest}, {wide(key)} {found}")
    if name == key:
        return value
    how = "zext" if kind in ("b1", "u8") else "sext"
    return f.let(f"{how} {wide(name)} {value} to {wide(key)}")


class _Writer:
    """Writes the kernel of a storage type."""

    def __init__(self, storage: str):
        self.storage, self.compute = storage, COMPUTE[storage]
        self.bytes = key_bytes(self.compute)
        self.key = f"i{8 * self.bytes}"
        self.last = (
            1 << (8 * self.bytes - 1)
        ) - 1  # the key of NaN, and of what lies behind a line

    def text(self) -> str:
        """The module."""
        program = Program()
        program.declares.add(f"declare i{LANES} @llvm.ctpop.i{LANES}(i{LANES})")
        with program.function("body", "ptr %args, i64 %begin, i64 %end, i64 %worker") as f:
            source, target = f.load("ptr", "%args", 8), f.load("ptr", f.at("%args", 8), 8)
            self.word = {
                name: f.load("i64", f.at("%args", 8 * i), 8) for i, name in enumerate(_WORDS, 2)
            }
            self.keys = f.array(self.bytes * (LONGEST + LANES))
            inner, length, count = (self.word[n] for n in ("inner", "length", "count"))
            with f.loop("%begin", "%end") as line:
                outer, place = f.div(line, inner), f.rem(line, inner)
                start = f.add(f.mul(f.mul(outer, length), inner), place)
                self._fill(f, f.at(source, f.mul(start, SIZE[self.storage])))
                begin = f.add(f.mul(f.mul(outer, count), inner), place)
                self._ranks(f, f.at(target, f.mul(begin, 8)), self._first(f))
        with program.function("kernel", "ptr %args", linkage="") as f:
            lines, serial = (f.load("i64", f.at("%args", 8 * i), 8) for i in (2, 3))
            f.share("body", "%args", lines, serial)
        return program.text()

    def _at(self, f: Function, j) -> str:
        return f.at(self.keys, f.mul(j, self.bytes))

    def _fill(self, f: Function, line: str) -> None:
        """The keys of a line."""
        length, step = self.word["length"], f.mul(self.word["inner"], SIZE[self.storage])
        flip = self.word["flip"]
        flip = flip if self.bytes == 8 else f.let(f"trunc i64 {flip} to i32")
        with f.loop(0, length) as j:
            e = Emitter(f.lines, f.program.declares, 1, f.name("e") + "_", lambda e: "")
            key = order_key(f, self.compute, e.load(f.at(line, f.mul(j, step)), self.storage))
            f.store(self.key, f.let(f"xor {self.key} {key}, {flip}"), self._at(f, j))
        for i in range(LANES):
            f.store(self.key, self.last, self._at(f, f.add(length, i)))

    def _first(self, f: Function) -> str:
        """The first rank that is wanted."""
        n, mode, first = self.word["length"], self.word["mode"], f.variable("i64", self.word["first"])  # fmt: skip
        plain = f.compare("eq", mode, PLAIN)
        with f.unless(plain):
            numbers = f.variable("i64", 0)
            with f.loop(0, n) as j:
                is_number = f.let(f"icmp ne {self.key} {f.load(self.key, self._at(f, j))}, {self.last}")  # fmt: skip
                one = f.let(f"zext i1 {is_number} to i64")
                f.store("i64", f.add(f.load("i64", numbers), one), numbers)
            have = f.load("i64", numbers)
            # With a NaN the median is the first of them; leaving NaN out, the middle of the rest.
            strict = f.select(f.compare("slt", have, n), have, f.div(f.sub(n, 1), 2))
            some = f.select(f.compare("eq", have, 0), 1, have)
            loose = f.div(f.sub(some, 1), 2)
            f.store("i64", f.select(f.compare("eq", mode, MEDIAN), strict, loose), first)
        return f.load("i64", first)

    def _ranks(self, f: Function, target: str, first: str) -> None:
        """Every element's rank: how many come before it. Of equal ones those do that stand in front of it."""
        length, inner = self.word["length"], self.word["inner"]
        many, mask = f"<{LANES} x {self.key}>", f"<{LANES} x i1>"
        lanes = "<" + ", ".join(f"i64 {i}" for i in range(LANES)) + ">"
        with f.loop(0, length) as at:
            own = self._spread(f, self.key, f.load(self.key, self._at(f, at)))
            block = f.let(f"and i64 {at}, {-LANES}")
            rank = f.variable("i64", f.sub(0, first))

            def count(before: str, rank: str = rank) -> None:
                bits = f.let(f"bitcast {mask} {before} to i{LANES}")
                found = f.call(f"llvm.ctpop.i{LANES}", f"i{LANES}", f"i{LANES} {bits}")
                more = f.let(f"zext i{LANES} {found} to i64")
                f.store("i64", f.add(f.load("i64", rank), more), rank)

            def compare(test: str, j, own: str = own) -> str:
                others = f.load(many, self._at(f, j), self.bytes)
                return f.let(f"icmp {test} {many} {others}, {own}")

            with f.loop(0, block, LANES) as j:
                count(compare("sle", j))
            place = self._spread(f, "i64", f.sub(at, block))
            front = f.let(f"icmp slt <{LANES} x i64> {lanes}, {place}")
            equal = f.let(f"and {mask} {compare('eq', block)}, {front}")
            count(f.let(f"or {mask} {compare('slt', block)}, {equal}"))
            with f.loop(f.add(block, LANES), length, LANES) as j:
                count(compare("slt", j))
            found = f.load("i64", rank)
            with f.when(f.compare("ult", found, self.word["count"])):
                f.store("i64", at, f.at(target, f.mul(f.mul(found, inner), 8)))

    def _spread(self, f: Function, kind: str, value: str) -> str:
        many = f"<{LANES} x {kind}>"
        one = f.let(f"insertelement {many} poison, {kind} {value}, i64 0")
        return f.let(f"shufflevector {many} {one}, {many} poison, <{LANES} x i32> zeroinitializer")
