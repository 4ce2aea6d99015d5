"""Errors in compiled code: they name the user's line and leave everything as eager code would."""

from __future__ import annotations

import inspect
import pickle
import re
import threading

import numpy as np
import pytest

import mezzo
from mezzo import nn
from mezzo.nn import functional as F


def line_of(function, text: str) -> str:
    """What an error says of the line of a function that holds `text`."""
    lines, first = inspect.getsourcelines(function)
    at = first + next(i for i, line in enumerate(lines) if text in line)
    return re.escape(f"(at {__file__}:{at})")


def test_an_error_found_while_tracing_names_the_line():
    def f(x, w):
        y = x * 2
        return y @ w  # the product

    compiled = mezzo.compile(f)
    with pytest.raises(RuntimeError, match=r"^matmul: .*" + line_of(f, "the product") + r"\.$"):
        compiled(mezzo.ones(2, 4), mezzo.ones(3, 5))
    np.testing.assert_array_equal(compiled(mezzo.ones(2, 4), mezzo.ones(4, 5)).numpy(), 8.0)


def test_an_error_of_a_write_in_place_names_the_line():
    def f(x):
        y = x * 2
        y.add_(mezzo.ones(3, 4))  # too large
        return y

    with pytest.raises(RuntimeError, match=line_of(f, "too large")):
        mezzo.compile(f)(mezzo.ones(4))


def test_an_error_found_by_a_kernel_names_the_line():
    def f(i, table):
        rows = F.embedding(i, table)  # the look-up
        return rows * 2

    compiled, table = mezzo.compile(f), mezzo.ones(5, 3)
    compiled(mezzo.tensor([0, 4]), table)
    with pytest.raises(IndexError, match=r"index 9 .*" + line_of(f, "the look-up")):
        compiled(mezzo.tensor([0, 9]), table)
    assert compiled(mezzo.tensor([0, 4]), table).shape == (2, 3)


class Trained:
    """A small network of words with everything that a step changes."""

    def __init__(self, compiles: bool):
        mezzo.manual_seed(0)
        self.model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3))
        self.optimizer = mezzo.optim.Adam(self.model.parameters(), lr=0.1)
        self.schedule = mezzo.optim.lr_scheduler.StepLR(self.optimizer, 1, gamma=0.5)
        self.run = mezzo.compile(self.step) if compiles else self.step

    def step(self, words, kinds):
        """One step of training."""
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(words), kinds)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss

    def state(self) -> list:
        """Parameters, optimizer states, step counts and the schedule."""
        found = [p.detach().tolist() for p in self.model.parameters()]
        found += [p.grad is None for p in self.model.parameters()]
        for values in self.optimizer.state.values():
            found += [v.tolist() if hasattr(v, "tolist") else v for _, v in sorted(values.items())]
        groups = [g["lr"] for g in self.optimizer.param_groups]
        return [*found, groups, self.schedule.last_epoch, self.schedule.get_last_lr()]


@pytest.mark.parametrize("words, kinds", [([0, 7], [0, 1]), ([0, 1], [0, 3])])
def test_a_step_that_raises_changes_what_it_changes_in_eager_code(words, kinds):
    good = mezzo.tensor([0, 4]), mezzo.tensor([2, 1])
    bad = mezzo.tensor(words), mezzo.tensor(kinds)
    eager, compiled = Trained(False), Trained(True)
    for one in (eager, compiled):
        one.run(*good)
        with pytest.raises(IndexError):
            one.run(*bad)
    assert compiled.state() == eager.state()
    for one in (eager, compiled):
        one.run(*good)
    assert compiled.state() == eager.state()


def test_checks_end_a_run_before_what_python_does_in_it():
    """An inverse is a step of Python between two stretches of native code."""
    total = mezzo.zeros(2, 2)

    def f(i, table):
        rows = table[i]
        total.add_(mezzo.linalg.inv(rows))
        return rows

    compiled = mezzo.compile(f)
    table = mezzo.tensor([[2.0, 0.0], [0.0, 4.0], [1.0, 1.0]])
    compiled(mezzo.tensor([0, 1]), table)
    before = total.tolist()
    with pytest.raises(IndexError):
        compiled(mezzo.tensor([0, 5]), table)
    assert total.tolist() == before == [[0.5, 0.0], [0.0, 0.25]]


@mezzo.compile
def decorated(x):
    """Three times the cosine."""
    return x.cos() * 3


class Scaled:
    """Something with a compiled method."""

    @mezzo.compile
    def method(self, x):
        """Twice."""
        return x * 2


def plain(x):
    return x.sin() * 2


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_compiled_functions_pickle_as_their_source(protocol):
    x = mezzo.tensor([0.5, 1.0])
    assert pickle.loads(pickle.dumps(decorated, protocol)) is decorated
    assert pickle.loads(pickle.dumps(Scaled.method, protocol)) is Scaled.method
    compiled = mezzo.compile(plain, mode="max-autotune")
    again = pickle.loads(pickle.dumps(compiled, protocol))
    assert again is not compiled and again.function is plain and again.mode == "max-autotune"
    np.testing.assert_array_equal(again(x).numpy(), plain(x).numpy())


def test_threads_share_a_compiled_function():
    """First calls at the same time, of several shapes, forward and backward."""
    model = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 2))
    compiled = mezzo.compile(model)
    inputs = [mezzo.randn(n, 5) for n in (1, 2, 3, 4)]

    def gradients(run, x):
        return [
            g.tolist() for g in mezzo.autograd.grad(run(x).sum(), [*model.parameters()])
        ]  # fmt: skip

    expected = [gradients(model, x) for x in inputs]
    found: dict[int, list] = {}

    def work(k: int) -> None:
        order = [(i + k) % len(inputs) for i in range(12)]
        found[k] = [gradients(compiled, inputs[i]) == expected[i] for i in order]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and all(all(line) for line in found.values())
