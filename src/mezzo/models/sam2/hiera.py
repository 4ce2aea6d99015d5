"""Hiera, the image encoder's trunk: a transformer in four stages, each with half the resolution of the last.

Source: Ryali et al., "Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles" (2023);
Bolya et al., "Window Attention is Bugged: How not to Interpolate Position Embeddings" (2023)
"""

from __future__ import annotations

import mezzo
from mezzo import nn
from mezzo.models.sam2 import windows
from mezzo.models.sam2.layers import MLP, DropPath
from mezzo.nn import functional as F

STRIP_TOKENS = 8192  # that a layer with windows takes at a time


class PatchEmbed(nn.Module):
    """Overlapping patches of an image as tokens.

    Shapes: (b, in_chans, h, w) -> (b, h / stride, w / stride, embed_dim)
    """

    def __init__(
        self,
        kernel_size: tuple[int, int] = (7, 7),
        stride: tuple[int, int] = (4, 4),
        padding: tuple[int, int] = (3, 3),
        in_chans: int = 3,
        embed_dim: int = 768,
    ):
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size, stride=stride, padding=padding)

    def forward(self, x):
        """(b, c, h, w) -> (b, h', w', embed_dim), channels innermost in memory"""
        x = x.contiguous(memory_format=mezzo.channels_last)
        return self.proj(x).permute(0, 2, 3, 1)


def pooled(x, pool):
    """The pool of (b, h, w, c); None: x."""
    return x if pool is None else pool(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class MultiScaleAttention(nn.Module):
    """Self-attention whose queries may be pooled, which makes the result smaller.

    Shapes: (b, h, w, dim) -> (b, h', w', dim_out)
    """

    def __init__(self, dim: int, dim_out: int, num_heads: int, q_pool: nn.Module | None = None):
        super().__init__()
        self.dim, self.dim_out, self.num_heads, self.q_pool = dim, dim_out, num_heads, q_pool
        self.qkv = nn.Linear(dim, 3 * dim_out)
        self.proj = nn.Linear(dim_out, dim_out)

    def _heads(self, x):
        """(b, h, w, c) -> (b, heads, h * w, c / heads)"""
        batch, height, width, channels = x.shape
        split = (batch, height * width, self.num_heads, channels // self.num_heads)
        return x.reshape(split).transpose(1, 2)

    def forward(self, x):
        """(b, h, w, dim) -> (b, h', w', dim_out)"""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        query = pooled(query, self.q_pool)
        seen = F.scaled_dot_product_attention(*[self._heads(t) for t in (query, key, value)])
        return self.proj(seen.transpose(1, 2).reshape(query.shape))


class MultiScaleBlock(nn.Module):
    """One layer of Hiera: attention in windows (or everywhere), then a perceptron.

    Shapes: (b, h, w, dim) -> (b, h', w', dim_out), half of h and w where q_stride is given
    """

    def __init__(
        self,
        dim: int,
        dim_out: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        q_stride: tuple[int, int] | None = None,
        window_size: int = 0,
    ):
        super().__init__()
        self.dim, self.dim_out = dim, dim_out
        self.window_size, self.q_stride = window_size, q_stride
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.pool = nn.MaxPool2d(q_stride, stride=q_stride) if q_stride else None
        self.attn = MultiScaleAttention(dim, dim_out, num_heads, self.pool)
        self.drop_path = DropPath(drop_path) if drop_path > 0.0 else nn.Identity()
        self.norm2 = nn.LayerNorm(dim_out, eps=1e-6)
        self.mlp = MLP(dim_out, int(dim_out * mlp_ratio), dim_out, 2, activation=nn.GELU)
        if dim != dim_out:
            self.proj = nn.Linear(dim, dim_out)

    def _attended(self, x, size: tuple[int, int]):
        """Attention inside windows of x (b, h, w, dim); size: of the result."""
        if not self.window_size:
            return self.attn(x)
        tiles, _ = windows.partition(x, self.window_size)
        tiles = self.attn(tiles)
        window = self.window_size // self.q_stride[0] if self.q_stride else self.window_size
        full = tuple(windows.pad_to(n, window) for n in size)
        return windows.unpartition(tiles, window, full, size)

    def _whole(self, x):
        """(b, h, w, dim) -> (b, h', w', dim_out)"""
        shortcut, x = x, self.norm1(x)
        if self.dim != self.dim_out:
            shortcut = pooled(self.proj(x), self.pool)
        x = shortcut + self.drop_path(self._attended(x, tuple(shortcut.shape[1:3])))
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def _strip_height(self, x) -> int:
        """Rows of whole windows that are about STRIP_TOKENS tokens; all rows while gradients are recorded."""
        batch, height, width, _ = x.shape
        window = self.window_size
        if not window or height % window or mezzo.is_grad_enabled():
            return height
        return min(height, max(1, STRIP_TOKENS // (batch * width * window)) * window)

    def forward(self, x):
        """(b, h, w, dim) -> (b, h', w', dim_out)"""
        high = self._strip_height(x)
        if high == x.shape[1]:
            return self._whole(x)
        # Windows know nothing of each other: strip by strip, what lies between the layers stays in the cache.
        return mezzo.cat([self._whole(strip) for strip in x.split(high, dim=1)], dim=1)


class Hiera(nn.Module):
    """Images to feature maps of each stage, the finest first.

    Shapes: (b, 3, h, w) -> [(b, c, h / 4, w / 4), (b, 2 c, h / 8, w / 8), ...]
    """

    def __init__(
        self,
        embed_dim: int = 96,
        num_heads: int = 1,
        drop_path_rate: float = 0.0,
        q_pool: int = 3,
        q_stride: tuple[int, int] = (2, 2),
        stages: tuple[int, ...] = (2, 3, 16, 3),
        dim_mul: float = 2.0,
        head_mul: float = 2.0,
        window_pos_embed_bkg_spatial_size: tuple[int, int] = (14, 14),
        window_spec: tuple[int, ...] = (8, 4, 14, 7),
        global_att_blocks: tuple[int, ...] | None = (12, 16, 20),
        weights_path=None,
        return_interm_layers: bool = True,
    ):
        super().__init__()
        self._check(stages, window_spec, q_pool, weights_path)
        self.q_stride, self.window_spec = tuple(q_stride), tuple(window_spec)
        self.global_att_blocks = tuple(global_att_blocks or ())
        self.return_interm_layers = return_interm_layers
        self.stage_ends = [sum(stages[: i + 1]) - 1 for i in range(len(stages))]
        self.q_pool_blocks = [end + 1 for end in self.stage_ends[:-1]][:q_pool]
        self.window_pos_embed_bkg_spatial_size = tuple(window_pos_embed_bkg_spatial_size)
        self.patch_embed = PatchEmbed(embed_dim=embed_dim)
        background = (1, embed_dim, *self.window_pos_embed_bkg_spatial_size)
        self.pos_embed = nn.Parameter(mezzo.zeros(background))
        self.pos_embed_window = nn.Parameter(
            mezzo.zeros(1, embed_dim, window_spec[0], window_spec[0])
        )
        depth = sum(stages)
        rates = [drop_path_rate * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.ModuleList(self._blocks(embed_dim, num_heads, dim_mul, head_mul, rates))
        ends = self.stage_ends[::-1] if return_interm_layers else [depth - 1]
        self.channel_list = [self.blocks[i].dim_out for i in ends]

    @staticmethod
    def _check(stages, window_spec, q_pool: int, weights_path) -> None:
        if len(stages) != len(window_spec):
            raise ValueError(
                f"Hiera: window_spec has {len(window_spec)} values and stages {len(stages)}; every "
                "stage needs its window size. Correct the config."
            )
        if not 0 <= q_pool < len(stages):
            raise ValueError(
                f"Hiera: q_pool is {q_pool}; it must be between 0 and the {len(stages) - 1} changes "
                "of stage."
            )
        if weights_path is not None:
            raise ValueError(
                "Hiera: weights_path is not read; load a checkpoint of the whole model with "
                "build_sam2(config, ckpt_path)."
            )

    def _blocks(self, dim: int, heads: int, dim_mul: float, head_mul: float, rates: list[float]):
        """The layers. The first of a stage still has the windows of the stage before, whose tokens it pools."""
        stage = 0
        for i, rate in enumerate(rates):
            window = 0 if i in self.global_att_blocks else self.window_spec[stage]
            dim_out = dim
            if i - 1 in self.stage_ends:
                dim_out, heads, stage = int(dim * dim_mul), int(heads * head_mul), stage + 1
            yield MultiScaleBlock(
                dim,
                dim_out,
                heads,
                drop_path=rate,
                q_stride=self.q_stride if i in self.q_pool_blocks else None,
                window_size=window,
            )
            dim = dim_out

    def _positions(self, size: tuple[int, int]):
        """(1, h, w, c): one encoding stretched over the image, and one repeated in every window."""
        whole, inside = (
            F.interpolate(self.pos_embed, size=size, mode="bicubic"),
            self.pos_embed_window,
        )
        (height, width), (down, across) = size, inside.shape[-2:]
        split = whole.reshape(1, -1, height // down, down, width // across, across)
        found = split + inside[:, :, None, :, None]
        return found.reshape(whole.shape).permute(0, 2, 3, 1)

    def forward(self, x):
        """(b, 3, h, w) -> feature maps (b, c, h', w') of the stages, the finest first"""
        x = self.patch_embed(x)
        x = x + self._positions(tuple(x.shape[1:3])).contiguous()
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            wanted = self.return_interm_layers and i in self.stage_ends
            if wanted or i == self.stage_ends[-1]:
                maps.append(x.permute(0, 3, 1, 2))
        return maps
