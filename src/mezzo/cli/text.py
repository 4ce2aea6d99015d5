"""`mezzo demo --task text`: a byte-level GPT learns the sources of Python's standard library."""

from __future__ import annotations

import math
import os
import statistics
import time
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

import mezzo
from mezzo import amp, cpu, nn, optim
from mezzo.cli import picture, precision
from mezzo.models.gpt import GPT, generate

STEPS = 400
BATCH = 24
LEARNING_RATE = 2e-3
WARMUP = 20
CORPUS_BYTES = 4 << 20
HELD_OUT = 0.05
SAMPLE_BYTES = 400
PROMPT = b"def "


def corpus(folder: Path | None = None, limit: int = CORPUS_BYTES) -> np.ndarray:
    """Bytes of the .py files directly in `folder` (the running Python's library), at most `limit`.

    Raises: click.ClickException where the sources are not installed.
    """
    folder = folder or Path(os.__file__).resolve().parent
    parts, total = [], 0
    for path in sorted(folder.glob("*.py")):
        data = path.read_bytes()[: limit - total]
        parts.append(data)
        total += len(data)
        if total >= limit:
            break
    if total < 1 << 16:
        raise click.ClickException(
            f"demo: {folder} holds {total} bytes of .py files, and the text task learns from at "
            "least 64 KiB of them. Use a Python whose standard library comes as source."
        )
    return np.frombuffer(b"".join(parts), np.uint8)


def run(console: Console, name: str, steps: int, seed: int, out: Path) -> float:
    """Train, print the losses and a sample, save the curve; returns the held-out loss."""
    text = corpus()
    cut = int(len(text) * (1 - HELD_OUT))
    mezzo.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = GPT()
    size = sum(parameter.numel() for parameter in model.parameters())
    console.print(
        f"Byte-level GPT, {size:,} parameters, {model.config.layers} layers, context "
        f"{model.config.context}; {len(text) / 2**20:.1f} MiB of Python's standard library; {name}, "
        f"{mezzo.get_num_threads()} threads."
    )
    losses, seconds, skipped, ran = _train(console, model, text[:cut], name, steps, rng)
    held_out = evaluate(model, text[cut:], name, np.random.default_rng(0))
    tokens = BATCH * model.config.context / statistics.median(seconds)
    console.print(
        f"Loss: {losses[0]:.3f} at the start, {np.mean(losses[-20:]):.3f} at the end, "
        f"{held_out:.3f} on held-out text ({held_out / math.log(2):.2f} bits per byte). "
        f"{tokens:,.0f} bytes/s, peak memory {cpu.max_memory_allocated() / 2**20:.0f} MiB, "
        f"{skipped} skipped steps."
    )
    for operations, dtypes in precision.rows([ran]):
        console.print(f"{dtypes}: {operations}", highlight=False)
    with precision.autocast(name):
        sample = generate(model, PROMPT, SAMPLE_BYTES)
    console.print(Panel(Text(sample.decode("utf-8", "replace")), title="a sample"))
    picture.save_curves(out, f"GPT on Python's sources, {name}", {name: losses}, window=20)
    console.print(f"Loss curve: {out.resolve()}", soft_wrap=True)
    return held_out


def _train(console: Console, model: GPT, text: np.ndarray, name: str, steps: int, rng):
    """Train for so many steps; losses, seconds of each step, skipped steps, what ran in which."""
    parameters = list(model.parameters())
    optimizer = optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    scaler = precision.scaler(name)
    losses, seconds, skips, ran = [], [], 0, {}
    columns = (
        TextColumn(name),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TextColumn("loss {task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    cpu.reset_peak_memory_stats()
    with Progress(*columns, console=console) as progress:
        row = progress.add_task(name, total=steps, loss="-")
        for _ in range(steps):
            start = time.perf_counter()
            tokens, targets = batch(text, model.config.context, rng)
            if ran:
                loss, skipped = _step(model, optimizer, scaler, name, tokens, targets)
            else:
                with amp.ledger() as book:
                    loss, skipped = _step(model, optimizer, scaler, name, tokens, targets)
                ran = book.counts()
            if not skipped:
                schedule.step()
            skips += skipped
            losses.append(loss)
            seconds.append(time.perf_counter() - start)
            progress.update(row, advance=1, loss=f"{loss:.3f}")
    return losses, seconds, skips, ran


def _step(model, optimizer, scaler, name: str, tokens, targets) -> tuple[float, bool]:
    optimizer.zero_grad()
    with precision.autocast(name):
        loss = model.loss(tokens, targets)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    return loss.item(), precision.step(scaler, optimizer)


def _rate(step: int, steps: int) -> float:
    """The learning rate's factor: a linear warm-up, then a cosine down to a tenth."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    done = (step - WARMUP) / max(1, steps - WARMUP)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * min(done, 1.0)))


def batch(text: np.ndarray, context: int, rng: np.random.Generator, size: int = BATCH):
    """Random windows of the text and the same windows one byte later, int64 (size, context)."""
    starts = rng.integers(0, len(text) - context - 1, size)
    windows = text[starts[:, None] + np.arange(context + 1)].astype(np.int64)
    return (
        mezzo.from_numpy(np.ascontiguousarray(windows[:, :-1])),
        mezzo.from_numpy(np.ascontiguousarray(windows[:, 1:])),
    )


def evaluate(model: GPT, text: np.ndarray, name: str, rng, batches: int = 8) -> float:
    """Mean loss, in nats per byte, on windows of text the model has not seen."""
    model.eval()
    with mezzo.no_grad(), precision.autocast(name):
        losses = [
            model.loss(*batch(text, model.config.context, rng)).item() for _ in range(batches)
        ]
    return sum(losses) / batches
