"""Sparse weights along the last axis (see taps.py), where no vector runs below it: lanes are neighbouring results.

    args  = [block, first, index, weights, out, in]    first: i64 [blocks + 1], the first step of every block
    block = i64 [units, serial, from, to, chunk, chunks, blocks]    chunk: blocks of one unit

A block is LANES results, a step one tap of each: index, i32 [steps, LANES], is -1 where a result has no more taps, and
weights are float32. The last block ends with the axis, so it may write again what the one before it wrote.
"""

from __future__ import annotations

import functools

import numpy as np

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.emit import LANES, Emitter
from mezzo.kernels.cpu.nest import slots, words
from mezzo.kernels.ir import SIZE

WORDS = ("units", "serial", "from", "to", "chunk", "chunks", "blocks")
WASTE = (
    3  # lanes for one that has a tap, up to which this is faster than one result after the other
)


def steps(starts: np.ndarray, index: np.ndarray, weight: np.ndarray):
    """(first, index, weights) of the blocks of a table, or None where most lanes would have nothing to do."""
    rows = len(starts) - 1
    if rows < LANES or len(index) == 0:
        return None
    at = np.arange(0, rows, LANES)
    at[-1] = rows - LANES
    places = at[:, None] + np.arange(LANES)
    count = np.diff(starts)[places]
    first = np.concatenate(([0], np.cumsum(count.max(1)))).astype(np.int64)
    if first[-1] * LANES > WASTE * len(index):
        return None
    tap = np.arange(first[-1]) - np.repeat(first[:-1], np.diff(first))
    block = np.repeat(np.arange(len(at)), np.diff(first))
    there = tap[:, None] < count[block]
    source = np.where(there, starts[:-1][places][block] + tap[:, None], 0)
    return (
        first,
        np.where(there, index[source], -1).astype(np.int32),
        np.where(there, weight[source], 0).astype(np.float32),
    )


@functools.lru_cache(maxsize=64)
def address(source: str, to: str) -> int:
    """The entry for storage types of operand and result, of 16 or 32 bits."""
    return jit.load(_text(source, to)).address("kernel")


def _text(source: str, to: str) -> str:
    program = Program()
    with program.function("body", "ptr %args, i64 %begin, i64 %end, i64 %worker") as f:
        f.lines += ["  %block = load ptr, ptr %args"]
        f.lines += [*slots(["first", "index", "weights", "out", "in"], ()), *words(WORDS)]
        last = f.sub("%chunks", 1)
        with f.loop("%begin", "%end") as unit:
            line, part = f.div(unit, "%chunks"), f.rem(unit, "%chunks")
            start = f.mul(part, "%chunk")
            stop = f.select(f.compare("eq", part, last), "%blocks", f.add(start, "%chunk"))
            here = f.at("%in", f.mul(f.mul(line, "%from"), SIZE[source]))
            there = f.at("%out", f.mul(f.mul(line, "%to"), SIZE[to]))
            with f.loop(start, stop) as block:
                _block(f, block, here, there, source, to)
    with program.function("kernel", "ptr %args", linkage="") as f:
        block = f.load("ptr", "%args")
        f.share("body", "%args", f.load("i64", block), f.load("i64", f.at(block, 8)))
    return program.text()


def _block(f: Function, block: str, here: str, there: str, source: str, to: str) -> None:
    """LANES results."""
    begin = f.load("i64", f.at("%first", f.mul(block, 8)))
    end = f.load("i64", f.at("%first", f.mul(f.add(block, 1), 8)))
    kind, total = f"<{LANES} x float>", f.variable(f"<{LANES} x float>")
    f.store(kind, "zeroinitializer", total)
    with f.loop(begin, end) as step:
        e = Emitter(f.lines, f.program.declares, LANES, f.name("g") + "_", lambda x: "")
        at = f.mul(step, 4 * LANES)
        index = f.load(f"<{LANES} x i32>", f.at("%index", at), 4)
        weight = f.load(kind, f.at("%weights", at), 4)
        x = _gathered(f, e, here, index, source)
        f.store(kind, e.call("fma", "float", x, weight, f.load(kind, total)), total)
    e = Emitter(f.lines, f.program.declares, LANES, f.name("r") + "_", lambda x: "")
    place = f.min(f.mul(block, LANES), f.sub("%to", LANES))
    e.store(f.load(kind, total), f.at(there, f.mul(place, SIZE[to])), to)


def _gathered(f: Function, e: Emitter, here: str, index: str, source: str) -> str:
    """The elements at these places, 0 where an index is -1."""
    ints, mask = e.wide("i32"), e.wide("i1")
    some = e.put(f"icmp sge {ints} {index}, zeroinitializer")
    # Gathers are of words: of 16-bit numbers the word ends with the one wanted, but for the first of the line.
    narrow = SIZE[source] == 2
    at = e.call("smax", "i32", e.put(f"sub {ints} {index}, {e.const(1, 'i32')}"), e.const(0, "i32")) if narrow else index  # fmt: skip
    places = e.put(f"getelementptr {'i16' if narrow else 'float'}, ptr {here}, {ints} {at}")
    name = f"llvm.masked.gather.v{LANES}i32.v{LANES}p0"
    e.declares.add(f"declare {ints} @{name}(<{LANES} x ptr>, i32, {mask}, {ints})")
    raw = e.put(f"call {ints} @{name}(<{LANES} x ptr> {places}, i32 {SIZE[source]}, {mask} {some}, {ints} zeroinitializer)")  # fmt: skip
    if not narrow:
        return e.put(f"bitcast {ints} {raw} to {e.wide('float')}")
    first = e.put(f"icmp eq {ints} {index}, zeroinitializer")
    if source == "bf16":
        low = e.put(f"shl {ints} {raw}, {e.const(16, 'i32')}")
        high = e.put(f"and {ints} {raw}, {e.const(-1 << 16, 'i32')}")
        found = e.put(f"select {mask} {first}, {ints} {low}, {ints} {high}")
        return e.put(f"bitcast {ints} {found} to {e.wide('float')}")
    high = e.put(f"lshr {ints} {raw}, {e.const(16, 'i32')}")
    found = e.put(f"select {mask} {first}, {ints} {raw}, {ints} {high}")
    half = e.put(f"trunc {ints} {found} to {e.wide('i16')}")
    return e.decode(e.put(f"bitcast {e.wide('i16')} {half} to {e.wide('half')}"), "f16")
