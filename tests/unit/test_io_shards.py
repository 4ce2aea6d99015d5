"""Weights in several files with an index, and mapped safetensors."""

from __future__ import annotations

import json
import os

import pytest
import safetensors.torch
import torch
from test_io_files import same, tensor
from test_io_torch import agree

import mezzo
from mezzo import nn
from mezzo.io import FileFormatError, load, load_file, save

KINDS = pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])


def weights() -> dict:
    base = tensor(10, 10)
    return {
        "a": tensor(100),
        "tied": base,
        "b": tensor(3, dtype="bfloat16"),
        "head": base,
        "c": tensor(2, 50),
    }


@KINDS
@pytest.mark.parametrize("mapped", [False, True])
def test_there_and_back(tmp_path, name, mapped):
    path = tmp_path / f"{name}.index.json"
    save(weights(), path, max_shard_size=900)
    index = json.loads(path.read_text())
    stem, kind = os.path.splitext(name)
    files = [f"{stem}-{n:05d}-of-00002{kind}" for n in (1, 2)]
    assert sorted(os.listdir(tmp_path)) == sorted([*files, path.name])
    assert index["metadata"] == {"total_size": 1606}
    assert index["weight_map"] == {
        "a": files[0],
        "tied": files[0],
        "b": files[0],
        "head": files[0],
        "c": files[1],
    }
    got = load(path, mmap=mapped)
    same({key: got[key] for key in weights()}, weights())
    assert got["head"].data_ptr() == got["tied"].data_ptr()
    assert load(path, map_location="meta")["a"].is_meta


@KINDS
def test_the_parts_are_what_others_read(tmp_path, name):
    save(weights(), tmp_path / f"{name}.index.json", max_shard_size="1KB")
    for part in tmp_path.glob("*-of-*"):
        theirs = (
            safetensors.torch.load_file(part)
            if part.suffix == ".safetensors"
            else torch.load(part, weights_only=True)
        )
        mine = load(part)
        agree({key: mine[key] for key in theirs}, dict(theirs))


def test_parts_by_others(tmp_path):
    """As model hubs keep them."""
    whole = {f"layer.{i}.weight": torch.randn(3, 4).to(torch.bfloat16) for i in range(5)}
    for kind, write in (("bin", torch.save), ("safetensors", safetensors.torch.save_file)):
        keys, places = list(whole), {}
        for n, part in enumerate((keys[:2], keys[2:])):
            places |= dict.fromkeys(part, f"model-{n}.{kind}")
            write({key: whole[key] for key in part}, tmp_path / f"model-{n}.{kind}")
        index = {"metadata": {"total_size": 120}, "weight_map": places}
        (tmp_path / f"model.{kind}.index.json").write_text(json.dumps(index))
        agree(load(tmp_path / f"model.{kind}.index.json"), whole)
    net = nn.ModuleDict({"layer": nn.ModuleList(nn.Linear(4, 3, bias=False) for _ in range(5))})
    net.to(mezzo.bfloat16).load_state_dict(load(tmp_path / "model.bin.index.json"))
    agree(net.state_dict()["layer.4.weight"], whole["layer.4.weight"])


def test_wrong_indices(tmp_path):
    save({"a": tensor(3)}, tmp_path / "part.bin")
    path = tmp_path / "m.bin.index.json"

    def refused(content, match, error=FileFormatError):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(error, match=match):
            load(path)

    refused("{", "is not JSON")
    refused("[" * 10_000, "is not JSON")
    refused([1], "no index of weights")
    refused({"weight_map": {"a": 3}}, "must be the name of a file")
    for name in (
        "../part.bin",
        "/etc/passwd",
        "sub/part.bin",
        "..",
        "",
        "C:\\x",
        path.name,
        "a\0b",
    ):
        refused({"weight_map": {"a": name}}, "must be the name of a file")
    refused({"weight_map": {"a": "gone.bin"}}, "not beside it", FileNotFoundError)
    refused(
        {"weight_map": {"a": "part.bin", "b": "part.bin"}},
        "'b' is in 'part.bin', and it is not there",
    )
    with pytest.raises(FileNotFoundError, match="no file"):
        load(tmp_path / "nothing.bin.index.json")
    for size in (0, -1, "many", 1.5, True, "0GB"):
        with pytest.raises(ValueError, match="max_shard_size"):
            save({"a": tensor(3)}, path, max_shard_size=size)
    with pytest.raises(TypeError, match="flat dict"):
        save({"a": {"b": tensor(3)}}, path)
    with pytest.raises(ValueError, match="in which format"):
        save({"a": tensor(3)}, tmp_path / "m.index.json")


def test_all_parts_change_together_or_none(tmp_path, monkeypatch):
    path = tmp_path / "m.bin.index.json"
    save({"a": tensor(3)}, path)
    before = path.read_text()

    def fail(*args, **options):
        raise OSError("disk full")

    monkeypatch.setattr(mezzo.io.shards.json, "dump", fail)
    files = sorted(os.listdir(tmp_path))
    for size in (100, 10**6):  # the second writes files of the names that are there
        with pytest.raises(OSError, match="disk full"):
            save({"a": tensor(4), "b": tensor(500)}, path, max_shard_size=size)
    assert path.read_text() == before and sorted(os.listdir(tmp_path)) == files
    same(load(path), {"a": tensor(3)})


def test_mapped_safetensors_are_private(tmp_path):
    path = tmp_path / "a.safetensors"
    save({"x": tensor(1000), "h": tensor(3, dtype="bfloat16")}, path)
    got = load_file(path, mmap=True)
    got["x"].fill_(7)
    same(load_file(path), {"x": tensor(1000), "h": tensor(3, dtype="bfloat16")})
    with open(path, "rb") as file:
        same(load(file)["h"], tensor(3, dtype="bfloat16"))
    # An odd header: the data lie at odd places, and are copied.
    header = b'{"h":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes([0, 0, 128, 63, 0, 64]))
    assert load_file(path, mmap=True)["h"].tolist() == [0, 1, 2]
