"""Sums of elements that tables name: target[n, q] = sum over i of source[n, table[i, q]], where entries below zero are nothing.

With one entry for each q this lays patches of images side by side; with several it adds up what patches share.

    args = [block, source, target]; block = WORDS
"""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.lanes import SIZE, constant, wide
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.conv.direct_weight import elements_at

WORDS = ("serial", "images", "count", "entries", "row", "table", "source_n", "target_n")
AT = {name: 8 * i for i, name in enumerate(WORDS)}
WIDTH = 16
EACH = 64 * WIDTH  # results of a task
SERIAL_WORK = 1 << 13  # entries of all images


class Plan:
    """One launch. It must outlive every launch of its slots."""

    __slots__ = ("_alive", "address", "block")

    def __init__(
        self,
        source: str,
        target: str,
        table: np.ndarray,
        steps: tuple[int, int],
        images: int,
        threads: int,
    ):
        """table: elements, (entries, results); steps: elements from image to image."""
        entries, count = table.shape
        row = -(-count // WIDTH) * WIDTH
        padded = np.full((entries, row), -1, np.int32)
        padded[:, :count] = table
        serial = threads <= 1 or images * padded.size < SERIAL_WORK
        words = (int(serial), images, count, entries, row * 4, padded.ctypes.data,
                 steps[0] * SIZE[source], steps[1] * SIZE[target])  # fmt: skip
        block = (ctypes.c_int64 * len(WORDS))(*words)
        self._alive = [block, padded]
        self.address, self.block = _address(source, target, entries == 1), ctypes.addressof(block)


@functools.cache
def _address(source: str, target: str, single: bool) -> int:
    program = Program()
    with program.function("body", "ptr %args, i64 %begin, i64 %end, i64 %worker") as f:
        word = _reader(f, "%args")
        chunks = f.ceil_div(word("count"), EACH)
        with f.loop("%begin", "%end") as unit:
            n, first = f.div(unit, chunks), f.mul(f.rem(unit, chunks), EACH)
            last = f.min(f.add(first, EACH), word("count"))
            here, to = (
                f.at(f.load("ptr", f.at("%args", at), 8), f.mul(n, word(step)))
                for at, step in ((8, "source_n"), (16, "target_n"))
            )
            with f.loop(first, last, WIDTH) as q:
                value = _sum(f, word, here, q, source, single)
                value = lanes.narrow(f, value, "f32", target, WIDTH)
                where = f.at(to, f.mul(q, SIZE[target]))
                lanes.store_some(f, value, where, target, WIDTH, f.sub(last, q))
    with program.function("collect", "ptr %args", linkage="") as f:
        word = _reader(f, "%args")
        units = f.mul(word("images"), f.ceil_div(word("count"), EACH))
        f.share("body", "%args", units, word("serial"))
    return jit.load(program.text()).address("collect")


def _reader(f: Function, args: str):
    block = f.load("ptr", args, 8)
    return lambda name, kind="i64": f.load(kind, f.at(block, AT[name]), 8)


def _sum(f: Function, word, source: str, q: str, storage: str, single: bool) -> str:
    """WIDTH results, as floats."""
    floats, words = wide("float", WIDTH), wide("i32", WIDTH)
    total = f.variable(floats)
    f.store(floats, "zeroinitializer", total)
    table = f.at(word("table", "ptr"), f.mul(q, 4))
    with f.loop(0, 1 if single else word("entries")) as i:
        entry = f.load(words, f.at(table, f.mul(i, word("row"))), 4)
        there = f.let(f"icmp sge {words} {entry}, zeroinitializer")
        offsets = f.let(f"sext {words} {entry} to {wide('i64', WIDTH)}")
        size = constant("i64", SIZE[storage], WIDTH)
        offsets = f.let(f"mul {wide('i64', WIDTH)} {offsets}, {size}")
        raw = elements_at(f, source, offsets, storage, WIDTH, there)
        value = lanes.widen(f, raw, storage, "f32", WIDTH)
        if not single:
            value = f.let(f"fadd {floats} {f.load(floats, total)}, {value}")
        f.store(floats, value, total)
    return f.load(floats, total)
