"""Arithmetic, element by element."""

from __future__ import annotations

from numbers import Number

from mezzo.core.families.elementwise import elementwise
from mezzo.core.tensor import Tensor
from mezzo.kernels import ir as k
from mezzo.rules import dtypes as rules
from mezzo.rules import samples
from mezzo.rules.samples import S, T


def _scaled(b: k.Expr, alpha) -> k.Expr:
    return b if alpha == 1 else b * alpha


@elementwise(
    kernel=lambda a, b, alpha: a + _scaled(b, alpha), operators="__add__ __radd__", inplace=True,
    vjp={"input": lambda g, _y, _a, _b, alpha: g, "other": lambda g, _y, _a, _b, alpha: g * alpha if alpha != 1 else g},
    samples=[*samples.binary(), S(T(2, 3), T(3), alpha=2), S(T(2), 3)])  # fmt: skip
def add(input: Tensor | Number, other: Tensor | Number, *, alpha=1) -> Tensor:
    """input + alpha * other.

    Math:    y[i] = input[i] + alpha * other[i]
    Shapes:  broadcast
    Dtypes:  promoted
    Source:  torch.add
    Example: >>> add(tensor([1, 2]), 10)
             tensor([11, 12])
    """


@elementwise(
    kernel=lambda a, b: a * b, operators="__mul__ __rmul__", inplace=True, aliases="multiply",
    vjp={"input": lambda g, _y, _a, b: g * b, "other": lambda g, _y, a, _b: g * a},
    samples=[*samples.binary(), S(T(2), 3)])  # fmt: skip
def mul(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input * other.

    Math:    y[i] = input[i] * other[i]
    Shapes:  broadcast
    Dtypes:  promoted
    Source:  torch.mul
    """


@elementwise(kernel=k.neg, dtype=rules.no_bool, operators="__neg__", inplace=True, aliases="negative",
             vjp={"input": lambda g, _y, _x: -g}, samples=samples.unary())  # fmt: skip
def neg(input: Tensor) -> Tensor:
    """-input.

    Shapes: input (...) -> (...)
    Source: torch.neg
    """


@elementwise(kernel=lambda a: k.sin(a), dtype=rules.int_to_float, inplace=True,
             vjp={"input": lambda g, _y, x: g * cos(x)}, samples=samples.unary(-10, 10))  # fmt: skip
def sin(input: Tensor) -> Tensor:
    """Sine of every element.

    Math:    y[i] = sin(input[i])
    Shapes:  input (...) -> (...)
    Dtypes:  float kept; int and bool become the default float
    Source:  torch.sin
    """


@elementwise(kernel=lambda a: k.cos(a), dtype=rules.int_to_float, inplace=True,
             vjp={"input": lambda g, _y, x: -(g * sin(x))}, samples=samples.unary(-10, 10))  # fmt: skip
def cos(input: Tensor) -> Tensor:
    """Cosine of every element.

    Math:    y[i] = cos(input[i])
    Shapes:  input (...) -> (...)
    Dtypes:  float kept; int and bool become the default float
    Source:  torch.cos
    """
