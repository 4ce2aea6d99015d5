"""What must hold of every operation, told from the operation alone: no second framework is asked.

Each check takes an operation and the arguments of one call and raises AssertionError where it does not hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from mezzo import dtypes
from mezzo.autograd import grad
from mezzo.compiler import trace
from mezzo.core.tensor import Tensor
from mezzo.func.vmap import vmap
from mezzo.ops.create import ones_like
from mezzo.ops.data import from_array
from mezzo.testing.comparison import assert_close
from mezzo.testing.gradients import gradcheck, gradgradcheck
from mezzo.testing.trees import is_differentiable, mapped, replaced, tensors


class Call:
    """An operation and arguments; calling it with other tensors in their place runs it."""

    def __init__(self, op: Callable, args: Sequence, kwargs: dict | None = None):
        self.op, self.tree = op, (tuple(args), dict(kwargs or {}))
        self.tensors = tensors(self.tree)

    def __call__(self, *new: Tensor):
        args, kwargs = replaced(self.tree, new)
        return self.op(*args, **kwargs)


def plain(tree):
    """Results as detached tensors of their own, in plain tuples."""
    if isinstance(tree, (tuple, list)):
        return tuple(plain(v) for v in tree)
    return tree.detach() if isinstance(tree, Tensor) else tree


def same(actual, expected, what: str, **options) -> None:
    """assert_close of results, NaN equal to NaN, with what was compared in the message."""
    try:
        assert_close(plain(actual), plain(expected), equal_nan=True, **options)
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from None


# ---- memory


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach()._array()


def in_columns(tensor: Tensor) -> Tensor:
    """The same values with the axes in the reverse order in memory."""
    return from_array(np.array(_array(tensor), order="F"))


def with_gaps(tensor: Tensor) -> Tensor:
    """The same values with an unused element after each, starting at an offset."""
    array = _array(tensor)
    wide = np.full((*array.shape, 2), 99, array.dtype)
    wide[..., 1] = array
    return from_array(wide[..., 1])


def expanded(tensor: Tensor) -> Tensor:
    """The first row for every row, with a stride of zero."""
    if not tensor.ndim or not tensor.layout.numel:
        return tensor.detach()
    return tensor.detach().select(0, 0).unsqueeze(0).expand(tuple(tensor.shape))


def channels_last(tensor: Tensor) -> Tensor:
    """The same values with the second of four axes innermost in memory."""
    if tensor.ndim != 4:
        return tensor.detach()
    return from_array(
        np.ascontiguousarray(_array(tensor).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    )


LAYOUTS = {
    "channels last": channels_last,
    "columns": in_columns,
    "gaps": with_gaps,
    "expanded": expanded,
}


def check_strides(op: Callable, args: Sequence, kwargs: dict | None = None) -> None:
    """The result does not depend on how the inputs lie in memory."""
    call = Call(op, args, kwargs)
    for name, arrange in LAYOUTS.items():
        if arrange is channels_last and all(t.ndim != 4 for t in call.tensors):
            continue
        moved = [arrange(t) for t in call.tensors]
        dense = [from_array(np.array(_array(t), order="C")) for t in moved]
        same(call(*moved), call(*dense), f"inputs in memory as {name}", check_stride=False)


# ---- transforms


def reversed_values(tensor: Tensor) -> Tensor:
    """Other values of the same kind: all axes turned round (a valid index or positive matrix stays one)."""
    flat = _array(tensor).ravel()
    return from_array(np.ascontiguousarray(flat[::-1]).reshape(tensor.shape))


def stacked(values: Sequence[Tensor]) -> Tensor:
    """Tensors joined along a new first axis."""
    return from_array(np.stack([_array(t) for t in values]))


def subsets(count: int) -> list[tuple[int, ...]]:
    """Which operands carry the batch: every choice for up to three, else each alone and all together."""
    if count <= 3:
        sizes = range(1, count + 1)
        return [c for size in sizes for c in itertools.combinations(range(count), size)]
    return [*((i,) for i in range(count)), tuple(range(count))]


def check_vmap(op: Callable, args: Sequence, kwargs: dict | None = None) -> None:
    """vmap equals a loop for every choice of batched operands, and two of them nest."""
    call = Call(op, args, kwargs)
    first = [t.detach() for t in call.tensors]
    other = [reversed_values(t) for t in first]
    for chosen in subsets(len(first)):
        dims = tuple(0 if i in chosen else None for i in range(len(first)))
        batch = [
            stacked((a, b)) if i in chosen else a for i, (a, b) in enumerate(zip(first, other))
        ]
        second = [b if i in chosen else a for i, (a, b) in enumerate(zip(first, other))]
        expected = _stacked_results([call(*first), call(*second)])
        same(vmap(_as_tuple(call), in_dims=dims)(*batch), expected, f"vmap with in_dims {dims}")
    if first:
        batch = [stacked((a, b)) for a, b in zip(first, other)]
        twice = [stacked((b, b)) for b in batch]
        expected = _stacked_results([_stacked_results([call(*first), call(*other)])] * 2)
        same(vmap(vmap(_as_tuple(call)))(*twice), expected, "vmap of vmap")


def _as_tuple(function: Callable) -> Callable:
    def run(*values):
        found = function(*values)
        return tuple(found) if isinstance(found, (tuple, list)) else (found,)

    return run


def _stacked_results(results: Sequence) -> tuple:
    many = [tuple(r) if isinstance(r, (tuple, list)) else (r,) for r in results]
    return tuple(stacked(values) for values in zip(*many))


def check_trace(op: Callable, args: Sequence, kwargs: dict | None = None) -> None:
    """The traced program gives what the call gives, forward and backward."""
    call = Call(op, args, kwargs)
    values = [t.detach() for t in call.tensors]
    # Bit for bit: the program makes the same calls on the same layouts.
    same(trace(call, *values)(*values), call(*values), "traced", rtol=0, atol=0)
    # Those of the tensors that ask; all where none does.
    some = any(t.requires_grad for t in call.tensors)
    asking = [_asking(t) if t.requires_grad or not some else t.detach() for t in call.tensors]
    if not any(is_differentiable(o) and o.requires_grad for o in tensors(call(*asking))):
        return
    backward = _backward(call)
    expected = backward(*asking)
    same(trace(backward, *asking)(*values), expected, "traced with its gradient")


def _asking(tensor: Tensor) -> Tensor:
    made = tensor.detach()
    return made.requires_grad_() if is_differentiable(made) else made


def _backward(call: Call) -> Callable:
    """The gradients of a call by every input that asks, as a function of the inputs."""

    def run(*values):
        outs = [o for o in tensors(call(*values)) if is_differentiable(o) and o.requires_grad]
        inputs = [v for v in values if v.requires_grad]
        seeds = [ones_like(o) for o in outs]
        return tuple(grad(outs, inputs, seeds, allow_unused=True, materialize_grads=True))

    return run


def check_meta(op: Callable, args: Sequence, kwargs: dict | None = None) -> None:
    """On device "meta" the result has the shape, strides and dtype that it has with values."""
    call = Call(op, args, kwargs)
    values = [t.detach() for t in call.tensors]
    real, meta = tensors((call(*values),)), tensors((call(*[v.to("meta") for v in values]),))
    have = [(tuple(t.shape), t.layout.strides, t.dtype) for t in real]
    got = [(tuple(t.shape), t.layout.strides, t.dtype) for t in meta]
    assert got == have, f"on meta the layouts are {got}; with values they are {have}"
    stray = [t.device for t in meta if t.device.type != "meta"]
    assert not stray, f"from inputs on meta came a result on {stray[0]}"


# ---- derivatives


def _doubles(tree):
    def double(tensor: Tensor) -> Tensor:
        if not is_differentiable(tensor):
            return tensor
        made = from_array(np.array(_array(tensor), dtype=np.float64, order="C"))
        return made.requires_grad_() if tensor.requires_grad else made

    return mapped(double, tree)


def check_gradient(op: Callable, args: Sequence, kwargs: dict | None = None) -> None:
    """First and second derivatives equal finite differences, in float64, for the inputs that require grad."""
    call = Call(op, *_doubles((tuple(args), dict(kwargs or {}))))

    def doubles(*values):
        # What the call itself rounds to a smaller dtype has no finite differences.
        found = [o for o in tensors(call(*values)) if o.dtype is dtypes.float64 and o.requires_grad]
        return tuple(found)

    if doubles(*call.tensors):
        gradcheck(doubles, call.tensors, fast_mode=True)
        gradgradcheck(doubles, call.tensors, fast_mode=True)


def check_inputs_kept(op: Callable, args: Sequence, kwargs: dict | None = None) -> None:
    """The call leaves its inputs' values alone, and says the same twice."""
    call = Call(op, args, kwargs)
    values = [t.detach() for t in call.tensors]
    before = [_array(t).copy() for t in values]
    first = mapped(lambda t: from_array(_array(t).copy()), call(*values))
    for number, (tensor, kept) in enumerate(zip(values, before)):
        unchanged = np.array_equal(
            _array(tensor), kept, equal_nan=tensor.dtype.category == dtypes.FLOAT
        )
        assert unchanged, f"input {number} was changed by the call"
    same(call(*values), first, "the same call again", rtol=0, atol=0)
