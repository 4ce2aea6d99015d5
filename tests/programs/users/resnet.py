import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != self.expansion * planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_planes, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, block, num_blocks, num_classes=10):
        super().__init__()
        self.in_planes = 8
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._make_layer(block, 8, num_blocks[0], 1)
        self.layer2 = self._make_layer(block, 16, num_blocks[1], 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.linear = nn.Linear(16, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def _make_layer(self, block, planes, num_blocks, stride):
        layers = []
        for s in [stride] + [1] * (num_blocks - 1):
            layers.append(block(self.in_planes, planes, s))
            self.in_planes = planes * block.expansion
        return nn.Sequential(*layers)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.maxpool(out)
        out = self.layer2(self.layer1(out))
        return self.linear(torch.flatten(self.avgpool(out), 1))


class ConvBNReLU(nn.Sequential):
    def __init__(self, i, o, k=3, s=1, g=1):
        super().__init__(
            nn.Conv2d(i, o, k, s, (k - 1) // 2, groups=g, bias=False),
            nn.BatchNorm2d(o),
            nn.ReLU6(inplace=True),
        )


class SE(nn.Module):
    def __init__(self, c, r=2):
        super().__init__()
        self.fc = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(c, c // r, 1),
            nn.Hardswish(),
            nn.Conv2d(c // r, c, 1),
            nn.Hardsigmoid(inplace=True),
        )

    def forward(self, x):
        return x * self.fc(x)


class InvertedResidual(nn.Module):
    def __init__(self, i, o, s, t):
        super().__init__()
        h = int(round(i * t))
        self.use_res = s == 1 and i == o
        self.conv = nn.Sequential(
            ConvBNReLU(i, h, 1),
            ConvBNReLU(h, h, 3, s, h),
            SE(h),
            nn.Conv2d(h, o, 1, bias=False),
            nn.BatchNorm2d(o),
        )

    def forward(self, x):
        return x + self.conv(x) if self.use_res else self.conv(x)


class MobileNet(nn.Module):
    def __init__(self, n=10):
        super().__init__()
        self.features = nn.Sequential(
            ConvBNReLU(3, 8, 3, 2), InvertedResidual(8, 8, 1, 2), InvertedResidual(8, 12, 2, 3)
        )
        self.classifier = nn.Sequential(nn.Dropout(0.0), nn.Linear(12, n))

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


def mixup_data(x, y, lam, index):
    mixed = lam * x + (1 - lam) * x[index, :]
    return mixed, y, y[index]


def accuracy(output, target, topk=(1,)):
    with torch.no_grad():
        maxk = max(topk)
        _, pred = output.topk(maxk, 1, True, True)
        pred = pred.t()
        correct = pred.eq(target.view(1, -1).expand_as(pred))
        return [
            correct[:k].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / target.size(0))
            for k in topk
        ]


def main(record, fill):
    rng = np.random.default_rng(0)
    X = torch.from_numpy(rng.standard_normal((16, 3, 16, 16)).astype("float32"))
    Y = torch.from_numpy(rng.integers(0, 10, 16))
    loader = DataLoader(
        TensorDataset(X, Y),
        batch_size=8,
        shuffle=False,
        num_workers=0,
        pin_memory=False,
        drop_last=True,
    )
    for fmt in (torch.contiguous_format, torch.channels_last):
        for make in (lambda: ResNet(BasicBlock, [1, 1]), MobileNet):
            model = fill(make()).to(memory_format=fmt)
            decay, no = [], []
            for n, p in model.named_parameters():
                (no if p.ndim <= 1 or n.endswith(".bias") else decay).append(p)
            opt = torch.optim.SGD(
                [{"params": no, "weight_decay": 0.0}, {"params": decay}],
                lr=0.05,
                momentum=0.9,
                nesterov=True,
                weight_decay=5e-4,
            )
            sched = OneCycleLR(
                opt, max_lr=0.1, steps_per_epoch=len(loader), epochs=3, pct_start=0.3
            )
            crit = nn.CrossEntropyLoss(label_smoothing=0.1)
            for epoch in range(3):
                model.train()
                for bi, (x, y) in enumerate(loader):
                    x = x.to("cpu", non_blocking=True, memory_format=fmt)
                    lam = float(rng.beta(0.2, 0.2)) if False else 0.7
                    mx, ya, yb = mixup_data(x, y, lam, torch.arange(7, -1, -1))
                    out = model(mx)
                    loss = lam * crit(out, ya) + (1 - lam) * crit(out, yb)
                    opt.zero_grad(set_to_none=False)
                    loss.backward()
                    opt.step()
                    sched.step()
                    record("loss", loss)
                    record("lr", sched.get_last_lr())
                    record("mom", opt.param_groups[0]["momentum"])
            model.eval()
            with torch.no_grad():
                out = model(X)
                a1, a5 = accuracy(out, Y, (1, 5))
            record("a1", a1), record("a5", a5)
            record("keys", str(list(model.state_dict())[:8]))
        record("repr", repr(model))
    record("cl", out.is_contiguous())
    soft = F.one_hot(Y, 10).float() * 0.9 + 0.01
    record("soft", F.cross_entropy(out, soft))
    record("kl", F.kl_div(out.log_softmax(1), soft, reduction="batchmean"))
    record("w", nn.CrossEntropyLoss(weight=torch.arange(1.0, 11.0), reduction="sum")(out, Y))
