"""no_grad, enable_grad, set_grad_enabled, inference_mode: context managers and decorators."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from mezzo.core.state import STATE
from mezzo.core.storage import INFERENCE
from mezzo.core.tensor import Tensor


class _Mode:
    """A context manager that also decorates functions and generators, entering anew at each call."""

    def __call__(self, function):
        if inspect.isclass(function):
            function.__init__ = self(function.__init__)
            return function
        if inspect.isgeneratorfunction(function):
            return self._generator(function)

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with self._fresh():
                return function(*args, **kwargs)

        return wrapped

    def _generator(self, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            running = function(*args, **kwargs)
            value, send = None, None
            while True:
                with self._fresh():
                    try:
                        value = running.send(send)
                    except StopIteration as stop:
                        return stop.value
                send = yield value

        return wrapped

    def _fresh(self):
        return type(self)()


class no_grad(_Mode):
    """Nothing inside is recorded for differentiation. Source: torch.no_grad"""

    def __new__(cls, function=None) -> Any:
        made = super().__new__(cls)
        return made(function) if function is not None else made

    def __enter__(self):
        self._previous, STATE.grad = STATE.grad, False

    def __exit__(self, *exception):
        STATE.grad = self._previous


class enable_grad(_Mode):
    """Recording is on inside, also within no_grad. Source: torch.enable_grad"""

    def __new__(cls, function=None) -> Any:
        made = super().__new__(cls)
        return made(function) if function is not None else made

    def __enter__(self):
        self._previous, STATE.grad = STATE.grad, not STATE.inference

    def __exit__(self, *exception):
        STATE.grad = self._previous


class set_grad_enabled(_Mode):
    """Recording on or off: acts at once, and restores as a context manager. Source: torch.set_grad_enabled"""

    def __init__(self, mode: bool):
        self._mode, self._previous = bool(mode), STATE.grad
        STATE.grad = self._mode

    def __call__(self, function):
        STATE.grad = self._previous
        return super().__call__(function)

    def _fresh(self):
        return set_grad_enabled(self._mode)

    def __enter__(self):
        STATE.grad = self._mode

    def __exit__(self, *exception):
        STATE.grad = self._previous


class inference_mode(_Mode):
    """As no_grad, and tensors made inside never take part in differentiation. Source: torch.inference_mode"""

    def __new__(cls, mode=True) -> Any:
        made = super().__new__(cls)
        if not isinstance(mode, bool):
            made.mode = True
            return made(mode)
        made.mode = mode
        return made

    def _fresh(self):
        return inference_mode(self.mode)

    def __enter__(self):
        self._previous = (STATE.grad, STATE.inference)
        STATE.inference = self.mode
        STATE.grad = STATE.grad and not self.mode

    def __exit__(self, *exception):
        STATE.grad, STATE.inference = self._previous


def is_grad_enabled() -> bool:
    """True while operations are recorded. Source: torch.is_grad_enabled"""
    return STATE.grad


def is_inference_mode_enabled() -> bool:
    """True inside inference_mode. Source: torch.is_inference_mode_enabled"""
    return STATE.inference


def is_inference(tensor: Tensor) -> bool:
    """True for a tensor made in inference_mode. Source: torch.is_inference"""
    return tensor.storage is not None and tensor.storage.version == INFERENCE
