"""Tensors from data: Python numbers and sequences, NumPy arrays, buffers."""

from __future__ import annotations

import array as arrays
import ctypes
import functools
from itertools import chain

import numpy as np

from mezzo import devices, dtypes
from mezzo.core.families.elementwise import map_plan
from mezzo.core.families.joins import kernel_between
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.record import composite
from mezzo.core.state import STATE
from mezzo.core.storage import ExternalStorage
from mezzo.core.tensor import Tensor, tensor_method
from mezzo.core.tensor import empty as raw_empty
from mezzo.core.tensor import view as raw_view
from mezzo.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    Fact,
    ImpossibleValueError,
)
from mezzo.kernels.cpu import capture
from mezzo.ops.create import shape_of
from mezzo.rules import shapes
from mezzo.rules.samples import S


@functools.lru_cache(maxsize=1024)
def _dense(shape: tuple[int, ...], dtype: dtypes.dtype) -> Layout:
    """A row-major layout, found quickly where data of one shape comes again and again."""
    return dense(shape, dtype)


@functools.lru_cache(maxsize=1024)
def _layout_of(shape: tuple[int, ...], strides: tuple[int, ...], kind: np.dtype):
    """The layout of an array, and how many bytes from its first element on it covers."""
    dtype, size = dtypes.from_numpy(kind), kind.itemsize
    if any(s % size for s in strides):
        raise ArgumentValueError(
            "from_numpy: strides must be multiples of the item size. Use np.ascontiguousarray(array)."
        )
    if any(s < 0 for s, n in zip(strides, shape) if n > 1):
        raise ArgumentValueError(
            "from_numpy: arrays with negative strides are not supported. Use array.copy()."
        )
    found = layout(shape, tuple(s // size for s in strides), dtype, devices.cpu)
    return found, max(found.extent()[1], 0)


def _address(array: np.ndarray) -> int:
    """Where its first element lies."""
    return array.ctypes.data


def _address_inside(array: np.ndarray) -> int:
    """The same, read from the object: its first field, which NumPy's binary interface fixes."""
    return ctypes.c_ssize_t.from_address(id(array) + _HEAD).value


_HEAD = object.__basicsize__
_probe = np.zeros(3, np.int8)[1:]
data_address = _address_inside if _address_inside(_probe) == _address(_probe) else _address


def from_array(array: np.ndarray, owner=None) -> Tensor:
    """A tensor over a NumPy array's memory (shared, not copied)."""
    made = object.__new__(Tensor)
    made.layout, reach = _layout_of(array.shape, array.strides, array.dtype)
    made.ptr = pointer = data_address(array)
    made.storage = ExternalStorage(pointer, reach, array if owner is None else owner)
    made.auto = made.base = None
    return made


Tensor._from_array = staticmethod(from_array)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares memory with a NumPy array.

    Raises: TypeError for dtypes without a counterpart
    Source: torch.from_numpy
    """
    if not isinstance(array, np.ndarray):
        raise ArgumentTypeError(
            f"from_numpy: got {type(array).__name__}; it must be a NumPy array. Use mezzo.tensor(data)."
        )
    return from_array(array)


def _numbers(data) -> np.ndarray:
    """Python data as an array; ragged or foreign data raise with the place."""
    if isinstance(data, (list, tuple)) and any(
        isinstance(v, Tensor) or _holds_tensor(v) for v in data
    ):
        data = _unwrap(data)
    try:
        array = np.array(data)
    except ValueError as error:
        raise ArgumentValueError(
            f"tensor: nested sequences must all have one length ({error})."
        ) from None
    if array.dtype.kind in "OSUV" and array.dtype not in dtypes._BY_NUMPY:
        _refuse_large(data)
        foreign = _foreign(data)
        listed = isinstance(data, (list, tuple)) and foreign == _foreign(_first(data)) == "str"
        kind = ImpossibleValueError if listed or foreign == "NoneType" else ArgumentTypeError
        raise kind(f"tensor: could not infer dtype of {foreign}; elements must be numbers.")
    return array


def _holds_tensor(value) -> bool:
    return isinstance(value, (list, tuple)) and any(
        isinstance(v, Tensor) or _holds_tensor(v) for v in value
    )


def _unwrap(value):
    if isinstance(value, Tensor):
        return value.detach()._array().tolist() if value.ndim else value.item()
    return [_unwrap(v) for v in value] if isinstance(value, (list, tuple)) else value


def _refuse_large(data) -> None:
    """Raise for an int that no integer dtype holds (NumPy keeps it as an object)."""
    if isinstance(data, int) and not isinstance(data, bool) and not -(1 << 63) <= data < 1 << 63:
        raise ImpossibleValueError(
            f"tensor: Overflow when unpacking long: {data} does not fit into int64."
        )
    if isinstance(data, (list, tuple)):
        for value in data:
            _refuse_large(value)


def _first(data):
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data


def _foreign(data) -> str:
    """The type of the first element that is no number."""
    if isinstance(data, (list, tuple)):
        kinds = [_foreign(item) for item in data]
        return next((kind for kind in kinds if kind not in _NUMBERS), kinds[0] if kinds else "list")
    return type(data).__name__


_NUMBERS = ("bool", "int", "float", "complex")


def _leaf_dtypes(data) -> set[dtypes.dtype]:
    if isinstance(data, (list, tuple)):
        return set().union(*map(_leaf_dtypes, data))
    if isinstance(data, Tensor):
        return {data.dtype}
    return {
        dtypes.from_numpy(data.dtype)
        if isinstance(data, (np.ndarray, np.generic))
        else dtypes.of_scalar(data)
    }


def _default_dtype(data, array: np.ndarray) -> dtypes.dtype:
    if isinstance(data, (np.ndarray, np.generic)):
        return dtypes.from_numpy(array.dtype)
    kind = array.dtype.kind
    first = data
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if isinstance(
        first, (np.ndarray, np.generic, Tensor)
    ):  # a list of typed values keeps their types
        found = _leaf_dtypes(data)
        return functools.reduce(dtypes.promote_types, found)
    if kind == "f":
        return dtypes.Defaults.float_dtype
    if kind == "c":
        return dtypes.Defaults.float_dtype.to_complex()
    return dtypes.bool_ if kind == "b" else dtypes.int64


def _refuse_overflow(data, array: np.ndarray, dtype: dtypes.dtype) -> None:
    """Python ints that the dtype cannot hold are an error, not wrapped around; arrays convert as NumPy does."""
    if (
        array.dtype.kind == "u"
        and array.dtype.itemsize == 8
        and not isinstance(data, (np.ndarray, np.generic))
    ):
        _refuse_large(data)
    if (
        dtype.category != dtypes.INTEGER
        or array.dtype.kind != "i"
        or isinstance(data, (np.ndarray, np.generic))
        or not array.size
    ):
        return
    limits, low, high = np.iinfo(dtype.numpy), int(array.min()), int(array.max())
    # PyTorch lets negative numbers into unsigned types as their two's complement.
    lowest = limits.min if dtype.is_signed else -limits.max
    if low < lowest or high > limits.max:
        value = high if high > limits.max else low
        raise ImpossibleValueError(
            f"tensor: value {value} cannot be converted to type {dtype.name} without overflow."
        )


def _put(made: Tensor, values: np.ndarray) -> None:
    recording = capture.active()
    if recording is None or not recording.strict or made.dtype.is_complex:
        np.copyto(made._array(), values, casting="unsafe")
        return
    # Constants of a call that is learned: a kernel copies them from memory that the entry keeps.
    kept = np.array(values, order="C")
    plan = map_plan(kernel_between(made.dtype, made.dtype), (made.layout,), [made.layout])
    recording.kept += [kept, plan]
    plan.launch(plan.address, plan.head, made.ptr, kept.ctypes.data)


# What Python's arrays call the elements of a dtype; a bool is a byte.
_CODES = {dtypes.float32: "f", dtypes.float64: "d", dtypes.int64: "q", dtypes.int32: "i", dtypes.bool_: "b"}  # fmt: skip
_LISTS = ({list}, {tuple})


def _packed(
    data, dtype: dtypes.dtype | None
) -> tuple[tuple[int, ...], dtypes.dtype, arrays.array] | None:
    """Shape, dtype and memory of Python numbers in nested lists; None where NumPy is to look at them."""
    shape, kinds = (), {data.__class__}
    while kinds in _LISTS:
        if shape:
            sizes = set(map(len, data))
            if len(sizes) > 1:
                return None
            shape, data = (*shape, *sizes), list(chain.from_iterable(data))
        else:
            shape = (len(data),)
        kinds = set(map(type, data))
    if not shape:
        data = (data,)
    kind = frozenset(kinds)
    usual = _USUAL.get(kind)
    if usual is None:
        return None
    dtype = usual() if dtype is None else dtype
    code = _CODES.get(dtype)
    if code is None or not _converts(data, kind, dtype):
        return None
    try:
        return shape, dtype, arrays.array(code, data)
    except OverflowError:
        return None


_INTS, _FLOATS, _BOOLS = frozenset({int}), frozenset({float}), frozenset({bool})
_USUAL = {_FLOATS: lambda: dtypes.Defaults.float_dtype, _FLOATS | _INTS: lambda: dtypes.Defaults.float_dtype,
          _INTS: lambda: dtypes.int64, _BOOLS: lambda: dtypes.bool_}  # fmt: skip
_EXACT = 1 << 53  # ints up to which a double holds


def _converts(data, kind: frozenset, dtype: dtypes.dtype) -> bool:
    """Whether the numbers become those of the dtype in one step, as NumPy's would."""
    if kind == _BOOLS:
        return dtype is dtypes.bool_
    if kind == _INTS:
        fits = dtype.is_floating_point and -_EXACT <= min(data) and max(data) <= _EXACT
        return fits or dtype.category == dtypes.INTEGER
    return dtype.is_floating_point


def _at_once(data, dtype, where: devices.device) -> Tensor | None:
    """Python numbers, or an array that keeps its dtype, in a new tensor; None where more is to be looked at."""
    # A trace has its own memory, and must hear of constants.
    if where is not devices.cpu or STATE.stack or STATE.storage or capture.Recording.current:
        return None
    if data.__class__ is np.ndarray:
        if dtype is not None or not data.flags.c_contiguous:
            return None
        made, values = raw_empty(_dense(data.shape, dtypes.from_numpy(data.dtype))), data
        source = data_address(values)
    else:
        packed = _packed(data, None if dtype is None else dtypes.resolve(dtype, "tensor"))
        if packed is None:
            return None
        shape, kind, values = packed
        made, source = raw_empty(_dense(shape, kind)), values.buffer_info()[0]
    ctypes.memmove(made.ptr, source, made.layout.nbytes)
    return made


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False) -> Tensor:
    """A new tensor with the values of numbers, nested sequences, an array or a tensor (copied).

    Dtypes: Python floats become the default float, ints int64; arrays keep theirs
    Source: torch.tensor
    """
    where = devices.usable(device, "tensor")
    if isinstance(data, Tensor):
        made = data.detach().to(dtype=dtype or data.dtype, device=where, copy=True)
    elif (made := _at_once(data, dtype, where)) is None:
        array = np.asarray(data) if isinstance(data, (np.ndarray, np.generic)) else _numbers(data)
        dtype = (
            dtypes.resolve(dtype, "tensor") if dtype is not None else _default_dtype(data, array)
        )
        _refuse_overflow(data, array, dtype)
        made = raw_empty(layout(array.shape, shapes.contiguous_strides(array.shape), dtype, where))
        if where is devices.cpu and array.size:
            _put(made, array.astype(dtype.numpy, copy=False))
    if requires_grad:
        made.requires_grad_()
    return made


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """data as a tensor, sharing memory where it can.

    Source: torch.as_tensor
    """
    if isinstance(data, Tensor):
        return data.to(dtype=dtype or data.dtype, device=data.device if device is None else device)
    if isinstance(data, np.ndarray):
        made = from_array(data)
        return made if dtype is device is None else made.to(dtype=dtype, device=device or "cpu")
    return tensor(data, dtype=dtype, device=device)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False) -> Tensor:
    """obj as a tensor: memory is shared with tensors, arrays and buffers unless copy=True.

    Source: torch.asarray
    """
    if isinstance(obj, (bytes, bytearray, memoryview)) and dtype is not None:
        obj = np.frombuffer(obj, dtype.numpy)
    if isinstance(obj, np.ndarray) and not obj.flags.writeable:
        obj = obj.copy()
    made = as_tensor(obj, dtype=dtype, device=device)
    if copy and isinstance(obj, (Tensor, np.ndarray)):
        made = made.clone()
    elif copy is False and not isinstance(obj, (Tensor, np.ndarray)):
        raise ArgumentValueError(
            f"asarray: cannot share the memory of a {type(obj).__name__}. Leave copy=False away."
        )
    return made.detach().requires_grad_() if requires_grad else made


def frombuffer(buffer, *, dtype: dtypes.dtype, count=-1, offset=0, requires_grad=False) -> Tensor:
    """A 1-d tensor over the memory of a Python buffer (bytearray, memoryview, mmap).

    Source: torch.frombuffer
    """
    size = memoryview(buffer).nbytes
    if size == 0 or count == 0:
        raise ArgumentValueError(
            f"frombuffer: both buffer length ({size}) and count ({count}) must not be 0."
        )
    if not 0 <= offset < size:
        raise ArgumentValueError(
            f"frombuffer: offset {offset} must lie in the buffer, which has {size} bytes."
        )
    if count < 0 and (size - offset) % dtype.itemsize:
        raise ArgumentValueError(
            f"frombuffer: {size - offset} bytes are no multiple of the element size {dtype.itemsize}. Pass count=."
        )
    if count > 0 and offset + count * dtype.itemsize > size:
        raise ArgumentValueError(
            f"frombuffer: {count} elements of {dtype.name} do not fit into {size - offset} bytes."
        )
    whole = np.frombuffer(buffer, np.uint8, offset=offset)
    taken = whole[: count * dtype.itemsize] if count > 0 else whole
    made = from_array(taken.view(dtype.numpy), owner=(taken, buffer))
    return made.requires_grad_() if requires_grad else made


@composite(where="mezzo", samples=[S((2, 3), (1, 2)), S((2, 3), (3, 1), dtype=dtypes.int64)])
def empty_strided(
    size, stride, *, dtype=None, device=None, requires_grad=False, pin_memory=False
) -> Tensor:
    """A tensor with the given strides whose contents are unspecified.

    Source: torch.empty_strided
    """
    shape, strides = shape_of(size), shape_of(stride)
    if len(shape) != len(strides):
        raise Fact(ImpossibleValueError, f"size {shape} and stride {strides} must have one length")
    if any(n < 0 for n in (*shape, *strides)):
        raise Fact(ImpossibleValueError, f"size {shape} and stride {strides} must not be negative")
    where = devices.usable(device, "empty_strided")
    dtype = (
        dtypes.resolve(dtype, "empty_strided") if dtype is not None else dtypes.Defaults.float_dtype
    )
    wanted = layout(shape, strides, dtype, where)
    reach = wanted.extent()[1] // dtype.itemsize
    made = raw_view(raw_empty(layout((reach,), (1,), dtype, where)), wanted)
    return made.requires_grad_() if requires_grad else made


def scalar_tensor(value, *, dtype=None, device=None) -> Tensor:
    """A 0-d tensor.

    Source: torch.scalar_tensor
    """
    return tensor(value, dtype=dtype, device=device)


@tensor_method
def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False):
    """tensor(data) with this tensor's dtype and device unless given."""
    return tensor(
        data, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad
    )
