"""Views: operations that only change shape, strides and offset.

    @view(vjp=...)
    def permute(input, dims): ...

The body of the def is its rule: it gets the Layout (not the Tensor) and the parameters and
returns (shape, strides, offset), strides and offset in elements; a fourth value is the dtype in which
the memory is read, if that is another.
"""

from __future__ import annotations

from mezzo.core import tape
from mezzo.core.layout import layout
from mezzo.core.record import Primitive, registered
from mezzo.core.tensor import Tensor
from mezzo.core.tensor import view as make_view


class ViewPlan:
    """Layout and byte offset of the view."""

    __slots__ = ("layout", "offset")

    def __init__(self, made, offset: int):
        self.layout, self.offset = made, offset

    def execute(self, args: tuple) -> Tensor:
        """The view of args[0]."""
        return make_view(args[0], self.layout, self.offset)


class View(Primitive):
    """A record whose result shares the memory of its first argument."""

    family = "view"

    def make(self, *args) -> ViewPlan:
        x = args[0].layout
        shape, strides, offset, *dtype = self.fn(x, *args[1:])
        return ViewPlan(
            layout(shape, strides, dtype[0] if dtype else x.dtype, x.device),
            offset * x.dtype.itemsize,
        )

    def key(self, args: tuple):
        # Parameters of views are ints and tuples of them: they are the key as they stand.
        try:
            hash(args[1:])
        except TypeError:
            return super().key(args)
        return (args[0].layout, args[1:])

    def run(self, args: tuple) -> Tensor:
        source = args[0]
        plan = self.plan(args)
        out = make_view(source, plan.layout, plan.offset)
        step = (self, args[1:])
        if source.base is None:
            out.base = tape.View(source, (step,))
        else:
            out.base = tape.View(source.base.root, (*source.base.chain, step))
        if source.auto is not None or source.base is not None:
            tape.attach(self, args, out)
        return out


view = registered(View)
