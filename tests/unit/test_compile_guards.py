"""When a compiled function is traced again, and that it then is."""

from __future__ import annotations

import functools
import warnings

import pytest
from compiling import same, squares

import mezzo

SCALE = 2.0
TABLE = {"shift": 1.0, "items": [1.0, 2.0]}


class Settings:
    """Settings that are attributes of a class."""

    power = 2


def uses_globals(x):
    return x * SCALE + TABLE["shift"] + TABLE["items"][1] ** Settings.power


def calls_another(x):
    return uses_globals(x) + 1


@pytest.fixture(autouse=True)
def _seed():
    mezzo.manual_seed(0)


def test_dtype_shape_and_strides():
    compiled = mezzo.compile(lambda x: x * 2 + 1)
    for x in (
        mezzo.randn(3), mezzo.randn(4), mezzo.randn(3).double(), mezzo.randn(3).bfloat16(),
        mezzo.arange(3), mezzo.randn(6)[::2],
    ):  # fmt: skip
        same(compiled(x), x * 2 + 1)
    assert compiled.traces == 6
    same(compiled(mezzo.ones(3)), mezzo.full((3,), 3.0))
    assert compiled.traces == 6


def test_grad_mode_and_requires_grad():
    compiled = mezzo.compile(squares)
    x = mezzo.randn(3)
    leaf = x.clone().requires_grad_()
    assert not compiled(x).requires_grad
    assert compiled(leaf).requires_grad
    with mezzo.no_grad():
        assert not compiled(leaf).requires_grad
    assert compiled(leaf).requires_grad
    with mezzo.inference_mode():
        found = compiled(x)
        assert found.is_inference() and not found.requires_grad
    assert not compiled(x).is_inference()


def test_requires_grad_of_a_closed_over_tensor():
    weight = mezzo.randn(3)
    compiled = mezzo.compile(lambda x: (x * weight).sum())
    x = mezzo.randn(3)
    assert not compiled(x).requires_grad
    weight.requires_grad_()
    compiled(x).backward()
    same(weight.grad, x)


@pytest.mark.parametrize("function", [uses_globals, calls_another])
def test_globals(function, monkeypatch):
    compiled = mezzo.compile(function)
    x = mezzo.randn(3)
    table = {"shift": 0.0, "items": [0.0, 3.0]}
    for name, value in (("SCALE", 5.0), ("TABLE", table)):
        same(compiled(x), function(x))
        monkeypatch.setitem(globals(), name, value)
        same(compiled(x), function(x))
    monkeypatch.setitem(TABLE, "shift", 9.0)
    same(compiled(x), function(x))
    TABLE["items"][1] = -1.0
    same(compiled(x), function(x))
    monkeypatch.setattr(Settings, "power", 3)
    same(compiled(x), function(x))
    assert compiled.traces == 6 and len(compiled.reasons) == 5


def test_closures():
    scale, offset = 2.0, [1.0]

    def function(x):
        return x * scale + offset[0]

    compiled = mezzo.compile(function)
    x = mezzo.randn(3)
    same(compiled(x), function(x))
    scale = 3.0
    same(compiled(x), function(x))
    offset[0] = 5.0
    same(compiled(x), function(x))
    assert "scale, which was 2.0 and is 3.0" in compiled.reasons[0]
    assert "offset" in compiled.reasons[1]


class Machine:
    """An object with settings, tensors and a helper."""

    factor = 1.0

    def __init__(self):
        self.weight, self.gain, self.parts = mezzo.ones(3), 2.0, [mezzo.ones(3)]
        self.unused = 0

    @property
    def doubled(self):
        return 2 * self.gain

    def helper(self, x):
        return x * self.doubled + self.parts[0]

    def __call__(self, x):
        return self.helper(x) * self.weight * self.factor


@pytest.mark.parametrize("bound", [False, True])
def test_attributes_of_objects(bound):
    machine = Machine()
    eager = machine.helper if bound else machine
    compiled = mezzo.compile(eager)
    x = mezzo.randn(3)
    same(compiled(x), eager(x))
    for name, value in (("gain", 3.0), ("parts", [mezzo.zeros(3)]), ("weight", x), ("factor", 7)):
        setattr(machine, name, value)
        same(compiled(x), eager(x))
    machine.parts[0] = mezzo.full((3,), 4.0)
    same(compiled(x), eager(x))
    assert compiled.traces == 6
    machine.unused = 1
    same(compiled(x), eager(x))
    assert compiled.traces == 6


def test_partials():
    def function(k, x, table):
        return x * k + table[0]

    table = [1.0]
    compiled = mezzo.compile(functools.partial(function, 3, table=table))
    x = mezzo.randn(2)
    same(compiled(x), x * 3 + 1)
    table[0] = 2.0
    same(compiled(x), x * 3 + 2)


def test_the_limit_of_traces():
    compiled = mezzo.compile(lambda x, n: x + n)
    x = mezzo.zeros(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(8):
            assert compiled(x, n).tolist() == [n, n]
    with pytest.warns(UserWarning, match="argument 1, which was 7 and is 8") as seen:
        assert compiled(x, 8).tolist() == [8, 8]
    assert len(seen) == 1 and seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(12):
            assert compiled(x, n).tolist() == [n, n]
    assert compiled.is_eager
    mezzo.compiler.reset()
    assert compiled(x, 1).tolist() == [1, 1] and not compiled.is_eager and compiled.traces == 1


def test_shapes_are_not_counted_with_dynamic():
    compiled = mezzo.compile(squares, dynamic=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(1, 30):
            same(compiled(mezzo.arange(float(n))), squares(mezzo.arange(float(n))))
    assert not compiled.is_eager
