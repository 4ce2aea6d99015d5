"""Writes in place inside transforms: through views, before and after them, against PyTorch's torch.func."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo

BATCH = np.random.default_rng(0).standard_normal((3, 4, 5))


def _row(y, x):
    y[0].add_(x[1])
    return y


def _transpose(y, x):
    y.t().mul_(2)
    return y


def _assigned(y, x):
    y[0] = x[1] * 3
    return y


def _element(y, x):
    y[0][1] = x[1][0] * 3
    return y


def _view_made_before(y, x):
    v = y.view(-1)
    y.mul_(x)
    return v * 2


def _columns(y, x):
    y[:, 1:3].copy_(x[:, 0:2])
    return y


def _view_of_a_view(y, x):
    v = y.t()
    w = v[0]
    w.mul_(2.0)
    v.add_(1)
    return w.sum() * y


def _diagonal(y, x):
    y.diagonal().mul_(x[0, 0])
    return y


def _twice(y, x):
    y[1].mul_(x[0])
    y[1].add_(y[2])
    y.mul_(x)
    return y


def _detached(y, x):
    y.detach().mul_(3)
    return y + x


WRITES = [_row, _transpose, _assigned, _element, _view_made_before, _columns, _view_of_a_view, _diagonal, _twice,
          _detached]  # fmt: skip


def _outer_tape(lib, f):
    w = lib.tensor(BATCH[1], requires_grad=True)
    (lib.func.vmap(lambda x: f(x * w))(lib.tensor(BATCH)) ** 2).sum().backward()
    return w.grad


TRANSFORMS = {
    "vmap": lambda lib, f: lib.func.vmap(f)(lib.tensor(BATCH)),
    "grad": lambda lib, f: lib.func.grad(lambda x: (f(x) ** 2).sum())(lib.tensor(BATCH[0])),
    "vmap of grad": lambda lib, f: lib.func.vmap(lib.func.grad(lambda x: (f(x) ** 2).sum()))(lib.tensor(BATCH)),
    "grad of vmap": lambda lib, f: lib.func.grad(lambda x: (lib.func.vmap(f)(x) ** 2).sum())(lib.tensor(BATCH)),
    "jvp": lambda lib, f: lib.func.jvp(f, (lib.tensor(BATCH[0]),), (lib.tensor(BATCH[1]),)),
    "hessian": lambda lib, f: lib.func.hessian(lambda x: (f(x) ** 2).sum())(lib.tensor(BATCH[0])),
    "outer tape": _outer_tape,
}  # fmt: skip


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__.strip("_"))
def test_writes_reach_the_root_and_its_history(write, transform):
    found = []
    for lib in (mezzo, torch):
        result = TRANSFORMS[transform](lib, lambda x: write(x * 1, x))
        found.append(result if isinstance(result, tuple) else (result,))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(
            ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("form", ["t_", "unsqueeze_", "squeeze_"])
def test_shapes_change_in_place(form):
    found = []
    for lib in (mezzo, torch):

        def reshaped(x, form=form):
            y = x[:, :1] * 2
            getattr(y, form)(*([-1] if form != "t_" else []))
            return y

        found.append((lib.func.vmap(reshaped)(lib.tensor(BATCH)),
                      lib.func.grad(lambda x: (reshaped(x) ** 2).sum())(lib.tensor(BATCH[0]))))  # fmt: skip
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


REFUSED = {
    "a variable": (lambda lib: lib.func.grad(lambda x: x.mul_(2).sum())(lib.ones(3)), "leaf Variable"),
    "a view of one": (lambda lib: lib.func.grad(lambda x: x[0].mul_(2).sum())(lib.ones(3)), "view of a leaf"),
    "a smaller dtype": (lambda lib: lib.vmap(lambda x: x.add_(1.5))(lib.zeros(3, dtype=lib.int64)), "can't be cast"),
    "a larger result": (lambda lib: lib.vmap(lambda x: x.add_(lib.ones(2, 3)))(lib.zeros(3, 3)), "broadcast shape"),
    "an unbatched target": (lambda lib: lib.vmap(lambda a, b: a.add_(b), in_dims=(None, 0))(lib.zeros(5), lib.zeros(3, 5)), "inplace arithmetic"),
    "what is saved": (lambda lib: lib.func.grad(_overwritten)(lib.ones(3)), "modified by an inplace operation"),
}  # fmt: skip


def _overwritten(x):
    y = x.exp()
    z = y * y
    y.mul_(2)
    return z.sum()


@pytest.mark.parametrize("name", REFUSED)
def test_refused_as_in_pytorch(name):
    call, words = REFUSED[name]
    with pytest.raises(RuntimeError):
        call(torch)
    with pytest.raises(RuntimeError, match=words):
        call(mezzo)


def test_the_callers_tensor_is_written():
    for lib in (mezzo, torch):
        x = lib.ones(3, 2)
        lib.vmap(lambda r: r[0].add_(1))(x)
        assert x.tolist() == [[2, 1]] * 3


@pytest.mark.parametrize("transform", ["grad", "vmap"])
def test_tensors_that_escape_are_refused_not_read(transform):
    """Their memory is gone: an error, not a crash."""
    kept = []

    def keep(x):
        kept.append(x)
        return x.sum()

    getattr(mezzo.func, transform)(keep)(mezzo.ones(2, 3) if transform == "vmap" else mezzo.ones(3))
    for use in (lambda t: t + 1, lambda t: t.sum(), lambda t: mezzo.ones(3).add_(t), lambda t: t.numpy(),
                lambda t: t.view(-1), lambda t: t.data_ptr(), lambda t: mezzo.nn.Parameter(t)):  # fmt: skip
        with pytest.raises(RuntimeError):
            use(kept[0].detach())
