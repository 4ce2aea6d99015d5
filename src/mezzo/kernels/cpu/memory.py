"""The caching allocator of the CPU.

    block = allocate(nbytes)        block.ptr, aligned to 64 bytes; given back when it dies

Fresh pages are what makes elementwise code slow, so memory that a block leaves goes on a free list of
its size class and is used again, last in first out. Eight classes per doubling (32 from 16 MiB on) waste at most
12.5 %.
Blocks under 2 MiB are cut from arenas; larger ones are mapped by themselves, aligned to 2 MiB, with
huge pages asked for. (arenas.py gets memory from the system and keeps the limit.)

MEZZO_GUARD=1 puts every block right before a page that faults on access: the block starts at
`page end - nbytes rounded up to 64`, so that an overrun of more than 63 bytes stops the program where it
happens; with a size that is a multiple of 64, an overrun of one byte does.
"""

from __future__ import annotations

import os
from typing import TypeVar

from mezzo.errors import ArgumentValueError
from mezzo.kernels.cpu import arenas, capture, system
from mezzo.kernels.cpu.arenas import Bucket, usage


class Block:
    """A piece of memory that goes back to its size class when the last reference to it goes.

    Made by `allocate` or `adopt`, never directly. Subclasses may add slots, and must not define
    __init__; who defines __del__ calls this one.
    """

    __slots__ = ("bucket", "nbytes", "ptr")
    ptr: int
    nbytes: int  # as requested; the class may be a little larger
    bucket: Bucket

    # The default argument keeps the counters reachable while the interpreter shuts down.
    def __del__(self, usage=usage):
        try:
            bucket = self.bucket
        except AttributeError:  # its making was interrupted
            return
        usage.allocated -= bucket.size
        bucket.append(self.ptr)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.nbytes} bytes at {self.ptr:#x}>"


B = TypeVar("B", bound=Block)

_bucket_of: dict[int, Bucket] = {}
_MEMO_LIMIT = 1 << 16


def _allocate(nbytes: int, cls: type[B] = Block) -> B:  # type: ignore[assignment]
    """A block of at least nbytes, its contents undefined. No bytes still give a valid pointer."""
    try:
        bucket = _bucket_of[nbytes]
        ptr = bucket.pop()
    except (KeyError, IndexError):
        bucket, ptr = _slow(nbytes)
    block = cls()
    block.ptr = ptr
    block.nbytes = nbytes
    block.bucket = bucket
    allocated = usage.allocated + bucket.size
    usage.allocated = allocated
    if allocated > usage.peak:
        usage.peak = allocated
    return block


def _allocate_locked(nbytes: int, cls: type[B] = Block) -> B:  # type: ignore[assignment]
    """The same where no interpreter lock makes the counters' updates whole."""
    with arenas.lock:
        return _allocate(nbytes, cls)


def _allocate_guarded(nbytes: int, cls: type[B] = Block) -> B:  # type: ignore[assignment]
    """The same with a page behind it that faults on access."""
    nbytes = _checked(nbytes)
    block = cls()
    recording = capture.active()
    if recording is not None:
        block.bucket, block.ptr = recording.allocate(nbytes)  # type: ignore[assignment]
        block.nbytes = nbytes
        return block
    bucket = arenas.GuardBucket(nbytes)
    block.ptr = bucket.pop()
    block.nbytes = nbytes
    block.bucket = bucket  # type: ignore[assignment]
    usage.allocated += bucket.size
    usage.peak = max(usage.peak, usage.allocated)
    return block


def adopt(ptr: int, nbytes: int, cls: type[B] = Block) -> B:  # type: ignore[assignment]
    """A block over memory that somebody else owns and frees; it counts as nothing allocated."""
    block = cls()
    block.ptr = ptr
    block.nbytes = nbytes
    block.bucket = _FOREIGN
    return block


_FOREIGN = arenas.ForeignBucket(0)


def _slow(nbytes: int) -> tuple[Bucket, int]:
    """The bucket of a size that was not asked for before, or whose free list is empty."""
    nbytes = _checked(nbytes)
    # Taken before the look at recordings: should one open meanwhile, this is not the table that it reads.
    known = _bucket_of
    recording = capture.active()
    if recording is not None:
        return recording.allocate(nbytes)  # type: ignore[return-value]
    with arenas.lock:
        bucket = arenas.bucket_for(nbytes)
        try:
            ptr = bucket.pop()
        except IndexError:
            found = arenas.refill(bucket, nbytes)
            return found  # a neighbouring class may have had a free block
        finally:
            if len(known) >= _MEMO_LIMIT:
                known.clear()
            if capture.Recording.current is None:
                known[nbytes] = bucket
    return bucket, ptr


def _switch(recording: capture.Recording | None) -> None:
    # While somebody records, every allocation asks whether it is theirs: the quick way knows no sizes.
    global _bucket_of
    if recording is not None:
        _outside.append(_bucket_of)
        _bucket_of = {}
    else:
        _bucket_of = _outside.pop()


_outside: list[dict[int, Bucket]] = []  # the table, while one records
capture.SWITCHES.append(_switch)


def _checked(nbytes: int) -> int:
    if isinstance(nbytes, int) and nbytes >= 0:
        return int(nbytes)
    raise ArgumentValueError(f"allocate: got {nbytes!r} bytes; it must be an int of at least 0.")


def memory_allocated() -> int:
    """Bytes in blocks that are alive, each rounded up to its size class."""
    return usage.allocated


def max_memory_allocated() -> int:
    """The most that memory_allocated() has been since the start or the last reset."""
    return usage.peak


def reset_peak_memory_stats() -> None:
    """Let max_memory_allocated() start again from what is allocated now."""
    usage.peak = usage.allocated


def memory_reserved() -> int:
    """Bytes held from the system: blocks that are alive, and those kept for reuse."""
    return usage.reserved


def max_memory_reserved() -> int:
    """The most that memory_reserved() has been."""
    return usage.peak_reserved


def empty_cache() -> int:
    """Give memory that no block uses back to the system; how many bytes went."""
    return arenas.release()


def set_memory_limit(limit: int | None) -> None:
    """Hold at most so many bytes from the system; None for no limit but the machine's own."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise ArgumentValueError(
            f"set_memory_limit: got {limit!r}; it must be a number of bytes, or None."
        )
    usage.limit = limit


def get_memory_limit() -> int:
    """The bytes that may be held: the limit set, or the machine's memory."""
    return arenas.limit()


def memory_stats() -> dict[str, int]:
    """Counts for programs; memory_summary() is for people."""
    return {
        "allocated": usage.allocated,
        "peak_allocated": usage.peak,
        "reserved": usage.reserved,
        "peak_reserved": usage.peak_reserved,
        "limit": arenas.limit(),
        "largest_free": arenas.largest_free(),
        "arenas": len(arenas.arenas),
        "mapped": usage.maps,
        "unmapped": usage.unmaps,
    }


def memory_summary() -> str:
    """The counts as a small table."""
    rows = memory_stats()
    lines = ["CPU memory"]
    for name, value in rows.items():
        shown = f"{value:>16d}" if name in _COUNTS else f"{arenas.human(value):>16}"
        lines.append(f"  {name.replace('_', ' '):<16}{shown}")
    return "\n".join(lines)


_COUNTS = {"arenas", "mapped", "unmapped"}

if os.environ.get("MEZZO_GUARD", "0") not in ("", "0"):
    allocate = _allocate_guarded
elif system.FREE_THREADED:
    allocate = _allocate_locked

    def _locked_del(self, usage=usage, free=Block.__del__, lock=arenas.lock):
        with lock:
            free(self)

    Block.__del__ = _locked_del  # type: ignore[method-assign]
else:
    allocate = _allocate
