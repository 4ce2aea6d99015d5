"""Elements that a mask of the same shape chooses (kernels/cpu/compress.py); how many they are depends on values.

@masked(kind="pick", vjp=...)
def mask_pick(input: Tensor, mask: Tensor) -> Tensor: ...

@masked(kind="put", vjp=...)
def mask_put(input: Tensor, mask: Tensor, source: Tensor) -> Tensor: ...
"""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from mezzo import devices, dtypes
from mezzo.core import tape
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.record import Record, none, registered
from mezzo.core.state import STATE
from mezzo.core.storage import Storage
from mezzo.core.tensor import Tensor, empty
from mezzo.errors import Fact, ShapeError, UnsupportedError
from mezzo.kernels.cpu import capture, compress, entry
from mezzo.kernels.cpu.memory import allocate

SERIAL = 1 << 15  # elements below which the pool is not worth waking
CHUNK = 1 << 14  # elements of a unit
UNITS = 256  # at most: each adds up what those before it counted
_REASON = "the shape of its result depends on the values"

# The layouts of results, kept so that ever-changing counts do not make them anew.
vector = functools.lru_cache(maxsize=1024)(lambda count, dtype: dense((count,), dtype))


@functools.lru_cache(maxsize=1024)
def _block(size: int, width: int) -> tuple[np.ndarray, int, int]:
    """The words of a launch, their address, and the units."""
    chunk = max(CHUNK, -(-size // (UNITS * 16)) * 16)
    units = -(-size // chunk)
    words = np.array([units, int(size <= SERIAL), size, chunk, width], np.int64)
    return words, words.ctypes.data, units


class Chosen:
    """A counted mask: what is true in it can be moved."""

    __slots__ = ("block", "count", "counts", "launch", "mask")

    def __init__(self, mask: Tensor, width: int = 1):
        self.mask = mask if mask.layout.is_contiguous else mask.contiguous()
        if self.mask.ptr.__class__ is not int:  # a recording's: it has no values
            raise capture.NotCapturable
        size = mask.layout.numel
        self.block = _block(size, width)
        units = self.block[2]
        self.counts = allocate(8 * units + 8, Storage)
        self.launch = entry.launch if size <= SERIAL else entry.launch_unlocked
        self.move("count", 8)
        self.count = ctypes.c_int64.from_address(self.counts.ptr + 8 * units).value

    def move(self, kind: str, item: int, *pointers: int) -> None:
        """Launch a kernel."""
        if self.block[2] or kind == "count":
            self.launch(compress.address(kind, item), self.block[1], self.mask.ptr, self.counts.ptr, *pointers)  # fmt: skip


def is_plain(*tensors: Tensor) -> bool:
    """Whether values may be looked at now: no interpreter, no recording, real numbers in the processor's memory."""
    if STATE.stack or capture.active() is not None:
        return False
    return all(t.layout.device is devices.cpu and not t.layout.dtype.is_complex for t in tensors)


@functools.lru_cache(maxsize=1024)
def _table(count: int, axes: int) -> Layout:
    return layout((count, axes), (1, count), dtypes.int64, devices.cpu)


def _found(input: Tensor) -> Chosen:
    """The elements that are not zero of a tensor of one or two axes, counted."""
    shape = input.layout.shape
    return Chosen(input if input.layout.dtype is dtypes.bool_ else input.ne(0), max(shape[-1], 1))


def places(input: Tensor) -> Tensor:
    """(count, axes): where a tensor of one or two axes is not zero; in memory axis by axis."""
    found, axes = _found(input), input.layout.ndim
    out = empty(_table(found.count, axes))
    # Of one axis the only row is overwritten by the columns.
    found.move("where", 8, out.ptr, out.ptr + 8 * found.count * (axes - 1))
    return out


def place_lists(input: Tensor) -> tuple[Tensor, ...]:
    """The same as one vector for each axis."""
    found = _found(input)
    outs = tuple(empty(vector(found.count, dtypes.int64)) for _ in range(input.layout.ndim))
    found.move("where", 8, outs[0].ptr, outs[-1].ptr)
    return outs


class Masked(Record):
    """A record of one kind of move."""

    family = "masked"

    def __init__(self, fn, *, kind: str, **options):
        options.setdefault("batch", none(_REASON))
        super().__init__(fn, **options)
        self.kind = kind

    def run(self, args: tuple):
        if any(a.layout.device is devices.meta for a in args):
            raise UnsupportedError(
                f"{self.name}: cannot run on layouts alone (trace, device 'meta'): {_REASON}."
            )
        input, mask = args[:2]
        x = input if input.layout.is_contiguous else input.contiguous()
        found, item = Chosen(mask), x.layout.dtype.itemsize
        if self.kind == "pick":
            out = empty(vector(found.count, x.layout.dtype))
            found.move("pick", item, out.ptr, x.ptr)
        else:
            source = args[2] if args[2].layout.is_contiguous else args[2].contiguous()
            if source.layout.numel < found.count:
                self.fail(Fact(ShapeError, f"number of elements of source ({source.layout.numel}) < number of ones in mask "
                                           f"({found.count})"), args)  # fmt: skip
            out = empty(dense(x.layout.shape, x.layout.dtype, x.layout.device))
            found.move("put", item, out.ptr, x.ptr, source.ptr)
        tape.attach(self, args, out)
        return out


masked = registered(Masked)
