"""Circular and hyperbolic functions, element by element."""

from __future__ import annotations

import math

from mezzo.core.families.elementwise import Elementwise, elementwise
from mezzo.core.families.fused import slope
from mezzo.core.record import Cast
from mezzo.core.tensor import Tensor
from mezzo.kernels import ir as k
from mezzo.ops.power import pow
from mezzo.ops.select import where
from mezzo.rules import dtypes as rules
from mezzo.rules import samples

FP32 = Cast(cuda="fp32")


def circular(**options) -> Elementwise:
    """A record of this file: floats are kept, integers and bool become the default float."""
    return elementwise(dtype=rules.int_to_float, inplace=True, **options)


sin_backward = slope("sin_backward", k.cos, lambda x: -sin(x))
cos_backward = slope("cos_backward", lambda x: k.neg(k.sin(x)), lambda x: -cos(x))
tan_backward = slope("tan_backward", lambda y: k.fma(y, y, 1.0), lambda y: y + y)
asin_backward = slope(
    "asin_backward",
    lambda x: 1.0 / k.sqrt((1.0 - x) * (1.0 + x)),
    lambda x: x * pow(1 - x * x, -1.5),
)
acos_backward = slope(
    "acos_backward",
    lambda x: -1.0 / k.sqrt((1.0 - x) * (1.0 + x)),
    lambda x: -x * pow(1 - x * x, -1.5),
)
atan_backward = slope(
    "atan_backward", lambda x: 1.0 / k.fma(x, x, 1.0), lambda x: x * -2 * pow(x * x + 1, -2)
)
sinh_backward = slope("sinh_backward", k.cosh, lambda x: sinh(x))
cosh_backward = slope("cosh_backward", k.sinh, lambda x: cosh(x))
tanh_backward = slope("tanh_backward", lambda y: (1.0 - y) * (1.0 + y), lambda y: y * -2)
asinh_backward = slope(
    "asinh_backward", lambda x: 1.0 / k.sqrt(k.fma(x, x, 1.0)), lambda x: -x * pow(x * x + 1, -1.5)
)
acosh_backward = slope(
    "acosh_backward",
    lambda x: 1.0 / k.sqrt((x - 1.0) * (x + 1.0)),
    lambda x: -x * pow(x * x - 1, -1.5),
)
atanh_backward = slope(
    "atanh_backward", lambda x: 1.0 / ((1.0 - x) * (1.0 + x)), lambda x: x * 2 * pow(1 - x * x, -2)
)


@circular(
    kernel=k.sin, vjp={"input": lambda g, _y, x: sin_backward(g, x)}, samples=samples.unary(-10, 10)
)
def sin(input: Tensor) -> Tensor:
    """Sine of every element.

    Math:    y[i] = sin(input[i])
    Shapes:  input (...) -> (...)
    Dtypes:  float kept; int and bool become the default float
    Source:  torch.sin
    """


@circular(
    kernel=k.cos, vjp={"input": lambda g, _y, x: cos_backward(g, x)}, samples=samples.unary(-10, 10)
)
def cos(input: Tensor) -> Tensor:
    """Cosine of every element.

    Math:    y[i] = cos(input[i])
    Shapes:  input (...) -> (...)
    Dtypes:  float kept; int and bool become the default float
    Source:  torch.cos
    """


@circular(
    kernel=k.tan,
    cast=FP32,
    vjp={"input": lambda g, y, _x: tan_backward(g, y)},
    samples=samples.unary(-1.4, 1.4),
)
def tan(input: Tensor) -> Tensor:
    """Tangent of every element.

    Shapes: input (...) -> (...)
    Source: torch.tan
    """


@circular(kernel=k.asin, cast=FP32, aliases="arcsin", vjp={"input": lambda g, _y, x: asin_backward(g, x)},
          samples=samples.unary(-0.95, 0.95))  # fmt: skip
def asin(input: Tensor) -> Tensor:
    """Inverse sine of every element; NaN outside [-1, 1].

    Shapes: input (...) -> (...)
    Source: torch.asin
    """


@circular(kernel=k.acos, cast=FP32, aliases="arccos", vjp={"input": lambda g, _y, x: acos_backward(g, x)},
          samples=samples.unary(-0.95, 0.95))  # fmt: skip
def acos(input: Tensor) -> Tensor:
    """Inverse cosine of every element; NaN outside [-1, 1].

    Shapes: input (...) -> (...)
    Source: torch.acos
    """


@circular(
    kernel=k.atan,
    aliases="arctan",
    vjp={"input": lambda g, _y, x: atan_backward(g, x)},
    samples=samples.unary(),
)
def atan(input: Tensor) -> Tensor:
    """Inverse tangent of every element.

    Shapes: input (...) -> (...)
    Source: torch.atan
    """


@circular(
    kernel=k.sinh,
    cast=FP32,
    vjp={"input": lambda g, _y, x: sinh_backward(g, x)},
    samples=samples.unary(),
)
def sinh(input: Tensor) -> Tensor:
    """Hyperbolic sine of every element.

    Shapes: input (...) -> (...)
    Source: torch.sinh
    """


@circular(
    kernel=k.cosh,
    cast=FP32,
    vjp={"input": lambda g, _y, x: cosh_backward(g, x)},
    samples=samples.unary(),
)
def cosh(input: Tensor) -> Tensor:
    """Hyperbolic cosine of every element.

    Shapes: input (...) -> (...)
    Source: torch.cosh
    """


@circular(kernel=k.tanh, where="mezzo Tensor nn.functional", vjp={"input": lambda g, y, _x: tanh_backward(g, y)},
          samples=samples.unary())  # fmt: skip
def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent of every element.

    Math:   y[i] = (exp(2 input[i]) - 1) / (exp(2 input[i]) + 1)
    Shapes: input (...) -> (...)
    Source: torch.tanh
    """


@circular(
    kernel=k.asinh,
    aliases="arcsinh",
    vjp={"input": lambda g, _y, x: asinh_backward(g, x)},
    samples=samples.unary(),
)
def asinh(input: Tensor) -> Tensor:
    """Inverse hyperbolic sine of every element.

    Shapes: input (...) -> (...)
    Source: torch.asinh
    """


@circular(kernel=k.acosh, aliases="arccosh", vjp={"input": lambda g, _y, x: acosh_backward(g, x)},
          samples=samples.unary(1.2, 9))  # fmt: skip
def acosh(input: Tensor) -> Tensor:
    """Inverse hyperbolic cosine of every element; NaN below 1.

    Shapes: input (...) -> (...)
    Source: torch.acosh
    """


@circular(kernel=k.atanh, aliases="arctanh", vjp={"input": lambda g, _y, x: atanh_backward(g, x)},
          samples=samples.unary(-0.9, 0.9))  # fmt: skip
def atanh(input: Tensor) -> Tensor:
    """Inverse hyperbolic tangent of every element; NaN outside [-1, 1].

    Shapes: input (...) -> (...)
    Source: torch.atanh
    """


def _atan2_again(g, _y, grad, a, b):
    return g * grad * (a * b * -2 * pow(a * a + b * b, -2))


@elementwise(where="", kernel=lambda g, a, b: g * (b / (a * a + b * b)),
             vjp={"grad": lambda g, _y, _g, a, b: atan2_backward(g, a, b), "input": _atan2_again,
                  "other": lambda g, _y, grad, a, b: g * grad * ((a * a - b * b) * pow(a * a + b * b, -2))})  # fmt: skip
def atan2_backward(grad: Tensor, input: Tensor, other: Tensor) -> Tensor:
    """grad * other / (input^2 + other^2): what atan2 passes to its first operand."""


@elementwise(kernel=k.atan2, dtype=rules.int_to_float, inplace=True, aliases="arctan2", cast=Cast(cuda="promote"),
             vjp={"input": lambda g, _y, a, b: atan2_backward(g, a, b),
                  "other": lambda g, _y, a, b: -atan2_backward(g, b, a)},
             samples=samples.binary(0.5, 3.0, -3.0, -0.5))  # fmt: skip
def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle of the point (other, input), between -pi and pi.

    Shapes: broadcast
    Source: torch.atan2
    """


def _sinc(x: k.Expr) -> k.Expr:
    angle = x * math.pi
    return k.where(x.eq(0.0), k.const(1.0, x.type), k.sin(angle) / angle)


def _sinc_slope(x: k.Expr) -> k.Expr:
    angle = x * math.pi
    return k.where(
        x.eq(0.0), k.const(0.0, x.type), (angle * k.cos(angle) - k.sin(angle)) / (angle * x)
    )


def _sinc_curve(x: Tensor) -> Tensor:
    angle = x * math.pi
    away = ((2 - angle * angle) * sin(angle) - angle * cos(angle) * 2) / (angle * x * x)
    return where(x == 0, -(math.pi**2) / 3, away)


sinc_backward = slope("sinc_backward", _sinc_slope, _sinc_curve)


@circular(kernel=_sinc, where="mezzo Tensor special", vjp={"input": lambda g, _y, x: sinc_backward(g, x)},
          samples=samples.unary(0.2, 3))  # fmt: skip
def sinc(input: Tensor) -> Tensor:
    """sin(pi input) / (pi input), and 1 at zero.

    Shapes: input (...) -> (...)
    Source: torch.sinc
    """


@circular(grad_name="Deg2RadBackward0", kernel=lambda x: x * (math.pi / 180), vjp={"input": lambda g, _y, _x: g * (math.pi / 180)},
          samples=samples.unary(-360, 360))  # fmt: skip
def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians.

    Shapes: input (...) -> (...)
    Source: torch.deg2rad
    """


@circular(grad_name="Rad2DegBackward0", kernel=lambda x: x * (180 / math.pi), vjp={"input": lambda g, _y, _x: g * (180 / math.pi)},
          samples=samples.unary(-6, 6))  # fmt: skip
def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees.

    Shapes: input (...) -> (...)
    Source: torch.rad2deg
    """
