"""Pseudo-inverses, least squares, the matrix exponential, norms of matrices and condition numbers."""

from __future__ import annotations

import math
from numbers import Number
from typing import NamedTuple

import numpy as np

from mezzo import dtypes
from mezzo.core.families.host import host
from mezzo.core.record import Cast, composite, none
from mezzo.core.tensor import Tensor
from mezzo.errors import (
    DTypeError,
    Fact,
    ShapeError,
)
from mezzo.ops.decompose import (
    FP32,
    MATRICES,
    REAL,
    SQUARES,
    batched_in_front,
    need_matrices,
    same_as,
    transposed,
)
from mezzo.ops.factor import svdvals
from mezzo.ops.join import cat
from mezzo.ops.linalg import matmul
from mezzo.ops.moments import vector_norm
from mezzo.ops.select import where
from mezzo.ops.solvers import inverse_info
from mezzo.rules import shapes
from mezzo.rules.samples import S, T


class LeastSquares(NamedTuple):
    """What lstsq returns."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


# ---- rank and pseudo-inverse


def _cut(size: np.ndarray, shape, atol, rtol) -> np.ndarray:
    """Below which a singular value counts as zero: the larger of atol and rtol times the largest."""
    if rtol is None:
        given = atol is not None and np.any(np.asarray(atol) > 0)
        rtol = 0.0 if given else np.finfo(size.dtype).eps * max(shape[-2:])
    largest = size.max(-1, initial=0)
    return np.maximum(0.0 if atol is None else atol, rtol * largest)[..., None]


def _sizes(A, hermitian) -> np.ndarray:
    return np.abs(np.linalg.eigvalsh(A)) if hermitian else np.linalg.svd(A, compute_uv=False)


def _rank_fill(outs, A, atol, rtol, hermitian):
    found = _sizes(A, hermitian)
    outs[0][...] = (found > _cut(found, A.shape, atol, rtol)).sum(-1)


@host(where="", results=lambda A, atol, rtol, hermitian: (tuple(A.shape[:-2]), dtypes.int64), fill=_rank_fill,
      batch=batched_in_front, samples=[], vjp=none("a count has no derivative"))  # fmt: skip
def rank_of(
    A: Tensor, atol: Tensor | Number | None, rtol: Tensor | Number | None, hermitian
) -> Tensor:
    """How many singular values are larger than the cut."""


@composite(where="linalg", cast=FP32, samples=[*MATRICES, S(T(2, 3, 3), atol=0.5, rtol=0.1, only=REAL), S(T(3, 3), 1.0, only=REAL)])  # fmt: skip
def matrix_rank(A: Tensor, tol: Tensor | Number | None = None, hermitian=False, *, atol: Tensor | Number | None = None,
                rtol: Tensor | Number | None = None) -> Tensor:  # fmt: skip
    """The number of singular values above max(atol, rtol * the largest); of |eigenvalues| if hermitian.

    Shapes: (..., m, n) -> (...)
    Dtypes: int64
    Source: torch.linalg.matrix_rank
    """
    need_matrices(A, square=hermitian)
    return rank_of(A, tol if atol is None else atol, 0.0 if tol is not None else rtol, bool(hermitian))  # fmt: skip


def _pinv_fill(outs, A, atol, rtol, hermitian):
    if hermitian:
        w, u = np.linalg.eigh(A)
        size, sign, vh = np.abs(w), np.sign(w), np.swapaxes(u, -2, -1)
    else:
        u, size, vh = np.linalg.svd(A, full_matrices=False)
        sign = np.ones_like(size)
    with np.errstate(divide="ignore", invalid="ignore"):
        turned = np.where(size > _cut(size, A.shape, atol, rtol), sign / size, 0)
    outs[0][...] = np.matmul(np.swapaxes(vh, -2, -1) * turned[..., None, :], np.swapaxes(u, -2, -1))


def _pinv_vjp(g, y, A, atol, rtol, hermitian):
    yt, gt = transposed(y), transposed(g)
    found = -matmul(matmul(yt, g), yt)
    left, right = matmul(gt, matmul(y, yt)), matmul(matmul(yt, y), gt)
    return found + (left - matmul(A, matmul(y, left))) + (right - matmul(matmul(right, y), A))


def _pinv_results(A, atol, rtol, hermitian):
    return (*A.shape[:-2], A.shape[-1], A.shape[-2]), A.dtype


@host(grad_name="LinalgPinvBackward0", where="", results=_pinv_results, fill=_pinv_fill, batch=batched_in_front, samples=[], vjp={"A": _pinv_vjp})  # fmt: skip
def pinv_of(
    A: Tensor, atol: Tensor | Number | None, rtol: Tensor | Number | None, hermitian
) -> Tensor:
    """Pseudo-inverses."""


@composite(where="linalg", cast=FP32, samples=[*MATRICES, S(T(2, 3, 3), rtol=0.01, atol=0.01, only=REAL),
           S(T(1, 1), hermitian=True, only=REAL), S(T(0, 3), only=REAL)])  # fmt: skip
def pinv(A: Tensor, rcond: Tensor | Number | None = None, hermitian=False, *, atol: Tensor | Number | None = None,
         rtol: Tensor | Number | None = None) -> Tensor:  # fmt: skip
    """The pseudo-inverse: singular values above max(atol, rtol * the largest) inverted, the others zero.

    Shapes: (..., m, n) -> (..., n, m)
    Source: torch.linalg.pinv
    """
    need_matrices(A, square=hermitian)
    return pinv_of(A, 0.0 if rcond is not None else atol, rcond if rcond is not None else rtol, bool(hermitian))  # fmt: skip


@composite(where="mezzo Tensor", cast=FP32, samples=MATRICES)
def pinverse(input: Tensor, rcond=1e-15) -> Tensor:
    """The pseudo-inverse of a matrix.

    Shapes: (..., m, n) -> (..., n, m)
    Source: torch.pinverse
    """
    return pinv(input, rcond)


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@composite(where="linalg", cast=FP32, samples=[
    S(T(4, 3), T(4, 2), only=REAL), S(T(3, 4), T(3, 2), only=REAL), S(T(2, 4, 3), T(2, 4, 2), driver="gelsd", only=REAL)],
    errors=[(S(T(4, 3), T(3, 2)), RuntimeError, "shape"), (S(T(4, 3), T(4, 2), driver="fast"), RuntimeError, "driver")])  # fmt: skip
def lstsq(input: Tensor, b: Tensor, rcond=None, *, driver=None) -> LeastSquares:
    """(solution, residuals, rank, singular_values): X of least norm that makes |A X - B| least.

    driver: "gelsy" (default) and "gels" leave singular_values empty, "gelsd" and "gelss" give them.
    Shapes: (..., m, n), (..., m, k) -> (..., n, k), (..., k) or (0,), (...), (..., min(m, n)) or (0,)
    Source: torch.linalg.lstsq
    """
    need_matrices(input, "input", square=False)
    if driver not in (None, *_DRIVERS):
        raise Fact(ShapeError, f"parameter driver should be one of ({', '.join(_DRIVERS)}), and is {driver!r}")  # fmt: skip
    vector = input.ndim - 1 == b.ndim and tuple(b.shape) == tuple(input.shape[:-1])
    right = b.unsqueeze(-1) if vector else b
    if right.ndim < 2 or right.shape[-2] != input.shape[-2]:
        raise Fact(ShapeError, f"shape of input {list(input.shape)} and other {list(b.shape)} must agree in the number of rows")  # fmt: skip
    solution = matmul(pinv_of(input, None, rcond, False), right)
    m, n = input.shape[-2:]
    fixed = input.detach()
    rank, values = rank_of(fixed, None, rcond, False), fixed.new_empty((0,))
    residuals = solution.reshape(-1).narrow(0, 0, 0)
    if driver in ("gelsd", "gelss"):
        values = svdvals(fixed)
    elif driver == "gels":
        rank = rank.new_empty((0,))
    if m > n and driver not in (None, "gelsy"):
        residuals = (matmul(input, solution) - right).square().sum(-2)
    return LeastSquares(solution.squeeze(-1) if vector else solution, residuals, rank, values)


# ---- the exponential


def _exp_fill(outs, A):
    """Scaling and squaring around a Taylor polynomial of degree 18, exact to rounding below norm 1 (Bader 2019)."""
    if not A.size:
        return
    norm = float(np.abs(A).sum(-2).max())
    if not math.isfinite(norm):
        outs[0][...] = np.nan
        return
    halvings = max(0, math.ceil(math.log2(norm)) + 1) if norm > 0 else 0
    x = A.astype(np.float64) / 2.0**halvings
    unit = np.broadcast_to(np.eye(A.shape[-1]), x.shape)
    y = unit
    for k in range(18, 0, -1):
        y = unit + np.matmul(x, y) / k
    for _ in range(halvings):
        y = np.matmul(y, y)
    outs[0][...] = y


def _exp_vjp(g, _y, A):
    n = A.shape[-1]
    at = transposed(A)
    top, bottom = cat((at, g), -1), cat((at * 0, at), -1)
    return exponential_of(cat((top, bottom), -2)).narrow(-2, 0, n).narrow(-1, n, n)


@host(
    grad_name="LinalgMatrixExpBackward0",
    where="",
    results=same_as,
    fill=_exp_fill,
    batch=batched_in_front,
    samples=[],
    vjp={"A": _exp_vjp},
)
def exponential_of(A: Tensor) -> Tensor:
    """Exponentials of square matrices."""


@composite(where="mezzo Tensor linalg", samples=SQUARES + [S(T(2, 2, low=-20, high=1), only=REAL)],
           errors=[(S(T(2, 3)), RuntimeError, "square")])  # fmt: skip
def matrix_exp(A: Tensor) -> Tensor:
    """The sum of A^k / k! over all k.

    Shapes: (..., n, n) -> (..., n, n)
    Source: torch.linalg.matrix_exp
    """
    need_matrices(A)
    return exponential_of(A)


# ---- norms and condition


def _ordered_norm(A: Tensor, ord, keepdim: bool) -> Tensor:
    """The norm of the last two axes."""
    if ord == "fro":
        return vector_norm(A, 2, (-2, -1), keepdim)
    if ord in ("nuc", 2, -2):
        values = svdvals(A)
        y = values.sum(-1) if ord == "nuc" else values.amax(-1) if ord == 2 else values.amin(-1)
        return y.unsqueeze(-1).unsqueeze(-1) if keepdim else y
    if isinstance(ord, str) or abs(ord) not in (1, math.inf):
        raise Fact(ShapeError, f"Order {ord} not supported", "Use 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2.")  # fmt: skip
    axis = -2 if abs(ord) == 1 else -1
    sums = A.abs().sum(axis, keepdim=True)
    y = sums.amax((-2, -1), True) if ord > 0 else sums.amin((-2, -1), True)
    return y if keepdim else y.squeeze(-1).squeeze(-1)


@composite(where="linalg", cast=Cast(cuda="set_dtype"), samples=[
    *[S(T(3, 4), ord, only=REAL) for ord in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)],
    S(T(2, 3, 4), 1, (0, 2), True, only=REAL), S(T(2, 3, 4), "nuc", (2, 0), True, only=REAL)],
    errors=[(S(T(3, 3), 3), RuntimeError, "not supported"), (S(T(3)), RuntimeError, "2 dimensions")])  # fmt: skip
def matrix_norm(A: Tensor, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None) -> Tensor:
    """A norm of matrices: "fro", "nuc", the largest column (1) or row (inf) sum, the largest singular value (2), or least.

    Shapes: (..., m, n) -> (...), or (..., 1, 1) with keepdim
    Source: torch.linalg.matrix_norm
    """
    if A.ndim < 2:
        raise Fact(ShapeError, f"the input tensor A must have at least 2 dimensions, and has {A.ndim}")  # fmt: skip
    if A.dtype.category != dtypes.FLOAT:
        raise Fact(DTypeError, f"A is {A.dtype.name}; it needs a floating dtype", "Convert with x.float().")  # fmt: skip
    a, b = shapes.axes(tuple(dim), A.ndim)
    y = _ordered_norm((A if dtype is None else A.to(dtype)).movedim((a, b), (-2, -1)), ord, keepdim)
    return y.movedim((-2, -1), (a, b)) if keepdim else y


@composite(where="", aliases="linalg.norm", reference="torch.linalg.norm", cast=Cast(cuda="set_dtype"), samples=[
    S(T(3, 4), only=REAL), S(T(3, 4), 1, only=REAL), S(T(3), 3, only=REAL), S(T(2, 3, 4), 2, 1, only=REAL), S(T(3, 4), "nuc", only=REAL),
    S(T(2, 3, 4), math.inf, (0, 1), True, only=REAL), S(T(2, 3, 4), keepdim=True, only=REAL)])  # fmt: skip
def linalg_norm(A: Tensor, ord=None, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """A norm of vectors (one axis) or of matrices (two axes); without ord, of all elements as one vector.

    Shapes: (...) -> (...)
    Source: torch.linalg.norm
    """
    axes = None if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if ord is None or (axes is not None and len(axes) == 1) or (axes is None and A.ndim == 1):
        if isinstance(ord, str):
            raise Fact(ShapeError, f"ord is {ord!r}, which is a norm of matrices, and there is one axis")  # fmt: skip
        return vector_norm(A, 2 if ord is None else ord, axes, keepdim, dtype=dtype)
    if axes is None and A.ndim != 2:
        raise Fact(ShapeError, "if dim is not specified but ord is, the input must be 1D or 2D")
    return matrix_norm(A, ord, (-2, -1) if axes is None else axes, keepdim, dtype=dtype)


@composite(where="mezzo", cast=Cast(cuda="fp32"),
           samples=[S(T(3, 4), only=REAL), S(T(2, 3, 4), (1, 2), True, only=REAL)])  # fmt: skip
def nuclear_norm(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """The sum of the singular values.

    Shapes: (..., m, n) -> (...)
    Source: torch.nuclear_norm
    """
    return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim)


@composite(where="linalg", cast=FP32, samples=[
    *[S(T(3, 3), p, only=REAL) for p in (None, 2, -2, "fro", "nuc", 1, -1, math.inf)], S(T(2, 4, 3), only=REAL)],
    errors=[(S(T(3, 3), 3), RuntimeError, "not supported")])  # fmt: skip
def cond(A: Tensor, p=None) -> Tensor:
    """The condition number: |A| |A^-1| in a norm of matrices, or the ratio of singular values; inf if singular.

    Shapes: (..., m, n) -> (...)
    Source: torch.linalg.cond
    """
    need_matrices(A, square=p not in (None, 2, -2))
    if p in (None, 2, -2):
        values = svdvals(A)
        first, last = values.select(-1, 0), values.select(-1, -1)
        return last / first if p == -2 else first / last
    y, info = inverse_info(A)
    y = where((info == 0)[..., None, None], y, 0)
    found = _ordered_norm(A, p, False) * _ordered_norm(y, p, False)
    return where(info == 0, found, math.inf)
