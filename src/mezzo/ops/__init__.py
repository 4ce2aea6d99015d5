"""The records, by family. Importing this package makes them all and attaches them to Tensor."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from types import ModuleType

import numpy as np

from mezzo.core.record import REGISTRY, Record, update, update_bound
from mezzo.core.short import offers
from mezzo.core.tensor import Tensor

# Every file of this folder is a family of records: adding one needs no list.
MODULES = {
    m.name: importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)
}


def _inplace(record: Record):
    tails = record.tails

    def method(self, *args, **kwargs):
        offers.begin(record)
        if not kwargs and (tail := tails.get(len(args) + 1)) is not None:
            return update_bound(record, (self, *args, *tail))
        return update(record, self, *args, **kwargs)

    method.__name__ = record.name + "_"
    method.__doc__ = f"{record.name} in place: the result replaces the tensor's values."
    return method


_BINARY = (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
    "matmul",
)
_COMPARE = ("eq", "ne", "lt", "le", "gt", "ge")
_OPERANDS = (Tensor, int, float, complex, np.generic)


def _operator(record: Record, name: str):
    """The method for an operator; operands of other types get their own say (NotImplemented)."""
    plain = name.strip("_")

    def forward(self, other):
        return record(self, other) if isinstance(other, _OPERANDS) else NotImplemented

    def reflected(self, other):
        return record(other, self) if isinstance(other, _OPERANDS) else NotImplemented

    if plain in _BINARY or plain in _COMPARE:
        method = forward
    elif plain.startswith("r") and plain[1:] in _BINARY:
        method = reflected
    else:
        offers.offer(name, record, record)
        return record
    method.__name__, method.__doc__ = name, record.__doc__
    offers.offer(name, method, record, swap=method is reflected)
    return method


def install(record: Record) -> None:
    """Give Tensor the methods and operators that a record declares."""
    names = _plain_names(record)
    if "Tensor" in record.where:
        for name in names:
            setattr(Tensor, name, record)
            offers.offer(name, record, record)
    if record.has_inplace:
        method = _inplace(record)
        for name in names:
            setattr(Tensor, name + "_", method)
            offers.offer(name + "_", method, record)
    for name in record.operators:
        setattr(Tensor, name, _operator(record, name))
        if record.has_inplace and (plain := name.strip("_")) in _BINARY:
            setattr(Tensor, f"__i{plain}__", method)
            offers.offer(f"__i{plain}__", method, record)


def _plain_names(record: Record) -> tuple[str, ...]:
    return (record.name, *(a for a in record.aliases if "." not in a))


def namespace(place: str) -> dict[str, object]:
    """The public functions of one place: "mezzo", "nn.functional", "linalg", "special", ...

    An alias with a dot ("special.expit") is public at that place only.
    """
    found: dict[str, object] = {}
    for record in REGISTRY.values():
        names = [a.rpartition(".")[2] for a in record.aliases if a.rpartition(".")[0] == place]
        if place in record.where:
            names += _plain_names(record)
            if (
                record.has_inplace
                and len(record.operands) == 1
                and place in ("mezzo", "nn.functional")
            ):
                found.update({f"{name}_": getattr(Tensor, f"{name}_") for name in names})
        found.update(dict.fromkeys(names, record))
    return found


def place(name: str) -> ModuleType:
    """A public module made of the records of one place (mezzo.linalg, mezzo.special)."""
    made = ModuleType(f"mezzo.{name}", f"Functions of torch.{name}.")
    made.__dict__.update(namespace(name))
    sys.modules[made.__name__] = made
    return made


for _record in list(REGISTRY.values()):
    install(_record)
for _name in ("item", "__bool__", "__int__", "__float__"):
    offers.offer(_name, Tensor.__dict__[_name])
offers.offer("__getitem__", Tensor.__dict__["__getitem__"], free={1: offers.INDEX})
# What is written is filled in: a number is free where it is for those who do that.
_filled = (offers.free_of(REGISTRY["fill"])[1], offers.free_of(REGISTRY["masked_fill"])[2])
offers.offer("__setitem__", Tensor.__dict__["__setitem__"], free={1: offers.INDEX, 2: (*_filled[0], *_filled[1])})  # fmt: skip

# Every record is an attribute of this package, so that the floors above say ops.relu, ops.conv2d.
globals().update(dict(REGISTRY.items()))
for _record in list(REGISTRY.values()):
    globals().update(dict.fromkeys(_plain_names(_record), _record))
for _name in ("tensor", "as_tensor", "from_numpy", "scalar_tensor"):
    globals()[_name] = getattr(MODULES["data"], _name)
