"""Common divisors, mantissas and exponents, and gamma functions of several variables."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mezzo import dtypes
from mezzo.core.families.host import host
from mezzo.core.record import composite, none
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, UnsupportedDTypeError
from mezzo.ops.create import ones_like
from mezzo.ops.special import erfinv, lgamma
from mezzo.rules import batching, shapes
from mezzo.rules import dtypes as dtype_rules
from mezzo.rules.samples import S, T

_WHOLE = ("int64", "int32", "uint8")


class Parts(NamedTuple):
    """What frexp returns."""

    mantissa: Tensor
    exponent: Tensor


def _whole_results(a, b):
    kinds = [(x.dtype, "tensor" if x.ndim else "zero") for x in (a, b)]
    result = dtype_rules.result_type(kinds)
    if result.category != dtypes.INTEGER:
        raise Fact(UnsupportedDTypeError, f"does not take {result.name}; it needs integers")
    return shapes.broadcast([a.shape, b.shape]), result


_PAIRS = [
    S(T(7, low=-30, high=30), T(7, low=-30, high=30), only=_WHOLE),
    S(T(3, 1, low=0, high=50), T(4, low=0, high=9), only=_WHOLE),
]


@host(where="mezzo Tensor", inplace=True, results=_whole_results, batch=batching.elementwise, samples=_PAIRS,
      fill=lambda outs, a, b: np.gcd(a, b, out=outs[0], casting="unsafe"), vjp=none("integers have no derivative"))  # fmt: skip
def gcd(input: Tensor, other: Tensor) -> Tensor:
    """The greatest common divisor.

    Shapes: broadcast
    Source: torch.gcd
    """


@host(where="mezzo Tensor", inplace=True, results=_whole_results, batch=batching.elementwise, samples=_PAIRS,
      fill=lambda outs, a, b: np.lcm(a, b, out=outs[0], casting="unsafe"), vjp=none("integers have no derivative"))  # fmt: skip
def lcm(input: Tensor, other: Tensor) -> Tensor:
    """The least common multiple.

    Shapes: broadcast
    Source: torch.lcm
    """


def _frexp_results(x):
    if x.dtype.category != dtypes.FLOAT:
        raise Fact(DTypeError, f"only supports floating-point dtypes, got {x.dtype.name}")
    return (tuple(x.shape), x.dtype), (tuple(x.shape), dtypes.int32)


def _frexp_fill(outs, x):
    outs[0][...], outs[1][...] = np.frexp(x.astype(np.float32) if x.dtype.itemsize == 2 else x)


@host(where="", results=_frexp_results, fill=_frexp_fill, batch=batching.elementwise, samples=[], no_gradient_outputs=(1,), saved_outputs=(1,),
      vjp={"input": lambda g, y, _input: g[0] * 2.0 ** -y[1]})  # fmt: skip
def parts_of_float(input: Tensor) -> tuple[Tensor, Tensor]:
    """Mantissas in 0.5..1 and exponents."""


@composite(where="mezzo Tensor", samples=[S(T(7)), S(T(2, 3, low=-100, high=100)), S(T())])
def frexp(input: Tensor) -> Parts:
    """(mantissa, exponent): input = mantissa * 2 ** exponent, |mantissa| in 0.5..1 or 0.

    Dtypes: mantissa as input; exponent int32
    Source: torch.frexp
    """
    return Parts(*parts_of_float(input))


@composite(where="mezzo Tensor", aliases="special.multigammaln", samples=[S(T(5, low=2.2, high=6), 3), S(T(2, 3, low=1, high=4), 1)])  # fmt: skip
def mvlgamma(input: Tensor, p) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p.

    Math:   p (p - 1) / 4 ln(pi) + sum_{j=1..p} lgamma(input + (1 - j) / 2)
    Source: torch.mvlgamma
    """
    if p < 1:
        raise Fact(ArgumentValueError, f"p has to be greater than or equal to 1, and is {p}")
    if input.dtype is dtypes.bool_:
        raise Fact(DTypeError, "the input tensor may not be a boolean tensor", "Convert with x.float().")  # fmt: skip
    total = lgamma(input)
    for j in range(1, p):
        total = total + lgamma(input - j / 2)
    return total + p * (p - 1) / 4 * math.log(math.pi)


@composite(where="special", samples=[S(T(7, low=0.05, high=0.95)), S(T(2, 3, low=0.1, high=0.9))])
def ndtri(input: Tensor) -> Tensor:
    """The value below which a standard normal variable falls with the given probability.

    Math:   sqrt(2) erfinv(2 p - 1)
    Source: torch.special.ndtri
    """
    if input.dtype in (dtypes.float16, dtypes.bfloat16):
        return ndtri(input.float()).to(input.dtype)
    return math.sqrt(2) * erfinv(2 * input - 1)


@composite(where="mezzo Tensor", samples=[S(T(5)), S(T(2, 3))])
def isreal(input: Tensor) -> Tensor:
    """True where the imaginary part is zero.

    Source: torch.isreal
    """
    return ones_like(input, dtype=dtypes.bool_) if not input.dtype.is_complex else input.imag == 0
