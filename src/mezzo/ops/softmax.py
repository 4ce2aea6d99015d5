"""softmax and its relatives."""

from __future__ import annotations

import warnings

from mezzo import dtypes
from mezzo.core.families.rows import Frame, Out, per_row, rows
from mezzo.core.layout import Layout, dense
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import DimensionError, DTypeError, Fact
from mezzo.kernels import ir as k
from mezzo.kernels.cpu import capture
from mezzo.kernels.cpu.rows import Rows
from mezzo.ops.reduce import spread
from mezzo.rules import batching, shapes
from mezzo.rules.samples import S, T

_FLOATS = (dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.float16)
_SAMPLES = [S(T(3, 5), 1), S(T(3, 5), 0), S(T(2, 3, 4), -2), S(T(2, 70), -1), S(T(), 0), S(T(0, 3), 1, only=_FLOATS), S(T(3, 0), 1, only=_FLOATS),
            S(T(2, 3), 1, dtype=dtypes.float64), S(T(2, 20, 3, 2), 1)]  # fmt: skip


def ordered_max(x: k.Expr) -> k.Expr:
    """The largest of a row that may skip NaN, for what becomes NaN by another way."""
    return k.Expr("row_max", (x,), x.type, "ordered")


def one_axis(record, size, args, batched):
    """The batching rule: one more axis in front of the first operand's; a single number becomes a row."""
    at = record.names.index("dim")
    first = record.operands[0]
    if args[first].ndim - (first in batched):
        return batching.dims("dim")(record, size, args, batched)
    full = batching.every(args, batched, size, record.operands)
    full[at] = 1
    full = [a.unsqueeze(1) if isinstance(a, Tensor) else a for a in full]
    return record.apply(tuple(full)).squeeze(1)


def row_frame(like: Layout, dim: int, others: list[Layout], dtype=None, compute=None) -> Frame:
    """Rows along one axis, with a dense result of the shape of `like`."""
    _result(like, dtype)
    out = dense(like.shape, dtype or like.dtype, like.device)
    if not like.ndim:
        return Frame((1,), (0,), [(0,)] * (1 + len(others)), [Out(out, (0,))], compute=compute)
    at = shapes.axis(dim, like.ndim)
    strides = [x.strides for x in (like, *others)]
    return Frame(tuple(like.shape), (at,), strides, [Out(out, out.strides)], compute=compute)


def implicit_dim(name: str, ndim: int) -> int:
    """The axis that old PyTorch took where none is given."""
    capture.refuse()
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=6,
    )
    return 0 if ndim in (0, 1, 3) else 1


def _result(input: Layout, dtype):
    result = dtype or input.dtype
    if result.category != dtypes.FLOAT:
        raise Fact(DTypeError, f'not implemented for {result.name} ("softmax" needs a floating dtype)',
                   "Convert with x.float(), or pass dtype=.")  # fmt: skip
    return result


def _softmax(x: k.Expr, dim, dtype) -> Rows:
    e = k.exp(x - ordered_max(x))
    return Rows(each=(e * (1.0 / k.row_sum(e)),))


@rows(grad_name="SoftmaxBackward0", kernel=_softmax, where="", batch=one_axis,
      vjp={"input": lambda g, y, _x, dim, dtype: softmax_backward(g, y, dim)},
      samples=[S(T(3, 5), 1, only=_FLOATS)], reference=lambda x, dim: x.softmax(dim))  # fmt: skip
def softmax_of(input: Tensor, dim, dtype=None) -> Tensor:
    """softmax along an axis, computed in the wider of the two dtypes."""
    result = _result(input, dtype)
    return row_frame(input, dim, [], result, dtypes.promote_types(result, input.dtype))


def _softmax_backward(g: k.Expr, y: k.Expr, dim) -> Rows:
    return Rows(each=((g - k.row_sum(g * y)) * y,))


def _softmax_backward_vjp_y(u, _r, g, y, dim):
    inner = (g * y).sum(dim, True)
    return u * (g - inner) - g * (u * y).sum(dim, True)


@rows(kernel=_softmax_backward, where="", batch=one_axis, samples=[S(T(3, 5), T(3, 5), 1, only=_FLOATS)],
      vjp={"grad_output": lambda u, _r, _g, output, dim: softmax_backward(u, output, dim),
           "output": _softmax_backward_vjp_y},
      reference=lambda g, y, dim: ((g - (g * y).sum(dim, True)) * y).to(g.dtype))  # fmt: skip
def softmax_backward(grad_output: Tensor, output: Tensor, dim) -> Tensor:
    """The gradient of softmax from its result."""
    return row_frame(grad_output, dim, [output])


def _log_softmax(x: k.Expr, dim, dtype) -> Rows:
    shifted = x - ordered_max(x)
    return Rows(each=(shifted - k.log(k.row_sum(k.exp(shifted))),))


@rows(grad_name="LogSoftmaxBackward0", kernel=_log_softmax, where="", batch=one_axis,
      vjp={"input": lambda g, y, _x, dim, dtype: log_softmax_backward(g, y, dim)},
      samples=[S(T(3, 5), 1, only=_FLOATS)], reference=lambda x, dim: x.log_softmax(dim))  # fmt: skip
def log_softmax_of(input: Tensor, dim, dtype=None) -> Tensor:
    """log_softmax along an axis, computed in the wider of the two dtypes."""
    result = _result(input, dtype)
    return row_frame(input, dim, [], result, dtypes.promote_types(result, input.dtype))


def _log_softmax_backward(g: k.Expr, y: k.Expr, dim) -> Rows:
    return Rows(each=(g - k.exp(y) * k.row_sum(g),))


def _log_softmax_backward_vjp_g(u, _r, _g, y, dim):
    return u - (u * y.exp()).sum(dim, True)


@rows(kernel=_log_softmax_backward, where="", batch=one_axis, samples=[S(T(3, 5), T(3, 5), 1, only=_FLOATS)],
      vjp={"grad_output": _log_softmax_backward_vjp_g,
           "output": lambda u, _r, g, y, dim: -(u * y.exp() * g.sum(dim, True))},
      reference=lambda g, y, dim: (g - y.exp() * g.sum(dim, True)).to(g.dtype))  # fmt: skip
def log_softmax_backward(grad_output: Tensor, output: Tensor, dim) -> Tensor:
    """The gradient of log_softmax from its result."""
    return row_frame(grad_output, dim, [output])


def _logsumexp(x: k.Expr, dim, keepdim) -> Rows:
    top = ordered_max(x)
    base = k.where(k.abs(top) < float("inf"), top, 0.0)
    return Rows(row=(base + k.log(k.row_sum(k.exp(x - base))),))


def _logsumexp_vjp(g, y, input, dim, keepdim):
    g, y = (spread(t, input.shape, dim, keepdim) for t in (g, y))
    return g * (input - y).exp()


@rows(kernel=_logsumexp, cast=Cast(cuda="fp32"), vjp={"input": _logsumexp_vjp}, where="mezzo Tensor special",
      batch=batching.reduction,
      samples=[S(T(3, 5), 1), S(T(3, 5), 0, True), S(T(2, 3, 4), (0, 2)), S(T(), 0), S(T(0, 3), 1), S(T(3, 70), (0, 1))],
    errors=[(S(T(2, 3), 2), DimensionError, "out of range")],
)  # fmt: skip
def logsumexp(input: Tensor, dim, keepdim=False) -> Tensor:
    """The logarithm of the sum of exponentials over the given axes, without overflow.

    Math:   y = log(sum_i exp(x[i]))
    Shapes: input (..., n, ...) -> (..., ...), or (..., 1, ...) with keepdim
    Dtypes: float kept; low precision is computed in float32; int and bool become the default float
    Source: torch.logsumexp
    """
    at = shapes.axes(dim, input.ndim)
    result = input.dtype if input.dtype.category == dtypes.FLOAT else dtypes.Defaults.float_dtype
    out = dense(shapes.reduced(tuple(input.shape), at, bool(keepdim)), result, input.device)
    if not input.ndim:
        return Frame((1,), (0,), [(0,)], [Out(out, (0,))], compute=result)
    strides = list(per_row(input.shape, at, result, input.device).strides)
    return Frame(
        tuple(input.shape), at, [input.strides], [Out(out, tuple(strides))], compute=result
    )


def _old_arguments(name: str, input: Tensor, dim, dtype, stacklevel):
    """dim and dtype; nn.functional's third positional argument is a stack level."""
    if isinstance(dtype, int):
        dtype, stacklevel = (stacklevel if isinstance(stacklevel, dtypes.dtype) else None), dtype
    return (implicit_dim(name, input.ndim) if dim is None else dim), dtype


@composite(
    where="mezzo Tensor nn.functional",
    cast=Cast(cuda="set_dtype"),
    samples=_SAMPLES,
    errors=[
        (S(T(2, 3), 2), DimensionError, "out of range"),
        (S(T(2, kind="int"), 0), DTypeError, "floating dtype"),
    ],
)
def softmax(input: Tensor, dim=None, dtype=None, _stacklevel=3) -> Tensor:
    """Exponentials along an axis, scaled to the sum 1.

    Math:   y[i] = exp(x[i]) / sum_j exp(x[j])
    Shapes: input (...) -> (...)
    Dtypes: that of input, or dtype; low precision is computed in float32
    Source: torch.softmax
    """
    dim, dtype = _old_arguments("softmax", input, dim, dtype, _stacklevel)
    return softmax_of(input, dim, dtype)


@composite(where="mezzo Tensor nn.functional", cast=Cast(cuda="set_dtype"), samples=_SAMPLES)
def log_softmax(input: Tensor, dim=None, dtype=None, _stacklevel=3) -> Tensor:
    """The logarithm of softmax, without overflow.

    Math:   y[i] = x[i] - log(sum_j exp(x[j]))
    Shapes: input (...) -> (...)
    Dtypes: that of input, or dtype; low precision is computed in float32
    Source: torch.log_softmax
    """
    dim, dtype = _old_arguments("log_softmax", input, dim, dtype, _stacklevel)
    return log_softmax_of(input, dim, dtype)


@composite(where="nn.functional", samples=[S(T(3, 5), 1), S(T(2, 3, 4), 0)])
def softmin(input: Tensor, dim=None, dtype=None, _stacklevel=3) -> Tensor:
    """softmax of -input.

    Math:   y[i] = exp(-x[i]) / sum_j exp(-x[j])
    Shapes: input (...) -> (...)
    Source: torch.nn.functional.softmin
    """
    dim, dtype = _old_arguments("softmin", input, dim, dtype, _stacklevel)
    return softmax_of(-input, dim, dtype)
