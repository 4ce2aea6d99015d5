"""Hooks of modules: the handle that removes one, and what runs them around a forward and a backward."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict

from mezzo.autograd import Function
from mezzo.core import changes
from mezzo.core.tensor import Tensor

_HANDLE_IDS = itertools.count()


class RemovableHandle:
    """Removes the hook it was given for; also a context manager that removes it on leaving.

    `also` are dictionaries that mark the same id (such as "this hook takes kwargs").
    """

    def __init__(self, hooks: dict, also: tuple[dict, ...] = ()):
        self.id = next(_HANDLE_IDS)
        self._tables = tuple(weakref.ref(table) for table in (hooks, *also))

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        changes.modules[0] += 1
        for table in self._tables:
            (table() or {}).pop(self.id, None)

    def __getstate__(self):
        return (self.id,)

    def __setstate__(self, state):
        (self.id,), self._tables = state, ()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception) -> None:
        self.remove()


class Hooks(OrderedDict):
    """Hooks by handle id, in calling order; weakly referable so that a handle keeps no module alive."""

    def add(self, hook, *, first: bool = False, marks: tuple[dict, ...] = ()) -> RemovableHandle:
        """Register `hook` and mark it in each of `marks`."""
        if not callable(hook):
            raise TypeError(f"register hook: got {hook!r}; it must be callable.")
        changes.modules[0] += 1
        handle = RemovableHandle(self, marks)
        self[handle.id] = hook
        for mark in marks:
            mark[handle.id] = True
        if first:
            self.move_to_end(handle.id, last=False)
        return handle


class _Watch(Function):
    """Passes tensors through; on the way back hands their gradients to `watcher`, which may change them."""

    @staticmethod
    def forward(ctx, watcher, *tensors):
        ctx.watcher = watcher
        ctx.set_materialize_grads(False)
        return tuple(t.view_as(t) for t in tensors)

    @staticmethod
    def backward(ctx, *grads):
        return (None, *ctx.watcher(grads))


def _watch(watcher, values: tuple) -> tuple[tuple, bool]:
    """`values` with the tensors among them watched, and whether any of them has a gradient."""
    places = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
    tensors = [values[i] for i in places]
    if not any(t.requires_grad for t in tensors):
        return values, False

    def spread(grads):
        full = [None] * len(values)
        for place, grad in zip(places, grads):
            full[place] = grad
        changed = watcher(tuple(full))
        return tuple(changed[place] for place in places)

    result = list(values)
    for place, tensor in zip(places, _Watch.apply(spread, *tensors)):
        result[place] = tensor
    return tuple(result), True


def _replacement(hook, result, old: tuple, what: str) -> tuple:
    """The gradients after a hook returned `result`: those, or the old ones for None."""
    if result is None:
        return old
    new = result if isinstance(result, tuple) else (result,)
    if len(new) != len(old):
        raise RuntimeError(
            f"backward hook {getattr(hook, '__name__', hook)!r} returned {len(new)} gradients for "
            f"{what}; it must return {len(old)}, or None to leave them as they are."
        )
    return new


class BackwardCall:
    """One forward call of a module with backward hooks: watches its inputs and its outputs.

    The gradient of the outputs arrives first (pre-hooks may change it) and is kept until the gradient
    of the inputs is complete; then the full hooks see both.
    """

    def __init__(self, module, hooks: dict, pre_hooks: dict):
        self.module, self.hooks, self.pre_hooks = (
            module,
            list(hooks.values()),
            list(pre_hooks.values()),
        )
        self.grad_output: tuple | None = None
        self.inputs = 0
        self.inputs_watched = False

    def watch_inputs(self, args: tuple) -> tuple:
        """The positional arguments, watched."""
        self.inputs = len(args)
        args, self.inputs_watched = _watch(self._on_input, args)
        return args

    def watch_outputs(self, output):
        """The module's output (a tensor, tuple or list of them), watched."""
        if not isinstance(output, Tensor | tuple | list):
            return output
        many = not isinstance(output, Tensor)
        values, _ = _watch(self._on_output, tuple(output) if many else (output,))
        if not many:
            return values[0]
        return type(output)(*values) if hasattr(output, "_fields") else type(output)(values)

    def _on_output(self, grads: tuple) -> tuple:
        for hook in self.pre_hooks:
            grads = _replacement(hook, hook(self.module, grads), grads, "grad_output")
        self.grad_output = grads
        if not self.inputs_watched:  # no input has a gradient: nothing will arrive at them
            self._run((None,) * self.inputs)
        return grads

    def _on_input(self, grads: tuple) -> tuple:
        if self.grad_output is None:
            raise RuntimeError(
                f"{type(self.module).__name__}: the gradient reached the module's inputs without "
                "passing its outputs; a full backward hook needs outputs that are Tensors."
            )
        grads = self._run(grads)
        self.grad_output = None
        return grads

    def _run(self, grads: tuple) -> tuple:
        for hook in self.hooks:
            result = hook(self.module, grads, self.grad_output)
            if result is not None and not self.inputs_watched:
                raise RuntimeError(
                    f"{type(self.module).__name__}: a backward hook returned gradients, and no input "
                    "of the module requires one; return None."
                )
            grads = _replacement(hook, result, grads, "grad_input")
        return grads
