"""A step of an entry that Python does: NumPy's work on memory whose address comes with each call."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import numpy as np

from mezzo.core.layout import Layout
from mezzo.core.short.entries import Unlike
from mezzo.core.tensor import Tensor


class _Array:
    """An array of a known layout, made over an address. Nobody keeps it: it holds no memory alive."""

    __slots__ = ("dtype", "kind", "low", "shape", "strides")

    def __init__(self, layout: Layout):
        self.low, end = layout.extent()
        self.kind = ctypes.c_char * (end - self.low)
        self.shape, self.dtype = tuple(layout.shape), layout.dtype.numpy
        self.strides = layout.byte_strides() if layout.numel else None

    def over(self, address: int) -> np.ndarray:
        """The array whose first element lies at the address."""
        if not self.kind._length_:
            return np.empty(self.shape, self.dtype)
        memory = self.kind.from_address(address + self.low)
        return np.ndarray(self.shape, self.dtype, memory, -self.low, self.strides)


def _found(place, arrays: list[np.ndarray]):
    if place.__class__ is int:
        return arrays[place]
    if place.__class__ is list:
        return place[0](_found(p, arrays) for p in place[1])
    return place()


class Step:
    """function(outs, *args) with arrays for tensors. pointers: where those lay when it was learned, in order.

    Called with their addresses it returns whether that went well; if not, Python makes the whole call, which fails
    with its own error.
    """

    def __init__(self, function: Callable, outs: Sequence[Tensor], args: Sequence):
        self.function, self.arrays, self.pointers = function, [], []
        self.outs = [self._place(out) for out in outs]
        self.args = [self._place(arg) for arg in args]

    def _place(self, value):
        """What stands for an argument: a number for a tensor, a list with its kind for a sequence, or a function."""
        if isinstance(value, Tensor):
            if value.storage is None:
                raise Unlike
            self.pointers.append(value.ptr)
            self.arrays.append(_Array(value.layout))
            return len(self.arrays) - 1
        if isinstance(value, (tuple, list)):
            return [type(value), [self._place(v) for v in value]]
        return lambda: value

    def __call__(self, *addresses: int) -> bool:
        arrays = [array.over(address) for array, address in zip(self.arrays, addresses)]
        try:
            self.function([arrays[i] for i in self.outs], *[_found(a, arrays) for a in self.args])
        except Exception:
            return False
        return True
