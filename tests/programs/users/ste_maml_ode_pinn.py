import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function
from torch.func import functional_call, grad, hessian, jacrev, vmap


class RoundSTE(Function):
    @staticmethod
    def forward(ctx, x, scale, lo, hi):
        ctx.save_for_backward(x, scale)
        ctx.lo, ctx.hi = lo, hi
        return torch.clamp(torch.round(x / scale), lo, hi) * scale

    @staticmethod
    def backward(ctx, g):
        x, scale = ctx.saved_tensors
        q = x / scale
        inside = (q >= ctx.lo) & (q <= ctx.hi)
        gs = torch.where(inside, torch.round(q) - q, q.clamp(ctx.lo, ctx.hi))
        return g * inside, (g * gs).sum().reshape(scale.shape), None, None


class BinaryActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.sign()

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        grad_input = grad_output.clone()
        grad_input[input.ge(1)] = 0
        grad_input[input.le(-1)] = 0
        return grad_input


class QLinear(nn.Linear):
    def __init__(self, i, o, bits=4):
        super().__init__(i, o)
        self.scale = nn.Parameter(torch.tensor(0.1))
        self.lo, self.hi = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def forward(self, x):
        return F.linear(
            x, RoundSTE.apply(self.weight, self.scale.abs() + 1e-4, self.lo, self.hi), self.bias
        )


class ODEFunc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))

    def forward(self, t, y):
        return self.net(y**3)


def rk4(f, y, t):
    out = [y]
    for a, b in zip(t[:-1], t[1:]):
        h = b - a
        k1 = f(a, y)
        k2 = f(a + h / 2, y + h * k1 / 2)
        k3 = f(a + h / 2, y + h * k2 / 2)
        k4 = f(b, y + h * k3)
        y = y + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
        out.append(y)
    return torch.stack(out)


class Adjoint(Function):
    @staticmethod
    def forward(ctx, y0, t, func, *params):
        with torch.no_grad():
            ys = rk4(func, y0, t)
        ctx.func = func
        ctx.save_for_backward(t, ys, *params)
        return ys

    @staticmethod
    def backward(ctx, g):
        t, ys, *params = ctx.saved_tensors
        a = g[-1].clone()
        gp = [torch.zeros_like(p) for p in params]
        for i in range(len(t) - 1, 0, -1):
            with torch.enable_grad():
                y = ys[i - 1].detach().requires_grad_(True)
                step = rk4(ctx.func, y, t[i - 1 : i + 1])[-1]
            got = torch.autograd.grad(step, (y, *params), a, allow_unused=True)
            a = got[0] + g[i - 1]
            gp = [x + (d if d is not None else 0) for x, d in zip(gp, got[1:])]
        return (a, None, None, *gp)


class Sine(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 16), nn.Linear(16, 16), nn.Linear(16, 1)])

    def forward(self, x, t):
        h = torch.cat([x, t], dim=1)
        for l in self.layers[:-1]:
            h = torch.sin(l(h))
        return self.layers[-1](h)


def pde(u, x, t):
    out = u(x, t)
    du = lambda y, z: torch.autograd.grad(
        y, z, torch.ones_like(y), create_graph=True, retain_graph=True
    )[0]
    ut, ux = du(out, t), du(out, x)
    uxx = du(ux, x)
    return ut + out * ux - (0.01 / math.pi) * uxx


def main(record, fill):
    rng = np.random.default_rng(0)
    f = lambda *s: torch.from_numpy(rng.standard_normal(s).astype("float32"))

    class Bin(nn.Module):
        def forward(self, x):
            return BinaryActivation.apply(x)

    q = fill(nn.Sequential(QLinear(6, 8), Bin(), QLinear(8, 3)), scale=0.4)
    with torch.no_grad():
        q[0].scale.fill_(0.1), q[2].scale.fill_(0.1)
    opt = torch.optim.Adam(q.parameters(), lr=1e-2)
    for i in range(5):
        loss = F.cross_entropy(q(f(9, 6)), torch.from_numpy(rng.integers(0, 3, 9)))
        opt.zero_grad(), loss.backward(), opt.step()
        record("qat", loss), record("gs", q[0].scale.grad)
    # MAML by create_graph
    net = fill(nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1)))
    meta = torch.optim.Adam(net.parameters(), lr=1e-2)
    for it in range(3):
        total = 0.0
        for task in range(2):
            amp, ph = float(rng.uniform(0.1, 5)), float(rng.uniform(0, math.pi))
            xs, xq = f(5, 1), f(5, 1)
            fast = dict(net.named_parameters())
            for _ in range(2):
                l = F.mse_loss(functional_call(net, fast, (xs,)), amp * torch.sin(xs + ph))
                gs = torch.autograd.grad(l, fast.values(), create_graph=True)
                fast = {k: p - 0.01 * g for (k, p), g in zip(fast.items(), gs)}
            total = total + F.mse_loss(functional_call(net, fast, xq), amp * torch.sin(xq + ph))
        meta.zero_grad()
        total.backward()
        meta.step()
        record("maml", total)
    # the same with torch.func
    params = {k: v.detach() for k, v in net.named_parameters()}

    def loss_fn(p, x, y):
        return F.mse_loss(functional_call(net, p, (x,)), y)

    def adapt(p, x, y, xq, yq):
        g = grad(loss_fn)(p, x, y)
        return loss_fn({k: p[k] - 0.1 * g[k] for k in g}, xq, yq)

    X, Y, XQ, YQ = f(3, 5, 1), f(3, 5, 1), f(3, 5, 1), f(3, 5, 1)
    mg, ml = torch.func.grad_and_value(
        lambda p: vmap(adapt, (None, 0, 0, 0, 0))(p, X, Y, XQ, YQ).mean()
    )(params)
    record("func", ml), record("funcg", mg["0.weight"])
    per = vmap(grad(loss_fn), in_dims=(None, 0, 0))(params, X[0].unsqueeze(1), Y[0].unsqueeze(1))
    record("per", per["2.weight"])
    record("hess", hessian(lambda x: (x.sin() * x.flip(0)).sum())(f(3)))
    record("jac", jacrev(lambda x: x.outer(x).flatten()[:4])(f(3)))
    # neural ODE
    ode = fill(ODEFunc())
    opt = torch.optim.RMSprop(ode.parameters(), lr=1e-3)
    y0, t = torch.tensor([[2.0, 0.0]]), torch.linspace(0.0, 1.0, 6)
    A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
    true = rk4(lambda t, y: torch.mm(y**3, A), y0, t)
    record("true", true)
    for i in range(4):
        opt.zero_grad()
        pred = rk4(ode, y0, t) if i % 2 else Adjoint.apply(y0, t, ode, *ode.parameters())
        loss = torch.mean(torch.abs(pred - true))
        loss.backward()
        opt.step()
        record("ode", loss)
    # physics-informed
    u = fill(Sine())
    opt = torch.optim.LBFGS(u.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe")
    x, tt = (
        f(20, 1).tanh().requires_grad_(),
        torch.from_numpy(rng.random((20, 1), dtype="float32")).requires_grad_(),
    )
    xi = torch.linspace(-1, 1, 10).view(-1, 1)

    def closure():
        opt.zero_grad()
        r = pde(u, x, tt)
        loss = r.pow(2).mean() + F.mse_loss(u(xi, torch.zeros_like(xi)), -torch.sin(math.pi * xi))
        loss.backward()
        return loss

    for i in range(3):
        record("pinn", opt.step(closure))
    v, hv = torch.autograd.functional.hvp(lambda z: (z**3).sum(), f(3), f(3))
    record("hvp", hv)
    record(
        "gc",
        torch.autograd.gradcheck(
            BinaryActivation.apply,
            torch.tensor([5.0, -3.0], dtype=torch.float64, requires_grad=True),
        ),
    )
