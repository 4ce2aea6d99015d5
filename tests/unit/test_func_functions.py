"""autograd.Function inside transforms in any order, by every way to declare its batching, against torch.func."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import torch

import mezzo
from mezzo.func import functions

BATCH = np.random.default_rng(0).standard_normal((4, 3))


def _cube(lib, batching: str, forward_mode: bool):
    """A Function whose declared derivatives are wrong by a factor, so that it shows which rule was used."""

    class Cube(lib.autograd.Function):
        generate_vmap_rule = batching == "generated"

        @staticmethod
        def forward(x, y):
            return x**3 * y, x.sum() * y

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, g, h):
            x, y = ctx.saved_tensors
            return 3 * x**2 * y * g * 1.5 + (h * y).sum() * (x * 0 + 1), x**3 * g + h * x.sum()

    if batching == "declared":

        def vmap(info, in_dims, x, y):
            assert info.batch_size in (2, 3, 4)
            assert info.randomness == "error"
            x = x.movedim(in_dims[0], 0) if in_dims[0] is not None else x
            y = y.movedim(in_dims[1], 0) if in_dims[1] is not None else y
            return (x**3 * y, x.sum(-1, keepdim=True) * y), (0, 0)

        Cube.vmap = staticmethod(vmap)
    if forward_mode:

        def jvp(ctx, tx, ty):
            x, y = ctx.saved_tensors
            tx, ty = 0 if tx is None else tx, 0 if ty is None else ty
            return 3 * x**2 * y * tx * 1.5 + x**3 * ty, (tx * (x * 0 + 1)).sum() * y + x.sum() * ty

        Cube.jvp = staticmethod(jvp)
    return Cube


def _loss(outs):
    return sum(o.sin().sum() for o in outs)


def _outer_tape(lib, f):
    w = lib.tensor(BATCH[0], requires_grad=True)
    sum(o.sum() for o in lib.vmap(lambda x: f(x, w))(lib.tensor(BATCH))).backward()
    return w.grad


X, V, B = (
    (lambda lib: lib.tensor(BATCH[0])),
    (lambda lib: lib.tensor(BATCH[1])),
    (lambda lib: lib.tensor(BATCH)),
)
FORMS = {
    "grad": lambda lib, f: lib.func.grad(lambda x: _loss(f(x, x * 2)))(X(lib)),
    "grad of grad": lambda lib, f: lib.func.grad(lambda z: lib.func.grad(lambda x: _loss(f(x, x * 2)))(z).sum())(X(lib)),
    "jacrev": lambda lib, f: lib.func.jacrev(lambda x: f(x, x * 2))(X(lib)),
    "jacrev of jacrev": lambda lib, f: lib.func.jacrev(lib.func.jacrev(lambda x: f(x, x * 2)[0]))(X(lib)),
    "jvp": lambda lib, f: lib.func.jvp(lambda x: f(x, x * 2), (X(lib),), (V(lib),)),
    "jvp of one": lambda lib, f: lib.func.jvp(lambda x: f(x, lib.tensor(BATCH[2])), (X(lib),), (V(lib),)),
    "jacfwd": lambda lib, f: lib.func.jacfwd(lambda x: f(x, x * 2))(X(lib)),
    "hessian": lambda lib, f: lib.func.hessian(lambda x: f(x, x * 2)[0].sum())(X(lib)),
    "vmap": lambda lib, f: lib.vmap(lambda x: f(x, x * 2))(B(lib)),
    "vmap, shared": lambda lib, f: lib.vmap(f, in_dims=(0, None))(B(lib), X(lib)),
    "vmap, axis 1": lambda lib, f: lib.vmap(f, in_dims=(None, 1))(X(lib), lib.tensor(np.ascontiguousarray(BATCH.T))),
    "vmap of grad": lambda lib, f: lib.vmap(lib.func.grad(lambda x: _loss(f(x, x * 2))))(B(lib)),
    "vmap of grad, shared": lambda lib, f: lib.vmap(lib.func.grad(lambda x, y: _loss(f(x, y)), argnums=(0, 1)), in_dims=(0, None))(B(lib), X(lib)),
    "grad of vmap": lambda lib, f: lib.func.grad(lambda b: _loss(lib.vmap(lambda x: f(x, x * 2))(b)))(B(lib)),
    "grad of vmap, shared": lambda lib, f: lib.func.grad(lambda b, c: _loss(lib.vmap(f, in_dims=(0, None))(b, c)), argnums=(0, 1))(B(lib), X(lib)),
    "vmap of jacrev": lambda lib, f: lib.vmap(lib.func.jacrev(lambda x: f(x, x * 2)))(B(lib)),
    "vmap of jacfwd": lambda lib, f: lib.vmap(lib.func.jacfwd(lambda x: f(x, x * 2)))(B(lib)),
    "vmap of vmap": lambda lib, f: lib.vmap(lib.vmap(f, in_dims=(0, None)))(lib.tensor(np.stack([BATCH, BATCH + 1])), lib.tensor(BATCH[:2])),
    "outer tape": _outer_tape,
}  # fmt: skip


def _flat(value):
    if isinstance(value, (tuple, list)):
        return [x for v in value for x in _flat(v)]
    return [value.detach().numpy()]


@functools.cache
def _expected(form: str, batching: str):
    """PyTorch's result; a declared batching is differentiated as what it calls."""
    return _flat(FORMS[form](torch, _cube(torch, batching, True).apply))


@pytest.mark.parametrize("forward_mode", [True, False], ids=["jvp", "no jvp"])
@pytest.mark.parametrize("batching", ["generated", "declared", "loop"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:vmap. Cube has no batching rule")
def test_equals_torch_func(form, batching, forward_mode):
    """Without jvp, forward mode transposes backward, which PyTorch cannot."""
    wanted = "declared" if batching == "declared" else "generated"
    found = _flat(FORMS[form](mezzo, _cube(mezzo, batching, forward_mode).apply))
    for ours, theirs in zip(found, _expected(form, wanted), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


class Doubled(mezzo.autograd.Function):
    """Without setup_context."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 20


def test_the_loop_warns_once_for_each_function():
    functions._warned.discard(Doubled)
    x = mezzo.ones(3, 2)
    with pytest.warns(UserWarning, match="Doubled has no batching rule.*3 examples"):
        assert mezzo.vmap(Doubled.apply)(x).tolist() == [[2, 2]] * 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mezzo.vmap(Doubled.apply)(x)


@pytest.mark.filterwarnings("ignore:vmap. Doubled has no batching rule")
def test_without_setup_context():
    x = mezzo.ones(3, 2)
    assert mezzo.func.grad(lambda v: Doubled.apply(v).sum())(x[0]).tolist() == [20, 20]
    assert (
        mezzo.vmap(mezzo.func.grad(lambda v: Doubled.apply(v).sum()))(x).tolist() == [[20, 20]] * 3
    )
    leaf = mezzo.ones(3, 2, requires_grad=True)
    mezzo.vmap(Doubled.apply)(leaf).sum().backward()
    assert leaf.grad.tolist() == [[20, 20]] * 3
    nested = mezzo.func.grad(lambda v: mezzo.func.grad(lambda u: Doubled.apply(u).sum())(v).sum())
    with pytest.raises(RuntimeError, match="setup_context"):
        nested(x[0])


class Once(mezzo.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    @mezzo.autograd.function.once_differentiable
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos()


def test_once_differentiable():
    x = mezzo.tensor(BATCH)
    np.testing.assert_allclose(
        mezzo.vmap(mezzo.func.grad(lambda v: Once.apply(v).sum()))(x).numpy(), np.cos(BATCH)
    )
    for twice in (
        lambda: mezzo.func.hessian(lambda v: Once.apply(v).sum())(x[0]),
        lambda: mezzo.func.jvp(Once.apply, (x[0],), (x[1],)),
        lambda: mezzo.func.grad(mezzo.func.grad(lambda v: Once.apply(v)))(x[0, 0]),
    ):
        with pytest.raises(RuntimeError, match="once_differentiable"):
            twice()


def _scaled(lib):
    class Scaled(lib.autograd.Function):
        """A number, a flag and an output without gradient among inputs and outputs."""

        generate_vmap_rule = True

        @staticmethod
        def forward(x, factor, flag):
            return x * factor, (x > 0).to(x.dtype)

        @staticmethod
        def setup_context(ctx, inputs, output):
            _, ctx.factor, flag = inputs
            assert flag == "on"
            ctx.mark_non_differentiable(output[1])

        @staticmethod
        def backward(ctx, g, _):
            assert ctx.needs_input_grad == (True, False, False)
            return g * ctx.factor, None, None

    return Scaled


def test_arguments_that_are_no_tensors():
    found = []
    for lib in (mezzo, torch):
        run = _scaled(lib).apply

        def f(x, run=run):
            y, positive = run(x, 3.0, "on")
            return (y * positive).sum()

        found.append(lib.vmap(lib.func.grad(f))(lib.tensor(BATCH)).numpy())
    np.testing.assert_allclose(*found)


def test_wrong_declarations():
    both = type("Both", (_cube(mezzo, "declared", False),), {"generate_vmap_rule": True})
    with pytest.raises(RuntimeError, match="both"):
        mezzo.vmap(lambda x: both.apply(x, x))(mezzo.tensor(BATCH))
    for wrong, words in (
        (lambda info, dims, x, y: x, "out_dims"),
        (lambda info, dims, x, y: ((x, y), (0,)), "2 outputs and 1 out_dims"),
    ):
        made = type("Wrong", (_cube(mezzo, "none", False),), {"vmap": staticmethod(wrong)})
        with pytest.raises(ValueError, match=words):
            mezzo.vmap(lambda x, f=made: f.apply(x, x))(mezzo.tensor(BATCH))


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_under_autocast(where):
    seen = []

    class Product(mezzo.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, w):
            seen.append((x @ w).dtype)
            return x @ w

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            g = g.float()  # outside the region nothing is cast
            return g @ w.t(), x.unsqueeze(-1) @ g.unsqueeze(0)

    w, x = mezzo.randn(3, 3), mezzo.tensor(BATCH.astype("f4"))

    def loss(w, x):
        return Product.apply(x, w).float().sum()

    def inside(w, x):
        with mezzo.autocast("cpu"):
            return loss(w, x)

    if where == "inside":
        grads = mezzo.vmap(mezzo.func.grad(inside), in_dims=(None, 0))(w, x)
    else:
        with mezzo.autocast("cpu"):
            grads = mezzo.vmap(mezzo.func.grad(loss), in_dims=(None, 0))(w, x)
    assert seen == [mezzo.bfloat16]
    assert grads.dtype is mezzo.float32
    np.testing.assert_allclose(
        grads.numpy(), np.repeat(BATCH[:, :, None], 3, 2), rtol=2e-2, atol=2e-2
    )
