"""Tests on what lesser processors run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run_again(path: str, target: str, *, guarded: bool = True, chosen: str = "") -> None:
    """Run the tests of a file in a process whose MEZZO_CPU_TARGET is `target`; skip where this processor has no such.

    guarded: in memory that ends at pages which fault on access. chosen: an expression of pytest's -k.
    """
    if os.environ.get("MEZZO_CPU_TARGET"):
        pytest.skip("already lowered")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider"]
    env = {**os.environ, "MEZZO_CPU_TARGET": target, **({"MEZZO_GUARD": "1"} if guarded else {})}
    run = subprocess.run(
        [*command, path, *(["-k", chosen] if chosen else [])],
        env=env,
        capture_output=True,
        text=True,
        timeout=900,
    )
    if "which this processor" in run.stdout:
        pytest.skip(f"this processor has no {target}")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
