"""Utilities: data loading."""

from __future__ import annotations

from mezzo.utils import data

__all__ = ["data"]
