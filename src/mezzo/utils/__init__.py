"""Utilities: data loading, checkpointing, timing, DLPack."""

from __future__ import annotations

from mezzo.utils import benchmark, checkpoint, data, dlpack

__all__ = ["benchmark", "checkpoint", "data", "dlpack"]
