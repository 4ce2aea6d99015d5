"""The tape against PyTorch's: leaves, hooks, in-place writes, views, Function, modes."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
import torch

import mezzo

LIBRARIES = [mezzo, torch]


def _both(program):
    """The program's result with mezzo and with torch must be equal."""
    ours, theirs = program(mezzo), program(torch)
    _equal(ours, theirs)
    return ours


def _equal(a, b):
    if isinstance(b, (tuple, list)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            _equal(x, y)
    elif isinstance(b, torch.Tensor):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6)
    else:
        assert a == b


def test_accumulates_and_keeps_graphs():
    def program(lib):
        x = lib.tensor([2.0, 3.0], requires_grad=True)
        y = (x * x).sum()
        y.backward(retain_graph=True)
        y.backward()
        return x.grad

    _both(program)


def test_second_backward_says_what_to_do():
    x = mezzo.tensor([2.0], requires_grad=True)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time.*retain_graph=True"):
        y.backward()


def test_higher_derivatives():
    def program(lib):
        x = lib.tensor([0.5, 2.0], requires_grad=True, dtype=lib.float64)
        y, found = (x.sin() * x * x).sum(), []
        for _ in range(4):
            (y,) = lib.autograd.grad(y.sum(), x, create_graph=True)
            found.append(y.detach())
        return found

    _both(program)


def test_grad_of_several_inputs_and_unused_ones():
    def program(lib):
        x, y, z = (lib.tensor([float(i + 1)], requires_grad=True) for i in range(3))
        gx, gy, gz = lib.autograd.grad(x * y, (x, y, z), allow_unused=True, retain_graph=True)
        assert gz is None
        (gm,) = lib.autograd.grad(x * y, z, materialize_grads=True)
        return [gx, gy, gm, x.grad is None]

    _both(program)
    x, z = (mezzo.tensor([1.0], requires_grad=True) for _ in range(2))
    with pytest.raises(RuntimeError, match="allow_unused"):
        mezzo.autograd.grad(x * 2, z)


def test_errors_of_the_roots():
    for lib in LIBRARIES:
        with pytest.raises(RuntimeError, match="does not require grad"):
            lib.ones(1).backward()
        with pytest.raises(RuntimeError, match="scalar outputs"):
            (lib.ones(2, requires_grad=True) * 2).backward()
        with pytest.raises(RuntimeError, match="Mismatch in shape"):
            (lib.ones(2, requires_grad=True) * 2).backward(lib.ones(3))
        with pytest.raises(RuntimeError, match="floating"):
            lib.ones(2, dtype=lib.int64, requires_grad=True)


def test_backward_into_chosen_inputs():
    def program(lib):
        x, y = lib.tensor([2.0], requires_grad=True), lib.tensor([3.0], requires_grad=True)
        (x * y).backward(inputs=[x])
        return [x.grad, y.grad is None]

    _both(program)


def test_hooks():
    def program(lib):
        seen = []
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        y = x * 3
        y.retain_grad()
        handle = y.register_hook(lambda g: g * 2)
        x.register_hook(lambda g: seen.append(g.tolist()))
        x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
        y.sum().backward()
        handle.remove()
        (x * 3).sum().backward()
        return [seen, x.grad, y.grad]

    _both(program)


def test_node_hooks_and_names():
    def program(lib):
        x = lib.tensor([1.0], requires_grad=True)
        y = x * 2
        seen = []
        y.grad_fn.register_prehook(lambda g: seen.append("pre"))
        y.grad_fn.register_hook(
            lambda gi, go: seen.append(("post", gi[0].tolist(), go[0].tolist()))
        )
        y.backward()
        return [seen, y.grad_fn.name(), y.is_leaf, x.is_leaf, x.grad_fn is None]

    _both(program)


def test_modes():
    def program(lib):
        x = lib.ones(2, requires_grad=True)
        found = []
        with lib.no_grad():
            found.append((x * 2).requires_grad)
            with lib.enable_grad():
                found.append((x * 2).requires_grad)

        @lib.no_grad()
        def f(v):
            return v * 2

        found.append(f(x).requires_grad)
        lib.set_grad_enabled(False)
        found.append((x * 2).requires_grad)
        lib.set_grad_enabled(True)
        with lib.set_grad_enabled(False):
            found.append(lib.is_grad_enabled())
        found.append(lib.is_grad_enabled())
        with lib.inference_mode():
            found += [
                (x * 2).requires_grad,
                (x * 2).is_inference(),
                lib.is_inference_mode_enabled(),
            ]
        with lib.inference_mode(False):
            found.append((x * 2).requires_grad)
        return found

    _both(program)


def test_modes_in_generators():
    for lib in LIBRARIES:

        @lib.no_grad()
        def generate(lib=lib):
            yield lib.is_grad_enabled()
            yield lib.is_grad_enabled()

        for inside in generate():
            assert not inside and lib.is_grad_enabled()


def test_inference_tensors_stay_out_of_differentiation():
    for lib in LIBRARIES:
        with lib.inference_mode():
            frozen = lib.ones(2)
        x = lib.ones(2, requires_grad=True)
        with pytest.raises(RuntimeError, match="[Ii]nference tensor"):
            x * frozen
        with pytest.raises(RuntimeError, match="[Ii]nference tensor"):
            frozen.add_(1)
        x = lib.ones(2, requires_grad=True)
        (x * frozen.clone()).sum().backward()
        assert x.grad.tolist() == frozen.tolist()


def test_leaf_written_in_place():
    for lib in LIBRARIES:
        x = lib.ones(2, requires_grad=True)
        with pytest.raises(RuntimeError, match="leaf Variable"):
            x.add_(1)
        with pytest.raises(RuntimeError, match="view of a leaf"):
            x.select(0, 0).add_(1)
        with lib.no_grad():
            x.add_(1)
        assert x.tolist() == [2.0, 2.0]


def test_saved_tensor_written_in_place_names_the_writer():
    for lib in LIBRARIES:
        a = lib.ones(3, requires_grad=True) * 2
        b = a.sin()
        a.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            b.sum().backward()
    a = mezzo.ones(3, requires_grad=True) * 2
    b = a.sin()
    a.add_(1)  # the line that the error names
    with pytest.raises(RuntimeError, match=r"sin saved.*add_ at .*test_autograd.py:\d+"):
        b.sum().backward()


def test_writes_in_place_are_recorded():
    def program(lib):
        x = lib.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = x * 2
        y.mul_(x.detach())
        y.add_(x)
        y.sum().backward()
        return [x.grad, y]

    _both(program)


def test_writes_through_views_reach_the_base():
    def program(lib):
        x = lib.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        w = lib.tensor([5.0, 6.0], requires_grad=True)
        y = x * 1
        row, other = y.select(0, 0), y.select(0, 1)
        row.mul_(w)
        z = (y * y).sum() + (other * 3).sum() + row.sum()
        z.backward()
        return [x.grad, w.grad, y, row]

    _both(program)


def test_writes_into_a_buffer_that_needed_no_gradient():
    def program(lib):
        w = lib.tensor([5.0, 6.0], requires_grad=True)
        buffer = lib.zeros(3, 2)
        buffer.select(0, 1).copy_(w)
        buffer.select(0, 2).add_(w * w)
        buffer.transpose(0, 1).select(0, 0).mul_(2)
        (buffer * buffer).sum().backward()
        return [w.grad, buffer, buffer.requires_grad]

    _both(program)


def test_detach_shares_memory_and_version():
    def program(lib):
        x = lib.ones(2, requires_grad=True)
        y = x * 2
        d = y.detach()
        before = y._version
        d.add_(1)
        return [y, d.requires_grad, y._version - before]

    _both(program)


def test_requires_grad_of_computed_tensors_cannot_be_cleared():
    for lib in LIBRARIES:
        y = lib.ones(2, requires_grad=True) * 2
        with pytest.raises(RuntimeError, match="leaf"):
            y.requires_grad = False


class _Scale(mezzo.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False)
        return g * ctx.factor + x * 0, None


def test_functions_of_users():
    x = mezzo.tensor([1.0, 2.0], requires_grad=True)
    y = _Scale.apply(x, 3.0)
    assert type(y.grad_fn).__name__ and y.tolist() == [3.0, 6.0]
    (g,) = mezzo.autograd.grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [3.0, 3.0] and g.requires_grad


class _Wrong(mezzo.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        return x + y

    @staticmethod
    def backward(ctx, g):
        return g


def test_function_with_too_few_gradients():
    x = mezzo.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        _Wrong.apply(x, x).backward()


class _Modern(mezzo.autograd.Function):
    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 2 * x


def test_functions_with_setup_context():
    x = mezzo.tensor([3.0], requires_grad=True)
    _Modern.apply(x).backward()
    assert x.grad.tolist() == [6.0]


def test_graphs_of_100000_nodes():
    x = mezzo.ones(1, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 100_001.0
    del y


def test_graphs_are_freed_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        x = mezzo.ones(1000, requires_grad=True)
        y = (x.sin() * x).sum()
        node = weakref.ref(y.grad_fn)
        y.backward()
        del y
        assert node() is None
    finally:
        gc.enable()


def test_copies_and_pickles_of_leaves():
    x = mezzo.tensor([1.0, 2.0], requires_grad=True)
    x.grad = mezzo.ones(2)
    for again in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert again.requires_grad and again.tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2)


def test_integer_results_have_no_gradient():
    x = mezzo.ones(3, requires_grad=True)
    assert not x.to(mezzo.int64).requires_grad


def test_gradients_of_expanded_and_shared_operands():
    def program(lib):
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        y = x.expand(3, 2)
        (y * y * x).sum().backward()
        return x.grad

    _both(program)
