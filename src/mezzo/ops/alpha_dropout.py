"""Dropout that keeps mean and variance under SELU, and other random layers."""

from __future__ import annotations

from mezzo.core.record import composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, Fact
from mezzo.ops.random import draw_mask, draw_uniform, dropout2d
from mezzo.ops.softmax import softmax
from mezzo.rules.samples import S, T

_SATURATED = 1.7580993408473766  # what SELU tends to on the negative side


def _alpha_dropout(input: Tensor, p: float, training: bool, inplace: bool, shape) -> Tensor:
    if not 0 <= p <= 1:
        raise Fact(
            ArgumentValueError, f"dropout probability has to be between 0 and 1, but got {p}"
        )
    if not training or p == 0:
        return input
    if p == 1:
        return input.mul_(0.0) if inplace else input * 0.0
    kept = draw_mask(tuple(shape), input.dtype, input.device, None, 1.0 - p)
    scale = ((_SATURATED * _SATURATED * p + 1) * (1 - p)) ** -0.5
    shift = (kept - 1) * (_SATURATED * scale) + _SATURATED * scale * p
    return input.mul_(kept * scale).add_(shift) if inplace else input * (kept * scale) + shift


@composite(where="nn.functional mezzo", samples=[S(T(3, 4), 0.5, False)])
def alpha_dropout(input: Tensor, p=0.5, training=False, inplace=False) -> Tensor:
    """Elements set to SELU's saturation with probability p, all scaled and shifted to keep mean and variance.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.alpha_dropout
    """
    return _alpha_dropout(input, p, training, inplace, input.shape)


@composite(where="nn.functional mezzo", samples=[S(T(2, 3, 4), 0.5, False)])
def feature_alpha_dropout(input: Tensor, p=0.5, training=False, inplace=False) -> Tensor:
    """alpha_dropout of whole channels.

    Shapes: (n, c, ...) -> (n, c, ...)
    Source: torch.nn.functional.feature_alpha_dropout
    """
    return _alpha_dropout(input, p, training, inplace, (*input.shape[:2], *(1,) * (input.ndim - 2)))


@composite(where="nn.functional", samples=[S(T(2, 3, 2, 2, 2), 0.5, False)])
def dropout3d(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Whole channels of volumes zeroed with probability p.

    Shapes: (n, c, d, h, w) -> (n, c, d, h, w)
    Source: torch.nn.functional.dropout3d
    """
    return dropout2d(input, p, training, inplace)


@composite(where="nn.functional", samples=[S(T(3, 5)), S(T(3, 5), 0.5, True)])
def gumbel_softmax(logits: Tensor, tau=1.0, hard=False, eps=1e-10, dim=-1) -> Tensor:
    """A random choice by logits, softened by temperature tau; hard: one-hot forward, soft gradient.

    Math:   softmax((logits - log(-log(u))) / tau), u uniform
    Shapes: (...) -> (...)
    Source: torch.nn.functional.gumbel_softmax
    """
    u = draw_uniform(tuple(logits.shape), logits.dtype, logits.device, None, 0.0, 1.0)
    noise = -((-((1.0 - u).log())).clamp(min=1e-38).log())
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    picked = soft.max(dim, keepdim=True)[1]
    return soft.detach().new_zeros(soft.shape).scatter_(dim, picked, 1.0) - soft.detach() + soft
