"""Extremes over axes: values, indices, both."""

from __future__ import annotations

from typing import NamedTuple

from mezzo import dtypes
from mezzo.core.families.reductions import reduction
from mezzo.core.record import composite, none
from mezzo.core.tensor import Tensor
from mezzo.errors import DimensionError, DTypeError, Fact
from mezzo.ops.reduce import spread
from mezzo.ops.shape import reshape
from mezzo.rules import folds
from mezzo.rules.samples import S, T

_EMPTY = "cannot reduce over an axis of size zero: an extreme of nothing has no value"
_AXES = [S(T(3, 4, distinct=True)), S(T(3, 4, distinct=True), 1), S(T(2, 3, 4, distinct=True), 0, True), S(T(), 0),
         S(T(70, 5, distinct=True), 0), S(T(5, 200, distinct=True), -1), S(T(3, 0), 0)]  # fmt: skip


def _shown(self) -> str:
    """Field by field on lines of their own, as tensors take several."""
    fields = ",\n".join(f"{name}={value!r}" for name, value in zip(self._fields, self))
    return f"{type(self).__name__}(\n{fields})"


class ValuesIndices(NamedTuple):
    """What a search along an axis returns."""

    values: Tensor
    indices: Tensor
    __repr__ = _shown


class MinMax(NamedTuple):
    """The smallest and the largest."""

    min: Tensor
    max: Tensor
    __repr__ = _shown


def _kept(have, _wanted):
    return have, (have,)


def _found(have, _wanted):
    return have, (have, dtypes.int64)


def _where_found(have, _wanted):
    if have is dtypes.bool_:
        raise Fact(DTypeError, "does not support bool input", "Use x.int().")
    return have, (dtypes.int64,)


def _shared_vjp(g, y, x, dim, keepdim):
    """Elements that share the extreme share the gradient evenly; where it is NaN, the NaNs do."""
    top = spread(y, x.shape, dim, keepdim)
    ties = x.eq(top) | (x.ne(x) & top.ne(top))
    ties = ties.to(g.dtype)
    return ties * (spread(g, x.shape, dim, keepdim) / ties.sum(dim, True))


def _picked_vjp(g, y, _x, dim, keepdim):
    """The gradient goes to the one element that was found."""
    g, at = g[0], y[1]
    if not _x.ndim:
        return reshape(g, ())
    if not keepdim:
        g, at = g.unsqueeze(dim), at.unsqueeze(dim)
    return g.new_zeros(tuple(_x.shape)).scatter(dim, at, g)


@reduction(fold=folds.largest, dtype=_kept, vjp={"input": _shared_vjp}, empty_error=_EMPTY,
           samples=[*_AXES, S(T(2, 3, 4), (0, 2))],
           errors=[(S(T(0, 3), 0), DimensionError, "size zero")])  # fmt: skip
def amax(input: Tensor, dim=(), keepdim=False) -> Tensor:
    """The largest element over the given axes, or over all; NaN if any is.

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Source: torch.amax
    """


@reduction(fold=folds.smallest, dtype=_kept, vjp={"input": _shared_vjp}, empty_error=_EMPTY,
           samples=[*_AXES, S(T(2, 3, 4), (0, 2))])  # fmt: skip
def amin(input: Tensor, dim=(), keepdim=False) -> Tensor:
    """The smallest element over the given axes, or over all; NaN if any is.

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Source: torch.amin
    """


@reduction(grad_name="MaxBackward0", where="", fold=folds.largest_with_index, dtype=_found, outs=2, no_gradient_outputs=(1,), saved_outputs=(1,), empty_error=_EMPTY,
           vjp={"input": _picked_vjp}, samples=[])  # fmt: skip
def max_along(input: Tensor, dim, keepdim) -> tuple[Tensor, Tensor]:
    """The largest along one axis and where it first stands."""


@reduction(grad_name="MinBackward0", where="", fold=folds.smallest_with_index, dtype=_found, outs=2, no_gradient_outputs=(1,), saved_outputs=(1,), empty_error=_EMPTY,
           vjp={"input": _picked_vjp}, samples=[])  # fmt: skip
def min_along(input: Tensor, dim, keepdim) -> tuple[Tensor, Tensor]:
    """The smallest along one axis and where it first stands."""


def _one_axis(dim) -> int:
    if isinstance(dim, (tuple, list)):
        raise Fact(
            DimensionError,
            f"dim is {dim!r}; indices are found along one axis",
            "Use amax or amin for several.",
        )
    return dim


def _extreme(input, dim, keepdim, along, over, pairwise):
    if isinstance(dim, Tensor):
        return pairwise(input, dim)
    if dim is None:
        return over(input)
    return ValuesIndices(*along(input, _one_axis(dim), keepdim))


@composite(samples=[*_AXES, S(T(3, 4), T(4))])
def max(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """The largest of all; with dim (values, indices) along it; with another tensor the larger of each pair.

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Source: torch.max
    """
    return _extreme(input, dim, keepdim, max_along, amax, lambda a, b: a.maximum(b))


@composite(samples=[*_AXES, S(T(3, 4), T(4))])
def min(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """The smallest of all; with dim (values, indices) along it; with another tensor the smaller of each pair.

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Source: torch.min
    """
    return _extreme(input, dim, keepdim, min_along, amin, lambda a, b: a.minimum(b))


@composite(samples=[S(T(3, 4, distinct=True)), S(T(3, 4, distinct=True), dim=1),
                    S(T(3, 4, distinct=True), dim=0, keepdim=True)])  # fmt: skip
def aminmax(input: Tensor, *, dim=None, keepdim=False) -> MinMax:
    """(min, max) over one axis, or over all.

    Shapes: input (..., n, ...) -> two of (..., ...), or (..., 1, ...) with keepdim
    Source: torch.aminmax
    """
    return MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


@reduction(fold=folds.index_of_largest, dtype=_where_found, empty_error=_EMPTY, samples=_AXES,
           vjp=none("an index has no derivative"))  # fmt: skip
def argmax(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """Where the largest element first stands along an axis, or in the flattened tensor.

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: int64
    Source: torch.argmax
    """


@reduction(fold=folds.index_of_smallest, dtype=_where_found, empty_error=_EMPTY, samples=_AXES,
           vjp=none("an index has no derivative"))  # fmt: skip
def argmin(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """Where the smallest element first stands along an axis, or in the flattened tensor.

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: int64
    Source: torch.argmin
    """
