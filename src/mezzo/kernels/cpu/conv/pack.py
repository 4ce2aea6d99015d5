"""Packing through tables: panels as contract/pack.py makes them, from operands that are no plain matrix.

Vectors run along rows or along k, whichever has the longer runs in memory.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract.lanes import shuffle, wide
from mezzo.kernels.cpu.contract.pack import SIGNATURE, Packer
from mezzo.kernels.cpu.contract.slots import get, pointer
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.conv.fetch import Cursor, Group, clamp


def pack(
    program: Program,
    name: str,
    packer: Packer,
    vector: str,
    dims: int,
    fields: tuple[str, str, str],
) -> None:
    """Write @name; fields: the slots of the buffer, of the rows' block and of the k axis' block."""
    with program.function(name, SIGNATURE, attributes="noinline") as f:
        base = pointer(f, fields[0])
        rows, k = (f.let(f"inttoptr i64 {get(f, field)} to ptr") for field in fields[1:])
        (_along_rows if vector == "rows" else _along_k)(f, packer, base, rows, k, dims)


def _lane_count(f: Function, packer: Packer) -> str:
    panel = packer.panel
    return f.mul(f.ceil_div("%depth", panel.k_step), panel.width)


def _along_rows(f: Function, packer: Packer, base: str, rows: str, k: str, dims: int) -> None:
    panel, width = packer.panel, packer.panel.width
    groups = []
    for row in range(0, panel.rows, width):
        group = Group(f, width, packer.storage, dims)
        group.fill(f, rows, f.add("%row", row), clamp(f, f.sub("%rows", row), width))
        groups.append(group)
    cursor = Cursor(f, k, "%k", dims)
    if not panel.k_fast:
        with f.loop(0, _lane_count(f, packer)) as kk:
            for row, vector in enumerate(_lanes(f, packer, groups, cursor, base, rows, kk)):
                here = f.at("%panel", packer.place(f, kk, row * width))
                packer.store(f, vector, here, min(width, panel.rows - row * width))
        return
    kind, line = wide(packer.lane, width), width * panel.lane_bytes
    square = f.array(len(groups) * width * line)
    with f.loop(0, _lane_count(f, packer), width) as kk:
        with f.loop(0, width) as i:
            for row, vector in enumerate(
                _lanes(f, packer, groups, cursor, base, rows, f.add(kk, i))
            ):
                f.store(kind, vector, f.at(square, f.mul(f.add(i, row * width), line)), 16)
        for row in range(len(groups)):
            vectors = [
                f.load(kind, f.at(square, (row * width + i) * line), 16) for i in range(width)
            ]
            packer.put_square(f, vectors, kk, row * width, along_k=False)


def _lanes(
    f: Function, packer: Packer, groups: list[Group], cursor: Cursor, base: str, rows: str, kk: str
) -> list[str]:
    """One vector of lanes for each group of rows, at lane kk; the cursor moves on."""
    panel = packer.panel
    parts = []
    for part in range(panel.group):
        exists = f.compare("slt", f.add(f.mul(kk, panel.group), part), "%depth")
        offset, places = cursor.read(f)
        here = f.at(base, offset)
        values = [
            packer.convert(f, g.load(f, here, g.inside(f, rows, places), exists), panel.width)
            for g in groups
        ]
        parts.append(values)
        cursor.step(f)
    if panel.group == 1:
        return parts[0]
    return [_interleaved(f, packer, low, high) for low, high in zip(*parts)]


def _interleaved(f: Function, packer: Packer, low: str, high: str) -> str:
    """Lanes of pairs from two vectors of bf16 bits."""
    width = packer.panel.width
    order = [lane + half * width for lane in range(width) for half in (0, 1)]
    return packer.paired(f, shuffle(f, "i16", width, low, high, order))


def _along_k(f: Function, packer: Packer, base: str, rows: str, k: str, dims: int) -> None:
    panel, width = packer.panel, packer.panel.width
    many = -(-panel.rows // width) * width
    offsets, places = f.array(8 * many), [f.array(4 * many) for _ in range(dims)]
    cursor = Cursor(f, rows, "%row", dims)
    with f.loop(0, many) as row:
        offset, here = cursor.read(f)
        f.store("i64", offset, f.at(offsets, f.mul(row, 8)), 8)
        for value, array in zip(here, places):
            f.store("i32", value, f.at(array, f.mul(row, 4)), 4)
        cursor.step(f)
    lanes = width * panel.group
    group = Group(f, lanes, packer.storage, dims)
    kind, line = wide(packer.lane, width), width * panel.lane_bytes
    square = f.array(width * line)
    with f.loop(0, _lane_count(f, packer), width) as kk:
        first = f.mul(kk, panel.group)
        group.fill(f, k, f.add("%k", first), clamp(f, f.sub("%depth", first), lanes))
        for top in range(0, panel.rows, width):
            with f.loop(0, width) as i:
                row = f.add(i, top)
                here = f.at(base, f.load("i64", f.at(offsets, f.mul(row, 8)), 8))
                at = [f.load("i32", f.at(array, f.mul(row, 4)), 4) for array in places]
                raw = group.load(f, here, group.inside(f, rows, at), f.compare("slt", row, "%rows"))
                value = packer.paired(f, packer.convert(f, raw, lanes))
                f.store(kind, value, f.at(square, f.mul(i, line)), 16)
            vectors = [f.load(kind, f.at(square, i * line), 16) for i in range(width)]
            packer.put_square(f, vectors, kk, top, along_k=True)
