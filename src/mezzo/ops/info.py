"""Questions about tensors, dtypes and numbers: torch.is_tensor, result_type, can_cast, typename, ..."""

from __future__ import annotations

from mezzo import dtypes
from mezzo.core.tensor import Tensor, tensor_method
from mezzo.errors import ArgumentTypeError
from mezzo.ops.storage import TypedStorage, UntypedStorage
from mezzo.rules import dtypes as dtype_rules

TYPE_NAMES = {
    dtypes.float32: "FloatTensor", dtypes.float64: "DoubleTensor", dtypes.float16: "HalfTensor",
    dtypes.bfloat16: "BFloat16Tensor", dtypes.uint8: "ByteTensor", dtypes.int8: "CharTensor",
    dtypes.int16: "ShortTensor", dtypes.int32: "IntTensor", dtypes.int64: "LongTensor",
    dtypes.bool_: "BoolTensor", dtypes.complex64: "ComplexFloatTensor", dtypes.complex128: "ComplexDoubleTensor",
}  # fmt: skip


def _tensor_only(value, operation: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise ArgumentTypeError(
            f"{operation}: argument 1 (input) is {type(value).__name__}; it must be a Tensor."
        )
    return value


def is_tensor(obj) -> bool:
    """True for a Tensor. Source: torch.is_tensor"""
    return isinstance(obj, Tensor)


def is_storage(obj) -> bool:
    """True for a storage object. Source: torch.is_storage"""
    return isinstance(obj, (TypedStorage, UntypedStorage))


def numel(input: Tensor) -> int:
    """The number of elements. Source: torch.numel"""
    return _tensor_only(input, "numel").layout.numel


def is_floating_point(input: Tensor) -> bool:
    """True for the floating dtypes. Source: torch.is_floating_point"""
    return _tensor_only(input, "is_floating_point").dtype.is_floating_point


def is_complex(input: Tensor) -> bool:
    """True for the complex dtypes. Source: torch.is_complex"""
    return _tensor_only(input, "is_complex").dtype.is_complex


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero. Source: torch.is_nonzero"""
    return bool(_tensor_only(input, "is_nonzero"))


def is_signed(input: Tensor) -> bool:
    """True if the dtype has negative values. Source: torch.is_signed"""
    return _tensor_only(input, "is_signed").dtype.is_signed


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """True if the shapes are equal. Source: torch.is_same_size"""
    return tuple(_tensor_only(input, "is_same_size").shape) == tuple(
        _tensor_only(other, "is_same_size").shape
    )


def typename(obj) -> str:
    """The type of an object; of a tensor, with its dtype ("torch.FloatTensor"). Source: torch.typename"""
    if isinstance(obj, Tensor):
        return type_name(obj)
    kind = obj if isinstance(obj, type) else type(obj)
    module = getattr(obj, "__module__", None) or kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def type_name(tensor: Tensor) -> str:
    """PyTorch's name of the tensor's type, such as "torch.FloatTensor"."""
    place = "cuda." if tensor.is_cuda else ""
    return f"torch.{place}{TYPE_NAMES[tensor.dtype]}"


def _operand(value) -> dtype_rules.Operand:
    if isinstance(value, Tensor):
        return value.dtype, "tensor" if value.ndim else "zero"
    if isinstance(value, (bool, int, float, complex)):
        return dtypes.of_scalar(value), "number"
    raise ArgumentTypeError(
        f"result_type: got {type(value).__name__}; it needs tensors and numbers."
    )


def result_type(tensor1, tensor2) -> dtypes.dtype:
    """The dtype that an arithmetic operation on the two would give. Source: torch.result_type"""
    return dtype_rules.result_type([_operand(tensor1), _operand(tensor2)])


def can_cast(from_: dtypes.dtype, to: dtypes.dtype) -> bool:
    """True if promotion may convert from one dtype to the other. Source: torch.can_cast"""
    if from_.category > to.category:
        return False
    both_integer = from_.category == to.category == dtypes.INTEGER
    return not (both_integer and from_.is_signed and not to.is_signed)


for _function in (is_nonzero, is_signed, is_same_size):
    tensor_method(_function)


@tensor_method
def is_set_to(self, tensor: Tensor) -> bool:
    """True if both view the same memory in the same way."""
    return self is tensor or (
        self.level is tensor.level is None
        and self.ptr == tensor.ptr
        and self.layout is tensor.layout
    )


@tensor_method
def is_conj(self) -> bool:
    """False: conjugates are computed at once."""
    return False


@tensor_method
def is_neg(self) -> bool:
    """False: negatives are computed at once."""
    return False


def _itself(name: str):
    def method(self):
        return self

    method.__name__, method.__doc__ = name, "The tensor itself: nothing is pending."
    return method


for _name in ("resolve_conj", "resolve_neg"):
    tensor_method(_itself(_name))


@tensor_method
def ndimension(self) -> int:
    """The number of axes."""
    return self.layout.ndim


@tensor_method
def nelement(self) -> int:
    """The number of elements."""
    return self.layout.numel


@tensor_method
def __delitem__(self, index):
    raise ArgumentTypeError(
        "delitem: Tensor does not support deleting items. Index with what you want to keep."
    )


@tensor_method
def __array_wrap__(self, array, context=None, return_scalar=False):
    """What a NumPy function makes of a tensor is a tensor again; truth values come as bool."""
    return self._from_array(array)


Tensor.name = property(lambda self: None, doc="None: tensors have no names.")
Tensor.output_nr = property(
    lambda self: self.auto.slot if self.auto is not None and self.auto.node is not None else 0,
    doc="Which output of its grad_fn this tensor is.",
)
for _name in (
    "is_mkldnn",
    "is_sparse_csr",
    "is_mps",
    "is_xpu",
    "is_xla",
    "is_ipu",
    "is_mtia",
    "is_maia",
    "is_vulkan",
):
    setattr(Tensor, _name, False)
