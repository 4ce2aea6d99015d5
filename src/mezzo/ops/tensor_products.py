"""Products of vectors, matrices and tensors made of matrix products, and distances between all pairs of rows."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from numbers import Number

from mezzo import dtypes
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact, ShapeError
from mezzo.ops.create import eye
from mezzo.ops.data import tensor
from mezzo.ops.gather import index_select
from mezzo.ops.linalg import dot, matmul, outer, product
from mezzo.ops.shape import permute, reshape
from mezzo.rules import shapes
from mezzo.rules.samples import S, T

PROMOTE = Cast(cuda="promote")


@composite(
    where="nn.functional mezzo",
    cast=PROMOTE,
    samples=[S(T(5, 3), T(5, 4), T(2, 3, 4), T(2)), S(T(2, 2, 3), T(2, 2, 4), T(2, 3, 4))],
)
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1 @ weight[o] @ input2 for every output o, plus bias.

    Math:   y[..., o] = sum_ij input1[..., i] weight[o, i, j] input2[..., j] + bias[o]
    Shapes: (..., i), (..., j), (o, i, j), (o,) -> (..., o)
    Source: torch.nn.functional.bilinear
    """
    if (
        weight.ndim != 3
        or input1.shape[-1:] != weight.shape[1:2]
        or input2.shape[-1:] != weight.shape[2:]
    ):
        raise Fact(ShapeError, f"weight of shape {list(weight.shape)} must be (out, {input1.shape[-1]}, {input2.shape[-1]}) for inputs of "
                               f"{input1.shape[-1]} and {input2.shape[-1]} features")  # fmt: skip
    if input1.shape[:-1] != input2.shape[:-1]:
        raise Fact(
            ShapeError,
            f"input batch dimensions do not match: {list(input1.shape[:-1])} and {list(input2.shape[:-1])}",
        )
    o, i, j = weight.shape
    by_input = reshape(permute(weight, (1, 0, 2)), (i, o * j))
    wide = dtypes.float64 if weight.dtype is dtypes.float64 else dtypes.float32
    rows = reshape(input1, (shapes.numel(input1.shape[:-1]), i))
    partial = reshape(
        product(rows, by_input, None, None, wide if weight.dtype.is_floating_point else None),
        (*input1.shape[:-1], o, j),
    )
    y = (partial * input2.unsqueeze(-2)).sum(-1)
    return (y if bias is None else y + bias).to(input1.dtype)


@composite(
    where="mezzo Tensor",
    inplace=True,
    cast=Cast(cuda="low"),
    samples=[
        S(T(3, 4), T(3), T(4)),
        S(T(4), T(3), T(4), beta=0.5, alpha=2),
        S(T(3, 4), T(3), T(4), beta=0),
    ],
)
def addr(
    input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * input + alpha * the outer product of two vectors.

    Shapes: broadcast to (m, n); (m,), (n,) -> (m, n)
    Source: torch.addr
    """
    whole = not any(x.dtype.is_floating_point for x in (input, vec1, vec2))
    for name, factor in (("beta", beta), ("alpha", alpha)):
        if whole and isinstance(factor, float):
            raise Fact(
                ShapeError,
                f"for integral input tensors, argument {name} must not be a floating point number, and is {factor}",
            )
    y = outer(vec1, vec2)
    y = y.to(dtypes.promote_types(input.dtype, y.dtype))
    y = y if alpha == 1 else y * alpha
    return y if beta == 0 else y + (input if beta == 1 else input * beta)


@composite(where="mezzo Tensor", cast=Cast(cuda="promote"), samples=[S(T(5), T(5))])
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors (real).

    Shapes: (n,), (n,) -> ()
    Source: torch.vdot
    """
    return dot(input, other)


@composite(
    where="linalg",
    cast="low",
    samples=[S(T(3, 5), T(3, 5)), S(T(3, 5), T(5)), S(T(3, 5), T(3, 5), dim=0)],
)
def vecdot(x: Tensor, y: Tensor, *, dim=-1) -> Tensor:
    """Inner products of vectors along an axis.

    Shapes: broadcast (..., n, ...) -> (..., ...)
    Source: torch.linalg.vecdot
    """
    for x_or_y in (x, y):
        if not x_or_y.dtype.is_floating_point:
            raise Fact(
                DTypeError,
                f"expected a floating point tensor as input, got {x_or_y.dtype.name}",
                "Convert with x.float().",
            )
    return (x * y).sum(dim)


def _cross(input: Tensor, other: Tensor, dim: int) -> Tensor:
    rank = max(input.ndim, other.ndim)
    at = shapes.axis(dim, rank) - rank
    for name, x in (("input", input), ("other", other)):
        if x.shape[at] != 3:
            raise Fact(
                ShapeError, f"{name} must have length 3 in dimension {dim}, and has {x.shape[at]}"
            )
    turns = [tensor(order, device=input.device) for order in ([1, 2, 0], [2, 0, 1])]
    a = [index_select(input, at, turn) for turn in turns]
    b = [index_select(other, at, turn) for turn in turns]
    return a[0] * b[1] - a[1] * b[0]


@composite(where="mezzo Tensor", cast=PROMOTE, samples=[S(T(2, 3), T(2, 3)), S(T(3, 4), T(3, 4), 0), S(T(3, 2), T(3, 2))],
           errors=[(S(T(2, 4), T(2, 4)), RuntimeError, "length 3")])  # fmt: skip
def cross(input: Tensor, other: Tensor, dim=None) -> Tensor:
    """Cross products of vectors along an axis; without dim, along the first axis of length 3.

    Shapes: (..., 3, ...), (..., 3, ...) -> (..., 3, ...)
    Source: torch.cross
    """
    if dim is None:
        dim = next((i for i, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise Fact(
                ShapeError,
                f"no dimension of size 3 (length 3) in input of shape {list(input.shape)}",
            )
    return _cross(input, other, dim)


@composite(
    where="",
    aliases="linalg.cross",
    reference="torch.linalg.cross",
    samples=[S(T(2, 3), T(2, 3)), S(T(3, 4), T(3, 4), dim=0)],
)
def linalg_cross(input: Tensor, other: Tensor, *, dim=-1) -> Tensor:
    """Cross products of vectors along an axis.

    Shapes: (..., 3, ...), (..., 3, ...) -> (..., 3, ...)
    Source: torch.linalg.cross
    """
    return _cross(input, other, dim)


@composite(
    cast=PROMOTE,
    where="mezzo",
    samples=[
        S(T(2, 3, 4), T(3, 4, 5)),
        S(T(2, 3), T(4, 5), 0),
        S(T(2, 3, 4), T(4, 2, 5), dims=([0, 2], [1, 0])),
    ],
)
def tensordot(a: Tensor, b: Tensor, dims=2) -> Tensor:
    """Products summed over several axes: the last `dims` of a and the first of b, or two lists of axes.

    Source: torch.tensordot
    """
    if isinstance(dims, int):
        first, second = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    first, second = (
        shapes.axes(first, a.ndim) if first else (),
        shapes.axes(second, b.ndim) if second else (),
    )
    have, want = [a.shape[i] for i in first], [b.shape[i] for i in second]
    if have != want:
        raise Fact(
            ShapeError, f"contracted dimensions need to match, but a has {have} and b has {want}"
        )
    keep_a = [i for i in range(a.ndim) if i not in first]
    keep_b = [i for i in range(b.ndim) if i not in second]
    count = shapes.numel(have)
    rows, columns = [a.shape[i] for i in keep_a], [b.shape[i] for i in keep_b]
    left = reshape(permute(a, (*keep_a, *first)), (shapes.numel(rows), count))
    right = reshape(permute(b, (*second, *keep_b)), (count, shapes.numel(columns)))
    return reshape(matmul(left, right), (*rows, *columns))


@composite(where="mezzo Tensor", samples=[S(T(2, 3), T(4, 2)), S(T(3), T(2, 2))])
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: every element of input times all of other.

    Shapes: (m, n), (p, q) -> (m p, n q)
    Source: torch.kron
    """
    rank = max(input.ndim, other.ndim)
    a = (1,) * (rank - input.ndim) + tuple(input.shape)
    b = (1,) * (rank - other.ndim) + tuple(other.shape)
    left = reshape(input, [n for size in a for n in (size, 1)])
    right = reshape(other, [n for size in b for n in (1, size)])
    return reshape(left * right, [m * n for m, n in zip(a, b)])


@composite(
    where="linalg",
    cast=Cast(cuda="low"),
    samples=[S([T(3), T(3, 4), T(4, 2)]), S([T(2, 3), T(3, 4), T(4)])],
)
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of several matrices, in the order that multiplies least; the ends may be vectors.

    Shapes: (m, k), (k, l), ... -> (m, n)
    Source: torch.linalg.multi_dot
    """
    if len(tensors) < 2:
        raise Fact(ShapeError, f"expected at least 2 tensors but got {len(tensors)}")
    sizes = [1 if tensors[0].ndim == 1 else tensors[0].shape[0], *(t.shape[0] for t in tensors[1:])]
    sizes.append(1 if tensors[-1].ndim == 1 else tensors[-1].shape[1])

    @functools.cache
    def best(i: int, j: int) -> tuple[int, int]:
        """(multiplications, where to split) for the matrices i to j."""
        if i == j:
            return 0, i
        return min(
            (best(i, s)[0] + best(s + 1, j)[0] + sizes[i] * sizes[s + 1] * sizes[j + 1], s)
            for s in range(i, j)
        )

    def multiply(i: int, j: int) -> Tensor:
        split = best(i, j)[1]
        return tensors[i] if i == j else matmul(multiply(i, split), multiply(split + 1, j))

    return multiply(0, len(tensors) - 1)


@composite(where="mezzo Tensor linalg", samples=[S(T(2, 3, 3), 1), S(T(3, 3), 5)])
def matrix_power(input: Tensor, n) -> Tensor:
    """A square matrix times itself, n times; negative n: its inverse.

    Shapes: (..., m, m) -> (..., m, m)
    Source: torch.matrix_power
    """
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise Fact(
            ShapeError, f"input must be batches of square matrices, but it is {list(input.shape)}"
        )
    if n == 0:
        return (
            eye(input.shape[-1], dtype=input.dtype, device=input.device).expand(input.shape).clone()
        )
    if n < 0:
        input, n = input.inverse(), -n
    result = None
    while n:
        if n & 1:
            result = input if result is None else matmul(result, input)
        n >>= 1
        if n:
            input = matmul(input, input)
    return result
