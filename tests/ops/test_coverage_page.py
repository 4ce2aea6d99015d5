"""docs/coverage.md is what the records say now."""

from __future__ import annotations

import difflib
import importlib.util


def test_page_is_current(root):
    """Renewed by: python tools/coverage.py"""
    spec = importlib.util.spec_from_file_location("coverage_tool", root / "tools" / "coverage.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    have = tool.PAGE.read_text(encoding="utf-8").splitlines()
    want = tool.page().splitlines()
    lines = [
        line
        for line in difflib.unified_diff(have, want, lineterm="", n=0)
        if line[:2] not in ("--", "++", "@@")
    ]
    assert not lines, "docs/coverage.md is not current: run python tools/coverage.py\n" + "\n".join(
        lines[:20]
    )
