"""The LLVM text of row kernels (see rows.py for what they are and for their arguments)."""

from __future__ import annotations

import math
from typing import Any

from mezzo.errors import KernelError
from mezzo.kernels.cpu.emit import BITS, LANES, LLVM, STORED, Emitter
from mezzo.kernels.cpu.nest import entry, offsets, slots, words
from mezzo.kernels.ir import COMPUTE, FLOATS, SIZE, Expr

BLOCK = 8192  # elements of a row after which partial sums are merged
UNROLL = 4
CHUNK = UNROLL * LANES
WORDS = ("units", "serial", "count", "per", "dk", "dr", "rn", "ro", "lanes", "chunk")
_INTEGER = {1: "i8", 2: "i16", 4: "i32", 8: "i64"}
_IOTA = ", ".join(f"i64 {i}" for i in range(LANES))


def start_of(node: Expr) -> object:
    """What the accumulator of a row reduction begins with."""
    if node.op == "row_sum":
        return 0
    sign = -1 if node.op == "row_max" else 1
    if node.type in FLOATS:
        return sign * math.inf
    if node.type in ("b1", "u8"):
        return 0 if sign < 0 else (1 << BITS[node.type]) - 1
    return -(1 << (BITS[node.type] - 1)) if sign < 0 else (1 << (BITS[node.type] - 1)) - 1


def combine(e: Emitter, node: Expr, a: str, b: str) -> str:
    """One accumulator from two, or from an accumulator and an element."""
    t = node.type
    if node.op == "row_sum":
        op = "or" if t == "b1" else ("fadd" if t in FLOATS else "add")
        return e.put(f"{op} {e.type(t)} {a}, {b}")
    if t not in FLOATS:
        side = "max" if node.op == "row_max" else "min"
        return e.call(("u" if t in ("u8", "b1") else "s") + side, LLVM[t], a, b)
    order = "ogt" if node.op == "row_max" else "olt"
    better = e.put(f"fcmp {order} {e.type(t)} {a}, {b}")
    best = e.put(f"select {e.type('b1')} {better}, {e.type(t)} {a}, {e.type(t)} {b}")
    if node.attr == "ordered":  # the kernel's user sees to NaN
        return best
    nan = e.put(f"fcmp uno {e.type(t)} {a}, {a}")
    return e.put(f"select {e.type('b1')} {nan}, {e.type(t)} {a}, {e.type(t)} {best}")


class Writer:
    """What both ways of walking share. kernel: a RowKernel. U vectors stand side by side."""

    def __init__(self, kernel: Any, pattern: str):
        self.kernel, self.plan, self.pattern = kernel, kernel.schedule, pattern
        self.lines: list[str] = []
        self.declares: set[str] = {"declare void @mezzo_parallel(ptr, ptr, i64)"}
        n = len(kernel.outs)
        self.outs, self.ins = (
            [f"out{i}" for i in range(n)],
            [f"in{i}" for i in range(len(kernel.ins))],
        )
        self.names = self.outs + self.ins
        self.storages = kernel.outs + kernel.ins
        self.each, self.row = len(kernel.rows.each), len(kernel.rows.row)
        self.counter = 0

    # ---- small pieces

    def emitter(self, lanes: int, leaf=None) -> Emitter:
        """A new emitter whose registers have names of their own."""
        self.counter += 1
        return Emitter(
            self.lines, self.declares, lanes, f"e{self.counter}_", leaf or (lambda e: "")
        )

    def do(self, *lines: str) -> None:
        """Append lines."""
        self.lines.extend("  " + line if not line.endswith(":") else line for line in lines)

    def gep(self, name: str, pointer: str, offset: str) -> str:
        """name = pointer + offset bytes."""
        self.do(f"{name} = getelementptr i8, ptr {pointer}, i64 {offset}")
        return name

    def letter(self, name: str) -> str:
        """How an operand is accessed."""
        return self.pattern[self.names.index(name)]

    def storage(self, name: str) -> str:
        """The storage type of an operand."""
        return self.storages[self.names.index(name)]

    def mask(self, left: str) -> str:
        """Lanes below a count."""
        e = self.emitter(LANES)
        return e.put(f"icmp slt <{LANES} x i64> <{_IOTA}>, {e.splat(left, 'i64')}")

    def load(self, e: Emitter, pointer: str, storage: str, mask: str | None) -> str:
        """A vector of a storage type, only the masked lanes of which are read."""
        if mask is None or e.lanes == 1:
            return e.load(pointer, storage)
        bits, stored = _INTEGER[SIZE[storage]], f"<{LANES} x {STORED[storage]}>"
        name = f"llvm.masked.load.v{LANES}{bits}.p0"
        self.declares.add(
            f"declare <{LANES} x {bits}> @{name}(ptr, <{LANES} x i1>, <{LANES} x {bits}>)"
        )
        raw = e.put(
            f"call <{LANES} x {bits}> @{name}(ptr align {SIZE[storage]} {pointer}, "
            f"<{LANES} x i1> {mask}, <{LANES} x {bits}> zeroinitializer)"
        )
        if STORED[storage] != bits:
            raw = e.put(f"bitcast <{LANES} x {bits}> {raw} to {stored}")
        return e.decode(raw, storage)

    def store(self, e: Emitter, value: str, pointer: str, storage: str, mask: str | None) -> None:
        """Store a vector, or its masked lanes."""
        if mask is None or e.lanes == 1:
            e.store(value, pointer, storage)
            return
        raw, bits = e.encode(value, storage), _INTEGER[SIZE[storage]]
        if STORED[storage] != bits:
            raw = e.put(f"bitcast <{LANES} x {STORED[storage]}> {raw} to <{LANES} x {bits}>")
        name = f"llvm.masked.store.v{LANES}{bits}.p0"
        self.declares.add(f"declare void @{name}(<{LANES} x {bits}>, ptr, <{LANES} x i1>)")
        self.do(
            f"call void @{name}(<{LANES} x {bits}> {raw}, ptr align {SIZE[storage]} {pointer}, "
            f"<{LANES} x i1> {mask})"
        )

    # ---- the frame of a kernel

    def text(self) -> str:
        """The module."""
        k = self.kernel
        first = 1 + bool(k.rows.checks)
        self.do("define internal void @body(ptr %args, i64 %begin, i64 %end, i64 %worker) {")
        self.lines[-1] = self.lines[-1].strip()
        self.do("entry:", "%block = load ptr, ptr %args")
        self.lines += [*slots(self.names, k.scalars, first), *words(WORDS)]
        if k.rows.checks:
            self.do(
                "%flag_slot = getelementptr i64, ptr %args, i64 1",
                "%flag = load ptr, ptr %flag_slot",
            )
        self._tables()
        self.do("%row_size = mul i64 %rn, %ro", "%from = mul i64 %begin, %per",
                "%upto = mul i64 %end, %per", "%uptocut = icmp slt i64 %upto, %count",
                "%to = select i1 %uptocut, i64 %upto, i64 %count",
                "%any = icmp slt i64 %from, %to", "br i1 %any, label %cell, label %done",
                "cell:", "%c = phi i64 [%from, %entry], [%c2, %cellend]")  # fmt: skip
        self.cell()
        self.do("br label %cellend", "cellend:", "%c2 = add i64 %c, 1", "%cmore = icmp slt i64 %c2, %to",
                "br i1 %cmore, label %cell, label %done", "done:", "ret void", "}")  # fmt: skip
        return "\n".join([*self.lines, *entry(), *sorted(self.declares), ""])

    def _tables(self) -> None:
        self.do(f"%ksizes = getelementptr i64, ptr %block, i64 {len(WORDS)}",
                "%rsizes = getelementptr i64, ptr %ksizes, i64 %dk",
                "%t_first = getelementptr i64, ptr %rsizes, i64 %dr")  # fmt: skip
        at = "%t_first"
        for name in self.names:
            self.do(f"%{name}_lane = load i64, ptr {at}",
                    f"%{name}_kept = getelementptr i64, ptr {at}, i64 1",
                    f"%{name}_mid = getelementptr i64, ptr %{name}_kept, i64 %dk",
                    f"%{name}_step = load i64, ptr %{name}_mid",
                    f"%{name}_red = getelementptr i64, ptr %{name}_mid, i64 1",
                    f"%{name}_next = getelementptr i64, ptr %{name}_red, i64 %dr")  # fmt: skip
            at = f"%{name}_next"

    def cell(self) -> None:
        """One row, or one group of lanes."""
        raise NotImplementedError

    def kept(self, linear: str) -> dict[str, str]:
        """Pointers to the first element of every operand in kept cell `linear`."""
        names = [n for n in self.names if not self.is_column(n)]
        tables = {n: f"%{n}_kept" for n in names}
        lines, moved, label = offsets("k", self.kept_from, linear, "%dk", "%ksizes", tables)
        self.lines += lines
        self.label = label
        return {n: self.gep(f"%base_{n}", f"%{n}", moved[n]) for n in names}

    kept_from = "cell"

    def is_column(self, name: str) -> bool:
        """True for outputs summed over the rows of a unit."""
        return name in self.outs[self.each + self.row :]

    # ---- one row, or one group of rows side by side

    def program(self, tag: str, base: dict[str, str], vectors: int, mask: str | None) -> None:
        """All passes. self.label is the block that falls in, and after it the block that goes on."""
        self.tag, self.base, self.vectors, self.row_mask = tag, base, vectors, mask
        self.once = [self.emitter(self.row_lanes, None) for _ in range(vectors)]
        for u, e in enumerate(self.once):
            e.leaf = lambda x, e=e, u=u: self.once_leaf(x, e, u)
        for number, reductions in enumerate(self.plan.passes):
            last = number == len(self.plan.passes) - 1
            stash = self.plan.stash if last else None
            self.reduce(f"{tag}p{number}", reductions, stash)
        for root in self.kernel.rows.row + tuple(x for c in self.kernel.rows.checks for x in c):
            for e in self.once:
                e.value(root)
        self.write_rows()
        for i, check in enumerate(self.kernel.rows.checks):
            self.check(f"{tag}k{i}", *check)
        if self.kernel.rows.each or self.kernel.rows.column:
            self.reduce(f"{tag}w", [], None)

    def once_leaf(self, x: Expr, e: Emitter, u: int) -> str:
        """A leaf of what is computed once per row."""
        if x.op == "scalar":
            return e.splat(f"%s{x.attr}", LLVM[x.type])
        if x.op == "row_size":
            one = self.emitter(1)
            size = (
                one.put(f"sitofp i64 %row_size to {LLVM[x.type]}")
                if x.type in FLOATS
                else "%row_size"
            )
            return e.splat(size, LLVM[x.type])
        if x.op == "load":
            name = self.ins[x.attr]
            storage = self.storage(name)
            if self.letter(name) == "v":
                pointer = e.put(
                    f"getelementptr i8, ptr {self.base[name]}, i64 {u * LANES * SIZE[storage]}"
                )
                return self.load(e, pointer, storage, self.row_mask)
            one = self.emitter(1)
            return e.splat(one.load(self.base[name], storage), LLVM[COMPUTE[storage]])
        raise KernelError(f"row kernel: {x.op} is not one value per row.")

    def prepare(self, roots: list[Expr]) -> list[dict[int, str]]:
        """Per vector: registers (of LANES) of the largest uniform parts of the roots, made before a loop."""
        found: list[Expr] = []
        seen: set[int] = set()
        stack = list(roots)
        while stack:
            node = stack.pop()
            if id(node) in seen or node.op == "const" or self.is_stash(node):
                continue
            seen.add(id(node))
            if id(node) in self.plan.uniform:
                found.append(node)
            else:
                stack.extend(node.args)
        result = []
        for u in range(self.vectors):
            wide = self.emitter(LANES)
            registers = {}
            for node in found:
                register = self.once[u].value(node)
                registers[id(node)] = (
                    wide.splat(register, LLVM[node.type]) if self.row_lanes == 1 else register
                )
            result.append(registers)
        return result

    def is_stash(self, node: Expr) -> bool:
        """True for the node that the final pass reads from the first output."""
        return self.final and node is self.plan.stash

    def element(
        self, u: int, known: dict[int, str], pointers: dict[str, str], index: str, mask: str | None
    ) -> Emitter:
        """An emitter of one vector of elements; pointers lead to its first lane, index counts along the row."""

        def leaf(x: Expr) -> str:
            if x.op == "index":
                base = e.splat(index, "i64")
                return (
                    base if self.row_lanes > 1 else e.put(f"add <{LANES} x i64> {base}, <{_IOTA}>")
                )
            if x.op != "load":
                raise KernelError(f"row kernel: {x.op} cannot differ within a row.")
            name = self.ins[x.attr]
            storage = self.storage(name)
            if self.letter(name) == "s":
                one = self.emitter(1)
                return e.splat(one.load(pointers[name], storage), LLVM[COMPUTE[storage]])
            return self.load(e, self.beside(pointers[name], storage, u), storage, mask)

        e = self.emitter(LANES, leaf)
        for node in self.plan.nodes:
            if id(node) in known:
                e.memo[id(node)] = known[id(node)]
        if self.final and self.plan.stash is not None:
            storage = self.storage("out0")
            e.memo[id(self.plan.stash)] = self.load(
                e, self.beside(pointers["out0"], storage, u), storage, mask
            )
        return e

    def beside(self, pointer: str, storage: str, u: int) -> str:
        """The pointer for the u-th of the vectors side by side."""
        if not u:
            return pointer
        e = self.emitter(1)
        return e.put(f"getelementptr i8, ptr {pointer}, i64 {u * LANES * SIZE[storage]}")

    def body(self, u: int, known, pointers, index, mask, reductions, stash, accs) -> list[str]:
        """The work on one vector: new accumulators of the reductions, or the stores of the last pass."""
        e = self.element(u, known, pointers, index, mask)
        inner_mask = mask if self.row_lanes == 1 else None
        result = []
        for node, acc in zip(reductions, accs):
            value = e.value(node.args[0])
            if inner_mask is not None:
                zero = e.const(start_of(node), node.type)
                t = e.type(node.type)
                value = e.put(f"select <{LANES} x i1> {inner_mask}, {t} {value}, {t} {zero}")
            result.append(combine(e, node, acc, value))
        if stash is not None:
            storage = self.storage("out0")
            self.store(e, e.value(stash), self.beside(pointers["out0"], storage, u), storage, mask)
        if self.final:
            values = [e.value(x) for x in self.kernel.rows.each]
            for i, value in enumerate(values):
                storage = self.storages[i]
                self.store(e, value, self.beside(pointers[f"out{i}"], storage, u), storage, mask)
            self.columns(e, pointers, mask, u)
        return result

    def columns(self, e: Emitter, pointers: dict[str, str], mask: str | None, u: int) -> None:
        """Add to the sums over the rows of a unit."""
        start = self.each + self.row
        for i, expr in enumerate(self.kernel.rows.column, start):
            storage = self.storages[i]
            at = self.beside(pointers[f"out{i}"], storage, u)
            old = self.load(e, at, storage, mask)
            t = e.type(COMPUTE[storage])
            zero = e.const(0, COMPUTE[storage])
            have = e.put(f"select i1 %first, {t} {zero}, {t} {old}")
            self.store(e, e.put(f"fadd {t} {have}, {e.value(expr)}"), at, storage, mask)

    # ---- passes

    final = False
    row_lanes = 1

    def needed(self, roots: list[Expr], stash: Expr | None) -> list[str]:
        """Operands that a pass goes along."""
        seen: set[int] = set()
        used: set[str] = set()
        stack = list(roots)
        while stack:
            node = stack.pop()
            if id(node) in seen or id(node) in self.plan.uniform or self.is_stash(node):
                continue
            seen.add(id(node))
            if node.op == "load":
                used.add(self.ins[node.attr])
            stack.extend(node.args)
        if self.final:
            used.update(self.outs[: self.each])
            used.update(self.outs[self.each + self.row :])
        if stash is not None:
            used.add("out0")
        return [n for n in self.names if n in used]

    def types(self, reductions: list[Expr]) -> list[str]:
        """LLVM types of accumulators."""
        return [f"<{LANES} x {LLVM[r.type]}>" for r in reductions]

    def starts(self, reductions: list[Expr]) -> list[str]:
        """What accumulators begin with."""
        e = self.emitter(LANES)
        return [e.const(start_of(r), r.type) for r in reductions]

    def phis(self, names: list[str], types: list[str], *sources: tuple[list[str], str]) -> None:
        """Phi nodes."""
        for i, (name, type) in enumerate(zip(names, types)):
            self.do(
                f"{name} = phi {type} " + ", ".join(f"[{v[i]}, %{label}]" for v, label in sources)
            )

    def reduce(self, t: str, reductions: list[Expr], stash: Expr | None) -> None:
        """One pass over the row: reductions, or (with none) the last pass, which writes."""
        self.final = not reductions
        rows = self.kernel.rows
        roots = [r.args[0] for r in reductions] or [*rows.each, *rows.column]
        known = self.prepare(roots)
        used = self.needed(roots, stash)
        many = reductions * self.carried
        zero, types = self.starts(reductions) * self.carried, self.types(many)
        total = [f"%{t}tot{i}" for i in range(len(many))]
        block = [f"%{t}blk{i}" for i in range(len(many))]
        before = self.label
        self.do(f"br label %{t}r", f"{t}r:", f"%{t}ri = phi i64 [0, %{before}], [%{t}ri2, %{t}rx]")
        self.phis(total, types, (zero, before), (block, f"{t}rx"))
        self.do(
            f"%{t}rc = icmp slt i64 %{t}ri, %ro",
            f"br i1 %{t}rc, label %{t}rb, label %{t}re",
            f"{t}rb:",
        )
        tables = {n: f"%{n}_red" for n in used}
        lines, moved, label = offsets(f"{t}q", f"{t}rb", f"%{t}ri", "%dr", "%rsizes", tables)
        self.lines += lines
        start = {n: self.gep(f"%{t}s_{n}", self.base[n], moved[n]) for n in used}
        merged = [f"%{t}mrg{i}" for i in range(len(many))]
        self.do(f"%{t}rbase = mul i64 %{t}ri, %rn", f"br label %{t}b", f"{t}b:",
                f"%{t}lo = phi i64 [0, %{label}], [%{t}hi, %{t}bx]")  # fmt: skip
        self.phis(block, types, (total, label), (merged, f"{t}bx"))
        self.do(f"%{t}bc = icmp slt i64 %{t}lo, %rn", f"br i1 %{t}bc, label %{t}bb, label %{t}rx", f"{t}bb:",
                f"%{t}far = add i64 %{t}lo, {BLOCK}", f"%{t}cut = icmp slt i64 %{t}far, %rn",
                f"%{t}hi = select i1 %{t}cut, i64 %{t}far, i64 %rn")  # fmt: skip
        sums = self.stretch(t, known, start, reductions, stash)
        e = self.emitter(LANES)
        for name, type, node, a, b in zip(merged, types, many, block, sums):
            self.do(f"{name} = freeze {type} {combine(e, node, a, b)}")
        self.do(
            f"br label %{t}b",
            f"{t}rx:",
            f"%{t}ri2 = add i64 %{t}ri, 1",
            f"br label %{t}r",
            f"{t}re:",
        )
        self.label = f"{t}re"
        self.finish(t, reductions, total)

    carried = 1  # sets of accumulators that outlive a stretch

    def stretch(self, t, known, start, reductions, stash) -> list[str]:
        """The elements %lo..%hi of a row; ends in block %bx and gives the accumulators there."""
        raise NotImplementedError

    def finish(self, t: str, reductions: list[Expr], total: list[str]) -> None:
        """Make the results of reductions known to self.once."""
        raise NotImplementedError

    def write_rows(self) -> None:
        """Store the outputs that have one element per row."""
        raise NotImplementedError

    def check(self, t: str, condition: Expr, value: Expr) -> None:
        """Report the value where the condition holds."""
        raise NotImplementedError

    def report(self, t: str, hit: str, value: str) -> None:
        """Write the flag if `hit`."""
        self.do(f"br i1 {hit}, label %{t}bad, label %{t}good", f"{t}bad:", "store i64 1, ptr %flag",
                f"%{t}where = getelementptr i64, ptr %flag, i64 1", f"store i64 {value}, ptr %{t}where",
                f"br label %{t}good", f"{t}good:")  # fmt: skip
        self.label = f"{t}good"

    def step(self, name: str, tag: str, start: str, position: str, size: str) -> str:
        """The pointer `position` elements along an operand."""
        self.do(f"%{tag}_{name}o = mul i64 {position}, {size}")
        return self.gep(f"%{tag}_{name}", start, f"%{tag}_{name}o")


class InnerWriter(Writer):
    """Lanes along the row: UNROLL vectors at a time, then single ones with a mask."""

    def cell(self) -> None:
        base = self.kept("%c")
        if self.kernel.rows.column:
            self.do("%unit = sdiv i64 %c, %per", "%unitstart = mul i64 %unit, %per",
                    "%first = icmp eq i64 %c, %unitstart")  # fmt: skip
            for name in self.outs[self.each + self.row :]:
                self.do(f"%{name}_moved = mul i64 %unit, %{name}_lane")
                base[name] = self.gep(f"%base_{name}", f"%{name}", f"%{name}_moved")
        self.program("", base, 1, None)

    def _pointers(self, tag: str, start: dict[str, str], position: str) -> dict[str, str]:
        return {
            n: s
            if self.letter(n) == "s"
            else self.step(n, tag, s, position, str(SIZE[self.storage(n)]))
            for n, s in start.items()
        }

    def stretch(self, t, known, start, reductions, stash) -> list[str]:
        types, zero, n = self.types(reductions), self.starts(reductions), len(reductions)
        self.do(f"%{t}span = sub i64 %{t}hi, %{t}lo", f"%{t}whole = and i64 %{t}span, {-CHUNK}",
                f"%{t}mid = add i64 %{t}lo, %{t}whole", f"%{t}many = icmp slt i64 %{t}lo, %{t}mid",
                f"br i1 %{t}many, label %{t}m, label %{t}t0", f"{t}m:",
                f"%{t}j = phi i64 [%{t}lo, %{t}bb], [%{t}j2, %{t}ml]")  # fmt: skip
        accs = [[f"%{t}a{u}_{i}" for i in range(n)] for u in range(UNROLL)]
        after = [[f"%{t}n{u}_{i}" for i in range(n)] for u in range(UNROLL)]
        for u in range(UNROLL):
            self.phis(accs[u], types, (zero, f"{t}bb"), (after[u], f"{t}ml"))
        for u in range(UNROLL):
            self.do(
                f"%{t}j_{u} = add i64 %{t}j, {u * LANES}",
                f"%{t}x_{u} = add i64 %{t}rbase, %{t}j_{u}",
            )
            pointers = self._pointers(f"{t}jp{u}", start, f"%{t}j_{u}")
            made = self.body(0, known[0], pointers, f"%{t}x_{u}", None, reductions, stash, accs[u])
            for name, type, value in zip(after[u], types, made):
                self.do(f"{name} = freeze {type} {value}")
        self.do(f"br label %{t}ml", f"{t}ml:", f"%{t}j2 = add i64 %{t}j, {CHUNK}",
                f"%{t}jc = icmp slt i64 %{t}j2, %{t}mid", f"br i1 %{t}jc, label %{t}m, label %{t}mx", f"{t}mx:")  # fmt: skip
        e, half, parts = self.emitter(LANES), UNROLL // 2, after
        while half:
            parts = [
                [combine(e, r, a, b) for r, a, b in zip(reductions, parts[i], parts[i + half])]
                for i in range(half)
            ]
            half //= 2
        return self._rest(t, known, start, reductions, stash, (zero, parts[0], types))

    def _rest(self, t, known, start, reductions, stash, sums) -> list[str]:
        """What UNROLL vectors left: single vectors under a mask."""
        zero, whole, types = sums
        have = [f"%{t}h{i}" for i in range(len(types))]
        acc = [f"%{t}ta{i}" for i in range(len(types))]
        new = [f"%{t}tn{i}" for i in range(len(types))]
        end = [f"%{t}te{i}" for i in range(len(types))]
        self.do(f"br label %{t}t0", f"{t}t0:")
        self.phis(have, types, (zero, f"{t}bb"), (whole, f"{t}mx"))
        self.do(f"%{t}some = icmp slt i64 %{t}mid, %{t}hi", f"br i1 %{t}some, label %{t}t, label %{t}bx", f"{t}t:",
                f"%{t}i = phi i64 [%{t}mid, %{t}t0], [%{t}i2, %{t}tl]")  # fmt: skip
        self.phis(acc, types, (have, f"{t}t0"), (new, f"{t}tl"))
        self.do(f"%{t}left = sub i64 %{t}hi, %{t}i", f"%{t}x_t = add i64 %{t}rbase, %{t}i")
        mask = self.mask(f"%{t}left")
        pointers = self._pointers(f"{t}tp", start, f"%{t}i")
        made = self.body(0, known[0], pointers, f"%{t}x_t", mask, reductions, stash, acc)
        for name, type, value in zip(new, types, made):
            self.do(f"{name} = freeze {type} {value}")
        self.do(f"br label %{t}tl", f"{t}tl:", f"%{t}i2 = add i64 %{t}i, {LANES}",
                f"%{t}ic = icmp slt i64 %{t}i2, %{t}hi", f"br i1 %{t}ic, label %{t}t, label %{t}bx", f"{t}bx:")  # fmt: skip
        self.phis(end, types, (have, f"{t}t0"), (new, f"{t}tl"))
        return end

    def finish(self, t: str, reductions: list[Expr], total: list[str]) -> None:
        """Fold the lanes in a fixed tree."""
        for i, (node, register) in enumerate(zip(reductions, total)):
            lanes = LANES
            while lanes > 1:
                half = lanes // 2
                e = self.emitter(half)
                source, llvm = f"<{lanes} x {LLVM[node.type]}>", LLVM[node.type]
                sides = []
                for side in (0, 1):
                    name = f"%{t}f{i}_{half}_{side}"
                    if half == 1:
                        self.do(f"{name} = extractelement {source} {register}, i32 {side}")
                    else:
                        order = ", ".join(f"i32 {side * half + j}" for j in range(half))
                        self.do(f"{name} = shufflevector {source} {register}, <{lanes} x {llvm}> poison, "
                                f"<{half} x i32> <{order}>")  # fmt: skip
                    sides.append(name)
                register = combine(e, node, *sides)
                lanes = half
            self.once[0].memo[id(node)] = register

    def write_rows(self) -> None:
        for i, expr in enumerate(self.kernel.rows.row, self.each):
            self.once[0].store(self.once[0].value(expr), self.base[f"out{i}"], self.storages[i])

    def check(self, t: str, condition: Expr, value: Expr) -> None:
        self.report(t, self.once[0].value(condition), self.once[0].value(value))


class OuterWriter(Writer):
    """Lanes across rows: a cell is a chunk of neighbouring rows, taken UNROLL vectors at a time."""

    row_lanes = LANES

    def cell(self) -> None:
        self.do("%up = add i64 %lanes, %chunk", "%up1 = sub i64 %up, 1", "%groups = sdiv i64 %up1, %chunk",
                "%group = sdiv i64 %c, %groups", "%groupback = mul i64 %group, %groups",
                "%part = sub i64 %c, %groupback", "%lane0 = mul i64 %part, %chunk",
                "%lanefar = add i64 %lane0, %chunk", "%lanecut = icmp slt i64 %lanefar, %lanes",
                "%lane1 = select i1 %lanecut, i64 %lanefar, i64 %lanes")  # fmt: skip
        first = self.kept("%group")
        self.do("br label %lanes_wide", "lanes_wide:", f"%l = phi i64 [%lane0, %{self.label}], [%l2, %lanes_next]",
                f"%l2 = add i64 %l, {CHUNK}", "%lfits = icmp sle i64 %l2, %lane1",
                "br i1 %lfits, label %wide, label %lanes_narrow", "wide:")  # fmt: skip
        self.label = "wide"
        base = {n: self.step(n, "wb", p, "%l", f"%{n}_lane") for n, p in first.items()}
        self.program("w", base, UNROLL, None)
        self.do("br label %lanes_next", "lanes_next:", "br label %lanes_wide", "lanes_narrow:",
                "%q = phi i64 [%l, %lanes_wide], [%q2, %narrow_next]", "%qany = icmp slt i64 %q, %lane1",
                "br i1 %qany, label %narrow, label %lanes_done", "narrow:", "%qleft = sub i64 %lane1, %q")  # fmt: skip
        self.label = "narrow"
        mask = self.mask("%qleft")
        base = {n: self.step(n, "nb", p, "%q", f"%{n}_lane") for n, p in first.items()}
        self.program("n", base, 1, mask)
        self.do("br label %narrow_next", "narrow_next:", f"%q2 = add i64 %q, {LANES}", "br label %lanes_narrow",
                "lanes_done:")  # fmt: skip

    def reduce(self, t: str, reductions: list[Expr], stash: Expr | None) -> None:
        self.carried = self.vectors
        super().reduce(t, reductions, stash)

    def stretch(self, t, known, start, reductions, stash) -> list[str]:
        n = len(reductions)
        types, zero = self.types(reductions), self.starts(reductions)
        accs = [[f"%{t}a{u}_{i}" for i in range(n)] for u in range(self.vectors)]
        new = [[f"%{t}n{u}_{i}" for i in range(n)] for u in range(self.vectors)]
        self.do(f"br label %{t}m", f"{t}m:", f"%{t}j = phi i64 [%{t}lo, %{t}bb], [%{t}j2, %{t}ml]")
        for u in range(self.vectors):
            self.phis(accs[u], types, (zero, f"{t}bb"), (new[u], f"{t}ml"))
        self.do(f"%{t}x = add i64 %{t}rbase, %{t}j")
        pointers = {
            name: self.step(name, f"{t}jp", p, f"%{t}j", f"%{name}_step")
            for name, p in start.items()
        }
        for u in range(self.vectors):
            made = self.body(
                u, known[u], pointers, f"%{t}x", self.row_mask, reductions, stash, accs[u]
            )
            for name, type, value in zip(new[u], types, made):
                self.do(f"{name} = freeze {type} {value}")
        self.do(f"br label %{t}ml", f"{t}ml:", f"%{t}j2 = add i64 %{t}j, 1", f"%{t}jc = icmp slt i64 %{t}j2, %{t}hi",
                f"br i1 %{t}jc, label %{t}m, label %{t}bx", f"{t}bx:")  # fmt: skip
        return [v for group in new for v in group]

    def finish(self, t: str, reductions: list[Expr], total: list[str]) -> None:
        n = len(reductions)
        for u in range(self.vectors):
            for i, node in enumerate(reductions):
                self.once[u].memo[id(node)] = total[u * n + i]

    def write_rows(self) -> None:
        for i, expr in enumerate(self.kernel.rows.row, self.each):
            storage = self.storages[i]
            for u, e in enumerate(self.once):
                self.store(
                    e,
                    e.value(expr),
                    self.beside(self.base[f"out{i}"], storage, u),
                    storage,
                    self.row_mask,
                )

    def check(self, t: str, condition: Expr, value: Expr) -> None:
        for u, e in enumerate(self.once):
            mask, hit = e.type("b1"), e.value(condition)
            if self.row_mask is not None:
                hit = e.put(f"and {mask} {hit}, {self.row_mask}")
            self.declares.add(f"declare i1 @llvm.vector.reduce.or.v{LANES}i1({mask})")
            self.declares.add(f"declare i64 @llvm.vector.reduce.smax.v{LANES}i64({e.type('i64')})")
            some = e.put(f"call i1 @llvm.vector.reduce.or.v{LANES}i1({mask} {hit})")
            wide = e.type("i64")
            shown = e.put(
                f"select {mask} {hit}, {wide} {e.value(value)}, {wide} {e.const(-(1 << 63), 'i64')}"
            )
            top = e.put(f"call i64 @llvm.vector.reduce.smax.v{LANES}i64({wide} {shown})")
            self.report(f"{t}u{u}", some, top)
