"""Gradients do not depend on how operands and incoming gradients lie in memory, at sizes that fill vectors.

The derived tests use small tensors, whose channels fit into the scalar rest of a kernel; here they do not.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo

C = 64
_DRAW = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return _DRAW.standard_normal(shape).astype(np.float32)


IMAGE, SEQUENCE, TABLE, HEADS = normal(2, C, 13, 13), normal(4, 20, C), normal(70, C), normal(2, 2, 20, 32)  # fmt: skip
# name -> (function of the library and tensors, operands)
CASES = {
    "conv2d": (lambda l, F, x, w: F.conv2d(x, w, None, 1, 1), IMAGE, normal(C, C, 3, 3)),
    "conv2d, stride 2": (lambda l, F, x, w: F.conv2d(x, w, None, 2, 1), IMAGE, normal(C, C, 3, 3)),
    "conv2d 1x1": (lambda l, F, x, w: F.conv2d(x, w), IMAGE, normal(32, C, 1, 1)),
    "conv2d, depthwise": (lambda l, F, x, w: F.conv2d(x, w, None, 1, 1, 1, C), IMAGE, normal(C, 1, 3, 3)),
    "conv2d, grouped": (lambda l, F, x, w: F.conv2d(x, w, None, 1, 1, 1, 4), IMAGE, normal(C, 16, 3, 3)),
    "conv_transpose2d": (lambda l, F, x, w: F.conv_transpose2d(x, w, None, 2, 1), IMAGE, normal(C, C, 3, 3)),
    "max_pool2d": (lambda l, F, x: F.max_pool2d(x, 3, 2, 1), IMAGE),
    "avg_pool2d": (lambda l, F, x: F.avg_pool2d(x, 3, 2, 1), IMAGE),
    "adaptive_avg_pool2d": (lambda l, F, x: F.adaptive_avg_pool2d(x, 5), IMAGE),
    "batch_norm": (lambda l, F, x, a, b: F.batch_norm(x, None, None, a, b, True), IMAGE, normal(C), normal(C)),
    "group_norm": (lambda l, F, x, a, b: F.group_norm(x, 8, a, b), IMAGE, normal(C), normal(C)),
    "layer_norm": (lambda l, F, x, a, b: F.layer_norm(x, (C,), a, b), SEQUENCE, normal(C), normal(C)),
    "softmax": (lambda l, F, x: x.softmax(-1), SEQUENCE),
    "softmax, middle": (lambda l, F, x: x.softmax(1), SEQUENCE),
    "log_softmax": (lambda l, F, x: x.log_softmax(-1), SEQUENCE),
    "gelu": (lambda l, F, x: F.gelu(x), IMAGE),
    "prelu": (lambda l, F, x, a: F.prelu(x, a), IMAGE, normal(C)),
    "glu": (lambda l, F, x: F.glu(x, 1), IMAGE),
    "linear": (lambda l, F, x, w, b: F.linear(x, w, b), SEQUENCE, normal(48, C), normal(48)),
    "bmm": (lambda l, F, x, w: l.bmm(x, w), SEQUENCE, normal(4, C, 20)),
    "attention": (lambda l, F, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), HEADS, HEADS + 1, HEADS * 2),
    "interpolate, bilinear": (lambda l, F, x: F.interpolate(x, scale_factor=2, mode="bilinear"), IMAGE),
    "interpolate, nearest": (lambda l, F, x: F.interpolate(x, scale_factor=2), IMAGE),
    "pad, reflect": (lambda l, F, x: F.pad(x, (1, 2, 3, 1), mode="reflect"), IMAGE),
    "unfold": (lambda l, F, x: F.unfold(x, 3), IMAGE),
    "cumsum": (lambda l, F, x: x.cumsum(1), SEQUENCE),
    "sort": (lambda l, F, x: x.sort(1)[0], SEQUENCE),
    "topk": (lambda l, F, x: x.topk(7, 1)[0], SEQUENCE),
    "max": (lambda l, F, x: x.max(1)[0], SEQUENCE),
    "logsumexp": (lambda l, F, x: x.logsumexp(1), SEQUENCE),
    "prod": (lambda l, F, x: x.prod(1), 0.1 * SEQUENCE + 1),
    "std": (lambda l, F, x: x.std(1), SEQUENCE),
    "embedding": (lambda l, F, w: F.embedding(l.arange(300).reshape(3, 100) % 70, w), TABLE),
    "index": (lambda l, F, w: w[l.arange(300).reshape(3, 100) % 70], TABLE),
    "index_select": (lambda l, F, x: x.index_select(1, l.arange(55) % 20), SEQUENCE),
    "cat": (lambda l, F, x: l.cat([x, x * 2], 1), SEQUENCE),
    "pixel_shuffle": (lambda l, F, x: F.pixel_shuffle(x, 4), IMAGE),
}  # fmt: skip


def layouts(array: np.ndarray):
    """(name, tensor): the same values, rows innermost, channels innermost, all axes turned round, and with gaps."""
    yield "rows", mezzo.from_numpy(array.copy())
    if array.ndim < 2:
        return
    axes = range(array.ndim)
    last = [0, *axes[2:], 1] if array.ndim > 2 else [1, 0]
    for name, order in (("channels last", last), ("turned", [*reversed(axes)])):
        back = [int(i) for i in np.argsort(order)]
        yield name, mezzo.from_numpy(np.ascontiguousarray(array.transpose(order))).permute(*back)
    gaps = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    gaps[..., ::2] = array
    yield "gaps", mezzo.from_numpy(gaps)[..., ::2]


@pytest.mark.parametrize("name", CASES)
def test_layouts_do_not_matter(name):
    function, *operands = CASES[name]
    theirs = [torch.from_numpy(a).double().requires_grad_() for a in operands]
    out = function(torch, torch.nn.functional, *theirs)
    arriving = normal(*out.shape)
    out.backward(torch.from_numpy(arriving).double())
    want = [t.grad.numpy() for t in theirs]
    for lies, first in layouts(operands[0]):
        for comes, gradient in layouts(arriving):
            ours = [first.detach(), *(mezzo.from_numpy(a) for a in operands[1:])]
            ours = [t.requires_grad_() for t in ours]
            function(mezzo, mezzo.nn.functional, *ours).backward(gradient)
            for found, expected in zip(ours, want):
                np.testing.assert_allclose(
                    found.grad.numpy(), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max(),
                    err_msg=f"operand {lies}, gradient {comes}",
                )  # fmt: skip
