"""Values, shapes, dtypes and strides of every operation against PyTorch's, for every dtype."""

from __future__ import annotations

import gaps
import oracle
import pytest
from oracle import (
    DTYPES,
    FLOATS,
    LOW,
    Findings,
    attempt,
    compare,
    from_torch,
    same_kind,
    sampled,
    to_torch,
)

from mezzo import dtypes
from mezzo.errors import DTypeError

PUBLIC = {r.name for r in oracle.RECORDS if r.where}


def truth_of(function, args, kwargs, dtype):
    """PyTorch's result in float64 from the same values, or None where it has none."""
    if dtype not in (*LOW, dtypes.float32):
        return None
    found, error = attempt(function, oracle.double(args), oracle.double(kwargs))
    return None if error is not None else from_torch(found)


def is_empty(result) -> bool:
    """True if a result of PyTorch has tensors and no elements."""
    found = oracle.torch_tensors((result,))
    return bool(found) and not any(t.numel() for t in found)


def check_values(record, function, dtype, label, args, kwargs, findings, differ) -> None:
    """One call beside PyTorch's; (dtype, "refused" or "accepted") of differences goes to `differ`."""
    theirs = to_torch(args), to_torch(kwargs)
    expected, wrong = attempt(function, *theirs)
    actual, refused = attempt(record, args, kwargs)
    random = oracle.is_random(record, args, kwargs)
    if wrong is None and refused is None:
        truth = None if random else truth_of(function, *theirs, dtype)
        compare(
            actual, from_torch(expected), truth, strides=record.name not in gaps.STRIDES, values=not random,
            rounded=record.name in gaps.ROUNDED,
        )  # fmt: skip
    elif wrong is not None and refused is not None:
        same_kind(refused, wrong)
    elif refused is not None:
        if isinstance(refused, DTypeError) and is_empty(expected):
            return  # a dtype is refused whether or not there are elements; PyTorch's kernels notice only some
        if dtype.name in gaps.REFUSED.get(record.name, ()):
            differ.add((dtype.name, "refused"))
        else:
            raise refused
    elif oracle.is_missing_kernel(wrong):
        truth = truth_of(function, *theirs, dtype)
        if (
            truth is not None and not random
        ):  # no kernel of theirs, but they say what it should be in float64
            for a, t in zip(oracle.flat(actual), oracle.flat(truth)):
                oracle.close(a, t, t)
    elif dtype.name in gaps.ACCEPTED.get(record.name, ()):
        differ.add((dtype.name, "accepted"))
    else:
        raise AssertionError(
            f"PyTorch raises {type(wrong).__name__}: {str(wrong)[:150]}; mezzo does not"
        )


@pytest.mark.parametrize("record", oracle.SAMPLED, ids=lambda r: r.name)
def test_equals_pytorch(record):
    """Every sample in every dtype gives what PyTorch gives, or the same kind of error."""
    function, findings, differ = oracle.reference(record), Findings(), set()
    # An internal operation meets the dtypes that its callers give it.
    for dtype in DTYPES if record.where else FLOATS:
        for label, args, kwargs in sampled(record, dtype):
            with findings.at(label):
                check_values(record, function, dtype, label, args, kwargs, findings, differ)
    for table, kind in ((gaps.REFUSED, "refused"), (gaps.ACCEPTED, "accepted")):
        for name in table.get(record.name, ()):
            with findings.at(f"gaps.{kind.upper()}"):
                assert (name, kind) in differ, (
                    f"{name} is listed and no longer differs: take it out"
                )
    findings.report()


@pytest.mark.parametrize("record", [r for r in oracle.SAMPLED if r.errors], ids=lambda r: r.name)
def test_bad_input_is_refused(record):
    """Each error case of a record raises the stated type with the stated words, and what PyTorch's code catches."""
    function, findings = oracle.reference(record), Findings()
    for sample, kind, words in record.errors:
        args, kwargs = oracle.materialise(sample, dtypes.float32, record.name)
        with findings.at(f"{record.name}{sample!r}"):
            _, error = attempt(record, args, kwargs)
            assert isinstance(error, kind), (
                f"raises {type(error).__name__} ({error}); it must be {kind.__name__}"
            )
            assert words in str(error), f"the message {str(error)!r} does not say {words!r}"
            assert str(error).split(": ")[0] in PUBLIC, (
                f"the message names no public operation: {error}"
            )
            _, wrong = attempt(function, to_torch(args), to_torch(kwargs))
            if wrong is not None:
                same_kind(error, wrong)
    findings.report()
