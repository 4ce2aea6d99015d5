"""Products on tile registers of operands that are sums of one, two or three bfloat16 terms (contract/terms.py).

Of the products of terms those below the last bit are left out: six of nine for floats, three of four for halves.

`void @tiles_R_V(ptr a, ptr b, i64 depth, ptr start, ptr tile, ptr made, ptr sums)`: tile = start + a b, for the first R
rows and V vectors of columns; start may be null. For panels see panels.py.

Of three terms a product is made from zero, since small products would all be rounded alike beside a long sum: start does not count, and
the tile `made`, of a product before, is added to the tile `sums` between the tile products of this one (see `Products`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

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
SIGNATURE = (
    "ptr noalias %a, ptr noalias %b, i64 %depth, ptr %start, ptr %tile, ptr %made, ptr %sums"
)
ROWS, COLUMNS, TILE_BYTES = 32, 32, 4096
STEP, TERM_BYTES = 32, 2048  # elements along k of a step; bytes of one of its terms
ADDED = 16  # rows of a tile that are added to sums beside a step
_LINE, _ROW = 64, 4 * COLUMNS  # bytes of a line of a left panel's step, and of a row of a tile


def has_tiles(storage: str, queries: int) -> bool:
    """Whether attention of so many queries on tensors of this type runs on tile registers."""
    return target.host().has_amx_bf16 and queries > FEW.get(storage, queries)


def tile_scheme(storage: str) -> Scheme:
    """The scheme of products on tile registers of operands stored so."""
    count = TERMS[storage]
    return Scheme(storage, storage, storage, storage, None, "f32", "amx", 16, 32, 2, 256, count)


def products(program: Program, terms: int) -> None:
    """Write the four kernels for operands of so many terms."""
    if terms == 3:
        with program.function(
            "add_tile", "ptr %made, ptr %sums, i64 %first", attributes="noinline"
        ) as f:
            with f.loop("%first", ROWS) as row:
                _add_rows(f, *(f.at(x, f.mul(row, _ROW)) for x in ("%made", "%sums")), 1)
    for rows in (16, ROWS):
        for vectors in (1, 2):
            with program.function(f"tiles_{rows}_{vectors}", SIGNATURE, attributes="noinline") as f:
                _product(f, terms, rows, vectors)


def _product(f: Function, terms: int, rows: int, vectors: int) -> None:
    if terms == 3 and (rows, vectors) == (ROWS, 2):
        _accumulate_adding(f, lambda step, adds: _step_adding(f, step, adds))
        return
    if terms == 3:
        f.call("add_tile", "void", "ptr %made", "ptr %sums", "i64 0")
    start = "null" if terms == 3 else "%start"
    _accumulate(
        f, rows, vectors, start, lambda step: run(f, tile_steps(f, terms, rows, vectors, step))
    )


def _accumulate(
    f: Function, rows: int, vectors: int, start: str, write_step: Callable[[str], None]
) -> None:
    """The body of a product with SIGNATURE: zeros or sums, every step along k, the tile."""
    place = {(i, j): i * 16 * _ROW + j * 64 for i in range(rows // 16) for j in range(vectors)}
    micro.start_tiles(f, start, place, _ROW)
    with f.loop(0, f.ceil_div("%depth", STEP)) as step:
        write_step(step)
    for (i, j), at in place.items():
        micro.tile(f, "tilestored64", 2 * i + j, f.at("%tile", at), _ROW)


def _accumulate_adding(f: Function, write_step: Callable[[str, str], None]) -> None:
    """The same for a whole tile of three terms. write_step is also told whether rows of `made` are to be added beside this step."""

    def write(step: str) -> None:
        write_step(step, f.compare("slt", step, ROWS // ADDED))

    _accumulate(f, ROWS, 2, "null", write)
    first = f.min(f.mul(f.ceil_div("%depth", STEP), ADDED), ROWS)
    f.call("add_tile", "void", "ptr %made", "ptr %sums", f"i64 {first}")


def _step_adding(f: Function, step: str, adds: str) -> None:
    """A step with nothing beside but rows of `made`, if any are left."""
    made, sums = (f.at(x, f.mul(step, ADDED * _ROW)) for x in ("%made", "%sums"))
    with f.when(adds):
        run(f, tile_steps(f, 3, ROWS, 2, step), lambda: _add_rows(f, made, sums, ADDED))
    with f.unless(adds):
        run(f, tile_steps(f, 3, ROWS, 2, step))


def _add_rows(f: Function, made: str, sums: str, many: int) -> None:
    kind = "<16 x float>"
    for at in range(0, many * _ROW, 64):
        here = f.at(sums, at)
        value = f.load(kind, f.at(made, at), 16)
        f.store(kind, f.let(f"fadd {kind} {f.load(kind, here, 16)}, {value}"), here, 16)


class Products:
    """Multiplies one panel of each operand after the other, and adds to sums where it is told to.

    Of three terms what is to be added lies in one of two tiles of scratch until the next product adds it, beside which it
    costs nothing, so all is there only after `finish`; a tile of sums must not be wanted by others before.
    """

    def __init__(self, f: Function, terms: int):
        self.f, self.terms = f, terms
        if terms == 3:
            room = f.array(2 * TILE_BYTES)
            self.room = room, f.at(room, TILE_BYTES)
            self.made, self.sums = (f.variable("ptr", room) for _ in range(2))

    def multiply(
        self, a: str, b: str, depth: Value, start: str, tile: str, rows: Value, columns: Value,
        made: Beside | None = None,
    ) -> None:  # fmt: skip
        """tile = start + a b for one panel of each; start is the tile itself or null. made: work that may be done meanwhile."""
        f, to = self.f, tile
        operands = [f"ptr {a}", f"ptr {b}", f"i64 {depth}", f"ptr {start}"]
        if self.terms == 3:
            before, sums = (f.load("ptr", x) for x in (self.made, self.sums))
            first = f.let(f"icmp eq ptr {before}, {self.room[0]}")
            room = f.select(first, self.room[1], self.room[0], "ptr")
            fresh = f.let(f"icmp eq ptr {start}, null")
            to = f.select(fresh, tile, room, "ptr")
            f.store("ptr", room, self.made)
            f.store("ptr", f.select(fresh, room, tile, "ptr"), self.sums)
            operands += [f"ptr {to}", f"ptr {before}", f"ptr {sums}"]
        else:
            operands += [f"ptr {tile}", "ptr null", "ptr null"]
        few, narrow = f.compare("sle", rows, 16), f.compare("sle", columns, 16)
        small = f.select(narrow, "@tiles_16_1", "@tiles_16_2", "ptr")
        large = f.select(narrow, f"@tiles_{ROWS}_1", f"@tiles_{ROWS}_2", "ptr")
        kernel = f.select(few, small, large, "ptr")
        if made is None:
            f.do(f"call void {kernel}({', '.join(operands)})")
            return
        whole = f.both(f.compare("sge", rows, ROWS), f.compare("sgt", columns, COLUMNS // 2))
        whole = f.both(whole, made.is_left())
        with f.when(whole):
            made.do(operands)
        with f.unless(whole):
            f.do(f"call void {kernel}({', '.join(operands)})")

    def finish(self) -> None:
        """Add what is still to be added."""
        if self.terms == 3:
            made, sums = (self.f.load("ptr", x) for x in (self.made, self.sums))
            self.f.call("add_tile", "void", f"ptr {made}", f"ptr {sums}", "i64 0")
            self.f.store("ptr", made, self.sums)


def tile_steps(
    f: Function, terms: int, rows: int, vectors: int, step: str
) -> list[Callable[[], None]]:
    """What writes a step along k, one tile product (and the loads of its operands) each."""
    skip = f.mul(step, terms * TERM_BYTES)
    here = {"a": f.at("%a", skip), "b": f.at("%b", skip)}
    held: dict[tuple[str, int], int] = {}
    # Panels of several terms come from the second cache for every product: the first keeps scores and sums instead.
    name = "tileloaddt164" if terms > 1 else "tileloadd64"

    def load(side: str, at: int, term: int) -> None:
        if held.get((side, at)) == term:
            return
        held[side, at] = term
        stride = _LINE if side == "a" else COLUMNS * 4
        skip = TERM_BYTES * term + at * (16 * _LINE if side == "a" else 64)
        number = (4 if side == "a" else 6) + at
        micro.tile(f, name, number, f.at(here[side], skip), stride)

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


def run(f: Function, steps: list[Callable[[], None]], *others: Callable[[], None]) -> None:
    """Write all steps, and evenly between them the instructions of all others, which have no branches."""
    found = []
    for write in others:
        first = len(f.lines)
        write()
        found.append(f.lines[first:])
        del f.lines[first:]
    for n, step in enumerate(steps):
        step()
        for lines in found:
            f.lines += lines[len(lines) * n // len(steps) : len(lines) * (n + 1) // len(steps)]


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

        def rows() -> None:
            row = f.load("i64", next_row)
            for r in range(pace):
                write_row(f.add(row, r))
            f.store("i64", f.add(row, pace), next_row)

        def step_of_three(step: str, adds: str) -> None:
            some = f.compare("slt", f.load("i64", next_row), count)
            with f.when(some):
                # where no rows of sums are left, the tile that comes later is changed
                made, sums = (f.at(x, f.mul(step, ADDED * _ROW)) for x in ("%made", "%sums"))
                made, sums = (f.select(adds, x, "%tile", "ptr") for x in (made, sums))
                run(f, tile_steps(f, 3, ROWS, 2, step), rows, lambda: _add_rows(f, made, sums, ADDED))  # fmt: skip
            with f.unless(some):
                _step_adding(f, step, adds)

        def step_of_few(step: str) -> None:
            some = f.compare("slt", f.load("i64", next_row), count)
            with f.when(some):
                run(f, tile_steps(f, terms, ROWS, 2, step), rows)
            with f.unless(some):
                run(f, tile_steps(f, terms, ROWS, 2, step))

        if terms == 3:
            _accumulate_adding(f, step_of_three)
        else:
            _accumulate(f, ROWS, 2, "%start", step_of_few)
        f.do(f"ret i64 {f.load('i64', next_row)}")


class Beside:
    """Rows of work (see `beside`), some of which are done while matrices are multiplied."""

    def __init__(self, f: Function, count: int, operands: tuple[str, ...]):
        self.f, self.count, self.operands = f, count, operands
        self.row = f.variable("i64", 0)
        f.store("i64", 0, self.row)

    def is_left(self) -> str:
        """Whether there are rows that are not done."""
        return self.f.compare("slt", self.f.load("i64", self.row), self.count)

    def do(self, product: list[str]) -> None:
        """Do some rows beside the product with these operands, whose tile is whole."""
        first = f"i64 {self.f.load('i64', self.row)}"
        after = self.f.call("tiles_beside", "i64", *product, first, *self.operands)
        self.f.store("i64", after, self.row)

    def finish(self, count: Value) -> None:
        """Do what is left of the first `count` rows."""
        first = f"i64 {self.f.load('i64', self.row)}"
        self.f.call("rest", "void", first, f"i64 {count}", *self.operands)
