"""First and second derivatives of every operation against PyTorch's."""

from __future__ import annotations

import gaps
import oracle
import pytest
import torch
from oracle import (
    Findings,
    attempt,
    compare,
    cotangent,
    from_torch,
    gradient_inputs,
    sampled,
    to_torch,
)

from mezzo import dtypes
from mezzo.autograd import grad
from mezzo.testing.checks import check_gradient
from mezzo.testing.trees import tensors

DIFFERENTIABLE = [r for r in oracle.SAMPLED if not r.no_gradient]


class Side:
    """One call in one framework: the inputs and results that take part, and how to differentiate."""

    def __init__(self, run, inputs, outs, convert):
        self.run, self.convert = run, convert
        self.inputs = [t for t in inputs if t.requires_grad]
        self.flags = [o.requires_grad for o in outs]
        self.outs = [o for o in outs if o.requires_grad]
        self.seeds = [
            convert(cotangent(o.shape, named(o.dtype), i)) for i, o in enumerate(self.outs)
        ]

    def grad(self, outs, inputs, seeds, create=False):
        """Gradients, zeros where an input takes no part."""
        return self.run(
            outs, inputs, seeds, create_graph=create, allow_unused=True, materialize_grads=True
        )

    def first(self):
        """The gradients by every input."""
        return self.grad(self.outs, self.inputs, self.seeds)

    def second(self):
        """Gradients of the weighted gradients, by the inputs and by the cotangents; () without any."""
        for seed in self.seeds:
            seed.requires_grad_()
        gradients = self.grad(self.outs, self.inputs, self.seeds, create=True)
        live = [(i, g) for i, g in enumerate(gradients) if g.requires_grad]
        if not live:
            return ()
        weights = [self.convert(cotangent(g.shape, dtypes.float64, 100 + i)) for i, g in live]
        return self.grad([g for _, g in live], [*self.inputs, *self.seeds], weights)


def named(dtype) -> dtypes.dtype:
    """mezzo's dtype for either framework's."""
    return (
        dtype
        if isinstance(dtype, dtypes.dtype)
        else dtypes.by_name(str(dtype).removeprefix("torch."))
    )


def mezzo_side(record, args, kwargs) -> Side:
    """The call in mezzo."""
    return Side(grad, tensors((args, kwargs)), tensors((record(*args, **kwargs),)), lambda t: t)


def torch_side(function, args, kwargs) -> Side:
    """The call in PyTorch, on arguments that are already its own."""
    outs = oracle.torch_tensors((function(*args, **kwargs),))
    return Side(torch.autograd.grad, oracle.torch_tensors((args, kwargs)), outs, to_torch)


def in_double(function, args, kwargs) -> Side:
    """PyTorch's call in float64."""
    wide = oracle.double((args, kwargs))
    for old, new in zip(oracle.torch_tensors((args, kwargs)), oracle.torch_tensors(wide)):
        if old.requires_grad:
            new.requires_grad_()
    return torch_side(function, *wide)


def calls(record, dtype):
    """(label, args, kwargs) of the samples that have gradients and are not random."""
    for label, args, kwargs in sampled(record, dtype, requires_grad=True, gradients=True):
        if gradient_inputs(args, kwargs) and not oracle.is_random(record, args, kwargs):
            yield label, args, kwargs


@pytest.mark.parametrize("record", DIFFERENTIABLE, ids=lambda r: r.name)
def test_first_derivative(record):
    """Gradients by every input, with random incoming gradients, in float64 and float32."""
    function, findings = oracle.reference(record), Findings()
    for dtype in (dtypes.float64, dtypes.float32):
        for label, args, kwargs in calls(record, dtype):
            with findings.at(label):
                check_first(record, function, dtype, args, kwargs)
    findings.report()


def check_first(record, function, dtype, args, kwargs) -> None:
    """Compare; float32 may also agree with PyTorch's float64. Where PyTorch fails, finite differences."""
    theirs = torch_side(function, to_torch(args), to_torch(kwargs))
    ours = mezzo_side(record, args, kwargs)
    assert ours.flags == theirs.flags, f"requires_grad is {ours.flags}; PyTorch's is {theirs.flags}"
    if not ours.outs:
        return
    found = ours.first()
    expected, error = attempt(theirs.first, (), {})
    if error is not None:
        check_gradient(record, args, kwargs)
        return
    truth = None
    if dtype is dtypes.float32:
        wide, error = attempt(in_double, (function, to_torch(args), to_torch(kwargs)), {})
        truth = (
            from_torch(wide.first()) if error is None and len(wide.inputs) == len(found) else None
        )
    compare(list(found), from_torch(expected), truth, strides=False)


@pytest.mark.parametrize("record", DIFFERENTIABLE, ids=lambda r: r.name)
def test_second_derivative(record):
    """Gradients of gradients in float64; where PyTorch has none, finite differences."""
    function, findings = oracle.reference(record), Findings()
    for label, args, kwargs in calls(record, dtypes.float64):
        with findings.at(label):
            ours = mezzo_side(record, args, kwargs)
            if not ours.outs or any(o.dtype is not dtypes.float64 for o in ours.outs):
                continue
            if record.name in gaps.ONCE:
                _, error = attempt(ours.second, (), {})
                assert error is not None, "is in gaps.ONCE and has a second derivative: take it out"
                continue
            found = ours.second()
            theirs = torch_side(function, to_torch(args), to_torch(kwargs))
            expected, error = attempt(theirs.second, (), {})
            if error is None:
                compare_second(found, expected)
            else:
                check_gradient(record, args, kwargs)
    findings.report()


def compare_second(ours, theirs) -> None:
    """Compare; where one side has no second derivative at all, the other's must be zero."""
    if len(ours) == len(theirs):
        compare(list(ours), from_torch(list(theirs)), strides=False)
        return
    left = [*ours, *from_torch(list(theirs))]
    none = all(not t.detach()._array().any() for t in left)
    assert none, f"{len(ours)} second derivatives; PyTorch has {len(theirs)}"
