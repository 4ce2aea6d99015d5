"""Hiera, the image encoder's trunk: a transformer in four stages, each with half the resolution of the last.

Source: Ryali et al., "Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles" (2023);
Bolya et al., "Window Attention is Bugged: How not to Interpolate Position Embeddings" (2023)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mezzo
from mezzo import nn
from mezzo.compiler import is_compiling
from mezzo.models.sam2 import windows
from mezzo.models.sam2.layers import MLP, DropPath
from mezzo.nn import functional as F

# Of a perceptron's inner activations at a time, where no gradients are recorded; compiled, every strip is traced.
STRIP_BYTES, STRIP_BYTES_COMPILED = 8 << 20, 32 << 20


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
        self.padding = padding

    def count(self, size: tuple[int, int]) -> tuple[int, ...]:
        """(h', w') of an image of `size`."""
        conv = self.proj
        each = zip(size, conv.kernel_size, conv.stride, self.padding)
        return tuple((n + 2 * pad - k) // step + 1 for n, k, step, pad in each)

    def strip(self, x, begin: int, end: int):
        """Rows `begin` to `end` of forward's result."""
        conv, height = self.proj, x.shape[2]
        first = begin * conv.stride[0] - self.padding[0]
        after = (end - 1) * conv.stride[0] - self.padding[0] + conv.kernel_size[0]
        x = x[:, :, max(first, 0) : after]
        if first < 0 or after > height:
            x = F.pad(x, (0, 0, max(-first, 0), max(after - height, 0)))
        x = x.contiguous(memory_format=mezzo.channels_last)
        patches = F.conv2d(x, conv.weight, conv.bias, conv.stride, (0, self.padding[1]))
        return patches.permute(0, 2, 3, 1)

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
        shape = query.shape
        seen = F.scaled_dot_product_attention(*[self._heads(t) for t in (query, key, value)])
        del query, key, value  # they are large
        return self.proj(seen.transpose(1, 2).reshape(shape))


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
        q_stride: tuple[int, ...] | None = None,
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

    def _attended(self, x):
        """Attention inside windows of x (b, h, w, dim) -> (b, h', w', dim_out)"""
        if not self.window_size:
            return self.attn(x)
        height, width = x.shape[1:3]
        tiles, full = windows.partition(x, self.window_size)
        tiles = self.attn(tiles)
        if not self.q_stride:
            return windows.unpartition(tiles, self.window_size, full, (height, width))
        (down, across), window = self.q_stride, self.window_size // self.q_stride[0]
        full = full[0] // down, full[1] // across
        return windows.unpartition(tiles, window, full, (height // down, width // across))

    def _looked(self, x):
        """What attention adds to x (b, h, w, dim), if dim is dim_out."""
        return self.drop_path(self._attended(self.norm1(x)))

    def _after_attention(self, x):
        """(b, h, w, dim) -> (b, h', w', dim_out): the first half of the layer."""
        if self.dim == self.dim_out:
            return x + self._looked(x)
        x = self.norm1(x)
        shortcut = pooled(self.proj(x), self.pool)
        return shortcut + self.drop_path(self._attended(x))

    def _thought(self, x):
        """What the perceptron adds to x (b, h, w, dim_out)."""
        return self.drop_path(self.mlp(self.norm2(x)))

    def _strips(self, x, window: int):
        """x as strips: rows of whole windows whose perceptrons hold about STRIP_BYTES."""
        row = x.shape[0] * x.shape[2] * self.mlp.layers[0].out_features * x.element_size()
        return x.split(_strip_rows(row, window), dim=1)

    def _grown(self, x):
        """forward where dim is not dim_out, without gradients, strip by strip."""
        whole, done = None, 0
        for strip in self._strips(x, self.window_size or x.shape[1]):
            y = self._after_attention(strip)
            y += self._thought(y)
            whole = _put(whole, y, done, strip.shape[1], x.shape[1])
            done += strip.shape[1]
        return whole

    def _overwritten(self, x):
        """forward where dim is dim_out, in the memory of x.

        Windows know nothing of each other, and perceptrons nothing of other pixels: what lies between the layers
        stays small.
        """
        if not self.window_size:
            x += self._looked(x)
        for strip in self._strips(x, self.window_size or 1):
            if self.window_size:
                strip += self._looked(strip)
            strip += self._thought(strip)
        return x

    def forward(self, x, overwrite: bool = False):
        """(b, h, w, dim) -> (b, h', w', dim_out)

        overwrite: the result may take the memory of x, if no gradients are recorded.
        """
        if mezzo.is_grad_enabled():
            x = self._after_attention(x)
            return x + self._thought(x)
        if self.dim != self.dim_out:
            return self._grown(x)
        return self._overwritten(x if overwrite else x.clone())


def _strip_rows(row_bytes: int, unit: int) -> int:
    """How many rows of row_bytes, a multiple of `unit`, are taken at a time."""
    budget = STRIP_BYTES_COMPILED if is_compiling() else STRIP_BYTES
    return max(1, budget // (row_bytes * unit)) * unit


def _as_it_is(_level: int, x):
    return x


def _is_watched(module: nn.Module) -> bool:
    """Whether hooks expect to see whole inputs and outputs that stay what they are."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _put(whole, part, at: int, rows: int, height: int):
    """`whole` with what came of the rows `at` to `at + rows` of `height`: part (b, h, w, c).

    None: a new tensor, or part itself if it is all.
    """
    count = part.shape[1]
    if rows == height:
        return part
    if whole is None:
        whole = part.new_empty((part.shape[0], height * count // rows, *part.shape[2:]))
    begin = at * count // rows
    whole[:, begin : begin + count] = part
    return whole


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
        """Matrices (h, n) and (n, w c) whose product is the encoding (h, w c) of every pixel, in float32.

        One encoding is stretched over the image, and one is repeated in every window: both are rows that every
        row of the image mixes, the first smoothly.
        """
        (height, width), (down, across) = size, self.pos_embed_window.shape[-2:]
        high = self.pos_embed.shape[-2]
        # Stretching is linear in either direction: along the columns here, along the rows as a matrix.
        columns = F.interpolate(self.pos_embed, size=(high, width), mode="bicubic")
        rows = mezzo.eye(high, device=columns.device)[None, :, :, None]
        rows = F.interpolate(rows, size=(height, 1), mode="bicubic")[0, :, :, 0].t()
        which = mezzo.eye(down, device=columns.device).repeat(height // down, 1)
        inside = self.pos_embed_window.repeat(1, 1, 1, width // across)
        parts = mezzo.cat((columns, inside), dim=2)[0].permute(1, 2, 0)
        return mezzo.cat((rows, which), dim=1), parts.reshape(high + down, -1)

    def _placed(self, x, rows, parts):
        """Patches (b, h, w, c) with the positions rows @ parts, in float32."""
        with mezzo.autocast(x.device.type, enabled=False):
            return x + (rows @ parts).reshape(x.shape[1:])

    def _is_wanted(self, i: int) -> bool:
        """Whether the result of that layer is a feature map."""
        last = i == self.stage_ends[-1]
        return last or (self.return_interm_layers and i in self.stage_ends)

    def _depth_of_strips(self, height: int) -> int:
        """How many layers, from the first, see nothing beyond strips of window_spec[0] rows of patches."""
        unit, stride = self.window_spec[0], 1
        for i, block in enumerate(self.blocks):
            window = block.window_size * stride
            if not window or unit % window or height % unit:
                return i
            stride *= block.q_stride[0] if block.q_stride else 1
        return len(self.blocks)

    def _in_strips(self, x, depth: int, each: Callable) -> tuple:
        """The first `depth` layers of images x (b, 3, h, w): their result and the feature maps among theirs.

        Strip after strip goes through all of them, so that these layers, the largest, exist only in parts.
        """
        height, width = self.patch_embed.count(tuple(x.shape[2:]))
        rows, parts = self._positions((height, width))
        wide, unit = self.blocks[0].mlp.layers[0].out_features, self.window_spec[0]
        row = x.shape[0] * width * wide * rows.element_size()
        high = _strip_rows(row, unit)
        result: Any = None
        maps: list[Any] = [None for i in range(depth) if self._is_wanted(i)]
        for at in range(0, height, high):
            end = min(at + high, height)
            where = (at, end - at, height)
            strip = self._placed(self.patch_embed.strip(x, at, end), rows[at:end], parts)
            level = 0
            for i, block in enumerate(self.blocks[:depth]):
                strip = block(strip, overwrite=True)
                if self._is_wanted(i):
                    found = each(level, strip.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
                    maps[level] = _put(maps[level], found, *where)
                    level += 1
            result = _put(result, strip, *where)
        return result, [m.permute(0, 3, 1, 2) for m in maps]

    def forward(self, x, each: Callable = _as_it_is):
        """(b, 3, h, w) -> feature maps (b, c, h', w') of the stages, the finest first

        each: takes the number of a map and the map or some rows of it, and returns what is to be returned instead:
            (b, c', h', w'), every pixel from that pixel alone. So the maps themselves need not be kept.
        """
        depth, maps = 0, []
        watched = any(map(_is_watched, (self.patch_embed, *self.blocks)))
        if not mezzo.is_grad_enabled() and not watched:
            depth = self._depth_of_strips(self.patch_embed.count(tuple(x.shape[2:]))[0])
        if depth:
            x, maps = self._in_strips(x, depth, each)
        else:
            x = self.patch_embed(x)
            x = self._placed(x, *self._positions(tuple(x.shape[1:3])))
        for i, block in enumerate(self.blocks[depth:], depth):
            # What nobody else may hold is overwritten: not a map, nor what a hook has seen.
            x = block(x, overwrite=not watched and not self._is_wanted(i - 1))
            if self._is_wanted(i):
                maps.append(each(len(maps), x.permute(0, 3, 1, 2)))
        return maps
