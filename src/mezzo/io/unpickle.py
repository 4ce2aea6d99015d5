"""A machine that runs the part of pickle that plain data need, and nothing else.

An instruction that is not in OPCODES, and a name that is not in the table that the machine is given, stop it.
Names stand for a `Name` or for a value of ours: nothing is imported, no method of an object is looked up.
What instructions make is bounded by what the pickle spells out, so that a small file stays small.

Source: the comments of Python's pickletools, which describe every instruction.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from reprlib import repr as brief

from mezzo.io.source import Source

MAX_DEPTH = 1000  # of containers in one another
MAX_OBJECTS = 1 << 23  # containers and remembered values: what a byte of a pickle can make large
MAX_ODD_KEYS = 10_000  # keys whose hashes a file could make equal
_WINDOW = 1 << 16
_SMALL_INT = 1 << 61
_DICTS = (dict, OrderedDict, Counter)


class Malformed(Exception):
    """What is wrong with a pickle; the reader of the file adds the file's name."""


class Refused(Malformed):
    """A pickle that may be whole, and asks for what is not done; the text says what to do."""


@dataclass(frozen=True)
class Name:
    """What a name in a pickle stands for, if that is no value.

    called: how errors call it. call: what happens when it is called, call(machine, *arguments), which checks its arguments itself;
    None for what is only passed around. is_class: objects of it may be made too (NEWOBJ).
    """

    called: str
    call: Callable | None = None
    is_class: bool = False


class Machine:
    """Runs pickles that follow one another in a source, from `start` to at most `end`.

    names: what a pickle may name ("module.name"). context has persistent(machine, id), the value of a
    persistent id, and build(machine, object, state), which sets the state of an object. encoding: of str
    objects of Python 2, "bytes" to leave them as they are.
    """

    def __init__(self, source: Source, start: int, end: int, names: Mapping, context, encoding):
        self.source, self.at, self.end = source, start, end
        self.names, self.context, self.encoding = names, context, encoding
        self._window, self._place = b"", 0
        self.allowance = 2 * (end - start) + 1000
        self.objects = self.odd_keys = 0
        self.stack: list = []
        self.marks: list[list] = []
        self.memo: dict[int, object] = {}

    def run(self):
        """The value of the next pickle. Raises: Malformed."""
        self.stack, self.marks, self.memo = [], [], {}
        take = self.take
        try:
            while True:
                code = take(1)[0]
                if code == _STOP:
                    if self.marks or len(self.stack) != 1:
                        raise Malformed("the pickle stops in the middle of something")
                    return self.stack.pop()
                run = OPCODES.get(code)
                if run is None:
                    raise Refused(
                        f"uses the pickle instruction {bytes([code])!r} at byte {self.position - 1}, which "
                        "is not among those that plain data need. Save it again with torch.save."
                    )
                run(self)
        except (
            IndexError,
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            OverflowError,
            struct.error,
        ) as problem:
            raise Malformed(
                f"the pickle goes wrong before byte {self.position} ({problem})"
            ) from None

    # ---- what instructions use

    @property
    def position(self) -> int:
        """Where in the source the next byte is."""
        return self.at - len(self._window) + self._place

    def take(self, count: int) -> bytes:
        """The next bytes."""
        end = self._place + count
        if end > len(self._window):
            self._refill(count)
            end = count
        taken = self._window[self._place : end]
        self._place = end
        return taken

    def _refill(self, count: int) -> None:
        left = self._window[self._place :]
        more = min(max(count - len(left), _WINDOW), self.end - self.at)
        if len(left) + more < count:
            raise Malformed(f"the pickle ends before its {count} next bytes")
        self._window, self._place = left + self.source.read(self.at, more), 0
        self.at += more

    def line(self) -> str:
        """The text up to the next line feed."""
        while True:
            found = self._window.find(b"\n", self._place)
            if found >= 0:
                return self.take(found + 1 - self._place)[:-1].decode("utf-8")
            waiting = len(self._window) - self._place
            if waiting > 1000:
                raise Malformed("the pickle has a name of more than 1000 letters")
            self._refill(waiting + 1)

    def count(self) -> None:
        """Note that a container was made, or a value remembered."""
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            raise Refused(f"has more than {MAX_OBJECTS} parts: that is no checkpoint.")

    def spend(self, units: int) -> None:
        """Note that a call made so many bytes or elements of a value that the pickle spelled out once."""
        self.allowance -= units
        if self.allowance < 0:
            raise Malformed("the pickle makes much more data than it holds")

    def push(self, value) -> None:
        """Put a new container on the stack."""
        self.count()
        self.stack.append(value)

    def remember(self, index: int) -> None:
        """Note the value on top of the stack for a later GET."""
        self.count()
        self.memo[index] = self.stack[-1]

    def pop_mark(self) -> list:
        """What was pushed since the last MARK."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def key(self, value):
        """value, if it may be a key: hashing it takes little time, and many of it differ in their hashes."""
        kind = type(value)
        if kind is str or kind is bytes or value is None or kind is bool:
            return value
        if kind is not int or abs(value) >= _SMALL_INT:
            self.odd_keys += 1
            if self.odd_keys > MAX_ODD_KEYS:
                raise Refused(
                    f"has more than {MAX_ODD_KEYS} keys that are neither text nor small numbers."
                )
            if isinstance(value, tuple):
                _bound(value, [1000])
            elif kind not in (int, float, complex):
                raise Malformed(f"a {kind.__name__} is used as a key")
        return value

    def set_items(self, target, pairs: list) -> None:
        """target[key] = value for keys and values in turn."""
        if type(target) not in _DICTS or len(pairs) % 2:
            raise Malformed(f"items are set in a {type(target).__name__}")
        for i in range(0, len(pairs), 2):
            target[self.key(pairs[i])] = pairs[i + 1]

    def find(self, module: str, name: str) -> None:
        """Push what a global name stands for."""
        value = self.names.get(f"{module}.{name}")
        if value is None:
            raise Refused(
                f"asks for {brief(f'{module}.{name}')}, which is neither a tensor nor plain data. Pickles can run "
                "code, so mezzo makes nothing else, also with weights_only=False. Where PyTorch is, save the "
                "state_dict alone: torch.save(model.state_dict(), path)."
            )
        self.stack.append(value)

    def call(self, target, arguments) -> None:
        """Push target(*arguments)."""
        if type(target) is not Name or target.call is None or type(arguments) is not tuple:
            raise Malformed(f"{_called(target)} is called")
        self.count()
        self.stack.append(target.call(self, *arguments))


def _bound(value: tuple, left: list[int], depth: int = 0) -> None:
    """Refuse tuples that are large or deep, or hold what cannot be hashed, before they are hashed."""
    left[0] -= len(value)
    if left[0] < 0 or depth > 20:
        raise Malformed("a tuple used as a key is too large")
    for part in value:
        if isinstance(part, tuple):
            _bound(part, left, depth + 1)
        elif type(part) not in (str, bytes, int, float, complex, bool, type(None)):
            raise Malformed(f"a tuple with a {type(part).__name__} is used as a key")


# ---- the instructions

OPCODES: dict[int, Callable] = {}
_STOP = ord(".")


def _opcode(code: bytes):
    def register(run):
        OPCODES[code[0]] = run
        return run

    return register


def _protocol(machine: Machine) -> None:
    version = machine.take(1)[0]
    if not 2 <= version <= 5:
        raise Refused(
            f"is a pickle of protocol {version}; 2 to 5 are read. Save it again with torch.save."
        )


def _number(layout: str, order: str = "<"):
    """An instruction that pushes a number of that struct layout."""
    read = struct.Struct(order + layout)
    return lambda machine: machine.stack.append(read.unpack(machine.take(read.size))[0])


def _sized(layout: str, convert):
    """An instruction that pushes bytes whose number stands before them."""
    read = struct.Struct("<" + layout)

    def run(machine: Machine) -> None:
        (length,) = read.unpack(machine.take(read.size))
        machine.stack.append(convert(machine.take(length)))

    return run


def _get(layout: str):
    read = struct.Struct("<" + layout)
    return lambda m: m.stack.append(m.memo[read.unpack(m.take(read.size))[0]])


def _put(layout: str):
    read = struct.Struct("<" + layout)
    return lambda m: m.remember(read.unpack(m.take(read.size))[0])


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _old_text(layout: str):
    """An instruction that pushes a str of Python 2."""
    read = struct.Struct("<" + layout)

    def run(machine: Machine) -> None:
        data = machine.take(max(read.unpack(machine.take(read.size))[0], 0))
        machine.stack.append(data if machine.encoding == "bytes" else data.decode(machine.encoding))

    return run


def _integer(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


OPCODES |= {
    ord(code): run
    for code, run in {
        "\x80": _protocol,
        "\x95": lambda m: m.take(8) and None,  # a frame: how much to read ahead
        "N": lambda m: m.stack.append(None),
        "\x88": lambda m: m.stack.append(True),
        "\x89": lambda m: m.stack.append(False),
        "J": _number("i"),
        "K": _number("B"),
        "M": _number("H"),
        "G": _number("d", ">"),
        "\x8a": _sized("B", _integer),
        "\x8b": _sized("I", _integer),
        "X": _sized("I", _text),
        "\x8c": _sized("B", _text),
        "\x8d": _sized("Q", _text),
        "U": _old_text("B"),
        "T": _old_text("i"),
        "C": _sized("B", bytes),
        "B": _sized("I", bytes),
        "\x8e": _sized("Q", bytes),
        "\x96": _sized("Q", bytearray),
        "h": _get("B"),
        "j": _get("I"),
        "q": _put("B"),
        "r": _put("I"),
        "\x94": lambda m: m.remember(len(m.memo)),
        ")": lambda m: m.stack.append(()),
        "]": lambda m: m.push([]),
        "}": lambda m: m.push({}),
        "\x8f": lambda m: m.push(set()),
        "0": lambda m: m.stack.pop() and None,
        "1": lambda m: m.pop_mark() and None,
        "t": lambda m: m.push(tuple(m.pop_mark())),
    }.items()
}


@_opcode(b"(")
def _mark(machine: Machine) -> None:
    machine.count()
    machine.marks.append(machine.stack)
    machine.stack = []


def _short_tuple(length: int):
    def run(machine: Machine) -> None:
        items = tuple(machine.stack[-length:])
        if len(items) < length:
            raise IndexError("a tuple needs more values than there are")
        del machine.stack[-length:]
        machine.push(items)

    return run


OPCODES |= {0x84 + length: _short_tuple(length) for length in (1, 2, 3)}


@_opcode(b"\x91")
def _frozen_set(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.push(frozenset(machine.key(item) for item in items))


@_opcode(b"\x90")
def _add_items(machine: Machine) -> None:
    items = machine.pop_mark()
    if type(machine.stack[-1]) is not set:
        raise Malformed(f"members are added to a {type(machine.stack[-1]).__name__}")
    machine.stack[-1].update(machine.key(item) for item in items)


def _extend(machine: Machine, items: list) -> None:
    if type(machine.stack[-1]) is not list:
        raise Malformed(f"elements are appended to a {type(machine.stack[-1]).__name__}")
    machine.stack[-1].extend(items)


@_opcode(b"a")
def _append(machine: Machine) -> None:
    _extend(machine, [machine.stack.pop()])


@_opcode(b"e")
def _appends(machine: Machine) -> None:
    _extend(machine, machine.pop_mark())


@_opcode(b"s")
def _set_item(machine: Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.set_items(machine.stack[-1], [key, value])


@_opcode(b"u")
def _set_items(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.set_items(machine.stack[-1], items)


@_opcode(b"c")
def _global(machine: Machine) -> None:
    module = machine.line()
    machine.find(module, machine.line())


@_opcode(b"\x93")
def _stack_global(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise Malformed("a name is no text")
    machine.find(module, name)


@_opcode(b"R")
def _reduce(machine: Machine) -> None:
    arguments, target = machine.stack.pop(), machine.stack.pop()
    machine.call(target, arguments)


@_opcode(b"\x81")
def _new_object(machine: Machine) -> None:
    arguments, target = machine.stack.pop(), machine.stack.pop()
    if type(target) is Name and not target.is_class:
        raise Malformed(f"objects of {target.called} are made")
    machine.call(target, arguments)


@_opcode(b"b")
def _build(machine: Machine) -> None:
    state = machine.stack.pop()
    machine.context.build(machine, machine.stack[-1], state)


@_opcode(b"Q")
def _persistent(machine: Machine) -> None:
    machine.stack.append(machine.context.persistent(machine, machine.stack.pop()))


# ---- afterwards


def check_tree(value, leaves: tuple[type, ...], attributes: Mapping[int, object]) -> None:
    """Raise unless value is a tree (shared parts allowed) of plain containers and of leaves of these types.

    attributes: what leaves hold, by their ids.
    """
    done: set[int] = set()
    path: set[int] = set()
    waiting: list[tuple[object, bool]] = [(value, False)]
    while waiting:
        part, leaving = waiting.pop()
        number = id(part)
        if leaving:
            path.discard(number)
            done.add(number)
            continue
        if number in done:
            continue
        if number in path:
            raise Malformed("it contains itself")
        parts = [attributes[number]] if number in attributes else _parts(part, leaves)
        if parts:
            path.add(number)
            waiting.append((part, True))
            waiting.extend((child, False) for child in parts)
            if len(path) > MAX_DEPTH:
                raise Malformed(f"it is nested deeper than {MAX_DEPTH}")


def _parts(value, leaves: tuple[type, ...]) -> list:
    """What a container holds; [] for a leaf."""
    kind = type(value)
    if kind in leaves:
        return []
    if kind in (list, tuple, set, frozenset):
        return list(value)
    if kind in _DICTS:  # keys are leaves: Machine.key
        held = list(value.values())
        return held if kind is dict else held + list(vars(value).values())
    raise Refused(f"holds {_called(value)} as a value; mezzo reads tensors and plain data.")


def _called(value) -> str:
    return getattr(value, "called", f"a {type(value).__name__}")
