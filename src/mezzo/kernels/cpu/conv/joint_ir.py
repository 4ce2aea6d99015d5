"""What conv/joint.py does differently from conv/direct_ir.py: panels of the weight, tiles, and the ends of tiles."""

from __future__ import annotations

from typing import NamedTuple

from mezzo.kernels.cpu.contract import lanes, micro
from mezzo.kernels.cpu.contract.lanes import MEMORY, SIZE, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.conv import in_terms
from mezzo.kernels.cpu.conv.direct_weight import LONGEST, put
from mezzo.kernels.cpu.conv.direct_words import word

WIDTH = 16  # floats of a vector
FLOATS = wide("float", WIDTH)


class Joint(NamedTuple):
    """Strides of the windows along rows and columns, and channels of the image."""

    high: int
    wide: int
    channels: int

    @property
    def columns(self) -> int:
        """Channels of all phases."""
        return self.high * self.wide * self.channels


def pack_weight(program: Program, scheme: Scheme, joint: Joint) -> None:
    """Write @pack_weight(args, weight, columns, panel): the one panel of a group; zeros where a phase lacks the tap."""
    line = scheme.tile_columns * 4
    signature = "ptr %args, ptr %weight, i64 %columns, ptr %panel"
    with program.function("pack_weight", signature, attributes="noinline") as f:
        length, floats = word(f, "length"), f.array(LONGEST * line)
        lines = f.div(length, 2)
        part = f.mul(lines, line)
        with f.loop(0, LONGEST * line, 64) as at:
            f.store(FLOATS, "zeroinitializer", f.at(floats, at), 64)
        with f.loop(0, word(f, "runs")) as run:
            entry = f.at(word(f, "element_at", "ptr"), f.mul(run, 24))
            offset, bits, exist = (f.load("i64", f.at(entry, 8 * i), 8) for i in range(3))
            start = f.at("%weight", offset)
            with f.loop(0, length) as k, f.loop(0, joint.columns) as column:
                place = f.load("i64", f.at(word(f, "column_at", "ptr"), f.mul(column, 8)), 8)
                here = f.at(start, f.add(place, f.mul(k, word(f, "w_channel"))))
                bit = f.let(f"lshr i64 {bits}, {column}")
                has = f.let(f"trunc i64 {bit} to i1")
                slot = f.variable("float")
                f.store("float", "0.0", slot)
                with f.when(f.both(has, f.compare("slt", k, exist))):
                    raw = f.load(MEMORY[scheme.b], here, SIZE[scheme.b])
                    f.store(
                        "float", lanes.operand(f, raw, scheme.b, scheme.compute, "f32", 1), slot
                    )
                to = f.at(floats, f.add(f.mul(k, line), f.mul(column, 4)))
                f.store("float", f.load("float", slot), to, 4)
            to = f.at("%panel", f.mul(run, f.mul(part, scheme.terms)))
            put(f, scheme, floats, lines, part, to)


def tiles(program: Program, scheme: Scheme, halves: int, vectors: int) -> None:
    """Write @micro_R_V: as in direct_ir.py; of each stretch's sums the columns that have its taps are added."""
    signature = "ptr %a, ptr %c, i64 %step, ptr %b, ptr %at, i64 %runs, i64 %lanes, ptr %tile, i64 %plane, ptr %args"
    with program.function(f"micro_{16 * halves}_{vectors}", signature, attributes="noinline") as f:
        line = scheme.tile_columns * 4
        corners = [(i, j) for i in range(halves) for j in range(vectors)]
        place = {(i, j): i * 16 * line + j * 64 for i, j in corners}
        term, room = f.mul("%lanes", line), f.array(scheme.tile_bytes)
        with f.loop(0, word(f, "stretches")) as stretch:
            entry = f.at(word(f, "stretch_at", "ptr"), f.mul(stretch, 24))
            first, end, bits = (f.load("i64", f.at(entry, 8 * i), 8) for i in range(3))
            micro.start_tiles(f, "null", place, line)
            with f.loop(first, end) as run:
                at = f.load("i64", f.at("%at", f.mul(run, 8)), 8)
                b = f.at("%b", f.mul(run, f.mul(term, scheme.terms)))
                rows = [f.at(side, at) for side in ("%a", "%c")[:halves]]
                if scheme.terms > 1:
                    in_terms.step(f, scheme, corners, rows, ("%step", "%plane"), b, (line, term))
                else:
                    _step(f, rows, vectors, b, line)
            begins = f.compare("eq", stretch, 0)  # has taps of all columns
            to = f.select(begins, "%tile", room, "ptr")
            for i, j in corners:
                micro.tile(f, "tilestored64", 2 * i + j, f.at(to, place[i, j]), line)
            with f.unless(begins):
                _add_some(f, room, bits, 16 * halves, vectors, line)


def _step(f: Function, rows: list[str], vectors: int, b: str, line: int) -> None:
    """Add the products of one step of k."""
    for j in range(vectors):
        micro.tile(f, "tileloadd64", 6 + j, f.at(b, j * 64), line)
    for i, start in enumerate(rows):
        micro.tile(f, "tileloadd64", 4 + i, start, "%step")
        for j in range(vectors):
            micro.dot_tiles(f, 2 * i + j, 4 + i, 6 + j)


def _add_some(f: Function, room: str, bits: str, rows: int, vectors: int, line: int) -> None:
    """Add to the tile the columns whose bits are set."""
    for j in range(vectors):
        short = f.let(f"trunc i64 {f.let(f'lshr i64 {bits}, {16 * j}')} to i16")
        have = f.let(f"bitcast i16 {short} to <16 x i1>")
        with f.loop(j * 64, rows * line, line) as at:
            old, new = (f.load(FLOATS, f.at(base, at), 64) for base in ("%tile", room))
            total = f.let(f"fadd {FLOATS} {old}, {new}")
            total = f.let(f"select <16 x i1> {have}, {FLOATS} {total}, {FLOATS} {old}")
            f.store(FLOATS, total, f.at("%tile", at), 64)


def finish(program: Program, scheme: Scheme, turned: bool, joint: Joint) -> None:
    """Write @finish: columns of a tile's rows, up to 16 neighbouring places, to the pixels of their phases."""
    signature = "ptr %args, ptr %tile, ptr %out, i64 %rows, i64 %columns, ptr %bias"
    with program.function("finish", signature, attributes="noinline") as f:
        (_finish_turned if turned else _finish_pixels)(f, scheme, joint)


def _finish_pixels(f: Function, scheme: Scheme, joint: Joint) -> None:
    """Channels of the pixels that a place stands for are neighbours."""
    size, many = SIZE[scheme.out], joint.wide * joint.channels
    down, step = f.div(word(f, "out_h"), joint.high), word(f, "out_w")
    with f.loop(0, "%rows") as i:
        line = f.at("%tile", f.mul(i, scheme.tile_columns * 4))
        to = f.at("%out", f.mul(i, step))
        for phase in range(joint.high):
            here = f.at(to, f.mul(down, phase))
            for at in range(0, many, WIDTH):
                value = f.load(FLOATS, f.at(line, (phase * many + at) * 4), 4)
                value = lanes.narrow(f, value, "f32", scheme.out, WIDTH)
                lanes.store_some(f, value, f.at(here, at * size), scheme.out, WIDTH, many - at)


def _finish_turned(f: Function, scheme: Scheme, joint: Joint) -> None:
    """Pixels of a row are neighbours: those of two phases alternate."""
    size, line = SIZE[scheme.out], scheme.tile_columns * 4
    down, apart = f.div(word(f, "out_h"), joint.high), word(f, "out_c")
    count = f.mul("%rows", joint.wide)
    columns = []
    for v in range(-(-joint.columns // WIDTH)):
        rows = [f.load(FLOATS, f.at("%tile", i * line + v * 64), 16) for i in range(WIDTH)]
        columns += lanes.transpose(f, "float", WIDTH, rows)
    for at in range(0, joint.columns, joint.wide):
        phase, channel = divmod(at // joint.wide, joint.channels)
        to = f.at("%out", f.add(f.mul(down, phase), f.mul(apart, channel)))
        values = columns[at : at + joint.wide]
        if joint.wide == 2:
            values = [
                lanes.shuffle(
                    f, "float", WIDTH, *values, [lane // 2 + lane % 2 * WIDTH for lane in half]
                )
                for half in (range(WIDTH), range(WIDTH, 2 * WIDTH))
            ]
        for i, value in enumerate(values):
            value = lanes.narrow(f, value, "f32", scheme.out, WIDTH)
            here = f.at(to, i * WIDTH * size)
            lanes.store_some(f, value, here, scheme.out, WIDTH, f.sub(count, i * WIDTH))
