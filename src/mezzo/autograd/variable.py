"""Variable: what older programs wrap tensors in."""

from __future__ import annotations

from mezzo.core.tensor import Tensor


class _TensorsAreVariables(type):
    def __instancecheck__(cls, instance) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_TensorsAreVariables):
    """Variable(x, requires_grad=False) is x as a tensor of its own history; every tensor is an instance.

    Source: torch.autograd.Variable
    """

    def __new__(cls, data: Tensor, requires_grad: bool = False):
        if not isinstance(data, Tensor):
            raise TypeError(
                f"Variable: data is {type(data).__name__}; it must be a Tensor. Make one with mezzo.tensor(...)."
            )
        return data.detach().requires_grad_(requires_grad)
