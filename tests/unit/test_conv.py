"""Convolutions against PyTorch: values, first and second derivatives, batching, autocast."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import mezzo
from mezzo import ops
from mezzo.autograd import grad
from mezzo.func.vmap import vmap

RECORDS = [
    ops.conv1d,
    ops.conv2d,
    ops.conv3d,
    ops.conv_transpose1d,
    ops.conv_transpose2d,
    ops.conv_transpose3d,
]
CASES = [(record, sample) for record in RECORDS for sample in record.samples]
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4, torch.bfloat16: 6e-2, torch.float16: 1e-2}


def ours(tensor: torch.Tensor):
    """A mezzo tensor with the same values and dtype."""
    wide = mezzo.from_numpy(tensor.detach().double().numpy().copy())
    return wide.to(getattr(mezzo, str(tensor.dtype).removeprefix("torch.")))


def theirs(tensor) -> torch.Tensor:
    return torch.from_numpy(np.array(tensor.detach().to(mezzo.float64).numpy()))


def close(a: torch.Tensor, b, dtype) -> None:
    torch.testing.assert_close(
        theirs(b), a.detach().double(), rtol=TOLERANCE[dtype], atol=3 * TOLERANCE[dtype]
    )


def made(sample, dtype):
    torch.manual_seed(0)
    return [torch.randn(a.shape).to(dtype) if hasattr(a, "distinct") else a for a in sample.args]


def oracle(record):
    return getattr(torch.nn.functional, record.name)


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize(("record", "sample"), CASES, ids=str)
def test_values_and_gradients(record, sample, dtype, last):
    args = made(sample, dtype)
    if last and args[0].ndim != 4:
        return
    a = [t.clone().requires_grad_() if isinstance(t, torch.Tensor) else t for t in args]
    b = [ours(t) if isinstance(t, torch.Tensor) else t for t in args]
    if last:
        b[0] = b[0].contiguous(memory_format="channels_last")
    for t in b:
        if isinstance(t, mezzo.Tensor):
            t.requires_grad = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch's, about padding="same"
        want = oracle(record)(*a, **sample.kwargs)
    got = record(*b, **sample.kwargs)
    g = torch.randn(want.shape).to(dtype)
    want.backward(g)
    got.backward(ours(g))
    close(want, got, dtype)
    for p, q in zip(a, b):
        if isinstance(p, torch.Tensor):
            close(p.grad, q.grad, dtype)


@pytest.mark.parametrize(("record", "sample"), CASES, ids=str)
def test_second_derivatives(record, sample):
    args = made(sample, torch.float64)
    if args[0].numel() == 0:
        return
    a = [t.clone().requires_grad_() if isinstance(t, torch.Tensor) else t for t in args]
    b = [ours(t) if isinstance(t, torch.Tensor) else t for t in args]
    x, y = (
        [t for t in a if isinstance(t, torch.Tensor)][:2],
        [t for t in b if isinstance(t, mezzo.Tensor)][:2],
    )
    for t in b:
        if isinstance(t, mezzo.Tensor):
            t.requires_grad = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        first = torch.autograd.grad(
            (oracle(record)(*a, **sample.kwargs) ** 2).sum(), x, create_graph=True
        )
    second = torch.autograd.grad(sum((t**3).sum() for t in first), x)
    out = record(*b, **sample.kwargs)
    mine = grad((out * out).sum(), y, create_graph=True)
    total = (mine[0] * mine[0] * mine[0]).sum() + (mine[1] * mine[1] * mine[1]).sum()
    for p, q in zip(second, grad(total, y)):
        scale = float(p.abs().max()) + 1
        close(p / scale, q * (1 / scale), torch.float64)


@pytest.mark.parametrize(
    "in_dims",
    [(0, None, None), (None, 0, None), (0, 0, None), (0, 0, 0), (0, None, 0), (None, None, 0)],
)
@pytest.mark.parametrize("groups", [1, 2])
def test_vmap(in_dims, groups):
    torch.manual_seed(1)
    shapes = ((2, 4, 6, 5), (6, 4 // groups, 3, 2), (6,))
    full = [
        torch.randn(((3, *s) if d == 0 else s), dtype=torch.float64)
        for s, d in zip(shapes, in_dims)
    ]

    def run(x, w, b):
        return ops.conv2d(x, w, b, 2, 1, 1, groups)

    got = vmap(run, in_dims=in_dims)(*[ours(t) for t in full])
    for i in range(3):
        one = [t[i] if d == 0 else t for t, d in zip(full, in_dims)]
        close(torch.nn.functional.conv2d(*one, 2, 1, 1, groups), got.select(0, i), torch.float64)


def test_vmap_of_gradients():
    torch.manual_seed(2)
    x, w = (
        torch.randn(3, 2, 4, 6, 5, dtype=torch.float64),
        torch.randn(6, 4, 3, 3, dtype=torch.float64),
    )

    def loss(a, b):
        b = b.clone()
        return (ops.conv2d(a, b, None, 1, 1) * ops.conv2d(a, b, None, 1, 1)).sum()

    weight = ours(w)
    weight.requires_grad = True

    def gradient(a):
        return grad(loss(a, weight), weight)[0]

    got = vmap(gradient)(ours(x))
    for i in range(3):
        leaf = w.clone().requires_grad_()
        (torch.nn.functional.conv2d(x[i], leaf, None, 1, 1) ** 2).sum().backward()
        close(leaf.grad, got.select(0, i), torch.float64)


@pytest.mark.parametrize("dtype", [mezzo.bfloat16, mezzo.float16])
def test_autocast_casts_while_packing(dtype):
    torch.manual_seed(3)
    x, w, b = torch.randn(2, 3, 8, 8), torch.randn(5, 3, 3, 3), torch.randn(5)
    mine = [ours(t) for t in (x, w, b)]
    mine[1].requires_grad = True
    with mezzo.autocast("cpu", dtype=dtype):
        y = ops.conv2d(*mine, padding=1)
    assert y.dtype is dtype
    low = torch.bfloat16 if dtype is mezzo.bfloat16 else torch.float16
    close(torch.nn.functional.conv2d(x.to(low).float(), w.to(low).float(), b, padding=1), y, low)
    y.float().sum().backward()
    assert mine[1].grad.dtype is mezzo.float32


def test_layouts_of_operands():
    torch.manual_seed(4)
    x, w = torch.randn(5, 6, 7, 2).permute(3, 1, 2, 0), torch.randn(3, 3, 5, 4).permute(3, 2, 1, 0)
    mine = [mezzo.from_numpy(np.array(t.contiguous().numpy())) for t in (x, w)]
    mine = [m.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0) for m in mine]
    close(
        torch.nn.functional.conv2d(x[:, :5], w),
        ops.conv2d(mine[0].narrow(1, 0, 5), mine[1]),
        torch.float32,
    )
    flat = mezzo.from_numpy(np.array(x[:1].contiguous().numpy()))
    spread = flat.expand((4, *flat.shape[1:]))
    close(
        torch.nn.functional.conv2d(x[:1].expand(4, -1, -1, -1)[:, :5], w),
        ops.conv2d(spread.narrow(1, 0, 5), mine[1]),
        torch.float32,
    )


@pytest.mark.parametrize(
    "shape,outs", [((3, 20, 12, 13), 24), ((5, 3, 16, 8), 1), ((2, 70, 300), 40)]
)
def test_gradients_of_pointwise_weights(shape, outs):
    """Images whose pixels are neighbours: one product after another, each on the sum of those before; eager and compiled."""
    torch.manual_seed(0)
    x, w = torch.randn(shape), torch.randn(outs, shape[1], *[1] * (len(shape) - 2))
    g = torch.randn(shape[0], outs, *shape[2:])
    pixels = [t.flatten(2).double().numpy() for t in (g, x)]
    exact, sizes = (np.einsum("nop,ncp->oc", *map(of, pixels)) for of in (np.positive, np.abs))

    def gradient(x, w, g):
        convolve = mezzo.conv1d if len(shape) == 3 else mezzo.conv2d
        return mezzo.func.vjp(lambda w: convolve(x, w), w)[1](g)[0]

    given = [mezzo.from_numpy(t.numpy()) for t in (x, w, g)]
    places = shape[0] * g[0, 0].numel()
    for run in (gradient, gradient, mezzo.compile(gradient)):
        found = run(*given).numpy().reshape(exact.shape)
        assert (abs(found - exact) <= places * 2.0**-24 * sizes).all()


def test_channels_last_is_kept():
    x = mezzo.rand(2, 3, 8, 8).contiguous(memory_format="channels_last")
    y = ops.conv2d(x, mezzo.rand(4, 3, 3, 3))
    assert y.is_contiguous(memory_format="channels_last")


@pytest.mark.parametrize("case", [c for r in RECORDS for c in r.errors], ids=str)
def test_bad_input(case):
    sample, kind, part = case
    record = {3: ops.conv1d, 4: ops.conv2d}[len(sample.args[0].shape)]
    with pytest.raises(kind, match=part):
        record(
            *[ours(torch.randn(a.shape)) if hasattr(a, "distinct") else a for a in sample.args],
            **sample.kwargs,
        )


def test_mixed_dtypes_are_refused():
    with pytest.raises(RuntimeError, match="should be the same"):
        ops.conv2d(mezzo.rand(1, 1, 4, 4), mezzo.rand(1, 1, 3, 3).to(mezzo.float64))


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("channels", [3, 40, 70])
@pytest.mark.parametrize(
    ("size", "kernel", "options"),
    [
        ((9, 40), 3, (1, 1, 1)),
        ((7, 20), (2, 5), (2, 2, 1)),
        ((12, 9), 3, (1, 0, 2)),
        ((1, 33), (1, 7), (1, (0, 3), 1)),
    ],
)
def test_depthwise(size, kernel, options, channels, dtype, last):
    torch.manual_seed(5)
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    tensors = [
        torch.randn(2, channels, *size),
        torch.randn(channels, 1, *kernel),
        torch.randn(channels),
    ]
    a = [t.to(dtype).requires_grad_() for t in tensors]
    b = [ours(t) for t in a]
    if last:
        b[0] = b[0].contiguous(memory_format="channels_last")
    for t in b:
        t.requires_grad = True
    want = torch.nn.functional.conv2d(*a, *options, channels)
    got = ops.conv2d(*b, *options, channels)
    g = torch.randn(want.shape).to(dtype)
    want.backward(g)
    got.backward(ours(g))
    close(want, got, dtype)
    for p, q in zip(a, b):
        scale = float(p.grad.abs().max()) / 8 + 1
        close(p.grad / scale, q.grad.to(mezzo.float64) * (1 / scale), dtype)
