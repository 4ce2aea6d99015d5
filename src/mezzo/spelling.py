"""Other paths to names: modules made of what is kept elsewhere."""

from __future__ import annotations

import sys
from types import ModuleType


def spell(path: str, contents: dict) -> ModuleType:
    """A module under a path, also found as an attribute of its parent."""
    made = sys.modules.get(path)
    if made is None:
        made = sys.modules[path] = ModuleType(
            path, "Another path to names that mezzo keeps elsewhere."
        )
        parent, _, last = path.rpartition(".")
        setattr(sys.modules[parent], last, made)
    for name, value in contents.items():
        made.__dict__.setdefault(name, value)
    return made


def public(package: ModuleType) -> dict:
    """What a package's own names are, without its files."""
    return {
        name: value
        for name, value in vars(package).items()
        if not name.startswith("__") and not isinstance(value, ModuleType)
    }
