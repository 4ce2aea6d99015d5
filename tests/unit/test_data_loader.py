"""DataLoader: order, workers, errors, and that nothing is left behind."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings

import ml_dtypes
import numpy as np
import pytest

import mezzo
from mezzo.utils import data
from mezzo.utils.data import transport

METHODS = multiprocessing.get_all_start_methods()


class Numbers(data.Dataset):
    """Sample i is (i as a tensor, the worker it came from)."""

    def __init__(self, count: int = 20):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        info = data.get_worker_info()
        return mezzo.tensor(index), -1 if info is None else info.id


class Big(data.Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        return {
            "half": mezzo.full((64, 1024), index, dtype=mezzo.bfloat16),
            "array": np.full((64, 1024), index, np.float64),
            "empty": mezzo.zeros((0, 3)),
            "text": "x" * index,
        }


class Failing(Numbers):
    def __init__(self, how: str):
        super().__init__(8)
        self.how = how

    def __getitem__(self, index):
        if index == 5:
            getattr(self, self.how)()
        return index

    def value(self):
        raise ValueError("bad sample")

    def key(self):
        raise KeyError("bad key")

    def odd(self):
        raise Odd(1, 2)

    def local(self):
        raise type("Local", (Exception,), {})("made here")

    def die(self):
        os._exit(3)

    def killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def sleep(self):
        time.sleep(60)


class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} {b}")


class Stream(data.IterableDataset):
    """0 .. count-1, shared out among the workers."""

    def __init__(self, count: int):
        self.count = count

    def __iter__(self):
        info = data.get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, self.count, step))

    def __len__(self):
        return self.count


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """No process, no descriptor and no warning after a test."""
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    gc.collect()  # tracebacks hold iterators
    assert multiprocessing.active_children() == []
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) <= before + 1  # the first use of spawn keeps one


def values(loader) -> list:
    return [batch[0].tolist() for batch in loader]


def flat(batches: list) -> list:
    return [value for batch in batches for value in batch]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_order_is_the_datasets(workers):
    loader = data.DataLoader(Numbers(10), batch_size=4, num_workers=workers)
    assert values(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] and len(loader) == 3
    loader = data.DataLoader(Numbers(10), batch_size=4, num_workers=workers, drop_last=True)
    assert len(values(loader)) == len(loader) == 2
    assert [x.item() for x, _ in data.DataLoader(Numbers(3), None, num_workers=workers)] == [
        0,
        1,
        2,
    ]


def shuffled(workers: int, seed: int, **options) -> list:
    mezzo.manual_seed(seed)
    loader = data.DataLoader(
        Numbers(30), batch_size=4, shuffle=True, num_workers=workers, **options
    )
    return [values(loader), values(loader)]


def test_the_seed_pins_the_order():
    first = shuffled(0, 7)
    assert first[0] != first[1] and sorted(flat(first[0])) == list(range(30))
    assert first == shuffled(2, 7) == shuffled(3, 7, persistent_workers=True)
    assert first != shuffled(0, 8)
    generator = mezzo.Generator()
    generator.manual_seed(3)
    loader = data.DataLoader(Numbers(30), shuffle=True, generator=generator, num_workers=2)
    order = values(loader)
    generator.manual_seed(3)
    assert order == values(loader)


@pytest.mark.parametrize("method", METHODS)
def test_start_methods(method):
    loader = data.DataLoader(Big(), batch_size=2, num_workers=2, multiprocessing_context=method)
    for place, batch in enumerate(loader):
        expected = np.repeat([2 * place, 2 * place + 1], 64 * 1024).reshape(2, 64, 1024)
        assert batch["half"].dtype is mezzo.bfloat16
        assert (batch["half"].float().numpy() == expected).all()
        assert (batch["array"].numpy() == expected).all()
        assert tuple(batch["empty"].shape) == (2, 0, 3)
        batch["array"] += 1  # what arrives can be written to
    assert place == 2


def test_every_worker_takes_its_turn():
    loader = data.DataLoader(Numbers(12), batch_size=2, num_workers=3)
    assert [batch[1].tolist() for batch in loader] == [[i, i] for i in (0, 1, 2, 0, 1, 2)]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_streams(workers):
    loader = data.DataLoader(Stream(10), batch_size=3, num_workers=workers)
    for _ in range(2):
        batches = [batch.tolist() for batch in loader]
        assert sorted(flat(batches)) == list(range(10))
    if workers == 0:
        assert len(loader) == 4 and batches[-1] == [9]
    short = data.DataLoader(Stream(10), batch_size=3, num_workers=workers, drop_last=True)
    assert all(len(batch) == 3 for batch in short)


def test_persistent_workers():
    loader = data.DataLoader(
        Numbers(8), batch_size=2, num_workers=2, persistent_workers=True, prefetch_factor=3
    )
    first = values(loader)
    pids = [process.pid for process in loader._workers.processes]
    iterator = iter(loader)
    next(iterator)
    assert values(loader) == first  # a new pass drops what the old one had asked for
    assert [process.pid for process in loader._workers.processes] == pids
    with pytest.raises(RuntimeError, match="another pass"):
        next(iterator)
    del iterator, loader


def test_out_of_order():
    loader = data.DataLoader(Numbers(20), batch_size=2, num_workers=2, in_order=False)
    assert sorted(flat(values(loader))) == list(range(20))


@pytest.mark.parametrize(
    ("how", "kind", "text"),
    [
        ("value", ValueError, r"Caught ValueError in DataLoader worker process \d.*bad sample"),
        ("key", KeyError, "Caught KeyError.*bad key"),
        ("odd", RuntimeError, "Caught Odd.*1 2"),
        ("local", RuntimeError, "Caught Local.*made here"),
        ("die", RuntimeError, "exited unexpectedly with exit code 3"),
        ("killed", RuntimeError, "killed by signal: SIGKILL"),
    ],
)
def test_errors_of_workers(how, kind, text):
    loader = data.DataLoader(Failing(how), batch_size=2, num_workers=2)
    iterator = iter(loader)
    assert next(iterator).tolist() == [0, 1] and next(iterator).tolist() == [2, 3]
    with pytest.raises(kind, match=f"(?s){text}") as caught:
        next(iterator)
    if how in ("value", "key", "odd"):
        assert f"in {how}" in str(caught.value) and __file__ in str(caught.value)
        assert next(iterator).tolist() == [6, 7]  # the others go on


def test_a_bad_initialiser_and_an_unpicklable_batch():
    def initialise(id):
        raise ValueError(f"worker {id} is not ready")

    fork = "fork" if "fork" in METHODS else None
    if fork is None:
        pytest.skip("local functions need fork")
    options = {"num_workers": 1, "multiprocessing_context": fork}
    with pytest.raises(ValueError, match="worker 0 is not ready"):
        next(iter(data.DataLoader(Numbers(2), worker_init_fn=initialise, **options)))
    with pytest.raises(RuntimeError, match="pickle"):
        next(iter(data.DataLoader(Numbers(2), collate_fn=lambda batch: lambda: 1, **options)))


def test_timeout():
    loader = data.DataLoader(Failing("sleep"), batch_size=8, num_workers=1, timeout=0.3)
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="timed out after 0.3 seconds"):
        next(iter(loader))
    assert time.monotonic() - start < 20


def test_early_break_is_quick():
    start = time.monotonic()
    for _ in data.DataLoader(Big(), num_workers=2, prefetch_factor=3):
        break
    assert time.monotonic() - start < 4


def test_many_large_requests_do_not_block():
    loader = data.DataLoader(Numbers(60000), batch_size=20000, num_workers=1, prefetch_factor=3)
    assert [len(batch) for batch in values(loader)] == [20000] * 3


SCRIPT = """
import sys, mezzo
from mezzo.utils.data import DataLoader, Dataset
class Ones(Dataset):
    def __len__(self): return 100
    def __getitem__(self, i): return mezzo.ones(300, 300)
loader = DataLoader(Ones(), batch_size=4, num_workers=2, persistent_workers=True)
iterator = iter(loader)
next(iterator)
print("pids", *[p.pid for p in loader._workers.processes])
{end}
"""


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "import os; os.kill(os.getpid(), 9)"])
def test_exit_of_the_program_leaves_no_process(end):
    code = SCRIPT.format(end=end)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "kill" in end or done.returncode == 0, done.stderr
    assert done.stderr == ""
    deadline = time.monotonic() + 10
    for pid in done.stdout.split()[1:]:
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not os.path.exists(f"/proc/{pid}"), "a worker outlived its parent"


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("files", [True, False])
def test_transport(monkeypatch, large, files):
    monkeypatch.setattr(transport, "HAS_MEMORY_FILES", files and transport.HAS_MEMORY_FILES)
    count = 60000 if large else 3
    sent = {
        "floats": mezzo.tensor(np.arange(count, dtype=np.float32)).reshape(3, -1).T,
        "bf16": mezzo.tensor(np.arange(count, dtype=np.float32)).bfloat16(),
        "bool": np.arange(count) % 2 == 0,
        "scalar": mezzo.tensor(2.5),
        "none": [None, "text", 3],
    }
    ours, other = multiprocessing.Pipe()
    if count > 3 and not (files and transport.HAS_MEMORY_FILES):  # more than a pipe holds
        import threading

        thread = threading.Thread(target=transport.send, args=(ours, sent))
        thread.start()
        got = transport.receive(other)
        thread.join()
    else:
        transport.send(ours, sent)
        got = transport.receive(other)
    assert got["none"] == sent["none"] and got["scalar"].item() == 2.5
    assert got["bf16"].dtype is mezzo.bfloat16
    assert (got["bf16"].numpy() == sent["bf16"].numpy()).all()
    assert got["bf16"].numpy().dtype == ml_dtypes.bfloat16
    assert (got["floats"].numpy() == sent["floats"].numpy()).all()
    assert (got["bool"] == sent["bool"]).all()
    got["floats"] += 1
    ours.close()
    other.close()
    del got


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_workers": -1}, "non-negative"),
        ({"timeout": -1}, "non-negative"),
        ({"prefetch_factor": 2}, "num_workers > 0"),
        ({"persistent_workers": True}, "num_workers > 0"),
        ({"multiprocessing_context": "fork"}, "num_workers=0"),
        ({"num_workers": 1, "multiprocessing_context": "thread"}, "valid start method"),
        ({"num_workers": 1, "prefetch_factor": 0}, "positive"),
        ({"shuffle": True, "sampler": [1]}, "mutually exclusive with shuffle"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "drop_last"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_contradicting_options(options, text):
    with pytest.raises(ValueError, match=text):
        data.DataLoader(Numbers(), **options)


def test_streams_take_no_sampler_and_attributes_are_fixed():
    with pytest.raises(ValueError, match="IterableDataset: expected unspecified shuffle"):
        data.DataLoader(Stream(3), shuffle=True)
    with pytest.raises(ValueError, match="should not be set"):
        data.DataLoader(Numbers()).batch_size = 3


def test_samplers_are_used():
    assert values(data.DataLoader(Numbers(), sampler=[3, 1])) == [[3], [1]]
    assert values(data.DataLoader(Numbers(), batch_sampler=[[3, 1], [2]])) == [[3, 1], [2]]
