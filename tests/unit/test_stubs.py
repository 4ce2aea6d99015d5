"""The type stubs of the public face are those that tools/make_stubs.py writes, and a type checker can use them."""

from __future__ import annotations

import importlib.util

import pytest


@pytest.fixture(scope="module")
def tool(root):
    spec = importlib.util.spec_from_file_location("make_stubs", root / "tools" / "make_stubs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_stubs_are_current(tool):
    stale = [
        path.name
        for path, make in tool.STUBS.items()
        if not path.exists() or path.read_text() != make()
    ]
    assert not stale, f"{', '.join(stale)}: run python tools/make_stubs.py"


def test_stubs_are_python(tool):
    for path, make in tool.STUBS.items():
        compile(make(), path.name, "exec")
