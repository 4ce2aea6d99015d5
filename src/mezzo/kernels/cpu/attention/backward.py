"""The backward pass. A unit is a head. With weights p = exp(s - lse) made anew, transposed (keys by queries):

    dv += p g        d = p (v g^T - delta) scale, delta = sum of g out along a row
    dk += d q        dq += d^T k

Blocks of keys outermost: dk and dv of a block stay in tiles; dq of all queries is kept in tiles.
"""

from __future__ import annotations

from mezzo.kernels.cpu.attention import dropout, parts
from mezzo.kernels.cpu.attention.block import BACKWARD, blocks
from mezzo.kernels.cpu.attention.parts import (
    EXP,
    HIGHEST,
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
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

_BLOCK = "ptr %args, ptr %space, i64 %head, i64 %key, i64 %keys, i64 %query, i64 %queries"


def backward(program: Program, scheme: Scheme, mask: str | None, drop: bool) -> None:
    """Write the module."""
    parts.functions(program, scheme)
    delta(program, scheme)
    if drop:
        dropout.keep(program)
    _combine(program, scheme, mask, drop)
    _weights(program, scheme, drop)
    _gather(program, scheme)
    store(program, scheme)
    _units(program, scheme)
    parts.entry(program, scheme)


def _units(program: Program, scheme: Scheme) -> None:
    keys_step, queries_step = blocks(scheme)
    with program.function("body", parts.BODY) as f:
        causal = f.compare("ne", word(f, "causal"), 0)
        with f.loop("%begin", "%end") as head:
            tensors = Tensors(f, BACKWARD, head)
            space = f.at(tensors.space, f.mul("%worker", word(f, "lane_bytes")))
            f.call("delta", "void", "ptr %args", f"ptr {space}", f"i64 {head}")
            _pack(f, scheme, tensors, space)
            keys, queries = word(f, "keys"), word(f, "queries")
            with f.loop(0, keys, keys_step) as key:
                inside = f.min(f.sub(keys, key), keys_step)
                first = f.select(causal, f.mul(f.div(key, queries_step), queries_step), 0)
                with f.loop(first, queries, queries_step) as query:
                    many = f.min(f.sub(queries, query), queries_step)
                    given = ("ptr %args", f"ptr {space}", f"i64 {head}", f"i64 {key}", f"i64 {inside}",
                             f"i64 {query}", f"i64 {many}")  # fmt: skip
                    f.call("weights", "void", *given)
                    fresh = f.let(f"zext i1 {f.compare('eq', query, first)} to i64")
                    f.call("gather", "void", *given, f"i64 {fresh}")
                none = f.compare("sge", first, queries)
                for name, columns in (("dk", "features"), ("dv", "outputs")):
                    _put(f, scheme, tensors, space, name, key, inside, columns, none)
            _put(f, scheme, tensors, space, "dq", 0, queries, "features", "false")


def _put(
    f: Function,
    scheme: Scheme,
    tensors: Tensors,
    space: str,
    name: str,
    first: Value,
    rows: Value,
    columns: str,
    none,
) -> None:
    """Store tiles as rows `first` on of a gradient; zeros where there were no products."""
    to = f.at(tensors.pointer(f, name), f.mul(first, word(f, name + "_row")))
    tiles = f.select(none, "null", f.at(space, word(f, "at_" + name)), "ptr")
    f.call(
        "store",
        "void",
        f"ptr {tiles}",
        f"ptr {to}",
        f"i64 {word(f, name + '_row')}",
        f"i64 {rows}",
        f"i64 {word(f, columns)}",
    )


def _pack(f: Function, scheme: Scheme, tensors: Tensors, space: str) -> None:
    """All panels of a head, in each role its tensors play."""
    keys, queries, features, outputs = (
        word(f, n) for n in ("keys", "queries", "features", "outputs")
    )
    left, right = scheme.panel_a, scheme.panel_b

    def nbytes(panel, depth: str) -> str:
        return f.mul(f.ceil_div(depth, panel.k_step), panel.nbytes(panel.k_step))

    for to, name, function, turned, rows, depth in (
        ("ka", "k", "pack_a", False, keys, features), ("va", "v", "pack_a", False, keys, outputs),
        ("qb", "q", "pack_b", False, queries, features), ("gb", "g", "pack_b", False, queries, outputs),
        ("g2", "g", "pack_b", True, outputs, queries), ("q2", "q", "pack_b", True, features, queries),
        ("k2", "k", "pack_b", True, features, keys),
    ):  # fmt: skip
        panel = left if function == "pack_a" else right
        source = tensors.source(f, function, name, turned)
        source.panels(
            f, panel.rows, rows, depth, f.at(space, word(f, "at_" + to)), nbytes(panel, depth)
        )


def delta(program: Program, scheme: Scheme) -> None:
    """Per query: lse, and the sum of g out. Queries beyond the last see nothing."""
    width, storage = scheme.width, scheme.out
    kind = wide("float", width)
    with program.function("delta", "ptr %args, ptr %space, i64 %head", attributes="noinline") as f:
        tensors = Tensors(f, BACKWARD, "%head")
        queries, outputs = word(f, "queries"), word(f, "outputs")
        to = f.at("%space", word(f, "at_rows"))
        padded = _padded(f, scheme)
        out, g, lse = (tensors.pointer(f, name) for name in ("out", "g", "lse"))
        total = f.variable(kind)
        with f.loop(0, queries) as i:
            line, line_g = (
                f.at(out, f.mul(i, word(f, "out_row"))),
                f.at(g, f.mul(i, word(f, "g_row"))),
            )
            f.store(kind, "zeroinitializer", total)
            with f.loop(0, outputs, width) as j:
                left, place = f.sub(outputs, j), f.mul(j, SIZE[storage])
                a, b = (
                    lanes.widen(
                        f,
                        lanes.load_some(f, f.at(p, place), storage, width, left),
                        storage,
                        "f32",
                        width,
                    )
                    for p in (line, line_g)
                )
                f.store(
                    kind,
                    f.let(f"fadd {kind} {f.load(kind, total)}, {f.let(f'fmul {kind} {a}, {b}')}"),
                    total,
                )
            f.store("float", f.load("float", f.at(lse, f.mul(i, 4)), 4), f.at(to, f.mul(i, 4)), 4)
            f.store(
                "float",
                reduce(f, "fadd", f.load(kind, total), width),
                f.at(to, f.mul(f.add(i, padded), 4)),
                4,
            )
        with f.loop(queries, padded) as i:
            f.store("float", HIGHEST, f.at(to, f.mul(i, 4)), 4)
            f.store("float", "0.0", f.at(to, f.mul(f.add(i, padded), 4)), 4)


def _padded(f: Function, scheme: Scheme) -> str:
    """Queries rounded up to whole tiles."""
    across = scheme.tile_columns
    return f.mul(f.ceil_div(word(f, "queries"), across), across)


def _weights(program: Program, scheme: Scheme, drop: bool) -> None:
    """The weights p and their gradients d of a block, transposed, as two plain matrices."""
    high, across = scheme.tile_rows, scheme.tile_columns
    left, right = scheme.panel_a, scheme.panel_b
    with program.function("weights", _BLOCK, attributes="noinline") as f:
        here = {n: f.at("%space", word(f, "at_" + n)) for n in ("ka", "va", "qb", "gb", "tiles")}
        second = f.at(here["tiles"], scheme.tile_bytes)
        sizes = {n: word(f, n) for n in ("features", "outputs")}
        bytes_of = {
            (side, n): f.mul(f.ceil_div(sizes[n], panel.k_step), panel.nbytes(panel.k_step))
            for side, panel in (("a", left), ("b", right)) for n in sizes
        }  # fmt: skip
        if drop:
            bits, where = (
                f.at("%space", word(f, "at_keep")),
                ("%query", "%queries", "%key", "%keys"),
            )
            dropout.make(f, Tensors(f, BACKWARD, "%head"), where, bits, 2 * blocks(scheme)[0])
        with f.loop(0, "%keys", high) as i:
            rows = f.min(f.sub("%keys", i), high)
            a = f.div(f.add("%key", i), high)
            with f.loop(0, "%queries", across) as j:
                b = f.div(f.add("%query", j), across)
                columns = f.min(f.sub("%queries", j), across)
                for of_keys, of_queries, depth, tile in (
                    ("ka", "qb", "features", here["tiles"]),
                    ("va", "gb", "outputs", second),
                ):
                    one = f.at(here[of_keys], f.mul(a, bytes_of["a", depth]))
                    other = f.at(here[of_queries], f.mul(b, bytes_of["b", depth]))
                    multiply(f, scheme, one, other, sizes[depth], "null", tile, rows, columns)
                f.call("combine", "void", "ptr %args", "ptr %space", "i64 %head", f"i64 {f.add('%key', i)}", f"i64 {rows}",
                       f"i64 {f.add('%query', j)}", f"i64 {columns}", f"i64 {i}", f"i64 {j}")  # fmt: skip


def _combine(program: Program, scheme: Scheme, mask: str | None, drop: bool) -> None:
    """One tile of scores and of gradients of weights becomes a piece of p and d."""
    width, across = scheme.width, scheme.tile_columns
    kind, wide_step = wide("float", width), blocks(scheme)[1]
    parameters = "ptr %args, ptr %space, i64 %head, i64 %key, i64 %rows, i64 %query, i64 %columns, i64 %i, i64 %j"
    with program.function("combine", parameters, attributes="noinline") as f:
        tensors = Tensors(f, BACKWARD, "%head")
        tiles, to_s, to_d = (f.at("%space", word(f, "at_" + n)) for n in ("tiles", "s", "d"))
        rows_at, padded = f.at("%space", word(f, "at_rows")), _padded(f, scheme)
        scale = splat(f, "float", parts.factor(f), width)
        larger = splat(f, "float", parts.factor(f, name="kept"), width)
        keep = f.at("%space", word(f, "at_keep"))
        causal = f.compare("ne", word(f, "causal"), 0)
        base = tensors.pointer(f, "mask") if mask else ""
        size = SIZE.get("u8" if mask == "b8" else mask or "f32", 4)
        with f.loop(0, "%rows") as r:
            key = f.add("%key", r)
            for v in range(scheme.tile_vectors):
                place = f.add(f.mul(r, across * 4), v * width * 4)
                query = f.add("%query", v * width)
                score = f.let(f"fmul {kind} {f.load(kind, f.at(tiles, place), 16)}, {scale}")
                if mask:
                    at = f.add(f.mul(key, word(f, "mask_row")), f.mul(query, size))
                    score = masked(
                        f,
                        mask,
                        score,
                        f.at(base, at),
                        width,
                        f.sub(f.add("%columns", 0), v * width),
                    )
                lse = f.load(kind, f.at(rows_at, f.mul(query, 4)), 4)
                delta = f.load(kind, f.at(rows_at, f.mul(f.add(query, padded), 4)), 4)
                weight = evaluate(f, EXP, [f.let(f"fsub {kind} {score}, {lse}")], width)
                hidden = f.select(
                    causal, f.sub(key, query), 0
                )  # queries before the key do not see it
                seen = lanes.mask(f, hidden, width)
                gone = lanes.mask(f, f.sub("%columns", v * width), width)
                kept = f.let(f"xor <{width} x i1> {seen}, {constant('i1', 'true', width)}")
                kept = f.let(f"and <{width} x i1> {kept}, {gone}")
                weight = f.let(
                    f"select <{width} x i1> {kept}, {kind} {weight}, {kind} zeroinitializer"
                )
                grad = f.load(kind, f.at(tiles, f.add(place, scheme.tile_bytes)), 16)
                given = weight
                if drop:
                    line = dropout.line_of(
                        f, keep, query, f.sub("%query", "%j"), 2 * blocks(scheme)[0]
                    )
                    stays = dropout.kept_queries(f, line, query, f.add("%i", r), width)
                    given, grad = (_dropped(f, x, stays, larger, width) for x in (weight, grad))
                grad = f.let(f"fmul {kind} {weight}, {f.let(f'fsub {kind} {grad}, {delta}')}")
                grad = f.let(f"fmul {kind} {grad}, {scale}")
                grad = f.let(f"select <{width} x i1> {kept}, {kind} {grad}, {kind} zeroinitializer")
                to = f.mul(f.add(f.mul(f.add("%i", r), wide_step), f.add("%j", v * width)), 4)
                f.store(kind, given, f.at(to_s, to), 16)
                f.store(kind, grad, f.at(to_d, to), 16)


def _dropped(f: Function, x: str, stays: str, by: str, width: int) -> str:
    """x made larger where it stays, else 0."""
    kind = wide("float", width)
    scaled = f.let(f"fmul {kind} {x}, {by}")
    return f.let(f"select <{width} x i1> {stays}, {kind} {scaled}, {kind} zeroinitializer")


def _gather(program: Program, scheme: Scheme) -> None:
    """The products with p and d of a block. fresh: the first block of queries for these keys."""
    high, across, line = scheme.tile_rows, scheme.tile_columns, blocks(scheme)[1] * 4
    right = scheme.panel_b
    with program.function("gather", _BLOCK + ", i64 %fresh", attributes="noinline") as f:
        at = {
            n: f.at("%space", word(f, "at_" + n))
            for n in ("s", "d", "p", "g2", "q2", "k2", "dq", "dk", "dv")
        }
        step = right.nbytes(right.k_step)

        def products(
            columns: str,
            panels: str,
            panel_bytes: str,
            k: str,
            depth: str,
            fresh: str,
            to: str,
            rows: str,
        ) -> None:
            count = word(f, columns)
            with f.loop(0, f.ceil_div(count, across)) as n:
                skip = f.mul(f.div(k, right.k_step), step)
                panel = f.at(f.at(panels, f.mul(n, panel_bytes)), skip)
                tile = f.at(to, f.mul(n, scheme.tile_bytes))
                start = f.select(fresh, "null", tile, "ptr")
                left = f.min(f.sub(count, f.mul(n, across)), across)
                multiply(f, scheme, at["p"], panel, depth, start, tile, rows, left)

        fresh = f.compare("ne", "%fresh", 0)
        for name, matrix, panels, columns in (
            ("dv", "s", "g2", "outputs"),
            ("dk", "d", "q2", "features"),
        ):
            with f.loop(0, "%keys", high) as i:
                rows = f.min(f.sub("%keys", i), high)
                Source(f, "pack_p", at[matrix], line, 4).panel(f, i, rows, 0, "%queries", at["p"])
                across_all = f.mul(f.ceil_div(word(f, columns), across), scheme.tile_bytes)
                to = f.at(at[name], f.mul(f.div(i, high), across_all))
                products(
                    columns,
                    at[panels],
                    word(f, "query_panel"),
                    "%query",
                    "%queries",
                    fresh,
                    to,
                    rows,
                )
        first = f.compare("eq", "%key", 0)
        with f.loop(0, "%queries", high) as i:
            rows = f.min(f.sub("%queries", i), high)
            Source(f, "pack_p", at["d"], 4, line).panel(f, i, rows, 0, "%keys", at["p"])
            across_all = f.mul(f.ceil_div(word(f, "features"), across), scheme.tile_bytes)
            to = f.at(at["dq"], f.mul(f.div(f.add("%query", i), high), across_all))
            products("features", at["k2"], word(f, "key_panel"), "%key", "%keys", first, to, rows)


def store(program: Program, scheme: Scheme) -> None:
    """Tiles, rows of them after each other, as rows of a tensor; null: zeros."""
    width, across, high = scheme.width, scheme.tile_columns, scheme.tile_rows
    kind = wide("float", width)
    parameters = "ptr %tiles, ptr %to, i64 %row_stride, i64 %rows, i64 %columns"
    with program.function("store", parameters, attributes="noinline") as f:
        panels = f.ceil_div("%columns", across)
        none = f.let("icmp eq ptr %tiles, null")
        slot = f.variable(kind)
        with f.loop(0, "%rows") as r:
            line = f.at("%to", f.mul(r, "%row_stride"))
            own = f.add(
                f.mul(f.div(r, high), f.mul(panels, scheme.tile_bytes)),
                f.mul(f.rem(r, high), across * 4),
            )
            with f.loop(0, panels) as n:
                for v in range(scheme.tile_vectors):
                    begin = f.add(f.mul(n, across), v * width)
                    f.store(kind, "zeroinitializer", slot)
                    with f.unless(none):
                        place = f.add(f.add(own, f.mul(n, scheme.tile_bytes)), v * width * 4)
                        f.store(kind, f.load(kind, f.at("%tiles", place), 16), slot)
                    raw = lanes.narrow(f, f.load(kind, slot), "f32", scheme.out, width)
                    here, left = (
                        f.at(line, f.mul(begin, SIZE[scheme.out])),
                        f.sub("%columns", begin),
                    )
                    full = f.compare("sge", left, width)
                    with f.when(full):
                        f.store(wide(MEMORY[scheme.out], width), raw, here, SIZE[scheme.out])
                    with f.unless(full):
                        lanes.store_some(f, raw, here, scheme.out, width, left)
