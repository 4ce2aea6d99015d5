"""Nested tuples, lists and dicts of tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable

from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError, ArgumentValueError


def leaves(tree) -> list:
    """The leaves in order; dicts by insertion."""
    if isinstance(tree, dict):
        return [x for v in tree.values() for x in leaves(v)]
    if isinstance(tree, (tuple, list)):
        return [x for v in tree for x in leaves(v)]
    return [tree]


def mapped(function: Callable, tree, *others):
    """The tree with function applied to each leaf (and to the matching leaves of other trees)."""
    if isinstance(tree, dict):
        made = {k: mapped(function, v, *[o[k] for o in others]) for k, v in tree.items()}
        return made if type(tree) is dict else _alike(tree, made)
    if isinstance(tree, (tuple, list)):
        parts = [mapped(function, v, *[o[i] for o in others]) for i, v in enumerate(tree)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return function(tree, *others)


def _alike(tree: dict, values: dict) -> dict:
    """An OrderedDict or defaultdict like tree, with other values."""
    made = copy.copy(tree)
    made.update(values)
    return made


def filled(tree, values):
    """The tree with its leaves replaced, in order."""
    feed = iter(values)
    return mapped(lambda _: next(feed), tree)


def _key(item: tuple) -> str:
    return str(item[0])


def structure(tree) -> str:
    """The form of a tree, leaves as *: what messages compare."""
    if isinstance(tree, dict):
        return (
            "{"
            + ", ".join(f"{k!r}: {structure(v)}" for k, v in sorted(tree.items(), key=_key))
            + "}"
        )
    if isinstance(tree, list):
        return "[" + ", ".join(structure(v) for v in tree) + "]"
    if isinstance(tree, tuple):
        name = type(tree).__name__ if hasattr(tree, "_fields") else ""
        return f"{name}({', '.join(structure(v) for v in tree)})"
    return "None" if tree is None else "*"


class LeafError(ArgumentTypeError, ArgumentValueError):
    """A tree holds what is no tensor (PyTorch raises ValueError)."""


def tensors(tree, operation: str, what: str) -> list[Tensor]:
    """The leaves, all of which must be tensors."""
    found = leaves(tree)
    for value in found:
        if not isinstance(value, Tensor):
            raise LeafError(
                f"{operation}: {what} must be tensors or nested tuples, lists and dicts of them, and one "
                f"is {type(value).__name__}."
            )
    return found
