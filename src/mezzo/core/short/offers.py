"""Who goes the short way: callables are offered while mezzo is imported, and become Shorts when they are first called."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from types import MethodType

from mezzo import devices, dtypes
from mezzo.core import tape
from mezzo.core.layout import Layout, Size
from mezzo.core.record import DROPPED, REGISTRY, Composite, Keyed, Primitive, Record
from mezzo.core.short import native, sized
from mezzo.core.short import words as w
from mezzo.core.short.learn import INDEX, Entry, learn
from mezzo.core.state import STATE
from mezzo.core.storage import INFERENCE, Storage
from mezzo.core.tensor import Tensor
from mezzo.kernels.cpu import arenas, capture, entry, memory, pool

ENTRIES = 1024  # kept by one callable; more means ever-changing calls, and all are dropped
STRIKES = 4  # how often that may happen to one whose entries hardly serve
_KEY = "mezzo.core.short"
_CHOSEN = "chosen devices"


class Way:
    """The short way of one callable: what Python keeps for a Short. original: the usual way.

    free: positions of numbers that reach the launch as they are, with the values that do not.
    """

    def __init__(self, native_: native.Native, original: Callable, owner, how: str, free: dict):
        self.original, self.free = original, free
        self.strikes, self.entries = 0, []
        self.short = native_.short(how, original, owner, self.missed)
        rows = [
            struct.pack("=qq", p | w.INDEX, 0)
            if v is INDEX
            else struct.pack(f"=qq{len(v)}d", p, len(v), *v)
            for p, v in free.items()
        ]
        self._free = ctypes.create_string_buffer(b"".join(rows))
        native.field(self.short, w.FREE).value = ctypes.addressof(self._free)
        native.field(self.short, w.FREE_COUNT).value = len(free)
        self.forget()

    def forget(self) -> None:
        """Drop the entries."""
        # A launch that gave up the interpreter lock may still read the last ones.
        self.retired = self.entries
        self.seen: set[bytes] = set()
        self.entries = []
        self._lay_out(8)
        native.field(self.short, w.HITS).value = 0

    def _lay_out(self, size: int) -> None:
        # The mask, then the places: one address to change, since other threads look things up meanwhile.
        table = (ctypes.c_int64 * (1 + size))(size - 1)
        for found in self.entries:
            _file(table, found)
        native.field(self.short, w.TABLE).value = ctypes.addressof(table)
        self.table = table

    def missed(self, key: bytes, *args, **kwargs) -> None:
        """Note a call that has no entry: the second of its kind gets one. Then the usual way does it."""
        if key not in self.seen:
            self.seen.add(key)
        elif not capture.Recording.is_taken():
            epoch = _epoch[0]
            made = learn(self.original, key, args, kwargs, self.free)
            if epoch == _epoch[0]:  # the plans that it points to are still there
                self._add(made)
        if len(self.seen) > ENTRIES:
            self._drop()

    def _add(self, made: Entry) -> None:
        self.entries.append(made)
        if 2 * len(self.entries) > self.table[0]:
            self._lay_out(4 * (self.table[0] + 1))
        else:
            _file(self.table, made)

    def _drop(self) -> None:
        self.strikes += native.field(self.short, w.HITS).value < 4 * ENTRIES
        self.forget()
        if self.strikes >= STRIKES:
            native.field(self.short, w.TABLE).value = 0


def _file(table, found: Entry) -> None:
    """Put an entry into the table, in the first free place from its hash on."""
    mask = table[0]
    at = found.key[0] & mask
    while table[1 + at]:
        at = (at + 1) & mask
    table[1 + at] = found.address


_offered: dict[Record | None, list[tuple[str, Callable, dict]]] = {}
_parameters: list[type] = [
    Tensor
]  # the subclass of Tensor that has nothing of its own to say to an operation
_ways: list[Way] = []
_epoch = [0]
_native: list[native.Native] = []  # once it is linked
_apply: list[Callable] = []  # Record.apply, the usual way
_usual: dict[type, Callable] = {}  # how records of a class are called the usual way


def free_of(record: Record) -> dict[int, tuple[float, ...]]:
    """The free numbers of a record."""
    return record.free_numbers() if isinstance(record, (Primitive, Composite)) else {}


def offer(name: str, function: Callable, record: Record | None = None, swap: bool = False, free: dict | None = None) -> None:  # fmt: skip
    """Let a method of Tensor take the short way. record: whose operation it is; swap: its operands come in reverse;
    free: its free numbers where no record says them, INDEX for one that counts along the tensor's first axis.
    """
    free = free or (free_of(record) if record is not None else {})
    if swap:
        free = {{0: 1, 1: 0}.get(position, position): v for position, v in free.items()}
    _offered.setdefault(record, []).append((name, function, free))


def offer_class(cls: type) -> None:
    """Let the short way take tensors of this class for plain ones: nn.Parameter."""
    _parameters[:] = [cls]


def usual(name: str):
    """What Tensor's namespace held under a name before the short way was taken."""
    value = Tensor.__dict__[name]
    return getattr(Tensor, name) if _native and isinstance(value, _native[0].kind) else value


def forget() -> None:
    """Drop every entry: something that plans depend on changed."""
    _epoch[0] += 1
    for way in _ways:
        way.forget()


def _register() -> None:
    """Put the thread's modes where the native code finds them."""
    STATE.__dict__[_CHOSEN] = devices.chosen()
    _thread_state()[_KEY] = STATE.__dict__


def _thread_state() -> dict:
    get = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyThreadState_GetDict", ctypes.pythonapi))
    return ctypes.cast(get(), ctypes.py_object).value  # a borrowed reference


def _set_up(made: native.Native) -> None:
    """Tell the native code where everything is."""
    for name, value in {
        "o_key": _KEY, "o_stack": "stack", "o_grad": "grad", "o_inference": "inference", "o_storage": "storage",
        "o_generation": "generation", "o_register": _register, "o_chosen": _CHOSEN, "o_begin": begin, "o_allocate": memory.allocate,
        "o_refresh": tape.refresh, "o_multiple": "multiple", "o_zero": 0, "o_ellipsis": type(...), "o_frozen": INFERENCE, "o_empty": (), "o_tensor": Tensor, "o_parameter": _parameters[0], "o_size": Size,
        "o_store": Storage, "o_bucket": arenas.Bucket, "o_view": tape.View, "o_auto": tape.Auto, "o_leaf": tape.leaf_end, "o_order": tape._count,
        "o_usage": arenas.usage,
    }.items():  # fmt: skip
        made.object(name, value)
    slots = {
        Tensor: ("layout", "storage", "ptr", "auto", "base"),
        memory.Block: ("nbytes", "bucket"),
        Storage: ("version", "saved"),
        tape.View: ("root", "chain", "generation", "multiple"),
        tape.Auto: ("node", "slot", "requires_grad"),
        tape.Node: ("args", "edges", "layouts", "needs_out", "order", "outs", "record", "versions"),
        arenas.Usage: ("allocated", "peak"),
        arenas.Bucket: ("size",),
    }
    for cls, names in slots.items():
        for name in names:
            made.set(f"at_{name}", native.offset(cls, name))
    for name in ("layout_nbytes", "shape"):
        made.set(f"at_{name}", native.offset(Layout, name.removeprefix("layout_")))
    made.set("at_store_ptr", native.offset(memory.Block, "ptr"))
    for name in ("short", "applied"):
        made.set(f"at_{name}", native.offset(Keyed, name))
    kinds = (bool, str, dtypes.dtype, devices.device, type(...), Layout)
    table = (ctypes.c_int64 * 16)(*map(id, kinds))
    native._alive.extend((table, kinds))
    if memory.allocate is memory._allocate:
        classes = [arenas.bucket_for(64 * i) for i in range(sized.SMALL // 64 + 1)]
        small = (ctypes.c_int64 * len(classes))(*map(id, classes))
        native._alive.extend((small, classes))
        made.set("small", ctypes.addressof(small))
    made.set("kinds", ctypes.addressof(table))
    made.set("kind_count", len(kinds))


def _applying(record: Record) -> Callable:
    def apply(*args):
        return _apply[0](record, args)

    return apply


def begin(record: Record) -> None:
    """Make Shorts of a record and the methods that are its own: it is called for the first time."""
    if not _native or hasattr(record, "short"):
        return
    made = _native[0]
    function = MethodType(_usual_call(type(record)), record)
    way = Way(made, function, record, "call", free_of(record))
    applied = Way(made, _applying(record), record, "call", free_of(record))
    _ways.extend((way, applied))
    record.applied, record.short = applied.short, way.short
    for at, rule in record.vjps.items():
        record.quick_vjps[at] = _rule(made, rule)
    if record.joint is not None:
        record.quick_joint = _rule(made, record.joint)
    _begin_methods(made, record)


def _rule(made: native.Native, rule: Callable):
    way = Way(made, rule, rule, "call", {})
    _ways.append(way)
    return way.short


def _usual_call(cls: type) -> Callable:
    return next(_usual[c] for c in cls.__mro__ if c in _usual)


def _begin_methods(made: native.Native, record: Record | None) -> None:
    for name, function, free in _offered.get(record, ()):
        if Tensor.__dict__[name] is not function:
            continue  # somebody else's since
        if function is record:
            setattr(Tensor, name, record.short)
            continue
        way = Way(made, function, function, "call", free)
        _ways.append(way)
        setattr(Tensor, name, way.short)


def _install(implementation: str) -> None:
    """Link the native code and put it into the door, if it can be used in this interpreter."""
    if implementation != "native" or not native.is_usual():
        return
    made = native.Native()
    _set_up(made)
    classes = {c for record in REGISTRY.values() for c in type(record).__mro__}
    for cls in classes - {object}:
        if "__call__" in cls.__dict__:
            _usual[cls] = cls.__dict__["__call__"]
    _apply.append(Record.__dict__["apply"])
    _native.append(made)
    for cls, call in _usual.items():
        cls.__call__ = made.short("call_record", call)
    Record.apply = made.short("call_applied", _apply[0])
    _begin_methods(made, None)
    if memory.allocate is memory._allocate:
        memory.Block.__del__ = made.short("free", memory.Block.__del__)


entry.READY.append(_install)
DROPPED.append(forget)
pool.CHANGED.append(forget)
