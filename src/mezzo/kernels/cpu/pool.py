"""Worker threads that native code reaches without Python.

    void mezzo_parallel(ptr body, ptr ctx, i64 count)

calls `void body(ptr ctx, i64 begin, i64 end, i64 worker)` for contiguous stretches that cover
[0, count) once. A thread takes stretches of its own share of the items first, a quarter of what is
left of it at a time, and then of the shares of others (pool_ir.py), so a body is called several
times by a thread, in no order that may be relied on. `worker` is the thread: below get_num_threads(),
and no two calls of one region run at once with the same. The call runs serially, as worker 0, with
one thread or one item, inside another region, and while another Python thread is in a region: so
scratch memory belongs to ctx, never to a global indexed by `worker`.

Workers start at the first region that wants them, spin for a short while and then sleep. A fork's
child starts with none. They are stopped at exit. A region with warm workers costs about 1 us, one
that must wake them 15 us more, and they begin some 30 us later.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import time
from collections.abc import Callable

from mezzo.errors import ArgumentTypeError, ArgumentValueError
from mezzo.kernels.cpu import linker, pool_ir, system

# Waking a sleeper costs the caller some 15 us in a virtual machine, and the sleeper comes 30 us later. What Python does
# between two launches of a training step is seldom longer than this, so such a program hardly ever pays it.
SPIN_SECONDS = 300e-6
# A caller whose worker is late for so long may be on the core that the worker needs.
PATIENCE_SECONDS = 100e-6
_TRIAL = 2000
_pool: list[_Pool] = []


class _Pool:
    """The native code of the pool and its variables."""

    def __init__(self) -> None:
        module = linker.link(pool_ir.source())
        self.module = module
        self.parallel = module.address("mezzo_parallel")
        self.halt = ctypes.CFUNCTYPE(None)(module.address("halt"))
        self.wanted = self._variable("wanted")
        self.started = self._variable("started")
        self.regions = self._variable("regions")
        self.spins = self._variable("spins")
        self.count = self.wanted.value = _initial_threads()
        self._tune()

    def _variable(self, name: str, kind: type = ctypes.c_int64):
        return kind.from_address(self.module.address(name))

    def _tune(self) -> None:
        """Set how often a worker looks before it sleeps, and a caller before it gives way."""
        trial = ctypes.CFUNCTYPE(None, ctypes.c_int64)(self.module.address("spin_for"))
        trial(1)
        start = time.perf_counter()
        trial(_TRIAL)
        each = max((time.perf_counter() - start) / _TRIAL, 1e-9)
        self.spins.value = max(100, min(150_000, int(SPIN_SECONDS / each)))
        self._variable("patience").value = max(100, min(50_000, int(PATIENCE_SECONDS / each)))

    def forget(self) -> None:
        """After a fork: the threads are gone, and a region that was running is not ours."""
        self.started.value = 1
        for name, kind in (
            ("busy", ctypes.c_int32),
            ("asleep", ctypes.c_int32),
            ("stop", ctypes.c_int32),
            ("ranges", ctypes.c_int64 * (16 * pool_ir.MAX_THREADS)),
        ):
            variable = self._variable(name, kind)
            ctypes.memset(ctypes.addressof(variable), 0, ctypes.sizeof(variable))


def address() -> int:
    """The address of mezzo_parallel."""
    return _get().parallel


CHANGED: list[
    Callable[[], None]
] = []  # called where a setting of the process that plans depend on was changed


def get_num_threads() -> int:
    """How many threads a parallel region uses, the caller included."""
    return _pool[0].count if _pool else _get().count


def set_num_threads(count: int) -> None:
    """Use so many threads, the caller included. Waits for a region that is running."""
    if isinstance(count, bool) or not isinstance(count, int):
        raise ArgumentTypeError(
            f"set_num_threads: argument 1 is a {type(count).__name__}; it must be an int."
        )
    if not 1 <= count <= pool_ir.MAX_THREADS:
        raise ArgumentValueError(
            f"set_num_threads: got {count}; it must be from 1 to {pool_ir.MAX_THREADS}."
        )
    pool = _get()
    if not pool_ir.HAS_THREADS:
        count = 1
    if count < pool.started.value:
        pool.halt()
    pool.count = pool.wanted.value = count
    changed()


def changed() -> None:
    """Say that plans may be of the past."""
    for told in CHANGED:
        told()


def stats() -> dict[str, int]:
    """Threads wanted and started (the caller included), and parallel regions run."""
    pool = _get()
    return {
        "threads": pool.wanted.value,
        "started": pool.started.value,
        "regions": pool.regions.value,
        "spins": pool.spins.value,
    }


def stop() -> None:
    """End the workers; the next region starts them again."""
    for pool in _pool:
        pool.halt()


def _get() -> _Pool:
    if not _pool:
        with linker.lock:
            if not _pool:
                _pool.append(_Pool())
    return _pool[0]


def _initial_threads() -> int:
    if not pool_ir.HAS_THREADS:
        return 1
    text = os.environ.get("MEZZO_NUM_THREADS")
    if not text:
        return min(system.processor_count(), pool_ir.MAX_THREADS)
    if not text.isdigit() or not 1 <= int(text) <= pool_ir.MAX_THREADS:
        raise ArgumentValueError(
            f"MEZZO_NUM_THREADS: got {text!r}; it must be a whole number from 1 to "
            f"{pool_ir.MAX_THREADS}."
        )
    return int(text)


def _after_fork() -> None:
    for pool in _pool:
        pool.forget()


def _at_exit() -> None:
    """Stop the workers, and let kernels that still run (other atexit handlers) run serially."""
    for pool in _pool:
        pool.wanted.value = 1
        pool.halt()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
