"""Interpolation: pictures, sequences and volumes at another size."""

from __future__ import annotations

import math

from mezzo import dtypes
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import (
    ArgumentValueError,
    Fact,
    ShapeError,
    UnsupportedDTypeError,
    UnsupportedError,
)
from mezzo.ops.copy import clone
from mezzo.ops.data import tensor
from mezzo.ops.gather import index_select
from mezzo.ops.pad import FLOATS, resample
from mezzo.rules.samples import S, T
from mezzo.rules.taps import nearest

_RANKS = {"nearest": (3, 4, 5), "nearest-exact": (3, 4, 5), "area": (3, 4, 5), "linear": (3,), "bilinear": (4,),
          "bicubic": (4,), "trilinear": (5,)}  # fmt: skip
_ALIGNED = ("linear", "bilinear", "bicubic", "trilinear")


def _spec(
    mode: str, size: int, to: int, align: bool, scale, compute: str, antialias: bool
) -> tuple:
    if mode in ("nearest", "nearest-exact"):
        return "nearest", size, to, scale, mode == "nearest-exact"
    if mode == "area":
        return "area", size, to
    kind = "cubic" if mode == "bicubic" else "linear"
    if antialias:
        return "smooth", kind, size, to, align, scale
    return kind, size, to, align, scale, compute


@composite(where="", cast=Cast(cuda="fp32"), samples=[])
def upsample_axes(input: Tensor, sizes, scales, mode, align, antialias) -> Tensor:
    """The spatial axes at new sizes, one after the other (upsample_bilinear2d and its kin).

    Shapes: (n, c, ...) -> (n, c, *sizes)
    """
    if input.dtype is dtypes.uint8:
        for axis, (to, scale) in enumerate(zip(sizes, scales), 2):
            index = nearest(input.shape[axis], to, scale, mode == "nearest-exact")
            input = index_select(input, axis, tensor(index.tolist(), device=input.device))
        return input
    given, compute = input.dtype, "f64" if input.dtype is dtypes.float64 else "f32"
    work = []
    for axis, (to, scale) in enumerate(zip(sizes, scales), 2):
        size = input.shape[axis]
        same = size == to and not antialias and (scale is None or scale == 1.0)
        if not same:
            work.append(
                (to / max(size, 1), -axis, _spec(mode, size, to, align, scale, compute, antialias))
            )
    work.sort(
        key=lambda step: step[:2]
    )  # shrinking first, and among equals the last axis: fewer elements on the way
    for i, (_, axis, spec) in enumerate(work):
        last = i + 1 == len(work)
        input = resample(input, -axis, spec, given if last or compute == "f64" else dtypes.float32)
    return input if work else clone(input)


def _target(input: Tensor, size, scale_factor, recompute) -> tuple[tuple, tuple]:
    """(sizes, scales) of the spatial axes; a scale is None where the sizes decide."""
    axes = input.ndim - 2
    if (size is None) == (scale_factor is None):
        which = (
            "either size or scale_factor should be defined"
            if size is None
            else "only one of size or scale_factor should be defined"
        )
        raise Fact(ArgumentValueError, which, "Give size=(h, w) or scale_factor=2.")
    name, value = ("size", size) if size is not None else ("scale_factor", scale_factor)
    many = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(many) != axes:
        raise Fact(ArgumentValueError, f"input has {axes} spatial dimensions, and {name} has {len(many)} values: {list(many)}",
                   "Input must be (n, c, ...) with one value for each further axis.")  # fmt: skip
    if name == "size":
        if recompute:
            raise Fact(
                ArgumentValueError,
                "recompute_scale_factor is not meaningful with an explicit size.",
            )
        sizes, scales = tuple(s.__index__() for s in many), (None,) * axes
    else:
        sizes = tuple(math.floor(float(n) * s) for n, s in zip(input.shape[2:], many))
        scales = (None,) * axes if recompute else tuple(map(float, many))
    if any(s <= 0 for s in sizes) or 0 in input.shape[1:]:
        raise Fact(ShapeError, f"input and output sizes should be greater than 0, but got input {list(input.shape)} and output "
                               f"sizes {list(sizes)}")  # fmt: skip
    return sizes, scales


def _check_mode(input: Tensor, mode: str, align_corners, antialias: bool) -> None:
    if mode not in _RANKS:
        raise Fact(
            UnsupportedError, f"unknown mode {mode!r}", f"It must be one of {', '.join(_RANKS)}."
        )
    if align_corners is not None and mode not in _ALIGNED:
        raise Fact(ArgumentValueError, "align_corners option can only be set with the interpolating modes: "
                                       f"{' | '.join(_ALIGNED)}, and mode is '{mode}'")  # fmt: skip
    if input.ndim not in _RANKS[mode]:
        wanted = " or ".join(f"{n}-D" for n in _RANKS[mode])
        raise Fact(
            UnsupportedError,
            f"got {input.ndim}D input, but mode '{mode}' needs {wanted} input (n, c, spatial axes)",
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise Fact(
            ArgumentValueError,
            f"antialias option is restricted to bilinear and bicubic modes, and mode is '{mode}'",
        )
    plain = input.dtype is dtypes.uint8 and mode in ("nearest", "nearest-exact")
    if not input.dtype.is_floating_point and not plain:
        raise Fact(
            UnsupportedDTypeError,
            f"mode '{mode}' is not implemented for {input.dtype.name}",
            "Convert with x.float().",
        )


def _interpolate(input, size, scale_factor, mode, align_corners, recompute, antialias) -> Tensor:
    _check_mode(input, mode, align_corners, antialias)
    sizes, scales = _target(input, size, scale_factor, recompute)
    if mode == "area":  # adaptive pooling: cells by size alone
        scales = (None,) * len(sizes)
    return upsample_axes(input, sizes, scales, mode, bool(align_corners), antialias)


@composite(where="nn.functional", samples=[
    S(T(2, 3, 5), 8), S(T(2, 3, 4, 5), (7, 3), only=(*FLOATS, "uint8")), S(T(1, 2, 3, 4, 2), None, 2, only=(*FLOATS, "uint8")),
    S(T(2, 3, 4, 5), None, (1.6, 0.7), "nearest-exact", only=(*FLOATS, "uint8")),
    S(T(2, 3, 5), 8, None, "linear", only=FLOATS), S(T(2, 3, 5), None, 1.7, "linear", True, only=FLOATS),
    S(T(2, 3, 4, 5), (7, 9), None, "bilinear", only=FLOATS), S(T(2, 3, 4, 5), (7, 3), None, "bilinear", True, only=FLOATS),
    S(T(2, 3, 4, 5), None, 2.3, "bilinear", False, only=FLOATS), S(T(2, 3, 4, 5), None, 2.3, "bilinear", False, True, only=FLOATS),
    S(T(2, 3, 4, 5), (7, 3), None, "bicubic", only=FLOATS), S(T(2, 3, 4, 5), None, 2, "bicubic", True, only=FLOATS),
    S(T(1, 2, 3, 4, 2), (5, 2, 3), None, "trilinear", only=FLOATS), S(T(1, 2, 3, 4, 2), None, 2, "trilinear", True, only=FLOATS),
    S(T(2, 3, 4, 5), (2, 4), None, "area", only=FLOATS), S(T(2, 3, 5), 8, None, "area", only=FLOATS),
    S(T(2, 3, 4, 20), (3, 5), None, "bilinear", antialias=True, only=("float32", "float64")),
    S(T(2, 3, 9, 20), (3, 30), None, "bicubic", antialias=True, only=("float32", "float64")),
    S(T(2, 3, 4, 5), (4, 5), None, "bilinear", only=FLOATS)],
    errors=[(S(T(2, 3, 5)), ValueError, "either size or scale_factor"), (S(T(2, 3, 5), 3, 2.0), ValueError, "only one of"),
            (S(T(2, 3, 5), 3, None, "bilinear"), NotImplementedError, "3D input"),
            (S(T(2, 3, 5), 3, None, "nearest", True), ValueError, "align_corners"),
            (S(T(2, 3, 5), (3, 4)), ValueError, "spatial dimensions"), (S(T(2, 3, 5), 0), RuntimeError, "greater than 0"),
            (S(T(2, 3, 5), 3, None, "spline"), NotImplementedError, "spline")])  # fmt: skip
def interpolate(input: Tensor, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
                antialias=False) -> Tensor:  # fmt: skip
    """The spatial axes at another size, or scaled by a factor.

    mode: nearest, nearest-exact, linear (n, c, w), bilinear, bicubic (n, c, h, w), trilinear (n, c, d, h, w), area.

    Shapes: (n, c, ...) -> (n, c, *size)
    Dtypes: floats; uint8 for the nearest modes
    Source: torch.nn.functional.interpolate
    """
    return _interpolate(
        input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )


@composite(where="nn.functional", samples=[S(T(1, 2, 3, 4), (5, 6), None, "bilinear", only=FLOATS)])
def upsample(
    input: Tensor, size=None, scale_factor=None, mode="nearest", align_corners=None
) -> Tensor:
    """interpolate, under its older name.

    Shapes: (n, c, ...) -> (n, c, *size)
    Source: torch.nn.functional.upsample
    """
    return _interpolate(input, size, scale_factor, mode, align_corners, None, False)


@composite(where="nn.functional", samples=[S(T(1, 2, 3, 4), None, 2, only=FLOATS)])
def upsample_nearest(input: Tensor, size=None, scale_factor=None) -> Tensor:
    """interpolate in mode nearest.

    Shapes: (n, c, ...) -> (n, c, *size)
    Source: torch.nn.functional.upsample_nearest
    """
    return _interpolate(input, size, scale_factor, "nearest", None, None, False)


@composite(where="nn.functional", samples=[S(T(1, 2, 3, 4), None, 2, only=FLOATS)])
def upsample_bilinear(input: Tensor, size=None, scale_factor=None) -> Tensor:
    """interpolate in mode bilinear with align_corners=True.

    Shapes: (n, c, h, w) -> (n, c, *size)
    Source: torch.nn.functional.upsample_bilinear
    """
    return _interpolate(input, size, scale_factor, "bilinear", True, None, False)
