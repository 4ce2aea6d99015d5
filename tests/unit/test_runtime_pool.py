"""Worker threads: parts, nesting, threads of Python, fork, exit."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mezzo.errors import ArgumentTypeError, ArgumentValueError
from mezzo.kernels.cpu import jit, pool, pool_ir, system
from mezzo.kernels.cpu.entry import launch, launch_unlocked

SRC = Path(__file__).resolve().parents[2] / "src"

# Slots: hits (i32 per item), calls (begin, end, worker of each), count, the next call's number.
# @outer runs @mezzo_parallel inside each item.
IR = """
declare void @mezzo_parallel(ptr, ptr, i64)
define internal void @item(ptr %s, i64 %b, i64 %e, i64 %w) {
entry:
  %hits = load ptr, ptr %s
  %s1 = getelementptr i64, ptr %s, i64 1
  %parts = load ptr, ptr %s1
  %s3 = getelementptr i64, ptr %s, i64 3
  %n = atomicrmw add ptr %s3, i64 1 seq_cst
  %row = mul i64 %n, 3
  %r0 = getelementptr i64, ptr %parts, i64 %row
  store i64 %b, ptr %r0
  %r1 = getelementptr i64, ptr %r0, i64 1
  store i64 %e, ptr %r1
  %r2 = getelementptr i64, ptr %r0, i64 2
  store i64 %w, ptr %r2
  br label %loop
loop:
  %i = phi i64 [ %b, %entry ], [ %j, %body ]
  %more = icmp slt i64 %i, %e
  br i1 %more, label %body, label %done
body:
  %h = getelementptr i32, ptr %hits, i64 %i
  %old = atomicrmw add ptr %h, i32 1 monotonic
  %j = add i64 %i, 1
  br label %loop
done:
  ret void
}
define void @kernel(ptr %s) {
  %s2 = getelementptr i64, ptr %s, i64 2
  %n = load i64, ptr %s2
  call void @mezzo_parallel(ptr @item, ptr %s, i64 %n)
  ret void
}
define internal void @inner(ptr %hits, i64 %b, i64 %e, i64 %w) {
entry:
  br label %loop
loop:
  %i = phi i64 [ %b, %entry ], [ %j, %body ]
  %more = icmp slt i64 %i, %e
  br i1 %more, label %body, label %done
body:
  %h = getelementptr i32, ptr %hits, i64 %i
  %old = atomicrmw add ptr %h, i32 1 monotonic
  %j = add i64 %i, 1
  br label %loop
done:
  ret void
}
define internal void @outer(ptr %s, i64 %b, i64 %e, i64 %w) {
entry:
  %hits = load ptr, ptr %s
  %s1 = getelementptr i64, ptr %s, i64 1
  %n = load i64, ptr %s1
  br label %loop
loop:
  %i = phi i64 [ %b, %entry ], [ %j, %body ]
  %more = icmp slt i64 %i, %e
  br i1 %more, label %body, label %done
body:
  call void @mezzo_parallel(ptr @inner, ptr %hits, i64 %n)
  %j = add i64 %i, 1
  br label %loop
done:
  ret void
}
define void @nested(ptr %s) {
  %s2 = getelementptr i64, ptr %s, i64 2
  %n = load i64, ptr %s2
  call void @mezzo_parallel(ptr @outer, ptr %s, i64 %n)
  ret void
}
"""


@pytest.fixture(autouse=True)
def threads_as_before():
    before = pool.get_num_threads()
    yield
    pool.set_num_threads(before)


def kernel(name: str = "kernel") -> int:
    return jit.load(IR).address(name)


def run(count: int) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """How often each item ran, and the calls of the body, in order of their begin."""
    hits = np.zeros(max(count, 1), np.int32)
    calls = np.full((1024, 3), -1, np.int64)
    launch(kernel(), hits.ctypes.data, calls.ctypes.data, count, 0)
    return hits[: max(count, 0)], sorted(tuple(row) for row in calls.tolist() if row[0] >= 0)


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_calls_cover_the_items_once(threads):
    pool.set_num_threads(threads)
    for count in (0, -3, 1, 2, 3, 6, 7, 8, 100, 1001, 5000):
        hits, calls = run(count)
        assert (hits == 1).all()
        if count <= 0:
            assert calls == []
            continue
        assert calls[0][0] == 0 and calls[-1][1] == count
        assert all(a[1] == b[0] for a, b in itertools.pairwise(calls))
        assert {worker for *_, worker in calls} <= set(range(threads))
        if threads == 1:
            assert len(calls) == 1
        else:  # a quarter of a thread's own share at a time
            parts = min(count, min(count, threads) * pool_ir.PARTS)
            largest = pool_ir.PARTS // 4 * -(-count // parts)
            assert max(end - begin for begin, end, _ in calls) <= largest
            assert len(calls) <= parts


SLOW = """
declare void @mezzo_parallel(ptr, ptr, i64)
declare i32 @usleep(i32)
define internal void @item(ptr %s, i64 %b, i64 %e, i64 %w) {
  %hits = load ptr, ptr %s
  %slot = getelementptr i64, ptr %hits, i64 %w
  %n = sub i64 %e, %b
  %old = atomicrmw add ptr %slot, i64 %n monotonic
  %slow = icmp ne i64 %w, 0
  br i1 %slow, label %wait, label %done
wait:
  %r = call i32 @usleep(i32 20000)
  br label %done
done:
  ret void
}
define void @kernel(ptr %s) {
  call void @mezzo_parallel(ptr @item, ptr %s, i64 336)
  ret void
}
"""


@pytest.mark.skipif(system.WINDOWS, reason="the pool is the caller alone on Windows")
def test_a_slow_thread_keeps_a_quarter_of_its_share_at_most():
    """Each call of a worker takes 20 ms: the caller does what is left, instead of waiting for it."""
    for threads in (2, 3):
        pool.set_num_threads(threads)
        done = np.zeros(threads, np.int64)
        launch(jit.load(SLOW).address("kernel"), done.ctypes.data)
        assert done.sum() == 336
        assert done[1:].max() <= 336 // threads // 4


def test_many_regions():
    pool.set_num_threads(2)
    hits = np.zeros(10, np.int32)
    calls = np.zeros((10, 3), np.int64)
    for _ in range(20000):
        launch(kernel(), hits.ctypes.data, calls.ctypes.data, 10, 0)
    assert (hits == 20000).all()


def test_sleeping_workers_wake():
    pool.set_num_threads(4)
    for _ in range(20):
        hits, _ = run(400)
        assert (hits == 1).all()
        time.sleep(0.003)


def test_changing_the_number_of_threads():
    for threads in (4, 1, 3, 2, 5, 2):
        pool.set_num_threads(threads)
        hits, calls = run(50)
        assert pool.get_num_threads() == threads
        assert (hits == 1).all() and all(worker < threads for *_, worker in calls)
        assert pool.stats()["started"] <= threads
    pool.stop()
    assert pool.stats()["started"] == 1
    assert (run(50)[0] == 1).all()


def test_bad_numbers_of_threads():
    for bad in (0, -1, 5000):
        with pytest.raises(ArgumentValueError, match="it must be from 1 to"):
            pool.set_num_threads(bad)
    for bad in (1.5, "2", None, True):
        with pytest.raises(ArgumentTypeError, match="it must be an int"):
            pool.set_num_threads(bad)


def test_nested_regions():
    pool.set_num_threads(3)
    hits = np.zeros(100, np.int32)
    launch(kernel("nested"), hits.ctypes.data, 100, 17)
    assert (hits == 17).all()


@pytest.mark.parametrize("call", [launch, launch_unlocked])
def test_python_threads_share_the_pool(call):
    pool.set_num_threads(2)
    address = kernel()
    failures = []

    def work():
        hits = np.zeros(1000, np.int32)
        calls = np.zeros((2 * pool_ir.PARTS, 3), np.int64)
        for _ in range(2000):
            call(address, hits.ctypes.data, calls.ctypes.data, 1000, 0)
        if not (hits == 2000).all():
            failures.append(hits)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not failures


def _in_child(queue):
    hits, _ = run(64)
    queue.put((bool((hits == 1).all()), pool.stats()["started"]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_starts_a_fresh_pool():
    pool.set_num_threads(2)
    assert (run(64)[0] == 1).all()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_in_child, args=(queue,))
    process.start()
    assert queue.get(timeout=20) == (True, 2)
    process.join(20)
    assert process.exitcode == 0
    assert (run(64)[0] == 1).all()


def test_exit_with_workers_spinning_and_asleep():
    code = f"""
import atexit, sys, time, threading
import numpy as np
from mezzo.kernels.cpu import jit, pool, pool_ir, system
from mezzo.kernels.cpu.entry import launch
hits, calls = np.zeros(8, np.int32), np.zeros((8, 3), np.int64)
address = None
def call():
    launch(address, hits.ctypes.data, calls.ctypes.data, 8, 0)
atexit.register(call)
pool.set_num_threads(4)
address = jit.load({IR!r}).address("kernel")
call()
time.sleep(float(sys.argv[1]))
print("ran", hits.sum())
"""
    for pause in ("0", "0.05"):
        done = subprocess.run(
            [sys.executable, "-c", code, pause],
            env={**os.environ, "PYTHONPATH": str(SRC)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "ran 8" and done.stderr == ""


def test_threads_from_the_environment():
    code = "from mezzo.kernels.cpu import pool; print(pool.get_num_threads())"

    def ask(text):
        env = {**os.environ, "PYTHONPATH": str(SRC), "MEZZO_NUM_THREADS": text}
        return subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=30
        )

    assert ask("3").stdout.strip() == "3"
    assert "MEZZO_NUM_THREADS: got 'many'; it must be a whole number" in ask("many").stderr
