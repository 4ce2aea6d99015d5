"""Plans of table-driven contractions: out[m, n] = sum over k of a[m, k] b[n, k] (+ bias)."""

from __future__ import annotations

import array
import functools
from collections.abc import Sequence
from dataclasses import asdict

from mezzo.kernels.cpu import contract, jit
from mezzo.kernels.cpu.contract import drive
from mezzo.kernels.cpu.contract.api import Plan as ContractPlan
from mezzo.kernels.cpu.contract.plan import SERIAL_WORK, blocks, lane_count
from mezzo.kernels.cpu.contract.scheme import scheme
from mezzo.kernels.cpu.contract.slots import CONSTANTS
from mezzo.kernels.cpu.contract.writer import Program
from mezzo.kernels.cpu.conv.axes import Axis, Operand
from mezzo.kernels.cpu.conv.pack import pack
from mezzo.kernels.cpu.conv.scatter import finish

_TABLES = ("a_offsets", "b_offsets", "out_offsets", "bias_offsets")
FEW_COLUMNS = 256  # of an image: below this, columns of many images are better packed together


class Plan:
    """One launch: a contract plan whose strides are addresses of tables, and those tables."""

    __slots__ = ("alive", "offsets", "plan")

    def slots(self, a: int, b: int, out: int, bias: int, workspace: int) -> tuple:
        """The slots of a launch."""
        return self.plan.slots(a, b, out, bias, workspace, **self.offsets)


@functools.cache
def _kernel(a: tuple, b: tuple, out: str, compute: str, bias: str | None) -> tuple:
    """(scheme, address) for operands given as (storage, vector axis, checked dimensions)."""
    chosen = scheme(a[0], b[0], out, compute, bias)
    program = Program()

    def reader(given: tuple, fields: tuple[str, str, str]) -> drive.Reader:
        _, vector, dims = given
        return lambda program, name, packer: pack(program, name, packer, vector, dims, fields)

    readers = reader(a, ("a0", "a_m", "a_k")), reader(b, ("b0", "b_n", "b_k"))
    finish(program, chosen)
    drive.packed(program, chosen, readers)
    name = "conv_" + chosen.name
    drive.entry(program, name, ["product"])
    return chosen, jit.load(program.text()).address(name)


def _strided(
    a: Operand, b: Operand, out, compute, bias, bias_steps, groups, threads
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
    made = Plan()
    made.plan = kernel.plan(
        a_m.length, columns, a_k.length, a=(a_m.step(), a_k.step()), b=(b_k.step(), b_n.step()),
        out=(out_m.step(), out_n.step()), bias=bias_steps, batch=batch, threads=threads,
    )  # fmt: skip
    made.alive, made.offsets = [], {}
    if batch > 1:
        steps = (0, b_n.big, out_n.big, 0)
        for name, column, step in zip(_TABLES, zip(*groups), steps):
            table = array.array("q", [at + i * step for at in column for i in range(images)])
            made.alive.append(table)
            made.offsets[name] = table.buffer_info()[0]
    return made


def plan(
    a: Operand, b: Operand, out: tuple[str, int, Axis, Axis], compute: str, *, bias: str | None = None,
    bias_steps: tuple[int, int] = (0, 0), groups: Sequence[tuple[int, int, int, int]] = ((0, 0, 0, 0),),
    threads: int = 1,
) -> Plan:  # fmt: skip
    """The plan of a product. out: (storage, size, axis of m, axis of n); groups: byte offsets of a, b, out, bias."""
    made = _strided(a, b, out, compute, bias, bias_steps, groups, threads)
    if made is not None:
        return made
    kinds = [(x.storage, x.vector(prefer), len(x.dims)) for x, prefer in ((a, "k"), (b, "rows"))]
    chosen, address = _kernel(*kinds, out[0], compute, bias)
    m, n, k, batch = a.rows.length, b.rows.length, a.k.length, len(groups)
    made = Plan()
    a_m, a_k, alive_a = a.tables()
    b_n, b_k, alive_b = b.tables()
    out_m, alive_m = out[2].table(out[1], (), ())
    out_n, alive_n = out[3].table(out[1], (), ())
    lanes = lane_count(m, n, k, batch, threads)
    serial = threads <= 1 or lanes > 1 or m * n * max(k, 1) < SERIAL_WORK
    cut = blocks(chosen, m, n, k, 1 if serial else threads)
    given = {
        "m": m,
        "n": n,
        "k": k,
        "batch": batch if m and n else 0,
        "path": 0,
        "a_m": a_m,
        "a_k": a_k,
        "b_k": b_k,
        "b_n": b_n,
        "out_m": out_m.ctypes.data,
        "out_n": out_n.ctypes.data,
        "bias_m": bias_steps[0],
        "bias_n": bias_steps[1],
        "swap": 0,
        "serial": int(serial),
        "lanes": lanes,
        **asdict(cut),
    }
    made.plan = ContractPlan(
        address, cut.lane_bytes * lanes, tuple(given[name] for name in CONSTANTS)
    )
    made.alive = [alive_a, alive_b, alive_m, alive_n]
    made.offsets = {}
    if batch > 1:
        for name, column in zip(_TABLES, zip(*groups)):
            table = array.array("q", column)
            made.alive.append(table)
            made.offsets[name] = table.buffer_info()[0]
    return made
