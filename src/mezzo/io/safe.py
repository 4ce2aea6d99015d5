"""safetensors: flat dicts of tensors in the format that other frameworks read.

The package checks every file; the bytes are then read straight into the tensors' memory.
Tensors that are the same memory are written once and tied again when mezzo loads the file.
"""

from __future__ import annotations

import json
import os
import struct

import ml_dtypes
import numpy as np
import safetensors

from mezzo import ops
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError
from mezzo.io.atomic import replacing
from mezzo.io.format import FileFormatError, aligned

TIED = "mezzo.tied"  # in the metadata: JSON of {name left out: name of the same tensor}
_NUMPY = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "F16": "float16", "F32": "float32", "F64": "float64", "C64": "complex64",
}  # fmt: skip
NUMPY = {code: np.dtype(name) for code, name in _NUMPY.items()}
NUMPY["BF16"] = np.dtype(ml_dtypes.bfloat16)
_WRITABLE = {dtype.name for dtype in NUMPY.values()}


def save_file(tensors: dict[str, Tensor], filename, metadata: dict[str, str] | None = None) -> None:
    """Write a flat dict of tensors to a safetensors file, atomically."""
    arrays, tied = _unique(tensors)
    metadata = dict(metadata or {})
    if tied:
        metadata[TIED] = json.dumps(tied)
    specs = {name: _spec(array) for name, array in arrays.items()}
    with replacing(filename) as temporary:
        safetensors.serialize_file(specs, temporary, metadata=metadata or None)


def _spec(array: np.ndarray):
    """How the package wants a tensor described: by address, or in its older releases as bytes."""
    if hasattr(safetensors, "TensorSpec"):
        return safetensors.TensorSpec(
            dtype=array.dtype.name,
            shape=array.shape,
            data_ptr=array.__array_interface__["data"][0],
            data_len=array.nbytes,
        )
    return {"dtype": array.dtype.name, "shape": array.shape, "data": array.tobytes()}


def _unique(tensors) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The distinct tensors as dense arrays, and which other names mean the same tensor."""
    if not isinstance(tensors, dict):
        raise ArgumentTypeError(
            f"save_file: argument 1 (tensors) is a {type(tensors).__name__}; safetensors holds a flat "
            "dict of tensors. Save other data with save(obj, 'name.mz')."
        )
    arrays, tied, seen = {}, {}, {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ArgumentTypeError(
                f"save_file: entry {name!r} is a {type(tensor).__name__}; safetensors holds a flat "
                "dict from str to Tensor. Save other data with save(obj, 'name.mz')."
            )
        array = tensor.detach().cpu().numpy()
        if array.dtype.name not in _WRITABLE:
            raise ArgumentTypeError(
                f"save_file: {name!r} has dtype {array.dtype.name}, which safetensors does not have. "
                "Save it with save(obj, 'name.mz')."
            )
        pointer = array.__array_interface__["data"][0]
        key = (pointer, array.shape, array.strides, array.dtype.name)
        if array.size and key in seen:
            tied[name] = seen[key]
            continue
        seen[key] = name
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    return arrays, tied


def load_file(filename, device="cpu") -> dict[str, Tensor]:
    """The tensors of a safetensors file by name. Raises: FileFormatError for any other file."""
    name = os.fspath(filename)
    try:
        with safetensors.safe_open(name, framework="np") as checked:  # validates the whole header
            names, metadata = list(checked.keys()), checked.metadata() or {}
    except FileNotFoundError:
        raise FileNotFoundError(f"load: there is no file {name!r}.") from None
    except safetensors.SafetensorError as problem:
        raise FileFormatError(
            f"load: {name!r} is no whole safetensors file ({problem}). It may be truncated or of another "
            "kind."
        ) from None
    found: dict[str, Tensor] = {}
    with open(name, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        for key in sorted(names, key=lambda k: header[k]["data_offsets"][0]):
            array = _read(file, key, header[key], 8 + length, name)
            found[key] = ops.from_numpy(array).to(device)
    try:
        aliases = json.loads(metadata.get(TIED, "{}"))
        found.update({alias: found[kept] for alias, kept in aliases.items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FileFormatError(
            f"load: {name!r} has a malformed {TIED!r} entry in its metadata."
        ) from None
    return found


def _read(file, key: str, entry: dict, start: int, name: str) -> np.ndarray:
    """One tensor's bytes, in aligned memory of their own."""
    if entry["dtype"] not in NUMPY:
        raise FileFormatError(
            f"load: tensor {key!r} of {name!r} has dtype {entry['dtype']}, which mezzo does not have; "
            f"it reads {', '.join(NUMPY)}."
        )
    low, high = entry["data_offsets"]
    buffer = aligned(high - low)
    file.seek(start + low)
    if file.readinto(memoryview(buffer)) != high - low:
        raise FileFormatError(f"load: {name!r} ends within tensor {key!r}.")
    return buffer.view(NUMPY[entry["dtype"]]).reshape(entry["shape"])
