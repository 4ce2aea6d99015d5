"""save and load: nested data with tensors to a path or an open file, and back."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable

import numpy as np

from mezzo import ops
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError, ArgumentValueError
from mezzo.io.atomic import replacing
from mezzo.io.format import MAGIC, NUMPY, FileFormatError, Reader, write
from mezzo.io.safe import load_file, save_file
from mezzo.io.tree import Encoder, decode
from mezzo.nn.parameter import Parameter

SUFFIX = ".safetensors"


def save(obj, f) -> None:
    """Write `obj` (nested dicts, lists, tuples, numbers, strings, tensors, arrays) to `f`.

    f is a path, which is replaced at once when all is written, or a file opened for binary writing.
    A path that ends in .safetensors gets a flat dict of tensors in that format.

    Example: >>> save({"model": net.state_dict(), "epoch": 3}, "checkpoint.mz")
    """
    if hasattr(f, "write"):
        _write(f, obj)
    elif os.fspath(f).endswith(SUFFIX):
        save_file(obj, f)
    else:
        arrays, kinds, tree = _collect(obj)  # before a file is made: most mistakes show here
        with replacing(f) as temporary, open(temporary, "wb") as file:
            write(file, arrays, kinds, tree)


def _write(file, obj) -> None:
    write(file, *_collect(obj))


def _collect(obj):
    """The arrays of all tensors in `obj`, what they are, and the tree that refers to them."""
    arrays: list[np.ndarray] = []
    kinds: list[tuple[str, bool]] = []
    numbers: dict[int, int] = {}
    alive = []  # objects whose ids are in `numbers` must not be freed meanwhile

    def store(value, path: str) -> int:
        if id(value) in numbers:
            return numbers[id(value)]
        kind, grad = "array", False
        if isinstance(value, Tensor):
            kind = "parameter" if isinstance(value, Parameter) else "tensor"
            grad = value.requires_grad
            if value.device.type == "meta":
                raise ArgumentValueError(f"save: {path} is on the meta device: it has no data.")
            array = value.detach().cpu().numpy()
        else:
            kind = "scalar" if isinstance(value, np.generic) else "array"
            array = np.asarray(value)
            if array.dtype.name not in NUMPY:
                raise ArgumentTypeError(
                    f"save: {path} is an array of dtype {array.dtype}; it must be one of "
                    f"{', '.join(NUMPY)}."
                )
            array = array.astype(array.dtype.newbyteorder("="), copy=False)
        numbers[id(value)] = len(arrays)
        alive.append(value)
        arrays.append(array)
        kinds.append((kind, grad))
        return numbers[id(value)]

    return arrays, kinds, Encoder(store).encode(obj, "obj")


def load(f, map_location=None, *, weights_only: bool = True, mmap: bool = False):
    """What save() wrote to `f`, a path or a file opened for binary reading; safetensors too.

    map_location: None, a device, a dict {saved: wanted}, or a function (tensor, "cpu") -> tensor.
    mmap: map the file and read pages when they are touched; writes stay private, and the data is not
    checksummed. weights_only is accepted: files hold plain data only, and nothing is ever unpickled.

    Raises: FileFormatError for foreign, truncated or damaged files.
    """
    place = _mover(map_location)
    if hasattr(f, "read"):
        if mmap:
            raise ArgumentValueError("load: mmap=True needs a path, and got an open file.")
        content = f.read()
        return _load(io.BytesIO(content), getattr(f, "name", "the file"), place, False)
    name = os.fspath(f)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(name, "rb"))
        except FileNotFoundError:
            raise FileNotFoundError(f"load: there is no file {name!r}.") from None
        if name.endswith(SUFFIX) or _is_safetensors(file):
            return {key: place(tensor) for key, tensor in load_file(name).items()}
        return _load(file, repr(name), place, mmap)


def _load(file, name: str, place: Callable, mapped: bool):
    _refuse_foreign(file, name)
    reader = Reader(file, name, mapped)
    made: dict[int, object] = {}
    bases: dict[tuple, Tensor] = {}

    def fetch(number: int):
        if number not in made:
            if type(number) is not int or not 0 <= number < len(reader.entries):
                raise ValueError(f"entry {number!r} does not exist")
            made[number] = _restore(reader, number, bases, place)
        return made[number]

    try:
        return decode(reader.tree, fetch)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as problem:
        raise reader.damaged(f"its tree is malformed ({problem!r})") from None


def _restore(reader: Reader, number: int, bases: dict, place: Callable):
    """The tensor or array of an entry; tensors of one segment and dtype are views of one tensor."""
    kind, dtype, shape, segment, offset, strides, grad = reader.entries[number]
    array = reader.array(number)[0]
    if kind == "array":
        return array
    if kind == "scalar":
        return array[()]
    size = array.itemsize
    shared = reader.tenants[segment] > 1 and array.size
    whole = shared and len(reader._segment(segment)) % size == 0
    if whole and all(step >= 0 and step % size == 0 for step in strides):
        key = (segment, dtype)
        if key not in bases:
            bases[key] = place(ops.from_numpy(reader._segment(segment).view(NUMPY[dtype])))
        steps = [step // size for step in strides]
        tensor = bases[key].as_strided(shape, steps, offset // size)
    else:
        tensor = place(ops.from_numpy(array))
    if kind == "parameter":
        return Parameter(tensor, grad)
    return tensor.requires_grad_(True) if grad else tensor


def _mover(where) -> Callable:
    """The function that brings a loaded tensor to where map_location says."""
    if where is None:
        return lambda tensor: tensor
    if isinstance(where, dict):
        target = where.get("cpu", "cpu")
        return lambda tensor: tensor.to(target)
    if callable(where) and not isinstance(where, type):
        return lambda tensor: where(tensor, "cpu")
    return lambda tensor: tensor.to(where)


def _is_safetensors(file) -> bool:
    """Whether the file starts as safetensors do: a length, then a JSON object."""
    start = file.read(9)
    file.seek(0)
    return len(start) == 9 and start[8:] == b"{" and not start.startswith(MAGIC)


def _refuse_foreign(file, name: str) -> None:
    """Say what a file is that is not mezzo's."""
    start = file.read(8)
    file.seek(0)
    if start == MAGIC or (start and MAGIC.startswith(start)):
        return
    if start.startswith((b"PK\x03\x04", b"\x80")):
        raise FileFormatError(
            f"load: {name} is a pickle, such as torch.save writes. Unpickling runs code, so mezzo does "
            "not. Convert it where PyTorch is: "
            "safetensors.torch.save_file(state_dict, 'name.safetensors')."
        )
    what = "is empty" if not start else "is not a mezzo or safetensors file"
    raise FileFormatError(f"load: {name} {what}.")
