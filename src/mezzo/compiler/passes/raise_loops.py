"""raise_loops: an elementwise call moves up beside an earlier one that reads the same operand, so that fuse joins them.

A loop repeated for the backward pass (recompute) stands before the product that wants it, and the derivative of the
same loop behind that product. Side by side they are one loop: operands are loaded once, and what both compute (an
exponential, an error function) is computed once. A call rises only past calls that it does not depend on.
"""

from __future__ import annotations

from mezzo.compiler.graph import Buffer, Graph, Node
from mezzo.core.families.elementwise import Elementwise

REACH = 8  # calls that one may rise past
LARGE = 4096  # elements: below this a loop costs nothing


def raise_loops(graph: Graph) -> Graph:
    """The graph with such calls moved."""
    nodes: list[Node] = []
    for node in graph.nodes:
        at = _partner(node, nodes) if _is_loop(node) else None
        nodes.insert(len(nodes) if at is None else at + 1, node)
    return graph.with_nodes(nodes)


def _is_loop(node: Node) -> bool:
    return (
        node.form == "call"
        and not node.unless
        and isinstance(node.record, Elementwise)
        and node.outs[0].layout.numel >= LARGE
    )


def _partner(node: Node, before: list[Node]) -> int | None:
    """Where the call stands that this one should follow, if it may rise to there, and does not stand there."""
    reads: set[Buffer] = {r.buffer for r in node.reads()}
    whole = {r for r in node.reads() if r.layout.numel == node.outs[0].layout.numel}
    for at in range(len(before) - 1, max(len(before) - 1 - REACH, -1), -1):
        other = before[at]
        if _is_loop(other) and tuple(other.outs[0].layout.shape) == tuple(
            node.outs[0].layout.shape
        ):
            if whole & set(other.reads()):
                return at
        if any(r.buffer in reads for r in (*other.outs, *other.writes)):
            return None
    return None
