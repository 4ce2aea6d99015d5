"""Philox-4x32-10: random words as a function of a counter and a seed."""

from __future__ import annotations

from mezzo.kernels import ir

# Constants of Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEYS = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF


def philox(counter: ir.Expr, seed: ir.Expr) -> list[ir.Expr]:
    """Four words of 32 bits for a 64-bit counter and a 64-bit seed, as i64 expressions."""
    c = [
        counter & _MASK,
        ir.shift_right_logical(counter, 32),
        ir.const(0, "i64"),
        ir.const(0, "i64"),
    ]
    key = [seed & _MASK, ir.shift_right_logical(seed, 32)]
    for _ in range(10):
        high0, low0 = ir.mul_high_u32(c[0], ir.const(_MULTIPLIERS[0], "i64"))
        high1, low1 = ir.mul_high_u32(c[2], ir.const(_MULTIPLIERS[1], "i64"))
        c = [high1 ^ c[1] ^ key[0], low1, high0 ^ c[3] ^ key[1], low0]
        key = [(k + w) & _MASK for k, w in zip(key, _KEYS)]
    return c
