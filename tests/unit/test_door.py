"""One operation of each family, through everything the door can do to it."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

import mezzo
from mezzo.compiler import trace
from mezzo.core import record
from mezzo.core.families.random import philox
from mezzo.kernels import ir
from mezzo.kernels.cpu.entry import launch
from mezzo.kernels.cpu.maps import MapKernel

_RNG = np.random.default_rng(3)


def _pair(*shape):
    values = _RNG.standard_normal(shape).astype("f8")
    return mezzo.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)


CASES = {
    "elementwise": (lambda lib: lambda x, y: lib.sin(x) * y, [(4, 3), (4, 3)]),
    "reduction": (lambda lib: lambda x, y: (x * y).sum(-1), [(4, 3), (4, 3)]),
    "view": (lambda lib: lambda x, y: (x * x).transpose(-2, -1) * y, [(5, 4, 3), (5, 3, 4)]),
    "contraction": (lambda lib: lambda x, y: x @ y, [(5, 4, 3), (5, 3, 2)]),
    "indexing": (lambda lib: lambda x, y: (x * x).select(-1, 1) * y, [(5, 3), (5,)]),
}


@pytest.mark.parametrize("family", CASES)
def test_eager_and_recorded_twice(family):
    build, shapes = CASES[family]
    pairs = [_pair(*s) for s in shapes]
    ours = build(mezzo)(*[m for m, _ in pairs])
    theirs = build(torch)(*[t for _, t in pairs])
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12)
    first = mezzo.autograd.grad((ours * ours).sum(), [m for m, _ in pairs], create_graph=True)
    expected = torch.autograd.grad(
        (theirs * theirs).sum(), [t for _, t in pairs], create_graph=True
    )
    second = mezzo.autograd.grad(sum((g * g).sum() for g in first), [m for m, _ in pairs])
    expected2 = torch.autograd.grad(sum((g * g).sum() for g in expected), [t for _, t in pairs])
    for a, b in zip((*first, *second), (*expected, *expected2)):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family", CASES)
def test_batched_equals_loop(family):
    build, shapes = CASES[family]
    values = [_pair(*s)[0].detach() for s in shapes]
    f = build(mezzo)
    batched = mezzo.vmap(f)(*values)
    for i in range(values[0].shape[0]):
        np.testing.assert_allclose(
            batched.select(0, i).numpy(), f(*[v.select(0, i) for v in values]).numpy(), rtol=1e-12
        )
    shared = mezzo.vmap(f, in_dims=(0, None))(values[0], values[1].select(0, 0))
    for i in range(values[0].shape[0]):
        np.testing.assert_allclose(
            shared.select(0, i).numpy(),
            f(values[0].select(0, i), values[1].select(0, 0)).numpy(),
            rtol=1e-12,
        )


@pytest.mark.parametrize("family", CASES)
def test_traced_equals_eager(family):
    build, shapes = CASES[family]
    values = [_pair(*s)[0] for s in shapes]
    f = build(mezzo)
    program = trace(f, *values)
    np.testing.assert_array_equal(program(*values).detach().numpy(), f(*values).detach().numpy())

    def gradient(*args):
        return mezzo.autograd.grad(f(*args).sum(), args[0])[0]

    backward = trace(gradient, *values)
    np.testing.assert_array_equal(backward(*values).detach().numpy(), gradient(*values).numpy())


@pytest.mark.parametrize("family", CASES)
def test_under_autocast(family):
    build, shapes = CASES[family]
    pairs = [_pair(*s) for s in shapes]
    ours = [m.detach().float().requires_grad_() for m, _ in pairs]
    theirs = [t.detach().float().requires_grad_() for _, t in pairs]
    with mezzo.autocast("cpu", dtype=mezzo.bfloat16):
        y = build(mezzo)(*ours)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        t = build(torch)(*theirs)
    assert str(y.dtype).split(".")[1] == str(t.dtype).split(".")[1]
    y.float().sum().backward()
    for x in ours:
        assert x.grad.dtype is mezzo.float32


def test_random_is_reproducible_batched_and_traced():
    mezzo.manual_seed(7)
    first = mezzo.rand(4, 3)
    mezzo.manual_seed(7)
    assert first.tolist() == mezzo.rand(4, 3).tolist()
    draw = mezzo.vmap(lambda x: x + mezzo.rand(3), randomness="different")(mezzo.zeros(4, 3))
    assert len({tuple(row) for row in draw.tolist()}) == 4
    same = mezzo.vmap(lambda x: x + mezzo.rand(3), randomness="same")(mezzo.zeros(4, 3))
    assert len({tuple(row) for row in same.tolist()}) == 1
    with pytest.raises(RuntimeError, match="randomness"):
        mezzo.vmap(lambda x: x + mezzo.rand(3))(mezzo.zeros(4, 3))
    program = trace(lambda x: x * mezzo.rand(3), mezzo.zeros(3))
    mezzo.manual_seed(1)
    drawn = program(mezzo.ones(3))
    mezzo.manual_seed(1)
    assert drawn.tolist() == mezzo.rand(3).tolist()


def test_random_numbers_do_not_depend_on_threads():
    threads = mezzo.get_num_threads()
    try:
        found = []
        for n in (1, 2):
            mezzo.set_num_threads(n)
            mezzo.manual_seed(11)
            found.append(mezzo.randn(100_000).numpy().copy())
        np.testing.assert_array_equal(*found)
    finally:
        mezzo.set_num_threads(threads)


def test_philox_matches_published_vectors():
    """Known answers of Philox-4x32-10 from the Random123 distribution (kat_vectors)."""
    words = []
    for i in range(4):
        expr = philox(ir.index() + ir.scalar(0, "i64"), ir.scalar(1, "i64"))[i]
        kernel = MapKernel((), ("i64",), (expr,), ("i64", "i64"))
        out = mezzo.zeros(1, dtype=mezzo.int64)
        launch(kernel.address("flat", "c"), 1, out.ptr, 0, 0)
        words.append(out.item())
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_nesting_vmap_of_gradient_and_gradient_of_vmap():
    x = mezzo.tensor(_RNG.standard_normal((4, 3)), requires_grad=True)
    y = mezzo.vmap(lambda row: (row.sin() * row).sum())(x)
    (g,) = mezzo.autograd.grad(y.sum(), x)
    expected = np.sin(x.detach().numpy()) + x.detach().numpy() * np.cos(x.detach().numpy())
    np.testing.assert_allclose(g.numpy(), expected, rtol=1e-12)
    cube = mezzo.vmap(mezzo.vmap(lambda v: v * v * v))(x.detach())
    np.testing.assert_allclose(cube.numpy(), x.detach().numpy() ** 3, rtol=1e-12)


def test_the_door_names_no_interpreter():
    """What changes the meaning of a call is on the stack; the core knows none of it by name."""
    source = inspect.getsource(record)
    for name in ("vmap", "Tracing", "ledger", "mezzo.amp", "mezzo.func", "mezzo.compiler"):
        assert name not in source


def test_plans_follow_the_default_dtype():
    x = mezzo.arange(3)
    assert mezzo.sin(x).dtype is mezzo.float32
    mezzo.set_default_dtype(mezzo.float64)
    try:
        assert mezzo.sin(x).dtype is mezzo.float64 and (x / 2).dtype is mezzo.float64
    finally:
        mezzo.set_default_dtype(mezzo.float32)
    assert mezzo.sin(x).dtype is mezzo.float32


def test_plans_are_bounded():
    """Ever-changing shapes do not grow the memory of plans without end."""
    limit, mezzo.neg.limit = mezzo.neg.limit, 8
    try:
        for n in range(50):
            mezzo.neg(mezzo.zeros(n))
        assert len(mezzo.neg.plans) <= 8
    finally:
        mezzo.neg.limit = limit


def test_in_place_calls_remembered_by_their_layouts_keep_their_promises():
    """The second call of a kind takes the short way: versions, errors and overlaps stay what they were."""
    a, b = mezzo.tensor([1.0, 2.0]), mezzo.tensor([3.0, 4.0])
    for turn in range(1, 4):
        before = a._version
        assert a.add_(b) is a and a._version == before + 1
        assert a.tolist() == [1.0 + 3.0 * turn, 2.0 + 4.0 * turn]
    whole = mezzo.tensor([1.0, 2.0, 3.0])
    whole[1:].add_(whole[:-1])  # of one storage: as if the operand had been read first
    assert whole.tolist() == [1.0, 3.0, 5.0]
    assert a.add_(a).tolist() == [20.0, 28.0]
    leaf = mezzo.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        leaf.add_(b)
    x = a.clone().add_(leaf)
    assert x.requires_grad
    y = (leaf * b).exp()
    b.add_(a)
    with pytest.raises(RuntimeError, match="add_"):
        y.sum().backward()
    with mezzo.inference_mode():
        frozen = mezzo.tensor([1.0, 2.0])
        frozen.add_(a)
    with pytest.raises(RuntimeError, match="inference tensor"):
        frozen.add_(a)
