"""mezzo against PyTorch on this machine: `python benchmarks/compare.py [--threads 1 2] [--json out.json]`.

Each row: both libraries in alternation in one process of its own, medians of nine samples, threads fixed. The last column says what
the row is asked to reach. Needs PyTorch; sizes are those of the table in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from measure import alternate, text

import mezzo
from mezzo.nn import functional as F

MILLION = 2**20


@dataclass(frozen=True)
class Row:
    """One line of the table. work: flops or bytes of a call; goal: least ratio asked for."""

    name: str
    build: Callable
    work: float
    unit: str
    goal: float


def _pair(*shape: int, dtype: str = "float32"):
    values = np.random.default_rng(0).standard_normal(shape).astype("f4")
    return mezzo.tensor(values).to(getattr(mezzo, dtype)), torch.tensor(values).to(
        getattr(torch, dtype)
    )


def _matmul(size: int, dtype: str):
    a, t = _pair(size, size, dtype=dtype)
    return lambda: a @ a, lambda: t @ t


def _binary(size: int):
    a, t = _pair(size)
    b, u = _pair(size)
    return lambda: a + b, lambda: t + u


def _unary(ours: Callable, theirs: Callable, *shape: int):
    a, t = _pair(*shape)
    return lambda: ours(a), lambda: theirs(t)


def _tiny():
    return _binary(4)


def _norm():
    a, t = _pair(4096, 4096)
    return lambda: F.layer_norm(a, (4096,)), lambda: torch.nn.functional.layer_norm(t, (4096,))


def _adam():
    ours = [mezzo.rand(1000, 1000, requires_grad=True) for _ in range(50)]
    theirs = [torch.rand(1000, 1000, requires_grad=True) for _ in range(50)]
    for p, t in zip(ours, theirs):
        p.grad, t.grad = mezzo.ones_like(p), torch.ones_like(t)
    return mezzo.optim.Adam(ours).step, torch.optim.Adam(theirs).step


ROWS = [
    Row("matmul fp32 1024", lambda: _matmul(1024, "float32"), 2 * 1024**3, "GFLOP/s", 1.8),
    Row("matmul fp32 2048", lambda: _matmul(2048, "float32"), 2 * 2048**3, "GFLOP/s", 1.8),
    Row("matmul bf16 1024", lambda: _matmul(1024, "bfloat16"), 2 * 1024**3, "GFLOP/s", 0.8),
    Row("matmul bf16 2048", lambda: _matmul(2048, "bfloat16"), 2 * 2048**3, "GFLOP/s", 0.8),
    Row("matmul fp16 512", lambda: _matmul(512, "float16"), 2 * 512**3, "GFLOP/s", 30.0),
    Row("a + b, 16M floats", lambda: _binary(16 * MILLION), 12 * 16 * MILLION, "GB/s", 3.0),
    Row("gelu, 16M floats", lambda: _unary(F.gelu, torch.nn.functional.gelu, 16 * MILLION), 8 * 16 * MILLION, "GB/s", 3.0),
    Row("softmax 4096x4096", lambda: _unary(lambda x: x.softmax(-1), lambda x: x.softmax(-1), 4096, 4096), 8 * 16 * MILLION, "GB/s", 2.0),
    Row("layer_norm 4096x4096", _norm, 8 * 16 * MILLION, "GB/s", 2.0),
    Row("Adam step, 50M parameters", _adam, 28 * 50e6, "GB/s", 3.0),
    Row("tiny a + b (4 floats)", _tiny, 0, "", 1 / 3),
]  # fmt: skip


def import_seconds(library: str) -> float:
    """Median seconds that a fresh interpreter takes to import a library."""
    code = f"import time; t = time.perf_counter(); import {library}; print(time.perf_counter() - t)"
    times = [
        float(
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(5)
    ]
    return sorted(times)[2]


def measure(name: str, threads: int, samples: int) -> dict:
    """Measure one row here: both libraries, alternating."""
    mezzo.set_num_threads(threads)
    torch.set_num_threads(threads)
    row = next(r for r in ROWS if r.name == name)
    ours, theirs, ratio = alternate(*row.build(), samples=samples)
    rates = [
        f"{row.work / s / 1e9:.0f} {row.unit}" if row.work else text(s) for s in (ours, theirs)
    ]
    return {"work": name, "threads": threads, "mezzo_s": ours, "torch_s": theirs, "ratio": ratio,
            "goal": row.goal, "mezzo_rate": rates[0], "torch_rate": rates[1]}  # fmt: skip


def run(threads: int, samples: int, only: str) -> list[dict]:
    """Every row in a process of its own: neither library finds memory that an earlier row left mapped."""
    found = []
    for row in ROWS:
        if only not in row.name:
            continue
        command = [
            sys.executable,
            __file__,
            "--row",
            row.name,
            "--threads",
            str(threads),
            "--samples",
            str(samples),
        ]
        f = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        found.append(f)
        ours = f"{text(f['mezzo_s'])} ({f['mezzo_rate']})" if row.work else text(f["mezzo_s"])
        theirs = f"{text(f['torch_s'])} ({f['torch_rate']})" if row.work else text(f["torch_s"])
        print(
            f"| {row.name} | {threads} | {ours} | {theirs} | {f['ratio']:.2f} | {row.goal:.2g} |",
            flush=True,
        )
    return found


def main() -> None:
    """Print the table; save it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--samples", type=int, default=9)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--json", help="save the figures here")
    parser.add_argument("--row", help="measure this row alone and print JSON")
    options = parser.parse_args()
    if options.row:
        print(json.dumps(measure(options.row, options.threads[0], options.samples)))
        return
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, PyTorch {torch.__version__}, mezzo {mezzo.__version__}, {time.strftime('%Y-%m-%d')}\n"
    )
    print("| work | threads | mezzo | PyTorch | ratio | asked |\n|---|---|---|---|---|---|")
    rows = [r for n in options.threads for r in run(n, options.samples, options.only)]
    if not options.only:
        ours, theirs = import_seconds("mezzo"), import_seconds("torch")
        print(f"| import | | {text(ours)} | {text(theirs)} | {theirs / ours:.2f} | 0.15 s |")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
