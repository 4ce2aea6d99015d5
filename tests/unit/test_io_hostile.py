"""Files made to do harm: they raise the one error, run nothing, and allocate nothing large."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib

import pytest
import torch
from test_io_torch import repacked, saved

import mezzo
from mezzo.io import FileFormatError, archive
from mezzo.kernels.cpu import memory


def packed(data: bytes, **members: bytes) -> io.BytesIO:
    """An archive with that pickle, and storages by number."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("archive/data.pkl", data)
        for name, content in members.items():
            made.writestr(f"archive/data/{name.lstrip('_')}", content)
    file.seek(0)
    return file


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def numbers(values) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(size, stride, offset=0, numel=6, key="0", kind="FloatStorage", location="cpu") -> bytes:
    """The instructions that make a tensor."""
    storage = b"(" + text("storage") + b"ctorch\n%b\n" % kind.encode() + text(key) + text(location)
    storage += number(numel) + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + numbers(size) + numbers(stride)
        + b"\x89" + hooks + b"tR"
    )  # fmt: skip


def refused(file, match: str = "damaged|holds|asks|uses|has more", limit: int = 1 << 20, **options):
    """Loading raises the one error, and on the way takes less than `limit` bytes."""
    memory.reset_peak_memory_stats()
    before = memory.memory_allocated()
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=match):
            mezzo.load(file, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak} bytes of Python objects"
    assert memory.max_memory_allocated() - before < limit


def test_the_hand_made_file_is_sound():
    got = mezzo.load(packed(b"\x80\x02" + tensor((2, 2), (3, 1), 1) + b".", _0=bytes(24)))
    assert got.shape == (2, 2) and got.stride() == (3, 1) and got.storage_offset() == 1


BAD = {
    "size beyond the storage": tensor((2, 4), (4, 1)),
    "stride beyond the storage": tensor((2, 2), (6, 1)),
    "offset beyond the storage": tensor((2, 3), (3, 1), 1),
    "huge size": tensor((1 << 40, 3), (3, 1)),
    "sizes that overflow": tensor((1 << 32, 1 << 32), (0, 0)),
    "size of 65 bits": tensor((1 << 64,), (1,)),
    "negative size": tensor((-1, 3), (3, 1)),
    "negative stride": tensor((2, 3), (-3, 1), 3),
    "negative offset": tensor((1,), (1,), -1),
    "two sizes, one stride": tensor((2, 3), (1,)),
    "sixty-five axes": tensor((1,) * 65, (1,) * 65),
    "huge storage": tensor((2, 3), (3, 1), numel=1 << 40),
    "storage of 65 bits": tensor((2, 3), (3, 1), numel=1 << 64),
    "negative storage": tensor((2, 3), (3, 1), numel=-1),
    "smaller storage": tensor((1,), (1,), numel=5),
    "missing storage": tensor((2, 3), (3, 1), key="1"),
    "storage elsewhere": tensor((2, 3), (3, 1), key="../0"),
    "storage of two types": tensor((6,), (1,)) + tensor((3,), (1,), numel=3, kind="DoubleStorage") + b"\x86",
    "storage of two devices": tensor((6,), (1,)) + tensor((6,), (1,), location="cuda:0") + b"\x86",
    "float8": tensor((6,), (1,), kind="QInt8Storage"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("mapped", [False, True])
def test_tensors_are_checked_against_their_storages(name, mapped, tmp_path):
    file = packed(b"\x80\x02" + BAD[name] + b".", _0=bytes(24))
    if not mapped:
        refused(file)
        return
    (tmp_path / "a.pt").write_bytes(file.getvalue())
    refused(tmp_path / "a.pt", mmap=True)


class Run:
    """Pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "function", [os.system, eval, exec, getattr, __import__, print, pickle.loads, os.unlink]
)
def test_nothing_is_run(tmp_path, function, protocol):
    canary = tmp_path / "canary"
    argument = f"touch {canary}" if function is os.system else f"open({str(canary)!r}, 'w')"
    value = Run(function, argument)
    if protocol >= 2:
        for new in (True, False):
            refused(
                saved({"x": torch.ones(2), "y": value}, new, pickle_protocol=protocol), "asks for"
            )
    refused(packed(pickle.dumps(value, protocol=protocol)))
    refused(
        io.BytesIO(pickle.dumps(value, protocol=protocol)), "asks for|is not a file|uses the pickle"
    )
    assert not canary.exists()


CALLS = {
    "a storage": b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(6) + b"tQ)R",
    "a dtype": b"ctorch\nfloat32\n)R",
    "a tensor": tensor((6,), (1,)) + b")R",
    "a class of Python": b"cbuiltins\ntype\n)R",
    "a method of a str": b"cbuiltins\nstr.format\n)R",
    "a dotted name": b"\x8c\x05torch\x8c\x13serialization.load\x93)R",
    "a submodule": b"ctorch.serialization\nos.system\n" + text("true") + b"\x85R",
    "state of a list": b"]}b",
    "state of a tensor": tensor((6,), (1,)) + b"}" + text("x") + b"K\x01sb",
    "attribute of an OrderedDict": b"ccollections\nOrderedDict\n)R}" + text("items") + b"K\x01sb",
    "foreign persistent id": b"(" + text("module") + b"NNNtQ",
    "text as persistent id": text("0") + b"Q",
    "registered extension": b"\x82\x01",
    "out-of-band buffer": b"\x97",
    "inst": b"(ios\nsystem\n",
    "obj": b"(cos\nsystem\no",
    "newobj_ex": b"ccollections\nOrderedDict\n)}\x92",
    "dup": b"]2",
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_other_ways_to_call(name):
    refused(packed(b"\x80\x04" + CALLS[name] + b".", _0=bytes(24)))


def test_what_contains_itself():
    for data in (b"]q\x00h\x00a", b"}q\x00K\x01h\x00s", b"]q\x00(h\x00te", b"]q\x00h\x00\x85a", b"ccollections\nOrderedDict\n)Rq\x00}" + text("_metadata") + b"h\x00sb"):  # fmt: skip
        refused(packed(b"\x80\x02" + data + b"."), "contains itself|goes wrong")
    attributes = b"}q\x01" + text("note") + b"h\x01s"
    call = b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n"
    arguments = tensor((6,), (1,)).split(b"_v2\n", 1)[1][:-1]
    refused(
        packed(b"\x80\x02" + call + arguments + attributes + b"tR.", _0=bytes(24)),
        "contains itself",
    )


def test_pickles_that_grow():
    """Small files whose parts refer to one another so that copies, hashes or walks would take for ever."""
    nested = b"\x80\x02K\x01\x85q\x000" + b"".join(
        b"h%ch%c\x86q%c0" % (i, i, i + 1) for i in range(60)
    )
    refused(packed(nested + b"}h\x3cK\x01s."), "too large")  # hashing 2 ** 60 elements
    shared = mezzo.load(packed(nested + b"h\x3c."))  # a walk sees each part once
    assert len(shared) == 2 and shared[0] is shared[1]
    long = text("x" * 100_000) + b"q\x00"
    again = b"c_codecs\nencode\nq\x01" + b"h\x00" + text("latin1") + b"q\x02\x86q\x03R"
    copies = b"\x80\x02](" + long + again + b"h\x01h\x03R" * 1000 + b"e."
    refused(packed(copies), "makes much more data")
    lists = (
        b"\x80\x02]q\x00("
        + b"K\x01" * 50_000
        + b"e0c__builtin__\nset\nq\x01]("
        + b"h\x01h\x00\x85R" * 1000
        + b"e."
    )
    refused(packed(lists), "makes much more data", 8 << 20)
    refused(packed(b"\x80\x02" + b"]" * 2000 + b"a" * 1999 + b"."), "nested deeper")
    colliding = b"".join(number(i * ((1 << 61) - 1)) + b"N" for i in range(3))
    assert len(mezzo.load(packed(b"\x80\x02}(" + colliding + b"u."))) == 3
    keys = b"".join(
        b"\x8a\x0a" + (i * ((1 << 61) - 1)).to_bytes(10, "little") + b"N" for i in range(1, 12_000)
    )
    refused(
        packed(b"\x80\x02}(" + keys + b"u."),
        "keys that are neither text nor small numbers",
        8 << 20,
    )


@pytest.mark.parametrize("data", [
    b"X\xff\xff\xff\xff", b"\x8d" + b"\xff" * 8, b"\x8e" + b"\xff" * 8, b"\x8b\xff\xff\xff\x7f", b"T\xff\xff\xff\x7f",
    b"\x96" + b"\xff" * 8, b"c" + b"a" * 5000, b"(" * 100, b"", b"e", b"a", b"u", b"s", b"R", b"b", b"Q", b"t", b"\x93",
    b"h\x05", b"q\x00", b"\x85", b"0", b"1", b"\x81", b"N" * 5, b"\x90", b"\x91", b"\x94", b"]K\x01K\x02s", b"}]K\x01s",
])  # fmt: skip
def test_malformed_pickles(data):
    for end in (b"", b"."):
        refused(packed(b"\x80\x02" + data + end), "damaged")
        refused(io.BytesIO(b"\x80\x02" + data + end))


# ---- archives


def bomb(nbytes: int) -> io.BytesIO:
    """An archive of a few kilobytes whose storage says that it inflates to so much."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr(
            "archive/data.pkl", b"\x80\x02" + tensor((nbytes // 4,), (1,), numel=nbytes // 4) + b"."
        )
        made.writestr("archive/data/0", bytes(1 << 22), zipfile.ZIP_DEFLATED)
    content = bytearray(file.getvalue())
    at = content.rfind(b"PK\x01\x02")
    struct.pack_into("<I", content, at + 24, nbytes)
    return io.BytesIO(bytes(content))


def test_zip_bombs():
    refused(bomb(1 << 22), "would grow from", 200_000)
    refused(bomb(1 << 31), "would grow from", 200_000)
    honest = repacked(saved({"x": torch.randn(10_000)}), method=zipfile.ZIP_DEFLATED)
    content = bytearray(honest.getvalue())
    at = content.rfind(b"PK\x01\x02", 0, content.rfind(b"archive/data/0"))
    struct.pack_into("<I", content, at + 24, 39_996)  # inflates to more than it says
    refused(io.BytesIO(bytes(content)))


def test_members_over_one_another():
    """Many names for the same bytes: each storage would be read, and the file is small."""
    content = bytes(1 << 16)
    pickle = b"\x80\x02](" + b"".join(
        tensor((1 << 14,), (1,), numel=1 << 14, key=str(i)) for i in range(200)
    ) + b"e."  # fmt: skip
    file = io.BytesIO()
    writer = archive.Writer(file)
    writer.add("archive/data.pkl", pickle)
    writer.add("archive/data/0", content)
    entry = writer.entries[-1]
    writer.entries += [entry.replace(b"data/0", b"data/" + str(i).encode()) for i in range(1, 10)]
    writer.close()
    file.seek(0)
    refused(file, "over another|another name")
    for field, value in ((28, 15), (24, 1 << 17), (20, 1 << 17), (42, 5), (8, 1), (10, 12)):
        file = io.BytesIO()
        writer = archive.Writer(file)
        writer.add("archive/data.pkl", b"\x80\x02N.")
        writer.add("archive/data/0", content)
        changed = bytearray(writer.entries[-1])
        struct.pack_into("<H" if field in (28, 8, 10) else "<I", changed, field, value)
        writer.entries[-1] = bytes(changed)
        writer.close()
        file.seek(0)
        refused(file, "damaged|encrypted|zip -0")


def test_archives_that_are_none():
    whole = saved({"x": torch.arange(300.0)}).getvalue()
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        refused(io.BytesIO(whole[:length]), "damaged|empty|is not a file")
    refused(io.BytesIO(whole + b"\0"), "does not end where")
    file = io.BytesIO()
    zipfile.ZipFile(file, "w").close()
    file.seek(0)
    refused(file, "without a checkpoint")
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("readme.txt", "hello")
    file.seek(0)
    refused(file, "without a checkpoint")
    file = saved({"x": torch.arange(300.0)})
    content = bytearray(file.getvalue())
    content[content.find(struct.pack("<f", 299.0))] ^= 1
    refused(io.BytesIO(bytes(content)), "checksum")


def test_every_changed_byte_of_an_archive_is_noticed_or_harmless():
    file = io.BytesIO()
    mezzo.save({"x": mezzo.arange(40.0), "t": (1, "text")}, file)
    content = file.getvalue()
    noticed = 0
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x41
        try:
            got = mezzo.load(io.BytesIO(bytes(changed)))
        except FileFormatError:
            noticed += 1
            continue
        assert got["x"].tolist() == list(range(40)) and got["t"] == (1, "text")
    assert noticed > len(content) // 3


def test_places_beyond_four_gigabytes_take_sixty_four_bits():
    writer = archive.Writer(io.BytesIO())
    writer.at = 5 << 32
    writer.add("archive/version", b"3")
    writer.close()
    entry = writer.entries[0]
    assert struct.unpack_from("<I", entry, 42)[0] == 0xFFFFFFFF
    assert struct.unpack_from("<2HQ", entry, 46 + len("archive/version")) == (1, 8, 5 << 32)
    assert b"PK\x06\x06" in writer.file.getvalue() and b"PK\x06\x07" in writer.file.getvalue()


def test_sixty_four_bit_directories(tmp_path):
    """As Python's zipfile writes and reads them, in a sparse file of 5 GiB."""
    path = tmp_path / "big.pt"
    with open(path, "wb") as file:
        writer = archive.Writer(file)
        writer.add("archive/data.pkl", b"\x80\x02" + tensor((6,), (1,)) + b".")
        gap = (5 << 30) - 4096
        header = b"archive/gap"
        extra = struct.pack("<2H2Q", 1, 16, gap, gap)
        local = (0, 0, 0, 0x21, 0, 0xFFFFFFFF, 0xFFFFFFFF, len(header), len(extra))
        start = writer.at
        writer._write(archive._LOCAL.pack(archive.MAGIC, 45, *local) + header + extra)
        file.seek(gap, os.SEEK_CUR)
        writer.at += gap
        central = (b"PK\x01\x02", 45, 45, *local, 0, 0, 0, 0, start)
        writer.entries.append(archive._CENTRAL.pack(*central) + header + extra)
        writer.add("archive/data/0", struct.pack("<6f", *range(6)))
        writer.add("archive/version", b"3\n")
        writer.close()
    assert zipfile.ZipFile(path).read("archive/data/0") == struct.pack("<6f", *range(6))
    for mapped in (False, True):
        assert mezzo.load(path, mmap=mapped).tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.load(path).tolist() == [0, 1, 2, 3, 4, 5]


# ---- older files and safetensors


def test_older_files_are_checked():
    whole = saved({"x": torch.arange(300.0), "y": torch.arange(3)}, new=False).getvalue()
    for length in range(0, len(whole), 41):
        refused(io.BytesIO(whole[:length]), "damaged|empty|is not a file")
    for old, new in (
        (struct.pack("<q", 300), struct.pack("<q", 1 << 60)),
        (b"(K\x03\x85", b"(K\x04\x85"),
    ):
        at = whole.rfind(old)
        if at >= 0:
            refused(io.BytesIO(whole[:at] + new + whole[at + len(old) :]), "damaged")


def headed(header: bytes, body: bytes = bytes(24)) -> io.BytesIO:
    return io.BytesIO(struct.pack("<Q", len(header)) + header + body)


@pytest.mark.parametrize("header", [
    b'{"x":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,24]}}',
    b'{"x":{"dtype":"F32","shape":[6],"data_offsets":[0,4398046511104]}}',
    b'{"x":{"dtype":"F32","shape":[6],"data_offsets":[-24,0]}}', b'{"x":{"dtype":"F32","shape":[-6],"data_offsets":[0,24]}}',
    b'{"x":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},"x":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}',
    b'{"x":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},"y":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}',
    b'{"x":{"dtype":"F8_E4M3","shape":[24],"data_offsets":[0,24]}}', b'{"x":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}',
    b'{"x":{"dtype":"F32","shape":[5.0],"data_offsets":[0,24]}}', b'{"x":[]}', b'{"x":{}}', b"{" + b'"x":[' * 5000, b"{}",
    b'{"__metadata__":{"mezzo.tied":"{\\"y\\":\\"z\\"}"},"x":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}',
    b'{"__metadata__":[],"x":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}',
])  # fmt: skip
def test_safetensors_are_checked(header):
    refused(headed(header), "safetensors|has dtype F8|metadata")
    refused(io.BytesIO(struct.pack("<Q", 1 << 62) + header), "no whole safetensors")


def test_checksums_are_what_they_are():
    file = io.BytesIO()
    mezzo.save({"x": mezzo.arange(6.0)}, file)
    data = zipfile.ZipFile(file).read("archive/data/0")
    assert zlib.crc32(data) == zipfile.ZipFile(file).getinfo("archive/data/0").CRC
