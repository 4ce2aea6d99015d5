"""x[...] and x[...] = v against PyTorch: every kind of index, reads, writes, gradients, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo
from mezzo.errors import OutOfRangeError

RNG = np.random.default_rng(7)
X = RNG.standard_normal((5, 4, 3, 6)).astype("float32")
A, S = np.array, slice
ROWS = X[:, 0, 0, 0] > 0

INDICES = [
    0, -1, S(None), S(1, 3), S(None, None, 2), S(4, 1), None, Ellipsis, True, False, (), (0, 1), (S(1, 4), 2),
    (Ellipsis, 0), (0, Ellipsis, 1), (None, Ellipsis, None), (S(None), None, 1), (None, None, 0), (0, None, 1),
    A([0, 2]), A([[0, 1], [2, 3]]), (A([0, 1]), A([1, 2])), (S(None), A([0, 1])), (A([0, 1]), S(None), A([1, 2])),
    (0, A([1, 2])), (S(None), 0, A([1, 2])), (A([0, 1]), 0), (A([[0], [1]]), A([1, 2, 0])),
    (S(None), A([0, 1]), S(None), A([1, 2])), (Ellipsis, A([1, 2])), (A([1]), Ellipsis), (A([-1, -2]),),
    ROWS, X > 0, X[:, :, 0, 0] > 0, (S(None), X[0, :, :, 0] > 0), (ROWS, 0), (ROWS, A([0])),
    (S(None), S(None), A([True, False, True])), (True, 0), (None, A([0, 1])), (S(1, 3), A([0, 1]), None), A(2),
    (A(2), S(None)), [0, 2], [True, False, True, True, False], ([0, 1], [1, 2]), (S(None), [0, 1]), np.int64(1),
    A([], dtype=np.int64), (0, None, A([1, 2])), (A([0, 1]), None, A([1, 2])), A([0, 1], dtype=np.int32), A(True), A(False),
    (S(0, 0),), (S(None, None, 3), S(-2, None)), range(2),
]  # fmt: skip


def of(library, index):
    """The index with arrays as that library's tensors."""
    if isinstance(index, tuple):
        return tuple(of(library, i) for i in index)
    return library.tensor(index) if isinstance(index, np.ndarray) else index


@pytest.mark.parametrize("index", INDICES, ids=lambda i: repr(i).replace("\n", "")[:50])
def test_reads_and_their_gradients(index):
    theirs, ours = torch.tensor(X, requires_grad=True), mezzo.tensor(X, requires_grad=True)
    expected, found = theirs[of(torch, index)], ours[of(mezzo, index)]
    assert tuple(found.shape) == tuple(expected.shape)
    np.testing.assert_array_equal(found.detach().numpy(), expected.detach().numpy())
    assert (found.base is not None) == expected._is_view(), "a view where PyTorch gives one"
    if expected._is_view() and expected.numel() > 1:
        assert found.stride() == expected.stride()
    weight = RNG.standard_normal(tuple(expected.shape)).astype("float32")
    (expected * torch.tensor(weight)).sum().backward()
    (found * mezzo.tensor(weight)).sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), 1e-6, 1e-6)


@pytest.mark.parametrize("index", INDICES, ids=lambda i: repr(i).replace("\n", "")[:50])
def test_writes_and_their_gradients(index):
    shape = tuple(torch.tensor(X)[of(torch, index)].shape)
    for value in (
        2.5,
        RNG.standard_normal(shape).astype("float32"),
        RNG.standard_normal((1, 1)).astype("float32"),
    ):
        theirs, ours = torch.tensor(X), mezzo.tensor(X)
        is_array = isinstance(value, np.ndarray)
        try:
            theirs[of(torch, index)] = torch.tensor(value) if is_array else value
        except (RuntimeError, IndexError):
            continue  # values that do not fit: see test_values_that_do_not_fit
        ours[of(mezzo, index)] = mezzo.tensor(value) if is_array else value
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    grads = []
    value, weight = (
        RNG.standard_normal(shape).astype("float32"),
        RNG.standard_normal(X.shape).astype("float32"),
    )
    for library in (torch, mezzo):
        x, v = library.tensor(X, requires_grad=True), library.tensor(value, requires_grad=True)
        y = x * 2
        y[of(library, index)] = v
        (y * library.tensor(weight)).sum().backward()
        grads.append([None if t.grad is None else t.grad.numpy() for t in (x, v)])
    for expected, found in zip(*grads):
        if expected is not None:
            np.testing.assert_allclose(found, expected, 1e-6, 1e-6)


BAD = [
    (0, 0, 0, 0, 0), 7, -6, S(None, None, -1), 1.5, A([9]), A([-6]), A([1.5]), X[0] > 0, (A([0, 1]), A([0, 1, 2])),
    (S(None), A([4])),
]  # fmt: skip


@pytest.mark.parametrize("index", BAD, ids=lambda i: repr(i).replace("\n", "")[:50])
def test_bad_indices_raise_what_pytorch_raises(index):
    with pytest.raises(Exception) as theirs:
        torch.tensor(X)[of(torch, index)]
    with pytest.raises(theirs.type):
        mezzo.tensor(X)[of(mezzo, index)]


@pytest.mark.parametrize("index", [A([0, 7]), (A([1]), A([-5]))])
def test_a_bad_write_touches_nothing_outside(index):
    whole = mezzo.zeros(7, 4, 3)
    inside = whole[1:6]
    with pytest.raises(OutOfRangeError, match="out of bounds for dimension"):
        inside[of(mezzo, index)] = 1.0
    assert whole[0].sum().item() == 0 and whole[6].sum().item() == 0


def test_the_error_names_index_axis_and_size():
    x = mezzo.zeros(3, 4)
    for read in (lambda: x[:, mezzo.tensor([1, 4])], lambda: x.index_select(1, mezzo.tensor([4]))):
        with pytest.raises(
            IndexError, match="index 4 is out of bounds for dimension 1 with size 4"
        ):
            read()
    with pytest.raises(IndexError, match="with size 0"):
        mezzo.zeros(0, 3)[mezzo.tensor([0])]


def test_values_that_do_not_fit():
    x = mezzo.zeros(3, 4)
    with pytest.raises(RuntimeError, match="broadcast"):
        x[mezzo.tensor([0, 1])] = mezzo.zeros(3, 4)
    with pytest.raises(RuntimeError):
        x[0] = mezzo.zeros(5)
    with pytest.raises(RuntimeError, match="dtype"):
        x[mezzo.tensor([0])] = mezzo.zeros(4, dtype=mezzo.float64)


@pytest.mark.parametrize("size", [1, 3, 16, 17, 33, 100])
@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "float32", "float64", "complex64", "complex128"]
)
def test_every_width_goes_through_rows_and_elements(size, dtype):
    x = (RNG.standard_normal((40, size)) * 50).astype(dtype)
    rows, columns = RNG.integers(-40, 40, 25), RNG.integers(0, size, 37)
    t = mezzo.tensor(x)
    np.testing.assert_array_equal(t[mezzo.tensor(rows)].numpy(), x[rows])
    np.testing.assert_array_equal(t[:, mezzo.tensor(columns)].numpy(), x[:, columns])
    np.testing.assert_array_equal(t.t()[mezzo.tensor(columns)].numpy(), x.T[columns])
    index = RNG.integers(0, 40, (60, size))
    np.testing.assert_array_equal(
        t.gather(0, mezzo.tensor(index)).numpy(), np.take_along_axis(x, index, 0)
    )


@pytest.mark.parametrize(
    "shape, count", [((1000, 3), 70000), ((50, 300), 4000), ((9,), 100000), ((2000, 64), 3000)]
)
def test_sums_by_index_are_those_of_numpy_and_the_same_on_any_number_of_threads(shape, count):
    index = RNG.integers(0, shape[0], count)
    source = RNG.standard_normal((count, *shape[1:])).astype("float32")
    expected = np.zeros(shape, "float64")
    np.add.at(expected, index, source)
    found = []
    before = mezzo.get_num_threads()
    try:
        for threads in (1, 2, 3):
            mezzo.set_num_threads(threads)
            found.append(
                mezzo.zeros(*shape).index_add(0, mezzo.tensor(index), mezzo.tensor(source)).numpy()
            )
    finally:
        mezzo.set_num_threads(before)
    np.testing.assert_allclose(found[0], expected, 1e-3, 1e-3)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_bad_place_among_rows_that_threads_share():
    index = np.arange(3000) % 500
    index[[7, 2001]] = 612, -601
    before = mezzo.get_num_threads()
    try:
        for threads in (1, 2):
            mezzo.set_num_threads(threads)
            with pytest.raises(IndexError, match="index -601 is out of bounds"):
                mezzo.zeros(500, 64).index_add(0, mezzo.tensor(index), mezzo.ones(3000, 64))
    finally:
        mezzo.set_num_threads(before)


@pytest.mark.parametrize("width", [64, 80])
def test_rows_gathered_past_the_caches(width):
    x = RNG.standard_normal((1000, width)).astype("float32")
    index = RNG.integers(-1000, 1000, 1 << 16)
    np.testing.assert_array_equal(mezzo.tensor(x)[mezzo.tensor(index)].numpy(), x[index])


def test_half_precision_sums_round_once():
    ones = mezzo.ones(4096, dtype=mezzo.bfloat16)
    total = mezzo.zeros(1, dtype=mezzo.bfloat16).index_add(
        0, mezzo.zeros(4096, dtype=mezzo.int64), ones
    )
    assert total.item() == 4096


def test_a_corner_of_the_source_gets_the_gradient():
    """PyTorch has no gradient for a source larger than its index: ours is zero outside the corner."""
    source = mezzo.ones(3, 5, requires_grad=True)
    index = mezzo.tensor([[0, 1], [1, 1]])
    mezzo.zeros(3, 4).scatter_add(1, index, source).sum().backward()
    np.testing.assert_array_equal(source.grad.numpy(), np.pad(np.ones((2, 2)), ((0, 1), (0, 3))))


def test_embedding_renormalises_rows_it_reads():
    table = np.array([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]], "float32")
    ours, theirs = mezzo.tensor(table), torch.tensor(table)
    found = mezzo.nn.functional.embedding(mezzo.tensor([0, 1]), ours, max_norm=1.0)
    expected = torch.nn.functional.embedding(torch.tensor([0, 1]), theirs, max_norm=1.0)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), 1e-6)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), 1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int64", "int8"])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_scatters_of_many_elements_by_every_axis(dim, dtype):
    """Long enough for addresses to be found by vectors, with places that occur again and again."""
    rng = np.random.default_rng(dim)
    kind = getattr(torch, dtype)
    into, source = (
        torch.tensor(rng.integers(-3, 4, shape)).to(kind) for shape in ((9, 70, 37), (9, 70, 130))
    )
    into = into if dim != 2 else torch.zeros(9, 70, 5, dtype=kind)
    index = torch.tensor(rng.integers(0, into.shape[dim], (9, 70, 37 if dim != 2 else 130)))
    mine = [mezzo.tensor(t.float().numpy()).to(getattr(mezzo, dtype)) for t in (into, source)]
    where = mezzo.tensor(index.numpy())

    def same(got, want):
        assert np.array_equal(got.double().numpy(), want.double().numpy())

    same(mine[0].scatter_add(dim, where, mine[1]), into.scatter_add(dim, index, source))
    for mode in ("amax", "amin"):
        want = into.scatter_reduce(dim, index, source, mode)
        same(mine[0].scatter_reduce(dim, where, mine[1], mode), want)
    places = torch.tensor(rng.integers(-into.numel(), into.numel(), source.numel() // 2))
    want = into.flatten().index_put((places,), source.flatten()[: places.numel()], True)
    places, values = mezzo.tensor(places.numpy()), mine[1].flatten()[: places.numel()]
    same(mine[0].flatten().index_put((places,), values, True), want)


@pytest.mark.parametrize("at", [0, 15, 16, 40, 69])
@pytest.mark.parametrize("dim", [0, 1])
def test_a_bad_place_among_many_is_named(dim, at):
    index = mezzo.zeros(70, 70, dtype=mezzo.int64)
    index[at, at] = 99
    with pytest.raises(IndexError, match="index 99 is out of bounds for dimension"):
        mezzo.zeros(70, 70).scatter_add(dim, index, mezzo.ones(70, 70))
