"""What is thread-local: the interpreter stack and the grad modes."""

from __future__ import annotations

import threading


class State(threading.local):
    """stack: active interpreters, innermost last; grad and inference: the modes."""

    def __init__(self):
        self.stack = []
        self.grad = True
        self.inference = False


STATE = State()
