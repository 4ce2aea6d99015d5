"""RNN, LSTM, GRU, their cells and packed sequences against PyTorch's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn.utils import rnn as theirs

import mezzo
from mezzo.nn.utils import rnn as ours

KINDS = ("RNN", "GRU", "LSTM")


def to_mezzo(tensor: torch.Tensor) -> mezzo.Tensor:
    return mezzo.from_numpy(tensor.detach().numpy().copy())


def pair(kind: str, *args, **kwargs):
    """The same module in both frameworks, in float64."""
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(*args, **kwargs).double()
    twin = getattr(mezzo.nn, kind)(*args, **kwargs).double()
    twin.load_state_dict({k: to_mezzo(v) for k, v in module.state_dict().items()})
    return twin, module


def flat(tree) -> list:
    return [v for t in tree for v in flat(t)] if isinstance(tree, tuple | list) else [tree]


def check(ours_out, theirs_out, twin, module, inputs=()) -> None:
    """Values; and gradients of a weighted sum by all parameters and inputs."""
    got, want = flat(ours_out), flat(theirs_out)
    assert len(got) == len(want)
    loss, reference = 0, 0
    for number, (a, b) in enumerate(zip(got, want)):
        assert tuple(a.shape) == tuple(b.shape)
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)
        weight = torch.linspace(-1, 2, b.numel(), dtype=torch.float64).reshape(b.shape) + number
        loss, reference = loss + (a * to_mezzo(weight)).sum(), reference + (b * weight).sum()
    loss.backward()
    reference.backward()
    for (name, p), (_, q) in zip(twin.named_parameters(), module.named_parameters()):
        np.testing.assert_allclose(
            p.grad.numpy(), q.grad.numpy(), rtol=1e-9, atol=1e-11, err_msg=name
        )
    for a, b in inputs:
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-9, atol=1e-11)


def leaf(*shape):
    made = torch.randn(*shape, dtype=torch.float64).requires_grad_()
    return to_mezzo(made).requires_grad_(), made


def states(kind, *shape, sizes=None):
    """A pair of states (h, or h and c) with their leaves."""
    sizes = sizes or (shape[-1],) * 2
    both = [leaf(*shape[:-1], n) for n in sizes[: 1 + (kind == "LSTM")]]
    if kind == "LSTM":
        return tuple(a for a, _ in both), tuple(b for _, b in both), both
    return *both[0], both


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "bidirectional": True},
        {"num_layers": 3, "bias": False, "batch_first": True},
        {"bidirectional": True, "batch_first": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("batched", [True, False])
def test_sequences(kind, options, batched):
    """Every option, with given states, batched and not."""
    twin, module = pair(kind, 4, 5, **options)
    shape = (6, 3, 4) if batched else (6, 4)
    count = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    x = leaf(*shape)
    batch = () if not batched else (6 if options.get("batch_first") else 3,)
    h, g, leaves = states(kind, count, *batch, 5)
    check(twin(x[0], h), module(x[1], g), twin, module, [x, *leaves])
    with torch.no_grad(), mezzo.no_grad():
        for a, b in zip(flat(twin(x[0])), flat(module(x[1]))):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_projected_lstm(bidirectional):
    twin, module = pair("LSTM", 4, 6, 2, proj_size=3, bidirectional=bidirectional)
    x = leaf(5, 2, 4)
    h, g, leaves = states("LSTM", 2 + 2 * bidirectional, 2, 0, sizes=(3, 6))
    check(twin(x[0], h), module(x[1], g), twin, module, [x, *leaves])


def test_relu_network():
    twin, module = pair("RNN", 4, 5, 2, "relu")
    x = leaf(5, 2, 4)
    check(twin(x[0]), module(x[1]), twin, module, [x])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_packed(kind, bidirectional, in_order, given):
    """Packed sequences in and out, sorted and not, with and without states."""
    twin, module = pair(kind, 4, 5, 2, bidirectional=bidirectional)
    lengths = [6, 4, 4, 1] if in_order else [4, 1, 6, 4]
    x = leaf(6, 4, 4)
    h, g, leaves = states(kind, 2 + 2 * bidirectional, 4, 5)
    packed = ours.pack_padded_sequence(x[0], lengths, enforce_sorted=in_order)
    other = theirs.pack_padded_sequence(x[1], torch.tensor(lengths), enforce_sorted=in_order)
    out, last = twin(packed, *((h,) if given else ()))
    want, ended = module(other, *((g,) if given else ()))
    assert isinstance(out, ours.PackedSequence)
    assert out.batch_sizes.tolist() == want.batch_sizes.tolist()
    (padded, n), (wanted, m) = (
        ours.pad_packed_sequence(out, total_length=8),
        theirs.pad_packed_sequence(want, total_length=8),
    )
    assert n.tolist() == m.tolist() == lengths
    check((padded, last), (wanted, ended), twin, module, [x, *(leaves if given else ())])


@pytest.mark.parametrize("kind", [f"{k}Cell" for k in KINDS])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_cells(kind, bias, batch):
    twin, module = pair(kind, 4, 5, bias)
    x = leaf(*batch, 4)
    h, g, leaves = states(kind.removesuffix("Cell"), *batch, 5)
    check(twin(x[0], h), module(x[1], g), twin, module, [x, *leaves])
    for a, b in zip(flat(twin(x[0])), flat(module(x[1]))):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_dropout_between_layers():
    """p=1 leaves only what the last layer's biases give; evaluation drops nothing."""
    twin, module = pair("LSTM", 4, 5, 2, dropout=1.0)
    x = leaf(5, 2, 4)
    check(twin(x[0]), module(x[1]), twin, module)
    twin.eval(), module.eval()
    np.testing.assert_allclose(
        twin(x[0])[0].detach().numpy(), module(x[1])[0].detach().numpy(), rtol=1e-10
    )


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_repr(kind):
    twin, module = pair(kind, 4, 5, 2, bidirectional=True, dropout=0.25)
    assert list(twin.state_dict()) == list(module.state_dict())
    assert repr(twin) == repr(module)
    assert [len(w) for w in twin.all_weights] == [len(w) for w in module.all_weights]


@pytest.mark.parametrize("name", ["pad_sequence", "pack_sequence", "unpack", "unpad"])
def test_padding_and_packing(name):
    pieces = [torch.randn(n, 2, dtype=torch.float64) for n in (2, 5, 3)]
    mine = [to_mezzo(p) for p in pieces]
    if name == "pad_sequence":
        for first, side in itertools.product((False, True), ("left", "right")):
            got = ours.pad_sequence(mine, first, -1.0, side)
            want = theirs.pad_sequence(pieces, first, -1.0, side)
            np.testing.assert_array_equal(got.numpy(), want.numpy())
        return
    if name == "unpad":
        padded = ours.pad_sequence(mine)
        found = ours.unpad_sequence(padded, mezzo.tensor([2, 5, 3]))
    else:
        packed = ours.pack_sequence(mine, enforce_sorted=False)
        wanted = theirs.pack_sequence(pieces, enforce_sorted=False)
        for a, b in zip(packed, wanted):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
        found = ours.unpack_sequence(packed)
    for a, b in zip(found, pieces):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda nn, x: nn.LSTM(4, 5, proj_size=5), ValueError, "smaller than hidden_size"),
        (lambda nn, x: nn.GRU(4, 5, proj_size=2), (ValueError, TypeError), "proj_size"),
        (lambda nn, x: nn.RNN(4, 5, nonlinearity="abs"), ValueError, "nonlinearity"),
        (lambda nn, x: nn.LSTM(4, 5, dropout=2), ValueError, "dropout should be a number"),
        (lambda nn, x: nn.LSTM(4, 0), ValueError, "greater than zero"),
        (lambda nn, x: nn.LSTM(3, 5)(x((2, 2, 4))), RuntimeError, "input_size"),
        (lambda nn, x: nn.GRU(4, 5)(x((2, 2, 4)), x((1, 3, 5))), RuntimeError, "hidden"),
        (lambda nn, x: nn.GRU(4, 5)(x((2, 2, 4)), x((1, 5))), RuntimeError, "3-D"),
        (lambda nn, x: nn.GRU(4, 5)(x((2, 2, 2, 4))), ValueError, "2D or 3D"),
        (lambda nn, x: nn.LSTMCell(4, 5)(x((2, 3))), RuntimeError, "input_size"),
        (lambda nn, x: nn.LSTM(4, 5)(x((2, 2, 4)).double()), (ValueError, RuntimeError), "dtype"),
        (lambda nn, x: nn.LSTM(4, 5)(x((0, 2, 4))), RuntimeError, "sequence length"),
    ],
)  # fmt: skip
def test_bad_input(call, error, words):
    """mezzo's error and PyTorch's are of one type."""
    with pytest.raises(error):
        call(torch.nn, torch.zeros)
    with pytest.raises(error, match=words):
        call(mezzo.nn, mezzo.zeros)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_trains(kind):
    """Under autocast the weights get float32 gradients near those without it."""
    twin, _ = pair(kind, 4, 5, 2)
    twin.float()
    x = mezzo.from_numpy(np.random.default_rng(0).standard_normal((5, 2, 4)).astype(np.float32))
    twin(x)[0].square().sum().backward()
    exact = {n: p.grad.numpy().copy() for n, p in twin.named_parameters()}
    twin.zero_grad()
    with mezzo.autocast("cpu", mezzo.bfloat16):
        out = twin(x)[0]
    out.float().square().sum().backward()
    for name, p in twin.named_parameters():
        assert p.grad.dtype is mezzo.float32
        scale = np.abs(exact[name]).max()
        np.testing.assert_allclose(p.grad.numpy(), exact[name], atol=0.05 * scale, rtol=0.05)
