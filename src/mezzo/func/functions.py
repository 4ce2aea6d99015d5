"""A user's autograd.Function inside transforms: one node on each derivative's tape, and its batching under vmap.

At a derivative's level the call is made beneath with the values, then setup_context runs again on this level's tensors:
every level has a ctx of its own, so any order of transforms nests.
"""

from __future__ import annotations

import functools
import warnings
from collections import namedtuple

from mezzo.autograd import api
from mezzo.autograd import function as user
from mezzo.core import tape
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, GradientError
from mezzo.func import trees
from mezzo.func.levels import Wrapped, is_tracked
from mezzo.ops.create import ones, zeros
from mezzo.ops.join import stack
from mezzo.rules import batching

VmapInfo = namedtuple("VmapInfo", ("batch_size", "randomness"))


class _below:
    """A level taken off the stack for what belongs beneath it."""

    def __init__(self, level):
        self.level = level

    def __enter__(self):
        self.at = STATE.stack.index(self.level)
        del STATE.stack[self.at]

    def __exit__(self, *exception):
        STATE.stack.insert(self.at, self.level)


def _beneath(level, cls, args: tuple, kwargs: dict):
    with _below(level):
        return level.beneath(functools.partial(cls.apply, *args, **kwargs))


# ---- derivatives


def differentiated(level, cls, args: tuple, kwargs: dict):
    """The call at a derivative's level."""
    if cls.setup_context is None:
        return _without_context(level, cls, args, kwargs)
    lowered = tuple(trees.mapped(level.exit, a) for a in args)
    outs = _beneath(
        level, cls, lowered, {k: trees.mapped(level.exit, v) for k, v in kwargs.items()}
    )
    same = {id(low): a for low, a in zip(lowered, args) if isinstance(low, Tensor)}

    def entered(out):
        if not isinstance(out, Tensor):
            return out
        return same[id(out)] if id(out) in same else level.enter(out, leaf=False)

    outs = trees.mapped(entered, outs)
    records = level.records()
    wants = {i for i, a in enumerate(args) if _wants(level, a)} if records else set()
    ctx = user.context(cls, args, wants)
    previous, STATE.grad = STATE.grad, False
    try:
        cls.setup_context(ctx, args, outs)
    finally:
        STATE.grad = previous
    if not wants:
        return outs
    rule = (
        functools.partial(_by_jvp, level)
        if level.forward and user.has_own(cls, "jvp")
        else user.by_backward
    )
    return user.record_call(cls, ctx, args, outs, wants, rule)


def _wants(level, value) -> bool:
    return isinstance(value, Wrapped) and value.level is level and tape.requires_grad(value)


def _without_context(level, cls, args: tuple, kwargs: dict):
    """forward(ctx, ...) saves what only this level can see: right if nothing beneath is differentiated."""
    if any(is_tracked(level.exit(a)) for a in args if isinstance(a, Tensor)):
        raise GradientError(
            f"{cls.__name__}: in nested transforms an autograd.Function must override the setup_context staticmethod: split "
            "forward(ctx, *args) into forward(*args) and setup_context(ctx, inputs, output)."
        )
    return user.call(cls, args, kwargs)


def _by_jvp(level, cls, ctx, node, grads) -> dict:
    """The transpose of the user's jvp, which is linear in the tangents."""
    tangents: dict[int, Wrapped] = {
        i: level.enter(ones(tuple(node.args[i].shape), dtype=node.args[i].dtype, device=node.args[i].device))
        for i, _, _ in node.edges
    }  # fmt: skip
    given = [_tangent(ctx, tangents.get(i), have) for i, have in enumerate(node.args)]
    ctx._in_jvp = True
    try:
        pushed = cls.jvp(ctx, *given)
    finally:
        ctx._in_jvp = False
    pushed = pushed if isinstance(pushed, tuple) else (pushed,)
    live = [
        (p, g) for p, g in zip(pushed, grads)
        if isinstance(p, Tensor) and g is not None and tape.requires_grad(p)
    ]  # fmt: skip
    if not live:
        return {}
    found = api.grad([p for p, _ in live], list(tangents.values()), [g for _, g in live], retain_graph=True,
                     create_graph=True, allow_unused=True)  # fmt: skip
    return dict(zip(tangents, found))


def _tangent(ctx, tangent, have):
    """What jvp gets for an argument: zeros for tensors that are not differentiated, unless they are not wanted."""
    if tangent is not None or have is None or not ctx._materialize or have.dtype.category < 2:
        return tangent
    return zeros(tuple(have.shape), dtype=have.dtype, device=have.device)


# ---- vmap


def batched(level, cls, args: tuple, kwargs: dict):
    """The call at a vmap's level, by the rule that the class declares."""
    declared = user.has_own(cls, "vmap")
    if declared and cls.generate_vmap_rule:
        raise GradientError(
            f"{cls.__name__}: you tried to vmap over it, but it has both generate_vmap_rule=True and an overridden vmap "
            "staticmethod. Keep one of them."
        )
    if kwargs:
        raise GradientError(f"{cls.__name__}: under vmap apply takes positional arguments only.")
    if declared:
        return _declared(level, cls, args)
    if cls.generate_vmap_rule:
        return _generated(level, cls, args)
    return _one_by_one(level, cls, args)


def _declared(level, cls, args: tuple):
    inner = tuple(trees.mapped(lambda a: level.unwrap(a)[0], a) for a in args)
    dims = tuple(trees.mapped(lambda a: 0 if level.unwrap(a)[1] else None, a) for a in args)
    with _below(level):
        result = cls.vmap(VmapInfo(level.size, level.randomness), dims, *inner)
    if not isinstance(result, tuple) or len(result) != 2:
        raise ArgumentValueError(
            f"{cls.__name__}: the vmap staticmethod must return (outputs, out_dims), and returned {type(result).__name__}."
        )
    outs, out_dims = result
    if isinstance(outs, tuple) and not isinstance(out_dims, tuple):
        out_dims = (out_dims,) * len(outs)
    if not isinstance(outs, tuple):
        return _placed(level, outs, out_dims)
    if len(outs) != len(out_dims):
        raise ArgumentValueError(
            f"{cls.__name__}: the vmap staticmethod returned {len(outs)} outputs and {len(out_dims)} out_dims; "
            "it must be one for each."
        )
    return tuple(_placed(level, o, d) for o, d in zip(outs, out_dims))


def _placed(level, out, dim):
    if not isinstance(out, Tensor):
        return out
    return level.wrap(out if dim in (None, 0) else out.movedim(dim, 0), dim is not None)


_warned: set = set()


def _one_by_one(level, cls, args: tuple):
    """The fallback: the examples in a loop. Says so once for each class."""
    if cls not in _warned:
        _warned.add(cls)
        warnings.warn(
            f"vmap: {cls.__name__} has no batching rule, so it runs once for each of {level.size} examples. "
            "Set generate_vmap_rule = True if forward and backward are made of mezzo's operations, or define "
            "vmap(info, in_dims, *args).",
            UserWarning,
            stacklevel=4,
        )
    outs = []
    with _below(level):
        for i in range(level.size):
            picked = [trees.mapped(lambda a, i=i: _example(level, a, i), a) for a in args]
            outs.append(cls.apply(*picked))
        if not outs:
            raise ArgumentValueError(
                f"vmap: {cls.__name__} has no batching rule and the batch is empty: define vmap(info, in_dims, *args)."
            )
        joined = trees.mapped(
            lambda *same: stack(same) if isinstance(same[0], Tensor) else same[0], *outs
        )
    return trees.mapped(lambda o: level.wrap(o, True) if isinstance(o, Tensor) else o, joined)


def _example(level, value, i: int):
    inner, is_batched = level.unwrap(value)
    return inner.select(0, i) if is_batched else inner


def _generated(level, cls, args: tuple):
    """forward and backward batched by vmap itself: the class that does so, called beneath."""
    inner = type(level)(level.size, level.randomness)
    flags = tuple(isinstance(a, Tensor) and level.unwrap(a)[1] for a in args)
    made = _batched_class(cls, inner, flags)
    with _below(level):
        outs = made.apply(*[level.unwrap(a)[0] for a in args])
    if isinstance(outs, tuple):
        return tuple(_placed(level, o, 0 if b else None) for o, b in zip(outs, made.out_flags))
    return _placed(level, outs, 0 if made.out_flags[0] else None)


def _batched_class(cls, inner, flags: tuple):
    """cls on tensors that carry a batch in front where flags say so. inner: the vmap level of its own functions."""

    def lift(values, which):
        return [inner.wrap(v, b) if isinstance(v, Tensor) else v for v, b in zip(values, which)]

    def run(function, *values):
        with inner:
            outs = function(*values)
        many = outs if isinstance(outs, tuple) else (outs,)
        pairs = [inner.unwrap(o) for o in many]
        return [v for v, _ in pairs], tuple(b for _, b in pairs), isinstance(outs, tuple)

    class Batched(user.Function):
        out_flags: tuple = ()

        @staticmethod
        def forward(*args):
            if cls.setup_context is None:
                raise GradientError(
                    f"{cls.__name__}: generate_vmap_rule needs the setup_context staticmethod."
                )
            values, Batched.out_flags, several = run(cls.forward, *lift(args, flags))
            return tuple(values) if several else values[0]

        @staticmethod
        def setup_context(ctx, inputs, output):
            several = isinstance(output, tuple)
            outs = lift(output if several else (output,), Batched.out_flags)
            ctx.inner = user.FunctionCtx()
            ctx.inner.needs_input_grad = ctx.needs_input_grad
            with inner:
                cls.setup_context(
                    ctx.inner, tuple(lift(inputs, flags)), tuple(outs) if several else outs[0]
                )
            _carry_over(inner, ctx)

        @staticmethod
        def backward(ctx, *grads):
            ctx.inner._saved = tuple(lift(ctx.saved_tensors, ctx.saved_flags))
            values, found, _ = run(cls.backward, ctx.inner, *lift(grads, Batched.out_flags))
            return tuple(_fit_batch(*item, inner.size) for item in zip(values, found, flags))

    if user.has_own(cls, "jvp"):

        def jvp(ctx, *tangents):
            ctx.inner._in_jvp = True
            ctx.inner._saved = tuple(lift(ctx.saved_tensors, ctx.saved_flags))
            values, found, several = run(cls.jvp, ctx.inner, *lift(tangents, flags))
            fitted = tuple(
                _fit_batch(*item, inner.size) for item in zip(values, found, Batched.out_flags)
            )
            return fitted if several else fitted[0]

        Batched.jvp = staticmethod(jvp)
    Batched.__name__ = Batched.__qualname__ = cls.__name__
    return Batched


def _carry_over(inner, ctx) -> None:
    """What setup_context left in the batched ctx, for the tape beneath."""
    mine: user.FunctionCtx = ctx.inner
    pairs = [inner.unwrap(t) for t in mine._saved]
    ctx.save_for_backward(*[v for v, _ in pairs])
    ctx.saved_flags = tuple(b for _, b in pairs)
    ctx._not_differentiable = tuple(inner.unwrap(t)[0] for t in mine._not_differentiable)
    ctx._dirty = tuple(inner.unwrap(t)[0] for t in mine._dirty)
    ctx._materialize = mine._materialize


def _fit_batch(value, is_batched: bool, wanted: bool, size: int):
    """A gradient or tangent with the batch where its tensor has it: summed over examples that shared the tensor."""
    if not isinstance(value, Tensor) or is_batched == wanted:
        return value
    return batching.front(value, False, size) if wanted else value.sum(0)
