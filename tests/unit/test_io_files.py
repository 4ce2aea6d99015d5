"""save and load: round trips, sharing, damage, and files of others."""

from __future__ import annotations

import gc
import io
import os
import pickle
import warnings
import weakref
from collections import Counter, OrderedDict

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mezzo
from mezzo import nn
from mezzo.io import FileFormatError, atomic, load, load_file, save, save_file

DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
)  # fmt: skip


def tensor(*shape: int, dtype: str = "float32"):
    """Consecutive numbers."""
    values = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    return mezzo.tensor(values).to(getattr(mezzo, dtype))


def same(a, b) -> None:
    """Equal values, dtypes and types throughout."""
    assert type(a) is type(b), (type(a), type(b))
    if isinstance(a, mezzo.Tensor):
        assert a.dtype is b.dtype and tuple(a.shape) == tuple(b.shape)
        assert a.requires_grad == b.requires_grad
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            same(x, y)
    else:
        assert a == b or (a != a and b != b)


def again(value, **options):
    """Saved to memory and loaded."""
    file = io.BytesIO()
    save(value, file)
    file.seek(0)
    return load(file, **options)


PLAIN = {
    "none": None, "yes": True, "int": -3, "huge": 1 << 70, "float": 0.1, "nan": float("nan"),
    "inf": -float("inf"), "complex": 1 - 2j, "text": "ä\ud800\n", "bytes": b"\0\xff",
    "list": [1, [2, ()]], "tuple": (1, "a"), "set": {1, 2}, 3: {(1, 2): None}, "$": {"$": "tuple"},
    "ordered": OrderedDict(b=1, a=2), "counter": Counter("aab"), "scalar": np.float32(1.5),
    "array": np.arange(6, dtype=np.uint16).reshape(2, 3), "empty": {}, None: bytearray(b"x"),
}  # fmt: skip


def test_plain_data():
    same(again(PLAIN), PLAIN)
    same(again([mezzo.bfloat16, mezzo.device("cpu")]), [mezzo.bfloat16, mezzo.device("cpu")])


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
keys = st.integers() | st.text() | st.booleans()
trees = st.recursive(
    leaves,
    lambda t: st.lists(t) | st.dictionaries(keys, t) | st.tuples(t, t),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(trees)
def test_any_tree(tree):
    same(again(tree), tree)


@pytest.mark.parametrize("name", ["file.pt", "file.safetensors"])
@pytest.mark.parametrize("mapped", [False, True])
def test_dtypes_and_shapes(tmp_path, name, mapped):
    tensors = {dtype: tensor(3, 5, dtype=dtype) for dtype in DTYPES}
    tensors |= {"scalar": tensor(1)[0], "empty": tensor(0, 3), "odd": tensor(7, dtype="int8")}
    save(tensors, tmp_path / name)
    got = load(tmp_path / name, mmap=mapped)
    same({key: got[key] for key in tensors}, tensors)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("mapped", [False, True])
def test_strides_and_sharing(tmp_path, mapped):
    base = tensor(6, 4)
    data = {
        "base": base, "row": base[2], "column": base[:, 1], "turned": base.t(), "same": base,
        "every second": tensor(10)[::2], "alone": tensor(1000, 1000)[:3, 5:9],
        "expanded": tensor(3, 1).expand(3, 50), "last": tensor(2, 3, 4).permute(0, 2, 1),
    }  # fmt: skip
    path = tmp_path / "file.pt"
    save(data, path)
    assert path.stat().st_size < 20_000  # views of large tensors bring only what they span
    got = load(path, mmap=mapped)
    same(got, data)
    assert got["same"] is got["base"] and got["turned"].stride() == (1, 4)
    got["base"].fill_(7)
    for name in ("row", "column", "turned"):
        assert (got[name].numpy() == 7).all(), name
    for name, value in data.items():
        assert got[name].stride() == value.stride(), name
    same(load(path), data)  # writing to mapped tensors leaves the file alone


def test_parameters_and_gradients():
    weight = nn.Parameter(tensor(2, 2))
    frozen = nn.Parameter(tensor(2), requires_grad=False)
    got = again([weight, weight, frozen, tensor(3).requires_grad_(True)])
    assert got[0] is got[1] and isinstance(got[0], nn.Parameter)
    same(got[2:], [frozen, tensor(3).requires_grad_(True)])


def test_module_state(tmp_path):
    def make():
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(4, 4, bias=False))

    net = make()
    net[0](mezzo.ones(2, 1, 5, 5))
    for name in ("net.pt", "net.safetensors"):
        save(net.state_dict(), tmp_path / name)
        other = make()
        result = other.load_state_dict(load(tmp_path / name))
        assert str(result) == "<All keys matched successfully>"
        same(dict(other.state_dict()), dict(net.state_dict()))
    state = load(tmp_path / "net.pt")
    assert isinstance(state, OrderedDict) and state._metadata["1"] == {"version": 2}


def test_map_location(tmp_path):
    path = tmp_path / "file.pt"
    save({"x": tensor(3)}, path)
    for where in ("cpu", mezzo.device("cpu"), {"cuda:0": "cpu"}, lambda t, place: t):
        same(load(path, map_location=where), {"x": tensor(3)})
    assert load(path, map_location="meta")["x"].device.type == "meta"


def test_safetensors_are_read_by_others_and_theirs_by_us(tmp_path):
    mine, other = tmp_path / "mine.safetensors", tmp_path / "theirs.safetensors"
    values = {"a": tensor(3, 4), "b": tensor(5, dtype="bfloat16"), "t": tensor(3, 4).t()}
    save_file(values, mine, metadata={"note": "hello"})
    read = safetensors.torch.load_file(mine)
    assert read["b"].dtype is torch.bfloat16
    for name, value in values.items():
        np.testing.assert_array_equal(read[name].float().numpy(), value.float().numpy())
    safetensors.torch.save_file(read, other)
    got = load_file(other)
    same({name: got[name] for name in values}, values)


def test_tied_tensors_in_safetensors(tmp_path):
    path = tmp_path / "tied.safetensors"
    weight = tensor(100, 10)
    save({"embed": weight, "head": weight, "row": weight[0]}, path)
    assert path.stat().st_size < 5000
    got = load(path)
    assert got["head"] is got["embed"] and got["row"] is not got["embed"]
    same(got["row"], weight[0])


class Thing:
    pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, Thing()]}, r"obj\['a'\]\[1\] is a .*Thing.*state_dict"),
        ({"f": len}, "builtin_function"),
        ({Thing: 1}, "key of obj"),
        (np.array(["a"]), "array of dtype"),
    ],
)
def test_what_cannot_be_saved(tmp_path, value, text):
    with pytest.raises(TypeError, match=text):
        save(value, tmp_path / "file.pt")
    assert os.listdir(tmp_path) == []
    with pytest.raises(TypeError, match="flat dict"):
        save({"a": {"b": tensor(1)}}, tmp_path / "file.safetensors")
    assert os.listdir(tmp_path) == []


def test_a_loop_is_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(TypeError, match="contains itself"):
        save(loop, io.BytesIO())


def test_writing_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "file.pt"
    save(1, path)
    path.chmod(0o640)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(atomic.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save(2, path)
    monkeypatch.undo()
    assert load(path) == 1 and os.listdir(tmp_path) == ["file.pt"]
    save(3, path)
    assert load(path) == 3 and path.stat().st_mode & 0o777 == 0o640
    link = tmp_path / "link.pt"
    link.symlink_to(path)
    save(4, link)
    assert link.is_symlink() and load(path) == 4
    with pytest.raises(FileNotFoundError, match="does not exist"):
        save(1, tmp_path / "no" / "file.pt")
    with pytest.raises(IsADirectoryError):
        save(1, tmp_path)


def test_foreign_files(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(FileFormatError, match="is a pickle, and not one of PyTorch's"):
        load(path)
    path.write_bytes(b"hello, world")
    with pytest.raises(FileFormatError, match="is not a file of PyTorch's"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match="is empty"):
        load(path)
    with pytest.raises(FileNotFoundError, match="no file"):
        load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="no file"):
        load(tmp_path / "nothing.safetensors")
    save({"a": tensor(100)}, tmp_path / "x.safetensors")
    os.rename(tmp_path / "x.safetensors", tmp_path / "x.bin")
    same(load(tmp_path / "x.bin"), {"a": tensor(100)})  # known by its content
    whole = (tmp_path / "x.bin").read_bytes()
    cut = tmp_path / "cut.safetensors"
    for length in (0, 7, 20, len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(FileFormatError, match="no whole safetensors|is empty|is not a file"):
            load(cut)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    shape=st.lists(st.integers(0, 5), max_size=4),
    order=st.randoms(),
    step=st.integers(1, 3),
    start=st.integers(0, 2),
)
def test_any_view(shape, order, step, start):
    base = tensor(*shape) if shape else tensor(1)[0]
    view = base
    if shape:
        axes = list(range(len(shape)))
        order.shuffle(axes)
        view = base.permute(*axes)[start::step]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(again([view, base, view]), [view, base, view])
        same(again(view), view)


def test_loaded_tensors_die_with_their_last_reference():
    gc.collect()
    gc.disable()
    try:
        held = weakref.ref(again({"x": [tensor(3)]})["x"][0])
        assert held() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_training_goes_on_from_a_file(tmp_path, name):
    """Model, optimizer, scheduler and scaler, saved in the middle, end where the unbroken run ends."""

    def start():
        mezzo.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
        options = {"momentum": 0.9} if name == "SGD" else {}
        optimizer = getattr(mezzo.optim, name)(net.parameters(), lr=0.01, **options)
        scheduler = mezzo.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
        return net, optimizer, scheduler, mezzo.amp.GradScaler("cpu", init_scale=64.0)

    x = mezzo.tensor(np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32))

    def train(net, optimizer, scheduler, scaler, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            scaler.scale((net(x) - 1.0).abs().mean()).backward()
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()

    unbroken = start()
    train(*unbroken, steps=3)
    path = tmp_path / "checkpoint.pt"
    save([part.state_dict() for part in unbroken], path)
    train(*unbroken, steps=3)
    resumed = start()
    for part, state in zip(resumed, load(path)):
        part.load_state_dict(state)
    train(*resumed, steps=3)
    for mine, other in zip(resumed, unbroken):
        same(mine.state_dict(), other.state_dict())
