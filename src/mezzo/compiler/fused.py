"""What fused nodes run: one kernel made of the expressions of several records."""

from __future__ import annotations

from collections.abc import Sequence

from mezzo.core.families.contraction import Contraction
from mezzo.core.families.elementwise import map_plan
from mezzo.core.families.reductions import Folding, Reduction, reduce_plan
from mezzo.core.families.rows import RowOperation
from mezzo.core.layout import Layout, layout
from mezzo.core.tensor import Tensor, empty
from mezzo.dtypes import dtype as DType
from mezzo.kernels import ir
from mezzo.kernels.cpu import capture
from mezzo.kernels.cpu.fold import Fold
from mezzo.kernels.cpu.maps import MapKernel
from mezzo.kernels.cpu.reduce import ReduceKernel

_KERNELS: dict[tuple, MapKernel] = {}
LIMIT = 4096


class FusedMap:
    """An elementwise loop with several results. layouts: of the results, those in new memory first.

    parts: the records it is made of, in order.
    """

    flags = False

    def __init__(self, shape: tuple, exprs: tuple[ir.Expr, ...], ins: Sequence[str], outs: Sequence[str],
                 scalars: Sequence[str], layouts: Sequence[Layout], parts: Sequence[str]):  # fmt: skip
        self.shape, self.layouts, self.parts = shape, list(layouts), list(parts)
        self.kernel = _kernel(tuple(ins), tuple(outs), exprs, tuple(scalars))

    @property
    def name(self) -> str:
        """What it is made of, for people."""
        return "_".join(dict.fromkeys(self.parts))

    def execute(self, args: tuple) -> tuple[Tensor, ...]:
        """Run: args are the operands, the results that are written in place, and the numbers."""
        ins, targets, scalars = args
        fresh = [empty(x) for x in self.layouts[: len(self.layouts) - len(targets)]]
        plan = map_plan(self.kernel, self.layouts, [t.layout for t in ins], fresh=not targets)
        plan.launch(plan.address, plan.head, *[t.ptr for t in (*fresh, *targets, *ins)], *scalars)
        recording = capture.active()
        if recording is not None:
            recording.kept.append(plan)  # the launch refers to its block
        return tuple(fresh)


def _kernel(ins: tuple, outs: tuple, exprs: tuple, scalars: tuple) -> MapKernel:
    key = (ins, outs, ir.structure(exprs), scalars)
    found = _KERNELS.get(key)
    if found is None:
        if len(_KERNELS) >= LIMIT:
            _KERNELS.clear()
        found = _KERNELS[key] = MapKernel(ins, outs, exprs, scalars)
    return found


class FusedReduction:
    """A reduction whose elements are computed on the way. ins: layouts of the loop's operands."""

    flags = False

    def __init__(self, record: Reduction, found: Folding, element: ir.Expr, ins: Sequence[Layout],
                 scalars: Sequence[str], part: str):  # fmt: skip
        self.name, self.found, self.ins = f"{part}_{record.name}", found, list(ins)
        fold = record.fold(found.compute, *found.values)

        def step(accs, x, index):
            (value,) = ir.substitute((element,), lambda e: x[e.attr] if e.op == "load" else None)
            return fold.step(accs, [value], index)

        with_map = Fold(fold.starts, step, fold.merge, fold.finish, fold.indices)
        outs = tuple(o.dtype.ir for o in found.outs)
        key = (record.name, found.compute, found.values, ir.structure((element,)), outs,
               tuple(x.dtype.ir for x in ins), tuple(scalars))  # fmt: skip
        self.kernel = _REDUCTIONS.get(key)
        if self.kernel is None:
            if len(_REDUCTIONS) >= LIMIT:
                _REDUCTIONS.clear()
            self.kernel = _REDUCTIONS[key] = ReduceKernel(with_map, key[5], outs, tuple(scalars))

    def execute(self, args: tuple) -> tuple[Tensor, ...]:
        """Run: args are the operands, nothing, and the numbers."""
        ins, _, scalars = args
        found = self.found
        outs = [empty(x) for x in found.outs]
        shape = found.shape
        layouts = [
            layout(shape, (0,) * len(shape), x.dtype, x.device) if x.numel == 1 else x
            for x in self.ins
        ]
        plan = reduce_plan(self.kernel, found.outs, layouts, shape, found.dims)
        block = plan.block.buffer_info()[0]
        plan.launch(plan.address, block, *[t.ptr for t in (*outs, *ins)], *scalars)
        recording = capture.active()
        if recording is not None:
            recording.kept.append(plan)
        return tuple(outs)


_REDUCTIONS: dict[tuple, ReduceKernel] = {}


class FusedRows:
    """A row operation whose first result is stored in another dtype, without a cast of its own."""

    flags = False

    def __init__(self, record: RowOperation, stored: DType):
        self.name, self.record, self.stored = f"{record.name}_cast", record, stored

    def execute(self, args: tuple) -> tuple[Tensor, ...]:
        """Run: args are the record's."""
        plan = self.record.make(*args, stored=self.stored)
        outs = plan.execute(args)
        recording = capture.active()
        if recording is not None:
            recording.kept.append(plan)
        return outs if isinstance(outs, tuple) else (outs,)


class FusedProduct:
    """A product with an epilogue. inner: the layout of the product alone; dtype: what is stored."""

    flags = False

    def __init__(
        self, record: Contraction, args: tuple, inner: Layout, dtype, epilogue: ir.Expr, part: str
    ):
        self.name, self.record, self.dtype = f"{record.name}_{part}", record, dtype
        self.compute = args[3] or inner.dtype
        key = ir.structure((epilogue,))
        self.epilogue = _EPILOGUES.setdefault(key, epilogue)  # kernels are found by the object

    def execute(self, args: tuple) -> tuple[Tensor, ...]:
        """Run: args are the operands, nothing, and the factors."""
        operands, _, factors = args
        full = (*operands, self.compute, self.dtype, *factors)
        plan = self.record.make(*full, epilogue=self.epilogue)
        recording = capture.active()
        if recording is not None:
            recording.kept.append(plan)
        return (plan.execute(full),)


_EPILOGUES: dict[tuple, ir.Expr] = {}
