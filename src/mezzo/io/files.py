"""save and load: nested data with tensors to a path or an open file, and back."""

from __future__ import annotations

import io
import os

from mezzo.errors import ArgumentTypeError, ArgumentValueError, FileFormatError, UnsupportedError
from mezzo.io import archive, safe, shards
from mezzo.io.atomic import replacing
from mezzo.io.checkpoint import load_archive, load_legacy
from mezzo.io.format import MAGIC
from mezzo.io.native import load_native
from mezzo.io.place import Placement
from mezzo.io.saving import save_archive
from mezzo.io.source import Source

_ENCODINGS = ("utf-8", "utf8", "ascii", "latin1", "latin-1", "bytes")
# What is often found under the name of a checkpoint.
_FOREIGN = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself. Fetch that with `git lfs pull`.",
    b"<": "is a web page: the download went wrong.",
    b"\x1f\x8b": "is compressed by gzip. Unpack it first.",
    b"\x89HDF": "is an HDF5 file, such as Keras writes.",
}


def save(
    obj,
    f,
    pickle_module=None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    *,
    max_shard_size: int | str = "5GB",
) -> None:
    """Write `obj` (nested dicts, lists, tuples, numbers, strings, tensors, arrays) to `f`.

    f is a path, which is replaced at once when all is written, or a file opened for binary writing. The
    format is PyTorch's, which torch.load(weights_only=True) reads; memory that tensors share is written
    once. A path that ends in .safetensors gets a flat dict of tensors in that format; one that ends in
    .safetensors.index.json or .bin.index.json gets files of at most max_shard_size beside it.

    Raises: TypeError for objects that are no plain data
    Source: torch.save
    Example: >>> save({"model": net.state_dict(), "epoch": 3}, "checkpoint.pt")
    """
    if pickle_module is not None or pickle_protocol != 2 or not _use_new_zipfile_serialization:
        raise UnsupportedError(
            "save: only PyTorch's current format is written, as pickle protocol 2. Leave pickle_module, "
            "pickle_protocol and _use_new_zipfile_serialization away."
        )
    if hasattr(f, "write"):
        save_archive(f, obj)
        return
    name = _path(f, "save")
    if name.endswith(safe.SUFFIX):
        safe.save_file(obj, name)
    elif name.endswith(shards.SUFFIX):
        shards.save(obj, name, max_shard_size)
    else:
        with replacing(name) as temporary, open(temporary, "wb") as file:
            save_archive(file, obj)


def load(
    f,
    map_location=None,
    pickle_module=None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = False,
    encoding: str = "utf-8",
):
    """The data in `f`, a path or a file opened for binary reading.

    Reads PyTorch's files (zip archives and those of before 1.6), safetensors, the index of either in
    several files, and mezzo's own older format. Pickles are run by a machine that knows tensors and plain
    data and nothing else (docs/files.md), also with weights_only=False.

    map_location: None, a device, a dict {saved: wanted}, or function(storage, saved) -> storage or None.
    mmap: map the file and read pages when they are touched; writes stay private and checksums are not
    compared. encoding: of str objects that Python 2 pickled.

    Raises: FileFormatError for foreign, truncated, damaged or malicious files
    Source: torch.load
    """
    if pickle_module is not None:
        raise UnsupportedError(
            "load: pickle_module is given, and mezzo runs no pickle module. Leave it away."
        )
    if encoding not in _ENCODINGS:
        raise ArgumentValueError(
            f"load: argument encoding is {encoding!r}; it must be one of {', '.join(_ENCODINGS)}."
        )
    place = Placement(map_location)
    if hasattr(f, "read"):
        if mmap:
            raise ArgumentValueError("load: mmap=True needs a path, and got an open file.")
        seekable = hasattr(f, "seek") and getattr(f, "seekable", lambda: True)()
        source = Source(
            f if seekable else io.BytesIO(f.read()), getattr(f, "name", None) or "the file"
        )
        found = _load(source, place, False, encoding)
        source.leave()
        return found
    name = _path(f, "load")
    if name.endswith(shards.SUFFIX):
        return shards.load(name, lambda shard: _load_path(shard, place, bool(mmap), encoding))
    return _load_path(name, place, bool(mmap), encoding)


def _load_path(name: str, place: Placement, mapped: bool, encoding: str):
    try:
        file = open(name, "rb", buffering=0)  # what is read goes straight to its place
    except FileNotFoundError:
        raise FileNotFoundError(f"load: there is no file {name!r}.") from None
    with file:
        return _load(Source(file, repr(name)), place, mapped, encoding)


def _load(source: Source, place: Placement, mapped: bool, encoding: str):
    """The data of a file of any format, known by how it starts."""
    start = source.read(0, min(source.size, 300))
    if start.startswith((archive.MAGIC, archive.EMPTY)):
        return load_archive(source, place, mapped, encoding)
    if start.startswith(b"\x80"):
        if mapped:
            raise source.refused(
                "is of before PyTorch 1.6, and such files cannot be mapped: mmap can only be used with "
                "zip archives. Load it without mmap, or save it again with torch.save."
            )
        return load_legacy(source, place, encoding)
    if start.startswith(MAGIC) or (start and MAGIC.startswith(start)):
        source.file.seek(source.start)
        return load_native(source.file, source.name, place, mapped)
    if start[8:9] == b"{":
        return safe.load_source(source, place, mapped)
    raise _foreign(source, start)


def _foreign(source: Source, start: bytes) -> FileFormatError:
    """The error that says what a file is that is not read."""
    if not start:
        return source.refused("is empty, or has been read to its end: then call seek(0).")
    if start[257:262] == b"ustar":
        return source.refused(
            "is a tar archive, as PyTorch wrote in 2016. Save it again with a PyTorch that reads it."
        )
    for beginning, what in _FOREIGN.items():
        if start.startswith(beginning):
            return source.refused(what)
    return source.refused(
        "is not a file of PyTorch's, of safetensors or of mezzo's. It may be damaged at its start."
    )


def _path(f, operation: str) -> str:
    try:
        name = os.fspath(f)
    except TypeError:
        raise ArgumentTypeError(
            f"{operation}: argument f is a {type(f).__name__}; it must be a path, or a file opened in binary mode."
        ) from None
    return os.fsdecode(name)
