"""The error function, the gamma function and their kin, element by element."""

from __future__ import annotations

import math

from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.fused import slope
from mezzo.core.record import Cast, none
from mezzo.core.tensor import Tensor
from mezzo.kernels import ir as k
from mezzo.ops.exponential import exp
from mezzo.rules import dtypes as rules
from mezzo.rules import samples

ERF_SLOPE = 2 / math.sqrt(math.pi)
EVERYWHERE = "mezzo Tensor special"


def _bell(x: k.Expr) -> k.Expr:
    return k.exp(k.neg(x * x))


erf_backward = slope("erf_backward", lambda x: _bell(x) * ERF_SLOPE, lambda x: exp(-(x * x)) * x * (-2 * ERF_SLOPE))
erfinv_backward = slope("erfinv_backward", lambda y: k.exp(y * y) * (1 / ERF_SLOPE), lambda y: exp(y * y) * y * (2 / ERF_SLOPE))


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


def _trigamma(x: k.Expr) -> k.Expr:
    """The second derivative of ln gamma: reflection, recurrence up to 10, asymptotic series."""
    type, x = x.type, k.cast(x, "f64")
    reflected = x < 0.5
    y = k.where(reflected, 1.0 - x, x)
    total = k.const(0.0, "f64")
    for _ in range(10):
        near = y < 10.0
        total = k.where(near, total + 1.0 / (y * y), total)
        y = k.where(near, y + 1.0, y)
    z = 1.0 / (y * y)
    series = k.const(7 / 6, "f64")
    for bernoulli in (-691 / 2730, 5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6):
        series = k.fma(series, z, bernoulli)
    total = total + 1.0 / y + 0.5 * z + series * z / y
    sine = k.sin((x - k.floor(x + 0.5)) * math.pi)
    return k.cast(k.where(reflected, (math.pi**2) / (sine * sine) - total, total), type)


digamma_backward = slope("digamma_backward", _trigamma, none("the third derivative of ln gamma is not there"))


@elementwise(kernel=k.digamma, dtype=rules.int_to_float, inplace=True, where=EVERYWHERE, aliases="special.psi",
             vjp={"input": lambda g, _y, x: digamma_backward(g, x)}, samples=samples.unary(0.2, 5))  # fmt: skip
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
    inside = k.where(x > 0.0, k.neg(x * k.log(x)), k.where(x.eq(0.0), k.const(0.0, x.type), k.const(-math.inf, x.type)))
    return k.where(k.is_nan(x), x, inside)


entr_backward = slope("entr_backward", lambda x: -1.0 - k.log(x), lambda x: -1 / x)


@elementwise(kernel=_entropy, dtype=rules.int_to_float, where="special",
             vjp={"input": lambda g, _y, x: entr_backward(g, x)}, samples=samples.unary(0.1, 2))  # fmt: skip
def entr(input: Tensor) -> Tensor:
    """-input * ln(input): 0 at zero, -inf below.

    Shapes: input (...) -> (...)
    Source: torch.special.entr
    """
