"""A variational autoencoder, and a generator against a critic with a gradient penalty and two optimizers."""

import numpy as np
import torch
from torch import nn, optim
from torch.autograd import Variable, grad
from torch.nn import functional as F


class Autoencoder(nn.Module):
    def __init__(self, size=20, hidden=16, code=4):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(size, hidden), nn.Softplus(), nn.Linear(hidden, 2 * code)
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, hidden), nn.ELU(inplace=True), nn.Linear(hidden, size)
        )

    def forward(self, x, noise):
        mean, log_variance = self.encoder(x).chunk(2, dim=-1)
        code = mean + noise * log_variance.mul(0.5).exp_()
        return self.decoder(code).view_as(x), mean, log_variance


def bound(logits, x, mean, log_variance, weight=1.0):
    """Minus the evidence lower bound, per example."""
    told = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=(1, 2))
    apart = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)
    return (told + weight * apart).mean()


def generator(code=6, width=4):
    parts, size = [], code
    for i, wide in enumerate((4 * width, 2 * width)):
        parts += [
            nn.ConvTranspose2d(size, wide, 4, 2 if i else 1, 1 if i else 0, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(True),
        ]
        size = wide
    return nn.Sequential(*parts, nn.ConvTranspose2d(size, 1, 4, 2, 1), nn.Tanh())


def critic(width=4):
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.InstanceNorm2d(2 * width, affine=True), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(2 * width, 1, 4), nn.Flatten(0),
    )  # fmt: skip


def start(module):
    kind = type(module).__name__
    if "Conv" in kind:
        nn.init.normal_(module.weight.data, 0.0, 0.05)
    elif "Norm" in kind:
        nn.init.ones_(module.weight.data), nn.init.zeros_(module.bias.data)


def steepness(judge, real, fake, share):
    between = Variable(torch.lerp(fake, real, share), requires_grad=True)
    scores = judge(between)
    (slope,) = grad(scores, between, torch.ones_like(scores), create_graph=True, only_inputs=True)
    return (slope.flatten(1).norm(2, dim=1) - 1).pow(2).mean()


def main(record, fill):
    rng = np.random.default_rng(0)

    def drawn(*shape):
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    model, total = fill(Autoencoder()), 0.0
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    x = drawn(8, 4, 5).sigmoid()
    for step in range(8):
        loss = bound(
            *(lambda logits, m, v: (logits, x, m, v))(*model(x, drawn(8, 4))),
            weight=min(1.0, step / 4),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
        record("bound", loss)
    record("total", total)
    maker, judge = generator(), critic()
    maker.apply(start), judge.apply(start)
    fill(maker, 1), fill(judge, 2)
    makers = optim.RMSprop(maker.parameters(), lr=2e-3)
    judges = optim.Adam(judge.parameters(), lr=2e-3, betas=(0.5, 0.9))
    for _ in range(4):
        real, code = drawn(4, 1, 16, 16).tanh(), drawn(4, 6, 1, 1)
        fake = maker(code)
        penalty = steepness(
            judge, real, fake.detach(), torch.from_numpy(rng.random((4, 1, 1, 1), dtype="float32"))
        )
        far = judge(fake.detach()).mean() - judge(real).mean()
        judges.zero_grad()
        (far + 10 * penalty).backward()
        judges.step()
        for p in judge.parameters():
            p.requires_grad_(False)
        fooled = F.softplus(-judge(fake)).mean()
        makers.zero_grad()
        fooled.backward()
        makers.step()
        for p in judge.parameters():
            p.requires_grad_(True)
        record("far", far), record("penalty", penalty), record("fooled", fooled)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        record(name, getattr(maker[1], name))
