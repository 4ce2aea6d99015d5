"""Tracing: a function's operations as a program."""

from __future__ import annotations

from mezzo.compiler.trace import Program, trace

__all__ = ["Program", "trace"]
