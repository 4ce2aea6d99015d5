"""A count that rises with every attribute set on a module, so that "nothing changed" is one comparison."""

from __future__ import annotations

modules = [0]
