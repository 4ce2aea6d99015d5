"""The forward pass on tile registers. A unit is a chunk of the queries of one head.

Keys and values of a head are packed once, as terms of bfloat16. Then stretches of BLOCK_ROWS queries go through blocks of
keys that fit into a cache, a panel of 32 queries at a time, UNIT keys at a time:

    scores     products of queries and keys, on tile registers
    bases      masks are applied, maxima found, and what was summed before shrinks if a maximum rose
    weights    2**(score - base), on vector units
    sums       products of weights and values, on tile registers, once there are weights of some hundred keys

Scores of a unit stay in the first cache. Tile products run in a unit of their own, so the weights of a unit are made
row by row between the tile products of what does not depend on them: the scores of the next unit, and the sums of weights
made before (docs/performance.md says what that brings for how many vector instructions).

A base is not always the maximum: it follows it only when that is more than 2**SLACK above, because weights may as well
be larger than one, and what was summed before then need not shrink.
"""

from __future__ import annotations

from collections.abc import Callable

from mezzo.kernels.cpu import target
from mezzo.kernels.cpu.attention import dropout, forward, panels, parts, products, weights
from mezzo.kernels.cpu.attention.block import BLOCK_ROWS, FORWARD, KEYS, UNIT
from mezzo.kernels.cpu.attention.parts import LOWEST, Tensors, word
from mezzo.kernels.cpu.attention.products import COLUMNS, ROWS, STEP, TERM_BYTES, TILE_BYTES
from mezzo.kernels.cpu.attention.weights import LN2, LOG2_E, WIDTH, number
from mezzo.kernels.cpu.contract import lanes, micro
from mezzo.kernels.cpu.contract.lanes import constant, splat, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

SLACK = 8.0
_KIND = wide("float", WIDTH)
_ROW_BYTES = WIDTH * 4  # of a row's partial sums
NAN = "0x7FF8000000000000"
_ZERO_POINT = weights.FRACTION * weights.BIAS
_UNIT_BYTES = UNIT // COLUMNS * TILE_BYTES  # of the scores of a unit
BESIDE = 4  # rows of weights beside a step of a product
_WEIGHTS = "ptr %scores, ptr %weights, ptr %added, ptr %totals, float %factor, ptr %keep, ptr %later, i64 %mask_row"


def is_short(scheme: Scheme, drop: bool) -> bool:
    """Whether weights are made in lanes of 16 bits."""
    return scheme.terms == 1 and not drop and target.host().has_avx512_fp16


def is_natural(mask: str | None) -> bool:
    """Whether numbers are added to scores, so that bases are scores and not exponents of two."""
    return mask not in (None, "b8")


def forward_tiles(program: Program, scheme: Scheme, mask: str | None, drop: bool) -> None:
    """Write the module."""
    short, natural = is_short(scheme, drop), is_natural(mask)
    products.products(program, scheme.terms)
    if drop:
        dropout.keep(program)
    _hide(program, mask, short)
    _follow(program, short, natural)
    _rise(program, scheme)
    _weights(program, scheme, mask, short, drop)
    _total(program, natural)
    forward.store(program, scheme)
    _panel(program, scheme, mask, drop, short and not natural)
    _units(program, scheme, mask, short)
    parts.entry(program, scheme)


# ---- scores to weights


def _four(f: Function, scores: str, r: Value) -> list[str]:
    """Where the vectors of a row of scores lie."""
    line = f.at(scores, f.mul(r, COLUMNS * 4))
    return [f.at(line, TILE_BYTES * (v // 2) + 64 * (v % 2)) for v in range(UNIT // WIDTH)]


def _larger(f: Function, value: str, best: str) -> str:
    """The larger of each pair, and `best` where value is NaN: one instruction."""
    above = f.let(f"fcmp ogt {_KIND} {value}, {best}")
    return f.let(f"select <{WIDTH} x i1> {above}, {_KIND} {value}, {_KIND} {best}")


def _plus(f: Function, a: str, b: str) -> str:
    return f.let(f"fadd {_KIND} {a}, {b}")


def _paired(fold, vectors: list[str]) -> str:
    """All vectors as one, two at a time."""
    while len(vectors) > 1:
        vectors = [fold(*pair) for pair in zip(vectors[::2], vectors[1::2])]
    return vectors[0]


def _hide(program: Program, mask: str | None, short: bool) -> None:
    """Scores times %by with the mask applied and hidden keys at -inf, in place.

    left: keys from the first on; seen: how many of them the first row sees, each row one more if steps is 1.
    """
    parameters = "ptr %scores, i64 %rows, i64 %left, i64 %seen, i64 %steps, float %by, ptr %mask, i64 %mask_row"
    size = parts.mask_size(mask)
    with program.function("hide", parameters, attributes="noinline") as f:
        by, lowest = splat(f, "float", "%by", WIDTH), constant("float", LOWEST, WIDTH)
        whole = f.compare("sge", f.min("%left", "%seen"), UNIT)
        if mask is not None:
            with f.when(whole), f.loop(0, "%rows") as r:
                line = f.at("%mask", f.mul(r, "%mask_row"))
                for v, at in enumerate(_four(f, "%scores", r)):
                    piece = f.at(line, v * WIDTH * size)
                    if short:
                        f.prefetch(piece, UNIT * size, level=2)
                    value = parts.masked_whole(f, mask, f.load(_KIND, at, 16), by, piece)
                    f.store(_KIND, value, at, 16)
        with f.loop(f.select(whole, "%rows", 0) if mask is not None else 0, "%rows") as r:
            visible = f.min("%left", f.add("%seen", f.mul(r, "%steps")))
            line = f.at("%mask", f.mul(r, "%mask_row"))
            for v, at in enumerate(_four(f, "%scores", r)):
                count = f.sub(visible, v * WIDTH)
                value = f.let(f"fmul {_KIND} {f.load(_KIND, at, 16)}, {by}")
                if mask is not None:
                    piece = f.at(line, v * WIDTH * size)
                    value = parts.masked(f, mask, value, piece, WIDTH, count)
                valid = lanes.mask(f, count, WIDTH)
                value = f.let(f"select <{WIDTH} x i1> {valid}, {_KIND} {value}, {_KIND} {lowest}")
                f.store(_KIND, value, at, 16)


def _follow(program: Program, short: bool, natural: bool) -> None:
    """Bring the bases of a panel's rows up to date; the result has a bit set for every row whose base rose.

    bases: 32 bases, what is added to scores in their stead (0 where nothing was seen yet), by what sums shrink, and what
    is added in the fixed point of 16 bits. Short weights stay below one. natural: bases are scores, else exponents of two;
    numbers that a mask adds may be so large that only the difference of two of them is known to a bit.
    """
    slack, lift = ((x * LN2 if natural else x) for x in ((0.0, SLACK) if short else (SLACK, 0.0)))
    with program.function(
        "follow", "ptr %scores, ptr %bases, float %factor", "i64", attributes="noinline"
    ) as f:
        factor, lowest = splat(f, "float", "%factor", WIDTH), constant("float", LOWEST, WIDTH)
        risen = []

        def larger(a: str, b: str) -> str:
            return _larger(f, a, b)

        for first in range(0, ROWS, WIDTH):
            rows = [
                _paired(larger, [f.load(_KIND, at, 16) for at in _four(f, "%scores", r)])
                for r in range(first, first + WIDTH)
            ]
            top = weights.folded(f, rows, larger)
            if not natural:
                top = f.let(f"fmul {_KIND} {top}, {factor}")
            place = f.at("%bases", first * 4)
            old = f.load(_KIND, place, 4)
            bound = f.let(f"fadd {_KIND} {old}, {weights.vector(slack)}")
            rises = f.let(f"fcmp ogt {_KIND} {top}, {bound}")
            bits = f.let(f"bitcast <{WIDTH} x i1> {rises} to i16")
            with f.when(f.let(f"icmp ne i16 {bits}, 0")):
                above = f.let(f"fadd {_KIND} {top}, {weights.vector(lift)}")
                new = f.let(f"select <{WIDTH} x i1> {rises}, {_KIND} {above}, {_KIND} {old}")
                f.store(_KIND, new, place, 4)
                none = f.let(f"fcmp oeq {_KIND} {new}, {lowest}")
                used = f.let(
                    f"select <{WIDTH} x i1> {none}, {_KIND} zeroinitializer, {_KIND} {new}"
                )
                added = f.let(f"fneg {_KIND} {used}")
                f.store(_KIND, added, f.at(place, ROWS * 4), 4)
                fixed = (weights.vector(weights.FRACTION), weights.vector(_ZERO_POINT))
                f.store(_KIND, weights.fma(f, added, *fixed), f.at(place, 3 * ROWS * 4), 4)
                down = f.let(f"fsub {_KIND} {old}, {used}")
                if natural:
                    down = f.let(f"fmul {_KIND} {down}, {factor}")
                by = weights.power(f, down, weights.FULL)
                f.store(_KIND, by, f.at(place, 2 * ROWS * 4), 4)
            risen.append(f.let(f"zext i16 {bits} to i64"))
        high = f.let(f"shl i64 {risen[1]}, {WIDTH}")
        f.do(f"ret i64 {f.let(f'or i64 {risen[0]}, {high}')}")


def _rise(program: Program, scheme: Scheme) -> None:
    """Shrink what was summed of the rows whose bit is set."""
    parameters = "ptr %args, i64 %risen, ptr %shrinks, ptr %totals, ptr %sums, i64 %rows"
    with program.function("rise", parameters, attributes="noinline") as f, f.loop(0, "%rows") as r:
        with f.when(f.let(f"trunc i64 {f.let(f'lshr i64 %risen, {r}')} to i1")):
            by = f.load("float", f.at("%shrinks", f.mul(r, 4)), 4)
            total = f.at("%totals", f.mul(r, _ROW_BYTES))
            every = splat(f, "float", by, WIDTH)
            f.store(_KIND, f.let(f"fmul {_KIND} {f.load(_KIND, total, 16)}, {every}"), total, 16)
            parts.shrink(f, scheme, r, by)


def _weights(program: Program, scheme: Scheme, mask: str | None, short: bool, drop: bool) -> None:
    """Scores of a unit become weights, terms of left panels, and are summed per row and lane, beside products.

    What lies at %later of the mask will be wanted for the unit after the next one.
    """
    one, natural = weights.FRACTION if short else 1.0, is_natural(mask)  # what 1 in an exponent is

    def begin(f: Function) -> Callable[[str], None]:
        factor = splat(f, "float", f.let(f"fmul float %factor, {number(one)}"), WIDTH)

        def write(r: str) -> None:
            if mask is not None and not short:  # short weights have no time for it: see `_hide`
                for at in parts.asked_for(UNIT * parts.mask_size(mask)):
                    f.prefetch(f.at("%later", f.mul(r, "%mask_row")), at, level=2)
            if short:
                _short_row(f, r, factor, natural)
            else:
                _row(f, r, factor, scheme.terms, drop, natural)

        return write

    products.beside(program, scheme.terms, _WEIGHTS, BESIDE, ROWS, begin)


def _short_row(f: Function, r: str, factor: str, natural: bool) -> None:
    """A row of scores of a unit becomes weights in lanes of 16 bits; factor (and %added, if not natural): for their fixed point."""
    added = splat(f, "float", f.load("float", f.at("%added", f.mul(r, 4)), 4), WIDTH)
    fixed = []
    for at in _four(f, "%scores", r):
        score, zero_point = f.load(_KIND, at, 16), added
        if natural:
            score, zero_point = _plus(f, score, added), weights.vector(_ZERO_POINT)
        fixed.append(weights.fma(f, score, factor, zero_point))
    line, sums = f.at("%weights", f.mul(r, STEP * 2)), []
    for tile in range(UNIT // STEP):
        both = weights.sixteen(f, fixed[2 * tile], fixed[2 * tile + 1])
        f.store(f"<{STEP} x i16>", both, f.at(line, tile * TERM_BYTES), 16)
        sums.append(weights.summed(f, both))
    known = [f.let(f"fcmp ord {_KIND} {a}, {b}") for a, b in zip(fixed[::2], fixed[1::2])]
    every = f.let(f"and <{WIDTH} x i1> {known[0]}, {known[1]}")
    total = f.at("%totals", f.mul(r, _ROW_BYTES))
    sums = _plus(f, f.load(_KIND, total, 16), _paired(lambda a, b: _plus(f, a, b), sums))
    nan = constant("float", NAN, WIDTH)
    sums = f.let(f"select <{WIDTH} x i1> {every}, {_KIND} {sums}, {_KIND} {nan}")
    f.store(_KIND, sums, total, 16)


def _row(f: Function, r: str, factor: str, count: int, drop: bool, natural: bool) -> None:
    """A row of scores of a unit becomes weights."""
    coefficients = weights.SHORT if count == 1 else weights.FULL
    added = splat(f, "float", f.load("float", f.at("%added", f.mul(r, 4)), 4), WIDTH)
    found = []
    for at in _four(f, "%scores", r):
        score = f.load(_KIND, at, 16)
        if natural:
            y = f.let(f"fmul {_KIND} {_plus(f, score, added)}, {factor}")
        else:
            y = weights.fma(f, score, factor, added)
        found.append(weights.power(f, y, coefficients))
    total = f.at("%totals", f.mul(r, _ROW_BYTES))
    sums = _paired(lambda a, b: _plus(f, a, b), found)
    f.store(_KIND, _plus(f, f.load(_KIND, total, 16), sums), total, 16)
    if drop:  # after the sums, which all weights count in
        line, zero = dropout.line_of(f, "%keep", r, 0, 2 * UNIT), f"{_KIND} zeroinitializer"
        for v, x in enumerate(found):
            kept = dropout.kept_keys(f, line, r, v * WIDTH, WIDTH)
            found[v] = f.let(f"select <{WIDTH} x i1> {kept}, {_KIND} {x}, {zero}")
    split = [weights.cut(f, x, count, fills=True) for x in found]
    line = f.at("%weights", f.mul(r, STEP * 2))
    for tile in range(UNIT // STEP):
        for term in range(count):
            both = weights.halves(f, split[2 * tile][term], split[2 * tile + 1][term], count)
            place = (tile * count + term) * TERM_BYTES
            f.store(f"<{STEP} x i16>", both, f.at(line, place), 16)


def _total(program: Program, natural: bool) -> None:
    """What @store reads of a panel: 32 maxima (bases, as natural logarithms), 32 sums."""
    with program.function(
        "total", "ptr %bases, ptr %totals, ptr %state", attributes="noinline"
    ) as f:
        for first in range(0, ROWS, WIDTH):
            rows = [
                f.load(_KIND, f.at("%totals", (first + i) * _ROW_BYTES), 16) for i in range(WIDTH)
            ]
            total = weights.folded(f, rows, lambda a, b: _plus(f, a, b))
            base = f.load(_KIND, f.at("%bases", first * 4), 4)
            if not natural:
                base = f.let(f"fmul {_KIND} {base}, {weights.vector(LN2)}")
            known = f.let(f"fcmp ord {_KIND} {total}, {total}")  # what saw only NaNs has no base
            base = f.let(f"select <{WIDTH} x i1> {known}, {_KIND} {base}, {_KIND} {total}")
            f.store(_KIND, base, f.at("%state", first * 4), 4)
            f.store(_KIND, total, f.at("%state", (ROWS + first) * 4), 4)


# ---- blocks, stretches, units


class Places:
    """Where things of a panel lie in the workspace, by the panel's number in its stretch."""

    def __init__(self, f: Function, scheme: Scheme, space: str):
        self.f, self.terms = f, scheme.terms
        self.at = {
            n: f.at(space, word(f, "at_" + n))
            for n in ("q", "k", "v", "p", "tiles", "out", "rows", "totals", "tops", "keep")
        }
        self.query_panel = word(f, "query_panel")
        self.groups = f.ceil_div(word(f, "outputs"), COLUMNS)

    def queries(self, n: Value) -> str:
        """Packed queries."""
        return self.f.at(self.at["q"], self.f.mul(n, self.query_panel))

    def keys(self, count: str) -> str:
        """Bytes of a panel's steps of so many keys."""
        return self.f.mul(self.f.div(count, STEP), self.terms * TERM_BYTES)

    def bases(self, n: Value) -> str:
        """Four of every row: see `_follow`."""
        return self.f.at(self.at["rows"], self.f.mul(n, 4 * ROWS * 4))

    def totals(self, n: Value) -> str:
        """Sums of weights, by lanes."""
        return self.f.at(self.at["totals"], self.f.mul(n, ROWS * _ROW_BYTES))

    def sums(self, n: Value) -> str:
        """Sums of values, as tiles."""
        return self.f.at(self.at["out"], self.f.mul(n, self.f.mul(self.groups, TILE_BYTES)))


_PANEL = (
    "ptr %args, ptr %space, i64 %head, i64 %panel, i64 %row, i64 %rows, i64 %first, i64 %last, float %by, "
    "float %factor"
)


def _panel(program: Program, scheme: Scheme, mask: str | None, drop: bool, fixed: bool) -> None:
    """A panel of queries, from %row on, against keys %first to %last; it is number %panel of its stretch.

    While the weights of a unit are made, the scores of the next one are, and the weights before are multiplied by values.
    """
    with program.function("panel", _PANEL, attributes="noinline") as f:
        tensors, places = Tensors(f, FORWARD, "%head"), Places(f, scheme, "%space")
        bases, totals, sums = (get("%panel") for get in (places.bases, places.totals, places.sums))
        product = products.Products(f, scheme.terms)
        waiting = _Waiting(f, places, sums, product)
        room = places.at["tiles"]  # of two units
        _scores(f, places, room, "%first", product, None)
        _mask(f, tensors, mask, room, "%first", f.min(f.sub("%last", "%first"), UNIT))
        with f.loop("%first", "%last", UNIT) as key:
            after = f.add(key, UNIT)
            scores, others = (
                f.at(room, f.mul(f.rem(f.div(f.sub(k, "%first"), UNIT), 2), _UNIT_BYTES))
                for k in (key, after)
            )
            risen = f.call("follow", "i64", f"ptr {scores}", f"ptr {bases}", "float %factor")
            with f.when(f.both(f.compare("ne", risen, 0), f.compare("ne", key, 0))):
                waiting.sum(key, None)
                product.finish()
                f.call("rise", "void", "ptr %args", f"i64 {risen}", f"ptr {f.at(bases, 2 * ROWS * 4)}",
                       f"ptr {totals}", f"ptr {sums}", "i64 %rows")  # fmt: skip
            if drop:
                dropout.make(f, tensors, ("%row", ROWS, key, UNIT), places.at["keep"], 2 * UNIT)
            added = f.at(bases, (3 if fixed else 1) * ROWS * 4)
            pointers = (scores, waiting.place(key), added, totals)
            later, stride = _later(f, tensors, mask, f.add(after, UNIT))
            made = (*(f"ptr {x}" for x in pointers), "float %factor", f"ptr {places.at['keep']}",
                    f"ptr {later}", f"i64 {stride}")  # fmt: skip
            made = products.Beside(f, ROWS, made)
            more = f.compare("slt", after, "%last")
            with f.when(more):
                _scores(f, places, others, after, product, made)
            with f.when(waiting.is_full(key)):
                waiting.sum(key, made)
            made.finish("%rows")
            with f.when(more):
                _mask(f, tensors, mask, others, after, f.min(f.sub("%last", after), UNIT))
        waiting.sum("%last", None)
        product.finish()


def _scores(
    f: Function, places: Places, scores: str, key: Value, product: products.Products, made: products.Beside | None,
) -> None:  # fmt: skip
    """Multiply the panel's queries by the keys of a unit."""
    count = f.min(f.sub("%last", key), UNIT)
    with f.loop(0, count, COLUMNS) as j:
        panel = f.at(places.at["k"], f.mul(f.div(f.add(key, j), COLUMNS), word(f, "key_panel")))
        tile = f.at(scores, f.mul(j, TILE_BYTES // COLUMNS))
        product.multiply(places.queries("%panel"), panel, word(f, "features"), "null", tile, "%rows", f.sub(count, j),
                         made)  # fmt: skip


class _Waiting:
    """The keys whose weights wait to be multiplied by values: some hundred, in one of two places that alternate."""

    def __init__(self, f: Function, places: Places, sums: str, product: products.Products):
        self.f, self.places, self.sums, self.product = f, places, sums, product
        self.first, self.side = f.variable("i64", "%first"), f.variable("i64", 0)
        self.many = KEYS[places.terms]
        self.nbytes = self.many // STEP * places.terms * TERM_BYTES

    def weights(self) -> str:
        """Where the weights that wait lie."""
        return self.f.at(
            self.places.at["p"], self.f.mul(self.f.load("i64", self.side), self.nbytes)
        )

    def is_full(self, key: str) -> str:
        """Whether so many keys wait that those from `key` on belong to the other place."""
        return self.f.compare("sge", self.f.sub(key, self.f.load("i64", self.first)), self.many)

    def place(self, key: str) -> str:
        """Where the weights of keys from `key` on go."""
        f = self.f
        full, side = self.is_full(key), f.load("i64", self.side)
        skip = self.places.keys(f.sub(key, f.load("i64", self.first)))
        begin = f.mul(f.sub(1, side), self.nbytes)
        return f.at(
            self.places.at["p"], f.select(full, begin, f.add(f.mul(side, self.nbytes), skip))
        )

    def sum(self, end: Value, made: products.Beside | None) -> None:
        """Add the values of keys that wait, up to `end`, weighted."""
        f, places = self.f, self.places
        first = f.load("i64", self.first)
        count, skip = f.sub(end, first), places.keys(first)
        with f.when(f.compare("sgt", count, 0)), f.loop(0, places.groups) as g:
            panel = f.at(f.at(places.at["v"], f.mul(g, word(f, "value_panel"))), skip)
            tile = f.at(self.sums, f.mul(g, TILE_BYTES))
            before = f.select(f.compare("eq", first, 0), "null", tile, "ptr")
            outputs = f.sub(word(f, "outputs"), f.mul(g, COLUMNS))
            self.product.multiply(
                self.weights(), panel, count, before, tile, "%rows", outputs, made
            )
        f.store("i64", end, self.first)
        f.store("i64", f.sub(1, f.load("i64", self.side)), self.side)


def _mask(f: Function, tensors: Tensors, mask, scores: str, key: str, count: str) -> None:
    """Call @hide, unless every row sees every key as it is."""
    causal = f.compare("ne", word(f, "causal"), 0)
    seen = f.select(causal, f.sub(f.add("%row", 1), key), count)
    plain = f.both(f.compare("sge", count, UNIT), f.compare("sge", seen, UNIT))
    plain = f.both(plain, f.let("fcmp oeq float %by, 1.0")) if mask is None else "false"
    with f.unless(plain):
        at, stride = "null", "0"
        if mask is not None:
            stride = word(f, "mask_row")
            at = f.at(tensors.pointer(f, "mask"), f.mul("%row", stride))
            at = f.at(at, f.mul(key, word(f, "mask_column")))
        f.call("hide", "void", f"ptr {scores}", "i64 %rows", f"i64 {count}", f"i64 {seen}",
               f"i64 {word(f, 'causal')}", "float %by", f"ptr {at}", f"i64 {stride}")  # fmt: skip


def _later(f: Function, tensors: Tensors, mask, key: str) -> tuple[str, str]:
    """Where the mask of this panel's keys from `key` on begins, or of the next panel's if there are none; and its stride."""
    if mask is None:
        return "null", "0"
    stride, beyond = word(f, "mask_row"), f.compare("sge", key, "%last")
    row = f.select(beyond, f.add("%row", ROWS), "%row")
    key = f.select(beyond, f.add("%first", f.sub(key, "%last")), key)
    at = f.at(tensors.pointer(f, "mask"), f.mul(row, stride))
    return f.at(at, f.mul(key, word(f, "mask_column"))), stride


def _factors(f: Function, mask: str | None) -> tuple[str, str]:
    """(what scores are multiplied by before a mask is added, what they are multiplied by after).

    A positive scale can wait until the weights are made; maxima and -inf are the same without it.
    """
    scale, log2_e = parts.factor(f), number(LOG2_E)
    if mask not in (None, "b8"):
        return scale, log2_e
    waits = f.let(f"fcmp ogt float {scale}, 0.0")
    by = f.let(f"select i1 {waits}, float 1.0, float {scale}")
    late = f.let(f"fmul float {scale}, {log2_e}")
    return by, f.let(f"select i1 {waits}, float {late}, float {log2_e}")


def _units(program: Program, scheme: Scheme, mask: str | None, short: bool) -> None:
    with program.function("body", parts.BODY) as f:
        micro.open_tiles(f)
        by, factor = _factors(f, mask)
        with f.loop("%begin", "%end") as number:
            unit = forward.Unit(f, number)
            columns = f.at(unit.space, word(f, "at_k")), word(f, "key_panel")
            panels.pack(f, scheme, unit.tensors, "k", 0, unit.keys, word(f, "features"), columns=columns)  # fmt: skip
            columns = f.at(unit.space, word(f, "at_v")), word(f, "value_panel")
            kind = {"zipped_columns" if short or scheme.terms > 1 else "turned_columns": columns}
            panels.pack(f, scheme, unit.tensors, "v", 0, unit.keys, word(f, "outputs"), **kind)
            with f.loop(unit.first, unit.after, BLOCK_ROWS) as begin:
                end = f.min(f.add(begin, BLOCK_ROWS), unit.after)
                _stretch(f, scheme, unit, begin, end, by, factor)
        micro.close_tiles(f)


def _stretch(
    f: Function, scheme: Scheme, unit: forward.Unit, begin: str, end: str, by: str, factor: str
) -> None:
    """Queries `begin` to `end` against all keys that they see."""
    places = Places(f, scheme, unit.space)
    causal = f.compare("ne", word(f, "causal"), 0)
    with f.loop(begin, end, ROWS) as row:
        n, many = f.div(f.sub(row, begin), ROWS), f.min(f.sub(end, row), ROWS)
        rows = places.queries(n), places.query_panel
        panels.pack(f, scheme, unit.tensors, "q", row, many, word(f, "features"), rows=rows)
        for half in range(ROWS // WIDTH):
            at = f.at(places.bases(n), half * WIDTH * 4)
            f.store(_KIND, constant("float", LOWEST, WIDTH), at, 4)
            f.store(_KIND, "zeroinitializer", f.at(at, ROWS * 4), 4)
        with f.loop(0, ROWS) as r:
            f.store(_KIND, "zeroinitializer", f.at(places.totals(n), f.mul(r, _ROW_BYTES)), 16)
    limit, block = f.select(causal, f.min(unit.keys, end), unit.keys), word(f, "block")
    with f.loop(0, limit, block) as key, f.loop(begin, end, ROWS) as row:
        rows = f.min(f.sub(end, row), ROWS)
        last = f.min(
            f.add(key, block), f.select(causal, f.min(unit.keys, f.add(row, rows)), unit.keys)
        )
        f.call("panel", "void", "ptr %args", f"ptr {unit.space}", f"i64 {unit.head}", f"i64 {f.div(f.sub(row, begin), ROWS)}",
               f"i64 {row}", f"i64 {rows}", f"i64 {key}", f"i64 {last}", f"float {by}", f"float {factor}")  # fmt: skip
    with f.loop(begin, end, ROWS) as row:
        n, state = f.div(f.sub(row, begin), ROWS), places.at["tops"]
        f.call("total", "void", f"ptr {places.bases(n)}", f"ptr {places.totals(n)}", f"ptr {state}")
        f.call("store", "void", "ptr %args", f"ptr {places.sums(n)}", f"ptr {state}", f"i64 {unit.head}", f"i64 {row}",
               f"i64 {f.min(f.sub(end, row), ROWS)}")  # fmt: skip
