"""The error function and its kin, and the logarithm and derivative of the gamma function.

erfc(u) = exp(-u^2) g(t) / (u + K) with t = (u - K) / (u + K): one polynomial for all u >= 0.
"""

from __future__ import annotations

import math

from mezzo.kernels.cpu import vecmath_tables as tables
from mezzo.kernels.cpu.vecmath_exp import lifted_exp
from mezzo.kernels.cpu.vecmath_log import log_positive
from mezzo.kernels.cpu.vecmath_parts import (
    INF,
    NAN,
    at_most,
    number,
    polynomial,
    two_product,
    with_sign_of,
)
from mezzo.kernels.cpu.vecmath_trig import tan
from mezzo.kernels.ir import Expr, abs, floor, fma, sqrt, where

TWO_BY_ROOT_PI = 2 / math.sqrt(math.pi)
ERF_CENTRE = 2.4375  # of the table ERF_HIGH
ERF_END = 3.9375  # erf rounds to one in f32 from here
# Bernoulli numbers B(2k) / 2k: the asymptotic series of digamma (Abramowitz and Stegun 6.3.18).
DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
DIGAMMA_FROM = 10


def _bell(u: Expr, factor: float) -> tuple[Expr, float]:
    """exp(-factor * u^2) for factor 1 or 1/2 as a `lifted_exp`, the square's rounding put back."""
    return lifted_exp(*two_product(u * -factor if factor != 1.0 else -u, u))


def _scaled_tail(a: Expr, table: dict[str, tuple[float, ...]], k: float) -> Expr:
    """table(t) / (a + k) with t = (a - k) / (a + k), for a >= 0."""
    inverse = 1.0 / (a + k)
    t = (a - k) * inverse
    # One correction of the quotient, from a itself: a + k and a - k were rounded.
    remainder = fma(-t, a, fma(t + 1.0, number(-k, a), a))
    t = fma(remainder, inverse, t)
    return polynomial(table[a.type], t) * inverse


def _upper_tail(a: Expr) -> Expr:
    """erfc(a) for a >= 0."""
    a = at_most(a, tables.ERFCX_END[a.type])
    bell, factor = _bell(a, 1.0)
    return bell * _scaled_tail(a, tables.ERFCX, tables.ERFCX_K[a.type]) * factor


def _erf_near_zero(x: Expr) -> Expr:
    """erf for |x| <= 1."""
    return fma(x, polynomial(tables.ERF[x.type], x * x), x)


def erf(x: Expr) -> Expr:
    """Error function."""
    a = abs(x)
    if x.type == "f32":
        outer = polynomial(tables.ERF_HIGH["f32"], at_most(a, ERF_END) - ERF_CENTRE)
    else:
        outer = 1.0 - _upper_tail(a)
    return with_sign_of(where(a < 1.0, _erf_near_zero(a), outer), x)


def erfc(x: Expr) -> Expr:
    """1 - erf(x), accurate where that is small."""
    tail = _upper_tail(abs(x))
    outer = where(x < 0.0, 2.0 - tail, tail)
    return where(abs(x) < 0.5, 1.0 - _erf_near_zero(x), outer)


def normal_cdf(x: Expr) -> Expr:
    """erfc(-x / sqrt(2)) / 2, without rounding x / sqrt(2)."""
    a = at_most(abs(x), tables.NORMAL_END[x.type])
    bell, factor = _bell(a, 0.5)
    tail = bell * _scaled_tail(a, tables.NORMAL_TAIL, tables.NORMAL_K[x.type]) * factor
    return where(x < 0.0, tail, 1.0 - tail)


def _erfinv_estimate(x: Expr) -> Expr:
    """erfinv of an f64 to about 2^-28."""
    a = abs(x)
    w = -log_positive((1.0 - a) * (1.0 + a))
    root = sqrt(w)
    middle = polynomial(tables.ERFINV_MIDDLE["f64"], w - 3.0)
    tail = polynomial(tables.ERFINV_TAIL["f64"], root - 3.2)
    far = polynomial(tables.ERFINV_FAR["f64"], root - 5.0)
    return x * where(w < 6.0, middle, where(w < 16.0, tail, far))


def erfinv_f64(x: Expr, refine: bool) -> Expr:
    """Inverse error function; one step of Halley's iteration makes it accurate to f64."""
    y = _erfinv_estimate(abs(x))
    if refine:
        a = abs(x)
        upper = a > 0.75
        # erf(y) - a, from the tails where they are near one: 1 - a is exact there.
        tail = _upper_tail(y)
        excess = where(upper, (1.0 - a) - tail, _erf_near_zero(y) - a)
        bell, factor = _bell(y, 1.0)
        step = excess / (bell * (TWO_BY_ROOT_PI * factor))
        y = y - step / fma(y, step, number(1.0, x))
    a = abs(x)
    y = where(a.eq(1.0), number(INF, x), where(a <= 1.0, y, number(NAN, x)))
    return with_sign_of(y, x)


def lgamma(x: Expr) -> Expr:
    """log |gamma(x)|, by the C library: too long to do without branches."""
    return Expr("libm", (x,), x.type, "lgamma")


def digamma_f64(x: Expr) -> Expr:
    """Derivative of log gamma: reflection, recurrence up to 10, asymptotic series."""
    reflected = x < 0.0
    y = where(reflected, 1.0 - x, x)
    one = number(1.0, x)
    # The recurrence psi(y) = psi(y + 1) - 1/y as one fraction top / bottom.
    top, bottom = number(0.0, x), one
    for _ in range(DIGAMMA_FROM):
        small = y < float(DIGAMMA_FROM)
        top = where(small, fma(top, y, bottom), top)
        bottom = where(small, bottom * y, bottom)
        y = where(small, y + 1.0, y)
    z = 1.0 / (y * y)
    series = log_positive(y) - 0.5 / y - z * polynomial(DIGAMMA, z)
    result = series - top / bottom
    period = x - floor(x + 0.5)
    result = where(reflected, result - math.pi / tan(period * math.pi), result)
    pole = (reflected & floor(x).eq(x)) | x.eq(-INF)
    result = where(pole, number(NAN, x), result)
    # Zero is a pole with a sign: -inf at +0 and +inf at -0, as PyTorch has it.
    result = where(x.eq(0.0), -1.0 / x, result)
    return where(x.eq(INF), x, result)
