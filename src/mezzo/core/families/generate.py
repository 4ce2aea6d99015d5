"""Tensors from nothing: an expression of the index and of runtime numbers.

    @generate(kernel=lambda type, index, value: value, numbers=("value",))
    def fill(size, dtype, device, value) -> Tensor: ...

The first three parameters are size, dtype and device. The kernel gets the compute type, the
linear index (i64) and an expression for each number; `wide` numbers are i64 whatever the dtype.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from mezzo import devices, dtypes
from mezzo.core.layout import Layout, dense
from mezzo.core.record import Primitive, none, registered
from mezzo.core.tensor import Tensor, empty
from mezzo.errors import Fact, ImpossibleValueError, UnsupportedDTypeError
from mezzo.kernels import ir
from mezzo.kernels.cpu import entry
from mezzo.kernels.cpu.maps import MapKernel


@functools.lru_cache(maxsize=512)
def _kernel(build: Callable, out: str, types: tuple) -> MapKernel:
    compute = ir.COMPUTE[out]
    built = build(compute, ir.index(), *[ir.scalar(i, t) for i, t in enumerate(types)])
    return MapKernel((), (out,), (ir.cast(ir.lift(built, compute), compute),), types)


class GeneratePlan:
    """Output layout and launch."""

    __slots__ = ("address", "conversions", "launch", "layout", "positions", "runs")

    def execute(self, args: tuple) -> Tensor:
        """Run on new memory."""
        out = empty(self.layout)
        if self.runs:
            numbers = [to(args[i]) for i, to in zip(self.positions, self.conversions)]
            self.launch(self.address, self.layout.numel, out.ptr, *numbers)
        return out


class Generate(Primitive):
    """A record that makes a dense tensor from numbers alone."""

    family = "generate"

    def __init__(
        self, fn, *, kernel, numbers: Sequence[str] = (), wide: Sequence[str] = (), **options
    ):
        options.setdefault("vjp", none("made from numbers"))
        super().__init__(fn, **options)
        self.kernel, self.wide = kernel, frozenset(wide)
        self.scalars = tuple(self.names.index(n) for n in numbers)

    def key(self, args: tuple):
        return tuple((a.__class__, a) for i, a in enumerate(args) if i not in self.scalars)

    def make(self, *args) -> GeneratePlan:
        size, dtype, device = args[:3]
        if any(n < 0 for n in size):
            raise Fact(ImpossibleValueError, f"size {tuple(size)} has a negative axis")
        if dtype.is_complex:
            return self.make_complex(dense(size, dtype, device))
        plan = GeneratePlan()
        plan.layout = dense(size, dtype, device)
        plan.runs = plan.layout.numel > 0 and device is devices.cpu
        plan.positions = self.scalars
        compute = ir.COMPUTE[dtype.ir]
        types = tuple("i64" if self.names[i] in self.wide else compute for i in self.scalars)
        whole = bool if dtype is dtypes.bool_ else int
        plan.conversions = tuple(
            float if t in ir.FLOATS else int if t == "i64" and compute != "i64" else whole
            for t in types
        )
        if plan.runs:
            kernel = _kernel(self.kernel, dtype.ir, types)
            plan.address = kernel.address(kernel.flat_shape(plan.layout.nbytes, "c", True), "c")
        plan.launch = entry.launch_unlocked if plan.layout.nbytes >= 1 << 18 else entry.launch
        return plan

    def make_complex(self, out: Layout):
        """The plan of a complex tensor: records that have one say so."""
        raise Fact(
            UnsupportedDTypeError,
            f"does not make {out.dtype.name} tensors",
            "Make the real parts and use mezzo.complex.",
        )

    def run(self, args: tuple) -> Tensor:
        return self.plan(args).execute(args)


generate = registered(Generate)
