"""Quotients and remainders, element by element."""

from __future__ import annotations

from numbers import Number

from mezzo import devices
from mezzo.core.families.elementwise import Elementwise, elementwise
from mezzo.core.families.fused import slope, zero
from mezzo.core.record import Cast, registered
from mezzo.core.tensor import Tensor
from mezzo.dtypes import INTEGER
from mezzo.errors import Fact, ImpossibleValueError, ZeroDivisorError
from mezzo.kernels import ir as k
from mezzo.rules import dtypes as rules
from mezzo.rules import samples
from mezzo.rules.samples import S, T


class Division(Elementwise):
    """Elementwise divisions: integers refuse a zero divisor, as PyTorch does."""

    def run(self, args: tuple) -> Tensor:
        self.plan(args)  # what is wrong with the operands is said first
        self._refuse_zero(args)
        return super().run(args)

    def update(self, target: Tensor, args: tuple) -> Tensor:
        self._refuse_zero(args)
        return super().update(target, args)

    def _refuse_zero(self, args: tuple) -> None:
        divisor = args[1]
        if len(args) > 2 and args[2] is None:
            return
        if any(_has_fractions(a) for a in args[:2]):
            return
        if isinstance(divisor, Tensor):
            zero = divisor.device is devices.cpu and not divisor._array().all()
        else:
            zero = divisor == 0
        if zero:
            self.fail(
                Fact(ZeroDivisorError, "ZeroDivisionError: the integer divisor has a zero"), args
            )


def _has_fractions(value) -> bool:
    return value.dtype.category > INTEGER if isinstance(value, Tensor) else isinstance(value, float)


division = registered(Division)


def floor_quotient(a: k.Expr, b: k.Expr) -> k.Expr:
    """a / b rounded down, exactly."""
    rest = k.rem(a, b)
    if not a.is_float:
        quotient = k.div(a, b)
        if a.type == "u8":
            return quotient
        down = rest.ne(0) & ((rest < 0) ^ (b < 0))
        return k.where(down, quotient - 1, quotient)
    whole = (a - rest) / b
    whole = k.where(rest.ne(0.0) & ((rest < 0.0) ^ (b < 0.0)), whole - 1.0, whole)
    # (a - rest) / b is a whole number but for its rounding.
    whole = k.copysign(k.rint(whole), k.where(whole.eq(0.0), a / b, whole))
    return k.where(b.eq(0.0), a / b, whole)


def floor_remainder(a: k.Expr, b: k.Expr) -> k.Expr:
    """What is left of a after taking b floor(a / b) times: it has the sign of b."""
    rest = k.rem(a, b)
    if a.type == "u8":
        return rest
    return k.where(rest.ne(0) & ((rest < 0) ^ (b < 0)), rest + b, rest)


def _quotient(a: k.Expr, b: k.Expr, rounding_mode) -> k.Expr:
    if rounding_mode == "floor":
        return floor_quotient(a, b)
    quotient = k.div(a, b)
    return k.trunc(quotient) if rounding_mode == "trunc" and a.is_float else quotient


def _div_dtype(operands, named):
    mode = named["rounding_mode"]
    if mode not in (None, "floor", "trunc"):
        raise Fact(
            ImpossibleValueError, f"rounding_mode is {mode!r}; it must be None, 'trunc' or 'floor'"
        )
    return rules.int_to_float(operands) if mode is None else rules.no_bool(operands)


@elementwise(where="", kernel=lambda g, y, b: k.neg(g * y) / b,
             vjp={"grad": lambda g, _y, _g, y, b: div_backward(g, y, b),
                  "quotient": lambda g, _y, grad, _q, b: -(g * grad) / b,
                  "other": lambda g, _y, grad, y, b: g * grad * y / (b * b)})  # fmt: skip
def div_backward(grad: Tensor, quotient: Tensor, other: Tensor | Number) -> Tensor:
    """-grad * quotient / other: what a division passes to its divisor."""


@division(
    kernel=_quotient, dtype=_div_dtype, operators="__truediv__ __rtruediv__", inplace=True, aliases="divide true_divide",
    vjp={"input": lambda g, _y, _a, b, rounding_mode: g / b if rounding_mode is None else zero(g),
         "other": lambda g, y, _a, b, rounding_mode: div_backward(g, y, b) if rounding_mode is None else zero(g)},
    samples=[*samples.binary(other_low=0.5, other_high=3.0), S(T(2), 3), S(T(7, low=-9, high=9), 2.5, rounding_mode="floor"),
             S(T(7, low=-9, high=9), T(7, low=-3, high=-1), rounding_mode="trunc")])  # fmt: skip
def div(input: Tensor | Number, other: Tensor | Number, *, rounding_mode=None) -> Tensor:
    """input / other; rounding_mode "trunc" rounds towards zero, "floor" down.

    Math:   y[i] = input[i] / other[i]
    Shapes: broadcast
    Dtypes: promoted; without rounding, int and bool become the default float
    Raises: ZeroDivisorError if integers are divided by zero with rounding
    Source: torch.div
    """


@division(
    kernel=floor_quotient, dtype=rules.no_bool, operators="__floordiv__ __rfloordiv__", inplace=True,
    vjp={"input": lambda g, _y, _a, _b: zero(g), "other": lambda g, _y, _a, _b: zero(g)},
    samples=[*(S(*s.args, grad=False) for s in samples.binary(-9, 9, 0.5, 3.0)), S(T(5, low=-9, high=9), -2, grad=False)])  # fmt: skip
def floor_divide(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input / other rounded down.

    Math:   y[i] = floor(input[i] / other[i])
    Shapes: broadcast
    Dtypes: promoted
    Raises: ZeroDivisorError if integers are divided by zero
    Source: torch.floor_divide
    """


@division(
    kernel=floor_remainder, dtype=rules.no_bool, operators="__mod__ __rmod__", inplace=True,
    vjp={"input": lambda g, _y, _a, _b: g,
         "other": lambda g, _y, a, b: -g * div(a, b, rounding_mode="floor")},
    samples=[*samples.binary(-9, 9, 0.5, 3.0), S(T(5, low=-9, high=9), -2), S(T(5, low=-9, high=9), 1.5)])  # fmt: skip
def remainder(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """What is left after dividing and rounding down: it has the sign of other (Python's %).

    Math:   y[i] = input[i] - other[i] * floor(input[i] / other[i])
    Shapes: broadcast
    Dtypes: promoted
    Raises: ZeroDivisorError if integers are divided by zero
    Source: torch.remainder
    """


@division(
    kernel=k.rem, dtype=rules.no_bool, inplace=True,
    vjp={"input": lambda g, _y, _a, _b: g,
         "other": lambda g, _y, a, b: -g * div(a, b, rounding_mode="trunc")},
    samples=[*samples.binary(-9, 9, 0.5, 3.0), S(T(5, low=-9, high=9), -2)])  # fmt: skip
def fmod(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """What is left after dividing and rounding towards zero: it has the sign of input (C's fmod).

    Math:   y[i] = input[i] - other[i] * trunc(input[i] / other[i])
    Shapes: broadcast
    Dtypes: promoted
    Raises: ZeroDivisorError if integers are divided by zero
    Source: torch.fmod
    """


reciprocal_backward = slope("reciprocal_backward", lambda y: -(y * y), lambda y: y * -2)


@elementwise(kernel=lambda x: 1.0 / x, dtype=rules.int_to_float, inplace=True, cast=Cast(cuda="fp32"),
             vjp={"input": lambda g, y, _x: reciprocal_backward(g, y)}, samples=samples.unary(0.3, 3))  # fmt: skip
def reciprocal(input: Tensor) -> Tensor:
    """1 / input.

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.reciprocal
    """
