"""What a tensor tells of itself, and its values as Python and NumPy see them."""

from __future__ import annotations

import ctypes

import numpy as np

from mezzo import devices, dtypes
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor, exported_array, tensor_method
from mezzo.errors import ArgumentTypeError, ArgumentValueError, GradientError
from mezzo.kernels.cpu import capture
from mezzo.ops.data import from_array
from mezzo.rules import shapes


@tensor_method
def size(self, dim=None):
    """The shape, or the size of one axis."""
    shape = self.layout.shape
    if dim is None:
        return shape
    if dim.__class__ is int and -len(shape) <= dim < len(shape):
        return _entry(shape, dim)
    return shape[shapes.axis(dim, len(shape))]


_entry = tuple.__getitem__  # a size has its own, for slices


@tensor_method
def stride(self, dim=None):
    """Steps between neighbours along the axes, in elements."""
    return self.layout.strides if dim is None else self.layout.strides[shapes.axis(dim, self.ndim)]


@tensor_method
def dim(self) -> int:
    """The number of axes."""
    return self.layout.ndim


@tensor_method
def numel(self) -> int:
    """The number of elements."""
    return self.layout.numel


@tensor_method
def element_size(self) -> int:
    """Bytes of one element."""
    return self.layout.dtype.itemsize


@tensor_method
def storage_offset(self) -> int:
    """Where the first element lies in the storage, in elements."""
    return (
        (self.ptr - self.storage.ptr) // self.itemsize
        if self.level is None and self.ptr and self.storage is not None
        else 0
    )


@tensor_method
def data_ptr(self) -> int:
    """The address of the first element."""
    return self.ptr


@tensor_method
def is_floating_point(self) -> bool:
    """True for float16, bfloat16, float32, float64."""
    return self.layout.dtype.is_floating_point


@tensor_method
def is_complex(self) -> bool:
    """True for complex dtypes."""
    return self.layout.dtype.is_complex


@tensor_method
def is_inference(self) -> bool:
    """True if the tensor was made in inference_mode."""
    return self.storage is not None and self.storage.version < 0


@tensor_method
def get_device(self) -> int:
    """The index of the CUDA device, or -1."""
    return -1 if self.device.index is None else self.device.index


@tensor_method
def is_pinned(self) -> bool:
    """False: there is no pinned memory without CUDA."""
    return False


@tensor_method
def pin_memory(self, device=None):
    """The tensor itself: there is nothing to pin for without CUDA."""
    return self


@tensor_method
def is_shared(self) -> bool:
    """False: memory is not shared between processes."""
    return False


def _readable(tensor: Tensor, operation: str) -> Tensor:
    if STATE.stack:
        for interpreter in reversed(STATE.stack):
            tensor = interpreter.read(tensor, operation)
    if tensor.device is devices.meta:
        raise ArgumentTypeError(
            f"{operation}: the tensor is on device 'meta', which has no values. Make it on 'cpu'."
        )
    return tensor


@tensor_method
def numpy(self, *, force: bool = False):
    """The values as a NumPy array that shares the memory.

    Raises: GradientError if the tensor requires grad; ArgumentTypeError if it is not on the CPU
    """
    if force:
        return exported_array(self.detach().cpu())
    if self.requires_grad:
        raise GradientError(
            "numpy: Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    return exported_array(_readable(self, "numpy"))


@tensor_method
def __array__(self, dtype=None, copy=None):
    array = self.numpy()
    if dtype is not None and np.dtype(dtype) != array.dtype:
        return array.astype(dtype)
    return array.copy() if copy else array


@tensor_method
def item(self):
    """The one value as a Python number.

    Raises: ArgumentValueError unless the tensor has one element
    """
    return _number(self, "item")


def _number(tensor: Tensor, operation: str, kind: type | None = None):
    """The one value as a Python number of that kind (None: the dtype's own), or what stands for it in a recording."""
    if tensor.layout.numel != 1:
        raise OneElementError(
            f"item: a Tensor with {tensor.layout.numel} elements cannot be converted to Scalar. "
            "Reduce it first, or use tolist()."
        )
    lies = _NUMBERS.get(tensor.layout.dtype)
    if lies is not None and not STATE.stack and tensor.ptr:
        if tensor.ptr.__class__ is int:
            value = lies.from_address(tensor.ptr).value
            return value if kind is None else kind(value)
        own = _KINDS[tensor.layout.dtype.category]
        return capture.active().number(tensor.ptr, tensor.layout.dtype.ir, kind or own)
    value = _readable(tensor, operation)._array().reshape(())
    value = float(value) if tensor.dtype.name == "bfloat16" else value.item()
    return value if kind is None else kind(value)


_KINDS = {dtypes.BOOL: bool, dtypes.INTEGER: int, dtypes.FLOAT: float}
# How a number is read from memory where NumPy need not be asked.
_NUMBERS = {dtypes.float32: ctypes.c_float, dtypes.float64: ctypes.c_double, dtypes.bool_: ctypes.c_bool,
            dtypes.uint8: ctypes.c_uint8, dtypes.int8: ctypes.c_int8, dtypes.int16: ctypes.c_int16,
            dtypes.int32: ctypes.c_int32, dtypes.int64: ctypes.c_int64}  # fmt: skip


class OneElementError(ArgumentValueError, RuntimeError):
    """A tensor of several elements was used as a number."""


@tensor_method
def tolist(self):
    """The values as nested Python lists."""
    array = _readable(self, "tolist")._array()
    return (array.astype(np.float32) if self.dtype.name == "bfloat16" else array).tolist()


@tensor_method
def __bool__(self) -> bool:
    if self.layout.numel != 1:
        many = "more than one value" if self.layout.numel else "no values"
        raise OneElementError(
            f"bool: Boolean value of Tensor with {many} is ambiguous. Use x.any() or x.all()."
        )
    return _number(self, "bool", bool)


@tensor_method
def __int__(self) -> int:
    return _number(self, "int", int)


@tensor_method
def __float__(self) -> float:
    return _number(self, "float", float)


@tensor_method
def __complex__(self) -> complex:
    return complex(self.item())


@tensor_method
def __index__(self) -> int:
    if self.dtype.category > 1 or self.layout.numel != 1:
        raise ArgumentTypeError(
            "index: only integer tensors of a single element can be converted to an index."
        )
    return int(_number(self, "index"))


@tensor_method
def __len__(self) -> int:
    if not self.ndim:
        raise ArgumentTypeError("len: len() of a 0-d tensor. It holds one number: x.item().")
    return self.shape[0]


@tensor_method
def __iter__(self):
    if not self.ndim:
        raise ArgumentTypeError("iter: iteration over a 0-d tensor. It holds one number: x.item().")
    return iter([self.select(0, i) for i in range(self.shape[0])])


@tensor_method
def __contains__(self, value) -> bool:
    return bool((self == value).any())


@tensor_method
def __deepcopy__(self, memo):
    if not self.is_leaf:
        raise GradientError(
            "deepcopy: only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol. "
            "Use x.detach().clone()."
        )
    if id(self) in memo:
        return memo[id(self)]
    made = copy_of(self)
    memo[id(self)] = made
    return made


def copy_of(tensor: Tensor) -> Tensor:
    """A leaf of the same class, values, gradient and attributes in its own memory."""
    plain = tensor.detach().clone()
    made = plain
    if type(plain) is not type(tensor):
        made = object.__new__(type(tensor))
        made.become(plain)
        made.auto = made.base = None
    made.__dict__.update(tensor.__dict__)
    if tensor.requires_grad:
        made.requires_grad = True
    if tensor.grad is not None:
        made.grad = tensor.grad.detach().clone()
    return made


@tensor_method
def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
    """The memory as a DLPack capsule (through NumPy; bfloat16 has no NumPy exchange type)."""
    if self.requires_grad:
        raise ArgumentValueError(
            "__dlpack__: Can't export tensors that require gradient, use tensor.detach()."
        )
    return exported_array(self).__dlpack__()


@tensor_method
def __dlpack_device__(self):
    """(1, 0): the processor."""
    return (1, 0)


class _Capsule:
    """A bare DLPack capsule, by the protocol that NumPy reads."""

    def __init__(self, capsule):
        self._capsule = capsule

    def __dlpack__(self, **_options):
        return self._capsule

    def __dlpack_device__(self):
        return (1, 0)


def from_dlpack(source) -> Tensor:
    """A tensor that shares memory with any object that speaks DLPack.

    Source: torch.from_dlpack
    """
    array = np.from_dlpack(source if hasattr(source, "__dlpack__") else _Capsule(source))
    if not array.flags.writeable:
        array = _writable(array)
    return from_array(array, owner=(array, source))


def _writable(array: np.ndarray) -> np.ndarray:
    # NumPy marks imported memory read-only; the producer owns that decision, and tensors are writable.
    interface = dict(array.__array_interface__)
    interface["data"] = (interface["data"][0], False)
    holder = type("_Holder", (), {"__array_interface__": interface, "source": array})()
    return np.asarray(holder)


def _get_data(self):
    return self.severed()


def _set_data(self, value: Tensor) -> None:
    if value.dtype is not self.dtype and self.requires_grad and not value.dtype.is_floating_point:
        raise ArgumentTypeError("data: a tensor that requires grad needs floating point data.")
    self.become(value)


Tensor.data = property(
    _get_data, _set_data, doc="The same memory without history; assigning replaces the memory."
)


@tensor_method
def set_(self, source: Tensor):
    """Let this tensor view the memory of another."""
    _set_data(self, source)
    return self


@staticmethod
def _make_subclass(cls, data: Tensor, requires_grad: bool = False):
    """A tensor of class cls over the memory of data."""
    if data.level is not None:
        raise GradientError(
            f"{cls.__name__}: a tensor inside {data.level.name} has no memory that a {cls.__name__} could take over. "
            "Make it outside, and pass values through functional_call(module, parameters, args)."
        )
    made = object.__new__(cls)
    made.become(data)
    made.auto = made.base = None
    if requires_grad:
        made.requires_grad = True
    return made


Tensor._make_subclass = _make_subclass
