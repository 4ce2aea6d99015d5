"""compile: a function that is traced on its first call and from then on replayed.

A call's signature is the layouts of its tensors, the values of its other arguments, and the modes (grad,
autocast, threads). Under a signature lie variants, each with guards on what else its trace read. A trace
that looks at a value runs what it has so far and goes on; such a function is traced at every call and its
stretches are remembered (lazy.py).
"""

from __future__ import annotations

import functools
import sys
import threading
import types
import warnings
import weakref
from collections.abc import Callable
from typing import ClassVar

from mezzo import dtypes
from mezzo.amp.autocast import region_for
from mezzo.compiler.guards import Guards, is_plain
from mezzo.compiler.inputs import Inputs, has_history_in_common
from mezzo.compiler.lazy import Stretches
from mezzo.compiler.trace import ReadBack, Tracer
from mezzo.compiler.variant import Backward, Variant
from mezzo.core import late, tape
from mezzo.core.layout import Layout
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError, ArgumentValueError
from mezzo.func import trees
from mezzo.kernels.cpu.contract import precision

MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
BACKENDS = ("native", "inductor", "eager")
_ALL: weakref.WeakSet = weakref.WeakSet()
KEPT = 128  # signatures whose programs are kept
LIMIT = 8  # traces of one function for reasons other than shapes with dynamic=True


class Compiled:
    """A function with its variants. limit: after so many traces it runs eagerly, with one warning."""

    limit = LIMIT
    watchers: ClassVar[list[Callable]] = []  # told (name, variant) of everything that is compiled

    def __init__(
        self, function: Callable, fullgraph: bool, dynamic: bool | None, mode: str, backend: str
    ):
        self.function, self.fullgraph, self.dynamic = function, fullgraph, dynamic
        self.mode, self.backend = mode, backend
        self.variants: dict[tuple, list[tuple[Variant, Guards]]] = {}
        self.traces, self.is_eager, self.splits = 0, backend == "eager", False
        self.reasons: list[str] = []
        self.lock = threading.RLock()
        self.stretches = Stretches()
        _ALL.add(self)

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)

    def forget(self) -> None:
        """Drop all that was traced."""
        with self.lock:
            self.variants, self.reasons, self.traces = {}, [], 0
            self.is_eager, self.splits = self.backend == "eager", False
            self.stretches = Stretches()

    def __reduce__(self):
        """Its function and how it is compiled; of a decorated function, the name it stands under."""
        name = getattr(self.function, "__qualname__", "")
        found = sys.modules.get(getattr(self.function, "__module__", ""))
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self:
            return name
        return (_again, (self.function, self.fullgraph, self.dynamic, self.mode, self.backend))

    def __call__(self, *args, **kwargs):
        if STATE.stack and (watch := getattr(STATE.stack[0], "call_compiled", None)) is not None:
            return watch(
                self, args, kwargs
            )  # a profile, which wants to see what would run without it
        if self.is_eager or (STATE.stack and not _only_precision()):
            return self.function(*args, **kwargs)
        if not kwargs and _are_flat(args):
            leaves, form = list(args), None
        else:
            leaves, form = trees.leaves((args, kwargs)), _form((args, kwargs))
        signature = _signature(leaves, form)
        if signature is None:
            return self._split(args, kwargs)
        reason = None
        for variant, guards in self.variants.get(signature, ()):
            reason = guards.changed() or variant.differs(leaves)
            if reason is None:
                return variant.run(leaves)
        return self._trace(signature, reason, leaves, args, kwargs)

    # ---- tracing

    def _trace(self, signature: tuple, reason: str | None, leaves: list, args: tuple, kwargs: dict):
        with self.lock:
            if self.splits:
                return self._split(args, kwargs)
            known = self.variants.get(signature, [])
            for variant, guards in known:  # another thread may have made it
                if guards.changed() is None and variant.differs(leaves) is None:
                    return variant.run(leaves)
            if self._is_too_many(signature, reason):
                return self.function(*args, **kwargs)
            guards = Guards(self.function, tuple(v for v in leaves if not isinstance(v, Tensor)))
            if has_history_in_common(leaves, guards.known):
                return self.function(*args, **kwargs)
            variant, result = self._specialise(leaves, args, kwargs, guards.known)
            if variant is None:
                return result
            if len(self.variants) >= KEPT:  # with dynamic=True, shapes may go on changing
                del self.variants[next(iter(self.variants))]
            self.variants.setdefault(signature, []).append((variant, guards))
            for watcher in self.watchers:
                watcher(_name(self.function), variant)
        return variant.run(leaves)

    def _is_too_many(self, signature: tuple, reason: str | None) -> bool:
        self.traces += 1
        if self.variants and not (self.dynamic and reason is None):
            self.reasons.append(reason or _what_differs(next(reversed(self.variants)), signature))
        if len(self.reasons) < self.limit:
            return False
        self.is_eager = True
        warnings.warn(
            f"compile: {_name(self.function)} was traced {self.traces} times and now runs eagerly. What kept changing: "
            f"{', '.join(dict.fromkeys(self.reasons[-3:]))}. Pass changing numbers as tensors, or dynamic=True for shapes.",
            UserWarning, stacklevel=4,
        )  # fmt: skip
        return True

    def _specialise(self, leaves: list, args: tuple, kwargs: dict, known: frozenset[int]):
        """(variant, None), or (None, the call's result) where the function cannot be replayed."""
        tracer = Tracer(None if self.fullgraph else self.stretches.flush)
        with _own_caches(), _restored(tracer):
            with tracer:
                call = Inputs(tracer, leaves, known)
                outputs = self._call(call.given, args, kwargs)
                if tracer.unlike_later and not tracer.broken_at:
                    return None, self._run_once(tracer, call, outputs)
                reason = self._why_not_replayed(tracer, call, outputs)
                if reason:
                    return None, self._settle(tracer, call, outputs, reason)
                asking = [t for t in trees.leaves(outputs) if call.asks(t)] if STATE.grad else []
                backward = None
                if asking:
                    unique = list({id(t): t for t in asking}.values())
                    backward = Backward(tracer, unique, call.given, leaves)
            if not tracer.broken_at:
                return Variant(tracer, leaves, call, outputs, backward, self.mode), None
        self.splits = True  # a hook, or a derivative, looks at values
        return None, self._split(args, kwargs)

    def _why_not_replayed(self, tracer: Tracer, call: Inputs, outputs) -> str | None:
        if tracer.broken_at:
            return f"reads a value in {tracer.broken_at[0]} at {tracer.broken_at[1]}"
        if tracer.is_volatile:
            return "writes into a tensor that it makes from data"
        if not _is_tree(outputs):
            return "returns something other than tensors, plain values, and containers of them"
        if call.rewritten():
            return "writes in place into a tensor from outside that has gradients"
        if STATE.grad and not all(call.can_ask(t) for t in trees.leaves(outputs) if call.asks(t)):
            return "returns a part of a tensor from outside that has gradients"
        return None

    def _call(self, inputs: list, args: tuple, kwargs: dict):
        filled = trees.filled((args, kwargs), inputs)
        return self.function(*filled[0], **filled[1])

    def _settle(self, tracer: Tracer, call: Inputs, outputs, reason: str):
        """Compute what a trace that cannot be replayed left open."""
        self.splits = True
        if self.fullgraph:
            raise ReadBack(
                f"compile: with fullgraph=True, {_name(self.function)} must be one graph, and it {reason}. "
                "Leave fullgraph away to have it run in parts."
            )
        return self._run_once(tracer, call, outputs)

    def _run_once(self, tracer: Tracer, call: Inputs, outputs):
        self.stretches.flush(tracer)
        tracer.keep_grads = True
        call.hand_back()
        return outputs

    def _split(self, args: tuple, kwargs: dict):
        """Trace, running stretch by stretch."""
        with self.lock:
            leaves = trees.leaves((args, kwargs))
            tracer = Tracer(self.stretches.flush)
            with _own_caches(), _restored(tracer), tracer:
                call = Inputs(tracer, leaves, frozenset())
                return self._run_once(tracer, call, self._call(call.given, args, kwargs))


def _again(function, fullgraph, dynamic, mode, backend) -> Compiled:
    made = Compiled(function, fullgraph, dynamic, mode, backend)
    functools.update_wrapper(made, function)
    return made


class _own_caches:
    """While tracing, autocast keeps its casts of weights to the trace."""

    def __enter__(self):
        self.kept = [(r, r.cache) for r in STATE.stack if getattr(r, "cache", None) is not None]
        for region, _ in self.kept:
            region.cache = {}

    def __exit__(self, *exception):
        for region, cache in self.kept:
            region.cache = cache


class _restored:
    """After a trace, .grad of what it touched is as before."""

    def __init__(self, tracer: Tracer):
        self.tracer = tracer

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        tracer = self.tracer
        if tracer.keep_grads:
            return
        for tensor, grad in tracer.before.values():
            tensor.auto.grad = grad
        for key, grad in tracer.first_grads.items():
            if key not in tracer.before:
                tracer.roots[key].auto.grad = grad


def _only_precision() -> bool:
    return all(r.rank == 1 for r in STATE.stack)


def _are_flat(args: tuple) -> bool:
    return not any(isinstance(a, (tuple, list, dict)) for a in args)


def _form(tree):
    """How arguments are nested, without the leaves."""
    if isinstance(tree, dict):
        return (dict, tuple(tree), tuple([_form(v) for v in tree.values()]))
    if isinstance(tree, (tuple, list)):
        return (tree.__class__, tuple([_form(v) for v in tree]))
    return None


def _signature(leaves: list, form: tuple | None) -> tuple | None:
    parts: list = [
        STATE.grad,
        STATE.inference,
        precision.settings(),
        dtypes.Defaults.float_dtype,
        len(leaves),
    ]
    for value in leaves:
        if isinstance(value, Tensor):
            auto = value.auto
            if value.storage is None or (auto is None and value.base is None):
                parts.append(value.layout)
            else:
                parts.append(
                    (
                        value.layout,
                        tape.requires_grad(value),
                        auto is not None and auto.node is None,
                    )
                )
        elif is_plain(value):
            parts.append((value.__class__, value))
        elif hasattr(value, "__array_interface__"):
            return None  # data that nothing says has changed
        else:
            parts.append(id(value))
    if form is not None:
        parts.append(form)
    if STATE.stack:
        for device in ("cpu", "cuda"):
            region = region_for(device)
            if region is not None:
                parts.append((device, region.dtype, region.enabled))
    return tuple(parts)


_MODES = (
    "grad mode",
    "inference mode",
    "the number of threads",
    "the default dtype",
    "the number of arguments",
)


def _what_differs(was: tuple, now: tuple) -> str:
    """In words, the first difference of two signatures."""
    for i, (old, new) in enumerate(zip(was, now)):
        if old != new:
            if i < len(_MODES):
                return f"{_MODES[i]}, which was {old} and is {new}"
            if i - len(_MODES) >= was[len(_MODES) - 1]:
                break
            return f"argument {i - len(_MODES)}, which was {_shown(old)} and is {_shown(new)}"
    return "keyword arguments, or autocast"


def _shown(part) -> str:
    if isinstance(part, Layout):
        return f"{part.dtype.name}{list(part.shape)}"
    if isinstance(part, tuple) and part and isinstance(part[0], Layout):
        return f"{_shown(part[0])} with requires_grad={part[1]}"
    if isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], type):
        return repr(part[1])
    return "another object"


def _is_tree(outputs) -> bool:
    return all(isinstance(v, Tensor) or is_plain(v) for v in trees.leaves(outputs))


def _name(function: Callable) -> str:
    return getattr(function, "__qualname__", type(function).__name__)


def reset() -> None:
    """Forget every trace of every compiled function. Source: torch.compiler.reset"""
    for one in list(_ALL):
        one.forget()


def is_compiling() -> bool:
    """Whether the code that asks is being traced. Source: torch.compiler.is_compiling"""
    return late.tracer() is not None


def disable(fn: Callable | None = None, recursive: bool = True, *, reason: str | None = None):
    """fn as code that compiled functions do not take in: they are split around its calls.

    Works as a decorator. Raises: ReadBack where fullgraph=True asks for one graph
    Source: torch.compiler.disable
    """
    if fn is None:
        return functools.partial(disable, recursive=recursive, reason=reason)
    if isinstance(fn, Compiled):
        return fn.function

    @functools.wraps(fn)
    def run_as_written(*args, **kwargs):
        found = late.tracer() if STATE.stack else None
        if found is None:
            return fn(*args, **kwargs)
        found.read(None, f"the disabled function {_name(fn)}")
        with late.untraced():
            return fn(*args, **kwargs)

    return run_as_written


def list_backends(exclude_tags=()) -> list[str]:
    """Names that compile(backend=) takes. Source: torch.compiler.list_backends"""
    return list(BACKENDS)


def compile(model: Callable | None = None, *, fullgraph: bool = False, dynamic: bool | None = None,
            backend: str | Callable = "native", mode: str | None = None, options: dict | None = None,
            disable: bool = False):  # fmt: skip
    """A function or module that runs as generated code for the whole of it.

    The first call with new shapes, dtypes or modes traces the function; later ones run one native call. With the
    backward pass and the optimizer inside the function, a whole training step is that one call.

    fullgraph: raise where the function reads a value back, instead of running on. dynamic: new shapes are
    expected: they are traced without end. mode: "default" and "reduce-overhead" (every
    compiled call is one native call with planned memory anyway), or "max-autotune": which passes serve the function best
    is measured on its first call, and remembered on disk; the layouts of images are among them, so sums of
    convolutions may run in another order than in eager code. backend: "native", or
    "eager" to run as it is. Works as a decorator. Source: torch.compile
    """
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode,
                                 options=options, disable=disable)  # fmt: skip
    if not callable(model):
        raise ArgumentTypeError(
            f"compile: got {type(model).__name__}; it must be a function or a module."
        )
    if mode is not None and mode not in MODES:
        raise ArgumentValueError(
            f"compile: Unrecognized mode={mode!r}, should be one of: {', '.join(MODES)}."
        )
    if backend not in BACKENDS:
        raise ArgumentValueError(
            f"compile: backend is {backend!r}; it must be one of: {', '.join(BACKENDS)}."
        )
    if disable:
        return model
    chosen = {
        "fullgraph": fullgraph,
        "dynamic": dynamic,
        "mode": mode or "default",
        "backend": backend,
    }
    wrap = getattr(model, "_as_compiled", None)
    if wrap is not None:
        return wrap(functools.partial(_again, **chosen))
    return _again(model, **chosen)
