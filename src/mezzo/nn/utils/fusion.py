"""Batch normalisation folded into the layer before it, and modules made without initial values."""

from __future__ import annotations

import copy

from mezzo import ops
from mezzo.core.tensor import Tensor
from mezzo.nn.parameter import Parameter


def _fold(weight: Tensor, bias, mean: Tensor, var: Tensor, eps: float, gain, shift, axis: int):
    """(weight, bias) of the layer that computes what the layer and its normalisation do."""
    bias = ops.zeros_like(mean) if bias is None else bias
    gain = ops.ones_like(mean) if gain is None else gain
    shift = ops.zeros_like(mean) if shift is None else shift
    scale = gain * (var + eps).rsqrt()
    wide = [1] * weight.dim()
    wide[axis] = -1
    folded = (weight * scale.reshape(wide)).to(weight.dtype)
    moved = ((bias - mean) * scale + shift).to(bias.dtype)
    return Parameter(folded.detach(), weight.requires_grad), Parameter(
        moved.detach(), bias.requires_grad
    )


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose: bool = False):
    """Weight and bias of a convolution that includes its batch normalisation.

    Source: torch.nn.utils.fuse_conv_bn_weights
    """
    return _fold(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """Weight and bias of a linear layer that includes its batch normalisation.

    Source: torch.nn.utils.fuse_linear_bn_weights
    """
    return _fold(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def _fused(layer, bn, fold, *options):
    if layer.training or bn.training:
        raise ValueError(
            "Fusion only for eval! Call eval() on both modules first: in training the statistics are those of the batch."
        )
    made = copy.deepcopy(layer)
    made.weight, made.bias = fold(
        layer.weight,
        layer.bias,
        bn.running_mean,
        bn.running_var,
        bn.eps,
        bn.weight,
        bn.bias,
        *options,
    )
    return made


def fuse_conv_bn_eval(conv, bn, transpose: bool = False):
    """One convolution for a convolution and the batch normalisation after it, both in eval mode.

    Source: torch.nn.utils.fuse_conv_bn_eval
    """
    return _fused(conv, bn, fuse_conv_bn_weights, transpose)


def fuse_linear_bn_eval(linear, bn):
    """One linear layer for a linear layer and the batch normalisation after it, both in eval mode.

    Source: torch.nn.utils.fuse_linear_bn_eval
    """
    return _fused(linear, bn, fuse_linear_bn_weights)


def skip_init(module_cls, *args, **kwargs):
    """A module whose parameters are allocated and hold whatever the memory held.

    Source: torch.nn.utils.skip_init
    """
    device = kwargs.pop("device", "cpu")
    return module_cls(*args, **kwargs, device="meta").to_empty(device=device)
