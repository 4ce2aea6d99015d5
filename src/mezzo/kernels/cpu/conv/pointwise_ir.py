"""The kernel of conv/pointwise.py: arguments, words, biases and panels of the weight are those of conv/direct_ir.py.

A row of this kernel is a tile of 16 places; the last one overlaps the one before.
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu.contract import lanes, micro
from mezzo.kernels.cpu.contract.lanes import SIZE, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.conv.direct_ir import BODY, pack_body, receive_and_share
from mezzo.kernels.cpu.conv.direct_weight import pack_weight
from mezzo.kernels.cpu.conv.direct_words import argument, word

PLACES = 16  # of a tile
AHEAD = 2 * PLACES  # places whose lines are asked for
LINE = 64  # bytes of a cache line, of 32 channels
WIDEST = 4  # tile registers that hold sums, of 16 columns each


@functools.cache
def module(scheme: Scheme, weight: tuple[str, bool]) -> str:
    """The text. weight: how it is read (direct_weight.py)."""
    program = Program()
    pack_weight(program, scheme, *weight)
    pack_body(program, scheme)
    for registers in range(1, WIDEST + 1):
        _tiles(program, scheme, registers)
    _finish(program, scheme)
    _task_body(program, scheme)
    receive_and_share(program, scheme)
    return program.text()


def _task_body(program: Program, scheme: Scheme) -> None:
    """Tiles one after another, all columns of each: those of two panels at a time."""
    with program.function("task_body", BODY) as f:
        micro.open_tiles(f)
        each, rows, places = word(f, "rows_each"), word(f, "rows"), word(f, "width")
        step, outs, panels = word(f, "image_w"), word(f, "outs"), argument(f, "panels")
        image = f.at(argument(f, "image"), word(f, "image_first"))
        out = f.at(argument(f, "out"), word(f, "out_first"))
        room, columns = f.array(PLACES * WIDEST * 64), 2 * scheme.tile_columns
        with f.loop(f.mul("%begin", each), f.min(f.mul("%end", each), rows)) as tile:
            wanted = f.mul(tile, PLACES)
            first = f.min(wanted, f.sub(places, PLACES))
            here = f.at(image, f.mul(first, step))
            with f.loop(0, outs, columns) as column:
                left = f.sub(outs, column)
                found = f"@tiles_{WIDEST}"
                for registers in range(WIDEST - 1, 0, -1):
                    fits = f.compare("sle", left, 16 * registers)
                    found = f.select(fits, f"@tiles_{registers}", found, "ptr")
                panel = f.mul(f.div(column, scheme.tile_columns), word(f, "panel_bytes"))
                f.do(
                    f"call void {found}(ptr %args, ptr {here}, ptr {f.at(panels, panel)}, ptr {room})"
                )
                to = f.at(
                    out, f.add(f.mul(first, word(f, "out_w")), f.mul(column, SIZE[scheme.out]))
                )
                bias = f.at(argument(f, "workspace"), f.mul(column, 4))
                skip = f.sub(wanted, first)
                f.call("finish", "void", "ptr %args", f"ptr {room}", f"ptr {to}", f"i64 {skip}",
                       f"i64 {left}", f"ptr {bias}")  # fmt: skip
        micro.close_tiles(f)


def _tiles(program: Program, scheme: Scheme, registers: int) -> None:
    """Write @tiles_R: 16 places, and the columns of so many tile registers, of which two are of one panel."""
    signature = "ptr %args, ptr %a, ptr %b, ptr %tile"
    line = scheme.tile_columns * 4
    with program.function(f"tiles_{registers}", signature, attributes="noinline") as f:
        step, panel = word(f, "image_w"), word(f, "panel_bytes")
        program.declares.add("declare void @llvm.x86.tilezero(i8 immarg)")
        for j in range(registers):
            f.do(f"call void @llvm.x86.tilezero(i8 {j})")
        ahead = f.at("%a", f.mul(step, AHEAD))
        blocks = word(f, "blocks")  # lines are asked for as they lie, if they lie together
        dense = f.compare("eq", step, f.mul(blocks, LINE))
        apart, on = f.select(dense, LINE, step), f.select(dense, PLACES * LINE, LINE)
        with f.loop(0, blocks) as k:
            at, b = f.mul(k, LINE), f.at("%b", f.mul(k, 16 * line))
            micro.tile(f, "tileloaddt164", 4, f.at("%a", at), step)
            soon = f.at(ahead, f.mul(k, on))
            for i in range(PLACES):
                f.prefetch(f.at(soon, f.mul(apart, i)), 0, level=2)
            for j in range(registers):
                here = f.at(f.at(b, f.mul(panel, j // 2)), j % 2 * 64)
                micro.tile(f, "tileloadd64", 5 + j % 3, here, line)
                micro.dot_tiles(f, j, 4, 5 + j % 3)
        for j in range(registers):
            micro.tile(f, "tilestored64", j, f.at("%tile", j * 64), WIDEST * 64)


def _finish(program: Program, scheme: Scheme) -> None:
    """Write @finish: add the bias, round once, store rows of columns."""
    signature = "ptr %args, ptr %tile, ptr %out, i64 %skip, i64 %columns, ptr %bias"
    with program.function("finish", signature, attributes="noinline") as f:
        step, full = word(f, "out_w"), f.compare("sge", "%columns", 16 * WIDEST)
        with f.when(full):
            _rows(f, scheme, step, LINE // SIZE[scheme.out], False)
        with f.unless(full):
            _rows(f, scheme, step, 16, True)


def _rows(f: Function, scheme: Scheme, step: str, width: int, masked: bool) -> None:
    """Store the rows, vectors of `width` columns; masked: they may not all exist."""
    size, floats = SIZE[scheme.out], wide("float", width)
    with f.loop("%skip", PLACES) as i:
        line, to = f.at("%tile", f.mul(i, WIDEST * 64)), f.at("%out", f.mul(i, step))
        for column in range(0, 16 * WIDEST, width):
            value, bias = (f.load(floats, f.at(p, column * 4), 4) for p in (line, "%bias"))
            value = f.let(f"fadd {floats} {value}, {bias}")
            value = lanes.narrow(f, value, "f32", scheme.out, width)
            here = f.at(to, column * size)
            if masked:
                lanes.store_some(f, value, here, scheme.out, width, f.sub("%columns", column))
            else:
                f.store(wide(lanes.MEMORY[scheme.out], width), value, here, size)
