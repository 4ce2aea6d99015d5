"""mezzo's own older files, from before it wrote PyTorch's format: still read, and checked as strictly.

files/version1.mz was written by mezzo 0.1.0 with save() of DATA.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections import Counter, OrderedDict
from pathlib import Path

import pytest
from test_io_files import DTYPES, PLAIN, same, tensor

import mezzo
from mezzo import nn
from mezzo.io import FileFormatError, load
from mezzo.io import format as native

FILE = Path(__file__).parent / "files" / "version1.mz"


def expected() -> dict:
    base = tensor(6, 4)
    state = OrderedDict(
        weight=mezzo.ones(2), bias=mezzo.zeros(2), running_mean=mezzo.zeros(2), running_var=mezzo.ones(2),
        num_batches_tracked=mezzo.tensor(0),
    )  # fmt: skip
    return {
        "plain": PLAIN,
        "dtypes": {dtype: tensor(3, 5, dtype=dtype) for dtype in DTYPES},
        "views": {
            "base": base, "row": base[2], "column": base[:, 1], "turned": base.t(), "same": base,
            "last": tensor(2, 3, 4).permute(0, 2, 1),
        },
        "parameter": nn.Parameter(tensor(2, 2)),
        "state": state,
        "empty": tensor(0, 3),
        "kinds": [mezzo.bfloat16, mezzo.device("cpu")],
    }  # fmt: skip


@pytest.mark.parametrize("mapped", [False, True])
def test_an_older_file(mapped):
    got = load(FILE, mmap=mapped)
    same(got, expected())
    assert isinstance(got["plain"]["counter"], Counter)
    assert got["state"]._metadata[""] == {"version": 2}
    views = got["views"]
    assert views["same"] is views["base"] and views["last"].stride() == (12, 1, 4)
    views["base"].fill_(7)
    for name in ("row", "column", "turned"):
        assert (views[name].numpy() == 7).all(), name
    assert load(FILE, map_location="meta")["parameter"].is_meta
    same(load(FILE), expected())  # writing to mapped tensors leaves the file alone


@pytest.fixture(scope="module")
def content() -> bytes:
    return FILE.read_bytes()


def test_every_truncation_is_noticed(content):
    for length in [*range(300), *range(300, len(content), 7), len(content) - 1]:
        with pytest.raises(FileFormatError, match="damaged|empty"):
            load(io.BytesIO(content[:length]))
    with pytest.raises(FileFormatError, match="should have"):
        load(io.BytesIO(content + b"\0"))


def test_every_changed_byte_is_noticed_or_harmless(content):
    """Padding may change; anything else must raise."""
    for place in [*range(300), *range(300, len(content), 5)]:
        changed = bytearray(content)
        changed[place] ^= 0x41
        try:
            got = load(io.BytesIO(bytes(changed)))
        except FileFormatError:
            continue
        assert content[place] == 0
        same(got, expected())


def forged(content: bytes, edit) -> io.BytesIO:
    """The file with an edited header and a right checksum."""
    length = struct.unpack_from("<Q", content, 16)[0]
    header = json.loads(content[24 : 24 + length])
    start = -(-(24 + length) // 64) * 64
    header = edit(header) or header
    text = json.dumps(header).encode()
    head = native._HEAD.pack(native.MAGIC, native.VERSION, zlib.crc32(text), len(text))
    padding = bytes(-(24 + len(text)) % 64)
    return io.BytesIO(head + text + padding + content[start:])


def entry(field: int, value):
    def edit(header):
        header["entries"][0][field] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        entry(0, "code"), entry(1, "object"), entry(2, [1 << 40]), entry(2, [-1, 3]), entry(2, ["3"]),
        entry(3, 99), entry(3, -1), entry(4, 1 << 40), entry(4, -4), entry(4, 2), entry(5, [1 << 40, 4]),
        entry(5, [-12, 4]), entry(5, [4]), entry(2, None), entry(2, [1 << 62, 1 << 62]),
        lambda h: h["segments"].__setitem__(0, [0, 1 << 50, 0]),
        lambda h: h["segments"].__setitem__(0, [-64, 64, 0]),
        lambda h: h.__setitem__("bytes", -5), lambda h: h.pop("tree") and None, lambda h: [1],
        lambda h: h.__setitem__("tree", {"$": "os.system", "v": "true"}),
        lambda h: h.__setitem__("tree", {"$": "data", "v": 77}),
        lambda h: h.__setitem__("tree", {"$": "data", "v": -1}),
        lambda h: h.__setitem__("tree", {"$": "set", "v": [[1]]}),
        lambda h: h.__setitem__("tree", {"$": "bytes", "v": "###"}),
    ],
)  # fmt: skip
def test_forged_headers_are_refused(content, edit):
    with pytest.raises(FileFormatError, match="damaged"):
        load(forged(content, edit))
