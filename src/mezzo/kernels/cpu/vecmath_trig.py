"""Sines, tangents and their inverses, for f32 and f64.

x = q pi/2 + r with |r| <= pi/4: up to a threshold by subtracting q times pi/2 in three parts (Cody
and Waite); beyond it x / (2 pi) is multiplied out modulo one, piece by piece (Payne and Hanek).
"""

from __future__ import annotations

import math

from mezzo.kernels.cpu import vecmath_tables as tables
from mezzo.kernels.cpu.vecmath_parts import (
    FORMATS,
    INF,
    fast_two_sum,
    fraction,
    is_negative,
    larger,
    nearest_multiple,
    number,
    polynomial,
    rarely,
    smaller,
    two_product,
    two_sum,
    with_sign_of,
)
from mezzo.kernels.ir import Expr, abs, bitcast, cast, const, fma, sqrt, where

LARGE = {"f32": 1e5, "f64": 2.0**28}
TWO_PI = (2 * math.pi, 2.4492935982947064e-16)  # 2 pi and what a double lacks of it
WINDOW = 5  # pieces of 1/(2 pi) that reach from below one to 2^-130 for any one exponent
TAN_PI_8 = 0.4142135623730950488


# ---- argument reduction: (r, error of r, quadrant as an integer)


def _reduce(x: Expr) -> tuple[Expr, Expr, Expr]:
    """The reduction for |x| up to LARGE."""
    q, quadrant = nearest_multiple(x, 2 / math.pi)
    first, second, third = tables.PI_2[x.type]
    r = fma(q, number(-first, x), x)  # exact
    if x.type == "f32":
        less = fma(q, number(-second, x), r)
        low = fma(q, number(-third, x), fma(q, number(-second, x), r - less))
        return less, low, quadrant
    product, lost = two_product(q, number(second, x))
    r, error = two_sum(r, -product)
    low = error - fma(q, number(third, x), lost)
    r, low = fast_two_sum(r, low)
    return r, low, quadrant


def _pieces(x: Expr) -> list[Expr]:
    """The pieces of 1/(2 pi) that matter for this f64 exponent, highest first."""
    form = FORMATS["f64"]
    exponent = (Expr("lshr", (bitcast(x, "i64"), const(52, "i64")), "i64") & 0x7FF) - form.bias
    # Piece i ends at 2^-53(i+1); x times it is whole when the exponent is at least 53(i+2) - 1.
    # exponent * 1237 >> 16 is exponent // 53 for all that occur.
    whole = Expr("lshr", ((exponent + 1) * 1237, const(16, "i64")), "i64") - 1
    start = where(whole < 0, const(0, "i64"), whole)
    table = [number(p, x) for p in tables.TURN_53]
    for bit in (16, 8, 4, 2, 1):
        chosen = (start & bit).ne(0)
        size = WINDOW + bit - 1
        zero = number(0.0, x)
        at = [table[i] if i < len(table) else zero for i in range(size + bit)]
        table = [where(chosen, at[i + bit], at[i]) for i in range(size)]
    return table


def _turn_of_f64(x: Expr) -> tuple[Expr, Expr, Expr]:
    """x / (2 pi) modulo one, as the sum of three numbers."""
    zero = number(0.0, x)
    total, low, lowest = zero, zero, zero
    # The pieces are stored scaled, the last ones being below all normal numbers.
    scaled = x * (1 / tables.TURN_53_SCALE)
    for piece in _pieces(x):
        for term in two_product(scaled, piece):
            total, error = two_sum(total, fraction(term))
            low, error = two_sum(low, error)
            lowest = lowest + error
    return total, low, lowest


def _turn_of_f32(x: Expr) -> tuple[Expr, Expr, Expr]:
    """The same for an f32 held in f64: 24 by 29 bits multiply exactly."""
    total = number(0.0, x)
    for piece in tables.TURN_29:
        total = total + fraction(x * piece)
    zero = number(0.0, x)
    return total, zero, zero


def _reduce_large(x: Expr) -> tuple[Expr, Expr, Expr]:
    """The reduction for any finite x; (r, error) are f64."""
    wide = cast(x, "f64")
    total, low, lowest = _turn_of_f32(wide) if x.type == "f32" else _turn_of_f64(wide)
    total = fraction(total)
    quarters, quadrant = nearest_multiple(total, 4.0)
    turn, error = two_sum(fma(quarters, number(-0.25, wide), total), low)
    turn, error = fast_two_sum(turn, error + lowest)
    r, lost = two_product(turn, number(TWO_PI[0], wide))
    lost = lost + fma(turn, number(TWO_PI[1], wide), error * TWO_PI[0])
    r, low = fast_two_sum(r, lost)
    return r, low, quadrant


# ---- sine and cosine of the reduced argument


def _sin_of_rest(r: Expr, low: Expr) -> Expr:
    z = r * r
    cubic = fma(r * z, polynomial(tables.SIN[r.type], z), low)
    if r.type == "f64":
        cubic = fma(low * z, number(-0.5, r), cubic)
    return r + cubic


def _cos_of_rest(r: Expr, low: Expr) -> Expr:
    z = r * r
    half = 0.5 * z
    start = 1.0 - half
    lost = (1.0 - start) - half
    quartic = fma(z * z, polynomial(tables.COS[r.type], z), -(r * low))
    return start + (lost + quartic)


def _flip_sign(x: Expr, quadrant: Expr) -> Expr:
    """x with its sign flipped in quadrants 2 and 3."""
    integer = FORMATS[x.type].integer
    top = 31 if x.type == "f32" else 63
    sign = (quadrant & 2) << (top - 1)
    return bitcast(bitcast(x, integer) ^ sign, x.type)


def _sin_at(reduced: tuple[Expr, Expr, Expr], shift: int) -> Expr:
    """sin(x + shift * pi/2) from the reduction of x."""
    r, low, quadrant = reduced
    if shift:
        quadrant = quadrant + shift
    odd = (quadrant & 1).ne(0)
    return _flip_sign(where(odd, _cos_of_rest(r, low), _sin_of_rest(r, low)), quadrant)


def _tan_at(reduced: tuple[Expr, Expr, Expr]) -> Expr:
    r, low, quadrant = reduced
    s, c = _sin_of_rest(r, low), _cos_of_rest(r, low)
    odd = (quadrant & 1).ne(0)
    return where(odd, -c, s) / where(odd, s, c)


def _circular(x: Expr, function) -> Expr:
    """function of the reduction of x; the far range is computed only where an element needs it."""
    near = function(_reduce(x))
    far = cast(function(_reduce_large(x)), x.type)
    return rarely(abs(x) >= LARGE[x.type], far, near, x)


def sin(x: Expr) -> Expr:
    """Sine of x radians."""
    result = _circular(x, lambda reduced: _sin_at(reduced, 0))
    return where(x.eq(0.0), x, result)  # keeps -0.0


def cos(x: Expr) -> Expr:
    """Cosine of x radians."""
    return _circular(x, lambda reduced: _sin_at(reduced, 1))


def tan(x: Expr) -> Expr:
    """Tangent of x radians."""
    return where(x.eq(0.0), x, _circular(x, _tan_at))


# ---- inverses


def _asin_rest(s: Expr, z: Expr) -> Expr:
    """asin(s) - s for |s| <= 1/2 and z = s * s."""
    return s * z * polynomial(tables.ASIN[s.type], z)


def _root_of_rest(a: Expr) -> tuple[Expr, Expr, Expr]:
    """(s, error of s, z) with s + error = sqrt((1 - a) / 2) and z its square, for a >= 1/2."""
    z = fma(a, number(-0.5, a), number(0.5, a))
    s = sqrt(z)
    error = fma(-s, s, z) / (s + s)
    return s, where(z > 0.0, error, number(0.0, a)), z


def asin(x: Expr) -> Expr:
    """Inverse sine: pi/2 - 2 asin(sqrt((1 - |x|) / 2)) in the outer half."""
    a = abs(x)
    inner = a + _asin_rest(a, a * a)
    s, error, z = _root_of_rest(a)
    high, low, _ = tables.PI_2[x.type]
    total, lost = fast_two_sum(number(high, x), -2.0 * s)
    outer = total + (lost + (low - 2.0 * (error + _asin_rest(s, z))))
    return with_sign_of(where(a <= 0.5, inner, outer), x)


def acos(x: Expr) -> Expr:
    """Inverse cosine, accurate near x = 1."""
    a = abs(x)
    high, low, _ = tables.PI_2[x.type]
    total, lost = fast_two_sum(number(high, x), -x)
    inner = total + (lost + (low - _asin_rest(x, x * x)))
    s, error, z = _root_of_rest(a)
    near_one = 2.0 * (s + (error + _asin_rest(s, z)))
    near_minus_one = 2.0 * high - (near_one - 2.0 * low)
    outer = where(x < 0.0, near_minus_one, near_one)
    return where(a <= 0.5, inner, outer)


def _atan_of_ratio(low: Expr, high: Expr) -> tuple[Expr, Expr]:
    """atan(low / high) for 0 <= low <= high as (value, small correction of it)."""
    if low.type == "f32":  # one polynomial for all of [0, 1]: it loses nothing by reducing
        r = low / high
        z = r * r
        return r, r * z * polynomial(tables.ATAN_UNIT["f32"], z)
    upper = low > high * TAN_PI_8
    top, bottom = where(upper, low - high, low), where(upper, low + high, high)
    r = top / bottom
    z = r * r
    rest = r * z * polynomial(tables.ATAN[r.type], z)
    quarter, quarter_low, _ = (p / 2 for p in tables.PI_2[r.type])
    zero = number(0.0, r)
    total, lost = fast_two_sum(where(upper, number(quarter, r), zero), r)
    lost = where(upper, lost + quarter_low, zero)
    return total, rest + lost


def _second_octant(angle: Expr, rest: Expr, swapped: Expr) -> tuple[Expr, Expr]:
    """pi/2 minus the angle where swapped."""
    high, low, _ = tables.PI_2[angle.type]
    total, lost = fast_two_sum(number(high, angle), -angle)
    return where(swapped, total, angle), where(swapped, lost + (low - rest), rest)


def atan(x: Expr) -> Expr:
    """Inverse tangent."""
    a = abs(x)
    swapped = a > 1.0
    one = number(1.0, x)
    # atan(1/a) for a > 1; infinity gives 0 / 1.
    bottom = where(swapped, where(a.eq(INF), one, a), one)
    top = where(swapped, where(a.eq(INF), number(0.0, x), one), a)
    total, rest = _second_octant(*_atan_of_ratio(top, bottom), swapped)
    return with_sign_of(total + rest, x)


def atan2(y: Expr, x: Expr) -> Expr:
    """The angle of the point (x, y), in all four quadrants and with C's special cases."""
    a, b = abs(y), abs(x)
    swapped = a > b
    low, high = smaller(a, b), larger(a, b)
    # Scaled so that low + high does not overflow and their quotient is not taken of subnormals.
    huge, small = (2.0**120, 2.0**-60) if x.type == "f32" else (2.0**1000, 2.0**-900)
    up = 2.0**60 if x.type == "f32" else 2.0**110
    factor = where(
        high < small, number(up, x), where(high > huge, number(1 / up, x), number(1.0, x))
    )
    both_infinite = low.eq(INF)
    low = where(both_infinite, number(1.0, x), low * factor)
    high = where(both_infinite | high.eq(0.0), number(1.0, x), high * factor)
    total, rest = _second_octant(*_atan_of_ratio(low, high), swapped)
    pi_high, pi_low, _ = (2.0 * p for p in tables.PI_2[x.type])
    back, lost = fast_two_sum(number(pi_high, x), -total)
    angle = where(is_negative(x), back + (lost + (pi_low - rest)), total + rest)
    angle = where(y.ne(y) | x.ne(x), x + y, angle)
    return with_sign_of(angle, y)
