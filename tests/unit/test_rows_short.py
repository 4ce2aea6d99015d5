"""Rows of few elements, which are taken side by side: against PyTorch, and alone against among others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import mezzo
from mezzo.kernels.cpu.rows_turned import ROWS, SHORT
from mezzo.nn import functional as F

WIDTHS = [2, 3, 15, 16, 17, 32, 47, SHORT, SHORT + 1]
COUNTS = [1, 15, 16, 17, ROWS, ROWS + 1, 3 * ROWS - 1]
DTYPES = {"float32": 3e-6, "bfloat16": 2.0**-7, "float16": 2.0**-10}


def normal(*shape: int, dtype: str = "float32") -> torch.Tensor:
    """Reproducible numbers."""
    generator = torch.Generator().manual_seed(sum((i + 3) * n for i, n in enumerate(shape)))
    return torch.randn(shape, generator=generator).to(getattr(torch, dtype))


def ours(x: torch.Tensor, grad: bool = False):
    """A mezzo tensor of the same values."""
    found = mezzo.tensor(x.float().numpy() if x.is_floating_point() else x.numpy())
    return found.to(getattr(mezzo, str(x.dtype).removeprefix("torch."))).requires_grad_(grad)


def near(got, want: torch.Tensor, tolerance: float) -> None:
    """Within a tolerance of the largest."""
    got = torch.from_numpy(got.detach().to(mezzo.float64).numpy().copy())
    scale = max(1.0, float(want.detach().abs().max()))
    torch.testing.assert_close(got, want.detach(), rtol=0, atol=tolerance * scale)


ROW_OPERATIONS = {
    "softmax": (lambda x, w: TF.softmax(x, -1), lambda x, w: F.softmax(x, -1)),
    "log_softmax": (lambda x, w: TF.log_softmax(x, -1), lambda x, w: F.log_softmax(x, -1)),
    "logsumexp": (lambda x, w: x.logsumexp(-1), lambda x, w: x.logsumexp(-1)),
    "layer_norm": (
        lambda x, w: TF.layer_norm(x, x.shape[-1:], w, w, 0.1),
        lambda x, w: F.layer_norm(x, tuple(x.shape[-1:]), w, w, 0.1),
    ),
    "rms_norm": (
        lambda x, w: TF.rms_norm(x, x.shape[-1:], None, 0.1),
        lambda x, w: F.rms_norm(x, tuple(x.shape[-1:]), None, 0.1),
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ROW_OPERATIONS)
def test_values_and_gradients(name, dtype):
    their_function, our_function = ROW_OPERATIONS[name]
    for width in WIDTHS:
        for count in COUNTS:
            x, w = normal(count, width, dtype=dtype), normal(width, dtype=dtype)
            wide, leaf = x.double().requires_grad_(), ours(x, grad=True)
            want, got = their_function(wide, w.double()), our_function(leaf, ours(w))
            near(got, want, DTYPES[dtype])
            g = normal(*want.shape, dtype=dtype)
            want.backward(g.double())
            got.backward(ours(g))
            near(leaf.grad, wide.grad, 8 * DTYPES[dtype])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy(dtype, smoothing, weighted):
    for width in WIDTHS:
        for count in COUNTS:
            x = normal(count, width).double()
            target = torch.arange(count) * 7 % width
            target[count // 2] = -100  # a row that is passed over
            weight = normal(width).abs().double() + 0.1 if weighted else None
            mine = [None if t is None else ours(t).to(getattr(mezzo, dtype)) for t in (x, weight)]
            options = {"label_smoothing": smoothing, "reduction": "none"}
            want = TF.cross_entropy(x, target, weight, **options)
            got = F.cross_entropy(mine[0], ours(target), mine[1], **options)
            near(got, want, 3e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_has_the_same_bits_alone_and_among_others(dtype):
    for width in (2, 10, 17, 32, SHORT):
        x = ours(normal(2 * ROWS + 5, width, dtype=dtype))
        for _, function in ROW_OPERATIONS.values():
            whole = function(x, None)
            for at in (0, ROWS - 1, ROWS, 2 * ROWS + 4):
                alone = [function(x[at : at + 1], None)[0], function(x[at], None)]
                for one in alone:
                    assert np.array_equal(one.float().numpy(), whole[at].float().numpy())


def test_other_memory():
    """Rows with room between them, in the order of another axis, and the same row again and again."""
    x = normal(6, 40, 20)
    for view in (
        lambda t: t[:, :, :9],
        lambda t: t.transpose(0, 1),
        lambda t: t[:, :1].expand(6, 40, 20),
        lambda t: t.transpose(1, 2),
    ):
        want, got = view(x.double()), view(ours(x))
        width = tuple(want.shape[-1:])
        near(F.softmax(got, -1), TF.softmax(want, -1), 3e-6)
        near(F.layer_norm(got, width), TF.layer_norm(want, width), 3e-6)


@pytest.mark.parametrize("bad", [-1, 10])
def test_a_class_out_of_range_is_named_wherever_it_stands(bad):
    for count in (1, ROWS + 3):
        target = torch.zeros(count, dtype=torch.long)
        target[count - 1] = bad
        with pytest.raises(IndexError, match=f"Target {bad} is out of bounds"):
            F.cross_entropy(ours(normal(count, 10)), ours(target))


def test_nan_and_infinity_stay_in_their_row():
    x = normal(ROWS, 5)
    x[3, 2], x[4, 1], x[5] = float("nan"), float("inf"), -float("inf")
    got = F.softmax(ours(x), 1).numpy()
    np.testing.assert_allclose(got, TF.softmax(x.double(), 1).numpy(), atol=1e-6, equal_nan=True)
