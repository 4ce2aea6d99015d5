"""Arithmetic of complex tensors, composed of real operations on their parts.

Derivatives follow from the parts: the gradient of a real loss by z = x + iy is dL/dx + i dL/dy, as PyTorch has it.
"""

from __future__ import annotations

import math

from mezzo import dtypes
from mezzo.core.record import Cast, complex_form, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact
from mezzo.ops import arithmetic, compare, division, exponential, power, reduce, trigonometric
from mezzo.ops.activation_smooth import sigmoid
from mezzo.ops.axes import broadcast_tensors
from mezzo.ops.complexes import complex as from_parts
from mezzo.ops.complexes import imag, real, view_as_complex, view_as_real
from mezzo.ops.join import stack
from mezzo.ops.linalg import product
from mezzo.ops.moments import vector_norm
from mezzo.ops.select import where
from mezzo.rules import shapes
from mezzo.rules.samples import S, T


def _parts(x):
    """(real part, imaginary part); None where there is none."""
    if isinstance(x, Tensor):
        return (real(x), imag(x)) if x.dtype.is_complex else (x, None)
    return (x.real, x.imag) if isinstance(x, complex) else (x, None)


def complex_of(re, im) -> Tensor:
    """A complex tensor from parts, of which one may be a number or None."""
    known = re if isinstance(re, Tensor) else im
    re, im = (known.new_full((), 0.0 if p is None else p) if not isinstance(p, Tensor) else p for p in (re, im))  # fmt: skip
    to = dtypes.promote_types(re.dtype, im.dtype)
    if to.category < dtypes.FLOAT:
        to = dtypes.Defaults.float_dtype
    if to.itemsize < 4:
        to = dtypes.float32
    re, im = broadcast_tensors(re.to(to), im.to(to))
    return view_as_complex(stack((re, im), -1))


def _plus(a, b):
    return b if a is None else a if b is None else a + b


def _minus(a, b):
    return a if b is None else -b if a is None else a - b


def _times(a, b):
    return None if a is None or b is None else a * b


@complex_form(arithmetic.add)
def _add(input, other, alpha=1):
    """Sums of parts."""
    (a, b), (c, d) = _parts(input), _parts(other if alpha == 1 else other * alpha)
    return complex_of(_plus(a, c), _plus(b, d))


@complex_form(arithmetic.sub)
def _sub(input, other, alpha=1):
    """Differences of parts."""
    (a, b), (c, d) = _parts(input), _parts(other if alpha == 1 else other * alpha)
    return complex_of(_minus(a, c), _minus(b, d))


@complex_form(arithmetic.mul)
def _mul(input, other):
    """(a + ib)(c + id) = ac - bd + i(ad + bc)."""
    (a, b), (c, d) = _parts(input), _parts(other)
    return complex_of(_minus(_times(a, c), _times(b, d)), _plus(_times(a, d), _times(b, c)))


@complex_form(division.div)
def _div(input, other, rounding_mode=None):
    """The product with the conjugate over the square of the size, scaled first so that nothing overflows."""
    if rounding_mode is not None:
        raise Fact(
            DTypeError, f"rounding_mode={rounding_mode!r} is not defined for complex numbers"
        )
    (a, b), (c, d) = _parts(input), _parts(other)
    if d is None:
        return complex_of(a / c, None if b is None else b / c)
    size = _largest(c, d)
    c, d = c / size, d / size
    square = c * c + d * d
    re, im = _plus(_times(a, c), _times(b, d)), _minus(_times(b, c), _times(a, d))
    return complex_of(re / square / size, im / square / size)


def _largest(c, d):
    if not isinstance(c, Tensor):
        return max(math.fabs(c), math.fabs(d))
    size = c.detach().abs().maximum(d.detach().abs())
    return where(size > 0, size, 1.0)


@complex_form(arithmetic.neg)
def _neg(input):
    """Both parts negated."""
    a, b = _parts(input)
    return complex_of(-a, -b)


@complex_form(arithmetic.abs)
def _abs(input):
    """The length; its derivative at zero is zero."""
    return vector_norm(view_as_real(input), 2, -1)


@complex_form(power.square)
def _square(input):
    """z z."""
    return input * input


@complex_form(division.reciprocal)
def _reciprocal(input):
    """1 / z."""
    return 1.0 / input


@complex_form(exponential.exp)
def _exp(input):
    """e^x (cos y + i sin y)."""
    a, b = _parts(input)
    size = a.exp()
    return complex_of(size * b.cos(), size * b.sin())


@complex_form(exponential.log)
def _log(input):
    """ln|z| + i arg z."""
    return complex_of(input.abs().log(), angle(input))


@complex_form(power.sqrt)
def _sqrt(input):
    """The root in the right half plane."""
    size, half = input.abs().sqrt(), angle(input) / 2
    return complex_of(size * half.cos(), size * half.sin())


@complex_form(power.pow)
def _pow(input, exponent):
    """Repeated squares for small whole exponents, else exp(exponent log input); 0 ** 0 is 1."""
    if isinstance(exponent, (int, float)) and exponent == int(exponent) and 0 <= exponent <= 8:
        found, count = None, int(exponent)
        for _ in range(count):
            found = input if found is None else found * input
        return input * 0 + 1 if found is None else found
    base = input if isinstance(input, Tensor) else exponent.new_full((), input)
    return (base.log() * exponent).exp()


@complex_form(trigonometric.sin)
def _sin(input):
    """sin x cosh y + i cos x sinh y."""
    a, b = _parts(input)
    return complex_of(a.sin() * b.cosh(), a.cos() * b.sinh())


@complex_form(trigonometric.cos)
def _cos(input):
    """cos x cosh y - i sin x sinh y."""
    a, b = _parts(input)
    return complex_of(a.cos() * b.cosh(), -(a.sin() * b.sinh()))


@complex_form(trigonometric.sinh)
def _sinh(input):
    """sinh x cos y + i cosh x sin y."""
    a, b = _parts(input)
    return complex_of(a.sinh() * b.cos(), a.cosh() * b.sin())


@complex_form(trigonometric.cosh)
def _cosh(input):
    """cosh x cos y + i sinh x sin y."""
    a, b = _parts(input)
    return complex_of(a.cosh() * b.cos(), a.sinh() * b.sin())


@complex_form(trigonometric.tanh)
def _tanh(input):
    """(sinh 2x + i sin 2y) / (cosh 2x + cos 2y), written with tanh x so that nothing overflows."""
    a, b = _parts(input)
    t, s, c = a.tanh(), b.sin(), b.cos()
    below = c * c + (t * s) * (t * s)
    return complex_of(t / below, (1 - t * t) * s * c / below)


@complex_form(sigmoid)
def _sigmoid(input):
    """1 / (1 + exp(-z))."""
    return 1 / (1 + (-input).exp())


@complex_form(compare.eq)
def _eq(input, other):
    """True where both parts are equal."""
    (a, b), (c, d) = _parts(input), _parts(other)
    return (a == c) & ((0.0 if b is None else b) == (0.0 if d is None else d))


@complex_form(compare.ne)
def _ne(input, other):
    """True where a part differs."""
    return compare.eq(input, other).logical_not()


def _over_axes(record):
    """The complex form of a sum or mean: that of the parts."""

    def form(input, dim=None, keepdim=False, dtype=None):
        axes = shapes.axes(dim, input.ndim)
        keep = {"keepdim": True, "dtype": None if dtype is None else dtype.to_real()}
        y = (
            view_as_complex(record(view_as_real(input), axes, **keep).contiguous())
            if axes
            else input
        )
        return y if keepdim or not axes else y.squeeze(axes)

    form.__doc__ = f"{record.name} of both parts."
    return form


complex_form(reduce.sum)(_over_axes(reduce.sum))
complex_form(reduce.mean)(_over_axes(reduce.mean))


@complex_form(product)
def _product(input, other, bias=None, compute=None, dtype=None, alpha=1.0, beta=1.0):
    """Four real products."""
    if input.dtype is not other.dtype:
        raise Fact(DTypeError, f"expected both matrices to have the same dtype, but got {input.dtype.name} and {other.dtype.name}")  # fmt: skip
    (a, b), (c, d) = _parts(input), _parts(other)

    def real_product(x, y):
        return None if x is None or y is None else product(x, y, None, None, None, alpha)

    y = complex_of(
        _minus(real_product(a, c), real_product(b, d)),
        _plus(real_product(a, d), real_product(b, c)),
    )
    return y if bias is None else y + bias * beta


@complex_form(where)
def _where(condition, input, other):
    """Of both parts."""
    (a, b), (c, d) = _parts(input), _parts(other)
    return complex_of(
        where(condition, a, c), where(condition, 0.0 if b is None else b, 0.0 if d is None else d)
    )


# ---- public


@composite(where="mezzo Tensor", samples=[S(T(5)), S(T(2, 3)), S(T())])
def angle(input: Tensor) -> Tensor:
    """The angle to the positive real axis, in -pi..pi: for real numbers 0, or pi where negative.

    Shapes: (...) -> (...)
    Dtypes: float kept; the real dtype of complex; int and bool become the default float
    Source: torch.angle
    """
    if input.dtype.is_complex:
        return imag(input).atan2(real(input))
    x = input if input.dtype.category == dtypes.FLOAT else input.to(dtypes.Defaults.float_dtype)
    return where(x != x, x, where(x < 0, math.pi, 0.0).to(x.dtype))


@composite(where="mezzo", cast=Cast(cpu="fp32"), samples=[])
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """Complex numbers from their length and angle.

    Math:   abs (cos(angle) + i sin(angle))
    Source: torch.polar
    """
    if abs.dtype is not angle.dtype or abs.dtype.name not in ("float32", "float64"):
        raise Fact(DTypeError, f"Expected both inputs to be Float or Double tensors but got {abs.dtype.name} and {angle.dtype.name}")  # fmt: skip
    return from_parts(*broadcast_tensors(abs * angle.cos(), abs * angle.sin()))
