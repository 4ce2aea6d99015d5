"""trace: run a function on layouts alone and write down the primitive calls it makes.

The result is a Program: a list of (record, arguments) that prints as Python and runs on real tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mezzo import devices
from mezzo.core.layout import layout
from mezzo.core.record import Record, update_bound
from mezzo.core.tensor import Tensor, empty
from mezzo.func.levels import Level, Wrapped, wrap


class Name:
    """A variable of a program."""

    __slots__ = ("text",)

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Line:
    """One call: names of the results, record, arguments (names, constants), comment."""

    __slots__ = ("args", "into", "outs", "record", "shapes")

    def __init__(self, outs, record: Record, args: tuple, shapes: str, into: bool = False):
        self.outs, self.record, self.args, self.shapes, self.into = outs, record, args, shapes, into

    def __repr__(self) -> str:
        left = ", ".join(map(repr, self.outs))
        return f"{left} = {self.record.name}({', '.join(map(_show, self.args))})  # {self.shapes}"


def _show(value) -> str:
    return f"<{value.dtype.name}{list(value.shape)}>" if isinstance(value, Tensor) else repr(value)


class Program:
    """What a function does, as primitive calls. Calling it runs them."""

    def __init__(self, inputs: Sequence[Name], lines: Sequence[Line], outputs):
        self.inputs, self.lines, self.outputs = list(inputs), list(lines), outputs

    def __repr__(self) -> str:
        head = f"def program({', '.join(map(repr, self.inputs))}):"
        return "\n".join(
            [head, *(f"    {line!r}" for line in self.lines), f"    return {self.outputs!r}"]
        )

    def __call__(self, *args: Tensor):
        """Run on real tensors of the traced layouts."""
        known: dict[int, object] = {id(n): a for n, a in zip(self.inputs, args)}

        def value(x):
            if isinstance(x, Name):
                return known[id(x)]
            return tuple(value(v) for v in x) if isinstance(x, tuple) else x

        for line in self.lines:
            outs = line.record.apply(tuple(value(a) for a in line.args))
            for name, out in zip(line.outs, outs if isinstance(outs, tuple) else (outs,)):
                known[id(name)] = out
        return value(self.outputs)


class Tracing(Level):
    """The interpreter that writes lines; tensors carry a meta tensor and a name."""

    name = "trace"
    advice = "Trace sees shapes, not values: return what you want to look at, or use where() for choices."

    def __init__(self):
        self.lines: list[Line] = []
        self.names: dict[int, Name] = {}
        self.keep: list = []

    def new(self, value: Tensor, text: str | None = None) -> Wrapped:
        """A tensor of this level for a meta tensor, under a new name."""
        have = value.layout
        made = wrap(self, value, False, layout(have.shape, have.strides, have.dtype, devices.cpu))
        # By the meta tensor, which a detached copy (a saved result) shares.
        self.names[id(value)] = Name(text or f"t{len(self.names)}")
        self.keep.append(made)
        return made

    def lower(self, value):
        """The meta tensor of an argument."""
        if isinstance(value, Wrapped) and value.level is self:
            return value.value
        if isinstance(value, Tensor):
            return empty(layout(value.shape, value.layout.strides, value.dtype, devices.meta))
        return tuple(self.lower(v) for v in value) if isinstance(value, (tuple, list)) else value

    def written(self, value):
        """An argument as it stands in the program."""
        if isinstance(value, Wrapped) and id(value.value) in self.names:
            return self.names[id(value.value)]
        return tuple(self.written(v) for v in value) if isinstance(value, (tuple, list)) else value

    def handles(self, record: Record, args: tuple) -> bool:
        """Everything is written down, random and creating calls too."""
        return True

    def evaluate(self, record: Record, args: tuple):
        """Run on layouts and write a line."""
        lowered = tuple(
            devices.meta if isinstance(a, devices.device) else self.lower(a) for a in args
        )
        outs = record.apply(lowered)
        many = outs if isinstance(outs, tuple) else (outs,)
        made = tuple(self.new(o) for o in many)
        comment = ", ".join(f"{m.dtype.name}{list(m.shape)}" for m in made)
        self.lines.append(
            Line([self.names[id(m.value)] for m in made], record, self.written(args), comment)
        )
        return made if isinstance(outs, tuple) else made[0]

    def process_update(self, record: Record, target: Tensor, args: tuple):
        """In place: the name of the tensor means the new value from here on."""
        if not self.owns(target):
            return update_bound(record, args)
        result = self.process(record, args)
        target.auto, target.value = result.auto, result.value
        return target


def trace(func: Callable, *examples: Tensor) -> Program:
    """The program of func for arguments of the examples' layouts. Nothing is computed."""
    level = Tracing()
    with level:
        inputs = []
        for i, example in enumerate(examples):
            made = level.new(level.lower(example), f"x{i}")
            made.requires_grad = example.requires_grad
            inputs.append(made)
        names = [level.names[id(t.value)] for t in inputs]
        outs = func(*inputs)
    return Program(names, level.lines, level.written(outs))
