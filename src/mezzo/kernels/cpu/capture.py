"""Capture: what launches and allocations would happen, written down instead of done.

    with Recording() as recording:
        ...                       allocate() gives Pointers, launch() appends to recording.events

A Pointer is an address in memory that is not there yet: a block's number and an offset. Code between
allocation and launch adds byte offsets to it as to any address. Only the thread that opened the
recording is affected. What a kernel would tell Python (an index out of range) goes through `verify`.
"""

from __future__ import annotations

import array
import threading
from collections.abc import Callable

_BASE = 1 << 61
_SPAN = 1 << 40  # bytes a block may have


class NotCapturable(Exception):
    """Code wanted to read memory that is not there yet."""


class Pointer(int):
    """An address in a block of a recording. Sums with ints are Pointers into the same block."""

    __slots__ = ()

    def __add__(self, other):
        return Pointer(int.__add__(self, other))

    __radd__ = __add__

    def __sub__(self, other):
        return Pointer(int.__sub__(self, other))


def pointer(block: int, offset: int = 0) -> Pointer:
    """The address `offset` bytes into a block."""
    return Pointer(_BASE + block * _SPAN + offset)


def place(value: int) -> tuple[int, int]:
    """(block, offset) of a pointer."""
    return divmod(value - _BASE, _SPAN)


def is_pointer(value: int) -> bool:
    """Whether an address is a recording's."""
    return value >= _BASE


class Late:
    """A number that is known only when a recording is replayed. key: whose; at: which of its numbers."""

    __slots__ = ("at", "key")

    def __init__(self, key, at: int):
        self.key, self.at = key, at

    def __repr__(self) -> str:
        return f"number_{self.key}_{self.at}"


class _Unknown:
    """Something that only a run knows: code that asks for it cannot be recorded."""

    __slots__ = ()

    def _refuse(self, *other):
        raise NotCapturable

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = (
        __index__
    ) = _refuse
    __hash__ = object.__hash__


class Count(_Unknown):
    """A number that a recorded kernel leaves at an address, and sizes depend on: only a run knows it.

    within(least, most) is what the recorded code relies on; a run that finds another number is no such call.
    """

    __slots__ = ("address", "dtype", "key", "least", "most")

    def __init__(self, address: int, dtype: str, key: int):
        self.address, self.dtype, self.key = address, dtype, key
        self.least, self.most = 0, (1 << 63) - 1

    def within(self, least: int, most: int) -> bool:
        """True: the run makes sure of it."""
        self.least, self.most = max(self.least, least), min(self.most, most)
        return True


class Number(_Unknown):
    """A number that is the result of a recorded call. dtype: of the kernel IR; kind: Python's type of it."""

    __slots__ = ("address", "dtype", "kind")

    def __init__(self, address: int, dtype: str, kind: type):
        self.address, self.dtype, self.kind = address, dtype, kind


class _Bucket:
    """Where the memory of one recorded block goes back to: nothing but a note of when."""

    __slots__ = ("block", "recording")
    size = 0

    def __init__(self, recording: Recording, block: int):
        self.recording, self.block = recording, block

    def append(self, ptr: int) -> None:
        """The block is not used any more."""
        if self.recording.is_open:
            self.recording.events.append(("free", self.block))


def _nothing() -> None:
    pass


class Recording:
    """Events in order: ("new", block), ("free", block), ("call", address, slots); if strict ("host", function, outs, args) and ("draw", take);
    ("count", count), ("sized", block, make, count) for memory whose layout make(count) gives, ("number", number).

    sizes: bytes of each block. tables: arrays of pointers that kernels read from memory. checks: (cell, refuse)
    to look at after a replay. kept: objects whose memory the launches refer to. strict: whoever calls refuse()
    stops it. unlocked: a launch gives up the interpreter lock.
    """

    current: Recording | None = None
    happened = False
    _lock = threading.Lock()

    def __init__(self, strict: bool = False):
        self.thread = threading.get_ident()
        self.strict, self.unlocked = strict, False
        self.events: list[tuple] = []
        self.sizes: list[int] = []
        self.tables: list[array.array] = []
        self.checks: list[tuple[array.array, Callable]] = []
        self.kept: list = []
        self.is_open, self.draws, self.counts = False, 0, 0
        self.before_count: Callable[[], None] = _nothing  # while open; may raise NotCapturable

    def __enter__(self):
        Recording._lock.acquire()
        self.is_open, Recording.current = True, self
        Recording.happened = Recording.happened or not self.strict
        for switch in SWITCHES:
            switch(self)
        return self

    def __exit__(self, *exception):
        self.is_open, Recording.current = False, None
        self.before_count = _nothing  # whoever records holds this: a circle would keep its tensors
        for switch in SWITCHES:
            switch(None)
        Recording._lock.release()

    def block(self, nbytes: int) -> int:
        """A new block's number, without an event: memory that lives outside."""
        self.sizes.append(nbytes)
        return len(self.sizes) - 1

    def allocate(self, nbytes: int) -> tuple[_Bucket, Pointer]:
        """A new block in the recorded memory."""
        made = self.block(nbytes)
        self.events.append(("new", made))
        return _Bucket(self, made), pointer(made)

    def launch(self, *arguments) -> bool:
        """Write a launch down; False if it is another thread's and must run."""
        if threading.get_ident() != self.thread:
            return False
        self.events.append(("call", arguments[0], arguments[1:]))
        return True

    def launch_unlocked(self, *arguments) -> bool:
        """The same for a launch that gives up the interpreter lock."""
        self.unlocked = self.unlocked or threading.get_ident() == self.thread
        return self.launch(*arguments)

    def host(self, *call) -> None:
        """Write down what Python does with memory: a function, the tensors that it fills, its other arguments."""
        self.events.append(("host", *call))

    def draw(self, take: Callable) -> tuple[Late, Late]:
        """Write down that take() gives two numbers here, and give what stands for them."""
        self.events.append(("draw", take))
        self.draws += 1
        return Late(self.draws - 1, 0), Late(self.draws - 1, 1)

    def count(self, address: int, dtype: str = "i64") -> Count:
        """Write down that an integer is read here, which sizes or what to do depend on."""
        if not self.strict:
            raise NotCapturable
        self.before_count()
        self.events.append(("count", Count(address, dtype, self.counts)))
        self.counts += 1
        return self.events[-1][1]

    def allocate_counted(self, count: Count, make: Callable) -> tuple[_Bucket, Pointer]:
        """A new block, as large as the layout make(count)."""
        made = self.block(0)
        self.events.append(("sized", made, make, count))
        return _Bucket(self, made), pointer(made)

    def number(self, address: int, dtype: str, kind: type) -> Number:
        """Write down that the call gives a number that lies there."""
        if not self.strict:
            raise NotCapturable
        self.events.append(("number", Number(address, dtype, kind)))
        return self.events[-1][1]

    @classmethod
    def is_taken(cls) -> bool:
        """Whether one is open: a second has to wait."""
        return cls._lock.locked()


SWITCHES: list[Callable] = []  # told of the recording that opens, and None when it closes


def active() -> Recording | None:
    """The recording of this thread, if one is open."""
    found = Recording.current
    return found if found is not None and found.thread == threading.get_ident() else None


def refuse() -> None:
    """Said by code that no recording of launches can stand for: it looks at more than its arguments' layouts."""
    recording = active()
    if recording is not None and recording.strict:
        raise NotCapturable


_retired: list = []


def retire(plans: object) -> None:
    """Take plans that are not used any more: recorded launches may still point into them."""
    if Recording.happened:
        _retired.append(plans)


def verify(cell: array.array, refuse: Callable) -> None:
    """Call refuse(cell) if a launch has set cell[0]: now, or after every replay."""
    recording = Recording.current
    if recording is not None and recording.thread == threading.get_ident():
        recording.checks.append((cell, refuse))
    elif cell[0]:
        refuse(cell)


def table(pointers: list[int]) -> array.array:
    """An array of addresses for a kernel to read; addresses not there yet are filled in later."""
    made = array.array("q", pointers)
    recording = active()
    if recording is not None:
        recording.tables.append(made)
    return made
