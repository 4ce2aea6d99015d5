"""How many elements fall into each of equal bins.

LANES elements at a time get the numbers of their bins, which are then counted one by one: a part of the elements has counts
of its own, and the parts are added up at the end, so that no two threads write one count.

    args  = [block, out, counts, x, edges]     edges: lowest and highest value, of the compute type; x dense
    block = WORDS; counts: i64, parts times (bins + 1), the last for what lies outside
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.lanes import load_some, mask, splat, wide
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.emit import LANES, LLVM, Emitter
from mezzo.kernels.ir import COMPUTE, SIZE

WORDS = ("parts", "serial", "size", "chunk", "bins")


@functools.cache
def address(storage: str) -> int:
    """The native entry for elements and counts of a storage type."""
    program = Program()
    with program.function("body", "ptr %args, i64 %begin, i64 %end, i64 %worker") as f:
        _parts(f, storage)
    with program.function("kernel", "ptr %args", linkage="") as f:
        block = f.load("ptr", "%args", 8)
        word = {name: f.load("i64", f.at(block, 8 * i), 8) for i, name in enumerate(WORDS)}
        f.share("body", "%args", word["parts"], word["serial"])
        _merge(f, word, storage)
    return jit.load(program.text()).address("kernel")


def _merge(f: Function, word: dict[str, str], storage: str) -> None:
    """The sums of all parts, as elements."""
    out, counts = (f.load("ptr", f.at("%args", 8 * i), 8) for i in (1, 2))
    kind, total = LLVM[COMPUTE[storage]], f.variable("i64")
    with f.loop(0, word["bins"]) as b:
        f.store("i64", 0, total)
        with f.loop(0, word["parts"]) as part:
            at = f.add(f.mul(part, f.add(word["bins"], 1)), b)
            count = f.load("i64", f.at(counts, f.mul(at, 8)), 8)
            f.store("i64", f.add(f.load("i64", total), count), total)
        value = f.let(f"sitofp i64 {f.load('i64', total)} to {kind}")
        e = Emitter(f.lines, f.program.declares, 1, f.name("e") + "_", lambda node: "")
        e.store(value, f.at(out, f.mul(b, SIZE[storage])), storage)


def _parts(f: Function, storage: str) -> None:
    block = f.load("ptr", "%args", 8)
    word = {name: f.load("i64", f.at(block, 8 * i), 8) for i, name in enumerate(WORDS)}
    counts, x, edges = (f.load("ptr", f.at("%args", 8 * i), 8) for i in (2, 3, 4))
    kind = LLVM[COMPUTE[storage]]
    size = SIZE[COMPUTE[storage]]
    low, high = f.load(kind, edges, size), f.load(kind, f.at(edges, size), size)
    numbers = f.variable(f"<{LANES} x i64>")
    with f.loop("%begin", "%end") as part:
        own = f.at(counts, f.mul(f.mul(part, f.add(word["bins"], 1)), 8))
        with f.loop(0, f.add(word["bins"], 1)) as b:
            f.store("i64", 0, f.at(own, f.mul(b, 8)), 8)
        first = f.mul(part, word["chunk"])
        last = f.min(f.add(first, word["chunk"]), word["size"])
        with f.loop(first, last, LANES) as i:
            e = Emitter(f.lines, f.program.declares, LANES, f.name("e") + "_", lambda node: "")
            rest = f.sub(last, i)
            value = e.decode(load_some(f, f.at(x, f.mul(i, SIZE[storage])), storage, LANES, rest), storage)  # fmt: skip
            f.store(
                f"<{LANES} x i64>", _bins(f, value, low, high, word["bins"], kind, rest), numbers
            )
            for lane in range(LANES):
                at = f.at(own, f.mul(f.load("i64", f.at(numbers, 8 * lane), 8), 8))
                f.store("i64", f.add(f.load("i64", at, 8), 1), at, 8)


def _bins(f: Function, value: str, low: str, high: str, bins: str, kind: str, count: str) -> str:
    """The numbers of the elements' bins; that behind the last for what lies outside."""
    wider, longs, bits = wide(kind, LANES), wide("i64", LANES), wide("i1", LANES)
    least, most = splat(f, kind, low, LANES), splat(f, kind, high, LANES)
    span = splat(f, kind, f.let(f"fsub {kind} {high}, {low}"), LANES)
    many = splat(f, kind, f.let(f"sitofp i64 {bins} to {kind}"), LANES)
    inside = f.let(f"fcmp oge {wider} {value}, {least}")
    below = f.let(f"fcmp ole {wider} {value}, {most}")
    inside = f.let(f"and {bits} {inside}, {below}")
    inside = f.let(f"and {bits} {inside}, {mask(f, count, LANES)}")
    safe = f.let(f"select {bits} {inside}, {wider} {value}, {wider} {least}")
    far = f.let(f"fsub {wider} {safe}, {least}")
    at = f.let(f"fdiv {wider} {f.let(f'fmul {wider} {far}, {many}')}, {span}")
    number = f.let(f"fptosi {wider} {at} to {longs}")
    last = splat(f, "i64", f.sub(bins, 1), LANES)
    over = f.let(f"icmp sgt {longs} {number}, {last}")
    number = f.let(f"select {bits} {over}, {longs} {last}, {longs} {number}")
    return f.let(
        f"select {bits} {inside}, {longs} {number}, {longs} {splat(f, 'i64', bins, LANES)}"
    )
