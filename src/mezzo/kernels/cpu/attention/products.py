"""Products on tile registers of operands that are sums of one, two or three bfloat16 terms (contract/terms.py).

Of the products of terms those below the last bit are left out: six of nine for floats, three of four for halves.

`void @tiles_R_V(ptr a, ptr b, i64 depth, ptr start, ptr tile)`: tile = start + a b, for the first R rows and V vectors
of columns; start may be null. For panels see panels.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from mezzo.kernels.cpu import target
from mezzo.kernels.cpu.contract import micro
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.terms import COUNT, PRODUCTS
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

WriteRows = Callable[[Function], Callable[[str], None]]
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
    accumulate(f, terms, rows, vectors, lambda step: run(tile_steps(f, terms, rows, vectors, step)))


def accumulate(
    f: Function, terms: int, rows: int, vectors: int, write_step: Callable[[str], None]
) -> None:
    """The body of a product with SIGNATURE: zeros or sums, every step along k, the tile."""
    line = COLUMNS * 4
    place = {(i, j): i * 16 * line + j * 64 for i in range(rows // 16) for j in range(vectors)}
    micro.start_tiles(f, "null" if terms == 3 else "%start", place, line)
    with f.loop(0, f.ceil_div("%depth", STEP)) as step:
        write_step(step)
    if terms == 3:
        micro.add_start(f, place, line)
        return
    for (i, j), at in place.items():
        micro.tile(f, "tilestored64", 2 * i + j, f.at("%tile", at), line)


def tile_steps(
    f: Function, terms: int, rows: int, vectors: int, step: str
) -> list[Callable[[], None]]:
    """What writes a step along k, one tile product (and the loads of its operands) each."""
    skip = f.mul(step, terms * TERM_BYTES)
    here = {"a": f.at("%a", skip), "b": f.at("%b", skip)}
    held: dict[tuple[str, int], int] = {}

    def load(side: str, at: int, term: int) -> None:
        if held.get((side, at)) == term:
            return
        held[side, at] = term
        stride = _LINE if side == "a" else COLUMNS * 4
        skip = TERM_BYTES * term + at * (16 * _LINE if side == "a" else 64)
        number = (4 if side == "a" else 6) + at
        micro.tile(f, "tileloadd64", number, f.at(here[side], skip), stride)

    def multiply(i: int, j: int, term_a: int, term_b: int) -> None:
        load("a", i, term_a)
        load("b", j, term_b)
        micro.dot_tiles(f, 2 * i + j, 4 + i, 6 + j)

    return [
        functools.partial(multiply, i, j, *pair)
        for pair in ORDERS[terms]
        for i in range(rows // 16)
        for j in range(vectors)
    ]


def run(steps: list[Callable[[], None]], beside: Sequence[Callable[[], None]] = ()) -> None:
    """Write all steps, and what goes beside them, evenly between."""
    done = 0
    for n, step in enumerate(steps, 1):
        step()
        while done < len(beside) * n // len(steps):
            beside[done]()
            done += 1


# ---- other work beside products


def beside(
    program: Program, terms: int, parameters: str, pace: int, count: int, begin: WriteRows
) -> None:
    """Write @tiles_beside and @rest: a whole product with rows of other work between its tile products; what is left of it.

    There are `count` rows, of which `pace` are written beside a step along k, from number %first on. The result is the
    first that is left. parameters: what the work is told; begin: writes what comes before all rows.
    """
    with program.function(
        "rest", f"i64 %first, i64 %count, {parameters}", attributes="noinline"
    ) as f:
        write_row = begin(f)
        with f.loop("%first", "%count") as row:
            write_row(row)
    parameters = f"{SIGNATURE}, i64 %first, {parameters}"
    with program.function("tiles_beside", parameters, "i64", attributes="noinline") as f:
        write_row, next_row = begin(f), f.variable("i64", "%first")

        def step(number: str) -> None:
            row = f.load("i64", next_row)
            some = f.compare("slt", row, count)
            with f.when(some):
                rows = [lambda r=r: write_row(f.add(row, r)) for r in range(pace)]
                run(tile_steps(f, terms, ROWS, 2, number), rows)
                f.store("i64", f.add(row, pace), next_row)
            with f.unless(some):
                run(tile_steps(f, terms, ROWS, 2, number))

        accumulate(f, terms, ROWS, 2, step)
        f.do(f"ret i64 {f.load('i64', next_row)}")


class Beside:
    """Rows of work (see `beside`), some of which are done while matrices are multiplied."""

    def __init__(self, f: Function, count: int, operands: tuple[str, ...]):
        self.f, self.count, self.operands = f, count, operands
        self.row = f.variable("i64", 0)
        f.store("i64", 0, self.row)

    def multiply(self, *product: Value) -> None:
        """`multiply`, with work beside if the tile is whole and there is any left."""
        f, (a, b, depth, start, tile, rows, columns) = self.f, product
        row = f.load("i64", self.row)
        whole = f.both(f.compare("sge", rows, ROWS), f.compare("sgt", columns, COLUMNS // 2))
        whole = f.both(whole, f.compare("slt", row, self.count))
        with f.when(whole):
            after = f.call("tiles_beside", "i64", f"ptr {a}", f"ptr {b}", f"i64 {depth}", f"ptr {start}", f"ptr {tile}",
                           f"i64 {row}", *self.operands)  # fmt: skip
            f.store("i64", after, self.row)
        with f.unless(whole):
            multiply(f, *product)

    def finish(self, count: Value) -> None:
        """Do what is left of the first `count` rows."""
        first = f"i64 {self.f.load('i64', self.row)}"
        self.f.call("rest", "void", first, f"i64 {count}", *self.operands)
