"""The tensors of a checkpoint: first described and checked, all of them; then given memory.

While the pickle runs, storages are only noted and tensors have no memory. `Builder.bind` gives it to them
when the whole file is known to be sound.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mezzo import dtypes
from mezzo.core.layout import Size, layout
from mezzo.core.tensor import Tensor
from mezzo.devices import cpu, meta
from mezzo.io import arrays
from mezzo.io.unpickle import Machine, Malformed, Name, Refused
from mezzo.nn.parameter import Parameter

_LIMIT = 1 << 63
_AXES = 64


@dataclass(frozen=True)
class StorageType:
    """What a pickle calls the type of a storage; dtype None: bytes."""

    called: str
    dtype: dtypes.dtype | None


@dataclass(frozen=True)
class Storage:
    """A storage that a pickle refers to: `nbytes` of the storage `key`, from byte `start`."""

    key: str
    dtype: dtypes.dtype | None
    nbytes: int
    location: str
    start: int = 0
    called = "a bare storage"

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize if self.dtype is not None else 1


@dataclass(frozen=True)
class Binding:
    """A tensor that has no memory yet, and where in which storage its first element lies, in bytes."""

    tensor: Tensor
    storage: Storage
    offset: int


class Builder:
    """Notes the storages and tensors that a pickle makes. storages: by key, in the order of appearance."""

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        self.views: dict[str, Storage] = {}
        self.bindings: dict[int, Binding] = {}
        self.attributes: dict[int, dict] = {}

    # ---- what the machine asks

    def persistent(self, machine: Machine, saved) -> Storage:
        """The storage of ("storage", type, key, location, elements[, view])."""
        if type(saved) is not tuple or len(saved) not in (5, 6) or saved[0] != "storage":
            raise Malformed("it refers to something that is no storage")
        _, kind, key, location, numel = saved[:5]
        if type(kind) is Name:
            raise unknown_dtype(kind.called)
        if type(kind) is not StorageType or type(key) is not str or type(location) is not str:
            raise Malformed("it describes a storage in a foreign way")
        size = kind.dtype.itemsize if kind.dtype is not None else 1
        if not _is_size(numel) or numel * size >= _LIMIT:
            raise Malformed(f"storage {key[:40]!r} has a size that is no number")
        found = Storage(key, kind.dtype, numel * size, location)
        if self.storages.setdefault(key, found) != found:
            raise Malformed(f"storage {key[:40]!r} is described in two ways")
        machine.count()
        return self._part(found, saved[5]) if len(saved) == 6 and saved[5] is not None else found

    def _part(self, whole: Storage, view) -> Storage:
        """A storage that is a part of another, as files before PyTorch 0.4 have them."""
        if type(view) is not tuple or len(view) != 3 or type(view[0]) is not str:
            raise Malformed("it describes a part of a storage in a foreign way")
        key, offset, numel = view
        size = whole.itemsize
        if not _is_size(offset) or not _is_size(numel) or (offset + numel) * size > whole.nbytes:
            raise Malformed(f"a part of storage {whole.key[:40]!r} lies outside of it")
        part = Storage(whole.key, whole.dtype, numel * size, whole.location, offset * size)
        if self.views.setdefault(key, part) != part:
            raise Malformed(f"storage {key[:40]!r} is described in two ways")
        return part

    def build(self, machine: Machine, value, state) -> None:
        """Set the state of an object: attributes of an OrderedDict, contents of an array."""
        if arrays.build(machine, value, state):
            return
        if type(value) is not OrderedDict or type(state) is not dict:
            raise Malformed(f"a {type(value).__name__} is given a state")
        for name, part in state.items():
            if type(name) is not str or hasattr(OrderedDict, name):
                raise Malformed("a dict is given foreign attributes")
            setattr(value, name, part)

    # ---- tensors

    def tensor(self, machine, storage, offset, size, stride, requires_grad, dtype) -> Tensor:
        """A tensor over a storage, without memory for now."""
        if type(storage) is not Storage:
            raise Malformed("a tensor has no storage")
        dtype = dtype or storage.dtype or dtypes.uint8
        made = _blank(Tensor, dtype, size, stride, requires_grad, cpu)
        reach = made.layout.extent()[1] // dtype.itemsize
        if not _is_size(offset) or (offset + reach) * dtype.itemsize > storage.nbytes:
            raise Malformed(
                f"a tensor of size {tuple(size)}, stride {tuple(stride)} and offset {offset} lies outside of "
                f"its storage {storage.key[:40]!r} of {storage.nbytes} bytes"
            )
        if storage.start % dtype.itemsize:
            raise Malformed(f"a tensor in storage {storage.key[:40]!r} is not aligned")
        return self._note(machine, made, storage, storage.start + offset * dtype.itemsize)

    def meta(self, machine, dtype, size, stride, requires_grad) -> Tensor:
        """A tensor without data."""
        machine.count()
        return _blank(Tensor, known_dtype(dtype), size, stride, requires_grad, meta)

    def parameter(self, machine, data, requires_grad) -> Parameter:
        """A parameter over the memory of a tensor."""
        if type(data) is not Tensor:
            raise Malformed("a parameter has no tensor")
        plain = data.layout
        made = _blank(
            Parameter, plain.dtype, plain.shape, plain.strides, requires_grad, plain.device
        )
        bound = self.bindings.get(id(data))
        return made if bound is None else self._note(machine, made, bound.storage, bound.offset)

    def _note(self, machine, made, storage: Storage, offset: int):
        machine.count()
        self.bindings[id(made)] = Binding(made, storage, offset)
        return made

    def annotate(self, tensor: Tensor, state) -> Tensor:
        """Give a tensor attributes, as PyTorch does with those that users set."""
        state = state[0] if type(state) is tuple and len(state) == 2 and not state[1] else state
        if state is None or state == {}:
            return tensor
        if type(state) is not dict or id(tensor) in self.attributes:
            raise Malformed("a tensor has a foreign state")
        for name in state:
            if type(name) is not str or name.startswith("__") or hasattr(type(tensor), name):
                raise Malformed("a tensor is given an attribute that tensors have already")
        self.attributes[id(tensor)] = state
        return tensor

    # ---- memory

    def bind(self, read: Callable[[list[Storage]], list[Tensor]], place) -> None:
        """Give every tensor its memory. read: the bytes of storages; place: where map_location wants them."""
        used = list(
            {b.storage.key: self.storages[b.storage.key] for b in self.bindings.values()}.values()
        )
        wanted = [s for s in used if place.target(s.location) is not meta]
        bases: dict[str, Tensor] = {}
        for storage, base in zip(wanted, read(wanted)):
            bases[storage.key] = place.put(base, storage.location)
        for tensor, storage, offset in (
            (b.tensor, b.storage, b.offset) for b in self.bindings.values()
        ):
            plain = tensor.layout
            base = bases.get(storage.key)
            device = meta if base is None else base.device
            if device is not plain.device:
                tensor.layout = layout(plain.shape, plain.strides, plain.dtype, device)
            if base is not None and base.storage is not None:
                tensor.storage, tensor.ptr = base.storage, base.ptr + offset
        for bound in self.bindings.values():
            bound.tensor.__dict__.update(self.attributes.get(id(bound.tensor), {}))


def _blank(kind: type, dtype, size, stride, requires_grad, device):
    """A tensor of that layout and without memory."""
    if type(size) not in (tuple, Size) or type(stride) not in (tuple, Size):
        raise Malformed("a tensor has no sizes or strides")
    if len(size) != len(stride) or len(size) > _AXES or not all(map(_is_size, (*size, *stride))):
        raise Malformed("a tensor has sizes or strides that are no numbers or do not fit together")
    made = object.__new__(kind)
    made.layout = layout(size, stride, dtype, device)
    if made.layout.nbytes >= _LIMIT:
        raise Malformed("a tensor has more elements than can be counted")
    made.storage, made.ptr, made.auto, made.base = None, 0, None, None
    if type(requires_grad) is not bool:
        raise Malformed("a tensor does not say whether it requires a gradient")
    if requires_grad:
        if dtype.category < dtypes.FLOAT:
            raise Malformed(f"a tensor of dtype {dtype.name} requires a gradient")
        made.requires_grad = True
    return made


def _is_size(value) -> bool:
    return type(value) is int and 0 <= value < _LIMIT


def known_dtype(value) -> dtypes.dtype:
    """value, if it is one of mezzo's dtypes."""
    if type(value) is Name:
        raise unknown_dtype(value.called)
    if type(value) is not dtypes.dtype:
        raise Malformed("a tensor has no dtype")
    return value


def unknown_dtype(name: str) -> Refused:
    """The error for a dtype of PyTorch's that mezzo does not have."""
    return Refused(
        f"holds a tensor of {name}, which mezzo does not have; it has "
        f"{', '.join(d.name for d in dtypes.ALL)}. Convert it where PyTorch is, with tensor.to(...)."
    )
