"""Variance, deviation, norms and distances."""

from __future__ import annotations

import math

from mezzo import dtypes
from mezzo.core.families.reductions import reduction
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact
from mezzo.ops.reduce import count_of, mean, spread
from mezzo.rules import folds, shapes
from mezzo.rules.samples import S, T


def _float_dtype(have, wanted):
    to = wanted or have
    if to.category < dtypes.FLOAT:
        raise Fact(
            DTypeError, f"needs floating point input, got {to.name}", "Convert with x.float()."
        )
    return to, (to,)


def _two_floats(have, wanted):
    to, _ = _float_dtype(have, wanted)
    return to, (to, to)


def _deviations(x: Tensor, dim, correction) -> Tensor:
    """The derivative of the variance: 2 (x - mean) / (n - correction)."""
    divisor = max(count_of(x.shape, dim) - correction, 0)
    return (x - mean(x, dim, True)) * (2 / divisor if divisor else math.nan)


def _variance_vjp(g, _y, input, dim, correction, keepdim):
    return spread(g, input.shape, dim, keepdim) * _deviations(input, dim, correction)


def _deviation_vjp(g, y, input, dim, correction, keepdim):
    half = (g / (y * 2)).masked_fill(y.eq(0), 0)
    return spread(half, input.shape, dim, keepdim) * _deviations(input, dim, correction)


def _both_vjp(rule):
    def vjp(g, y, input, dim, correction, keepdim):
        total = None
        if g[0] is not None:
            total = rule(g[0], y[0], input, dim, correction, keepdim)
        if g[1] is not None:
            part = spread(g[1], input.shape, dim, keepdim) * (
                1 / max(count_of(input.shape, dim), 1)
            )
            total = part if total is None else total + part
        return total

    return vjp


@reduction(
    grad_name="VarBackward0",
    where="",
    fold=folds.variance,
    dtype=_float_dtype,
    vjp={"input": _variance_vjp},
    samples=[],
)
def variance(input: Tensor, dim, correction, keepdim) -> Tensor:
    """The variance over the given axes, `correction` taken off the count."""


@reduction(
    grad_name="StdBackward0",
    where="",
    fold=folds.deviation,
    dtype=_float_dtype,
    vjp={"input": _deviation_vjp},
    samples=[],
)
def deviation(input: Tensor, dim, correction, keepdim) -> Tensor:
    """The square root of the variance."""


@reduction(grad_name="VarMeanBackward0", where="", fold=folds.variance_and_mean, dtype=_two_floats, samples=[],
           vjp={"input": _both_vjp(_variance_vjp)})  # fmt: skip
def variance_and_mean(input: Tensor, dim, correction, keepdim) -> tuple[Tensor, Tensor]:
    """Variance and mean in one pass over the memory."""


@reduction(grad_name="StdMeanBackward0", where="", fold=folds.deviation_and_mean, dtype=_two_floats, samples=[],
           vjp={"input": _both_vjp(_deviation_vjp)})  # fmt: skip
def deviation_and_mean(input: Tensor, dim, correction, keepdim) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean in one pass over the memory."""


def _settings(dim, unbiased, correction, keepdim):
    """dim and correction from the two forms: (dim, unbiased, keepdim) and (dim, *, correction, keepdim).

    A bool in dim's place is `unbiased`, as in x.var(False).
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    return dim, correction, keepdim


_FORMS = [S(T(3, 4)), S(T(3, 4), 1), S(T(2, 3, 4), (0, 2), keepdim=True), S(T(3, 4), 0, correction=0), S(T(3, 4), False),
          S(T(3, 4), 1, unbiased=False), S(T(5, 300), 1), S(T(90, 5), 0)]  # fmt: skip


@composite(samples=_FORMS, errors=[(S(T(3, kind="int")), DTypeError, "floating point")])
def var(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None) -> Tensor:
    """The variance over the given axes, or over all.

    Math:   y = sum_i (input[i] - mean)^2 / max(0, n - correction)
    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept
    Source: torch.var
    """
    return variance(input, *_settings(dim, unbiased, correction, keepdim))


@composite(samples=_FORMS)
def std(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None) -> Tensor:
    """The standard deviation over the given axes, or over all.

    Math:   y = sqrt(var(input))
    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept
    Source: torch.std
    """
    return deviation(input, *_settings(dim, unbiased, correction, keepdim))


@composite(where="mezzo", samples=_FORMS)
def var_mean(
    input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None
) -> tuple[Tensor, Tensor]:
    """(variance, mean) over the given axes, or over all.

    Shapes: input (..., n, ...) -> two of (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept
    Source: torch.var_mean
    """
    return variance_and_mean(input, *_settings(dim, unbiased, correction, keepdim))


@composite(where="mezzo", samples=_FORMS)
def std_mean(
    input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None
) -> tuple[Tensor, Tensor]:
    """(standard deviation, mean) over the given axes, or over all.

    Shapes: input (..., n, ...) -> two of (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept
    Source: torch.std_mean
    """
    return deviation_and_mean(input, *_settings(dim, unbiased, correction, keepdim))


def _norm_vjp(g, y, x, ord, dim, keepdim, dtype):
    """As PyTorch has it: zero where the norm is, ties of the infinity norms share."""
    g, y = spread(g, x.shape, dim, keepdim), spread(y, x.shape, dim, keepdim)
    x = x if dtype is None else x.to(dtype)
    if ord == 0:
        return g * 0
    if ord == 1:
        return g * x.sign()
    if ord == 2:
        return (x * (g / y)).masked_fill(y.eq(0), 0)
    if abs(ord) == math.inf:
        ties = x.abs().eq(y).to(g.dtype)
        return x.sign() * ties * (g / ties.sum(dim, True))
    size = x.abs()
    steep = x.sign() * size.pow(ord - 1) * (g / y.pow(ord - 1))
    return steep.masked_fill((y.eq(0) | size.eq(0)) if ord < 2 else y.eq(0), 0)


def _axes_or_all(dim):
    return None if dim is None or dim == () or dim == [] else dim


@reduction(
    grad_name="LinalgVectorNormBackward0",
    where="",
    fold=folds.norm,
    dtype=_float_dtype,
    vjp={"input": _norm_vjp},
    samples=[],
)
def norm_over(input: Tensor, ord, dim, keepdim, dtype) -> Tensor:
    """The vector norm of one order."""


@composite(where="linalg", cast=Cast(cuda="set_dtype"),
           samples=[S(T(3, 4)), S(T(3, 4), 1), S(T(3, 4), 3, 1), S(T(3, 4), math.inf, 0, True), S(T(3, 4), -math.inf, 0),
                    S(T(3, 4), 0, 1, grad=False), S(T(2, 3, 4), 0.5, (0, 2)), S(T(5, 200), 2, 1),
                    S(T(3, 4), dtype=dtypes.float64)])  # fmt: skip
def vector_norm(x: Tensor, ord=2, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The norm over the given axes, which are taken as one vector.

    Math:   y = (sum_i |x[i]|^ord)^(1/ord); the largest |x[i]| for inf, the smallest for -inf
    Shapes: x (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept
    Source: torch.linalg.vector_norm
    """
    if not x.dtype.is_floating_point:
        raise Fact(
            DTypeError,
            f"expected a floating point tensor as input, got {x.dtype.name}",
            "Use x.float().",
        )
    if ord < 0 and 0 in [x.shape[d] for d in shapes.axes(_axes_or_all(dim), x.ndim)]:
        raise Fact(DTypeError, f"the norm of order {ord} of an empty tensor has no value")
    return norm_over(x, float(ord), _axes_or_all(dim), keepdim, dtype)


@composite(cast=Cast(cuda="append_dtype"),
           samples=[S(T(3, 4)), S(T(3, 4), 1), S(T(3, 4), 2, 1), S(T(3, 4), "fro", 1, True), S(T(3, 4), math.inf),
                    S(T(3, 4), 3, (0, 1))])  # fmt: skip
def norm(input: Tensor, p="fro", dim=None, keepdim=False, dtype=None) -> Tensor:
    """The vector norm of order p over the given axes, or over all.

    Math:   y = (sum_i |input[i]|^p)^(1/p)
    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept
    Source: torch.norm
    """
    if isinstance(p, str) and p != "fro":
        raise Fact(
            DTypeError,
            f"p is {p!r}; it must be 'fro' or a number",
            "Other matrix norms are in mezzo.linalg.",
        )
    order = 2.0 if p in ("fro", None) else float(p)
    return norm_over(input, order, _axes_or_all(dim), keepdim, dtype)


@composite(
    cast=Cast(cuda="fp32"),
    samples=[S(T(3, 4), T(3, 4)), S(T(3, 4), T(4), 1), S(T(3, 4), T(3, 4), 3)],
)
def dist(input: Tensor, other: Tensor, p=2) -> Tensor:
    """The norm of order p of input - other.

    Shapes: broadcast -> ()
    Dtypes: promoted
    Source: torch.dist
    """
    return norm(input - other, p)
