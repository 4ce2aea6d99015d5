"""The LLVM text of row kernels (see rows.py for what they are and for their arguments)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mezzo.errors import KernelError
from mezzo.kernels.cpu.emit import LANES, LLVM, STORED, Emitter, as_words
from mezzo.kernels.cpu.nest import entry, offsets, slots, words
from mezzo.kernels.cpu.rows_sums import Sums, accumulate, combine, start_of
from mezzo.kernels.ir import COMPUTE, FLOATS, SIZE, Expr

BLOCK = 8192  # elements of a row after which partial sums are merged
UNROLL = 4
CHUNK = UNROLL * LANES
LINE = 64  # bytes of a cache line
WORDS = ("units", "serial", "count", "per", "dk", "dr", "rn", "ro", "lanes", "chunk")
_INTEGER = {1: "i8", 2: "i16", 4: "i32", 8: "i64"}
_IOTA, _NARROW = (", ".join(f"{kind} {i}" for i in range(LANES)) for kind in ("i64", "i32"))


class Writer:
    """What both ways of walking share. kernel: a RowKernel. U vectors stand side by side."""

    def __init__(
        self,
        kernel: Any,
        pattern: str,
        streams: bool = False,
        is_long: bool = False,
        is_far: bool = False,
    ):
        self.kernel, self.plan, self.pattern = kernel, kernel.schedule, pattern
        self.streams = streams  # whole vectors of elements go past the caches
        self.is_far = is_far
        self.halves: dict[int, tuple[str, str]] = {}  # of a line: an output's vector, and where
        self.lines: list[str] = []
        self.declares: set[str] = {"declare void @mezzo_parallel(ptr, ptr, i64)"}
        # Beyond a thread's own memory only an output of the same type can keep what two passes need.
        fits = not kernel.keeps_wider or (self.has_scratch and not is_long)
        self.stash = self.plan.stash if fits else None
        n = len(kernel.outs)
        self.outs, self.ins = (
            [f"out{i}" for i in range(n)],
            [f"in{i}" for i in range(len(kernel.ins))],
        )
        self.names = self.outs + self.ins
        self.storages = kernel.outs + kernel.ins
        self.each, self.row = len(kernel.rows.each), len(kernel.rows.row)
        self.columns = self.outs[self.each + self.row :][: len(kernel.rows.column)]
        self.parts = self.outs[self.each + self.row + len(self.columns) :]
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
        return "c" if name == "stash" else self.pattern[self.names.index(name)]

    def storage(self, name: str) -> str:
        """The storage type of an operand."""
        return self.stash.type if name == "stash" else self.storages[self.names.index(name)]

    def mask_for(self, name: str, mask: str | None) -> str | None:
        """The mask that an operand needs."""
        return mask

    def mask(self, left: str) -> str:
        """Lanes below a count."""
        one, e = self.emitter(1), self.emitter(LANES)
        few = one.put(f"icmp slt i64 {left}, {LANES}")
        few = one.put(f"trunc i64 {one.put(f'select i1 {few}, i64 {left}, i64 {LANES}')} to i32")
        return e.put(f"icmp slt <{LANES} x i32> <{_NARROW}>, {e.splat(few, 'i32')}")

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

    def store_past(self, e: Emitter, value: str, pointer: str, storage: str, out: int) -> None:
        """Store past the caches: whole lines, so that two vectors of 16-bit numbers wait for each other."""
        if SIZE[storage] * LANES >= LINE:
            e.store(value, pointer, storage, past_caches=True)
            return
        raw, stored = e.encode(value, storage), f"<{LANES} x {STORED[storage]}>"
        if out not in self.halves:
            self.halves[out] = raw, pointer
            return
        first, at = self.halves.pop(out)
        order = ", ".join(f"i32 {i}" for i in range(2 * LANES))
        both = e.put(
            f"shufflevector {stored} {first}, {stored} {raw}, <{2 * LANES} x i32> <{order}>"
        )
        kind, both = as_words(e.put, f"<{2 * LANES} x {STORED[storage]}>", both, LINE)
        self.do(f"store {kind} {both}, ptr {at}, align {LINE}, !nontemporal !0")

    # ---- the frame of a kernel

    def text(self) -> str:
        """The module."""
        k = self.kernel
        first = 1 + bool(k.rows.checks)
        self.do("define internal void @body(ptr %args, i64 %begin, i64 %end, i64 %worker) {")
        self.lines[-1] = self.lines[-1].strip()
        self.do("entry:", "%block = load ptr, ptr %args")
        self.variables()
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
                "br i1 %cmore, label %cell, label %done", "done:")  # fmt: skip
        if self.streams:
            self.do("fence seq_cst")  # such stores are not ordered with those that follow
            self.declares.add("!0 = !{i32 1}")
        self.do("ret void", "}")
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

    def variables(self) -> None:
        """Memory that a thread has to itself."""

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
        return name in self.columns

    # ---- one row, or one group of rows side by side

    def program(
        self, tag: str, base: dict[str, str], vectors: int, masks: list[str] | None
    ) -> None:
        """All passes. self.label is the block that falls in, and after it the block that goes on.

        masks: of the rows in each vector, where not every lane has one.
        """
        self.tag, self.base, self.vectors = tag, base, vectors
        self.row_masks = masks or [None] * vectors
        self.once = [self.emitter(self.row_lanes, None) for _ in range(vectors)]
        for u, e in enumerate(self.once):
            e.leaf = lambda x, e=e, u=u: self.once_leaf(x, e, u)
        for number, reductions in enumerate(self.plan.passes):
            last = number == len(self.plan.passes) - 1
            stash = self.stash if last else None
            self.reduce(f"{tag}p{number}", reductions, stash, [] if number else self.plan.parts)
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
                return self.load(e, pointer, storage, self.row_masks[u])
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
        return self.final and node is self.stash

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
            return self.read(e, u, name, pointers, mask)

        e = self.emitter(LANES, leaf)
        for node in self.plan.nodes:
            if id(node) in known:
                e.memo[id(node)] = known[id(node)]
        if self.final and self.stash is not None:
            storage = self.storage("stash")
            at = self.beside(pointers["stash"], storage, u)
            e.memo[id(self.stash)] = self.load(e, at, storage, self.mask_for("stash", mask))
        return e

    def read(self, e: Emitter, u: int, name: str, pointers: dict[str, str], mask: str | None) -> str:  # fmt: skip
        """A vector of an operand that advances along the lanes."""
        storage = self.storage(name)
        at = self.beside(pointers[name], storage, u)
        return self.load(e, at, storage, self.mask_for(name, mask))

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
            found = accumulate(e, node, acc)
            if inner_mask is not None:
                t = e.type(node.type)
                found = e.put(f"select <{LANES} x i1> {inner_mask}, {t} {found}, {t} {acc}")
            result.append(found)
        if stash is not None:
            storage = self.storage("stash")
            at = self.beside(pointers["stash"], storage, u)
            self.store(e, e.value(stash), at, storage, self.mask_for("stash", mask))
        if self.final:
            values = [e.value(x) for x in self.kernel.rows.each]
            for i, value in enumerate(values):
                storage = self.storage(f"out{i}")
                at = self.beside(pointers[f"out{i}"], storage, u)
                if self.streams and mask is None:
                    self.store_past(e, value, at, storage, i)
                else:
                    self.store(e, value, at, storage, self.mask_for(f"out{i}", mask))
            self.add_columns(e, pointers, mask, u)
        return result

    def add_columns(self, e: Emitter, pointers: dict[str, str], mask: str | None, u: int) -> None:
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
    has_scratch = False  # memory of the thread that may keep part of a row

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
            used.update(self.columns)
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

    def reduce(
        self, t: str, reductions: list[Expr], stash: Expr | None, parts: Sequence[Expr] = ()
    ) -> None:
        """One pass over the row: reductions, or (with none) the last pass, which writes.

        parts: sums that begin anew at every stretch of the innermost axis.
        """
        self.final = not reductions
        rows, every = self.kernel.rows, [*reductions, *parts]
        roots = [r.args[0] for r in every] or [*rows.each, *rows.column]
        known = self.prepare(roots)
        used = self.needed(roots, stash) + (self.parts if parts else [])
        is_last = self.final or reductions is self.plan.passes[-1]
        self.look_ahead(t, used, is_last)
        before, sums = self.label, Sums(self, t, reductions, list(parts))
        self.do(f"br label %{t}r", f"{t}r:", f"%{t}ri = phi i64 [0, %{before}], [%{t}ri2, %{t}rx]")
        sums.over_stretches(before)
        self.do(
            f"%{t}rc = icmp slt i64 %{t}ri, %ro",
            f"br i1 %{t}rc, label %{t}rb, label %{t}re",
            f"{t}rb:",
        )
        tables = {n: f"%{n}_red" for n in used}
        lines, moved, label = offsets(f"{t}q", f"{t}rb", f"%{t}ri", "%dr", "%rsizes", tables)
        self.lines += lines
        start = {n: self.gep(f"%{t}s_{n}", self.base[n], moved[n]) for n in used}
        merged = [f"%{t}mrg{i}" for i in range(len(sums.types))]
        self.do(f"%{t}rbase = mul i64 %{t}ri, %rn")
        if stash is not None or (self.final and self.stash is not None):
            start["stash"] = self.stash_start(t, start["out0"])
        known = self.steady(known, roots, start)
        sums.before_stretch(known, start)
        self.do(f"br label %{t}b", f"{t}b:",
                f"%{t}lo = phi i64 [0, %{label}], [%{t}hi, %{t}bx]")  # fmt: skip
        sums.along_stretch(label, merged, f"{t}bx")
        self.do(f"%{t}bc = icmp slt i64 %{t}lo, %rn", f"br i1 %{t}bc, label %{t}bb, label %{t}rx", f"{t}bb:",
                f"%{t}far = add i64 %{t}lo, {BLOCK}", f"%{t}cut = icmp slt i64 %{t}far, %rn",
                f"%{t}hi = select i1 %{t}cut, i64 %{t}far, i64 %rn")  # fmt: skip
        found = self.stretch(t, known, start, sums.nodes, stash)
        e = self.emitter(LANES)
        for i, name in enumerate(merged):
            both = combine(e, sums.nodes[i % sums.count], sums.block[i], found[i])
            self.do(f"{name} = freeze {sums.types[i]} {both}")
        self.do(f"br label %{t}b", f"{t}rx:")
        sums.after_stretch(start)
        self.do(f"%{t}ri2 = add i64 %{t}ri, 1", f"br label %{t}r", f"{t}re:")
        self.label = f"{t}re"
        self.finish(t, reductions, sums.total)

    def look_ahead(self, t: str, used: list[str], is_last: bool) -> None:
        """Choose what this pass asks memory for ahead of its use."""

    def same_along(self) -> set[int]:
        """Ids of the nodes that are the same along a stretch of the row."""
        return self.plan.uniform

    def steady(self, known, roots: list[Expr], start: dict[str, str]) -> list[dict[int, str]]:
        """What is known before a stretch of the row begins: more than before the row, if lanes run along it."""
        return known

    def stash_start(self, t: str, out: str) -> str:
        """Where a stretch of the row keeps the stash."""
        return out

    def fold(self, t: str, node: Expr, register: str) -> str:
        """One number from the lanes of an accumulator."""
        raise NotImplementedError

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
