"""Guards: what of Python a traced function may have read, and whether it is still so.

A function's closure, globals, defaults and bound object are looked through: numbers, strings and truth
values are compared by value, other objects by identity; the settings of modules (the training flag and plain
attributes of every submodule) as a snapshot that is compared again only after some module changed.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from mezzo import dtypes
from mezzo.core import changes
from mezzo.core.tensor import Tensor

PLAIN = (bool, int, float, complex, str, bytes, type(None), dtypes.dtype)
_PACKAGE = __name__.partition(".")[0]
_DEPTH = 4  # functions called by functions called by ...


def is_plain(value) -> bool:
    """A value that is compared by value."""
    if isinstance(value, (tuple, frozenset)):
        return all(is_plain(v) for v in value)
    return isinstance(value, PLAIN)


def is_module(value) -> bool:
    """A module, told by its tables (modules live on a floor above)."""
    return hasattr(value, "_modules") and hasattr(value, "_parameters")


class Guards:
    """What was found around a function. changed() names the first thing that is different now."""

    def __init__(self, function: Callable, arguments: tuple = ()):
        self._values: list[tuple[str, Callable[[], Any], Any]] = []
        self._objects: list[tuple[str, Callable[[], Any], Any]] = []
        self._modules: list[tuple[str, Any, tuple]] = []
        self._seen: set[int] = set()
        self._look(function, "", 0)
        for argument in arguments:
            self._object("an argument", argument)
        self._epoch = changes.modules[0]

    def changed(self) -> str | None:
        """What is not as it was, or None."""
        try:
            for name, get, value in self._objects:
                if get() is not value:
                    return name
            for name, get, value in self._values:
                now = get()
                if now != value or now.__class__ is not value.__class__:
                    return f"{name}, which was {value!r} and is {now!r}"
        except (KeyError, AttributeError, ValueError):
            return "a name that is gone"
        if self._epoch != changes.modules[0]:
            for name, module, snapshot in self._modules:
                if _snapshot(module) != snapshot:
                    return f"an attribute of {name}"
            self._epoch = changes.modules[0]
        return None

    # ---- looking through

    def _look(self, function, name: str, depth: int) -> None:
        if isinstance(function, types.MethodType):
            self._object("self", function.__self__)
            function = function.__func__
        function = getattr(function, "__wrapped__", function)
        if not isinstance(function, types.FunctionType):
            if not isinstance(function, (types.BuiltinFunctionType, type)):
                self._object(name or "the function", function)
            return
        if id(function) in self._seen or function.__module__.partition(".")[0] == _PACKAGE:
            return
        self._seen.add(id(function))
        code = function.__code__
        for free, cell in zip(code.co_freevars, function.__closure__ or ()):
            self._value(free, lambda cell=cell: cell.cell_contents, depth)
        table = function.__globals__
        for used in _names(code):
            if used in table:
                self._value(used, lambda used=used, table=table: table[used], depth)

    def _value(self, name: str, get: Callable, depth: int) -> None:
        try:
            value = get()
        except ValueError:  # an empty cell
            return
        if is_plain(value):
            self._values.append((name, get, value))
            return
        if isinstance(value, types.ModuleType):
            return
        self._objects.append((name, get, value))
        if isinstance(value, (types.FunctionType, types.MethodType)):
            if depth < _DEPTH:
                self._look(value, name, depth + 1)
            return
        self._object(name, value)

    def _object(self, name: str, value) -> None:
        if id(value) in self._seen or isinstance(value, (Tensor, type)):
            return
        self._seen.add(id(value))
        if is_module(value):
            for child, module in value.named_modules():
                self._modules.append(
                    (f"{name}.{child}" if child else name, module, _snapshot(module))
                )
        elif isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                if is_plain(item):
                    continue
                self._object(f"{name}[{i}]", item)
        elif isinstance(value, dict):
            for key, item in value.items():
                if is_plain(item):
                    self._values.append((f"{name}[{key!r}]", lambda d=value, k=key: d[k], item))
        elif type(value).__module__.partition(".")[0] != _PACKAGE and hasattr(value, "__dict__"):
            for key, item in vars(value).items():
                if is_plain(item):
                    self._values.append(
                        (f"{name}.{key}", lambda o=value, k=key: getattr(o, k), item)
                    )
                elif is_module(item):
                    self._object(f"{name}.{key}", item)


def _names(code) -> set[str]:
    """Global names that a function and the functions inside it use."""
    found = set(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            found |= _names(const)
    return found


def _snapshot(module) -> tuple:
    """The plain attributes of one module, and which parameters and children it has."""
    state = vars(module)
    plain = tuple([(k, v) for k, v in state.items() if is_plain(v)])
    parts = tuple(
        [id(v) for t in ("_parameters", "_buffers", "_modules") for v in state.get(t, {}).values()]
    )
    hooks = tuple(
        [len(v) for k, v in state.items() if k.endswith("_hooks") and hasattr(v, "__len__")]
    )
    return plain, parts, hooks
