"""Random tensors: Philox-4x32-10 on a counter, so numbers depend on seed and position alone.

    @random(kernel=lambda type, bits, ...: ..., numbers=("low",))
    def uniform(size, dtype, device, generator, low, high) -> Tensor: ...

The first four parameters are size, dtype, device and generator. The kernel gets the compute type,
a function bits() giving 32 random bits (as i64, a new word at each call, four at most) and
an expression for each number. Each call of the record advances the generator by the number of elements.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence

from mezzo import devices
from mezzo.core.layout import dense
from mezzo.core.record import Primitive, none, registered
from mezzo.core.tensor import Tensor, empty
from mezzo.errors import ArgumentValueError, Fact
from mezzo.kernels import ir
from mezzo.kernels.cpu import capture, entry
from mezzo.kernels.cpu.maps import MapKernel
from mezzo.kernels.philox import philox


class Generator:
    """The state of a stream of random numbers: a seed and how many were drawn. Source: torch.Generator"""

    def __init__(self, device="cpu"):
        self.device = devices.usable(device, "Generator")
        self._seed, self._offset = 67280421310721, 0

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from a seed."""
        self._seed, self._offset = int(seed) & 0xFFFFFFFFFFFFFFFF, 0
        return self

    def seed(self) -> int:
        """Start anew from a seed that the operating system gives."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little") >> 1)
        return self._seed

    def initial_seed(self) -> int:
        """The seed."""
        return self._seed

    def take(self, count: int) -> tuple[int, int]:
        """(seed as a signed 64-bit number, first counter) for `count` elements; they are never given again."""
        recording = capture.active()
        if recording is not None and recording.strict:
            if self is not DEFAULT:
                raise capture.NotCapturable
            return recording.draw(functools.partial(self.take, count))
        first = self._offset
        self._offset += count
        return self._seed - (1 << 64) if self._seed >> 63 else self._seed, first

    def state(self) -> tuple[int, int]:
        """Seed and counter."""
        return self._seed, self._offset

    def restore(self, state: tuple[int, int]) -> None:
        """Go on from an earlier state()."""
        self._seed, self._offset = state


DEFAULT = Generator()


@functools.lru_cache(maxsize=256)
def _kernel(build: Callable, out: str, types: tuple, values: tuple) -> MapKernel:
    compute = ir.COMPUTE[out]
    seed, first = ir.scalar(0, "i64"), ir.scalar(1, "i64")
    words = iter(philox(ir.index() + first, seed))
    numbers = [ir.scalar(i + 2, t) for i, t in enumerate(types)]
    built = build(compute, lambda: next(words), *numbers, *values)
    return MapKernel(
        (), (out,), (ir.cast(ir.lift(built, compute), compute),), ("i64", "i64", *types)
    )


class RandomPlan:
    """Output layout and launch."""

    __slots__ = ("address", "floats", "launch", "layout", "positions", "runs")

    def execute(self, args: tuple) -> Tensor:
        """Draw into new memory."""
        out = empty(self.layout)
        seed, first = (args[3] or DEFAULT).take(self.layout.numel)
        if self.runs:
            numbers = [
                float(args[i]) if f else int(args[i]) for i, f in zip(self.positions, self.floats)
            ]
            self.launch(self.address, self.layout.numel, out.ptr, seed, first, *numbers)
        return out


class Random(Primitive):
    """A record whose result comes from a generator."""

    family = "random"

    def __init__(
        self, fn, *, kernel, numbers: Sequence[str] = (), wide: Sequence[str] = (), **options
    ):
        options.setdefault("vjp", none("random numbers"))
        options.setdefault("batch", none("vmap's randomness argument decides"))
        super().__init__(fn, **options)
        self.kernel, self.wide = kernel, frozenset(wide)
        self.scalars = tuple(self.names.index(n) for n in numbers)
        self.values = tuple(i for i in range(4, self.arity) if i not in self.scalars)

    def key(self, args: tuple):
        return tuple(
            (a.__class__, a) for i, a in enumerate(args) if i not in self.scalars and i != 3
        )

    def make(self, *args) -> RandomPlan:
        size, dtype, device = args[:3]
        if any(n < 0 for n in size):
            raise Fact(ArgumentValueError, f"size {tuple(size)} has a negative axis")
        plan = RandomPlan()
        plan.layout = dense(size, dtype, device)
        plan.runs = plan.layout.numel > 0 and device is devices.cpu
        plan.positions = self.scalars
        compute = ir.COMPUTE[dtype.ir]
        types = tuple("i64" if self.names[i] in self.wide else compute for i in self.scalars)
        plan.floats = tuple(t in ir.FLOATS for t in types)
        if plan.runs:
            values = tuple(args[i] for i in self.values)
            plan.address = _kernel(self.kernel, dtype.ir, types, values).address("flat", "c")
        plan.launch = entry.launch_unlocked if plan.layout.nbytes >= 1 << 16 else entry.launch
        return plan

    def run(self, args: tuple) -> Tensor:
        return self.plan(args).execute(args)


random = registered(Random)
