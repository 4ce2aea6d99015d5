"""Arguments and results as trees: the tensors inside tuples, lists and dicts, and how to replace them."""

from __future__ import annotations

from collections.abc import Callable

from mezzo.core.tensor import Tensor


def tensors(tree) -> list[Tensor]:
    """Every tensor of a tree, in order."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        return [t for v in tree.values() for t in tensors(v)]
    if isinstance(tree, (tuple, list)):
        return [t for v in tree for t in tensors(v)]
    return []


def mapped(function: Callable, tree):
    """The tree with function applied to every tensor."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {k: mapped(function, v) for k, v in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):  # a named tuple takes its items apart
        return type(tree)(*[mapped(function, v) for v in tree])
    if isinstance(tree, (tuple, list)):
        return type(tree)([mapped(function, v) for v in tree])
    return tree


def replaced(tree, new):
    """The tree with its tensors replaced by those of `new`, in order."""
    rest = iter(new)
    return mapped(lambda _: next(rest), tree)


def is_differentiable(tensor) -> bool:
    """True for a tensor whose dtype can carry gradients."""
    return isinstance(tensor, Tensor) and tensor.dtype.is_floating_point
