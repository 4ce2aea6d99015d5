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
SQUARES = [S(T(3, 3), only=REAL), S(T(2, 3, 3), only=REAL)]
MATRICES = [S(T(3, 3), only=REAL), S(T(4, 3), only=REAL), S(T(2, 2, 3), only=REAL)]
_SQUARE = [S(T(3, 3), only=REAL), S(T(2, 3, 3), only=REAL)]


class SignAndLog(NamedTuple):
    """What slogdet returns."""

    sign: Tensor
    logabsdet: Tensor


def need_matrices(x, name: str = "A", square: bool = True) -> None:
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


def run_linalg(function, *arrays, **options):
    """A function of NumPy's linalg; what it cannot solve is told in mezzo's terms."""
    try:
        return function(*arrays, **options)
    except np.linalg.LinAlgError as error:
        raise Fact(LinAlgError, f"{str(error).lower()}: the input matrix cannot be handled", "Check its rank, or add a multiple "
                                "of eye() to it.") from None  # fmt: skip


def batched_in_front(record, size, args, batched):
    return record.apply(tuple(batching.every(args, batched, size, record.operands)))


def transposed(x: Tensor) -> Tensor:
    return x.transpose(-2, -1)


def _fill(*functions):
    """A host's fill: each output from its own function of the operands."""

    def fill(outs, *args):
        for out, function in zip(outs, functions):
            out[...] = function(*args)

    return fill


def same_as(x):
    return tuple(x.shape), x.dtype


def _scalars(x):
    return tuple(x.shape[:-2]), x.dtype


@host(grad_name="LinalgInvExBackward0", where="", results=same_as, fill=_fill(lambda a: run_linalg(np.linalg.inv, a)), batch=batched_in_front, samples=[],
      vjp={"A": lambda g, y, _A: -matmul(matmul(transposed(y), g), transposed(y))})  # fmt: skip
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
    need_matrices(A)
    return inverse_of(A)


@composite(where="mezzo Tensor", cast=FP32, samples=_SQUARE)
def inverse(input: Tensor) -> Tensor:
    """The inverse of a square matrix.

    Shapes: (..., n, n) -> (..., n, n)
    Source: torch.inverse
    """
    need_matrices(input, "input")
    return inverse_of(input)


@host(grad_name="LinalgSolveExBackward0", where="", results=lambda A, B: (tuple(B.shape), B.dtype), fill=_fill(lambda a, b: run_linalg(np.linalg.solve, a, b)), batch=batched_in_front,
      samples=[], vjp={"A": lambda g, y, A, _B: -matmul(solve_of(transposed(A), g), transposed(y)), "B": lambda g, _y, A, _B: solve_of(transposed(A), g)})  # fmt: skip
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
    need_matrices(A)
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1]))
    if A.dtype is not B.dtype:
        raise Fact(
            DTypeError,
            f"expected A and B to have the same dtype, but found {A.dtype.name} and {B.dtype.name}",
        )
    b = B.unsqueeze(-1) if vector else B
    a, b = (A, b) if left else (transposed(A), transposed(b))
    if a.shape[-1] != b.shape[-2]:
        raise Fact(ShapeError, f"incompatible shapes of A {list(A.shape)} and B {list(B.shape)}")
    batch = shapes.broadcast([tuple(a.shape[:-2]), tuple(b.shape[:-2])])
    y = solve_of(expand(a, (*batch, *a.shape[-2:])), expand(b, (*batch, *b.shape[-2:])))
    y = y if left else transposed(y)
    return y.squeeze(-1) if vector else y


@host(grad_name="LinalgDetBackward0", where="", results=_scalars, fill=_fill(lambda a: np.linalg.det(a)), batch=batched_in_front, samples=[],
      vjp={"A": lambda g, y, A: (g * y)[..., None, None] * transposed(inverse_of(A))})  # fmt: skip
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
    need_matrices(A)
    return determinant_of(A)


@host(where="", results=_scalars, fill=_fill(lambda a: np.linalg.slogdet(a)[1]), batch=batched_in_front, samples=[],
      vjp={"A": lambda g, _y, A: g[..., None, None] * transposed(inverse_of(A))})  # fmt: skip
def log_determinant_of(A: Tensor) -> Tensor:
    """Logarithms of the absolute determinants."""


@host(where="", results=_scalars, fill=_fill(lambda a: np.linalg.slogdet(a)[0]), batch=batched_in_front, samples=[],
      vjp={"A": lambda g, _y, A: zero(A)})  # fmt: skip
def determinant_sign_of(A: Tensor) -> Tensor:
    """Signs of the determinants."""


@composite(where="mezzo Tensor linalg", samples=_SQUARE)
def slogdet(A: Tensor) -> SignAndLog:
    """Sign and logarithm of the absolute value of the determinant.

    Shapes: (..., n, n) -> (...), (...)
    Source: torch.linalg.slogdet
    """
    need_matrices(A)
    return SignAndLog(determinant_sign_of(A), log_determinant_of(A))


@composite(where="mezzo Tensor", samples=[S(T(1, 1, low=0.5), only=REAL)])
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN where it is negative.

    Shapes: (..., n, n) -> (...)
    Source: torch.logdet
    """
    need_matrices(input, "input")
    return log_determinant_of(input) + determinant_sign_of(input).log()


def _cholesky_vjp(g, y, _A):
    part = matmul(transposed(y), g).tril()
    part = part - part.diagonal(0, -2, -1).diag_embed() * 0.5
    inner = solve_of(transposed(y), part)
    full = transposed(solve_of(transposed(y), transposed(inner)))
    return (full + transposed(full)) * 0.5


def _lower(a):
    both = np.tril(a) + np.swapaxes(
        np.tril(a, -1), -2, -1
    )  # LAPACK is asked for the lower triangle alone
    return run_linalg(np.linalg.cholesky, both)


@host(
    grad_name="LinalgCholeskyExBackward0",
    where="",
    results=same_as,
    fill=_fill(_lower),
    batch=batched_in_front,
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
    need_matrices(A)
    y = cholesky_of(transposed(A) if upper else A)
    return transposed(y) if upper else y
