"""Image classifiers: residual blocks and separable convolutions, mixed images, smoothed labels, one-cycle rates."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset


def convolved(inside, outside, window=3, stride=1, groups=1, act=nn.ReLU):
    parts = [
        nn.Conv2d(inside, outside, window, stride, window // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
    ]
    return nn.Sequential(*parts, act(inplace=True)) if act else nn.Sequential(*parts)


class Residual(nn.Module):
    def __init__(self, inside, outside, stride=1):
        super().__init__()
        self.path = nn.Sequential(
            convolved(inside, outside, stride=stride), convolved(outside, outside, act=None)
        )
        same = stride == 1 and inside == outside
        self.short = nn.Identity() if same else convolved(inside, outside, 1, stride, act=None)

    def forward(self, x):
        y = self.path(x)
        y += self.short(x)
        return F.relu(y, inplace=True)


class Gate(nn.Module):
    """Channels weighted by what is seen in all of them."""

    def __init__(self, width):
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width, width // 2, 1),
            nn.Hardswish(),
            nn.Conv2d(width // 2, width, 1),
            nn.Hardsigmoid(inplace=True),
        )

    def forward(self, x):
        return self.weigh(x) * x


class Separable(nn.Module):
    def __init__(self, inside, outside, stride, wider):
        super().__init__()
        wide = inside * wider
        self.path = nn.Sequential(
            convolved(inside, wide, 1, act=nn.ReLU6),
            convolved(wide, wide, 3, stride, wide, act=nn.ReLU6),
            Gate(wide),
            convolved(wide, outside, 1, act=None),
        )
        self.adds = stride == 1 and inside == outside

    def forward(self, x):
        return self.path(x).add(x) if self.adds else self.path(x)


def large(classes=10):
    return nn.Sequential(
        convolved(3, 8), nn.MaxPool2d(3, 2, 1), Residual(8, 8), Residual(8, 16, 2), nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(), nn.Linear(16, classes),
    )  # fmt: skip


def small(classes=10):
    return nn.Sequential(
        convolved(3, 8, 3, 2, act=nn.ReLU6), Separable(8, 8, 1, 2), Separable(8, 12, 2, 3), nn.AvgPool2d(4), nn.Flatten(),
        nn.Dropout(0.0), nn.Linear(12, classes),
    )  # fmt: skip


def hits(logits, labels, *counts):
    """Percent of the labels among the best so many."""
    ranked = logits.topk(max(counts), dim=1).indices == labels[:, None]
    return [100 * ranked[:, :count].any(dim=1).float().mean() for count in counts]


def main(record, fill):
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.standard_normal((16, 3, 16, 16)).astype("float32"))
    labels = torch.from_numpy(rng.integers(0, 10, 16))
    loader = DataLoader(
        TensorDataset(images, labels), batch_size=8, drop_last=True, pin_memory=False
    )
    for order in (torch.contiguous_format, torch.channels_last):
        for make in (large, small):
            model = fill(make()).to(memory_format=order)
            matrices = [p for p in model.parameters() if p.ndim > 1]
            others = [p for p in model.parameters() if p.ndim <= 1]
            groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
            optimizer = torch.optim.SGD(
                groups, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4
            )
            rates = OneCycleLR(
                optimizer, max_lr=0.1, epochs=3, steps_per_epoch=len(loader), pct_start=0.3
            )
            criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
            for _ in range(3):
                model.train()
                for x, y in loader:
                    x = x.to("cpu", non_blocking=True, memory_format=order)
                    logits = model(0.7 * x + 0.3 * x.flip(0))
                    loss = 0.7 * criterion(logits, y) + 0.3 * criterion(logits, y.flip(0))
                    optimizer.zero_grad(set_to_none=False)
                    loss.backward()
                    optimizer.step()
                    rates.step()
                    record("loss", loss), record("rates", rates.get_last_lr())
                    record("momentum", optimizer.param_groups[0]["momentum"])
            model.eval()
            with torch.no_grad():
                logits = model(images)
            for share in hits(logits, labels, 1, 5):
                record("hits", share)
            record("names", list(model.state_dict())[:8].__str__())
            record("module", model)
    soft = F.one_hot(labels, 10) * 0.9 + 0.01
    record("soft", F.cross_entropy(logits, soft))
    record("divergence", F.kl_div(logits.log_softmax(1), soft, reduction="batchmean"))
    record(
        "weighted",
        nn.CrossEntropyLoss(weight=torch.arange(1.0, 11.0), reduction="sum")(logits, labels),
    )
