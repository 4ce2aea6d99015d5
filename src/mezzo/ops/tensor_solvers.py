"""Equations of tensors as equations of matrices, Vandermonde matrices and Householder products."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mezzo import dtypes
from mezzo.core.families.host import host
from mezzo.core.record import composite, none
from mezzo.core.tensor import Tensor
from mezzo.errors import Fact, ShapeError
from mezzo.ops.create import ones_like
from mezzo.ops.decompose import FP32, REAL, batched_in_front, inv, need_matrices, solve
from mezzo.ops.diagonals import diagonal
from mezzo.ops.join import cat
from mezzo.ops.linalg import matmul
from mezzo.ops.shape import reshape
from mezzo.rules import shapes
from mezzo.rules.samples import S, T


class Householder(NamedTuple):
    """What geqrf returns."""

    a: Tensor
    tau: Tensor


@composite(where="linalg", cast=FP32, samples=[S(T(4, 2, 2), 1, only=REAL), S(T(2, 3, 6), only=REAL)],
           errors=[(S(T(2, 3, 4), 1), RuntimeError, "square")])  # fmt: skip
def tensorinv(A: Tensor, ind=2) -> Tensor:
    """The inverse of a tensor as a map from its last axes to its first `ind`.

    Shapes: (*a, *b) with prod(a) = prod(b) -> (*b, *a)
    Source: torch.linalg.tensorinv
    """
    if ind <= 0:
        raise Fact(ShapeError, "expected a strictly positive integer for 'ind'")
    left, right = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if math.prod(left) != math.prod(right):
        raise Fact(ShapeError, f"expected self to satisfy prod(shape[ind:]) == prod(shape[:ind]) (a square matrix), got "
                               f"{math.prod(right)} != {math.prod(left)}")  # fmt: skip
    return reshape(inv(reshape(A, (math.prod(left), -1))), (*right, *left))


@composite(where="linalg", cast=FP32, samples=[S(T(2, 2, 4), T(2, 2), only=REAL), S(T(4, 2, 2), T(2, 2), (0,), only=REAL)],
           errors=[(S(T(2, 3, 4), T(2, 3)), RuntimeError, "square")])  # fmt: skip
def tensorsolve(input: Tensor, other: Tensor, dims=None) -> Tensor:
    """X with tensordot(input, X, X.ndim) = other; dims: axes of input moved to its end first.

    Shapes: input (*b, *x) with prod(b) = prod(x), other (*b) -> (*x)
    Source: torch.linalg.tensorsolve
    """
    if dims is not None:
        moved = shapes.axes(tuple(dims), input.ndim, "dims")
        input = input.movedim(moved, tuple(range(-len(moved), 0)))
    to = tuple(input.shape[other.ndim :])
    if math.prod(to) != math.prod(other.shape):
        raise Fact(ShapeError, f"expected self to satisfy prod(shape[other.ndim:]) == prod(shape[:other.ndim]) (a square matrix), "
                               f"got {math.prod(to)} != {math.prod(other.shape)}")  # fmt: skip
    return reshape(solve(reshape(input, (-1, math.prod(to))), reshape(other, (-1,))), to)


@composite(where="mezzo", samples=[S(T(4)), S(T(3), 5), S(T(3), 4, True), S(T(3), 0), S(T(3), 1)])
def vander(x: Tensor, N=None, increasing=False) -> Tensor:
    """The matrix of powers of a vector's elements, descending unless increasing.

    Shapes: (n,) -> (n, N), N = n by default
    Source: torch.vander
    """
    if x.ndim != 1:
        raise Fact(ShapeError, f"x must be a one-dimensional tensor, and has {x.ndim} axes")
    count = x.shape[0] if N is None else N
    if count < 0:
        raise Fact(ShapeError, f"N must be non-negative, and is {N}")
    powers = _powers(x, count)
    return powers if increasing else powers.flip((-1,))


def _powers(x: Tensor, count: int) -> Tensor:
    to = x if x.dtype.category >= dtypes.FLOAT else x.to(dtypes.int64)
    ones = to.new_ones((*x.shape, min(count, 1)))
    if count <= 1:
        return ones
    repeated = to.unsqueeze(-1).expand((*x.shape, count - 1)).cumprod(-1)
    return cat((ones, repeated), -1)


_VANDER = ("float32", "float64", "int64", "int32", "uint8")


@composite(
    where="",
    aliases="linalg.vander",
    reference="torch.linalg.vander",
    samples=[S(T(4), only=_VANDER), S(T(2, 3), N=4, only=_VANDER)],
)
def linalg_vander(x: Tensor, *, N=None) -> Tensor:
    """The matrices of ascending powers of vectors' elements.

    Shapes: (..., n) -> (..., n, N), N = n by default
    Source: torch.linalg.vander
    """
    count = x.shape[-1] if N is None else N
    if count <= 1:
        raise Fact(ShapeError, f"N must be greater than 1, and is {count}")
    return _powers(x, count)


@composite(where="", aliases="linalg.diagonal", reference="torch.linalg.diagonal", samples=[S(T(2, 3, 4)), S(T(3, 4), offset=1, dim1=1, dim2=0)])  # fmt: skip
def linalg_diagonal(A: Tensor, *, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """A view of a diagonal of the last two axes, or of two others.

    Source: torch.linalg.diagonal
    """
    return diagonal(A, offset, dim1, dim2)


def _raw_results(input):
    m, n = input.shape[-2:]
    return (tuple(input.shape), input.dtype), ((*input.shape[:-2], min(m, n)), input.dtype)


def _raw_fill(outs, a):
    packed, tau = np.linalg.qr(a, "raw")
    outs[0][...], outs[1][...] = np.swapaxes(packed, -2, -1), tau


@host(where="mezzo Tensor", results=_raw_results, fill=_raw_fill, batch=batched_in_front, samples=[S(T(4, 3), only=REAL)],
      vjp=none("the vectors of a QR factorization alone have none; use linalg.qr"))  # fmt: skip
def geqrf(input: Tensor) -> Householder:
    """(a, tau): R above the diagonal and the Householder vectors of Q below it, and their factors.

    Shapes: (..., m, n) -> (..., m, n), (..., min(m, n))
    Source: torch.geqrf
    """


@composite(where="linalg", cast=FP32,
           samples=[S(T(4, 3), T(3), only=REAL), S(T(2, 3, 3), T(2, 2), only=REAL)])  # fmt: skip
def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of the reflections 1 - tau v v^T, v the columns of input below the diagonal.

    Shapes: (..., m, n), (..., k) -> (..., m, n)
    Source: torch.linalg.householder_product
    """
    need_matrices(input, "input", square=False)
    m, n = input.shape[-2:]
    count = tau.shape[-1]
    if m < n or count > n:
        raise Fact(ShapeError, f"input of shape {list(input.shape)} must have as many rows as columns at least, and as many columns "
                               f"as tau of shape {list(tau.shape)}")  # fmt: skip
    y = ones_like(input.diagonal(0, -2, -1)).diag_embed(0, -2, -1)
    if m > n:
        y = cat((y, input.new_zeros((*input.shape[:-2], m - n, n))), -2)
    vectors = input.tril(-1) + y
    for k in reversed(range(count)):
        v = vectors.narrow(-1, k, 1)
        y = y - tau.narrow(-1, k, 1).unsqueeze(-1) * matmul(v, matmul(v.transpose(-2, -1), y))
    return y


@composite(where="mezzo Tensor", cast=FP32, samples=[S(T(4, 3), T(3), only=REAL)])
def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """The first columns of the product of the reflections that geqrf gives; input2 is its tau.

    Shapes: (..., m, n), (..., k) -> (..., m, n)
    Source: torch.orgqr
    """
    return householder_product(input, input2)
