"""What must hold of every operation whatever it computes: memory, vmap, trace, meta."""

from __future__ import annotations

import gaps
import oracle
import pytest
from oracle import Findings, attempt, sampled, to_torch

from mezzo import dtypes
from mezzo.core.record import none
from mezzo.errors import UnsupportedError
from mezzo.testing import checks
from mezzo.testing.trees import tensors

CALLED = [r for r in oracle.SAMPLED if r.name not in oracle.UNSPECIFIED and r.family != "random"]


def over_samples(record, check, dtype=dtypes.float32, requires_grad=False) -> None:
    """A check on every sample that has a tensor among its arguments."""
    findings = Findings()
    for label, args, kwargs in sampled(record, dtype, requires_grad):
        if tensors((args, kwargs)):
            with findings.at(label):
                check(record, args, kwargs)
    findings.report()


@pytest.mark.parametrize(
    "record", [r for r in CALLED if r.name not in gaps.MEMORY], ids=lambda r: r.name
)
def test_memory_layout_does_not_matter(record):
    """Transposed, strided, offset and expanded inputs give what contiguous ones give; inputs stay as they were."""
    over_samples(record, checks.check_strides)
    over_samples(record, checks.check_inputs_kept)


@pytest.mark.parametrize("record", CALLED, ids=lambda r: r.name)
def test_vmap_equals_a_loop(record):
    """Every choice of batched operands; two nested; or the record says why there is no batching rule."""
    if isinstance(record.batch, none):
        _, args, kwargs = next(sampled(record))
        with pytest.raises(UnsupportedError, match="cannot be batched"):
            checks.check_vmap(record, args, kwargs)
        return
    over_samples(record, checks.check_vmap)


@pytest.mark.parametrize(
    "record", [r for r in CALLED if r.name not in gaps.VALUE_DEPENDENT], ids=lambda r: r.name
)
def test_traced_program_equals_the_call(record):
    """Forward, and forward with the gradient, bit for bit."""
    over_samples(record, checks.check_trace, requires_grad=True)


@pytest.mark.parametrize("record", CALLED, ids=lambda r: r.name)
def test_meta_has_the_layout_of_real_results(record):
    """Shape, strides and dtype without values; where PyTorch's meta needs values, so may mezzo's."""
    findings = Findings()
    for label, args, kwargs in sampled(record):
        if not tensors((args, kwargs)):
            continue
        with findings.at(label):
            if record.name in gaps.VALUE_DEPENDENT:
                meta = [checks.mapped(lambda t: t.to("meta"), v) for v in args]
                _, error = attempt(record, meta, kwargs)
                assert error is not None, (
                    "is listed in gaps.VALUE_DEPENDENT and runs on meta: take it out"
                )
                theirs = [v.to("meta") if hasattr(v, "to") else v for v in to_torch(args)]
                _, wrong = attempt(oracle.reference(record), theirs, to_torch(kwargs))
                assert wrong is not None, "PyTorch's runs on meta"
            else:
                checks.check_meta(record, args, kwargs)
    findings.report()
