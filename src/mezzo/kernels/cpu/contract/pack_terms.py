"""Packing floats as bfloat16 terms for tile registers: 32 x 32 elements at a time, from where they lie or from a copy.

A step of a panel holds, term after term, 32 rows of 32 elements along k, or 16 pairs of neighbours along k of 32 columns.
Elements that follow each other as they do in the panel, rows along k and columns along n, are read in place; others
are copied to the stack first, in that order.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes, terms
from mezzo.kernels.cpu.contract.lanes import MEMORY, SIZE, wide
from mezzo.kernels.cpu.contract.pack import SIGNATURE
from mezzo.kernels.cpu.contract.scheme import Panel, Scheme
from mezzo.kernels.cpu.contract.writer import Program, Value

AHEAD = 512  # bytes that loads run ahead
SIDE, WIDTH = 32, 16  # elements of a block along either way, and of a vector
_STAGE = "ptr %from, i64 %line, i64 %element, i64 %lines, i64 %elements, ptr %to"


def pack(program: Program, name: str, scheme: Scheme, storage: str, panel: Panel, fields) -> None:
    """Write @name for a strided operand; fields(f) gives its pointer and strides in bytes."""
    size = SIZE[storage]
    _stage(program, storage)
    _split(program, name + "_split", scheme, storage, panel)
    with program.function(name, SIGNATURE) as f:
        base, row_stride, k_stride = fields(f)
        src = f.at(f.at(base, f.mul("%row", row_stride)), f.mul("%k", k_stride))
        line, element = (row_stride, k_stride) if panel.k_fast else (k_stride, row_stride)
        room = f.array(SIDE * SIDE * size)
        close = f.compare("eq", element, size)
        with f.loop(0, "%depth", SIDE) as k:
            deep = f.min(f.sub("%depth", k), SIDE)
            lines, elements = ("%rows", deep) if panel.k_fast else (deep, "%rows")
            here = f.at(src, f.mul(k, k_stride))
            whole = f.both(f.compare("eq", lines, SIDE), f.compare("eq", elements, SIDE))
            as_it_lies = f.both(close, whole)
            with f.unless(as_it_lies):
                f.call(f"stage_{storage}", "void", f"ptr {here}", f"i64 {line}", f"i64 {element}",
                       f"i64 {lines}", f"i64 {elements}", f"ptr {room}")  # fmt: skip
            source = f.select(as_it_lies, here, room, "ptr")
            pitch = f.select(as_it_lies, line, SIDE * size)
            to = f.at("%panel", f.mul(f.div(k, SIDE), panel.nbytes(SIDE)))
            f.call(name + "_split", "void", f"ptr {source}", f"i64 {pitch}", f"ptr {to}")


def _split(program: Program, name: str, scheme: Scheme, storage: str, panel: Panel) -> None:
    """A block of lines that lie `pitch` bytes apart, as the terms of a step."""
    size = SIZE[storage]
    with program.function(name, "ptr %from, i64 %pitch, ptr %to", attributes="noinline") as f:

        def read(line: Value, at: int) -> str:
            here = f.at(f.at("%from", f.mul(line, "%pitch")), at * size)
            raw = lanes.load(f, here, storage, WIDTH)
            f.prefetch(here, AHEAD)
            return lanes.operand(f, raw, storage, scheme.compute, "f32", WIDTH)

        def write(low: list[str], high: list[str], order: list[int], place: str) -> None:
            for i, (a, b) in enumerate(zip(low, high)):
                both = lanes.shuffle(f, "i16", WIDTH, a, b, order)
                f.store(wide("i16", 2 * WIDTH), both, f.at(place, i * panel.term_bytes), 64)

        if panel.k_fast:
            one_after_other = list(range(2 * WIDTH))
            with f.loop(0, SIDE) as row:
                low, high = (
                    terms.split(f, read(row, at), scheme.terms, WIDTH) for at in (0, WIDTH)
                )
                write(low, high, one_after_other, f.at("%to", f.mul(row, 2 * SIDE)))
            return
        in_pairs = [lane + half * WIDTH for lane in range(WIDTH) for half in (0, 1)]
        with f.loop(0, SIDE // 2) as pair:
            k = f.mul(pair, 2)
            for at in (0, WIDTH):
                low, high = (
                    terms.split(f, read(line, at), scheme.terms, WIDTH) for line in (k, f.add(k, 1))
                )
                place = f.at(f.at("%to", f.mul(pair, 4 * SIDE)), at * 4)
                write(low, high, in_pairs, place)


def _stage(program: Program, storage: str) -> None:
    """Write @stage_: a block of so many lines and elements as a dense square, the rest zeros."""
    name, size, kind = f"stage_{storage}", SIZE[storage], MEMORY[storage]
    if name in program.names:
        return
    with program.function(name, _STAGE, attributes="noinline") as f:
        for at in range(0, SIDE * SIDE * size, 64):
            f.store("<64 x i8>", "zeroinitializer", f.at("%to", at), 64)
        close = f.compare("eq", "%element", size)
        whole = f.both(f.compare("eq", "%lines", SIDE), f.compare("eq", "%elements", SIDE))
        turned = f.both(f.compare("eq", "%line", size), whole)
        with f.when(close), f.loop(0, "%lines") as i:
            for at in (0, WIDTH):
                here = f.at(f.at("%from", f.mul(i, "%line")), at * size)
                raw = lanes.load_some(f, here, storage, WIDTH, f.sub("%elements", at))
                to = f.at(f.at("%to", f.mul(i, SIDE * size)), at * size)
                f.store(wide(kind, WIDTH), raw, to, size)
        with f.unless(close):
            with f.when(turned), f.loop(0, SIDE, WIDTH) as i, f.loop(0, SIDE, WIDTH) as j:
                vectors = []
                for along in range(WIDTH):
                    far = f.mul(f.add(j, along), "%element")
                    here = f.at(f.at("%from", f.mul(i, size)), far)
                    vectors.append(lanes.load(f, here, storage, WIDTH))
                for along, vector in enumerate(lanes.transpose(f, kind, WIDTH, vectors)):
                    to = f.mul(f.add(f.mul(f.add(i, along), SIDE), j), size)
                    f.store(wide(kind, WIDTH), vector, f.at("%to", to), size)
            with f.unless(turned), f.loop(0, "%lines") as i, f.loop(0, "%elements") as j:
                here = f.at(f.at("%from", f.mul(i, "%line")), f.mul(j, "%element"))
                to = f.at("%to", f.mul(f.add(f.mul(i, SIDE), j), size))
                f.store(kind, f.load(kind, here, size), to, size)
