"""repr of tensors against PyTorch's, character by character."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo

_RNG = np.random.default_rng(0)
ARRAYS = {
    "scalar": np.array(5.0),
    "short": np.array([1.0, 2.0]),
    "matrix": _RNG.standard_normal((3, 4)),
    "large values": _RNG.standard_normal((2, 3, 4)) * 1e5,
    "summarised": _RNG.standard_normal((50, 60)),
    "many ints": np.arange(2000),
    "empty": np.zeros((0, 3)),
    "empty vector": np.zeros(0),
    "truth": np.array([True, False]),
    "small and large": np.array([1e-5, 1.0]),
    "not finite": np.array([np.nan, 1, np.inf]),
    "not finite, fractions": np.array([np.nan, 1.5, -np.inf]),
    "int32": _RNG.integers(0, 100, (3, 3)).astype("i4"),
    "long line": np.arange(30.0),
    "billions": np.array([1e9, 1.0]),
    "ratio above 1000": np.array([0.1, 1000.5]),
    "complex": np.array([1 + 2j, 3 - 1j]),
    "tiny": np.array(1e-7),
    "empty ints": np.zeros((2, 0, 3), "i8"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_prints_as_pytorch(name):
    array = ARRAYS[name]
    kinds = [array, array.astype("f4"), array.astype("f8")] if array.dtype.kind == "f" else [array]
    for x in kinds:
        assert repr(mezzo.tensor(x)).replace("mezzo.", "torch.") == repr(torch.tensor(x))


def test_says_how_it_was_made():
    x = mezzo.tensor([1.0, 2.0], requires_grad=True)
    t = torch.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == repr(t)
    assert repr(x * 2) == repr(t * 2)
    assert repr(mezzo.zeros(2, 3, device="meta")) == repr(torch.zeros(2, 3, device="meta"))
