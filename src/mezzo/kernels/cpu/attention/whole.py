"""The softmax of a block of keys that every row sees, with no mask and a positive scale: the common case.

Scores are scaled where they are used; exponentials are as accurate as the type that they are rounded to.
"""

from __future__ import annotations

from mezzo.kernels import ir
from mezzo.kernels.cpu.attention import parts
from mezzo.kernels.cpu.attention.parts import EXP, LOWEST, evaluate, reduce
from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.lanes import constant, splat, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program

SIGNATURE = "ptr %args, ptr %tiles, i64 %rows, i64 %count, ptr %state, ptr %sums"
# exp(r) = 1 + r + r^2 (a + b r) for |r| <= ln(2) / 2, with a relative error below 2^-12.9.
_SHORT = (0.50394105, 0.16662812)
_BELOW = -87.0  # smaller arguments give e**-87, which no sum with a one in it notices
_MAGIC, _BIAS = (
    1.5 * 2.0**23,
    127,
)  # adding both leaves n + bias, ready to be shifted to the exponent


def _short_exp(x: ir.Expr) -> ir.Expr:
    """e**x for x <= 0 (and a rounding above), to 12 bits."""
    x = ir.where(x < _BELOW, ir.const(_BELOW, "f32"), x)
    shifted = ir.fma(x, ir.const(1.4426950408889634, "f32"), ir.const(_MAGIC + _BIAS, "f32"))
    r = ir.fma(shifted - (_MAGIC + _BIAS), ir.const(-0.6931471805599453, "f32"), x)
    a, b = (ir.const(c, "f32") for c in _SHORT)
    one = ir.const(1.0, "f32")
    p = ir.fma(ir.fma(ir.fma(b, r, a), r, one), r, one)
    return p * ir.bitcast(ir.bitcast(shifted, "i32") << 23, "f32")


def softmax(program: Program, scheme: Scheme) -> None:
    """Write @softmax_whole: scores in tiles become weights."""
    width, across = scheme.width, scheme.tile_columns
    kind = wide("float", width)
    with program.function("softmax_whole", SIGNATURE, attributes="noinline") as f:
        scale = parts.factor(f)
        factor, tiles = splat(f, "float", scale, width), f.ceil_div("%count", across)
        # One of each for every vector of a tile: a chain of sums is as slow as its latency.
        largest, total = ([f.variable(kind) for _ in range(scheme.tile_vectors)] for _ in range(2))
        with f.loop(0, "%rows") as r:
            line = f.at("%tiles", f.mul(r, across * 4))
            _hide_edge(f, scheme, line)
            for slot in largest:
                f.store(kind, constant("float", LOWEST, width), slot)
            with f.loop(0, tiles) as j:
                for slot, here in zip(largest, _vectors(f, scheme, line, j)):
                    f.store(
                        kind, _larger(f, width, f.load(kind, here, 16), f.load(kind, slot)), slot
                    )
            top = reduce(f, "fmax", _folded(f, width, largest, _larger), width)
            base, shrink = _follow(f, scheme, r, f.let(f"fmul float {top}, {scale}"))
            base = splat(f, "float", f.let(f"fneg float {base}"), width)
            for slot in total:
                f.store(kind, "zeroinitializer", slot)
            with f.loop(0, tiles) as j:
                for v, here in enumerate(_vectors(f, scheme, line, j)):
                    operands = ((kind, f.load(kind, here, 16)), (kind, factor), (kind, base))
                    x = f.intrinsic(f"llvm.fmuladd.v{width}f32", kind, *operands)
                    power = _power(f, scheme, x)
                    f.store(kind, _sum(f, width, f.load(kind, total[v]), power), total[v])
                    f.store(kind, power, here, 16)
            _add(f, scheme, r, reduce(f, "fadd", _folded(f, width, total, _sum), width), shrink)


def _larger(f: Function, width: int, value: str, best: str) -> str:
    """The larger of each pair, and `best` where value is NaN: one instruction."""
    kind = wide("float", width)
    above = f.let(f"fcmp ogt {kind} {value}, {best}")
    return f.let(f"select {wide('i1', width)} {above}, {kind} {value}, {kind} {best}")


def _sum(f: Function, width: int, a: str, b: str) -> str:
    return f.let(f"fadd {wide('float', width)} {a}, {b}")


def _folded(f: Function, width: int, slots: list[str], fold) -> str:
    """The values of all slots as one."""
    value, *rest = [f.load(wide("float", width), slot) for slot in slots]
    for other in rest:
        value = fold(f, width, value, other)
    return value


def _vectors(f: Function, scheme: Scheme, line: str, j: str) -> list[str]:
    """Where the vectors of a row of tile j lie."""
    start = f.at(line, f.mul(j, scheme.tile_bytes))
    return [f.at(start, v * scheme.width * 4) for v in range(scheme.tile_vectors)]


def _hide_edge(f: Function, scheme: Scheme, line: str) -> None:
    """-inf behind the last key, where the last tile is not full."""
    width, across = scheme.width, scheme.tile_columns
    kind, lowest = wide("float", width), constant("float", LOWEST, width)
    left = f.rem("%count", across)
    with f.when(f.compare("ne", left, 0)):
        for v, here in enumerate(_vectors(f, scheme, line, f.div("%count", across))):
            valid = lanes.mask(f, f.sub(left, v * width), width)
            value = f.load(kind, here, 16)
            f.store(kind, f.let(f"select <{width} x i1> {valid}, {kind} {value}, {kind} {lowest}"), here, 16)  # fmt: skip


def _power(f: Function, scheme: Scheme, x: str) -> str:
    """e**x, to as many bits as weights keep."""
    short = scheme.panel_a.group == 2
    return evaluate(f, _SHORT_EXP if short else EXP, [x], scheme.width)


_SHORT_EXP = _short_exp(ir.load(0, "f32"))


def _follow(f: Function, scheme: Scheme, r: str, top: str) -> tuple[str, str]:
    """The row's maximum, brought up to date in the state; and the factor for what was summed before."""
    place = f.at("%state", f.mul(r, 4))
    old = f.load("float", place, 4)
    top = f.intrinsic("llvm.maxnum.f32", "float", ("float", old), ("float", top))
    hidden = f.let(f"fcmp oeq float {top}, {LOWEST}")
    base = f.let(f"select i1 {hidden}, float 0.0, float {top}")
    shrink = f.variable("float", "1.0")
    with f.when(f.let(f"fcmp une float {old}, {top}")):
        f.store("float", evaluate(f, EXP, [f.let(f"fsub float {old}, {base}")], 1), shrink)
    f.store("float", top, place, 4)
    return base, shrink


def _add(f: Function, scheme: Scheme, r: str, found: str, shrink: str) -> None:
    """Add a block's sum to the row's, and shrink what was summed before if the maximum rose."""
    place = f.at("%state", f.add(f.mul(r, 4), 4 * scheme.tile_rows))
    by = f.load("float", shrink)
    kept = f.let(f"fmul float {f.load('float', place, 4)}, {by}")
    f.store("float", f.let(f"fadd float {kept}, {found}"), place, 4)
    same, fresh = f.let(f"fcmp oeq float {by}, 1.0"), f.let("icmp eq ptr %sums, null")
    with f.unless(f.either(same, fresh)):
        parts.shrink(f, scheme, r, by)
