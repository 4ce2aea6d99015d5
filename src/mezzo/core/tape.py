"""The tape: what a recorded operation leaves behind for the backward pass.

A Node holds the record, what its derivative needs of the arguments, and edges to the nodes that made
them. The engine that walks nodes is in autograd/; this file only writes them.
"""

from __future__ import annotations

import itertools
import weakref

from mezzo.core.state import STATE
from mezzo.core.storage import INFERENCE, mark_written
from mezzo.core.tensor import Tensor, view
from mezzo.errors import GradientError

_count = itertools.count()


class Auto:
    """Gradient state of a tensor: leaf flag, .grad, or the node and output slot that made it."""

    __slots__ = ("__dict__", "node", "requires_grad", "slot")

    # What leaves and watched tensors have; the result of a call has none of it, and pays for none.
    grad = hooks = accumulate = post_hooks = None
    retains, generation = False, 0

    def __init__(self, requires_grad=False, node=None, slot=0):
        self.requires_grad, self.node, self.slot = requires_grad, node, slot


class Node:
    """One recorded call. edges: for each differentiable operand (position, node, slot)."""

    __slots__ = (
        "__dict__",
        "__weakref__",
        "args",
        "edges",
        "layouts",
        "needs_out",
        "order",
        "outs",
        "record",
        "versions",
    )

    # Rarely set, so they cost nothing when a node is made.
    multiple = lasting = False  # lasting: never freed, as forward mode goes back to it
    hooks = pre_hooks = rule = metadata = None

    def __init__(self, record, args: tuple, edges: tuple):
        self.record, self.args, self.edges = record, args, edges
        self.order = next(_count)

    def name(self) -> str:
        """The name PyTorch would give: AddBackward0 for add. It is the name of the node's class too."""
        return type(self).__name__

    @property
    def freed(self) -> bool:
        """Whether a backward pass has let go of what was saved: there are no versions to look at any more."""
        return self.versions is None

    @property
    def next_functions(self):
        """(node, slot) for each operand that takes part."""
        return tuple((node, slot) for _, node, slot in self.edges)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"

    def register_hook(self, hook):
        """Call hook(grad_inputs, grad_outputs) after this node's derivative."""
        self.hooks = self.hooks or {}
        return Handle(self.hooks, hook)

    def register_prehook(self, hook):
        """Call hook(grad_outputs) before this node's derivative; may return replacements."""
        self.pre_hooks = self.pre_hooks or {}
        return Handle(self.pre_hooks, hook)


_KINDS: dict[str, type[Node]] = {}


def kind_of(record, args: tuple) -> type[Node]:
    """The class of a call's node, named as PyTorch names it."""
    name = record.grad_name
    if callable(name):
        return kind_called(name(args))
    record.node_kind = kind_called(name)
    return record.node_kind


def kind_called(name: str) -> type[Node]:
    """The class of nodes of this name."""
    found = _KINDS.get(name)
    if found is None:
        found = _KINDS[name] = type(name, (Node,), {"__slots__": ()})
    return found


class Accumulate:
    """The end of a path: adds what arrives to a leaf's .grad."""

    __slots__ = ("__weakref__", "hooks", "order", "variable")

    def __init__(self, variable: Tensor):
        self.variable = variable
        self.order = next(
            _count
        )  # made before every node that uses the leaf: served when all of them are done
        self.hooks = None

    def name(self) -> str:
        """PyTorch's name."""
        return "AccumulateGrad"

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"

    next_functions = ()


Accumulate.__name__ = Accumulate.__qualname__ = "AccumulateGrad"


class Handle:
    """What registering a hook returns: remove() takes the hook out again."""

    __slots__ = ("_hooks", "id")
    _ids = itertools.count()

    def __init__(self, hooks: dict, hook):
        self._hooks, self.id = hooks, next(Handle._ids)
        hooks[self.id] = hook

    def remove(self) -> None:
        """Remove the hook; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.remove()


class View:
    """How a tensor views another: the root and the calls that lead from it. generation: see refresh.

    multiple: one of several views that one call made (split, unbind), which must not be written in place.
    """

    __slots__ = ("chain", "generation", "multiple", "root")

    def __init__(self, root: Tensor, chain: tuple, multiple: bool = False):
        self.root, self.chain, self.multiple = root, chain, multiple
        self.generation = root.auto.generation if root.auto is not None else 0


def requires_grad(tensor: Tensor) -> bool:
    """True if gradients flow to this tensor."""
    if tensor.base is not None:
        refresh(tensor)
    auto = tensor.auto
    return auto is not None and (auto.requires_grad or auto.node is not None)


def refresh(tensor: Tensor) -> None:
    """Rebuild the history of a view whose root was written in place since."""
    info = tensor.base
    root = info.root.auto
    if root is None or root.generation == info.generation:
        return
    info.generation = root.generation
    grad, STATE.grad = STATE.grad, True
    try:
        replayed = info.root
        for record, args in info.chain:
            replayed = record.trail((replayed, *args))
    finally:
        STATE.grad = grad
    kept = tensor.auto
    tensor.auto = replayed.auto
    if kept is not None and tensor.auto is not None:
        tensor.auto.hooks, tensor.auto.retains = kept.hooks, kept.retains


def edge(tensor: Tensor):
    """(node, slot) where the tensor's gradient goes, or None."""
    if tensor.base is not None:
        refresh(tensor)
    auto = tensor.auto
    if auto is None:
        return None
    if auto.node is not None:
        return auto.node, auto.slot
    if not auto.requires_grad:
        return None
    return leaf_end(tensor, auto), 0


def leaf_end(tensor: Tensor, auto: Auto) -> Accumulate:
    """Where the gradients of a leaf end: one object as long as a node leads to it."""
    known = auto.accumulate
    if known is not None and (node := known()) is not None:
        return node
    node = Accumulate(tensor)
    auto.accumulate = weakref.ref(node)
    return node


def attach(record, args: tuple, outs) -> None:
    """Write a node for a call if gradients are on, the record has a derivative and an operand wants one.

    outs is a Tensor or a tuple of them; those of a dtype without gradients stay outside.
    """
    if STATE.grad:
        node = prepare(record, args)
        if node is not None:
            finish(node, outs)


def prepare(record, args: tuple) -> Node | None:
    """The node of a call, before the call ran (an in-place call overwrites what it saves)."""
    if not STATE.grad or record.no_gradient:
        return None
    edges = []
    for position in record.operands:
        value = args[position]
        if isinstance(value, Tensor):
            auto = value.auto
            if value.base is not None:
                found = edge(value)
            elif auto is None:
                continue
            elif auto.node is not None:
                edges.append((position, auto.node, auto.slot))
                continue
            elif not auto.requires_grad:
                continue
            else:
                edges.append((position, leaf_end(value, auto), 0))
                continue
            if found is not None:
                edges.append((position, *found))
        elif isinstance(value, (tuple, list)):
            for i, item in enumerate(value):
                found = edge(item) if isinstance(item, Tensor) else None
                if found is not None:
                    edges.append(((position, i), *found))
    if not edges:
        return None
    node = (record.node_kind or kind_of(record, args))(record, args, tuple(edges))
    wanted = tuple([e[0] for e in edges])
    keep, node.needs_out = record.saved_known.get(wanted) or record.saved(wanted)
    node.versions = ()
    if keep is None:
        node.args = tuple([a.layout if isinstance(a, Tensor) else a for a in args])
    else:
        _save(node, keep)
    return node


def _save(node: Node, keep: frozenset) -> None:
    saved, versions = list(node.args), []
    for position in node.record.operands:
        value = saved[position]
        if value is None:
            continue
        if isinstance(value, Tensor):
            if position not in keep:
                saved[position] = value.layout
            elif value.storage is not None:
                version = value.storage.version
                if version == INFERENCE:
                    _keep(value, node, versions)
                else:
                    value.storage.saved = True
                    versions.append((value, version))
        elif isinstance(value, (tuple, list)):
            saved[position] = tuple(
                (_keep(v, node, versions) if position in keep else v.layout)
                if isinstance(v, Tensor)
                else v
                for v in value
            )
    node.args, node.versions = tuple(saved), versions


def _keep(tensor: Tensor, node: Node, versions: list) -> Tensor:
    storage = tensor.storage
    if storage is not None:
        if storage.version == INFERENCE:
            if STATE.inference or tensor.level is not None:  # a level's tape, in inference_mode
                return tensor
            raise GradientError(
                f"{node.record.name}: inference tensors cannot be saved for backward. Make the tensor outside "
                "inference_mode(), or clone() it outside."
            )
        storage.saved = True
        versions.append((tensor, storage.version))
    return tensor


def finish(node: Node, outs) -> None:
    """Tie the outputs to their node; keep those that the derivative reads."""
    if isinstance(outs, Tensor):
        many = (outs,)
        node.layouts = (outs.layout,)
        if outs.auto is None and not node.needs_out and not node.record.no_gradient_outputs:
            node.outs = node.layouts  # the usual call, the short way
            if outs.layout.dtype.category >= 2:
                outs.auto = Auto(False, node, 0)
            return
    else:
        many, node.multiple = outs, True
        node.layouts = tuple([o.layout for o in many])
    blocked = node.record.no_gradient_outputs
    for slot, out in enumerate(many):
        if out.layout.dtype.category >= 2 and slot not in blocked:
            if out.auto is None:
                out.auto = Auto(False, node, slot)
            else:
                out.auto.node, out.auto.slot, out.auto.requires_grad = node, slot, False
    if node.needs_out:
        # An alias without the node: else node and output would keep each other alive.
        saved = node.record.saved_outputs
        node.outs = tuple(
            [alias(o) if saved is None or i in saved else o.layout for i, o in enumerate(many)]
        )
        versions = [(t, v) for t, v in node.versions if not any(t is o for o in many)]
        for kept in node.outs:
            if isinstance(kept, Tensor) and kept.storage is not None:
                kept.storage.saved = True
                versions.append((kept, kept.storage.version))
        node.versions = versions
    else:
        node.outs = node.layouts


def lend(*grads) -> None:
    """Note that somebody beside the engine holds these gradients: a .grad, a hook, the user's code."""
    for grad in grads:
        if isinstance(grad, Tensor) and grad.storage is not None:
            grad.storage.lent = True


def alias(tensor: Tensor) -> Tensor:
    """The same memory without gradient state."""
    return tensor.detached() if hasattr(tensor, "detached") else view(tensor, tensor.layout)


def check_inplace(operation: str, target: Tensor) -> None:
    """Refuse writing in place where the gradient would be lost."""
    frozen = target.storage is not None and target.storage.version == INFERENCE
    if frozen and not STATE.inference and target.level is None:
        raise GradientError(
            f"{operation}: in-place update of an inference tensor outside inference_mode() is not allowed. "
            "Make a normal tensor by calling clone() first."
        )
    if not STATE.grad:
        return
    if target.auto is not None and target.auto.requires_grad and target.auto.node is None:
        raise GradientError(
            f"{operation}: a leaf Variable that requires grad is being used in an in-place operation. "
            "Write y = x + 1 instead of x += 1, or do it under no_grad() if it must not be differentiated."
        )
    if target.base is not None:
        root = target.base.root.auto
        if target.base.multiple and requires_grad(target):
            refuse_multiple(operation, target)
        if root is not None and root.requires_grad and root.node is None:
            raise GradientError(
                f"{operation}: a view of a leaf Variable that requires grad is being used in an in-place operation. "
                "Work on a clone(), or do it under no_grad()."
            )


def refuse_multiple(operation: str, target: Tensor) -> None:
    """Raise: the gradient of one of several views cannot be replaced in the call that made them all."""
    node = target.auto.node if target.auto is not None else None
    made = f"Output {target.auto.slot} of {node.name()}" if node is not None else "The tensor"
    raise GradientError(
        f"{operation}: {made} is a view and is being modified inplace. This view is the output of a function that "
        "returns multiple views (split, chunk, unbind), whose derivative is that of all of them together. Write the "
        "operation out of place, or edit a slice of the original tensor."
    )


def wrote(operation: str, target: Tensor, node: Node | None) -> None:
    """After an in-place call: raise the version, and put the node into the history of target and its root."""
    mark_written(target.storage, operation)
    if target.base is not None and (node is not None or requires_grad(target)):
        if target.base.multiple and STATE.grad:
            refuse_multiple(operation, target)
        if STATE.grad:
            _rebase_view(target, node)
        return
    if node is not None:
        _set_history(target, node)


def _set_history(target: Tensor, node: Node) -> None:
    renew(target)
    finish(node, target)


def renew(target: Tensor) -> None:
    """An empty history for a tensor written in place; its views notice by the generation."""
    generation = target.auto.generation if target.auto is not None else 0
    fresh = Auto()
    if target.auto is not None:
        fresh.hooks = None
        fresh.retains = target.auto.retains
    fresh.generation = generation + 1
    target.auto = fresh


def _rebase_view(target: Tensor, node: Node | None) -> None:
    """root := root with the viewed part replaced by what the in-place call computed."""
    piece = alias(target)
    if node is not None:
        finish(node, piece)
    replace_viewed(target, piece)


def replace_viewed(target: Tensor, piece: Tensor) -> None:
    """The history of a view's root after the viewed part became `piece`: everyone who views it follows."""
    info = target.base
    root = info.root
    before = alias(root)
    before.auto = root.auto
    scatter = prepare(VIEW_SCATTER[0], (before, piece, info.chain))
    if scatter is None:
        return
    _set_history(root, scatter)
    info.generation = -1
    refresh(target)


VIEW_SCATTER: list = []  # the record of ops/shape.py that writes a view back; set there, once
