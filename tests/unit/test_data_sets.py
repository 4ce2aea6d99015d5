"""Datasets, samplers and collation against PyTorch's."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
import torch

import mezzo
from mezzo.utils import data

theirs = torch.utils.data


class Squares(data.Dataset):
    def __init__(self, count: int, start: int = 0):
        self.count, self.start = count, start

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        return (self.start + index) ** 2


def generator(seed: int):
    made = mezzo.Generator()
    made.manual_seed(seed)
    return made


def test_tensor_dataset_and_subset():
    x = mezzo.tensor(np.arange(12, dtype=np.float32).reshape(6, 2))
    y = mezzo.tensor(np.arange(6))
    rows = data.TensorDataset(x, y)
    assert len(rows) == 6 and rows[2][0].tolist() == [4.0, 5.0] and rows[2][1].item() == 2
    part = data.Subset(rows, [5, 1])
    assert len(part) == 2 and part[0][1].item() == 5
    with pytest.raises(AssertionError, match="Size mismatch"):
        data.TensorDataset(x, y[:3])


def test_concatenation_and_stack():
    both = Squares(3) + Squares(2, start=10)
    assert [both[i] for i in range(len(both))] == [0, 1, 4, 100, 121]
    assert both[-1] == 121
    with pytest.raises(IndexError):
        both[5]
    with pytest.raises(ValueError, match="absolute value"):
        both[-6]
    with pytest.raises(AssertionError, match="empty"):
        data.ConcatDataset([])
    assert data.StackDataset(Squares(2), Squares(2, 1))[1] == (1, 4)
    assert data.StackDataset(a=Squares(2), b=Squares(2, 1))[1] == {"a": 1, "b": 4}
    with pytest.raises(ValueError, match="Size mismatch"):
        data.StackDataset(Squares(2), Squares(3))


@pytest.mark.parametrize("lengths", [[7, 3], [0.5, 0.25, 0.25], [0.33, 0.33, 0.34], [1.0]])
def test_random_split(lengths):
    parts = data.random_split(Squares(10), lengths, generator=generator(1))
    expected = theirs.random_split(range(10), lengths)
    assert [len(p) for p in parts] == [len(p) for p in expected]
    assert sorted(i for p in parts for i in p.indices) == list(range(10))
    again = data.random_split(Squares(10), lengths, generator=generator(1))
    assert [p.indices for p in parts] == [p.indices for p in again]


def test_random_split_errors():
    with pytest.raises(ValueError, match="Sum of input lengths"):
        data.random_split(Squares(10), [3, 3])
    with pytest.warns(UserWarning, match="index 1 is 0"):
        data.random_split(Squares(3), [0.9, 0.1])


def test_random_sampler():
    order = list(data.RandomSampler(range(50), generator=generator(3)))
    assert sorted(order) == list(range(50)) and order != list(range(50))
    assert order == list(data.RandomSampler(range(50), generator=generator(3)))
    sampler = data.RandomSampler(range(4), num_samples=10)
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 10 and sorted(drawn[:4]) == [0, 1, 2, 3]
    endless = iter(data.RandomSampler(range(4), replacement=True, num_samples=10**12))
    assert {next(endless) for _ in range(3000)} == {0, 1, 2, 3}
    drawn = list(data.RandomSampler(range(4), replacement=True, num_samples=400))
    assert min(np.bincount(drawn, minlength=4)) > 50
    mezzo.manual_seed(5)
    first = list(data.RandomSampler(range(20)))
    second = list(data.RandomSampler(range(20)))
    mezzo.manual_seed(5)
    assert first == list(data.RandomSampler(range(20))) and first != second
    assert list(data.RandomSampler(range(0))) == []


def test_weighted_and_subset_samplers():
    drawn = list(data.WeightedRandomSampler([0.0, 1.0, 3.0], 4000, generator=generator(0)))
    counts = np.bincount(drawn, minlength=3)
    assert counts[0] == 0 and 2.4 < counts[2] / counts[1] < 3.7
    drawn = list(data.WeightedRandomSampler([1.0, 2.0, 3.0], 3, replacement=False))
    assert sorted(drawn) == [0, 1, 2]
    assert sorted(data.SubsetRandomSampler([3, 5, 9])) == [3, 5, 9]
    with pytest.raises(ValueError, match="1d sequence"):
        data.WeightedRandomSampler([[1.0]], 2)
    with pytest.raises(ValueError, match="num_samples"):
        data.RandomSampler(range(3), num_samples=0)
    with pytest.raises(TypeError, match="replacement"):
        data.RandomSampler(range(3), replacement=1)


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batch_sampler(count, drop_last):
    mine = data.BatchSampler(data.SequentialSampler(range(count)), 3, drop_last)
    other = theirs.BatchSampler(theirs.SequentialSampler(range(count)), 3, drop_last)
    assert list(mine) == list(other) and len(mine) == len(other)


Point = namedtuple("Point", "x y")
SAMPLES = [
    [1, 2],
    [1.5, 2.5],
    [True, False],
    ["a", "b"],
    [(1, 2.0), (3, 4.0)],
    [[1, 2], [3, 4]],
    [{"a": 1, "b": (2.0, "s")}, {"a": 3, "b": (4.0, "t")}],
    [Point(1, 2.0), Point(3, 4.0)],
    [np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)],
    [np.float32(1), np.float32(2)],
    [np.arange(3), np.arange(3)],
]


def plain(value):
    """Nested tensors as (type, dtype, values)."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [plain(part) for part in value]
    if hasattr(value, "dtype"):
        return str(value.dtype).replace("torch.", "mezzo."), value.tolist()
    return value


@pytest.mark.parametrize("batch", SAMPLES, ids=str)
def test_default_collate(batch):
    assert plain(data.default_collate(batch)) == plain(theirs.default_collate(batch))
    assert plain(data.default_convert(batch)) == plain(theirs.default_convert(batch))


@pytest.mark.parametrize(
    ("batch", "kind", "text"),
    [
        ([object(), object()], TypeError, "object"),
        ([{"a": (1, None)}, {"a": (1, None)}], TypeError, r"NoneType.*the sample\['a'\]\[1\]"),
        ([[1], [1, 2]], RuntimeError, "equal size"),
        ([np.zeros(2), np.zeros(3)], RuntimeError, "equal size"),
        ([np.array(["a"])], TypeError, "numpy arrays"),
    ],
)
def test_collate_errors(batch, kind, text):
    with pytest.raises(kind, match=text):
        data.default_collate(batch)
