"""First and second derivatives of every operation against PyTorch's."""

from __future__ import annotations

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

DIFFERENTIABLE = [r for r in oracle.SAMPLED if not r.no_gradient and r.family != "random"]


class Pair:
    """One call in both frameworks: outputs and inputs that take part in differentiation."""

    def __init__(self, record, function, args, kwargs):
        self.inputs = gradient_inputs(args, kwargs)
        theirs = to_torch(args), to_torch(kwargs)
        self.their_inputs = [t for t in oracle.torch_tensors(theirs) if t.requires_grad]
        self.outs = tensors((record(*args, **kwargs),))
        self.their_outs = oracle.torch_tensors((function(*theirs[0], **theirs[1]),))
        have = [o.requires_grad for o in self.outs]
        want = [o.requires_grad for o in self.their_outs]
        assert have == want, f"requires_grad of the results is {have}; PyTorch's is {want}"
        self.outs = [o for o in self.outs if o.requires_grad]
        self.their_outs = [o for o in self.their_outs if o.requires_grad]
        self.seeds = [cotangent(o.shape, o.dtype, i) for i, o in enumerate(self.outs)]
        self.their_seeds = [to_torch(s) for s in self.seeds]

    def first(self, create: bool):
        """Gradients in both, zeros where an input takes no part."""
        ours = grad(
            self.outs,
            self.inputs,
            self.seeds,
            create_graph=create,
            allow_unused=True,
            materialize_grads=True,
        )
        theirs = torch.autograd.grad(
            self.their_outs, self.their_inputs, self.their_seeds, create_graph=create, allow_unused=True,
            materialize_grads=True,
        )  # fmt: skip
        return ours, theirs

    def second(self):
        """Gradients of the weighted gradients, by the inputs and by the cotangents; None without any."""
        for seed, their_seed in zip(self.seeds, self.their_seeds):
            seed.requires_grad_()
            their_seed.requires_grad_()
        ours, theirs = self.first(create=True)
        results = []
        for gradients, inputs, seeds, run, convert in (
            (ours, self.inputs, self.seeds, grad, lambda t: t),
            (theirs, self.their_inputs, self.their_seeds, torch.autograd.grad, to_torch),
        ):
            live = [(i, g) for i, g in enumerate(gradients) if g.requires_grad]
            weights = [convert(cotangent(g.shape, dtypes.float64, 100 + i)) for i, g in live]
            results.append(
                run(
                    [g for _, g in live],
                    [*inputs, *seeds],
                    weights,
                    allow_unused=True,
                    materialize_grads=True,
                )
                if live
                else ()
            )
        return results


@pytest.mark.parametrize("record", DIFFERENTIABLE, ids=lambda r: r.name)
def test_first_derivative(record):
    """Gradients by every input, with random incoming gradients, in float64 and float32."""
    function, findings = oracle.reference(record), Findings()
    for dtype in (dtypes.float64, dtypes.float32):
        for label, args, kwargs in sampled(record, dtype, requires_grad=True, gradients=True):
            if gradient_inputs(args, kwargs):
                with findings.at(label):
                    check_first(
                        Pair(record, function, args, kwargs), dtype, record, function, args, kwargs
                    )
    findings.report()


def check_first(pair, dtype, record, function, args, kwargs) -> None:
    """Compare; float32 may also agree with PyTorch's float64."""
    if not pair.outs:
        return
    ours, theirs = pair.first(create=False)
    truth = None
    if dtype is dtypes.float32:
        given = to_torch(args), to_torch(kwargs)
        theirs64 = oracle.double(given)
        asks = [t.requires_grad for t in oracle.torch_tensors(given)]
        pairs = zip(oracle.torch_tensors(theirs64), asks)
        inputs = [t.requires_grad_() for t, asked in pairs if asked]
        outs = [
            o
            for o in oracle.torch_tensors((function(*theirs64[0], **theirs64[1]),))
            if o.requires_grad
        ]
        seeds = [s.to(o.dtype) for s, o in zip(pair.their_seeds, outs)]
        truth = from_torch(
            torch.autograd.grad(outs, inputs, seeds, allow_unused=True, materialize_grads=True)
        )
        truth = truth if len(truth) == len(theirs) else None
    compare(list(ours), from_torch(theirs), truth, strides=False)


@pytest.mark.parametrize("record", DIFFERENTIABLE, ids=lambda r: r.name)
def test_second_derivative(record):
    """Gradients of gradients in float64; where PyTorch has none, finite differences."""
    function, findings = oracle.reference(record), Findings()
    for label, args, kwargs in sampled(record, dtypes.float64, requires_grad=True, gradients=True):
        if not gradient_inputs(args, kwargs):
            continue
        with findings.at(label):
            pair = Pair(record, function, args, kwargs)
            if not pair.outs or any(o.dtype is not dtypes.float64 for o in pair.outs):
                continue
            results, error = attempt(pair.second, (), {})
            if error is None:
                compare(list(results[0]), from_torch(list(results[1])), strides=False)
            elif "torch" in str(error) or "derivative for" in str(error):
                check_gradient(record, args, kwargs)
            else:
                raise error
    findings.report()
