"""No silent gaps: what a record lacks, it says; what its docstring shows, it does."""

from __future__ import annotations

import doctest
import inspect

import gaps
import oracle
import pytest
import signatures
from oracle import attempt, sampled

import mezzo
from mezzo import ops
from mezzo.autograd import grad
from mezzo.core.record import none
from mezzo.func.vmap import rule_of
from mezzo.testing.trees import tensors

each_record = pytest.mark.parametrize("record", oracle.RECORDS, ids=lambda r: r.name)
each_public = pytest.mark.parametrize(
    "record", [r for r in oracle.RECORDS if r.where], ids=lambda r: r.name
)


@each_record
def test_derivative_is_given_or_its_absence_explained(record):
    """A rule, a body that has one, or none("reason")."""
    if record.is_composite or record.has_vjp:
        assert not record.no_gradient or len(record.vjp_reason) > 3, "none() needs a reason"
        return
    pytest.fail(f"{record.name} has neither vjp= nor vjp=none('reason')")


@each_record
def test_batching_is_given_or_its_absence_explained(record):
    """A rule, the family's rule, a body that has one, or none("reason")."""
    takes_tensors = bool(record.operands)
    known = record.is_composite or rule_of(record) is not None or record.family == "random"
    assert known or not takes_tensors or isinstance(record.batch, none), (
        f"{record.name} has no batch= rule"
    )
    if isinstance(record.batch, none):
        assert len(record.batch.reason) > 3, "none() needs a reason"


def test_internal_records_without_samples_are_reached():
    """Public records have samples. An internal one may have none if other records' samples enter it, forward or
    backward: then their tests are its tests."""
    without = {
        r.name
        for r in oracle.RECORDS
        if not (r.samples or {r.name, r.family} & gaps.ELSEWHERE.keys())
    }
    public = sorted(n for n in without if mezzo.core.record.REGISTRY[n].where)
    assert not public, f"public records without samples: {public}"
    spy = oracle.Spy()
    for record in oracle.SAMPLED:
        if without <= spy.seen:
            break
        for _, args, kwargs in sampled(record, requires_grad=not record.no_gradient):
            with spy:
                outs, _ = attempt(record, args, kwargs)
                live = [o for o in tensors((outs,)) if o.requires_grad]
                inputs = oracle.gradient_inputs(args, kwargs)
                if live and inputs:
                    seeds = [oracle.cotangent(o.shape, o.dtype, 0).requires_grad_() for o in live]
                    options = {"allow_unused": True, "materialize_grads": True}
                    attempt(grad, (live, inputs, seeds), {**options, "retain_graph": True})
                    first, _ = attempt(
                        grad, (live, inputs, seeds), {**options, "create_graph": True}
                    )
                    again = [g for g in first or () if g.requires_grad]
                    attempt(grad, (again, [*inputs, *seeds], [g.detach() for g in again]), options)
    assert without <= spy.seen, (
        f"internal records that no sample enters: {sorted(without - spy.seen)}"
    )


@each_public
def test_docstring(record):
    """One sentence first; the source; nothing undocumented."""
    text = inspect.getdoc(record) if record.__doc__ else ""
    assert text, f"{record.name} has no docstring"
    first = text.split("\n\n")[0].strip()
    assert first.endswith((".", ":", ")")), f"the first paragraph is no sentence: {first!r}"
    assert "Source:" in text, f"the docstring of {record.name} has no line 'Source: torch....'"


@pytest.mark.parametrize(
    "record", [r for r in oracle.RECORDS if ">>>" in (r.__doc__ or "")], ids=lambda r: r.name
)
def test_examples_run(record):
    """The examples of a docstring print what it says."""
    text = inspect.cleandoc(record.__doc__)
    names = {**vars(ops), **vars(mezzo), "mezzo": mezzo}
    test = doctest.DocTestParser().get_doctest(text, names, record.name, None, 0)
    report: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE).run(
        test, out=report.append
    )
    assert not report, "".join(report)


@each_public
def test_signature_is_pytorchs(record):
    """Names, order and defaults, where PyTorch's can be known."""
    found = signatures.difference(record)
    if record.name in gaps.SIGNATURES:
        assert found, f"{record.name} is in gaps.SIGNATURES and agrees with PyTorch: take it out"
    else:
        assert not found, found
