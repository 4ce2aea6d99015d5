"""Data pipeline of every kind, training with scheduler and scaler, saved and resumed exactly."""

import os
import random
import tempfile

import numpy as np
import torch
import torch.nn as nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
    random_split,
)


class Sines(Dataset):
    def __init__(self, n, transform=None):
        rng = np.random.default_rng(0)
        self.x, self.transform = rng.standard_normal((n, 3)).astype(np.float32), transform

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        if torch.is_tensor(i):
            i = i.tolist()
        item = {
            "input": self.x[i],
            "target": int(i % 3),
            "name": f"s{i}",
            "nested": (float(i), [i, i + 1]),
        }
        return self.transform(item) if self.transform else item


class Stream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        start, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(start, self.n, step))


class ByLength(Sampler):
    def __init__(self, lengths, size):
        self.lengths, self.size = lengths, size

    def __iter__(self):
        order = sorted(range(len(self.lengths)), key=lambda i: self.lengths[i])
        for i in range(0, len(order), self.size):
            yield order[i : i + self.size]

    def __len__(self):
        return (len(self.lengths) + self.size - 1) // self.size


def pad_collate(batch):
    xs, ys = zip(*batch)
    lens = torch.tensor([len(x) for x in xs])
    return nn.utils.rnn.pad_sequence(xs, batch_first=True, padding_value=-1), torch.stack(ys), lens


class Ragged(Dataset):
    def __init__(self):
        self.lengths = [5, 1, 3, 2, 4, 6, 2]

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, i):
        return torch.arange(self.lengths[i]), torch.tensor(i)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.drop = nn.Dropout(0.0)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        self.seen += 1
        x = torch.relu(self.a(x))
        x = checkpoint(lambda z: torch.tanh(self.b(z)), x, use_reentrant=False)
        return self.c(self.drop(x))


def build(fill):
    net = fill(Net())
    opt = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0.1)
    sched = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=4, T_mult=2)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, patience=1, factor=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=3)
    return net, opt, sched, plateau, scaler


def steps(record, parts, batches, name):
    net, opt, sched, plateau, scaler = parts
    for x, y in batches:
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16, enabled=False):
            loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(opt)
        scaler.update()
        sched.step()
        plateau.step(loss)
        record(name, loss)
        record(name + "lr", opt.param_groups[0]["lr"])


def main(record, fill):
    random.seed(0), np.random.seed(0)
    ds = Sines(10)
    g = torch.Generator().manual_seed(3)
    dl = DataLoader(ds, batch_size=4, shuffle=True, num_workers=0, generator=g, worker_init_fn=None)
    record("len", len(dl))
    names = []
    for b in dl:
        record("shape", [*b["input"].shape, *b["target"].shape])
        record(
            "types",
            f"{b['input'].dtype} {b['target'].dtype} {b['nested'][0].dtype} {type(b['nested']).__name__} {type(b['nested'][1]).__name__} {type(b['name']).__name__}",
        )
        names += b["name"]
    record("all", str(sorted(names)))
    tr, va, te = random_split(ds, [0.6, 0.2, 0.2], generator=torch.Generator().manual_seed(0))
    record("split", [len(tr), len(va), len(te)])
    record("part", sorted(tr.indices + va.indices + te.indices))
    record("sub", Subset(ds, [1, 5])[1]["name"])
    both = ConcatDataset([ds, Sines(3)])
    record("concat", f"{len(both)} {both[11]['name']} {both.cumulative_sizes}")
    w = WeightedRandomSampler([0.0, 1.0, 0.0, 3.0], num_samples=20, replacement=True)
    record("weighted", sorted(set(w)))
    record("rl", sorted(RandomSampler(range(5))))
    record("bs", str(list(BatchSampler(SequentialSampler(range(7)), 3, drop_last=True))))
    record("sr", sorted(SubsetRandomSampler([3, 1, 4])))
    r = Ragged()
    for x, y, lens in DataLoader(r, batch_sampler=ByLength(r.lengths, 3), collate_fn=pad_collate):
        record("x", x), record("y", y), record("lens", lens)
    for n in (0, 2):
        got = sorted(int(v) for b in DataLoader(Stream(11), batch_size=3, num_workers=n) for v in b)
        record("stream", got)
        got = [
            b["target"].tolist()
            for b in DataLoader(
                ds,
                batch_size=4,
                num_workers=n,
                drop_last=True,
                persistent_workers=n > 0,
                prefetch_factor=2 if n else None,
            )
        ]
        record("ordered", str(got))
    record("coll", default_collate([(1, 2.0, "a"), (3, 4.0, "b")])[1])
    x, y = (
        torch.from_numpy(np.random.default_rng(5).standard_normal((24, 3)).astype("float32")),
        torch.arange(24) % 3,
    )
    batches = list(DataLoader(TensorDataset(x, y), batch_size=4))
    straight = build(fill)
    steps(record, straight, batches, "straight")
    parts = build(fill)
    steps(record, parts, batches[:3], "first")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ckpt.pt")
        torch.save(
            {
                "epoch": 3,
                "model": parts[0].state_dict(),
                "opt": parts[1].state_dict(),
                "sched": parts[2].state_dict(),
                "plateau": parts[3].state_dict(),
                "scaler": parts[4].state_dict(),
                "rng": torch.get_rng_state(),
                "best": 0.5,
                "args": {"lr": 1e-2},
            },
            path,
        )
        state = torch.load(path, map_location="cpu", weights_only=True)
    again = build(lambda m: m)
    record("keys", str(again[0].load_state_dict(state["model"])))
    for p, k in zip(again[1:], ("opt", "sched", "plateau", "scaler")):
        p.load_state_dict(state[k])
    torch.set_rng_state(state["rng"])
    steps(record, again, batches[3:], "resumed")
    record(
        "exact",
        all(torch.equal(a, b) for a, b in zip(straight[0].parameters(), again[0].parameters())),
    )
    record("seen", again[0].seen)
    record(
        "optkeys",
        str(sorted(straight[1].state_dict()["state"][0]))
        + str(list(straight[1].state_dict()["param_groups"][0]["params"])),
    )
    record("scaler", str(straight[4].state_dict()))
    record(
        "sched", str({k: v for k, v in straight[2].state_dict().items() if not k.startswith("_")})
    )
    seq = fill(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.ReLU()))
    xx = x[:5].clone().requires_grad_()
    out = checkpoint_sequential(seq, 2, xx, use_reentrant=False)
    out.sum().backward()
    record("cs", xx.grad)
    try:
        again[0].load_state_dict({"a.weight": torch.zeros(2, 2), "zzz": torch.zeros(1)})
    except RuntimeError as e:
        record("err", "size mismatch for a.weight" in str(e) and '"zzz"' in str(e))
