"""Logarithms and their inverse-hyperbolic kin, for f32 and f64.

x = 2^e m with m around one and f = m - 1. In f32 log(1 + f) is a polynomial in f; in f64 it is the
series of log((1+s)/(1-s)) in s = f / (2 + f).
"""

from __future__ import annotations

from mezzo.kernels.cpu import vecmath_tables as tables
from mezzo.kernels.cpu.vecmath_parts import (
    FORMATS,
    INF,
    NAN,
    fast_two_sum,
    number,
    polynomial,
    power_of_two,
    two_product,
    two_sum,
    with_sign_of,
)
from mezzo.kernels.ir import Expr, abs, bitcast, cast, const, fma, sqrt, where

# The bits of the lower end of m's interval: 2/3 suits the polynomial, sqrt(1/2) the series.
LOWEST_BITS = {"f32": 0x3F2AAAAB, "f64": 0x3FE6A09E667F3BCD}
SUBNORMAL_SHIFT = {"f32": 24, "f64": 54}
TINY = {"f32": 2.0**-26, "f64": 2.0**-55}  # log1p(x) == x below
HUGE = 2.0**100  # here x + sqrt(x^2 + 1) == 2x, 1 + x == x, and x^2 is finite
SQRT_2_LESS_1 = 0.41421354  # f32's value below sqrt(2) - 1


def _split(x: Expr) -> tuple[Expr, Expr]:
    """(m, e) with x = m * 2**e for positive normal x; e as an integer expression."""
    form = FORMATS[x.type]
    bits, lowest = bitcast(x, form.integer), LOWEST_BITS[x.type]
    # A logical shift and a bias, for AVX2 has no arithmetic shift of 64 bits.
    moved = bits - (lowest - form.one_bits)
    exponent = Expr("lshr", (moved, const(form.mantissa, form.integer)), form.integer) - form.bias
    return bitcast(bits - (exponent << form.mantissa), x.type), exponent


def _as_float(exponent: Expr, type: str) -> Expr:
    """An integer of few bits as a float, without the conversion that AVX2 lacks for 64 bits."""
    if type == "f32":
        return cast(exponent, "f32")
    form = FORMATS[type]
    return bitcast(exponent + form.magic_bits, type) - form.magic


def split_positive(x: Expr) -> tuple[Expr, Expr]:
    """(m, e) with x = m * 2**e for positive x, subnormal too; e as a float."""
    form, shift = FORMATS[x.type], SUBNORMAL_SHIFT[x.type]
    small = x < form.smallest
    m, exponent = _split(where(small, x * 2.0**shift, x))
    e = _as_float(exponent, x.type)
    return m, where(small, e - float(shift), e)


def _log1p_rest(f: Expr) -> Expr:
    """log(1 + f) - f for f of the reduced interval."""
    if f.type == "f32":
        return f * f * fma(f, polynomial(tables.LOG1P["f32"], f), number(-0.5, f))
    half_square = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    return fma(s, fma(z, polynomial(tables.LOG_S["f64"], z), half_square), -half_square)


def _with_exponent(f: Expr, e: Expr, correction: Expr | None = None) -> Expr:
    """e ln 2 + log(1 + f), plus a small correction."""
    high, low, _ = tables.LN2[f.type]
    rest = _log1p_rest(f) if correction is None else _log1p_rest(f) + correction
    return fma(e, number(high, f), f + fma(e, number(low, f), rest))


def _special(x: Expr, result: Expr, pole: float = 0.0) -> Expr:
    """-infinity at the pole, NaN below it and for NaN, +infinity at infinity."""
    result = where(x.eq(pole), number(-INF, x), result)
    result = where(x.eq(INF), x, result)
    return where(x >= pole, result, number(NAN, x))


def log(x: Expr) -> Expr:
    """Natural logarithm."""
    m, e = split_positive(x)
    return _special(x, _with_exponent(m - 1.0, e))


def log_positive(x: Expr) -> Expr:
    """log of x >= 0 or NaN: zero and infinity included, no test for negative numbers."""
    m, e = split_positive(x)
    result = _with_exponent(m - 1.0, e)
    result = where(x.eq(0.0), number(-INF, x), result)
    return where(x < INF, result, x)


def _log_to_base(x: Expr, factor: tuple[float, ...], of_two: tuple[float, ...]) -> Expr:
    """e * of_two + log(1 + f) * factor, the factor and the product taken with their errors."""
    m, e = split_positive(x)
    f = m - 1.0
    natural, natural_low = fast_two_sum(f, _log1p_rest(f))
    product, error = two_product(natural, number(factor[0], x))
    low = fma(natural_low, number(factor[0], x), fma(natural, number(factor[1], x), error))
    if of_two[0] == 1.0:
        whole = e
    else:
        whole, error = two_product(e, number(of_two[0], x))
        low = low + fma(e, number(of_two[1], x), error)
    total, lost = fast_two_sum(whole, product)
    return _special(x, total + (lost + low))


def log2(x: Expr) -> Expr:
    """Logarithm to base 2; exact for powers of two."""
    return _log_to_base(x, tables.LOG2_E[x.type], (1.0, 0.0))


def log10(x: Expr) -> Expr:
    """Logarithm to base 10."""
    return _log_to_base(x, tables.LOG10_E[x.type], tables.LOG10_2[x.type])


def _log1p_of_sum(high: Expr, low: Expr | None = None) -> Expr:
    """log(1 + high + low) where 1 + high is positive and finite."""
    u, lost = two_sum(number(1.0, high), high)
    lost = lost if low is None else lost + low
    m, exponent = _split(u)
    correction = lost * power_of_two(-exponent, high.type)
    # Where u is large nothing of weight was lost, and 2^-e may not be a normal number.
    correction = where(u > 2.0**60, number(0.0, high), correction)
    f, f_low = fast_two_sum(m - 1.0, correction)
    # The derivative of log(1 + f) is about 1 - f.
    return _with_exponent(f, _as_float(exponent, high.type), fma(-f, f_low, f_low))


def log1p(x: Expr) -> Expr:
    """log(1 + x)."""
    result = _special(x, _log1p_of_sum(x), pole=-1.0)
    return where(abs(x) < TINY[x.type], x, result)


def log1p_of_unit(y: Expr) -> Expr:
    """log(1 + y) for y in [0, 1]: no exponent to find, one halving at most."""
    upper = y > SQRT_2_LESS_1
    f = where(upper, fma(y, number(0.5, y), number(-0.5, y)), y)
    return _with_exponent(f, where(upper, number(1.0, y), number(0.0, y)))


def atanh(x: Expr) -> Expr:
    """Inverse hyperbolic tangent: log1p(2a / (1 - a)) / 2 with a = |x|."""
    a = abs(x)
    below, lost = fast_two_sum(number(1.0, x), -a)
    quotient = (a + a) / below
    remainder = fma(-quotient, below, a + a) - quotient * lost
    half = 0.5 * _log1p_of_sum(quotient, remainder / below)
    half = where(a < TINY[x.type], a, half)
    half = where(a.eq(1.0), number(INF, x), half)
    return with_sign_of(where(a <= 1.0, half, number(NAN, x)), x)


def _log1p_or_log_twice(a: Expr, y: Expr) -> Expr:
    """log1p(y), or log(2a) where a is huge: both through one logarithm."""
    large = a > HUGE
    result = _log1p_of_sum(where(large, a, y))
    high, low, _ = tables.LN2[a.type]
    return where(large, result + (high + number(low, a)), result)


def asinh(x: Expr) -> Expr:
    """Inverse hyperbolic sine: log1p(a + a^2 / (1 + sqrt(a^2 + 1))) with a = |x|."""
    a = abs(x)
    square = a * a
    y = a + square / (1.0 + sqrt(square + 1.0))
    result = where(a < TINY[x.type], a, _log1p_or_log_twice(a, y))
    return with_sign_of(where(a < INF, result, a), x)


def acosh(x: Expr) -> Expr:
    """Inverse hyperbolic cosine: log1p(t + sqrt(t (t + 2))) with t = x - 1."""
    t = x - 1.0
    result = _log1p_or_log_twice(x, t + sqrt(t * (t + 2.0)))
    result = where(x.eq(INF), x, result)
    return where(x >= 1.0, result, number(NAN, x))
