"""Levels: interpreters whose tensors wrap those of the level beneath.

A Wrapped tensor looks like its logical self (layout without the batch, or with a traced value's shape) and
carries its own gradient state, so every level has a tape of its own and transforms nest in any order.
"""

from __future__ import annotations

from mezzo.core import tape
from mezzo.core.families.views import based
from mezzo.core.layout import Layout
from mezzo.core.record import Record, update_bound
from mezzo.core.state import STATE
from mezzo.core.storage import user_line
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact, GradientError, ShapeError
from mezzo.ops.copy import cast


class Wrapped(Tensor):
    """A tensor of a level. value: the tensor beneath. batched: whether value has a batch axis in front."""

    __slots__ = ("batched", "level", "value")

    @property
    def ptr(self) -> int:
        """There is no memory: whoever asks has got hold of a tensor whose transform is over, or wants an address."""
        raise GradientError(
            f"a {self.dtype.name}{list(self.shape)} tensor that belongs to {self.level.name} is used where its memory is "
            f"needed, at {user_line()}: inside the transform it has no address, and after it has returned it has no meaning. "
            "Return it from the transformed function."
        )

    def detached(self) -> Wrapped:
        """The same value without gradient state at this level."""
        return wrap(self.level, self.value, self.batched, self.layout)

    def severed(self) -> Wrapped:
        """The same value without gradient state at any level: what detach() means."""
        value = self.value
        if isinstance(value, Wrapped):
            value = value.severed()
        elif tape.requires_grad(value):
            value = tape.alias(value)
        return wrap(self.level, value, self.batched, self.layout)

    def become(self, other: Tensor) -> None:
        """Be another tensor of the same level."""
        if not isinstance(other, Wrapped) or other.level is not self.level:
            raise GradientError(
                f"a tensor inside {self.level.name} cannot become one from outside (set_, .data = ...). "
                "Use copy_, or make a new tensor."
            )
        self.layout, self.storage = other.layout, other.storage
        self.value, self.batched = other.value, other.batched

    def _array(self):
        self.level.refuse("numpy")


def wrap(level, value: Tensor, batched: bool, layout: Layout) -> Wrapped:
    """A new tensor of a level."""
    made = object.__new__(Wrapped)
    made.layout, made.storage = layout, value.storage
    made.auto = made.base = None
    made.level, made.value, made.batched = level, value, batched
    return made


def is_tracked(value) -> bool:
    """True if gradients flow to a tensor, at its own level or one beneath."""
    while isinstance(value, Wrapped):
        if tape.requires_grad(value):
            return True
        value = value.value
    return isinstance(value, Tensor) and tape.requires_grad(value)


class _recording:
    """Gradients on, whatever the user's mode; a level's tape may keep inference tensors, which nobody overwrites."""

    def __enter__(self):
        self.previous = STATE.grad, STATE.inference
        STATE.grad = STATE.inference = True

    def __exit__(self, *exception):
        STATE.grad, STATE.inference = self.previous


class Level:
    """Base of the interpreters that wrap. Subclasses define evaluate(record, args) -> wrapped outputs."""

    name = "a transform"
    advice = ""
    rank = 0
    recording = True  # whether calls are written on this level's tape
    forward = False  # forward mode: no_grad inside the function does not stop it, as in PyTorch

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
            return self.beneath(record.apply, args)
        outs = self.evaluate(record, args)
        if isinstance(outs, Tensor) and record.family == "view" and isinstance(args[0], Wrapped):
            outs.base = based(args[0], (record, args[1:]))
        elif record.family == "views" and isinstance(args[0], Wrapped):
            for out, step in zip(outs, record.steps(*args)):
                out.base = based(args[0], step, multiple=True)
        if self.records() and isinstance(outs, (Tensor, tuple)):
            self.attach(record, args, outs)
        return outs

    def beneath(self, call, *args):
        """A call that belongs to the levels beneath."""
        return call(*args)

    def records(self) -> bool:
        """True if calls are written on this level's tape now."""
        return self.recording and (STATE.grad or self.forward)

    def attach(self, record: Record, args: tuple, outs) -> None:
        """Write a call on the tape; forward mode also under no_grad."""
        previous = STATE.grad, STATE.inference  # as _recording, which costs more
        STATE.grad = STATE.inference = True
        try:
            tape.attach(record, args, outs)
        finally:
            STATE.grad, STATE.inference = previous
        if self.forward:
            for out in outs if isinstance(outs, tuple) else (outs,):
                if out.auto is not None and out.auto.node is not None:
                    out.auto.node.lasting = True

    # ---- writing in place

    def process_update(self, record: Record, target: Tensor, args: tuple) -> Tensor:
        """In place: the value is computed at this level, written beneath, and put into the history of all who view it."""
        if not any(self.owns(a) for a in args):
            return self.beneath(update_bound, record, args)
        if not isinstance(target, Wrapped) or target.level is not self:
            self.refuse_target(record)
        tape.check_inplace(record.name + "_", target)
        result = self.computed(record, target, args)
        _check_fit(record, target, result, args)
        self.store(target, result)
        self.remember(record.name + "_", target, result)
        return target

    def computed(self, record: Record, target: Wrapped, args: tuple) -> Wrapped:
        """The value of an in-place call at this level, its derivative reading a copy of what is overwritten."""
        if (STATE.grad or self.forward) and any(is_tracked(a) for a in args):
            kept = wrap(self, self.beneath(cast, target.value), target.batched, target.layout)
            kept.auto, kept.base = target.auto, target.base
            args = (kept, *args[1:])
        return self.process(record, args)

    def store(self, target: Wrapped, result: Tensor) -> None:
        """Put the value of an in-place call where the target's is."""
        raise NotImplementedError

    def remember(self, operation: str, target: Wrapped, result: Tensor) -> None:
        """The history of a target that now holds `result`. Without gradients it stays what it was."""
        if not self.records():
            return
        if target.base is not None:
            if tape.requires_grad(result) or tape.requires_grad(target):
                if target.base.multiple:
                    tape.refuse_multiple(operation, target)
                piece = tape.alias(target)
                piece.auto = result.auto
                with _recording():
                    tape.replace_viewed(target, piece)
        elif result.auto is not None or target.auto is not None:
            tape.renew(target)
            if result.auto is not None:
                target.auto.node, target.auto.slot = result.auto.node, result.auto.slot

    def refuse_target(self, record: Record) -> None:
        """Raise: a tensor from outside cannot hold values of this level."""
        raise GradientError(
            f"{record.name}_: a tensor made outside {self.name} is written in place with a value made inside. "
            "Make it inside the function, or return the value instead."
        )

    # ---- what subclasses say

    def handles(self, record: Record, args: tuple) -> bool:
        """Whether this level has a say in the call."""
        return any(self.owns(a) for a in args)

    def evaluate(self, record: Record, args: tuple):
        """Run beneath and wrap what comes out."""
        raise NotImplementedError

    def peel(self, tensor: Wrapped) -> Tensor | None:
        """The tensor beneath if it says all there is; None where every example has a value of its own."""
        raise NotImplementedError

    def read(self, tensor: Tensor, operation: str) -> Tensor:
        """Refuse to give the values of this level's tensors away."""
        if self.owns(tensor):
            self.refuse(operation)
        return tensor

    def refuse(self, operation: str):
        """Raise: values cannot be read at this level."""
        raise GradientError(
            f"{operation}: the values of a tensor inside {self.name} cannot be read, and {user_line()} does. {self.advice}"
        )


def _check_fit(record: Record, target: Tensor, result: Tensor, args: tuple) -> None:
    have, made = target.layout, result.layout
    if tuple(have.shape) != tuple(made.shape):
        fact = Fact(
            ShapeError,
            f"output with shape {list(have.shape)} doesn't match the broadcast shape {list(made.shape)}",
            "Write the operation out of place.",
        )
        record.fail(fact, args)
    if have.dtype.category < made.dtype.category:
        fact = Fact(
            DTypeError,
            f"result type {made.dtype.name} can't be cast to the desired output type {have.dtype.name}",
            "Write the operation out of place, or convert the tensor first.",
        )
        record.fail(fact, args)
