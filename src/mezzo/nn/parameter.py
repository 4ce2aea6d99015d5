"""Parameter: the tensors that a module learns."""

from __future__ import annotations

from mezzo import ops
from mezzo.core.short import offers
from mezzo.core.tensor import Tensor


class Parameter(Tensor):
    """A tensor that a Module lists in parameters() when it is assigned as an attribute.

    Example: >>> Parameter(mezzo.zeros(2)).requires_grad
             True
    """

    def __new__(cls, data=None, requires_grad: bool = True):
        if data is None:
            data = ops.empty((0,))
        if not isinstance(data, Tensor):
            raise TypeError(
                f"Parameter: argument 1 (data) is a {type(data).__name__}; it must be a Tensor. "
                "Wrap it in mezzo.tensor(...)."
            )
        return Tensor._make_subclass(cls, data.detach(), requires_grad)

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            data = self.detach().clone()
            memo[id(self)] = type(self)(data, self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return (_rebuild, (type(self), self.detach(), self.requires_grad))

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


offers.offer_class(Parameter)


class Buffer:
    """Marks a tensor that a Module registers as a buffer when it is assigned as an attribute."""

    def __init__(self, data: Tensor, *, persistent: bool = True):
        self.data, self.persistent = data, persistent


def _rebuild(cls, data: Tensor, requires_grad: bool) -> Parameter:
    return cls(data, requires_grad)
