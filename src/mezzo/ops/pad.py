"""Padding: margins of one value, of mirrored, repeated or wrapped elements; sums of weighted elements of an axis."""

from __future__ import annotations

from mezzo.core.families.frame import frame
from mezzo.core.families.taps import taps
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.dtypes import BOOL
from mezzo.errors import (
    ArgumentTypeError,
    Fact,
    ShapeError,
    UnsupportedDTypeError,
    UnsupportedError,
)
from mezzo.ops.copy import clone
from mezzo.ops.data import tensor
from mezzo.ops.gather import index_select
from mezzo.rules import batching
from mezzo.rules.samples import S, T
from mezzo.rules.taps import transposed

FLOATS = ("float32", "float64", "bfloat16", "float16")


def _crop(g, _y, _input, sides, value):
    return framed(g, tuple((-b, -a) for b, a in sides), 0)


@frame(grad_name="ConstantPadNdBackward0", where="", vjp={"input": _crop}, batch=lambda record, size, args, batched: record.apply(args), samples=[])  # fmt: skip
def framed(input: Tensor, sides, value) -> Tensor:
    """The tensor with margins of one value around its last axes; a negative margin cuts.

    Shapes: (..., n) -> (..., before + n + after)
    """


@taps(where="", batch=batching.dims("dim"),
      vjp={"input": lambda g, _y, _x, dim, spec, dtype: resample(g, dim, transposed(spec), _x.dtype)}, samples=[])  # fmt: skip
def resample(input: Tensor, dim, spec, dtype=None) -> Tensor:
    """Sums of weighted elements of one axis, as a table of rules/taps.py says.

    Math:   y[..., j, ...] = sum_t weight[t] input[..., index[t], ...], t in row j of the table
    Shapes: (..., from, ...) -> (..., to, ...)
    Dtypes: floats; sums are float32 or wider; dtype: the result's
    """


# ---- where a margin's elements come from: an index for every element of the new axis


def _mirrored(at: int, size: int) -> int:
    at = -at if at < 0 else at
    return 2 * (size - 1) - at if at >= size else at


_SOURCES = {
    "reflect": _mirrored,
    "replicate": lambda at, size: min(max(at, 0), size - 1),
    "circular": lambda at, size: at % size,
}


def _check(mode: str, size: int, before: int, after: int, dim: int) -> None:
    if before + size + after < 0:
        raise Fact(
            ShapeError,
            f"({before}, {after}) leaves a negative output size at dimension {dim} of size {size}",
        )
    if mode == "constant":
        return
    if mode == "reflect" and max(before, after) >= size:
        raise Fact(ShapeError, f"padding size should be less than the corresponding input dimension, but got: padding "
                               f"({before}, {after}) at dimension {dim} of size {size}", "A mirror shows no edge twice.")  # fmt: skip
    if mode == "circular" and max(before, after) > size:
        raise Fact(ShapeError, f"padding value causes wrapping around more than once: ({before}, {after}) at dimension {dim} "
                               f"of size {size}")  # fmt: skip
    if size == 0 or before + size + after <= 0:
        raise Fact(ShapeError, f"dimension {dim} has {size} elements; padded by ({before}, {after}) it would have "
                               f"{max(before + size + after, 0)} made from nothing")  # fmt: skip


def _copied(input: Tensor, sides, mode: str) -> Tensor:
    """Margins made of the tensor's own elements, axis by axis."""
    lead = input.ndim - len(sides)
    for i, (before, after) in enumerate(sides):
        size = input.shape[lead + i]
        if not before and not after:
            continue
        index = tuple(_SOURCES[mode](at, size) for at in range(-before, size + after))
        if input.dtype.is_floating_point:
            input = resample(input, lead + i, ("picked", size, index))
        else:
            input = index_select(input, lead + i, tensor(index, device=input.device))
    return input


@composite(where="", cast=Cast(cpu="fp32"), samples=[])
def edge_pad(input: Tensor, sides, mode) -> Tensor:
    """Margins that mirror or repeat the edge (reflection_pad, replication_pad).

    Shapes: (..., n) -> (..., before + n + after)
    """
    return _copied(input, sides, mode)


def _sides(input: Tensor, pad, mode: str) -> tuple:
    """(before, after) by axis, first axis first, checked."""
    if not isinstance(pad, (tuple, list)) or not all(hasattr(p, "__index__") for p in pad):
        raise Fact(ArgumentTypeError, f"argument 2 (pad) must be a tuple of ints, not {pad!r}")
    if len(pad) % 2:
        raise Fact(ShapeError, f"padding length must be divisible by 2, and pad has {len(pad)} numbers",
                   "Give (left, right), (left, right, top, bottom), ...")  # fmt: skip
    axes = len(pad) // 2
    if axes > input.ndim:
        raise Fact(ShapeError, f"padding length should be less than or equal to two times the input dimension: pad has {len(pad)} "
                               f"numbers and input {input.ndim} axes")  # fmt: skip
    if mode != "constant" and (axes not in (1, 2, 3) or input.ndim not in (axes + 1, axes + 2)):
        raise Fact(UnsupportedError, f"only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: mode '{mode}' "
                                     f"with {len(pad)} numbers needs {axes + 1} or {axes + 2} axes, and input has {input.ndim}")  # fmt: skip
    pairs = [(pad[2 * i].__index__(), pad[2 * i + 1].__index__()) for i in range(axes)]
    return tuple(reversed(pairs))


@composite(where="nn.functional", samples=[
    S(T(2, 3), (1, 2)), S(T(2, 3, 4), (1, 0, 2, 1), "constant", 0.5), S(T(2, 5), (-1, 2, 1, -1), value=2.0), S(T(4), (0, 0)),
    S(T(0, 3), (1, 1, 2, 0), "constant", 1), S(T(2, 3, 4), (2, 1), "circular"), S(T(1, 2, 3, 4), (2, 1, 0, 3), "circular"),
    S(T(2, 3, 4), (2, 1), "reflect"), S(T(2, 3, 4, 5), (2, 1, 0, 3), "reflect"), S(T(2, 3, 4), (-1, 3), "reflect"),
    S(T(2, 3, 4), (5, 1), "replicate"), S(T(1, 3, 4, 20), (2, 1, 0, 3), "replicate"), S(T(1, 2, 2, 3, 2), (1, 1, 2, 0, 0, 1), "replicate")],
    errors=[(S(T(2, 3), (1, 2, 3)), ShapeError, "divisible by 2"), (S(T(3), (1, 2, 3, 4)), ShapeError, "two times"),
            (S(T(2, 3, 4), (4, 0), "reflect"), ShapeError, "less than the corresponding"),
            (S(T(2, 3), (-2, -2)), ShapeError, "negative output size"),
            (S(T(2, 3, 4), (5, 0), "circular"), ShapeError, "more than once"),
            (S(T(2), (1, 1), "reflect"), NotImplementedError, "non-constant"),
            (S(T(2, 3), (1, 1), "mirror"), NotImplementedError, "mirror")])  # fmt: skip
def pad(input: Tensor, pad, mode="constant", value=None) -> Tensor:
    """The tensor with margins around its last axes; a negative margin cuts.

    pad is (left, right, top, bottom, ...), the last axis first. mode: "constant" (filled with value, or zero),
    "reflect", "replicate", "circular".

    Shapes: (..., n) -> (..., left + n + right)
    Source: torch.nn.functional.pad
    """
    if mode not in ("constant", *_SOURCES):
        raise Fact(
            UnsupportedError,
            f"unrecognised padding mode {mode!r}",
            "It must be constant, reflect, replicate or circular.",
        )
    sides = _sides(input, pad, mode)
    lead = input.ndim - len(sides)
    for i, (before, after) in enumerate(sides):
        _check(mode, input.shape[lead + i], before, after, lead + i)
    if mode in ("reflect", "replicate") and input.dtype.category == BOOL:
        raise Fact(
            UnsupportedDTypeError,
            f"mode '{mode}' is not implemented for bool",
            "Convert with x.int().",
        )
    if mode == "constant":
        return framed(input, sides, 0 if value is None else value) if sides else clone(input)
    if value not in (None, 0):
        raise Fact(
            ShapeError, f"padding mode '{mode}' doesn't take in value argument, and got {value!r}"
        )
    return _copied(input, sides, mode) if mode == "circular" else edge_pad(input, sides, mode)
