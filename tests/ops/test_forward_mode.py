"""Directional derivatives of every operation against PyTorch's forward mode, and against our own reverse mode."""

from __future__ import annotations

import oracle
import pytest
import torch
from oracle import Findings, attempt, compare, cotangent, from_torch, to_torch
from test_gradients import DIFFERENTIABLE, calls

from mezzo import dtypes
from mezzo.func import jvp, vjp
from mezzo.testing.trees import replaced, tensors


def of_inputs(run, args, kwargs):
    """run as a function of the tensors that ask for gradients, giving its floating results."""
    everything = tensors((args, kwargs))
    asking = [t.requires_grad for t in everything]

    def call(*values):
        feed = iter(values)
        new = [next(feed) if asks else t.detach() for t, asks in zip(everything, asking)]
        full, named = replaced((args, kwargs), new)
        return tuple(o for o in tensors((run(*full, **named),)) if o.dtype is dtypes.float64)

    return call, [t.detach() for t, asks in zip(everything, asking) if asks]


def check_against_torch(function, args, kwargs, tangents, pushed) -> None:
    """PyTorch's directional derivatives: by its forward formulas, else by two backward passes.

    The formulas read tangents of elements that the operation does not read (the other triangle of a matrix) and
    assume indices without duplicates; the backward passes, which our reverse mode agrees with, do not.
    """
    full, named = to_torch(args), to_torch(kwargs)
    inputs = [t for t in oracle.torch_tensors((full, named)) if t.requires_grad]
    tangents = [to_torch(t) for t in tangents]

    def results():
        outs = oracle.torch_tensors((function(*full, **named),))
        return [o for o in outs if o.dtype is torch.float64]

    expected, error = attempt(twice, (results, inputs, tangents), {})
    if (
        error is None
        and attempt(compare, (list(pushed), from_torch(expected)), {"strides": False})[1] is None
    ):
        return
    expected, error = attempt(forward, (results, inputs, tangents), {})
    if error is None:
        compare(list(pushed), from_torch(expected), strides=False)


def forward(results, inputs, tangents):
    """By dual numbers: inputs are given their tangents in place."""
    with torch.autograd.forward_ad.dual_level():
        for x, t in zip(inputs, tangents):
            x.requires_grad_(False).copy_(torch.autograd.forward_ad.make_dual(x.clone(), t))
        pairs = [torch.autograd.forward_ad.unpack_dual(o) for o in results()]
        return [torch.zeros_like(p.primal) if p.tangent is None else p.tangent for p in pairs]


def twice(results, inputs, tangents):
    """The transpose of the backward pass."""
    for x in inputs:
        x.requires_grad_()
    outs = results()
    live = [o for o in outs if o.requires_grad]
    seeds = [torch.zeros_like(o, requires_grad=True) for o in live]
    found = torch.autograd.grad(live, inputs, seeds, create_graph=True, allow_unused=True)
    pairs = [(g, t) for g, t in zip(found, tangents) if g is not None and g.requires_grad]
    pushed = iter(torch.autograd.grad([g for g, _ in pairs], seeds, [t for _, t in pairs], allow_unused=True,
                                      materialize_grads=True))  # fmt: skip
    return [next(pushed) if o.requires_grad else torch.zeros_like(o) for o in outs]


@pytest.mark.parametrize("record", DIFFERENTIABLE, ids=lambda r: r.name)
def test_forward_mode(record):
    """jvp in float64 with random tangents for every input."""
    function, findings = oracle.reference(record), Findings()
    for label, args, kwargs in calls(record, dtypes.float64):
        with findings.at(label):
            call, inputs = of_inputs(record, args, kwargs)
            if any(x.dtype is not dtypes.float64 or not x.numel() for x in inputs) or not call(
                *inputs
            ):
                continue
            tangents = tuple(
                cotangent(x.shape, dtypes.float64, 7 + i) for i, x in enumerate(inputs)
            )
            outs, pushed = jvp(call, tuple(inputs), tangents)
            check_against_torch(function, args, kwargs, tangents, pushed)
            check_adjoint(call, inputs, tangents, outs, pushed)
    findings.report()


def check_adjoint(call, inputs, tangents, outs, pushed) -> None:
    """<w, J v> = <J^T w, v> for a random w."""
    weights = tuple(cotangent(o.shape, dtypes.float64, 70 + i) for i, o in enumerate(outs))
    pulled = vjp(call, *inputs)[1](weights)
    left = sum((w * p).sum() for w, p in zip(weights, pushed))
    right = sum((g * t).sum() for g, t in zip(pulled, tangents))
    compare([left + 1.0], [right + 1.0], strides=False)
