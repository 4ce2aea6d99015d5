"""Reductions over axes: a fold (kernels/cpu/reduce.py), which axes, and which dtypes.

    @reduction(fold=folds.total, dtype=rules.sum_dtype, vjp=...)
    def sum(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor: ...

The family reads the parameters called dim, keepdim and dtype. Several Tensor operands broadcast
against the first before they are folded.
"""

from __future__ import annotations

import array
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mezzo import devices, dtypes
from mezzo.core import tape
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.record import FirstLayoutKeyed, registered
from mezzo.core.tensor import Tensor, common_device, empty, require_no_complex
from mezzo.errors import EmptyAxisError, Fact
from mezzo.kernels import ir
from mezzo.kernels.cpu import entry
from mezzo.kernels.cpu.fold import AHEAD, FAR
from mezzo.kernels.cpu.reduce import WIDTH, ReduceKernel
from mezzo.rules import shapes
from mezzo.rules.iteration import coalesce

SERIAL = 32768  # elements below which the pool is not worth waking


@functools.lru_cache(maxsize=2048)
def _kernel(build: Callable, ins: tuple, compute: str, outs: tuple, values: tuple) -> ReduceKernel:
    return ReduceKernel(build(compute, *values), ins, outs)


class ReducePlan:
    """Layouts and launch of one reduction."""

    __slots__ = ("address", "block", "launch", "layouts", "runs", "tensors")

    def execute(self, args: tuple):
        """Run on new memory."""
        if len(self.layouts) == 1:
            out = empty(self.layouts[0])
            if self.runs:
                self.go((out.ptr,), [args[i].ptr for i in self.tensors])
            return out
        outs = [empty(x) for x in self.layouts]
        if self.runs:
            self.go([o.ptr for o in outs], [args[i].ptr for i in self.tensors])
        return tuple(outs)

    def go(self, outs: Sequence[int], ins: Sequence[int]) -> None:
        """Launch on these addresses."""
        self.launch(self.address, self.block.buffer_info()[0], *outs, *ins)


def reduce_plan(
    kernel: ReduceKernel, outs: Sequence[Layout], ins: Sequence[Layout], shape, dims
) -> ReducePlan:
    """The plan for inputs broadcast to `shape`, reduced over `dims`; outs are dense with the kept axes."""
    plan = ReducePlan()
    plan.layouts = tuple(outs)
    plan.runs = outs[0].numel > 0
    kept = [i for i in range(len(shape)) if i not in dims]
    steps = [
        tuple(s * x.dtype.itemsize for s in shapes.expand_strides(x.shape, x.strides, shape))
        for x in ins
    ]
    out_steps = [shapes.contiguous_strides([shape[i] for i in kept]) for _ in outs]
    out_steps = [tuple(s * o.dtype.itemsize for s in st) for st, o in zip(out_steps, outs)]
    ksizes, ktable = coalesce(
        [shape[i] for i in kept], [*out_steps, *[[st[i] for i in kept] for st in steps]]
    )
    rsizes, rtable = _reduced([shape[i] for i in dims], [[st[i] for i in dims] for st in steps])
    widths = [x.dtype.itemsize for x in ins]
    n = len(outs)
    pattern = "".join(
        "c" if r[0] == w else "s" if r[0] == 0 else "g" for r, w in zip(rtable, widths)
    )
    if "g" not in pattern and "c" in pattern and rsizes[0] >= 8:
        mode, lane, lane_steps = "inner", 1, [0] * (n + len(ins))
        cells = outs[0].numel
        units = cells
    else:
        mode, lane, lane_steps = "outer", ksizes[0], [t[0] for t in ktable]
        pattern = "".join(
            "c" if t[0] == w else "s" if t[0] == 0 else "g" for t, w in zip(ktable[n:], widths)
        )
        if any(t[0] != o.dtype.itemsize for t, o in zip(ktable, outs)):
            pattern = "g" * len(ins)
        ksizes, ktable = ksizes[1:], [t[1:] for t in ktable]
        units = shapes.numel(ksizes) * -(-lane // WIDTH)
    total = shapes.numel(rsizes)
    serial = int(total * outs[0].numel <= SERIAL or units == 1)
    words = [units, serial, len(ksizes), len(rsizes) - 1, rsizes[0], shapes.numel(rsizes[1:]), lane,
             *ksizes, *rsizes[1:]]  # fmt: skip
    for i in range(n):
        words += [lane_steps[i], *ktable[i]]
    for i in range(len(ins)):
        words += [lane_steps[n + i], *ktable[n + i], *rtable[i]]
    plan.block = array.array("q", words)
    near = mode == "inner" or max(abs(t[0]) for t in rtable) <= AHEAD
    is_far = near and total * outs[0].numel * max(widths) >= FAR
    plan.address = kernel.address(mode, pattern, is_far)
    plan.launch = entry.launch_unlocked if total * outs[0].numel > SERIAL else entry.launch
    return plan


def _reduced(sizes: Sequence[int], steps: Sequence[Sequence[int]]):
    """Reduced axes innermost first, in row-major order (so the index counts as the user sees it)."""
    out_sizes: list[int] = []
    table: list[list[int]] = [[] for _ in steps]
    for i in reversed(range(len(sizes))):
        if sizes[i] == 1:
            continue
        here = [st[i] for st in steps]
        if out_sizes and all(t[-1] * out_sizes[-1] == h for t, h in zip(table, here)):
            out_sizes[-1] *= sizes[i]
            continue
        out_sizes.append(sizes[i])
        for t, h in zip(table, here):
            t.append(h)
    return (out_sizes, table) if out_sizes else ([1], [[0] for _ in steps])


LONG = 1 << 17  # elements from which a reduction in two steps pays
PART = 1 << 16  # elements of a part that is cut along memory
STRETCH = 1 << 12  # of a part whose results are sums along memory, cut across it
STEPS = 32  # least of a part whose results lie side by side
_STORED = {"f32": dtypes.float32, "f64": dtypes.float64, "i64": dtypes.int64, "i32": dtypes.int32, "i16": dtypes.int16,
           "i8": dtypes.int8, "u8": dtypes.uint8, "b1": dtypes.bool_}  # fmt: skip


def divide(x: Layout, dims, results: int, is_ordered: bool) -> tuple[int, int] | None:
    """(the axis to cut, into how many parts) of a long reduction to few results; None where one step will do.

    is_ordered: indices are counted in row-major order, where the first axis is the one to cut.
    """
    shape, strides = x.shape, x.strides
    rest = [d for d in dims if shape[d] > 1]
    total = shapes.numel([shape[d] for d in dims])
    if not rest or results * 64 >= x.numel or x.numel < LONG:
        return None
    cut = rest[0] if is_ordered else max(rest, key=lambda d: (strides[d], shape[d]))
    # Parts follow each other in memory, so that reading goes through it from end to end.
    if strides[cut] == 1:
        part = PART
    elif any(strides[d] == 1 for d in rest):
        part = STRETCH
    else:
        part = max(STEPS, LONG // max(results, 1))
    parts = min(total // part, shape[cut])
    return (cut, parts) if parts > 1 else None


class SplitPlan:
    """Two steps: parts, which threads share, into rows of accumulators; then their merge."""

    __slots__ = ("last", "layouts", "middle", "parts", "source")
    runs = True

    def __init__(self, middle: Sequence[Layout], source: int):
        self.middle, self.source, self.parts, self.last = middle, source, [], None

    def execute(self, args: tuple):
        """Run on new memory."""
        rows, source = [empty(x) for x in self.middle], args[self.source].ptr
        for plan, offset, shifts in self.parts:
            plan.go([r.ptr + s for r, s in zip(rows, shifts)], [source + offset])
        outs = [empty(x) for x in self.layouts]
        self.last.go([o.ptr for o in outs], [r.ptr for r in rows])
        return outs[0] if len(outs) == 1 else tuple(outs)


def split_plan(
    kernel: ReduceKernel, x: Layout, dims, division, outs: Sequence[Layout], source: int
) -> SplitPlan:
    """The two steps of a long reduction to few results.

    One reduced axis is cut into equal parts; what is left over is one more.
    """
    shape, strides, fold = x.shape, x.strides, kernel.fold
    cut, parts = division
    length = shape[cut] // parts
    parts, left = shape[cut] // length, shape[cut] % length
    others = [d for d in range(len(shape)) if d != cut]
    inside = tuple(2 + i for i, d in enumerate(others) if d in dims)
    kept = [shape[d] for d in others if d not in dims]
    middle = [dense((parts + bool(left), *kept), _STORED[t], x.device) for _, t in fold.starts]
    stored = tuple(m.dtype.ir for m in middle)
    step = ReduceKernel(fold.partial(), kernel.ins, stored)
    plan = SplitPlan(middle, source)
    plan.layouts = tuple(outs)
    for count, size, offset, row in ((parts, length, 0, 0), (1, left, parts * length, parts)):
        if size:
            view = layout((count, size, *(shape[d] for d in others)),
                          (strides[cut] * length, strides[cut], *(strides[d] for d in others)), x.dtype, x.device)  # fmt: skip
            into = [dense((count, *kept), m.dtype, x.device) for m in middle]
            shifts = [row * shapes.numel(kept) * m.dtype.itemsize for m in middle]
            made = reduce_plan(step, into, [view], view.shape, (1, *inside))
            plan.parts.append((made, offset * strides[cut] * x.dtype.itemsize, shifts))
    total = shapes.numel([shape[d] for d in dims])
    joined = ReduceKernel(fold.joining(total, total // shape[cut] * length), stored, kernel.outs)
    plan.last = reduce_plan(joined, outs, middle, middle[0].shape, (0,))
    return plan


def _checked_scalar(dim) -> tuple[int, ...]:
    """The reduced axes of a tensor without axes: none, though dim 0 or -1 may be named."""
    shapes.axes(dim, 0)
    return ()


class Folding(NamedTuple):
    """A call of a reduction. tensors: positions of its operands; compute: the type it folds in; values: other parameters."""

    tensors: tuple[int, ...]
    layouts: list[Layout]
    shape: tuple[int, ...]
    dims: tuple[int, ...]
    compute: str
    outs: list[Layout]
    values: tuple

    def division(self, is_ordered: bool) -> tuple[int, int] | None:
        """How threads may share each result; see divide."""
        if len(self.tensors) != 1 or not self.shape:
            return None
        return divide(self.layouts[0], self.dims, self.outs[0].numel, is_ordered)


class Reduction(FirstLayoutKeyed):
    """A record that folds axes away."""

    family = "reduction"

    def __init__(self, fn, *, fold, dtype, outs: int = 1, empty_error: str = "", **options):
        super().__init__(fn, **options)
        self.fold, self.dtype_rule, self.out_count, self.empty_error = (
            fold,
            dtype,
            outs,
            empty_error,
        )

    def folding(self, args: tuple) -> Folding:
        """What the call folds, and into what."""
        named = dict(zip(self.names, args))
        tensors = [i for i in self.operands if isinstance(args[i], Tensor)]
        layouts = [args[i].layout for i in tensors]
        device = common_device(self.name, [args[i] for i in tensors])
        shape = shapes.broadcast([x.shape for x in layouts])
        dims = (
            shapes.axes(named.get("dim"), len(shape))
            if shape
            else _checked_scalar(named.get("dim"))
        )
        compute, results = self.dtype_rule(layouts[0].dtype, named.get("dtype"))
        require_no_complex(self.name, compute)
        if self.empty_error and any(shape[d] == 0 for d in dims):
            raise Fact(EmptyAxisError, self.empty_error, "Pass a dim whose size is not zero.")
        out_shape = shapes.reduced(shape, dims, bool(named.get("keepdim")))
        outs = [dense(out_shape, r, device) for r in results]
        values = tuple(
            named[n]
            for n in self.names
            if n not in ("dim", "keepdim", "dtype") and self.names.index(n) not in self.operands
        )
        return Folding(tuple(tensors), layouts, shape, dims, ir.COMPUTE[compute.ir], outs, values)

    def make(self, *args) -> ReducePlan:
        found = self.folding(args)
        if found.outs[0].device is devices.meta:
            plan = ReducePlan()
            plan.layouts, plan.runs = tuple(found.outs), False
            return plan
        ins = tuple(x.dtype.ir for x in found.layouts)
        stored = tuple(o.dtype.ir for o in found.outs)
        kernel = _kernel(self.fold, ins, found.compute, stored, found.values)
        division = found.division(bool(kernel.fold.indices))
        if division is not None:
            first = found.tensors[0]
            return split_plan(kernel, found.layouts[0], found.dims, division, found.outs, first)
        plan = reduce_plan(kernel, found.outs, found.layouts, found.shape, found.dims)
        plan.tensors = found.tensors
        return plan

    def run(self, args: tuple):
        outs = self.plan(args).execute(args)
        tape.attach(self, args, outs)
        return outs


reduction = registered(Reduction)
