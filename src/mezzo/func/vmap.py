"""vmap: a function of single examples, run on a batch. Every record brings its own batching rule."""

from __future__ import annotations

import functools
from collections.abc import Callable

from mezzo.core.families.random import DEFAULT
from mezzo.core.layout import layout
from mezzo.core.record import Record, update
from mezzo.core.storage import user_line
from mezzo.core.tensor import Tensor
from mezzo.errors import (
    ArgumentValueError,
    Fact,
    GradientError,
    ImpossibleValueError,
    UnsupportedError,
)
from mezzo.func import axes, functions, trees
from mezzo.func.levels import Level, Wrapped, wrap
from mezzo.ops.copy import copy
from mezzo.ops.join import cat
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
        raise ImpossibleValueError(
            f"vmap: randomness is {randomness!r}; it must be 'error', 'different' or 'same'."
        )

    if chunk_size is not None and chunk_size <= 0:
        raise ArgumentValueError(
            f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})"
        )

    @functools.wraps(func)
    def batched(*args, **kwargs):
        dims = axes.of_inputs(in_dims, args)
        size = axes.batch_size(args, dims)
        if chunk_size is None or chunk_size >= size:
            return _whole(func, out_dims, randomness, args, kwargs, dims, size)
        return _chunks(func, out_dims, randomness, args, kwargs, dims, size, chunk_size)

    return batched


def _whole(func, out_dims, randomness, args, kwargs, dims, size: int):
    level = Batch(size, randomness)
    with level:
        inside = trees.mapped(lambda a, d: _enter(level, a, d), args, dims)
        outs = func(*inside, **kwargs)
    return trees.mapped(lambda o, d: _exit(level, o, d), outs, axes.of_outputs(out_dims, outs))


def _enter(level: Batch, value, dim):
    if dim is None:
        return value
    moved = value if dim % value.ndim == 0 else value.movedim(dim, 0)
    return level.wrap(moved, True)


def _exit(level: Batch, out, dim):
    if not isinstance(out, Tensor):
        if dim is None:
            return out
        raise ArgumentValueError(
            f"vmap: the function returned {type(out).__name__}; it must return tensors. "
            "For what is not a tensor set out_dims to None."
        )
    value, batched = level.unwrap(out)
    if dim is None:
        if batched:
            raise ArgumentValueError(
                "vmap: the function returned a batched tensor where out_dims is None. Give the axis for the batch."
            )
        return value
    value = batching.front(value, batched, level.size)
    return value if dim == 0 else value.movedim(0, dim)


def _chunks(func, out_dims, randomness, args, kwargs, dims, size: int, chunk: int):
    """Some examples at a time; with the same random numbers for all, every part starts from one state."""
    outs, state = [], DEFAULT.state()
    for start in range(0, size, chunk):
        count = min(chunk, size - start)
        part = trees.mapped(
            lambda a, d, s=start, n=count: a if d is None else a.narrow(d, s, n), args, dims
        )
        if randomness == "same":
            DEFAULT.restore(state)
        outs.append(_whole(func, out_dims, randomness, part, kwargs, dims, count))
    where = axes.of_outputs(out_dims, outs[0])
    return trees.mapped(lambda d, *parts: parts[0] if d is None else cat(parts, d), where, *outs)
