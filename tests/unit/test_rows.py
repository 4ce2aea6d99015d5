"""Row kernels and what stands on them, against PyTorch: values, first and second derivatives, memory layouts."""

from __future__ import annotations

import itertools

import lowered
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import mezzo
from mezzo.kernels.cpu.maps import STREAM
from mezzo.nn import functional as F

SHAPES = [
    (5, 7),
    (3, 100),
    (2, 1000),
    (1, 1),
    (3, 1),
    (2, 3, 4),
    (2, 70, 3),
    (3, 9000),
    (2, 3, 8, 17),
    (9, 64, 130),
]


def normal(*shape: int) -> torch.Tensor:
    """Reproducible numbers."""
    seed = sum((i + 3) * n for i, n in enumerate(shape))
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ours(x):
    """A mezzo tensor over the same memory; low precision is copied."""
    if not isinstance(x, torch.Tensor):
        return x
    if x.dtype is torch.bfloat16:
        return mezzo.from_numpy(x.float().numpy()).to(mezzo.bfloat16)
    return mezzo.from_numpy(x.detach().numpy())


def theirs(x) -> torch.Tensor:
    """The values as a float64 tensor of PyTorch."""
    return torch.from_numpy(x.detach().to(mezzo.float64).numpy().copy())


def same(got, want: torch.Tensor, tolerance: float = 3e-5) -> None:
    assert tuple(got.shape) == tuple(want.shape)
    assert got.dtype.name == str(want.dtype).removeprefix("torch.")
    want = want.detach().double()
    finite = want[want.isfinite()].abs()
    scale = 1 + float(finite.max()) if finite.numel() else 1
    torch.testing.assert_close(theirs(got), want, rtol=0, atol=tolerance * scale, equal_nan=True)


def compare(their_function, our_function, *args, tolerance: float = 3e-5, **kwargs) -> None:
    """Values and gradients with respect to every floating tensor."""
    given = [a.detach().clone() if isinstance(a, torch.Tensor) else a for a in args]
    mine = [ours(a) for a in given]
    for a, b in zip(given, mine):
        if isinstance(a, torch.Tensor) and a.is_floating_point():
            a.requires_grad_()
            b.requires_grad_()
    want, got = their_function(*given, **kwargs), our_function(*mine, **kwargs)
    same(got, want, tolerance)
    g = normal(*want.shape).to(want.dtype)
    want.backward(g)
    got.backward(ours(g))
    for a, b in zip(given, mine):
        if isinstance(a, torch.Tensor) and a.requires_grad:
            same(b.grad, a.grad, tolerance * 3)


def layouts(x: torch.Tensor):
    """The same shape in other strides."""
    yield x
    yield x.transpose(0, -1).contiguous().transpose(0, -1)
    yield x.repeat_interleave(2, -1)[..., ::2]
    yield x[..., :1].expand(x.shape)
    if x.ndim == 4:
        yield x.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_softmax_in_every_layout_and_axis(shape):
    for dim in range(len(shape)):
        for x in layouts(normal(*shape)):
            same(mezzo.softmax(ours(x), dim), torch.softmax(x, dim))
            same(mezzo.log_softmax(ours(x), dim), torch.log_softmax(x, dim))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_gradients(name):
    for shape, dim in [
        ((3, 5), 1),
        ((3, 5), 0),
        ((2, 3, 4), -2),
        ((2, 70, 3), 1),
        ((), 0),
        ((0, 3), 1),
    ]:
        compare(getattr(torch, name), getattr(mezzo, name), normal(*shape), dim)
    compare(getattr(torch, name), getattr(mezzo, name), normal(4, 70).bfloat16(), 1, tolerance=8e-3)


def test_softmax_of_extremes():
    inf, nan = float("inf"), float("nan")
    x = torch.tensor(
        [[1.0, inf, 2.0], [-inf, -inf, -inf], [nan, 0.0, 1.0], [-inf, 0.0, 3e38], [1e4, 1e4, -1e4]]
    )
    same(mezzo.softmax(ours(x), 1), torch.softmax(x, 1))
    same(mezzo.log_softmax(ours(x), 1), torch.log_softmax(x, 1))


def test_results_do_not_depend_on_threads():
    x, w = ours(normal(300, 4100)), ours(normal(4100))
    threads = mezzo.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            mezzo.set_num_threads(count)
            leaf, weight = x.detach().requires_grad_(), w.detach().requires_grad_()
            y = F.layer_norm(leaf, (4100,), weight)
            y.backward(x)
            found.append([t.detach().numpy().tobytes() for t in (y, leaf.grad, weight.grad)])
    finally:
        mezzo.set_num_threads(threads)
    assert found[0] == found[1] == found[2]


def _by_rows(x):
    """Row operations of a matrix, forward and backward, of which no row sees another."""
    leaf = x.detach().requires_grad_()
    for function in (
        lambda t: mezzo.softmax(t, 1),
        lambda t: mezzo.log_softmax(t, 1),
        lambda t: F.layer_norm(t, tuple(t.shape[1:])),
        lambda t: F.rms_norm(t, tuple(t.shape[1:])),
    ):
        y = function(leaf)
        yield y.detach()
        yield mezzo.autograd.grad(y, leaf, x)[0]


@pytest.mark.parametrize(
    "dtype,width", [("float32", 1024), ("float32", 1032), ("bfloat16", 2080), ("float16", 2048)]
)
def test_a_large_result_has_the_bits_of_its_parts(dtype, width):
    """Only the large one goes past the caches."""
    rows = STREAM // (width * (4 if dtype == "float32" else 2)) + 3
    x = ours(normal(rows, width)).to(getattr(mezzo, dtype))
    cut = rows // 2
    for whole, first, second in zip(_by_rows(x), _by_rows(x[:cut]), _by_rows(x[cut:])):
        assert whole.layout.nbytes >= STREAM > first.layout.nbytes
        parts = [t.contiguous().view(mezzo.uint8).numpy() for t in (whole, first, second)]
        assert np.array_equal(parts[0], np.concatenate(parts[1:]))


@pytest.mark.parametrize("width", [40, 8192, 8193, 20000])
def test_a_row_of_low_precision_keeps_its_exponentials_in_float32(width):
    x = normal(3, width).bfloat16()
    want = torch.softmax(x.double(), 1)
    got = theirs(mezzo.softmax(ours(x), 1))
    assert (
        (got - want).abs() <= want * 2.0**-8
    ).all()  # one rounding to bfloat16, and some of float32


@pytest.mark.parametrize(
    "shape,axes",
    [((3, 5), 1), ((4, 70), 1), ((2, 3, 4), 2), ((200, 33), 1), ((0, 3), 1), ((5, 2, 300), 1)],
)
def test_layer_and_rms_norm(shape, axes):
    size = shape[-axes:]
    for with_weight, with_bias in itertools.product((False, True), repeat=2):
        weight = normal(*size) if with_weight else None
        bias = normal(*size) + 1 if with_bias else None
        compare(TF.layer_norm, F.layer_norm, normal(*shape), size, weight, bias)
    compare(TF.rms_norm, F.rms_norm, normal(*shape), size, normal(*size))
    compare(TF.rms_norm, F.rms_norm, normal(*shape), size, None, 0.1)


def test_norms_in_bfloat16():
    x, w = normal(6, 70).bfloat16(), normal(70).bfloat16()
    compare(TF.layer_norm, F.layer_norm, x, (70,), w, w, tolerance=2e-2)
    compare(TF.rms_norm, F.rms_norm, x, (70,), w, tolerance=2e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_statistics_far_from_zero(dtype):
    """Sums of pairs of bfloat16 numbers, about a mean that is large beside what differs."""
    x = (normal(2, 4, 13, 17) + 50).to(dtype)
    w, b = normal(4).to(dtype), normal(5)[1:].to(dtype)
    want = TF.group_norm(x.double(), 2, w.double(), b.double())
    got = theirs(F.group_norm(*map(ours, (x,)), 2, ours(w), ours(b))).double()
    unit = 2.0**-8 if dtype is torch.bfloat16 else 0.0
    assert ((got - want).abs() <= want.abs() * unit + 50 * 2.0**-20).all()


def test_gradients_of_rows_of_nothing():
    """Sums over nothing are 0, though the variance is not a number."""
    x, w, b = mezzo.zeros(2, 6, 0), mezzo.ones(6), mezzo.ones(6)
    leaves = [t.requires_grad_() for t in (x, w, b)]
    F.batch_norm(x, None, None, w, b, training=True).sum().backward()
    assert [t.grad.tolist() for t in leaves] == [[[[]] * 6] * 2, [0.0] * 6, [0.0] * 6]


def test_gradients_where_the_variance_is_tiny():
    """The reciprocal deviation is 1e13, whose cube float32 does not hold."""
    x, g = normal(4, 100) * 1e-13, normal(4, 101)[:, 1:] * 1e-13
    wide = x.double().requires_grad_()
    TF.layer_norm(wide, (100,), eps=0.0).backward(g.double())
    mine = ours(x).requires_grad_()
    F.layer_norm(mine, (100,), eps=0.0).backward(ours(g.contiguous()))
    torch.testing.assert_close(theirs(mine.grad).double(), wide.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "shape,groups",
    [((2, 6, 5), 3), ((2, 6, 3, 4), 2), ((2, 4), 2), ((2, 4, 3), 4), ((3, 8, 70), 2)],
)
def test_group_norm(shape, groups):
    c = shape[1]
    compare(TF.group_norm, F.group_norm, normal(*shape), groups, normal(c), normal(c) + 1)
    compare(TF.group_norm, F.group_norm, normal(*shape), groups)


@pytest.mark.parametrize(
    "shape,groups",
    [((3, 6, 5, 7), 2), ((2, 6, 40), 6), ((2, 6, 1, 1), 2), ((1, 4, 9000), 2), ((4, 6), 3)],
    ids=str,
)
def test_gradients_of_group_norm_in_every_layout(shape, groups):
    """The weights' gradients are sums over stretches of the rows where those lie in memory one after the other."""
    w, b, g = normal(shape[1]), normal(shape[1] + 1)[1:], normal(*shape)
    for x in layouts(normal(*shape)):
        for dtype, tolerance in ((torch.float32, 3e-5), (torch.bfloat16, 2e-2)):
            leaves = [t.to(dtype) for t in (x, w, b)]
            wide = [t.double().requires_grad_() for t in leaves]
            mine = [ours(t).requires_grad_() for t in leaves]
            TF.group_norm(wide[0], groups, *wide[1:], 0.1).backward(g.to(dtype).double())
            F.group_norm(mine[0], groups, *mine[1:], 0.1).backward(ours(g.to(dtype)))
            for one, want in zip(mine, wide):
                assert one.grad.dtype is one.dtype
                scale = 1 + float(want.grad.abs().max())
                torch.testing.assert_close(
                    theirs(one.grad), want.grad, rtol=0, atol=tolerance * scale
                )


@pytest.mark.parametrize("shape", [(4, 3), (3, 2, 5), (2, 3, 4, 5), (4, 70), (20, 3, 9, 9)])
def test_batch_and_instance_norm(shape):
    c = shape[1]
    compare(TF.batch_norm, F.batch_norm, normal(*shape), None, None, normal(c), normal(c) + 1, True)
    compare(TF.batch_norm, F.batch_norm, normal(*shape), None, None, None, None, True)
    if len(shape) > 2:
        compare(
            TF.instance_norm, F.instance_norm, normal(*shape), None, None, normal(c), normal(c) + 1
        )


def test_batch_norm_keeps_channels_last_and_updates_its_statistics():
    x = normal(2, 20, 4, 5).to(memory_format=torch.channels_last)
    got = F.batch_norm(ours(x), None, None, training=True)
    same(got, TF.batch_norm(x, None, None, training=True))
    assert tuple(got.layout.strides) == x.stride()
    mean, var = torch.zeros(20), torch.ones(20)
    my_mean, my_var = ours(mean.clone()), ours(var.clone())
    TF.batch_norm(x, mean, var, training=True, momentum=0.3)
    F.batch_norm(ours(x), my_mean, my_var, training=True, momentum=0.3)
    same(my_mean, mean)
    same(my_var, var)


def test_rows_beyond_the_second_cache():
    """Channels of which x and its gradient take 800 KB: parts of them are asked for ahead, whatever lies there."""
    rng = np.random.default_rng(4)
    x, g = (rng.standard_normal((32, 3, 56, 56)).astype("float32") for _ in range(2))
    ours = [mezzo.tensor(a).requires_grad_() for a in (x, x[0, :, 0, 0] + 1, x[1, :, 0, 0])]
    theirs = [torch.tensor(a.detach().numpy()).double().requires_grad_() for a in ours]
    y = mezzo.nn.functional.batch_norm(ours[0], None, None, *ours[1:], training=True)
    expected = torch.nn.functional.batch_norm(theirs[0], None, None, *theirs[1:], training=True)
    y.backward(mezzo.tensor(g))
    expected.backward(torch.tensor(g).double())
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), 1e-5, 1e-5)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), 1e-5, 2e-3)


@pytest.mark.parametrize("label", ["avx512", "avx2", "plain"])
def test_other_processors(label):
    """Norms with other vectors, and with pages behind every block that nobody may touch."""
    chosen = "gradients_of_group_norm or norms_in_bfloat16 or far_from_zero"
    lowered.run_again(__file__, label, chosen=chosen)
