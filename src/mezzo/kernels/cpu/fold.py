"""Folds: what a reduction or a scan does with each element, and the pieces of text that kernels are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.emit import LANES, LLVM, STORED, Emitter
from mezzo.kernels.ir import SIZE, Expr, cast, const, where

_INTEGER = {1: "i8", 2: "i16", 4: "i32", 8: "i64"}
AHEAD = 1024  # bytes before their use that lines are asked for: the processor's own fetching leaves a fifth unused
LINE = 64  # bytes of a cache line
FAR = 1 << 21  # bytes of operands that no cache near the core keeps
IOTA = ", ".join(f"i32 {i}" for i in range(LANES))


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

        return Fold(
            self.starts,
            step,
            self.merge,
            lambda accs, count: self.finish(accs, const(total, "i64")),
        )


class FoldKernel:
    """A fold over operands of given storage types; compiles variants on demand."""

    def __init__(
        self, fold: Fold, ins: Sequence[str], outs: Sequence[str], scalars: Sequence[str] = ()
    ):
        self.fold, self.ins, self.outs, self.scalars = fold, tuple(ins), tuple(outs), tuple(scalars)
        self._addresses: dict[tuple[str, str, bool], int] = {}

    def address(self, mode: str, pattern: str, is_far: bool = False) -> int:
        """The entry; pattern holds for each input how it lies along the lanes (see reduce.py and scan.py).

        is_far: operands come from memory, not from a cache.
        """
        key = mode, pattern, is_far
        found = self._addresses.get(key)
        if found is None:
            found = self._addresses[key] = jit.load(self.write(*key)).address("kernel")
        return found

    def write(self, mode: str, pattern: str, is_far: bool) -> str:
        """The module's text."""
        raise NotImplementedError


class FoldWriter:
    """Writes one kernel. along: whether lanes run along the folded axis (then an index differs by lane)."""

    along = False

    def __init__(self, kernel: FoldKernel, pattern: str, is_far: bool = False):
        self.kernel, self.pattern, self.fold, self.is_far = kernel, pattern, kernel.fold, is_far
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

    def step(
        self, tag: str, lanes: int, accs: list[str], pointers: list[str], index: str, mask: str = ""
    ) -> list[str]:
        """Take in one element for each lane (of the mask); index is a register of the first lane's position."""

        def leaf(x: Expr) -> str:
            if x.op == "acc":
                return accs[x.attr]
            if x.op == "scalar":
                return emitter.splat(f"%s{x.attr}", LLVM[x.type])
            if x.op == "index":
                base = emitter.splat(index, "i64")
                if lanes == 1 or not self.along:
                    return base
                iota = ", ".join(f"i64 {i}" for i in range(lanes))
                return emitter.put(f"add {emitter.wide('i64')} {base}, <{iota}>")
            if self.pattern[x.attr] == "s" and lanes > 1:
                one = Emitter(self.lines, self.declares, 1, f"{tag}o{x.attr}_", lambda e: "")
                return emitter.splat(
                    one.load(pointers[x.attr], self.kernel.ins[x.attr]), LLVM[x.type]
                )
            return self._load(emitter, pointers[x.attr], self.kernel.ins[x.attr], mask)

        emitter = Emitter(self.lines, self.declares, lanes, tag, leaf)
        loads = [Expr("load", (), _compute(s), i) for i, s in enumerate(self.kernel.ins)]
        new = [
            emitter.value(x)
            for x in self.fold.step(self._leaves("acc"), loads, Expr("index", (), "i64"))
        ]
        if not mask:
            return new
        held = f"<{lanes} x i1> {mask}"
        return [
            emitter.put(f"select {held}, {t} {n}, {t} {a}")
            for t, n, a in zip(self.types(lanes), new, accs)
        ]

    def look_ahead(self, tag: str, pointers: list[str], nth: int) -> None:
        """Ask for what the nth vector side by side will read AHEAD bytes from here, if that is in memory."""
        e = Emitter(self.lines, self.declares, 1, tag, lambda x: "")
        for pointer, storage, letter in zip(pointers, self.kernel.ins, self.pattern):
            nbytes = LANES * SIZE[storage]
            if self.is_far and letter == "c" and nth * nbytes % LINE == 0:
                e.ask(pointer, AHEAD, nbytes)

    def mask(self, name: str, left: str, first: int = 0) -> str:
        """Lanes first, first + 1, ... that lie below a count (i64)."""
        e = Emitter(self.lines, self.declares, LANES, name, lambda x: "")
        near = e.put(f"add i64 {left}, {-first}")
        capped = e.put(f"call i64 @llvm.smin.i64(i64 {near}, i64 {LANES})")
        self.declares.add("declare i64 @llvm.smin.i64(i64, i64)")
        few = e.put(f"trunc i64 {capped} to i32")
        return e.put(f"icmp slt <{LANES} x i32> <{IOTA}>, {e.splat(few, 'i32')}")

    def _load(self, e: Emitter, pointer: str, storage: str, mask: str) -> str:
        if not mask:
            return e.load(pointer, storage)
        bits = _INTEGER[SIZE[storage]]
        wide = f"<{LANES} x {bits}>"
        name = f"llvm.masked.load.v{LANES}{bits}.p0"
        self.declares.add(f"declare {wide} @{name}(ptr, <{LANES} x i1>, {wide})")
        at = f"ptr align {SIZE[storage]} {pointer}"
        raw = e.put(f"call {wide} @{name}({at}, <{LANES} x i1> {mask}, {wide} zeroinitializer)")
        if STORED[storage] != bits:
            raw = e.put(f"bitcast {wide} {raw} to <{LANES} x {STORED[storage]}>")
        return e.decode(raw, storage)

    def _store(self, e: Emitter, value: str, pointer: str, storage: str, mask: str) -> None:
        if not mask:
            e.store(value, pointer, storage)
            return
        raw, bits = e.encode(value, storage), _INTEGER[SIZE[storage]]
        wide = f"<{LANES} x {bits}>"
        if STORED[storage] != bits:
            raw = e.put(f"bitcast <{LANES} x {STORED[storage]}> {raw} to {wide}")
        name = f"llvm.masked.store.v{LANES}{bits}.p0"
        self.declares.add(f"declare void @{name}({wide}, ptr, <{LANES} x i1>)")
        self.lines.append(
            f"  call void @{name}({wide} {raw}, ptr align {SIZE[storage]} {pointer}, <{LANES} x i1> {mask})"
        )

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
                        self.lines.append(
                            f"  {name} = shufflevector {source}, {other}, <{half} x i32> <{mask}>"
                        )
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

    def finish(
        self, tag: str, lanes: int, accs: list[str], pointers: list[str], mask: str = ""
    ) -> None:
        """Store what the accumulators amount to."""
        emitter = Emitter(self.lines, self.declares, lanes, tag, lambda x: "")
        emitter.leaf = lambda x: accs[x.attr] if x.op == "acc" else (
            emitter.splat("%count", "i64") if x.op == "count" else emitter.splat(f"%s{x.attr}", LLVM[x.type]))  # fmt: skip
        results = self.fold.finish(self._leaves("acc"), Expr("count", (), "i64"))
        for result, pointer, storage in zip(results, pointers, self.kernel.outs):
            value = emitter.value(cast(result, _compute(storage)))
            self._store(emitter, value, pointer, storage, mask)


def _compute(storage: str) -> str:
    return {"b8": "b1", "f16": "f32", "bf16": "f32"}.get(storage, storage)
