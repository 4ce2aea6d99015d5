"""Micro-kernels: one tile of accumulators from one panel of each operand.

`void @micro_R_V(ptr a, ptr b, i64 depth, ptr start, ptr tile, i64 row, i64 step, ptr next, i64 pace)`: tile = start + a b,
where start is null for zeros; row and step are bytes between rows and between steps of k in a, for tile registers
(which read a where it lies as well as packed); next is memory that will be wanted soon, of which `pace` bytes are asked
for with every lane along k. The tile is row-major, tile_rows by tile_columns accumulators, of which the first R
rows and V vectors of columns are computed: edges of the output do not pay for a whole tile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mezzo.kernels.cpu.contract import lanes, terms
from mezzo.kernels.cpu.contract.lanes import FLOAT, SIZE, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

SIGNATURE = (
    "ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, i64 %row, i64 %step, "
    "ptr %next, i64 %pace"
)
LINE = 64  # bytes of a cache line
# Steps that the loads of a panel of rows run ahead. That of columns is read by one tile after another and comes from
# the second cache fast enough by itself: to ask for it costs more slots than it saves (202 and 211 GFLOP/s). What brings
# it there is `next`.
AHEAD = 32
STEPS = (
    2  # in a turn of the loop; panels are padded to whole vectors along k, which is an even number
)
_DOT = "llvm.x86.avx512bf16.dpbf16ps.512"


def micro(program: Program, scheme: Scheme) -> None:
    """Write the micro-kernels of a scheme."""
    for rows in scheme.row_steps:
        for vectors in scheme.vector_steps:
            with program.function(_name(rows, vectors), SIGNATURE, attributes="noinline") as f:
                if scheme.method == "amx":
                    _tiles(f, scheme, rows, vectors)
                else:
                    _vectors(f, scheme, rows, vectors)


def _name(rows: int, vectors: int) -> str:
    return f"micro_{rows}_{vectors}"


def packed_steps(scheme: Scheme) -> str:
    """The operands row and step for a packed a, with nothing to ask for."""
    return f"i64 {LINE}, i64 {scheme.panel_a.nbytes(scheme.panel_a.k_step)}, ptr null, i64 0"


def choose(f: Function, scheme: Scheme, rows: str, columns: str) -> str:
    """The micro-kernel for a tile with so many valid rows and columns, as a pointer."""
    found = ""
    for count in sorted(scheme.row_steps, reverse=True):
        line = ""
        for vectors in sorted(scheme.vector_steps, reverse=True):
            name = "@" + _name(count, vectors)
            fits = f.compare("sle", columns, vectors * scheme.width)
            line = f.select(fits, name, line, "ptr") if line else name
        fits = f.compare("sle", rows, count)
        found = f.select(fits, line, found, "ptr") if found else line
    return found


def _vectors(f: Function, scheme: Scheme, rows: int, vectors: int) -> None:
    """Accumulators in vector registers; a step multiplies broadcast rows by vectors of columns."""
    size = SIZE[scheme.acc]
    kind, element = wide(FLOAT[scheme.acc], scheme.width), FLOAT[scheme.acc]
    cells = [(i, j) for i in range(rows) for j in range(vectors)]
    place = {(i, j): (i * scheme.tile_columns + j * scheme.width) * size for i, j in cells}
    sums = {cell: f.variable(kind, "zeroinitializer") for cell in cells}
    for line in range(0, scheme.tile_bytes, LINE):
        f.prefetch("%tile", line)
    step_a, step_b = scheme.tile_rows * size, scheme.tile_columns * size
    whole = (rows, vectors) == (scheme.tile_rows, scheme.tile_vectors)
    steps = STEPS if whole else 1  # edges would only take longer to compile
    with f.loop(0, f.ceil_div("%depth", scheme.panel_a.group), steps) as first:
        f.prefetch(f.at("%next", f.mul(first, "%pace")), 0, level=2)
        for step in range(steps):
            row = f.at("%a", f.add(f.mul(first, step_a), step * step_a))
            column = f.at("%b", f.add(f.mul(first, step_b), step * step_b))
            right = [
                f.load(kind, f.at(column, j * scheme.width * size), 16) for j in range(vectors)
            ]
            f.prefetch(row, AHEAD * step_a)
            for i in range(rows):
                one = f.load(element, f.at(row, i * size), size)
                left = lanes.splat(f, element, one, scheme.width)
                for j in range(vectors):
                    total = f.load(kind, sums[i, j])
                    f.store(kind, multiply(f, scheme, kind, left, right[j], total), sums[i, j])
    with f.when(f.let("icmp ne ptr %start, null")):
        for cell in cells:
            before = f.load(kind, f.at("%start", place[cell]), 16)
            total = f.let(f"fadd {kind} {before}, {f.load(kind, sums[cell])}")
            f.store(kind, total, sums[cell])
    for cell in cells:
        f.store(kind, f.load(kind, sums[cell]), f.at("%tile", place[cell]), 16)


def multiply(f: Function, scheme: Scheme, kind: str, left: str, right: str, total: str) -> str:
    if scheme.method == "fma":
        suffix = f"v{scheme.width}{scheme.acc}"
        # fused where the processor can, two roundings where it cannot: never a call per element
        return f.intrinsic(
            f"llvm.fmuladd.{suffix}", kind, (kind, left), (kind, right), (kind, total)
        )
    pairs = wide("bfloat", 2 * scheme.width)
    left, right = (f.let(f"bitcast {kind} {value} to {pairs}") for value in (left, right))
    return f.intrinsic(_DOT, kind, (kind, total), (pairs, left), (pairs, right))


# ---- tile registers: 0-3 accumulate 2 x 2 tiles of 16 x 16, 4 and 5 hold rows, 6 and 7 columns


def _tiles(f: Function, scheme: Scheme, rows: int, vectors: int) -> None:
    panel_a, panel_b = scheme.panel_a, scheme.panel_b
    line = scheme.tile_columns * 4
    corners = [(i, j) for i in range(rows // 16) for j in range(vectors)]
    place = {(i, j): i * 16 * line + j * 64 for i, j in corners}
    if scheme.terms > 1:
        start_tiles(f, "null", place, line)
        _term_tiles(f, scheme, corners)
        add_start(f, place, line)
        return
    start_tiles(f, "%start", place, line)
    step_b, half = panel_b.nbytes(panel_b.k_step), f.mul("%row", 16)
    with f.loop(0, f.ceil_div("%depth", panel_a.k_step)) as step:
        a, b = f.at("%a", f.mul(step, "%step")), f.at("%b", f.mul(step, step_b))
        for part in (0, 8):
            f.prefetch(f.at("%next", f.mul(f.add(f.mul(step, 16), part), "%pace")), 0, level=2)
        loaded = set()
        for i, j in corners:
            if ("a", i) not in loaded:  # past the first cache, where the panel of columns stays
                tile(f, "tileloaddt164", 4 + i, f.at(a, half) if i else a, "%row")
            if ("b", j) not in loaded:
                tile(f, "tileloadd64", 6 + j, f.at(b, j * 64), line)
            loaded |= {("a", i), ("b", j)}
            dot_tiles(f, 2 * i + j, 4 + i, 6 + j)
    for i, j in corners:
        tile(f, "tilestored64", 2 * i + j, f.at("%tile", place[i, j]), line)


def _term_tiles(f: Function, scheme: Scheme, corners: list[tuple[int, int]]) -> None:
    """Add the products of terms along k."""
    with f.loop(0, f.ceil_div("%depth", scheme.panel_a.k_step)) as step:
        term_step(f, scheme, corners, step)


def term_step(
    f: Function, scheme: Scheme, corners: list[tuple[int, int]], step: str,
    work: Sequence[Callable[[], None]] = (),
) -> None:  # fmt: skip
    """Add the products of terms of a step along k of the panels %a and %b.

    Both come from the second cache, so between products the lines of the next step are asked for, and a share of %next.
    work: what else is written between them, evenly.
    """
    panels = {"a": scheme.panel_a, "b": scheme.panel_b}
    products, line = terms.PRODUCTS[scheme.terms], scheme.tile_columns * 4
    here = {
        side: f.at(f"%{side}", f.mul(step, panel.nbytes(panel.k_step)))
        for side, panel in panels.items()
    }
    for part in range(0, 16, 4):
        f.prefetch(f.at("%next", f.mul(f.add(f.mul(step, 16), part), "%pace")), 0, level=2)
    size = panels["a"].nbytes(panels["a"].k_step)
    soon = [(side, size + at) for at in range(0, size, LINE) for side in panels]
    if len(corners) < 4:  # edges would only take longer to compile
        soon = []
    count, made, done, held = len(products) * len(corners), 0, 0, (-1, -1)
    share = -(-len(soon) // count)
    for wanted in products:
        a, b = (
            f.at(here[side], panel.term_bytes * at)
            for (side, panel), at in zip(panels.items(), wanted)
        )
        for i in sorted({i for i, _ in corners}) if wanted[0] != held[0] else ():
            tile(f, "tileloadd64", 4 + i, f.at(a, 16 * LINE * i), LINE)
        for j in sorted({j for _, j in corners}) if wanted[1] != held[1] else ():
            tile(f, "tileloadd64", 6 + j, f.at(b, LINE * j), line)
        held = wanted
        for i, j in corners:
            dot_tiles(f, 2 * i + j, 4 + i, 6 + j)
            for side, at in soon[:share]:
                f.prefetch(here[side], at)
            del soon[:share]
            made += 1
            while done < len(work) * made // count:
                work[done]()
                done += 1


def add_start(f: Function, place: dict[tuple[int, int], int], line: int) -> None:
    """tile = start + sums. A slice is summed from zero: small products would be lost, or all be rounded alike, beside a long sum."""

    def store(to: str) -> None:
        for (i, j), at in place.items():
            tile(f, "tilestored64", 2 * i + j, f.at(to, at), line)

    continues = f.let("icmp ne ptr %start, null")
    with f.unless(continues):
        store("%tile")
    with f.when(continues):
        room, vector = f.array(32 * line), wide("float", 16)
        store(room)
        columns = range(0, LINE * (1 + max(j for _, j in place)), LINE)
        with f.loop(0, 16 * (1 + max(i for i, _ in place))) as row:
            for at in columns:
                here = f.add(f.mul(row, line), at)
                before, sums = (f.load(vector, f.at(base, here), 16) for base in ("%start", room))
                f.store(vector, f.let(f"fadd {vector} {before}, {sums}"), f.at("%tile", here), 16)


def start_tiles(f: Function, start: str, place: dict[tuple[int, int], int], line: int) -> None:
    """Accumulators from memory, or zeros if start is null; place: of tile (i, j) in it."""
    continues = f.let(f"icmp ne ptr {start}, null")
    with f.when(continues):
        for (i, j), at in place.items():
            tile(f, "tileloadd64", 2 * i + j, f.at(start, at), line)
    with f.unless(continues):
        for i, j in place:
            f.program.declares.add("declare void @llvm.x86.tilezero(i8 immarg)")
            f.do(f"call void @llvm.x86.tilezero(i8 {2 * i + j})")


def tile(f: Function, name: str, tile: int, pointer: str, stride: Value) -> None:
    f.program.declares.add(f"declare void @llvm.x86.{name}(i8 immarg, ptr, i64)")
    f.do(f"call void @llvm.x86.{name}(i8 {tile}, ptr {pointer}, i64 {stride})")


def dot_tiles(f: Function, total: int, left: int, right: int) -> None:
    f.program.declares.add("declare void @llvm.x86.tdpbf16ps(i8 immarg, i8 immarg, i8 immarg)")
    f.do(f"call void @llvm.x86.tdpbf16ps(i8 {total}, i8 {left}, i8 {right})")


def open_tiles(f: Function, rows: Value = 16, lanes: Value = 16) -> None:
    """Shape the tile registers; once per thread and region. rows: of the first operand; lanes: of a step (i8, at most 16)."""
    config = f.array(64)
    f.store("<64 x i8>", "zeroinitializer", config, 64)
    f.store("i8", 1, config)
    short = f.let(f"shl i8 {lanes}, 2")
    for tile in range(8):
        height, line = (lanes, 64) if tile >= 6 else (rows, short if tile >= 4 else 64)
        f.store("i8", line, f.at(config, 16 + 2 * tile))
        f.store("i8", height, f.at(config, 48 + tile))
    f.program.declares.add("declare void @llvm.x86.ldtilecfg(ptr)")
    f.do(f"call void @llvm.x86.ldtilecfg(ptr {config})")


def close_tiles(f: Function) -> None:
    """Give the tile registers back, so that switching threads is cheap again."""
    f.program.declares.add("declare void @llvm.x86.tilerelease()")
    f.do("call void @llvm.x86.tilerelease()")
