"""Views: operations that only change shape, strides and offset.

    @view(vjp=...)
    def permute(input, dims): ...

The body of the def is its rule: it gets the Layout (not the Tensor) and the parameters and
returns (shape, strides, offset), strides and offset in elements; a fourth value is the dtype in which
the memory is read, if that is another.
"""

from __future__ import annotations

from collections.abc import Callable

from mezzo.core import tape
from mezzo.core.layout import Layout, layout
from mezzo.core.record import FirstLayoutKeyed, Primitive, registered
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


def bare(of: Layout) -> Tensor:
    """A tensor of that layout without memory."""
    made = object.__new__(Tensor)
    made.layout, made.storage, made.ptr = of, None, 0
    made.auto = made.base = None
    return made


class View(FirstLayoutKeyed):
    """A record whose result shares the memory of its first argument."""

    family = "view"

    def make(self, *args) -> ViewPlan:
        x = args[0].layout
        shape, strides, offset, *dtype = self.fn(x, *args[1:])
        return ViewPlan(
            layout(shape, strides, dtype[0] if dtype else x.dtype, x.device),
            offset * x.dtype.itemsize,
        )

    def trail(self, args: tuple) -> Tensor:
        """What stands for the view when only its history is wanted: layout and tape, no memory."""
        out = bare(self.plan(args).layout)
        tape.attach(self, args, out)
        return out

    def run(self, args: tuple) -> Tensor:
        source = args[0]
        plan = self.plan(args)
        out = make_view(source, plan.layout, plan.offset)
        out.base = based(source, (self, args[1:]))
        if source.auto is not None or source.base is not None:
            tape.attach(self, args, out)
        return out


def based(source: Tensor, step: tuple, multiple: bool = False) -> tape.View:
    """How the result of one more view call, step, views the root of source."""
    if source.base is None:
        return tape.View(source, (step,), multiple)
    return tape.View(source.base.root, (*source.base.chain, step), multiple)


class Views(Primitive):
    """A record with several results, each a view of its first argument.

    steps(*args) -> for each result the view that makes it alone: (record, arguments after the first).
    """

    family = "views"

    def __init__(self, fn, *, steps: Callable, **options):
        super().__init__(fn, **options)
        self.steps = steps

    def run(self, args: tuple) -> tuple[Tensor, ...]:
        source, outs = args[0], []
        for record, rest in self.steps(*args):
            plan = record.plan((source, *rest))
            out = make_view(source, plan.layout, plan.offset)
            out.base = based(source, (record, rest), multiple=True)
            outs.append(out)
        made = tuple(outs)
        if source.auto is not None or source.base is not None:
            tape.attach(self, args, made)
        return made


view = registered(View)
views = registered(Views)
