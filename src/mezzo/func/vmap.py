"""vmap: a function of single examples, run on a batch. Every record brings its own batching rule."""

from __future__ import annotations

import functools
from collections.abc import Callable

from mezzo.core.layout import layout
from mezzo.core.record import Record, update
from mezzo.core.state import STATE
from mezzo.core.storage import user_line
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, Fact, GradientError, UnsupportedError
from mezzo.func import functions
from mezzo.func.levels import Level, Wrapped, wrap
from mezzo.ops.copy import copy
from mezzo.rules import batching

_FAMILY_RULES: dict[str, Callable] = {
    "elementwise": batching.elementwise, "copy": batching.elementwise, "reduction": batching.reduction,
}  # fmt: skip


def rule_of(record: Record) -> Callable | None:
    """The batching rule of a record: its own, or its family's."""
    return record.batch if callable(record.batch) else _FAMILY_RULES.get(record.family)


_SAME_SHAPE = (
    "Under vmap every example must give results of one shape: keep all elements and choose with mezzo.where(mask, a, b), "
    "multiply by the mask, or do this outside."
)


class Batch(Level):
    """The interpreter of one vmap. size: length of the batch."""

    name = "vmap"
    advice = (
        "Every example has its own, so Python cannot choose by it: use mezzo.where(condition, a, b) or "
        "mezzo.cond(condition, f, g, operands) instead of if, mezzo.while_loop(condition, body, state) instead of while, "
        "and keep numbers as tensors."
    )

    def __init__(self, size: int, randomness: str):
        self.size, self.randomness = size, randomness

    def handles(self, record: Record, args: tuple) -> bool:
        """Calls with a batched tensor, and random ones."""
        return record.family == "random" or super().handles(record, args)

    def wrap(self, value: Tensor, batched: bool) -> Wrapped:
        """A value from beneath as a tensor of this level."""
        have = value.layout
        if batched:
            have = layout(have.shape[1:], have.strides[1:], have.dtype, have.device)
        return wrap(self, value, batched, have)

    def unwrap(self, value):
        """(value beneath, whether it is batched), lists together."""
        if isinstance(value, Wrapped) and value.level is self:
            return value.value, value.batched
        if isinstance(value, (tuple, list)) and any(self.owns(v) for v in value):
            parts = [self.unwrap(v) for v in value]
            return tuple(
                batching.front(v, b, self.size) if isinstance(v, Tensor) else v for v, b in parts
            ), True
        return value, False

    def peel(self, tensor: Wrapped) -> Tensor | None:
        """One value, unless every example has its own."""
        return None if tensor.batched else tensor.value

    def evaluate(self, record: Record, args: tuple):
        """Apply the batching rule beneath."""
        if record.family == "random":
            return self._random(record, args)
        pairs = [self.unwrap(a) for a in args]
        inner = tuple(v for v, _ in pairs)
        batched = frozenset(i for i, (_, b) in enumerate(pairs) if b)
        if batched:
            rule = rule_of(record)
            if rule is None:
                reason = getattr(record.batch, "reason", "it has no batching rule")
                text = f"cannot be batched by vmap, at {user_line()}: {reason}"
                advice = _SAME_SHAPE if record.family == "dynamic" else ""
                record.fail(Fact(UnsupportedError, text, advice), args)
            outs = rule(record, self.size, inner, batched)
        else:
            outs = record.apply(inner)
        if isinstance(outs, tuple):
            return tuple(self.wrap(o, bool(batched)) for o in outs)
        return self.wrap(outs, bool(batched))

    def _random(self, record: Record, args: tuple):
        if self.randomness == "error":
            raise GradientError(
                "vmap: called random operation while in randomness error mode. Pass randomness='different' for other "
                "numbers in each example, or 'same'."
            )
        inner = tuple(self.unwrap(a)[0] for a in args)
        if self.randomness == "same":
            return record.apply(inner)
        return self.wrap(record.apply(((self.size, *inner[0]), *inner[1:])), True)

    def call_function(self, cls, args: tuple, kwargs: dict):
        """A user's autograd.Function."""
        return functions.batched(self, cls, args, kwargs)

    def process_update(self, record: Record, target: Tensor, args: tuple) -> Tensor:
        """In place, unless one tensor would have to hold the values of many examples."""
        one = self.owns(target) and not target.batched
        if one and any(self.unwrap(a)[1] for a in args[1:]):
            self.refuse_target(record)
        return super().process_update(record, target, args)

    def store(self, target: Wrapped, result: Tensor) -> None:
        """Write beneath."""
        value, batched = self.unwrap(result)
        update(
            copy,
            target.value,
            batching.front(value, batched, self.size) if target.batched else value,
        )

    def refuse_target(self, record: Record) -> None:
        """One tensor cannot hold the values of many examples."""
        raise GradientError(
            f"vmap: inplace arithmetic {record.name}_ is not possible at {user_line()}: the tensor is not batched and an "
            "operand is, so it would have to hold several values. Write it out of place, or make the tensor from a "
            "batched one (x.new_zeros(...))."
        )


def vmap(
    func: Callable,
    in_dims=0,
    out_dims=0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable:
    """func over an extra axis of its arguments, without a loop.

    in_dims: the axis of each argument (None: not batched), a tree or one int. out_dims: where the batch goes in
    the results. randomness: "error", "different" or "same". chunk_size: examples at a time.
    Source: torch.func.vmap
    """
    if randomness not in ("error", "different", "same"):
        raise ArgumentValueError(
            f"vmap: randomness is {randomness!r}; it must be 'error', 'different' or 'same'."
        )

    @functools.wraps(func)
    def batched(*args, **kwargs):
        dims = _spread(in_dims, args)
        size = _batch_size(args, dims)
        if chunk_size is not None and chunk_size < size:
            return _chunks(
                func, in_dims, out_dims, randomness, args, kwargs, dims, size, chunk_size
            )
        level = Batch(size, randomness)
        with level:
            inside = _map2(lambda a, d: _enter(level, a, d), args, dims)
            outs = func(*inside, **kwargs)
        return _exit(level, outs, out_dims)

    return batched


def _enter(level: Batch, value, dim):
    if dim is None or not isinstance(value, Tensor):
        return value
    moved = value if dim % value.ndim == 0 else value.movedim(dim, 0)
    return level.wrap(moved, True)


def _spread(dims, args):
    """in_dims as a tree like args."""
    if isinstance(dims, int) or dims is None:
        return tuple(_fill(a, dims) for a in args)
    if len(dims) != len(args):
        raise ArgumentValueError(
            f"vmap: in_dims has {len(dims)} entries for {len(args)} arguments; it needs one each."
        )
    return tuple(_fill(a, d) for a, d in zip(args, dims))


def _fill(tree, dim):
    if isinstance(tree, dict):
        return {k: _fill(v, dim[k] if isinstance(dim, dict) else dim) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)):
        parts = dim if isinstance(dim, (tuple, list)) else [dim] * len(tree)
        return type(tree)(_fill(v, d) for v, d in zip(tree, parts))
    return dim


def _map2(function, tree, dims):
    if isinstance(tree, dict):
        return {k: _map2(function, v, dims[k]) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(_map2(function, v, d) for v, d in zip(tree, dims))
    return function(tree, dims)


def _leaves(tree, dims):
    if isinstance(tree, dict):
        return [x for k in tree for x in _leaves(tree[k], dims[k])]
    if isinstance(tree, (tuple, list)):
        return [x for v, d in zip(tree, dims) for x in _leaves(v, d)]
    return [(tree, dims)]


def _batch_size(args, dims) -> int:
    sizes = set()
    for value, dim in _leaves(args, dims):
        if dim is None:
            continue
        if not isinstance(value, Tensor) or not -value.ndim <= dim < value.ndim:
            what = (
                f"a tensor with {value.ndim} axes"
                if isinstance(value, Tensor)
                else type(value).__name__
            )
            raise ArgumentValueError(
                f"vmap: in_dim {dim} does not fit {what}. Pass None for what is not batched."
            )
        sizes.add(value.shape[dim])
    if not sizes:
        raise ArgumentValueError(
            "vmap: no argument is batched. Give at least one in_dims that is not None."
        )
    if len(sizes) > 1:
        raise ArgumentValueError(
            f"vmap: expected all tensors to have the same size in the mapped dimension, got {sorted(sizes)}."
        )
    return sizes.pop()


def _exit(level: Batch, outs, out_dims):
    if isinstance(outs, dict):
        return {
            k: _exit(level, v, out_dims[k] if isinstance(out_dims, dict) else out_dims)
            for k, v in outs.items()
        }
    if isinstance(outs, (tuple, list)):
        dims = out_dims if isinstance(out_dims, (tuple, list)) else [out_dims] * len(outs)
        return type(outs)(_exit(level, v, d) for v, d in zip(outs, dims))
    if not isinstance(outs, Tensor):
        raise ArgumentValueError(
            f"vmap: the function returned {type(outs).__name__}; it must return tensors."
        )
    value, batched = level.unwrap(outs)
    if out_dims is None:
        return value
    value = batching.front(value, batched, level.size)
    return value if out_dims == 0 else value.movedim(0, out_dims)


def _chunks(func, in_dims, out_dims, randomness, args, kwargs, dims, size, chunk):
    outs = []
    for start in range(0, size, chunk):
        stop = min(start + chunk, size)
        part = _map2(
            lambda a, d, s=start, e=stop: a if d is None else a.narrow(d, s, e - s), args, dims
        )
        outs.append(vmap(func, in_dims, 0, randomness)(*part, **kwargs))
    joined = _join(outs)
    return (
        joined
        if out_dims == 0
        else _map2(lambda o, d: o.movedim(0, d), joined, _fill(joined, out_dims))
    )


def _join(outs):
    first = outs[0]
    if isinstance(first, dict):
        return {k: _join([o[k] for o in outs]) for k in first}
    if isinstance(first, (tuple, list)):
        return type(first)(_join([o[i] for o in outs]) for i in range(len(first)))
    whole = first.new_empty((sum(len(o) for o in outs), *first.shape[1:]))
    at = 0
    for o in outs:
        update(copy, whole.narrow(0, at, len(o)), o)
        at += len(o)
    return whole


def active() -> bool:
    """True inside a vmap."""
    return any(isinstance(i, Batch) for i in STATE.stack)
