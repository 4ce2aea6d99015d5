"""place_parts: parts that are stacked, and then only copied in another order of axes, go straight to their places.

The gradients of queries, keys and values meet like this: stacked by the derivative of unbind, turned by that of
permute, copied by that of reshape. Here the first copy is the last.
"""

from __future__ import annotations

from collections import Counter

from mezzo import dtypes
from mezzo.compiler.graph import Buffer, Graph, Node, Region
from mezzo.core.layout import Layout, dense, layout
from mezzo.ops.copy import cast, copy
from mezzo.ops.create import empty
from mezzo.ops.join import stack


def place_parts(graph: Graph) -> Graph:
    """The graph with such stacks and copies as writes of the parts."""
    readers: Counter = Counter(r.buffer for n in graph.nodes for r in n.reads())
    readers.update(graph.kept)
    written = {r.buffer for n in graph.nodes for r in n.writes}
    makers = {
        n.outs[0].buffer: n for n in graph.nodes if n.record is stack and n.form == "call" and not n.unless
        and readers[n.outs[0].buffer] == 1 and n.outs[0].buffer not in written
    }  # fmt: skip
    straight: dict[int, list[Node]] = {}  # what stands in the place of a stack
    gone: set[int] = set()
    for node in graph.nodes:
        if node.record is not cast or node.form != "call" or node.unless:
            continue
        source, out = node.args[0], node.outs[0]
        maker = makers.get(source.buffer)
        if maker is None or out.buffer in written or not _is_turn(maker, source, out):
            continue
        straight[id(maker)] = _writes(maker, source, out)
        gone.add(id(node))
    if not gone:
        return graph
    nodes = [
        made
        for node in graph.nodes
        if id(node) not in gone
        for made in straight.get(id(node), (node,))
    ]
    return graph.with_nodes(nodes)


def _is_turn(maker: Node, source: Region, out: Region) -> bool:
    """Whether the copy has the axes of the stack in another order, and nothing else happens to the parts' elements."""
    stacked, have = maker.outs[0].layout, source.layout
    return (
        _axes(stacked) == _axes(have)
        and out.covers()
        and not stacked.dtype.is_complex
        and all(x.dtype is stacked.dtype for x in (have, *(r.layout for r in maker.args[0])))
    )


def _axes(of: Layout) -> list[tuple[int, int]]:
    return sorted((step, size) for size, step in zip(of.shape, of.strides) if size > 1)


def _writes(maker: Node, source: Region, out: Region) -> list[Node]:
    """Memory for the copy, and the parts written into it."""
    parts, dim = maker.args[:2]
    stacked, to = maker.outs[0].layout, out.layout
    # An axis of the stack is that axis of the copy which steps through the stack as far; one of size 1 takes no steps.
    have = source.layout
    of = {s: step for n, s, step in zip(have.shape, have.strides, to.strides) if n > 1}
    strides = [of[s] if n > 1 else 0 for n, s in zip(stacked.shape, stacked.strides)]
    at = dim % stacked.ndim
    shape = (*stacked.shape[:at], *stacked.shape[at + 1 :])
    part = layout(shape, (*strides[:at], *strides[at + 1 :]), to.dtype, to.device)
    nodes = [_memory(out.buffer)]
    for i, region in enumerate(parts):
        where = Region(out.buffer, out.offset + i * strides[at] * to.dtype.itemsize, part)
        nodes.append(Node("update", copy, (where, region), (), (where,), maker.place))
    return nodes


def _memory(buffer: Buffer) -> Node:
    whole = Region(buffer, 0, dense((buffer.nbytes,), dtypes.uint8))
    return Node("empty", empty, (buffer.nbytes,), (whole,), (), None)
