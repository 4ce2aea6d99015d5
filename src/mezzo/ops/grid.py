"""Pictures read at given places: grid_sample, and the grids of affine maps."""

from __future__ import annotations

import itertools

from mezzo import dtypes
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError, UnsupportedError
from mezzo.ops.create import linspace, ones
from mezzo.ops.indirect import gather
from mezzo.ops.join import stack
from mezzo.ops.linalg import matmul
from mezzo.rules.samples import S, T

_MODES, _PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
_LOW = (dtypes.bfloat16, dtypes.float16)


def _place(at: Tensor, size: int, align: bool) -> Tensor:
    """Coordinates in -1..1 as positions of elements."""
    return (at + 1) * ((size - 1) / 2) if align else ((at + 1) * size - 1) * 0.5


def _reflected(at: Tensor, size: int, align: bool) -> Tensor:
    low, span = (0.0, float(size - 1)) if align else (-0.5, float(size))
    if span == 0:
        return at * 0
    far = (at - low).abs()
    turns = (far / span).floor()
    extra = far - turns * span
    odd = turns.remainder(2)
    return extra * (1 - 2 * odd) + odd * span + low


def _inside(at: Tensor, size: int, padding: str, align: bool) -> Tensor:
    if padding == "reflection":
        at = _reflected(at, size, align)
    return at if padding == "zeros" else at.clamp(0, size - 1)


def _keys(t: Tensor) -> list[Tensor]:
    """The four weights of cubic interpolation at offset t."""
    a = -0.75

    def near(x):
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x):
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _taps(
    at: Tensor, size: int, mode: str, padding: str, align: bool
) -> list[tuple[Tensor, Tensor]]:
    """(position, weight) of every element of one axis that takes part; what is outside weighs nothing."""
    if mode == "nearest":
        found = [(_inside(at, size, padding, align).round(), None)]
    elif mode == "bilinear":
        at = _inside(at, size, padding, align)
        low = at.floor()
        part = at - low
        found = [(low, 1 - part), (low + 1, part)]
    else:
        low = at.floor()
        found = [
            (_inside(low + i - 1, size, padding, align), w) for i, w in enumerate(_keys(at - low))
        ]
    taps = []
    for position, weight in found:
        position = position.detach()
        there = ((position >= 0) & (position <= size - 1)).to(at.dtype)
        taps.append(
            (
                position.clamp(0, size - 1).to(dtypes.int64),
                there if weight is None else weight * there,
            )
        )
    return taps


def _check(input: Tensor, grid: Tensor, mode: str, padding: str) -> None:
    if mode not in _MODES:
        raise Fact(
            ArgumentValueError,
            f"expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'",
        )
    if padding not in _PADDINGS:
        raise Fact(
            ArgumentValueError,
            f"expected padding_mode to be 'zeros', 'border', or 'reflection', but got: '{padding}'",
        )
    if input.ndim not in (4, 5) or grid.ndim != input.ndim:
        raise Fact(ShapeError, f"expected 4D or 5D input and grid with the same number of dimensions, but got input with sizes "
                               f"{list(input.shape)} and grid with sizes {list(grid.shape)}")  # fmt: skip
    if input.shape[0] != grid.shape[0] or grid.shape[-1] != input.ndim - 2:
        raise Fact(ShapeError, f"grid of shape {list(grid.shape)} must be ({input.shape[0]}, ..., {input.ndim - 2}) for input of "
                               f"shape {list(input.shape)}")  # fmt: skip
    if 0 in input.shape[2:]:
        raise Fact(
            ShapeError,
            f"expected input to have non-empty spatial dimensions, but input has sizes {list(input.shape)}",
        )
    if mode == "bicubic" and input.ndim != 4:
        raise Fact(UnsupportedError, "bicubic interpolation only supports 4D input")
    if input.dtype is not grid.dtype or not input.dtype.is_floating_point:
        raise Fact(DTypeError, f"expected input and grid to have one floating dtype, but input has {input.dtype.name} and grid "
                               f"{grid.dtype.name}")  # fmt: skip


@composite(where="nn.functional", cast=Cast(cpu="fp32", cuda="promote"), samples=[
    S(T(*shape), T(*to, low=-1.3, high=1.3), mode, padding, align, only=("float32", "float64"))
    for shape, to, mode, padding, align in (
        ((2, 3, 4, 5), (2, 3, 2, 2), "bilinear", "zeros", None), ((2, 3, 4, 5), (2, 3, 2, 2), "bilinear", "border", True),
        ((2, 3, 4, 5), (2, 3, 2, 2), "bilinear", "reflection", False), ((2, 3, 4, 5), (2, 3, 2, 2), "nearest", "zeros", True),
        ((1, 2, 4, 5), (1, 3, 2, 2), "bicubic", "zeros", False), ((1, 2, 4, 5), (1, 3, 2, 2), "bicubic", "border", True),
        ((1, 2, 4, 5), (1, 3, 2, 2), "bicubic", "reflection", False), ((1, 2, 3, 4, 2), (1, 2, 1, 3, 3), "bilinear", "zeros", True),
        ((1, 2, 3, 4, 2), (1, 2, 1, 3, 3), "nearest", "reflection", False))],
    errors=[(S(T(2, 3, 4, 5), T(1, 3, 2, 2)), RuntimeError, "grid of shape"), (S(T(2, 3, 4, 5), T(2, 3, 2, 2), "cubic"), ValueError, "cubic")])  # fmt: skip
def grid_sample(
    input: Tensor, grid: Tensor, mode="bilinear", padding_mode="zeros", align_corners=None
) -> Tensor:
    """A picture or volume read at the places of a grid, (x, y[, z]) in -1..1 each.

    Shapes: (n, c, h, w), (n, p, q, 2) -> (n, c, p, q); (n, c, d, h, w), (n, o, p, q, 3) -> (n, c, o, p, q)
    Source: torch.nn.functional.grid_sample
    """
    _check(input, grid, mode, padding_mode)
    if input.dtype in _LOW:
        wide = grid_sample(input.float(), grid.float(), mode, padding_mode, align_corners)
        return wide.to(input.dtype)
    n, c, *sizes = input.shape
    to, align, axes = tuple(grid.shape[1:-1]), bool(align_corners), len(sizes)
    taps = []
    for axis, size in enumerate(sizes):
        at = _place(grid.select(-1, axes - 1 - axis), size, align)
        taps.append(_taps(at, size, mode, padding_mode, align))
    flat, total = input.flatten(2), None
    for corner in itertools.product(*taps):
        place, weight = corner[0]
        for (position, w), size in zip(corner[1:], sizes[1:]):
            place, weight = place * size + position, weight * w
        count = place[0].numel() if n else 0
        index = place.reshape((n, 1, count)).expand((n, c, count))
        term = gather(flat, 2, index).reshape((n, c, *to)) * weight.unsqueeze(1)
        total = term if total is None else total + term
    return total


@composite(where="nn.functional", samples=[
    S(T(2, 2, 3), (2, 3, 4, 5), None, only=("float32", "float64")), S(T(1, 2, 3), (1, 1, 3, 2), True, only=("float32", "float64")),
    S(T(1, 3, 4), (1, 1, 2, 3, 2), False, only=("float32", "float64"))])  # fmt: skip
def affine_grid(theta: Tensor, size, align_corners=None) -> Tensor:
    """The grid for grid_sample at which an affine map reads its picture.

    Shapes: (n, 2, 3), size (n, c, h, w) -> (n, h, w, 2); (n, 3, 4), size (n, c, d, h, w) -> (n, d, h, w, 3)
    Source: torch.nn.functional.affine_grid
    """
    axes = len(size) - 2
    if axes not in (2, 3) or tuple(theta.shape) != (size[0], axes, axes + 1):
        raise Fact(ShapeError, f"expected a batch of {axes}D affine matrices of shape ({size[0]}, {axes}, {axes + 1}) for size "
                               f"{tuple(size)}, but got {list(theta.shape)}")  # fmt: skip
    sizes, made = tuple(size[2:]), {"dtype": theta.dtype, "device": theta.device}
    columns = []
    for axis in reversed(range(axes)):
        line = linspace(-1, 1, sizes[axis], **made)
        line = line if align_corners else line * ((sizes[axis] - 1) / sizes[axis])
        columns.append(line.reshape([-1 if i == axis else 1 for i in range(axes)]).expand(sizes))
    base = stack([*columns, ones(sizes, **made)], -1).reshape((1, -1, axes + 1))
    places = matmul(base.expand((size[0], *base.shape[1:])), theta.transpose(1, 2))
    return places.reshape((size[0], *sizes, axes))
