"""Convolutions."""

from __future__ import annotations

import functools

from mezzo import dtypes
from mezzo.core.families import convolution as family
from mezzo.core.families.contraction import absorbing
from mezzo.core.families.convolution import convolution
from mezzo.core.families.geometry import Geometry, Window, is_channels_last
from mezzo.core.layout import Layout
from mezzo.core.record import composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError, Fact, ShapeError
from mezzo.ops.shape import reshape, squeeze_dims, unsqueeze
from mezzo.rules import windows
from mezzo.rules.samples import S, T


def _forward(compute, input, weight, bias, size, stride, before, dilation, groups, _compute):
    x, w = input.layout, weight.layout
    last = is_channels_last(x) or (is_channels_last(w) and x.ndim == 4)
    y = family.image_layout((x.shape[0], w.shape[0], *size), compute, x.device, last)
    geometry = Geometry(x, w, y, Window(tuple(stride), tuple(before), tuple(dilation), groups))
    of_bias = None if bias is None else bias.layout
    return y, lambda keeps=False: family.forward(geometry, of_bias, compute, keeps)


def _input_grad(
    compute, grad, weight, bias, size, stride, before, dilation, groups, _compute, dtype
):
    y, w = grad.layout, weight.layout
    shape = (y.shape[0], w.shape[1] * groups, *size)
    x = family.image_layout(shape, dtype or compute, y.device, is_channels_last(y))
    geometry = Geometry(x, w, y, Window(tuple(stride), tuple(before), tuple(dilation), groups))
    return x, lambda: family.input_grad(geometry, None if bias is None else bias.layout, compute)


def _weight_grad(
    compute, grad, input, size, stride, before, dilation, groups, _compute, dtype, last
):
    y, x = grad.layout, input.layout
    shape = (y.shape[1], x.shape[1] // groups, *size)
    w = family.image_layout(shape, dtype or compute, y.device, last)
    geometry = Geometry(x, w, y, Window(tuple(stride), tuple(before), tuple(dilation), groups))
    return w, lambda: family.weight_grad(geometry, compute)


# ---- batching: examples join the batch axis, or, where weights differ, the groups


def _merge(x: Tensor, is_batched: bool, axis: int, size: int) -> Tensor:
    """The batch in front of `axis` of the unbatched tensor."""
    if not is_batched:
        x = unsqueeze(x, 0).expand((size, *x.shape))
    x = x.movedim(0, axis)
    return reshape(x, (*x.shape[:axis], size * x.shape[axis + 1], *x.shape[axis + 2 :]))


def _split(x: Tensor, axis: int, size: int) -> Tensor:
    x = reshape(x, (*x.shape[:axis], size, x.shape[axis] // size, *x.shape[axis + 1 :]))
    return x.movedim(axis, 0)


def _batch_groups(record, size, args, batched, axis: int) -> Tensor:
    """Every example a group of its own; axis: where the second operand's groups lie."""
    args, at = list(args), record.names.index("groups")
    args[0], args[1] = (
        _merge(args[0], 0 in batched, 1, size),
        _merge(args[1], 1 in batched, axis, size),
    )
    args[at] *= size
    return record.apply(tuple(args))


def _batch(record, size, args, batched) -> Tensor:
    """For an image, a weight and a bias."""
    bias = args[2]
    if bias is not None and (1 in batched or 2 in batched):  # it may differ: added outside
        without = (*args[:2], None, *args[3:])
        rest = batched - {2}
        y = _batch(record, size, without, rest) if rest else unsqueeze(record.apply(without), 0)
        shape = (size if 2 in batched else 1, 1, -1, *(1,) * (y.ndim - 3))
        return y + reshape(bias, shape)
    if 1 in batched:
        return _split(_batch_groups(record, size, args, batched, 0), 1, size)
    return _split(record.apply((_merge(args[0], True, 0, size), *args[1:])), 0, size)


def _batch_weight_grad(record, size, args, batched) -> Tensor:
    return _split(_batch_groups(record, size, args, batched, 1), 0, size)


# ---- the three products


def _vjp_forward_x(g, _y, _input, weight, _b, size, stride, before, dilation, groups, compute):
    return convolve_input_grad(
        g,
        weight,
        None,
        tuple(_input.shape[2:]),
        stride,
        before,
        dilation,
        groups,
        compute,
        _input.dtype,
    )


def _vjp_forward_w(g, _y, input, _w, _b, size, stride, before, dilation, groups, compute):
    size, last = tuple(_w.shape[2:]), family.is_stored_last(_w)
    return convolve_weight_grad(
        g, input, size, stride, before, dilation, groups, compute, _w.dtype, last
    )


def _vjp_forward_b(g, _y, _x, _w, _b, size, stride, before, dilation, groups, compute):
    return g.sum((0, *range(2, g.ndim)), dtype=_b.dtype)


@convolution(grad_name="ConvolutionBackward0", rule=_forward, keeps=True, where="", batch=_batch, samples=[],
             vjp={"input": _vjp_forward_x, "weight": _vjp_forward_w, "bias": _vjp_forward_b})  # fmt: skip
def convolve(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    size,
    stride,
    before,
    dilation,
    groups,
    compute=None,
) -> Tensor:
    """Windows of an image times weights; size: of the result.

    Math:   y[n, o, t] = sum_{c, k} weight[o, c, k] input[n, c, stride t + dilation k - before] + bias[o]
    Dtypes: compute: what operands are rounded to while they are packed, and the result's
    """


def _vjp_input_g(g, _y, _grad, weight, _b, size, stride, before, dilation, groups, compute, dtype):
    to = tuple(_grad.shape[2:])
    return convolve(g, weight, None, to, stride, before, dilation, groups, compute or weight.dtype)


def _vjp_input_w(g, _y, grad, _w, _b, size, stride, before, dilation, groups, compute, dtype):
    to, last = tuple(_w.shape[2:]), family.is_stored_last(_w)
    return convolve_weight_grad(
        grad, g, to, stride, before, dilation, groups, compute or grad.dtype, _w.dtype, last
    )


def _vjp_input_b(g, _y, _g, _w, _b, size, stride, before, dilation, groups, compute, dtype):
    return g.sum((0, *range(2, g.ndim)), dtype=_b.dtype)


@convolution(grad_name="ConvolutionBackward0", rule=_input_grad, where="", batch=_batch, samples=[],
             vjp={"grad": _vjp_input_g, "weight": _vjp_input_w, "bias": _vjp_input_b})  # fmt: skip
def convolve_input_grad(grad: Tensor, weight: Tensor, bias: Tensor | None, size, stride, before, dilation, groups,
                        compute=None, dtype=None) -> Tensor:  # fmt: skip
    """The gradient of convolve by its input, an image of `size`; with a bias the transposed convolution.

    Math: x[n, c, i] = sum_{o, k, t : stride t + dilation k - before = i} weight[o, c, k] grad[n, o, t] + bias[c]
    """


def _vjp_weight_g(
    g, _y, _grad, input, size, stride, before, dilation, groups, compute, dtype, last
):
    return convolve(
        input,
        g,
        None,
        tuple(_grad.shape[2:]),
        stride,
        before,
        dilation,
        groups,
        compute or input.dtype,
    )


def _vjp_weight_x(g, _y, grad, _x, size, stride, before, dilation, groups, compute, dtype, last):
    return convolve_input_grad(
        grad,
        g,
        None,
        tuple(_x.shape[2:]),
        stride,
        before,
        dilation,
        groups,
        compute or grad.dtype,
        _x.dtype,
    )


@convolution(rule=_weight_grad, where="", batch=_batch_weight_grad, samples=[],
             vjp={"grad": _vjp_weight_g, "input": _vjp_weight_x})  # fmt: skip
def convolve_weight_grad(
    grad: Tensor,
    input: Tensor,
    size,
    stride,
    before,
    dilation,
    groups,
    compute=None,
    dtype=None,
    last=False,
) -> Tensor:
    """The gradient of convolve by its weight, whose window is `size`; last: with channels innermost.

    Math: w[o, c, k] = sum_{n, t} grad[n, o, t] input[n, c, stride t + dilation k - before]
    """


# ---- public forms


def _checked(input, weight, bias, axes: int, groups: int) -> None:
    for name, value in (("input", input), ("weight", weight)):
        if not isinstance(value, Tensor):
            raise Fact(
                ArgumentTypeError,
                f"argument '{name}' is {type(value).__name__}; it must be a Tensor",
            )
    _check_layouts(input.layout, weight.layout, bias if bias is None else bias.layout, axes, groups)


def _check_layouts(input: Layout, weight: Layout, bias: Layout | None, axes: int, groups) -> None:
    if weight.ndim != axes + 2:
        raise Fact(
            ShapeError, f"weight must have {axes + 2} axes, and has shape {list(weight.shape)}"
        )
    if input.ndim not in (axes + 1, axes + 2):
        raise Fact(
            ShapeError,
            f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input to conv{axes}d, but got input of size: "
            f"{list(input.shape)}",
        )
    if not isinstance(groups, int) or groups < 1:
        raise Fact(ShapeError, f"groups is {groups!r}; it must be a positive int")
    if bias is not None and bias.ndim != 1:
        raise Fact(ShapeError, f"bias must have one axis, and has shape {list(bias.shape)}")


@functools.lru_cache(maxsize=4096, typed=True)
def _window(axes: int, input: Layout, weight: Layout, bias: Layout | None, stride, padding, dilation, groups):  # fmt: skip
    """(size of the result, stride, padding before, dilation): rules that depend on layouts and parameters alone."""
    _check_layouts(input, weight, bias, axes, groups)
    kernel = tuple(weight.shape[2:])
    stride, dilation = (
        windows.per_axis(stride, axes, "stride"),
        windows.per_axis(dilation, axes, "dilation"),
    )
    if any(s < 1 for s in stride) or any(d < 1 for d in dilation):
        raise Fact(
            ShapeError,
            f"stride {stride} and dilation {dilation} must be positive (non-positive stride is not supported)",
        )
    before, after = windows.conv_padding(padding, kernel, stride, dilation)
    shape = tuple(input.shape) if input.ndim == axes + 2 else (1, *input.shape)
    if weight.shape[1] * groups != shape[1]:
        raise Fact(
            ShapeError,
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(shape)} to have "
            f"{weight.shape[1] * groups} channels, but got {shape[1]} channels instead",
        )
    if weight.shape[0] % groups:
        raise Fact(
            ShapeError,
            f"weight has {weight.shape[0]} output channels; they must be divisible by groups={groups}",
        )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise Fact(
            ShapeError,
            f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {weight.shape[0]} elements, "
            f"but got bias of size {list(bias.shape)}",
        )
    return windows.conv_size(shape[2:], kernel, stride, before, after, dilation), stride, before, dilation  # fmt: skip


def _convolution(
    axes: int, input, weight, bias, stride, padding, dilation, groups, compute=None
) -> Tensor:
    x, w, b = input, weight, bias
    if not (isinstance(x, Tensor) and isinstance(w, Tensor)):
        _checked(x, w, b, axes, groups)
    rules = (x.layout, w.layout, None if b is None else b.layout)
    given = [tuple(v) if isinstance(v, list) else v for v in (stride, padding, dilation)]
    try:
        size, stride, before, dilation = _window(axes, *rules, *given, groups)
    except TypeError:  # something that cannot be remembered, and most likely a mistake
        size, stride, before, dilation = _window.__wrapped__(axes, *rules, *given, groups)
    if x.layout.ndim == axes + 2:
        return convolve(x, w, b, size, stride, before, dilation, groups, compute)
    y = convolve(unsqueeze(x, 0), w, b, size, stride, before, dilation, groups, compute)
    return squeeze_dims(y, (0,))


def _transposed(
    axes: int, input, weight, bias, stride, padding, output_padding, groups, dilation, compute=None
) -> Tensor:
    _checked(input, weight, bias, axes, groups)
    kernel = tuple(weight.shape[2:])
    stride, dilation = (
        windows.per_axis(stride, axes, "stride"),
        windows.per_axis(dilation, axes, "dilation"),
    )
    padding, extra = (
        windows.per_axis(padding, axes, "padding"),
        windows.per_axis(output_padding, axes, "output_padding"),
    )
    if any(s < 1 for s in stride) or any(d < 1 for d in dilation) or any(p < 0 for p in padding):
        raise Fact(
            ShapeError,
            f"stride {stride} and dilation {dilation} must be positive, padding {padding} not negative",
        )
    if any(e < 0 or e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise Fact(ShapeError, f"output padding must be smaller than either stride or dilation, but got output_padding {extra}, "
                               f"stride {stride}, dilation {dilation}")  # fmt: skip
    x = unsqueeze(input, 0) if input.ndim == axes + 1 else input
    if weight.shape[0] != x.shape[1] or x.shape[1] % groups:
        raise Fact(
            ShapeError,
            f"Given transposed=1, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have {weight.shape[0]} "
            f"channels (a multiple of groups={groups}), but got {x.shape[1]} channels instead",
        )
    if bias is not None and bias.shape[0] != weight.shape[1] * groups:
        raise Fact(
            ShapeError,
            f"bias has {bias.shape[0]} elements; it must have {weight.shape[1] * groups}, one per output channel",
        )
    size = tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1
                 for n, s, p, d, k, e in zip(x.shape[2:], stride, padding, dilation, kernel, extra))  # fmt: skip
    if any(n < 1 for n in size):
        raise Fact(ShapeError, f"calculated output size per channel {size} is too small")
    y = convolve_input_grad(x, weight, bias, size, stride, padding, dilation, groups, compute)
    return squeeze_dims(y, (0,)) if input.ndim == axes + 1 else y


_conv1d, _conv2d, _conv3d = (functools.partial(_convolution, axes) for axes in (1, 2, 3))
_conv_transpose1d, _conv_transpose2d, _conv_transpose3d = (
    functools.partial(_transposed, axes) for axes in (1, 2, 3)
)

FLOATS = (dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.float16)
_TOO_MANY = (S(T(1, 3, 5, 5), T(4, 2, 3, 3)), RuntimeError, "channels")


@composite(where="mezzo nn.functional", cast="low", samples=[
    S(T(2, 3, 9), T(4, 3, 3), T(4)), S(T(3, 9), T(4, 3, 3)), S(T(2, 4, 12), T(6, 2, 3), T(6), 2, 1, 2, 2),
    S(T(2, 3, 9), T(4, 3, 4), padding="same"), S(T(2, 3, 9), T(3, 1, 3), groups=3, padding=1), S(T(0, 3, 9), T(4, 3, 3), only=FLOATS)],
    errors=[(S(T(1, 3, 5), T(4, 2, 3)), RuntimeError, "channels"), (S(T(1, 3, 2), T(4, 3, 3)), RuntimeError, "Kernel size")])  # fmt: skip
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
) -> Tensor:
    """Windows of a signal times weights, plus a bias.

    Math:   y[n, o, t] = sum_{c, k} weight[o, c, k] input[n, c, stride t + dilation k - padding] + bias[o]
    Shapes: (n, c, l) or (c, l), (o, c / groups, k), (o,) -> (n, o, t)
    Dtypes: all the same; low precision is summed in float32
    Source: torch.nn.functional.conv1d
    """
    return _conv1d(input, weight, bias, stride, padding, dilation, groups)


conv1d.absorb = absorbing(_conv1d)


@composite(where="mezzo nn.functional", cast="low", samples=[
    S(T(2, 3, 6, 7), T(4, 3, 3, 3), T(4)), S(T(2, 3, 6, 7), T(4, 3, 3, 3), T(4), padding=1), S(T(3, 6, 7), T(4, 3, 2, 3)),
    S(T(2, 4, 9, 8), T(6, 2, 3, 2), T(6), (2, 1), (1, 0), (1, 2), 2), S(T(2, 3, 6, 7), T(4, 3, 4, 3), padding="same", dilation=2),
    S(T(2, 4, 5, 5), T(4, 1, 3, 3), padding=1, groups=4), S(T(2, 3, 6, 6), T(4, 3, 2, 2), stride=2),
    S(T(2, 3, 7, 7), T(4, 3, 1, 1), stride=3), S(T(0, 3, 6, 7), T(4, 3, 3, 3), only=FLOATS)],
    errors=[_TOO_MANY, (S(T(1, 3, 2, 2), T(4, 3, 3, 3)), RuntimeError, "Kernel size"),
            (S(T(1, 3, 5, 5), T(4, 3, 3, 3), stride=0), RuntimeError, "stride")])  # fmt: skip
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
) -> Tensor:
    """Windows of an image times weights, plus a bias.

    Math:   y[n, o, i, j] = sum_{c, k, l} weight[o, c, k, l] input[n, c, stride i + dilation k - padding, ...] + bias[o]
    Shapes: (n, c, h, w) or (c, h, w), (o, c / groups, k, l), (o,) -> (n, o, i, j)
    Dtypes: all the same; low precision is summed in float32
    Source: torch.nn.functional.conv2d
    """
    return _conv2d(input, weight, bias, stride, padding, dilation, groups)


conv2d.absorb = absorbing(_conv2d)


@composite(where="mezzo nn.functional", cast="low", samples=[
    S(T(2, 3, 4, 5, 4), T(4, 3, 2, 3, 2), T(4), padding=1), S(T(1, 2, 5, 4, 6), T(4, 1, 3, 2, 2), stride=2, groups=2)])  # fmt: skip
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
) -> Tensor:
    """Windows of a volume times weights, plus a bias.

    Shapes: (n, c, d, h, w) or (c, d, h, w), (o, c / groups, k, l, m), (o,) -> (n, o, ...)
    Source: torch.nn.functional.conv3d
    """
    return _conv3d(input, weight, bias, stride, padding, dilation, groups)


conv3d.absorb = absorbing(_conv3d)


@composite(where="mezzo nn.functional", cast="low", samples=[
    S(T(2, 3, 5), T(3, 4, 3), T(4)), S(T(2, 4, 5), T(4, 3, 3), T(6), 2, 1, 1, 2), S(T(3, 5), T(3, 2, 2), stride=2)])  # fmt: skip
def conv_transpose1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1) -> Tensor:  # fmt: skip
    """The transpose of conv1d as a linear map: signals grow by the stride.

    Shapes: (n, c, l), (c, o / groups, k), (o,) -> (n, o, t)
    Source: torch.nn.functional.conv_transpose1d
    """
    return _conv_transpose1d(input, weight, bias, stride, padding, output_padding, groups, dilation)


conv_transpose1d.absorb = absorbing(_conv_transpose1d)


@composite(where="mezzo nn.functional", cast="low", samples=[
    S(T(2, 3, 4, 5), T(3, 4, 3, 3), T(4)), S(T(2, 3, 4, 5), T(3, 4, 2, 2), T(4), 2), S(T(2, 4, 4, 3), T(4, 3, 3, 2), T(6), 2, 1, 1, 2),
    S(T(2, 3, 4, 5), T(3, 4, 3, 3), T(4), 3, 1, 2, 1, 2), S(T(1, 2, 3, 3), T(2, 2, 1, 1), stride=2)])  # fmt: skip
def conv_transpose2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1) -> Tensor:  # fmt: skip
    """The transpose of conv2d as a linear map: images grow by the stride.

    Shapes: (n, c, h, w), (c, o / groups, k, l), (o,) -> (n, o, i, j)
    Source: torch.nn.functional.conv_transpose2d
    """
    return _conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)


conv_transpose2d.absorb = absorbing(_conv_transpose2d)


@composite(
    where="mezzo nn.functional",
    cast="low",
    samples=[S(T(1, 3, 3, 4, 2), T(3, 2, 2, 3, 2), T(2), 2, 1)],
)
def conv_transpose3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1) -> Tensor:  # fmt: skip
    """The transpose of conv3d as a linear map.

    Shapes: (n, c, d, h, w), (c, o / groups, k, l, m), (o,) -> (n, o, ...)
    Source: torch.nn.functional.conv_transpose3d
    """
    return _conv_transpose3d(input, weight, bias, stride, padding, output_padding, groups, dilation)


conv_transpose3d.absorb = absorbing(_conv_transpose3d)
