"""Tracing: a function's operations as a program."""

from __future__ import annotations

from mezzo.compiler.program import Program
from mezzo.compiler.traced import Traced, trace

__all__ = ["Program", "Traced", "trace"]
