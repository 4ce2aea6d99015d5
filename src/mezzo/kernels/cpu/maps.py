"""Maps: one expression per output, evaluated at every element.

Two kernels exist for each set of expressions. The *flat* one serves operands that all advance by one
element, or not at all; the *strided* one walks rows of any shape and stride. Sizes and strides
are data, so a new shape compiles nothing.

    flat:     args = [n, outs..., ins..., scalars...]
    strided:  args = [block, outs..., ins..., scalars...]
              block = i64 [units, serial, blocks per row, row length, outer dims d,
                           sizes[d], then for each operand: inner stride, outer strides[d]]  (bytes)

A unit is a stretch of at most CHUNK elements of one row; threads share the units.

A *stream* is the flat kernel with stores that go past the caches: a large result is not read again
before it has left them, and the processor need not load lines only to overwrite them. It wants new
memory (aligned as the allocator does) and few instructions for an element: measured on Sapphire Rapids,
a + b on 16M floats takes 9 ms instead of 16.

A flat kernel that is busy with arithmetic asks for its lines AHEAD: the processor's own fetching ends at every page,
and what it waits there no arithmetic hides (tanh on 16M floats takes 8.4 ms instead of 13.8). So does a stream that
reads a single operand (2 a: 5.2 instead of 7.5 ms): what it asks for itself adds to what the processor fetches. Beside
a second operand it only loses. *Far* is the flat kernel on memory that is not new, which asks ahead likewise.

*Rows* are a stream of the strided kernel, where every row of the result begins with a cache line. What is not new
memory but will be overwritten without being read (copy_) has both bodies, and streams if it lies so ("or" behind the name).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.emit import LANES, LLVM, Emitter
from mezzo.kernels.cpu.nest import CHOSEN, LINE, entry, offsets, slots, words
from mezzo.kernels.ir import SIZE, Expr, walk

CHUNK = 8192
SERIAL = 4 * CHUNK  # fewer elements than this are not worth waking a thread for
UNROLL = 2
STREAM = 1 << 24  # bytes of a result that no cache near the core keeps
AHEAD = 2048  # bytes before their use that a kernel busy with arithmetic asks for lines
BUSY = 20  # lines of IR for one vector, from which arithmetic and memory had better overlap
LIGHT = 40  # lines of IR for one vector, up to which a kernel waits for memory
CONTIGUOUS, SCALAR, STRIDED = "c", "s", "g"


class MapKernel:
    """Expressions with the storage types of their operands; compiles a variant per access pattern."""

    def __init__(
        self, ins: Sequence[str], outs: Sequence[str], exprs: Sequence[Expr], scalars: Sequence[str]
    ):
        self.ins, self.outs, self.exprs, self.scalars = (
            tuple(ins),
            tuple(outs),
            tuple(exprs),
            tuple(scalars),
        )
        self.storages = self.outs + self.ins
        self._addresses: dict[tuple[str, str], int] = {}

    def address(self, shape: str, pattern: str) -> int:
        """The entry for "flat", "far", "stream", "strided" or "rows" and one access letter for each operand."""
        found = self._addresses.get((shape, pattern))
        if found is None:
            found = jit.load(_text(self, pattern, shape)).address("kernel")
            self._addresses[shape, pattern] = found
        return found

    @functools.cached_property
    def uses_index(self) -> bool:
        """True if an expression reads the linear index: then the output must be dense."""
        return any(e.op == "index" for e in walk(self.exprs))

    @functools.cached_property
    def loaded(self) -> frozenset[int]:
        """The inputs that expressions read."""
        return frozenset(e.attr for e in walk(self.exprs) if e.op == "load")

    def streams_read(self, pattern: str) -> int:
        """How many inputs are read from end to end."""
        letters = pattern[len(self.outs) :]
        return sum(letters[i] == CONTIGUOUS for i in self.loaded)

    @functools.cached_property
    def weight(self) -> int:
        """Lines of IR for one vector."""
        lines: list[str] = []
        loop = MapLoop(self, CONTIGUOUS * len(self.storages), lines, set())
        fixed = loop.prepare(LANES, "f")
        before = len(lines)
        loop.body(LANES, "b", "%i", fixed)
        return len(lines) - before

    @property
    def is_light(self) -> bool:
        """True if memory, not arithmetic, sets the pace."""
        return self.weight <= LIGHT

    def flat_shape(self, nbytes: int, pattern: str, fresh: bool, over: bool = False) -> str:
        """Which flat kernel writes a result of that size best. fresh: it is new memory; over: it is not read."""
        if nbytes < STREAM or STRIDED in pattern:
            return "flat"
        if (fresh or over) and self.is_light:
            return "stream" if fresh else "stream or"
        return "far" if self.streams_read(pattern) == 1 else "flat"

    def rows_shape(
        self, nbytes: int, pattern: str, fresh: bool, over: bool, length: int, steps: Sequence[int]
    ) -> str:
        """Which strided kernel writes rows of that length best; steps: bytes from row to row of the result."""
        whole = length % (2 * UNROLL * LANES) == 0 and all(step % LINE == 0 for step in steps)
        if nbytes < STREAM or STRIDED in pattern or not whole or not self.is_light:
            return "strided"
        return "rows" if fresh else ("rows or" if over else "strided")


class MapLoop:
    """The text of one inner loop: leaves, body and stores at one width."""

    def __init__(
        self,
        kernel: MapKernel,
        pattern: str,
        lines: list[str],
        declares: set[str],
        streams: bool = False,
        looks_ahead: bool = False,
        writes_ahead: bool = True,
    ):
        self.kernel, self.pattern, self.lines, self.declares = kernel, pattern, lines, declares
        self.streams, self.looks_ahead = streams, looks_ahead
        self.writes_ahead = writes_ahead and not streams

    def prepare(self, lanes: int, tag: str) -> dict:
        """Values that do not change in the loop: scalars and operands with stride zero."""
        fixed: dict = {}
        emitter = Emitter(self.lines, self.declares, lanes, f"{tag}f", lambda e: "")
        scalar = Emitter(self.lines, self.declares, 1, f"{tag}g", lambda e: "")
        for i, type in enumerate(self.kernel.scalars):
            fixed["scalar", i] = emitter.splat(f"%s{i}", LLVM[type])
        n_out = len(self.kernel.outs)
        for i, storage in enumerate(self.kernel.ins):
            if self.pattern[n_out + i] == SCALAR:
                value = scalar.load(f"%p{n_out + i}", storage)
                fixed["load", i] = emitter.splat(value, LLVM[self._compute(storage)])
        return fixed

    @staticmethod
    def _compute(storage: str) -> str:
        return {"b8": "b1", "f16": "f32", "bf16": "f32"}.get(storage, storage)

    def body(self, lanes: int, tag: str, position: str, fixed: dict) -> None:
        """Loads, expressions and stores for `lanes` elements from `position`."""
        emitter = Emitter(
            self.lines, self.declares, lanes, tag, lambda e: self._leaf(e, emitter, position, fixed)
        )
        values = [emitter.value(e) for e in self.kernel.exprs]
        for i, (value, storage) in enumerate(zip(values, self.kernel.outs)):
            emitter.store(
                value,
                self._pointer(emitter, i, position),
                storage,
                past_caches=self.streams and lanes > 1,
            )
        self.after(emitter)

    def look_ahead(self, tag: str, position: str, nth: int) -> None:
        """Ask for the lines that the nth vector of a turn has further on, once each."""
        emitter = Emitter(self.lines, self.declares, 1, f"{tag}a", lambda e: "")
        for i, storage in enumerate(self.kernel.storages):
            size = SIZE[storage]
            writes = int(i < len(self.kernel.outs))
            used = writes or i - len(self.kernel.outs) in self.kernel.loaded
            if (
                not used
                or self.pattern[i] != CONTIGUOUS
                or nth * LANES * size % LINE
                or (writes and not self.writes_ahead)
            ):
                continue
            there = self._pointer(emitter, i, position)
            emitter.ask(there, AHEAD, LANES * size, writes)

    def after(self, emitter: Emitter) -> None:
        """What a subclass adds to the body."""

    def _leaf(self, e: Expr, emitter: Emitter, position: str, fixed: dict) -> str:
        found = fixed.get((e.op, e.attr))
        if found is not None:
            return found
        if e.op == "index":
            base = emitter.splat(emitter.put(f"add i64 %index_base, {position}"), "i64")
            if emitter.lanes == 1:
                return base
            steps = ", ".join(f"i64 {i}" for i in range(emitter.lanes))
            return emitter.put(f"add {emitter.wide('i64')} {base}, <{steps}>")
        operand = len(self.kernel.outs) + e.attr
        return emitter.load(self._pointer(emitter, operand, position), self.kernel.ins[e.attr])

    def _pointer(self, emitter: Emitter, operand: int, position: str) -> str:
        if self.pattern[operand] == CONTIGUOUS:
            offset = emitter.put(f"mul i64 {position}, {SIZE[self.kernel.storages[operand]]}")
        else:
            offset = emitter.put(f"mul i64 {position}, %inner{operand}")
        return emitter.put(f"getelementptr i8, ptr %p{operand}, i64 {offset}")


def inner_loops(loop: MapLoop, vectorise: bool) -> None:
    """From %lo to %hi: a vector loop of LANES where possible, then single elements."""
    lines = loop.lines
    if vectorise:
        unroll = 2 * UNROLL if loop.streams else UNROLL
        step = LANES * unroll
        fixed = loop.prepare(LANES, "v")
        lines += ["  %length = sub i64 %hi, %lo",
                  f"  %whole = and i64 %length, {-step}",
                  "  %vend = add i64 %lo, %whole",
                  "  %vany = icmp slt i64 %lo, %vend",
                  "  br i1 %vany, label %vloop, label %vdone",
                  "vloop:",
                  "  %vi = phi i64 [%lo, %pre], [%vnext, %vloop]"]  # fmt: skip
        for u in range(unroll):
            lines.append(f"  %vp{u} = add i64 %vi, {u * LANES}")
            loop.body(LANES, f"v{u}_", f"%vp{u}", fixed)
            if loop.looks_ahead:
                loop.look_ahead(f"v{u}_", f"%vp{u}", u)
        lines += [f"  %vnext = add i64 %vi, {step}",
                  "  %vmore = icmp slt i64 %vnext, %vend",
                  "  br i1 %vmore, label %vloop, label %vdone",
                  "vdone:",
                  "  %from = phi i64 [%lo, %pre], [%vend, %vloop]"]  # fmt: skip
    else:
        lines += ["  br label %vdone", "vdone:", "  %from = phi i64 [%lo, %pre]"]
    fixed = loop.prepare(1, "t")
    lines += ["  %tany = icmp slt i64 %from, %hi",
              "  br i1 %tany, label %tloop, label %tdone",
              "tloop:",
              "  %ti = phi i64 [%from, %vdone], [%tnext, %tloop]"]  # fmt: skip
    loop.body(1, "t_", "%ti", fixed)
    lines += ["  %tnext = add i64 %ti, 1",
              "  %tmore = icmp slt i64 %tnext, %hi",
              "  br i1 %tmore, label %tloop, label %tdone",
              "tdone:"]  # fmt: skip


def _text(kernel: MapKernel, pattern: str, shape: str) -> str:
    """The module of a kernel: one body, or a choice of two."""
    shape, _, other = shape.partition(" ")
    strided = shape in ("strided", "rows")
    make = _strided if strided else _flat
    declares: set[str] = {"declare void @mezzo_parallel(ptr, ptr, i64)"}
    lines = make(kernel, pattern, shape, "past" if other else "body", declares)
    if other:
        lines += make(kernel, pattern, "strided" if strided else "flat", "body", declares)
    body, chosen = ("%chosen", CHOSEN) if other else ("@body", ())
    lines += entry(body=body, chosen=chosen) if strided else _flat_entry(body, chosen)
    return "\n".join([*lines, *sorted(declares), ""])


def _end(streams: bool, declares: set[str]) -> list[str]:
    """The end of a body: stores past the caches are not ordered with those that follow."""
    if streams:
        declares.add("!0 = !{i32 1}")
    return ["  fence seq_cst"] * streams + ["  ret void", "}"]


def _flat(kernel: MapKernel, pattern: str, shape: str, name: str, declares: set[str]) -> list[str]:
    streams = shape == "stream"
    names = [f"p{i}" for i in range(len(kernel.storages))]
    lines = [f"define internal void @{name}(ptr %args, i64 %begin, i64 %end, i64 %worker) {{",
             "entry:", "  %n = load i64, ptr %args", *slots(names, kernel.scalars),
             f"  %lo = mul i64 %begin, {CHUNK}",
             f"  %far = mul i64 %end, {CHUNK}",
             "  %cut = icmp slt i64 %far, %n",
             "  %hi = select i1 %cut, i64 %far, i64 %n",
             "  %index_base = add i64 0, 0",
             "  br label %pre", "pre:"]  # fmt: skip
    read_one = kernel.streams_read(pattern) == 1
    looks_ahead = kernel.weight > BUSY or shape == "far" or (streams and read_one)
    loop = MapLoop(kernel, pattern, lines, declares, streams, looks_ahead, kernel.weight > BUSY)
    inner_loops(loop, vectorise=STRIDED not in pattern)
    return [*lines, *_end(streams, declares)]


def _flat_entry(body: str, chosen: Sequence[str]) -> list[str]:
    return ["define void @kernel(ptr %args) {",
            "  %n = load i64, ptr %args",
            f"  %up = add i64 %n, {CHUNK - 1}",
            f"  %units = sdiv i64 %up, {CHUNK}", *chosen,
            f"  %small = icmp sle i64 %n, {SERIAL}",
            "  br i1 %small, label %alone, label %together",
            "alone:", f"  call void {body}(ptr %args, i64 0, i64 %units, i64 0)", "  ret void",
            "together:", f"  call void @mezzo_parallel(ptr {body}, ptr %args, i64 %units)",
            "  ret void", "}"]  # fmt: skip


def _strided(
    kernel: MapKernel, pattern: str, shape: str, name: str, declares: set[str]
) -> list[str]:
    streams, count = shape == "rows", len(kernel.storages)
    lines = [f"define internal void @{name}(ptr %args, i64 %begin, i64 %end, i64 %worker) {{",
             "entry:", "  %block = load ptr, ptr %args",
             *slots([f"base{i}" for i in range(count)], kernel.scalars),
             *words(("units", "serial", "per_row", "length0", "dims")),
             "  %sizes = getelementptr i64, ptr %block, i64 5", "  %strides_at = add i64 %dims, 5",
             "  %stride_step = add i64 %dims, 1"]  # fmt: skip
    for i in range(count):
        lines += [f"  %skip{i} = mul i64 %stride_step, {i}",
                  f"  %table_at{i} = add i64 %strides_at, %skip{i}",
                  f"  %table{i} = getelementptr i64, ptr %block, i64 %table_at{i}",
                  f"  %inner{i} = load i64, ptr %table{i}",
                  f"  %outer{i} = getelementptr i64, ptr %table{i}, i64 1"]  # fmt: skip
    lines += ["  br label %unit", "unit:",
              "  %u = phi i64 [%begin, %entry], [%unext, %tdone]",
              "  %row = sdiv i64 %u, %per_row",
              "  %row_start = mul i64 %row, %per_row",
              "  %part = sub i64 %u, %row_start",
              "  %index_base = mul i64 %row, %length0",
              f"  %lo = mul i64 %part, {CHUNK}",
              f"  %far = add i64 %lo, {CHUNK}",
              "  %cut = icmp slt i64 %far, %length0",
              "  %hi = select i1 %cut, i64 %far, i64 %length0"]  # fmt: skip
    tables = {str(i): f"%outer{i}" for i in range(count)}
    walk_rows, moved, _ = offsets("k", "unit", "%row", "%dims", "%sizes", tables)
    lines += [*walk_rows, "  br label %pre", "pre:"]
    lines += [
        f"  %p{i} = getelementptr i8, ptr %base{i}, i64 {moved[str(i)]}" for i in range(count)
    ]
    inner_loops(
        MapLoop(kernel, pattern, lines, declares, streams, streams),
        vectorise=STRIDED not in pattern,
    )
    lines += ["  %unext = add i64 %u, 1", "  %umore = icmp slt i64 %unext, %end",
              "  br i1 %umore, label %unit, label %done", "done:"]  # fmt: skip
    return [*lines, *_end(streams, declares)]
