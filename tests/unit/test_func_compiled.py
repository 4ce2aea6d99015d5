"""Transforms inside compiled functions: the same programs, eager and compiled."""

from __future__ import annotations

import numpy as np
import pytest

import mezzo

BATCH = np.random.default_rng(1).standard_normal((4, 3)).astype("f4")


def _rows_written(x):
    y = x * 1
    y[0].add_(x[1])
    y.view(-1)[1:].mul_(2)
    return y


def _loss(x):
    return (x.sin() * x.sum()).tanh().sum()


def _batched_loop(x):
    return mezzo.while_loop(lambda v: v.abs().sum() > 0.5, lambda v: (v * 0.5,), (x,))[0]


class Cube(mezzo.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0] ** 2 * 4


F = mezzo.func
PROGRAMS = {
    "writes through views": lambda b: F.vmap(_rows_written)(b),
    "their gradient": lambda b: F.vmap(F.grad(lambda x: (_rows_written(x) ** 2).sum()))(b),
    "per-sample gradients": lambda b: F.vmap(F.grad(_loss))(b),
    "hessians": lambda b: F.vmap(F.hessian(_loss))(b),
    "jacfwd": lambda b: F.jacfwd(lambda x: x.sin() @ x.t())(b),
    "jvp": lambda b: F.jvp(_loss, (b,), (b * 2,))[1],
    "cond": lambda b: F.cond(b.sum() > 0, lambda x: x * 2, lambda x: x.sin(), (b,)),
    "cond of each": lambda b: F.vmap(lambda x: F.cond(x.sum() > 0, lambda v: v * 2, lambda v: v.sin(), (x,)))(b),
    "a function of the user's": lambda b: F.vmap(F.grad(lambda x: Cube.apply(x).sum()))(b),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_equals_eager_in_one_graph(name):
    program = PROGRAMS[name]
    compiled = mezzo.compile(program, fullgraph=True)
    for values in (
        BATCH,
        -BATCH,
    ):  # the second call runs what the first compiled, whatever branch it took
        expected = program(mezzo.tensor(values)).numpy()
        np.testing.assert_allclose(
            compiled(mezzo.tensor(values)).numpy(), expected, rtol=1e-5, atol=1e-6
        )


def test_a_loop_reads_its_predicate():
    program = lambda b: F.vmap(_batched_loop)(b)
    for values in (BATCH, BATCH * 9):
        expected = program(mezzo.tensor(values)).numpy()
        np.testing.assert_allclose(mezzo.compile(program)(mezzo.tensor(values)).numpy(), expected)
    with pytest.raises(RuntimeError, match="not known while a function is traced"):
        mezzo.compile(program, fullgraph=True)(mezzo.tensor(BATCH))
