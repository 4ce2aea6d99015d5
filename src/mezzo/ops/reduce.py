"""Reductions."""

from __future__ import annotations

from mezzo import dtypes
from mezzo.core.families.reductions import reduction
from mezzo.core.record import Cast
from mezzo.core.tensor import Tensor
from mezzo.ops.shape import expand, reshape
from mezzo.rules import folds, shapes
from mezzo.rules.samples import S, T


def _sum_dtype(have, wanted):
    to = wanted or (have if have.category >= dtypes.FLOAT else dtypes.int64)
    return to, (to,)


def spread(g: Tensor, shape, dim, keepdim) -> Tensor:
    """A reduced tensor stretched back over the reduced axes."""
    if not keepdim:
        dims = shapes.axes(dim, len(shape))
        g = reshape(g, shapes.reduced(tuple(shape), dims, True))
    return expand(g, tuple(shape))


@reduction(fold=folds.total, dtype=_sum_dtype, cast=Cast(cuda="set_dtype"),
           vjp={"input": lambda g, _y, _x, dim, keepdim, dtype: spread(g, _x.shape, dim, keepdim)},
           samples=[S(T(3, 4)), S(T(3, 4), 1), S(T(2, 3, 4), (0, 2), True), S(T(0, 3), 0), S(T()), S(T(70, 5), 0),
                    S(T(5, 200), 1)])  # fmt: skip
def sum(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The sum over the given axes, or over all.

    Math:   y = sum_i input[i]
    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept (low precision is summed in float32); int and bool become int64
    Source: torch.sum
    """
