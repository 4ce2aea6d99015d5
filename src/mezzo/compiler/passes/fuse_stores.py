"""fuse_stores: a row operation (a norm, a softmax) stores its result as what it is only cast to.

Only from the type that it computes in to a shorter one: the cast then rounds what the store would have kept whole.
"""

from __future__ import annotations

from collections import Counter

from mezzo.compiler.fused import FusedRows
from mezzo.compiler.graph import Buffer, Graph, Node, Region
from mezzo.core.families.rows import RowOperation
from mezzo.ops.copy import cast

_SHORTER = {("float32", "bfloat16"), ("float32", "float16")}


def fuse_stores(graph: Graph) -> Graph:
    """The graph with such casts inside their row operations."""
    readers: Counter = Counter(r.buffer for n in graph.nodes for r in n.reads())
    readers.update(graph.kept)
    written = {r.buffer for n in graph.nodes for r in n.writes}
    makers: dict[Buffer, int] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        source = _cast_of(node, readers, written)
        at = makers.get(source.buffer) if source is not None else None
        if source is None or at is None or nodes[at].outs[0] != source:
            if isinstance(node.record, RowOperation) and node.form == "call" and not node.unless:
                makers[node.outs[0].buffer] = len(nodes)
            nodes.append(node)
            continue
        # Where the row operation stood: its operands may be written before the cast's place.
        nodes[at] = _stored_as(nodes[at], node.outs[0])
    return graph.with_nodes(nodes)


def _cast_of(node: Node, readers: Counter, written: set[Buffer]) -> Region | None:
    """What the call casts to a shorter type, if nobody else reads that."""
    if node.form != "call" or node.record is not cast or node.unless:
        return None
    source, out = node.args[0], node.outs[0]
    fits = (source.layout.dtype.name, out.layout.dtype.name) in _SHORTER
    alike = source.layout.strides == out.layout.strides and source.covers() and out.covers()
    alone = readers[source.buffer] == 1 and not {source.buffer, out.buffer} & written
    return source if fits and alike and alone else None


def _stored_as(maker: Node, out: Region) -> Node:
    record = FusedRows(maker.record, out.layout.dtype)  # type: ignore[arg-type]
    return Node("fused", record, maker.args, (out, *maker.outs[1:]), (), maker.place)  # type: ignore[arg-type]
