"""The processor as a device: its memory and the older amp names."""

from __future__ import annotations

from mezzo.cpu import amp
from mezzo.kernels.cpu import memory
from mezzo.kernels.cpu.memory import (
    empty_cache,
    max_memory_allocated,
    memory_allocated,
    memory_reserved,
    memory_stats,
    memory_summary,
    reset_peak_memory_stats,
    set_memory_limit,
)

__all__ = ["amp", "current_device", "device_count", "empty_cache", "is_available", "max_memory_allocated", "memory",
           "memory_allocated", "memory_reserved", "memory_stats", "memory_summary", "reset_peak_memory_stats",
           "set_memory_limit", "synchronize"]  # fmt: skip


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
