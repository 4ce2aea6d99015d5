"""The small layers that the parts of SAM 2 share."""

from __future__ import annotations

import copy
from itertools import pairwise

import mezzo
from mezzo import nn
from mezzo.nn import functional as F

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "glu": F.glu}


def activation(name: str):
    """The activation function of that name; ValueError for a name that SAM 2 does not know."""
    if name not in ACTIVATIONS:
        raise ValueError(
            f"activation is {name!r}; it must be one of {', '.join(ACTIVATIONS)}. Correct the config."
        )
    return ACTIVATIONS[name]


def product_dtype(device):
    """The dtype to which autocast rounds operands of products on that device; None outside of autocast."""
    kind = device.type
    return mezzo.get_autocast_dtype(kind) if mezzo.is_autocast_enabled(kind) else None


def clones(module: nn.Module, count: int) -> nn.ModuleList:
    """`count` independent copies of a module."""
    return nn.ModuleList([copy.deepcopy(module) for _ in range(count)])


class MLP(nn.Module):
    """A perceptron: `num_layers` linear layers with an activation between, optionally a sigmoid at the end.

    Shapes: (..., input_dim) -> (..., output_dim)
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        output_dim: int,
        num_layers: int,
        activation: type[nn.Module] = nn.ReLU,
        sigmoid_output: bool = False,
    ):
        super().__init__()
        widths = [input_dim, *[hidden_dim] * (num_layers - 1), output_dim]
        self.num_layers = num_layers
        self.layers = nn.ModuleList([nn.Linear(n, m) for n, m in pairwise(widths)])
        self.act = activation()
        self.sigmoid_output = sigmoid_output

    def forward(self, x):
        """(..., input_dim) -> (..., output_dim)"""
        *inner, last = self.layers
        for layer in inner:
            x = self.act(layer(x))
        x = last(x)
        return F.sigmoid(x) if self.sigmoid_output else x


class LayerNorm2d(nn.Module):
    """Layer normalisation of every pixel over its channels.

    Shapes: (n, c, h, w) -> (n, c, h, w)
    """

    def __init__(self, num_channels: int, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(mezzo.ones(num_channels))
        self.bias = nn.Parameter(mezzo.zeros(num_channels))
        self.eps = eps

    def forward(self, x):
        """(n, c, h, w) -> (n, c, h, w)"""
        pixels = F.layer_norm(
            x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps
        )
        return pixels.permute(0, 3, 1, 2)


class DropPath(nn.Module):
    """While training, leaves out the whole branch of an example with probability drop_prob.

    What stays is divided by the probability of staying, if scale_by_keep, so that the mean is kept.
    Source: Huang et al., "Deep Networks with Stochastic Depth" (2016)
    """

    def __init__(self, drop_prob: float = 0.0, scale_by_keep: bool = True):
        super().__init__()
        self.drop_prob, self.scale_by_keep = drop_prob, scale_by_keep

    def forward(self, x):
        """(n, ...) -> (n, ...)"""
        if self.drop_prob == 0.0 or not self.training:
            return x
        keep = 1.0 - self.drop_prob
        chosen = x.new_empty((x.shape[0], *(1,) * (x.ndim - 1))).bernoulli_(keep)
        return x * (chosen / keep if self.scale_by_keep and keep > 0 else chosen)
