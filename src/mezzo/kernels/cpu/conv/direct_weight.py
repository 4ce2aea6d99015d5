"""Panels of the weight for conv/direct.py: blocks of channels, taps, and a block's channels, as its tiles read the copy.

Squares of columns and channels are read along whichever lies closer, element by element if those are apart, as floats; what
a step of the tiles takes is made of those. Nothing outside the weight is read.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.lanes import MEMORY, SIZE, constant, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value
from mezzo.kernels.cpu.conv.direct_words import word
from mezzo.kernels.cpu.conv.in_terms import pairs

LONGEST = 32  # elements of a block


def pack_weight(program: Program, scheme: Scheme, along: str, touch: bool) -> None:
    """Write @pack_weight(args, weight, columns, panel): a panel of so many columns, of which `weight` is the first element.

    along: "k" or "columns", the axis along which vectors are read; touch: whether neighbours on it are neighbours in memory.
    """
    width, line = scheme.width, scheme.tile_columns * 4
    signature = "ptr %args, ptr %weight, i64 %columns, ptr %panel"
    with program.function("pack_weight", signature, attributes="noinline") as f:
        blocks, taps, length = (word(f, name) for name in ("blocks", "taps", "length"))
        lines = f.div(length, scheme.panel_a.group)
        part = f.mul(word(f, "run_lanes"), line)
        merged = f.div(word(f, "run_lanes"), lines)
        floats = f.array(LONGEST * line)
        with f.loop(0, blocks) as b, f.loop(0, taps) as tap:
            first = f.mul(b, length)
            at = f.load("i64", f.at(word(f, "tap_at", "ptr"), f.mul(tap, 8)), 8)
            here = f.at("%weight", f.add(at, f.mul(first, word(f, "w_channel"))))
            left = f.sub(word(f, "channels"), first)
            with f.loop(0, length, width) as k, f.loop(0, scheme.tile_columns, width) as column:
                square = _square(f, scheme, along, touch, here, (k, f.sub(left, k)), column)
                to = f.at(f.at(floats, f.mul(k, line)), f.mul(column, 4))
                for i, vector in enumerate(square):
                    f.store(wide("float", width), vector, f.at(to, i * line), 4)
            number = f.add(f.mul(b, taps), tap)
            to = f.at("%panel", f.mul(f.div(number, merged), f.mul(part, scheme.terms)))
            to = f.at(to, f.mul(f.mul(f.rem(number, merged), lines), line))
            put(f, scheme, floats, lines, part, to)


def _square(
    f: Function, scheme: Scheme, along: str, touch: bool, here: str, k: tuple[str, str], column: str
) -> list[str]:
    """A vector of columns for each of as many elements along k as a vector has lanes; k: the first, and how many exist."""
    width = scheme.width
    sides = [
        (word(f, "w_channel"), k[0], k[1]),
        (word(f, "w_column"), column, f.sub("%columns", column)),
    ]
    inner, outer = sides if along == "k" else sides[::-1]
    start = f.at(here, f.add(f.mul(inner[0], inner[1]), f.mul(outer[0], outer[1])))
    vectors = []
    for i in range(width):
        count = f.select(f.compare("sgt", outer[2], i), inner[2], 0)
        pointer = f.at(start, f.mul(outer[0], i))
        if touch:
            raw = lanes.load_some(f, pointer, scheme.b, width, count)
        else:
            raw = apart(f, pointer, inner[0], scheme.b, width, count)
        vectors.append(lanes.operand(f, raw, scheme.b, scheme.compute, "f32", width))
    return lanes.transpose(f, "float", width, vectors) if along == "k" else vectors


def apart(f: Function, pointer: str, step: Value, storage: str, width: int, count: Value) -> str:
    """Elements `step` bytes apart, of which the first `count` exist and the others are 0."""
    offsets = wide("i64", width)
    order = ", ".join(f"i64 {lane}" for lane in range(width))
    steps = f.let(f"mul {offsets} {lanes.splat(f, 'i64', step, width)}, <{order}>")
    return elements_at(f, pointer, steps, storage, width, lanes.mask(f, count, width))


def elements_at(f: Function, pointer: str, steps: str, storage: str, width: int, there: str) -> str:
    """Elements at a vector of distances in bytes, those of the mask; zeros elsewhere."""
    size = SIZE[storage]
    bits, offsets = wide(f"i{8 * size}", width), wide("i64", width)
    if size != 2:
        raw = _gathered(f, f.let(f"getelementptr i8, ptr {pointer}, {offsets} {steps}"), size, width, there)  # fmt: skip
        return f.let(f"bitcast {bits} {raw} to {wide(MEMORY[storage], width)}")
    # Four bytes are the least that processors gather: those in which the element lies never cross a page.
    base = f.let(f"ptrtoint ptr {pointer} to i64")
    places = f.let(f"add {offsets} {lanes.splat(f, 'i64', base, width)}, {steps}")
    whole = f.let(f"and {offsets} {places}, {constant('i64', -4, width)}")
    raw = _gathered(f, f.let(f"inttoptr {offsets} {whole} to <{width} x ptr>"), 4, width, there)
    upper = f.let(f"and {offsets} {places}, {constant('i64', 2, width)}")
    words = wide("i32", width)
    shift = f.let(f"shl {words} {f.let(f'trunc {offsets} {upper} to {words}')}, {constant('i32', 3, width)}")  # fmt: skip
    low = f.let(f"trunc {words} {f.let(f'lshr {words} {raw}, {shift}')} to {bits}")
    return f.let(f"bitcast {bits} {low} to {wide(MEMORY[storage], width)}")


def _gathered(f: Function, pointers: str, size: int, width: int, there: str) -> str:
    """Integers of the lanes in the mask; zeros elsewhere."""
    kind = f"i{8 * size}"
    vector, name = wide(kind, width), f"llvm.masked.gather.v{width}{kind}.v{width}p0"
    f.program.declares.add(f"declare {vector} @{name}(<{width} x ptr>, <{width} x i1>, {vector})")
    return f.let(
        f"call {vector} @{name}(<{width} x ptr> align {size} {pointers}, <{width} x i1> {there}, "
        f"{vector} zeroinitializer)"
    )


def put(f: Function, scheme: Scheme, floats: str, lines: Value, part: str, to: str) -> None:
    """Store lines of a panel: floats, or pairs of them, each term `part` bytes behind the last."""
    width, line = scheme.width, scheme.tile_columns * 4
    kind = wide("float", width)
    with f.loop(0, lines) as i, f.loop(0, line, width * 4) as column:
        here = f.at(f.at(to, f.mul(i, line)), column)

        def read(at: Value, column=column) -> str:
            return f.load(kind, f.at(f.at(floats, f.mul(at, line)), column), 4)

        if scheme.panel_a.group == 1:
            f.store(kind, read(i), here, 4)
            return
        # in terms, elements half a block apart are a pair: see direct_terms.py
        both = (i, f.add(i, lines)) if scheme.terms > 1 else (f.mul(i, 2), f.add(f.mul(i, 2), 1))
        found = pairs(f, read(both[0]), read(both[1]), scheme.terms, width)
        for which, value in enumerate(found):
            f.store(wide("i32", width), value, f.at(here, f.mul(part, which)), 4)
