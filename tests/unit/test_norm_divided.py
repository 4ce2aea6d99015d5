"""Batch norm in parts: few long rows, whose parts threads share, with parts that do not come out even."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo

RNG = np.random.default_rng(11)
CASES = [
    ((7, 3, 96, 71), "channels_last"),
    ((7, 3, 96, 71), "contiguous_format"),
    ((5, 70, 23, 29), "channels_last"),
    ((3, 1, 210, 211), "contiguous_format"),
    ((1201, 130), "contiguous_format"),
    ((9, 2, 3, 60, 47), "contiguous_format"),
]


def run(frame, arrays, order: str, dtype: str, has_weight: bool):
    """(result, running statistics, gradients) of one call."""
    x, g, w, b = (frame.tensor(a) for a in arrays)
    kept = "float64" if dtype == "float64" else "float32"
    x, g = (
        t.to(getattr(frame, dtype)).to(memory_format=getattr(frame, order))
        if t.ndim == 4
        else t.to(getattr(frame, dtype))
        for t in (x, g)
    )
    w, b = (t.to(getattr(frame, kept)) for t in (w, b))
    leaves = [x, w, b] if has_weight else [x]
    for leaf in leaves:
        leaf.requires_grad_()
    mean, var = (make(w.shape[0], dtype=w.dtype) for make in (frame.zeros, frame.ones))
    given = (w, b) if has_weight else (None, None)
    y = frame.nn.functional.batch_norm(x, mean, var, *given, training=True)
    grads = frame.autograd.grad(y, leaves, g)
    return [t.detach() for t in (y, mean, var, *grads)]


def arrays_for(shape):
    x = RNG.standard_normal(shape) * 2 + 30
    return x, RNG.standard_normal(shape), *RNG.standard_normal((2, shape[1]))


@pytest.mark.parametrize("shape, order", CASES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_values_and_gradients(shape, order, dtype):
    x, *rest = arrays_for(shape)
    stored = torch.tensor(x).to(getattr(torch, dtype)).double().numpy()
    arrays = stored, *rest
    bound = 2e-5 if dtype == "float32" else 1e-2
    for has_weight in (True, False):
        found = run(mezzo, arrays, order, dtype, has_weight)
        expected = run(torch, arrays, order, "float64", has_weight)
        for ours, theirs in zip(found, expected):
            theirs = theirs.numpy()
            scale = np.abs(theirs).max()
            np.testing.assert_allclose(ours.double().numpy(), theirs, 0, bound * scale)
        assert found[0].stride() == expected[0].stride()
        assert found[3].stride() == expected[3].stride()


@pytest.mark.parametrize("shape, order", CASES[:4])
def test_bits_do_not_depend_on_threads(shape, order):
    before, arrays, found = mezzo.get_num_threads(), arrays_for(shape), []
    try:
        for threads in (1, 2, 3):
            mezzo.set_num_threads(threads)
            found.append([t.numpy() for t in run(mezzo, arrays, order, "float32", True)])
    finally:
        mezzo.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_array_equal(a, b)


def test_a_compiled_call_has_the_same_bits():
    x, _, w, b = (mezzo.tensor(a).float() for a in arrays_for((5, 70, 23, 29)))
    x = x.to(memory_format=mezzo.channels_last)

    def norm(x):
        return mezzo.nn.functional.batch_norm(x, None, None, w, b, training=True)

    np.testing.assert_array_equal(mezzo.compile(norm)(x).numpy(), norm(x).numpy())


def test_second_derivatives_of_long_rows():
    x, g, w, b = arrays_for((5, 3, 96, 96))
    found = []
    for frame in (mezzo, torch):
        leaf = frame.tensor(x).to(memory_format=frame.channels_last).requires_grad_()
        weight = frame.tensor(w).requires_grad_()
        y = frame.nn.functional.batch_norm(leaf, None, None, weight, frame.tensor(b), True)
        (dx,) = frame.autograd.grad(y, leaf, frame.tensor(g), create_graph=True)
        found.append([t.numpy() for t in frame.autograd.grad((dx * dx).sum(), [leaf, weight])])
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, 1e-6, 1e-9)
