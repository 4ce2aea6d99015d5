"""Constant weights, packed once: in inference_mode a product keeps the panels that its kernel made of a weight.

Panels belong to the weight's storage: they are as old as its version, and go when it goes. A write in place
raises the version, and the next call packs anew. Memory that somebody else may write unseen (NumPy's, a
DLPack capsule's) and memory made in inference_mode, which has no version, is packed at every call.
"""

from __future__ import annotations

from mezzo.core.storage import INFERENCE, Storage
from mezzo.core.tensor import Tensor
from mezzo.errors import OutOfMemoryError
from mezzo.kernels.cpu import capture
from mezzo.kernels.cpu.contract import Keeper
from mezzo.kernels.cpu.memory import allocate


class Panels:
    """The panels of a storage's tensors. version: the storage's when they were made."""

    __slots__ = ("blocks", "version")

    def __init__(self, version: int):
        self.version = version
        self.blocks: dict[tuple, Storage] = {}


def panels(weight: Tensor, keeper: Keeper) -> Storage | None:
    """The weight's panels, packed now if they are not there or are out of date; None if they cannot be kept."""
    storage = weight.storage
    if storage.__class__ is not Storage or storage.version == INFERENCE or storage.is_exported():
        return None
    capture.refuse()
    kept = getattr(storage, "kept", None)
    if kept is None or kept.version != storage.version:
        kept = storage.kept = Panels(storage.version)
    key = (weight.ptr - storage.ptr, weight.layout, keeper.which, keeper.groups, keeper.format)
    found = kept.blocks.get(key)
    if found is None:
        try:
            found = allocate(keeper.nbytes, Storage)
        except (
            OutOfMemoryError
        ):  # then every call packs what it needs, as outside of inference_mode
            return None
        keeper.launch(weight.ptr, found.ptr)
        kept.blocks[key] = found
    return found
