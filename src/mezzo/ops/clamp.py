"""Limits: clamp and the larger and smaller of two, element by element."""

from __future__ import annotations

from numbers import Number

from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.fused import zero
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact
from mezzo.kernels import ir as k
from mezzo.ops.compare import isnan
from mezzo.ops.select import where
from mezzo.rules import dtypes as rules
from mezzo.rules import samples
from mezzo.rules.samples import S, T


def _clamp(x: k.Expr, low, high) -> k.Expr:
    x = x if low is None else k.maximum(x, low)
    return x if high is None else k.minimum(x, high)


def _inside(g: k.Expr, x: k.Expr, low, high) -> k.Expr:
    zero = k.const(0.0, g.type)
    g = g if low is None else k.where(x < low, zero, g)
    return g if high is None else k.where(x > high, zero, g)


@elementwise(where="", kernel=_inside,
             vjp={"grad": lambda g, _y, _g, x, low, high: clamp_backward(g, x, low, high),
                  "input": lambda g, _y, _g, _x, low, high: zero(g),
                  "min": lambda g, _y, _g, _x, low, high: zero(g), "max": lambda g, _y, _g, _x, low, high: zero(g)})  # fmt: skip
def clamp_backward(
    grad: Tensor, input: Tensor, min: Tensor | Number | None, max: Tensor | Number | None
) -> Tensor:
    """grad where input lies between min and max, else zero."""


def _clamp_dtype(operands, named):
    if named["min"] is None and named["max"] is None:
        raise Fact(DTypeError, "at least one of 'min' or 'max' must not be None")
    alone = [b for b in (named["min"], named["max"]) if b is not None]
    one_tensor = len(alone) == 1 and isinstance(alone[0], Tensor)
    return rules.promote(operands) if one_tensor else rules.no_bool(operands)


def _to_min(g, _y, x, low, high):
    if high is None:
        return where(x < low, g, 0)
    return where((x < low) & (low < high), g, 0)


def _to_max(g, _y, x, low, high):
    if low is None:
        return where(x > high, g, 0)
    return where((x > high) | (low > high), g, 0)


@elementwise(kernel=_clamp, dtype=_clamp_dtype, inplace=True, aliases="clip",
             vjp={"input": lambda g, _y, x, low, high: clamp_backward(g, x, low, high), "min": _to_min, "max": _to_max},
             samples=[S(T(2, 3), -0.5, 0.7), S(T(5), 0), S(T(5), max=0.3), S(T(2, 3), T(3, high=-0.5), T(2, 1, low=0.5)),
                      S(T(2, 3), min=T(3)), S(T(4), max=T()), S(T(0, 3), -1, 1), S(T(5, kind="int"), 0, 1)],
             errors=[(S(T(3)), DTypeError, "at least one of 'min' or 'max'")])  # fmt: skip
def clamp(
    input: Tensor, min: Tensor | Number | None = None, max: Tensor | Number | None = None
) -> Tensor:
    """input limited to the range from min to max; NaN stays NaN.

    Math:   y[i] = min(max(input[i], min), max)
    Shapes: broadcast
    Dtypes: promoted
    Source: torch.clamp
    """


def _one_bound(bound: str):
    def rule(operands, named):
        return (
            rules.promote(operands) if isinstance(named[bound], Tensor) else rules.no_bool(operands)
        )

    return rule


@elementwise(kernel=k.maximum, dtype=_one_bound("min"), inplace=True,
             vjp={"input": lambda g, _y, x, low: clamp_backward(g, x, low, None),
                  "min": lambda g, _y, x, low: _to_min(g, None, x, low, None)},
             samples=[S(T(2, 3), 0.5), S(T(2, 3), T(3)), S(T(3, kind="int"), 1)])  # fmt: skip
def clamp_min(input: Tensor, min: Tensor | Number) -> Tensor:
    """input, but at least min.

    Shapes: broadcast
    Source: torch.clamp_min
    """


@elementwise(kernel=k.minimum, dtype=_one_bound("max"), inplace=True,
             vjp={"input": lambda g, _y, x, high: clamp_backward(g, x, None, high),
                  "max": lambda g, _y, x, high: _to_max(g, None, x, None, high)},
             samples=[S(T(2, 3), 0.5), S(T(2, 3), T(3)), S(T(3, kind="int"), 1)])  # fmt: skip
def clamp_max(input: Tensor, max: Tensor | Number) -> Tensor:
    """input, but at most max.

    Shapes: broadcast
    Source: torch.clamp_max
    """


def _winner(g: k.Expr, a: k.Expr, b: k.Expr) -> k.Expr:
    # Equal operands share the gradient; NaN gives it to both, as PyTorch does.
    return k.where(a < b, k.const(0.0, g.type), k.where(a.eq(b), g * 0.5, g))


@elementwise(where="", kernel=_winner,
             vjp={"grad": lambda g, _y, _g, a, b: winner_backward(g, a, b), "input": lambda g, _y, _g, _a, _b: zero(g),
                  "other": lambda g, _y, _g, _a, _b: zero(g)})  # fmt: skip
def winner_backward(grad: Tensor, input: Tensor, other: Tensor) -> Tensor:
    """grad where input > other, half of it where they are equal, else zero."""


@elementwise(kernel=k.maximum, where="mezzo Tensor",
             vjp={"input": lambda g, _y, a, b: winner_backward(g, a, b),
                  "other": lambda g, _y, a, b: winner_backward(g, b, a)},
             samples=[*samples.binary(), S(T(4, kind="int"), T(4, kind="int"))])  # fmt: skip
def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of the two; NaN if either is.

    Shapes: broadcast
    Dtypes: promoted
    Source: torch.maximum
    """


@elementwise(kernel=k.minimum, where="mezzo Tensor",
             vjp={"input": lambda g, _y, a, b: winner_backward(g, -a, -b),
                  "other": lambda g, _y, a, b: winner_backward(g, -b, -a)},
             samples=[*samples.binary(), S(T(4, kind="int"), T(4, kind="int"))])  # fmt: skip
def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two; NaN if either is.

    Shapes: broadcast
    Dtypes: promoted
    Source: torch.minimum
    """


def _without_nan(pick):
    def build(a: k.Expr, b: k.Expr) -> k.Expr:
        if not a.is_float:
            return pick(a, b)
        return k.where(k.is_nan(a), b, k.where(k.is_nan(b), a, pick(a, b)))

    return build


@elementwise(kernel=_without_nan(k.maximum),
             vjp={"input": lambda g, _y, a, b: where((a >= b) | isnan(b), g, 0),
                  "other": lambda g, _y, a, b: where((a >= b) | isnan(b), 0, g)},
             samples=[*samples.binary(), S(T(4, kind="int"), T(4, kind="int"))])  # fmt: skip
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of the two; the other one where one is NaN.

    Shapes: broadcast
    Dtypes: promoted
    Source: torch.fmax
    """


@elementwise(kernel=_without_nan(k.minimum),
             vjp={"input": lambda g, _y, a, b: where((a <= b) | isnan(b), g, 0),
                  "other": lambda g, _y, a, b: where((a <= b) | isnan(b), 0, g)},
             samples=[*samples.binary(), S(T(4, kind="int"), T(4, kind="int"))])  # fmt: skip
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two; the other one where one is NaN.

    Shapes: broadcast
    Dtypes: promoted
    Source: torch.fmin
    """
