"""Distinct values, counts, bins, membership and comparison of whole tensors. NumPy runs them."""

from __future__ import annotations

from numbers import Number

import numpy as np

from mezzo import dtypes
from mezzo.core.families.dynamic import dynamic
from mezzo.core.families.host import host
from mezzo.core.families.masked import holds, is_plain, run_lengths, tallied
from mezzo.core.families.searches import histogram_launch, search_launch
from mezzo.core.record import composite, none
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError
from mezzo.ops.create import empty_like, ones, zeros
from mezzo.ops.data import tensor
from mezzo.ops.index import mask_pick
from mezzo.ops.indirect import scatter_add
from mezzo.ops.join import cat, stack
from mezzo.ops.shape import reshape, unsqueeze
from mezzo.ops.sort import comparable, sort
from mezzo.rules import batching, shapes
from mezzo.rules.samples import S, T, index

_NO = none("its results are positions or counts, which have no derivative")


def _back(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    return values.astype(like.dtype, copy=False)


@dynamic(where="")
def distinct(input: Tensor, dim) -> tuple[Tensor, ...]:
    """(sorted distinct values or slices, where each element went, how often each occurs)."""
    keys = comparable(input)
    found = np.unique(keys, return_inverse=True, return_counts=True, axis=dim, equal_nan=False)
    inverse = found[1].reshape(input.shape if dim is None else input.shape[dim])
    return _back(found[0], input), inverse.astype(np.int64), found[2].astype(np.int64)


@dynamic(where="")
def distinct_runs(input: Tensor, dim) -> tuple[Tensor, ...]:
    """(values or slices without repeats of their predecessor, where each element went, run lengths)."""
    lines = input.reshape(-1) if dim is None else np.moveaxis(input, dim, 0)
    n = len(lines)
    changes = np.ones(n, np.bool_)
    if n:
        differs = lines[1:] != lines[:-1]
        changes[1:] = differs.reshape(n - 1, -1).any(1) if n > 1 else differs.reshape(0)
    starts = np.flatnonzero(changes)
    inverse = np.cumsum(changes) - 1
    values = lines[starts]
    values = values if dim is None else np.moveaxis(values, 0, dim)
    inverse = inverse.reshape(input.shape) if dim is None else inverse
    return values.copy(), inverse.astype(np.int64), np.diff(np.append(starts, n)).astype(np.int64)


@host(where="", results=lambda x: (tuple(x.shape), x.dtype), vjp=_NO, batch=lambda record, size, args, batched: record.apply(args), samples=[S(T(9), grad=False)], reference=lambda x: x.sort()[0],
      fill=lambda outs, x: np.copyto(outs[0], np.sort(comparable(x)), casting="same_kind"))  # fmt: skip
def in_order(input: Tensor) -> Tensor:
    """The values of every line in ascending order, what is no number last."""


def _begins(lines: Tensor) -> Tensor:
    """Where a vector's element differs from its predecessor; the first always does."""
    n = lines.shape[0]
    first = ones((1,), dtype=dtypes.bool_)
    return cat([first, lines.narrow(0, 1, n - 1).ne(lines.narrow(0, 0, n - 1))])


def _is_vector(input: Tensor, dim) -> bool:
    """Whether all elements count, of memory that may be looked at now."""
    return dim is None and input.layout.numel > 0 and is_plain(input)


def _runs(input: Tensor, return_inverse: bool, return_counts: bool):
    """unique_consecutive of all elements: no more of it than is asked for."""
    lines = reshape(input.detach(), (-1,))
    begins = _begins(lines)
    inverse = reshape(begins.cumsum(0) - 1, tuple(input.shape)) if return_inverse else None
    counts = run_lengths(begins) if return_counts else None
    return _chosen((mask_pick(lines, begins, ()), inverse, counts), return_inverse, return_counts)


def _sorted_values(input: Tensor, return_inverse: bool, return_counts: bool):
    """unique of all elements; None if the way back to them is left to NumPy."""
    lines = reshape(input.detach(), (-1,))
    few, places = lines.shape[0] <= _RANKED, None
    if few:
        ordered, places = sort(lines, stable=True)
    else:
        ordered = in_order(lines)
    begins = _begins(ordered)
    values, inverse = mask_pick(ordered, begins, ()), None
    if return_inverse and few:
        inverse = reshape(empty_like(places).scatter(0, places, begins.cumsum(0) - 1), tuple(input.shape))  # fmt: skip
    elif return_inverse:
        # What is no number equals no value.
        if (
            values.shape[0] > _SEARCHED
            or values.dtype is dtypes.bool_
            or bool(values[-1].ne(values[-1]))
        ):
            return None
        inverse = reshape(places_in(values, lines, False), tuple(input.shape))
    counts = run_lengths(begins) if return_counts else None
    return _chosen((values, inverse, counts), return_inverse, return_counts)


_RANKED = 512  # elements up to which a kernel orders them
_SEARCHED = 1 << 16  # values among which every element is searched for


def _chosen(found, return_inverse: bool, return_counts: bool):
    parts = [found[0]]
    if return_inverse:
        parts.append(found[1])
    if return_counts:
        parts.append(found[2])
    return parts[0] if len(parts) == 1 else tuple(parts)


@composite(batch=none("the shape of its result depends on the values"), samples=[S(index(7, below=4)), S(index(3, 4, below=3), return_inverse=True, return_counts=True),
                    S(index(6, 2, below=2), dim=0, return_counts=True)])  # fmt: skip
def unique(
    input: Tensor, sorted=True, return_inverse=False, return_counts=False, dim=None
) -> Tensor:
    """The distinct elements (or slices along dim) in order; with where each went and how often it occurs.

    Shapes: input (...) -> (count,)
    Source: torch.unique
    """
    if _is_vector(input, dim):
        found = _sorted_values(input, return_inverse, return_counts)
        if found is not None:
            return found
    axis = None if dim is None else shapes.axis(dim, input.ndim)
    return _chosen(distinct(input, axis), return_inverse, return_counts)


@composite(batch=none("the shape of its result depends on the values"), samples=[S(index(9, below=3)), S(index(9, below=2), return_inverse=True, return_counts=True),
                    S(index(6, 2, below=2), dim=0)])  # fmt: skip
def unique_consecutive(
    input: Tensor, return_inverse=False, return_counts=False, dim=None
) -> Tensor:
    """The elements (or slices along dim) without those equal to their predecessor.

    Shapes: input (...) -> (count,)
    Source: torch.unique_consecutive
    """
    if _is_vector(input, dim):
        return _runs(input, return_inverse, return_counts)
    axis = None if dim is None else shapes.axis(dim, input.ndim)
    return _chosen(distinct_runs(input, axis), return_inverse, return_counts)


@dynamic(where="")
def counted(input: Tensor, weights: Tensor | None, minlength) -> Tensor:
    """How often each number occurs, or the sum of its weights."""
    if input.ndim != 1 or input.dtype.kind not in "iu" or (input.size and input.min() < 0):
        raise Fact(
            DTypeError,
            "bincount only supports 1-d non-negative integral inputs",
            "Use x.flatten().",
        )
    found = np.bincount(input, weights, minlength)
    if weights is None or not input.size:
        return found.astype(np.int64)
    return found.astype(weights.dtype if weights.dtype == np.float32 else np.float64)


_FEW = 4096  # elements that are counted or compared without NumPy, whose call takes as long


def _few_counted(input: Tensor, weights: Tensor | None, minlength) -> Tensor | None:
    """The counts of few numbers; None where NumPy is to count, or to refuse."""
    if input.ndim != 1 or input.dtype is not dtypes.int64 or not 0 < input.layout.numel <= _FEW:
        return None
    if not is_plain(input) or not holds(input.amin() >= 0) or minlength < 0:
        return None
    if weights is None:
        return tallied("count", input, (input.amax() + 1).clamp(min=minlength))
    size = max(int(input.amax()) + 1, minlength)
    if weights.dtype not in (dtypes.float32, dtypes.float64) or weights.shape != input.shape:
        return None
    source = weights.detach().to(dtypes.float64)
    found = scatter_add(zeros((size,), dtype=dtypes.float64), 0, input, source)
    return found.to(weights.dtype)


@composite(
    vjp=none("integers have no derivative"),
    batch=none("the shape of its result depends on the values"),
    samples=[S(index(9, below=5)), S(index(9, below=5), minlength=8), S(index(4, below=3), T(4))],
)
def bincount(input: Tensor, weights: Tensor | None = None, minlength=0) -> Tensor:
    """How often each non-negative integer occurs, or the sum of its weights.

    Shapes: input (n,) -> (max(input) + 1,)
    Dtypes: int64; with weights their dtype, at least float64 for integers
    Source: torch.bincount
    """
    found = _few_counted(input, weights, minlength)
    return counted(input, weights, minlength) if found is None else found


def _search(outs, sorted_sequence, values, right):
    edges, values = comparable(sorted_sequence), comparable(np.asarray(values))
    side = "right" if right else "left"
    if edges.ndim == 1:
        outs[0][...] = np.searchsorted(edges, values, side)
        return
    flat, rows = edges.reshape(-1, edges.shape[-1]), values.reshape(-1, values.shape[-1])
    found = [np.searchsorted(e, v, side) for e, v in zip(flat, rows)]
    if found:
        outs[0][...] = np.stack(found).reshape(values.shape)


def _search_results(edges, values, right, dtype=dtypes.int64):
    if edges.ndim > 1 and tuple(edges.shape[:-1]) != tuple(values.shape[:-1]):
        raise Fact(ShapeError, f"boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries {list(edges.shape)} "
                               f"and input value {list(values.shape)} must match")  # fmt: skip
    return (tuple(values.shape), dtypes.int64)


def _search_batched(record, size, args, batched):
    """One set of edges serves all; with edges of its own every example is a row of values."""
    edges, values, right = args
    if 0 not in batched:
        return (
            record.apply(args)
            if edges.ndim == 1
            else record.apply((batching.front(edges, False, size), values, right))
        )
    values = batching.front(values, 1 in batched, size)
    if edges.ndim > 2:
        return record.apply((edges, values, right))
    return record.apply((edges, values.reshape((size, -1)), right)).reshape(tuple(values.shape))


@host(
    where="",
    results=_search_results,
    fill=_search,
    native=search_launch,
    vjp=_NO,
    batch=_search_batched,
    samples=[],
)
def places_in(edges: Tensor, values: Tensor, right) -> Tensor:
    """Where values would be put into sorted lines."""


def _as_values(values, like: Tensor) -> Tensor:
    return (
        values
        if isinstance(values, Tensor)
        else tensor(values, dtype=like.dtype, device=like.device)
    )


@composite(
    where="mezzo",
    samples=[S(T(6, low=0, high=0), T(4)), S(T(2, 3, low=1, high=1), T(2, 4), right=True)],
)
def searchsorted(sorted_sequence: Tensor, input: Tensor, *, out_int32=False, right=False, side=None,
                 sorter: Tensor | None = None) -> Tensor:  # fmt: skip
    """Where values would be put into sorted lines so that they stay sorted.

    Shapes: sorted_sequence (..., n), input (..., m) -> (..., m)
    Dtypes: int64, or int32 with out_int32
    Source: torch.searchsorted
    """
    if side not in (None, "left", "right"):
        raise Fact(DTypeError, f"side can only be 'left' or 'right' but got {side!r}")
    edges = sorted_sequence if sorter is None else sorted_sequence.gather(-1, sorter)
    found = places_in(edges, _as_values(input, edges), right or side == "right")
    return found.to(dtypes.int32) if out_int32 else found


@composite(
    where="mezzo",
    samples=[S(T(4), T(6, low=0, high=0)), S(T(2, 3), T(6, low=0, high=0), right=True)],
)
def bucketize(
    input: Tensor | Number, boundaries: Tensor, *, out_int32=False, right=False
) -> Tensor:
    """The bin of each value between sorted boundaries.

    Shapes: input (...), boundaries (n,) -> (...)
    Dtypes: int64, or int32 with out_int32
    Source: torch.bucketize
    """
    if boundaries.ndim != 1:
        raise Fact(
            ShapeError, f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})"
        )
    found = places_in(boundaries, _as_values(input, boundaries), right)
    return found.to(dtypes.int32) if out_int32 else found


def _histogram(outs, x, edges, bins):
    x, (low, high) = comparable(x).reshape(-1), edges
    kept = x[(x >= low) & (x <= high)]
    at = np.minimum(((kept - low) * edges.dtype.type(bins) / (high - low)).astype(np.int64), bins - 1)  # fmt: skip
    outs[0][...] = np.bincount(at, minlength=bins)


@host(where="", results=lambda x, edges, bins: ((bins,), x.dtype), fill=_histogram, native=histogram_launch, vjp=_NO,
      batch=none("bins cover the whole tensor"), samples=[])  # fmt: skip
def bin_counts(input: Tensor, edges: Tensor, bins) -> Tensor:
    """How many elements fall into each of equal bins between edges[0] and edges[1]."""


@composite(batch=none("bins cover the whole tensor"),
           samples=[S(T(20), 5, -2, 2, grad=False), S(T(3, 5), 4, grad=False), S(T(0), 3, grad=False)])  # fmt: skip
def histc(input: Tensor, bins=100, min=0, max=0) -> Tensor:
    """How many elements fall into each of equal bins between min and max (of the data if these are equal).

    Shapes: input (...) -> (bins,)
    Source: torch.histc
    """
    if bins <= 0:
        raise Fact(ArgumentValueError, f"bins is {bins}; it must be > 0")
    if min > max:
        raise Fact(ArgumentValueError, f"max ({max}) must be larger than min ({min})")
    if not input.dtype.is_floating_point:
        raise Fact(
            DTypeError,
            f"histc needs a floating dtype, got {input.dtype.name}",
            "Use bincount, or x.float().",
        )
    compute = dtypes.float64 if input.dtype is dtypes.float64 else dtypes.float32
    x = input.detach()
    if min == max and x.layout.numel:
        low, high = x.amin().to(compute), x.amax().to(compute)
        flat = low.eq(high).to(compute)
        edges = stack([low - flat, high + flat])
    else:
        wide = float(min == max)
        edges = tensor([min - wide, max + wide], dtype=compute, device=input.device)
    return bin_counts(x, edges, bins)


def _member(outs, elements, test_elements, invert):
    outs[0][...] = np.isin(comparable(elements), comparable(test_elements), invert=invert)


def _member_batched(record, size, args, batched):
    if 1 not in batched:
        return record.apply(args)
    # A set for each example: what is found where it would stand in the sorted set is in it.
    elements, tests, invert = batching.front(args[0], 0 in batched, size), args[1], args[2]
    shape, tests = tuple(elements.shape), tests.reshape((size, -1)).sort(-1)[0]
    if not tests.layout.numel:
        return elements.ne(elements) ^ bool(invert)
    elements = elements.reshape((size, -1))
    places = searchsorted(tests, elements).clamp(max=tests.shape[1] - 1)
    found = tests.gather(1, places) == elements
    return (found.logical_not() if invert else found).reshape(shape)


@host(where="", results=lambda e, t, invert: (tuple(e.shape), dtypes.bool_), fill=_member, vjp=_NO,
      batch=_member_batched, samples=[])  # fmt: skip
def member_of(elements: Tensor, test_elements: Tensor, invert) -> Tensor:
    """Whether each element is among others."""


@composite(
    where="mezzo",
    samples=[
        S(index(3, 4, below=9), index(5, below=9)),
        S(index(6, below=9), index(2, below=9), invert=True),
    ],
)
def isin(
    elements: Tensor | Number, test_elements: Tensor | Number, *, assume_unique=False, invert=False
) -> Tensor:
    """Whether each element is among test_elements.

    Shapes: elements (...) -> (...)
    Dtypes: bool
    Source: torch.isin
    """
    if not isinstance(elements, Tensor):
        elements = _as_values(elements, test_elements)
    tests = _as_values(test_elements, elements)
    if elements.layout.numel * tests.layout.numel <= _FEW and is_plain(elements, tests):
        found = unsqueeze(elements, -1).eq(reshape(tests, (-1,))).any(-1)
        return found.logical_not() if invert else found
    return member_of(elements, tests, bool(invert))


# ---- whole tensors

_FIRST, _PIECE = 1 << 14, 1 << 18  # elements that equal compares before it looks at the outcome


@composite(samples=[S(T(2, 3), T(2, 3)), S(T(0), T(0))])
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements.

    Source: torch.equal
    """
    if tuple(input.shape) != tuple(other.shape):
        return False
    size, is_flat = input.layout.numel, input.layout.is_contiguous and other.layout.is_contiguous
    if size <= _PIECE or STATE.stack or not is_flat:
        # Not bool(...), which takes nothing that stands for one.
        return input.eq(other).all().__bool__()
    flat, against = reshape(input, (-1,)), reshape(other, (-1,))
    at, step = 0, _FIRST
    while at + step < size:
        if not flat[at : at + step].eq(against[at : at + step]).all():
            return False
        at, step = at + step, min(8 * step, _PIECE)
    return bool(flat[at:].eq(against[at:]).all())


@composite(samples=[S(T(2, 3), T(3)), S(T(2, 3), T(2, 3), atol=9.0), S(T(0), T(0))])
def allclose(input: Tensor, other: Tensor, rtol=1e-05, atol=1e-08, equal_nan=False) -> bool:
    """Whether all elements are close: |input - other| <= atol + rtol * |other|.

    Source: torch.allclose
    """
    return input.isclose(other, rtol, atol, equal_nan).all().__bool__()


@composite(
    where="mezzo",
    aliases="trapz",
    samples=[S(T(5), T(5)), S(T(3, 4), T(3, 4), dim=1), S(T(3, 4), dx=0.5), S(T(3, 4), T(4))],
)
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx=1, dim=-1) -> Tensor:
    """The integral along an axis by the trapezoidal rule.

    Math:   sum_i (y[i] + y[i + 1]) / 2 * (x[i + 1] - x[i])
    Shapes: y (..., n, ...) -> (..., ...)
    Source: torch.trapezoid
    """
    if dtypes.bool_ in (y.dtype, None if x is None else x.dtype):
        raise Fact(
            DTypeError,
            "received a bool input for x or y, but bool is not supported",
            "Use y.int().",
        )
    axis = shapes.axis(dim, y.ndim)
    n = y.shape[axis]
    pairs = y.narrow(axis, 1, n - 1) + y.narrow(axis, 0, n - 1) if n else y
    if x is None:
        return pairs.sum(axis) * (dx / 2)
    if x.ndim == 1 and y.ndim > 1:
        steps = x.diff().reshape((-1,) + (1,) * (y.ndim - axis - 1))
    else:
        steps = x.diff(dim=axis)
    return (pairs * steps).sum(axis) / 2
