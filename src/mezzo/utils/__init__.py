"""Utilities: data loading, checkpointing, DLPack."""

from __future__ import annotations

from mezzo.utils import checkpoint, data, dlpack

__all__ = ["checkpoint", "data", "dlpack"]
