"""PyTorch's files, both ways: what it saves we load, what we save it loads with weights_only."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch

import mezzo
from mezzo import nn
from mezzo.io import FileFormatError

DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
    "complex64", "complex128",
)  # fmt: skip
FORMATS = pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])


def bits(tensor) -> bytes:
    """The elements' bytes in order, of either framework's tensor."""
    if isinstance(tensor, torch.Tensor):
        return (
            bytes(tensor.detach().flatten().clone().view(torch.uint8).numpy())
            if tensor.numel()
            else b""
        )
    return np.ascontiguousarray(tensor.detach().numpy()).tobytes()


def agree(mine, theirs) -> None:
    """mezzo's data are PyTorch's: values, dtypes, shapes, strides, classes, order of keys."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(mine, nn.Parameter) == isinstance(theirs, torch.nn.Parameter)
        assert str(mine.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
        assert tuple(mine.shape) == tuple(theirs.shape) and mine.stride() == theirs.stride()
        assert mine.requires_grad == theirs.requires_grad
        assert str(mine.device) == str(theirs.device)
        if theirs.device.type != "meta":
            assert bits(mine) == bits(theirs)
    elif isinstance(theirs, np.ndarray | np.generic):
        assert type(mine) is type(theirs) and mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    elif isinstance(theirs, dict):
        assert type(mine) is type(theirs) and list(mine) == list(theirs)
        for key in theirs:
            agree(mine[key], theirs[key])
    elif isinstance(theirs, torch.Size):
        assert isinstance(mine, mezzo.Size) and tuple(mine) == tuple(theirs)
    elif isinstance(theirs, list | tuple):
        assert type(mine) is type(theirs) and len(mine) == len(theirs)
        for a, b in zip(mine, theirs):
            agree(a, b)
    elif isinstance(theirs, torch.dtype | torch.layout | torch.device):
        assert str(mine) == str(theirs).replace("torch.", "mezzo.")
    else:
        assert type(mine) is type(theirs) or isinstance(theirs, str)
        assert mine == theirs or mine != mine


def saved(obj, new: bool = True, **options) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(obj, file, _use_new_zipfile_serialization=new, **options)
    file.seek(0)
    return file


def written(obj) -> io.BytesIO:
    file = io.BytesIO()
    mezzo.save(obj, file)
    file.seek(0)
    return file


def everything() -> dict:
    torch.manual_seed(0)
    base = torch.arange(24.0).reshape(6, 4)
    weight = torch.nn.Parameter(torch.randn(3, 2))
    plain = {
        "none": None, "flags": [True, False], "ints": [0, 255, 256, 65536, -1, 1 << 40, -(1 << 70)],
        "floats": [0.5, -float("inf"), float("nan")], "complex": 1 - 2j, "text": "ä\n☃", "bytes": b"\0\xff",
        "nested": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {"a": []}], "set": {1, 2}, 3: {(1, 2): None},
        "ordered": OrderedDict([("b", 1), ("a", 2)]), "counter": Counter("aab"), "bytearray": bytearray(b"x\xfe"),
    }  # fmt: skip
    return {
        "plain": plain,
        "dtypes": {name: torch.randn(3, 5).to(getattr(torch, name)) for name in DTYPES},
        "views": {
            "base": base, "row": base[2], "column": base[:, 1], "turned": base.t(), "same": base,
            "step": base[::2, 1::2], "expanded": torch.ones(3, 1).expand(3, 50),
            "nchw": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        },
        "scalar": torch.tensor(1.5), "empty": torch.empty(0, 3), "grad": torch.ones(2, requires_grad=True),
        "tied": [weight, weight], "frozen": torch.nn.Parameter(torch.ones(2), requires_grad=False),
        "kinds": [torch.float16, torch.bool, torch.device("cpu"), torch.device("cuda", 1), torch.strided],
        "size": torch.Size([2, 3]),
    }  # fmt: skip


@FORMATS
def test_everything_from_torch(new):
    data = everything()
    got = mezzo.load(saved(data, new))
    agree(got, data)
    views = got["views"]
    assert views["same"] is views["base"] and got["tied"][0] is got["tied"][1]
    views["base"].fill_(7)
    for name in ("row", "column", "turned", "step"):
        assert (views[name].numpy() == 7).all(), name


def test_everything_to_torch_and_back():
    mine = mezzo.load(saved(everything()))
    theirs = torch.load(written(mine), weights_only=True)
    agree(mine, theirs)
    views = theirs["views"]
    assert views["same"] is views["base"] and theirs["tied"][0] is theirs["tied"][1]
    assert (
        views["column"].untyped_storage().data_ptr() == views["base"].untyped_storage().data_ptr()
    )
    views["base"].fill_(7)
    assert all(bool((views[name] == 7).all()) for name in ("row", "column", "turned", "step"))
    agree(mezzo.load(written(mine)), everything())


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@FORMATS
def test_protocols(protocol, new):
    data = {
        "x": torch.ones(3),
        "b": b"ab",
        "s": {1},
        "ä" * 300: frozenset([1]),
        "ba": bytearray(b"x"),
    }
    agree(mezzo.load(saved(data, new, pickle_protocol=protocol)), data)


@FORMATS
def test_numpy_in_checkpoints(new):
    data = {
        "matrix": np.arange(6.0).reshape(2, 3), "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "half": np.ones(2, np.float16), "none": np.zeros((0, 2)), "swapped": np.arange(3, dtype=">i4"),
        "scalar": np.float64(0.1), "flag": np.bool_(True), "number": np.int8(-3), "zero": np.array(2.5),
    }  # fmt: skip
    for protocol in (2, 5):
        file = saved(data, new, pickle_protocol=protocol)
        theirs = torch.load(file, weights_only=False)
        file.seek(0)
        agree(mezzo.load(file), theirs)
    del data["swapped"]  # NumPy itself brings it into the machine's order
    agree(mezzo.load(written(data)), data)
    agree(torch.load(written(data), weights_only=False), data)


@pytest.mark.parametrize("mapped", [False, True])
def test_files_of_a_path(tmp_path, mapped):
    data = everything()
    torch.save(data, tmp_path / "a.pt")
    got = mezzo.load(tmp_path / "a.pt", mmap=mapped)
    agree(got, data)
    got["views"]["base"].fill_(7)  # private
    agree(mezzo.load(tmp_path / "a.pt"), data)
    os.unlink(tmp_path / "a.pt")
    assert float(got["views"]["row"].sum()) == 28.0  # the mapping outlives the name


def test_mapped_tensors_come_from_the_file_and_are_not_copied(tmp_path, settled):
    torch.save({"x": torch.arange(1000.0)}, tmp_path / "a.pt")
    before = mezzo.cpu.memory_allocated() if hasattr(mezzo.cpu, "memory_allocated") else 0
    x = mezzo.load(tmp_path / "a.pt", mmap=True)["x"]
    after = mezzo.cpu.memory_allocated() if hasattr(mezzo.cpu, "memory_allocated") else 0
    assert after - before < 4000 and x.data_ptr() % 64 == 0
    assert float(x.sum()) == 499500.0
    torch.save(torch.ones(2), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError, match="mmap can only be used"):
        mezzo.load(tmp_path / "old.pt", mmap=True)
    with pytest.raises(ValueError, match="needs a path"):
        mezzo.load(io.BytesIO(), mmap=True)


def test_several_objects_in_one_older_file():
    file = io.BytesIO()
    for value in (torch.ones(2), {"a": torch.arange(3)}):
        torch.save(value, file, _use_new_zipfile_serialization=False)
    file.seek(0)
    assert mezzo.load(file).tolist() == [1, 1]
    assert mezzo.load(file)["a"].tolist() == [0, 1, 2]


def test_what_torch_leaves_out_of_archives():
    """Checksums, which it can be told not to compute."""
    torch.serialization.set_crc32_options(False)
    try:
        file = saved({"x": torch.arange(3)})
    finally:
        torch.serialization.set_crc32_options(True)
    assert zipfile.ZipFile(file).infolist()[0].CRC == 0
    file.seek(0)
    assert mezzo.load(file)["x"].tolist() == [0, 1, 2]


def repacked(file: io.BytesIO, edit=None, method=zipfile.ZIP_STORED, **replaced) -> io.BytesIO:
    """The archive with members replaced, left out (None) or compressed."""
    old, out = zipfile.ZipFile(file), io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as new:
        for name in old.namelist():
            data = replaced.get(name.split("/", 1)[1], old.read(name))
            if data is not None:
                new.writestr(name, data)
    out.seek(0)
    return out


def test_compressed_archives():
    data = {"x": torch.randn(1000), "y": torch.arange(70000)}
    agree(mezzo.load(repacked(saved(data), method=zipfile.ZIP_DEFLATED)), data)


def test_archives_of_big_endian_machines():
    x, z = torch.randn(5), torch.randn(3, dtype=torch.complex64)
    swapped = {
        "byteorder": b"big",
        "data/0": x.numpy().byteswap().tobytes(),
        "data/1": z.numpy().byteswap().tobytes(),
        "data/2": b"ab",
    }
    data = {"x": x, "z": z, "b": torch.tensor([97, 98], dtype=torch.uint8)}
    agree(mezzo.load(repacked(saved(data), **swapped)), data)
    with pytest.raises(FileFormatError, match="byte order is b'middle'"):
        mezzo.load(repacked(saved(data), byteorder=b"middle"))


def test_map_location(tmp_path):
    data = {"x": torch.arange(6.0).reshape(2, 3), "p": torch.nn.Parameter(torch.ones(2))}
    torch.save(data, tmp_path / "a.pt")
    seen = []
    for where in ("cpu", mezzo.device("cpu"), {"cuda:0": "cpu"}, lambda storage, place: storage,
                  lambda storage, place: seen.append((storage.nbytes(), place)), lambda s, place: s.cpu()):  # fmt: skip
        agree(mezzo.load(tmp_path / "a.pt", map_location=where), data)
    assert sorted(seen) == [(8, "cpu"), (24, "cpu")]
    for where in ("meta", {"cpu": "meta"}, mezzo.device("meta"), lambda s, place: s.to("meta")):
        got = mezzo.load(tmp_path / "a.pt", map_location=where)
        assert got["x"].is_meta and got["x"].stride() == (3, 1)
        assert isinstance(got["p"], nn.Parameter) and got["p"].is_meta
    with pytest.raises(TypeError, match="must return the storage"):
        mezzo.load(tmp_path / "a.pt", map_location=lambda s, place: 3)
    with pytest.raises(TypeError, match="argument map_location is a float"):
        mezzo.load(tmp_path / "a.pt", map_location=1.5)


def test_tensors_of_a_gpu_need_a_place():
    pickle = zipfile.ZipFile(saved({"x": torch.ones(2)})).read("archive/data.pkl")
    file = repacked(
        saved({"x": torch.ones(2)}),
        **{"data.pkl": pickle.replace(b"\x03\0\0\0cpu", b"\x06\0\0\0cuda:0")},
    )
    with pytest.raises(RuntimeError, match="saved on device 'cuda:0'.*map_location='cpu'"):
        mezzo.load(file)
    file.seek(0)
    assert mezzo.load(file, map_location="cpu")["x"].tolist() == [1, 1]
    file.seek(0)
    assert mezzo.load(file, map_location={"cuda:0": "cpu"})["x"].tolist() == [1, 1]


def test_attributes_and_metadata():
    x, p = torch.ones(2), torch.nn.Parameter(torch.ones(2))
    x.note, p.tensor_parallel = "hello", {"dim": 1}
    got = mezzo.load(saved({"x": x, "p": p}))
    assert got["x"].note == "hello" and got["p"].tensor_parallel == {"dim": 1}
    state = torch.nn.BatchNorm2d(3).state_dict()
    got = mezzo.load(saved(state))
    assert isinstance(got, OrderedDict) and got._metadata == state._metadata
    again = torch.load(written(got), weights_only=True)
    assert again._metadata == state._metadata
    torch.nn.BatchNorm2d(3).load_state_dict(again)


def test_views_of_one_memory_as_two_dtypes():
    base = mezzo.arange(12, dtype=mezzo.int32)
    data = {"tail": base.view(mezzo.uint8)[5:9], "words": base[2:], "all": base}
    got = torch.load(written(data), weights_only=True)
    for name, value in data.items():
        assert bits(got[name]) == bits(value), name
    got["words"].fill_(-1)
    assert got["tail"].tolist() == [0, 0, 0, 255]
    mine = mezzo.load(written(data))
    mine["words"].fill_(-1)
    assert mine["tail"].tolist() == [0, 0, 0, 255]


def test_what_is_written():
    """One member per memory, at multiples of 64, with right checksums, the same bytes each time."""
    base = mezzo.arange(1000.0).reshape(10, 100)
    file = written({"a": base[2:4], "b": base[3], "c": mezzo.ones(3), "none": mezzo.ones(0)})
    archive = zipfile.ZipFile(file)
    assert archive.testzip() is None
    sizes = {i.filename: i.file_size for i in archive.infolist()}
    assert [sizes[f"archive/data/{n}"] for n in range(3)] == [800, 12, 0]
    content = file.getvalue()
    for member in archive.infolist():
        name, extra = struct.unpack_from("<2H", content, member.header_offset + 26)
        assert (member.header_offset + 30 + name + extra) % 64 == 0
    assert (
        written(
            {"a": base[2:4], "b": base[3], "c": mezzo.ones(3), "none": mezzo.ones(0)}
        ).getvalue()
        == content
    )


def test_meta_tensors():
    data = {"x": mezzo.empty(2, 3, device="meta"), "p": nn.Parameter(mezzo.empty(4, device="meta"))}
    theirs = torch.load(written(data), weights_only=True)
    assert theirs["x"].is_meta and theirs["x"].shape == (2, 3) and theirs["p"].requires_grad
    agree(mezzo.load(written(data)), theirs)


ABSENT = {
    "float8_e4m3fn": lambda: torch.ones(2).to(torch.float8_e4m3fn),
    "uint16": lambda: torch.ones(2).to(torch.uint16),
    "sparse tensor": lambda: torch.eye(2).to_sparse(),
    "conjugate": lambda: torch.ones(2, dtype=torch.complex64).conj(),
    "bare storage": lambda: torch.ones(2).untyped_storage(),
}


@pytest.mark.parametrize("name", ABSENT)
def test_what_mezzo_does_not_have(name):
    with pytest.raises(FileFormatError, match=name):
        mezzo.load(saved({"x": ABSENT[name]()}))


class Net(torch.nn.Module):
    pass


def test_what_is_no_data(tmp_path):
    with pytest.raises(FileFormatError, match=r"asks for '.*Net'.*weights_only=False.*state_dict"):
        mezzo.load(saved(Net()), weights_only=False)
    with pytest.raises(
        FileFormatError, match="asks for 'builtins.print'|asks for '__builtin__.print'"
    ):
        mezzo.load(saved({"f": print}))
    with pytest.raises(NotImplementedError, match="pickle_module"):
        mezzo.load(saved(1), None, object())
    with pytest.raises(NotImplementedError, match="pickle_protocol"):
        mezzo.save(1, io.BytesIO(), pickle_protocol=4)
    with pytest.raises(ValueError, match="encoding"):
        mezzo.load(saved(1), encoding="rot13")
    with pytest.raises(TypeError, match="must be a path"):
        mezzo.load(3)
    script = torch.jit.script(torch.nn.Linear(1, 1))
    torch.jit.save(script, tmp_path / "script.pt")
    with pytest.raises(FileFormatError, match="TorchScript"):
        mezzo.load(tmp_path / "script.pt")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@FORMATS
def test_modules_take_checkpoints(new, dtype):
    def make(t):
        t.manual_seed(0)
        layers = [t.nn.Conv2d(1, 2, 3), t.nn.BatchNorm2d(2), t.nn.Linear(4, 4, bias=False)]
        return t.nn.Sequential(*layers, t.nn.TransformerEncoderLayer(4, 2, 8)).to(getattr(t, dtype))

    theirs, mine = make(torch), make(mezzo)
    assert str(mine.load_state_dict(mezzo.load(saved(theirs.state_dict(), new)))) == (
        "<All keys matched successfully>"
    )
    agree(mine.state_dict(), theirs.state_dict())
    again = make(torch)
    again.load_state_dict(torch.load(written(mine.state_dict()), weights_only=True))
    agree(mine.state_dict(), again.state_dict())
    mine.load_state_dict(mezzo.load(saved(theirs.state_dict(), new)), assign=True)
    agree(mine.state_dict(), theirs.state_dict())


def test_strict_loading_lists_the_keys():
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    state = mezzo.load(saved(net.state_dict()))
    mine = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2, bias=False), nn.LayerNorm(2))
    with pytest.raises(RuntimeError) as caught:
        mine.load_state_dict(state)
    text = str(caught.value)
    assert 'Missing key(s) in state_dict: "2.weight", "2.bias".' in text
    assert 'Unexpected key(s) in state_dict: "1.bias".' in text
    assert "size mismatch for 1.weight" in text and "[1, 3]" in text and "[2, 3]" in text


OPTIMIZERS = {
    "SGD": {"momentum": 0.9}, "Adam": {"amsgrad": True}, "AdamW": {}, "RMSprop": {"momentum": 0.5, "centered": True},
    "Adagrad": {},
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_in_the_other_framework(name):
    """Model, optimizer, scheduler and scaler: three steps in PyTorch and three here are six in PyTorch."""

    def start(t):
        net = t.nn.Linear(4, 1)
        with t.no_grad():
            net.weight.copy_(t.tensor([[0.1, -0.2, 0.3, 0.4]]))
            net.bias.fill_(0.5)
        optimizer = getattr(t.optim, name)(net.parameters(), lr=0.05, **OPTIMIZERS[name])
        scheduler = t.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
        return (
            net,
            optimizer,
            scheduler,
            t.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2),
        )

    x = np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32)

    def train(t, net, optimizer, scheduler, scaler):
        for _ in range(3):
            optimizer.zero_grad()
            scaler.scale((net(t.tensor(x)) - 1.0).abs().mean()).backward()
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()

    whole = start(torch)
    train(torch, *whole)
    mine = start(mezzo)
    for part, state in zip(mine, mezzo.load(saved([part.state_dict() for part in whole]))):
        part.load_state_dict(state)
    train(torch, *whole)
    train(mezzo, *mine)
    weight = whole[0].weight.detach().numpy()
    np.testing.assert_allclose(mine[0].weight.detach().numpy(), weight, rtol=2e-6, atol=1e-7)
    assert mine[3].get_scale() == whole[3].get_scale()
    back = start(torch)  # and what mezzo then saves, PyTorch takes
    for part, state in zip(
        back, torch.load(written([p.state_dict() for p in mine]), weights_only=True)
    ):
        part.load_state_dict(state)
    train(torch, *back)
    train(torch, *whole)
    weight = whole[0].weight.detach().numpy()
    np.testing.assert_allclose(back[0].weight.detach().numpy(), weight, rtol=4e-6, atol=2e-7)
    assert back[2].last_epoch == whole[2].last_epoch == 9
