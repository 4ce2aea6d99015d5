"""Where the image, the weight and the result of a convolution lie, as axes of the products over them."""

from __future__ import annotations

import dataclasses

import numpy as np

from mezzo.core.layout import Layout
from mezzo.kernels.cpu.conv.axes import Axis, beside, grid

Ints = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Window:
    """How windows slide: one number per spatial axis; `before` is the padding in front."""

    stride: Ints
    before: Ints
    dilation: Ints
    groups: int = 1


class Geometry:
    """Sizes and byte strides of image x, weight w and result y of one convolution."""

    def __init__(self, x: Layout, w: Layout, y: Layout, window: Window):
        self.x, self.w, self.y, self.window = x, w, y, window
        self.image, self.kernel, self.result = (
            tuple(x.shape[2:]),
            tuple(w.shape[2:]),
            tuple(y.shape[2:]),
        )
        self.channels, self.outs = w.shape[1], w.shape[0] // window.groups
        self.last = all(is_channels_last(t) for t in (x, y))
        self.dense = all(is_channels_last(t) or t.strides[-1] == 1 for t in (x, y))

    def taps(self, of: Layout, axis: int, count: int, places: bool, last: bool) -> Axis:
        """Channels (or outputs) of a tensor beside the window's taps in it."""
        strides = of.byte_strides()
        channel = Axis(np.arange(count) * strides[axis])
        if places:
            steps = [np.arange(k) * d for k, d in zip(self.kernel, self.window.dilation)]
        else:
            steps = [np.arange(k) for k in self.kernel]
        offsets, at = grid(strides[2:], steps)
        spots = Axis(offsets, at if places else ())
        return beside(spots, channel) if last else beside(channel, spots)

    def pixels(self, of: Layout) -> Axis:
        """The pixels of all images of a tensor."""
        strides = of.byte_strides()
        offsets, _ = grid(strides[2:], [np.arange(n) for n in of.shape[2:]])
        return Axis(offsets, (), of.shape[0], strides[0])

    def patches(self) -> Axis:
        """The windows of all images of x."""
        strides = self.x.byte_strides()
        starts = [
            np.arange(n) * s - p
            for n, s, p in zip(self.result, self.window.stride, self.window.before)
        ]
        offsets, places = grid(strides[2:], starts)
        return Axis(offsets, places, self.x.shape[0], strides[0])

    def line(self, of: Layout, axis: int, count: int) -> Axis:
        """Neighbours along one axis of a tensor."""
        return Axis(np.arange(count) * of.byte_strides()[axis])

    def bias_steps(self, bias: Layout | None, count: int) -> list[int]:
        """Byte offsets of the groups in a bias with `count` elements for each."""
        size = 0 if bias is None else bias.strides[0] * bias.dtype.itemsize
        return [g * count * size for g in range(self.window.groups)]

    def step(self, of: Layout, axis: int, count: int) -> list[int]:
        """Byte offsets of the groups in a tensor."""
        return [g * count * of.byte_strides()[axis] for g in range(self.window.groups)]


def is_channels_last(x: Layout) -> bool:
    """True if the channel is innermost in memory."""
    return x.ndim >= 3 and x.shape[1] > 1 and x.strides[1] == 1 and any(n > 1 for n in x.shape[2:])


def flat(x: Layout) -> tuple[list[int], list[int]]:
    """Sizes and byte strides as (n, c, h, w)."""
    sizes, strides = list(x.shape), list(x.byte_strides())
    if len(sizes) == 3:
        sizes.insert(2, 1)
        strides.insert(2, 0)
    return sizes, strides
