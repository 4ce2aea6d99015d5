"""Reductions: a fold over some axes, with a map before and a finish after it.

A Fold is a monoid written as expressions: accumulators with their starts, a step that takes in an
element, a merge of two accumulations, and a finish that makes the outputs. Two kernels cover the ways
memory can lie:

    inner   the reduced axis is innermost: lanes run along it and are merged at the end
    outer   a kept axis is innermost (or nothing is contiguous: one lane): lanes run across results

Every BLOCK elements the running accumulation is merged into a total, so rounding errors grow with the
number of blocks, not of elements. The order depends on the shape alone: not on the threads.

    args  = [block, outs..., ins..., scalars...]
    block = i64 [units, serial, dk, dr, reduced inner size, reduced outer count, lane length,
                 kept sizes[dk], reduced outer sizes[dr], for each out: lane stride, kept strides[dk],
                 for each in: lane stride, kept strides[dk], reduced inner stride, outer strides[dr]]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.emit import LANES, LLVM, Emitter
from mezzo.kernels.cpu.nest import entry, offsets, slots, words
from mezzo.kernels.ir import Expr, cast, const, where

BLOCK = 1024
INNER_UNROLL = 4
WORDS = ("units", "serial", "dk", "dr", "rn", "ro", "lanes")


@dataclass(frozen=True)
class Fold:
    """A reduction: how accumulators start, take in elements, merge and become outputs.

    starts: (value, compute type) each. step(accs, elements, index) -> accs; merge(accs, accs) -> accs;
    finish(accs, count) -> outputs (count: how many elements were reduced, an i64 expression).
    indices: accumulators that hold an element's index (-1: none), for reductions done in parts.
    """

    starts: tuple[tuple[object, str], ...]
    step: Callable
    merge: Callable
    finish: Callable
    indices: tuple[int, ...] = ()

    def partial(self) -> Fold:
        """The same without its finish: the outputs are the accumulators."""
        return Fold(self.starts, self.step, self.merge, lambda accs, count: accs, self.indices)

    def joining(self, total: int, part: int) -> Fold:
        """A fold over the accumulators of parts: `total` elements in all, `part` in each."""

        def step(accs, x, index):
            other = [cast(v, t) for v, (_, t) in zip(x, self.starts)]
            for i in self.indices:
                other[i] = where(other[i] < 0, other[i], other[i] + index * part)
            return self.merge(accs, other)

        return Fold(self.starts, step, self.merge, lambda accs, count: self.finish(accs, const(total, "i64")))


class ReduceKernel:
    """A fold over operands of given storage types; compiles "inner" and "outer" on demand."""

    def __init__(self, fold: Fold, ins: Sequence[str], outs: Sequence[str], scalars: Sequence[str] = ()):
        self.fold, self.ins, self.outs, self.scalars = fold, tuple(ins), tuple(outs), tuple(scalars)
        self._addresses: dict[tuple[str, str], int] = {}

    def address(self, mode: str, pattern: str) -> int:
        """The entry; pattern holds for each input "c" (advances by one along the lanes) or "s" (stays)."""
        found = self._addresses.get((mode, pattern))
        if found is None:
            found = self._addresses[mode, pattern] = jit.load(self.write(mode, pattern)).address("kernel")
        return found

    def write(self, mode: str, pattern: str) -> str:
        """The module's text."""
        return FoldWriter(self, mode, pattern).text()


class FoldWriter:
    """Writes one reduction kernel."""

    def __init__(self, kernel: ReduceKernel, mode: str, pattern: str):
        self.kernel, self.mode, self.pattern = kernel, mode, pattern
        self.fold = kernel.fold
        self.lines: list[str] = []
        self.declares: set[str] = {"declare void @mezzo_parallel(ptr, ptr, i64)"}
        self.count = len(self.fold.starts)

    # ---- pieces

    def starts(self, lanes: int) -> list[str]:
        """Constants that the accumulators begin with."""
        e = Emitter(self.lines, self.declares, lanes, "z", lambda x: "")
        return [e.const(v, t) for v, t in self.fold.starts]

    def types(self, lanes: int) -> list[str]:
        """LLVM types of the accumulators."""
        return [LLVM[t] if lanes == 1 else f"<{lanes} x {LLVM[t]}>" for _, t in self.fold.starts]

    def _leaves(self, kind: str) -> list[Expr]:
        return [Expr(kind, (), t, i) for i, (_, t) in enumerate(self.fold.starts)]

    def step(self, tag: str, lanes: int, accs: list[str], pointers: list[str], index: str) -> list[str]:
        """Take in one element for each lane; index is a register of the first lane's position."""
        inner = self.mode == "inner"

        def leaf(x: Expr) -> str:
            if x.op == "acc":
                return accs[x.attr]
            if x.op == "scalar":
                return emitter.splat(f"%s{x.attr}", LLVM[x.type])
            if x.op == "index":
                base = emitter.splat(index, "i64")
                if lanes == 1 or not inner:
                    return base
                iota = ", ".join(f"i64 {i}" for i in range(lanes))
                return emitter.put(f"add {emitter.wide('i64')} {base}, <{iota}>")
            if self.pattern[x.attr] == "s" and lanes > 1:
                one = Emitter(self.lines, self.declares, 1, f"{tag}o{x.attr}_", lambda e: "")
                return emitter.splat(one.load(pointers[x.attr], self.kernel.ins[x.attr]), LLVM[x.type])
            return emitter.load(pointers[x.attr], self.kernel.ins[x.attr])

        emitter = Emitter(self.lines, self.declares, lanes, tag, leaf)
        loads = [Expr("load", (), _compute(s), i) for i, s in enumerate(self.kernel.ins)]
        return [emitter.value(x) for x in self.fold.step(self._leaves("acc"), loads, Expr("index", (), "i64"))]

    def merge(self, tag: str, lanes: int, a: list[str], b: list[str]) -> list[str]:
        """Combine two accumulations lane by lane."""
        emitter = Emitter(self.lines, self.declares, lanes, tag,
                          lambda x: (a if x.op == "acc" else b)[x.attr])  # fmt: skip
        return [emitter.value(x) for x in self.fold.merge(self._leaves("acc"), self._leaves("acb"))]

    def fold_lanes(self, tag: str, accs: list[str]) -> list[str]:
        """One accumulation from LANES of them, in a fixed tree."""
        lanes = LANES
        while lanes > 1:
            half = lanes // 2
            parts: list[list[str]] = [[], []]
            for i, (acc, (_, t)) in enumerate(zip(accs, self.fold.starts)):
                for side in (0, 1):
                    name = f"%{tag}h{half}_{i}_{side}"
                    source = f"<{lanes} x {LLVM[t]}> {acc}"
                    if half == 1:
                        self.lines.append(f"  {name} = extractelement {source}, i32 {side}")
                    else:
                        mask = ", ".join(f"i32 {side * half + j}" for j in range(half))
                        other = f"<{lanes} x {LLVM[t]}> poison"
                        self.lines.append(f"  {name} = shufflevector {source}, {other}, <{half} x i32> <{mask}>")
                    parts[side].append(name)
            accs = self.merge(f"{tag}m{half}_", half, *parts)
            lanes = half
        return accs

    def phis(self, names: list[str], lanes: int, *sources: tuple[list[str], str]) -> None:
        """Phi nodes for a set of accumulators."""
        for i, (name, type) in enumerate(zip(names, self.types(lanes))):
            pairs = ", ".join(f"[{values[i]}, %{label}]" for values, label in sources)
            self.lines.append(f"  {name} = phi {type} {pairs}")

    def named(self, tag: str) -> list[str]:
        """Register names for a set of accumulators."""
        return [f"%{tag}{i}" for i in range(self.count)]

    def gep(self, name: str, pointer: str, offset: str) -> str:
        """pointer + offset bytes."""
        self.lines.append(f"  {name} = getelementptr i8, ptr {pointer}, i64 {offset}")
        return name

    # ---- whole kernels

    def text(self) -> str:
        """The module."""
        k = self.kernel
        outs, ins = [f"out{i}" for i in range(len(k.outs))], [f"in{i}" for i in range(len(k.ins))]
        self.lines += ["define internal void @body(ptr %args, i64 %begin, i64 %end, i64 %worker) {",
                       "entry:", "  %block = load ptr, ptr %args",
                       *slots(outs + ins, k.scalars), *words(WORDS)]  # fmt: skip
        self._tables(outs, ins)
        (self._inner if self.mode == "inner" else self._outer)(outs, ins)
        self.lines += ["done:", "  ret void", "}", *entry()]
        return "\n".join([*self.lines, *sorted(self.declares), ""])

    def _tables(self, outs: list[str], ins: list[str]) -> None:
        add = self.lines.append
        add(f"  %ksizes = getelementptr i64, ptr %block, i64 {len(WORDS)}")
        add("  %rsizes = getelementptr i64, ptr %ksizes, i64 %dk")
        add("  %t0 = getelementptr i64, ptr %rsizes, i64 %dr")
        position = "%t0"
        for name in outs + ins:
            add(f"  %{name}_lane = load i64, ptr {position}")
            add(f"  %{name}_kept = getelementptr i64, ptr {position}, i64 1")
            add(f"  %{name}_after = getelementptr i64, ptr %{name}_kept, i64 %dk")
            position = f"%{name}_after"
            if name in ins:
                add(f"  %{name}_step = load i64, ptr {position}")
                add(f"  %{name}_red = getelementptr i64, ptr {position}, i64 1")
                add(f"  %{name}_next = getelementptr i64, ptr %{name}_red, i64 %dr")
                position = f"%{name}_next"
        add("  %count = mul i64 %rn, %ro")
        for name in ins:
            add(f"  %{name}_block = mul i64 %{name}_step, {BLOCK}")

    def finish(self, tag: str, lanes: int, accs: list[str], pointers: list[str]) -> None:
        """Store what the accumulators amount to."""
        emitter = Emitter(self.lines, self.declares, lanes, tag, lambda x: "")
        emitter.leaf = lambda x: accs[x.attr] if x.op == "acc" else (
            emitter.splat("%count", "i64") if x.op == "count" else emitter.splat(f"%s{x.attr}", LLVM[x.type]))  # fmt: skip
        results = self.fold.finish(self._leaves("acc"), Expr("count", (), "i64"))
        for result, pointer, storage in zip(results, pointers, self.kernel.outs):
            emitter.store(emitter.value(cast(result, _compute(storage))), pointer, storage)

    def _reduced_loop(self, t: str, before: str, lanes: int, ins: list[str], base: dict[str, str]) -> tuple[list[str], str]:
        """Fold all reduced elements from the base pointers; returns accumulators and the label of the end."""
        L = self.lines
        total, zero = self.named(f"{t}tot"), self.starts(lanes)
        after = self.named(f"{t}aft")
        L += [f"  br label %{t}outer", f"{t}outer:",
              f"  %{t}r = phi i64 [0, %{before}], [%{t}r2, %{t}outernext]"]  # fmt: skip
        self.phis(total, lanes, (zero, before), (after, f"{t}outernext"))
        L += [f"  %{t}rmore = icmp slt i64 %{t}r, %ro", f"  br i1 %{t}rmore, label %{t}row, label %{t}end", f"{t}row:"]
        lines, moved, label = offsets(f"{t}q", f"{t}row", f"%{t}r", "%dr", "%rsizes", {n: f"%{n}_red" for n in ins})
        L += lines
        start = {n: self.gep(f"%{t}rp_{n}", base[n], moved[n]) for n in ins}
        L.append(f"  %{t}rbase = mul i64 %{t}r, %rn")
        inner = self._inner_row if self.mode == "inner" and lanes > 1 else self._strided_row
        sums, end = inner(t, label, lanes, ins, start, total)
        L += [f"  br label %{t}outernext", f"{t}outernext:"]
        self.phis(after, lanes, (sums, end))
        L += [f"  %{t}r2 = add i64 %{t}r, 1", f"  br label %{t}outer", f"{t}end:"]
        return total, f"{t}end"

    def _strided_row(self, t, label, lanes, ins, start, total, limit="%rn", first="0"):
        """Blocks of one reduced row, one element of each lane at a time."""
        L, zero = self.lines, self.starts(lanes)
        tot, acc, new = self.named(f"{t}bt"), self.named(f"{t}ac"), []
        L += [f"  br label %{t}blk", f"{t}blk:",
              f"  %{t}b = phi i64 [{first}, %{label}], [%{t}bend, %{t}blkend]"]  # fmt: skip
        merged = self.named(f"{t}mg")
        self.phis(tot, lanes, (total, label), (merged, f"{t}blkend"))
        L += [f"  %{t}bm = icmp slt i64 %{t}b, {limit}", f"  br i1 %{t}bm, label %{t}blkgo, label %{t}rowend",
              f"{t}blkgo:", f"  %{t}bfar = add i64 %{t}b, {BLOCK}",
              f"  %{t}bcut = icmp slt i64 %{t}bfar, {limit}",
              f"  %{t}bend = select i1 %{t}bcut, i64 %{t}bfar, i64 {limit}",
              f"  br label %{t}el", f"{t}el:",
              f"  %{t}j = phi i64 [%{t}b, %{t}blkgo], [%{t}j2, %{t}el]"]  # fmt: skip
        placeholder = len(L)
        pointers = []
        for n in ins:
            L.append(f"  %{t}jo_{n} = mul i64 %{t}j, %{n}_step")
            pointers.append(self.gep(f"%{t}jp_{n}", start[n], f"%{t}jo_{n}"))
        L.append(f"  %{t}jx = add i64 %{t}rbase, %{t}j")
        new = self.step(f"{t}st", lanes, acc, pointers, f"%{t}jx")
        phi_lines = []
        for i, type in enumerate(self.types(lanes)):
            phi_lines.append(f"  {acc[i]} = phi {type} [{zero[i]}, %{t}blkgo], [{new[i]}, %{t}el]")
        L[placeholder:placeholder] = phi_lines
        L += [f"  %{t}j2 = add i64 %{t}j, 1", f"  %{t}jm = icmp slt i64 %{t}j2, %{t}bend",
              f"  br i1 %{t}jm, label %{t}el, label %{t}blkend", f"{t}blkend:"]  # fmt: skip
        result = self.merge(f"{t}mm", lanes, tot, new)
        self._rename(merged, result, lanes)
        L += [f"  br label %{t}blk", f"{t}rowend:"]
        return tot, f"{t}rowend"

    def _rename(self, names: list[str], values: list[str], lanes: int) -> None:
        for name, value, type in zip(names, values, self.types(lanes)):
            self.lines.append(f"  {name} = freeze {type} {value}")

    def _inner_row(self, t, label, lanes, ins, start, total):
        """The whole vectors of one contiguous row: INNER_UNROLL accumulations, merged every BLOCK * lanes."""
        L, zero, step = self.lines, self.starts(lanes), lanes * INNER_UNROLL
        tot, merged = self.named(f"{t}bt"), self.named(f"{t}mg")
        L += [f"  br label %{t}blk", f"{t}blk:", f"  %{t}b = phi i64 [0, %{label}], [%{t}bend, %{t}blkend]"]
        self.phis(tot, lanes, (total, label), (merged, f"{t}blkend"))
        L += [f"  %{t}bm = icmp slt i64 %{t}b, %whole", f"  br i1 %{t}bm, label %{t}blkgo, label %{t}rowend",
              f"{t}blkgo:", f"  %{t}bfar = add i64 %{t}b, {BLOCK * 8}",
              f"  %{t}bcut = icmp slt i64 %{t}bfar, %whole",
              f"  %{t}bend = select i1 %{t}bcut, i64 %{t}bfar, i64 %whole",
              f"  br label %{t}el", f"{t}el:",
              f"  %{t}j = phi i64 [%{t}b, %{t}blkgo], [%{t}j2, %{t}el]"]  # fmt: skip
        placeholder, phi_lines, news = len(L), [], []
        for u in range(INNER_UNROLL):
            acc = self.named(f"{t}ac{u}_")
            L.append(f"  %{t}ju{u} = add i64 %{t}j, {u * lanes}")
            pointers = []
            for n in ins:
                L.append(f"  %{t}jo{u}_{n} = mul i64 %{t}ju{u}, %{n}_step")
                pointers.append(self.gep(f"%{t}jp{u}_{n}", start[n], f"%{t}jo{u}_{n}"))
            L.append(f"  %{t}jx{u} = add i64 %{t}rbase, %{t}ju{u}")
            new = self.step(f"{t}st{u}_", lanes, acc, pointers, f"%{t}jx{u}")
            news.append(new)
            for i, type in enumerate(self.types(lanes)):
                phi_lines.append(f"  {acc[i]} = phi {type} [{zero[i]}, %{t}blkgo], [{new[i]}, %{t}el]")
        L[placeholder:placeholder] = phi_lines
        L += [f"  %{t}j2 = add i64 %{t}j, {step}", f"  %{t}jm = icmp slt i64 %{t}j2, %{t}bend",
              f"  br i1 %{t}jm, label %{t}el, label %{t}blkend", f"{t}blkend:"]  # fmt: skip
        half = INNER_UNROLL // 2
        while half:
            news = [self.merge(f"{t}u{half}_{i}_", lanes, news[i], news[i + half]) for i in range(half)]
            half //= 2
        self._rename(merged, self.merge(f"{t}mm", lanes, tot, news[0]), lanes)
        L += [f"  br label %{t}blk", f"{t}rowend:"]
        return tot, f"{t}rowend"

    def _inner(self, outs: list[str], ins: list[str]) -> None:
        """One unit is one result; the vector part and the rest of each row are folded apart."""
        L = self.lines
        L += [f"  %whole = and i64 %rn, {-LANES * INNER_UNROLL}",
              "  br label %unit", "unit:", "  %u = phi i64 [%begin, %entry], [%u2, %unitend]"]  # fmt: skip
        tables = {n: f"%{n}_kept" for n in outs + ins}
        lines, moved, label = offsets("k", "unit", "%u", "%dk", "%ksizes", tables)
        L += lines
        base = {n: self.gep(f"%bp_{n}", f"%{n}", moved[n]) for n in outs + ins}
        vectors, label = self._reduced_loop("v", label, LANES, ins, base)
        folded = self.fold_lanes("f", vectors)
        L.append("  br label %tails")
        L.append("tails:")
        rest, label = self._tail_rows("t", "tails", ins, base)
        final = self.merge("x", 1, folded, rest)
        self.finish("y", 1, final, [base[n] for n in outs])
        L += ["  br label %unitend", "unitend:", "  %u2 = add i64 %u, 1",
              "  %umore = icmp slt i64 %u2, %end", "  br i1 %umore, label %unit, label %done"]  # fmt: skip

    def _tail_rows(self, t, before, ins, base):
        """What the vectors left of every row, element by element."""
        L = self.lines
        total, after = self.named(f"{t}tot"), self.named(f"{t}aft")
        L += [f"  br label %{t}outer", f"{t}outer:",
              f"  %{t}r = phi i64 [0, %{before}], [%{t}r2, %{t}outernext]"]  # fmt: skip
        self.phis(total, 1, (self.starts(1), before), (after, f"{t}outernext"))
        L += [f"  %{t}rmore = icmp slt i64 %{t}r, %ro", f"  br i1 %{t}rmore, label %{t}row, label %{t}end", f"{t}row:"]
        lines, moved, label = offsets(f"{t}q", f"{t}row", f"%{t}r", "%dr", "%rsizes", {n: f"%{n}_red" for n in ins})
        L += lines
        start = {n: self.gep(f"%{t}rp_{n}", base[n], moved[n]) for n in ins}
        L.append(f"  %{t}rbase = mul i64 %{t}r, %rn")
        sums, end = self._strided_row(t, label, 1, ins, start, total, first="%whole")
        L += [f"  br label %{t}outernext", f"{t}outernext:"]
        self.phis(after, 1, (sums, end))
        L += [f"  %{t}r2 = add i64 %{t}r, 1", f"  br label %{t}outer", f"{t}end:"]
        return total, f"{t}end"

    def _outer(self, outs: list[str], ins: list[str]) -> None:
        """One unit is LANES neighbouring results (or what is left of them, singly)."""
        L = self.lines
        vector = "g" not in self.pattern
        width = LANES if vector else 1
        L += [f"  %per0 = add i64 %lanes, {LANES - 1}", f"  %per = sdiv i64 %per0, {LANES}",
              "  br label %unit", "unit:", "  %u = phi i64 [%begin, %entry], [%u2, %unitend]",
              "  %cell = sdiv i64 %u, %per", "  %cellback = mul i64 %cell, %per",
              "  %part = sub i64 %u, %cellback", f"  %lane0 = mul i64 %part, {LANES}",
              f"  %lanefar = add i64 %lane0, {LANES}", "  %lanecut = icmp slt i64 %lanefar, %lanes",
              "  %lane1 = select i1 %lanecut, i64 %lanefar, i64 %lanes"]  # fmt: skip
        tables = {n: f"%{n}_kept" for n in outs + ins}
        lines, moved, label = offsets("k", "unit", "%cell", "%dk", "%ksizes", tables)
        L += lines
        for n in outs + ins:
            L.append(f"  %lo_{n} = mul i64 %lane0, %{n}_lane")
            L.append(f"  %bo_{n} = add i64 %lo_{n}, {moved[n]}")
        base = {n: self.gep(f"%bp_{n}", f"%{n}", f"%bo_{n}") for n in outs + ins}
        if vector:
            L += ["  %full = icmp sle i64 %lanefar, %lanes", "  br i1 %full, label %wide, label %single", "wide:"]
            accs, label = self._reduced_loop("v", "wide", width, ins, base)
            self.finish("y", width, accs, [base[n] for n in outs])
            L += ["  br label %unitend"]
        else:
            L += ["  br label %single"]
        L += ["single:", "  %c = phi i64 [%lane0, %ke], [%c2, %singleend]", "  %cd = sub i64 %c, %lane0"]
        for n in outs + ins:
            L.append(f"  %co_{n} = mul i64 %cd, %{n}_lane")
        one = {n: self.gep(f"%cp_{n}", base[n], f"%co_{n}") for n in outs + ins}
        accs, label = self._reduced_loop("s", "single", 1, ins, one)
        self.finish("w", 1, accs, [one[n] for n in outs])
        L += ["  br label %singleend", "singleend:", "  %c2 = add i64 %c, 1",
              "  %cmore = icmp slt i64 %c2, %lane1", "  br i1 %cmore, label %single, label %unitend",
              "unitend:", "  %u2 = add i64 %u, 1",
              "  %umore = icmp slt i64 %u2, %end", "  br i1 %umore, label %unit, label %done"]  # fmt: skip


def _compute(storage: str) -> str:
    return {"b8": "b1", "f16": "f32", "bf16": "f32"}.get(storage, storage)
