"""Reading through indices: gather, index_select, take, embedding, and what x[indices] reads."""

from __future__ import annotations

import numpy as np

from mezzo import devices, dtypes
from mezzo.core.families.indirect import pick
from mezzo.core.families.masked import holds
from mezzo.core.record import composite
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError, DTypeError, Fact, OutOfRangeError, ShapeError
from mezzo.ops.create import arange
from mezzo.ops.indirect import gather, pick_at, put_at
from mezzo.ops.shape import expand, reshape, unsqueeze, zeros_of
from mezzo.rules import access, batching, shapes
from mezzo.rules.samples import S, T, index


@composite(
    samples=[
        S(T(3, 4), index(3, 1, below=4), 1),
        S(T(3, 4), index(1, 4, below=3), 0),
        S(T(3, 4), index(5, below=12)),
    ]
)
def take_along_dim(input: Tensor, indices: Tensor, dim=None) -> Tensor:
    """gather with indices broadcast against input; without dim on the flattened tensor.

    Source: torch.take_along_dim
    """
    if dim is None:
        return gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)))
    if input.ndim != indices.ndim:
        raise Fact(
            ShapeError,
            f"input and indices should have the same number of dimensions: {input.ndim} and {indices.ndim}",
        )
    axis = shapes.axis(dim, input.ndim)
    have = [(*t.shape[:axis], 1, *t.shape[axis + 1 :]) for t in (input, indices)]
    common = shapes.broadcast(have)
    wide = [
        expand(t, (*common[:axis], t.shape[axis], *common[axis + 1 :])) for t in (input, indices)
    ]
    return gather(wide[0], axis, wide[1])


@composite(samples=[S(T(3, 4), 0, index(5, below=3)), S(T(3, 4), 1, index(2, below=4)), S(T(5), 0, index(3, below=5)),
                    S(T(3, 4), 1, index(0, below=4)), S(T(40, 33), 0, index(70, below=40)), S(T(), 0, index(1, below=1))],
           errors=[(S(T(3), 0, T(2, low=7, high=8, kind="index")), OutOfRangeError, "index 7 is out of bounds")])  # fmt: skip
def index_select(input: Tensor, dim, index: Tensor) -> Tensor:
    """Slices of input along an axis, in the order of index.

    Shapes: input (..., n, ...), index (m,) -> (..., m, ...)
    Source: torch.index_select
    """
    if index.ndim > 1:
        raise Fact(
            OutOfRangeError,
            f"index is supposed to be a vector, got {index.ndim} axes",
            "Use x[index].",
        )
    axis = shapes.axis(dim, input.ndim)
    if index.ndim == 1 and input.ndim:
        return pick_at(input, (axis,), (index,), axis, False)
    if not input.ndim:
        return reshape(pick_at(reshape(input, (1,)), (0,), (reshape(index, (-1,)),), 0, False), ())
    return pick_at(input, (axis,), (reshape(index, (-1,)),), axis, False)


@composite(samples=[S(T(3, 4), index(5, below=12)), S(T(3, 4), index(2, 2, below=12))])
def take(input: Tensor, index: Tensor) -> Tensor:
    """Elements of the flattened input.

    Shapes: input (...), index (...) -> shape of index
    Source: torch.take
    """
    return pick_at(reshape(input, (-1,)), (0,), (index,), 0, True)


def _row_gradient(g, _y, _w, input, padding_idx, by_frequency):
    rows = zeros_of(g, _w.shape)
    if by_frequency:
        count = put_at(
            g.new_zeros((_w.shape[0],)),
            (0,),
            (input,),
            g.new_ones(tuple(input.shape)),
            0,
            False,
            "add",
        )
        g = g / unsqueeze(pick_at(count, (0,), (input,), 0, False), -1)
    rows = put_at(rows, (0,), (input,), g, 0, False, "add")
    return (
        rows
        if padding_idx is None
        else put_at(rows, (0,), (arange(padding_idx, padding_idx + 1),), 0, 0, False, "set")
    )


def _rows_batched(record, size, args, batched):
    weight, input, padding_idx, by_frequency = args
    if 0 not in batched:
        return record.apply(args)
    input = batching.front(input, 1 in batched, size)
    count = reshape(arange(size), (size,) + (1,) * (input.ndim - 1))
    if padding_idx is not None or by_frequency:
        flat = reshape(weight, (-1, weight.shape[-1]))
        raise_by = count * weight.shape[1]
        if padding_idx is None:
            return record.apply((flat, input + raise_by, None, by_frequency))
    return pick_at(weight, (0, 1), (count, input), 0, False)


@pick(grad_name="EmbeddingBackward0", where="", called="embedding", access=lambda weight, index, padding_idx, by_frequency: access.at_axes(weight, (0,), (index,), 0, False),
      vjp={"weight": _row_gradient}, batch=_rows_batched, samples=[])  # fmt: skip
def rows_of(weight: Tensor, index: Tensor, padding_idx, by_frequency) -> Tensor:
    """Rows of a table; the row padding_idx gets no gradient."""


@composite(where="nn.functional",
           samples=[S(index(4, below=5), T(5, 3)), S(index(2, 3, below=5), T(5, 3), 1), S(index(below=5), T(5, 3)),
                    S(index(3, below=5), T(5, 40), scale_grad_by_freq=True), S(index(0, below=5), T(5, 3), grad=False)],
           errors=[(S(T(2, low=7, high=8, kind="index"), T(5, 3)), OutOfRangeError, "out of bounds"),
                   (S(T(2), T(5, 3)), DTypeError, "int64")])  # fmt: skip
def embedding(input: Tensor, weight: Tensor, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
              sparse=False) -> Tensor:  # fmt: skip
    """Rows of weight, one for each index.

    Shapes: input (...), weight (n, d) -> (..., d)
    Source: torch.nn.functional.embedding
    """
    if not isinstance(input, Tensor):
        raise Fact(
            ArgumentTypeError,
            f"argument 1 (input) is {type(input).__name__}; it must be a Tensor of indices",
        )
    if weight.ndim != 2:
        raise Fact(ShapeError, f"weight must be 2-D, got {weight.ndim} axes")
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise Fact(
                OutOfRangeError, f"padding_idx {padding_idx} must be within num_embeddings ({rows})"
            )
        padding_idx %= rows
    if max_norm is not None:
        renormalise(weight, input, max_norm, norm_type)
    return rows_of(weight, input, padding_idx, scale_grad_by_freq)


def renormalise(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    """Rows that are looked up are scaled down to max_norm, in the table itself."""
    table, used = weight.detach()._array(), np.unique(input._array())
    rows = table[used].astype(np.float64)
    norms = np.linalg.norm(rows, ord=norm_type, axis=1, keepdims=True)
    table[used] = np.where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows).astype(
        table.dtype
    )


@composite(
    where="nn.functional",
    samples=[S(index(4, below=3), 3, grad=False), S(index(2, 2, below=3), 5, grad=False)],
)
def one_hot(input: Tensor, num_classes=-1) -> Tensor:
    """A one at each index, zeros elsewhere.

    Shapes: input (...) -> (..., num_classes)
    Dtypes: int64
    Source: torch.nn.functional.one_hot
    """
    if input.dtype is not dtypes.int64:
        raise Fact(
            DTypeError,
            f"one_hot is only applicable to index tensor of type int64, got {input.dtype.name}",
            "Use x.long().",
        )
    if num_classes == -1:
        if not input.layout.numel:
            raise Fact(
                ShapeError,
                "can not infer total number of classes from empty tensor",
                "Pass num_classes.",
            )
        num_classes = int(input.max()) + 1
    if num_classes <= 0:
        raise Fact(ShapeError, f"num_classes is {num_classes}; it should be positive")
    if not STATE.stack and input.device is not devices.meta and input.layout.numel:
        if not holds(((input >= 0) & (input < num_classes)).all()):
            low, high = int(input.min()), int(input.max())
            worst = low if low < 0 else high
            text = f"class value {worst} must be non-negative and smaller than num_classes ({num_classes})"
            raise Fact(ShapeError, text)
    return unsqueeze(input, -1).eq(arange(num_classes, device=input.device)).to(dtypes.int64)
