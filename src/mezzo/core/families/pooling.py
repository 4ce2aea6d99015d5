"""Pooling over the last two axes of images (kernels/cpu/pool2d.py).

    @pooling(kind="max")
    def max_pool(input: Tensor, axes): ...

`axes` is a pair of rules.windows.PoolAxis. The kinds say what the operands are: see the kernel.
"""

from __future__ import annotations

import numpy as np

from mezzo import devices, dtypes
from mezzo.core import tape
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.record import Primitive, registered
from mezzo.core.storage import Storage
from mezzo.core.tensor import common_device, empty, require_no_complex
from mezzo.dtypes import BOOL
from mezzo.errors import DTypeError, Fact
from mezzo.kernels.cpu import entry, pool, pool2d
from mezzo.kernels.cpu.memory import allocate
from mezzo.rules import shapes

SERIAL = 16384  # places below which the pool is not worth waking


class PoolPlan:
    """Layouts, tables and launch of one pooling."""

    __slots__ = ("address", "alive", "head", "launch", "layouts", "runs", "scratch", "tensors")

    def execute(self, args: tuple):
        """Run on new memory."""
        outs = tuple([empty(x) for x in self.layouts])
        if self.runs:
            pointers = [o.ptr for o in outs] + [args[i].ptr for i in self.tensors]
            if self.scratch:
                space = allocate(self.scratch, Storage)
                pointers.append(space.ptr)
            self.launch(self.address, self.head, *pointers)
        return outs if len(outs) > 1 else outs[0]


class Pooling(Primitive):
    """A record of one kind of pooling. backwards: the result has the shape of the image."""

    family = "pooling"

    def __init__(self, fn, *, kind: str, **options):
        super().__init__(fn, **options)
        self.kind, self.backwards = kind, kind.endswith("_back")

    def key(self, args: tuple):
        return (pool.get_num_threads(), *super().key(args))

    def make(self, *args) -> PoolPlan:
        named = dict(zip(self.names, args))
        tensors = list(self.operands)
        layouts = [args[i].layout for i in tensors]
        device = common_device(self.name, [args[i] for i in tensors])
        have, axes = layouts[0], named["axes"]
        require_no_complex(self.name, have.dtype)
        if have.dtype.category == BOOL:
            raise Fact(DTypeError, "is not implemented for Bool", "Convert with x.float().")
        image = tuple(named["size"]) if "size" in named else tuple(have.shape[-2:])
        result = image if self.backwards else tuple(a.count for a in axes)
        last = all(_is_last(x) for x in layouts)  # lanes read every operand side by side
        shape = (*have.shape[:2], *result)
        plan = PoolPlan()
        outs = [_image(shape, have.dtype, device, last)]
        if self.kind == "max":
            outs.append(_image(shape, dtypes.int32, device, last))
        plan.layouts, plan.tensors = tuple(outs), tuple(tensors)
        plan.scratch = 0
        plan.runs = device is not devices.meta and outs[0].numel > 0
        if plan.runs:
            self._fill(plan, outs + layouts, axes, image, named, last)
        return plan

    def _fill(
        self, plan: PoolPlan, layouts: list[Layout], axes, image, named: dict, last: bool
    ) -> None:
        out = layouts[0]
        tables = []
        for axis, n in zip(axes, image):
            tables += axis.covering(n) if self.backwards else axis.bounds(n)
        include, divisor = named.get("include", False), named.get("divisor") or 0
        tables += [axis.weights(n, include) for axis, n in zip(axes, image)]
        plan.alive = [np.ascontiguousarray(t, np.int64) for t in tables]
        steps = (1, 1) if self.backwards else tuple(a.dilation for a in axes)
        planes = pool2d.by_planes(self.kind, last)
        units = out.shape[0] * (1 if planes else out.shape[2]) * (1 if last else out.shape[1])
        words = [
            units,
            int(out.numel <= SERIAL),
            out.shape[1],
            *out.shape[2:],
            image[1],
            *steps,
            divisor,
        ]
        words += [t.ctypes.data for t in plan.alive]
        most = (plan.alive[3] - plan.alive[2] + steps[1] - 1) // steps[1]
        storages = tuple(x.dtype.ir for x in layouts)
        room = pool2d.room(self.kind, storages, out.shape[2] * out.shape[3]) if planes else 0
        words += [int(most.max(initial=0)), *layouts[1].shape[2:], room]
        plan.scratch = room * (pool.get_num_threads() if out.numel > SERIAL else 1)
        for have in layouts:
            words += have.byte_strides()
        block = np.array(words, np.int64)
        plan.alive.append(block)
        plan.head = block.ctypes.data
        plan.address = pool2d.address(self.kind, storages, last)
        plan.launch = entry.launch_unlocked if out.numel > SERIAL else entry.launch

    def run(self, args: tuple):
        outs = self.plan(args).execute(args)
        tape.attach(self, args, outs)
        return outs


def _is_last(x: Layout) -> bool:
    """True if channels are innermost in memory."""
    return x.shape[1] > 1 and x.strides[1] == 1 and any(n > 1 for n in x.shape[2:])


def _image(shape, dtype, device, last: bool) -> Layout:
    if last:
        return layout(shape, shapes.channels_last_strides(shape), dtype, device)
    return dense(shape, dtype, device)


pooling = registered(Pooling)
