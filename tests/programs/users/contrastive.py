import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.parameter import Parameter


class ContrastiveLoss(torch.nn.Module):
    def __init__(self, margin=2.0):
        super().__init__()
        self.margin = margin

    def forward(self, o1, o2, label):
        d = F.pairwise_distance(o1, o2, keepdim=True)
        return torch.mean(
            (1 - label) * torch.pow(d, 2)
            + label * torch.pow(torch.clamp(self.margin - d, min=0.0), 2)
        )


class Pairs(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 8))
        self.text = nn.EmbeddingBag(20, 8, mode="mean")
        self.logit_scale = nn.Parameter(torch.ones([]) * np.log(1 / 0.07))

    def forward(self, image, text):
        i = F.normalize(self.image(image), dim=-1)
        t = self.text(text)
        t = t / t.norm(dim=-1, keepdim=True)
        logits = self.logit_scale.exp() * i @ t.t()
        return logits, logits.T


def between_views(z1, z2, t=0.5):
    z = torch.cat([z1, z2], 0)
    n = z.size(0)
    sim = F.cosine_similarity(z.unsqueeze(1), z.unsqueeze(0), dim=2) / t
    sim.fill_diagonal_(float("-inf"))
    labels = torch.cat([torch.arange(n // 2) + n // 2, torch.arange(n // 2)])
    return F.cross_entropy(sim, labels)


def supervised(vectors, labels, heat=0.1):
    """Pulls together what shares a label."""
    alike = labels[:, None] == labels[None, :]
    myself = torch.eye(len(labels), dtype=torch.bool)
    scores = (vectors @ vectors.mT / heat).masked_fill(myself, float("-inf"))
    told = scores - scores.logsumexp(dim=1, keepdim=True)
    friends = (alike & ~myself).float()
    share = (told.masked_fill(myself, 0.0) * friends).sum(1) / friends.sum(1).clamp(min=1)
    return -share.mean()


class Angles(nn.Module):
    """Logits from angles; the true class's is made wider by a margin."""

    def __init__(self, size, classes, scale=8.0, margin=0.5):
        super().__init__()
        self.weight = Parameter(torch.FloatTensor(classes, size))
        nn.init.xavier_uniform_(self.weight)
        self.scale, self.margin = scale, margin

    def forward(self, x, label):
        cosines = F.linear(F.normalize(x), F.normalize(self.weight)).clamp(-0.999, 0.999)
        true = torch.zeros_like(cosines, dtype=torch.bool).scatter_(1, label.view(-1, 1), True)
        return self.scale * torch.where(true, torch.cos(torch.acos(cosines) + self.margin), cosines)


class Imitator(nn.Module):
    def __init__(self):
        super().__init__()
        mlp = lambda: nn.Sequential(
            nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Linear(16, 8)
        )
        self.online, self.target, self.pred = mlp(), mlp(), nn.Linear(8, 8)
        self.target.load_state_dict(self.online.state_dict())
        for p in self.target.parameters():
            p.requires_grad = False

    def forward(self, a, b):
        with torch.no_grad():
            t = self.target(b)
        return (
            2
            - 2
            * (F.normalize(self.pred(self.online(a)), dim=-1) * F.normalize(t.detach(), dim=-1))
            .sum(-1)
            .mean()
        )

    def update(self, tau=0.9):
        for o, t in zip(self.online.parameters(), self.target.parameters()):
            t.data = tau * t.data + (1 - tau) * o.data


def main(record, fill):
    rng = np.random.default_rng(0)
    f = lambda *s: torch.tensor(rng.standard_normal(s), dtype=torch.float32)
    net = fill(nn.Sequential(nn.Linear(12, 16), nn.PReLU(), nn.Linear(16, 8)))
    arc = fill(Angles(8, 4))
    clip = fill(Pairs())
    byol = fill(Imitator())
    opt = torch.optim.AdamW(
        [
            {"params": net.parameters()},
            {"params": arc.parameters(), "lr": 1e-3},
            {"params": clip.parameters(), "weight_decay": 0.2},
        ],
        lr=1e-2,
    )
    opt.add_param_group({"params": [p for p in byol.parameters() if p.requires_grad]})
    y = torch.tensor([0, 1, 2, 3, 0, 1])
    for i in range(4):
        a, b, c = f(6, 12), f(6, 12), f(6, 12)
        ea, eb, ec = net(a), net(b), net(c)
        text = torch.from_numpy(rng.integers(0, 20, (6, 5)))
        li, lt = clip(a, text)
        gt = torch.arange(len(a))
        losses = dict(
            con=ContrastiveLoss()(ea, eb, (y > 1).float().unsqueeze(1)),
            trip=nn.TripletMarginLoss(margin=1.0, p=2)(ea, eb, ec),
            tripd=nn.TripletMarginWithDistanceLoss(
                distance_function=lambda p, q: 1 - F.cosine_similarity(p, q)
            )(ea, eb, ec),
            ce=nn.CosineEmbeddingLoss(margin=0.1)(ea, eb, torch.tensor([1, -1, 1, -1, 1, 1])),
            nt=between_views(ea, eb),
            sup=supervised(F.normalize(ea, dim=1), y),
            arc=F.cross_entropy(arc(ea, y), y),
            clip=(F.cross_entropy(li, gt) + F.cross_entropy(lt, gt)) / 2,
            byol=byol(a, b),
            cd=torch.cdist(ea, eb).mean(),
            mr=F.margin_ranking_loss(ea[:, 0], eb[:, 0], torch.ones(6), margin=0.5),
        )
        total = sum(losses.values())
        opt.zero_grad()
        total.backward()
        opt.step()
        byol.update()
        with torch.no_grad():
            clip.logit_scale.clamp_(0, math.log(100))
        for k, v in losses.items():
            record(k, v)
    record("scale", clip.logit_scale)
    record("t", byol.target[0].weight)
