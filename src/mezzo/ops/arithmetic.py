"""Sums, differences, products, signs, and their combinations, element by element."""

from __future__ import annotations

from numbers import Number

from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.fused import slope, zero
from mezzo.core.record import Cast, composite, none
from mezzo.core.tensor import Tensor
from mezzo.dtypes import BOOL, INTEGER
from mezzo.errors import DTypeError, Fact, UnsupportedDTypeError
from mezzo.kernels import ir as k
from mezzo.rules import dtypes as rules
from mezzo.rules import samples
from mezzo.rules.samples import S, T

PROMOTE = Cast(cuda="promote")


def _scaled(b: k.Expr, alpha) -> k.Expr:
    return b if alpha.__class__ is int and alpha == 1 else b * alpha


@elementwise(
    kernel=lambda a, b, alpha: a + _scaled(b, alpha), dtype=rules.scaled, operators="__add__ __radd__", inplace=True,
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


def _sub_dtype(operands, named):
    if any(have.category == BOOL for have, _ in operands):
        both = all(have.category == BOOL for have, _ in operands)
        text = f"subtraction, the `-` operator, with {'two bool tensors' if both else 'a bool tensor'} is not supported"
        raise Fact(
            DTypeError, text, "Use the `^` or `logical_xor()` operator, or `~` to invert a mask."
        )
    return rules.scaled(operands, named)


@elementwise(
    kernel=lambda a, b, alpha: a - _scaled(b, alpha), dtype=_sub_dtype, operators="__sub__ __rsub__",
    inplace=True, aliases="subtract",
    vjp={"input": lambda g, _y, _a, _b, alpha: g, "other": lambda g, _y, _a, _b, alpha: g * -alpha if alpha != 1 else -g},
    samples=[*samples.binary(), S(T(2, 3), T(3), alpha=2), S(T(2), 3), S(T(2), 0.5, alpha=-1.5)])  # fmt: skip
def sub(input: Tensor | Number, other: Tensor | Number, *, alpha=1) -> Tensor:
    """input - alpha * other.

    Math:    y[i] = input[i] - alpha * other[i]
    Shapes:  broadcast
    Dtypes:  promoted; bool is refused
    Source:  torch.sub
    """


@composite(where="mezzo", samples=[S(T(2, 3), T(3)), S(T(2, 3), 2.5), S(T(3), T(3), alpha=3)])
def rsub(input: Tensor, other, *, alpha=1) -> Tensor:
    """other - alpha * input.

    Math:   y[i] = other[i] - alpha * input[i]
    Shapes: broadcast
    Source: torch.rsub
    """
    return sub(other, input, alpha=alpha)


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


@composite(where="mezzo Tensor", operators="__pos__", samples=[S(T(2, 3))])
def positive(input: Tensor) -> Tensor:
    """input itself; bool is refused.

    Shapes: input (...) -> (...)
    Source: torch.positive
    """
    if input.dtype.category == BOOL:
        raise Fact(DTypeError, "the `+` operator, on a bool tensor is not supported")
    return input


def _sign(x: k.Expr) -> k.Expr:
    """-1, 0 or 1 in the type of x; 0 for NaN."""
    if x.type == "b1":
        return x
    one, zero = k.const(1, x.type), k.const(0, x.type)
    positive_part = k.where(x > 0, one, zero)
    return positive_part if x.type == "u8" else k.where(x < 0, k.neg(one), positive_part)


abs_backward = slope("abs_backward", _sign)


@elementwise(kernel=k.abs, dtype=rules.no_bool, operators="__abs__", inplace=True, aliases="absolute",
             vjp={"input": lambda g, _y, x: abs_backward(g, x)}, samples=samples.unary())  # fmt: skip
def abs(input: Tensor) -> Tensor:
    """The magnitude of every element.

    Math:   y[i] = |input[i]|
    Shapes: input (...) -> (...)
    Source: torch.abs
    """


@elementwise(
    kernel=_sign,
    inplace=True,
    vjp={"input": lambda g, _y, _x: zero(g)},
    aliases="sgn",
    samples=samples.unary(),
)
def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1 by the sign of every element; 0 for NaN.

    Shapes: input (...) -> (...)
    Source: torch.sign
    """


def _signbit(x: k.Expr) -> k.Expr:
    if x.type in ("b1", "u8"):
        return k.const(False, "b1")
    return (k.copysign(k.const(1.0, x.type), x) if x.is_float else x) < 0


@elementwise(
    kernel=_signbit, dtype=rules.compare, vjp=none("a truth value"), samples=samples.unary()
)
def signbit(input: Tensor) -> Tensor:
    """True where the sign is negative, -0.0 included.

    Shapes: input (...) -> (...)
    Dtypes: bool
    Source: torch.signbit
    """


@elementwise(kernel=lambda x, a, b, value: x + _scaled(a * b, value), dtype=rules.no_bool, inplace=True, cast=PROMOTE,
             vjp={"input": lambda g, _y, _x, _a, _b, value: g,
                  "tensor1": lambda g, _y, _x, _a, b, value: g * b if value == 1 else g * b * value,
                  "tensor2": lambda g, _y, _x, a, _b, value: g * a if value == 1 else g * a * value},
             samples=[S(T(2, 3), T(2, 3), T(2, 3)), S(T(3), T(2, 1), T(3), value=0.5), S(T(0, 2), T(2), T())])  # fmt: skip
def addcmul(
    input: Tensor, tensor1: Tensor | Number, tensor2: Tensor | Number, *, value=1
) -> Tensor:
    """input + value * tensor1 * tensor2.

    Math:   y[i] = input[i] + value * tensor1[i] * tensor2[i]
    Shapes: broadcast
    Source: torch.addcmul
    """


def _addcdiv_dtype(operands):
    result, _ = rules.promote(operands)
    if all(have.category <= INTEGER for have, _ in operands):
        raise Fact(
            DTypeError, "integer division with addcdiv is not supported",
            "Convert with x.float(), or write input + value * mezzo.trunc(tensor1 / tensor2).",
        )  # fmt: skip
    return result, result


@elementwise(kernel=lambda x, a, b, value: x + _scaled(a, value) / b, dtype=_addcdiv_dtype, inplace=True, cast=PROMOTE,
             vjp={"input": lambda g, _y, _x, _a, _b, value: g,
                  "tensor1": lambda g, _y, _x, _a, b, value: g * (value / b),
                  "tensor2": lambda g, _y, _x, a, b, value: -g * (value * a / (b * b))},
             samples=[S(T(2, 3), T(2, 3), T(2, 3, low=0.5)), S(T(3), T(2, 1), T(3, low=0.5), value=0.5),
                      S(T(0, 2), T(2), T(low=1))])  # fmt: skip
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value=1) -> Tensor:
    """input + value * tensor1 / tensor2.

    Math:   y[i] = input[i] + value * tensor1[i] / tensor2[i]
    Shapes: broadcast
    Source: torch.addcdiv
    """


def _lerp_dtype(operands):
    tensors = {have for have, kind in operands if kind != "number"}
    if len(tensors) > 1:
        names = " and ".join(sorted(t.name for t in tensors))
        raise Fact(
            DTypeError,
            f"expected tensors of one dtype, but got {names}",
            "Convert them with x.to(dtype).",
        )
    (have,) = tensors
    if have.category <= INTEGER:
        raise Fact(UnsupportedDTypeError, f"does not take {have.name}; it needs a floating dtype")
    return have, have


def _lerp(start: k.Expr, end: k.Expr, weight) -> k.Expr:
    # From the nearer end, so that weights 0 and 1 give start and end exactly.
    span = end - start
    return k.where(k.abs(weight) < 0.5, k.fma(span, weight, start), end - span * (1.0 - weight))


@elementwise(kernel=_lerp, dtype=_lerp_dtype, inplace=True,
             vjp={"input": lambda g, _y, _a, _b, weight: g * (1 - weight),
                  "end": lambda g, _y, _a, _b, weight: g * weight,
                  "weight": lambda g, _y, a, b, _w: g * (b - a)},
             samples=[S(T(2, 3), T(2, 3), 0.3), S(T(2, 3), T(3), T(2, 1)), S(T(2), T(2), 1.5), S(T(0, 3), T(3), T())])  # fmt: skip
def lerp(input: Tensor, end: Tensor, weight: Tensor | Number) -> Tensor:
    """The point between input and end at the given weight.

    Math:   y[i] = input[i] + weight[i] * (end[i] - input[i])
    Shapes: broadcast
    Source: torch.lerp
    """
