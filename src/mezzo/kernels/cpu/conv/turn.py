"""Squares of elements whose rows and columns change places, on their way into a copy and out of a tile."""

from __future__ import annotations

from collections.abc import Callable

from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.lanes import SIZE, wide
from mezzo.kernels.cpu.contract.pack import Packer
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Value


def turned(f: Function, packer: Packer, read: Callable) -> list[str]:
    """Vectors of lanes along what `read` counts: a vector for each element that is a neighbour in memory.

    read(i): the pointer to row i, and how many of its elements exist (None: a vector of lanes). Rows are as many as a
    vector has elements: two make a lane where lanes are pairs.
    """
    width = packer.panel.width

    def row(i: int) -> str:
        pointer, count = read(i)
        return packer.convert(f, packer.some(f, pointer, width, count), width)

    if packer.panel.group == 1:
        return packer.transpose(f, [row(i) for i in range(width)])
    order = [lane + half * width for lane in range(width) for half in (0, 1)]
    pairs = [
        lanes.shuffle(f, "i16", width, row(2 * i), row(2 * i + 1), order) for i in range(width)
    ]
    return packer.transpose(f, [packer.paired(f, pair) for pair in pairs])


def turn_out(
    f: Function, scheme: Scheme, tile: str, out: str, rows: str, columns: str, step: Value, biases: list[str] | None = None,
    past_caches: bool = False,
) -> None:  # fmt: skip
    """Store a tile whose rows are neighbours in the result, and whose columns lie `step` bytes apart, rounded once.

    past_caches: rows are whole lines of 16, and begin on one.
    """
    width, line = scheme.width, scheme.tile_columns * 4
    packer = Packer(f.program, scheme.panel_b, scheme.b, scheme.compute, scheme.acc)
    kind, floats = wide(packer.lane, width), wide("float", width)
    for v in range(scheme.tile_vectors):
        some = f.compare("sgt", columns, v * width)
        for row in range(0, scheme.tile_rows, width):
            have = f.both(some, f.compare("sgt", rows, row))
            with f.when(have):
                vectors = []
                for i in range(row, row + width):
                    if i >= scheme.tile_rows:
                        vectors.append("zeroinitializer")
                        continue
                    value = f.load(floats, f.at(tile, i * line + v * width * 4), 16)
                    if biases:
                        value = f.let(f"fadd {floats} {value}, {biases[v]}")
                    vectors.append(f.let(f"bitcast {floats} {value} to {kind}"))
                for i, vector in enumerate(packer.transpose(f, vectors)):
                    at = v * width + i
                    with f.when(f.compare("slt", at, columns)):
                        value = f.let(f"bitcast {kind} {vector} to {floats}")
                        value = lanes.narrow(f, value, "f32", scheme.out, width)
                        to = f.at(f.at(out, f.mul(step, at)), row * SIZE[scheme.out])
                        if past_caches:
                            kind_out = wide(lanes.MEMORY[scheme.out], width)
                            f.store(kind_out, value, to, width * SIZE[scheme.out], past_caches=True)
                        else:
                            lanes.store_some(f, value, to, scheme.out, width, f.sub(rows, row))
