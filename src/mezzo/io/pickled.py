"""Nested data as a pickle of protocol 2, in the words that PyTorch's files use and its readers allow.

The pickle is written by hand, since Python's pickler writes only names that it can import.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable

import numpy as np

from mezzo import dtypes
from mezzo.core.layout import Size
from mezzo.core.tensor import Tensor
from mezzo.devices import device
from mezzo.errors import ArgumentTypeError, ArgumentValueError
from mezzo.io.arrays import is_numeric
from mezzo.settings import strided

_MAPPINGS = (dict, OrderedDict, Counter)
_SEQUENCES = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset", Size: "Size"}
_MAX32 = 0xFFFFFFFF


class Global(tuple):
    """A name in a pickle: (module, name)."""


class Call(tuple):
    """(Global, arguments, state): what the name makes of the arguments, then given a state unless None."""


class Stored(tuple):
    """A persistent id: a tuple by which the pickle refers to what lies outside of it."""


_ENCODE = Global(("_codecs", "encode"))
_DICT = Global(("collections", "OrderedDict"))


def _bytes_call(value: bytes) -> Call:
    return Call((_ENCODE, (value.decode("latin-1"), "latin1"), None))


class Collector:
    """Looks through data before they are written: finds the tensors, and refuses what no file can hold."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self._inside: set[int] = set()
        self._seen: set[int] = set()

    def visit(self, value, path: str) -> None:
        """Note the tensors in value; `path` says in errors where in the data it stands."""
        kind = type(value)
        if value is None or kind in (bool, int, float, complex, str, bytes, bytearray):
            return
        if isinstance(value, dtypes.dtype | device | strided):
            return
        number = id(value)
        if number in self._inside:
            raise ArgumentTypeError(f"save: {path} contains itself; a file can hold trees only.")
        if number in self._seen:
            return
        self._seen.add(number)
        if isinstance(value, Tensor):
            self.tensors.append(value)
        elif isinstance(value, np.ndarray | np.generic):
            _check_array(value, path)
        else:
            self._inside.add(number)
            self._container(value, path)
            self._inside.discard(number)

    def _container(self, value, path: str) -> None:
        if type(value) in _MAPPINGS:
            for key, part in value.items():
                self.visit(key, f"a key of {path}")
                self.visit(part, f"{path}[{key!r}]")
            for name, part in getattr(value, "__dict__", {}).items():
                self.visit(part, f"{path}.{name}")
        elif type(value) in _SEQUENCES or _is_plain_tuple(value):
            for i, part in enumerate(value):
                self.visit(part, f"{path}[{i}]")
        else:
            raise ArgumentTypeError(
                f"save: {path} is a {type(value).__module__}.{type(value).__qualname__}; a file can "
                "hold None, bool, int, float, complex, str, bytes, list, tuple, set, dict, tensors, "
                "arrays, dtypes and devices. Of a module, an optimizer or a scheduler save its "
                "state_dict()."
            )


def _is_plain_tuple(value) -> bool:
    return isinstance(value, tuple) and not hasattr(value, "_fields")


def _check_array(value, path: str) -> None:
    if not is_numeric(value.dtype):
        raise ArgumentTypeError(
            f"save: {path} is an array of dtype {value.dtype}; its elements must be numbers of NumPy's own."
        )


class Writer:
    """Writes one pickle. tensor(value) returns the Call that makes a tensor."""

    def __init__(self, tensor: Callable[[Tensor], Call]):
        self.tensor = tensor
        self.out = bytearray()
        self.memo: dict[object, int] = {}
        self.alive: list = []  # objects whose ids are in `memo` must not be freed meanwhile

    def dump(self, value) -> bytes:
        """The pickle of value. Raises: ArgumentValueError where it is nested too deeply."""
        self.out += b"\x80\x02"
        try:
            self.write(value)
        except RecursionError:
            raise ArgumentValueError("save: the data are nested too deeply.") from None
        return bytes(self.out + b".")

    def write(self, value) -> None:
        """Append what makes value."""
        kind = type(value)
        simple = _SIMPLE.get(kind)
        if simple is not None:
            self.out += simple(value)
        elif kind is dtypes.dtype:
            self.write(dtype_name(value))
        elif kind is str or kind is Global:
            self._once(value, value)
        else:
            self._once(id(value), value)

    def _once(self, key, value) -> None:
        """Write value, or refer to it if it was written before."""
        known = self.memo.get(key)
        if known is not None:
            self.out += _numbered(b"hj", known)
            return
        self.alive.append(value)
        self._object(value, key)

    def _remember(self, key) -> None:
        self.memo[key] = number = len(self.memo)
        self.out += _numbered(b"qr", number)

    def _object(self, value, key) -> None:
        kind = type(value)
        if kind is str:
            data = value.encode("utf-8", "surrogatepass")
            if len(data) > _MAX32:
                raise ArgumentValueError("save: a str or bytes object takes more than 4 GiB.")
            self.out += struct.pack("<cI", b"X", len(data)) + data
            self._remember(key)
        elif kind is Global:
            self.out += f"c{value[0]}\n{value[1]}\n".encode()
            self._remember(key)
        elif kind is list:
            self.out += b"]"
            self._remember(key)
            self._marked(value, b"e")
        elif kind is dict:
            self.out += b"}"
            self._remember(key)
            self._items(value)
        elif kind is Stored:
            self._tuple(value)
            self.out += b"Q"
        elif kind is Call:
            self._call(*value)
            self._remember(key)
        elif (call := self._as_call(value)) is not None:
            self._call(*call)
            self._remember(key)
            if kind is OrderedDict:
                self._contents(value)
        else:
            self._tuple(value)
            if value:
                self._remember(key)

    def _contents(self, value: OrderedDict) -> None:
        """The items, and the attributes (the versions of modules in a state_dict)."""
        self._items(value)
        if vars(value):
            self.write(dict(vars(value)))
            self.out += b"b"

    def _items(self, value: dict) -> None:
        self._marked([part for pair in value.items() for part in pair], b"u")

    def _marked(self, parts: list, code: bytes) -> None:
        if parts:
            self.out += b"("
            for part in parts:
                self.write(part)
            self.out += code

    def _tuple(self, value: tuple) -> None:
        if not value:
            self.out += b")"
            return
        self.out += b"(" if len(value) > 3 else b""
        for part in tuple(value):
            self.write(part)
        self.out += b"t" if len(value) > 3 else bytes([0x84 + len(value)])

    def _call(self, name: Global, arguments: tuple, state=None) -> None:
        self.write(name)
        self._tuple(arguments)
        self.out += b"R"
        if state is not None:
            self.write(state)
            self.out += b"b"

    def _as_call(self, value) -> Call | None:
        """The call that makes a value; None for tuples, which have instructions of their own."""
        if isinstance(value, Tensor):
            return self.tensor(value)
        for kind, call in _CALLS.items():
            if isinstance(value, kind):
                return call(value)
        return None


def _numbered(codes: bytes, number: int) -> bytes:
    """An instruction with the number of a memory, in its short or long form."""
    if number < 256:
        return struct.pack("<BB", codes[0], number)
    return struct.pack("<BI", codes[1], number)


def _int(value: int) -> bytes:
    if 0 <= value < 256:
        return struct.pack("<cB", b"K", value)
    if 0 <= value < 1 << 16:
        return struct.pack("<cH", b"M", value)
    if -(1 << 31) <= value < 1 << 31:
        return struct.pack("<ci", b"J", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    if len(data) < 256:
        return struct.pack("<cB", b"\x8a", len(data)) + data
    return struct.pack("<cI", b"\x8b", len(data)) + data


_SIMPLE: dict[type, Callable[..., bytes]] = {
    type(None): lambda value: b"N",
    bool: lambda value: b"\x88" if value else b"\x89",
    int: _int,
    float: lambda value: struct.pack(">cd", b"G", value),
}


def _python(name: str, *arguments) -> Call:
    return Call((Global(("__builtin__", name)), arguments, None))


def _array(value: np.ndarray) -> Call:
    plain = np.ascontiguousarray(value).reshape(value.shape)
    plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
    made = (Global(("numpy", "ndarray")), (0,), _bytes_call(b"b"))
    state = (1, tuple(value.shape), _numpy_dtype(value.dtype), False, _bytes_call(plain.tobytes()))
    return Call((Global(("numpy._core.multiarray", "_reconstruct")), made, state))


def _scalar(value: np.generic) -> Call:
    array = np.asarray(value)
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    arguments = (_numpy_dtype(array.dtype), _bytes_call(data))
    return Call((Global(("numpy._core.multiarray", "scalar")), arguments, None))


def _numpy_dtype(dtype: np.dtype) -> Call:
    order = "|" if dtype.itemsize == 1 else "<"
    state = (3, order, None, None, None, -1, -1, 0)
    code = f"{dtype.kind}{dtype.itemsize}"
    return Call((Global(("numpy", "dtype")), (code, False, True), state))


def _device(value: device) -> Call:
    parts = (value.type,) if value.index is None else (value.type, value.index)
    return Call((Global(("torch", "device")), parts, None))


# Ordered: a NumPy float64 is a float too.
_CALLS: dict[type, Callable[..., Call]] = {
    np.ndarray: _array,
    np.generic: _scalar,
    complex: lambda value: _python("complex", value.real, value.imag),
    bytes: _bytes_call,
    bytearray: lambda value: _python("bytearray", value.decode("latin-1"), "latin-1"),
    set: lambda value: _python("set", list(value)),
    frozenset: lambda value: _python("frozenset", list(value)),
    OrderedDict: lambda value: Call((_DICT, (), None)),
    Counter: lambda value: Call((Global(("collections", "Counter")), (dict(value),), None)),
    Size: lambda value: Call((Global(("torch", "Size")), (tuple(value),), None)),
    device: _device,
    strided: lambda value: Call(
        (Global(("torch.serialization", "_get_layout")), ("torch.strided",), None)
    ),
}


def dtype_name(dtype: dtypes.dtype) -> Global:
    """PyTorch's name of a dtype."""
    return Global(("torch", dtype.name))


def tensor_call(
    tensor: Tensor, storage: Stored | None, offset: int, typed: bool, grad: bool, parameter: bool
) -> Call:
    """What makes a tensor: over a storage of its dtype (typed) or of bytes, or without data (None).

    offset: of the first element, in elements. grad: whether it requires a gradient.
    """
    shape, strides = tuple(tensor.shape), tuple(tensor.layout.strides)
    own = grad and not parameter
    dtype = dtype_name(tensor.dtype)
    if storage is None:
        name, arguments = "_rebuild_meta_tensor_no_storage", (dtype, shape, strides, own)
    elif typed:
        name, arguments = "_rebuild_tensor_v2", (storage, offset, shape, strides, own, _no_hooks())
    else:
        name = "_rebuild_tensor_v3"
        arguments = (storage, offset, shape, strides, own, _no_hooks(), dtype)
    call = Call((Global(("torch._utils", name)), arguments, None))
    if not parameter:
        return call
    name = Global(("torch._utils", "_rebuild_parameter"))
    return Call((name, (call, grad, _no_hooks()), None))


def _no_hooks() -> Call:
    return Call((_DICT, (), None))
