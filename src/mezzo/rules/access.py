"""Indirect access: the iteration space of gathers and scatters, and how each operand is read over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mezzo.errors import DTypeError, Fact, OutOfRangeError, ShapeError
from mezzo.rules import shapes


@dataclass(frozen=True)
class Index:
    """One index operand: strides over the space, size and stride (elements) of the axis it names, and that axis."""

    strides: tuple[int, ...]
    size: int
    step: int
    dim: int


@dataclass(frozen=True)
class Access:
    """shape: the space. data: strides over it of the tensor that indices reach into. wrap: negatives count from the end.

    result: the shape of what is read (that of the space, but for 0-d indices).
    """

    result: tuple[int, ...]
    shape: tuple[int, ...]
    data: tuple[int, ...]
    indices: tuple[Index, ...]
    wrap: bool


def _require_index(dtype, allowed: Sequence[str]) -> None:
    if dtype.name not in allowed:
        raise Fact(
            DTypeError,
            f"expected dtype {' or '.join(allowed)} for index, got {dtype.name}",
            "Use index.long().",
        )


def along(input, dim: int, index) -> Access:
    """gather and scatter: one axis of input is indexed, the others run along with index."""
    _require_index(index.dtype, ("int64", "int32"))
    rank = max(input.ndim, 1)
    axis = shapes.axis(dim, rank)
    have, strides = (tuple(input.shape), input.strides) if input.ndim else ((1,), (0,))
    shape, index_strides = (tuple(index.shape), index.strides) if index.ndim else ((1,), (0,))
    if index.numel == 0:
        return Access(tuple(index.shape), shape, (0,) * len(shape), (), False)
    if len(shape) != rank:
        raise Fact(
            ShapeError,
            f"index must have the same number of dimensions as input: {index.ndim} and {input.ndim}",
        )
    for d in range(rank):
        if d != axis and shape[d] > have[d]:
            raise Fact(ShapeError, f"size does not match at dimension {d}: index {list(shape)} is larger than input {list(have)} "
                                   f"apart from dimension {axis}")  # fmt: skip
    data = tuple(0 if d == axis else s for d, s in enumerate(strides))
    return Access(
        tuple(index.shape),
        shape,
        data,
        (Index(tuple(index_strides), have[axis], strides[axis], axis),),
        False,
    )


def at_axes(input, axes: Sequence[int], indices, at: int, wrap: bool) -> Access:
    """Indices that broadcast together replace `axes` of input; their axes stand before the at-th of the rest."""
    for index in indices:
        _require_index(index.dtype, ("int64", "int32"))
    try:
        inner = shapes.broadcast([tuple(i.shape) for i in indices])
    except Fact:
        have = ", ".join(str(list(i.shape)) for i in indices)
        raise Fact(
            OutOfRangeError,
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {have}",
        ) from None
    rest = [d for d in range(input.ndim) if d not in axes]
    before, after = rest[:at], rest[at:]
    shape = (*(input.shape[d] for d in before), *inner, *(input.shape[d] for d in after))
    data = (
        *(input.strides[d] for d in before),
        *(0 for _ in inner),
        *(input.strides[d] for d in after),
    )
    found = []
    for axis, index in zip(axes, indices):
        strides = shapes.expand_strides(tuple(index.shape), index.strides, inner)
        spread = (*(0 for _ in before), *strides, *(0 for _ in after))
        found.append(Index(spread, input.shape[axis], input.strides[axis], axis))
    return Access(shape, shape, data, tuple(found), wrap)
