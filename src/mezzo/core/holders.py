"""Who holds memory: every living storage, put down to the operation that keeps it or made it.

Nothing is noted while operations run: the answer is read from the tensors and tape nodes that are alive.
"""

from __future__ import annotations

import gc
from collections import Counter
from typing import NamedTuple

from mezzo import devices
from mezzo.core.storage import ExternalStorage, PartStorage, Storage
from mezzo.core.tape import Node
from mezzo.core.tensor import Tensor


class Holding(NamedTuple):
    """Bytes (of size classes, as memory_allocated counts them) and number of the storages that `what` holds."""

    what: str
    nbytes: int
    storages: int


def holdings() -> list[Holding]:
    """The holders of the processor's memory, largest first. A storage is counted once, for the first that fits:

    leaves that require grad, their gradients, what a node of the tape saved for its derivative, results with
    a history, all other tensors; and beside them the weights that inference_mode keeps packed.
    """
    tensors, nodes = [], []
    for found in gc.get_objects():
        kind = type(found)
        if issubclass(kind, Tensor):
            tensors.append(found)
        elif issubclass(kind, Node):
            nodes.append(found)
    owners: dict[int, tuple[str, Storage]] = {}

    def claim(what: str, tensor) -> None:
        storage = _storage(tensor)
        if storage is not None:
            owners.setdefault(id(storage), (what, storage))

    histories = [(t, t.auto) for t in tensors if getattr(t, "auto", None) is not None]
    for tensor, auto in histories:
        if auto.requires_grad and auto.node is None:
            claim("leaves that require grad", tensor)
    for _, auto in histories:
        if auto.grad is not None:
            claim("gradients", auto.grad)
    for node in nodes:
        versions = getattr(node, "versions", None) or ()  # None: freed by a backward pass
        saved = [t for t, _ in versions]
        for tensor in (*saved, *(getattr(node, "outs", None) or ())):
            claim(f"saved for {node.name()}", tensor)
    for tensor, auto in histories:
        if auto.node is not None:
            claim(f"results of {auto.node.name()}", tensor)
    for tensor in tensors:
        claim("other tensors", tensor)
    for _, storage in list(owners.values()):
        kept = getattr(storage, "kept", None)
        for block in kept.blocks.values() if kept is not None else ():
            owners[id(block)] = ("weights packed for inference", block)
    sizes, counts = Counter(), Counter()
    for what, storage in owners.values():
        sizes[what] += storage.bucket.size
        counts[what] += 1
    return [Holding(what, size, counts[what]) for what, size in sizes.most_common()]


def _storage(tensor) -> Storage | None:
    """The allocator's block beneath a tensor, if it has one of its own."""
    if not isinstance(tensor, Tensor) or tensor.layout.device is not devices.cpu:
        return None
    storage = getattr(tensor, "storage", None)
    if isinstance(storage, PartStorage):
        storage = storage.owner
    if storage is None or isinstance(storage, ExternalStorage) or not hasattr(storage, "bucket"):
        return None
    return storage
