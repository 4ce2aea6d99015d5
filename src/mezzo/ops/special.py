"""The error function, the gamma function and their kin, element by element."""

from __future__ import annotations

import math

from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.fused import slope
from mezzo.core.record import Cast
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, Fact
from mezzo.kernels import ir as k
from mezzo.ops.exponential import exp
from mezzo.rules import dtypes as rules
from mezzo.rules import samples
from mezzo.rules.samples import S, T

ERF_SLOPE = 2 / math.sqrt(math.pi)
EVERYWHERE = "mezzo Tensor special"


def _bell(x: k.Expr) -> k.Expr:
    return k.exp(k.neg(x * x))


erf_backward = slope(
    "erf_backward", lambda x: _bell(x) * ERF_SLOPE, lambda x: exp(-(x * x)) * x * (-2 * ERF_SLOPE)
)
erfinv_backward = slope(
    "erfinv_backward",
    lambda y: k.exp(y * y) * (1 / ERF_SLOPE),
    lambda y: exp(y * y) * y * (2 / ERF_SLOPE),
)


@elementwise(kernel=k.erf, dtype=rules.int_to_float, inplace=True, where=EVERYWHERE,
             vjp={"input": lambda g, _y, x: erf_backward(g, x)}, samples=samples.unary())  # fmt: skip
def erf(input: Tensor) -> Tensor:
    """The error function.

    Math:   y[i] = 2 / sqrt(pi) * integral of exp(-t^2) from 0 to input[i]
    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.erf
    """


@elementwise(kernel=k.erfc, dtype=rules.int_to_float, inplace=True, where=EVERYWHERE,
             vjp={"input": lambda g, _y, x: -erf_backward(g, x)}, samples=samples.unary())  # fmt: skip
def erfc(input: Tensor) -> Tensor:
    """1 - erf(input), accurate where that is small.

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.erfc
    """


@elementwise(kernel=k.erfinv, dtype=rules.int_to_float, inplace=True, where=EVERYWHERE, cast=Cast(cuda="fp32"),
             vjp={"input": lambda g, y, _x: erfinv_backward(g, y)}, samples=samples.unary(-0.9, 0.9))  # fmt: skip
def erfinv(input: Tensor) -> Tensor:
    """The inverse of the error function, for values in (-1, 1).

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.erfinv
    """


ndtr_backward = slope("ndtr_backward", lambda x: k.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi)),
                      lambda x: exp(x * x * -0.5) * x * (-1 / math.sqrt(2 * math.pi)))  # fmt: skip


@elementwise(kernel=k.normal_cdf, dtype=rules.int_to_float, where="special",
             vjp={"input": lambda g, _y, x: ndtr_backward(g, x)}, samples=samples.unary())  # fmt: skip
def ndtr(input: Tensor) -> Tensor:
    """The area under the standard normal density left of input.

    Shapes: input (...) -> (...)
    Source: torch.special.ndtr
    """


def _hurwitz(x: k.Expr, power: int) -> k.Expr:
    """The sum of (x + i) ** -power over all i >= 0, for x > 0: ten terms, then Euler and Maclaurin's."""

    def inverse_power(y: k.Expr, count: int) -> k.Expr:
        inverse = result = 1.0 / y
        for _ in range(count - 1):
            result = result * inverse
        return result

    total = k.const(0.0, "f64")
    for i in range(10):
        total = total + inverse_power(x + float(i), power)
    end = x + 10.0
    total = (
        total + inverse_power(end, power - 1) * (1 / (power - 1)) + inverse_power(end, power) * 0.5
    )
    for j, bernoulli in enumerate((1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6), 1):
        rising = math.prod(power + i for i in range(2 * j - 1)) / math.factorial(2 * j)
        total = total + inverse_power(end, power + 2 * j - 1) * (bernoulli * rising)
    return total


def _polygamma(n: int, x: k.Expr) -> k.Expr:
    """The derivative number n of digamma, in f64; reflected below 1/2 for n = 1, as PyTorch has it."""
    type, x = x.type, k.cast(x, "f64")
    if n == 0:
        return k.cast(k.digamma(x), type)
    factor = (-1.0) ** (n + 1) * math.factorial(n)
    if n > 1:
        value = k.where(x > 0.0, _hurwitz(x, n + 1) * factor, k.const(math.nan, "f64"))
        at_zero = k.const(math.inf * (1 if n % 2 else -1), "f64")
        return k.cast(k.where(x.eq(0.0), at_zero, value), type)
    reflected = x < 0.5
    total = _hurwitz(k.where(reflected, 1.0 - x, x), 2)
    sine = k.sin((x - k.floor(x + 0.5)) * math.pi)
    return k.cast(k.where(reflected, (math.pi**2) / (sine * sine) - total, total), type)


@elementwise(where="", kernel=lambda g, n, x: g * _polygamma(n, x), constants=("n",),
             vjp={"grad": lambda g, _y, _g, n, x: polygamma_backward(g, n, x),
                  "input": lambda g, _y, grad, n, x: polygamma_backward(g * grad, n + 1, x)})  # fmt: skip
def polygamma_backward(grad: Tensor, n, input: Tensor) -> Tensor:
    """grad times the derivative number n of digamma."""


def _polygamma_dtype(operands, named):
    if named["n"] < 0:
        raise Fact(
            ArgumentValueError,
            f"polygamma(n, x) does not support negative n, and n is {named['n']}",
        )
    return rules.int_to_float(operands)


@elementwise(kernel=_polygamma, dtype=_polygamma_dtype, constants=("n",), where="mezzo special",
             vjp={"input": lambda g, _y, n, x: polygamma_backward(g, n + 1, x)},
             samples=[S(1, T(7, low=0.3, high=5)), S(2, T(2, 3, low=0.3, high=5)), S(0, T(3, low=0.3))])  # fmt: skip
def polygamma(n, input: Tensor) -> Tensor:
    """The derivative number n of digamma.

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.polygamma
    """


@elementwise(kernel=k.digamma, dtype=rules.int_to_float, inplace=True, where=EVERYWHERE, aliases="special.psi",
             vjp={"input": lambda g, _y, x: polygamma_backward(g, 1, x)}, samples=samples.unary(0.2, 5))  # fmt: skip
def digamma(input: Tensor) -> Tensor:
    """The derivative of ln gamma.

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.digamma
    """


@elementwise(kernel=k.lgamma, dtype=rules.int_to_float, inplace=True, aliases="special.gammaln",
             vjp={"input": lambda g, _y, x: g * digamma(x)}, samples=samples.unary(0.2, 5))  # fmt: skip
def lgamma(input: Tensor) -> Tensor:
    """The logarithm of the magnitude of the gamma function.

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.lgamma
    """


def _entropy(x: k.Expr) -> k.Expr:
    inside = k.where(
        x > 0.0,
        k.neg(x * k.log(x)),
        k.where(x.eq(0.0), k.const(0.0, x.type), k.const(-math.inf, x.type)),
    )
    return k.where(k.is_nan(x), x, inside)


entr_backward = slope("entr_backward", lambda x: -1.0 - k.log(x), lambda x: -1 / x)


@elementwise(kernel=_entropy, dtype=rules.int_to_float, where="special",
             vjp={"input": lambda g, _y, x: entr_backward(g, x)}, samples=samples.unary(0.1, 2))  # fmt: skip
def entr(input: Tensor) -> Tensor:
    """-input * ln(input): 0 at zero, -inf below.

    Shapes: input (...) -> (...)
    Source: torch.special.entr
    """


def _polygamma_method(self, n) -> Tensor:
    """The derivative number n of digamma at every element."""
    return polygamma(n, self)


Tensor.polygamma = _polygamma_method
