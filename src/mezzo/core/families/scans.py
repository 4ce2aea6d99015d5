"""Scans: a fold along one axis, its running result at every element.

    @scan(fold=folds.running_sum, dtype=...)
    def scan_sum(input: Tensor, dim, dtype, reverse) -> Tensor: ...

The family reads the parameters called dim, dtype and reverse; Tensor operands have one shape.
"""

from __future__ import annotations

import array
import functools
from collections.abc import Callable

from mezzo import devices
from mezzo.core import tape
from mezzo.core.layout import dense
from mezzo.core.record import Primitive, registered
from mezzo.core.tensor import Tensor, common_device, empty, require_no_complex
from mezzo.kernels import ir
from mezzo.kernels.cpu import entry
from mezzo.kernels.cpu.emit import LANES
from mezzo.kernels.cpu.scan import ScanKernel
from mezzo.rules import shapes
from mezzo.rules.iteration import coalesce

SERIAL = 32768


@functools.lru_cache(maxsize=512)
def _kernel(build: Callable, ins: tuple, compute: str, outs: tuple) -> ScanKernel:
    return ScanKernel(build(compute), ins, outs)


class ScanPlan:
    """Layouts and launch. shifts: bytes added to every pointer (a backward scan starts at the end)."""

    __slots__ = ("address", "block", "launch", "layouts", "runs", "shifts", "tensors")

    def execute(self, args: tuple):
        """Run on new memory."""
        outs = [empty(x) for x in self.layouts]
        if self.runs:
            pointers = [*(o.ptr for o in outs), *(args[i].ptr for i in self.tensors)]
            self.launch(
                self.address, self.block.buffer_info()[0], *map(sum, zip(pointers, self.shifts))
            )
        return outs[0] if len(outs) == 1 else tuple(outs)


class Scan(Primitive):
    """A record that folds along one axis and keeps every step."""

    family = "scan"

    def __init__(self, fn, *, fold: Callable, dtype: Callable, **options):
        super().__init__(fn, **options)
        self.fold, self.dtype_rule = fold, dtype

    def make(self, *args) -> ScanPlan:
        named = dict(zip(self.names, args))
        tensors = [i for i in self.operands if isinstance(args[i], Tensor)]
        layouts = [args[i].layout for i in tensors]
        device = common_device(self.name, [args[i] for i in tensors])
        shape = shapes.broadcast([x.shape for x in layouts])
        axis = shapes.axis(named["dim"], len(shape))
        compute, results = self.dtype_rule(layouts[0].dtype, named.get("dtype"))
        require_no_complex(self.name, compute)
        plan = ScanPlan()
        plan.layouts, plan.tensors = tuple(dense(shape, r, device) for r in results), tuple(tensors)
        plan.runs = device is not devices.meta and shapes.numel(shape) > 0
        if not plan.runs:
            return plan
        every = [*plan.layouts, *layouts]
        tables = [
            tuple(s * x.dtype.itemsize for s in shapes.expand_strides(x.shape, x.strides, shape))
            for x in every
        ]
        kept = [i for i in range(len(shape)) if i != axis]
        sizes, table = coalesce([shape[i] for i in kept], [[t[i] for i in kept] for t in tables])
        length, steps = (shape[axis], [t[axis] for t in tables]) if shape else (1, [0] * len(every))
        back = bool(named.get("reverse"))
        plan.shifts = [(length - 1) * s if back else 0 for s in steps]
        side = [t[0] == x.dtype.itemsize for t, x in zip(table, every)]
        vector = sizes[0] >= LANES and all(side)
        kernel = _kernel(self.fold, tuple(x.dtype.ir for x in layouts), ir.COMPUTE[compute.ir],
                         tuple(x.dtype.ir for x in plan.layouts))  # fmt: skip
        plan.address = kernel.address("outer", ("c" if vector else "g") * len(layouts))
        units = shapes.numel(sizes[1:]) * -(-sizes[0] // LANES)
        total = shapes.numel(shape)
        words = [
            units,
            int(total <= SERIAL or units == 1),
            length,
            sizes[0],
            len(sizes) - 1,
            *sizes[1:],
        ]
        for t, step in zip(table, steps):
            words += [t[0], -step if back else step, *t[1:]]
        plan.block = array.array("q", words)
        plan.launch = entry.launch_unlocked if total > SERIAL else entry.launch
        return plan

    def run(self, args: tuple):
        outs = self.plan(args).execute(args)
        tape.attach(self, args, outs)
        return outs


scan = registered(Scan)
