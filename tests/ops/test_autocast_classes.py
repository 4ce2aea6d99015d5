"""Dtypes under autocast against PyTorch's, for both low dtypes, alone and mixed."""

from __future__ import annotations

import gaps
import oracle
import pytest
import torch
from oracle import Findings, attempt, same_kind, sampled, to_torch

from mezzo import amp, dtypes
from mezzo.autograd import grad
from mezzo.core.record import Cast
from mezzo.testing.trees import replaced, tensors


def lowered(args, kwargs, low, positions):
    """The call with the floating tensors at these positions in the low dtype."""
    values = [
        t.to(low) if i in positions and t.dtype.is_floating_point else t
        for i, t in enumerate(tensors((args, kwargs)))
    ]
    return replaced((args, kwargs), values)


def variants(args, kwargs, low):
    """All float32; the first operand low; all but the first low."""
    count = len(tensors((args, kwargs)))
    yield "all float32", lowered(args, kwargs, low, ())
    if count > 1:
        yield f"first {low.name}", lowered(args, kwargs, low, (0,))
        yield f"others {low.name}", lowered(args, kwargs, low, range(1, count))


def check(record, function, low, args, kwargs) -> None:
    """Dtypes of the results, and that gradients come back in the inputs' dtypes."""
    with torch.autocast("cpu", getattr(torch, low.name)):
        theirs, wrong = attempt(function, to_torch(args), to_torch(kwargs))
    with amp.autocast("cpu", low):
        ours, refused = attempt(record, args, kwargs)
    if wrong is not None:
        if refused is not None:
            same_kind(refused, wrong)
        else:
            assert oracle.is_missing_kernel(wrong) or "type" in str(wrong), (
                f"PyTorch raises {type(wrong).__name__}: {wrong}; mezzo does not"
            )
        return
    if refused is not None:
        raise refused
    have = [o.dtype.name for o in tensors((ours,))]
    want = [str(o.dtype).removeprefix("torch.") for o in oracle.torch_tensors((theirs,))]
    assert have == want, f"results are {have}; PyTorch's are {want}"
    outs = [o for o in tensors((ours,)) if o.requires_grad]
    inputs = oracle.gradient_inputs(args, kwargs)
    if outs and inputs:
        seeds = [oracle.cotangent(o.shape, o.dtype, 0) for o in outs]
        for g, x in zip(grad(outs, inputs, seeds, allow_unused=True), inputs):
            assert g is None or g.dtype is x.dtype, (
                f"a gradient is {g.dtype.name} for an input in {x.dtype.name}"
            )


@pytest.mark.parametrize("record", [r for r in oracle.SAMPLED if r.where], ids=lambda r: r.name)
def test_autocast_chooses_pytorchs_dtypes(record):
    """cpu, bfloat16 and float16: float32 inputs, and mixtures."""
    function, findings = oracle.reference(record), Findings()
    for low in oracle.LOW:
        for label, args, kwargs in sampled(
            record, dtypes.float32, requires_grad=not record.no_gradient
        ):
            for kind, (these, named) in variants(args, kwargs, low):
                with findings.at(f"{label}, {kind}, autocast {low.name}"):
                    check(record, function, low, these, named)
    if record.name in gaps.AUTOCAST:
        assert findings, f"{record.name} is in gaps.AUTOCAST and agrees with PyTorch: take it out"
        return
    findings.report()


@pytest.mark.parametrize("record", oracle.RECORDS, ids=lambda r: r.name)
def test_class_is_known(record):
    """The class for each device type is one of the six."""
    assert isinstance(record.cast, Cast)
    known = {"keep", "low", "fp32", "set_dtype", "append_dtype", "promote", "banned"}
    assert {record.cast.cpu, record.cast.cuda} <= known
    if "set_dtype" in (record.cast.cpu, record.cast.cuda):
        assert "dtype" in record.names, "set_dtype supplies dtype=, and there is no such parameter"
