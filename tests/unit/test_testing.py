"""mezzo.testing: what users test with finds what it should, and says it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo
from mezzo.autograd import Function
from mezzo.testing import (
    GradcheckError,
    OpCheckError,
    assert_close,
    gradcheck,
    gradgradcheck,
    opcheck,
)


class Cubed(Function):
    """x**3 with a derivative of `factor` x**2: right for 3."""

    factor = 3

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @classmethod
    def backward(cls, ctx, g):
        (x,) = ctx.saved_tensors
        return g * cls.factor * x * x


class Wrong(Cubed):
    factor = 2


def doubles(*shape, seed=0):
    values = np.random.default_rng(seed).uniform(0.5, 1.5, shape)
    return mezzo.from_numpy(values).requires_grad_()


@pytest.mark.parametrize("fast", [False, True])
def test_gradcheck_tells_right_from_wrong(fast):
    x = doubles(2, 3)
    assert gradcheck(Cubed.apply, (x,), fast_mode=fast)
    with pytest.raises(
        GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0"
    ):
        gradcheck(Wrong.apply, (x,), fast_mode=fast)
    assert not gradcheck(Wrong.apply, x, fast_mode=fast, raise_exception=False)


def test_gradcheck_error_is_pytorchs():
    assert issubclass(GradcheckError, RuntimeError)
    with pytest.raises(RuntimeError):
        torch.autograd.gradcheck(
            lambda a: a.detach() * a, torch.ones(2, dtype=torch.float64, requires_grad=True)
        )


@pytest.mark.parametrize("fast", [False, True])
def test_gradgradcheck_tells_right_from_wrong(fast):
    x, y = doubles(3), doubles(2, 3, seed=1)
    assert gradgradcheck(lambda a, b: (a * b).sin(), (x, y), fast_mode=fast)

    class HalfRight(Cubed):
        @staticmethod
        def backward(ctx, g):
            (a,) = ctx.saved_tensors
            return g * 3 * (a * a).detach()  # the value is right, its derivative is lost

    assert gradcheck(HalfRight.apply, (x,), fast_mode=fast)
    with pytest.raises(GradcheckError):
        gradgradcheck(HalfRight.apply, (x,), fast_mode=fast)


def test_gradcheck_of_what_is_linear_or_has_many_outputs():
    x, y = doubles(3), doubles(3, seed=1)
    assert gradgradcheck(lambda a: a * 2, (x,))
    assert gradcheck(
        lambda a, b: (a * b, a + b, b.exp()),
        (x, y),
        check_batched_grad=True,
        check_grad_dtypes=True,
    )


def test_gradcheck_refuses_what_it_cannot_check():
    with pytest.raises(ValueError, match="at least one input tensor that requires grad"):
        gradcheck(mezzo.sin, (mezzo.ones(2),))
    with pytest.warns(UserWarning, match="float32"):
        gradcheck(mezzo.sin, (mezzo.ones(2, requires_grad=True),), eps=1e-2, atol=1e-2)
    with pytest.raises(GradcheckError, match="stride of zero"):
        gradcheck(mezzo.sin, (mezzo.ones(1, dtype=mezzo.float64).expand(3).requires_grad_(),))


CLOSE = [
    ([1.0, 2.0], [1.0, 2.0]),
    ([1.0, 2.0], [1.0, 2.000001]),
    ([1.0, 2.0], [1.0, 2.01]),
    ([1.0, float("nan")], [1.0, float("nan")]),
    ([1.0, float("inf")], [1.0, float("inf")]),
    ([1.0, float("inf")], [1.0, 3.0]),
    ([0.0], [1e-6]),
    ([1, 2], [1, 2]),
    ([1, 2], [1, 3]),
    ([True], [False]),
    ([], []),
]


@pytest.mark.parametrize("dtype", [None, "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("pair", CLOSE, ids=str)
def test_assert_close_agrees_with_pytorch(pair, dtype):
    def verdict(m, close, **options):
        named = (
            {}
            if dtype is None or not isinstance((pair[0] or [0])[0], float)
            else {"dtype": getattr(m, dtype)}
        )
        try:
            close(*(m.tensor(v, **named) for v in pair), **options)
        except AssertionError:
            return False
        return True

    for options in ({}, {"equal_nan": True}, {"rtol": 0.1, "atol": 0.0}):
        ours, theirs = (
            verdict(mezzo, assert_close, **options),
            verdict(torch, torch.testing.assert_close, **options),
        )
        assert ours == theirs, f"{options}: {ours}; PyTorch says {theirs}"


def test_assert_close_says_what_differs():
    with pytest.raises(
        AssertionError, match=r"Mismatched elements: 1 / 2 \(50.0%\)(.|\n)*at index \(1,\)"
    ):
        assert_close(mezzo.tensor([1.0, 2.0]), mezzo.tensor([1.0, 3.0]))
    with pytest.raises(AssertionError, match="'shape' do not match"):
        assert_close(mezzo.ones(2), mezzo.ones(3))
    with pytest.raises(AssertionError, match="'dtype' do not match"):
        assert_close(mezzo.ones(2), mezzo.ones(2, dtype=mezzo.float64))
    assert_close(mezzo.ones(2), mezzo.ones(2, dtype=mezzo.float64), check_dtype=False)
    with pytest.raises(AssertionError, match="at key 'b'"):
        assert_close({"a": mezzo.ones(1), "b": [1.0, 2.0]}, {"a": mezzo.ones(1), "b": [1.0, 2.5]})
    with pytest.raises(AssertionError, match="Scalars are not close"):
        assert_close(1.0, 1.1)
    with pytest.raises(AssertionError, match="mine"):
        assert_close(1.0, 1.1, msg="mine")
    with pytest.raises(ValueError, match="both"):
        assert_close(1.0, 1.0, rtol=1.0)


def test_opcheck_passes_an_operation_and_a_function_of_the_users():
    x = doubles(2, 3)
    assert set(opcheck(mezzo.mul, (x, doubles(3)), {}).values()) == {"SUCCESS"}
    assert set(opcheck(lambda a: (a * a).sum(-1), (x,)).values()) == {"SUCCESS"}


def test_opcheck_names_the_rule_that_is_broken():
    x = doubles(2, 3)

    def changes(a):
        return a.mul_(2)

    def reads(a):
        return a * float(a.sum().item())

    def looks_at_memory(a):
        return a.as_strided((2,), (1,))

    def forgets(a):
        return a * a.detach()

    for broken, check in (
        (changes, "test_inputs"), (reads, "test_vmap"), (reads, "test_trace"), (reads, "test_meta"),
        (looks_at_memory, "test_strides"), (forgets, "test_gradient"),
    ):  # fmt: skip
        found = opcheck(broken, (x,), raise_exception=False, test_utils=check)
        assert isinstance(found[check], Exception), f"{broken.__name__} passes {check}"
        with pytest.raises(OpCheckError, match=f"{broken.__name__}: {check} failed"):
            opcheck(broken, (x,), test_utils=(check,))
    with pytest.raises(ValueError, match="test_colour"):
        opcheck(mezzo.sin, (x,), test_utils="test_colour")
