"""The processor as a device: its memory and the older amp names."""

from __future__ import annotations

from mezzo.core import holders
from mezzo.cpu import amp
from mezzo.kernels.cpu import memory
from mezzo.kernels.cpu.arenas import human
from mezzo.kernels.cpu.memory import (
    empty_cache,
    max_memory_allocated,
    memory_allocated,
    memory_reserved,
    memory_stats,
    reset_peak_memory_stats,
    set_memory_limit,
)

__all__ = ["amp", "current_device", "device_count", "empty_cache", "is_available", "max_memory_allocated", "memory",
           "memory_allocated", "memory_reserved", "memory_stats", "memory_summary", "reset_peak_memory_stats",
           "set_memory_limit", "synchronize"]  # fmt: skip


SHOWN = 12  # holders named in memory_summary


def memory_summary() -> str:
    """The counts of the allocator, and which operations hold how much of it, as two small tables.

    Holders are found by walking what is alive: the call takes milliseconds, and running operations pay nothing.
    """
    found = holders.holdings()
    lines = [memory.memory_summary(), "held by"]
    for what, nbytes, storages in found[:SHOWN]:
        lines.append(f"  {what:<34}{human(nbytes):>14}  in {storages}")
    rest = sum(h.nbytes for h in found[SHOWN:])
    if rest:
        lines.append(f"  {f'{len(found) - SHOWN} more':<34}{human(rest):>14}")
    unseen = memory_allocated() - sum(h.nbytes for h in found)
    if unseen > 0:
        lines.append(f"  {'workspace and compiled programs':<34}{human(unseen):>14}")
    return "\n".join(lines)


def is_available() -> bool:
    """True. Source: torch.cpu.is_available"""
    return True


def device_count() -> int:
    """One. Source: torch.cpu.device_count"""
    return 1


def current_device() -> str:
    """ "cpu". Source: torch.cpu.current_device"""
    return "cpu"


def synchronize(device=None) -> None:
    """Nothing to wait for: calls return when they are done. Source: torch.cpu.synchronize"""
