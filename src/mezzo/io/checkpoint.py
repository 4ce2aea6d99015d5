"""PyTorch's checkpoints: zip archives (since 1.6), and the pickles one after another of before.

    archive     {folder}/data.pkl          the data; storages are named by keys
                {folder}/data/{key}        the bytes of a storage
                {folder}/byteorder         "little" (or absent) or "big"
    older       pickles of a magic number, a version, a dict of the writer's machine, the data, the list of keys;
                for each key the number of elements (int64) and the bytes of a storage, little-endian

A file is read in three steps: the pickle is run (unpickle.py) and describes tensors; storages are found in the
file and everything is compared; only then memory is allocated, or mapped, and filled.
"""

from __future__ import annotations

import contextlib
import struct

import numpy as np

from mezzo import dtypes
from mezzo.core.layout import Size
from mezzo.core.tensor import Tensor
from mezzo.devices import device
from mezzo.io import archive
from mezzo.io.names import NAMES
from mezzo.io.place import Placement
from mezzo.io.rebuild import Builder, Storage
from mezzo.io.source import Extent, Source
from mezzo.io.unpickle import Machine, Malformed, Refused, check_tree
from mezzo.nn.parameter import Parameter
from mezzo.settings import strided

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001
_LEAVES = (
    Tensor, Parameter, np.ndarray, type(None), bool, int, float, complex, str, bytes, bytearray, Size,
    dtypes.dtype, device, strided,
    *{np.dtype(code).type for code in np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?"},
)  # fmt: skip
_ALIGNMENT = 16  # of mapped storages: as large as an element can be
_PICKLE = "data.pkl"


@contextlib.contextmanager
def _named(source: Source):
    """Inner errors get the name of the file."""
    try:
        yield
    except Refused as problem:
        raise source.refused(str(problem)) from None
    except Malformed as problem:
        raise source.damaged(str(problem)) from None


def load_archive(source: Source, place: Placement, mapped: bool, encoding: str):
    """The data of a zip archive."""
    members = archive.directory(source)
    folder = _folder(source, members)
    pickle = members[f"{folder}/{_PICKLE}"]
    order = b"little"
    if f"{folder}/byteorder" in members:
        order = source.contents(_short(source, members[f"{folder}/byteorder"]))
        if order not in (b"little", b"big"):
            raise source.damaged(f"its byte order is {order[:20]!r}")
    builder = Builder()
    with _named(source):
        data = _run(source, pickle, builder, encoding)
        extents = {
            s.key: _found(s, members.get(f"{folder}/data/{s.key}"))
            for s in builder.storages.values()
        }

    def read(wanted: list[Storage]) -> list[Tensor]:
        places = [extents[storage.key] for storage in wanted]
        if mapped and order == b"little":
            return source.map(places, [_ALIGNMENT] * len(places))
        made = source.allocate(places)
        if order == b"big":
            for storage, base in zip(wanted, made):
                _swap(source, storage, base)
        return made

    builder.bind(read, place)
    return data


def _run(source: Source, pickle: Extent, builder: Builder, encoding: str):
    """The data that the pickle in an archive describes."""
    source.check([pickle])
    inner = source
    start = pickle.start
    if pickle.packed is not None or pickle.crc is not None:  # checked as a whole, then run
        inner, start = Source.over(source.contents(pickle), source.name), 0
    machine = Machine(inner, start, start + pickle.count, NAMES, builder, encoding)
    data = machine.run()
    check_tree(data, _LEAVES, builder.attributes)
    return data


def _folder(source: Source, members: dict[str, Extent]) -> str:
    """The folder that everything in an archive lies in."""
    folders = [name.removesuffix(f"/{_PICKLE}") for name in members if name.endswith(f"/{_PICKLE}")]
    folders = [name for name in folders if "/" not in name]
    if len(folders) != 1:
        raise source.refused(
            f"is a zip archive without a checkpoint of PyTorch's in it: of {len(members)} members "
            f"{len(folders)} are called <folder>/{_PICKLE}."
        )
    if f"{folders[0]}/constants.pkl" in members:
        raise source.refused(
            "is a TorchScript archive: a program, not data. Where PyTorch is, save the state_dict: "
            "torch.save(torch.jit.load(path).state_dict(), 'name.pt')."
        )
    return folders[0]


def _short(source: Source, extent: Extent) -> Extent:
    if extent.count > 100:
        raise source.damaged("its byte order is no word")
    return extent


def _found(storage: Storage, extent: Extent | None) -> Extent:
    """Where a storage's bytes are."""
    if extent is None:
        if not storage.nbytes:
            return Extent(0, 0)
        raise Malformed(f"storage {storage.key[:40]!r} is missing")
    if extent.count != storage.nbytes:
        raise Malformed(
            f"storage {storage.key[:40]!r} has {extent.count} bytes and should have {storage.nbytes}"
        )
    return extent


def _swap(source: Source, storage: Storage, base: Tensor) -> None:
    """Turn the bytes of a storage of a big-endian machine."""
    if storage.dtype is None:
        raise source.refused(
            "holds untyped storages of a big-endian machine. Save it again there as tensors."
        )
    size = storage.itemsize // (2 if storage.dtype.is_complex else 1)
    base.numpy().view(f"u{size}").byteswap(inplace=True)


# ---- older files


def load_legacy(source: Source, place: Placement, encoding: str):
    """The data of a file of before PyTorch 1.6; the source's file is left behind it."""
    builder = Builder()
    with _named(source):
        machine = Machine(source, 0, source.size, NAMES, builder, encoding)
        if not _is(machine.run(), LEGACY_MAGIC):
            raise Refused("is a pickle, and not one of PyTorch's. Save tensors with torch.save.")
        if not _is(machine.run(), LEGACY_VERSION) or type(machine.run()) is not dict:
            raise Malformed("its version is not that of PyTorch's files")
        data = machine.run()
        check_tree(data, _LEAVES, builder.attributes)
        extents = _storages(source, machine, builder)
    builder.bind(lambda wanted: source.allocate([extents[s.key] for s in wanted]), place)
    return data


def _is(value, wanted: int) -> bool:
    return type(value) is int and value == wanted


def _storages(source: Source, machine: Machine, builder: Builder) -> dict[str, Extent]:
    """Where the storages lie, which follow the list of their keys; leaves the file behind them."""
    keys = machine.run()
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise Malformed("the list of its storages is none")
    if sorted(keys) != sorted(builder.storages):
        raise Malformed("its storages are not those that the data refer to")
    extents, at = {}, machine.position
    for key in keys:
        storage = builder.storages[key]
        (numel,) = struct.unpack("<q", source.read(at, 8))
        if numel * storage.itemsize != storage.nbytes:
            raise Malformed(
                f"storage {key[:40]!r} has {numel} elements of {storage.itemsize} bytes and should have "
                f"{storage.nbytes} bytes"
            )
        extents[key] = Extent(at + 8, storage.nbytes)
        at += 8 + storage.nbytes
    source.check(list(extents.values()))
    source.end = at
    return extents
