"""safetensors: flat dicts of tensors in the format that other frameworks read.

    0   u64    length of the header
    8   JSON   {name: {"dtype", "shape", "data_offsets": [from, to]}, ..., "__metadata__": {str: str}}
    ..         the data, without gaps; offsets count from here

Tensors that are the same memory are written once and tied again when mezzo loads the file.
Source: github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import math
import os
import struct

import numpy as np
import safetensors

from mezzo import dtypes
from mezzo.core.layout import dense
from mezzo.core.tensor import Tensor, view
from mezzo.errors import ArgumentTypeError, FileFormatError
from mezzo.io.atomic import replacing
from mezzo.io.place import Placement
from mezzo.io.source import Extent, Source

SUFFIX = ".safetensors"
TIED = "mezzo.tied"  # in the metadata: JSON of {name left out: name of the same tensor}
_METADATA = "__metadata__"
_HEADER_LIMIT = 100_000_000  # bytes, as the format says
_DTYPES = {
    "BOOL": dtypes.bool_, "U8": dtypes.uint8, "I8": dtypes.int8, "I16": dtypes.int16,
    "I32": dtypes.int32, "I64": dtypes.int64, "F16": dtypes.float16, "BF16": dtypes.bfloat16,
    "F32": dtypes.float32, "F64": dtypes.float64, "C64": dtypes.complex64,
}  # fmt: skip
_WRITABLE = set(_DTYPES.values())


def save_file(tensors: dict[str, Tensor], filename, metadata: dict[str, str] | None = None) -> None:
    """Write a flat dict of tensors to a safetensors file, atomically."""
    check_flat(tensors, "save_file")
    with replacing(filename) as temporary:
        write(tensors, temporary, metadata)


def write(tensors: dict[str, Tensor], path: str, metadata: dict[str, str] | None) -> None:
    """Write a flat dict of tensors to `path`, which may be left half-written."""
    arrays, tied = _unique(tensors)
    metadata = dict(metadata or {})
    if tied:
        metadata[TIED] = json.dumps(tied)
    specs = {name: _spec(array) for name, array in arrays.items()}
    safetensors.serialize_file(specs, path, metadata=metadata or None)


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


def check_flat(tensors, operation: str) -> None:
    """Raise unless `tensors` is a dict from str to Tensor."""
    advice = "safetensors and files in several parts hold a flat dict of tensors. Save other data with save(obj, 'name.pt')."
    if not isinstance(tensors, dict):
        raise ArgumentTypeError(
            f"{operation}: argument 1 (tensors) is a {type(tensors).__name__}; {advice}"
        )
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ArgumentTypeError(
                f"{operation}: entry {name!r} is a {type(tensor).__name__}; {advice}"
            )


def _unique(tensors) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The distinct tensors as dense arrays, and which other names mean the same tensor."""
    arrays, tied, seen = {}, {}, {}
    for name, tensor in tensors.items():
        if tensor.dtype not in _WRITABLE:
            raise ArgumentTypeError(
                f"save_file: {name!r} has dtype {tensor.dtype.name}, which safetensors does not have. "
                "Save it with save(obj, 'name.pt')."
            )
        array = tensor.detach().cpu().numpy()
        pointer = array.__array_interface__["data"][0]
        key = (pointer, array.shape, array.strides, array.dtype.name)
        if array.size and key in seen:
            tied[name] = seen[key]
            continue
        seen[key] = name
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    return arrays, tied


# ---- reading


def load_file(filename, device="cpu", *, mmap: bool = False) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name.

    device: where to. mmap: map the file instead of reading it; writes stay private.

    Raises: FileFormatError for any other file
    """
    name = os.fspath(filename)
    place = Placement(device)
    try:
        file = open(name, "rb", buffering=0)
    except FileNotFoundError:
        raise FileNotFoundError(f"load: there is no file {name!r}.") from None
    with file:
        return load_source(Source(file, repr(name)), place, mmap)


def load_source(source: Source, place: Placement, mapped: bool) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name."""
    entries, metadata = _header(source)
    aliases = _aliases(source, metadata, entries)
    names = list(entries)
    found: dict[str, Tensor] = {}
    if names and place.target("cpu") is not None and place.target("cpu").type == "meta":
        bases: list = [None] * len(names)
    elif mapped:
        alignments = [entries[name][0].itemsize for name in names]
        bases = source.map([entries[name][2] for name in names], alignments)
    else:
        bases = source.allocate([entries[name][2] for name in names])
    for name, base in zip(names, bases):
        dtype, shape, _ = entries[name]
        where = place.target("cpu") if base is None else (base := place.put(base, "cpu")).device
        found[name] = _tensor(base, dense(shape, dtype, where))
    return found | {alias: found[kept] for alias, kept in aliases.items()}


def _tensor(base: Tensor | None, layout) -> Tensor:
    if base is not None:
        return view(base, layout)
    made = object.__new__(Tensor)
    made.layout, made.storage, made.ptr, made.auto, made.base = layout, None, 0, None, None
    return made


def _header(source: Source) -> tuple[dict[str, tuple], dict[str, str]]:
    """({name: (dtype, shape, extent)} in the order of the data, metadata), all checked."""
    if source.size < 8:
        raise _broken(source, f"it has {source.size} bytes")
    (length,) = struct.unpack("<Q", source.read(0, 8))
    if length > min(_HEADER_LIMIT, source.size - 8):
        raise _broken(source, f"its header of {length} bytes does not fit into it")
    try:
        header = json.loads(source.read(8, length).decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as problem:
        raise _broken(source, f"its header is not JSON: {str(problem)[:100]}") from None
    if type(header) is not dict:
        raise _broken(source, "its header is no JSON object")
    metadata = header.pop(_METADATA, {})
    if type(metadata) is not dict or not all(type(text) is str for text in metadata.values()):
        raise _broken(source, "its metadata are no texts")
    listed = [(_offsets(source, name, entry), name, entry) for name, entry in header.items()]
    found, reached = {}, 0
    for (low, high), name, entry in sorted(listed, key=lambda item: item[0]):
        if low != reached or high < low:
            raise _broken(source, f"tensor {name[:60]!r} does not follow the one before it")
        reached = high
        dtype, shape = _described(source, name, entry, high - low)
        found[name] = (dtype, shape, Extent(8 + length + low, high - low))
    if 8 + length + reached != source.size:
        raise _broken(source, f"it has {source.size} bytes and should have {8 + length + reached}")
    return found, metadata


def _once(pairs: list[tuple]) -> dict:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands there twice")
    return made


def _offsets(source: Source, name: str, entry) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if type(entry) is dict else None
    if type(offsets) is not list or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise _broken(source, f"tensor {name[:60]!r} has no place in it")
    return offsets[0], offsets[1]


def _described(source: Source, name: str, entry: dict, nbytes: int) -> tuple[dtypes.dtype, tuple]:
    """(dtype, shape) of a tensor, which must make that many bytes."""
    code, shape = entry.get("dtype"), entry.get("shape")
    if type(code) is not str or type(shape) is not list or not all(map(_is_size, shape)):
        raise _broken(source, f"tensor {name[:60]!r} has no dtype or shape")
    if code not in _DTYPES:
        raise FileFormatError(
            f"load: tensor {name[:60]!r} of {source.name} has dtype {code[:20]}, which mezzo does not have; "
            f"it reads {', '.join(_DTYPES)}. Convert it where the file was made."
        )
    dtype = _DTYPES[code]
    if len(shape) > 64 or math.prod(shape) * dtype.itemsize != nbytes:
        raise _broken(
            source, f"tensor {name[:60]!r} has {nbytes} bytes, and its shape needs others"
        )
    return dtype, tuple(shape)


def _is_size(value) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _aliases(source: Source, metadata: dict[str, str], entries: dict) -> dict[str, str]:
    """{name left out: name of the same tensor} of files that mezzo wrote."""
    try:
        aliases = json.loads(metadata.get(TIED, "{}"))
        sound = all(
            type(kept) is str and kept in entries and alias not in entries
            for alias, kept in aliases.items()
        )
    except (ValueError, RecursionError, AttributeError):
        sound = False
    if not sound:
        raise FileFormatError(
            f"load: {source.name} has a malformed {TIED!r} entry in its metadata."
        )
    return aliases


def _broken(source: Source, what: str) -> FileFormatError:
    return FileFormatError(
        f"load: {source.name} is no whole safetensors file ({what}). It may be truncated or of another kind."
    )
