"""NumPy's arrays and scalars in pickles: numbers only, checked against the bytes that are there."""

from __future__ import annotations

import math
import sys

import numpy as np

from mezzo.io.unpickle import Machine, Malformed, Name, Refused

_KINDS = "biufc"
_NATIVE = "=|" + ("<" if sys.byteorder == "little" else ">")


class Element:
    """What a pickle says of a NumPy dtype: its code, and the byte order, which comes after."""

    def __init__(self, code: str):
        self.code, self.order = code, "="

    def resolve(self) -> np.dtype:
        """The dtype."""
        dtype = np.dtype(self.code)
        return dtype if self.order in _NATIVE else dtype.newbyteorder(self.order)


def is_numeric(dtype: np.dtype) -> bool:
    """Whether arrays of this dtype are plain numbers that every NumPy has."""
    # Extension types, such as bfloat16, may have the kind of plain numbers too.
    return dtype.kind in _KINDS and dtype == np.dtype(f"{dtype.kind}{dtype.itemsize}").newbyteorder(
        dtype.byteorder
    )


def _dtype(machine: Machine, code, align=False, copy=True) -> Element:
    text = code.decode("ascii") if type(code) is bytes else code
    if type(text) is not str or len(text) > 3 or not is_numeric(np.dtype(text)):
        raise Refused("holds a NumPy array whose elements are no numbers. Save it as a tensor.")
    return Element(text)


def _reconstruct(machine: Machine, kind, shape, code) -> np.ndarray:
    if kind is not NDARRAY:
        raise Malformed("an array is made of another type")
    return np.empty((0,), np.int8)  # build() fills it


def _scalar(machine: Machine, element, data) -> np.generic:
    return _flat(machine, (), element, data)[0]


def _from_buffer(machine: Machine, data, element, shape, order="C") -> np.ndarray:
    flat = _flat(machine, shape, element, data)
    return flat.reshape(shape, order="F" if order == "F" else "C").copy()


def _flat(machine: Machine, shape, element, data) -> np.ndarray:
    """The elements of an array of that shape, after that was checked."""
    if type(element) is not Element or type(data) not in (bytes, bytearray):
        raise Malformed("an array has no bytes")
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
        raise Malformed("an array has sizes that are no numbers")
    dtype = element.resolve()
    if len(shape) > 32 or math.prod(shape) * dtype.itemsize != len(data):
        raise Malformed(f"an array has {len(data)} bytes, and its shape needs others")
    machine.spend(len(data))
    return np.frombuffer(data, dtype)


def build(machine: Machine, value, state) -> bool:
    """Set the state of an array or a dtype; False for anything else."""
    if type(value) is Element:
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise Malformed("a NumPy dtype has a foreign state")
        value.order = state[1]
        return True
    if type(value) is np.ndarray:
        if type(state) is not tuple or len(state) != 5:
            raise Malformed("an array has a foreign state")
        _, shape, element, fortran, data = state
        _flat(machine, shape, element, data)
        value.__setstate__((1, shape, element.resolve(), bool(fortran), bytes(data)))
        return True
    return False


NDARRAY = Name("numpy.ndarray")
NAMES: dict[str, object] = {
    "numpy.ndarray": NDARRAY,
    "numpy.dtype": Name("numpy.dtype", _dtype),
}
for _core in ("numpy.core", "numpy._core"):
    NAMES |= {
        f"{_core}.multiarray._reconstruct": Name("numpy._reconstruct", _reconstruct),
        f"{_core}.multiarray.scalar": Name("numpy.scalar", _scalar),
        f"{_core}.numeric._frombuffer": Name("numpy._frombuffer", _from_buffer),
    }
