"""Fill in docs/how-it-works.md: what each stage of the compiler makes of one small training step.

    python tools/how_it_works.py            write the page
    python tools/how_it_works.py --check    exit with 1 if the page is not current

The prose is the page's own; what stands between `<!-- begin: NAME -->` and `<!-- end -->` is made here. It runs for the
plain target on one thread, so that it comes out the same on every machine.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import inspect
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import mezzo
from mezzo import nn
from mezzo.compiler.explain import Explanation, explain
from mezzo.compiler.guards import Guards
from mezzo.core.tensor import Tensor
from mezzo.kernels.cpu import capture
from mezzo.nn import functional as F

PAGE = Path(__file__).resolve().parent.parent / "docs" / "how-it-works.md"
FIXED = {"MEZZO_CPU_TARGET": "plain", "MEZZO_NUM_THREADS": "1"}

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = mezzo.optim.SGD(model.parameters(), lr=0.1)


def step(x, y):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss


def batch() -> tuple[Tensor, Tensor]:
    """Sixteen points in three classes."""
    mezzo.manual_seed(0)
    return mezzo.randn(16, 4), mezzo.randint(0, 3, (16,))


# ---- the parts


def source() -> str:
    """The step and what it works on."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    setup = [line for line in lines if line.startswith(("model =", "optimizer ="))]
    return "\n".join([*setup, "", *inspect.getsource(step).splitlines()])


def where(slot, names: dict[int, str], layouts: dict[int, int]) -> str:
    """One slot of a launch, in words."""
    if isinstance(slot, capture.Late):
        return "late number"
    if isinstance(slot, int) and capture.is_pointer(slot):
        block, offset = capture.place(slot)
        name = names.get(block, "scratch")
        place = f"{name}" if block not in layouts else f"{name}@{layouts[block]}"
        return f"{place}+{offset}" if offset else place
    return "table" if isinstance(slot, int) and abs(slot) >= 1 << 40 else f"{slot:g}"


def tape(found: Explanation) -> str:
    """The launches, with where their slots point; @n is n bytes into the arena."""
    program = found.variant.program
    names = {block: buffer.name for buffer, block in program._blocks.items()}
    lines = []
    for event in program.recording.events:
        if event[0] == "call":
            slots = [where(s, names, program._arena_at) for s in event[2]]
            lines.append(f"{len(lines):2}  ({', '.join(slots)})")
    return "\n".join(lines)


def plan(found: Explanation) -> str:
    """Which bytes of the arena serve what, and from which launch to which."""
    program = found.variant.program
    names = {block: buffer.name for buffer, block in program._blocks.items()}
    launches, born, died = 0, {}, {}
    for event in program.recording.events:
        launches += event[0] == "call"
        if event[0] == "new":
            born[event[1]] = launches
        elif event[0] == "free":
            died[event[1]] = launches - 1
    rows = [f"{'bytes':>13}  {'launches':>8}  buffer"]
    for block, at in sorted(
        program._arena_at.items(), key=lambda entry: (born[entry[0]], entry[1])
    ):
        size = program.recording.sizes[block]
        life = f"{born[block]}-{died.get(block, launches - 1)}"
        rows.append(f"{at:5} - {at + size:5}  {life:>8}  {names.get(block, 'scratch')}")
    return "\n".join([*rows, f"{program.arena_bytes} bytes in all"])


def passes(found: Explanation) -> str:
    """What each pass says it does, and the lines that it took out (-) and put in (+)."""
    parts, log = [], found.variant.passes
    for (_, _, before), (name, _, after) in itertools.pairwise(log):
        module = importlib.import_module(f"mezzo.compiler.passes.{name}")
        does = module.__doc__.splitlines()[0].removeprefix(f"{name}: ")
        head = f"**{name}**: {does}"
        was, now = (repr(g).splitlines() for g in (before, after))
        change = [
            line for line in difflib.unified_diff(was, now, lineterm="", n=0)
            if not line.startswith(("---", "+++", "@@"))
        ]  # fmt: skip
        parts.append(f"{head} *{len(before.nodes)} calls, then {len(after.nodes)}.*")
        parts.append(fenced("\n".join(change), "diff") if change else "Nothing to do here.")
    return "\n\n".join(parts)


def guards() -> str:
    """What a call compares before it trusts the program."""
    found = Guards(step)
    lines = [f"{name} is the same object" for name, _, _ in found._objects]
    lines += [f"{name} has the same value" for name, _, _ in found._values]
    lines += [
        f"{name} has the same settings, parameters and hooks" for name, _, _ in found._modules
    ]
    return "\n".join(lines)


def fenced(text: str, language: str = "text") -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"


def parts() -> dict[str, str]:
    """All that is filled in, by name."""
    found = explain(step)(*batch())
    program = found.variant.program
    return {
        "source": fenced(source(), "python"),
        "trace": fenced(repr(found.variant.passes[0][2]), "python"),
        "passes": passes(found),
        "result": fenced(repr(found.variant.graph), "python"),
        "tape": fenced(tape(found)),
        "plan": fenced(plan(found)),
        "counts": (
            f"{program.launches} launches, {len(program.tape)} words of tape, "
            f"{len(program.patches) // 3} of them addresses that each call fills in."
        ),
        "guards": fenced(guards()),
    }  # fmt: skip


def page(text: str) -> str:
    """The page with its parts made anew."""
    for name, made in parts().items():
        begin = f"<!-- begin: {name} -->"
        if begin not in text:
            raise SystemExit(f"{PAGE.name} has no place for {name!r}: add {begin} and <!-- end -->")
        text = re.sub(rf"{re.escape(begin)}\n.*?<!-- end -->",
                      lambda _, b=begin, m=made: f"{b}\n{m}\n<!-- end -->", text, flags=re.DOTALL)  # fmt: skip
    return text


def main() -> int:
    """Write or check, in a process with the fixed target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    options = parser.parse_args()
    if any(os.environ.get(k) != v for k, v in FIXED.items()):
        return subprocess.run([sys.executable, *sys.argv], env={**os.environ, **FIXED}).returncode
    have = PAGE.read_text(encoding="utf-8")
    want = page(have)
    if have == want:
        return 0
    if options.check:
        lines = difflib.unified_diff(have.splitlines(), want.splitlines(), lineterm="", n=0)
        print("\n".join(list(lines)[:40]))
        return 1
    PAGE.write_text(want, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
