"""FunctionLayer: a layer that is one function of nn.functional with its settings as attributes.

A subclass names the function and declares its settings as annotated class attributes, in the order
of the constructor's arguments:

    class LeakyReLU(FunctionLayer, calls="leaky_relu"):
        negative_slope: float = 0.01
        inplace: bool = False

`__init__`, `forward` and `__repr__` follow. A setting annotated `Tensor` becomes a buffer.
"""

from __future__ import annotations

import inspect

from mezzo.nn import functional as F
from mezzo.nn.module import Module


class FunctionLayer(Module):
    """Base of the layers without parameters.

    calls: the function's name. shown: the settings that repr prints (all but `inplace` by default).
    hidden: settings that are not passed to the function. fixed: what is passed besides.
    """

    calls: str = ""
    settings: tuple[str, ...] = ()
    shown: tuple[str, ...] | None = None
    hidden: tuple[str, ...] = ()
    fixed: dict = {}

    def __init_subclass__(cls, calls: str | None = None, keyword_only: bool = False, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.calls = cls.calls if calls is None else calls
        own = {
            n: a for n, a in inspect.get_annotations(cls).items() if n not in FunctionLayer.__dict__
        }
        if own:
            cls.settings = tuple(own)
            cls._tensors = {name for name, kind in own.items() if str(kind).startswith("Tensor")}
            kind = inspect.Parameter.KEYWORD_ONLY if keyword_only else _PLAIN
            parameters = [
                inspect.Parameter(n, kind, default=cls.__dict__.get(n, _EMPTY), annotation=a)
                for n, a in own.items()
            ]
            cls.__signature__ = inspect.Signature(parameters)
            for name in cls._tensors:  # or the class attribute would hide the buffer
                delattr(cls, name)

    _tensors: set[str] = set()
    __signature__ = inspect.Signature()

    def __init__(self, *args, **kwargs):
        super().__init__()
        try:
            bound = self.__signature__.bind(*args, **kwargs)
        except TypeError as problem:
            usage = f"{type(self).__name__}{self.__signature__}"
            raise TypeError(f"{type(self).__name__}: {problem}; it takes {usage}.") from None
        bound.apply_defaults()
        for name, value in self.prepare(bound.arguments).items():
            if name in self._tensors:
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def prepare(self, given: dict) -> dict:
        """The settings to keep, from those given; override to normalise or to check."""
        return given

    def options(self) -> dict:
        """The keyword arguments of the function."""
        options = {n: getattr(self, n) for n in self.settings if n not in self.hidden}
        if options.get("inplace") is False:
            del options["inplace"]
        return options | self.fixed

    def forward(self, *inputs, **named):
        return getattr(F, self.calls)(*inputs, **named, **self.options())

    def extra_repr(self) -> str:
        shown = self.shown
        if shown is None:
            shown = [n for n in self.settings if n != "inplace" or self.inplace]
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)


_PLAIN = inspect.Parameter.POSITIONAL_OR_KEYWORD
_EMPTY = inspect.Parameter.empty


def repeated(value, count: int) -> tuple:
    """A tuple of `count`: the value repeated, or the tuple it already is."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * count
