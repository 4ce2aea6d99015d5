"""Running sums, products and extremes along an axis."""

from __future__ import annotations

from mezzo import dtypes
from mezzo.core.families.scans import scan
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact
from mezzo.ops.extremes import ValuesIndices
from mezzo.ops.indirect import scatter_add
from mezzo.ops.join import cat
from mezzo.ops.reduce import sum_dtype
from mezzo.ops.shape import reshape, slice_dim, zeros_of
from mezzo.rules import batching, folds, shapes
from mezzo.rules.samples import S, T

_LINES = [
    S(T(3, 4), 1),
    S(T(3, 4), 0),
    S(T(2, 3, 4), -2),
    S(T(7), 0),
    S(T(0, 3), 0),
    S(T(), 0),
    S(T(5, 40), 0),
    S(T(2, 40, 3), 1),
]


def _own_dtype(have, _wanted):
    return have, (have,)


def _found(have, _wanted):
    return have, (have, dtypes.int64)


def _float_dtype(have, _wanted):
    if not have.is_floating_point:
        raise Fact(
            DTypeError,
            f"does not take {have.name}; it needs a floating dtype",
            "Convert with x.float().",
        )
    return have, (have,)


def _shifted(x: Tensor, dim: int, back: bool, fill: int) -> Tensor:
    """x one step later along dim (or earlier, with back); `fill` comes in."""
    if not x.ndim:
        return x * 0 + fill
    axis = shapes.axis(dim, x.ndim)
    n = x.shape[axis]
    if not n:
        return x
    edge = slice_dim(x, axis, 0, 1, 1)
    edge = edge.new_full(tuple(edge.shape), fill)
    if back:
        return cat((slice_dim(x, axis, 1, n, 1), edge), axis)
    return cat((edge, slice_dim(x, axis, 0, n - 1, 1)), axis)


@scan(grad_name="CumsumBackward0", where="", fold=folds.running_sum, dtype=sum_dtype, batch=batching.line, samples=[],
      vjp={"input": lambda g, _y, _x, dim, dtype, reverse: scan_sum(g, dim, None, not reverse)})  # fmt: skip
def scan_sum(input: Tensor, dim, dtype, reverse) -> Tensor:
    """The sum of all up to each element, from either end."""


def _recurrence_vjp(g, y, a, _b, dim, reverse):
    carried = scan_recurrence(_shifted(a, dim, not reverse, 0), g, dim, not reverse)
    return carried * _shifted(y, dim, reverse, 0)


@scan(where="", fold=folds.recurrence, dtype=_own_dtype, batch=batching.line, samples=[],
      vjp={"a": _recurrence_vjp,
           "b": lambda g, _y, a, _b, dim, reverse:
           scan_recurrence(_shifted(a, dim, not reverse, 0), g, dim, not reverse)})  # fmt: skip
def scan_recurrence(a: Tensor, b: Tensor, dim, reverse) -> Tensor:
    """y[i] = a[i] * y[i - 1] + b[i] along an axis, from either end."""


def _product_vjp(g, y, x, dim, dtype):
    """Exact where elements are zero: the product before an element times a recurrence over those behind it."""
    x = x if dtype is None else x.to(dtype)
    before = _shifted(y, dim, False, 1)
    return before * scan_recurrence(_shifted(x, dim, True, 0), g, dim, True)


@scan(
    grad_name="CumprodBackward0",
    where="",
    fold=folds.running_product,
    dtype=sum_dtype,
    batch=batching.line,
    samples=[],
    vjp={"input": _product_vjp},
)
def scan_product(input: Tensor, dim, dtype) -> Tensor:
    """The product of all up to each element."""


@composite(inplace=True, cast=Cast(cuda="set_dtype"), samples=_LINES)
def cumsum(input: Tensor, dim, *, dtype=None) -> Tensor:
    """The sum of all elements up to each one along an axis.

    Math:   y[i] = input[0] + ... + input[i]
    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become int64
    Source: torch.cumsum
    """
    return scan_sum(input, dim, dtype, False)


@composite(inplace=True, cast=Cast(cuda="set_dtype"), samples=_LINES)
def cumprod(input: Tensor, dim, *, dtype=None) -> Tensor:
    """The product of all elements up to each one along an axis.

    Math:   y[i] = input[0] * ... * input[i]
    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become int64
    Source: torch.cumprod
    """
    return scan_product(input, dim, dtype)


def _picked_vjp(g, y, _x, dim):
    if not _x.ndim:
        return reshape(g[0], ())
    return scatter_add(zeros_of(g[0], _x.shape), dim, y[1], g[0])


@scan(grad_name="CummaxBackward0", where="", fold=folds.running_largest, dtype=_found, batch=batching.line, no_gradient_outputs=(1,), saved_outputs=(1,), samples=[],
      vjp={"input": _picked_vjp})  # fmt: skip
def scan_max(input: Tensor, dim) -> tuple[Tensor, Tensor]:
    """The largest so far and where it last stood."""


@scan(grad_name="CumminBackward0", where="", fold=folds.running_smallest, dtype=_found, batch=batching.line, no_gradient_outputs=(1,), saved_outputs=(1,), samples=[],
      vjp={"input": _picked_vjp})  # fmt: skip
def scan_min(input: Tensor, dim) -> tuple[Tensor, Tensor]:
    """The smallest so far and where it last stood."""


_RANKED = [
    S(T(3, 4, distinct=True), 1),
    S(T(3, 4, distinct=True), 0),
    S(T(7, distinct=True), 0),
    S(T(), 0),
    S(T(5, 40, distinct=True), 0),
]


@composite(samples=_RANKED)
def cummax(input: Tensor, dim) -> ValuesIndices:
    """(values, indices) of the largest element up to each one along an axis.

    Shapes: input (...) -> two of (...)
    Source: torch.cummax
    """
    return ValuesIndices(*scan_max(input, dim))


@composite(samples=_RANKED)
def cummin(input: Tensor, dim) -> ValuesIndices:
    """(values, indices) of the smallest element up to each one along an axis.

    Shapes: input (...) -> two of (...)
    Source: torch.cummin
    """
    return ValuesIndices(*scan_min(input, dim))


def _log_sum_vjp(g, y, x, dim, reverse):
    """In logarithms, gradients above and below zero apart: exp(x) alone would overflow."""
    above = scan_log_sum(_log_above_zero(g) - y, dim, not reverse) + x
    below = scan_log_sum(_log_above_zero(-g) - y, dim, not reverse) + x
    return above.exp() - below.exp()


def _log_above_zero(g: Tensor) -> Tensor:
    """log(g) where g > 0, else the lowest finite number, which vanishes in a sum of exponentials."""
    nothing = g <= 0
    return g.masked_fill(nothing, 1).log().masked_fill(nothing, dtypes.finfo(g.dtype).min)


@scan(
    grad_name="LogcumsumexpBackward0",
    where="",
    fold=folds.running_log_sum,
    dtype=_float_dtype,
    batch=batching.line,
    samples=[],
    vjp={"input": _log_sum_vjp},
)
def scan_log_sum(input: Tensor, dim, reverse) -> Tensor:
    """log(sum exp) of all up to each element, from either end."""


@composite(samples=_LINES)
def logcumsumexp(input: Tensor, dim) -> Tensor:
    """The logarithm of the running sum of exponentials along an axis.

    Math:   y[i] = log(exp(input[0]) + ... + exp(input[i]))
    Shapes: input (...) -> (...)
    Dtypes: float kept
    Source: torch.logcumsumexp
    """
    return scan_log_sum(input, dim, False)


@composite(
    samples=[
        S(T(5)),
        S(T(3, 5), 2),
        S(T(3, 5), 1, 0),
        S(T(3, 5), prepend=T(3, 1), append=T(3, 2)),
        S(T(3, 1), 2),
    ]
)
def diff(
    input: Tensor, n=1, dim=-1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The differences of neighbours along an axis, n times.

    Math:   y[i] = input[i + 1] - input[i]
    Shapes: input (..., m, ...) -> (..., m - n, ...)
    Source: torch.diff
    """
    if not input.ndim:
        raise Fact(DTypeError, "expects input to be at least one-dimensional")
    axis = shapes.axis(dim, input.ndim)
    parts = tuple(t for t in (prepend, input, append) if t is not None)
    x = cat(parts, axis) if len(parts) > 1 else input
    for _ in range(n):
        size = x.shape[axis]
        if not size:
            break
        later, earlier = slice_dim(x, axis, 1, size, 1), slice_dim(x, axis, 0, size - 1, 1)
        x = later.logical_xor(earlier) if x.dtype is dtypes.bool_ else later - earlier
    return x if n else x.clone()
