"""The derived forms: methods, aliases, operators, in-place, out=."""

from __future__ import annotations

import operator

import gaps
import numpy as np
import oracle
import pytest
import torch
from oracle import Findings, attempt, compare, from_torch, same_kind, sampled, to_torch

import mezzo
from mezzo import dtypes, ops
from mezzo.core.tensor import Tensor

INPLACE = [r for r in oracle.SAMPLED if r.has_inplace and hasattr(torch.Tensor, r.name + "_")]
CHECKED = (dtypes.float32, dtypes.bfloat16, dtypes.int64)


def aside(args, kwargs):
    """The same call for both, tensors copied."""
    return (args, kwargs), (to_torch(args), to_torch(kwargs))


@pytest.mark.parametrize("record", INPLACE, ids=lambda r: r.name)
def test_inplace(record):
    """x.op_() writes what PyTorch's writes, returns x, counts a version, or refuses alike."""
    findings = Findings()
    name = record.name + "_"
    for dtype in CHECKED:
        for label, args, kwargs in sampled(record, dtype):
            if not isinstance(args[0], Tensor):
                continue
            with findings.at(f"in-place {label}"):
                (ours, ours_named), (theirs, theirs_named) = aside(args, kwargs)
                original = to_torch((args, kwargs))
                expected, wrong = attempt(getattr(torch.Tensor, name), theirs, theirs_named)
                before, random = ours[0]._version, oracle.is_random(record, ours, ours_named)
                actual, refused = attempt(getattr(Tensor, name), ours, ours_named)
                if wrong is not None:
                    allowed = oracle.is_missing_kernel(wrong) or record.name in gaps.INPLACE
                    assert refused is not None or allowed, f"PyTorch raises {wrong}"
                    if refused is not None:
                        same_kind(refused, wrong)
                    continue
                if refused is not None:
                    raise refused
                assert actual is ours[0], "the result is not the tensor itself"
                assert actual._version > before, "the version was not counted"
                if not random:
                    truth, wrong = attempt(oracle.reference(record), *oracle.double(original))
                    truth = from_torch(truth) if wrong is None and dtype.is_floating_point else None
                    compare(
                        actual, from_torch(expected), truth, rounded=record.name in gaps.ROUNDED
                    )
    findings.report()


def empties(tree, results):
    """Empty tensors of the results' dtypes, for out=."""
    if isinstance(results, (tuple, list)):
        return tuple(empties(tree, r) for r in results)
    return tree.empty(0, dtype=results.dtype)


def takes_out(function, args, kwargs, expected) -> bool:
    """True if PyTorch's function has out=."""
    _, error = attempt(function, args, {**kwargs, "out": empties(torch, expected)})
    return error is None


@pytest.mark.parametrize(
    "record", [r for r in oracle.SAMPLED if "mezzo" in r.where], ids=lambda r: r.name
)
def test_out(record):
    """out= takes the result, in a tensor that resizes or one that fits, with strides of its own."""
    function, findings = oracle.reference(record), Findings()
    for label, args, kwargs in sampled(record):
        with findings.at(f"out= {label}"):
            theirs = to_torch(args), to_torch(kwargs)
            expected, wrong = attempt(function, *theirs)
            if (
                wrong is not None
                or not oracle.torch_tensors((expected,))
                or not takes_out(function, *theirs, expected)
            ):
                continue
            want = from_torch(expected)
            values = not oracle.is_random(record, args, kwargs)
            given = empties(mezzo, want)
            found = record(*args, **kwargs, out=given)
            assert oracle.flat(found)[0] is oracle.flat(given)[0], (
                "the result is not the tensor given as out="
            )
            compare(found, want, strides=False, values=values)
            strided = tuple(
                mezzo.empty((*w.shape, 2), dtype=w.dtype).select(-1, 1) for w in oracle.flat(want)
            )
            many = isinstance(want, tuple)
            compare(
                record(*args, **kwargs, out=strided if many else strided[0]),
                want,
                strides=False,
                values=values,
            )
    findings.report()


@pytest.mark.parametrize("record", [r for r in oracle.SAMPLED if r.operators], ids=lambda r: r.name)
def test_operators(record):
    """Python's operators give what PyTorch's give, with tensors and numbers on either side."""
    findings = Findings()
    for dtype in (dtypes.float32, dtypes.int64):
        x = mezzo.tensor([[1, 2, 3], [4, 5, 6]]).to(dtype)
        y = mezzo.tensor([3, 1, 2]).to(dtype)
        for name in record.operators:
            unary = (not hasattr(int, name) and not hasattr(operator, name)) or name in (
                "__neg__",
                "__invert__",
                "__abs__",
                "__pos__",
            )
            for other in [None] if unary else [y, 2, 2.5]:
                with findings.at(f"{name} of {dtype.name} with {other!r}"):
                    args = (x,) if unary else (x, other)
                    if name == "__matmul__":
                        args = (x, y)
                    expected, wrong = attempt(getattr(torch.Tensor, name), to_torch(args), {})
                    actual, refused = attempt(getattr(Tensor, name), args, {})
                    if wrong is None:
                        if refused is not None:
                            raise refused
                        compare(actual, from_torch(expected))
                    else:
                        assert refused is not None, f"PyTorch raises {wrong}"
    findings.report()


@pytest.mark.parametrize("record", [r for r in oracle.RECORDS if r.where], ids=lambda r: r.name)
def test_is_found_where_it_is_public(record):
    """Under its name in each of its places, under each alias in one; and PyTorch has it there too."""
    names = [(place, name) for place in record.where for name in (record.name, *record.aliases)]
    # An alias with a dot says its place: special.expit.
    names = [(p, n) for p, n in names if "." not in n] + [
        tuple(alias.rsplit(".", 1)) for alias in record.aliases if "." in alias
    ]
    found = {
        (place, name): getattr(Tensor, name, None)
        if place == "Tensor"
        else ops.namespace(place).get(name)
        for place, name in names
    }
    for (place, name), what in found.items():
        assert what in (record, None), f"{place}.{name} is {what!r}"
        if what is not None and place in oracle.PLACES:
            assert hasattr(oracle.PLACES[place], name), f"PyTorch has no {place}.{name}"
    for name in {name for _, name in names}:
        assert any(what is record for (_, n), what in found.items() if n == name), (
            f"{name} is nowhere"
        )


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
@pytest.mark.parametrize("momentum", [0.1, 0.7])
def test_running_statistics(name, momentum):
    """Training writes the running mean and variance that PyTorch's writes, and returns the same."""
    rng = np.random.default_rng(0)
    x = mezzo.from_numpy(rng.standard_normal((4, 3, 5)).astype(np.float32))
    running = [
        mezzo.from_numpy(v.astype(np.float32))
        for v in (rng.standard_normal(3), rng.random(3) + 0.5)
    ]
    theirs = to_torch([x, *running])
    want = getattr(torch.nn.functional, name)(*theirs, None, None, True, momentum)
    got = getattr(mezzo.nn.functional, name)(x, *running, None, None, True, momentum)
    compare([got, *running], from_torch([want, *theirs[1:]]))
