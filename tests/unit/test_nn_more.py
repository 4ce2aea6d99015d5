"""Layers that take or return more than one tensor, against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo
from mezzo import nn


def twins(kind: str, *args, **kwargs):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(*args, **kwargs)
    ours = getattr(nn, kind)(*args, **kwargs)
    ours.load_state_dict(
        {k: mezzo.from_numpy(v.numpy().copy()) for k, v in theirs.state_dict().items()}
    )
    return ours, theirs


def test_adaptive_log_softmax():
    ours, theirs = twins(
        "AdaptiveLogSoftmaxWithLoss", 8, 20, [4, 10], div_value=2.0, head_bias=True
    )
    assert repr(ours) == repr(theirs)
    x = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)
    target = np.array([0, 3, 4, 9, 10, 19])
    a, b = mezzo.from_numpy(x), torch.from_numpy(x)
    got, want = ours(a, mezzo.from_numpy(target)), theirs(b, torch.from_numpy(target))
    for g, w in zip(got, want):
        np.testing.assert_allclose(g.detach().numpy(), w.detach().numpy(), rtol=1e-5)
    got.loss.backward()
    want.loss.backward()
    for p, q in zip(ours.parameters(), theirs.parameters()):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        ours.log_prob(a).detach().numpy(), theirs.log_prob(b).detach().numpy(), rtol=1e-5
    )
    assert ours.predict(a).tolist() == theirs.predict(b).tolist()
    with pytest.raises(ValueError, match="cutoffs"):
        nn.AdaptiveLogSoftmaxWithLoss(8, 20, [10, 4])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_unpooling_layers(axes):
    x = np.random.default_rng(0).standard_normal((2, 3, *(6, 4, 8)[:axes])).astype(np.float32)
    found = []
    for frame, v in ((mezzo, mezzo.from_numpy(x)), (torch, torch.from_numpy(x))):
        pool = getattr(frame.nn, f"MaxPool{axes}d")(2, return_indices=True)
        back = getattr(frame.nn, f"MaxUnpool{axes}d")(2)
        values, at = pool(v)
        found.append((repr(back), back(values, at, output_size=v.shape).numpy()))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_ctc_layer():
    x = np.random.default_rng(0).standard_normal((6, 2, 4)).astype(np.float32)
    values = []
    for frame in (mezzo, torch):
        loss = frame.nn.CTCLoss(blank=1, zero_infinity=True)
        log = frame.from_numpy(x).log_softmax(2)
        values.append(loss(log, frame.tensor([[2, 3], [0, 0]]), (6, 6), (2, 1)).item())
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_rrelu():
    """In evaluation the mean slope; in training slopes fill the range."""
    x = -mezzo.ones(2000)
    layer = nn.RReLU(0.1, 0.5)
    assert repr(layer) == repr(torch.nn.RReLU(0.1, 0.5))
    slopes = -layer(x)
    assert 0.1 <= slopes.min().item() < 0.12 and 0.48 < slopes.max().item() <= 0.5
    assert slopes.mean().item() == pytest.approx(0.3, abs=0.02)
    np.testing.assert_allclose(layer.eval()(x).numpy(), -0.3, rtol=1e-6)


def test_transformer_masks():
    """Padding and causal masks reach every attention."""
    ours, theirs = twins("Transformer", 8, 2, 1, 1, 16, 0.0)
    ours.eval(), theirs.eval()
    rng = np.random.default_rng(0)
    src, tgt = rng.standard_normal((5, 2, 8)), rng.standard_normal((4, 2, 8))
    padding = np.zeros((2, 5), bool)
    padding[1, 3:] = True
    results = []
    for frame, model in ((mezzo, ours), (torch, theirs)):
        make = lambda a, f=frame: f.from_numpy(a.astype(np.float32))
        pad = frame.from_numpy(padding)
        causal = frame.nn.Transformer.generate_square_subsequent_mask(4)
        y = model(
            make(src),
            make(tgt),
            tgt_mask=causal,
            src_key_padding_mask=pad,
            memory_key_padding_mask=pad,
        )
        results.append(y.detach().numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4, atol=1e-5)
    with pytest.raises(RuntimeError, match="batch number"):
        ours(mezzo.zeros(5, 2, 8), mezzo.zeros(5, 3, 8))
