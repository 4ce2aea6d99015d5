"""Mistakes in calls of transforms: PyTorch's error type, and what to do."""

from __future__ import annotations

import pytest
import torch

import mezzo

CASES = {
    "no arguments": lambda t, x, n: t.func.grad(lambda a: a.sum(), argnums=())(x),
    "a float as argnums": lambda t, x, n: t.func.grad(lambda a: a.sum(), argnums=1.0)(x),
    "an argument twice": lambda t, x, n: t.func.grad(lambda a, b: (a * b).sum(), argnums=(0, 0))(x, x),
    "the same from behind": lambda t, x, n: t.func.grad(lambda a, b: (a * b).sum(), argnums=(0, -2))(x, x),
    "too large argnums": lambda t, x, n: t.func.grad(lambda a: a.sum(), argnums=3)(x),
    "integers for grad": lambda t, x, n: t.func.grad(lambda a: a.sum())(n),
    "integers for vjp": lambda t, x, n: t.func.vjp(lambda a: a * 2, n),
    "integer results": lambda t, x, n: t.func.vjp(lambda a: a.long(), x),
    "a result of many elements": lambda t, x, n: t.func.grad(lambda a: a * 2)(x),
    "a result that is no tensor": lambda t, x, n: t.func.grad(lambda a: 1.0)(x),
    "primals in a list": lambda t, x, n: t.func.jvp(lambda a: a, [x], [x]),
    "tangents of another shape": lambda t, x, n: t.func.jvp(lambda a: a, (x,), (x[:1],)),
    "no primals": lambda t, x, n: t.func.jvp(lambda: x, (), ()),
    "strict without dependence": lambda t, x, n: t.func.jvp(lambda a: x, (x,), (x,), strict=True),
    "cotangents of another count": lambda t, x, n: t.func.vjp(lambda a: (a, a), x)[1]((x,)),
    "jacrev of integers": lambda t, x, n: t.func.jacrev(lambda a: a * 2)(n),
    "vmap of no tensor": lambda t, x, n: t.func.vmap(lambda a: a)(1.0),
    "vmap of sizes that differ": lambda t, x, n: t.func.vmap(lambda a, b: a)(x, x[:2]),
    "vmap over an axis too many": lambda t, x, n: t.func.vmap(lambda a: a, in_dims=2)(x),
    "vmap of a result that is no tensor": lambda t, x, n: t.func.vmap(lambda a: 1.0)(x),
}  # fmt: skip


def outcome(lib, case):
    x, n = lib.ones(3, dtype=lib.float32), lib.ones(3, dtype=lib.int64)
    try:
        case(lib, x, n)
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("name", CASES)
def test_errors_have_pytorchs_type(name):
    theirs, ours = outcome(torch, CASES[name]), outcome(mezzo, CASES[name])
    assert theirs is not None, "PyTorch takes it: the case is no mistake"
    assert ours is not None, f"PyTorch raises {theirs!r}"
    kind = next(k for k in type(theirs).__mro__ if k.__module__ == "builtins")
    assert isinstance(ours, kind), f"{ours!r} where PyTorch raises {theirs!r}"
    assert str(ours), "an error says what is wrong"


def test_strict_takes_what_depends():
    for lib in (torch, mezzo):
        x = lib.ones(3)
        value, pushed = lib.func.jvp(lambda a: a * a, (x,), (x,), strict=True)
        assert value.tolist() == [1.0] * 3 and pushed.tolist() == [2.0] * 3
