"""Views and reshapes."""

from __future__ import annotations

from mezzo.core import tape
from mezzo.core.families.views import view as view_rule
from mezzo.core.layout import Layout
from mezzo.core.record import Record, composite, registered
from mezzo.core.tensor import Tensor
from mezzo.errors import Fact, ShapeError
from mezzo.ops.copy import cast, clone, copy_into
from mezzo.ops.create import arange
from mezzo.rules import batching, shapes
from mezzo.rules.samples import S, T


@view_rule(varargs="dims", where="mezzo Tensor", batch=batching.dims_list("dims"),
           vjp={"input": lambda g, _y, _x, dims: permute(g, _inverse(dims, g.ndim))},
           samples=[S(T(2, 3, 4), (2, 0, 1)), S(T(2, 3), (-1, 0))])  # fmt: skip
def permute(input: Tensor, dims) -> Tensor:
    """The axes in another order.

    Shapes: input (n0, n1, ...) -> (n[dims[0]], n[dims[1]], ...)
    Source: torch.permute
    """
    if len(dims) != input.ndim:
        raise Fact(ShapeError, f"dims {tuple(dims)} must name each of the {input.ndim} axes once")
    order = shapes.axes(tuple(dims), input.ndim, "dims")
    return tuple(input.shape[i] for i in order), tuple(input.strides[i] for i in order), 0


def _inverse(dims, rank: int) -> tuple[int, ...]:
    order = [d % rank for d in dims]
    return tuple(order.index(i) for i in range(rank))


@view_rule(varargs="size", where="Tensor", name="expand", batch=batching.sizes("size"),
           vjp={"input": lambda g, _y, _x, size: sum_to(g, _x.shape)},
           samples=[S(T(3, 1), (3, 4)), S(T(3), (2, 3)), S(T(1, 3), (2, -1, 3))])  # fmt: skip
def expand(input: Tensor, size) -> Tensor:
    """Axes of size one stretched without copying; -1 keeps a size.

    Shapes: input (..., 1, ...) -> (..., n, ...)
    Source: torch.Tensor.expand
    """
    lead = len(size) - input.ndim
    if lead < 0:
        raise Fact(ShapeError, f"size {tuple(size)} has fewer axes than the tensor ({input.ndim})")
    to = []
    for i, n in enumerate(size):
        have = input.shape[i - lead] if i >= lead else None
        if n == -1 and have is None:
            raise Fact(ShapeError, f"size -1 at new axis {i} has nothing to keep")
        n = have if n == -1 else n
        if have not in (None, 1, n):
            raise Fact(
                ShapeError,
                f"size {n} at axis {i} must match the existing size {have}, which is not 1",
            )
        to.append(n)
    return tuple(to), shapes.expand_strides(input.shape, input.strides, tuple(to)), 0


@view_rule(grad_name="ViewBackward0", where="", vjp={"input": lambda g, _y, _x, size: reshape(g, _x.shape)}, batch=batching.sizes("size"),
           samples=[S(T(2, 6), (3, 4))], reference=lambda x, size: x.view(size))  # fmt: skip
def view_shape(input: Tensor, size) -> Tensor:
    """The same memory in another shape."""
    to = shapes.infer(size, input.numel)
    strides = shapes.view_strides(input.shape, input.strides, to)
    if strides is None:
        raise Fact(
            ShapeError, f"view size {tuple(size)} is not compatible with the tensor's size and stride",
            "At least one dimension spans two contiguous subspaces: use .reshape(...) instead.",
        )  # fmt: skip
    return to, strides, 0


@composite(
    varargs="shape",
    where="mezzo Tensor",
    samples=[S(T(2, 6), (3, 4)), S(T(2, 3, 2), (-1,)), S(T(0, 3), (3, 0))],
)
def reshape(input: Tensor, shape) -> Tensor:
    """The same elements in another shape; a view where the memory allows it.

    Shapes: input (...) -> shape, in which one size may be -1
    Source: torch.reshape
    """
    to = shapes.infer(shape, input.layout.numel)
    if shapes.view_strides(input.shape, input.layout.strides, to) is not None:
        return view_shape(input, to)
    return view_shape(clone(input, memory_format="contiguous"), to)


@view_rule(where="mezzo Tensor", batch=batching.exchanged, aliases="swapaxes swapdims",
           vjp={"input": lambda g, _y, _x, dim0, dim1: transpose(g, dim0, dim1)},
           samples=[S(T(2, 3), 0, 1), S(T(2, 3, 4), -1, 0)])  # fmt: skip
def transpose(input: Tensor, dim0, dim1) -> Tensor:
    """Two axes exchanged.

    Shapes: input (..., m, ..., n, ...) -> (..., n, ..., m, ...)
    Source: torch.transpose
    """
    a, b = shapes.axis(dim0, input.ndim, "dim0"), shapes.axis(dim1, input.ndim, "dim1")
    order = list(range(input.ndim))
    if order:
        order[a], order[b] = order[b], order[a]
    return tuple(input.shape[i] for i in order), tuple(input.strides[i] for i in order), 0


@view_rule(where="mezzo Tensor", batch=batching.dims("dim"),
           vjp={"input": lambda g, _y, _x, dim: g.squeeze(dim)}, samples=[S(T(2, 3), 1), S(T(), 0), S(T(2), -1)])  # fmt: skip
def unsqueeze(input: Tensor, dim) -> Tensor:
    """An axis of size one inserted at dim.

    Shapes: input (..., n, ...) -> (..., 1, n, ...)
    Source: torch.unsqueeze
    """
    at = shapes.axis(dim, input.ndim + 1)
    step = input.shape[at] * input.strides[at] if at < input.ndim else 1
    return (
        (*input.shape[:at], 1, *input.shape[at:]),
        (*input.strides[:at], step, *input.strides[at:]),
        0,
    )


@view_rule(grad_name="SqueezeBackward1", where="", batch=batching.dims_list("dims"),
           vjp={"input": lambda g, _y, _x, dims: reshape(g, _x.shape)},
           samples=[S(T(2, 1, 3, 1), (1, 3))], reference=lambda x, dims: x.squeeze(dims))  # fmt: skip
def squeeze_dims(input: Tensor, dims) -> Tensor:
    """The given axes removed where their size is one."""
    gone = (
        [d for d in shapes.axes(tuple(dims), input.ndim) if input.ndim and input.shape[d] == 1]
        if dims
        else []
    )
    keep = [i for i in range(input.ndim) if i not in gone]
    return tuple(input.shape[i] for i in keep), tuple(input.strides[i] for i in keep), 0


@composite(where="mezzo Tensor", samples=[S(T(2, 1, 3, 1)), S(T(2, 1, 3), 1), S(T(2, 3), 0)])
def squeeze(input: Tensor, dim=None) -> Tensor:
    """Axes of size one removed: all, or the given ones.

    Shapes: input (..., 1, ...) -> (..., ...)
    Source: torch.squeeze
    """
    if dim is None:
        dim = tuple(i for i, n in enumerate(input.shape) if n == 1)
    return squeeze_dims(input, dim if isinstance(dim, (tuple, list)) else (dim,))


@view_rule(grad_name="SliceBackward0", where="", batch=batching.dims("dim"),
           vjp={"input": lambda g, _y, _x, dim, start, stop, step: slice_backward(g, _x.shape, dim, start, stop, step)},
           samples=[S(T(5, 3), 0, 1, 4, 2), S(T(5, 3), 1, 0, 2, 1)],
           reference=lambda x, d, a, b, s: x.transpose(0, d)[a:b:s].transpose(0, d))  # fmt: skip
def slice_dim(input: Tensor, dim, start, stop, step) -> Tensor:
    """Every step-th index of an axis from start up to stop, both within the axis."""
    d = shapes.axis(dim, input.ndim)
    count = max(0, -(-(stop - start) // step))
    shape = (*input.shape[:d], count, *input.shape[d + 1 :])
    strides = (*input.strides[:d], input.strides[d] * step, *input.strides[d + 1 :])
    return shape, strides, start * input.strides[d] if count else 0


@composite(where="", samples=[])
def slice_backward(input: Tensor, shape, dim, start, stop, step) -> Tensor:
    """input put into zeros of the given shape where slice_dim took it from."""
    return scatter_view(zeros_of(input, shape), input, ((slice_dim, (dim, start, stop, step)),))


@view_rule(where="mezzo Tensor", batch=batching.dims("dim"), samples=[S(T(3, 4), 1, 2), S(T(3, 4), 0, -1)],
           vjp={"input": lambda g, _y, _x, dim, index: select_backward(g, _x.shape, dim, index)})  # fmt: skip
def select(input: Tensor, dim, index) -> Tensor:
    """One index of an axis, which goes away.

    Shapes: input (..., n, ...) -> (..., ...)
    Source: torch.select
    """
    d = shapes.axis(dim, input.ndim)
    at = shapes.index(index, input.shape[d] if input.ndim else 0, d)
    return (
        (*input.shape[:d], *input.shape[d + 1 :]),
        (*input.strides[:d], *input.strides[d + 1 :]),
        at * input.strides[d],
    )


@composite(where="", samples=[])
def select_backward(input: Tensor, shape, dim, index) -> Tensor:
    """input put into zeros of the given shape where select took it from."""
    return scatter_view(zeros_of(input, shape), input, ((select, (dim, index)),))


def _batched_strides(record, size, args, batched):
    x, sizes, strides, offset = args
    return record(x, (size, *sizes), (x.layout.strides[0], *strides), offset)


@view_rule(grad_name="AsStridedBackward0", where="", batch=_batched_strides,
           vjp={"input": lambda g, _y, _x, size, stride, offset: strided_backward(g, _x, size, stride, offset)},
           samples=[S(T(4, 4), (2, 2), (1, 2), 0), S(T(4, 4), (2, 3), (4, 1), 2)],
           reference=lambda x, size, stride, offset: x.as_strided(size, stride, offset))  # fmt: skip
def strided_view(input: Tensor, size, stride, offset) -> Tensor:
    """A view with any sizes and strides; offset counts from the tensor's first element."""
    return tuple(size), tuple(stride), offset


@composite(
    where="mezzo Tensor", samples=[S(T(4, 4), (2, 2), (1, 2)), S(T(4, 4), (2, 3), (4, 1), 2)]
)
def as_strided(input: Tensor, size, stride, storage_offset=None) -> Tensor:
    """A view with any sizes and strides, checked against the bounds of the storage.

    Shapes: input (...) -> size
    Raises: ShapeError where it would read outside the storage
    Source: torch.as_strided
    """
    if len(size) != len(stride) or any(n < 0 for n in size) or any(s < 0 for s in stride):
        raise Fact(
            ShapeError,
            f"size {tuple(size)} and stride {tuple(stride)} must have one length and no negatives",
        )
    here = input.storage_offset()
    start = here if storage_offset is None else storage_offset
    last = start + sum((n - 1) * s for n, s in zip(size, stride))
    # Without memory in sight (meta, vmap, trace) the tensor itself is all there is to view.
    seen = input.level is None and input.ptr and input.storage is not None
    have = (input.storage.nbytes if seen else input.layout.extent()[1]) // input.itemsize
    if start < 0 or (0 not in size and last >= have):
        raise Fact(ShapeError, f"size {tuple(size)}, stride {tuple(stride)}, offset {start} reach element {last} of a "
                               f"storage of {have}")  # fmt: skip
    return strided_view(input, tuple(size), tuple(stride), start - here)


class Scatter(Record):
    """The inverse of a chain of views: a copy of a tensor with the viewed part replaced."""

    family = "scatter"

    def run(self, args: tuple) -> Tensor:
        base, piece, chain = args
        if base.auto is None and piece.auto is None:
            return self._filled(base, piece, chain)
        node = tape.prepare(self, args)
        out = self._filled(tape.alias(base), tape.alias(piece), chain)
        if node is not None:
            tape.finish(node, out)
        return out

    @staticmethod
    def _filled(base, piece, chain):
        out = cast(base)
        copy_into(follow(tape.alias(out), chain), piece)
        return out


def follow(tensor: Tensor, chain) -> Tensor:
    """The view that a chain of (record, arguments) leads to."""
    for record, args in chain:
        tensor = record(tensor, *args)
    return tensor


@registered(Scatter)(where="", vjp={
    "input": lambda g, _y, _x, _p, chain: scatter_view(g, zeros_of(g, _p.shape), chain),
    "piece": lambda g, _y, _x, _p, chain: follow(g, chain)},
    batch=batching.chain, samples=[])  # fmt: skip
def scatter_view(input: Tensor, piece: Tensor, chain) -> Tensor:
    """input with the part that the chain of views selects replaced by piece."""


tape.VIEW_SCATTER.append(scatter_view)


def zeros_of(like: Tensor, shape) -> Tensor:
    """Zeros of another shape with the dtype and device of a tensor, to be copied before they are written.

    It is one zero that is seen everywhere: a tensor of them would be filled only to be read once.
    """
    return expand(like.new_zeros(()), tuple(shape))


@composite(where="", samples=[])
def strided_backward(input: Tensor, source: Layout, size, stride, offset) -> Tensor:
    """The gradient of strided_view on a contiguous source: what was read twice adds up."""
    if not source.is_contiguous:
        raise Fact(
            ShapeError,
            "as_strided has a derivative for contiguous tensors only",
            "Call contiguous() first.",
        )
    positions = strided_view(arange(source.numel), size, stride, offset)
    flat = input.new_zeros((source.numel,)).index_add(
        0, reshape(positions, (-1,)), reshape(input, (-1,))
    )
    return reshape(flat, source.shape)


@composite(
    where="",
    samples=[S(T(2, 3), (3,)), S(T(4, 2, 3), (1, 3))],
    reference=lambda x, s: x.sum_to_size(s),
)
def sum_to(input: Tensor, shape) -> Tensor:
    """The sum over the axes that broadcasting `shape` to input's shape added or stretched."""
    if tuple(input.shape) == tuple(shape):
        return input
    lead = input.ndim - len(shape)
    dims = tuple(range(lead)) + tuple(
        i + lead for i, n in enumerate(shape) if n == 1 and input.shape[i + lead] != 1
    )
    if len(dims) == lead and dims:  # axes that broadcasting put in front, none that it stretched
        return input.sum(dims, False)
    return reshape(input.sum(dims, True), tuple(shape)) if dims else reshape(input, tuple(shape))
