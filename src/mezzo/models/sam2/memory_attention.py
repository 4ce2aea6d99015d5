"""Features of a frame attending to the memories of earlier frames."""

from __future__ import annotations

from mezzo import nn
from mezzo.models.sam2.layers import activation as named_activation
from mezzo.models.sam2.layers import clones
from mezzo.models.sam2.transformer import RoPEAttention


class MemoryAttentionLayer(nn.Module):
    """Attention of a frame to itself, then to memories, then a perceptron; each behind a norm.

    Shapes: tgt (b, n, d_model), memory (b, m, c) -> (b, n, d_model)
    """

    def __init__(
        self,
        activation: str,
        cross_attention: nn.Module,
        d_model: int,
        dim_feedforward: int,
        dropout: float,
        pos_enc_at_attn: bool,
        pos_enc_at_cross_attn_keys: bool,
        pos_enc_at_cross_attn_queries: bool,
        self_attention: nn.Module,
    ):
        super().__init__()
        self.self_attn, self.cross_attn_image = self_attention, cross_attention
        self.linear1 = nn.Linear(d_model, dim_feedforward)
        self.dropout = nn.Dropout(dropout)
        self.linear2 = nn.Linear(dim_feedforward, d_model)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(d_model) for _ in range(3))
        self.dropout1, self.dropout2, self.dropout3 = (nn.Dropout(dropout) for _ in range(3))
        self.activation_str, self.activation = activation, named_activation(activation)
        self.pos_enc_at_attn = pos_enc_at_attn
        self.pos_enc_at_cross_attn_keys = pos_enc_at_cross_attn_keys
        self.pos_enc_at_cross_attn_queries = pos_enc_at_cross_attn_queries

    def forward(self, tgt, memory, pos=None, query_pos=None, num_k_exclude_rope: int = 0):
        """pos, query_pos: positions of memory and tgt; num_k_exclude_rope: trailing memories without a place"""
        x = self.norm1(tgt)
        placed = x + query_pos if self.pos_enc_at_attn else x
        tgt = tgt + self.dropout1(self.self_attn(placed, placed, x))
        x = self.norm2(tgt)
        query = x + query_pos if self.pos_enc_at_cross_attn_queries else x
        key = memory + pos if self.pos_enc_at_cross_attn_keys else memory
        seen = self.cross_attn_image(query, key, memory, num_k_exclude_rope=num_k_exclude_rope)
        tgt = tgt + self.dropout2(seen)
        x = self.activation(self.linear1(self.norm3(tgt)))
        return tgt + self.dropout3(self.linear2(self.dropout(x)))


class MemoryAttention(nn.Module):
    """`num_layers` layers and a norm.

    Shapes: curr (n, b, d_model), memory (m, b, c) -> (n, b, d_model); without batch_first's exchange, batches first
    """

    def __init__(
        self,
        d_model: int,
        pos_enc_at_input: bool,
        layer: nn.Module,
        num_layers: int,
        batch_first: bool = True,
    ):
        super().__init__()
        self.d_model, self.num_layers = d_model, num_layers
        self.layers = clones(layer, num_layers)
        self.norm = nn.LayerNorm(d_model)
        self.pos_enc_at_input, self.batch_first = pos_enc_at_input, batch_first

    def forward(self, curr, memory, curr_pos=None, memory_pos=None, num_obj_ptr_tokens: int = 0):
        """curr and curr_pos may be lists of one; num_obj_ptr_tokens: trailing memories that are no pixels"""
        if isinstance(curr, list):
            (curr,) = curr
        if isinstance(curr_pos, list):
            (curr_pos,) = curr_pos
        if curr.shape[1] != memory.shape[1]:
            raise ValueError(
                f"MemoryAttention: curr has {curr.shape[1]} examples and memory {memory.shape[1]}; they "
                "must be as many."
            )
        x = curr
        if self.pos_enc_at_input and curr_pos is not None:
            x = x + 0.1 * curr_pos
        given = [x, curr_pos, memory, memory_pos]
        if self.batch_first:
            given = [None if t is None else t.transpose(0, 1) for t in given]
        x, curr_pos, memory, memory_pos = given
        for layer in self.layers:
            rotated = isinstance(layer.cross_attn_image, RoPEAttention)
            x = layer(x, memory, memory_pos, curr_pos, num_obj_ptr_tokens if rotated else 0)
        x = self.norm(x)
        return x.transpose(0, 1) if self.batch_first else x
