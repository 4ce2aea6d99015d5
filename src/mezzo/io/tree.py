"""Nested Python data from JSON, as native files hold them. Nothing that comes out is run.

A JSON object with the key "$" stands for what JSON has no word for: {"$": "tuple", "v": [...]}.
Tensors and arrays are numbers of entries in a table that the caller keeps.
"""

from __future__ import annotations

import base64
import functools
from collections import Counter, OrderedDict
from collections.abc import Callable

from mezzo import dtypes
from mezzo.devices import device

MAKERS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


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

    Raises: KeyError, TypeError or ValueError for what no file of mezzo's holds.
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
