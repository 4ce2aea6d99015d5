"""Memory planning: no two blocks that live at once share a byte, and what a step keeps is its own."""

from __future__ import annotations

import gc
import random
from types import SimpleNamespace

import pytest
from compiling import same

import mezzo
from mezzo import nn
from mezzo.compiler.plan import Arena
from mezzo.core.holders import holdings
from mezzo.core.storage import PartStorage
from mezzo.kernels.cpu import memory
from mezzo.nn import functional as F


def recording(seed: int):
    """Blocks born and dying at random; some are results, which never die."""
    draw = random.Random(seed)
    events, sizes, alive, results = [], [], [], []
    for _ in range(draw.randrange(5, 120)):
        if alive and draw.random() < 0.5:
            events.append(("free", alive.pop(draw.randrange(len(alive)))))
            continue
        block = len(sizes)
        sizes.append(draw.choice((1, 64, 100, 4096, 10_000)))
        events.append(("new", block))
        if draw.random() < 0.2:
            results.append(block)
        elif draw.random() < 0.9:
            alive.append(block)
        events.append(("call", block, ()))
    return SimpleNamespace(events=events, sizes=sizes), results


@pytest.mark.parametrize("seed", range(40))
def test_no_two_live_blocks_share_a_byte(seed):
    made, results = recording(seed)
    arena = Arena(made, skip=frozenset(results), together=results)
    spaces = {
        "arena": (arena.offsets, arena.nbytes),
        "shared": (arena.shared.offsets, arena.shared.nbytes),
    }
    live: dict[int, tuple] = {}
    for kind, block, *_ in made.events:
        if kind == "new":
            (where,) = [name for name, (offsets, _) in spaces.items() if block in offsets]
            start = spaces[where][0][block]
            end = start + made.sizes[block]
            assert start % 64 == 0 and end <= spaces[where][1]
            for other, low, high in live.values():
                assert other != where or high <= start or end <= low
            live[block] = where, start, end
        elif kind == "free":
            del live[block]


def test_results_are_lent_until_they_are_written():
    events = [("new", 0), ("free", 0), ("new", 1), ("new", 2), ("free", 2), ("new", 3)]
    made = SimpleNamespace(events=events, sizes=[128, 64, 64, 64])
    arena = Arena(made, skip=frozenset((1, 3)), together=[1, 3])
    assert arena.nbytes == 0 and arena.shared.nbytes == 128
    assert arena.shared.offsets == {3: 0, 1: 64, 0: 0, 2: 0}


def test_frees_of_what_was_never_made_are_passed_over():
    made = SimpleNamespace(events=[("new", 0), ("free", 1), ("free", 0)], sizes=[64, 64])
    assert Arena(made, skip=frozenset()).nbytes == 64


def step_of(model, optimizer):
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def wide():
    mezzo.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 256), nn.GELU(), nn.Linear(256, 8)
    )
    return model, mezzo.optim.Adam(model.parameters(), lr=1e-2)


def test_gradients_that_lie_together_are_eager_ones():
    (a, eager), (b, compiled) = wide(), wide()
    plain, fast = step_of(a, eager), mezzo.compile(step_of(b, compiled))
    old = []
    for seed in range(4):
        mezzo.manual_seed(seed)
        x, y = mezzo.randn(512, 64), mezzo.randint(0, 8, (512,))
        same(fast(x, y), plain(x, y))
        for p, q in zip(a.parameters(), b.parameters()):
            same(q.grad, p.grad)
            same(q, p)
        # Gradients that somebody holds on to stay what they were.
        for kept, copy in old:
            same(kept, copy)
        old = [(q.grad, q.grad.clone()) for q in b.parameters()]
    assert any(isinstance(q.grad.storage, PartStorage) for q in b.parameters())
    b[0].weight.grad.mul_(2)
    same(b[0].weight.grad, a[0].weight.grad * 2)


def deep():
    mezzo.manual_seed(0)
    model = nn.Sequential(*[m for _ in range(10) for m in (nn.Linear(128, 128), nn.GELU())])
    return model, mezzo.optim.SGD(model.parameters(), lr=1e-2)


def test_a_compiled_step_needs_less_memory_than_eager():
    peaks = {}
    for kind in (False, True):
        gc.collect()
        memory.empty_cache()  # a free block of the next size class would be lent, and counted whole
        model, optimizer = deep()
        step = step_of(model, optimizer)
        step = mezzo.compile(step) if kind else step
        x, y = mezzo.randn(1024, 128), mezzo.randint(0, 8, (1024,))
        for _ in range(2):
            step(x, y)
        optimizer.zero_grad()
        gc.collect()  # what other tests left must not be freed meanwhile
        before = memory.memory_allocated()
        memory.reset_peak_memory_stats()
        step(x, y)
        peaks[kind] = memory.max_memory_allocated() - before
        del model, optimizer, step
    assert peaks[True] <= 0.8 * peaks[False], peaks


def test_holders_count_gradients_that_lie_together_once():
    model, optimizer = wide()
    mezzo.compile(step_of(model, optimizer))(mezzo.randn(512, 64), mezzo.randint(0, 8, (512,)))
    owners = {id(p.grad.storage.owner): p.grad.storage.owner for p in model.parameters()
              if isinstance(p.grad.storage, PartStorage)}  # fmt: skip
    (owner,) = owners.values()
    alone = [
        p.grad.storage for p in model.parameters() if not isinstance(p.grad.storage, PartStorage)
    ]
    (held,) = [h for h in holdings() if h.what == "gradients"]
    assert held.storages >= 1 + len(alone)
    assert held.nbytes >= owner.bucket.size + sum(s.bucket.size for s in alone)
