"""Whole training steps compiled: forward, backward, clipping, optimizer and schedule as one graph."""

from __future__ import annotations

import copy
import itertools
import warnings

import numpy as np
import pytest
from compiling import same

import mezzo
from mezzo import nn, optim
from mezzo.nn import functional as F

CLASSES = sorted(
    name
    for name, kind in vars(optim).items()
    if isinstance(kind, type) and issubclass(kind, optim.Optimizer) and kind is not optim.Optimizer
)
OPTIONS = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
            {"momentum": 0.9, "dampening": 0.5}, {"maximize": True}],
    "Adam": [{}, {"amsgrad": True, "weight_decay": 0.1}],
    "AdamW": [{}, {"weight_decay": 0.3, "maximize": True}],
    "RMSprop": [{}, {"momentum": 0.9, "centered": True}],
    "Adagrad": [{}, {"lr_decay": 0.1, "initial_accumulator_value": 0.5}],
    "Adafactor": [{}, {"weight_decay": 0.1, "maximize": True}],
    "Muon": [{}, {"adjust_lr_fn": "match_rms_adamw", "nesterov": False}],
}  # fmt: skip
CASES = [(name, options) for name in CLASSES if name != "LBFGS" for options in OPTIONS.get(name, [{}])]  # fmt: skip


@pytest.fixture(autouse=True)
def _seed():
    mezzo.manual_seed(0)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def batches(count: int, size: int = 6) -> list:
    return [(mezzo.randn(size, 5), mezzo.randint(0, 3, (size,))) for _ in range(count)]


class Trainer:
    """A model, its optimizer, and a step over both; make(model) gives the optimizer, step(self, x, y) the loss."""

    def __init__(self, model, make, step, compiled: bool):
        self.model, self.optimizer = model, make(model)
        function = lambda x, y: step(self, x, y)
        self.step = mezzo.compile(function) if compiled else function
        self.compiled = self.step


def plain(self, x, y):
    self.optimizer.zero_grad()
    loss = F.cross_entropy(self.model(x), y)
    loss.backward()
    self.optimizer.step()
    return loss


def pair(make, step=plain, model=None) -> tuple[Trainer, Trainer]:
    """The same training, compiled and eager."""
    model = model or network()
    return tuple([Trainer(copy.deepcopy(model), make, step, c) for c in (True, False)])


def equal(a: Trainer, b: Trainer, exact: bool = True) -> None:
    """Parameters, gradients and optimizer state are the same."""
    compare = same if exact else close
    for p, q in zip(a.model.parameters(), b.model.parameters()):
        compare(p, q)
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            compare(p.grad, q.grad)
        assert a.optimizer.state[p].keys() == b.optimizer.state[q].keys()
        for key, value in a.optimizer.state[p].items():
            other = b.optimizer.state[q][key]
            if isinstance(value, mezzo.Tensor):
                compare(value, other)
            else:
                assert value == other, key
    assert [g["lr"] for g in a.optimizer.param_groups] == [
        g["lr"] for g in b.optimizer.param_groups
    ]


def close(found, expected) -> None:
    np.testing.assert_allclose(
        found.detach().numpy(), expected.detach().numpy(), rtol=2e-6, atol=1e-7
    )


def run(a: Trainer, b: Trainer, count: int = 5, exact: bool = True) -> None:
    for x, y in batches(count):
        (same if exact else close)(a.step(x, y), b.step(x, y))
        equal(a, b, exact)


@pytest.mark.parametrize("name, options", CASES, ids=lambda v: str(v))
def test_every_optimizer(name, options):
    def make(model):
        given = [p for p in model.parameters() if p.dim() == 2 or name != "Muon"]
        return getattr(optim, name)(given, lr=0.01, **options)

    a, b = pair(make)
    run(a, b)
    assert a.step.traces <= 2 and not a.step.is_eager and not a.step.splits


def test_lbfgs():
    """It looks at its losses, so it runs in stretches."""

    def step(self, x, y):
        def closure():
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(x), y)
            loss.backward()
            return loss

        return self.optimizer.step(closure)

    a, b = pair(lambda m: optim.LBFGS(m.parameters(), lr=0.1, max_iter=4), step)
    for x, y in batches(3):
        close(a.step(x, y), b.step(x, y))
    for p, q in zip(a.model.parameters(), b.model.parameters()):
        close(p, q)


def test_it_learns_and_traces_once():
    a, b = pair(lambda m: optim.AdamW(m.parameters(), lr=0.02))
    x, y = batches(1, 32)[0]
    losses = [(a.step(x, y).item(), b.step(x, y).item()) for _ in range(60)]
    assert losses[-1] == losses[-1][::-1] and losses[-1][0] < losses[0][0] / 2
    assert a.step.traces == 1


def test_clipping():
    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x) * 10, y)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
        nn.utils.clip_grad_value_(self.model.parameters(), 0.1)
        self.optimizer.step()
        return loss + norm.detach()

    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.9), step)
    run(a, b)
    assert a.step.traces == 1 and not a.step.splits


SCHEDULES = {
    "StepLR": lambda o: optim.lr_scheduler.StepLR(o, 2, 0.5),
    "CosineAnnealingLR": lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 4),
    "OneCycleLR": lambda o: optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=10),
    "CosineAnnealingWarmRestarts": lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "SequentialLR": lambda o: optim.lr_scheduler.SequentialLR(
        o, [optim.lr_scheduler.LinearLR(o, 0.1, total_iters=3), optim.lr_scheduler.ExponentialLR(o, 0.5)], [3]
    ),
    "ChainedScheduler": lambda o: optim.lr_scheduler.ChainedScheduler(
        [optim.lr_scheduler.ConstantLR(o, 0.3, 3), optim.lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "LambdaLR": lambda o: optim.lr_scheduler.LambdaLR(o, lambda n: 1 / (n + 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore:Detected call:UserWarning")
def test_schedules_step_at_every_call(name):
    def step(self, x, y):
        loss = plain(self, x, y)
        self.schedule.step()
        return loss

    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=0.05, momentum=0.9), step)
    for t in (a, b):
        t.schedule = SCHEDULES[name](t.optimizer)
    for x, y in batches(8):
        same(a.step(x, y), b.step(x, y))
        equal(a, b)
        assert a.schedule.get_last_lr() == b.schedule.get_last_lr()
        assert (
            a.schedule.last_epoch == b.schedule.last_epoch if name != "ChainedScheduler" else True
        )
    assert a.step.traces == 1 and not a.step.splits


def test_a_rate_read_inside_is_that_of_the_call():
    def step(self, x, y):
        plain(self, x, y)
        self.schedule.step()
        return self.schedule.get_last_lr()[0]

    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=1.0), step)
    for t in (a, b):
        t.schedule = optim.lr_scheduler.ExponentialLR(t.optimizer, 0.5)
    assert [a.step(x, y) for x, y in batches(4)] == [0.5, 0.25, 0.125, 0.0625]
    assert [b.step(x, y) for x, y in batches(4)] == [0.5, 0.25, 0.125, 0.0625]


def test_reduce_on_plateau():
    def step(self, x, y):
        loss = plain(self, x, y)
        self.schedule.step(loss)
        return loss

    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=3.0), step)
    for t in (a, b):
        t.schedule = optim.lr_scheduler.ReduceLROnPlateau(t.optimizer, patience=0)
    run(a, b, 8)
    assert a.optimizer.param_groups[0]["lr"] < 3.0


def test_rates_changed_from_outside():
    a, b = pair(lambda m: optim.AdamW(m.parameters(), lr=0.01))
    for i, (x, y) in enumerate(batches(4)):
        for t in (a, b):
            for group in t.optimizer.param_groups:
                group["lr"], group["weight_decay"], group["betas"] = 0.1 / (i + 1), 0.1 * i, (0.9 - i / 10, 0.99)  # fmt: skip
        same(a.step(x, y), b.step(x, y))
        equal(a, b)
    assert a.step.traces == 1


def test_rates_in_tensors():
    a, b = pair(lambda m: optim.Adam(m.parameters(), lr=mezzo.tensor(0.01)))
    for i, (x, y) in enumerate(batches(4)):
        for t in (a, b):
            t.optimizer.param_groups[0]["lr"].fill_(0.1 / (i + 1))
        same(a.step(x, y), b.step(x, y))
        equal(a, b)


def test_groups():
    def make(model):
        return optim.SGD(
            [{"params": model[0].parameters()}, {"params": [model[2].weight], "lr": 0.5, "momentum": 0.0}],
            lr=0.1, momentum=0.9,
        )  # fmt: skip

    a, b = pair(make)
    run(a, b, 3)
    for t in (a, b):
        t.optimizer.add_param_group({"params": [t.model[2].bias], "lr": 0.2})
    run(a, b, 3)
    assert a.step.traces == 3  # .grad of what no group holds: None, then a tensor; the new group


def test_states_that_are_loaded():
    a, b = pair(lambda m: optim.Adam(m.parameters(), lr=0.01))
    run(a, b, 3)
    saved = [(copy.deepcopy(t.model.state_dict()), copy.deepcopy(t.optimizer.state_dict())) for t in (a, b)]  # fmt: skip
    run(a, b, 3)
    for t, (weights, state) in zip((a, b), saved):
        t.model.load_state_dict(weights)
        t.optimizer.load_state_dict(state)
    equal(a, b)
    run(a, b, 3)


def test_flags_of_groups():
    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=0.1))
    run(a, b, 2)
    for key, value in (("maximize", True), ("momentum", 0.9), ("nesterov", True)):
        for t in (a, b):
            t.optimizer.param_groups[0][key] = value
        run(a, b, 2)


# ---- gradients at entry and exit


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("at_entry", [None, 1.0])
def test_gradients_at_entry(set_to_none, at_entry):
    def step(self, x, y):
        self.optimizer.zero_grad(set_to_none=set_to_none)
        F.cross_entropy(self.model(x), y).backward()
        self.optimizer.step()
        return self.model[0].weight.grad.sum()

    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=0.1), step)
    for t in (a, b):
        for p in t.model.parameters():
            p.grad = None if at_entry is None else mezzo.full_like(p, at_entry)
    run(a, b, 3)


def test_zero_grad_after_the_step():
    def step(self, x, y):
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=0.1), step)
    run(a, b, 3)
    assert all(p.grad is None for p in a.model.parameters()) and a.step.traces == 1


def test_accumulation_over_calls():
    def step(self, x, y):
        loss = F.cross_entropy(self.model(x), y) / 2
        loss.backward()
        return loss

    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=0.1), step)
    for i, (x, y) in enumerate(batches(6)):
        same(a.step(x, y), b.step(x, y))
        equal(a, b)
        if i % 2:
            for t in (a, b):
                t.optimizer.step()
                t.optimizer.zero_grad()
    assert a.step.traces == 2  # .grad None, and .grad a tensor


def test_accumulation_inside():
    def step(self, x, y):
        self.optimizer.zero_grad()
        total = 0
        for part, labels in zip(x.chunk(3), y.chunk(3)):
            loss = F.cross_entropy(self.model(part), labels) / 3
            loss.backward()
            total = total + loss.detach()
        self.optimizer.step()
        return total

    a, b = pair(lambda m: optim.AdamW(m.parameters(), lr=0.1), step)
    run(a, b)
    assert a.step.traces == 1


def test_a_parameter_without_a_gradient():
    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.model[0](x).pow(2).mean()
        loss.backward()
        self.optimizer.step()
        return loss

    a, b = pair(lambda m: optim.Adam(m.parameters(), lr=0.1), step)
    run(a, b)
    assert a.model[2].weight.grad is None


def test_freezing_a_part():
    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=0.1))
    run(a, b, 2)
    for t in (a, b):
        t.model[0].requires_grad_(False)
    run(a, b, 2)


def test_the_loss_can_be_kept_and_read():
    a, _ = pair(lambda m: optim.SGD(m.parameters(), lr=0.1))
    losses = [a.step(x, y) for x, y in batches(4)]
    assert len({v.item() for v in losses}) == 4
    with pytest.raises(RuntimeError, match="second time|freed"):
        losses[0].backward()


def test_an_error_in_a_step_leaves_weights():
    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.9))
    run(a, b, 2)
    x, y = batches(1)[0]
    y[2] = 7
    for t in (a, b):
        with pytest.raises(IndexError, match="Target 7 is out of bounds"):
            t.step(x, y)
    assert all(np.isfinite(p.detach().numpy()).all() for p in a.model.parameters())


def test_steps_with_new_batch_sizes():
    model = network()
    a, b = pair(lambda m: optim.Adam(m.parameters(), lr=0.01), model=model)
    a.step = mezzo.compile(a.step.function, dynamic=True)
    for size in itertools.chain(range(1, 14), (3, 5)):
        x, y = mezzo.randn(size, 5), mezzo.randint(0, 3, (size,))
        same(a.step(x, y), b.step(x, y))
        equal(a, b)
    assert a.step.traces == 13 and not a.step.is_eager


def test_a_compiled_model_in_an_eager_step():
    model = network()
    a, b = pair(lambda m: optim.AdamW(m.parameters(), lr=0.01), model=model)
    a.step, a.model = a.step.function, mezzo.compile(a.model)
    run(a, b)
    assert a.model._compiled.traces == 1


def test_a_compiled_optimizer_step():
    model = network()
    a, b = pair(lambda m: optim.AdamW(m.parameters(), lr=0.01), model=model)
    a.step = a.step.function
    a.optimizer.step = mezzo.compile(a.optimizer.step)
    run(a, b)


# ---- layers


def test_dropout_and_batch_norm():
    def make_model():
        return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, 3))  # fmt: skip

    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=0.1), model=make_model())
    for x, y in batches(5):
        mezzo.manual_seed(9)
        found = a.step(x, y)
        mezzo.manual_seed(9)
        same(found, b.step(x, y))
        equal(a, b)
        for p, q in zip(a.model.buffers(), b.model.buffers()):
            same(p, q)
    assert a.step.traces == 1 and a.model[1].num_batches_tracked.item() == 5


def test_convolutions():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    )  # fmt: skip
    a, b = pair(lambda m: optim.SGD(m.parameters(), lr=0.1), model=model)
    for _ in range(3):
        x, y = mezzo.randn(4, 1, 6, 6), mezzo.randint(0, 3, (4,))
        close(a.step(x, y), b.step(x, y))
        equal(a, b, exact=False)


def test_attention():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.norm = nn.Embedding(11, 8), nn.LayerNorm(8)
            self.mix, self.out = nn.Linear(8, 24), nn.Linear(8, 11)

        def forward(self, x):
            h = self.table(x)
            q, k, v = self.mix(self.norm(h)).reshape(*x.shape, 3, 2, 4).permute(2, 0, 3, 1, 4)
            h = h + F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(
                2
            )
            return self.out(F.gelu(h)).flatten(0, 1)

    a, b = pair(lambda m: optim.AdamW(m.parameters(), lr=0.01), model=Block())
    for _ in range(3):
        x = mezzo.randint(0, 11, (2, 5))
        y = mezzo.randint(0, 11, (10,))
        close(a.step(x, y), b.step(x, y))
        equal(a, b, exact=False)
    assert a.step.traces == 1 and not a.step.splits


def test_a_scale_below_the_floor_warns_from_compiled_steps():
    model, scaler = nn.Linear(5, 3), mezzo.GradScaler("cpu", init_scale=4.0, backoff_factor=0.5)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @mezzo.compile
    def step(x):
        optimizer.zero_grad()
        scaler.scale(model(x).sum()).backward()
        report = scaler.step(optimizer)
        scaler.update()
        return report.skipped

    bad = mezzo.full((2, 5), float("inf"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):  # 4, 2, 1: the last run leaves 0.5
            assert step(bad)
    with pytest.warns(UserWarning, match="the scale fell below 1.*without compile"):
        step(bad)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert step(bad)  # said once
    assert scaler.get_scale() == 4.0 * 0.5**5
