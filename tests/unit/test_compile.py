"""Compiled functions against the same functions in eager mode: arguments, results, errors, threads, names."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest
from compiling import same, squares

import mezzo
from mezzo import nn
from mezzo.nn import functional as F


def check(function, *args, **kwargs) -> mezzo.compiler.Compiled:
    """Compiled once and called twice gives what the function gives."""
    compiled = mezzo.compile(function)
    expected = function(*args, **kwargs)
    for _ in range(2):
        same(compiled(*args, **kwargs), expected)
    assert compiled.traces == 1 and not compiled.splits and not compiled.is_eager
    return compiled


@pytest.fixture(autouse=True)
def _seed():
    mezzo.manual_seed(0)


# ---- arguments and results


def test_a_function():
    check(lambda x, y: mezzo.tanh(x @ y) + x.mean(), mezzo.randn(4, 4), mezzo.randn(4, 4))


def test_new_values_do_not_trace_again():
    compiled = mezzo.compile(squares)
    for _ in range(5):
        x = mezzo.randn(7)
        same(compiled(x), squares(x))
    assert compiled.traces == 1


def test_nested_containers_and_keywords():
    def function(pair, *, options):
        a, rest = pair
        return {"sum": a + rest[0] * options["k"], "all": (rest[1], [a - options["t"]])}

    compiled = mezzo.compile(function)
    args = ((mezzo.randn(3), [mezzo.randn(3), mezzo.randn(2)]),)
    kwargs = {"options": {"k": 3, "t": mezzo.randn(3)}}
    for _ in range(2):
        found, expected = compiled(*args, **kwargs), function(*args, **kwargs)
        assert list(found) == ["sum", "all"] and isinstance(found["all"], tuple)
        same(found["sum"], expected["sum"])
        same(found["all"][1][0], expected["all"][1][0])
        assert found["all"][0] is args[0][1][1]
    kwargs["options"]["k"] = 4
    same(compiled(*args, **kwargs)["sum"], function(*args, **kwargs)["sum"])
    assert compiled.traces == 2


def test_keywords_in_another_order_are_the_same_arguments():
    compiled = mezzo.compile(lambda a, b: a - b)
    x, y = mezzo.randn(3), mezzo.randn(3)
    same(compiled(a=x, b=y), x - y)
    same(compiled(b=y, a=x), x - y)
    same(compiled(b=x, a=y), y - x)
    same(compiled(x, b=y), x - y)


def test_plain_values_and_none_among_the_results():
    compiled = mezzo.compile(lambda x, n: (x + n, n, None, "name", x.shape[0]))
    x = mezzo.randn(3)
    for n in (1, 2, 1):
        found = compiled(x, n)
        same(found[0], x + n)
        assert found[1:] == (n, None, "name", 3)
    assert compiled.traces == 2


def test_true_and_one_are_different_arguments():
    compiled = mezzo.compile(lambda x, n: x + n if n is True else x * (n + 1))
    x = mezzo.randn(3)
    same(compiled(x, 1), x * 2)
    same(compiled(x, True), x + True)
    same(compiled(x, 1.0), x * 2.0)


def test_a_result_that_is_an_argument_is_that_object():
    x, y = mezzo.randn(3), mezzo.randn(3)
    compiled = mezzo.compile(lambda x, y: (y, x, x + y))
    for _ in range(2):
        found = compiled(x, y)
        assert found[0] is y and found[1] is x


def test_the_same_result_twice():
    def function(x):
        y = x * 2
        return y, y, y[1:]

    for found in (mezzo.compile(function)(mezzo.arange(3.0)),):
        found[0][1] = 7
        assert found[1].tolist() == [0, 7, 4] and found[2].tolist() == [7, 4]


def test_views_of_arguments_are_views():
    compiled = mezzo.compile(lambda x: (x[1:], x.T, x.reshape(6)))
    for _ in range(2):
        x = mezzo.zeros(2, 3)
        row, turned, flat = compiled(x)
        x += 1
        assert row.sum().item() == 3 and turned.shape == (3, 2) and flat.tolist() == [1.0] * 6
        row.zero_()
        assert x.sum().item() == 3


def test_arguments_that_are_views():
    base = mezzo.arange(24.0).reshape(4, 6)
    compiled = mezzo.compile(lambda x: x * 2 + 1)
    for view in (base[1:3, ::2], base[:2, 1::2], base.T[:3, :2]):
        same(compiled(view), view * 2 + 1)


def test_arguments_that_share_memory():
    def function(x, y):
        x.add_(1)
        return y * 2

    for wrap in (lambda f: f, mezzo.compile):
        function_ = wrap(function)
        for _ in range(2):
            base = mezzo.zeros(4)
            assert function_(base[:3], base[1:]).tolist() == [2, 2, 0]
            assert function_(base, base).tolist() == [4, 4, 4, 2]


def test_empty_and_scalar_arguments():
    check(lambda x: x.sum() + 1, mezzo.zeros(0, 3))
    check(lambda x: x * 2, mezzo.tensor(3.0))
    check(lambda x: x.reshape(3, 0), mezzo.zeros(0))


def test_writes_into_arguments():
    def function(x, y):
        x.mul_(2).add_(y)
        x[0] = 5
        return x.sum()

    compiled = mezzo.compile(function)
    for _ in range(3):
        x, z, y = mezzo.ones(3), mezzo.ones(3), mezzo.randn(3)
        same(compiled(x, y), function(z, y))
        same(x, z)


def test_writes_raise_the_version():
    compiled = mezzo.compile(lambda x: x.add_(1))
    x = mezzo.zeros(3, requires_grad=True) * 1
    y = x.exp()
    with mezzo.no_grad():
        compiled(x)
    (y * 1).sum().backward()
    y = (x * x).sum()
    with mezzo.no_grad():
        compiled(x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_no_result():
    seen = mezzo.zeros(2)
    compiled = mezzo.compile(lambda x: seen.add_(x) and None)

    def function(x):
        seen.add_(x)

    compiled = mezzo.compile(function)
    for _ in range(3):
        assert compiled(mezzo.ones(2)) is None
    assert seen.tolist() == [3, 3] and compiled.traces == 1


def test_results_outlive_later_calls():
    compiled = mezzo.compile(lambda x: x + 1)
    first = compiled(mezzo.zeros(3))
    compiled(mezzo.ones(3))
    assert first.tolist() == [1, 1, 1]


def test_constants_made_inside():
    def function(x):
        return x + mezzo.tensor([1.0, 2.0]) + mezzo.arange(2) + mezzo.ones(2)

    check(function, mezzo.randn(2))


def test_constants_made_inside_and_written():
    """Data that a call makes and writes into is made anew by every call."""

    def function(x):
        table = mezzo.tensor([1.0, 2.0])
        table += x
        return table

    compiled = mezzo.compile(function)
    for _ in range(3):
        same(compiled(mezzo.ones(2)), mezzo.tensor([2.0, 3.0]))


def test_arrays_are_read_at_every_call():
    compiled = mezzo.compile(lambda x, a: x + mezzo.from_numpy(a))
    array = np.ones(3, "f4")
    for i in range(3):
        array[:] = i
        assert compiled(mezzo.zeros(3), array).tolist() == [i] * 3


# ---- errors, threads, names


def test_exceptions_leave_no_state():
    weight = mezzo.ones(3, requires_grad=True)
    weight.grad = mezzo.full((3,), 7.0)

    def function(x, fail):
        (weight * x).sum().backward()
        if fail:
            raise KeyError("mine")
        return weight.grad * 1

    compiled = mezzo.compile(function)
    grad = weight.grad
    with mezzo.autocast("cpu"), pytest.raises(KeyError, match="mine"):
        compiled(mezzo.ones(3), True)
    assert weight.grad is grad and grad.tolist() == [7.0] * 3
    assert not mezzo.compiler.is_compiling() and mezzo.is_grad_enabled()
    assert compiled(mezzo.ones(3), False).tolist() == [8.0] * 3


def test_errors_of_operations_are_those_of_eager():
    compiled = mezzo.compile(lambda x, y: x @ y)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="matmul"):
            compiled(mezzo.ones(2, 3), mezzo.ones(2, 3))
    assert compiled(mezzo.ones(2, 3), mezzo.ones(3, 2)).shape == (2, 2)


def _lookup(table, index):
    return F.embedding(index, table) * 2


def _gathered(table, index):
    return table.gather(0, index.unsqueeze(1)) * 2


def _indexed(table, index):
    return table[index] * 2


def _classified(table, index):
    return F.cross_entropy(table, index) * 2


@pytest.mark.parametrize("function", [_lookup, _gathered, _indexed, _classified])
def test_an_index_out_of_range_names_the_line(function):
    table, good = mezzo.randn(4, 4), mezzo.tensor([0, 1, 2, 3])
    compiled = mezzo.compile(function)
    same(compiled(table, good), function(table, good))
    bad = mezzo.tensor([0, 1, 9, 3])
    with pytest.raises(Exception) as eager:
        function(table, bad)
    line = function.__code__.co_firstlineno + 1
    for _ in range(2):
        with pytest.raises(type(eager.value), match=rf"test_compile\.py:{line}"):
            compiled(table, bad)
        same(compiled(table, good), function(table, good))


def test_threads_call_one_function_at_once():
    weight = mezzo.randn(16, 16)
    compiled = mezzo.compile(lambda x: mezzo.tanh(x @ weight).sum(1))
    inputs = [mezzo.randn(n, 16) for n in (2, 3, 4, 5)]
    expected = [mezzo.tanh(x @ weight).sum(1) for x in inputs]
    wrong = []

    def work(k):
        for i in range(60):
            j = (i + k) % 4
            if not (compiled(inputs[j]) == expected[j]).all():
                wrong.append((k, j))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and compiled.traces == 4


def test_pickles_as_its_function():
    compiled = mezzo.compile(squares, dynamic=True)
    compiled(mezzo.ones(3))
    again = pickle.loads(pickle.dumps(compiled))
    assert again.function is squares and again.dynamic and not again.variants
    same(again(mezzo.ones(4)), mezzo.tensor(4.0))
    assert copy.deepcopy(compiled).function is squares


def test_decorators():
    @mezzo.compile
    def plain(x):
        """What it does."""
        return x + 1

    @mezzo.compile(fullgraph=True, mode="reduce-overhead")
    def with_options(x):
        return x + 2

    assert plain.__name__ == "plain" and plain.__doc__ == "What it does."
    assert plain(mezzo.zeros(1)).item() == 1 and with_options(mezzo.zeros(1)).item() == 2


class Owner:
    """A class with a compiled method."""

    def __init__(self, k):
        self.k = mezzo.full((2,), k)

    @mezzo.compile
    def scaled(self, x):
        return x * self.k


def test_a_decorated_method():
    one, two = Owner(1.0), Owner(2.0)
    x = mezzo.ones(2)
    for _ in range(2):
        assert one.scaled(x).tolist() == [1, 1] and two.scaled(x).tolist() == [2, 2]
    one.k = mezzo.zeros(2)
    assert one.scaled(x).tolist() == [0, 0]


def test_compiled_functions_call_each_other_and_themselves():
    inner = mezzo.compile(lambda x: x * 2)
    outer = mezzo.compile(lambda x: inner(x) + 1)
    assert outer(mezzo.ones(2)).tolist() == [3, 3] and inner.traces == 0

    @mezzo.compile
    def power(x, n):
        return x if n == 0 else x * power(x, n - 1)

    for _ in range(2):
        assert power(mezzo.full((2,), 2.0), 5).tolist() == [64, 64]
    assert power.traces == 1


def test_disable_and_is_compiling():
    seen = []

    @mezzo.compiler.disable
    def outside(x):
        seen.append(mezzo.compiler.is_compiling())
        return x.numpy().sum()

    def function(x):
        seen.append(mezzo.compiler.is_compiling())
        return x * 2 + float(outside(x + 1))

    compiled = mezzo.compile(function)
    for _ in range(2):
        assert compiled(mezzo.ones(2)).tolist() == [6, 6]
    assert seen == [True, False, True, False]
    with pytest.raises(RuntimeError, match="the disabled function"):
        mezzo.compile(function, fullgraph=True)(mezzo.ones(2))


def test_arguments_of_compile():
    with pytest.raises(TypeError, match="function or a module"):
        mezzo.compile(3)
    with pytest.raises(ValueError, match="mode"):
        mezzo.compile(squares, mode="fastest")
    with pytest.raises(ValueError, match="backend"):
        mezzo.compile(squares, backend="nothing")
    assert mezzo.compile(squares, disable=True) is squares
    eager = mezzo.compile(squares, backend="eager")
    assert eager(mezzo.ones(2)).item() == 2 and eager.traces == 0


def test_threads_and_default_dtype_are_part_of_a_trace():
    compiled = mezzo.compile(lambda x: x + mezzo.ones(2) / 3)
    x = mezzo.arange(2)
    before = mezzo.get_num_threads()
    try:
        assert compiled(x).dtype is mezzo.float32
        mezzo.set_default_dtype(mezzo.float64)
        assert compiled(x).dtype is mezzo.float64
        mezzo.set_num_threads(1)
        assert compiled(x).dtype is mezzo.float64
    finally:
        mezzo.set_default_dtype(mezzo.float32)
        mezzo.set_num_threads(before)


def test_a_module_of_the_wrong_kind_of_layer_is_not_touched():
    linear = nn.Linear(2, 2)
    assert isinstance(mezzo.compile(linear), nn.Module)
