"""Shapes and strides: broadcasting, viewing, reducing. Strides count elements."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mezzo.errors import ArgumentValueError, DimensionError, Fact, ShapeError

Shape = tuple[int, ...]


def numel(shape: Sequence[int]) -> int:
    """The number of elements of a shape."""
    return math.prod(shape)


def contiguous_strides(shape: Sequence[int]) -> Shape:
    """Row-major strides; axes of size zero count as one, as in PyTorch."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def channels_last_strides(shape: Sequence[int]) -> Shape:
    """Strides of (N, C, H, W) or (N, C, L) stored with the channel innermost."""
    if len(shape) not in (3, 4):
        raise Fact(
            ShapeError, f"memory format channels_last needs 4 axes (N, C, H, W), not {len(shape)}"
        )
    order = [0, *range(2, len(shape)), 1]
    inner = contiguous_strides([shape[i] for i in order])
    strides = [0] * len(shape)
    for position, axis in enumerate(order):
        strides[axis] = inner[position]
    return tuple(strides)


def is_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """True if the elements lie in row-major order without gaps (axes of size one do not matter)."""
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides)):
        if size == 0:
            return True
        if size != 1 and stride != step:
            return False
        step *= size
    return True


def is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """True if the elements fill one stretch of memory, each once, in any order of axes."""
    step = 1
    for stride, size in sorted((t, s) for s, t in zip(shape, strides) if s != 1):
        if stride != step:
            return False
        step *= size
    return True


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The common shape: axes align at the end, size one stretches."""
    first = shapes[0]
    if all(s == first for s in shapes):
        return tuple(first)
    rank = max(map(len, shapes))
    result = [1] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, rank - len(shape)):
            if size != 1:
                if result[axis] not in (1, size):
                    have = " and ".join(str(tuple(s)) for s in shapes)
                    raise Fact(
                        ShapeError,
                        f"shapes {have} do not broadcast: axis {axis - rank} has sizes {result[axis]} and {size}",
                        "Sizes must be equal or 1, counted from the last axis.",
                    )
                result[axis] = size
    return tuple(result)


def expand_strides(shape: Shape, strides: Shape, to: Shape) -> Shape:
    """Strides that read `shape` as the broadcast shape `to`."""
    lead = len(to) - len(shape)
    inner = tuple(0 if s == 1 and t != 1 else st for s, st, t in zip(shape, strides, to[lead:]))
    return (0,) * lead + inner


def axis(dim: int, rank: int, name: str = "dim") -> int:
    """dim counted from the front; raises where it is out of range."""
    span = max(rank, 1)
    if not isinstance(dim, int):
        try:
            dim = dim.__index__()
        except AttributeError:
            raise Fact(ArgumentValueError, f"{name} is {dim!r}; it must be an int") from None
    if not -span <= dim < span:
        raise Fact(
            DimensionError,
            f"{name} is {dim}, out of range for {rank} axes; it must lie between {-span} and {span - 1}",
        )
    return dim + span if dim < 0 else dim


def axes(dims, rank: int, name: str = "dim") -> Shape:
    """Several dims counted from the front; None or () means all."""
    if dims is None or (isinstance(dims, (tuple, list)) and not dims):
        return tuple(range(rank))
    if not isinstance(dims, (tuple, list)):
        return (axis(dims, rank, name),)
    found = tuple(axis(d, rank, name) for d in dims)
    if len(set(found)) != len(found):
        raise Fact(ShapeError, f"{name} {tuple(dims)} names an axis twice")
    return found


def reduced(shape: Shape, dims: Shape, keepdim: bool) -> Shape:
    """The shape after reducing the axes `dims`."""
    if keepdim:
        return tuple(1 if i in dims else s for i, s in enumerate(shape))
    return tuple(s for i, s in enumerate(shape) if i not in dims)


def infer(shape: Sequence[int], count: int) -> Shape:
    """The shape with a -1 filled in such that it holds `count` elements."""
    shape = tuple(int(s) for s in shape)
    if shape.count(-1) > 1:
        raise Fact(ShapeError, "only one dimension can be inferred, and the shape has several -1")
    if any(s < -1 for s in shape):
        raise Fact(
            ShapeError,
            f"invalid shape dimension in {shape}: sizes are not negative, but for one -1",
        )
    known = numel(s for s in shape if s != -1)
    if -1 in shape:
        if known == 0:
            raise Fact(
                ShapeError, f"cannot reshape {count} elements into {shape}: the -1 is ambiguous"
            )
        if count % known == 0:
            return tuple(count // known if s == -1 else s for s in shape)
    elif known == count:
        return shape
    raise Fact(ShapeError, f"shape {shape} is invalid for input of size {count}")


def view_strides(shape: Shape, strides: Shape, to: Shape) -> Shape | None:
    """Strides that read the same memory as the shape `to`, or None if a copy is needed."""
    if numel(shape) == 0:
        return contiguous_strides(to)
    result = [0] * len(to)
    position = len(to) - 1
    chunk_size, chunk_stride = 1, strides[-1] if strides else 1
    for i in range(len(shape) - 1, -1, -1):
        chunk_size *= shape[i]
        breaks = i == 0 or (shape[i - 1] != 1 and strides[i - 1] != chunk_size * chunk_stride)
        if breaks:
            step = 1
            while position >= 0 and (step < chunk_size or to[position] == 1):
                result[position] = step * chunk_stride
                step *= to[position]
                position -= 1
            if step != chunk_size:
                return None
            if i > 0:
                chunk_size, chunk_stride = 1, strides[i - 1]
    while position >= 0:  # a 0-d source, or leading ones
        result[position] = chunk_stride * chunk_size
        position -= 1
    return tuple(result)


def like_strides(shape: Shape, operands: Sequence[tuple[Shape, Shape]]) -> Shape:
    """Strides for an elementwise result: those of the first dense operand of the full shape."""
    for have, strides in operands:
        if have == shape and is_dense(have, strides) and 0 not in shape:
            return contiguous_strides(shape) if is_contiguous(have, strides) else strides
    return contiguous_strides(shape)


def memory_format_strides(shape: Shape, strides: Shape, memory_format: str) -> Shape:
    """Strides for a copy in "contiguous", "channels_last" or "preserve" format."""
    if memory_format == "contiguous":
        return contiguous_strides(shape)
    if memory_format == "channels_last":
        return channels_last_strides(shape)
    return like_strides(shape, [(shape, strides)])


def index(value: int, size: int, dim: int) -> int:
    """An index counted from the front; raises where it is out of range."""
    value = value.__index__()
    if not -size <= value < size:
        raise Fact(
            DimensionError,
            f"index {value} is out of bounds for dimension {dim} with size {size}",
            f"It must lie between {-size} and {size - 1}." if size else "The dimension is empty.",
        )
    return value + size if value < 0 else value
