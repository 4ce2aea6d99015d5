"""Compiled modules, and gradients through compiled functions."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from compiling import same, squares

import mezzo
from mezzo import nn
from mezzo.nn import functional as F


@pytest.fixture(autouse=True)
def _seed():
    mezzo.manual_seed(0)


class Net(nn.Module):
    """Layers that behave differently in training, a setting, and a helper."""

    def __init__(self, depth: int = 2):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(depth))
        self.norm, self.dropout = nn.BatchNorm1d(6), nn.Dropout(0.3)
        self.scale, self.scales = 1.0, [1.0, 2.0]
        self.register_buffer("seen", mezzo.zeros(()))

    def activation(self, x):
        return F.gelu(x) * self.scales[0]

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))
        self.seen += 1
        return self.dropout(self.norm(x)) * self.scale


def grads(module) -> list:
    return [p.grad for p in module.parameters()]


def check_step(compiled, eager, x) -> None:
    """One forward and backward pass of both, from the same random state, leaves the same behind."""
    for module in (compiled, eager):
        mezzo.manual_seed(1)
        module.out = module(x)
        module.out.pow(2).sum().backward()
    same(compiled.out, eager.out)
    for p, q in zip(compiled.parameters(), eager.parameters()):
        same(p.grad, q.grad)
    for p, q in zip(compiled.buffers(), eager.buffers()):
        same(p, q)


# ---- the wrapper


def test_the_wrapper_is_pytorchs():
    ours, theirs = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), torch.nn.Sequential(
        torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)
    )  # fmt: skip
    found, expected = mezzo.compile(ours), torch.compile(theirs, backend="eager")
    assert type(found).__name__ == type(expected).__name__ == "OptimizedModule"
    assert list(found.state_dict()) == list(expected.state_dict())
    for names in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [n for n, _ in getattr(found, names)()] == [n for n, _ in getattr(expected, names)()]
    assert repr(found) == repr(expected) and len(found) == len(expected)
    assert found._orig_mod is ours and isinstance(found, nn.Module)
    assert not isinstance(found, nn.Sequential)
    found.eval()
    assert not ours.training and not found.training and not ours[1].training
    found.train()
    assert ours.training and found.training
    found.note = 5
    assert ours.note == 5 and found.note == 5
    del found.note
    assert not hasattr(ours, "note") and not hasattr(found, "note")
    with pytest.raises(RuntimeError, match="Missing key"):
        found.load_state_dict(ours.state_dict())
    found.load_state_dict({f"_orig_mod.{k}": v + 1 for k, v in ours.state_dict().items()})
    assert ours[1].running_mean.tolist() == [1, 1, 1]


def test_modules_train_as_eager_ones():
    eager = Net()
    module = copy.deepcopy(eager)
    compiled = mezzo.compile(module)
    for n in (4, 4, 7):
        x = mezzo.randn(n, 6)
        check_step(compiled, eager, x)
    assert module.norm.num_batches_tracked.item() == 3 and module.seen.item() == 3
    assert compiled._compiled.traces == 2


def test_modes_settings_and_parts_are_guarded():
    eager = Net()
    compiled = mezzo.compile(copy.deepcopy(eager))
    x = mezzo.randn(4, 6)
    counts = []

    def changed(change):
        for module in (compiled, eager):
            change(module)
        for _ in range(2):
            mezzo.manual_seed(2)
            found = compiled(x)
            mezzo.manual_seed(2)
            same(found, eager(x))
        counts.append(compiled._compiled.traces)

    changed(lambda m: None)
    changed(lambda m: m.eval())
    changed(lambda m: setattr(m, "scale", 3.0))
    changed(lambda m: m.scales.__setitem__(0, 0.5))
    changed(lambda m: m.train())
    changed(lambda m: setattr(m.dropout, "p", 0.9))
    changed(lambda m: m.layers.append(m.layers[0]))
    assert counts == [1, 2, 3, 4, 5, 6, 7]


def test_parameters_that_are_replaced_or_frozen():
    eager = nn.Linear(3, 3)
    compiled = mezzo.compile(copy.deepcopy(eager))
    x = mezzo.randn(2, 3)
    same(compiled(x), eager(x))
    new = nn.Parameter(mezzo.randn(3, 3))
    for module in (compiled, eager):
        module.weight = new
    same(compiled(x), eager(x))
    for module in (compiled, eager):
        module.bias = None
    same(compiled(x), eager(x))
    compiled._orig_mod.requires_grad_(False)
    assert not compiled(x).requires_grad
    with mezzo.no_grad():
        new.mul_(2)
    same(compiled(x), eager(x))
    compiled.weight.data = mezzo.full((3, 3), 2.0)
    same(compiled(x), F.linear(x, mezzo.full((3, 3), 2.0)))


def test_train_and_eval_in_turn_trace_once_each():
    compiled = mezzo.compile(Net())
    x = mezzo.randn(4, 6)
    for _ in range(4):
        compiled.train()
        compiled(x)
        compiled.eval()
        compiled(x)
    assert compiled._compiled.traces == 2


def test_hooks():
    seen = []
    module = nn.Linear(2, 2)
    compiled = mezzo.compile(module)
    x = mezzo.ones(1, 2)
    plain = compiled(x)
    handle = module.register_forward_hook(lambda m, args, out: seen.append(1) or out * 2)
    same(compiled(x), plain * 2)
    handle.remove()
    same(compiled(x), plain)
    with compiled.register_forward_hook(lambda m, args, out: out + 1):
        same(compiled(x), plain + 1)
    same(compiled(x), plain)


def test_compile_in_place():
    module = Net()
    eager = copy.deepcopy(module)
    assert module.compile(mode="default") is None
    x = mezzo.randn(4, 6)
    check_step(module, eager, x)
    check_step(module, eager, x)
    assert module._compiled_call.traces == 1
    assert list(module.state_dict()) == list(eager.state_dict())
    del module.out
    again = pickle.loads(pickle.dumps(module))
    assert again._compiled_call is None
    again.eval(), module.eval()
    same(again(x), module(x))


def test_copies_and_pickles():
    compiled = mezzo.compile(nn.Linear(2, 2), dynamic=True)
    x = mezzo.randn(3, 2)
    for again in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
        same(again(x), compiled(x))
        assert again._orig_mod is not compiled._orig_mod and again._compiled.dynamic
        again.weight.data.zero_()
        assert compiled(x).abs().sum() > 0


def test_a_compiled_part_of_a_module():
    eager = Net()
    part = copy.deepcopy(eager)
    part.layers[0] = mezzo.compile(part.layers[0])
    part.norm = mezzo.compile(part.norm)
    x = mezzo.randn(4, 6)
    check_step(part, eager, x)
    whole = mezzo.compile(part)
    check_step(whole, eager, x)


def test_a_compiled_function_over_a_module():
    module, eager = Net(), None
    eager = copy.deepcopy(module)
    loss = mezzo.compile(lambda x: squares(module(x)))
    for n in (3, 3, 5):
        x = mezzo.randn(n, 6)
        mezzo.manual_seed(4)
        found = loss(x)
        found.backward()
        mezzo.manual_seed(4)
        expected = squares(eager(x))
        expected.backward()
        same(found, expected)
        for p, q in zip(module.parameters(), eager.parameters()):
            same(p.grad, q.grad)
    assert loss.traces == 2


# ---- gradients


def test_gradients_of_arguments_and_of_what_led_to_them():
    def function(x, w):
        return mezzo.sin(x @ w), (x * x).sum()

    compiled = mezzo.compile(function)
    start = mezzo.randn(3, 4)
    for _ in range(2):
        found = []
        for f in (compiled, function):
            leaf, w = start.clone().requires_grad_(), mezzo.ones(4, 2, requires_grad=True)
            a, b = f(leaf * 2, w)
            (a.sum() * 3 + b).backward()
            found.append((leaf.grad, w.grad))
        same(found[0][0], found[1][0])
        same(found[0][1], found[1][1])
    assert compiled.traces == 1


def test_only_some_results_take_part():
    compiled = mezzo.compile(lambda x: (x.exp(), x.sin(), x.detach() * 2))
    for pick in (0, 1):
        x = mezzo.randn(4, requires_grad=True)
        outs = compiled(x)
        assert outs[0].requires_grad and outs[1].requires_grad and not outs[2].requires_grad
        outs[pick].sum().backward()
        same(x.grad, (x.detach().exp(), x.detach().cos())[pick])
        with pytest.raises(RuntimeError, match="second time|freed"):
            outs[1 - pick].sum().backward()


def test_retain_graph_and_accumulation():
    compiled = mezzo.compile(lambda x: (x**3).sum())
    x = mezzo.tensor([1.0, 2.0], requires_grad=True)
    y = compiled(x)
    y.backward(retain_graph=True)
    assert x.grad.tolist() == [3, 12]
    y.backward()
    assert x.grad.tolist() == [6, 24]
    with pytest.raises(RuntimeError, match="second time|freed"):
        y.backward()
    compiled(x).backward()
    assert x.grad.tolist() == [9, 36]


def test_autograd_grad():
    compiled = mezzo.compile(lambda x, y: (x * y).sum())
    x, y = mezzo.randn(3, requires_grad=True), mezzo.randn(3, requires_grad=True)
    gx, gy = mezzo.autograd.grad(compiled(x, y), (x, y))
    same(gx, y)
    same(gy, x)
    assert x.grad is None


def test_a_second_derivative_through_a_compiled_function_says_what_to_do():
    compiled = mezzo.compile(lambda x: (x**3).sum())
    x = mezzo.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="create_graph"):
        mezzo.autograd.grad(compiled(x), x, create_graph=True)


def test_second_derivatives_inside():
    def function(x):
        (g,) = mezzo.autograd.grad((x**3).sum(), x, create_graph=True)
        (h,) = mezzo.autograd.grad(g.sum(), x)
        return h

    compiled = mezzo.compile(function)
    for _ in range(2):
        x = mezzo.randn(3, requires_grad=True)
        np.testing.assert_allclose(compiled(x).numpy(), 6 * x.detach().numpy(), rtol=1e-6)


def test_results_that_are_views_and_argument_views_have_gradients():
    compiled = mezzo.compile(lambda x: ((x * 2)[1:], x.T))
    x = mezzo.randn(3, 2, requires_grad=True)
    for _ in range(2):
        x.grad = None
        a, b = compiled(x)
        (a.sum() + (b * 3).sum()).backward()
        assert x.grad.tolist() == [[3, 3], [5, 5], [5, 5]]


def test_saved_values_that_change_are_refused():
    w = mezzo.ones(3, requires_grad=True)
    compiled = mezzo.compile(lambda x: (x * w).sum())
    x = mezzo.ones(3)
    y = compiled(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    compiled(x).backward()
    assert w.grad.tolist() == [2, 2, 2]


def test_writes_into_arguments_with_gradients():
    def function(x, y):
        x.mul_(y)
        return x.sum() * 2

    for f in (function, mezzo.compile(function)):
        for _ in range(2):
            leaf, y = mezzo.ones(3, requires_grad=True), mezzo.full((3,), 2.0, requires_grad=True)
            x = leaf * 3
            f(x, y).backward()
            assert leaf.grad.tolist() == [12] * 3 and y.grad.tolist() == [6] * 3


def test_tensor_hooks():
    seen = []

    def function(x):
        y = x * 2
        y.register_hook(lambda g: g * 10)
        return y.sum()

    compiled = mezzo.compile(function)
    for _ in range(2):
        x = mezzo.ones(3, requires_grad=True)
        x.register_hook(lambda g: seen.append(g.tolist()))
        compiled(x).backward()
        assert x.grad.tolist() == [20] * 3
    assert seen == [[20] * 3] * 2


def test_user_functions():
    class Double(mezzo.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x * 100

    compiled = mezzo.compile(lambda x: Double.apply(x.sin()).sum())
    for _ in range(3):
        x = mezzo.randn(3, requires_grad=True)
        compiled(x).backward()
        v = x.detach()
        np.testing.assert_allclose(x.grad.numpy(), (v.sin() * 100 * v.cos()).numpy(), rtol=1e-5)


def test_checkpointing_inside():
    checkpoint = mezzo.utils.checkpoint.checkpoint
    layer = nn.Linear(3, 3)
    compiled = mezzo.compile(lambda x: checkpoint(layer, x, use_reentrant=False).sum())
    x = mezzo.randn(2, 3, requires_grad=True)
    compiled(x).backward()
    same(x.grad, layer.weight.detach().sum(0).expand(2, 3))
