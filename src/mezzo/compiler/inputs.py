"""What stands for the arguments of a call in its trace, and which of them share memory."""

from __future__ import annotations

from collections.abc import Sequence

from mezzo.compiler.trace import Tracer
from mezzo.core import tape
from mezzo.core.record import Record, none
from mezzo.core.tensor import Tensor


class _Identity(Record):
    family = "compiled"


def _argument(input):
    """An argument of a compiled function on the tape of its trace."""


_IDENTITY = _Identity(
    _argument, name="compiled_argument", where="", vjp=none("the identity"), samples=[]
)


def sharing(leaves: Sequence, known: frozenset[int]) -> list[tuple]:
    """Which tensors among the leaves lie in the memory of another leaf, or in memory whose id is known.

    (place, id of the storage) or (place, place of the first, bytes between them): what a trace depends on.
    """
    found: list[tuple] = []
    first: dict[int, int] = {}
    for i, value in enumerate(leaves):
        if isinstance(value, Tensor) and value.storage is not None:
            key = id(value.storage)
            if key in known:
                found.append((i, key))
            elif key in first:
                found.append((i, first[key], value.ptr - leaves[first[key]].ptr))
            else:
                first[key] = i
    return found


def _in_common(leaves: Sequence, known: frozenset[int]) -> set[int]:
    return {i for entry in sharing(leaves, known) for i in entry[: 2 if len(entry) == 3 else 1]}


def has_history_in_common(leaves: Sequence, known: frozenset[int]) -> bool:
    """Whether a leaf that shares memory was computed with gradients: no graph has two histories of one memory."""
    return any(
        tape.requires_grad(leaves[i]) and leaves[i].auto.node is not None
        for i in _in_common(leaves, known)
    )


def _history(tensor: Tensor):
    """What changes when a tensor is written in place with gradients."""
    auto = tensor.auto
    return (auto.node, auto.slot) if auto is not None and auto.node is not None else None


class Inputs:
    """given: for each leaf of a call, what the trace works with. Leaves that ask for gradients are themselves."""

    def __init__(self, tracer: Tracer, leaves: Sequence, known: frozenset[int]):
        self.tracer, self.leaves, self.known = tracer, leaves, known
        common = _in_common(leaves, known)
        self.given = [self._stand_in(v, i in common) for i, v in enumerate(leaves)]
        self._before = [_history(t) if isinstance(t, Tensor) else None for t in self.given]

    def _stand_in(self, value, is_common: bool):
        if not isinstance(value, Tensor) or value.storage is None:
            return value
        auto = value.auto
        is_leaf = auto is None or auto.node is None
        if is_leaf and (is_common or tape.requires_grad(value)):
            self.tracer.note_itself(value)
            return value
        made = self.tracer.argument(value)
        if tape.requires_grad(value):
            node = tape.Node(_IDENTITY, (value.layout,), ((0, *tape.edge(value)),))
            node.rule = lambda _node, grads: {0: grads[0] if isinstance(grads, tuple) else grads}
            node.versions, node.multiple, node.needs_out = (), False, False
            node.layouts = node.outs = (value.layout,)
            made.auto = tape.Auto(False, node, 0)
        return made

    def place(self, tensor: Tensor):
        """The number of a leaf, or a root of the trace, that a tensor is; else None."""
        for i, given in enumerate(self.given):
            if tensor is given:
                return i
        root = self.tracer.roots.get(id(tensor))
        return root if root is tensor else None

    def viewed(self, tensor: Tensor):
        """(place of the root, chain of calls) of a view of a leaf or root; else None."""
        chain = tensor.base.chain if tensor.base is not None else ()
        if not chain or any(record.family != "view" for record, _ in chain):
            return None
        place = self.place(tensor.base.root)
        return None if place is None else (place, chain)

    def asks(self, value) -> bool:
        """Whether the value, a result, needs a derivative of the trace's own."""
        if not isinstance(value, Tensor) or not tape.requires_grad(value) or is_spent(value):
            return False
        return self.place(value) is None and self.viewed(value) is None

    def can_ask(self, tensor: Tensor) -> bool:
        """Whether a result lies in memory that the trace made."""
        return self.tracer.owns(tensor) and tensor.storage.buffer not in self.tracer.arguments

    def rewritten(self) -> bool:
        """Whether an argument or a tensor from outside was written in place with gradients."""
        given = any(
            isinstance(t, Tensor) and _history(t) != b for t, b in zip(self.given, self._before)
        )
        roots = self.tracer.roots.values()
        return given or any(_history(t) != self.tracer.histories[id(t)] for t in roots)

    def hand_back(self) -> None:
        """Give the arguments themselves the history that writes in place gave to what stood for them."""
        for value, given, before in zip(self.leaves, self.given, self._before):
            if value is given or not isinstance(given, Tensor) or _history(given) == before:
                continue
            if value.base is not None:
                piece = tape.alias(value)
                piece.auto = given.auto
                tape.replace_viewed(value, piece)
                continue
            generation = value.auto.generation if value.auto is not None else 0
            value.auto = given.auto
            value.auto.generation = generation + 1


def is_spent(tensor: Tensor) -> bool:
    """Whether the trace itself went backward through something that this tensor was computed from."""
    place = tape.edge(tensor)
    todo, seen = [place[0]] if place is not None else [], set()
    while todo:
        node = todo.pop()
        if id(node) in seen or not isinstance(node, tape.Node):
            continue
        if node.freed:
            return True
        seen.add(id(node))
        todo.extend(to for _, to, _ in node.edges)
    return False
