"""MultiheadAttention and the transformer encoder, with PyTorch's parameter names."""

from __future__ import annotations

import contextlib
import copy
import enum
from collections.abc import Callable, Iterator, Sequence

from mezzo import ops
from mezzo.core.tensor import Tensor
from mezzo.dtypes import bool_
from mezzo.errors import FalseAssumptionError
from mezzo.nn import functional as F
from mezzo.nn import init
from mezzo.nn.containers import ModuleList
from mezzo.nn.dropout import Dropout
from mezzo.nn.linear import Linear
from mezzo.nn.module import Module
from mezzo.nn.normalization import LayerNorm
from mezzo.nn.parameter import Parameter
from mezzo.ops.attention import CHOICE


class SDPBackend(enum.IntEnum):
    """Ways to compute attention. MATH makes the matrix of scores; the others mean mezzo's fused kernels.

    Source: torch.nn.attention.SDPBackend
    """

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(
    backends: SDPBackend | Sequence[SDPBackend], set_priority: bool = False
) -> Iterator[None]:
    """Inside, scaled_dot_product_attention is computed in one of these ways, or raises RuntimeError.

    Where MATH and a fused way are both allowed, mezzo takes the fused one if it covers the call, whatever the order.
    Source: torch.nn.attention.sdpa_kernel
    """
    chosen = [backends] if isinstance(backends, SDPBackend) else list(backends)
    if not chosen or not all(isinstance(b, SDPBackend) for b in chosen):
        raise AssertionError(
            f"sdpa_kernel: backends is {backends!r}; it must be an SDPBackend or a list of one or more of them."
        )
    kept = CHOICE.fused, CHOICE.composed
    CHOICE.composed = SDPBackend.MATH in chosen
    CHOICE.fused = any(b > SDPBackend.MATH for b in chosen)
    try:
        yield
    finally:
        CHOICE.fused, CHOICE.composed = kept


class MultiheadAttention(Module):
    """softmax(q k^T / sqrt(d)) v in num_heads parts of embed_dim, between two projections.

    Shapes: (L, N, E), (N, L, E) with batch_first, or (L, E). Boolean masks are True where attention
    is *not* allowed; float masks are added to the scores.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device=None,
        dtype=None,
    ):
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, got "
                f"embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise FalseAssumptionError(
                f"MultiheadAttention: embed_dim must be divisible by num_heads; got {embed_dim} and {num_heads}."
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.head_dim = embed_dim // num_heads
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.batch_first, self.add_zero_attn = batch_first, add_zero_attn
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        same, made = self._qkv_same_embed_dim, {"device": device, "dtype": dtype}

        def learned(wanted: bool, *shape: int) -> Parameter | None:
            return Parameter(ops.empty(shape, **made)) if wanted else None

        self.register_parameter("in_proj_weight", learned(same, 3 * embed_dim, embed_dim))
        self.register_parameter("q_proj_weight", learned(not same, embed_dim, embed_dim))
        self.register_parameter("k_proj_weight", learned(not same, embed_dim, self.kdim))
        self.register_parameter("v_proj_weight", learned(not same, embed_dim, self.vdim))
        self.register_parameter("in_proj_bias", learned(bias, 3 * embed_dim))
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, **made)
        self.register_parameter("bias_k", learned(add_bias_kv, 1, 1, embed_dim))
        self.register_parameter("bias_v", learned(add_bias_kv, 1, 1, embed_dim))
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            weight = getattr(self, name)
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(output, weights); the weights are None unless need_weights."""
        if is_causal and attn_mask is None:
            raise RuntimeError(
                "MultiheadAttention: need attn_mask if specifying the is_causal hint; pass the mask "
                "too."
            )
        single = query.dim() == 2
        if single:
            query, key, value = (t.unsqueeze(0) for t in (query, key, value))
            if key_padding_mask is not None:
                key_padding_mask = key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = (t.transpose(0, 1) for t in (query, key, value))
        if query.dim() != 3 or query.shape[-1] != self.embed_dim:
            raise FalseAssumptionError(
                f"MultiheadAttention: was expecting embedding dimension of {self.embed_dim}, but got {query.shape[-1]}: "
                f"the query's last axis has as many as embed_dim, and it has 2 or 3 axes."
            )
        q, k, v = self._project(query, key, value)
        k, v, extra = self._extended(k, v)
        q, k, v = (self._heads(t) for t in (q, k, v))
        mask = self._mask(attn_mask, key_padding_mask, q, extra)
        drop = self.dropout if self.training else 0.0
        if need_weights:
            output, weights = _attend(q, k, v, mask, drop)
        else:
            only_causal = is_causal and key_padding_mask is None and not extra
            output, weights = (
                F.scaled_dot_product_attention(
                    q, k, v, None if only_causal else mask, drop, only_causal
                ),
                None,
            )
        output = self.out_proj(output.transpose(1, 2).flatten(2))
        if weights is not None and average_attn_weights:
            weights = weights.mean(dim=1)
        if single:
            return output.squeeze(0), None if weights is None else weights.squeeze(0)
        return output if self.batch_first else output.transpose(0, 1), weights

    def _project(self, query, key, value) -> list[Tensor]:
        """Query, key and value after their input projections."""
        embed = self.embed_dim
        if self._qkv_same_embed_dim and query is key and key is value:
            return list(
                F.linear(query, self.in_proj_weight, self.in_proj_bias).split(embed, dim=-1)
            )
        if self._qkv_same_embed_dim:
            weights = self.in_proj_weight.split(embed)
        else:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.split(embed)
        return [F.linear(t, w, b) for t, w, b in zip((query, key, value), weights, biases)]

    def _extended(self, k, v) -> tuple[Tensor, Tensor, int]:
        """Keys and values with the learned and the zero position appended, and how many were."""
        extra = 0
        batch = k.shape[0]
        if self.bias_k is not None:
            k = ops.cat([k, self.bias_k.expand(batch, 1, -1).to(k.dtype)], dim=1)
            v = ops.cat([v, self.bias_v.expand(batch, 1, -1).to(v.dtype)], dim=1)
            extra += 1
        if self.add_zero_attn:
            k = ops.cat([k, k.new_zeros((batch, 1, self.embed_dim))], dim=1)
            v = ops.cat([v, v.new_zeros((batch, 1, self.embed_dim))], dim=1)
            extra += 1
        return k, v, extra

    def _heads(self, t: Tensor) -> Tensor:
        """(N, L, E) -> (N, heads, L, E / heads)."""
        return t.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)

    def _mask(self, attn_mask, key_padding_mask, q: Tensor, extra: int) -> Tensor | None:
        """One float mask to add to the scores (N, heads, L, S), or None."""
        mask = None
        if attn_mask is not None:
            mask = _additive(attn_mask, q)
            if mask.dim() == 3:
                mask = mask.unflatten(0, (-1, self.num_heads))
        if key_padding_mask is not None:
            padding = _additive(key_padding_mask, q)[:, None, None, :]
            mask = padding if mask is None else mask + padding
        if mask is not None and extra:
            mask = F.pad(mask, (0, extra))
        return mask


def _additive(mask: Tensor, like: Tensor) -> Tensor:
    """A boolean mask as 0 and -inf in the dtype of the scores; a float one in that dtype."""
    if mask.dtype is not bool_:
        return mask.to(like.dtype)
    return ops.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill(
        mask, float("-inf")
    )


def _attend(q, k, v, mask, drop: float) -> tuple[Tensor, Tensor]:
    """Attention that also returns its weights."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    weights = F.softmax(scores if mask is None else scores + mask, dim=-1)
    if drop:
        weights = F.dropout(weights, drop)
    return weights @ v, weights


class TransformerEncoderLayer(Module):
    """Self-attention and a two-layer network, each with a residual and a LayerNorm."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        made = {"bias": bias, "device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout=dropout, batch_first=batch_first, **made
        )
        self.linear1 = Linear(d_model, dim_feedforward, **made)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **made)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, **made)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, **made)
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.activation = activation_named(activation)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        masks = (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            src = src + self._attention(self.norm1(src), *masks)
            return src + self._feed_forward(self.norm2(src))
        src = self.norm1(src + self._attention(src, *masks))
        return self.norm2(src + self._feed_forward(src))

    def _attention(self, x, mask, padding, is_causal: bool) -> Tensor:
        output, _ = self.self_attn(
            x,
            x,
            x,
            attn_mask=mask,
            key_padding_mask=padding,
            need_weights=False,
            is_causal=is_causal,
        )
        return self.dropout1(output)

    def _feed_forward(self, x) -> Tensor:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    """A stack of copies of one TransformerEncoderLayer.

    enable_nested_tensor and mask_check are accepted for compatibility: padding is always masked.
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ):
        super().__init__()
        self.layers = ModuleList(copy.deepcopy(encoder_layer) for _ in range(num_layers))
        self.num_layers, self.norm = num_layers, norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        causal = bool(is_causal) and mask is not None
        for layer in self.layers:
            src = layer(
                src,
                src_mask=mask,
                src_key_padding_mask=src_key_padding_mask,
                is_causal=causal,
            )
        return src if self.norm is None else self.norm(src)


def activation_named(given: str | Callable) -> Callable:
    """The function of a name, or what was given."""
    if not isinstance(given, str):
        return given
    if given not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {given}")
    return getattr(F, given)
