"""The accumulators of one pass of a row kernel (see rows.py), over the stretches of a row and along each of them.

What is the same along a stretch is taken out of its sums: with a weight per channel, the sums over a group of g * w,
of g * w * x and those over each channel of g and of g * x take two accumulators and not four.
"""

from __future__ import annotations

import math
from typing import Any

from mezzo.kernels.cpu import target
from mezzo.kernels.cpu.emit import BITS, LANES, LLVM, Emitter
from mezzo.kernels.ir import FLOATS, Expr, row_sum


def start_of(node: Expr) -> object:
    """What the accumulator of a row reduction begins with."""
    if node.op == "row_sum":
        return 0
    sign = -1 if node.op == "row_max" else 1
    if node.type in FLOATS:
        return sign * math.inf
    if node.type in ("b1", "u8"):
        return 0 if sign < 0 else (1 << BITS[node.type]) - 1
    return -(1 << (BITS[node.type] - 1)) if sign < 0 else (1 << (BITS[node.type] - 1)) - 1


def combine(e: Emitter, node: Expr, a: str, b: str) -> str:
    """One accumulator from two, or from an accumulator and an element."""
    t = node.type
    if node.op == "row_sum":
        op = "or" if t == "b1" else ("fadd" if t in FLOATS else "add")
        return e.put(f"{op} {e.type(t)} {a}, {b}")
    if t not in FLOATS:
        side = "max" if node.op == "row_max" else "min"
        return e.call(("u" if t in ("u8", "b1") else "s") + side, LLVM[t], a, b)
    order = "ogt" if node.op == "row_max" else "olt"
    better = e.put(f"fcmp {order} {e.type(t)} {a}, {b}")
    best = e.put(f"select {e.type('b1')} {better}, {e.type(t)} {a}, {e.type(t)} {b}")
    if node.attr == "ordered":  # the kernel's user sees to NaN
        return best
    nan = e.put(f"fcmp uno {e.type(t)} {a}, {a}")
    return e.put(f"select {e.type('b1')} {nan}, {e.type(t)} {a}, {e.type(t)} {best}")


def accumulate(e: Emitter, node: Expr, acc: str) -> str:
    """An accumulator and one more element: the sum of a product is one multiply-add where the processor has it."""
    of = node.args[0]
    if node.op == "row_sum" and of.op == "mul" and of.is_float and target.host().has_fma:
        return e.call("fma", LLVM[node.type], *[e.value(a) for a in of.args], acc)
    return combine(e, node, acc, e.value(of))


def divided(node: Expr, same: set[int]) -> tuple[list[Expr], list[Expr]]:
    """The factors of what is summed that are the same along a stretch, and the others."""
    steady: list[Expr] = []
    moving: list[Expr] = []
    if node.op != "row_sum" or not node.args[0].is_float:
        return steady, [node.args[0]]
    stack = [node.args[0]]
    while stack:
        factor = stack.pop()
        if id(factor) in same:
            steady.append(factor)
        elif factor.op == "mul":
            stack += reversed(factor.args)
        else:
            moving.append(factor)
    return (steady, moving) if steady and moving else ([], [node.args[0]])


def product(factors: list[Expr]) -> Expr:
    """Of one factor or more."""
    whole = factors[0]
    for factor in factors[1:]:
        whole = whole * factor
    return whole


class Sums:
    """nodes: what is summed along a stretch, each once. reductions: of the row; parts: of every stretch, stored.

    writer: a rows_text.Writer, whose `carried` sets of accumulators stand beside each other.
    """

    def __init__(self, writer: Any, t: str, reductions: list[Expr], parts: list[Expr]):
        self.writer, self.t, self.reductions, self.parts = writer, t, reductions, parts
        self.nodes: list[Expr] = []
        self.of: list[
            tuple[int, Expr | None]
        ] = []  # for each reduction and part: which sum, and a factor of it
        same, at = writer.same_along(), {}
        for node in (*reductions, *parts):
            steady, moving = divided(node, same)
            key = (node.op, node.attr, *sorted(id(f) for f in moving))
            if key not in at:
                at[key] = len(self.nodes)
                self.nodes.append(row_sum(product(moving)) if steady else node)
            self.of.append((at[key], product(steady) if steady else None))
        uses = [i for i, _ in self.of]
        # What nothing else needs goes on from stretch to stretch; the others begin anew.
        self.going = [f is None and uses.count(i) == 1 for i, f in self.of[: len(reductions)]]
        self.count, self.sets = len(self.nodes), writer.carried
        self.types = writer.types(self.nodes * self.sets)
        self.total = [f"%{t}tot{i}" for i in range(len(reductions) * self.sets)]
        self.block = [f"%{t}blk{i}" for i in range(len(self.types))]
        self.factors: list[list[str | None]] = []

    def over_stretches(self, before: str) -> None:
        """The totals of reductions, at the head of the loop over stretches."""
        n, writer = len(self.reductions), self.writer
        ends = [
            self.block[u * self.count + self.of[i][0]] if self.going[i] else f"%{self.t}sum{u * n + i}"
            for u in range(self.sets)
            for i in range(n)
        ]  # fmt: skip
        types = writer.types(self.reductions * self.sets)
        zero = writer.starts(self.reductions) * self.sets
        writer.phis(self.total, types, (zero, before), (ends, f"{self.t}rx"))

    def before_stretch(self, known: list[dict[int, str]], start: dict[str, str]) -> None:
        """Compute what the sums of a stretch are to be multiplied by."""
        if not any(f for _, f in self.of):
            self.factors = [[None] * len(self.of)] * self.sets
            return
        for u in range(self.sets):
            e = self.writer.element(u, known[u], start, "0", None)
            self.factors.append([f and e.value(f) for _, f in self.of])

    def along_stretch(self, before: str, merged: list[str], after: str) -> None:
        """The accumulators, at the head of the loop along a stretch."""
        first = self.writer.starts(self.nodes) * self.sets
        for i, goes in enumerate(self.going):
            for u in range(self.sets) if goes else ():
                first[u * self.count + self.of[i][0]] = self.total[u * len(self.going) + i]
        self.writer.phis(self.block, self.types, (first, before), (merged, after))

    def after_stretch(self, start: dict[str, str]) -> None:
        """Add a stretch's sums to the totals; store those of the stretch itself."""
        n, writer = len(self.reductions), self.writer
        for u, factors in enumerate(self.factors):
            for i, node in enumerate((*self.reductions, *self.parts)):
                e, found = writer.emitter(LANES), self.block[u * self.count + self.of[i][0]]
                kind = e.type(node.type)
                if factors[i] is not None:
                    whole = e.put(f"fmul {kind} {found}, {factors[i]}")
                    # A sum over nothing stays 0 where the factor is not finite.
                    found = e.put(f"select i1 {e.put('icmp sgt i64 %rn, 0')}, {kind} {whole}, {kind} {found}")  # fmt: skip
                if i >= n:
                    name = writer.parts[i - n]
                    folded = writer.fold(f"{self.t}{name}", node, found)
                    writer.emitter(1).store(folded, start[name], writer.storage(name))
                elif not self.going[i]:
                    found = combine(e, node, self.total[u * n + i], found)
                    writer.do(f"%{self.t}sum{u * n + i} = freeze {kind} {found}")
