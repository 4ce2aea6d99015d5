"""Rounding, element by element. Derivatives are zero, but for frac."""

from __future__ import annotations

from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.fused import zero
from mezzo.core.tensor import Tensor
from mezzo.dtypes import INTEGER
from mezzo.errors import Fact, UnsupportedDTypeError
from mezzo.kernels import ir as k
from mezzo.rules import dtypes as rules
from mezzo.rules import samples
from mezzo.rules.samples import S, T


def _whole(function):
    """A rounding that leaves integers alone."""
    return lambda x: function(x) if x.is_float else x


@elementwise(kernel=_whole(k.ceil), dtype=rules.no_bool, inplace=True, vjp={"input": lambda g, _y, _x: zero(g)},
             samples=samples.unary())  # fmt: skip
def ceil(input: Tensor) -> Tensor:
    """The smallest whole number not below input.

    Shapes: input (...) -> (...)
    Source: torch.ceil
    """


@elementwise(kernel=_whole(k.floor), dtype=rules.no_bool, inplace=True, vjp={"input": lambda g, _y, _x: zero(g)},
             samples=samples.unary())  # fmt: skip
def floor(input: Tensor) -> Tensor:
    """The largest whole number not above input.

    Shapes: input (...) -> (...)
    Source: torch.floor
    """


@elementwise(kernel=_whole(k.trunc), dtype=rules.no_bool, inplace=True, aliases="fix",
             vjp={"input": lambda g, _y, _x: zero(g)}, samples=samples.unary())  # fmt: skip
def trunc(input: Tensor) -> Tensor:
    """The whole part of input, rounded towards zero.

    Shapes: input (...) -> (...)
    Source: torch.trunc
    """


def _round(x: k.Expr, decimals: int) -> k.Expr:
    if not x.is_float:
        return x
    if not decimals:
        return k.rint(x)
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    return k.rint(x * scale) / scale if decimals > 0 else k.rint(x / scale) * scale


def _round_dtype(operands, named):
    result, _ = rules.no_bool(operands)
    if named["decimals"] and result.category <= INTEGER:
        raise Fact(
            UnsupportedDTypeError,
            f"does not take decimals for {result.name}; it needs a floating dtype",
        )
    return result, result


@elementwise(kernel=_round, dtype=_round_dtype, constants=("decimals",), inplace=True, operators="",
             where="mezzo Tensor special", vjp={"input": lambda g, _y, _x, decimals: zero(g)},
             samples=[*samples.unary(), S(T(7), decimals=2), S(T(7, low=-200, high=200), decimals=-1)])  # fmt: skip
def round(input: Tensor, *, decimals=0) -> Tensor:
    """The nearest whole number, halves to even; or the nearest multiple of 10 ** -decimals.

    Shapes: input (...) -> (...)
    Source: torch.round
    """


@elementwise(kernel=lambda x: x - k.trunc(x), dtype=rules.float_only, inplace=True, vjp={"input": lambda g, _y, _x: g},
             samples=samples.unary())  # fmt: skip
def frac(input: Tensor) -> Tensor:
    """What truncation takes away.

    Shapes: input (...) -> (...)
    Source: torch.frac
    """
