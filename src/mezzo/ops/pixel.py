"""Channels and pixels traded for each other."""

from __future__ import annotations

from mezzo.core.record import composite
from mezzo.core.tensor import Tensor
from mezzo.errors import Fact, ShapeError
from mezzo.ops.axes import movedim
from mezzo.ops.shape import permute, reshape
from mezzo.rules.samples import S, T


def _need_image(input: Tensor) -> tuple[int, ...]:
    if input.ndim < 3:
        raise Fact(
            ShapeError,
            f"expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)",
        )
    return tuple(input.shape[:-3])


def _need_positive(name: str, factor: int) -> None:
    if factor <= 0:
        raise Fact(ShapeError, f"expects a positive {name}, but got {factor}")


@composite(where="mezzo nn.functional", samples=[S(T(1, 8, 2, 3), 2), S(T(9, 2, 2), 3), S(T(2, 2, 4, 1, 2), 2)],
           errors=[(S(T(1, 3, 2, 2), 2), ShapeError, "divisible"), (S(T(2, 2), 2), ShapeError, "at least 3")])  # fmt: skip
def pixel_shuffle(input: Tensor, upscale_factor) -> Tensor:
    """Channels laid out as pixels: r x r of them become one larger picture.

    Math:   y[c, r h + i, r w + j] = x[c r^2 + r i + j, h, w]
    Shapes: (..., c r^2, h, w) -> (..., c, h r, w r)
    Source: torch.nn.functional.pixel_shuffle
    """
    lead, r = _need_image(input), upscale_factor
    _need_positive("upscale_factor", r)
    c, h, w = input.shape[-3:]
    if c % (r * r):
        raise Fact(ShapeError, f"expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
                               f"{c} is not divisible by {r * r}")  # fmt: skip
    n = len(lead)
    parts = reshape(input, (*lead, c // (r * r), r, r, h, w))
    moved = permute(parts, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return reshape(moved, (*lead, c // (r * r), h * r, w * r)).contiguous()


@composite(where="mezzo nn.functional", samples=[S(T(1, 2, 4, 6), 2), S(T(1, 6, 3), 3)],
           errors=[(S(T(1, 3, 3, 2), 2), ShapeError, "divisible")])  # fmt: skip
def pixel_unshuffle(input: Tensor, downscale_factor) -> Tensor:
    """Pixels laid out as channels: the inverse of pixel_shuffle.

    Shapes: (..., c, h r, w r) -> (..., c r^2, h, w)
    Source: torch.nn.functional.pixel_unshuffle
    """
    lead, r = _need_image(input), downscale_factor
    _need_positive("downscale_factor", r)
    c, h, w = input.shape[-3:]
    for name, size in (("height", h), ("width", w)):
        if size % r:
            raise Fact(
                ShapeError,
                f"expects {name} to be divisible by downscale_factor, but {size} is not divisible by {r}",
            )
    n = len(lead)
    parts = reshape(input, (*lead, c, h // r, r, w // r, r))
    moved = permute(parts, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return reshape(moved, (*lead, c * r * r, h // r, w // r)).contiguous()


@composite(where="mezzo nn.functional", samples=[S(T(1, 6, 2, 3), 2), S(T(2, 6, 3), 3)],
           errors=[(S(T(1, 6, 2, 3), 4), ShapeError, "divisible")])  # fmt: skip
def channel_shuffle(input: Tensor, groups) -> Tensor:
    """Channels dealt out in turn: those of a group go one to each new group.

    Shapes: (n, c, ...) -> (n, c, ...)
    Source: torch.nn.functional.channel_shuffle
    """
    _need_positive("groups", groups)
    if input.ndim < 3:
        raise Fact(ShapeError, f"expects input with > 2 dims, and it has {input.ndim}")
    c = input.shape[1]
    if c % groups:
        raise Fact(
            ShapeError,
            f"number of channels must be divisible by groups: {c} is not divisible by {groups}",
        )
    parts = reshape(input, (input.shape[0], groups, c // groups, *input.shape[2:]))
    return reshape(movedim(parts, 1, 2), tuple(input.shape))
