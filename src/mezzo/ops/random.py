"""Random numbers: the same seed gives the same numbers on any number of threads."""

from __future__ import annotations

import math

import numpy as np

from mezzo import devices, dtypes
from mezzo.core.families.masked import holds
from mezzo.core.families.random import DEFAULT, Generator, random
from mezzo.core.record import composite, update
from mezzo.core.tensor import Tensor, tensor_method
from mezzo.errors import (
    ArgumentValueError,
    DTypeError,
    Fact,
    ImpossibleValueError,
    UnsupportedDTypeError,
)
from mezzo.kernels import ir as k
from mezzo.ops.copy import copy
from mezzo.ops.create import shape_of
from mezzo.ops.data import from_array
from mezzo.ops.sets import searchsorted
from mezzo.ops.sort import argsort
from mezzo.rules import shapes
from mezzo.rules.samples import S, T

__all__ = ["Generator", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


def unit(type: str, bits) -> k.Expr:
    """A number in [0, 1) with all the bits the type's mantissa holds."""
    if type == "f64":
        high, low = k.shift_right_logical(bits(), 5), k.shift_right_logical(bits(), 6)
        return k.cast(high * (1 << 26) + low, "f64") * 2.0**-53
    return k.cast(k.cast(k.shift_right_logical(bits(), 8), "i32"), "f32") * 2.0**-24


def _uniform(type, bits, low, high):
    return k.fma(unit(type, bits), high - low, low)


def _normal(type, bits, mean, std):
    # Box-Muller; 1 - u is never zero, so the logarithm is finite.
    radius = k.sqrt(k.log(1.0 - unit(type, bits)) * -2.0)
    return k.fma(radius * k.cos(unit(type, bits) * (2 * math.pi)), std, mean)


def _integers(type, bits, low, span):
    # Multiply-shift of 64 random bits' upper half: bias below 2^-32 for spans up to 2^32.
    return low + k.shift_right_logical(bits() * (span & 0xFFFFFFFF), 32)


def _wide_integers(type, bits, low, span):
    word = (bits() << 31) ^ bits()
    return low + k.rem(word & 0x3FFFFFFFFFFFFFFF, span)


@random(kernel=_uniform, numbers=("low", "high"), where="", samples=[])
def draw_uniform(size, dtype, device, generator, low, high) -> Tensor:
    """Uniform in [low, high)."""


@random(kernel=_normal, numbers=("mean", "std"), where="", samples=[])
def draw_normal(size, dtype, device, generator, mean, std) -> Tensor:
    """Normally distributed."""


@random(kernel=_integers, numbers=("low", "span"), wide=("low", "span"), where="", samples=[])
def draw_integers(size, dtype, device, generator, low, span) -> Tensor:
    """Integers in [low, low + span), span up to 2^32."""


@random(kernel=_wide_integers, numbers=("low", "span"), wide=("low", "span"), where="", samples=[])
def draw_wide_integers(size, dtype, device, generator, low, span) -> Tensor:
    """Integers in [low, low + span), any span."""


@random(kernel=lambda type, bits, p: k.cast(unit("f32", bits) < k.cast(p, "f32"), type), numbers=("p",),
        where="", samples=[])  # fmt: skip
def draw_mask(size, dtype, device, generator, p) -> Tensor:
    """One with probability p, else zero."""


def _finish(made: Tensor, requires_grad: bool) -> Tensor:
    return made.requires_grad_() if requires_grad else made


def _float_dtype(dtype):
    dtype = dtype or dtypes.Defaults.float_dtype
    if not dtype.is_floating_point:
        raise Fact(
            UnsupportedDTypeError,
            f"is not implemented for {dtype.name}; it needs a floating dtype",
            "Use randint for integers.",
        )
    return dtype


@composite(
    where="mezzo",
    varargs="size",
    samples=[S((2, 3)), S(2, 3), S((0, 2)), S(3, dtype=dtypes.float64)],
)
def rand(size, *, generator=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Uniform random numbers in [0, 1).

    Shapes: -> size
    Source: torch.rand
    """
    where = devices.usable(device, "rand")
    return _finish(
        draw_uniform(shape_of(size), _float_dtype(dtype), where, generator, 0.0, 1.0), requires_grad
    )


@composite(
    where="mezzo",
    varargs="size",
    samples=[S((2, 3)), S(2, 3), S((0, 2)), S(3, dtype=dtypes.float64)],
)
def randn(size, *, generator=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Normally distributed random numbers of mean 0 and variance 1.

    Shapes: -> size
    Source: torch.randn
    """
    where = devices.usable(device, "randn")
    return _finish(
        draw_normal(shape_of(size), _float_dtype(dtype), where, generator, 0.0, 1.0), requires_grad
    )


def _randint(size, low, high, generator, dtype, device) -> Tensor:
    if high <= low:
        raise Fact(
            ImpossibleValueError,
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}",
        )
    draw = draw_integers if high - low <= 1 << 32 else draw_wide_integers
    if draw is draw_integers and high - low == 1 << 32:
        draw = draw_wide_integers
    made = draw(
        shape_of(size), dtypes.int64, devices.usable(device, "randint"), generator, low, high - low
    )
    return made if dtype in (None, dtypes.int64) else made.to(dtype)


@composite(
    where="mezzo",
    samples=[S(5, (2, 3)), S(-3, 4, (2,)), S(2, 3, (0,)), S(9, (4,), dtype=dtypes.float32)],
)
def randint(
    low, high=None, size=None, *, generator=None, dtype=None, device=None, requires_grad=False
) -> Tensor:
    """Random integers in [low, high): randint(high, size) or randint(low, high, size).

    Shapes: -> size
    Source: torch.randint
    """
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    return _finish(_randint(size, low, high, generator, dtype, device), requires_grad)


@composite(where="mezzo", samples=[S(7), S(0), S(5, dtype=dtypes.int32)])
def randperm(n, *, generator=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A random permutation of 0 .. n - 1.

    Shapes: -> (n,)
    Source: torch.randperm
    """
    keys = draw_wide_integers((n,), dtypes.int64, devices.cpu, generator, 0, 1 << 61)
    return (
        argsort(keys, stable=True).to(dtype or dtypes.int64).to(devices.usable(device, "randperm"))
    )


def _like(input: Tensor, dtype, device):
    return (
        tuple(input.shape),
        dtype or input.dtype,
        input.device if device is None else devices.usable(device, "like"),
    )


@composite(
    where="mezzo",
    samples=[
        S(T(2, 3)),
        S(
            T(
                0,
            )
        ),
        S(T(2), dtype=dtypes.float64),
    ],
)
def rand_like(
    input: Tensor, *, dtype=None, device=None, requires_grad=False, memory_format=None
) -> Tensor:
    """Uniform random numbers in the shape of input.

    Source: torch.rand_like
    """
    size, dtype, where = _like(input, dtype, device)
    return _finish(draw_uniform(size, _float_dtype(dtype), where, None, 0.0, 1.0), requires_grad)


@composite(
    where="mezzo",
    samples=[
        S(T(2, 3)),
        S(
            T(
                0,
            )
        ),
        S(T(2), dtype=dtypes.float64),
    ],
)
def randn_like(
    input: Tensor, *, dtype=None, device=None, requires_grad=False, memory_format=None
) -> Tensor:
    """Normal random numbers in the shape of input.

    Source: torch.randn_like
    """
    size, dtype, where = _like(input, dtype, device)
    return _finish(draw_normal(size, _float_dtype(dtype), where, None, 0.0, 1.0), requires_grad)


@composite(where="mezzo", samples=[S(T(2, 3), 5), S(T(2, 3), 2, 7), S(T(2), 3, dtype=dtypes.int64)])
def randint_like(
    input: Tensor, low, high=None, *, dtype=None, device=None, requires_grad=False
) -> Tensor:
    """Random integers in the shape of input.

    Source: torch.randint_like
    """
    low, high = (0, low) if high is None else (low, high)
    return _finish(
        _randint(
            tuple(input.shape),
            low,
            high,
            None,
            dtype or input.dtype,
            input.device if device is None else device,
        ),
        requires_grad,
    )


@composite(
    where="mezzo Tensor", samples=[S(T(3, 4, low=0, high=1)), S(T(2, 3), 0.3), S(T(2, 3), p=1.0)]
)
def bernoulli(input: Tensor, p=None, *, generator=None) -> Tensor:
    """One with the probability that the element (or p) gives, else zero.

    Shapes: input (...) -> (...)
    Source: torch.bernoulli
    """
    if p is not None:
        return draw_mask(tuple(input.shape), input.dtype, input.device, generator, _probability(p))
    _check_values(
        input, lambda a: (a >= 0) & (a <= 1), "every probability must lie between 0 and 1"
    )
    drawn = draw_uniform(
        tuple(input.shape), _float_dtype(input.dtype), input.device, generator, 0.0, 1.0
    )
    return (drawn < input.detach()).to(input.dtype)


def _check_values(tensor: Tensor, condition, problem: str) -> None:
    """Raise where a tensor of parameters has impossible values; inside a transform they cannot be read."""
    if tensor.is_cpu and tensor.level is None and not holds(condition(tensor.detach()).all()):
        raise Fact(ImpossibleValueError, problem)


def _probability(p) -> float:
    if not 0 <= p <= 1:
        raise Fact(ArgumentValueError, f"probability has to be between 0 and 1, but got {p}")
    return float(p)


@composite(
    where="mezzo",
    samples=[S(T(2, 3), T(2, 3, low=0.1, high=1)), S(T(2, 3), 0.5), S(1.0, 2.0, (2, 3))],
)
def normal(
    mean, std=1.0, size=None, *, generator=None, dtype=None, device=None, requires_grad=False
) -> Tensor:
    """Normal random numbers with the given means and standard deviations (tensors or numbers).

    Source: torch.normal
    """
    if isinstance(std, Tensor):
        _check_values(std, lambda a: a >= 0, "every element of std must be at least 0")
    elif not std >= 0:
        raise Fact(ImpossibleValueError, f"expects std >= 0.0, but found std {std}")
    if size is not None:
        where = devices.usable(device, "normal")
        made = draw_normal(
            shape_of(size), _float_dtype(dtype), where, generator, float(mean), float(std)
        )
        return _finish(made, requires_grad)
    given = [t for t in (mean, std) if isinstance(t, Tensor)]
    shaped, shape = given[0], shapes.broadcast([tuple(t.shape) for t in given])
    drawn = draw_normal(shape, _float_dtype(shaped.dtype), shaped.device, generator, 0.0, 1.0)
    drawn = drawn * std + mean
    return drawn.to(shaped.dtype) if isinstance(mean, Tensor) else drawn


@composite(
    where="mezzo Tensor",
    samples=[S(T(3, 5, low=0.1, high=1), 2), S(T(5, low=0.1, high=1), 9, True)],
)
def multinomial(input: Tensor, num_samples, replacement=False, *, generator=None) -> Tensor:
    """Indices drawn with the (unnormalised) probabilities of each row.

    Shapes: (n,) -> (num_samples,); (rows, n) -> (rows, num_samples)
    Source: torch.multinomial
    """
    if not input.dtype.is_floating_point:
        raise Fact(
            DTypeError,
            f"only supports floating-point dtypes for input, got: {input.dtype.name}",
            "Convert with x.float().",
        )
    _check_values(input.detach(), lambda w: ((w >= 0) & w.isfinite()).all() & (w.sum(-1) > 0).all(),
                  "probability tensor contains either inf, nan or element < 0, or a row of sum 0")  # fmt: skip
    shape, weights = tuple(input.shape), input.detach().double()
    if not replacement:
        _check_values(weights, lambda w: (w > 0).sum(-1) >= num_samples,
                      f"cannot sample {num_samples} > the number of nonzero weights without replacement")  # fmt: skip
        # Exponential races: the smallest of e_i / w_i come first with the right probabilities.
        drawn = draw_uniform(shape, dtypes.float64, input.device, generator, 0.0, 1.0)
        return (-(-drawn).log1p() / weights).argsort(-1).narrow(-1, 0, num_samples).contiguous()
    drawn = draw_uniform(
        (*shape[:-1], num_samples), dtypes.float64, input.device, generator, 0.0, 1.0
    )
    cumulative = weights.cumsum(-1) / weights.sum(-1, True)
    return searchsorted(cumulative, drawn, right=True).clamp(max=shape[-1] - 1)


def _dropout(input: Tensor, p: float, training: bool, inplace: bool, shape) -> Tensor:
    if not 0 <= p <= 1:
        raise Fact(
            ImpossibleValueError, f"dropout probability has to be between 0 and 1, but got {p}"
        )
    if not training or p == 0:
        return input
    kept = draw_mask(tuple(shape), input.dtype, input.device, None, 1.0 - p)
    scaled = kept * (1.0 / (1.0 - p) if p < 1 else 0.0)
    return input.mul_(scaled) if inplace else input * scaled


@composite(where="nn.functional mezzo", samples=[S(T(3, 4), 0.5, False)])
def dropout(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Elements zeroed with probability p, the others scaled by 1 / (1 - p); input itself when not training.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.dropout
    """
    return _dropout(input, p, training, inplace, input.shape)


@composite(where="nn.functional", aliases="dropout1d", samples=[S(T(2, 3, 4, 4), 0.5, False)])
def dropout2d(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Whole channels zeroed with probability p.

    Shapes: input (n, c, ...) -> (n, c, ...)
    Source: torch.nn.functional.dropout2d
    """
    channels = (*input.shape[:2], *(1,) * (input.ndim - 2))
    return _dropout(input, p, training, inplace, channels)


def _in_place(name: str, draw, doc: str):
    def method(self, *args, **kwargs):
        return update(copy, self, draw(self, *args, **kwargs))

    method.__name__, method.__doc__ = name, doc
    return tensor_method(method)


def _drawn_uniform(x, a=0.0, b=1.0, *, generator=None):
    return draw_uniform(tuple(x.shape), _float_dtype(x.dtype), x.device, generator, a, b)


def _drawn_normal(x, mean=0.0, std=1.0, *, generator=None):
    return draw_normal(tuple(x.shape), _float_dtype(x.dtype), x.device, generator, mean, std)


def _drawn_mask(x, p=0.5, *, generator=None):
    return bernoulli(
        p if isinstance(p, Tensor) else x, None if isinstance(p, Tensor) else p, generator=generator
    )


def _drawn_integers(x, low=0, high=None, *, generator=None):
    low, high = (0, low) if high is None and low else (low, high)
    top = {"uint8": 256, "int8": 128, "int16": 1 << 15, "int32": 1 << 31, "float16": 2049, "bfloat16": 257,
           "float32": (1 << 24) + 1}.get(x.dtype.name, 1 << 53)  # fmt: skip
    return _randint(tuple(x.shape), low, top if high is None else high, generator, x.dtype, None)


def _drawn_exponential(x, lambd=1.0, *, generator=None):
    drawn = draw_uniform(tuple(x.shape), _float_dtype(x.dtype), x.device, generator, 0.0, 1.0)
    return (1.0 - drawn).log() * (-1.0 / lambd)


_in_place("uniform_", _drawn_uniform, "Fill with uniform random numbers in [a, b).")
_in_place("normal_", _drawn_normal, "Fill with normal random numbers.")
_in_place("bernoulli_", _drawn_mask, "Fill with ones with probability p, zeros else.")
_in_place("random_", _drawn_integers, "Fill with random integers in [low, high).")
_in_place("exponential_", _drawn_exponential, "Fill with exponentially distributed numbers.")


def manual_seed(seed: int) -> Generator:
    """Start the default generator anew from a seed. Source: torch.manual_seed"""
    return DEFAULT.manual_seed(seed)


def seed() -> int:
    """Start the default generator anew from a seed of the operating system. Source: torch.seed"""
    return DEFAULT.seed()


def initial_seed() -> int:
    """The seed of the default generator. Source: torch.initial_seed"""
    return DEFAULT.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator as 16 bytes. Source: torch.get_rng_state"""
    return from_array(np.array(DEFAULT.state(), dtype=np.uint64).view(np.uint8).copy())


def set_rng_state(state: Tensor) -> None:
    """Go on from an earlier get_rng_state(). Source: torch.set_rng_state"""
    words = state.numpy().view(np.uint64)
    DEFAULT.restore((int(words[0]), int(words[1])))


def _get_state(self) -> Tensor:
    return from_array(np.array(self.state(), dtype=np.uint64).view(np.uint8).copy())


def _set_state(self, state: Tensor) -> Generator:
    words = state.numpy().view(np.uint64)
    self.restore((int(words[0]), int(words[1])))
    return self


Generator.get_state, Generator.set_state = _get_state, _set_state
