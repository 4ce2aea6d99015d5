"""The primitives of indirect access: reading and writing along one axis, or at index tensors for several."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number

from mezzo.core.families.indirect import pick, put
from mezzo.core.record import Cast, none
from mezzo.core.tensor import Tensor
from mezzo.errors import OutOfRangeError, ShapeError
from mezzo.ops.copy import cast
from mezzo.ops.create import arange
from mezzo.ops.shape import reshape, scatter_view, slice_dim, unsqueeze, zeros_of
from mezzo.rules import access, batching, shapes
from mezzo.rules.samples import S, T, index


def along_batched(record, size, args, batched):
    """gather and scatter under vmap: every tensor gets the batch, dim moves by one."""
    full = batching.every(args, batched, size, record.operands)
    # A 0-d tensor stands for a line of one, and may meet lines.
    full = [unsqueeze(a, 1) if isinstance(a, Tensor) and a.ndim == 1 else a for a in full]
    at = record.names.index("dim")
    full[at] = shapes.axis(args[at], args[0].ndim - (0 in batched)) + 1
    out = record.apply(tuple(full))
    like = 2 if record.name == "gather" else 0  # whose shape the result has
    return reshape(out, (size,)) if args[like].ndim == (like in batched) else out


@pick(access=lambda input, dim, index, sparse_grad: access.along(input, dim, index), batch=along_batched,
      vjp={"input": lambda g, _y, _x, dim, index, sparse_grad: scatter_add(zeros_of(g, _x.shape), dim, index, g)},
      samples=[S(T(3, 4), 0, index(2, 4, below=3)), S(T(3, 4), 1, index(3, 6, below=4)), S(T(3, 4), -1, index(2, 2, below=4)),
               S(T(5), 0, index(7, below=5)), S(T(), 0, index(below=1)), S(T(3, 4), 0, index(0, 4, below=3)),
               S(T(2, 3, 4), 1, index(2, 5, 4, below=3))],
      errors=[(S(T(3), 0, T(2, low=7, high=8, kind="index")), OutOfRangeError, "out of bounds"),
              (S(T(3, 4), 0, index(2, below=3)), ShapeError, "same number of dimensions")])  # fmt: skip
def gather(input: Tensor, dim, index: Tensor, *, sparse_grad=False) -> Tensor:
    """Elements of input picked along one axis, each at its own index.

    Math:   y[i, j] = input[index[i, j], j] for dim 0
    Shapes: input (..., n, ...), index (..., m, ...) -> (..., m, ...)
    Source: torch.gather
    """


# ---- along one axis


def _along(input, dim, index, *_):
    return access.along(input, dim, index)


def _forget(g, dim, index):
    """The gradient of what was overwritten: none."""
    return scatter_set(g, dim, index, 0)


SCATTERED = [S(T(3, 4), 0, index(2, 4, below=3), T(2, 4)), S(T(3, 4), 1, index(3, 6, below=4), T(3, 6)),
              S(T(3, 4), -1, index(2, 2, below=4), T(3, 5), grad=False), S(T(5), 0, index(7, below=5), T(7)),
              S(T(3, 4), 0, index(0, 4, below=3), T(2, 4), grad=False), S(T(), 0, index(below=1), T())]  # fmt: skip


@put(grad_name="ScatterBackward0", where="", called="scatter", access=_along, source="src", mode="set", copy=cast, batch=along_batched, samples=[],
     vjp={"input": lambda g, _y, _x, dim, index, _s: _forget(g, dim, index),
          "src": lambda g, _y, _x, dim, index, _s: _read(g, dim, index, _s)})  # fmt: skip
def scatter_set(input: Tensor, dim, index: Tensor, src: Tensor | Number) -> Tensor:
    """input with src written at the indices of one axis."""


def _read(g, dim, index, source):
    """The gradient of a source, of which a corner as large as index was used."""
    found = gather(g, dim, index)
    if tuple(found.shape) == tuple(source.shape):
        return found
    if not index.layout.numel:
        return g.new_zeros(tuple(source.shape))
    return _padded(found, tuple(source.shape))


def _padded(found: Tensor, shape) -> Tensor:
    """found with zeros behind it, up to shape."""
    chain = tuple((slice_dim, (d, 0, n, 1)) for d, n in enumerate(found.shape) if n != shape[d])
    return scatter_view(zeros_of(found, shape), found, chain) if chain else found


@put(access=_along, source="src", mode="add", copy=cast, inplace=True, batch=along_batched, cast=Cast(cuda="promote"),
     vjp={"input": lambda g, _y, _x, dim, index, _s: g, "src": lambda g, _y, _x, dim, index, _s: _read(g, dim, index, _s)},
     samples=SCATTERED,
     errors=[(S(T(3), 0, T(2, low=7, high=8, kind="index"), T(2)), OutOfRangeError, "out of bounds"),
             (S(T(3), 0, index(4, below=3), T(2)), ShapeError, "larger than src")])  # fmt: skip
def scatter_add(input: Tensor, dim, index: Tensor, src: Tensor) -> Tensor:
    """input with src added at the indices of one axis; indices that occur twice add up.

    Math:   y[index[i, j], j] += src[i, j] for dim 0
    Shapes: input (..., n, ...), index (..., m, ...), src at least as large as index -> (..., n, ...)
    Source: torch.scatter_add
    """


@put(where="", called="scatter", access=_along, source="src", mode="mode", copy=cast, batch=along_batched, samples=[],
     vjp=none("scatter with reduce= has no derivative; use scatter_reduce"))  # fmt: skip
def scatter_combine(input: Tensor, dim, index: Tensor, src: Tensor | Number, mode) -> Tensor:
    """input combined with src at the indices of one axis."""


def _reduce_vjp(g, y, input, dim, index, src, mode):
    """For mul, max and min: as PyTorch shares it among those that made the result."""
    taken, top = gather(g, dim, index), gather(y, dim, index)
    if mode == "mul":
        return (g * y) / input, None, None, (taken * top) / _corner(src, index)
    held = input.eq(y).to(g.dtype)
    mine = _corner(src, index).eq(top).to(g.dtype)
    count = scatter_add(held, dim, index, mine)
    share = g / count
    return share * held, None, None, gather(share, dim, index) * mine


def _corner(src: Tensor, index: Tensor) -> Tensor:
    for axis, n in enumerate(index.shape):
        src = src.narrow(axis, 0, n)
    return src


def _reduce_src_vjp(g, y, input, dim, index, src, mode):
    found = _reduce_vjp(g, y, input, dim, index, src, mode)[3]
    return found if tuple(found.shape) == tuple(src.shape) else _padded(found, tuple(src.shape))


@put(where="", called="scatter", access=_along, source="src", mode="mode", copy=cast, batch=along_batched, samples=[],
     vjp={"input": lambda g, y, input, dim, index, src, mode: _reduce_vjp(g, y, input, dim, index, src, mode)[0],
          "src": _reduce_src_vjp})  # fmt: skip
def scatter_extreme(input: Tensor, dim, index: Tensor, src: Tensor, mode) -> Tensor:
    """input multiplied with, or replaced by the larger or smaller of, src at the indices of one axis."""


# ---- at index tensors


def axes_batched(record, size, args, batched):
    """Indices that carry the batch get one more index, which counts the batch."""
    input, axes, indices, at, wrap = args
    if 2 not in batched:
        return record.apply((input, tuple(a + 1 for a in axes), indices, at + 1, wrap))
    rank = max(i.ndim for i in indices) - 1
    indices = tuple(_spread_batch(i, rank) for i in indices)
    if 0 not in batched:
        out = record.apply((input, axes, indices, at, wrap))
        return out.movedim(at, 0)
    count = reshape(arange(size), (size,) + (1,) * rank)
    out = record.apply((input, (0, *(a + 1 for a in axes)), (count, *indices), at, wrap))
    return out.movedim(at, 0)


def _spread_batch(i: Tensor, rank: int) -> Tensor:
    """An index with the batch in front and axes of size one up to the common rank."""
    return reshape(i, (i.shape[0],) + (1,) * (rank + 1 - i.ndim) + tuple(i.shape[1:]))


def _axes_vjp(g, _y, _x, axes, indices, at, wrap):
    return put_at(zeros_of(g, _x.shape), axes, indices, g, at, wrap, "add")


@pick(grad_name="IndexBackward0", where="", called="index", access=lambda input, axes, indices, at, wrap: access.at_axes(input, axes, indices, at, wrap),
      vjp={"input": _axes_vjp}, batch=axes_batched, samples=[])  # fmt: skip
def pick_at(input: Tensor, axes, indices: Sequence[Tensor], at, wrap) -> Tensor:
    """input[..., indices, ...]: index tensors replace `axes`; their own axes stand before the at-th of the rest."""


def put_batched(record, size, args, batched):
    """put_at under vmap: as pick_at, with the values' batch beside the indices' axes."""
    input, axes, indices, values, at, wrap, mode, alpha = args
    input = batching.front(input, 0 in batched, size)
    moved = tuple(a + 1 for a in axes)
    rank = max(i.ndim - (2 in batched) for i in indices)
    space = input.ndim - 1 - len(axes) + rank
    if isinstance(values, Tensor):
        values = _aligned(values, 3 in batched, space)
    if 2 not in batched:
        return record.apply((input, moved, indices, values, at + 1, wrap, mode, alpha))
    indices = tuple(_spread_batch(i, rank) for i in indices)
    count = reshape(arange(size), (size,) + (1,) * rank)
    if isinstance(values, Tensor):
        values = values.movedim(0, at)
    return record.apply((input, (0, *moved), (count, *indices), values, at, wrap, mode, alpha))


def _aligned(values: Tensor, is_batched: bool, rank: int) -> Tensor:
    """Values with the batch (or an axis of size one) in front and `rank` axes behind it."""
    if not is_batched:
        values = unsqueeze(values, 0)
    while values.ndim - 1 > rank and values.shape[1] == 1:
        values = values.squeeze(1)
    return reshape(
        values, (values.shape[0],) + (1,) * (rank + 1 - values.ndim) + tuple(values.shape[1:])
    )


def _put_vjp(g, _y, _x, axes, indices, _v, at, wrap, mode, alpha):
    return g if mode == "add" else put_at(g, axes, indices, 0, at, wrap, "set")


@put(grad_name="IndexPutBackward0", where="", called="index_put", access=lambda input, axes, indices, values, at, wrap, mode, alpha: access.at_axes(input, axes, indices, at, wrap),
     source="values", mode="mode", copy=cast, batch=put_batched, samples=[],
     vjp={"input": _put_vjp,
          "values": lambda g, _y, _x, axes, indices, _v, at, wrap, mode, alpha:
          pick_at(g, axes, indices, at, wrap) * alpha if alpha != 1 else pick_at(g, axes, indices, at, wrap)})  # fmt: skip
def put_at(
    input: Tensor, axes, indices: Sequence[Tensor], values: Tensor | Number, at, wrap, mode, alpha=1
) -> Tensor:
    """input with values written ("set") or added, times alpha ("add"), where pick_at would read."""
