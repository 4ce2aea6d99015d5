"""Two thousand changed files, loaded in a process of its own; tools/fuzz_files.py says what is watched."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs files in memory")
def test_changed_files_load_or_are_refused(root):
    env = {**os.environ, "PYTHONPATH": str(root / "src")}
    command = [sys.executable, str(root / "tools" / "fuzz_files.py"), "--count", "2000"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "2000 files, 0 failures" in done.stdout
    for kind in ("zip", "legacy", "safe", "native"):  # deep enough to get through sometimes
        assert f"{kind} loaded" in done.stdout and f"{kind} refused" in done.stdout
