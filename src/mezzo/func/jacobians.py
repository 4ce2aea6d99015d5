"""jacrev, jacfwd, hessian: all derivatives of a function, one vmap over a basis."""

from __future__ import annotations

import functools
from collections.abc import Callable

from mezzo.core.tensor import Tensor
from mezzo.func import trees
from mezzo.func.derivatives import Linearized, picked_arguments
from mezzo.func.vmap import vmap
from mezzo.ops.create import eye


def _basis(tensors: list[Tensor]) -> list[Tensor]:
    """For each tensor a batch over all elements of all: one in its own element, zero elsewhere."""
    total = sum(t.numel() for t in tensors)
    found, at = [], 0
    for t in tensors:
        rows = eye(total, dtype=t.dtype).narrow(1, at, t.numel())
        found.append(rows.reshape((total, *t.shape)))
        at += t.numel()
    return found


def _split(batch: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    """A batch over all elements cut into one piece for each tensor."""
    at, found = 0, []
    for t in tensors:
        found.append(batch.narrow(0, at, t.numel()))
        at += t.numel()
    return found


def _partial(func: Callable, args: tuple, chosen: tuple[int, ...], kwargs: dict) -> Callable:
    def of_chosen(*values):
        full = list(args)
        for n, value in zip(chosen, values):
            full[n] = value
        return func(*full, **kwargs)

    return of_chosen


def jacrev(
    func: Callable, argnums=0, *, has_aux: bool = False, chunk_size: int | None = None
) -> Callable:
    """The Jacobian of func by reverse mode: one backward pass for each element of the result, batched.

    Shapes: y (...) of x (...) -> (y's ..., x's ...)
    Source: torch.func.jacrev
    """

    @functools.wraps(func)
    def jacobian(*args, **kwargs):
        chosen = picked_arguments(argnums, len(args), "jacrev")
        point = Linearized(
            _partial(func, args, chosen, kwargs), tuple(args[n] for n in chosen), has_aux, "jacrev"
        )
        outs = trees.leaves(point.value)
        basis = trees.filled(point.value, _basis(outs))
        pulled = vmap(
            lambda *c: point.vjp(trees.filled(point.value, list(c))), chunk_size=chunk_size
        )(*trees.leaves(basis))
        rows = [[_split(g, outs) for g in trees.leaves(part)] for part in pulled]

        def of_output(i: int, out: Tensor):
            parts = []
            for n, pieces in zip(chosen, rows):
                blocks = [
                    p[i].reshape((*out.shape, *x.shape))
                    for p, x in zip(pieces, trees.leaves(args[n]))
                ]
                parts.append(trees.filled(args[n], blocks))
            return parts[0] if isinstance(argnums, int) else tuple(parts)

        found = trees.filled(point.value, [of_output(i, o) for i, o in enumerate(outs)])
        return (found, point.aux) if has_aux else found

    return jacobian


def jacfwd(
    func: Callable, argnums=0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable:
    """The Jacobian of func by forward mode: one directional derivative for each element of the argument, batched.

    Shapes: y (...) of x (...) -> (y's ..., x's ...)
    Source: torch.func.jacfwd
    """

    @functools.wraps(func)
    def jacobian(*args, **kwargs):
        chosen = picked_arguments(argnums, len(args), "jacfwd")
        primals = tuple(args[n] for n in chosen)
        point = Linearized(_partial(func, args, chosen, kwargs), primals, has_aux, "jacfwd")
        inputs = trees.leaves(primals)
        pushed = vmap(lambda *t: point.push(trees.filled(primals, list(t))), randomness=randomness)(
            *_basis(inputs)
        )

        def of_output(batch: Tensor, out: Tensor):
            blocks = [
                p.reshape((*x.shape, *out.shape)).permute(
                    (*range(x.ndim, x.ndim + out.ndim), *range(x.ndim))
                )
                for p, x in zip(_split(batch, inputs), inputs)
            ]
            parts = trees.filled(primals, blocks)
            return parts[0] if isinstance(argnums, int) else parts

        found = trees.mapped(of_output, pushed, point.value)
        return (found, point.aux) if has_aux else found

    return jacobian


def hessian(func: Callable, argnums=0) -> Callable:
    """The Jacobian of the gradient of a function of scalar result.

    Shapes: x (...) -> (x's ..., x's ...)
    Source: torch.func.hessian
    """
    return jacfwd(jacrev(func, argnums), argnums)
