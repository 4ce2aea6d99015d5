"""Write docs/figures.md from what `mezzo bench --json` saved.

    mezzo bench --quick --threads 1 --json one.json
    mezzo bench --quick --threads 2 --only matmul --only conv2d ... --json two.json
    python tools/figures.py one.json two.json [--jax jax.json] [--before earlier.json]

jax.json: a run with JAX installed; its rows are shown in a table of their own, since JAX's threads are counted by
the cores that a process may use. earlier.json: a one-thread run whose times stand beside the new ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from mezzo.cli.benchmark.timing import text

PAGE = Path(__file__).resolve().parent.parent / "docs" / "figures.md"
LEAST = "memory"  # the group of rows whose goal is a largest ratio

HEAD = """# Figures

What `mezzo bench` printed (written by `python tools/figures.py`), with what was asked of each row ("asked": the ratio, PyTorch's
time over mezzo's). [performance.md](performance.md) says what the figures mean, how each kernel gets there, and why some stay below.

{machine}, {processes}.

{peaks}

The targets were set on an AMD Zen 5 machine, where PyTorch makes 100 GFLOP/s in fp32 and 2.5 in fp16; this one is an Intel
machine, on which PyTorch is within some per cent of the core's multiply-adds in fp32 and has fp16 units for products (and not for convolutions).
{met} of {goals} rows of one thread that have a goal meet it.
"""


def main(arguments: list[str] | None = None) -> None:
    """Read the files and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("one", type=Path)
    parser.add_argument("two", type=Path)
    parser.add_argument("--jax", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args(arguments)
    one, two = read(given.one), read(given.two)
    before = times(read(given.before)["rows"]) if given.before else {}
    parts = [head(one, two), one_thread(one["rows"], before), two_threads(two["rows"], one["rows"])]
    if given.jax:
        parts.append(beside_jax(read(given.jax)["rows"]))
    given.page.write_text("\n".join(parts), encoding="utf-8")


def read(path: Path) -> dict:
    """One saved run."""
    return json.loads(path.read_text(encoding="utf-8"))


def times(rows: Iterable[dict]) -> dict[str, float]:
    """Seconds of mezzo by the name of the row."""
    return {row["work"]: row["mezzo_s"] for row in rows if "mezzo_s" in row}


def head(one: dict, two: dict) -> str:
    """The machine, its limits, and how many goals are met."""
    machine = one["machine"]
    shown = ", ".join(f"{name} {value}" for name, value in machine.items())
    lines = []
    for count, peak in {**one["peaks"], **two["peaks"]}.items():
        rates = [f"{kind} {rate:.0f} GFLOP/s" for kind, rate in peak.items() if kind != "memory"]
        lines.append(
            f"- At most, {count} thread(s): {', '.join(rates)}, copy {peak['memory']:.0f} GB/s"
        )
    goals = [row for row in one["rows"] if row.get("goal") is not None and "ratio" in row]
    return HEAD.format(
        machine=shown, processes="a process for each row, so single rows move by some per cent",
        peaks="\n".join(lines), met=sum(map(meets, goals)), goals=len(goals),
    )  # fmt: skip


def meets(row: dict) -> bool:
    """Whether a row's ratio is what was asked."""
    return row["ratio"] <= row["goal"] if row["group"] == LEAST else row["ratio"] >= row["goal"]


def one_thread(rows: list[dict], before: dict[str, float]) -> str:
    """The table of all rows."""
    earlier = ["before"] if before else []
    lines = [heading("One thread", ["work", *earlier, "mezzo", "PyTorch", "ratio", "asked"])]
    for row in rows:
        past = [spent(before.get(row["work"]))] if before else []
        if row["group"] == LEAST:
            mib = {name: row[name] / 2**20 for name in ("bf16_bytes", "fp32_bytes", "state_bytes")}
            cells = [f"peak memory, {row['work']}", *["" for _ in past],
                     f"{mib['bf16_bytes']:.0f} MiB in bf16 of {mib['fp32_bytes']:.0f} in fp32", "",
                     f"{row['ratio']:.2f} ({row['ratio_without_state']:.2f} without the {mib['state_bytes']:.0f} MiB "
                     "of parameters and state)", f"{row['goal']} or less"]  # fmt: skip
        else:
            cells = [row["work"], *past, rate(row), spent(row.get("torch_s")), *judged(row)]
        lines.append(line(cells))
    return "\n".join([*lines, ""])


def two_threads(rows: list[dict], single: list[dict]) -> str:
    """The table of the larger rows, with what a second thread gives."""
    alone = times(single)
    titles = ["work", "mezzo", "PyTorch", "ratio", "asked", "one thread's time over this"]
    lines = [heading("Two threads", titles)]
    for row in rows:
        if row["group"] == LEAST:
            continue
        gain = ""
        if "mezzo_s" in row and row["work"] in alone:
            gain = f"{alone[row['work']] / row['mezzo_s']:.2f}"
        lines.append(line([row["work"], rate(row), spent(row.get("torch_s")), *judged(row), gain]))
    return "\n".join([*lines, ""])


def beside_jax(rows: list[dict]) -> str:
    """The table of rows that JAX ran too."""
    titles = ["work", "threads", "mezzo", "PyTorch", "JAX", "PyTorch's ratio", "JAX's ratio"]
    lines = [heading("Beside JAX", titles)]
    for row in rows:
        if "jax_s" in row:
            ratios = [f"{row[name]:.2f}" for name in ("ratio", "jax_ratio")]
            seconds = [spent(row["torch_s"]), spent(row["jax_s"])]
            lines.append(line([row["work"], row["threads"], rate(row), *seconds, *ratios]))
    return "\n".join([*lines, ""])


def heading(title: str, names: list[str]) -> str:
    """A section's title and the head of its table."""
    return f"\n## {title}\n\n{line(names)}\n{'|---' * len(names)}|"


def line(cells: Iterable) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def spent(seconds: float | None) -> str:
    """Seconds in a readable unit, or nothing."""
    return "" if seconds is None else text(seconds)


def rate(row: dict) -> str:
    """mezzo's time and what it makes of the machine."""
    if "mezzo_s" not in row:
        return row.get("error", "")
    work = row["flops"] or row["nbytes"]
    made = f" ({work / row['mezzo_s'] / 1e9:.0f} {row['unit']})" if work else ""
    return spent(row["mezzo_s"]) + made


def judged(row: dict) -> list[str]:
    """The ratio and what was asked."""
    goal = row.get("goal")
    return [f"{row['ratio']:.2f}" if "ratio" in row else "", "" if goal is None else f"{goal:g}"]


if __name__ == "__main__":
    main()
