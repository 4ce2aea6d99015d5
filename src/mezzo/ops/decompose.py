"""Solvers and decompositions of matrices: LAPACK's, through NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mezzo.core.families.fused import zero
from mezzo.core.families.host import host
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact, LinAlgError, ShapeError
from mezzo.ops.linalg import matmul
from mezzo.ops.shape import expand
from mezzo.rules import batching, shapes
from mezzo.rules.samples import S, T

FP32 = Cast(cpu="fp32")
REAL = ("float32", "float64")
_SQUARE = [S(T(3, 3), only=REAL), S(T(2, 3, 3), only=REAL)]


class SignAndLog(NamedTuple):
    """What slogdet returns."""

    sign: Tensor
    logabsdet: Tensor


def _matrices(x, name: str = "A", square: bool = True) -> None:
    if x.ndim < 2:
        raise Fact(
            ShapeError, f"the input tensor {name} must have at least 2 dimensions, and has {x.ndim}"
        )
    if square and x.shape[-1] != x.shape[-2]:
        raise Fact(
            ShapeError,
            f"{name} must be batches of square matrices, but they are {x.shape[-2]} by {x.shape[-1]} matrices",
        )
    if x.dtype.name not in REAL:
        raise Fact(DTypeError, f"{name} is {x.dtype.name}; expected a floating point tensor of single or double precision",
                   "Convert with x.float().")  # fmt: skip


def _run(function, *arrays, **options):
    """A function of NumPy's linalg; what it cannot solve is told in mezzo's terms."""
    try:
        return function(*arrays, **options)
    except np.linalg.LinAlgError as error:
        raise Fact(LinAlgError, f"{str(error).lower()}: the input matrix cannot be handled", "Check its rank, or add a multiple "
                                "of eye() to it.") from None  # fmt: skip


def _front(record, size, args, batched):
    return record.apply(tuple(batching.every(args, batched, size, record.operands)))


def _t(x: Tensor) -> Tensor:
    return x.transpose(-2, -1)


def _fill(*functions):
    """A host's fill: each output from its own function of the operands."""

    def fill(outs, *args):
        for out, function in zip(outs, functions):
            out[...] = function(*args)

    return fill


def _same(x):
    return tuple(x.shape), x.dtype


def _scalars(x):
    return tuple(x.shape[:-2]), x.dtype


@host(grad_name="LinalgInvExBackward0", where="", results=_same, fill=_fill(lambda a: _run(np.linalg.inv, a)), batch=_front, samples=[],
      vjp={"A": lambda g, y, _A: -matmul(matmul(_t(y), g), _t(y))})  # fmt: skip
def inverse_of(A: Tensor) -> Tensor:
    """Inverses of square matrices."""


@composite(
    where="linalg", cast=FP32, samples=_SQUARE, errors=[(S(T(2, 3)), RuntimeError, "square")]
)
def inv(A: Tensor) -> Tensor:
    """The inverse of a square matrix.

    Shapes: (..., n, n) -> (..., n, n)
    Source: torch.linalg.inv
    """
    _matrices(A)
    return inverse_of(A)


@composite(where="mezzo Tensor", cast=FP32, samples=_SQUARE)
def inverse(input: Tensor) -> Tensor:
    """The inverse of a square matrix.

    Shapes: (..., n, n) -> (..., n, n)
    Source: torch.inverse
    """
    _matrices(input, "input")
    return inverse_of(input)


@host(grad_name="LinalgSolveExBackward0", where="", results=lambda A, B: (tuple(B.shape), B.dtype), fill=_fill(lambda a, b: _run(np.linalg.solve, a, b)), batch=_front,
      samples=[], vjp={"A": lambda g, y, A, _B: -matmul(solve_of(_t(A), g), _t(y)), "B": lambda g, _y, A, _B: solve_of(_t(A), g)})  # fmt: skip
def solve_of(A: Tensor, B: Tensor) -> Tensor:
    """X with A X = B; both have the same batch axes."""


@composite(where="linalg", cast=FP32, samples=[
    S(T(3, 3), T(3, 2), only=REAL), S(T(3, 3), T(3), only=REAL), S(T(2, 3, 3), T(2, 3), only=REAL), S(T(2, 3, 3), T(3, 2), only=REAL),
    S(T(3, 3), T(2, 3), left=False, only=REAL)])  # fmt: skip
def solve(A: Tensor, B: Tensor, *, left=True) -> Tensor:
    """X with A X = B, or X A = B.

    Shapes: (..., n, n), (..., n) or (..., n, k) -> as B
    Source: torch.linalg.solve
    """
    _matrices(A)
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1]))
    if A.dtype is not B.dtype:
        raise Fact(
            DTypeError,
            f"expected A and B to have the same dtype, but found {A.dtype.name} and {B.dtype.name}",
        )
    b = B.unsqueeze(-1) if vector else B
    a, b = (A, b) if left else (_t(A), _t(b))
    if a.shape[-1] != b.shape[-2]:
        raise Fact(ShapeError, f"incompatible shapes of A {list(A.shape)} and B {list(B.shape)}")
    batch = shapes.broadcast([tuple(a.shape[:-2]), tuple(b.shape[:-2])])
    y = solve_of(expand(a, (*batch, *a.shape[-2:])), expand(b, (*batch, *b.shape[-2:])))
    y = y if left else _t(y)
    return y.squeeze(-1) if vector else y


@host(grad_name="LinalgDetBackward0", where="", results=_scalars, fill=_fill(lambda a: np.linalg.det(a)), batch=_front, samples=[],
      vjp={"A": lambda g, y, A: (g * y)[..., None, None] * _t(inverse_of(A))})  # fmt: skip
def determinant_of(A: Tensor) -> Tensor:
    """Determinants; the gradient needs a regular matrix."""


@composite(
    where="mezzo Tensor linalg",
    samples=_SQUARE,
    errors=[(S(T(2, 3)), RuntimeError, "square")],
)
def det(A: Tensor) -> Tensor:
    """The determinant of a square matrix.

    Shapes: (..., n, n) -> (...)
    Source: torch.linalg.det
    """
    _matrices(A)
    return determinant_of(A)


@host(where="", results=_scalars, fill=_fill(lambda a: np.linalg.slogdet(a)[1]), batch=_front, samples=[],
      vjp={"A": lambda g, _y, A: g[..., None, None] * _t(inverse_of(A))})  # fmt: skip
def log_determinant_of(A: Tensor) -> Tensor:
    """Logarithms of the absolute determinants."""


@host(where="", results=_scalars, fill=_fill(lambda a: np.linalg.slogdet(a)[0]), batch=_front, samples=[],
      vjp={"A": lambda g, _y, A: zero(A)})  # fmt: skip
def determinant_sign_of(A: Tensor) -> Tensor:
    """Signs of the determinants."""


@composite(where="mezzo Tensor linalg", samples=_SQUARE)
def slogdet(A: Tensor) -> SignAndLog:
    """Sign and logarithm of the absolute value of the determinant.

    Shapes: (..., n, n) -> (...), (...)
    Source: torch.linalg.slogdet
    """
    _matrices(A)
    return SignAndLog(determinant_sign_of(A), log_determinant_of(A))


@composite(where="mezzo Tensor", samples=[S(T(1, 1, low=0.5), only=REAL)])
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN where it is negative.

    Shapes: (..., n, n) -> (...)
    Source: torch.logdet
    """
    _matrices(input, "input")
    return log_determinant_of(input) + determinant_sign_of(input).log()


def _cholesky_vjp(g, y, _A):
    part = matmul(_t(y), g).tril()
    part = part - part.diagonal(0, -2, -1).diag_embed() * 0.5
    inner = solve_of(_t(y), part)
    full = _t(solve_of(_t(y), _t(inner)))
    return (full + _t(full)) * 0.5


def _lower(a):
    both = np.tril(a) + np.swapaxes(
        np.tril(a, -1), -2, -1
    )  # LAPACK is asked for the lower triangle alone
    return _run(np.linalg.cholesky, both)


@host(
    grad_name="LinalgCholeskyExBackward0",
    where="",
    results=_same,
    fill=_fill(_lower),
    batch=_front,
    samples=[],
    vjp={"A": _cholesky_vjp},
)
def cholesky_of(A: Tensor) -> Tensor:
    """Lower triangular factors."""


@composite(where="mezzo Tensor linalg", cast=FP32, samples=[S(T(1, 1, low=0.5), only=REAL), S(T(2, 1, 1, low=0.5), upper=True, only=REAL)],
           errors=[(S(T(2, 3)), RuntimeError, "square")])  # fmt: skip
def cholesky(A: Tensor, upper=False) -> Tensor:
    """The triangular L with L L^T = A, A symmetric and positive definite.

    Shapes: (..., n, n) -> (..., n, n)
    Source: torch.linalg.cholesky
    """
    _matrices(A)
    y = cholesky_of(_t(A) if upper else A)
    return _t(y) if upper else y
