"""Layers that learn the size of their input from the first one they see.

Source: torch.nn.LazyLinear and its like
"""

from __future__ import annotations

from mezzo import ops
from mezzo.core.tensor import Tensor
from mezzo.nn.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from mezzo.nn.linear import Linear
from mezzo.nn.module import Module
from mezzo.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from mezzo.nn.parameter import Parameter


class UninitializedTensor:
    """What parameters and buffers without a shape share: materialize() gives them one and turns them ordinary."""

    cls_to_become: type = Tensor

    def materialize(self, shape, device=None, dtype=None) -> None:
        """Allocate the memory, uninitialised, in place: optimizers that hold this object keep it."""
        self.data = ops.empty(tuple(shape), device=device or self.device, dtype=dtype or self.dtype)
        self.__class__ = self.cls_to_become

    @property
    def shape(self):
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. Call the lazy module on an input first "
            "(a dry run), or load a state_dict into it."
        )

    def size(self, dim=None):
        return self.shape

    def numel(self) -> int:
        return self.shape

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = _remake(type(self), self.dtype, self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return (_remake, (type(self), self.dtype, self.requires_grad))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(UninitializedTensor, Parameter):
    """A parameter whose shape is not known yet."""

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device=None, dtype=None):
        return Parameter.__new__(cls, ops.empty((0,), device=device, dtype=dtype), requires_grad)


class UninitializedBuffer(UninitializedTensor, Tensor):
    """A buffer whose shape is not known yet."""

    def __new__(cls, requires_grad: bool = False, device=None, dtype=None):
        empty = ops.empty((0,), device=device, dtype=dtype)
        return Tensor._make_subclass(cls, empty, requires_grad)


def _remake(cls, dtype, requires_grad: bool):
    return cls(requires_grad, dtype=dtype)


def is_lazy(value) -> bool:
    """Whether a tensor is a parameter or buffer without a shape."""
    return isinstance(value, UninitializedTensor)


class LazyModuleMixin:
    """Makes a module lazy: mix it in before the module's class and define initialize_parameters(*inputs).

    When the first input arrives, initialize_parameters gives every parameter its shape, and the module becomes
    one of cls_to_become.
    """

    cls_to_become: type | None = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._shape_from_state)
        self._initialize_hook = self.register_forward_pre_hook(
            type(self)._infer_parameters, with_kwargs=True
        )

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer has no shape yet."""
        return any(map(is_lazy, (*self._parameters.values(), *self._buffers.values())))

    def initialize_parameters(self, *args, **kwargs) -> None:
        """Give every parameter its shape, from the first input."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}: define it."
        )

    def _infer_parameters(self, args: tuple, kwargs: dict):
        kwargs = kwargs or {}
        self.initialize_parameters(*args, **kwargs)
        if self.has_uninitialized_params():
            raise RuntimeError(
                f"module {type(self).__name__} has not been fully initialized: its initialize_parameters() left a "
                "parameter without a shape."
            )
        self._initialize_hook.remove()
        self._load_hook.remove()
        del self._initialize_hook, self._load_hook
        if self.cls_to_become is not None:
            self.__class__ = self.cls_to_become

    def _shape_from_state(self, state_dict, prefix, *_rest) -> None:
        for table in (self._parameters, self._buffers):
            for name, own in table.items():
                given = state_dict.get(prefix + name)
                if is_lazy(own) and given is not None and not is_lazy(given):
                    own.materialize(tuple(given.shape))

    def _save_to_state_dict(self, destination, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, own in (*self._parameters.items(), *self._buffers.items()):
            if is_lazy(own) and prefix + name in destination:
                destination[prefix + name] = own

    def reset_parameters(self) -> None:
        """Nothing, until the shapes are known."""
        if not self.has_uninitialized_params() and self._input_size() != 0:
            super().reset_parameters()

    def _input_size(self) -> int:
        return getattr(self, self._sized)

    def _postpone(self, names, made: dict) -> None:
        for name in names:
            if name in self._parameters:
                self._parameters[name] = UninitializedParameter(**made)
            else:
                self._buffers[name] = UninitializedBuffer(**made)


class LazyLinear(LazyModuleMixin, Linear):
    """Linear whose in_features is the last size of the first input."""

    cls_to_become = Linear
    _sized = "in_features"

    def __init__(self, out_features: int, bias: bool = True, device=None, dtype=None):
        super().__init__(0, 0, bias, device, dtype)
        self.out_features = out_features
        self._postpone(["weight", "bias"] if bias else ["weight"], {"device": device, "dtype": dtype})  # fmt: skip

    def initialize_parameters(self, input) -> None:
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
        if self.in_features == 0:
            self.in_features = self.weight.shape[-1]


class _LazyConv(LazyModuleMixin):
    """The channels are those of the first input."""

    _sized = "in_channels"

    def __init__(self, out_channels: int, kernel_size, *args, bias: bool = True, device=None, dtype=None, **kwargs):  # fmt: skip
        super().__init__(0, 0, kernel_size, *args, bias=bias, device=device, dtype=dtype, **kwargs)
        self.out_channels = out_channels
        self._postpone(["weight", "bias"] if bias else ["weight"], {"device": device, "dtype": dtype})  # fmt: skip

    def initialize_parameters(self, input, *_rest, **_options) -> None:
        if self.has_uninitialized_params():
            if input.dim() not in (self.axes + 1, self.axes + 2):
                raise RuntimeError(
                    f"Expected {self.axes + 1}D (unbatched) or {self.axes + 2}D (batched) input to "
                    f"{type(self).__name__}, but got input of size: {list(input.shape)}"
                )
            self.in_channels = input.shape[-1 - self.axes]
            self._check()
            self.weight.materialize((*self._channel_axes(), *self.kernel_size))
            if self.bias is not None:
                self.bias.materialize((self.out_channels,))
            self.reset_parameters()
        if self.in_channels == 0:
            self.in_channels = self.weight.shape[1] * self.groups


class _LazyConvTranspose(_LazyConv):
    def initialize_parameters(self, input, *rest, **options) -> None:
        known = not self.has_uninitialized_params()
        super().initialize_parameters(input, *rest, **options)
        if known:
            self.in_channels = self.weight.shape[0]


class _LazyNorm(LazyModuleMixin):
    """The features are the channels of the first input."""

    _sized = "num_features"

    def __init__(self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None):  # fmt: skip
        super().__init__(0, eps, momentum, affine, track_running_stats, device, dtype)
        names = [n for n in ("weight", "bias") if self._parameters[n] is not None]
        names += [n for n in ("running_mean", "running_var") if self._buffers[n] is not None]
        self._postpone(names, {"device": device, "dtype": dtype})

    def initialize_parameters(self, input) -> None:
        if self.has_uninitialized_params():
            self._check(input)
            single = isinstance(self, _Unbatched) and input.dim() == self.ranks[0]
            self.num_features = input.shape[0 if single else 1]
            for value in (self.weight, self.bias, self.running_mean, self.running_var):
                if is_lazy(value):
                    value.materialize((self.num_features,))
            self.reset_parameters()
        elif self.num_features == 0:
            known = self.weight if self.weight is not None else self.running_mean
            self.num_features = known.shape[0]


_Unbatched = (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)


def _lazy(base: type[Module], mixin: type) -> type[Module]:
    """The lazy form of a class of layers."""
    body = {
        "cls_to_become": base,
        "__doc__": f"{base.__name__} that takes its number of channels from the first input.",
        "__module__": __name__,
    }
    return type(f"Lazy{base.__name__}", (mixin, base), body)


LazyConv1d, LazyConv2d, LazyConv3d = (_lazy(c, _LazyConv) for c in (Conv1d, Conv2d, Conv3d))
LazyConvTranspose1d, LazyConvTranspose2d, LazyConvTranspose3d = (
    _lazy(c, _LazyConvTranspose) for c in (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
)
LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = (
    _lazy(c, _LazyNorm) for c in (BatchNorm1d, BatchNorm2d, BatchNorm3d)
)
LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d = (
    _lazy(c, _LazyNorm) for c in (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)
)
