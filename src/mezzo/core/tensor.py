"""Tensor: a layout over a storage. Methods are attached by the records and by the floors above."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

import numpy as np

from mezzo import devices, dtypes
from mezzo.core.layout import Layout, Size, Unsized
from mezzo.core.state import STATE
from mezzo.core.storage import INFERENCE, Storage
from mezzo.errors import ArgumentTypeError, DeviceError, DTypeError, GradientError
from mezzo.kernels.cpu import capture
from mezzo.kernels.cpu.memory import allocate

_new = object.__new__


class Tensor:
    """An n-dimensional array of one dtype on one device, which can take part in differentiation.

    layout: shape, strides, dtype, device (interned). storage: the memory, shared between views.
    ptr: address of the first element. auto: gradient state or None. base: what it is a view of, or None.
    """

    __slots__ = ("__dict__", "__weakref__", "auto", "base", "layout", "ptr", "storage")
    __array_priority__ = 1000

    layout: Layout
    storage: Storage | None
    ptr: int

    # ---- layout

    @property
    def shape(self) -> Size:
        """The sizes of the axes."""
        return self.layout.shape

    @property
    def dtype(self) -> dtypes.dtype:
        """The element type."""
        return self.layout.dtype

    @property
    def device(self) -> devices.device:
        """Where the memory lies."""
        return self.layout.device

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.layout.ndim

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.layout.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.layout.nbytes

    @property
    def is_cuda(self) -> bool:
        """True if the tensor lies on a CUDA device."""
        return self.layout.device.type == "cuda"

    @property
    def is_cpu(self) -> bool:
        """True if the tensor lies in the processor's memory."""
        return self.layout.device.type == "cpu"

    @property
    def is_meta(self) -> bool:
        """True if the tensor has no data."""
        return self.layout.device.type == "meta"

    is_sparse = is_quantized = is_nested = False
    level = None  # the transform that the tensor belongs to: such a tensor has no memory of its own

    @property
    def layout_strides(self) -> tuple[int, ...]:
        """Steps between neighbours along each axis, in elements."""
        return self.layout.strides

    @property
    def _version(self) -> int:
        return self.storage.version if self.storage is not None else 0

    def become(self, other: Tensor) -> None:
        """View what another tensor views, from now on."""
        self.layout, self.storage, self.ptr = other.layout, other.storage, other.ptr

    def severed(self) -> Tensor:
        """The same memory without gradient state."""
        return view(self, self.layout)

    # ---- values

    def _array(self) -> np.ndarray:
        """A NumPy array over the same memory (no checks; the memory stays alive with it)."""
        if self.layout.device.type != "cpu":
            raise ArgumentTypeError(
                f"numpy: the tensor is on device '{self.layout.device}' and NumPy reads the processor's "
                "memory only. Call tensor.cpu() first."
            )
        if STATE.stack and hasattr(self.storage, "settle"):
            self.storage.settle(self)
        return array_over(self.storage, self.ptr, self.layout)

    def __reduce_ex__(self, protocol):
        if self.auto is not None and self.auto.node is not None:
            raise GradientError(
                "pickle: only leaf tensors can be pickled, and this one has a grad_fn. Call detach() first."
            )
        requires = self.auto is not None and self.auto.requires_grad
        values = self._array()
        carried = values.view(np.int16) if self.dtype is dtypes.bfloat16 else values
        return (_rebuild, (type(self), np.ascontiguousarray(carried).reshape(values.shape),
                           self.dtype, requires, self.__dict__))  # fmt: skip


class _Window(ctypes.c_char * (sys.maxsize >> 1)):
    """What NumPy reads memory through; its life keeps the storage alive. How far one may read the layout says."""

    storage: Storage


def exported_array(tensor: Tensor) -> np.ndarray:
    """The tensor's array for somebody who may write to it; its storage takes note."""
    array = tensor._array()
    tensor.storage.export(array.base)
    return array


def array_over(storage, ptr: int, layout: Layout) -> np.ndarray:
    """A NumPy array that shares a storage's memory."""
    if ptr.__class__ is not int:
        raise capture.NotCapturable
    window = _Window.from_address(ptr)
    window.storage = storage
    usual = layout.is_contiguous and (1 not in layout.shape or not layout.numel)
    strides = None if usual else layout.byte_strides()
    return np.ndarray(layout.shape, layout.dtype.numpy, window, 0, strides)


def _rebuild(cls, array, dtype, requires_grad, attributes):
    from_bits = array.view(dtype.numpy) if dtype is dtypes.bfloat16 else array
    made = cls._from_array(from_bits) if hasattr(cls, "_from_array") else from_bits
    made.requires_grad = requires_grad
    made.__dict__.update(attributes)
    return made


def empty(layout: Layout) -> Tensor:
    """A new tensor of that layout with unspecified contents."""
    made = _new(Tensor)
    made.layout = layout
    if layout.device is devices.cpu:
        storage = allocate(layout.nbytes, STATE.storage or Storage)
        storage.version = INFERENCE if STATE.inference else 0
        storage.writer = None
        made.storage, made.ptr = storage, storage.ptr
    else:
        made.storage, made.ptr = None, 0
    made.auto = made.base = None
    return made


def empty_counted(count: int | capture.Count, make: Callable[[int], Layout], dtype) -> Tensor:
    """A new tensor of the layout make(count): as long as values said."""
    if count.__class__ is int:
        return empty(make(count))
    made, storage = _new(Tensor), _new(Storage)
    storage.bucket, storage.ptr = capture.active().allocate_counted(count, make)
    storage.nbytes, storage.version, storage.writer = 0, INFERENCE if STATE.inference else 0, None
    made.layout, made.storage, made.ptr = Unsized(dtype, devices.cpu), storage, storage.ptr
    made.auto = made.base = None
    return made


def view(source: Tensor, layout: Layout, offset: int = 0) -> Tensor:
    """A tensor over the same memory, `offset` bytes further; carries no gradient state."""
    made = _new(Tensor)
    made.layout, made.storage, made.ptr = layout, source.storage, source.ptr + offset
    made.auto = made.base = None
    return made


def common_device(operation: str, tensors) -> devices.device:
    """The one device of the tensors; raises where they are mixed."""
    first = tensors[0].layout.device
    for tensor in tensors:
        if tensor.layout.device is not first:
            raise DeviceError(
                f"{operation}: expected all tensors to be on the same device, but found at least two devices, "
                f"{first} and {tensor.layout.device}. Move one with .to('{first}')."
            )
    return first


def require_no_complex(operation: str, dtype: dtypes.dtype) -> None:
    """Refuse complex operands: the operation is one of those that take real numbers only."""
    if dtype.is_complex:
        raise DTypeError(
            f"{operation}: does not take {dtype}; complex tensors have arithmetic, products, exponentials and transforms. "
            "Work on view_as_real(x), or in NumPy through x.numpy()."
        )


def tensor_method(function):
    """Attach a function of a floor above as a method of Tensor."""
    setattr(Tensor, function.__name__, function)
    return function
