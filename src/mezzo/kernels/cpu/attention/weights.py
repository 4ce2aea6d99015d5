"""Exponentials of scores for processors with 512-bit vectors, as 2**y, to as many bits as the weights keep.

2**y = 2**floor(y) p(y - floor(y)): VREDUCEPS takes the fraction and VSCALEFPS puts the power back, one instruction
each; what would fall below the normal numbers is 0, chosen by a mask, so that no lane takes the slow way of
subnormal numbers. NaN stays.
"""

from __future__ import annotations

import struct

from mezzo.kernels.cpu.contract.lanes import constant, wide
from mezzo.kernels.cpu.contract.writer import Function

WIDTH = 16
LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453
# Minimax polynomials of 2**r on [0, 1) with relative errors below 2^-13.7 and 2^-29, before rounding.
SHORT = (0.9999251961708069, 0.6958335638046265, 0.2260671705007553, 0.07802451401948929)
FULL = (
    1.0, 0.6931470036506653, 0.24022983014583588, 0.055483341217041016, 0.009678840637207031,
    0.0012439691927284002, 0.00021702241792809218,
)  # fmt: skip
LEAST = -126.0  # the exponent of the smallest normal number
_KIND, _FLOOR, _PRESENT = wide("float", WIDTH), 9, 4  # 9: towards -inf, no exceptions


def number(value: float) -> str:
    """A float constant as LLVM writes it."""
    (single,) = struct.unpack("f", struct.pack("f", value))
    return f"0x{struct.unpack('<Q', struct.pack('<d', single))[0]:016X}"


def vector(value: float) -> str:
    """The constant in every lane."""
    return constant("float", number(value), WIDTH)


def fma(f: Function, a: str, b: str, c: str) -> str:
    """a b + c, rounded once."""
    return f.intrinsic(f"llvm.fma.v{WIDTH}f32", _KIND, (_KIND, a), (_KIND, b), (_KIND, c))


def power(f: Function, y: str, coefficients: tuple[float, ...]) -> str:
    """2**y for a vector of floats; 0 below 2**-126."""
    f.program.declares |= {
        f"declare {_KIND} @llvm.x86.avx512.mask.reduce.ps.512({_KIND}, i32 immarg, {_KIND}, i16, i32 immarg)",
        f"declare {_KIND} @llvm.x86.avx512.mask.scalef.ps.512({_KIND}, {_KIND}, {_KIND}, i16, i32 immarg)",
    }
    rest = f.let(
        f"call {_KIND} @llvm.x86.avx512.mask.reduce.ps.512({_KIND} {y}, i32 {_FLOOR}, {_KIND} zeroinitializer, "
        f"i16 -1, i32 {_PRESENT})"
    )
    p = vector(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        p = fma(f, p, rest, vector(c))
    kept = f.let(f"fcmp uge {_KIND} {y}, {vector(LEAST)}")
    bits = f.let(f"bitcast <{WIDTH} x i1> {kept} to i16")
    return f.let(
        f"call {_KIND} @llvm.x86.avx512.mask.scalef.ps.512({_KIND} {p}, {_KIND} {y}, {_KIND} zeroinitializer, "
        f"i16 {bits}, i32 {_PRESENT})"
    )


def halves(f: Function, low: str, high: str) -> str:
    """Two vectors of floats, rounded, as one of 32 bfloat16."""
    short = [f.let(f"fptrunc {_KIND} {x} to <{WIDTH} x bfloat>") for x in (low, high)]
    order = ", ".join(f"i32 {i}" for i in range(2 * WIDTH))
    kind = f"<{WIDTH} x bfloat>"
    return f.let(
        f"shufflevector {kind} {short[0]}, {kind} {short[1]}, <{2 * WIDTH} x i32> <{order}>"
    )


def shortened(f: Function, x: str) -> str:
    """The nearest numbers of 8 bits, as floats; ties away from zero."""
    i32 = wide("i32", WIDTH)
    bits = f.let(f"bitcast {_KIND} {x} to {i32}")
    up = f.let(f"add {i32} {bits}, {constant('i32', 0x8000, WIDTH)}")
    kept = f.let(f"and {i32} {up}, {constant('i32', -0x10000, WIDTH)}")
    return f.let(f"bitcast {i32} {kept} to {_KIND}")


def terms(f: Function, x: str, count: int) -> list[str]:
    """`count` vectors whose sum is x to 8 bits each; all but the last are exact in bfloat16."""
    found = []
    for _ in range(count - 1):
        found.append(shortened(f, x))
        x = f.let(f"fsub {_KIND} {x}, {found[-1]}")
    return [*found, x]


def folded(f: Function, vectors: list[str], fold) -> str:
    """Lane i: all lanes of vector i folded into one; fold(a, b) works on vectors. 16 vectors of 16 lanes."""
    half = WIDTH // 2
    while half:
        many = len(vectors) // 2
        merged = []
        for x, y in zip(vectors[:many], vectors[many:]):
            parts = []
            for side in (0, half):
                picked = []
                for lane in range(WIDTH):
                    group, at = divmod(lane, half)
                    picked.append((group % 2) * WIDTH + (group // 2) * 2 * half + at + side)
                order = ", ".join(f"i32 {i}" for i in picked)
                parts.append(
                    f.let(f"shufflevector {_KIND} {x}, {_KIND} {y}, <{WIDTH} x i32> <{order}>")
                )
            merged.append(fold(*parts))
        vectors, half = merged, half // 2
    return vectors[0]
