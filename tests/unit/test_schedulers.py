"""Every learning-rate scheduler against PyTorch's sequence, over two parameter groups."""

from __future__ import annotations

import json
import math
import pickle
import warnings

import pytest
import torch

from mezzo.optim import lr_scheduler as ours

theirs = torch.optim.lr_scheduler
STEPS = 25


class Optimizer:
    """As little of an optimizer as a scheduler may count on."""

    def __init__(self, adam: bool = False):
        self.defaults = {"betas": (0.9, 0.999)} if adam else {"momentum": 0.9}
        self.param_groups = [{"lr": lr, **self.defaults} for lr in (0.5, 0.02)]

    def step(self):
        """Change nothing."""


def torch_optimizer(adam: bool = False):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.5, 0.02)]
    return torch.optim.Adam(groups) if adam else torch.optim.SGD(groups, momentum=0.9)


CASES = """
LambdaLR(o, lambda e: 0.9 ** e)
LambdaLR(o, [lambda e: 1 / (1 + e), lambda e: 0.5])
MultiplicativeLR(o, lambda e: 0.95)
StepLR(o, 4, 0.3)
StepLR(o, 1)
MultiStepLR(o, [3, 7, 7, 20], 0.5)
ConstantLR(o, 0.25, 6)
LinearLR(o, 0.1, 0.8, 10)
LinearLR(o)
ExponentialLR(o, 0.9)
PolynomialLR(o, 12, 2.0)
CosineAnnealingLR(o, 7, 0.001)
CosineAnnealingLR(o, 50)
CosineAnnealingWarmRestarts(o, 3, 2, 1e-3)
CosineAnnealingWarmRestarts(o, 5)
OneCycleLR(o, 1.5, total_steps=25)
OneCycleLR(o, [1.5, 0.2], epochs=5, steps_per_epoch=6, anneal_strategy="linear", three_phase=True)
OneCycleLR(o, 0.1, total_steps=30, cycle_momentum=False, pct_start=0.1, div_factor=5.0)
CyclicLR(o, 0.01, 0.1, 4)
CyclicLR(o, [0.01, 0.02], [0.1, 0.4], 3, 5, mode="triangular2")
CyclicLR(o, 0.01, 0.1, 4, mode="exp_range", gamma=0.9, cycle_momentum=False)
CyclicLR(o, 0.01, 0.1, 4, scale_fn=lambda x: 0.5 ** x, scale_mode="iterations")
SequentialLR(o, [ConstantLR(o, 0.1, 4), ExponentialLR(o, 0.9)], [5])
SequentialLR(o, [LinearLR(o, 0.1, 1.0, 5), CosineAnnealingLR(o, 15), StepLR(o, 3)], [5, 18])
SequentialLR(o, [CosineAnnealingWarmRestarts(o, 3), LinearLR(o)], [7])
SequentialLR(o, [SequentialLR(o, [ConstantLR(o), StepLR(o, 2)], [4]), ExponentialLR(o, 0.9)], [8])
ChainedScheduler([ConstantLR(o, 0.1, 4), ExponentialLR(o, 0.9)])
ChainedScheduler([CosineAnnealingLR(o, 10), StepLR(o, 4)], o)
""".strip().splitlines()


def make(module, text: str, optimizer):
    return eval(text, {**vars(module), "o": optimizer})


def settings(optimizer) -> list:
    """What a scheduler may change."""
    return [
        (g["lr"], g.get("momentum"), (g.get("betas") or (None,))[0]) for g in optimizer.param_groups
    ]


def same(mine: list, other: list, where) -> None:
    for a, b in zip(mine, other, strict=True):
        for x, y in zip(a, b, strict=True):
            assert (x is None and y is None) or math.isclose(x, y, rel_tol=1e-12, abs_tol=1e-15), (
                where, mine, other,
            )  # fmt: skip


def advance(scheduler, optimizer) -> None:
    optimizer.step()
    scheduler.step()


@pytest.mark.parametrize("adam", [False, True], ids=["sgd", "adam"])
@pytest.mark.parametrize("text", CASES)
def test_sequence(text, adam):
    mine, other = Optimizer(adam), torch_optimizer(adam)
    a, b = make(ours, text, mine), make(theirs, text, other)
    for step in range(STEPS):
        same(settings(mine), settings(other), step)
        assert a.get_last_lr() == [g["lr"] for g in mine.param_groups]
        if step < STEPS - 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # SequentialLR calls step(0), as PyTorch's does
                advance(a, mine)
                advance(b, other)


@pytest.mark.parametrize("text", CASES)
@pytest.mark.filterwarnings("ignore")
def test_state_dict_resumes(text):
    first = Optimizer()
    scheduler = make(ours, text, first)
    for _ in range(9):
        advance(scheduler, first)
    state = pickle.loads(pickle.dumps(scheduler.state_dict()))
    second = Optimizer()
    resumed = make(ours, text, second)
    second.param_groups = [dict(g) for g in first.param_groups]
    resumed.load_state_dict(state)
    for _ in range(9):
        advance(scheduler, first)
        advance(resumed, second)
        assert settings(first) == settings(second)


CLOSED = [c for c in CASES if c.split("(")[0] in {
    "StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR",
    "CosineAnnealingLR", "CosineAnnealingWarmRestarts",
}]  # fmt: skip


@pytest.mark.parametrize("text", CLOSED)
@pytest.mark.filterwarnings("ignore")
def test_step_to_an_epoch(text):
    mine, other = Optimizer(), torch_optimizer()
    a, b = make(ours, text, mine), make(theirs, text, other)
    for epoch in (3, 17, 2, 8):
        a.step(epoch)
        b.step(epoch)
        same(settings(mine), settings(other), epoch)


def test_step_to_an_epoch_is_deprecated():
    optimizer = Optimizer()
    scheduler = ours.StepLR(optimizer, 2)
    optimizer.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(3)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("cooldown", [0, 2])
def test_plateau(mode, threshold_mode, cooldown):
    options = {
        "mode": mode, "threshold_mode": threshold_mode, "cooldown": cooldown, "patience": 2,
        "factor": 0.5, "threshold": 0.05, "min_lr": [0.01, 0.015],
    }  # fmt: skip
    mine, other = Optimizer(), torch_optimizer()
    a, b = ours.ReduceLROnPlateau(mine, **options), theirs.ReduceLROnPlateau(other, **options)
    sign = 1 if mode == "max" else -1
    metrics = [
        1,
        1.1,
        1.1,
        1.12,
        1.13,
        1.1,
        1.5,
        1.4,
        1.3,
        1.2,
        1.1,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
        2,
        1,
        1,
    ]
    for metric in metrics:
        a.step(sign * metric)
        b.step(torch.tensor(sign * metric))
        same(settings(mine), settings(other), metric)
        assert (a.num_bad_epochs, a.cooldown_counter, a.in_cooldown) == (
            b.num_bad_epochs, b.cooldown_counter, b.in_cooldown,
        )  # fmt: skip
    again = ours.ReduceLROnPlateau(Optimizer(), **options)
    again.load_state_dict(json.loads(json.dumps(a.state_dict())))
    assert again.best == a.best and again.last_epoch == a.last_epoch


def test_the_optimizer_steps_first():
    with pytest.warns(UserWarning, match=r"before `optimizer.step\(\)`"):
        ours.StepLR(Optimizer(), 2).step()
    optimizer = Optimizer()
    scheduler = ours.StepLR(optimizer, 2)
    optimizer.step = lambda: None
    with pytest.warns(UserWarning, match="has been overridden"):
        scheduler.step()
    optimizer = Optimizer()
    scheduler = ours.StepLR(optimizer, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        advance(scheduler, optimizer)
        scheduler.step()


def test_rates_in_tensors_are_filled_in_place():
    optimizer = Optimizer()
    held = optimizer.param_groups[0]["lr"] = torch.tensor(0.5, dtype=torch.float64)
    scheduler = ours.ExponentialLR(optimizer, 0.5)
    advance(scheduler, optimizer)
    assert optimizer.param_groups[0]["lr"] is held and held.item() == 0.25
    assert scheduler.base_lrs[0].item() == 0.5


def test_lambda_objects_are_saved():
    class Warmup:
        def __init__(self):
            self.length = 3

        def __call__(self, epoch):
            return min(1.0, epoch / self.length)

    scheduler = ours.LambdaLR(Optimizer(), [Warmup(), lambda e: 1.0])
    assert scheduler.state_dict()["lr_lambdas"] == [{"length": 3}, None]


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("LambdaLR(o, [abs])", ValueError, "expected 2 values for lr_lambda, got 1"),
        ("ConstantLR(o, 1.5)", ValueError, "between 0 and 1"),
        ("LinearLR(o, 0)", ValueError, "greater than 0"),
        ("LinearLR(o, 1, 2)", ValueError, "Ending"),
        ("CosineAnnealingWarmRestarts(o, 0)", ValueError, "positive integer T_0"),
        ("OneCycleLR(o, 0.1)", ValueError, "total_steps OR"),
        ("OneCycleLR(o, 0.1, total_steps=5, anneal_strategy='x')", ValueError, "anneal_strategy"),
        ("CyclicLR(o, 0.1, 1.0, mode='x')", ValueError, "mode is invalid"),
        ("ReduceLROnPlateau(o, factor=1.0)", ValueError, "Factor"),
        ("SequentialLR(o, [StepLR(o, 1)], [3])", ValueError, "number of milestones"),
        ("SequentialLR(o, [ReduceLROnPlateau(o)], [])", ValueError, "ReduceLROnPlateau"),
        ("ChainedScheduler([])", ValueError, "at least one"),
        ("StepLR(o, 2, last_epoch=4)", KeyError, "initial_lr"),
        ("StepLR(None, 2)", TypeError, "not an Optimizer"),
    ],
)
def test_errors(text, kind, message):
    with pytest.raises(kind, match=message):
        make(ours, text, Optimizer())


def test_too_many_steps_of_one_cycle():
    optimizer = Optimizer()
    scheduler = ours.OneCycleLR(optimizer, 0.1, total_steps=3)
    with pytest.raises(ValueError, match="total steps is 3"):
        for _ in range(5):
            advance(scheduler, optimizer)
