"""Losses over sets of classes and over sequences: multilabel margin, triplets with a distance, CTC."""

from __future__ import annotations

import math

from mezzo import dtypes
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError
from mezzo.ops.create import arange
from mezzo.ops.data import tensor
from mezzo.ops.distance import pairwise_distance
from mezzo.ops.exponential import logaddexp
from mezzo.ops.indirect import gather, scatter_add
from mezzo.ops.join import cat, stack
from mezzo.ops.loss import FLOATS, FP32, reduced, reduction_of
from mezzo.ops.select import where
from mezzo.rules.samples import S, T, index


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(3, 4), T(3, 4, low=-1, high=4, kind="index"), only=FLOATS), S(T(4), T(4, low=-1, high=4, kind="index"), reduction="sum", only=FLOATS),
    S(T(3, 4), index(3, 4, below=4), reduction="none", only=FLOATS)],
    errors=[(S(T(3, 4), index(3, 5, below=4)), RuntimeError, "target")])  # fmt: skip
def multilabel_margin_loss(input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean") -> Tensor:  # fmt: skip
    """How far classes that are not targets come within 1 of those that are; the targets of a row end at the first -1.

    Math:   sum over targets j and others i of max(0, 1 - (x[j] - x[i])) / C
    Shapes: (N, C), target (N, C) int64; or (C,), (C,) -> () or (N,)
    Source: torch.nn.functional.multilabel_margin_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if tuple(target.shape) != tuple(input.shape) or input.ndim not in (1, 2):
        raise Fact(ShapeError, f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")  # fmt: skip
    if target.dtype is not dtypes.int64:
        raise Fact(DTypeError, f"expected target to be int64, and it is {target.dtype.name}")
    valid = (target >= 0).to(dtypes.int64).cumprod(-1)
    chosen = target.clamp(min=0)
    is_target = scatter_add(target * 0, -1, chosen, valid) > 0
    gaps = 1 - gather(input, -1, chosen).unsqueeze(-1) + input.unsqueeze(-2)
    weights = (valid.unsqueeze(-1) * (is_target.logical_not()).unsqueeze(-2)).to(input.dtype)
    return reduced((gaps.clamp(min=0) * weights).sum((-2, -1)) / input.shape[-1], reduction)


@composite(where="nn.functional", samples=[
    S(T(3, 5), T(3, 5), T(3, 5)), S(T(3, 5), T(3, 5), T(3, 5), margin=2.0, swap=True, reduction="none", only=FLOATS)])  # fmt: skip
def triplet_margin_with_distance_loss(anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function=None, margin=1.0,
                                      swap=False, reduction="mean") -> Tensor:  # fmt: skip
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) for a distance of one's own.

    Shapes: (N, ...) each -> () or what the distance returns
    Source: torch.nn.functional.triplet_margin_with_distance_loss
    """
    reduction = reduction_of(None, None, reduction)
    if margin <= 0:
        raise Fact(ArgumentValueError, f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise Fact(ShapeError, f"the anchor, positive, and negative tensors are expected to have the same number of dimensions, "
                               f"but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs")  # fmt: skip
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((near - far + margin).clamp(min=0), reduction)


# ---- connectionist temporal classification (Graves et al. 2006)

_NEVER = (
    -1e30
)  # the logarithm of an impossible event: finite, so that gradients through it are zero and not NaN


def _lengths(given, count: int, name: str, device) -> Tensor:
    made = given if isinstance(given, Tensor) else tensor(list(given), dtype=dtypes.int64)
    made = made.to(device=device, dtype=dtypes.int64).reshape(-1)
    if made.shape[0] != count:
        raise Fact(ShapeError, f"{name} must be of size batch_size ({count}), and has {made.shape[0]}")  # fmt: skip
    return made


def _padded_targets(targets: Tensor, lengths: Tensor, blank: int) -> Tensor:
    """Targets as (N, S); those given as one long vector are cut up."""
    if targets.ndim == 2:
        return targets
    counts = lengths.tolist()
    if sum(counts) != targets.shape[0]:
        raise Fact(ShapeError, f"Expected tensor to have size {sum(counts)} at dimension 0, but got size {targets.shape[0]}")  # fmt: skip
    width, rows, at = max([*counts, 0]), [], 0
    for n in counts:
        fill = targets.new_full((width - n,), blank)
        rows.append(cat((targets.narrow(0, at, n), fill)))
        at += n
    return stack(tuple(rows))


def _paths(log_probs: Tensor, labels: Tensor, input_lengths: Tensor, target_lengths: Tensor, blank: int) -> Tensor:  # fmt: skip
    """Minus the log-likelihood (N,) of each target: a path may stay, go on, or skip a blank between unequal labels."""
    steps, batch, _ = log_probs.shape
    width = labels.shape[1]
    spaced = stack((labels * 0 + blank, labels), -1).reshape((batch, 2 * width))
    spaced = cat((spaced, labels.new_full((batch, 1), blank)), 1)  # _ a _ b _
    emitted = gather(log_probs, 2, spaced.unsqueeze(0).expand((steps, *spaced.shape)))
    never = emitted.new_full((batch, 2), _NEVER)
    size = 2 * width + 1
    before = cat((labels.new_full((batch, 2), blank), spaced), 1).narrow(1, 0, size)
    closed = where((spaced != blank) & (spaced != before), 0.0, _NEVER).to(emitted.dtype)
    first = arange(size, device=labels.device) < 2
    alpha = where(first, emitted.select(0, 0), _NEVER)
    history = [alpha]
    for t in range(1, steps):
        shifted = cat((never, alpha), 1)
        one, two = shifted.narrow(1, 1, size), shifted.narrow(1, 0, size) + closed
        alpha = logaddexp(logaddexp(alpha, one), two) + emitted.select(0, t)
        history.append(alpha)
    last = (input_lengths - 1).clamp(min=0).reshape((1, batch, 1)).expand((1, batch, size))
    final = gather(stack(tuple(history)), 0, last).squeeze(0)
    end = (2 * target_lengths).unsqueeze(1)
    blank_end = gather(final, 1, end)
    label_end = where(end > 0, gather(final, 1, (end - 1).clamp(min=0)), _NEVER)
    return -logaddexp(blank_end, label_end).squeeze(1)


_CTC_LENGTHS = (T(2, low=6, high=7, kind="index"), T(2, low=1, high=4, kind="index"))


@composite(where="mezzo nn.functional", cast=Cast(cpu="fp32"), reference="nn.functional.ctc_loss", samples=[
    S(T(6, 2, 4, low=-3, high=-0.2), T(2, 3, low=1, high=4, kind="index"), *_CTC_LENGTHS, grad=False, only=("float32", "float64")),
    S(T(6, 2, 4, low=-3, high=-0.2), T(2, 3, low=1, high=4, kind="index"), *_CTC_LENGTHS, reduction="none", grad=False, only=("float32", "float64")),
    S(T(6, 2, 4, low=-3, high=-0.2), T(2, 3, low=0, high=3, kind="index"), *_CTC_LENGTHS, 3, "sum", True, grad=False, only=("float32", "float64"))],
    errors=[(S(T(6, 2, 4), T(2, 3, low=1, high=4, kind="index"), (6, 6, 6), (1, 2)), RuntimeError, "input_lengths")])  # fmt: skip
def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False) -> Tensor:  # fmt: skip
    """Minus the log-likelihood of label sequences, summed over all ways to spread them over the time steps.

    zero_infinity: targets that do not fit count as zero. "mean" divides each loss by its target's length first.
    Shapes: log_probs (T, N, C) log-probabilities, targets (N, S) or (sum of lengths,), lengths (N,) -> () or (N,);
            log_probs (T, C), targets (S,), lengths () -> ()
    Source: torch.nn.functional.ctc_loss
    """
    if log_probs.dtype.name not in ("float32", "float64"):
        raise Fact(DTypeError, f"log_probs is {log_probs.dtype.name}; it must be float32 or float64", "Convert with x.float().")  # fmt: skip
    reduction = {0: "none", 1: "mean", 2: "sum"}.get(reduction, reduction)
    reduction_of(None, None, reduction)
    single = log_probs.ndim == 2
    if single:
        log_probs, targets = log_probs.unsqueeze(1), targets.reshape((1, -1))
        input_lengths, target_lengths = (
            n if isinstance(n, (Tensor, tuple, list)) else (n,) for n in (input_lengths, target_lengths)
        )  # fmt: skip
    if log_probs.ndim != 3:
        raise Fact(ShapeError, f"log_probs must have 2 or 3 axes, and has {log_probs.ndim}")
    if not 0 <= blank < log_probs.shape[2]:
        raise Fact(ShapeError, f"blank must be in label range, and is {blank} of {log_probs.shape[2]} classes")  # fmt: skip
    batch, device = log_probs.shape[1], log_probs.device
    inputs = _lengths(input_lengths, batch, "input_lengths", device)
    lengths = _lengths(target_lengths, batch, "target_lengths", device)
    labels = _padded_targets(targets.to(dtypes.int64), lengths, blank)
    terms = _paths(log_probs, labels, inputs, lengths, blank)
    impossible = terms > -_NEVER / 2
    terms = where(impossible, 0.0 if zero_infinity else math.inf, terms)
    if reduction == "mean":
        return (terms / lengths.clamp(min=1)).mean()
    return (terms.squeeze(0) if single else terms) if reduction == "none" else terms.sum()
