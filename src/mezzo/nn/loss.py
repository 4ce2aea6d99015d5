"""Losses: modules around the functions of nn.functional."""

from __future__ import annotations

import warnings

from mezzo.nn.distance import PairwiseDistance
from mezzo.nn.layer import FunctionLayer


class _Loss(FunctionLayer):
    """A function of predictions and targets with a reduction: 'none', 'mean' or 'sum'."""

    hidden = ("size_average", "reduce")
    shown = ()

    def prepare(self, given):
        average, reduce = given.pop("size_average", None), given.pop("reduce", None)
        if average is not None or reduce is not None:
            given["reduction"] = _old_reduction(average, reduce)
        return given


def _old_reduction(average: bool | None, reduce: bool | None) -> str:
    """The reduction that the two arguments of old PyTorch meant."""
    average, reduce = average is not False, reduce is not False
    reduction = ("mean" if average else "sum") if reduce else "none"
    warnings.warn(
        "size_average and reduce args will be deprecated, please use "
        f"reduction='{reduction}' instead.",
        stacklevel=5,
    )
    return reduction


class MSELoss(_Loss, calls="mse_loss"):
    """(input - target)^2."""

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class L1Loss(_Loss, calls="l1_loss"):
    """|input - target|."""

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class SmoothL1Loss(_Loss, calls="smooth_l1_loss"):
    """Squared below beta, absolute above."""

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"
    beta: float = 1.0


class HuberLoss(_Loss, calls="huber_loss"):
    """Squared below delta, delta times absolute above."""

    reduction: str = "mean"
    delta: float = 1.0


class CrossEntropyLoss(_Loss, calls="cross_entropy"):
    """-log(softmax(input))[target], with class weights and label smoothing."""

    weight: Tensor | None = None  # noqa: F821  (names the kind: a buffer)
    size_average: bool | None = None
    ignore_index: int = -100
    reduce: bool | None = None
    reduction: str = "mean"
    label_smoothing: float = 0.0


class NLLLoss(_Loss, calls="nll_loss"):
    """-input[target] of log-probabilities."""

    weight: Tensor | None = None  # noqa: F821
    size_average: bool | None = None
    ignore_index: int = -100
    reduce: bool | None = None
    reduction: str = "mean"


class BCELoss(_Loss, calls="binary_cross_entropy"):
    """Cross entropy of probabilities and targets in [0, 1]."""

    weight: Tensor | None = None  # noqa: F821
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class BCEWithLogitsLoss(_Loss, calls="binary_cross_entropy_with_logits"):
    """BCELoss of sigmoid(input), computed stably."""

    weight: Tensor | None = None  # noqa: F821
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"
    pos_weight: Tensor | None = None  # noqa: F821


class KLDivLoss(_Loss, calls="kl_div"):
    """target (log(target) - input), input being log-probabilities."""

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"
    log_target: bool = False


class HingeEmbeddingLoss(_Loss, calls="hinge_embedding_loss"):
    """input where target is 1, max(0, margin - input) where it is -1."""

    margin: float = 1.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class CosineEmbeddingLoss(_Loss, calls="cosine_embedding_loss"):
    """1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1."""

    margin: float = 0.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class MarginRankingLoss(_Loss, calls="margin_ranking_loss"):
    """max(0, -target (input1 - input2) + margin)."""

    margin: float = 0.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class SoftMarginLoss(_Loss, calls="soft_margin_loss"):
    """log(1 + exp(-target input))."""

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class TripletMarginLoss(_Loss, calls="triplet_margin_loss"):
    """max(0, |anchor - positive| - |anchor - negative| + margin)."""

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class PoissonNLLLoss(_Loss, calls="poisson_nll_loss"):
    """exp(input) - target input, or input - target log(input + eps)."""

    log_input: bool = True
    full: bool = False
    size_average: bool | None = None
    eps: float = 1e-8
    reduce: bool | None = None
    reduction: str = "mean"


class GaussianNLLLoss(_Loss, calls="gaussian_nll_loss", keyword_only=True):
    """(log(var) + (input - target)^2 / var) / 2."""

    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"


class MultiLabelMarginLoss(_Loss, calls="multilabel_margin_loss"):
    """max(0, 1 - (input[target] - input[other])), summed; a row's targets end at the first -1."""

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class MultiLabelSoftMarginLoss(_Loss, calls="multilabel_soft_margin_loss"):
    """Binary cross entropy of every class, averaged over classes."""

    weight: Tensor | None = None  # noqa: F821
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class MultiMarginLoss(_Loss, calls="multi_margin_loss"):
    """max(0, margin - input[target] + input[other])^p, averaged over classes."""

    p: int = 1
    margin: float = 1.0
    weight: Tensor | None = None  # noqa: F821
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def prepare(self, given):
        if given["p"] not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if given["weight"] is not None and given["weight"].dim() != 1:
            raise ValueError(f"weight must be a vector, and has {given['weight'].dim()} dimensions")
        return super().prepare(given)


class TripletMarginWithDistanceLoss(
    _Loss, calls="triplet_margin_with_distance_loss", keyword_only=True
):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) for a distance of one's own."""

    distance_function: object = None
    margin: float = 1.0
    swap: bool = False
    reduction: str = "mean"

    def prepare(self, given):
        if given["margin"] <= 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {given['margin']} instead"
            )
        given["distance_function"] = given["distance_function"] or PairwiseDistance()
        return super().prepare(given)


class CTCLoss(_Loss, calls="ctc_loss"):
    """Minus the log-likelihood of label sequences that are not aligned with the time steps."""

    blank: int = 0
    reduction: str = "mean"
    zero_infinity: bool = False


class NLLLoss2d(NLLLoss, calls="nll_loss"):
    """NLLLoss, under its older name for images."""
