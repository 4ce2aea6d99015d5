"""Losses that compare element by element, with a reduction: "none", "mean" or "sum"."""

from __future__ import annotations

import math
import warnings
from numbers import Number

from mezzo import dtypes
from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.masked import holds
from mezzo.core.families.reductions import reduction as reductions
from mezzo.core.record import Cast, composite, none
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError
from mezzo.kernels import ir as k
from mezzo.kernels.cpu import capture
from mezzo.kernels.cpu.reduce import Fold
from mezzo.rules import dtypes as rules
from mezzo.rules.samples import S, T

FP32 = Cast("fp32", "fp32")
FLOATS = (dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.float16)
_PAIRS = [S(T(3, 5), T(3, 5)), S(T(3, 5), T(3, 5), reduction="sum"), S(T(2, 3, 4), T(2, 3, 4), reduction="none"),
          S(T(0, 3), T(0, 3), reduction="sum"), S(T(), T())]  # fmt: skip


def _floating(operands):
    """Floating results only; integer operands beside floating ones are converted."""
    return rules.float_only(operands)


def reduction_of(size_average, reduce, reduction: str) -> str:
    """The reduction, checked; PyTorch's old arguments are heard with its warning."""
    if size_average is not None or reduce is not None:
        average, reduce = size_average is not False, reduce is not False
        reduction = ("mean" if average else "sum") if reduce else "none"
        capture.refuse()
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=6,
        )
    if reduction not in ("none", "mean", "sum"):
        raise Fact(
            ArgumentValueError,
            f"{reduction} is not a valid value for reduction",
            "Use 'none', 'mean' or 'sum'.",
        )
    return reduction


def reduced(terms: Tensor, reduction: str) -> Tensor:
    """The terms, their mean or their sum."""
    return terms.mean() if reduction == "mean" else terms.sum() if reduction == "sum" else terms


def _warn_sizes(input: Tensor, target: Tensor) -> None:
    if tuple(input.shape) != tuple(target.shape):
        capture.refuse()
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will likely "
            "lead to incorrect results due to broadcasting. Please ensure they have the same size.", stacklevel=5,
        )  # fmt: skip


def _weighted(terms: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """Weighted terms reduced; a weighted mean divides by the weights, as PyTorch has it."""
    if weight is None:
        return reduced(terms, reduction)
    if tuple(weight.shape) != tuple(terms.shape):
        raise Fact(ArgumentValueError, "Inputs and weights must have the same size")
    terms = terms * weight
    return terms.sum() / weight.sum() if reduction == "mean" else reduced(terms, reduction)


# ---- squared, absolute, Huber: terms and their slopes


@elementwise(grad_name="MseLossBackward0", dtype=_floating, kernel=lambda x, t: (x - t) * (x - t), where="", samples=[S(T(2, 3), T(3), only=FLOATS)], reference=lambda x, t: (x - t) ** 2,
             vjp={"input": lambda g, _y, input, target: squared_slope(g, input, target),
                  "target": lambda g, _y, input, target: squared_slope(g, target, input)})  # fmt: skip
def squared(input: Tensor, target: Tensor) -> Tensor:
    """(input - target)^2."""


@elementwise(dtype=_floating, kernel=lambda g, x, t: g * ((x - t) * 2), where="", samples=[S(T(2, 3), T(2, 3), T(3), only=FLOATS)],
             reference=lambda g, x, t: 2 * g * (x - t),
             vjp={"g": lambda u, _y, _g, input, target: squared_slope(u, input, target),
                  "input": lambda u, _y, g, _x, _t: u * g * 2, "target": lambda u, _y, g, _x, _t: u * g * -2})  # fmt: skip
def squared_slope(g: Tensor, input: Tensor, target: Tensor) -> Tensor:
    """2 g (input - target)."""


def _sign(x: k.Expr) -> k.Expr:
    zero, one = k.const(0.0, x.type), k.const(1.0, x.type)
    return k.where(x > 0.0, one, k.where(x < 0.0, -one, zero))


@elementwise(dtype=rules.no_bool, kernel=lambda x, t: k.abs(x - t), where="", samples=[S(T(2, 3), T(3))], reference=lambda x, t: (x - t).abs(),
             vjp={"input": lambda g, _y, input, target: absolute_slope(g, input, target),
                  "target": lambda g, _y, input, target: absolute_slope(g, target, input)})  # fmt: skip
def absolute(input: Tensor, target: Tensor) -> Tensor:
    """|input - target|."""


@elementwise(dtype=rules.no_bool, kernel=lambda g, x, t: g * _sign(x - t), where="", samples=[S(T(2, 3), T(2, 3), T(3), only=FLOATS)],
             reference=lambda g, x, t: g * (x - t).sign(),
             vjp={"g": lambda u, _y, _g, input, target: absolute_slope(u, input, target),
                  "input": lambda u, _y, _g, _x, _t: u * 0, "target": lambda u, _y, _g, _x, _t: u * 0})  # fmt: skip
def absolute_slope(g: Tensor, input: Tensor, target: Tensor) -> Tensor:
    """g times the sign of input - target."""


def _huber(x, t, delta):
    d = k.abs(x - t)
    return k.where(d < delta, d * d * 0.5, (d - delta * 0.5) * delta)


def _clamped(x, low, high):
    return k.where(x < low, low, k.where(x > high, high, x))


@elementwise(grad_name="HuberLossBackward0", dtype=_floating, kernel=_huber, where="", samples=[S(T(2, 3), T(2, 3), 0.7, only=FLOATS)],
             reference=lambda x, t, d: __import__("torch").nn.functional.huber_loss(x, t, reduction="none", delta=d),
             vjp={"input": lambda g, _y, input, target, delta: huber_slope(g, input, target, delta),
                  "target": lambda g, _y, input, target, delta: huber_slope(g, target, input, delta)})  # fmt: skip
def huber(input: Tensor, target: Tensor, delta: Number) -> Tensor:
    """Half the square below delta, delta (|input - target| - delta / 2) above."""


@elementwise(dtype=_floating, kernel=lambda g, x, t, delta: g * _clamped(x - t, -delta, delta), where="",
             samples=[S(T(2, 3), T(2, 3), T(2, 3), 0.7, only=FLOATS)], reference=lambda g, x, t, d: g * (x - t).clamp(-d, d),
             vjp={"g": lambda u, _y, _g, input, target, delta: huber_slope(u, input, target, delta),
                  "input": lambda u, _y, g, input, target, delta: huber_bend(u, g, input, target, delta),
                  "target": lambda u, _y, g, input, target, delta: -huber_bend(u, g, input, target, delta)})  # fmt: skip
def huber_slope(g: Tensor, input: Tensor, target: Tensor, delta: Number) -> Tensor:
    """g times input - target, clamped to [-delta, delta]."""


def huber_bend(u, g, input, target, delta):
    """The derivative of huber_slope by input, times u."""
    return u * g * ((input - target).abs() <= delta)


@composite(
    where="nn.functional",
    cast=FP32,
    samples=[*_PAIRS, S(T(3, 5), T(3, 5), weight=T(3, 5, low=0.5), only=FLOATS)],
    errors=[
        (S(T(2), T(2), reduction="all"), ArgumentValueError, "not a valid value for reduction")
    ],
)
def mse_loss(input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean",
             weight: Tensor | None = None) -> Tensor:  # fmt: skip
    """The squared difference.

    Math:   (input - target)^2
    Shapes: broadcast -> () or, with reduction 'none', the broadcast shape
    Source: torch.nn.functional.mse_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    _warn_sizes(input, target)
    return _weighted(squared(input, target), weight, reduction)


@composite(
    where="nn.functional",
    cast=FP32,
    samples=[*_PAIRS, S(T(3, 5), T(3, 5), weight=T(3, 5, low=0.5), only=FLOATS)],
)
def l1_loss(input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean",
            weight: Tensor | None = None) -> Tensor:  # fmt: skip
    """The absolute difference.

    Math:   |input - target|
    Shapes: broadcast -> () or, with reduction 'none', the broadcast shape
    Source: torch.nn.functional.l1_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    _warn_sizes(input, target)
    return _weighted(absolute(input, target), weight, reduction)


@composite(
    where="nn.functional",
    cast=FP32,
    samples=[*_PAIRS, S(T(3, 5), T(3, 5), beta=0.5), S(T(3, 5), T(3, 5), beta=0.0)],
)
def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean", beta=1.0
) -> Tensor:
    """Squared below beta, absolute above.

    Math:   d^2 / (2 beta) where d < beta, else d - beta / 2; d = |input - target|
    Shapes: broadcast -> () or, with reduction 'none', the broadcast shape
    Source: torch.nn.functional.smooth_l1_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if beta < 0:
        raise Fact(ShapeError, "smooth_l1_loss does not support negative values for beta")
    _warn_sizes(input, target)
    terms = (
        absolute(input, target) if beta == 0 else huber(input, target, float(beta)) * (1.0 / beta)
    )
    return reduced(terms, reduction)


@composite(
    where="nn.functional",
    cast=FP32,
    samples=[*_PAIRS, S(T(3, 5), T(3, 5), delta=0.5)],
    errors=[(S(T(2), T(2), delta=0.0), ShapeError, "non-positive values for delta")],
)
def huber_loss(
    input: Tensor, target: Tensor, reduction="mean", delta=1.0, weight: Tensor | None = None
) -> Tensor:
    """Squared below delta, delta times the absolute above.

    Math:   d^2 / 2 where d < delta, else delta (d - delta / 2); d = |input - target|
    Shapes: broadcast -> () or, with reduction 'none', the broadcast shape
    Source: torch.nn.functional.huber_loss
    """
    reduction = reduction_of(None, None, reduction)
    if delta <= 0:
        raise Fact(ShapeError, "huber_loss does not support non-positive values for delta")
    _warn_sizes(input, target)
    return _weighted(huber(input, target, float(delta)), weight, reduction)


# ---- binary cross entropy


def _log_at_least(x: k.Expr) -> k.Expr:
    """log(x), but not below -100."""
    low = k.log(x)
    return k.where(low < -100.0, -100.0, low)


def _log_rest_at_least(x: k.Expr) -> k.Expr:
    low = k.log1p(-x)
    return k.where(low < -100.0, -100.0, low)


def _bce_slope(g, x, t):
    room = (1.0 - x) * x
    return g * (x - t) / k.where(room < 1e-12, 1e-12, room)


@elementwise(dtype=_floating, kernel=lambda x, t: (t - 1.0) * _log_rest_at_least(x) - t * _log_at_least(x), where="",
             samples=[S(T(3, 4, low=0.1, high=0.9), T(3, 4, low=0.0, high=1.0), only=FLOATS)],
             reference=lambda x, t: -(t * x.log() + (1 - t) * (-x).log1p()),
             vjp={"input": lambda g, _y, input, target: bce_slope(g, input, target),
                  "target": lambda g, _y, input, _t: g * ((-input).log1p().clamp(min=-100) - input.log().clamp(min=-100))})  # fmt: skip
def bce_terms(input: Tensor, target: Tensor) -> Tensor:
    """-(target log(input) + (1 - target) log(1 - input)), the logarithms not below -100."""


def _bce_bend(u, g, x, t):
    """The derivative of bce_slope by x, times u."""
    room = ((1 - x) * x).clamp(min=1e-12)
    return u * g * (room - (x - t) * (1 - 2 * x)) / (room * room)


@elementwise(dtype=_floating, kernel=_bce_slope, where="",
             samples=[S(T(3, 4), T(3, 4, low=0.1, high=0.9), T(3, 4, low=0.0, high=1.0), only=FLOATS)],
             reference=lambda g, x, t: g * (x - t) / (x * (1 - x)),
             vjp={"g": lambda u, _y, _g, input, target: bce_slope(u, input, target),
                  "input": lambda u, _y, g, input, target: _bce_bend(u, g, input, target),
                  "target": lambda u, _y, g, input, _t: -(u * g) / ((1 - input) * input).clamp(min=1e-12)})  # fmt: skip
def bce_slope(g: Tensor, input: Tensor, target: Tensor) -> Tensor:
    """g (input - target) / (input (1 - input))."""


def _outside(type: str) -> Fold:
    return Fold(((0, "b1"),), lambda a, x, i: [a[0] | ~((x[0] >= 0.0) & (x[0] <= 1.0))], lambda a, b: [a[0] | b[0]],
                lambda accs, count: accs)  # fmt: skip


@reductions(fold=_outside, dtype=lambda have, wanted: (have, (dtypes.bool_,)), where="",
            samples=[S(T(3, 4)), S(T(2, 3, low=0.0, high=1.0), 1)], vjp=none("a truth value"),
            reference=lambda x, dim=None: ((x < 0) | (x > 1)).any() if dim is None else ((x < 0) | (x > 1)).any(dim))  # fmt: skip
def any_outside_unit(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """True if an element is not in [0, 1]."""


@composite(where="nn.functional", cast=Cast(cpu="fp32", cuda="banned"), samples=[
    S(T(3, 5, low=0.1, high=0.9), T(3, 5, low=0.0, high=1.0)),
    S(T(3, 5, low=0.1, high=0.9), T(3, 5, low=0.0, high=1.0), T(5, constant=True), reduction="sum")],
    errors=[(S(T(2, 3, low=2.0, high=3.0), T(2, 3)), DTypeError, "should be between 0 and 1"), (S(T(2), T(3)), ArgumentValueError, "different to the input size")],
)  # fmt: skip
def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average=None, reduce=None,
                         reduction="mean") -> Tensor:  # fmt: skip
    """Cross entropy of probabilities and targets in [0, 1].

    Math:   -weight (target log(input) + (1 - target) log(1 - input)), logarithms at least -100
    Shapes: input (...), target (...) -> () or (...)
    Source: torch.nn.functional.binary_cross_entropy
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if tuple(input.shape) != tuple(target.shape):
        raise Fact(ArgumentValueError, f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) "
                   "is deprecated. Please ensure they have the same size")  # fmt: skip
    if target.dtype is not input.dtype:
        raise Fact(
            DTypeError,
            f"Found dtype {target.dtype.name} of target but expected {input.dtype.name}, which input has",
            f"Use target.to(mezzo.{input.dtype.name}).",
        )
    if not STATE.stack and input.is_cpu and not holds(any_outside_unit(input.detach()), False):
        raise Fact(
            DTypeError,
            "all elements of input should be between 0 and 1",
            "Apply sigmoid, or use the form with logits.",
        )
    terms = bce_terms(input, target)
    return reduced(terms if weight is None else terms * weight, reduction)


def _logit_terms(x, t, p):
    low = k.softplus(-x)
    return x * (1.0 - t) + (low if p is None else low * (1.0 + (p - 1.0) * t))


def _logit_slope(g, x, t, p):
    falls = k.sigmoid(-x)
    return g * ((1.0 - t) - (falls if p is None else falls * (1.0 + (p - 1.0) * t)))


def _logit_bend(u, g, x, t, p):
    s = x.sigmoid()
    curve = u * g * s * (1 - s)
    return curve if p is None else curve * (1 + (p - 1) * t)


@elementwise(dtype=_floating, kernel=_logit_terms, where="", samples=[S(T(3, 4), T(3, 4, low=0.0, high=1.0), None, only=FLOATS)],
             reference=lambda x, t, p: x * (1 - t) + (-x).exp().log1p(),
             vjp={"input": lambda g, _y, input, target, pos_weight: logit_slope(g, input, target, pos_weight),
                  "target": lambda g, _y, input, _t, pos_weight: logit_target_slope(g, input, pos_weight),
                  "pos_weight": lambda g, _y, input, target, _p: g * target * logit_softplus(input)})  # fmt: skip
def logit_terms(input: Tensor, target: Tensor, pos_weight: Tensor | None) -> Tensor:
    """Binary cross entropy of sigmoid(input), positive targets weighted."""


@elementwise(dtype=_floating, kernel=_logit_slope, where="", samples=[S(T(3, 4), T(3, 4), T(3, 4, low=0.0, high=1.0), None, only=FLOATS)],
             reference=lambda g, x, t, p: g * (x.sigmoid() - t),
             vjp={"g": lambda u, _y, _g, input, target, pos_weight: logit_slope(u, input, target, pos_weight),
                  "input": lambda u, _y, g, input, target, pos_weight: _logit_bend(u, g, input, target, pos_weight),
                  "target": lambda u, _y, g, input, _t, pos_weight: logit_slope_target(u, g, input, pos_weight),
                  "pos_weight": lambda u, _y, g, input, target, _p: -(u * g * target * (-input).sigmoid())})  # fmt: skip
def logit_slope(g: Tensor, input: Tensor, target: Tensor, pos_weight: Tensor | None) -> Tensor:
    """The derivative of logit_terms by input, times g."""


def logit_softplus(x):
    """log(1 + exp(-x))."""
    return (-x).clamp(min=0) + (-x.abs()).exp().log1p()


def logit_target_slope(g, x, p):
    """The derivative of logit_terms by target, times g."""
    return -(g * x) if p is None else g * ((p - 1) * logit_softplus(x) - x)


def logit_slope_target(u, g, x, p):
    """The derivative of logit_slope by target, times u."""
    return -(u * g) if p is None else -(u * g * ((p - 1) * (-x).sigmoid() + 1))


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(3, 5), T(3, 5, low=0.0, high=1.0)), S(T(3, 5), T(3, 5, low=0.0, high=1.0), T(5, constant=True), reduction="sum"),
    S(T(3, 5), T(3, 5, low=0.0, high=1.0), None, reduction="none", pos_weight=T(5, low=0.5, constant=True))],
    errors=[(S(T(2), T(3)), ArgumentValueError, "must be the same as input size")],
)  # fmt: skip
def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average=None,
                                     reduce=None, reduction="mean", pos_weight: Tensor | None = None) -> Tensor:  # fmt: skip
    """binary_cross_entropy of sigmoid(input), without overflow.

    Math:   weight ((1 - target) input + (1 + (pos_weight - 1) target) log(1 + exp(-input)))
    Shapes: input (...), target (...) -> () or (...)
    Source: torch.nn.functional.binary_cross_entropy_with_logits
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if tuple(input.shape) != tuple(target.shape):
        raise Fact(
            ArgumentValueError,
            f"Target size ({target.shape}) must be the same as input size ({input.shape})",
            "Use input.squeeze(1), target.unsqueeze(1) or target.view_as(input) where they hold the same values.",
        )
    if target.dtype.category < dtypes.FLOAT:
        raise Fact(
            DTypeError,
            f"result type {input.dtype.name} can't be cast to {target.dtype.name}, the dtype of target",
            "Targets are probabilities: use target.float().",
        )
    terms = logit_terms(input, target, pos_weight)
    return reduced(terms if weight is None else terms * weight, reduction)


# ---- Kullback-Leibler divergence


def _kl(x, t):
    return k.where(t.eq(0.0), 0.0, t * (k.log(t) - x))


@elementwise(dtype=_floating, kernel=_kl, where="", samples=[S(T(3, 4), T(3, 4, low=0.1), only=FLOATS)],
             reference=lambda x, t: t.xlogy(t) - t * x,
             vjp={"input": lambda g, _y, _x, target: -(g * target),
                  "target": lambda g, _y, input, target: g * (target.log() + 1 - input).masked_fill(target == 0, 0)})  # fmt: skip
def kl_terms(input: Tensor, target: Tensor) -> Tensor:
    """target (log(target) - input); 0 where target is 0."""


@elementwise(dtype=_floating, kernel=lambda x, t: k.exp(t) * (t - x), where="", samples=[S(T(3, 4), T(3, 4), only=FLOATS)],
             reference=lambda x, t: t.exp() * (t - x),
             vjp={"input": lambda g, _y, _x, target: -(g * target.exp()),
                  "target": lambda g, _y, input, target: g * target.exp() * (target - input + 1)})  # fmt: skip
def kl_log_terms(input: Tensor, target: Tensor) -> Tensor:
    """exp(target) (target - input)."""


# ---- the rest, in plain operations


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(3, 5), T(3, 5, low=0.1)), S(T(3, 5), T(3, 5), reduction="sum", log_target=True), S(T(3, 5), T(3, 5, low=0.1), reduction="batchmean")])  # fmt: skip
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average=None,
    reduce=None,
    reduction="mean",
    log_target=False,
) -> Tensor:
    """The Kullback-Leibler divergence of log-probabilities from target probabilities.

    Math:   target (log(target) - input), or exp(target) (target - input) with log_target
    Shapes: broadcast -> () or, with reduction 'none', the broadcast shape
    Source: torch.nn.functional.kl_div
    """
    per_batch = reduction == "batchmean" and size_average is None and reduce is None
    reduction = "sum" if per_batch else reduction_of(size_average, reduce, reduction)
    terms = kl_log_terms(input, target) if log_target else kl_terms(input, target)
    found = reduced(terms, reduction)
    return found / input.shape[0] if per_batch and input.ndim else found


@composite(
    where="nn.functional",
    cast=FP32,
    samples=[
        S(T(3, 5), T(3, 5)),
        S(T(3, 5), T(3, 5), 0.5, reduction="none", only=FLOATS),
    ],
)
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin=1.0, size_average=None, reduce=None, reduction="mean"
) -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1.

    Shapes: broadcast -> () or, with reduction 'none', the broadcast shape
    Source: torch.nn.functional.hinge_embedding_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    zero = input * 0
    terms = (target != 1) * (margin - input).clamp(min=0) + (target != -1) * input + zero
    return reduced(terms.to(input.dtype), reduction)


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(5), T(5), T(5)), S(T(5), T(5), T(5), 0.5, reduction="sum")])  # fmt: skip
def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin=0, size_average=None, reduce=None,
                        reduction="mean") -> Tensor:  # fmt: skip
    """max(0, -target (input1 - input2) + margin).

    Shapes: broadcast -> () or, with reduction 'none', the broadcast shape
    Source: torch.nn.functional.margin_ranking_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise Fact(ShapeError, f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
                   f"{list(input1.shape)}, input2: {list(input2.shape)}, target: {list(target.shape)}")  # fmt: skip
    return reduced((-target * (input1 - input2) + float(margin)).clamp(min=0), reduction)


@composite(
    where="nn.functional",
    cast=FP32,
    samples=[
        S(T(3, 5), T(3, 5, constant=True)),
        S(T(3, 5), T(3, 5, constant=True), reduction="none"),
    ],
)
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean"
) -> Tensor:
    """log(1 + exp(-target input)).

    Shapes: broadcast -> () or, with reduction 'none', the broadcast shape
    Source: torch.nn.functional.soft_margin_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    return reduced(logit_terms(target * input, (target * input).detach() * 0 + 1, None), reduction)


@composite(
    where="nn.functional",
    samples=[S(T(3, 5), T(3, 5, low=0.0, high=1.0)), S(T(3, 5), T(3, 5), T(5), reduction="none")],
)
def multilabel_soft_margin_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average=None, reduce=None,
                                reduction="mean") -> Tensor:  # fmt: skip
    """binary_cross_entropy_with_logits averaged over the classes, the last axis.

    Shapes: input (..., C), target (..., C) -> () or (...)
    Source: torch.nn.functional.multilabel_soft_margin_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    terms = logit_terms(input, target, None)
    terms = terms if weight is None else terms * weight
    return reduced(terms.sum(-1) / input.shape[-1], reduction)


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(3, 5), T(3, 5, low=0.0, high=4.0)), S(T(3, 5, low=0.1), T(3, 5, low=0.0, high=4.0), False, True, reduction="sum")])  # fmt: skip
def poisson_nll_loss(input: Tensor, target: Tensor, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None,
                     reduction="mean") -> Tensor:  # fmt: skip
    """exp(input) - target input, or input - target log(input + eps); full adds Stirling's approximation.

    Shapes: broadcast -> () or, with reduction 'none', the broadcast shape
    Source: torch.nn.functional.poisson_nll_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    terms = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        terms = terms + stirling.masked_fill(target <= 1, 0)
    return reduced(terms, reduction)


@composite(where="nn.functional", samples=[
    S(T(3, 5), T(3, 5), T(3, 5, low=0.5)), S(T(3, 5), T(3, 5), T(3, 1, low=0.5), True, reduction="none")])  # fmt: skip
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | Number, full=False, eps=1e-6, reduction="mean"
) -> Tensor:
    """(log(var) + (input - target)^2 / var) / 2, with var at least eps.

    Shapes: input (...), target (...), var (...), (..., 1) or a number -> () or (...)
    Source: torch.nn.functional.gaussian_nll_loss
    """
    reduction = reduction_of(None, None, reduction)
    if not isinstance(var, Tensor):
        var = input.detach() * 0 + var
    if tuple(var.shape) != tuple(input.shape):
        if tuple(input.shape[:-1]) == tuple(var.shape):
            var = var.unsqueeze(-1)
        elif tuple(input.shape[:-1]) != tuple(var.shape[:-1]) or var.shape[-1] != 1:
            raise Fact(ArgumentValueError, "var is of incorrect size")
    if not STATE.stack and var.is_cpu and not holds((var.detach() < 0).any(), False):
        raise Fact(ArgumentValueError, "var has negative entry/entries")
    clamped = var + (var.detach().clamp(min=eps) - var.detach())
    terms = 0.5 * (clamped.log() + squared(input, target) / clamped)
    return reduced(terms + 0.5 * math.log(2 * math.pi) if full else terms, reduction)
