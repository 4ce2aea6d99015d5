"""The backward pass on tile registers. A unit is a head; what is made is what backward.py makes, transposed (keys by queries).

Queries and their gradients are packed once for a head, keys and values once for a stretch of keys, all as terms of
bfloat16. A block of keys and a block of queries at a time:

    scores     products of keys and queries, of values and gradients, on tile registers
    weights    p and d, on vector units, a square of keys and queries at a time; and their terms: those of d twice, as
               rows (keys) of a left operand and as columns (queries) of a right one
    sums       dv += p g,  dk += d q,  dq^T += k^T d, on tile registers

The weights of a square are made between the tile products of what does not depend on them: the scores of the next square, and a
share of the sums of the block before, whose p and d wait in one of two places that alternate.

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
BESIDE = 2  # pairs of keys beside a step of a product
_MASKED = ("float", "ptr", "i64")
_COMBINE = "ptr %scores, ptr %p, ptr %left, ptr %right, ptr %lse, ptr %delta, float %by, float %scale, float %kept, ptr %keep, ptr %later, i64 %mask_row, ptr %mask, i64 %step"
_BLOCK = "ptr %args, ptr %space, i64 %head, i64 %stretch, i64 %key, i64 %keys, i64 %query, i64 %queries, ptr %waiting"


def backward_tiles(program: Program, scheme: Scheme, mask: str | None, drop: bool) -> None:
    """Write the module."""
    products.products(program, scheme.terms)
    backward.delta(program, scheme)
    if drop:
        dropout.keep(program)
    _hide(program, mask)
    products.beside(
        program,
        scheme.terms,
        _COMBINE,
        BESIDE,
        ROWS // 2,
        lambda f: _combine(f, scheme, mask, drop),
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
        self.block = BACK_KEYS[scheme.terms], BACK_QUERIES[scheme.terms]
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

    def made(self, name: str, count: Value, side: Value) -> str:
        """A panel of p ("s") or d ("d": rows, "p": columns) of the block whose p and d are on that side."""
        keys, queries = self.block
        across = keys if name == "p" else queries
        block = keys * queries // (STEP * COLUMNS) * self.step_bytes
        panel = self.f.mul(self.f.div(count, COLUMNS), across // STEP * self.step_bytes)
        return self.f.at(self.at[name], self.f.add(self.f.mul(side, block), panel))

    def tile(self, number: Value) -> str:
        """The tile of scores of 32 keys and 32 queries; gradients of weights lie behind it. There are two of both, in turn."""
        return self.f.at(self.at["tiles"], self.f.mul(self.f.rem(number, 2), 2 * TILE_BYTES))

    def sums(self, name: str, count: Value, across: str) -> str:
        """The tiles of 32 keys or queries, one for every 32 features or outputs."""
        tiles = self.f.mul(self.f.ceil_div(word(self.f, across), COLUMNS), TILE_BYTES)
        return self.f.at(self.at[name], self.f.mul(self.f.div(count, ROWS), tiles))


# ---- heads and stretches


def _units(program: Program, scheme: Scheme) -> None:
    keys_step, queries_step = BACK_KEYS[scheme.terms], BACK_QUERIES[scheme.terms]
    with program.function("body", parts.BODY) as f:
        micro.open_tiles(f)
        causal = f.compare("ne", word(f, "causal"), 0)
        keys, queries = word(f, "keys"), word(f, "queries")
        waiting = f.array(8 * len(_Sums.FIELDS))
        with f.loop("%begin", "%end") as head:
            tensors = Tensors(f, BACKWARD, head)
            space = f.at(tensors.space, f.mul("%worker", word(f, "lane_bytes")))
            f.call("delta", "void", "ptr %args", f"ptr {space}", f"i64 {head}")
            _pack_queries(f, scheme, tensors, space)
            with f.loop(0, keys, BACK_STRETCH) as stretch:
                many = f.min(f.sub(keys, stretch), BACK_STRETCH)
                _pack_keys(f, scheme, tensors, space, stretch, many)
                begin = f.mul(f.div(stretch, queries_step), queries_step)
                sums = ("ptr %args", f"ptr {space}", f"i64 {stretch}", f"ptr {waiting}")
                _Sums.none(f, waiting)
                with f.loop(f.select(causal, begin, 0), queries, queries_step) as query:
                    inside = f.min(f.sub(queries, query), queries_step)
                    seen = f.sub(f.add(query, inside), stretch)
                    limit = f.select(causal, f.min(many, seen), many)
                    with f.loop(0, limit, keys_step) as key:
                        count = f.min(f.sub(limit, key), keys_step)
                        given = (head, stretch, key, count, query, inside)
                        f.call("weights", "void", "ptr %args", f"ptr {space}", *(f"i64 {x}" for x in given),
                               f"ptr {waiting}")  # fmt: skip
                        if scheme.terms == 1:
                            f.call("gather", "void", *sums)
                if scheme.terms > 1:
                    f.call("gather", "void", *sums)
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
    """The terms of p and d of a block, beside the sums of the one before."""
    with program.function("weights", _BLOCK, attributes="noinline") as f:
        tensors, places = Tensors(f, BACKWARD, "%head"), Places(f, scheme, "%space")
        keep, scale, pitch = places.at["keep"], parts.factor(f), 2 * places.block[0]
        causal, first = f.compare("ne", word(f, "causal"), 0), f.add("%stretch", "%key")
        padded = f.mul(f.ceil_div(word(f, "queries"), COLUMNS), COLUMNS * 4)
        if drop:
            dropout.make(f, tensors, ("%query", "%queries", first, "%keys"), keep, pitch)
        before, product = _Sums(f, places, "%waiting"), products.Products(f, scheme.terms)
        across = f.ceil_div("%queries", COLUMNS)
        tiles = f.mul(f.ceil_div("%keys", ROWS), across)
        side = f.sub(1, before.side)
        neutral = _neutral(f, mask)
        _scores(f, places, 0, across, product, None)
        with f.loop(0, tiles) as n:
            i, j = f.mul(f.div(n, across), ROWS), f.mul(f.rem(n, across), COLUMNS)
            rows, columns = f.min(f.sub("%keys", i), ROWS), f.min(f.sub("%queries", j), COLUMNS)
            query, tile = f.add("%query", j), places.tile(n)
            where = (f.add(first, i), rows, query, columns)
            by, at_mask, stride = _mask(f, tensors, mask, neutral, tile, where, causal, scale)
            skip = f.mul(f.div(i, STEP), places.step_bytes)
            right = f.at(places.made("p", j, side), skip)
            skip = f.mul(f.div(j, STEP), places.step_bytes)
            lefts = [f.at(places.made(name, i, side), skip) for name in ("s", "d")]
            bits = f.at(keep, f.add(f.mul(f.div(j, dropout.QUERIES), pitch), f.mul(i, 2)))
            lse = f.at(places.at["rows"], f.mul(query, 4))
            pointers = (tile, *lefts, right, lse, f.at(lse, padded))
            factors = (by, scale, parts.factor(f, name="kept"))
            made = (
                *(f"ptr {x}" for x in pointers),
                *(f"float {x}" for x in factors),
                f"ptr {bits}",
            )
            made = products.Beside(
                f,
                ROWS // 2,
                (
                    *made,
                    *_later(f, tensors, mask, n, across, tiles),
                    f"ptr {at_mask}",
                    f"i64 {stride}",
                ),
            )
            after = f.add(n, 1)
            with f.when(f.compare("slt", after, tiles)):
                _scores(f, places, after, across, product, made)
            share = [f.div(f.mul(before.count, x), tiles) for x in (n, after)]
            with f.loop(*share) as number:
                before.multiply(number, product, made)
            made.finish(ROWS // 2)
        product.finish()
        before.follow(side)


def _scores(
    f: Function, places: Places, n: Value, across: str, product: products.Products, made: products.Beside | None,
) -> None:  # fmt: skip
    """Multiply 32 keys by 32 queries of the block, and values by gradients: its square n."""
    i, j = f.mul(f.div(n, across), ROWS), f.mul(f.rem(n, across), COLUMNS)
    rows, columns = f.min(f.sub("%keys", i), ROWS), f.sub("%queries", j)
    for a, b, depth, skip in (("ka", "qb", "features", 0), ("va", "gb", "outputs", TILE_BYTES)):
        left, right = (
            places.deep(a, f.add("%key", i), depth),
            places.deep(b, f.add("%query", j), depth),
        )
        to = f.at(places.tile(n), skip)
        product.multiply(left, right, word(f, depth), "null", to, rows, columns, made)


def _mask(f, tensors, mask, neutral, tiles, where, causal, scale) -> tuple[str, str, str]:
    """By what scores are to be multiplied, and the mask for them then and its stride (null: none).

    Unless the square is whole and every query sees every key, @hide has done both, and the mask is a line that changes nothing.
    """
    key, rows, query, columns = where
    beyond = f.both(causal, f.compare("sgt", f.add(key, ROWS - 1), query))
    whole = f.both(f.compare("eq", rows, ROWS), f.compare("eq", columns, COLUMNS))
    at, stride = "null", "0"
    if mask is not None:
        stride = word(f, "mask_row")
        at = f.at(tensors.pointer(f, "mask"), f.mul(key, stride))
        at = f.at(at, f.mul(query, parts.mask_size(mask)))
    found = [f.variable(kind, x) for kind, x in zip(_MASKED, (scale, at, stride))]
    for slot, kind, x in zip(found, _MASKED, (scale, at, stride)):
        f.store(kind, x, slot)
    with f.when(f.either(beyond, f.let(f"xor i1 {whole}, true"))):
        hidden = f.select(causal, f.sub(key, query), -ROWS)
        f.call("hide", "void", f"ptr {tiles}", f"i64 {rows}", f"i64 {columns}", f"i64 {hidden}", f"float {scale}",
               f"ptr {at}", f"i64 {stride}")  # fmt: skip
        for slot, kind, x in zip(found, _MASKED, ("1.0", neutral, "0")):
            f.store(kind, x, slot)
    by, at, stride = (f.load(kind, slot) for kind, slot in zip(_MASKED, found))
    return by, at, stride


def _neutral(f: Function, mask: str | None) -> str:
    """A line of a mask that changes no score."""
    if mask is None:
        return "null"
    line = f.array(COLUMNS * parts.mask_size(mask))
    byte = 1 if mask == "b8" else 0
    for at in range(0, COLUMNS * parts.mask_size(mask), COLUMNS):
        f.store(f"<{COLUMNS} x i8>", constant("i8", byte, COLUMNS), f.at(line, at), COLUMNS)
    return line


def _later(f, tensors, mask, n, across, tiles) -> tuple[str, str]:
    """Where the mask of square n + 2 begins, which may be one of the next keys; and its stride: operands of `_combine`."""
    if mask is None:
        return "ptr null", "i64 0"
    n, stride = f.add(n, 2), word(f, "mask_row")
    beyond = f.compare("sge", n, tiles)
    n = f.select(beyond, f.sub(n, tiles), n)
    key = f.add(f.add("%stretch", "%key"), f.mul(f.div(n, across), ROWS))
    key = f.select(beyond, f.add(key, "%keys"), key)
    query = f.add("%query", f.mul(f.rem(n, across), COLUMNS))
    at = f.at(tensors.pointer(f, "mask"), f.mul(key, stride))
    return f"ptr {f.at(at, f.mul(query, parts.mask_size(mask)))}", f"i64 {stride}"


def _hide(program: Program, mask: str | None) -> None:
    """Scores (keys by queries) times %by, with the mask applied and -inf where a query does not see a key, in place.

    hidden: how many queries, from the first on, do not see the first key; each key one more.
    """
    parameters = (
        "ptr %scores, i64 %rows, i64 %columns, i64 %hidden, float %by, ptr %mask, i64 %mask_row"
    )
    size = parts.mask_size(mask)
    with program.function("hide", parameters, attributes="noinline") as f:
        by, lowest = splat(f, "float", "%by", WIDTH), constant("float", LOWEST, WIDTH)
        with f.loop(0, ROWS) as r:
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


def _combine(f: Function, scheme: Scheme, mask: str | None, drop: bool) -> Callable[[str], None]:
    """Begin to make terms of p and d of a tile of scores and one of gradients of weights: what writes two keys, which are a pair.

    What lies at %later of the mask will be wanted for the tile after the next one.
    """
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
            if mask is not None:
                line = f.at("%mask", f.mul(r, "%step"))
                for at in parts.asked_for(COLUMNS * parts.mask_size(mask)):
                    f.prefetch(f.at("%later", f.mul(r, "%mask_row")), at, level=2)
            for v in vectors:
                place = f.at("%scores", f.add(f.mul(r, COLUMNS * 4), v * WIDTH * 4))
                stays = _stays(f, BACK_KEYS[count], r, v) if drop else ""
                score, times = f.load(_KIND, place, 16), by
                if mask is not None:
                    piece = f.at(line, v * WIDTH * parts.mask_size(mask))
                    score, times = parts.masked_whole(f, mask, score, by, piece), ""
                given = (times, less[v], both, delta[v], kept, stays)
                made.append(_weight(f, count, score, f.at(place, TILE_BYTES), given))
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


def _weight(
    f: Function, count: int, score: str, grad: str, given: tuple[str, ...]
) -> tuple[str, str]:
    """The weights by which values are multiplied, and the gradients of scores, both 0 where a weight is."""
    by, less, scale, delta, kept, stays = given
    x = weights.fma(f, score, by, less) if by else f.let(f"fadd {_KIND} {score}, {less}")
    y = f.let(f"fmul {_KIND} {x}, {weights.vector(weights.LOG2_E)}")
    weight = weights.power(f, y, weights.SHORT if count == 1 else weights.FULL)
    some = f.let(f"fcmp une {_KIND} {weight}, zeroinitializer")
    given_on, grad = weight, f.load(_KIND, grad, 16)
    if stays:
        larger = f.let(f"fmul {_KIND} {weight}, {kept}")
        given_on, grad = (
            f.let(f"select <{WIDTH} x i1> {stays}, {_KIND} {x}, {_ZERO}") for x in (larger, grad)
        )
    grad = weights.fma(f, grad, scale, delta)
    grad = f.let(f"fmul {_KIND} {weight}, {grad}")
    return given_on, f.let(f"select <{WIDTH} x i1> {some}, {_KIND} {grad}, {_ZERO}")


class _Sums:
    """The products with p and d of the block that waits, by number, added to those of the queries before, if any see its keys."""

    FIELDS = ("count", "side", "key", "keys", "query", "queries")

    def __init__(self, f: Function, places: Places, waiting: str):
        self.f, self.places, self.waiting = f, places, waiting
        for name in self.FIELDS:
            setattr(self, name, self._load(name))
        self.panels = {name: f.ceil_div(word(f, name), COLUMNS) for name in ("features", "outputs")}

    @classmethod
    def none(cls, f: Function, waiting: str) -> None:
        """Let no block wait."""
        for i, _ in enumerate(cls.FIELDS):
            f.store("i64", 0, f.at(waiting, 8 * i), 8)

    def _load(self, name: str) -> str:
        return self.f.load("i64", self.f.at(self.waiting, 8 * self.FIELDS.index(name)), 8)

    def _counts(self, keys: Value, queries: Value) -> list[str]:
        """How many products dv, dk and dq take."""
        f, high = self.f, [self.f.ceil_div(many, ROWS) for many in (keys, keys, queries)]
        return [
            f.mul(n, self.panels[name])
            for n, name in zip(high, ("outputs", "features", "features"))
        ]

    def follow(self, side: str) -> None:
        """Let the block %key, %query of this function wait instead, with p and d on that side."""
        f = self.f
        values, keys, queries = self._counts("%keys", "%queries")
        count = f.add(f.add(values, keys), queries)
        found = (count, side, "%key", "%keys", "%query", "%queries")
        for i, value in enumerate(found):
            f.store("i64", value, f.at(self.waiting, 8 * i), 8)

    def multiply(
        self, number: str, product: products.Products, made: products.Beside | None
    ) -> None:
        """Product `number` of self.count."""
        f = self.f
        values, keys, _ = self._counts(self.keys, self.queries)
        others, queries = f.sub(number, values), f.sub(number, f.add(values, keys))
        is_value, is_query = f.compare("slt", others, 0), f.compare("sge", queries, 0)
        with f.when(is_value):
            operands = self._by_keys("dv", "s", "g2", "outputs", number)
            product.multiply(*operands, made)
        with f.unless(f.either(is_value, is_query)):
            operands = self._by_keys("dk", "d", "q2", "features", others)
            product.multiply(*operands, made)
        with f.when(is_query):
            product.multiply(*self._by_queries(queries), made)

    def _by_keys(self, name: str, left: str, right: str, columns: str, number: str) -> tuple:
        """The operands for dv or dk of 32 keys and a panel of columns."""
        f, places, queries_step = self.f, self.places, self.places.block[1]
        i = f.mul(f.div(number, self.panels[columns]), ROWS)
        n = f.rem(number, self.panels[columns])
        first = f.mul(f.div(f.add(f.add("%stretch", self.key), i), queries_step), queries_step)
        first = f.select(f.compare("ne", word(f, "causal"), 0), first, 0)
        tile = f.at(places.sums(name, f.add(self.key, i), columns), f.mul(n, TILE_BYTES))
        start = f.select(f.compare("eq", self.query, first), "null", tile, "ptr")
        left = places.made(left, i, self.side)
        right = places.long(right, n, "query_panel", self.query)
        rows, across = f.min(f.sub(self.keys, i), ROWS), f.sub(word(f, columns), f.mul(n, COLUMNS))
        return left, right, self.queries, start, tile, rows, across

    def _by_queries(self, number: str) -> tuple:
        """The operands for dq of 32 queries and a panel of features, which are its rows."""
        f, places = self.f, self.places
        j = f.mul(f.div(number, self.panels["features"]), COLUMNS)
        n = f.rem(number, self.panels["features"])
        tile = f.at(places.sums("dq", f.add(self.query, j), "features"), f.mul(n, TILE_BYTES))
        first = f.compare("eq", f.add("%stretch", self.key), 0)
        start = f.select(first, "null", tile, "ptr")
        left, right = places.long("k2", n, "key_panel", self.key), places.made("p", j, self.side)
        rows, across = f.sub(word(f, "features"), f.mul(n, ROWS)), f.min(f.sub(self.queries, j), COLUMNS)  # fmt: skip
        return left, right, self.keys, start, tile, rows, across


def _gather(program: Program, scheme: Scheme) -> None:
    """All products with p and d of the block that waits."""
    parameters = "ptr %args, ptr %space, i64 %stretch, ptr %waiting"
    with program.function("gather", parameters, attributes="noinline") as f:
        last = _Sums(f, Places(f, scheme, "%space"), "%waiting")
        product = products.Products(f, scheme.terms)
        with f.loop(0, last.count) as number:
            last.multiply(number, product, None)
        product.finish()
        _Sums.none(f, "%waiting")


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
