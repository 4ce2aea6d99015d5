"""trace: the graph of one call on given layouts, as something to look at and to run."""

from __future__ import annotations

from collections.abc import Callable

from mezzo.compiler.graph import Buffer, Region
from mezzo.compiler.program import Program
from mezzo.compiler.trace import Tracer
from mezzo.core.tensor import Tensor, view
from mezzo.func import trees


class Traced:
    """What a function did, as primitive calls. Calling it runs them on real tensors of the traced layouts."""

    def __init__(self, tracer: Tracer, inputs: list[Tensor], outputs):
        self.outputs = trees.mapped(lambda v: tracer.region(v) if isinstance(v, Tensor) else v, outputs)
        self.arguments = [tracer.region(t).buffer for t in inputs]
        made: dict[Buffer, None] = {}
        for leaf in trees.leaves(self.outputs):
            if isinstance(leaf, Region) and leaf.buffer.storage is None:
                made[leaf.buffer] = None
        self.graph = tracer.graph(made)
        self.graph.verify()
        self.program: Program | None = None

    def __repr__(self) -> str:
        return repr(self.graph)

    def __call__(self, *args: Tensor):
        """Run on tensors of the traced layouts."""
        if self.program is None:
            self.program = Program(self.graph)
        given = {id(b): t.storage for b, t in zip(self.arguments, args)}
        shift = {id(b): t.ptr for b, t in zip(self.arguments, args)}
        outside = [shift.get(id(b)) or b.storage.ptr for b in self.graph.outside]
        kept = self.program.results()
        self.program.run(outside, [s.ptr for s in kept])
        found = {id(b): s for b, s in zip(self.graph.kept, kept)}

        def tensor(value):
            if not isinstance(value, Region):
                return value
            made = object.__new__(Tensor)
            made.storage = found.get(id(value.buffer)) or given.get(id(value.buffer)) or value.buffer.storage
            made.layout, made.ptr = value.layout, made.storage.ptr + value.offset
            made.auto = made.base = None
            return made

        return trees.mapped(tensor, self.outputs)


def trace(func: Callable, *examples: Tensor) -> Traced:
    """What func does with arguments of the examples' layouts. Nothing is computed.

    Raises: ReadBack where func looks at a value
    """
    tracer = Tracer()
    with tracer:
        inputs = []
        for example in examples:
            made = view(example, example.layout)
            made.requires_grad = example.requires_grad
            inputs.append(made)
        for t in inputs:
            tracer.region(t)
        outputs = func(*inputs)
    return Traced(tracer, inputs, outputs)
