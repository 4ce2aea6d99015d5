"""trace: the graph of one call on given layouts, as something to look at and to run."""

from __future__ import annotations

from collections.abc import Callable

from mezzo.compiler import passes
from mezzo.compiler.graph import Buffer, Region
from mezzo.compiler.program import Program
from mezzo.compiler.trace import Tracer
from mezzo.core.tensor import Tensor, view
from mezzo.func import trees


class Traced:
    """What a function did, as primitive calls. Calling it runs them on real tensors of the traced layouts."""

    def __init__(self, tracer: Tracer, inputs: list[Tensor], outputs):
        self.outputs = trees.mapped(
            lambda v: tracer.region(v) if isinstance(v, Tensor) else v, outputs
        )
        self.count = len(inputs)
        made: dict[Buffer, None] = {}
        for leaf in trees.leaves(self.outputs):
            if (
                isinstance(leaf, Region)
                and leaf.buffer not in tracer.arguments
                and leaf.buffer.storage is None
            ):
                made[leaf.buffer] = None
        self.graph = tracer.graph(made)
        self.graph.verify()
        self.program: Program | None = None

    def __repr__(self) -> str:
        return repr(self.graph)

    def __call__(self, *args: Tensor):
        """Run on tensors of the traced layouts."""
        if self.program is None:
            self.program = Program(passes.run(self.graph)[0])
        given = {id(b): t for b, t in zip(self.graph.outside, args)}
        rest = [b.storage.ptr for b in self.graph.outside[self.count :]]
        kept = self.program.results()
        self.program.run([*(t.ptr for t in args), *rest], [s.ptr for s in kept])
        found = {id(b): s for b, s in zip(self.graph.kept, kept)}

        def tensor(value):
            if not isinstance(value, Region):
                return value
            if id(value.buffer) in given:
                return view(given[id(value.buffer)], value.layout, value.offset)
            made = object.__new__(Tensor)
            made.storage = found.get(id(value.buffer)) or value.buffer.storage
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
        inputs = [tracer.argument(example) for example in examples]
        for made, example in zip(inputs, examples):
            made.requires_grad = example.requires_grad
        outputs = func(*inputs)
    return Traced(tracer, inputs, outputs)
