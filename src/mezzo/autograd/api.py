"""backward and grad, and what Tensor gets from differentiation: grad, grad_fn, hooks."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from mezzo.autograd import engine
from mezzo.core import late
from mezzo.core.state import STATE
from mezzo.core.tape import Auto, Handle, edge, lend
from mezzo.core.tensor import Tensor, tensor_method
from mezzo.errors import ArgumentTypeError, ArgumentValueError, GradientError
from mezzo.ops.create import fill_new, zeros_like
from mezzo.ops.join import stack


def _many(value) -> tuple:
    return (value,) if isinstance(value, Tensor) or value is None else tuple(value)


def _seeds(outputs: Sequence[Tensor], grads, operation: str, create: bool) -> list[Tensor]:
    """The incoming gradients: given, or one for a scalar."""
    grads = _many(grads) if grads is not None else (None,) * len(outputs)
    if len(grads) != len(outputs):
        raise GradientError(
            f"{operation}: got {len(outputs)} tensors and {len(grads)} gradients; the counts must match."
        )
    seeds = []
    for out, grad in zip(outputs, grads):
        if grad is None:
            if out.layout.numel != 1:
                raise GradientError(
                    f"{operation}: grad can be implicitly created only for scalar outputs, and this one has shape "
                    f"{list(out.shape)}. Reduce it first (loss.mean().backward()), or pass gradient=."
                )
            grad = fill_new(tuple(out.shape), out.dtype, out.device, 1)
        elif tuple(grad.shape) != tuple(out.shape):
            raise GradientError(
                f"{operation}: Mismatch in shape: the gradient has shape {list(grad.shape)} and the output {list(out.shape)}."
            )
        else:
            lend(grad)
        seeds.append(grad)
    return seeds


def backward(
    tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None
) -> None:
    """Accumulate the gradients of `tensors` into the .grad of the leaves (or of `inputs` alone).

    Raises: GradientError if nothing requires grad, or the graph was freed
    Source: torch.autograd.backward
    """
    outputs = _many(tensors)
    roots = [engine.edge_of(t, "backward") for t in outputs]
    seeds = _seeds(outputs, grad_tensors, "backward", create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        engine.run(roots, seeds, keep=keep, create=create_graph, wanted=None)
        return
    leaves = _many(inputs)
    if not leaves:
        raise GradientError("backward: inputs cannot be empty. Leave it out to reach every leaf.")
    found = _wanted_run(roots, seeds, leaves, keep, create_graph, "backward")
    for i, leaf in enumerate(leaves):
        if i in found:
            engine.accumulate(leaf, found[i], create_graph)


def _wanted_run(roots, seeds, inputs, keep, create, operation) -> dict:
    wanted: dict = {}
    where = []
    for tensor in inputs:
        if not isinstance(tensor, Tensor):
            raise ArgumentTypeError(
                f"{operation}: inputs must be tensors, not {type(tensor).__name__}."
            )
        found = edge(tensor)
        if found is None:
            raise GradientError(
                f"{operation}: One of the differentiated Tensors does not require grad. Set requires_grad=True."
            )
        wanted.setdefault(found, found)
        where.append(found)
    results = engine.run(roots, seeds, keep=keep, create=create, wanted=wanted)
    return {i: results[w] for i, w in enumerate(where) if w in results}


def _batched_grads(outputs, inputs, grad_outputs, retain_graph, options) -> tuple:
    """One backward pass for each entry of the first axis of grad_outputs, and the gradients stacked."""
    seeds = _many(grad_outputs) if grad_outputs is not None else ()
    counts = {s.shape[0] for s in seeds if isinstance(s, Tensor) and s.ndim}
    if len(counts) != 1:
        raise ArgumentValueError(
            f"grad: is_grads_batched=True needs grad_outputs with one common size along their first axis, and got "
            f"{sorted(counts)}. Leave it out for a single gradient."
        )
    (count,), rows = counts, []
    for i in range(count):
        keep = True if i < count - 1 else retain_graph
        entry = [None if s is None else s[i] for s in seeds]
        rows.append(grad(outputs, inputs, entry, keep, *options))
    return tuple(None if column[0] is None else stack(column) for column in zip(*rows))


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, only_inputs=True,
         allow_unused=None, is_grads_batched=False, materialize_grads=False):  # fmt: skip
    """The gradients of the outputs (their sum, weighted by grad_outputs) with respect to the inputs, as a tuple.

    is_grads_batched: grad_outputs have one more axis in front, and so have the gradients: one for each of its
    entries. only_inputs is ignored.
    Raises: GradientError if an input does not take part and allow_unused is not set
    Source: torch.autograd.grad
    """
    outputs, inputs = _many(outputs), _many(inputs)
    if not only_inputs:
        warnings.warn(
            "grad: only_inputs is deprecated and ignored. Call backward() to accumulate into every leaf.",
            FutureWarning,
            stacklevel=2,
        )
    if is_grads_batched:
        options = (create_graph, True, allow_unused, False, materialize_grads)
        return _batched_grads(outputs, inputs, grad_outputs, retain_graph, options)
    roots = [engine.edge_of(t, "grad") for t in outputs]
    seeds = _seeds(outputs, grad_outputs, "grad", create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    found = _wanted_run(roots, seeds, inputs, keep, create_graph, "grad")
    results = []
    for i, tensor in enumerate(inputs):
        value = found.get(i)
        if value is None and materialize_grads:
            value = zeros_like(tensor)
        elif value is None and not allow_unused:
            raise GradientError(
                "grad: One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior; its gradient is then None."
            )
        results.append(value if value is None else engine.fitted(value, tensor.layout))
    return tuple(results)


@tensor_method
def backward_(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Accumulate the gradient of this tensor into the leaves' .grad. Source: torch.Tensor.backward"""
    backward(self, gradient, retain_graph, create_graph, inputs)


Tensor.backward = backward_
del Tensor.backward_


def _get_grad(self):
    if STATE.stack and (tracer := late.tracer()) is not None:
        tracer.grad_looked_at(self)
    return self.auto.grad if self.auto is not None else None


def _set_grad(self, value) -> None:
    if value is not None:
        if not isinstance(value, Tensor):
            raise ArgumentTypeError(
                f"grad: got {type(value).__name__}; it must be a Tensor or None."
            )
        if tuple(value.shape) != tuple(self.shape):
            raise GradientError(
                f"grad: assigned grad has shape {list(value.shape)}; it must be {list(self.shape)}."
            )
    if self.auto is None:
        self.auto = Auto()
    if STATE.stack and (tracer := late.tracer()) is not None:
        tracer.grad_assigned(self)
    self.auto.grad = value


def _del_grad(self) -> None:
    _set_grad(self, None)


def _grad_fn(self):
    if STATE.stack is None:
        return None
    found = edge(self)
    return found[0] if found is not None and self.auto.node is not None else None


def _is_leaf(self) -> bool:
    if self.base is not None:
        edge(self)
    return self.auto is None or self.auto.node is None


Tensor.grad = property(_get_grad, _set_grad, _del_grad, doc="The accumulated gradient, or None.")
Tensor.grad_fn = property(_grad_fn, doc="The node that made this tensor, or None for leaves.")
Tensor.is_leaf = property(_is_leaf, doc="True if no recorded operation made this tensor.")
Tensor.retains_grad = property(
    lambda self: self.auto is not None and self.auto.retains,
    doc="True if .grad is kept though this is no leaf.",
)


@tensor_method
def register_hook(self, hook):
    """Call hook(grad) when the gradient of this tensor is known; may return a replacement."""
    if not self.requires_grad:
        raise GradientError(
            "register_hook: cannot register a hook on a tensor that doesn't require gradient."
        )
    self.auto.hooks = self.auto.hooks if self.auto.hooks is not None else {}
    _watch(self)
    return Handle(self.auto.hooks, hook)


@tensor_method
def register_post_accumulate_grad_hook(self, hook):
    """Call hook(tensor) after .grad of this leaf was updated."""
    if not self.is_leaf:
        raise GradientError(
            "register_post_accumulate_grad_hook: only leaf tensors accumulate a gradient."
        )
    self.auto.post_hooks = self.auto.post_hooks if self.auto.post_hooks is not None else {}
    return Handle(self.auto.post_hooks, hook)


@tensor_method
def retain_grad(self):
    """Keep .grad of this tensor though it is no leaf."""
    if not self.requires_grad:
        raise GradientError(
            "retain_grad: can't retain_grad on Tensor that has requires_grad=False."
        )
    if not self.is_leaf:
        self.auto.retains = True
        _watch(self)


def _watch(tensor: Tensor) -> None:
    node = tensor.auto.node
    if node is None:
        return
    node.metadata = node.metadata if node.metadata is not None else {}
    watchers = node.metadata.setdefault(tensor.auto.slot, [])
    if tensor.auto not in watchers:
        watchers.append(tensor.auto)
