"""The kernel of conv/weights.py.

args = [block, gradient, image, out, workspace]; block = WORDS

weights   for each part of the images: copies, then tiles; at the end what the sums came to. Where parts are many and sums few, a
          thread has parts, a copy and sums of its own (chains, as many for any number of threads); else threads share both
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from mezzo.kernels.cpu.contract import lanes, micro
from mezzo.kernels.cpu.contract.lanes import MEMORY, SIZE, wide
from mezzo.kernels.cpu.contract.pack import Packer
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value
from mezzo.kernels.cpu.conv import in_terms, weights_few, weights_lying
from mezzo.kernels.cpu.conv.weights_words import (
    ARGS,
    GIVEN,
    NAMES,
    PANEL,
    VIEW,
    argument,
    as_value,
    count_lines,
    count_steps,
    find_copy,
    find_origin,
    find_panel,
    find_share,
    find_view,
    word,
)

BODY = "ptr %args, i64 %begin, i64 %end, i64 %worker"
ENTRY = 32  # bytes of a tile's entry: where its rows read the copy, how many, their first offset, whether those touch


@functools.cache
def module(scheme: Scheme, exact: bool, contiguous: bool, lying: int, few: bool) -> str:
    """The text. exact: channels and columns fill vectors; contiguous: channels of a tap are neighbours in the result.

    lying: 0 where neighbours in memory are channels; where they are pixels of a row, how many of them a place moves on.
    few: rows of the copy lie channel by channel (weights_few.py).
    """
    program = Program()
    program.declares.add("declare void @mezzo_parallel(ptr, ptr, i64)")
    image = Packer(program, scheme.panel_a, scheme.a, scheme.compute, scheme.acc)
    gradient = Packer(program, scheme.panel_b, scheme.b, scheme.compute, scheme.acc)
    if scheme.method == "amx":
        if few:
            weights_few.views(program, image, scheme, lying)
        elif lying:
            weights_lying.views(program, image, scheme, lying)
        else:
            _turned(program, image, scheme, exact)
        if lying:
            weights_lying.panels(program, gradient, scheme)
        else:
            _pairs(program, gradient, scheme, exact)
        for rows in (16, 32):
            for vectors in scheme.vector_steps:
                _tiles(program, scheme, rows, vectors)
    else:
        _rows(program, image)
        _panels(program, gradient, scheme, exact)
        for rows in scheme.row_steps:
            for vectors in scheme.vector_steps:
                _vectors(program, scheme, rows, vectors)
    _copy_body(program, scheme)
    _tile_body(program, scheme)
    _finish_body(program, scheme, contiguous)
    _entry(program)
    return program.text()


def _entry(program: Program) -> None:
    _chain_body(program)
    with program.function("weights", "ptr %given", linkage="") as f:
        f.slots.append(f"  %args = alloca [{8 * len(NAMES)} x i8], align 64")
        for i in range(GIVEN):
            f.store("i64", f.load("i64", f.at("%given", 8 * i), 8), f.at("%args", 8 * i), 8)
        sums = f.at(argument(f, "workspace"), word(f, "at_sums"))
        f.store("ptr", sums, f.at("%args", ARGS["sums"]), 8)
        chains, serial = word(f, "chains"), word(f, "serial")
        several = f.compare("sgt", chains, 1)
        with f.when(several):
            f.share("chain_body", "%args", chains, serial)
        with f.unless(several):
            _zero(f)
            copies, tiles = word(f, "shares"), _count(f)
            with _parts(f, "0", word(f, "parts")):
                f.share("copy_body", "%args", copies, serial)
                f.share("tile_body", "%args", tiles, serial)
        f.share("finish_body", "%args", _count(f), serial)


def _chain_body(program: Program) -> None:
    """Chains of parts, each with sums of its own, made in memory of this thread."""
    with program.function("chain_body", "ptr %given, i64 %begin, i64 %end, i64 %worker") as f:
        f.slots.append(f"  %args = alloca [{8 * len(NAMES)} x i8], align 64")
        for i in range(len(NAMES)):
            f.store("i64", f.load("i64", f.at("%given", 8 * i), 8), f.at("%args", 8 * i), 8)
        sums, parts, chains = argument(f, "sums"), word(f, "parts"), word(f, "chains")
        own = f.at(argument(f, "workspace"), f.mul("%worker", word(f, "own_bytes")))
        f.store("ptr", own, f.at("%args", ARGS["workspace"]), 8)
        _zero(f)
        tiles = _count(f)
        with f.loop("%begin", "%end") as chain:
            here = f.at(sums, f.mul(chain, word(f, "sums_bytes")))
            f.store("ptr", here, f.at("%args", ARGS["sums"]), 8)
            ends = (f.div(f.mul(parts, i), chains) for i in (chain, f.add(chain, 1)))
            with _parts(f, *ends):
                f.call("copy_body", "void", "ptr %args", "i64 0", "i64 1", "i64 0")
                f.call("tile_body", "void", "ptr %args", "i64 0", f"i64 {tiles}", "i64 0")


def _zero(f: Function) -> None:
    """Zeros, read where places have no pixel."""
    zeros = f.at(argument(f, "workspace"), word(f, "at_zeros"))
    for at in (0, 64):
        f.store("<16 x i32>", "zeroinitializer", f.at(zeros, at), 4)


def _count(f: Function) -> str:
    """Tasks of tiles."""
    return f.mul(f.mul(word(f, "groups"), word(f, "panels")), word(f, "blocks"))


@contextmanager
def _parts(f: Function, begin: str, end: str) -> Iterator[None]:
    """For each of these parts of the images, what the arguments say of it."""
    images, rows = word(f, "images"), word(f, "rows")
    each_n, each_h = word(f, "images_each"), word(f, "rows_each")
    down = f.ceil_div(rows, each_h)
    with f.loop(begin, end) as part:
        n, row = f.mul(f.div(part, down), each_n), f.mul(f.rem(part, down), each_h)
        given = (n, f.min(f.sub(images, n), each_n), row, f.min(f.sub(rows, row), each_h))
        for name, value in zip(("n", "many", "row", "high"), given):
            f.store("i64", value, f.at("%args", ARGS[name]), 8)
        begins = f.let(f"zext i1 {f.compare('eq', part, begin)} to i64")
        f.store("i64", begins, f.at("%args", ARGS["first"]), 8)
        yield


# ---- copies


def _copy_body(program: Program, scheme: Scheme) -> None:
    """Shares of all views of images, and of all panels of the gradient: every share takes as long."""
    with program.function("copy_body", BODY) as f:
        many, panels = argument(f, "many", "i64"), f.mul(word(f, "groups"), word(f, "panels"))
        with f.loop("%begin", "%end") as share:
            with f.loop(0, word(f, "views")) as view, f.loop(0, many) as n:
                f.call("copy_view", "void", "ptr %args", *(f"i64 {x}" for x in (view, n, share)))
            with f.loop(0, panels) as panel:
                f.call("copy_panel", "void", "ptr %args", f"i64 {panel}", f"i64 {share}")


def _rows(program: Program, packer: Packer) -> None:
    """Write @copy_view: rows of an image with their padding, channels of a group together."""
    width, size = packer.panel.width, SIZE[packer.storage]
    kind = wide("float", width)
    with program.function("copy_view", VIEW, attributes="noinline") as f:
        channels, line, across = word(f, "channels"), word(f, "line"), word(f, "across")
        high, stride = argument(f, "high", "i64"), word(f, "stride_h")
        count = f.add(f.mul(f.sub(high, 1), stride), word(f, "span_h"))
        top = f.add(f.mul(argument(f, "row", "i64"), stride), word(f, "first_h"))
        first, step, pixel = word(f, "first_w"), word(f, "image_w"), word(f, "pixel")
        begin = f.max(f.min(f.sub(0, first), across), 0)
        end = f.max(f.min(f.sub(word(f, "width"), first), across), begin)
        base, space = find_origin(f, packer, "%n"), argument(f, "workspace")
        with f.loop(0, word(f, "groups")) as group, f.loop(*find_share(f, count)) as i:
            to = f.add(f.mul(group, word(f, "group_bytes")), f.mul("%n", word(f, "whole")))
            here = f.at(space, f.add(to, f.mul(i, line)))
            y = f.add(top, i)
            inside = f.both(f.compare("sge", y, 0), f.compare("slt", y, word(f, "height")))
            stop = f.select(inside, end, begin)
            at = f.add(f.mul(y, word(f, "image_h")), f.mul(group, word(f, "image_group")))
            source = f.at(base, f.add(at, f.mul(first, step)))

            def zeros(x0: Value, x1: Value, here=here) -> None:
                with f.loop(x0, x1) as x, f.loop(0, channels, width) as c:
                    to = f.at(here, f.add(f.mul(x, pixel), f.mul(c, 4)))
                    lanes.store_some(f, "zeroinitializer", to, "f32", width, f.sub(channels, c))

            zeros(0, begin)
            with f.loop(begin, stop) as x:
                to, there = f.at(here, f.mul(x, pixel)), f.at(source, f.mul(x, step))
                whole = f.mul(f.div(channels, width), width)
                with f.loop(0, whole, width) as c:
                    raw = lanes.load(f, f.at(there, f.mul(c, size)), packer.storage, width)
                    f.store(kind, packer.convert(f, raw, width), f.at(to, f.mul(c, 4)), 4)
                with f.loop(whole, channels, width) as c:
                    left = f.sub(channels, c)
                    raw = packer.some(f, f.at(there, f.mul(c, size)), width, left)
                    value = packer.convert(f, raw, width)
                    lanes.store_some(f, value, f.at(to, f.mul(c, 4)), "f32", width, left)
            zeros(stop, across)


def _panels(program: Program, packer: Packer, scheme: Scheme, exact: bool) -> None:
    """Write @copy_panel: columns of the gradient for every place of the part."""
    width, size = packer.panel.width, SIZE[packer.storage]
    with program.function("copy_panel", PANEL, attributes="noinline") as f:
        source, to, columns = find_panel(f, scheme, size)
        high, across, line = argument(f, "high", "i64"), word(f, "columns"), scheme.tile_columns * 4
        lines = find_share(f, f.mul(argument(f, "many", "i64"), high))
        with f.loop(*lines) as number, f.loop(0, across) as u:
            n, t = f.div(number, high), f.rem(number, high)
            at = f.add(
                f.mul(n, word(f, "out_n")),
                f.mul(f.add(argument(f, "row", "i64"), t), word(f, "out_h")),
            )
            here = f.at(source, f.add(at, f.mul(u, word(f, "out_w"))))
            there = f.at(to, f.mul(f.add(f.mul(number, across), u), line))
            for v in range(scheme.tile_vectors):
                left = None if exact else f.sub(columns, v * width)
                raw = packer.some(f, f.at(here, v * width * size), width, left)
                f.store(
                    wide("float", width),
                    packer.convert(f, raw, width),
                    f.at(there, v * width * 4),
                    16,
                )


def _turned(program: Program, packer: Packer, scheme: Scheme, exact: bool) -> None:
    """Write @copy_view: for each channel the elements of all places of the view, side by side; two are a lane."""
    width, size = packer.panel.width, SIZE[packer.storage]
    with program.function("copy_view", VIEW, attributes="noinline") as f:
        places_of_row, plane = word(f, "wide"), word(f, "plane")
        phase, shift = find_view(f)
        high = f.add(argument(f, "high", "i64"), f.sub(word(f, "span_h"), word(f, "rows_each")))
        count = f.mul(high, places_of_row)
        base = find_origin(f, packer, "%n")
        zeros = f.at(argument(f, "workspace"), word(f, "at_zeros"))
        to = find_copy(f, scheme)
        place = f.array(8 * 2 * width)
        with f.loop(*find_share(f, f.ceil_div(count, 2 * width))) as square:
            p = f.mul(square, 2 * width)
            with f.loop(0, 2 * width) as i:
                found = _source(f, f.add(p, i), count, phase, shift)
                f.store("i64", found, f.at(place, f.mul(i, 8)), 8)
            with f.loop(0, word(f, "groups")) as group, f.loop(0, word(f, "channels"), width) as c:
                start = f.at(base, f.add(f.mul(group, word(f, "image_group")), f.mul(c, size)))
                left = None if exact else f.sub(word(f, "channels"), c)

                def read(i: int, start=start, left=left) -> str:
                    at = f.load("i64", f.at(place, 8 * i), 8)
                    there = f.compare("sge", at, 0)
                    pointer = f.select(there, f.at(start, at), zeros, "ptr")
                    return as_value(f, packer, scheme, packer.some(f, pointer, width, left), width)

                pairs = [
                    _paired(f, packer, scheme, read(2 * i), read(2 * i + 1)) for i in range(width)
                ]
                at = f.add(f.mul(c, plane), f.mul(p, 2))
                here = f.at(to, f.add(f.mul(group, word(f, "group_bytes")), at))
                for which, vectors in enumerate(zip(*pairs)):
                    term = f.at(here, f.mul(word(f, "term"), which))
                    for i, vector in enumerate(packer.transpose(f, list(vectors))):
                        f.store(wide("i32", width), vector, f.at(term, f.mul(plane, i)), 4)


def _paired(f: Function, packer: Packer, scheme: Scheme, low: str, high: str) -> list[str]:
    """Two vectors of values as vectors of pairs, one for each term."""
    width = packer.panel.width
    if scheme.terms > 1:
        return in_terms.pairs(f, low, high, scheme.terms, width)
    order = [lane + half * width for lane in range(width) for half in (0, 1)]
    return [packer.paired(f, lanes.shuffle(f, "i16", width, low, high, order))]


def _source(f: Function, p: str, count: str, phase: str, shift: str) -> str:
    """Bytes from an image's first pixel to what the view's place p reads; -1 where that is none."""
    across = word(f, "wide")
    t, u = f.div(p, across), f.rem(p, across)
    y = f.mul(f.add(argument(f, "row", "i64"), t), word(f, "stride_h"))
    y = f.add(f.add(y, phase), word(f, "first_h"))
    x = f.add(f.add(f.mul(u, word(f, "stride_w")), shift), word(f, "first_w"))
    inside = f.compare("slt", p, count)
    for value, limit in ((y, "height"), (x, "width")):
        fits = f.both(f.compare("sge", value, 0), f.compare("slt", value, word(f, limit)))
        inside = f.both(inside, fits)
    at = f.add(f.mul(y, word(f, "image_h")), f.mul(x, word(f, "image_w")))
    return f.select(inside, at, -1)


def _pairs(program: Program, packer: Packer, scheme: Scheme, exact: bool) -> None:
    """Write @copy_panel: columns of the gradient, two neighbouring places a lane."""
    width, size = packer.panel.width, SIZE[packer.storage]
    with program.function("copy_panel", PANEL, attributes="noinline") as f:
        source, to, columns = find_panel(f, scheme, size)
        deep, steps, step = word(f, "lanes"), count_steps(f), word(f, "out_w")
        begin = f.at(source, f.mul(argument(f, "row", "i64"), word(f, "out_h")))
        line = scheme.tile_columns * 4
        term = f.mul(deep, line)
        all_steps = find_share(f, f.mul(argument(f, "many", "i64"), steps))
        with f.loop(*all_steps) as number, f.loop(0, deep) as i:
            n, s = f.div(number, steps), f.rem(number, steps)
            place = f.mul(f.add(f.mul(s, deep), i), 2)
            here = f.at(begin, f.add(f.mul(n, word(f, "out_n")), f.mul(place, step)))
            there = f.at(to, f.add(f.mul(number, f.mul(term, scheme.terms)), f.mul(i, line)))
            for v in range(scheme.tile_vectors):
                left = None if exact else f.sub(columns, v * width)
                halves = []
                for at in (here, f.at(here, step)):
                    raw = packer.some(f, f.at(at, v * width * size), width, left)
                    halves.append(as_value(f, packer, scheme, raw, width))
                for which, value in enumerate(_paired(f, packer, scheme, *halves)):
                    where = f.at(f.at(there, v * width * 4), f.mul(term, which))
                    f.store(wide("i32", width), value, where, 16)


# ---- tiles


def _units(f: Function, unit: str) -> tuple[str, str, str]:
    """Group, panel (of all groups) and block of tiles of a task."""
    panels, blocks = word(f, "panels"), word(f, "blocks")
    panel, rest = f.rem(unit, panels), f.div(unit, panels)
    group = f.div(rest, blocks)
    return group, f.add(f.mul(group, panels), panel), f.rem(rest, blocks)


def _entries(f: Function, block: str):
    """The loop over the tiles of a block."""
    at = f.at(word(f, "block_at", "ptr"), f.mul(block, 8))
    return f.loop(f.load("i64", at, 8), f.load("i64", f.at(at, 8), 8))


def _sums(f: Function, scheme: Scheme, panel: str, entry: str) -> str:
    index = f.add(f.mul(panel, word(f, "entries")), entry)
    return f.at(argument(f, "sums"), f.mul(index, scheme.tile_bytes))


def _tile_body(program: Program, scheme: Scheme) -> None:
    with program.function("tile_body", BODY) as f:
        if scheme.method == "amx":
            tall, deep = (f.let(f"trunc i64 {word(f, name)} to i8") for name in ("tall", "lanes"))
            micro.open_tiles(f, tall, deep)
        space = argument(f, "workspace")
        begins = f.compare("ne", argument(f, "first", "i64"), 0)
        with f.loop("%begin", "%end") as unit:
            group, panel, block = _units(f, unit)
            copy = f.at(space, f.mul(group, word(f, "group_bytes")))
            b = f.at(f.at(space, word(f, "at_panels")), f.mul(panel, word(f, "panel_bytes")))
            column = f.mul(f.rem(panel, word(f, "panels")), scheme.tile_columns)
            columns = f.min(f.sub(word(f, "outs"), column), scheme.tile_columns)
            with _entries(f, block) as index:
                entry = f.at(word(f, "entry_at", "ptr"), f.mul(index, ENTRY))
                a, rows = f.at(copy, f.load("i64", entry, 8)), f.load("i64", f.at(entry, 8), 8)
                tile = _sums(f, scheme, panel, index)
                start = f.select(begins, "null", tile, "ptr")
                kernel = micro.choose(f, scheme, rows, columns)
                f.do(f"call void {kernel}(ptr %args, ptr {a}, ptr {b}, ptr {start}, ptr {tile})")
        if scheme.method == "amx":
            micro.close_tiles(f)


_MICRO = "ptr %args, ptr %a, ptr %b, ptr %start, ptr %tile"


def _vectors(program: Program, scheme: Scheme, rows: int, vectors: int) -> None:
    """Write @micro_R_V: neighbouring channels are rows, one place a step."""
    width, line = scheme.width, scheme.tile_columns * 4
    kind = wide("float", width)
    with program.function(f"micro_{rows}_{vectors}", _MICRO, attributes="noinline") as f:
        cells = [(i, j) for i in range(rows) for j in range(vectors)]
        sums = {cell: f.variable(kind, "zeroinitializer") for cell in cells}
        place = {(i, j): i * line + j * width * 4 for i, j in cells}
        with f.when(f.let("icmp ne ptr %start, null")):
            for cell in cells:
                f.store(kind, f.load(kind, f.at("%start", place[cell]), 16), sums[cell])
        columns, step, whole = word(f, "columns"), word(f, "step"), word(f, "whole")
        down, high = f.mul(word(f, "stride_h"), word(f, "line")), argument(f, "high", "i64")
        each = f.mul(columns, line)
        with f.loop(0, argument(f, "many", "i64")) as n, f.loop(0, high) as t:
            left = f.at("%a", f.add(f.mul(n, whole), f.mul(t, down)))
            right = f.at("%b", f.mul(f.add(f.mul(n, high), t), each))
            with f.loop(0, columns) as u:
                row, column = f.at(left, f.mul(u, step)), f.at(right, f.mul(u, line))
                vector = [f.load(kind, f.at(column, j * width * 4), 16) for j in range(vectors)]
                for i in range(rows):
                    one = lanes.splat(f, "float", f.load("float", f.at(row, i * 4), 4), width)
                    for j in range(vectors):
                        total = f.load(kind, sums[i, j])
                        f.store(
                            kind, micro.multiply(f, scheme, kind, one, vector[j], total), sums[i, j]
                        )
        for cell in cells:
            f.store(kind, f.load(kind, sums[cell]), f.at("%tile", place[cell]), 16)


def _tiles(program: Program, scheme: Scheme, rows: int, vectors: int) -> None:
    """Write @micro_R_V on tile registers: channels are rows, `tall` of a register; a step takes `lanes` pairs of places."""
    line = scheme.tile_columns * 4
    with program.function(f"micro_{rows}_{vectors}", _MICRO, attributes="noinline") as f:
        corners = [(i, j) for i in range(rows // 16) for j in range(vectors)]
        tall = word(f, "tall")
        place = {(i, j): f.add(f.mul(tall, i * line), j * 64) for i, j in corners}
        apart = scheme.terms > 1  # sums of terms begin anew with every part: see in_terms.py
        micro.start_tiles(f, "null" if apart else "%start", place, line)
        plane, step, steps = word(f, "plane"), word(f, "step"), word(f, "steps")
        panel, half = f.mul(word(f, "lanes"), line), f.mul(plane, tall)
        lines, down = count_lines(f), word(f, "down")
        with (
            f.loop(0, argument(f, "many", "i64")) as n,
            f.loop(0, lines) as t,
            f.loop(0, steps) as s,
        ):
            a = f.add(f.mul(n, word(f, "whole")), f.add(f.mul(t, down), f.mul(s, step)))
            a = f.at("%a", a)
            number = f.add(f.mul(f.add(f.mul(n, lines), t), steps), s)
            b = f.at("%b", f.mul(number, f.mul(panel, scheme.terms)))
            if apart:
                halves = [f.at(a, half) if i else a for i in range(rows // 16)]
                distances = (plane, word(f, "term"))
                in_terms.step(f, scheme, corners, halves, distances, b, (line, panel))
            else:
                for j in range(vectors):
                    micro.tile(f, "tileloadd64", 6 + j, f.at(b, j * 64), line)
                for i in range(rows // 16):
                    micro.tile(f, "tileloadd64", 4 + i, f.at(a, half) if i else a, plane)
                    for j in range(vectors):
                        micro.dot_tiles(f, 2 * i + j, 4 + i, 6 + j)
        begins, room = f.let("icmp eq ptr %start, null"), "%tile"
        if apart:
            room = f.select(begins, "%tile", f.array(scheme.tile_bytes), "ptr")
        for i, j in corners:
            micro.tile(f, "tilestored64", 2 * i + j, f.at(room, place[i, j]), line)
        if apart:
            with f.unless(begins):
                in_terms.add_tile(f, scheme, "%start", room, "%tile", rows)


# ---- the end


def _finish_body(program: Program, scheme: Scheme, contiguous: bool) -> None:
    """Sums, rounded once, to where the weight's elements lie."""
    _scattered(program, scheme)
    if contiguous:
        _turn_back(program, scheme)
    with program.function("finish_body", BODY) as f:
        with f.loop("%begin", "%end") as unit:
            group, panel, block = _units(f, unit)
            column = f.mul(f.rem(panel, word(f, "panels")), scheme.tile_columns)
            columns = f.min(f.sub(word(f, "outs"), column), scheme.tile_columns)
            to = f.at(argument(f, "out"), f.mul(group, word(f, "w_group")))
            to = f.at(to, f.mul(column, word(f, "w_column")))
            with _entries(f, block) as index:
                entry = f.at(word(f, "entry_at", "ptr"), f.mul(index, ENTRY))
                rows, first, touch = (f.load("i64", f.at(entry, 8 * i), 8) for i in (1, 2, 3))
                offsets = f.at(word(f, "offset_at", "ptr"), f.mul(first, 8))
                tile = _sums(f, scheme, panel, index)
                with f.loop(1, word(f, "chains")) as chain:
                    other = f.at(tile, f.mul(chain, word(f, "sums_bytes")))
                    in_terms.add_tile(f, scheme, tile, other, tile, scheme.tile_rows)
                given = (f"ptr {tile}", f"ptr {to}", f"i64 {rows}", f"i64 {columns}",
                         f"ptr {offsets}", f"i64 {word(f, 'w_column')}")  # fmt: skip
                even = f.compare("ne", touch, 0)
                kernel = f.select(
                    even, "@turn_back" if contiguous else "@scattered", "@scattered", "ptr"
                )
                f.do(f"call void {kernel}({', '.join(given)})")


_FINISH = "ptr %tile, ptr %out, i64 %rows, i64 %columns, ptr %offsets, i64 %step"


def _scattered(program: Program, scheme: Scheme) -> None:
    """Write @scattered: one element at a time."""
    with program.function("scattered", _FINISH, attributes="noinline") as f:
        with f.loop(0, "%rows") as i:
            to = f.at("%out", f.load("i64", f.at("%offsets", f.mul(i, 8)), 8))
            line = f.at("%tile", f.mul(i, scheme.tile_columns * 4))
            with f.loop(0, "%columns") as j:
                value = lanes.narrow(
                    f, f.load("float", f.at(line, f.mul(j, 4)), 4), "f32", scheme.out, 1
                )
                f.store(MEMORY[scheme.out], value, f.at(to, f.mul(j, "%step")), SIZE[scheme.out])


def _turn_back(program: Program, scheme: Scheme) -> None:
    """Write @turn_back: rows of the tile are neighbours in the result."""
    width, line = scheme.width, scheme.tile_columns * 4
    packer = Packer(program, scheme.panel_b, scheme.b, scheme.compute, scheme.acc)
    kind, floats = wide(packer.lane, width), wide("float", width)
    with program.function("turn_back", _FINISH, attributes="noinline") as f:
        first = f.at("%out", f.load("i64", "%offsets", 8))
        for row in range(0, scheme.tile_rows, width):
            have = f.compare("sgt", "%rows", row)
            with f.when(have), f.loop(0, "%columns", width) as column:
                here = f.at("%tile", f.add(f.mul(column, 4), row * line))
                vectors = [f.load(kind, f.at(here, i * line), 16) if row + i < scheme.tile_rows else "zeroinitializer"
                           for i in range(width)]  # fmt: skip
                for i, vector in enumerate(packer.transpose(f, vectors)):
                    at = f.add(column, i)
                    with f.when(f.compare("slt", at, "%columns")):
                        value = f.let(f"bitcast {kind} {vector} to {floats}")
                        value = lanes.narrow(f, value, "f32", scheme.out, width)
                        to = f.at(f.at(first, f.mul(at, "%step")), row * SIZE[scheme.out])
                        lanes.store_some(f, value, to, scheme.out, width, f.sub("%rows", row))
