"""Products of terms whose larger operand is packed beside tile products: the same bits as packed ahead."""

from __future__ import annotations

import numpy as np
import pytest
from test_contract import NUMPY, Matrix, check, multiply

from mezzo.kernels.cpu import contract, pool, target
from mezzo.kernels.cpu.contract import api, plan
from mezzo.kernels.cpu.entry import launch

pytestmark = pytest.mark.skipif(
    not target.host().has_amx_bf16, reason="products of terms need tile registers for bfloat16"
)

# (m, n, k): shares of a panel that are too few, whole and edge panels, blocks of k that are cut, several slices
SIZES = [
    (64, 40, 64),
    (65, 200, 33),
    (260, 33, 576),
    (97, 161, 1100),
    (512, 384, 100),
    (130, 700, 1600),
]


def product(rng, m, n, k, kind, layouts, threads=1, special=False):
    """What a contraction makes of random operands."""
    a = Matrix(rng, 1, m, k, kind, layouts[0])
    b = Matrix(rng, 1, k, n, kind, layouts[1])
    if special:
        a.array[0, m // 2, k // 3], b.array[0, k // 2, n - 1] = np.inf, np.nan
    out = Matrix(rng, 1, m, n, kind, "rows", fill=False)
    multiply(a, b, out, kind, (kind, kind, kind, "f32"), threads=threads)
    return out.array.copy()


@pytest.fixture
def choices(monkeypatch):
    """Which operands were chosen; choices.forced overrides."""

    class Chosen(list):
        forced = None

    found, choose = Chosen(), plan.packed_beside

    def spy(*given):
        found.append(choose(*given) if found.forced is None else found.forced)
        return found[-1]

    monkeypatch.setattr(api, "packed_beside", spy)
    return found


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("kind", ["f32", "f16"])
@pytest.mark.parametrize("size", SIZES)
def test_same_bits_as_packed_ahead(size, kind, small, choices, monkeypatch):
    """small: caches so small that there are blocks and groups of everything."""
    if small:
        for name, value in (("RESIDENT_BYTES", 1 << 15), ("SUMS_BYTES", 1 << 14), ("BLOCK_ROWS", 64),
                            ("BLOCK_COLUMNS", 96), ("BLOCK_BYTES", 1 << 18)):  # fmt: skip
            monkeypatch.setattr(plan, name, value)
    for special in (False, True):
        results = []
        for side in (0, 1, 2):
            choices.forced = side
            rng = np.random.default_rng(sum(size))
            results.append(product(rng, *size, kind, ("rows", "rows"), special=special).tobytes())
        assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    "size,layouts,side",
    [
        ((256, 96, 64), ("rows", "rows"), 1),
        ((96, 256, 64), ("rows", "rows"), 2),
        ((256, 256, 64), ("rows", "columns"), 1),  # what linear multiplies
        ((256, 256, 64), ("columns", "rows"), 2),  # a gradient of weights
        ((256, 256, 64), ("columns", "columns"), 0),
        ((96, 256, 64), ("rows", "columns"), 1),  # linear of few rows: b^T a^T
        ((256, 96, 64), ("columns", "rows"), 0),  # the smaller operand: not worth it
        ((256, 96, 64), ("strided", "strided"), 0),
    ],
)
def test_which_operand_is_packed_beside(size, layouts, side, choices):
    rng = np.random.default_rng(0)
    check(rng, 1, *size, ("f32",) * 4, "f32", (*layouts, "rows", "rows"))
    assert choices[-1] == side


def test_threads_do_not_change_bits(choices):
    before, results = pool.get_num_threads(), set()
    try:
        for threads in (1, 2, 5):
            pool.set_num_threads(threads)
            for layouts in (("rows", "columns"), ("columns", "rows")):
                rng = np.random.default_rng(1)
                made = product(rng, 330, 350, 1030, "f32", layouts, threads=threads)
                results.add((layouts, made.tobytes()))
    finally:
        pool.set_num_threads(before)
    assert len(results) == 2 and set(choices) == {1, 2}


@pytest.mark.parametrize("kept", [contract.KEPT_A, contract.KEPT_B])
def test_beside_panels_that_are_kept(kept, choices):
    """The operand that comes as panels stays, and the other one is packed beside, larger or not."""
    for m, n in ((300, 160), (160, 300)):
        of = api.Problem(m, n, 70, (280, 4), (4 * n, 4), (4 * n, 4), (0, 0), 1, 1)
        found = contract.kernel("f32", "f32", "f32", "f32").plan_kept(of, kept, 1)
        assert found is not None and choices[-1] == 3 - kept


@pytest.mark.parametrize("kind", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("bias", [None, "rows", "columns"])
def test_tiles_of_the_transposed_product(kind, bias):
    """More columns than rows, both operands contiguous along k: tiles go out by columns, edges too, and past the caches."""
    for m, n, k in ((33, 67, 96), (64, 128, 64), (40, 100, 64), (256, 1600, 64)):
        rng = np.random.default_rng(n)
        check(rng, 1, m, n, k, (kind, kind, kind, "f32"), kind, ("rows", "columns", "rows", bias or "rows"),
              with_bias=bias is not None, alpha=0.5, beta=2.0)  # fmt: skip


def test_bias_of_linear_beside_the_transposed_product():
    """One value for each column of the output, and one for each row, are lines or numbers of the transposed one."""
    rng = np.random.default_rng(0)
    a, b = Matrix(rng, 1, 40, 64, "f32", "rows"), Matrix(rng, 1, 64, 100, "f32", "columns")
    for vector, strides in (
        (rng.standard_normal((1, 100)), (0, 4)),
        (rng.standard_normal((40, 1)), (4, 0)),
    ):
        vector = vector.astype(np.float32)
        out = Matrix(rng, 1, 40, 100, "f32", "rows", fill=False)
        made = contract.kernel("f32", "f32", "f32", "f32").plan(
            40, 100, 64, a=a.strides, b=b.strides, out=out.strides, bias=strides
        )
        space = np.empty(made.workspace_bytes + 64, np.uint8)
        start = space.ctypes.data + -space.ctypes.data % 64
        launch(
            made.address, *made.slots(a.address, b.address, out.address, vector.ctypes.data, start)
        )
        expected = a.array.astype(np.float64) @ b.array + vector
        assert abs(out.array - expected).max() <= 64 * 2.0**-24 * abs(expected).max()


def test_one_panel_of_rows_times_several_of_columns(choices):
    rng = np.random.default_rng(0)
    for kind in ("f32", "f16"):
        a, b = (Matrix(rng, 1, *size, kind, "rows") for size in ((32, 300), (300, 64)))
        out = Matrix(rng, 1, 32, 64, kind, "rows", fill=False)
        multiply(a, b, out, kind, (kind, kind, kind, "f32"))
        assert choices[-1] == contract.plan.PRIVATE_B
        expected = a.array.astype(np.float64) @ b.array.astype(np.float64)
        error = abs(out.array.astype(np.float64) - expected).max()
        assert error <= abs(expected).max() * float(np.finfo(NUMPY[kind]).eps) + 1e-4
