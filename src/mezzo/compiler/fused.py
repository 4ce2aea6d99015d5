"""What fused nodes run: one kernel made of the expressions of several records."""

from __future__ import annotations

from collections.abc import Sequence

from mezzo.core.families.elementwise import map_plan
from mezzo.core.layout import Layout
from mezzo.core.tensor import Tensor, empty
from mezzo.kernels import ir
from mezzo.kernels.cpu import capture
from mezzo.kernels.cpu.maps import MapKernel

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
