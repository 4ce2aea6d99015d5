"""The backward pass: nodes in order of their making, newest first, each derivative once.

A heap replaces recursion, so graphs may be as deep as memory allows. Derivative rules call public
operations: with create_graph the backward pass is itself recorded.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from mezzo.core import late
from mezzo.core.layout import Layout
from mezzo.core.state import STATE
from mezzo.core.tape import Accumulate, Auto, Node, alias, edge, lend
from mezzo.core.tensor import Tensor
from mezzo.errors import GradientError
from mezzo.ops.copy import cast
from mezzo.ops.shape import sum_to


def run(
    roots: Sequence[tuple],
    grads: Sequence[Tensor],
    *,
    keep: bool,
    create: bool,
    wanted: dict | None,
) -> dict:
    """Walk from the roots (node, slot) with their incoming gradients.

    wanted: {(node, slot): key} whose gradients are returned instead of accumulated into leaves;
    None accumulates into every leaf.
    """
    pending: dict[object, list] = {}
    heap: list[tuple[int, int, object]] = []
    found: dict = {}
    useful = _reaching(roots, wanted) if wanted is not None else None

    def arrive(node, slot: int, grad: Tensor) -> None:
        slots = pending.get(node)
        if slots is None:
            slots = pending[node] = [None] * (
                1 if node.__class__ is Accumulate else len(node.layouts)
            )
            heapq.heappush(heap, (-node.order, id(node), node))
        have = slots[slot]
        slots[slot] = grad if have is None else have + grad

    previous, STATE.grad = STATE.grad, create
    try:
        for (node, slot), grad in zip(roots, grads):
            arrive(node, slot, grad)
        while heap:
            _, _, node = heapq.heappop(heap)
            slots = pending.pop(node)
            if wanted is not None:
                for slot, grad in enumerate(slots):
                    if (node, slot) in wanted and grad is not None:
                        found[wanted[node, slot]] = _hooked(node, slot, grad)
                        slots[slot] = found[wanted[node, slot]]
            if node.__class__ is Accumulate:
                if wanted is None:
                    accumulate(node.variable, slots[0], create)
                continue
            if not node.__dict__ and wanted is None and node.record.quick_joint is None:
                _plain(node, slots[0], keep, pending, heap)
                continue
            if useful is not None and node not in useful:
                continue
            if node.__dict__ and node.metadata is not None:
                slots = [
                    g
                    if g is None or (wanted is not None and (node, i) in wanted)
                    else _hooked(node, i, g)
                    for i, g in enumerate(slots)
                ]
            for to, slot, grad in derivative(node, slots, keep):
                if grad is not None and (useful is None or to in useful or (to, slot) in wanted):
                    arrive(to, slot, grad)
    finally:
        STATE.grad = previous
    return found


def _reaching(roots, wanted: dict) -> set:
    """Nodes from which something wanted can be reached (iteratively: graphs are deep)."""
    targets = {node for node, _ in wanted}
    order, seen, stack = [], set(), [node for node, _ in roots]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        order.append(node)
        if isinstance(node, Node):
            stack.extend(to for _, to, _ in node.edges)
    useful: set = set()
    for node in sorted(order, key=lambda n: n.order if isinstance(n, Node) else -1):
        if isinstance(node, Node) and any(to in useful or to in targets for _, to, _ in node.edges):
            useful.add(node)
    return useful | targets


def _hooked(node, slot: int, grad: Tensor) -> Tensor:
    """The gradient after the tensor hooks of this output; keeps it where retain_grad asked."""
    watchers = node.metadata if isinstance(node, Node) else None
    for auto in (watchers or {}).get(slot, ()):
        grad = apply_hooks(auto, grad)
        if auto.retains:
            auto.grad = owned(grad, STATE.grad) if auto.grad is None else auto.grad + grad
    return grad


def apply_hooks(auto: Auto, grad: Tensor) -> Tensor:
    """Run a tensor's hooks on its gradient; a hook may return a replacement."""
    for hook in list((auto.hooks or {}).values()):
        lend(grad)  # the hook may keep it, or return what it keeps
        replaced = hook(grad)
        if replaced is not None:
            grad = replaced
            lend(grad)
    return grad


def accumulate(variable: Tensor, grad: Tensor, create: bool) -> None:
    """Add a gradient to a leaf's .grad."""
    auto = variable.auto
    if auto is None:
        return
    if grad.level is not None and grad.level is not variable.level:
        raise GradientError(
            f"backward: inside {grad.level.name} it reached a tensor from outside, whose .grad would hold a value that has "
            "no meaning there. Use mezzo.func.grad, or mezzo.autograd.grad(loss, inputs), which return the gradients."
        )
    if grad.layout is not variable.layout:
        grad = fitted(grad, variable.layout)
    if auto.hooks:
        grad = apply_hooks(auto, grad)
    if STATE.stack and (tracer := late.tracer()) is not None:
        tracer.grad_looked_at(variable)
    if auto.grad is None:
        auto.grad = owned(grad, create)
    elif create:
        auto.grad = auto.grad + grad
    else:
        auto.grad.add_(grad)
    if auto.post_hooks:
        for hook in list(auto.post_hooks.values()):
            hook(variable)


def owned(grad: Tensor, create: bool) -> Tensor:
    """The gradient as .grad may keep it: in memory of its own, since .grad is written in place.

    Two leaves may be sent the same gradient (of a + b), and so may a leaf and the user who gave or watched it.
    """
    storage = grad.storage
    is_free = storage is not None and not getattr(storage, "lent", False)
    if create:
        grad = grad if is_free or storage is None else cast(grad)
    elif (
        not is_free
        or grad.auto is not None
        or grad.base is not None
        or not grad.layout.is_contiguous
    ):
        grad = alias(cast(grad))
    if grad.storage is not None:
        grad.storage.lent = True
    return grad


def fitted(grad: Tensor, want: Layout) -> Tensor:
    """A gradient summed over broadcast axes and in the operand's dtype."""
    if grad.layout.shape != want.shape:
        grad = sum_to(grad, tuple(want.shape))
    return grad if grad.layout.dtype is want.dtype else cast(grad, want.dtype)


def _plain(node: Node, g: Tensor, keep: bool, pending: dict, heap: list) -> None:
    """derivative() and arrive() in one, for a node with one result and no hooks, of a record with a rule for each
    argument: what most are, and Python's calls are what a small one costs.
    """
    versions = node.versions
    if versions is None:
        unpack(node)
    for tensor, version in versions:
        if tensor.storage.version != version:
            unpack(node)
    y = unpack(node)[0] if node.needs_out else node.outs[0]
    if STATE.anomaly or node.edges[0][0].__class__ is not int:
        found = _by_record(node, g, y)
        if STATE.anomaly:
            _refuse_nan(node, found)
    else:
        args, rules, found = node.args, node.record.quick_vjps, []
        for position, to, slot in node.edges:
            rule = rules.get(position)
            if rule is None:
                _refuse_argument(node.record, position)
            grad = rule(g, y, *args)
            if grad is not None:
                operand = args[position]
                want = operand if operand.__class__ is Layout else operand.layout
                found.append((to, slot, grad if grad.layout is want else fitted(grad, want)))
    if not keep:
        node.args, node.outs, node.versions = (), node.layouts, None
    for to, slot, grad in found:
        slots = pending.get(to)
        if slots is None:
            slots = [None] if to.__class__ is Accumulate else [None] * len(to.layouts)
            pending[to] = slots
            heapq.heappush(heap, (-to.order, id(to), to))
        have = slots[slot]
        slots[slot] = grad if have is None else have + grad


def derivative(node: Node, grads: list, keep: bool) -> list:
    """[(node, slot, gradient)] for each edge of a node."""
    special = node.__dict__  # hooks, several results, a rule of its own: most nodes have none of it
    if special and node.pre_hooks:
        lend(*grads)
        for hook in list(node.pre_hooks.values()):
            replaced = hook(tuple(grads))
            if replaced is not None:
                grads = list(replaced if isinstance(replaced, tuple) else (replaced,))
                lend(*grads)
    outs = unpack(node)
    g, y = (tuple(grads), outs) if special and node.multiple else (grads[0], outs[0])
    if special and node.rule is not None:
        found = _for_edges(node, node.rule(node, g))
    else:
        found = _by_record(node, g, y)
    if STATE.anomaly:
        _refuse_nan(node, found)
    if special and node.hooks:
        for hook in list(node.hooks.values()):
            lend(*grads, *[grad for _, _, grad in found])
            replaced = hook(tuple(grad for _, _, grad in found), tuple(grads))
            if replaced is not None:
                new = replaced if isinstance(replaced, tuple) else (replaced,)
                lend(*new)
                found = [(to, slot, n) for (to, slot, _), n in zip(found, new)]
    if not keep and not (special and node.lasting):
        node.args, node.outs, node.versions = (), node.layouts, None
        if special:
            node.rule = None  # and what it holds
    return found


def _by_record(node: Node, g, y) -> list:
    """What the rules of a node's record send along its edges."""
    record, args = node.record, node.args
    joint = record.quick_joint
    if joint is not None:
        made = joint(g, y, *args)
        made = made if isinstance(made, (tuple, list)) else (made,)
        return _for_edges(node, dict(zip(record.operands, made)))
    rules, results, found = record.quick_vjps, None, []
    for position, to, slot in node.edges:
        if position.__class__ is int:
            rule, operand = rules.get(position), args[position]
            if rule is None:
                _refuse_argument(record, position)
            grad = rule(g, y, *args)
        else:
            at, i = position
            if results is None:
                results = {}
            if at not in results:
                if at not in rules:
                    _refuse_argument(record, at)
                results[at] = rules[at](g, y, *args)
            grad, operand = results[at][i], args[at][i]
        if grad is not None:
            want = operand if operand.__class__ is Layout else operand.layout
            if grad.layout is not want:
                grad = fitted(grad, want)
        found.append((to, slot, grad))
    return found


def _for_edges(node: Node, results: dict) -> list:
    args, found = node.args, []
    for position, to, slot in node.edges:
        if position.__class__ is int:
            grad, operand = results.get(position), args[position]
        else:
            at, i = position
            grad, operand = results[at][i], args[at][i]
        if grad is not None:
            want = operand if operand.__class__ is Layout else operand.layout
            if grad.layout is not want:
                grad = fitted(grad, want)
        found.append((to, slot, grad))
    return found


def _refuse_argument(record, at: int) -> None:
    raise GradientError(
        f"{record.name}: no derivative for argument '{record.names[at]}'. detach() it."
    )


def _refuse_nan(node: Node, found: list) -> None:
    """Anomaly detection: stop where a derivative gives NaN."""
    for i, (_, _, grad) in enumerate(found):
        if (
            STATE.check_nan
            and grad is not None
            and grad.level is None
            and bool(grad.ne(grad).any())
        ):
            raise GradientError(
                f"Function '{node.name()}' returned nan values in its {i}th output (the gradient of operand {i} of "
                f"{node.record.name}). Look at the values that go into {node.record.name}."
            )


def unpack(node: Node) -> tuple:
    """The outputs as the derivative reads them; raises if what the node saved was freed or overwritten."""
    versions = node.versions
    if versions is None:
        raise GradientError(
            f"{node.record.name}: trying to backward through the graph a second time, after its saved values were "
            "freed. Pass retain_graph=True to the first backward() if you need two, or compute the loss anew."
        )
    for tensor, version in versions:
        if tensor.storage.version != version:
            writer = getattr(tensor.storage, "writer", None)
            by = f" by {writer[0]} at {writer[1]}" if writer else ""
            raise GradientError(
                f"one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"{node.record.name} saved a {tensor.dtype.name}{list(tensor.shape)} at version {version}, and it is at "
                f"version {tensor.storage.version}, changed{by}. Make that write out of place, or clone() before it."
            )
    if not node.needs_out:
        return node.outs
    rebuilt = []
    for slot, out in enumerate(node.outs):
        if isinstance(out, Tensor):
            again = alias(out)
            if slot not in node.record.no_gradient_outputs and out.dtype.category >= 2:
                again.auto = Auto(node=node, slot=slot)
            out = again
        rebuilt.append(out)
    return tuple(rebuilt)


def edge_of(tensor: Tensor, operation: str):
    """(node, slot) of a tensor that requires grad; a clear error otherwise."""
    found = edge(tensor)
    if found is None:
        raise GradientError(
            f"{operation}: element 0 of tensors does not require grad and does not have a grad_fn. Set requires_grad=True on "
            "what you differentiate by, and check for detach(), no_grad() and integer dtypes on the way."
        )
    return found
