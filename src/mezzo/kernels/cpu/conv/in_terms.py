"""Pairs of bfloat16 terms (contract/terms.py), and a step of tiles that multiplies them."""

from __future__ import annotations

from mezzo.kernels.cpu.contract import micro, terms
from mezzo.kernels.cpu.contract.lanes import constant, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Value

# Products of (term of the copy, term of the weight) in the order in which they are summed, the small ones first; each loads
# the tiles of one operand. A step's 32 products are summed by themselves and then added, so all steps take one turn.
PRODUCTS = {
    2: ((1, 1), (1, 0), (0, 1), (0, 0)),
    3: ((2, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 0)),
}


def pairs(f: Function, low: str, high: str, count: int, width: int) -> list[str]:
    """So many bfloat16 terms of two vectors of floats as vectors of pairs, the largest terms first."""
    found, words, short = [], wide("i32", width), wide("i16", width)
    shift = constant("i32", 16, width)
    for halves in zip(*(terms.split(f, value, count, width) for value in (low, high))):
        a, b = (f.let(f"zext {short} {bits} to {words}") for bits in halves)
        found.append(f.let(f"or {words} {a}, {f.let(f'shl {words} {b}, {shift}')}"))
    return found


def step(
    f: Function, scheme: Scheme, corners: list[tuple[int, int]], rows: list[str], apart: tuple[Value, Value],
    columns: str, behind: tuple[Value, Value],
) -> None:  # fmt: skip
    """Add the products of terms along one step of k to the tiles 2 i + j, for (i, j) of the corners.

    rows: where the first terms of each half of the rows begin; apart: bytes from row to row and from term to term;
    columns, behind: the same of the columns' panel, from line to line and from term to term.
    """
    held = (-1, -1)
    for left, right in PRODUCTS[scheme.terms]:
        if left != held[0]:
            for i, start in enumerate(rows):
                here = f.at(start, f.mul(apart[1], left))
                micro.tile(f, "tileloadd64", 4 + i, here, apart[0])
        if right != held[1]:
            for j in sorted({j for _, j in corners}):
                here = f.at(f.at(columns, j * 64), f.mul(behind[1], right))
                micro.tile(f, "tileloadd64", 6 + j, here, behind[0])
        held = left, right
        for i, j in corners:
            micro.dot_tiles(f, 2 * i + j, 4 + i, 6 + j)
