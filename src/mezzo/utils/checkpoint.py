"""Checkpointing: what a function saves for the backward pass is dropped and computed again when it is needed."""

from __future__ import annotations

from mezzo import autograd, ops
from mezzo.amp import autocast
from mezzo.amp.autocast import region_for
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError
from mezzo.ops.random import get_rng_state, set_rng_state

__all__ = ["checkpoint", "checkpoint_sequential"]


class _Again(autograd.Function):
    """Runs without recording; backward runs once more, recorded, and goes through that graph."""

    @staticmethod
    def forward(ctx, again, _link, *inputs):
        ctx.again = again
        ctx.save_for_backward(*inputs)
        return again.first(inputs)

    @staticmethod
    def backward(ctx, *grads):
        leaves = [t.detach().requires_grad_(t.requires_grad) for t in ctx.saved_tensors]
        outs = ctx.again.once_more(leaves)
        used = [(o, g) for o, g in zip(outs, grads) if o.requires_grad]
        if used:
            autograd.backward([o for o, _ in used], [g for _, g in used])
        return (None, None, *[t.grad for t in leaves])


class _Call:
    """One checkpointed call: the function, its arguments, and the state it ran in."""

    def __init__(self, function, args: tuple, kwargs: dict, preserve: bool):
        self.function, self.args, self.kwargs = function, args, kwargs
        self.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        self.tensors = [args[i] for i in self.places]
        self.state = get_rng_state() if preserve else None
        region = region_for("cpu")
        self.cast = None if region is None else (region.dtype, region.enabled)
        self.single = True

    def run(self, tensors):
        args = list(self.args)
        for place, tensor in zip(self.places, tensors):
            args[place] = tensor
        return self.function(*args, **self.kwargs)

    def first(self, tensors):
        made = self.run(tensors)
        self.single = isinstance(made, Tensor)
        if not self.single and not all(isinstance(o, Tensor) for o in made):
            raise ArgumentTypeError(
                "checkpoint: the function must return a Tensor or a tuple of Tensors."
            )
        return made if self.single else tuple(made)

    def once_more(self, leaves) -> tuple:
        """The outputs again, recorded, with the random numbers and autocast of the first time."""
        kept = get_rng_state()
        dtype, enabled = self.cast or (None, False)
        try:
            if self.state is not None:
                set_rng_state(self.state)
            with autograd.enable_grad(), autocast("cpu", dtype=dtype, enabled=enabled):
                made = self.run(leaves)
        finally:
            set_rng_state(kept)
        return (made,) if self.single else tuple(made)


def checkpoint(function, *args, use_reentrant=None, context_fn=None, determinism_check="default", debug=False,
               preserve_rng_state=True, early_stop=True, **kwargs):  # fmt: skip
    """function(*args, **kwargs) whose inner results are computed again in the backward pass, not kept.

    Gradients of parameters that the function uses arrive in .grad through backward(); autograd.grad
    reaches the tensors among args.
    Source: torch.utils.checkpoint.checkpoint
    """
    if context_fn is not None:
        raise ArgumentTypeError("checkpoint: context_fn is not supported. Leave it out.")
    call = _Call(function, args, kwargs, preserve_rng_state)
    if not STATE.grad:
        return call.run(call.tensors)
    link = ops.zeros(
        ()
    ).requires_grad_()  # ties the call to the tape where only parameters need gradients
    return _Again.apply(call, link, *call.tensors)


def checkpoint_sequential(functions, segments: int, input: Tensor, use_reentrant=None, **kwargs):
    """A Sequential (or list of functions) run in checkpointed segments.

    Source: torch.utils.checkpoint.checkpoint_sequential
    """
    parts = list(functions.children() if hasattr(functions, "children") else functions)
    size = max(1, len(parts) // segments)
    starts = list(range(0, size * (segments - 1), size)) + [size * (segments - 1)]
    for start, stop in zip(starts, [*starts[1:], len(parts)]):
        run = parts[start:stop]

        def segment(x, run=run):
            for part in run:
                x = part(x)
            return x

        last = stop == len(parts)
        input = (
            segment(input)
            if last
            else checkpoint(segment, input, use_reentrant=use_reentrant, **kwargs)
        )
    return input
