"""Attention against PyTorch: every form of mask, gradients, dtypes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo
from mezzo import ops

attend = ops.scaled_dot_product_attention
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 4e-2, torch.float16: 6e-3}


def ours(tensor: torch.Tensor):
    if tensor.dtype == torch.bool:
        return mezzo.from_numpy(tensor.numpy().copy())
    wide = mezzo.from_numpy(tensor.detach().double().numpy().copy())
    return wide.to(getattr(mezzo, str(tensor.dtype).removeprefix("torch.")))


def close(a: torch.Tensor, b, dtype) -> None:
    b = torch.from_numpy(np.array(b.detach().to(mezzo.float64).numpy()))
    torch.testing.assert_close(b, a.detach().double(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def compare(tensors, dtype, **options) -> None:
    a = [t.clone().requires_grad_() if t.dtype != torch.bool else t for t in tensors]
    b = [ours(t) for t in tensors]
    for t in b:
        if t.dtype is not mezzo.bool:
            t.requires_grad = True
    want = torch.nn.functional.scaled_dot_product_attention(*a, **options)
    got = attend(*b, **options)
    g = torch.randn(want.shape).to(dtype)
    want.backward(g)
    got.backward(ours(g))
    close(want, got, dtype)
    for p, q in zip(a, b):
        if p.requires_grad:
            close(p.grad, q.grad, dtype)


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("sample", attend.samples, ids=str)
def test_samples(sample, dtype):
    torch.manual_seed(0)
    tensors = []
    for t in sample.args:
        made = torch.rand(t.shape) > 0.4 if t.kind == "bool" else torch.randn(t.shape).to(dtype)
        if t.kind == "bool":
            made[0] = False  # a query that sees nothing gets zeros
        tensors.append(made)
    compare(tensors, dtype, **sample.kwargs)


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [(65, 65), (130, 70), (64, 200), (1, 100)])
def test_longer(lengths, causal, dtype):
    torch.manual_seed(1)
    shapes = [(2, 2, lengths[0], 40), (2, 2, lengths[1], 40), (2, 2, lengths[1], 24)]
    compare([torch.randn(s).to(dtype) for s in shapes], dtype, is_causal=causal)


def test_dropout_keeps_the_mean():
    mezzo.manual_seed(0)
    one = mezzo.ones(4, 64, 8)
    y = attend(one, one, one, dropout_p=0.5)
    assert abs(float(y.mean().item()) - 1) < 0.1
    assert attend(one, one, one, dropout_p=0.0).mean().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("case", attend.errors, ids=str)
def test_bad_input(case):
    sample, kind, part = case
    with pytest.raises(kind, match=part):
        attend(*[ours(torch.randn(t.shape)) for t in sample.args], **sample.kwargs)
