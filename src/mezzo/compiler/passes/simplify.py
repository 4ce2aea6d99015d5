"""simplify: arithmetic that changes no bit becomes a copy, which later passes take out.

Only what is exact for every value: x * 1, x / 1, x ** 1, x - 0 (but not x + 0, which turns -0 into 0).
"""

from __future__ import annotations

import math

from mezzo.compiler.graph import Buffer, Graph, Node, Region
from mezzo.compiler.passes.fold_constants import constants
from mezzo.core.record import REGISTRY
from mezzo.ops.copy import cast


def _is_plus_zero(value) -> bool:
    return value == 0 and math.copysign(1.0, value) > 0


# {record: (test of the second operand, whether the operands may change places)}
_NEUTRAL = {
    "mul": (lambda v: v == 1, True),
    "div": (lambda v: v == 1, False),
    "pow": (lambda v: v == 1, False),
    "sub": (_is_plus_zero, False),
}


def simplify(graph: Graph) -> Graph:
    """The graph with such calls as copies."""
    known = constants(graph)
    return graph.with_nodes(_simple(n, known) for n in graph.nodes)


def _simple(node: Node, known: dict[Buffer, object]) -> Node:
    rule = _NEUTRAL.get(node.record.name)
    if (
        rule is None
        or node.form != "call"
        or node.unless
        or REGISTRY[node.record.name] is not node.record
    ):
        return node
    if any(
        a is not None and a != node.record.defaults.get(n)
        for n, a in zip(node.record.names[2:], node.args[2:])
    ):
        return node
    neutral, symmetric = rule
    first, second = node.args[:2]
    for x, other in ((first, second), (second, first))[: 1 + symmetric]:
        value = known.get(other.buffer) if isinstance(other, Region) else other
        if isinstance(x, Region) and isinstance(value, (int, float)) and neutral(value):
            out = node.outs[0]
            if x.layout is out.layout:
                return Node("call", cast, (x, None, None), node.outs, (), node.place)
    return node
