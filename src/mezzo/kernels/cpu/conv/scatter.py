"""The end of a tile whose output lies where tables say: add the bias, round once, store."""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.finish import SIGNATURE
from mezzo.kernels.cpu.contract.lanes import FLOAT, MEMORY, SIZE, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.slots import get, pointer
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.conv.fetch import Cursor, Group, clamp


def finish(program: Program, scheme: Scheme) -> None:
    """Write @finish: columns are the vector axis. The bias is one value per row (bias_m) or per column."""
    width, kind = scheme.width, wide(FLOAT[scheme.acc], scheme.width)
    with program.function("finish", SIGNATURE, attributes="noinline") as f:
        down, along = (
            f.let(f"inttoptr i64 {get(f, field)} to ptr") for field in ("out_m", "out_n")
        )
        groups = []
        for column in range(0, scheme.tile_columns, width):
            group = Group(f, width, scheme.out, 0)
            group.fill(
                f, along, f.add("%column", column), clamp(f, f.sub("%columns", column), width)
            )
            groups.append(group)
        cursor = Cursor(f, down, "%row", 0)
        out = pointer(f, "out0")
        with f.loop(0, "%rows") as i:
            line = f.at("%tile", f.mul(i, scheme.tile_columns * SIZE[scheme.acc]))
            offset, _ = cursor.read(f)
            here = f.at(out, offset)
            for v, group in enumerate(groups):
                value = f.load(kind, f.at(line, v * width * SIZE[scheme.acc]), 16)
                if scheme.bias:
                    term = _bias(f, scheme, f.add("%row", i), v)
                    value = f.let(f"fadd {kind} {value}, {term}")
                group.store(f, here, lanes.narrow(f, value, scheme.acc, scheme.out, width))
            cursor.step(f)


def _bias(f: Function, scheme: Scheme, row: str, v: int) -> str:
    """The bias of a vector of columns: one value for all, or a value each."""
    bias, width = scheme.bias or "", scheme.width
    vector = wide(MEMORY[bias], width)
    slot = f.variable(vector)
    base, along = pointer(f, "bias0"), get(f, "bias_n")
    one = f.compare("eq", along, 0)
    with f.when(one):
        value = f.load(MEMORY[bias], f.at(base, f.mul(row, get(f, "bias_m"))), SIZE[bias])
        f.store(vector, lanes.splat(f, MEMORY[bias], value, width), slot)
    with f.unless(one):
        first = f.add("%column", v * width)
        count = f.sub("%columns", v * width)
        here = f.at(base, f.mul(first, SIZE[bias]))
        f.store(vector, lanes.load_some(f, here, bias, width, count), slot)
    return lanes.widen(f, f.load(vector, slot), bias, scheme.acc, width)
