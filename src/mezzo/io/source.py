"""Where files are read: checked reads at any place, tensors' memory filled or mapped from them.

Nothing is allocated before it is known that the file has the bytes for it.
"""

from __future__ import annotations

import io
import mmap
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mezzo import dtypes
from mezzo.core.layout import dense
from mezzo.core.storage import ExternalStorage
from mezzo.core.tensor import Tensor, array_over, empty
from mezzo.errors import FileFormatError
from mezzo.kernels.cpu import crc

_CHUNK = 1 << 20  # read, then checksummed while it is in the cache
_MUCH = 64 << 20  # bytes from which the checksum's kernel is worth loading
_INFLATED = 20  # compressed members may hold so many times their size


@dataclass(frozen=True)
class Extent:
    """Bytes in a file: from `start`, `count` of them, or `packed` bytes of deflate that give `count`.

    crc: the CRC-32 of the bytes, None where none was stored.
    """

    start: int
    count: int
    crc: int | None = None
    packed: int | None = None


class Source:
    """A file opened for binary reading, from where it stands to its end.

    name: how errors call it.
    """

    def __init__(self, file, name: str):
        self.file, self.name = file, name
        self.start = file.tell()
        self.size = file.seek(0, io.SEEK_END) - self.start
        file.seek(self.start)
        self.end = self.size  # where what was read ends
        self._mapping: np.ndarray | None = None

    @classmethod
    def over(cls, data: bytes, name: str) -> Source:
        """A source of bytes in memory."""
        return cls(io.BytesIO(data), name)

    def leave(self) -> None:
        """Put the file behind what was read, so that what follows can be read next."""
        self.file.seek(self.start + self.end)

    def damaged(self, what: str) -> FileFormatError:
        """The error that says what is wrong with the file."""
        return FileFormatError(
            f"load: {self.name} is damaged: {what}. Copy it again, or use an older checkpoint."
        )

    def refused(self, what: str) -> FileFormatError:
        """The error for a file that may be whole, and that is not read; `what` says what to do."""
        return FileFormatError(f"load: {self.name} {what}")

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes from `start`; raises where the file ends before."""
        if start < 0 or count < 0 or start + count > self.size:
            raise self.damaged(
                f"bytes {start} to {start + count} are needed, and it has {self.size}"
            )
        into = bytearray(count)
        self._fill(memoryview(into), start)
        return bytes(into)

    def _fill(self, into: memoryview, start: int) -> None:
        done = 0
        self.file.seek(self.start + start)
        while done < len(into):
            got = _read_into(self.file, into[done:])
            if not got:
                raise self.damaged(f"it ends at byte {start + done}")
            done += got

    def contents(self, extent: Extent) -> bytes:
        """The bytes of an extent that is small."""
        if extent.packed is None:
            data = self.read(extent.start, extent.count)
            if extent.crc is not None and zlib.crc32(data) != extent.crc:
                raise self.damaged(f"the checksum of bytes {extent.start} and on does not match")
            return data
        into = bytearray(extent.count)
        self._inflate(memoryview(into), extent)
        return bytes(into)

    def _copy(self, into: memoryview, extent: Extent, crc32: Callable[..., int]) -> None:
        """Bring an extent into memory, checking its checksum on the way."""
        if extent.packed is not None:
            self._inflate(into, extent)
            return
        found = 0
        for at in range(0, extent.count, _CHUNK):
            part = into[at : at + _CHUNK]
            self._fill(part, extent.start + at)
            if extent.crc is not None:
                found = crc32(part, found)
        if extent.crc is not None and found != extent.crc:
            raise self.damaged(f"the checksum of bytes {extent.start} and on does not match")

    def _inflate(self, into: memoryview, extent: Extent) -> None:
        stream, done, found = zlib.decompressobj(-15), 0, 0
        at, end = extent.start, extent.start + (extent.packed or 0)
        try:
            while not stream.eof:
                waiting = stream.unconsumed_tail
                if not waiting and at < end:
                    waiting = self.read(at, min(_CHUNK, end - at))
                    at += len(waiting)
                # One byte more than fits: more than was announced shows, and is never held.
                room = min(_CHUNK, len(into) - done + 1)
                piece = stream.decompress(waiting, room)
                if len(piece) > len(into) - done or not (piece or waiting or stream.eof):
                    break
                into[done : done + len(piece)] = piece
                done, found = done + len(piece), zlib.crc32(piece, found)
        except zlib.error as problem:
            raise self.damaged(f"a compressed part cannot be read ({problem})") from None
        if not stream.eof or done != len(into) or extent.crc not in (None, found):
            raise self.damaged(
                f"the compressed part at byte {extent.start} is not the {extent.count} bytes announced"
            )

    # ---- memory

    def allocate(self, extents: list[Extent]) -> list[Tensor]:
        """The bytes of extents, each in memory of its own, as uint8 tensors."""
        self.check(extents)
        made = [empty(dense((extent.count,), dtypes.uint8)) for extent in extents]
        jobs = [
            (memoryview(array_over(t.storage, t.ptr, t.layout)), extent)
            for t, extent in zip(made, extents)
            if extent.count
        ]
        crc32 = _crc32(sum(extent.count for extent in extents))
        for into, extent in jobs:
            self._copy(into, extent, crc32)
        return made

    def check(self, extents: list[Extent]) -> None:
        """Raise for extents outside the file, and for what would inflate beyond measure."""
        for extent in extents:
            length = extent.count if extent.packed is None else extent.packed
            if extent.start < 0 or length < 0 or extent.start + length > self.size:
                raise self.damaged(
                    f"bytes {extent.start} to {extent.start + length} are needed, and it has {self.size}"
                )
        inflated = sum(extent.count for extent in extents if extent.packed is not None)
        if inflated > _INFLATED * self.size:
            raise self.refused(
                f"would grow from {self.size} to {inflated} bytes, more than {_INFLATED} times: that is "
                "no checkpoint. If you trust it, unpack it and pack it again without compression."
            )

    def map(self, extents: list[Extent], alignments: list[int]) -> list[Tensor]:
        """The bytes of extents as uint8 tensors over the mapped file; writes stay private.

        What is compressed, or does not start at a multiple of its alignment, is copied instead.
        """
        self.check(extents)
        fits = [
            extent.packed is None and not (self.start + extent.start) % alignment
            for extent, alignment in zip(extents, alignments)
        ]
        copied = iter(self.allocate([e for e, fit in zip(extents, fits) if not fit]))
        return [self._window(e) if fit else next(copied) for e, fit in zip(extents, fits)]

    def _window(self, extent: Extent) -> Tensor:
        if not extent.count:
            return empty(dense((0,), dtypes.uint8))
        if self._mapping is None:
            mapped = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_COPY)
            self._mapping = np.frombuffer(mapped, np.uint8)
        address = self._mapping.__array_interface__["data"][0]
        storage = ExternalStorage(address + self.start + extent.start, extent.count, self._mapping)
        made = object.__new__(Tensor)
        made.layout = dense((extent.count,), dtypes.uint8)
        made.storage, made.ptr = storage, storage.ptr
        made.auto = made.base = None
        return made


def checksums(contents: list[memoryview]) -> list[int]:
    """The CRC-32 of every piece of memory."""
    crc32 = _crc32(sum(len(content) for content in contents))
    return [crc32(content) for content in contents]


def _crc32(nbytes: int) -> Callable[..., int]:
    """zlib's checksum, or our own where there is so much that loading it pays."""
    return crc.crc32 if nbytes >= _MUCH else zlib.crc32


def _read_into(file, into: memoryview) -> int:
    if hasattr(file, "readinto"):
        return file.readinto(into) or 0
    data = file.read(len(into))
    into[: len(data)] = data
    return len(data)
