"""Weighted taps along one axis: interpolation, padding by copies, windows and their sums (kernels/cpu/taps.py).

    @taps(vjp=...)
    def resample(input: Tensor, dim, spec, dtype=None) -> Tensor: ...

spec names a table of rules/taps.py; the axis becomes as long as the table has rows.
"""

from __future__ import annotations

import array

import numpy as np

from mezzo import devices
from mezzo.core import tape
from mezzo.core.families.elementwise import map_plan
from mezzo.core.families.joins import kernel_between
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.record import Primitive, registered
from mezzo.core.storage import Storage
from mezzo.core.tensor import Tensor, empty
from mezzo.errors import DTypeError, Fact, ShapeError
from mezzo.kernels import ir
from mezzo.kernels.cpu import entry, taps_last
from mezzo.kernels.cpu import taps as kernel
from mezzo.kernels.cpu.emit import LANES
from mezzo.kernels.cpu.memory import allocate
from mezzo.rules import shapes
from mezzo.rules.taps import table

SERIAL = 16384  # multiplications below which the pool is not worth waking
UNIT = 16384  # and how many one unit should have


class TapsPlan:
    """Result, launch, and the copy that makes the operand dense first, if it is not."""

    __slots__ = (
        "address",
        "arrays",
        "block",
        "copy",
        "copy_bytes",
        "launch",
        "layout",
        "runs",
        "slots",
    )

    def execute(self, args: tuple) -> Tensor:
        """Run on new memory."""
        source, out = args[0], empty(self.layout)
        if not self.runs:
            return out
        ptr, made = source.ptr, None
        if self.copy is not None:
            made = allocate(self.copy_bytes, Storage)
            self.copy.launch(self.copy.address, self.copy.head, made.ptr, ptr)
            ptr = made.ptr
        self.launch(self.address, *self.slots, out.ptr, ptr)
        return out


def _fill_last(plan: TapsPlan, lanes: tuple, sizes: tuple[int, int, int], storages) -> None:
    """The launch where lanes run along the axis. sizes: lines, elements of one, and of one of the result."""
    outer, size, to = sizes
    first, blocks = lanes[0], len(lanes[0]) - 1
    work = LANES * int(first[-1])  # multiplications of a line
    chunk = max(1, min(blocks, UNIT * blocks // work))
    chunks = blocks // chunk  # the last takes what is left
    small = work * outer <= SERIAL
    words = [outer * chunks, int(small), size, to, chunk, chunks, blocks]
    plan.block, plan.arrays = array.array("q", words), lanes  # kept: the kernel reads them
    plan.slots = (plan.block.buffer_info()[0], *[x.ctypes.data for x in lanes])
    plan.address = taps_last.address(*storages)
    plan.launch = entry.launch if small else entry.launch_unlocked


class Taps(Primitive):
    """A record whose result mixes the elements of one axis by a table."""

    family = "taps"

    def make(self, input: Tensor, dim, spec, dtype) -> TapsPlan:
        x = input.layout
        if not x.dtype.is_floating_point:
            raise Fact(
                DTypeError, f"is not implemented for {x.dtype.name}", "Convert with x.float()."
            )
        axis, found = shapes.axis(dim, x.ndim), table(spec)
        if x.shape[axis] != found.size:
            raise Fact(
                ShapeError,
                f"axis {axis} has {x.shape[axis]} elements and the table was made for {found.size}",
            )
        plan = TapsPlan()
        to = (*x.shape[:axis], found.rows, *x.shape[axis + 1 :])
        last = x.is_channels_last()
        source = x if x.is_contiguous or last else dense(x.shape, x.dtype, x.device)
        strides = shapes.channels_last_strides(to) if last else shapes.contiguous_strides(to)
        plan.layout = layout(to, strides, dtype or x.dtype, x.device)
        plan.runs = x.device is not devices.meta and plan.layout.numel > 0
        plan.copy = None
        if plan.runs:
            if source is not x:
                plan.copy, plan.copy_bytes = (
                    map_plan(kernel_between(x.dtype, x.dtype), (source,), [x]),
                    source.nbytes,
                )
            self._fill(plan, source, axis, found)
        return plan

    @staticmethod
    def _fill(plan: TapsPlan, source: Layout, axis: int, found) -> None:
        inner = (
            source.strides[axis]
            if source.is_channels_last()
            else shapes.numel(source.shape[axis + 1 :])
        )
        outer = plan.layout.numel // (inner * found.rows)
        ins, outs = source.dtype.ir, plan.layout.dtype.ir
        compute = ir.COMPUTE["f64" if "f64" in (ins, outs) else ins]
        if inner == 1 and compute == "f32" and found.size > 1:
            lanes = taps_last.steps(found.starts, found.index, found.weight)
            if lanes is not None:
                _fill_last(plan, lanes, (outer, found.size, found.rows), (ins, outs))
                return
        weight = np.ascontiguousarray(found.weight, np.float64 if compute == "f64" else np.float32)
        work = max(len(weight), found.rows) * inner
        chunk = max(1, min(found.rows, UNIT * found.rows // max(work, 1)))
        chunks = -(-found.rows // chunk)
        small = work * outer <= SERIAL
        words = [outer * chunks, int(small), inner, found.size, found.rows, chunk, chunks]
        plan.block = array.array("q", words)
        plan.arrays = (found, weight)  # kept: the kernel reads them
        plan.slots = (
            plan.block.buffer_info()[0],
            found.starts.ctypes.data,
            found.index.ctypes.data,
            weight.ctypes.data,
        )
        plan.address = kernel.address(ins, outs, compute)
        plan.launch = entry.launch if small else entry.launch_unlocked

    def run(self, args: tuple) -> Tensor:
        out = self.plan(args).execute(args)
        tape.attach(self, args, out)
        return out


taps = registered(Taps)
