"""The caching allocator: alignment, reuse, counters, the limit, guards."""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mezzo.errors import ArgumentValueError, OutOfMemoryError
from mezzo.kernels.cpu import arenas, memory

SRC = Path(__file__).resolve().parents[2] / "src"
MIB = 1 << 20
GUARDED = os.environ.get("MEZZO_GUARD", "0") not in ("", "0")
pytestmark = pytest.mark.skipif(GUARDED, reason="guarded blocks are never reused")


@pytest.fixture(autouse=True)
def clean():
    gc.collect()
    memory.empty_cache()
    memory.reset_peak_memory_stats()
    yield
    memory.set_memory_limit(None)


def test_alignment_and_contents():
    blocks = [memory.allocate(n) for n in [0, 1, 63, 64, 65, 1000, 4097, 300_000, 3 * MIB]]
    for k, block in enumerate(blocks):
        assert block.ptr % 64 == 0 and block.ptr > 0
        ctypes.memset(block.ptr, k, max(block.nbytes, 1))
    for k, block in enumerate(blocks):
        data = ctypes.string_at(block.ptr, max(block.nbytes, 1))
        assert data == bytes([k]) * len(data)
    assert memory.allocate(2 * MIB).ptr % (2 * MIB) == 0


def test_classes_waste_at_most_an_eighth():
    for n in [*range(1, 5000), *(random.Random(1).randrange(1, 1 << 40) for _ in range(5000))]:
        size = arenas.size_class(n)
        assert size >= n and size % 64 == 0
        assert n <= 1024 or size <= n * 1.125 + 64
        assert arenas.size_class(size) == size


def test_reuse_is_last_in_first_out():
    for nbytes in (100, 70_000, 5 * MIB):
        a, b = memory.allocate(nbytes), memory.allocate(nbytes)
        at_a, at_b = a.ptr, b.ptr
        del a
        del b
        assert memory.allocate(nbytes).ptr == at_b
        first, second = memory.allocate(nbytes), memory.allocate(nbytes)
        assert {first.ptr, second.ptr} == {at_a, at_b}


def test_a_larger_free_block_serves():
    block = memory.allocate(20 * MIB)
    where, reserved = block.ptr, memory.memory_reserved()
    del block
    smaller = memory.allocate(15 * MIB)
    assert smaller.ptr == where and memory.memory_reserved() == reserved
    assert memory.memory_allocated() >= 20 * MIB
    del smaller
    assert memory.allocate(20 * MIB).ptr == where


def test_counters():
    before = memory.memory_allocated()
    block = memory.allocate(10 * MIB)
    assert memory.memory_allocated() == before + 10 * MIB
    del block
    assert memory.memory_allocated() == before
    assert memory.max_memory_allocated() == before + 10 * MIB
    assert memory.memory_reserved() >= 10 * MIB
    assert memory.empty_cache() >= 10 * MIB
    memory.reset_peak_memory_stats()
    assert memory.max_memory_allocated() == before
    stats = memory.memory_stats()
    assert stats["allocated"] == before and "peak_allocated" in stats
    assert "largest free" in memory.memory_summary()


def test_empty_cache_keeps_what_is_alive():
    keep = [memory.allocate(n) for n in (64, 3000, 100_000)]
    drop = [memory.allocate(n) for n in range(64, 100_000, 777)]
    for block in keep:
        ctypes.memset(block.ptr, 5, block.nbytes)
    del drop
    memory.empty_cache()
    for block in keep:
        assert ctypes.string_at(block.ptr, block.nbytes) == b"\5" * block.nbytes
    again = [memory.allocate(n) for n in range(64, 100_000, 777)]
    spans = sorted((b.ptr, b.ptr + b.nbytes) for b in keep + again)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_random_blocks_never_overlap():
    chance = random.Random(7)
    alive = []
    for step in range(3000):
        if alive and chance.random() < 0.48:
            alive.pop(chance.randrange(len(alive)))
        else:
            alive.append(memory.allocate(int(2 ** chance.uniform(0, 23))))
        if step % 500 == 0:
            memory.empty_cache()
    spans = sorted((b.ptr, b.ptr + b.bucket.size) for b in alive)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert memory.memory_allocated() >= sum(b.bucket.size for b in alive)


def test_limit():
    memory.set_memory_limit(memory.memory_reserved() + 64 * MIB)
    block = memory.allocate(40 * MIB)
    with pytest.raises(OutOfMemoryError) as caught:
        memory.allocate(40 * MIB)
    text = str(caught.value)
    for part in (
        "tried to allocate 40.00 MiB",
        "Allocated:",
        "reserved:",
        "set by",
        "largest free",
    ):
        assert part in text
    del block
    assert memory.allocate(60 * MIB).nbytes == 60 * MIB  # the cached 40 MiB were given back
    memory.set_memory_limit(None)
    assert memory.get_memory_limit() > 1 << 28


def test_limit_too_small_for_an_arena():
    memory.set_memory_limit(memory.memory_reserved() + MIB)
    block = memory.allocate(300_000)
    assert block.ptr % 64 == 0


def test_huge_requests_fail_at_once():
    start = time.perf_counter()
    for nbytes in (4 * 10**15, 1 << 62, 1 << 70, 10**30):
        with pytest.raises(OutOfMemoryError, match="out of memory on device 'cpu'"):
            memory.allocate(nbytes)
        with pytest.raises(RuntimeError):
            memory.allocate(nbytes)
    assert time.perf_counter() - start < 0.5


def test_bad_arguments():
    for bad in (-1, 1.5, "8", None):
        with pytest.raises(ArgumentValueError, match="it must be an int of at least 0"):
            memory.allocate(bad)
    for bad in (-1, 1.5, True, "1G"):
        with pytest.raises(ArgumentValueError, match="it must be a number of bytes, or None"):
            memory.set_memory_limit(bad)


def test_subclass_and_adopt():
    class Storage(memory.Block):
        __slots__ = ("owner", "version")

    block = memory.allocate(256, Storage)
    block.version = 3
    assert type(block) is Storage and block.nbytes == 256
    buffer = ctypes.create_string_buffer(100)
    before = memory.memory_allocated()
    foreign = memory.adopt(ctypes.addressof(buffer), 100, Storage)
    foreign.owner = buffer
    assert memory.memory_allocated() == before
    del foreign
    assert memory.memory_allocated() == before
    assert memory.allocate(100).ptr != ctypes.addressof(buffer)


def test_threads():
    before = memory.memory_allocated()
    owners: dict[int, int] = {}
    clashes = []

    def work(k):
        chance = random.Random(k)
        for _ in range(3000):
            block = memory.allocate(chance.choice((64, 4096, 3 * MIB)))
            if owners.setdefault(block.ptr, k) != k:
                clashes.append(block.ptr)
            owners.pop(block.ptr, None)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not clashes
    assert memory.memory_allocated() == before


def test_freed_while_the_interpreter_ends():
    code = (
        "from mezzo.kernels.cpu import memory\n"
        "class Loop: pass\n"
        "loop = Loop(); loop.me = loop; loop.block = memory.allocate(1000)\n"
        "memory.keep = memory.allocate(5_000_000)\n"
    )
    done = _python(code)
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork():
    block = memory.allocate(1000)
    ctypes.memset(block.ptr, 1, 1000)
    child = os.fork()
    if not child:
        ctypes.memset(block.ptr, 2, 1000)
        memory.allocate(7 * MIB)
        memory.empty_cache()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert ctypes.string_at(block.ptr, 1000) == b"\1" * 1000


def _python(code: str, **environment: str) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": str(SRC), **environment}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=30
    )


@pytest.mark.skipif(os.name == "nt", reason="faults are reported otherwise there")
def test_guard_faults_on_overrun_and_use_after_free():
    head = (
        "import ctypes, faulthandler\nfrom mezzo.kernels.cpu import memory\n"
        "b = memory.allocate(128)\nassert b.ptr % 64 == 0\nctypes.memset(b.ptr, 1, 128)\n"
        "c = memory.allocate(0); ctypes.memset(c.ptr, 1, 64)\n"
        "assert memory.memory_allocated() == 192\n"
    )
    fine = _python(head + "del b\nassert memory.memory_allocated() == 64", MEZZO_GUARD="1")
    assert fine.returncode == 0, fine.stderr
    over = _python(head + "ctypes.memset(b.ptr, 1, 129)", MEZZO_GUARD="1")
    assert over.returncode in (-signal.SIGSEGV, -signal.SIGBUS)
    freed = _python(head + "p = b.ptr; del b; ctypes.memset(p, 1, 1)", MEZZO_GUARD="1")
    assert freed.returncode in (-signal.SIGSEGV, -signal.SIGBUS)
