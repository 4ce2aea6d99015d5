"""Complex tensors: their parts as views, and making them. Their arithmetic is in complex_arithmetic.py."""

from __future__ import annotations

from mezzo import dtypes
from mezzo.core.families.views import view as view_rule
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact, ShapeError, UnsupportedDTypeError
from mezzo.ops.join import stack
from mezzo.rules import batching
from mezzo.rules.samples import S, T


@view_rule(
    where="mezzo",
    batch=batching.dims(),
    vjp={"input": lambda g, _y, _x: view_as_complex(g.contiguous())},
    samples=[],
)
def view_as_real(input: Tensor) -> Tensor:
    """The real and imaginary parts side by side on a last axis of two, in the same memory.

    Shapes: input (...) -> (..., 2)
    Source: torch.view_as_real
    """
    if not input.dtype.is_complex:
        raise Fact(
            UnsupportedDTypeError, f"is only supported for complex tensors, not {input.dtype.name}"
        )
    return (*input.shape, 2), (*[2 * s for s in input.strides], 1), 0, input.dtype.to_real()


@view_rule(
    where="mezzo",
    batch=batching.dims(),
    vjp={"input": lambda g, _y, _x: view_as_real(g)},
    cast=Cast(cpu="fp32"),
    samples=[],
)
def view_as_complex(input: Tensor) -> Tensor:
    """Pairs on the last axis as complex numbers, in the same memory.

    Shapes: input (..., 2) -> (...)
    Source: torch.view_as_complex
    """
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise Fact(
            UnsupportedDTypeError,
            f"needs float32 or float64, got {input.dtype.name}",
            "Convert with x.float().",
        )
    if not input.ndim or input.shape[-1] != 2:
        raise Fact(
            ShapeError,
            f"Tensor must have a last dimension of size 2, and has shape {list(input.shape)}",
        )
    if input.strides[-1] != 1 or any(
        s % 2 for s, n in zip(input.strides[:-1], input.shape) if n > 1
    ):
        raise Fact(
            ShapeError,
            f"strides {list(input.strides)} do not pair up: the last must be 1 and the others even",
            "Use x.contiguous().",
        )
    return input.shape[:-1], tuple(s // 2 for s in input.strides[:-1]), 0, input.dtype.to_complex()


@composite(where="mezzo", samples=[S(T(2, 3))])
def real(input: Tensor) -> Tensor:
    """The real part: a view of a complex tensor, a real tensor itself.

    Shapes: input (...) -> (...)
    Source: torch.real
    """
    return view_as_real(input).select(-1, 0) if input.dtype.is_complex else input


@composite(where="mezzo", samples=[])
def imag(input: Tensor) -> Tensor:
    """The imaginary part of a complex tensor, as a view.

    Shapes: input (...) -> (...)
    Source: torch.imag
    """
    if not input.dtype.is_complex:
        raise Fact(
            UnsupportedDTypeError,
            f"is not implemented for tensors with non-complex dtypes such as {input.dtype.name}",
        )
    return view_as_real(input).select(-1, 1)


@composite(where="mezzo", samples=[])
def complex(real: Tensor, imag: Tensor) -> Tensor:
    """Complex numbers from real and imaginary parts.

    Shapes: real, imag broadcast -> (...)
    Source: torch.complex
    """
    if real.dtype is not imag.dtype or real.dtype not in (dtypes.float32, dtypes.float64):
        raise Fact(
            DTypeError,
            f"Expected both inputs to be float32 or both float64, got {real.dtype.name} and {imag.dtype.name}",
        )
    return view_as_complex(stack([*_broadcast(real, imag)], -1))


def _broadcast(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return a.expand_as(b) if a.ndim < b.ndim else a, b.expand_as(a) if b.ndim < a.ndim else b


@composite(where="mezzo Tensor", aliases="conj_physical", samples=[S(T(2, 3))])
def conj(input: Tensor) -> Tensor:
    """The complex conjugate; a real tensor itself.

    Shapes: input (...) -> (...)
    Source: torch.conj
    """
    return complex(real(input), -imag(input)) if input.dtype.is_complex else input


def _set_part(part):
    def assign(self: Tensor, value) -> None:
        part(self).copy_(value if isinstance(value, Tensor) else part(self).new_tensor(value))

    return assign


Tensor.real = property(lambda self: real(self), _set_part(real), doc="The real part, as a view.")
Tensor.imag = property(
    lambda self: imag(self), _set_part(imag), doc="The imaginary part, as a view."
)
