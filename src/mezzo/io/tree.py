"""Nested Python data as JSON and back. Only plain data goes in; nothing that comes out is run.

A JSON object with the key "$" stands for what JSON has no word for: {"$": "tuple", "v": [...]}.
Tensors and arrays are numbers of entries in a table that the caller keeps.
"""

from __future__ import annotations

import base64
import functools
import math
from collections import Counter, OrderedDict
from collections.abc import Callable

import numpy as np

from mezzo import dtypes
from mezzo.core.tensor import Tensor
from mezzo.devices import device
from mezzo.errors import ArgumentTypeError

KINDS = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset"}
MAKERS = {name: kind for kind, name in KINDS.items()}


class Encoder:
    """Turns data into JSON values; `store(tensor or array)` returns the number of its entry."""

    def __init__(self, store: Callable):
        self.store = store
        self.inside: set[int] = set()

    def encode(self, value, path: str):
        """The JSON value; `path` says in errors where in the data it stands."""
        if value is None or isinstance(value, bool) or type(value) is str:
            return value
        if isinstance(value, Tensor | np.ndarray | np.generic):
            return {"$": "data", "v": self.store(value, path)}
        if type(value) in (int, float, complex, bytes, bytearray):
            return _encode_scalar(value)
        if isinstance(value, dtypes.dtype):
            return {"$": "dtype", "v": value.name}
        if isinstance(value, device):
            return {"$": "device", "v": str(value)}
        if id(value) in self.inside:
            raise ArgumentTypeError(f"save: {path} contains itself; a file can hold trees only.")
        self.inside.add(id(value))
        try:
            return self._container(value, path)
        finally:
            self.inside.discard(id(value))

    def _container(self, value, path: str):
        if type(value) in (dict, OrderedDict, Counter):
            return self._mapping(value, path)
        kind = KINDS.get(type(value))
        if kind is None and isinstance(value, tuple) and not hasattr(value, "_fields"):
            kind = "tuple"  # such as the Size of a tensor
        if kind is None:
            raise ArgumentTypeError(
                f"save: {path} is a {type(value).__module__}.{type(value).__qualname__}; a file can "
                "hold None, bool, int, float, complex, str, bytes, list, tuple, set, dict, tensors, "
                "arrays, dtypes and devices. Of a module, an optimizer or a scheduler save its "
                "state_dict()."
            )
        parts = [self.encode(part, f"{path}[{i}]") for i, part in enumerate(value)]
        return parts if kind == "list" else {"$": kind, "v": parts}

    def _mapping(self, value: dict, path: str):
        parts = [
            (self.encode(key, f"a key of {path}"), self.encode(part, f"{path}[{key!r}]"))
            for key, part in value.items()
        ]
        plain = type(value) is dict and all(type(key) is str and key != "$" for key in value)
        if plain:
            return dict(parts)
        made = {"$": type(value).__name__, "v": [list(pair) for pair in parts]}
        metadata = getattr(value, "_metadata", None)  # the versions of modules in a state_dict
        if metadata is not None:
            made["metadata"] = self.encode(metadata, f"{path}._metadata")
        return made


def _encode_scalar(value):
    if type(value) is int:
        return value if abs(value) < 1 << 64 else {"$": "int", "v": hex(value)}
    if type(value) is float:
        return value if math.isfinite(value) else {"$": "float", "v": repr(value)}
    if type(value) is complex:
        return {"$": "complex", "v": [repr(value.real), repr(value.imag)]}
    kind = type(value).__name__
    return {"$": kind, "v": base64.b64encode(value).decode()}


def _mapping(kind: type) -> Callable:
    def make(node: dict, decode: Callable):
        made = kind() if kind is not Counter else Counter()
        for key, value in node["v"]:
            made[decode(key)] = decode(value)
        if "metadata" in node:
            made._metadata = decode(node["metadata"])
        return made

    return make


DECODERS: dict[str, Callable] = {
    "int": lambda node, decode: int(node["v"], 16),
    "float": lambda node, decode: float(node["v"]),
    "complex": lambda node, decode: complex(*map(float, node["v"])),
    "bytes": lambda node, decode: base64.b64decode(node["v"], validate=True),
    "bytearray": lambda node, decode: bytearray(base64.b64decode(node["v"], validate=True)),
    "dtype": lambda node, decode: dtypes.by_name(node["v"]),
    "device": lambda node, decode: device(node["v"]),
    "dict": _mapping(dict),
    "OrderedDict": _mapping(OrderedDict),
    "Counter": _mapping(Counter),
    **{
        name: lambda node, decode, kind=kind: kind(decode(part) for part in node["v"])
        for name, kind in MAKERS.items()
    },
}


def decode(node, fetch: Callable):
    """The data of a JSON value; `fetch(number)` returns the tensor or array of an entry.

    Raises: KeyError, TypeError or ValueError for what no Encoder writes.
    """

    # No closure over itself: that would keep the tensors alive until the garbage collector runs.
    inner = functools.partial(decode, fetch=fetch)
    if isinstance(node, list):
        return [inner(part) for part in node]
    if not isinstance(node, dict):
        return node
    if "$" not in node:
        return {key: inner(part) for key, part in node.items()}
    if node["$"] == "data":
        return fetch(node["v"])
    return DECODERS[node["$"]](node, inner)
