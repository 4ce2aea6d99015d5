"""Images read at the places of a grid, where the derived tests do not look: memory formats, places far outside or no numbers
at all, dtypes of 16 bits, higher derivatives, processors with shorter vectors, threads, and positions of 64 bits."""

from __future__ import annotations

import itertools

import lowered
import numpy as np
import pytest
import torch

import mezzo
from mezzo.core.families import grids
from mezzo.kernels.cpu import pool
from mezzo.nn import functional as F

MODES, PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
WAYS = [
    (axes, mode, padding, align)
    for axes in (2, 3)
    for mode, padding, align in itertools.product(MODES, PADDINGS, (False, True))
    if axes == 2 or mode != "bicubic"
]
CODE = """
import torch, mezzo
import test_grid
for way in test_grid.WAYS[::5]:
    test_grid.check(*way, torch.float32)
test_grid.check(2, "bicubic", "reflection", False, torch.float64)
test_grid.check_low(torch.bfloat16)
test_grid.check_low(torch.float16)
"""


def example(axes: int, dtype: torch.dtype, channels: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """An image and a grid; 42 and 24 places are no multiple of a vector."""
    torch.manual_seed(0)
    sizes, to = ((7, 9), (6, 7)) if axes == 2 else ((4, 7, 5), (2, 4, 3))
    image = torch.randn(2, channels, *sizes, dtype=dtype)
    return image, torch.rand(2, *to, axes, dtype=dtype) * 3 - 1.5


def ours(tensor: torch.Tensor, grad: bool = True):
    made = mezzo.tensor(tensor.detach().contiguous().double().numpy())
    return made.to(getattr(mezzo, str(tensor.dtype).removeprefix("torch."))).requires_grad_(grad)


def close(got, want: torch.Tensor, tolerance: float) -> None:
    found = torch.from_numpy(np.array(got.detach().to(mezzo.float64).numpy()))
    torch.testing.assert_close(found, want.detach().double(), rtol=tolerance, atol=tolerance, equal_nan=True)  # fmt: skip


def check(axes, mode, padding, align, dtype, last=False) -> None:
    """Result and both gradients against PyTorch's."""
    image, grid = example(axes, dtype)
    a, b = image.clone().requires_grad_(), grid.clone().requires_grad_()
    x, at = ours(image), ours(grid)
    read = x.contiguous(memory_format="channels_last") if last else x
    want = torch.nn.functional.grid_sample(a, b, mode, padding, align)
    got = F.grid_sample(read, at, mode, padding, align)
    g = torch.randn_like(want)
    want.backward(g)
    got.backward(ours(g, False))
    tolerance = 1e-11 if dtype is torch.float64 else 1e-4
    for found, expected in ((got, want), (x.grad, a.grad), (at.grad, b.grad)):
        close(found, expected, tolerance)


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_against_torch(way, last):
    check(*way, torch.float32, last and way[0] == 2)
    check(*way, torch.float64)


def check_low(dtype: torch.dtype) -> None:
    """16 bits are read and rounded once: what float32 makes of the same numbers."""
    image, grid = example(2, dtype)
    a, b = image.float().requires_grad_(), grid.float().requires_grad_()
    x, at = ours(image), ours(grid)
    want = torch.nn.functional.grid_sample(a, b, "bilinear", "border", False)
    got = F.grid_sample(x, at, "bilinear", "border", False)
    g = torch.randn(want.shape).to(dtype)
    want.backward(g.float())
    got.backward(ours(g, False))
    for found, expected in ((got, want), (x.grad, a.grad), (at.grad, b.grad)):
        assert found.dtype is x.dtype
        close(found, expected, 1e-2 if dtype is torch.bfloat16 else 2e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_16_bits(dtype):
    check_low(dtype)


@pytest.mark.parametrize(("mode", "padding"), list(itertools.product(MODES, PADDINGS)))
def test_far_places_and_no_numbers(mode, padding):
    places = [float("nan"), float("inf"), float("-inf"), 1e30, -40.0, -1.0, 1.0, 3.0]
    grid = torch.full((1, 1, 16, 2), 0.1)
    grid[0, 0, :8, 0] = torch.tensor(places)
    grid[0, 0, 8:, 1] = torch.tensor(places)
    image = torch.arange(20.0).reshape(1, 1, 4, 5)
    for align in (False, True):
        want = torch.nn.functional.grid_sample(image, grid, mode, padding, align)
        close(F.grid_sample(ours(image), ours(grid), mode, padding, align), want, 1e-5)


def test_one_row_in_mirrors():
    """Aligned, an axis of one element has no mirrors: everything is that element."""
    image, grid = torch.randn(1, 2, 1, 5), torch.rand(1, 3, 4, 2) * 4 - 2
    for mode in MODES:
        want = torch.nn.functional.grid_sample(image, grid, mode, "reflection", True)
        close(F.grid_sample(ours(image), ours(grid), mode, "reflection", True), want, 1e-5)


def test_higher_derivatives():
    """Of weights that are polynomials: against central differences of the derivative below, in float64."""
    for axes, mode in ((2, "bicubic"), (3, "bilinear")):
        image, grid = example(axes, torch.float64, 2)
        x, at = ours(image), ours(grid)
        rng = np.random.default_rng(1)
        by, turn, again = (mezzo.tensor(rng.standard_normal(grid.shape)) for _ in range(3))

        def first(x, at, by=by, mode=mode):
            y = F.grid_sample(x, at, mode, "border", False)
            return (mezzo.autograd.grad((y * y).sum(), at, create_graph=True)[0] * by).sum()

        def second(x, at, first=first, turn=turn):
            return (mezzo.autograd.grad(first(x, at), at, create_graph=True)[0] * turn).sum()

        for function in (first, second):
            step = 1e-5
            by_grid, by_image = mezzo.autograd.grad(function(x, at), (at, x))
            far, near = (function(x, (at + s * again).detach().requires_grad_()) for s in (step, -step))  # fmt: skip
            slope = float((far - near).detach()) / (2 * step)
            assert float((by_grid * again).sum()) == pytest.approx(slope, rel=1e-5)
            moved = mezzo.tensor(rng.standard_normal(image.shape))
            far, near = (function((x + s * moved).detach().requires_grad_(), at) for s in (step, -step))  # fmt: skip
            slope = float((far - near).detach()) / (2 * step)
            assert float((by_image * moved).sum()) == pytest.approx(slope, rel=1e-5)


def test_nearest_has_no_gradient_by_the_grid():
    image, grid = example(2, torch.float32)
    x, at = ours(image), ours(grid)
    F.grid_sample(x, at, "nearest", "zeros", False).sum().backward()
    assert not at.grad.any()


def results(image, grid, g):
    x, at = ours(image), ours(grid)
    y = F.grid_sample(x, at, "bilinear", "zeros", False)
    y.backward(ours(g, False))
    return [np.array(t.detach().numpy()) for t in (y, x.grad, at.grad)]


def test_threads_and_strides_do_not_change_results(monkeypatch):
    torch.manual_seed(0)
    image, grid = torch.randn(3, 7, 33, 35), torch.rand(3, 40, 41, 2) * 2.4 - 1.2
    g = torch.randn(3, 7, 40, 41)
    count, found = pool.get_num_threads(), []
    try:
        for threads in (1, 3):
            pool.set_num_threads(threads)
            found.append(results(image, grid, g))
    finally:
        pool.set_num_threads(count)
    monkeypatch.setattr(grids, "NARROW", 1)  # positions as 64 bits
    monkeypatch.setattr(grids, "PLANES", 1)  # one plane a unit
    wide = F.grid_sample(ours(image)[:, :, :32, 1:], ours(grid), "bilinear", "zeros", False)
    monkeypatch.undo()
    part = F.grid_sample(ours(image[:, :, :32, 1:].contiguous()), ours(grid), "bilinear", "zeros", False)  # fmt: skip
    assert (wide == part).all()
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)

    x, at = ours(image, False), ours(torch.stack([grid, grid], -1), False)[..., 0]
    assert not at.is_contiguous()
    np.testing.assert_array_equal(F.grid_sample(x, at, align_corners=False).numpy(), found[0][0])


@pytest.mark.parametrize("label", ["avx512bf16", "avx512", "avx2", "plain"])
def test_other_processors(label):
    """The same with shorter vectors, and with pages behind every block that nobody may touch."""
    lowered.run_code(__file__, label, CODE)


def test_affine_grid_large():
    theta = torch.randn(3, 2, 3, dtype=torch.float64)
    want = torch.nn.functional.affine_grid(theta, (3, 1, 17, 19), align_corners=False)
    close(F.affine_grid(ours(theta), (3, 1, 17, 19), align_corners=False), want, 1e-12)
