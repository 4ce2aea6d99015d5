"""Images and volumes read at the places of a grid, and the ways back (kernels/cpu/grid.py).

    @grids(kind="sample", vjp=...)
    def grid_sampled(input: Tensor, grid: Tensor, how, order) -> Tensor: ...

how: (mode, padding_mode, align_corners); order: how often each axis' weights are differentiated. Operands by kind:
sample (image, grid), spread (gradient, grid) with `size`, pull (gradient, image, grid).
"""

from __future__ import annotations

import numpy as np

from mezzo import devices
from mezzo.core import tape
from mezzo.core.families.elementwise import map_plan
from mezzo.core.families.joins import kernel_between
from mezzo.core.layout import Layout, dense
from mezzo.core.record import Primitive, registered
from mezzo.core.storage import Storage
from mezzo.core.tensor import common_device, empty
from mezzo.kernels.cpu import entry, pool
from mezzo.kernels.cpu import grid as kernel
from mezzo.kernels.cpu.emit import LANES
from mezzo.kernels.cpu.memory import allocate
from mezzo.rules import shapes

SERIAL = 16384  # multiplications below which the pool is not worth waking
CHUNK = 2048  # places of one table, whose channels are read one after another
NEAR = 64  # and where channels are neighbours: a few places' lines stay in the first cache
PLANES = 1 << 19  # bytes of planes that a unit of spread adds to, at least one plane
UNITS = 8  # into which an image is divided if it has so many chunks of NEAR
NARROW = 1 << 31  # elements that 32 bits can count


class GridPlan:
    """Result, launch, and the copies that make operands dense first, where they are not."""

    __slots__ = ("address", "alive", "copies", "head", "launch", "layout", "runs", "scratch", "tensors")  # fmt: skip

    def execute(self, args: tuple):
        """Run on new memory."""
        out = empty(self.layout)
        if self.runs:
            space, pointers, made = allocate(self.scratch, Storage), [out.ptr], []
            for i, copy in zip(self.tensors, self.copies):
                ptr = args[i].ptr
                if copy is not None:
                    made.append(allocate(copy[1], Storage))
                    copy[0].launch(copy[0].address, copy[0].head, made[-1].ptr, ptr)
                    ptr = made[-1].ptr
                pointers.append(ptr)
            self.launch(self.address, self.head, space.ptr, *pointers)
        return out


class Grids(Primitive):
    """A record of one kind of reading at places."""

    family = "grids"

    def __init__(self, fn, *, kind: str, **options):
        super().__init__(fn, **options)
        self.kind = kind

    def key(self, args: tuple):
        return (pool.get_num_threads(), *super().key(args))

    def make(self, *args) -> GridPlan:
        named = dict(zip(self.names, args))
        device = common_device(self.name, [args[i] for i in self.operands])
        grid, image, grad = (
            named[n].layout if n in named else None for n in ("grid", "input", "grad")
        )
        any_image = image or grad
        n, c, to = any_image.shape[0], any_image.shape[1], tuple(grid.shape[1:-1])
        sizes = tuple(named["size"] if "size" in named else image.shape[2:])
        shape = {"sample": (n, c, *to), "spread": (n, c, *sizes), "pull": tuple(grid.shape)}
        plan = GridPlan()
        plan.layout = dense(shape[self.kind], grid.dtype, device)
        plan.runs = device is not devices.meta and plan.layout.numel > 0
        if plan.runs:
            operands = {"sample": ("grid", "input"), "spread": ("grid", "grad"), "pull": ("grid", "input", "grad")}  # fmt: skip
            plan.tensors = [self.names.index(name) for name in operands[self.kind]]
            layouts = [named[name].layout for name in operands[self.kind]]
            # The image is read as it lies.
            plan.copies = [
                _dense_copy(x) if x is not image and not x.is_contiguous else None for x in layouts
            ]
            self._fill(plan, grid, image, sizes, c, named)
        return plan

    def _fill(
        self, plan: GridPlan, grid: Layout, image: Layout | None, sizes, c: int, named
    ) -> None:
        axes, storage, n = len(sizes), grid.dtype.ir, grid.shape[0]
        reading = kernel.Reading(axes, *named["how"], tuple(named["order"]))
        places = shapes.numel(grid.shape[1:-1])
        near = image is not None and c > 1 and image.strides[1] == 1
        plane = shapes.numel(sizes)
        steps = image.strides[2:] if image is not None else shapes.contiguous_strides(sizes)
        span = sum((m - 1) * s for m, s in zip(sizes, steps)) + 1
        index = "i32" if span < NARROW else "i64"
        whole = -(-places // LANES) * LANES
        if self.kind == "spread":
            chunk, planes = min(CHUNK, whole), kernel.plane_bytes(storage, plane)
            group = max(1, min(c, PLANES // planes))
            parts, own = -(-c // group), planes * group
        else:
            share = -(-places // (UNITS * NEAR)) * NEAR
            chunk, group, own = min(NEAR if near else CHUNK, share, whole), 1, 0
            parts = -(-places // chunk)
        own += kernel.table_bytes(storage, reading, index, chunk)
        own = own + 63 & -64
        serial = n * places * max(c, 1) * reading.corners <= SERIAL
        strides = image.byte_strides() if image is not None else (0, 0)
        block = [n * parts, int(serial), c, places, chunk, parts, group, plane, own, *strides[:2]]
        for values in (sizes, steps):
            block += [*values, *[1] * (3 - axes)]
        plan.alive = np.array(block, np.int64)
        plan.head = plan.alive.ctypes.data
        plan.scratch = own * (1 if serial else pool.get_num_threads())
        plan.address = kernel.address(self.kind, storage, reading, index)
        plan.launch = entry.launch if serial else entry.launch_unlocked

    def run(self, args: tuple):
        out = self.plan(args).execute(args)
        tape.attach(self, args, out)
        return out


def _dense_copy(x: Layout):
    """The launch that makes it dense, and its bytes."""
    to = dense(x.shape, x.dtype, x.device)
    return map_plan(kernel_between(x.dtype, x.dtype), (to,), [x]), to.nbytes


grids = registered(Grids)
