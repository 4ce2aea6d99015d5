"""Writing through indices: scatter and its kin, index_add, index_copy, index_fill, index_put."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Number

from mezzo.core.record import Cast, Composite, composite, registered, update
from mezzo.core.tensor import Tensor
from mezzo.dtypes import BOOL, iinfo
from mezzo.errors import ArgumentValueError, DTypeError, Fact, OutOfRangeError, ShapeError
from mezzo.ops.copy import cast
from mezzo.ops.diagonals import diagonal
from mezzo.ops.indirect import (
    SCATTERED,
    put_at,
    scatter_add,
    scatter_combine,
    scatter_extreme,
    scatter_set,
)
from mezzo.ops.shape import reshape, scatter_view, select, slice_dim
from mezzo.rules import shapes
from mezzo.rules.samples import S, T, index


class Written(Composite):
    """A composite whose in-place form is the in-place form of what it stands on.

    lower(input, ...) -> (record, its arguments after input).
    """

    def __init__(self, fn, *, lower: Callable, **options):
        super().__init__(fn, inplace=True, **options)
        self.lower = lower

    def run(self, args: tuple):
        def call(args):
            record, rest = self.lower(*args)
            return record(args[0], *rest)

        return self.guarded(call, args)

    def update(self, target: Tensor, args: tuple) -> Tensor:
        def write(args):
            record, rest = self.lower(*args)
            return update(record, target, *rest)

        return self.guarded(write, args)


written = registered(Written)


def _lower_scatter(input, dim, index, src, reduce=None):
    if src is None:
        raise Fact(ArgumentValueError, "needs src (a tensor) or value (a number)")
    if reduce is None:
        if isinstance(src, Tensor) and not src.ndim and index.ndim:
            raise Fact(
                ShapeError, "src must have as many axes as index", "Pass a Python number as value."
            )
        return scatter_set, (dim, index, src)
    modes = {"add": "add", "multiply": "mul"}
    if reduce not in modes:
        raise Fact(DTypeError, f"reduce argument must be either add or multiply, got {reduce!r}")
    return scatter_combine, (dim, index, src, modes[reduce])


@written(lower=_lower_scatter,
         samples=[*SCATTERED[:5], S(T(3, 4), 1, index(3, 1, below=4), 2.5), S(T(3, 4), 0, index(1, 4, below=3), value=1.0),
                  S(T(3, 4), 0, index(1, 4, below=3), T(1, 4), reduce="add", grad=False),
                  S(T(3, 4), 0, index(1, 4, below=3), T(1, 4), reduce="multiply", grad=False)])  # fmt: skip
def scatter(
    input: Tensor, dim, index: Tensor, src: Tensor | Number = None, *, reduce=None
) -> Tensor:
    """input with src (or a number) written at the indices of one axis.

    Math:   y[index[i, j], j] = src[i, j] for dim 0
    Shapes: input (..., n, ...), index (..., m, ...), src at least as large as index -> (..., n, ...)
    Source: torch.scatter
    """


_REDUCED = {
    "sum": ("add", 0),
    "prod": ("mul", 1),
    "amax": ("max", None),
    "amin": ("min", None),
    "mean": ("add", 0),
}


def _limit(dtype, lowest: bool):
    """The value that any other replaces."""
    if dtype.is_floating_point:
        return -math.inf if lowest else math.inf
    if dtype.category == BOOL:
        return 0 if lowest else 1
    info = iinfo(dtype)
    return info.min if lowest else info.max


@composite(inplace=True,
           samples=[S(T(3, 4), 0, index(5, 4, below=3), T(5, 4), r) for r in _REDUCED]
           + [S(T(5), 0, index(7, below=5), T(7), r, include_self=False) for r in _REDUCED])  # fmt: skip
def scatter_reduce(
    input: Tensor, dim, index: Tensor, src: Tensor, reduce, *, include_self=True
) -> Tensor:
    """input reduced with src at the indices of one axis: sum, prod, mean, amax or amin.

    Shapes: input (..., n, ...), index (..., m, ...), src at least as large as index -> (..., n, ...)
    Source: torch.scatter_reduce
    """
    if reduce not in _REDUCED:
        raise Fact(
            DTypeError,
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce!r}",
        )
    mode, start = _REDUCED[reduce]
    if not index.layout.numel:
        return cast(input)
    start = _limit(input.dtype, reduce == "amax") if start is None else start
    base = input if include_self else scatter_set(input, dim, index, start)
    if mode != "add":
        return scatter_extreme(base, dim, index, src, mode)
    total = scatter_add(base, dim, index, src)
    if reduce == "sum":
        return total
    ones = index.new_ones(tuple(index.shape))
    count = scatter_add(index.new_full(tuple(input.shape), int(include_self)), dim, index, ones)
    count = count.clamp(min=1)
    if input.is_floating_point():
        return total / count.to(input.dtype)
    return total.div(count, rounding_mode="floor").to(input.dtype)


# ---- along one axis, at a vector of indices


def _vector(input, dim, index):
    """The axis, and the index as a vector; 0-d tensors count as vectors of one."""
    if index.ndim > 1:
        raise Fact(OutOfRangeError, f"index is supposed to be a vector, got {index.ndim} axes")
    return shapes.axis(dim, input.ndim), (reshape(index, (-1,)),)


def _matching(input, axis: int, index, source):
    """Slices to be written must fit those they replace."""
    if source.ndim != input.ndim and source.ndim:
        raise Fact(
            ShapeError,
            f"source has {source.ndim} axes and input {input.ndim}; they must have as many",
        )
    want = (*input.shape[:axis], index.shape[0], *input.shape[axis + 1 :]) if input.ndim else ()
    if tuple(source.shape) != want and source.layout.numel != 1:
        raise Fact(
            ShapeError,
            f"source has shape {list(source.shape)}; with this input and index it must be {list(want)}",
        )


def _lower_at(input, dim, index, source, mode):
    axis, indices = _vector(input, dim, index)
    if isinstance(source, Tensor):
        _matching(input, axis, indices[0], source)
    return put_at, ((axis,), indices, source, axis, False, mode)


_ROWS = [S(T(3, 4), 0, index(5, below=3), T(5, 4)), S(T(3, 4), 1, index(2, below=4), T(3, 2)), S(T(5), 0, index(7, below=5), T(7)),
         S(T(3, 4), 0, index(0, below=3), T(0, 4)), S(T(20, 70), 0, index(30, below=20), T(30, 70))]  # fmt: skip
_ONCE = [
    S(T(3, 4), 0, T(1, kind="index", low=2, high=3), T(1, 4)),
    S(T(3, 4), 1, T(1, kind="index", low=1, high=2), T(3, 1)),
]


def _lower_index_add(input, dim, index, source, alpha=1):
    record, rest = _lower_at(input, dim, index, source, "add")
    return record, (*rest, alpha)


@written(lower=_lower_index_add, samples=[*_ROWS, S(T(3, 4), 0, index(5, below=3), T(5, 4), alpha=2)],
         errors=[(S(T(3, 4), 0, T(2, low=7, high=8, kind="index"), T(2, 4)), OutOfRangeError, "out of bounds"),
                 (S(T(3, 4), 0, index(2, below=3), T(3, 4)), ShapeError, "must be")])  # fmt: skip
def index_add(input: Tensor, dim, index: Tensor, source: Tensor, *, alpha=1) -> Tensor:
    """input with slices of source added at the indices of one axis; indices that occur twice add up.

    Shapes: input (..., n, ...), index (m,), source (..., m, ...) -> (..., n, ...)
    Source: torch.index_add
    """


@written(lower=lambda input, dim, index, source: _lower_at(input, dim, index, source, "set"),
         cast=Cast(cpu="promote"), samples=_ONCE)  # fmt: skip
def index_copy(input: Tensor, dim, index: Tensor, source: Tensor) -> Tensor:
    """input with slices of source written at the indices of one axis.

    Shapes: input (..., n, ...), index (m,), source (..., m, ...) -> (..., n, ...)
    Source: torch.index_copy
    """


def _lower_index_fill(input, dim, index, value):
    if isinstance(value, Tensor):
        if value.ndim:
            raise Fact(ShapeError, f"value must be a 0-d tensor or a number, got {value.ndim} axes")
        value = value.to(input.dtype)
    return _lower_at(input, dim, index, value, "set")


@written(
    lower=_lower_index_fill,
    samples=[S(T(3, 4), 0, index(2, below=3), 2.5), S(T(3, 4), 1, index(2, below=4), T())],
)
def index_fill(input: Tensor, dim, index: Tensor, value: Tensor | Number) -> Tensor:
    """input with one value at the indices of one axis.

    Shapes: input (..., n, ...), index (m,) -> (..., n, ...)
    Source: torch.index_fill
    """


# ---- slices and diagonals written into a copy


@composite(samples=[S(T(4, 3), T(2, 3), 0, 1, 3), S(T(3, 4), T(3, 2), 1, 0, None, 2)])
def slice_scatter(input: Tensor, src: Tensor, dim=0, start=None, end=None, step=1) -> Tensor:
    """input with src written into a slice of an axis.

    Source: torch.slice_scatter
    """
    axis = shapes.axis(dim, input.ndim)
    a, b, _ = slice(start, end).indices(input.shape[axis])
    return scatter_view(input, src, ((slice_dim, (axis, a, max(a, b), step)),))


@composite(samples=[S(T(4, 3), T(3), 0, 1), S(T(3, 4), T(3), -1, -1)])
def select_scatter(input: Tensor, src: Tensor, dim, index) -> Tensor:
    """input with src written at one index of an axis.

    Source: torch.select_scatter
    """
    return scatter_view(input, src, ((select, (dim, index)),))


@composite(samples=[S(T(4, 3), T(3)), S(T(3, 4), T(3), 1)])
def diagonal_scatter(input: Tensor, src: Tensor, offset=0, dim1=0, dim2=1) -> Tensor:
    """input with src written into a diagonal.

    Source: torch.diagonal_scatter
    """
    return scatter_view(input, src, ((diagonal, (offset, dim1, dim2)),))
