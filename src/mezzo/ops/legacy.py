"""PyTorch's old ways of making tensors: Tensor(2, 3), FloatTensor([1, 2]), x.new(...), x.type(...)."""

from __future__ import annotations

import numpy as np

from mezzo import dtypes
from mezzo.core.layout import Size
from mezzo.core.tensor import Tensor, tensor_method
from mezzo.errors import ArgumentTypeError
from mezzo.ops.create import empty
from mezzo.ops.data import tensor
from mezzo.ops.info import TYPE_NAMES, type_name


def _is_int(value) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _made(name: str, dtype: dtypes.dtype, args: tuple, device) -> Tensor:
    """Ints are sizes, a Size is a shape, anything else is data."""
    if not args:
        return empty((0,), dtype=dtype, device=device)
    if all(_is_int(a) for a in args):
        return empty(args, dtype=dtype, device=device)
    if len(args) > 1:
        kinds = ", ".join(type(a).__name__ for a in args)
        raise ArgumentTypeError(
            f"{name}: got ({kinds}); it takes sizes as ints, or one sequence of values."
        )
    (data,) = args
    if isinstance(data, Size):
        return empty(tuple(data), dtype=dtype, device=device)
    if isinstance(data, Tensor):
        if data.dtype is not dtype:
            raise ArgumentTypeError(
                f"{name}: expected {dtype.name} data, got {data.dtype.name}. Convert it with .to({dtype!r})."
            )
        return data.detach()
    if isinstance(data, (list, tuple, range, np.ndarray)):
        return tensor(list(data) if isinstance(data, range) else data, dtype=dtype, device=device)
    raise ArgumentTypeError(
        f"{name}: got {type(data).__name__}; it takes sizes as ints, or a sequence of values."
    )


def _construct(cls, *args, device=None):
    made = _made(cls.__name__, dtypes.Defaults.float_dtype, args, device)
    return made if cls is Tensor else Tensor._make_subclass(cls, made)


Tensor.__new__ = staticmethod(_construct)


class TensorType(type):
    """A class of old tensor types: makes tensors of one dtype, and every such tensor is its instance."""

    def __call__(cls, *args, device=None) -> Tensor:
        return _made(cls.__name__, cls.dtype, args, device)

    def __instancecheck__(cls, value) -> bool:
        return isinstance(value, Tensor) and value.dtype is cls.dtype and not value.is_cuda


def _type(dtype: dtypes.dtype, name: str) -> TensorType:
    doc = f"Makes {dtype.name} tensors, as torch.{name} does: of sizes (uninitialised) or of a sequence."
    return TensorType(name, (), {"dtype": dtype, "__module__": "torch", "__doc__": doc})


TYPES = {name: _type(dtype, name) for dtype, name in TYPE_NAMES.items() if not dtype.is_complex}


def _named(wanted) -> dtypes.dtype:
    """The dtype that a dtype, an old type or its name ("torch.FloatTensor") stands for."""
    if isinstance(wanted, dtypes.dtype):
        return wanted
    if isinstance(wanted, TensorType):
        return wanted.dtype
    if wanted is Tensor:
        return dtypes.Defaults.float_dtype
    found = TYPES.get(str(wanted).rpartition(".")[2])
    if found is None or ".cuda." in str(wanted):
        raise ArgumentTypeError(
            f"type: got {wanted!r}; it must be a dtype, or a type such as 'torch.FloatTensor'."
        )
    return found.dtype


def _type_of(self, dtype=None, non_blocking: bool = False, **kwargs):
    """The name of the tensor's type, or the tensor converted to a dtype or named type. Source: torch.Tensor.type"""
    return type_name(self) if dtype is None else self.to(_named(dtype))


Tensor.type = _type_of


@tensor_method
def new(self, *args, device=None):
    """A tensor of the same dtype from sizes or data. Source: torch.Tensor.new"""
    return _made("new", self.dtype, args, self.device if device is None else device)


def set_default_tensor_type(t) -> None:
    """Set the default floating dtype by a tensor type. Source: torch.set_default_tensor_type"""
    dtypes.set_default_dtype(_named(t))
