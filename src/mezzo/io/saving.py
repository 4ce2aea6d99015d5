"""Writes PyTorch's zip archives."""

from __future__ import annotations

import sys

from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError
from mezzo.io import archive
from mezzo.io.layout import plan
from mezzo.io.names import STORAGE_OF
from mezzo.io.pickled import Call, Collector, Global, Stored, Writer, tensor_call
from mezzo.io.source import checksums
from mezzo.nn.parameter import Parameter

_FOLDER = "archive"


def save_archive(file, obj) -> None:
    """Write obj to a file opened for writing, front to back, as PyTorch's weights_only reader takes it."""
    collector = Collector()
    try:
        collector.visit(obj, "obj")
    except RecursionError:
        raise ArgumentValueError("save: the data are nested too deeply.") from None
    tensors = [t.detach() if t.is_meta else t.detach().cpu() for t in collector.tensors]
    numbers = {id(tensor): number for number, tensor in enumerate(collector.tensors)}
    real = [number for number, tensor in enumerate(tensors) if not tensor.is_meta]
    segments, found = plan([tensors[number] for number in real])
    places = dict(zip(real, found))

    def describe(tensor: Tensor) -> Call:
        number = numbers[id(tensor)]
        if number not in places:
            return tensor_call(tensor, None, 0, True, tensor.requires_grad, is_parameter(tensor))
        index, offset = places[number]
        segment = segments[index]
        typed = segment.dtype is not None
        size = segment.dtype.itemsize if typed else 1
        kind = (
            ("torch", STORAGE_OF[segment.dtype]) if typed else ("torch.storage", "UntypedStorage")
        )
        parts = ("storage", Global(kind), str(index), _location(tensor), segment.nbytes // size)
        step = offset // tensor.itemsize
        plain, stored, grad = tensors[number], Stored(parts), tensor.requires_grad
        return tensor_call(plain, stored, step, typed, grad, is_parameter(tensor))

    pickle = Writer(describe).dump(obj)
    contents = [segment.content() for segment in segments]
    writer = archive.Writer(file)
    writer.add(f"{_FOLDER}/data.pkl", pickle)
    writer.add(f"{_FOLDER}/byteorder", sys.byteorder.encode())
    for index, (content, crc) in enumerate(zip(contents, checksums(contents))):
        writer.add(f"{_FOLDER}/data/{index}", content, crc)
    writer.add(f"{_FOLDER}/version", b"3\n")
    writer.close()


def is_parameter(tensor: Tensor) -> bool:
    """Whether it is loaded as a Parameter again."""
    return isinstance(tensor, Parameter)


def _location(tensor: Tensor) -> str:
    return str(tensor.device)
