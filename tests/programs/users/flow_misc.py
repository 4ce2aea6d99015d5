import numpy as np
import torch
import torch.distributions as D
from torch import nn, optim
from torch.nn import functional as F


class Coupling(nn.Module):
    def __init__(self, d, h, flip):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d // 2, h), nn.ReLU(), nn.Linear(h, d))
        self.flip = flip

    def forward(self, x):
        a, b = x.chunk(2, 1)
        if self.flip:
            a, b = b, a
        s, t = self.net(a).chunk(2, 1)
        s = torch.tanh(s)
        z = b * s.exp() + t
        return torch.cat([a, z] if not self.flip else [z, a], 1), s.sum(1)

    def inverse(self, y):
        a, b = y.chunk(2, 1)
        if self.flip:
            a, b = b, a
        s, t = self.net(a).chunk(2, 1)
        z = (b - t) * (-torch.tanh(s)).exp()
        return torch.cat([a, z] if not self.flip else [z, a], 1)


class WaveNet(nn.Module):
    def __init__(self, c=4, layers=3):
        super().__init__()
        self.inp = nn.Conv1d(1, c, 1)
        self.f = nn.ModuleList(nn.Conv1d(c, c, 2, dilation=2**i) for i in range(layers))
        self.g = nn.ModuleList(nn.Conv1d(c, c, 2, dilation=2**i) for i in range(layers))
        self.s = nn.ModuleList(nn.Conv1d(c, c, 1) for _ in range(layers))
        self.out = nn.Conv1d(c, 1, 1)

    def forward(self, x):
        x, skip = self.inp(x), 0
        for i, (f, g, s) in enumerate(zip(self.f, self.g, self.s)):
            h = F.pad(x, (2**i, 0))
            h = torch.tanh(f(h)) * torch.sigmoid(g(h))
            k = s(h)
            x, skip = x + k, skip + k
        return self.out(F.relu(skip))


def distill(s, t, y, T=3.0, alpha=0.5):
    return alpha * F.cross_entropy(s, y) + (1 - alpha) * T * T * F.kl_div(
        F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction="batchmean"
    )


class EarlyStopping:
    def __init__(self, patience):
        self.best, self.bad, self.patience = float("inf"), 0, patience

    def __call__(self, v):
        self.best, self.bad = (v, 0) if v < self.best else (self.best, self.bad + 1)
        return self.bad >= self.patience


def seed_everything(seed):
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.set_float32_matmul_precision("high")
    torch.backends.cuda.matmul.allow_tf32 = True


def main(record, fill):
    seed_everything(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rng = np.random.default_rng(0)
    f = lambda *s: torch.tensor(rng.standard_normal(s), dtype=torch.float32, device=device)
    flow = fill(nn.ModuleList([Coupling(4, 8, i % 2 == 1) for i in range(3)]))
    base = D.MultivariateNormal(torch.zeros(4), torch.eye(4))
    opt = optim.Adam(flow.parameters(), 1e-2)
    for i in range(4):
        x = f(8, 4)
        z, ld = x, torch.zeros(8)
        for c in flow:
            z, l = c(z)
            ld = ld + l
        loss = -(base.log_prob(z) + ld).mean()
        opt.zero_grad(), loss.backward(), opt.step()
        record("flow", loss.item())
    back = z
    with torch.no_grad():
        z = x
        for c in flow:
            z, _ = c(z)
        for c in reversed(flow):
            z = c.inverse(z)
    record("inv", bool(torch.allclose(z, x, atol=1e-5)))
    w = fill(WaveNet())
    sig = f(2, 1, 30)
    opt = optim.RMSprop(w.parameters(), lr=1e-3, alpha=0.9)
    es = EarlyStopping(2)
    for i in range(4):
        loss = F.l1_loss(w(sig)[..., :-1], sig[..., 1:])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        record("wave", loss), record("stop", es(loss.item()))
    teacher, student = fill(nn.Linear(6, 4), 1).eval(), fill(nn.Linear(6, 4), 2)
    for p in teacher.parameters():
        p.requires_grad_(False)
    loss = distill(student(f(5, 6)), teacher(f(5, 6)), torch.tensor([0, 1, 2, 3, 0]))
    loss.backward()
    record("kd", loss), record("kdg", student.weight.grad)
    user, item = nn.Embedding(6, 4, sparse=False), nn.Embedding(7, 4)
    fill(user, 3), fill(item, 4)
    u, it, r = torch.tensor([0, 1, 5]), torch.tensor([2, 2, 6]), torch.tensor([1.0, 0.0, 3.0])
    opt = optim.Adagrad([*user.parameters(), *item.parameters()], lr=0.1)
    for i in range(3):
        loss = ((user(u) * item(it)).sum(1) - r).pow(2).mean() + 1e-3 * (
            user.weight.norm() + item.weight.norm()
        )
        opt.zero_grad(), loss.backward(), opt.step()
        record("mf", loss)
    c, o, neg = user(u), item(it), item(torch.tensor([[0, 1], [3, 4], [5, 1]]))
    record(
        "w2v",
        -(
            F.logsigmoid((c * o).sum(1))
            + F.logsigmoid(-torch.bmm(neg, c.unsqueeze(2)).squeeze(2)).sum(1)
        ).mean(),
    )
    mu, ls = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    q, p = D.Normal(mu, ls.exp()), D.Normal(torch.ones(3), 2 * torch.ones(3))
    kl = D.kl_divergence(D.Independent(q, 1), D.Independent(p, 1))
    kl.backward()
    record("kl", kl), record("mu", mu.grad), record("ls", ls.grad)
    mix = D.MixtureSameFamily(D.Categorical(logits=f(3)), D.Normal(f(3), torch.ones(3)))
    record("mix", mix.log_prob(f(5)))
    step = (
        torch.compile(lambda a: (a.sin() * 2).sum()) if False else (lambda a: (a.sin() * 2).sum())
    )
    record("compiled", step(f(4)))
    g = torch.Generator().manual_seed(5)
    a1 = torch.randn(3, generator=g)
    st = g.get_state()
    b1 = torch.randn(3, generator=g)
    g.set_state(st)
    record("gen", bool(torch.equal(b1, torch.randn(3, generator=g))))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        r1 = torch.rand(1)
    torch.manual_seed(1)
    record("fork", bool(torch.equal(r1, torch.rand(1))))
    record("perm", sorted(torch.randperm(5).tolist()))
    record(
        "randint",
        [
            torch.randint(3, 4, (2,)).sum().item(),
            torch.randint_like(torch.zeros(2, dtype=torch.long), 1).sum().item(),
        ],
    )
    with torch.set_grad_enabled(False):
        record("sg", (torch.ones(1, requires_grad=True) * 2).requires_grad)
    record("iso", [torch.is_grad_enabled(), torch.is_inference_mode_enabled()])
    with torch.autograd.set_detect_anomaly(True):
        try:
            torch.zeros(1, requires_grad=True).sqrt().mul(0).sum().backward()
            record("anom", "none")
        except RuntimeError as e:
            record("anom", "nan" in str(e))
    old = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    record(
        "dd",
        str(torch.ones(1).dtype) + str(torch.tensor(1.0).dtype) + str(nn.Linear(1, 1).weight.dtype),
    )
    torch.set_default_dtype(old)
    x = f(4, 5).requires_grad_()
    y = x.clone()
    y.register_hook(lambda g: g.clamp(-0.1, 0.1))
    y.retain_grad()
    (y**3).sum().backward()
    record("hook", x.grad), record("ret", y.grad)
    with torch.no_grad():
        x.sub_(0.1 * x.grad)
        x.grad = None
    record("manual", x), record("data", x.data.mean())
    record("vers", x._version > 0)
    out = torch.utils.checkpoint.checkpoint(nn.Linear(5, 2), x, use_reentrant=True)
    out.sum().backward()
    record("re", x.grad.shape.__str__())
    record("numel", torch.numel(x)), record("env", str(torch.__version__ is not None))
    record(
        "cuda",
        [torch.cuda.is_available(), torch.cuda.device_count(), torch.backends.mps.is_available()],
    )
    torch.cuda.empty_cache(), torch.cuda.synchronize() if torch.cuda.is_available() else None
    t = torch.tensor([3, 1, 2])
    record("np ops", [float(np.mean(t.float().numpy())), float(np.add(t.numpy(), 1).sum())])
    record("np func", str(type(np.sin(torch.tensor([1.0]))).__name__))
    record("dl", torch.from_dlpack(torch.arange(3)))
    for v in (1, 1.5, True, np.float32(2), np.int64(3), torch.tensor(2)):
        record("mul", str((t * v).dtype))
    record(
        "foreach",
        torch._foreach_norm([f(2), f(3)])[0]
        if hasattr(torch, "_foreach_norm") and False
        else f(2).norm(),
    )
