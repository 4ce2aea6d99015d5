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


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("scale", [-0.5, 0.0, 0.7])
@pytest.mark.parametrize("keys", [512, 530, 1100])
def test_scales_and_blocks_of_keys(keys, scale, dtype):
    torch.manual_seed(2)
    shapes = [(2, 40, 16), (2, keys, 16), (2, keys, 24)]
    compare([torch.randn(s).to(dtype) for s in shapes], dtype, scale=scale)


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
def test_scores_far_apart(dtype):
    """One key outweighs all others, late; weights below the smallest number vanish."""
    q, k = torch.ones(33, 8), torch.zeros(700, 8)
    k[:, 0] = torch.linspace(-60, 0, 700)
    k[650, 0], k[699, 0] = 300, -4000
    v = torch.arange(700.0)[:, None].expand(700, 5) / 700
    got = attend(*[ours(t.to(dtype)) for t in (q, k, v)], scale=1.0)
    close(torch.full((33, 5), 650 / 700).to(dtype), got, dtype)


def test_not_a_number_stays_in_its_row():
    q = torch.randn(40, 16)
    q[7, 3] = float("nan")
    for dtype in (torch.float32, torch.bfloat16):
        x = ours(q.to(dtype))
        found = attend(x, ours(torch.randn(64, 16).to(dtype)), ours(torch.randn(64, 8).to(dtype)))
        rows = np.isnan(found.float().numpy()).any(1)
        assert rows.nonzero()[0].tolist() == [7]


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


def heads_inside(t: torch.Tensor) -> torch.Tensor:
    """The same tensor with heads inside positions in memory, as projections leave it."""
    return t.transpose(1, 2).contiguous().transpose(1, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("mask", ["bool", "float", "broadcast", "per head"])
def test_masks_of_long_sequences(mask, dtype):
    torch.manual_seed(2)
    shapes = [(2, 3, 75, 32), (2, 3, 150, 32), (2, 3, 150, 48)]
    tensors = [heads_inside(torch.randn(s)).to(dtype) for s in shapes]
    if mask == "bool":
        tensors.append(torch.rand(75, 150) > 0.5)
        tensors[-1][3] = False
    elif mask == "broadcast":
        tensors.append(torch.rand(2, 1, 1, 150) > 0.3)
    a, b = (
        [t.clone().requires_grad_() if t.dtype != torch.bool else t for t in tensors],
        [ours(t) for t in tensors],
    )
    extra = {"float": (75, 150), "per head": (1, 3, 75, 150)}.get(mask)
    if extra:
        bias = torch.randn(extra).to(dtype)
        a, b = [*a, bias], [*b, ours(bias)]
    for t in b[:3]:
        t.requires_grad = True
    want = torch.nn.functional.scaled_dot_product_attention(*a)
    got = attend(*b)
    g = torch.randn(want.shape).to(dtype)
    want.backward(g)
    got.backward(ours(g))
    close(want, got, dtype)
    for p, q in zip(a[:3], b[:3]):
        close(p.grad, q.grad, dtype)


def test_heads_stay_inside():
    q = mezzo.rand(2, 64, 4, 32).transpose(1, 2)
    assert attend(q, q, q).transpose(1, 2).is_contiguous()


@pytest.mark.parametrize("causal", [False, True])
def test_second_derivatives(causal):
    torch.manual_seed(3)
    tensors = [torch.randn(2, 40, 16) * 0.5 for _ in range(3)]
    a = [t.clone().requires_grad_() for t in tensors]
    b = [ours(t) for t in tensors]
    for t in b:
        t.requires_grad = True
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        want = torch.nn.functional.scaled_dot_product_attention(*a, is_causal=causal)
    first = torch.autograd.grad((want**2).sum(), a, create_graph=True)
    second = torch.autograd.grad(sum((t**2).sum() for t in first), a)
    got = attend(*b, is_causal=causal)
    mine = mezzo.autograd.grad((got * got).sum(), b, create_graph=True)
    again = mezzo.autograd.grad(
        (mine[0] * mine[0]).sum() + (mine[1] * mine[1]).sum() + (mine[2] * mine[2]).sum(), b
    )
    for p, q in zip(second, again):
        torch.testing.assert_close(
            torch.from_numpy(np.array(q.detach().numpy())), p, rtol=1e-3, atol=1e-3
        )


def test_vmap():
    torch.manual_seed(4)
    q, k = torch.randn(3, 2, 40, 16), torch.randn(2, 50, 16)
    got = mezzo.func.vmap(lambda a: attend(a, ours(k), ours(k)))(ours(q))
    for i in range(3):
        close(torch.nn.functional.scaled_dot_product_attention(q[i], k, k), got[i], torch.float32)
