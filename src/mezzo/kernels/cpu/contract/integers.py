"""Integer products: sums wrap at 64 bits, and the output keeps their low bits, as PyTorch's do.

Correct for any strides, not tuned: one row of the output at a time, a run of columns side by side.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract.drive import BODY, run
from mezzo.kernels.cpu.contract.lanes import MEMORY, SIZE
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.slots import get, number, pointer
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

_RUN = 64  # columns whose sums are on the stack


def integers(program: Program, scheme: Scheme) -> None:
    """Write @product."""
    _body(program, scheme)
    with program.function("product", "ptr %ctx") as f:
        run(f, "rows_body", get(f, "m"))


def _body(program: Program, scheme: Scheme) -> None:
    with program.function("rows_body", BODY) as f:
        n, sums = get(f, "n"), f.array(_RUN * 8)
        with f.loop("%begin", "%end") as i, f.loop(0, n, _RUN) as first:
            count = f.min(f.sub(n, first), _RUN)
            with f.loop(0, count) as j:
                f.store("i64", 0, f.at(sums, f.mul(j, 8)))
            with f.loop(0, get(f, "k")) as k:
                left = _read(f, scheme.a, "a0", i, "a_m", k, "a_k")
                with f.loop(0, count) as j:
                    right = _read(f, scheme.b, "b0", k, "b_k", f.add(first, j), "b_n")
                    slot = f.at(sums, f.mul(j, 8))
                    f.store("i64", f.add(f.load("i64", slot), f.mul(left, right)), slot)
            with f.loop(0, count) as j:
                _finish(f, scheme, f.load("i64", f.at(sums, f.mul(j, 8))), i, f.add(first, j))


def _finish(f: Function, scheme: Scheme, total: str, i: str, j: str) -> None:
    """out = alpha total + beta bias."""
    value = f.mul(total, _factor(f, "alpha"))
    if scheme.bias:
        slot = f.variable("i64", 0)
        beta = _factor(f, "beta")
        with f.when(f.compare("ne", beta, 0)):
            f.store("i64", _read(f, scheme.bias, "bias0", i, "bias_m", j, "bias_n"), slot)
        value = f.add(value, f.mul(beta, f.load("i64", slot)))
    here = _at(f, "out0", i, "out_m", j, "out_n")
    kind = MEMORY[scheme.out]
    short = value if kind == "i64" else f.let(f"trunc i64 {value} to {kind}")
    f.store(kind, short, here, SIZE[scheme.out])


def _factor(f: Function, name: str) -> str:
    return f.let(f"fptosi double {number(f, name)} to i64")


def _at(
    f: Function, base: str, row: Value, along_row: str, column: Value, along_column: str
) -> str:
    offset = f.add(f.mul(row, get(f, along_row)), f.mul(column, get(f, along_column)))
    return f.at(pointer(f, base), offset)


def _read(f: Function, storage: str, *place) -> str:
    """An element as i64."""
    kind = MEMORY[storage]
    value = f.load(kind, _at(f, *place), SIZE[storage])
    how = "zext" if storage == "u8" else "sext"
    return value if kind == "i64" else f.let(f"{how} {kind} {value} to i64")
