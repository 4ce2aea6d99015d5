"""Denoising diffusion: a small U-Net with time embeddings, a noise schedule in buffers, averaged weights, sampling."""

import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class Waves(nn.Module):
    """Sines and cosines of the time step."""

    def __init__(self, width):
        super().__init__()
        rates = torch.logspace(0, -4, width // 2)
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, t):
        angle = torch.outer(t.float(), self.rates)
        return torch.cat([torch.sin(angle), torch.cos(angle)], -1)


class Block(nn.Module):
    def __init__(self, inside, outside, time):
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(2, inside),
            nn.SiLU(inplace=True),
            nn.Conv2d(inside, outside, 3, padding="same"),
        )
        self.shift = nn.Linear(time, 2 * outside)
        self.norm, self.second = nn.GroupNorm(2, outside), nn.Conv2d(outside, outside, 3, padding=1)
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x, t):
        h = self.first(x)
        gain, shift = self.shift(t)[:, :, None, None].chunk(2, dim=1)
        h = F.silu(torch.addcmul(shift, self.norm(h), 1 + gain), inplace=True)
        return self.skip(x) + self.second(h)


class Mixer(nn.Module):
    """Attention over all places of the image."""

    def __init__(self, width, heads=2):
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(1, width)
        self.qkv, self.out = nn.Conv2d(width, 3 * width, 1, bias=False), nn.Conv2d(width, width, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).view(b, 3, self.heads, c // self.heads, h * w).unbind(1)
        seen = torch.einsum("bhcq,bhck->bhqk", q, k).mul((c / self.heads) ** -0.5).softmax(-1)
        return x + self.out(torch.einsum("bhqk,bhck->bhcq", seen, v).reshape(b, c, h, w))


class UNet(nn.Module):
    def __init__(self, width=8, time=16):
        super().__init__()
        self.time = nn.Sequential(Waves(8), nn.Linear(8, time), nn.GELU(), nn.Linear(time, time))
        self.enter = nn.Conv2d(1, width, 5, padding=2)
        self.down = nn.ModuleList([Block(width, width, time), Block(width, 2 * width, time)])
        self.shrink = nn.ModuleList([nn.Conv2d(width, width, 4, 2, 1), nn.AvgPool2d(2)])
        self.middle, self.mixer = Block(2 * width, 2 * width, time), Mixer(2 * width)
        self.grow = nn.ModuleList(
            [nn.Upsample(scale_factor=2), nn.ConvTranspose2d(width, width, 2, 2)]
        )
        self.up = nn.ModuleList([Block(4 * width, width, time), Block(2 * width, width, time)])
        self.leave = nn.Sequential(nn.GroupNorm(2, width), nn.SiLU(), nn.Conv2d(width, 1, 1))

    def forward(self, x, t):
        x, t, kept = self.enter(x), self.time(t), []
        for block, shrink in zip(self.down, self.shrink):
            x = block(x, t)
            kept.append(x)
            x = shrink(x)
        x = self.mixer(self.middle(x, t))
        for grow, block in zip(self.grow, self.up):
            x = block(torch.cat([grow(x), kept.pop()], dim=1), t)
        return self.leave(x)


class Schedule(nn.Module):
    def __init__(self, steps):
        super().__init__()
        kept = torch.cos(torch.linspace(0.01, 1.55, steps + 1, dtype=torch.float64)).square()
        beta = (1 - kept[1:] / kept[:-1]).clip(max=0.999)
        total = torch.cumprod(1 - beta, 0)
        before = F.pad(total[:-1], (1, 0), value=1.0)
        for name, value in {
            "signal": total.sqrt(),
            "noise": (1 - total).sqrt(),
            "pull": beta / (1 - total).sqrt(),
            "gain": (1 - beta).rsqrt(),
            "spread": (beta * (1 - before) / (1 - total)).sqrt(),
            "weight": (total / (1 - total)).clamp_(max=5),
        }.items():
            self.register_buffer(name, value.float())
        self.steps = steps

    @staticmethod
    def at(table, t):
        return table.gather(0, t).view(-1, 1, 1, 1)


def main(record, fill):
    rng = np.random.default_rng(0)
    model, schedule = fill(UNet()), Schedule(8)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.99))

    def drawn(*shape):
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    for _ in range(5):
        image, noise = drawn(3, 1, 8, 8), drawn(3, 1, 8, 8)
        t = torch.from_numpy(rng.integers(0, 8, 3)).long()
        noisy = schedule.at(schedule.signal, t) * image + schedule.at(schedule.noise, t) * noise
        each = F.mse_loss(model(noisy, t), noise, reduction="none").flatten(1).mean(dim=1)
        loss = (each * schedule.weight[t]).mean()
        optimizer.zero_grad()
        loss.backward()
        record("norm", nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(average.parameters(), model.parameters()):
                old.lerp_(new, 0.1)
        record("loss", loss)
    with torch.inference_mode():
        x = drawn(2, 1, 8, 8)
        for i in reversed(range(schedule.steps)):
            t = x.new_full((2,), i, dtype=torch.long)
            x = schedule.at(schedule.gain, t) * (x - schedule.at(schedule.pull, t) * average(x, t))
            x = x + schedule.at(schedule.spread, t) * drawn(2, 1, 8, 8) if i else x
        record("sample", x.clamp(-3, 3))
        record("inference", [x.is_inference(), x.requires_grad])
    picture = x.add(1).mul_(127.5).clamp_(0, 255).permute(0, 2, 3, 1).to("cpu", torch.uint8)
    record("picture", f"{picture.shape} {picture.dtype}")
    record("buffers", [n for n, _ in schedule.named_buffers()].__str__())
    record("angle", math.isfinite(x.sum().item()))
