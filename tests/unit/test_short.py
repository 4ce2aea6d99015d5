"""The short way of calls made before: every promise of the usual way, at the third call of a kind."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch

import mezzo
from mezzo.core.short import learn, native, offers
from mezzo.core.short import words as w
from mezzo.kernels.cpu import capture, memory

F, TF = mezzo.nn.functional, torch.nn.functional


def _values(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def _pair(*shape, seed=0, grad=False):
    values = _values(*shape, seed=seed)
    ours, theirs = mezzo.tensor(values), torch.tensor(values)
    return ours.requires_grad_(grad), theirs.requires_grad_(grad)


def _hits(way: str | object) -> int:
    short = vars(mezzo.Tensor)[way] if isinstance(way, str) else way.short
    return native.field(short, w.HITS).value


def _taken(way: str | object) -> list[int]:
    """For each entry of a method or record whether calls may take it."""
    short = vars(mezzo.Tensor)[way] if isinstance(way, str) else way.short
    return [
        e.words[w.TAKEN] for found in offers._ways if found.short is short for e in found.entries
    ]


CALLS = {
    "a + b": lambda t, f, x, y: x + y,
    "2 * x": lambda t, f, x, y: 2 * x,
    "x * 0.37": lambda t, f, x, y: x * 0.37,
    "0.37 - x": lambda t, f, x, y: 0.37 - x,
    "add alpha": lambda t, f, x, y: t.add(x, y, alpha=2.5),
    "relu": lambda t, f, x, y: f.relu(x),
    "gelu tanh": lambda t, f, x, y: f.gelu(x, approximate="tanh"),
    "sum": lambda t, f, x, y: x.sum(),
    "mean of axis": lambda t, f, x, y: x.mean(-1, keepdim=True),
    "max with indices": lambda t, f, x, y: x.max(1)[0],
    "softmax": lambda t, f, x, y: f.softmax(x, dim=-1),
    "layer_norm": lambda t, f, x, y: f.layer_norm(x, (6,), y[0], y[1], 1e-5),
    "matmul": lambda t, f, x, y: x @ y.transpose(0, 1),
    "linear": lambda t, f, x, y: f.linear(x, y, y[:, 0]),
    "x[1]": lambda t, f, x, y: x[1],
    "slices": lambda t, f, x, y: x[:, 1:5:2],
    "None and ellipsis": lambda t, f, x, y: x[..., None, 2],
    "reshape": lambda t, f, x, y: x.reshape(3, -1),
    "view of a view": lambda t, f, x, y: x.t()[1],
    "split": lambda t, f, x, y: x.split(2, 1)[1],
    "cat": lambda t, f, x, y: t.cat((x, y), 0),
    "stack of itself": lambda t, f, x, y: t.stack([x, x]),
    "index tensor": lambda t, f, x, y: x[t.tensor([0, 2])],
    "embedding": lambda t, f, x, y: f.embedding(t.tensor([1, 0, 2]), x),
    "cross_entropy": lambda t, f, x, y: f.cross_entropy(x, t.tensor([0, 5, 1, 2])),
    "mse_loss": lambda t, f, x, y: f.mse_loss(x, y),
    "where": lambda t, f, x, y: t.where(x > 0, x, y),
    "clamp": lambda t, f, x, y: x.clamp(-0.5, 0.5),
    "to double": lambda t, f, x, y: x.to(t.float64),
    "conv1d": lambda t, f, x, y: f.conv1d(x[None], y[:, :4, None], padding=1),
    "contiguous": lambda t, f, x, y: x.contiguous(),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("grad", [False, True])
def test_as_in_pytorch_at_every_turn(name, grad):
    call = CALLS[name]
    for turn in range(4):
        (x, tx), (y, ty) = _pair(4, 6, seed=turn, grad=grad), _pair(4, 6, seed=turn + 9)
        ours, theirs = call(mezzo, F, x, y), call(torch, TF, tx, ty)
        assert tuple(ours.shape) == tuple(theirs.shape) and ours.stride() == theirs.stride()
        assert ours.requires_grad == theirs.requires_grad
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=2e-5, atol=2e-6)  # fmt: skip
        if grad and ours.requires_grad:
            assert ours.is_leaf == theirs.is_leaf
            (ours * ours).sum().backward()
            (theirs * theirs).sum().backward()
            np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_the_third_call_is_native():
    x, y = mezzo.ones(3, 17), mezzo.ones(3, 17)
    before = _hits("__add__")
    for _ in range(5):
        x + y
    assert _hits("__add__") == before + 3 and 1 in _taken("__add__")


def test_numbers_that_change_share_an_entry():
    x = mezzo.ones(19)
    for i in range(3):
        x * (0.1 + i)
    count = len(_taken("__mul__"))
    for i in range(50):
        np.testing.assert_allclose((x * (1.5 + i)).numpy(), np.full(19, 1.5 + i, "f4"))
    assert len(_taken("__mul__")) == count
    for power, expected in (
        (2.0, 9.0),
        (3.0, 27.0),
        (0.5, 3.0**0.5),
    ) * 3:  # some are kernels of their own
        np.testing.assert_allclose((x * 3.0).pow(power).numpy(), np.full(19, expected), rtol=1e-6)


def test_what_reads_values_keeps_its_usual_way():
    for n in (3, 1, 2, 0):
        x = mezzo.tensor([1.0] * n + [0.0] * (3 - n))
        assert tuple(x[x > 0].shape) == (n,) and tuple(x.nonzero().shape) == (n, 1)
    for _ in range(4):
        a, b = mezzo.tensor([6, 8]), mezzo.tensor([2, 4])
        assert (a // b).tolist() == [3, 2]
        with pytest.raises(RuntimeError, match="ZeroDivision|zero"):
            a // mezzo.tensor([1, 0])


def test_random_numbers_are_drawn_every_time():
    x = mezzo.ones(64)
    drawn = [F.dropout(x, 0.5, True).tolist() for _ in range(6)]
    assert len({tuple(d) for d in drawn}) == 6
    assert len({tuple(mezzo.rand_like(x).tolist()) for _ in range(6)}) == 6
    own = mezzo.Generator()
    for _ in range(4):
        mezzo.manual_seed(3)
        own.manual_seed(3)
        mine = [mezzo.randn(5, generator=own).tolist() for _ in range(3)]
        assert [mezzo.randn(5).tolist() for _ in range(3)] == mine
        state = mezzo.get_rng_state()
        after = mezzo.rand(3).tolist()
        mezzo.set_rng_state(state)
        assert mezzo.rand(3).tolist() == after


def test_checks_of_kernels_raise_the_usual_error_and_the_next_call_is_clean():
    table, good = mezzo.ones(5, 3), mezzo.tensor([0, 4])
    for _ in range(4):
        F.embedding(good, table)
    for _ in range(3):
        with pytest.raises(IndexError, match="index 5 is out of bounds"):
            F.embedding(mezzo.tensor([0, 5]), table)
        assert F.embedding(good, table).tolist() == [[1.0] * 3] * 2
    logits = mezzo.zeros(2, 3)
    for target in (1, 1, 1, 7, 1):
        if target == 7:
            with pytest.raises(IndexError, match="Target 7 is out of bounds"):
                F.cross_entropy(logits, mezzo.tensor([0, target]))
        else:
            F.cross_entropy(logits, mezzo.tensor([0, target]))


def test_modes_and_interpreters_have_their_say():
    x, y = mezzo.ones(5, 5, requires_grad=True), mezzo.ones(5, 5)
    for _ in range(4):
        assert (x @ y).requires_grad
        with mezzo.no_grad():
            assert not (x @ y).requires_grad
        with mezzo.inference_mode():
            assert (y @ y).is_inference()
        assert not (y @ y).is_inference()
        with mezzo.autocast("cpu", dtype=mezzo.bfloat16):
            assert (x @ y).dtype is mezzo.bfloat16
        assert (x @ y).dtype is mezzo.float32
        batched = mezzo.vmap(lambda row: row @ y)(y)
        assert tuple(batched.shape) == (5, 5)
        slope = mezzo.func.grad(lambda z: (z @ y).sum())(y)
        assert slope.tolist() == [[5.0] * 5] * 5


def test_settings_drop_entries():
    x = mezzo.arange(3)
    for _ in range(4):
        assert (x / 2).dtype is mezzo.float32 and x.sin().dtype is mezzo.float32
    mezzo.set_default_dtype(mezzo.float64)
    try:
        assert (x / 2).dtype is mezzo.float64 and x.sin().dtype is mezzo.float64
    finally:
        mezzo.set_default_dtype(mezzo.float32)
    assert (x / 2).dtype is mezzo.float32
    for _ in range(4):
        assert mezzo.ones(2).device.type == "cpu" and mezzo.rand(2).dtype is mezzo.float32
        with mezzo.device("meta"):
            assert mezzo.ones(2).device.type == "meta"
            with mezzo.device("cpu"):
                assert mezzo.ones(2).device.type == "cpu"
            assert mezzo.rand(2).device.type == "meta"
        mezzo.set_default_device("meta")
        try:
            assert mezzo.ones(2).device.type == "meta"
            elsewhere: list = []
            thread = threading.Thread(
                target=lambda to: to.extend(mezzo.ones(2) for _ in range(4)), args=(elsewhere,)
            )
            thread.start()
            thread.join()
            assert {t.device.type for t in elsewhere} == {"cpu"}
        finally:
            mezzo.set_default_device(None)
    before = _hits(mezzo.ones)
    assert mezzo.ones(2).device.type == "cpu" and _hits(mezzo.ones) == before + 1
    mezzo.set_default_dtype(mezzo.float64)
    try:
        assert mezzo.ones(2).dtype is mezzo.float64
    finally:
        mezzo.set_default_dtype(mezzo.float32)


def test_writes_count_and_saved_values_are_guarded():
    x, y = mezzo.ones(4), mezzo.ones(4)
    for turn in range(1, 6):
        x.add_(y)
        x[1] = 7.0
        assert x._version == 2 * turn
    assert x.tolist() == [6.0, 7.0, 6.0, 6.0]
    for _ in range(4):
        w_, b = mezzo.ones(4, requires_grad=True), mezzo.ones(4)
        z = (w_ * b).sum()
        b.add_(1.5)
        with pytest.raises(RuntimeError, match=r"changed by add_ at .*test_short\.py"):
            z.backward()
    whole = mezzo.arange(5).float()
    for _ in range(3):
        whole[1:].add_(whole[:-1])  # of one memory: read first
    assert whole.tolist() == [0.0, 1.0, 5.0, 12.0, 20.0]
    for _ in range(4):
        leaf = mezzo.ones(2, requires_grad=True)
        with pytest.raises(RuntimeError, match="leaf Variable"):
            leaf.mul_(2.0)
        root = mezzo.ones(2, 2, requires_grad=True) * 1.0
        root[0].mul_(3.0)
        (slope,) = mezzo.autograd.grad(root.sum(), root)
        assert slope.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    with mezzo.inference_mode():
        frozen = mezzo.ones(3)
        for _ in range(4):
            frozen.add_(1.0)
        assert frozen.tolist() == [5.0] * 3
    for _ in range(3):
        with pytest.raises(RuntimeError, match="inference tensor"):
            frozen.add_(1.0)


def test_memory_is_counted_and_given_back():
    x, y = mezzo.ones(64, 64), mezzo.ones(64, 64)
    for _ in range(4):
        z = x @ y
    del z
    gc.collect()  # what other tests left
    before = memory.memory_allocated()
    kept = [x @ y for _ in range(10)]
    assert memory.memory_allocated() == before + 10 * 64 * 64 * 4
    memory.reset_peak_memory_stats()
    x @ y
    assert memory.max_memory_allocated() >= before + 11 * 64 * 64 * 4
    kept.clear()
    assert memory.memory_allocated() == before


def test_ever_changing_calls_do_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(offers, "ENTRIES", 16)
    for n in range(1, 200):
        for _ in range(3):
            mezzo.ones(n).neg()
    assert len(_taken(mezzo.neg)) <= 17
    assert mezzo.ones(3).neg().tolist() == [-1.0] * 3


def test_warnings_name_the_users_line():
    for _ in range(4):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            F.mse_loss(mezzo.ones(2, 3), mezzo.ones(1, 3))
        assert len(caught) == 1 and caught[0].filename == __file__


def test_what_an_entry_cannot_hold_is_refused():
    key = np.array([1, 2], np.int64).tobytes()
    plain = learn.learn(lambda x: x + 1, key, (mezzo.ones(2),), {}, {})
    assert plain.words[w.TAKEN] == 1 and plain.words[w.CALLS] == 1
    for call in (
        lambda x: x.item(), lambda x: x.tolist(), lambda x: x.numpy(), lambda x: x.requires_grad, lambda x: 3,
        lambda x: mezzo.rand(2, generator=mezzo.Generator()), lambda x: mezzo.from_numpy(np.ones(2, "f4")) + x, lambda x: x.data_ptr(),
        lambda x: [x + 1], lambda x: x.storage_offset(), lambda x: x.to("meta"), lambda x: x.resize_(1),
    ):  # fmt: skip
        assert learn.learn(call, key, (mezzo.ones(2),), {}, {}).words[w.TAKEN] == 0
    assert capture.active() is None


def test_a_layout_is_not_a_tensor_of_that_layout():
    """Rules of derivatives get the layouts of what was not kept."""
    (rule,) = mezzo.sum.quick_vjps.values()
    x, g = mezzo.ones(2, 3), mezzo.tensor(2.0)
    for _ in range(3):
        assert rule(g, None, x.layout, None, False, None).tolist() == [[2.0] * 3] * 2
        assert rule(g, None, x, None, False, None).tolist() == [[2.0] * 3] * 2
    a = mezzo.ones(2, 3, requires_grad=True)
    for wants in (True, False) * 4:  # the other operand is kept only where its gradient is wanted
        b = mezzo.full((2, 3), 3.0, requires_grad=wants)
        slopes = mezzo.autograd.grad((a * b).sum(), (a, b) if wants else (a,))
        assert [s.tolist()[0] for s in slopes] == [[3.0] * 3, [1.0] * 3][: len(slopes)]


def test_a_method_is_what_it_was_to_those_who_ask():
    mezzo.ones(2) + mezzo.ones(2)
    assert mezzo.Tensor.add is mezzo.add and mezzo.Tensor.add_.__name__ == "add_"
    bound = mezzo.ones(2).add
    assert bound(1).tolist() == [2.0, 2.0] and bound.__func__ is mezzo.add
    with pytest.raises(TypeError, match="add: missing required argument 'other'"):
        mezzo.ones(2).add()
    with pytest.raises(TypeError, match="unexpected keyword"):
        mezzo.ones(2).add(1, what=2)
    assert mezzo.ones(2).__add__("x") is NotImplemented


def test_threads_share_entries():
    interval, wrong = sys.getswitchinterval(), []
    sys.setswitchinterval(1e-6)

    def work(k):
        x = mezzo.full((3, 5), float(k))
        for i in range(400):
            y = (x + x) * 2.0
            z = mezzo.ones(k + 2 + i // 50) + 1.0
            if y.sum().item() != 60.0 * k or z[0].item() != 2.0:
                wrong.append((k, i))

    try:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


@pytest.mark.parametrize("setting", ["MEZZO_GUARD=1", "MEZZO_ENTRY=ctypes"])
def test_guarded_memory_and_plain_python(setting):
    program = (
        "import mezzo\nx, y = mezzo.ones(5, 7), mezzo.ones(7, 3)\n"
        "for _ in range(5):\n    z = (x @ y + 1.0).softmax(-1)[1:]\n    z.add_(1.0)\nprint(z.sum().item())"
    )
    name, _, value = setting.partition("=")
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, env={**__import__("os").environ, name: value},
    )  # fmt: skip
    assert float(found.stdout) == pytest.approx(16.0)


def test_history_of_several_nodes_and_hidden_tensors():
    for turn in range(5):
        x, tx = _pair(3, 8, seed=turn, grad=True)
        y, ty = F.avg_pool1d(x[None], 2)[0], TF.avg_pool1d(tx[None], 2)[0]
        y.mul_(2.0)
        ty.mul_(2.0)
        loss, tloss = F.layer_norm(y, (4,)).pow(3.0).sum(), TF.layer_norm(ty, (4,)).pow(3.0).sum()
        (slope,) = mezzo.autograd.grad(loss, x, create_graph=True)
        (tslope,) = torch.autograd.grad(tloss, tx, create_graph=True)
        np.testing.assert_allclose(slope.detach().numpy(), tslope.detach().numpy(), rtol=2e-4, atol=2e-5)  # fmt: skip
        slope.pow(2.0).sum().backward()
        tslope.pow(2.0).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), rtol=2e-3, atol=2e-3)
        top, ttop = x.max(1), tx.max(1)
        assert isinstance(top, mezzo.ops.extremes.ValuesIndices)
        assert top.indices.tolist() == ttop.indices.tolist() and not top.indices.requires_grad
        assert top.values.grad_fn.name().startswith("Max")


def test_hooks_and_saved_values_of_hidden_nodes():
    target, seen = mezzo.tensor([0, 2]), []
    for _ in range(5):
        x = mezzo.ones(2, 3, requires_grad=True)
        scores = x * 2.0
        loss = F.cross_entropy(scores, target)
        (below, _), *_ = loss.grad_fn.next_functions
        below.register_hook(lambda given, got: seen.append(len(given)))
        loss.backward()
        again = F.cross_entropy(x * 2.0, target)
        target.add_(0)
        with pytest.raises(RuntimeError, match=r"changed by add_ at .*test_short\.py"):
            again.backward()
    assert seen == [1] * 5
    for _ in range(4):
        with mezzo.inference_mode():
            frozen = mezzo.ones(3)
        with pytest.raises(RuntimeError, match="inference tensors cannot be saved"):
            mezzo.ones(3, requires_grad=True) * frozen


def test_what_numpy_does_is_a_step_that_may_fail():
    good, bad = mezzo.tensor([[2.0, 0.0], [0.0, 4.0]]), mezzo.zeros(2, 2)
    mezzo.linalg.inv(good)
    before = _hits(mezzo.linalg.inv)
    for _ in range(5):
        assert mezzo.linalg.inv(good).tolist() == [[0.5, 0.0], [0.0, 0.25]]
        assert mezzo.linalg.inv(good.t()[:, :1].expand(2, 2) + mezzo.eye(2)).shape == (2, 2)
        with pytest.raises(RuntimeError, match="singular"):
            mezzo.linalg.inv(bad)
    assert _hits(mezzo.linalg.inv) > before
    gc.collect()
    allocated = memory.memory_allocated()
    for _ in range(3):
        with pytest.raises(RuntimeError, match="singular"):
            mezzo.linalg.inv(bad)
        mezzo.fft.fft(mezzo.ones(4))
    gc.collect()
    assert memory.memory_allocated() == allocated
    for n in (4, 0, 4):
        for _ in range(4):
            assert mezzo.sort(mezzo.ones(2, n)).indices.tolist() == [list(range(n))] * 2


def test_views_follow_their_roots_and_guard_leaves():
    leaf = mezzo.ones(4, requires_grad=True)
    with mezzo.no_grad():
        part = leaf[1:]
        for _ in range(3):
            part.add_(1.0)
    for _ in range(4):  # a view without history, of a leaf
        with pytest.raises(RuntimeError, match="view of a leaf Variable"):
            part.add_(1.0)
    free = mezzo.ones(4)[1:]
    for _ in range(4):
        free.add_(1.0)
    for turn in range(5):
        root, scale = mezzo.zeros(2, 3), mezzo.ones(3, requires_grad=True)
        row = root[0]
        assert not (row * 2.0).requires_grad
        root[0].copy_(scale * (turn + 1.0))
        doubled = row * 2.0  # the view has the history of what was written into its root
        assert doubled.requires_grad
        (slope,) = mezzo.autograd.grad(doubled.sum(), scale)
        assert slope.tolist() == [2.0 * (turn + 1)] * 3


def test_running_statistics_are_written_beside_a_history():
    ours, theirs = mezzo.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    start = ours.running_mean._version
    for turn in range(5):
        x, tx = _pair(6, 3, seed=turn, grad=True)
        y, ty = ours(x), theirs(tx)
        assert [ours.running_mean._version, ours.running_var._version] == [start + turn + 1] * 2
        np.testing.assert_allclose(y.detach().numpy(), ty.detach().numpy(), rtol=2e-4, atol=2e-5)
        (y * y * y).sum().backward()
        (ty * ty * ty).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), rtol=2e-3, atol=2e-3)
        for name in ("running_mean", "running_var"):
            np.testing.assert_allclose(getattr(ours, name).numpy(), getattr(theirs, name).numpy(), rtol=2e-5, atol=1e-6)  # fmt: skip
    shared = mezzo.zeros(3)
    for _ in range(4):  # what is written is an operand too: read before, as the usual way does
        shared.zero_()
        F.batch_norm(mezzo.ones(4, 3), shared, mezzo.ones(3), None, shared, True, 0.5)
        assert shared.tolist() == [0.5] * 3


def test_constants_of_a_call_are_its_entrys():
    x = mezzo.tensor([[1.0, 2.0, 3.0]])
    key = np.array([1, 2], np.int64).tobytes()
    call = lambda x: x * mezzo.tensor([1.0, 0.5, 2.0])
    assert learn.learn(call, key, (x,), {}, {}).words[w.TAKEN] == 1
    mezzo.cross(x, x, 1)
    before = _hits(mezzo.cross)
    for turn in range(6):
        y = mezzo.tensor([[0.0, 1.0, float(turn)]])
        found = mezzo.cross(x, y, 1)
        assert found.tolist() == [[2.0 * turn - 3.0, -float(turn), 1.0]]
    assert _hits(mezzo.cross) >= before + 4


def test_entries_may_be_dropped_while_calls_run():
    interval, wrong, over = sys.getswitchinterval(), [], []
    sys.setswitchinterval(1e-6)
    square, target = mezzo.eye(3) * 2.0, mezzo.tensor([0, 1, 2, 3])
    expected = mezzo.fft.fft(square).imag.sum().item()

    def work():
        logits = mezzo.zeros(4, 8, requires_grad=True)
        for _ in range(100):
            halved = mezzo.linalg.inv(square)[
                0, 0
            ].item()  # a step of NumPy's: others run meanwhile
            found = mezzo.fft.fft(square).imag.sum().item()
            (slope,) = mezzo.autograd.grad(F.cross_entropy(logits, target), logits)
            if (halved, found, slope[0, 0].item()) != (0.5, expected, -0.21875):
                wrong.append((halved, found, slope[0, 0].item()))
        over.append(True)

    try:
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        while len(over) < 3 and any(thread.is_alive() for thread in threads):
            offers.forget()
            time.sleep(1e-4)
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong and len(over) == 3
