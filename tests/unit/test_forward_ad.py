"""Dual tensors against torch.autograd.forward_ad."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo

RNG = np.random.default_rng(4)
X, V, W, M = (
    RNG.standard_normal(5),
    RNG.standard_normal(5),
    RNG.standard_normal((4, 5)),
    RNG.standard_normal((5, 5)),
)


def _two(lib, fw, x, v):
    a, b = fw.make_dual(x, v), fw.make_dual(x + 1, v * 2)
    return fw.unpack_dual((a * b).tanh().cumsum(0))


def _no_grad(lib, fw, x, v):
    with lib.no_grad():
        d = fw.make_dual(x, v)
        return fw.unpack_dual((d * d).sin())


def _in_place(lib, fw, x, v):
    y = fw.make_dual(x, v) * 1
    y[1:3].mul_(2)
    y.add_(x)
    return fw.unpack_dual(y**2)


def _hessian_product(lib, fw, x, v):
    """Forward over reverse, without create_graph."""
    d = fw.make_dual(x.clone().requires_grad_(), v)
    (g,) = lib.autograd.grad((d.sin().exp() ** 2).sum(), d)
    return fw.unpack_dual(g)


def _of_a_function(lib, fw, x, v):
    class Cube(lib.autograd.Function):
        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(*inputs)

        @staticmethod
        def jvp(ctx, t):
            return 30 * ctx.saved_tensors[0] ** 2 * t

    return fw.unpack_dual(Cube.apply(fw.make_dual(x, v)))


def _parameters(lib, fw, x, v):
    model = lib.nn.Linear(5, 4, bias=False, dtype=lib.float64)
    del model.weight
    model.weight = fw.make_dual(lib.tensor(W), lib.tensor(W * W))
    return fw.unpack_dual(model(x).tanh())


PROGRAMS = {
    "elementwise": lambda lib, fw, x, v: fw.unpack_dual((fw.make_dual(x, v).sin() * x).exp()),
    "matmul": lambda lib, fw, x, v: fw.unpack_dual(lib.tensor(W) @ fw.make_dual(x, v)),
    "softmax": lambda lib, fw, x, v: fw.unpack_dual(fw.make_dual(x, v).softmax(0)),
    "inverse": lambda lib, fw, x, v: fw.unpack_dual(lib.linalg.inv(fw.make_dual(lib.tensor(M), lib.tensor(M * M)))),
    "several": _two,
    "no_grad": _no_grad,
    "in place": _in_place,
    "hessian product": _hessian_product,
    "a function of the user's": _of_a_function,
    "a module's parameter": _parameters,
    "detached": lambda lib, fw, x, v: fw.unpack_dual(fw.make_dual(x, v).detach()),
    "a comparison": lambda lib, fw, x, v: fw.unpack_dual((fw.make_dual(x, v) > 0).to(x.dtype)),
    "no dual": lambda lib, fw, x, v: fw.unpack_dual(x),
    "read": lambda lib, fw, x, v: fw.unpack_dual(fw.make_dual(x, v) * fw.make_dual(x, v).sum().item()),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_equals_pytorch(name):
    found = []
    for lib in (mezzo, torch):
        fw = lib.autograd.forward_ad
        with fw.dual_level():
            result = PROGRAMS[name](lib, fw, lib.tensor(X), lib.tensor(V))
            found.append(result if isinstance(result, tuple) else (result,))
    for ours, theirs in zip(*found, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_allclose(
                ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-10, atol=1e-12
            )


def test_inside_vmap():
    """PyTorch cannot; the sum of cubes has 3 x^2 for its gradient."""
    fw = mezzo.autograd.forward_ad

    def along(row, v):
        return fw.unpack_dual((fw.make_dual(row, v) ** 3).sum())

    with fw.dual_level():
        for v, axis in ((mezzo.tensor(V), None), (mezzo.tensor(M * 2), 0)):
            primal, tangent = mezzo.vmap(along, in_dims=(0, axis))(mezzo.tensor(M), v)
            np.testing.assert_allclose(primal.numpy(), (M**3).sum(1))
            np.testing.assert_allclose(tangent.numpy(), (3 * M**2 * v.numpy()).sum(1))


def test_tangents_have_history():
    for lib in (mezzo, torch):
        fw, y = lib.autograd.forward_ad, lib.tensor(X, requires_grad=True)
        with fw.dual_level():
            fw.unpack_dual(
                (fw.make_dual(lib.tensor(V), lib.tensor(V)) * y * y).sum()
            ).tangent.backward()
        np.testing.assert_allclose(y.grad.numpy(), 2 * X * V)


def _nested(fw):
    with fw.dual_level(), fw.dual_level():
        pass


def _in_level(call):
    def run(lib, fw):
        with fw.dual_level():
            return call(lib, fw)

    return run


X3 = lambda lib: lib.ones(3)
WRONG = {
    "no level": (lambda lib, fw: fw.make_dual(X3(lib), X3(lib)), RuntimeError, "level"),
    "a level in a level": (lambda lib, fw: _nested(fw), RuntimeError, "[Nn]ested"),
    "leaving none": (lambda lib, fw: fw.exit_dual_level(), RuntimeError, "level"),
    "integers": (_in_level(lambda lib, fw: fw.make_dual(lib.ones(3, dtype=lib.int64), X3(lib))), ValueError, "floating"),
    "an integer tangent": (_in_level(lambda lib, fw: fw.make_dual(X3(lib), lib.ones(3, dtype=lib.int64))), ValueError, "floating"),
    "another shape": (_in_level(lambda lib, fw: fw.make_dual(X3(lib), lib.ones(2))), RuntimeError, "shape|size"),
    "a dual of a dual": (_in_level(lambda lib, fw: fw.make_dual(fw.make_dual(X3(lib), X3(lib)), X3(lib))), RuntimeError, "already"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_refused_as_in_pytorch(name):
    call, kind, words = WRONG[name]
    for lib in (mezzo, torch):
        with pytest.raises(kind, match=words):
            call(lib, lib.autograd.forward_ad)
