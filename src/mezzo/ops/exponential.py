"""Exponentials and logarithms, element by element."""

from __future__ import annotations

import math
from numbers import Number

from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.fused import slope
from mezzo.core.record import Cast
from mezzo.core.tensor import Tensor
from mezzo.kernels import ir as k
from mezzo.ops.select import where
from mezzo.rules import dtypes as rules
from mezzo.rules import samples
from mezzo.rules.samples import S, T

FP32 = Cast(cuda="fp32")
LN2, LN10 = math.log(2), math.log(10)


@elementwise(kernel=k.exp, dtype=rules.int_to_float, inplace=True, cast=FP32,
             vjp={"input": lambda g, y, _x: g * y}, samples=samples.unary())  # fmt: skip
def exp(input: Tensor) -> Tensor:
    """e to the power input.

    Math:   y[i] = exp(input[i])
    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.exp
    """


exp2_backward = slope("exp2_backward", lambda y: y * LN2, lambda y: LN2)


@elementwise(kernel=k.exp2, dtype=rules.int_to_float, inplace=True, where="mezzo Tensor special",
             vjp={"input": lambda g, y, _x: exp2_backward(g, y)}, samples=samples.unary())  # fmt: skip
def exp2(input: Tensor) -> Tensor:
    """2 to the power input.

    Math:   y[i] = 2 ** input[i]
    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.exp2
    """


expm1_backward = slope("expm1_backward", lambda y: y + 1.0, lambda y: 1.0)


@elementwise(kernel=k.expm1, dtype=rules.int_to_float, inplace=True, cast=FP32, where="mezzo Tensor special",
             vjp={"input": lambda g, y, _x: expm1_backward(g, y)}, samples=samples.unary())  # fmt: skip
def expm1(input: Tensor) -> Tensor:
    """exp(input) - 1, accurate near zero.

    Math:   y[i] = exp(input[i]) - 1
    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.expm1
    """


@elementwise(kernel=k.log, dtype=rules.int_to_float, inplace=True, cast=FP32,
             vjp={"input": lambda g, _y, x: g / x}, samples=samples.unary(0.1, 9))  # fmt: skip
def log(input: Tensor) -> Tensor:
    """The natural logarithm; -inf at zero, NaN below.

    Math:   y[i] = ln(input[i])
    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.log
    """


log2_backward = slope("log2_backward", lambda x: (1 / LN2) / x, lambda x: (-1 / LN2) / (x * x))
log10_backward = slope("log10_backward", lambda x: (1 / LN10) / x, lambda x: (-1 / LN10) / (x * x))
log1p_backward = slope(
    "log1p_backward", lambda x: 1.0 / (x + 1.0), lambda x: -1 / ((x + 1) * (x + 1))
)


@elementwise(kernel=k.log2, dtype=rules.int_to_float, inplace=True, cast=FP32,
             vjp={"input": lambda g, _y, x: log2_backward(g, x)}, samples=samples.unary(0.1, 9))  # fmt: skip
def log2(input: Tensor) -> Tensor:
    """The logarithm to base 2.

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.log2
    """


@elementwise(kernel=k.log10, dtype=rules.int_to_float, inplace=True, cast=FP32,
             vjp={"input": lambda g, _y, x: log10_backward(g, x)}, samples=samples.unary(0.1, 9))  # fmt: skip
def log10(input: Tensor) -> Tensor:
    """The logarithm to base 10.

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.log10
    """


@elementwise(grad_name="Log1PBackward0", kernel=k.log1p, dtype=rules.int_to_float, inplace=True, cast=FP32, where="mezzo Tensor special",
             vjp={"input": lambda g, _y, x: log1p_backward(g, x)}, samples=samples.unary(-0.9, 9))  # fmt: skip
def log1p(input: Tensor) -> Tensor:
    """ln(1 + input), accurate near zero.

    Math:   y[i] = ln(1 + input[i])
    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.log1p
    """


def _log_of_sum(base_two: bool):
    def build(a: k.Expr, b: k.Expr) -> k.Expr:
        gap = k.neg(k.abs(a - b))
        beyond = k.log1p(k.exp2(gap)) * (1 / LN2) if base_two else k.log1p(k.exp(gap))
        # Equal infinities have no gap.
        return k.maximum(a, b) + k.where(a.eq(b), k.const(1.0 if base_two else LN2, a.type), beyond)

    return build


def _share_again(sign: float):
    def rule(g, _y, grad, a, b, unit):
        share = share_of_sum(grad, a, b, unit)
        rest = share_of_sum(g, b, a, unit)
        return share * rest * (sign * unit)

    return rule


@elementwise(where="", kernel=lambda g, a, b, unit: g * k.sigmoid((a - b) * unit),
             vjp={"grad": lambda g, _y, _g, a, b, unit: share_of_sum(g, a, b, unit),
                  "input": _share_again(1.0), "other": _share_again(-1.0)})  # fmt: skip
def share_of_sum(grad: Tensor, input: Tensor, other: Tensor, unit=1.0) -> Tensor:
    """grad times the share of exp(input) in exp(input) + exp(other), exponents in `unit`s."""


@elementwise(kernel=_log_of_sum(False), dtype=rules.float_only, where="mezzo Tensor",
             vjp={"input": lambda g, _y, a, b: share_of_sum(g, a, b), "other": lambda g, _y, a, b: share_of_sum(g, b, a)},
             samples=samples.binary())  # fmt: skip
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """ln(exp(input) + exp(other)) without overflow.

    Shapes: broadcast
    Source: torch.logaddexp
    """


@elementwise(kernel=_log_of_sum(True), dtype=rules.float_only, where="mezzo Tensor",
             vjp={"input": lambda g, _y, a, b: share_of_sum(g, a, b, LN2),
                  "other": lambda g, _y, a, b: share_of_sum(g, b, a, LN2)},
             samples=samples.binary())  # fmt: skip
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log2(2 ** input + 2 ** other) without overflow.

    Shapes: broadcast
    Source: torch.logaddexp2
    """


def _xlogy(x: k.Expr, y: k.Expr) -> k.Expr:
    product = k.where(x.eq(0.0), k.const(0.0, x.type), x * k.log(y))
    return k.where(k.is_nan(y), y, product)


@elementwise(kernel=_xlogy, dtype=rules.int_to_float, inplace=True, where="mezzo Tensor special",
             vjp={"input": lambda g, _y, a, b: where((a == 0) & (b <= 0), 0.0, g * log(b)) if isinstance(b, Tensor)
                  else g * (math.log(b) if b > 0 else math.nan),
                  "other": lambda g, _y, a, b: g * a / b},
             samples=[*samples.binary(0.1, 3.0), S(T(3, low=0.1), 2.0), S(2, T(3, low=0.1))])  # fmt: skip
def xlogy(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input * ln(other), and 0 where input is 0.

    Shapes: broadcast
    Dtypes: float kept; int and bool become the default float
    Source: torch.xlogy
    """


@elementwise(kernel=lambda x, y: k.where(k.is_nan(y), y, k.where(x.eq(0.0), k.const(0.0, x.type), x * k.log1p(y))),
             dtype=rules.int_to_float, where="special",
             vjp={"input": lambda g, _y, a, b: g * log1p(b) if isinstance(b, Tensor) else g * math.log1p(b),
                  "other": lambda g, _y, a, b: g * a / (b + 1)},
             samples=[*samples.binary(0.1, 3.0), S(T(3, low=0.1), 2.0)])  # fmt: skip
def xlog1py(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input * ln(1 + other), and 0 where input is 0.

    Shapes: broadcast
    Source: torch.special.xlog1py
    """
