"""Row operations in steps, where rows are few, long and lie across memory (batch norm of images).

Lanes across rows make one task of 64 of them, however long they are. So an axis that every row has is cut into parts:
one step sums over each part, a second one joins the parts, a third writes the elements, and threads share parts.
What a part reads twice is still in the cache. The cut depends on the shape alone, so results do not depend on the threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mezzo.core.families.rows import Frame, Out, row_plan
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.tensor import empty
from mezzo.kernels.cpu.rows import RowKernel
from mezzo.kernels.cpu.rows_text import CHUNK
from mezzo.rules import shapes

LEAST = 1 << 17  # elements below which further launches cost more than threads gain
TASKS = 32  # of rows as they are, from which threads have enough
PLACES = 512  # of a part across memory: its lanes stay in the second cache
STRETCH = 1 << 15  # elements of a part along memory


@dataclass(frozen=True)
class Cut:
    """Images seen as (length, channels[, places]), the first axis to be cut into parts of `size`."""

    length: int
    size: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def rows(self) -> tuple[int, ...]:
        """The axes of a piece's frame that make a row."""
        return (1, 3) if len(self.sizes) == 3 else (1,)

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.length // self.size)

    @property
    def pieces(self) -> list[tuple[int, int, int]]:
        """(parts, their size, the first one): equal ones, and what is left."""
        whole, left = divmod(self.length, self.size)
        return [(whole, self.size, 0), *([(1, left, whole)] if left else [])]

    def frame(self, count: int, size: int) -> tuple[int, ...]:
        """The iteration space of a piece: (parts, their size, channels[, places])."""
        return (count, size, *self.sizes[1:])

    def lying(self) -> tuple[int, ...]:
        """The strides of the images in a frame."""
        return (self.strides[0] * self.size, *self.strides)

    def each_channel(self, by_part: bool = False) -> tuple[int, ...]:
        """The strides in a frame of what has one value per channel, or per part and channel."""
        return (self.sizes[1] if by_part else 0, 0, 1, *[0] * (len(self.sizes) - 2))


def cut(x: Layout) -> Cut | None:
    """How to divide the rows of every channel (axis 1) of x, or None where one kernel does as well."""
    if x.ndim < 2 or x.numel < LEAST:
        return None
    length, channels, *rest = x.shape
    places = shapes.numel(rest)
    step = channels
    for d in (*reversed(range(2, x.ndim)), 0):
        if x.strides[d] != step and x.shape[d] != 1:
            step = 0
            break
        step *= x.shape[d]
    if step and x.strides[1] == 1 and channels > 1:
        length *= places
        if -(-channels // CHUNK) >= TASKS:
            return None
        size = max(16, min(PLACES, length // 16))
        return Cut(length, size, (length, channels), (channels, 1))
    if not x.is_contiguous or channels >= TASKS or length < 2:
        return None
    size = max(1, min(STRETCH // places, length // 16))
    strides = (channels * places, places, 1)
    return Cut(length, size, (length, channels, places), strides)


class Steps:
    """What is launched, in order, on a pool of buffers: operands first, then outputs, then what lies between.

    layouts: of the outputs; middle: of what lies between; operands: how many there are; scalars: positions of
    the numbers among the arguments.
    """

    flagged = False
    runs = True

    def __init__(self, layouts, middle, operands: int, scalars: tuple[int, ...]):
        self.layouts, self.middle = tuple(layouts), tuple(middle)
        self.operands, self.scalars, self.tensors = operands, scalars, ()
        self.plans: list = []

    def add(
        self,
        kernel: RowKernel,
        frame: Frame,
        ins: Sequence,
        outs: Sequence,
        layouts: Sequence[Layout],
    ) -> None:
        """One launch. ins, outs: (position in the pool, bytes from its start); layouts: of the operands."""
        plan = row_plan(kernel, frame, layouts)
        assert not plan.copies, "the steps of a row operation walk as their operands lie"
        plan.scalars = self.scalars if kernel.scalars else ()
        self.plans.append((plan, tuple(ins), tuple(outs)))

    def execute(self, args: tuple):
        """Run on new memory."""
        outs, middle = [empty(x) for x in self.layouts], [empty(x) for x in self.middle]
        pool = [*[args[i].ptr for i in self.tensors], *[o.ptr for o in outs], *[m.ptr for m in middle]]  # fmt: skip
        for plan, ins, to in self.plans:
            plan.start([pool[i] + at for i, at in to], [pool[i] + at for i, at in ins], args)
        return outs[0] if len(outs) == 1 else tuple(outs)


def parted(cut: Cut, dtype, device) -> Layout:
    """One value for every part and channel."""
    return dense((cut.parts, cut.sizes[1]), dtype, device)


def over_parts(
    steps: Steps, cut: Cut, kernel: RowKernel, images: Sequence, beside: Sequence, results: Sequence
) -> None:
    """Add a step that gives `results` for every part and channel.

    images, beside: (position, layout) of operands that are images, and that have one value per channel;
    results: (position, layout).
    """
    for count, size, first in cut.pieces:
        rest = [(at, x, 0) for at, x in beside]
        ins = [(at, x, first * cut.size * cut.strides[0] * x.dtype.itemsize) for at, x in images]
        outs = [(at, first * cut.sizes[1] * x.dtype.itemsize) for at, x in results]
        by_part = [Out(dense((count, cut.sizes[1]), x.dtype, x.device), cut.each_channel(True)) for _, x in results]  # fmt: skip
        _piece(steps, cut, kernel, (count, size), ins, rest, outs, by_part)


def over_elements(
    steps: Steps, cut: Cut, kernel: RowKernel, images: Sequence, beside: Sequence, result: tuple
) -> None:
    """Add a step that writes the elements of `result`; see over_parts."""
    at, whole = result
    for count, size, first in cut.pieces:
        start = first * cut.size * cut.strides[0]
        rest = [(i, x, 0) for i, x in beside]
        ins = [(i, x, start * x.dtype.itemsize) for i, x in images]
        shape = (count * size, *cut.sizes[1:])
        out = Out(layout(shape, cut.strides, whole.dtype, whole.device), cut.lying())
        outs = [(at, start * whole.dtype.itemsize)]
        _piece(steps, cut, kernel, (count, size), ins, rest, outs, [out])


def _piece(steps, cut: Cut, kernel, part: tuple[int, int], images, beside, to, outs) -> None:
    count, size = part
    strides = [cut.lying()] * len(images) + [cut.each_channel()] * len(beside)
    once = frozenset(range(len(images), len(strides)))
    frame = Frame(cut.frame(count, size), cut.rows, strides, outs, once)
    given = [*images, *beside]
    steps.add(kernel, frame, [(at, b) for at, _, b in given], to, [x for _, x, _ in given])


def joined(steps: Steps, cut: Cut, kernel: RowKernel, parts: Sequence, results: Sequence) -> None:
    """Add a step that makes one value per channel of those of the parts; see over_parts."""
    shape = (cut.parts, cut.sizes[1])
    outs = [Out(x, (0, 1)) for _, x in results]
    frame = Frame(shape, (0,), [(cut.sizes[1], 1)] * len(parts), outs)
    to = [(at, 0) for at, _ in results]
    steps.add(kernel, frame, [(at, 0) for at, _ in parts], to, [x for _, x in parts])
