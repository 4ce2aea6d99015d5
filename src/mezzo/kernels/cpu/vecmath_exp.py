"""Exponentials and what is made of them, for f32 and f64.

All reduce x = n ln 2 + r with |r| <= ln(2)/2 and take exp(r) = 1 + r + r^2 q(r).
"""

from __future__ import annotations

from mezzo.kernels.cpu import vecmath_tables as tables
from mezzo.kernels.cpu.vecmath_log import log1p_of_unit
from mezzo.kernels.cpu.vecmath_parts import (
    FORMATS,
    at_least,
    at_most,
    fast_two_sum,
    nearest_multiple,
    number,
    polynomial,
    power_of_two,
    scale,
    scaled,
    with_sign_of,
)
from mezzo.kernels.ir import Expr, abs, const, fma, where

# Beyond these exp gives 0 and infinity, subnormal results included.
EXP_RANGE = {"f32": (-104.0, 89.0), "f64": (-746.0, 710.0)}
EXP2_RANGE = {"f32": (-151.0, 129.0), "f64": (-1076.0, 1025.0)}
LIFT = {"f32": 64, "f64": 640}  # exponents that lift the range below one clear of subnormals
# Beyond these expm1 gives -1, and tanh gives 1.
EXPM1_LOW = {"f32": -18.0, "f64": -38.0}
TANH_HIGH = {"f32": 9.2, "f64": 19.2}


def _reduce(x: Expr) -> tuple[Expr, Expr, Expr]:
    """(r, n, n as a float) with x = n ln 2 + r."""
    n, exponent = nearest_multiple(x, tables.LOG2_E[x.type][0])
    high, low, _ = tables.LN2[x.type]
    return fma(n, number(-low, x), fma(n, number(-high, x), x)), exponent, n


def _expm1_of_rest(r: Expr) -> Expr:
    """exp(r) - 1 for the reduced argument."""
    return fma(r * r, polynomial(tables.EXP[r.type], r), r)


def _reduced_expm1(x: Expr, lost: Expr | None = None) -> tuple[Expr, Expr, Expr]:
    """(exp(r) - 1, n, n as a float) for x + lost, with the rounding error of r put back."""
    n, exponent = nearest_multiple(x, tables.LOG2_E[x.type][0])
    high, low, _ = tables.LN2[x.type]
    start = fma(n, number(-high, x), x)
    rest = n * -low if lost is None else fma(n, number(-low, x), lost)
    r, error = fast_two_sum(start, rest)
    return r + fma(r * r, polynomial(tables.EXP[x.type], r), error), exponent, n


def _clamped(x: Expr, bounds: dict[str, tuple[float, float]]) -> Expr:
    low, high = bounds[x.type]
    return at_most(at_least(x, low), high)


def exp(x: Expr) -> Expr:
    """e**x.

    What gives 0 (-inf: a masked score) is chosen, not computed: a product that falls below the normal numbers
    takes the processor a hundred cycles.
    """
    low, high = EXP_RANGE[x.type]
    vanishes = x < low
    r, exponent, n = _reduce(where(vanishes, 0.0, at_most(x, high)))
    return where(vanishes, 0.0, scale(_expm1_of_rest(r) + 1.0, exponent, n))


def half_exp(x: Expr) -> Expr:
    """e**x / 2 for x >= 0, which overflows only where e**x / 2 does."""
    r, exponent, _ = _reduce(at_most(x, EXP_RANGE[x.type][1] + 1.0))
    return scale(_expm1_of_rest(r) + 1.0, exponent - 1)


def exp_of_sum(high: Expr, low: Expr) -> Expr:
    """e**(high + low) where low is a rounding error of high."""
    p, exponent, n = _reduced_expm1(_clamped(high, EXP_RANGE), low)
    return scale(1.0 + p, exponent, n)


def lifted_exp(high: Expr, low: Expr) -> tuple[Expr, float]:
    """(y, f) with y * f == e**(high + low) for arguments from EXP_RANGE's lower end to 0.

    y is never subnormal, so one power of two makes it, and the product with f is rounded once.
    """
    p, exponent, _ = _reduced_expm1(high, low)
    return _lifted(1.0 + p, exponent)


def _lifted(x: Expr, exponent: Expr) -> tuple[Expr, float]:
    lift = LIFT[x.type]
    return x * power_of_two(exponent + lift, x.type), 2.0**-lift


def _exp_of_negative_magnitude(x: Expr) -> Expr:
    """e**-|x|; what is 0 is chosen, as in exp."""
    x = -abs(x)
    vanishes = x < EXP_RANGE[x.type][0]
    r, exponent, n = _reduce(where(vanishes, 0.0, x))
    one = 1.0 + _expm1_of_rest(r)
    lifted, factor = _lifted(one, exponent)
    return where(vanishes, 0.0, scaled(one, n, lifted * factor))


def exp2(x: Expr) -> Expr:
    """2**x; exact for integers. What is 0 is chosen, as in exp."""
    low, high = EXP2_RANGE[x.type]
    vanishes = x < low
    x = where(vanishes, 0.0, at_most(x, high))
    n, exponent = nearest_multiple(x, 1.0)
    r = x - n
    result = scale(fma(r, polynomial(tables.EXP2[x.type], r), number(1.0, x)), exponent, n)
    return where(vanishes, 0.0, result)


def _expm1_clamped(x: Expr) -> Expr:
    """exp(x) - 1 for clamped x; loses the last bit of subnormal x."""
    p, exponent, _ = _reduced_expm1(x)
    # Half the power of two, so that exp(x) - 1 may reach the largest number.
    power = power_of_two(exponent - 1, x.type)
    half = fma(p, power, power - 0.5)
    return half + half


def expm1(x: Expr) -> Expr:
    """exp(x) - 1."""
    high = EXP_RANGE[x.type][1]
    result = _expm1_clamped(at_most(at_least(x, EXPM1_LOW[x.type]), high))
    tiny = 2.0**-30 if x.type == "f32" else 2.0**-60
    return where(abs(x) < tiny, x, result)


def tanh(x: Expr) -> Expr:
    """Hyperbolic tangent: t / (t + 2) with t = exp(2|x|) - 1."""
    a = at_most(abs(x), TANH_HIGH[x.type])
    r, exponent, _ = _reduce(a + a)
    power = power_of_two(exponent, x.type)
    t = fma(_expm1_of_rest(r), power, power - 1.0)
    below = t + 2.0
    # below - 2 is exact until ulps exceed 2; there the sum's error no longer shows.
    far = t > 2.0 ** (FORMATS[x.type].mantissa + 1)
    lost = where(far, number(0.0, x), t - (below - 2.0))
    quotient = t / below
    # What t + 2 lost, as lost * quotient / below; and 1 - quotient is 2 / below.
    correction = quotient * (quotient - 1.0) * (0.5 * lost)
    return with_sign_of(quotient + correction, x)


def sinh(x: Expr) -> Expr:
    """Hyperbolic sine: (t + t / (t + 1)) / 2 with t = exp(|x|) - 1; exp(|x|) / 2 where that is all."""
    a = abs(x)
    t = expm1(at_most(a, 25.0))
    middle = 0.5 * (t + t / (t + 1.0))
    result = where(a > 22.0, half_exp(a), middle)
    tiny = 2.0**-14 if x.type == "f32" else 2.0**-29
    return with_sign_of(where(a < tiny, a, result), x)


def cosh(x: Expr) -> Expr:
    """Hyperbolic cosine."""
    half = half_exp(abs(x))
    return half + 0.25 / half


def sigmoid(x: Expr) -> Expr:
    """1 / (1 + exp(-x)), without overflow: e / (1 + e) for negative x."""
    e = _exp_of_negative_magnitude(x)
    return where(x < 0.0, e, number(1.0, x)) / (1.0 + e)


def softplus(x: Expr) -> Expr:
    """log(1 + exp(x)) as max(x, 0) + log1p(exp(-|x|))."""
    positive = where(x < 0.0, const(0.0, x.type), x)
    return positive + log1p_of_unit(_exp_of_negative_magnitude(x))


def log_sigmoid(x: Expr) -> Expr:
    """log(sigmoid(x))."""
    return -softplus(-x)
