"""Exponentials of scores for processors with 512-bit vectors, as 2**y, to as many bits as the weights keep.

2**y = 2**floor(y) p(y - floor(y)): VREDUCEPS takes the fraction and VSCALEFPS puts the power back, one instruction
each; what would fall below the normal numbers is 0, chosen by a mask, so that no lane takes the slow way of
subnormal numbers. NaN stays.
"""

from __future__ import annotations

import struct

from mezzo.kernels.cpu.contract import lanes, terms
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
# Of bfloat16 weights in lanes of 16 bits (see `sixteen`): 1024 + 128 (2**(2 u - 2) - 1) for u = 1 + i / 1024, i < 512. In
# float16, with every sum rounded, it is 2**(i / 512) within 2^-8.04, where rounding to the nearest bfloat16 is 2^-8.06.
SIXTEEN = (882.0, 185.125, -122.4375, 79.3125)
FRACTION = 512.0  # what one is in the fixed point of 16 bits
BIAS = 127.0
LEAST = -126.0  # the exponent of the smallest normal number
_LEAST, _MOST = 0x00800000, 0x7F800000  # the bits of the smallest normal number and of infinity
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


def sixteen(f: Function, low: str, high: str) -> str:
    """2**y as bfloat16 (i16) for two vectors of floats 512 (y + 127), which become lanes of 16 bits; y is below 1.

    y is rounded to 1/512, and what is below 2**-127 is zero, -inf too. Bits from 9 on are then the exponent, and the others find
    the 7 bits after it: a polynomial in float16, whose last sum is above 1024 and so rounds to a whole number. NaN is not
    known here. Of every four lanes of 128 bits the first half is from `low`, the second from `high`.
    """
    wide16, words, halves16 = wide("i16", 2 * WIDTH), wide("i32", WIDTH), wide("half", 2 * WIDTH)
    f.program.declares |= {
        f"declare {words} @llvm.x86.avx512.mask.cvtps2dq.512({_KIND}, {words}, i16, i32 immarg)",
        f"declare {wide16} @llvm.x86.avx512.packusdw.512({words}, {words})",
        f"declare {halves16} @llvm.fma.v{2 * WIDTH}f16({halves16}, {halves16}, {halves16})",
    }
    fixed = [
        f.let(
            f"call {words} @llvm.x86.avx512.mask.cvtps2dq.512({_KIND} {y}, {words} zeroinitializer, i16 -1, i32 {_PRESENT})"
        )
        for y in (low, high)
    ]
    both = f.let(
        f"call {wide16} @llvm.x86.avx512.packusdw.512({words} {fixed[0]}, {words} {fixed[1]})"
    )

    def bits(value: int) -> str:
        return constant("i16", value, 2 * WIDTH)

    u = f.let(f"or {wide16} {f.let(f'and {wide16} {both}, {bits(511)}')}, {bits(0x3C00)}")
    u = f.let(f"bitcast {wide16} {u} to {halves16}")
    p = constant("half", _half(SIXTEEN[-1]), 2 * WIDTH)
    for c in reversed(SIXTEEN[:-1]):
        operands = (p, u, constant("half", _half(c), 2 * WIDTH))
        p = f.intrinsic(
            f"llvm.fma.v{2 * WIDTH}f16", halves16, *((halves16, operand) for operand in operands)
        )
    p = f.let(f"bitcast {halves16} {p} to {wide16}")
    exponent = f.let(f"lshr {wide16} {both}, {bits(2)}")
    # of every 16 bits the upper 9 are the exponent's, the others p's
    parts = [f.let(f"bitcast {wide16} {x} to {words}") for x in (exponent, p)]
    operands = (*((words, x) for x in parts), (words, constant("i32", -0x7F0080, WIDTH)))
    picked = f.intrinsic("llvm.x86.avx512.pternlog.d.512", words, *operands, ("i32", 0xE4))
    return f.let(f"bitcast {words} {picked} to {wide16}")


def summed(f: Function, sixteen: str) -> str:
    """The sum of both numbers of every pair of bfloat16 numbers, as floats."""
    kind, zero = wide("i16", 2 * WIDTH), f"{wide('i16', 2 * WIDTH)} zeroinitializer"
    floats = []
    for half in (0, 4):
        order = [
            at
            for lane in range(0, 2 * WIDTH, 8)
            for i in range(4)
            for at in (2 * WIDTH, lane + half + i)
        ]
        picked = ", ".join(f"i32 {at}" for at in order)
        both = f.let(f"shufflevector {kind} {sixteen}, {zero}, <{2 * WIDTH} x i32> <{picked}>")
        floats.append(f.let(f"bitcast {kind} {both} to {_KIND}"))
    return f.let(f"fadd {_KIND} {floats[0]}, {floats[1]}")


def _half(value: float) -> str:
    """A half constant as LLVM writes it."""
    return f"0xH{struct.unpack('<H', struct.pack('<e', value))[0]:04X}"


def cut(
    f: Function, x: str, count: int, *, fills: bool = False, infinite: bool = False
) -> list[str]:
    """The terms of weights or their gradients, as terms.cut has them, in less: the upper halves of floats.

    fills: terms that would be zero are the smallest normal number instead, so that they may meet infinities; x is not
    negative. infinite: x may be infinite. It may be a NaN that arithmetic makes. One term alone is x itself, to be rounded.
    """
    if count == 1:
        return [x]
    word, flags = wide("i32", WIDTH), f"<{WIDTH} x i1>"

    def bits_of(value: str) -> str:
        return f.let(f"bitcast {_KIND} {value} to {word}")

    if fills:
        some = f.let(f"fcmp une {_KIND} {x}, zeroinitializer")
        least = constant("i32", _LEAST, WIDTH)
        least = f.let(f"select {flags} {some}, {word} {least}, {word} zeroinitializer")
    if infinite:
        most = constant("i32", _MOST, WIDTH)
        special = f.let(f"and {word} {bits_of(x)}, {most}")
        special = f.let(f"icmp eq {word} {special}, {most}")
    found, rest = [x], x
    for _ in range(count - 1):
        head = f.let(f"and {word} {bits_of(rest)}, {constant('i32', -0x10000, WIDTH)}")
        head = f.let(f"bitcast {word} {head} to {_KIND}")
        rest = f.let(f"fsub {_KIND} {rest}, {head}")
        if infinite:
            rest = f.let(f"select {flags} {special}, {_KIND} {x}, {_KIND} {rest}")
        term = rest
        if fills:  # numbers that are not negative compare as their bits do
            larger = ((word, bits_of(rest)), (word, least))
            term = f.intrinsic(f"llvm.umax.v{WIDTH}i32", word, *larger)
            term = f.let(f"bitcast {word} {term} to {_KIND}")
        found.append(term)
    return found


def halves(f: Function, low: str, high: str, count: int, pairs: bool = False) -> str:
    """The bfloat16 numbers of one of `count` terms of two vectors: one after the other, or in pairs.

    Of more than one term always in pairs, which takes no exchange of lanes.
    """
    kind = wide("i16", 2 * WIDTH)
    if count > 1:
        words = wide("i32", WIDTH)
        both = [f.let(f"bitcast {_KIND} {x} to {words}") for x in (low, high)]
        return f.let(f"bitcast {words} {terms.paired(f, *both, WIDTH)} to {kind}")
    order = [(half, lane) for half in (0, 1) for lane in range(WIDTH)]
    if pairs:
        order.sort(key=lambda at: at[1])
    short = wide("i16", WIDTH)
    both = [lanes.to_bf16(f, x, WIDTH) for x in (low, high)]
    picked = ", ".join(f"i32 {half * WIDTH + lane}" for half, lane in order)
    return f.let(
        f"shufflevector {short} {both[0]}, {short} {both[1]}, <{2 * WIDTH} x i32> <{picked}>"
    )


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
