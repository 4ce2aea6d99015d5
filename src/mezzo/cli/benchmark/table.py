"""Running the rows, each in a process of its own, and the table that comes of it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
import time

import mezzo
from mezzo.cli import doctor
from mezzo.cli.benchmark import contractions, memory_bound, peaks, timing, training
from mezzo.cli.benchmark.rows import Memory, Row
from mezzo.kernels.cpu import target

Figure = dict[str, object]
_ALONE = "from mezzo.cli import main; main()"
HEAD = "| work | threads | mezzo | PyTorch | ratio | JAX | ratio | asked |"


def rows() -> list[Row | Memory]:
    """Every row of the table, in its order."""
    return [
        *contractions.matmuls(), *contractions.convolutions(), *contractions.attentions(),
        *memory_bound.elementwise(), *memory_bound.row_operations(), *memory_bound.reductions(),
        *memory_bound.indexing(), *training.optimizers(), *training.tiny(), *training.training(),
        *training.memory(),
    ]  # fmt: skip


def chosen(words: tuple[str, ...]) -> list[Row | Memory]:
    """The rows whose group or name holds one of the words; all if there are none."""
    return [r for r in rows() if not words or any(w in f"{r.group}: {r.name}" for w in words)]


def libraries() -> dict[str, bool]:
    """Which other libraries are here to compare with."""
    return {name: importlib.util.find_spec(name) is not None for name in ("torch", "jax")}


# ---- one row, in this process


def measure(name: str, threads: int, samples: int, at_least: float) -> Figure:
    """Measure one row here, all libraries in alternation."""
    row = next(r for r in rows() if f"{r.group}: {r.name}" == name)
    mezzo.set_num_threads(threads)
    figure: Figure = {"work": row.name, "group": row.group, "threads": threads, "goal": row.goal}
    if isinstance(row, Memory):
        peak = {precision: row.run(precision) for precision in ("bf16", "fp32")}
        (low, _), (full, state) = peak["bf16"], peak["fp32"]
        return {**figure, "bf16_bytes": low, "fp32_bytes": full, "state_bytes": state, "ratio": low / full,
                "ratio_without_state": (low - state) / (full - state)}  # fmt: skip
    found = libraries()
    calls, names = [row.build(mezzo)], ["mezzo"]
    if found["torch"]:
        torch = importlib.import_module("torch")
        torch.set_num_threads(threads)
        calls.append(row.build(torch))
        names.append("torch")
    if found["jax"] and row.jax is not None:
        calls.append(row.jax(importlib.import_module("jax")))
        names.append("jax")
    seconds, ratios = timing.alternate(calls, samples, at_least)
    figure.update(unit=row.unit, flops=row.flops, nbytes=row.nbytes, kind=row.kind)
    for library, taken, ratio in zip(names, seconds, ratios):
        figure[f"{library}_s"] = taken
        if library != "mezzo":
            figure["ratio" if library == "torch" else f"{library}_ratio"] = ratio
    return figure


# ---- the table


def run(words: tuple[str, ...], threads: int, samples: int, at_least: float, say) -> list[Figure]:
    """Measure every chosen row; say(text) is called with each line as it is found."""
    figures = []
    for row in chosen(words):
        figure = _apart(f"{row.group}: {row.name}", threads, samples, at_least)
        figures.append(figure)
        say(line(figure))
    for figure in means(figures):
        figures.append(figure)
        say(line(figure))
    return figures


def _apart(name: str, threads: int, samples: int, at_least: float) -> Figure:
    """A process for each row: no library finds memory that an earlier row left mapped."""
    options = [
        "--row",
        name,
        "--threads",
        threads,
        "--samples",
        samples,
        "--sample-seconds",
        at_least,
    ]
    command = [sys.executable, "-c", _ALONE, "bench", *map(str, options)]
    # workers of JAX are counted by the cores it may use
    cores = sorted(os.sched_getaffinity(0))[:threads] if hasattr(os, "sched_getaffinity") else None
    if cores and libraries()["jax"]:
        command = ["taskset", "-c", ",".join(map(str, cores)), *command]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        return {"work": name.partition(": ")[2], "group": name.partition(": ")[0],
                "threads": threads, "error": last[0]}  # fmt: skip
    return json.loads(done.stdout)


def means(figures: list[Figure]) -> list[Figure]:
    """The geometric mean of each precision's training steps, when all of them were measured."""
    found = []
    for precision, goal in training.STEP_GOALS.items():
        group = [f for f in figures if f["group"] == f"training {precision}" and "ratio" in f]
        if len(group) == len(training.STEPS):
            mean = math.exp(sum(math.log(f["ratio"]) for f in group) / len(group))
            found.append({"work": f"training steps in {precision}, geometric mean", "goal": goal,
                          "group": "means", "threads": group[0]["threads"], "ratio": mean})  # fmt: skip
    return found


def line(figure: Figure) -> str:
    """A figure as a line of the table."""
    cells = [figure["work"], figure["threads"]]
    if "error" in figure:
        return f"| {cells[0]} | {cells[1]} | {figure['error']} | | | | | |"
    if "bf16_bytes" in figure:
        mib = [
            f"{figure[name] / 2**20:.1f} MiB {name[:4]}" for name in ("bf16_bytes", "fp32_bytes")
        ]
        rest = f"{figure['state_bytes'] / 2**20:.0f} MiB are parameters and state: {figure['ratio_without_state']:.2f} without"
        return f"| peak memory, {cells[0]} | {cells[1]} | {mib[0]} of {mib[1]}; {rest} | | {figure['ratio']:.2f} | | | {figure['goal']} or less |"
    for library, ratio in (("mezzo", None), ("torch", "ratio"), ("jax", "jax_ratio")):
        seconds = figure.get(f"{library}_s")
        if seconds is None:
            cells.append("")
        else:
            work = figure["flops"] or figure["nbytes"]
            rate = f" ({work / seconds / 1e9:.0f} {figure['unit']})" if work else ""
            cells.append(timing.text(seconds) + rate)
        if ratio:
            cells.append("" if ratio not in figure else f"{figure[ratio]:.2f}")
    goal = figure["goal"]
    return "| " + " | ".join(map(str, [*cells, "" if goal is None else f"{goal:g}"])) + " |"


def machine() -> dict[str, str]:
    """What the figures were measured on, and with what."""
    found = {
        "processor": doctor.processor_name(),
        "vector units": doctor.vector_units(target.host()),
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
        "mezzo": mezzo.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
    for name, here in libraries().items():
        if here:
            found[name] = importlib.import_module(name).__version__
    return found


def limits(threads: list[int]) -> dict[str, dict[str, float]]:
    """Measured peaks for each number of threads: GFLOP/s by dtype, GB/s of memory."""
    found: dict[str, dict[str, float]] = {}
    for count in threads:
        peak = {kind: peaks.arithmetic(kind, count) for kind in ("fp32", "bf16", "fp16")}
        found[str(count)] = {kind: value for kind, value in peak.items() if value is not None}
        found[str(count)]["memory"] = peaks.bandwidth(count)
    return found
