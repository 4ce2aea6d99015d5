"""Weighted taps along the last axis against the same sums in float64: tables of every kind, dtypes, lowered targets."""

from __future__ import annotations

import lowered
import numpy as np
import pytest

import mezzo
from mezzo.kernels.cpu import pool, taps_last
from mezzo.ops.pad import resample
from mezzo.rules.taps import table, transposed

UP = ("nearest", 9, 37, None, False)
SPECS = [
    UP,
    transposed(UP),  # too few results for lanes
    ("nearest", 64, 33, None, True),
    transposed(("nearest", 20, 64, None, False)),
    ("linear", 20, 33, False, None, "f32"),
    transposed(("linear", 40, 17, True, None, "f32")),
    ("cubic", 2, 50, False, None, "f32"),
    ("area", 100, 41),
    ("area", 1, 40),  # from a single element, behind which no word ends
    ("picked", 18, (*range(17, -1, -1), -1, -1, 0, 17)),  # two results of nothing
]
UNITS = {"float32": 2.0**-23, "bfloat16": 2.0**-8, "float16": 2.0**-11}
CODE = """
import test_taps
for spec in test_taps.SPECS:
    for dtype in test_taps.UNITS:
        test_taps.check(spec, dtype, 3)
"""


def sums(found, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What a table makes of lines."""
    made = np.zeros((len(x), found.rows))
    rows = np.repeat(np.arange(found.rows), np.diff(found.starts))
    for line, values in zip(made, x):
        np.add.at(line, rows, values[found.index] * weights)
    return made


def check(spec, dtype: str, lines: int):
    """Sums in float32, rounded once to the dtype."""
    found = table(spec)
    values = np.random.default_rng(0).standard_normal((lines, found.size)).astype("float32")
    x = mezzo.tensor(values).to(getattr(mezzo, dtype))
    exact = x.float().numpy().astype("float64")
    got = resample(x, -1, spec).float().numpy()
    room = sums(found, np.abs(exact), np.abs(found.weight))
    limit = UNITS[dtype] * room + 2.0**-22 * room  # weights are rounded too
    assert (np.abs(got - sums(found, exact, found.weight)) <= limit).all()


@pytest.mark.parametrize("dtype", UNITS)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_values(spec, dtype):
    check(spec, dtype, 5)


def test_absent_taps_touch_nothing():
    """Beside results of several taps, those of one or none meet no infinity that is not theirs."""
    spec = ("picked", 20, (-1, *range(20), -1))
    x = mezzo.tensor([[float("inf"), *range(1, 20)]])
    assert resample(x, -1, spec).tolist() == [[0.0, float("inf"), *map(float, range(1, 20)), 0.0]]


def test_long_lines_are_shared_among_threads():
    spec = ("linear", 30011, 50021, False, None, "f32")
    check(spec, "float32", 1)
    x = mezzo.tensor(np.random.default_rng(1).standard_normal((1, 30011)).astype("float32"))
    before = pool.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            pool.set_num_threads(threads)
            found.append(resample(x, -1, spec).numpy())
    finally:
        pool.set_num_threads(before)
    assert all((one == found[0]).all() for one in found)


def test_lanes_that_would_idle():
    """One result of many taps beside results of one leaves most lanes idle: None."""
    counts = np.ones(32, np.int64)
    counts[5] = 400
    starts = np.concatenate(([0], np.cumsum(counts)))
    index = np.zeros(starts[-1], np.int64)
    assert taps_last.steps(starts, index, index + 1.0) is None
    assert taps_last.steps(starts[:16], index[: starts[15]], index[: starts[15]] + 1.0) is None
    first, places, weights = taps_last.steps(np.arange(33), np.arange(32), np.ones(32))
    assert first.tolist() == [0, 1, 2] and places.ravel().tolist() == list(range(32))
    assert (weights == 1).all()


@pytest.mark.parametrize("label", ["avx512", "avx2", "plain"])
def test_other_processors(label):
    """The same with other vectors, and with pages behind every block that nobody may touch."""
    lowered.run_code(__file__, label, CODE)
