"""Known calls that look at values: sizes that differ from turn to turn, numbers, and conditions that fail, against PyTorch."""

from __future__ import annotations

import gc

import lowered
import numpy as np
import pytest
import torch

import mezzo
from mezzo.core.short import offers
from mezzo.kernels.cpu import memory

TRUE = (0.5, 0.0, 1.0, 0.1, 0.9, 0.5, 0.3, 0.0)  # how much of the masks: a turn each
CALLS = {
    "nonzero": lambda m, x, k, r, i: (m.nonzero(k), m.nonzero(r), m.nonzero(x.round(), as_tuple=True)),
    "where": lambda m, x, k, r, i: (m.where(k), m.argwhere(r)),
    "index": lambda m, x, k, r, i: (x[k], x[r], x.double()[k], x.half()[r], k[k], i[i > 3]),
    "masked_select": lambda m, x, k, r, i: (m.masked_select(x, k), m.masked_select(x, r[:, None])),
    "masked_scatter": lambda m, x, k, r, i: x.masked_scatter(k, m.arange(40).float()),
    "unique": lambda m, x, k, r, i: (m.unique(i), m.unique(i, return_inverse=True, return_counts=True)),
    "unique_consecutive": lambda m, x, k, r, i: m.unique_consecutive(i, return_inverse=True, return_counts=True),
    "bincount": lambda m, x, k, r, i: (m.bincount(i), m.bincount(i, minlength=12), m.bincount(r.long())),
    "isin": lambda m, x, k, r, i: (m.isin(i, i[2:4]), m.isin(x, x[k][:3], invert=True)),
    "repeat_interleave": lambda m, x, k, r, i: m.repeat_interleave(x, i[:5], 0),
    "one_hot": lambda m, x, k, r, i: m.nn.functional.one_hot(i, 9),
    "numbers": lambda m, x, k, r, i: (m.equal(x, x + k), m.allclose(x, x * 1), i[0].item(), x[0, 0].item(), k[0, 0].item(),
                                      x.double()[0, 0].item(), (-i).to(m.int8)[0].item(), x.half()[0, 0].item()),
    "conversions": lambda m, x, k, r, i: (int(i[1]), float(i[1]), bool(i[0]), float(x[0, 1]), int(x[0, 1]), bool(x[0, 0]),
                                          int(k[1, 1]), float(k[1, 1]), bool(k[1, 1]), f"{x[0, 0]:.3f}"),
    "in place": lambda m, x, k, r, i: _written(m, x, k, r),
    "gradients": lambda m, x, k, r, i: _gradients(m, x, k, r),
}  # fmt: skip


def _written(m, x, k, r):
    lines, elements, chosen = x.clone(), x.clone(), x.clone()
    lines[r] = 0.5
    elements[k] = -1
    chosen[k] = m.arange(int(k.sum())).float()
    return lines, elements, chosen, [t._version for t in (lines, elements, chosen)]


def _gradients(m, x, k, r):
    x = x.clone().requires_grad_()
    (x[k].pow(2).sum() + (x[r] * 2).sum() + m.masked_select(x, k).exp().sum()).backward()
    return x.grad


def _same(got, expected):
    if isinstance(got, mezzo.Tensor):
        assert str(got.dtype).split(".")[1] == str(expected.dtype).split(".")[1]
        assert got.stride() == expected.stride()
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-6, strict=True)
    elif isinstance(got, (tuple, list)):
        assert len(got) == len(expected)
        for one, other in zip(got, expected):
            _same(one, other)
    else:
        assert (type(got), got) == (type(expected), expected)


@pytest.mark.parametrize("name", CALLS)
def test_turns(name):
    draw = np.random.default_rng(len(name))
    for share in TRUE:
        data = (draw.standard_normal((5, 7)).astype(np.float32), draw.random((5, 7)) < share, draw.random(5) < share,
                draw.integers(0, 8, 6))  # fmt: skip
        got, expected = (CALLS[name](m, *map(m.tensor, data)) for m in (mezzo, torch))
        _same(got, expected)


def test_they_are_known():
    """What is compared above is the short way."""
    x = mezzo.randn(5, 7)
    for call in (mezzo.nonzero, mezzo.unique, lambda x: mezzo.masked_select(x, x > 0)):
        for _ in range(3):
            call(x)
    for record in (mezzo.nonzero, mezzo.unique, mezzo.masked_select):
        hits = offers.native.field(record.short, offers.w.HITS)
        before = hits.value
        record(x, x > 0) if record is mezzo.masked_select else record(x)
        assert hits.value == before + 1


def test_memory_is_counted_and_returned():
    x = mezzo.randn(50, 9)
    for _ in range(3):
        x[x > 0]
    gc.collect()  # what other tests left
    before = memory.memory_allocated()
    kept = [x[x > 0.1 * i] for i in range(-20, 20)]
    assert memory.memory_allocated() - before >= sum(t.nbytes for t in kept)
    del kept
    assert memory.memory_allocated() == before


def test_what_was_learned_from_is_let_go():
    """At once: large operands must not wait for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        before = memory.memory_allocated()
        for _ in range(3):
            x = mezzo.ones(123, 457, requires_grad=True)
            (x[1:9] * x[3]).relu().sum().backward()
            x.detach()[x > 0]
        del x
        assert memory.memory_allocated() - before < 123 * 457 * 4
    finally:
        gc.enable()


FAILING = [
    (RuntimeError, lambda i: mezzo.nn.functional.one_hot(mezzo.tensor([1, i]), 3)),
    (RuntimeError, lambda i: mezzo.multinomial(mezzo.tensor([2.0 - i, 2.0]), 1)),
    (RuntimeError, lambda i: mezzo.zeros(4).masked_scatter(mezzo.arange(4) < i, mezzo.zeros(2))),
    (RuntimeError, lambda i: mezzo.nn.functional.binary_cross_entropy(mezzo.tensor([0.4 * i]), mezzo.tensor([1.0]))),
    (RuntimeError, lambda i: mezzo.bincount(mezzo.tensor([5 - 2 * i, 2]))),
    (RuntimeError, lambda i: mezzo.repeat_interleave(mezzo.ones(2), mezzo.tensor([5 - 2 * i, 2]))),
]  # fmt: skip


@pytest.mark.parametrize("error, call", FAILING)
def test_conditions(error, call):
    for _ in range(3):
        call(2)
        with pytest.raises(error):
            call(3)


def test_a_mask_must_fit():
    x = mezzo.zeros(3, 2)
    for mask in (mezzo.ones(2) > 0, mezzo.ones(1) > 0, mezzo.ones(3, 3) > 0):
        with pytest.raises(IndexError):
            x[mask] = 1
        with pytest.raises(IndexError):
            x[mask]


def _walked(m, x):
    """What indices of every place give, and what is written there."""
    found = []
    for i in range(-len(x), len(x)):
        grown = x.clone().requires_grad_()
        part = (grown * 2)[i]
        (part * part).sum().backward()
        written = x.clone()
        written[i] = 0.5
        written[-1 - i] = written[i] + 1
        written[i].mul_(3)
        found += [x[i], part.detach(), grown.grad, written, part.grad_fn.name()]
    for i in range(len(x)):
        grown = x.clone().requires_grad_()
        (grown[i : i + 2] ** 2).sum().backward()
        written = x.clone()
        written[i : i + 2] = -written[i : i + 2]
        found += [x[i : i + 2], x[i : i + 1], x[i:i], grown.grad, written, x[i:].storage_offset()]
    return found


def _walked_further(m, x):
    """Indices of several axes, and numbers that differ from turn to turn."""
    found = []
    for i in range(-len(x), len(x)):
        written, counted = x.clone(), x.long()
        written[i] = 0.1 * i
        written[i, 0] = 1.5 + i
        written[i, ..., 1:] = -0.25 * i
        written[i, None, :1] = float(i)
        counted[i] = i
        counted[i, 0] = 0.75 * i
        filled = x.clone()
        filled[filled > 0] = 0.3 * i
        grown = x.clone().requires_grad_()
        whole = grown * 1
        whole[i] = 0.5 * i
        (whole[i, 0] * whole.sum()).sum().backward()
        found += [
            written,
            counted,
            filled,
            grown.grad,
            x[i, 0],
            x[i, ..., 0],
            x[i, None],
            x[i, -1:],
            x[i, 0].storage_offset(),
        ]
        found += [x[i, np.int64(0) : np.int64(1 + i % 2)]]
    return found


def test_several_axes():
    values = np.random.default_rng(3).standard_normal((6, 3, 2)).astype(np.float32)
    got, expected = (_walked_further(m, m.tensor(values)) for m in (mezzo, torch))
    for one, other in zip(got, expected, strict=True):
        if isinstance(one, mezzo.Tensor):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6, strict=True)
        else:
            assert one == other
    for bad in ((6, 0), (0, 3), (0, 0, 0, 0), (0, 1 << 70)):
        with pytest.raises((IndexError, OverflowError)):
            mezzo.tensor(values)[bad]


@pytest.mark.parametrize("shape", [(9,), (9, 3), (6, 3, 2), (5, 1), (4, 2), (3, 2)], ids=str)
@pytest.mark.parametrize("turned", [False, True])
def test_every_place_of_an_axis(shape, turned):
    values = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    got, expected = (
        m.tensor(values).transpose(0, -1) if turned else m.tensor(values) for m in (mezzo, torch)
    )
    for index in (len(got), -len(got) - 1, 1 << 70):
        with pytest.raises((IndexError, OverflowError)):
            got[index]
    for one, other in zip(_walked(mezzo, got), _walked(torch, expected), strict=True):
        if isinstance(one, mezzo.Tensor):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6, strict=True)
        else:
            assert one == other


def test_places_share_what_is_known():
    """Rows of a table larger than what calls with kernels may work on are views alike."""
    x = mezzo.zeros(1 << 20, 2)
    short = mezzo.Tensor.__dict__["__getitem__"]
    for i in (3, 4):
        x[i], x[i : i + 8]
    hits = offers.native.field(short, offers.w.HITS)
    before = hits.value
    for i in (0, 5, -1, 1 << 19):
        assert x[i].storage_offset() == 2 * (i % len(x))
        assert x[i].base.chain[0][1] == ((i % len(x),),)
    assert x[7:15].base.chain[0][1] == (((7, 15, 1),),)
    assert hits.value == before + 9


@pytest.mark.parametrize("target", ["avx2", "plain"])
def test_lowered(target):
    lowered.run_again(__file__, target)


def test_what_is_learned_keeps_no_tensors():
    """No circle of objects: memory comes back without Python's collector."""
    x = mezzo.randn(37, 411)
    gc.collect()
    gc.disable()
    try:
        before = mezzo.cpu.memory_allocated()
        for _ in range(4):
            mezzo.nn.functional.linear(mezzo.relu(x), x)
            mezzo.nonzero(x)
        assert mezzo.cpu.memory_allocated() == before
    finally:
        gc.enable()
