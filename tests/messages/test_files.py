"""What is told of files: what it is, what is wrong with it, what to do."""

from __future__ import annotations

import io
import pickle

import pytest
import torch

import mezzo
from mezzo import nn
from mezzo.io import FileFormatError


class Model(torch.nn.Module):
    """A class that only its program has."""


def torch_file(obj, cut: int | None = None) -> bytes:
    file = io.BytesIO()
    torch.save(obj, file)
    return file.getvalue()[:cut]


FILES = {
    "a whole module": (torch_file(Model()), ["asks for", "Model'", "neither a tensor nor plain data", "torch.save(model.state_dict(), path)"]),
    "truncated": (torch_file(torch.ones(100), -100), ["damaged", "truncated", "Copy it again"]),
    "no checkpoint": (pickle.dumps({"a": 1}), ["is a pickle, and not one of PyTorch's", "torch.save"]),
    "pointer of git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", ["pointer of Git LFS", "git lfs pull"]),
    "web page": (b"<!DOCTYPE html><html>", ["web page", "download went wrong"]),
    "gzip": (b"\x1f\x8b\x08\0", ["gzip", "Unpack it"]),
    "tar": (b"storages".ljust(257, b"\0") + b"ustar\0", ["tar archive", "2016", "Save it again"]),
    "empty": (b"", ["is empty", "seek(0)"]),
    "text": (b"hello, world", ["is not a file of PyTorch's, of safetensors or of mezzo's"]),
    "float8": (torch_file(torch.ones(2).to(torch.float8_e5m2)), ["torch.float8_e5m2", "bfloat16", "tensor.to(...)"]),
    "sparse": (torch_file(torch.eye(2).to_sparse()), ["sparse tensor", "to_dense()"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", [RuntimeError, pickle.UnpicklingError, FileFormatError])
def test_files_that_are_refused(name, kind, tmp_path):
    """One class, which is both of those that PyTorch's users catch."""
    content, phrases = FILES[name]
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(kind) as caught:
        mezzo.load(path)
    text = str(caught.value)
    assert text.startswith(f"load: {str(path)!r} "), text
    for phrase in phrases:
        assert any(part in text for part in phrase.split("|")), text


def save_to(folder, obj, name="a.pt"):
    return lambda: mezzo.save(obj, folder / name)


class Thing:
    pass


@pytest.mark.parametrize(
    ("obj", "name", "phrases"),
    [
        ({"net": [nn.Linear(1, 1)]}, "a.pt", ["obj['net'][0] is a mezzo.nn.linear.Linear", "save its state_dict()"]),
        ({"x": Thing()}, "a.pt", ["obj['x'] is a", "Thing", "a file can hold None, bool"]),
        ({"a": {"b": 1}}, "a.safetensors", ["entry 'a' is a dict", "flat dict of tensors", "name.pt"]),
        ({"a": mezzo.ones(2, dtype=mezzo.complex128)}, "a.safetensors", ["'a' has dtype complex128", "name.pt"]),
    ],
)  # fmt: skip
def test_what_cannot_be_saved(tmp_path, obj, name, phrases):
    with pytest.raises(TypeError) as caught:
        mezzo.save(obj, tmp_path / name)
    for phrase in phrases:
        assert phrase in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_tensor_of_a_gpu():
    file = io.BytesIO()
    torch.save({"x": torch.ones(2)}, file)
    content = file.getvalue()
    plain = mezzo.load(io.BytesIO(content))
    assert plain["x"].device.type == "cpu"
    old = io.BytesIO()
    torch.save({"x": torch.ones(2)}, old, _use_new_zipfile_serialization=False)
    for place, phrases in (
        ("cuda:3", ["saved on device 'cuda:3'", "runs no CUDA", "map_location='cpu'"]),
        ("mps:0", ["saved on device 'mps:0'", "does not have", "map_location='cpu'"]),
    ):
        short = b"\x03\0\0\0cpu"
        changed = old.getvalue().replace(short, bytes([len(place)]) + b"\0\0\0" + place.encode())
        with pytest.raises(RuntimeError) as caught:
            mezzo.load(io.BytesIO(changed))
        for phrase in phrases:
            assert phrase in str(caught.value)
        assert mezzo.load(io.BytesIO(changed), map_location="cpu")["x"].tolist() == [1, 1]
