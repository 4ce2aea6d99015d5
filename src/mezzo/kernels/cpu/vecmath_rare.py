"""A select whose first branch few elements need, as a branch taken only when one of them does.

`vecmath_parts.rarely` builds it: an ordinary select, whose attribute names the inputs of the unusual
branch. As a select it is correct everywhere; `emit` makes of it

    %any = or over the lanes of the condition
    unless %any: the usual value
    else:        select(condition, a call of the unusual branch with all lanes, usual)

in functions of their own, so that the loop around need not know that its body now has blocks.
"""

from __future__ import annotations

from typing import Protocol

from mezzo.kernels.ir import Expr


class Emits(Protocol):
    """What is used of emit.Emitter."""

    lanes: int
    declares: set[str]
    memo: dict[int, str]

    def type(self, compute: str) -> str: ...
    def put(self, text: str) -> str: ...
    def value(self, root: Expr) -> str: ...
    def inner(self, lines: list[str], leaf) -> Emits: ...


def needed(node: Expr) -> tuple[Expr, ...]:
    """What must be emitted before the select: condition, usual value, inputs of the other branch."""
    condition, _, usual = node.args
    return condition, usual, *node.attr


def emit(emitter: Emits, node: Expr) -> str:
    """The register that holds the select, for a node whose `needed` have been emitted."""
    condition, unusual, usual = node.args
    result = emitter.type(node.type)
    types = [emitter.type(e.type) for e in node.attr]
    parameters = ", ".join(f"{t} %a{i}" for i, t in enumerate(types))
    body = _body(emitter, unusual, node.attr)
    import hashlib  # (`import mezzo` does without)

    key = hashlib.sha256(f"{result}({parameters}){body}".encode()).hexdigest()[:16]
    mask = emitter.type("b1")
    emitter.declares.add("declare i1 @llvm.expect.i1(i1, i1)")
    emitter.declares.add(
        f"define internal {result} @far_{key}({parameters}) noinline cold {{\n{body}}}"
    )
    emitter.declares.add(_chooser(emitter, key, result, mask, parameters))
    given = "".join(f", {t} {emitter.memo[id(e)]}" for t, e in zip(types, node.attr))
    return emitter.put(
        f"call {result} @near_{key}({mask} {emitter.memo[id(condition)]}, "
        f"{result} {emitter.memo[id(usual)]}{given})"
    )


def _body(emitter: Emits, unusual: Expr, inputs: tuple[Expr, ...]) -> str:
    """The text of the unusual branch as a function of its inputs %a0, %a1, ..."""
    lines: list[str] = []

    def leaf(e: Expr) -> str:
        raise AssertionError(f"the unusual branch reads {e}, which is not among its inputs")

    inner = emitter.inner(lines, leaf)
    for i, e in enumerate(inputs):
        inner.memo[id(e)] = f"%a{i}"
    value = inner.value(unusual)
    lines.append(f"  ret {emitter.type(unusual.type)} {value}")
    return "\n".join(lines) + "\n"


def _chooser(emitter: Emits, key: str, result: str, mask: str, parameters: str) -> str:
    """The function that calls the unusual branch if any lane needs it."""
    if emitter.lanes == 1:
        test = "  %any = or i1 %c, false"
    else:
        name = f"@llvm.vector.reduce.or.v{emitter.lanes}i1"
        emitter.declares.add(f"declare i1 {name}({mask})")
        test = f"  %any = call i1 {name}({mask} %c)"
    return "\n".join(
        [
            f"define internal {result} @near_{key}({mask} %c, {result} %usual, {parameters}) alwaysinline {{",
            "entry:",
            test,
            "  %likely = call i1 @llvm.expect.i1(i1 %any, i1 false)",
            "  br i1 %likely, label %far, label %done",
            "far:",
            f"  %unusual = call {result} @far_{key}({parameters})",
            f"  %mixed = select {mask} %c, {result} %unusual, {result} %usual",
            "  br label %done",
            "done:",
            f"  %r = phi {result} [%usual, %entry], [%mixed, %far]",
            f"  ret {result} %r",
            "}",
        ]
    )
