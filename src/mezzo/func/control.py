"""cond and while_loop: choices by a tensor's value that vmap, grad and trace can transform.

Where the predicate is one value, Python chooses and one branch runs. Where it differs between the examples of a vmap
(or is not known yet, in a trace), both branches run and every example takes its own.
"""

from __future__ import annotations

from collections.abc import Callable

from mezzo.core import late
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError, DTypeError, ShapeError
from mezzo.func import trees
from mezzo.func.levels import Wrapped
from mezzo.ops.create import full
from mezzo.ops.select import where


class ControlError(ArgumentTypeError, RuntimeError):
    """cond or while_loop got something that PyTorch refuses with a RuntimeError."""


def _decided(pred, wait: bool = False) -> bool | None:
    """The predicate's one value; None if it has several, or (unless a trace shall wait for it) none yet."""
    while isinstance(pred, Wrapped):
        pred = pred.level.peel(pred)
    if pred is None:
        return None
    tracer = late.tracer() if STATE.stack and isinstance(pred, Tensor) else None
    return None if tracer is not None and not wait and tracer.owns(pred) else bool(pred)


def _predicate(pred, operation: str):
    """A predicate as it may be: a bool, or a tensor of one element (made 0-d)."""
    if not isinstance(pred, (bool, Tensor)):
        raise ControlError(
            f"{operation}: Expected pred to be bool or tensor, but got {type(pred).__name__} {pred!r}. "
            "Compare something, as in x.sum() > 0."
        )
    if isinstance(pred, Tensor):
        if pred.numel() != 1:
            raise ControlError(
                f"{operation}: Expected pred to be bool or single-element tensor, but got shape {list(pred.shape)}. "
                "Reduce it with any() or all(), or choose element by element with mezzo.where."
            )
        pred = pred.reshape(())
    return pred


def _callables(operation: str, **functions) -> None:
    for name, function in functions.items():
        if not callable(function):
            raise ControlError(
                f"{operation}: {name} is {type(function).__name__}; it must be a function of the operands."
            )


def _operands(values, operation: str, name: str) -> tuple:
    if not isinstance(values, (tuple, list)):
        raise ControlError(
            f"{operation}: {name} is {type(values).__name__}; it must be a tuple of tensors. Write ({name},)."
        )
    for leaf in trees.leaves(values):
        if not isinstance(leaf, (Tensor, int, float)):
            raise ControlError(
                f"{operation}: {name} must be a tuple of possibly nested dicts, lists and tuples of tensors, and one leaf is "
                f"{type(leaf).__name__}."
            )
    return tuple(values)


def _choose(active: Tensor, new, old, operation: str, names: tuple[str, str]):
    """Example by example new or old, which must be alike."""
    _same_form(new, old, operation, names)
    return trees.mapped(lambda a, b: _pick(active, a, b, operation, names), new, old)


def _same_form(new, old, operation: str, names: tuple[str, str]) -> None:
    a, b = trees.structure(new), trees.structure(old)
    if a != b:
        raise ControlError(
            f"{operation}: {names[0]} gives {a} and {names[1]} gives {b}; both must have one structure."
        )


def _pick(active: Tensor, a, b, operation: str, names: tuple[str, str]):
    if a is b:
        return a
    a, b = (v if isinstance(v, Tensor) else full((), v) for v in (a, b))
    if tuple(a.shape) != tuple(b.shape):
        raise ShapeError(
            f"{operation}: {names[0]} has shape {list(a.shape)} and {names[1]} {list(b.shape)}; they must be equal."
        )
    if a.dtype is not b.dtype:
        raise DTypeError(
            f"{operation}: {names[0]} has dtype {a.dtype.name} and {names[1]} {b.dtype.name}; they must be equal. "
            "Convert one with .to(dtype)."
        )
    return where(active, a, b)


def cond(pred, true_fn: Callable, false_fn: Callable, operands=()):
    """true_fn(*operands) if pred else false_fn(*operands).

    Under vmap, with a predicate that differs between examples, both run and each example takes its own; the branches'
    results must then agree in structure, shapes and dtypes, and the branch not taken must have finite derivatives
    (zero times infinity is NaN, as with where).

    Shapes: pred one element
    Raises: RuntimeError for another predicate, what is not callable, operands that are no tuple
    Grad:   that of the branch taken
    Source: torch.cond
    Example: >>> cond(tensor(True), lambda x: x + 1, lambda x: -x, (tensor([1.0]),))
             tensor([2.])
    """
    pred = _predicate(pred, "cond")
    _callables("cond", true_fn=true_fn, false_fn=false_fn)
    operands = _operands(operands, "cond", "operands")
    chosen = _decided(pred)
    if chosen is not None:
        return (true_fn if chosen else false_fn)(*operands)
    taken, other = true_fn(*operands), false_fn(*operands)
    return _choose(pred != 0, taken, other, "cond", ("true_fn's result", "false_fn's result"))


def while_loop(cond_fn: Callable, body_fn: Callable, carried_inputs):
    """Apply body_fn to the carried values while cond_fn of them is true; returns them as a tuple.

    Under vmap it runs until every example is done, and examples that are done keep their values. Each turn is
    recorded: gradients flow in forward and in reverse mode, for memory in proportion to the turns.

    Shapes: body_fn returns values of the shapes and dtypes it got; cond_fn one element
    Raises: RuntimeError for a result of cond_fn that is no bool or one-element tensor, values of another form
    Source: torch._higher_order_ops.while_loop
    Example: >>> while_loop(lambda x: x.sum() < 5, lambda x: (x * 2,), (tensor([1.0]),))
             (tensor([8.]),)
    """
    _callables("while_loop", cond_fn=cond_fn, body_fn=body_fn)
    state = _operands(carried_inputs, "while_loop", "carried_inputs")
    active = None
    while True:
        pred = _predicate(cond_fn(*state), "while_loop")
        go = _decided(pred, wait=True)
        if go is not None and active is None:
            if not go:
                return state
            state = _turn(body_fn, state)
            continue
        here = pred != 0 if isinstance(pred, Tensor) else full((), pred)
        active = here if active is None else active & here
        if not _any_anywhere(active):
            return state
        names = ("body_fn's result", "the value carried in")
        state = _choose(active, _turn(body_fn, state), state, "while_loop", names)


def _turn(body_fn: Callable, state: tuple) -> tuple:
    new = body_fn(*state)
    new = tuple(new) if isinstance(new, (tuple, list)) else (new,)
    names = ("body_fn's result", "the value carried in")
    _same_form(new, state, "while_loop", names)
    for a, b in zip(trees.leaves(new), trees.leaves(state)):
        if isinstance(a, Tensor) and isinstance(b, Tensor) and a.layout is not b.layout:
            _check_alike(a, b)
    return new


def _check_alike(new: Tensor, old: Tensor) -> None:
    if tuple(new.shape) != tuple(old.shape) or new.dtype is not old.dtype:
        raise ControlError(
            f"while_loop: body_fn's result is {new.dtype.name}{list(new.shape)} and the value carried in "
            f"{old.dtype.name}{list(old.shape)}; shapes and dtypes must stay the same."
        )


def _any_anywhere(active: Tensor) -> bool:
    """True if the predicate holds for an example of any vmap around."""
    while isinstance(active, Wrapped):
        active = active.value
    return bool(active._array().any())
