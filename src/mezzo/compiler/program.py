"""Programs: a graph as one native call.

Every node is run once on memory that is not there (kernels/cpu/capture.py): the launches and
allocations that eager code would do are written down. Allocations become places in one arena, planned
ahead; launches become a tape that kernels/cpu/replay.py runs. What only Python can run (NumPy's
decompositions, indices that must be looked at) stays a step between two stretches of tape.
"""

from __future__ import annotations

import array
import threading
from collections.abc import Sequence

from mezzo.compiler.graph import Buffer, Graph, Node, Region, mapped
from mezzo.compiler.plan import Arena
from mezzo.compiler.trace import LateGenerator, new_storage
from mezzo.core.families.random import DEFAULT
from mezzo.core.state import quiet
from mezzo.core.storage import PartStorage, Storage
from mezzo.core.tensor import Tensor, array_over
from mezzo.errors import Fact, message
from mezzo.kernels.cpu import capture, entry, replay
from mezzo.kernels.cpu.memory import adopt, allocate

TOGETHER = 1 << 14  # bytes: smaller results have memory of their own


_FAR = 1 << 40  # words of tape: past the end of any


class _Draws:
    """A generator whose numbers are taken when a program runs."""

    def __init__(self, program: Program, generator):
        self.program, self.generator = program, generator

    def take(self, count: int):
        """Seed and counter, as numbers that come later."""
        draws = self.program.draws
        draws.append((self.generator, count))
        key = ("draw", len(draws) - 1)
        return capture.Late(key, 0), capture.Late(key, 1)


class HostStep:
    """A node that Python runs between two stretches of tape."""

    def __init__(self, node: Node, places: dict):
        self.node, self.places = node, places  # {buffer: block}

    def run(self, address) -> None:
        """Run on memory; address(block) says where a block lies."""

        def tensor(region: Region) -> Tensor:
            return _tensor(region, address(self.places[region.buffer]))

        node = self.node
        args = mapped(tensor, node.args)
        if node.form == "update":
            node.record.update(args[0], args)
            return
        outs = node.record.run(args)
        for region, out in zip(node.outs, outs if isinstance(outs, tuple) else (outs,)):
            to = tensor(region)
            array_over(to.storage, to.ptr, to.layout)[...] = out._array()


def _tensor(region: Region, start: int) -> Tensor:
    """A tensor over a buffer that starts at an address."""
    made = object.__new__(Tensor)
    made.layout, made.storage = region.layout, adopt(start, region.buffer.nbytes, Storage)
    made.storage.version, made.storage.writer = 0, None
    made.ptr = start + region.offset
    made.auto = made.base = None
    return made


class Program:
    """A graph ready to run: run(outside addresses, addresses of results(), numbers).

    arena_bytes: the memory that a run borrows, beside what it keeps and may use until then. draws: (generator, count) asked for before each run.
    launches: native calls on the tape.
    """

    def __init__(self, graph: Graph):
        self.graph, self.draws, self._lock = graph, [], threading.Lock()
        self._blocks: dict[Buffer, int] = {}
        self._stores: dict[Buffer, Storage] = {}
        with quiet(), capture.Recording() as recording:
            self.recording = recording
            for buffer in graph.outside:
                self._blocks[buffer] = recording.block(buffer.nbytes)
            last = _last_uses(graph)
            flag, self._asked = None, 0
            outside = set(graph.outside)
            for i, node in enumerate(graph.nodes):
                if any(r.buffer in outside for r in node.writes):
                    self._stop_if_refused()
                if node.unless != flag:
                    self._pass_over(flag, node.unless)
                    flag = node.unless
                self._lower(node)
                for buffer in last.get(i, ()):
                    self._stores.pop(buffer, None)
            self._pass_over(flag, None)
        self._assemble()
        self._stores.clear()

    # ---- building

    def _region(self, region: Region) -> Tensor:
        """A tensor over memory that is not there yet."""
        store = self._stores.get(region.buffer)
        if store is not None:
            made = object.__new__(Tensor)
            made.layout, made.storage, made.ptr = region.layout, store, store.ptr + region.offset
            made.auto = made.base = None
            return made
        return _tensor(region, capture.pointer(self._blocks[region.buffer]))

    def _pass_over(self, before: Region | None, after: Region | None) -> None:
        if before is not None:
            self.recording.events.append(("join", 0))
        if after is not None:
            self.recording.events.append(("fork", 0, self._region(after).ptr))

    def _stop_if_refused(self) -> None:
        """End the run here if a check has failed: what others see is not written after an error."""
        for cell, _, _ in self.recording.checks[self._asked :]:
            self.recording.events.append(("stop", 0, cell.buffer_info()[0]))
        self._asked = len(self.recording.checks)

    def _lower(self, node: Node) -> None:
        events = self.recording.events
        at, draws, checks = len(events), len(self.draws), len(self.recording.checks)
        try:
            self._execute(node)
        except capture.NotCapturable:
            del events[at:], self.draws[draws:], self.recording.checks[checks:]
            for region in node.outs:
                self._store(region.buffer, allocate(region.buffer.nbytes, Storage))
            events.append(("host", HostStep(node, self._blocks)))
        for i in range(checks, len(self.recording.checks)):
            cell, refuse = self.recording.checks[i]
            self.recording.checks[i] = (cell, refuse, node)

    def _execute(self, node: Node) -> None:
        args = mapped(self._region, node.args)
        if node.form == "empty":
            self._store(node.outs[0].buffer, allocate(node.args[0], Storage))
            return
        if node.form == "fused":
            outs = node.record.execute(args)
            for region, out in zip(node.outs, outs):
                self._store(region.buffer, out.storage)
            return
        elif node.form == "update":
            node.record.update(args[0], args)
            return
        elif node.form == "multi":
            flag = self._region(node.writes[-1]).ptr if node.record.flags else 0
            node.record.go(args, flag)
            return
        else:
            args = tuple(
                [
                    _Draws(self, a.generator or DEFAULT) if isinstance(a, LateGenerator) else a
                    for a in args
                ]
            )
            outs = node.record.run(args)
        for region, out in zip(node.outs, outs if isinstance(outs, tuple) else (outs,)):
            if out.layout is not region.layout or out.ptr - out.storage.ptr != region.offset:
                raise AssertionError(
                    f"{node!r}: lowered to {out.layout}, traced as {region.layout}"
                )
            if region.buffer not in self._blocks:
                self._store(region.buffer, out.storage)

    def _store(self, buffer: Buffer, storage: Storage) -> None:
        storage.version, storage.writer = 0, None
        self._stores[buffer] = storage
        self._blocks[buffer] = capture.place(storage.ptr)[0]

    def _assemble(self) -> None:
        graph, recording = self.graph, self.recording
        fixed = [*graph.outside, *graph.kept]
        self._base_of = {self._blocks[b]: 1 + i for i, b in enumerate(fixed)}
        together = [self._blocks[b] for b in graph.together if b.nbytes >= TOGETHER]
        arena = Arena(recording, skip=frozenset(self._base_of), together=together)
        self.arena_bytes, self._arena_at = arena.nbytes, arena.offsets
        self.shared_bytes, self._shared_at = arena.shared.nbytes, arena.shared.offsets
        # (place among the kept, place in their block) of those that share one.
        self._parts = [
            (i, self._shared_at[self._blocks[b]])
            for i, b in enumerate(graph.kept)
            if self._blocks[b] in together
        ]
        if self._parts:  # a run borrows the block through the address of its first part
            first, offset = self._parts[0]
            self._shared = 1 + len(graph.outside) + first, -offset
        self.numbers: dict[tuple, int] = {}
        tape = array.array("q")
        patches: list[tuple[int, object]] = []
        self.steps: list = []
        start = fork = self.launches = 0
        for event in recording.events:
            if event[0] == "call":
                self.launches += 1
                tape.extend((event[1], len(event[2])))
                for slot in event[2]:
                    if isinstance(slot, (capture.Pointer, capture.Late)):
                        patches.append((len(tape), slot))
                        slot = 0
                    tape.append(_bits(slot) if isinstance(slot, float) else int(slot))
            elif event[0] == "fork":
                patches.append((len(tape) + 3, event[2]))
                tape.extend((0, 2, 0, 0))
                fork = len(tape)
            elif event[0] == "stop":
                tape.extend((0, 2, _FAR, event[2]))
            elif event[0] == "join":
                tape[fork - 2] = len(tape) - fork
            elif event[0] == "host":
                self.steps += [(start, len(tape)), event[1]]
                start = len(tape)
        self.steps.append((start, len(tape)))
        self.tape = tape
        self._patch(patches, recording)

    def _patch(self, patches: list, recording: capture.Recording) -> None:
        words = array.array("q")
        origin = self.tape.buffer_info()[0]
        for at, slot in patches:
            words.extend((origin + 8 * at, *self._base(slot)))
        for table in recording.tables:
            here = table.buffer_info()[0]
            for i, value in enumerate(table):
                if capture.is_pointer(value):
                    words.extend((here + 8 * i, *self._base(value)))
        self.patches = words
        count = 1 + len(self.graph.outside) + len(self.graph.kept) + len(self.numbers)
        self.bases = array.array("q", bytes(8 * count))
        self._floats = memoryview(self.bases).cast("B").cast("d")
        self._entry = replay.address()

    def _base(self, slot) -> tuple[int, int]:
        if isinstance(slot, capture.Late):
            key = (slot.key, slot.at)
            first = 1 + len(self.graph.outside) + len(self.graph.kept)
            return first + self.numbers.setdefault(key, len(self.numbers)), 0
        block, offset = capture.place(slot)
        known = self._base_of.get(block)
        if known is not None:
            return known, offset
        lent = self._shared_at.get(block)
        if lent is not None:
            return self._shared[0], self._shared[1] + lent + offset
        return 0, self._arena_at[block] + offset

    # ---- running

    def run(self, outside: Sequence[int], kept: Sequence[int], numbers: dict | None = None) -> None:
        """Run on these addresses. numbers: {(key, at): float} for those that come late."""
        with self._lock:
            arena = allocate(self.arena_bytes, Storage)
            bases = self.bases
            bases[0] = arena.ptr
            for i, address in enumerate(outside, 1):
                bases[i] = address
            for i, address in enumerate(kept, 1 + len(outside)):
                bases[i] = address
            if self.numbers:
                self._fill_numbers(numbers or {})
            self._go()
            if self.recording.checks:
                self._verify()

    def _go(self) -> None:
        tape, patches = self.tape.buffer_info()[0], len(self.patches) // 3
        for step in self.steps:
            if isinstance(step, HostStep):
                if any(cell[0] for cell, _, _ in self.recording.checks):
                    return
                step.run(self._address)
            elif step[0] != step[1] or patches:
                entry.launch_unlocked(
                    self._entry, tape + 8 * step[0], step[1] - step[0],
                    self.patches.buffer_info()[0], patches, self.bases.buffer_info()[0],
                )  # fmt: skip
                patches = 0

    def _address(self, block: int) -> int:
        base, offset = self._base(capture.pointer(block))
        return self.bases[base] + offset

    def _fill_numbers(self, numbers: dict) -> None:
        first = len(self.bases) - len(self.numbers)
        taken = [generator.take(count) for generator, count in self.draws]
        for (key, at), i in self.numbers.items():
            if isinstance(key, tuple):
                self.bases[first + i] = taken[key[1]][at]
            else:
                self._floats[first + i] = numbers[key, at]

    def _verify(self) -> None:
        failed = []
        for cell, refuse, node in self.recording.checks:
            if cell[0]:
                failed.append((array.array("q", cell), refuse, node))
                cell[0] = 0  # all of them, before any raises: the next run starts clean
        for found, refuse, node in failed:
            try:
                refuse(found)
            except Fact as fact:
                _blame(node, fact)

    def results(self) -> list[Storage]:
        """New memory for what a run keeps."""
        if not self._parts:
            return [new_storage(b.nbytes) for b in self.graph.kept]
        parts, owner = dict(self._parts), new_storage(self.shared_bytes)
        return [
            new_storage(b.nbytes) if i not in parts else PartStorage(owner, parts[i], b.nbytes)
            for i, b in enumerate(self.graph.kept)
        ]


def _blame(node: Node, fact: Fact):
    """Raise what a kernel found, with the line of the user's program that it is about."""
    place = node.place or ()
    name = place[2] if len(place) > 2 else node.record.name
    raise fact.kind(message(name, f"{fact.text} (at {place})", fact.advice)) from None


def _bits(value: float) -> int:
    return array.array("q", array.array("d", [value]).tobytes())[0]


def _last_uses(graph: Graph) -> dict[int, list[Buffer]]:
    """{index of a node: buffers that nothing after it touches}."""
    last: dict[Buffer, int] = {}
    for i, node in enumerate(graph.nodes):
        for region in (*node.reads(), *node.writes, *node.outs):
            last[region.buffer] = i
    for buffer in (*graph.kept, *graph.outside):
        last.pop(buffer, None)
    found: dict[int, list[Buffer]] = {}
    for buffer, i in last.items():
        found.setdefault(i, []).append(buffer)
    return found
