"""Fused attention (kernels/cpu/attention): forward gives (out, lse), backward (dq, dk, dv).

Leading axes broadcast; gradients have the broadcast shape, and the engine sums them.
"""

from __future__ import annotations

import array

from mezzo import devices, dtypes
from mezzo.core import tape
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.record import Primitive, registered
from mezzo.core.storage import Storage
from mezzo.core.tensor import Tensor, common_device, empty
from mezzo.kernels.cpu import attention, entry, pool
from mezzo.kernels.cpu.attention import Matrix, Sizes
from mezzo.kernels.cpu.memory import allocate
from mezzo.rules import shapes


class AttentionPlan:
    """Layouts and launch; tables: the heads' offsets."""

    __slots__ = ("inputs", "launch", "layouts", "plan", "runs", "tables")

    def execute(self, args: tuple):
        """Run on new memory."""
        outs = tuple([empty(x) for x in self.layouts])
        if self.runs:
            scratch = allocate(self.plan.workspace_bytes, Storage)
            pointers = [args[i].ptr if isinstance(args[i], Tensor) else 0 for i in self.inputs]
            self.launch(
                self.plan.address, self.plan.block, scratch.ptr, *pointers, *[o.ptr for o in outs]
            )
        return outs


def _offsets(x: Layout, lead: tuple[int, ...], rank: int = 2) -> array.array:
    """Byte offsets of a tensor's matrices (rank 0: elements) over the broadcast leading axes."""
    axes = len(x.shape) - rank
    strides = shapes.expand_strides(tuple(x.shape[:axes]), x.strides[:axes], lead)
    found = [0]
    for size, stride in zip(lead, strides):
        step = stride * x.dtype.itemsize
        found = [o + i * step for o in found for i in range(size)]
    return array.array("q", found)


def _like(q: Layout, shape: tuple[int, ...], dtype) -> Layout:
    """A dense layout whose axes lie in memory in the order of q's (heads inside, where q has them so)."""
    if len(q.shape) != len(shape) or 0 in shape:
        return dense(shape, dtype, q.device)
    order = sorted(range(len(shape) - 1), key=lambda i: (-q.strides[i], i)) + [len(shape) - 1]
    if any(q.strides[i] == 0 for i in order):
        return dense(shape, dtype, q.device)
    inner = shapes.contiguous_strides([shape[i] for i in order])
    strides = [0] * len(shape)
    for axis, step in zip(order, inner):
        strides[axis] = step
    return layout(shape, tuple(strides), dtype, q.device)


class Attention(Primitive):
    """forward: (query, key, value, mask, seed, causal, scale, dropout); backward: g before, out and lse after seed.

    The mask's last axis is contiguous; in backward it is transposed: (keys, queries). Features of g are
    contiguous. seed: an int64 for every head; None without dropout.
    """

    family = "attention"

    def __init__(self, fn, *, back: bool, **options):
        super().__init__(fn, **options)
        self.back = back

    def key(self, args: tuple):
        return (pool.get_num_threads(), *super().key(args))

    def make(self, *args) -> AttentionPlan:
        named = dict(zip(self.names, args))
        tensors = [args[i] for i in self.operands if isinstance(args[i], Tensor)]
        device = common_device(self.name, tensors)
        q, k, v = (named[n].layout for n in ("query", "key", "value"))
        lead = shapes.broadcast([tuple(x.shape[:-2]) for x in (q, k, v)])
        sizes = Sizes(shapes.numel(lead), q.shape[-2], k.shape[-2], q.shape[-1], v.shape[-1])
        plan = AttentionPlan()
        if self.back:
            plan.layouts = tuple(dense((*lead, *x.shape[-2:]), x.dtype, device) for x in (q, k, v))
            order = ("query", "key", "value", "mask", "seed", "out", "lse", "g")
        else:
            out = _like(q, (*lead, sizes.queries, sizes.outputs), q.dtype)
            plan.layouts = (out, dense((*lead, sizes.queries), dtypes.float32, device))
            order = ("query", "key", "value", "mask", "seed")
        plan.inputs = tuple(self.names.index(n) for n in order)
        plan.runs = device is not devices.meta
        if plan.runs:
            self._fill(plan, named, lead, sizes)
        return plan

    def _fill(self, plan: AttentionPlan, named: dict, lead: tuple[int, ...], sizes: Sizes) -> None:
        have = {"q": named["query"].layout, "k": named["key"].layout, "v": named["value"].layout}
        if named["mask"] is not None:
            have["mask"] = named["mask"].layout
        if self.back:
            have |= {"out": named["out"].layout, "g": named["g"].layout}
            have |= dict(zip(("dq", "dk", "dv"), plan.layouts))
        else:
            have["out"] = plan.layouts[0]
        plan.tables, matrices = [], {}
        for name, x in have.items():
            table = _offsets(x, lead)
            plan.tables.append(table)
            size = x.dtype.itemsize
            matrices[name] = Matrix(
                x.strides[-2] * size, x.strides[-1] * size, table.buffer_info()[0]
            )
        if named["seed"] is not None:
            plan.tables.append(_offsets(named["seed"].layout, lead, 0))
            matrices["seed"] = Matrix(0, 0, plan.tables[-1].buffer_info()[0])
        plan.plan = attention.plan(
            have["q"].dtype.ir, have["mask"].dtype.ir if "mask" in have else None, sizes, matrices,
            causal=named["causal"], scale=named["scale"], dropout=named["dropout"], threads=pool.get_num_threads(), back=self.back,
        )  # fmt: skip
        work = sizes.heads * sizes.queries * sizes.keys * sizes.features
        plan.launch = entry.launch_unlocked if work > 1 << 16 else entry.launch

    def run(self, args: tuple):
        outs = self.plan(args).execute(args)
        tape.attach(self, args, outs)
        return outs


fused_attention = registered(Attention)
