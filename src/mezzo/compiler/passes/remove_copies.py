"""remove_copies: a copy of a whole buffer that changes nothing makes the copied value in its place."""

from __future__ import annotations

from mezzo.compiler.graph import Buffer, Graph, Node, Region


def remove_copies(graph: Graph) -> Graph:
    """The graph without plain copies of what is not needed under its first name."""
    uses: dict[Buffer, list[int]] = {}
    writes: dict[Buffer, list[int]] = {}
    made: set[Buffer] = set()
    for i, node in enumerate(graph.nodes):
        for region in node.reads():
            uses.setdefault(region.buffer, []).append(i)
        for region in node.writes:
            writes.setdefault(region.buffer, []).append(i)
        made.update(r.buffer for r in node.outs)
    fixed = {*graph.kept, *graph.outside}
    to: dict[Buffer, Buffer] = {}
    gone = set()
    for i, node in enumerate(graph.nodes):
        if not _is_copy(node):
            continue
        source, out = node.args[0].buffer, node.outs[0].buffer
        free = (
            source in made and source not in fixed and source not in to and out not in to.values()
        )
        later = any(w >= i for w in writes.get(source, ()))
        shared = out in writes and any(u > i for u in uses[source])
        if free and not later and not shared:
            to[source] = out
            gone.add(i)
    if not gone:
        return graph

    def renamed(region: Region) -> Region:
        buffer = to.get(region.buffer)
        return region if buffer is None else Region(buffer, region.offset, region.layout)

    return graph.with_nodes(n.replaced(renamed) for i, n in enumerate(graph.nodes) if i not in gone)


def _is_copy(node: Node) -> bool:
    if node.form != "call" or node.unless or node.record.name != "cast":
        return False
    source, out = node.args[0], node.outs[0]
    same = source.layout.is_contiguous and out.layout.is_contiguous
    return (
        (same or source.layout is out.layout)
        and source.layout.dtype is out.layout.dtype
        and source.covers()
        and out.covers()
    )
