"""Pictures read at given places: grid_sample, and the grids of affine maps."""

from __future__ import annotations

from mezzo.core.families.grids import grids
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError, UnsupportedError
from mezzo.kernels.cpu.grid import DEGREE
from mezzo.ops.create import linspace, zeros
from mezzo.ops.shape import reshape
from mezzo.rules import batching
from mezzo.rules.samples import S, T

_MODES, _PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


# ---- records: reading, and its transposes by the image and by the grid


def _batch(record, size, args, batched):
    """The batch joins the images."""
    full = batching.every(args, batched, size, record.operands)
    for i in record.operands:
        x = full[i]
        full[i] = reshape(x, (size * x.shape[1], *x.shape[2:]))
    y = record.apply(tuple(full))
    return reshape(y, (size, y.shape[0] // size, *y.shape[1:]))


def _further(h: Tensor, how: tuple, order: tuple):
    """(part of a direction of the grid, order of derivatives) for every axis whose weights have that derivative."""
    axes = len(order)
    for axis, known in enumerate(order):
        if known < DEGREE[how[0]]:
            by = tuple(n + (i == axis) for i, n in enumerate(order))
            yield h.select(-1, axes - 1 - axis).unsqueeze(1), by


def _sum(terms, like: Tensor) -> Tensor:
    total = None
    for term in terms:
        total = term if total is None else total + term
    return zeros(like.shape, dtype=like.dtype, device=like.device) if total is None else total


def _by_grid(grad: Tensor, input: Tensor, grid: Tensor, how: tuple, order: tuple) -> Tensor:
    if min(order) >= DEGREE[how[0]]:  # the nearest element does not change
        return zeros(grid.shape, dtype=grid.dtype, device=grid.device)
    return grid_pull(grad, input, grid, how, order)


@grids(kind="sample", where="", batch=_batch, samples=[], grad_name=lambda args: f"GridSampler{args[0].ndim - 2}DBackward0",
       vjp={"input": lambda g, _y, _x, grid, how, order: grid_spread(g, grid, tuple(_x.shape[2:]), how, order),
            "grid": lambda g, _y, input, grid, how, order: _by_grid(g, input, grid, how, order)})  # fmt: skip
def grid_sampled(input: Tensor, grid: Tensor, how, order) -> Tensor:
    """Sums of an image's elements around every place of a grid, with the weights of `how` differentiated `order` times."""


@grids(kind="spread", where="", batch=_batch, samples=[],
       vjp={"grad": lambda g, _y, _g, grid, size, how, order: grid_sampled(g, grid, how, order),
            "grid": lambda g, _y, grad, grid, size, how, order: _by_grid(grad, g, grid, how, order)})  # fmt: skip
def grid_spread(grad: Tensor, grid: Tensor, size, how, order) -> Tensor:
    """The transpose of grid_sampled by its image, of spatial sizes `size`."""


@grids(kind="pull", where="", batch=_batch, samples=[],
       vjp={"grad": lambda g, _y, _g, input, grid, how, order: _sum(
                (h * grid_sampled(input, grid, how, by) for h, by in _further(g, how, order)), _g),
            "input": lambda g, _y, grad, _x, grid, how, order: _sum(
                (grid_spread(h * grad, grid, tuple(_x.shape[2:]), how, by) for h, by in _further(g, how, order)), _x),
            "grid": lambda g, _y, grad, input, grid, how, order: _sum(
                (_by_grid(h * grad, input, grid, how, by) for h, by in _further(g, how, order)), grid)})  # fmt: skip
def grid_pull(grad: Tensor, input: Tensor, grid: Tensor, how, order) -> Tensor:
    """The transpose of grid_sampled by its grid: of the shape of the grid."""


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
    how = (mode, padding_mode, bool(align_corners))
    return grid_sampled(input, grid, how, (0,) * (input.ndim - 2))


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
    parts = []
    for column, axis in enumerate(reversed(range(axes))):
        # A coordinate's share varies along one axis only: the last sum alone is as large as the grid.
        line = linspace(-1, 1, sizes[axis], **made)
        line = line if align_corners else line * ((sizes[axis] - 1) / sizes[axis])
        share = line.reshape((1, -1, 1)) * theta[:, :, column].unsqueeze(1)
        share = share.reshape((-1, *[sizes[i] if i == axis else 1 for i in range(axes)], axes))
        parts.append(share)
    shift = theta[:, :, axes].reshape((-1, *[1] * axes, axes))
    total = parts[-1] + shift
    for share in reversed(parts[:-1]):
        total = total + share
    return total
