"""Attention."""

from __future__ import annotations

import math
import threading

from mezzo import dtypes
from mezzo.core.families.attention import fused_attention
from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.rows import rows
from mezzo.core.record import composite, none
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ImpossibleValueError, ShapeError
from mezzo.kernels import ir as k
from mezzo.kernels.cpu.attention.dropout import BITS, KEYS, halves, threshold
from mezzo.kernels.cpu.rows import Rows
from mezzo.ops.create import arange
from mezzo.ops.linalg import product
from mezzo.ops.random import draw_wide_integers, dropout
from mezzo.ops.shape import expand, reshape, transpose
from mezzo.ops.softmax import ordered_max, row_frame, softmax_backward
from mezzo.rules import batching, shapes
from mezzo.rules import dtypes as rules
from mezzo.rules.samples import S, T, truth

_LOWEST = -math.inf
_FLOATS = (dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.float16)
ROUNDED = 16  # keys below which weights rounded to bfloat16 would be the largest error


@elementwise(where="", raw=("row", "column"), kernel=lambda x, row, column, fill: k.where(column <= row, x, fill),
             vjp={"input": lambda g, _y, _x, row, column, fill: hide_after(g, row, column, 0.0)},
             samples=[S(T(2, 3), T(2, 1, kind="index", high=2), T(3, kind="index", high=3), only=_FLOATS)],
             reference=lambda x, row, column: x.masked_fill(column > row, _LOWEST))  # fmt: skip
def hide_after(input: Tensor, row: Tensor, column: Tensor, fill=_LOWEST) -> Tensor:
    """input where column <= row, else fill."""


@elementwise(where="", raw=("keep",), kernel=lambda x, keep, fill: k.where(keep, x, fill),
             vjp={"input": lambda g, _y, _x, keep, fill: hide_where_not(g, keep, 0.0)},
             samples=[S(T(2, 3), truth(2, 3), only=_FLOATS), S(T(2, 2, 3), truth(2, 3), only=_FLOATS)],
             reference=lambda x, keep: x.masked_fill(~keep, _LOWEST))  # fmt: skip
def hide_where_not(input: Tensor, keep: Tensor, fill=_LOWEST) -> Tensor:
    """input where keep is true, else fill."""


def _weights(x: k.Expr) -> Rows:
    largest = ordered_max(x)
    e = k.exp(x - largest)
    return Rows(each=(k.where(largest.eq(_LOWEST), 0.0, e * (1.0 / k.row_sum(e))),))


@rows(kernel=_weights, where="", batch=batching.elementwise,
      vjp={"input": lambda g, y, _x: softmax_backward(g, y, -1)},
      samples=[S(T(3, 5), only=_FLOATS)], reference=lambda x: x.softmax(-1))  # fmt: skip
def attention_weights(input: Tensor) -> Tensor:
    """softmax along the last axis; zeros where all of a row is -inf."""
    return row_frame(input, -1, [])


def _checked(query: Tensor, key: Tensor, value: Tensor, mask, is_causal: bool) -> None:
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.ndim < 2:
            raise Fact(
                ShapeError, f"{name} must have at least 2 axes, and has shape {list(tensor.shape)}"
            )
        if tensor.dtype is not query.dtype:
            raise Fact(DTypeError, f"Expected query, key, and value to have the same dtype, but {name} is {tensor.dtype.name} "
                                   f"and query {query.dtype.name}", "Convert with .to(query.dtype).")  # fmt: skip
    if query.dtype.category != dtypes.FLOAT:
        raise Fact(
            DTypeError,
            f"is not implemented for {query.dtype.name}; it needs a floating dtype",
            "Convert with x.float().",
        )
    if query.shape[-1] != key.shape[-1]:
        raise Fact(
            ShapeError,
            f"query has {query.shape[-1]} features and key {key.shape[-1]}; they must be equal",
        )
    if key.shape[-2] != value.shape[-2]:
        raise Fact(
            ShapeError,
            f"key has length {key.shape[-2]} and value {value.shape[-2]}; they must be equal",
        )
    if mask is None:
        return
    if is_causal:
        raise Fact(
            ShapeError,
            "Explicit attn_mask should not be set when is_causal=True",
            "Pass one of them.",
        )
    if (
        mask.dtype is not dtypes.bool_
        and mask.dtype is not query.dtype
        and mask.dtype is not dtypes.float32
    ):
        raise Fact(DTypeError, f"Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
                               f"{mask.dtype.name} and query.dtype: {query.dtype.name}")  # fmt: skip


def _shared_heads(query: Tensor, tensor: Tensor, name: str) -> Tensor:
    """The heads of key or value repeated such that each group of query heads has its own."""
    if query.ndim < 3 or tensor.ndim < 3:
        raise Fact(
            ShapeError, f"enable_gqa needs a head axis, and {name} has shape {list(tensor.shape)}"
        )
    have, want = tensor.shape[-3], query.shape[-3]
    if have == want:
        return tensor
    if have == 0 or want % have:
        raise Fact(
            ShapeError, f"query has {want} heads, which is no multiple of the {have} of {name}"
        )
    lead, tail = tuple(tensor.shape[:-2]), tuple(tensor.shape[-2:])
    spread = tensor.unsqueeze(-3).expand((*lead, want // have, *tail))
    return reshape(spread, (*lead[:-1], want, *tail))


def _scored(query, key, mask, causal: bool, scale) -> Tensor:
    """The weights as one matrix per head, in float32 or wider."""
    wide = dtypes.float64 if query.dtype is dtypes.float64 else dtypes.float32
    scores = product(query, transpose(key, -2, -1), None, query.dtype, wide) * scale
    if causal:
        rows_at = arange(query.shape[-2], device=query.device)
        columns_at = arange(key.shape[-2], device=query.device)
        scores = hide_after(scores, reshape(rows_at, (-1, 1)), columns_at)
    if mask is not None:
        scores = hide_where_not(scores, mask) if mask.dtype is dtypes.bool_ else scores + mask
    return attention_weights(scores)


def _composed(query, key, value, mask, dropout_p, causal: bool, scale) -> Tensor:
    """Attention by whole matrices of scores: what the fused kernels do not cover."""
    weights = _scored(query, key, mask, causal, scale)
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p)
    return product(weights, value, None, weights.dtype, query.dtype)


def _composed_grad(g, query, key, value, mask, seed, causal: bool, scale, p: float):
    """The gradients by operations that can be differentiated again."""
    weights = _scored(query, key, mask, causal, scale)
    wide, given = weights.dtype, weights
    d = product(g, transpose(value, -2, -1), None, g.dtype, wide)
    if seed is not None:
        kept = _kept(seed, query.shape[-2], key.shape[-2], wide, p)
        given, d = weights * kept, d * kept
    d = softmax_backward(d, weights, -1) * scale
    dq = product(d, key, None, wide, query.dtype)
    dk = product(transpose(d, -2, -1), query, None, wide, key.dtype)
    return dq, dk, product(transpose(given, -2, -1), g, None, wide, value.dtype)


def _kept(seed: Tensor, queries: int, keys: int, dtype, p: float) -> Tensor:
    """What dropout multiplies weights by, as whole matrices."""
    rows, columns = (arange(n, device=seed.device) for n in (queries, keys))
    seed = seed.unsqueeze(-1).unsqueeze(-1)
    bound = threshold(1.0 - p)
    kept = keeps(seed, reshape(rows, (-1, 1)), columns, bound).to(dtype)
    return kept * ((1 << BITS) / bound if bound else 0.0)


def _keeps(seed, query, key, bound):
    part, found = key & (KEYS - 1), k.const(0, "i64")
    for i, number in enumerate(halves(query, k.shift_right_logical(key, 3), seed)):
        found = k.where(part.eq(i), number, found)
    return found < bound


@elementwise(where="", kernel=_keeps, dtype=rules.compare, vjp=none("integers"), samples=[])
def keeps(seed: Tensor, query: Tensor, key: Tensor, bound) -> Tensor:
    """Whether dropout of attention keeps the weight of a query and a key."""


def _fused_vjp(g, y, query, key, value, mask, seed, causal, scale, dropout):
    g = g[0]
    if STATE.grad:  # a second derivative may follow
        return (
            *_composed_grad(g, query, key, value, mask, seed, causal, scale, dropout),
            None,
            None,
        )
    g = g if g.layout.strides[-1] == 1 else g.contiguous()
    turned = None if mask is None else transpose(mask, -2, -1).contiguous()
    return (
        *attend_grad(g, query, key, value, turned, seed, *y, causal, scale, dropout),
        None,
        None,
    )


def _batch_heads(record, size, args, batched):
    """The batch becomes the first of the leading axes."""
    full = batching.every(args, batched, size, record.operands)
    less = {"lse": 1, "seed": 2}  # axes that they have less
    lacks = {i: less.get(record.names[i], 0) for i in record.operands}
    rank = max(full[i].ndim + lacks[i] for i in record.operands if full[i] is not None)
    for i in record.operands:
        want = rank - lacks[i]
        while full[i] is not None and full[i].ndim < want:
            full[i] = full[i].unsqueeze(1)
    return record.apply(tuple(full))


@fused_attention(
    back=False, where="", batch=_batch_heads, no_gradient_outputs=(1,), vjp=_fused_vjp, samples=[]
)
def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    seed: Tensor | None,
    causal,
    scale,
    dropout,
):
    """Attention without matrices of scores, and the logarithm of each row's sum (float32)."""


@fused_attention(back=True, where="", batch=_batch_heads, samples=[],
                 vjp=none("made only where no further derivative is asked for"))  # fmt: skip
def attend_grad(
    g: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    seed: Tensor | None,
    out: Tensor,
    lse: Tensor,
    causal,
    scale,
    dropout,
):
    """The gradients of attend by query, key and value; mask: transposed."""


class Choice(threading.local):
    """Which ways to compute attention are allowed in this thread: see nn.attention.sdpa_kernel."""

    def __init__(self):
        self.fused = self.composed = True


CHOICE = Choice()


def _is_fused(query, key, value, mask) -> bool:
    """Whether the fused kernels run: where they can, and are allowed."""
    if CHOICE.fused and _fusable(query, key, value, mask):
        return True
    if not CHOICE.composed:
        raise Fact(
            ImpossibleValueError,
            "No available kernel: only fused kernels are allowed here, and they do not cover this call",
            "Allow SDPBackend.MATH in sdpa_kernel() too.",
        )
    return False


def _fusable(query, key, value, mask) -> bool:
    """True for what the fused kernels cover."""
    if query.dtype is dtypes.float64 or 0 in (*query.shape, *key.shape, *value.shape):
        return False
    if query.dtype is dtypes.bfloat16 and key.shape[-2] < ROUNDED:
        return False
    if mask is None:
        return True
    lead = shapes.broadcast([tuple(t.shape[:-2]) for t in (query, key, value)])
    fits = mask.ndim - 2 <= len(lead) and all(
        m in (1, n) for m, n in zip(mask.shape[-3::-1], lead[::-1])
    )
    return fits and not (STATE.grad and mask.requires_grad)


def _mask_rows(mask: Tensor, queries: int, keys: int) -> Tensor:
    """The mask with both its last axes whole, the last contiguous."""
    lead = tuple(mask.shape[:-2]) if mask.ndim > 2 else ()
    have = tuple(mask.shape[-2:])
    if any(n not in (1, want) for n, want in zip(reversed(have), (keys, queries))):
        raise Fact(
            ShapeError,
            f"attn_mask has shape {list(mask.shape)}; its last two axes must be {queries} (queries) and {keys} (keys), "
            "or 1",
        )
    mask = expand(mask, (*lead, queries, keys))
    return mask if mask.layout.strides[-1] == 1 else mask.contiguous()


@composite(where="nn.functional", cast="low", samples=[
    S(T(2, 3, 5, 4), T(2, 3, 6, 4), T(2, 3, 6, 7)), S(T(2, 3, 5, 4), T(2, 3, 5, 4), T(2, 3, 5, 4), is_causal=True),
    S(T(2, 3, 5, 4), T(2, 3, 6, 4), T(2, 3, 6, 4), truth(5, 6)), S(T(2, 3, 5, 4), T(2, 3, 6, 4), T(2, 3, 6, 4), T(2, 1, 5, 6)),
    S(T(5, 4), T(6, 4), T(6, 4), scale=0.3), S(T(2, 4, 5, 4), T(2, 2, 6, 4), T(2, 2, 6, 4), enable_gqa=True),
    S(T(3, 5, 4), T(3, 2, 4), T(3, 2, 4), is_causal=True)],
    errors=[(S(T(2, 5, 4), T(2, 6, 3), T(2, 6, 4)), RuntimeError, "features"),
            (S(T(2, 5, 4), T(2, 6, 4), T(2, 6, 4), T(5, 6), is_causal=True), RuntimeError, "is_causal")])  # fmt: skip
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p=0.0,
                                 is_causal=False, *, scale=None, enable_gqa=False) -> Tensor:  # fmt: skip
    """Values averaged with weights softmax(query key^T scale), for each position of the query.

    Math:   y = softmax(query @ key.T * scale + mask) @ value; scale: 1 / sqrt(features) unless given
    Shapes: (..., l, e), (..., s, e), (..., s, v), mask broadcastable to (..., l, s) -> (..., l, v)
    Dtypes: all the same; scores and their softmax are float32 or wider
    Source: torch.nn.functional.scaled_dot_product_attention
    """
    _checked(query, key, value, attn_mask, is_causal)
    if not 0.0 <= dropout_p <= 1.0:
        raise Fact(ArgumentValueError, f"dropout_p is {dropout_p}; it must lie between 0 and 1")
    if enable_gqa:
        key, value = _shared_heads(query, key, "key"), _shared_heads(query, value, "value")
    scale = float(1.0 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if _is_fused(query, key, value, attn_mask):
        if attn_mask is not None:
            attn_mask = _mask_rows(attn_mask, query.shape[-2], key.shape[-2])
        seed, dropout_p = None, float(dropout_p)
        if dropout_p > 0.0:
            lead = shapes.broadcast([tuple(t.shape[:-2]) for t in (query, key, value)])
            seed = draw_wide_integers(lead, dtypes.int64, query.device, None, 0, 1 << 62)
        return attend(query, key, value, attn_mask, seed, bool(is_causal), scale, dropout_p)[0]
    return _composed(query, key, value, attn_mask, dropout_p, is_causal, scale)
