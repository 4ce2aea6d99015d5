"""What is particular to an operating system: pages, thread counts, permissions, symbols of libc.

Everything else in this package is written against these few functions.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys

LINUX = sys.platform.startswith("linux")
WINDOWS = os.name == "nt"
MACHINE = platform.machine().lower()
IS_X86 = MACHINE in ("x86_64", "amd64")
IS_ARM = MACHINE in ("arm64", "aarch64")

# A build without the interpreter lock, whether or not the lock is on now.
FREE_THREADED = (
    "t" in getattr(sys, "abiflags", "") or not getattr(sys, "_is_gil_enabled", lambda: True)()
)
PAGE = 4096 if IS_X86 else 16384 if sys.platform == "darwin" else 65536 if IS_ARM else 4096
HUGE_PAGE = 2 << 20

_PROT_NONE, _PROT_READ, _PROT_WRITE = 0, 1, 2
_MAP_PRIVATE = 0x02
_MAP_ANONYMOUS = 0x1000 if sys.platform == "darwin" else 0x20
_MADV_HUGEPAGE = 14
_MAP_FAILED = ctypes.c_void_p(-1).value

_ARCH_REQ_XCOMP_PERM = 0x1023
_XFEATURE_XTILEDATA = 18
_SYS_ARCH_PRCTL = 158


@functools.cache
def libc() -> ctypes.CDLL:
    """The C library of this process, with the argument types of what we call."""
    if WINDOWS:
        lib = ctypes.WinDLL("kernel32", use_last_error=True)
        lib.VirtualAlloc.restype = ctypes.c_void_p
        lib.VirtualAlloc.argtypes = [
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_uint32,
            ctypes.c_uint32,
        ]
        lib.VirtualFree.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32]
        return lib
    lib = ctypes.CDLL(None, use_errno=True)
    lib.mmap.restype = ctypes.c_void_p
    lib.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    lib.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    lib.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    lib.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return lib


@functools.cache
def grant_amx() -> bool:
    """Ask the kernel, once, for the right to use the tile registers; False where it refuses."""
    if not (LINUX and IS_X86):
        return False
    lib = libc()
    lib.syscall.restype = ctypes.c_long
    answer = lib.syscall(
        ctypes.c_long(_SYS_ARCH_PRCTL),
        ctypes.c_long(_ARCH_REQ_XCOMP_PERM),
        ctypes.c_long(_XFEATURE_XTILEDATA),
    )
    return answer == 0


def map_pages(nbytes: int, alignment: int = PAGE) -> int:
    """Address of fresh zeroed pages, aligned; 0 where the system gives none."""
    lib = libc()
    if WINDOWS:  # reserve more than needed; the head and tail cannot be given back
        base = lib.VirtualAlloc(None, nbytes + alignment, 0x3000, 0x04)
        return 0 if not base else _up(base, alignment)
    extra = alignment if alignment > PAGE else 0
    base = lib.mmap(
        None, nbytes + extra, _PROT_READ | _PROT_WRITE, _MAP_PRIVATE | _MAP_ANONYMOUS, -1, 0
    )
    if base is None or base == _MAP_FAILED:
        return 0
    if not extra:
        return base
    start = _up(base, alignment)
    if start > base:
        lib.munmap(base, start - base)
    tail = base + nbytes + extra - (start + nbytes)
    if tail:
        lib.munmap(start + nbytes, tail)
    return start


def unmap_pages(address: int, nbytes: int) -> None:
    """Give pages back to the system. nbytes is a multiple of PAGE."""
    if WINDOWS:
        libc().VirtualFree(address, nbytes, 0x4000)  # decommit: the range may not start the area
    else:
        libc().munmap(address, nbytes)


def prefer_huge_pages(address: int, nbytes: int) -> None:
    """Ask for huge pages; a system without them ignores it."""
    if LINUX:
        libc().madvise(address, nbytes, _MADV_HUGEPAGE)


def forbid_pages(address: int, nbytes: int) -> None:
    """Make any access to these pages fault at once."""
    if WINDOWS:
        old = ctypes.c_uint32()
        libc().VirtualProtect(
            ctypes.c_void_p(address), ctypes.c_size_t(nbytes), 1, ctypes.byref(old)
        )
    else:
        libc().mprotect(address, nbytes, _PROT_NONE)


@functools.cache
def physical_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its control group's limit."""
    total = 1 << 62
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    elif WINDOWS:
        kilobytes = ctypes.c_uint64()
        if libc().GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
            total = kilobytes.value * 1024
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _first_line(path)
        if text.isdigit():
            total = min(total, int(text))
    return total


def processor_count() -> int:
    """Physical cores that this process may run on, within its control group's quota; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        allowed = os.sched_getaffinity(0)
    else:
        allowed = set(range(os.cpu_count() or 1))
    # Two hyperthreads share the vector units: counting both would only make them wait.
    cores = {
        _first_line(f"/sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list") or str(n)
        for n in allowed
    }
    count = len(cores)
    quota, _, period = _first_line("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        count = min(count, -(-int(quota) // int(period)))
    return max(1, count)


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except (OSError, ValueError):
        return ""


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
