"""`mezzo demo --task digits`: the same network in float32, bfloat16 and float16, compared."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import mezzo
from mezzo import amp, cpu, nn, optim
from mezzo.cli import picture, precision
from mezzo.models.digits import INK, DigitsNet, Split, split_digits
from mezzo.utils.data import DataLoader, TensorDataset

EPOCHS = 24
BATCH = 64
LEARNING_RATE = 4e-3
SMOOTHING = 0.1  # of the labels: worth a third of the errors on the test


@dataclass
class Result:
    """What one training run gave."""

    precision: str
    losses: list[float] = field(default_factory=list)
    epoch_seconds: list[float] = field(default_factory=list)
    samples: int = 0  # in an epoch
    skipped: int = 0
    peak_bytes: int = 0
    accuracy: float = 0.0
    ran: dict[str, dict[str, int]] = field(default_factory=dict)  # the ledger's counts

    @property
    def epoch_time(self) -> float:
        """Median seconds of an epoch: the first one also compiles kernels."""
        return statistics.median(self.epoch_seconds)


def run(console: Console, precisions: list[str], epochs: int, seed: int, out: Path) -> list[Result]:
    """Train in each precision, print the comparison and save the picture."""
    data = split_digits()
    console.print(
        f"Handwritten digits (UCI, CC BY 4.0): {len(data.train_labels)} scans to learn from, "
        f"{len(data.test_labels)} to test on. {epochs} epochs on the CPU, "
        f"{mezzo.get_num_threads()} threads."
    )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} epochs"),
        TextColumn("loss {task.fields[loss]}"),
        TextColumn("accuracy {task.fields[accuracy]}"),
        TimeElapsedColumn(),
    )
    results = []
    with Progress(*columns, console=console) as progress:
        rows = {
            name: progress.add_task(name, total=epochs, start=False, loss="-", accuracy="-")
            for name in precisions
        }
        for name in precisions:
            progress.start_task(rows[name])

            def advance(row=rows[name], **fields):
                progress.update(row, **fields)

            results.append(train(data, name, epochs, seed, advance))
    console.print(table(results))
    picture.save_curves(
        out,
        f"Digits: training loss in {', '.join(precisions)}",
        {result.precision: result.losses for result in results},
        window=8,
    )
    console.print(f"Loss curves: {out.resolve()}", soft_wrap=True)
    return results


def train(data: Split, name: str, epochs: int, seed: int, advance) -> Result:
    """Train one network in the named precision; the same seed gives the same start and order."""
    mezzo.manual_seed(seed)
    model = DigitsNet()
    loader = DataLoader(
        TensorDataset(_pixels(data.train_images), _classes(data.train_labels)),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        generator=mezzo.Generator().manual_seed(seed),
    )
    optimizer = optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
    scaler = precision.scaler(name)
    result = Result(name, samples=len(loader) * BATCH)
    cpu.reset_peak_memory_stats()
    for _ in range(epochs):
        start = time.perf_counter()
        losses = []
        for images, labels in loader:
            if result.ran:
                loss, skipped = train_step(model, optimizer, scaler, name, images, labels)
            else:  # the first step of all, watched
                with amp.ledger() as book:
                    loss, skipped = train_step(model, optimizer, scaler, name, images, labels)
                result.ran = book.counts()
            result.skipped += skipped
            if not skipped:
                schedule.step()
            losses.append(loss)
        result.losses += [loss.item() for loss in losses]
        result.epoch_seconds.append(time.perf_counter() - start)
        advance(advance=1, loss=f"{np.mean(result.losses[-len(losses) :]):.4f}")
    result.peak_bytes = cpu.max_memory_allocated()
    result.accuracy = evaluate(model, name, data)
    advance(accuracy=f"{result.accuracy:.2%}")
    return result


def train_step(model, optimizer, scaler, name: str, images, labels):
    """One step of training: its loss (detached) and whether the scaler skipped the update."""
    optimizer.zero_grad()
    with precision.autocast(name):
        scores = model(images)
        loss = nn.functional.cross_entropy(scores, labels, label_smoothing=SMOOTHING)
    scaler.scale(loss).backward()
    return loss.detach(), precision.step(scaler, optimizer)


def evaluate(model, name: str, data: Split) -> float:
    """The share of test scans the model names correctly, computing in the same precision."""
    model.eval()
    with mezzo.no_grad(), precision.autocast(name):
        guesses = model(_pixels(data.test_images)).argmax(dim=1)
    return (guesses == _classes(data.test_labels)).float().mean().item()


def table(results: list[Result]) -> Table:
    """The comparison, one column for each precision."""
    first = results[0]
    made = Table(title="What mixed precision bought", title_justify="left")
    made.add_column("", ratio=1)
    for result in results:
        made.add_column(result.precision, justify="right", no_wrap=True)

    def row(label, cell):
        made.add_row(label, *(cell(result) for result in results))

    row("time per epoch (median)", lambda r: f"{r.epoch_time * 1e3:.0f} ms")
    row("samples/s", lambda r: f"{r.samples / r.epoch_time:,.0f}")
    row(f"speed against {first.precision}", lambda r: f"{first.epoch_time / r.epoch_time:.2f}x")
    row("first epoch (compiles)", lambda r: f"{r.epoch_seconds[0]:.2f} s")
    row("peak memory", lambda r: f"{r.peak_bytes / 2**20:.1f} MiB")
    row("test accuracy", lambda r: f"{r.accuracy:.2%}")
    row("last training loss", lambda r: f"{np.mean(r.losses[-10:]):.4f}")
    row("skipped steps", lambda r: f"{r.skipped} of {len(r.losses)}")
    made.add_section()
    for operations, *dtypes in precision.rows([result.ran for result in results]):
        made.add_row(f"dtype of {operations}", *dtypes)
    return made


def _pixels(images: np.ndarray):
    """(n, 8, 8) uint8 scans as a float32 tensor (n, 1, 8, 8) from 0 to 1."""
    return mezzo.from_numpy(images.astype(np.float32)[:, None] / INK)


def _classes(labels: np.ndarray):
    return mezzo.from_numpy(labels.astype(np.int64))
