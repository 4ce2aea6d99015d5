"""Copies and casts: clone, to, contiguous, copy_."""

from __future__ import annotations

import numpy as np

from mezzo import devices, dtypes
from mezzo.core import record as door
from mezzo.core import tape
from mezzo.core.families import host, transposed
from mezzo.core.families.elementwise import Elementwise
from mezzo.core.layout import layout
from mezzo.core.record import Record, composite, none, registered, update
from mezzo.core.tensor import Tensor, empty, tensor_method
from mezzo.core.tensor import view as raw_view
from mezzo.errors import ArgumentTypeError, DTypeError, Fact, ShapeError
from mezzo.kernels.cpu import transpose
from mezzo.rules import samples, shapes
from mezzo.rules.samples import S, T


class memory_format(str):
    """The order of a tensor's elements in memory."""

    def __repr__(self) -> str:
        return "mezzo.channels_last" if self == "channels_last" else "mezzo." + self + "_format"

    def __str__(self) -> str:
        return repr(self)


preserve_format, contiguous_format, channels_last = map(
    memory_format, ("preserve", "contiguous", "channels_last")
)


def _convert(outs, source) -> None:
    np.copyto(outs[0], source, casting="unsafe")


class HostCopy:
    """A plan that NumPy runs: complex tensors have no kernels of their own."""

    def __init__(self, out, tensors, source: int):
        self.layout, self.tensors, self.source = out, tensors, source
        self.runs = out.device is not devices.meta

    def execute(self, args):
        """Copy into new memory."""
        out = empty(self.layout)
        self.into(out, args)
        return out

    def into(self, out, args):
        """Copy into existing memory."""
        if not self.runs:
            return
        host.fill(_convert, (out,), (args[self.source],))


class Copy(Elementwise):
    """Elementwise copies, which complex dtypes can make too."""

    family = "copy"
    source = 0

    def result_layout(self, args, shape, layouts, dtype, device):
        form = dict(zip(self.names, args)).get("memory_format") or preserve_format
        return layout(
            shape, shapes.memory_format_strides(shape, layouts[0].strides, form), dtype, device
        )

    def make_into(self, target, args):
        out, source = target or args[0].layout, args[self.source]
        dtype = args[1] if self.source == 0 and args[1] is not None else out.dtype
        if (
            out.device in (devices.cpu, devices.meta)
            and isinstance(source, Tensor)
            and (dtype.is_complex or source.dtype.is_complex)
        ):
            if target is None:
                out = self.result_layout(args, out.shape, [out], dtype, out.device)
            elif shapes.broadcast([out.shape, source.shape]) != tuple(out.shape):
                raise Fact(
                    ShapeError, f"cannot broadcast {list(source.shape)} to {list(out.shape)}"
                )
            return HostCopy(out, (self.source,), self.source)
        plan = super().make_into(target, args)
        if plan.runs and isinstance(source, Tensor) and source.dtype is plan.layout.dtype:
            block = transposed.block_for(plan.layout, source.layout)
            if block is not None:
                plan.block, plan.head = block, block.buffer_info()[0]
                plan.address = transpose.address(
                    source.dtype.itemsize, 1 + len(plan.tensors), transposed.is_large(plan.layout)
                )
        return plan


copies = registered(Copy)


def _cast_dtype(operands, named):
    to = named["dtype"] or operands[0][0]
    return to, to


def _copy_dtype(operands, named):
    to = named["input"].dtype
    return to, to


@copies(kernel=lambda x, dtype, memory_format: x, dtype=_cast_dtype, where="",
        grad_name=lambda args: "CloneBackward0" if args[1] is None else "ToCopyBackward0",
        vjp={"input": lambda g, _y, _x, dtype, memory_format: g}, samples=samples.casts,
        reference=lambda x, dtype: x.to(dtype, copy=True))  # fmt: skip
def cast(input: Tensor, dtype=None, memory_format=None) -> Tensor:
    """A copy in another dtype (None: the same) and memory format.

    Shapes: input (...) -> (...)
    Source: torch.Tensor.to
    """


class CopyInto(Copy):
    """copy_: the shape and dtype are the target's."""

    source = 1

    def _check_target(self, target, shape, result):
        if tuple(target.shape) != tuple(shape):
            raise Fact(
                ShapeError, f"source does not broadcast to the target's shape {list(target.shape)}"
            )
        if target.has_overlap():
            raise Fact(
                ShapeError,
                "cannot write into an expanded tensor: several indices share one element",
                "clone() it.",
            )

    def _operand_dtypes(self, args):
        return [(args[0].dtype, "tensor")]


@registered(CopyInto)(kernel=lambda x, source: source, dtype=_copy_dtype, where="", inplace=True,
    vjp={"input": lambda g, _y, _x, _s: g * 0, "source": lambda g, _y, _x, _s: g},
    samples=[S(T(2, 3), T(2, 3)), S(T(2, 3), T(3))], reference=lambda x, s: x.clone().copy_(s))  # fmt: skip
def copy(input: Tensor, source: Tensor) -> Tensor:
    """source broadcast to the shape and converted to the dtype of input; copy_ writes it into input.

    Shapes: input (...), source broadcastable -> (...)
    Source: torch.Tensor.copy_
    """


def copy_into(target: Tensor, source) -> Tensor:
    """target.copy_(source), for the core's generic in-place forms."""
    return update(copy, target, source)


def resize_into(target: Tensor, value: Tensor) -> None:
    """Write an out= result; an empty out takes the result's shape."""
    if target.layout.numel == 0 and target.shape != value.shape:
        fresh = empty(
            layout(value.shape, shapes.contiguous_strides(value.shape), target.dtype, target.device)
        )
        target.layout, target.storage, target.ptr = fresh.layout, fresh.storage, fresh.ptr
    if tuple(target.shape) != tuple(value.shape):
        raise ShapeError(
            f"out=: the tensor has shape {list(target.shape)} and the result {list(value.shape)}. "
            "Pass a tensor of the result's shape, or an empty one, which takes it."
        )
    if target.dtype.category < value.dtype.category:
        raise DTypeError(
            f"out=: result type {value.dtype.name} can't be cast to the desired output type {target.dtype.name}."
        )
    update(copy, target, value)


door.COPY_INTO.append(copy_into)
door.RESIZE_INTO.append(resize_into)


@composite(where="mezzo Tensor", samples=[S(T(2, 3)), S(T(0, 3))])
def clone(input: Tensor, *, memory_format=None) -> Tensor:
    """A copy with its own memory.

    Shapes: input (...) -> (...)
    Source: torch.clone
    Example: >>> clone(tensor([1.0]))
             tensor([1.])
    """
    return cast(input, None, memory_format)


@composite(where="Tensor", samples=[S(T(2, 3))])
def contiguous(input: Tensor, memory_format=contiguous_format) -> Tensor:
    """The tensor itself if it already lies in that memory format, else a copy that does.

    Shapes: input (...) -> (...)
    Source: torch.Tensor.contiguous
    """
    return input if is_contiguous(input, memory_format) else cast(input, None, memory_format)


@tensor_method
def is_contiguous(self, memory_format=contiguous_format) -> bool:
    """True if the elements lie in that memory format without gaps."""
    if memory_format == channels_last:
        return (
            self.ndim == 4
            and shapes.is_dense(self.shape, self.layout.strides)
            and _same_order(self)
        )
    return self.layout.is_contiguous


def _same_order(tensor: Tensor) -> bool:
    want = shapes.channels_last_strides(tensor.shape)
    return all(n == 1 or a == b for n, a, b in zip(tensor.shape, tensor.layout.strides, want))


@composite(where="Tensor", samples=[S(T(2, 3), T(3))], reference=lambda x, o: x.to(o.dtype))
def type_as(input: Tensor, other: Tensor) -> Tensor:
    """input in the dtype of other.

    Shapes: input (...) -> (...)
    Source: torch.Tensor.type_as
    """
    return input.to(other.dtype)


def _parse_to(args, kwargs):
    dtype, device = kwargs.pop("dtype", None), kwargs.pop("device", None)
    if "other" in kwargs:
        args = (kwargs.pop("other"), *args)
    flags = [a for a in args if isinstance(a, bool)]
    for a in args:
        if isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, (dtypes.dtype, type)):
            dtype = dtypes.resolve(a, "to")
        elif isinstance(a, (str, devices.device)) or (
            isinstance(a, int) and not isinstance(a, bool)
        ):
            device = a
        elif a is not None and not isinstance(a, bool):
            raise ArgumentTypeError(f"to: got {a!r}; it takes a dtype, a device or another tensor.")
    copy = kwargs.pop("copy", len(flags) > 1 and flags[1])
    form = kwargs.pop("memory_format", None)
    kwargs.pop("non_blocking", None)
    if kwargs:
        raise ArgumentTypeError(f"to: got an unexpected keyword argument '{next(iter(kwargs))}'.")
    return dtype, device, copy, form


@tensor_method
def to(self, *args, **kwargs):
    """The tensor with another dtype, device or memory format: to(dtype), to(device), to(other), copy=True."""
    if len(args) == 1 and not kwargs:  # nearly all calls: most of them change nothing
        (wanted,), own = args, self.layout
        if wanted is own.dtype or wanted is own.device or (wanted == "cpu" and self.is_cpu):
            return self
        if wanted.__class__ is dtypes.dtype:
            return cast(self, wanted, None)
    dtype, device, copy, form = _parse_to(args, kwargs)
    where = devices.usable(device, "to") if device is not None else self.device
    moved = move(self, where) if where is not self.device else self
    dtype = self.dtype if dtype is None else dtypes.resolve(dtype, "to")
    same_form = form in (None, preserve_format) or is_contiguous(moved, form)
    if dtype is moved.dtype and not copy and same_form:
        return moved
    return cast(moved, dtype, form)


class Move(Record):
    """Transfers between devices."""

    family = "move"

    def run(self, args):
        source, where = args
        if where is devices.meta:
            out = empty(layout(source.shape, source.layout.strides, source.dtype, where))
        else:
            raise DTypeError(
                f"to: a tensor on device '{source.device}' has no data to copy to '{where}'. "
                "Make one with mezzo.empty_like(x, device='cpu')."
            )
        tape.attach(self, args, out)
        return out


@registered(Move)(where="", vjp=none("meta tensors carry no values"), samples=[],
                  batch=lambda record, size, args, batched: record.apply(args))  # fmt: skip
def move(input: Tensor, device) -> Tensor:
    """The tensor on another device.

    Source: torch.Tensor.to
    """


def _dtype_method(name: str, dtype: dtypes.dtype):
    def method(self, memory_format=None):
        if memory_format:
            return self.to(dtype, memory_format=memory_format)
        return self if self.layout.dtype is dtype else cast(self, dtype, None)

    method.__name__, method.__doc__ = name, f"The tensor as {dtype.name}."
    return tensor_method(method)


for _name, _dtype in {
    **dtypes.ALIASES,
    "bfloat16": dtypes.bfloat16,
    "byte": dtypes.uint8,
    "char": dtypes.int8,
}.items():
    _dtype_method(_name, _dtype)


@tensor_method
def cpu(self, memory_format=None):
    """The tensor in the processor's memory."""
    return self if self.is_cpu else self.to("cpu")


@tensor_method
def cuda(self, device=None, non_blocking=False, memory_format=None):
    """The tensor on a CUDA device; raises where there is none."""
    return self.to("cuda" if device is None else devices.device(device))


@tensor_method
def detach(self):
    """The same memory without history; never requires grad."""
    return self.severed()


@tensor_method
def detach_(self):
    """Cut the tensor out of its history, in place."""
    if self.level is not None:
        self.become(self.severed())
    self.auto = None
    return self


def same_memory(tensor: Tensor) -> Tensor:
    """A second Tensor over the same memory."""
    return raw_view(tensor, tensor.layout)
