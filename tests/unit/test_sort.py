"""Orders against PyTorch's stable sort: ties, both zeros, infinities, NaNs of either sign, every dtype."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo


def values(rng, shape, dtype: str) -> np.ndarray:
    if dtype == "uint8":
        return rng.integers(0, 9, shape).astype(dtype)
    x = (rng.integers(-5, 5, shape) / 2).astype(dtype)
    if dtype.startswith("float"):
        for start, value in enumerate((np.nan, -0.0, np.inf, -np.inf, -np.nan)):
            x.flat[start :: 11 + 2 * start] = value
    elif dtype in ("int32", "int64"):
        x.flat[0], x.flat[-1] = np.iinfo(dtype).min, np.iinfo(dtype).max
    return x


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8"]
)
@pytest.mark.parametrize(
    "shape,dim", [((7, 50), 1), ((7, 50), 0), ((90, 1000), 1), ((3, 4, 5), 1), ((1, 70000), 1)]
)
@pytest.mark.parametrize("descending", [False, True])
def test_stable_order(dtype, shape, dim, descending):
    x = values(np.random.default_rng(len(dtype)), shape, dtype)
    expected, places = torch.from_numpy(x).sort(dim=dim, descending=descending, stable=True)
    ours = mezzo.from_numpy(x).sort(dim=dim, descending=descending, stable=True)
    assert (ours.indices.numpy() == places.numpy()).all()
    np.testing.assert_array_equal(ours.values.numpy(), expected.numpy())
    first = mezzo.from_numpy(x).topk(3, dim, largest=descending)
    np.testing.assert_array_equal(first.values.numpy(), expected.narrow(dim, 0, 3).numpy())
    np.testing.assert_array_equal(
        mezzo.from_numpy(x).gather(dim, first.indices).numpy(), first.values.numpy()
    )


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "int8"])
@pytest.mark.parametrize("shape,k", [((90, 1000), 1), ((70, 1024), 10), ((3, 70001), 40), ((5, 160), 10)])  # fmt: skip
@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("what", ["ties", "one value", "different", "one NaN"])
def test_few_of_many(dtype, shape, k, largest, what):
    """Where a bound is looked for first: the values of PyTorch, at the first places that have them."""
    rng = np.random.default_rng(k)
    x = rng.integers(-100, 100, shape).astype(dtype)
    if what == "one value":
        x[...] = 3
    elif what != "ties" and dtype.startswith("float"):
        x = rng.standard_normal(shape).astype(dtype)
        if what == "one NaN":
            x[1, 77] = np.nan
    expected, places = torch.from_numpy(x).sort(dim=1, descending=largest, stable=True)
    found = mezzo.from_numpy(x).topk(k, 1, largest=largest)
    np.testing.assert_array_equal(found.values.numpy(), expected[:, :k].numpy())
    np.testing.assert_array_equal(found.indices.numpy(), places[:, :k].numpy())


def test_threads_share_lines():
    rng = np.random.default_rng(0)
    x = mezzo.from_numpy(rng.integers(0, 1000, (1031, 700)).astype(np.float32))
    before, found = mezzo.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            mezzo.set_num_threads(threads)
            found.append([x.argsort(1).numpy(), x.topk(7).indices.numpy(), x.argsort(0).numpy()])
    finally:
        mezzo.set_num_threads(before)
    assert all((a == b).all() for other in found[1:] for a, b in zip(found[0], other))
    assert (found[0][0] == np.argsort(x.numpy(), 1, kind="stable")).all()
