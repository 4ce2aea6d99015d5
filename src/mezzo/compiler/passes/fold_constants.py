"""fold_constants: elementwise calls on values that are known become constants themselves."""

from __future__ import annotations

from mezzo import devices
from mezzo.compiler.graph import Buffer, Graph, Node, Region, mapped
from mezzo.core.families.elementwise import Elementwise
from mezzo.core.state import quiet
from mezzo.ops.create import fill_new, full


def constants(graph: Graph) -> dict[Buffer, object]:
    """Buffers that hold one value everywhere, and it."""
    written = {r.buffer for n in graph.nodes for r in n.writes}
    found = {}
    for node in graph.nodes:
        if node.form == "call" and node.record is fill_new and not node.unless:
            out = node.outs[0]
            if out.buffer not in written and not out.layout.dtype.is_complex:
                found[out.buffer] = node.args[3]
    return found


def fold_constants(graph: Graph) -> Graph:
    """The graph with such calls replaced by their results."""
    known = constants(graph)
    written = {r.buffer for n in graph.nodes for r in n.writes}
    nodes = []
    for node in graph.nodes:
        if known and _is_foldable(node, known, written):
            node = _folded(node, known)
            known[node.outs[0].buffer] = node.args[3]
        nodes.append(node)
    return graph.with_nodes(nodes)


def _is_foldable(node: Node, known: dict, written: set) -> bool:
    if node.form != "call" or node.unless or not isinstance(node.record, Elementwise):
        return False
    reads, out = list(node.reads()), node.outs[0]
    return (
        bool(reads)
        and all(r.buffer in known for r in reads)
        and out.buffer not in written
        and out.layout.is_contiguous
        and not out.layout.dtype.is_complex
    )


def _folded(node: Node, known: dict) -> Node:
    out = node.outs[0]

    def one(region: Region):
        # As many axes as before: a number from a tensor without axes promotes otherwise.
        return full((1,) * region.layout.ndim, known[region.buffer], dtype=region.layout.dtype)

    with quiet():
        value = node.record.run(mapped(one, node.args))._array().reshape(-1)[0]
        value = value.item() if out.layout.dtype.name != "bfloat16" else float(value)
    args = (tuple(out.layout.shape), out.layout.dtype, devices.cpu, value)
    return Node("call", fill_new, args, node.outs, (), node.place)
