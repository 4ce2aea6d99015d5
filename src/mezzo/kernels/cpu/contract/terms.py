"""Floats as sums of bfloat16 terms: how tile registers multiply what is wider than their operands.

A float has 24 significant bits, a half 11, a bfloat16 8: three terms, or two, hold it exactly. A product of sums is the
sum of the products of terms; of floats the three smallest of nine are left out, which are together below
2^-20 of the product and mostly far below: less than what rounding in a sum of some dozen floats loses. Two terms of a float
(precision.HIGH) hold 16 bits of it, the second rounded; none of their four products is left out, since cut terms
have one sign and sums of them would be too small. Tile registers
multiply pairs of bfloat16 sixteen times as fast as vectors of floats do, so six products, or four, still win.

Terms are cut, not rounded, so that all have the sign of what they add up to, and a term that would be zero is the
smallest normal number instead: infinity times any term is then infinity of the right sign, and only infinity times zero
is not a number. That number is below the last bit of every sum that it enters, since the product of the first terms enters the
same sum after it. Subnormal operands and results are zeros on tile registers.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.lanes import constant, wide
from mezzo.kernels.cpu.contract.writer import Function

LANES = 16  # of a vector of floats
COUNT = {"f16": 2, "f32": 3}  # terms of the compute types
# Products of (term of a, term of b), the small ones first; each but the first loads the tiles of one operand.
PRODUCTS = {
    2: ((1, 1), (1, 0), (0, 1), (0, 0)),
    3: ((2, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 0)),
}
_HIGH, _EXPONENT, _SIGN, _LEAST = 0xFFFF0000, 0x7F800000, 0x80000000, 0x00800000
_NANS = 0x33  # of VFIXUPIMMPS: both kinds of NaN become one, all else stays


def cut(f: Function, value: str, count: int, width: int, exact: bool = True) -> list[str]:
    """The bfloat16 terms of f32 values, the largest first, each in the upper half of an i32; the lower half is anything.

    width: a multiple of 16. exact: they hold the value; else the last is rounded to nearest.
    """
    if width > LANES:
        half = width // 2
        low, high = (
            cut(
                f,
                lanes.shuffle(f, "float", width, value, value, [*range(at, at + half)]),
                count,
                half,
                exact,
            )
            for at in (0, half)
        )
        return [lanes.shuffle(f, "i32", half, *both, [*range(width)]) for both in zip(low, high)]
    floats, words, flags = wide("float", width), wide("i32", width), wide("i1", width)

    def number(bits: int) -> str:
        return constant("i32", bits - (bits >> 31 << 32), width)

    def bits_of(number: str) -> str:
        return f.let(f"bitcast {floats} {number} to {words}")

    value = _with_one_nan(f, value)
    exponent = f.let(f"and {words} {bits_of(value)}, {number(_EXPONENT)}")
    finite = f.let(f"icmp ne {words} {exponent}, {number(_EXPONENT)}")
    some = f.let(f"fcmp une {floats} {value}, zeroinitializer")
    # (value & sign) | least
    signed = ((words, bits_of(value)), (words, number(_SIGN)), (words, number(_LEAST)))
    least = f.intrinsic("llvm.x86.avx512.pternlog.d.512", words, *signed, ("i32", 0xEA))
    least = f.let(f"select {flags} {some}, {words} {least}, {words} zeroinitializer")
    found, rest = [bits_of(value)], value
    for _ in range(count - 1):
        high = f.let(f"and {words} {bits_of(rest)}, {number(_HIGH)}")
        less = f.let(f"fsub {floats} {rest}, {f.let(f'bitcast {words} {high} to {floats}')}")
        rest = f.let(f"select {flags} {finite}, {floats} {less}, {floats} {rest}")
        # what is left has the value's sign or is zero: as bits, the larger is what is wanted
        larger = ((words, bits_of(rest)), (words, least))
        found.append(f.intrinsic("llvm.umax.v16i32", words, *larger))
    if not exact:
        found[-1] = _rounded(f, found[-1], words, number)
    return found


def _with_one_nan(f: Function, value: str) -> str:
    """The values, with one NaN whose lower half is zero for all of them."""
    floats, words = wide("float", 16), wide("i32", 16)
    operands = ((floats, value), (floats, value), (words, constant("i32", _NANS, 16)))
    rest = (("i32", 0), ("i16", -1), ("i32", 4))
    return f.intrinsic("llvm.x86.avx512.mask.fixupimm.ps.512", floats, *operands, *rest)


def _rounded(f: Function, word: str, words: str, number) -> str:
    """Bits whose upper half is the nearest bfloat16, ties to even; infinities stay."""
    odd = f.let(f"and {words} {f.let(f'lshr {words} {word}, {number(16)}')}, {number(1)}")
    return f.let(f"add {words} {f.let(f'add {words} {word}, {number(0x7FFF)}')}, {odd}")


def split(f: Function, value: str, count: int, width: int) -> list[str]:
    """The bits (i16) of the bfloat16 terms of f32 values, the largest first."""
    words, found = wide("i32", width), []
    for term in cut(f, value, count, width):
        upper = f.let(f"lshr {words} {term}, {constant('i32', 16, width)}")
        found.append(f.let(f"trunc {words} {upper} to {wide('i16', width)}"))
    return found


def paired(f: Function, low: str, high: str, width: int) -> str:
    """Two cut terms as a vector of pairs (i32), lane by lane."""
    words = wide("i32", width)
    lower = f.let(f"lshr {words} {low}, {constant('i32', 16, width)}")
    # lower | (high & mask)
    parts = ((words, lower), (words, high), (words, constant("i32", _HIGH - (1 << 32), width)))
    return f.intrinsic("llvm.x86.avx512.pternlog.d.512", words, *parts, ("i32", 0xF8))
