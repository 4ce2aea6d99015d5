"""Functions that look at values: traced at every call, run in stretches between the looks.

A stretch is compiled once: it is found again by what its nodes are, with buffers numbered in order.
"""

from __future__ import annotations

from mezzo.compiler import passes
from mezzo.compiler.graph import Graph
from mezzo.compiler.program import Program
from mezzo.compiler.trace import Tracer
from mezzo.compiler.tune import structure
from mezzo.compiler.variant import collect, retract, undone_by_errors
from mezzo.core import late
from mezzo.kernels.cpu.contract import precision

LIMIT = 256


class Stretches:
    """The programs of one function's stretches, by structure."""

    def __init__(self):
        self.programs: dict[tuple, Program] = {}

    def flush(self, tracer: Tracer) -> None:
        """Compute what was written so far: everything that somebody still holds becomes real."""
        nodes, live = (
            tracer.nodes,
            [s for s in tracer.live if s.buffer is not None and s.tracer is tracer],
        )
        made = {r.buffer for n in nodes for r in n.outs}
        kept = [s for s in live if s.buffer in made]
        with late.untraced():
            numbers = collect(tracer.effects)
        if nodes:
            graph = tracer.graph([s.buffer for s in kept])
            outside = [tracer.arguments.get(b) or b.storage.ptr for b in graph.outside]
            with undone_by_errors(tracer.effects):
                self._program(graph).run(outside, [s.ptr for s in kept], numbers)
            retract(tracer.effects, {s.buffer: s for s in kept})
        for storage in kept:
            storage.tracer = None
        tracer.nodes, tracer.effects = [], []
        tracer.outside = {}

    def _program(self, graph: Graph) -> Program:
        key = (precision.settings(), *structure(graph))
        found = self.programs.get(key)
        if found is None:
            if len(self.programs) >= LIMIT:
                self.programs.clear()
            found = self.programs[key] = Program(passes.run(graph)[0])
        return found
