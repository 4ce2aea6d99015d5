"""The face of contractions: a kernel for some types, and plans for given sizes and strides."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import NamedTuple

from mezzo.errors import DTypeError, message
from mezzo.kernels.cpu import entry, jit
from mezzo.kernels.cpu.contract import drive, precision
from mezzo.kernels.cpu.contract import skinny as skinny_paths
from mezzo.kernels.cpu.contract.finish import finish
from mezzo.kernels.cpu.contract.integers import integers
from mezzo.kernels.cpu.contract.lanes import SIZE
from mezzo.kernels.cpu.contract.plan import (
    ALL,
    KEPT_A,
    KEPT_B,
    KEPT_PATH,
    KEPT_ROWS,
    KEPT_TURNED,
    SERIAL_TERMS,
    SERIAL_WORK,
    STREAM,
    STREAM_TILES,
    STRIP,
    TERMS_KEPT,
    TURNED_ROWS,
    blocks,
    kept_bytes,
    lane_count,
    packed_beside,
    pays_in_terms,
    reads_in_place,
    skinny,
    skinny_bytes,
)
from mezzo.kernels.cpu.contract.scheme import INTEGERS, Scheme, in_terms, scheme
from mezzo.kernels.cpu.contract.slots import CONSTANTS
from mezzo.kernels.cpu.contract.writer import Program
from mezzo.kernels.ir import Expr

Strides = tuple[int, int]


class Plan:
    """A product of given sizes and strides. It must outlive every launch of its slots.

    address: the native entry. workspace_bytes: scratch, 64-byte aligned, contents free.
    """

    __slots__ = ("_block", "address", "constants", "workspace_bytes")

    def __init__(self, address: int, workspace_bytes: int, constants: tuple[int, ...]) -> None:
        self.address, self.workspace_bytes = address, workspace_bytes
        self._block = (ctypes.c_int64 * len(constants))(*constants)
        self.constants = ctypes.addressof(self._block)

    def slots(
        self, a: int, b: int, out: int, bias: int = 0, workspace: int = 0, *,
        a_offsets: int = 0, b_offsets: int = 0, out_offsets: int = 0, bias_offsets: int = 0,
        alpha: float = 1.0, beta: float = 1.0, source: int = 0,
    ) -> tuple[int | float, ...]:  # fmt: skip
        """The slots of a launch: addresses of buffers and of tables of byte offsets, factors.

        source is for readers: what they want to know.
        """
        return (a, b, out, bias, workspace, a_offsets, b_offsets, out_offsets, bias_offsets,
                float(alpha), float(beta), source, self.constants)  # fmt: skip


class Keeper(NamedTuple):
    """The launch that packs an operand once.

    which: 1 or 2, the operand; format: of its panels; groups: how many of it; nbytes: of all panels.
    """

    plan: Plan
    which: int
    format: str
    groups: int
    nbytes: int
    offsets: dict[str, int]

    def launch(self, operand: int, panels: int) -> None:
        """Pack the operand that lies at one address to another."""
        a, b = (operand, 0) if self.which == KEPT_A else (0, operand)
        entry.launch(self.plan.address, *self.plan.slots(a, b, panels, **self.offsets))


class Kept(NamedTuple):
    """pack: a plan whose output is `nbytes` of panels for each product of the batch; product: it reads them.

    format: a name that panels of other formats do not have.
    """

    pack: Plan
    product: Plan
    nbytes: int
    format: str


class Problem(NamedTuple):
    """Sizes, strides in bytes, batch and threads of a product."""

    m: int
    n: int
    k: int
    a: Strides
    b: Strides
    out: Strides
    bias: Strides
    batch: int
    threads: int


class Contraction:
    """out[m, n] = epilogue(alpha sum over k of a[m, k] b[k, n] + beta bias[m, n]), for some types.

    readers pack operands that are not strided matrices (drive.py); plans ignore their strides. how: precision.py's choice.
    """

    def __init__(
        self, chosen: Scheme, epilogue: Expr | None = None, readers: drive.Readers = (None, None),
        how: str = precision.HIGHEST,
    ) -> None:  # fmt: skip
        self.scheme, self.epilogue, self.readers, self.how = chosen, epilogue, readers, how
        self._addresses: dict[bool, int] = {}

    def ir(self, few_rows: bool = False) -> str:
        """The module for products of few rows, or for the others, as LLVM text."""
        program, paths = Program(), ["product"]
        if self.scheme.method == "integer":
            integers(program, self.scheme)
        elif few_rows:
            finish(program, self.scheme, self.epilogue)
            skinny_paths.skinny(program, self.scheme)
            paths = list(skinny_paths.PATHS)
        else:
            finish(program, self.scheme, self.epilogue)
            drive.packed(program, self.scheme, self.readers)
            paths.append("keep")
        drive.entry(program, self.scheme.name, paths)
        return program.text()

    def address(self, few_rows: bool = False) -> int:
        """The native entry; each module is compiled when a plan first needs it."""
        found = self._addresses.get(few_rows)
        if found is None:
            found = jit.load(self.ir(few_rows)).address(self.scheme.name)
            self._addresses[few_rows] = found
        return found

    def plan(
        self, m: int, n: int, k: int, *, a: Strides, b: Strides, out: Strides,
        bias: Strides = (0, 0), batch: int = 1, threads: int = 1,
    ) -> Plan:  # fmt: skip
        """The plan for sizes, strides in bytes (a: m, k; b: k, n; out: m, n; bias: m, n), batch.

        `threads` is how many may run; results do not depend on it.
        """
        problem = Problem(m, n, k, a, b, out, bias, batch, threads)
        if self.scheme.method == "integer" or any(self.readers):
            return self.plan_as(problem)
        s = self.scheme
        few = self.serving(problem) is self  # else tile registers beat what reads b in place
        other, turned = self._transposed(problem)
        if few and n < m and (path := skinny(s.turned, n, m, k, turned.b)):
            return other().plan_as(turned, path, swap=1)
        if few and m <= n and (path := skinny(s, m, n, k, b)):
            return self.plan_as(problem, path)
        if self._turns(problem) or (out[1] != SIZE[s.out] and out[0] == SIZE[s.out]):
            # a column-major output is made as b^T a^T as well
            return other().serving(turned).plan_as(turned, swap=1)
        return self.serving(problem).plan_as(problem)

    def _transposed(self, of: Problem) -> tuple[Callable[[], Contraction], Problem]:
        """b^T a^T: what gives its contraction, and its problem; plans of it swap their operands."""
        turned = Problem(
            of.n,
            of.m,
            of.k,
            of.b[::-1],
            of.a[::-1],
            of.out[::-1],
            of.bias[::-1],
            of.batch,
            of.threads,
        )
        s = self.scheme
        other = functools.partial(
            kernel, s.b, s.a, s.out, s.compute, s.bias, self.epilogue, self.how
        )
        return other, turned

    def _turns(self, of: Problem) -> bool:
        """Whether tile registers should rather multiply b^T a^T: it has more rows, and those of its left operand, contiguous along k,
        are read where they lie or packed beside products.
        """
        s = self.scheme
        if of.n <= of.m or of.a[1] != SIZE[s.a] or of.b[0] != SIZE[s.b] or of.out[1] != SIZE[s.out]:
            return False
        if self.serving(of).scheme.terms > 1:
            return True
        return of.m <= TURNED_ROWS and reads_in_place(s.turned, of.n, of.m, of.k, of.b[::-1])

    @functools.cached_property
    def _in_terms(self) -> Contraction | None:
        chosen = None if any(self.readers) else in_terms(self.scheme, self.how)
        return chosen and Contraction(chosen, self.epilogue)

    def serving(self, of: Problem) -> Contraction:
        """What computes this product: itself, or where sizes allow its like on tile registers (terms.py)."""
        return (self._in_terms if pays_in_terms(of.m, of.n, of.k) else None) or self

    def plan_kept(self, of: Problem, kept: int, batch: int) -> Kept | None:
        """What packs all of a (1) or b (2) once, `batch` of them, and the product that reads those panels.

        None where such a product is better served by reading the operand where it lies.
        """
        if self.scheme.method == "integer" or not of.k:
            return None
        terms = self.serving(of).scheme.terms > 1
        if kept == KEPT_B and terms and not any(self.readers) and self._turns(of):
            # as where nothing is kept: the same terms are added in the same order
            if of.m > KEPT_TURNED:
                return None
            other, turned = self._transposed(of)
            return other().plan_panels(turned, KEPT_A, batch, swap=1)
        return self.plan_panels(of, kept, batch)

    def plan_panels(self, of: Problem, kept: int, batch: int, swap: int = 0) -> Kept | None:
        """plan_kept for this product as it is; swap: a, b trade places, and kept is the operand after that."""
        serving = self.serving(of)
        s = serving.scheme
        if s.terms > 1 and (of.n if kept == KEPT_A else of.m) >= TERMS_KEPT:
            return None  # packing is a small part, and panels of terms half as large again as the operand
        if not any(self.readers):
            few, size = KEPT_ROWS[s.method == "amx"], SIZE[s.out]
            turned = of.out[1] != size and of.out[0] == size
            direct = kept == KEPT_A and reads_in_place(s, of.m, of.n, of.k, of.a)
            if min(of.m, of.n) <= few or (turned and not swap) or direct:
                return None
        each = kept_bytes(s, kept, of.m, of.n, of.k)
        pack = serving.plan_as(of._replace(batch=batch), KEPT_PATH, swap, kept)
        form = f"{s.compute} in {s.terms} terms" if s.terms > 1 else s.compute
        form += ", as the left operand" if swap else ""
        return Kept(pack, serving.plan_as(of, 0, swap, kept), each, form)

    def _strip(self, side: int, along_rows: int, kind: str) -> int:
        """How much of k is packed at a time: little of memory that is contiguous along rows."""
        return STRIP if self.readers[side] is None and along_rows == SIZE[kind] else ALL

    def plan_as(self, of: Problem, path: int = 0, swap: int = 0, kept: int = 0) -> Plan:
        """The plan for a path (0: packed, then those of skinny.PATHS); swap: a, b trade places.

        kept: 1 or 2 for the operand that comes as panels; then path 1 is what makes them.
        """
        work = of.m * of.n * max(of.k, 1)
        lanes = lane_count(of.m, of.n, of.k, of.batch, of.threads)
        alone = SERIAL_TERMS if self.scheme.terms > 1 else SERIAL_WORK
        serial = of.threads <= 1 or lanes > 1 or work < alone
        direct = self.readers[0] is None and reads_in_place(self.scheme, of.m, of.n, of.k, of.a)
        direct = direct and kept != KEPT_A
        along_k = tuple(of_k == SIZE[kind] for of_k, kind in (
            (of.a[1], self.scheme.a), (of.b[0], self.scheme.b)))  # fmt: skip
        sharing = 1 if serial else of.threads
        beside = 0
        if drive.besides(self.scheme, self.readers):
            lines = along_k[0], of.b[1] == SIZE[self.scheme.b]
            beside = packed_beside(self.scheme, of.m, of.n, lines, kept)
        cut = blocks(self.scheme, of.m, of.n, of.k, sharing, direct, kept, along_k, beside)
        if kept and path:
            lanes, cut = 1, replace(cut, lane_bytes=0)
        elif path:
            cut = replace(cut, lane_bytes=skinny_bytes(self.scheme, of.m, of.k))
        elif self.scheme.method == "integer":
            cut = replace(cut, lane_bytes=0)
        far = STREAM_TILES if self.scheme.method == "amx" and of.batch == 1 else STREAM
        given = {
            **{name: getattr(of, name) for name in ("m", "n", "k")},
            **dict(zip(("a_m", "a_k", "b_k", "b_n"), of.a + of.b)),
            **dict(zip(("out_m", "out_n", "bias_m", "bias_n"), of.out + of.bias)),
            **asdict(cut),
            "batch": of.batch if of.m and of.n else 0,
            "strip_a": self._strip(0, of.a[0], self.scheme.a),
            "strip_b": self._strip(1, of.b[1], self.scheme.b),
            "streams": int(of.m * of.n * of.batch * SIZE[self.scheme.out] >= far),
            "path": path if kept else max(path - 1, 0),
            "swap": swap,
            "serial": int(serial),
            "lanes": lanes,
        }
        constants = tuple(given[name] for name in CONSTANTS)
        return Plan(self.address(path > 0 and not kept), cut.lane_bytes * lanes, constants)


def kernel(
    a: str, b: str, out: str, compute: str, bias: str | None = None, epilogue: Expr | None = None,
    how: str = precision.HIGHEST,
) -> Contraction:  # fmt: skip
    """The contraction for these storage types (bias: its type, or None) and this compute type; one object for each.

    One without a bias is one whose bias is a null pointer: fewer modules to compile. epilogue is an expression of load(0), an f32 (f64 if compute is), applied before rounding.
    how: how exactly products of float32 are wanted (precision.py).
    """
    if bias is None and compute not in INTEGERS:
        bias = "f64" if compute == "f64" else "f32"
    return _kernel(
        a, b, out, compute, bias, epilogue, how if compute == "f32" else precision.HIGHEST
    )


@functools.cache
def _kernel(a, b, out, compute, bias, epilogue: Expr | None, how: str) -> Contraction:
    chosen = scheme(a, b, out, compute, bias)
    if epilogue is not None and epilogue.type != chosen.acc:
        problem = f"epilogue has type {epilogue.type}, and this product is summed in {chosen.acc}"
        raise DTypeError(message("contract", problem, f"Build it on load(0, '{chosen.acc}')."))
    return Contraction(chosen, epilogue, how=how)
