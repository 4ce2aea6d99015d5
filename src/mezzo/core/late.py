"""What Python must do at every run of a compiled function, asked for where it is written.

Compiled code does not run the Python between its calls again. Where that Python changes what it computes
with (step counts, learning rates), it says so here: done at once in eager code, and before every run in compiled code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mezzo.core.state import STATE


def tracer():
    """The interpreter that writes calls down instead of running them, or None."""
    for interpreter in STATE.stack:
        if hasattr(interpreter, "defer"):
            return interpreter
    return None


def numbers(
    compute: Callable[[], Sequence[float]], count: int, undo: Callable[[], None] | None = None
):
    """compute(), which gives `count` numbers: now, and before every run of compiled code.

    undo: called after a run that skipped the step for which the numbers were computed, or that raised.
    """
    found = tracer() if STATE.stack else None
    return compute() if found is None else found.defer(compute, count, undo)


def effect(action: Callable[[], None], undo: Callable[[], None] | None = None) -> None:
    """action(), now and before every run of compiled code; undo() after a run that raised."""
    numbers(lambda: action() or (), 0, undo)


def is_traced() -> bool:
    """True where calls are written down instead of run."""
    return bool(STATE.stack) and tracer() is not None


def unless(flag):
    """A context: what is written inside is passed over in runs where the tensor `flag` is not zero."""
    return tracer().passed_over(flag)


def refuse_replay(what: str) -> None:
    """Say that this call is unlike those that follow: a trace of it is run, and not kept."""
    found = tracer() if STATE.stack else None
    if found is not None:
        found.unlike_later = found.unlike_later or what


def look(what: str) -> None:
    """Python reads what an effect changes: compiled code is split here, so that the effect has run."""
    found = tracer() if STATE.stack else None
    if found is not None and found.effects:
        found.read(None, what)


class untraced:
    """Inside, calls run at once though the function around is being traced: for state that is made once."""

    def __enter__(self):
        self.tracer = tracer() if STATE.stack else None
        if self.tracer is not None:
            self.at, self.storage = STATE.stack.index(self.tracer), STATE.storage
            STATE.stack.remove(self.tracer)
            STATE.storage = None

    def __exit__(self, *exception):
        if self.tracer is not None:
            STATE.stack.insert(self.at, self.tracer)
            STATE.storage = self.storage
