"""recompute: large values that are cheap to make are made again where the backward pass wants them.

The rule: the result of an elementwise call or a row operation (a norm, a softmax) of at least 256 KiB
that lies unused over more than GAP calls, and whose operands are in memory at the next use anyway. The
call is repeated right before that use, so its result need not be held between; contractions are never repeated.
"""

from __future__ import annotations

from mezzo.compiler.graph import Buffer, Graph, Node, Region
from mezzo.core.families.elementwise import Elementwise
from mezzo.core.families.rows import RowOperation

LARGE = 1 << 18
GAP = 24


def recompute(graph: Graph) -> Graph:
    """The graph with cheap calls repeated instead of their results kept."""
    return graph.with_nodes(_Recompute(graph).run())


class _Recompute:
    def __init__(self, graph: Graph):
        self.graph, self.nodes = graph, graph.nodes
        self.fixed = {*graph.kept, *graph.outside}
        self.uses: dict[Buffer, list[int]] = {}
        self.writes: dict[Buffer, list[int]] = {}
        for i, node in enumerate(self.nodes):
            for region in node.reads():
                self.uses.setdefault(region.buffer, []).append(i)
            for region in node.writes:
                self.writes.setdefault(region.buffer, []).append(i)
        self.pinned: dict[Buffer, int] = {}  # buffers that must live up to a call

    def run(self) -> list[Node]:
        """The new nodes."""
        again: dict[int, list[tuple[Node, Buffer]]] = {}  # calls to repeat before a node
        for i, node in enumerate(self.nodes):
            at = self._next_use_after_gap(i, node)
            if at is not None:
                again.setdefault(at, []).append((node, node.outs[0].buffer))
                for region in node.reads():
                    self.pinned[region.buffer] = max(self.pinned.get(region.buffer, 0), at)
        found: list[Node] = []
        same: dict[Buffer, Buffer] = {}

        def renamed(region: Region) -> Region:
            to = same.get(region.buffer)
            return region if to is None else Region(to, region.offset, region.layout)

        for i, node in enumerate(self.nodes):
            for old, buffer in again.get(i, ()):
                made = {
                    r.buffer: Buffer(f"{r.buffer.name}_again", r.buffer.nbytes) for r in old.outs
                }
                twin = old.replaced(renamed)
                twin.outs = tuple([Region(made[r.buffer], r.offset, r.layout) for r in old.outs])
                found.append(twin)
                same[buffer] = made[buffer]
            found.append(node.replaced(renamed) if same else node)
        return found

    def _next_use_after_gap(self, i: int, node: Node) -> int | None:
        """The call before which the node should be repeated, or None."""
        cheap = isinstance(node.record, (Elementwise, RowOperation)) and node.form == "call"
        if not cheap or node.unless or not list(node.reads()):
            return None
        out = node.outs[0].buffer
        if out.nbytes < LARGE or out in self.fixed or out in self.writes or out in self.pinned:
            return None
        at = i
        for use in self.uses.get(out, ()):
            if use - at > GAP and all(self._is_there(r.buffer, i, use) for r in node.reads()):
                return use
            at = use
        return None

    def _is_there(self, buffer: Buffer, since: int, at: int) -> bool:
        """Whether a buffer holds at call `at` what it held at call `since`, and would without us."""
        if any(since < w <= at for w in self.writes.get(buffer, ())):
            return False
        last = max(self.uses.get(buffer, [0])[-1], self.pinned.get(buffer, 0))
        return buffer in self.fixed or last >= at
