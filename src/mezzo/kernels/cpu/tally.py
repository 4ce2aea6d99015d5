"""How often each number from 0 on occurs, and numbers as often as said: one by one, for few, where nothing is shared.

count   args = [size, out, x, bins]    x: i64, size of them, all below the number at bins; out: i64, so many
repeat  args = [size, out, x]          the k-th number from 0 on x[k] times; out: i64, as many as x sums up to
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.writer import Function, Program


@functools.cache
def address(kind: str) -> int:
    """The native entry."""
    program = Program()
    with program.function("kernel", "ptr %args", linkage="") as f:
        size = f.load("i64", "%args", 8)
        out, x = (f.load("ptr", f.at("%args", 8 * i), 8) for i in (1, 2))
        (_count if kind == "count" else _repeat)(f, size, out, x)
    return jit.load(program.text()).address("kernel")


def _count(f: Function, size: str, out: str, x: str) -> None:
    bins = f.load("i64", f.load("ptr", f.at("%args", 24), 8), 8)
    with f.loop(0, bins) as i:
        f.store("i64", 0, f.at(out, f.mul(i, 8)), 8)
    with f.loop(0, size) as i:
        at = f.at(out, f.mul(f.load("i64", f.at(x, f.mul(i, 8)), 8), 8))
        f.store("i64", f.add(f.load("i64", at, 8), 1), at, 8)


def _repeat(f: Function, size: str, out: str, x: str) -> None:
    begin = f.variable("i64", 0)
    with f.loop(0, size) as i:
        end = f.add(f.load("i64", begin), f.load("i64", f.at(x, f.mul(i, 8)), 8))
        with f.loop(f.load("i64", begin), end) as k:
            f.store("i64", i, f.at(out, f.mul(k, 8)), 8)
        f.store("i64", end, begin)
