"""The folds of reductions, as expressions (see kernels/cpu/reduce.py for what a Fold is)."""

from __future__ import annotations

import math

from mezzo.kernels import ir as k
from mezzo.kernels.cpu.reduce import Fold


def _finish_one(accs, count):
    return accs


def total(type: str) -> Fold:
    """The sum."""
    return Fold(
        ((0, type),),
        lambda a, x, i: [a[0] + k.cast(x[0], type)],
        lambda a, b: [a[0] + b[0]],
        _finish_one,
    )


def total_of_numbers(type: str) -> Fold:
    """The sum without what is NaN."""

    def step(a, x, i):
        value = k.cast(x[0], type)
        return [a[0] + (k.where(k.is_nan(value), 0, value) if type in k.FLOATS else value)]

    return Fold(((0, type),), step, lambda a, b: [a[0] + b[0]], _finish_one)


def average(type: str) -> Fold:
    """The sum divided by the count."""
    return Fold(((0, type),), lambda a, x, i: [a[0] + k.cast(x[0], type)], lambda a, b: [a[0] + b[0]],
                lambda a, count: [a[0] / k.cast(count, type)])  # fmt: skip


def product(type: str) -> Fold:
    """The product."""
    return Fold(
        ((1, type),),
        lambda a, x, i: [a[0] * k.cast(x[0], type)],
        lambda a, b: [a[0] * b[0]],
        _finish_one,
    )


_LOWEST = {"f32": -math.inf, "f64": -math.inf, "i64": -(2**63), "i32": -(2**31), "i16": -(2**15), "i8": -128, "u8": 0,
           "b1": 0}  # fmt: skip
_HIGHEST = {"f32": math.inf, "f64": math.inf, "i64": 2**63 - 1, "i32": 2**31 - 1, "i16": 2**15 - 1, "i8": 127, "u8": 255,
            "b1": 1}  # fmt: skip


def largest(type: str) -> Fold:
    """The maximum; NaN if any is."""
    return Fold(((_LOWEST[type], type),), lambda a, x, i: [k.maximum(a[0], k.cast(x[0], type))],
                lambda a, b: [k.maximum(a[0], b[0])], _finish_one)  # fmt: skip


def smallest(type: str) -> Fold:
    """The minimum; NaN if any is."""
    return Fold(((_HIGHEST[type], type),), lambda a, x, i: [k.minimum(a[0], k.cast(x[0], type))],
                lambda a, b: [k.minimum(a[0], b[0])], _finish_one)  # fmt: skip


def any_true(type: str) -> Fold:
    """Logical or."""
    return Fold(
        ((0, "b1"),),
        lambda a, x, i: [a[0] | k.cast(x[0], "b1")],
        lambda a, b: [a[0] | b[0]],
        _finish_one,
    )


def all_true(type: str) -> Fold:
    """Logical and."""
    return Fold(
        ((1, "b1"),),
        lambda a, x, i: [a[0] & k.cast(x[0], "b1")],
        lambda a, b: [a[0] & b[0]],
        _finish_one,
    )


def _extreme(type: str, start, better) -> Fold:
    """Value and index of the first extreme element; the first NaN wins over everything."""

    def choose(a, b):
        (av, ai), (bv, bi) = a, b
        takes = better(bv, av)
        same = bv.eq(av)
        if type in k.FLOATS:
            a_nan, b_nan = k.is_nan(av), k.is_nan(bv)
            takes = (takes & ~a_nan) | (b_nan & ~a_nan)
            same = same | (a_nan & b_nan)
        # The start has the index -1: anything replaces it; equal values keep the smaller index.
        takes = takes | (ai < 0) & ~(bi < 0) | (same & (bi < ai) & ~(bi < 0))
        return [k.where(takes, bv, av), k.where(takes, bi, ai)]

    return Fold(((start, type), (-1, "i64")), lambda a, x, i: choose(a, (k.cast(x[0], type), i)), choose, _finish_one,
                (1,))  # fmt: skip


def largest_with_index(type: str) -> Fold:
    """The maximum and where it first stands."""
    type = "u8" if type == "b1" else type
    return _extreme(type, _LOWEST[type], lambda b, a: b > a)


def smallest_with_index(type: str) -> Fold:
    """The minimum and where it first stands."""
    type = "u8" if type == "b1" else type
    return _extreme(type, _HIGHEST[type], lambda b, a: b < a)


def index_of_largest(type: str) -> Fold:
    """Where the maximum first stands."""
    fold = largest_with_index(type)
    return Fold(fold.starts, fold.step, fold.merge, lambda a, count: [a[1]], fold.indices)


def index_of_smallest(type: str) -> Fold:
    """Where the minimum first stands."""
    fold = smallest_with_index(type)
    return Fold(fold.starts, fold.step, fold.merge, lambda a, count: [a[1]], fold.indices)


def count_nonzero(type: str) -> Fold:
    """How many elements are not zero."""
    return Fold(((0, "i64"),), lambda a, x, i: [a[0] + k.cast(k.cast(x[0], "b1"), "i64")],
                lambda a, b: [a[0] + b[0]], _finish_one)  # fmt: skip


def squares(type: str) -> Fold:
    """The sum of squared differences of two operands."""

    def step(a, x, i):
        d = k.cast(x[0], type) - k.cast(x[1], type)
        return [k.fma(d, d, a[0])]

    return Fold(((0, type),), step, lambda a, b: [a[0] + b[0]], _finish_one)


def _moments(type: str):
    """Mean and sum of squared differences from it, in one pass (Welford; merged after Chan et al.)."""

    def step(a, x, i):
        count, mean, m2 = a
        value = k.cast(x[0], type)
        count = count + 1
        delta = value - mean
        mean = k.fma(delta, 1 / count, mean)
        return [count, mean, k.fma(delta, value - mean, m2)]

    def merge(a, b):
        count = a[0] + b[0]
        delta = b[1] - a[1]
        share = b[0] / k.maximum(count, 1)
        # Where one side is empty the other must come through untouched, infinities included.
        mean = k.where(b[0].eq(0), a[1], k.where(a[0].eq(0), b[1], k.fma(delta, share, a[1])))
        extra = k.where(b[0].eq(0) | a[0].eq(0), 0, delta * delta * a[0] * share)
        return [count, mean, a[2] + b[2] + extra]

    return ((0, type), (0, type), (0, type)), step, merge


def _spread_of(a, count, correction, type: str):
    # The exact count: a running count in f32 stops at 2^24.
    return a[2] / k.maximum(k.cast(count, type) - correction, 0)


def _mean_of(a):
    # Of nothing: 0 / 0.
    return a[1] + k.where(a[0].eq(0), k.const(math.nan, a[1].type), 0)


def variance(type: str, correction) -> Fold:
    """The variance with `correction` taken off the count."""
    return Fold(*_moments(type), lambda a, count: [_spread_of(a, count, correction, type)])


def deviation(type: str, correction) -> Fold:
    """The standard deviation."""
    return Fold(*_moments(type), lambda a, count: [k.sqrt(_spread_of(a, count, correction, type))])


def variance_and_mean(type: str, correction) -> Fold:
    """(variance, mean)."""
    return Fold(
        *_moments(type), lambda a, count: [_spread_of(a, count, correction, type), _mean_of(a)]
    )


def deviation_and_mean(type: str, correction) -> Fold:
    """(standard deviation, mean)."""
    return Fold(
        *_moments(type),
        lambda a, count: [k.sqrt(_spread_of(a, count, correction, type)), _mean_of(a)],
    )


def norm(type: str, order: float) -> Fold:
    """(sum |x|^order)^(1/order), with its limits at 0 and at both infinities."""
    plus = lambda a, b: [a[0] + b[0]]

    def fold(start, step, merge=plus, finish=_finish_one):
        return Fold(
            ((start, type),), lambda a, x, i: [step(a[0], k.abs(k.cast(x[0], type)))], merge, finish
        )

    if order == math.inf:
        return fold(0, k.maximum, lambda a, b: [k.maximum(a[0], b[0])])
    if order == -math.inf:
        return fold(math.inf, k.minimum, lambda a, b: [k.minimum(a[0], b[0])])
    if order == 0:
        return fold(0, lambda a, x: a + k.cast(k.cast(x, "b1"), type))
    if order == 1:
        return fold(0, lambda a, x: a + x)
    if order == 2:
        return fold(0, lambda a, x: k.fma(x, x, a), finish=lambda a, count: [k.sqrt(a[0])])
    return fold(0, lambda a, x: a + k.pow(x, k.lift(order, type)),
                finish=lambda a, count: [k.pow(a[0], k.lift(1 / order, type))])  # fmt: skip


# ---- scans: the finish is what is written at each step


def _wide(type: str) -> str:
    # Long sums of f32 are kept in f64, as PyTorch keeps them.
    return "f64" if type == "f32" else type


def running_sum(type: str) -> Fold:
    """The sum so far."""
    wide = _wide(type)
    return Fold(
        ((0, wide),), lambda a, x, i: [a[0] + k.cast(k.cast(x[0], type), wide)], None, _finish_one
    )


def running_product(type: str) -> Fold:
    """The product so far."""
    wide = _wide(type)
    return Fold(
        ((1, wide),), lambda a, x, i: [a[0] * k.cast(k.cast(x[0], type), wide)], None, _finish_one
    )


def recurrence(type: str) -> Fold:
    """y = a * y + b, from y = 0."""
    wide = _wide(type)

    def step(y, x, i):
        a, b = (k.cast(k.cast(v, type), wide) for v in x)
        return [k.fma(y[0], a, b)]

    return Fold(((0, wide),), step, None, _finish_one)


def _running_extreme(type: str, start, better) -> Fold:
    def step(a, x, i):
        value = k.cast(x[0], type)
        takes = better(value, a[0]) | a[1].eq(-1)
        if type in k.FLOATS:
            takes = k.is_nan(value) | (takes & ~k.is_nan(a[0]))
        return [k.where(takes, value, a[0]), k.where(takes, i, a[1])]

    return Fold(((start, type), (-1, "i64")), step, None, _finish_one)


def running_largest(type: str) -> Fold:
    """The maximum so far and where it last stood."""
    type = "u8" if type == "b1" else type
    return _running_extreme(type, _LOWEST[type], lambda b, a: b >= a)


def running_smallest(type: str) -> Fold:
    """The minimum so far and where it last stood."""
    type = "u8" if type == "b1" else type
    return _running_extreme(type, _HIGHEST[type], lambda b, a: b <= a)


def running_log_sum(type: str) -> Fold:
    """log(sum exp x) so far: the largest, and the sum relative to it."""

    def step(a, x, i):
        value = k.cast(x[0], type)
        top = k.maximum(a[0], value)
        # Relative to an infinity the difference is NaN where it should be zero.
        still = k.abs(top).eq(math.inf)
        old = k.where(still & a[0].eq(top), a[1], a[1] * k.exp(a[0] - top))
        new = k.where(still & value.eq(top), 1, k.exp(value - top))
        return [top, old + new]

    def finish(a, count):
        return [a[0] + k.log(a[1])]

    return Fold(((-math.inf, type), (0, type)), step, None, finish)
