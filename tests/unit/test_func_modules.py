"""functional_call, stack_module_state and batch norms under vmap, against torch.func."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo

X = np.arange(30, dtype="f4").reshape(2, 5, 3)


def tied(lib):
    """Two layers with one weight, a buffer that the call assigns anew, and a keyword."""

    class Model(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.l1, self.l2 = lib.nn.Linear(2, 2, bias=False), lib.nn.Linear(2, 2, bias=False)
            self.l2.weight = self.l1.weight
            self.register_buffer("count", lib.zeros(2))

        def forward(self, x, scale=1.0):
            self.count = self.count + 1
            return self.l2(self.l1(x)) * scale

    model = Model()
    with lib.no_grad():
        model.l1.weight.copy_(lib.tensor([[1.0, 2.0], [3.0, 4.0]]))
    return model


def call(lib, values, *args, **options):
    return lib.func.functional_call(tied(lib), values, *(args or ((lib.ones(1, 2),),)), **options)


CALLS = {
    "one name of two": lambda lib: call(lib, {"l1.weight": lib.ones(2, 2)}),
    "not tied": lambda lib: call(lib, {"l1.weight": lib.ones(2, 2)}, tie_weights=False),
    "not tied, both": lambda lib: call(lib, {"l1.weight": lib.ones(2, 2), "l2.weight": lib.zeros(2, 2)}, tie_weights=False),
    "both the same": lambda lib: call(lib, dict.fromkeys(("l1.weight", "l2.weight"), lib.ones(2, 2))),
    "nothing": lambda lib: call(lib, {}),
    "keywords": lambda lib: call(lib, {}, (lib.ones(1, 2),), {"scale": 2.0}),
    "keywords alone": lambda lib: call(lib, {}, None, {"x": lib.ones(1, 2)}),
    "an argument alone": lambda lib: call(lib, {}, lib.ones(1, 2)),
    "two dicts": lambda lib: call(lib, [{"l1.weight": lib.ones(2, 2)}, {"count": lib.ones(2)}]),
    "a gradient": lambda lib: lib.func.grad(lambda w: call(lib, {"l1.weight": w}).sum())(lib.eye(2)),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_functional_call(name):
    ours, theirs = (CALLS[name](lib).detach().numpy() for lib in (mezzo, torch))
    np.testing.assert_array_equal(ours, theirs)


def test_buffers_are_updated():
    for lib in (mezzo, torch):
        model, values = tied(lib), {"count": lib.ones(2)}
        lib.func.functional_call(model, values, (lib.ones(1, 2),))
        assert values["count"].tolist() == [2, 2]
        assert model.count.tolist() == [0, 0]
        norm = lib.nn.BatchNorm1d(3)
        values = {k: v.clone() for k, v in norm.named_buffers()}
        lib.func.functional_call(norm, values, (lib.tensor(X[0]),))
        np.testing.assert_allclose(values["running_mean"].numpy(), [0.6, 0.7, 0.8], rtol=1e-6)
        assert values["num_batches_tracked"].item() == 1
        assert norm.running_mean.tolist() == [0, 0, 0]


def test_the_module_is_restored_after_an_error():
    model = tied(mezzo)
    before = model.l1.weight
    with pytest.raises(RuntimeError):
        mezzo.func.functional_call(model, {"l1.weight": mezzo.ones(5, 5)}, (mezzo.ones(1, 2),))
    assert model.l1.weight is before
    assert model.l2.weight is before


WRONG = {
    "tied to different values": (lambda lib: call(lib, {"l1.weight": lib.ones(2, 2), "l2.weight": lib.zeros(2, 2)}), ValueError, "tied"),
    "twice": (lambda lib: call(lib, ({"count": lib.ones(2)}, {"count": lib.ones(2)})), ValueError, "multiple dictionaries"),
    "no dict": (lambda lib: call(lib, 3), ValueError, "list/tuple of dicts"),
    "strict and missing": (lambda lib: call(lib, {"l1.weight": lib.ones(2, 2)}, strict=True), RuntimeError, "(?i)missing"),
    "strict and unknown": (lambda lib: call(lib, {"wieght": lib.ones(2, 2)}, strict=True), RuntimeError, "(?i)unexpected"),
    "no models": (lambda lib: lib.func.stack_module_state([]), RuntimeError, "at least one model"),
    "other classes": (lambda lib: lib.func.stack_module_state([lib.nn.Linear(1, 1), lib.nn.ReLU()]), RuntimeError, "same class"),
    "other modes": (lambda lib: lib.func.stack_module_state([lib.nn.Linear(1, 1), lib.nn.Linear(1, 1).eval()]), RuntimeError, "mode"),
    "one frozen": (lambda lib: lib.func.stack_module_state([lib.nn.Linear(1, 1), lib.nn.Linear(1, 1).requires_grad_(False)]), RuntimeError, "requires_grad"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_refused_as_in_pytorch(name):
    wrong, kind, words = WRONG[name]
    for lib in (mezzo, torch):
        with pytest.raises(kind, match=words):
            wrong(lib)


def test_unknown_names_are_left_out_with_a_warning():
    with pytest.warns(UserWarning, match="'wieght'"):
        found = call(mezzo, {"wieght": mezzo.ones(2, 2)})
    np.testing.assert_array_equal(
        found.detach().numpy(), call(torch, {"wieght": torch.ones(2, 2)}).detach().numpy()
    )


def _ensemble(lib):
    """Three networks on one batch, and each on its own; one mean of them."""
    rng, models = np.random.default_rng(0), []
    for _ in range(3):
        model = lib.nn.Sequential(
            lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.Tanh(), lib.nn.Linear(4, 2)
        )
        state = {
            n: lib.tensor(rng.standard_normal(tuple(p.shape)).astype("f4"))
            for n, p in model.named_parameters()
        }
        model.load_state_dict(state, strict=False)
        models.append(model.double())
    parameters, buffers = lib.func.stack_module_state(models)
    batches = lib.tensor(np.stack([X[0], X[1], X[0] + X[1]]).astype("f8") / 10)

    def run(p, b, x):
        return lib.func.functional_call(models[0], (p, b), (x,))

    shared = lib.vmap(run, in_dims=(0, 0, None))(parameters, buffers, batches[0])
    own = lib.vmap(run)(parameters, buffers, batches)
    (shared.mean() + (own**2).mean()).backward()
    grads = [p.grad for p in parameters.values()]
    return (
        [shared, own, buffers["1.running_mean"], buffers["1.num_batches_tracked"], *grads],
        models,
        batches,
    )


def test_ensembles():
    (ours, models, batches), (theirs, _, _) = _ensemble(mezzo), _ensemble(torch)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-8, atol=1e-12)
    for found, model, x in zip(ours[1], models, batches):
        np.testing.assert_allclose(found.detach().numpy(), model(x).detach().numpy(), rtol=1e-8)


def test_frozen_models_stack_frozen():
    for lib in (mezzo, torch):
        frozen = lib.nn.Linear(1, 1).requires_grad_(False)
        assert not any(
            p.requires_grad for p in lib.func.stack_module_state([frozen, frozen])[0].values()
        )


def test_batch_norms_without_running_statistics():
    found = []
    for lib in (mezzo, torch):
        model = lib.nn.Sequential(
            lib.nn.BatchNorm1d(3),
            lib.nn.Sequential(lib.nn.InstanceNorm1d(5, track_running_stats=True)),
        )
        with pytest.raises(RuntimeError):
            lib.vmap(model)(lib.tensor(X))
        assert lib.func.replace_all_batch_norm_modules_(model) is model
        assert model[0].running_mean is None
        assert model[1][0].running_mean is not None
        found.append(lib.vmap(model[0])(lib.tensor(X)).detach().numpy())
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)
