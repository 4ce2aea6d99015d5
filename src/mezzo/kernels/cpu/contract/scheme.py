"""How a product is computed on this processor: element types, register tile, panel formats.

A panel is a strip of `rows` rows of one operand (columns, for the second one) over a range of k,
stored as lanes: one f32 or f64, or a pair of neighbouring bf16 along k. Lanes lie in memory as
[k][row], or, for tile registers, as [k / 16][row][16].
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from mezzo.errors import DTypeError, message
from mezzo.kernels.cpu import target
from mezzo.kernels.cpu.contract import precision, terms
from mezzo.kernels.cpu.contract.lanes import SIZE

FLOATS = ("f32", "f64", "bf16", "f16")
INTEGERS = ("u8", "i8", "i16", "i32", "i64")


@dataclass(frozen=True)
class Panel:
    """The format of a packed operand."""

    rows: int
    group: int  # elements along k in one lane
    lane_bytes: int
    width: int  # lanes in a vector; k is padded to width * group
    k_fast: bool = False
    terms: int = (
        1  # bfloat16 numbers that stand for an element; a step of k holds one after the other
    )

    @property
    def k_step(self) -> int:
        """Panels hold a multiple of so many elements along k; the rest is zeros."""
        return self.width * self.group

    def nbytes(self, depth: int) -> int:
        """Bytes of one panel that holds `depth` elements along k."""
        padded = -(-depth // self.k_step) * self.k_step
        return padded // self.group * self.rows * self.lane_bytes * self.terms

    @property
    def term_bytes(self) -> int:
        """Bytes from one term of a step to the next."""
        return self.width * self.rows * self.lane_bytes


@dataclass(frozen=True)
class Scheme:
    """Types and tile of a contraction.

    method: fma, dot (pairs of bf16), amx (tile registers) or integer. k_slice: elements along k that are summed in
    registers, at most. terms: see terms.py; 1 for what needs none.
    """

    a: str
    b: str
    out: str
    compute: str
    bias: str | None
    acc: str
    method: str
    width: int
    tile_rows: int
    tile_vectors: int
    k_slice: int
    terms: int = 1

    @property
    def is_exact(self) -> bool:
        """Whether its terms hold the operands exactly."""
        return self.terms == 1 or self.terms >= terms.COUNT[self.compute]

    @property
    def turned(self) -> Scheme:
        """The scheme of the transposed product: a and b trade places."""
        return replace(self, a=self.b, b=self.a)

    @property
    def tile_columns(self) -> int:
        """Columns of the register tile."""
        return self.tile_vectors * self.width

    @property
    def tile_bytes(self) -> int:
        """Bytes of the accumulators of one tile."""
        return self.tile_rows * self.tile_columns * SIZE[self.acc]

    @property
    def reads_rows(self) -> bool:
        """Whether micro-kernels can read rows of a that are contiguous along k where they lie."""
        return self.method == "amx" and self.a == "bf16" and self.terms == 1

    @property
    def row_steps(self) -> tuple[int, ...]:
        """Heights of micro-kernels; the smallest that covers a tile's valid rows is run."""
        if self.method == "amx":
            return (16, 32)
        return tuple(sorted({*(r for r in (4, 8) if r < self.tile_rows), self.tile_rows}))

    @property
    def vector_steps(self) -> tuple[int, ...]:
        """Widths of micro-kernels, in vectors."""
        return tuple(range(1, self.tile_vectors + 1))

    @property
    def skinny_steps(self) -> dict[int, int]:
        """Groups of rows of products with few rows, and how many tiles wide a strip then is."""
        if target.host().vector_bits == 512:
            return {1: 8, 2: 4, 4: 2, 8: 1}
        return {1: 4, 2: 2, 4: 1}

    def dot_columns(self, rows: int) -> int:
        """Columns that are dotted at once with a group of rows; divides the tile's columns."""
        many = 16 if target.host().vector_bits == 512 else 8
        return max(2, min(8, many // rows))

    @property
    def panel_a(self) -> Panel:
        """Format of the packed first operand."""
        group = 1 if self.method == "fma" else 2
        k_fast = self.method == "amx"
        return Panel(self.tile_rows, group, SIZE[self.acc], self.width, k_fast, self.terms)

    @property
    def panel_b(self) -> Panel:
        """Format of the packed second operand."""
        group = 1 if self.method == "fma" else 2
        return Panel(self.tile_columns, group, SIZE[self.acc], self.width, terms=self.terms)

    @property
    def name(self) -> str:
        """A name for the entry that says what it computes."""
        return "_".join(("contract", self.a, self.b, self.out, self.compute, self.bias or "none"))


def _tile(acc: str) -> tuple[int, int, int]:
    """Lanes, rows and vectors of the register tile for multiply-add."""
    host = target.host()
    lanes = host.lanes(SIZE[acc] * 8)
    if host.has_avx512:
        return lanes, 14, 2
    if host.has_avx2:
        return lanes, 6, 2
    if host.has_neon:
        return lanes, 8, 3
    return lanes, 4, 2


def _has_fast_dots() -> bool:
    """AMD multiplies pairs of bf16 at twice the rate of f32; Intel's cores do so at half of it."""
    host = target.host()
    return host.has_avx512_bf16 and (host.name.startswith("znver") or host.label == "avx512bf16")


@functools.cache
def scheme(a: str, b: str, out: str, compute: str, bias: str | None) -> Scheme:
    """The scheme for these storage types and this compute type; raises if they do not combine."""
    family = INTEGERS if compute in INTEGERS else FLOATS
    for what, given in (("compute", compute), ("a", a), ("b", b), ("out", out), ("bias", bias)):
        if given is not None and given not in family:
            kind = "an integer" if family is INTEGERS else "a floating"
            problem = f"{what} has type {given}; {kind} product takes {', '.join(family)}"
            raise DTypeError(message("contract", problem, "Convert the operand first."))
    host = target.host()
    if family is INTEGERS:
        return Scheme(a, b, out, compute, bias, "i64", "integer", 1, 1, 1, 1)
    if compute == "bf16" and host.has_amx_bf16:
        return Scheme(a, b, out, compute, bias, "f32", "amx", 16, 32, 2, 512)
    if compute == "bf16" and _has_fast_dots():
        return Scheme(a, b, out, compute, bias, "f32", "dot", 16, 14, 2, 512)
    acc = "f64" if compute == "f64" else "f32"
    width, rows, vectors = _tile(acc)
    return Scheme(a, b, out, compute, bias, acc, "fma", width, rows, vectors, 512)


def in_terms(of: Scheme, how: str = precision.HIGHEST) -> Scheme | None:
    """The scheme of the same product with its operands as bfloat16 terms; None if multiply-adds serve it best.

    how: precision.py's choice, for products of float32.
    """
    if of.method != "fma" or of.acc != "f32":
        return None
    if how == precision.MEDIUM and of.compute == "f32":
        rounded = scheme(of.a, of.b, of.out, "bf16", of.bias)
        return None if rounded.method == "fma" else rounded
    if not target.host().has_amx_bf16:
        return None
    count = 2 if how == precision.HIGH else terms.COUNT[of.compute]
    # both panels of a tile stream from the second cache: the longer they are, the rarer the sums are stored
    return replace(
        of, method="amx", width=16, tile_rows=32, tile_vectors=2, k_slice=1536 // count, terms=count
    )
