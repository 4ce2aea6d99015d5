"""Compiled functions that read values back or draw random numbers."""

from __future__ import annotations

import numpy as np
import pytest
from compiling import same

import mezzo
from mezzo.nn import functional as F


@pytest.fixture(autouse=True)
def _seed():
    mezzo.manual_seed(0)


def test_a_readback_splits():
    def function(x):
        y = x * 2
        if y.sum() > 0:
            y = y + 100
        return y * float(y.mean())

    compiled = mezzo.compile(function)
    for x in (mezzo.ones(3), -mezzo.ones(3), mezzo.full((3,), 2.0), mezzo.ones(4)):
        same(compiled(x), function(x))


def test_readbacks_in_loops_and_prints(capsys):
    def function(x):
        steps = 0
        while x.norm() > 1:
            x = x / 2
            steps += 1
        print(x)
        return x, steps

    compiled = mezzo.compile(function)
    for n in (3.0, 30.0, 300.0):
        found, expected = compiled(mezzo.full((4,), n)), function(mezzo.full((4,), n))
        same(found[0], expected[0])
        assert found[1] == expected[1]
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == shown[1] and shown[4] == shown[5] and "tensor" in shown[0]


def test_a_readback_after_writes_in_place():
    def function(x, seen):
        seen.add_(x)
        total = seen.sum().item()
        seen.mul_(2)
        return total

    compiled = mezzo.compile(function)
    first, second = mezzo.zeros(2), mezzo.zeros(2)
    for _ in range(3):
        assert compiled(mezzo.ones(2), first) == function(mezzo.ones(2), second)
        same(first, second)


def test_a_readback_and_gradients():
    def step(w, x):
        w.grad = None
        loss = (w * x).pow(2).sum()
        if loss.item() > 1:
            loss = loss / 10
        loss.backward()
        return loss.detach()

    compiled = mezzo.compile(step)
    for scale in (0.1, 1.0, 3.0):
        x = mezzo.full((3,), scale)
        w, v = mezzo.ones(3, requires_grad=True), mezzo.ones(3, requires_grad=True)
        same(compiled(w, x), step(v, x))
        same(w.grad, v.grad)


def test_gradients_through_a_split_function():
    def function(x):
        y = x * x
        return y * 3 if y.sum() > 0 else y

    compiled = mezzo.compile(function)
    for _ in range(3):
        x = mezzo.randn(3, requires_grad=True)
        compiled(x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), 6 * x.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "read", [lambda y: y.item(), bool, float, lambda y: y.tolist(), lambda y: y.numpy(), print]
)
def test_fullgraph_names_the_line(read):
    def function(x):
        y = x.sum()
        read(y)  # here
        return y

    line = function.__code__.co_firstlineno + 2
    compiled = mezzo.compile(function, fullgraph=True)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=rf"test_compile_reads\.py:({line}|\d+)"):
            compiled(mezzo.ones(3))
    assert not mezzo.compiler.is_compiling()


def test_fullgraph_names_the_very_line():
    def function(x):
        y = x.sum()
        if y > 0:
            return y
        return -y

    compiled = mezzo.compile(function, fullgraph=True)
    line = function.__code__.co_firstlineno + 2
    with pytest.raises(RuntimeError, match=rf"test_compile_reads\.py:{line}.*where\(\)"):
        compiled(mezzo.ones(3))


def test_nonzero_and_other_shapes_that_depend_on_values():
    compiled = mezzo.compile(lambda x: x[x > 0] * 2)
    for _ in range(3):
        x = mezzo.randn(10)
        same(compiled(x), x[x > 0] * 2)


# ---- random numbers


def random_numbers(x):
    return F.dropout(x, 0.5) + mezzo.randn(8) * mezzo.rand_like(x) + mezzo.randint(0, 5, (8,))


def test_random_numbers_are_those_of_eager():
    compiled = mezzo.compile(random_numbers)
    x = mezzo.ones(8)
    mezzo.manual_seed(3)
    expected = [random_numbers(x) for _ in range(4)]
    mezzo.manual_seed(3)
    found = [compiled(x) for _ in range(4)]
    for a, b in zip(found, expected):
        same(a, b)
    assert not (found[0] == found[1]).all() and compiled.traces == 1


def test_random_numbers_of_a_generator():
    generator = mezzo.Generator()
    compiled = mezzo.compile(lambda x: x + mezzo.randn(4, generator=generator))
    x = mezzo.zeros(4)
    generator.manual_seed(5)
    expected = [x + mezzo.randn(4, generator=generator) for _ in range(3)]
    generator.manual_seed(5)
    for e in expected:
        same(compiled(x), e)
