"""Views in place: t_, transpose_, squeeze_, ... change the shape of the tensor itself; resize_ its memory too."""

from __future__ import annotations

from mezzo.core import tape
from mezzo.core.layout import layout
from mezzo.core.record import Record, message
from mezzo.core.tensor import Tensor, tensor_method
from mezzo.core.tensor import empty as raw_empty
from mezzo.core.tensor import view as raw_view
from mezzo.errors import ArgumentTypeError, GradientError
from mezzo.ops.axes import t
from mezzo.ops.create import shape_of
from mezzo.ops.shape import as_strided, squeeze, transpose, unsqueeze
from mezzo.rules import shapes


def _become(target: Tensor, viewed: Tensor) -> Tensor:
    """Let target be what was made as a view of its former self."""
    target.become(viewed)
    if target.base is not None:
        target.base, target.auto = viewed.base, viewed.auto
    elif viewed.auto is not None:
        target.auto = viewed.auto
    return target


def _in_place(record: Record):
    name = f"{record.name}_"

    def method(self, *args, **kwargs):
        tape.check_inplace(name, self)
        if self.base is not None:
            return _become(self, record(self, *args, **kwargs))
        before = tape.alias(self)
        before.auto = self.auto
        return _become(self, record(before, *args, **kwargs))

    method.__name__, method.__doc__ = (
        name,
        f"{record.name} in place: the tensor itself takes the new shape.",
    )
    return method


for _record, _names in (
    (t, ("t_",)), (transpose, ("transpose_", "swapaxes_", "swapdims_")), (squeeze, ("squeeze_",)),
    (unsqueeze, ("unsqueeze_",)), (as_strided, ("as_strided_",)),
):  # fmt: skip
    for _name in _names:
        setattr(Tensor, _name, _in_place(_record))


@tensor_method
def resize_(self, *size, memory_format=None):
    """The tensor in another size, in place: what fits is kept, what is new is unspecified.

    Raises: GradientError if it requires grad
    Source: torch.Tensor.resize_
    """
    if self.requires_grad:
        raise GradientError(
            "resize_: cannot resize variables that require grad. Work on a detach()ed tensor."
        )
    if self.level is not None:
        raise GradientError(
            f"resize_: a tensor inside {self.level.name} shares its memory with others. Make a new tensor instead."
        )
    shape = shape_of(size)
    if any(n < 0 for n in shape):
        raise ArgumentTypeError(message("resize_", f"size {shape} has a negative axis"))
    strides = shapes.memory_format_strides(
        shape, shapes.contiguous_strides(shape), memory_format or "contiguous"
    )
    made = layout(shape, strides, self.dtype, self.device)
    room = (
        self.storage.nbytes - (self.ptr - self.storage.ptr)
        if self.storage is not None
        else made.nbytes
    )
    if made.nbytes > room:
        grown = raw_empty(made)
        kept = min(self.layout.numel, made.numel)
        flat = layout((kept,), (1,), self.dtype, self.device)
        grown.as_strided((kept,), (1,)).copy_(raw_view(self, flat))
        self.storage, self.ptr, self.base = grown.storage, grown.ptr, None
    self.layout = made
    return self


@tensor_method
def resize_as_(self, the_template, memory_format=None):
    """The tensor in the size of another, in place. Source: torch.Tensor.resize_as_"""
    return self.resize_(*the_template.shape, memory_format=memory_format)
