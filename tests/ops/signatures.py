"""PyTorch's signatures, where they can be known: from Python functions, or from the schemas of compiled ones."""

from __future__ import annotations

import inspect

import torch

from mezzo.core.record import Record

# Arguments that every PyTorch function of a kind takes and that have no meaning here.
_IGNORED = {
    "layout", "pin_memory", "out", "implicit", "size_average", "reduce", "_stacklevel", "generator", "dtype",
    "memory_format", "device", "requires_grad", "non_blocking", "names",
}  # fmt: skip
_SAME = {"self": "input", "x": "input", "A": "input", "a": "input"}
_PREFIX = {"linalg": "linalg_", "special": "special_", "fft": "fft_"}


class Parameter:
    """Name, whether by keyword only, and default (`missing` without one)."""

    missing = object()

    def __init__(self, name: str, keyword: bool, default=missing):
        self.name, self.keyword, self.default = _SAME.get(name, name), keyword, default

    def __repr__(self) -> str:
        return self.name if self.default is Parameter.missing else f"{self.name}={self.default!r}"


def of_record(record: Record) -> list[Parameter]:
    """Ours, without the arguments that are ignored."""
    return [
        Parameter(name, i >= record.positional, record.defaults.get(name, Parameter.missing))
        for i, name in enumerate(record.names)
        if name not in _IGNORED
    ]


def of_pytorch(record: Record) -> list[list[Parameter]]:
    """Each overload of PyTorch's function of the same name and place; empty if they cannot be known."""
    for place in record.where:
        function = _python_function(place, record.name)
        if function is not None:
            return [_of_function(function)]
    found = []
    for prefix in dict.fromkeys(_PREFIX.get(p, "") for p in record.where):
        for schema in torch._C._jit_get_schemas_for_operator(f"aten::{prefix}{record.name}"):
            if not any(a.is_out or "Dimname" in str(a.type) for a in schema.arguments):
                found.append([
                    Parameter(a.name, a.kwarg_only, a.default_value if a.has_default_value() else Parameter.missing)
                    for a in schema.arguments
                    if a.name not in _IGNORED
                ])  # fmt: skip
    return found


def _python_function(place: str, name: str):
    """PyTorch's function if it is written in Python and names its arguments."""
    home = {"nn.functional": torch.nn.functional, "mezzo": torch, "linalg": torch.linalg}.get(place)
    # Pooling dispatches on return_indices: the form with indices has the whole signature.
    function = getattr(home, f"{name}_with_indices", None) or getattr(home, name, None)
    if not inspect.isfunction(function):
        return None
    kinds = {p.kind for p in inspect.signature(function).parameters.values()}
    return None if inspect.Parameter.VAR_POSITIONAL in kinds else function


def _of_function(function) -> list[Parameter]:
    kinds = inspect.Parameter
    return [
        Parameter(
            p.name,
            p.kind is kinds.KEYWORD_ONLY,
            Parameter.missing if p.default is kinds.empty else p.default,
        )
        for p in inspect.signature(function).parameters.values()
        if p.name not in _IGNORED
    ]


def difference(record: Record) -> str:
    """What keeps a call written for PyTorch from meaning the same here, or nothing."""
    overloads = of_pytorch(record)
    problems = [_problem(of_record(record), theirs) for theirs in overloads]
    if not problems or "" in problems:
        return ""
    return f"{record.signature()}: {'; or '.join(dict.fromkeys(problems))}"


def _problem(ours: list[Parameter], theirs: list[Parameter]) -> str:
    have = [p.name for p in ours if not p.keyword]
    want = [p.name for p in theirs if not p.keyword]
    if have[: len(want)] != want:
        return f"positional arguments are {want}"
    needed = {p.name for p in theirs if p.default is Parameter.missing}
    extra = [
        p.name for p in ours[len(want) :] if p.default is Parameter.missing and p.name not in needed
    ]
    if extra:
        return f"{extra} must have defaults"
    named = {p.name: p for p in ours}
    for p in theirs:
        if p.name not in named:
            return f"there is an argument {p.name}"
        mine = named[p.name].default
        if p.default is not Parameter.missing and not _same(mine, p.default):
            return f"{p.name} has the default {p.default!r}"
    return ""


def _same(mine, theirs) -> bool:
    if isinstance(
        theirs, (list, tuple)
    ):  # a compiled schema writes one number for all axes as a list
        return (isinstance(mine, (list, tuple)) and list(mine) == list(theirs)) or (
            bool(theirs) and all(mine == t for t in theirs)
        ) or (not theirs and mine is None)  # fmt: skip
    return mine == theirs or (mine in (None, Parameter.missing) and theirs is None)
