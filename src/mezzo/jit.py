"""torch.jit by name: there is no TorchScript, and code written for it runs as the Python that it is.

`script` and `trace` give back what they get, so results are those of the function itself; what exists only for
TorchScript's compiler (ignore, export, annotate) changes nothing. Programs are not written to files or read
from them: save weights with mezzo.save, and make functions fast with mezzo.compile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mezzo.errors import UnsupportedError

__all__ = ["Final", "annotate", "export", "ignore", "is_scripting", "is_tracing", "load", "save", "script",
           "script_if_tracing", "trace", "trace_module", "unused"]  # fmt: skip


def script(obj, *_args, **_kwargs):
    """obj itself: a function, a class or a module. Source: torch.jit.script"""
    return obj


def script_if_tracing(fn: Callable) -> Callable:
    """fn itself. Source: torch.jit.script_if_tracing"""
    return fn


def trace(func, example_inputs=None, *_args, **_kwargs):
    """func itself, which goes on to look at values where it does. Source: torch.jit.trace"""
    return func


def trace_module(mod, inputs, *_args, **_kwargs):
    """mod itself. Source: torch.jit.trace_module"""
    return mod


def ignore(drop: Any = False, **_kwargs):
    """A decorator, with or without arguments, that changes nothing. Source: torch.jit.ignore"""
    return drop if callable(drop) else lambda fn: fn


def unused(fn: Callable) -> Callable:
    """fn itself. Source: torch.jit.unused"""
    return fn


def export(fn: Callable) -> Callable:
    """fn itself. Source: torch.jit.export"""
    return fn


def annotate(the_type, the_value):
    """the_value. Source: torch.jit.annotate"""
    return the_value


def is_scripting() -> bool:
    """False: nothing is ever scripted. Source: torch.jit.is_scripting"""
    return False


def is_tracing() -> bool:
    """False: nothing is ever traced for TorchScript. Source: torch.jit.is_tracing"""
    return False


def save(m, f, *_args, **_kwargs):
    """Raises UnsupportedError. Source: torch.jit.save"""
    raise UnsupportedError(
        "jit.save: there is no TorchScript, so programs are not written to files. Save the weights with "
        "mezzo.save(module.state_dict(), path)."
    )


def load(f, *_args, **_kwargs):
    """Raises UnsupportedError. Source: torch.jit.load"""
    raise UnsupportedError(
        "jit.load: there is no TorchScript, so programs are not read from files. Build the module in Python, and load a "
        "state_dict: in PyTorch, torch.save(torch.jit.load(path).state_dict(), 'name.pt')."
    )
