"""Short lines, ranked by a kernel: places as in PyTorch's stable sort, medians as PyTorch's, on every target."""

from __future__ import annotations

import lowered
import numpy as np
import pytest
import torch

import mezzo
from mezzo.core.record import REGISTRY

DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")  # fmt: skip


def _values(shape, name: str) -> torch.Tensor:
    rng = np.random.default_rng(shape[-1])
    x = torch.from_numpy(rng.integers(0 if name in ("uint8", "bool") else -6, 7, shape) / 2.0)
    if "float" in name:
        for start, value in enumerate((np.nan, -0.0, np.inf, -np.inf)):
            x.view(-1)[start + 1 :: 13 + 2 * start] = value
    made = x.to(getattr(torch, name))
    if name.startswith("int"):
        limits = torch.iinfo(made.dtype)
        made.view(-1)[0], made.view(-1)[-1] = limits.max, limits.min
    return made


def _ours(x: torch.Tensor) -> mezzo.Tensor:
    if x.dtype is torch.bfloat16:
        return mezzo.from_numpy(x.float().numpy()).to(mezzo.bfloat16)
    return mezzo.from_numpy(x.numpy())


def _plan(name: str, x: mezzo.Tensor, *parameters):
    return REGISTRY[name].plan((x, *parameters))


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape,dim", [((5, n), 1) for n in (1, 2, 15, 16, 17, 33, 64)]
                         + [((3, 17, 5), 1), ((20, 2, 3), 0), ((2, 300), 1), ((2, 512), 1)])  # fmt: skip
def test_places_are_those_of_a_stable_sort(name, shape, dim):
    x = _values(shape, name)
    ours = _ours(x)
    assert _plan("order_of", ours, dim, False).launch is not None
    for descending in (False, True):
        places = x.sort(dim=dim, descending=descending, stable=True).indices
        for given in (ours, _ours(x.transpose(0, 1).contiguous()).transpose(0, 1)):
            assert (given.argsort(dim, descending).numpy() == places.numpy()).all()
        if name == "bool":
            continue
        few = min(3, shape[dim])
        found = ours.topk(few, dim, largest=descending).indices
        assert (found.numpy() == places.narrow(dim, 0, few).numpy()).all()


@pytest.mark.parametrize("name", [n for n in DTYPES if n != "bool"])
@pytest.mark.parametrize(
    "shape,dim", [((4, 65), 1), ((2, 210), 1), ((3, 100, 5), 1), ((130, 18), 0)]
)
def test_the_few_first_of_long_lines(name, shape, dim):
    x = _values(shape, name)
    ours, across = _ours(x), _ours(x.transpose(0, 1).contiguous()).transpose(0, 1)
    for largest in (False, True):
        places = x.sort(dim=dim, descending=largest, stable=True).indices
        for k in (1, 7, 16, 17, 33, 64):
            assert _plan("best_of", ours, k, dim, largest, True).launch is not None
            for given in (ours, across):
                found = given.topk(k, dim, largest=largest)
                assert (found.indices.numpy() == places.narrow(dim, 0, k).numpy()).all()
                values = x.gather(dim, places.narrow(dim, 0, k)).double().numpy()
                np.testing.assert_array_equal(found.values.double().numpy(), values)
    places = x.sort(dim=dim, stable=True).indices
    for k in (1, 30, 64, 65):
        assert (ours.kthvalue(k, dim).indices.numpy() == places.select(dim, k - 1).numpy()).all()


def test_the_few_first_of_ordered_lines():
    """Every element of a rising line is put into the list, none of a falling one."""
    for x in (torch.arange(5000.0), torch.arange(5000.0).flip(0), torch.zeros(5000)):
        for k in (1, 10, 64):
            found = _ours(x).topk(k)
            expected = x.sort(descending=True, stable=True).indices[:k]
            assert (found.indices.numpy() == expected.numpy()).all()


@pytest.mark.parametrize("name", ("float32", "float64", "int32"))
@pytest.mark.parametrize("n", (1, 2, 16, 31))
def test_medians(name, n):
    x = _values((9, n), name)
    for ours, theirs in ((mezzo.median, torch.median), (mezzo.nanmedian, torch.nanmedian)):
        found, expected = ours(_ours(x), 1), theirs(x, 1)
        np.testing.assert_array_equal(found.values.numpy(), expected.values.numpy())
        picked = np.take_along_axis(x.numpy(), found.indices.numpy()[:, None], 1)[:, 0]
        np.testing.assert_array_equal(picked, expected.values.numpy())
    assert _plan("middle_of", _ours(x), 1, False).launch is not None


def test_threads_share_many_lines():
    x = mezzo.from_numpy(np.random.default_rng(0).integers(0, 30, (4000, 40)).astype(np.float32))
    before, found = mezzo.get_num_threads(), []
    try:
        for threads in (1, 3):
            mezzo.set_num_threads(threads)
            found.append(x.argsort(1).numpy())
    finally:
        mezzo.set_num_threads(before)
    expected = np.argsort(x.numpy(), 1, kind="stable")
    assert all((places == expected).all() for places in found)


@pytest.mark.parametrize("label", ["native", "avx512", "avx2", "plain"])
def test_lower_targets(label):
    """The same tests on what lesser processors run, in memory that ends at pages which fault on access."""
    lowered.run_again(__file__, label)
