"""Levels: interpreters whose tensors wrap those of the level beneath.

A Wrapped tensor looks like its logical self (layout without the batch, or with a traced value's shape) and
carries its own gradient state, so every level has a tape of its own and transforms nest in any order.
"""

from __future__ import annotations

from mezzo.core import tape
from mezzo.core.layout import Layout
from mezzo.core.record import Record
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import GradientError
from mezzo.ops.copy import cast


class Wrapped(Tensor):
    """A tensor of a level. value: the tensor beneath. batched: whether value has a batch axis in front."""

    __slots__ = ("batched", "level", "value")

    def detached(self):
        """The same value without gradient state at this level."""
        return wrap(self.level, self.value, self.batched, self.layout)

    def _array(self):
        raise GradientError(
            f"the values of a tensor inside {self.level.name} cannot be read. {self.level.advice}"
        )


def wrap(level, value: Tensor, batched: bool, layout: Layout) -> Wrapped:
    """A new tensor of a level."""
    made = object.__new__(Wrapped)
    made.layout, made.storage, made.ptr = layout, value.storage, 0
    made.auto = made.base = None
    made.level, made.value, made.batched = level, value, batched
    return made


class Level:
    """Base of the interpreters that wrap. Subclasses define evaluate(record, args) -> wrapped outputs."""

    name = "a transform"
    advice = ""
    rank = 0
    recording = True  # whether calls are written on this level's tape

    def __enter__(self):
        STATE.push(self)
        return self

    def __exit__(self, *exception):
        STATE.stack.remove(self)

    def owns(self, value) -> bool:
        """True if value is a tensor of this level, or holds one."""
        if isinstance(value, (tuple, list)):
            return any(self.owns(v) for v in value)
        return isinstance(value, Wrapped) and value.level is self

    def process(self, record: Record, args: tuple):
        """Composites run their body at this level; others are evaluated beneath and recorded here."""
        if record.is_composite:
            STATE.stack.append(self)
            try:
                return record.run(args)
            finally:
                STATE.stack.pop()
        if not self.handles(record, args):
            return record.apply(args)
        outs = self.evaluate(record, args)
        if isinstance(outs, Tensor) and record.family == "view" and isinstance(args[0], Wrapped):
            source, step = args[0], (record, args[1:])
            chain = (step,) if source.base is None else (*source.base.chain, step)
            outs.base = tape.View(source if source.base is None else source.base.root, chain)
        if self.recording and isinstance(outs, (Tensor, tuple)):
            tape.attach(record, args, outs)
        return outs

    def computed(self, record: Record, target: Wrapped, args: tuple) -> Wrapped:
        """The value of an in-place call at this level, its derivative reading a copy of what is overwritten."""
        if STATE.grad and any(isinstance(a, Tensor) and tape.requires_grad(a) for a in args):
            kept = wrap(self, cast(target.value), target.batched, target.layout)
            kept.auto, kept.base = target.auto, target.base
            args = (kept, *args[1:])
        return self.process(record, args)

    def handles(self, record: Record, args: tuple) -> bool:
        """Whether this level has a say in the call."""
        return any(self.owns(a) for a in args)

    def evaluate(self, record: Record, args: tuple):
        """Run beneath and wrap what comes out."""
        raise NotImplementedError

    def read(self, tensor: Tensor, operation: str) -> Tensor:
        """Refuse to give the values of this level's tensors away."""
        if self.owns(tensor):
            raise GradientError(
                f"{operation}: the values of a tensor inside {self.name} cannot be read. {self.advice}"
            )
        return tensor
