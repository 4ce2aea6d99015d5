"""choose_layout: images that convolutions hand on keep their channels innermost, whole chains of them.

A convolution's images are copied into that layout where a chain begins, and what follows from them takes the
layout that its record gives for such operands; where memory that others see wants the rows innermost, they are
copied back. Sums over channels and pixels then run in another order, so results may differ in their last bits
from eager code's: only mode="max-autotune" tries this pass, and keeps it where it measured faster.
"""

from __future__ import annotations

from mezzo import devices
from mezzo.compiler.graph import Buffer, Graph, Node, Region, mapped
from mezzo.core.families.convolution import Convolution
from mezzo.core.families.elementwise import Elementwise
from mezzo.core.layout import layout
from mezzo.core.state import quiet
from mezzo.core.tensor import Tensor, empty
from mezzo.ops.copy import cast, channels_last, contiguous_format
from mezzo.rules import shapes

# Which operands of the three products are images.
_IMAGES = {"convolve": (0,), "convolve_input_grad": (0,), "convolve_weight_grad": (0, 1)}


def choose_layout(graph: Graph) -> Graph:
    """The graph with chains of images stored channels innermost."""
    if not any(_images(node) for node in graph.nodes):
        return graph
    return graph.with_nodes(_Layouts(graph).run())


def _images(node: Node) -> tuple[int, ...]:
    is_product = isinstance(node.record, Convolution) and node.form == "call" and not node.unless
    return _IMAGES[node.record.name] if is_product else ()


def _is_image(region: Region) -> bool:
    have = region.layout
    return have.ndim == 4 and have.is_contiguous and have.shape[1] > 1 and max(have.shape[2:]) > 1


def free_images(graph: Graph) -> set[Buffer]:
    """Buffers whose layout is nobody's business: made whole by one call, and only ever read whole."""
    makers = {
        r.buffer: r for n in graph.nodes if n.form == "call" and not n.unless for r in n.outs
        if _is_image(r) and r.covers()
    }  # fmt: skip
    taken = set(graph.kept)
    for node in graph.nodes:
        taken.update(r.buffer for r in node.writes)
        plain = node.form == "call" or isinstance(node.record, Elementwise)
        taken.update(r.buffer for r in node.reads() if not plain or makers.get(r.buffer) != r)
    return makers.keys() - taken


class _Layouts:
    """One walk over a graph. now: regions of buffers whose layout was changed; copies: {region: its copy}."""

    def __init__(self, graph: Graph):
        self.graph, self.free = graph, free_images(graph)
        self.written = {r.buffer for n in graph.nodes for r in n.writes}
        self.now: dict[Buffer, Region] = {}
        self.copies: dict[tuple[Region, bool], Region] = {}
        self.nodes: list[Node] = []

    def run(self) -> list[Node]:
        """The new nodes."""
        for node in self.graph.nodes:
            made = self._changed(node)
            self.nodes.append(made or self._as_it_was(node))
        return self.nodes

    def _at(self, region: Region) -> Region:
        return self.now.get(region.buffer, region)

    def _changed(self, node: Node) -> Node | None:
        """The call on images in their new layouts, or None where it has to stay."""
        images = _images(node)
        if not images and not any(r.buffer in self.now for r in node.reads()):
            return None
        if node.form != "call":
            return Node(node.form, node.record, mapped(self._at, node.args), node.outs,
                        mapped(self._at, node.writes), node.place) if not node.unless else None  # fmt: skip
        if node.unless or node.record.family == "random":
            return None
        args = mapped(self._at, node.args)
        turned = [i for i in images if self._may_turn(args[i])]
        trial = tuple([_turned(a) if i in turned else a for i, a in enumerate(args)])
        outs = _results(node, trial)
        if not all(
            new.layout is old.layout or (old.buffer in self.free and new.covers())
            for new, old in zip(outs, node.outs)
        ):
            return None
        self.now.update((new.buffer, new) for new, old in zip(outs, node.outs) if new != old)
        args = tuple([self._copy(a, True) if i in turned else a for i, a in enumerate(args)])
        return Node("call", node.record, args, outs, (), node.place)

    def _may_turn(self, region: Region) -> bool:
        return _is_image(region) and region.buffer not in self.written

    def _as_it_was(self, node: Node) -> Node:
        if not any(r.buffer in self.now for r in node.reads()):
            return node

        def back(region: Region) -> Region:
            to = self.now.get(region.buffer)
            return region if to is None else self._copy(to, False)

        made = Node(node.form, node.record, mapped(back, node.args), node.outs, node.writes, node.place)  # fmt: skip
        made.unless = node.unless
        return made

    def _copy(self, region: Region, last: bool) -> Region:
        """A copy with channels innermost, or with rows innermost; one serves all its readers."""
        found = self.copies.get((region, last))
        if found is None:
            have, kind = region.layout, channels_last if last else contiguous_format
            name = f"{region.buffer.name}_{'last' if last else 'rows'}"
            of = shapes.channels_last_strides if last else shapes.contiguous_strides
            to = layout(have.shape, of(have.shape), have.dtype, have.device)
            found = Region(Buffer(name, to.nbytes), 0, to)
            self.nodes.append(Node("call", cast, (region, None, kind), (found,), (), None))
            self.copies[region, last] = found
        return found


def _turned(region: Region) -> Region:
    have = region.layout
    strides = shapes.channels_last_strides(have.shape)
    return Region(region.buffer, 0, layout(have.shape, strides, have.dtype, have.device))


def _results(node: Node, args: tuple) -> tuple[Region, ...]:
    """Where the results would lie, by the record's own rules."""

    def meta(region: Region) -> Tensor:
        have = region.layout
        return empty(layout(have.shape, have.strides, have.dtype, devices.meta))

    with quiet():
        made = node.record.run(mapped(meta, args))
    many = made if isinstance(made, tuple) else (made,)
    found = []
    for have, old in zip([t.layout for t in many], node.outs):
        to = layout(have.shape, have.strides, have.dtype, old.layout.device)
        found.append(Region(old.buffer, old.offset, to))
    return tuple(found)
