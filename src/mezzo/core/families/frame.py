"""Frames: a tensor laid into a larger one of one value, or cut out of it where a side is negative.

    @frame(vjp=...)
    def framed(input: Tensor, sides, value) -> Tensor: ...

sides: (before, after) for each of the last axes, first of them first. The value compiles nothing.
"""

from __future__ import annotations

import functools

import numpy as np

from mezzo import devices
from mezzo.core import tape
from mezzo.core.families.elementwise import map_plan
from mezzo.core.families.joins import kernel_between
from mezzo.core.layout import Layout, layout
from mezzo.core.record import Primitive, registered
from mezzo.core.tensor import Tensor, array_over, empty
from mezzo.dtypes import BOOL, FLOAT
from mezzo.errors import Fact, ShapeError
from mezzo.kernels import ir
from mezzo.kernels.cpu import entry
from mezzo.kernels.cpu.maps import MapKernel
from mezzo.rules import shapes


@functools.lru_cache(maxsize=16)
def _fill_kernel(storage: str) -> MapKernel:
    compute = ir.COMPUTE[storage]
    return MapKernel((), (storage,), (ir.scalar(0, compute),), (compute,))


class FramePlan:
    """Result; the filling (None: nothing lies outside); the part of the result that the operand covers."""

    __slots__ = (
        "convert",
        "copy",
        "covered",
        "fill",
        "launch",
        "layout",
        "part",
        "shift",
        "source",
        "start",
    )

    def execute(self, args: tuple) -> Tensor:
        """Run on new memory."""
        source, out = args[0], empty(self.layout)
        if self.fill is not None:
            self.launch(self.fill, self.layout.numel, out.ptr, self.convert(args[2]))
        if self.copy is not None:
            self.copy.launch(
                self.copy.address, self.copy.head, out.ptr + self.shift, source.ptr + self.start
            )
        elif self.covered is not None:  # complex: no kernel holds it
            if not self.covered:
                out._array().fill(args[2])
            to = array_over(out.storage, out.ptr + self.shift, self.part)
            np.copyto(to, array_over(source.storage, source.ptr + self.start, self.source))
        return out


class Frame(Primitive):
    """A record whose result is its operand with margins."""

    family = "frame"

    def key(self, args: tuple):
        return args[0].layout, args[1]

    def make(self, input: Tensor, sides, value) -> FramePlan:
        x = input.layout
        lead = x.ndim - len(sides)
        before = (0,) * lead + tuple(b for b, _ in sides)
        after = (0,) * lead + tuple(a for _, a in sides)
        to = tuple(n + b + a for n, b, a in zip(x.shape, before, after))
        if any(n < 0 for n in to):
            raise Fact(
                ShapeError,
                f"the margins {list(sides)} make a negative output size of shape {list(x.shape)}: {list(to)}",
            )
        plan, last = FramePlan(), x.is_channels_last()
        strides = shapes.channels_last_strides(to) if last else shapes.contiguous_strides(to)
        plan.layout = layout(to, strides, x.dtype, x.device)
        plan.fill = plan.copy = plan.covered = None
        inside = tuple(max(n + min(b, 0) + min(a, 0), 0) for n, b, a in zip(x.shape, before, after))
        if x.device is devices.meta or not plan.layout.numel:
            return plan
        size = x.dtype.itemsize
        plan.start = sum(max(-b, 0) * s for b, s in zip(before, x.strides)) * size
        plan.shift = sum(max(b, 0) * s for b, s in zip(before, strides)) * size
        plan.part = Layout(inside, strides, x.dtype, x.device)
        plan.source = Layout(inside, x.strides, x.dtype, x.device)
        self._steps(plan, inside == to)
        return plan

    @staticmethod
    def _steps(plan: FramePlan, covered: bool) -> None:
        """What runs: a filling unless everything is covered, a copy unless nothing is."""
        out = plan.layout
        if out.dtype.is_complex:
            plan.covered = covered
            return
        if not covered:
            plan.fill = _fill_kernel(out.dtype.ir).address("flat", "c")
            plan.launch = entry.launch_unlocked if out.nbytes >= 1 << 18 else entry.launch
            category = out.dtype.category
            plan.convert = float if category == FLOAT else bool if category == BOOL else int
        if shapes.numel(plan.part.shape):
            plan.copy = map_plan(kernel_between(out.dtype, out.dtype), (plan.part,), [plan.source])

    def run(self, args: tuple) -> Tensor:
        out = self.plan(args).execute(args)
        tape.attach(self, args, out)
        return out


frame = registered(Frame)
