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
from mezzo.kernels.cpu.fold import LINE
from mezzo.kernels.cpu.maps import STREAM
from mezzo.kernels.cpu.scan import ScanKernel
from mezzo.kernels.cpu.scan_many import WIDEST
from mezzo.rules import shapes
from mezzo.rules.iteration import coalesce

SERIAL = 32768
WIDE = 4 * LANES  # lines side by side from which accumulators are better kept in memory
UNITS = 8  # that lines are divided into, so that threads have shares


@functools.lru_cache(maxsize=512)
def _kernel(build: Callable, ins: tuple, compute: str, outs: tuple) -> ScanKernel:
    return ScanKernel(build(compute), ins, outs)


def _way(every, lanes, steps, lines: int, length: int, back: bool) -> tuple[str, str]:
    """(How a scan walks, the access letter of operands) by how lines lie: side by side, or one behind another."""
    items = [x.dtype.itemsize for x in every]
    if lines >= LANES and lanes == items:
        return ("wide" if lines >= WIDE else "outer"), "c"
    turns = min(lines, length) >= LANES and steps == items
    if turns and not any(x.dtype.ir == "b8" for x in every):
        return ("back" if back else "turned"), "c"
    return "outer", "g"


def _chunk(lines: int, cells: int) -> int:
    """Lines of a unit: many, but some units for every thread."""
    chunk = WIDEST
    while chunk > WIDE and cells * -(-lines // chunk) < UNITS:
        chunk //= 2
    return chunk


def _is_far(outs, table, steps, mode: str) -> bool:
    """True for what no cache keeps, where stores past the caches find whole lines."""
    if max(x.nbytes for x in outs) < STREAM:
        return False
    leaps = [s for t in table[: len(outs)] for s in t[1:]]
    leaps += steps[: len(outs)] if mode == "wide" else [t[0] for t in table[: len(outs)]]
    return all(s % LINE == 0 for s in leaps)


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
        kernel = _kernel(self.fold, tuple(x.dtype.ir for x in layouts), ir.COMPUTE[compute.ir],
                         tuple(x.dtype.ir for x in plan.layouts))  # fmt: skip
        total, cells = shapes.numel(shape), shapes.numel(sizes[1:])
        mode, pattern = _way(every, [t[0] for t in table], steps, sizes[0], length, back)
        chunk = _chunk(sizes[0], cells) if mode == "wide" else LANES
        is_far = mode != "outer" and _is_far(plan.layouts, table, steps, mode)
        plan.address = kernel.address(mode, pattern * len(layouts), is_far)
        units = cells * -(-sizes[0] // chunk)
        words = [
            units,
            int(total <= SERIAL or units == 1),
            length,
            sizes[0],
            chunk,
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
