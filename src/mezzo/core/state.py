"""What is thread-local: the interpreter stack and the grad modes.

Interpreters are ordered by rank, and by the time they came among equals: whatever the user nests, the
choice of precision (rank 1) comes before transforms (rank 0), and those before bookkeeping (rank -1).
"""

from __future__ import annotations

import threading


class State(threading.local):
    """stack: active interpreters, innermost last; grad and inference: the modes.

    storage: makes the storage of a new tensor, where a trace wants to know of it; None: Storage.
    """

    def __init__(self):
        self.stack = []
        self.grad = True
        self.inference = False
        self.anomaly, self.check_nan = False, True
        self.storage = None

    def push(self, interpreter) -> None:
        """Put an interpreter on the stack, beneath those of higher rank."""
        at = len(self.stack)
        while at and self.stack[at - 1].rank > interpreter.rank:
            at -= 1
        self.stack.insert(at, interpreter)


STATE = State()


class quiet:
    """No interpreters, no gradients: calls just run."""

    def __enter__(self):
        self.kept = (STATE.stack, STATE.grad, STATE.inference, STATE.storage)
        STATE.stack, STATE.grad, STATE.inference, STATE.storage = [], False, False, None

    def __exit__(self, *exception):
        STATE.stack, STATE.grad, STATE.inference, STATE.storage = self.kept
