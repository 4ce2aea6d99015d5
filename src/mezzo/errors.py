"""Exceptions, and the one function that builds their messages.

Every public exception subclasses the type PyTorch raises for the same mistake, so code that catches
PyTorch's errors catches ours.
"""

from __future__ import annotations

from pickle import UnpicklingError


class MezzoError(Exception):
    """Base of every error that mezzo raises on purpose.

    fact: what an internal operation found; the public operation around it tells it under its own name.
    """

    fact: Fact | None = None


class ShapeError(MezzoError, RuntimeError):
    """Shapes do not fit the operation."""


class DTypeError(MezzoError, RuntimeError):
    """A dtype is not supported by the operation or does not fit the other arguments."""


class UnsupportedDTypeError(DTypeError, NotImplementedError):
    """The operation does not exist for this dtype (PyTorch raises NotImplementedError)."""


class InvertError(UnsupportedDTypeError, TypeError):
    """~ of numbers that are no integers (PyTorch raises TypeError)."""


class FalseAssumptionError(MezzoError, ValueError, RuntimeError, AssertionError):
    """An argument is impossible where PyTorch asserts (AssertionError)."""


class ZeroDivisorError(MezzoError, RuntimeError, ZeroDivisionError):
    """Integers were divided by zero (PyTorch raises RuntimeError: ZeroDivisionError)."""


class LinAlgError(MezzoError, RuntimeError):
    """A matrix has no inverse, no such factor, or an iteration did not converge."""


class DeviceError(MezzoError, RuntimeError):
    """A device is unknown, absent, or mixed with another one."""


class CudaNotAvailableError(DeviceError, AssertionError):
    """CUDA was asked for on a machine without it (PyTorch raises AssertionError or RuntimeError)."""


class DimensionError(MezzoError, IndexError):
    """A dimension is out of range."""


class EmptyAxisError(DimensionError, RuntimeError):
    """An extreme of no elements has no value (PyTorch raises IndexError for an axis, RuntimeError for all)."""


class OutOfRangeError(MezzoError, IndexError, RuntimeError):
    """An index lies outside its axis (PyTorch raises IndexError or RuntimeError, by operation)."""


class ArgumentTypeError(MezzoError, TypeError):
    """An argument has the wrong Python type."""


class ArgumentValueError(MezzoError, ValueError):
    """An argument has an impossible value."""


class ImpossibleValueError(ArgumentValueError, RuntimeError):
    """An argument has an impossible value, where PyTorch raises RuntimeError (sizes, bounds, overflow)."""


class GradientError(MezzoError, RuntimeError):
    """A derivative cannot be computed; the message says what to change."""


class UnsupportedError(MezzoError, NotImplementedError, RuntimeError):
    """PyTorch has this and mezzo does not yet; the message says what to use instead."""


class FileFormatError(MezzoError, RuntimeError, UnpicklingError):
    """A file is not of the expected format, truncated, damaged, or holds what is not plain data.

    PyTorch raises RuntimeError for its archives and UnpicklingError for what weights_only refuses.
    """


class OutOfMemoryError(MezzoError, RuntimeError):
    """The device cannot give that much memory."""


class KernelError(MezzoError, RuntimeError):
    """A generated kernel could not be built: a bug of mezzo's, with the IR line."""


class Fact(Exception):
    """A short fact raised by inner code; the door wraps it once with operation, shapes and dtypes.

    kind is the public exception class to raise; `advice` says what to do.
    """

    def __init__(self, kind: type[MezzoError], text: str, advice: str = ""):
        super().__init__(text)
        self.kind, self.text, self.advice = kind, text, advice


def message(operation: str, problem: str, advice: str = "") -> str:
    """The text of an error: operation, what it got and needs, what to do."""
    text = f"{operation}: {problem}" if operation else problem
    if not text.endswith((".", "?", "!")):
        text += "."
    return f"{text} {advice}".rstrip()
