"""What must hold of every operation whatever it computes: memory, vmap, trace, meta."""

from __future__ import annotations

import gaps
import oracle
import pytest
from oracle import Findings, attempt, sampled

import mezzo
from mezzo.core.record import none
from mezzo.errors import GradientError, UnsupportedError
from mezzo.func import vmap
from mezzo.testing import checks
from mezzo.testing.trees import replaced, tensors

CALLED = [r for r in oracle.SAMPLED if r.name not in oracle.UNSPECIFIED]


def first_samples(record, requires_grad=False) -> list:
    """The samples in float32, or in the first dtype that the record has any for."""
    for dtype in oracle.DTYPES:
        found = list(sampled(record, dtype, requires_grad))
        if found:
            return found
    raise AssertionError(f"{record.name} has no samples in any dtype")


def has_values(record, args, kwargs) -> bool:
    """Whether a call's result follows from tensors among its arguments."""
    return bool(tensors((args, kwargs))) and not oracle.is_random(record, args, kwargs)


def over_samples(record, check, requires_grad=False) -> None:
    """A check on every sample that has a tensor among its arguments, and draws no numbers."""
    findings = Findings()
    for label, args, kwargs in first_samples(record, requires_grad):
        if has_values(record, args, kwargs):
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
    if isinstance(record.batch, none) or record.name in gaps.VALUE_DEPENDENT:
        _, args, kwargs = next(sampled(record))
        with pytest.raises(
            (UnsupportedError, GradientError), match="cannot be (batched|read)|random operation"
        ):
            call = checks.Call(record, args, kwargs)
            vmap(call)(*[checks.stacked((t, t)) for t in call.tensors])
        return
    over_samples(record, checks.check_vmap)


def zero_d_calls(record):
    """The samples with some or all tensors 0-d, and every axis by number, where the call allows it."""
    for label, args, kwargs in sampled(record):
        given = [t.detach() for t in tensors((args, kwargs))]
        if not given or any(not t.numel() for t in given) or oracle.is_random(record, args, kwargs):
            continue
        firsts = [t.reshape(-1)[0].clone() for t in given]
        for which in dict.fromkeys((tuple(range(len(given))), *((i,) for i in range(len(given))))):
            new = [firsts[i] if i in which else t for i, t in enumerate(given)]
            moved, named = replaced((args, kwargs), new)
            for axis in (None, 0, -1, (0,)):
                full = attempt(record.bind, (tuple(moved), named), {})[0]
                if axis is not None and full is not None:
                    full = tuple(
                        axis if name == "dim" else v for name, v in zip(record.names, full)
                    )
                call = dict(zip(record.names, full or ()))
                if full is not None and attempt(record, (), call)[1] is None:
                    yield f"{label}, 0-d {which}, dim {axis}", (), call


@pytest.mark.parametrize(
    "record",
    [r for r in CALLED if not isinstance(r.batch, none) and r.name not in gaps.ZERO_D],
    ids=lambda r: r.name,
)
def test_vmap_of_0d_tensors_equals_a_loop(record):
    """A batch of 0-d tensors is a vector, and stays a batch."""
    findings = Findings()
    for label, args, kwargs in zero_d_calls(record):
        with findings.at(label):
            checks.check_vmap(record, args, kwargs)
    findings.report()


@pytest.mark.parametrize(
    "record", [r for r in CALLED if r.name not in gaps.VALUE_DEPENDENT], ids=lambda r: r.name
)
def test_traced_program_equals_the_call(record):
    """Forward, and forward with the gradient, bit for bit."""
    over_samples(record, checks.check_trace, requires_grad=True)


def test_compiled_drawing_and_filling_equals_the_call():
    """The samples that test_traced_program_equals_the_call leaves out: what draws numbers draws the same ones,
    in the first call and in the next."""
    findings, checked = Findings(), set()
    for record in CALLED:
        for label, args, kwargs in first_samples(record):
            if has_values(record, args, kwargs):
                continue
            checked.add(record.name)
            with findings.at(label):
                compiled = mezzo.compile(lambda r=record, a=args, k=kwargs: r(*a, **k))
                mezzo.manual_seed(3)
                expected = [record(*args, **kwargs) for _ in range(2)]
                mezzo.manual_seed(3)
                checks.same([compiled() for _ in range(2)], expected, "compiled", rtol=0, atol=0)
    findings.report()
    assert {"arange", "bernoulli", "multinomial", "randn"} <= checked


@pytest.mark.parametrize("record", CALLED, ids=lambda r: r.name)
def test_meta_has_the_layout_of_real_results(record):
    """Shape, strides and dtype without values, unless they depend on the values."""
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
            else:
                checks.check_meta(record, args, kwargs)
    findings.report()
