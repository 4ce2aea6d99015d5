"""Sums, products, truth and counts over axes."""

from __future__ import annotations

from mezzo import dtypes
from mezzo.core.families.reductions import reduction
from mezzo.core.record import Cast, composite, none
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact
from mezzo.ops.join import cat
from mezzo.ops.shape import expand, reshape
from mezzo.rules import folds, shapes
from mezzo.rules.samples import S, T, truth

AXES = [S(T(3, 4)), S(T(3, 4), 1), S(T(2, 3, 4), -2), S(T(2, 3, 4), 0, True), S(T(0, 3), 0), S(T()), S(T(70, 5), 0),
        S(T(5, 200), 1), S(T(40, 3), 1)]  # fmt: skip
MANY_AXES = [*AXES, S(T(2, 3, 4), (0, 2), True), S(T(2, 3, 4), (0, 1))]


def sum_dtype(have, wanted):
    to = wanted or (have if have.category >= dtypes.FLOAT else dtypes.int64)
    return to, (to,)


def _mean_dtype(have, wanted):
    to = wanted or have
    if to.category < dtypes.FLOAT:
        raise Fact(DTypeError, f"could not infer output dtype: the input is {to.name}, and a mean needs floating point",
                   "Pass dtype=mezzo.float32, or convert with x.float().")  # fmt: skip
    return to, (to,)


def _truth_dtype(have, _wanted):
    return dtypes.bool_, (dtypes.uint8 if have is dtypes.uint8 else dtypes.bool_,)


def _count_dtype(have, _wanted):
    return have, (dtypes.int64,)


def spread(g: Tensor, shape, dim, keepdim) -> Tensor:
    """A reduced tensor stretched back over the reduced axes."""
    if not keepdim and g.layout.ndim:  # (a scalar broadcasts as it is)
        dims = shapes.axes(dim, len(shape))
        g = reshape(g, shapes.reduced(tuple(shape), dims, True))
    return expand(g, tuple(shape))


def count_of(shape, dim) -> int:
    """How many elements a reduction over dim takes in."""
    return shapes.numel(shape[d] for d in shapes.axes(dim, len(shape)))


def _named(kind: str):
    """PyTorch has one derivative for all axes and another for some."""
    return lambda args: f"{kind}Backward{0 if args[1] is None else 1}"


@reduction(grad_name=_named("Sum"), fold=folds.total, dtype=sum_dtype, cast=Cast(cuda="set_dtype"),
           vjp={"input": lambda g, _y, _x, dim, keepdim, dtype: spread(g, _x.shape, dim, keepdim)},
           samples=MANY_AXES)  # fmt: skip
def sum(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The sum over the given axes, or over all.

    Math:   y = sum_i input[i]
    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept (low precision is summed in float32); int and bool become int64
    Source: torch.sum
    """


@reduction(grad_name=_named("Mean"), fold=folds.average, dtype=_mean_dtype, samples=[*MANY_AXES, S(T(3, 4), 1, dtype=dtypes.float64)],
           vjp={"input": lambda g, _y, _x, dim, keepdim, dtype:
                spread(g * (1 / max(count_of(_x.shape, dim), 1)), _x.shape, dim, keepdim)},
           errors=[(S(T(3, kind="int")), DTypeError, "could not infer output dtype")])  # fmt: skip
def mean(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The average over the given axes, or over all.

    Math:   y = sum_i input[i] / n
    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept (low precision is summed in float32); integers need dtype=
    Source: torch.mean
    """


def _prod_vjp(g, _y, x, dim, keepdim, dtype):
    """The product of all others: a running product from the left times one from the right."""
    if dim is None:
        flat = reshape(x, (-1,))
        return reshape(g * _others(flat, 0, dtype), tuple(x.shape))
    if not x.ndim:
        return g
    return spread(g, x.shape, dim, keepdim) * _others(x, dim, dtype)


def _others(x: Tensor, dim: int, dtype) -> Tensor:
    x = x if dtype is None else x.to(dtype)
    n = x.shape[dim]
    if n < 2:
        return x * 0 + 1
    one = x.narrow(dim, 0, 1) * 0 + 1
    left = cat((one, x.narrow(dim, 0, n - 1)), dim).cumprod(dim)
    right = cat((x.narrow(dim, 1, n - 1), one), dim).flip(dim).cumprod(dim).flip(dim)
    return left * right


@reduction(fold=folds.product, dtype=sum_dtype, cast=Cast(cpu="fp32", cuda="set_dtype"),
           vjp={"input": _prod_vjp}, samples=[S(T(3, 4)), *AXES[1:]])  # fmt: skip
def prod(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The product over one axis, or over all.

    Math:   y = prod_i input[i]
    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept; int and bool become int64
    Source: torch.prod
    """


@reduction(fold=folds.any_true, dtype=_truth_dtype, vjp=none("truth values have no derivative"),
           samples=[*MANY_AXES, S(truth(3, 4), 1)])  # fmt: skip
def any(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """Whether any element is not zero (NaN is not).

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: bool; uint8 stays uint8
    Source: torch.any
    """


@reduction(fold=folds.all_true, dtype=_truth_dtype, vjp=none("truth values have no derivative"),
           samples=[*MANY_AXES, S(truth(3, 4), 1)])  # fmt: skip
def all(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """Whether no element is zero.

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: bool; uint8 stays uint8
    Source: torch.all
    """


@reduction(fold=folds.count_nonzero, dtype=_count_dtype, vjp=none("a count has no derivative"),
           samples=[S(T(3, 4)), S(T(3, 4), 1), S(T(2, 3, 4), (0, 2)), S(truth(3, 4), 0), S(T(0, 3), 0)])  # fmt: skip
def count_nonzero(input: Tensor, dim=None) -> Tensor:
    """How many elements are not zero.

    Shapes: input (..., n, ...) -> (..., ...)
    Dtypes: int64
    Source: torch.count_nonzero
    """


def _nansum_vjp(g, _y, x, dim, keepdim, dtype):
    return spread(g, x.shape, dim, keepdim) * x.eq(x).to(g.dtype)


@reduction(
    fold=folds.total_of_numbers, dtype=sum_dtype, vjp={"input": _nansum_vjp}, samples=MANY_AXES
)
def nansum(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The sum, with NaN counted as zero.

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept; int and bool become int64
    Source: torch.nansum
    """


@composite(samples=[*MANY_AXES])
def nanmean(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The average of the elements that are not NaN.

    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept
    Source: torch.nanmean
    """
    if input.dtype.category < dtypes.FLOAT:
        raise Fact(DTypeError, f"expected input to have floating point dtype but got {input.dtype.name}",
                   "Convert with x.float().")  # fmt: skip
    total = nansum(input, dim, keepdim, dtype=dtype)
    return total / sum(input.eq(input), dim, keepdim)


@composite(cast=Cast(cpu="fp32"), samples=[S(T(3, 4)), S(T(4, 4))])
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal.

    Shapes: input (m, n) -> ()
    Dtypes: float kept; int and bool become int64
    Source: torch.trace
    """
    if input.ndim != 2:
        raise Fact(DTypeError, f"expected a matrix, but got a tensor with {input.ndim} axes")
    return sum(input.diagonal())


@composite(
    where="Tensor",
    varargs="size",
    samples=[S(T(2, 3), (2, 1)), S(T(4, 2, 3), (3,)), S(T(2, 3), (2, 3))],
)
def sum_to_size(input: Tensor, size) -> Tensor:
    """The sum over the axes along which `size` would broadcast to the tensor's shape.

    Shapes: input (...) -> size
    Source: torch.Tensor.sum_to_size
    """
    lead = input.ndim - len(size)
    if lead < 0 or tuple(shapes.broadcast([tuple(input.shape), tuple(size)])) != tuple(input.shape):
        raise Fact(
            DTypeError,
            f"size {list(size)} is not expandable to the tensor's size {list(input.shape)}",
        )
    dims = tuple(range(lead)) + tuple(
        i + lead for i, n in enumerate(size) if n == 1 and input.shape[i + lead] != 1
    )
    return reshape(sum(input, dims, True), tuple(size)) if dims else input
