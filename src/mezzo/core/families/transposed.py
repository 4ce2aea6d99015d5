"""Plans for copies whose source is contiguous along another axis than their target."""

from __future__ import annotations

import array

from mezzo.core.layout import Layout
from mezzo.kernels.cpu import transpose
from mezzo.kernels.cpu.maps import STREAM
from mezzo.kernels.cpu.nest import LINE
from mezzo.rules import shapes
from mezzo.rules.iteration import coalesce

SERIAL = 32768
LEAST = 4  # shorter axes gain nothing from tiles


def is_large(out: Layout) -> bool:
    """True for what no cache keeps, where rows begin with cache lines if the first does."""
    item = out.dtype.itemsize
    return out.nbytes >= STREAM and all(s in (0, 1) or s * item % LINE == 0 for s in out.strides)


def block_for(out: Layout, source: Layout) -> array.array | None:
    """The block of a tiled copy of source (broadcast to out's shape) into out; None where tiles do not fit."""
    item = out.dtype.itemsize
    if item not in transpose.TILE or not out.numel:
        return None
    tables = [[s * item for s in out.strides],
              [s * item for s in shapes.expand_strides(source.shape, source.strides, out.shape)]]  # fmt: skip
    sizes, (to, of) = coalesce(out.shape, tables)
    across = next((i for i, s in enumerate(of) if s == item), None)
    if across is None or across == 0 or to[0] != item or of[0] == 0:
        return None
    if sizes[0] < LEAST or sizes[across] < LEAST or sizes[0] * sizes[across] < 256:
        return None
    outer = [i for i in range(1, len(sizes)) if i != across]
    tiles = -(-sizes[across] // transpose.TILE[item])
    units = tiles * shapes.numel(sizes[i] for i in outer)
    words = [units, int(out.numel <= SERIAL or units == 1), sizes[across], sizes[0], to[across], of[0], tiles, len(outer),
             *(sizes[i] for i in outer), *(to[i] for i in outer), *(of[i] for i in outer)]  # fmt: skip
    return array.array("q", words)
