"""The engine never reads or writes outside its buffers, and agrees with NumPy on any layout."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mezzo.errors import ArgumentValueError
from mezzo.kernels.cpu.target import named


def targets() -> dict[str, int]:
    """Examples for each kind of code that this processor runs."""
    found = {"native": 100, "plain": 30}
    try:
        named("avx2")
    except ArgumentValueError:
        return found
    return {**found, "avx2": 30}


@pytest.mark.parametrize("target", targets())
def test_random_layouts_in_guarded_memory(root, target):
    """In a process of its own: a stray access ends it, and the report names the property that ran."""
    env = {
        **os.environ,
        "MEZZO_GUARD": "1",
        "MEZZO_CPU_TARGET": target,
        "PYTHONPATH": str(root / "src"),
    }
    script = root / "tests" / "ops" / "fuzz.py"
    done = subprocess.run(
        [sys.executable, str(script), str(targets()[target])],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr[-6000:]}"
    assert done.stdout.count("held") == 6
