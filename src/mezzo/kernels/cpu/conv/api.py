"""Plans of table-driven contractions: out[m, n] = sum over k of a[m, k] b[n, k] (+ bias)."""

from __future__ import annotations

import array
import functools
from collections.abc import Sequence

from mezzo.kernels.cpu import contract
from mezzo.kernels.cpu.contract import drive
from mezzo.kernels.cpu.contract.api import Contraction, Keeper, Problem
from mezzo.kernels.cpu.contract.plan import KEPT_A
from mezzo.kernels.cpu.contract.scheme import scheme
from mezzo.kernels.cpu.contract.writer import Program
from mezzo.kernels.cpu.conv.axes import Axis, Operand
from mezzo.kernels.cpu.conv.pack import pack
from mezzo.kernels.cpu.conv.scatter import finish

_TABLES = ("a_offsets", "b_offsets", "out_offsets", "bias_offsets")
SUMMED_K = 128  # of an image: below this, the k of many images is better packed together
FEW_COLUMNS = 256  # of an image: below this, columns of many images are better packed together


class Plan:
    """One launch: a contract plan whose strides are addresses of tables, and those tables."""

    __slots__ = ("alive", "keeper", "offsets", "plan")

    def slots(self, a: int, b: int, out: int, bias: int, workspace: int) -> tuple:
        """The slots of a launch."""
        return self.plan.slots(a, b, out, bias, workspace, **self.offsets)


class _Tabled(Contraction):
    """A contraction whose operands and output lie where tables say: strides of plans are their addresses."""

    def ir(self, few_rows: bool = False) -> str:
        """The module as LLVM text."""
        program = Program()
        finish(program, self.scheme)
        drive.packed(program, self.scheme, self.readers)
        drive.entry(program, self.scheme.name, ["product", "keep"])
        return program.text()


@functools.cache
def _kernel(a: tuple, b: tuple, out: str, compute: str, bias: str | None) -> _Tabled:
    """The contraction for operands given as (storage, vector axis, checked dimensions)."""

    def reader(given: tuple, fields: tuple[str, str, str]) -> drive.Reader:
        _, vector, dims = given
        return lambda program, name, packer: pack(program, name, packer, vector, dims, fields)

    readers = reader(a, ("a0", "a_m", "a_k")), reader(b, ("b0", "b_n", "b_k"))
    return _Tabled(scheme(a[0], b[0], out, compute, bias), readers=readers)


def _strided(
    a: Operand, b: Operand, out, compute, bias, bias_steps, groups, threads, kept
) -> Plan | None:
    """The plan where every axis has one step, as for windows of one pixel: a product of plain matrices.

    Columns that go on from image to image with a break are taken one image at a time.
    """
    axes = [a.rows, a.k, b.k, b.rows, out[2], out[3]]
    if a.dims or b.dims or not all(x.length for x in axes):
        return None
    a_m, a_k, b_k, b_n, out_m, out_n = axes = [x.whole() for x in axes]
    images, columns = b_n.cycles, len(b_n.offsets)
    alike = out_n.cycles == images and len(out_n.offsets) == columns
    single = all(x.cycles == 1 for x in (a_m, a_k, b_k, out_m))
    if not alike or not single or any(x.step() is None for x in axes):
        return None
    if images > 1 and columns < FEW_COLUMNS:
        return None
    kernel = contract.kernel(a.storage, b.storage, out[0], compute, bias)
    batch = len(groups) * images
    of = Problem(a_m.length, columns, a_k.length, (a_m.step(), a_k.step()), (b_k.step(), b_n.step()),
                 (out_m.step(), out_n.step()), bias_steps, batch, threads)  # fmt: skip
    made = Plan()
    made.alive = []
    rows = [tuple(at + i * step for at, step in zip(group, (0, b_n.big, out_n.big, 0)))
            for group in groups for i in range(images)]  # fmt: skip
    # @keep takes an operand of several images image by image, and each image's columns would differ
    keepable = kept == KEPT_A or images == 1
    return _finished(made, kernel, of, groups, rows, kept if keepable else 0)


class Part:
    """One image's share of a product that is summed over images: the sum so far, where the result lies, is its bias."""

    __slots__ = ("alive", "begins", "keeper", "offsets", "plan")

    def slots(self, a: int, b: int, out: int, bias: int, workspace: int) -> tuple:
        """The slots of a launch."""
        before = 0 if self.begins else out
        return self.plan.slots(a, b, out, before, workspace, **self.offsets)


def summed(a: Operand, b: Operand, out, compute: str, threads: int) -> list[Part] | None:
    """The plans of a product whose k goes on from image to image with a break, as one product after another.

    None where each image is no plain matrix or too small, or where the result would round the sum of every image.
    """
    axes = [x.whole() for x in (a.rows, a.k, b.k, b.rows, out[2], out[3])]
    a_m, a_k, b_k, b_n, out_m, out_n = axes
    images, k = a_k.cycles, len(a_k.offsets)
    single = all(x.cycles == 1 for x in (a_m, b_n, out_m, out_n))
    if a.dims or b.dims or out[0] != "f32" or k < SUMMED_K or images < 2 or not single:
        return None
    alike = b_k.cycles == images and len(b_k.offsets) == k
    if not alike or not all(x.length for x in axes) or any(x.step() is None for x in axes):
        return None
    kernel = contract.kernel(a.storage, b.storage, out[0], compute)
    to = (out_m.step(), out_n.step())
    plan = kernel.plan(a_m.length, b_n.length, k, a=(a_m.step(), a_k.step()), b=(b_k.step(), b_n.step()),
                       out=to, bias=to, threads=threads)  # fmt: skip
    found = []
    for image in range(images):
        part = Part()
        part.alive = [array.array("q", [image * x.big]) for x in (a_k, b_k)]
        part.offsets = {
            name: table.buffer_info()[0]
            for name, table in zip(("a_offsets", "b_offsets"), part.alive)
        }
        part.plan, part.begins, part.keeper = plan, image == 0, None
        found.append(part)
    return found


def _finished(made: Plan, kernel: Contraction, of: Problem, groups, rows, kept: int) -> Plan:
    """Plan the launches, and lay out the offsets of the batch: `rows` of all of it, `groups` of an operand kept."""
    found = kernel.plan_kept(of, kept, len(groups)) if kept else None
    made.keeper = None
    if found is None:
        made.plan = kernel.plan(of.m, of.n, of.k, a=of.a, b=of.b, out=of.out, bias=of.bias,
                                batch=of.batch, threads=of.threads)  # fmt: skip
        made.offsets = _tables(made, rows)
        return made
    made.plan, side, repeats = found.product, kept - 1, len(rows) // len(groups)
    sources = [(g[0], g[1], i * found.nbytes, 0) for i, g in enumerate(groups)]
    made.keeper = Keeper(found.pack, kept, found.format, len(groups), found.nbytes * len(groups),
                         _tables(made, sources))  # fmt: skip
    for at, row in enumerate(rows):
        rows[at] = (*row[:side], at // repeats * found.nbytes, *row[side + 1 :])
    made.offsets = _tables(made, rows)
    return made


def _tables(made: Plan, rows: Sequence[tuple]) -> dict[str, int]:
    """Addresses of the tables of byte offsets, one entry for each product of the batch."""
    found = {}
    if len(rows) > 1:
        for name, column in zip(_TABLES, zip(*rows)):
            table = array.array("q", column)
            made.alive.append(table)
            found[name] = table.buffer_info()[0]
    return found


def plan(
    a: Operand, b: Operand, out: tuple[str, int, Axis, Axis], compute: str, *, bias: str | None = None,
    bias_steps: tuple[int, int] = (0, 0), groups: Sequence[tuple[int, int, int, int]] = ((0, 0, 0, 0),),
    threads: int = 1, kept: int = 0,
) -> Plan:  # fmt: skip
    """The plan of a product. out: (storage, size, axis of m, axis of n); groups: byte offsets of a, b, out, bias.

    kept: 1 or 2 if a or b should be packed once; then the plan has a keeper, or None where that does not pay.
    """
    made = _strided(a, b, out, compute, bias, bias_steps, groups, threads, kept)
    if made is not None:
        return made
    kinds = [(x.storage, x.vector(prefer), len(x.dims)) for x, prefer in ((a, "k"), (b, "rows"))]
    kernel = _kernel(*kinds, out[0], compute, bias)
    made = Plan()
    a_m, a_k, alive_a = a.tables()
    b_n, b_k, alive_b = b.tables()
    out_m, alive_m = out[2].table(out[1], (), ())
    out_n, alive_n = out[3].table(out[1], (), ())
    made.alive = [alive_a, alive_b, alive_m, alive_n]
    of = Problem(a.rows.length, b.rows.length, a.k.length, (a_m, a_k), (b_k, b_n),
                 (out_m.ctypes.data, out_n.ctypes.data), bias_steps, len(groups), threads)  # fmt: skip
    return _finished(made, kernel, of, groups, list(groups), kept)
