"""CUDA by name: this build runs none, and says so where it is asked."""

from __future__ import annotations

from mezzo.cuda import amp
from mezzo.devices import usable

__all__ = ["amp", "current_device", "device_count", "empty_cache", "get_device_name", "is_available",
           "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all", "max_memory_allocated",
           "memory_allocated", "set_device", "synchronize"]  # fmt: skip


def is_available() -> bool:
    """False: this build runs no CUDA. Source: torch.cuda.is_available"""
    return False


def is_initialized() -> bool:
    """False. Source: torch.cuda.is_initialized"""
    return False


def device_count() -> int:
    """Zero. Source: torch.cuda.device_count"""
    return 0


def is_bf16_supported() -> bool:
    """False without a device. Source: torch.cuda.is_bf16_supported"""
    return False


def current_device() -> int:
    """Raises: there is no device. Source: torch.cuda.current_device"""
    usable("cuda", "cuda.current_device")
    return 0


def get_device_name(device=None) -> str:
    """Raises: there is no device. Source: torch.cuda.get_device_name"""
    usable("cuda", "cuda.get_device_name")
    return ""


def set_device(device) -> None:
    """Raises: there is no device. Source: torch.cuda.set_device"""
    usable("cuda", "cuda.set_device")


def synchronize(device=None) -> None:
    """Raises: there is no device. Source: torch.cuda.synchronize"""
    usable("cuda", "cuda.synchronize")


def manual_seed(seed: int) -> None:
    """Nothing to seed; allowed, as in PyTorch. Source: torch.cuda.manual_seed"""


def manual_seed_all(seed: int) -> None:
    """Nothing to seed; allowed, as in PyTorch. Source: torch.cuda.manual_seed_all"""


def empty_cache() -> None:
    """Nothing to free; allowed, as in PyTorch. Source: torch.cuda.empty_cache"""


def memory_allocated(device=None) -> int:
    """Zero bytes without a device. Source: torch.cuda.memory_allocated"""
    return 0


def max_memory_allocated(device=None) -> int:
    """Zero bytes without a device. Source: torch.cuda.max_memory_allocated"""
    return 0
