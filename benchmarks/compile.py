"""Compiled against eager, mezzo and PyTorch: `python benchmarks/compile.py [--only tiny gpt] [--threads 1] [--json out.json]`.

Each work runs in a process of its own; there, mezzo compiled, mezzo eager, PyTorch eager and torch.compile alternate, and
the medians of the samples are printed. Compile times are of fresh processes, once with empty caches and once with those
that the first left behind. Needs PyTorch, and a C++ compiler for torch.compile.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch

import mezzo
from mezzo.cli.benchmark.timing import once, rested, text
from mezzo.kernels.cpu import jit

GPT = {"layers": 6, "width": 256, "length": 256, "batch": 8, "heads": 8, "symbols": 256}
SIDES = ("mezzo compiled", "mezzo eager", "PyTorch eager", "torch.compile")


# ---- models, written once for both libraries


def tiny(lib):
    """A perceptron of 10, 32 and 1 units, with its batch."""
    nn = lib.nn
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
    return model, (lib.randn(32, 10), lib.randn(32, 1)), nn.functional.mse_loss


def gpt(lib):
    """A decoder of 6 layers, d=256, T=256, on a batch of 8, with its batch."""
    nn, F, g = lib.nn, lib.nn.functional, GPT

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            w = g["width"]
            self.norm1, self.norm2 = nn.LayerNorm(w), nn.LayerNorm(w)
            self.mix, self.out = nn.Linear(w, 3 * w), nn.Linear(w, w)
            self.up, self.down = nn.Linear(w, 4 * w), nn.Linear(4 * w, w)

        def forward(self, x):
            b, t, w = x.shape
            q, k, v = (
                self.mix(self.norm1(x))
                .view(b, t, 3, g["heads"], -1)
                .permute(2, 0, 3, 1, 4)
                .unbind(0)
            )
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(seen.transpose(1, 2).reshape(b, t, w))
            return x + self.down(F.gelu(self.up(self.norm2(x))))

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(g["symbols"], g["width"])
            self.places = nn.Parameter(lib.randn(g["length"], g["width"]) * 0.02)
            self.blocks = nn.ModuleList([Block() for _ in range(g["layers"])])
            self.norm, self.head = nn.LayerNorm(g["width"]), nn.Linear(g["width"], g["symbols"])

        def forward(self, x):
            h = self.table(x) + self.places
            for block in self.blocks:
                h = block(h)
            return self.head(self.norm(h)).flatten(0, 1)

    tokens = lib.randint(0, g["symbols"], (g["batch"], g["length"]))
    return Decoder(), (tokens, tokens.flatten()), F.cross_entropy


def resnet(lib):
    """ResNet-18 of 1000 classes on 4 images of 128x128."""
    nn, F = lib.nn, lib.nn.functional

    class Block(nn.Module):
        def __init__(self, a, b, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(b), nn.BatchNorm2d(b)
            self.side = None
            if stride != 1 or a != b:
                self.side = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))

        def forward(self, x):
            y = F.relu(self.norm1(self.conv1(x)))
            y = self.norm2(self.conv2(y))
            return F.relu(y + (x if self.side is None else self.side(x)))

    layers = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    have = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(have, width, stride), Block(width, width, 1)]
        have = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))
    return model, (lib.randn(4, 3, 128, 128), lib.randint(0, 1000, (4,))), F.cross_entropy


MODELS = {"tiny": tiny, "gpt": gpt, "resnet": resnet}


def optimizer(lib, name: str, model):
    """SGD for the tiny step, AdamW else: PyTorch's in its fused form, which is its fastest."""
    if name == "tiny":
        return lib.optim.SGD(model.parameters(), lr=0.01)
    return lib.optim.AdamW(model.parameters(), lr=1e-4, **({"fused": True} if lib is torch else {}))


def training(
    lib, name: str, low: bool, compiles: bool, dynamic: bool = False
) -> tuple[Callable, tuple]:
    """One training step as users write it for that library, and a batch.

    mezzo compiles the whole step; PyTorch's documents compile the model with its loss and the optimizer's step.
    """
    lib.manual_seed(0)
    model, batch, criterion = MODELS[name](lib)
    opt = optimizer(lib, name, model)

    def loss_of(x, y):
        with lib.autocast("cpu", dtype=lib.bfloat16, enabled=low):
            return criterion(model(x), y)

    update = opt.step
    if compiles and lib is torch:
        loss_of, update = torch.compile(loss_of, dynamic=dynamic or None), torch.compile(opt.step)

    def step(x, y):
        opt.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        update()
        return loss

    return (mezzo.compile(step, dynamic=dynamic) if compiles and lib is mezzo else step), batch


def chained(lib) -> Callable:
    """Twenty elementwise operations in a row."""

    def chain(x, y):
        for _ in range(5):
            x = (x * y + 0.5).relu() - y
        return x

    return chain


# ---- measuring


def alternate(calls: list[Callable], samples: int) -> list[float]:
    """Median seconds of each call, taken in turn."""
    counts = []
    for call in calls:
        call(), call()
        seconds = once(call, 1)
        counts.append(max(1, min(5000, int(0.03 / max(seconds, 1e-7)))))
    taken = [[rested(c, n) for c, n in zip(calls, counts)] for _ in range(samples)]
    return [statistics.median(line[i] for line in taken) for i in range(len(calls))]


def steps(name: str, low: bool, samples: int) -> dict:
    """The four sides of a training step."""
    calls = []
    for lib, compiles in ((mezzo, True), (mezzo, False), (torch, False), (torch, True)):
        step, batch = training(lib, name, low, compiles)
        calls.append(lambda step=step, batch=batch: step(*batch))
    return dict(zip(SIDES, alternate(calls, samples)))


def chain(samples: int) -> dict:
    """Twenty operations on 16M floats."""
    calls = []
    for lib, compiles in ((mezzo, True), (mezzo, False), (torch, False), (torch, True)):
        function, x, y = chained(lib), lib.randn(1 << 24), lib.randn(1 << 24)
        function = lib.compile(function) if compiles else function
        calls.append(lambda f=function, x=x, y=y: f(x, y))
    return dict(zip(SIDES, alternate(calls, samples)))


def memory(low: bool) -> dict:
    """Peak bytes above what weights and states hold, and in all, of mezzo's GPT step."""
    found = {}
    for side, compiles in (("mezzo compiled", True), ("mezzo eager", False)):
        step, batch = training(mezzo, "gpt", low, compiles)
        for _ in range(2):
            step(*batch)
        mezzo.cpu.reset_peak_memory_stats()
        step(*batch)
        found[side] = mezzo.cpu.max_memory_allocated()
        del step, batch
    return found


def dynamic(samples: int) -> dict:
    """Seconds of the first call with a batch size that was not there before, and objects compiled in it."""
    step, (x, y) = training(mezzo, "tiny", False, True, dynamic=True)
    step(x, y), step(x[:16], y[:16])
    before, taken = jit.counters.compiled, []
    for size in range(3, 3 + samples):
        start = time.perf_counter()
        step(x[:size].clone(), y[:size].clone())
        taken.append(time.perf_counter() - start)
    return {"mezzo compiled": statistics.median(taken), "objects": jit.counters.compiled - before}


def first_call(lib_name: str, name: str) -> dict:
    """Seconds of the first call of a compiled step in this process."""
    lib = {"mezzo": mezzo, "torch": torch}[lib_name]
    step, batch = training(lib, name, False, True)
    start = time.perf_counter()
    step(*batch)
    return {"seconds": time.perf_counter() - start}


def run_here(work: list[str], samples: int, threads: int) -> dict:
    """One work, in this process."""
    torch.set_num_threads(threads)
    mezzo.set_num_threads(threads)
    kind, *rest = work
    if kind == "step":
        return steps(rest[0], rest[1] == "bf16", samples)
    if kind == "first":
        return first_call(*rest)
    return {"chain": lambda: chain(samples), "dynamic": lambda: dynamic(samples),
            "memory": lambda: memory(rest[0] == "bf16")}[kind]()  # fmt: skip


def in_process(work: list[str], options, env: dict | None = None) -> dict:
    """One work, in a process of its own."""
    command = [sys.executable, __file__, "--work", *work, "--samples", str(options.samples), "--threads", str(options.threads)]  # fmt: skip
    done = subprocess.run(
        command, env={**os.environ, **(env or {})}, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(work)}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compile_times(name: str, options) -> dict:
    """{library: [cold, warm]} seconds of the first call."""
    found = {}
    for lib in ("mezzo", "torch"):
        with tempfile.TemporaryDirectory() as folder:
            env = {"MEZZO_CACHE_DIR": folder, "TORCHINDUCTOR_CACHE_DIR": folder}
            found[lib] = [
                in_process(["first", lib, name], options, env)["seconds"] for _ in range(2)
            ]
    return found


# ---- the table

WORKS = {
    "tiny": ("tiny MLP training step", ["step", "tiny", "fp32"]),
    "chain": ("20 elementwise operations, 16M floats", ["chain"]),
    "gpt": ("GPT step, fp32", ["step", "gpt", "fp32"]),
    "gpt-bf16": ("GPT step, bf16", ["step", "gpt", "bf16"]),
    "resnet": ("ResNet-18 step, fp32", ["step", "resnet", "fp32"]),
    "resnet-bf16": ("ResNet-18 step, bf16", ["step", "resnet", "bf16"]),
}
OTHERS = ("cold-tiny", "cold-gpt", "memory", "memory-bf16", "dynamic")


def row(title: str, found: dict) -> str:
    """A line: the times, and how many times faster than each other side mezzo compiled is."""
    base = found[SIDES[0]]
    times = " | ".join(text(found[s]) for s in SIDES)
    ratios = " | ".join(f"{found[s] / base:.2f}" for s in SIDES[1:])
    return f"| {title} | {times} | {ratios} |"


def other(name: str, options) -> tuple[str, dict]:
    """A line of text and the figures of what is no comparison of four."""
    if name.startswith("cold"):
        work = name.removeprefix("cold-")
        found = compile_times(work, options)
        (a, b), (c, d) = found["mezzo"], found["torch"]
        return (f"first call of the {work} step: mezzo {text(a)} with empty caches, {text(b)} with full ones; "
                f"torch.compile {text(c)} and {text(d)}"), found  # fmt: skip
    if name.startswith("memory"):
        found = in_process(["memory", "bf16" if name.endswith("bf16") else "fp32"], options)
        a, b = found["mezzo compiled"], found["mezzo eager"]
        return (f"peak memory of the GPT step, {name}: compiled {a / 2**20:.0f} MiB, eager {b / 2**20:.0f} MiB: {a / b:.2f}"), found  # fmt: skip
    found = in_process(["dynamic"], options)
    return f"new batch size: {text(found['mezzo compiled'])}, {found['objects']} objects compiled", found  # fmt: skip


def main() -> None:
    """Print the table; save it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[*WORKS, *OTHERS], default=[*WORKS, *OTHERS])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=9)
    parser.add_argument("--json")
    parser.add_argument("--work", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(run_here(options.work, options.samples, options.threads)))
        return
    found: dict = {}
    print(f"| work, {options.threads} thread(s) | {' | '.join(SIDES)} | over mezzo eager | over PyTorch eager | over torch.compile |")  # fmt: skip
    print("|---" * 8 + "|")
    for name in options.only:
        if name in WORKS:
            title, work = WORKS[name]
            found[name] = in_process(work, options)
            print(row(title, found[name]), flush=True)
    print()
    for name in options.only:
        if name in OTHERS:
            line, found[name] = other(name, options)
            print(line, flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
