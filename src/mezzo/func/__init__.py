"""Function transforms."""

from __future__ import annotations

from mezzo.func.vmap import vmap

__all__ = ["vmap"]
