"""The file that mezzo wrote before it wrote PyTorch's, which is still read: a header of JSON, then the bytes of the tensors, each segment aligned to 64.

    0   8 bytes   magic
    8   u32       version
    12  u32       CRC-32 of the header
    16  u64       length of the header
    24  JSON      {"bytes": of all data, "segments": [[offset, bytes, checksum], ...],
                   "entries": [[kind, dtype, shape, segment, offset, strides, requires_grad], ...],
                   "tree": the data, in tree.py's form}
    ..  zeros up to a multiple of 64, then the data; offsets count from there

Everything in a header is checked against the file before it is used.
"""

from __future__ import annotations

import io
import json
import math
import mmap
import struct
import zlib
from collections import Counter

import ml_dtypes
import numpy as np

from mezzo.errors import FileFormatError

MAGIC = b"\x93MEZZO\r\n"
VERSION = 1
ALIGN = 64
_HEAD = struct.Struct("<8sIIQ")
_NAMES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
NUMPY = {name: np.dtype(name) for name in _NAMES} | {"bfloat16": np.dtype(ml_dtypes.bfloat16)}


def _padded(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def checksum(buffer) -> int:
    """CRC-32 of the sums of every 512 words, and of the bytes left over: ten times as fast as of all."""
    data = np.frombuffer(buffer, np.uint8)
    whole = data.size // 4096 * 4096
    sums = data[:whole].view(np.uint64).reshape(-1, 512).sum(axis=1, dtype=np.uint64)
    return zlib.crc32(data[whole:], zlib.crc32(sums))


class Reader:
    """An open native file: its tree, its entries, and the arrays of the segments."""

    def __init__(self, file, name: str, mapped: bool):
        self.file, self.name = file, name
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        header = self._header()
        try:
            self.tree, self.entries = header["tree"], header["entries"]
            self.segments, total = header["segments"], header["bytes"]
            self._check(total)
        except (KeyError, TypeError, ValueError) as problem:
            raise self.damaged(f"its header is malformed ({problem!r})") from None
        self.tenants = Counter(entry[3] for entry in self.entries)
        self._mapping = None
        if mapped and self.size:
            self._mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._buffers: dict[int, np.ndarray] = {}

    def damaged(self, what: str) -> FileFormatError:
        """The error that says what is wrong with the file."""
        return FileFormatError(
            f"load: {self.name} is damaged: {what}. Copy it again, or use an older checkpoint."
        )

    def _header(self) -> dict:
        head = self.file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise self.damaged(f"it has only {self.size} bytes")
        magic, version, crc, length = _HEAD.unpack(head)
        if magic != MAGIC:
            raise FileFormatError(f"load: {self.name} is not a mezzo file.")
        if version != VERSION:
            raise FileFormatError(
                f"load: {self.name} has format version {version}; this mezzo reads version "
                f"{VERSION}. Use a newer mezzo."
            )
        if _HEAD.size + length > self.size:
            raise self.damaged(f"it is truncated in its header, at {self.size} bytes")
        text = self.file.read(length)
        if zlib.crc32(text) != crc:
            raise self.damaged("the checksum of its header does not match")
        self.start = _padded(_HEAD.size + length)
        try:
            return json.loads(text.decode("utf-8"))
        except (ValueError, RecursionError) as problem:
            raise self.damaged(f"its header is not JSON ({problem})") from None

    def _check(self, total: int) -> None:
        """Sizes and offsets against the file; nothing is allocated before this."""
        if self.start + total != self.size:
            raise self.damaged(f"it has {self.size} bytes and should have {self.start + total}")
        for offset, count, _ in self.segments:
            if not (0 <= offset <= offset + count <= total) or offset % ALIGN:
                raise self.damaged("a segment lies outside the file")
        for kind, dtype, shape, segment, offset, strides, _ in self.entries:
            numbers = (*shape, segment, offset, *strides)
            if kind not in ("tensor", "parameter", "array", "scalar") or dtype not in NUMPY:
                raise self.damaged(f"an entry has kind {kind!r} and dtype {dtype!r}")
            if not all(type(n) is int for n in numbers) or any(n < 0 for n in shape):
                raise self.damaged("an entry has sizes that are no numbers")
            if math.prod(shape) and not 0 <= segment < len(self.segments):
                raise self.damaged("an entry refers to no segment")
            if offset % NUMPY[dtype].itemsize or len(strides) != len(shape):
                raise self.damaged("an entry is not aligned")

    def segment(self, number: int) -> np.ndarray:
        """The bytes of a segment, in memory of their own or mapped (then writes stay private)."""
        if number not in self._buffers:
            offset, count, crc = self.segments[number]
            if self._mapping is not None:
                view = memoryview(self._mapping)[self.start + offset : self.start + offset + count]
                buffer = np.frombuffer(view, np.uint8)
            else:
                buffer = aligned(count)
                self.file.seek(self.start + offset)
                if self.file.readinto(memoryview(buffer)) != count:
                    raise self.damaged(f"it ends within segment {number}")
                if checksum(buffer) != crc:
                    raise self.damaged(f"the checksum of segment {number} does not match")
            self._buffers[number] = buffer
        return self._buffers[number]

    def array(self, number: int) -> np.ndarray:
        """The array of an entry, over its segment."""
        _, dtype, shape, segment, offset, strides, _ = self.entries[number]
        if not math.prod(shape):
            return np.empty(shape, NUMPY[dtype])
        buffer = self.segment(segment)
        try:  # NumPy checks that offset and strides stay inside the buffer
            array = np.ndarray(tuple(shape), NUMPY[dtype], buffer, offset, tuple(strides))
        except (ValueError, TypeError, OverflowError) as problem:
            raise self.damaged(f"entry {number} lies outside its segment ({problem})") from None
        return array


def aligned(count: int) -> np.ndarray:
    """`count` uninitialised bytes whose address is a multiple of 64."""
    room = np.empty(count + ALIGN, np.uint8)
    skip = -room.__array_interface__["data"][0] % ALIGN
    return room[skip : skip + count]
