"""Powers: exp(b log |a|), the logarithm with 12 bits to spare, and C's special cases. Remainders."""

from __future__ import annotations

from mezzo.kernels.cpu import vecmath_tables as tables
from mezzo.kernels.cpu.vecmath_exp import exp, exp_of_sum
from mezzo.kernels.cpu.vecmath_log import log_positive, split_positive
from mezzo.kernels.cpu.vecmath_parts import (
    INF,
    NAN,
    fast_two_sum,
    is_negative,
    number,
    polynomial,
    rarely,
    two_product,
    two_sum,
)
from mezzo.kernels.ir import Expr, abs, cast, copysign, floor, fma, trunc, where

TWO_THIRDS_LOW = 3.700743415417188e-17  # 2/3 less the double nearest to it


def _log_of_sum(a: Expr) -> tuple[Expr, Expr]:
    """log(a) for positive finite a as the sum of two f64: about 2^-65 of relative error."""
    m, e = split_positive(a)
    f = m - 1.0
    bottom, bottom_low = two_sum(m, number(1.0, a))
    s = f / bottom
    s_low = (fma(-s, bottom, f) - s * bottom_low) / bottom
    z, z_error = two_product(s, s)
    z_low = fma(s + s, s_low, z_error)
    cube, cube_error = two_product(z, s)
    cube_low = fma(z, s_low, fma(z_low, s, cube_error))
    # log((1+s)/(1-s)) = 2s + s^3 (2/3 + z p(z)), where p(z) need not be exact.
    first, *rest = tables.LOG_S["f64"]
    factor, factor_low = fast_two_sum(number(2 / 3, a), z * polynomial(rest, z))
    factor_low = factor_low + (TWO_THIRDS_LOW + (first - 2 / 3 - TWO_THIRDS_LOW))
    term, term_error = two_product(cube, factor)
    term_low = fma(cube, factor_low, fma(cube_low, factor, term_error))
    total, low = fast_two_sum(s + s, term)
    low = low + (2.0 * s_low + term_low)
    high2, low2, _ = tables.LN2["f64"]
    whole, whole_error = two_product(e, number(high2, a))
    top, error = two_sum(whole, total)
    low = error + (low + fma(e, number(low2, a), whole_error))
    return fast_two_sum(top, low)


def _magnitude_f64(a: Expr, b: Expr) -> Expr:
    """|a| ** b for f64 and positive a; infinity and zero follow from the logarithm's."""
    high, low = _log_of_sum(a)
    special = a.eq(0.0) | a.eq(INF)
    high = where(special, where(a.eq(0.0), number(-INF, a), a), high)
    product, error = two_product(high, b)
    low = fma(low, b, error)
    # Where the product is far out of range, or infinite, its error is NaN or nothing.
    inside = abs(product) < 2000.0
    return exp_of_sum(product, where(inside & ~special, low, number(0.0, a)))


def pow(a: Expr, b: Expr) -> Expr:
    """a to the power b."""
    size = abs(a)
    if a.type == "f32":
        # log and exp in f64 leave 2^-53 * 104 in the exponent: nothing an f32 can show.
        wide = cast(size, "f64")
        result = cast(exp(log_positive(wide) * cast(b, "f64")), "f32")
    else:
        result = _magnitude_f64(size, b)
    one = number(1.0, a)
    whole = floor(b).eq(b)
    half = b * 0.5
    odd = whole & floor(half).ne(half)
    result = where(size.eq(1.0) & b.eq(b), one, result)
    result = where(is_negative(a) & odd, -result, result)
    result = where((a < 0.0) & ~whole & (size < INF), number(NAN, a), result)
    result = where(a.ne(a) | b.ne(b), a + b, result)
    return where(a.eq(1.0) | b.eq(0.0), one, result)


def remainder(a: Expr, b: Expr) -> Expr:
    """What is left of a after taking b trunc(a / b) times, exactly (C's fmod)."""
    quotient = a / b
    # Rounding may take the quotient up to the next whole number: then what is left has the wrong sign.
    rest = fma(-trunc(quotient), b, a)
    rest = where(((rest < 0.0) ^ (a < 0.0)) & rest.ne(0.0), rest + copysign(b, a), rest)
    rest = where(abs(a) < abs(b), a, rest)  # whatever b is: 0 * inf has no value
    far = ~(abs(quotient) < 2.0 ** (22 if a.type == "f32" else 51))
    return rarely(far, Expr("libm", (a, b), a.type, "fmod"), copysign(rest, a), a, b)
