"""Views of one call with several results: written in place where PyTorch allows it, refused where it refuses."""

from __future__ import annotations

import pytest
import torch

import mezzo

MANY = {
    "chunk": lambda x: x.chunk(2),
    "split": lambda x: x.split(2),
    "split_with_sizes": lambda x: x.split_with_sizes([1, 3]),
    "unbind": lambda x: x.unbind(0),
}


@pytest.mark.parametrize("name", MANY)
def test_several_views_are_not_written_in_place(name):
    for frame in (torch, mezzo):
        x = frame.ones(4, 3, requires_grad=True) * 2
        part = MANY[name](x)[1]
        with pytest.raises(RuntimeError, match="is a view and is being modified inplace"):
            part.add_(1)
        with frame.no_grad():
            part.add_(1)  # nobody will differentiate it


@pytest.mark.parametrize("name", MANY)
def test_a_tensor_that_brings_a_gradient_is_refused_too(name):
    for frame in (torch, mezzo):
        part = MANY[name](frame.ones(4, 3))[0]
        with pytest.raises(RuntimeError, match="modified inplace"):
            part.mul_(frame.ones(3, requires_grad=True))


@pytest.mark.parametrize("name", MANY)
def test_without_gradients_the_memory_is_shared(name):
    results = []
    for frame in (torch, mezzo):
        x = frame.zeros(4, 3)
        for number, part in enumerate(MANY[name](x)):
            part.add_(number + 1)
        results.append(x.tolist())
    assert results[0] == results[1]


@pytest.mark.parametrize("name", MANY)
def test_a_write_to_the_source_reaches_the_views(name):
    """PyTorch refuses to go on; here the view's history is that of what was written."""
    leaf = mezzo.ones(4, 3, requires_grad=True)
    x = leaf * 1
    part = MANY[name](x)[0]
    x.mul_(3)
    (part * 2).sum().backward()
    used = MANY[name](mezzo.arange(4).unsqueeze(1).expand(4, 3))[0].max().item()
    assert leaf.grad.tolist() == [[6.0 if i <= used else 0.0] * 3 for i in range(4)]


def test_names_of_the_derivatives():
    x = mezzo.ones(4, requires_grad=True)
    assert [x.chunk(2)[0].grad_fn.name(), x.unbind()[0].grad_fn.name()] == [
        "SplitBackward0",
        "UnbindBackward0",
    ]


@pytest.mark.parametrize(
    "code",
    """x+1 x-y x*2 x/y x**2 x**y -x x.exp() x.relu() x.sigmoid() x.tanh() x@y.T x.mm(y.T) x.bmm3() x.sum() x.sum(0) x.mean()
    x.mean(1) x.view(-1) x.reshape(2,6) x.transpose(0,1) x.permute(1,0) x[0] x[:,1:] x[[0,1]] x.unsqueeze(0)
    x.softmax(1) x.log_softmax(1) x.clone() x.to(F.float64) x.min(1)[0] x.norm() x.std() x.var() x.cumsum(0) x.abs()
    x.expand(2,3,4) x.sqrt() x.log() x.split(2)[0] x.unbind()[0] x.matmul(y.T) F.cat([x,y]) F.stack([x,y])
    F.where(x>0,x,y) F.nn.functional.gelu(x) F.nn.functional.silu(x) F.nn.functional.linear(x,y) F.nn.functional.layer_norm(x,(4,))
    F.nn.functional.embedding(F.tensor([0,1]),x) F.nn.functional.leaky_relu(x) F.nn.functional.pad(x,(1,1)) x.triu() x.gather(1,F.tensor([[0],[1],[0]]))
    x.masked_fill(x>0,0.) x.diagonal() F.addmm(x,x,z) F.linalg.inv(z) F.linalg.svd(z)[1] x.repeat_interleave(2,0).sum()""".split(),
)
def test_the_node_is_called_as_in_pytorch(code):
    """By name() and by its class."""
    names = []
    for F in (torch, mezzo):
        x = (F.arange(12).reshape(3, 4) / 7 + 0.1).requires_grad_()
        y = (F.arange(12).reshape(3, 4) / 5 + 0.1).requires_grad_()
        z = (F.eye(4) + F.arange(16).reshape(4, 4) / 9).requires_grad_()
        if code == "x.bmm3()":
            made = F.bmm(x.unsqueeze(0), z.unsqueeze(0))
        else:
            made = eval(code, {"x": x, "y": y, "z": z, "F": F})
        names.append((type(made.grad_fn).__name__, made.grad_fn.name()))
        assert repr(made.grad_fn).startswith(f"<{names[-1][1]} object at 0x")
    assert names[1] == names[0]


def test_leaves_and_functions_are_named_too():
    names = []
    for F in (torch, mezzo):

        class Twice(F.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g * 2

        x = F.ones(3, requires_grad=True)
        y = Twice.apply(x)
        ends = y.grad_fn.next_functions[0][0]
        names.append([type(y.grad_fn).__name__, type(ends).__name__, ends.name().split("::")[-1]])
    assert names[1] == names[0]
