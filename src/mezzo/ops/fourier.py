"""Discrete Fourier transforms, through NumPy's pocketfft.

Three internal records, each the adjoint of another or of itself: complex to complex (either sign), real to the half
spectrum, half spectrum to real. What `norm` says is a factor.
"""

from __future__ import annotations

import math

import numpy as np

from mezzo import dtypes
from mezzo.core.families.host import host
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError
from mezzo.ops.complex_arithmetic import complex_of
from mezzo.ops.complexes import conj
from mezzo.ops.create import arange
from mezzo.ops.data import tensor
from mezzo.ops.join import cat
from mezzo.ops.shape import slice_dim
from mezzo.rules import batching, shapes
from mezzo.rules.samples import S, T

FP32 = Cast(cpu="fp32")
PRECISE = ("float32", "float64")


def _front(record, size, args, batched):
    x, axes, *rest = batching.every(args, batched, size, record.operands)
    moved = tuple(a + 1 for a in axes) if isinstance(axes, tuple) else axes + 1
    return record.apply((x, moved, *rest))


def _dft_fill(outs, x, axes, sign, scale):
    for axis in reversed(axes):  # as fftn does, without its checks
        x = np.fft.fft(x, axis=axis) if sign < 0 else np.fft.ifft(x, axis=axis, norm="forward")
    outs[0][...] = x if scale == 1 else x * scale


@host(where="", results=lambda x, axes, sign, scale: (tuple(x.shape), x.dtype), fill=_dft_fill, batch=_front, samples=[],
      vjp={"input": lambda g, _y, _input, axes, sign, scale: dft(g, axes, -sign, scale)})  # fmt: skip
def dft(input: Tensor, axes, sign, scale) -> Tensor:
    """scale * sum_t x[t] exp(sign 2 pi i k t / n) over the axes."""


def _half_results(x, axis, scale):
    shape = list(x.shape)
    shape[axis] = shape[axis] // 2 + 1
    return tuple(shape), x.dtype.to_complex()


def _half_fill(outs, x, axis, scale):
    found = np.fft.rfft(x, axis=axis)
    outs[0][...] = found if scale == 1 else found * scale


def _half_vjp(g, _y, _input, axis, scale):
    size = _input.shape[axis]
    full = _sized(g, axis, size)
    return dft(full, (axis,), 1, scale).real


@host(
    where="",
    results=_half_results,
    fill=_half_fill,
    batch=_front,
    samples=[],
    vjp={"input": _half_vjp},
)
def half_dft(input: Tensor, axis, scale) -> Tensor:
    """The first half of the transform of real numbers; the other is its mirror image."""


def _real_results(x, axis, size, scale):
    shape = list(x.shape)
    shape[axis] = size
    return tuple(shape), x.dtype.to_real()


def _real_fill(outs, x, axis, size, scale):
    found = np.fft.irfft(x, n=size, axis=axis, norm="forward")
    outs[0][...] = found if scale == 1 else found * scale


def _real_vjp(g, _y, _input, axis, size, scale):
    half = half_dft(g, axis, scale)
    count = half.shape[axis]
    twice = (
        [2.0] * count
    )  # every term but the first, and the middle one of an even size, stands for its mirror image too
    twice[0] = 1.0
    if size % 2 == 0:
        twice[-1] = 1.0
    shape = (-1,) + (1,) * (half.ndim - axis - 1)
    weights = tensor(twice, dtype=g.dtype, device=g.device).reshape(shape)
    return _sized(half * weights, axis, _input.shape[axis])


def _real_batched(record, size, args, batched):
    (x,) = batching.every(args[:1], batched, size, (0,))
    return record.apply((x, args[1] + 1, *args[2:]))


@host(
    where="",
    results=_real_results,
    fill=_real_fill,
    batch=_real_batched,
    samples=[],
    vjp={"input": _real_vjp},
)
def real_dft(input: Tensor, axis, size, scale) -> Tensor:
    """The real signal of `size` whose transform begins with input."""


# ---- sizes, axes and factors


def _sized(x: Tensor, axis: int, size: int) -> Tensor:
    """x cut or filled with zeros to a size."""
    have = x.shape[axis]
    if size < have:
        return slice_dim(x, axis, 0, size, 1)
    if size == have:
        return x
    shape = list(x.shape)
    shape[axis] = size - have
    return cat((x, x.new_zeros(shape)), axis)


def _scale(norm, count: int, inverse: bool) -> float:
    if norm not in (None, "forward", "backward", "ortho"):
        raise Fact(ArgumentValueError, f"Invalid normalization mode: {norm!r}", 'Use "forward", "backward" or "ortho".')  # fmt: skip
    if norm == "ortho":
        return 1 / math.sqrt(count)
    return 1 / count if inverse == (norm in (None, "backward")) else 1.0


def _floating(x: Tensor) -> Tensor:
    if x.dtype in (dtypes.float16, dtypes.bfloat16):
        raise Fact(DTypeError, f"Unsupported dtype {x.dtype.name}", "Convert with x.float().")
    return x if x.dtype.category >= dtypes.FLOAT else x.to(dtypes.Defaults.float_dtype)


def _as_complex(x: Tensor) -> Tensor:
    x = _floating(x)
    return x if x.dtype.is_complex else complex_of(x, 0.0)


def _axes(x: Tensor, s, dim) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(axes, sizes) of a transform over several axes."""
    if s is not None:
        s = (s,) if isinstance(s, int) else tuple(s)
    if dim is None:
        dim = tuple(range(x.ndim)) if s is None else tuple(range(x.ndim - len(s), x.ndim))
    dim = (dim,) if isinstance(dim, int) else tuple(dim)
    axes = shapes.axes(dim, x.ndim)
    if s is not None and len(s) != len(axes):
        raise Fact(ShapeError, f"When given, dim and shape arguments must have the same length, and have {len(axes)} and {len(s)}")  # fmt: skip
    sizes = tuple(x.shape[a] if s is None or s[i] == -1 else s[i] for i, a in enumerate(axes))
    if any(n < 1 for n in sizes):
        raise Fact(ShapeError, f"Invalid number of data points ({min(sizes)}) specified")
    return axes, sizes


def _complex(input: Tensor, s, dim, norm, inverse: bool) -> Tensor:
    x = _as_complex(input)
    axes, sizes = _axes(x, s, dim)
    for axis, size in zip(axes, sizes):
        x = _sized(x, axis, size)
    return dft(x, axes, 1 if inverse else -1, _scale(norm, math.prod(sizes), inverse))


def _to_half(input: Tensor, s, dim, norm, inverse: bool = False) -> Tensor:
    x = _floating(input)
    if x.dtype.is_complex:
        raise Fact(DTypeError, f"expects a real input tensor, but got {x.dtype.name}")
    axes, sizes = _axes(x, s, dim)
    for axis, size in zip(axes, sizes):
        x = _sized(x, axis, size)
    y = half_dft(x, axes[-1], _scale(norm, math.prod(sizes), inverse))
    return dft(y, axes[:-1], -1, 1.0) if axes[1:] else y


def _to_real(input: Tensor, s, dim, norm, inverse: bool = True) -> Tensor:
    x = _as_complex(input)
    axes, sizes = _axes(x, s, dim)
    last = s[-1] if isinstance(s, (tuple, list)) else s
    if last is None or last == -1:
        sizes = (*sizes[:-1], 2 * (x.shape[axes[-1]] - 1))
    if sizes[-1] < 1:
        raise Fact(ShapeError, f"Invalid number of data points ({sizes[-1]}) specified")
    for axis, size in zip(axes, (*sizes[:-1], sizes[-1] // 2 + 1)):
        x = _sized(x, axis, size)
    if axes[1:]:
        x = dft(x, axes[:-1], 1, 1.0)
    return real_dft(x, axes[-1], sizes[-1], _scale(norm, math.prod(sizes), inverse))


# ---- one axis

_ONE = [S(T(6), only=PRECISE), S(T(3, 5), 7, 0, only=PRECISE), S(T(3, 5), 4, norm="ortho", only=PRECISE), S(T(2, 5), norm="forward", only=PRECISE)]  # fmt: skip
_BAD = [(S(T(3), norm="full"), RuntimeError, "normalization"), (S(T(3), 0), RuntimeError, "data points")]  # fmt: skip


@composite(where="fft", cast=FP32, samples=_ONE)
def fft(input: Tensor, n=None, dim=-1, norm=None) -> Tensor:
    """The discrete Fourier transform along an axis.

    Math:   y[k] = sum_t x[t] exp(-2 pi i k t / n), times 1/n with norm "forward", 1/sqrt(n) with "ortho"
    Shapes: (..., t, ...) -> (..., n, ...); the axis is cut or filled with zeros to n
    Source: torch.fft.fft
    """
    return _complex(input, None if n is None else (n,), (dim,), norm, False)


@composite(where="fft", cast=FP32, samples=_ONE)
def ifft(input: Tensor, n=None, dim=-1, norm=None) -> Tensor:
    """The inverse discrete Fourier transform along an axis.

    Math:   x[t] = 1/n sum_k y[k] exp(2 pi i k t / n)
    Source: torch.fft.ifft
    """
    return _complex(input, None if n is None else (n,), (dim,), norm, True)


@composite(where="fft", cast=FP32, samples=_ONE)
def rfft(input: Tensor, n=None, dim=-1, norm=None) -> Tensor:
    """The first half of the Fourier transform of real numbers along an axis.

    Shapes: (..., t, ...) -> (..., n // 2 + 1, ...)
    Source: torch.fft.rfft
    """
    return _to_half(input, None if n is None else (n,), (dim,), norm)


@composite(where="fft", cast=FP32, samples=_ONE)
def irfft(input: Tensor, n=None, dim=-1, norm=None) -> Tensor:
    """The inverse of rfft; n is 2 (t - 1) by default.

    Shapes: (..., t, ...) -> (..., n, ...)
    Source: torch.fft.irfft
    """
    return _to_real(input, None if n is None else (n,), (dim,), norm)


@composite(where="fft", cast=FP32, samples=_ONE)
def hfft(input: Tensor, n=None, dim=-1, norm=None) -> Tensor:
    """The real Fourier transform of a Hermitian signal, of which the first half is given.

    Source: torch.fft.hfft
    """
    x = conj(_as_complex(input))
    return _to_real(x, None if n is None else (n,), (dim,), norm, inverse=False)


@composite(where="fft", cast=FP32, samples=_ONE)
def ihfft(input: Tensor, n=None, dim=-1, norm=None) -> Tensor:
    """The inverse of hfft.

    Source: torch.fft.ihfft
    """
    return conj(_to_half(input, None if n is None else (n,), (dim,), norm, inverse=True))


# ---- several axes

_MANY = [S(T(3, 4), only=PRECISE), S(T(2, 3, 4), (4, 3), (0, 2), only=PRECISE), S(T(3, 4), norm="ortho", only=PRECISE)]  # fmt: skip
_TWO = [S(T(3, 4), only=PRECISE), S(T(2, 3, 4), (4, 5), only=PRECISE), S(T(3, 4), norm="forward", only=PRECISE)]  # fmt: skip


@composite(where="fft", cast=FP32, samples=_MANY)
def fftn(input: Tensor, s=None, dim=None, norm=None) -> Tensor:
    """The discrete Fourier transform along several axes, or all.

    Source: torch.fft.fftn
    """
    return _complex(input, s, dim, norm, False)


@composite(where="fft", cast=FP32, samples=_MANY)
def ifftn(input: Tensor, s=None, dim=None, norm=None) -> Tensor:
    """The inverse of fftn.

    Source: torch.fft.ifftn
    """
    return _complex(input, s, dim, norm, True)


@composite(where="fft", cast=FP32, samples=_MANY)
def rfftn(input: Tensor, s=None, dim=None, norm=None) -> Tensor:
    """fftn of real numbers: of the last axis only the first half.

    Source: torch.fft.rfftn
    """
    return _to_half(input, s, dim, norm)


@composite(where="fft", cast=FP32, samples=_MANY)
def irfftn(input: Tensor, s=None, dim=None, norm=None) -> Tensor:
    """The inverse of rfftn.

    Source: torch.fft.irfftn
    """
    return _to_real(input, s, dim, norm)


@composite(where="fft", cast=FP32, samples=_TWO)
def fft2(input: Tensor, s=None, dim=(-2, -1), norm=None) -> Tensor:
    """The discrete Fourier transform of images.

    Source: torch.fft.fft2
    """
    return _complex(input, s, dim, norm, False)


@composite(where="fft", cast=FP32, samples=_TWO)
def ifft2(input: Tensor, s=None, dim=(-2, -1), norm=None) -> Tensor:
    """The inverse of fft2.

    Source: torch.fft.ifft2
    """
    return _complex(input, s, dim, norm, True)


@composite(where="fft", cast=FP32, samples=_TWO)
def rfft2(input: Tensor, s=None, dim=(-2, -1), norm=None) -> Tensor:
    """fft2 of real images: of the last axis only the first half.

    Source: torch.fft.rfft2
    """
    return _to_half(input, s, dim, norm)


@composite(where="fft", cast=FP32, samples=_TWO)
def irfft2(input: Tensor, s=None, dim=(-2, -1), norm=None) -> Tensor:
    """The inverse of rfft2.

    Source: torch.fft.irfft2
    """
    return _to_real(input, s, dim, norm)


# ---- frequencies and shifts


@composite(where="fft", samples=[S(5), S(6, 0.5), S(1)])
def fftfreq(n, d=1.0, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """The frequencies of fft's results for n samples at distance d.

    Source: torch.fft.fftfreq
    """
    k = arange(n, device=device)
    made = ((k + n // 2) % n - n // 2).to(dtype or dtypes.Defaults.float_dtype) * (1.0 / (n * d))
    return made.requires_grad_() if requires_grad else made


@composite(where="fft", samples=[S(5), S(6, 0.5)])
def rfftfreq(n, d=1.0, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """The frequencies of rfft's results for n samples at distance d.

    Source: torch.fft.rfftfreq
    """
    made = arange(n // 2 + 1, device=device).to(dtype or dtypes.Defaults.float_dtype) * (
        1.0 / (n * d)
    )
    return made.requires_grad_() if requires_grad else made


def _all_axes(x: Tensor, dim) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)


@composite(where="fft", samples=[S(T(5)), S(T(3, 4)), S(T(3, 4), 1)])
def fftshift(input: Tensor, dim=None) -> Tensor:
    """The zero frequency moved to the middle.

    Source: torch.fft.fftshift
    """
    axes = _all_axes(input, dim)
    return input.roll(tuple(input.shape[a] // 2 for a in axes), axes)


@composite(where="fft", samples=[S(T(5)), S(T(3, 4)), S(T(3, 4), 1)])
def ifftshift(input: Tensor, dim=None) -> Tensor:
    """The inverse of fftshift.

    Source: torch.fft.ifftshift
    """
    axes = _all_axes(input, dim)
    return input.roll(tuple((input.shape[a] + 1) // 2 for a in axes), axes)
