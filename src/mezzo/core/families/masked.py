"""Elements that a mask of the same shape chooses (kernels/cpu/compress.py); how many they are depends on values.

@masked(kind="pick", vjp=...)
def mask_pick(input: Tensor, mask: Tensor, tail) -> Tensor: ...

@masked(kind="put", vjp=...)
def mask_put(input: Tensor, mask: Tensor, source: Tensor) -> Tensor: ...
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import numpy as np

from mezzo import devices, dtypes
from mezzo.core import tape
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.record import Record, none, registered
from mezzo.core.state import STATE
from mezzo.core.storage import Storage
from mezzo.core.tensor import Tensor, empty, empty_counted
from mezzo.errors import Fact, ShapeError, UnsupportedError
from mezzo.kernels.cpu import capture, compress, entry, tally
from mezzo.kernels.cpu.memory import allocate
from mezzo.rules import shapes

SERIAL = 1 << 15  # elements below which the pool is not worth waking
CHUNK = 1 << 14  # elements of a unit
UNITS = 256  # at most: each adds up what those before it counted
_REASON = "the shape of its result depends on the values"


@functools.lru_cache(maxsize=1024)
def _block(size: int, width: int) -> tuple[np.ndarray, int, int]:
    """The words of a launch, their address, and the units."""
    chunk = max(CHUNK, -(-size // (UNITS * 16)) * 16)
    units = -(-size // chunk)
    words = np.array([units, int(size <= SERIAL), size, chunk, width], np.int64)
    return words, words.ctypes.data, units


class Chosen:
    """A counted mask: what is true in it can be moved. count: how many are, or what stands for it in a recording."""

    __slots__ = ("block", "count", "counts", "launch", "mask")

    def __init__(self, mask: Tensor, width: int = 1):
        self.mask = mask if mask.layout.is_contiguous else mask.contiguous()
        size = mask.layout.numel
        self.block = _block(size, width)
        units = self.block[2]
        self.counts = allocate(8 * units + 8, Storage)
        self.launch = entry.launch if size <= SERIAL else entry.launch_unlocked
        self.move("count", 8)
        total = self.counts.ptr + 8 * units
        if total.__class__ is int:
            self.count = ctypes.c_int64.from_address(total).value
        else:
            self.count = capture.active().count(total)
            capture.active().kept.append(self.block)

    def move(self, kind: str, item: int, *pointers: int) -> None:
        """Launch a kernel."""
        if self.block[2] or kind == "count":
            self.launch(compress.address(kind, item), self.block[1], self.mask.ptr, self.counts.ptr, *pointers)  # fmt: skip

    def is_within(self, least: int, most: int) -> bool:
        """Whether so many are true; a recording goes on only if they are."""
        if self.count.__class__ is int:
            return least <= self.count <= most
        return self.count.within(least, most)


def is_plain(*tensors: Tensor) -> bool:
    """Whether values may be looked at now: no interpreter, real numbers in the processor's memory, and no recording
    but that of a call that is learned, which looks at them when it runs.
    """
    if STATE.stack or ((recording := capture.active()) is not None and not recording.strict):
        return False
    return all(t.layout.device is devices.cpu and not t.layout.dtype.is_complex for t in tensors)


def _tables(axes: int) -> Callable[[int], Layout]:
    """Layouts of as many places with so many axes."""

    def table(count: int) -> Layout:
        return layout((count, axes), (1, count), dtypes.int64, devices.cpu)

    return functools.lru_cache(maxsize=1024)(table)


_TABLES = {axes: _tables(axes) for axes in (1, 2)}


def holds(condition: Tensor, wanted: bool = True) -> bool:
    """Whether a condition, a bool of one element, is as wanted; a recording goes on only if it is."""
    if STATE.stack:  # an interpreter may have the value elsewhere
        return bool(condition._array()) is wanted
    if condition.ptr.__class__ is int:
        return ctypes.c_bool.from_address(condition.ptr).value is wanted
    recording = capture.active()
    if recording is None:
        raise capture.NotCapturable
    return recording.count(condition.ptr, "b8").within(int(wanted), int(wanted))


def tallied(kind: str, input: Tensor, size: Tensor) -> Tensor:
    """A vector of `size`, an int64 of one element, from one of int64 (kernels/cpu/tally.py)."""
    x = input if input.layout.is_contiguous else input.contiguous()
    if size.ptr.__class__ is int:
        count = ctypes.c_int64.from_address(size.ptr).value
    else:
        count = capture.active().count(size.ptr)
    out = empty_counted(count, _lines((), dtypes.int64), dtypes.int64)
    entry.launch(tally.address(kind), x.layout.numel, out.ptr, x.ptr, size.ptr)
    return out


@functools.lru_cache(maxsize=256)
def _lines(tail: tuple[int, ...], dtype: dtypes.dtype) -> Callable[[int], Layout]:
    """Layouts of as many elements in lines of a shape."""
    size = shapes.numel(tail)
    return functools.lru_cache(maxsize=1024)(lambda count: dense((count // size, *tail), dtype))


def _found(input: Tensor) -> Chosen:
    """The elements that are not zero of a tensor of one or two axes, counted."""
    shape = input.layout.shape
    return Chosen(input if input.layout.dtype is dtypes.bool_ else input.ne(0), max(shape[-1], 1))


def places(input: Tensor) -> Tensor:
    """(count, axes): where a tensor of one or two axes is not zero; in memory axis by axis."""
    found, axes = _found(input), input.layout.ndim
    out = empty_counted(found.count, _TABLES[axes], dtypes.int64)
    # Of one axis the only row is overwritten by the columns; of two the columns lie behind the rows.
    found.move("where", 8, out.ptr, out.ptr if axes == 1 else 0)
    return out


def place_lists(input: Tensor) -> tuple[Tensor, ...]:
    """The same as one vector for each axis."""
    found, make = _found(input), _lines((), dtypes.int64)
    outs = tuple(empty_counted(found.count, make, dtypes.int64) for _ in range(input.layout.ndim))
    found.move("where", 8, outs[0].ptr, outs[-1].ptr)
    return outs


def run_lengths(begins: Tensor) -> Tensor:
    """How long the runs of a vector are whose first elements a mask names; the first element begins one."""
    found = Chosen(begins, begins.layout.numel)
    out = empty_counted(found.count, _lines((), dtypes.int64), dtypes.int64)
    found.move("lengths", 8, out.ptr)
    return out


class Masked(Record):
    """A record of one kind of move."""

    family = "masked"

    def __init__(self, fn, *, kind: str, **options):
        options.setdefault("batch", none(_REASON))
        super().__init__(fn, **options)
        self.kind = kind

    def run(self, args: tuple):
        if any(args[i].layout.device is devices.meta for i in self.operands):
            raise UnsupportedError(
                f"{self.name}: cannot run on layouts alone (trace, device 'meta'): {_REASON}."
            )
        input, mask = args[:2]
        x = input if input.layout.is_contiguous else input.contiguous()
        found, item = Chosen(mask), x.layout.dtype.itemsize
        if self.kind == "pick":
            make = _lines(args[2], x.layout.dtype)
            out = empty_counted(found.count, make, x.layout.dtype)
            found.move("pick", item, out.ptr, x.ptr)
        else:
            source = args[2] if args[2].layout.is_contiguous else args[2].contiguous()
            if not found.is_within(0, source.layout.numel):
                self.fail(Fact(ShapeError, f"number of elements of source ({source.layout.numel}) < number of ones in mask "
                                           f"({found.count})"), args)  # fmt: skip
            out = empty(dense(x.layout.shape, x.layout.dtype, x.layout.device))
            found.move("put", item, out.ptr, x.ptr, source.ptr)
        tape.attach(self, args, out)
        return out


masked = registered(Masked)
