"""`mezzo bench`: the table of speed against PyTorch and JAX, and the roofline picture."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mezzo.cli.benchmark import roofline, table
from mezzo.kernels.cpu import system


@click.command()
@click.option(
    "--only",
    multiple=True,
    metavar="WORD",
    help="Rows whose group or name holds this; may be repeated.  [default: all]",
)
@click.option("--quick", is_flag=True, help="Three short samples a row: a rough look.")
@click.option(
    "--threads",
    multiple=True,
    type=click.IntRange(1),
    help="Measure with so many threads; may be repeated.  [default: one, and all cores]",
)
@click.option("--samples", type=click.IntRange(1), help="Samples a row.  [default: 9]")
@click.option("--json", "to_json", type=click.Path(dir_okay=False, path_type=Path), help="Save the figures here.")  # fmt: skip
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the roofline picture goes.  [default: mezzo-roofline.png, if all rows are measured]",
)
@click.option("--list", "listed", is_flag=True, help="Name the rows and measure nothing.")
@click.option("--row", hidden=True, help="Measure this row in this process and print its figures.")
@click.option("--sample-seconds", type=float, hidden=True)
def command(only, quick, threads, samples, to_json, picture, listed, row, sample_seconds) -> None:
    """Measure this machine's speed: every row of docs/performance.md, against PyTorch and JAX."""
    samples = samples or (3 if quick else 9)
    sample_seconds = sample_seconds or (0.005 if quick else 0.02)
    if row is not None:
        click.echo(json.dumps(table.measure(row, threads[0], samples, sample_seconds)))
        return
    names = [f"{r.group}: {r.name}" for r in table.chosen(only)]
    if not names:
        raise click.UsageError(f"--only {' '.join(only)!r} is in no row; --list names them all.")
    if listed:
        click.echo("\n".join(names))
        return
    for path in (to_json, picture):
        if path is not None and not path.parent.is_dir():
            raise click.UsageError(
                f"the folder {str(path.parent)!r} does not exist; make it, or choose another."
            )
    threads = sorted(set(threads or (1, system.processor_count())))
    if picture is None and not only:
        picture = Path("mezzo-roofline.png")
    measure(only, threads, samples, sample_seconds, to_json, picture)


def measure(only, threads, samples, sample_seconds, to_json, picture) -> None:
    """Print the table as it is found, then save the figures and the picture."""
    about = table.machine()
    click.echo(", ".join(f"{name} {value}" for name, value in about.items()) + "\n")
    for library, here in table.libraries().items():
        if not here:
            click.echo(f"{library} is not installed: its columns stay empty.\n")
    limits = table.limits(threads)
    for count, peak in limits.items():
        rates = [f"{kind} {rate:.0f} GFLOP/s" for kind, rate in peak.items() if kind != "memory"]
        click.echo(f"At most, {count} threads: {', '.join(rates)}, copy {peak['memory']:.0f} GB/s")
    click.echo(f"\n{table.HEAD}\n{'|---' * 8}|")
    figures = []
    for count in threads:
        figures += table.run(only, count, samples, sample_seconds, click.echo)
    if to_json is not None:
        saved = {"machine": about, "peaks": limits, "rows": figures}
        to_json.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
        click.echo(f"\nFigures: {to_json.resolve()}")
    if picture is not None:
        roofline.save(picture, figures, limits)
        click.echo(f"Picture: {picture.resolve()}")
