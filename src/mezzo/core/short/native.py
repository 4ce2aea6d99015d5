"""The native code of the short way, linked into this process: Short objects and what they are set up with.

A Short is callable and a method descriptor: `a.add(b)`, `a + b` and `add(a, b)` reach the native code without a
frame of Python. It lives as long as the process, and so does all that it points to.
"""

from __future__ import annotations

import ctypes
import struct

from mezzo.core.short import doors
from mezzo.core.short import words as w
from mezzo.kernels.cpu import capture, linker

_HAS_VECTORCALL, _METHOD_DESCRIPTOR, _DEFAULT = 1 << 11, 1 << 17, 1 << 18
_CALL, _DESCR_GET, _NEW, _MEMBERS = 50, 54, 65, 72  # PyType_Slot numbers
_SSIZE, _READONLY = 19, 1  # T_PYSSIZET, READONLY
_FIELDS = struct.Struct("=8q")

_alive: list = []  # what native code points to


class _Slot(ctypes.Structure):
    _fields_ = [("number", ctypes.c_int), ("what", ctypes.c_void_p)]


class _Member(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


class _Spec(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("basicsize", ctypes.c_int),
        ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.POINTER(_Slot)),
    ]


def offset(cls: type, name: str) -> int:
    """Where the slot lies in an object of the class (the offset of a PyMemberDef, which a descriptor ends with)."""
    member = ctypes.c_void_p.from_address(id(cls.__dict__[name]) + 40).value
    return ctypes.c_ssize_t.from_address(member + 16).value


def is_usual() -> bool:
    """Whether lists, tuples, dictionaries, slices, ints and slots lie in memory as the native code expects."""

    class Probe:
        __slots__ = ("first", "second")

    def words(obj, count: int):
        return (ctypes.c_ssize_t * count).from_address(id(obj))

    probe, first, second = Probe(), object(), object()
    probe.first, probe.second = first, second
    items = [first, second]
    items.append(first)
    part, pair, table = slice(first, second, None), (first, second), {first: second}
    try:
        return (
            words(probe, 8)[offset(Probe, "second") // 8] == id(second)
            and words(items, 5)[1] == id(list)
            and words(items, 5)[2] == 3
            and words(items, 5)[4] >= 3
            and (ctypes.c_ssize_t * 3).from_address(words(items, 5)[3])[1] == id(second)
            and words(table, 3)[2] == 1
            and tuple(words(pair, 5)[2:]) == (2, id(first), id(second))
            and tuple(words(part, 5)[2:]) == (id(first), id(second), id(None))
        )
    except (KeyError, ValueError, TypeError):
        return False


class Native:
    """The linked module. kind: the type of Short objects."""

    def __init__(self):
        api = ctypes.pythonapi
        symbols = {
            name: ctypes.cast(getattr(api, name), ctypes.c_void_p).value for name in w.SYMBOLS
        }
        self.module = linker.link(doors.source(), imports=symbols)
        self._off = ctypes.c_int64.from_address(self.module.address("off"))
        capture.SWITCHES.append(self._switch)
        self._switch(capture.Recording.current)
        get_slot = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_int)(
            ("PyType_GetSlot", api)
        )
        self.set("o_new", get_slot(object, _NEW))
        self.set("o_new_tuple", get_slot(tuple, _NEW))
        self.kind = self._make_kind(api)

    def _switch(self, recording) -> None:
        self._off.value = recording is not None

    def set(self, name: str, value: int) -> None:
        """Give a global of the module its value."""
        ctypes.c_int64.from_address(self.module.address(name)).value = value

    def object(self, name: str, value) -> None:
        """Give a global of the module an object."""
        _alive.append(value)
        self.set(name, id(value))

    def _make_kind(self, api) -> type:
        members = (_Member * 2)()
        members[0] = _Member(b"__vectorcalloffset__", _SSIZE, w.VECTORCALL, _READONLY, None)
        call = ctypes.cast(api.PyVectorcall_Call, ctypes.c_void_p).value
        slots = (_Slot * 4)(
            (_CALL, call),
            (_DESCR_GET, self.module.address("bind")),
            (_MEMBERS, ctypes.addressof(members)),
            (0, None),
        )
        flags = _DEFAULT | _HAS_VECTORCALL | _METHOD_DESCRIPTOR
        spec = _Spec(b"mezzo.core.short.Short", w.SIZE, 0, flags, slots)
        _alive.extend((members, slots, spec))
        make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(("PyType_FromSpec", api))
        return make(ctypes.addressof(spec))

    def short(self, how: str, fallback, owner=None, miss=None):
        """A new Short. how: the function of the module that serves calls; fallback: who does what it cannot."""
        made = self.kind()
        owner = fallback if owner is None else owner
        _alive.extend((made, fallback, owner, miss))
        fields = [self.module.address(how), id(fallback), 0, id(miss), id(owner), 0, 0, 0]
        _FIELDS.pack_into(
            (ctypes.c_char * _FIELDS.size).from_address(id(made) + w.VECTORCALL), 0, *fields
        )
        return made


def field(short, at: int) -> ctypes.c_int64:
    """A field of a Short, to be read or written."""
    return ctypes.c_int64.from_address(id(short) + at)
