"""Pooling: windows of images folded to their largest or mean value."""

from __future__ import annotations

from mezzo import dtypes
from mezzo.core.families.pooling import pooling
from mezzo.core.record import composite
from mezzo.core.tensor import Tensor
from mezzo.errors import Fact, ShapeError, UnsupportedDTypeError
from mezzo.ops.shape import reshape, squeeze_dims, unsqueeze
from mezzo.rules import batching, windows
from mezzo.rules.samples import S, T


def _batch(record, size, args, batched):
    """The batch joins the images."""
    full = batching.every(args, batched, size, record.operands)
    for i in record.operands:
        x = full[i]
        full[i] = reshape(x, (size * x.shape[1], *x.shape[2:]))
    outs = record.apply(tuple(full))
    parts = outs if isinstance(outs, tuple) else (outs,)
    parts = tuple(reshape(o, (size, o.shape[0] // size, *o.shape[1:])) for o in parts)
    return parts if isinstance(outs, tuple) else parts[0]


# ---- records


@pooling(grad_name="MaxPool2DWithIndicesBackward0", kind="max", where="", batch=_batch, samples=[], no_gradient_outputs=(1,), saved_outputs=(1,),
         vjp={"input": lambda g, y, _x, axes: max_pool_grad(g[0], y[1], axes, tuple(_x.shape[2:]))})  # fmt: skip
def max_pool(input: Tensor, axes):
    """The largest value of every window, and where it stands in its plane (int32)."""


@pooling(kind="max_back", where="", batch=_batch, samples=[],
         vjp={"grad": lambda g, _y, _g, indices, axes, size: max_pool_take(g, indices, axes),
              "indices": lambda g, _y, _g, _i, axes, size: None})  # fmt: skip
def max_pool_grad(grad: Tensor, indices: Tensor, axes, size) -> Tensor:
    """The gradient of max_pool: each window's goes to the place it chose."""


@pooling(kind="take", where="", batch=_batch, samples=[],
         vjp={"input": lambda g, _y, _x, indices, axes: max_pool_grad(g, indices, axes, tuple(_x.shape[2:])),
              "indices": lambda g, _y, _x, _i, axes: None})  # fmt: skip
def max_pool_take(input: Tensor, indices: Tensor, axes) -> Tensor:
    """The elements of each plane at the places that max_pool chose."""


@pooling(grad_name="AvgPool2DBackward0", kind="avg", where="", batch=_batch, samples=[],
         vjp={"input": lambda g, _y, _x, axes, include, divisor: avg_pool_grad(g, axes, tuple(_x.shape[2:]), include, divisor)})  # fmt: skip
def avg_pool(input: Tensor, axes, include=False, divisor=None) -> Tensor:
    """The mean of every window; include: padding counts as zeros; divisor: instead of the count."""


@pooling(kind="avg_back", where="", batch=_batch, samples=[],
         vjp={"grad": lambda g, _y, _g, axes, size, include, divisor: avg_pool(g, axes, include, divisor)})  # fmt: skip
def avg_pool_grad(grad: Tensor, axes, size, include=False, divisor=None) -> Tensor:
    """The gradient of avg_pool: each window's is divided among its places."""


# ---- public forms


def _images(input: Tensor, axes: int):
    """The input as (n, c, h, w), and the axes to take away again."""
    if input.ndim not in (axes + 1, axes + 2):
        raise Fact(ShapeError, f"Expected {axes + 1}D or {axes + 2}D (batch mode) tensor for input, but got input of size: "
                               f"{list(input.shape)}")  # fmt: skip
    if any(n == 0 for n in input.shape[-axes - 1 :]):
        raise Fact(
            ShapeError,
            f"Expected input with non-zero size for non-batch dimensions, but got {list(input.shape)}",
        )
    gone = ()
    if axes == 1:
        input, gone = unsqueeze(input, -2), (-2,)
    if input.ndim == 3:
        input, gone = unsqueeze(input, 0), (0, *gone)
    return input, gone


def need_floats(input: Tensor, integers: tuple = ()) -> None:
    if input.dtype.category != dtypes.FLOAT and input.dtype not in integers:
        raise Fact(
            UnsupportedDTypeError,
            f"not implemented for {input.dtype.name}",
            "Convert with x.float().",
        )


def _plain(y: Tensor, gone: tuple) -> Tensor:
    return squeeze_dims(y, gone) if gone else y


def _slide(input: Tensor, axes: int, kernel, stride, padding, dilation, ceil: bool):
    found = windows.pool_axes(input.shape[-axes:], kernel, stride, padding, dilation, ceil)
    return (windows.PoolAxis(1, 1, 0, 1, 1), *found) if axes == 1 else found


def _largest(input: Tensor, axes: int, found, return_indices: bool):
    x, gone = _images(input, axes)
    y, indices = max_pool(x, found)
    if not return_indices:
        return _plain(y, gone)
    return _plain(y, gone), _plain(indices, gone).to(dtypes.int64)


def _max_pool(input, axes, kernel, stride, padding, dilation, ceil, return_indices):
    need_floats(input, () if axes == 1 and not return_indices else _INTEGERS)
    _images(input, axes)
    return _largest(
        input, axes, _slide(input, axes, kernel, stride, padding, dilation, ceil), return_indices
    )


_INTEGERS = (dtypes.int64, dtypes.int32, dtypes.int16, dtypes.int8, dtypes.uint8)
_FLOATS = (dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.float16)


def distinct(*shape):
    return T(*shape, distinct=True)


@composite(where="mezzo nn.functional", reference="nn.functional.max_pool1d", samples=[
    S(distinct(2, 3, 9), 2), S(distinct(3, 9), 3, 2, 1), S(distinct(2, 2, 10), 3, 2, 1, 2, True, return_indices=True)],
    errors=[(S(T(2, 3, 9), 2, padding=2), RuntimeError, "pad should be at most half")])  # fmt: skip
def max_pool1d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    """The largest value in each window of a signal.

    Shapes: (n, c, l) or (c, l) -> (n, c, windows); with return_indices also where they stand (int64)
    Source: torch.nn.functional.max_pool1d
    """
    return _max_pool(input, 1, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@composite(where="mezzo nn.functional", reference="nn.functional.max_pool2d", samples=[
    S(distinct(2, 3, 6, 8), 2), S(distinct(3, 7, 7), 3, 2, 1), S(distinct(2, 2, 7, 9), (2, 3), (2, 1), (1, 1), 1, True),
    S(distinct(1, 2, 9, 9), 3, 2, 1, 2, return_indices=True), S(distinct(2, 3, 8, 8), 3, 1, 1), S(T(0, 3, 8, 8), 2, only=_FLOATS)],
    errors=[(S(T(2, 3, 9, 9), 2, padding=2), RuntimeError, "pad should be at most half"),
            (S(T(2, 3, 2, 2), 3), RuntimeError, "too small")])  # fmt: skip
def max_pool2d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    """The largest value in each window of an image.

    Shapes: (n, c, h, w) or (c, h, w) -> (n, c, rows, columns); with return_indices also where they stand (int64)
    Source: torch.nn.functional.max_pool2d
    """
    return _max_pool(input, 2, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _avg_pool(input, axes, kernel, stride, padding, ceil, include, divisor):
    need_floats(input, (dtypes.int64,))
    x, gone = _images(input, axes)
    found = _slide(input, axes, kernel, stride, padding, 1, ceil)
    if divisor is not None and divisor == 0:
        raise Fact(ShapeError, "divisor must be not zero")
    return _plain(avg_pool(x, found, bool(include), divisor), gone)


@composite(where="mezzo nn.functional", samples=[
    S(T(2, 3, 9), 2), S(T(3, 9), 3, 2, 1), S(T(2, 2, 10), 3, 2, 1, True, False), S(T(2, 2, 10), 3, 2, 1, True)])  # fmt: skip
def avg_pool1d(
    input: Tensor, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    """The mean of each window of a signal.

    Shapes: (n, c, l) or (c, l) -> (n, c, windows)
    Source: torch.nn.functional.avg_pool1d
    """
    return _avg_pool(input, 1, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@composite(where="nn.functional", samples=[
    S(T(2, 3, 6, 8), 2), S(T(3, 7, 7), 3, 2, 1), S(T(2, 2, 7, 9), (2, 3), (2, 1), (1, 1), True, False),
    S(T(1, 2, 9, 9), 3, 2, 1, True), S(T(2, 3, 8, 8), 3, 1, 1, divisor_override=5), S(T(0, 3, 8, 8), 2, only=_FLOATS)])  # fmt: skip
def avg_pool2d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """The mean of each window of an image.

    Shapes: (n, c, h, w) or (c, h, w) -> (n, c, rows, columns)
    Source: torch.nn.functional.avg_pool2d
    """
    return _avg_pool(
        input, 2, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _adaptive(input: Tensor, axes: int, output_size):
    found = windows.adaptive_axes(input.shape[-axes:], output_size)
    return (windows.PoolAxis(1, 1, 0, 1, 1), *found) if axes == 1 else found


@composite(where="mezzo nn.functional", samples=[S(T(2, 3, 9), 4), S(T(3, 9), 1), S(T(2, 3, 5), 7)])
def adaptive_avg_pool1d(input: Tensor, output_size) -> Tensor:
    """The means of as many windows of a signal as asked for.

    Shapes: (n, c, l) or (c, l) -> (n, c, output_size)
    Source: torch.nn.functional.adaptive_avg_pool1d
    """
    need_floats(input)
    x, gone = _images(input, 1)
    return _plain(avg_pool(x, _adaptive(input, 1, output_size)), gone)


@composite(
    where="nn.functional",
    samples=[
        S(T(2, 3, 9, 8), 4),
        S(T(3, 9, 8), 1),
        S(T(2, 3, 5, 6), (7, None)),
        S(T(2, 3, 5, 5), (1, 1)),
    ],
)
def adaptive_avg_pool2d(input: Tensor, output_size) -> Tensor:
    """The means of as many windows of an image as asked for; None keeps an axis.

    Shapes: (n, c, h, w) or (c, h, w) -> (n, c, *output_size)
    Source: torch.nn.functional.adaptive_avg_pool2d
    """
    need_floats(input)
    x, gone = _images(input, 2)
    return _plain(avg_pool(x, _adaptive(input, 2, output_size)), gone)


@composite(where="nn.functional", samples=[S(distinct(2, 3, 9), 4), S(distinct(3, 9), 2, True)])
def adaptive_max_pool1d(input: Tensor, output_size, return_indices=False):
    """The largest values of as many windows of a signal as asked for.

    Shapes: (n, c, l) or (c, l) -> (n, c, output_size); with return_indices also where they stand (int64)
    Source: torch.nn.functional.adaptive_max_pool1d
    """
    need_floats(input)
    _images(input, 1)
    return _largest(input, 1, _adaptive(input, 1, output_size), return_indices)


@composite(
    where="nn.functional",
    samples=[S(distinct(2, 3, 9, 8), 4), S(distinct(3, 9, 8), (2, None), True)],
)
def adaptive_max_pool2d(input: Tensor, output_size, return_indices=False):
    """The largest values of as many windows of an image as asked for; None keeps an axis.

    Shapes: (n, c, h, w) or (c, h, w) -> (n, c, *output_size); with return_indices also where they stand (int64)
    Source: torch.nn.functional.adaptive_max_pool2d
    """
    need_floats(input)
    _images(input, 2)
    return _largest(input, 2, _adaptive(input, 2, output_size), return_indices)
