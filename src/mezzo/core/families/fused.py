"""Fused derivatives: the incoming gradient times a slope, as one kernel.

    sin_backward = slope("sin_backward", k.cos, lambda x: -sin(x))

makes the internal record sin_backward(grad, input) = grad * cos(input), itself differentiable: `curve`
is the slope's derivative, written with public operations. No curve: the slope is constant in pieces.
"""

from __future__ import annotations

from collections.abc import Callable

from mezzo.core.families.elementwise import Elementwise
from mezzo.core.record import none
from mezzo.core.tensor import Tensor
from mezzo.kernels.ir import Expr, const


def _zero_gradient(input: Tensor) -> Tensor:
    """Zeros in the shape of input: the gradient of what is constant in pieces."""


zero = Elementwise(
    _zero_gradient,
    name="zero_gradient",
    where="",
    kernel=lambda x: const(0, x.type),
    vjp=none("constant"),
)


def _times_slope(grad: Tensor, input: Tensor) -> Tensor:
    """grad times the slope at input: what one operation passes back."""


def slope(
    name: str, of: Callable[[Expr], Expr], curve: Callable | none | None = None
) -> Elementwise:
    """The record grad * of(input).

    of: the slope as an expression. curve: its derivative, a function of the input in public operations,
    or `none(reason)` if mezzo has no operation for it.
    """

    def of_input(g, _y, grad, x):
        return g * grad * curve(x)

    rules = {"grad": lambda g, _y, _grad, x: record(g, x)}
    if not isinstance(curve, none):
        rules["input"] = of_input if curve is not None else lambda g, _y, _grad, _x: zero(g)
    record = Elementwise(
        _times_slope, name=name, where="", kernel=lambda g, x: g * of(x), vjp=rules
    )
    return record
