"""in_dims and out_dims of vmap: where the batch lies in each tensor of a tree."""

from __future__ import annotations

from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError
from mezzo.func import trees


def _is_axis(dim) -> bool:
    return dim is None or (isinstance(dim, int) and not isinstance(dim, bool))


def spread(dims, tree, fits):
    """dims as a tree like `tree`: one int or None serves all that is beneath it. fits(problem) raises."""
    if _is_axis(dims):
        return trees.mapped(lambda _: dims, tree)
    if isinstance(tree, dict):
        if not isinstance(dims, dict) or dims.keys() != tree.keys():
            fits(f"{dims!r} for a dict with the keys {sorted(map(str, tree))}")
        return {k: spread(dims[k], v, fits) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)):
        if not isinstance(dims, (tuple, list)) or isinstance(dims, list) != isinstance(tree, list):
            fits(f"{dims!r} for a {type(tree).__name__} of {len(tree)}")
        if len(dims) != len(tree):
            fits(f"{len(dims)} entries for a {type(tree).__name__} of {len(tree)}")
        parts = [spread(d, v, fits) for d, v in zip(dims, tree)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    fits(f"{dims!r} for one {type(tree).__name__}")


def of_inputs(in_dims, args: tuple) -> tuple:
    """in_dims as a tree like the arguments."""
    if not args:
        raise ArgumentValueError(
            "vmap: got no inputs. Maybe you forgot to add inputs, or the function takes keyword arguments alone, which are "
            "not batched."
        )
    if not isinstance(in_dims, tuple) and not isinstance(in_dims, int):
        raise ArgumentValueError(
            f"vmap: expected in_dims to be an int or a (nested) tuple like the arguments, got {in_dims!r}. "
            "Write in_dims=(0, None) to batch the first argument and not the second."
        )

    def misfit(problem: str):
        raise ArgumentValueError(
            f"vmap: in_dims is not compatible with the structure of the arguments: {problem}. It needs an int or None for "
            "each tensor, or one for all tensors of an argument."
        )

    return spread(in_dims, args, misfit)


def batch_size(args, dims) -> int:
    """The size that all batched axes have."""
    sizes: list[int] = []
    trees.mapped(
        lambda value, dim: sizes.append(_size(value, dim)) if dim is not None else None, args, dims
    )
    if not sizes:
        raise ArgumentValueError(
            "vmap: no argument is batched. Give at least one in_dims that is not None."
        )
    if len(set(sizes)) > 1:
        raise ArgumentValueError(
            f"vmap: expected all tensors to have the same size in the mapped dimension, got {sorted(set(sizes))}."
        )
    return sizes[0]


def _size(value, dim: int) -> int:
    if not isinstance(value, Tensor):
        raise ArgumentValueError(
            f"vmap: in_dim {dim} does not fit {type(value).__name__} {value!r:.40}. Pass None for what is not batched."
        )
    if not -value.ndim <= dim < value.ndim:
        raise ArgumentValueError(
            f"vmap: in_dim {dim} does not fit a tensor with {value.ndim} axes. Pass None for what is not batched."
        )
    return value.shape[dim]


def of_outputs(out_dims, outs):
    """out_dims as a tree like the results."""

    def misfit(problem: str):
        raise ArgumentValueError(
            f"vmap: out_dims is not compatible with the structure of the outputs: {problem}. It needs an int for each "
            "tensor (None for what is not batched), or one for all."
        )

    if (
        not isinstance(outs, (tuple, list, dict))
        and isinstance(out_dims, (tuple, list))
        and len(out_dims) == 1
    ):
        out_dims = out_dims[0]
    return spread(out_dims, outs, misfit)
