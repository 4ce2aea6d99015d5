"""The image encoder: a trunk, and a neck that brings its feature maps to one width.

Source: Lin et al., "Feature Pyramid Networks for Object Detection" (2017)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import mezzo
from mezzo import nn
from mezzo.models.sam2.layers import product_dtype
from mezzo.nn import functional as F


def _is_pointwise(conv: nn.Conv2d) -> bool:
    """Whether every pixel of the result depends on one pixel."""
    one = (1, 1)
    return conv.kernel_size == one == conv.stride and conv.padding == (0, 0) and conv.groups == 1


def _composed(first: nn.Conv2d, second: nn.Conv2d, x):
    """second(first(x)) for convolutions of one pixel: both are matrices, so that their product does it at once."""
    low = product_dtype(x.device) or first.weight.dtype
    with mezzo.autocast(x.device.type, enabled=False):
        inner, outer = (conv.weight.flatten(1).to(low).float() for conv in (first, second))
        bias = outer @ first.bias.float() + second.bias
        weight = outer @ inner
    return F.linear(x.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2)


class FpnNeck(nn.Module):
    """Feature maps of every stage at one width; some levels also get what the coarser level knows.

    Shapes: [(b, c_i, h_i, w_i)] -> [(b, d_model, h_i, w_i)]
    """

    def __init__(
        self,
        position_encoding: nn.Module,
        d_model: int,
        backbone_channel_list: list[int],
        kernel_size: int = 1,
        stride: int = 1,
        padding: int = 0,
        fpn_interp_model: str = "bilinear",
        fuse_type: str = "sum",
        fpn_top_down_levels: list[int] | None = None,
    ):
        super().__init__()
        if fuse_type not in ("sum", "avg"):
            raise ValueError(f"FpnNeck: fuse_type is {fuse_type!r}; it must be 'sum' or 'avg'.")
        self.position_encoding, self.d_model = position_encoding, d_model
        self.backbone_channel_list = list(backbone_channel_list)
        self.fpn_interp_model, self.fuse_type = fpn_interp_model, fuse_type
        self.convs = nn.ModuleList()
        for channels in self.backbone_channel_list:
            conv = nn.Conv2d(channels, d_model, kernel_size, stride=stride, padding=padding)
            self.convs.append(nn.Sequential(OrderedDict(conv=conv)))
        levels = range(len(self.convs)) if fpn_top_down_levels is None else fpn_top_down_levels
        self.fpn_top_down_levels = list(levels)

    def _lifted(self, x):
        """x at twice the resolution, in float32."""
        align = None if self.fpn_interp_model == "nearest" else False
        mode = self.fpn_interp_model
        return F.interpolate(x.float(), scale_factor=2.0, mode=mode, align_corners=align)

    def is_pointwise(self) -> bool:
        """Whether every pixel of `lateral` depends on one pixel."""
        return all(_is_pointwise(conv.conv) for conv in self.convs)

    def _is_alone(self, level: int) -> bool:
        """Whether no other level's map depends on this one's, nor this one on theirs."""
        return not {level, level - 1} & set(self.fpn_top_down_levels)

    def lateral(self, level: int, x, then: nn.Conv2d | None = None):
        """What a stage's map x (b, c_i, h, w) is at the common width; after `then`, a convolution
        of one pixel, if nothing comes between."""
        conv = self.convs[len(self.convs) - 1 - level].conv
        if then is None or not self._is_alone(level):
            return conv(x)
        if _is_pointwise(conv):
            return _composed(conv, then, x)
        return then(conv(x))

    def merge(self, xs: list, then: Sequence[nn.Conv2d] = ()) -> list:
        """The maps without positions, of what `lateral` made of the stages with the same `then`; the finest first."""
        found = list(xs)
        for level in reversed(range(len(found) - 1)):
            if level in self.fpn_top_down_levels:
                x = found[level] + self._lifted(found[level + 1])
                found[level] = x / 2 if self.fuse_type == "avg" else x
        for level, conv in enumerate(then):
            if not self._is_alone(level):
                found[level] = conv(found[level])
        return found

    def forward(self, xs: list):
        """(maps, positions), the finest first: (b, d_model, h, w) each"""
        maps = self.merge([self.lateral(level, x) for level, x in enumerate(xs)])
        return maps, [self.position_encoding(x).to(x.dtype) for x in maps]


class ImageEncoder(nn.Module):
    """Trunk and neck. scalp: how many of the coarsest maps are left out of the result."""

    def __init__(self, trunk: nn.Module, neck: nn.Module, scalp: int = 0):
        super().__init__()
        if list(trunk.channel_list) != list(neck.backbone_channel_list):
            raise ValueError(
                f"ImageEncoder: the trunk's stages have {list(trunk.channel_list)} channels, and the neck "
                f"expects {list(neck.backbone_channel_list)} (backbone_channel_list); correct the config."
            )
        self.trunk, self.neck, self.scalp = trunk, neck, scalp

    def maps(self, sample, then: Sequence[nn.Conv2d] = ()) -> list:
        """The feature maps (b, d_model, h, w) of images (b, 3, h, w), the finest first.

        then: convolutions that the finest of them go through at last, one for each.
        """

        def lateral(level: int, x):
            return self.neck.lateral(level, x, then[level] if level < len(then) else None)

        if self.neck.is_pointwise():  # at once, so that no map need be kept
            found = self.trunk(sample, lateral)
        else:
            found = [lateral(level, x) for level, x in enumerate(self.trunk(sample))]
        maps = self.neck.merge(found, then)
        return maps[: len(maps) - self.scalp]

    def forward(self, sample, then: Sequence[nn.Conv2d] = ()) -> dict:
        """Images (b, 3, h, w) -> vision_features (the coarsest map), backbone_fpn (all), vision_pos_enc; then: see maps"""
        maps = self.maps(sample, then)
        positions = [self.neck.position_encoding(x).to(x.dtype) for x in maps]
        return {"vision_features": maps[-1], "vision_pos_enc": positions, "backbone_fpn": maps}
