"""set_float32_matmul_precision: how exact products of float32 are, and that everything that was planned before follows."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import mezzo

# of |a| |b|: what rounding both operands to so many bits may lose, and float32's sums
BOUNDS = {"highest": 2**-21, "high": 2**-16 + 2**-21, "medium": 2**-7 + 2**-21}


@pytest.fixture(autouse=True)
def as_before():
    before, threads = mezzo.get_float32_matmul_precision(), mezzo.get_num_threads()
    yield
    mezzo.set_float32_matmul_precision(before)
    mezzo.set_num_threads(threads)


def operands(shift: float = 0.0, m: int = 96, n: int = 80, k: int = 700):
    rng = np.random.default_rng(3)
    a = (rng.standard_normal((m, k)) + shift).astype(np.float32)
    b = (rng.standard_normal((k, n)) + shift).astype(np.float32)
    return a, b


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_error_is_within_the_bound(precision, shift):
    a, b = operands(shift)
    mezzo.set_float32_matmul_precision(precision)
    found = (mezzo.tensor(a) @ mezzo.tensor(b)).numpy().astype(np.float64)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    size = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    error = (found - exact) / size
    assert np.abs(error).max() < BOUNDS[precision]
    assert (
        abs(error.mean()) < 2**-24 + BOUNDS[precision] / 30
    )  # errors of one sign would add up in layers


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_layers_and_gradients_follow(precision):
    a, b = operands()
    exact = {}
    for chosen in ("highest", precision):
        mezzo.set_float32_matmul_precision(chosen)
        x, w = mezzo.tensor(a, requires_grad=True), mezzo.tensor(b.T.copy(), requires_grad=True)
        y = mezzo.nn.functional.linear(x, w)
        (y * y).sum().backward()
        exact[chosen] = [t.detach().numpy() for t in (y, x.grad, w.grad)]
    for fine, found in zip(exact["highest"], exact[precision]):
        assert np.abs(fine - found).max() <= 4 * BOUNDS[precision] * np.abs(fine).max() * 30


def test_what_was_planned_before_follows():
    """Calls without Python, compiled functions and kept panels give what a first call gives."""
    a, b = (mezzo.tensor(t) for t in operands())

    @mezzo.compile
    def compiled(x, y):
        return (x @ y).relu()

    found = {}
    for _ in range(2):
        for precision in BOUNDS:
            mezzo.set_float32_matmul_precision(precision)
            results = [(a @ b).relu().numpy() for _ in range(4)] + [compiled(a, b).numpy()]
            with mezzo.inference_mode():
                results += [mezzo.nn.functional.linear(a, b.t().contiguous()).relu().numpy()]
            for result in results:
                np.testing.assert_array_equal(result, found.setdefault(precision, result))


@pytest.mark.parametrize("precision", BOUNDS)
def test_threads_change_no_bit(precision):
    a, b = (mezzo.tensor(t) for t in operands(m=300, n=200))
    mezzo.set_float32_matmul_precision(precision)
    results = []
    for threads in (1, 2, 3):
        mezzo.set_num_threads(threads)
        results.append((a @ b).numpy())
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("precision", BOUNDS)
def test_infinities_and_what_is_no_number(precision):
    a, b = (np.abs(t) + 1 for t in operands())
    a[1, 5], a[2, 7], a[3, 9], b[11, 4] = np.inf, -np.inf, np.nan, np.inf
    a[4, 11] = 0.0
    mezzo.set_float32_matmul_precision(precision)
    found = (mezzo.tensor(a) @ mezzo.tensor(b)).numpy()
    with np.errstate(invalid="ignore"):
        exact = a.astype(np.float64) @ b.astype(np.float64)
    odd = ~np.isfinite(exact)
    np.testing.assert_array_equal(found[odd], exact[odd].astype(np.float32))
    assert np.isfinite(found[~odd]).all()


@pytest.mark.parametrize("dtype", [mezzo.float64, mezzo.bfloat16, mezzo.float16])
def test_other_dtypes_stay(dtype):
    a, b = (mezzo.tensor(t).to(dtype) for t in operands())
    before = (a @ b).float().numpy()
    mezzo.set_float32_matmul_precision("medium")
    np.testing.assert_array_equal((a @ b).float().numpy(), before)


def test_processors_that_gain_nothing_compute_in_full():
    code = (
        "import mezzo\n"
        "a, b = mezzo.randn(64, 300), mezzo.randn(300, 64)\n"
        "full = a @ b\n"
        "for p in ('high', 'medium'):\n"
        "    mezzo.set_float32_matmul_precision(p)\n"
        "    assert mezzo.equal(a @ b, full)\n"
    )
    env = {**os.environ, "MEZZO_CPU_TARGET": "plain"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="got 'low'; it must be one of highest, high, medium"):
        mezzo.set_float32_matmul_precision("low")
    assert mezzo.get_float32_matmul_precision() == "highest"
