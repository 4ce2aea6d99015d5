"""The commands: usage, messages, the demo's figures, and that `import mezzo` stays light."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

import mezzo
from mezzo.cli import digits, doctor, main, picture, precision, text
from mezzo.models import digits as digits_data
from mezzo.models.gpt import GPT, GPTConfig, generate

PNG = b"\x89PNG\r\n\x1a\n"


def invoke(*arguments: str):
    return CliRunner().invoke(main, arguments, prog_name="mezzo")


def quiet() -> Console:
    return Console(quiet=True)


def test_version():
    result = invoke("--version")
    assert (result.exit_code, result.output) == (0, f"mezzo {mezzo.__version__}\n")


def test_runs_as_a_module():
    call = [sys.executable, "-m", "mezzo", "--version"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["mezzo", mezzo.__version__]


def test_help_lists_the_commands():
    output = invoke("--help").output
    assert re.search(r"demo\s+Train a real model", output)
    assert re.search(r"doctor\s+Say what this machine can do", output)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("demo", "--epochs", "0"), "0 is not in the range x>=1"),
        (("demo", "--dtype", "int8"), "'int8' is not one of 'fp32', 'bf16', 'fp16'"),
        (("demo", "--task", "cats"), "'cats' is not one of 'digits', 'text'"),
        (("demo", "--threads", "0"), "0 is not in the range x>=1"),
        (("demo", "--task", "text", "--epochs", "3"), "with --task text use --steps"),
        (("demo", "--steps", "3"), "with --task digits use --epochs"),
        (
            ("demo", "--task", "text", "--dtype", "fp32", "--dtype", "bf16"),
            "give --dtype once",
        ),
        (("demo", "--out", "no/such/folder/loss.png"), "folder 'no/such/folder' does not exist"),
        (("doctor", "--threads", "many"), "'many' is not a valid integer range"),
    ],
)
def test_bad_usage_exits_with_2_and_says_why(arguments, said):
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert said in result.output


def test_import_mezzo_loads_no_library_of_the_commands():
    code = (
        "import sys, mezzo; "
        "print(sorted({'click', 'rich', 'matplotlib', 'PIL', 'yaml', 'torch', 'mezzo.cli', "
        "'mezzo.models'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version_does_not_load_the_commands():
    code = (
        "import sys, mezzo.cli\n"
        "try: mezzo.cli.main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'rich', 'matplotlib', 'mezzo.cli.demo'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_digits_are_the_uci_test_set():
    images, labels = digits_data.load_digits()
    assert (images.shape, images.dtype, int(images.max())) == ((1797, 8, 8), np.uint8, 16)
    # The class counts that the data set's own description states.
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_split_keeps_the_classes_and_every_scan():
    split = digits_data.split_digits(0.25, seed=3)
    again = digits_data.split_digits(0.25, seed=3)
    images, labels = digits_data.load_digits()
    assert all(np.array_equal(a, b) for a, b in zip(split, again))
    both = np.concatenate([split.train_images, split.test_images]).reshape(1797, 64)
    assert sorted(map(bytes, both)) == sorted(map(bytes, images.reshape(1797, 64)))
    counts = np.bincount(split.test_labels)
    assert np.abs(counts - np.bincount(labels) * 0.25).max() <= 0.5


def test_split_refuses_an_impossible_fraction():
    with pytest.raises(ValueError, match="test_fraction is 1.5; it must lie between 0 and 1"):
        digits_data.split_digits(1.5)


def test_smooth_is_the_running_mean():
    assert picture.smooth([1.0, 2.0, 3.0, 6.0], 2).tolist() == [1.0, 1.5, 2.5, 4.5]


def test_curves_with_gaps_are_drawn(tmp_path):
    out = tmp_path / "loss.png"
    picture.save_curves(out, "t", {"a": [3.0, float("inf"), 2.0], "b": [1.0, 1.0, 1.0]}, window=2)
    assert out.read_bytes().startswith(PNG)


def test_rows_join_operations_that_were_treated_alike():
    books = [
        {"conv2d": {"mezzo.float32": 2}, "linear": {"float32": 1}, "sum": {"float32": 1}},
        {"conv2d": {"mezzo.bfloat16": 2}, "linear": {"bfloat16": 1}, "sum": {"float32": 1}},
    ]
    assert precision.rows(books) == [
        ("conv2d, linear", "float32", "bfloat16"),
        ("sum", "float32", "float32"),
    ]


def test_one_epoch_in_three_precisions(tmp_path):
    out = tmp_path / "loss.png"
    result = invoke("demo", "--epochs", "1", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert out.read_bytes().startswith(PNG)
    for said in ("time per epoch", "samples/s", "peak memory", "test accuracy", "skipped steps"):
        assert said in result.output
    assert str(out) in result.output.replace("\n", "")
    assert "bfloat16" in result.output
    assert "float16" in result.output


def test_autocast_runs_the_contractions_in_its_dtype():
    data = digits_data.split_digits()
    for name in ("fp32", "bf16", "fp16"):
        ran = digits.train(data, name, 1, 0, lambda **fields: None).ran
        dtype = str(precision.DTYPES[name]).rpartition(".")[2]
        for operation in ("convolve", "convolve_weight_grad", "product"):
            assert set(ran[operation]) == {dtype}, operation
        assert set(ran["class_loss"]) == {"float32"}


@pytest.mark.slow
def test_the_main_job_reaches_its_accuracy(tmp_path):
    results = digits.run(quiet(), ["fp32", "bf16", "fp16"], digits.EPOCHS, 0, tmp_path / "loss.png")
    scores = {result.precision: result.accuracy for result in results}
    assert min(scores.values()) >= 0.98, scores
    assert max(abs(score - scores["fp32"]) for score in scores.values()) <= 0.005, scores
    assert all(result.peak_bytes > 0 for result in results)


def test_the_same_seed_gives_the_same_losses():
    data = digits_data.split_digits()
    first, second = (digits.train(data, "bf16", 1, 7, lambda **fields: None) for _ in range(2))
    assert first.losses == second.losses
    assert first.accuracy == second.accuracy


def test_corpus_is_python_source():
    found = text.corpus(limit=1 << 18)
    assert len(found) == 1 << 18
    assert b"import " in found.tobytes()


def test_corpus_missing_is_said(tmp_path):
    with pytest.raises(click.ClickException, match="whose standard library comes as source"):
        text.corpus(tmp_path)


def test_a_batch_predicts_the_next_byte():
    data = np.arange(1000, dtype=np.int64).astype(np.uint8)
    tokens, targets = text.batch(data, 16, np.random.default_rng(0), size=3)
    assert tokens.shape == targets.shape == (3, 16)
    assert np.array_equal((tokens.numpy() + 1) % 256, targets.numpy())


def test_gpt_learns_text(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "SAMPLE_BYTES", 20)
    out = tmp_path / "loss.png"
    held_out = text.run(quiet(), "bf16", 12, 0, out)
    # Below ln 256: it knows more than that a byte has 256 values.
    assert held_out < 4.5 < np.log(256)
    assert out.read_bytes().startswith(PNG)


def test_gpt_does_not_see_the_future():
    mezzo.manual_seed(0)
    model = GPT(GPTConfig(layers=2, heads=2, width=32, context=16)).eval()
    tokens = mezzo.randint(0, 256, (1, 16))
    changed = tokens.clone()
    changed[0, 10] = (changed[0, 10] + 1) % 256
    with mezzo.no_grad():
        before, after = model(tokens).numpy(), model(changed).numpy()
    assert np.array_equal(before[:, :10], after[:, :10])
    assert not np.array_equal(before[:, 10:], after[:, 10:])


def test_gpt_errors():
    with pytest.raises(ValueError, match="width 30 is not a multiple of heads 4"):
        GPTConfig(width=30)
    model = GPT(GPTConfig(layers=1, heads=1, width=8, context=4))
    with pytest.raises(ValueError, match="length 5; it must be at most the context, 4"):
        model(mezzo.zeros(1, 5, dtype=mezzo.int64))
    with pytest.raises(ValueError, match="prompt is empty"):
        generate(model, b"", 3)
    with pytest.raises(ValueError, match="temperature is 0"):
        generate(model, b"a", 3, temperature=0)


def test_generate_continues_the_prompt():
    mezzo.manual_seed(1)
    model = GPT(GPTConfig(layers=1, heads=1, width=8, context=4))
    sample = generate(model, b"abc", 6)
    assert sample[:3] == b"abc"
    assert len(sample) == 9
    assert model.training


def test_doctor_names_versions_and_units():
    result = invoke("doctor", "--no-measure")
    assert result.exit_code == 0, result.output
    for said in (mezzo.__version__, np.__version__, "LLVM", "vector units", "threads", "GPU"):
        assert said in result.output


def test_doctor_measures(monkeypatch):
    monkeypatch.setattr(doctor, "SECONDS", 0.01)
    monkeypatch.setattr(doctor, "MATMUL_SIZE", 128)
    monkeypatch.setattr(doctor, "ADD_ELEMENTS", 1 << 20)
    rows = dict(doctor.speeds())
    assert set(rows) == {"matmul float32", "matmul bfloat16", "matmul float16", "add float32"}
    assert all(re.search(r"\d", row) for row in rows.values())
