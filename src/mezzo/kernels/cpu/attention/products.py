"""Products on tile registers of operands that are sums of one, two or three bfloat16 terms (contract/terms.py).

Of the products of terms those below the last bit are left out: six of nine for floats, three of four for halves.

`void @tiles_R_V(ptr a, ptr b, i64 depth, ptr start, ptr tile)`: tile = start + a b, for the first R rows and V vectors
of columns; start may be null. For panels see panels.py.
"""

from __future__ import annotations

from mezzo.kernels.cpu import target
from mezzo.kernels.cpu.contract import micro
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.terms import COUNT, PRODUCTS
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

TERMS = {"bf16": 1, **COUNT}  # bfloat16 numbers that add up to one of the type
# Up to so many queries, making terms of all keys and values costs more than it saves.
FEW = {"bf16": 0, "f16": 16, "f32": 24}
# (term of a, term of b), in an order that loads few tiles twice; the smallest product of halves is below their last bit.
ORDERS = {1: ((0, 0),), 2: ((1, 0), (0, 0), (0, 1)), 3: PRODUCTS[3]}
SIGNATURE = "ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile"
ROWS, COLUMNS, TILE_BYTES = 32, 32, 4096
STEP, TERM_BYTES = 32, 2048  # elements along k of a step; bytes of one of its terms
_LINE = 64


def has_tiles(storage: str, queries: int) -> bool:
    """Whether attention of so many queries on tensors of this type runs on tile registers."""
    return target.host().has_amx_bf16 and queries > FEW.get(storage, queries)


def tile_scheme(storage: str) -> Scheme:
    """The scheme of products on tile registers of operands stored so."""
    count = TERMS[storage]
    return Scheme(storage, storage, storage, storage, None, "f32", "amx", 16, 32, 2, 256, count)


def products(program: Program, terms: int) -> None:
    """Write the four kernels for operands of so many terms."""
    for rows in (16, 32):
        for vectors in (1, 2):
            with program.function(f"tiles_{rows}_{vectors}", SIGNATURE, attributes="noinline") as f:
                _product(f, terms, rows, vectors)


def multiply(
    f: Function, a: str, b: str, depth: Value, start: str, tile: str, rows: Value, columns: Value
) -> None:
    """tile = start + a b for one panel of each; start may be null."""
    few, narrow = f.compare("sle", rows, 16), f.compare("sle", columns, 16)
    small = f.select(narrow, "@tiles_16_1", "@tiles_16_2", "ptr")
    large = f.select(narrow, "@tiles_32_1", "@tiles_32_2", "ptr")
    kernel = f.select(few, small, large, "ptr")
    f.do(f"call void {kernel}(ptr {a}, ptr {b}, i64 {depth}, ptr {start}, ptr {tile})")


def _product(f: Function, terms: int, rows: int, vectors: int) -> None:
    line = COLUMNS * 4
    corners = [(i, j) for i in range(rows // 16) for j in range(vectors)]
    place = {(i, j): i * 16 * line + j * 64 for i, j in corners}
    micro.start_tiles(f, "null" if terms == 3 else "%start", place, line)
    with f.loop(0, f.ceil_div("%depth", STEP)) as step:
        skip = f.mul(step, terms * TERM_BYTES)
        here = {"a": f.at("%a", skip), "b": f.at("%b", skip)}
        held = {"a": -1, "b": -1}
        for term_a, term_b in ORDERS[terms]:
            if held["a"] != term_a:
                at = f.at(here["a"], TERM_BYTES * term_a)
                for i in range(rows // 16):
                    micro.tile(f, "tileloadd64", 4 + i, f.at(at, 16 * _LINE * i), _LINE)
            if held["b"] != term_b:
                at = f.at(here["b"], TERM_BYTES * term_b)
                for j in range(vectors):
                    micro.tile(f, "tileloadd64", 6 + j, f.at(at, j * 64), line)
            held = {"a": term_a, "b": term_b}
            for i, j in corners:
                micro.dot_tiles(f, 2 * i + j, 4 + i, 6 + j)

    if terms == 3:
        micro.add_start(f, place, line)
        return
    for i, j in corners:
        micro.tile(f, "tilestored64", 2 * i + j, f.at("%tile", place[i, j]), line)
