"""Reads the data of a native file (format.py): tensors of one segment share its memory again."""

from __future__ import annotations

from mezzo import ops
from mezzo.core.tensor import Tensor
from mezzo.io.format import NUMPY, Reader
from mezzo.io.place import Placement
from mezzo.io.tree import decode
from mezzo.nn.parameter import Parameter


def load_native(file, name: str, place: Placement, mapped: bool):
    """The data of a native file. Raises: FileFormatError where it is damaged."""
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


def _restore(reader: Reader, number: int, bases: dict, place: Placement):
    """The tensor or array of an entry; tensors of one segment and dtype are views of one tensor."""
    kind, dtype, _, segment, offset, strides, grad = reader.entries[number]
    array = reader.array(number)
    if kind == "array":
        return array
    if kind == "scalar":
        return array[()]
    size = array.itemsize
    shared = reader.tenants[segment] > 1 and array.size
    whole = shared and len(reader.segment(segment)) % size == 0
    if whole and all(step >= 0 and step % size == 0 for step in strides):
        key = (segment, dtype)
        if key not in bases:
            bases[key] = place.move(ops.from_numpy(reader.segment(segment).view(NUMPY[dtype])))
        steps = [step // size for step in strides]
        tensor = bases[key].as_strided(array.shape, steps, offset // size)
    else:
        tensor = place.move(ops.from_numpy(array))
    if kind == "parameter":
        return Parameter(tensor, grad)
    return tensor.requires_grad_(True) if grad else tensor
