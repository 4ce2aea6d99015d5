"""Factors of matrices: QR, singular values, eigenvalues; and what is made of them. LAPACK's, through NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mezzo.core.families.host import host
from mezzo.core.record import composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, Fact, GradientError, ShapeError
from mezzo.ops.create import ones_like, zeros
from mezzo.ops.decompose import (
    FP32,
    MATRICES,
    REAL,
    batched_in_front,
    need_matrices,
    run_linalg,
    solve_of,
    transposed,
)
from mezzo.ops.join import cat
from mezzo.ops.linalg import matmul
from mezzo.rules.samples import S, T


class QR(NamedTuple):
    """What qr returns."""

    Q: Tensor
    R: Tensor


class SVD(NamedTuple):
    """What linalg.svd returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class OldSVD(NamedTuple):
    """What torch.svd returns: V, not its transpose."""

    U: Tensor
    S: Tensor
    V: Tensor


class Eigen(NamedTuple):
    """What eigh returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def _gave(g, index: int, y):
    """The gradient of one of several results; zeros where it took no part."""
    if g[index] is not None:
        return g[index]
    have = y[index]
    return zeros(tuple(have.shape), dtype=have.dtype, device=have.device)


def _diagonal(x: Tensor) -> Tensor:
    return x.diag_embed(0, -2, -1)


# ---- QR

_MODES = ("reduced", "complete", "r")


def _qr_results(A, mode):
    *batch, m, n = A.shape
    k = min(m, n)
    rows = m if mode == "complete" else k
    return ((*batch, m, rows), A.dtype), ((*batch, rows, n), A.dtype)


def _qr_fill(outs, A, mode):
    q, r = np.linalg.qr(A, mode)
    outs[0][...], outs[1][...] = q, r


def _tall_qr_vjp(g_q, g_r, q, r) -> Tensor:
    inner = matmul(r, transposed(g_r)) - matmul(transposed(g_q), q)
    sym = inner.tril() + transposed(inner.tril(-1))
    return transposed(solve_of(r, transposed(g_q + matmul(q, sym))))


def _qr_vjp(g, y, A, mode):
    q, r = y
    m, n = A.shape[-2:]
    if mode == "complete" and m > n:
        raise GradientError(
            "qr: the derivative is not implemented when mode='complete' and there are more rows than columns. "
            "Use mode='reduced'."
        )
    g_q, g_r = _gave(g, 0, y), _gave(g, 1, y)
    if m >= n:
        return _tall_qr_vjp(g_q, g_r, q, r)
    left, right = g_r.narrow(-1, 0, m), g_r.narrow(-1, m, n - m)
    rest = A.narrow(-1, m, n - m)
    square = _tall_qr_vjp(g_q + matmul(rest, transposed(right)), left, q, r.narrow(-1, 0, m))
    return cat((square, matmul(q, right)), -1)


@host(
    grad_name="LinalgQrBackward0",
    where="",
    results=_qr_results,
    fill=_qr_fill,
    batch=batched_in_front,
    samples=[],
    vjp={"A": _qr_vjp},
)
def qr_of(A: Tensor, mode) -> tuple[Tensor, Tensor]:
    """Orthogonal and upper triangular factors."""


@composite(where="", aliases="linalg.qr", reference="torch.linalg.qr", cast=FP32, samples=[
    *MATRICES, S(T(3, 4), mode="complete", only=REAL), S(T(0, 3), only=REAL), S(T(4, 3), mode="r", grad=False, only=REAL)])  # fmt: skip
def linalg_qr(A: Tensor, mode="reduced") -> QR:
    """(Q, R) with A = Q R, Q orthogonal, R upper triangular.

    Shapes: (..., m, n) -> (..., m, k), (..., k, n), k = min(m, n), or m with mode "complete"; Q is empty with "r"
    Source: torch.linalg.qr
    """
    need_matrices(A, square=False)
    if mode not in _MODES:
        raise Fact(ShapeError, f"mode is {mode!r}; it must be one of {', '.join(map(repr, _MODES))}")  # fmt: skip
    if mode == "r":
        return QR(A.new_empty((0,)), qr_of(A, "reduced")[1])
    return QR(*qr_of(A, mode))


@composite(where="mezzo Tensor", cast=FP32, samples=[S(T(4, 3), only=REAL), S(T(3, 3), False, only=REAL)],
           errors=[(S(T(3)), RuntimeError, "2 dimensions")])  # fmt: skip
def qr(input: Tensor, some=True) -> QR:
    """(Q, R) with input = Q R; some=False: Q is square.

    Shapes: (..., m, n) -> (..., m, k), (..., k, n), k = min(m, n) or m
    Source: torch.qr
    """
    return linalg_qr(input, "reduced" if some else "complete")


# ---- singular values


def _svd_results(A, full):
    *batch, m, n = A.shape
    k = min(m, n)
    rows, columns = (m, n) if full else (k, k)
    return ((*batch, m, rows), A.dtype), ((*batch, k), A.dtype), ((*batch, columns, n), A.dtype)


def _signs(columns: np.ndarray) -> np.ndarray:
    """The sign of the largest element of each column."""
    if not columns.size:
        return np.ones((*columns.shape[:-2], 1, columns.shape[-1]), columns.dtype)
    at = np.argmax(np.abs(columns), axis=-2, keepdims=True)
    return np.copysign(1, np.take_along_axis(columns, at, -2)).astype(columns.dtype)


def _svd_fill(outs, A, full):
    u, s, vh = run_linalg(np.linalg.svd, A, full_matrices=full)
    signs, k = _signs(u), s.shape[-1]
    outs[0][...], outs[1][...], outs[2][...] = u * signs, s, vh
    outs[2][..., :k, :] *= np.swapaxes(signs, -2, -1)[..., :k, :]


def _skew(x: Tensor) -> Tensor:
    return x - transposed(x)


def _gaps(x: Tensor) -> Tensor:
    """x[j] - x[i], ones where i = j."""
    gaps = x.unsqueeze(-2) - x.unsqueeze(-1)
    return gaps + _diagonal(ones_like(x))


def _svd_vjp(g, y, _A, full):
    u, s, vh = y
    k = s.shape[-1]
    u, vh = u.narrow(-1, 0, k), vh.narrow(-2, 0, k)
    inner = None if g[1] is None else _diagonal(g[1])
    gaps, extra = _gaps(s * s) if g[0] is not None or g[2] is not None else None, None
    if g[0] is not None:
        g_u = g[0].narrow(-1, 0, k)
        term = _skew(matmul(transposed(u), g_u)) / gaps * s.unsqueeze(-2)
        inner = term if inner is None else inner + term
        if u.shape[-2] > k:
            part = g_u / s.unsqueeze(-2)
            extra = matmul(part - matmul(u, matmul(transposed(u), part)), vh)
    if g[2] is not None:
        g_vh = g[2].narrow(-2, 0, k)
        term = s.unsqueeze(-1) * (_skew(matmul(vh, transposed(g_vh))) / gaps)
        inner = term if inner is None else inner + term
        if vh.shape[-1] > k:
            part = g_vh / s.unsqueeze(-1)
            side = matmul(u, part - matmul(matmul(part, transposed(vh)), vh))
            extra = side if extra is None else extra + side
    found = matmul(matmul(u, inner), vh)
    return found if extra is None else found + extra


@host(
    grad_name="LinalgSvdBackward0",
    where="",
    results=_svd_results,
    fill=_svd_fill,
    batch=batched_in_front,
    samples=[],
    vjp={"A": _svd_vjp},
)
def svd_of(A: Tensor, full_matrices) -> tuple[Tensor, Tensor, Tensor]:
    """Singular vectors and values."""


@composite(where="", aliases="linalg.svd", reference="torch.linalg.svd", cast=FP32, samples=[
    S(T(3, 3), only=REAL, grad=False), S(T(4, 3), False, only=REAL), S(T(2, 3, 4), False, only=REAL), S(T(0, 3), only=REAL)])  # fmt: skip
def linalg_svd(A: Tensor, full_matrices=True, *, driver=None) -> SVD:
    """(U, S, Vh) with A = U diag(S) Vh, S in descending order; the largest element of each column of U is positive.

    Shapes: (..., m, n) -> (..., m, m), (..., k), (..., n, n), k = min(m, n); without full_matrices (..., m, k), (..., k),
            (..., k, n)
    Source: torch.linalg.svd
    """
    need_matrices(A, square=False)
    if driver is not None:
        raise Fact(ShapeError, "keyword argument `driver=` is only supported on CUDA inputs")
    return SVD(*svd_of(A, bool(full_matrices)))


@composite(where="linalg", cast=FP32, samples=[*MATRICES, S(T(0, 3), only=REAL)])
def svdvals(A: Tensor, *, driver=None) -> Tensor:
    """The singular values in descending order.

    Shapes: (..., m, n) -> (..., min(m, n))
    Source: torch.linalg.svdvals
    """
    return linalg_svd(A, False, driver=driver).S


@composite(
    where="mezzo Tensor",
    cast=FP32,
    samples=[S(T(4, 3), only=REAL), S(T(3, 3), False, grad=False, only=REAL)],
)
def svd(input: Tensor, some=True, compute_uv=True) -> OldSVD:
    """(U, S, V) with input = U diag(S) V^T; V, unlike linalg.svd. compute_uv=False: U and V are zeros.

    Shapes: (..., m, n) -> (..., m, k), (..., k), (..., n, k), k = min(m, n); some=False: U and V are square
    Source: torch.svd
    """
    need_matrices(input, "input", square=False)
    if compute_uv:
        u, values, vh = svd_of(input, not some)
        return OldSVD(u, values, transposed(vh))
    *batch, m, n = input.shape
    values = svd_of(input, False)[1]
    return OldSVD(input.new_zeros((*batch, m, m)), values, input.new_zeros((*batch, n, n)))


# ---- eigenvalues of symmetric matrices


def _eigen_results(A, lower):
    return (tuple(A.shape[:-1]), A.dtype), (tuple(A.shape), A.dtype)


def _eigen_fill(outs, A, lower):
    outs[0][...], vectors = run_linalg(np.linalg.eigh, A, UPLO="L" if lower else "U")
    outs[1][...] = vectors * _signs(vectors)


def _eigen_vjp(g, y, _A, lower):
    w, v = y
    inner = None
    if g[1] is not None:
        inner = _skew(matmul(transposed(v), g[1])) * 0.5 / _gaps(w)
    if g[0] is not None:
        inner = _diagonal(g[0]) if inner is None else inner + _diagonal(g[0])
    return matmul(matmul(v, inner), transposed(v))


@host(
    grad_name="LinalgEighBackward0",
    where="",
    results=_eigen_results,
    fill=_eigen_fill,
    batch=batched_in_front,
    samples=[],
    vjp={"A": _eigen_vjp},
)
def eigen_of(A: Tensor, lower) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of symmetric matrices, of which one triangle is read."""


def _lower(UPLO: str) -> bool:
    if UPLO not in ("L", "U", "l", "u"):
        raise Fact(ArgumentValueError, f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO in "Ll"


@composite(where="linalg", cast=FP32, samples=[S(T(3, 3), only=REAL), S(T(2, 3, 3), "U", only=REAL), S(T(0, 0), only=REAL)],
           errors=[(S(T(2, 3)), RuntimeError, "square")])  # fmt: skip
def eigh(A: Tensor, UPLO="L") -> Eigen:
    """(eigenvalues, eigenvectors) of a symmetric matrix, values ascending, vectors in columns, largest element positive.

    Shapes: (..., n, n) -> (..., n), (..., n, n)
    Source: torch.linalg.eigh
    """
    need_matrices(A)
    return Eigen(*eigen_of(A, _lower(UPLO)))


@composite(
    where="linalg", cast=FP32, samples=[S(T(3, 3), only=REAL), S(T(2, 3, 3), "U", only=REAL)]
)
def eigvalsh(A: Tensor, UPLO="L") -> Tensor:
    """The eigenvalues of a symmetric matrix, ascending.

    Shapes: (..., n, n) -> (..., n)
    Source: torch.linalg.eigvalsh
    """
    return eigh(A, UPLO)[0]
