"""Diagonals, triangles and sliding windows."""

from __future__ import annotations

import numpy as np

from mezzo import dtypes
from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.views import view as view_rule
from mezzo.core.record import composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, Fact, ShapeError
from mezzo.kernels import ir as k
from mezzo.ops.copy import clone
from mezzo.ops.create import arange
from mezzo.ops.data import tensor
from mezzo.ops.shape import reshape, scatter_view, zeros_of
from mezzo.rules import batching, shapes
from mezzo.rules.samples import S, T


def _diagonal_backward(g, _y, _x, offset, dim1, dim2):
    return scatter_view(zeros_of(g, _x.shape), g, ((diagonal, (offset, dim1, dim2)),))


@view_rule(where="mezzo Tensor", batch=batching.dims("dim1", "dim2"), vjp={"input": _diagonal_backward},
           samples=[S(T(3, 4)), S(T(3, 4), 1), S(T(3, 4), -1), S(T(2, 3, 4), 0, 0, 2), S(T(3, 3), 5)],
           errors=[(S(T(3, 3), 0, 1, 1), ShapeError, "identical")])  # fmt: skip
def diagonal(input: Tensor, offset=0, dim1=0, dim2=1) -> Tensor:
    """A view of a diagonal of two axes, which become one at the end.

    Shapes: input (..., m, ..., n, ...) -> (..., ..., ..., d)
    Source: torch.diagonal
    """
    a, b = shapes.axis(dim1, input.ndim, "dim1"), shapes.axis(dim2, input.ndim, "dim2")
    if a == b:
        raise Fact(ShapeError, f"diagonal dimensions cannot be identical: {dim1}, {dim2}")
    rows, columns, start = input.shape[a], input.shape[b], 0
    if offset >= 0:
        length = max(min(rows, columns - offset), 0)
        start = offset * input.strides[b] if length else 0
    else:
        length = max(min(rows + offset, columns), 0)
        start = -offset * input.strides[a] if length else 0
    rest = [i for i in range(input.ndim) if i not in (a, b)]
    step = input.strides[a] + input.strides[b]
    return (
        (*(input.shape[i] for i in rest), length),
        (*(input.strides[i] for i in rest), step),
        start,
    )


@composite(
    samples=[
        S(T(3)),
        S(T(2, 3)),
        S(T(2), 1),
        S(T(2), -1, 0, 1),
        S(T(2, 3), -1, 0, 2),
        S(T(2, 3), 1, -2, -1),
        S(T(2, 3), 0, 0, 1),
    ]
)
def diag_embed(input: Tensor, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """Matrices of zeros with the last axis of input on a diagonal.

    Shapes: input (..., n) -> (..., n + |offset|, n + |offset|)
    Source: torch.diag_embed
    """
    rank = input.ndim + 1
    a, b = shapes.axis(dim1, rank, "dim1"), shapes.axis(dim2, rank, "dim2")
    if a == b:
        raise Fact(ShapeError, f"diagonal dimensions cannot be identical: {dim1}, {dim2}")
    size = input.shape[-1] + abs(offset)
    rest = iter(input.shape[:-1])
    shape = tuple(size if i in (a, b) else next(rest) for i in range(rank))
    return scatter_view(zeros_of(input, shape), input, ((diagonal, (offset, a, b)),))


@composite(
    samples=[S(T(3)), S(T(3, 4)), S(T(3), 1), S(T(3, 4), -1)],
    errors=[(S(T(2, 3, 4)), ShapeError, "matrix or a vector")],
)
def diag(input: Tensor, diagonal=0) -> Tensor:
    """A vector as the diagonal of a matrix, or the diagonal of a matrix as a vector.

    Shapes: input (n,) -> (n, n); input (m, n) -> (d,)
    Source: torch.diag
    """
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise Fact(
            ShapeError,
            f"expects a matrix or a vector, got {input.ndim} axes",
            "Use diagonal() for batches.",
        )
    return clone(input.diagonal(diagonal), memory_format="contiguous")


@composite(samples=[S(T(2, 2)), S(T(3), 1), S(T())])
def diagflat(input: Tensor, offset=0) -> Tensor:
    """All elements of input as the diagonal of a matrix.

    Shapes: input (...) -> (n, n)
    Source: torch.diagflat
    """
    return diag_embed(reshape(input, (-1,)), offset)


# ---- triangles

_TRIANGLES = [S(T(3, 4)), S(T(3, 4), 1), S(T(4, 3), -1), S(T(2, 3, 3)), S(T(3, 3), 7), S(T(0, 3))]


@elementwise(grad_name="TrilBackward0", where="", raw=("row", "column"), kernel=lambda x, row, column: k.where(column <= row, x, 0),
             vjp={"input": lambda g, _y, _x, row, column: keep_below(g, row, column)},
             samples=[S(T(2, 3), T(2, 1, kind="index", high=2), T(3, kind="index", high=3))],
             reference=lambda x, row, column: x * (column <= row))  # fmt: skip
def keep_below(input: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """input where column <= row, else zero."""


@elementwise(grad_name="TriuBackward0", where="", raw=("row", "column"), kernel=lambda x, row, column: k.where(column >= row, x, 0),
             vjp={"input": lambda g, _y, _x, row, column: keep_above(g, row, column)},
             samples=[S(T(2, 3), T(2, 1, kind="index", high=2), T(3, kind="index", high=3))],
             reference=lambda x, row, column: x * (column >= row))  # fmt: skip
def keep_above(input: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """input where column >= row, else zero."""


def _positions(input: Tensor, diagonal: int):
    if input.ndim < 2:
        raise Fact(ShapeError, f"input tensor must have at least 2 dimensions, got {input.ndim}")
    rows, columns = input.shape[-2:]
    row = arange(diagonal, rows + diagonal, device=input.device)
    return reshape(row, (rows, 1)), arange(columns, device=input.device)


@composite(samples=_TRIANGLES, inplace=True)
def tril(input: Tensor, diagonal=0) -> Tensor:
    """Matrices with zeros above a diagonal.

    Shapes: input (..., m, n) -> (..., m, n)
    Source: torch.tril
    """
    return keep_below(input, *_positions(input, diagonal))


@composite(samples=_TRIANGLES, inplace=True)
def triu(input: Tensor, diagonal=0) -> Tensor:
    """Matrices with zeros below a diagonal.

    Shapes: input (..., m, n) -> (..., m, n)
    Source: torch.triu
    """
    return keep_above(input, *_positions(input, diagonal))


def _triangle(row: int, col: int, inside, dtype, device) -> Tensor:
    if row < 0 or col < 0:
        raise Fact(ArgumentValueError, f"row ({row}) and col ({col}) must be non-negative")
    rows, columns = np.nonzero(inside(np.ones((row, col), np.bool_)))
    return tensor(np.stack((rows, columns)), dtype=dtype, device=device)


@composite(where="mezzo", samples=[S(3, 4), S(3, 3, -1), S(2, 4, 2), S(0, 3)])
def tril_indices(row, col, offset=0, *, dtype=dtypes.int64, device=None) -> Tensor:
    """Rows and columns of the lower triangle's elements.

    Shapes: -> (2, n)
    Source: torch.tril_indices
    """
    return _triangle(row, col, lambda m: np.tril(m, offset), dtype, device)


@composite(where="mezzo", samples=[S(3, 4), S(3, 3, -1), S(2, 4, 2), S(0, 3)])
def triu_indices(row, col, offset=0, *, dtype=dtypes.int64, device=None) -> Tensor:
    """Rows and columns of the upper triangle's elements.

    Shapes: -> (2, n)
    Source: torch.triu_indices
    """
    return _triangle(row, col, lambda m: np.triu(m, offset), dtype, device)


# ---- windows


def _unfold_backward(g, _y, _x, dimension, size, step):
    if not _x.ndim:
        return reshape(g, ())
    axis = dimension % _x.ndim
    windows = g.shape[axis]
    starts = reshape(arange(0, windows * step, step, device=g.device), (windows, 1))
    positions = reshape(starts + arange(size, device=g.device), (-1,))
    pieces = g.movedim(-1, axis + 1).flatten(axis, axis + 1)
    return zeros_of(g, _x.shape).index_add(axis, positions, pieces)


def _unfold_batched(record, size, args, batched):
    if args[0].ndim > 1:
        return batching.dims("dimension")(record, size, args, batched)
    return args[0].unsqueeze(1).narrow(1, 0, args[2])  # a 0-d tensor is one window


@view_rule(where="Tensor", batch=_unfold_batched, vjp={"input": _unfold_backward},
           samples=[S(T(7), 0, 3, 2), S(T(3, 5), 1, 2, 1), S(T(3, 5), 0, 3, 1)],
           errors=[(S(T(3), 0, 4, 1), ShapeError, "maximum size")])  # fmt: skip
def unfold(input: Tensor, dimension, size, step) -> Tensor:
    """A view of all windows of an axis; the window is a new axis at the end.

    Shapes: input (..., n, ...) -> (..., (n - size) // step + 1, ..., size)
    Source: torch.Tensor.unfold
    """
    axis = shapes.axis(dimension, input.ndim)
    n, stride = (input.shape[axis], input.strides[axis]) if input.ndim else (1, 1)
    if not 0 <= size <= n:
        raise Fact(
            ShapeError, f"maximum size for tensor at dimension {axis} is {n} but size is {size}"
        )
    if step <= 0:
        raise Fact(ShapeError, f"step is {step} but must be > 0")
    shape, strides = list(input.shape), list(input.strides)
    if input.ndim:
        shape[axis], strides[axis] = (n - size) // step + 1, stride * step
    return (*shape, size), (*strides, stride), 0
