"""Sample calls made real: the T's of a record's samples become tensors of numbers."""

from __future__ import annotations

import math
import zlib

import numpy as np

from mezzo import dtypes
from mezzo.core.tensor import Tensor
from mezzo.ops.data import from_array
from mezzo.rules.samples import S, T


def materialise(sample: S, dtype=dtypes.float32, seed: int | str = 0, requires_grad: bool = False):
    """(args, kwargs) of one sample with tensors in place of its T's.

    dtype is that of the T's whose kind is "float" or "positive"; the same seed gives the same values.
    With requires_grad the floating tensors ask for gradients.
    """
    number = zlib.crc32(seed.encode()) if isinstance(seed, str) else seed
    rng = np.random.default_rng(number)

    def build(value):
        if isinstance(value, T):
            made = tensor_of(value, dtype, rng)
            if requires_grad and made.dtype.is_floating_point and not value.constant:
                made.requires_grad_()
            return made
        if isinstance(value, (tuple, list)):
            return type(value)([build(v) for v in value])
        return value

    return tuple(build(a) for a in sample.args), {k: build(v) for k, v in sample.kwargs.items()}


def tensor_of(spec: T, dtype, rng: np.random.Generator) -> Tensor:
    """A tensor with the shape, range and kind of a T."""
    dtype = spec.dtype or {"bool": dtypes.bool_, "int": dtypes.int64, "index": dtypes.int64}.get(
        spec.kind, dtype
    )
    return from_array(np.ascontiguousarray(_values(spec, dtype, rng)).reshape(spec.shape))


def _values(spec: T, dtype, rng: np.random.Generator) -> np.ndarray:
    count = math.prod(spec.shape)
    if dtype is dtypes.bool_:
        return rng.integers(0, 2, count).astype(np.bool_)
    low, high = (
        (max(spec.low, 0.1), max(spec.high, 1.0))
        if spec.kind == "positive"
        else (spec.low, spec.high)
    )
    if dtype.category == dtypes.INTEGER:
        low, high = _whole(low, high, spec, dtype)
        if spec.distinct:
            return (rng.permutation(count) + low).astype(dtype.numpy)
        return rng.integers(low, high, count, dtype=np.int64).astype(dtype.numpy)
    if spec.distinct:
        # Steps of whole multiples of 1/8 stay apart in every floating dtype.
        return ((rng.permutation(count) - count // 2) / 8 + 0.0625).astype(dtype.numpy)
    values = rng.uniform(low, high, count)
    if dtype.is_complex:
        values = values + 1j * rng.uniform(low, high, count)
    return values.astype(dtype.numpy)


def _whole(low: float, high: float, spec: T, dtype) -> tuple[int, int]:
    """The range as integers that the dtype holds; `high` is reached for values, never for indices."""
    first = math.ceil(low)
    last = math.ceil(high) if spec.kind == "index" else math.floor(high) + 1
    if not dtype.is_signed:
        first = max(first, 0)
    return first, max(last, first + 1)
