"""merge_common: a call made twice on the same values is made once."""

from __future__ import annotations

from collections import Counter

from mezzo.compiler.graph import Buffer, Graph, Node, Region, mapped

IMPURE = ("random", "compiled")


def merge_common(graph: Graph) -> Graph:
    """The graph with equal calls merged. Buffers written in place keep calls of their own."""
    written = {r.buffer for n in graph.nodes for r in n.writes}
    versions: Counter = Counter()
    same: dict[Buffer, Buffer] = {}
    known: dict[tuple, Node] = {}
    found = []

    def renamed(region: Region) -> Region:
        to = same.get(region.buffer)
        return region if to is None else Region(to, region.offset, region.layout)

    for old in graph.nodes:
        node = old.replaced(renamed) if same else old
        for region in node.writes:
            versions[region.buffer] += 1
        key = _key(node, versions)
        twin = known.get(key) if key is not None else None
        mine = [r.buffer for r in node.outs]
        if (
            twin is not None
            and not any(b in written or b in graph.kept for b in mine)
            and not any(r.buffer in written for r in twin.outs)
        ):
            same.update((b, r.buffer) for b, r in zip(mine, twin.outs))
            continue
        if key is not None:
            known[key] = node
        found.append(node)
    return graph.with_nodes(found)


def _key(node: Node, versions: Counter) -> tuple | None:
    """What determines a call's results, or None where it may not be merged."""
    if node.form != "call" or node.unless or node.record.family in IMPURE:
        return None
    args = mapped(lambda r: ("at", id(r.buffer), r.offset, r.layout, versions[r.buffer]), node.args)
    key = (node.record.name, _typed(args), tuple(r.layout for r in node.outs))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _typed(value):
    """Numbers beside their types: 1 is not 1.0, and 0.0 is not -0.0."""
    if isinstance(value, tuple):
        return tuple([_typed(v) for v in value])
    return (value.__class__, repr(value) if isinstance(value, float) else value)
