"""choose_layout: chains of images with channels innermost, equal to eager code but for the order of sums."""

from __future__ import annotations

import pytest

import mezzo
from mezzo import nn
from mezzo.compiler import explain, passes, trace, tune
from mezzo.compiler.passes.choose_layout import choose_layout
from mezzo.nn import functional as F
from mezzo.testing import assert_close

IMAGES = (2, 4, 10, 12)


@pytest.fixture
def images():
    mezzo.manual_seed(0)
    return mezzo.randn(*IMAGES)


@pytest.fixture
def only_layouts(monkeypatch):
    """mode="max-autotune" finds that the recipe with layouts is the fastest."""
    monkeypatch.setattr(tune, "_chosen", lambda graph: "layouts")


def network() -> nn.Module:
    mezzo.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.GELU(), nn.Conv2d(8, 6, 1, stride=2), nn.Sigmoid(),
        nn.ConvTranspose2d(6, 4, 2, stride=2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip


def copies(graph) -> list[str]:
    return [n.outs[0].buffer.name for n in graph.nodes if n.record.name == "cast"]


def test_a_chain_is_copied_once_at_each_end(images):
    first, second = nn.Conv2d(4, 8, 3), nn.Conv2d(8, 6, 3)

    def chain(x):
        return second((first(x) * 2).relu())

    graph = trace(chain, images).graph
    turned = choose_layout(graph)
    turned.verify()
    assert copies(graph) == [] and len(copies(turned)) == 2
    made = [(n.record.name, n.outs[0].layout) for n in turned.nodes]
    assert [name for name, layout in made if layout.strides[1] == 1] == [
        "cast", "convolve", "mul", "relu",
    ]  # fmt: skip
    (result,) = [r for n in turned.nodes for r in n.outs if r.buffer in turned.kept]
    assert result.layout.is_contiguous


def test_images_that_others_see_keep_their_layout(images):
    """A view, a write in place, and what is returned."""
    conv = nn.Conv2d(4, 8, 3)

    def seen(x):
        a = conv(x)
        b = conv(x * 2)
        b[:, 1] = 0
        c = conv(x * 3)
        return a, b.sum(), c.view(2, -1) * 2

    graph = choose_layout(trace(seen, images).graph)
    graph.verify()
    rows = {n.outs[0].buffer.name for n in graph.nodes if n.record.name == "convolve"}
    outs = [r for n in graph.nodes for r in n.outs if r.buffer.name in rows]
    assert len(outs) == 3 and all(r.layout.is_contiguous for r in outs)


def test_graphs_without_convolutions_stay_as_they_are(images):
    graph = trace(lambda x: F.max_pool2d(x.relu(), 2), images).graph
    assert choose_layout(graph) is graph


def test_inference_is_eager_inference(images, only_layouts):
    model = network().eval()
    with mezzo.no_grad():
        want = model(images)
        got = mezzo.compile(model, mode="max-autotune")(images)
    assert_close(got, want)
    assert got.stride() == want.stride()


@pytest.mark.parametrize("dtype", [mezzo.float32, mezzo.bfloat16])
def test_training_step_is_the_eager_one(images, only_layouts, dtype):
    def trained(compiles: bool):
        model = network()
        optimizer = mezzo.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x):
            optimizer.zero_grad()
            with mezzo.autocast("cpu", dtype=dtype, enabled=dtype is mezzo.bfloat16):
                loss = model(x).float().square().sum()
            loss.backward()
            optimizer.step()
            return loss

        run = mezzo.compile(step, mode="max-autotune") if compiles else step
        losses = [run(images) for _ in range(2)]
        return losses, dict(model.named_parameters()), dict(model.named_buffers())

    eager, compiled = trained(False), trained(True)
    # The order of sums differs: by roundings of the dtype that the convolutions store.
    rtol = 64 * mezzo.finfo(dtype).eps
    for a, b in zip(compiled[0], eager[0]):
        assert_close(a, b, rtol=rtol, atol=0.0)
    for have, want in zip(compiled[1:], eager[1:]):
        assert have.keys() == want.keys()
        for name, value in want.items():
            assert have[name].stride() == value.stride()
            scale = max(float(value.abs().max()), 1e-3)
            assert_close(have[name], value, rtol=0.0, atol=rtol * scale)


def test_it_is_told_and_only_tried_where_asked(images, only_layouts):
    model = network().eval()
    with mezzo.no_grad():
        plain = repr(explain(model)(images))
        tuned = repr(explain(mezzo.compile(model, mode="max-autotune"))(images))
    assert "choose_layout" not in plain
    assert "after choose_layout" in tuned and "a0_last" in tuned
    assert choose_layout in passes.INEXACT


def test_the_faster_layout_is_kept(images, monkeypatch, tmp_path):
    """The recipe whose program takes the least time on this machine is the one that runs."""
    monkeypatch.setenv("MEZZO_CACHE_DIR", str(tmp_path))
    model = network().eval()
    for best in (True, False):

        def seconds(program, best=best):
            return float(("last" in repr(program.graph)) is not best)

        monkeypatch.setattr(tune, "seconds", seconds)
        monkeypatch.setenv("MEZZO_CACHE_DIR", str(tmp_path / str(best)))
        with mezzo.no_grad():
            told = repr(explain(mezzo.compile(model, mode="max-autotune"))(images))
        assert ("after choose_layout" in told) is best
