"""fuse_epilogues: what only becomes of a product's elements is done while they are stored.

A chain of elementwise calls on one operand (an activation, a cast, a factor) whose operand is a product that
nobody else reads: the product then stores the chain's result. Rounding in between stays as it was. Each chain makes a
product module of its own, which takes a third of a second to compile: small results are left to a loop.
"""

from __future__ import annotations

from collections import Counter

from mezzo.compiler.fused import FusedProduct
from mezzo.compiler.graph import Buffer, Graph, Node
from mezzo.compiler.passes.fuse import parts_of
from mezzo.core.families.contraction import Contraction
from mezzo.kernels import ir
from mezzo.kernels.ir import Expr

LARGE = 4096  # elements: below this a loop costs nothing


def fuse_epilogues(graph: Graph) -> Graph:
    """The graph with such chains inside their products."""
    readers: Counter = Counter(r.buffer for n in graph.nodes for r in n.reads())
    readers.update(graph.kept)
    written = {r.buffer for n in graph.nodes for r in n.writes}
    makers: dict[Buffer, int] = {}
    nodes: list[Node | None] = []
    for node in graph.nodes:
        found = _source(node, makers, readers, written)
        made = None if found is None else _with_epilogue(nodes[found], node)
        for region in node.outs:
            makers[region.buffer] = len(nodes)
        if made is None:
            nodes.append(node)
            continue
        # Where the product stood: its operands may be written before the chain's place.
        nodes[found] = made
        makers[node.outs[0].buffer] = found
    return graph.with_nodes(n for n in nodes if n is not None)


def _source(node: Node, makers: dict, readers: Counter, written: set) -> int | None:
    """Where the product stands that the node alone reads."""
    if node.form not in ("call", "fused") or node.unless or len(node.outs) != 1 or node.writes:
        return None
    reads = list(node.reads())
    if len(reads) != 1 or readers[reads[0].buffer] != 1 or reads[0].buffer in written:
        return None
    out = node.outs[0]
    if out.layout.numel < LARGE:
        return None
    flat = reads[0].layout.is_contiguous and out.layout.is_contiguous
    if not (flat and reads[0].covers() and out.covers() and out.buffer not in written):
        return None
    return makers.get(reads[0].buffer)


def _with_epilogue(product: Node, chain: Node) -> Node | None:
    record = product.record
    if product.form != "call" or product.unless or not isinstance(record, Contraction):
        return None
    parts = parts_of(chain)
    inner, outer = product.outs[0].layout, chain.outs[0].layout
    if parts is None or inner.numel != outer.numel or not _fits(inner.dtype.ir, outer.dtype.ir):
        return None
    _, (value,), numbers, types, name = parts
    if not all(isinstance(n, (int, float)) for n in numbers):
        return None
    start = ir.round_to(ir.load(0, ir.COMPUTE[inner.dtype.ir]), inner.dtype.ir)

    def leaf(e: Expr) -> Expr | None:
        if e.op == "load":
            return start
        return ir.const(numbers[e.attr], types[e.attr]) if e.op == "scalar" else None

    (epilogue,) = ir.substitute((value,), leaf)
    fused = FusedProduct(record, product.args, inner, outer.dtype, epilogue, name)
    return Node(
        "fused", fused, (product.args[:3], (), product.args[5:7]), chain.outs, (), product.place
    )


def _fits(inner: str, outer: str) -> bool:
    """Whether the product sums in the type that the chain computes and ends in."""
    floats = ("f16", "bf16", "f32")
    return (inner in floats and outer in floats) or (inner == outer == "f64")
