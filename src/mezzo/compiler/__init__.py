"""The compiler: functions as graphs, graphs as one native call."""

from __future__ import annotations

from mezzo.compiler.compiled import (
    Compiled,
    compile,
    disable,
    is_compiling,
    list_backends,
    reset,
)
from mezzo.compiler.explain import Explanation, explain
from mezzo.compiler.program import Program
from mezzo.compiler.traced import Traced, trace

__all__ = [
    "Compiled",
    "Explanation",
    "Program",
    "Traced",
    "compile",
    "disable",
    "explain",
    "is_compiling",
    "list_backends",
    "reset",
    "trace",
]
