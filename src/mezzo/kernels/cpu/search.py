"""Where values would be put into sorted lines: LANES values at a time halve what is left of the line.

All lanes take the same steps, as a line has one length: a step reads the middle of each lane's part and moves to the
upper one if that element lies before the value. What is no number lies behind everything.

    args  = [block, out, edges, values]     out: i64; all dense, a line of edges for each line of values or one for all
    block = WORDS: chunk: values of a unit; parts: units of a line; edge_step: bytes from line to line of edges
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.lanes import constant, load_some, splat, store_some, wide
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.conv.direct_weight import elements_at
from mezzo.kernels.cpu.emit import LANES, LLVM, Emitter
from mezzo.kernels.ir import COMPUTE, FLOATS, SIZE

WORDS = ("units", "serial", "length", "steps", "values", "chunk", "parts", "edge_step")


def steps(length: int) -> int:
    """How often a line of that length is halved until one element is left."""
    return (length - 1).bit_length()


@functools.cache
def address(storage: str, right: bool) -> int:
    """The native entry; right: behind equal elements."""
    program = Program()
    with program.function("body", "ptr %args, i64 %begin, i64 %end, i64 %worker") as f:
        _units(f, storage, right)
    with program.function("kernel", "ptr %args", linkage="") as f:
        block = f.load("ptr", "%args", 8)
        f.share("body", "%args", f.load("i64", block, 8), f.load("i64", f.at(block, 8), 8))
    return jit.load(program.text()).address("kernel")


def _units(f: Function, storage: str, right: bool) -> None:
    block = f.load("ptr", "%args", 8)
    word = {name: f.load("i64", f.at(block, 8 * i), 8) for i, name in enumerate(WORDS)}
    out, edges, values = (f.load("ptr", f.at("%args", 8 * i), 8) for i in (1, 2, 3))
    item, longs = SIZE[storage], wide("i64", LANES)
    with f.loop("%begin", "%end") as unit:
        line, part = f.div(unit, word["parts"]), f.rem(unit, word["parts"])
        own = f.at(edges, f.mul(line, word["edge_step"]))
        first = f.mul(part, word["chunk"])
        count = f.min(word["chunk"], f.sub(word["values"], first))
        place = f.add(f.mul(line, word["values"]), first)
        with f.loop(0, count, LANES) as i:
            here, rest = f.add(place, i), f.sub(count, i)
            e = Emitter(f.lines, f.program.declares, LANES, f.name("e") + "_", lambda node: "")
            raw = load_some(f, f.at(values, f.mul(here, item)), storage, LANES, rest)
            value = e.decode(raw, storage)
            before = f.variable(longs, "zeroinitializer")
            left = f.variable("i64", word["length"])
            with f.loop(0, word["steps"]):
                size = f.load("i64", left)
                half = f.let(f"lshr i64 {size}, 1")
                f.store("i64", f.sub(size, half), left)
                _move(f, own, before, half, value, storage, right)
            _move(f, own, before, "1", value, storage, right)
            found = f.load(longs, before)
            store_some(f, found, f.at(out, f.mul(here, 8)), "i64", LANES, rest)


def _move(
    f: Function, edges: str, before: str, by: str, value: str, storage: str, right: bool
) -> None:
    """Each lane goes on by so many elements if the last of them lies before its value."""
    longs, bits = wide("i64", LANES), wide("i1", LANES)
    at = f.load(longs, before)
    far = splat(f, "i64", by, LANES)
    shift = constant("i64", SIZE[storage].bit_length() - 1, LANES)
    last = f.let(f"add {longs} {at}, {splat(f, 'i64', f.sub(by, 1), LANES)}")
    e = Emitter(f.lines, f.program.declares, LANES, f.name("e") + "_", lambda node: "")
    raw = elements_at(f, edges, f.let(f"shl {longs} {last}, {shift}"), storage, LANES, constant("i1", "true", LANES))  # fmt: skip
    kind = COMPUTE[storage]
    if kind in FLOATS:
        how = "fcmp ule" if right else "fcmp ult"
    else:
        how = f"icmp {'u' if kind == 'u8' else 's'}{'le' if right else 'lt'}"
    lies = f.let(f"{how} {wide(LLVM[kind], LANES)} {e.decode(raw, storage)}, {value}")
    moved = f.let(f"add {longs} {at}, {far}")
    f.store(longs, f.let(f"select {bits} {lies}, {longs} {moved}, {longs} {at}"), before)
