"""llvmlite's binding, loaded when something is first compiled or linked: `import mezzo` does without it."""

from __future__ import annotations

import importlib


def __getattr__(name: str):
    return getattr(importlib.import_module("llvmlite.binding"), name)
