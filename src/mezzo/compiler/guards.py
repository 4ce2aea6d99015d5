"""Guards: what of Python a traced function may have read, and whether it is still so.

From the function on, what its code names is looked through: closures, globals, the attributes of objects, the
functions it calls and theirs. Numbers, strings and truth values are compared by value, lists and dicts by
their items, other objects by identity. The settings of modules (the training flag, plain attributes, which
parameters, children and hooks there are) are a snapshot that is compared again only after some module changed.
Code of this package is not looked through: what it reads is asked for at every run (core/late.py).
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

from mezzo import dtypes
from mezzo.core import changes
from mezzo.core.tensor import Tensor

PLAIN = (bool, int, float, complex, str, bytes, type(None), dtypes.dtype)
_PACKAGE = __name__.partition(".")[0]
_FUNCTIONS = (types.FunctionType, types.MethodType)
_ITEMS = 1000  # of a list or dict, beyond which only its length is compared
_DEPTH = 6  # attributes of attributes of ...
_NOT_LOOKED_THROUGH = {*sys.stdlib_module_names, "numpy", _PACKAGE}


def is_plain(value) -> bool:
    """A value that is compared by value."""
    if isinstance(value, (tuple, frozenset)):
        return all(is_plain(v) for v in value)
    return isinstance(value, PLAIN)


def is_module(value) -> bool:
    """A module, told by its tables (modules live on a floor above)."""
    return hasattr(value, "_modules") and hasattr(value, "_parameters")


class Guards:
    """What was found around a function. changed() names the first thing that is different now.

    known: ids of the storages of tensors that the function reaches without being given them.
    """

    def __init__(self, function: Callable, arguments: tuple = ()):
        self._values: list[tuple[str, Callable[[], Any], Any]] = []
        self._objects: list[tuple[str, Callable[[], Any], Any]] = []
        self._modules: list[tuple[str, Any, tuple]] = []
        self._kept = [*arguments]  # so that an id that is compared stays theirs
        read = _Reader()
        read.function(function, "the function")
        for argument in arguments:
            if not is_plain(argument):
                read.thing("an argument", lambda a=argument: a, argument)
        read.all_functions()
        self._tensors: list[Tensor] = []
        self._seen: set[int] = set()
        for name, get, value in read.things:
            self._thing(name, get, value, read.names, 0)
        del self._seen
        self.known = frozenset([id(t.storage) for t in self._tensors if t.storage is not None])
        self._epoch = changes.modules[0]

    def changed(self) -> str | None:
        """What is not as it was, or None."""
        try:
            for name, get, value in self._objects:
                if get() is not value:
                    return f"{name}, which is another object"
            for name, get, value in self._values:
                now = get()
                if now is not value and (now != value or now.__class__ is not value.__class__):
                    return f"{name}, which was {_shown(value)} and is {_shown(now)}"
        except (KeyError, AttributeError, ValueError, IndexError):
            return "a name that is gone"
        if self._epoch != changes.modules[0]:
            for name, module, snapshot in self._modules:
                now = _snapshot(module)
                if now != snapshot:
                    return f"{name}: {_difference(snapshot, now)}"
            self._epoch = changes.modules[0]
        return None

    # ---- what to compare

    def _thing(self, name: str, get: Callable, value, names: set[str], depth: int) -> None:
        if is_plain(value):
            self._values.append((name, get, value))
            return
        if isinstance(value, (types.ModuleType, type)) and not _is_ours(value):
            for key in sorted(names & vars(value).keys()):
                if is_plain(vars(value)[key]):
                    self._thing(f"{name}.{key}", lambda v=value, k=key: getattr(v, k), vars(value)[key], names, depth)  # fmt: skip
        if isinstance(value, types.ModuleType):
            return
        self._objects.append((name, get, value))
        if isinstance(value, Tensor):
            self._tensors.append(value)
        if id(value) in self._seen or isinstance(value, (Tensor, type, *_FUNCTIONS)):
            return
        self._seen.add(id(value))
        if is_module(value):
            self._module(name, value, names, depth)
        elif isinstance(value, (list, tuple, dict, set)):
            self._items(name, value, names, depth)
        elif hasattr(value, "tobytes") and getattr(value, "nbytes", _ITEMS) < _ITEMS:
            self._values.append((name, value.tobytes, value.tobytes()))
        elif hasattr(value, "param_groups"):
            self._values.append((name, functools.partial(_groups, value), _groups(value)))
            self._objects.append((f"{name}.state", lambda: value.state, value.state))
            self._tensors += [p for g in value.param_groups for p in g["params"]]
        elif depth < _DEPTH and not _is_ours(type(value)):
            self._attributes(name, value, names, depth)

    def _module(self, name: str, module, names: set[str], depth: int) -> None:
        self._tensors += [*module.parameters(), *module.buffers()]
        for path, child in module.named_modules():
            label = f"{name}.{path}" if path else name
            self._modules.append((label, child, _snapshot(child)))
            if not _is_ours(type(child)):
                self._attributes(label, child, names, depth)

    def _attributes(self, name: str, value, names: set[str], depth: int) -> None:
        for key in sorted(_attribute_names(value) & names):
            if is_module(value) and is_plain(vars(value).get(key, key)):
                continue  # in its snapshot
            try:
                item = getattr(value, key)
            except AttributeError:  # a slot that is empty
                continue
            self._thing(f"{name}.{key}", lambda o=value, k=key: getattr(o, k), item, names, depth + 1)  # fmt: skip

    def _items(self, name: str, value, names: set[str], depth: int) -> None:
        look = functools.partial(_items, value)
        self._kept.append(list(value.values()) if isinstance(value, dict) else list(value))
        self._values.append((name, look, look()))
        if depth >= _DEPTH or len(value) > _ITEMS or isinstance(value, set):
            return
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            if not is_plain(item):
                self._thing(f"{name}[{key!r}]", lambda v=value, k=key: v[k], item, names, depth + 1)


class _Reader:
    """Finds the functions that a function may call, the names they use, and what those are."""

    def __init__(self):
        self.names: set[str] = set()
        self.things: list[tuple[str, Callable, Any]] = []
        self._seen: set[int] = set()
        self._owners: dict = {}  # types and Python modules whose functions may be called
        self._queue: list[Callable] = []

    def function(self, function, name: str) -> None:
        """Look through a function, method, partial or callable object, later."""
        if isinstance(function, types.MethodType):
            self.thing(
                getattr(function.__self__, "__name__", "self"),
                lambda o=function.__self__: o,
                function.__self__,
            )
            function = function.__func__
        if isinstance(function, functools.partial):
            self.function(function.func, name)
            for i, value in enumerate((*function.args, *function.keywords.values())):
                self.thing(f"argument {i} of a partial", lambda v=value: v, value)
            return
        inner = getattr(function, "__wrapped__", None)
        if inner is not None:
            self.function(inner, name)
        if isinstance(function, types.FunctionType):
            if id(function) not in self._seen and not _is_ours(function):
                self._seen.add(id(function))
                self._queue.append(function)
        elif inner is None and not isinstance(function, (types.BuiltinFunctionType, type)):
            self.thing(name, lambda: function, function)
            for kind in type(function).__mro__:
                if "__call__" in kind.__dict__:
                    self._member(kind.__dict__["__call__"], name)
                    break

    def thing(self, name: str, get: Callable, value) -> None:
        """Something that the function reaches."""
        self.things.append((name, get, value))
        if isinstance(value, _FUNCTIONS):
            self.function(value, name)
        elif isinstance(value, (types.ModuleType, type)):
            if not _is_ours(value):
                self._owners[value] = {"__init__", "__call__"}
        elif not is_plain(value):
            self._owner(value, 0)

    def _owner(self, value, depth: int) -> None:
        if id(value) in self._seen or depth > _DEPTH or isinstance(value, (Tensor, *PLAIN)):
            return
        self._seen.add(id(value))
        if is_module(value):
            for child in value.modules():
                if not _is_ours(type(child)):
                    self._owners.setdefault(type(child), set())
                    self.function(type(child).forward, "forward")
        elif isinstance(value, (list, tuple)) and len(value) <= _ITEMS:
            for item in value:
                self._owner(item, depth + 1)
        elif isinstance(value, dict) and len(value) <= _ITEMS:
            for item in value.values():
                self._owner(item, depth + 1)
        elif isinstance(value, _FUNCTIONS):
            self.function(value, value.__name__)
        elif not isinstance(value, type) and not _is_ours(type(value)):
            self._owners.setdefault(type(value), {"__call__"})
            for item in list(getattr(value, "__dict__", {}).values()):
                self._owner(item, depth + 1)

    def all_functions(self) -> None:
        """Go on until no function names a new one."""
        while self._queue:
            while self._queue:
                self._code(self._queue.pop())
            for owner, always in list(self._owners.items()):
                for kind in getattr(owner, "__mro__", (owner,)):
                    if not _is_ours(kind):
                        for key in (self.names | always) & kind.__dict__.keys():
                            self._member(kind.__dict__[key], key)

    def _member(self, found, key: str) -> None:
        if isinstance(found, property):
            found = found.fget
        elif isinstance(found, (staticmethod, classmethod)):
            found = found.__func__
        if isinstance(found, types.FunctionType):
            self.function(found, key)

    def _code(self, function: types.FunctionType) -> None:
        code = function.__code__
        for free, cell in zip(code.co_freevars, function.__closure__ or ()):
            try:
                value = cell.cell_contents
            except ValueError:  # not filled yet
                continue
            self.thing(free, lambda cell=cell: cell.cell_contents, value)
        table, used = function.__globals__, _names(code)
        self.names |= used
        for name in sorted(used & table.keys()):
            self.thing(name, lambda name=name, table=table: table[name], table[name])


def _is_ours(thing) -> bool:
    """Whether a function, type or Python module is of this package or of Python itself."""
    name = getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
    return name.partition(".")[0] in _NOT_LOOKED_THROUGH


def _names(code) -> set[str]:
    """Globals and attributes that a function and the functions inside it name."""
    found = set(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            found |= _names(const)
    return found


def _attribute_names(value) -> set[str]:
    found = set(getattr(value, "__dict__", ()))
    for kind in type(value).__mro__:
        if not _is_ours(kind):
            found |= {
                k
                for k, v in kind.__dict__.items()
                if not isinstance(v, (property, staticmethod, classmethod, types.FunctionType))
            }
    return found


def _items(value) -> tuple:
    """The items of a container: plain ones themselves, else which object they are."""
    if len(value) > _ITEMS:
        return (len(value),)
    if isinstance(value, dict):
        return tuple([(k, v if is_plain(v) else id(v)) for k, v in value.items()])
    if isinstance(value, set):
        return (frozenset(value),)
    return tuple([v if is_plain(v) else id(v) for v in value])


def _groups(optimizer) -> tuple:
    """What decides which kernels an optimizer's step runs; rates and betas are asked for at every run."""
    return tuple([
        (len(g["params"]), *[(k, bool(v)) for k, v in g.items() if v.__class__ is bool or k == "momentum"])
        for g in optimizer.param_groups
    ])  # fmt: skip


def _snapshot(module) -> tuple:
    """The plain attributes of one module, and which parameters, children and hooks it has."""
    state = vars(module)
    plain = {k: v for k, v in state.items() if is_plain(v)}
    parts = tuple(
        [id(v) for t in ("_parameters", "_buffers", "_modules") for v in state.get(t, {}).values()]
    )
    hooks = tuple([tuple(v) for k, v in state.items() if k.endswith("_hooks") and isinstance(v, dict)])  # fmt: skip
    return plain, parts, hooks


def _difference(was: tuple, now: tuple) -> str:
    if was[0] != now[0]:
        for key in {**was[0], **now[0]}:
            if was[0].get(key, Guards) != now[0].get(key, Guards):
                return f"{key}, which was {_shown(was[0].get(key))} and is {_shown(now[0].get(key))}"  # fmt: skip
    return "its parameters, buffers or children" if was[1] != now[1] else "its hooks"


def _shown(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
