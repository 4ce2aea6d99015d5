"""Indirect access: a map in which index operands move the address of another operand.

Reading through indices is a gather, writing through them a scatter; the kernel is one: for every point of an
iteration space, address = base + sum_j wrap(index_j) * step_j for the operands that move. A bad index skips its
element and leaves (1, value, j) in an error cell; nothing outside the buffers is touched.

    rows   no index changes along the inner axis: addresses are computed once, rows go by vectors
    each   indices change with every element; reads go LANES at a time where all else is contiguous

    args  = [block, cell, out, ins..., indices..., scalars...]
    block = i64 [units, serial, blocks per row, row length, block length, steps, steps per unit, unit columns, ds, dc,
                 outer sizes[ds], step sizes[dc], then for out, ins and indices: inner stride, outer strides[ds],
                 step strides[dc]; then for each index: size, what a negative one gains, step]  (bytes)

A unit is (outer row, range of steps, block of the row). Steps run in order within a unit: a scatter puts the axes on
which two points may meet there, so its sums have one order whatever the number of threads. Rows are scattered by units
that each go through all steps, and write the places of their own range of the first index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.emit import LANES, LLVM, STORED, Emitter
from mezzo.kernels.cpu.maps import CONTIGUOUS, SCALAR, STRIDED, MapKernel, MapLoop, inner_loops
from mezzo.kernels.cpu.nest import entry, offsets, slots, words
from mezzo.kernels.ir import COMPUTE, SIZE, Expr

STEPS = 2  # how many steps before its use a row is asked for
ROW = 1024  # bytes of it: the processor goes on by itself
WORDS = (
    "units",
    "serial",
    "per_row",
    "across",
    "chunk",
    "steps",
    "per_unit",
    "columns",
    "ds",
    "dc",
)


class IndirectKernel:
    """Expression, storage types, which operands (0: the output) move, and the types of the indices."""

    def __init__(
        self,
        ins: Sequence[str],
        out: str,
        expr: Expr,
        scalars: Sequence[str],
        moved,
        indices: Sequence[str],
    ):
        self.map = MapKernel(ins, (out,), (expr,), scalars)
        self.moved, self.indices = frozenset(moved), tuple(indices)
        self._addresses: dict[tuple[str, str, bool], int] = {}

    def address(self, mode: str, pattern: str, streams: bool = False) -> int:
        """The entry for mode "rows" (with an access letter for each operand, as in maps) or "each" (letters for
        operands and indices where reads can go by vectors, else none). streams: rows go past the caches."""
        key = mode, pattern, streams
        found = self._addresses.get(key)
        if found is None:
            found = self._addresses[key] = jit.load(_Writer(self, *key).text()).address("kernel")
        return found


class _Writer:
    """Writes one kernel."""

    def __init__(self, kernel: IndirectKernel, mode: str, pattern: str, streams: bool = False):
        self.kernel, self.mode, self.pattern, self.streams = kernel, mode, pattern, streams
        self.lines: list[str] = []
        self.declares: set[str] = {"declare void @mezzo_parallel(ptr, ptr, i64)"}
        self.operands = [f"base{i}" for i in range(len(kernel.map.storages))]
        self.indices = [f"index{j}" for j in range(len(kernel.indices))]
        self.by_range = mode == "rows" and 0 in kernel.moved

    def text(self) -> str:
        """The module."""
        L, names = self.lines, self.operands + self.indices
        L += ["define internal void @body(ptr %args, i64 %begin, i64 %end, i64 %worker) {",
              "entry:", "  %block = load ptr, ptr %args",
              *slots(["cell", *names], self.kernel.map.scalars), *words(WORDS)]  # fmt: skip
        self._tables(names)
        self._unit(names)
        self._step(names)
        (self._rows if self.mode == "rows" else self._each)()
        last = "%steps" if self.by_range else "%cto"
        L += ["stepend:", "  %c2 = add i64 %c, 1", f"  %cmore = icmp slt i64 %c2, {last}",
              "  br i1 %cmore, label %step, label %unitend",
              "unitend:", "  %u2 = add i64 %u, 1", "  %umore = icmp slt i64 %u2, %end",
              "  br i1 %umore, label %unit, label %done", "done:"]  # fmt: skip
        if self.streams:
            L.append("  fence seq_cst")  # such stores are not ordered with those that follow
            self.declares.add("!0 = !{i32 1}")
        L += ["  ret void", "}", *entry()]
        return "\n".join([*L, *sorted(self.declares), ""])

    def _tables(self, names: list[str]) -> None:
        L = self.lines
        L += [f"  %osizes = getelementptr i64, ptr %block, i64 {len(WORDS)}",
              "  %csizes = getelementptr i64, ptr %osizes, i64 %ds",
              "  %tables = getelementptr i64, ptr %csizes, i64 %dc"]  # fmt: skip
        at = "%tables"
        L.append("  %stepping = icmp sgt i64 %steps, 1")
        for n in names:
            L += [f"  %{n}_inner = load i64, ptr {at}",
                  f"  %{n}_outer = getelementptr i64, ptr {at}, i64 1",
                  f"  %{n}_steps = getelementptr i64, ptr %{n}_outer, i64 %ds",
                  f"  %{n}_next = getelementptr i64, ptr %{n}_steps, i64 %dc",
                  f"  %{n}_near = load i64, ptr %{n}_steps"]  # fmt: skip
            at = f"%{n}_next"
            if 0 in self.kernel.moved and self.mode == "each" and self.pattern:
                L += [f"  %{n}_past = load i64, ptr %{n}_outer",
                      f"  %{n}_far = select i1 %stepping, i64 %{n}_near, i64 %{n}_past"]  # fmt: skip
        for n in self.indices:
            for i, word in enumerate(("size", "gain", "by")):
                L += [f"  %{n}_{word}_at = getelementptr i64, ptr {at}, i64 {i}",
                      f"  %{n}_{word} = load i64, ptr %{n}_{word}_at"]  # fmt: skip
            L.append(f"  %{n}_after = getelementptr i64, ptr {at}, i64 3")
            at = f"%{n}_after"

    def _unit(self, names: list[str]) -> None:
        L = self.lines
        L += ["  br label %unit", "unit:", "  %u = phi i64 [%begin, %entry], [%u2, %unitend]",
              "  %ub = sdiv i64 %u, %per_row", "  %ubm = mul i64 %ub, %per_row", "  %part = sub i64 %u, %ubm",
              "  %row = sdiv i64 %ub, %columns", "  %rowm = mul i64 %row, %columns", "  %column = sub i64 %ub, %rowm",
              "  %lo = mul i64 %part, %chunk", "  %far = add i64 %lo, %chunk", "  %cut = icmp slt i64 %far, %across",
              "  %hi = select i1 %cut, i64 %far, i64 %across",
              "  %cfrom = mul i64 %column, %per_unit", "  %cfar = add i64 %cfrom, %per_unit",
              "  %ccut = icmp slt i64 %cfar, %steps", "  %cto = select i1 %ccut, i64 %cfar, i64 %steps"]  # fmt: skip
        if self.by_range:
            # Bounds of the range in each unit: the sizes of ranges differ by one at most, and none is missed.
            L += ["  %rgain = mul i64 %column, %index0_size", "  %rfirst = sdiv i64 %rgain, %columns",
                  "  %rmore = add i64 %rgain, %index0_size", "  %rlast = sdiv i64 %rmore, %columns",
                  "  %rlength = sub i64 %rlast, %rfirst"]  # fmt: skip
        lines, moved, label = offsets(
            "k", "unit", "%row", "%ds", "%osizes", {n: f"%{n}_outer" for n in names}
        )
        L += lines
        L += [f"  %o_{n} = getelementptr i8, ptr %{n}, i64 {moved[n]}" for n in names]
        if self.by_range:
            L += ["  br label %step", "step:", f"  %c = phi i64 [0, %{label}], [%c2, %stepend]"]
            return
        L += ["  br label %step", "step:", f"  %c = phi i64 [%cfrom, %{label}], [%c2, %stepend]"]

    def _step(self, names: list[str]) -> None:
        """Pointers of this step: one multiplication where the steps run over one axis, divisions where over several."""
        L = self.lines
        L += [
            "  %simple = icmp sle i64 %dc, 1",
            "  br i1 %simple, label %near, label %wide",
            "near:",
        ]
        L += [f"  %n_{n} = mul i64 %c, %{n}_near" for n in names]
        L += ["  br label %moved", "wide:"]
        lines, moved, label = offsets(
            "q", "wide", "%c", "%dc", "%csizes", {n: f"%{n}_steps" for n in names}
        )
        L += [*lines, "  br label %moved", "moved:"]
        L += [f"  %m_{n} = phi i64 [%n_{n}, %near], [{moved[n]}, %{label}]" for n in names]
        L += [f"  %q_{n} = getelementptr i8, ptr %o_{n}, i64 %m_{n}" for n in names]

    def _wrapped(self, tag: str, pointers: list[str], good: str, bad: str) -> str:
        """Read the indices, wrap and check them; branches to good or bad. Returns the byte offset (valid in good)."""
        L, fine, values, total = self.lines, [], [], None
        emitter = Emitter(L, self.declares, 1, f"{tag}x", lambda e: "")
        for n, pointer, storage in zip(self.indices, pointers, self.kernel.indices):
            raw = emitter.load(pointer, storage)
            value = raw if storage == "i64" else emitter.put(f"sext {LLVM[storage]} {raw} to i64")
            negative = emitter.put(f"icmp slt i64 {value}, 0")
            gain = emitter.put(f"select i1 {negative}, i64 %{n}_gain, i64 0")
            place = emitter.put(f"add i64 {value}, {gain}")
            if n == "index0" and self.by_range:
                L.append(f"  %rplace = add i64 {place}, 0")
            fine.append(emitter.put(f"icmp ult i64 {place}, %{n}_size"))
            values.append(value)
            moved = emitter.put(f"mul i64 {place}, %{n}_by")
            total = moved if total is None else emitter.put(f"add i64 {total}, {moved}")
        every = fine[0]
        for one in fine[1:]:
            every = emitter.put(f"and i1 {every}, {one}")
        L += [f"  br i1 {every}, label %{tag}{good}, label %{tag}{bad}", f"{tag}{bad}:"]
        worst, which = values[-1], str(len(values) - 1)
        for j in range(len(values) - 2, -1, -1):
            worst = emitter.put(f"select i1 {fine[j]}, i64 {worst}, i64 {values[j]}")
            which = emitter.put(f"select i1 {fine[j]}, i64 {which}, i64 {j}")
        for slot, value in enumerate(("1", worst, which)):
            L.append(f"  %{tag}cell{slot} = getelementptr i64, ptr %cell, i64 {slot}")
            L.append(f"  store i64 {value}, ptr %{tag}cell{slot}")
        return total

    def _rows(self) -> None:
        L = self.lines
        total = self._wrapped("r", [f"%q_{n}" for n in self.indices], "good", "bad")
        L += ["  br label %stepend", "rgood:"]
        if self.by_range:
            L += ["  %rinside = sub i64 %rplace, %rfirst", "  %rmine = icmp ult i64 %rinside, %rlength",
                  "  br i1 %rmine, label %rown, label %stepend", "rown:"]  # fmt: skip
        for i, n in enumerate(self.operands):
            by = total if i in self.kernel.moved else "0"
            L += [
                f"  %p{i} = getelementptr i8, ptr %q_{n}, i64 {by}",
                f"  %inner{i} = add i64 %{n}_inner, 0",
            ]
        if 0 not in self.kernel.moved:
            self._ask_rows()
        L += ["  br label %pre", "pre:"]
        inner_loops(
            MapLoop(self.kernel.map, self.pattern, L, self.declares, self.streams),
            vectorise=STRIDED not in self.pattern,
        )
        L += ["  br label %stepend"]

    def _ask_rows(self) -> None:
        """Ask for the start of the row that comes STEPS steps later: rows in no order hide from the processor."""
        i = min(self.kernel.moved)
        if self.pattern[i] != CONTIGUOUS:
            return
        e, n = Emitter(self.lines, self.declares, 1, "f", lambda x: ""), f"base{i}"
        later = e.put(f"add i64 %c, {STEPS}")
        fits = e.put(f"icmp slt i64 {later}, %cto")
        fits = e.put(f"and i1 {fits}, %simple")  # over several axes it would take divisions

        def there(name: str) -> str:
            moved = e.put(f"mul i64 {later}, %{name}_near")
            moved = e.put(f"select i1 {fits}, i64 {moved}, i64 %m_{name}")
            return e.put(f"getelementptr i8, ptr %o_{name}, i64 {moved}")

        at = there(n)
        for index, storage in zip(self.indices, self.kernel.indices):
            value = e.load(there(index), storage)
            if storage != "i64":
                value = e.put(f"sext {LLVM[storage]} {value} to i64")
            negative = e.put(f"icmp slt i64 {value}, 0")
            gain = e.put(f"select i1 {negative}, i64 %{index}_gain, i64 0")
            place = e.put(f"mul i64 {e.put(f'add i64 {value}, {gain}')}, %{index}_by")
            at = e.put(f"getelementptr i8, ptr {at}, i64 {place}")
        size = SIZE[self.kernel.map.storages[i]]
        at = e.put(f"getelementptr i8, ptr {at}, i64 {e.put(f'mul i64 %lo, {size}')}")
        length = e.put(f"mul i64 {e.put('sub i64 %hi, %lo')}, {size}")
        self.declares.add("declare i64 @llvm.smin.i64(i64, i64)")
        length = e.put(f"call i64 @llvm.smin.i64(i64 {length}, i64 {ROW})")
        self.lines += ["  br label %ask", "ask:", "  %asked = phi i64 [0, %rgood], [%asked2, %ask]"]
        e.ask(e.put(f"getelementptr i8, ptr {at}, i64 %asked"), 0, 64, level=2)
        self.lines += ["  %asked2 = add i64 %asked, 64", f"  %askmore = icmp slt i64 %asked2, {length}",
                       "  br i1 %askmore, label %ask, label %asked_all", "asked_all:"]  # fmt: skip

    def _each(self) -> None:
        L, kernel = self.lines, self.kernel
        if self.pattern:
            self._gathers()
            L += ["eany:", "  %efrom = phi i64 [%ge, %gtest], [%ge, %gcheck]",
                  "  %emost = icmp slt i64 %efrom, %hi", "  br i1 %emost, label %each, label %stepend",
                  "each:", "  %e = phi i64 [%efrom, %eany], [%e2, %enext]"]  # fmt: skip
        else:
            L += ["  br label %each", "each:", "  %e = phi i64 [%lo, %moved], [%e2, %enext]"]
        for n in self.operands + self.indices:
            L += [
                f"  %eo_{n} = mul i64 %e, %{n}_inner",
                f"  %e_{n} = getelementptr i8, ptr %q_{n}, i64 %eo_{n}",
            ]
        total = self._wrapped("e", [f"%e_{n}" for n in self.indices], "good", "bad")
        L += ["  br label %enext", "egood:"]
        for i, n in enumerate(self.operands):
            by = total if i in kernel.moved else "0"
            L.append(f"  %g_{n} = getelementptr i8, ptr %e_{n}, i64 {by}")

        def leaf(e: Expr) -> str:
            if e.op == "scalar":
                return f"%s{e.attr}"
            return emitter.load(f"%g_base{1 + e.attr}", kernel.map.ins[e.attr])

        emitter = Emitter(L, self.declares, 1, "b", leaf)
        emitter.store(emitter.value(kernel.map.exprs[0]), "%g_base0", kernel.map.outs[0])
        L += ["  br label %enext", "enext:", "  %e2 = add i64 %e, 1", "  %emore = icmp slt i64 %e2, %hi",
              "  br i1 %emore, label %each, label %stepend"]  # fmt: skip

    def _gathers(self) -> None:
        """LANES reads (or the places of LANES writes) at a time, up to the first LANES that hold a bad index: the loop behind tells which."""
        L, kernel = self.lines, self.kernel
        emitter = Emitter(L, self.declares, LANES, "g", lambda e: leaf(e))
        scalar = Emitter(L, self.declares, 1, "h", lambda e: "")
        letters = dict(zip(self.operands + self.indices, self.pattern))
        iota = "<" + ", ".join(f"i64 {i}" for i in range(LANES)) + ">"
        steps = {
            n: emitter.put(f"mul <{LANES} x i64> {emitter.splat(f'%{n}_inner', 'i64')}, {iota}")
            for n in self.operands
        }
        sizes = {
            n: [emitter.splat(f"%{n}_{w}", "i64") for w in ("size", "gain", "by")]
            for n in self.indices
        }
        L += ["  %gsome = icmp slt i64 %lo, %hi", "  br i1 %gsome, label %gtest, label %stepend", "gtest:",
              "  %ge = phi i64 [%lo, %moved], [%ge2, %gread]", f"  %ge2 = add i64 %ge, {LANES}",
              "  %gfits = icmp sle i64 %ge2, %hi", "  br i1 %gfits, label %gcheck, label %eany", "gcheck:"]  # fmt: skip

        def at(n: str) -> str:
            offset = emitter.put(f"mul i64 %ge, %{n}_inner")
            return emitter.put(f"getelementptr i8, ptr %q_{n}, i64 {offset}")

        def read(n: str, storage: str) -> str:
            if letters[n] == SCALAR:
                return emitter.splat(scalar.load(at(n), storage), LLVM[COMPUTE[storage]])
            return emitter.load(at(n), storage)

        total, every = self._lane_places(emitter, read, sizes)
        L.append(f"  br i1 {every}, label %gread, label %eany")
        L.append("gread:")

        if 0 in kernel.moved:
            self._ask_ahead(emitter, at)
            self._put_lanes(emitter, total, steps, at)
            L.append("  br label %gtest")
            return

        def leaf(e: Expr) -> str:
            if e.op == "scalar":
                return emitter.splat(f"%s{e.attr}", LLVM[e.type])
            n, storage = f"base{1 + e.attr}", kernel.map.ins[e.attr]
            if 1 + e.attr not in kernel.moved:
                return read(n, storage)
            spread = emitter.put(f"add <{LANES} x i64> {total}, {steps[n]}")
            places = emitter.put(f"getelementptr i8, ptr {at(n)}, <{LANES} x i64> {spread}")
            wide = f"<{LANES} x {STORED[storage]}>"
            intrinsic = f"llvm.masked.gather.v{LANES}{storage}.v{LANES}p0"
            self.declares.add(
                f"declare {wide} @{intrinsic}(<{LANES} x ptr>, <{LANES} x i1>, {wide})"
            )
            pointers = f"<{LANES} x ptr> align {SIZE[storage]} {places}"
            raw = emitter.put(
                f"call {wide} @{intrinsic}({pointers}, <{LANES} x i1> splat (i1 true), {wide} poison)"
            )
            return emitter.decode(raw, storage)

        emitter.store(emitter.value(kernel.map.exprs[0]), at("base0"), kernel.map.outs[0])
        L.append("  br label %gtest")

    def _ask_ahead(self, emitter: Emitter, at: Callable) -> None:
        """Ask for the same place of the next step, or of the next unit: writes in no order hide what comes next."""
        storages = [*self.kernel.map.storages, *self.kernel.indices]
        for i, n in enumerate(self.operands + self.indices):
            if i in self.kernel.moved and i:
                continue
            there = emitter.put(f"getelementptr i8, ptr {at(n)}, i64 %{n}_far")
            for line in range(0, LANES * SIZE[storages[i]], 64):
                place = emitter.put(f"getelementptr i8, ptr {there}, i64 {line}")
                self.lines.append(f"  call void @llvm.prefetch.p0(ptr {place}, i32 {int(not i)}, i32 2, i32 1)")  # fmt: skip
        self.declares.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")

    def _put_lanes(self, emitter: Emitter, total: str, steps: dict, at: Callable) -> None:
        """LANES places one after the other, as they may be the same."""
        kernel, starts = self.kernel, {n: at(n) for n in self.operands}
        moved = {
            i: emitter.put(f"add <{LANES} x i64> {total}, {steps[self.operands[i]]}")
            for i in kernel.moved
        }
        for lane in range(LANES):
            one = Emitter(self.lines, self.declares, 1, f"p{lane}_", lambda e: "")

            def place(i: int, lane: int = lane, one: Emitter = one) -> str:
                n = self.operands[i]
                if i in kernel.moved:
                    offset = one.put(f"extractelement <{LANES} x i64> {moved[i]}, i32 {lane}")
                else:
                    offset = one.put(f"mul i64 %{n}_inner, {lane}")
                return one.put(f"getelementptr i8, ptr {starts[n]}, i64 {offset}")

            def leaf(e: Expr, one: Emitter = one, place: Callable = place) -> str:
                if e.op == "scalar":
                    return f"%s{e.attr}"
                return one.load(place(1 + e.attr), kernel.map.ins[e.attr])

            one.leaf = leaf
            one.store(one.value(kernel.map.exprs[0]), place(0), kernel.map.outs[0])

    def _lane_places(self, emitter: Emitter, read: Callable, sizes: dict) -> tuple[str, str]:
        """Byte offsets of LANES places, and whether all of them are good."""
        total, fine = None, None
        for n, storage in zip(self.indices, self.kernel.indices):
            value = read(n, storage)
            if storage != "i64":
                value = emitter.put(f"sext <{LANES} x {LLVM[storage]}> {value} to <{LANES} x i64>")
            size, gain, by = sizes[n]
            negative = emitter.put(f"icmp slt <{LANES} x i64> {value}, zeroinitializer")
            more = emitter.put(
                f"select <{LANES} x i1> {negative}, <{LANES} x i64> {gain}, <{LANES} x i64> zeroinitializer"
            )
            place = emitter.put(f"add <{LANES} x i64> {value}, {more}")
            good = emitter.put(f"icmp ult <{LANES} x i64> {place}, {size}")
            fine = good if fine is None else emitter.put(f"and <{LANES} x i1> {fine}, {good}")
            moved = emitter.put(f"mul <{LANES} x i64> {place}, {by}")
            total = moved if total is None else emitter.put(f"add <{LANES} x i64> {total}, {moved}")
        name = f"llvm.vector.reduce.and.v{LANES}i1"
        self.declares.add(f"declare i1 @{name}(<{LANES} x i1>)")
        every = emitter.put(f"call i1 @{name}(<{LANES} x i1> {fine})")
        return total, every
