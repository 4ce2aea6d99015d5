"""Plans of convolutions of every channel by itself (kernels/cpu/depthwise*.py)."""

from __future__ import annotations

import numpy as np

from mezzo.core.families.geometry import Geometry, flat, is_channels_last
from mezzo.core.layout import Layout
from mezzo.dtypes import dtype
from mezzo.kernels.cpu import depthwise, depthwise_grad, depthwise_planes, pool
from mezzo.kernels.cpu.emit import LANES

MOST_TAPS = 7  # of a row of a window of one channel, for code that knows how many there are


def _pairs_forward(
    places: int, source: int, kernel: int, stride: int, before: int, dilation: int
) -> list:
    """For each place of y: (tap, place of x) of the taps inside x."""
    found = [
        [(k, t * stride + k * dilation - before) for k in range(kernel)] for t in range(places)
    ]
    return [[(k, at) for k, at in row if 0 <= at < source] for row in found]


def _pairs_back(
    places: int, source: int, kernel: int, stride: int, before: int, dilation: int
) -> list:
    """For each place of x: (tap, place of y) of the windows that hold it."""
    found = [[(k, i + before - k * dilation) for k in range(kernel)] for i in range(places)]
    return [
        [(k, at // stride) for k, at in row if at % stride == 0 and 0 <= at // stride < source]
        for row in found
    ]


def is_depthwise(g: Geometry, source: Layout, target: Layout) -> bool:
    """True if every channel has a window of its own, in one or two dimensions, in memory that suits vectors."""
    if g.channels != 1 or g.outs != 1 or g.window.groups < 2 or len(g.image) > 2:
        return False
    both = is_channels_last(source) and is_channels_last(target)
    return both or (source.strides[-1] == 1 and target.strides[-1] == 1)


def _up(a: int, b: int) -> int:
    return -(-a // b) * b


class _Depthwise:
    """Words and tables of a depthwise launch: from `source` to places of `target`."""

    def __init__(self, g: Geometry, source: Layout, target: Layout, back: bool):
        self.source, self.target = source, target
        self.last = is_channels_last(source) and is_channels_last(target)
        window = zip(g.kernel, g.window.stride, g.window.before, g.window.dilation)
        sizes = zip(target.shape[2:], source.shape[2:])
        pairs = _pairs_back if back else _pairs_forward
        every = [pairs(n, m, *given) for (n, m), given in zip(sizes, window)]
        every = [[[(0, 0)]], *every] if len(every) == 1 else every
        axes = [depthwise.Taps(every[0], False), depthwise.Taps(every[1], not self.last)]
        self.tables = [t for a in axes for t in (a.begin, a.tap, a.place)] + [axes[1].mask]
        self.windows, joint = None, np.zeros(1, np.int64)
        if self.last and g.window.dilation[-1] == 1:
            found = depthwise.Windows(
                g.kernel[-1], 1 if back else g.window.stride[-1], -1 if back else 1
            )
            joint = found.joint(every[1])
            self.windows = found if joint.any() and found.taps <= MOST_TAPS else None
        self.tables.append(joint)
        self.across, self.taps = g.kernel[-1], int(np.prod(g.kernel))
        (self.sizes, self.steps), (_, self.source_steps), (_, self.w) = (
            flat(target),
            flat(source),
            flat(g.w),
        )
        self.threads = pool.get_num_threads()

    def words(self, units: int, room: int, bias_step: int) -> tuple[list[int], int]:
        """The block's words, and how many lanes of workspace there are."""
        serial = self.threads <= 1 or self.target.numel * self.taps < 1 << 15
        found = [units, int(serial), self.sizes[1], *self.sizes[2:], self.taps, self.across, room]
        found += [self.w[0], *self.w[2:], bias_step, *[t.ctypes.data for t in self.tables]]
        return found, 1 if serial else self.threads


def _plane(g: Geometry, back: bool) -> depthwise_planes.Shape | None:
    """How rows of planes are read, where windows move by one pixel and have few taps; back: from y to x."""
    window = g.window
    if set(window.stride + window.dilation) != {1} or g.kernel[-1] > MOST_TAPS:
        return None
    lacking = (1,) * (2 - len(g.image))
    x, y, taps = (lacking + tuple(v) for v in (g.image, g.result, g.kernel))
    before = (0,) * len(lacking) + tuple(window.before)
    if back:
        return depthwise_planes.Shape(x, y, taps, tuple(b - k + 1 for b, k in zip(before, taps)))
    return depthwise_planes.Shape(y, x, taps, tuple(-b for b in before))


def depthwise_plan(g: Geometry, bias: Layout | None, compute: dtype, back: bool) -> list:
    """One launch of kernels/cpu/depthwise.py, or of depthwise_planes.py; back: from y to x."""
    d = _Depthwise(g, g.y if back else g.x, g.x if back else g.y, back)
    room = _up(d.sizes[1] * d.taps * 8, 4096) + 64
    step = 0 if bias is None else bias.strides[0] * bias.dtype.itemsize
    stored = (
        d.source.dtype.ir,
        g.w.dtype.ir,
        d.target.dtype.ir,
        None if bias is None else bias.dtype.ir,
    )
    shape = None if d.last else _plane(g, back)
    if shape is None:
        address = depthwise.address(*stored, compute.ir, d.last, d.windows)
        own, strips = [], 1 if d.last else d.sizes[1]
        units = d.sizes[0] * d.sizes[2] * strips
    else:
        window = depthwise_planes.window(shape.places[1], shape.taps[1], back)
        address = depthwise_planes.address(*stored, compute.ir, window)
        own, strips, room = depthwise_planes.words(shape, window, d.sizes[0], compute.ir, room)
        units = d.sizes[0] * d.sizes[1] * strips
    words, lanes = d.words(units, room, step)
    words += [*d.source_steps, *d.steps, *own]
    return [(depthwise.Plan(address, words, d.tables, room * lanes), False)]


def depthwise_weight_plan(g: Geometry, compute: dtype) -> list:
    """One launch of kernels/cpu/depthwise_grad.py, or of depthwise_planes.py."""
    d = _Depthwise(g, g.x, g.y, False)
    few = d.last and d.taps <= depthwise_grad.MOST_TAPS
    vectors = depthwise_grad.VECTORS if few else 1
    room, own = _up(d.taps * vectors * LANES * 8, 4096) + 64, [d.sizes[0]]
    stored = (g.y.dtype.ir, g.x.dtype.ir, g.w.dtype.ir, compute.ir)
    shape = None if d.last else _plane(g, False)
    if shape is None:
        address = depthwise_grad.address(
            *stored, d.last, (d.taps // d.across, d.across) if few else None
        )
    else:
        window = depthwise_planes.window(shape.places[1], shape.taps[1], False)
        address = depthwise_planes.grad_address(*stored, window)
        own, _, room = depthwise_planes.words(shape, window, d.sizes[0], compute.ir, room)
    words, lanes = d.words(-(-d.sizes[1] // (vectors * LANES)) if d.last else d.sizes[1], room, 0)
    words += [*d.steps, *d.source_steps, *own]
    return [(depthwise.GradPlan(address, words, d.tables, room * lanes), False)]
