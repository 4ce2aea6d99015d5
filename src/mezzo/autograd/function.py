"""autograd.Function: operations whose derivative the user writes."""

from __future__ import annotations

import functools

from mezzo.core import tape
from mezzo.core.record import Record, none
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import GradientError
from mezzo.ops.create import zeros


class FunctionCtx:
    """What forward leaves for backward."""

    def __init__(self):
        self._saved: tuple = ()
        self._versions: tuple = ()
        self._dirty: tuple = ()
        self._not_differentiable: tuple = ()
        self._materialize = True
        self.needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors) -> None:
        """Keep tensors (inputs or outputs of forward) for backward."""
        self._saved = tensors

    save_for_forward = save_for_backward

    def mark_dirty(self, *tensors) -> None:
        """Say that forward changed these inputs in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors) -> None:
        """Say that these outputs have no gradient."""
        self._not_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """False: backward gets None instead of zeros for outputs that took no part."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple:
        """The tensors kept by save_for_backward."""
        node = getattr(self, "_node", None)
        if node is not None and node.freed:
            raise GradientError(
                f"{type(self).__name__}: trying to backward through the graph a second time. Pass retain_graph=True."
            )
        for tensor, version in zip(self._saved, self._versions):
            if (
                tensor is not None
                and tensor.storage is not None
                and tensor.storage.version != version
            ):
                raise GradientError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"saved_tensors of shape {list(tensor.shape)}, changed by {tensor.storage.writer}."
                )
        return self._saved


class Function:
    """Subclass with static forward(ctx, ...) and backward(ctx, *grads); call through apply.

    forward may also leave out ctx if setup_context(ctx, inputs, output) is defined.
    Source: torch.autograd.Function
    """

    @staticmethod
    def forward(*args, **kwargs):
        """Compute the result."""
        raise GradientError(
            "Function: you must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def backward(ctx, *grads):
        """The gradients of the inputs, one for each argument of forward."""
        raise GradientError(
            "Function: you must implement the backward function for custom autograd.Function."
        )

    setup_context = None

    @classmethod
    def apply(cls, *args, **kwargs):
        """Run forward, recorded so that backward of this class is its derivative."""
        ctx = type(cls.__name__ + "Backward", (FunctionCtx,), {})()
        tensors = [(i, a) for i, a in enumerate(args) if isinstance(a, Tensor)]
        wants = {i for i, a in tensors if STATE.grad and tape.requires_grad(a)}
        ctx.needs_input_grad = tuple(i in wants for i in range(len(args)))
        previous, STATE.grad = STATE.grad, False
        try:
            if cls.setup_context is None:
                outs = cls.forward(ctx, *args, **kwargs)
            else:
                outs = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, outs)
        finally:
            STATE.grad = previous
        ctx._versions = tuple(
            t.storage.version if t is not None and t.storage is not None else 0 for t in ctx._saved
        )
        return _record(cls, ctx, args, outs, wants) if wants else outs


def _record(cls, ctx, args, outs, wants):
    single = isinstance(outs, Tensor)
    many = [outs] if single else list(outs)
    edges = tuple((i, *tape.edge(args[i])) for i in sorted(wants))
    node = tape.Node(
        _FUNCTION, tuple(a.layout if isinstance(a, Tensor) else None for a in args), edges
    )
    node.versions, node.multiple, node.needs_out = (), True, False
    node.rule = functools.partial(_rule, cls, ctx)
    ctx._node = node
    tensors = []
    for i, out in enumerate(many):
        if (
            isinstance(out, Tensor)
            and not any(out is d for d in ctx._dirty)
            and any(out is a for a in args)
        ):
            many[i] = out = tape.alias(out)
        if isinstance(out, Tensor):
            tensors.append(out)
    node.layouts = node.outs = tuple(t.layout for t in tensors)
    for slot, out in enumerate(tensors):
        if out.dtype.category >= 2 and not any(out is n for n in ctx._not_differentiable):
            if any(out is d for d in ctx._dirty):
                tape.mark_written(out.storage, cls.__name__)
            out.auto = tape.Auto(node=node, slot=slot)
    return many[0] if single else tuple(many)


def _rule(cls, ctx, node, grads) -> dict:
    if ctx._materialize:
        grads = tuple(
            zeros(tuple(x.shape), dtype=x.dtype, device=x.device) if g is None else g
            for g, x in zip(grads, node.layouts)
        )
    results = cls.backward(ctx, *grads)
    results = results if isinstance(results, tuple) else (results,)
    expected = len(node.args)
    if (len(results) > expected and any(r is not None for r in results[expected:])) or len(
        results
    ) < expected:
        raise GradientError(
            f"function {cls.__name__}Backward returned an incorrect number of gradients (expected {expected}, got {len(results)})."
        )
    return dict(enumerate(results))


class _FunctionRecord(Record):
    """The record that nodes of user functions carry."""

    family = "function"


def _function(inputs):
    """A user's autograd.Function."""


_FUNCTION = _FunctionRecord(
    _function, name="autograd_function", where="", vjp=none("written by the user"), samples=[]
)


def once_differentiable(function):
    """Mark a backward that cannot itself be differentiated."""

    @functools.wraps(function)
    def wrapped(ctx, *grads):
        previous, STATE.grad = STATE.grad, False
        try:
            return function(ctx, *grads)
        finally:
            STATE.grad = previous

    return wrapped
