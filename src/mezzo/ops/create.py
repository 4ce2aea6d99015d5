"""Making tensors from numbers: filled, ramps, like another (from data: data.py)."""

from __future__ import annotations

import math

import numpy as np

from mezzo import devices, dtypes
from mezzo.core.families import host
from mezzo.core.families.generate import Generate, generate
from mezzo.core.layout import Layout, layout
from mezzo.core.record import composite, registered
from mezzo.core.tape import Auto
from mezzo.core.tensor import Tensor, tensor_method
from mezzo.core.tensor import empty as raw_empty
from mezzo.errors import (
    ArgumentTypeError,
    DTypeError,
    Fact,
    ImpossibleValueError,
)
from mezzo.kernels import ir as k
from mezzo.rules import shapes
from mezzo.rules.samples import S, T


def _fill(outs, value) -> None:
    outs[0][...] = value


class HostFill:
    """A plan that NumPy runs: complex tensors have no kernels yet."""

    def __init__(self, out: Layout):
        self.layout = out

    def execute(self, args: tuple) -> Tensor:
        """New memory, filled."""
        made = raw_empty(self.layout)
        if self.layout.device is devices.cpu:
            host.fill(_fill, (made,), (args[3],))
        return made


class Fill(Generate):
    """One value everywhere, which complex dtypes can have too."""

    def make_complex(self, out: Layout) -> HostFill:
        """The plan of a complex tensor."""
        return HostFill(out)


@registered(Fill)(kernel=lambda type, index, value: value, numbers=("value",), where="", samples=[])
def fill_new(size, dtype, device, value) -> Tensor:
    """A dense tensor of one value."""


@generate(kernel=lambda type, index, start, step: k.fma(k.cast(index, type), step, start),
          numbers=("start", "step"), where="", samples=[])  # fmt: skip
def ramp(size, dtype, device, start, step) -> Tensor:
    """start, start + step, start + 2 step, ..."""


def _linspace(type: str, index: k.Expr, start, end, step, count) -> k.Expr:
    # From both ends to the middle, so that the last element is exactly `end`.
    from_start = k.fma(k.cast(index, type), step, start)
    from_end = k.fma(k.cast(count - 1 - index, type), -step, end)
    return k.where(index < (count >> 1), from_start, from_end)


@generate(
    kernel=_linspace,
    numbers=("start", "end", "step", "count"),
    wide=("count",),
    where="",
    samples=[],
)
def ramp_between(size, dtype, device, start, end, step, count) -> Tensor:
    """Evenly spaced from start to end, both included."""


def shape_of(size) -> tuple[int, ...]:
    """A size argument (int, sequence, nested one-tuple) as a tuple of ints."""
    if isinstance(size, (tuple, list)) and len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = size[0]
    if not isinstance(size, (tuple, list)):
        size = (size,)
    try:
        return tuple(n.__index__() for n in size)
    except AttributeError:
        raise Fact(ArgumentTypeError, f"size {size!r} must consist of ints") from None


def _filled(name: str, size, value, dtype, device, requires_grad) -> Tensor:
    dtype = dtypes.resolve(dtype, name) if dtype is not None else dtypes.Defaults.float_dtype
    shape = shape_of(size)
    if any(n < 0 for n in shape):
        raise Fact(ImpossibleValueError, f"size {shape} has a negative axis")
    made = fill_new(shape, dtype, devices.usable(device, name), value)
    if requires_grad:
        made.requires_grad_()
    return made


@composite(
    where="mezzo",
    varargs="size",
    samples=[S((2, 3)), S(2, 3), S((0, 2)), S(()), S(3, dtype=dtypes.int64)],
)
def zeros(size, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A tensor of zeros.

    Shapes:  -> size
    Source:  torch.zeros
    Example: >>> zeros(2)
             tensor([0., 0.])
    """
    return _filled("zeros", size, 0, dtype, device, requires_grad)


@composite(
    where="mezzo",
    varargs="size",
    samples=[S((2, 3)), S(2, 3), S((0, 2)), S(()), S(3, dtype=dtypes.int64)],
)
def ones(size, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A tensor of ones.

    Shapes: -> size
    Source: torch.ones
    """
    return _filled("ones", size, 1, dtype, device, requires_grad)


@composite(
    where="mezzo",
    free=("fill_value",),
    samples=[
        S((2, 3), 2.5),
        S((2,), 3),
        S((), True),
        S((0, 2), 1.0),
        S((2,), 1, dtype=dtypes.float16),
    ],
)
def full(size, fill_value, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A tensor of one value.

    Shapes: -> size
    Dtypes: that of the value unless given
    Source: torch.full
    """
    if not isinstance(fill_value, (bool, int, float, complex, np.generic, Tensor)):
        raise Fact(
            ArgumentTypeError,
            f"argument 2 (fill_value) is {type(fill_value).__name__}; it must be a number",
        )
    if isinstance(fill_value, Tensor):
        dtype, fill_value = dtype or fill_value.dtype, fill_value.item()
    return _filled(
        "full", size, fill_value, dtype or dtypes.of_scalar(fill_value), device, requires_grad
    )


@composite(
    where="mezzo",
    varargs="size",
    samples=[
        S((2, 3)),
        S(2, 3),
        S((0, 2)),
        S((1, 2, 3, 4), memory_format="channels_last"),
        S(2, dtype=dtypes.uint8),
    ],
)
def empty(
    size, *, dtype=None, device=None, requires_grad=False, memory_format=None, pin_memory=False
) -> Tensor:
    """A tensor whose contents are unspecified.

    Shapes: -> size
    Source: torch.empty
    """
    shape = shape_of(size)
    if any(n < 0 for n in shape):
        raise Fact(ImpossibleValueError, f"size {shape} has a negative axis")
    dtype = dtypes.resolve(dtype, "empty") if dtype is not None else dtypes.Defaults.float_dtype
    strides = shapes.memory_format_strides(
        shape, shapes.contiguous_strides(shape), memory_format or "contiguous"
    )
    made = raw_empty(layout(shape, strides, dtype, devices.usable(device, "empty")))
    return made.requires_grad_() if requires_grad else made


@composite(
    where="mezzo",
    samples=[S(5), S(1, 7, 2), S(5, 0, -2), S(0, 1, 0.25), S(0), S(4, dtype=dtypes.bfloat16)],
)
def arange(start, end=None, step=1, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """start, start + step, ... before end.

    Shapes: -> (ceil((end - start) / step),)
    Source: torch.arange
    """
    if end is None:
        start, end = 0, start
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if step == 0:
        raise Fact(ImpossibleValueError, "step must be nonzero")
    if (end - start) * step < 0:
        raise Fact(
            ImpossibleValueError,
            f"upper bound {end} and lower bound {start} are inconsistent with step {step}",
        )
    if dtype is not None:
        dtype = dtypes.resolve(dtype, "arange")
    else:
        dtype = (
            dtypes.Defaults.float_dtype
            if any(isinstance(v, float) for v in (start, end, step))
            else dtypes.int64
        )
    made = ramp(
        (math.ceil((end - start) / step),), dtype, devices.usable(device, "arange"), start, step
    )
    return made.requires_grad_() if requires_grad else made


@composite(
    where="mezzo",
    samples=[
        S(0, 1, 5),
        S(-1.5, 2, 4),
        S(3, -3, 7),
        S(2, 5, 1),
        S(0, 1, 0),
        S(0, 9, 4, dtype=dtypes.float64),
    ],
)
def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """steps values evenly spaced from start to end, both included.

    Shapes: -> (steps,)
    Source: torch.linspace
    """
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    dtype = dtypes.resolve(dtype, "linspace") if dtype is not None else dtypes.Defaults.float_dtype
    step = (end - start) / (steps - 1) if steps > 1 else 0
    made = ramp_between(
        (steps,),
        dtype,
        devices.usable(device, "linspace"),
        start,
        end if steps > 1 else start,
        step,
        steps,
    )
    return made.requires_grad_() if requires_grad else made


@composite(
    where="mezzo", samples=[S(0, 2, 5), S(-1.0, 1.0, 3, 2.0), S(0, 1, 2, dtype=dtypes.float64)]
)
def logspace(
    start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False
) -> Tensor:
    """base to the powers of steps values evenly spaced from start to end.

    Shapes: -> (steps,)
    Source: torch.logspace
    """
    dtype = dtypes.resolve(dtype, "logspace") if dtype is not None else dtypes.Defaults.float_dtype
    powers = linspace(start, end, steps, dtype=dtypes.float64, device=device)
    made = (float(base) ** powers).to(dtype)
    return made.requires_grad_() if requires_grad else made


@composite(where="mezzo", samples=[S(3), S(2, 4), S(4, 2), S(0), S(2, dtype=dtypes.int32)])
def eye(n, m=None, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Ones on the diagonal, zeros elsewhere.

    Shapes: -> (n, m)
    Source: torch.eye
    """
    m = n if m is None else m
    made = zeros((n, m), dtype=dtype, device=device)
    if n and m:
        made.as_strided((min(n, m),), (m + 1,)).fill_(1)
    return made.requires_grad_() if requires_grad else made


def _like(input: Tensor, dtype, device, memory_format) -> tuple:
    strides = shapes.memory_format_strides(
        input.shape, input.layout.strides, memory_format or "preserve"
    )
    where = input.device if device is None else devices.usable(device, "like")
    return layout(input.shape, strides, dtype or input.dtype, where)


@composite(where="mezzo", samples=[S(T(2, 3)), S(T(0, 3)), S(T(2, 3), dtype=dtypes.float64)])
def empty_like(
    input: Tensor, *, dtype=None, device=None, requires_grad=False, memory_format=None
) -> Tensor:
    """A tensor of the same shape with unspecified contents.

    Shapes: input (...) -> (...)
    Source: torch.empty_like
    """
    made = raw_empty(_like(input, dtype, device, memory_format))
    return made.requires_grad_() if requires_grad else made


@composite(where="mezzo", free=("fill_value",), samples=[S(T(2, 3), 2.5), S(T(0, 3), 1.0)])
def full_like(
    input: Tensor, fill_value, *, dtype=None, device=None, requires_grad=False, memory_format=None
) -> Tensor:
    """One value in the shape of input.

    Shapes: input (...) -> (...)
    Source: torch.full_like
    """
    where = input.device if device is None else devices.usable(device, "full_like")
    made = empty_like(input, dtype=dtype, device=where, memory_format=memory_format)
    if made.layout.is_contiguous or not made.layout.is_dense:
        made = fill_new(tuple(input.shape), made.dtype, where, fill_value)
    else:
        made.fill_(fill_value)
    return made.requires_grad_() if requires_grad else made


@composite(where="mezzo", samples=[S(T(2, 3)), S(T(0, 3))])
def zeros_like(
    input: Tensor, *, dtype=None, device=None, requires_grad=False, memory_format=None
) -> Tensor:
    """Zeros in the shape of input.

    Shapes: input (...) -> (...)
    Source: torch.zeros_like
    """
    return full_like(
        input,
        0,
        dtype=dtype,
        device=device,
        requires_grad=requires_grad,
        memory_format=memory_format,
    )


@composite(where="mezzo", samples=[S(T(2, 3)), S(T(0, 3))])
def ones_like(
    input: Tensor, *, dtype=None, device=None, requires_grad=False, memory_format=None
) -> Tensor:
    """Ones in the shape of input.

    Shapes: input (...) -> (...)
    Source: torch.ones_like
    """
    return full_like(
        input,
        1,
        dtype=dtype,
        device=device,
        requires_grad=requires_grad,
        memory_format=memory_format,
    )


@composite(
    where="Tensor",
    varargs="size",
    samples=[S(T(2), (2, 3)), S(T(2), 2, 3), S(T(2), (2,), dtype=dtypes.int64)],
)
def new_zeros(input: Tensor, size, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Zeros with the dtype and device of input.

    Source: torch.Tensor.new_zeros
    """
    return _new(input, size, 0, dtype, device, requires_grad)


@composite(where="Tensor", varargs="size", samples=[S(T(2), (2, 3)), S(T(2), 2, 3), S(T(2), (0,))])
def new_ones(input: Tensor, size, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Ones with the dtype and device of input.

    Source: torch.Tensor.new_ones
    """
    return _new(input, size, 1, dtype, device, requires_grad)


@composite(where="Tensor", samples=[S(T(2), (2, 3), 1.5), S(T(2), (0,), 2)])
def new_full(
    input: Tensor, size, fill_value, *, dtype=None, device=None, requires_grad=False
) -> Tensor:
    """One value with the dtype and device of input.

    Source: torch.Tensor.new_full
    """
    return _new(input, size, fill_value, dtype, device, requires_grad)


@composite(where="Tensor", varargs="size", samples=[S(T(2), (2, 3)), S(T(2), 2, 3)])
def new_empty(input: Tensor, size, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Unspecified contents with the dtype and device of input.

    Source: torch.Tensor.new_empty
    """
    return empty(size, dtype=dtype or input.dtype, device=input.device if device is None else device,
                 requires_grad=requires_grad)  # fmt: skip


def _new(input, size, value, dtype, device, requires_grad) -> Tensor:
    return _filled(
        "new",
        size,
        value,
        dtype or input.dtype,
        input.device if device is None else device,
        requires_grad,
    )


@tensor_method
def requires_grad_(self, requires_grad: bool = True):
    """Ask for gradients of this leaf, in place."""
    self.requires_grad = requires_grad
    return self


def _get_requires_grad(self) -> bool:
    auto = self.auto
    if self.base is not None:
        return _tape_requires(self)
    return auto is not None and (auto.requires_grad or auto.node is not None)


def _tape_requires(tensor: Tensor) -> bool:
    from_tape = tensor.base.root.auto
    if from_tape is not None and from_tape.generation != tensor.base.generation:
        return from_tape.node is not None or from_tape.requires_grad
    return tensor.auto is not None and (tensor.auto.requires_grad or tensor.auto.node is not None)


def _set_requires_grad(self, wanted: bool) -> None:
    if self.auto is not None and self.auto.node is not None:
        if not wanted:
            raise DTypeError(
                "requires_grad: you can only change it on leaf tensors. Use detach() for a tensor without history."
            )
        return
    if wanted and self.dtype.category < dtypes.FLOAT:
        raise DTypeError(
            f"requires_grad: only tensors of floating point and complex dtype can require gradients, not {self.dtype.name}."
        )
    if self.auto is None:
        if wanted:
            self.auto = Auto(requires_grad=True)
    else:
        self.auto.requires_grad = bool(wanted)


Tensor.requires_grad = property(
    _get_requires_grad, _set_requires_grad, doc="Whether gradients flow to this tensor."
)
