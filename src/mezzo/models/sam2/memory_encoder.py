"""A frame and its mask as a memory.

Source: Liu et al., "A ConvNet for the 2020s" (2022), for the blocks that fuse the two
"""

from __future__ import annotations

import math

import mezzo
from mezzo import nn
from mezzo.models.sam2.layers import DropPath, LayerNorm2d, clones
from mezzo.nn import functional as F


class MaskDownSampler(nn.Module):
    """A mask at 1 / total_stride of its size, in steps of `stride`.

    Shapes: (b, 1, h, w) -> (b, embed_dim, h / total_stride, w / total_stride)
    """

    def __init__(
        self,
        embed_dim: int = 256,
        kernel_size: int = 4,
        stride: int = 4,
        padding: int = 0,
        total_stride: int = 16,
        activation=nn.GELU,
    ):
        super().__init__()
        steps = round(math.log(total_stride, stride))
        if stride**steps != total_stride:
            raise ValueError(
                f"MaskDownSampler: total_stride {total_stride} is no power of stride {stride}; correct "
                "the config."
            )
        self.encoder = nn.Sequential()
        channels = 1
        for _ in range(steps):
            wider = channels * stride**2
            self.encoder.append(
                nn.Conv2d(channels, wider, kernel_size, stride=stride, padding=padding)
            )
            self.encoder.append(LayerNorm2d(wider))
            self.encoder.append(activation())
            channels = wider
        self.encoder.append(nn.Conv2d(channels, embed_dim, kernel_size=1))

    def forward(self, x):
        """(b, 1, h, w) -> (b, embed_dim, h', w')"""
        return self.encoder(x)


class CXBlock(nn.Module):
    """A depthwise convolution and a perceptron on every pixel, added to the input.

    Shapes: (b, dim, h, w) -> the same
    """

    def __init__(
        self,
        dim: int,
        kernel_size: int = 7,
        padding: int = 3,
        drop_path: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        use_dwconv: bool = True,
    ):
        super().__init__()
        groups = dim if use_dwconv else 1
        self.dwconv = nn.Conv2d(dim, dim, kernel_size, padding=padding, groups=groups)
        self.norm = LayerNorm2d(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * dim, dim)
        scale = layer_scale_init_value
        self.gamma = nn.Parameter(mezzo.full((dim,), scale)) if scale > 0 else None
        self.drop_path = DropPath(drop_path) if drop_path > 0.0 else nn.Identity()

    def forward(self, x):
        """(b, dim, h, w) -> (b, dim, h, w)"""
        pixels = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        pixels = self.pwconv2(self.act(self.pwconv1(pixels)))
        if self.gamma is not None:
            pixels = self.gamma * pixels
        return x + self.drop_path(pixels.permute(0, 3, 1, 2))


class Fuser(nn.Module):
    """`num_layers` copies of a layer one after the other."""

    def __init__(
        self,
        layer: nn.Module,
        num_layers: int,
        dim: int = 0,
        input_projection: bool = False,
    ):
        super().__init__()
        if input_projection and not dim:
            raise ValueError("Fuser: input_projection needs dim, the number of channels.")
        self.proj = nn.Conv2d(dim, dim, kernel_size=1) if input_projection else nn.Identity()
        self.layers = clones(layer, num_layers)

    def forward(self, x):
        """(b, c, h, w) -> (b, c, h, w)"""
        x = self.proj(x)
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nn.Module):
    """Features of a frame with its mask, as a memory of out_dim channels."""

    def __init__(
        self,
        out_dim: int,
        mask_downsampler: nn.Module,
        fuser: nn.Module,
        position_encoding: nn.Module,
        in_dim: int = 256,
    ):
        super().__init__()
        self.mask_downsampler = mask_downsampler
        self.pix_feat_proj = nn.Conv2d(in_dim, in_dim, kernel_size=1)
        self.fuser, self.position_encoding = fuser, position_encoding
        self.out_proj = (
            nn.Conv2d(in_dim, out_dim, kernel_size=1) if out_dim != in_dim else nn.Identity()
        )

    def forward(self, pix_feat, masks, skip_mask_sigmoid: bool = False) -> dict:
        """(b, c, h, w) and mask logits (b, 1, 16 h, 16 w) -> vision_features (b, out_dim, h, w), vision_pos_enc"""
        if not skip_mask_sigmoid:
            masks = F.sigmoid(masks)
        x = self.pix_feat_proj(pix_feat) + self.mask_downsampler(masks)
        x = self.out_proj(self.fuser(x))
        return {"vision_features": x, "vision_pos_enc": [self.position_encoding(x).to(x.dtype)]}
