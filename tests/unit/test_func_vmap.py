"""vmap's axes, trees, chunks and random numbers, against torch.vmap."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import torch

import mezzo

BATCH = np.random.default_rng(0).standard_normal((3, 4, 5))
Pair = collections.namedtuple("Pair", "a b")

TREES = {
    "tuple": lambda lib, b: lib.vmap(lambda p: p[0] + p[1])((b, b * 2)),
    "dict": lambda lib, b: lib.vmap(lambda p: {"z": p["a"] + p["b"]})({"a": b, "b": b * 2}),
    "ordered dict": lambda lib, b: lib.vmap(lambda p: collections.OrderedDict(z=p["a"]))(collections.OrderedDict(a=b)),
    "namedtuple": lambda lib, b: lib.vmap(lambda p: Pair(p.a + p.b, p.a))(Pair(b, b * 2)),
    "namedtuple of axes": lambda lib, b: lib.vmap(lambda p: Pair(p.a + p.b, p.a), in_dims=(Pair(0, None),), out_dims=Pair(0, 1))(Pair(b, b[0])),
    "dict of axes": lambda lib, b: lib.vmap(lambda p: p["a"] + p["b"], in_dims=({"a": 0, "b": None},))({"a": b, "b": b[0]}),
    "axes in a list": lambda lib, b: lib.vmap(lambda p, q: p["a"] + q[0], in_dims=({"a": 1}, [-1]))({"a": b}, [b.movedim(1, -1)]),
    "negative axes": lambda lib, b: lib.vmap(lambda p: p.sum(0), in_dims=-1, out_dims=-1)(b),
    "axes of results": lambda lib, b: lib.vmap(lambda p: (p, p * 2), out_dims=(0, 1))(b),
    "axes of a dict": lambda lib, b: lib.vmap(lambda p: {"x": p, "y": p * 2}, out_dims={"x": 0, "y": 1})(b),
    "nested axes": lambda lib, b: lib.vmap(lambda p: (p, (p * 2, p.sum())), out_dims=(0, (1, 0)))(b),
    "one axis for a subtree": lambda lib, b: lib.vmap(lambda p: (p, (p * 2, p)), out_dims=(0, 1))(b),
    "not batched": lambda lib, b: lib.vmap(lambda p: (p, b[0] * 1), out_dims=(0, None))(b),
    "no tensor": lambda lib, b: lib.vmap(lambda p: (p, 3), out_dims=(0, None))(b),
    "a string": lambda lib, b: lib.vmap(lambda p, k: p * len(k), in_dims=(0, None))(b, "abc"),
    "keywords": lambda lib, b: lib.vmap(lambda p, k: p * k)(b, k=b[0]),
    "None among them": lambda lib, b: lib.vmap(lambda p: p[0], in_dims=((0, None),))((b, None)),
    "an empty batch": lambda lib, b: lib.vmap(lambda p: p * 2)(b[:0]),
    "chunks": lambda lib, b: lib.vmap(lambda p: (p.sum(), {"a": p}), chunk_size=2)(b),
    "chunks of one": lambda lib, b: lib.vmap(lambda p: p.sum(), chunk_size=1)(b),
    "chunks along other axes": lambda lib, b: lib.vmap(lambda p, q: (p + q, p), in_dims=(2, None), out_dims=(1, -1), chunk_size=2)(b, b[:, :, 0]),
    "a chunk for all": lambda lib, b: lib.vmap(lambda p: Pair(p, p), chunk_size=9)(b),
    "two levels": lambda lib, b: lib.vmap(lib.vmap(lambda p, q: p * q, in_dims=(0, None)), in_dims=(0, 0))(b, b[:, 0]),
    "no results": lambda lib, b: lib.vmap(lambda p: ())(b),
    "jacrev in chunks": lambda lib, b: lib.func.jacrev(lambda x: x.sin().sum(0), chunk_size=2)(b[0]),
    "a loop over time": lambda lib, b: lib.vmap(lambda sequence: _recurrent(lib, sequence))(b),
    "its gradient": lambda lib, b: lib.vmap(lib.func.grad(lambda s: _recurrent(lib, s)[0].sum()))(b),
}  # fmt: skip


def _recurrent(lib, sequence):
    """A network of tanh units, unrolled by Python."""
    w = lib.tensor(BATCH[0, :, :4] * 0.3)
    state, states = sequence.new_zeros(4), []
    for x in sequence:
        state = (w @ state + x[:4]).tanh()
        states.append(state)
    return state, lib.stack(states)


def _flat(value):
    if isinstance(value, dict):
        return [x for k in value for x in _flat(value[k])]
    if isinstance(value, (tuple, list)):
        return [x for v in value for x in _flat(v)]
    return [value.numpy() if hasattr(value, "numpy") else value]


def _form(value):
    if isinstance(value, dict):
        return type(value), {k: _form(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value), [_form(v) for v in value]
    return None


@pytest.mark.parametrize("name", TREES)
def test_equals_torch_vmap(name):
    ours, theirs = (TREES[name](lib, lib.tensor(BATCH)) for lib in (mezzo, torch))
    assert _form(ours) == _form(theirs)
    for a, b in zip(_flat(ours), _flat(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, strict=True)


WRONG = {
    "axis too large": (lambda lib, b: lib.vmap(lambda p: p, in_dims=3)(b), "3 axes"),
    "0-d": (lambda lib, b: lib.vmap(lambda p: p)(b.sum()), "0 axes"),
    "a number": (lambda lib, b: lib.vmap(lambda p, k: p * k)(b, 3), "Pass None"),
    "no inputs": (lambda lib, b: lib.vmap(lambda: b)(), "no inputs"),
    "nothing batched": (lambda lib, b: lib.vmap(lambda p: p, in_dims=(None,))(b), "no argument is batched"),
    "sizes": (lambda lib, b: lib.vmap(lambda p, q: p)(b, b[:2]), "same size"),
    "axes for fewer": (lambda lib, b: lib.vmap(lambda p, q: p, in_dims=(0,))(b, b), "structure"),
    "axes in another form": (lambda lib, b: lib.vmap(lambda p: p[0], in_dims=([0, 0, 0],))([b, b]), "structure"),
    "axes in a list": (lambda lib, b: lib.vmap(lambda p, q: p, in_dims=[0, 1])(b, b), "in_dims"),
    "axes in a string": (lambda lib, b: lib.vmap(lambda p: p, in_dims="a")(b), "in_dims"),
    "a broken axis": (lambda lib, b: lib.vmap(lambda p: p, in_dims=(1.0,))(b), "1.0"),
    "results in another form": (lambda lib, b: lib.vmap(lambda p: (p, p), out_dims=(0, 0, 0))(b), "out_dims"),
    "batched where None is": (lambda lib, b: lib.vmap(lambda p: p, out_dims=None)(b), "out_dims is None"),
    "a number as result": (lambda lib, b: lib.vmap(lambda p: 3.0)(b), "must return tensors"),
    "no chunk": (lambda lib, b: lib.vmap(lambda p: p, chunk_size=0)(b), "greater than 0"),
    "a negative chunk": (lambda lib, b: lib.vmap(lambda p: p, chunk_size=-1)(b), "greater than 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_refused_with_torchs_type(name):
    call, words = WRONG[name]
    with pytest.raises(ValueError):
        call(torch, torch.tensor(BATCH))
    with pytest.raises(ValueError, match=words):
        call(mezzo, mezzo.tensor(BATCH))


F = mezzo.nn.functional
RANDOM = {
    "rand": lambda x: mezzo.rand(40) + x * 0,
    "randn of a scalar": lambda x: mezzo.randn(()) + x * 0,
    "rand_like": lambda x: mezzo.rand_like(x),
    "randn_like, shared": lambda x: mezzo.randn_like(mezzo.zeros(40)) + x * 0,
    "dropout": lambda x: F.dropout(x, 0.5),
    "dropout of channels": lambda x: F.dropout1d(x.unsqueeze(-1) * 1, 0.5),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.5, True),
    "bernoulli": lambda x: mezzo.bernoulli(x * 0.5),
    "bernoulli_": lambda x: (x * 1).bernoulli_(0.5),
    "normal": lambda x: mezzo.normal(x, 1.0),
    "normal_": lambda x: (x * 1).normal_(),
    "uniform_": lambda x: (x * 1).uniform_(),
    "exponential_": lambda x: (x * 1).exponential_(),
    "randint": lambda x: mezzo.randint(0, 1000, (40,)) + x * 0,
    "randperm": lambda x: mezzo.randperm(40) + x * 0,
    "multinomial": lambda x: mezzo.multinomial(x, 30) + 0 * x.sum(),
    "multinomial, replaced": lambda x: mezzo.multinomial(x, 40, True) + 0 * x,
    "gumbel_softmax": lambda x: F.gumbel_softmax(x),
}  # fmt: skip


@pytest.mark.parametrize("name", RANDOM)
def test_randomness(name):
    f = RANDOM[name]
    same = mezzo.vmap(f, randomness="same")(mezzo.ones(3, 40)).numpy()
    different = mezzo.vmap(f, randomness="different")(mezzo.ones(3, 40)).numpy()
    assert (same == same[:1]).all()
    assert not any((different[i] == different[j]).all() for i, j in ((0, 1), (0, 2), (1, 2)))
    with pytest.raises(RuntimeError, match="randomness error mode"):
        mezzo.vmap(f)(mezzo.ones(3, 40))


@pytest.mark.parametrize("name", RANDOM)
def test_randomness_nests(name):
    f, x = RANDOM[name], mezzo.ones(2, 3, 40)
    inner = mezzo.vmap(mezzo.vmap(f, randomness="different"), randomness="same")(x).numpy()
    assert (inner[0] == inner[1]).all()
    assert not (inner[:, 0] == inner[:, 1]).all()
    outer = mezzo.vmap(mezzo.vmap(f, randomness="same"), randomness="different")(x).numpy()
    assert (outer[:, 0] == outer[:, 1]).all()
    assert not (outer[0] == outer[1]).all()


def test_randomness_over_chunks():
    f, x = RANDOM["rand"], mezzo.ones(4, 40)
    same = mezzo.vmap(f, randomness="same", chunk_size=2)(x).numpy()
    assert (same == same[:1]).all()
    different = mezzo.vmap(f, randomness="different", chunk_size=2)(x).numpy()
    assert not (different[0] == different[2]).all()


def test_randomness_of_another_name():
    for lib in (mezzo, torch):
        with pytest.raises(RuntimeError, match="randomness"):
            lib.vmap(lambda p: p, randomness="x")(lib.ones(3))
