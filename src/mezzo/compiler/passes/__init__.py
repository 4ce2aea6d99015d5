"""Passes: each takes a graph and returns one that does the same with less. A pass is a verb, in its own file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mezzo.compiler.graph import Graph
from mezzo.compiler.passes.choose_layout import choose_layout
from mezzo.compiler.passes.fold_constants import fold_constants
from mezzo.compiler.passes.fuse import fuse
from mezzo.compiler.passes.fuse_epilogues import fuse_epilogues
from mezzo.compiler.passes.fuse_reductions import fuse_reductions
from mezzo.compiler.passes.fuse_stores import fuse_stores
from mezzo.compiler.passes.merge_common import merge_common
from mezzo.compiler.passes.place_parts import place_parts
from mezzo.compiler.passes.raise_loops import raise_loops
from mezzo.compiler.passes.recompute import recompute
from mezzo.compiler.passes.remove_casts import remove_casts
from mezzo.compiler.passes.remove_copies import remove_copies
from mezzo.compiler.passes.remove_dead import remove_dead
from mezzo.compiler.passes.simplify import simplify

PASSES: tuple[Callable[[Graph], Graph], ...] = (
    remove_dead,
    fold_constants,
    simplify,
    remove_casts,
    merge_common,
    remove_copies,
    place_parts,
    choose_layout,
    recompute,
    raise_loops,
    fuse,
    fuse_reductions,
    fuse_epilogues,
    fuse_stores,
    remove_dead,
)


INEXACT = (choose_layout,)  # sums in another order: only where a mode asks for it


def run(
    graph: Graph, without: Sequence[Callable] = INEXACT
) -> tuple[Graph, list[tuple[str, float, Graph]]]:
    """The graph after all passes but some, and (name, seconds, graph) after each."""
    graph.verify()
    log = [("trace", 0.0, graph)]
    for one in PASSES:
        if one in without:
            continue
        start = time.perf_counter()
        graph = one(graph)
        log.append((one.__name__, time.perf_counter() - start, graph))
        graph.verify()
    return graph, log
