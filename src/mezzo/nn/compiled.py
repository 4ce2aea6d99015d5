"""What compile(module) returns: a module around the module, whose calls run compiled."""

from __future__ import annotations

from collections.abc import Callable

from mezzo.core import changes
from mezzo.nn.module import Module

WRAPPED = "_orig_mod"  # PyTorch's name: it stands in the keys of state_dict
_OWN = ("_compiled", "_make")


class OptimizedModule(Module):
    """A module that runs compiled. Its attributes are those of the module within, which stays as it was.

    state_dict(), named_parameters() and named_modules() have the prefix "_orig_mod.", as in PyTorch.
    Source: torch._dynamo.OptimizedModule
    """

    def __init__(self, module: Module, make: Callable):
        super().__init__()
        del self.__dict__["training"]
        self._modules[WRAPPED] = module
        self.__dict__["_make"] = make
        self._begin()

    def _begin(self) -> None:
        self.__dict__["_compiled"] = self._make(self._modules[WRAPPED].__call__)

    @property
    def training(self) -> bool:  # type: ignore[override]
        """The mode of the module within."""
        return self._modules[WRAPPED].training

    @training.setter
    def training(self, mode: bool) -> None:
        self._modules[WRAPPED].training = mode

    def forward(self, *args, **kwargs):
        """The module's call, compiled."""
        return self._compiled(*args, **kwargs)

    # ---- attributes

    def __getattr__(self, name: str):
        if name == WRAPPED:
            return self._modules[WRAPPED]
        return getattr(self._modules[WRAPPED], name)

    def __setattr__(self, name: str, value) -> None:
        if name == "training" or name in self.__dict__:
            object.__setattr__(self, name, value)
        elif name == WRAPPED:
            changes.modules[0] += 1
            self._modules[WRAPPED] = value
            self._begin()
        else:
            setattr(self._modules[WRAPPED], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._modules[WRAPPED], name)

    def __len__(self) -> int:
        return len(self._modules[WRAPPED])

    def __bool__(self) -> bool:
        return True

    def __dir__(self):
        return sorted({*super().__dir__(), *dir(self._modules[WRAPPED])})

    # ---- copies

    def __getstate__(self):
        """Everything but the code: a copy compiles anew."""
        return {k: v for k, v in self.__dict__.items() if k != "_compiled"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._begin()


def _as_compiled(module: Module, make: Callable) -> OptimizedModule:
    return OptimizedModule(module, make)


Module._as_compiled = _as_compiled  # compile() asks for it: the module it wraps stands above it
