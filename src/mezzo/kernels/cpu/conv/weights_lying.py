"""The copies of conv/weights.py for images whose neighbours in memory are pixels of a row: they lie as tile registers want them.

A channel's places are copied as they are; of the result's gradient squares of places and columns are turned.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes, terms
from mezzo.kernels.cpu.contract.lanes import SIZE, wide
from mezzo.kernels.cpu.contract.pack import Packer
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value
from mezzo.kernels.cpu.conv.weights_words import (
    PANEL,
    VIEW,
    argument,
    as_value,
    count_steps,
    find_copy,
    find_origin,
    find_panel,
    find_share,
    find_view,
    word,
)

WIDTH = 32  # places of a vector
STRIDES = 2  # at most, along a row


def cut(f: Function, packer: Packer, scheme: Scheme, raw: str) -> list[str]:
    """The bits of a vector's terms."""
    found = as_value(f, packer, scheme, raw, WIDTH)
    return [found] if scheme.terms == 1 else terms.split(f, found, scheme.terms, WIDTH)


def views(program: Program, packer: Packer, scheme: Scheme, stride: int) -> None:
    """Write @copy_view: the rows of a view, channel by channel, zeros where the image ends."""
    with program.function("copy_view", VIEW, attributes="noinline") as f:
        across, plane = word(f, "wide"), word(f, "plane")
        phase, side = find_view(f)
        high = f.add(argument(f, "high", "i64"), f.sub(word(f, "span_h"), word(f, "rows_each")))
        first = f.add(word(f, "first_w"), side)  # pixel of the first place of a row
        begin, end = find_span(f, first, stride)
        base = f.at(find_origin(f, packer, "%n"), f.mul(first, SIZE[packer.storage]))
        to = find_copy(f, scheme)
        top = f.add(f.mul(argument(f, "row", "i64"), word(f, "stride_h")), f.add(phase, word(f, "first_h")))  # fmt: skip
        with f.loop(0, word(f, "groups")) as group, f.loop(0, word(f, "channels")) as c:
            near = f.add(f.mul(group, word(f, "image_group")), f.mul(c, word(f, "image_c")))
            source = f.at(base, near)
            there = f.at(to, f.add(f.mul(group, word(f, "group_bytes")), f.mul(c, plane)))
            with f.loop(*find_share(f, high)) as t:
                y = f.add(top, f.mul(t, word(f, "stride_h")))
                inside = f.both(f.compare("sge", y, 0), f.compare("slt", y, word(f, "height")))
                stop = f.select(inside, end, begin)
                line = f.at(there, f.mul(f.mul(t, across), 2))
                zeros(f, scheme, line, 0, begin)
                row(f, packer, scheme, stride, f.at(source, f.mul(y, word(f, "image_h"))), line, (begin, stop))  # fmt: skip
                zeros(f, scheme, line, stop, across)


def find_span(f: Function, first: str, stride: Value) -> tuple[str, str]:
    """The places of a row that have a pixel; first: the pixel of the first place."""
    across = word(f, "wide")
    begin = f.min(f.ceil_div(f.max(f.sub(0, first), 0), stride), across)
    end = f.min(f.ceil_div(f.max(f.sub(word(f, "width"), first), 0), stride), across)
    return begin, f.max(end, begin)


def zeros(f: Function, scheme: Scheme, line: str, begin: Value, end: Value) -> None:
    """Zeros for the places of a span of a row."""
    with f.loop(begin, end, WIDTH) as x:
        store(f, ["zeroinitializer"] * scheme.terms, f.at(line, f.mul(x, 2)), f.sub(end, x))


def store(f: Function, values: list[str], to: str, count: Value) -> None:
    """Store the first places of each term."""
    for which, bits in enumerate(values):
        here = f.at(to, f.mul(word(f, "term"), which))
        lanes.store_some(f, bits, here, "i16", WIDTH, count)


def row(
    f: Function, packer: Packer, scheme: Scheme, stride: int, source: str, line: str, span: tuple
) -> None:
    """Copy the places of a span of a row; source: the pixel of place 0."""
    storage, size = packer.storage, SIZE[packer.storage]
    with f.loop(*span, WIDTH) as x:
        left = f.sub(span[1], x)
        here = f.at(source, f.mul(x, stride * size))
        if stride == 1:
            raw = lanes.load_some(f, here, storage, WIDTH, left)
        else:
            pixels = f.sub(f.mul(left, 2), 1)
            raw = lanes.load_some(f, here, storage, WIDTH, pixels)
            after = f.at(here, WIDTH * size)
            after = lanes.load_some(f, after, storage, WIDTH, f.sub(pixels, WIDTH))
            kind = lanes.MEMORY[storage]
            raw = lanes.shuffle(f, kind, WIDTH, raw, after, list(range(0, 2 * WIDTH, 2)))
        store(f, cut(f, packer, scheme, raw), f.at(line, f.mul(x, 2)), left)


def panels(program: Program, packer: Packer, scheme: Scheme) -> None:
    """Write @copy_panel: columns of the gradient, two neighbouring places a lane."""
    storage, width, line = packer.storage, packer.panel.width, scheme.tile_columns * 4
    words = wide("i32", width)
    with program.function("copy_panel", PANEL, attributes="noinline") as f:
        apart = word(f, "out_c")
        source, to, columns = find_panel(f, scheme, apart)
        source = f.at(source, f.mul(argument(f, "row", "i64"), word(f, "out_h")))
        deep, each = word(f, "lanes"), count_steps(f)
        term, places = f.mul(deep, line), f.mul(deep, 2)
        with f.loop(*find_share(f, f.mul(argument(f, "many", "i64"), each))) as number:
            n, s = f.div(number, each), f.rem(number, each)
            at = f.add(f.mul(n, word(f, "out_n")), f.mul(f.mul(s, places), SIZE[storage]))
            here = f.at(source, at)
            there = f.at(to, f.mul(number, f.mul(term, scheme.terms)))
            for v in range(scheme.tile_vectors):
                left, found = f.sub(columns, v * width), []
                for i in range(width):
                    count = f.select(f.compare("sgt", left, i), places, 0)
                    pointer = f.at(here, f.mul(apart, v * width + i))
                    raw = lanes.load_some(f, pointer, storage, WIDTH, count)
                    found.append(cut(f, packer, scheme, raw))
                for which, bits in enumerate(zip(*found)):
                    pairs = [f.let(f"bitcast {wide('i16', WIDTH)} {b} to {words}") for b in bits]
                    onto = f.at(f.at(there, v * width * 4), f.mul(term, which))
                    for i, vector in enumerate(packer.transpose(f, pairs)):
                        with f.when(f.compare("slt", i, deep)):
                            f.store(words, vector, f.at(onto, i * line), 16)
