"""Sums of rows of a table for bags of indices, and leaky_relu with random slopes."""

from __future__ import annotations

import math

from mezzo import dtypes
from mezzo.core.record import composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError, UnsupportedDTypeError
from mezzo.ops.activation import leaky_relu
from mezzo.ops.create import arange
from mezzo.ops.edits import index_reduce
from mezzo.ops.gather import renormalise, rows_of
from mezzo.ops.random import rand_like
from mezzo.ops.scatter import index_add
from mezzo.ops.select import where
from mezzo.ops.sets import searchsorted
from mezzo.rules.samples import S, T, index


def _bags(input: Tensor, offsets: Tensor | None, include_last: bool):
    """(indices as a vector, the bag of each, number of bags)."""
    if input.ndim == 2:
        if offsets is not None:
            raise Fact(ArgumentValueError, "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of "
                                           "fixed length sequences")  # fmt: skip
        count, length = input.shape
        bag = arange(count, device=input.device).unsqueeze(1).expand((count, length))
        return input.reshape(-1), bag.reshape(-1), count
    if input.ndim != 1:
        raise Fact(ArgumentValueError, f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")  # fmt: skip
    if offsets is None:
        raise Fact(ArgumentValueError, "offsets has to be a 1D Tensor but got None")
    if offsets.ndim != 1:
        raise Fact(ArgumentValueError, "offsets has to be a 1D Tensor")
    starts = offsets.narrow(0, 0, offsets.shape[0] - 1) if include_last else offsets
    at = arange(input.shape[0], device=input.device)
    bag = searchsorted(starts.to(dtypes.int64), at, right=True) - 1
    return input, bag, starts.shape[0]


_OFFSETS = T(1, low=0, high=1, kind="index")


@composite(where="nn.functional", samples=[
    *[S(index(3, 4, below=5), T(5, 3), mode=m) for m in ("sum", "mean")], S(index(3, 4, below=5), T(5, 3, distinct=True), mode="max"),
    S(index(6, below=5), T(5, 3), _OFFSETS), S(index(3, 4, below=5), T(5, 3), mode="sum", per_sample_weights=T(3, 4)),
    S(index(3, 4, below=5), T(5, 3), padding_idx=2), S(index(3, 4, below=5), T(5, 3), mode="sum", padding_idx=-1),
    S(index(3, 4, below=5), T(5, 3, distinct=True), mode="max", padding_idx=2)],
    errors=[(S(index(6, below=5), T(5, 3)), ValueError, "offsets"), (S(index(2, 3, below=5), T(5, 3), mode="prod"), ValueError, "mode")])  # fmt: skip
def embedding_bag(input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm=None, norm_type=2, scale_grad_by_freq=False,
                  mode="mean", sparse=False, per_sample_weights: Tensor | None = None, include_last_offset=False,
                  padding_idx=None) -> Tensor:  # fmt: skip
    """Sums, means or largest values of rows of weight, one for each bag of indices.

    Bags are the rows of a 2-D input, or the parts of a 1-D input that begin at offsets. Empty bags give zeros; indices
    equal to padding_idx do not count.
    Shapes: input (b, n), weight (v, d) -> (b, d); input (n,), offsets (b,) -> (b, d)
    Source: torch.nn.functional.embedding_bag
    """
    if weight.ndim != 2:
        raise Fact(ShapeError, f"weight must be 2-D, got {weight.ndim} axes")
    if mode not in ("sum", "mean", "max"):
        raise Fact(ArgumentValueError, f"mode has to be one of sum, mean or max, and is {mode!r}")
    if weight.dtype.category != dtypes.FLOAT:
        raise Fact(DTypeError, f"weight is {weight.dtype.name}; it needs a floating dtype")
    if per_sample_weights is not None and mode != "sum":
        raise Fact(DTypeError, f"per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got mode='{mode}')")  # fmt: skip
    if per_sample_weights is not None and tuple(per_sample_weights.shape) != tuple(input.shape):
        raise Fact(ArgumentValueError, f"if per_sample_weights (got {list(per_sample_weights.shape)}) is not None, then it must have "
                                       f"the same shape as the input ({list(input.shape)})")  # fmt: skip
    flat, bag, count = _bags(input, offsets, include_last_offset)
    if padding_idx is not None:
        rows_count = weight.shape[0]
        if not -rows_count <= padding_idx < rows_count:
            raise Fact(ShapeError, f"padding_idx must be within the number of embeddings ({rows_count}), and is {padding_idx}")  # fmt: skip
        padding_idx %= rows_count
    if max_norm is not None:
        renormalise(weight, flat, max_norm, norm_type)
    rows = rows_of(weight, flat, padding_idx, scale_grad_by_freq)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1).unsqueeze(-1)
    counted = None if padding_idx is None else flat != padding_idx
    shape = (count, weight.shape[1])
    if mode == "max":
        if counted is not None:
            rows = where(counted.unsqueeze(-1), rows, -math.inf)
        y = index_reduce(rows.new_full(shape, -math.inf), 0, bag, rows, "amax")
        return where(y == -math.inf, 0, y)
    if counted is not None:
        rows = rows * counted.unsqueeze(-1)
    y = index_add(rows.new_zeros(shape), 0, bag, rows)
    if mode == "sum":
        return y
    ones = rows.new_ones(flat.shape) if counted is None else counted.to(rows.dtype)
    return y / index_add(rows.new_zeros((count,)), 0, bag, ones).clamp(min=1).unsqueeze(-1)


@composite(where="mezzo nn.functional", inplace=True, samples=[S(T(5)), S(T(2, 3), 0.1, 0.4)])
def rrelu(input: Tensor, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False) -> Tensor:
    """input where positive, else input times a slope: random in lower..upper when training, their mean when not.

    Shapes: (...) -> (...)
    Source: torch.nn.functional.rrelu
    """
    if input.dtype.category != dtypes.FLOAT:
        raise Fact(UnsupportedDTypeError, f"not implemented for {input.dtype.name}", "Convert with x.float().")  # fmt: skip
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slope = rand_like(input) * (upper - lower) + lower
    y = where(input > 0, input, input * slope)
    return input.copy_(y) if inplace else y
