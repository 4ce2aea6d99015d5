"""Powers and roots, element by element."""

from __future__ import annotations

import math
from numbers import Number

from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.fused import slope, zero
from mezzo.core.record import Cast, Composite, registered
from mezzo.core.tensor import Tensor
from mezzo.dtypes import BOOL, FLOAT, INTEGER, float64
from mezzo.errors import DTypeError, Fact
from mezzo.kernels import ir as k
from mezzo.ops.exponential import exp2_backward, log
from mezzo.ops.select import where
from mezzo.rules import dtypes as rules
from mezzo.rules import samples
from mezzo.rules.samples import S, T

FP32 = Cast(cuda="fp32")
COMMON = frozenset((-2, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3))  # exponents with kernels of their own


def _constant_power(a: k.Expr, exponent) -> k.Expr:
    """a to a power from COMMON."""
    one = k.const(1, a.type)
    special = {
        0: lambda: one, 1: lambda: a, 2: lambda: a * a, 3: lambda: a * a * a, 0.5: lambda: k.sqrt(a),
        1.5: lambda: a * k.sqrt(a), -0.5: lambda: 1.0 / k.sqrt(a), -1: lambda: 1.0 / a, -2: lambda: 1.0 / (a * a),
    }  # fmt: skip
    return special[exponent]()


def _integer_power(a: k.Expr, b) -> k.Expr:
    """Repeated squaring, wrapping around; a negative exponent leaves 1, -1 or 0."""
    b = k.lift(b, a.type)
    bits = {"u8": 8, "i8": 7, "i16": 15, "i32": 31, "i64": 63}[a.type]
    one, zero = k.const(1, a.type), k.const(0, a.type)
    result, square_, rest = one, a, b
    for _ in range(bits):
        result = k.where((rest & 1).ne(0), result * square_, result)
        square_, rest = square_ * square_, rest >> 1
    if a.type == "u8":
        return result
    sign = k.where((b & 1).ne(0), k.neg(one), one)
    fraction = k.where(a.eq(1), one, k.where(a.eq(-1), sign, zero))
    return k.where(b < 0, fraction, result)


def power(a: k.Expr, b) -> k.Expr:
    """a to the power b, an expression or a number."""
    if not isinstance(b, k.Expr) and b in COMMON:
        return _constant_power(a, b)
    return k.pow(a, b) if a.is_float else _integer_power(a, b)


def _base(a, b) -> k.Expr:
    return k.lift(a, b.type) if isinstance(b, k.Expr) else a


def _pow_dtype(operands, named):
    exponent = named["exponent"]
    result, _ = rules.no_bool(operands)
    if result.category <= INTEGER and not isinstance(exponent, Tensor) and exponent < 0:
        raise Fact(
            DTypeError,
            "Integers to negative integer powers are not allowed",
            "Convert with x.float().",
        )
    return result, result


def _times_slope_in_base(g: k.Expr, a: k.Expr, b) -> k.Expr:
    """g * b * a ** (b - 1), and zero where b is."""
    if isinstance(b, k.Expr):
        return k.where(b.eq(0.0), k.const(0.0, a.type), g * b * k.pow(a, b - 1.0))
    if b == 0:
        return k.const(0.0, a.type)
    return g * (power(a, b - 1) if b == 1 else power(a, b - 1) * float(b))


def _base_again(g, _y, grad, a, b):
    if isinstance(b, Tensor):
        slope_ = where((b == 0) | (b == 1), 0.0, b * (b - 1) * pow(a, b - 2))
        return g * grad * slope_
    return g * grad * 0 if b in (0, 1) else g * grad * (pow(a, b - 2) * (b * (b - 1)))


def _exponent_again(g, _y, grad, a, b):
    return g * grad * (pow(a, b - 1) * (1 + b * log(a)))


@elementwise(where="", kernel=lambda g, a, b: _times_slope_in_base(g, k.lift(a, g.type), b), constants={"exponent": COMMON},
             vjp={"grad": lambda g, _y, _g, a, b: pow_backward_base(g, a, b), "input": _base_again,
                  "exponent": _exponent_again})  # fmt: skip
def pow_backward_base(grad: Tensor, input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """grad * exponent * input ** (exponent - 1): what a power passes to its base."""


def _times_slope_in_exponent(g: k.Expr, y: k.Expr, a, b: k.Expr) -> k.Expr:
    """g * y * log(a); zero where 0 is raised to something not negative."""
    a = k.lift(a, g.type)
    nothing = a.eq(0.0) & (b >= 0.0)
    return k.where(nothing, k.const(0.0, g.type), g * (y * k.log(a)))


def _log_or_zero(a, b):
    a = a if isinstance(a, Tensor) else b.new_full((), a)
    return where((a == 0) & (b >= 0), 0.0, log(a))


@elementwise(where="", kernel=_times_slope_in_exponent,
             vjp={"grad": lambda g, _y, _g, y, a, b: pow_backward_exponent(g, y, a, b),
                  "power": lambda g, _y, grad, _p, a, b: g * grad * _log_or_zero(a, b),
                  "input": lambda g, _y, grad, y, a, b: where((a == 0) & (b >= 0), 0.0, g * grad * y / a),
                  "exponent": lambda g, _y, _g, _p, _a, _b: zero(g)})  # fmt: skip
def pow_backward_exponent(
    grad: Tensor, power: Tensor, input: Tensor | Number, exponent: Tensor
) -> Tensor:
    """grad * power * log(input): what a power passes to its exponent."""


def _pow_name(args: tuple) -> str:
    if isinstance(args[1], (int, float)):
        return "PowBackward0"
    return "PowBackward2" if isinstance(args[0], (int, float)) else "PowBackward1"


@elementwise(kernel=lambda a, b: power(_base(a, b), b), dtype=_pow_dtype, grad_name=_pow_name, operators="__pow__ __rpow__", inplace=True,
             cast=FP32, constants={"exponent": COMMON},
             vjp={"input": lambda g, _y, a, b: pow_backward_base(g, a, b) if isinstance(b, Tensor) or b else zero(g),
                  "exponent": lambda g, y, a, b: pow_backward_exponent(g, y, a, b)},
             samples=[*samples.binary(0.2, 2.0, -2.0, 3.0), S(T(5), 2), S(T(5), 3), S(T(5, low=0.2), 0.5),
                      S(T(5, low=0.2), -1), S(T(5, low=0.2), -0.5), S(T(5, low=0.2), 2.7), S(T(5), 0), S(T(5), 1),
                      S(T(5), 5), S(2.5, T(2, 3)), S(2, T())])  # fmt: skip
def pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """input to the power exponent.

    Math:   y[i] = input[i] ** exponent[i]
    Shapes: broadcast
    Dtypes: promoted
    Raises: DTypeError if integers are raised to a negative number
    Source: torch.pow
    """


class FloatPower(Composite):
    """In place, the base must already have the dtype of the result."""

    def update(self, target: Tensor, args: tuple) -> Tensor:
        if target.dtype is not float64:
            text = f"the base given to float_power_ has dtype {target.dtype.name} but the operation's result requires float64"
            self.fail(
                Fact(
                    DTypeError, text, "Convert it with x.double(), or write x = x.float_power(...)."
                ),
                args,
            )
        return super().update(target, args)


@registered(FloatPower)(where="mezzo Tensor", inplace=True, aliases="",
           samples=[S(T(2, 3, low=0.2), T(3), grad=False), S(T(3), 2, grad=False), S(2.5, T(3), grad=False)])  # fmt: skip
def float_power(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """input to the power exponent, in float64.

    Math:   y[i] = input[i] ** exponent[i]
    Shapes: broadcast
    Dtypes: float64
    Source: torch.float_power
    """
    return pow(*(a.to(float64) if isinstance(a, Tensor) else float(a) for a in (input, exponent)))


def _square_dtype(operands):
    if operands[0][0].category == BOOL:
        return rules.promote([*operands, (rules.dtypes.int64, "number")])
    return rules.promote(operands)


square_backward = slope("square_backward", lambda x: x + x, lambda x: 2.0)


@elementwise(grad_name="PowBackward0", kernel=lambda x: x * x, dtype=_square_dtype, inplace=True,
             vjp={"input": lambda g, _y, x: square_backward(g, x)}, samples=samples.unary())  # fmt: skip
def square(input: Tensor) -> Tensor:
    """The square of every element.

    Math:   y[i] = input[i] ** 2
    Shapes: input (...) -> (...)
    Source: torch.square
    """


sqrt_backward = slope("sqrt_backward", lambda y: 0.5 / y, lambda y: -0.5 / (y * y))
rsqrt_backward = slope("rsqrt_backward", lambda y: y * y * y * -0.5, lambda y: y * y * -1.5)


@elementwise(kernel=k.sqrt, dtype=rules.int_to_float, inplace=True,
             vjp={"input": lambda g, y, _x: sqrt_backward(g, y)}, samples=samples.unary(0.1, 9))  # fmt: skip
def sqrt(input: Tensor) -> Tensor:
    """The square root of every element; NaN for negative ones.

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.sqrt
    """


@elementwise(kernel=lambda x: 1.0 / k.sqrt(x), dtype=rules.int_to_float, inplace=True, cast=FP32,
             vjp={"input": lambda g, y, _x: rsqrt_backward(g, y)}, samples=samples.unary(0.1, 9))  # fmt: skip
def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input).

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.rsqrt
    """


def _hypot(a: k.Expr, b: k.Expr) -> k.Expr:
    a, b = k.abs(a), k.abs(b)
    if a.type == "f32":  # the squares of f32 fit into f64
        wide_a, wide_b = k.cast(a, "f64"), k.cast(b, "f64")
        result = k.cast(k.sqrt(wide_a * wide_a + wide_b * wide_b), "f32")
    else:
        large, small = k.maximum(a, b), k.minimum(a, b)
        ratio = small / large
        result = k.where(large.eq(0.0), large, large * k.sqrt(k.fma(ratio, ratio, 1.0)))
    infinity = k.const(math.inf, a.type)
    return k.where(a.eq(math.inf) | b.eq(math.inf), infinity, result)  # even beside NaN


@elementwise(kernel=_hypot, dtype=rules.float_only, inplace=True,
             vjp={"input": lambda g, y, a, _b: g * (a / y), "other": lambda g, y, _a, b: g * (b / y)},
             samples=samples.binary(0.5, 3))  # fmt: skip
def hypot(input: Tensor, other: Tensor) -> Tensor:
    """The length of the hypotenuse.

    Math:   y[i] = sqrt(input[i]^2 + other[i]^2)
    Shapes: broadcast
    Source: torch.hypot
    """


def _ldexp_dtype(operands):
    have, exponent = operands[0][0], operands[1][0]
    if have.category == FLOAT and exponent.category <= INTEGER:
        return have, have
    return rules.int_to_float(operands)


@elementwise(
    kernel=lambda x, exponent: x * k.exp2(exponent), dtype=_ldexp_dtype, inplace=True,
    vjp={"input": lambda g, _y, _x, exponent: ldexp(g, exponent),
         "other": lambda g, y, _x, _e: exp2_backward(g, y)},
    samples=[S(T(2, 3), T(3)), S(T(3), T(kind="int"), grad=False)])  # fmt: skip
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2 ** other.

    Math:   y[i] = input[i] * 2 ** other[i]
    Shapes: broadcast
    Dtypes: float
    Source: torch.ldexp
    """
