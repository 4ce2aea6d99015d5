import copy
import math
from functools import partial

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def exists(x):
    return x is not None


class SinusoidalPosEmb(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        half = self.dim // 2
        emb = math.log(10000) / (half - 1)
        emb = torch.exp(torch.arange(half, device=x.device) * -emb)
        emb = x[:, None] * emb[None, :]
        return torch.cat((emb.sin(), emb.cos()), dim=-1)


class WeightStandardizedConv2d(nn.Conv2d):
    def forward(self, x):
        eps = 1e-5 if x.dtype == torch.float32 else 1e-3
        weight = self.weight
        mean = weight.mean(dim=(1, 2, 3), keepdim=True)
        var = torch.var(weight, dim=(1, 2, 3), unbiased=False, keepdim=True)
        weight = (weight - mean) * (var + eps).rsqrt()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class ResnetBlock(nn.Module):
    def __init__(self, dim, dim_out, *, time_emb_dim=None, groups=4):
        super().__init__()
        self.mlp = (
            nn.Sequential(nn.SiLU(), nn.Linear(time_emb_dim, dim_out * 2))
            if exists(time_emb_dim)
            else None
        )
        self.conv1 = WeightStandardizedConv2d(dim, dim_out, 3, padding=1)
        self.norm1 = nn.GroupNorm(groups, dim_out)
        self.conv2 = nn.Conv2d(dim_out, dim_out, 3, padding="same")
        self.norm2 = nn.GroupNorm(groups, dim_out)
        self.res_conv = nn.Conv2d(dim, dim_out, 1) if dim != dim_out else nn.Identity()

    def forward(self, x, time_emb=None):
        scale, shift = self.mlp(time_emb)[..., None, None].chunk(2, dim=1)
        h = self.norm1(self.conv1(x))
        h = F.silu(h * (scale + 1) + shift)
        h = F.silu(self.norm2(self.conv2(h)), inplace=True)
        return h + self.res_conv(x)


class LinearAttention(nn.Module):
    def __init__(self, dim, heads=2, dim_head=4):
        super().__init__()
        self.scale, self.heads = dim_head**-0.5, heads
        hidden = dim_head * heads
        self.to_qkv = nn.Conv2d(dim, hidden * 3, 1, bias=False)
        self.to_out = nn.Sequential(nn.Conv2d(hidden, dim, 1), nn.GroupNorm(1, dim))

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = [t.reshape(b, self.heads, -1, h * w) for t in self.to_qkv(x).chunk(3, dim=1)]
        q = q.softmax(dim=-2) * self.scale
        k = k.softmax(dim=-1)
        context = torch.einsum("bhdn,bhen->bhde", k, v / (h * w))
        out = torch.einsum("bhde,bhdn->bhen", context, q)
        return self.to_out(out.reshape(b, -1, h, w)) + x


class Unet(nn.Module):
    def __init__(self, dim=8, channels=1, mults=(1, 2)):
        super().__init__()
        self.init_conv = nn.Conv2d(channels, dim, 7, padding=3)
        dims = [dim, *map(lambda m: dim * m, mults)]
        in_out = list(zip(dims[:-1], dims[1:]))
        block = partial(ResnetBlock, groups=4, time_emb_dim=dim * 4)
        self.time_mlp = nn.Sequential(
            SinusoidalPosEmb(dim), nn.Linear(dim, dim * 4), nn.GELU(), nn.Linear(dim * 4, dim * 4)
        )
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for i, (a, b) in enumerate(in_out):
            last = i >= len(in_out) - 1
            self.downs.append(
                nn.ModuleList(
                    [
                        block(a, a),
                        LinearAttention(a),
                        nn.Conv2d(a, b, 4, 2, 1) if not last else nn.Conv2d(a, b, 3, padding=1),
                    ]
                )
            )
        self.mid = block(dims[-1], dims[-1])
        for i, (a, b) in enumerate(reversed(in_out)):
            last = i == len(in_out) - 1
            self.ups.append(
                nn.ModuleList(
                    [
                        block(a + b, b),
                        nn.Sequential(
                            nn.Upsample(scale_factor=2, mode="nearest"),
                            nn.Conv2d(b, a, 3, padding=1),
                        )
                        if not last
                        else nn.ConvTranspose2d(b, a, 3, padding=1),
                    ]
                )
            )
        self.final = block(dim * 2, dim)
        self.out = nn.Conv2d(dim, channels, 1)

    def forward(self, x, t):
        x = self.init_conv(x)
        r, t, h = x.clone(), self.time_mlp(t), []
        for b, attn, down in self.downs:
            x = attn(b(x, t))
            h.append(x)
            x = down(x)
        x = self.mid(x, t)
        for b, up in self.ups:
            x = torch.cat((x, h.pop()), dim=1)
            x = up(b(x, t))
        return self.out(self.final(torch.cat((x, r), dim=1), t))


def cosine_beta_schedule(timesteps, s=0.008):
    t = torch.linspace(0, timesteps, timesteps + 1, dtype=torch.float64) / timesteps
    ac = torch.cos((t + s) / (1 + s) * math.pi * 0.5) ** 2
    ac = ac / ac[0]
    return torch.clip(1 - (ac[1:] / ac[:-1]), 0, 0.999)


def extract(a, t, x_shape):
    b, *_ = t.shape
    out = a.gather(-1, t)
    return out.reshape(b, *((1,) * (len(x_shape) - 1)))


class Diffusion(nn.Module):
    def __init__(self, model, timesteps=10):
        super().__init__()
        self.model, self.num_timesteps = model, timesteps
        betas = cosine_beta_schedule(timesteps)
        alphas = 1.0 - betas
        ac = torch.cumprod(alphas, dim=0)
        prev = F.pad(ac[:-1], (1, 0), value=1.0)
        reg = lambda n, v: self.register_buffer(n, v.to(torch.float32))
        reg("betas", betas)
        reg("sqrt_ac", torch.sqrt(ac))
        reg("sqrt_1mac", torch.sqrt(1.0 - ac))
        reg("sqrt_recip_alphas", torch.rsqrt(alphas))
        reg("post_var", betas * (1.0 - prev) / (1.0 - ac))
        snr = ac / (1 - ac)
        reg("loss_weight", snr.clone().clamp_(max=5) / snr)

    def p_losses(self, x0, t, noise):
        x = extract(self.sqrt_ac, t, x0.shape) * x0 + extract(self.sqrt_1mac, t, x0.shape) * noise
        out = self.model(x, t)
        loss = F.mse_loss(out, noise, reduction="none").flatten(1).mean(1)
        return (loss * extract(self.loss_weight, t, loss.shape)).mean()

    @torch.inference_mode()
    def sample(self, shape, noises):
        img = noises[-1]
        for i in reversed(range(self.num_timesteps)):
            t = torch.full((shape[0],), i, dtype=torch.long)
            eps = self.model(img, t)
            mean = extract(self.sqrt_recip_alphas, t, shape) * (
                img - extract(self.betas, t, shape) * eps / extract(self.sqrt_1mac, t, shape)
            )
            img = mean + (extract(self.post_var, t, shape).sqrt() * noises[i] if i > 0 else 0)
        return img.clamp(-1, 1)


class EMA:
    def __init__(self, model, decay=0.9):
        self.ema = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        for e, p in zip(self.ema.parameters(), model.parameters()):
            e.lerp_(p.data, 1 - self.decay)
        for e, b in zip(self.ema.buffers(), model.buffers()):
            e.copy_(b)


def main(record, fill):
    d = Diffusion(fill(Unet()))
    ema = EMA(d)
    opt = torch.optim.Adam(d.parameters(), lr=1e-3, betas=(0.9, 0.99))
    rng = np.random.default_rng(0)
    rec = lambda *s: torch.from_numpy(rng.standard_normal(s).astype("float32"))
    for step in range(5):
        x, noise = rec(3, 1, 8, 8), rec(3, 1, 8, 8)
        t = torch.from_numpy(rng.integers(0, 10, 3)).long()
        loss = d.p_losses(x, t, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(d.parameters(), 1.0)
        opt.step()
        opt.zero_grad()
        ema.update(d)
        record("loss", loss)
    noises = [rec(2, 1, 8, 8) for _ in range(10)]
    s = ema.ema.sample((2, 1, 8, 8), noises)
    record("sample", s)
    record("state", [k for k in d.state_dict()][:12].__str__())
    record("inf", s.is_inference())
    grid = s.mul(255).add_(0.5).clamp_(0, 255).permute(0, 2, 3, 1).to("cpu", torch.uint8)
    record("u8", list(grid.shape))
