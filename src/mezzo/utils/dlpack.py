"""DLPack by PyTorch's names: to_dlpack, from_dlpack."""

from __future__ import annotations

from mezzo.core.tensor import Tensor
from mezzo.ops.access import from_dlpack

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Tensor):
    """A capsule over the tensor's memory; it can be consumed once. Source: torch.utils.dlpack.to_dlpack"""
    return tensor.__dlpack__()
