"""Passes: random programs compute compiled what they compute eagerly, bit for bit; and what each pass does."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest

import mezzo
from mezzo.compiler import explain, trace, tune
from mezzo.nn import functional as F

SEEDS = range(40)


def random_program(seed: int):
    """A function of two 6x8 tensors made of random calls: arithmetic, views, casts, writes in place, folds."""
    draw = random.Random(seed)
    choices = [draw.random() for _ in range(60)]
    picks = [draw.randrange(1 << 30) for _ in range(60)]

    def program(x, y):
        pool = [x * 1.5, y + 0.25]
        outs = []
        for choice, pick in zip(choices[: 8 + seed % 12], picks):
            a, b = pool[pick % len(pool)], pool[(pick >> 8) % len(pool)]
            made = _step(choice, pick, a, b)
            if made is not None:
                pool.append(made)
        outs.extend(pool[2:])
        return [o for i, o in enumerate(outs) if picks[i % 60] & 3 or i == len(outs) - 1], pool[0]

    return program


def _step(choice: float, pick: int, a, b):
    same = a.shape == b.shape
    if choice < 0.25:
        other = b if same else 0.5
        return (a + other, a * other, a - other, mezzo.maximum(a, a * 0.5))[pick % 4]
    if choice < 0.45:
        return (a.relu(), a.tanh(), a.abs(), -a, a.sigmoid(), a.clamp(-1, 1))[pick % 6]
    if choice < 0.55:
        return a.to((mezzo.bfloat16, mezzo.float32, mezzo.float16)[pick % 3])
    if choice < 0.65:
        return a.t() if a.ndim == 2 else a * 2
    if choice < 0.75:
        a.add_(b if same else 1.0) if a is not b else a.mul_(0.5)
        return None
    if choice < 0.82:
        a[0].mul_(0.5)
        return None
    if choice < 0.92:
        return a.sum(pick % 2) if a.ndim == 2 else a.cumsum(0)
    return a.float() @ a.float().t() if a.ndim == 2 else a.square()


def _inputs(seed: int):
    numbers = np.random.default_rng(seed)
    return [mezzo.from_numpy(numbers.normal(size=(6, 8)).astype(np.float32)) for _ in range(2)]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Small tensors are worth every pass here."""
    use_from(monkeypatch, 1)


def use_from(monkeypatch, size: int) -> None:
    """Let the passes that leave small tensors alone begin at this size."""
    for name in ("raise_loops", "fuse_epilogues"):
        monkeypatch.setattr(sys.modules[f"mezzo.compiler.passes.{name}"], "LARGE", size)


@pytest.mark.parametrize("smallest", [4096, 1])
@pytest.mark.parametrize("seed", SEEDS)
def test_random_programs_give_the_same_bits(seed, smallest, monkeypatch):
    """smallest: the size from which loops rise beside each other, and end products."""
    use_from(monkeypatch, smallest)
    program = random_program(seed)
    want, base = program(*_inputs(seed))
    compiled = mezzo.compile(program, fullgraph=True)
    for _ in range(2):  # traced, and replayed
        got, first = compiled(*_inputs(seed))
        assert len(got) == len(want)
        for a, b in zip([*got, first], [*want, base]):
            assert a.dtype is b.dtype and a.shape == b.shape
            np.testing.assert_array_equal(a.float().numpy(), b.float().numpy())


def names(function, *args) -> list[str]:
    """The calls that are left of a function after all passes."""
    return [n.record.name for n in explain(function)(*args).variant.graph.nodes]


X, Y = mezzo.linspace(-2, 2, 12).reshape(3, 4), mezzo.linspace(1, 3, 12).reshape(3, 4)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x, y: (x + y).relu() * 2, ["add_relu_mul"]),
        (lambda x, y: (x * 1.0, y - 0.0), ["cast", "cast"]),
        (lambda x, y: x + 0.0, ["add"]),  # -0 + 0 is 0: not a copy
        (lambda x, y: (x.sin() + y, x.sin() * y), ["sin_add_mul"]),
        (lambda x, y: (x @ y.t()).relu(), ["product_relu"]),
        (lambda x, y: ((x - y) ** 2).sum(1), ["sub_pow_sum"]),
        (lambda x, y: mezzo.ones(3, 4) * 3 + mezzo.ones(4), ["fill_new"]),
        (lambda x, y: x.bfloat16().float().bfloat16(), ["cast"]),
        (lambda x, y: (x.exp(), (x.log(), y)[1]), ["exp"]),
    ],
)
def test_what_is_left(function, left):
    assert names(function, X, Y) == left
    with mezzo.no_grad():
        want, got = function(X, Y), mezzo.compile(function)(X, Y)
    for a, b in zip(*[v if isinstance(v, tuple) else (v,) for v in (got, want)]):
        np.testing.assert_array_equal(a.float().numpy(), b.float().numpy())


def test_narrowing_is_not_undone():
    back = lambda x: x.bfloat16().float()
    want = X.bfloat16().float()
    np.testing.assert_array_equal(mezzo.compile(back)(X).numpy(), want.numpy())
    assert not np.array_equal(want.numpy(), X.numpy())


def test_reads_between_writes_see_what_was_there():
    def program(x):
        y = x * 2
        before = y + 1
        y.add_(5)
        part = y[1] * 3
        y.mul_(2)
        return before, part, y

    for a, b in zip(mezzo.compile(program)(X), program(X)):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(
    ("between", "left"),
    [
        (lambda x, w: None, ["sin_cos", "product"]),
        (lambda x, w: w.add_(1), ["sin_cos", "product", "add"]),
        (lambda x, w: x.add_(1), ["sin", "product", "add_cos"]),  # cos is of another x
    ],
)
def test_loops_on_one_operand_rise_beside_each_other(between, left):
    def program(x, w):
        product = x.sin() @ w
        between(x, w)
        return product, x.cos()

    given = mezzo.randn(64, 64), mezzo.randn(64, 64)
    assert names(program, *[t.clone() for t in given]) == left
    want, got = program(*[t.clone() for t in given]), mezzo.compile(program)(*given)
    for a, b in zip(got, want):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


PARTS = [mezzo.randn(4, 1, 6, generator=mezzo.Generator().manual_seed(i)) for i in range(3)]


@pytest.mark.parametrize(
    ("turned", "is_direct"),
    [
        (lambda a, b, c: mezzo.stack((a, b, c), 0).permute(1, 2, 0, 3).reshape(4, -1), True),
        (lambda a, b, c: mezzo.stack((a, b, c), -1).permute(3, 0, 2, 1).contiguous(), True),
        (lambda a, b, c: mezzo.stack((a, b), 2).transpose(0, 3).contiguous().bfloat16(), True),
        (lambda a, b, c: mezzo.stack((a,), 1).permute(3, 1, 2, 0).contiguous(), True),
        (lambda a, b, c: mezzo.stack((a, b.double()), 0).permute(3, 1, 2, 0).contiguous(), False),
        (lambda a, b, c: mezzo.stack((a, b, c), 0)[:2].permute(1, 2, 0, 3).contiguous(), False),
        (lambda a, b, c: mezzo.stack((a, b, c)).view(3, 4, 6).transpose(0, 1).contiguous(), True),
        (lambda a, b, c: mezzo.stack((a, b, c)).view(12, 6).t().contiguous(), False),
    ],
)
def test_stacks_that_are_turned_are_written_in_place(turned, is_direct):
    assert ("stack" not in names(turned, *PARTS)) is is_direct
    got, want = mezzo.compile(turned)(*PARTS), turned(*PARTS)
    assert got.dtype is want.dtype and got.stride() == want.stride()
    np.testing.assert_array_equal(got.float().numpy(), want.float().numpy())


def test_stacks_that_others_read_stay():
    def program(a, b, c):
        stacked = mezzo.stack((a, b, c))
        return stacked.permute(1, 2, 0, 3).contiguous(), stacked.sum(0)

    assert "stack" in names(program, *PARTS)
    for a, b in zip(mezzo.compile(program)(*PARTS), program(*PARTS)):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x, w: F.layer_norm(x, (4,), w).bfloat16(), ["norm_rows_cast"]),
        (lambda x, w: F.softmax(x, -1).half() * 2, ["softmax_of", "cast_mul"]),
        (
            lambda x, w: F.softmax(x, 0).half().t() @ w.half(),
            ["softmax_of_cast", "cast", "product"],
        ),
        (lambda x, w: (F.layer_norm(x, (4,), w),) * 2, ["norm_rows"]),
        (lambda x, w: [(y := F.rms_norm(x, (4,))), y.bfloat16()], ["norm_rows", "cast"]),
        (lambda x, w: F.layer_norm(x.half(), (4,)).float(), ["cast", "norm_rows", "cast"]),
        (lambda x, w: F.layer_norm(x, (4,)).double(), ["norm_rows", "cast"]),
    ],
)
def test_row_operations_store_what_they_are_cast_to(function, left):
    x, w = X.reshape(3, 4) / 3, mezzo.linspace(0.1, 2, 4)
    w = w if "norm" in left[0] else mezzo.ones(3, 4) * w
    assert names(function, x, w) == left
    for a, b in zip(mezzo.compile(function)(x, w), function(x, w)):
        assert a.dtype is b.dtype
        np.testing.assert_array_equal(a.float().numpy(), b.float().numpy())


def test_cheap_values_are_made_again_where_that_saves_memory():
    big = mezzo.ones(512, 512)

    def program(x):
        early = x.exp()
        y = early.sum()
        z = x
        for _ in range(30):
            z = z @ x * (1 / 512)
        return z * early + y

    with_it = explain(program)(big)
    assert any(name.startswith("exp") for name in names(program, big)[5:])
    plain = next(p for p in with_it.variant.passes if p[0] == "trace")[2]
    assert len(with_it.variant.graph.nodes) <= len(plain.nodes)
    np.testing.assert_array_equal(with_it.result.numpy(), program(big).numpy())


def test_max_autotune_measures_once_and_touches_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("MEZZO_CACHE_DIR", str(tmp_path))
    weight = mezzo.ones(4, requires_grad=True)
    optimizer = mezzo.optim.SGD([weight], lr=0.5)

    def step(x):
        optimizer.zero_grad()
        loss = ((x * weight).tanh() ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    timed = []
    seconds = tune.seconds
    monkeypatch.setattr(tune, "SECONDS", 0.001)
    monkeypatch.setattr(tune, "seconds", lambda p: timed.append(p) or seconds(p))
    state = mezzo.get_rng_state() if hasattr(mezzo, "get_rng_state") else None
    x = mezzo.ones(4) * 0.3
    loss = mezzo.compile(step, mode="max-autotune")(x).item()
    eager = ((x * 1.0).tanh() ** 2).sum().item()
    assert loss == pytest.approx(eager, rel=1e-6)
    count = len(timed)
    mezzo.compile(step, mode="max-autotune")(x)
    assert len(timed) == count
    if state is not None:
        assert state.tolist() == mezzo.get_rng_state().tolist()


def test_passes_keep_a_traced_graph_whole():
    for seed in range(5):
        traced = trace(lambda x, y, p=random_program(seed): p(x, y)[1], *_inputs(seed))
        traced.graph.verify()
        np.testing.assert_array_equal(
            traced(*_inputs(seed)).numpy(), random_program(seed)(*_inputs(seed))[1].numpy()
        )
