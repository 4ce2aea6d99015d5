"""Matrix products of strided buffers: out = epilogue(alpha a b + beta bias), rounded once.

    product = contract.kernel("f32", "bf16", "bf16", "bf16", bias="f32")     # a, b, out, compute
    plan = product.plan(m, n, k, a=(4 * k, 4), b=(2 * n, 2), out=(2 * n, 2), bias=(0, 4), threads=2)
    launch(plan.address, *plan.slots(a, b, out, bias, workspace))

The operands are rounded to the compute type while they are packed; sums are f32 (f64 for f64). A
plan holds whatever follows from sizes and strides: compiled code depends on types only. Results do
not depend on the number of threads, bit for bit.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import precision
from mezzo.kernels.cpu.contract.api import Contraction, Keeper, Plan, Problem, kernel
from mezzo.kernels.cpu.contract.plan import KEPT_A, KEPT_B
from mezzo.kernels.cpu.contract.scheme import Scheme, scheme

__all__ = [
    "KEPT_A",
    "KEPT_B",
    "Contraction",
    "Keeper",
    "Plan",
    "Problem",
    "Scheme",
    "kernel",
    "precision",
    "scheme",
]
