"""mode="max-autotune": which passes serve a graph best is measured on this machine, and remembered on disk.

Each recipe leaves some passes out. Programs are timed on scratch memory of zeros, so nothing of the user's
is touched, no random number is drawn, and no step is counted.
"""

from __future__ import annotations

import ctypes
import time

from mezzo.compiler import passes
from mezzo.compiler.graph import Buffer, Graph, Region
from mezzo.compiler.program import Program
from mezzo.compiler.trace import LateGenerator
from mezzo.core.families.random import Generator
from mezzo.core.storage import Storage
from mezzo.kernels.cpu import cache, capture, target
from mezzo.kernels.cpu.contract import precision
from mezzo.kernels.cpu.memory import allocate

RECIPES = {
    "all": passes.INEXACT,
    "keep": (*passes.INEXACT, passes.recompute),
    "apart": (*passes.INEXACT, passes.recompute, passes.fuse_epilogues),
    "loops": (*passes.INEXACT, passes.recompute, passes.fuse_epilogues, passes.fuse_reductions),
    "layouts": (passes.recompute,),
}
SECONDS = 0.3  # spent on timing one recipe, unless one run takes longer


def build(graph: Graph, mode: str) -> tuple[Graph, list, Program]:
    """The graph after its passes, what they did, and the program, as the mode asks for."""
    name = _chosen(graph) if mode.startswith("max-autotune") else "all"
    made, log = passes.run(graph, without=RECIPES[name])
    return made, log, Program(made)


def _chosen(graph: Graph) -> str:
    key = cache.key(
        "passes", repr(structure(graph)), str(precision.settings()), repr(target.host())
    )
    known = cache.read(key)
    if known is not None and known.decode() in RECIPES:
        return known.decode()
    programs: dict[str, Program] = {}
    seen: dict[str, str] = {}
    for name, without in RECIPES.items():
        made, _ = passes.run(graph, without=without)
        if (
            seen.setdefault(repr(made), name) == name
        ):  # a recipe that changes nothing need not be timed
            programs[name] = Program(made)
    times = (
        {name: seconds(program) for name, program in programs.items()}
        if len(programs) > 1
        else {"all": 0.0}
    )
    best = min(times, key=times.__getitem__)
    cache.write(key, best.encode())
    return best


def seconds(program: Program) -> float:
    """The shortest time of a run on scratch memory."""
    graph = program.graph
    memory, results = [_zeros(b.nbytes) for b in graph.outside], program.results()
    outside, kept = [m.ptr for m in memory], [s.ptr for s in results]
    numbers = dict.fromkeys(program.numbers, 1.0)
    draws, program.draws = program.draws, [(Generator(), count) for _, count in program.draws]
    best, until = float("inf"), time.perf_counter() + SECONDS
    try:
        program.run(outside, kept, numbers)
        while True:
            start = time.perf_counter()
            program.run(outside, kept, numbers)
            now = time.perf_counter()
            best = min(best, now - start)
            if now > until:
                return best
    finally:
        program.draws = draws


def _zeros(nbytes: int) -> Storage:
    made = allocate(nbytes, Storage)
    ctypes.memset(made.ptr, 0, nbytes)
    return made


def structure(graph: Graph) -> list:
    """What a graph does, whatever its buffers are."""
    numbers: dict[Buffer, int] = {b: i for i, b in enumerate(graph.outside)}

    def shown(value):
        if isinstance(value, Region):
            return numbers.setdefault(value.buffer, len(numbers)), value.offset, value.layout
        if isinstance(value, (tuple, list)):
            return tuple([shown(v) for v in value])
        if isinstance(value, LateGenerator):
            return "generator", id(value.generator) if value.generator is not None else 0
        if isinstance(value, capture.Late):
            return "late", value.key, value.at
        return (value.__class__, value)

    key: list = [tuple([b.nbytes for b in graph.outside])]
    for node in graph.nodes:
        unless = shown(node.unless) if node.unless else None
        key.append(
            (
                node.form,
                node.record.name,
                shown(node.args),
                shown(node.outs),
                shown(node.writes),
                unless,
            )
        )
    key.append(tuple([numbers.get(b, -1) for b in graph.kept]))
    return key
