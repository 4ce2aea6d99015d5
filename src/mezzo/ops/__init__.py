"""The records, by family. Importing this package makes them all and attaches them to Tensor."""

from __future__ import annotations

import importlib
import pkgutil

from mezzo.core.record import REGISTRY, Record, update
from mezzo.core.tensor import Tensor

# Every file of this folder is a family of records: adding one needs no list.
MODULES = {m.name: importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)}


def _inplace(record: Record):
    def method(self, *args, **kwargs):
        return update(record, self, *args, **kwargs)

    method.__name__ = record.name + "_"
    method.__doc__ = f"{record.name} in place: the result replaces the tensor's values."
    return method


def _reflected(record: Record):
    def method(self, other):
        return record(other, self)

    return method


def _operator(record: Record, name: str) -> None:
    setattr(Tensor, name, _reflected(record) if name.startswith("__r") and name not in ("__rshift__",) else record)


def install(record: Record) -> None:
    """Give Tensor the methods and operators that a record declares."""
    names = (record.name, *record.aliases)
    if "Tensor" in record.where:
        for name in names:
            setattr(Tensor, name, record)
    if record.has_inplace:
        method = _inplace(record)
        for name in names:
            setattr(Tensor, name + "_", method)
    for name in record.operators:
        _operator(record, name)
        plain = name.strip("_")
        if record.has_inplace and not plain.startswith("r") and plain not in ("neg", "eq", "ne", "lt", "le", "gt", "ge"):
            setattr(Tensor, f"__i{plain}__", method)


def namespace(place: str) -> dict[str, object]:
    """The public functions of one place: "mezzo", "nn.functional", "linalg", "special", ..."""
    found: dict[str, object] = {}
    for record in REGISTRY.values():
        if place in record.where:
            found.update(dict.fromkeys((record.name, *record.aliases), record))
    return found


for _record in list(REGISTRY.values()):
    install(_record)

# Every record is an attribute of this package, so that the floors above say ops.relu, ops.conv2d.
globals().update({name: record for name, record in REGISTRY.items()})
for _record in list(REGISTRY.values()):
    globals().update(dict.fromkeys(_record.aliases, _record))
for _name in ("tensor", "as_tensor", "from_numpy", "scalar_tensor"):
    globals()[_name] = getattr(MODULES["create"], _name)
