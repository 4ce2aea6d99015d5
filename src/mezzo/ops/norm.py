"""Normalisation: layer, group, batch, instance and root mean square, each one kernel forward and one back.

All are the same rows in different frames: `to` is the input's shape with an axis split where groups ask for
it, `rows` the axes of `to` that are normalised together, `affine` those that weight and bias have.
"""

from __future__ import annotations

import functools

from mezzo import dtypes
from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.rows import Frame, Out, per_column, per_row, rows
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.record import Cast, composite, none, update
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError
from mezzo.kernels import ir as k
from mezzo.kernels.cpu.rows import Rows
from mezzo.ops import norm_divided
from mezzo.rules import batching, shapes
from mezzo.rules.samples import S, T

FP32 = Cast(cuda="fp32")

# ---- frames


def _statistics_dtype(dtype):
    return dtype if dtype is dtypes.float64 else dtypes.float32


def _split(x: Layout, to) -> tuple[int, ...]:
    """The strides of x read in the shape `to`, which only splits axes."""
    strides = shapes.view_strides(x.shape, x.strides, to)
    assert strides is not None, "splitting axes is always a view"
    return strides


def _spread(x: Layout, axes, rank: int) -> tuple[int, ...]:
    """The strides of x over `rank` axes, of which it has only `axes`; x may come unsplit."""
    strides = [0] * rank
    for d, step in zip(axes, x.strides):
        strides[d] = step
    return tuple(strides)


def _affine(x: Layout, to, axes) -> tuple[int, ...]:
    """The strides of a weight over the axes of the frame."""
    want = [to[d] for d in axes]
    return _spread(layout(want, _split(x, want), x.dtype, x.device), axes, len(to))


def _like(input: Layout, to, like_input: bool) -> Out:
    """An output in the shape of the input: row-major, or channels_last where the input is and may stay so."""
    if like_input and input.is_channels_last():
        out = layout(input.shape, input.strides, input.dtype, input.device)
    else:
        out = dense(input.shape, input.dtype, input.device)
    return Out(out, _split(out, to))


def _batched_frame(record, size, args, batched, own_weight: bool) -> tuple:
    """The arguments with one more axis in front; own_weight: weights have it too."""
    full, names = list(args), record.names
    to, row, affine = (names.index(n) for n in ("to", "rows", "affine"))
    for i in record.operands:
        if isinstance(args[i], Tensor) and (own_weight or names[i] not in ("weight", "bias")):
            full[i] = batching.front(args[i], i in batched, size)
    moved = tuple(d + 1 for d in args[affine])
    full[to], full[row] = (size, *args[to]), tuple(d + 1 for d in args[row])
    full[affine] = (0, *moved) if own_weight else moved
    return tuple(full)


def _batch_norm_rows(record, size, args, batched):
    own = any(i in batched and record.names[i] in ("weight", "bias") for i in record.operands)
    return record.apply(_batched_frame(record, size, args, batched, own))


def _batch_norm_backward(record, size, args, batched):
    """Every example has its own gradient of the weights, which another kernel sums."""
    own = record.names.index("weight") in batched
    grad = record.apply((*_batched_frame(record, size, args, batched, own)[:-1], False))
    if not args[-1]:
        return grad
    g, x, _, *rest = args[:-1]
    inner = frozenset(i - (i > 2) for i in batched if i != 2)
    given = _batched_frame(norm_parameters_backward, size, (g, x, *rest), inner, True)
    return (grad, *norm_parameters_backward.apply(given))


# ---- kernels


def _norm(x, w, b, to, row, affine, eps, centered) -> Rows:
    n = k.row_size(x.type)
    mean = k.row_sum(x) / n if centered else k.const(0.0, x.type)
    d = x - mean if centered else x
    variance = k.row_sum(d * d) / n
    scale = 1.0 / k.sqrt(variance + eps)
    scale = scale if w is None else scale * w
    y = d * scale if b is None else k.fma(d, scale, b)
    return Rows(each=(y,), row=(mean, variance))


def _norm_vjp(g, y, input, weight, _bias, to, rows, affine, eps, centered):
    _, mean, variance = y
    wanted = weight is not None or _bias is not None
    frame = (to, rows, affine, eps, centered)
    if not wanted or rows == affine or not set(rows) & set(affine):
        grads = norm_backward(g[0], input, weight, mean, variance, *frame, wanted)
        return grads if wanted else (grads, None, None)
    if _has_stretches((g[0], input), to, rows, affine):
        grad, *parameters = norm_backward(g[0], input, weight, mean, variance, *frame, True)
        return grad, *_reshaped(parameters, weight, _bias)
    grad = norm_backward(g[0], input, weight, mean, variance, *frame, False)
    return grad, *_reshaped(
        norm_parameters_backward(g[0], input, mean, variance, *frame), weight, _bias
    )


def _has_stretches(operands, to, rows, affine) -> bool:
    """True if a row is a stretch of memory for each of its weights: then one kernel gives every gradient."""
    shared = tuple(d for d in rows if d in affine)
    places = shapes.numel([to[d] for d in rows[1:]])
    return shared == tuple(rows[:1]) and places > 1 and all(x.is_contiguous() for x in operands)


def _reshaped(grads, weight, bias):
    return [None if w is None else d.reshape(tuple(w.shape)) for d, w in zip(grads, (weight, bias))]


@rows(grad_name="NativeLayerNormBackward0", kernel=_norm, divided=norm_divided.forward, numbers=("eps",), where="", vjp=_norm_vjp, batch=_batch_norm_rows,
      no_gradient_outputs=(1, 2), saved_outputs=(1, 2),
      samples=[])  # fmt: skip
def norm_rows(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, to, rows, affine, eps, centered
) -> Tensor:
    """(normalised input, mean, variance); the mean is 0 where it is not taken off."""
    wide = _statistics_dtype(input.dtype)
    given = [x for x in (weight, bias) if x is not None]
    ins = [_split(input, to)] + [_affine(x, to, affine) for x in given]
    outs = [
        _like(input, to, rows != affine),
        *[per_row(to, rows, wide, input.device) for _ in range(2)],
    ]
    once = frozenset() if set(rows) & set(affine) else frozenset(range(1, len(ins)))
    return Frame(tuple(to), tuple(rows), ins, outs, once)


def _norm_backward(g, x, w, mean, variance, to, row, affine, eps, centered, params) -> Rows:
    n = k.row_size(x.type)
    r = 1.0 / k.sqrt(variance + eps)
    d = x - mean if centered else x
    gh = g if w is None else g * w
    pull = k.row_sum(gh * d) * r / n * r * r  # in an order that no variance lets overflow
    rest = k.fma(d, -pull, r * k.row_sum(gh) / -n) if centered else d * -pull
    dx = k.fma(g, r if w is None else w * r, rest)
    xh = d * r
    if not params:
        return Rows(each=(dx,))
    if tuple(row) == tuple(affine):
        return Rows(each=(dx,), column=(g * xh, g))
    if set(row) & set(affine):
        return Rows(each=(dx,), part=(g * xh, g))
    return Rows(each=(dx,), row=(k.row_sum(g * xh), k.row_sum(g)))


def _norm_backward_vjp(
    u, _y, grad_output, input, weight, mean, variance, to, rows, affine, eps, centered, params
):
    u = u if isinstance(u, tuple) else (u, None, None)
    return _second(u, grad_output, input, weight, mean, variance, to, rows, affine, eps, centered)


def _second(u, grad_output, input, weight, mean, variance, to, rows, affine, eps, centered):
    """The derivative of the derivative, in plain operations over the frame; mean and variance follow input."""
    u, uw, ub = u
    wide = [d for d in range(len(to)) if d not in affine]
    line = tuple(1 if d in rows else n for d, n in enumerate(to))
    broad = tuple(1 if d in wide else n for d, n in enumerate(to))
    g, x = grad_output.reshape(to), input.reshape(to)
    r = (variance.reshape(line) + eps).rsqrt()
    xh = (x - mean.reshape(line)) * r

    def average(t):
        return t.mean(rows, True)

    def pulled(t):  # the derivative of the normalisation, which is its own transpose
        inner = t - xh * average(t * xh)
        return r * (inner - average(t)) if centered else r * inner

    w = 1.0 if weight is None else weight.reshape(broad)
    gh = g * w
    dg, dx, dw = g * 0, x * 0, None
    if u is not None:
        u = u.reshape(to)
        p, b, c = pulled(u), average(gh * xh), average(u * xh)
        flat = average(u * gh) - c * b
        flat = flat - average(u) * average(gh) if centered else flat
        dg, dx = dg + w * p, dx + pulled(-r * (u * b + gh * c)) - r * r * xh * flat
        dw = None if weight is None else (g * p).sum(tuple(wide)) if wide else g * p
    if uw is not None:
        uw = uw.reshape(broad)
        dg, dx = dg + xh * uw, dx + pulled(g * uw)
    if ub is not None:
        dg = dg + ub.reshape(broad)
    shape = tuple(input.shape)
    return (
        dg.reshape(shape),
        dx.reshape(shape),
        None if dw is None else dw.reshape(tuple(weight.shape)),
        None,
        None,
    )


@rows(kernel=_norm_backward, divided=norm_divided.backward, numbers=("eps",), where="", vjp=_norm_backward_vjp, batch=_batch_norm_backward,
      samples=[])  # fmt: skip
def norm_backward(grad_output: Tensor, input: Tensor, weight: Tensor | None, mean: Tensor, variance: Tensor,
                  to, rows, affine, eps, centered, params) -> Tensor:  # fmt: skip
    """(gradient of input, of weight, of bias) of norm_rows, or the first alone without `params`."""
    kept = [d for d in range(len(to)) if d not in rows]
    wide, device, along = _statistics_dtype(input.dtype), input.device, rows == affine
    ins = [_split(grad_output, to), _split(input, to)]
    if weight is not None:
        ins.append(_affine(weight, to, affine))
    once = [len(ins), len(ins) + 1]
    ins += [_spread(x, kept, len(to)) for x in (mean, variance)]
    if weight is not None and not set(rows) & set(affine):
        once.append(2)
    outs = [_like(input, to, not along)]
    if params:
        result = wide if weight is None else weight.dtype
        if along:
            outs += [per_column(to, rows, result, wide, device) for _ in range(2)]
        elif set(rows) & set(affine):
            outs += [_stretches(to, rows, result, wide, device) for _ in range(2)]
        else:
            outs += [_summed_rows(to, rows, result, wide, device, affine) for _ in range(2)]
    return Frame(tuple(to), tuple(rows), ins, outs, frozenset(once))


def _stretches(to, rows, dtype, partial, device) -> Out:
    """One value per row and place of its first axis, summed over the first axis of the frame."""
    first = rows[0]
    part = dense(to[: first + 1], partial, device)
    strides = (*part.strides, *[0] * (len(to) - first - 1))
    return Out(part, strides, (dense(to[1 : first + 1], dtype, device), (0,)))


def _summed_rows(to, rows, dtype, partial, device, affine) -> Out:
    """One value per row, summed over the kept axes that the weight does not have."""
    kept = [d for d in range(len(to)) if d not in rows]
    over = tuple(i for i, d in enumerate(kept) if d not in affine)
    if not over:
        return per_row(to, rows, dtype, device)
    out = per_row(to, rows, partial, device)
    out.then = (dense([to[d] for d in kept if d in affine], dtype, device), over)
    return out


def _parameters_backward(g, x, mean, variance, to, row, affine, eps, centered) -> Rows:
    r = 1.0 / k.sqrt(variance + eps)
    xh = (x - mean) * r if centered else x * r
    return Rows(row=(k.row_sum(g * xh), k.row_sum(g)))


def _parameters_backward_vjp(
    u, _y, grad_output, input, mean, variance, to, rows, affine, eps, centered
):
    found = _second(
        (None, *u), grad_output, input, None, mean, variance, to, rows, affine, eps, centered
    )
    return found[0], found[1], None, None


@rows(kernel=_parameters_backward, numbers=("eps",), where="", vjp=_parameters_backward_vjp, samples=[],
      batch=lambda record, size, args, batched: record.apply(_batched_frame(record, size, args, batched, True)))  # fmt: skip
def norm_parameters_backward(grad_output: Tensor, input: Tensor, mean: Tensor, variance: Tensor,
                             to, rows, affine, eps, centered) -> Tensor:  # fmt: skip
    """(gradient of weight, of bias) of norm_rows, for weights whose axes are partly rows: rows are the other axes."""
    kept = [d for d in range(len(to)) if d not in rows]
    summed = tuple(d for d in range(len(to)) if d not in affine)
    ins = [
        _split(grad_output, to),
        _split(input, to),
        *[_spread(x, kept, len(to)) for x in (mean, variance)],
    ]
    wide = _statistics_dtype(input.dtype)
    return Frame(
        tuple(to), summed, ins, [per_row(to, summed, wide, input.device) for _ in range(2)]
    )


# ---- public operations


def _check_normalized(input: Tensor | Layout, normalized_shape) -> tuple[int, ...]:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape:
        raise Fact(ShapeError, "normalized_shape must be at least 1-dimensional, got ()")
    if tuple(input.shape[-len(shape) :]) != shape or len(shape) > input.ndim:
        raise Fact(ShapeError, f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}]",
                   "normalized_shape names the sizes of the last axes.")  # fmt: skip
    return shape


def _check_affine(x: Tensor | Layout | None, name: str, shape) -> None:
    if x is not None and tuple(x.shape) != tuple(shape):
        raise Fact(
            ShapeError,
            f"Expected {name} to be of the shape {list(shape)}, but got {name} of shape {list(x.shape)}",
        )


def _check_float(input: Tensor | Layout) -> None:
    if input.dtype.category != dtypes.FLOAT:
        raise Fact(
            DTypeError,
            f"not implemented for {input.dtype.name}; it needs a floating dtype",
            "Convert with x.float().",
        )


def _check_mixed(input: Tensor | Layout, *parameters: Tensor | Layout | None) -> None:
    """Parameters have the dtype of input, or float32 beside a low-precision input."""
    for x in parameters:
        if x is not None and x.dtype not in (input.dtype, _statistics_dtype(input.dtype)):
            raise Fact(DTypeError, f"mixed dtype (CPU): expect parameter to have scalar type of {input.dtype.name} or float32, "
                       f"but got {x.dtype.name}", "Convert the parameters.")  # fmt: skip


@functools.lru_cache(maxsize=4096, typed=True)
def _layer_frame(input: Layout, normalized_shape, weight: Layout | None, bias: Layout | None, centered):  # fmt: skip
    """(the shape of the frame, the axes normalised): rules that depend on layouts and parameters alone."""
    _check_float(input)
    if centered:
        _check_mixed(input, weight, bias)
    shape = _check_normalized(input, normalized_shape)
    _check_affine(weight, "weight", shape)
    _check_affine(bias, "bias", shape)
    return tuple(input.shape), tuple(range(input.ndim - len(shape), input.ndim))


def _layer(input: Tensor, normalized_shape, weight, bias, eps, centered):
    layouts = [None if x is None else x.layout for x in (weight, bias)]
    shape = tuple(normalized_shape) if isinstance(normalized_shape, list) else normalized_shape
    to, axes = _layer_frame(input.layout, shape, *layouts, centered)
    return norm_rows(input, weight, bias, to, axes, axes, float(eps), centered)


@composite(where="mezzo nn.functional", cast=FP32, samples=[
    S(T(3, 5), (5,)), S(T(3, 5), (5,), T(5), T(5)), S(T(2, 3, 4), (3, 4), T(3, 4), T(3, 4), 1e-3),
    S(T(4, 70), (70,), T(70)), S(T(0, 3), (3,), T(3), T(3)), S(T(130, 20), (20,), T(20), T(20))],
    errors=[(S(T(2, 3), (2,)), ShapeError, "Given normalized_shape=[2]"), (S(T(2, 3), (3,), T(2)), ShapeError, "Expected weight")],
)  # fmt: skip
def layer_norm(input: Tensor, normalized_shape, weight: Tensor | None = None, bias: Tensor | None = None,
               eps=1e-5, cudnn_enable=True) -> Tensor:  # fmt: skip
    """Zero mean and unit variance over the last axes, then weight and bias.

    Math:   y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias
    Shapes: input (..., *normalized_shape) -> the same
    Dtypes: that of input; low precision is computed in float32
    Source: torch.nn.functional.layer_norm
    """
    return _layer(input, normalized_shape, weight, bias, eps, True)[0]


@composite(where="mezzo", cast=FP32, samples=[S(T(3, 5), (5,), T(5), T(5), 1e-5)])
def native_layer_norm(
    input: Tensor, normalized_shape, weight: Tensor | None, bias: Tensor | None, eps
) -> Tensor:
    """layer_norm with the mean and the reciprocal standard deviation of every row.

    Shapes: input (..., *normalized_shape) -> the same, (..., 1...), (..., 1...)
    Source: torch.native_layer_norm
    """
    y, mean, variance = _layer(input, normalized_shape, weight, bias, eps, True)
    lead = input.ndim - len(tuple(normalized_shape))
    shape = (*input.shape[:lead], *[1] * (input.ndim - lead))
    rstd = (variance + eps).rsqrt()
    to = (
        input.dtype
        if weight is None or weight.dtype is input.dtype
        else _statistics_dtype(input.dtype)
    )
    return y, mean.reshape(shape).to(to), rstd.reshape(shape).to(to)


@composite(where="mezzo nn.functional", cast=FP32, samples=[
    S(T(3, 5), (5,)), S(T(3, 5), (5,), T(5)), S(T(2, 3, 4), (3, 4), T(3, 4), 1e-3), S(T(3, 70), (70,), T(70))])  # fmt: skip
def rms_norm(input: Tensor, normalized_shape, weight: Tensor | None = None, eps=None) -> Tensor:
    """Unit root mean square over the last axes, then weight.

    Math:   y = x / sqrt(mean(x^2) + eps) * weight
    Shapes: input (..., *normalized_shape) -> the same
    Dtypes: that of input; low precision is computed in float32
    Source: torch.nn.functional.rms_norm
    """
    wide = _statistics_dtype(input.dtype)
    return _layer(
        input, normalized_shape, weight, None, dtypes.finfo(wide).eps if eps is None else eps, False
    )[0]


@composite(where="mezzo nn.functional", cast=FP32, samples=[
    S(T(2, 6, 5), 3), S(T(2, 6, 3, 4), 2, T(6), T(6)), S(T(2, 4), 2, T(4), T(4)), S(T(2, 4, 3), 4, T(4))],
    errors=[(S(T(2, 3), 2), ShapeError, "divisible by num_groups")],
)  # fmt: skip
def group_norm(input: Tensor, num_groups, weight: Tensor | None = None, bias: Tensor | None = None, eps=1e-5,
               cudnn_enabled=True) -> Tensor:  # fmt: skip
    """Zero mean and unit variance over each group of channels of each sample, then weight and bias.

    Shapes: input (N, C, ...) -> the same; weight, bias (C,)
    Dtypes: that of input; low precision is computed in float32
    Source: torch.nn.functional.group_norm
    """
    _check_float(input)
    if input.ndim < 2:
        raise Fact(
            ShapeError, f"Expected at least 2 dimensions for input tensor but received {input.ndim}"
        )
    n, c, *rest = input.shape
    if num_groups <= 0 or c % num_groups:
        raise Fact(ShapeError, f"Expected number of channels in input to be divisible by num_groups, but got input of shape "
                   f"{list(input.shape)} and num_groups={num_groups}")  # fmt: skip
    _check_mixed(input, weight, bias)
    _check_affine(weight, "weight", (c,))
    _check_affine(bias, "bias", (c,))
    to = (n, num_groups, c // num_groups, *rest)
    return norm_rows(input, weight, bias, to, tuple(range(2, len(to))), (1, 2), float(eps), True)[0]


def _blend(old, new, share, factor):
    return old * (1.0 - share) + new * (share * factor)


@elementwise(kernel=_blend, inplace=True, where="", vjp=none("running statistics are not differentiated"), samples=[],
             dtype=lambda operands: (operands[0][0], operands[0][0]))  # fmt: skip
def blend(old: Tensor, new: Tensor, share, factor) -> Tensor:
    """old * (1 - share) + new * share * factor: the step of a running statistic."""


def _update_running(running_mean, running_var, mean, variance, momentum, count: int) -> None:
    if running_mean is not None:
        update(blend, running_mean, mean, float(momentum), 1.0)
    if running_var is not None:
        update(blend, running_var, variance, float(momentum), count / max(count - 1, 1))


def _affine_dtype(operands):
    wide = operands[0][0]
    return wide, wide


@elementwise(kernel=lambda x, scale, shift: k.fma(x, scale, shift), where="", dtype=_affine_dtype,
             vjp={"input": lambda g, _y, _x, scale, _b: g * scale, "scale": lambda g, _y, x, _s, _b: g * x,
                  "shift": lambda g, _y, _x, _s, _b: g},
             samples=[S(T(2, 3), T(3), T(3), only=(dtypes.float32, dtypes.float64))], reference=lambda x, s, b: (x * s + b).to(x.dtype))  # fmt: skip
def scale_shift(input: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """input * scale + shift in the dtype of input."""


def _check_channels(input: Tensor, tensors) -> int:
    _check_float(input)
    _check_mixed(input, *[x for _, x in tensors])
    if input.ndim < 2:
        raise Fact(ShapeError, f"input has {input.ndim} axes; it must be (N, C, ...)")
    channels = input.shape[1]
    for name, x in tensors:
        if x is not None and tuple(x.shape) != (channels,):
            raise Fact(ShapeError, f"{name} should contain {channels} elements not {x.layout.numel}",
                       "It has one element for each channel, axis 1 of input.")  # fmt: skip
    return channels


@composite(where="nn.functional", samples=[
    S(T(4, 3), None, None, training=True), S(T(3, 2, 5), None, None, T(2), T(2), training=True),
    S(T(2, 3, 4, 5), None, None, T(3), T(3), True), S(T(4, 20), None, None, T(20), T(20), True),
    S(T(2, 3, 4), T(3, constant=True), T(3, low=0.5, constant=True), T(3), T(3), False), S(T(2, 3), T(3, constant=True), T(3, low=0.5, constant=True))],
    errors=[(S(T(1, 3), None, None, training=True), ArgumentValueError, "more than 1 value per channel"), (S(T(2, 3), T(2), T(2)), ShapeError, "running_mean should contain 3 elements not 2")],
)  # fmt: skip
def batch_norm(input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
               bias: Tensor | None = None, training=False, momentum=0.1, eps=1e-5) -> Tensor:  # fmt: skip
    """Zero mean and unit variance per channel over the batch, or by running statistics; then weight and bias.

    Shapes: input (N, C, ...) -> the same; the others (C,)
    Dtypes: that of input; low precision is computed in float32
    Source: torch.nn.functional.batch_norm
    """
    named = (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    )
    channels = _check_channels(input, named)
    rank = input.ndim
    if not training:
        if running_mean is None or running_var is None:
            raise Fact(
                ShapeError, "running_mean and running_var must be defined in evaluation mode"
            )
        accurate = _statistics_dtype(input.dtype)
        running_mean, running_var = running_mean.to(accurate), running_var.to(accurate)
        scale = (running_var + eps).rsqrt()
        scale = scale if weight is None else scale * weight
        shift = -(running_mean * scale) if bias is None else bias - running_mean * scale
        wide = (channels, *[1] * (rank - 2))
        return scale_shift(input, scale.reshape(wide), shift.reshape(wide))
    count = input.layout.numel // max(channels, 1)
    if count == 1:
        raise Fact(ArgumentValueError, f"Expected more than 1 value per channel when training, got input size {list(input.shape)}",
                   "Use a larger batch, or call eval().")  # fmt: skip
    axes = (0, *range(2, rank))
    y, mean, variance = norm_rows(
        input, weight, bias, tuple(input.shape), axes, (1,), float(eps), True
    )
    _update_running(running_mean, running_var, mean, variance, momentum, count)
    return y


@composite(where="nn.functional", samples=[
    S(T(2, 3, 5)), S(T(2, 3, 4, 5), None, None, T(3), T(3)), S(T(2, 3, 5), T(3, constant=True), T(3, low=0.5, constant=True), T(3), T(3), False)])  # fmt: skip
def instance_norm(input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
                  weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats=True, momentum=0.1,
                  eps=1e-5) -> Tensor:  # fmt: skip
    """Zero mean and unit variance per sample and channel, then weight and bias.

    Shapes: input (N, C, ...) -> the same; the others (C,)
    Dtypes: that of input; low precision is computed in float32
    Source: torch.nn.functional.instance_norm
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    named = (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    )
    channels = _check_channels(input, named)
    count = shapes.numel(input.shape[2:])
    if count == 1:
        raise Fact(
            ArgumentValueError,
            f"Expected more than 1 spatial element when training, got input size {list(input.shape)}",
        )
    axes = tuple(range(2, input.ndim))
    y, mean, variance = norm_rows(
        input, weight, bias, tuple(input.shape), axes, (1,), float(eps), True
    )
    if running_mean is not None or running_var is not None:
        mean, variance = (s.reshape((input.shape[0], channels)).mean(0) for s in (mean, variance))
        _update_running(running_mean, running_var, mean, variance, momentum, count)
    return y
