"""Which operation holds what, and that nothing is held for ever."""

from __future__ import annotations

import gc

import mezzo
from mezzo.core import holders
from mezzo.kernels.cpu import memory

MIB = 1 << 20


def held() -> dict[str, int]:
    gc.collect()
    return {h.what: h.nbytes for h in holders.holdings()}


def grown(before: dict[str, int]) -> dict[str, int]:
    return {k: v - before.get(k, 0) for k, v in held().items() if v - before.get(k, 0) >= MIB}


def test_every_storage_has_one_holder():
    before = held()
    w = mezzo.rand(512, 512, requires_grad=True)
    assert grown(before) == {"leaves that require grad": MIB}
    x = mezzo.rand(512, 512)
    product = w * x  # keeps x; w is a leaf, and not needed for itself
    y = product.exp()  # keeps its own result
    product.add(1.0)  # dies at once
    assert grown(before) == {
        "leaves that require grad": MIB,
        "saved for MulBackward0": MIB,
        "saved for ExpBackward0": MIB,
        "results of MulBackward0": MIB,
    }
    y.sum().backward()
    assert grown(before)["gradients"] == MIB
    del product, y
    assert grown(before) == {
        "leaves that require grad": MIB, "gradients": MIB, "other tensors": MIB,
    }  # fmt: skip
    view = w.detach()[3:]
    assert sum(grown(before).values()) == 3 * MIB, "a view holds no memory of its own"
    del view


def test_a_result_whose_history_was_freed_holds_nothing_of_it():
    before = held()
    w = mezzo.rand(512, 512, requires_grad=True)
    loss = w.exp().sum()
    loss.backward()  # loss keeps its node, and the node nothing
    assert grown(before) == {"leaves that require grad": MIB, "gradients": MIB}
    assert "gradients" in mezzo.cpu.memory_summary()


def test_the_summary_names_operations_and_adds_up():
    gc.collect()
    mezzo.cpu.empty_cache()  # a larger block that other tests left would serve as well
    w = mezzo.rand(1024, 1024, requires_grad=True)
    y = w.sigmoid()
    text = mezzo.cpu.memory_summary()
    assert "peak allocated" in text and "saved for SigmoidBackward0" in text
    assert "4.00 MiB  in " in text
    assert sum(held().values()) <= mezzo.cpu.memory_allocated()
    del w, y


def test_ten_thousand_steps_hold_no_more_than_a_hundred():
    model = mezzo.nn.Sequential(mezzo.nn.Linear(16, 32), mezzo.nn.Tanh(), mezzo.nn.Linear(32, 4))
    optimizer = mezzo.optim.Adam(model.parameters())
    x = mezzo.rand(8, 16)

    def step():
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    sizes = []
    for count in (100, 9_900):
        for _ in range(count):
            step()
        gc.collect()
        sizes.append((mezzo.cpu.memory_allocated(), mezzo.cpu.memory_reserved()))
    assert sizes[0] == sizes[1]


def test_outputs_that_no_derivative_reads_are_free_to_go(settled):
    x = mezzo.randn(1024, 1024, requires_grad=True)
    before = memory.memory_allocated()
    y = mezzo.nn.functional.layer_norm(x, (1024,))
    assert memory.memory_allocated() - before >= 4 * MIB
    half = y.to(mezzo.bfloat16)
    del y
    assert memory.memory_allocated() - before < 3 * MIB, "the derivative reads the statistics alone"
    half.float().sum().backward()
    assert x.grad is not None
