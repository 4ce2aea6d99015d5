"""Autocast and GradScaler inside and around compiled functions: the casts are those of eager, operation by operation."""

from __future__ import annotations

import copy

import pytest
from compiling import same

import mezzo
from mezzo import nn
from mezzo.compiler.trace import Tracer
from mezzo.core.record import update_bound
from mezzo.core.state import STATE
from mezzo.func import trees
from mezzo.nn import functional as F

DTYPES = [mezzo.bfloat16, mezzo.float16]


@pytest.fixture(autouse=True)
def _seed():
    mezzo.manual_seed(0)


class Recorder:
    """Notes each primitive call (of what writes into views, the calls that it is made of): name, dtypes in, dtypes out."""

    rank = -1

    def __init__(self):
        self.calls: list[tuple] = []

    def __enter__(self):
        STATE.push(self)
        return self

    def __exit__(self, *exception):
        STATE.stack.remove(self)

    def process(self, record, args):
        if record.is_composite or record.family == "scatter":
            STATE.stack.append(self)
            try:
                return record.run(args)
            finally:
                STATE.stack.remove(self)
        result = record.apply(args)
        if record.family not in ("view", "views"):
            self.calls.append((record.name, _dtypes(args), _dtypes(result)))
        return result

    def process_update(self, record, target, args):
        self.calls.append((record.name, _dtypes(args), ()))
        return update_bound(record, args)

    def read(self, tensor, operation):
        return tensor


def _dtypes(values) -> tuple:
    return tuple([v.dtype.name for v in trees.leaves(values) if isinstance(v, mezzo.Tensor)])


def _of_node(node) -> tuple:
    dtypes = [tuple([r.layout.dtype.name for r in part]) for part in (node.reads(), node.outs)]
    return (node.record.name, *dtypes)


class Mixed(nn.Module):
    """Operations of every autocast class."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 4)
        self.norm, self.conv = nn.LayerNorm(8), nn.Conv1d(1, 2, 3, padding=1)

    def forward(self, x):
        h = F.gelu(self.first(x))
        h = self.norm(h) + self.conv(h.unsqueeze(1)).sum(1)
        h = mezzo.cat([h[:, :4], mezzo.exp(h[:, 4:] * 0.1)], 1)
        attention = (h @ h.T).softmax(-1)
        with mezzo.autocast("cpu", enabled=False):
            h = h.float() * 2
        return self.last(attention @ h)


def training(model, x, y):
    with mezzo.autocast("cpu"):
        loss = F.cross_entropy(model(x), y)
    loss.backward()
    return loss


def test_each_operation_has_the_dtypes_of_eager():
    model, x, y = Mixed(), mezzo.randn(5, 8), mezzo.randint(0, 4, (5,))
    eager = copy.deepcopy(model)
    with Recorder() as recorder:
        training(eager, x, y)
    tracer = Tracer()
    with tracer:
        given = [tracer.argument(v) for v in (x, y)]
        training(model, *given)
    found = [_of_node(n) for n in tracer.nodes]
    assert found == recorder.calls
    names = {name for name, *_ in found}
    used = {dtype for _, *parts in found for part in parts for dtype in part}
    assert {"cast", "product"} <= names and {"bfloat16", "float32"} <= used


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_values_and_gradients(dtype):
    model = Mixed()
    compiled = mezzo.compile(copy.deepcopy(model))
    for _ in range(3):
        x = mezzo.randn(5, 8)
        outs = []
        for module in (compiled, model):
            module.zero_grad()
            with mezzo.autocast("cpu", dtype=dtype):
                outs.append(module(x))
            outs[-1].float().pow(2).sum().backward()
        same(*outs)
        assert outs[0].dtype is dtype
        for p, q in zip(compiled.parameters(), model.parameters()):
            assert p.grad.dtype is mezzo.float32
            mezzo.testing.assert_close(p.grad, q.grad)
    assert compiled._compiled.traces == 1


def test_the_state_of_autocast_is_part_of_a_trace():
    linear = nn.Linear(4, 4)
    compiled = mezzo.compile(lambda x: linear(x))
    x = mezzo.randn(2, 4)
    for _ in range(2):
        assert compiled(x).dtype is mezzo.float32
        for dtype in DTYPES:
            with mezzo.autocast("cpu", dtype=dtype):
                found = compiled(x)
                same(found, linear(x))
                assert found.dtype is dtype
                with mezzo.autocast("cpu", enabled=False):
                    assert compiled(x).dtype is mezzo.float32
    assert compiled.traces <= 5


def test_a_region_inside():
    model = nn.Linear(4, 4)

    def function(x):
        with mezzo.autocast("cpu", dtype=mezzo.bfloat16):
            y = model(x)
        return y, model(x)

    compiled = mezzo.compile(function)
    for _ in range(2):
        x = mezzo.randn(2, 4)
        low, full = compiled(x)
        assert low.dtype is mezzo.bfloat16 and full.dtype is mezzo.float32
        same(low, function(x)[0])
        same(full, function(x)[1])


def test_weights_cast_inside_are_not_kept_for_eager():
    """A trace's casts of weights are not real: the region's cache must not have them afterwards."""
    linear = nn.Linear(4, 4)
    compiled = mezzo.compile(lambda x: linear(x))
    x = mezzo.randn(2, 4)
    with mezzo.autocast("cpu"):
        same(compiled(x), linear(x))
        with mezzo.no_grad():
            linear.weight.mul_(2)
        same(compiled(x), linear(x))


def test_autocast_as_a_decorator():
    linear = nn.Linear(4, 4)

    @mezzo.compile
    @mezzo.autocast("cpu", dtype=mezzo.bfloat16)
    def function(x):
        return linear(x)

    for _ in range(2):
        assert function(mezzo.ones(1, 4)).dtype is mezzo.bfloat16


def _step(model, optimizer, scaler):
    def step(x, y):
        optimizer.zero_grad()
        with mezzo.autocast("cpu", dtype=mezzo.float16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss

    return step


def test_scaled_steps_skip_as_eager_ones_do():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    sides = []
    for compiles in (True, False):
        own = copy.deepcopy(model)
        optimizer = mezzo.optim.AdamW(own.parameters(), lr=0.01)
        scaler = mezzo.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
        step = _step(own, optimizer, scaler)
        sides.append((own, optimizer, scaler, mezzo.compile(step) if compiles else step))
    for i in range(10):
        x, y = mezzo.randn(6, 8), mezzo.randint(0, 4, (6,))
        x = x * 1e6 if i in (3, 4) else x
        (a, oa, sa, fa), (b, ob, sb, fb) = sides
        found, expected = fa(x, y), fb(x, y)
        if i not in (3, 4):
            mezzo.testing.assert_close(found, expected)
        assert sa.get_scale() == sb.get_scale(), i
        for p, q in zip(a.parameters(), b.parameters()):
            mezzo.testing.assert_close(p, q)
            assert oa.state[p]["step"] == ob.state[q]["step"]
    assert sides[0][3].traces <= 2 and not sides[0][3].splits
