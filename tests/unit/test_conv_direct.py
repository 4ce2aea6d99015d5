"""Convolutions that read a copy of the image, against PyTorch in float64: values, both gradients, kept weights, threads.

An error may be as large as the rounding of so many sums in float32 and of the result: bounds follow from the operands' sizes.
"""

from __future__ import annotations

import lowered
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import mezzo
from mezzo.core.families import convolution as family
from mezzo.core.families import folded
from mezzo.core.families.geometry import Geometry, Window
from mezzo.kernels.cpu import pool, target
from mezzo.kernels.cpu.conv import collect, direct, pointwise, weights

F = mezzo.nn.functional
EPS = {torch.float32: 2.0**-24, torch.bfloat16: 2.0**-9, torch.float16: 2.0**-12}
# images, channels, outputs, height, width, kernel, stride, padding, dilation, groups
CASES = [
    (2, 64, 64, 14, 14, (3, 3), 1, 1, 1, 1),
    (2, 64, 96, 17, 19, (3, 3), 1, 1, 1, 1),  # odd sizes: tiles overlap the end of a row
    (1, 3, 64, 30, 30, (7, 7), 2, 3, 1, 1),  # few channels: a row of taps is one run of k
    (1, 3, 8, 57, 57, (7, 7), 4, 3, 1, 1),
    (2, 128, 128, 14, 14, (3, 3), 1, 1, 1, 4),  # groups of a whole block of channels
    (2, 6, 10, 11, 11, (3, 3), (2, 1), 1, 1, 2),
    (3, 20, 24, 13, 33, (3, 3), 2, 1, 1, 1),  # blocks of channels with zeros behind them
    (2, 48, 40, 12, 12, (3, 3), 1, 2, 2, 1),  # dilation: taps of a row do not touch
    (2, 16, 16, 9, 7, (5, 3), 1, (2, 0), 1, 1),
    (9, 5, 7, 7, 7, (3, 3), 1, 1, 1, 1),
    (4, 33, 70, 10, 10, (2, 2), 1, 0, 1, 1),
    (1, 8, 8, 150, 100, (3, 3), 1, 1, 1, 1),  # several tasks for one image
    (5, 256, 130, 8, 8, (3, 3), 1, 1, 1, 1),
    (2, 40, 40, 6, 6, (3, 3), 1, (4, 3), 1, 1),  # more padding than the window needs
    (7, 64, 64, 4, 4, (3, 3), 1, 1, 1, 1),
    (2, 32, 32, 1, 40, (1, 5), 1, (0, 2), 1, 1),
    (2, 40, 33, 9, 28, (3, 3), 1, 1, 1, 1),  # steps of the weight's gradient end with rows
    (1, 48, 24, 12, 55, (3, 3), 2, 1, 1, 2),
    (1, 24, 8, 7, 30, (3, 3), 1, (2, 0), 2, 1),
    (2, 3, 20, 36, 64, (7, 7), 2, 3, 1, 1),  # few channels: a column's taps are a tile's rows
    (1, 14, 6, 12, 28, (5, 3), 1, (2, 1), 1, 2),
    (
        1,
        16,
        40,
        12,
        30,
        (5, 4),
        2,
        (2, 1),
        1,
        2,
    ),  # 32 columns of all phases of the image's gradient
    (1, 2, 16, 30, 33, (6, 3), (5, 1), 0, 1, 1),
    (
        3,
        64,
        40,
        9,
        11,
        (1, 1),
        1,
        0,
        1,
        1,
    ),  # windows of one pixel: the last tile overlaps the one before
    (2, 32, 96, 8, 8, (1, 1), 1, 0, 1, 1),
    (1, 4, 4, 90, 100, (5, 3), 1, (2, 1), 1, 4),  # planes of a channel each, in strips
    (2, 3, 3, 9, 20, (3, 7), 1, (4, 2), 1, 3),
    (1, 2, 20, 11, 33, (3, 8), 1, (1, 3), 1, 1),  # two channels make one pair
]


FEW_PLACES = [
    (3, 40, 24, 9, 11, (3, 3), 2, 1, 1, 1),
    (2, 20, 24, 9, 7, (5, 3), (3, 1), 2, (1, 2), 1),
    (5, 33, 70, 2, 2, (3, 3), 1, 1, 1, 1),
    (1, 3, 10, 5, 6, (2, 2), 2, 0, 1, 1),
]
JOINT = {True: 4, False: 5}  # of the cases, by whether channels are innermost


def ours(tensor: torch.Tensor, last: bool = False):
    """A mezzo tensor with the same values and dtype."""
    made = mezzo.from_numpy(np.array(tensor.detach().double().numpy()))
    made = made.to(getattr(mezzo, str(tensor.dtype).removeprefix("torch.")))
    return made.to(memory_format=mezzo.channels_last) if last else made


def theirs(tensor) -> torch.Tensor:
    return torch.from_numpy(np.array(tensor.detach().to(mezzo.float64).numpy()))


def made(case, dtype, bias: bool):
    n, channels, outs, height, width, kernel, *options = case
    torch.manual_seed(n)
    x = torch.randn(n, channels, height, width).to(dtype)
    w = torch.randn(outs, channels // options[-1], *kernel).to(dtype)
    return x, w, torch.randn(outs).to(dtype) if bias else None, options


def exactly(x, w, b, options, g):
    """The result and the gradients of x and w in float64."""
    x, w = (t.double().requires_grad_() for t in (x, w))
    y = TF.conv2d(x, w, None if b is None else b.double(), *options)
    return y.detach(), *torch.autograd.grad(y, (x, w), g.double())


def check(got, want, sizes, count: int, dtype) -> None:
    """count: of the terms of a sum; sizes: the sums of their magnitudes."""
    bound = 2 * EPS[dtype] * want.abs() + (count + 2) * 2.0**-24 * sizes + 1e-30
    assert ((theirs(got) - want).abs() <= bound).all()


def ran(x, w, b, options, g, last: bool, weight_last: bool):
    mine = [ours(x, last).requires_grad_(), ours(w, weight_last).requires_grad_()]
    y = F.conv2d(*mine, None if b is None else ours(b), *options)
    y.backward(ours(g, last))
    with mezzo.inference_mode():
        kept = F.conv2d(mine[0].detach(), mine[1], None if b is None else ours(b), *options)
    return y, kept, mine[0].grad, mine[1].grad


@pytest.fixture(autouse=True)
def same_threads(monkeypatch):
    monkeypatch.setattr(direct, "FEW_PLACES", (1, 1))  # small images take this way too
    monkeypatch.setattr(direct, "TERMS_PLACES", 1)
    monkeypatch.setattr(direct, "STREAM", 1)
    monkeypatch.setattr(weights, "PLACES", 100)  # several parts of an image
    monkeypatch.setattr(weights, "LYING_PLACES", (1, 1))
    monkeypatch.setattr(pointwise, "LEAST_PLACES", 16)
    monkeypatch.setattr(folded, "MOST_ELEMENTS", 0)
    before = pool.get_num_threads()
    yield
    pool.set_num_threads(before)


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("dtype", list(EPS), ids=str)
@pytest.mark.parametrize("case", FEW_PLACES, ids=str)
def test_gradients_of_few_places(case, dtype, last, monkeypatch):
    """As products with patches; bfloat16 takes this way only by the image."""
    monkeypatch.setattr(folded, "MOST_ELEMENTS", 1 << 20)
    monkeypatch.setattr(folded, "MOST_PLACES", dict.fromkeys(folded.MOST_PLACES, (512, 512)))
    monkeypatch.setattr(folded, "LARGE_WEIGHT", 1)
    monkeypatch.setattr(collect, "SERIAL_WORK", 1)
    x, w, _, (stride, padding, dilation, groups) = made(case, dtype, False)
    y = F.conv2d(ours(x, last), ours(w), None, stride, padding, dilation, groups)
    pair = [v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation)]
    layouts = ours(x, last).layout, ours(w).layout, y.layout
    geometry = Geometry(*layouts, Window(*pair, groups))
    compute = getattr(mezzo, str(dtype).removeprefix("torch."))
    assert folded.input_grad(geometry, compute)
    assert bool(folded.weight_grad(geometry, compute)) == (dtype is not torch.bfloat16)
    check_case(case, dtype, last, case[0] % 2 == 0)


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("dtype", list(EPS), ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients(case, dtype, last):
    """last: channels innermost in images; of weights it is so in every other case."""
    check_case(case, dtype, last, (CASES.index(case) + list(EPS).index(dtype)) % 2 == 0)


def check_case(case, dtype, last, bias: bool):
    """bias: whether there is one; then channels of the weight are innermost."""
    x, w, b, options = made(case, dtype, bias)
    shape = TF.conv2d(x.double(), w.double(), None, *options).shape
    g = torch.randn(shape).to(dtype)
    y, dx, dw = exactly(x, w, b, options, g)
    sizes = exactly(x.abs(), w.abs(), None if b is None else b.abs(), options, g.abs())
    taps, bits = w[0].numel(), set()
    for threads in (1, 2):
        pool.set_num_threads(threads)
        got = ran(x, w, b, options, g, last, weight_last=bias)
        check(got[0], y, sizes[0], taps, dtype)
        check(got[1], y, sizes[0], taps, dtype)
        check(got[2], dx, sizes[1], taps * w.shape[0] // w.shape[1], dtype)
        check(got[3], dw, sizes[2], shape.numel() // shape[1], dtype)
        bits.add(b"".join(t.detach().double().numpy().tobytes() for t in got))
    assert len(bits) == 1


def test_infinities_stay_where_they_are():
    """What a window does not hold has no part in its sum, not even times zero."""
    for dtype in EPS:
        for channels, size, stride, last in (
            (3, 7, 2, True),
            (3, 7, 2, False),
            (3, 3, 1, True),
            (40, 3, 1, True),
            (64, 3, 2, True),
            (40, 3, 1, False),
        ):
            x = torch.zeros(1, channels, 21, 23)
            x[0, channels - 1, 10, 10] = float("inf")
            w = torch.ones(8, channels, size, size)
            got = F.conv2d(ours(x.to(dtype), last), ours(w.to(dtype)), None, stride, size // 2)
            want = TF.conv2d(x, w, None, stride, size // 2)
            assert torch.equal(theirs(got).isinf(), want.isinf())
            assert not theirs(got).isnan().any()


def test_an_infinite_element_reaches_the_taps_that_see_it():
    for dtype in EPS:
        for channels, width, last in ((40, 14, True), (64, 9, True), (64, 14, False)):
            x, g = torch.zeros(1, channels, 14, width), torch.ones(1, 16, 14, width)
            x[0, 1, 0, width - 1] = float("inf")  # at a corner: some taps never meet it
            leaf, mine = (
                torch.ones(16, channels, 3, 3, requires_grad=True),
                ours(torch.ones(16, channels, 3, 3)),
            )
            TF.conv2d(x, leaf, None, 1, 1).backward(g)
            mine = mine.to(getattr(mezzo, str(dtype).removeprefix("torch."))).requires_grad_()
            F.conv2d(ours(x.to(dtype), last), mine, None, 1, 1).backward(ours(g.to(dtype), last))
            assert torch.equal(theirs(mine.grad).isinf(), leaf.grad.isinf())
            assert not theirs(mine.grad).isnan().any()


def test_an_infinite_gradient_reaches_the_pixels_that_its_window_holds():
    for dtype in EPS:
        for size, stride, last in ((7, 2, True), (7, 2, False), (3, 1, True), (4, 2, False)):
            x = torch.zeros(1, 3, 24, 28, requires_grad=True)
            w, mine = torch.ones(24, 3, size, size), ours(x.detach().to(dtype), last)
            y = TF.conv2d(x, w, None, stride, size // 2)
            g = torch.zeros(y.shape)
            g[0, 5, 4, 7] = g[0, 23, 0, 0] = float("inf")
            y.backward(g)
            z = F.conv2d(mine.requires_grad_(), ours(w.to(dtype)), None, stride, size // 2)
            z.backward(ours(g.to(dtype), last))
            assert torch.equal(theirs(mine.grad).isinf(), x.grad.isinf())
            assert not theirs(mine.grad).isnan().any()


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
def test_phases_of_images_of_few_channels_are_joint(last):
    found = []
    for case in CASES:
        x, w, _, (stride, padding, dilation, groups) = made(case, torch.float32, False)
        y = F.conv2d(ours(x, last), ours(w), None, stride, padding, dilation, groups)
        pair = [v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation)]
        layouts = ours(x, last).layout, ours(w).layout, y.layout
        geometry = Geometry(*layouts, Window(*pair, groups))
        found.append(family.joint_phases(geometry, mezzo.float32) is not None)
    assert sum(found) == (0 if not target.host().has_amx_bf16 else JOINT[last])


def test_windows_of_one_pixel_read_the_image_once():
    # of both gradients by the image one has too few columns for steps of 32 channels
    for last, dtype, taken in (
        (1, torch.bfloat16, 3),
        (1, torch.float32, 0),
        (0, torch.bfloat16, 0),
    ):
        found = []
        for case in (case for case in CASES if case[5] == (1, 1)):
            x, w, _, (stride, *_) = made(case, dtype, False)
            y = F.conv2d(ours(x, last), ours(w), None, stride)
            window = Window((1, 1), (0, 0), (1, 1))
            geometry = Geometry(ours(x, last).layout, ours(w).layout, y.layout, window)
            compute = getattr(mezzo, str(dtype).removeprefix("torch."))
            for back in (False, True):
                plan = family.plan_pointwise(geometry, None, compute, back)
                found.append(plan is not None)
        assert sum(found) == taken * target.host().has_amx_bf16


def one_by_one(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The product of two float32 matrices, one addition after the other."""
    total = torch.zeros(left.shape[0], right.shape[1])
    for column, row in zip(left.T, right):
        total += column[:, None] * row
    return total


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("draw", [torch.randn, torch.rand], ids=["signed", "positive"])
def test_floats_lose_no_bits(draw, last):
    """Against float64, the error is no larger than that of products in float32 added one by one; whole numbers are exact."""
    torch.manual_seed(0)
    for channels, size, stride in ((256, 3, 1), (24, 3, 2), (3, 7, 2)):
        x, w = draw(1, channels, 24, 24), draw(16, channels, size, size)
        exact = TF.conv2d(x.double(), w.double(), None, stride, size // 2)
        found = theirs(F.conv2d(ours(x, last), ours(w), None, stride, size // 2))
        patches = TF.unfold(x, size, 1, size // 2, stride)[0]
        allowed = (one_by_one(w.flatten(1), patches) - exact.flatten(2)).square().mean()
        assert (found - exact).square().mean() <= 1.2 * allowed
        x, w = (x * 100).round(), (w * 100).round()
        found = theirs(F.conv2d(ours(x, last), ours(w), None, stride, size // 2))
        assert torch.equal(found, TF.conv2d(x.double(), w.double(), None, stride, size // 2))


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("draw", [torch.randn, torch.rand], ids=["signed", "positive"])
def test_gradients_of_weights_lose_no_bits(draw, last, monkeypatch):
    monkeypatch.setattr(weights, "PLACES", 896)
    torch.manual_seed(0)
    x, g, w = draw(1, 24, 64, 56), draw(1, 16, 64, 56), torch.zeros(16, 24, 3, 3)
    exact = exactly(x, w, None, (1, 1), g)[2]
    leaf = ours(w).requires_grad_()
    F.conv2d(ours(x, last), leaf, None, 1, 1).backward(ours(g, last))
    patches = TF.unfold(x, 3, 1, 1)[0]
    allowed = (one_by_one(g[0].flatten(1), patches.T) - exact.flatten(1)).square().mean()
    assert (theirs(leaf.grad) - exact).square().mean() <= 1.2 * allowed


def test_autocast_converts_while_copying():
    x, w, b, options = made(CASES[1], torch.float32, True)
    with mezzo.autocast("cpu", dtype=mezzo.bfloat16):
        got = F.conv2d(ours(x, True), ours(w), ours(b), *options)
    x, w = x.bfloat16(), w.bfloat16()
    want = TF.conv2d(x.double(), w.double(), b.double(), *options)
    sizes = TF.conv2d(x.double().abs(), w.double().abs(), b.double().abs(), *options)
    check(got, want, sizes, w[0].numel(), torch.bfloat16)


def test_gradients_of_gradients():
    x, w, _, options = made((2, 12, 20, 9, 9, (3, 3), 2, 1, 1, 1), torch.float32, False)
    mine = [ours(x, True).requires_grad_(), ours(w, True).requires_grad_()]
    exact = [t.double().requires_grad_() for t in (x, w)]
    first = torch.autograd.grad(
        (TF.conv2d(*exact, None, *options) ** 2).sum(), exact, create_graph=True
    )
    second = torch.autograd.grad(sum((t**2).sum() for t in first), exact)
    y = F.conv2d(*mine, None, *options)
    found = mezzo.autograd.grad((y * y).sum(), mine, create_graph=True)
    found = mezzo.autograd.grad(sum((t * t).sum() for t in found), mine)
    for want, got in zip(second, found):
        scale = float(want.abs().max())
        torch.testing.assert_close(theirs(got) / scale, want / scale, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
def test_this_is_the_way_that_is_taken(last):
    """The cases above reach the kernels that they are about."""
    found = []
    for case in CASES:
        x, w, _, (stride, padding, dilation, groups) = made(case, torch.float32, False)
        y = F.conv2d(ours(x, last), ours(w), None, stride, padding, dilation, groups)
        pair = [v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation)]
        window = Window(*pair, groups)
        geometry = Geometry(ours(x, last).layout, ours(w).layout, y.layout, window)
        found += [
            *family.forward(geometry, None, mezzo.float32),
            *family.weight_grad(geometry, mezzo.float32),
        ]
    names = [plan.__class__.__module__.rpartition(".")[2] for plan, _ in found]
    has_wide_tiles = target.host().vector_bits > 128  # tiles of few rows do not fit all the cases
    assert names.count("direct") >= ((12, 8) if has_wide_tiles else (9, 5))[not last]
    assert names.count("weights") >= (12 if last else 6 * target.host().has_amx_bf16)


@pytest.mark.parametrize("label", ["native", "avx512bf16", "avx512", "avx2", "plain"])
def test_lower_targets(label):
    """The same tests on what lesser processors run, in memory that ends at pages which fault on access."""
    lowered.run_again(__file__, label)
