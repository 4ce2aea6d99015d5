"""Adadelta, Adamax, NAdam, RAdam, ASGD, Rprop and LBFGS beside PyTorch's, step for step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo

CASES = [
    ("Adadelta", {"lr": 0.5}),
    ("Adadelta", {"rho": 0.8, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {"lr": 0.05}),
    ("Adamax", {"betas": (0.5, 0.9), "weight_decay": 0.1, "eps": 1e-3}),
    ("NAdam", {"lr": 0.05}),
    ("NAdam", {"weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.05}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("ASGD", {"lr": 0.05}),
    ("ASGD", {"lr": 0.05, "t0": 3, "lambd": 0.1, "weight_decay": 0.1}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.01, 0.2)}),
]
RNG = np.random.default_rng(0)
START, MATRIX = RNG.standard_normal((4, 3)), RNG.standard_normal((5, 4))


def run(frame, name: str, options: dict, steps: int):
    """The parameters after each step on a bent bowl."""
    x = frame.from_numpy(START.copy()).requires_grad_()
    bias = frame.from_numpy(START[0].copy()).requires_grad_()
    matrix = frame.from_numpy(MATRIX)
    optimizer = getattr(frame.optim, name)([x, bias], **options)
    seen = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (matrix @ x + bias).square().sum() + (x**4).sum() * 0.1
        loss.backward()
        optimizer.step()
        seen += [x.detach().numpy().copy(), bias.detach().numpy().copy()]
    return seen, optimizer, [x, bias]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_steps_are_pytorchs(name, options):
    ours, _, _ = run(mezzo, name, options, 12)
    theirs, _, _ = run(torch, name, options, 12)
    # PyTorch keeps NAdam's product of momenta and ASGD's eta in float32.
    rtol = 1e-6 if name in ("NAdam", "ASGD") else 1e-9
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * 1e-3)


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_state_goes_on_where_it_stopped(name):
    """Saved after five steps and loaded into a new optimizer, the next steps are those of an unbroken run."""
    whole, _, _ = run(mezzo, name, {}, 8)
    _, optimizer, params = run(mezzo, name, {}, 5)
    fresh = getattr(mezzo.optim, name)(params)
    fresh.load_state_dict(optimizer.state_dict())
    x, bias = params
    for _ in range(3):
        fresh.zero_grad()
        loss = (mezzo.from_numpy(MATRIX) @ x + bias).square().sum() + (x**4).sum() * 0.1
        loss.backward()
        fresh.step()
    np.testing.assert_allclose(x.detach().numpy(), whole[-2], rtol=1e-12)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("options", [{}, {"max_iter": 4, "history_size": 2}, {"lr": 0.1}], ids=str)
def test_lbfgs(search, options):
    """The losses of Rosenbrock's valley, step for step as PyTorch's."""
    losses = []
    for frame in (torch, mezzo):
        x = frame.tensor([-1.5, 2.0], dtype=frame.float64).requires_grad_()
        optimizer = frame.optim.LBFGS(
            [x], line_search_fn=search, **{"lr": 0.3 if search is None else 1, **options}
        )

        def closure(x=x, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (1 - x[0]) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2
            loss.backward()
            return loss

        losses.append([optimizer.step(closure).item() for _ in range(4)] + x.tolist())
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6, atol=1e-9)


def test_lbfgs_refuses():
    x = mezzo.zeros(2, requires_grad=True)
    with pytest.raises(ValueError, match="parameter groups"):
        mezzo.optim.LBFGS([{"params": [x]}, {"params": [mezzo.zeros(2, requires_grad=True)]}])
    with pytest.raises(ValueError, match="line_search_fn"):
        mezzo.optim.LBFGS([x], line_search_fn="armijo")


def test_a_step_of_many_numbers():
    # More than caches hold: what is read is asked for ahead, past the ends of the last buffers too.
    x = RNG.standard_normal((2, 300_007)).astype(np.float32)
    found = []
    for frame in (mezzo, torch):
        p, q = (frame.tensor(row).requires_grad_() for row in x)
        optimizer = frame.optim.SGD([p, q], lr=0.5, momentum=0.5)
        for _ in range(2):
            p.grad, q.grad = (2 * p).detach(), (q + 1).detach()
            optimizer.step()
        found.append([p.detach().numpy(), q.detach().numpy()])
    np.testing.assert_allclose(found[0], found[1], 1e-6, 1e-6)
