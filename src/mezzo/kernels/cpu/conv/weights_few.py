"""The copy of conv/weights.py for images of few channels: rows of pixels, channel by channel.

All rows of taps of a column, and their channels, then lie one distance apart, so that together they fill a tile's rows.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract.pack import Packer
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.conv.direct_weight import apart
from mezzo.kernels.cpu.conv.weights_lying import WIDTH, cut, find_span, row, store, zeros
from mezzo.kernels.cpu.conv.weights_words import (
    VIEW,
    argument,
    find_copy,
    find_origin,
    find_share,
    find_view,
    word,
)


def views(program: Program, packer: Packer, scheme: Scheme, lying: int) -> None:
    """Write @copy_view: the image's rows that windows read, for each channel the places of the view; zeros where the image ends.

    lying: as in weights_ir.py.
    """
    with program.function("copy_view", VIEW, attributes="noinline") as f:
        channels, line, across = word(f, "channels"), word(f, "plane"), word(f, "wide")
        high, stride = argument(f, "high", "i64"), word(f, "stride_h")
        count = f.add(f.mul(f.sub(high, 1), stride), word(f, "span_h"))
        first = f.add(word(f, "first_w"), find_view(f)[1])  # pixel of the first place of a row
        begin, end = find_span(f, first, lying or word(f, "stride_w"))
        base = f.at(find_origin(f, packer, "%n"), f.mul(first, word(f, "image_w")))
        top = f.add(f.mul(argument(f, "row", "i64"), stride), word(f, "first_h"))
        to = find_copy(f, scheme)
        with f.loop(0, word(f, "groups")) as group, f.loop(*find_share(f, count)) as i:
            y = f.add(top, i)
            inside = f.both(f.compare("sge", y, 0), f.compare("slt", y, word(f, "height")))
            stop = f.select(inside, end, begin)
            near = f.add(f.mul(group, word(f, "image_group")), f.mul(y, word(f, "image_h")))
            there = f.at(to, f.mul(group, word(f, "group_bytes")))
            with f.loop(0, channels) as c:
                source = f.at(base, f.add(near, f.mul(c, word(f, "image_c"))))
                here = f.at(there, f.mul(f.add(f.mul(i, channels), c), line))
                zeros(f, scheme, here, 0, begin)
                if lying:
                    row(f, packer, scheme, lying, source, here, (begin, stop))
                else:
                    _gathered(f, packer, scheme, source, here, (begin, stop))
                zeros(f, scheme, here, stop, across)


def _gathered(
    f: Function, packer: Packer, scheme: Scheme, source: str, line: str, span: tuple
) -> None:
    """Copy the places of a span of a row whose pixels lie apart; source: the pixel of place 0."""
    step = f.mul(word(f, "stride_w"), word(f, "image_w"))
    with f.loop(*span, WIDTH) as x:
        left = f.sub(span[1], x)
        raw = apart(f, f.at(source, f.mul(x, step)), step, packer.storage, WIDTH, left)
        store(f, cut(f, packer, scheme, raw), f.at(line, f.mul(x, 2)), left)
