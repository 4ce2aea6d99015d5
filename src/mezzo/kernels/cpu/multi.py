"""Multi-tensor maps: one launch updates many buffers in place (optimizer steps, unscaling).

    args  = [units, count, rows, flag, scalars...]
    units = i64 triples (row, first element, last element), each a stretch of one row's buffers
    rows  = for each row one pointer per operand

Outputs are operands written in place. An expression `flag` is or-ed over all elements; where it
held anywhere, the flag cell (i64) becomes 1.
"""

from __future__ import annotations

import array
from collections.abc import Sequence

from mezzo.kernels.cpu import capture, entry, jit
from mezzo.kernels.cpu.emit import LANES, Emitter
from mezzo.kernels.cpu.maps import CHUNK, CONTIGUOUS, LINE, MapLoop, inner_loops
from mezzo.kernels.cpu.nest import slots
from mezzo.kernels.ir import SIZE, Expr

SERIAL_UNITS = 4
FAR_UNITS = 64  # stretches of buffers that no cache near the core keeps
AHEAD = 512  # bytes before their use that lines are asked for: each operand has its own


class MultiKernel:
    """Expressions over rows of dense buffers.

    storages: the storage type of each operand; writes: which operands the expressions replace;
    scalars: types of the runtime numbers.
    """

    def __init__(self, storages: Sequence[str], writes: Sequence[int], exprs: Sequence[Expr],
                 scalars: Sequence[str], flag: Expr | None = None):  # fmt: skip
        self.operands, self.writes = tuple(storages), tuple(writes)
        self.exprs, self.scalars, self.flag = tuple(exprs), tuple(scalars), flag
        # The loop writer numbers outputs before inputs; here both name the same pointers.
        self.ins, self.outs = self.operands, tuple(storages[w] for w in writes)
        self.storages = self.outs + self.ins
        self._addresses: dict[bool, int] = {}

    def address(self, is_far: bool) -> int:
        """The native entry. is_far: the buffers come from memory, not from a cache."""
        found = self._addresses.get(is_far)
        if found is None:
            text = _text(self, is_far)
            found = self._addresses[is_far] = jit.load(text).address("kernel")
        return found

    def run(self, table: Table, numbers: Sequence[float], flag: int = 0) -> None:
        """Launch over a table of buffers."""
        if table.count:
            call = entry.launch if table.count <= SERIAL_UNITS else entry.launch_unlocked
            address = self.address(table.count >= FAR_UNITS)
            call(address, table.units_at, table.count, table.rows_at, flag, *numbers)


class Table:
    """Which buffers a launch works on. sizes: elements per row; pointers: one tuple per row."""

    __slots__ = ("_rows", "_units", "count", "rows_at", "units_at")

    def __init__(self, sizes: Sequence[int], pointers: Sequence[Sequence[int]]):
        words: list[int] = []
        for row, size in enumerate(sizes):
            for low in range(0, size, CHUNK):
                words += (row, low, min(low + CHUNK, size))
        self._units = array.array("q", words)
        self.units_at, self.count = self._units.buffer_info()[0], len(words) // 3
        self._point(pointers)

    def at(self, pointers: Sequence[Sequence[int]]) -> Table:
        """A table of other buffers of the same sizes. A new one: another thread may be using this."""
        made = object.__new__(Table)
        made._units, made.units_at, made.count = self._units, self.units_at, self.count
        made._point(pointers)
        return made

    def _point(self, pointers: Sequence[Sequence[int]]) -> None:
        self._rows = capture.table([p for row in pointers for p in row])
        self.rows_at = self._rows.buffer_info()[0]


def _text(kernel: MultiKernel, is_far: bool) -> str:
    declares: set[str] = {"declare void @mezzo_parallel(ptr, ptr, i64)"}
    lines = ["define internal void @body(ptr %args, i64 %begin, i64 %end, i64 %worker) {", "entry:",
             "  %bad = alloca i8", "  store i8 0, ptr %bad",
             "  %units = load ptr, ptr %args",
             *slots(("rows", "flag"), kernel.scalars, first=2),
             "  %index_base = add i64 0, 0",
             "  br label %unit", "unit:",
             "  %u = phi i64 [%begin, %entry], [%unext, %tdone]",
             "  %u3 = mul i64 %u, 3", "  %at = getelementptr i64, ptr %units, i64 %u3",
             "  %row = load i64, ptr %at",
             "  %lo_at = getelementptr i64, ptr %at, i64 1", "  %lo = load i64, ptr %lo_at",
             "  %hi_at = getelementptr i64, ptr %at, i64 2", "  %hi = load i64, ptr %hi_at",
             f"  %row0 = mul i64 %row, {len(kernel.operands)}"]  # fmt: skip
    first = len(kernel.outs)
    for i in range(len(kernel.operands)):
        lines += [f"  %r{i} = add i64 %row0, {i}", f"  %ra{i} = getelementptr i64, ptr %rows, i64 %r{i}",
                  f"  %p{first + i} = load ptr, ptr %ra{i}"]  # fmt: skip
    for i, written in enumerate(kernel.writes):
        lines.append(f"  %p{i} = getelementptr i8, ptr %p{first + written}, i64 0")
    lines += ["  br label %pre", "pre:"]
    pattern = CONTIGUOUS * len(kernel.storages)
    inner_loops(_FlagLoop(kernel, pattern, lines, declares, False, is_far), vectorise=True)
    lines += ["  %unext = add i64 %u, 1", "  %umore = icmp slt i64 %unext, %end",
              "  br i1 %umore, label %unit, label %done", "done:",
              "  %found = load i8, ptr %bad", "  %any = icmp ne i8 %found, 0",
              "  br i1 %any, label %report, label %leave",
              "report:", "  store i64 1, ptr %flag", "  br label %leave", "leave:", "  ret void", "}",
              "define void @kernel(ptr %args) {",
              "  %count_at = getelementptr i64, ptr %args, i64 1", "  %count = load i64, ptr %count_at",
              f"  %small = icmp sle i64 %count, {SERIAL_UNITS}",
              "  br i1 %small, label %alone, label %together",
              "alone:", "  call void @body(ptr %args, i64 0, i64 %count, i64 0)", "  ret void",
              "together:", "  call void @mezzo_parallel(ptr @body, ptr %args, i64 %count)",
              "  ret void", "}"]  # fmt: skip
    return "\n".join([*lines, *sorted(declares), ""])


class _FlagLoop(MapLoop):
    """A map loop that also gathers the flag in %bad (which LLVM keeps in a register)."""

    def look_ahead(self, tag: str, position: str, nth: int) -> None:
        """Ask for the operands; outputs lie where they do."""
        e = Emitter(self.lines, self.declares, 1, f"{tag}a", lambda x: "")
        for i, storage in enumerate(self.kernel.ins, len(self.kernel.outs)):
            nbytes = LANES * SIZE[storage]
            if nth * nbytes % LINE == 0:
                e.ask(self._pointer(e, i, position), AHEAD, nbytes, level=2)

    def after(self, emitter) -> None:
        flag = self.kernel.flag
        if flag is None:
            return
        value = emitter.value(flag)
        if emitter.lanes > 1:
            kind = f"v{emitter.lanes}i1"
            self.declares.add(f"declare i1 @llvm.vector.reduce.or.{kind}(<{emitter.lanes} x i1>)")
            value = emitter.put(
                f"call i1 @llvm.vector.reduce.or.{kind}(<{emitter.lanes} x i1> {value})"
            )
        wide = emitter.put(f"zext i1 {value} to i8")
        before = emitter.put("load i8, ptr %bad")
        both = emitter.put(f"or i8 {before}, {wide}")
        self.lines.append(f"  store i8 {both}, ptr %bad")
