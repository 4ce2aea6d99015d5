"""The two ways a row kernel walks: lanes along the row, or across rows (see rows.py)."""

from __future__ import annotations

from collections.abc import Sequence

from mezzo.kernels.cpu.emit import LANES, LLVM, Emitter
from mezzo.kernels.cpu.fold import AHEAD
from mezzo.kernels.cpu.rows_sums import combine
from mezzo.kernels.cpu.rows_text import CHUNK, LINE, UNROLL, Writer
from mezzo.kernels.ir import SIZE, Expr

FETCH = 1 << 19  # bytes of rows beyond which the next would push this one out of the second cache
SCRATCH = 1 << 15  # bytes of a row that are kept aside rather than in the output
KEPT = SCRATCH // 4  # elements of a row of 16-bit numbers that fit there, in f32


class InnerWriter(Writer):
    """Lanes along the row: UNROLL vectors at a time, then single ones with a mask."""

    has_scratch = True

    def variables(self) -> None:
        if self.stash is not None:
            self.do(f"%scratch = alloca [{SCRATCH} x i8], align 64")

    def cell(self) -> None:
        base = self.kept("%c")
        if self.kernel.rows.column:
            self.do("%unit = sdiv i64 %c, %per", "%unitstart = mul i64 %unit, %per",
                    "%first = icmp eq i64 %c, %unitstart")  # fmt: skip
            for name in self.columns:
                self.do(f"%{name}_moved = mul i64 %unit, %{name}_lane")
                base[name] = self.gep(f"%base_{name}", f"%{name}", f"%{name}_moved")
        self.program("", base, 1, None)

    waited: list[str] | None = None  # the operands that the first pass over a row waits for
    ahead: list[str] = []
    soon: list[str] = []
    reading: list[str] = []  # the operands that this pass goes along
    some = 0  # elements of the next row that are asked for, of long rows

    def look_ahead(self, t: str, used: list[str], is_last: bool) -> None:
        """The second pass asks for what the first will want of the next row, the last reduction for its outputs.

        Stores past the caches need no lines of the outputs, and leave memory time to read while they go: there
        the last pass asks for the next row. Of rows so long that the next would push this one out of the second cache
        (is_far) it is their beginning; the first pass asks for the rest shortly before it reads it.
        """
        fetches = is_last and not self.final and not self.streams
        self.ahead, self.soon = [], self.outs[: self.each] if fetches else []
        self.reading = used
        if self.waited is None:
            self.waited = [n for n in used if n in self.ins and self.letter(n) == "c"]
            if not self.final:
                return
        if self.streams and not self.final:
            return
        self.ahead, self.waited = self.waited, []
        item = sum(SIZE[self.storage(name)] for name in self.ahead)
        self.some = FETCH // 2 // item if self.is_far and item else 0
        for name in self.ahead:
            far = f"%far_{name}"
            self.do(f"{far}step = load i64, ptr %{name}_kept",
                    f"{far}bytes = mul i64 %row_size, {0 if self.is_far else item}",
                    f"{far}fits = icmp sle i64 {far}bytes, {FETCH}", f"{far}any = icmp sgt i64 %dk, 0",
                    f"{far}use = and i1 {far}fits, {far}any",
                    f"{far} = select i1 {far}use, i64 {far}step, i64 0")  # fmt: skip

    def fetch(self, t: str, u: int, base: dict[str, str]) -> None:
        """Ask for the cache lines that this vector has in the next row, and in the outputs of this one."""
        wanted = [(n, f"%far_{n}", 0) for n in self.ahead] + [(n, "0", 1) for n in self.soon]
        if self.is_far and t.endswith("p0"):
            inputs = [n for n in self.reading if n in self.ins and self.letter(n) == "c"]
            wanted += [(n, str(AHEAD), 0) for n in inputs]
        elif self.some and self.ahead:
            self.do(f"%{t}js{u} = icmp slt i64 %{t}x_{u}, {self.some}")
        for name, offset, write in wanted:
            size = SIZE[self.storage(name)]
            if u * LANES * size % 64:
                continue
            if self.some and name in self.ahead:
                near = f"%{t}js{u}_{name}"
                self.do(f"{near} = select i1 %{t}js{u}, i64 {offset}, i64 0")
                offset = near
            at = self.step(name, f"{t}jf{u}", base[name], f"%{t}j_{u}", str(size))
            for line in range(0, LANES * size, 64):
                e = self.emitter(1)
                there = e.put(f"getelementptr i8, ptr {at}, i64 {offset}")
                there = e.put(f"getelementptr i8, ptr {there}, i64 {line}")
                self.do(f"call void @llvm.prefetch.p0(ptr {there}, i32 {write}, i32 2, i32 1)")
                self.declares.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")

    def stash_start(self, t: str, out: str) -> str:
        """A row that fits is kept in memory of this thread, which stays in the first cache."""
        size = SIZE[self.storage("stash")]
        self.do(f"%{t}keepbytes = mul i64 %row_size, {size}", f"%{t}keepfits = icmp sle i64 %{t}keepbytes, {SCRATCH}",
                f"%{t}keepo = mul i64 %{t}rbase, {size}",
                f"%{t}keepat = getelementptr i8, ptr %scratch, i64 %{t}keepo",
                f"%{t}keep = select i1 %{t}keepfits, ptr %{t}keepat, ptr {out}")  # fmt: skip
        return f"%{t}keep"

    def _pointers(self, tag: str, start: dict[str, str], position: str) -> dict[str, str]:
        return {
            n: s
            if self.letter(n) == "s"
            else self.step(n, tag, s, position, str(SIZE[self.storage(n)]))
            for n, s in start.items()
        }

    def same_along(self) -> set[int]:
        same = set(self.plan.uniform)
        for node in self.plan.nodes:
            if node.op == "load":
                if self.letter(self.ins[node.attr]) == "s":
                    same.add(id(node))
            elif node.args and not self.is_stash(node) and all(id(a) in same for a in node.args):
                same.add(id(node))
        return same

    def steady(self, known, roots: list[Expr], start: dict[str, str]) -> list[dict[int, str]]:
        """Operands with one value for the stretch, and what follows from them, are computed before it."""
        same = self.same_along()
        e, found, stack = self.element(0, known[0], start, "0", None), dict(known[0]), list(roots)
        while stack:
            node = stack.pop()
            if id(node) in found or node.op == "const":
                continue
            if id(node) in same:
                found[id(node)] = e.value(node)
            elif not self.is_stash(node):
                stack.extend(node.args)
        return [found]

    half: int | None = None  # which half of every word the vector at work takes
    pair: dict[str, str] = {}  # the words of operands

    def _is_paired(self, stash: Expr | None) -> bool:
        """True if sums of bf16 numbers may be taken in any order: then words are read, and each gives two numbers."""
        moving = [n for n in self.reading if n in self.ins and self.letter(n) == "c"]
        return (
            not (self.final or self.kernel.uses_index or stash is not None)
            and bool(moving)
            and all(self.storage(n) == "bf16" for n in moving)
        )

    def read(self, e: Emitter, u: int, name: str, pointers: dict[str, str], mask: str | None) -> str:  # fmt: skip
        if self.half is None:
            return super().read(e, u, name, pointers, mask)
        if name not in self.pair:
            self.pair[name] = e.put(f"load <{LANES} x i32>, ptr {pointers[name]}, align 2")
        how = f"shl <{LANES} x i32> {self.pair[name]}, {e.const(16, 'i32')}"
        if self.half:
            how = f"and <{LANES} x i32> {self.pair[name]}, {e.const(-1 << 16, 'i32')}"
        return e.put(f"bitcast <{LANES} x i32> {e.put(how)} to <{LANES} x float>")

    def stretch(self, t, known, start, reductions, stash) -> list[str]:
        types, zero, n = self.types(reductions), self.starts(reductions), len(reductions)
        paired = self._is_paired(stash)
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
            if paired:
                self.half = u % 2
            if not self.half:
                self.pair, pointers = {}, self._pointers(f"{t}jp{u}", start, f"%{t}j_{u}")
            self.fetch(t, u, {**self.base, **start})
            made = self.body(0, known[0], pointers, f"%{t}x_{u}", None, reductions, stash, accs[u])
            for name, type, value in zip(after[u], types, made):
                self.do(f"{name} = freeze {type} {value}")
        self.half = None
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
        for i, (node, register) in enumerate(zip(reductions, total)):
            self.once[0].memo[id(node)] = self.fold(f"{t}f{i}", node, register)

    def fold(self, t: str, node: Expr, register: str) -> str:
        """In a fixed tree."""
        lanes = LANES
        while lanes > 1:
            half = lanes // 2
            e = self.emitter(half)
            source, llvm = f"<{lanes} x {LLVM[node.type]}>", LLVM[node.type]
            sides = []
            for side in (0, 1):
                name = f"%{t}_{half}_{side}"
                if half == 1:
                    self.do(f"{name} = extractelement {source} {register}, i32 {side}")
                else:
                    order = ", ".join(f"i32 {side * half + j}" for j in range(half))
                    self.do(f"{name} = shufflevector {source} {register}, <{lanes} x {llvm}> poison, "
                            f"<{half} x i32> <{order}>")  # fmt: skip
                sides.append(name)
            register = combine(e, node, *sides)
            lanes = half
        return register

    def write_rows(self) -> None:
        for i, expr in enumerate(self.kernel.rows.row, self.each):
            self.once[0].store(self.once[0].value(expr), self.base[f"out{i}"], self.storages[i])

    def check(self, t: str, condition: Expr, value: Expr) -> None:
        self.report(t, self.once[0].value(condition), self.once[0].value(value))


class OuterWriter(Writer):
    """Lanes across rows: a cell is a chunk of neighbouring rows, taken UNROLL vectors at a time."""

    row_lanes = LANES

    def lane_range(self) -> dict[str, str]:
        """%lane0 and %lane1 of the cell; pointers to lane 0 of every operand."""
        self.do("%up = add i64 %lanes, %chunk", "%up1 = sub i64 %up, 1", "%groups = sdiv i64 %up1, %chunk",
                "%group = sdiv i64 %c, %groups", "%groupback = mul i64 %group, %groups",
                "%part = sub i64 %c, %groupback", "%lane0 = mul i64 %part, %chunk",
                "%lanefar = add i64 %lane0, %chunk", "%lanecut = icmp slt i64 %lanefar, %lanes",
                "%lane1 = select i1 %lanecut, i64 %lanefar, i64 %lanes")  # fmt: skip
        return self.kept("%group")

    def stride(self, name: str) -> str:
        """Bytes from one element of a row to the next."""
        return f"%{name}_step"

    def cell(self) -> None:
        first = self.lane_range()
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
        self.program("n", base, 1, [mask])
        self.do("br label %narrow_next", "narrow_next:", f"%q2 = add i64 %q, {LANES}", "br label %lanes_narrow",
                "lanes_done:")  # fmt: skip

    def reduce(
        self, t: str, reductions: list[Expr], stash: Expr | None, parts: Sequence[Expr] = ()
    ) -> None:
        self.carried = self.vectors
        super().reduce(t, reductions, stash, parts)

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
            name: self.step(name, f"{t}jp", p, f"%{t}j", self.stride(name))
            for name, p in start.items()
            if name != "stash"
        }
        if "stash" in start:
            pointers["stash"] = pointers["out0"]
        for u in range(self.vectors):
            self.fetch(t, u, pointers)
            made = self.body(
                u, known[u], pointers, f"%{t}x", self.row_masks[u], reductions, stash, accs[u]
            )
            for name, type, value in zip(new[u], types, made):
                self.do(f"{name} = freeze {type} {value}")
        self.do(f"br label %{t}ml", f"{t}ml:", f"%{t}j2 = add i64 %{t}j, 1", f"%{t}jc = icmp slt i64 %{t}j2, %{t}hi",
                f"br i1 %{t}jc, label %{t}m, label %{t}bx", f"{t}bx:")  # fmt: skip
        return [v for group in new for v in group]

    def fetch(self, t: str, u: int, pointers: dict[str, str]) -> None:
        """Where elements follow each other from memory, ask for what comes: in the first pass, or the only one.

        Beside results that are written only one operand can be read faster so.
        """
        read = [n for n in pointers if n in self.ins and self.letter(n) == "c"]
        is_only = self.final and not self.plan.passes and len(read) == 1
        if not self.is_far or not (is_only or t.endswith("p0")):
            return
        for name in read:
            nbytes = LANES * SIZE[self.storage(name)]
            if u * nbytes % LINE == 0:
                self.emitter(1).ask(pointers[name], AHEAD + u * nbytes, nbytes)

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
                    self.row_masks[u],
                )

    def check(self, t: str, condition: Expr, value: Expr) -> None:
        for u, e in enumerate(self.once):
            mask, hit = e.type("b1"), e.value(condition)
            if self.row_masks[u] is not None:
                hit = e.put(f"and {mask} {hit}, {self.row_masks[u]}")
            self.declares.add(f"declare i1 @llvm.vector.reduce.or.v{LANES}i1({mask})")
            self.declares.add(f"declare i64 @llvm.vector.reduce.smax.v{LANES}i64({e.type('i64')})")
            some = e.put(f"call i1 @llvm.vector.reduce.or.v{LANES}i1({mask} {hit})")
            wide = e.type("i64")
            shown = e.put(
                f"select {mask} {hit}, {wide} {e.value(value)}, {wide} {e.const(-(1 << 63), 'i64')}"
            )
            top = e.put(f"call i64 @llvm.vector.reduce.smax.v{LANES}i64({wide} {shown})")
            self.report(f"{t}u{u}", some, top)
