"""Calls that were made before: at every turn what the usual way gives, to the bit, with its history."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest
from oracle import SAMPLED, UNSPECIFIED

import mezzo
from mezzo import dtypes
from mezzo.core.short import offers
from mezzo.core.tensor import Tensor
from mezzo.kernels.cpu import entry
from mezzo.testing.samples import materialise
from mezzo.testing.trees import tensors

TURNS = 4  # the first is noted, the second learned


@contextlib.contextmanager
def _usual_way():
    assert entry.launch  # links the native code
    (native,) = offers._native
    native._off.value = 1
    try:
        yield
    finally:
        native._off.value = 0


def _bits(tensor: Tensor):
    return tensor.layout, tensor.detach().contiguous()._array().tobytes()


def _path(node, depth: int = 4):
    if node is None or not depth:
        return None
    below = [(_path(f, depth - 1), slot) for f, slot in node.next_functions]
    return node.name(), getattr(node, "multiple", None), below


def _view(tensor: Tensor):
    info = tensor.base
    if info is None:
        return None
    return info.root.layout, [record.name for record, _ in info.chain], info.multiple, info.root._version  # fmt: skip


def _is_differentiable(value) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _seen(record, args, kwargs) -> list:
    """All that can be seen of a call: results and their histories, then gradients."""
    mezzo.manual_seed(7)
    before = [t._version for t in tensors((args, kwargs))]
    result = record(*args, **kwargs)
    outs, given = tensors(result), tensors((args, kwargs))
    found: list = [type(result), len(outs), [t._version - v for t, v in zip(given, before)]]
    for out in outs:
        values = out.layout if record.name in UNSPECIFIED else _bits(out)
        found.append((type(out), values, out._version, out.requires_grad, out.is_leaf, _view(out)))
        found.append((any(out is t for t in given), _path(out.grad_fn)))
    if not outs:
        found.append(repr(result))
    wanted = [t for t in given if _is_differentiable(t)]
    ends = [out for out in outs if _is_differentiable(out)]
    if ends and wanted:
        directions = [out.detach() for out in ends]
        slopes = mezzo.autograd.grad(ends, wanted, directions, allow_unused=True)
        found += [None if s is None else _bits(s) for s in slopes]
    return found


def _usual_calls(record, sample, gradients: bool) -> list:
    made = []
    for turn in range(TURNS):
        args, kwargs = materialise(sample, dtypes.float32, f"{record.name} {turn}", gradients)
        with _usual_way():
            made.append(_seen(record, args, kwargs))
    return made


@pytest.mark.parametrize("record", SAMPLED, ids=lambda r: r.name)
def test_every_turn_is_as_the_usual_way(record):
    fitting = [s for s in record.samples if not s.dtypes or "float32" in [getattr(d, "name", d) for d in s.dtypes]]  # fmt: skip
    for sample in fitting[:2]:
        for gradients in (False, True) if sample.grad else (False,):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = _usual_calls(record, sample, gradients)
                for turn in range(TURNS):
                    args, kwargs = materialise(sample, dtypes.float32, f"{record.name} {turn}", gradients)  # fmt: skip
                    assert _seen(record, args, kwargs) == expected[turn], (repr(sample), turn)


def test_the_usual_way_is_told_from_the_short_one():
    """What the other test compares are two things."""
    x = mezzo.ones(3, 5)
    for _ in range(3):
        mezzo.expm1(x)
    hits = offers.native.field(mezzo.expm1.short, offers.w.HITS)
    before = hits.value
    with _usual_way():
        mezzo.expm1(x)
    assert hits.value == before
    mezzo.expm1(x)
    assert hits.value == before + 1
    np.testing.assert_allclose(mezzo.expm1(x).numpy(), np.expm1(np.ones((3, 5))), rtol=1e-6)
