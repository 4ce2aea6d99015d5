"""Variants: one trace of a function made into programs, and how a call feeds them and takes the results."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Sequence

from mezzo.autograd import engine
from mezzo.compiler import tune
from mezzo.compiler.graph import Buffer, Graph, Region
from mezzo.compiler.inputs import Inputs, is_spent, sharing
from mezzo.compiler.trace import Tracer, new_storage
from mezzo.core import tape
from mezzo.core.record import Record, none
from mezzo.core.state import STATE
from mezzo.core.storage import INFERENCE
from mezzo.core.tensor import Tensor, view
from mezzo.errors import GradientError
from mezzo.func import trees
from mezzo.ops.copy import cast
from mezzo.ops.create import zeros

_WRITER = ("a compiled function", "inside it")


class Root:
    """A tensor from outside that a trace reaches memory by; at: its place among the call's leaves, or None."""

    __slots__ = ("asks", "at", "layout", "shift", "tensor")

    def __init__(self, tensor: Tensor, at: int | None):
        self.tensor, self.at, self.layout = tensor, at, tensor.layout
        self.shift, self.asks = tensor.ptr - tensor.storage.ptr, tape.requires_grad(tensor)

    def now(self, leaves: Sequence) -> Tensor:
        """The tensor in this call."""
        return self.tensor if self.at is None else leaves[self.at]


class Variant:
    """The programs of one trace, and what they depend on beyond the signature."""

    def __init__(
        self, tracer: Tracer, leaves: Sequence, call: Inputs, outputs, backward: Backward | None,
        mode: str,
    ):  # fmt: skip
        self.effects, self.known = tracer.effects, call.known
        self.sharing = sharing(leaves, call.known)
        self.roots = _roots(tracer, leaves, call.known)
        self.arg_at = [
            i for b in tracer.arguments for i, v in enumerate(call.given)
            if isinstance(v, Tensor) and getattr(v.storage, "buffer", None) is b
        ]  # fmt: skip
        self._grads(tracer)
        self.has_flags = any(e.flag is not None for e in self.effects)
        self.is_single = isinstance(outputs, Tensor)
        self.specs: list = []
        self.spent: list[int] = []  # outputs whose backward pass the trace has done itself
        self.outputs = trees.mapped(lambda v: self._spec(tracer, call, v), outputs)
        wanted = [
            s.buffer
            for s in (*self.specs, *(r for _, r in self.new_grads))
            if isinstance(s, Region)
        ]
        made = _made(tracer)
        wanted += [e.flag for e in self.effects if e.flag is not None]
        kept = list(dict.fromkeys(b for b in wanted if b in made))
        self.backward = backward
        if backward is not None:
            kept += [b for b in backward.prepare(tracer, made) if b not in kept]
        nodes = tracer.nodes if backward is None else tracer.nodes[: backward.split]
        # Gradients come late and go together: one block of memory for them, lent to the run until then.
        alone = {s.buffer for s in self.specs if isinstance(s, Region)}
        together = {r.buffer for _, r in self.new_grads if r.buffer in made} - alone
        if backward is not None:
            together -= set(backward.saved)
        graph = Graph(
            nodes,
            [*tracer.arguments, *tracer.outside.values()],
            kept,
            [b for b in kept if b in together],
        )
        self.written = self._written(nodes, graph)
        self.graph, self.passes, self.program = tune.build(graph, mode)
        self.sources = self._sources(tracer)
        if backward is not None:
            backward.build(self, mode)

    # ---- what a trace leaves behind

    def _grads(self, tracer: Tracer) -> None:
        """What must be in .grad of each root before a run, and what is in it after."""
        self.new_grads: list[tuple[Root, Region]] = []
        self.cleared: list[Root] = []
        self.dropped: list[Root] = []  # whose .grad the function replaces without looking at it
        self.needed: list[tuple[Root, object]] = []
        for root in self.roots:
            auto = root.tensor.auto
            if auto is None:
                continue
            first = tracer.first_grads.get(id(root.tensor))
            last = auto.grad
            ignores = id(root.tensor) in tracer.cleared
            if ignores:
                self.dropped.append(root)
            if last is not None and tracer.owns(last):
                self.new_grads.append((root, tracer.region(last)))
            elif last is None and (ignores or first is not None):
                self.cleared.append(root)
            if not ignores and id(root.tensor) in tracer.looked:
                self.needed.append((root, None if first is None else first.layout))

    def _spec(self, tracer: Tracer, call: Inputs, value):
        if not isinstance(value, Tensor):
            return value
        place = call.place(value)
        if place is not None:
            self.specs.append(self._placed(place))
            return value
        viewed = call.viewed(value)
        if viewed is not None:
            self.specs.append((self._placed(viewed[0]), viewed[1]))
            return value
        if is_spent(value):
            self.spent.append(len(self.specs))
        self.specs.append(tracer.region(value))
        return value

    def _placed(self, place):
        """A leaf's number, or the Root of a tensor."""
        return place if isinstance(place, int) else next(r for r in self.roots if r.tensor is place)

    def _written(self, nodes, graph: Graph) -> list[int]:
        """Which outside buffers a run writes into."""
        outside = {b: i for i, b in enumerate(graph.outside)}
        return sorted({outside[r.buffer] for n in nodes for r in n.writes if r.buffer in outside})

    def _sources(self, tracer: Tracer) -> list:
        """For each buffer from outside that is no argument: a Root, (Root,) for its gradient, or a storage."""
        found: list = []
        by_storage: dict[int, Root] = {}
        for root in sorted(self.roots, key=lambda r: r.at is None):
            by_storage.setdefault(id(root.tensor.storage), root)
        by_grad = {}
        for root in self.roots:
            first = tracer.first_grads.get(id(root.tensor))
            if first is not None and id(root.tensor) not in tracer.cleared:
                by_grad[id(first.storage)] = (root,)
        for buffer in tracer.outside.values():
            key = id(buffer.storage)
            found.append(by_grad.get(key) or by_storage.get(key) or buffer.storage)
        return found

    # ---- calls

    def differs(self, leaves: Sequence) -> str | None:
        """What the trace depended on that is different now, or None."""
        if sharing(leaves, self.known) != self.sharing:
            return "which tensors share memory"
        for root in self.roots:
            tensor = root.now(leaves)
            auto = tensor.auto
            if tensor.layout is not root.layout:
                return "the layout of a tensor that the function reaches"
            if root.asks != (auto is not None and (auto.requires_grad or auto.node is not None)):
                return "requires_grad of a tensor that the function reaches"
        for root, want in self.needed:
            have = root.now(leaves).grad
            if (have.layout if have is not None else None) is not want:
                return ".grad of a tensor that the function reaches"
        return None

    def addresses(self, leaves: Sequence) -> list[int]:
        """Where the buffers from outside lie now."""
        found = [leaves[i].ptr for i in self.arg_at]
        for source in self.sources:
            if source.__class__ is Root:
                found.append(source.now(leaves).ptr - source.shift)
            elif source.__class__ is tuple:
                found.append(source[0].now(leaves).auto.grad.storage.ptr)
            else:
                found.append(source.ptr)
        return found

    def storages(self, leaves: Sequence) -> list:
        """The same as storages."""
        found = [leaves[i].storage for i in self.arg_at]
        for source in self.sources:
            if source.__class__ is Root:
                found.append(source.now(leaves).storage)
            else:
                found.append(
                    source[0].now(leaves).auto.grad.storage if source.__class__ is tuple else source
                )
        return found

    def run(self, leaves: Sequence):
        """One call."""
        outside = self.addresses(leaves)
        for root in self.dropped:  # their memory may serve this run
            root.now(leaves).auto.grad = None
        kept = self.program.results()
        if self.effects:
            numbers = collect(self.effects)
            with undone_by_errors(self.effects):
                self.program.run(outside, [s.ptr for s in kept], numbers)
        else:
            self.program.run(outside, [s.ptr for s in kept])
        if self.written:
            storages = self.storages(leaves)
            for i in self.written:
                storage = storages[i]
                if storage.version != INFERENCE:
                    storage.version += 1
                    storage.writer = _WRITER
        memory = dict(zip(self.graph.kept, kept))
        if self.has_flags:
            retract(self.effects, memory)
        for root, region in self.new_grads:
            root.now(leaves).auto.grad = _over(region, memory[region.buffer])
        for root in self.cleared:
            root.now(leaves).auto.grad = None
        outs = [self._output(s, leaves, memory) for s in self.specs]
        for i in self.spent:
            outs[i].auto = tape.Auto(False, _SPENT, 0)
        if self.backward is not None:
            self.backward.attach(self, leaves, outs, memory, outside)
        if self.is_single:
            return outs[0]
        feed = iter(outs)
        return trees.mapped(lambda v: next(feed) if isinstance(v, Tensor) else v, self.outputs)

    def _output(self, spec, leaves: Sequence, memory: dict) -> Tensor:
        if spec.__class__ is int:
            return leaves[spec]
        if spec.__class__ is Root:
            return spec.now(leaves)
        if spec.__class__ is tuple:
            made = leaves[spec[0]] if spec[0].__class__ is int else spec[0].now(leaves)
            for record, args in spec[1]:
                made = record.apply((made, *args))
            return made
        storage = memory.get(spec.buffer)
        if storage is not None:
            return _over(spec, storage)
        at = self.graph.outside.index(spec.buffer)
        if at < len(self.arg_at):
            return view(leaves[self.arg_at[at]], spec.layout, spec.offset)
        made = _over(spec, self.storages(leaves)[at])
        made.ptr = self.addresses(leaves)[at] + spec.offset
        return made


def _roots(tracer: Tracer, leaves: Sequence, known: frozenset[int]) -> list[Root]:
    """The roots of a trace, without the aliases of leaves that it made itself."""
    places = {id(v): i for i, v in enumerate(leaves) if isinstance(v, Tensor)}
    memory = {id(v.storage) for v in leaves if isinstance(v, Tensor)} - known
    return [
        Root(t, places.get(id(t)))
        for t in tracer.roots.values()
        if t.storage is not None and (id(t) in places or id(t.storage) not in memory)
    ]


def _over(region: Region, storage) -> Tensor:
    made = object.__new__(Tensor)
    made.layout, made.storage, made.ptr = region.layout, storage, storage.ptr + region.offset
    made.auto = made.base = None
    return made


def _made(tracer: Tracer) -> set[Buffer]:
    return {r.buffer for n in tracer.nodes for r in n.outs}


def collect(effects) -> dict:
    """Run the Python that comes before a run; the numbers it gives."""
    return {(k, i): n for k, effect in enumerate(effects) for i, n in enumerate(effect.compute())}


@contextlib.contextmanager
def undone_by_errors(effects):
    """A run that raises takes back the Python that came before it."""
    try:
        yield
    except BaseException:
        for effect in reversed(effects):
            if effect.undo is not None:
                effect.undo()
        raise


def retract(effects, memory: dict) -> None:
    """Undo the Python of what a run has passed over. memory: the storage of each flag."""
    for effect in effects:
        if effect.flag is not None and effect.undo is not None and _cell(memory[effect.flag]):
            effect.undo()


def _cell(storage) -> int:
    return ctypes.c_int64.from_address(storage.ptr).value


class _Compiled(Record):
    family = "compiled"


def _compiled(inputs):
    """A compiled function on the tape."""


_RECORD = _Compiled(_compiled, name="compiled", where="", vjp=none("compiled with it"), samples=[])


_SPENT = tape.Node(_RECORD, (), ())
_SPENT.versions, _SPENT.needs_out, _SPENT.layouts = None, False, (None,)


class Backward:
    """The derivative of a traced function: its nodes, written right after the forward ones, as a second program.

    split: how many nodes are forward. What backward nodes read of forward ones is saved, as eager code would.
    """

    def __init__(self, tracer: Tracer, outputs: list[Tensor], inputs: Sequence, leaves: Sequence):
        self.split = len(tracer.nodes)
        self.seeds = [tracer.tensor(o.layout) for o in outputs]
        for seed in self.seeds:
            seed.storage.buffer = tracer.new_buffer(seed.storage, "g")
        self.outputs = [tracer.region(o) for o in outputs]
        self.of: list[
            tuple[str, object]
        ] = []  # what each gradient is of: a leaf's number, or a root tensor
        wanted: dict = {}
        for i, given in enumerate(inputs):
            if isinstance(given, Tensor) and tape.requires_grad(given):
                self._want(wanted, given, ("leaf", i))
        for tensor in list(tracer.roots.values()):
            if tape.requires_grad(tensor):
                self._want(wanted, tensor, ("root", tensor))
        roots = [tape.edge(o) for o in outputs]
        found = engine.run(roots, self.seeds, keep=False, create=False, wanted=wanted)
        self.gradients = {k: tracer.region(g) for k, g in found.items()}
        self.layouts = [_layout(what, inputs) for what in self.of]

    def _want(self, wanted: dict, tensor: Tensor, what) -> None:
        place = tape.edge(tensor)
        if place is not None and place not in wanted:
            wanted[place] = len(self.of)
            self.of.append(what)

    def prepare(self, tracer: Tracer, made: set[Buffer]) -> list[Buffer]:
        """The buffers to save, which the forward program keeps."""
        self.nodes = tracer.nodes[self.split :]
        mine = {r.buffer for n in self.nodes for r in n.outs}
        reads = [r.buffer for n in self.nodes for r in n.reads()]
        reads += [r.buffer for r in self.gradients.values()]
        self.saved = [b for b in dict.fromkeys(reads) if b in made and b not in mine]
        self.kept = list(
            dict.fromkeys(r.buffer for r in self.gradients.values() if r.buffer in mine)
        )
        return self.saved

    def build(self, forward: Variant, mode: str) -> None:
        """Make the program."""
        seeds = [s.storage.buffer for s in self.seeds]
        outside = forward.graph.outside
        graph = Graph(self.nodes, [*outside, *self.saved, *seeds], self.kept)
        self.graph, self.passes, self.program = tune.build(graph, mode)
        read = {r.buffer for n in self.graph.nodes for r in n.reads()}
        self.watched = [i for i, b in enumerate(outside) if b in read]
        del self.nodes

    def attach(
        self, forward: Variant, leaves: Sequence, outs: list, memory: dict, outside: list[int]
    ) -> None:
        """Put a node on the tape whose derivative is the second program."""
        edges = []
        for position, (kind, what) in enumerate(self.of):
            place = tape.edge(leaves[what] if kind == "leaf" else what)
            if place is not None:
                edges.append((position, *place))
        node = tape.Node(_RECORD, tuple(self.layouts), tuple(edges))
        storages = forward.storages(leaves)
        watched = [(storages[i], storages[i].version) for i in self.watched]
        node.versions, node.multiple, node.needs_out = (), True, False
        node.layouts = node.outs = tuple([r.layout for r in self.outputs])
        saved = [memory[b] for b in self.saved]
        watched += [(s, s.version) for s in saved]  # some are results, that the user may write into
        for storage, _ in watched:
            storage.saved = True
        node.rule = functools.partial(self._rule, saved, outside, watched)
        by_region = {r: k for k, r in enumerate(self.outputs)}
        for spec, out in zip(forward.specs, outs):
            slot = by_region.get(spec) if isinstance(spec, Region) else None
            if slot is not None:
                out.auto = tape.Auto(False, node, slot)

    def _rule(self, saved, outside, watched, node, grads) -> dict:
        if STATE.grad:
            raise GradientError(
                "compiled function: its backward pass cannot itself be differentiated (create_graph=True). Compile "
                "the function that takes both derivatives, or call it without compile()."
            )
        for storage, version in watched:
            if storage.version != version:
                raise GradientError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation "
                    "after a compiled function read it. Make that write after backward(), or on a clone()."
                )
        seeds = [_seed(g, r.layout) for g, r in zip(grads, self.outputs)]
        kept = self.program.results()
        self.program.run(
            [*outside, *(s.ptr for s in saved), *(s.ptr for s in seeds)], [s.ptr for s in kept]
        )
        memory = dict(zip(self.graph.kept, kept))
        memory.update(zip(self.saved, saved))
        memory.update((s.storage.buffer, t.storage) for s, t in zip(self.seeds, seeds))
        return {
            k: _over(r, memory[r.buffer]) for k, r in self.gradients.items() if r.buffer in memory
        }


def _seed(grad: Tensor | None, want) -> Tensor:
    """An incoming gradient in the layout that was traced."""
    if grad is None:
        grad = zeros(tuple(want.shape), dtype=want.dtype)
    if grad.layout is want and grad.ptr == grad.storage.ptr:
        return grad
    made = cast(grad, want.dtype)
    if made.layout is not want:
        fresh = object.__new__(Tensor)
        storage = new_storage(want.nbytes)
        fresh.layout, fresh.storage, fresh.ptr = want, storage, storage.ptr
        fresh.auto = fresh.base = None
        made = fresh.copy_(grad)
    return made


def _layout(what: tuple, inputs: Sequence):
    return (inputs[what[1]] if what[0] == "leaf" else what[1]).layout
