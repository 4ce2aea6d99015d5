"""Gradients of convolutions of few places: plain products with patches, which are laid out before or added up after.

    by the image    patches' gradients = gradient of the result times the weight as it lies, then summed where patches overlap
    by the weight   gradient of the result, transposed, times patches

A weight of millions of elements is then read, or written, once and in its order; patches of few places are small beside it.
"""

from __future__ import annotations

import numpy as np

from mezzo.core.families.geometry import Geometry
from mezzo.core.layout import Layout
from mezzo.dtypes import bfloat16, dtype, float16, float32
from mezzo.kernels.cpu import contract, pool
from mezzo.kernels.cpu.contract.plan import up
from mezzo.kernels.cpu.conv import collect

FLOATS = (bfloat16, float16, float32)
MOST_ELEMENTS = 3 << 18  # of all patches, at most
# Places of all images, at most, by whether windows move by more than a pixel and whether channels are innermost; the second
# ones are for bfloat16, whose other ways are faster. Then those for the weight's gradient, and elements of a weight that it pays for.
MOST_PLACES = {
    (False, False): (128, 32),
    (False, True): (128, 32),
    (True, False): (512, 128),
    (True, True): (256, 0),
}
MOST_PLACES_WEIGHT = 128
LARGE_WEIGHT = 1 << 19


class Step:
    """A launch of several that make up a gradient. plan: itself, as its users expect."""

    __slots__ = ("address", "keeper", "made", "plan", "read", "workspace_bytes")

    def __init__(self, made, read, workspace_bytes: int):
        """read: from the addresses of the first and second operand, the result and the workspace to the launch's slots."""
        self.made, self.read, self.workspace_bytes = made, read, workspace_bytes
        self.address, self.plan, self.keeper = made.address, self, None

    def slots(self, a: int, b: int, out: int, bias: int, workspace: int) -> tuple:
        """The slots of a launch; there is no bias."""
        return self.read(a, b, out, workspace)


def _sizes(g: Geometry) -> tuple[int, int, int]:
    """Places of all images, outputs, and elements of a window."""
    return g.y.shape[0] * int(np.prod(g.result)), g.outs, g.channels * int(np.prod(g.kernel))


def _order(g: Geometry) -> list[np.ndarray] | None:
    """For the elements of a window as they lie in the weight their channels and taps; None if they do not lie together."""
    shape, strides = g.w.shape[1:], g.w.strides[1:]
    offsets = sum(np.indices(shape)[i] * step for i, step in enumerate(strides)).reshape(-1)
    order = np.argsort(offsets, kind="stable")
    if (offsets[order] != np.arange(len(order))).any() or g.w.strides[0] != len(order):
        return None
    return [axis.reshape(-1)[order] for axis in np.indices(shape)]


def _patches(g: Geometry, order: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """For the places of an image and the elements of a window where they lie in it, in elements, and whether they do."""
    where, inside = order[0] * g.x.strides[1], True
    where = np.broadcast_to(where, (*g.result, len(where)))
    window = g.window
    for axis, taps in enumerate(order[1:]):
        places = np.arange(g.result[axis]) * window.stride[axis] - window.before[axis]
        places = places.reshape([-1 if i == axis else 1 for i in range(len(g.result))] + [1])
        at = places + taps * window.dilation[axis]
        inside = inside & (at >= 0) & (at < g.image[axis])
        where = where + at * g.x.strides[2 + axis]
    inside = np.broadcast_to(inside, where.shape)
    return where.reshape(-1, len(order[0])), inside.reshape(-1, len(order[0]))


def _rows_of(y: Layout) -> np.ndarray:
    """For places and channels where they lie in an image of y, in elements."""
    spots = sum(axis * step for axis, step in zip(np.indices(y.shape[2:]), y.strides[2:]))
    return (spots.reshape(-1, 1) + np.arange(y.shape[1]) * y.strides[1]).reshape(1, -1)


def _serves(g: Geometry, compute: dtype) -> list[np.ndarray] | None:
    dtypes = {compute, g.x.dtype, g.w.dtype, g.y.dtype}
    if g.window.groups != 1 or not dtypes <= set(FLOATS) or np.prod(g.kernel) == 1:
        return None
    places, outs, window = _sizes(g)
    if not places or places * max(window, outs) > MOST_ELEMENTS:
        return None
    return _order(g)


def _rows(g: Geometry, threads: int, at: int, workspace: int) -> Step:
    """The gradient of the result as rows of channels, in the workspace."""
    places, outs, _ = _sizes(g)
    steps = g.y.strides[0], places // g.y.shape[0] * outs
    made = collect.Plan(g.y.dtype.ir, g.y.dtype.ir, _rows_of(g.y), steps, g.y.shape[0], threads)
    return Step(made, lambda a, b, out, space: (made.block, a, space + at), workspace)


def input_grad(g: Geometry, compute: dtype) -> list | None:
    """The launches of the gradient by the image, or None if another way serves better."""
    places, outs, window = _sizes(g)
    if places > MOST_PLACES[set(g.window.stride) != {1}, g.last][compute is bfloat16]:
        return None
    order = _serves(g, compute)
    if order is None or g.x.numel != g.x.shape[0] * g.x.strides[0]:
        return None
    threads, size = pool.get_num_threads(), g.y.dtype.itemsize
    each, (where, inside) = g.x.numel // g.x.shape[0], _patches(g, order)
    at_patches = up(places * outs * size, 4096)
    at_product = at_patches + up(places * window * 4, 4096)
    kernel = contract.kernel(g.y.dtype.ir, g.w.dtype.ir, "f32", compute.ir)
    step = g.w.dtype.itemsize
    product = kernel.plan(places, window, outs, a=(outs * size, size), b=(window * step, step),
                          out=(window * 4, 4), threads=threads)  # fmt: skip
    workspace = at_product + product.workspace_bytes
    table = _overlaps(where, inside, each)
    added = collect.Plan("f32", g.x.dtype.ir, table, (where.size, each), g.x.shape[0], threads)
    return [
        _rows(g, threads, 0, workspace),
        Step(product, lambda a, b, out, space: product.slots(
            space, b, space + at_patches, 0, space + at_product), workspace),
        Step(added, lambda a, b, out, space: (added.block, space + at_patches, out), workspace),
    ]  # fmt: skip


def _overlaps(where: np.ndarray, inside: np.ndarray, each: int) -> np.ndarray:
    """For the elements of an image which elements of its patches are theirs, as rows of a table."""
    spots, found = where[inside], np.flatnonzero(inside)
    order = np.argsort(spots, kind="stable")
    spots, found = spots[order], found[order]
    counts = np.bincount(spots, minlength=each)
    firsts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    table = np.full((max(1, counts.max(initial=0)), each), -1, np.int32)
    table[np.arange(len(spots)) - firsts[spots], spots] = found
    return table


def weight_grad(g: Geometry, compute: dtype) -> list | None:
    """The launches of the gradient by the weight, or None if another way serves better."""
    places, outs, window = _sizes(g)
    if compute is bfloat16 or places > MOST_PLACES_WEIGHT or outs * window < LARGE_WEIGHT:
        return None
    order = _serves(g, compute)
    if order is None:
        return None
    threads, (size, step, to) = pool.get_num_threads(), (t.dtype.itemsize for t in (g.y, g.x, g.w))
    where, inside = _patches(g, order)
    at_patches = up(places * outs * size, 4096)
    at_product = at_patches + up(places * window * step, 4096)
    kernel = contract.kernel(g.y.dtype.ir, g.x.dtype.ir, g.w.dtype.ir, compute.ir)
    product = kernel.plan(outs, window, places, a=(size, outs * size), b=(window * step, step),
                          out=(window * to, to), threads=threads)  # fmt: skip
    workspace = at_product + product.workspace_bytes
    table = np.where(inside, where, -1).reshape(1, -1)
    steps = g.x.strides[0], where.size
    laid = collect.Plan(g.x.dtype.ir, g.x.dtype.ir, table, steps, g.x.shape[0], threads)
    return [
        _rows(g, threads, 0, workspace),
        Step(laid, lambda a, b, out, space: (laid.block, b, space + at_patches), workspace),
        Step(product, lambda a, b, out, space: product.slots(
            space, space + at_patches, out, 0, space + at_product), workspace),
    ]  # fmt: skip
