"""Write the .pyi stubs of the public face from the records: `python tools/make_stubs.py [--check]`.

mezzo/__init__.pyi (functions and Tensor) and mezzo/nn/functional.pyi. --check only says whether they are current.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
from pathlib import Path

from mezzo import ops
from mezzo.core import tensor as tensor_module
from mezzo.core.record import Record
from mezzo.core.short import offers
from mezzo.core.tensor import Tensor

SOURCE = Path(__file__).resolve().parent.parent / "src" / "mezzo"
HEAD = '''"""Types of the public face. Written by tools/make_stubs.py from the records: do not edit."""

from collections.abc import Sequence
from typing import Any, Iterator

import numpy as np
'''
_KNOWN = {
    "bool": "_bool",
    "int": "_int",
    "float": "_float",
    "str": "str",
    "Tensor": "Tensor",
    "None": "None",
}


def annotation(text: object) -> str:
    """A type as the stub writes it; what it cannot name is Any."""
    parts = [p.strip() for p in str(text).split("|")] if text else []
    found = []
    for part in parts:
        if part == "Number":
            found.append("_float")
        elif part in _KNOWN:
            found.append(_KNOWN[part])
        elif part.startswith(("list[Tensor", "tuple[Tensor", "Sequence[Tensor")):
            found.append("Sequence[Tensor]")
        else:
            return "Any"
    return " | ".join(dict.fromkeys(found)) or "Any"


def parameters(record: Record, skip_first: bool = False) -> str:
    """The parameter list of a record."""
    parts, star = [], False
    for i, name in enumerate(record.names):
        if skip_first and i == 0:
            continue
        if i >= record.positional and not star:
            parts.append("*")
            star = True
        kind = annotation(record.fn.__annotations__.get(name))
        if record.varargs == i:
            parts.append(f"*{name}: Any")
            star = True
            continue
        parts.append(f"{name}: {kind} = ..." if name in record.defaults else f"{name}: {kind}")
    return ", ".join(parts)


def result(record: Record) -> str:
    """The return type of a record."""
    text = str(record.fn.__annotations__.get("return", "Any"))
    return (
        "Tensor"
        if text == "Tensor"
        else "tuple[Tensor, ...]"
        if text.startswith("tuple")
        else "Any"
    )


def function(name: str, value: object) -> str:
    """One function of a namespace."""
    if isinstance(value, Record):
        out = ", out: Any = ..." if "*" in parameters(value) else ", *, out: Any = ..."
        listed = parameters(value)
        if "out" in value.names:
            return f"def {name}({listed}) -> {result(value)}: ..."
        return (
            f"def {name}({listed}{out if listed else '*, out: Any = ...'}) -> {result(value)}: ..."
        )
    return f"def {name}(*args: Any, **kwargs: Any) -> Any: ..."


def method(name: str, value: object) -> str:
    """One attribute of Tensor."""
    if isinstance(value, property):
        return f"    @property\n    def {name}(self) -> Any: ..."
    if isinstance(value, Record):
        listed = parameters(value, skip_first=True)
        return f"    def {name}(self{', ' + listed if listed else ''}) -> {result(value)}: ..."
    if name in ("__eq__", "__ne__"):
        return f"    def {name}(self, other: object) -> Tensor: ...  # type: ignore[override]"
    fixed = {"__bool__": "bool", "__int__": "int", "__float__": "float", "__len__": "int", "__index__": "int",
             "__repr__": "str", "__complex__": "complex", "__iter__": "Iterator[Tensor]", "__contains__": "bool",
             "__format__": "str"}  # fmt: skip
    if name in fixed:
        kind = fixed[name]
        kind = _KNOWN.get(kind, kind)
        extra = (
            ", spec: str, /"
            if name == "__format__"
            else ", value: object, /"
            if name == "__contains__"
            else ""
        )
        return f"    def {name}(self{extra}) -> {kind}: ..."
    back = "Tensor" if name.endswith("_") and not name.startswith("__") else "Any"
    return f"    def {name}(self, *args: Any, **kwargs: Any) -> {back}: ..."


def tensor_class() -> str:
    """class Tensor with everything that was attached to it."""
    lines = ["class Tensor:", "    def __init__(self, *args: Any, **kwargs: Any) -> None: ..."]
    skip = {"__slots__", "__module__", "__doc__", "__dict__", "__weakref__", "__reduce_ex__", "__array_priority__",
            "__annotations__", "__hash__", "__new__", "__init__"}  # fmt: skip
    for name in sorted(vars(Tensor)):
        value = offers.usual(name)
        if (
            name in skip
            or inspect.ismemberdescriptor(value)
            or (name.startswith("_") and not name.startswith("__"))
        ):
            continue
        if isinstance(value, bool):
            lines.append(f"    {name}: _bool")
        elif name in ("grad", "data", "requires_grad"):
            kind = {"grad": "Any", "data": "Tensor", "requires_grad": "_bool"}[name]
            lines.append(f"    {name}: {kind}")
        else:
            lines.append(method(name, value))
    return "\n".join(lines)


def exports() -> list[str]:
    """The imports and constants of mezzo/__init__.py as a stub re-exports them."""
    lines = []
    for node in ast.parse((SOURCE / "__init__.py").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mezzo"):
            for a in node.names:
                if a.name != "Tensor":
                    lines.append(f"from {node.module} import {a.name} as {a.asname or a.name}")
        elif isinstance(node, ast.Assign):
            if ast.unparse(node.targets[0]) == "_ON_DEMAND":
                lines += [f"from mezzo import {n} as {n}" for n in ast.literal_eval(node.value)]
            for to in node.targets:
                names = [n.id for n in ast.walk(to) if isinstance(n, ast.Name)]
                kind = (
                    "dtype" if "float" in names or "half" in names or "cfloat" in names else "Any"
                )
                kind = "str" if "__version__" in names else kind
                lines += [
                    f"{n}: {kind}" for n in names if n == "__version__" or not n.startswith("_")
                ]
    return lines


ALIASES = [
    "import builtins",
    "",
    "_bool = builtins.bool",
    "_int = builtins.int",
    "_float = builtins.float",
]
SHARED = [*ALIASES[:2], "from mezzo.core.tensor import Tensor as Tensor", "", *ALIASES[2:]]


def tensor_stub() -> str:
    """mezzo/core/tensor.pyi: Tensor, and the helpers of its file."""
    helpers = [
        f"def {n}(*args: Any, **kwargs: Any) -> Any: ..."
        for n, v in vars(tensor_module).items()
        if inspect.isfunction(v) and v.__module__ == tensor_module.__name__
    ]
    return "\n".join([HEAD, *ALIASES, "", tensor_class(), "", *helpers, ""])


def main_stub() -> str:
    """mezzo/__init__.pyi."""
    found = ops.namespace("mezzo")
    functions = [function(n, found[n]) for n in sorted(found)]
    return "\n".join([HEAD, *SHARED, "", *exports(), "", *functions, ""])


def functional_stub() -> str:
    """mezzo/nn/functional.pyi."""
    found = ops.namespace("nn.functional")
    return "\n".join([HEAD, *SHARED, "", *[function(n, found[n]) for n in sorted(found)], ""])


STUBS = {
    SOURCE / "__init__.pyi": main_stub,
    SOURCE / "core" / "tensor.pyi": tensor_stub,
    SOURCE / "nn" / "functional.pyi": functional_stub,
}


def main() -> int:
    """Write or check the stubs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [p for p, make in STUBS.items() if not p.exists() or p.read_text() != make()]
    for path in stale:
        if not check:
            path.write_text(STUBS[path]())
        print(f"{'stale' if check else 'wrote'}: {path.name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
