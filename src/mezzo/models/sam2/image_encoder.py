"""The image encoder: a trunk, and a neck that brings its feature maps to one width.

Source: Lin et al., "Feature Pyramid Networks for Object Detection" (2017)
"""

from __future__ import annotations

from collections import OrderedDict

from mezzo import nn
from mezzo.nn import functional as F


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

    def maps(self, xs: list) -> list:
        """The maps without positions, the finest first."""
        found, above = [], None
        for conv, level in zip(self.convs, reversed(range(len(xs)))):
            x = conv(xs[level])
            if level in self.fpn_top_down_levels and above is not None:
                x = x + self._lifted(above)
                x = x / 2 if self.fuse_type == "avg" else x
            above = x
            found.append(x)
        return found[::-1]

    def forward(self, xs: list):
        """(maps, positions), the finest first: (b, d_model, h, w) each"""
        maps = self.maps(xs)
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

    def maps(self, sample) -> list:
        """The feature maps (b, d_model, h, w) of images (b, 3, h, w), the finest first."""
        maps = self.neck.maps(self.trunk(sample))
        return maps[: len(maps) - self.scalp]

    def forward(self, sample) -> dict:
        """Images (b, 3, h, w) -> vision_features (the coarsest map), backbone_fpn (all), vision_pos_enc"""
        maps = self.maps(sample)
        positions = [self.neck.position_encoding(x).to(x.dtype) for x in maps]
        return {"vision_features": maps[-1], "vision_pos_enc": positions, "backbone_fpn": maps}
