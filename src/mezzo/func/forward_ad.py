"""Dual tensors: forward-mode differentiation of ordinary code, inside a dual level.

A dual tensor is a variable of a derivative's level that remembers its tangent. What is computed with it is recorded
there; unpack_dual transposes the record and applies it to the tangents of every dual tensor of the level.
"""

from __future__ import annotations

from typing import NamedTuple

from mezzo.autograd import api
from mezzo.core import tape
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, GradientError
from mezzo.func.derivatives import Differentiate
from mezzo.func.levels import Wrapped
from mezzo.func.vmap import Batch
from mezzo.ops.create import ones_like
from mezzo.rules import batching


class UnpackedDualTensor(NamedTuple):
    """What unpack_dual gives: the value, and its tangent or None."""

    primal: Tensor
    tangent: Tensor | None


class Dual(Differentiate):
    """The interpreter of one dual level. made: its dual tensors with their tangents."""

    name = "dual_level"
    advice = "Take it apart with unpack_dual(t) before the level ends."

    def __init__(self):
        super().__init__(forward=True)
        self.made: list[tuple[Wrapped, Tensor]] = []
        self.quiet = False

    def __enter__(self):
        # Only forward mode looks at this level: the modes around stay what they are.
        self.outer = STATE.grad, STATE.inference
        STATE.push(self)
        return self

    def __exit__(self, *exception):
        STATE.stack.remove(self)
        self.made.clear()

    def beneath(self, call, *args):
        """In the user's mode, also while a tangent is worked out."""
        grad = STATE.grad
        STATE.grad = grad and not self.quiet
        try:
            return call(*args)
        finally:
            STATE.grad = grad

    def tangent(self, value: Wrapped) -> Tensor | None:
        """The directional derivative of a tensor along the tangents of all dual tensors, or None."""
        if not self.made or not tape.requires_grad(value):
            return None
        variables = [v for v, _ in self.made]
        grad, self.quiet = STATE.grad, not STATE.grad
        STATE.grad = True
        try:
            dummy = self.enter(ones_like(value.value))  # any: what follows is linear in it
            pulled = api.grad(
                [value], variables, [dummy], retain_graph=True, create_graph=True, allow_unused=True
            )
            pairs = [
                (g, self.enter(t, leaf=False)) for g, (_, t) in zip(pulled, self.made)
                if g is not None and tape.requires_grad(g)
            ]  # fmt: skip
            if not pairs:
                return None
            found = api.grad([g for g, _ in pairs], [dummy], [t for _, t in pairs], retain_graph=True,
                             create_graph=True, allow_unused=True)  # fmt: skip
        finally:
            STATE.grad, self.quiet = grad, False
        return None if found[0] is None else self.exit(found[0])


def _current(operation: str) -> Dual:
    for interpreter in reversed(STATE.stack):
        if isinstance(interpreter, Dual):
            return interpreter
    raise GradientError(
        f"{operation}: there is no dual level. Work inside `with mezzo.autograd.forward_ad.dual_level():`."
    )


def enter_dual_level() -> int:
    """Begin a dual level; returns its number. Source: torch.autograd.forward_ad.enter_dual_level"""
    if any(isinstance(i, Dual) for i in STATE.stack):
        raise GradientError(
            "enter_dual_level: nested forward mode AD is not supported at the moment. Nest mezzo.func.jvp instead."
        )
    Dual().__enter__()
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End the dual level: its tensors lose their meaning. Source: torch.autograd.forward_ad.exit_dual_level"""
    if level not in (None, 0):
        raise GradientError(
            f"exit_dual_level: level is {level}; only the last one can be left, which is 0."
        )
    _current("exit_dual_level").__exit__()


class dual_level:
    """A context in which make_dual and unpack_dual work. Source: torch.autograd.forward_ad.dual_level"""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exception):
        exit_dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A dual tensor: the value of `tensor` with a tangent, inside a dual level.

    Raises: ValueError unless both are floating; RuntimeError outside of a dual level, or if the shapes differ
    Source: torch.autograd.forward_ad.make_dual
    """
    here = _current("make_dual")
    for name, value in (("tensor", tensor), ("tangent", tangent)):
        if not isinstance(value, Tensor) or value.dtype.category < 2:
            what = value.dtype.name if isinstance(value, Tensor) else type(value).__name__
            raise ArgumentValueError(
                f"make_dual: {name} is {what}; it must be a floating point tensor."
            )
    if tuple(tensor.shape) != tuple(tangent.shape):
        raise GradientError(
            f"make_dual: the tangent has shape {list(tangent.shape)}; it must have the tensor's, {list(tensor.shape)}."
        )
    level = tensor.level
    if isinstance(level, Batch):  # the tangent belongs to what vmap batches
        value, batched = level.unwrap(tensor)
        along, moves = level.unwrap(tangent)
        along, value = (
            batching.front(t, b, level.size) for t, b in ((along, moves), (value, batched))
        )
        return level.wrap(make_dual(value, along), True)
    if here.owns(tensor):
        raise GradientError(
            "make_dual: the tensor is a dual tensor already. Take unpack_dual(t).primal."
        )
    made = here.enter(tensor)
    here.made.append((made, here.exit(tangent).to(tensor.dtype)))
    return made


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """(primal, tangent) of a tensor; the tangent is None where it depends on no dual tensor.

    Source: torch.autograd.forward_ad.unpack_dual
    """
    if not any(isinstance(i, Dual) for i in STATE.stack):
        return UnpackedDualTensor(tensor, None)
    here = _current("unpack_dual")
    if isinstance(tensor.level, Batch):
        found = unpack_dual(tensor.value)
        wrapped = [None if t is None else tensor.level.wrap(t, tensor.batched) for t in found]
        return UnpackedDualTensor(*wrapped)
    if not here.owns(tensor):
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(here.exit(tensor), here.tangent(tensor))
