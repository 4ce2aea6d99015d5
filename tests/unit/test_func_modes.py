"""no_grad, enable_grad, inference_mode, backward and values read inside transforms, against PyTorch."""

from __future__ import annotations

import linecache
import re

import numpy as np
import pytest
import torch

import mezzo


def _no_grad_inside(lib, x):
    with lib.no_grad():
        y = x * x
    return (y * x).sum()


def _enabled_again(lib, x):
    with lib.no_grad():
        y = x * 2
        with lib.enable_grad():
            z = x * 3
    return (x * y * z).sum()


def _written_without_grad(lib, x):
    y = x * 2
    with lib.no_grad():
        y.mul_(3)
    return (y * y).sum()


FUNCTIONS = [_no_grad_inside, _enabled_again, _written_without_grad]
FORMS = {
    "grad": lambda lib, f, x: lib.func.grad(f)(x),
    "jvp": lambda lib, f, x: lib.func.jvp(f, (x,), (x + 1,))[1],
    "jacfwd": lambda lib, f, x: lib.func.jacfwd(f)(x),
    "vjp": lambda lib, f, x: lib.func.vjp(f, x)[1](lib.ones((), dtype=x.dtype))[0],
    "hessian": lambda lib, f, x: lib.func.hessian(f)(x),
    "grad of grad": lambda lib, f, x: lib.func.grad(lambda y: lib.func.grad(f)(y).sum())(x),
    "vmap of grad": lambda lib, f, x: lib.vmap(lib.func.grad(f))(lib.stack([x, x + 1])),
}


@pytest.mark.parametrize("outside", ["enable_grad", "no_grad", "inference_mode"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__.strip("_"))
def test_modes_inside_and_outside(function, form, outside):
    found = []
    for lib in (mezzo, torch):
        x = lib.tensor([0.5, 2.0, -1.0], dtype=lib.float64)
        with getattr(lib, outside)():
            found.append(FORMS[form](lib, lambda x, lib=lib: function(lib, x), x).numpy())
    np.testing.assert_allclose(*found, rtol=1e-12)


def _history(lib, outside, inside):
    w = lib.ones(2, requires_grad=True)

    def f(x):
        with getattr(lib, inside)():
            y = w * x
        return (y * x).sum()

    with getattr(lib, outside)():
        return lib.func.grad(f)(lib.ones(2)).requires_grad


@pytest.mark.parametrize("inside", ["enable_grad", "no_grad"])
@pytest.mark.parametrize("outside", ["enable_grad", "no_grad"])
def test_the_outer_tape_keeps_its_own_mode(outside, inside):
    assert _history(mezzo, outside, inside) == _history(torch, outside, inside)


def test_reverse_mode_inside_forward_mode():
    found = []
    for lib in (mezzo, torch):

        def first(x, lib=lib):
            return lib.autograd.grad((x**3).sum(), x, create_graph=True)[0].sum()

        found.append(lib.func.grad(first)(lib.tensor([1.0, 2.0], dtype=lib.float64)).numpy())
    np.testing.assert_allclose(*found)


def test_backward_inside_reaches_what_was_made_inside():
    x = mezzo.tensor([[1.0, 2.0], [3.0, 4.0]])

    def f(row):
        leaf = row.detach().requires_grad_()
        (leaf**2).sum().backward()
        return leaf.grad

    np.testing.assert_array_equal(mezzo.vmap(f)(x).numpy(), 2 * x.numpy())


def test_backward_inside_does_not_leak_out():
    for lib in (mezzo, torch):
        w = lib.ones(2, requires_grad=True)

        def f(x, w=w):
            (w * x).sum().backward()
            return x

        with pytest.raises(RuntimeError, match="backward"):
            lib.vmap(f)(lib.ones(3, 2))
        assert w.grad is None


READS = {
    "if": lambda x: x if x.sum() > 0 else -x,
    "while": lambda x: _while(x),
    "item": lambda x: x * x.sum().item(),
    "int": lambda x: x * int(x.sum()),
    "float": lambda x: x * float(x.sum()),
    "range": lambda x: x * len(range(x.sum().long())),
    "slice": lambda x: x[: x.sum().long()],
    "arange": lambda x: mezzo.arange(x.sum()),
    "numpy": lambda x: mezzo.tensor(x.detach().numpy()),
    "tolist": lambda x: mezzo.tensor(x.tolist()),
    "in": lambda x: x if 1 in x else -x,
    "allclose": lambda x: x if mezzo.allclose(x, x) else -x,
    "equal": lambda x: x if mezzo.equal(x, x) else -x,
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "masked_select": lambda x: x.masked_select(x > 0),
    "unique": lambda x: x.unique(),
    "where": lambda x: mezzo.where(x)[0],
    "argwhere": lambda x: mezzo.argwhere(x),
}


def _while(x):
    while x.sum() > 0:
        x = x - 1
    return x


@pytest.mark.parametrize("nested", ["vmap", "vmap of grad"])
@pytest.mark.parametrize("name", READS)
def test_reading_a_batched_value_names_the_line_and_the_way_out(name, nested):
    read = READS[name]
    f = read if nested == "vmap" else mezzo.func.grad(lambda x: read(x).sum())
    with pytest.raises(RuntimeError) as caught:
        mezzo.vmap(f)(mezzo.ones(3, 2))
    text = str(caught.value)
    assert "mezzo.where(" in text
    if "cannot be read" in text:
        assert "mezzo.cond(" in text and "mezzo.while_loop(" in text
    line = int(re.search(re.escape(__file__) + r":(\d+)", text)[1])
    here = linecache.getline(__file__, line)
    assert f'"{name}": lambda' in here or (name == "while" and "while x.sum()" in here)


def test_choosing_by_a_value_that_is_not_batched():
    flag = mezzo.tensor(True)
    found = mezzo.vmap(lambda x: x if flag else -x)(mezzo.ones(3))
    assert found.tolist() == [1, 1, 1]
    sign = mezzo.func.grad(lambda x: x.sum() if x.sum() > 0 else -x.sum())
    assert sign(mezzo.tensor([-2.0, 1.0])).tolist() == [-1, -1]


def test_assigning_through_a_mask_is_a_choice():
    """The shape does not depend on the values: vmap can (PyTorch's cannot)."""
    x = mezzo.tensor([[1.0, -2.0], [-3.0, 4.0]])

    def f(row):
        row = row * 1
        row[row < 0] = 0.0
        return row

    assert mezzo.vmap(f)(x).tolist() == [[1, 0], [0, 4]]


@pytest.mark.parametrize(("form", "words"), [("vmap", "float32[2] inside vmap"), ("vmap of grad", "float32[2] inside grad")])  # fmt: skip
def test_printing_inside(form, words, capsys):
    def f(x):
        print(x, repr(x), f"{x}")
        return x.sum()

    mezzo.vmap(f if form == "vmap" else mezzo.func.grad(f))(mezzo.ones(3, 2))
    assert capsys.readouterr().out.count(words) == 3
