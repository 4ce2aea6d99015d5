"""Rearrangements: a tensor read with other strides and written to new memory (flip reads backwards).

    @rearrange(vjp=...)
    def flip(input, dims): ...

The body of the def is its rule, as for views: it gets the Layout and the parameters and returns
(shape, strides, offset); strides may be negative, since no tensor keeps them.
"""

from __future__ import annotations

import numpy as np

from mezzo import devices
from mezzo.core import tape
from mezzo.core.families.elementwise import map_plan
from mezzo.core.families.joins import kernel_between
from mezzo.core.layout import Layout, dense
from mezzo.core.record import Primitive, registered
from mezzo.core.tensor import Tensor, array_over, empty


class RearrangePlan:
    """Output layout, how the source is read, and the launch."""

    __slots__ = ("layout", "offset", "plan", "runs", "source")

    def execute(self, args: tuple) -> Tensor:
        """Copy into new memory."""
        out, source = empty(self.layout), args[0]
        if self.plan is not None:
            plan = self.plan
            plan.launch(plan.address, plan.head, out.ptr, source.ptr + self.offset)
        elif self.runs:
            np.copyto(
                out._array(), array_over(source.storage, source.ptr + self.offset, self.source)
            )
        return out


class Rearrange(Primitive):
    """A record whose result is its first argument read in another order."""

    family = "rearrange"

    def make(self, *args) -> RearrangePlan:
        x = args[0].layout
        shape, strides, offset = self.fn(x, *args[1:])
        plan = RearrangePlan()
        plan.layout = dense(shape, x.dtype, x.device)
        plan.source = Layout(plan.layout.shape, tuple(strides), x.dtype, x.device)
        plan.offset = offset * x.dtype.itemsize
        plan.runs = x.device is not devices.meta and plan.layout.numel > 0
        kernel = kernel_between(x.dtype, x.dtype)
        plan.plan = (
            map_plan(kernel, (plan.layout,), [plan.source], fresh=True)
            if plan.runs and kernel is not None
            else None
        )
        return plan

    def run(self, args: tuple) -> Tensor:
        out = self.plan(args).execute(args)
        tape.attach(self, args, out)
        return out


rearrange = registered(Rearrange)
