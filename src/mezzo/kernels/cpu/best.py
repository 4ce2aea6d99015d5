"""The few first elements of long lines, in order: a sorted list in registers that the line streams past.

Elements become integer keys, as for ranks (rank.py). A vector of them is compared with the last key of the list; what
comes before it, a few of a line in no order, is put in: every lane of the list takes its own key, the one
below it or the new one. Equal ones keep their order.

    args = [source, target, lines, serial, length, inner, count, flip]

A line is contiguous. Target gets the places of the first `count`, in order, `inner` elements apart: lines of the same
`inner` neighbours lie side by side there. flip: -1 for descending order, else 0.
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.emit import LANES, Emitter
from mezzo.kernels.cpu.fold import IOTA
from mezzo.kernels.cpu.rank import key_bytes, order_key
from mezzo.kernels.ir import COMPUTE, SIZE

MOST = 4 * LANES  # elements that are looked for
_WORDS = ("lines", "serial", "length", "inner", "count", "flip")
_PLACES = f"<{LANES} x i32>"


@functools.cache
def address(storage: str, vectors: int) -> int:
    """The native entry for lines of a storage type and lists of up to so many vectors."""
    return jit.load(_Writer(storage, vectors).text()).address("kernel")


def vectors_for(count: int) -> int:
    """How many vectors a list of `count` elements takes."""
    return next(v for v in (1, 2, 4) if v * LANES >= count)


class _Writer:
    """Writes the kernel of a storage type, with a list of `vectors` vectors of keys and of places.

    The list ends with the last lane; lanes before it hold the least of keys, which nothing comes before.
    """

    def __init__(self, storage: str, vectors: int):
        self.storage, self.compute, self.vectors = storage, COMPUTE[storage], vectors
        self.bits = 8 * key_bytes(self.compute)
        self.key, self.many = f"i{self.bits}", f"<{LANES} x i{self.bits}>"
        self.least, self.truth = -(1 << (self.bits - 1)), f"<{LANES} x i1>"

    def text(self) -> str:
        """The module."""
        self.program = program = Program()
        with program.function("body", "ptr %args, i64 %begin, i64 %end, i64 %worker") as f:
            source, target = f.load("ptr", "%args", 8), f.load("ptr", f.at("%args", 8), 8)
            self.word = {
                name: f.load("i64", f.at("%args", 8 * i), 8) for i, name in enumerate(_WORDS, 2)
            }
            flip = self.word["flip"]
            self.flip = flip if self.bits == 64 else f.let(f"trunc i64 {flip} to i32")
            self.keys = [f.variable(self.many) for _ in range(self.vectors)]
            self.places = [f.variable(_PLACES) for _ in range(self.vectors)]
            self.room = f.array(LANES * self.bits // 8)
            self.found = f.array(4 * LANES * self.vectors)
            inner, length, count = (self.word[n] for n in ("inner", "length", "count"))
            with f.loop("%begin", "%end") as line:
                self._scan(f, f.at(source, f.mul(line, f.mul(length, SIZE[self.storage]))))
                first = f.add(f.mul(f.mul(f.div(line, inner), count), inner), f.rem(line, inner))
                self._write(f, f.at(target, f.mul(first, 8)))
        with program.function("kernel", "ptr %args", linkage="") as f:
            lines, serial = (f.load("i64", f.at("%args", 8 * i), 8) for i in (2, 3))
            f.share("body", "%args", lines, serial)
        return program.text()

    def _scan(self, f: Function, line: str) -> None:
        """Fill the list from a line."""
        length, count = self.word["length"], self.word["count"]
        for keys in self.keys:
            f.store(self.many, f"splat ({self.key} {self.least})", keys)
        empty = f.sub(self.vectors * LANES, count)
        with f.loop(0, count) as j:
            key = self._load(f, f.at(line, f.mul(j, SIZE[self.storage])), 1)
            self._insert(f, key, j, f.add(empty, j))
        rest = f.sub(length, count)
        whole = f.add(count, f.let(f"and i64 {rest}, {-LANES}"))
        with f.loop(count, whole, LANES) as j:
            keys = self._load(f, f.at(line, f.mul(j, SIZE[self.storage])), LANES)
            self._take(f, f.let(f"icmp slt {self.many} {keys}, {self._last(f)}"), keys, j)
        with f.loop(whole, length) as j:
            self._insert(f, self._load(f, f.at(line, f.mul(j, SIZE[self.storage])), 1), j)

    def _load(self, f: Function, pointer: str, lanes: int) -> str:
        """The keys of elements."""
        e = Emitter(f.lines, self.program.declares, lanes, f.name("e") + "_", lambda e: "")
        key = order_key(f, self.compute, e.load(pointer, self.storage), lanes)
        kind = self.key if lanes == 1 else self.many
        return f.let(f"xor {kind} {key}, {e.splat(self.flip, self.key)}")

    def _last(self, f: Function) -> str:
        """The last key of the list, in every lane."""
        keys = f.load(self.many, self.keys[-1])
        order = ", ".join([f"i32 {LANES - 1}"] * LANES)
        return f.let(f"shufflevector {self.many} {keys}, {self.many} poison, {_PLACES} <{order}>")

    def _take(self, f: Function, before: str, keys: str, j: str) -> None:
        """Put the keys of a vector that begins at place j into the list, of the lanes in a mask."""
        bits = f.let(f"bitcast {self.truth} {before} to i{LANES}")
        with f.when(f.let(f"icmp ne i{LANES} {bits}, 0")):
            f.store(self.many, keys, self.room)
            left = f.variable("i64", f.let(f"zext i{LANES} {bits} to i64"))
            number = f.intrinsic("llvm.ctpop.i64", "i64", ("i64", f.load("i64", left)))
            with f.loop(0, number):
                have = f.load("i64", left)
                lane = f.intrinsic("llvm.cttz.i64", "i64", ("i64", have), ("i1", "true"))
                f.store("i64", f.let(f"and i64 {have}, {f.sub(have, 1)}"), left)
                key = f.load(self.key, f.at(self.room, f.mul(lane, self.bits // 8)))
                self._insert(f, key, f.add(j, lane))

    def _insert(self, f: Function, key: str, place: str, end: str = "") -> None:
        """Put a key into the list, behind those that are not larger. end: lanes from there on hold nothing yet."""
        e = Emitter(f.lines, self.program.declares, LANES, f.name("i") + "_", lambda e: "")
        new, at = e.splat(key, self.key), e.splat(f.let(f"trunc i64 {place} to i32"), "i32")
        keys = [f.load(self.many, k) for k in self.keys]
        places = [f.load(_PLACES, p) for p in self.places]
        least = f"splat ({self.key} {self.least})"
        for v in range(self.vectors):
            below = self._shifted(f, self.many, keys[v - 1] if v else least, keys[v])
            under = self._shifted(f, _PLACES, places[v - 1] if v else "zeroinitializer", places[v])
            stays = self._not_above(f, keys[v], new, end, v * LANES)
            fits = self._not_above(f, below, new, end, v * LANES - 1)
            for slot, kind, old, lower, value in (
                (self.keys[v], self.many, keys[v], below, new),
                (self.places[v], _PLACES, places[v], under, at),
            ):
                moved = f.let(f"select {self.truth} {fits}, {kind} {value}, {kind} {lower}")
                f.store(kind, f.let(f"select {self.truth} {stays}, {kind} {old}, {kind} {moved}"), slot)  # fmt: skip

    def _not_above(self, f: Function, keys: str, new: str, end: str, first: int) -> str:
        """Lanes that hold a key which comes before the new one; the first of them is number `first` of the list."""
        below = f.let(f"icmp sle {self.many} {keys}, {new}")
        if not end:
            return below
        e = Emitter(f.lines, self.program.declares, LANES, f.name("n") + "_", lambda e: "")
        left = e.splat(f.let(f"trunc i64 {f.sub(end, first)} to i32"), "i32")
        there = f.let(f"icmp slt {_PLACES} <{IOTA}>, {left}")
        return f.let(f"and {self.truth} {below}, {there}")

    @staticmethod
    def _shifted(f: Function, kind: str, lower: str, upper: str) -> str:
        """The lanes below: the last one of the vector below comes first."""
        order = ", ".join(f"i32 {LANES - 1 + i}" for i in range(LANES))
        return f.let(f"shufflevector {kind} {lower}, {kind} {upper}, {_PLACES} <{order}>")

    def _write(self, f: Function, target: str) -> None:
        """Store the places of the list."""
        for v, places in enumerate(self.places):
            f.store(_PLACES, f.load(_PLACES, places), f.at(self.found, 4 * LANES * v))
        count, inner = self.word["count"], self.word["inner"]
        first = f.at(self.found, f.mul(f.sub(self.vectors * LANES, count), 4))
        with f.loop(0, count) as j:
            place = f.load("i32", f.at(first, f.mul(j, 4)))
            f.store("i64", f.let(f"zext i32 {place} to i64"), f.at(target, f.mul(f.mul(j, inner), 8)))  # fmt: skip
