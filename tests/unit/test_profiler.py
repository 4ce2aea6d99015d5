"""Profiles: which calls they hold, how times add up, schedules; and what measurements say. Nothing asserts a speed."""

from __future__ import annotations

import json

import pytest
import torch.profiler
import torch.utils.benchmark

import mezzo
from mezzo import nn
from mezzo.profiler import ProfilerActivity, profile, record_function, schedule
from mezzo.utils.benchmark import Compare, Measurement, Timer


def step(layer, x):
    with record_function("forward"):
        loss = layer(x).relu().sum()
    with record_function("backward"):
        loss.backward()


@pytest.fixture
def ran():
    with profile(
        activities=[ProfilerActivity.CPU], record_shapes=True, profile_memory=True, with_stack=True
    ) as prof:
        step(nn.Linear(4, 3), mezzo.ones(2, 4))
        mezzo.ones(2).add_(1)
    return prof


def test_operations_and_ranges(ran):
    averages = {a.key: a for a in ran.key_averages()}
    assert {"linear", "relu", "sum", "add_", "forward", "backward"} <= averages.keys()
    assert averages["forward"].is_user_annotation and not averages["relu"].is_user_annotation
    assert averages["relu"].count == 1
    assert not mezzo.ones(1).sin().requires_grad  # the profile is closed
    assert "sin" not in {e.name for e in ran.events()}


def test_times_add_up(ran):
    """Own times sum to the times of what no other call contains, and none is negative."""
    events = ran.events()
    assert all(0 <= e.inner <= e.end - e.start for e in events)
    outer = [
        e
        for e in events
        if not any(o.start <= e.start and e.end <= o.end and o is not e for o in events)
    ]
    own = sum(e.end - e.start - e.inner for e in events)
    assert own == sum(e.end - e.start for e in outer)
    total = ran.key_averages().total_average()
    assert total.self_cpu_time_total == pytest.approx(own / 1e3)


def test_shapes_memory_and_lines(ran):
    by_shape = {(a.key, str(a.input_shapes)) for a in ran.key_averages(group_by_input_shape=True)}
    assert ("relu", "[[2, 3]]") in by_shape
    made = {a.key: a.cpu_memory_usage for a in ran.key_averages()}
    assert made["relu"] > 0
    lines = [a for a in ran.key_averages(group_by_stack_n=5) if a.key == "relu"]
    assert "test_profiler.py" in lines[0].stack[0]


def test_table(ran):
    text = ran.key_averages().table(sort_by="self_cpu_time_total", row_limit=2)
    assert "Self CPU" in text and "Self CPU time total" in text
    assert len(text.splitlines()) == 7
    with pytest.raises(AttributeError, match="sort_by"):
        ran.key_averages().table(sort_by="beauty")


def test_chrome_trace(ran, tmp_path):
    ran.export_chrome_trace(str(tmp_path / "trace.json"))
    rows = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert len(rows) == len(ran.events()) and all(r["ph"] == "X" and r["dur"] >= 0 for r in rows)


@pytest.mark.parametrize("options", [{"wait": 1, "warmup": 1, "active": 2, "repeat": 1}, {"wait": 0, "warmup": 1, "active": 3, "skip_first": 2},
                                     {"wait": 2, "warmup": 0, "active": 1, "repeat": 2}])  # fmt: skip
def test_schedule_is_pytorchs(options):
    ours, theirs = schedule(**options), torch.profiler.schedule(**options)
    assert [ours(i).name for i in range(15)] == [theirs(i).name for i in range(15)]


def test_scheduled_cycles():
    traces = []
    plan = schedule(wait=1, warmup=1, active=2, repeat=2)
    with profile(
        schedule=plan, on_trace_ready=lambda p: traces.append([e.name for e in p.events()])
    ) as prof:
        for _ in range(10):
            mezzo.ones(3).sin()
            prof.step()
    assert [t.count("sin") for t in traces] == [2, 2]
    assert [t.count("ProfilerStep#2") for t in traces] == [1, 0]


def test_compiled_functions_are_one_event():
    double = mezzo.compile(lambda x: x.sin() * 2)
    x = mezzo.ones(3)
    want = double(x)
    with profile() as prof:
        got = double(x)
    assert mezzo.equal(got, want)
    assert [e.name.split()[0] for e in prof.events()] == ["compiled"]


def test_autocast_decides_before():
    with mezzo.autocast("cpu"), profile() as prof:
        y = nn.Linear(2, 2)(mezzo.ones(1, 2))
    assert y.dtype == mezzo.bfloat16 and prof.events()


def test_ranges_left_by_exceptions_are_closed():
    with profile() as prof:
        with pytest.raises(RuntimeError), record_function("outer"):
            mezzo.ones(2) @ mezzo.ones(3, 3)
        mezzo.ones(2).cos()
    assert {e.name for e in prof.events()} >= {"outer", "matmul", "cos"}
    assert all(e.end >= e.start for e in prof.events())


def test_mistakes():
    with profile(), pytest.raises(RuntimeError, match="another profile is open"):
        profile().start()
    with pytest.raises(NotImplementedError, match="with_flops"):
        profile(with_flops=True)
    with pytest.raises(ValueError, match="active"):
        schedule(wait=0, warmup=0, active=0)


def test_statistics_are_pytorchs():
    times = [0.011, 0.012, 0.0105, 0.02, 0.013]
    theirs = torch.utils.benchmark.Measurement(
        10, list(times), torch.utils.benchmark.TaskSpec("f()", "pass")
    )
    ours = Measurement(10, list(times), "f()", None, None, None, 1)
    for name in ("median", "mean", "iqr", "times"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name)), name


def test_timer():
    seen = []
    threads = mezzo.get_num_threads()
    timer = Timer(
        "f(x)", "x = 3", globals={"f": seen.append}, label="append", sub_label="list", num_threads=2
    )
    found = timer.timeit(50)
    assert len(seen) == 52 and found.number_per_run == 50 and len(found.raw_times) == 1
    assert mezzo.get_num_threads() == threads
    ranged = timer.blocked_autorange(min_run_time=0.01)
    assert sum(ranged.raw_times) >= 0.01 and len({ranged.number_per_run}) == 1
    assert len(timer.adaptive_autorange(max_run_time=0.05).raw_times) >= 4
    assert "append: list" in repr(ranged) and "2 threads" in repr(ranged)


def test_compare():
    def made(row, column, time):
        return Measurement(1, [time] * 3, "f", "add", row, column, 1)

    table = Compare(
        [made("small", "mezzo", 1e-5), made("small", "other", 2e-5), made("large", "mezzo", 3e-4)]
    )
    table.colorize()
    lines = str(table).splitlines()
    assert "add" in lines[0] and "mezzo" in lines[1] and "other" in lines[1]
    assert "10.0 *" in lines[2] and "20.0" in lines[2] and "300.0" in lines[3]
    assert lines[-1] == "Times are in us, medians."
