"""Plans of fused attention."""

from __future__ import annotations

import ctypes
import functools
import struct

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.attention.backward import backward
from mezzo.kernels.cpu.attention.backward_tiles import backward_tiles
from mezzo.kernels.cpu.attention.block import (
    MATRICES,
    WORDS,
    Matrix,
    Sizes,
    backward_tile_words,
    backward_words,
    forward_tile_words,
    forward_words,
)
from mezzo.kernels.cpu.attention.dropout import BITS, threshold
from mezzo.kernels.cpu.attention.forward import forward
from mezzo.kernels.cpu.attention.forward_tiles import forward_tiles
from mezzo.kernels.cpu.attention.products import has_tiles, tile_scheme
from mezzo.kernels.cpu.contract.scheme import Scheme, scheme
from mezzo.kernels.cpu.contract.writer import Program

SERIAL_WORK = 1 << 17  # multiply-adds below which the pool is not worth waking


class Plan:
    """address: the native entry; block: its first argument; workspace_bytes: the second's size."""

    __slots__ = ("_words", "address", "block", "workspace_bytes")

    def __init__(self, address: int, words: list[int], workspace_bytes: int):
        self.address, self.workspace_bytes = address, workspace_bytes
        self._words = (ctypes.c_int64 * len(words))(*words)
        self.block = ctypes.addressof(self._words)


def _bits(number: float) -> int:
    return struct.unpack("=q", struct.pack("=d", number))[0]


@functools.cache
def _kernel(
    storage: str, mask: str | None, drop: bool, back: bool, tiles: bool
) -> tuple[Scheme, int]:
    program = Program()
    if tiles:
        chosen = tile_scheme(storage)
        (backward_tiles if back else forward_tiles)(program, chosen, mask, drop)
        return chosen, jit.load(program.text()).address("kernel")
    chosen = scheme(storage, storage, storage, storage, None)
    (backward if back else forward)(program, chosen, mask, drop)
    return chosen, jit.load(program.text()).address("kernel")


def plan(
    storage: str, mask: str | None, sizes: Sizes, matrices: dict[str, Matrix], *, causal: bool, scale: float,
    dropout: float = 0.0,
    threads: int, back: bool = False,
) -> Plan:  # fmt: skip
    """The plan for stored type, mask type (b8, a float, or None) and how every tensor lies.

    Dropout needs a matrix "seed" (one i64 per head).
    """
    tiles = has_tiles(storage, sizes.queries)
    chosen, address = _kernel(storage, mask, "seed" in matrices, back, tiles)
    if back:
        found = (backward_tile_words if tiles else backward_words)(chosen, sizes)
    elif tiles:
        found = forward_tile_words(chosen, sizes, threads)
    else:
        found = forward_words(chosen, sizes, threads)
    bound = threshold(1.0 - dropout)
    work = sizes.heads * sizes.queries * sizes.keys * (sizes.features + sizes.outputs)
    serial = threads <= 1 or work < SERIAL_WORK or found["units"] < 2
    found |= {
        "serial": int(serial), "queries": sizes.queries, "keys": sizes.keys, "features": sizes.features,
        "outputs": sizes.outputs, "causal": int(causal), "scale": _bits(scale),
        "threshold": bound, "kept": _bits((1 << BITS) / bound if bound else 0.0),
    }  # fmt: skip
    for name in MATRICES:
        have = matrices.get(name, Matrix(0, 0, 0))
        found |= {
            f"{name}_row": have.row,
            f"{name}_column": have.column,
            f"{name}_heads": have.heads,
        }
    words = [found.get(name, 0) for name in WORDS]
    return Plan(address, words, found["lane_bytes"] * (1 if serial else threads))
