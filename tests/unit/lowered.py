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
    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *(["-k", chosen] if chosen else [])]
    _run(["-m", "pytest", *options, path], target, guarded)


def run_code(path: str, target: str, code: str) -> None:
    """Run code that may import its neighbours' modules, as run_again runs tests."""
    here = os.path.dirname(path)
    _run(["-c", f"import sys; sys.path.insert(0, {here!r})\n{code}"], target, True)


def _run(arguments: list[str], target: str, guarded: bool) -> None:
    env = {**os.environ, "MEZZO_CPU_TARGET": target, **({"MEZZO_GUARD": "1"} if guarded else {})}
    run = subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=900
    )
    if "which this processor" in run.stdout + run.stderr:
        pytest.skip(f"this processor has no {target}")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-2000:]
