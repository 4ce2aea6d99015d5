"""What the vector maths are built from: float formats, polynomials, error-free sums, powers of two.

Everything is an expression without branches. Clamps are written as `where(x < low, low, x)`, which
is one min or max instruction and lets NaN through. Float to integer goes through the bits of
x + 1.5 * 2^(mantissa bits), which needs no conversion instruction (AVX2 has none for 64 bits).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mezzo.kernels.ir import Expr, bitcast, const, copysign, fma, rint, where


@dataclass(frozen=True)
class Format:
    """An IEEE format: the integer type of its size and the numbers that arithmetic on bits needs."""

    integer: str
    mantissa: int
    bias: int
    smallest: float  # the smallest normal number
    magic: float  # adding it leaves the nearest integer in the low bits

    @property
    def one_bits(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.mantissa

    @property
    def magic_bits(self) -> int:
        """The bits of `magic`."""
        return ((self.bias + self.mantissa) << self.mantissa) | (1 << (self.mantissa - 1))


FORMATS = {
    "f32": Format("i32", 23, 127, 2.0**-126, 1.5 * 2.0**23),
    "f64": Format("i64", 52, 1023, 2.0**-1022, 1.5 * 2.0**52),
}
INF, NAN = math.inf, math.nan


def number(value: float, like: Expr) -> Expr:
    """A literal of the type of another expression."""
    return const(value, like.type)


def polynomial(coefficients: Sequence[float], x: Expr) -> Expr:
    """sum(c * x**i), lowest power first, by Horner's rule."""
    result = number(coefficients[-1], x)
    for c in reversed(coefficients[:-1]):
        result = fma(result, x, number(c, x))
    return result


def at_least(x: Expr, low: float) -> Expr:
    """x, or low if x is below it; NaN stays."""
    return where(x < low, number(low, x), x)


def at_most(x: Expr, high: float) -> Expr:
    """x, or high if x is above it; NaN stays."""
    return where(x > high, number(high, x), x)


def smaller(a: Expr, b: Expr) -> Expr:
    """The smaller of two numbers; b if either is NaN."""
    return where(a < b, a, b)


def larger(a: Expr, b: Expr) -> Expr:
    """The larger of two numbers; b if either is NaN."""
    return where(a > b, a, b)


def is_negative(x: Expr) -> Expr:
    """The sign bit, which -0.0 and -NaN have too."""
    return bitcast(x, FORMATS[x.type].integer) < 0


def nearest_multiple(x: Expr, factor: float) -> tuple[Expr, Expr]:
    """rint(x * factor) as a float and as an integer; |x * factor| must be below 2^(mantissa-1)."""
    form = FORMATS[x.type]
    shifted = fma(x, number(factor, x), number(form.magic, x))
    return shifted - form.magic, bitcast(shifted, form.integer) - form.magic_bits


def power_of_two(exponent: Expr, type: str) -> Expr:
    """2.0**exponent for an integer expression between -bias + 1 and bias."""
    form = FORMATS[type]
    return bitcast((exponent + form.bias) << form.mantissa, type)


def scale(x: Expr, exponent: Expr, n: Expr | None = None) -> Expr:
    """x * 2**exponent in two steps, so that results may be subnormal or overflow, rounded once.

    n: the exponent as a float, which an instruction of some processors takes.
    """
    form = FORMATS[x.type]
    biased = exponent + 2 * form.bias
    half = Expr("lshr", (biased, const(1, form.integer)), form.integer)
    rest = biased - half
    first = bitcast(half << form.mantissa, x.type)
    stepwise = x * first * bitcast(rest << form.mantissa, x.type)
    return stepwise if n is None else scaled(x, n, stepwise)


def scaled(x: Expr, n: Expr, otherwise: Expr) -> Expr:
    """x * 2**n for a float n that is an integer, rounded once; `otherwise` is the same without an instruction for it."""
    return Expr("scaled", (x, n, otherwise), x.type)


def two_sum(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """a + b rounded, and the rounding error."""
    total = a + b
    b_part = total - a
    return total, (a - (total - b_part)) + (b - b_part)


def fast_two_sum(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """two_sum for |a| >= |b| or a == 0."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """a * b rounded, and the rounding error."""
    product = a * b
    return product, fma(a, b, -product)


def fraction(x: Expr) -> Expr:
    """x less the nearest integer: exact, and zero where x is too large to have a fraction."""
    return x - rint(x)


def with_sign_of(magnitude: Expr, x: Expr) -> Expr:
    """|magnitude| with the sign of x."""
    return copysign(magnitude, x)


def rarely(condition: Expr, unusual: Expr, usual: Expr, *inputs: Expr) -> Expr:
    """A select whose first branch few elements need; that branch depends on `inputs` alone.

    An emitter may treat it as any select, or branch (vecmath_rare.py).
    """
    return Expr("select", (condition, unusual, usual), usual.type, inputs)
