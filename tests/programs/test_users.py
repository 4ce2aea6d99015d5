"""Programs as people write them for PyTorch, run as they are and with mezzo in torch's place: all that they record is equal.

A program of `users/` imports torch and defines main(record, fill): record(name, value) notes a loss, a tensor or a text,
fill(module) gives a module's parameters values that depend on their names' order and shapes alone.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import mezzo

PROGRAMS = sorted((Path(__file__).parent / "users").glob("*.py"))
# float32 over a dozen steps of training; low precision is recorded by dtype, not by value.
RTOL, ATOL = 2e-5, 5e-6


def in_mezzo(source: str) -> str:
    """A program's text with its imports of torch turned into imports of mezzo."""
    source = re.sub(
        r"^(\s*)import torch((?:\.\w+)+) as", r"\1import mezzo\2 as", source, flags=re.M
    )
    source = re.sub(
        r"^(\s*)import torch((?:\.\w+)+)\s*$",
        r"\1import mezzo\2; import mezzo as torch",
        source,
        flags=re.M,
    )
    source = re.sub(r"^(\s*)import torch\b", r"\1import mezzo as torch", source, flags=re.M)
    return re.sub(r"^(\s*)from torch\b", r"\1from mezzo", source, flags=re.M)


def plain(value):
    """What is compared: an array, or a text in which the two libraries have one name."""
    if hasattr(value, "detach"):
        value = value.detach()
        low = str(value.dtype).rpartition(".")[2] in ("bfloat16", "float16")
        return np.array((value.float() if low else value).numpy())
    if isinstance(value, (bool, int, float)) or (
        isinstance(value, (list, tuple)) and value and isinstance(value[0], (int, float))
    ):
        return np.array(value)
    return str(value).replace("mezzo.", "torch.")


def filler(lib: ModuleType):
    """fill(module, seed, scale): normal values, near 1 for the weights of normalisation."""

    def fill(module, seed=0, scale=0.2):
        rng = np.random.default_rng(seed)
        with lib.no_grad():
            for name, p in module.named_parameters():
                drawn = rng.standard_normal(tuple(p.shape)) * scale
                if "norm" in name.lower() and name.endswith("weight"):
                    drawn = 1 + drawn * 0.1
                p.copy_(lib.from_numpy(np.asarray(drawn, dtype=np.float32)))
        return module

    return fill


def run(path: Path, lib: ModuleType, monkeypatch) -> list:
    """[(name, value)] in the order in which the program records them."""
    source = path.read_text(encoding="utf-8")
    module = ModuleType(f"{path.stem}_in_{lib.__name__}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where pickle looks for its classes
    text = source if lib is torch else in_mezzo(source)
    exec(compile(text, str(path), "exec"), vars(module))
    found: list = []
    lib.manual_seed(0)
    module.main(lambda name, value: found.append((name, plain(value))), filler(lib))
    return found


@pytest.fixture
def one_thread():
    """Both libraries on one thread: small tensors gain nothing from more."""
    kept = torch.get_num_threads(), mezzo.get_num_threads()
    torch.set_num_threads(1), mezzo.set_num_threads(1)
    yield
    torch.set_num_threads(kept[0]), mezzo.set_num_threads(kept[1])


@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_program(path, monkeypatch):
    theirs, ours = run(path, torch, monkeypatch), run(path, mezzo, monkeypatch)
    assert [n for n, _ in ours] == [n for n, _ in theirs]
    assert len(ours) > 5, "a program that records next to nothing proves nothing"
    for at, ((name, a), (_, b)) in enumerate(zip(ours, theirs)):
        where = f"record {at}, {name!r}"
        if isinstance(b, str):
            assert a == b, where
            continue
        assert (a.dtype, a.shape) == (b.dtype, b.shape), where
        if b.dtype.kind in "fc":
            np.testing.assert_allclose(a, b, rtol=RTOL, atol=ATOL, err_msg=where)
        else:
            np.testing.assert_array_equal(a, b, err_msg=where)
