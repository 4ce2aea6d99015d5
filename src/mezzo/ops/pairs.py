"""Distances of all pairs, and what is computed from all pairs of rows: covariances, combinations."""

from __future__ import annotations

import itertools
import math

from mezzo import dtypes
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError
from mezzo.ops.create import zeros
from mezzo.ops.data import tensor
from mezzo.ops.gather import index_select
from mezzo.ops.join import cat
from mezzo.ops.linalg import matmul
from mezzo.ops.moments import norm
from mezzo.ops.select import where
from mezzo.ops.shape import reshape
from mezzo.rules.samples import S, T

_MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)
_MANY = 25  # rows beyond which the distances come from a matrix product, as PyTorch's do


def _by_product(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances from |a|^2 + |b|^2 - 2 a b; the derivative at distance zero is zero."""
    square = (a * a).sum(-1, True) + (b * b).sum(-1).unsqueeze(-2) - 2 * matmul(a, b.mT)
    apart = square > 0
    return where(apart, where(apart, square, 1).sqrt(), 0)


@composite(where="mezzo", cast=Cast("fp32", "fp32"), samples=[
    S(T(3, 4), T(5, 4)), S(T(2, 3, 4), T(5, 4), 1.0), S(T(3, 4), T(2, 4), 3.0), S(T(3, 4), T(2, 4), math.inf), S(T(30, 2), T(3, 2), only=("float32", "float64")),
    S(T(3, 4), T(2, 4), 0.0, grad=False), S(T(0, 3), T(2, 3))],
    errors=[(S(T(3, 4), T(3, 5)), RuntimeError, "columns"), (S(T(3, 4), T(3, 4), -1.0), RuntimeError, "non-negative")])  # fmt: skip
def cdist(
    x1: Tensor, x2: Tensor, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"
) -> Tensor:
    """The p-norm distance of every row of x1 to every row of x2.

    Shapes: (..., m, n), (..., k, n) -> (..., m, k); batch axes broadcast
    Source: torch.cdist
    """
    if x1.ndim < 2 or x2.ndim < 2:
        raise Fact(ShapeError, f"only supports at least 2D tensors, got {x1.ndim}D and {x2.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise Fact(ShapeError, f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")  # fmt: skip
    if p < 0:
        raise Fact(ShapeError, f"only supports non-negative p values, and p is {p}")
    mode = compute_mode
    if mode is None or isinstance(mode, int):
        mode = _MODES[mode or 0]
    if mode not in _MODES:
        raise Fact(ArgumentValueError, f"{mode} is not a valid value for compute_mode")
    for name, x in (("X1", x1), ("X2", x2)):
        if x.dtype.category != dtypes.FLOAT:
            raise Fact(DTypeError, f"only supports floating-point dtypes, {name} got: {x.dtype.name}")  # fmt: skip
    many = x1.shape[-2] > _MANY or x2.shape[-2] > _MANY
    if p == 2 and (mode == _MODES[1] or (mode == _MODES[0] and many)):
        return _by_product(x1, x2)
    return norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


@composite(where="mezzo nn.functional", cast=Cast("keep", "fp32"), samples=[
    S(T(4, 3), only=("float32", "float64")), S(T(4, 3), 1.0, only=("float32", "float64")), S(T(1, 3), only=("float32", "float64"))],
    errors=[(S(T(2, 3, 4)), RuntimeError, "2D")])  # fmt: skip
def pdist(input: Tensor, p=2.0) -> Tensor:
    """The p-norm distances of all pairs of rows, those of the first row first.

    Shapes: (n, m) -> (n (n - 1) / 2,)
    Source: torch.pdist
    """
    if input.ndim != 2:
        raise Fact(ShapeError, f"only supports 2D tensors, got: {input.ndim}D")
    pairs = list(itertools.combinations(range(input.shape[0]), 2))
    if not pairs:
        return input.sum(1).narrow(0, 0, 0)
    first, second = (
        tensor([p[i] for p in pairs], device=input.device, dtype=dtypes.int64) for i in (0, 1)
    )
    return norm(index_select(input, 0, first) - index_select(input, 0, second), p, 1)


@composite(where="mezzo", samples=[S(T(4)), S(T(4), 3), S(T(3), 2, True), S(T(2), 3), S(T(3), 0)])
def combinations(input: Tensor, r=2, with_replacement=False) -> Tensor:
    """All choices of r elements of a vector, in the order of itertools.combinations.

    Shapes: (n,) -> (number of choices, r)
    Source: torch.combinations
    """
    if input.ndim != 1:
        raise Fact(ShapeError, f"expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise Fact(ShapeError, f"expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty((0,))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    found = list(choose(range(input.shape[0]), r))
    flat = tensor([i for c in found for i in c], device=input.device, dtype=dtypes.int64)
    return reshape(index_select(input, 0, flat), (len(found), r))


@composite(where="mezzo", varargs="tensors", samples=[
    S(T(2, 3), T(1, 2)), S(T(3), T(), T(2, 2)), S(T(2, 2)), S(T(0), T(2, 1), grad=False)])  # fmt: skip
def block_diag(tensors: tuple[Tensor, ...]) -> Tensor:
    """Matrices along the diagonal of one, zeros elsewhere; vectors count as rows.

    Shapes: (m1, n1), (m2, n2), ... -> (m1 + m2 + ..., n1 + n2 + ...)
    Source: torch.block_diag
    """
    for number, x in enumerate(tensors):
        if x.ndim > 2:
            raise Fact(ShapeError, f"input tensors must have 2 or fewer dimensions. Input {number} has {x.ndim} dimensions")  # fmt: skip
    if not tensors:
        return zeros((1, 0))
    blocks = [x.reshape((1,) * (2 - x.ndim) + tuple(x.shape)) for x in tensors]
    total, before, rows = sum(b.shape[1] for b in blocks), 0, []
    for block in blocks:
        after = total - before - block.shape[1]
        margins = [block.new_zeros((block.shape[0], n)) for n in (before, after)]
        rows.append(cat((margins[0], block, margins[1]), 1))
        before += block.shape[1]
    return cat(tuple(rows), 0)


def _weights(input: Tensor, fweights, aweights):
    count = input.shape[-1]
    for name, w in (("fweights", fweights), ("aweights", aweights)):
        if w is not None and (w.ndim > 1 or w.numel() != count):
            raise Fact(ShapeError, f"{name} of shape {list(w.shape)} must have one weight for each of {count} observations")  # fmt: skip
    if fweights is not None and fweights.dtype.category != dtypes.INTEGER:
        raise Fact(ShapeError, f"expected fweights to have integral dtype but got fweights with {fweights.dtype.name} dtype")  # fmt: skip
    if aweights is not None and aweights.dtype.category != dtypes.FLOAT:
        raise Fact(ShapeError, f"expected aweights to have floating point dtype but got aweights with {aweights.dtype.name} dtype")  # fmt: skip
    if fweights is None or aweights is None:
        return fweights if aweights is None else aweights
    return fweights * aweights


@composite(where="mezzo Tensor", samples=[
    S(T(3, 5)), S(T(5)), S(T(3, 5), correction=0), S(T(2, 4), fweights=T(4, low=1, high=4, kind="int")),
    S(T(2, 4), aweights=T(4, low=0.5, high=2, dtype=dtypes.float64, constant=True), only=("float64",))],
    errors=[(S(T(2, 3, 4)), RuntimeError, "two or fewer")])  # fmt: skip
def cov(input: Tensor, *, correction=1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:  # fmt: skip
    """The covariances of variables in rows, observations in columns.

    Math:   (x - mean) diag(w) (x - mean)^T / (sum(w) - correction * sum(w aweights) / sum(w))
    Shapes: (m, n) -> (m, m); (n,) -> ()
    Source: torch.cov
    """
    if input.ndim > 2:
        raise Fact(ShapeError, f"expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions")  # fmt: skip
    if input.dtype is dtypes.bool_:
        raise Fact(DTypeError, "bool dtype is not supported for input", "Convert with x.float().")
    x = input.reshape((1, -1)) if input.ndim < 2 else input
    x = x if x.dtype.category == dtypes.FLOAT else x.to(dtypes.Defaults.float_dtype)
    w, count = _weights(x, fweights, aweights), x.shape[1]
    if w is None:
        centred = x - x.mean(1, True)
        divisor = max(count - correction, 0)
        y = matmul(centred, centred.mT) / divisor
    else:
        total = w.sum()
        centred = x - (x * w).sum(1, True) / total
        bias = total if aweights is None or not correction else None
        norm_ = total - correction if bias is not None else total - correction * (w * aweights).sum() / total  # fmt: skip
        y = matmul(centred, (centred * w).mT) / norm_.clamp(min=0)
    return y.squeeze()


@composite(
    where="mezzo Tensor", samples=[S(T(3, 5), only=("float32", "float64")), S(T(5), grad=False)]
)
def corrcoef(input: Tensor) -> Tensor:
    """The correlation coefficients of variables in rows, observations in columns.

    Math:   C[i, j] / sqrt(C[i, i] C[j, j]), within -1..1, C = cov(input)
    Shapes: (m, n) -> (m, m); (n,) -> ()
    Source: torch.corrcoef
    """
    c = cov(input)
    if c.ndim == 0:
        return c / c
    deviation = c.diagonal().sqrt()
    return (c / deviation.unsqueeze(-1) / deviation.unsqueeze(0)).clamp(-1, 1)


@composite(where="mezzo", samples=[S(T(5, low=0, high=24, kind="index"), (2, 3, 4)), S(T(2, 2, low=0, high=7, kind="index"), (7,))])  # fmt: skip
def unravel_index(indices: Tensor, shape) -> tuple[Tensor, ...]:
    """The coordinates, one tensor for each axis, of positions in a flattened tensor of the given shape.

    Source: torch.unravel_index
    """
    if indices.dtype.category >= dtypes.FLOAT or indices.dtype is dtypes.bool_:
        raise Fact(ArgumentValueError, f"expected 'indices' to be integer dtype, but got {indices.dtype.name}")  # fmt: skip
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(n < 0 for n in shape):
        raise Fact(ArgumentValueError, f"'shape' cannot have negative values, but got {shape}")
    found, step = [], 1
    for size in reversed(shape):
        found.append((indices // step) % size)
        step *= size
    return tuple(reversed(found))


@composite(where="mezzo Tensor", samples=[S(T(4, 3), 2, 0, 1.5), S(T(2, 3, 2), 1, 1, 1.0), S(T(3, 4), 3, 0, 2.5)], inplace=True,
           cast=Cast("keep", "fp32"))  # fmt: skip
def renorm(input: Tensor, p, dim, maxnorm) -> Tensor:
    """Each slice along dim scaled down so that its p-norm is at most maxnorm.

    Shapes: (...) -> (...)
    Source: torch.renorm
    """
    axes = tuple(i for i in range(input.ndim) if i != dim % input.ndim)
    size = norm(input, p, axes, True)
    return input * where(size > maxnorm, maxnorm / (size + 1e-7), 1.0)
