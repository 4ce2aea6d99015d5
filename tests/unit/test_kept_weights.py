"""Weights that inference_mode packs once: the same numbers, no stale ones, and the memory comes back."""

from __future__ import annotations

import gc

import lowered
import numpy as np
import pytest

import mezzo
from mezzo.core import holders
from mezzo.kernels.cpu import contract, memory, pool
from mezzo.kernels.cpu.entry import launch

F = mezzo.nn.functional
SIZE = {"f32": 4, "bf16": 2, "f16": 2, "f64": 8}
DTYPES = {"f32": mezzo.float32, "bf16": mezzo.bfloat16, "f16": mezzo.float16, "f64": mezzo.float64}


def kept(tensor) -> int:
    """Bytes of the panels that a tensor's storage keeps."""
    found = getattr(tensor.storage, "kept", None)
    return 0 if found is None else sum(b.nbytes for b in found.blocks.values())


def inferred(function, *args):
    with mezzo.inference_mode():
        return function(*args)


def plainly(function, *args):
    with mezzo.no_grad():
        return function(*args)


def same(got, want, x, w):
    """Sums of the same products in two orders differ by at most 2 k rounding errors of the sum of their sizes."""
    k = x.shape[-1]
    with mezzo.no_grad():
        sizes = F.linear(x.abs().double(), w.abs().double()).numpy()
    error = np.abs(got.double().numpy() - want.double().numpy())
    assert (error <= 2 * (k + 1) * 2.0**-24 * (sizes + 1)).all()


@pytest.fixture(autouse=True)
def same_threads():
    before = pool.get_num_threads()
    yield
    pool.set_num_threads(before)


@pytest.mark.parametrize("which", [contract.KEPT_A, contract.KEPT_B])
@pytest.mark.parametrize("compute", list(SIZE))
@pytest.mark.parametrize("m,n,k,threads", [(70, 50, 37, 1), (33, 95, 600, 2), (200, 2100, 1300, 2), (65, 64, 20000, 1)])  # fmt: skip
def test_panels_give_the_same_bits(which, compute, m, n, k, threads):
    """Against the same kernel that packs for itself; around the panels lie bytes that must stay.

    Products of terms whose b is kept: against whatever serves where nothing is.
    """
    mezzo.manual_seed(m)
    dtype, size = DTYPES[compute], SIZE[compute]
    a, b = mezzo.randn(m, k).to(dtype), mezzo.randn(n, k).to(dtype)  # b as layers keep weights
    outs = [mezzo.zeros(m, n, dtype=dtype) for _ in range(2)]
    product = contract.kernel(compute, compute, compute, compute)
    of = contract.Problem(m, n, k, (k * size, size), (size, k * size), (n * size, size), (0, 0), 1, threads)  # fmt: skip
    plan = product.serving(of).plan_as(of)
    if which == contract.KEPT_B and product.serving(of).scheme.terms > 1:
        plan = product.plan(m, n, k, a=of.a, b=of.b, out=of.out, threads=threads)
    pool.set_num_threads(threads)
    scratch = memory.allocate(plan.workspace_bytes)
    launch(plan.address, *plan.slots(a.ptr, b.ptr, outs[0].ptr, 0, scratch.ptr))
    found = product.plan_kept(of, which, 1)
    if (
        found is None
    ):  # tile registers read rows of a where they lie, or packing terms is a small part, or goes on beside them
        in_place = which == contract.KEPT_A and product.scheme.reads_rows
        large = (n if which == contract.KEPT_A else m) >= 512 and product.serving(of) is not product
        beside = which == contract.KEPT_B and n > m > 64 and product.serving(of) is not product
        assert in_place or large or beside
        return
    panels = np.full(found.nbytes + 256, 0xA5, np.uint8)
    at = panels.ctypes.data + (-panels.ctypes.data) % 64
    inside = at - panels.ctypes.data
    operands = (a.ptr, 0) if which == contract.KEPT_A else (0, b.ptr)
    launch(found.pack.address, *found.pack.slots(*operands, at))
    assert (panels[:inside] == 0xA5).all() and (panels[inside + found.nbytes :] == 0xA5).all()
    scratch = memory.allocate(found.product.workspace_bytes)
    operands = (at, b.ptr) if which == contract.KEPT_A else (a.ptr, at)
    launch(found.product.address, *found.product.slots(*operands, outs[1].ptr, 0, scratch.ptr))
    assert outs[0].numpy().tobytes() == outs[1].numpy().tobytes()


@pytest.mark.parametrize("precision", ["fp32", "autocast", "bf16", "fp64"])
@pytest.mark.parametrize("rows", [1, 5, 40, 300])
def test_linear(precision, rows):
    mezzo.manual_seed(rows)
    x, w, b = mezzo.randn(rows, 96), mezzo.randn(130, 96), mezzo.randn(130)
    to = {"bf16": mezzo.bfloat16, "fp64": mezzo.float64}.get(precision)
    if to:
        x, w, b = (t.to(to) for t in (x, w, b))

    def run():
        with mezzo.autocast("cpu", dtype=mezzo.bfloat16, enabled=precision == "autocast"):
            return F.linear(x, w, b)

    low = precision in ("bf16", "autocast")
    exact = x.double().numpy() @ w.double().numpy().T + b.double().numpy()
    for _ in range(2):  # packs, then finds what was packed
        y = inferred(run)
        assert y.dtype is (mezzo.bfloat16 if low else x.dtype)
        np.testing.assert_allclose(y.double().numpy(), exact, rtol=2**-7 if low else 1e-5, atol=0.2 if low else 1e-4)  # fmt: skip
    assert kept(w) > 0 or rows <= 8


CONVOLUTIONS = [  # input, weight, stride, padding, groups
    ((3, 16, 14, 15), (24, 16, 3, 3), 1, 1, 1),
    ((1, 32, 20, 20), (40, 32, 1, 1), 1, 0, 1),
    ((3, 12, 9, 9), (18, 4, 3, 3), 2, 1, 3),
    ((2, 20, 24, 24), (32, 10, 1, 1), 1, 0, 2),
]


@pytest.mark.parametrize("last", [False, True], ids=["NCHW", "channels_last"])
@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("shape,weight,stride,padding,groups", CONVOLUTIONS)
def test_convolutions_give_the_same_bits(shape, weight, stride, padding, groups, dtype, last):
    x, w = (mezzo.randn(*s).to(DTYPES[dtype]) for s in (shape, weight))
    b = mezzo.randn(weight[0]).to(DTYPES[dtype])
    if last:
        x, w = (t.contiguous(memory_format=mezzo.channels_last) for t in (x, w))

    def run(x):
        return F.conv2d(x, w, b, stride, padding, groups=groups)

    def check(x):
        got, want = inferred(run, x).double(), plainly(run, x).double()
        # windows of one pixel are plain products: reading few outputs where they lie sums in another order
        limit = 0.0 if weight[2] > 1 else 2**-7 if dtype == "bf16" else 1e-5
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=limit, atol=limit)

    check(x)
    before = kept(w)
    check(x)
    check(mezzo.cat([x, x], 2))  # another size of image reads the same panels
    assert kept(w) == before
    assert before > 0 or weight[2] == 1  # tile registers read rows of plain matrices where they lie


def test_a_weight_changed_in_place_is_packed_again():
    layer, x = mezzo.nn.Linear(64, 64), mezzo.randn(50, 64)
    optimizer = mezzo.optim.SGD(layer.parameters(), lr=0.5)

    def check():
        same(inferred(layer, x), plainly(layer, x), x, layer.weight)

    check()
    bytes_kept = kept(layer.weight)
    assert bytes_kept >= 64 * 64 * 4
    before = inferred(layer, x)
    layer(x).square().sum().backward()
    optimizer.step()
    check()
    assert not mezzo.allclose(inferred(layer, x), before)
    with mezzo.no_grad():
        layer.weight[3:5] = 7.0  # through a view
        check()
        layer.weight.data.mul_(0.5)
        check()
    layer.load_state_dict({"weight": mezzo.ones(64, 64), "bias": mezzo.zeros(64)})
    check()
    layer.weight.untyped_storage()[3] = 1
    check()
    assert kept(layer.weight) == bytes_kept  # nothing of the older versions


def test_what_numpy_may_write_is_not_kept():
    w, x = mezzo.randn(64, 64), mezzo.randn(50, 64)
    inferred(F.linear, x, w)
    assert kept(w)
    shared = w.numpy()
    assert not kept(w)
    part = shared[2:]
    del shared
    inferred(F.linear, x, w)
    part[...] = 3.0
    same(inferred(F.linear, x, w), plainly(F.linear, x, w), x, w)
    assert not kept(w)
    del part
    inferred(F.linear, x, w)
    assert kept(w)
    foreign = np.ones((64, 64), np.float32)
    w = mezzo.from_numpy(foreign)
    inferred(F.linear, x, w)
    foreign *= 2
    same(inferred(F.linear, x, w), plainly(F.linear, x, w), x, w)


def test_views_of_one_storage_have_panels_of_their_own():
    whole, x = mezzo.randn(3 * 64, 64), mezzo.randn(50, 64)
    parts = whole.chunk(3)
    for part in (*parts, whole.view(64, 192)[:, :64], parts[0].t()):
        same(inferred(F.linear, x, part), plainly(F.linear, x, part), x, part)
    assert kept(whole) >= 5 * 64 * 64 * 4


def test_only_inference_mode_keeps():
    w, x = mezzo.randn(64, 64, requires_grad=True), mezzo.randn(50, 64)
    F.linear(x, w), plainly(F.linear, x, w)
    assert not kept(w)
    with mezzo.inference_mode():
        made = mezzo.randn(64, 64)  # has no version
        F.linear(x, made)
        assert not kept(made)


def test_the_memory_comes_back():
    gc.collect()
    mezzo.cpu.empty_cache()  # a free block of the next size class would be lent, and counted whole
    before = mezzo.cpu.memory_allocated()
    model = mezzo.nn.Sequential(mezzo.nn.Linear(512, 1024), mezzo.nn.Linear(1024, 256))
    x = mezzo.randn(64, 512)
    with_model = mezzo.cpu.memory_allocated()
    for _ in range(3):
        inferred(model, x)
    packed = mezzo.cpu.memory_allocated() - with_model
    # (512 * 1024 + 1024 * 256) floats, of four bytes or in three terms, and what panels round up
    assert 3 << 20 <= packed < 5 << 20
    held = {h.what: h.nbytes for h in holders.holdings()}
    assert held["weights packed for inference"] >= packed
    model[0].weight.data.zero_()
    inferred(model, x)
    assert mezzo.cpu.memory_allocated() - with_model == packed
    del model, x
    gc.collect()
    assert mezzo.cpu.memory_allocated() == before


@pytest.mark.parametrize("target", ["avx512bf16", "avx512", "avx2", "plain"])
def test_lower_targets(target):
    """The same tests on what lesser processors run."""
    lowered.run_again(__file__, target, guarded=False)
