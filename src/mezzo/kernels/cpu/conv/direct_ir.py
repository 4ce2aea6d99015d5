"""The kernel of conv/direct.py.

args = [block, image, weight, out, bias, workspace]; block = WORDS

direct   biases as floats, panels of the weight unless they come packed, then tasks
task     a group's part of the image, copied; then every panel of columns times every tile of results. A panel that no other
         task needs is packed by the task, so that it stays near (private)
keep     panels of the weight to `out`, for launches to come
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu.contract import lanes, micro
from mezzo.kernels.cpu.contract.lanes import MEMORY, SIZE, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.conv import direct_terms, joint_ir
from mezzo.kernels.cpu.conv.direct_copy import Copier, copy
from mezzo.kernels.cpu.conv.direct_weight import pack_weight
from mezzo.kernels.cpu.conv.direct_words import ARGS, argument, word
from mezzo.kernels.cpu.conv.turn import turn_out

BODY = "ptr %args, i64 %begin, i64 %end, i64 %worker"
LINE = 64  # bytes of a cache line
PLACE = (
    24  # bytes of a tile's place: where it reads the copy, where its results go, how many they are
)


@functools.cache
def module(
    scheme: Scheme,
    weight: tuple[str, bool],
    exact: bool,
    few: tuple[int, int] | None,
    step: int,
    turned: tuple[bool, bool],
    phases: joint_ir.Joint | None = None,
) -> str:
    """The text. weight: how it is read (direct_weight.py); exact: blocks of channels are whole vectors.

    few: channels of pixels that lie side by side, and elements of their copies, if several fill a vector; step: bytes between
    neighbouring rows of a tile, which for tile registers is not known here; turned: whether neighbours of the image, and of
    the result, are pixels of a row rather than channels; phases: what conv/joint.py computes, if it is that.
    """
    program = Program()
    program.declares.add("declare void @mezzo_parallel(ptr, ptr, i64)")
    in_terms = scheme.terms > 1
    if phases:
        joint_ir.pack_weight(program, scheme, phases)
    else:
        pack_weight(program, scheme, *weight)
    pack_body(program, scheme)
    copier = direct_terms.TermCopier if in_terms else Copier
    copy(program, scheme, exact, few, turned[0], copier)
    _places(program)
    if phases:
        joint_ir.finish(program, scheme, turned[1], phases)
    else:
        _finish(program, scheme, turned[1])
    if scheme.method == "amx":
        tiles = joint_ir.tiles if phases else direct_terms.tiles if in_terms else _tiles
        for halves in (1, 2):
            for vectors in scheme.vector_steps:
                tiles(program, scheme, halves, vectors)
    else:
        for rows in scheme.row_steps:
            for vectors in scheme.vector_steps:
                _vectors(program, scheme, rows, vectors, step, 2 if exact else 1)
    _task_body(program, scheme, phases is not None)
    receive_and_share(program, scheme)
    return program.text()


# ---- entry


def receive_and_share(program: Program, scheme: Scheme) -> None:
    with program.function("direct", "ptr %given", linkage="") as f:
        _receive(f, ("block", "image", "weight", "out", "bias", "workspace"))
        space = argument(f, "workspace")
        own = f.at(space, word(f, "at_panels"))
        kept = f.compare("ne", word(f, "kept"), 0)
        panels = f.select(kept, argument(f, "weight"), own, "ptr")
        f.store("ptr", panels, f.at("%args", ARGS["panels"]), 8)
        _biases(f, scheme, space)
        with f.unless(f.either(kept, f.compare("ne", word(f, "private"), 0))):
            f.share(
                "pack_body", "%args", f.mul(word(f, "groups"), word(f, "panels")), word(f, "serial")
            )
        f.share("task_body", "%args", _units(f), word(f, "serial"))
    with program.function("keep", "ptr %given", linkage="") as f:
        _receive(f, ("block", "image", "weight", "panels"))
        count = f.mul(word(f, "groups"), word(f, "panels"))
        f.call("pack_body", "void", "ptr %args", "i64 0", f"i64 {count}", "i64 0")


def _receive(f: Function, names: tuple[str, ...]) -> None:
    """Copy the slots of a call to %args."""
    f.slots.append(f"  %args = alloca [{8 * len(ARGS)} x i8], align 64")
    for i, name in enumerate(names):
        f.store("ptr", f.load("ptr", f.at("%given", 8 * i), 8), f.at("%args", ARGS[name]), 8)


def _units(f: Function) -> str:
    """Tasks: groups by blocks of images, rows and panels."""
    found = word(f, "groups")
    for many, each in (("images", "images_each"), ("rows", "rows_each"), ("panels", "panels_each")):
        found = f.mul(found, f.ceil_div(word(f, many), word(f, each)))
    return found


def _biases(f: Function, scheme: Scheme, to: str) -> None:
    """The bias of every column of every panel; -0.0, which adds nothing, where there is none."""
    outs, step, each = (
        word(f, "outs"),
        word(f, "bias_step"),
        f.mul(word(f, "panels"), scheme.tile_columns),
    )
    given = f.let(f"icmp ne ptr {argument(f, 'bias')}, null")
    with f.loop(0, word(f, "groups")) as group, f.loop(0, each) as column:
        slot = f.variable("float")
        f.store("float", "-0.0", slot)
        if scheme.bias:
            with f.when(f.both(given, f.compare("slt", column, outs))):
                index = f.add(f.mul(group, outs), column)
                raw = f.load(
                    MEMORY[scheme.bias],
                    f.at(argument(f, "bias"), f.mul(index, step)),
                    SIZE[scheme.bias],
                )
                f.store("float", lanes.widen(f, raw, scheme.bias, "f32", 1), slot)
        at = f.mul(f.add(f.mul(group, each), column), 4)
        f.store("float", f.load("float", slot), f.at(to, at), 4)


def pack_body(program: Program, scheme: Scheme) -> None:
    """Panels of the weight, one a task."""
    with program.function("pack_body", BODY) as f:
        with f.loop("%begin", "%end") as unit:
            to = f.at(argument(f, "panels"), f.mul(unit, word(f, "panel_bytes")))
            _pack(f, scheme, unit, to)


def _pack(f: Function, scheme: Scheme, index: str, to: str) -> None:
    """The panel of this index, counting those of all groups."""
    panels = word(f, "panels")
    group, column = f.div(index, panels), f.mul(f.rem(index, panels), scheme.tile_columns)
    first = f.add(f.mul(group, word(f, "w_group")), f.mul(column, word(f, "w_column")))
    given = f.at(argument(f, "weight"), first)
    left = f"i64 {f.sub(word(f, 'outs'), column)}"
    f.call("pack_weight", "void", "ptr %args", f"ptr {given}", left, f"ptr {to}")


# ---- tasks


def _places(program: Program) -> None:
    """Write @places(args, image, images, row, rows, group, to): of all tiles of a task, row by row."""
    signature = "ptr %args, i64 %image, i64 %images, i64 %row, i64 %rows, i64 %group, ptr %to"
    with program.function("places", signature, attributes="noinline") as f:
        tiles = word(f, "tiles")
        starts, sizes = word(f, "tile_at", "ptr"), word(f, "tile_rows", "ptr")
        down = f.mul(word(f, "stride_h"), word(f, "line"))
        origin = f.add(word(f, "out_first"), f.mul("%group", word(f, "out_group")))
        origin = f.add(origin, f.mul("%image", word(f, "out_n")))
        origin = f.add(origin, f.mul("%row", word(f, "out_h")))
        slot = f.variable("ptr", "%to")
        with f.loop(0, "%images") as n, f.loop(0, "%rows") as t, f.loop(0, tiles) as i:
            start = f.load("i64", f.at(starts, f.mul(i, 8)), 8)
            a = f.add(
                f.mul(n, word(f, "whole")), f.add(f.mul(t, down), f.mul(start, word(f, "step")))
            )
            out = f.add(
                f.mul(n, word(f, "out_n")),
                f.add(f.mul(t, word(f, "out_h")), f.mul(start, word(f, "out_w"))),
            )
            here = f.load("ptr", slot)
            for at, value in enumerate(
                (a, f.add(origin, out), f.load("i64", f.at(sizes, f.mul(i, 8)), 8))
            ):
                f.store("i64", value, f.at(here, 8 * at), 8)
            f.store("ptr", f.at(here, PLACE), slot)


def _task_body(program: Program, scheme: Scheme, joint: bool) -> None:
    """Tasks one after another; the copy serves all of them that share it."""
    with program.function("task_body", BODY) as f:
        if scheme.method == "amx":
            tall, deep = (
                f.let(f"trunc i64 {word(f, name)} to i8") for name in ("tall", "run_lanes")
            )
            micro.open_tiles(f, tall, deep)
        own = f.at(argument(f, "workspace"), word(f, "at_copies"))
        own = f.at(own, f.mul("%worker", word(f, "copy_bytes")))
        places, tile = f.at(own, word(f, "at_places")), f.at(own, word(f, "at_tile"))
        panels, each = word(f, "panels"), word(f, "panels_each")
        cuts = f.ceil_div(panels, each)
        down = f.ceil_div(word(f, "rows"), word(f, "rows_each"))
        copied, size = f.variable("i64", -1), f.variable("i64", 0)
        with f.loop("%begin", "%end") as unit:
            part, rest = f.rem(unit, cuts), f.div(unit, cuts)
            blocks = f.ceil_div(word(f, "images"), word(f, "images_each"))
            row = f.mul(f.rem(rest, down), word(f, "rows_each"))
            image = f.mul(f.rem(f.div(rest, down), blocks), word(f, "images_each"))
            group = f.div(f.div(rest, down), blocks)
            with f.when(f.compare("ne", rest, f.load("i64", copied))):
                rows = f.min(f.sub(word(f, "rows"), row), word(f, "rows_each"))
                images = f.min(f.sub(word(f, "images"), image), word(f, "images_each"))
                what = (
                    "ptr %args",
                    f"i64 {image}",
                    f"i64 {images}",
                    f"i64 {row}",
                    f"i64 {rows}",
                    f"i64 {group}",
                )
                f.call("copy", "void", *what, f"ptr {own}")
                f.call("places", "void", *what, f"ptr {places}")
                f.store("i64", f.mul(f.mul(images, rows), word(f, "tiles")), size)
                f.store("i64", rest, copied)
            first = f.mul(part, each)
            with f.loop(first, f.min(f.add(first, each), panels)) as j:
                _panel(f, scheme, own, places, f.load("i64", size), group, j, tile, joint)
        if scheme.method == "amx":
            micro.close_tiles(f)
        f.do("fence seq_cst")  # stores past the caches are not ordered with those that follow


def _panel(
    f: Function,
    scheme: Scheme,
    own: str,
    places: str,
    count: str,
    group: str,
    j: str,
    tile: str,
    joint: bool,
) -> None:
    """All tiles of a panel of columns."""
    index = f.add(f.mul(group, word(f, "panels")), j)
    alone = f.compare("ne", word(f, "private"), 0)
    room = f.at(own, word(f, "at_panel"))
    with f.when(alone):
        _pack(f, scheme, index, room)
    shared = f.at(argument(f, "panels"), f.mul(index, word(f, "panel_bytes")))
    b = f.select(alone, room, shared, "ptr")
    bias = f.at(argument(f, "workspace"), f.mul(index, scheme.tile_columns * 4))
    column = f.mul(j, scheme.tile_columns)
    columns = f.min(f.sub(word(f, "outs"), column), scheme.tile_columns)
    out = f.at(argument(f, "out"), f.mul(column, word(f, "out_c")))
    common = f"ptr {b}, ptr {word(f, 'run_at', 'ptr')}, i64 {word(f, 'runs')}, i64 {word(f, 'run_lanes')}, ptr {tile}"
    ends = (out, columns, bias)
    if scheme.terms > 1 or joint:
        common += f", i64 {word(f, 'plane')}"
    if joint:
        common += ", ptr %args"
    if scheme.method == "amx":
        _pairs(f, scheme, own, places, count, tile, common, ends)
        return
    with f.loop(0, count) as i:
        place = f.at(places, f.mul(i, PLACE))
        kernel = micro.choose(f, scheme, f.load("i64", f.at(place, 16), 8), columns)
        f.do(f"call void {kernel}(ptr {f.at(own, f.load('i64', place, 8))}, {common})")
        _call_finish(f, place, tile, *ends)


def _pairs(
    f: Function,
    scheme: Scheme,
    own: str,
    places: str,
    count: str,
    tile: str,
    common: str,
    ends: tuple,
) -> None:
    """Two tiles of results at a time, wherever they lie: the halves of the rows of tile registers."""
    with f.loop(0, count, 2) as i:
        place = f.at(places, f.mul(i, PLACE))
        two = f.compare("slt", f.add(i, 1), count)
        after = f.select(two, f.at(place, PLACE), place, "ptr")
        a, c = (f.at(own, f.load("i64", at, 8)) for at in (place, after))
        narrow = f.compare("sle", ends[1], scheme.width)
        kernels = [f.select(narrow, f"@micro_{n}_1", f"@micro_{n}_2", "ptr") for n in (16, 32)]
        kernel = f.select(two, kernels[1], kernels[0], "ptr")
        f.do(f"call void {kernel}(ptr {a}, ptr {c}, i64 {word(f, 'step')}, {common})")
        _call_finish(f, place, tile, *ends)
        with f.when(two):
            _call_finish(f, after, f.at(tile, 16 * scheme.tile_columns * 4), *ends)


def _call_finish(f: Function, place: str, tile: str, out: str, columns: str, bias: str) -> None:
    to = f.at(out, f.load("i64", f.at(place, 8), 8))
    rows = f.load("i64", f.at(place, 16), 8)
    f.call(
        "finish",
        "void",
        "ptr %args",
        f"ptr {tile}",
        f"ptr {to}",
        f"i64 {rows}",
        f"i64 {columns}",
        f"ptr {bias}",
    )


def _finish(program: Program, scheme: Scheme, turned: bool) -> None:
    """Write @finish: add the bias, round once, store."""
    signature = "ptr %args, ptr %tile, ptr %out, i64 %rows, i64 %columns, ptr %bias"
    with program.function("finish", signature, attributes="noinline") as f:
        kind = wide("float", scheme.width)
        biases = [
            f.load(kind, f.at("%bias", v * scheme.width * 4), 4) for v in range(scheme.tile_vectors)
        ]
        if not turned:
            _finish_rows(f, scheme, biases)
            return
        even = f.compare("eq", word(f, "out_w"), SIZE[scheme.out])
        given = (f, scheme, "%tile", "%out", "%rows", "%columns", word(f, "out_c"), biases)
        past = "false"
        if scheme.width * SIZE[scheme.out] == LINE and scheme.method == "amx":
            places = f.let(f"or i64 {f.let('ptrtoint ptr %out to i64')}, {word(f, 'out_c')}")
            begins = f.compare("eq", f.let(f"and i64 {places}, {LINE - 1}"), 0)  # a line
            whole = f.both(begins, f.compare("eq", "%rows", scheme.width))
            past = f.both(f.both(even, whole), f.compare("ne", word(f, "streams"), 0))
            with f.when(past):
                turn_out(*given, past_caches=True)
        with f.when(f.both(even, f.let(f"xor i1 {past}, true"))):
            turn_out(*given)
        with f.unless(even), f.loop(0, "%columns") as j:
            at, to = f.mul(j, 4), f.at("%out", f.mul(j, word(f, "out_c")))
            bias = f.load("float", f.at("%bias", at), 4)
            with f.loop(0, "%rows") as i:
                here = f.at("%tile", f.add(f.mul(i, scheme.tile_columns * 4), at))
                value = f.let(f"fadd float {f.load('float', here, 4)}, {bias}")
                value = lanes.narrow(f, value, "f32", scheme.out, 1)
                f.store(
                    MEMORY[scheme.out],
                    value,
                    f.at(to, f.mul(i, word(f, "out_w"))),
                    SIZE[scheme.out],
                )


def _finish_rows(f: Function, scheme: Scheme, biases: list[str]) -> None:
    """A row of neighbouring columns for each result."""
    width, size, step = scheme.width, SIZE[scheme.out], word(f, "out_w")
    kind, memory = wide("float", width), wide(MEMORY[scheme.out], width)

    def row(i: str, masked: bool, past_caches: bool = False) -> None:
        line, to = f.at("%tile", f.mul(i, scheme.tile_columns * 4)), f.at("%out", f.mul(i, step))
        for v, bias in enumerate(biases):
            value = f.load(kind, f.at(line, v * width * 4), 16)
            value = f.let(f"fadd {kind} {value}, {bias}")
            value = lanes.narrow(f, value, "f32", scheme.out, width)
            here = f.at(to, v * width * size)
            if masked:
                lanes.store_some(f, value, here, scheme.out, width, f.sub("%columns", v * width))
            else:
                align = width * size if past_caches else size
                f.store(memory, value, here, align, past_caches=past_caches)

    full = f.compare("eq", "%columns", scheme.tile_columns)
    with f.when(full):
        places = f.let(f"or i64 {f.let('ptrtoint ptr %out to i64')}, {step}")
        begins = f.compare("eq", f.let(f"and i64 {places}, {LINE - 1}"), 0)  # a line
        past = f.both(begins, f.compare("ne", word(f, "streams"), 0))
        if width * size == LINE:
            with f.when(past), f.loop(0, "%rows") as i:
                row(i, False, past_caches=True)
        with f.unless(past if width * size == LINE else "false"), f.loop(0, "%rows") as i:
            row(i, False)
    with f.unless(full), f.loop(0, "%rows") as i:
        row(i, True)


# ---- tiles


def _vectors(
    program: Program, scheme: Scheme, rows: int, vectors: int, stride: int, turns: int
) -> None:
    """Write @micro_R_V: accumulators in vector registers, rows `stride` bytes apart.

    turns: steps of k in a turn of the loop.
    """
    kind, width = wide("float", scheme.width), scheme.width
    signature = "ptr noalias %a, ptr noalias %b, ptr noalias %at, i64 %runs, i64 %lanes, ptr %tile"
    with program.function(f"micro_{rows}_{vectors}", signature, attributes="noinline") as f:
        cells = [(i, j) for i in range(rows) for j in range(vectors)]
        sums = {cell: f.variable(kind, "zeroinitializer") for cell in cells}
        step = scheme.tile_columns * 4
        panel = f.mul("%lanes", step)
        with f.loop(0, "%runs") as run:
            start = f.at("%a", f.load("i64", f.at("%at", f.mul(run, 8)), 8))
            right = f.at("%b", f.mul(run, panel))
            with f.loop(0, "%lanes", turns) as first:
                for turn in range(turns):
                    row = f.at(f.at(start, f.mul(first, 4)), turn * 4)
                    column = f.at(f.at(right, f.mul(first, step)), turn * step)
                    vector = [f.load(kind, f.at(column, j * width * 4), 16) for j in range(vectors)]
                    for i in range(rows):
                        one = f.load("float", f.at(row, i * stride), 4)
                        left = lanes.splat(f, "float", one, width)
                        for j in range(vectors):
                            total = f.load(kind, sums[i, j])
                            value = micro.multiply(f, scheme, kind, left, vector[j], total)
                            f.store(kind, value, sums[i, j])
        for i, j in cells:
            f.store(kind, f.load(kind, sums[i, j]), f.at("%tile", i * step + j * width * 4), 16)


def _tiles(program: Program, scheme: Scheme, halves: int, vectors: int) -> None:
    """Write @micro_R_V on tile registers: the two halves of rows begin where they please."""
    signature = "ptr %a, ptr %c, i64 %step, ptr %b, ptr %at, i64 %runs, i64 %lanes, ptr %tile"
    with program.function(f"micro_{16 * halves}_{vectors}", signature, attributes="noinline") as f:
        line = scheme.tile_columns * 4
        corners = [(i, j) for i in range(halves) for j in range(vectors)]
        f.program.declares.add("declare void @llvm.x86.tilezero(i8 immarg)")
        for i, j in corners:
            f.do(f"call void @llvm.x86.tilezero(i8 {2 * i + j})")
        panel = f.mul("%lanes", line)
        with f.loop(0, "%runs") as run:
            at = f.load("i64", f.at("%at", f.mul(run, 8)), 8)
            b = f.at("%b", f.mul(run, panel))
            for j in range(vectors):
                micro.tile(f, "tileloadd64", 6 + j, f.at(b, j * 64), line)
            for i in range(halves):
                micro.tile(f, "tileloadd64", 4 + i, f.at(("%a", "%c")[i], at), "%step")
                for j in range(vectors):
                    micro.dot_tiles(f, 2 * i + j, 4 + i, 6 + j)
        for i, j in corners:
            micro.tile(f, "tilestored64", 2 * i + j, f.at("%tile", i * 16 * line + j * 64), line)
