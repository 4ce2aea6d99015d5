"""cond and while_loop: eager, under vmap with a predicate for each example, differentiated, against plain PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo

BATCH = np.random.default_rng(3).standard_normal((4, 3))
POINT = BATCH[0]


def _choice(lib, x):
    """A choice by value: mezzo's cond, or Python's if on one example."""
    if lib is mezzo:
        return mezzo.cond(x.sum() > 0, lambda v: v.sin() * 2, lambda v: v**3, (x,))
    return x.sin() * 2 if x.sum() > 0 else x**3


def _halved(lib, x):
    """Halved until small: the turns differ between examples."""
    if lib is mezzo:
        return mezzo.while_loop(
            lambda v, n: v.abs().sum() > 0.3, lambda v, n: (v * 0.5 + 0.01 * v.sin(), n + 1.0), (x, (x * 0).sum())
        )[0]  # fmt: skip
    while x.abs().sum() > 0.3:
        x = x * 0.5 + 0.01 * x.sin()
    return x


PROGRAMS = [_choice, _halved]


def _on_each(lib, f, batch):
    """f on every example: vmap, or a loop for the reference."""
    return lib.vmap(f)(batch) if lib is mezzo else torch.stack([f(x) for x in batch])


FORMS = {
    "call": lambda lib, f: f(lib.tensor(POINT)),
    "vmap": lambda lib, f: _on_each(lib, f, lib.tensor(BATCH)),
    "grad": lambda lib, f: lib.func.grad(lambda x: (f(x) ** 2).sum())(lib.tensor(POINT)),
    "jvp": lambda lib, f: lib.func.jvp(f, (lib.tensor(POINT),), (lib.tensor(BATCH[1]),))[1],
    "jacrev": lambda lib, f: lib.func.jacrev(f)(lib.tensor(POINT)),
    "jacfwd": lambda lib, f: lib.func.jacfwd(f)(lib.tensor(POINT)),
    "hessian": lambda lib, f: lib.func.hessian(lambda x: f(x).sum())(lib.tensor(POINT)),
    "vmap of grad": lambda lib, f: _on_each(lib, lib.func.grad(lambda x: (f(x) ** 2).sum()), lib.tensor(BATCH)),
    "vmap of jacfwd": lambda lib, f: _on_each(lib, lib.func.jacfwd(f), lib.tensor(BATCH)),
    "vmap of hessian": lambda lib, f: _on_each(lib, lib.func.hessian(lambda x: f(x).sum()), lib.tensor(BATCH)),
    "grad of vmap": lambda lib, f: lib.func.grad(lambda b: (_on_each(lib, f, b) ** 2).sum())(lib.tensor(BATCH)),
    "vmap of vmap": lambda lib, f: _on_each(lib, lambda b: _on_each(lib, f, b), lib.tensor(np.stack([BATCH, -BATCH]))),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("program", PROGRAMS, ids=["cond", "while_loop"])
def test_equals_python_on_each_example(program, form):
    ours, theirs = (FORMS[form](lib, lambda x, lib=lib: program(lib, x)) for lib in (mezzo, torch))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("program", PROGRAMS, ids=["cond", "while_loop"])
def test_the_tape_records_it(program):
    found = []
    for lib in (mezzo, torch):
        x = lib.tensor(BATCH, requires_grad=True)
        _on_each(lib, lambda v, lib=lib: program(lib, v), x).sum().backward()
        found.append(x.grad.numpy())
    np.testing.assert_allclose(*found, rtol=1e-12)


@pytest.mark.parametrize("flag", [True, False])
def test_equals_torch_cond(flag):
    def branches(lib):
        return lib.cond(
            lib.tensor(flag), lambda a, b: (a + b, {"k": a * b}), lambda a, b: (a - b, {"k": a / b}),
            (lib.tensor(POINT), lib.tensor(POINT + 3)))  # fmt: skip

    (a, b), (c, d) = branches(mezzo), branches(torch)
    np.testing.assert_allclose(a.numpy(), c.numpy())
    np.testing.assert_allclose(b["k"].numpy(), d["k"].numpy())


def test_equals_torch_while_loop():
    from torch._higher_order_ops.while_loop import while_loop

    run = {mezzo: mezzo.while_loop, torch: while_loop}
    found = [
        loop(lambda n, x: n < 5, lambda n, x: (n + 1, x * 1.5 + n), (lib.tensor(0), lib.tensor(POINT)))
        for lib, loop in run.items()
    ]  # fmt: skip
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy())


def test_one_predicate_runs_one_branch():
    ran = []
    mezzo.vmap(
        lambda x: mezzo.cond(mezzo.tensor(True), lambda v: ran.append("t") or v, lambda v: ran.append("f") or v, (x,))
    )(mezzo.ones(3))  # fmt: skip
    assert ran == ["t"]


def test_examples_that_are_done_keep_their_values():
    """Collatz: each example stops at its own turn, and goes on being 1."""

    def steps(n):
        turn = lambda n, c: (mezzo.where(n % 2 == 0, n // 2, 3 * n + 1), c + 1)
        return mezzo.while_loop(lambda n, c: n != 1, turn, (n, n * 0))

    ends, counts = mezzo.vmap(steps)(mezzo.tensor([1, 2, 3, 6, 7, 27]))
    assert ends.tolist() == [1] * 6
    assert counts.tolist() == [0, 1, 7, 8, 16, 111]


def test_cond_in_a_trace_keeps_both_branches():
    from mezzo.compiler import trace

    program = trace(lambda x: _choice(mezzo, x), mezzo.tensor(POINT))
    for point in (POINT, -POINT):
        expected = _choice(torch, torch.tensor(point))
        np.testing.assert_allclose(program(mezzo.tensor(point)).numpy(), expected.numpy())


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_under_autocast(where):
    w = mezzo.tensor(np.random.default_rng(0).standard_normal((3, 3)).astype("f4"))
    batch = mezzo.tensor(BATCH.astype("f4"))

    def f(x):
        return mezzo.cond(x.sum() > 0, lambda v: w @ v, lambda v: -(w @ v), (x,))

    if where == "inside":

        def run(x):
            with mezzo.autocast("cpu"):
                return f(x)

        found = mezzo.vmap(run)(batch)
    else:
        with mezzo.autocast("cpu"):
            found = mezzo.vmap(f)(batch)
    assert found.dtype is mezzo.bfloat16
    sign = np.sign(BATCH.sum(1, keepdims=True))
    np.testing.assert_allclose(found.float().numpy(), sign * (BATCH @ w.numpy().T), rtol=2e-2, atol=3e-2)  # fmt: skip


X = mezzo.ones(2)
WRONG = {
    "pred of two": (lambda lib, x: lib.cond(x > 0, lambda v: v, lambda v: v, (x,)), "single-element"),
    "pred a string": (lambda lib, x: lib.cond("yes", lambda v: v, lambda v: v, (x,)), "bool or tensor"),
    "a branch": (lambda lib, x: lib.cond(lib.tensor(True), 3, lambda v: v, (x,)), "true_fn"),
    "operands": (lambda lib, x: lib.cond(lib.tensor(True), lambda v: v, lambda v: v, x), "tuple"),
    "an operand": (lambda lib, x: lib.cond(lib.tensor(True), lambda v: v, lambda v: v, ("x",)), "str"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors_of_cond(name):
    call, words = WRONG[name]
    with pytest.raises(Exception):  # noqa: B017
        call(torch, torch.ones(2))
    with pytest.raises(RuntimeError, match=words):
        call(mezzo, X)


def test_errors_of_branches_that_differ():
    flags = mezzo.tensor([True, False])
    for other, words in (
        (lambda v: (v, v), "structure"), (lambda v: v.sum(), "shape"), (lambda v: v.double(), "dtype"),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=words):
            mezzo.vmap(lambda p, f=other: mezzo.cond(p, lambda v: v, f, (X,)))(flags)


def test_errors_of_while_loop():
    with pytest.raises(RuntimeError, match="single-element"):
        mezzo.while_loop(lambda v: v > 0, lambda v: (v - 1,), (X,))
    with pytest.raises(RuntimeError, match="shapes and dtypes must stay"):
        mezzo.while_loop(lambda v: v.sum() < 9, lambda v: (mezzo.cat([v, v]),), (X,))
    with pytest.raises(RuntimeError, match="structure"):
        mezzo.while_loop(lambda v: v.sum() < 9, lambda v: (v, v), (X,))
    with pytest.raises(RuntimeError, match="tuple"):
        mezzo.while_loop(lambda v: v.sum() < 9, lambda v: v, X)
