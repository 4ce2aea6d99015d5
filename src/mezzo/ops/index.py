"""x[...] and x[...] = v: what stands between the brackets, parsed once into views and index tensors.

Ints, slices, None and Ellipsis make a view (index_view). Tensors, lists, arrays and masks then read through
pick_at or write through put_at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mezzo import devices, dtypes
from mezzo.core.families.dynamic import dynamic
from mezzo.core.families.masked import SERIAL, Chosen, is_plain, masked, place_lists, places
from mezzo.core.families.views import view as view_rule
from mezzo.core.record import Cast, composite, none, update
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor, tensor_method
from mezzo.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    DTypeError,
    Fact,
    OutOfRangeError,
    ShapeError,
    message,
)
from mezzo.ops.copy import copy
from mezzo.ops.create import arange, fill_new
from mezzo.ops.data import tensor
from mezzo.ops.indirect import pick_at, put_at
from mezzo.ops.scatter import written
from mezzo.ops.shape import reshape, scatter_view, slice_dim, transpose, zeros_of
from mezzo.rules import shapes
from mezzo.rules.samples import S, T, index, truth

# ---- basic indexing: one view


def _view_backward(g, _y, _x, items):
    return scatter_view(zeros_of(g, _x.shape), g, ((index_view, (items,)),))


def _view_batched(record, size, args, batched):
    input, items = args
    return record.apply((input, ((0, size, 1), *items)))


def _view_name(args: tuple) -> str:
    """That of the last step, where PyTorch takes one for each item."""
    last = args[1][-1] if args[1] else ()
    return {int: "SelectBackward0", tuple: "SliceBackward0"}.get(type(last), "UnsqueezeBackward0")


@view_rule(where="", batch=_view_batched, vjp={"input": _view_backward}, grad_name=_view_name,
           samples=[S(T(4, 3, 5), (1, (0, 3, 2), None, (1, 5, 3)))], reference=lambda x, items: x[1, 0:3:2, None, 1:5:3])  # fmt: skip
def index_view(input: Tensor, items) -> Tensor:
    """Axis by axis an int (the axis goes), a slice (start, stop, step), or None (a new axis), all within bounds."""
    shape, strides, offset, axis = [], [], 0, 0
    for item in items:
        if item is None:
            shape.append(1)
            strides.append(input.shape[axis] * input.strides[axis] if axis < input.ndim else 1)
            continue
        stride = input.strides[axis]
        axis += 1
        if isinstance(item, int):
            offset += item * stride
            continue
        start, stop, step = item
        count = max(0, -(-(stop - start) // step))
        shape.append(count)
        strides.append(stride * step)
        offset += start * stride if count else 0
    shape += input.shape[axis:]
    strides += input.strides[axis:]
    return tuple(shape), tuple(strides), offset if 0 not in shape else 0


# ---- parsing


class _Parsed:
    """items: for index_view. advanced: (axis of the view, index tensor). at: where their axes go."""

    __slots__ = ("advanced", "at", "items", "plain")


def _error(problem: str, advice: str = "", kind=OutOfRangeError):
    return kind(message("index", problem, advice))


def _width(item) -> int:
    """How many axes of the tensor an index takes."""
    if item is None or item is Ellipsis or isinstance(item, (bool, np.bool_)):
        return 0
    if isinstance(item, Tensor) and item.dtype in (dtypes.bool_, dtypes.uint8):
        return item.ndim
    return 1


def _from_sequence(item):
    """A list, array or range as an index tensor."""
    if isinstance(item, np.ndarray):
        return tensor(item)
    return tensor(list(item)) if len(item) else arange(0)


def _is_int(item) -> bool:
    if isinstance(item, Tensor):
        return (
            not item.ndim
            and item.dtype.category == dtypes.INTEGER
            and item.dtype is not dtypes.uint8
            and not STATE.stack
        )
    return isinstance(item, (int, np.integer)) or (
        hasattr(item, "__index__") and not hasattr(item, "__len__")
    )


def _slice(item: slice, size: int) -> tuple[int, int, int]:
    if item.start is item.stop is item.step is None:
        return 0, size, 1
    if item.step is None:
        start, stop, _ = item.indices(size)
        return start, max(start, stop), 1
    step = item.step.__index__()
    if step <= 0:
        raise _error(
            "step must be greater than zero", "Use flip() to read backwards.", ArgumentValueError
        )
    start, stop, _ = slice(item.start, item.stop).indices(size)
    return start, max(start, stop), step


def _as_tuple(given) -> tuple:
    if (
        isinstance(given, list)
        and given
        and isinstance(given[0], (list, tuple, slice, type(None), type(Ellipsis)))
    ):
        given = tuple(given)  # a list that holds sequences is read as a tuple
    parts = given if isinstance(given, tuple) else (given,)
    return tuple(
        _from_sequence(p) if isinstance(p, (list, range, np.ndarray)) else p for p in parts
    )


def _parse(self: Tensor, given) -> _Parsed:
    """Split the index of a tensor into its view part and its index tensors."""
    shape, parts = self.shape, _as_tuple(given)
    taken = sum(map(_width, parts))
    if taken > len(shape):
        raise _error(
            f"too many indices for tensor of dimension {len(shape)}: {taken} given",
            f"The shape is {list(shape)}.",
        )
    if sum(p is Ellipsis for p in parts) > 1:
        raise _error("an index can only have a single ellipsis ('...')")
    items: list = []
    advanced: list = []
    axis = out = 0  # axes of self, axes of the view
    for part in parts:
        if part is Ellipsis:
            skipped = len(shape) - taken
            items += [(0, n, 1) for n in shape[axis : axis + skipped]]
            axis, out = axis + skipped, out + skipped
        elif part is None:
            items.append(None)
            out += 1
        elif isinstance(part, slice):
            items.append(_slice(part, shape[axis]))
            axis, out = axis + 1, out + 1
        elif isinstance(part, (bool, np.bool_)):
            items.append(None)
            advanced.append((out, tensor([0] if part else [], dtype=dtypes.int64)))
            out += 1
        elif _is_int(part):
            items.append(_position(part, shape[axis], axis))
            axis += 1
        else:
            count = _width(part)
            found = _tensors(self, part, axis)
            advanced += [(out + i, f) for i, f in enumerate(found)]
            wide = max(count, len(found))
            if not count:  # a 0-d mask: an axis of size one to index
                items.append(None)
            items += [(0, n, 1) for n in shape[axis : axis + count]]
            axis, out = axis + count, out + wide
    return _finished(self, items, advanced)


def _finished(self: Tensor, items: list, advanced: list) -> _Parsed:
    parsed = _Parsed()
    while (
        items and isinstance(items[-1], tuple) and items[-1] == (0, self.shape[_axes(items) - 1], 1)
    ):
        items.pop()
    parsed.items, parsed.advanced, parsed.at = tuple(items), tuple(advanced), 0
    if advanced:
        axes = [a for a, _ in advanced]
        together = axes == list(range(axes[0], axes[0] + len(axes)))
        parsed.at = axes[0] if together else 0
    return parsed


def _axes(items) -> int:
    return sum(i is not None for i in items)


def _position(part, size: int, axis: int) -> int:
    value = part.item() if isinstance(part, Tensor) else part.__index__()
    if not -size <= value < size:
        raise _error(f"index {value} is out of bounds for dimension {axis} with size {size}")
    return value + size if value < 0 else value


def _tensors(self: Tensor, part, axis: int) -> list[Tensor]:
    """An advanced index as one int tensor for each axis it takes."""
    if not isinstance(part, Tensor):
        raise _error(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
            f"(got {type(part).__name__})"
        )
    found = part
    if found.dtype in (dtypes.bool_, dtypes.uint8):
        have = self.shape[axis : axis + found.ndim]
        for d, (a, b) in enumerate(zip(found.shape, have)):
            if a != b:
                raise _error(f"The shape of the mask {list(found.shape)} at index {d} does not match the shape of the indexed "
                             f"tensor {list(self.shape)} at index {axis + d}")  # fmt: skip
        if not found.ndim:
            return [reshape(arange(1), (1,)) if bool(found) else arange(0)]
        return list(nonzero(found, as_tuple=True))
    if found.dtype not in (dtypes.int64, dtypes.int32):
        raise _error(
            "tensors used as indices must be long, int, byte or bool tensors",
            f"Got {found.dtype.name}: use index.long(), or index != 0 for a mask.",
        )
    return [found if found.device is self.device else found.to(self.device)]


# ---- the methods


def _basic(shape, given) -> tuple | None:
    """The items of an index made of ints, slices, None and Ellipsis, the usual kind; None for any other."""
    parts = given if given.__class__ is tuple else (given,)
    items: list = []
    axis, rank = 0, len(shape)
    for i, part in enumerate(parts):
        kind = part.__class__
        if part is None:
            items.append(None)
            continue
        if part is Ellipsis:
            behind = sum(p is not None for p in parts[i + 1 :])
            while axis < rank - behind:
                items.append((0, shape[axis], 1))
                axis += 1
            continue
        if (kind is not int and kind is not slice) or axis >= rank:
            return None
        items.append(
            _position(part, shape[axis], axis) if kind is int else _slice(part, shape[axis])
        )
        axis += 1
    return tuple(items)


def _covers(mask: Tensor, tensor: Tensor) -> bool:
    """Whether it is a mask of every element."""
    return mask.dtype is dtypes.bool_ and mask.layout.shape == tensor.layout.shape


def _leads(mask: Tensor, tensor: Tensor) -> bool:
    """Whether it is a mask of the first axes."""
    return mask.dtype is dtypes.bool_ and mask.layout.shape == tensor.layout.shape[: mask.ndim]


def _masks_lines(mask: Tensor, tensor: Tensor) -> bool:
    """Whether it chooses lines of a tensor so small that a mask of its elements is the quick way."""
    return _leads(mask, tensor) and 0 < tensor.layout.numel <= SERIAL and is_plain(tensor, mask)


def _over_lines(mask: Tensor, tensor: Tensor) -> Tensor:
    """A mask of the first axes with the further ones as axes of size one."""
    return reshape(mask, (*mask.shape, *(1,) * (tensor.ndim - mask.ndim)))


@tensor_method
def __getitem__(self, given):
    """The part of the tensor that the index names: a view for ints, slices, None; a copy for index tensors."""
    items = _basic(self.shape, given)
    if items is not None:
        return index_view(self, items)
    if isinstance(given, Tensor) and given.ndim and self.ndim:
        if given.dtype is dtypes.int64:
            return pick_at(self, (0,), (given,), 0, True)
        if _covers(given, self) and is_plain(self, given):
            return mask_pick(self, given, ())
        if _masks_lines(given, self):
            return mask_pick(self, _over_lines(given, self).expand(self.shape), tuple(self.shape[given.ndim:]))  # fmt: skip
    parsed = _parse(self, given)
    part = index_view(self, parsed.items)
    if not parsed.advanced:
        return part
    return pick_at(
        part,
        tuple(a for a, _ in parsed.advanced),
        tuple(i for _, i in parsed.advanced),
        parsed.at,
        True,
    )


def _broadcasts(have: tuple, want: tuple) -> bool:
    return len(have) <= len(want) and all(a in (1, b) for a, b in zip(have[::-1], want[::-1]))


def _puts_all(self: Tensor, given: Tensor, value) -> bool:
    """Whether a vector has one element of the same dtype for each that a mask of the whole tensor chooses."""
    if not isinstance(value, Tensor) or value.ndim != 1 or value.dtype is not self.dtype:
        return False
    if not _covers(given, self) or not is_plain(self, given, value):
        return False
    return Chosen(given).is_within(value.shape[0], value.shape[0])


@tensor_method
def __setitem__(self, given, value):
    """Write a value (broadcast) where the index reads."""
    if isinstance(given, Tensor) and given.dtype is dtypes.bool_ and self.ndim:
        if given.ndim and _is_number(value) and _leads(given, self):
            self.masked_fill_(_over_lines(given, self), value)
            return
        if _puts_all(self, given, value):
            update(mask_put, self, given, value)
            return
    items = _basic(self.shape, given)
    parsed = _parse(self, given) if items is None else None
    items = parsed.items if items is None else items
    part = index_view(self, items) if items else self
    if parsed is None or not parsed.advanced:
        if _is_number(value) and not part.dtype.is_complex:
            part.fill_(value)
        else:
            value = _fitting(part, _as_value(part, value))
            if not _broadcasts(tuple(value.shape), tuple(part.shape)):
                raise _error(
                    f"cannot assign a value of shape {list(value.shape)} to a place of shape {list(part.shape)}",
                    "The value must broadcast: its axes are equal or 1, counted from the last.",
                    ShapeError,
                )
            update(copy, part, value)
        return
    axes, indices = tuple(a for a, _ in parsed.advanced), tuple(i for _, i in parsed.advanced)
    if not _is_number(value):
        value = _as_value(part, value)
    update(put_at, part, axes, indices, value, parsed.at, True, "set")


def _is_number(value) -> bool:
    return isinstance(value, (bool, int, float))


def _as_value(part: Tensor, value) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if _is_number(value):
        return fill_new((), part.dtype, part.device, value)
    if isinstance(value, (complex, np.generic, np.ndarray, list, tuple)):
        return tensor(value, dtype=part.dtype)
    raise ArgumentTypeError(
        f"setitem: can't assign a {type(value).__name__} to a {part.dtype.name} tensor."
    )


def _fitting(part: Tensor, value: Tensor) -> Tensor:
    """Leading axes of size one that are too many go away, as in PyTorch."""
    extra = value.ndim - part.ndim
    if extra > 0 and all(n == 1 for n in value.shape[:extra]):
        return reshape(value, tuple(value.shape[extra:]))
    return value


# ---- functions


@dynamic(where="")
def positions_of(input: Tensor) -> Tensor:
    """Where the elements are not zero: one row for each axis."""
    if not input.ndim:
        return np.empty((0, int(bool(input))), np.int64)
    return np.stack(np.nonzero(input))


@dynamic(where="")
def position_lists(input: Tensor) -> tuple[Tensor, ...]:
    """Where the elements are not zero: one vector for each axis."""
    return tuple(np.asarray(i, np.int64) for i in np.nonzero(np.atleast_1d(input)))


def _source_gradient(g, mask, source):
    """The gradient of a source of which the first elements were used."""
    found, size = mask_pick(g, mask, ()), source.shape[0]
    if found.shape[0] == size:
        return found
    chain = ((slice_dim, (0, 0, found.shape[0], 1)),)
    return scatter_view(zeros_of(found, (size,)), found, chain)


@masked(kind="pick", where="", grad_name="IndexBackward0", samples=[],
        vjp={"input": lambda g, _y, _x, mask, tail: mask_put(zeros_of(g, _x.shape), mask, reshape(g, (-1,)) if tail else g)})  # fmt: skip
def mask_pick(input: Tensor, mask: Tensor, tail) -> Tensor:
    """The elements where a mask of the same shape is true, as lines of the shape tail."""


@masked(kind="put", where="", grad_name="MaskedScatterBackward0", samples=[],
        vjp={"input": lambda g, _y, _x, mask, _s: g.masked_fill(mask, 0), "source": lambda g, _y, _x, mask, _s: _source_gradient(g, mask, _s)})  # fmt: skip
def mask_put(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """input with consecutive elements of a vector where a mask of the same shape is true."""


@composite(
    batch=none("the shape of its result depends on the values"),
    samples=[S(truth(3, 4)), S(T(5)), S(truth(0, 3)), S(truth())],
)
def nonzero(input: Tensor, *, as_tuple=False) -> Tensor:
    """The indices of the elements that are not zero: one row each, or with as_tuple one vector for each axis.

    Shapes: input (...) -> (count, axes)
    Dtypes: int64
    Source: torch.nonzero
    """
    if input.ndim in (1, 2) and is_plain(input):
        return place_lists(input) if as_tuple else places(input)
    return position_lists(input) if as_tuple else transpose(positions_of(input), 0, 1)


@composite(
    batch=none("the shape of its result depends on the values"), samples=[S(truth(3, 4)), S(T(5))]
)
def argwhere(input: Tensor) -> Tensor:
    """The indices of the elements that are not zero, one row each.

    Shapes: input (...) -> (count, axes)
    Source: torch.argwhere
    """
    if input.ndim in (1, 2) and is_plain(input):
        return places(input)
    return transpose(positions_of(input), 0, 1)


@composite(batch=none("the shape of its result depends on the values"), samples=[S(T(3, 4), truth(3, 4)), S(T(3, 4), truth(4)), S(T(4), truth(3, 4)), S(T(3), truth(1, 3))],
           errors=[(S(T(3), index(3, below=2)), DTypeError, "BoolTensor")])  # fmt: skip
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is true, as a vector.

    Shapes: input, mask broadcast -> (count,)
    Source: torch.masked_select
    """
    _require_mask(mask)
    shape = shapes.broadcast([tuple(input.shape), tuple(mask.shape)])
    if shape and is_plain(input, mask):
        return mask_pick(input.expand(shape), mask.expand(shape), ())
    found = position_lists(mask.expand(shape))
    if not shape:
        return pick_at(reshape(input, (1,)), (0,), found, 0, True)
    return pick_at(input.expand(shape), tuple(range(len(shape))), found, 0, True)


def _require_mask(mask: Tensor) -> None:
    if mask.dtype is not dtypes.bool_:
        raise Fact(
            DTypeError,
            f"expected BoolTensor for mask, got {mask.dtype.name}",
            "Compare, or use mask.bool().",
        )


@composite(inplace=True, samples=[S(T(3, 4), truth(3, 4), T(12)), S(T(3, 4), truth(4), T(12))])
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """input with consecutive elements of source where the mask is true.

    Shapes: input (...), mask broadcastable, source (...) -> (...)
    Source: torch.masked_scatter
    """
    _require_mask(mask)
    if source.dtype is not input.dtype:
        raise Fact(
            DTypeError,
            f"expected self and source to have same dtypes but got {input.dtype.name} and {source.dtype.name}",
        )
    shape = shapes.broadcast([tuple(input.shape), tuple(mask.shape)])
    if is_plain(input, mask, source):
        return mask_put(input.expand(shape), mask.expand(shape), reshape(source, (-1,)))
    mask = mask.expand(shape)
    order = reshape(mask, (-1,)).cumsum(0)
    if not STATE.stack and mask.device is not devices.meta and order.layout.numel:
        count = order[-1].item()
        if count > source.layout.numel:
            raise Fact(
                ShapeError,
                f"number of elements of source ({source.layout.numel}) < number of ones in mask ({count})",
            )
    if not source.layout.numel:
        return input.expand(shape).clone()
    # The n-th true element takes the n-th of the source: shapes do not depend on values.
    place = (order - 1).clamp(min=0, max=source.layout.numel - 1)
    values = reshape(pick_at(reshape(source, (-1,)), (0,), (place,), 0, False), shape)
    return values.where(mask, input)


def _lower_index_put(input, indices, values, accumulate=False):
    if isinstance(indices, Tensor) or not isinstance(indices, (tuple, list)):
        raise Fact(
            ArgumentTypeError, f"indices must be a tuple of Tensors, not {type(indices).__name__}"
        )
    parsed = _parse(input, tuple(slice(None) if i is None else i for i in indices))
    axes, found = tuple(a for a, _ in parsed.advanced), tuple(i for _, i in parsed.advanced)
    return put_at, (axes, found, values, parsed.at, True, "add" if accumulate else "set")


@written(lower=_lower_index_put, cast=Cast(cuda="promote"), where="mezzo Tensor",
         samples=[S(T(4, 3), (T(2, kind="index", low=1, high=2),), T(3), accumulate=True),
                  S(T(4, 3), (index(5, below=4), index(5, below=3)), T(5), True)])  # fmt: skip
def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate=False) -> Tensor:
    """input with values written (or added) at index tensors for its first axes.

    Shapes: input (n0, n1, ...), indices broadcast to (m...), values broadcastable -> (n0, n1, ...)
    Source: torch.index_put
    """
