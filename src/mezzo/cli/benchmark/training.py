"""Optimizers, what surrounds them, calls too small for a kernel to matter, and whole training steps."""

from __future__ import annotations

import functools
import gc
import itertools
from types import ModuleType

import mezzo
from mezzo.cli.benchmark import networks
from mezzo.cli.benchmark.rows import DTYPES, Call, Memory, Row, normal

PARAMETERS = 50  # tensors of a million elements


def _parameters(lib: ModuleType) -> list:
    found = [lib.rand(1000, 1000, requires_grad=True) for _ in range(PARAMETERS)]
    for p in found:
        p.grad = lib.ones_like(p)
    return found


def _step(lib: ModuleType, name: str, **options) -> Call:
    fused = options.pop("fused", False) and lib is not mezzo
    if fused:
        options["fused"] = True
    return getattr(lib.optim, name)(_parameters(lib), lr=1e-3, **options).step


def _unscale(lib: ModuleType) -> Call:
    """Unscaling by 2 and by a half in turn, and the check for infinities; update() makes the scaler ready again."""
    optimizer = lib.optim.SGD(_parameters(lib), lr=1e-3)
    scaler = lib.amp.GradScaler("cpu", init_scale=2.0, growth_interval=1 << 30)
    scaler.scale(lib.ones(1))
    scales = itertools.cycle((0.5, 2.0))

    def call():
        scaler.unscale_(optimizer)
        scaler.update(next(scales))

    return call


def _clip(lib: ModuleType, norm: float) -> Call:
    """Clipping to a norm: 1 always scales, since the quotient stays below 1 by the 1e-6 in it."""
    parameters = _parameters(lib)
    return lambda: lib.nn.utils.clip_grad_norm_(parameters, norm)


def optimizers() -> list[Row]:
    """One step over 50M parameters."""
    each = 4.0 * PARAMETERS * 1e6
    made = [
        ("Adam step, 50M", functools.partial(_step, name="Adam"), 7, 3.0),
        ("AdamW step, 50M", functools.partial(_step, name="AdamW"), 7, 3.0),
        ("SGD momentum step, 50M", functools.partial(_step, name="SGD", momentum=0.9), 5, 3.0),
        ("Adam step, 50M, PyTorch's fused", functools.partial(_step, name="Adam", fused=True), 7, None),
        ("unscale_ and inf check, 50M", _unscale, 2, 3.0),
        ("clip_grad_norm_, 50M, below the norm", functools.partial(_clip, norm=1e9), 1, 3.0),
        ("clip_grad_norm_, 50M, clipped", functools.partial(_clip, norm=1.0), 3, 3.0),
    ]  # fmt: skip
    return [Row(name, "optimizers", build, goal, 0.0, n * each) for name, build, n, goal in made]


def _tiny(lib: ModuleType, how: str) -> Call:
    a, b = normal(lib, 4), normal(lib, 4)
    w = normal(lib, 4, grad=True)
    linear = lib.nn.Linear(4, 4)
    return {
        "a + b": lambda: a + b,
        "a + b with grad": lambda: w + b,
        "a.add_(b)": lambda: a.add_(b),
        "a[1]": lambda: a[1],
        "a.sum()": lambda: a.sum(),
        "nn.Linear(4, 4)": lambda: linear(a),
    }[how]


def tiny() -> list[Row]:
    """Four floats: what a call costs. The goals are 2 us and 3 us; the ratio tells PyTorch's."""
    calls = ("a + b", "a + b with grad", "a.add_(b)", "a[1]", "a.sum()", "nn.Linear(4, 4)")
    return [Row(f"tiny {how}", "tiny", functools.partial(_tiny, how=how)) for how in calls]


# ---- training steps

STEPS = {
    "MLP 784-1024-1024-10, batch 256": (networks.mlp, (256, 784), 10),
    "GPT 6x256, T=256, B=8": (networks.gpt, (8, 256), 256),
    "ResNet-18, 8 at 64x64": (networks.resnet18, (8, 3, 64, 64), 1000),
    "ViT-S, 4 at 224": (networks.vit_small, (4, 3, 224, 224), 1000),
}
STEP_GOALS = {"fp32": 1.8, "bf16": 1.4, "fp16": 20.0}


def _training(lib: ModuleType, work: str, precision: str) -> Call:
    """One step: forward and loss under autocast, backward, Adam; the scaler with fp16."""
    network, shape, classes = STEPS[work]
    lib.manual_seed(0)
    model = network(lib)
    if network is networks.gpt:
        inputs, targets = (lib.randint(0, classes, shape) for _ in range(2))
    else:
        inputs, targets = lib.randn(*shape), lib.randint(0, classes, shape[:1])
    optimizer = lib.optim.Adam(model.parameters(), lr=1e-4)
    scaler = lib.amp.GradScaler("cpu", enabled=precision == "fp16")
    dtype = getattr(lib, DTYPES[precision if precision != "fp32" else "bf16"])

    def step():
        with lib.autocast("cpu", dtype=dtype, enabled=precision != "fp32"):
            scores = model(inputs)
            loss = lib.nn.functional.cross_entropy(scores.flatten(0, -2), targets.flatten())
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def training() -> list[Row]:
    """Every network in every precision; the goal is that of the geometric mean."""
    return [
        Row(f"{work}, {precision}", f"training {precision}",
            functools.partial(_training, work=work, precision=precision), goal)
        for precision, goal in STEP_GOALS.items()
        for work in STEPS
    ]  # fmt: skip


def _peak(precision: str, work: str) -> tuple[int, int]:
    """In a process of its own (table.py): what else is held, or let go meanwhile, would count."""
    gc.collect()
    mezzo.cpu.empty_cache()  # a free block of the next size class would be lent, and counted whole
    step = _training(mezzo, work, precision)
    step(), step()
    between = mezzo.cpu.memory_allocated()  # parameters, gradients, two moments: four alike
    mezzo.cpu.reset_peak_memory_stats()
    step()
    return mezzo.cpu.max_memory_allocated(), between * 3 // 4


def memory() -> list[Memory]:
    """Peak memory of the steps."""
    return [Memory(work, functools.partial(_peak, work=work), 0.65) for work in STEPS]
