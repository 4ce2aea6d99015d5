"""Which weights of attention dropout keeps: bits that a seed, a query and a key determine, made block by block when they are needed.

Philox gives 128 bits for (query, key / 8): 16 for each of eight keys. A weight is kept if its 16 bits are below the
threshold, so the probability to keep it is a multiple of 2^-16. Forward, backward and any number of threads make
the same bits; none are kept in memory.

`@keep(i64 seed, i64 query, i64 queries, i64 key, i64 keys, i64 threshold, ptr to)`: for queries and keys from those (multiples of 16 and 8)
on, bit q % 16 of the i16 at [q / 16][k]; a line of 16 queries is `pitch` bytes long.
"""

from __future__ import annotations

from mezzo.kernels import ir
from mezzo.kernels.cpu.attention.parts import Tensors, evaluate_all, word
from mezzo.kernels.cpu.contract.lanes import constant, splat, wide
from mezzo.kernels.cpu.contract.writer import Function, Program, Value
from mezzo.kernels.philox import philox

QUERIES, KEYS = 16, 8  # that one group of numbers serves
BITS = 16
_LONG = wide("i64", QUERIES)
_SIGNATURE = (
    "i64 %seed, i64 %query, i64 %queries, i64 %key, i64 %keys, i64 %threshold, ptr %to, i64 %pitch"
)


def halves(query: ir.Expr, group: ir.Expr, seed: ir.Expr) -> list[ir.Expr]:
    """Eight numbers of 16 bits (i64) for a query and keys 8 group to 8 group + 7."""
    words = philox(query | (group << 32), seed)
    return [part for w in words for part in (w & 0xFFFF, ir.shift_right_logical(w, BITS))]


def threshold(probability: float) -> int:
    """Numbers below it drop nothing: the weight is kept with the probability, rounded to 2^-16."""
    return round(probability * (1 << BITS))


def keep(program: Program) -> None:
    """Write @keep."""
    loads = [ir.load(i, "i64") for i in range(3)]
    numbers = halves(*loads)
    with program.function("keep", _SIGNATURE, attributes="noinline") as f:
        seed, bound = splat(f, "i64", "%seed", QUERIES), splat(f, "i64", "%threshold", QUERIES)
        steps = ", ".join(f"i64 {i}" for i in range(QUERIES))
        with f.loop(0, "%queries", QUERIES) as q, f.loop(0, "%keys", KEYS) as k:
            query = f.let(f"add {_LONG} {splat(f, 'i64', f.add('%query', q), QUERIES)}, <{steps}>")
            group = splat(f, "i64", f.div(f.add("%key", k), KEYS), QUERIES)
            line = f.at(f.at("%to", f.mul(f.div(q, QUERIES), "%pitch")), f.mul(k, 2))
            for i, number in enumerate(evaluate_all(f, numbers, [query, group, seed], QUERIES)):
                kept = f.let(f"icmp ult {_LONG} {number}, {bound}")
                bits = f.let(f"bitcast <{QUERIES} x i1> {kept} to i16")
                f.store("i16", bits, f.at(line, 2 * i), 2)


def make(
    f: Function, tensors: Tensors, where: tuple[Value, Value, Value, Value], to: str, pitch: Value
) -> None:
    """Make the bits of a block; where: first query, queries, first key (a multiple of 8), keys."""
    query, queries, key, keys = where
    first = f.mul(f.div(query, QUERIES), QUERIES)
    seed = f.load("i64", tensors.pointer(f, "seed"), 8)
    many = f.sub(f.add(query, queries), first)
    f.call("keep", "void", f"i64 {seed}", f"i64 {first}", f"i64 {many}", f"i64 {key}", f"i64 {keys}",
           f"i64 {word(f, 'threshold')}", f"ptr {to}", f"i64 {pitch}")  # fmt: skip


def line_of(f: Function, bits: str, query: Value, first: Value, pitch: Value) -> str:
    """The bits of the 16 queries that `query` is one of, in a block that was made from query `first` on."""
    return f.at(bits, f.mul(f.sub(f.div(query, QUERIES), f.div(first, QUERIES)), pitch))


def kept_queries(f: Function, line: str, query: Value, key: Value, width: int) -> str:
    """Which of `width` queries from `query` on (a multiple of the width) keep a key."""
    bits = f.load("i16", f.at(line, f.mul(key, 2)), 2)
    bits = f.let(f"lshr i16 {bits}, {f.let(f'trunc i64 {f.rem(query, QUERIES)} to i16')}")
    if width < QUERIES:
        bits = f.let(f"trunc i16 {bits} to i{width}")
    return f.let(f"bitcast i{min(width, QUERIES)} {bits} to <{width} x i1>")


def kept_keys(f: Function, line: str, row: Value, key: Value, width: int) -> str:
    """Which of `width` keys from `key` on the query `row` keeps; line: the bits of its 16 queries."""
    kind = wide("i16", width)
    bits = f.load(kind, f.at(line, f.mul(key, 2)), 2)
    lane = f.let(f"trunc i64 {f.rem(row, QUERIES)} to i16")
    one = splat(f, "i16", f.let(f"shl i16 1, {lane}"), width)
    found = f.let(f"and {kind} {bits}, {one}")
    return f.let(f"icmp ne {kind} {found}, {constant('i16', 0, width)}")
