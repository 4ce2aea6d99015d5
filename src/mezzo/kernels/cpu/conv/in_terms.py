"""Pairs of bfloat16 terms (contract/terms.py), and a step of tiles that multiplies them.

A step's 32 products of two terms are summed by themselves and then added to the tile. Terms are cut, so the small products have
the sign of the large ones: where all have one sign, a sum that has grown by some thousands of elements would swallow them step
after step. So tiles begin anew after a stretch of k, and stretches are added by vectors.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import micro, terms
from mezzo.kernels.cpu.contract.lanes import wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Value

STRETCH = 576  # elements of k, at most


def pairs(f: Function, low: str, high: str, count: int, width: int) -> list[str]:
    """So many bfloat16 terms of two vectors of floats as vectors of pairs, the largest terms first."""
    cuts = (terms.cut(f, value, count, width) for value in (low, high))
    return [terms.paired(f, *halves, width) for halves in zip(*cuts)]


def step(
    f: Function, scheme: Scheme, corners: list[tuple[int, int]], rows: list[str], apart: tuple[Value, Value],
    columns: str, behind: tuple[Value, Value],
) -> None:  # fmt: skip
    """Add the products of terms along one step of k to the tiles 2 i + j, for (i, j) of the corners.

    rows: where the first terms of each half of the rows begin; apart: bytes from row to row and from term to term;
    columns, behind: the same of the columns' panel, from line to line and from term to term.
    """
    held = (-1, -1)
    for left, right in terms.PRODUCTS[scheme.terms]:
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


def add_tile(f: Function, scheme: Scheme, first: str, second: str, to: str, rows: int) -> None:
    """The sums of two tiles, rows of them."""
    kind, size = wide("float", scheme.width), scheme.width * 4
    with f.loop(0, rows * scheme.tile_columns * 4, size) as at:
        a, b = (f.load(kind, f.at(pointer, at), 16) for pointer in (first, second))
        f.store(kind, f.let(f"fadd {kind} {a}, {b}"), f.at(to, at), 16)
