"""grad, vjp, jvp, linearize: derivatives of functions, at a level of their own.

A level's tensors have their own tape, so a derivative inside a derivative, or inside vmap, sees only its own
function. What runs in the backward pass of one level is recorded by the levels beneath.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from mezzo.autograd import api
from mezzo.core.record import Record, update
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.dtypes import FLOAT
from mezzo.errors import ArgumentTypeError, GradientError
from mezzo.func import functions, trees
from mezzo.func.levels import Level, Wrapped, wrap
from mezzo.ops.copy import copy
from mezzo.ops.create import ones_like, zeros_like


class Differentiate(Level):
    """The interpreter of one derivative."""

    name = "grad"
    advice = "Return it as an auxiliary output (has_aux=True), or detach() it after the transform."

    def __init__(self, forward: bool = False):
        self.forward, self.outer = forward, (True, False)

    def __enter__(self):
        # The modes outside stay those of the levels beneath: no_grad around a transform does not stop it.
        self.outer = STATE.grad, STATE.inference
        STATE.grad, STATE.inference = True, False
        return super().__enter__()

    def __exit__(self, *exception):
        super().__exit__(*exception)
        STATE.grad, STATE.inference = self.outer

    def beneath(self, call, *args):
        """In the modes that were outside."""
        grad, inference = self.outer
        if grad and not inference:
            return call(*args)
        inner = STATE.grad, STATE.inference
        STATE.grad, STATE.inference = grad and inner[0], inference or inner[1]
        try:
            return call(*args)
        finally:
            STATE.grad, STATE.inference = inner

    def enter(self, value: Tensor, *, leaf: bool = True) -> Wrapped:
        """A value from beneath as a variable (or constant) of this level."""
        made = wrap(self, value, False, value.layout)
        if leaf and value.dtype.category >= 2:
            made.requires_grad = True
        return made

    def exit(self, value):
        """A value of this level as the level beneath sees it."""
        return value.value if isinstance(value, Wrapped) and value.level is self else value

    def lower(self, value):
        """Arguments beneath, inside lists too."""
        if isinstance(value, (tuple, list)):
            return type(value)(self.lower(v) for v in value)
        return self.exit(value)

    def evaluate(self, record: Record, args: tuple):
        """Run beneath; the tape is written by Level.process."""
        outs = self.beneath(record.apply, tuple(self.lower(a) for a in args))
        if isinstance(outs, tuple):
            return tuple(self.enter(o, leaf=False) for o in outs)
        return self.enter(outs, leaf=False) if isinstance(outs, Tensor) else outs

    def call_function(self, cls, args: tuple, kwargs: dict):
        """A user's autograd.Function."""
        return functions.differentiated(self, cls, args, kwargs)

    def store(self, target: Wrapped, result: Tensor) -> None:
        """Write beneath."""
        self.beneath(update, copy, target.value, self.exit(result))

    def refuse_target(self, record: Record) -> None:
        """A tensor from outside would lose the derivative."""
        raise GradientError(
            f"{record.name}_: a tensor made outside the function is written in place with a value that is differentiated. "
            "Make it inside the function, or return the value instead."
        )

    def peel(self, tensor: Wrapped) -> Tensor:
        """One value."""
        return tensor.value

    def read(self, tensor: Tensor, operation: str) -> Tensor:
        """Values may be looked at (they are only wrapped), as in PyTorch."""
        return self.exit(tensor)

    def gradients(self, outputs, inputs, seeds, *, record: bool):
        """autograd.grad at this level. record: whether the backward pass itself is written on this level's tape."""
        previous, self.recording = self.recording, record
        try:
            return api.grad(
                outputs, inputs, seeds, retain_graph=True, create_graph=True, materialize_grads=True
            )
        finally:
            self.recording = previous


class StructureError(ArgumentTypeError, GradientError):
    """What is given to a transform, or comes out of its function, is of the wrong kind (PyTorch raises RuntimeError)."""


class NoDerivativeError(GradientError, ValueError):
    """An integer was to be differentiated (PyTorch raises RuntimeError or ValueError)."""


def picked_arguments(argnums, count: int, operation: str) -> tuple[int, ...]:
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    if not numbers or not all(isinstance(n, int) for n in numbers):
        raise GradientError(
            f"{operation}: argnums must be int or Tuple[int, ...] and not empty, got {argnums!r}."
        )
    for n in numbers:
        if not -count <= n < count:
            raise GradientError(f"{operation}: got argnum={n}, but only {count} positional inputs.")
    found = tuple(n % count for n in numbers)
    if len(set(found)) < len(found):
        raise GradientError(f"{operation}: argnums elements must be unique, got {argnums}.")
    return found


def _require_floating(tensors: list, operation: str, what: str) -> None:
    for tensor in tensors:
        if tensor.dtype.category < FLOAT:
            raise NoDerivativeError(
                f"{operation}: only Tensors of floating point dtype can require gradients, and {what} is "
                f"{tensor.dtype.name}{list(tensor.shape)}. Convert it with .float(), or leave it out of "
                "what is differentiated."
            )


def _variables(level: Differentiate, args: tuple, chosen: tuple[int, ...], operation: str):
    """args with the chosen ones as variables; returns them and the variables in order."""
    for n in chosen:
        given = trees.tensors(args[n], operation, f"argument {n}")
        _require_floating(given, operation, f"argument {n}")
    inside = tuple(trees.mapped(level.enter, a) if i in chosen else a for i, a in enumerate(args))
    return inside, [x for n in chosen for x in trees.leaves(inside[n])]


def _scalar(output, operation: str) -> Tensor:
    if not isinstance(output, Tensor):
        raise StructureError(
            f"{operation}: Expected f(*args) to return a Tensor, got {type(output).__name__}."
        )
    if output.ndim:
        raise GradientError(
            f"{operation}: Expected f(*args) to return a scalar tensor, got tensor with {output.ndim} dims. "
            "Reduce it (.sum()), or use jacrev."
        )
    return output


def grad_and_value(func: Callable, argnums=0, has_aux: bool = False) -> Callable:
    """A function that returns the gradient of func, and func's value (and auxiliary output).

    Source: torch.func.grad_and_value
    """

    @functools.wraps(func)
    def differentiated(*args, **kwargs):
        level = Differentiate()
        chosen = picked_arguments(argnums, len(args), "grad")
        with level:
            inside, variables = _variables(level, args, chosen, "grad")
            output = func(*inside, **kwargs)
            aux = None
            if has_aux:
                if not isinstance(output, tuple) or len(output) != 2:
                    raise GradientError(
                        "grad: with has_aux=True the function must return (output, aux)."
                    )
                output, aux = output
            _scalar(output, "grad")
            if level.owns(output) and output.requires_grad:
                found = level.gradients([output], variables, [ones_like(output)], record=False)
            else:
                found = tuple(zeros_like(v) for v in variables)
        values = iter([level.exit(g) for g in found])
        parts = tuple(trees.mapped(lambda _: next(values), args[n]) for n in chosen)
        grads = parts[0] if isinstance(argnums, int) else parts
        value = level.exit(output)
        return (grads, (value, trees.mapped(level.exit, aux))) if has_aux else (grads, value)

    return differentiated


def grad(func: Callable, argnums=0, has_aux: bool = False) -> Callable:
    """A function that returns the gradient of func with respect to the arguments argnums.

    Source: torch.func.grad
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def differentiated(*args, **kwargs):
        grads, value = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return differentiated


class Linearized:
    """func run once at a point, on a level kept open for backward passes."""

    def __init__(
        self, func: Callable, primals: tuple, has_aux: bool = False, operation: str = "vjp"
    ):
        self.level = Differentiate(forward=operation in ("jvp", "linearize", "jacfwd"))
        self.primals = primals
        with self.level:
            inside, self.variables = _variables(
                self.level, primals, tuple(range(len(primals))), operation
            )
            output = func(*inside)
            self.aux = None
            if has_aux:
                output, self.aux = output
            self.output = output
            results = trees.tensors(output, operation, "results")
            if not self.level.forward:
                _require_floating(results, operation, "a result")
        self.value = trees.mapped(self.level.exit, output)
        self.aux = trees.mapped(self.level.exit, self.aux) if has_aux else None

    def pull(self, cotangents: list, *, record: bool = False) -> list:
        """Gradients of the variables for the outputs' cotangents (tensors of this level)."""
        outs = trees.leaves(self.output)
        live = [(o, c) for o, c in zip(outs, cotangents) if self.level.owns(o) and o.requires_grad]
        if not live:
            return [zeros_like(v) for v in self.variables]
        return list(
            self.level.gradients(
                [o for o, _ in live], self.variables, [c for _, c in live], record=record
            )
        )

    def vjp(self, cotangents):
        """The gradients in the structure of the primals, as the level beneath sees them."""
        given = trees.tensors(cotangents, "vjp", "cotangents")
        outs = trees.leaves(self.value)
        if len(given) != len(outs) or any(
            tuple(g.shape) != tuple(o.shape) for g, o in zip(given, outs)
        ):
            have, need = [list(g.shape) for g in given], [list(o.shape) for o in outs]
            raise GradientError(
                f"vjp: cotangents have shapes {have}; they must be those of the results, {need}."
            )
        with self.level:
            found = self.pull([self.level.enter(c, leaf=False) for c in given])
        values = iter([self.level.exit(g) for g in found])
        parts = tuple(trees.mapped(lambda _: next(values), p) for p in self.primals)
        return parts

    def push(self, tangents: tuple):
        """Directional derivative: the transpose of vjp, which is linear in its cotangents."""
        with self.level:
            outs = trees.leaves(self.output)
            # Where they are does not matter, as vjp is linear in them; but some rules divide by them or take logarithms.
            dummies = [self.level.enter(ones_like(self.level.exit(o))) for o in outs]
            gradients = self.pull(dummies, record=True)
            given = [
                self.level.enter(t, leaf=False) for t in trees.tensors(tangents, "jvp", "tangents")
            ]
            live = [(g, t) for g, t in zip(gradients, given) if g.requires_grad]
            if live:
                found = self.level.gradients(
                    [g for g, _ in live], dummies, [t for _, t in live], record=False
                )
            else:
                found = [zeros_like(d) for d in dummies]
        return trees.filled(self.value, [self.level.exit(v) for v in found])


def vjp(func: Callable, *primals, has_aux: bool = False):
    """(func(*primals), function from cotangents of the result to those of the primals[, aux]).

    Source: torch.func.vjp
    """
    point = Linearized(func, primals, has_aux)

    def pull(*cotangents, retain_graph=True, create_graph=None):
        # What was saved lives as long as this function; gradients of gradients need no flag.
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        return point.vjp(given)

    return (point.value, pull, point.aux) if has_aux else (point.value, pull)


def _check_tangents(primals: tuple, tangents: tuple) -> None:
    have, need = trees.leaves(tangents), trees.leaves(primals)
    if len(have) != len(need) or any(tuple(a.shape) != tuple(b.shape) for a, b in zip(have, need)):
        raise GradientError(
            "jvp: Expected primals and tangents to have the same structure and shapes."
        )


def jvp(
    func: Callable, primals: tuple, tangents: tuple, *, strict: bool = False, has_aux: bool = False
):
    """(func(*primals), its directional derivative along tangents[, aux]).

    Forward mode by linearise-and-transpose: exact, at the cost of two backward passes. strict: results that do not
    depend on the primals are an error instead of having zeros.
    Source: torch.func.jvp
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise StructureError(
            "jvp: Expected primals and tangents to be tuples. Write jvp(f, (x,), (t,))."
        )
    if not trees.leaves(primals):
        raise GradientError("jvp: Expected primals to contain at least one Tensor.")
    _check_tangents(primals, tangents)
    point = Linearized(func, primals, has_aux, "jvp")
    if strict and not all(
        point.level.owns(o) and o.requires_grad for o in trees.leaves(point.output)
    ):
        raise GradientError(
            "jvp: The output of f is independent of the inputs. This is not allowed with strict=True."
        )
    pushed = point.push(tangents)
    return (point.value, pushed, point.aux) if has_aux else (point.value, pushed)


def linearize(func: Callable, *primals):
    """(func(*primals), function from tangents to the directional derivative there).

    Source: torch.func.linearize
    """
    point = Linearized(func, primals, False, "linearize")

    def push(*tangents):
        _check_tangents(primals, tangents)
        return point.push(tangents)

    return point.value, push
