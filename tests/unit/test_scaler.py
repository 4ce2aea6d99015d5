"""GradScaler against torch.amp.GradScaler, call by call."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import torch

import mezzo

LIBRARIES = {"mezzo": mezzo, "torch": torch}


def _setup(lib, **options):
    w = lib.tensor([1.0, 2.0], requires_grad=True)
    optimizer = lib.optim.SGD([w], lr=0.1)
    options = {"init_scale": 4.0, "growth_interval": 2, **options}
    return w, optimizer, lib.amp.GradScaler("cpu", **options)


def _iterations(lib, factors, **options):
    """Train on w * factor for each factor; a factor of inf overflows. Returns what can be observed."""
    w, optimizer, scaler = _setup(lib, **options)
    seen = []
    for factor in factors:
        optimizer.zero_grad()
        scaler.scale((w * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        seen.append((w.tolist(), scaler.get_scale(), scaler.state_dict()))
    return seen


@pytest.mark.parametrize(
    "factors", [(1.0, 2.0, 3.0), (1.0, np.inf, 1.0, 1.0), (np.nan, np.inf), (1.0,) * 7]
)
def test_follows_pytorch(factors):
    ours, theirs = _iterations(mezzo, factors), _iterations(torch, factors)
    for (w, scale, state), (w2, scale2, state2) in zip(ours, theirs):
        np.testing.assert_allclose(w, w2, rtol=1e-6)
        assert scale == scale2
        assert state == state2


def test_scale_stays_finite():
    big = float(np.finfo(np.float32).max)
    for lib in LIBRARIES.values():
        (_, scale, _), *_ = _iterations(lib, (0.0,), init_scale=big, growth_interval=1)
        assert scale == big


def _errors(lib):
    """The exceptions of wrong orders of calls, by name."""
    found = {}

    def attempt(name, action):
        try:
            action()
            found[name] = None
        except Exception as error:
            found[name] = next(
                k for k in (AssertionError, ValueError, RuntimeError) if isinstance(error, k)
            )

    w, optimizer, scaler = _setup(lib)
    attempt("update before scale", scaler.update)
    attempt("step before scale", lambda: scaler.step(optimizer))
    loss = scaler.scale(w.sum())
    attempt("step without gradients", lambda: scaler.step(optimizer))
    w, optimizer, scaler = _setup(lib)
    loss = scaler.scale(w.sum())
    attempt("update without checks", scaler.update)
    loss.backward()
    scaler.unscale_(optimizer)
    attempt("unscale twice", lambda: scaler.unscale_(optimizer))
    scaler.step(optimizer)
    attempt("unscale after step", lambda: scaler.unscale_(optimizer))
    attempt("step twice", lambda: scaler.step(optimizer))
    attempt("growth 1", lambda: lib.amp.GradScaler("cpu", growth_factor=1.0))
    attempt("backoff 1", lambda: lib.amp.GradScaler("cpu", backoff_factor=1.0))
    attempt("load empty", lambda: scaler.load_state_dict({}))
    half = lib.tensor([1.0], dtype=lib.float16, requires_grad=True)
    optimizer = lib.optim.SGD([half], lr=0.1)
    scaler.update()
    scaler.scale(half.sum()).backward()
    attempt("fp16 gradients", lambda: scaler.unscale_(optimizer))
    return found


def test_errors_are_pytorchs():
    assert _errors(mezzo) == _errors(torch)


def test_reports_what_it_did():
    a, b = (mezzo.tensor([1.0], requires_grad=True) for _ in range(2))
    optimizer = mezzo.optim.SGD([a, b], lr=1.0)
    scaler = mezzo.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale((a + b * float("inf")).sum()).backward()
    report = scaler.step(optimizer)
    assert report.skipped and report.scale == 8.0 and report.overflowed == (1,)
    assert a.item() == 1.0
    scaler.update()
    optimizer.zero_grad()
    scaler.scale((a + b).sum()).backward()
    assert not scaler.step(optimizer).skipped
    assert a.item() == 0.0


def test_warns_below_the_floor():
    w, optimizer, scaler = _setup(mezzo, init_scale=1.0)
    scaler.scale((w * float("inf")).sum()).backward()
    scaler.step(optimizer)
    with pytest.warns(UserWarning, match="fell below 1"):
        scaler.update()


def test_several_optimizers_share_the_scale():
    for lib in LIBRARIES.values():
        a, b = (lib.tensor([1.0], requires_grad=True) for _ in range(2))
        first, second = lib.optim.SGD([a], lr=0.5), lib.optim.SGD([b], lr=0.5)
        scaler = lib.amp.GradScaler("cpu", init_scale=16.0)
        scaler.scale((a + b * float("inf")).sum()).backward()
        scaler.step(first)
        scaler.step(second)
        scaler.update()
        assert (a.item(), b.item(), scaler.get_scale()) == (0.5, 1.0, 8.0)


def test_closures():
    w, optimizer, scaler = _setup(mezzo)

    def closure():
        optimizer.zero_grad()
        loss = scaler.scale((w * w).sum())
        loss.backward()
        return loss

    report = scaler.step(optimizer, closure)
    np.testing.assert_allclose(w.tolist(), [0.8, 1.6], rtol=1e-6)
    assert report.result.item() == pytest.approx(20.0)


def test_disabled_passes_through():
    w, optimizer, scaler = _setup(mezzo, enabled=False)
    loss = w.sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    assert scaler.step(optimizer) is None
    scaler.update()
    assert scaler.get_scale() == 1.0 and scaler.state_dict() == {}
    assert w.tolist() == pytest.approx([0.9, 1.9])


def test_cuda_scaler_warns_and_is_disabled():
    with pytest.warns(UserWarning, match="CUDA is not available"):
        scaler = mezzo.amp.GradScaler("cuda")
    assert not scaler.is_enabled()


def test_scales_nested_outputs_and_pickles():
    _, _, scaler = _setup(mezzo)
    outs = scaler.scale([mezzo.tensor(1.0), (mezzo.tensor(2.0),)])
    assert outs[0].item() == 4.0 and outs[1][0].item() == 8.0
    again = pickle.loads(pickle.dumps(scaler))
    assert again.get_scale() == 4.0 and again.state_dict() == scaler.state_dict()


def test_older_names_warn():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mezzo.cpu.amp.GradScaler()
        mezzo.cpu.amp.autocast()
        mezzo.cuda.amp.autocast()
    text = [str(w.message) for w in caught if w.category is FutureWarning]
    assert len(text) == 3 and all("deprecated" in t for t in text)
