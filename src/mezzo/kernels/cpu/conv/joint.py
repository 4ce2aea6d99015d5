"""The gradient of a convolution by an image of few channels: all phases of its stride at once.

    out[n, s t + f, c] = sum over o, j of weight[o, c, f + before - s j] image[n, t + j, o]

for the phases f of the strides s: where phases are separate convolutions, a tile's columns are the image's channels, of which there
may be three; here they are channels of all phases. Taps j that some phases lack make sums of their own, of which the columns of
those phases are left out: nothing that a window does not hold is multiplied into a result, not even by zero.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.lanes import SIZE
from mezzo.kernels.cpu.contract.scheme import in_terms, scheme
from mezzo.kernels.cpu.conv import direct
from mezzo.kernels.cpu.conv.direct_ir import module
from mezzo.kernels.cpu.conv.direct_words import WORDS
from mezzo.kernels.cpu.conv.in_terms import STRETCH
from mezzo.kernels.cpu.conv.joint_ir import Joint

COPY_BYTES = 768 << 10  # of the result's gradient: the weight beside it is small
MOST_COLUMNS = 32  # channels of all phases: one panel
LEAST_RUN = (
    16  # channels of the result's gradient, at least: a step of tile registers has room for 32
)


class Side(NamedTuple):
    """An axis: places of the result, and the window's stride, size and padding before."""

    places: int
    stride: int
    kernel: int
    before: int

    @property
    def shifts(self) -> tuple[int, ...]:
        """Where taps of any phase read the result's gradient, from a place on."""
        lowest = -((self.kernel - 1 - self.before) // self.stride)
        highest = (self.stride - 1 + self.before) // self.stride
        return tuple(range(lowest, highest + 1))

    def tap(self, phase: int, shift: int) -> int | None:
        """The tap of a phase that reads there."""
        tap = phase + self.before - self.stride * shift
        return tap if 0 <= tap < self.kernel else None


def plan(
    image: direct.Image, out: direct.Image, sides: Sequence[Side], weight: tuple[str, Sequence[int], int], channels: int,
    outs: int, groups: int, compute: str, threads: int = 1,
) -> direct.Plan | None:  # fmt: skip
    """The plan, or None if another way serves better. image: the result's gradient, of so many channels in a group; out: with
    the steps from place to place; weight: its type, byte strides as (result's channel, channel, row, column), bytes between groups.
    """
    chosen = scheme(image.storage, weight[0], out.storage, compute, None)
    chosen = in_terms(chosen) or chosen
    high, wide = sides
    columns = _columns(sides, outs, out.turned)
    if chosen.method != "amx" or len(columns) > MOST_COLUMNS or channels < LEAST_RUN:
        return None
    if wide.places < direct.TERMS_COLUMNS or not image.sizes[0]:
        return None
    touch = wide.stride * (1 if out.turned else outs) * SIZE[out.storage] == out.steps[2]
    if not touch or (out.turned and wide.stride > 2):
        return None
    if image.turned and image.steps[2] != SIZE[image.storage]:
        return None
    cut = direct.form(chosen, channels, (0,))
    taps = _taps(sides, columns)
    if taps[0][0] != (1 << len(columns)) - 1:
        return None
    rows, across = (direct.Sliding(s.places, 1, s.shifts) for s in sides)
    pixel = cut.length * 2
    words, tables = direct.kernel_words(chosen, image, out, rows, across, cut, pixel, len(columns), groups, threads,
                                        COPY_BYTES)  # fmt: skip
    tables += _runs(words, chosen, taps, cut, sides, columns, weight[1], channels)
    words |= {"channels": channels, "w_channel": weight[1][0], "w_group": weight[2], "bias_step": 0, "kept": 0, "streams": 0,
              "w_column": 0, "taps": 0, "tap_at": 0}  # fmt: skip
    words["panel_bytes"] = chosen.panel_b.nbytes(words["runs"] * cut.length)
    exact = channels == cut.blocks * cut.length and cut.length == 32
    how = Joint(high.stride, wide.stride, outs)
    code = module(chosen, ("k", False), exact, None, 0, (image.turned, out.turned), how)
    made, loaded = direct.Plan(), jit.load(code)
    made.workspace_bytes = direct.lay_out(words, chosen, False)
    block = (ctypes.c_int64 * len(WORDS))(*[words[name] for name in WORDS])
    made._alive = [block, *tables]
    made.plan, made.address, made.block = made, loaded.address("direct"), ctypes.addressof(block)
    made.keeper = None
    return made


def _columns(sides: Sequence[Side], channels: int, turned: bool) -> list[tuple[int, int, int]]:
    """Columns as (phase of rows, phase of columns, channel), as neighbours in memory follow each other."""
    high, wide = (range(s.stride) for s in sides)
    if turned:
        return [(i, j, c) for i in high for c in range(channels) for j in wide]
    return list(itertools.product(high, wide, range(channels)))


def _taps(sides: Sequence[Side], columns: list[tuple[int, int, int]]) -> list[tuple[int, tuple]]:
    """(bits of the columns that have it, shifts) of every tap; those that most columns have first."""
    found = []
    for shifts in itertools.product(*(s.shifts for s in sides)):
        bits = 0
        for at, phases in enumerate(columns):
            have = all(s.tap(f, j) is not None for s, f, j in zip(sides, phases, shifts))
            bits |= have << at
        if bits:
            found.append((bits, shifts))
    return sorted(found, key=lambda tap: (-tap[0].bit_count(), tap[0]))


def _runs(words, chosen, taps, cut, sides, columns, steps, channels) -> list[np.ndarray]:
    """Tables: where runs read the copy and the weight, stretches of runs that are summed together, and columns in the weight."""
    rows, across = [s.shifts[0] for s in sides]
    each = max(1, STRETCH // cut.length)
    runs, elements, stretches = [], [], []
    for bits, group in itertools.groupby(taps, lambda tap: tap[0]):
        first, group = len(runs), list(group)
        for b, (_, shifts) in itertools.product(range(cut.blocks), group):
            at = (shifts[0] - rows) * words["line"] + (shifts[1] - across) * words["pixel"]
            runs.append(at + b * chosen.terms * words["plane"])
            # of a column's tap at phase 0, which need not be one
            taps_at = (s.before - s.stride * j for s, j in zip(sides, shifts))
            offset = sum(t * step for t, step in zip(taps_at, steps[2:]))
            done = b * cut.length
            elements.append((offset + done * steps[0], bits, min(cut.length, channels - done)))
        most = len(runs) - first
        size = -(-most // -(-most // each))
        stretches += [(at, min(at + size, len(runs)), bits) for at in range(first, len(runs), size)]
    places = [i * steps[2] + j * steps[3] + c * steps[1] for i, j, c in columns]
    given = {"run_at": runs, "element_at": elements, "stretch_at": stretches, "column_at": places}
    tables = [np.array(table, np.int64) for table in given.values()]
    words |= {name: table.ctypes.data for name, table in zip(given, tables)}
    words |= {"runs": len(runs), "stretches": len(stretches), "run_lanes": cut.length // 2}
    return tables
