"""Zip archives as PyTorch's checkpoints are: members stored one after another, tensors aligned to 64.

Source: PKWARE, ".ZIP File Format Specification" 6.3.10 (APPNOTE.TXT), sections 4.3 to 4.5.
"""

from __future__ import annotations

import struct
import zlib

from mezzo.io.source import Extent, Source

MAGIC = b"PK\x03\x04"
EMPTY = b"PK\x05\x06"  # how an archive without members starts
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF
_STORED, _DEFLATED = 0, 8
_MEMBERS = 1 << 20
_ALIGN = 64
_PADDING = 0x4246  # the extra field that PyTorch fills up with: "FB"
_UTF8 = 1 << 11
_EPOCH = 0x21  # 1 January 1980: the same data make the same file


# ---- reading


def directory(source: Source) -> dict[str, Extent]:
    """Where the members of an archive lie in its file, by name.

    Raises: FileFormatError where the directory is missing or contradicts the file or itself: members
    outside of the file, over one another, encrypted, twice under one name.
    """
    start, size, count = _end(source)
    if count > _MEMBERS:
        raise source.refused(f"has {count} members, more than {_MEMBERS}: that is no checkpoint.")
    table = source.read(start, size)
    entries, at = [], 0
    for _ in range(count):
        entry, at = _central(source, table, at)
        entries.append(entry)
    found: dict[str, Extent] = {}
    reached = 0
    for header, name, method, crc, packed, size in sorted(entries):
        data = _data_start(source, header, name, reached)
        reached = data + packed
        if reached > start:
            raise source.damaged(f"member {name!r} runs into the directory")
        if name in found:
            raise source.damaged(f"two members are called {name!r}")
        # Writers that skip checksums, which PyTorch can be told to, leave zero.
        checked = crc or None
        found[name] = Extent(data, size, checked, packed if method == _DEFLATED else None)
    return found


def _end(source: Source) -> tuple[int, int, int]:
    """(start, bytes, members) of the directory, from the record at the end of the file."""
    tail_start = max(0, source.size - _END.size - _MAX16)
    tail = source.read(tail_start, source.size - tail_start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise source.damaged("it is an archive without the directory at its end: it is truncated")
    _, disk, first, here, count, size, start, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise source.damaged("it does not end where its directory says")
    limit = tail_start + at
    if limit >= _LOCATOR.size:
        where = source.read(limit - _LOCATOR.size, _LOCATOR.size)
        if where.startswith(b"PK\x06\x07"):
            _, disk, limit, _ = _LOCATOR.unpack(where)
            signature, _, _, _, disk, first, here, count, size, start = _END64.unpack(
                source.read(limit, _END64.size)
            )
            if signature != b"PK\x06\x06":
                raise source.damaged("its 64-bit directory is not where it says")
    if disk or first or here != count:
        raise source.refused("is one part of an archive in several; join the parts first.")
    if start + size != limit or count * _CENTRAL.size > size:
        raise source.damaged("its directory is not where it says")
    return start, size, count


def _central(source: Source, table: bytes, at: int):
    """((header's place, name, method, crc, bytes stored, bytes), where the next entry starts)."""
    if at + _CENTRAL.size > len(table):
        raise source.damaged("its directory is cut off")
    fields = _CENTRAL.unpack_from(table, at)
    signature, flags, method, crc = fields[0], fields[3], fields[4], fields[7]
    sizes = {"size": fields[9], "packed": fields[8], "header": fields[16]}
    name_end = at + _CENTRAL.size + fields[10]
    end = name_end + fields[11] + fields[12]
    if signature != b"PK\x01\x02" or end > len(table):
        raise source.damaged("its directory has a malformed entry")
    try:
        name = table[at + _CENTRAL.size : name_end].decode("utf-8")
    except UnicodeDecodeError:
        raise source.damaged("a member's name is not UTF-8") from None
    _widen(sizes, table[name_end : name_end + fields[11]])
    if flags & 1 or method not in (_STORED, _DEFLATED):
        raise source.refused(
            f"has the member {name!r} encrypted or compressed by method {method}. Pack it again with "
            "`zip -0`."
        )
    if method == _STORED and sizes["packed"] != sizes["size"]:
        raise source.damaged(f"member {name!r} has two sizes")
    return (sizes["header"], name, method, crc, sizes["packed"], sizes["size"]), end


def _widen(sizes: dict[str, int], extra: bytes) -> None:
    """Replace the sizes that need more than 32 bits by those of the extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            wide = struct.unpack_from(f"<{min(length, len(extra) - at - 4) // 8}Q", extra, at + 4)
            asked = [name for name, value in sizes.items() if value == _MAX32]
            sizes.update(zip(asked, wide))
            return
        at += 4 + length


def _data_start(source: Source, header: int, name: str, reached: int) -> int:
    """Where a member's data start, by its local header."""
    if header < reached:
        raise source.damaged(f"member {name!r} lies over another one")
    fields = _LOCAL.unpack(source.read(header, _LOCAL.size))
    if fields[0] != MAGIC:
        raise source.damaged(f"member {name!r} is not where the directory says")
    names = source.read(header + _LOCAL.size, fields[9])
    if names != name.encode("utf-8"):
        raise source.damaged(f"member {name!r} has another name in the directory")
    return header + _LOCAL.size + fields[9] + fields[10]


# ---- writing


class Writer:
    """Writes an archive front to back, without seeking; the data of each member start at a multiple of 64."""

    def __init__(self, file):
        self.file, self.at = file, 0
        self.entries: list[bytes] = []

    def add(self, name: str, data, crc: int | None = None) -> None:
        """Write a member; data is bytes-like, crc its CRC-32 if already known."""
        view = memoryview(data).cast("B")
        crc = zlib.crc32(view) if crc is None else crc
        encoded, size, header = name.encode("utf-8"), len(view), self.at
        wide = struct.pack("<2H2Q", 1, 16, size, size) if size >= _MAX32 else b""
        shown = _MAX32 if wide else size
        start = header + _LOCAL.size + len(encoded) + len(wide) + 4
        extra = wide + struct.pack("<2H", _PADDING, -start % _ALIGN) + bytes(-start % _ALIGN)
        version = 45 if wide else 20
        common = (_UTF8, _STORED, 0, _EPOCH, crc, shown, shown, len(encoded))
        self._write(_LOCAL.pack(MAGIC, version, *common, len(extra)) + encoded + extra)
        self._write(view)
        far = [size, size] if wide else []
        far += [header] if header >= _MAX32 else []
        extra = struct.pack(f"<2H{len(far)}Q", 1, 8 * len(far), *far) if far else b""
        version = 45 if far else 20
        head = (b"PK\x01\x02", version, version, *common, len(extra), 0, 0, 0, 0)
        self.entries.append(_CENTRAL.pack(*head, min(header, _MAX32)) + encoded + extra)

    def close(self) -> None:
        """Write the directory. Without it the file is no archive."""
        start, count = self.at, len(self.entries)
        table = b"".join(self.entries)
        self._write(table)
        if start >= _MAX32 or count >= _MAX16 or len(table) >= _MAX32:
            end = self.at
            record = (44, 45, 45, 0, 0, count, count, len(table), start)
            self._write(_END64.pack(b"PK\x06\x06", *record))
            self._write(_LOCATOR.pack(b"PK\x06\x07", 0, end, 1))
        some = min(count, _MAX16)
        sizes = (min(len(table), _MAX32), min(start, _MAX32))
        self._write(_END.pack(b"PK\x05\x06", 0, 0, some, some, *sizes, 0))

    def _write(self, data) -> None:
        self.file.write(data)
        self.at += len(data)
