"""Micro-kernels: one tile of accumulators from one panel of each operand.

Each writes `void @micro(ptr a, ptr b, i64 depth, ptr start, ptr tile)`: tile = start + a b, where
start is null for zeros. The tile is row-major, tile_rows by tile_columns accumulators.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.lanes import FLOAT, SIZE, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program

SIGNATURE = "ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile"
_DOT = "llvm.x86.avx512bf16.dpbf16ps.512"


def micro(program: Program, scheme: Scheme) -> None:
    """Write @micro."""
    if scheme.method == "amx":
        _tiles(program, scheme)
    else:
        _vectors(program, scheme)


def _vectors(program: Program, scheme: Scheme) -> None:
    """Accumulators in vector registers; each step multiplies broadcast rows by vectors of columns."""
    size = SIZE[scheme.acc]
    kind, element = wide(FLOAT[scheme.acc], scheme.width), FLOAT[scheme.acc]
    cells = [(i, j) for i in range(scheme.tile_rows) for j in range(scheme.tile_vectors)]
    with program.function("micro", SIGNATURE, attributes="noinline") as f:
        sums = {cell: f.variable(kind, "zeroinitializer") for cell in cells}
        continues = f.let("icmp ne ptr %start, null")
        with f.when(continues):
            _each(
                f,
                scheme,
                cells,
                "%start",
                lambda cell, p: f.store(kind, f.load(kind, p, 16), sums[cell]),
            )
        group = scheme.panel_a.group
        with f.loop(0, f.ceil_div("%depth", group)) as step:
            row = f.at("%a", f.mul(step, scheme.tile_rows * size))
            column = f.at("%b", f.mul(step, scheme.tile_columns * size))
            right = [
                f.load(kind, f.at(column, j * scheme.width * size), 16)
                for j in range(scheme.tile_vectors)
            ]
            for i in range(scheme.tile_rows):
                one = f.load(element, f.at(row, i * size), size)
                left = lanes.splat(f, element, one, scheme.width)
                for j in range(scheme.tile_vectors):
                    total = f.load(kind, sums[i, j])
                    f.store(kind, _multiply(f, scheme, kind, left, right[j], total), sums[i, j])
        _each(
            f,
            scheme,
            cells,
            "%tile",
            lambda cell, p: f.store(kind, f.load(kind, sums[cell]), p, 16),
        )


def _each(f: Function, scheme: Scheme, cells, base: str, act) -> None:
    for i, j in cells:
        offset = (i * scheme.tile_columns + j * scheme.width) * SIZE[scheme.acc]
        act((i, j), f.at(base, offset))


def _multiply(f: Function, scheme: Scheme, kind: str, left: str, right: str, total: str) -> str:
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


def _tiles(program: Program, scheme: Scheme) -> None:
    rows, columns = scheme.panel_a, scheme.panel_b
    line = scheme.tile_columns * 4
    with program.function("micro", SIGNATURE, attributes="noinline") as f:
        corners = [(i, j, i * 16 * line + j * 64) for i in (0, 1) for j in (0, 1)]
        continues = f.let("icmp ne ptr %start, null")
        with f.when(continues):
            for i, j, offset in corners:
                _tile(f, "tileloadd64", 2 * i + j, f.at("%start", offset), line)
        with f.unless(continues):
            for tile in range(4):
                f.program.declares.add("declare void @llvm.x86.tilezero(i8 immarg)")
                f.do(f"call void @llvm.x86.tilezero(i8 {tile})")
        step_a, step_b = (panel.nbytes(panel.k_step) for panel in (rows, columns))
        with f.loop(0, f.ceil_div("%depth", rows.k_step)) as step:
            a, b = f.at("%a", f.mul(step, step_a)), f.at("%b", f.mul(step, step_b))
            _tile(f, "tileloadd64", 6, b, line)
            _tile(f, "tileloadd64", 4, a, 64)
            _dot_tiles(f, 0, 4, 6)
            _tile(f, "tileloadd64", 7, f.at(b, 64), line)
            _dot_tiles(f, 1, 4, 7)
            _tile(f, "tileloadd64", 5, f.at(a, 16 * 64), 64)
            _dot_tiles(f, 2, 5, 6)
            _dot_tiles(f, 3, 5, 7)
        for i, j, offset in corners:
            _tile(f, "tilestored64", 2 * i + j, f.at("%tile", offset), line)


def _tile(f: Function, name: str, tile: int, pointer: str, stride: int) -> None:
    f.program.declares.add(f"declare void @llvm.x86.{name}(i8 immarg, ptr, i64)")
    f.do(f"call void @llvm.x86.{name}(i8 {tile}, ptr {pointer}, i64 {stride})")


def _dot_tiles(f: Function, total: int, left: int, right: int) -> None:
    f.program.declares.add("declare void @llvm.x86.tdpbf16ps(i8 immarg, i8 immarg, i8 immarg)")
    f.do(f"call void @llvm.x86.tdpbf16ps(i8 {total}, i8 {left}, i8 {right})")


def open_tiles(f: Function) -> None:
    """Shape all eight tile registers as 16 rows of 64 bytes; once per thread and region."""
    config = f.array(64)
    f.store("<64 x i8>", "zeroinitializer", config, 64)
    f.store("i8", 1, config)
    for tile in range(8):
        f.store("i16", 64, f.at(config, 16 + 2 * tile))
        f.store("i8", 16, f.at(config, 48 + tile))
    f.program.declares.add("declare void @llvm.x86.ldtilecfg(ptr)")
    f.do(f"call void @llvm.x86.ldtilecfg(ptr {config})")


def close_tiles(f: Function) -> None:
    """Give the tile registers back, so that switching threads is cheap again."""
    f.program.declares.add("declare void @llvm.x86.tilerelease()")
    f.do("call void @llvm.x86.tilerelease()")
