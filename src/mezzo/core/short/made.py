"""What a learned call made: tensors and nodes that its result holds, in the order in which they can be made again.

A tensor that only a node keeps is made as well, and so is the root of a view; what nobody holds in the end is not.
"""

from __future__ import annotations

from mezzo.core import tape
from mezzo.core.layout import Unsized
from mezzo.core.short import nodes, runs
from mezzo.core.short import words as w
from mezzo.core.short.entries import Entry, Unlike
from mezzo.core.storage import Storage
from mezzo.core.tensor import Tensor
from mezzo.kernels.cpu import capture


class Made:
    """The tensors and nodes behind a result. stands: the tensors of the call; mapped: id of a number: its argument."""

    def __init__(
        self, entry: Entry, stands: list, mapped: dict[int, int], places: tuple[int, ...] = ()
    ):
        self.entry, self.stands, self.mapped = entry, stands, mapped
        self.indices, self.others = (
            places,
            (),
        )  # where a free index was, here and in other runs of the same call
        self.places = {id(stand): i for i, stand in enumerate(stands)}
        self.tensors: list[Tensor] = []
        self.nodes: list[tape.Node] = []
        self.known: set[int] = set()
        self.sizes: dict[int, int] = {}  # blocks whose size a run finds, and which it is
        self.fresh: dict[int, int] = {}  # blocks that stay, and the versions of their memory

    # ---- what there is

    def gather(self, result) -> None:
        """Find everything that the result holds."""
        many = isinstance(result, tuple)
        if many and (not result or len(result) > w.MAX_OUTS):
            raise Unlike
        for one in result if many else (result,):
            if one is not None and not isinstance(one, Tensor):
                raise Unlike
            self._values(one)
        # Roots come before their views, nodes before those that lead to them.
        self.tensors.sort(key=lambda tensor: tensor.base is not None)
        self.nodes.sort(key=lambda node: node.order)
        if len(self.tensors) > w.MAX_MADE or len(self.nodes) > w.MAX_NODES:
            raise Unlike
        self.places.update({id(t): w.FIRST_MADE + i for i, t in enumerate(self.tensors)})
        self.places.update({id(n): w.FIRST_NODE + i for i, n in enumerate(self.nodes)})

    def _values(self, value) -> None:
        if isinstance(value, Tensor):
            self._tensor(value)
        elif isinstance(value, (tuple, list)):
            for item in value:
                self._values(item)

    def _tensor(self, tensor: Tensor) -> None:
        if id(tensor) in self.known or id(tensor) in self.places:
            return
        if tensor.__class__ is not Tensor or tensor.__dict__ or tensor.storage is None:
            raise Unlike
        self.known.add(id(tensor))
        self.tensors.append(tensor)
        if tensor.base is not None:
            if _holds_tensors(tensor.base.chain) or tensor.base.root.base is not None:
                raise Unlike
            self._tensor(tensor.base.root)
        else:
            self._memory(tensor)
        auto = tensor.auto
        if auto is not None:
            if auto.__dict__ or auto.requires_grad or auto.node is None:
                raise Unlike
            self._node(auto.node)

    def _memory(self, tensor: Tensor) -> None:
        if any(tensor.storage is stand.storage for stand in self.stands):
            return
        if tensor.storage.__class__ is not Storage or not capture.is_pointer(tensor.ptr):
            raise Unlike
        block, _ = capture.place(tensor.storage.ptr)
        self.fresh[block] = tensor.storage.version

    def _node(self, node: tape.Node) -> None:
        if id(node) in self.known:
            return
        if not isinstance(node, tape.Node) or node.__dict__.keys() - {"multiple"}:
            raise Unlike
        self.known.add(id(node))
        self.nodes.append(node)
        for tensor, version in node.versions:
            if tensor.storage.version != version:
                raise Unlike
            self._tensor(tensor)
        self._values(node.args)
        self._values(node.outs)
        for _, end, _ in node.edges:
            if not isinstance(end, tape.Accumulate):
                self._node(end)
            elif id(end.variable) not in self.places:
                raise Unlike

    # ---- as words

    def write(self, result, blocks: dict[int, int]) -> None:
        """Put it into the entry. blocks: of the recording, to those of the run."""
        entry = self.entry
        for other in self.others:
            if [*map(_shape, self.nodes)] != [*map(_shape, other.nodes)] or len(self.tensors) != len(other.tensors):  # fmt: skip
                raise Unlike
        entry.put(w.MADE, [self._row(t, blocks, *o) for t, *o in zip(self.tensors, *(o.tensors for o in self.others))])  # fmt: skip
        if isinstance(result, tuple):
            entry.put(w.OUTS, [self._one(one) for one in result])
            entry.words[w.MANY] = entry.hold(result.__class__)
        else:
            entry.put(w.OUTS, [self._one(result)])
        entry.put(w.NODES, [self._node_row(n, *o) for n, *o in zip(self.nodes, *(o.nodes for o in self.others))])  # fmt: skip
        saved = {self.places[id(t)] for node in self.nodes for t, _ in node.versions}
        entry.put(w.SAVED, [(place,) for place in sorted(saved) if place < w.FIRST_MADE])

    def _row(self, tensor: Tensor, blocks: dict[int, int], *others: Tensor) -> tuple:
        if isinstance(tensor.layout, Unsized):
            block, offset = capture.place(tensor.ptr)
            if offset or tensor.base is not None or others:
                raise Unlike
            return (runs.NEW, 0, blocks[block], 0, 0, self.sizes[block], 0, 0)
        if any(other.layout is not tensor.layout for other in others):
            raise Unlike
        hold, layout = self.entry.hold, self.entry.hold(tensor.layout)
        all_of = ((self, tensor), *zip(self.others, others))
        if tensor.base is not None:
            root = tensor.base.root
            if tensor.storage is not root.storage:
                raise Unlike
            offset, step = self.along([int(t.ptr) - int(t.base.root.ptr) for _, t in all_of])
            source = self.one([made.places[id(t.base.root)] for made, t in all_of])
            multiple = hold(bool(tensor.base.multiple))
            kind, chain = self._one(tensor.base.chain, *(t.base.chain for t in others))
            return (
                runs.VIEW,
                layout,
                source,
                offset,
                chain,
                multiple,
                step,
                int(kind == nodes.NESTED),
            )
        for i, stand in enumerate(self.stands):
            if tensor.storage is stand.storage:
                offset, step = self.along(
                    [int(t.ptr) - int(made.stands[i].ptr) for made, t in all_of]
                )
                return (runs.VIEW, layout, i, offset, 0, 0, step, 0)
        block, _ = capture.place(tensor.storage.ptr)
        offset = self.one([int(t.ptr) - int(t.storage.ptr) for _, t in all_of])
        return (runs.NEW, layout, blocks[block], offset, 0, 0, 0, 0)

    # ---- what differs from place to place of a free index

    def along(self, values: list[int]) -> tuple[int, int]:
        """(start, step): what these numbers are as a line along the places of the index."""
        return along(values, self.indices)

    @staticmethod
    def one(values: list):
        """The value that all runs had."""
        if any(value != values[0] for value in values):
            raise Unlike
        return values[0]

    def _node_row(self, node: tape.Node, *others: tape.Node) -> list[int]:
        entry, hold, numbers = self.entry, self.entry.hold, [0] * (w.NODE_UNSIZED + 1)
        numbers[w.KIND], numbers[w.RECORD] = hold(type(node)), hold(node.record)
        numbers[w.MULTIPLE], numbers[w.NEEDS_OUT] = bool(node.multiple), hold(bool(node.needs_out))
        numbers[w.NODE_LAYOUTS] = hold(node.layouts)
        numbers[w.NODE_ARGS] = self._spec(node.args, *(other.args for other in others))
        if any(isinstance(layout, Unsized) for layout in node.layouts):
            numbers[w.NODE_UNSIZED] = self._spec(node.layouts)
        if node.outs is not node.layouts:
            numbers[w.NODE_OUTS] = self._spec(node.outs, *(other.outs for other in others))
        versions = [self.places[id(tensor)] for tensor, _ in node.versions]
        ties = [(self.places[id(t)], hold(t.auto.slot)) for t in self.tensors
                if t.auto is not None and t.auto.node is node]  # fmt: skip
        for at, rows in (
            (w.EDGES, [self._edge(edge) for edge in node.edges]),
            (w.VERSIONS, [(place,) for place in versions]),
            (w.TIES, ties),
        ):
            numbers[at] = len(rows)
            numbers[at + 1] = entry.block([n for row in rows for n in row])
        return numbers

    def _edge(self, edge: tuple) -> tuple:
        position, end, slot = edge
        whose = end.variable if isinstance(end, tape.Accumulate) else end
        return self.entry.hold(position), self.places[id(whose)], self.entry.hold(slot)

    def _spec(self, values, *others) -> int:
        if any(len(other) != len(values) for other in others):
            raise Unlike
        items = zip(values, *others)
        return self.entry.block([len(values), *[n for item in items for n in self._one(*item)]])

    def _one(self, value, *others) -> tuple[int, int]:
        """How a run makes a value. others: what it was in runs with other indices."""
        if any(other.__class__ is not value.__class__ for other in others):
            raise Unlike
        if isinstance(value, Tensor):
            of = [self.places[id(value)], *(m.places[id(o)] for m, o in zip(self.others, others))]
            return nodes.OBJECT, self.one(of)
        if isinstance(value, Unsized):
            return nodes.LAYOUT, next(self.places[id(t)] for t in self.tensors if t.layout is value)
        if value.__class__ is float and id(value) in self.mapped:
            return nodes.ARGUMENT, self.mapped[id(value)]
        if isinstance(value, (tuple, list)) and (
            _holds_tensors(value) or any(o != value for o in others)
        ):
            return nodes.NESTED, self._spec(value, *others)
        if value.__class__ is int and any(other != value for other in others):
            start, step = self.along([value, *others])
            return nodes.INDEXED, self.entry.block([step, start])
        self.one([value, *others])
        return nodes.CONST, self.entry.hold(value)


def along(values: list[int], indices: tuple[int, ...]) -> tuple[int, int]:
    """(start, step): the line along the indices that the values are on."""
    if all(value == values[0] for value in values):
        return values[0], 0
    (first, second, *_), (start, _, *_) = indices, values
    step = (values[1] - start) // (second - first)
    start -= first * step
    if any(value != start + step * index for value, index in zip(values, indices)):
        raise Unlike
    return start, step


def _shape(node: tape.Node) -> tuple:
    """What is the same of a node for all places of an index."""
    return (type(node), node.record, node.layouts, len(node.edges), [edge[::2] for edge in node.edges], len(node.versions))  # fmt: skip


def _holds_tensors(value) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_holds_tensors(v) for v in value)
    return isinstance(value, (Tensor, Unsized))
