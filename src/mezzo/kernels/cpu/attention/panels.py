"""Packing operands of attention for tile registers: a matrix is read once for all the panels that it is needed in.

A panel has steps of 32 along k, each one term of bfloat16 after the other: 32 rows of 32 elements of a left operand, 16 pairs of
neighbours along k of 32 columns of a right one. Four kinds can be made of a matrix:

    rows             a left operand, k along the matrix' columns
    columns          a right operand whose columns are the matrix' rows
    turned_rows      a left operand whose rows are the matrix' columns
    turned_columns   a right operand, k along the matrix' rows
    zipped_columns   the same, k in the order in which weights.py makes a left operand: that of `sixteen` for one term, else
                     16 rows in turn with the 16 after them

32 x 32 elements at a time become terms, written row by row (rows) and as pairs of rows (turned_columns); the other two are
these with pairs as elements, exchanged in registers.
"""

from __future__ import annotations

from mezzo.kernels.cpu.attention import weights
from mezzo.kernels.cpu.attention.parts import Tensors, word
from mezzo.kernels.cpu.attention.products import TERM_BYTES
from mezzo.kernels.cpu.attention.weights import WIDTH
from mezzo.kernels.cpu.contract import lanes, terms
from mezzo.kernels.cpu.contract.lanes import SIZE, wide
from mezzo.kernels.cpu.contract.pack_terms import SIDE, stage
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

LINE, PAIR = 64, 128  # bytes of a row of a block, and of a pair of rows
_PLAIN = {"rows": "rows", "columns": "rows", "turned_rows": "turned_columns", "turned_columns": "turned_columns",
          "zipped_columns": "zipped_columns"}  # fmt: skip


def pack(
    f: Function, scheme: Scheme, tensors: Tensors, name: str, first: Value, rows: Value, columns: str,
    /,
    **panels: tuple[str, Value],
) -> None:  # fmt: skip
    """Pack `rows` rows of a tensor from `first` on. panels: for every kind, where to, and bytes from a panel to the next."""
    row = word(f, name + "_row")
    source = f.at(tensors.pointer(f, name), f.mul(first, row))
    places = [x for to, step in panels.values() for x in (f"ptr {to}", f"i64 {step}")]
    f.call(_packing(f.program, scheme, tuple(panels)), "void", f"ptr {source}", f"i64 {row}", f"i64 {word(f, name + '_column')}",
           f"i64 {rows}", f"i64 {columns}", *places)  # fmt: skip


def _packing(program: Program, scheme: Scheme, kinds: tuple[str, ...]) -> str:
    """The name of the function that makes panels of these kinds, which is written if it is not there."""
    name, size = "pack_" + "_".join(kinds), SIZE[scheme.a]
    if name in program.names:
        return name
    plain = tuple(sorted({_PLAIN[kind] for kind in kinds}))
    split = _splitting(program, scheme, plain)
    staging = stage(program, scheme.a)
    _turn(program)
    parameters = "ptr %from, i64 %row, i64 %column, i64 %high, i64 %wide"
    parameters += "".join(f", ptr %{kind}, i64 %{kind}_panel" for kind in kinds)
    block = scheme.terms * TERM_BYTES
    with program.function(name, parameters, attributes="noinline") as f:
        room = {kind: f.array(block) for kind in plain if kind not in kinds}
        staged, close = f.array(SIDE * SIDE * size), f.compare("eq", "%column", size)
        with f.loop(0, "%high", SIDE) as r, f.loop(0, "%wide", SIDE) as c:
            high, across = f.sub("%high", r), f.sub("%wide", c)
            source = f.at(f.at("%from", f.mul(r, "%row")), f.mul(c, "%column"))
            whole = f.both(f.compare("sge", high, SIDE), f.compare("sge", across, SIDE))
            as_it_lies = f.both(close, whole)
            with f.unless(as_it_lies):
                f.call(staging, "void", f"ptr {source}", "i64 %row", "i64 %column", f"i64 {f.min(high, SIDE)}",
                       f"i64 {f.min(across, SIDE)}", f"ptr {staged}")  # fmt: skip
            source = f.select(as_it_lies, source, staged, "ptr")
            to = dict(room)
            for kind in kinds:
                panel, step = (r, c) if kind in ("rows", "columns") else (c, r)
                skip = f.mul(f.div(panel, SIDE), f"%{kind}_panel")
                skip = f.add(skip, f.mul(f.div(step, SIDE), block))
                to[kind] = f.at(f"%{kind}", skip)
            pitch = f.select(as_it_lies, "%row", SIDE * size)
            f.call(split, "void", f"ptr {source}", f"i64 {pitch}", *(f"ptr {to[kind]}" for kind in plain))  # fmt: skip
            for kind in kinds:
                if kind not in plain:
                    _exchange(f, scheme, to[_PLAIN[kind]], to[kind], kind)
    return name


def _exchange(f: Function, scheme: Scheme, source: str, to: str, kind: str) -> None:
    """Call @turn for the halves of every term of a block."""
    from_half, from_line, to_half, to_line = LINE * WIDTH, LINE, LINE, PAIR
    if kind == "turned_rows":
        from_half, from_line, to_half, to_line = to_half, to_line, from_half, from_line
    with f.loop(0, scheme.terms * TERM_BYTES, TERM_BYTES) as term:
        for half in (0, 1):
            here = f.at(f.at(source, term), half * from_half)
            there = f.at(f.at(to, term), half * to_half)
            f.call("turn", "void", f"ptr {here}", f"i64 {from_line}", f"ptr {there}", f"i64 {to_line}")  # fmt: skip


def _splitting(program: Program, scheme: Scheme, plain: tuple[str, ...]) -> str:
    """Write the function that makes terms of a whole block, in the panels that are not turned."""
    name, count, storage = "split_" + "_".join(plain), scheme.terms, scheme.a
    if name in program.names:
        return name
    parameters = "ptr %from, i64 %pitch" + "".join(f", ptr %{kind}" for kind in plain)
    kind = wide("i16", 2 * WIDTH)
    with program.function(name, parameters, attributes="noinline") as f, f.loop(0, SIDE, 2) as r:
        found = []  # [row][half][term]
        rows = (r, f.add(r, 1))
        if "zipped_columns" in plain and count > 1:
            rows = (f.div(r, 2), f.add(f.div(r, 2), SIDE // 2))
        for row in rows:
            line, halves = f.at("%from", f.mul(row, "%pitch")), []
            ahead = f.at(line, f.mul("%pitch", SIDE))
            for at in range(0, SIDE * SIZE[storage], LINE):
                f.prefetch(ahead, at)
            for half in (0, 1):
                raw = lanes.load(f, f.at(line, half * WIDTH * SIZE[storage]), storage, WIDTH)
                x = lanes.widen(f, raw, storage, "f32", WIDTH)
                halves.append(_terms(f, x, count))
            found.append(halves)
        for term in range(count):
            if "rows" in plain:
                for row, (low, high) in zip(rows, found):
                    to = f.at("%rows", f.add(f.mul(row, LINE), term * TERM_BYTES))
                    f.store(kind, _side_by_side(f, low[term], high[term], count), to, 64)
            for pairs in sorted({"turned_columns", "zipped_columns"} & {*plain}):
                at = _zipped(f, r) if pairs == "zipped_columns" and count == 1 else r
                to = f.at(f"%{pairs}", f.add(f.mul(at, PAIR // 2), term * TERM_BYTES))
                for half in (0, 1):
                    x = weights.halves(f, found[0][half][term], found[1][half][term], count, True)
                    f.store(kind, x, f.at(to, half * PAIR // 2), 64)
    return name


def _side_by_side(f: Function, low: str, high: str, count: int) -> str:
    """The bfloat16 numbers of a term of two vectors, one after the other."""
    if count == 1:
        return weights.halves(f, low, high, count)
    kind, floats = wide("i16", 2 * WIDTH), wide("float", WIDTH)
    both = [f.let(f"bitcast {floats} {x} to {kind}") for x in (low, high)]
    return lanes.shuffle(f, "i16", 2 * WIDTH, *both, [*range(1, 4 * WIDTH, 2)])


def _zipped(f: Function, row: str) -> str:
    """Where an even row goes: four of the first half of the rows are followed by four of the second."""
    half, inside = f.div(row, SIDE // 2), f.rem(row, SIDE // 2)
    lane = f.add(f.mul(f.div(inside, 4), 8), f.rem(inside, 4))
    return f.add(lane, f.mul(half, 4))


def _terms(f: Function, x: str, count: int) -> list[str]:
    """Terms in the upper halves of floats; one alone is x itself."""
    if count == 1:
        return [x]
    words, floats = wide("i32", WIDTH), wide("float", WIDTH)
    return [f.let(f"bitcast {words} {t} to {floats}") for t in terms.cut(f, x, count, WIDTH)]


def _turn(program: Program) -> None:
    """Write @turn: 16 lines of 16 pairs with lines and pairs exchanged."""
    if "turn" in program.names:
        return
    parameters, kind = "ptr %from, i64 %pitch, ptr %to, i64 %line", wide("i32", WIDTH)
    with program.function("turn", parameters, attributes="noinline") as f:
        square = [f.load(kind, f.at("%from", f.mul("%pitch", i)), 64) for i in range(WIDTH)]
        for i, x in enumerate(lanes.transpose(f, "i32", WIDTH, square)):
            f.store(kind, x, f.at("%to", f.mul("%line", i)), 64)
