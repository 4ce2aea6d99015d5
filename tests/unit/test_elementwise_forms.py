"""Elementwise operations in all their forms: operators, in place, inplace=, errors; and their gradients at the edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import mezzo
import mezzo.nn.functional as F
from mezzo.core.state import STATE

INPLACE = [("relu", ()), ("relu6", ()), ("silu", ()), ("mish", ()), ("elu", (0.7,)), ("selu", ()), ("celu", (0.7,)),
           ("leaky_relu", (0.2,)), ("hardtanh", (-0.5, 0.8)), ("hardsigmoid", ()), ("hardswish", ()), ("threshold", (0.1, 3.0))]  # fmt: skip

BACKWARD = {"relu": "threshold"}


def gradients(call, leaves, gradient):
    """The gradients of the leaves, by whichever library they belong to."""
    out = call(*leaves)
    out.backward(gradient)
    return [leaf.grad.numpy() for leaf in leaves]


def compare_gradients(theirs, ours, *arrays):
    """The same call by both libraries on float64 leaves, its gradients for a gradient of ones."""
    left = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]
    right = [mezzo.tensor(a, dtype=mezzo.float64, requires_grad=True) for a in arrays]
    shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
    want = gradients(theirs, left, torch.ones(shape, dtype=torch.float64))
    got = gradients(ours, right, mezzo.ones(shape, dtype=mezzo.float64))
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-15)  # PyTorch rounds options to float32


def test_equality_leaves_the_hash_alone():
    x = mezzo.tensor([1.0, 2.0])
    assert hash(x) == hash(x) and len({x, mezzo.tensor([1.0, 2.0])}) == 2
    assert (x == x).tolist() == [True, True]
    assert (x == None) is False and (x != None) is True  # noqa: E711
    assert (x == "text") is False


def test_operators_leave_unknown_operands_to_the_other_side():
    class Other:
        def __radd__(self, tensor):
            return "mine"

    assert mezzo.ones(2) + Other() == "mine"
    with pytest.raises(TypeError):
        mezzo.ones(2) + "text"


def test_reflected_and_augmented_operators():
    x = mezzo.tensor([1, 2, 5])
    assert (
        (7 - x).tolist() == [6, 5, 2]
        and (7 // x).tolist() == [7, 3, 1]
        and (7 % x).tolist() == [0, 1, 2]
    )
    assert (
        (2**x).tolist() == [2, 4, 32]
        and (6 & x).tolist() == [0, 2, 4]
        and (1 << x).tolist() == [2, 4, 32]
    )
    assert (
        (256 >> x).tolist() == [128, 64, 8]
        and (~x).tolist() == [-2, -3, -6]
        and (10 / x).tolist() == [10, 5, 2]
    )
    y = x
    y <<= 1
    y |= 1
    y ^= 2
    y %= 7
    y //= 2
    y **= 2
    assert y is x and x.tolist() == [((((v << 1) | 1) ^ 2) % 7 // 2) ** 2 for v in (1, 2, 5)]


@pytest.mark.parametrize(("name", "options"), INPLACE)
def test_inplace_flag(name, options):
    values = np.linspace(-4, 4, 33)
    x = mezzo.tensor(values)
    want = getattr(F, name)(x, *options)
    assert getattr(F, name)(x, *options, inplace=True) is x
    np.testing.assert_array_equal(x.numpy(), want.numpy())
    compare_gradients(
        lambda t: getattr(TF, name)(t * 1, *options),
        lambda t: getattr(F, name)(t * 1, *options, inplace=True),
        values,
    )


@pytest.mark.parametrize(
    "name", ["sin", "exp", "sqrt", "sigmoid", "log", "reciprocal", "square", "clamp_min", "pow"]
)
def test_in_place_forms_keep_what_their_derivatives_read(name):
    more = (0.6,) if name in ("clamp_min", "pow") else ()
    compare_gradients(
        lambda t: getattr(t * 1, name + "_")(*more),
        lambda t: getattr(t * 1, name + "_")(*more),
        [0.3, 0.5, 0.9],
    )


def test_in_place_results_must_fit():
    with pytest.raises(RuntimeError, match="can't be cast"):
        mezzo.tensor([1, 2]).add_(0.5)
    with pytest.raises(RuntimeError, match="doesn't match"):
        mezzo.ones(3).mul_(mezzo.ones(2, 3))
    x = mezzo.ones(3, dtype=mezzo.int64)
    assert x.eq_(1).tolist() == [1, 1, 1] and x.dtype is mezzo.int64


def test_fill_and_zero():
    x = mezzo.ones(2, 3)
    assert x.fill_(2.5) is x and x.tolist() == [[2.5] * 3] * 2
    assert x.zero_().tolist() == [[0.0] * 3] * 2
    leaf = mezzo.ones(2, requires_grad=True)
    y = leaf * 3
    y.zero_()
    y.sum().backward()
    assert leaf.grad.tolist() == [0.0, 0.0]


def test_where_and_masked_fill():
    x, mask = mezzo.tensor([1.0, -2.0, 3.0]), mezzo.tensor([True, False, True])
    assert x.where(mask, 0).tolist() == [1.0, 0.0, 3.0]
    assert (
        mezzo.where(mask, 1, 2).dtype is mezzo.int64
        and mezzo.where(mask, 1.0, 2).dtype is mezzo.float32
    )
    assert x.masked_fill(~mask, mezzo.tensor(9.0)).tolist() == [1.0, 9.0, 3.0]
    assert x.masked_fill_(mask, -1).tolist() == [-1.0, -2.0, -1.0]
    with pytest.raises(RuntimeError, match="boolean masks"):
        x.masked_fill(mezzo.tensor([1, 0, 1]), 0)
    with pytest.raises(RuntimeError, match="boolean tensor"):
        mezzo.where(x, x, x)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 0.5, -1, 2.5, -2])
def test_gradient_of_powers(exponent):
    compare_gradients(
        lambda t: t**exponent,
        lambda t: t**exponent,
        [0.0, 0.5, 2.0] if exponent >= 1 or exponent == 0 else [0.5, 2.0],
    )


def test_gradient_of_powers_at_zero():
    compare_gradients(torch.pow, mezzo.pow, [0.0, 0.0, 0.0, 2.0], [0.0, 1.0, 2.0, 0.0])
    compare_gradients(lambda t: 0.0**t, lambda t: 0.0**t, [0.0, 1.0, 2.0])


def test_gradients_at_the_edges_of_pieces():
    x = [-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0]
    for name in (
        "relu",
        "relu6",
        "hardtanh",
        "hardsigmoid",
        "hardswish",
        "leaky_relu",
        "elu",
        "hardshrink",
        "softshrink",
        "softplus",
    ):
        compare_gradients(getattr(TF, name), getattr(F, name), x)
    compare_gradients(lambda t: t.clamp(-1, 1), lambda t: t.clamp(-1, 1), x)
    compare_gradients(torch.abs, mezzo.abs, x)


def test_equal_operands_share_the_gradient():
    a, b = [1.0, 2.0, 3.0], [1.0, 5.0, 0.0]
    for name in ("maximum", "minimum", "fmax", "fmin"):
        compare_gradients(getattr(torch, name), getattr(mezzo, name), a, b)


def test_gradients_of_bounds():
    x, low, high = [-2.0, 0.0, 2.0, 5.0], [-1.0, -1.0, 3.0, 1.0], [1.0, 1.0, 1.0, 2.0]
    compare_gradients(torch.clamp, mezzo.clamp, x, low, high)


@pytest.mark.parametrize(("call", "kind", "text"), [
    (lambda: mezzo.tensor([True]) - mezzo.tensor([True]), RuntimeError, "logical_xor"),
    (lambda: mezzo.add(mezzo.tensor([1]), 1, alpha=1.5), RuntimeError, "must not be a floating point number"),
    (lambda: mezzo.maximum(mezzo.ones(2), 3), TypeError, r"argument 2 \(other\) is int 3; it must be a Tensor"),
    (lambda: mezzo.clamp(mezzo.ones(2)), RuntimeError, "At least one|at least one"),
    (lambda: mezzo.div(mezzo.ones(2), 2, rounding_mode="up"), ValueError, "rounding_mode is 'up'"),
    (lambda: F.gelu(mezzo.ones(2), approximate="fast"), ValueError, "approximate is 'fast'"),
    (lambda: F.glu(mezzo.ones(3)), RuntimeError, "must be even"),
    (lambda: F.prelu(mezzo.ones(2, 3), mezzo.ones(2)), RuntimeError, "one per channel, 3"),
    (lambda: mezzo.lerp(mezzo.ones(2), mezzo.ones(2, dtype=mezzo.float64), 0.5), RuntimeError, "one dtype"),
    (lambda: mezzo.ones(2) & 1, NotImplementedError, "integer or bool"),
    (lambda: mezzo.ones(2, 3) + mezzo.ones(4), RuntimeError, "do not broadcast"),
    (lambda: mezzo.addcdiv(mezzo.tensor([1]), mezzo.tensor([1]), mezzo.tensor([1])), RuntimeError, "integer division"),
])  # fmt: skip
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize(
    "name",
    [
        "relu",
        "gelu",
        "silu",
        "mish",
        "sigmoid",
        "tanh",
        "leaky_relu",
        "elu",
        "softplus",
        "hardswish",
    ],
)
def test_backward_is_one_kernel(name):
    x = mezzo.ones(5, requires_grad=True)
    y = getattr(F, name)(x)
    ran: list[str] = []

    class Counting:
        def process(self, record, args):
            ran.append(record.name)
            return record.apply(args)

    STATE.stack.append(Counting())
    try:
        y.backward(mezzo.ones(5))
    finally:
        STATE.stack.pop()
    assert [r for r in ran if r not in ("ones", "fill_new")] == [
        f"{BACKWARD.get(name, name)}_backward"
    ]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["copy_", "add_", "mul_", "fmod_"])
def test_operands_between_the_targets_elements(name, compiled):
    """Columns of one table: the operand's elements lie between those that are written."""

    def columns(m, x):
        for to, source in ((2, 0), (0, 1), (1, 2)):
            getattr(x[:, to], name)(x[:, source])
        x[1:4, 0] = x[:3, 0]
        x.t()[2] = x.t()[1]
        return x

    run = mezzo.compile(columns) if compiled else columns
    for _ in range(3):
        found = run(mezzo, mezzo.arange(1.0, 28.0).reshape(9, 3).clone())
        expected = torch.arange(1.0, 28.0).reshape(9, 3).clone()
        for to, source in ((2, 0), (0, 1), (1, 2)):
            getattr(expected[:, to], name)(expected[:, source])
        expected[1:4, 0] = expected[:3, 0].clone()
        expected.t()[2] = expected.t()[1].clone()
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)
