"""Initialisers: fill a tensor in place, without recording, by the published formulas."""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np

from mezzo import ops
from mezzo.autograd import no_grad
from mezzo.core.tensor import Tensor

_GAINS = {
    "sigmoid": 1.0, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4,
    "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0,
    "conv_transpose1d": 1.0, "conv_transpose2d": 1.0, "conv_transpose3d": 1.0,
}  # fmt: skip


def _initialiser(fill):
    """Run `fill` without recording and return its tensor; an empty tensor is left alone."""

    @functools.wraps(fill)
    def run(tensor: Tensor, *args, **kwargs) -> Tensor:
        with no_grad():
            fill(tensor, *args, **kwargs)
        return tensor

    return run


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The recommended gain of a nonlinearity; `param` is leaky_relu's negative slope."""
    if nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    if nonlinearity != "leaky_relu":
        known = ", ".join((*_GAINS, "leaky_relu"))
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}; it must be one of {known}.")
    slope = 0.01 if param is None else param
    if isinstance(slope, bool) or not isinstance(slope, int | float):
        raise ValueError(f"negative_slope {param} not a valid number")
    return math.sqrt(2.0 / (1 + slope**2))


def _fans(tensor: Tensor) -> tuple[int, int]:
    """How many inputs and outputs one unit of a weight (out, in, *window) has."""
    if tensor.dim() < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions; got "
            f"shape {tuple(tensor.shape)}."
        )
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def _correct_fan(tensor: Tensor, mode: str) -> int:
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {list(modes)}")
    return _fans(tensor)[modes.index(mode.lower())]


@_initialiser
def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Fill with uniform numbers in [a, b)."""
    tensor.uniform_(a, b, generator=generator)


@_initialiser
def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Fill with normal numbers."""
    tensor.normal_(mean, std, generator=generator)


@_initialiser
def constant_(tensor, val):
    """Fill with one value."""
    tensor.fill_(val)


@_initialiser
def ones_(tensor):
    """Fill with 1."""
    tensor.fill_(1.0)


@_initialiser
def zeros_(tensor):
    """Fill with 0."""
    tensor.zero_()


@_initialiser
def eye_(tensor):
    """Fill a matrix with the identity."""
    _need_rank(tensor, (2,), "eye_")
    tensor.copy_(ops.eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device))


@_initialiser
def dirac_(tensor, groups=1):
    """Fill a convolution's weight so that it passes its input on, within each group."""
    _need_rank(tensor, (3, 4, 5), "dirac_")
    if tensor.shape[0] % groups:
        raise ValueError(f"dim 0 ({tensor.shape[0]}) must be divisible by groups ({groups})")
    tensor.zero_()
    per_group = tensor.shape[0] // groups
    middle = tuple(size // 2 for size in tensor.shape[2:])
    for group in range(groups):
        for channel in range(min(per_group, tensor.shape[1])):
            tensor[(group * per_group + channel, channel, *middle)] = 1


@_initialiser
def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Uniform in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    tensor.uniform_(-bound, bound, generator=generator)


@_initialiser
def xavier_normal_(tensor, gain=1.0, generator=None):
    """Normal with deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    tensor.normal_(0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))), generator=generator)


@_initialiser
def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Uniform with deviation gain / sqrt(fan) (He et al., 2015)."""
    if _is_empty(tensor):
        return
    bound = math.sqrt(3.0) * calculate_gain(nonlinearity, a) / math.sqrt(_correct_fan(tensor, mode))
    tensor.uniform_(-bound, bound, generator=generator)


@_initialiser
def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Normal with deviation gain / sqrt(fan) (He et al., 2015)."""
    if _is_empty(tensor):
        return
    std = calculate_gain(nonlinearity, a) / math.sqrt(_correct_fan(tensor, mode))
    tensor.normal_(0.0, std, generator=generator)


@_initialiser
def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Normal numbers, those outside [a, b] cut off: the inverse CDF of uniform ones between."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values "
            "may be incorrect.",
            stacklevel=3,
        )

    def cdf(x: float) -> float:
        return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0

    low, high = cdf((a - mean) / std), cdf((b - mean) / std)
    tensor.uniform_(2 * low - 1, 2 * high - 1, generator=generator)
    tensor.erfinv_().mul_(std * math.sqrt(2.0)).add_(mean).clamp_(min=a, max=b)


@_initialiser
def orthogonal_(tensor, gain=1, generator=None):
    """Rows (or columns) orthonormal, times gain (Saxe et al., 2013)."""
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if _is_empty(tensor):
        return
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    tall = ops.empty((max(rows, columns), min(rows, columns)), dtype=tensor.dtype)
    q = _orthonormal(tall.normal_(0, 1, generator=generator).numpy())
    q = ops.from_numpy(q.T.copy() if rows < columns else q)
    tensor.copy_(q.reshape(tensor.shape)).mul_(gain)


def _orthonormal(matrix):
    """The Q of QR with a positive diagonal in R, which makes it uniform over the group."""
    q, r = np.linalg.qr(matrix.astype(np.float64))
    return (q * np.sign(np.diagonal(r))).astype(matrix.dtype)


@_initialiser
def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Normal numbers with a fraction `sparsity` of each column zero (Martens, 2010)."""
    _need_rank(tensor, (2,), "sparse_")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    tensor.normal_(0, std, generator=generator)
    for column in range(columns):
        chosen = ops.randperm(rows, generator=generator)[:zeros]
        tensor[chosen, column] = 0


def _need_rank(tensor: Tensor, ranks: tuple[int, ...], name: str) -> None:
    if tensor.dim() not in ranks:
        allowed = ", ".join(map(str, ranks))
        raise ValueError(
            f"{name}: Only tensors with {allowed} dimensions are supported; got {tensor.dim()}."
        )


def _is_empty(tensor: Tensor) -> bool:
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=4)
        return True
    return False
