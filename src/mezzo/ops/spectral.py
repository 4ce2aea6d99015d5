"""Fourier transforms of short stretches of a signal, and the windows that they are cut out with."""

from __future__ import annotations

import math

import numpy as np

from mezzo import devices, dtypes
from mezzo.core.record import composite, none
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact, ImpossibleValueError, ShapeError
from mezzo.ops.complexes import view_as_real
from mezzo.ops.create import ones, zeros
from mezzo.ops.data import tensor
from mezzo.ops.fourier import fft, ifft, irfft, rfft
from mezzo.ops.pad import pad
from mezzo.ops.scatter import index_add
from mezzo.ops.shape import expand, reshape, transpose, unsqueeze
from mezzo.rules.samples import S, T

_SIZES = [S(8), S(7, False), S(1), S(0), S(5, dtype=dtypes.float64)]


def _window(name: str, length, periodic, cosines, dtype, device, requires_grad) -> Tensor:
    """cosines(n): the window's n values, symmetric; a periodic one leaves out the last of one more."""
    if length < 0:
        raise Fact(ImpossibleValueError, f"window_length is {length}; it must not be negative")
    dtype = dtypes.resolve(dtype, name) if dtype is not None else dtypes.Defaults.float_dtype
    if not dtype.is_floating_point:
        raise Fact(DTypeError, f"expects floating point dtypes, got {dtype.name}")
    whole = length + 1 if periodic and length > 1 else length
    values = np.ones(length) if whole < 2 else np.asarray(cosines(whole), np.float64)[:length]
    made = tensor(values, device=devices.usable(device, name)).to(dtype)
    return made.requires_grad_() if requires_grad else made


def _cosines(weights: tuple[float, ...]):
    """The sum of weights[i] cos(2 pi i t), t from 0 to 1."""

    def values(n: int) -> np.ndarray:
        t = np.arange(n) / (n - 1)
        return sum(w * np.cos(2 * math.pi * i * t) for i, w in enumerate(weights))

    return values


@composite(where="mezzo", vjp=none("no tensor goes in"), samples=_SIZES)
def hann_window(window_length, periodic=True, *, dtype=None, device=None, requires_grad=False) -> Tensor:  # fmt: skip
    """A raised cosine that reaches 0.

    Math:   w[t] = (1 - cos(2 pi t / n)) / 2, n = window_length, or one less if not periodic
    Shapes: -> (window_length,)
    Source: torch.hann_window
    """
    cosines = _cosines((0.5, -0.5))
    return _window("hann_window", window_length, periodic, cosines, dtype, device, requires_grad)


@composite(where="mezzo", vjp=none("no tensor goes in"), samples=[*_SIZES, S(6, True, 0.6, 0.4)])
def hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, device=None,
                   requires_grad=False) -> Tensor:  # fmt: skip
    """A raised cosine on a pedestal.

    Math:   w[t] = alpha - beta cos(2 pi t / n), n = window_length, or one less if not periodic
    Shapes: -> (window_length,)
    Source: torch.hamming_window
    """
    cosines = _cosines((alpha, -beta))
    return _window("hamming_window", window_length, periodic, cosines, dtype, device, requires_grad)


@composite(where="mezzo", vjp=none("no tensor goes in"), samples=_SIZES)
def blackman_window(window_length, periodic=True, *, dtype=None, device=None, requires_grad=False) -> Tensor:  # fmt: skip
    """A sum of two cosines that nearly reaches 0.

    Math:   w[t] = 0.42 - 0.5 cos(2 pi t / n) + 0.08 cos(4 pi t / n)
    Shapes: -> (window_length,)
    Source: torch.blackman_window
    """
    cosines = _cosines((0.42, -0.5, 0.08))
    return _window(
        "blackman_window", window_length, periodic, cosines, dtype, device, requires_grad
    )


@composite(where="mezzo", vjp=none("no tensor goes in"), samples=_SIZES)
def bartlett_window(window_length, periodic=True, *, dtype=None, device=None, requires_grad=False) -> Tensor:  # fmt: skip
    """A triangle.

    Math:   w[t] = 1 - |2 t / n - 1|
    Shapes: -> (window_length,)
    Source: torch.bartlett_window
    """
    return _window("bartlett_window", window_length, periodic, np.bartlett, dtype, device, requires_grad)  # fmt: skip


@composite(where="mezzo", vjp=none("no tensor goes in"), samples=[*_SIZES, S(6, True, 8.0)])
def kaiser_window(window_length, periodic=True, beta=12.0, *, dtype=None, device=None, requires_grad=False) -> Tensor:  # fmt: skip
    """Nearly as narrow in frequency as a window of its length can be.

    Math:   w[t] = I0(beta sqrt(1 - (2 t / n - 1)^2)) / I0(beta)
    Shapes: -> (window_length,)
    Source: torch.kaiser_window
    """
    return _window("kaiser_window", window_length, periodic, lambda n: np.kaiser(n, beta), dtype, device, requires_grad)  # fmt: skip


# ---- transforms


def _sizes(n_fft, hop_length, win_length) -> tuple[int, int, int]:
    hop = n_fft // 4 if hop_length is None else hop_length
    width = n_fft if win_length is None else win_length
    if n_fft <= 0 or hop <= 0 or not 0 < width <= n_fft:
        raise Fact(
            ImpossibleValueError,
            f"n_fft is {n_fft}, hop_length {hop} and win_length {width}; all must be above 0, and win_length at most n_fft",
        )
    return n_fft, hop, width


def _centred(window, width: int, n_fft: int, like: Tensor) -> Tensor:
    """The window with zeros on both sides, as wide as a transform."""
    if window is None:
        window = ones((width,), dtype=like.dtype.to_real(), device=like.device)
    elif window.ndim != 1 or window.shape[0] != width:
        raise Fact(
            ShapeError,
            f"expected a 1D window tensor of size equal to win_length={width}, but got window with size "
            f"{list(window.shape)}",
        )
    before = (n_fft - width) // 2
    return window if width == n_fft else pad(window, (before, n_fft - width - before))


@composite(where="mezzo Tensor", samples=[
    S(T(2, 20), 8, return_complex=True), S(T(30), 8, 3, 6, T(6, low=0.5), return_complex=True),
    S(T(20), 6, normalized=True, onesided=False, return_complex=True), S(T(20), 8, center=False, return_complex=True),
    S(T(20), 8, pad_mode="constant", return_complex=True)])  # fmt: skip
def stft(input: Tensor, n_fft, hop_length=None, win_length=None, window: Tensor | None = None, center=True,
         pad_mode="reflect", normalized=False, onesided=None, return_complex=None, align_to_window=None) -> Tensor:  # fmt: skip
    """Fourier transforms of windows of n_fft samples, hop_length apart.

    center pads the signal, so that frame t is centred on sample t * hop_length. onesided, the default for real signals
    and windows, gives the first half of the frequencies.

    Math:   y[f, t] = sum_s window[s] input[t hop_length + s] exp(-2 pi i f s / n_fft)
    Shapes: (length) or (batch, length) -> (..., frequencies, frames)
    Raises: RuntimeError unless return_complex is given for a real signal
    Source: torch.stft
    """
    n_fft, hop, width = _sizes(n_fft, hop_length, win_length)
    if not (input.is_floating_point() or input.is_complex()):
        raise Fact(
            DTypeError,
            f"expected a tensor of floating point or complex values, and got {input.dtype.name}",
            "Convert with x.float().",
        )
    is_complex = input.is_complex() or (window is not None and window.is_complex())
    if return_complex is None and not is_complex:
        raise Fact(ImpossibleValueError, "requires the return_complex parameter be given for real inputs",
                   "Pass return_complex=True; mezzo.view_as_real gives pairs of numbers.")  # fmt: skip
    if input.ndim not in (1, 2):
        raise Fact(ShapeError, f"expected a 1D or 2D tensor, got {input.ndim}D")
    x = input if input.ndim == 2 else unsqueeze(input, 0)
    if center and not align_to_window:
        x = pad(unsqueeze(x, 1), (n_fft // 2, n_fft // 2), mode=pad_mode).squeeze(1)
    if x.shape[1] < n_fft:
        raise Fact(ShapeError, f"expected 0 < n_fft <= {x.shape[1]} (the signal's length), but got n_fft={n_fft}")  # fmt: skip
    frames = x.unfold(-1, n_fft, hop) * _centred(window, width, n_fft, input)
    norm = "ortho" if normalized else None
    half = not is_complex if onesided is None else onesided
    if half and is_complex:
        raise Fact(
            ImpossibleValueError, "cannot have onesided output if window or input is complex"
        )
    y = transpose(rfft(frames, None, -1, norm) if half else fft(frames, None, -1, norm), 1, 2)
    y = y if input.ndim == 2 else y.squeeze(0)
    return y if return_complex or is_complex else view_as_real(y)


def _overlapped(frames: Tensor, hop: int) -> Tensor:
    """(batch, count, width) added up where they overlap."""
    batch, count, width = frames.shape
    places = np.arange(count)[:, None] * hop + np.arange(width)
    index = tensor(places.reshape(-1), device=frames.device)
    line = zeros((batch, (count - 1) * hop + width), dtype=frames.dtype, device=frames.device)
    return index_add(line, 1, index, reshape(frames, (batch, count * width)))


@composite(where="mezzo Tensor", samples=[
    S(T(5, 7, dtype=dtypes.complex64), 8), S(T(2, 5, 6, dtype=dtypes.complex64), 8, 3, 7, T(7, low=0.5, constant=True), normalized=True, length=15, only=("float32", "float64")),
    S(T(8, 6, dtype=dtypes.complex64), 8, onesided=False)])  # fmt: skip
def istft(input: Tensor, n_fft, hop_length=None, win_length=None, window: Tensor | None = None, center=True,
          normalized=False, onesided=None, length=None, return_complex=False) -> Tensor:  # fmt: skip
    """The signal whose stft is nearest to the input: the inverse of stft for the same options.

    Shapes: (frequencies, frames) or (batch, frequencies, frames) -> (..., length)
    Raises: RuntimeError if the windows leave a sample out; DTypeError unless the input is complex
    Source: torch.istft; Griffin and Lim, "Signal estimation from modified short-time Fourier transform" (1984)
    """
    n_fft, hop, width = _sizes(n_fft, hop_length, win_length)
    if not input.is_complex():
        raise Fact(DTypeError, f"requires a complex-valued input tensor, and got {input.dtype.name}",
                   "Call stft with return_complex=True.")  # fmt: skip
    if input.ndim not in (2, 3):
        raise Fact(ShapeError, f"expected a tensor with 2 or 3 dimensions, but got {input.ndim}")
    x = input if input.ndim == 3 else unsqueeze(input, 0)
    half = x.shape[1] != n_fft if onesided is None else onesided
    if half and return_complex:
        raise Fact(
            ImpossibleValueError,
            "cannot have onesided input if the output is complex",
            "Pass onesided=False.",
        )
    want = n_fft // 2 + 1 if half else n_fft
    if x.shape[1] != want:
        raise Fact(ShapeError, f"expected the frequency dimension (axis -2) to be {want} for n_fft={n_fft}, but got {x.shape[1]}")  # fmt: skip
    norm = "ortho" if normalized else None
    frames = transpose(x, 1, 2)
    if return_complex:
        frames = ifft(frames, None, -1, norm)
    else:  # of a whole spectrum too, only the first half is read: a real signal has no more
        frames = irfft(frames[..., : n_fft // 2 + 1], n_fft, -1, norm)
    cut = _centred(window, width, n_fft, input)
    weight = expand(cut.square(), (1, x.shape[2], n_fft))
    signal, weight = _overlapped(frames * cut, hop), _overlapped(weight, hop)
    start = n_fft // 2 if center else 0
    stop = signal.shape[1] - start if length is None else min(start + length, signal.shape[1])
    signal, weight = signal[:, start:stop], weight[:, start:stop]
    if not STATE.stack and weight.is_cpu and not bool((weight.detach().abs() > 1e-11).all()):
        raise Fact(
            ImpossibleValueError,
            "window overlap add min: a sample lies under no window, or under zeros of it only",
            "Use a window without zeros there, or a smaller hop_length.",
        )
    signal = signal / weight
    if length is not None and length > signal.shape[1]:
        signal = pad(signal, (0, length - signal.shape[1]))
    return signal if input.ndim == 3 else signal.squeeze(0)
