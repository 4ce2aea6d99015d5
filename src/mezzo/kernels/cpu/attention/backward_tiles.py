"""The backward pass on tile registers. A unit is a head; what is made is what backward.py makes, transposed (keys by queries).

Queries and their gradients are packed once for a head, keys and values once for a stretch of keys, all as terms of
bfloat16. A block of keys and a block of queries at a time:

    scores     products of keys and queries, of values and gradients, on tile registers
    weights    p and d, on vector units: a square of keys and queries at a time, while the scores of the next one are
               made; and their terms: those of d twice, as rows (keys) of a left operand and as columns (queries) of a
               right one
    sums       dv += p g,  dk += d q,  dq^T += k^T d, on tile registers

dq of all queries stays in tiles, transposed, so that d need not be; dk and dv do so for the keys of a stretch.
"""

from __future__ import annotations

from collections.abc import Callable

from mezzo.kernels.cpu.attention import backward, dropout, panels, parts, products, weights
from mezzo.kernels.cpu.attention.block import BACK_KEYS, BACK_QUERIES, BACK_STRETCH, BACKWARD
from mezzo.kernels.cpu.attention.parts import LOWEST, Tensors, word
from mezzo.kernels.cpu.attention.products import COLUMNS, ROWS, STEP, TERM_BYTES, TILE_BYTES
from mezzo.kernels.cpu.attention.weights import WIDTH
from mezzo.kernels.cpu.contract import lanes, micro
from mezzo.kernels.cpu.contract.lanes import MEMORY, SIZE, constant, splat, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

_KIND = wide("float", WIDTH)
_ZERO = f"{_KIND} zeroinitializer"
BESIDE = 4  # pairs of keys beside a step of a product
_COMBINE = "ptr %scores, ptr %p, ptr %left, ptr %right, ptr %lse, ptr %delta, float %by, float %scale, float %kept, ptr %keep"
_BLOCK = (
    "ptr %args, ptr %space, i64 %head, i64 %stretch, i64 %key, i64 %keys, i64 %query, i64 %queries"
)


def backward_tiles(program: Program, scheme: Scheme, mask: str | None, drop: bool) -> None:
    """Write the module."""
    products.products(program, scheme.terms)
    backward.delta(program, scheme)
    if drop:
        dropout.keep(program)
    _hide(program, mask)
    products.beside(
        program, scheme.terms, _COMBINE, BESIDE, ROWS // 2, lambda f: _combine(f, scheme, drop)
    )
    _weights(program, scheme, mask, drop)
    _gather(program, scheme)
    backward.store(program, scheme)
    _store_turned(program, scheme)
    _units(program, scheme)
    parts.entry(program, scheme)


class Places:
    """Where things lie in the workspace, and how many bytes apart."""

    def __init__(self, f: Function, scheme: Scheme, space: str):
        self.f, self.step_bytes = f, scheme.terms * TERM_BYTES
        self.across = BACK_QUERIES[scheme.terms] // COLUMNS
        self.grads = BACK_KEYS // ROWS * self.across * TILE_BYTES
        names = "ka va k2 qb gb q2 g2 s d p dq dk dv tiles rows keep".split()
        self.at = {name: f.at(space, word(f, "at_" + name)) for name in names}

    def deep(self, name: str, count: Value, depth: str) -> str:
        """A panel of 32 rows or columns, which are `depth` features or outputs deep."""
        steps = self.f.ceil_div(word(self.f, depth), STEP)
        panel = self.f.mul(steps, self.step_bytes)
        return self.f.at(self.at[name], self.f.mul(self.f.div(count, COLUMNS), panel))

    def long(self, name: str, n: Value, panel: str, begin: Value) -> str:
        """Panel n of those that have keys or queries along k, from one of them on."""
        skip = self.f.mul(self.f.div(begin, STEP), self.step_bytes)
        panel = self.f.mul(n, word(self.f, panel))
        return self.f.at(self.at[name], self.f.add(panel, skip))

    def made(self, name: str, count: Value, across: int) -> str:
        """A panel of p ("s") or d ("d": rows, "p": columns) of the block, which has `across` elements along k."""
        panel = across // STEP * self.step_bytes
        return self.f.at(self.at[name], self.f.mul(self.f.div(count, COLUMNS), panel))

    def tile(self, i: Value, j: Value) -> str:
        """The tile of scores of 32 keys and 32 queries of the block; gradients of weights lie `grads` bytes on."""
        n = self.f.add(self.f.mul(self.f.div(i, ROWS), self.across), self.f.div(j, COLUMNS))
        return self.f.at(self.at["tiles"], self.f.mul(n, TILE_BYTES))

    def sums(self, name: str, count: Value, across: str) -> str:
        """The tiles of 32 keys or queries, one for every 32 features or outputs."""
        tiles = self.f.mul(self.f.ceil_div(word(self.f, across), COLUMNS), TILE_BYTES)
        return self.f.at(self.at[name], self.f.mul(self.f.div(count, ROWS), tiles))


# ---- heads and stretches


def _units(program: Program, scheme: Scheme) -> None:
    queries_step = BACK_QUERIES[scheme.terms]
    with program.function("body", parts.BODY) as f:
        micro.open_tiles(f)
        causal = f.compare("ne", word(f, "causal"), 0)
        keys, queries = word(f, "keys"), word(f, "queries")
        with f.loop("%begin", "%end") as head:
            tensors = Tensors(f, BACKWARD, head)
            space = f.at(tensors.space, f.mul("%worker", word(f, "lane_bytes")))
            f.call("delta", "void", "ptr %args", f"ptr {space}", f"i64 {head}")
            _pack_queries(f, scheme, tensors, space)
            with f.loop(0, keys, BACK_STRETCH) as stretch:
                many = f.min(f.sub(keys, stretch), BACK_STRETCH)
                _pack_keys(f, scheme, tensors, space, stretch, many)
                begin = f.mul(f.div(stretch, queries_step), queries_step)
                with f.loop(f.select(causal, begin, 0), queries, queries_step) as query:
                    inside = f.min(f.sub(queries, query), queries_step)
                    seen = f.sub(f.add(query, inside), stretch)
                    limit = f.select(causal, f.min(many, seen), many)
                    with f.loop(0, limit, BACK_KEYS) as key:
                        count = f.min(f.sub(limit, key), BACK_KEYS)
                        given = (head, stretch, key, count, query, inside)
                        given = ("ptr %args", f"ptr {space}", *(f"i64 {x}" for x in given))
                        f.call("weights", "void", *given)
                        f.call("gather", "void", *given)
                seen = f.select(causal, f.sub(queries, stretch), f.mul(queries, many))
                seen = f.max(f.min(seen, many), 0)
                for name, columns in (("dk", "features"), ("dv", "outputs")):
                    for tiles, row, rows in (
                        (f.at(space, word(f, "at_" + name)), 0, seen),
                        ("null", seen, f.sub(many, seen)),  # keys that no query sees
                    ):
                        stride = word(f, name + "_row")
                        to = f.at(tensors.pointer(f, name), f.mul(f.add(stretch, row), stride))
                        f.call("store", "void", f"ptr {tiles}", f"ptr {to}", f"i64 {stride}", f"i64 {rows}",
                               f"i64 {word(f, columns)}")  # fmt: skip
            tiles = f.at(space, word(f, "at_dq"))
            tiles = f.select(f.compare("eq", keys, 0), "null", tiles, "ptr")
            f.call(
                "store_turned",
                "void",
                "ptr %args",
                f"ptr {tiles}",
                f"ptr {tensors.pointer(f, 'dq')}",
            )
        micro.close_tiles(f)


def _pack_queries(f: Function, scheme: Scheme, tensors: Tensors, space: str) -> None:
    """Panels of all queries and of their gradients, as columns and along k."""
    for name, columns in (("q", "features"), ("g", "outputs")):
        many = word(f, columns)
        short = f.at(space, word(f, f"at_{name}b")), _deep(f, scheme, many)
        long = f.at(space, word(f, f"at_{name}2")), word(f, "query_panel")
        kinds = {"columns": short, "zipped_columns" if scheme.terms > 1 else "turned_columns": long}
        panels.pack(f, scheme, tensors, name, 0, word(f, "queries"), many, **kinds)


def _pack_keys(
    f: Function, scheme: Scheme, tensors: Tensors, space: str, stretch: str, many: str
) -> None:
    """Panels of a stretch of keys and values, as rows; of keys also along k."""
    columns = word(f, "features")
    rows = f.at(space, word(f, "at_ka")), _deep(f, scheme, columns)
    turned = f.at(space, word(f, "at_k2")), word(f, "key_panel")
    panels.pack(f, scheme, tensors, "k", stretch, many, columns, rows=rows, turned_rows=turned)
    columns = word(f, "outputs")
    rows = f.at(space, word(f, "at_va")), _deep(f, scheme, columns)
    panels.pack(f, scheme, tensors, "v", stretch, many, columns, rows=rows)


def _deep(f: Function, scheme: Scheme, columns: str) -> str:
    """Bytes of a panel with so many columns along k."""
    return f.mul(f.ceil_div(columns, STEP), scheme.terms * TERM_BYTES)


# ---- blocks


def _weights(program: Program, scheme: Scheme, mask: str | None, drop: bool) -> None:
    """The terms of p and d of a block."""
    queries_step = BACK_QUERIES[scheme.terms]
    with program.function("weights", _BLOCK, attributes="noinline") as f:
        tensors, places = Tensors(f, BACKWARD, "%head"), Places(f, scheme, "%space")
        keep, scale = places.at["keep"], parts.factor(f)
        causal, first = f.compare("ne", word(f, "causal"), 0), f.add("%stretch", "%key")
        padded = f.mul(f.ceil_div(word(f, "queries"), COLUMNS), COLUMNS * 4)
        if drop:
            dropout.make(f, tensors, ("%query", "%queries", first, "%keys"), keep, 2 * BACK_KEYS)
        _scores(f, places, 0, 0, None)
        with f.loop(0, "%keys", ROWS) as i, f.loop(0, "%queries", COLUMNS) as j:
            rows, columns = f.min(f.sub("%keys", i), ROWS), f.min(f.sub("%queries", j), COLUMNS)
            query, tiles = f.add("%query", j), places.tile(i, j)
            by = _mask(
                f, tensors, mask, tiles, (f.add(first, i), rows, query, columns), causal, scale
            )
            right = f.at(places.made("p", j, BACK_KEYS), f.mul(f.div(i, STEP), places.step_bytes))
            skip = f.mul(f.div(j, STEP), places.step_bytes)
            lefts = [f.at(places.made(name, i, queries_step), skip) for name in ("s", "d")]
            bits = f.at(keep, f.add(f.mul(f.div(j, dropout.QUERIES), 2 * BACK_KEYS), f.mul(i, 2)))
            lse = f.at(places.at["rows"], f.mul(query, 4))
            pointers = (tiles, *lefts, right, lse, f.at(lse, padded))
            factors = (by, scale, parts.factor(f, name="kept"))
            made = (
                *(f"ptr {x}" for x in pointers),
                *(f"float {x}" for x in factors),
                f"ptr {bits}",
            )
            made = products.Beside(f, ROWS // 2, made)
            last = f.compare("sge", f.add(j, COLUMNS), "%queries")
            i, j = f.select(last, f.add(i, ROWS), i), f.select(last, 0, f.add(j, COLUMNS))
            with f.when(f.compare("slt", i, "%keys")):
                _scores(f, places, i, j, made)
            made.finish(ROWS // 2)


def _scores(f: Function, places: Places, i: Value, j: Value, made: products.Beside | None) -> None:
    """Multiply 32 keys by 32 queries of the block, and values by gradients."""
    for a, b, depth, skip in (("ka", "qb", "features", 0), ("va", "gb", "outputs", places.grads)):
        left, right = (
            places.deep(a, f.add("%key", i), depth),
            places.deep(b, f.add("%query", j), depth),
        )
        rows, columns = f.min(f.sub("%keys", i), ROWS), f.sub("%queries", j)
        product = (
            left,
            right,
            word(f, depth),
            "null",
            f.at(places.tile(i, j), skip),
            rows,
            columns,
        )
        if made:
            made.multiply(*product)
        else:
            products.multiply(f, *product)


def _mask(f, tensors, mask, tiles, where, causal, scale) -> str:
    """Call @hide unless every query sees every key as it is; by what scores are to be multiplied then."""
    key, rows, query, columns = where
    beyond = f.both(causal, f.compare("sgt", f.add(key, ROWS - 1), query))
    whole = f.both(f.compare("eq", rows, ROWS), f.compare("eq", columns, COLUMNS))
    by = f.variable("float", scale)
    hides = f.either(beyond, f.let(f"xor i1 {whole}, true")) if mask is None else "true"
    with f.when(hides):
        at, stride = "null", "0"
        if mask is not None:
            size, stride = SIZE["u8" if mask == "b8" else mask], word(f, "mask_row")
            at = f.at(f.at(tensors.pointer(f, "mask"), f.mul(key, stride)), f.mul(query, size))
        hidden = f.select(causal, f.sub(key, query), -ROWS)
        f.call("hide", "void", f"ptr {tiles}", f"i64 {rows}", f"i64 {columns}", f"i64 {hidden}", f"float {scale}",
               f"ptr {at}", f"i64 {stride}")  # fmt: skip
        f.store("float", "1.0", by)
    return f.load("float", by)


def _hide(program: Program, mask: str | None) -> None:
    """Scores (keys by queries) times %by, with the mask applied and -inf where a query does not see a key, in place.

    hidden: how many queries, from the first on, do not see the first key; each key one more.
    """
    parameters = (
        "ptr %scores, i64 %rows, i64 %columns, i64 %hidden, float %by, ptr %mask, i64 %mask_row"
    )
    size = SIZE["u8" if mask == "b8" else mask or "f32"]
    with program.function("hide", parameters, attributes="noinline") as f:
        by, lowest = splat(f, "float", "%by", WIDTH), constant("float", LOWEST, WIDTH)
        whole = f.compare("sge", f.min("%rows", "%columns"), ROWS)
        whole = f.both(whole, f.compare("sle", "%hidden", -ROWS))
        if mask is not None:
            with f.when(whole), f.loop(0, ROWS) as r:
                line = f.at("%mask", f.mul(r, "%mask_row"))
                for v in range(COLUMNS // WIDTH):
                    at = f.at("%scores", f.add(f.mul(r, COLUMNS * 4), v * WIDTH * 4))
                    piece = f.at(line, v * WIDTH * size)
                    f.prefetch(piece, COLUMNS * size, level=2)
                    value = parts.masked_whole(f, mask, f.load(_KIND, at, 16), by, piece)
                    f.store(_KIND, value, at, 16)
        with f.loop(f.select(whole, ROWS, 0) if mask is not None else 0, ROWS) as r:
            inside = f.select(f.compare("slt", r, "%rows"), "%columns", 0)
            line = f.at("%mask", f.mul(r, "%mask_row"))
            for v in range(COLUMNS // WIDTH):
                at = f.at("%scores", f.add(f.mul(r, COLUMNS * 4), v * WIDTH * 4))
                count = f.sub(inside, v * WIDTH)
                value = f.let(f"fmul {_KIND} {f.load(_KIND, at, 16)}, {by}")
                if mask is not None:
                    piece = f.at(line, v * WIDTH * size)
                    value = parts.masked(f, mask, value, piece, WIDTH, count)
                gone = lanes.mask(f, f.sub(f.add("%hidden", r), v * WIDTH), WIDTH)
                value = f.let(f"select <{WIDTH} x i1> {gone}, {_KIND} {lowest}, {_KIND} {value}")
                valid = lanes.mask(f, count, WIDTH)
                value = f.let(f"select <{WIDTH} x i1> {valid}, {_KIND} {value}, {_KIND} {lowest}")
                f.store(_KIND, value, at, 16)


def _combine(f: Function, scheme: Scheme, drop: bool) -> Callable[[str], None]:
    """Begin to make terms of p and d of a tile of scores and one of gradients of weights: what writes two keys, which are a pair."""
    vectors, count = range(COLUMNS // WIDTH), scheme.terms
    by, scale, kept = (splat(f, "float", x, WIDTH) for x in ("%by", "%scale", "%kept"))
    both = f.let(f"fmul {_KIND} {scale}, {kept}") if drop else scale
    less, delta = [], []
    for v in vectors:
        lse = f.load(_KIND, f.at("%lse", v * WIDTH * 4), 4)
        less.append(f.let(f"fneg {_KIND} {lse}"))
        scaled = f.let(f"fmul {_KIND} {f.load(_KIND, f.at('%delta', v * WIDTH * 4), 4)}, {scale}")
        delta.append(f.let(f"fneg {_KIND} {scaled}"))

    def write(number: str) -> None:
        pair = f.mul(number, 2)
        ds = []
        for r in (pair, f.add(pair, 1)):
            made = []
            for v in vectors:
                place = f.at("%scores", f.add(f.mul(r, COLUMNS * 4), v * WIDTH * 4))
                stays = _stays(f, BACK_KEYS, r, v) if drop else ""
                given = (by, less[v], both, delta[v], kept, stays)
                made.append(_weight(f, scheme, place, given))
            ds.append([weights.cut(f, d, count, infinite=True) for _, d in made])
            ps = [weights.cut(f, p, count, fills=True) for p, _ in made]
            for to, (low, high) in (("%p", ps), ("%left", ds[-1])):
                line = f.at(to, f.mul(r, 2 * STEP))
                for term in range(count):
                    x = weights.halves(f, low[term], high[term], count)
                    f.store(f"<{STEP} x i16>", x, f.at(line, term * TERM_BYTES), 16)
        line = f.at("%right", f.mul(pair, 2 * COLUMNS))
        for v in vectors:
            for term in range(count):
                x = weights.halves(f, ds[0][v][term], ds[1][v][term], count, pairs=True)
                f.store(f"<{STEP} x i16>", x, f.at(line, term * TERM_BYTES + v * WIDTH * 4), 16)

    return write


def _stays(f: Function, pitch: int, r: str, v: int) -> str:
    """Which of 16 queries keep key r."""
    return dropout.kept_queries(f, f.at("%keep", v * 2 * pitch), 0, r, WIDTH)


def _weight(f: Function, scheme: Scheme, place: str, given: tuple[str, ...]) -> tuple[str, str]:
    """The weights by which values are multiplied, and the gradients of scores, both 0 where a weight is."""
    by, less, scale, delta, kept, stays = given
    grads = BACK_KEYS // ROWS * (BACK_QUERIES[scheme.terms] // COLUMNS) * TILE_BYTES
    x = weights.fma(f, f.load(_KIND, place, 16), by, less)
    y = f.let(f"fmul {_KIND} {x}, {weights.vector(weights.LOG2_E)}")
    weight = weights.power(f, y, weights.SHORT if scheme.terms == 1 else weights.FULL)
    some = f.let(f"fcmp une {_KIND} {weight}, zeroinitializer")
    given_on, grad = weight, f.load(_KIND, f.at(place, grads), 16)
    if stays:
        larger = f.let(f"fmul {_KIND} {weight}, {kept}")
        given_on, grad = (
            f.let(f"select <{WIDTH} x i1> {stays}, {_KIND} {x}, {_ZERO}") for x in (larger, grad)
        )
    grad = weights.fma(f, grad, scale, delta)
    grad = f.let(f"fmul {_KIND} {weight}, {grad}")
    return given_on, f.let(f"select <{WIDTH} x i1> {some}, {_KIND} {grad}, {_ZERO}")


def _gather(program: Program, scheme: Scheme) -> None:
    """The products with p and d of a block, added to those of the queries before, if any see these keys."""
    queries_step = BACK_QUERIES[scheme.terms]
    with program.function("gather", _BLOCK, attributes="noinline") as f:
        places, causal = Places(f, scheme, "%space"), f.compare("ne", word(f, "causal"), 0)
        for name, made, panels, columns in (
            ("dv", "s", "g2", "outputs"),
            ("dk", "d", "q2", "features"),
        ):
            with f.loop(0, "%keys", ROWS) as i:
                rows, left = f.min(f.sub("%keys", i), ROWS), places.made(made, i, queries_step)
                key = f.add(f.add("%stretch", "%key"), i)
                begin = f.mul(f.div(key, queries_step), queries_step)
                fresh = f.compare("eq", "%query", f.select(causal, begin, 0))
                sums, many = places.sums(name, f.add("%key", i), columns), word(f, columns)
                with f.loop(0, f.ceil_div(many, COLUMNS)) as n:
                    tile = f.at(sums, f.mul(n, TILE_BYTES))
                    right = places.long(panels, n, "query_panel", "%query")
                    start = f.select(fresh, "null", tile, "ptr")
                    products.multiply(f, left, right, "%queries", start, tile, rows,
                                      f.sub(many, f.mul(n, COLUMNS)))  # fmt: skip
        first = f.compare("eq", f.add("%stretch", "%key"), 0)
        with f.loop(0, "%queries", COLUMNS) as j:
            columns, right = f.min(f.sub("%queries", j), COLUMNS), places.made("p", j, BACK_KEYS)
            sums, many = places.sums("dq", f.add("%query", j), "features"), word(f, "features")
            with f.loop(0, f.ceil_div(many, ROWS)) as n:
                tile, left = (
                    f.at(sums, f.mul(n, TILE_BYTES)),
                    places.long("k2", n, "key_panel", "%key"),
                )
                start = f.select(first, "null", tile, "ptr")
                products.multiply(
                    f, left, right, "%keys", start, tile, f.sub(many, f.mul(n, ROWS)), columns
                )


def _store_turned(program: Program, scheme: Scheme) -> None:
    """Tiles of dq, features by queries, as rows of queries; null: zeros."""
    size, kind = SIZE[scheme.out], wide(MEMORY[scheme.out], WIDTH)
    with program.function(
        "store_turned", "ptr %args, ptr %tiles, ptr %to", attributes="noinline"
    ) as f:
        queries, features, stride = (word(f, n) for n in ("queries", "features", "dq_row"))
        none, panels = f.let("icmp eq ptr %tiles, null"), f.ceil_div(features, ROWS)
        lines = [f.variable(_KIND, "zeroinitializer") for _ in range(WIDTH)]
        with f.loop(0, queries, WIDTH) as q, f.loop(0, features, WIDTH) as c:
            with f.unless(none):
                tile = f.add(f.mul(f.div(q, COLUMNS), panels), f.div(c, ROWS))
                inside = f.add(f.mul(f.rem(c, ROWS), COLUMNS * 4), f.mul(f.rem(q, COLUMNS), 4))
                here = f.at("%tiles", f.add(f.mul(tile, TILE_BYTES), inside))
                square = [f.load(_KIND, f.at(here, i * COLUMNS * 4), 16) for i in range(WIDTH)]
                for line, x in zip(lines, lanes.transpose(f, "float", WIDTH, square)):
                    f.store(_KIND, x, line)
            left = f.sub(features, c)
            for i, line in enumerate(lines):
                row = f.add(q, i)
                to = f.at(f.at("%to", f.mul(row, stride)), f.mul(c, size))
                raw = lanes.narrow(f, f.load(_KIND, line), "f32", scheme.out, WIDTH)
                count = f.select(f.compare("slt", row, queries), left, 0)
                full = f.compare("sge", count, WIDTH)
                with f.when(full):
                    f.store(kind, raw, to, size)
                with f.unless(full):
                    lanes.store_some(f, raw, to, scheme.out, WIDTH, count)
