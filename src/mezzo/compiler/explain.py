"""explain: what the compiler did with a function, pass by pass, each as a program to read.

    print(mezzo.compiler.explain(step)(x, y))

MEZZO_COMPILE_DUMP=folder writes the same for every function that is compiled.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable

from mezzo.compiler.compiled import Compiled
from mezzo.compiler.graph import Graph
from mezzo.compiler.program import Program
from mezzo.compiler.variant import Variant
from mezzo.errors import ArgumentTypeError


class Explanation:
    """The story of one call. variant: its programs; None where the call ran in stretches.

    text: everything that was printed. result: what the call returned.
    """

    def __init__(self, compiled: Compiled, result):
        self.result = result
        found = [v for known in compiled.variants.values() for v, _ in known]
        self.variant: Variant | None = found[-1] if found else None
        if self.variant is not None:
            self.text = told(self.variant)
        else:
            programs = list(compiled.stretches.programs.values())
            head = "# The function reads values back: it runs in stretches, traced anew at every call.\n"
            self.text = head + "\n".join(
                _program(f"stretch {i}", p.graph, p) for i, p in enumerate(programs)
            )

    def __repr__(self) -> str:
        return self.text


def told(variant: Variant) -> str:
    """Every pass of a variant, forward and backward."""
    text = _passes("forward" if variant.backward else "program", variant.passes, variant.program)
    if variant.backward is not None:
        text += "\n" + _passes("backward", variant.backward.passes, variant.backward.program)
    return text


def _passes(title: str, log: list[tuple[str, float, Graph]], program: Program) -> str:
    parts = []
    before = None
    for name, seconds, graph in log:
        shown = repr(graph)
        calls = f"{len(graph.nodes)} calls"
        head = f"# {title}, after {name}: {calls}" + (
            f", {seconds * 1e3:.2f} ms" if name != "trace" else ""
        )
        parts.append(head + ("\n# (nothing changed)" if shown == before else "\n" + shown))
        before = shown
    parts.append(_program(title, log[-1][2], program, body=False))
    return "\n\n".join(parts) + "\n"


def _program(title: str, graph: Graph, program: Program, body: bool = True) -> str:
    text = f"{graph!r}\n" if body else ""
    hosts = (len(program.steps) - 1) // 2
    return (
        f"# {title}\n{text}# {title}, native: {program.launches} launches in {hosts + 1} call(s), "
        f"{program.arena_bytes} bytes of working memory, {len(program.patches) // 3} addresses filled in at a call"
    )


def explain(function: Callable) -> Callable[..., Explanation]:
    """explain(f)(*args) calls f once and tells what it was compiled to; of a compiled f, in its mode.

    Raises: ArgumentTypeError if function cannot be called
    """
    if not callable(function):
        raise ArgumentTypeError(f"explain: got {type(function).__name__}; it must be a function.")
    mode = "default"
    function = getattr(function, "__dict__", {}).get("_compiled", function)  # of a compiled module
    if isinstance(function, Compiled):
        function, mode = function.function, function.mode

    def call(*args, **kwargs) -> Explanation:
        compiled = Compiled(function, False, None, mode, "native")
        return Explanation(compiled, compiled(*args, **kwargs))

    return call


def _dump(name: str, variant: Variant) -> None:
    folder = os.environ.get("MEZZO_COMPILE_DUMP")
    if folder:
        to = pathlib.Path(folder)
        to.mkdir(parents=True, exist_ok=True)
        safe = "".join(c if c.isalnum() else "_" for c in name)
        (to / f"{safe}-{len(list(to.iterdir()))}.txt").write_text(told(variant))


Compiled.watchers.append(_dump)
