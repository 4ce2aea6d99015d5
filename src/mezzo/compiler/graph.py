"""The graph IR: calls of records on regions of buffers, in the order in which they must seem to happen.

A Buffer is a piece of memory: made by a call of the graph, or outside (arguments, parameters, optimizer
state). A Region is a layout at an offset in a buffer, so a view is not a call and costs nothing.
A Node is one call: it makes buffers (outs) or writes into regions that exist (writes). It prints as
the line of Python that it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mezzo.core.layout import Layout
from mezzo.core.record import Record


class Buffer:
    """A piece of memory. storage: the memory itself where it lies outside the graph, else None."""

    __slots__ = ("name", "nbytes", "storage")

    def __init__(self, name: str, nbytes: int, storage=None):
        self.name, self.nbytes, self.storage = name, nbytes, storage

    def __repr__(self) -> str:
        return self.name


class Region:
    """A tensor's place: layout, and bytes from the start of the buffer. Equal places are equal regions."""

    __slots__ = ("buffer", "layout", "offset")

    def __init__(self, buffer: Buffer, offset: int, layout: Layout):
        self.buffer, self.offset, self.layout = buffer, offset, layout

    def __eq__(self, other) -> bool:
        return (
            isinstance(other, Region)
            and self.buffer is other.buffer
            and self.offset == other.offset
            and self.layout is other.layout
        )

    def __hash__(self) -> int:
        return hash((id(self.buffer), self.offset, id(self.layout)))

    def __repr__(self) -> str:
        plain = self.offset == 0 and self.layout.is_contiguous
        whole = plain and self.layout.nbytes == self.buffer.nbytes
        if whole:
            return self.buffer.name
        start = f" + {self.offset}" if self.offset else ""
        steps = "" if self.layout.is_contiguous else f", strides {list(self.layout.strides)}"
        return f"{self.buffer.name}[{list(self.layout.shape)}{steps}{start}]"

    def covers(self) -> bool:
        """Whether every byte of the buffer belongs to the region."""
        return self.layout.is_dense and self.layout.nbytes == self.buffer.nbytes


class Node:
    """One call.

    form: "call" makes outs; "update" writes into its first argument; "multi" updates lists of tensors.
    args: regions in the place of tensors, nested as the record takes them. writes: regions written in
    place. place: (file, line) of the user's program. unless: an i64 cell; where it is not zero the call is
    passed over.
    """

    __slots__ = ("args", "form", "outs", "place", "record", "unless", "writes")

    def __init__(self, form: str, record: Record, args: tuple, outs: tuple, writes: tuple, place):
        self.form, self.record, self.args = form, record, args
        self.outs, self.writes, self.place = outs, writes, place
        self.unless: Region | None = None

    def reads(self) -> Iterator[Region]:
        """The regions among the arguments, and the cell that decides about the call."""
        if self.unless is not None:
            yield self.unless
        yield from regions(self.args)

    def replaced(self, change: Callable[[Region], Region]) -> Node:
        """The same call on other regions."""
        made = Node(self.form, self.record, mapped(change, self.args), mapped(change, self.outs),
                    mapped(change, self.writes), self.place)  # fmt: skip
        made.unless = self.unless and change(self.unless)
        return made

    def __repr__(self) -> str:
        return self._text() + (f"  # unless {self.unless!r}" if self.unless else "")

    def _text(self) -> str:
        shown = ", ".join(map(_shown, self.args))
        if self.form in ("call", "empty", "fused"):
            left = ", ".join(map(repr, self.outs))
            made = ", ".join(f"{o.layout.dtype.name}{list(o.layout.shape)}" for o in self.outs)
            return f"{left} = {self.record.name}({shown})  # {made}"
        if self.form == "update":
            return f"{self.args[0]!r} <- {self.record.name}({shown})"
        return f"{self.record.name}({shown})"


def _shown(value) -> str:
    if isinstance(value, (tuple, list)) and len(value) > 4:
        return f"[{_shown(value[0])}, ... {len(value)} in all]"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_shown, value))})"
    return repr(value)


def regions(value) -> Iterator[Region]:
    """The regions in nested tuples and lists."""
    if isinstance(value, Region):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from regions(item)


def mapped(change: Callable, value):
    """Nested tuples and lists with each region changed."""
    if isinstance(value, Region):
        return change(value)
    if isinstance(value, (tuple, list)):
        return tuple([mapped(change, v) for v in value])
    return value


class Graph:
    """Nodes, the outside buffers in the order in which a run is given them, and the made ones that it keeps.

    together: those of the kept that may share one block of memory, which lives as long as any of them.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        outside: Iterable[Buffer],
        kept: Iterable[Buffer],
        together: Iterable[Buffer] = (),
    ):
        self.nodes, self.outside, self.kept = list(nodes), list(outside), list(kept)
        self.together = list(together)

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        """The same graph with other calls."""
        return Graph(nodes, self.outside, self.kept, self.together)

    def __repr__(self) -> str:
        head = f"def program({', '.join(b.name for b in self.outside)}):"
        kept = ", ".join(b.name for b in self.kept)
        return "\n".join([head, *(f"    {n!r}" for n in self.nodes), f"    return {kept}"])

    def verify(self) -> None:
        """Raise if a node reads a buffer that nothing before it made: a pass went wrong."""
        known = set(self.outside)
        for node in self.nodes:
            for region in node.reads():
                if region.buffer not in known:
                    raise AssertionError(f"{node!r} reads {region.buffer} before it is made")
                reach = region.offset + region.layout.extent()[1]
                if reach > region.buffer.nbytes:
                    raise AssertionError(f"{node!r} reads past the end of {region.buffer}")
            for region in node.writes:
                if region.buffer not in known:
                    raise AssertionError(f"{node!r} writes {region.buffer} before it is made")
            known.update(o.buffer for o in node.outs)
        for buffer in self.kept:
            if buffer not in known:
                raise AssertionError(f"{buffer} is returned and never made")
