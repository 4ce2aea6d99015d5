"""Contractions: matrix products whose casts happen while packing (kernels/cpu/contract)."""

from __future__ import annotations

import array
import functools

from mezzo import devices
from mezzo.core import kept, tape
from mezzo.core.layout import Layout, Size, dense
from mezzo.core.record import Primitive, registered
from mezzo.core.state import STATE
from mezzo.core.storage import Storage
from mezzo.core.tensor import Tensor, common_device, empty, require_no_complex
from mezzo.dtypes import BOOL
from mezzo.errors import DTypeError, Fact, ShapeError
from mezzo.kernels.cpu import contract, entry, pool
from mezzo.kernels.cpu.memory import allocate
from mezzo.kernels.ir import Expr
from mezzo.rules import shapes


class ProductPlan:
    """One planned product: sizes, offsets of the batch, workspace."""

    __slots__ = (
        "address",
        "keeper",
        "keeping",
        "launch",
        "layout",
        "offsets",
        "plan",
        "runs",
        "tables",
        "tail",
        "workspace",
    )

    def execute(self, args: tuple) -> Tensor:
        """Run on new memory."""
        return self._go(args, args[1].ptr)

    def execute_kept(self, args: tuple) -> Tensor:
        """The same; the second operand's panels are kept if that serves."""
        keeping = self.keeping
        if keeping is not None:
            self.keeper, self.keeping = keeping(), None
        panels = None if self.keeper is None else kept.panels(args[1], self.keeper[0])
        if panels is None:
            return self._go(args, args[1].ptr)
        return self.keeper[1]._go(args, panels.ptr)

    def _go(self, args: tuple, b: int) -> Tensor:
        out = empty(self.layout)
        if self.runs:
            a, _, bias, _, _, alpha, beta = args
            scratch = allocate(self.workspace, Storage)
            at = 0 if bias is None else bias.ptr
            self.launch(
                self.address,
                a.ptr,
                b,
                out.ptr,
                at,
                scratch.ptr,
                *self.offsets,
                float(alpha),
                float(beta),
                *self.tail,
            )
        return out

    def finish(self, plan, offsets: dict[str, int]) -> None:
        """Take over what every launch repeats."""
        self.plan, self.address, self.workspace = plan, plan.address, plan.workspace_bytes
        slots = plan.slots(0, 0, 0, 0, 0, **offsets)
        self.offsets, self.tail = slots[5:9], slots[11:]


def _offsets(layout: Layout, batch: tuple[int, ...]) -> list[int]:
    """Byte offsets of an operand's matrices over the broadcast batch, row-major."""
    have = tuple(layout.shape[:-2])
    strides = shapes.expand_strides(have, layout.strides[:-2], batch)
    offsets = [0]
    for size, stride in zip(batch, strides):
        step = stride * layout.dtype.itemsize
        offsets = [o + i * step for o in offsets for i in range(size)]
    return offsets


def _matrix(layout: Layout) -> tuple[int, int]:
    """Byte strides of the last two axes."""
    size = layout.dtype.itemsize
    return layout.strides[-2] * size, layout.strides[-1] * size


def _rows_merge(a: Layout) -> int | None:
    """The byte stride between rows if the batch axes and the row axis run on as one in order, else None."""
    rows, step = 1, a.strides[-2]
    for size, stride in zip(reversed(a.shape[:-1]), reversed(a.strides[:-1])):
        if size == 1:
            continue
        if rows == 1:
            step = stride
        elif stride != step * rows:
            return None
        rows *= size
    return step * a.dtype.itemsize


class Contraction(Primitive):
    """product(a, b, bias, compute, dtype, alpha, beta). turned: b comes as its transpose, as layers keep weights."""

    family = "contraction"

    def __init__(self, fn, *, turned: bool = False, **options):
        super().__init__(fn, **options)
        self.turned = turned

    def key(self, args: tuple):
        a, b, bias, compute, dtype = args[:5]  # alpha and beta are runtime numbers
        return (
            contract.precision.settings(),
            a.layout,
            b.layout,
            None if bias is None else bias.layout,
            compute,
            dtype,
        )

    def make(self, a: Tensor, b: Tensor, bias, compute, dtype, alpha, beta,
             epilogue: Expr | None = None) -> ProductPlan:  # fmt: skip
        """The plan. epilogue: what becomes of each element before it is stored, an expression of load(0)."""
        device = common_device(self.name, [t for t in (a, b, bias) if t is not None])
        x, w = a.layout, b.layout
        compute = self._check(x, w, compute)
        if self.turned:
            w = Layout(Size(w.shape[::-1]), w.strides[::-1], w.dtype, w.device)
        if x.shape[-1] != w.shape[-2]:
            raise Fact(
                ShapeError,
                f"mat1 and mat2 shapes cannot be multiplied ({_text(x)} and {_text(w)}): the inner sizes are "
                f"{x.shape[-1]} and {w.shape[-2]}",
                "Did you mean to transpose one of them?" if x.shape[-1] in w.shape[-2:] else "",
            )
        batch = shapes.broadcast([tuple(x.shape[:-2]), tuple(w.shape[:-2])])
        shape = (*batch, x.shape[-2], w.shape[-1])
        out = dense(shape, dtype or compute, device)
        if bias is not None and shapes.broadcast([tuple(bias.shape), shape]) != shape:
            raise Fact(
                ShapeError, f"bias of shape {list(bias.shape)} does not broadcast to {list(shape)}"
            )
        plan = ProductPlan()
        plan.layout, plan.keeper, plan.keeping = out, None, None
        plan.runs = device is not devices.meta and out.numel > 0
        if plan.runs:
            of_bias = None if bias is None else bias.layout
            self._fill(plan, x, w, of_bias, batch, compute, epilogue)
        return plan

    def _check(self, x: Layout, w: Layout, compute):
        for side in (x, w):
            require_no_complex(self.name, side.dtype)
            if side.dtype.category == BOOL:
                raise Fact(DTypeError, "is not implemented for bool", "Convert with x.int().")
            if side.ndim < 2:
                raise Fact(ShapeError, f"needs matrices, and one operand has {side.ndim} axes")
        if compute is None and x.dtype is not w.dtype:
            raise Fact(
                DTypeError,
                f"expected m1 and m2 to have the same dtype, but got: {x.dtype.name} != {w.dtype.name}",
                "Convert one with .to(other.dtype), or use autocast.",
            )
        return compute or x.dtype

    @staticmethod
    def _fill(
        plan: ProductPlan, x: Layout, w: Layout, bias: Layout | None, batch, compute, epilogue
    ) -> None:
        out = plan.layout
        m, n, k = x.shape[-2], w.shape[-1], x.shape[-1]
        count = shapes.numel(batch)
        a_steps, out_steps = _matrix(x), _matrix(out)
        flat = (
            count > 1
            and w.ndim == 2
            and (bias is None or bias.ndim == 1)
            and _rows_merge(x) is not None
        )
        if flat:
            a_steps, m, count = (_rows_merge(x), a_steps[1]), m * count, 1
        bias_steps = (0, 0)
        if bias is not None:
            size = bias.dtype.itemsize
            full = shapes.expand_strides(bias.shape, bias.strides, tuple(out.shape))
            bias_steps = (0 if flat else full[-2] * size, full[-1] * size)
        kernel = contract.kernel(
            x.dtype.ir,
            w.dtype.ir,
            out.dtype.ir,
            compute.ir,
            None if bias is None else bias.dtype.ir,
            epilogue,
            contract.precision.get(),
        )
        threads = pool.get_num_threads()
        of = contract.Problem(m, n, k, a_steps, _matrix(w), out_steps, bias_steps, count, threads)
        steps = kernel.plan(m, n, k, a=of.a, b=of.b, out=of.out, bias=of.bias, batch=count,
                            threads=threads)  # fmt: skip
        plan.tables, offsets = [], {}
        if count == 1:
            plan.keeping = functools.partial(_keeping, plan, kernel, of)
        if count > 1:
            operands = {"a_offsets": x, "b_offsets": w, "out_offsets": out}
            if bias is not None:
                lead = (1,) * (out.ndim - bias.ndim)
                operands["bias_offsets"] = Layout(
                    (*lead, *bias.shape),
                    ((0,) * len(lead)) + tuple(bias.strides),
                    bias.dtype,
                    bias.device,
                )
            for name, layout in operands.items():
                table = array.array("q", _offsets(layout, batch))
                plan.tables.append(table)
                offsets[name] = table.buffer_info()[0]
        plan.finish(steps, offsets)
        plan.launch = entry.launch_unlocked if m * n * k * count > 1 << 18 else entry.launch

    def run(self, args: tuple) -> Tensor:
        plan = self.plan(args)
        out = plan.execute_kept(args) if self.turned and STATE.inference else plan.execute(args)
        tape.attach(self, args, out)
        return out


def _keeping(
    plan: ProductPlan, kernel: contract.Contraction, of: contract.Problem
) -> tuple[contract.Keeper, ProductPlan] | None:
    """What packs the second operand once, and the product that reads its panels; None if that does not pay."""
    found = kernel.plan_kept(of, contract.KEPT_B, 1)
    if found is None:
        return None
    reads = ProductPlan()
    reads.layout, reads.runs, reads.tables, reads.launch = plan.layout, True, [], plan.launch
    reads.finish(found.product, {})
    return contract.Keeper(found.pack, contract.KEPT_B, found.format, 1, found.nbytes, {}), reads


def _text(layout: Layout) -> str:
    return "x".join(map(str, layout.shape))


contraction = registered(Contraction)


def absorbing(body):
    """Autocast for a product: operands that nobody else keeps are cast while packing.

    Leaves and constants stay as they are (no copy is made). What an earlier operation computed is cast
    first: the cast copy is what the tape keeps, at half the size.
    """

    def absorb(region, args):
        if any(
            isinstance(a, Tensor) and not region.eligible(a) for a in args
        ):  # float64 and integers
            return body(*region.cast_all(args, region.dtype))
        return body(*[region.absorbable(a) for a in args], compute=region.dtype)

    return absorb
