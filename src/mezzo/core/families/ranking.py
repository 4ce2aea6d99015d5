"""Launches for orders that kernels find: ranks in short lines, the few first of long ones."""

from __future__ import annotations

import math
from collections.abc import Callable

from mezzo.core.families import transposed
from mezzo.core.families.elementwise import map_plan
from mezzo.core.families.joins import kernel_between
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.tensor import Tensor, empty
from mezzo.kernels.cpu import best, entry, rank, transpose
from mezzo.rules import shapes

SHORT = 64  # elements of a line up to which ranking all is always faster than sorting
WORK = 1 << 19  # comparisons up to which it is, where lines are longer
SERIAL = 1 << 16  # comparisons, or elements of long lines, up to which one thread does it
LONGEST = 1 << 31  # elements that places of 32 bits count


def by_rank(
    x: Layout, dim: int, first: int, count: int, descending=False, mode=rank.PLAIN
) -> Callable | None:
    """launch(outs, args): the places of the elements of the ranks first, ..., first + count - 1."""
    if x.dtype.is_complex:
        return None
    axis = shapes.axis(dim, x.ndim)
    n, work = (x.shape[axis], x.numel * x.shape[axis]) if x.ndim else (1, 1)
    if not count or n > rank.LONGEST or (n > SHORT and work > WORK):
        return None
    inner = math.prod(x.shape[axis + 1 :]) if x.ndim else 1
    words = (x.numel // n, int(work <= SERIAL), n, inner, first, count, -int(descending), mode)
    read = None if x.is_contiguous else _copied(x)
    return _launch(rank.address(x.dtype.ir), words, read)


def by_list(x: Layout, dim: int, count: int, descending: bool) -> Callable | None:
    """launch(outs, args): the places of the few first along an axis of more than SHORT elements."""
    axis = shapes.axis(dim, x.ndim)
    n = x.shape[axis] if x.ndim else 1
    if x.dtype.is_complex or not 0 < count <= best.MOST or not SHORT < n < LONGEST:
        return None
    kept = [i for i in range(x.ndim) if i != axis]
    shape, strides = ([t[i] for i in (*kept, axis)] for t in (x.shape, x.strides))
    lines = layout(shape, strides, x.dtype, x.device)
    inner = math.prod(x.shape[axis + 1 :])
    serial = x.numel == n or x.numel <= SERIAL
    words = (x.numel // n, int(serial), n, inner, count, -int(descending))
    read = None if lines.is_contiguous else _copied(lines)
    return _launch(best.address(x.dtype.ir, best.vectors_for(count)), words, read)


def _launch(kernel: int, words: tuple[int, ...], read: Callable | None) -> Callable:
    run = entry.launch if words[1] else entry.launch_unlocked

    def launch(outs, args) -> None:
        source = args[0] if read is None else read(args[0])
        run(kernel, source.ptr, outs[0].ptr, *words)

    return launch


def _copied(source: Layout) -> Callable[[Tensor], Tensor]:
    """What copies a tensor, read in that layout, to new memory without gaps."""
    to = dense(source.shape, source.dtype, source.device)
    plan = map_plan(kernel_between(source.dtype, source.dtype), (to,), [source], fresh=True)
    block = transposed.block_for(to, source)
    address, head = plan.address, plan.head
    if block is not None:
        address = transpose.address(source.dtype.itemsize, 2, transposed.is_large(to))
        head = block.buffer_info()[0]

    def copy(tensor: Tensor) -> Tensor:
        made = empty(to)
        plan.launch(address, head, made.ptr, tensor.ptr)
        return made

    copy.keep = block, plan  # the memory that `head` points to
    return copy
