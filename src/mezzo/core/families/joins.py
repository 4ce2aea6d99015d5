"""Joins: several tensors copied side by side into one, each piece by its own launch.

    @join
    def cat(tensors: Sequence[Tensor], dim=0) -> Tensor: ...

`stacked` joins put the pieces along a new axis.
"""

from __future__ import annotations

import functools

import numpy as np

from mezzo import devices, dtypes
from mezzo.core import tape
from mezzo.core.families.elementwise import map_plan
from mezzo.core.layout import Layout, layout
from mezzo.core.record import Primitive, registered
from mezzo.core.tensor import Tensor, array_over, common_device, empty
from mezzo.errors import ArgumentTypeError, Fact, ImpossibleValueError, ShapeError
from mezzo.kernels import ir
from mezzo.kernels.cpu.maps import LINE, MapKernel
from mezzo.rules import shapes

_BITS = {1: "u8", 2: "i16", 4: "i32", 8: "i64"}


@functools.lru_cache(maxsize=256)
def copy_kernel(source: str, to: str) -> MapKernel:
    """A map that converts between two storage types."""
    value = ir.cast(ir.load(0, source), ir.COMPUTE[to])
    return MapKernel((source,), (to,), (value,), ())


def kernel_between(source: dtypes.dtype, to: dtypes.dtype) -> MapKernel | None:
    """The kernel that copies one dtype into another: plain bits where they agree; None where NumPy must."""
    if source is to and source.itemsize in _BITS:
        return copy_kernel(_BITS[source.itemsize], _BITS[source.itemsize])
    if source.is_complex or to.is_complex:
        return None
    return copy_kernel(source.ir, to.ir)


class JoinPlan:
    """Output layout and one launch for each piece that has elements."""

    __slots__ = ("layout", "pieces", "runs")

    def __init__(self, out: Layout, runs: bool):
        self.layout, self.pieces, self.runs = out, [], runs

    def add(self, position: int, part: Layout, piece: Layout, offset: int) -> None:
        """Piece `position` goes to the part of the output that starts `offset` bytes in."""
        if not piece.numel:
            return
        kernel = kernel_between(piece.dtype, self.layout.dtype)
        plan = None
        if kernel is not None:
            lined = offset % LINE == 0
            plan = map_plan(kernel, (part,), [piece], lined, whole=self.layout.nbytes)
        self.pieces.append((position, plan, part, offset))

    def execute(self, tensors) -> Tensor:
        """Copy into new memory."""
        out = empty(self.layout)
        if self.runs:
            for position, plan, part, offset in self.pieces:
                if plan is None:
                    to = array_over(out.storage, out.ptr + offset, part)
                    np.copyto(to, tensors[position]._array(), casting="unsafe")
                else:
                    plan.launch(plan.address, plan.head, out.ptr + offset, tensors[position].ptr)
        return out


class Join(Primitive):
    """A record that lays a list of tensors side by side. Parameters: tensors, dim."""

    family = "join"

    def __init__(self, fn, *, stacked: bool = False, **options):
        super().__init__(fn, **options)
        self.stacked = stacked

    def bind(self, args: tuple, kwargs: dict) -> tuple:
        return self._checked(super().bind(args, kwargs))

    def _checked(self, args: tuple) -> tuple:
        tensors = args[0]
        if not isinstance(tensors, (tuple, list)):
            raise ArgumentTypeError(
                f"{self.name}: argument 1 (tensors) must be a tuple or list of Tensors, not {type(tensors).__name__}. "
                f"Write {self.name}([a, b])."
            )
        for i, t in enumerate(tensors):
            if not isinstance(t, Tensor):
                raise ArgumentTypeError(
                    f"{self.name}: element {i} of argument 1 (tensors) is {type(t).__name__}; it must be a Tensor."
                )
        return args

    def make(self, tensors, dim) -> JoinPlan:
        self._checked((tensors, dim))
        if not tensors:
            raise Fact(
                ImpossibleValueError, "expected a non-empty list of Tensors", "Pass at least one."
            )
        if not self.stacked and not tensors[0].ndim:
            text = "zero-dimensional tensor (at position 0) cannot be concatenated"
            raise Fact(ShapeError, text, "Use stack().")
        device = common_device(self.name, tensors)
        pieces = [t.layout for t in tensors]
        result = functools.reduce(dtypes.promote_types, [p.dtype for p in pieces])
        pieces = self._aligned(pieces)
        used = [p for p in pieces if p is not None]
        first = used[0] if used else tensors[0].layout
        axis = shapes.axis(dim, first.ndim + self.stacked)
        if self.stacked:
            pieces = used = [_with_axis(p, axis) for p in pieces]
            first = used[0]
        self._check(used, axis)
        shape = list(first.shape)
        shape[axis] = sum(p.shape[axis] for p in used)
        out = layout(shape, _result_strides(shape, used), result, device)
        plan = JoinPlan(out, device is not devices.meta)
        at, step = 0, out.strides[axis] * result.itemsize
        for i, piece in enumerate(pieces):
            if piece is not None:
                plan.add(i, layout(piece.shape, out.strides, result, device), piece, at * step)
                at += piece.shape[axis]
        return plan

    def _aligned(self, pieces):
        # PyTorch lets tensors of shape (0,) join anything.
        if self.stacked or all(p.ndim == 1 for p in pieces):
            return pieces
        return [None if p.shape == (0,) else p for p in pieces]

    def _check(self, used, axis: int) -> None:
        for i, piece in enumerate(used):
            if piece.ndim != used[0].ndim:
                raise Fact(
                    ShapeError,
                    f"tensors must have the same number of dimensions: got {used[0].ndim} and {piece.ndim}",
                )
            for d, (a, b) in enumerate(zip(used[0].shape, piece.shape)):
                if a != b and (d != axis or self.stacked):
                    if self.stacked:
                        raise Fact(ShapeError, f"stack expects each tensor to be equal size, but got {_without(used[0], axis)} "
                                               f"at entry 0 and {_without(piece, axis)} at entry {i}")  # fmt: skip
                    raise Fact(ShapeError, f"sizes of tensors must match except in dimension {axis}. Expected size {a} but got "
                                           f"size {b} for tensor number {i} in the list")  # fmt: skip

    def key(self, args: tuple):
        return (tuple([t.layout for t in args[0]]), args[1])

    def run(self, args: tuple) -> Tensor:
        out = self.plan(args).execute(args[0])
        for t in args[0]:
            if t.auto is not None or t.base is not None:
                tape.attach(self, args, out)
                break
        return out


def _with_axis(piece: Layout, axis: int) -> Layout:
    shape, strides = piece.shape, piece.strides
    return layout(
        (*shape[:axis], 1, *shape[axis:]),
        (*strides[:axis], 0, *strides[axis:]),
        piece.dtype,
        piece.device,
    )


def _without(piece: Layout, axis: int) -> list[int]:
    return [*piece.shape[:axis], *piece.shape[axis + 1 :]]


def _result_strides(shape, pieces):
    if (
        len(shape) == 4
        and pieces
        and all(p.is_channels_last() and not p.is_contiguous for p in pieces)
    ):
        return shapes.channels_last_strides(shape)
    return shapes.contiguous_strides(shape)


join = registered(Join)
