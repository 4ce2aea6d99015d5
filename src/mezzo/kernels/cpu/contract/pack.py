"""Packing: a strip of an operand becomes a panel, converted on the way.

`pack(...)` writes a function `void @name(ptr ctx, i64 row, i64 rows, i64 k, i64 depth, ptr panel)`.
Anything with that signature can feed the product: a patch reader packs images the same way, with
`Packer` for the loads, transposes and stores.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.lanes import FLOAT, MEMORY, SIZE, wide
from mezzo.kernels.cpu.contract.scheme import Panel
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

SIGNATURE = "ptr %ctx, i64 %row, i64 %rows, i64 %k, i64 %depth, ptr %panel"
LINE = 64  # bytes of a cache line
# How far loads run ahead: lines of different pages follow each other, which hardware cannot guess.
AHEAD_ROWS, AHEAD_BYTES = 12, 512
_INNER = "ptr %src, i64 %row_stride, i64 %k_stride, i64 %rows, i64 %depth, ptr %panel"


class Packer:
    """Loads, turns and stores the lanes of one panel format from one storage type."""

    def __init__(
        self, program: Program, panel: Panel, storage: str, compute: str, acc: str
    ) -> None:
        self.program, self.panel, self.storage = program, panel, storage
        self.compute, self.acc = compute, acc
        self.lane = FLOAT[acc] if panel.group == 1 else "i32"

    # ---- loads

    def convert(self, f: Function, raw: str, width: int) -> str:
        """Raw elements in their compute type: acc floats, or the bits of bf16."""
        if self.panel.group == 2 and self.storage == "bf16":
            return f.let(f"bitcast {wide('bfloat', width)} {raw} to {wide('i16', width)}")
        if self.panel.group == 2:
            return lanes.to_bf16(f, lanes.widen(f, raw, self.storage, self.acc, width), width)
        return lanes.operand(f, raw, self.storage, self.compute, self.acc, width)

    def along_k(self, f: Function, pointer: str, count: Value | None) -> str:
        """A vector of lanes from elements that are neighbours along k; `count` elements exist (None: all)."""
        width = self.panel.width * self.panel.group
        raw = self.some(f, pointer, width, count)
        return self.paired(f, self.convert(f, raw, width))

    def some(self, f: Function, pointer: str, width: int, count: Value | None) -> str:
        """Raw elements, of which `count` exist (None: all)."""
        if count is None:
            return lanes.load(f, pointer, self.storage, width)
        return lanes.load_some(f, pointer, self.storage, width, count)

    def along_rows(
        self, f: Function, pointer: str, second: str, rows: Value | None, rows2: Value | None
    ) -> str:
        """A vector of lanes from elements that are neighbours along rows.

        For pairs `second` points to the elements one further along k, of which rows2 exist.
        """
        width = self.panel.width
        low = self.convert(f, self.some(f, pointer, width, rows), width)
        if self.panel.group == 1:
            return low
        high = self.convert(f, self.some(f, second, width, rows2), width)
        order = [lane + half * width for lane in range(width) for half in (0, 1)]
        return self.paired(f, lanes.shuffle(f, "i16", width, low, high, order))

    def paired(self, f: Function, value: str) -> str:
        """Elements as lanes."""
        if self.panel.group == 1:
            return value
        width = self.panel.width
        return f.let(f"bitcast {wide('i16', 2 * width)} {value} to {wide('i32', width)}")

    def single(self, f: Function, pointer: str, exists: str) -> str:
        """One element in its compute type; zero if it does not exist."""
        kind = "i16" if self.panel.group == 2 else self.lane
        slot = f.variable(kind, 0 if kind == "i16" else "0.0")
        with f.when(exists):
            raw = f.load(MEMORY[self.storage], pointer, SIZE[self.storage])
            f.store(kind, self.convert(f, raw, 1), slot)
        return f.load(kind, slot)

    # ---- turning and storing

    def transpose(self, f: Function, vectors: list[str]) -> list[str]:
        """The square of lanes with rows and columns exchanged."""
        return lanes.transpose(f, self.lane, self.panel.width, vectors)

    def store(self, f: Function, vector: str, pointer: str, count: int) -> None:
        """Store the first `count` lanes (a Python int)."""
        width = self.panel.width
        if count >= width:
            f.store(wide(self.lane, width), vector, pointer, self.panel.lane_bytes)
            return
        storage = "f64" if self.acc == "f64" else "f32"
        if self.lane == "i32":
            vector = f.let(f"bitcast {wide('i32', width)} {vector} to {wide('float', width)}")
        lanes.store_some(f, vector, pointer, storage, width, count)

    def place(self, f: Function, kk: Value, row: Value) -> str:
        """Byte offset of a lane in the panel."""
        panel = self.panel
        if not panel.k_fast:
            lane = f.add(f.mul(kk, panel.rows), row)
        else:
            block = f.mul(f.div(kk, panel.width), panel.rows)
            lane = f.add(f.mul(f.add(block, row), panel.width), f.rem(kk, panel.width))
        return f.mul(lane, panel.lane_bytes)

    def put_square(
        self, f: Function, vectors: list[str], kk: str, row: Value, along_k: bool
    ) -> None:
        """Store width x width lanes; vectors lie along k (one per row) or rows (one per k)."""
        panel = self.panel
        if along_k != panel.k_fast:
            vectors = self.transpose(f, vectors)
        here = f.at("%panel", self.place(f, kk, row))
        used = min(panel.width, panel.rows - row) if isinstance(row, int) else panel.width
        for i, vector in enumerate(vectors):
            if panel.k_fast:
                if i < used:
                    self.store(
                        f, vector, f.at(here, i * panel.width * panel.lane_bytes), panel.width
                    )
            else:
                self.store(f, vector, f.at(here, i * panel.rows * panel.lane_bytes), used)


def pack(program: Program, name: str, packer: Packer, fields) -> None:
    """Write @name for a strided operand; fields(f) gives its pointer and strides in bytes."""
    size = SIZE[packer.storage]
    _pack_k(program, name + "_k", packer)
    _pack_rows(program, name + "_rows", packer)
    _pack_any(program, name + "_any", packer)
    with program.function(name, SIGNATURE) as f:
        base, row_stride, k_stride = fields(f)
        src = f.at(f.at(base, f.mul("%row", row_stride)), f.mul("%k", k_stride))
        operands = (f"ptr {src}", f"i64 {row_stride}", f"i64 {k_stride}", "i64 %rows", "i64 %depth",
                    "ptr %panel")  # fmt: skip
        rows_unit = f.compare("eq", row_stride, size)
        k_unit = f.compare("eq", k_stride, size)
        with f.when(rows_unit):
            f.call(name + "_rows", "void", *operands)
        with f.unless(rows_unit):
            with f.when(k_unit):
                f.call(name + "_k", "void", *operands)
            with f.unless(k_unit):
                f.call(name + "_any", "void", *operands)


def _lane_count(f: Function, panel: Panel) -> str:
    """Lanes along k in a panel that holds %depth elements."""
    return f.mul(f.ceil_div("%depth", panel.k_step), panel.width)


def _full(f: Function, panel: Panel) -> str:
    """Elements along k of the steps that need no mask: none if the panel lacks rows."""
    whole = f.mul(f.div("%depth", panel.k_step), panel.k_step)
    return f.select(f.compare("sge", "%rows", panel.rows), whole, 0)


def _pack_k(program: Program, name: str, packer: Packer) -> None:
    """The source is contiguous along k. Whole steps of panels with all their rows go without masks."""
    panel, size = packer.panel, SIZE[packer.storage]
    with program.function(name, _INNER, attributes="noinline") as f:
        last, even = f.sub("%rows", 1), panel.rows % panel.width == 0

        def square(kk: str, row: Value, masked: bool) -> None:
            k = f.mul(kk, panel.group)
            remain = f.sub("%depth", k)
            column = f.at("%src", f.mul(k, size))
            vectors = []
            for i in range(panel.width):
                if not even and row + i >= panel.rows:
                    vectors.append("zeroinitializer")
                    continue
                at = f.add(row, i)
                inside = f.min(at, last) if masked else at
                here = f.at(column, f.mul(inside, "%row_stride"))
                f.prefetch(here, AHEAD_BYTES)
                count = None
                if masked:
                    count = f.select(f.compare("sle", at, last), remain, 0)
                vectors.append(packer.along_k(f, here, count))
            packer.put_square(f, vectors, kk, row, along_k=True)

        def step(kk: str, masked: bool) -> None:
            if even:  # one square of code for all: it takes a third of the time to compile
                with f.loop(0, panel.rows, panel.width) as row:
                    square(kk, row, masked)
                return
            for row in range(0, panel.rows, panel.width):
                square(kk, row, masked)

        whole = f.div(_full(f, panel), panel.group)
        with f.loop(0, whole, panel.width) as kk:
            step(kk, masked=False)
        with f.loop(whole, _lane_count(f, panel), panel.width) as kk:
            step(kk, masked=True)


def _pack_rows(program: Program, name: str, packer: Packer) -> None:
    """The source is contiguous along rows. Whole steps of panels with all their rows go without masks."""
    panel, size = packer.panel, SIZE[packer.storage]
    with program.function(name, _INNER, attributes="noinline") as f:
        step = panel.width if panel.k_fast else 1

        def turn(kk: str, masked: bool) -> None:
            starts = [
                _start(f, packer, f.mul(f.add(kk, i), panel.group), masked) for i in range(step)
            ]
            for pointers, _ in starts:
                for source in pointers[: panel.group]:
                    ahead = f.at(source, f.mul("%k_stride", AHEAD_ROWS))
                    for line in range(0, panel.rows * size, LINE):
                        f.prefetch(ahead, line)
            for row in range(0, panel.rows, panel.width):
                bare = not masked and row + panel.width <= panel.rows
                vectors = []
                for pointers, counts in starts:
                    here = [f.at(p, row * size) for p in pointers]
                    left = (None, None) if bare else (f.sub(n, row) for n in counts)
                    vectors.append(packer.along_rows(f, *here, *left))
                if panel.k_fast:
                    packer.put_square(f, vectors, kk, row, along_k=False)
                else:
                    here = f.at("%panel", packer.place(f, kk, row))
                    packer.store(f, vectors[0], here, min(panel.width, panel.rows - row))

        whole = f.div(_full(f, panel), panel.group)
        with f.loop(0, whole, step) as kk:
            turn(kk, masked=False)
        with f.loop(whole, _lane_count(f, panel), step) as kk:
            turn(kk, masked=True)


def _start(f: Function, packer: Packer, k: str, masked: bool) -> tuple[list[str], list[Value]]:
    """Where the elements at k and at k + 1 begin, and how many rows they have: beyond the end none."""
    if not masked:
        here = f.at("%src", f.mul(k, "%k_stride"))
        return [here, f.at(here, "%k_stride")], ["%rows", "%rows"]
    first = f.select(f.compare("slt", k, "%depth"), "%rows", 0)
    second = f.select(f.compare("slt", f.add(k, 1), "%depth"), "%rows", 0)
    # beyond the end nothing is read; keep the pointer inside all the same
    inside = f.at("%src", f.mul(f.min(k, f.sub("%depth", 1)), "%k_stride"))
    after = f.at("%src", f.mul(f.min(f.add(k, 1), f.sub("%depth", 1)), "%k_stride"))
    return [inside, after], [first, second]


def _pack_any(program: Program, name: str, packer: Packer) -> None:
    """Any strides, one element at a time."""
    panel = packer.panel
    kind = "i16" if panel.group == 2 else packer.lane
    with program.function(name, _INNER, attributes="noinline") as f:
        with f.loop(0, _lane_count(f, panel)) as kk, f.loop(0, panel.rows) as row:
            at = packer.place(f, kk, row)
            line = f.at("%src", f.mul(row, "%row_stride"))
            for part in range(panel.group):
                k = f.add(f.mul(kk, panel.group), part)
                exists = f.both(f.compare("slt", row, "%rows"), f.compare("slt", k, "%depth"))
                value = packer.single(f, f.at(line, f.mul(k, "%k_stride")), exists)
                f.store(kind, value, f.at("%panel", f.add(at, part * 2)), 2)
