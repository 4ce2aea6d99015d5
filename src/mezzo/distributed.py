"""torch.distributed by name: training on several processes is not there, and asking whether it is says so.

What PyTorch offers where it was built without it: is_available() is False, and the rest is absent.
"""

from __future__ import annotations

__all__ = ["is_available", "is_initialized"]


def is_available() -> bool:
    """False. Source: torch.distributed.is_available"""
    return False


def is_initialized() -> bool:
    """False: no process group was made. Source: torch.distributed.is_initialized"""
    return False


def __getattr__(name: str):
    raise AttributeError(
        f"module 'mezzo.distributed' has no attribute {name!r}: training on several processes is not there yet. Guard the call "
        "with mezzo.distributed.is_available() or is_initialized(), which are False."
    )
