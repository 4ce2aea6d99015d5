"""Attention between prompts and image, and attention with rotated positions between frames."""

from __future__ import annotations

import math

import mezzo
from mezzo import nn
from mezzo.models.sam2 import positions
from mezzo.models.sam2.layers import MLP
from mezzo.nn import functional as F


class Attention(nn.Module):
    """Attention over embedding_dim / downsample_rate channels.

    Shapes: q (b, n, embedding_dim), k and v (b, m, kv_in_dim) -> (b, n, embedding_dim)
    """

    def __init__(
        self,
        embedding_dim: int,
        num_heads: int,
        downsample_rate: int = 1,
        dropout: float = 0.0,
        kv_in_dim: int | None = None,
    ):
        super().__init__()
        inside = embedding_dim // downsample_rate
        if inside % num_heads:
            raise ValueError(
                f"Attention: {inside} channels (embedding_dim / downsample_rate) are no multiple of "
                f"num_heads {num_heads}; correct the config."
            )
        self.embedding_dim, self.internal_dim, self.num_heads = embedding_dim, inside, num_heads
        self.kv_in_dim = embedding_dim if kv_in_dim is None else kv_in_dim
        self.q_proj = nn.Linear(embedding_dim, inside)
        self.k_proj = nn.Linear(self.kv_in_dim, inside)
        self.v_proj = nn.Linear(self.kv_in_dim, inside)
        self.out_proj = nn.Linear(inside, embedding_dim)
        self.dropout_p = dropout

    def _heads(self, x):
        """(b, n, c) -> (b, heads, n, c / heads)"""
        return x.reshape(*x.shape[:2], self.num_heads, -1).transpose(1, 2)

    def _placed(self, q, k, unplaced: int):
        """Queries and keys with their positions mixed in; the last `unplaced` keys have none."""
        return q, k

    def forward(self, q, k, v, num_k_exclude_rope: int = 0):
        """(b, n, c), (b, m, c'), (b, m, c') -> (b, n, c)"""
        q, k = self._heads(self.q_proj(q)), self._heads(self.k_proj(k))
        q, k = self._placed(q, k, num_k_exclude_rope)
        return self.out_proj(self._seen(q, k, v).transpose(1, 2).flatten(2))

    def _seen(self, q, k, v):
        """Queries and keys (b, heads, n or m, c / heads), values (b, m, c') before v_proj -> (b, heads, n, c / heads)"""
        dropout = self.dropout_p if self.training else 0.0
        narrow = self.num_heads == 1 and self.kv_in_dim < self.internal_dim
        if narrow and not dropout:
            # The weights of a query sum to 1, so that v_proj may follow: memories have a quarter of the channels.
            return self.v_proj(F.scaled_dot_product_attention(q, k, v.unsqueeze(1)))
        v = self._heads(self.v_proj(v))
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)


class RoPEAttention(Attention):
    """Attention whose queries and keys are rotated by where in the image they are."""

    def __init__(
        self,
        *args,
        rope_theta: float = 10000.0,
        rope_k_repeat: bool = False,
        feat_sizes: tuple[int, int] = (64, 64),
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.rope_theta, self.rope_k_repeat = rope_theta, rope_k_repeat
        self.feat_sizes = tuple(feat_sizes)
        self._turns: dict = {}

    def _rotations(self, count: int, device):
        """Rotations of `count` pixels: of feat_sizes, or else of a square."""
        width, height = self.feat_sizes
        if width * height != count:
            width = height = math.isqrt(count)
        if width * height != count:
            raise ValueError(
                f"RoPEAttention: {count} queries are neither the {self.feat_sizes} pixels of feat_sizes "
                "nor a square; pass the pixels of one square feature map."
            )
        if (count, device) not in self._turns:
            dim = self.internal_dim // self.num_heads
            turns = positions.axial_rotations(dim, width, height, self.rope_theta)
            self._turns[count, device] = turns.to(device)
        return self._turns[count, device]

    def _placed(self, q, k, unplaced: int):
        turns = self._rotations(q.shape[-2], q.device)
        placed = k.shape[-2] - unplaced
        if placed != q.shape[-2] and not self.rope_k_repeat:
            raise ValueError(
                f"RoPEAttention: {placed} keys have positions and there are {q.shape[-2]} queries; they "
                "must be as many, or set rope_k_repeat for keys of several frames."
            )
        q = positions.rotate(q, turns)
        if not placed:
            return q, k
        turned = positions.rotate(k[:, :, :placed], turns)
        return q, turned if not unplaced else mezzo.cat((turned, k[:, :, placed:]), dim=2)


class CrossAttention(Attention):
    """Attention between a few tokens and many pixels.

    A product of three matrices may begin on either side. Projecting every pixel takes pixels * c * internal_dim
    products, multiplying the tokens by the projection first pixels * c * heads * tokens: less for few tokens.
    """

    def _is_few(self, tokens) -> bool:
        dropout = self.dropout_p if self.training else 0.0
        return tokens.shape[1] * self.num_heads < self.internal_dim and not dropout

    def _by_head(self, layer: nn.Linear):
        """(heads, internal_dim / heads, in_features): a projection's weight."""
        return layer.weight.reshape(self.num_heads, -1, layer.in_features)

    def _scale(self) -> float:
        return (self.internal_dim // self.num_heads) ** -0.5

    def tokens_to_pixels(self, q, k, v):
        """forward of few queries (b, n, c) on many keys and values (b, m, c)"""
        if not self._is_few(q):
            return self(q, k, v)
        asked = self._heads(self.q_proj(q)) * self._scale()
        # What k_proj's bias adds is the same for every key of a query: softmax takes it out.
        asked = (asked @ self._by_head(self.k_proj)).flatten(1, 2)
        seen = (asked @ k.transpose(1, 2)).softmax(-1) @ v
        seen = seen.unflatten(1, (self.num_heads, -1)) @ self._by_head(self.v_proj).mT
        seen = seen.transpose(1, 2).flatten(2) + self.v_proj.bias  # weights of a query sum to 1
        return self.out_proj(seen)

    def pixels_to_tokens(self, q, k, v):
        """forward of many queries (b, m, c) on few keys and values (b, n, c)"""
        if not self._is_few(k):
            return self(q, k, v)
        heads = self.num_heads
        asked = self._heads(self.k_proj(k)) * self._scale()
        offset = asked @ self.q_proj.bias.reshape(heads, -1, 1)
        asked = (asked @ self._by_head(self.q_proj)).flatten(1, 2)
        scores = (asked @ q.transpose(1, 2)).unflatten(1, (heads, -1)) + offset
        out = self.out_proj.weight.reshape(self.embedding_dim, heads, -1).permute(1, 2, 0)
        told = self._heads(self.v_proj(v)) @ out + self.out_proj.bias / heads
        return scores.softmax(2).flatten(1, 2).mT @ told.flatten(1, 2)


class TwoWayAttentionBlock(nn.Module):
    """Prompt tokens attend to themselves and to the image, and the image to them.

    Shapes: queries (b, n, c), keys (b, pixels, c) -> the same
    """

    def __init__(
        self,
        embedding_dim: int,
        num_heads: int,
        mlp_dim: int = 2048,
        activation=nn.ReLU,
        attention_downsample_rate: int = 2,
        skip_first_layer_pe: bool = False,
    ):
        super().__init__()
        small = {"downsample_rate": attention_downsample_rate}
        self.self_attn = Attention(embedding_dim, num_heads)
        self.norm1 = nn.LayerNorm(embedding_dim)
        self.cross_attn_token_to_image = CrossAttention(embedding_dim, num_heads, **small)
        self.norm2 = nn.LayerNorm(embedding_dim)
        self.mlp = MLP(embedding_dim, mlp_dim, embedding_dim, 2, activation=activation)
        self.norm3 = nn.LayerNorm(embedding_dim)
        self.norm4 = nn.LayerNorm(embedding_dim)
        self.cross_attn_image_to_token = CrossAttention(embedding_dim, num_heads, **small)
        self.skip_first_layer_pe = skip_first_layer_pe

    def forward(self, queries, keys, query_pe, key_pe):
        """(queries, keys) after one layer; query_pe and key_pe are added wherever they are matched"""
        if self.skip_first_layer_pe:  # the queries are still their own positions
            queries = self.self_attn(queries, queries, queries)
        else:
            placed = queries + query_pe
            queries = queries + self.self_attn(placed, placed, queries)
        queries = self.norm1(queries)
        placed_keys = keys + key_pe
        queries = queries + self.cross_attn_token_to_image.tokens_to_pixels(
            queries + query_pe, placed_keys, keys
        )
        queries = self.norm2(queries)
        queries = self.norm3(queries + self.mlp(queries))
        keys = keys + self.cross_attn_image_to_token.pixels_to_tokens(
            placed_keys, queries + query_pe, queries
        )
        return queries, self.norm4(keys)


class TwoWayTransformer(nn.Module):
    """`depth` layers between prompt tokens and image, and a last look of the tokens at the image."""

    def __init__(
        self,
        depth: int,
        embedding_dim: int,
        num_heads: int,
        mlp_dim: int,
        activation=nn.ReLU,
        attention_downsample_rate: int = 2,
    ):
        super().__init__()
        self.depth, self.embedding_dim = depth, embedding_dim
        self.num_heads, self.mlp_dim = num_heads, mlp_dim
        self.layers = nn.ModuleList(
            [
                TwoWayAttentionBlock(
                    embedding_dim,
                    num_heads,
                    mlp_dim,
                    activation,
                    attention_downsample_rate,
                    skip_first_layer_pe=i == 0,
                )
                for i in range(depth)
            ]
        )
        self.final_attn_token_to_image = CrossAttention(
            embedding_dim, num_heads, downsample_rate=attention_downsample_rate
        )
        self.norm_final_attn = nn.LayerNorm(embedding_dim)

    def forward(self, image_embedding, image_pe, point_embedding):
        """(b, c, h, w), (b or 1, c, h, w), (b, n, c) -> tokens (b, n, c), image (b, h * w, c)"""
        keys, key_pe = (x.flatten(2).transpose(1, 2) for x in (image_embedding, image_pe))
        queries = point_embedding
        for layer in self.layers:
            queries, keys = layer(queries, keys, point_embedding, key_pe)
        placed = queries + point_embedding
        queries = queries + self.final_attn_token_to_image.tokens_to_pixels(
            placed, keys + key_pe, keys
        )
        return self.norm_final_attn(queries), keys
