"""Where time goes: every operation that runs while a profile is open, with its time, and ranges that the user names.

Source: torch.profiler
"""

from __future__ import annotations

import enum
import functools
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from mezzo.core.record import Record, update_bound
from mezzo.core.state import STATE
from mezzo.core.storage import user_line
from mezzo.core.tensor import Tensor
from mezzo.kernels.cpu import memory

__all__ = [
    "ProfilerAction",
    "ProfilerActivity",
    "profile",
    "record_function",
    "schedule",
    "tensorboard_trace_handler",
]


class ProfilerActivity(enum.Enum):
    """What may be profiled; what runs here runs on the CPU."""

    CPU = 0
    CUDA = 2


class ProfilerAction(enum.Enum):
    """What a profile does in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


class Event:
    """One call: an operation or a named range, from start to end in ns, and what ran directly inside."""

    __slots__ = ("bytes", "end", "inner", "name", "place", "shapes", "start", "user")

    def __init__(self, name: str, user: bool, shapes: tuple = ()):
        self.name, self.user, self.shapes, self.place = name, user, shapes, ""
        self.start, self.end, self.inner, self.bytes = time.perf_counter_ns(), 0, 0, 0


class _Recorder:
    """The interpreter that times calls: beneath the others, so it sees what runs after they decided."""

    rank = -1

    def __init__(self, with_shapes: bool, with_memory: bool, with_stack: bool):
        self.with_shapes, self.with_memory, self.with_stack = with_shapes, with_memory, with_stack
        self.events: list[Event] = []
        self.open: list[Event] = []

    def begin(self, name: str, user: bool, args: tuple = ()) -> Event:
        event = Event(name, user, _shapes(args) if self.with_shapes else ())
        if self.with_stack:
            event.place = str(user_line())
        if self.with_memory:
            event.bytes = -memory.memory_allocated()
        self.open.append(event)
        return event

    def finish(self, event: Event) -> None:
        event.end = time.perf_counter_ns()
        while self.open and self.open.pop() is not event:
            pass  # a range that an exception left open ends with what held it
        if self.with_memory:
            event.bytes += memory.memory_allocated()
        if self.open:
            self.open[-1].inner += event.end - event.start
        self.events.append(event)

    # ---- interpreter

    def process(self, record: Record, args: tuple):
        """Time and run; what a composite calls is timed inside it."""
        event = self.begin(record.name, False, args)
        try:
            if not record.is_composite:
                return record.apply(args)
            STATE.stack.append(self)
            try:
                return record.run(args)
            finally:
                STATE.stack.pop()
        finally:
            self.finish(event)

    def process_update(self, record: Record, target: Tensor, args: tuple):
        """Time and run in place."""
        event = self.begin(f"{record.name}_", False, args)
        try:
            return update_bound(record, args)
        finally:
            self.finish(event)

    def call_compiled(self, function: Callable, args: tuple, kwargs: dict):
        """One event for all that a compiled function runs: its kernels go from one to the next without Python."""
        event = self.begin(f"compiled {getattr(function, '__name__', 'function')}", False, args)
        STATE.stack.remove(self)
        try:
            return function(*args, **kwargs)
        finally:
            STATE.stack.insert(0, self)
            self.finish(event)

    def read(self, tensor: Tensor, operation: str) -> Tensor:
        """Values may be read."""
        return tensor


def _shapes(args: tuple) -> tuple:
    return tuple(list(a.shape) for a in args if isinstance(a, Tensor))


_ACTIVE = threading.local()


def _recorder() -> _Recorder | None:
    return getattr(_ACTIVE, "recorder", None)


class record_function:
    """A named range: `with record_function("forward"): ...`, or a decorator. Costs nothing while no profile is open.

    Source: torch.profiler.record_function
    """

    def __init__(self, name: str, args: str | None = None):
        self.name, self._event = name, None

    def __enter__(self):
        self._at = _recorder()
        self._event = None if self._at is None else self._at.begin(self.name, True)
        return self

    def __exit__(self, *exception):
        if self._event is not None:
            self._at.finish(self._event)

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def named(*args, **kwargs):
            with record_function(self.name):
                return function(*args, **kwargs)

        return named


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0
) -> Callable:
    """Which steps to record: after skip_first steps, in cycles wait some, warm up some, record some.

    repeat: how many cycles; 0: until the end. Source: torch.profiler.schedule
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active < 1:
        raise ValueError(
            f"schedule: wait={wait}, warmup={warmup}, active={active}, repeat={repeat}, skip_first={skip_first}; active "
            "must be at least 1 and the others at least 0."
        )
    length = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        step -= skip_first
        if step < 0 or (repeat and step >= repeat * length):
            return ProfilerAction.NONE
        at = step % length
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if at < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(dir_name: str, worker_name: str | None = None) -> Callable:
    """on_trace_ready that writes each trace as a file into a folder. Source: torch.profiler.tensorboard_trace_handler"""

    def write(prof: profile) -> None:
        folder = Path(dir_name)
        folder.mkdir(parents=True, exist_ok=True)
        name = worker_name or f"worker_{os.getpid()}"
        prof.export_chrome_trace(str(folder / f"{name}.{time.time_ns()}.pt.trace.json"))

    return write


class profile:
    """Times every operation inside: `with profile() as prof: ...; print(prof.key_averages().table())`.

    Times are wall-clock times of this thread's calls, which work on all worker threads; an operation made of others
    counts them in its total and not in its own ("self") time. record_shapes keeps the operands' shapes, profile_memory
    the bytes that each call left allocated, with_stack the user's line. A compiled function
    is one event, and its backward pass none. With a schedule, step() marks the end of a training step, and on_trace_ready
    is called with the profile after each recorded cycle. Source: torch.profiler.profile
    """

    def __init__(self, *, activities: Iterable[ProfilerActivity] | None = None, schedule: Callable | None = None,
                 on_trace_ready: Callable | None = None, record_shapes: bool = False, profile_memory: bool = False,
                 with_stack: bool = False, with_flops: bool = False, with_modules: bool = False):  # fmt: skip
        if with_flops:
            raise NotImplementedError(
                "profile: with_flops=True is not there. Leave it out; record_shapes=True tells the sizes."
            )
        self._schedule, self._ready = schedule, on_trace_ready
        self._make = functools.partial(_Recorder, record_shapes, profile_memory, with_stack)
        self._recorder = self._make()
        self.step_num, self._on = 0, False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def start(self) -> None:
        """Begin, in the state that the schedule gives to step 0."""
        if _recorder() is not None:
            raise RuntimeError(
                "profile: another profile is open in this thread; close it before opening the next."
            )
        self._follow(self._action())

    def stop(self) -> None:
        """End; without a schedule, or inside a recorded cycle, on_trace_ready is called."""
        recording = self._on
        self._switch(False)
        if recording and self._ready is not None:
            self._ready(self)

    def step(self) -> None:
        """The next step of the schedule."""
        before = self._action()
        if self._on:
            now = time.perf_counter_ns()
            event = Event(f"ProfilerStep#{self.step_num}", True)
            event.start, event.end = self._step_began, now
            event.inner = now - self._step_began
            self._recorder.events.append(event)
        if before is ProfilerAction.RECORD_AND_SAVE:
            self._switch(False)
            if self._ready is not None:
                self._ready(self)
        self.step_num += 1
        self._follow(self._action())

    def _action(self) -> ProfilerAction:
        return self._schedule(self.step_num) if self._schedule else ProfilerAction.RECORD

    def _follow(self, action: ProfilerAction) -> None:
        wanted = action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if wanted and not self._on and self._schedule:
            self._recorder = self._make()  # each cycle is a trace of its own
        self._switch(wanted)
        self._step_began = time.perf_counter_ns()

    def _switch(self, on: bool) -> None:
        if on == self._on:
            return
        if on:
            STATE.push(self._recorder)
            _ACTIVE.recorder = self._recorder
        else:
            STATE.stack.remove(self._recorder)
            _ACTIVE.recorder = None
        self._on = on

    def events(self) -> list[Event]:
        """Every call, in the order in which they ended."""
        return list(self._recorder.events)

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0
    ) -> Averages:
        """The calls summed by name, and by operands' shapes or the user's line where asked."""
        return Averages(self._recorder.events, group_by_input_shape, group_by_stack_n > 0)

    def export_chrome_trace(self, path: str) -> None:
        """Write the calls as a file that chrome://tracing and Perfetto show."""
        process, thread = os.getpid(), threading.get_native_id()
        rows = [
            {"ph": "X", "cat": "user_annotation" if e.user else "cpu_op", "name": e.name, "pid": process, "tid": thread,
             "ts": e.start / 1e3, "dur": (e.end - e.start) / 1e3, "args": {"Input Dims": list(e.shapes)} if e.shapes else {}}
            for e in self._recorder.events
        ]  # fmt: skip
        Path(path).write_text(json.dumps({"displayTimeUnit": "ms", "traceEvents": rows}), "utf-8")


class Average:
    """All calls of one name. Times are in us, as PyTorch's are.

    key, count, cpu_time_total, self_cpu_time_total, cpu_time (of one call), cpu_memory_usage (bytes), input_shapes.
    """

    def __init__(self, key: str, shapes: tuple, user: bool, place: str = ""):
        self.key, self.input_shapes, self.is_user_annotation = key, list(shapes), user
        self.stack = [place] if place else []
        self.count, self.cpu_memory_usage = 0, 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0

    def add(self, event: Event) -> None:
        """Count one call."""
        took = event.end - event.start
        self.count += 1
        self.cpu_time_total += took / 1e3
        self.self_cpu_time_total += (took - event.inner) / 1e3
        self.cpu_memory_usage += event.bytes

    @property
    def cpu_time(self) -> float:
        """The mean of one call."""
        return self.cpu_time_total / self.count

    def __repr__(self) -> str:
        return (
            f"<Average {self.key}: {self.count} calls, {_duration(self.self_cpu_time_total)} self>"
        )


class Averages(list):
    """Average of every name."""

    def __init__(self, events: Iterable[Event], by_shape: bool, by_place: bool):
        found: dict[tuple, Average] = {}
        for event in events:
            shapes, place = event.shapes if by_shape else (), event.place if by_place else ""
            key = (event.name, str(shapes), place, event.user)
            if key not in found:
                found[key] = Average(event.name, shapes, event.user, place)
            found[key].add(event)
        super().__init__(found.values())
        self._by_shape, self._by_place = by_shape, by_place

    def total_average(self) -> Average:
        """The sum of all operations' own times."""
        total = Average("Total", (), False)
        for average in self:
            total.count += average.count
            total.self_cpu_time_total += average.self_cpu_time_total
        total.cpu_time_total = total.self_cpu_time_total
        return total

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_name_column_width: int = 55
    ) -> str:
        """A table, longest first where sort_by names a field (self_cpu_time_total, cpu_time_total, count, ...)."""
        rows = list(self)
        if sort_by is not None:
            if not rows or not hasattr(rows[0], sort_by):
                known = "self_cpu_time_total, cpu_time_total, cpu_time, cpu_memory_usage, count"
                if rows:
                    raise AttributeError(
                        f"table: sort_by is {sort_by!r}; it must be one of {known}."
                    )
            rows.sort(key=lambda a: getattr(a, sort_by), reverse=True)
        whole = sum(a.self_cpu_time_total for a in self) or 1.0
        has_memory = any(a.cpu_memory_usage for a in self)
        header = ["Name", "Self CPU %", "Self CPU", "CPU total", "CPU time avg", "# of Calls"]
        header += ["CPU Mem"] * has_memory + ["Input Shapes"] * self._by_shape
        header += ["Source Location"] * self._by_place
        lines = [header]
        for a in rows[: row_limit if row_limit >= 0 else None]:
            name = (
                a.key
                if len(a.key) <= max_name_column_width
                else a.key[: max_name_column_width - 3] + "..."
            )
            cells = [name, f"{100 * a.self_cpu_time_total / whole:.2f}%", _duration(a.self_cpu_time_total),
                     _duration(a.cpu_time_total), _duration(a.cpu_time), str(a.count)]  # fmt: skip
            cells += [_bytes(a.cpu_memory_usage)] * has_memory + [
                str(a.input_shapes)
            ] * self._by_shape
            cells += ["".join(a.stack)] * self._by_place
            lines.append(cells)
        widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
        rule = "  ".join("-" * w for w in widths)
        body = ["  ".join(c.rjust(w) for c, w in zip(line, widths)) for line in lines]
        return "\n".join(
            [rule, body[0], rule, *body[1:], rule, f"Self CPU time total: {_duration(whole)}", ""]
        )


def _duration(us: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if us >= size:
            return f"{us / size:.3f}{unit}"
    return f"{us:.3f}us"


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if abs(count) >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} B"
