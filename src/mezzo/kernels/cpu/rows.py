"""Row kernels: expressions over the elements of a row that may use reductions of that row.

A kernel is a set of expressions (`Rows`) over operands. Every reduction of the row (`row_sum`,
`row_max`, `row_min`) becomes a part of one pass over the row, in the order in which they depend on
each other; a last pass writes the elements. Two ways of walking exist, as for reductions:

    inner   the row's own axis is innermost in memory: lanes run along the row
    outer   a kept axis is innermost: lanes run across neighbouring rows

What the lanes do not fill is done with masks, so an element has the same bits wherever it falls.
Sums are taken in an order that depends on the shape alone, not on the threads.

    args  = [block, flag (only with checks), outs..., ins..., scalars...]
    block = i64 [units, serial, count, per, dk, dr, rn, ro, lanes, chunk, kept sizes[dk],
                 outer row sizes[dr], then for each operand: lane stride, kept strides[dk],
                 inner row stride, outer row strides[dr]]   (strides in bytes)

A unit is `per` rows (inner) or groups of `chunk` lanes (outer); a column output has one partial
result for each unit, its kept strides being ignored and its lane stride leading from unit to unit.

The access letters of operands: "c" advances by one along the lanes, "s" is the same for all lanes,
"k" one value for the whole row, "v" one value per row with the rows along the lanes (outer only).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.rows_turned import TurnedWriter
from mezzo.kernels.cpu.rows_walks import InnerWriter, OuterWriter
from mezzo.kernels.ir import COMPUTE, MATH, ROW_OPS, Expr, row_sum, walk


@dataclass(frozen=True)
class Rows:
    """What a row kernel computes.

    each: one expression per output with an element for every element of the row; row: outputs with
    one element per row; column: outputs summed over the rows of a unit; part: outputs with the sum over
    each stretch of the row's innermost axis, of what depends on no reduction of it (inner only). checks: (condition, i64
    value) of the row: where a condition holds, the value is reported and the caller raises.
    """

    each: tuple[Expr, ...] = ()
    row: tuple[Expr, ...] = ()
    column: tuple[Expr, ...] = ()
    part: tuple[Expr, ...] = ()
    checks: tuple[tuple[Expr, Expr], ...] = ()

    @property
    def outs(self) -> tuple[Expr, ...]:
        """All outputs, in the order of their operands."""
        return (*self.each, *self.row, *self.column, *self.part)

    @property
    def roots(self) -> tuple[Expr, ...]:
        """Everything that is computed."""
        return (*self.outs, *[e for check in self.checks for e in check])


@dataclass
class Schedule:
    """passes: the reductions of each pass, in order. uniform: ids of nodes that are one per row.

    parts: sums over a part of the row, which the first pass takes. stash: a node worth keeping between the last reduction and the final pass.
    """

    passes: list[list[Expr]]
    uniform: set[int]
    stash: Expr | None = None
    nodes: list[Expr] = field(default_factory=list)
    parts: list[Expr] = field(default_factory=list)


def schedule(rows: Rows, row_operands: frozenset[int], outs: Sequence[str]) -> Schedule:
    """Order the reductions and find what is computed once per row."""
    nodes = walk(rows.roots)
    level: dict[int, int] = {}
    uniform: set[int] = set()
    for node in nodes:
        above = max((level[id(a)] for a in node.args), default=0)
        level[id(node)] = above + 1 if node.op in ROW_OPS else above
        if node.op == "load":
            once = node.attr in row_operands
        else:
            once = node.op in ROW_OPS or (
                node.op != "index" and all(id(a) in uniform for a in node.args)
            )
        if once:
            uniform.add(id(node))
    deepest = max(level.values(), default=0)
    passes = [
        [n for n in nodes if n.op in ROW_OPS and level[id(n)] == wanted]
        for wanted in range(1, deepest + 1)
    ]
    found = Schedule(passes, uniform, None, nodes, [row_sum(e) for e in rows.part])
    found.stash = _stash(rows, found, outs)
    return found


def _stash(rows: Rows, plan: Schedule, outs: Sequence[str]) -> Expr | None:
    """A costly function that the last reduction and the final pass both need."""
    if not plan.passes or not rows.each:
        return None
    reduced = {id(n) for r in plan.passes[-1] for n in walk(r.args)}
    final = walk(rows.each)
    for node in final:
        costly = node.op in MATH and node.type == COMPUTE[outs[0]]
        if costly and id(node) in reduced and id(node) not in plan.uniform:
            return node
    return None


_WRITERS = {"inner": InnerWriter, "outer": OuterWriter, "turned": TurnedWriter}


class RowKernel:
    """Expressions over rows with the storage types of operands; compiles "inner" and "outer"."""

    def __init__(
        self,
        rows: Rows,
        ins: Sequence[str],
        outs: Sequence[str],
        scalars: Sequence[str] = (),
        row_operands: frozenset[int] = frozenset(),
    ):
        self.rows, self.ins, self.outs = rows, tuple(ins), tuple(outs)
        self.scalars, self.row_operands = tuple(scalars), row_operands
        self.schedule = schedule(rows, row_operands, self.outs)
        self.uses_index = any(n.op == "index" for n in self.schedule.nodes)
        stash = self.schedule.stash
        self.keeps_wider = stash is not None and stash.type != self.outs[0]
        self._addresses: dict[tuple, int] = {}

    @functools.cached_property
    def may_stream(self) -> bool:
        """True where elements may go past the caches.

        Such stores go at one pace, beside which reading has time to spare, and functions in the last pass; those of
        reductions would only wait.
        """
        reduced = walk([n.args[0] for n in self.schedule.nodes if n.op in ROW_OPS])
        return not any(n.op in MATH for n in reduced)

    def address(
        self,
        mode: str,
        pattern: str,
        streams: bool = False,
        is_long: bool = False,
        is_far: bool = False,
    ) -> int:
        """The entry for a mode and one access letter for each output and input.

        streams: elements are stored past the caches, which wants rows that begin at cache lines. is_long:
        rows may have more elements than a thread keeps aside. is_far: operands come from memory, from end to end.
        """
        key = mode, pattern, streams, is_long and self.keeps_wider, is_far
        found = self._addresses.get(key)
        if found is None:
            text = _WRITERS[mode](self, *key[1:]).text()
            found = self._addresses[key] = jit.load(text).address("kernel")
        return found
