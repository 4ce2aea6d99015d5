import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.parametrize as parametrize


class Speech(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv1d(8, 12, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv1d(12, 12, 3, padding=1, groups=4),
            nn.GELU(),
        )
        self.rnn = nn.GRU(12, 8, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(16, 6)

    def forward(self, x):
        x = self.cnn(x).transpose(1, 2)
        x, _ = self.rnn(x)
        return self.fc(x).log_softmax(-1)


class Expert(nn.Module):
    def __init__(self, width, wide):
        super().__init__()
        self.gate, self.up = nn.Linear(width, wide, bias=False), nn.Linear(width, wide, bias=False)
        self.down = nn.Linear(wide, width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Experts(nn.Module):
    """Each token goes to the few experts that the router prefers."""

    def __init__(self, width=8, count=4, chosen=2):
        super().__init__()
        self.router = nn.Linear(width, count, bias=False)
        self.experts = nn.ModuleList(Expert(width, 12) for _ in range(count))
        self.chosen = chosen

    def forward(self, x):
        tokens = x.flatten(0, -2)
        shares = self.router(tokens).softmax(-1, dtype=torch.float)
        best, who = shares.topk(self.chosen, dim=-1)
        best /= best.sum(-1, keepdim=True)
        out = torch.zeros_like(tokens)
        for i, expert in enumerate(self.experts):
            token, place = torch.where(who == i)
            if token.numel():
                out.index_add_(0, token, expert(tokens[token]) * best[token, place].unsqueeze(-1))
        used = F.one_hot(who[:, 0], len(self.experts)).float().mean(0)
        return out.view_as(x), len(self.experts) * (
            used * shares.mean(0)
        ).sum() + 1e-3 * shares.log().logsumexp(-1).square().mean()


class LoRA(nn.Module):
    def __init__(self, i, o, rank=2, alpha=4):
        super().__init__()
        self.A, self.B = nn.Parameter(torch.zeros((rank, o))), nn.Parameter(torch.zeros((i, rank)))
        nn.init.normal_(self.A, mean=0, std=1)
        self.scale, self.enabled = alpha / rank, True

    def forward(self, w):
        return w + torch.matmul(self.B, self.A).view(w.shape) * self.scale if self.enabled else w


class LoRALinear(nn.Module):
    def __init__(self, base: nn.Linear, r=2):
        super().__init__()
        self.base = base
        self.base.weight.requires_grad_(False)
        self.down = nn.Linear(base.in_features, r, bias=False)
        self.up = nn.Linear(r, base.out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


def inject(model):
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and "base" not in name:
            parent = model.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], LoRALinear(module))
    return model


def main(record, fill):
    rng = np.random.default_rng(0)
    f = lambda *s: torch.from_numpy(rng.standard_normal(s).astype("float32"))
    m = fill(Speech())
    opt = torch.optim.Adadelta(m.parameters(), lr=1.0)
    ctc = nn.CTCLoss(blank=0, zero_infinity=True)
    targets = torch.from_numpy(rng.integers(1, 6, (3, 4)))
    tl, il = torch.tensor([4, 2, 3]), torch.tensor([10, 8, 10])
    x = f(3, 8, 20)
    for i in range(5):
        lp = m(x)
        loss = ctc(lp.transpose(0, 1), targets, il, tl)
        opt.zero_grad()
        loss.backward()
        opt.step()
        record("ctc", loss)
    flat = torch.cat([t[:n] for t, n in zip(targets, tl)])
    record(
        "flat",
        F.ctc_loss(
            lp.transpose(0, 1), flat, tuple(il.tolist()), tuple(tl.tolist()), reduction="none"
        ),
    )
    best = lp.argmax(-1)
    dec = [[int(k) for k in torch.unique_consecutive(row) if k != 0] for row in best]
    record("dec", str(dec))
    moe = fill(Experts())
    opt = torch.optim.AdamW(moe.parameters(), lr=1e-2)
    for i in range(4):
        x = f(2, 5, 8)
        y, aux = moe(x)
        loss = F.mse_loss(y, x.roll(1, dims=-1)) + 0.01 * aux
        opt.zero_grad()
        loss.backward()
        opt.step()
        record("moe", loss)
    lin = fill(nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)))
    before = {n: p.clone().detach() for n, p in lin.named_parameters()}
    for l in (lin[0], lin[2]):
        parametrize.register_parametrization(l, "weight", LoRA(*l.weight.shape))
    for n, p in lin.named_parameters():
        if ".A" not in n and ".B" not in n and not n.endswith(("A", "B")):
            p.requires_grad = False
    with torch.no_grad():
        for n, p in lin.named_parameters():
            if n.endswith(("A", "B")):
                p.copy_(f(*p.shape) * 0.1)
    record("names", str([n for n, p in lin.named_parameters() if p.requires_grad]))
    opt = torch.optim.SGD([p for p in lin.parameters() if p.requires_grad], lr=0.1)
    for i in range(4):
        loss = F.cross_entropy(lin(f(7, 8)), torch.from_numpy(rng.integers(0, 3, 7)))
        opt.zero_grad()
        loss.backward()
        opt.step()
        record("lora", loss)
    record("frozen", bool((lin[0].parametrizations.weight.original == before["0.weight"]).all()))
    lin[0].parametrizations["weight"][0].enabled = False
    record("dis", bool((lin[0].weight == before["0.weight"]).all()))
    lin[0].parametrizations["weight"][0].enabled = True
    w = lin[0].weight.detach().clone()
    parametrize.remove_parametrizations(lin[0], "weight")
    record("merged", bool(torch.equal(lin[0].weight, w)))
    record("repr", repr(lin))
    net = inject(fill(nn.Sequential(nn.Linear(8, 6), nn.Sequential(nn.ReLU(), nn.Linear(6, 3)))))
    record("inj", repr(net))
    record("train", sum(p.numel() for p in net.parameters() if p.requires_grad))
    record("out", net(f(2, 8)))
