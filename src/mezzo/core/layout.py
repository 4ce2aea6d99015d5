"""Layout: all that is known of a tensor before its data. Interned: equal layouts are one object.

Rules and plans are functions of layouts, so a plan is found by the identity of its arguments' layouts.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from mezzo import devices
from mezzo.dtypes import dtype as DType
from mezzo.rules import shapes


class Size(tuple):
    """The shape of a tensor: a tuple of ints with numel()."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements."""
        return shapes.numel(self)

    def __repr__(self) -> str:
        return f"mezzo.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, item):
        found = tuple.__getitem__(self, item)
        return Size(found) if isinstance(item, slice) else found

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))

    def __radd__(self, other):
        return Size(tuple(other) + tuple(self))

    def __mul__(self, count):
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__

    def __reduce__(self):
        return (Size, (tuple(self),))


class Layout:
    """Shape, strides (in elements), dtype and device of a tensor, and what follows from them."""

    __slots__ = (
        "__weakref__",
        "device",
        "dtype",
        "is_contiguous",
        "is_dense",
        "nbytes",
        "ndim",
        "numel",
        "shape",
        "strides",
    )  # fmt: skip

    def __init__(self, shape: Size, strides: tuple[int, ...], dtype: DType, device: devices.device):
        self.shape, self.strides, self.dtype, self.device = shape, strides, dtype, device
        self.numel, self.ndim = shapes.numel(shape), len(shape)
        self.is_contiguous = shapes.is_contiguous(shape, strides)
        self.is_dense = self.is_contiguous or shapes.is_dense(shape, strides)
        self.nbytes = self.numel * dtype.itemsize

    def __repr__(self) -> str:
        return f"Layout({tuple(self.shape)}, strides={self.strides}, {self.dtype}, {self.device})"

    def byte_strides(self) -> tuple[int, ...]:
        """Strides in bytes."""
        size = self.dtype.itemsize
        return tuple(s * size for s in self.strides)

    def extent(self) -> tuple[int, int]:
        """First and one-past-last byte touched, relative to the first element."""
        if self.numel == 0:
            return 0, 0
        reach = [(n - 1) * st for n, st in zip(self.shape, self.strides)]
        size = self.dtype.itemsize
        return sum(r for r in reach if r < 0) * size, (sum(r for r in reach if r > 0) + 1) * size

    def has_overlap(self) -> bool:
        """True if two indices may share an element (a zero stride on an axis longer than one)."""
        return any(st == 0 and n > 1 for n, st in zip(self.shape, self.strides))

    def is_channels_last(self) -> bool:
        """True if a 4-axis layout has its channel innermost and is not plain contiguous."""
        return self.ndim == 4 and self.strides == shapes.channels_last_strides(self.shape)


class Unsized:
    """What stands for the layout of a result while a call is learned whose sizes only a run knows: it has none."""

    __slots__ = ("device", "dtype")

    def __init__(self, dtype: DType, device: devices.device):
        self.dtype, self.device = dtype, device


_INTERNED: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


def layout(
    shape: Sequence[int], strides: Sequence[int], dtype: DType, device: devices.device
) -> Layout:
    """The one Layout with these properties."""
    key = (tuple(shape), tuple(strides), dtype.index, device)
    found = _INTERNED.get(key)
    if found is None:
        found = _INTERNED.setdefault(key, Layout(Size(key[0]), key[1], dtype, device))
    return found


def dense(shape: Sequence[int], dtype: DType, device: devices.device = devices.cpu) -> Layout:
    """A row-major layout."""
    return layout(shape, shapes.contiguous_strides(shape), dtype, device)
