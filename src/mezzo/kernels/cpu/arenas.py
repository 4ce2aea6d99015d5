"""Size classes, and where the allocator's memory comes from. `memory` is what others use."""

from __future__ import annotations

import os
import threading

from mezzo.errors import OutOfMemoryError
from mezzo.kernels.cpu import system

ALIGNMENT = 64
BIG = 2 << 20  # from here on a block is mapped by itself
_SMALL_ARENA = 2 << 20  # for blocks of up to 64 KiB
_LARGE_ARENA = 16 << 20
_FINE = 16 << 20  # few blocks are larger: rounding them less costs no reuse
_REUSE = 1.5  # a free block of a class up to so many times larger will do

lock = threading.RLock()


class Usage:
    """Counters. Updates are whole under the interpreter lock, which is not given up between them."""

    __slots__ = (
        "allocated",
        "limit",
        "maps",
        "peak",
        "peak_reserved",
        "reserved",
        "unmaps",
    )

    def __init__(self) -> None:
        self.allocated = self.peak = self.reserved = self.peak_reserved = 0
        self.maps = self.unmaps = 0
        self.limit: int | None = None


class Bucket(list):
    """The free blocks of one size class: their addresses, last used last."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size


class ForeignBucket(Bucket):
    """The class of blocks over memory that is not ours: nothing comes back."""

    __slots__ = ()

    def append(self, ptr: int) -> None:
        """Forget it: its owner frees it."""


class GuardBucket:
    """One block that ends at a page without access; see memory.py."""

    __slots__ = ("base", "pages", "size")

    def __init__(self, nbytes: int) -> None:
        self.size = up(max(nbytes, 1), ALIGNMENT)
        self.pages = up(self.size, system.PAGE)
        with lock:
            _admit(nbytes, self.pages)
            self.base = system.map_pages(self.pages + system.PAGE)
            if not self.base:
                raise out_of_memory(nbytes, "the system refused to map it")
            _count(self.pages)
        system.forbid_pages(self.base + self.pages, system.PAGE)

    def pop(self) -> int:
        """The address of the block."""
        return self.base + self.pages - self.size

    def append(self, ptr: int) -> None:
        """Give the pages back, so that use after free faults too."""
        with lock:
            system.unmap_pages(self.base, self.pages + system.PAGE)
            _count(-self.pages)


class Arena:
    """Memory that smaller blocks are cut from, front to back."""

    __slots__ = ("base", "size", "used")

    def __init__(self, base: int, size: int) -> None:
        self.base, self.size, self.used = base, size, 0


usage = Usage()
buckets: dict[int, Bucket] = {}
arenas: list[Arena] = []
_open: dict[int, Arena] = {}  # by arena size: the one being cut


def up(value: int, multiple: int) -> int:
    """value rounded up to a multiple of that."""
    return -(-value // multiple) * multiple


def size_class(nbytes: int) -> int:
    """nbytes rounded up: to 64, from 1 KiB on to an eighth of the power of two below it, from 16 MiB on to a 32nd."""
    if nbytes <= 1024:
        return up(max(nbytes, 1), ALIGNMENT)
    return up(nbytes, 1 << (nbytes - 1).bit_length() - (4 if nbytes <= _FINE else 6))


def bucket_for(nbytes: int) -> Bucket:
    """The size class of a request."""
    size = size_class(nbytes)
    found = buckets.get(size)
    if found is None:
        found = buckets[size] = Bucket(size)
    return found


def limit() -> int:
    """The bytes that may be held from the system."""
    return system.physical_memory() if usage.limit is None else usage.limit


def refill(bucket: Bucket, nbytes: int) -> tuple[Bucket, int]:
    """A block for a class without free ones, and the class that it belongs to. Holds the lock."""
    if bucket.size >= BIG:
        for size in sorted(s for s in buckets if bucket.size < s <= bucket.size * _REUSE):
            try:
                return buckets[size], buckets[size].pop()
            except IndexError:
                continue
        _admit(nbytes, bucket.size)
        return bucket, _map(bucket.size, nbytes)
    return bucket, _cut(bucket.size, nbytes)


def _cut(size: int, nbytes: int) -> int:
    whole = _SMALL_ARENA if size <= 65536 else _LARGE_ARENA
    arena = _open.get(whole)
    if arena is None or arena.used + size > arena.size:
        # Under a tight limit, an arena for this block alone.
        least = up(size, system.PAGE)
        length = whole if usage.reserved + whole <= limit() else least
        _admit(nbytes, length)
        arena = Arena(_map(length, nbytes), length)
        arenas.append(arena)
        _open[whole] = arena
    ptr = arena.base + arena.used
    arena.used += size
    return ptr


def _admit(nbytes: int, length: int) -> None:
    """Make room under the limit for `length` more bytes, or raise."""
    if usage.reserved + length <= limit():
        return
    if length <= limit():
        release()
    if usage.reserved + length > limit():
        raise out_of_memory(nbytes, "that would exceed the limit")


def _map(length: int, nbytes: int) -> int:
    pages = up(length, system.PAGE)
    base = system.map_pages(pages, system.HUGE_PAGE)
    if not base and release():
        base = system.map_pages(pages, system.HUGE_PAGE)
    if not base:
        raise out_of_memory(nbytes, "the system refused to map it")
    system.prefer_huge_pages(base, pages)
    _count(length)
    return base


def _count(length: int) -> None:
    usage.reserved += length
    if length > 0:
        usage.maps += 1
        usage.peak_reserved = max(usage.peak_reserved, usage.reserved)
    else:
        usage.unmaps += 1


def release() -> int:
    """Unmap big free blocks, and arenas all of whose blocks are free; how many bytes went."""
    with lock:
        before = usage.reserved
        for size in [s for s in buckets if s >= BIG]:
            for ptr in _drain(buckets[size]):
                system.unmap_pages(ptr, up(size, system.PAGE))
                _count(-size)
        _release_arenas()
        return before - usage.reserved


def _drain(bucket: Bucket) -> list[int]:
    """Every free block of a class, taken one by one: other threads may be taking them too."""
    taken = []
    while bucket:
        try:
            taken.append(bucket.pop())
        except IndexError:
            break
    return taken


def _release_arenas() -> None:
    taken = {size: _drain(bucket) for size, bucket in buckets.items() if size < BIG}
    starts = sorted(arenas, key=lambda arena: arena.base)
    free = {arena.base: 0 for arena in starts}
    home = {}
    for size, pointers in taken.items():
        for ptr in pointers:
            home[ptr] = base = _arena_of(ptr, starts).base
            free[base] += size
    empty = {arena.base for arena in starts if free[arena.base] == arena.used}
    for size, pointers in taken.items():
        buckets[size].extend(ptr for ptr in pointers if home[ptr] not in empty)
    for arena in starts:
        if arena.base in empty:
            system.unmap_pages(arena.base, up(arena.size, system.PAGE))
            _count(-arena.size)
            arenas.remove(arena)
    for whole, arena in list(_open.items()):
        if arena.base in empty:
            del _open[whole]


def _arena_of(ptr: int, starts: list[Arena]) -> Arena:
    low, high = 0, len(starts)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if starts[middle].base <= ptr else (low, middle)
    return starts[low]


def largest_free() -> int:
    """The size of the largest block that is kept for reuse."""
    return max((size for size, bucket in list(buckets.items()) if bucket), default=0)


def human(nbytes: int) -> str:
    """Bytes for people to read."""
    value = float(nbytes)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if abs(value) < 1024 or unit == "PiB":
            break
        value /= 1024
    return f"{nbytes} bytes" if unit == "bytes" else f"{value:.2f} {unit}"


def out_of_memory(nbytes: int, reason: str) -> OutOfMemoryError:
    """The error for a request that cannot be met; says who holds what."""
    kind = "the machine's memory" if usage.limit is None else "set by set_memory_limit"
    return OutOfMemoryError(
        f"allocate: out of memory on device 'cpu': tried to allocate {human(nbytes)}, and {reason}. "
        f"Allocated: {human(usage.allocated)}; reserved: {human(usage.reserved)}; limit: "
        f"{human(limit())} ({kind}); largest free block: {human(largest_free())}. Use smaller "
        "batches or a smaller dtype, delete tensors that are no longer needed, or raise the limit."
    )


if hasattr(os, "register_at_fork"):
    # A fork in the middle of another thread's slow path would leave the lock taken for ever.
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )
