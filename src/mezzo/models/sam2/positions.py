"""Encodings of positions: sines of pixel indices, random Fourier features of points, rotations of features.

Positions are computed in the dtype of their coordinates (float32), whatever autocast says around them: 8 bits
of a bfloat16 cannot tell neighbouring pixels of a 1024 pixel side apart.
"""

from __future__ import annotations

import math

import mezzo
from mezzo import nn


def frequencies(count: int, temperature: float, device):
    """temperature ** (2 (i // 2) / count) for i in range(count): every frequency twice, for sine and cosine."""
    i = mezzo.arange(count, dtype=mezzo.float32, device=device)
    return temperature ** (2 * (i // 2) / count)


def _waves(x, divisors):
    """(n,) -> (n, features): sine and cosine in turn."""
    x = x[:, None] / divisors
    return mezzo.stack((x[:, 0::2].sin(), x[:, 1::2].cos()), dim=2).flatten(1)


class PositionEmbeddingSine(nn.Module):
    """Sines and cosines of row and column: the same for every image of one size, so they are kept.

    Shapes: (n, c, h, w) -> (n, num_pos_feats, h, w), a view that repeats one encoding n times
    Source: Vaswani et al., "Attention Is All You Need" (2017), in two dimensions
    """

    def __init__(
        self,
        num_pos_feats: int,
        temperature: int = 10000,
        normalize: bool = True,
        scale: float | None = None,
        warmup_cache: bool = True,
        image_size: int = 1024,
        strides: tuple[int, ...] = (4, 8, 16, 32),
    ):
        super().__init__()
        if num_pos_feats % 2:
            raise ValueError(
                f"PositionEmbeddingSine: num_pos_feats is {num_pos_feats}; it must be even, half for "
                "rows and half for columns."
            )
        if scale is not None and not normalize:
            raise ValueError("PositionEmbeddingSine: scale needs normalize=True.")
        self.num_pos_feats, self.temperature = num_pos_feats // 2, temperature
        self.normalize, self.scale = normalize, 2 * math.pi if scale is None else scale
        self.cache: dict = {}

    def _line(self, size: int, device):
        """(size, features): the waves of one axis."""
        at = mezzo.arange(1, size + 1, dtype=mezzo.float32, device=device)
        if self.normalize:
            at = at / (at[-1:] + 1e-6) * self.scale
        return _waves(at, frequencies(self.num_pos_feats, self.temperature, device))

    def encode(self, height: int, width: int, device):
        """(2 features, height, width) of one image."""
        key = (height, width, device)
        if key not in self.cache:
            with mezzo.no_grad(), mezzo.autocast(device.type, enabled=False):
                rows, columns = self._line(height, device), self._line(width, device)
                grid = (
                    rows.t()[:, :, None].expand(-1, -1, width),
                    columns.t()[:, None].expand(-1, height, -1),
                )
                self.cache[key] = mezzo.cat(grid)
        return self.cache[key]

    def forward(self, x):
        """(n, c, h, w) -> (n, num_pos_feats, h, w) float32"""
        return self.encode(x.shape[-2], x.shape[-1], x.device)[None].expand(x.shape[0], -1, -1, -1)


class PositionEmbeddingRandom(nn.Module):
    """Sines and cosines of random projections of points in the unit square.

    Source: Tancik et al., "Fourier Features Let Networks Learn High Frequency Functions" (2020)
    """

    def __init__(self, num_pos_feats: int = 64, scale: float | None = None):
        super().__init__()
        factor = scale if scale is not None and scale > 0.0 else 1.0
        self._kept: tuple = ()
        self.register_buffer(
            "positional_encoding_gaussian_matrix", factor * mezzo.randn((2, num_pos_feats))
        )

    def encode(self, points):
        """Points (..., 2) in the unit square, x first -> (..., 2 num_pos_feats)"""
        with mezzo.autocast(points.device.type, enabled=False):
            turns = (2 * points - 1) @ self.positional_encoding_gaussian_matrix
            angles = 2 * math.pi * turns
            return mezzo.cat((angles.sin(), angles.cos()), dim=-1)

    def _grid(self, size: tuple[int, ...], device):
        """(2 num_pos_feats, h, w), channels innermost in memory."""
        rows, columns = (
            (mezzo.arange(n, dtype=mezzo.float32, device=device) + 0.5) / n for n in size
        )
        grid = (columns[None, :].expand(size), rows[:, None].expand(size))
        return self.encode(mezzo.stack(grid, dim=-1)).permute(2, 0, 1)

    def forward(self, size: tuple[int, int]):
        """(2 num_pos_feats, h, w): the encodings of the centres of an (h, w) grid's cells.

        Kept until the matrix or the size changes: every prompt asks for the same.
        """
        matrix = self.positional_encoding_gaussian_matrix
        state = (matrix._version, tuple(size))
        if not self._kept or self._kept[0] is not matrix or self._kept[1] != state:
            with mezzo.no_grad():
                self._kept = (matrix, state, self._grid(tuple(size), matrix.device))
        return self._kept[2]

    def forward_with_coords(self, coords_input, image_size: tuple[int, int]):
        """Points (b, n, 2) in pixels, x first, of an (h, w) image -> (b, n, 2 num_pos_feats)"""
        height, width = image_size
        size = mezzo.tensor([width, height], dtype=mezzo.float32, device=coords_input.device)
        return self.encode(coords_input.float() / size)


def axial_rotations(dim: int, width: int, height: int, theta: float = 10000.0):
    """cos and sin (2, width * height, dim / 2) by which pairs of features are turned at every pixel.

    The first half of the pairs turns with the column, the second with the row.
    Source: Su et al., "RoFormer" (2021); Heo et al., "Rotary Position Embedding for Vision Transformer" (2024)
    """
    power = mezzo.arange(0, dim, 4, dtype=mezzo.float32)[: dim // 4] / dim
    speeds = 1.0 / theta**power
    at = mezzo.arange(width * height, dtype=mezzo.float32)
    columns, rows = at % width, mezzo.div(at, width, rounding_mode="floor")
    angles = mezzo.cat((columns[:, None] * speeds, rows[:, None] * speeds), dim=-1)
    return mezzo.stack((angles.cos(), angles.sin()))


def rotate(x, turns):
    """Pairs of features of x (..., n, dim) turned by `turns` (2, n, dim / 2), in float32; keeps the dtype of x.

    Where x has a multiple of n rows, the rotations are repeated.
    """
    cos, sin = turns
    parts = x.reshape(*x.shape[:-2], -1, *cos.shape[:1], x.shape[-1])  # (..., repeats, n, dim)
    even, odd = parts[..., 0::2], parts[..., 1::2]  # read in their dtype, and multiplied in float32
    turned = mezzo.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.reshape(x.shape).to(x.dtype)
