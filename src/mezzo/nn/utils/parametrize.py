"""Parametrizations: a parameter computed from others by a module, each time it is read.

    register_parametrization(layer, "weight", Symmetric())      layer.weight is Symmetric()(the original)

The originals are in module.parametrizations.<name>.original (or original0, original1, ...).
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator

from mezzo.autograd import no_grad
from mezzo.core.tensor import Tensor
from mezzo.nn.containers import ModuleDict, ModuleList
from mezzo.nn.module import Module
from mezzo.nn.parameter import Parameter

_CACHE = threading.local()


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Within this context every parametrized tensor is computed once.

    Source: torch.nn.utils.parametrize.cached
    """
    depth = getattr(_CACHE, "depth", 0)
    _CACHE.depth, _CACHE.found = depth + 1, getattr(_CACHE, "found", {})
    try:
        yield
    finally:
        _CACHE.depth = depth
        if not depth:
            _CACHE.found = {}


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in the order in which they apply, and its originals."""

    def __init__(self, modules, original: Tensor, unsafe: bool = False):
        super().__init__(modules)
        self.unsafe = unsafe
        value = original
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    continue
                value = module.right_inverse(value)
        self.is_tensor = isinstance(value, Tensor)
        self.ntensors = 1 if self.is_tensor else len(value)
        is_learned = isinstance(original, Parameter)
        for name, part in zip(self._names(), [value] if self.is_tensor else value):
            if is_learned:
                kept = original if part is original else Parameter(part, original.requires_grad)
                self.register_parameter(name, kept)
            else:
                self.register_buffer(name, part)

    def _names(self) -> list[str]:
        return ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals so that the tensor becomes value, as far as the parametrizations allow it."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse. Implement it, or "
                        "set the original tensors."
                    )
                value = module.right_inverse(value)
            parts = [value] if self.is_tensor else list(value)
            for name, part in zip(self._names(), parts):
                getattr(self, name).copy_(part)

    def forward(self) -> Tensor:
        parts = [getattr(self, name) for name in self._names()]
        first, *rest = list(self)
        value = first(*parts)
        for module in rest:
            value = module(value)
        return value


def _computed(module: Module, name: str) -> Tensor:
    made = module.parametrizations[name]
    if not getattr(_CACHE, "depth", 0):
        return made()
    key = (id(module), name)
    if key not in _CACHE.found:
        _CACHE.found[key] = made()
    return _CACHE.found[key]


def _parametrized_class(module: Module) -> None:
    """Give a module a class of its own, which can have properties."""
    plain = type(module)

    def copied(self, memo):
        twin = self.__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    def refused(self):
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(). Save state_dict()."
        )

    members = {"__deepcopy__": copied, "__getstate__": refused}
    module.__class__ = type(f"Parametrized{plain.__name__}", (plain,), members)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute module.<tensor_name> with a parametrization from now on; several apply one after the other.

    unsafe: skip the check that shape and dtype stay.
    Source: torch.nn.utils.parametrize.register_parametrization
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        _appended(module, tensor_name, parametrization, unsafe)
        return module
    table = module._parameters if tensor_name in module._parameters else module._buffers
    if tensor_name not in table:
        raise ValueError(
            f"Module '{type(module).__name__}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    original = table[tensor_name]
    made = ParametrizationList([parametrization], original, unsafe)
    if not unsafe:
        _check(made(), original, parametrization)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _parametrized_class(module)
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = made
    setattr(type(module), tensor_name, property(
        lambda self: _computed(self, tensor_name),
        lambda self, value: self.parametrizations[tensor_name].right_inverse(value),
    ))  # fmt: skip
    return module


def _appended(module: Module, name: str, parametrization: Module, unsafe: bool) -> None:
    made = module.parametrizations[name]
    before = getattr(module, name)
    if not unsafe:
        _check(parametrization(before), before, parametrization)
    if hasattr(parametrization, "right_inverse"):
        with no_grad():
            value = parametrization.right_inverse(before)
        if isinstance(value, Tensor):
            made.right_inverse(value)
    made.append(parametrization)


def _check(after, before: Tensor, parametrization: Module) -> None:
    name = type(parametrization).__name__
    if not isinstance(after, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(after).__name__} from {name}.")  # fmt: skip
    if after.dtype is not before.dtype or tuple(after.shape) != tuple(before.shape):
        raise ValueError(
            f"Registering a parametrization may not change the shape or dtype of the tensor, unless the `unsafe` flag is "
            f"enabled: {name} makes {after.dtype}{list(after.shape)} of {before.dtype}{list(before.shape)}."
        )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """True if a module has parametrizations, or one for this name.

    Source: torch.nn.utils.parametrize.is_parametrized
    """
    found = module._modules.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make module.<tensor_name> a plain tensor again: as it is now, or (leave_parametrized=False) the original.

    Source: torch.nn.utils.parametrize.remove_parametrizations
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(
            f"Module {type(module).__name__} does not have a parametrization on {tensor_name}"
        )
    made = module.parametrizations[tensor_name]
    if not leave_parametrized and not made.is_tensor:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    names = made._names()
    first = getattr(made, names[0])
    is_learned = isinstance(first, Parameter)
    with no_grad():
        value = getattr(module, tensor_name).detach().clone() if leave_parametrized else first
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if is_learned and not isinstance(value, Parameter):
        value = Parameter(value, first.requires_grad)
    if is_learned:
        module.register_parameter(tensor_name, value)
    else:
        module.register_buffer(tensor_name, value)
    if not len(module.parametrizations):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module
