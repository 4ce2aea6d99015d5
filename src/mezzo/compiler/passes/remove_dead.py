"""remove_dead: calls whose results nobody reads go."""

from __future__ import annotations

from mezzo.compiler.graph import Graph


def remove_dead(graph: Graph) -> Graph:
    """The graph without calls that neither fill what is read or kept, nor write outside memory."""
    live = {*graph.kept, *graph.outside}
    found = []
    for node in reversed(graph.nodes):
        if any(r.buffer in live for r in (*node.outs, *node.writes)):
            found.append(node)
            live.update(r.buffer for r in node.reads())
    return graph.with_nodes(reversed(found))
