"""The bridge from Python to a kernel.

    launch(address, *slots)            call `void kernel(ptr slots)` at that address
    launch_unlocked(address, *slots)   the same with the interpreter lock released

A slot is an int (an i64, or a pointer), a float (the bits of a double) or a bool (0 or 1); there
are at most 32. Usually both are builtins made of native code; `implementation` says which ones are
in use: "native", or "ctypes" (MEZZO_ENTRY=ctypes, another interpreter than CPython, a free-threaded
build). They are made when first asked for: write `entry.launch`, not `from ... import launch`.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import threading
from collections.abc import Callable

from mezzo.errors import ArgumentValueError
from mezzo.kernels.cpu import capture, entry_ir, linker, system

MAX_SLOTS = entry_ir.MAX_SLOTS
_METH_FASTCALL = 0x0080
_Launch = Callable[..., None]


class _MethodDef(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_told: list[Callable] = []  # what the native hook calls: kept alive here

# Python keeps a pointer to a builtin's definition: it must live as long as the builtin.
_definitions: list[_MethodDef] = []

_DOC = {
    "launch": b"launch(address, *slots)\n--\n\nCall the kernel at that address.",
    "launch_unlocked": b"launch_unlocked(address, *slots)\n--\n\nCall the kernel without the GIL.",
}


def _native() -> tuple[_Launch, _Launch]:
    api = ctypes.pythonapi
    symbols = {
        name: ctypes.cast(getattr(api, name), ctypes.c_void_p).value for name in entry_ir.SYMBOLS
    }
    module = linker.link(entry_ir.source(), imports=symbols)
    hooks = [ctypes.c_void_p.from_address(module.address(n)) for n in ("hook", "hook_unlocked")]

    def switch(recording: capture.Recording | None) -> None:
        """Let launches be told to a recording, which must outlive them."""
        told = [recording.launch, recording.launch_unlocked] if recording is not None else []
        for i, hook in enumerate(hooks):
            hook.value = id(told[i]) if told else None
        _told[:] = told

    capture.SWITCHES.append(switch)
    if capture.Recording.current is not None:
        switch(capture.Recording.current)
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
        ("PyCFunction_NewEx", api)
    )
    made = []
    for name, doc in _DOC.items():
        definition = _MethodDef(name.encode(), module.address(name), _METH_FASTCALL, doc)
        _definitions.append(definition)
        made.append(make(ctypes.addressof(definition), None, None))
    return made[0], made[1]


def _through_ctypes(prototype: Callable) -> _Launch:
    """A launch in plain Python; prototype keeps or releases the interpreter lock."""
    kernel_type = prototype(None, ctypes.c_void_p)
    kernels: dict[int, Callable] = {}
    pack_double, unpack_int = struct.Struct("=d").pack, struct.Struct("=q").unpack

    def launch(*arguments) -> None:
        if not arguments:
            raise TypeError(entry_ir.NOTHING)
        address, *slots = arguments
        if len(slots) > MAX_SLOTS:
            raise TypeError(entry_ir.TOO_MANY.replace("%zd", str(len(slots))))
        if type(address) is not int or address <= 0:
            raise TypeError(_bad_slot(-1))
        recording = capture.Recording.current
        if recording is not None and recording.launch(*arguments):
            return
        block = (ctypes.c_int64 * MAX_SLOTS)()
        for i, slot in enumerate(slots):
            if isinstance(slot, int):
                if not -(1 << 63) <= slot < 1 << 63:
                    raise OverflowError(f"launch: slot {i} does not fit in 64 bits: {slot}.")
                block[i] = slot
            elif isinstance(slot, float):
                (block[i],) = unpack_int(pack_double(slot))
            else:
                raise TypeError(_bad_slot(i))
        kernel = kernels.get(address)
        if kernel is None:
            kernel = kernels[address] = kernel_type(address)
        kernel(ctypes.addressof(block))

    return launch


def _bad_slot(i: int) -> str:
    return entry_ir.BAD_SLOT.replace("%zd", str(i))


def _is_usual() -> bool:
    """Whether this is the interpreter whose objects hold their type at offset 8."""
    return (
        sys.implementation.name == "cpython"
        and not system.FREE_THREADED
        and ctypes.sizeof(ctypes.c_void_p) == 8
        and ctypes.c_void_p.from_address(id(1.5) + 8).value == id(float)
    )


def _choose() -> tuple[str, _Launch, _Launch]:
    wanted = os.environ.get("MEZZO_ENTRY") or "native"
    if wanted not in ("native", "ctypes"):
        raise ArgumentValueError(f"MEZZO_ENTRY: got {wanted!r}; it must be 'native' or 'ctypes'.")
    if wanted == "native" and _is_usual():
        return ("native", *_native())
    return (
        "ctypes",
        _through_ctypes(ctypes.PYFUNCTYPE),
        _through_ctypes(ctypes.CFUNCTYPE),
    )


_making = threading.RLock()
READY: list[Callable[[str], None]] = []  # told which implementation it is, once it is there
_NAMES = ("implementation", "launch", "launch_unlocked")


def __getattr__(name: str):
    """The bridge is built at first use: linking it takes longer than importing the rest of mezzo."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _making:
        if name not in globals():
            globals().update(zip(_NAMES, _choose()))
            for ready in READY:
                ready(globals()["implementation"])
    return globals()[name]
