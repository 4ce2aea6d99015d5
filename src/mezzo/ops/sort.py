"""Sorting, ranking and what follows from it. NumPy finds the order; values are gathered, so gradients flow."""

from __future__ import annotations

import functools
import math
import threading
from numbers import Number

import numpy as np

from mezzo import dtypes
from mezzo.core.families.host import host
from mezzo.core.families.ranking import by_list, by_rank
from mezzo.core.layout import Layout
from mezzo.core.record import Cast, composite, none
from mezzo.core.tensor import Tensor
from mezzo.errors import DimensionError, DTypeError, Fact, ShapeError
from mezzo.kernels.cpu import best, pool, rank
from mezzo.ops.copy import clone
from mezzo.ops.extremes import ValuesIndices
from mezzo.ops.indirect import gather
from mezzo.ops.shape import reshape, slice_dim, squeeze, unsqueeze
from mezzo.rules import batching, shapes
from mezzo.rules.samples import S, T, index

_NO = none("an index has no derivative")


def comparable(array: np.ndarray) -> np.ndarray:
    """Half precision as float32: NumPy orders that natively, and NaN last."""
    return (
        array.astype(np.float32)
        if array.dtype.itemsize == 2 and array.dtype.kind not in "iu"
        else array
    )


# Elements whose keys are made at a time: they stay in the second cache while they are sorted.
_CHUNK = 1 << 16
_SHARED = 1 << 19  # elements from which threads are worth starting


class _Room:
    """Memory that one chunk after the other is worked on in: fresh pages would cost more than the work."""

    def __init__(self, rows: int, n: int):
        self.ranks, self.spare = np.empty((2, rows, n), np.int32)
        self.where = np.empty((rows, n), bool)
        self.keys = np.empty((rows, n), np.int64)
        self.places = np.arange(n)

    def rank(self, lines: np.ndarray, descending: bool) -> np.ndarray:
        """int32 numbers in the order of the values; NaN comes last, or first where the order is descending."""
        ranks, spare, where = (
            x.reshape(-1)[: lines.size].reshape(lines.shape)
            for x in (self.ranks, self.spare, self.where)
        )
        if lines.dtype.kind == "f":
            np.add(lines, np.float32(0), out=ranks.view(np.float32))  # -0 becomes 0: they are equal
            # of negative numbers the larger pattern is the smaller number
            np.right_shift(ranks, 31, out=spare)
            np.bitwise_and(spare, 0x7FFFFFFF, out=spare)
            np.bitwise_xor(ranks, spare, out=ranks)
            if np.isnan(lines, out=where).any():
                ranks[where] = 0x7FFFFFFF
        else:
            ranks[...] = lines
        return np.invert(ranks, out=ranks) if descending else ranks

    def all_keys(self, ranks: np.ndarray) -> np.ndarray:
        """Keys of every element: they sort by rank, then by place.

        They are all different, so any sort of them is stable, and NumPy sorts integers with vectors.
        """
        keys = self.keys[: len(ranks)]
        np.left_shift(ranks, 32, out=keys, dtype=np.int64)
        return np.bitwise_or(keys, self.places, out=keys)

    def candidates(self, lines: np.ndarray, count: int, descending: bool) -> np.ndarray | None:
        """Keys of a few elements of each line, the first `count` among them; None where there is a NaN.

        The first of each of many groups give a bound: at least `count` elements come no later. Lines with fewer
        candidates are filled up from behind.
        """
        rows, n = lines.shape
        where = self.where[:rows]
        across = max(2 * count, n // 8)
        inside = n // across * across
        groups = lines[:, :inside].reshape(rows, -1, across)
        firsts = groups.max(axis=1) if descending else groups.min(axis=1)
        # The extreme of a group that holds a NaN is NaN.
        if lines.dtype.kind == "f" and (
            np.isnan(firsts).any() or np.isnan(lines[:, inside:]).any()
        ):
            return None
        firsts.sort(axis=-1)
        if descending:
            np.greater_equal(lines, firsts[:, [across - count]], out=where)
        else:
            np.less_equal(lines, firsts[:, [count - 1]], out=where)
        at = np.flatnonzero(where)
        row, place = np.divmod(at, n)
        have = np.bincount(row, minlength=rows)
        found = self.rank(lines[row, place][None], descending)[0]
        keys = np.full((rows, have.max()), np.iinfo(np.int64).max)
        slot = np.arange(len(at)) - (np.cumsum(have) - have)[row]
        keys[row, slot] = (found.astype(np.int64) << 32) | place
        return keys


_FEW = 16  # times that a line must be longer than what is taken of it, to look for candidates first


def _has_keys(array: np.ndarray, axis: int) -> bool:
    kind, size = array.dtype.kind, array.dtype.itemsize
    return kind in "fiub" and size <= 4 and 0 < array.shape[axis] < 1 << 31


def _lines(array: np.ndarray, axis: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """(rows of the axis, the shape that the array has with the axis last)."""
    moved = np.moveaxis(array, axis, -1)
    return moved.reshape(-1, moved.shape[-1]), moved.shape


def _rows_of_chunk(lines: np.ndarray) -> int:
    return max(1, _CHUNK // lines.shape[1])


def _chunks(lines: np.ndarray):
    rows = _rows_of_chunk(lines)
    return (slice(i, i + rows) for i in range(0, len(lines), rows))


def _order_share(share: tuple, count: int, descending: bool) -> None:
    """Fill the places of some of the lines in `found`, which keys carry in their lower half."""
    lines, found, parts = share
    few = 0 < count * _FEW <= lines.shape[1]
    room = _Room(min(len(lines), _rows_of_chunk(lines)), lines.shape[1])
    for part in parts:
        keys = room.candidates(lines[part], count, descending) if few else None
        if keys is None:
            keys = room.all_keys(room.rank(lines[part], descending))
        if count < keys.shape[1]:
            keys.partition(count - 1, axis=-1)
            keys = keys[:, :count]
        keys.sort(axis=-1)
        found[part] = keys


def _side_by_side(tasks: list) -> None:
    """Call each task in a thread of its own, the first in this one: NumPy sorts without the interpreter's lock."""
    failed: list[BaseException] = []

    def guarded(task) -> None:
        try:
            task()
        except BaseException as error:  # raised again where the caller sees it
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks[1:]]
    for thread in threads:
        thread.start()
    guarded(tasks[0])
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def _first(array: np.ndarray, count: int, axis: int, descending: bool) -> np.ndarray:
    """The indices of the first `count` along an axis, in order."""
    lines, shape = _lines(array, axis)
    found = np.empty((len(lines), count), np.int64)
    parts = list(_chunks(lines))
    workers = min(pool.get_num_threads(), len(parts)) if lines.size >= _SHARED else 1
    shares = [
        (lines, found, parts[w * len(parts) // workers : (w + 1) * len(parts) // workers])
        for w in range(workers)
    ]
    _side_by_side([functools.partial(_order_share, s, count, descending) for s in shares])
    found &= 0xFFFFFFFF
    return np.moveaxis(found.reshape(*shape[:-1], count), -1, axis)


def ordered(array: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    """Stable argsort; NaN counts as the largest."""
    array = comparable(array)
    if _has_keys(array, axis):
        return _first(array, array.shape[axis], axis, descending)
    if not descending:
        return np.argsort(array, axis=axis, kind="stable")
    # Backwards from the back: equal elements keep their order.
    last = array.shape[axis] - 1
    return np.flip(last - np.argsort(np.flip(array, axis), axis=axis, kind="stable"), axis)


def _order(outs, x, dim, descending):
    outs[0][...] = ordered(x, dim, descending) if x.ndim else 0


def _line(x, dim):
    if not x.ndim:
        shapes.axis(dim, 0)
    return shapes.axis(dim, x.ndim)


@host(where="", results=lambda x, dim, descending: (tuple(x.shape), dtypes.int64) if _line(x, dim) >= 0 else None,
      fill=_order, native=lambda x, dim, descending: by_rank(x, dim, 0, x.shape[dim] if x.ndim else 1, descending), vjp=_NO, batch=batching.line, samples=[])  # fmt: skip
def order_of(input: Tensor, dim, descending) -> Tensor:
    """The indices that sort along an axis, equal elements in their order."""


def _picked(input: Tensor, order: Tensor, dim: int) -> Tensor:
    return gather(input, dim, order)


_LINES = [S(T(3, 4, distinct=True)), S(T(3, 4, distinct=True), 0), S(T(5, distinct=True), -1, True), S(T()), S(T(2, 0)),
          S(T(3, 4, distinct=True), 0, True)]  # fmt: skip


@composite(samples=_LINES)
def sort(input: Tensor, dim=-1, descending=False, stable=False) -> ValuesIndices:
    """(values, indices) in ascending or descending order along an axis; NaN counts as the largest.

    Shapes: input (...) -> two of (...)
    Source: torch.sort
    """
    order = order_of(input, dim, bool(descending))
    return ValuesIndices(_picked(input, order, dim), order)


@composite(samples=_LINES)
def argsort(input: Tensor, dim=-1, descending=False, stable=False) -> Tensor:
    """The indices that sort along an axis.

    Shapes: input (...) -> (...)
    Dtypes: int64
    Source: torch.argsort
    """
    return order_of(input, dim, bool(descending))


@composite(samples=[S(T(4, 3, distinct=True)), S(T(5, distinct=True))])
def msort(input: Tensor) -> Tensor:
    """Sorted along axis 0.

    Source: torch.msort
    """
    return sort(input, 0)[0]


def _best(outs, x, k, dim, largest, in_order):
    """The first k in order: a partition first, then only the k are sorted."""
    if not x.ndim:
        outs[0][...] = 0
        return
    x = comparable(x)
    n = x.shape[dim]
    if k == 0:
        return
    if _has_keys(x, dim):
        found = _first(x, k, dim, largest)
    elif k * 4 >= n:
        found = np.take(ordered(x, dim, largest), range(k), axis=dim)
    else:
        part = np.argpartition(x, n - k if largest else k - 1, axis=dim)
        part = np.take(part, range(n - k, n) if largest else range(k), axis=dim)
        part = np.sort(part, axis=dim)
        found = np.take_along_axis(
            part, ordered(np.take_along_axis(x, part, dim), dim, largest), dim
        )
    outs[0][...] = found


def _best_results(x, k, dim, largest, in_order):
    axis = shapes.axis(dim, x.ndim)
    if x.dtype is dtypes.bool_:
        raise Fact(DTypeError, "does not support bool", "Use x.int().")
    size = x.shape[axis] if x.ndim else 1
    if not 0 <= k <= size:
        raise Fact(
            ShapeError, f"selected index k out of range: k is {k} and the axis has {size} elements"
        )
    return (tuple(k if i == axis else n for i, n in enumerate(x.shape)), dtypes.int64)


@host(
    where="",
    results=_best_results,
    fill=_best,
    native=lambda x, k, dim, largest, in_order: (
        by_list(x, dim, k, largest) or by_rank(x, dim, 0, k, largest)
    ),
    vjp=_NO,
    batch=batching.line,
    samples=[],
)
def best_of(input: Tensor, k, dim, largest, in_order) -> Tensor:
    """The indices of the k first in order along an axis."""


@composite(samples=[S(T(3, 6, distinct=True), 2), S(T(3, 6, distinct=True), 3, 0), S(T(30, distinct=True), 4, largest=False),
                    S(T(), 1), S(T(5, distinct=True), 5), S(T(3, 4), 0)],
           errors=[(S(T(3), 4), ShapeError, "out of range")])  # fmt: skip
def topk(input: Tensor, k, dim=-1, largest=True, sorted=True) -> ValuesIndices:
    """(values, indices) of the k largest (or smallest) elements along an axis, in order.

    Shapes: input (..., n, ...) -> two of (..., k, ...)
    Source: torch.topk
    """
    count = int(k) if input.ndim or k else 1  # a 0-d tensor gives itself, as in PyTorch
    found = best_of(input, count, dim, bool(largest), True)
    return ValuesIndices(_picked(input, found, dim), found)


@composite(samples=[S(T(3, 6, distinct=True), 2), S(T(3, 6, distinct=True), 3, 0), S(T(5, distinct=True), 5, 0, True)],
           errors=[(S(T(3), 0), ShapeError, "out of range")])  # fmt: skip
def kthvalue(input: Tensor, k, dim=-1, keepdim=False) -> ValuesIndices:
    """(value, index) of the k-th smallest element along an axis.

    Shapes: input (..., n, ...) -> two of (..., ...), or (..., 1, ...) with keepdim
    Source: torch.kthvalue
    """
    size = input.shape[shapes.axis(dim, input.ndim)] if input.ndim else 1
    if not 1 <= k <= size:
        raise Fact(
            ShapeError, f"selected index k out of range: k is {k}; it must lie between 1 and {size}"
        )
    # Ranks that a list finds are those of a full order, ties included.
    listed = k <= best.MOST and input.dtype is not dtypes.bool_
    found = best_of(input, int(k), dim, False, True) if listed else order_of(input, dim, False)
    if input.ndim:
        axis = shapes.axis(dim, input.ndim)
        found = clone(slice_dim(found, axis, k - 1, k, 1), memory_format="contiguous")
    values = gather(input, dim, found)
    if keepdim or not input.ndim:
        return ValuesIndices(values, found)
    return ValuesIndices(squeeze(values, dim), squeeze(found, dim))


# ---- medians and quantiles


def _middle(outs, x, dim, ignore_nan):
    x = comparable(x)
    if not x.ndim:
        outs[0][...] = 0
        return
    order = np.argsort(x, axis=dim, kind="stable")
    numbers = (
        (~np.isnan(x)).sum(dim, keepdims=True)
        if x.dtype.kind == "f"
        else np.full_like(order[:1], 0)
    )
    n = x.shape[dim]
    if x.dtype.kind != "f":
        place = (n - 1) // 2
        outs[0][...] = np.take(order, [place], axis=dim)
        return
    # With a NaN the median is the first of them; leaving NaN out, the middle of the rest.
    place = (
        np.maximum(numbers - 1, 0) // 2
        if ignore_nan
        else np.where(numbers < n, numbers, (n - 1) // 2)
    )
    outs[0][...] = np.take_along_axis(order, place, dim)


def _middle_results(x, dim, ignore_nan):
    axis = shapes.axis(dim, x.ndim)
    if x.ndim and not x.shape[axis]:
        raise Fact(DimensionError, f"expected reduction dim {axis} to have non-zero size")
    return (tuple(1 if i == axis else n for i, n in enumerate(x.shape)), dtypes.int64)


def _middle_by_rank(x: Layout, dim, ignore_nan):
    if x.dtype.category == dtypes.FLOAT:
        return by_rank(x, dim, 0, 1, mode=rank.NANMEDIAN if ignore_nan else rank.MEDIAN)
    return by_rank(x, dim, ((x.shape[dim] if x.ndim else 1) - 1) // 2, 1)


@host(
    where="",
    results=_middle_results,
    fill=_middle,
    native=_middle_by_rank,
    vjp=_NO,
    batch=batching.line,
    samples=[],
)
def middle_of(input: Tensor, dim, ignore_nan) -> Tensor:
    """The index of the lower median along an axis, which keeps size one."""


def _median(input: Tensor, dim, keepdim, ignore_nan):
    if dim is None:
        if not input.layout.numel:
            return input.new_full((), math.nan)
        flat = reshape(input, (-1,))
        return reshape(gather(flat, 0, middle_of(flat, 0, ignore_nan)), ())
    found = middle_of(input, dim, ignore_nan)
    values = gather(input, dim, found)
    if keepdim or not input.ndim:
        return ValuesIndices(values, found)
    return ValuesIndices(squeeze(values, dim), squeeze(found, dim))


_MEDIANS = [
    S(T(3, 5, distinct=True)),
    S(T(3, 4, distinct=True), 1),
    S(T(3, 4, distinct=True), 0, True),
    S(T()),
    S(T(6, distinct=True), 0),
]


@composite(samples=_MEDIANS)
def median(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """The lower median of all; with dim (values, indices) along it; NaN if any is.

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Source: torch.median
    """
    return _median(input, dim, keepdim, False)


@composite(samples=_MEDIANS)
def nanmedian(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """The lower median of what is not NaN.

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Source: torch.nanmedian
    """
    return _median(input, dim, keepdim, True)


def _commonest(outs, x, dim):
    x = comparable(np.moveaxis(x, dim, -1)) if x.ndim else x.reshape(1)
    flat = x.reshape(-1, x.shape[-1])
    found = np.empty(len(flat), np.int64)
    for i, row in enumerate(flat):
        values, counts = np.unique(row, return_counts=True)
        found[i] = np.flatnonzero(row == values[np.argmax(counts)])[-1]
    outs[0][...] = np.expand_dims(found.reshape(x.shape[:-1]), dim) if outs[0].ndim else found[0]


@host(where="", results=lambda x, dim: _middle_results(x, dim, False), fill=_commonest, vjp=_NO,
      batch=batching.line, samples=[])  # fmt: skip
def commonest_of(input: Tensor, dim) -> Tensor:
    """The index of the commonest element along an axis."""


@composite(
    samples=[
        S(index(3, 5, below=3), grad=False),
        S(index(3, 5, below=3), 0, True, grad=False),
        S(T(3, 4, distinct=True), 1),
    ]
)
def mode(input: Tensor, dim=-1, keepdim=False) -> ValuesIndices:
    """(value, index) of the commonest element along an axis; the smallest of several.

    Shapes: input (..., n, ...) -> two of (..., ...), or (..., 1, ...) with keepdim
    Source: torch.mode
    """
    found = commonest_of(input, dim)
    values = gather(input, dim, found)
    if keepdim or not input.ndim:
        return ValuesIndices(values, found)
    return ValuesIndices(squeeze(values, dim), squeeze(found, dim))


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(input: Tensor, q, dim, keepdim, interpolation, ignore_nan):
    if interpolation not in _INTERPOLATIONS:
        raise Fact(
            DTypeError,
            f"interpolation is {interpolation!r}; it must be one of {', '.join(_INTERPOLATIONS)}",
        )
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise Fact(
            DTypeError,
            f"input tensor must be either float or double dtype, got {input.dtype.name}",
            "Use x.float().",
        )
    if not input.layout.numel:
        raise Fact(DTypeError, "input tensor must be non-empty")
    q = q if isinstance(q, Tensor) else input.new_full((), q)
    if q.ndim > 1:
        raise Fact(DTypeError, f"q must be a scalar or 1D tensor, got {q.ndim} axes")
    keep = (1,) * input.ndim if dim is None else None
    x, axis = (reshape(input, (-1,)), 0) if dim is None else (input, shapes.axis(dim, input.ndim))
    x = x.movedim(axis, -1) if x.ndim else reshape(x, (1,))
    values = sort(x, -1)[0]
    n, missing = x.shape[-1], x.ne(x)
    if ignore_nan:
        last = (n - 1 - missing.sum(-1, True)).clamp(min=0).to(x.dtype)
    else:
        last = x.new_full((*x.shape[:-1], 1), n - 1)
    found = _between(values, last * reshape(q, (-1,)), interpolation)
    if not ignore_nan:
        found = found.masked_fill(missing.any(-1, True), math.nan)
    if q.ndim:
        found = found.movedim(-1, 0)
        if not keepdim:
            return found
        return unsqueeze(found, axis + 1) if keep is None else reshape(found, (*found.shape, *keep))
    found = squeeze(found, -1)
    if not keepdim:
        return found
    return unsqueeze(found, axis) if keep is None else reshape(found, keep)


def _between(values: Tensor, rank: Tensor, interpolation: str) -> Tensor:
    if interpolation == "nearest":
        return gather(values, -1, rank.round().long())
    low, high = rank.floor(), rank.ceil()
    if interpolation == "lower":
        return gather(values, -1, low.long())
    above = gather(values, -1, high.long())
    if interpolation == "higher":
        return above
    below = gather(values, -1, low.long())
    weight = (rank - low) if interpolation == "linear" else (rank - low) * 0 + 0.5
    return below.lerp(above, weight)


_QUANTILES = [S(T(7, distinct=True), 0.3), S(T(3, 5, distinct=True), 0.5, 1), S(T(3, 5, distinct=True), 0.6, 0, True),
              *(S(T(3, 5, distinct=True), 0.4, 1, interpolation=i) for i in _INTERPOLATIONS[1:])]  # fmt: skip


@composite(cast=Cast(cpu="fp32"), samples=_QUANTILES)
def quantile(
    input: Tensor, q: Tensor | Number, dim=None, keepdim=False, *, interpolation="linear"
) -> Tensor:
    """The q-th quantile over an axis or over all; NaN if any is.

    Shapes: input (..., n, ...), q () or (m,) -> (m, ..., ...)
    Dtypes: float32 and float64
    Source: torch.quantile
    """
    return _quantile(input, q, dim, keepdim, interpolation, False)


@composite(cast=Cast(cpu="fp32"), samples=_QUANTILES)
def nanquantile(
    input: Tensor, q: Tensor | Number, dim=None, keepdim=False, *, interpolation="linear"
) -> Tensor:
    """The q-th quantile of what is not NaN.

    Shapes: input (..., n, ...), q () or (m,) -> (m, ..., ...)
    Dtypes: float32 and float64
    Source: torch.nanquantile
    """
    return _quantile(input, q, dim, keepdim, interpolation, True)
