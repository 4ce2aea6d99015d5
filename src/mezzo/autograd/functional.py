"""Jacobians, Hessians and products with them, through backward passes: torch.autograd.functional."""

from __future__ import annotations

from collections.abc import Callable

from mezzo.autograd.api import grad
from mezzo.autograd.modes import enable_grad
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError, GradientError, ShapeError
from mezzo.ops.create import ones_like, zeros, zeros_like
from mezzo.ops.join import stack


def _inputs(inputs, operation: str, create_graph: bool) -> tuple[bool, tuple[Tensor, ...]]:
    """Whether one tensor was given alone, and leaves (or, to differentiate further, views) of the inputs."""
    many = isinstance(inputs, (tuple, list))
    given = tuple(inputs) if many else (inputs,)
    for i, t in enumerate(given):
        if not isinstance(t, Tensor):
            raise ArgumentTypeError(
                f"{operation}: input {i} is {type(t).__name__}; inputs must be Tensors."
            )
    linked = [
        t.view_as(t) if create_graph and t.requires_grad else t.detach().requires_grad_()
        for t in given
    ]
    return many, tuple(linked)


def _outputs(func: Callable, leaves: tuple, operation: str) -> tuple[bool, tuple[Tensor, ...]]:
    with enable_grad():
        made = func(*leaves)
    many = isinstance(made, (tuple, list))
    outs = tuple(made) if many else (made,)
    for out in outs:
        if not isinstance(out, Tensor):
            raise ArgumentTypeError(
                f"{operation}: the function returned {type(out).__name__}; it must return Tensors."
            )
    return many, outs


def _gradients(
    outs, leaves, seeds, strict: bool, create_graph: bool, operation: str
) -> tuple[Tensor, ...]:
    """d(sum outs * seeds)/d leaves, zeros where an input plays no part (an error if strict)."""
    linked = [(o, s) for o, s in zip(outs, seeds) if o.requires_grad]
    found = (None,) * len(leaves)
    if linked:
        found = grad([o for o, _ in linked], leaves, [s for _, s in linked], retain_graph=True,
                     create_graph=create_graph, allow_unused=True)  # fmt: skip
    if strict and any(g is None for g in found):
        at = next(i for i, g in enumerate(found) if g is None)
        raise GradientError(
            f"{operation}: the output does not depend on input {at}; strict=True does not allow that."
        )
    return tuple(zeros_like(x) if g is None else g for g, x in zip(found, leaves))


def jacobian(
    func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"
):
    """The derivative of every output element by every input element: shape output.shape + input.shape.

    vectorize and strategy change nothing in the result.
    Source: torch.autograd.functional.jacobian
    """
    many_in, leaves = _inputs(inputs, "jacobian", create_graph)
    many_out, outs = _outputs(func, leaves, "jacobian")
    rows = [_rows(out, leaves, strict, create_graph) for out in outs]
    table = tuple(row if many_in else row[0] for row in rows)
    return table if many_out else table[0]


def _rows(out: Tensor, leaves, strict: bool, create_graph: bool) -> tuple[Tensor, ...]:
    count = out.numel()
    found = []
    for i in range(count):
        seed = zeros(count, dtype=out.dtype, device=out.device)
        seed[i] = 1
        found.append(
            _gradients((out,), leaves, (seed.reshape(out.shape),), strict, create_graph, "jacobian")
        )
    if not found:
        return tuple(zeros((*out.shape, *x.shape), dtype=x.dtype) for x in leaves)
    return tuple(
        stack(column).reshape((*out.shape, *x.shape)) for column, x in zip(zip(*found), leaves)
    )


def hessian(
    func,
    inputs,
    create_graph=False,
    strict=False,
    vectorize=False,
    outer_jacobian_strategy="reverse-mode",
):
    """The second derivatives of a function with one output element.

    Source: torch.autograd.functional.hessian
    """

    def first(*leaves):
        out = func(*leaves)
        _require_scalar(out, "hessian")
        grads = _gradients((out,), leaves, (ones_like(out),), strict, True, "hessian")
        return grads if isinstance(inputs, (tuple, list)) else grads[0]

    return jacobian(first, inputs, create_graph=create_graph, strict=strict)


def _require_scalar(out, operation: str) -> None:
    if not isinstance(out, Tensor) or out.numel() != 1:
        what = f"shape {list(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        raise GradientError(
            f"{operation}: the function returned {what}; it must return a Tensor with a single element."
        )


def _direction(v, leaves, many: bool, operation: str):
    if v is None:
        if len(leaves) != 1 or leaves[0].numel() != 1:
            raise GradientError(
                f"{operation}: v may be left out only where there is a single element. Pass v."
            )
        return (ones_like(leaves[0]),)
    given = tuple(v) if isinstance(v, (tuple, list)) else (v,)
    if [tuple(t.shape) for t in given] != [tuple(x.shape) for x in leaves]:
        raise ShapeError(f"{operation}: v must have the shapes {[list(x.shape) for x in leaves]}.")
    return given


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(outputs, v times the Jacobian). Source: torch.autograd.functional.vjp"""
    many, leaves = _inputs(inputs, "vjp", create_graph)
    many_out, outs = _outputs(func, leaves, "vjp")
    seeds = _direction(v, outs, many_out, "vjp")
    found = _gradients(outs, leaves, seeds, strict, create_graph, "vjp")
    outs = outs if create_graph else tuple(o.detach() for o in outs)
    return (outs if many_out else outs[0]), (found if many else found[0])


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(outputs, the Jacobian times v), by differentiating a backward pass by its seed.

    Source: torch.autograd.functional.jvp
    """
    many, leaves = _inputs(inputs, "jvp", create_graph)
    many_out, outs = _outputs(func, leaves, "jvp")
    direction = _direction(v, leaves, many, "jvp")
    seeds = tuple(ones_like(o).requires_grad_() for o in outs)  # any: vjp is linear in them
    with enable_grad():
        found = _gradients(outs, leaves, seeds, strict, True, "jvp")
    result = _gradients(found, seeds, direction, False, create_graph, "jvp")
    outs = outs if create_graph else tuple(o.detach() for o in outs)
    return (outs if many_out else outs[0]), (result if many_out else result[0])


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(output, v times the Hessian). Source: torch.autograd.functional.vhp"""
    many, leaves = _inputs(inputs, "vhp", create_graph)
    _, outs = _outputs(func, leaves, "vhp")
    _require_scalar(outs[0], "vhp")
    direction = _direction(v, leaves, many, "vhp")
    with enable_grad():
        first = _gradients(outs, leaves, (ones_like(outs[0]),), strict, True, "vhp")
    found = _gradients(first, leaves, direction, strict, create_graph, "vhp")
    return outs[0] if create_graph else outs[0].detach(), found if many else found[0]


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(output, the Hessian times v): the Hessian is symmetric, so this is vhp.

    Source: torch.autograd.functional.hvp
    """
    return vhp(func, inputs, v, create_graph, strict)
