"""Pooling of volumes: planes first, then along the depth. Unpooling, power averages, pooling with random windows."""

from __future__ import annotations

import math

from mezzo import dtypes
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError
from mezzo.ops.create import arange
from mezzo.ops.indirect import gather, scatter_set
from mezzo.ops.join import cat
from mezzo.ops.pool import avg_pool, avg_pool1d, avg_pool2d, distinct, max_pool, need_floats
from mezzo.ops.random import rand
from mezzo.ops.shape import expand, reshape
from mezzo.rules import windows
from mezzo.rules.samples import S, T

FP32 = Cast(cpu="fp32")
_LOW = (dtypes.bfloat16, dtypes.float16)


def _volume(input: Tensor):
    """(n, c, d, h, w), and whether the first axis was added."""
    if input.ndim not in (4, 5):
        raise Fact(ShapeError, f"Expected 4D or 5D (batch mode) tensor for input, but got input of size: {list(input.shape)}")  # fmt: skip
    if any(n == 0 for n in input.shape[-4:]):
        raise Fact(ShapeError, f"Expected input with non-zero size for non-batch dimensions, but got {list(input.shape)}")  # fmt: skip
    return (input.unsqueeze(0), True) if input.ndim == 4 else (input, False)


def _still(count: int) -> windows.PoolAxis:
    return windows.PoolAxis(1, 1, 0, 1, count)


def _means(x: Tensor, axes, include=False, divisor=None) -> Tensor:
    n, c, d, h, w = x.shape
    planes = avg_pool(reshape(x, (n, c * d, h, w)), axes[1:], include, divisor)
    size = planes.shape[2] * planes.shape[3]
    lines = reshape(planes, (n, c, d, size))
    y = avg_pool(lines, (axes[0], _still(size)), include, None if divisor is None else 1)
    return reshape(y, (n, c, y.shape[2], *planes.shape[2:]))


def _averaged(input: Tensor, axes, include=False, divisor=None) -> Tensor:
    x, single = _volume(input)
    y = _means(x.float() if x.dtype in _LOW else x, axes, include, divisor).to(x.dtype)
    return y.squeeze(0) if single else y


def _largest(input: Tensor, axes, return_indices: bool):
    x, single = _volume(input)
    n, c, d, h, w = x.shape
    planes, inside = max_pool(reshape(x, (n, c * d, h, w)), axes[1:])
    size, to = planes.shape[2] * planes.shape[3], planes.shape[2:]
    y, place = max_pool(reshape(planes, (n, c, d, size)), (axes[0], _still(size)))
    y = reshape(y, (n, c, y.shape[2], *to))
    y = y.squeeze(0) if single else y
    if not return_indices:
        return y
    depth = place.to(dtypes.int64) // size
    inside = gather(reshape(inside, (n, c, d, size)).to(dtypes.int64), 2, depth)
    found = reshape(depth * (h * w) + inside, (n, c, depth.shape[2], *to))
    return y, found.squeeze(0) if single else found


@composite(where="mezzo nn.functional", reference="nn.functional.max_pool3d", cast=FP32, samples=[
    S(distinct(2, 3, 4, 6, 5), 2), S(distinct(3, 5, 4, 6), 3, 2, 1), S(distinct(1, 2, 5, 7, 6), (2, 3, 2), (2, 1, 2), (1, 1, 0), 1, True),
    S(distinct(1, 2, 7, 7, 7), 2, 2, 1, 2, return_indices=True)],
    errors=[(S(T(2, 3, 4, 4, 4), 2, padding=2), RuntimeError, "pad should be at most half")])  # fmt: skip
def max_pool3d(input: Tensor, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):  # fmt: skip
    """The largest value in each window of a volume.

    Shapes: (n, c, d, h, w) or (c, d, h, w) -> (n, c, windows...); with return_indices also where they stand (int64)
    Source: torch.nn.functional.max_pool3d
    """
    need_floats(input, (dtypes.int64, dtypes.int32, dtypes.int16, dtypes.int8, dtypes.uint8))
    _volume(input)
    axes = windows.pool_axes(input.shape[-3:], kernel_size, stride, padding, dilation, ceil_mode)
    return _largest(input, axes, return_indices)


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(2, 3, 4, 6, 5), 2), S(T(3, 5, 4, 6), 3, 2, 1), S(T(1, 2, 5, 7, 6), (2, 3, 2), (2, 1, 2), (1, 1, 0), True, False),
    S(T(1, 2, 5, 6, 7), 3, 2, 1, True), S(T(1, 2, 4, 4, 4), 2, divisor_override=5)])  # fmt: skip
def avg_pool3d(input: Tensor, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
               divisor_override=None):  # fmt: skip
    """The mean of each window of a volume.

    Shapes: (n, c, d, h, w) or (c, d, h, w) -> (n, c, windows...)
    Source: torch.nn.functional.avg_pool3d
    """
    need_floats(input)
    _volume(input)
    axes = windows.pool_axes(input.shape[-3:], kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override == 0:
        raise Fact(ShapeError, "divisor must be not zero")
    return _averaged(input, axes, bool(count_include_pad), divisor_override)


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(2, 3, 5, 6, 4), 3), S(T(2, 3, 4, 5), (2, None, 1)), S(T(1, 2, 3, 3, 3), (4, 1, 2))])  # fmt: skip
def adaptive_avg_pool3d(input: Tensor, output_size) -> Tensor:
    """The means of as many windows of a volume as asked for; None keeps an axis.

    Shapes: (n, c, d, h, w) or (c, d, h, w) -> (n, c, *output_size)
    Source: torch.nn.functional.adaptive_avg_pool3d
    """
    need_floats(input)
    _volume(input)
    return _averaged(input, windows.adaptive_axes(input.shape[-3:], output_size))


@composite(where="nn.functional", cast=FP32, samples=[
    S(distinct(2, 3, 5, 6, 4), 3), S(distinct(2, 3, 4, 5), (2, None, 1), True)])  # fmt: skip
def adaptive_max_pool3d(input: Tensor, output_size, return_indices=False):
    """The largest values of as many windows of a volume as asked for; None keeps an axis.

    Shapes: (n, c, d, h, w) or (c, d, h, w) -> (n, c, *output_size); with return_indices also where they stand (int64)
    Source: torch.nn.functional.adaptive_max_pool3d
    """
    need_floats(input)
    _volume(input)
    return _largest(input, windows.adaptive_axes(input.shape[-3:], output_size), return_indices)


# ---- unpooling


def _unpooled(input: Tensor, indices: Tensor, axes: int, kernel, stride, padding, output_size) -> Tensor:  # fmt: skip
    if indices.dtype is not dtypes.int64:
        raise Fact(DTypeError, f"elements in indices should be type int64 but got: {indices.dtype.name}")  # fmt: skip
    if tuple(indices.shape) != tuple(input.shape):
        raise Fact(ShapeError, f"Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got "
                               f"indices tensor with shape: {list(indices.shape)}")  # fmt: skip
    if input.ndim not in (axes + 1, axes + 2):
        raise Fact(ShapeError, f"Input to max_unpool{axes}d should be a {axes + 1}d or {axes + 2}d Tensor, but got a tensor with "
                               f"{input.ndim} dimensions")  # fmt: skip
    kernel = windows.per_axis(kernel, axes, "kernel_size")
    stride = kernel if stride in (None, (), []) else windows.per_axis(stride, axes, "stride")
    padding = windows.per_axis(padding, axes, "padding")
    usual = [(n - 1) * s + k - 2 * p for n, s, k, p in zip(input.shape[-axes:], stride, kernel, padding)]  # fmt: skip
    to = usual if output_size is None else list(output_size)[-axes:]
    for n, u, s in zip(to, usual, stride):
        if not u - s < n < u + s:
            raise Fact(ArgumentValueError, f"invalid output_size {to}: each size must differ from {usual} by less than the stride "
                                           f"{list(stride)}")  # fmt: skip
    lead = tuple(input.shape[:-axes])
    flat = input.new_zeros((*lead, math.prod(to)))
    y = scatter_set(flat, -1, reshape(indices, (*lead, -1)), reshape(input, (*lead, -1)))
    return reshape(y, (*lead, *to))


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(1, 1, 1), T(1, 1, 1, low=1, high=2, kind="index"), 2), S(T(2, 1), T(2, 1, low=0, high=1, kind="index"), 2, output_size=(3,))],
    errors=[(S(T(1, 1, 2), T(1, 1, 1, low=0, high=1, kind="index"), 2), RuntimeError, "shape of indices")])  # fmt: skip
def max_unpool1d(input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0, output_size=None) -> Tensor:  # fmt: skip
    """max_pool1d turned round: values put where max_pool1d found them, zeros elsewhere.

    Shapes: (n, c, l) or (c, l) -> (n, c, output_size)
    Source: torch.nn.functional.max_unpool1d
    """
    return _unpooled(input, indices, 1, kernel_size, stride, padding, output_size)


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(2, 1, 1, 1), T(2, 1, 1, 1, low=0, high=4, kind="index"), 2), S(T(1, 1, 1), T(1, 1, 1, low=2, high=3, kind="index"), (2, 3), 2)])  # fmt: skip
def max_unpool2d(input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0, output_size=None) -> Tensor:  # fmt: skip
    """max_pool2d turned round: values put where max_pool2d found them, zeros elsewhere.

    Shapes: (n, c, h, w) or (c, h, w) -> (n, c, *output_size)
    Source: torch.nn.functional.max_unpool2d
    """
    return _unpooled(input, indices, 2, kernel_size, stride, padding, output_size)


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(2, 1, 1, 1, 1), T(2, 1, 1, 1, 1, low=0, high=8, kind="index"), 2)])  # fmt: skip
def max_unpool3d(input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0, output_size=None) -> Tensor:  # fmt: skip
    """max_pool3d turned round: values put where max_pool3d found them, zeros elsewhere.

    Shapes: (n, c, d, h, w) or (c, d, h, w) -> (n, c, *output_size)
    Source: torch.nn.functional.max_unpool3d
    """
    return _unpooled(input, indices, 3, kernel_size, stride, padding, output_size)


# ---- power averages


def _power_average(input: Tensor, mean, norm_type, count: int) -> Tensor:
    y = mean(input**norm_type)
    return (y.sign() * y.abs().relu() * count) ** (1 / norm_type)


_P = ("float32", "float64")


@composite(where="nn.functional", samples=[S(T(2, 3, 9, low=0.1), 2.0, 3, only=_P), S(T(3, 9, low=0.1), 1, 2, 2, True, only=_P)])  # fmt: skip
def lp_pool1d(input: Tensor, norm_type, kernel_size, stride=None, ceil_mode=False) -> Tensor:
    """The p-norm of each window of a signal.

    Shapes: (n, c, l) or (c, l) -> (n, c, windows)
    Source: torch.nn.functional.lp_pool1d
    """
    (k,) = windows.per_axis(kernel_size, 1, "kernel_size")
    return _power_average(input, lambda x: avg_pool1d(x, k, stride, 0, ceil_mode), norm_type, k)


@composite(where="nn.functional", samples=[
    S(T(2, 3, 6, 6, low=0.1), 2.0, 3, only=_P), S(T(3, 6, 7, low=0.1), 3.0, (2, 3), 2, only=_P)])  # fmt: skip
def lp_pool2d(input: Tensor, norm_type, kernel_size, stride=None, ceil_mode=False) -> Tensor:
    """The p-norm of each window of an image.

    Shapes: (n, c, h, w) or (c, h, w) -> (n, c, rows, columns)
    Source: torch.nn.functional.lp_pool2d
    """
    k = windows.per_axis(kernel_size, 2, "kernel_size")
    mean = lambda x: avg_pool2d(x, k, stride, 0, ceil_mode)
    return _power_average(input, mean, norm_type, math.prod(k))


@composite(where="nn.functional", samples=[S(T(1, 2, 4, 5, 4, low=0.1), 2.0, 2, only=_P)])
def lp_pool3d(input: Tensor, norm_type, kernel_size, stride=None, ceil_mode=False) -> Tensor:
    """The p-norm of each window of a volume.

    Shapes: (n, c, d, h, w) or (c, d, h, w) -> (n, c, windows...)
    Source: torch.nn.functional.lp_pool3d
    """
    k = windows.per_axis(kernel_size, 3, "kernel_size")
    mean = lambda x: avg_pool3d(x, k, stride, 0, ceil_mode)
    return _power_average(input, mean, norm_type, math.prod(k))


# ---- windows at random places (Graham, "Fractional Max-Pooling", 2014)


def _starts(at: Tensor, size: int, count: int, kernel: int) -> Tensor:
    """Where `count` windows begin in an axis of `size`, shifted by the samples at (n, c)."""
    if count == 1:
        return expand(arange(1, device=at.device) + (size - kernel), (*at.shape, 1))
    step = (size - kernel) / (count - 1)
    steps = arange(count - 1, device=at.device).to(at.dtype)
    shifted = at.unsqueeze(-1)
    first = ((steps + shifted) * step).to(dtypes.int64) - (shifted * step).to(dtypes.int64)
    last = first.new_full((*at.shape, 1), size - kernel)
    return cat((first, last), -1)


def _fractional(input: Tensor, axes: int, kernel_size, output_size, output_ratio, return_indices, samples):  # fmt: skip
    if (output_size is None) == (output_ratio is None):
        raise Fact(ArgumentValueError, f"fractional_max_pool{axes}d requires specifying either an output_size or an output_ratio, "
                                       "and only one")  # fmt: skip
    kernel = windows.per_axis(kernel_size, axes, "kernel_size")
    single = input.ndim == axes + 1
    x = input.unsqueeze(0) if single else input
    sizes, lead = tuple(x.shape[2:]), tuple(x.shape[:2])
    if output_size is None:
        ratio = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * axes
        if not all(0 < r < 1 for r in ratio):
            raise Fact(ArgumentValueError, f"output_ratio must be between 0 and 1 (got {output_ratio})")  # fmt: skip
        output_size = [int(n * r) for n, r in zip(sizes, ratio)]
    to = windows.per_axis(output_size, axes, "output_size")
    if any(t + k - 1 > n for t, k, n in zip(to, kernel, sizes)):
        raise Fact(ShapeError, f"pooling regions of {kernel} for an output of {to} do not fit into input of {sizes}")  # fmt: skip
    if samples is None:
        samples = rand((*lead, axes), dtype=x.dtype, device=x.device)
    place = None
    for axis in range(
        axes
    ):  # PyTorch's samples of images hold the last axis first, those of volumes do not
        at = samples.select(-1, axis if axes == 3 else axes - 1 - axis)
        start = _starts(at, sizes[axis], to[axis], kernel[axis])
        rows = start.unsqueeze(-1) + arange(kernel[axis], device=x.device)
        shape = (*lead, *[n for a in range(axes) for n in ((to[a], kernel[a]) if a == axis else (1, 1))])  # fmt: skip
        rows = reshape(rows, shape)
        place = rows if place is None else place * sizes[axis] + rows
    order = (0, 1, *range(2, 2 + 2 * axes, 2), *range(3, 3 + 2 * axes, 2))
    place = reshape(place.permute(order), (*lead, math.prod(to), math.prod(kernel)))
    flat = gather(reshape(x, (*lead, -1)), 2, reshape(place, (*lead, -1)))
    values, best = reshape(flat, tuple(place.shape)).max(-1)
    y = reshape(values, (*lead, *to))
    found = reshape(gather(place, -1, best.unsqueeze(-1)), (*lead, *to))
    if single:
        y, found = y.squeeze(0), found.squeeze(0)
    return (y, found) if return_indices else y


def _fixed(*shape):
    return T(*shape, low=0.1, high=0.9, constant=True)


@composite(where="nn.functional", cast=FP32, reference="nn.functional.fractional_max_pool2d", samples=[
    S(distinct(2, 3, 7, 8), 2, (3, 4), None, True, _fixed(2, 3, 2), only=_P), S(distinct(1, 3, 7, 8), (2, 3), None, (0.5, 0.5), False, _fixed(1, 3, 2), only=_P)],
    errors=[(S(T(1, 2, 6, 6), 2), ValueError, "either")])  # fmt: skip
def fractional_max_pool2d(input: Tensor, kernel_size, output_size=None, output_ratio=None, return_indices=False,
                          _random_samples: Tensor | None = None):  # fmt: skip
    """The largest values in windows of an image at random, roughly even places.

    Shapes: (n, c, h, w) or (c, h, w) -> (n, c, *output_size); with return_indices also where they stand (int64)
    Source: torch.nn.functional.fractional_max_pool2d
    """
    return _fractional(input, 2, kernel_size, output_size, output_ratio, return_indices, _random_samples)  # fmt: skip


@composite(where="nn.functional", cast=FP32, reference="nn.functional.fractional_max_pool3d", samples=[
    S(distinct(1, 2, 5, 6, 7), 2, (2, 3, 4), None, True, _fixed(1, 2, 3), only=_P)])  # fmt: skip
def fractional_max_pool3d(input: Tensor, kernel_size, output_size=None, output_ratio=None, return_indices=False,
                          _random_samples: Tensor | None = None):  # fmt: skip
    """The largest values in windows of a volume at random, roughly even places.

    Shapes: (n, c, d, h, w) or (c, d, h, w) -> (n, c, *output_size); with return_indices also where they stand (int64)
    Source: torch.nn.functional.fractional_max_pool3d
    """
    return _fractional(input, 3, kernel_size, output_size, output_ratio, return_indices, _random_samples)  # fmt: skip
