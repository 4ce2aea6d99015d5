"""A row of the table: one piece of work, written once for every library that has PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType

Call = Callable[[], object]
Build = Callable[[ModuleType], Call]
MILLION = 1 << 20


@dataclass(frozen=True)
class Row:
    """One piece of work.

    name: what it is. group: the part of the table. build: makes the call, given mezzo or torch. goal: the
    least PyTorch time / mezzo time that is asked for (None: nothing is). flops, nbytes: of one call, by
    the least that must be computed and moved; 0 where a rate says nothing. kind: whose peak bounds it.
    jax: makes the call given jax, where jax has the operation.
    """

    name: str
    group: str
    build: Build
    goal: float | None = None
    flops: float = 0.0
    nbytes: float = 0.0
    kind: str = "fp32"
    jax: Build | None = field(default=None, compare=False)

    @property
    def unit(self) -> str:
        """The unit of its rate, or nothing."""
        if self.flops:
            return "GFLOP/s"
        return "GB/s" if self.nbytes else ""

    def rate(self, seconds: float) -> float | None:
        """GFLOP/s or GB/s at that time."""
        work = self.flops or self.nbytes
        return work / seconds / 1e9 if work else None


@dataclass(frozen=True)
class Memory:
    """Peak memory of mezzo in a training step: bf16 autocast over fp32.

    run(precision) gives the bytes at the peak, and how many of them are parameters and the optimizer's state, which
    autocast leaves in float32.
    """

    name: str
    run: Callable[[str], tuple[int, int]]
    goal: float
    group: str = "memory"


DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
SIZES = {"fp32": 4, "bf16": 2, "fp16": 2}


def normal(lib: ModuleType, *shape: int, dtype: str = "fp32", grad: bool = False):
    """Normal numbers of that shape."""
    values = lib.randn(*shape).to(getattr(lib, DTYPES[dtype]))
    return values.requires_grad_(grad)


def jax_normal(jax: ModuleType, *shape: int, dtype: str = "fp32"):
    """Normal numbers of that shape, as jax's."""
    return jax.random.normal(jax.random.PRNGKey(0), shape).astype(DTYPES[dtype])


def jitted(jax: ModuleType, function: Callable, *operands) -> Call:
    """A compiled call that waits for its result, as the other libraries do."""
    compiled = jax.jit(function)
    return lambda: jax.block_until_ready(compiled(*operands))


def backward(lib: ModuleType, output, inputs: list) -> Call:
    """A call of the backward pass alone."""
    g = lib.ones_like(output)
    return lambda: lib.autograd.grad(output, inputs, g, retain_graph=True)
