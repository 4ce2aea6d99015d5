"""fuse_reductions: a loop whose one result only a reduction reads becomes part of the reduction.

Only where the reduction walks as it would have walked the stored result: the order of the sum, and so its
bits, are those of eager code. Long reductions to few results, which threads share, stay as they are.
"""

from __future__ import annotations

from collections import Counter

from mezzo.compiler.fused import FusedReduction
from mezzo.compiler.graph import Buffer, Graph, Node, Region
from mezzo.compiler.passes.fuse import bare, parts_of
from mezzo.core.families.reductions import Folding, Reduction


def fuse_reductions(graph: Graph) -> Graph:
    """The graph with such loops inside their reductions."""
    readers: Counter = Counter(r.buffer for n in graph.nodes for r in n.reads())
    readers.update(graph.kept)
    makers: dict[Buffer, int] = {}
    written: dict[Buffer, int] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        made = _fused(node, nodes, makers, written, readers)
        for region in node.writes:
            written[region.buffer] = len(nodes)
        for region in node.outs:
            makers[region.buffer] = len(nodes)
        nodes.append(made or node)
    return graph.with_nodes(nodes)


def _fused(
    node: Node, before: list[Node], makers: dict, written: dict, readers: Counter
) -> Node | None:
    record = node.record
    if node.form != "call" or node.unless or not isinstance(record, Reduction):
        return None
    sources = list(node.reads())
    if len(sources) != 1 or readers[sources[0].buffer] != 1:
        return None
    region = sources[0]
    at = makers.get(region.buffer)
    if at is None or region.buffer in written:
        return None
    maker = before[at]
    if maker.outs != (region,) or maker.writes or maker.unless:
        return None
    found = record.folding(tuple([bare(a) if isinstance(a, Region) else a for a in node.args]))
    parts = parts_of(maker)
    if parts is None or not _walks_alike(region, parts[0], record, found):
        return None
    ins, exprs, numbers, types, name = parts
    if any(written.get(r.buffer, -1) > at for r in ins):
        return None
    fused = FusedReduction(record, found, exprs[0], [r.layout for r in ins], types, name)
    return Node("fused", fused, (tuple(ins), (), tuple(numbers)), node.outs, (), node.place)  # type: ignore[arg-type]


def _walks_alike(region: Region, ins: list[Region], record: Reduction, found: Folding) -> bool:
    fold = record.fold(found.compute, *found.values)
    if not ins or found.division(bool(fold.indices)) is not None:
        return False
    have = region.layout
    return (
        tuple(have.shape) == tuple(found.shape)
        and all(
            r.layout.numel == 1
            or (tuple(r.layout.shape) == tuple(have.shape) and r.layout.strides == have.strides)
            for r in ins
        )
        and any(r.layout.numel == have.numel for r in ins)
    )
