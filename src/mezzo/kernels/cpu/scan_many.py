"""Scans of many lines at once (see scan.py for what they are and for their arguments).

    wide    lines lie side by side: a unit is `chunk` of them, whose accumulators wait in memory of the thread while
            every step goes along a whole stretch of memory
    turned  lines lie one behind another: LANES of them are turned in registers, LANES steps at a time, so that each
            has a lane of the accumulators and every line of the cache is read and written once

Elements are taken in order in both, so they have the bits that a line alone has.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract.writer import Program
from mezzo.kernels.cpu.emit import LANES, Emitter
from mezzo.kernels.cpu.fold import AHEAD, LINE, FoldKernel, FoldWriter
from mezzo.kernels.cpu.nest import offsets, slots, words
from mezzo.kernels.cpu.transpose import exchanges
from mezzo.kernels.ir import COMPUTE, SIZE

WORDS = ("units", "serial", "n", "lanes", "chunk", "dk")
WIDEST = 1024  # lines of a unit: accumulators of 8 bytes, twice, leave room in the first cache


def tables(names: list[str], scalars: tuple[str, ...]) -> list[str]:
    """Load the block of a scan (see scan.py): %lane, %step and the kept strides of every operand."""
    lines = ["  %block = load ptr, ptr %args", *slots(names, scalars), *words(WORDS),
             f"  %ksizes = getelementptr i64, ptr %block, i64 {len(WORDS)}",
             "  %t0 = getelementptr i64, ptr %ksizes, i64 %dk"]  # fmt: skip
    at = "%t0"
    for n in names:
        lines += [f"  %{n}_lane = load i64, ptr {at}", f"  %{n}_step_at = getelementptr i64, ptr {at}, i64 1",
                  f"  %{n}_step = load i64, ptr %{n}_step_at", f"  %{n}_kept = getelementptr i64, ptr {at}, i64 2",
                  f"  %{n}_next = getelementptr i64, ptr %{n}_kept, i64 %dk"]  # fmt: skip
        at = f"%{n}_next"
    return lines


class _ManyWriter(FoldWriter):
    """What both ways share: the frame, and single lines."""

    def __init__(self, kernel: FoldKernel, pattern: str, is_far: bool):
        super().__init__(kernel, pattern, is_far)
        self.outs = [f"out{i}" for i in range(len(kernel.outs))]
        self.ins = [f"in{i}" for i in range(len(kernel.ins))]
        self.storage = dict(zip([*self.outs, *self.ins], [*kernel.outs, *kernel.ins]))

    def text(self) -> str:
        """The module."""
        program = Program()
        self.declares = program.declares
        with program.function("body", "ptr %args, i64 %begin, i64 %end, i64 %worker") as f:
            self.f, self.lines = f, f.lines
            self.lines += tables([*self.outs, *self.ins], self.kernel.scalars)
            self.rooms()
            with f.loop("%begin", "%end") as unit:
                per = f.ceil_div("%lanes", "%chunk")
                first = f.mul(f.rem(unit, per), "%chunk")
                count = f.min(f.sub("%lanes", first), "%chunk")
                self.unit(self._base(f.div(unit, per), first), count)
            if self.is_far:
                f.do(
                    "fence seq_cst"
                )  # stores past the caches are not ordered with those that follow
        with program.function("kernel", "ptr %args", linkage="") as f:
            block = f.load("ptr", "%args")
            f.share("body", "%args", f.load("i64", block), f.load("i64", f.at(block, 8)))
        return program.text()

    def _base(self, cell: str, first: str) -> dict[str, str]:
        """Where the first line of a unit begins."""
        f, tables = self.f, {n: f"%{n}_kept" for n in self.storage}
        lines, moved, f.block = offsets("k", f.block, cell, "%dk", "%ksizes", tables)
        f.lines += lines
        return {n: f.at(f"%{n}", f.add(f.mul(first, f"%{n}_lane"), moved[n])) for n in self.storage}

    def emitter(self, lanes: int) -> Emitter:
        """One for loads and stores."""
        return Emitter(self.lines, self.declares, lanes, self.f.name("m") + "_", lambda x: "")

    def take(self, lanes: int, accs: list[str], at: dict[str, str], j: str, mask="") -> list[str]:
        """One step of `lanes` lines, whose operands lie at these places: new accumulators."""
        f = self.f
        new = self.step(f.name("s") + "_", lanes, accs, [at[n] for n in self.ins], j, mask)
        self.finish(f.name("w") + "_", lanes, new, [at[n] for n in self.outs], mask)
        return new

    def rooms(self) -> None:
        """Memory that a thread has to itself."""

    def unit(self, base: dict[str, str], count: str) -> None:
        """The work of one unit of `count` lines."""
        raise NotImplementedError


class WideWriter(_ManyWriter):
    """Lanes run across lines that lie side by side."""

    def rooms(self) -> None:
        self.room = [self.f.array(WIDEST * self._size(t)) for _, t in self.fold.starts]

    @staticmethod
    def _size(compute: str) -> int:
        return 1 if compute == "b1" else SIZE[compute]

    def _accs(self, c: str) -> list[str]:
        return [self.f.at(r, self.f.mul(c, self._size(t))) for r, (_, t) in zip(self.room, self.fold.starts)]  # fmt: skip

    def unit(self, base: dict[str, str], count: str) -> None:
        f = self.f
        whole = f.let(f"and i64 {count}, {-LANES}")
        with f.loop(0, count, LANES) as c:
            for type, start, at in zip(self.types(LANES), self.starts(LANES), self._accs(c)):
                f.store(type, start, at)
        mask = self.mask(f.name("k") + "_", f.sub(count, whole))
        with f.loop(0, "%n") as j:
            at = {n: f.at(p, f.mul(j, f"%{n}_step")) for n, p in base.items()}
            with f.loop(0, whole, LANES) as c:
                self._vector(at, c, j)
            with f.when(f.compare("slt", whole, count)):
                self._vector(at, whole, j, mask)

    def _vector(self, at: dict[str, str], c: str, j: str, mask: str = "") -> None:
        f, rooms = self.f, self._accs(c)
        there = {n: f.at(p, f.mul(c, SIZE[self.storage[n]])) for n, p in at.items()}
        if self.is_far and not mask:
            # The same stretch of the next step, of results too where they do not go past the caches.
            for n, p in there.items():
                nbytes = LANES * SIZE[self.storage[n]]
                if n in self.ins or nbytes < LINE:
                    self.emitter(1).ask(f.at(p, f"%{n}_step"), 0, nbytes, int(n in self.outs))
        accs = [f.load(t, r) for t, r in zip(self.types(LANES), rooms)]
        for t, value, r in zip(self.types(LANES), self.take(LANES, accs, there, j, mask), rooms):
            f.store(t, value, r)

    def _store(self, e: Emitter, value: str, pointer: str, storage: str, mask: str) -> None:
        past = self.is_far and not mask and LANES * SIZE[storage] >= LINE
        if past:
            e.store(value, pointer, storage, past_caches=True)
            self.declares.add("!0 = !{i32 1}")
        else:
            super()._store(e, value, pointer, storage, mask)


class TurnedWriter(_ManyWriter):
    """Lanes run across lines that are turned in registers; back: from their end on."""

    def __init__(self, kernel: FoldKernel, pattern: str, is_far: bool, back: bool):
        super().__init__(kernel, pattern, is_far)
        self.back = back
        self.held: set[str] = set()  # registers that stand for an element's place
        self.made: dict[str, list[str]] = {}

    def rooms(self) -> None:
        self.many = [self.f.variable(t) for t in self.types(LANES)]
        self.one = [self.f.variable(t) for t in self.types(1)]

    def unit(self, base: dict[str, str], count: str) -> None:
        f = self.f
        full = f.compare("eq", count, LANES)
        with f.when(full):
            self._begin(self.many, LANES)
            whole = f.let(f"and i64 %n, {-LANES}")
            with f.loop(0, whole, LANES) as j:
                self._square(base, j, "")
            with f.when(f.compare("slt", whole, "%n")):
                self._square(base, whole, self._rest(f.sub("%n", whole)))
        with f.unless(full), f.loop(0, count) as line:
            self._begin(self.one, 1)
            own = {n: f.at(p, f.mul(line, f"%{n}_lane")) for n, p in base.items()}
            with f.loop(0, "%n") as j:
                at = {n: f.at(p, f.mul(j, f"%{n}_step")) for n, p in own.items()}
                self._keep(self.one, 1, self.take(1, self._have(self.one, 1), at, j))

    def _begin(self, slots: list[str], lanes: int) -> None:
        self._keep(slots, lanes, self.starts(lanes))

    def _have(self, slots: list[str], lanes: int) -> list[str]:
        return [self.f.load(t, s) for t, s in zip(self.types(lanes), slots)]

    def _keep(self, slots: list[str], lanes: int, accs: list[str]) -> None:
        for t, s, value in zip(self.types(lanes), slots, accs):
            self.f.store(t, value, s)

    def _rest(self, left: str) -> str:
        """The lanes of a row that hold its last steps; backwards they are the upper ones."""
        f = self.f
        if not self.back:
            return self.mask(f.name("k") + "_", left)
        lower = self.mask(f.name("k") + "_", f.sub(LANES, left))
        return f.let(f"xor <{LANES} x i1> {lower}, splat (i1 true)")

    def _square(self, base: dict[str, str], j: str, mask: str) -> None:
        """LANES steps of LANES lines; behind the last step accumulators are of no use any more."""
        f, order = self.f, range(LANES - 1, -1, -1) if self.back else range(LANES)
        at = f.add(j, LANES - 1) if self.back else j
        rows = {}
        for n, p in base.items():
            start = f.at(p, f.mul(at, f"%{n}_step"))
            rows[n] = [f.at(start, f.mul(f"%{n}_lane", i)) for i in range(LANES)]
        columns = {n: self._columns(n, rows[n], mask) for n in self.ins}
        self.made = {n: [""] * LANES for n in self.outs}
        accs = self._have(self.many, LANES)
        for i, c in enumerate(order):
            places = {n: f"{n} {c}" for n in self.outs} | {n: columns[n][c] for n in self.ins}
            accs = self.take(LANES, accs, places, f.add(j, i))
        self._keep(self.many, LANES, accs)
        for n in self.outs:
            self._write(n, rows[n], mask)

    def _columns(self, n: str, rows: list[str], mask: str) -> list[str]:
        storage, e, one = self.storage[n], self.emitter(LANES), self.emitter(1)
        if self.is_far and not mask:
            for row in rows:
                one.ask(
                    row, -AHEAD if self.back else AHEAD, min(LINE, LANES * SIZE[storage]), level=2
                )
        found = [super(TurnedWriter, self)._load(e, row, storage, mask) for row in rows]
        found = exchanges(found, self.f.let, e.type(COMPUTE[storage]))
        self.held.update(found)
        return found

    def _write(self, n: str, rows: list[str], mask: str) -> None:
        storage, e = self.storage[n], self.emitter(LANES)
        past = self.is_far and not mask and LANES * SIZE[storage] >= LINE
        for value, row in zip(exchanges(self.made[n], self.f.let, e.type(COMPUTE[storage])), rows):
            if past:
                e.store(value, row, storage, past_caches=True)
                self.declares.add("!0 = !{i32 1}")
            else:
                super()._store(e, value, row, storage, mask)

    def _load(self, e: Emitter, pointer: str, storage: str, mask: str) -> str:
        return pointer if pointer in self.held else super()._load(e, pointer, storage, mask)

    def _store(self, e: Emitter, value: str, pointer: str, storage: str, mask: str) -> None:
        name, _, column = pointer.partition(" ")
        if column:
            self.made[name][int(column)] = value
        else:
            super()._store(e, value, pointer, storage, mask)
