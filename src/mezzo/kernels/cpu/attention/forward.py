"""The forward pass. A unit is a chunk of the queries of one head: it packs the keys and values it sees, then
takes one panel of queries at a time through all blocks of keys, with a running maximum and sum per row.
"""

from __future__ import annotations

from mezzo.kernels.cpu.attention import dropout, parts, whole
from mezzo.kernels.cpu.attention.block import FORWARD, KEY_TILES
from mezzo.kernels.cpu.attention.parts import (
    EXP,
    LOG,
    LOWEST,
    Source,
    Tensors,
    evaluate,
    masked,
    multiply,
    reduce,
    word,
)
from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.lanes import MEMORY, SIZE, constant, splat, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program

_SOFTMAX = "ptr %args, ptr %tiles, i64 %rows, i64 %count, i64 %seen, ptr %state, ptr %sums, ptr %mask, ptr %keep, i64 %row"


def forward(program: Program, scheme: Scheme, mask: str | None, drop: bool) -> None:
    """Write the module."""
    parts.functions(program, scheme)
    if drop:
        dropout.keep(program)
    _softmax(program, scheme, mask, drop)
    whole.softmax(program, scheme)
    store(program, scheme)
    _panel(program, scheme, mask, drop)
    _units(program, scheme)
    parts.entry(program, scheme)


class Unit:
    """A chunk of the queries of one head: queries `first` to `after`, the keys that they see, its memory."""

    def __init__(self, f: Function, number: str):
        chunks, chunk = word(f, "chunks"), word(f, "chunk")
        causal = f.compare("ne", word(f, "causal"), 0)
        self.head = f.div(number, chunks)
        self.first = f.mul(f.rem(number, chunks), chunk)
        self.after = f.min(f.add(self.first, chunk), word(f, "queries"))
        keys = word(f, "keys")
        self.keys = f.select(causal, f.min(keys, self.after), keys)
        self.tensors = Tensors(f, FORWARD, self.head)
        self.space = f.at(self.tensors.space, f.mul("%worker", word(f, "lane_bytes")))


def _units(program: Program, scheme: Scheme) -> None:
    with program.function("body", parts.BODY) as f, f.loop("%begin", "%end") as number:
        unit, high = Unit(f, number), scheme.tile_columns
        to_k, to_v = (f.at(unit.space, word(f, "at_" + name)) for name in ("k", "v"))
        k = unit.tensors.source(f, "pack_b", "k")
        k.panels(f, high, unit.keys, word(f, "features"), to_k, word(f, "key_panel"))
        v = unit.tensors.source(f, "pack_b", "v", turned=True)
        v.panels(f, high, word(f, "outputs"), unit.keys, to_v, word(f, "value_panel"))
        with f.loop(unit.first, unit.after, scheme.tile_rows) as row:
            rows = f.min(f.sub(unit.after, row), scheme.tile_rows)
            f.call("panel", "void", "ptr %args", f"ptr {unit.space}", f"i64 {unit.head}", f"i64 {row}", f"i64 {rows}")  # fmt: skip


def _panel(program: Program, scheme: Scheme, mask: str | None, drop: bool) -> None:
    """One panel of queries against all keys it sees."""
    high, across = scheme.tile_rows, scheme.tile_columns
    with program.function("panel", "ptr %args, ptr %space, i64 %head, i64 %row, i64 %rows") as f:
        tensors = Tensors(f, FORWARD, "%head")
        here = {
            name: f.at("%space", word(f, "at_" + name))
            for name in ("k", "v", "q", "p", "tiles", "out", "rows", "keep")
        }
        features, outputs, keys = word(f, "features"), word(f, "outputs"), word(f, "keys")
        tensors.source(f, "pack_a", "q").panel(f, "%row", "%rows", 0, features, here["q"])
        with f.loop(0, high) as i:
            f.store("float", LOWEST, f.at(here["rows"], f.mul(i, 4)), 4)
            f.store("float", "0.0", f.at(here["rows"], f.add(f.mul(i, 4), 4 * high)), 4)
        causal = f.compare("ne", word(f, "causal"), 0)
        limit = f.select(causal, f.min(keys, f.add("%row", "%rows")), keys)
        panels = f.ceil_div(outputs, across)
        with f.loop(0, limit, KEY_TILES * across) as key:
            count = f.min(f.sub(limit, key), KEY_TILES * across)
            seen = f.select(causal, f.sub(f.add("%row", 1), key), count)
            with f.loop(0, f.ceil_div(count, across)) as j:
                panel = f.at(here["k"], f.mul(f.add(f.div(key, across), j), word(f, "key_panel")))
                tile = f.at(here["tiles"], f.mul(j, scheme.tile_bytes))
                left = f.min(f.sub(count, f.mul(j, across)), across)
                multiply(f, scheme, here["q"], panel, features, "null", tile, "%rows", left)
            at_mask = "null"
            if mask is not None:
                down = f.mul("%row", word(f, "mask_row"))
                at_mask = f.at(
                    tensors.pointer(f, "mask"), f.add(down, f.mul(key, word(f, "mask_column")))
                )
            sums = f.select(f.compare("eq", key, 0), "null", here["out"], "ptr")
            if drop:
                where = ("%row", "%rows", key, count)
                dropout.make(f, tensors, where, here["keep"], 2 * KEY_TILES * across)
            _weights(f, scheme, mask, drop, here, count, seen, sums, at_mask)
            skip = f.mul(
                f.div(key, scheme.panel_b.k_step), scheme.panel_b.nbytes(scheme.panel_b.k_step)
            )
            with f.loop(0, panels) as n:
                panel = f.at(f.at(here["v"], f.mul(n, word(f, "value_panel"))), skip)
                tile = f.at(here["out"], f.mul(n, scheme.tile_bytes))
                start = f.select(f.compare("eq", key, 0), "null", tile, "ptr")
                left = f.min(f.sub(outputs, f.mul(n, across)), across)
                multiply(f, scheme, here["p"], panel, count, start, tile, "%rows", left)
        f.call(
            "store",
            "void",
            "ptr %args",
            f"ptr {here['out']}",
            f"ptr {here['rows']}",
            "i64 %head",
            "i64 %row",
            "i64 %rows",
        )


def _weights(f, scheme, mask, drop, here, count, seen, sums, at_mask) -> None:
    """Scores in tiles become a panel of weights."""
    across = scheme.tile_columns
    easy = f.both(f.compare("sge", seen, count), f.let(f"fcmp ogt float {parts.factor(f)}, 0.0"))
    easy = easy if mask is None and not drop else "false"
    block = ("ptr %args", f"ptr {here['tiles']}", "i64 %rows", f"i64 {count}")
    row = (f"ptr {here['rows']}", f"ptr {sums}")
    with f.when(easy):
        f.call("softmax_whole", "void", *block, *row)
    with f.unless(easy):
        f.call("softmax", "void", *block, f"i64 {seen}", *row, f"ptr {at_mask}",
               f"ptr {here['keep']}", "i64 %row")  # fmt: skip
    with f.loop(0, f.ceil_div(count, across)) as j:
        tile = f.at(here["tiles"], f.mul(j, scheme.tile_bytes))
        left = f.min(f.sub(count, f.mul(j, across)), across)
        to = f.at(here["p"], f.mul(j, scheme.panel_a.nbytes(across)))
        Source(f, "pack_p", tile, across * 4, 4).panel(f, 0, "%rows", 0, left, to)


def _scale(f, scheme, mask, mask_line, line, j, visible, factor, largest) -> None:
    """Scale and mask the scores of tile j, hide the keys that are not visible, and follow the maximum."""
    width, across = scheme.width, scheme.tile_columns
    kind, lowest = wide("float", width), constant("float", LOWEST, width)
    size = SIZE.get("u8" if mask == "b8" else mask or "f32", 4)
    for v in range(scheme.tile_vectors):
        here = f.at(line, f.add(f.mul(j, scheme.tile_bytes), v * width * 4))
        begin = f.add(f.mul(j, across), v * width)
        left = f.sub(visible, begin)
        value = f.let(f"fmul {kind} {f.load(kind, here, 16)}, {factor}")
        if mask:
            at = f.at(mask_line, f.mul(begin, size))
            value = masked(f, mask, value, at, width, left)
        valid = lanes.mask(f, left, width)
        value = f.let(f"select <{width} x i1> {valid}, {kind} {value}, {kind} {lowest}")
        f.store(kind, value, here, 16)
        before = f.load(kind, largest)
        higher = f.intrinsic(f"llvm.maxnum.v{width}f32", kind, (kind, before), (kind, value))
        f.store(kind, higher, largest)


def _softmax(program: Program, scheme: Scheme, mask: str | None, drop: bool) -> None:
    """Scores in tiles become exponentials; the state (maximum, sum) and the sums so far follow the maximum.

    count: keys in the block; seen: how many of them the first row may see, each row one more.
    """
    width, across = scheme.width, scheme.tile_columns
    kind = wide("float", width)
    with program.function("softmax", _SOFTMAX, attributes="noinline") as f:
        factor = splat(f, "float", parts.factor(f), width)
        tiles, causal = f.ceil_div("%count", across), f.compare("ne", word(f, "causal"), 0)
        largest = f.variable(kind)
        total = f.variable(kind)
        with f.loop(0, "%rows") as r:
            line = f.at("%tiles", f.mul(r, across * 4))
            visible = f.select(causal, f.min("%count", f.add("%seen", r)), "%count")
            f.store(kind, constant("float", LOWEST, width), largest)
            mask_line = f.at("%mask", f.mul(r, word(f, "mask_row"))) if mask else ""
            with f.loop(0, tiles) as j:
                _scale(f, scheme, mask, mask_line, line, j, visible, factor, largest)
            old = f.load("float", f.at("%state", f.mul(r, 4)), 4)
            top = reduce(f, "fmax", f.load(kind, largest), width)
            top = f.intrinsic("llvm.maxnum.f32", "float", ("float", old), ("float", top))
            hidden = f.let(f"fcmp oeq float {top}, {LOWEST}")
            base = f.let(f"select i1 {hidden}, float 0.0, float {top}")
            shrink = evaluate(f, EXP, [f.let(f"fsub float {old}, {base}")], 1)
            base = splat(f, "float", base, width)
            f.store(kind, "zeroinitializer", total)
            with f.loop(0, tiles) as j:
                for v in range(scheme.tile_vectors):
                    here = f.at(line, f.add(f.mul(j, scheme.tile_bytes), v * width * 4))
                    power = evaluate(
                        f, EXP, [f.let(f"fsub {kind} {f.load(kind, here, 16)}, {base}")], width
                    )
                    f.store(kind, f.let(f"fadd {kind} {f.load(kind, total)}, {power}"), total)
                    if drop:  # after the sum, which all weights count in
                        pitch, query = 2 * KEY_TILES * across, f.add("%row", r)
                        bits = dropout.line_of(f, "%keep", query, "%row", pitch)
                        at = f.add(f.mul(j, across), v * width)
                        kept = dropout.kept_keys(f, bits, query, at, width)
                        zero = f"{kind} zeroinitializer"
                        power = f.let(f"select <{width} x i1> {kept}, {kind} {power}, {zero}")
                    f.store(kind, power, here, 16)
            sum_at = f.at("%state", f.add(f.mul(r, 4), 4 * scheme.tile_rows))
            kept = f.let(f"fmul float {f.load('float', sum_at, 4)}, {shrink}")
            f.store(
                "float",
                f.let(f"fadd float {kept}, {reduce(f, 'fadd', f.load(kind, total), width)}"),
                sum_at,
                4,
            )
            f.store("float", top, f.at("%state", f.mul(r, 4)), 4)
            same = f.let(f"fcmp oeq float {shrink}, 1.0")
            fresh = f.let("icmp eq ptr %sums, null")
            with f.unless(f.either(same, fresh)):
                parts.shrink(f, scheme, r, shrink)


def store(program: Program, scheme: Scheme) -> None:
    """Divide by the sums, round, store; and the logarithm of the sum (+inf where a row sees nothing)."""
    width, across = scheme.width, scheme.tile_columns
    kind = wide("float", width)
    parameters = "ptr %args, ptr %sums, ptr %state, i64 %head, i64 %row, i64 %rows"
    with program.function("store", parameters, attributes="noinline") as f:
        tensors = Tensors(f, FORWARD, "%head")
        out, lse = tensors.pointer(f, "out"), tensors.pointer(f, "lse")
        kept = parts.factor(f, name="kept")
        with f.loop(0, "%rows") as r:
            top = f.load("float", f.at("%state", f.mul(r, 4)), 4)
            total = f.load("float", f.at("%state", f.add(f.mul(r, 4), 4 * scheme.tile_rows)), 4)
            none = f.let(f"fcmp oeq float {top}, {LOWEST}")
            log = f.let(f"fadd float {top}, {evaluate(f, LOG, [total], 1)}")
            log = f.let(f"select i1 {none}, float {parts.HIGHEST}, float {log}")
            row = f.add("%row", r)
            f.store("float", log, f.at(lse, f.mul(row, 4)), 4)
            inverse = f.let(f"fdiv float {kept}, {total}")
            inverse = splat(
                f, "float", f.let(f"select i1 {none}, float 0.0, float {inverse}"), width
            )
            to = f.at(out, f.mul(row, word(f, "out_row")))
            outputs = word(f, "outputs")
            with f.loop(0, f.ceil_div(outputs, across)) as n:
                for v in range(scheme.tile_vectors):
                    place = f.add(f.mul(n, scheme.tile_bytes), f.mul(r, across * 4))
                    value = f.load(kind, f.at("%sums", f.add(place, v * width * 4)), 16)
                    value = f.let(f"fmul {kind} {value}, {inverse}")
                    begin = f.add(f.mul(n, across), v * width)
                    raw = lanes.narrow(f, value, "f32", scheme.out, width)
                    here = f.at(to, f.mul(begin, SIZE[scheme.out]))
                    left = f.sub(outputs, begin)
                    full = f.compare("sge", left, width)
                    with f.when(full):
                        f.store(wide(MEMORY[scheme.out], width), raw, here, SIZE[scheme.out])
                    with f.unless(full):
                        lanes.store_some(f, raw, here, scheme.out, width, left)
