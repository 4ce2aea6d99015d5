"""A state dict of GPT-2's names through safetensors, inference in low precision, and attention with every mask."""

import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class Turned(nn.Module):
    def __init__(self, nf, nx):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(nx, nf))
        self.bias = nn.Parameter(torch.zeros(nf))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x):
        flat = torch.addmm(self.bias, x.flatten(0, -2), self.weight)
        return flat.unflatten(0, x.shape[:-1])


class Attn(nn.Module):
    def __init__(self, d, h, n):
        super().__init__()
        self.register_buffer(
            "bias",
            torch.tril(torch.ones((n, n), dtype=torch.bool)).view(1, 1, n, n),
            persistent=False,
        )
        self.c_attn, self.c_proj, self.h = Turned(3 * d, d), Turned(d, d), h

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.c_attn(x).view(b, t, 3, self.h, d // self.h).permute(2, 0, 3, 1, 4)
        scores = q @ k.mT / (d // self.h) ** 0.5
        least = torch.full(
            [], torch.finfo(scores.dtype).min, dtype=scores.dtype, device=scores.device
        )
        scores = torch.where(self.bias[:, :, :t, :t], scores, least)
        return self.c_proj((scores.softmax(-1).type_as(v) @ v).transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    def __init__(self, d, h, n):
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(d), Attn(d, h, n), nn.LayerNorm(d)
        self.mlp = nn.ModuleDict({"c_fc": Turned(4 * d, d), "c_proj": Turned(d, 4 * d)})

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, v=31, d=16, h=2, n=12, layers=2):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(v, d), nn.Embedding(n, d)
        self.h = nn.ModuleList([Block(d, h, n) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(d)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[-1], device=ids.device))[None]
        for b in self.h:
            x = b(x)
        return self.ln_f(x) @ self.wte.weight.t()


def main(record, fill):
    from safetensors.numpy import load_file, save_file

    rng = np.random.default_rng(0)
    ids = torch.from_numpy(rng.integers(0, 31, (2, 9)))
    m = fill(GPT2()).eval()
    with tempfile.TemporaryDirectory() as d:
        p = os.path.join(d, "model.safetensors")
        save_file(
            {
                "transformer." + k: v.detach().contiguous().numpy()
                for k, v in m.state_dict().items()
            },
            p,
            metadata={"format": "pt"},
        )
        sd = load_file(p)
        sd = {k.removeprefix("transformer."): torch.from_numpy(v) for k, v in sd.items()}
        n = GPT2().eval()
        record("load", str(n.load_state_dict(sd, strict=True)))
        with torch.device("meta"):
            e = GPT2()
        e.load_state_dict(sd, assign=True)
        record("assigned", str({str(p.device) for p in e.parameters()}))
    with torch.no_grad():
        base = n(ids)
    record("logits", base)
    for dt in (torch.bfloat16, torch.float16, torch.float64):
        k = GPT2().eval().to(dt)
        k.load_state_dict(sd)
        with torch.inference_mode():
            out = k(ids)
        record("dt", str(out.dtype))
        tol = {torch.bfloat16: 0.1, torch.float16: 0.02, torch.float64: 1e-4}[dt]
        record("near", bool((out.float() - base).abs().max() < tol * base.abs().max()))
        record("argmax", int((out.argmax(-1) == base.argmax(-1)).sum() > 14))
    half = fill(
        nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(36, 5),
            nn.Softmax(-1),
        )
    ).eval()
    x = torch.from_numpy(rng.standard_normal((2, 3, 8, 8)).astype("float32"))
    full = half(x)
    low = half.half()(x.half())
    record("half", bool((low.float() - full).abs().max() < 5e-3)), record("hd", str(low.dtype))
    for m in half.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.float()
    try:
        half(x.half())
        record("mixed bn", "ok")
    except RuntimeError:
        record("mixed bn", "RuntimeError")
    q = torch.from_numpy(rng.standard_normal((2, 4, 5, 8)).astype("float32"))
    kv = torch.from_numpy(rng.standard_normal((2, 2, 7, 8)).astype("float32"))
    k4 = kv.repeat_interleave(2, 1)
    S = F.scaled_dot_product_attention
    boolm = torch.from_numpy(rng.random((5, 7)) > 0.3)
    boolm[:, 0] = True
    record("gqa", S(q, kv, kv, enable_gqa=True))
    for name, kw in dict(
        none={},
        bool=dict(attn_mask=boolm),
        full=dict(attn_mask=boolm.expand(2, 4, 5, 7)),
        pad=dict(attn_mask=boolm[None, None, :1].expand(2, 1, 5, 7)),
        add=dict(attn_mask=torch.zeros(5, 7).masked_fill(~boolm, float("-inf"))),
        bias=dict(attn_mask=torch.linspace(-1, 1, 4).view(1, 4, 1, 1) * torch.arange(7.0)),
        causal=dict(is_causal=True),
        scale=dict(scale=0.1),
        drop=dict(dropout_p=0.0),
    ).items():
        qq = q.clone().requires_grad_()
        o = S(qq, k4, k4, **kw)
        o.square().sum().backward()
        record("sdpa " + name, o), record("g", qq.grad)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        record("ctx", S(q, k4, k4))
    dead = torch.zeros(5, 7, dtype=torch.bool)
    record("dead", S(q, k4, k4, attn_mask=dead).isnan().any().item())
