"""remove_casts: a cast that changes nothing, or undoes a widening, gives its source.

Widening and coming back is exact; narrowing is not, and stays.
"""

from __future__ import annotations

from mezzo.compiler.graph import Buffer, Graph, Node, Region

_WIDENS = {("bfloat16", "float32"), ("float16", "float32"), ("float32", "float64"), ("bfloat16", "float64"),
           ("float16", "float64")}  # fmt: skip


def remove_casts(graph: Graph) -> Graph:
    """The graph without casts that lead back to where a value came from."""
    written = {r.buffer for n in graph.nodes for r in n.writes}
    kept = set(graph.kept)
    source: dict[Buffer, Region] = {}  # what a widened buffer was made of
    same: dict[Buffer, Region] = {}
    found = []

    def renamed(region: Region) -> Region:
        to = same.get(region.buffer)
        if to is None:
            return region
        return Region(to.buffer, to.offset + region.offset, region.layout)

    for old in graph.nodes:
        node = old.replaced(renamed) if same else old
        if _is_cast(node) and node.outs[0].buffer not in written:
            out, into = node.outs[0], node.args[0]
            origin = source.get(into.buffer, None) if into.covers() else None
            if (
                origin is not None
                and out.buffer not in kept
                and _undoes(origin, out, into, written)
            ):
                same[out.buffer] = origin
                continue
            names = (into.layout.dtype.name, out.layout.dtype.name)
            if (
                names in _WIDENS
                and into.buffer not in written
                and into.layout.strides == out.layout.strides
            ):
                source[out.buffer] = into
        found.append(node)
    return graph.with_nodes(found)


def _is_cast(node: Node) -> bool:
    return node.form == "call" and not node.unless and node.record.name == "cast"


def _undoes(origin: Region, out: Region, into: Region, written: set[Buffer]) -> bool:
    return (
        origin.layout is out.layout
        and into.layout.strides == out.layout.strides
        and origin.buffer not in written
        and into.buffer not in written
    )
