"""Numerical calculus: differences with spacing, running integrals; histograms with their edges."""

from __future__ import annotations

from numbers import Number
from typing import NamedTuple

import numpy as np

from mezzo import dtypes
from mezzo.core.families.host import host
from mezzo.core.record import composite, none
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact, ShapeError
from mezzo.ops.join import cat
from mezzo.rules import shapes
from mezzo.rules.samples import S, T


class Histogram(NamedTuple):
    """What histogram returns."""

    hist: Tensor
    bin_edges: Tensor


@composite(where="mezzo", samples=[
    S(T(5)), S(T(2, 4), dx=0.5, dim=0), S(T(2, 4), T(4)), S(T(3, 4), T(3, 4), dim=1)])  # fmt: skip
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx=1, dim=-1) -> Tensor:
    """The running integral along an axis by the trapezoidal rule.

    Math:   sum_{j<=i} (y[j] + y[j + 1]) / 2 * (x[j + 1] - x[j])
    Shapes: y (..., n, ...) -> (..., n - 1, ...)
    Source: torch.cumulative_trapezoid
    """
    if dtypes.bool_ in (y.dtype, None if x is None else x.dtype):
        raise Fact(DTypeError, "received a bool input for x or y, but bool is not supported", "Use y.int().")  # fmt: skip
    axis = shapes.axis(dim, y.ndim)
    n = y.shape[axis]
    pairs = y.narrow(axis, 1, n - 1) + y.narrow(axis, 0, n - 1)
    if x is None:
        return (pairs * (dx / 2)).cumsum(axis)
    if x.ndim == 1 and y.ndim > 1:
        steps = x.diff().reshape((-1,) + (1,) * (y.ndim - axis - 1))
    else:
        steps = x.diff(dim=axis)
    return (pairs * steps / 2).cumsum(axis)


def _slope(x: Tensor, axis: int, at, order: int) -> Tensor:
    """The derivative along an axis; at: the spacing, or the coordinates as a tensor."""
    n = x.shape[axis]
    if n < order + 1:
        raise Fact(ShapeError, f"expected each dimension size to be at least edge_order+1 = {order + 1}, got {n}")  # fmt: skip

    def part(i, count):
        return x.narrow(axis, i, count)

    if isinstance(at, Tensor):
        shape = (-1,) + (1,) * (x.ndim - axis - 1)
        steps = at.diff()
        left, right = steps[:-1].reshape(shape), steps[1:].reshape(shape)
        inner = (part(2, n - 2) * left**2 - part(0, n - 2) * right**2 + part(1, n - 2) * (right**2 - left**2)) / (
            left * right * (left + right)
        )  # fmt: skip
        h = [steps[0], steps[1] if n > 2 else None, steps[-2] if n > 2 else None, steps[-1]]
    else:
        inner = (part(2, n - 2) - part(0, n - 2)) / (2 * at)
        h = [at] * 4
    if order == 1:
        first = (part(1, 1) - part(0, 1)) / h[0]
        last = (part(n - 1, 1) - part(n - 2, 1)) / h[3]
    else:
        first = _edge([part(i, 1) for i in range(3)], h[0], h[1])
        last = -_edge([part(n - 1 - i, 1) for i in range(3)], h[3], h[2])
    return cat((first, inner, last), axis)


def _edge(values, a, b):
    """The one-sided derivative of second order from three points at distances a and b."""
    return (
        -(2 * a + b) / (a * (a + b)) * values[0]
        + (a + b) / (a * b) * values[1]
        - a / (b * (a + b)) * values[2]
    )


@composite(where="mezzo", samples=[
    S(T(6)), S(T(3, 4)), S(T(3, 4), spacing=2.0, dim=1), S(T(4, 5), spacing=(0.5, 2.0), edge_order=2), S(T(6), spacing=(T(6, distinct=True),)),
    S(T(3, 4), dim=(0, 1))], errors=[(S(T(1)), RuntimeError, "edge_order")])  # fmt: skip
def gradient(input: Tensor, *, spacing=1, dim=None, edge_order=1) -> tuple[Tensor, ...]:
    """Derivatives along axes by central differences, one-sided at the edges.

    spacing: a number for all axes, a number for each, or the coordinates of each as a tensor.
    Shapes: (...) -> for each axis (...)
    Source: torch.gradient
    """
    if edge_order not in (1, 2):
        raise Fact(ShapeError, f"edge_order is {edge_order}; it must be 1 or 2")
    if input.dtype in (dtypes.uint8, dtypes.bool_):
        raise Fact(DTypeError, f"does not support {input.dtype.name} input", "Convert with x.float().")  # fmt: skip
    x = input if input.dtype.category >= dtypes.FLOAT else input.to(dtypes.Defaults.float_dtype)
    axes = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    axes = [shapes.axis(a, x.ndim) for a in axes]
    if isinstance(spacing, Tensor) or not isinstance(spacing, (tuple, list)):
        spacing = [1 if spacing is None else spacing] * len(axes)
    if len(spacing) != len(axes):
        raise Fact(ShapeError, f"expected spacing to be unspecified, a scalar or a list of length equal to the dimensions "
                               f"({len(axes)}), got {len(spacing)}")  # fmt: skip
    return tuple(_slope(x, axis, at, edge_order) for axis, at in zip(axes, spacing))


def _histogram_results(input, bins, range, weight, density):
    if input.dtype.name not in ("float32", "float64"):
        raise Fact(DTypeError, f"histogram is not implemented for {input.dtype.name}", "Convert with x.float().")  # fmt: skip
    edges = bins + 1 if isinstance(bins, int) else bins.shape[0]
    return ((edges - 1,), input.dtype), ((edges,), input.dtype)


def _histogram_fill(outs, x, bins, range, weight, density):
    x = x.reshape(-1)
    if isinstance(bins, int):
        low, high = range if range is not None else (x.min(), x.max()) if x.size else (0, 1)
        if low == high:
            low, high = low - 0.5, high + 0.5
        bins = np.linspace(low, high, bins + 1, dtype=np.float64)
    outs[1][...] = bins
    weight = None if weight is None else weight.reshape(-1)
    outs[0][...] = np.histogram(x, bins, weights=weight, density=density)[0]


@host(where="", results=_histogram_results, fill=_histogram_fill, batch=none("bins cover the whole tensor"), samples=[],
      vjp=none("a count has no derivative"))  # fmt: skip
def histogram_of(input: Tensor, bins: Tensor | Number, range, weight: Tensor | None, density) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Counts and edges."""


@composite(where="mezzo Tensor", batch=none("bins cover the whole tensor"), samples=[
    S(T(20), 5, grad=False, only=("float32", "float64")), S(T(20), 4, range=(-1.0, 1.0), density=True, grad=False, only=("float32", "float64")),
    S(T(4, 5), 3, weight=T(4, 5), grad=False, only=("float32", "float64"))])  # fmt: skip
def histogram(input: Tensor, bins: Tensor | Number = 100, *, range=None, weight: Tensor | None = None, density=False) -> Histogram:  # fmt: skip
    """(counts, edges): elements in each of `bins` equal intervals of the range, or between the edges that bins gives.

    Shapes: (...) -> (bins,), (bins + 1,)
    Source: torch.histogram
    """
    if isinstance(bins, Tensor) and (bins.ndim != 1 or range is not None):
        raise Fact(ShapeError, f"bins of shape {list(bins.shape)} must be a vector of edges, without range")  # fmt: skip
    return Histogram(*histogram_of(input, bins, range, weight, bool(density)))
