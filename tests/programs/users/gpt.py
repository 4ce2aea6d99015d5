"""A small decoder: parameter groups, warm-up and cosine, accumulation, clipping, autocast, sampling with a cache."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from torch.nn import functional as F


@dataclass
class Config:
    context: int = 16
    vocabulary: int = 23
    layers: int = 2
    heads: int = 2
    kv_heads: int = 1
    width: int = 16
    fused: bool = True


class RMSNorm(nn.Module):
    def __init__(self, width, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        y = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)
        return y.type_as(x) * self.weight


def rotary_table(width, length, base=10000.0):
    rates = 1.0 / (base ** (torch.arange(0, width, 2)[: width // 2].float() / width))
    angles = torch.outer(torch.arange(length), rates)
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x, table):
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * table).flatten(3).type_as(x)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.size = c, c.width // c.heads
        self.q = nn.Linear(c.width, c.heads * self.size, bias=False)
        self.kv = nn.Linear(c.width, 2 * c.kv_heads * self.size, bias=False)
        self.out = nn.Linear(c.width, c.width, bias=False)
        if not c.fused:
            seen = torch.ones(c.context, c.context).tril().view(1, 1, c.context, c.context)
            self.register_buffer("seen", seen, persistent=False)

    def forward(self, x, table, cache=None):
        b, t, _ = x.size()
        q = self.q(x).view(b, t, -1, self.size)
        k, v = self.kv(x).view(b, t, 2 * self.c.kv_heads, self.size).chunk(2, dim=2)
        q, k, v = (z.transpose(1, 2) for z in (rotate(q, table), rotate(k, table), v))
        if cache is not None:
            if "k" in cache:
                k, v = torch.cat((cache["k"], k), dim=-2), torch.cat((cache["v"], v), dim=-2)
            cache.update(k=k, v=v)
        if self.c.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=t > 1, enable_gqa=True)
        else:
            k, v = (z.repeat_interleave(self.c.heads // self.c.kv_heads, dim=1) for z in (k, v))
            scores = (q @ k.transpose(-2, -1)) / math.sqrt(self.size)
            scores = scores.masked_fill(self.seen[:, :, :t, :t] == 0, float("-inf"))
            y = F.softmax(scores, dim=-1) @ v
        return self.out(y.transpose(1, 2).contiguous().view(b, t, -1))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm1, self.norm2, self.attention = RMSNorm(c.width), RMSNorm(c.width), Attention(c)
        self.mlp = nn.ModuleDict(
            {
                "gate": nn.Linear(c.width, 2 * c.width),
                "up": nn.Linear(c.width, 2 * c.width),
                "down": nn.Linear(2 * c.width, c.width),
            }
        )

    def forward(self, x, table, cache=None):
        x = x + self.attention(self.norm1(x), table, cache)
        h = self.norm2(x)
        return x + self.mlp.down(F.silu(self.mlp["gate"](h)) * self.mlp.up(h))


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed = nn.Embedding(c.vocabulary, c.width)
        self.blocks = nn.ModuleList([Block(c) for _ in range(c.layers)])
        self.norm = RMSNorm(c.width)
        self.head = nn.Linear(c.width, c.vocabulary, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer(
            "table", rotary_table(c.width // c.heads, c.context)[:, None], persistent=False
        )
        self.apply(self.initialize)

    @staticmethod
    def initialize(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)

    def forward(self, tokens, targets=None, caches=None, start=0):
        x = self.embed(tokens)
        table = self.table[start : start + tokens.size(1)]
        for i, block in enumerate(self.blocks):
            x = block(x, table, None if caches is None else caches[i])
        logits = self.head(self.norm(x))
        if targets is None:
            return logits[:, -1, :], None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)

    @torch.no_grad()
    def generate(self, tokens, count, temperature=1.0, top_k=None, top_p=None, greedy=False):
        for _ in range(count):
            logits, _ = self(tokens[:, -self.c.context :])
            logits = logits / temperature
            if top_k is not None:
                least, _ = torch.topk(logits, min(top_k, logits.size(-1)))
                logits[logits < least[:, [-1]]] = -float("Inf")
            if top_p is not None:
                ranked, order = torch.sort(logits, descending=True)
                share = torch.cumsum(F.softmax(ranked, dim=-1), dim=-1)
                ranked[share - F.softmax(ranked, dim=-1) > top_p] = -float("inf")
                logits = torch.full_like(logits, -float("inf")).scatter(1, order, ranked)
            p = F.softmax(logits, dim=-1)
            new = p.argmax(-1, keepdim=True) if greedy else torch.multinomial(p, num_samples=1)
            tokens = torch.cat((tokens, new), dim=1)
        return tokens

    @torch.inference_mode()
    def generate_cached(self, tokens, count):
        caches, at = [{} for _ in self.blocks], tokens.size(1)
        logits, _ = self(tokens, caches=caches)
        made = [logits.argmax(-1, keepdim=True)]
        while len(made) < count:
            logits, _ = self(made[-1], caches=caches, start=at)
            made.append(logits.argmax(-1, keepdim=True))
            at += 1
        return torch.cat([tokens, *made], dim=1)


def rate_at(step, top=1e-2, least=1e-3, warm=4, last=20):
    if step < warm:
        return top * (step + 1) / (warm + 1)
    share = min(1.0, (step - warm) / (last - warm))
    return least + 0.5 * (1.0 + math.cos(math.pi * share)) * (top - least)


def main(record, fill):
    text = np.random.default_rng(0).integers(0, 23, 2000).astype(np.uint16)
    rng = np.random.default_rng(1)

    def batch(length):
        starts = rng.integers(0, len(text) - length - 1, (4,))
        rows = [torch.from_numpy(text[i : i + length + 1].astype(np.int64)) for i in starts]
        both = torch.stack(rows)
        return both[:, :-1].contiguous(), both[:, 1:].contiguous()

    for fused in (True, False):
        model = fill(Decoder(Config(fused=fused)), scale=0.1)
        record("size", sum(p.numel() for p in model.parameters()))
        record("module", model)
        record("state", list(model.state_dict()).__str__())
        wide = [p for p in model.parameters() if p.dim() >= 2]
        thin = [p for p in model.parameters() if p.dim() < 2]
        groups = [{"params": wide, "weight_decay": 0.1}, {"params": thin, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95))
        record("optimizer", optimizer)
        for low in (False, True):
            context = torch.amp.autocast(device_type="cpu", dtype=torch.bfloat16, enabled=low)
            scaler = torch.amp.GradScaler("cpu", enabled=low, init_scale=128.0)
            for step in range(6):
                for group in optimizer.param_groups:
                    group["lr"] = rate_at(step)
                for _ in range(2):
                    x, y = batch(model.c.context)
                    with context:
                        logits, loss = model(x, y)
                        loss = loss / 2
                    scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
                if not low:
                    record("loss", loss.item())
                    record("norm", norm)
                record("dtypes", f"{loss.dtype} {logits.dtype} {norm.dtype}")
            record("scale", scaler.get_scale())
        model.eval()
        start = torch.zeros((1, 1), dtype=torch.long)
        slow = model.generate(start, 12, greedy=True)
        if fused:
            record("cache agrees", torch.equal(slow, model.generate_cached(start, 12)))
        drawn = model.generate(start.expand(3, -1), 20, temperature=0.8, top_k=5, top_p=0.9)
        record("drawn", list(drawn.shape))
