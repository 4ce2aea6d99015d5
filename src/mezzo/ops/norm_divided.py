"""Batch norm in steps whose parts threads share; see core/families/rows_divided.py.

Moments of parts are taken about the part's own mean, and joined exactly (Chan, Golub and LeVeque, 1979): the images
are read once for both, and no digits are lost far from zero.
"""

from __future__ import annotations

import functools

from mezzo.core.families.rows_divided import (
    Cut,
    Steps,
    cut,
    joined,
    over_elements,
    over_parts,
    parted,
)
from mezzo.core.layout import Layout
from mezzo.kernels import ir as k
from mezzo.kernels.cpu.rows import RowKernel, Rows


def _cut(images, beside, to, rows, affine) -> Cut | None:
    """The cut, if this is a batch norm of images that lie alike, with one contiguous value per channel beside them."""
    x = images[0]
    per_channel = tuple(d for d in range(x.ndim) if d != 1)
    if tuple(to) != tuple(x.shape) or tuple(rows) != per_channel or tuple(affine) != (1,):
        return None
    if any(i.strides != x.strides for i in images) or not all(v.is_contiguous for v in beside):
        return None
    return cut(x)


def _loads(storages: tuple[str, ...], compute: str) -> list[k.Expr]:
    return [k.cast(k.load(i, s), compute) for i, s in enumerate(storages)]


@functools.lru_cache(maxsize=64)
def _moments(storage: str, compute: str) -> RowKernel:
    """The mean of a row, and the sum of squared deviations from it."""
    (x,) = _loads((storage,), compute)
    mean = k.row_sum(x) / k.row_size(compute)
    d = x - mean
    return RowKernel(Rows(row=(mean, k.row_sum(d * d))), (storage,), (compute, compute))


@functools.lru_cache(maxsize=256)
def _join_moments(compute: str, parts: int, size: float, last: float) -> RowKernel:
    """(mean, variance) of all parts, of `size` elements each but the last."""
    mean, squares = _loads((compute, compute), compute)
    n = k.where(k.index() < parts - 1, k.const(size, compute), k.const(last, compute))
    whole = size * (parts - 1) + last
    joint = k.row_sum(mean * n) / whole
    d = mean - joint
    variance = k.row_sum(squares + d * d * n) / whole
    return RowKernel(Rows(row=(joint, variance)), (compute,) * 2, (compute,) * 2)


@functools.lru_cache(maxsize=64)
def _normalised(storages: tuple, out: str, compute: str, has_weight: bool) -> RowKernel:
    """The elements; storages: of the input, weight and bias where they are, mean and variance."""
    x, *given, mean, variance = _loads(storages, compute)
    y = (x - mean) * (1.0 / k.sqrt(variance + k.scalar(0, compute)))
    y = y * given.pop(0) if has_weight else y
    y = y + given.pop(0) if given else y
    once = frozenset(range(1, len(storages)))
    return RowKernel(Rows(each=(y,)), storages, (out,), (compute,), once)


def forward(record, args, layouts, outs: list[Layout]) -> Steps | None:
    """The steps of norm_rows. outs: the layouts of its results."""
    named = dict(zip(record.names, args))
    x, *given = layouts
    if not named["centered"] or outs[0].strides != x.strides:
        return None
    found = _cut([x], given, named["to"], named["rows"], named["affine"])
    if found is None:
        return None
    wide = outs[1].dtype
    part = parted(found, wide, x.device)
    steps = Steps(outs, [part, part], len(layouts), record.scalars)
    at = {n: i for i, n in enumerate(("y", "mean", "variance", "means", "squares"), len(layouts))}
    sums = [(at["means"], part), (at["squares"], part)]
    over_parts(steps, found, _moments(x.dtype.ir, wide.ir), [(0, x)], [], sums)
    places = x.numel // (x.shape[1] * found.length)
    last = found.length - (found.parts - 1) * found.size
    join = _join_moments(wide.ir, found.parts, float(found.size * places), float(last * places))
    statistics = [(at["mean"], outs[1]), (at["variance"], outs[2])]
    joined(steps, found, join, sums, statistics)
    beside = [*enumerate(given, 1), *statistics]
    storages = tuple(v.dtype.ir for v in (x, *[v for _, v in beside]))
    kernel = _normalised(storages, outs[0].dtype.ir, wide.ir, named["weight"] is not None)
    over_elements(steps, found, kernel, [(0, x)], beside, (at["y"], outs[0]))
    return steps


def _hat(x, mean, variance, compute):
    return (x - mean) * (1.0 / k.sqrt(variance + k.scalar(0, compute)))


@functools.lru_cache(maxsize=64)
def _gradient_sums(storages: tuple, compute: str) -> RowKernel:
    """The sums of g * xh and of g."""
    g, x, mean, variance = _loads(storages, compute)
    rows = Rows(row=(k.row_sum(g * _hat(x, mean, variance, compute)), k.row_sum(g)))
    return RowKernel(rows, storages, (compute,) * 2, (compute,), frozenset((2, 3)))


@functools.lru_cache(maxsize=64)
def _join_sums(compute: str, outs: tuple[str, ...]) -> RowKernel:
    total = [k.row_sum(v) for v in _loads((compute,) * 2, compute)]
    return RowKernel(Rows(row=tuple(total * (len(outs) // 2))), (compute,) * 2, outs)


@functools.lru_cache(maxsize=256)
def _gradient(storages: tuple, out: str, compute: str, count: float, has_weight: bool) -> RowKernel:
    """The gradient of the input; storages: of g, x, the weight if there is one, mean, variance and both sums."""
    g, x, *weight, mean, variance, along, plain = _loads(storages, compute)
    r = 1.0 / k.sqrt(variance + k.scalar(0, compute))
    scale = r * weight[0] if has_weight else r
    dx = scale * ((g - plain / count) - (x - mean) * (r * (along / count)))
    once = frozenset(range(2, len(storages)))
    return RowKernel(Rows(each=(dx,)), storages, (out,), (compute,), once)


def backward(record, args, layouts, outs: list[Layout]) -> Steps | None:
    """The steps of norm_backward. outs: the layouts of its results."""
    named = dict(zip(record.names, args))
    g, x, *weight, mean, variance = layouts
    if not named["centered"] or outs[0].strides != x.strides:
        return None
    beside = [*weight, mean, variance]
    found = _cut([x, g], beside, named["to"], named["rows"], named["affine"])
    if found is None:
        return None
    wide, n = mean.dtype, len(layouts)
    part = parted(found, wide, x.device)
    steps = Steps(outs, [part, part, mean, mean], n, record.scalars)
    middle = n + len(outs)
    sums, totals = [(middle, part), (middle + 1, part)], [(middle + 2, mean), (middle + 3, mean)]
    statistics = [(n - 2, mean), (n - 1, variance)]
    images = [(0, g), (1, x)]
    storages = tuple(v.dtype.ir for v in (g, x, mean, variance))
    over_parts(steps, found, _gradient_sums(storages, wide.ir), images, statistics, sums)
    results = [*totals, *enumerate(outs[1:], n + 1)]
    join = _join_sums(wide.ir, tuple(v.dtype.ir for _, v in results))
    joined(steps, found, join, sums, results)
    beside = [*enumerate(weight, 2), *statistics, *totals]
    storages = tuple(v.dtype.ir for _, v in (*images, *beside))
    count = x.numel / x.shape[1]
    kernel = _gradient(storages, outs[0].dtype.ir, wide.ir, count, bool(weight))
    over_elements(steps, found, kernel, images, beside, (n, outs[0]))
    return steps
