"""Module: what a model is built of. Parameters, buffers and children are attributes.

Saving and loading is in state.py, walking the tree in tree.py, hooks in hooks.py.
"""

from __future__ import annotations

import warnings
from typing import Any

from mezzo.autograd import no_grad
from mezzo.compiler import compile
from mezzo.core import changes
from mezzo.core.tensor import Tensor
from mezzo.devices import device as Device
from mezzo.dtypes import bfloat16, float16, float32, float64
from mezzo.dtypes import dtype as Dtype
from mezzo.nn.hooks import BackwardCall, Hooks, RemovableHandle
from mezzo.nn.parameter import Buffer, Parameter
from mezzo.nn.state import Stateful
from mezzo.nn.tree import Tree

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
# Ids of hooks that want kwargs, or that run even after an exception.
_MARKS = ("_forward_hooks_with_kwargs", "_forward_hooks_always", "_forward_pre_hooks_with_kwargs")


class _Marks(dict):
    """A dict that handles can refer to weakly."""


class Module(Tree, Stateful):
    """Base class of all layers and models: subclass it, assign layers in __init__, define forward.

    Example: >>> class Net(Module):
             ...     def __init__(self):
             ...         super().__init__()
             ...         self.fc = Linear(4, 2)
             ...     def forward(self, x):
             ...         return self.fc(x).relu()
    """

    training: bool
    _compiled_call = None

    def __init__(self):
        state = self.__dict__
        state["training"] = True
        state["_parameters"], state["_buffers"], state["_modules"] = {}, {}, {}
        state["_non_persistent_buffers_set"] = set()
        for name in _HOOKS:
            state[name] = Hooks()
        for name in _MARKS:
            state[name] = _Marks()

    def forward(self, *args, **kwargs):
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    # ---- calling ---------------------------------------------------------------------------------

    def __call__(self, *args, **kwargs) -> Any:
        if (
            self._forward_hooks
            or self._forward_pre_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
            or self._compiled_call is not None
        ):
            return self._call_specially(args, kwargs)
        return self.forward(*args, **kwargs)

    def _call_specially(self, args: tuple, kwargs: dict):
        if self._compiled_call is not None:
            return self._compiled_call(*args, **kwargs)
        return self._call_as_written(*args, **kwargs)

    def _call_as_written(self, *args, **kwargs):
        """What a compiled module traces."""
        if (
            self._forward_hooks
            or self._forward_pre_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
        ):
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    def compile(self, *args, **kwargs) -> None:
        """Compile calls of this module in place; takes what mezzo.compile takes after the model.

        Source: torch.nn.Module.compile
        """
        self._compiled_call = compile(self._call_as_written, *args, **kwargs)

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k != "_compiled_call"}

    def _call_with_hooks(self, args: tuple, kwargs: dict):
        ran: set[int] = set()
        try:
            args, kwargs = self._run_pre_hooks(args, kwargs)
            backward = None
            if self._backward_hooks or self._backward_pre_hooks:
                backward = BackwardCall(self, self._backward_hooks, self._backward_pre_hooks)
                args = backward.watch_inputs(args)
            output = self.forward(*args, **kwargs)
            for id in list(self._forward_hooks):
                ran.add(id)
                output = self._run_forward_hook(id, args, kwargs, output)
            return output if backward is None else backward.watch_outputs(output)
        except Exception:
            for id in list(self._forward_hooks_always):
                if id not in ran:
                    self._run_always(id, args, kwargs)
            raise

    def _run_pre_hooks(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        for id, hook in list(self._forward_pre_hooks.items()):
            if id not in self._forward_pre_hooks_with_kwargs:
                result = hook(self, args)
                if result is not None:
                    args = result if isinstance(result, tuple) else (result,)
                continue
            result = hook(self, args, kwargs)
            if result is None:
                continue
            if not isinstance(result, tuple) or len(result) != 2:
                raise RuntimeError(
                    "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got "
                    f"{result}."
                )
            args, kwargs = result
        return args, kwargs

    def _run_forward_hook(self, id: int, args: tuple, kwargs: dict, output):
        hook = self._forward_hooks[id]
        with_kwargs = id in self._forward_hooks_with_kwargs
        result = hook(self, args, kwargs, output) if with_kwargs else hook(self, args, output)
        return output if result is None else result

    def _run_always(self, id: int, args: tuple, kwargs: dict) -> None:
        try:
            self._run_forward_hook(id, args, kwargs, None)
        except Exception as problem:  # the first exception is the one to report
            warnings.warn(
                "module forward hook with ``always_call=True`` raised an exception that was silenced "
                f"as another error was raised in forward: {problem}",
                stacklevel=4,
            )

    def register_forward_pre_hook(
        self, hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call hook(module, args) before forward; what it returns replaces the arguments."""
        marks = (self._forward_pre_hooks_with_kwargs,) if with_kwargs else ()
        return self._forward_pre_hooks.add(hook, first=prepend, marks=marks)

    def register_forward_hook(
        self, hook, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call hook(module, args, output) after forward; what it returns replaces the output."""
        marks = (self._forward_hooks_with_kwargs,) if with_kwargs else ()
        marks += (self._forward_hooks_always,) if always_call else ()
        return self._forward_hooks.add(hook, first=prepend, marks=marks)

    def register_full_backward_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """Call hook(module, grad_input, grad_output) when the gradients of the inputs are known."""
        return self._backward_hooks.add(hook, first=prepend)

    def register_full_backward_pre_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """Call hook(module, grad_output) before the backward pass enters the module."""
        return self._backward_pre_hooks.add(hook, first=prepend)

    # ---- attributes ------------------------------------------------------------------------------

    def __setattr__(self, name: str, value) -> None:
        state = self.__dict__
        changes.modules[0] += 1
        tables = {t: state.get(t, {}) for t in ("_parameters", "_modules", "_buffers")}
        for kind, table, noun, want in (
            (Parameter, "_parameters", "parameter", "mezzo.nn.Parameter or None"),
            (Module, "_modules", "child module", "mezzo.nn.Module or None"),
            ((Buffer, Tensor), "_buffers", "buffer", "mezzo.Tensor, mezzo.nn.Buffer or None"),
        ):
            known = name in tables[table]
            belongs = isinstance(value, Buffer if table == "_buffers" else kind)
            if not known and not belongs:
                continue
            if table not in state:
                raise AttributeError(
                    f"cannot assign {noun} '{name}' before Module.__init__() call; call "
                    "super().__init__() first."
                )
            if not (value is None or isinstance(value, kind)):
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' object to {noun} '{name}' ({want} "
                    "required)"
                )
            if not known:
                self._forget(name)
            return self._store(table, name, value)
        object.__setattr__(self, name, value)

    def _store(self, table: str, name: str, value) -> None:
        """Put `value` where its kind is kept."""
        if isinstance(value, Buffer):
            self.register_buffer(name, value.data, value.persistent)
        elif table == "_parameters":
            self.register_parameter(name, value)
        else:
            getattr(self, table)[name] = value

    def _forget(self, name: str) -> None:
        """Remove an attribute of whatever kind, if it is there."""
        self.__dict__.pop(name, None)
        for table in (self._parameters, self._buffers, self._modules):
            table.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __getattr__(self, name: str):
        state = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            if table in state and name in state[table]:
                return state[table][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        if any(name in t for t in (self._parameters, self._buffers, self._modules)):
            self._forget(name)
        else:
            object.__delattr__(self, name)
        changes.modules[0] += 1

    def __dir__(self):
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    def _check_name(self, operation: str, name: str, table: dict) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"{operation}: called before Module.__init__(); call it first.")
        if not isinstance(name, str):
            raise TypeError(f"{operation}: the name must be a str, got {type(name).__name__}.")
        if "." in name:
            raise KeyError(f'{operation}: the name cannot contain ".", got "{name}".')
        if name == "":
            raise KeyError(f'{operation}: the name cannot be empty string "".')
        if hasattr(self, name) and name not in table:
            raise KeyError(f"{operation}: attribute '{name}' already exists.")

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not learned; persistent=False keeps it out of state_dict."""
        self._check_name("register_buffer", name, self.__dict__.get("_buffers", {}))
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"register_buffer: cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(mezzo.Tensor or None required)"
            )
        changes.modules[0] += 1
        self._buffers[name] = tensor
        (
            self._non_persistent_buffers_set.discard
            if persistent
            else self._non_persistent_buffers_set.add
        )(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name."""
        self._check_name("register_parameter", name, self.__dict__.get("_parameters", {}))
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"register_parameter: cannot assign '{type(param).__name__}' object to parameter "
                f"'{name}' (mezzo.nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"register_parameter: cannot assign a non-leaf Tensor to parameter '{name}'. Compute "
                "it in forward() from other parameters instead."
            )
        changes.modules[0] += 1
        self._parameters[name] = param

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a child under a name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name("register_module", name, self.__dict__.get("_modules", {}))
        changes.modules[0] += 1
        self._modules[name] = module

    add_module = register_module

    # ---- modes -----------------------------------------------------------------------------------

    def train(self, mode: bool = True):
        """Set training mode (dropout, batch statistics) here and below."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: argument 1 (mode) is {mode!r}; it must be a bool.")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self):
        """Set evaluation mode; the same as train(False)."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True):
        """Switch gradients of all parameters on or off."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop (or zero) the gradients of all parameters."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach()
                with no_grad():
                    parameter.grad.zero_()

    def apply(self, fn):
        """Call fn(module) on every child, then on this module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # ---- conversion ------------------------------------------------------------------------------

    def _apply(self, fn, recurse: bool = True):
        """Replace every parameter's data, gradient and every buffer by fn of it, in place."""
        for child in self.children() if recurse else ():
            child._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            grad, parameter.grad = parameter.grad, None
            with no_grad():
                parameter.data = fn(parameter.data)
                if grad is not None:
                    parameter.grad = fn(grad.detach()).requires_grad_(grad.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        changes.modules[0] += 1
        return self

    def to(self, *args, device=None, dtype=None, non_blocking: bool = False, memory_format=None):
        """Move to a device and (floating parameters and buffers) to a dtype, in place.

        Takes to(device), to(dtype), to(device, dtype), to(tensor) and the same by keyword.
        """
        for argument in args:
            if isinstance(argument, Tensor):
                device, dtype = argument.device, argument.dtype
            elif isinstance(argument, Dtype):
                dtype = argument
            elif isinstance(argument, str | int | Device) and not isinstance(argument, bool):
                device = argument
            elif isinstance(argument, bool):
                non_blocking = argument
            elif argument is not None:
                raise TypeError(
                    f"Module.to: got {argument!r}; it must be a device, a dtype or a Tensor."
                )
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, but got desired "
                f"dtype={dtype}"
            )

        def convert(tensor: Tensor) -> Tensor:
            wanted = dtype if tensor.is_floating_point() or tensor.is_complex() else None
            options = (
                {}
                if memory_format is None or tensor.dim() != 4
                else {"memory_format": memory_format}
            )
            return tensor.to(
                device=tensor.device if device is None else device,
                dtype=wanted or tensor.dtype,
                non_blocking=non_blocking,
                **options,
            )

        return self._apply(convert)

    def type(self, dst_type):
        """Cast every parameter and buffer, integers too, to a dtype."""
        return self._apply(lambda t: t.to(dst_type))

    def half(self):
        """Cast floating parameters and buffers to float16."""
        return self.to(float16)

    def bfloat16(self):
        """Cast floating parameters and buffers to bfloat16."""
        return self.to(bfloat16)

    def float(self):
        """Cast floating parameters and buffers to float32."""
        return self.to(float32)

    def double(self):
        """Cast floating parameters and buffers to float64."""
        return self.to(float64)

    def cpu(self):
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self, device=None):
        """Move to a GPU."""
        return self.to("cuda" if device is None else Device(device))

    def to_empty(self, *, device, recurse: bool = True):
        """Move to a device without copying values: to materialise a module made on "meta"."""
        return self._apply(lambda t: t.new_empty(t.shape, device=device), recurse)

    # ---- looks -----------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands between the brackets of repr; override it."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({n}): {indent(repr(m))}" for n, m in self._modules.items()]
        if len(lines) <= 1 and not children:
            return f"{self._get_name()}({extra})"
        body = "".join(f"  {line}\n" for line in lines + children)
        return f"{self._get_name()}(\n{body})"


def indent(text: str) -> str:
    """All lines but the first moved right."""
    return text.replace("\n", "\n  ")
