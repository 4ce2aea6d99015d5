"""Distances and similarities of vectors, and the losses made of them."""

from __future__ import annotations

from mezzo import dtypes
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError
from mezzo.ops.join import cat
from mezzo.ops.loss import FLOATS, FP32, reduced, reduction_of
from mezzo.rules.samples import S, T


def _floating(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in their common floating dtype."""
    to = tensors[0].dtype
    for x in tensors[1:]:
        to = dtypes.promote_types(to, x.dtype)
    if to.category < dtypes.FLOAT:
        raise Fact(
            DTypeError,
            f"expected common dtype to be floating point, yet common dtype is {to.name}",
            "Convert with x.float().",
        )
    return tuple(x.to(to) for x in tensors)


@composite(where="mezzo nn.functional", cast=Cast(cuda="fp32"), samples=[
    S(T(3, 5), T(3, 5)), S(T(2, 3, 4), T(2, 1, 4), -1), S(T(3), T(3), 0)])  # fmt: skip
def cosine_similarity(x1: Tensor, x2: Tensor, dim=1, eps=1e-8) -> Tensor:
    """The cosine of the angle between vectors along an axis.

    Math:   sum(x1 x2) / (max(|x1|, eps) max(|x2|, eps))
    Shapes: broadcast (..., n, ...) -> (..., ...)
    Source: torch.nn.functional.cosine_similarity
    """
    a, b = _floating(x1, x2)
    below = a.norm(2, dim, True).clamp(min=eps), b.norm(2, dim, True).clamp(min=eps)
    return ((a / below[0]) * (b / below[1])).sum(dim)


@composite(where="mezzo nn.functional", samples=[
    S(T(3, 5), T(3, 5)), S(T(3, 5), T(5), 1.0), S(T(3, 5), T(3, 5), 3.0, 1e-6, True)])  # fmt: skip
def pairwise_distance(x1: Tensor, x2: Tensor, p=2.0, eps=1e-6, keepdim=False) -> Tensor:
    """The p-norm of the differences of vectors along the last axis.

    Math:   |x1 - x2 + eps|_p
    Shapes: broadcast (..., n) -> (...), or (..., 1) with keepdim
    Source: torch.nn.functional.pairwise_distance
    """
    return (x1 - x2 + eps).norm(p, -1, keepdim)


@composite(
    where="nn.functional",
    samples=[S(T(3, 5)), S(T(2, 3, 4), 1.0, -1), S(T(3), 2.0, 0), S(T(3, 5), 3.0)],
)
def normalize(input: Tensor, p=2.0, dim=1, eps=1e-12) -> Tensor:
    """Vectors along an axis divided by their p-norm.

    Math:   x / max(|x|_p, eps)
    Shapes: input (...) -> (...)
    Source: torch.nn.functional.normalize
    """
    return input / input.norm(p, dim, True).clamp(min=eps)


@composite(
    where="nn.functional",
    samples=[
        S(T(2, 6, 5), 3, only=FLOATS),
        S(T(2, 6, 3, 4), 2, 0.1, 0.5, 2.0, only=FLOATS),
        S(T(1, 2, 3), 5, only=FLOATS),
    ],
)
def local_response_norm(input: Tensor, size, alpha=1e-4, beta=0.75, k=1.0) -> Tensor:
    """Each element divided by a power of the mean square of neighbouring channels.

    Math:   x / (k + alpha mean(x^2 of `size` channels around))^beta
    Shapes: input (N, C, ...) -> the same
    Source: torch.nn.functional.local_response_norm
    """
    _floating(input)
    if input.ndim < 3:
        raise Fact(
            ArgumentValueError,
            f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)",
        )
    square, channels = input * input, input.shape[1]
    total = square
    before = size // 2
    for shift in range(-before, size - before):
        if shift and abs(shift) < channels:
            total = total + _shifted(square, shift)
    return input / (k + (alpha / size) * total) ** beta


def _shifted(x: Tensor, by: int) -> Tensor:
    """x moved along axis 1: element c of the result is element c + by, or 0 beyond the end."""
    size = x.shape[1]
    zeros = x.narrow(1, 0, abs(by)) * 0
    kept = x.narrow(1, max(by, 0), size - abs(by))
    return cat((kept, zeros) if by > 0 else (zeros, kept), 1)


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(3, 5), T(3, 5), T(3), only=FLOATS), S(T(3, 5), T(3, 5), T(3), 0.1, reduction="none", only=FLOATS)])  # fmt: skip
def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin=0, size_average=None, reduce=None,
                          reduction="mean") -> Tensor:  # fmt: skip
    """1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1.

    Shapes: input1, input2 (N, D), target (N,); or (D,), (D,), () -> () or the shape of target
    Source: torch.nn.functional.cosine_embedding_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if target.ndim > 1 or input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise Fact(ShapeError, f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
                   f"{list(input1.shape)} and {list(input2.shape)}")  # fmt: skip
    a, b = _floating(input1, input2)
    product, near = (a * b).sum(-1), 1e-12
    cosine = product / (((a * a).sum(-1) + near) * ((b * b).sum(-1) + near)).sqrt()
    terms = (target == 1) * (1 - cosine) + (target == -1) * (cosine - margin).clamp(min=0)
    return reduced(terms, reduction)


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(3, 5), T(3, 5), T(3, 5)), S(T(3, 5), T(3, 5), T(3, 5), 2.0, 1.0, swap=True, reduction="none")])  # fmt: skip
def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin=1.0, p=2, eps=1e-6, swap=False,
                        size_average=None, reduce=None, reduction="mean") -> Tensor:  # fmt: skip
    """max(0, |anchor - positive| - |anchor - negative| + margin).

    Shapes: (N, D) each, or (D,) -> () or (N,)
    Source: torch.nn.functional.triplet_margin_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if margin <= 0:
        raise Fact(ArgumentValueError, f"margin must be greater than 0, got {margin}")
    near, far = (
        pairwise_distance(anchor, positive, p, eps),
        pairwise_distance(anchor, negative, p, eps),
    )
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return reduced((near - far + margin).clamp(min=0), reduction)
