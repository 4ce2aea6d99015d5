"""Devices: `cpu`, `meta` (layouts without data) and `cuda`, known by name.

A device is interned: the same type and index are the same object.
"""

from __future__ import annotations

import threading

from mezzo.errors import ArgumentTypeError, CudaNotAvailableError, DeviceError

TYPES = ("cpu", "cuda", "meta")
_INTERNED: dict[tuple[str, int | None], device] = {}


class device:
    """A device such as device("cpu"), device("cuda:0"), device("cuda", 1)."""

    __slots__ = ("index", "type")
    type: str
    index: int | None

    def __new__(cls, type, index=None):
        if isinstance(type, device):
            return type
        if isinstance(type, int) and not isinstance(type, bool):
            type, index = "cuda", type
        if not isinstance(type, str):
            raise ArgumentTypeError(
                f"device: got {type!r}; it must be a str such as 'cpu', or a device."
            )
        kind, colon, number = type.partition(":")
        if colon:
            if index is not None or not number.isdigit():
                raise DeviceError(
                    f"device: invalid device string {type!r}; write it as 'cpu' or 'cuda:0'."
                )
            index = int(number)
        if kind not in TYPES:
            raise DeviceError(
                f"device: {kind!r} is not a device type; it must be one of {', '.join(TYPES)}."
            )
        return _INTERNED.get((kind, index)) or _intern(kind, index)

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __reduce__(self):
        return (device, (str(self),))

    def __enter__(self):
        _CHOSEN.__dict__.setdefault("within", []).append(self)
        return self

    def __exit__(self, *exception):
        _CHOSEN.within.pop()
        if not _CHOSEN.within:
            del _CHOSEN.within

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


def _intern(kind: str, index: int | None) -> device:
    made = object.__new__(device)
    made.type, made.index = kind, index
    return _INTERNED.setdefault((kind, index), made)


cpu = device("cpu")
meta = device("meta")


class _Chosen(threading.local):
    """Where factories put tensors by default, for each thread: set_default_device, `with device(...)`."""

    default: device | None = None


_CHOSEN = _Chosen()


def set_default_device(wanted: device | str | int | None) -> None:
    """Where new tensors are made if nothing is said; None: on the CPU. Source: torch.set_default_device"""
    found = None if wanted is None else usable(wanted, "set_default_device")
    if found is not None:
        _CHOSEN.default = found
    else:
        _CHOSEN.__dict__.pop("default", None)


def chosen() -> dict:
    """This thread's choices; empty where there are none. It is the same object at every call."""
    return _CHOSEN.__dict__


def get_default_device() -> device:
    """Where new tensors are made if nothing is said. Source: torch.get_default_device"""
    within = _CHOSEN.__dict__.get("within")
    return within[-1] if within else _CHOSEN.default or cpu


def usable(where: device | str | int | None, operation: str) -> device:
    """The device that tensors are made on; raises for one that this machine does not have."""
    found = (
        device(where) if where is not None else get_default_device() if _CHOSEN.__dict__ else cpu
    )
    if found.type == "cuda":
        raise CudaNotAvailableError(
            f"{operation}: device '{found}' was asked for, and this build of mezzo runs no CUDA. Use "
            "device='cpu', or choose with 'cuda' if mezzo.cuda.is_available() else 'cpu'."
        )
    return cpu if found.type == "cpu" else found
