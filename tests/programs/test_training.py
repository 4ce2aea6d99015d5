"""Whole trainings: from the same weights and data, mezzo and PyTorch lose alike."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import torch

import mezzo

STEPS = 20


def mlp(lib):
    nn = lib.nn
    return nn.Sequential(nn.Linear(12, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 5))


def cnn(lib):
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


def gpt(lib):
    nn, functional = lib.nn, lib.nn.functional

    class Block(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.heads = heads
            self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = (
                part.view(b, t, self.heads, c // self.heads).transpose(1, 2)
                for part in self.qkv(self.before(x)).split(c, dim=2)
            )
            seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(seen.transpose(1, 2).contiguous().view(b, t, c))
            return x + self.mlp(self.after(x))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.place = nn.Embedding(11, 16), nn.Embedding(6, 16)
            self.blocks = nn.ModuleList([Block(16, 2) for _ in range(2)])
            self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 11, bias=False)
            self.head.weight = self.token.weight

        def forward(self, x):
            h = self.token(x) + self.place(lib.arange(x.shape[1]))
            for block in self.blocks:
                h = block(h)
            return self.head(self.norm(h)).flatten(0, 1)

    return Model()


def data(kind: str):
    """The same random problem in both libraries: inputs and classes."""
    rng = np.random.default_rng(3)
    if kind == "gpt":
        text = rng.integers(0, 11, (4, 7))
        return text[:, :-1].copy(), text[:, 1:].reshape(-1).copy()
    shape = (16, 12) if kind == "mlp" else (8, 1, 12, 12)
    return rng.standard_normal(shape).astype(np.float32), rng.integers(0, 5, shape[0])


MODELS = {"mlp": mlp, "cnn": cnn, "gpt": gpt}


def train(lib, kind: str, weights: dict, dtype: str | None = None) -> list[float]:
    """The losses of the first steps; dtype runs them under autocast, float16 with a scaler."""
    model = MODELS[kind](lib)
    model.load_state_dict({k: lib.tensor(v) for k, v in weights.items()})
    optimizer = lib.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = lib.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    scaler = lib.amp.GradScaler("cpu", enabled=dtype == "float16", init_scale=1024.0)
    x, y = (lib.from_numpy(a) for a in data(kind))
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        with lib.autocast(
            "cpu", dtype=getattr(lib, dtype or "bfloat16"), enabled=dtype is not None
        ):
            loss = lib.nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        lib.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        losses.append(loss.item())
    return losses


def initial(kind: str) -> dict:
    torch.manual_seed(5)
    return {k: v.numpy().copy() for k, v in MODELS[kind](torch).state_dict().items()}


@pytest.mark.parametrize("kind", list(MODELS))
def test_losses_in_float32(kind):
    weights = initial(kind)
    np.testing.assert_allclose(
        train(mezzo, kind, weights), train(torch, kind, weights), rtol=0, atol=1e-4
    )


# Twenty steps of roundings: a few units of the dtype's last place, relative to losses near two.
@pytest.mark.parametrize(("dtype", "atol"), [("bfloat16", 8 * 2.0**-8), ("float16", 8 * 2.0**-11)])
@pytest.mark.parametrize("kind", list(MODELS))
def test_losses_under_autocast(kind, dtype, atol):
    weights = initial(kind)
    got, want = train(mezzo, kind, weights, dtype), train(torch, kind, weights, dtype)
    np.testing.assert_allclose(got, want, rtol=0, atol=atol)
    assert got[-1] < got[0]


def test_two_threads_train_as_one():
    weights = initial("mlp")
    alone = train(mezzo, "mlp", weights)
    found: dict[int, list[float]] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: train(mezzo, "mlp", weights)}))
        for i in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: alone, 1: alone}


def test_memory_does_not_grow():
    model = mlp(mezzo)
    optimizer = mezzo.optim.Adam(model.parameters())
    x, y = (mezzo.from_numpy(a) for a in data("mlp"))
    held = []
    for step in range(600):
        optimizer.zero_grad()
        mezzo.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        if step in (100, 599):
            held.append(mezzo.cpu.memory_allocated())
    assert held[0] == held[1]


def test_checkpoint_gives_the_same_gradients():
    mezzo.manual_seed(1)
    model = mezzo.nn.Sequential(mezzo.nn.Linear(4, 8), mezzo.nn.Dropout(0.5), mezzo.nn.Linear(8, 1))
    x = mezzo.ones(3, 4)
    mezzo.manual_seed(2)
    model(x).sum().backward()
    want = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    mezzo.manual_seed(2)
    mezzo.utils.checkpoint.checkpoint(model, x, use_reentrant=False).sum().backward()
    for parameter, gradient in zip(model.parameters(), want):
        assert mezzo.equal(parameter.grad, gradient)
    assert not math.isnan(want[0].sum().item())
