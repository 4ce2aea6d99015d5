"""Windows that slide over images: convolution and pooling. Pure functions on tuples."""

from __future__ import annotations

from collections.abc import Sequence

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


def adaptive_bounds(n: int, count: int) -> list[tuple[int, int]]:
    """Begin and end of `count` windows that cover n places evenly."""
    return [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
