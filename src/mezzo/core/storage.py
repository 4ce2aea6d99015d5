"""Storage: a block of memory that tensors view, with a version that in-place writes raise."""

from __future__ import annotations

import sys
import weakref

from mezzo.kernels.cpu import capture
from mezzo.kernels.cpu.memory import Block

INFERENCE = -1  # the version of memory made in inference_mode: it is not tracked


class Storage(Block):
    """Memory from the allocator. version counts in-place writes; writer says who wrote last.

    kept: what was packed of it (core/kept.py). exports: who shares it and may write without raising the version.
    lent: a gradient that somebody beside the engine holds. saved: a derivative reads it, so that a write needs its
    line for the error that may follow. They are unset as a rule: making a storage should cost nothing for them.
    """

    __slots__ = ("exports", "kept", "lent", "saved", "version", "writer")

    def export(self, holder) -> None:
        """Note that `holder` lets others write here for as long as it lives."""
        self.kept = None
        before = getattr(self, "exports", None)
        alive = [ref for ref in before if ref() is not None] if before else ()
        self.exports = [*alive, weakref.ref(holder)]

    def is_exported(self) -> bool:
        """Whether somebody may write here unseen."""
        return any(ref() is not None for ref in getattr(self, "exports", ()))


class ExternalStorage(Storage):
    """Memory that belongs to somebody else (a NumPy array, a DLPack capsule, a mapped file)."""

    __slots__ = ("owner",)

    def __init__(self, ptr: int, nbytes: int, owner):
        capture.refuse()
        self.ptr, self.nbytes, self.owner = ptr, nbytes, owner
        self.version, self.writer = 0, None

    def __del__(self):
        self.owner = None


class PartStorage(Storage):
    """A piece of a storage, which lives as long as one of its pieces does."""

    __slots__ = ("owner",)

    def __init__(self, owner: Storage, offset: int, nbytes: int):
        self.ptr, self.nbytes, self.owner = owner.ptr + offset, nbytes, owner
        self.version, self.writer = owner.version, None

    def __del__(self):
        self.owner = None


_PACKAGE = __name__.partition(".")[0] + "."
_ours: set = set()  # mezzo's own code objects: in-place calls ask for every frame


class Place(tuple):
    """(file, line) of a frame; put into words only when an error wants it."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self[0]}:{self[1]}" if self else "an unknown line"

    __repr__ = __str__


def user_line() -> Place:
    """Where the innermost frame outside mezzo is."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code not in _ours:
            if not frame.f_globals.get("__name__", "").startswith(_PACKAGE):
                return Place((code.co_filename, frame.f_lineno))
            _ours.add(code)
        frame = frame.f_back
    return Place()


def mark_written(storage: Storage, operation: str) -> None:
    """Count an in-place write; remembers operation and line for the error that may follow."""
    if storage is None or storage.version == INFERENCE:
        return
    storage.version += 1
    storage.writer = (operation, user_line())
