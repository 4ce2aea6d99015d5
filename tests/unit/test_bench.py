"""`mezzo bench`: its rows, its table, its picture. No test looks at a time."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner

import mezzo
from mezzo.cli import main
from mezzo.cli.benchmark import networks, peaks, roofline, table, timing, training


def invoke(*arguments: str):
    return CliRunner().invoke(main, ["bench", *arguments], prog_name="mezzo")


def test_names_of_rows_are_different():
    names = [f"{row.group}: {row.name}" for row in table.rows()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "word",
    [
        "matmul 4096, fp32", "matmul 4096, bf16", "fp16", "skinny", "batched", "a.T @ b", "matrix-vector",
        "matmul 8,", "3x3", "1x1", "7x7 stride 2", "depthwise", "grouped", "NCHW", "channels_last",
        "conv2d backward", "4x8x512x64", "1x16x4096x64", "causal", "mask", "dropout", "a + b, 16M",
        "a * b", "gelu", "cast", "where", "softmax", "log_softmax", "layer_norm", "rms_norm", "batch_norm",
        "cross_entropy", "argmax", "cumsum", "sort", "topk", "index_select", "gather", "scatter_add",
        "embedding", "Adam step", "AdamW", "SGD momentum", "unscale", "clip_grad_norm_", "tiny a + b",
        "with grad", "MLP", "GPT", "ResNet-18", "ViT-S", "training bf16", "training fp16", "memory",
    ],
)  # fmt: skip
def test_what_is_asked_for_has_a_row(word):
    assert table.chosen((word,))


def test_list_and_bad_usage():
    assert "tiny: tiny a + b" in invoke("--list", "--only", "tiny").output.splitlines()
    result = invoke("--only", "nonsense")
    assert (result.exit_code, "is in no row" in result.output) == (2, True)
    result = invoke("--json", "no/such/folder/x.json")
    assert (result.exit_code, "does not exist" in result.output) == (2, True)


def test_a_row_is_measured_in_alternation(monkeypatch):
    calls = []

    def alternate(given, samples, at_least):
        assert (samples, at_least) == (3, 0.5)
        for call in given:
            calls.append(call())
        return [2.0, 3.0], [1.0, 1.5]

    monkeypatch.setattr(timing, "alternate", alternate)
    before, theirs = mezzo.get_num_threads(), torch.get_num_threads()
    try:
        figure = table.measure("tiny: tiny a.sum()", 1, 3, 0.5)
    finally:
        mezzo.set_num_threads(before)
        torch.set_num_threads(theirs)
    assert [type(c) for c in calls[:2]] == [mezzo.Tensor, torch.Tensor]
    assert (figure["mezzo_s"], figure["torch_s"], figure["ratio"]) == (2.0, 3.0, 1.5)
    assert "| tiny a.sum() | 1 | 2 s | 3 s | 1.50 |" in table.line(figure)


def test_alternate_takes_medians_and_ratios_of_pairs(monkeypatch):
    given = {"a": iter([1.0, 5.0, 2.0]), "b": iter([2.0, 5.0, 8.0])}
    monkeypatch.setattr(timing, "repeats", lambda call, at_least: 1)
    monkeypatch.setattr(timing, "rested", lambda call, n: next(given[call()]))
    seconds, ratios = timing.alternate([lambda: "a", lambda: "b"], samples=3)
    assert (seconds, ratios) == ([2.0, 5.0], [1.0, 2.0])


def test_geometric_means_need_every_network():
    works = list(training.STEPS)
    figures = [
        {"work": w, "group": "training bf16", "threads": 1, "ratio": r}
        for w, r in zip(works, (1.0, 2.0, 4.0, 8.0))
    ]
    (mean,) = table.means(figures)
    assert math.isclose(mean["ratio"], 2**1.5) and mean["goal"] == 1.4
    assert table.means(figures[1:]) == []


@pytest.mark.parametrize("name", ["mlp", "gpt", "resnet18", "vit_small"])
def test_networks_are_the_same_in_both_libraries(name):
    network = getattr(networks, name)
    ours, theirs = network(mezzo), network(torch)
    shapes = [tuple(p.shape) for p in theirs.parameters()]
    assert [tuple(p.shape) for p in ours.parameters()] == shapes
    published = {"resnet18": 11_689_512, "vit_small": 22_050_664}  # He 2016; DeiT-S (Touvron 2021)
    if name in published:
        assert sum(math.prod(s) for s in shapes) == published[name]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_training_step_lowers_the_loss(precision, monkeypatch):
    losses = []
    real = mezzo.nn.functional.cross_entropy

    def watched(*args):
        losses.append(real(*args))
        return losses[-1]

    monkeypatch.setattr(mezzo.nn.functional, "cross_entropy", watched)
    step = training._training(mezzo, next(iter(training.STEPS)), precision)
    for _ in range(4):
        step()
    assert losses[-1].item() < losses[0].item()


def test_memory_rows_say_bytes_of_both_precisions():
    row = training.memory()[0]
    found = table._apart(f"{row.group}: {row.name}", threads=1, samples=1, at_least=0.0)
    low, full, state = (found[f"{name}_bytes"] for name in ("bf16", "fp32", "state"))
    assert 0 < state < low < full
    assert found["ratio"] == pytest.approx(low / full)
    # 784-1024-1024-10 with biases, and two moments of Adam, which autocast leaves in float32
    parameters = sum(a * b + b for a, b in ((784, 1024), (1024, 1024), (1024, 10)))
    assert state == pytest.approx(3 * 4 * parameters, rel=0.1)
    figure = {"work": "x", "threads": 1, "goal": 0.65, "bf16_bytes": 2 << 20, "fp32_bytes": 3 << 20,
              "state_bytes": 1 << 20, "ratio": 0.67, "ratio_without_state": 0.5}  # fmt: skip
    said = table.line(figure)
    assert "2.0 MiB bf16 of 3.0 MiB fp32; 1 MiB are parameters and state: 0.50 without" in said


@pytest.mark.parametrize("kind", ["fp32", "bf16", "fp16"])
def test_peaks_are_counted_or_absent(kind):
    written = peaks._program(kind)
    if written is None:
        assert kind != "fp32" and peaks.arithmetic(kind, 1) is None
    else:
        program, flops = written
        assert flops > 0 and "@peak" in program.text()
        assert peaks.arithmetic(kind, 1) > 0


def test_picture_and_json(tmp_path, monkeypatch):
    figure = {"work": "w", "group": "g", "threads": 1, "goal": 1.0, "unit": "GB/s", "flops": 0.0,
              "nbytes": 4e6, "kind": "fp32", "mezzo_s": 1e-3, "torch_s": 2e-3, "ratio": 2.0}  # fmt: skip
    peak = {"1": {"fp32": 200.0, "memory": 15.0}}
    monkeypatch.setattr(table, "_apart", lambda *args: figure)
    monkeypatch.setattr(table, "limits", lambda threads: peak)
    to, picture = tmp_path / "x.json", tmp_path / "x.png"
    result = invoke(
        "--only", "tiny a + b", "--threads", "1", "--json", str(to), "--picture", str(picture)
    )
    assert result.exit_code == 0, result.output
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    saved = json.loads(to.read_text())
    assert (saved["peaks"], saved["rows"][0]) == (peak, figure)
    # 4e6 bytes in a millisecond are 4 GB/s: one operation for each four bytes
    assert roofline._point(figure, "mezzo") == (0.25, 1.0)


def test_a_row_that_fails_says_why_and_the_table_goes_on(monkeypatch):
    monkeypatch.setattr(table, "_ALONE", "raise SystemExit('no such thing')")
    figure = table._apart("tiny: tiny a + b", 1, 1, 0.01)
    assert figure["error"] == "no such thing" and "no such thing" in table.line(figure)


def test_the_page_of_figures(root, tmp_path):
    """tools/figures.py: goals counted, times of both runs divided, rows without a library left empty."""
    machine = {"processor": "one", "cores": "2"}
    shared = {"group": "matmul", "unit": "GFLOP/s", "flops": 4e9, "nbytes": 0, "kind": "fp32"}
    fast = {
        **shared,
        "work": "fast",
        "threads": 1,
        "goal": 2.0,
        "mezzo_s": 0.1,
        "torch_s": 0.3,
        "ratio": 3.0,
    }
    slow = {
        **shared,
        "work": "slow",
        "threads": 1,
        "goal": 2.0,
        "mezzo_s": 0.2,
        "torch_s": 0.2,
        "ratio": 1.0,
    }
    free = {**shared, "work": "free", "threads": 1, "goal": None, "mezzo_s": 0.1}
    peak = {"work": "net", "group": "memory", "threads": 1, "goal": 0.65, "bf16_bytes": 1 << 20, "fp32_bytes": 2 << 20,
            "state_bytes": 0, "ratio": 0.5, "ratio_without_state": 0.5}  # fmt: skip
    jax = {**fast, "jax_s": 0.2, "jax_ratio": 2.0}
    runs = {
        "one": [fast, slow, free, peak],
        "two": [{**fast, "threads": 2, "mezzo_s": 0.05}],
        "jax": [jax, slow],
    }
    for name, rows in runs.items():
        peaks = {str(rows[0]["threads"]): {"fp32": 100.0, "memory": 10.0}}
        saved = {"machine": machine, "peaks": peaks, "rows": rows}
        (tmp_path / f"{name}.json").write_text(json.dumps(saved))
    files = {name: str(tmp_path / f"{name}.json") for name in runs}
    page = tmp_path / "page.md"
    command = [sys.executable, str(root / "tools" / "figures.py"), files["one"], files["two"],
               "--jax", files["jax"], "--page", str(page)]  # fmt: skip
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(root / "src")})
    text = page.read_text()
    assert "2 of 3 rows" in text
    assert "| fast | 100 ms (40 GFLOP/s) | 300 ms | 3.00 | 2 |" in text
    assert "| free | 100 ms (40 GFLOP/s) |  |  |  |" in text
    assert "| fast | 50 ms (80 GFLOP/s) | 300 ms | 3.00 | 2 | 2.00 |" in text
    assert "| fast | 1 | 100 ms (40 GFLOP/s) | 300 ms | 200 ms | 3.00 | 2.00 |" in text
    assert "1 MiB in bf16 of 2 in fp32" in text
