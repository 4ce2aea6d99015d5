"""Attention against PyTorch: every form of mask, gradients, dtypes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo
from mezzo import ops
from mezzo.kernels.cpu import entry, jit, target
from mezzo.kernels.cpu.attention import weights
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.ops.random import draw_wide_integers

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


@pytest.mark.parametrize("queries", [40, 300])
@pytest.mark.parametrize("scale", [0.125, 1.0])
def test_floats_lose_no_bits(scale, queries):
    """However products are made, float32 is as exact as PyTorch's, against float64."""
    torch.manual_seed(7)
    tensors = [torch.randn(2, n, 64) for n in (queries, 530, 530)]
    sdpa = torch.nn.functional.scaled_dot_product_attention
    exact = sdpa(*[t.double() for t in tensors], scale=scale)
    theirs = (sdpa(*tensors, scale=scale) - exact).abs().max()
    mine = attend(*[ours(t) for t in tensors], scale=scale)
    found = (torch.from_numpy(np.array(mine.numpy())) - exact).abs().max()
    assert found <= 2 * theirs


def gradients(tensors, g, dtype: torch.dtype, causal: bool) -> list[torch.Tensor]:
    """PyTorch's output, and its gradients by query, key and value."""
    inputs = [t.to(dtype).clone().requires_grad_() for t in tensors]
    y = torch.nn.functional.scaled_dot_product_attention(*inputs, is_causal=causal)
    return [y.detach(), *torch.autograd.grad(y, inputs, g.to(dtype))]


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(
    ("queries", "keys", "causal"), [(300, 530, False), (300, 530, True), (64, 2048, False)]
)
def test_gradients_of_floats_lose_no_bits(queries, keys, causal, positive):
    """Errors against float64 are those of PyTorch's float32, also of long sums of one sign, where roundings add up."""
    torch.manual_seed(11)
    tensors = [torch.randn(2, n, 64) for n in (queries, keys, keys)]
    g = torch.randn(2, queries, 64)
    if positive:
        tensors[2], g = tensors[2].abs(), g.abs()
    inputs = [ours(t) for t in tensors]
    for t in inputs:
        t.requires_grad = True
    y = attend(*inputs, is_causal=causal)
    found = [y.detach(), *mezzo.autograd.grad(y, inputs, ours(g))]
    single, exact = (gradients(tensors, g, d, causal) for d in (torch.float32, torch.float64))
    for mine, theirs, want in zip(found, single, exact):
        error = torch.from_numpy(np.array(mine.numpy())).double() - want
        assert error.square().mean() <= 4 * (theirs - want).square().mean()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("features", [(32, 16), (72, 130)])
@pytest.mark.parametrize("queries", [33, 260])
def test_sums_over_blocks_of_any_depth(queries, features, dtype):
    """Sums that wait for the next product, of panels one step deep and more, and masks on whole squares and on parts."""
    torch.manual_seed(13)
    shapes = [(2, queries, features[0]), (2, 200, features[0]), (2, 200, features[1])]
    tensors = [torch.randn(s).to(dtype) for s in shapes]
    compare(tensors, dtype)
    for mask in (torch.rand(queries, 200) > 0.2, torch.randn(queries, 200).to(dtype)):
        mask[:, 0] = 1
        a, b = [t.clone().requires_grad_() for t in tensors], [ours(t) for t in tensors]
        for t in b:
            t.requires_grad = True
        want = torch.nn.functional.scaled_dot_product_attention(*a, attn_mask=mask)
        got, g = attend(*b, attn_mask=ours(mask)), torch.randn(2, queries, features[1]).to(dtype)
        want.backward(g)
        got.backward(ours(g))
        close(want, got, dtype)
        for p, q in zip(a, b):
            close(p.grad, q.grad, dtype)


def test_infinities_stay_where_they_are():
    """An infinite value reaches its column of the output, an infinite gradient that of the values' gradient."""
    torch.manual_seed(12)
    for dtype in (torch.float32, torch.float16):
        q, k, v, g = (torch.randn(n, 32).to(dtype) for n in (70, 90, 90, 70))
        v[60, 3], v[61, 5], g[40, 7] = float("inf"), -float("inf"), float("inf")
        inputs = [ours(t) for t in (q, k, v)]
        inputs[2].requires_grad = True
        y = attend(*inputs)
        (dv,) = mezzo.autograd.grad(y, inputs[2:], ours(g))
        a = [t.double() for t in (q, k, v)]
        weights_ = (a[0] @ a[1].T / 32**0.5).softmax(-1)
        for got, want in ((y, weights_ @ a[2]), (dv, weights_.T @ g.double())):
            got = torch.from_numpy(np.array(got.detach().float().numpy()))
            assert not got.isnan().any()
            assert torch.equal(got.isposinf(), want.isposinf())
            assert torch.equal(got.isneginf(), want.isneginf())


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
def test_maxima_that_rise_with_every_key(dtype):
    """What was summed before shrinks again and again, at other keys in every row."""
    torch.manual_seed(8)
    q, k, v = torch.zeros(70, 32), torch.randn(600, 32) * 0.1, torch.randn(600, 40)
    q[:, 0], k[:, 0] = torch.linspace(0.1, 3, 70), torch.linspace(0, 40, 600)
    q, k, v = (t.to(dtype) for t in (q, k, v))
    want = torch.nn.functional.scaled_dot_product_attention(
        *[t.double() for t in (q, k, v)], scale=1.0
    )
    close(want, attend(*[ours(t) for t in (q, k, v)], scale=1.0), dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("causal", [False, True])
def test_threads_change_no_bit(causal, dtype):
    mezzo.manual_seed(9)
    q, k = mezzo.randn(2, 600, 48), mezzo.randn(2, 700, 48)
    q, k = (t.to(getattr(mezzo, dtype)).requires_grad_() for t in (q, k))
    before = mezzo.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            mezzo.set_num_threads(threads)
            y = attend(q, k, k, is_causal=causal)
            grads = mezzo.autograd.grad((y * y).sum(), [q, k])
            found.append([t.detach().float().numpy().tobytes() for t in (y, *grads)])
    finally:
        mezzo.set_num_threads(before)
    assert found[0] == found[1] == found[2]


POWERS = """define void @kernel(ptr %args) {{
  %from = load ptr, ptr %args
  %second = getelementptr i8, ptr %args, i64 8
  %to = load ptr, ptr %second
  %y = load <16 x float>, ptr %from, align 4
{lines}
  store <16 x float> {result}, ptr %to, align 4
  ret void
}}
"""


@pytest.mark.skipif(not target.host().has_avx512, reason="written with AVX-512's instructions")
@pytest.mark.parametrize(
    ("coefficients", "bits"), [(weights.SHORT, 13.6), (weights.FULL, 22.5)], ids=["short", "full"]
)
def test_powers_of_two(coefficients, bits):
    """The stated relative error, zeros below the normal numbers, and what is not a number."""
    program = Program()
    f = Function(program)
    result = weights.power(f, "%y", coefficients)
    text = POWERS.format(lines="\n".join(f.lines), result=result)
    address = jit.load("\n".join([*sorted(program.declares), text])).address("kernel")
    y = np.concatenate([np.linspace(-126, 0, 99984), np.linspace(0, 126, 3200)]).astype(np.float32)
    special = np.array(
        [-126, -126.001, -130, -1000, -np.inf, np.nan, 0, 1, -1, *[-5] * 7], np.float32
    )
    y = np.concatenate([y, special])
    got = np.empty_like(y)
    for i in range(0, y.size, 16):
        entry.launch(address, y.ctypes.data + 4 * i, got.ctypes.data + 4 * i)
    want = np.exp2(y[:-16].astype(np.float64))
    assert (np.abs(got[:-16] / want - 1)).max() < 2.0**-bits
    assert (got[-15:-11] == 0).all() and np.isnan(got[-11])


SIXTEEN = """define void @kernel(ptr %args) {{
  %from = load ptr, ptr %args
  %second = getelementptr i8, ptr %args, i64 8
  %to = load ptr, ptr %second
  %high = getelementptr i8, ptr %from, i64 64
  %y = load <16 x float>, ptr %from, align 4
  %z = load <16 x float>, ptr %high, align 4
{lines}
  store <32 x i16> {result}, ptr %to, align 2
  ret void
}}
"""


@pytest.mark.skipif(not target.host().has_avx512_fp16, reason="written with float16 arithmetic")
def test_powers_of_two_in_lanes_of_sixteen_bits():
    """Every exponent and fraction, to nearly the nearest bfloat16; zeros below, and where a score is -inf."""
    program = Program()
    f = Function(program)
    text = SIXTEEN.format(
        result=weights.sixteen(f, "%y", "%z"), lines="\n".join(line for line in f.lines)
    )
    address = jit.load("\n".join([*sorted(program.declares), text])).address("kernel")
    whole = np.arange(512, 65536, dtype=np.float32)  # from 2**-126 on
    special = np.array([0, -1, -1e9, -3e38, -np.inf, 1, 255, 300, *[512] * 24], np.float32)
    y = np.concatenate([whole, special])
    got = np.empty(y.size, np.uint16)
    for i in range(0, y.size, 32):
        entry.launch(address, y.ctypes.data + 4 * i, got.ctypes.data + 2 * i)
    # of every eight results four are of the first half of the numbers, four of the second
    order = np.arange(32).reshape(2, 4, 4).transpose(1, 0, 2).ravel()
    found = np.empty_like(got)
    found.reshape(-1, 32)[:, order] = got.reshape(-1, 32)
    value = (found.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    want = np.exp2(whole.astype(np.float64) / weights.FRACTION - weights.BIAS)
    wrong = np.abs(value[: whole.size] / want - 1)
    assert wrong.max() < 2.0**-8.04
    assert np.sqrt((wrong**2).mean()) < 2.0**-9.2
    assert (value[whole.size :][:5] == 0).all()
    assert (value[whole.size :][5:8] < 2.0**-126).all()


def test_masks_of_any_size():
    """NaN and infinity reach their whole row, in bfloat16's short weights too; large numbers are told apart."""
    torch.manual_seed(0)
    q, k, v = torch.randn(40, 16), torch.randn(200, 16), torch.randn(200, 8)
    mask = torch.zeros(40, 200)
    mask[7, 100], mask[9, 3] = float("nan"), float("inf")
    mask[11], mask[12], mask[13], mask[13, 150] = -1e9, -1e30, -2e30, -1e30
    mask[14] = torch.finfo(torch.bfloat16).min
    for dtype in (torch.float32, torch.bfloat16):
        given = [x.to(dtype) for x in (q, k, v, mask)]
        found = attend(*map(ours, given[:3]), attn_mask=ours(given[3]))
        rows = np.isnan(found.float().numpy()).any(1)
        assert rows.nonzero()[0].tolist() == [7, 9]
        want = torch.nn.functional.scaled_dot_product_attention(*given[:3], attn_mask=given[3])
        for row in (10, 11, 12, 13, 14):
            close(want[row], found[row], dtype)


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


def dropped(seed: int, lead: tuple, queries: int, keys: int, p: float) -> torch.Tensor:
    """What dropout multiplies weights by, found element by element: not by the kernel of attention."""
    mezzo.manual_seed(seed)
    words = draw_wide_integers(lead, mezzo.int64, mezzo.device("cpu"), None, 0, 1 << 62)
    kept = ops.keeps(
        words[..., None, None],
        mezzo.arange(queries)[:, None],
        mezzo.arange(keys),
        round((1 - p) * 65536),
    )
    kept = torch.from_numpy(np.array(kept.numpy())).double()
    return kept * 65536 / max(round((1 - p) * 65536), 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [(75, 150), (33, 70), (300, 600)])
def test_dropout(lengths, causal, dtype):
    torch.manual_seed(5)
    tensors = [torch.randn(2, 3, n, 32).to(dtype) for n in (lengths[0], lengths[1], lengths[1])]
    a = [t.double().requires_grad_() for t in tensors]
    b = [ours(t) for t in tensors]
    for t in b:
        t.requires_grad = True
    mezzo.manual_seed(5)
    got = attend(*b, dropout_p=0.3, is_causal=causal)
    scores = a[0] @ a[1].transpose(-1, -2) / 32**0.5
    if causal:
        scores = scores.masked_fill(torch.ones(lengths).triu(1).bool(), -torch.inf)
    want = (scores.softmax(-1) * dropped(5, (2, 3), *lengths, 0.3)) @ a[2]
    g = torch.randn(want.shape).to(dtype)
    want.backward(g.double())
    got.backward(ours(g))
    close(want, got, dtype)
    for p, q in zip(a, b):
        close(p.grad, q.grad, dtype)


def test_dropout_has_its_probability():
    kept = dropped(6, (4,), 256, 512, 0.1) > 0
    for axis in (0, 1, 2):  # no head, query or key is special
        others = [i for i in range(3) if i != axis]
        mean, count = kept.double().mean(others), kept.numel() // kept.shape[axis]
        assert (mean - 0.9).abs().max() < 5 * (0.09 / count) ** 0.5
    one = mezzo.ones(2, 20, 8)
    assert not attend(one, one, one, dropout_p=1.0).any()


def test_dropout_is_the_same_compiled_and_on_any_number_of_threads():
    q = mezzo.randn(1, 600, 32)
    before, found = mezzo.get_num_threads(), []
    compiled = mezzo.compile(lambda x: attend(x, x, x, dropout_p=0.2))
    try:
        for threads, function in ((1, compiled), (1, None), (2, None)):
            mezzo.set_num_threads(threads)
            mezzo.manual_seed(1)
            found.append(
                (function or (lambda x: attend(x, x, x, dropout_p=0.2)))(q).numpy().tobytes()
            )
    finally:
        mezzo.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_dropout_differentiates_again_and_batches():
    mezzo.manual_seed(2)
    x = mezzo.randn(2, 20, 16, dtype=mezzo.float32, requires_grad=True)
    y = attend(x, x, x, dropout_p=0.4)
    (first,) = mezzo.autograd.grad((y * y).sum(), x, retain_graph=True)
    (again,) = mezzo.autograd.grad((y * y).sum(), x, create_graph=True)
    np.testing.assert_allclose(again.detach().numpy(), first.numpy(), rtol=1e-4, atol=1e-5)
    assert mezzo.autograd.grad((again * again).sum(), x)[0].abs().sum().item() > 0
    three = mezzo.randn(1, 2, 20, 16).expand(3, 2, 20, 16)
    for randomness, same in (("same", True), ("different", False)):
        y = mezzo.func.vmap(lambda t: attend(t, t, t, dropout_p=0.4), randomness=randomness)(three)
        assert (y[0] == y[1]).all().item() is same


@pytest.mark.parametrize("back", [False, True])
def test_memory_is_linear_in_length_with_dropout(back, settled):
    peaks = []
    for length in (512, 2048):
        q = mezzo.randn(1, 1, length, 32, requires_grad=back)
        mezzo.cpu.reset_peak_memory_stats()
        start = mezzo.cpu.memory_allocated()
        y = attend(q, q, q, dropout_p=0.1)
        if back:
            y.sum().backward()
        peaks.append(mezzo.cpu.max_memory_allocated() - start)
    assert peaks[1] < 4.5 * peaks[0]
