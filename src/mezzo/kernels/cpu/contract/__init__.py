"""Matrix products of strided buffers: out = alpha a b + beta bias, rounded once.

    from mezzo.kernels.cpu import contract
    product = contract.kernel("f32", "bf16", "bf16", "bf16")       # a, b, out, compute
    plan = product.plan(m, n, k, a=(k * 4, 4), b=(n * 2, 2), out=(n * 2, 2))
    launch(plan.address, *plan.slots(a, b, out, workspace=w))

The operands are rounded to the compute type while they are packed; sums are f32 (f64 for f64).
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract.api import Contraction, Plan, kernel

__all__ = ["Contraction", "Plan", "kernel"]
