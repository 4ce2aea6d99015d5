"""Learning a call: it runs once on memory that is not there, and what it did becomes an entry.

The stand-ins of its tensors have their layouts and gradients' flags, and refuse what a key does not hold:
values, offsets, versions. Whatever the call did beside launches, allocations, views and one node on the tape
makes it one that Python keeps doing.
"""

from __future__ import annotations

import array
import ctypes

from mezzo import devices
from mezzo.core import tape
from mezzo.core.layout import Size
from mezzo.core.short import nodes, runs
from mezzo.core.short import words as w
from mezzo.core.state import STATE
from mezzo.core.storage import Storage
from mezzo.core.tensor import Tensor
from mezzo.kernels.cpu import arenas, capture, memory

LIMIT = 4 << 20  # bytes of operands and results; larger calls cost more than their Python


class Unlike(Exception):
    """The call does something that an entry cannot hold."""


def _refuse(self, *arguments):
    raise capture.NotCapturable


class StandIn(Tensor):
    """A tensor of which only the layout is known."""

    __slots__ = ()
    requires_grad = is_leaf = grad = grad_fn = retains_grad = _version = property(_refuse)
    storage_offset = data_ptr = is_inference = _refuse


class Entry:
    """The words of an entry (words.py), and everything that they point to."""

    def __init__(self, key: bytes):
        self.words = array.array("q", bytes(8 * (w.TAKEN + 1)))
        self.kept: list = []
        self.key = array.array("q", key)
        self.words[w.HASH], self.words[w.WORDS] = self.key[0], len(self.key) - 1
        self.words[w.WORDS_AT] = self.key.buffer_info()[0] + 8

    @property
    def address(self) -> int:
        """Where the native code reads it."""
        return self.words.buffer_info()[0]

    def hold(self, value) -> int:
        """The address of an object that lives as long as the entry."""
        self.kept.append(value)
        return id(value)

    def block(self, numbers) -> int:
        """The address of numbers in memory."""
        made = array.array("q", numbers)
        self.kept.append(made)
        return made.buffer_info()[0]

    def put(self, which: int, rows: list[tuple]) -> None:
        """A count, and the rows one after another."""
        self.words[which] = len(rows)
        self.words[which + 1] = self.block([n for row in rows for n in row])


class _Learned:
    """One call under a recording, and its entry."""

    def __init__(self, args: tuple, kwargs: dict, free: dict):
        self.tensors: list[Tensor] = []
        self.stands: list[StandIn] = []
        self.blocks: dict[int, int] = {}  # of the recording, to a base of the run
        self.numbers: list[float] = []
        self.mapped: dict[int, int] = {}  # id of a stand-in list or number: its argument
        self.flagged = False
        self.recording = capture.Recording(strict=True)
        self.real, self.free = (args, kwargs), free

    # ---- running

    def run(self, original) -> None:
        """The call, with stand-ins for its tensors and for the numbers whose value is free."""
        with self.recording:
            args, kwargs = self.real
            given = [self._free(i, a) for i, a in enumerate(args)]
            named = {name: self.stand(a) for name, a in kwargs.items()}
            self.given = (*given, *named.values())
            placed = self.tensors or any(isinstance(a, devices.device) for a in self.given)
            if not placed:  # the default device decides, which no key holds
                raise Unlike
            if sum(t.layout.nbytes for t in self.tensors) > LIMIT:
                raise Unlike
            notes = tape.NOTES = tape.Notes()
            try:
                self.result = original(*given, **named)
            finally:
                tape.NOTES = None
            self.notes = notes

    def _free(self, position: int, value):
        special = self.free.get(position)
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
        if layout.device is not devices.cpu or tensor.storage is None or layout.dtype.is_complex:
            raise Unlike
        made = object.__new__(StandIn)
        block = self.recording.block(layout.nbytes)
        self.blocks[block] = w.TENSOR_BASE + len(self.tensors)
        made.layout = layout
        made.storage = memory.adopt(capture.pointer(block), layout.nbytes, Storage)
        made.storage.version, made.storage.writer = 0, None
        made.ptr, made.base = made.storage.ptr, None
        wants = STATE.grad and (tensor.auto is not None or tensor.base is not None)
        made.auto = tape.Auto(True) if wants else None
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
        if writes and (self.flagged or len(writes) > 1):
            raise Unlike
        entry.put(w.WRITES, writes)
        self._outs()
        self._allocations()
        self._calls()
        self._history()
        checks = self.recording.checks
        if checks and (self.recording.unlocked or writes):
            raise Unlike
        entry.kept += checks
        entry.put(w.CHECKS, [(cell.buffer_info()[0],) for cell, _ in checks])
        entry.words[w.UNLOCKED] = self.recording.unlocked
        entry.words[w.TAKEN] = 1

    def _writes(self) -> list[tuple]:
        found = []
        for i, (real, stand) in enumerate(zip(self.tensors, self.stands)):
            moved = stand.ptr != stand.storage.ptr or stand.layout is not real.layout
            if moved or stand.base is not None or stand.__dict__:
                raise Unlike
            if stand.auto is not None and (stand.auto.node is not None or stand.auto.generation):
                raise Unlike
            if stand.storage.version:
                found.append((i, stand.storage.version))
        return found

    def _outs(self) -> None:
        result = self.result
        many = result.__class__ is tuple
        outs = result if many else (result,)
        if not outs or len(outs) > w.MAX_OUTS:
            raise Unlike
        self.fresh: dict[int, int] = {}  # blocks that results keep
        rows = [self._out(out) for out in outs]
        self.entry.put(w.OUTS, rows)
        self.entry.words[w.MANY] = many

    def _out(self, out) -> tuple:
        if out is None:
            return (runs.CONSTANT, id(None), 0, 0, 0, 0)
        for i, stand in enumerate(self.stands):
            if out is stand:
                return (runs.ITSELF, 0, i, 0, 0, 0)
        if out.__class__ is not Tensor or out.__dict__ or out.storage is None:
            raise Unlike
        hold = self.entry.hold
        for i, stand in enumerate(self.stands):
            if out.storage is stand.storage:
                offset = int(out.ptr) - int(stand.ptr)
                if out.base is None:
                    return (runs.VIEW, hold(out.layout), i, offset, 0, 0)
                if out.base.root is not stand or self._constants_only(out.base.chain):
                    raise Unlike
                chain, multiple = hold(out.base.chain), hold(bool(out.base.multiple))
                return (runs.VIEW, hold(out.layout), i, offset, chain, multiple)
        if out.base is not None or not capture.is_pointer(out.ptr):
            raise Unlike
        block, _ = capture.place(out.storage.ptr)
        self.fresh.setdefault(block, len(self.fresh))
        return (runs.NEW, hold(out.layout), block, int(out.ptr) - int(out.storage.ptr), 0, 0)

    def _constants_only(self, value) -> bool:
        """True if tensors are among the arguments of a view."""
        if isinstance(value, (tuple, list)):
            return any(self._constants_only(v) for v in value)
        return isinstance(value, Tensor)

    def _allocations(self) -> None:
        entry, sizes = self.entry, self.recording.sizes
        made = [event[1] for event in self.recording.events if event[0] == "new"]
        total = sum(sizes[b] for b in made) + sum(t.layout.nbytes for t in self.tensors)
        if len(made) > w.MAX_ALLOCS or total > LIMIT:
            raise Unlike
        rows = []
        for i, block in enumerate(made):
            self.blocks[block] = i
            bucket = arenas.bucket_for(sizes[block])
            guarded = memory.allocate is not memory._allocate
            entry.hold(bucket)
            rows.append((0 if guarded else id(bucket), entry.hold(sizes[block]), bucket.size,
                         int(block not in self.fresh)))  # fmt: skip
        entry.put(w.ALLOCS, rows)
        words = entry.words
        for i in range(words[w.OUTS]):
            at = words[w.OUTS_AT] + 48 * i
            row = array_at(at, 6)
            if row[0] == runs.NEW:
                row[2] = self.blocks[row[2]]

    def _calls(self) -> None:
        rows, used = [], set()
        for event in self.recording.events:
            if event[0] in ("new", "free"):
                continue
            if event[0] != "call":
                raise Unlike
            slots, patches = [], []
            for i, slot in enumerate(event[2]):
                if isinstance(slot, capture.Late):
                    raise Unlike
                if isinstance(slot, capture.Pointer):
                    block, offset = capture.place(slot)
                    if offset > LIMIT:  # in front of its block
                        raise Unlike
                    patches.append((8 * i, self.blocks[block], offset))
                    slot = 0
                elif isinstance(slot, float) and slot in self.numbers:
                    which = self.numbers.index(slot)
                    used.add(which)
                    patches.append((8 * i, w.NUMBER_BASE + which, 0))
                    slot = 0
                slots.append(_bits(slot) if isinstance(slot, float) else int(slot))
            flat = [n for patch in patches for n in patch]
            rows.append((event[1], len(slots), self.entry.block(slots), len(patches),
                         self.entry.block(flat)))  # fmt: skip
        if len(used) != len(self.numbers):
            raise Unlike
        self.entry.put(w.CALLS, rows)

    # ---- history

    def _history(self) -> None:
        if not self.flagged:
            outs = self.result if self.result.__class__ is tuple else (self.result,)
            if any(o is not None and o.auto is not None for o in outs):
                raise Unlike
            return
        if not self.notes:
            return
        if len(self.notes) > 1:
            raise Unlike
        record, args = self.notes[0]
        self._check_node(record)
        words = self.entry.words
        words[w.ATTACH] = self.entry.hold(record)
        words[w.ATTACH_AT] = self._spec(args)
        if self.result.__class__ is Tensor and self.result.auto is not None:
            self._node(self.result.auto.node)

    def _node(self, node) -> None:
        """What the native code needs to write such a node itself."""
        place = {id(stand): i for i, stand in enumerate(self.stands)}
        entry, words = self.entry, self.entry.words
        rows = [(entry.hold(at), place[id(end.variable)]) for at, end, _ in node.edges]
        kept = [place.get(id(tensor), -1) for tensor, _ in node.versions]
        if node.needs_out:
            kept.pop()  # the result itself, as an alias that is made anew
            if len(node.outs) != 1 or not isinstance(node.outs[0], Tensor):
                return
        if -1 in kept or node.__dict__:
            return
        entry.put(w.EDGES, rows)
        entry.put(w.SAVED, [(i,) for i in kept])
        words[w.SAVES_OUT] = bool(node.needs_out)
        words[w.NODE_LAYOUTS] = entry.hold(node.layouts)
        words[w.NODE_ARGS] = self._spec(node.args)
        words[w.KIND] = entry.hold(type(node))

    def _check_node(self, record) -> None:
        """Only where the results are the node's own, all of them and in its order."""
        many = self.result.__class__ is tuple
        outs = self.result if many else (self.result,)
        node = next((o.auto.node for o in outs if o is not None and o.auto is not None), None)
        if node is None or node.record is not record or node.multiple is not many:
            raise Unlike
        if len(node.layouts) != len(outs):
            raise Unlike
        for slot, out in enumerate(outs):
            if out is None:
                raise Unlike
            if out.auto is None:
                if out.layout.dtype.category >= 2 and slot not in record.no_gradient_outputs:
                    raise Unlike
            elif out.auto.node is not node or out.auto.slot != slot:
                raise Unlike

    def _spec(self, values) -> int:
        numbers = [len(values)]
        for value in values:
            numbers += self._one(value)
        return self.entry.block(numbers)

    def _one(self, value) -> tuple[int, int]:
        for i, stand in enumerate(self.stands):
            if value is stand:
                return nodes.TENSOR, i
        if isinstance(value, Tensor):
            raise Unlike
        if value.__class__ is float and id(value) in self.mapped:
            return nodes.ARGUMENT, self.mapped[id(value)]
        if isinstance(value, (tuple, list)) and self._constants_only(value):
            return nodes.NESTED, self._spec(value)
        return nodes.CONST, self.entry.hold(value)


def array_at(address: int, count: int):
    """Words in memory."""
    return (ctypes.c_int64 * count).from_address(address)


def _bits(value: float) -> int:
    return array.array("q", array.array("d", [value]).tobytes())[0]


def learn(original, key: bytes, args: tuple, kwargs: dict, free: dict) -> Entry:
    """The entry of a call; one that says "not this way" if it cannot be one."""
    entry = Entry(key)
    learned = _Learned(args, kwargs, free)
    try:
        learned.run(original)
        learned.fill(entry)
    except Exception:
        # Whatever went wrong goes wrong again, with its own error, when Python makes the call.
        entry = Entry(key)
    entry.kept += [*_named(args), *_named(kwargs), *_named(kwargs.values())]
    return entry


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
