"""Packing floats as bfloat16 terms for tile registers: 32 x 32 elements at a time, from where they lie or from a copy.

A step of a panel holds, term after term, 32 elements along k of 32 rows, or of 32 columns. Elements p and p + 16 of a step
are a pair, in both operands: so pairs are made of two vectors without moving lanes.
Elements that follow each other as they do in the panel, rows along k and columns along n, are read in place; others
are copied to the stack first, in that order.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes, terms
from mezzo.kernels.cpu.contract.lanes import MEMORY, SIZE, wide
from mezzo.kernels.cpu.contract.pack import SIGNATURE
from mezzo.kernels.cpu.contract.scheme import Panel, Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

SIDE, WIDTH = 32, 16  # elements of a block along either way, and of a vector
LINE = 64  # bytes of a cache line: of a term, what a unit makes
RUN = 4  # blocks of a line that are read before the next line, where lines go along k
_STAGE = "ptr %from, i64 %line, i64 %element, i64 %lines, i64 %elements, ptr %to"


def pack(program: Program, name: str, scheme: Scheme, storage: str, panel: Panel, fields) -> None:
    """Write @name for a strided operand; fields(f) gives its pointer and strides in bytes."""
    size = SIZE[storage]
    staging = stage(program, storage)
    _split(program, name + "_split", scheme, storage, panel)

    def split(f: Function, source: str, pitch: str, steps: Value, ahead: Value, k: str) -> None:
        to = f.at("%panel", f.mul(f.div(k, SIDE), panel.nbytes(SIDE)))
        f.call(name + "_split", "void", f"ptr {source}", f"i64 {pitch}", f"i64 {steps}",
               f"i64 {ahead}", f"ptr {to}")  # fmt: skip

    with program.function(name, SIGNATURE) as f:
        base, row_stride, k_stride = fields(f)
        src = f.at(f.at(base, f.mul("%row", row_stride)), f.mul("%k", k_stride))
        line, element = (row_stride, k_stride) if panel.k_fast else (k_stride, row_stride)
        room = f.array(SIDE * SIDE * size)
        close = f.compare("eq", element, size)
        whole_lines = f.compare("eq", "%rows", SIDE)
        run = f.let(f"and i64 %depth, {-SIDE}") if panel.k_fast else 0
        run = f.select(f.both(close, whole_lines), run, 0)
        with f.loop(0, run, SIDE * RUN) as k:
            steps = f.min(f.div(f.sub(run, k), SIDE), RUN)
            # ahead lies the same line, or after its last elements the first ones of the next panel
            more = f.compare("slt", f.add(k, SIDE * RUN), run)
            back = f.sub(f.mul(line, SIDE), f.mul(k, size))
            ahead = f.select(more, SIDE * RUN * size, back)
            split(f, f.at(src, f.mul(k, k_stride)), line, steps, ahead, k)
        with f.loop(run, "%depth", SIDE) as k:
            deep = f.min(f.sub("%depth", k), SIDE)
            lines, elements = ("%rows", deep) if panel.k_fast else (deep, "%rows")
            here = f.at(src, f.mul(k, k_stride))
            whole = f.both(f.compare("eq", lines, SIDE), f.compare("eq", elements, SIDE))
            as_it_lies = f.both(close, whole)
            with f.unless(as_it_lies):
                f.call(staging, "void", f"ptr {here}", f"i64 {line}", f"i64 {element}",
                       f"i64 {lines}", f"i64 {elements}", f"ptr {room}")  # fmt: skip
            source = f.select(as_it_lies, here, room, "ptr")
            pitch = f.select(as_it_lies, line, SIDE * size)
            split(f, source, pitch, 1, f.mul(pitch, SIDE), k)


def _split(program: Program, name: str, scheme: Scheme, storage: str, panel: Panel) -> None:
    """A block of lines that lie `pitch` bytes apart, as the terms of `steps` steps (one, unless lines go along k).

    What lies `ahead` bytes on will be wanted next.
    """
    units = Units(scheme, storage, panel)
    signature = "ptr %from, i64 %pitch, i64 %steps, i64 %ahead, ptr %to"
    with program.function(name, signature, attributes="noinline") as f:
        if panel.k_fast:
            with f.loop(0, SIDE) as row, f.loop(0, "%steps") as step:
                line = f.at(f.at("%from", f.mul(row, "%pitch")), f.mul(step, SIDE * units.size))
                to = f.at(f.at("%to", f.mul(step, panel.nbytes(SIDE))), f.mul(row, LINE))
                units.write(f, line, "%pitch", to, "%ahead")
            return
        with f.loop(0, SIDE, units.of_line) as unit:
            line = f.at("%from", f.mul(f.div(unit, units.of_line), "%pitch"))
            for at in range(units.of_line):
                to = f.at("%to", f.mul(f.add(unit, at), LINE))
                units.write(f, line, "%pitch", to, "%ahead", at)


class Units:
    """A block is packed in SIDE units: of each, two vectors of elements become a line of every term.

    of_line: how many units begin on the same line of the operand: one where lines go along k, else two.
    """

    def __init__(self, scheme: Scheme, storage: str, panel: Panel) -> None:
        self.scheme, self.storage, self.panel = scheme, storage, panel
        self.size, self.of_line = SIZE[storage], 1 if panel.k_fast else SIDE // WIDTH

    def write(
        self, f: Function, line: str, pitch: Value, to: str, ahead: Value, at: int = 0
    ) -> None:
        """Unit `at` of those that begin on a line, to where its lines go; what lies `ahead` bytes on will be wanted next."""
        low = f.at(line, at * WIDTH * self.size)
        high = f.at(low, WIDTH * self.size if self.panel.k_fast else f.mul(pitch, WIDTH))
        pairs = zip(self._cut(f, low, ahead), self._cut(f, high, ahead))
        for number, (a, b) in enumerate(pairs):
            place = f.at(to, number * self.panel.term_bytes)
            f.store(wide("i32", WIDTH), terms.paired(f, a, b, WIDTH), place, LINE)

    def _cut(self, f: Function, here: str, ahead: Value) -> list[str]:
        raw = lanes.load(f, here, self.storage, WIDTH)
        f.prefetch(f.at(here, ahead), 0, level=2)
        value = lanes.operand(f, raw, self.storage, self.scheme.compute, "f32", WIDTH)
        return terms.cut(f, value, self.scheme.terms, WIDTH, self.scheme.is_exact)


def stage(program: Program, storage: str) -> str:
    """The name of the function that copies a block of so many lines and elements to a dense square, the rest zeros.

    It takes a pointer, bytes from line to line and from element to element, how many of each (at most SIDE), and where to.
    """
    name, size, kind = f"stage_{storage}", SIZE[storage], MEMORY[storage]
    if name in program.names:
        return name
    with program.function(name, _STAGE, attributes="noinline") as f:
        for at in range(0, SIDE * SIDE * size, 64):
            f.store("<64 x i8>", "zeroinitializer", f.at("%to", at), 64)
        close = f.compare("eq", "%element", size)
        turned = f.compare("eq", "%line", size)
        whole = f.both(f.compare("eq", "%lines", SIDE), f.compare("eq", "%elements", SIDE))
        with f.when(close), f.loop(0, "%lines") as i:
            for at in (0, WIDTH):
                here = f.at(f.at("%from", f.mul(i, "%line")), at * size)
                raw = lanes.load_some(f, here, storage, WIDTH, f.sub("%elements", at))
                to = f.at(f.at("%to", f.mul(i, SIDE * size)), at * size)
                f.store(wide(kind, WIDTH), raw, to, size)
        with f.unless(close):
            for some in (False, True):
                fits = f.unless(whole) if some else f.when(whole)
                with f.when(turned), fits, f.loop(0, "%elements", WIDTH) as j:
                    for i in range(0, SIDE, WIDTH):
                        _turn(f, storage, i, j, some)
            with f.unless(turned), f.loop(0, "%lines") as i, f.loop(0, "%elements") as j:
                here = f.at(f.at("%from", f.mul(i, "%line")), f.mul(j, "%element"))
                to = f.at("%to", f.mul(f.add(f.mul(i, SIDE), j), size))
                f.store(kind, f.load(kind, here, size), to, size)
    return name


def _turn(f: Function, storage: str, i: int, j: str, some: bool) -> None:
    """Elements j to j + 16 of the lines i to i + 16, which are neighbours in memory; some: not all of them exist."""
    size, kind, vectors = SIZE[storage], MEMORY[storage], []
    for along in range(WIDTH):
        at = f.add(j, along)
        here = f.at(f.at("%from", i * size), f.mul(at, "%element"))
        f.prefetch(f.at(here, f.mul("%element", SIDE)), 0, level=2)
        if some:
            exists = f.compare("slt", at, "%elements")
            count = f.select(exists, f.sub("%lines", i), 0)
            vectors.append(lanes.load_some(f, here, storage, WIDTH, count))
        else:
            vectors.append(lanes.load(f, here, storage, WIDTH))
    for along, vector in enumerate(lanes.transpose(f, kind, WIDTH, vectors)):
        to = f.mul(f.add(j, (i + along) * SIDE), size)
        f.store(wide(kind, WIDTH), vector, f.at("%to", to), size)
