"""Tracing: run a function on memory that nothing computes, and write its calls down as a graph.

The tracer is the interpreter at the bottom of the stack: it sees the primitive calls that would finally
run, after autocast, vmap and derivatives had their say. Its tensors are ordinary tensors with layouts,
views, versions and a tape; only their contents are missing. So what eager code does with tensors
(in-place writes, accumulation into .grad, saved values) happens in a trace by the same code.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable

from mezzo import devices, dtypes
from mezzo.compiler.graph import Buffer, Graph, Node, Region
from mezzo.core import tape
from mezzo.core.families import elementwise
from mezzo.core.families.elementwise import Elementwise
from mezzo.core.families.indirect import Put
from mezzo.core.families.multi import Multi
from mezzo.core.families.random import Generator
from mezzo.core.layout import dense, layout
from mezzo.core.record import Record, describe
from mezzo.core.state import STATE
from mezzo.core.storage import INFERENCE, Place, Storage, user_line
from mezzo.core.tensor import Tensor, empty
from mezzo.errors import GradientError, MezzoError
from mezzo.kernels.cpu import capture
from mezzo.kernels.cpu.memory import adopt, allocate
from mezzo.ops.create import empty as empty_record
from mezzo.ops.create import zeros


class TracedStorage(Storage):
    """Memory that a traced call would fill."""

    __slots__ = ("__weakref__", "buffer", "tracer")

    def settle(self, tensor: Tensor) -> None:
        """Somebody wants the contents."""
        if self.tracer is not None:  # computed already
            self.tracer.reached(self, tensor)


class Effect:
    """Python to run before each run: its numbers go to the Late ones with this key.

    undo: to call after a run in which `flag`, a buffer, was set.
    """

    __slots__ = ("compute", "count", "flag", "undo")

    def __init__(self, compute: Callable, count: int, undo: Callable | None, flag: Buffer | None):
        self.compute, self.count, self.undo, self.flag = compute, count, undo, flag


class LateGenerator:
    """Stands for a generator in a graph: its seed and counter are known at the run."""

    __slots__ = ("generator",)

    def __init__(self, generator):
        self.generator = generator

    def __repr__(self) -> str:
        return "generator"


class ReadBack(GradientError):
    """A value was asked for where only layouts are known."""


class Tracer:
    """The interpreter that writes nodes.

    live: traced storages that somebody holds. roots: tensors from outside that took part, in order of
    appearance. cleared: ids of tensors whose .grad was assigned in the trace.
    """

    rank = -2
    name = "compile"

    def __init__(self, flush: Callable[[Tracer], None] | None = None):
        self.nodes: list[Node] = []
        self.live: weakref.WeakSet = weakref.WeakSet()
        self.outside: dict[int, Buffer] = {}
        self.roots: dict[int, Tensor] = {}
        self.cleared: set[int] = set()
        self.first_grads: dict[int, object] = {}
        self.looked: set[int] = set()  # ids of roots whose .grad was looked at
        self.histories: dict[int, tuple | None] = {}  # (node, slot) of each root at first sight
        self.effects: list[Effect] = []
        self.before: dict[int, tuple] = {}  # {id: (tensor, .grad)} of what is in cleared
        self.keep_grads = False
        self.flush, self.broken_at, self.count = flush, None, 0
        self.is_volatile = False
        self.public: str | None = None  # the outermost operation that is running
        self.flag: Region | None = None
        self.unlike_later: str | None = None  # why later calls do other things than this one
        self.arguments: dict[Buffer, int] = {}  # and where the example of each lies

    def __enter__(self):
        STATE.push(self)
        self._storage, STATE.storage = STATE.storage, self.storage
        return self

    def __exit__(self, *exception):
        STATE.stack.remove(self)
        STATE.storage = self._storage

    # ---- memory

    def storage(self) -> TracedStorage:
        """A storage of this trace; allocate() and this tracer fill it in."""
        made = TracedStorage()
        made.tracer, made.buffer = self, None
        self.live.add(made)
        return made

    def buffer(self, storage) -> Buffer:
        """The buffer that stands for a storage."""
        if isinstance(storage, TracedStorage) and storage.tracer is self:
            if storage.buffer is None:  # made without a call, and not filled: memory is all it is
                storage.buffer = self.new_buffer(storage)
                whole = Region(storage.buffer, 0, dense((storage.nbytes,), dtypes.uint8))
                self._write(Node("empty", empty_record, (storage.nbytes,), (whole,), (), None))
            if storage.buffer.storage is None:
                return storage.buffer
            return self.outside.setdefault(id(storage), storage.buffer)
        found = self.outside.get(id(storage))
        if found is None:
            found = self.outside[id(storage)] = Buffer(
                f"x{len(self.outside)}", storage.nbytes, storage
            )
        return found

    def new_buffer(self, storage: TracedStorage, letter: str = "b") -> Buffer:
        """A buffer for a storage of this trace."""
        self.count += 1
        return Buffer(f"{letter}{self.count - 1}", storage.nbytes)

    def argument(self, like: Tensor) -> Tensor:
        """A tensor that stands for one that each run is given."""
        storage = adopt(like.ptr, like.layout.extent()[1], self.storage)
        storage.version, storage.writer = like.storage.version, None
        storage.buffer = self.new_buffer(storage, "a")
        self.arguments[storage.buffer] = like.ptr
        made = object.__new__(Tensor)
        made.layout, made.storage, made.ptr = like.layout, storage, storage.ptr
        made.auto = made.base = None
        return made

    def region(self, tensor: Tensor) -> Region:
        """Where a tensor lies. Tensors from outside are remembered."""
        storage = tensor.storage
        if not (isinstance(storage, TracedStorage) and storage.tracer is self):
            self.note(tensor)
        return Region(self.buffer(storage), tensor.ptr - storage.ptr, tensor.layout)

    def note(self, tensor: Tensor) -> None:
        """Remember the tensor that a graph reaches outside memory by: the root, if it is a view."""
        self.note_itself(tensor if tensor.base is None else tensor.base.root)

    def note_itself(self, root: Tensor) -> None:
        """Remember a tensor from outside."""
        if id(root) in self.roots:
            return
        self.roots[id(root)] = root
        auto = root.auto
        has_history = auto is not None and auto.node is not None
        self.histories[id(root)] = (auto.node, auto.slot) if has_history else None
        if auto is not None and id(root) not in self.cleared:
            self.first_grads[id(root)] = auto.grad

    def regions(self, value):
        """Arguments with regions in the place of tensors."""
        if isinstance(value, Tensor):
            return self.region(value)
        if isinstance(value, (tuple, list)):
            return tuple([self.regions(v) for v in value])
        return value

    def tensor(self, have) -> Tensor:
        """A new tensor of this trace, of a meta tensor's layout."""
        return empty(layout(have.shape, have.strides, have.dtype, devices.cpu))

    # ---- interpreter

    def process(self, record: Record, args: tuple):
        """Write the call down; composites are what their bodies call."""
        try:
            return self._process(record, args)
        except MezzoError as error:
            _place(error)
            raise

    def _process(self, record: Record, args: tuple):
        if record.is_composite:
            return self._composite(record, args)
        kind = record.family
        if kind in ("view", "views"):
            self._note_roots(args)
            return record.run(args)
        if isinstance(record, Multi):
            return self._multi(record, args)
        if kind in ("dynamic", "function") or self._is_foreign(args):
            self.read(None, record.name)
            return record.run(args)
        if kind == "scatter":  # made of other calls, with a node of its own
            return self._inside(record.run, args)
        return self._call(record, args)

    def _composite(self, record: Record, args: tuple):
        outer = self.public
        if outer is None and record.where:
            self.public = record.name
        try:
            return self._inside(record.run, args)
        finally:
            self.public = outer

    def _here(self) -> Place:
        """The user's line, and the operation that stands there where the call is only a part of it."""
        place = user_line()
        return Place((*place, self.public)) if self.public and place else place

    def _inside(self, function: Callable, *args):
        STATE.stack.insert(0, self)
        try:
            return function(*args)
        finally:
            STATE.stack.remove(self)

    def _note_roots(self, args) -> None:
        if isinstance(args[0], Tensor) and not isinstance(args[0].storage, TracedStorage):
            self.note(args[0])

    @staticmethod
    def _is_foreign(args: tuple) -> bool:
        """Whether a tensor has no memory at all (device meta)."""
        return any(isinstance(a, Tensor) and a.storage is None for a in args)

    def _call(self, record: Record, args: tuple):
        metas = tuple([_meta(a) for a in args])
        if record.family == "random":  # a trace draws nothing
            metas = (*metas[:3], Generator(), *metas[4:])
        outs = record.run(metas)
        many = outs if isinstance(outs, tuple) else (outs,)
        made = tuple([self.tensor(o.layout) for o in many])
        for out in made:
            out.storage.buffer = self.new_buffer(out.storage)
        if record.family == "random":
            args = (*args[:3], LateGenerator(args[3]), *args[4:])
        node = Node("call", record, self.regions(args), self.regions(made), (), self._here())
        self._write(node)
        result = made if isinstance(outs, tuple) else made[0]
        tape.attach(record, args, result)
        return result

    def _write(self, node: Node) -> None:
        node.unless = self.flag
        self.nodes.append(node)
        for region in node.writes:  # data made here: it would have to be made anew for every run
            self.is_volatile |= isinstance(region.buffer.storage, TracedStorage)

    def process_update(self, record: Record, target: Tensor, args: tuple):
        """An in-place call."""
        try:
            if not isinstance(record, (Elementwise, Put)) or target.storage is None:
                return self._inside(record.update, target, args)
            return self._inside(self._update, record, target, args)
        except MezzoError as error:
            _place(error)
            raise

    def _update(self, record: Record, target: Tensor, args: tuple) -> Tensor:
        tape.check_inplace(record.name + "_", target)
        args = self._untangled(record, target, args)
        metas = tuple([_meta(a) for a in args])
        _without(self, record.update, metas[0], metas)
        before = tape.alias(target)
        before.auto, before.base = target.auto, target.base
        node = tape.prepare(record, (before, *args[1:]))
        if node is not None and isinstance(node.args[0], Tensor):
            elementwise.keep_original(node, before)
        where = self.regions(args)
        self._write(Node("update", record, where, (), (where[0],), self._here()))
        tape.wrote(record.name + "_", target, node)
        return target

    @staticmethod
    def _untangled(record: Record, target: Tensor, args: tuple) -> tuple:
        """Operands in the target's own memory are copied first, as the eager call does."""
        if isinstance(record, Elementwise):
            return elementwise.untangle(record, target, args)
        at = record.source_at
        source = args[at]
        if isinstance(source, Tensor) and source.storage is target.storage:
            args = (*args[:at], source.clone(), *args[at + 1 :])
        return args

    def _multi(self, record: Multi, args: tuple):
        lists = [args[i] for i in record.lists]
        for row in zip(*lists):
            record.check(row)
        writes = tuple([self.region(row[w]) for row in zip(*lists) for w in record.writes])
        outs, flag = (), None
        if record.flags:
            flag = self._inside(_zero_flag)
            outs = (self.region(flag),)
        self._write(Node("multi", record, self.regions(args), (), (*writes, *outs), self._here()))
        for row in zip(*lists):
            for w in record.writes:
                if row[w].storage.version != INFERENCE:
                    row[w].storage.version += 1
        return flag

    def defer(self, compute: Callable, count: int, undo: Callable | None) -> list:
        """Numbers that each run asks for."""
        self.effects.append(Effect(compute, count, undo, self.flag.buffer if self.flag else None))
        return [capture.Late(len(self.effects) - 1, i) for i in range(count)]

    @contextlib.contextmanager
    def passed_over(self, flag: Tensor):
        """What is written inside is passed over in runs where the i64 `flag` is not zero."""
        outer, self.flag = self.flag, self.region(flag)
        try:
            yield
        finally:
            self.flag = outer

    def grad_assigned(self, tensor: Tensor) -> None:
        """.grad is about to be assigned: unless the trace looked at it, what a caller left there does not matter."""
        if id(tensor) not in self.roots and id(tensor) not in self.cleared:
            self.cleared.add(id(tensor))
            self.before[id(tensor)] = (tensor, tensor.auto.grad)

    def grad_looked_at(self, tensor: Tensor) -> None:
        """.grad was read: what is in it at the start of a run matters, unless it was assigned before."""
        if id(tensor) not in self.cleared and not self.owns(tensor):
            self.note(tensor)
            self.looked.add(id(tensor))

    def owns(self, tensor: Tensor) -> bool:
        """Whether a tensor's memory is of this trace."""
        return isinstance(tensor.storage, TracedStorage) and tensor.storage.tracer is self

    # ---- values

    def read(self, tensor, operation: str):
        """A value is needed: run what was written so far, if that is allowed."""
        self.broken_at = self.broken_at or (operation, user_line())
        if self.flush is None:
            shown = f" of {describe(tensor)}" if tensor is not None else ""
            raise ReadBack(
                f"{operation}: the values{shown} are not known while a function is traced "
                f"(at {user_line()}). Return what you want to look at, or use where(), cond() or while_loop() for choices."
            )
        self.flush(self)
        return tensor

    def reached(self, storage: TracedStorage, tensor: Tensor) -> None:
        """Code reads or fills memory of this trace directly: new data is a constant, anything else is read back."""
        if storage.buffer is None:
            storage.buffer = self.new_buffer(storage, "c")
            storage.buffer.storage = storage
        elif storage.buffer.storage is None:
            self.read(tensor, "a read of values")

    def graph(self, kept) -> Graph:
        """What was written, with the buffers to keep."""
        return Graph(self.nodes, [*self.arguments, *self.outside.values()], kept)


def _meta(value):
    """An argument on device meta: its layout without memory."""
    if isinstance(value, Tensor):
        have = value.layout
        return empty(layout(have.shape, have.strides, have.dtype, devices.meta))
    if isinstance(value, devices.device):
        return devices.meta
    if isinstance(value, (tuple, list)):
        return tuple([_meta(v) for v in value])
    return value


def _place(error: MezzoError) -> None:
    """Add the user's line to an error; what is told under another name has it added then."""
    text, place = str(error), user_line()
    if error.fact is None and place and not isinstance(error, ReadBack) and str(place) not in text:
        error.args = (f"{text.rstrip('.')} (at {place}).", *error.args[1:])


def _without(tracer: Tracer, function: Callable, *args):
    at = STATE.stack.index(tracer)
    STATE.stack.remove(tracer)
    try:
        return function(*args)
    finally:
        STATE.stack.insert(at, tracer)


def _zero_flag() -> Tensor:
    return zeros((), dtype=dtypes.int64)


def new_storage(nbytes: int) -> Storage:
    """Memory for a run's results."""
    made = allocate(nbytes, Storage)
    made.version, made.writer = INFERENCE if STATE.inference else 0, None
    return made
