"""More ways to write into a copy: put, index_reduce, as_strided_scatter; and fill_diagonal_."""

from __future__ import annotations

from mezzo import dtypes
from mezzo.core.record import composite
from mezzo.core.tensor import Tensor, tensor_method
from mezzo.errors import DTypeError, Fact, OutOfRangeError, ShapeError
from mezzo.ops.index import index_put
from mezzo.ops.scatter import scatter_reduce
from mezzo.ops.shape import expand, reshape, scatter_view, strided_view
from mezzo.rules import shapes
from mezzo.rules.samples import S, T, index


@composite(where="Tensor mezzo", inplace=True, samples=[
    S(T(3, 4), T(2, 2, low=-12, high=12, kind="index"), T(2, 2), True), S(T(5), T(1, low=2, high=3, kind="index"), T(1)),
    S(T(3, 4), T(1, low=-1, high=0, kind="index"), T(1), False)],
    errors=[(S(T(3), T(2, low=5, high=6, kind="index"), T(2)), IndexError, "out of")])  # fmt: skip
def put(input: Tensor, index: Tensor, source: Tensor, accumulate=False) -> Tensor:
    """input, taken as a vector, with the elements of source written (or added) at positions.

    Shapes: input (...), index (m...), source with as many elements -> (...)
    Source: torch.put
    """
    if index.dtype is not dtypes.int64:
        raise Fact(DTypeError, f"expected a long tensor for index, but got {index.dtype.name}")
    if source.dtype is not input.dtype:
        raise Fact(DTypeError, f"self and source expected to have the same dtype, but got self.dtype = {input.dtype.name} and "
                               f"source.dtype = {source.dtype.name}")  # fmt: skip
    if source.numel() != index.numel():
        raise Fact(ShapeError, f"source and index must have as many elements, and have {source.numel()} and {index.numel()}")  # fmt: skip
    flat = index_put(
        reshape(input, (-1,)), (reshape(index, (-1,)),), reshape(source, (-1,)), accumulate
    )
    return reshape(flat, tuple(input.shape))


_REDUCES = ("prod", "mean", "amax", "amin")


@composite(where="Tensor mezzo", inplace=True, samples=[
    *[S(T(3, 4), 0, index(5, below=3), T(5, 4), r) for r in _REDUCES], S(T(3, 4), 1, index(3, below=4), T(3, 3), "amax", include_self=False)],
    errors=[(S(T(3), 0, index(2, below=3), T(2), "sum"), RuntimeError, "reduce")])  # fmt: skip
def index_reduce(
    input: Tensor, dim, index: Tensor, source: Tensor, reduce, *, include_self=True
) -> Tensor:
    """input reduced with slices of source at the indices of one axis: prod, mean, amax or amin.

    Shapes: input (..., n, ...), index (m,), source (..., m, ...) -> (..., n, ...)
    Source: torch.index_reduce
    """
    if reduce not in _REDUCES:
        raise Fact(DTypeError, f"reduce argument must be either prod, mean, amax or amin, got {reduce}")  # fmt: skip
    axis = shapes.axis(dim, input.ndim)
    if index.ndim > 1:
        raise Fact(OutOfRangeError, f"index is supposed to be a vector, got {index.ndim} axes")
    view = [1] * source.ndim
    view[axis] = index.numel()
    full = expand(reshape(index, tuple(view)), tuple(source.shape))
    return scatter_reduce(input, axis, full, source, reduce, include_self=include_self)


def _strided_reference(input, src, size, stride, storage_offset=None):
    """PyTorch's own derivative zeroes the elements that were kept."""
    made = input.clone()
    made.as_strided(size, stride, storage_offset or 0).copy_(src)
    return made


@composite(
    samples=[S(T(4, 4), T(2, 2), (2, 2), (1, 2)), S(T(4, 4), T(3), (3,), (4,), 1)],
    reference=_strided_reference,
)
def as_strided_scatter(input: Tensor, src: Tensor, size, stride, storage_offset=None) -> Tensor:
    """input with src written where as_strided(size, stride, storage_offset) would read.

    Source: torch.as_strided_scatter
    """
    dense = input.contiguous()
    return scatter_view(
        dense, src, ((strided_view, (tuple(size), tuple(stride), storage_offset or 0)),)
    )


@tensor_method
def fill_diagonal_(self, fill_value, wrap=False) -> Tensor:
    """Fill the main diagonal with a number; wrap: begin again below the square of a tall matrix.

    Source: torch.Tensor.fill_diagonal_
    """
    if self.ndim < 2:
        raise ShapeError(f"fill_diagonal_: dimensions must larger than 1, and there are {self.ndim}. Use fill_().")  # fmt: skip
    if self.ndim > 2 and len(set(self.shape)) > 1:
        raise ShapeError(f"fill_diagonal_: all dimensions of input must be of equal length, and the shape is {list(self.shape)}. "
                         "Use a square tensor.")  # fmt: skip
    strides, size = self.layout.strides, min(self.shape)
    if self.ndim > 2:
        self.as_strided((size,), (sum(strides),), self.storage_offset()).fill_(fill_value)
        return self
    self.diagonal().fill_(fill_value)
    rows, columns = self.shape
    start = columns + 1
    while wrap and start < rows:
        self.narrow(0, start, rows - start).diagonal().fill_(fill_value)
        start += columns + 1
    return self
