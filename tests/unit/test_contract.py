"""Contractions against NumPy in float64: types, strides, batches, sizes, bias, threads, guards."""

from __future__ import annotations

import lowered
import ml_dtypes
import numpy as np
import pytest

from mezzo.errors import DTypeError
from mezzo.kernels import ir
from mezzo.kernels.cpu import contract, pool
from mezzo.kernels.cpu.contract import pack, slots
from mezzo.kernels.cpu.entry import launch

NUMPY = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": ml_dtypes.bfloat16,
         "i64": np.int64, "i32": np.int32, "i16": np.int16, "i8": np.int8, "u8": np.uint8}  # fmt: skip
EPS = {"f32": 2.0**-24, "f64": 2.0**-53, "f16": 2.0**-11, "bf16": 2.0**-8}
GUARD = 256  # bytes around every buffer that must stay as they are
CANARY = 0xA5
LINE = 64
LAYOUTS = ("rows", "columns", "strided", "negative", "wide")


class Matrix:
    """A batch of matrices in a guarded buffer, laid out in some way."""

    def __init__(self, rng, batch, rows, columns, kind, layout, fill=True):
        item = np.dtype(NUMPY[kind]).itemsize
        along_r, along_c = {
            "rows": (columns, 1), "columns": (1, rows), "strided": (columns * 3, 3),
            "negative": (-columns, -1), "wide": (columns + 1037, 1),
        }[layout]  # fmt: skip
        span = abs(along_r) * max(rows - 1, 0) + abs(along_c) * max(columns - 1, 0) + 1
        room = np.full(GUARD * 2 + span * batch * item + LINE, CANARY, np.uint8)
        self.raw = room[-room.ctypes.data % LINE :]  # whole lines, where the layout keeps them so
        first = GUARD + (span - 1) * item * (layout == "negative")
        self.strides = (along_r * item, along_c * item)
        self.offsets = np.arange(batch, dtype=np.int64) * span * item
        self.array = np.ndarray(
            (batch, rows, columns), NUMPY[kind], self.raw.data, first, (span * item, *self.strides)
        )
        if fill and kind in EPS:
            self.array[...] = rng.standard_normal(self.array.shape)
        elif fill:
            self.array[...] = rng.integers(0, 100, self.array.shape)
        self.address = self.raw.ctypes.data + first

    def outside(self):
        """The bytes that belong to no element."""
        mask = np.ones(self.raw.shape, bool)
        index = np.ndarray(
            self.array.shape, f"V{self.array.itemsize}", mask.data,
            self.address - self.raw.ctypes.data, self.array.strides,
        )  # fmt: skip
        index[...] = np.zeros((), f"V{self.array.itemsize}")
        return self.raw[mask]


def multiply(a, b, out, compute, kinds, bias=None, threads=1, alpha=1.0, beta=1.0):
    """Run the contraction; the workspace is guarded too."""
    (batch, m, k), n = a.array.shape, b.array.shape[2]
    plan = contract.kernel(*kinds[:3], compute, kinds[3] if bias else None).plan(
        m, n, k, a=a.strides, b=b.strides, out=out.strides,
        bias=bias.strides if bias else (0, 0), batch=batch, threads=threads,
    )  # fmt: skip
    space = np.full(plan.workspace_bytes + 128 + GUARD, CANARY, np.uint8)
    start = -space.ctypes.data % 64
    tables = [x.offsets.ctypes.data if x else 0 for x in (a, b, out, bias)]
    launch(
        plan.address,
        *plan.slots(
            a.address, b.address, out.address, bias.address if bias else 0, space.ctypes.data + start,
            a_offsets=tables[0], b_offsets=tables[1], out_offsets=tables[2], bias_offsets=tables[3],
            alpha=alpha, beta=beta,
        ),
    )  # fmt: skip
    assert (space[start + plan.workspace_bytes :] == CANARY).all(), "workspace overrun"
    assert (out.outside() == CANARY).all(), "wrote outside the output"


def rounded(array, compute):
    """What the kernel multiplies: f64 reaches bf16 and f16 through f32, as in PyTorch."""
    if compute in ("bf16", "f16"):
        array = array.astype(np.float32).astype(NUMPY[compute])
    return array.astype(NUMPY[compute]).astype(np.float64)


def check(
    rng, batch, m, n, k, kinds, compute, layouts, threads=1, with_bias=False, alpha=1.0, beta=1.0
):
    """One product against float64."""
    a = Matrix(rng, batch, m, k, kinds[0], layouts[0])
    b = Matrix(rng, batch, k, n, kinds[1], layouts[1])
    out = Matrix(rng, batch, m, n, kinds[2], layouts[2], fill=False)
    bias = Matrix(rng, batch, m, n, kinds[3], layouts[3]) if with_bias else None
    multiply(a, b, out, compute, kinds, bias, threads, alpha, beta)
    x, y = (rounded(v.array, compute) for v in (a, b))
    expected = alpha * (x @ y)
    size = abs(alpha) * (abs(x) @ abs(y))
    if bias:
        expected = expected + beta * bias.array.astype(np.float64)
        size = size + abs(beta * bias.array.astype(np.float64))
    acc = EPS["f64"] if compute == "f64" else EPS["f32"]
    bound = size * acc * (k + 4) + abs(expected) * EPS[kinds[2]] * 1.01 + 1e-6 * (kinds[2] == "f16")
    error = abs(out.array.astype(np.float64) - expected)
    assert (error <= bound + 1e-30).all(), f"error {np.max(error - bound)} over the bound"
    return out.array.copy()


SIZES = [(1, 1, 1), (5, 7, 3), (14, 32, 16), (15, 33, 17), (31, 65, 129), (64, 64, 64), (100, 1, 50),
         (1, 100, 50), (3, 200, 500), (200, 3, 500), (129, 257, 1100), (33, 47, 2500)]  # fmt: skip


@pytest.mark.parametrize("compute", ["f32", "f64", "bf16", "f16"])
@pytest.mark.parametrize("m,n,k", SIZES)
def test_sizes(compute, m, n, k):
    rng = np.random.default_rng(m * 1000 + n)
    kinds = (compute, compute, compute, "f32")
    for layouts in (("rows", "rows", "rows", "rows"), ("columns", "columns", "rows", "rows"),
                    ("rows", "columns", "columns", "columns")):  # fmt: skip
        check(rng, 1, m, n, k, kinds, compute, layouts)


@pytest.mark.parametrize("kind", ["f32", "bf16"])
@pytest.mark.parametrize("n", [4095, 4096, 9001])
def test_one_row_times_wide_rows(n, kind):
    """More columns than the sums of one task."""
    rng = np.random.default_rng(n)
    for threads in (1, 3):
        for layouts in (("rows",) * 4, ("columns", "columns", "rows", "rows")):
            m, columns = (1, n) if layouts[0] == "rows" else (n, 1)
            check(
                rng, 1, m, columns, 70, (kind, kind, "f32", "f32"), kind, layouts, threads=threads
            )


@pytest.mark.parametrize("seed", range(60))
def test_random_types_and_strides(seed):
    rng = np.random.default_rng(seed)
    m, n, k = (int(rng.integers(1, 70)) for _ in range(3))
    if seed % 3 == 0:
        k = int(rng.integers(1, 1500))
    compute = str(rng.choice(["f32", "f64", "bf16", "f16"]))
    kinds = tuple(str(rng.choice(list(EPS))) for _ in range(4))
    layouts = tuple(str(rng.choice(LAYOUTS)) for _ in range(4))
    check(rng, int(rng.integers(1, 4)), m, n, k, kinds, compute, layouts,
          with_bias=bool(seed % 2), alpha=1.0 + seed % 4, beta=0.5 + seed % 3)  # fmt: skip


@pytest.mark.parametrize("compute", ["f32", "bf16", "f64"])
def test_threads_do_not_change_bits(compute):
    kinds = (compute, compute, compute, "f32")
    before = pool.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 5):
            pool.set_num_threads(threads)
            for batch, m, n, k in ((1, 210, 190, 2100), (7, 40, 50, 60), (2, 300, 300, 30)):
                rng = np.random.default_rng(1)
                done = check(rng, batch, m, n, k, kinds, compute, ("rows",) * 4, threads=threads)
                results.append(((batch, m), done.tobytes()))
    finally:
        pool.set_num_threads(before)
    assert len(set(results)) == 3


@pytest.mark.parametrize("compute", ["f32", "bf16", "f64", "f16"])
def test_empty_sizes(compute):
    rng = np.random.default_rng(0)
    kinds = (compute, compute, compute, "f32")
    zeros = check(rng, 2, 20, 40, 0, kinds, compute, ("rows",) * 4)
    assert (zeros.astype(np.float64) == 0).all()
    check(rng, 2, 20, 40, 0, kinds, compute, ("rows",) * 4, with_bias=True)
    for m, n, batch in ((0, 5, 1), (5, 0, 1), (5, 5, 0)):
        check(rng, batch, m, n, 3, kinds, compute, ("rows",) * 4)


def test_broadcast_operands():
    """Stride 0, and one matrix for the whole batch through equal offsets."""
    rng = np.random.default_rng(3)
    a = Matrix(rng, 3, 20, 30, "f32", "rows")
    b = Matrix(rng, 3, 30, 40, "f32", "rows")
    out = Matrix(rng, 3, 20, 40, "f32", "rows", fill=False)
    a.strides = (0, 4)
    b.offsets[:] = 0
    multiply(a, b, out, "f32", ("f32",) * 4)
    expected = np.broadcast_to(a.array[:, :1], a.array.shape).astype(float) @ b.array[0].astype(
        float
    )
    assert np.allclose(out.array, expected, atol=1e-4)


@pytest.mark.parametrize("axis", ["m", "n"])
def test_bias_vectors(axis):
    rng = np.random.default_rng(4)
    a, b = Matrix(rng, 1, 30, 20, "f32", "rows"), Matrix(rng, 1, 20, 70, "bf16", "columns")
    out = Matrix(rng, 1, 30, 70, "f32", "rows", fill=False)
    bias = Matrix(rng, 1, 1, 70, "bf16", "rows")
    bias.strides = (0, 2) if axis == "n" else (2, 0)
    multiply(a, b, out, "f32", ("f32", "bf16", "f32", "bf16"), bias)
    line = bias.array[0, 0].astype(float)
    term = line[None, :] if axis == "n" else line[:30, None]
    expected = a.array[0].astype(float) @ b.array[0].astype(float) + term
    assert np.allclose(out.array[0], expected, atol=1e-4)


def test_not_finite_values_pass():
    rng = np.random.default_rng(5)
    for compute in ("f32", "bf16", "f16", "f64"):
        a = Matrix(rng, 1, 20, 40, compute, "rows")
        b = Matrix(rng, 1, 40, 50, compute, "columns")
        out = Matrix(rng, 1, 20, 50, compute, "rows", fill=False)
        a.array[0, 3, 7], a.array[0, 4, 39] = np.nan, np.inf
        multiply(a, b, out, compute, (compute,) * 4)
        done = out.array[0].astype(float)
        assert np.isnan(done[3]).all() and np.isinf(done[4]).all()
        assert np.isfinite(np.delete(done, (3, 4), 0)).all()


@pytest.mark.parametrize("kind", ["u8", "i8", "i16", "i32", "i64"])
def test_integers_wrap(kind):
    rng = np.random.default_rng(6)
    a = Matrix(rng, 2, 9, 130, kind, "columns")
    b = Matrix(rng, 2, 130, 70, kind, "strided")
    out = Matrix(rng, 2, 9, 70, kind, "negative", fill=False)
    bias = Matrix(rng, 2, 9, 70, kind, "rows")
    multiply(a, b, out, kind, (kind,) * 4, bias, alpha=3, beta=2)
    x, y, z = (v.array.astype(np.int64) for v in (a, b, bias))
    assert (out.array == (3 * (x @ y) + 2 * z).astype(NUMPY[kind])).all()


@pytest.mark.parametrize("shape", [(50, 70, 90), (3, 100, 40)])
def test_epilogue_before_rounding(shape):
    m, n, k = shape
    rng = np.random.default_rng(8)
    epilogue = ir.maximum(ir.load(0, "f32"), 0.0)
    a, b = Matrix(rng, 1, m, k, "bf16", "rows"), Matrix(rng, 1, k, n, "bf16", "rows")
    out = Matrix(rng, 1, m, n, "bf16", "rows", fill=False)
    plan = contract.kernel("bf16", "bf16", "bf16", "bf16", None, epilogue).plan(
        m, n, k, a=a.strides, b=b.strides, out=out.strides
    )
    space = np.empty(plan.workspace_bytes + 64, np.uint8)
    launch(
        plan.address,
        *plan.slots(
            a.address, b.address, out.address, 0, space.ctypes.data + -space.ctypes.data % 64
        ),
    )
    expected = np.maximum(a.array[0].astype(float) @ b.array[0].astype(float), 0)
    assert np.allclose(out.array[0].astype(float), expected, rtol=2**-8, atol=1e-4)


def test_reader_of_ones_own():
    """A packer that finds rows of a through a table, as a patch reader would."""

    def gather(program, name, packer):
        panel = packer.panel
        with program.function(name, pack.SIGNATURE, attributes="noinline") as f:
            table, a = slots.pointer(f, "source"), slots.pointer(f, "a0")
            padded = f.mul(f.ceil_div("%depth", panel.k_step), panel.width)
            with f.loop(0, padded) as kk, f.loop(0, panel.rows) as row:
                wanted = f.add("%row", f.min(row, f.sub("%rows", 1)))
                start = f.load("i64", f.at(table, f.mul(wanted, 8)))
                exists = f.both(f.compare("slt", row, "%rows"), f.compare("slt", kk, "%depth"))
                here = f.at(a, f.add(start, f.mul(f.add("%k", kk), 4)))
                value = packer.single(f, here, exists)
                f.store(packer.lane, value, f.at("%panel", packer.place(f, kk, row)), 4)

    rng = np.random.default_rng(9)
    m, n, k = 75, 60, 700
    a, b = Matrix(rng, 1, 40, k, "f32", "rows"), Matrix(rng, 1, k, n, "f32", "rows")
    out = Matrix(rng, 1, m, n, "f32", "rows", fill=False)
    rows = rng.integers(0, 40, m)
    table = rows * k * 4
    plan = contract.Contraction(
        contract.scheme("f32", "f32", "f32", "f32", None), readers=(gather, None)
    ).plan(m, n, k, a=(0, 0), b=b.strides, out=out.strides)
    space = np.empty(plan.workspace_bytes + 64, np.uint8)
    start = space.ctypes.data + -space.ctypes.data % 64
    launch(
        plan.address,
        *plan.slots(a.address, b.address, out.address, 0, start, source=table.ctypes.data),
    )
    assert np.allclose(out.array[0], a.array[0].astype(float)[rows] @ b.array[0], atol=1e-3)


@pytest.mark.parametrize(
    "m,n,k", [(3000, 40, 700), (40, 3000, 700), (30, 100, 30000), (2100, 60, 9)]
)
@pytest.mark.parametrize("compute", ["f32", "bf16"])
def test_oblong(m, n, k, compute):
    before = pool.get_num_threads()
    results = set()
    try:
        for threads in (1, 3):
            pool.set_num_threads(threads)
            rng = np.random.default_rng(m)
            kinds = (compute, compute, "f32", "f32")
            done = check(rng, 1, m, n, k, kinds, compute, ("rows",) * 4, threads=threads)
            results.add(done.tobytes())
    finally:
        pool.set_num_threads(before)
    assert len(results) == 1


@pytest.mark.parametrize("layout", ["rows", "wide"])
@pytest.mark.parametrize("m,n,k", [(32, 32, 32), (70, 40, 96), (33, 64, 512), (100, 33, 1056)])
def test_rows_that_tiles_read_in_place(m, n, k, layout):
    """Whole panels of a come from a itself, the last one is packed; around the rows lie canaries."""
    rng = np.random.default_rng(m + n + k)
    kinds = ("bf16", "bf16", "bf16", "f32")
    check(rng, 2, m, n, k, kinds, "bf16", (layout, "rows", "rows", "rows"))
    product = contract.kernel("bf16", "bf16", "bf16", "bf16")
    plan = product.plan(m, n, k, a=(2 * k + 74, 2), b=(2 * n, 2), out=(2 * n, 2))
    names = dict(zip(slots.CONSTANTS, plan._block))
    assert names["direct"] == (
        product.scheme.method == "amx" and names["path"] == names["swap"] == 0
    )
    odd = product.plan(m, n, k - 1, a=(2 * k, 2), b=(2 * n, 2), out=(2 * n, 2))
    assert dict(zip(slots.CONSTANTS, odd._block))["direct"] == 0  # a step would read beyond the row


@pytest.mark.parametrize("compute", ["f32", "bf16"])
@pytest.mark.parametrize("m,n,k", [(64, 64, 20000), (30, 130, 9001)])
def test_long_k_stays_near(m, n, k, compute):
    """A small output with a long k is summed block by block; bits do not depend on the threads."""
    rng = np.random.default_rng(k)
    kinds = (compute, compute, compute, "f32")
    check(rng, 1, m, n, k, kinds, compute, ("columns", "rows", "rows", "rows"))
    plan = contract.kernel(compute, compute, compute, compute).plan(
        m, n, k, a=(4, 4 * m), b=(4 * n, 4), out=(4 * n, 4), threads=2
    )
    names = dict(zip(slots.CONSTANTS, plan._block))
    assert names["block_k"] < k and plan.workspace_bytes < 4 << 20
    a, b = (Matrix(rng, 1, *shape, compute, "rows") for shape in ((m, k), (k, n)))
    found = []
    for threads in (1, 2):
        out = Matrix(rng, 1, m, n, compute, "rows", fill=False)
        multiply(a, b, out, compute, kinds, threads=threads)
        found.append(out.array.tobytes())
    assert found[0] == found[1]


def test_wrong_types_are_named():
    with pytest.raises(DTypeError, match=r"contract: a has type f32; an integer product takes u8"):
        contract.kernel("f32", "i32", "i32", "i32")
    with pytest.raises(DTypeError, match=r"contract: bias has type b8; a floating product takes"):
        contract.kernel("f32", "f32", "f32", "f32", "b8")


TARGETS = ("avx512bf16", "avx512", "avx2", "plain")


@pytest.mark.parametrize("target", TARGETS)
def test_lower_targets(target):
    """The same tests on what lesser processors run; skipped where this one is lesser still."""
    lowered.run_again(__file__, target, guarded=False)


@pytest.mark.parametrize("kinds", ["f32 f32 f32 f32", "bf16 bf16 bf16 bf16", "f16 f16 f16 f16"])
@pytest.mark.parametrize("with_bias", [False, True])
def test_large_outputs_past_the_caches(kinds, with_bias):
    kinds = tuple(kinds.split())
    m, n, k = 1100, 2048 + 96, 3
    found = []
    for layout in ("rows", "wide"):  # rows of whole lines, and rows that begin anywhere
        layouts = ("rows", "rows", layout, "rows")
        rng = np.random.default_rng(5)
        for threads in (1, 2):
            found.append(check(rng, 1, m, n, k, kinds, kinds[0], layouts, threads, with_bias))
            rng = np.random.default_rng(5)
    for other in found[1:]:
        assert (other == found[0]).all()


# ---- large products of floats on tile registers, as bfloat16 terms (elsewhere the same by multiply-adds)

LARGE = (257, 300, 290)


@pytest.mark.parametrize("kind", ["f32", "f16"])
@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("right", LAYOUTS)
def test_large_products_in_every_layout(kind, left, right):
    check(np.random.default_rng(1), 1, *LARGE, (kind,) * 4, kind, (left, right, "rows", "rows"), 2)


@pytest.mark.parametrize("kinds", ["f16 f32 f32 f32", "f32 f32 f16 f32", "bf16 f32 f32 f16"])
def test_large_products_of_mixed_types(kinds):
    kinds = tuple(kinds.split())
    layouts = ("rows", "columns", "columns", "rows")
    check(
        np.random.default_rng(2),
        2,
        *LARGE,
        kinds,
        "f32",
        layouts,
        2,
        with_bias=True,
        alpha=0.5,
        beta=2.0,
    )


def product(x, y):
    """Of two float32 matrices."""
    shapes = (x.shape, y.shape, (x.shape[0], y.shape[1]))
    made = [Matrix(None, 1, *shape, "f32", "rows", fill=False) for shape in shapes]
    for matrix, value in zip(made, (x, y)):
        matrix.array[0] = value
    multiply(*made, "f32", ("f32",) * 4)
    return made[2].array[0]


def test_large_products_of_what_is_not_finite():
    x, y = np.ones((256, 64), np.float32), np.ones((64, 256), np.float32)
    x[:, ::3], y[::5] = 0.1, -1 / 3
    x[3, 5], x[4, 6], x[5, 7], y[9, 8] = np.inf, -np.inf, np.nan, np.inf
    x[6, 5:7] = np.inf, -np.inf
    y[5, 11] = 0  # infinity times zero
    x[7, 20], y[20, 12] = 3.4e38, 2.0  # overflows
    with np.errstate(all="ignore"):
        expected = x @ y
    found = product(x, y)
    assert (np.isnan(found) == np.isnan(expected)).all()
    assert (found[np.isinf(expected)] == expected[np.isinf(expected)]).all()
    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=2e-6)


def test_large_products_are_exact_where_floats_are():
    rng = np.random.default_rng(3)
    x = rng.integers(-1000, 1000, (300, 70)).astype(np.float32)
    y = np.concatenate([x.T[::-1] * 0 + 3, -x.T[:, :60]], 1)
    x[:, 35:] = -x[:, :35]
    y[35:] = y[:35]  # every element of the product cancels
    assert (product(x, y) == 0).all()
    whole = rng.integers(-200, 200, (64, 256)).astype(np.float32)
    assert (product(x[:, :64], whole) == x[:, :64].astype(np.float64) @ whole).all()


@pytest.mark.parametrize("draw", ["standard_normal", "random"])
@pytest.mark.parametrize("m, k", [(64, 64), (128, 1024), (32, 8192)])
def test_large_products_lose_no_bits(draw, m, k):
    """Against float64, the error is at most twice that of another sum of float32; also of sums that only grow."""
    rng = np.random.default_rng(4)
    x, y = (getattr(rng, draw)(shape).astype(np.float32) for shape in ((m, k), (k, 64)))
    exact = x.astype(np.float64) @ y
    found, numpys = product(x, y), x @ y
    assert np.square(found - exact).mean() <= 4 * np.square(numpys - exact).mean()
    bias = (found - exact).mean() / exact.mean() if draw == "random" else 0
    assert abs(bias) < 2**-23
