"""Learning a call: it runs once on memory that is not there, and what it did becomes an entry.

The stand-ins of its tensors have their layouts and gradients' flags, and refuse what a key does not hold:
values, offsets, versions. Whatever the call did beside launches, allocations, views and nodes on the tape makes
it one that Python keeps doing.
"""

from __future__ import annotations

import array

from mezzo import devices
from mezzo.core import tape
from mezzo.core.layout import Size
from mezzo.core.short import hosts, sized
from mezzo.core.short import words as w
from mezzo.core.short.entries import Entry, Unlike
from mezzo.core.short.keys import FEW, MAX_INDICES
from mezzo.core.short.made import Made, along
from mezzo.core.state import STATE
from mezzo.core.storage import Storage
from mezzo.core.tensor import Tensor
from mezzo.kernels.cpu import arenas, capture, memory

_ALL = -1 << 63, (1 << 63) - 1  # bounds of a number that may be any
INDEX = "an index"  # in the place of the values of a free number that are not free
LIMIT = 4 << 20  # bytes of operands and results; larger calls cost more than their Python


def _refuse(self, *arguments):
    raise capture.NotCapturable


class StandIn(Tensor):
    """A tensor of which only the layout is known."""

    __slots__ = ()
    requires_grad = is_leaf = grad = grad_fn = retains_grad = _version = property(_refuse)
    storage_offset = data_ptr = is_inference = _refuse


class _Learned:
    """One call under a recording, and its entry."""

    def __init__(self, args: tuple, kwargs: dict, free: dict, places: tuple[int, ...] = ()):
        self.tensors: list[Tensor] = []
        self.stands: list[StandIn] = []
        self.autos: list[tape.Auto | None] = []
        self.blocks: dict[int, int] = {}  # of the recording, to a base of the run
        self.numbers: list[float] = []
        self.mapped: dict[int, int] = {}  # id of a stand-in list or number: its argument
        self.flagged = False
        self.recording = capture.Recording(strict=True)
        self.real, self.free, self.places = (args, kwargs), free, places
        self.others: list[_Learned] = []  # the same call with its free index at the other places

    # ---- running

    def run(self, original) -> None:
        """The call, with stand-ins for its tensors and for the numbers whose value is free."""
        with self.recording:
            self.recording.before_count = self._unwritten
            args, kwargs = self.real
            given = [self._free(i, a) for i, a in enumerate(args)]
            named = {name: self.stand(a) for name, a in kwargs.items()}
            self.given = (*given, *named.values())
            self.result = original(*given, **named)
            launches = any(event[0] in ("call", "host") for event in self.recording.events)
            if launches and sum(t.layout.nbytes for t in self.tensors) > LIMIT:
                raise Unlike

    def _free(self, position: int, value):
        special = self.free.get(position)
        if special is INDEX:
            if not self.places:
                return self.stand(value)
            place = self.places[0]
            if isinstance(value, tuple):
                return (place, *(self.stand(v) for v in value[1:]))
            return slice(place, place + value.stop - value.start) if isinstance(value, slice) else place  # fmt: skip
        if special is None or value.__class__ is not float or value in special or value != value:
            return self.stand(value)
        # A number that no size, stride or offset is.
        self.numbers.append(1.2345678901234567e-101 * (len(self.numbers) + 1))
        self.mapped[id(self.numbers[-1])] = position
        return self.numbers[-1]

    def stand(self, value):
        """What stands for an argument, in the order in which a key reads it."""
        if isinstance(value, Tensor):
            for known, made in zip(self.tensors, self.stands):
                if known is value:
                    return made
            return self._stand_for(value)
        kind = value.__class__
        if kind is list or kind is tuple or kind is Size:
            return kind([self.stand(v) for v in value])
        if kind is slice:
            return slice(self.stand(value.start), self.stand(value.stop), self.stand(value.step))
        return value

    def _stand_for(self, tensor: Tensor) -> StandIn:
        layout = tensor.layout
        if layout.device is not devices.cpu or tensor.storage is None:
            raise Unlike
        made = object.__new__(StandIn)
        block = self.recording.block(layout.nbytes)
        self.blocks[block] = w.TENSOR_BASE + len(self.tensors)
        made.layout = layout
        made.storage = memory.adopt(capture.pointer(block), layout.nbytes, Storage)
        made.storage.version, made.storage.writer = 0, None
        made.ptr, made.base = made.storage.ptr, None
        wants = STATE.grad and tape.requires_grad(tensor)
        made.auto = tape.Auto(True) if wants else None
        self.autos.append(made.auto)
        self.flagged = self.flagged or wants
        self.tensors.append(tensor)
        self.stands.append(made)
        return made

    # ---- what it did

    def fill(self, entry: Entry) -> None:
        """Write the entry."""
        self.entry = entry
        entry.kept += [*self.recording.tables, *self.recording.kept]
        if any(capture.is_pointer(v) for t in self.recording.tables for v in t):
            raise Unlike
        writes = self._writes()
        entry.put(w.WRITES, writes)
        made = Made(entry, self.stands, self.mapped, self.places)
        made.sizes = self._sizes()
        if not isinstance(self.result, capture.Number):
            made.gather(self.result)
        made.others = tuple([other._like(writes) for other in self.others])
        self.fresh = made.fresh
        self._allocations(made.fresh)
        if isinstance(self.result, capture.Number):
            self._number(self.result)
        else:
            made.write(self.result, self.blocks)
        self._calls()
        checks, unlocked = self.recording.checks, self.recording.unlocked
        draws = self.recording.draws
        steps = any(event[0] == "host" for event in self.recording.events)
        # Other threads run meanwhile, and a call that fails starts anew in Python.
        python = steps or draws
        if (checks and (unlocked or writes or python)) or (steps and (writes or draws)):
            raise Unlike
        numbers = any(event[0] in ("count", "number") for event in self.recording.events)
        if draws > w.MAX_DRAWS or ((python or numbers) and unlocked):
            raise Unlike
        entry.kept += checks
        entry.put(w.CHECKS, [(cell.buffer_info()[0],) for cell, _ in checks])
        entry.words[w.UNLOCKED] = unlocked
        entry.words[w.TAKEN] = 1

    def _like(self, writes: list[tuple]) -> Made:
        """What this run made, if it wrote the same."""
        made = Made(Entry(bytes(16)), self.stands, self.mapped, self.places)
        made.gather(self.result)
        if self._writes() != writes:
            raise Unlike
        return made

    def _writes(self) -> list[tuple]:
        found = []
        for i, (real, stand) in enumerate(zip(self.tensors, self.stands)):
            moved = stand.ptr != stand.storage.ptr or stand.layout is not real.layout
            if moved or stand.base is not None or stand.__dict__:
                raise Unlike
            auto = stand.auto
            if auto is not self.autos[i]:
                raise Unlike
            if auto is not None and not (auto.requires_grad and auto.node is None):
                raise Unlike
            if stand.storage.version:
                found.append((i, stand.storage.version))
        return found

    def _allocations(self, fresh: dict[int, int]) -> None:
        entry, sizes = self.entry, self.recording.sizes
        made = [event[1] for event in self.recording.events if event[0] in ("new", "sized")]
        total = sum(sizes[b] for b in made) + sum(t.layout.nbytes for t in self.tensors)
        if len(made) > w.MAX_ALLOCS or total > LIMIT:
            raise Unlike
        rows = []
        for i, block in enumerate(made):
            self.blocks[block] = i
            if block in self.sized:
                if block not in fresh:
                    raise Unlike
                rows.append((0, 0, 0, w.LATER, entry.hold(fresh[block])))
                continue
            bucket = arenas.bucket_for(sizes[block])
            guarded = memory.allocate is not memory._allocate
            entry.hold(bucket)
            version = entry.hold(fresh.get(block))
            rows.append((0 if guarded else id(bucket), entry.hold(sizes[block]), bucket.size,
                         int(block not in fresh), version))  # fmt: skip
        entry.put(w.ALLOCS, rows)

    def _calls(self) -> None:
        rows, used = [], set()
        events = [o.recording.events for o in self.others]
        if any(len(e) != len(self.recording.events) for e in events):
            raise Unlike
        for event, *others in zip(self.recording.events, *events):
            if any(other[0] != event[0] for other in others):
                raise Unlike
            if event[0] in ("new", "free"):
                continue
            if event[0] == "call":
                rows.append(self._launch(event, others, used))
                continue
            if others:
                raise Unlike
            if event[0] in ("count", "number", "sized"):
                rows.append(self._read(event))
            elif event[0] == "host":
                rows.append(self._step(*event[1:]))
            elif event[0] == "draw":
                place = w.DRAW_BASE + 2 * sum(row[0] == 0 and row[1] > 0 for row in rows)
                rows.append((0, place, self.entry.hold(event[1]), 0, 0))
            else:
                raise Unlike
        if len(used) != len(self.numbers):
            raise Unlike
        self.entry.put(w.CALLS, rows)

    def _launch(self, event: tuple, others: list[tuple], used: set) -> tuple:
        """A row for a kernel, whose slots are patched with what a run knows."""
        if any(other[1] != event[1] or len(other[2]) != len(event[2]) for other in others):
            raise Unlike
        slots, patches = [], []
        for i, (slot, *elsewhere) in enumerate(zip(event[2], *(other[2] for other in others))):
            if isinstance(slot, capture.Late):
                patches.append((8 * i, w.DRAW_BASE + 2 * slot.key + slot.at, 0, 0))
                slot = 0
            elif isinstance(slot, capture.Pointer):
                offset, step = along([slot, *elsewhere], self.places)
                base, offset = self._base(capture.Pointer(offset))
                patches.append((8 * i, base, offset, step))
                slot = 0
            elif isinstance(slot, float) and slot in self.numbers:
                which = self.numbers.index(slot)
                used.add(which)
                # A free index is the first of the numbers.
                patches.append((8 * i, w.NUMBER_BASE + which + bool(self.places), 0, 0))
                slot = 0
            elif any(other != slot for other in elsewhere):
                offset, step = along([slot, *elsewhere], self.places)
                patches.append((8 * i, w.NUMBER_BASE, offset, step - 1))
                slot = 0
            slots.append(_bits(slot) if isinstance(slot, float) else int(slot))
        flat = [n for patch in patches for n in patch]
        return (event[1], len(slots), self.entry.block(slots), len(patches), self.entry.block(flat))

    # ---- numbers

    def _unwritten(self) -> None:
        """A run that finds a number out of bounds starts anew in Python: nothing may be written or drawn before."""
        if self.recording.draws or any(stand.storage.version for stand in self.stands):
            raise Unlike

    def _sizes(self) -> dict[int, int]:
        """Which of the sizes that a run finds a block has."""
        sized = [event[1] for event in self.recording.events if event[0] == "sized"]
        if max(len(sized), self.recording.counts) >= w.MAX_COUNTS:
            raise Unlike
        self.entry.words[w.SIZES] = len(sized)
        self.sized = {block: i for i, block in enumerate(sized)}
        return self.sized

    def _read(self, event: tuple) -> tuple:
        """A row for a number that is taken from memory, or memory of a size that was."""
        kind, value = event[:2]
        if kind == "sized":
            _, block, make, count = event
            version = self.fresh[block]
            words = (self.blocks[block], w.COUNT_BASE + count.key, self.entry.hold(make),
                     self.entry.hold(version), self.sized[block])  # fmt: skip
            return 0, w.SIZED, self.entry.block(words), 0, 0
        if kind == "count":
            code, place, bounds = sized.CODES[value.dtype], value.key, (value.least, value.most)
        else:
            code, place, bounds = sized.CODES[value.dtype], w.MAX_COUNTS - 1, _ALL
        words = (*self._base(value.address), code, w.COUNT_BASE + place, *bounds)
        return 0, w.TAKE, self.entry.block(words), 0, 0

    def _number(self, number: capture.Number) -> None:
        """The call gives a number."""
        how = sized.number_code(number.dtype, number.kind)
        if how is None:
            raise Unlike
        self.entry.words[w.NUMBER], self.entry.words[w.NUMBER_AT] = (
            how,
            w.COUNT_BASE + w.MAX_COUNTS - 1,
        )

    def _base(self, pointer: capture.Pointer) -> tuple[int, int]:
        """Where a run keeps the address of the block, and the offset in it."""
        block, offset = capture.place(pointer)
        if offset > 1 << 39:  # in front of its block
            raise Unlike
        return self.blocks[block], offset

    def _step(self, function, outs, args) -> tuple:
        """A row for what Python does with memory."""
        step = hosts.Step(function, outs, args)
        if len(step.pointers) > w.MAX_ARGS:
            raise Unlike
        flat = [n for pointer in step.pointers for n in (0, *self._base(pointer), 0)]
        step.pointers.clear()
        return 0, 0, self.entry.hold(step), len(flat) // 4, self.entry.block(flat)


def _bits(value: float) -> int:
    return array.array("q", array.array("d", [value]).tobytes())[0]


def learn(original, key: bytes, args: tuple, kwargs: dict, free: dict) -> Entry:
    """The entry of a call; one that says "not this way" if it cannot be one."""
    entry = Entry(key)
    try:
        first, *others = [_Learned(args, kwargs, free, p) for p in _places(args, free)]
        first.others = others
        for learned in (first, *others):
            learned.run(original)
        first.fill(entry)
    except Exception:
        # Whatever went wrong goes wrong again, with its own error, when Python makes the call.
        entry = Entry(key)
    entry.kept += [*_named(args), *_named(kwargs), *_named(kwargs.values())]
    return entry


def _places(args: tuple, free: dict) -> list[tuple[int, ...]]:
    """Where a free index is tried: both ends of what it may be and one between, each once the first."""
    value = next(
        (args[p] for p, special in free.items() if special is INDEX and p < len(args)), None
    )
    if not args or not isinstance(args[0], Tensor) or not args[0].ndim:
        return [()]
    size = args[0].layout.shape[0]
    if value.__class__ is tuple and 2 <= len(value) <= MAX_INDICES and all(map(_is_plain, value)):
        value = value[0]
        if value.__class__ is slice:
            return [()]
    if value.__class__ is int and -size <= value < size and size >= FEW:
        last = size - 1
    elif value.__class__ is slice and _is_free(value, size):
        last = size - (value.stop - value.start)
    else:
        return [()]
    return [(0, 1, last), (1, last, 0), (last, 0, 1)]


def _is_plain(part) -> bool:
    """Whether part of an index of several lets the first be free (keys.py)."""
    return part is None or part is ... or part.__class__ is int or part.__class__ is slice


def _is_free(part: slice, size: int) -> bool:
    """What keys.py says of a slice."""
    start, stop = part.start, part.stop
    if start.__class__ is not int or stop.__class__ is not int or part.step is not None:
        return False
    return 0 <= start < stop <= size and size - (stop - start) >= FEW - 1


def _named(values) -> list:
    """What a key names by its address."""
    found: list = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value.layout)
        elif isinstance(value, (tuple, list)):
            found += _named(value)
        elif isinstance(value, slice):
            found += _named((value.start, value.stop, value.step))
        else:
            found.append(value)
    return found
