"""Random shapes, strides and dtypes through the engine, against NumPy. Run by test_fuzz.py, with guard pages.

    MEZZO_GUARD=1 python tests/ops/fuzz.py [examples]

Every tensor here lies in memory of the allocator that ends at a page which faults on access: a kernel that
reads or writes past its buffer ends the process.
"""

from __future__ import annotations

import faulthandler
import sys

import ml_dtypes
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mezzo
from mezzo.ops.data import from_array

FLOATS = (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)
INTEGERS = (np.int64, np.int32, np.int16, np.int8, np.uint8)
SIZES = st.one_of(st.integers(0, 6), st.sampled_from((1, 7, 8, 15, 16, 17, 31, 33, 64, 70, 130)))


class Both:
    """The same values in NumPy and in a mezzo tensor of its own memory."""

    def __init__(self, array, tensor=None):
        self.array = array
        self.tensor = (
            from_array(np.ascontiguousarray(array).reshape(array.shape)).clone()
            if tensor is None
            else tensor
        )

    def step(self, data, expanding: bool) -> Both:
        """A random view of both."""
        rank = self.array.ndim
        kinds = (
            ["unsqueeze"] + ["transpose", "slice", "select"] * (rank > 0) + ["expand"] * expanding
        )
        kind = data.draw(st.sampled_from(kinds))
        if kind == "unsqueeze":
            at = data.draw(st.integers(0, rank))
            return Both(np.expand_dims(self.array, at), self.tensor.unsqueeze(at))
        if kind == "expand":
            count = data.draw(st.integers(1, 3))
            shape = (count, *self.array.shape)
            return Both(np.broadcast_to(self.array, shape), self.tensor.expand(shape))
        axis = data.draw(st.integers(0, rank - 1))
        size = self.array.shape[axis]
        if kind == "transpose":
            other = data.draw(st.integers(0, rank - 1))
            return Both(self.array.swapaxes(axis, other), self.tensor.transpose(axis, other))
        if kind == "select" and size:
            at = data.draw(st.integers(-size, size - 1))
            one = self.array[_at(axis, slice(at % size, at % size + 1))].squeeze(
                axis
            )  # a view even if 0-d
            return Both(one, self.tensor.select(axis, at))
        start = data.draw(st.integers(0, size))
        stop = data.draw(st.integers(start, size))
        part = _at(axis, slice(start, stop, data.draw(st.integers(1, 3))))
        return Both(self.array[part], self.tensor[part])


def _at(axis: int, what) -> tuple:
    return (*[slice(None)] * axis, what)


def values(data, shape, dtype) -> np.ndarray:
    """Small numbers: sums of them are exact in float32, and integers wrap seldom but do."""
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    if np.dtype(dtype).kind in "iu":
        low = 0 if np.dtype(dtype).kind == "u" else -100
        return rng.integers(low, 100, shape).astype(dtype)
    return (rng.integers(-64, 64, shape) / 8).astype(dtype)


def drawn(data, dtypes=(*FLOATS, *INTEGERS), shape=None, expanding=True) -> Both:
    """A random view of random numbers."""
    shape = tuple(data.draw(st.lists(SIZES, max_size=3))) if shape is None else shape
    both = Both(values(data, shape, data.draw(st.sampled_from(dtypes))))
    for _ in range(data.draw(st.integers(0, 3))):
        both = both.step(data, expanding)
    return both


def other_for(data, x: Both) -> Both:
    """An operand of the same dtype that broadcasts against x."""
    shape = [1 if data.draw(st.booleans()) else n for n in x.array.shape]
    shape = shape[data.draw(st.integers(0, len(shape))) :]
    y = Both(values(data, tuple(shape), x.array.dtype))
    if len(shape) > 1 and data.draw(st.booleans()):  # stored in the reverse order of its axes
        tensor = (
            from_array(np.ascontiguousarray(y.array.T))
            .clone()
            .permute(tuple(reversed(range(len(shape)))))
        )
        return Both(y.array, tensor)
    return y


def same(tensor, array, what: str, rtol: float = 0.0) -> None:
    """Fail unless shapes, dtypes and values agree."""
    assert tuple(tensor.shape) == array.shape, (
        f"{what}: shape {tuple(tensor.shape)} instead of {array.shape}"
    )
    got = tensor.numpy()
    assert got.dtype == array.dtype, f"{what}: {got.dtype} instead of {array.dtype}"
    wide = [a.astype(np.float64) if a.dtype.kind not in "iub" else a for a in (got, array)]
    assert np.allclose(*wide, rtol=rtol, atol=rtol, equal_nan=True), (
        f"{what}: {got} instead of {array}"
    )


def wide(array: np.ndarray) -> np.ndarray:
    """What the engine computes in."""
    return array.astype(np.float32) if array.dtype in (np.float16, ml_dtypes.bfloat16) else array


@given(st.data())
def maps(data):
    """Two operands of any layout, in and out of place."""
    x = drawn(data)
    y = other_for(data, x)
    with np.errstate(all="ignore"):
        for name, ufunc in (("add", np.add), ("mul", np.multiply), ("maximum", np.maximum)):
            want = ufunc(wide(x.array), wide(y.array)).astype(x.array.dtype)
            same(getattr(mezzo, name)(x.tensor, y.tensor), want, name)
        same(x.tensor < y.tensor, x.array < y.array, "lt")
        same(
            mezzo.where(x.tensor < y.tensor, x.tensor, y.tensor),
            np.where(x.array < y.array, x.array, y.array),
            "where",
        )


@given(st.data())
def reductions(data):
    """Any axes of any layout."""
    x = drawn(data)
    rank = x.array.ndim
    axes = tuple(data.draw(st.sets(st.integers(0, rank - 1)))) if rank else ()
    keep = data.draw(st.booleans())
    axes = axes or None
    inexact = x.array.dtype.kind not in "iu"
    total = x.array.astype(np.float64 if inexact else np.int64).sum(axes, keepdims=keep)
    same(
        mezzo.sum(x.tensor, axes, keep),
        np.asarray(total).astype(x.array.dtype if inexact else np.int64),
        "sum",
        2e-3 * inexact,
    )
    sizes = [x.array.shape[a] for a in (range(rank) if axes is None else axes)]
    if all(sizes):
        same(
            mezzo.amax(x.tensor, axes or (), keep),
            np.asarray(wide(x.array).max(axes, keepdims=keep)).astype(x.array.dtype),
            "amax",
        )
        if rank:
            axis = data.draw(st.integers(0, rank - 1))
            if x.array.shape[axis]:
                same(mezzo.argmax(x.tensor, axis), wide(x.array).argmax(axis), "argmax")


@given(st.data())
def copies(data):
    """Any layout into any other dtype and into contiguous memory."""
    x = drawn(data)
    to = data.draw(st.sampled_from((*FLOATS, np.int64, np.int32)))
    same(x.tensor.contiguous(), x.array, "contiguous")
    same(x.tensor.to(mezzo.dtypes.from_numpy(to)), wide(x.array).astype(to), "to")
    same(
        mezzo.cat([x.tensor.unsqueeze(0), x.tensor.unsqueeze(0)]),
        np.stack([x.array, x.array]),
        "cat",
    )
    same(x.tensor.reshape(-1), x.array.reshape(-1), "reshape")
    same(x.tensor.flip(tuple(range(x.array.ndim))), np.flip(x.array), "flip")


@given(st.data())
def writes(data):
    """Into a view: nothing beside it changes."""
    shape = tuple(data.draw(st.lists(SIZES, min_size=1, max_size=3)))
    base = Both(values(data, shape, data.draw(st.sampled_from((*FLOATS, *INTEGERS)))))
    view = base
    for _ in range(data.draw(st.integers(0, 3))):
        view = view.step(data, expanding=False)
    y = other_for(data, view)
    with np.errstate(all="ignore"):
        view.array[...] = (wide(view.array) + wide(y.array)).astype(view.array.dtype)
    view.tensor.add_(y.tensor)
    same(base.tensor, base.array, "add_ into a view")
    view.array[...] = y.array
    view.tensor.copy_(y.tensor)
    same(base.tensor, base.array, "copy_ into a view")


@given(st.data())
def products(data):
    """Matrices of any size and order in memory."""
    m, k, n = (data.draw(SIZES) for _ in range(3))
    dtype = data.draw(st.sampled_from(FLOATS))
    a, b = Both(values(data, (m, k), dtype)), Both(values(data, (k, n), dtype))
    want = a.array.astype(np.float64) @ b.array.astype(np.float64)
    if data.draw(st.booleans()):
        a = Both(a.array, a.tensor.transpose(0, 1).contiguous().transpose(0, 1))
    if data.draw(st.booleans()):
        b = Both(b.array, b.tensor.transpose(0, 1).contiguous().transpose(0, 1))
    got = a.tensor @ b.tensor
    assert tuple(got.shape) == want.shape, f"matmul: {got.shape}"
    step = float(ml_dtypes.finfo(dtype).eps)
    gap = np.abs(got.numpy().astype(np.float64) - want)
    assert (gap <= 2 * step * (np.abs(want) + 64)).all(), (
        f"matmul of {m}x{k}x{n} in {dtype}: off by {gap.max()}"
    )


@given(st.data())
def indices(data):
    """Gathers by index and by mask."""
    x = drawn(data, shape=tuple(data.draw(st.lists(SIZES, min_size=1, max_size=3))))
    if not x.array.ndim or not x.array.shape[0]:
        return
    picked = np.asarray(
        data.draw(st.lists(st.integers(0, x.array.shape[0] - 1), max_size=9)), dtype=np.int64
    )
    index = from_array(picked).clone()
    same(mezzo.index_select(x.tensor, 0, index), x.array[picked], "index_select")
    same(x.tensor[index], x.array[picked], "index")
    with np.errstate(all="ignore"):
        mask = wide(x.array) > 0
    same(x.tensor[x.tensor > 0], x.array[mask], "mask")


def main(examples: int) -> None:
    """Every property, with the same examples each time."""
    faulthandler.enable()
    for run in (maps, reductions, copies, writes, products, indices):
        settings(
            max_examples=examples, derandomize=True, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        )(run)()  # fmt: skip
        print(run.__name__, "held")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
