import copy
import math
import pickle
from collections import OrderedDict

import numpy as np
import torch
import torch.nn as nn
from torch.nn import init
from torch.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    parameters_to_vector,
    remove_weight_norm,
    vector_to_parameters,
    weight_norm,
)


class Inner(nn.Module):
    def __init__(self, shared=None):
        super().__init__()
        self.lin = nn.Linear(3, 3)
        self.shared = shared
        self.register_buffer("pos", torch.arange(3.0), persistent=False)
        self.register_buffer("kept", torch.ones(2))
        self.register_parameter("none", None)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.plain = torch.zeros(1)

    def forward(self, x, *, gain=1.0):
        return self.lin(x) * self.scale * gain + self.pos


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(3, 3)
        self.a = Inner(self.shared)
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(OrderedDict([("fc", nn.Linear(3, 3)), ("act", nn.ReLU())]))
                for _ in range(2)
            ]
        )
        self.heads = nn.ModuleDict({"x": nn.Linear(3, 2), "y": nn.Linear(3, 1)})
        self.ps = nn.ParameterList([nn.Parameter(torch.ones(1) * i) for i in range(2)])
        self.pd = nn.ParameterDict({"w": nn.Parameter(torch.ones(2))})

    def forward(self, x):
        x = self.shared(self.a(x, gain=0.5))
        for b in self.blocks:
            x = b(x)
        return {k: h(x) * self.ps[1] for k, h in self.heads.items()}


def main(record, fill):
    rng = np.random.default_rng(0)
    f = lambda *s: torch.from_numpy(rng.standard_normal(s).astype("float32"))
    net = fill(Net())
    record("params", str([n for n, _ in net.named_parameters()]))
    record("dup", str([n for n, _ in net.named_parameters(remove_duplicate=False)]))
    record("bufs", str([n for n, _ in net.named_buffers()]))
    record("state", str(list(net.state_dict())))
    record("mods", str([n for n, _ in net.named_modules()]))
    record("kids", str([n for n, _ in net.named_children()]))
    record("norec", str([n for n, _ in net.named_parameters(recurse=False)]))
    record("pre", str(list(net.state_dict(prefix="p."))[:2]))
    record(
        "get",
        str(net.get_submodule("blocks.1.fc"))
        + str(net.get_parameter("a.scale").item())
        + str(net.get_buffer("a.pos").shape),
    )
    x = f(4, 3)
    log = []
    hooks = [
        net.blocks[0].register_forward_hook(
            lambda m, i, o: log.append(("fwd", type(m).__name__, tuple(o.shape)))
        ),
        net.a.register_forward_pre_hook(
            lambda m, a, kw: (a, {**kw, "gain": 2.0}), with_kwargs=True
        ),
        net.heads["x"].register_full_backward_hook(
            lambda m, gi, go: log.append(("bwd", gi[0].shape, go[0].shape))
        ),
        net.shared.weight.register_hook(lambda g: g * 2),
        net.blocks[1].fc.register_forward_hook(lambda m, i, o: o + 1),
    ]
    acts, grads = {}, {}
    for n, m in net.named_modules():
        if isinstance(m, nn.Linear):
            hooks.append(
                m.register_forward_hook(
                    lambda m, i, o, n=n: acts.__setitem__(n, o.detach().abs().mean())
                )
            )
            hooks.append(
                m.register_full_backward_hook(
                    lambda m, gi, go, n=n: grads.__setitem__(n, go[0].norm())
                )
            )
    out = net(x)
    sum(o.sum() for o in out.values()).backward()
    record("log", str(log))
    record("x", out["x"])
    for k in acts:
        record("act", acts[k])
    for k in sorted(grads):
        record("grad", grads[k])
    record("sg", net.shared.weight.grad)
    for h in hooks:
        h.remove()
    record("vec", parameters_to_vector(net.parameters()))
    vector_to_parameters(
        torch.arange(sum(p.numel() for p in net.parameters())) * 0.01, net.parameters()
    )
    record("after", net(x)["y"])
    clip_grad_value_(net.parameters(), 0.5)
    record("clipv", net.a.scale.grad)
    record("clipn", clip_grad_norm_(net.parameters(), 0.1, norm_type="inf"))
    twin = copy.deepcopy(net)
    twin.shared.weight.data.zero_()
    record("deep", bool(net.shared.weight.abs().sum() > 0) and twin.a.shared is twin.shared)
    back = pickle.loads(pickle.dumps(net))
    record("pickle", back(x)["x"])
    record(
        "half",
        str(net.half().shared.weight.dtype)
        + str(net.float().a.kept.dtype)
        + str(copy.deepcopy(net).double().heads["x"].weight.dtype)
        + str(copy.deepcopy(net).bfloat16().a.pos.dtype),
    )
    record("train", str([m.training for m in net.eval().modules()][:3]) + str(net.train().training))
    net.requires_grad_(False)
    record("frozen", any(p.requires_grad for p in net.parameters()))
    net.requires_grad_(True).zero_grad()
    record("nograd", all(p.grad is None for p in net.parameters()))
    net.a.register_state_dict_post_hook(
        lambda m, sd, p, md: sd.__setitem__(p + "extra", torch.ones(1))
    )
    sd = net.state_dict()
    record("hooked", str("a.extra" in sd))
    net.a.register_load_state_dict_pre_hook(lambda m, sd, p, *r: sd.pop(p + "extra", None))
    record("load", str(net.load_state_dict(sd)))
    bad = OrderedDict(sd)
    bad["heads.x.weight"] = torch.zeros(5, 5)
    del bad["a.scale"]
    bad["what"] = torch.zeros(1)
    for strict in (True, False):
        try:
            record(
                "r",
                str(
                    net.load_state_dict(
                        {k: v for k, v in bad.items() if strict or k != "heads.x.weight"},
                        strict=strict,
                    )
                ),
            )
        except RuntimeError as e:
            record(
                "e",
                str(e).count("size mismatch")
                + str(e).count("Missing")
                + str(e).count("Unexpected"),
            )
    for mistake in (
        lambda: net.nope,
        lambda: setattr(net, "shared", 3),
        lambda: net.register_buffer("shared", torch.ones(1)),
        lambda: net.add_module("a.b", nn.ReLU()),
        lambda: nn.Module()(1),
        lambda: nn.Linear(2, 3)(torch.ones(2, 5)),
        lambda: net.heads["z"],
        lambda: nn.Sequential(1),
        lambda: net.get_submodule("a.zz"),
    ):
        try:
            mistake()
            record("none", "no error")
        except Exception as e:
            kind = next(k.__name__ for k in type(e).__mro__ if k.__module__ == "builtins")
            record("kind", kind)
    s = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    s.append(nn.Tanh())
    s.insert(1, nn.Identity())
    s[0] = nn.Linear(3, 4)
    del s[1]
    record("seq", repr(s[:2]) + repr(s[-1]) + str(len(s)) + repr(s + nn.Sequential(nn.ReLU())))
    s.extend([nn.ReLU()])
    s.pop(-1)
    record("seq2", repr(s))
    net.apply(lambda m: init.constant_(m.weight, 0.1) if isinstance(m, nn.Linear) else None)
    record("apply", net(x)["x"])
    wn = weight_norm(fill(nn.Linear(3, 2)), dim=0)
    record("wn", str([n for n, _ in wn.named_parameters()]))
    record("wno", wn(x))
    remove_weight_norm(wn)
    record("wnr", str([n for n, _ in wn.named_parameters()])), record("wnr", wn.weight)
    torch.nn.utils.parametrizations.weight_norm(wn)
    record("wnp", str(list(wn.state_dict())))
    t = torch.empty(4, 6)
    for name, kw in (("constant_", dict(val=3.0)), ("ones_", {}), ("zeros_", {}), ("eye_", {})):
        record("init", getattr(init, name)(t, **kw))
    record("dirac", init.dirac_(torch.empty(3, 3, 3)))
    for name, kw in (
        ("uniform_", dict(a=-1, b=1)),
        ("normal_", dict(mean=2, std=0.1)),
        ("trunc_normal_", dict(std=0.02, a=-0.04, b=0.04)),
        ("xavier_uniform_", dict(gain=2.0)),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", dict(a=math.sqrt(5))),
        ("kaiming_normal_", dict(mode="fan_out", nonlinearity="relu")),
    ):
        big = getattr(init, name)(torch.empty(300, 200), **kw)
        record("moments", [round(big.mean().item(), 1), round(big.std().item(), 1)])
    q = init.orthogonal_(torch.empty(5, 3))
    record("orth", (q.T @ q))
    record("sparse", (init.sparse_(torch.empty(10, 4), 0.5) == 0).sum(0))
    record(
        "gain",
        [
            init.calculate_gain("relu"),
            init.calculate_gain("leaky_relu", 0.2),
            init.calculate_gain("tanh"),
        ],
    )
    mod = (
        torch.nn.utils.skip_init(nn.Linear, 3, 2) if hasattr(torch.nn.utils, "skip_init") else None
    )
    with torch.device("meta"):
        big = nn.Linear(10000, 10000)
    record(
        "meta",
        str(big.weight.device) + str(big.to_empty(device="cpu").weight.shape)
        if False
        else str(big.weight.device),
    )
    m2 = nn.Linear(3, 2, device="meta")
    m2.load_state_dict({"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, assign=True)
    record("assign", m2(torch.ones(1, 3)))
    bnc = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
    fill(bnc)
    fused = torch.nn.utils.fusion.fuse_conv_bn_eval(bnc[0], bnc[1])
    img = f(1, 1, 5, 5)
    record("fuse", fused(img))
    lb = fill(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))).eval()
    record("fuse", torch.nn.utils.fuse_linear_bn_eval(*lb)(f(2, 3)))
    record("skip", str(torch.nn.utils.skip_init(nn.Linear, 3, 2)))
