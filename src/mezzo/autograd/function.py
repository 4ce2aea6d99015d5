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
        self._forward: tuple | None = None
        self._versions: tuple = ()
        self._dirty: tuple = ()
        self._not_differentiable: tuple = ()
        self._materialize = True
        self._in_jvp = False
        self.needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors) -> None:
        """Keep tensors (inputs or outputs of forward) for backward."""
        self._saved = tensors

    def save_for_forward(self, *tensors) -> None:
        """Keep tensors for jvp, where saved_tensors gives them."""
        self._forward = tensors

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
        if self._in_jvp and self._forward is not None:
            return self._forward
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
                    f"saved_tensors of shape {list(tensor.shape)}, changed by {getattr(tensor.storage, 'writer', None)}."
                )
        return self._saved


class Function:
    """Subclass with static forward(ctx, ...) and backward(ctx, *grads); call through apply.

    forward may also leave out ctx if setup_context(ctx, inputs, output) is defined: that form nests in every transform.
    Under vmap one of: generate_vmap_rule = True (forward and backward are batched as any function), a static
    vmap(info, in_dims, *args) that returns (outputs, out_dims), or neither: then examples run one by one, with a warning.
    A static jvp(ctx, *tangents) is used in forward mode; without it, forward mode transposes backward.
    Source: torch.autograd.Function
    """

    generate_vmap_rule = False

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

    @staticmethod
    def jvp(ctx, *tangents):
        """The directional derivative, for forward mode."""
        raise GradientError(
            "Function: you must implement the jvp function for custom autograd.Function."
        )

    @staticmethod
    def vmap(info, in_dims, *args):
        """(outputs, out_dims) for arguments that carry a batch on in_dims; info has batch_size and randomness."""
        raise GradientError(
            "Function: you must implement the vmap function, or set generate_vmap_rule."
        )

    setup_context = None

    @classmethod
    def apply(cls, *args, **kwargs):
        """Run forward, recorded so that backward of this class is its derivative."""
        for interpreter in reversed(STATE.stack):
            takes = getattr(interpreter, "call_function", None)
            if takes is not None and interpreter.owns(args):
                return takes(cls, args, kwargs)
        return call(cls, args, kwargs)


def has_own(cls, name: str) -> bool:
    """True if a user's Function defines this method."""
    return getattr(cls, name) is not getattr(Function, name)


def context(cls, args: tuple, wants: set) -> FunctionCtx:
    """A new ctx of a call; wants: the positions of the arguments that want a gradient."""
    ctx = type(cls.__name__ + "Backward", (FunctionCtx,), {})()
    ctx.needs_input_grad = tuple(i in wants for i in range(len(args)))
    return ctx


def call(cls, args: tuple, kwargs: dict):
    """Run forward without its operations on the tape, then the class as one node."""
    tensors = [(i, a) for i, a in enumerate(args) if isinstance(a, Tensor)]
    wants = {i for i, a in tensors if STATE.grad and tape.requires_grad(a)}
    ctx = context(cls, args, wants)
    previous, STATE.grad = STATE.grad, False
    try:
        if cls.setup_context is None:
            outs = cls.forward(ctx, *args, **kwargs)
        else:
            outs = cls.forward(*args, **kwargs)
            cls.setup_context(ctx, args, outs)
    finally:
        STATE.grad = previous
    return record_call(cls, ctx, args, outs, wants, by_backward) if wants else outs


def record_call(cls, ctx, args: tuple, outs, wants: set, rule):
    """Put the node of a call on the tape; rule(cls, ctx, node, grads) -> {position: gradient}."""
    for kept in ctx._saved:
        if kept is not None and kept.storage is not None:
            kept.storage.saved = True
    ctx._versions = tuple(
        t.storage.version if t is not None and t.storage is not None else 0 for t in ctx._saved
    )
    single = isinstance(outs, Tensor)
    many = [outs] if single else list(outs)
    edges = tuple((i, *tape.edge(args[i])) for i in sorted(wants))
    node = tape.kind_called(f"{cls.__name__}Backward")(
        _FUNCTION, tuple(a.layout if isinstance(a, Tensor) else None for a in args), edges
    )
    node.versions, node.multiple, node.needs_out = (), True, False
    node.rule = functools.partial(rule, cls, ctx)
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


def by_backward(cls, ctx, node, grads) -> dict:
    if ctx._materialize:
        grads = tuple(
            zeros(tuple(x.shape), dtype=x.dtype, device=x.device) if g is None else g
            for g, x in zip(grads, node.layouts)
        )
    tape.lend(*grads)  # the user's code may keep what it gets, and return what it keeps
    results = cls.backward(ctx, *grads)
    results = results if isinstance(results, tuple) else (results,)
    tape.lend(*results)
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


def _differentiated_twice(inputs):
    """The gradients of a backward that is marked as once differentiable."""


def _refuse_twice(_g, _y, _inputs):
    raise GradientError(
        "trying to differentiate twice a function that was marked with @once_differentiable. Write its backward with "
        "differentiable operations and take the mark away; for forward mode define jvp."
    )


_TWICE = _FunctionRecord(_differentiated_twice, where="", vjp={"inputs": _refuse_twice}, samples=[])
_TWICE.operands = (0,)


def once_differentiable(function):
    """Mark a backward that cannot itself be differentiated: trying to raises.

    Source: torch.autograd.function.once_differentiable
    """

    @functools.wraps(function)
    def wrapped(ctx, *grads):
        previous, STATE.grad = STATE.grad, False
        try:
            outs = function(ctx, *grads)
        finally:
            STATE.grad = previous
        if not previous:
            return outs
        reads = [t for t in (*grads, *ctx._saved) if isinstance(t, Tensor)]
        if isinstance(outs, tuple):
            return tuple(_blocked(o, reads) for o in outs)
        return _blocked(outs, reads)

    return wrapped


def _blocked(out, reads: list):
    """out with a node that refuses to be differentiated, at every level where what it was made from is tracked."""
    if not isinstance(out, Tensor):
        return out
    made = tape.alias(out)
    if out.level is not None:
        made.value = _blocked(out.value, [t.value if t.level is out.level else t for t in reads])
    tape.attach(_TWICE, (tuple(reads),), made)
    return made
