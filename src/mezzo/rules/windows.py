"""Windows that slide over images: convolution and pooling. Pure functions on tuples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mezzo.errors import ArgumentValueError, Fact, ShapeError

Ints = tuple[int, ...]


def per_axis(value, axes: int, name: str) -> Ints:
    """An int for every axis from one int or a sequence of one or `axes` ints."""
    if isinstance(value, bool) or not (
        isinstance(value, (int, tuple, list)) or hasattr(value, "__index__")
    ):
        raise Fact(
            ArgumentValueError, f"{name} is {value!r}; it must be an int or a tuple of {axes} ints"
        )
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    try:
        values = tuple(v.__index__() for v in values)
    except AttributeError:
        raise Fact(
            ArgumentValueError, f"{name} is {value!r}; it must be an int or a tuple of {axes} ints"
        ) from None
    if len(values) == 1:
        return values * axes
    if len(values) != axes:
        raise Fact(ShapeError, f"{name} has {len(values)} values; it must be one int or {axes}")
    return values


def conv_padding(padding, kernel: Sequence[int], stride: Ints, dilation: Ints) -> tuple[Ints, Ints]:
    """Padding before and after each axis from an int, a tuple, "same" or "valid"."""
    axes = len(kernel)
    if not isinstance(padding, str):
        both = per_axis(padding, axes, "padding")
        if any(p < 0 for p in both):
            raise Fact(
                ShapeError,
                f"negative padding is not supported: padding is {both}",
                "Slice the input instead.",
            )
        return both, both
    if padding == "valid":
        return (0,) * axes, (0,) * axes
    if padding != "same":
        raise Fact(
            ShapeError, f"padding is {padding!r}; it must be an int, a tuple, 'same' or 'valid'"
        )
    if any(s != 1 for s in stride):
        raise Fact(
            ShapeError,
            "padding='same' is not supported for strided convolutions",
            "Pass the padding as numbers.",
        )
    total = [d * (k - 1) for d, k in zip(dilation, kernel)]
    return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)


def conv_size(size: Sequence[int], kernel, stride, before, after, dilation) -> Ints:
    """The spatial shape of a convolution's result."""
    found = []
    for n, k, s, p, q, d in zip(size, kernel, stride, before, after, dilation):
        reach = d * (k - 1) + 1
        if n + p + q < reach:
            raise Fact(
                ShapeError,
                f"calculated padded input size per channel: {_times(size, before, after)}; kernel size: {_grown(kernel, dilation)}. "
                "Kernel size can't be greater than actual input size",
                "Pad the input or take a smaller kernel.",
            )
        found.append((n + p + q - reach) // s + 1)
    return tuple(found)


def _times(size, before, after) -> str:
    return "(" + " x ".join(str(n + p + q) for n, p, q in zip(size, before, after)) + ")"


def _grown(kernel, dilation) -> str:
    return "(" + " x ".join(str(d * (k - 1) + 1) for k, d in zip(kernel, dilation)) + ")"


def pool_size(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> int:
    """The number of windows along an axis; with ceil the last may hang over, but begins inside."""
    span = n + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil else span // stride) + 1
    if ceil and (count - 1) * stride >= n + padding:
        count -= 1
    return count


# ---- pooling: every axis as (begin, end) of each window, stepping by a dilation


@dataclasses.dataclass(frozen=True)
class PoolAxis:
    """One axis of a pooling: windows that slide, or (kernel 0) `count` windows that cover it evenly."""

    kernel: int
    stride: int
    padding: int
    dilation: int
    count: int

    def bounds(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Where each window begins and ends within an axis of n places."""
        at = np.arange(self.count)
        if not self.kernel:
            return at * n // self.count, -(-(at + 1) * n // self.count)
        begin = at * self.stride - self.padding
        end = np.minimum(begin + (self.kernel - 1) * self.dilation + 1, n)
        before = np.maximum(-begin, 0)
        return begin + -(-before // self.dilation) * self.dilation, end

    def weights(self, n: int, include_padding: bool) -> np.ndarray:
        """How many places each window counts: those inside, or those of the padded axis."""
        begin, end = self.bounds(n)
        if not include_padding or not self.kernel:
            return end - begin
        start = np.arange(self.count) * self.stride - self.padding
        return np.minimum(start + self.kernel, n + self.padding) - start

    def covering(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """For each place the first window that may hold it, and the one after the last."""
        begin, end = self.bounds(n)
        places = np.arange(n)
        return np.searchsorted(end, places, side="right"), np.searchsorted(
            begin, places, side="right"
        )


def pool_axes(
    size: Sequence[int], kernel, stride, padding, dilation, ceil: bool
) -> tuple[PoolAxis, ...]:
    """The axes of a sliding pooling over an image of `size`; checks what PyTorch checks."""
    axes = len(size)
    kernel = per_axis(kernel, axes, "kernel_size")
    stride = (
        kernel
        if stride is None or stride == () or stride == []
        else per_axis(stride, axes, "stride")
    )
    padding, dilation = per_axis(padding, axes, "padding"), per_axis(dilation, axes, "dilation")
    if any(k < 1 for k in kernel) or any(s < 1 for s in stride) or any(d < 1 for d in dilation):
        raise Fact(
            ShapeError,
            f"kernel size {kernel}, stride {stride} and dilation {dilation} should be greater than zero",
        )
    if any(p < 0 or p > ((k - 1) * d + 1) // 2 for p, k, d in zip(padding, kernel, dilation)):
        raise Fact(ShapeError, f"pad should be at most half of effective kernel size, but got pad={padding}, kernel_size={kernel} "
                               f"and dilation={dilation}")  # fmt: skip
    counts = tuple(
        pool_size(*given, ceil) for given in zip(size, kernel, stride, padding, dilation)
    )
    if any(c < 1 for c in counts):
        raise Fact(
            ShapeError,
            f"Given input size {tuple(size)}, the calculated output size {counts} is too small",
            "Pad the input.",
        )
    return tuple(PoolAxis(*given) for given in zip(kernel, stride, padding, dilation, counts))


def adaptive_axes(size: Sequence[int], output_size) -> tuple[PoolAxis, ...]:
    """The axes of a pooling to a given shape; None keeps an axis."""
    axes = len(size)
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    if len(wanted) != axes:
        raise Fact(
            ShapeError, f"output_size has {len(wanted)} values; it must be one int or {axes}"
        )
    found = tuple(n if w is None else w for n, w in zip(size, wanted))
    if any(isinstance(c, bool) or not isinstance(c, int) or c < 0 for c in found):
        raise Fact(
            ShapeError,
            f"output_size is {output_size!r}: elements of output_size must be greater than or equal to 0",
        )
    return tuple(PoolAxis(0, 1, 0, 1, c) for c in found)
