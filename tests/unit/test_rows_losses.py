"""Losses and the second derivatives of row operations, against PyTorch in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as TF

import mezzo
from mezzo.nn import functional as F

CLASSES = torch.tensor([[1, 4, 0], [2, 2, 3]])
REDUCTIONS = ["mean", "sum", "none"]


def numbers(*shape: int, seed: int = 0, unit: bool = False) -> torch.Tensor:
    """Reproducible float64 numbers, normal or inside (0.1, 0.9)."""
    generator = torch.Generator().manual_seed(seed + 31 * len(shape))
    if unit:
        return torch.rand(shape, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def ours(x):
    return mezzo.from_numpy(x.detach().numpy().copy()) if isinstance(x, torch.Tensor) else x


def close(got, want, what: str) -> None:
    want = want.detach() if want is not None else torch.zeros((), dtype=torch.float64)
    got = torch.zeros_like(want) if got is None else torch.from_numpy(got.detach().numpy().copy())
    torch.testing.assert_close(
        got, want.expand(got.shape), rtol=1e-9, atol=1e-9, msg=lambda m: f"{what}: {m}"
    )


def twice(theirs, mine, *args) -> None:
    """Values, first derivatives, and the derivatives of their weighted sum."""
    given = [a.clone().requires_grad_() if a.is_floating_point() else a for a in args]
    have = [ours(a) for a in given]
    asked = [i for i, a in enumerate(given) if a.is_floating_point()]
    for i in asked:
        have[i].requires_grad_()
    want, got = theirs(*given), mine(*have)
    close(got, want, "value")
    g = numbers(*want.shape, seed=5).requires_grad_()
    my_g = ours(g).requires_grad_()
    inputs, my_inputs = [given[i] for i in asked], [have[i] for i in asked]
    first = torch.autograd.grad(want, inputs, g, create_graph=True)
    my_first = mezzo.autograd.grad(got, my_inputs, my_g, create_graph=True)
    weights = [numbers(*t.shape, seed=7 + i) for i, t in enumerate(first)]
    for a, b in zip(my_first, first):
        close(a, b, "first derivative")
    total = sum((t * w).sum() for t, w in zip(first, weights) if t.requires_grad)
    my_total = sum((t * ours(w)).sum() for t, w in zip(my_first, weights))
    second = torch.autograd.grad(total, [*inputs, g], allow_unused=True)
    my_second = mezzo.autograd.grad(my_total, [*my_inputs, my_g], allow_unused=True)
    for a, b in zip(my_second, second):
        close(a, b, "second derivative")


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_softmax(name, dim):
    twice(
        lambda x: getattr(torch, name)(x, dim),
        lambda x: getattr(mezzo, name)(x, dim),
        numbers(3, 5, 2),
    )


def test_layer_norm():
    x, w, b = numbers(3, 4, 5), numbers(4, 5), numbers(4, 5, seed=1)
    twice(
        lambda x, w, b: TF.layer_norm(x, (4, 5), w, b),
        lambda x, w, b: F.layer_norm(x, (4, 5), w, b),
        x,
        w,
        b,
    )
    twice(lambda x: TF.layer_norm(x, (5,)), lambda x: F.layer_norm(x, (5,)), x)


def test_rms_norm():
    twice(
        lambda x, w: TF.rms_norm(x, (5,), w),
        lambda x, w: F.rms_norm(x, (5,), w),
        numbers(3, 5),
        numbers(5),
    )


def test_group_norm():
    x, w, b = numbers(2, 6, 5), numbers(6), numbers(6, seed=1)
    twice(
        lambda x, w, b: TF.group_norm(x, 3, w, b), lambda x, w, b: F.group_norm(x, 3, w, b), x, w, b
    )


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5)], ids=str)
def test_batch_norm(shape):
    x, w, b = numbers(*shape), numbers(3), numbers(3, seed=1)
    twice(lambda x, w, b: TF.batch_norm(x, None, None, w, b, True),
          lambda x, w, b: F.batch_norm(x, None, None, w, b, True), x, w, b)  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(reduction, smoothing, weighted):
    weight = numbers(5, unit=True) if weighted else None
    options = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": 2}
    twice(lambda x, t: TF.cross_entropy(x, t, weight, **options),
          lambda x, t: F.cross_entropy(x, t, ours(weight), **options), numbers(2, 5, 3), CLASSES)  # fmt: skip
    del options["ignore_index"]
    twice(lambda x, t: TF.cross_entropy(x, t, weight, **options),
          lambda x, t: F.cross_entropy(x, t, ours(weight), **options), numbers(3, 5), numbers(3, 5, unit=True))  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_loss(reduction):
    weight = numbers(5, unit=True)
    twice(lambda x, t: TF.nll_loss(x, t, weight, ignore_index=2, reduction=reduction),
          lambda x, t: F.nll_loss(x, t, ours(weight), ignore_index=2, reduction=reduction), numbers(2, 5, 3), CLASSES)  # fmt: skip


@pytest.mark.parametrize("bad", [5, -1])
def test_a_class_out_of_range_is_named(bad):
    target = torch.tensor([0, bad, 1])
    for function in (F.cross_entropy, F.nll_loss):
        with pytest.raises(IndexError, match=f"Target {bad} is out of bounds"):
            function(ours(numbers(3, 5)), ours(target))
        with pytest.raises(IndexError, match=f"Target {bad} is out of bounds"):
            function(ours(numbers(2, 5, 20)), ours(torch.full((2, 20), bad)))
    same = F.cross_entropy(ours(numbers(3, 5)), ours(target), ignore_index=bad)
    close(same, TF.cross_entropy(numbers(3, 5), target, ignore_index=bad), "ignored class")


def test_cross_entropy_of_large_numbers_stays_exact():
    x = numbers(50, 300).float() * 5 + 1000
    target = torch.arange(50) * 6
    want = TF.cross_entropy(x.double(), target)
    got = F.cross_entropy(ours(x), ours(target))
    assert abs(got.item() - want.item()) < 1e-5


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div",
                                  "binary_cross_entropy", "binary_cross_entropy_with_logits",
                                  "multilabel_soft_margin_loss", "poisson_nll_loss"])  # fmt: skip
def test_losses_of_pairs(name, reduction):
    theirs, mine = getattr(TF, name), getattr(F, name)
    x, y = numbers(3, 5, unit=name == "binary_cross_entropy"), numbers(3, 5, seed=3, unit=True)
    twice(
        lambda a, b: theirs(a, b, reduction=reduction),
        lambda a, b: mine(a, b, reduction=reduction),
        x,
        y,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_of_three(reduction):
    a, b, c = numbers(3, 5), numbers(3, 5, seed=1), numbers(3, 5, seed=2)
    for options in ({}, {"margin": 2.0, "p": 3.0, "swap": True}):
        twice(lambda a, b, c, o=options: TF.triplet_margin_loss(a, b, c, reduction=reduction, **o),
              lambda a, b, c, o=options: F.triplet_margin_loss(a, b, c, reduction=reduction, **o), a, b, c)  # fmt: skip
    sign = torch.tensor([1, -1, 1])
    twice(lambda a, b, t: TF.cosine_embedding_loss(a, b, t, 0.1, reduction=reduction),
          lambda a, b, t: F.cosine_embedding_loss(a, b, t, 0.1, reduction=reduction), a, b, sign)  # fmt: skip
    var = numbers(3, 5, unit=True)
    twice(lambda a, b, v: TF.gaussian_nll_loss(a, b, v, True, reduction=reduction),
          lambda a, b, v: F.gaussian_nll_loss(a, b, v, True, reduction=reduction), a, b, var)  # fmt: skip


def test_old_reduction_arguments_warn():
    x, y = ours(numbers(3)), ours(numbers(3, seed=1))
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert (
            F.mse_loss(x, y, size_average=False).item() == F.mse_loss(x, y, reduction="sum").item()
        )
