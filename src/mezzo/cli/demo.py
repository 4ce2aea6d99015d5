"""`mezzo demo`: train a real model in mixed precision and show what it bought."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

import mezzo
from mezzo.cli import digits, text

PRECISIONS = ("fp32", "bf16", "fp16")


@click.command()
@click.option(
    "--task",
    type=click.Choice(["digits", "text"]),
    default="digits",
    show_default=True,
    help="digits: a convolutional network in three precisions; text: a byte-level GPT.",
)
@click.option(
    "--dtype",
    "precisions",
    type=click.Choice(PRECISIONS),
    multiple=True,
    help="Precision to train in; may be repeated.  [default: all three; text: bf16]",
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the digits.  [default: 24]")
@click.option("--steps", type=click.IntRange(1), help="Training steps of the GPT.  [default: 400]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), help="Worker threads.  [default: all cores]")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where the picture of the loss curves goes.  [default: mezzo-<task>-loss.png]",
)
def command(task, precisions, epochs, steps, seed, threads, out) -> None:
    """Train a real model in mixed precision and show what it bought."""
    if task == "text" and epochs is not None:
        raise click.UsageError("--epochs belongs to --task digits; with --task text use --steps.")
    if task == "digits" and steps is not None:
        raise click.UsageError("--steps belongs to --task text; with --task digits use --epochs.")
    if task == "text" and len(set(precisions)) > 1:
        raise click.UsageError("--task text trains in one precision: give --dtype once.")
    out = out or Path(f"mezzo-{task}-loss.png")
    if not out.parent.is_dir():
        raise click.BadParameter(
            f"the folder {str(out.parent)!r} does not exist; make it, or choose another.",
            param_hint="--out",
        )
    if threads is not None:
        mezzo.set_num_threads(threads)
    console = Console()
    if task == "digits":
        # The order of the table, whatever the order of the options; each once.
        chosen = [p for p in PRECISIONS if p in precisions] or list(PRECISIONS)
        digits.run(console, chosen, epochs or digits.EPOCHS, seed, out)
    else:
        text.run(console, (precisions or ("bf16",))[0], steps or text.STEPS, seed, out)
