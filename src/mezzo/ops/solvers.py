"""Triangular systems, LU factors, and solvers that tell of failure instead of raising."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mezzo import dtypes
from mezzo.core.families.host import host
from mezzo.core.record import composite, none
from mezzo.core.tensor import Tensor
from mezzo.errors import (
    Fact,
    LinAlgError,
    ShapeError,
)
from mezzo.ops.create import ones_like
from mezzo.ops.decompose import (
    FP32,
    REAL,
    SQUARES,
    batched_in_front,
    cholesky_of,
    inverse_of,
    need_matrices,
    same_as,
    solve_of,
    transposed,
)
from mezzo.ops.join import cat
from mezzo.ops.linalg import matmul
from mezzo.ops.shape import expand
from mezzo.rules import shapes
from mezzo.rules.samples import S, T


class Triangular(NamedTuple):
    """What triangular_solve returns."""

    solution: Tensor
    cloned_coefficient: Tensor


class LU(NamedTuple):
    """What lu returns."""

    P: Tensor
    L: Tensor
    U: Tensor


class LUFactor(NamedTuple):
    """What lu_factor returns."""

    LU: Tensor
    pivots: Tensor


class InverseInfo(NamedTuple):
    """What inv_ex returns."""

    inverse: Tensor
    info: Tensor


class SolveInfo(NamedTuple):
    """What solve_ex returns."""

    result: Tensor
    info: Tensor


class CholeskyInfo(NamedTuple):
    """What cholesky_ex returns."""

    L: Tensor
    info: Tensor


# ---- triangular systems, and those of Cholesky factors


def _triangle(A: Tensor, upper, unit) -> Tensor:
    part = A.triu(1 if unit else 0) if upper else A.tril(-1 if unit else 0)
    return part + ones_like(A.diagonal(0, -2, -1)).diag_embed(0, -2, -1) if unit else part


def _solved(A: Tensor, B: Tensor) -> Tensor:
    batch = shapes.broadcast([tuple(A.shape[:-2]), tuple(B.shape[:-2])])
    return solve_of(expand(A, (*batch, *A.shape[-2:])), expand(B, (*batch, *B.shape[-2:])))


@composite(where="linalg", cast=FP32, samples=[
    S(T(3, 3), T(3, 2), upper=True, only=REAL), S(T(2, 3, 3), T(3, 2), upper=False, unitriangular=True, only=REAL),
    S(T(3, 3), T(2, 2, 3), upper=False, left=False, only=REAL)],
    errors=[(S(T(3, 3), T(2, 2), upper=True), RuntimeError, "shapes")])  # fmt: skip
def solve_triangular(A: Tensor, B: Tensor, *, upper, left=True, unitriangular=False) -> Tensor:
    """X with A X = B (X A = B with left=False), A triangular; the other triangle is not read.

    Shapes: (..., n, n), (..., n, k) -> (..., n, k); batch axes broadcast
    Source: torch.linalg.solve_triangular
    """
    need_matrices(A)
    need_matrices(B, "B", square=False)
    if A.shape[-1] != B.shape[-2 if left else -1]:
        raise Fact(ShapeError, f"incompatible shapes of A {list(A.shape)} and B {list(B.shape)}")
    full = _triangle(A, upper, unitriangular)
    return _solved(full, B) if left else transposed(_solved(transposed(full), transposed(B)))


@composite(where="mezzo Tensor", cast=FP32, samples=[
    S(T(3, 2), T(3, 3), only=REAL), S(T(3, 2), T(3, 3), False, True, True, only=REAL)])  # fmt: skip
def triangular_solve(
    input: Tensor, A: Tensor, upper=True, transpose=False, unitriangular=False
) -> Triangular:
    """(X with A X = input, a copy of A), A triangular, transposed if asked.

    Shapes: (..., n, k), (..., n, n) -> (..., n, k), (..., n, n)
    Source: torch.triangular_solve
    """
    need_matrices(A)
    full = _triangle(A, upper, unitriangular)
    return Triangular(_solved(transposed(full) if transpose else full, input), A.clone())


def _half(x, upper):
    return x.triu() if upper else x.tril()


# PyTorch's derivatives of these two take the triangle that is not read for part of the factor.


@composite(where="mezzo Tensor", cast=FP32, samples=[S(T(3, 2), T(3, 3), only=REAL), S(T(2, 3, 2), T(2, 3, 3), True, only=REAL)],
           reference=lambda b, x, upper=False: b.cholesky_solve(_half(x, upper), upper))  # fmt: skip
def cholesky_solve(input: Tensor, input2: Tensor, upper=False) -> Tensor:
    """X with L L^T X = input, L = input2; with upper, L^T L X = input.

    Shapes: (..., n, k), (..., n, n) -> (..., n, k)
    Source: torch.cholesky_solve
    """
    need_matrices(input2, "input2")
    low = transposed(_triangle(input2, True, False)) if upper else _triangle(input2, False, False)
    return _solved(transposed(low), _solved(low, input))


@composite(where="mezzo Tensor", cast=FP32, samples=[S(T(3, 3), only=REAL), S(T(2, 3, 3), True, only=REAL)],
           reference=lambda x, upper=False: _half(x, upper).cholesky_inverse(upper))  # fmt: skip
def cholesky_inverse(input: Tensor, upper=False) -> Tensor:
    """The inverse of L L^T, L = input; with upper, of L^T L.

    Shapes: (..., n, n) -> (..., n, n)
    Source: torch.cholesky_inverse
    """
    need_matrices(input, "input")
    low = transposed(_triangle(input, True, False)) if upper else _triangle(input, False, False)
    turned = inverse_of(low)
    return matmul(transposed(turned), turned)


# ---- with information instead of errors


def _each(function, outs, *arrays) -> None:
    """Run a function of single matrices over a batch; it returns (result, info)."""
    flat = [a.reshape((-1, *a.shape[-2:])) for a in arrays]
    batch = arrays[0].shape[:-2]
    count = math.prod(batch)
    results, infos = np.empty((count, *outs[0].shape[-2:]), outs[0].dtype), np.zeros(count)
    for i in range(count):
        results[i], infos[i] = function(*[f[i] for f in flat])
    outs[0][...], outs[1][...] = results.reshape(outs[0].shape), infos.reshape(batch)


def _first_bad_minor(a: np.ndarray) -> int:
    for size in range(1, len(a) + 1):
        try:
            np.linalg.cholesky(a[:size, :size])
        except np.linalg.LinAlgError:
            return size
    return 0


def _cholesky_or(a):
    both = np.tril(a) + np.tril(a, -1).T
    try:
        return np.linalg.cholesky(both), 0
    except np.linalg.LinAlgError:
        return np.full_like(a, np.nan), _first_bad_minor(both)


def _first_zero_pivot(a: np.ndarray) -> int:
    packed, _ = _lu_of_one(a)
    zero = np.flatnonzero(np.diag(packed) == 0)
    return int(zero[0]) + 1 if zero.size else len(a)


def _inverse_or(a):
    try:
        return np.linalg.inv(a), 0
    except np.linalg.LinAlgError:
        return np.full_like(a, np.nan), _first_zero_pivot(a)


def _solve_or(a, b):
    try:
        return np.linalg.solve(a, b), 0
    except np.linalg.LinAlgError:
        return np.full_like(b, np.nan), _first_zero_pivot(a)


def _informed(A, *_):
    return same_as(_[0] if _ else A), (tuple(A.shape[:-2]), dtypes.int32)


def _solve_info_vjp(g, y, A, B):
    x = solve_of(transposed(A), g[0])
    return -matmul(x, transposed(y[0])), x


@host(where="", results=_informed, fill=lambda outs, a: _each(_cholesky_or, outs, a), batch=batched_in_front, samples=[],
      no_gradient_outputs=(1,), vjp={"A": lambda g, y, A: cholesky_of.vjps[0](g[0], y[0], A)})  # fmt: skip
def cholesky_info(A: Tensor) -> tuple[Tensor, Tensor]:
    """Lower factors (NaN where there is none) and the order of the first minor that is not positive."""


@host(where="", results=_informed, fill=lambda outs, a: _each(_inverse_or, outs, a), batch=batched_in_front, samples=[],
      no_gradient_outputs=(1,), vjp={"A": lambda g, y, A: -matmul(matmul(transposed(y[0]), g[0]), transposed(y[0]))})  # fmt: skip
def inverse_info(A: Tensor) -> tuple[Tensor, Tensor]:
    """Inverses (NaN where there is none) and the first zero pivot."""


@host(where="", results=_informed, fill=lambda outs, a, b: _each(_solve_or, outs, a, b), batch=batched_in_front, samples=[],
      no_gradient_outputs=(1,), vjp=_solve_info_vjp)  # fmt: skip
def solve_info(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Solutions (NaN where there is none) and the first zero pivot."""


def _checked(info: Tensor, check: bool, what: str) -> None:
    if check and bool((info != 0).any()):
        raise Fact(LinAlgError, f"{what} failed: info is {info.tolist()}")


_POSITIVE = [S(T(1, 1, low=0.5), only=REAL), S(T(2, 1, 1, low=0.5), only=REAL)]


@composite(where="linalg", cast=FP32, samples=_POSITIVE)
def cholesky_ex(A: Tensor, *, upper=False, check_errors=False) -> CholeskyInfo:
    """(L, info): info is 0, or the order of the first minor that is not positive; then L is NaN.

    Shapes: (..., n, n) -> (..., n, n), (...)
    Source: torch.linalg.cholesky_ex
    """
    need_matrices(A)
    y, info = cholesky_info(transposed(A) if upper else A)
    _checked(info, check_errors, "the factorization")
    return CholeskyInfo(transposed(y) if upper else y, info)


@composite(where="linalg", cast=FP32, samples=SQUARES)
def inv_ex(A: Tensor, *, check_errors=False) -> InverseInfo:
    """(inverse, info): info is 0, or the first zero pivot; then the inverse is NaN.

    Shapes: (..., n, n) -> (..., n, n), (...)
    Source: torch.linalg.inv_ex
    """
    need_matrices(A)
    found = InverseInfo(*inverse_info(A))
    _checked(found.info, check_errors, "the inversion")
    return found


@composite(where="linalg", cast=FP32, samples=[S(T(3, 3), T(3, 2), only=REAL), S(T(2, 3, 3), T(2, 3, 1), only=REAL)])  # fmt: skip
def solve_ex(A: Tensor, B: Tensor, *, left=True, check_errors=False) -> SolveInfo:
    """(X with A X = B, info): info is 0, or the first zero pivot; then X is NaN.

    Shapes: (..., n, n), (..., n, k) -> (..., n, k), (...)
    Source: torch.linalg.solve_ex
    """
    need_matrices(A)
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1]))
    b = B.unsqueeze(-1) if vector else B
    a, b = (A, b) if left else (transposed(A), transposed(b))
    batch = shapes.broadcast([tuple(a.shape[:-2]), tuple(b.shape[:-2])])
    y, info = solve_info(expand(a, (*batch, *a.shape[-2:])), expand(b, (*batch, *b.shape[-2:])))
    _checked(info, check_errors, "the solver")
    y = y if left else transposed(y)
    return SolveInfo(y.squeeze(-1) if vector else y, info)


# ---- LU


def _lu_of_one(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L below the diagonal and U in one matrix, and the row that each step exchanged (from 1)."""
    packed, (m, n) = a.copy(), a.shape
    pivots = np.arange(1, min(m, n) + 1, dtype=np.int32)
    for k in range(min(m, n)):
        row = k + int(np.argmax(np.abs(packed[k:, k])))
        pivots[k] = row + 1
        if row != k:
            packed[[k, row]] = packed[[row, k]]
        if packed[k, k] != 0:
            packed[k + 1 :, k] /= packed[k, k]
            packed[k + 1 :, k + 1 :] -= np.outer(packed[k + 1 :, k], packed[k, k + 1 :])
    return packed, pivots


def _lu_fill(outs, A):
    flat = A.reshape((-1, *A.shape[-2:]))
    found = [_lu_of_one(a) for a in flat]
    for out, parts in zip(outs, zip(*found)):
        out[...] = np.stack(parts).reshape(out.shape)


def _lu_results(A):
    return same_as(A), ((*A.shape[:-2], min(A.shape[-2:])), dtypes.int32)


def _lu_vjp(g, y, A):
    """By the square block of the factors; what lies below or beside it is solved from them."""
    (packed, pivots), g = y, g[0]
    m, n = A.shape[-2:]
    k = min(m, n)
    block, at_block = (x.narrow(-2, 0, k).narrow(-1, 0, k) for x in (packed, g))
    low, up = _triangle(block, False, True), block.triu()
    at_low, at_up, rest = at_block.tril(-1), at_block.triu(), None
    if m > n:
        rest = transposed(solve_of(up, transposed(g.narrow(-2, k, m - k))))
        at_up = (at_up - matmul(transposed(packed.narrow(-2, k, m - k)), rest)).triu()
    elif n > m:
        rest = solve_of(transposed(low), g.narrow(-1, k, n - k))
        at_low = (at_low - matmul(rest, transposed(packed.narrow(-1, k, n - k)))).tril(-1)
    inner = matmul(transposed(low), at_low).tril(-1) + matmul(at_up, transposed(up)).triu()
    turned = transposed(solve_of(up, transposed(solve_of(transposed(low), inner))))
    if rest is not None:
        turned = cat((turned, rest), -2 if m > n else -1)
    return matmul(permutation_of(pivots, m).to(turned.dtype), turned)


@host(
    where="",
    results=_lu_results,
    fill=_lu_fill,
    batch=batched_in_front,
    samples=[],
    no_gradient_outputs=(1,),
    vjp={"A": _lu_vjp},
)
def packed_lu_of(A: Tensor) -> tuple[Tensor, Tensor]:
    """L and U in one matrix, and the exchanges of rows."""


def _permutation_fill(outs, pivots, size):
    flat = pivots.reshape((-1, pivots.shape[-1]))
    found = np.zeros((len(flat), size, size), outs[0].dtype)
    for made, exchanges in zip(found, flat):
        order = np.arange(size)
        for k, row in enumerate(exchanges):
            order[[k, row - 1]] = order[[row - 1, k]]
        made[order, np.arange(size)] = 1
    outs[0][...] = found.reshape(outs[0].shape)


@host(where="", results=lambda pivots, size: ((*pivots.shape[:-1], size, size), dtypes.float64), fill=_permutation_fill,
      batch=batched_in_front, samples=[], vjp=none("integers have no derivative"))  # fmt: skip
def permutation_of(pivots: Tensor, size) -> Tensor:
    """The matrix P of exchanges of rows: A = P L U."""


@composite(where="linalg", cast=FP32, samples=SQUARES + [S(T(4, 3), only=REAL)])
def lu_factor(A: Tensor, *, pivot=True) -> LUFactor:
    """(L and U in one matrix, pivots): row i was exchanged with row pivots[i] - 1.

    Shapes: (..., m, n) -> (..., m, n), (..., min(m, n))
    Source: torch.linalg.lu_factor
    """
    need_matrices(A, square=False)
    if not pivot:
        raise Fact(ShapeError, "LU without pivoting is not implemented on the CPU")
    return LUFactor(*packed_lu_of(A))


def _unpacked(packed: Tensor, pivots: Tensor) -> LU:
    m, n = packed.shape[-2:]
    k = min(m, n)
    low = _triangle_tall(packed.narrow(-1, 0, k))
    return LU(permutation_of(pivots, m).to(packed.dtype), low, packed.narrow(-2, 0, k).triu())


def _triangle_tall(x: Tensor) -> Tensor:
    square = ones_like(x.diagonal(0, -2, -1)).diag_embed(0, -2, -1)
    rest = x.shape[-2] - x.shape[-1]
    if rest:
        square = cat((square, x.new_zeros((*x.shape[:-2], rest, x.shape[-1]))), -2)
    return x.tril(-1) + square


@composite(where="linalg", cast=FP32, samples=SQUARES + [S(T(4, 3), only=REAL), S(T(2, 4), only=REAL)])  # fmt: skip
def lu(A: Tensor, *, pivot=True) -> LU:
    """(P, L, U) with A = P L U.

    Shapes: (..., m, n) -> (..., m, m), (..., m, k), (..., k, n), k = min(m, n)
    Source: torch.linalg.lu
    """
    return _unpacked(*lu_factor(A, pivot=pivot))


@composite(where="mezzo",  samples=[S(T(3, 3), T(3, low=3, high=3, kind="int", dtype=dtypes.int32), only=REAL)])  # fmt: skip
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data=True, unpack_pivots=True) -> LU:
    """(P, L, U) from the results of lu_factor; empty what is not asked for.

    Shapes: (..., m, n), (..., k) -> (..., m, m), (..., m, k), (..., k, n)
    Source: torch.lu_unpack
    """
    found, none_ = _unpacked(LU_data, LU_pivots), LU_data.new_empty((0,))
    data = (found.L, found.U) if unpack_data else (none_, none_)
    return LU(found.P if unpack_pivots else none_, *data)


def _lu_solved(packed: Tensor, pivots: Tensor, B: Tensor, adjoint=False) -> Tensor:
    need_matrices(packed, "LU")
    low, up = _triangle(packed, False, True), packed.triu()
    p = permutation_of(pivots, packed.shape[-1]).to(packed.dtype)
    if adjoint:
        return matmul(p, _solved(transposed(low), _solved(transposed(up), B)))
    return _solved(up, _solved(low, matmul(transposed(p), B)))


_PIVOTS = T(3, low=3, high=3, kind="int", dtype=dtypes.int32)


@composite(where="", aliases="linalg.lu_solve", reference="torch.linalg.lu_solve", cast=FP32, samples=[
    S(T(3, 3), _PIVOTS, T(3, 2), only=REAL), S(T(3, 3), _PIVOTS, T(2, 3), left=False, only=REAL),
    S(T(3, 3), _PIVOTS, T(3, 2), adjoint=True, only=REAL)])  # fmt: skip
def linalg_lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left=True, adjoint=False) -> Tensor:
    """X with A X = B (X A = B with left=False), from lu_factor(A); adjoint: of A transposed.

    Shapes: (..., n, n), (..., n), (..., n, k) -> (..., n, k)
    Source: torch.linalg.lu_solve
    """
    return _lu_solved(LU, pivots, B, adjoint) if left else transposed(_lu_solved(LU, pivots, transposed(B), not adjoint))  # fmt: skip


@composite(where="mezzo Tensor", cast=FP32, samples=[S(T(3, 2), T(3, 3), _PIVOTS, only=REAL)])
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """X with A X = input, from lu_factor(A).

    Shapes: (..., n, k), (..., n, n), (..., n) -> (..., n, k)
    Source: torch.lu_solve
    """
    return _lu_solved(LU_data, LU_pivots, input)
