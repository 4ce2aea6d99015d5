"""Joining and splitting."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from mezzo import dtypes
from mezzo.core.families.dynamic import dynamic
from mezzo.core.families.joins import join
from mezzo.core.families.masked import holds, is_plain, tallied
from mezzo.core.families.views import views
from mezzo.core.record import Cast, composite, none
from mezzo.core.tensor import Tensor
from mezzo.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    DimensionError,
    DTypeError,
    Fact,
    ShapeError,
)
from mezzo.ops.shape import reshape, select, slice_dim, unsqueeze
from mezzo.rules import batching, shapes
from mezzo.rules.samples import S, T, index


def _cat_vjp(g, _y, _tensors, dim):
    at, parts, rank = 0, [], g.ndim
    axis = dim % rank
    for piece in _tensors:
        if piece.shape == (0,) and rank != 1:
            parts.append(g.new_zeros((0,)))
            continue
        parts.append(slice_dim(g, axis, at, at + piece.shape[axis], 1))
        at += piece.shape[axis]
    return tuple(parts)


def _batch_cat(record, size, args, batched):
    tensors, dim = args
    # What PyTorch lets join anything has shape (0,): with the batch in front it would have to fit.
    full = [t for t in tensors if tuple(t.shape) != (size, 0)]
    return batching.dims("dim")(record, size, (tuple(full) or tensors, dim), batched)


@join(aliases="concat concatenate", where="mezzo", vjp={"tensors": _cat_vjp}, batch=_batch_cat,
      cast=Cast(cpu="promote"),
      samples=[S((T(2, 3), T(4, 3))), S((T(2, 3), T(2, 1), T(2, 2)), 1), S((T(3), T(0), T(2)), -1), S((T(2, 3), T(0)), 0),
               S((T(2, 3),), 0)],
      errors=[(S((T(2, 3), T(2, 4)), 0), ShapeError, "sizes of tensors must match"),
              (S((T(), T())), ShapeError, "zero-dimensional")])  # fmt: skip
def cat(tensors: Sequence[Tensor], dim=0) -> Tensor:
    """Tensors side by side along an axis.

    Shapes: (..., n1, ...), (..., n2, ...), ... -> (..., n1 + n2 + ..., ...)
    Dtypes: promoted
    Source: torch.cat
    """


@join(stacked=True, where="mezzo", batch=batching.dims("dim"), cast=Cast(cpu="promote"),
      vjp={"tensors": lambda g, _y, _tensors, dim: unbind(g, dim)},
      samples=[S((T(2, 3), T(2, 3))), S((T(2, 3), T(2, 3), T(2, 3)), 1), S((T(), T()), 0), S((T(4), T(4)), -1)],
      errors=[(S((T(2, 3), T(2, 4))), ShapeError, "equal size")])  # fmt: skip
def stack(tensors: Sequence[Tensor], dim=0) -> Tensor:
    """Tensors of one shape along a new axis.

    Shapes: k of (...) -> (..., k, ...)
    Dtypes: promoted
    Source: torch.stack
    """


def _grown(tensors, rank: int):
    return tuple(atleast(t, rank) for t in tensors)


def atleast(tensor: Tensor, rank: int) -> Tensor:
    """The tensor with axes of size one such that it has at least `rank`, as hstack and its kin add them."""
    if tensor.ndim == 0:
        return reshape(tensor, (1,) * rank)
    if rank >= 2 and tensor.ndim == 1:
        tensor = unsqueeze(tensor, 0)
    if rank == 3 and tensor.ndim == 2:
        tensor = unsqueeze(tensor, 2)
    return tensor


@composite(where="mezzo", samples=[S((T(2), T(3))), S((T(2, 3), T(2, 1))), S((T(), T()))])
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side along axis 1 (axis 0 for vectors).

    Source: torch.hstack
    """
    grown = _grown(tensors, 1)
    return cat(grown, 0 if grown and grown[0].ndim == 1 else 1)


@composite(where="mezzo", aliases="row_stack", samples=[S((T(3), T(3))), S((T(2, 3), T(1, 3)))])
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one below the other (vectors become rows).

    Source: torch.vstack
    """
    return cat(_grown(tensors, 2), 0)


@composite(
    where="mezzo", samples=[S((T(3), T(3))), S((T(2, 3), T(2, 3))), S((T(2, 3, 1), T(2, 3, 2)))]
)
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one behind the other, along axis 2.

    Source: torch.dstack
    """
    return cat(_grown(tensors, 3), 2)


@composite(where="mezzo", samples=[S((T(3), T(3))), S((T(3, 2), T(3, 1))), S((T(), T()))])
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Vectors as columns and matrices side by side.

    Source: torch.column_stack
    """
    return hstack(tuple(reshape(t, (t.layout.numel, 1)) if t.ndim < 2 else t for t in tensors))


# ---- splitting


def _together(g, y, joined, dim: int) -> Tensor:
    """The gradients of all views joined; zeros for views that took no part."""
    known = next(x for x in g if x is not None)
    return joined(tuple(known.new_zeros(v.shape) if x is None else x for x, v in zip(g, y)), dim)


@views(where="", grad_name="SplitBackward0", batch=batching.dims("dim"), samples=[S(T(5, 3), 0, (2, 0, 3))],
       steps=lambda x, dim, sizes: [(slice_dim, (dim, a, b, 1)) for a, b in _runs(sizes)],
       vjp={"input": lambda g, _y, _input, dim, sizes: _together(g, _y, cat, dim)},
       reference=lambda x, dim, sizes: x.split_with_sizes(sizes, dim))  # fmt: skip
def parts_of(input: Tensor, dim, sizes) -> tuple[Tensor, ...]:
    """Views of consecutive parts of an axis: one call with one derivative."""


@views(where="", grad_name="UnbindBackward0", batch=batching.dims("dim"), samples=[S(T(5, 3), 1)],
       steps=lambda x, dim: [(select, (dim, i)) for i in range(x.shape[dim])],
       vjp={"input": lambda g, _y, _input, dim: _together(g, _y, stack, dim)},
       reference=lambda x, dim: x.unbind(dim))  # fmt: skip
def slices_of(input: Tensor, dim) -> tuple[Tensor, ...]:
    """Views of all slices along an axis: one call with one derivative."""


@composite(where="mezzo Tensor", samples=[S(T(3, 2)), S(T(2, 3), 1), S(T(0, 3))])
def unbind(input: Tensor, dim=0) -> tuple[Tensor, ...]:
    """The slices along an axis, which goes away.

    Shapes: input (..., n, ...) -> n of (..., ...)
    Source: torch.unbind
    """
    return slices_of(input, _split_axis(input, dim))


def _split_axis(input: Tensor, dim) -> int:
    if not input.ndim:
        raise Fact(DimensionError, "a 0-d tensor has no axis to split")
    return shapes.axis(dim, input.ndim)


def _pieces(input: Tensor, axis: int, bounds) -> tuple[Tensor, ...]:
    return tuple(slice_dim(input, axis, a, b, 1) for a, b in bounds)


def _runs(sizes):
    at = 0
    for size in sizes:
        yield at, at + size
        at += size


@composite(where="mezzo Tensor", samples=[S(T(5, 2), 2), S(T(2, 5), 5, 1), S(T(5, 2), [1, 4]), S(T(0, 2), 2)],
           errors=[(S(T(5, 2), [1, 1]), ShapeError, "sum")])  # fmt: skip
def split(tensor: Tensor, split_size_or_sections, dim=0) -> tuple[Tensor, ...]:
    """Views of consecutive parts: of one size (the last may be shorter), or of the given sizes.

    Shapes: tensor (..., n, ...) -> several (..., m, ...)
    Source: torch.split
    """
    size = split_size_or_sections
    if isinstance(size, (tuple, list)):
        return _sections(tensor, size, dim)
    axis = _split_axis(tensor, dim)
    n = tensor.shape[axis]
    if size < 0 or (size == 0 and n):
        raise Fact(ShapeError, f"split_size is {size}; it must be positive")
    if not n:
        return parts_of(tensor, axis, (0,))
    whole, rest = divmod(n, size)
    return parts_of(tensor, axis, (size,) * whole + ((rest,) if rest else ()))


@composite(where="mezzo Tensor", samples=[S(T(5, 2), [1, 4]), S(T(2, 5), [2, 0, 3], 1)])
def split_with_sizes(input: Tensor, split_sizes, dim=0) -> tuple[Tensor, ...]:
    """Views of consecutive parts of the given sizes.

    Source: torch.split_with_sizes
    """
    return _sections(input, split_sizes, dim)


def _sections(input: Tensor, split_sizes, dim) -> tuple[Tensor, ...]:
    axis = _split_axis(input, dim)
    if sum(split_sizes) != input.shape[axis] or min(split_sizes, default=0) < 0:
        raise Fact(ShapeError, f"split_sizes {list(split_sizes)} must be non-negative and sum exactly to "
                               f"{input.shape[axis]} (the size of axis {axis})")  # fmt: skip
    return parts_of(input, axis, tuple(split_sizes))


@composite(where="mezzo Tensor", samples=[S(T(5, 2), 2), S(T(2, 7), 3, 1), S(T(2, 3), 5)])
def chunk(input: Tensor, chunks, dim=0) -> tuple[Tensor, ...]:
    """At most `chunks` views of consecutive parts of equal size (the last may be shorter).

    Source: torch.chunk
    """
    if chunks <= 0:
        raise Fact(ShapeError, f"chunks is {chunks}; it must be greater than 0")
    n = input.shape[_split_axis(input, dim)]
    if not n:
        return split_with_sizes(input, [0] * chunks, dim)
    return split(input, -(-n // chunks), dim)


@composite(where="mezzo Tensor",
           samples=[S(T(7, 2), 3), S(T(2, 7), (1, 4), 1), S(T(2, 7), 2, dim=1)])  # fmt: skip
def tensor_split(input: Tensor, indices_or_sections, dim=0) -> tuple[Tensor, ...]:
    """Views: that many parts as equal as possible, or cut at the given indices.

    Source: torch.tensor_split
    """
    axis, where = _split_axis(input, dim), indices_or_sections
    n = input.shape[axis]
    if isinstance(where, Tensor):
        where = where.tolist()
    if isinstance(where, int):
        if where <= 0:
            raise Fact(ShapeError, f"number of sections is {where}; it must be larger than 0")
        small, extra = divmod(n, where)
        return _pieces(input, axis, _runs([small + 1] * extra + [small] * (where - extra)))
    cuts = [0, *(max(0, min(n, c + n if c < 0 else c)) for c in where), n]
    return _pieces(input, axis, [(a, max(a, b)) for a, b in itertools.pairwise(cuts)])


def _split_along(input: Tensor, where, axis: int, least: int):
    if input.ndim < least:
        raise Fact(ShapeError, f"needs a tensor with at least {least} axes, got {input.ndim}")
    return tensor_split(input, where, axis)


@composite(where="mezzo Tensor", samples=[S(T(4), 2), S(T(2, 4), (1, 3))])
def hsplit(input: Tensor, indices_or_sections) -> tuple[Tensor, ...]:
    """tensor_split along axis 1 (axis 0 for vectors).

    Source: torch.hsplit
    """
    return _split_along(input, indices_or_sections, 0 if input.ndim == 1 else 1, 1)


@composite(where="mezzo Tensor", samples=[S(T(4, 2), 2)])
def vsplit(input: Tensor, indices_or_sections) -> tuple[Tensor, ...]:
    """tensor_split along axis 0.

    Source: torch.vsplit
    """
    return _split_along(input, indices_or_sections, 0, 2)


@composite(where="mezzo Tensor", samples=[S(T(2, 3, 4), 2)])
def dsplit(input: Tensor, indices_or_sections) -> tuple[Tensor, ...]:
    """tensor_split along axis 2.

    Source: torch.dsplit
    """
    return _split_along(input, indices_or_sections, 2, 3)


@composite(where="mezzo Tensor", samples=[S(T(5, 2), 0, 1, 3), S(T(2, 5), 1, -2, 2), S(T(3), 0, 3, 0)],
           errors=[(S(T(5), 0, 3, 4), ShapeError, "exceeds")])  # fmt: skip
def narrow(input: Tensor, dim, start, length) -> Tensor:
    """A view of `length` indices of an axis from `start` on.

    Shapes: input (..., n, ...) -> (..., length, ...)
    Source: torch.narrow
    """
    axis = _split_axis(input, dim)
    n, start = input.shape[axis], int(start)
    if length < 0:
        raise Fact(ShapeError, f"length is {length}; it must be non-negative")
    if not -n <= start <= n:
        raise Fact(DimensionError, f"start is {start}; it must lie between {-n} and {n}")
    begin = start + n if start < 0 else start
    if begin + length > n:
        raise Fact(ShapeError, f"start ({begin}) + length ({length}) exceeds dimension size ({n})")
    return slice_dim(input, axis, begin, begin + length, 1)


# ---- grids and repeats


@composite(
    where="mezzo",
    varargs="tensors",
    samples=[S(T(3), T(4), indexing="ij"), S(T(3), T(4), T(2), indexing="xy")],
)
def meshgrid(tensors: Sequence[Tensor], *, indexing=None) -> tuple[Tensor, ...]:
    """Coordinate grids of vectors: tensor i repeated along every other axis.

    Shapes: (n1,), (n2,), ... -> k of (n1, n2, ...)
    Source: torch.meshgrid
    """
    if indexing not in (None, "ij", "xy"):
        raise Fact(ShapeError, f"indexing is {indexing!r}; it must be 'ij' or 'xy'")
    if not all(isinstance(t, Tensor) for t in tensors):
        raise Fact(ArgumentTypeError, "every argument must be a Tensor")
    swap = indexing == "xy" and len(tensors) > 1
    order = [tensors[1], tensors[0], *tensors[2:]] if swap else list(tensors)
    shape = [t.layout.numel for t in order]
    grids = []
    for i, t in enumerate(order):
        if t.ndim > 1:
            raise Fact(ShapeError, f"expected scalars or vectors, got a tensor with {t.ndim} axes")
        lined = reshape(t, (1,) * i + (shape[i],) + (1,) * (len(shape) - i - 1))
        grids.append(lined.expand(tuple(shape)))
    if swap:
        grids = [grids[1], grids[0], *grids[2:]]
    return tuple(grids)


@composite(where="mezzo", varargs="tensors", samples=[S(T(2), T(3)), S(T(3))])
def cartesian_prod(tensors: Sequence[Tensor]) -> Tensor:
    """Every combination of one element from each vector.

    Shapes: (n1,), ..., (nk,) -> (n1 * ... * nk, k)
    Source: torch.cartesian_prod
    """
    if len(tensors) == 1:
        return tensors[0]
    return stack(tuple(reshape(g, (-1,)) for g in meshgrid(tuple(tensors), indexing="ij")), 1)


@composite(
    where="mezzo Tensor", varargs="dims", name="tile", samples=[S(T(2, 3), (2,)), S(T(3), (2, 2))]
)
def tile(input: Tensor, dims) -> Tensor:
    """The tensor repeated; fewer repeats than axes count from the last.

    Source: torch.tile
    """
    return repeat(input, (1,) * (input.ndim - len(dims)) + tuple(dims))


@composite(
    where="Tensor",
    varargs="repeats",
    samples=[S(T(2, 3), (2, 1)), S(T(3), (2, 2)), S(T(2), (0,), grad=False), S(T(), (3,))],
)
def repeat(input: Tensor, repeats) -> Tensor:
    """The tensor repeated along every axis, in new memory.

    Shapes: input (n0, n1, ...) -> (r0 * n0, r1 * n1, ...)
    Source: torch.Tensor.repeat
    """
    if len(repeats) < input.ndim:
        raise Fact(
            ShapeError,
            f"number of repeats ({len(repeats)}) can not be smaller than the number of axes ({input.ndim})",
        )
    if any(r < 0 for r in repeats):
        raise Fact(ShapeError, f"repeats {tuple(repeats)} must not be negative")
    shape = (1,) * (len(repeats) - input.ndim) + tuple(input.shape)
    lined = reshape(input, tuple(n for size in shape for n in (1, size)))
    wide = lined.expand(tuple(n for r, size in zip(repeats, shape) for n in (r, size)))
    return wide.clone(memory_format="contiguous").reshape(
        tuple(r * n for r, n in zip(repeats, shape))
    )


@dynamic(where="")
def repetitions_of(input: Tensor) -> Tensor:
    """Each index as often as input says: the index that repeat_interleave selects with."""
    if input.dtype.kind not in "iu" or (input < 0).any():
        raise Fact(DTypeError, "repeats must be integers and not negative")
    return np.repeat(np.arange(len(input), dtype=np.int64), input)


@composite(
    where="",
    batch=none("the shape of its result depends on the values"),
    samples=[S(index(5, below=4))],
    reference="repeat_interleave",
)
def repetitions(input: Tensor) -> Tensor:
    """The same, of few without NumPy."""
    few = input.dtype is dtypes.int64 and 0 < input.layout.numel <= _FEW and is_plain(input)
    if few and holds(input.amin() >= 0):
        return tallied("repeat", input, input.sum())
    return repetitions_of(input)


_FEW = 4096  # numbers whose repetitions are written one after another


@composite(samples=[S(T(2, 3), 2), S(T(2, 3), 3, 1), S(T(3), 2, dim=0)])
def repeat_interleave(input: Tensor, repeats, dim=None, *, output_size=None) -> Tensor:
    """Every element (or slice along dim) repeated in place.

    Shapes: input (..., n, ...) -> (..., sum(repeats), ...)
    Source: torch.repeat_interleave
    """
    if dim is None:
        input, dim = reshape(input, (-1,)), 0
    axis = _split_axis(input, dim)
    if isinstance(repeats, Tensor) and repeats.layout.numel == 1:
        repeats = repeats.item()
    if isinstance(repeats, Tensor):
        if repeats.ndim != 1 or repeats.shape[0] != input.shape[axis]:
            raise Fact(ShapeError, f"repeats must have the same size as input along dim: {list(repeats.shape)} for "
                                   f"{input.shape[axis]}")  # fmt: skip
        return input.index_select(axis, repetitions(repeats))
    if repeats < 0:
        raise Fact(ArgumentValueError, f"repeats is {repeats}; it must not be negative")
    wide = unsqueeze(input, axis + 1).expand(
        (*input.shape[: axis + 1], repeats, *input.shape[axis + 1 :])
    )
    to = (*input.shape[:axis], input.shape[axis] * repeats, *input.shape[axis + 1 :])
    return reshape(wide, to)
