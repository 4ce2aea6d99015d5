"""Short rows: lanes across rows whose own axis is innermost in memory (see rows.py).

Along a row of a few vectors most of the work is what ends it: sums over lanes, and a logarithm or a division for one
number. So ROWS rows are turned in registers, 16x16 elements at a time, into a tile in which they lie side by side;
there the kernel goes as across rows, and what has an element for every element of the row is turned back.

Access letters as for "outer"; "t" is an operand that is turned. Tiles hold f32.
"""

from __future__ import annotations

from mezzo.kernels.cpu import target
from mezzo.kernels.cpu.emit import LANES
from mezzo.kernels.cpu.rows_walks import OuterWriter
from mezzo.kernels.cpu.transpose import exchanges
from mezzo.kernels.ir import SIZE

VECTORS = 2
ROWS = VECTORS * LANES
SHORT = 48  # elements of a row up to which this is faster
TURNED = ("f32", "bf16", "f16")
STEP = 4 * ROWS  # bytes from one element of a row to the next in a tile


class TurnedWriter(OuterWriter):
    """A cell is ROWS neighbouring rows, or those that are left; lanes that no row fills are masked where it shows."""

    @property
    def has_scratch(self) -> bool:
        return self.pattern[0] == "t"

    def variables(self) -> None:
        for name in self.turned:
            self.do(f"%tile_{name} = alloca [{SHORT * STEP} x i8], align 64")

    @property
    def turned(self) -> list[str]:
        """The operands that go through tiles."""
        return [n for n in self.names if super(TurnedWriter, self).letter(n) == "t"]

    def letter(self, name: str) -> str:
        found = super().letter(name)
        return "c" if found == "t" else found

    def storage(self, name: str) -> str:
        return "f32" if name in self.turned else super().storage(name)

    def stride(self, name: str) -> str:
        return str(STEP) if name in self.turned else super().stride(name)

    def mask_for(self, name: str, mask: str | None) -> str | None:
        return None if name == "stash" or name in self.turned else mask

    def cell(self) -> None:
        first = self.lane_range()
        self.do("%rows = sub i64 %lane1, %lane0")
        masks = []
        for u in range(VECTORS):
            self.do(f"%left{u} = sub i64 %rows, {u * LANES}")
            masks.append(self.mask(f"%left{u}"))
        there = {n: self.step(n, "tb", p, "%lane0", f"%{n}_lane") for n, p in first.items()}
        base = {n: f"%tile_{n}" if n in self.turned else p for n, p in there.items()}
        for name in self.turned:
            if name in self.ins:
                self.clear(name)
                self.turn(name, there[name], is_input=True)
        self.program("t", base, VECTORS, masks)
        for name in self.turned:
            if name in self.outs:
                self.turn(name, there[name], is_input=False)

    # ---- into tiles and back

    def clear(self, name: str) -> None:
        """Zeros where no rows will be: what lies on the stack may be subnormal, and slow to compute with."""
        c, before, e = f"z_{name}_", self.label, self.emitter(LANES)
        self.do(f"%{c}few = icmp slt i64 %rows, {ROWS}", f"br i1 %{c}few, label %{c}g, label %{c}done", f"{c}g:",
                f"%{c}col = phi i64 [0, %{before}], [%{c}col2, %{c}go]",
                f"%{c}more = icmp slt i64 %{c}col, %rn", f"br i1 %{c}more, label %{c}go, label %{c}done", f"{c}go:",
                f"%{c}o = mul i64 %{c}col, {STEP}", f"%{c}at = getelementptr i8, ptr %tile_{name}, i64 %{c}o")  # fmt: skip
        for u in range(VECTORS):
            e.store("zeroinitializer", e.put(f"getelementptr i8, ptr %{c}at, i64 {4 * u * LANES}"), "f32")  # fmt: skip
        self.do(f"%{c}col2 = add i64 %{c}col, 1", f"br label %{c}g", f"{c}done:")
        self.label = f"{c}done"

    def turn(self, name: str, there: str, is_input: bool) -> None:
        """Exchange an operand's rows with its tile, LANES rows at a time."""
        t, size = f"t_{name}_", SIZE[super().storage(name)]
        before, masked = self.label, target.host().has_avx512
        self.do(f"br label %{t}g", f"{t}g:", f"%{t}row = phi i64 [0, %{before}], [%{t}row2, %{t}gend]",
                f"%{t}any = icmp slt i64 %{t}row, %rows", f"br i1 %{t}any, label %{t}go, label %{t}done", f"{t}go:",
                f"%{t}row2 = add i64 %{t}row, {LANES}", f"%{t}full = icmp sle i64 %{t}row2, %rows",
                f"%{t}rowto = select i1 %{t}full, i64 %{t}row2, i64 %rows", f"%{t}have = sub i64 %{t}rowto, %{t}row",
                f"%{t}whole = and i64 %rn, {-LANES}", f"%{t}some = select i1 %{t}full, i64 %{t}whole, i64 0",
                f"%{t}upto = add i64 {'%rn' if masked else f'%{t}some'}, 0",
                f"%{t}rowo = mul i64 %{t}row, %{name}_lane",
                f"%{t}there = getelementptr i8, ptr {there}, i64 %{t}rowo", f"%{t}tileo = mul i64 %{t}row, 4",
                f"%{t}tile = getelementptr i8, ptr %tile_{name}, i64 %{t}tileo")  # fmt: skip
        lanes = self._lanes(name, t, masked)
        self.do(f"br label %{t}s", f"{t}s:", f"%{t}col = phi i64 [0, %{t}go], [%{t}col2, %{t}square]",
                f"%{t}smore = icmp slt i64 %{t}col, %{t}upto",
                f"br i1 %{t}smore, label %{t}square, label %{t}rest", f"{t}square:",
                f"%{t}colo = mul i64 %{t}col, {size}",
                f"%{t}sat = getelementptr i8, ptr %{t}there, i64 %{t}colo", f"%{t}stepo = mul i64 %{t}col, {STEP}",
                f"%{t}tat = getelementptr i8, ptr %{t}tile, i64 %{t}stepo")  # fmt: skip
        self._square(name, t, is_input, lanes)
        self.do(f"%{t}col2 = add i64 %{t}col, {LANES}", f"br label %{t}s", f"{t}rest:")
        if masked:
            self.do(f"br label %{t}gend")
        else:
            self._single(name, t, size, is_input)
        self.do(f"{t}gend:", f"br label %{t}g", f"{t}done:")
        self.label = f"{t}done"

    def _lanes(self, name: str, t: str, masked: bool) -> list[tuple[str, str | None]]:
        """(Byte offset, whether the row is there) of LANES rows; what is not there is the last that is."""
        e = self.emitter(1)
        if not masked:
            return [(e.put(f"mul i64 %{name}_lane, {i}"), None) for i in range(LANES)]
        found, last = [], e.put(f"sub i64 %{t}have, 1")
        for i in range(LANES):
            there = e.put(f"icmp slt i64 {i}, %{t}have")
            row = e.put(f"select i1 {there}, i64 {i}, i64 {last}")
            found.append((e.put(f"mul i64 %{name}_lane, {row}"), there))
        return found

    def _square(
        self, name: str, t: str, is_input: bool, lanes: list[tuple[str, str | None]]
    ) -> None:
        """LANES rows by LANES columns, fewer where masks cost nothing."""
        storage, e = super().storage(name), self.emitter(LANES)
        rows = [e.put(f"getelementptr i8, ptr %{t}sat, i64 {offset}") for offset, _ in lanes]
        columns = [e.put(f"getelementptr i8, ptr %{t}tat, i64 {i * STEP}") for i in range(LANES)]
        masks: list[str | None] = [None] * LANES
        if lanes[0][1] is not None:
            self.do(f"%{t}cols = sub i64 %rn, %{t}col")
            inside = self.mask(f"%{t}cols")
            mask = f"<{LANES} x i1>"
            masks = [inside if is_input else e.put(f"and {mask} {inside}, {e.splat(there, 'i1')}") for _, there in lanes]  # fmt: skip
        if is_input:
            self._ask_ahead(name, rows)
            made = [self.load(e, p, storage, mask) for p, mask in zip(rows, masks)]
        else:
            made = [e.load(p, "f32") for p in columns]
        made = exchanges(made, e.put, f"<{LANES} x float>")
        for value, row, column, mask in zip(made, rows, columns, masks):
            if is_input:
                e.store(value, column, "f32")
            else:
                self.store(e, value, row, storage, mask)

    def _ask_ahead(self, name: str, rows: list[str]) -> None:
        """The next cell's part of a square: while this one is worked on nothing else reads memory."""
        e = self.emitter(1)
        far = e.put(f"mul i64 %{name}_lane, {ROWS}")
        for row in rows:
            at = e.put(f"getelementptr i8, ptr {row}, i64 {far}")
            self.do(f"call void @llvm.prefetch.p0(ptr {at}, i32 0, i32 3, i32 1)")
        self.declares.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")

    def _single(self, name: str, t: str, size: int, is_input: bool) -> None:
        """The columns behind the squares, of LANES rows or of those that are left."""
        storage, e = super().storage(name), self.emitter(1)
        self.do(f"br label %{t}c", f"{t}c:", f"%{t}j = phi i64 [%{t}upto, %{t}rest], [%{t}j2, %{t}cend]",
                f"%{t}cmore = icmp slt i64 %{t}j, %rn", f"br i1 %{t}cmore, label %{t}cgo, label %{t}gend", f"{t}cgo:",
                f"%{t}jo = mul i64 %{t}j, {size}", f"%{t}jat = getelementptr i8, ptr %{t}there, i64 %{t}jo",
                f"%{t}js = mul i64 %{t}j, {STEP}", f"%{t}jtile = getelementptr i8, ptr %{t}tile, i64 %{t}js",
                f"br label %{t}e", f"{t}e:", f"%{t}i = phi i64 [0, %{t}cgo], [%{t}i2, %{t}e]",
                f"%{t}io = mul i64 %{t}i, %{name}_lane", f"%{t}iat = getelementptr i8, ptr %{t}jat, i64 %{t}io",
                f"%{t}i4 = mul i64 %{t}i, 4", f"%{t}itile = getelementptr i8, ptr %{t}jtile, i64 %{t}i4")  # fmt: skip
        pair = (f"%{t}iat", storage), (f"%{t}itile", "f32")
        source, to = pair if is_input else pair[::-1]
        e.store(e.load(*source), *to)
        self.do(f"%{t}i2 = add i64 %{t}i, 1", f"%{t}imore = icmp slt i64 %{t}i2, %{t}have",
                f"br i1 %{t}imore, label %{t}e, label %{t}cend", f"{t}cend:", f"%{t}j2 = add i64 %{t}j, 1",
                f"br label %{t}c")  # fmt: skip
