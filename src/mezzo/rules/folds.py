"""The folds of reductions, as expressions (see kernels/cpu/reduce.py for what a Fold is)."""

from __future__ import annotations

import math

from mezzo.kernels import ir as k
from mezzo.kernels.cpu.reduce import Fold


def _finish_one(accs, count):
    return accs


def total(type: str) -> Fold:
    """The sum."""
    return Fold(((0, type),), lambda a, x, i: [a[0] + k.cast(x[0], type)], lambda a, b: [a[0] + b[0]], _finish_one)


def average(type: str) -> Fold:
    """The sum divided by the count."""
    return Fold(((0, type),), lambda a, x, i: [a[0] + k.cast(x[0], type)], lambda a, b: [a[0] + b[0]],
                lambda a, count: [a[0] / k.cast(count, type)])  # fmt: skip


def product(type: str) -> Fold:
    """The product."""
    return Fold(((1, type),), lambda a, x, i: [a[0] * k.cast(x[0], type)], lambda a, b: [a[0] * b[0]], _finish_one)


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
    return Fold(((0, "b1"),), lambda a, x, i: [a[0] | k.cast(x[0], "b1")], lambda a, b: [a[0] | b[0]], _finish_one)


def all_true(type: str) -> Fold:
    """Logical and."""
    return Fold(((1, "b1"),), lambda a, x, i: [a[0] & k.cast(x[0], "b1")], lambda a, b: [a[0] & b[0]], _finish_one)


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

    return Fold(((start, type), (-1, "i64")), lambda a, x, i: choose(a, (k.cast(x[0], type), i)), choose, _finish_one)


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
    return Fold(fold.starts, fold.step, fold.merge, lambda a, count: [a[1]])


def index_of_smallest(type: str) -> Fold:
    """Where the minimum first stands."""
    fold = smallest_with_index(type)
    return Fold(fold.starts, fold.step, fold.merge, lambda a, count: [a[1]])


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
