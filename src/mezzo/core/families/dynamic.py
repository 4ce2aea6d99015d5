"""Operations whose results' shapes depend on values: nonzero, unique, bincount. NumPy runs them.

    @dynamic
    def nonzero(input) -> Tensor: ...     the body gets NumPy views and returns arrays

They have no derivative and no batching rule, and cannot be traced: shapes are not known beforehand.
"""

from __future__ import annotations

import numpy as np

from mezzo import devices
from mezzo.core.record import Record, none, registered
from mezzo.core.tensor import Tensor
from mezzo.errors import Fact, UnsupportedError

_REASON = "the shape of its result depends on the values"


class Dynamic(Record):
    """A record whose body computes on NumPy arrays."""

    family = "dynamic"

    def __init__(self, fn, **options):
        options.setdefault("vjp", none("integers have no derivative"))
        options.setdefault("batch", none(_REASON))
        super().__init__(fn, **options)

    def run(self, args: tuple):
        for a in args:
            if isinstance(a, Tensor) and a.device is devices.meta:
                raise UnsupportedError(
                    f"{self.name}: cannot run on layouts alone (trace, device 'meta'): {_REASON}."
                )
        arrays = [a._array() if isinstance(a, Tensor) else a for a in args]
        try:
            found = self.fn(
                *arrays[: self.positional],
                **dict(zip(self.names[self.positional :], arrays[self.positional :])),
            )
        except Fact as fact:
            self.fail(fact, args)
        if isinstance(found, tuple):
            return tuple(made(f) for f in found)
        return made(found)


def made(array: np.ndarray) -> Tensor:
    """A tensor that owns a fresh array's memory."""
    return Tensor._from_array(np.require(array, requirements=["C", "W"]).reshape(array.shape))


dynamic = registered(Dynamic)
