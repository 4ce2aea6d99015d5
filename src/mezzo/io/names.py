"""What pickled checkpoints may name, and what that stands for here. Nothing else exists for them."""

from __future__ import annotations

from collections import Counter, OrderedDict

from mezzo import dtypes
from mezzo.core.layout import Size
from mezzo.core.tensor import Tensor
from mezzo.devices import device
from mezzo.errors import MezzoError
from mezzo.io import arrays
from mezzo.io.rebuild import StorageType, known_dtype
from mezzo.io.unpickle import Machine, Malformed, Name, Refused
from mezzo.nn.parameter import Parameter
from mezzo.settings import STRIDED

# ---- plain data


def _pairs(machine: Machine, items, kind: type, name: str):
    """kind(items) for pairs of keys and values."""
    if type(items) not in (list, tuple):
        raise Malformed(f"{name} is made from a {type(items).__name__}")
    machine.spend(len(items))
    made = kind()
    for pair in items:
        if type(pair) not in (list, tuple) or len(pair) != 2:
            raise Malformed(f"{name} is made from what are no pairs")
        machine.set_items(made, list(pair))
    return made


def _ordered(machine: Machine, items=()) -> OrderedDict:
    return _pairs(machine, items, OrderedDict, "an OrderedDict")


def _counter(machine: Machine, items=None) -> Counter:
    if items is None:
        return Counter()
    if type(items) is not dict:
        raise Malformed("a Counter is made from no dict")
    machine.spend(len(items))
    made = Counter()
    dict.update(made, items)
    return made


def _members(machine: Machine, items, kind: type):
    if type(items) not in (list, tuple):
        raise Malformed(f"a {kind.__name__} is made from a {type(items).__name__}")
    machine.spend(len(items))
    return kind(machine.key(item) for item in items)


def _bytes(machine: Machine, text="", encoding="latin1", kind=bytes):
    """bytes as protocol 2 writes them: text of the letters 0 to 255."""
    if type(text) is bytes and kind is bytearray:
        machine.spend(len(text))
        return bytearray(text)
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise Malformed("bytes are made from what is no text")
    machine.spend(len(text))
    return kind(text.encode("latin-1"))


def _complex(machine: Machine, real=0.0, imag=0.0) -> complex:
    if type(real) not in (int, float) or type(imag) not in (int, float):
        raise Malformed("a complex number has parts that are no numbers")
    return complex(real, imag)


def _version(machine: Machine, text="") -> str:
    if type(text) is not str:
        raise Malformed("a version is no text")
    return text


PLAIN: dict[str, object] = {
    "collections.OrderedDict": Name("OrderedDict", _ordered, is_class=True),
    "collections.Counter": Name("Counter", _counter, is_class=True),
    "_codecs.encode": Name("encode", lambda m, text, encoding: _bytes(m, text, encoding)),
}
for _module in ("builtins", "__builtin__"):  # of Python 3 and 2
    PLAIN |= {
        f"{_module}.set": Name("set", lambda m, items=(): _members(m, items, set)),
        f"{_module}.frozenset": Name(
            "frozenset", lambda m, items=(): _members(m, items, frozenset)
        ),
        f"{_module}.complex": Name("complex", _complex),
        f"{_module}.bytes": Name("bytes", lambda m: b""),
        f"{_module}.bytearray": Name(
            "bytearray", lambda m, *args: _bytes(m, *args, kind=bytearray)
        ),
    }


# ---- PyTorch's


def _tensor(machine: Machine, storage, offset, size, stride) -> Tensor:
    """Before PyTorch 0.4."""
    return machine.context.tensor(machine, storage, offset, size, stride, False, None)


def _tensor_v2(
    machine, storage, offset, size, stride, requires_grad, hooks, metadata=None
) -> Tensor:
    _refuse_lazy(metadata)
    return machine.context.tensor(machine, storage, offset, size, stride, requires_grad, None)


def _tensor_v3(
    machine, storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None
) -> Tensor:
    _refuse_lazy(metadata)
    dtype = known_dtype(dtype)
    return machine.context.tensor(machine, storage, offset, size, stride, requires_grad, dtype)


def _refuse_lazy(metadata) -> None:
    if type(metadata) is dict and any(metadata.values()):
        raise Refused(
            "holds a tensor whose conjugate or sign PyTorch put off. Save tensor.resolve_conj() or "
            "tensor.resolve_neg() instead."
        )
    if metadata is not None and type(metadata) is not dict:
        raise Malformed("a tensor has foreign metadata")


def _meta(machine, dtype, size, stride, requires_grad) -> Tensor:
    return machine.context.meta(machine, dtype, size, stride, requires_grad)


def _parameter(machine, data, requires_grad, hooks=None) -> Parameter:
    return machine.context.parameter(machine, data, requires_grad)


def _parameter_with_state(machine, data, requires_grad, hooks, state) -> Parameter:
    return machine.context.annotate(_parameter(machine, data, requires_grad), state)


def _from_type(machine, function, kind, arguments, state) -> Tensor:
    """A tensor with attributes, or of a class of its own."""
    if kind is not TENSOR and kind is not PARAMETER:
        raise Malformed("a tensor is made of a foreign class")
    if type(arguments) is not tuple or not any(function is known for known in _REBUILD.values()):
        raise Malformed("a tensor is made by a foreign function")
    return machine.context.annotate(function.call(machine, *arguments), state)


def _size(machine: Machine, sizes=()) -> Size:
    if type(sizes) not in (tuple, list) or not all(type(n) is int for n in sizes):
        raise Malformed("a Size is made from what are no numbers")
    machine.spend(len(sizes))
    return Size(sizes)


def _device(machine: Machine, kind, index=None) -> device:
    if type(kind) is not str or (index is not None and (type(index) is not int or index < 0)):
        raise Malformed("a device has no name")
    try:
        return device(kind[:40], index)
    except MezzoError as problem:
        raise Refused(f"holds a device that mezzo does not have ({problem})") from None


def _layout(machine: Machine, name):
    if name != "torch.strided":
        raise Refused(
            "holds a sparse tensor or its layout, which mezzo does not have. Save tensor.to_dense() instead."
        )
    return STRIDED


def _absent(what: str, advice: str):
    def refuse(machine, *arguments):
        raise Refused(f"holds {what}, which mezzo does not have. {advice}")

    return refuse


_STORAGES = {
    "Double": dtypes.float64, "Float": dtypes.float32, "Half": dtypes.float16, "BFloat16": dtypes.bfloat16,
    "Long": dtypes.int64, "Int": dtypes.int32, "Short": dtypes.int16, "Char": dtypes.int8,
    "Byte": dtypes.uint8, "Bool": dtypes.bool_, "ComplexFloat": dtypes.complex64,
    "ComplexDouble": dtypes.complex128,
}  # fmt: skip
STORAGE_OF = {dtype: f"{name}Storage" for name, dtype in _STORAGES.items()}
_OTHER_STORAGES = ("QInt8", "QUInt8", "QInt32", "QUInt4x2", "QUInt2x4")
_OTHER_DTYPES = (
    "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
    "float4_e2m1fn_x2", "uint16", "uint32", "uint64", "complex32", "quint8", "qint8", "qint32", "quint4x2",
    "quint2x4", "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8)),
)  # fmt: skip
TENSOR, PARAMETER = Name("torch.Tensor"), Name("torch.nn.Parameter", _parameter, is_class=True)
_REBUILD = {
    "torch._utils._rebuild_tensor": Name("a tensor", _tensor),
    "torch._utils._rebuild_tensor_v2": Name("a tensor", _tensor_v2),
    "torch._utils._rebuild_tensor_v3": Name("a tensor", _tensor_v3),
    "torch._utils._rebuild_meta_tensor_no_storage": Name("a tensor", _meta),
    "torch._utils._rebuild_parameter": Name("a parameter", _parameter),
    "torch._utils._rebuild_parameter_with_state": Name("a parameter", _parameter_with_state),
}
_ABSENT = {
    "_rebuild_sparse_tensor": _absent("a sparse tensor", "Save tensor.to_dense() instead."),
    "_rebuild_sparse_csr_tensor": _absent("a sparse tensor", "Save tensor.to_dense() instead."),
    "_rebuild_qtensor": _absent("a quantized tensor", "Save tensor.dequantize() instead."),
    "_rebuild_nested_tensor": _absent(
        "a nested tensor", "Save its parts, tensor.unbind(), instead."
    ),
    "_rebuild_wrapper_subclass": _absent("a tensor of a class of its own", "Save a plain tensor."),
}
TORCH: dict[str, object] = {
    **_REBUILD,
    **{f"torch._utils.{name}": Name(name, call) for name, call in _ABSENT.items()},
    "torch._tensor._rebuild_from_type_v2": Name("a tensor", _from_type),
    "torch.Tensor": TENSOR,
    "torch.nn.parameter.Parameter": PARAMETER,
    "torch.Size": Name("torch.Size", _size, is_class=True),
    "torch.device": Name("torch.device", _device),
    "torch.serialization._get_layout": Name("torch.layout", _layout),
    "torch.torch_version.TorchVersion": Name("TorchVersion", _version, is_class=True),
    **{f"torch.{name}": Name(f"dtype torch.{name}") for name in _OTHER_DTYPES},
    **{f"torch.{d.name}": d for d in dtypes.ALL},
}
for _module in ("torch", "torch.cuda", "torch.storage"):
    TORCH |= {
        f"{_module}.{name}Storage": StorageType(f"{name}Storage", dtype)
        for name, dtype in {**_STORAGES, "Untyped": None}.items()
    }
    TORCH |= {f"{_module}.{name}Storage": Name(f"dtype {name}") for name in _OTHER_STORAGES}

NAMES: dict[str, object] = {**PLAIN, **arrays.NAMES, **TORCH}
