"""Axes moved, merged, added, flipped; broadcasting to a shape."""

from __future__ import annotations

from collections.abc import Sequence

from mezzo import dtypes
from mezzo.core.families.rearrange import rearrange
from mezzo.core.families.views import bare, based
from mezzo.core.layout import Layout, Size, layout
from mezzo.core.record import Primitive, composite, none, registered
from mezzo.core.tensor import Tensor
from mezzo.core.tensor import view as raw_view
from mezzo.errors import Fact, ShapeError
from mezzo.ops.copy import clone
from mezzo.ops.join import atleast, cat
from mezzo.ops.shape import expand, permute, reshape, transpose, view_shape
from mezzo.rules import batching, shapes
from mezzo.rules.samples import S, T


def _as_dims(dims) -> tuple:
    return tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)


# ---- order of axes


@composite(aliases="moveaxis", samples=[S(T(2, 3, 4), 0, 2), S(T(2, 3, 4), (0, 1), (-1, 0))])
def movedim(input: Tensor, source, destination) -> Tensor:
    """Axes moved to other places; the rest keep their order.

    Shapes: input (...) -> (...)
    Source: torch.movedim
    """
    rank = input.ndim
    start, to = (
        shapes.axes(_as_dims(source), rank, "source"),
        shapes.axes(_as_dims(destination), rank, "destination"),
    )
    if not start and rank:
        return input
    if len(start) != len(to):
        raise Fact(
            ShapeError, f"source {source} and destination {destination} must name as many axes"
        )
    rest = iter(i for i in range(rank) if i not in start)
    moved = dict(zip(to, start))
    return permute(input, tuple(moved[i] if i in moved else next(rest) for i in range(rank)))


@composite(samples=[S(T(2, 3)), S(T(3)), S(T())], errors=[(S(T(2, 3, 4)), ShapeError, "<= 2")])
def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors stay as they are.

    Shapes: input (m, n) -> (n, m)
    Source: torch.t
    """
    if input.ndim > 2:
        raise Fact(
            ShapeError,
            f"expects a tensor with <= 2 dimensions, but self is {input.ndim}D",
            "Use x.mT.",
        )
    return input if input.ndim < 2 else transpose(input, 0, 1)


@composite(samples=[S(T(2, 3)), S(T(2, 3, 4))])
def adjoint(input: Tensor) -> Tensor:
    """The last two axes exchanged and complex numbers conjugated.

    Shapes: input (..., m, n) -> (..., n, m)
    Source: torch.adjoint
    """
    if input.ndim < 2:
        raise Fact(ShapeError, f"needs a tensor with at least two axes, got {input.ndim}")
    return _conjugated(transpose(input, -2, -1))


def _conjugated(x: Tensor) -> Tensor:
    return x.conj() if x.dtype.is_complex else x


def _matrix_transpose(self: Tensor) -> Tensor:
    """The last two axes exchanged."""
    if self.ndim < 2:
        raise ShapeError(
            f"mT: tensor.mT needs at least 2 axes, and the tensor has {self.ndim}. Use unsqueeze() first."
        )
    return transpose(self, -2, -1)


def _reversed_axes(self: Tensor) -> Tensor:
    """The axes in reverse order."""
    return permute(self, tuple(range(self.ndim - 1, -1, -1)))


def _hermitian(self: Tensor) -> Tensor:
    """A matrix transposed and conjugated."""
    if self.ndim not in (0, 2):
        raise ShapeError(
            f"H: tensor.H is for matrices, and the tensor has {self.ndim} axes. Use x.mH for batches."
        )
    return _conjugated(t(self))


def _batched_hermitian(self: Tensor) -> Tensor:
    """The last two axes exchanged, conjugated."""
    return _conjugated(_matrix_transpose(self))


Tensor.T, Tensor.mT = property(_reversed_axes), property(_matrix_transpose)
Tensor.H, Tensor.mH = property(_hermitian), property(_batched_hermitian)


# ---- merging and splitting axes


@composite(samples=[S(T(2, 3, 4)), S(T(2, 3, 4), 1), S(T(2, 3, 4), 0, 1), S(T()), S(T(0, 3))])
def flatten(input: Tensor, start_dim=0, end_dim=-1) -> Tensor:
    """The axes from start_dim to end_dim as one.

    Shapes: input (..., a, b, ...) -> (..., a * b, ...)
    Source: torch.flatten
    """
    if not input.ndim:
        return reshape(input, (1,))
    a, b = (
        shapes.axis(start_dim, input.ndim, "start_dim"),
        shapes.axis(end_dim, input.ndim, "end_dim"),
    )
    if a > b:
        raise Fact(ShapeError, f"start_dim {start_dim} cannot come after end_dim {end_dim}")
    if a == b:
        return input
    return reshape(
        input, (*input.shape[:a], shapes.numel(input.shape[a : b + 1]), *input.shape[b + 1 :])
    )


@composite(samples=[S(T(2, 6), 1, (2, 3)), S(T(6, 2), 0, (-1, 2))])
def unflatten(input: Tensor, dim, sizes) -> Tensor:
    """One axis as several.

    Shapes: input (..., a * b, ...) -> (..., a, b, ...)
    Source: torch.unflatten
    """
    axis = shapes.axis(dim, input.ndim)
    sizes = _as_dims(sizes)
    if not sizes:
        raise Fact(ShapeError, "sizes must not be empty")
    if -1 not in sizes and shapes.numel(sizes) != input.shape[axis]:
        raise Fact(
            ShapeError,
            f"sizes {list(sizes)} don't multiply up to the size of dim {axis} ({input.shape[axis]})",
        )
    inner = shapes.infer(sizes, input.shape[axis])
    return view_shape(input, (*input.shape[:axis], *inner, *input.shape[axis + 1 :]))


@composite(samples=[S(T(2, 3)), S(T())])
def ravel(input: Tensor) -> Tensor:
    """All elements as a vector; a view where the memory allows it.

    Shapes: input (...) -> (n,)
    Source: torch.ravel
    """
    return reshape(input, (-1,))


@composite(where="Tensor", samples=[S(T(2, 6), T(3, 4))])
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """input in the shape of other.

    Source: torch.Tensor.reshape_as
    """
    return reshape(input, tuple(other.shape))


@composite(where="Tensor", samples=[S(T(2, 6), T(3, 4))])
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """A view of input in the shape of other.

    Source: torch.Tensor.view_as
    """
    return view_shape(input, tuple(other.shape))


class Reinterpret(Primitive):
    """The same bytes as elements of another dtype."""

    family = "view"

    def trail(self, args: tuple) -> Tensor:
        """Layout alone: history ends where bits are read in another way."""
        return bare(self._read_as(*args))

    def run(self, args: tuple) -> Tensor:
        input, dtype = args
        out = raw_view(input, self._read_as(input, dtype))
        out.base = based(input, (self, args[1:]))
        return out

    @staticmethod
    def _read_as(input: Tensor, dtype) -> Layout:
        have, old, new = input.layout, input.dtype.itemsize, dtype.itemsize
        shape, strides = list(have.shape), list(have.strides)
        if old != new:
            if not shape:
                raise ShapeError(
                    f"view: a 0-d tensor of {have.dtype.name} cannot become {dtype.name}: the sizes differ."
                )
            if (
                strides[-1] != 1
                or (shape[-1] * old) % new
                or (have.numel and input.level is None and input.ptr % new)
            ):
                raise ShapeError(
                    f"view: the last axis ({shape[-1]} elements of {old} bytes, stride {strides[-1]}) cannot be read as "
                    f"{dtype.name} ({new} bytes). Call contiguous() first."
                )
            if any(s * old % new for s in strides[:-1]):
                raise ShapeError(
                    f"view: the strides {have.strides} of {have.dtype.name} do not divide into {dtype.name}."
                )
            shape[-1] = shape[-1] * old // new
            strides = [s * old // new for s in strides[:-1]] + [1]
        return layout(shape, strides, dtype, have.device)


@registered(Reinterpret)(where="", vjp=none("bits of another dtype have no derivative"), samples=[],
                         batch=batching.dims())  # fmt: skip
def view_dtype(input: Tensor, dtype) -> Tensor:
    """The same memory read as another dtype."""


@composite(where="Tensor", varargs="shape",
           samples=[S(T(2, 6), (3, 4)), S(T(2, 6), (-1,)), S(T(2, 6), (2, 1, 6)), S(T(2, 6), dtypes.int16)])  # fmt: skip
def view(input: Tensor, shape) -> Tensor:
    """The same memory in another shape, or as another dtype.

    Shapes: input (...) -> shape, in which one size may be -1
    Source: torch.Tensor.view
    """
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    if len(shape) == 1 and isinstance(shape[0], dtypes.dtype):
        return input if shape[0] is input.dtype else view_dtype(input, shape[0])
    return view_shape(input, tuple(shape))


# ---- broadcasting


@composite(where="Tensor", samples=[S(T(3, 1), T(3, 4))])
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """input stretched to the shape of other, without copying.

    Source: torch.Tensor.expand_as
    """
    return expand(input, tuple(other.shape))


@composite(samples=[S(T(3, 1), (2, 3, 4)), S(T(), (2,))])
def broadcast_to(input: Tensor, size) -> Tensor:
    """input stretched to a shape, without copying.

    Shapes: input (..., 1, ...) -> size
    Source: torch.broadcast_to
    """
    return expand(input, tuple(size))


@composite(where="mezzo", varargs="tensors", samples=[S(T(3, 1), T(4)), S(T(2, 1), T(1, 3), T())])
def broadcast_tensors(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Tensors stretched to their common shape, without copying.

    Source: torch.broadcast_tensors
    """
    shape = shapes.broadcast([tuple(x.shape) for x in tensors])
    return tuple(expand(x, shape) for x in tensors)


@composite(
    where="mezzo",
    varargs="shapes_",
    samples=[S((2, 1), (3,)), S((4, 1, 3), (1, 2, 1), (3,)), S((0,), (1,))],
)
def broadcast_shapes(shapes_) -> Size:
    """The shape that tensors of the given shapes broadcast to.

    Source: torch.broadcast_shapes
    """
    lists = shapes_ if shapes_ and not isinstance(shapes_[0], int) else (shapes_,)
    return Size(shapes.broadcast([(s,) if isinstance(s, int) else tuple(s) for s in lists]))


def _each(tensors, rank: int):
    if isinstance(tensors, Tensor):
        return atleast(tensors, rank)
    grown = tuple(atleast(x, rank) for x in tensors)
    return grown[0] if len(grown) == 1 else grown


@composite(where="mezzo", varargs="tensors", samples=[S(T()), S(T(), T(3))])
def atleast_1d(tensors: Sequence[Tensor]) -> Tensor:
    """0-d tensors as vectors of one element.

    Source: torch.atleast_1d
    """
    return _each(tensors, 1)


@composite(where="mezzo", varargs="tensors", samples=[S(T()), S(T(3), T(2, 3))])
def atleast_2d(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors with axes of size one in front, two axes at least.

    Source: torch.atleast_2d
    """
    return _each(tensors, 2)


@composite(where="mezzo", varargs="tensors", samples=[S(T()), S(T(3), T(2, 3), T(2, 3, 4))])
def atleast_3d(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors with axes of size one added, three axes at least.

    Source: torch.atleast_3d
    """
    return _each(tensors, 3)


# ---- flipping and rolling


@rearrange(varargs="dims", where="mezzo Tensor", batch=batching.dims_list("dims"),
           vjp={"input": lambda g, _y, _x, dims: flip(g, dims)},
           samples=[S(T(2, 3), (0,)), S(T(2, 3, 4), (0, 2)), S(T(2, 3), (-1,)), S(T(0, 3), (0, 1))])  # fmt: skip
def flip(input: Tensor, dims) -> Tensor:
    """A copy with the given axes in reverse order.

    Shapes: input (...) -> (...)
    Source: torch.flip
    """
    dims = shapes.axes(tuple(dims), input.ndim, "dims") if len(dims) else ()
    strides = tuple(-s if i in dims else s for i, s in enumerate(input.strides))
    offset = sum(input.strides[d] * (input.shape[d] - 1) for d in dims if input.shape[d])
    return tuple(input.shape), strides, offset


@composite(samples=[S(T(2, 3))])
def fliplr(input: Tensor) -> Tensor:
    """The columns in reverse order.

    Source: torch.fliplr
    """
    if input.ndim < 2:
        raise Fact(ShapeError, f"needs a tensor with at least two axes, got {input.ndim}")
    return flip(input, (1,))


@composite(samples=[S(T(2, 3)), S(T(3))])
def flipud(input: Tensor) -> Tensor:
    """The rows in reverse order.

    Source: torch.flipud
    """
    if input.ndim < 1:
        raise Fact(ShapeError, "needs a tensor with at least one axis, got 0")
    return flip(input, (0,))


@composite(samples=[S(T(2, 3), 1, 0), S(T(2, 3), (1, -1), (0, 1)), S(T(2, 3), 2), S(T(0, 2), 1, 0)])
def roll(input: Tensor, shifts, dims=None) -> Tensor:
    """Elements shifted along axes; what falls off one end comes in at the other.

    Shapes: input (...) -> (...)
    Source: torch.roll
    """
    if dims is None or (isinstance(dims, (tuple, list)) and not dims):
        if isinstance(shifts, (tuple, list)) and len(shifts) != 1:
            raise Fact(ShapeError, f"shifts and dims must align: {len(shifts)} shifts and no dims")
        return reshape(roll(reshape(input, (-1,)), shifts, 0), tuple(input.shape))
    shifts, dims = _as_dims(shifts), _as_dims(dims)
    if len(shifts) != len(dims):
        raise Fact(
            ShapeError, f"shifts and dims must align: {len(shifts)} shifts and {len(dims)} dims"
        )
    if not input.layout.numel:
        return clone(input)
    rolled = None
    for shift, dim in zip(shifts, dims):
        source = input if rolled is None else rolled
        n = source.shape[shapes.axis(dim, source.ndim)]
        cut = -shift % n
        rolled = (
            clone(source)
            if not cut
            else cat((source.narrow(dim, cut, n - cut), source.narrow(dim, 0, cut)), dim)
        )
    return rolled


@composite(
    samples=[S(T(2, 3)), S(T(2, 3), 2), S(T(2, 3), -1), S(T(2, 3, 4), 1, (1, 2)), S(T(2, 3), 0)]
)
def rot90(input: Tensor, k=1, dims=(0, 1)) -> Tensor:
    """The plane of two axes turned k times by 90 degrees.

    Source: torch.rot90
    """
    if len(dims) != 2:
        raise Fact(ShapeError, f"expected total rotation dims == 2, but got dims = {len(dims)}")
    a, b = shapes.axes(tuple(dims), input.ndim, "dims")
    turns = k % 4
    if turns == 0:
        return clone(input)
    if turns == 2:
        return flip(input, (a, b))
    return transpose(flip(input, (b if turns == 1 else a,)), a, b)
