"""docs/how-it-works.md shows what the compiler makes of its step now."""

from __future__ import annotations

import subprocess
import sys


def test_page_is_current(root):
    """Renewed by: python tools/how_it_works.py"""
    done = subprocess.run(
        [sys.executable, str(root / "tools" / "how_it_works.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (
        "docs/how-it-works.md is not current: run python tools/how_it_works.py\n"
        f"{done.stdout}{done.stderr}"
    )


def test_page_says_nothing_of_one_run_alone(root):
    """No time, no address: a second run on another machine gives the same page."""
    text = (root / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    boxes = "".join(text.split("```")[1::2])
    assert "0x" not in boxes and " ms" not in boxes
    assert not [word for word in boxes.split() if word.strip("(),").isdigit() and len(word) > 8]
