"""Samplers: in which order indices, or lists of indices, are drawn."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Generic, TypeVar

from mezzo import ops
from mezzo.dtypes import float64, int64
from mezzo.ops.random import Generator

T = TypeVar("T")


def draw_seed(generator=None) -> int:
    """A random 63-bit integer from the generator, or from the default one."""
    return ops.randint(0, 2**63 - 1, (1,), dtype=int64, generator=generator).item()


class Sampler(Generic[T]):
    """Iterates over indices; a subclass defines __iter__ and, if it is known, __len__."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__.")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ..."""

    def __init__(self, data_source: Sized):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


def _check_replacement(replacement, operation: str) -> None:
    if not isinstance(replacement, bool):
        raise TypeError(
            f"{operation}: replacement should be a boolean value, but got replacement={replacement}"
        )


def _check_count(count, operation: str) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count <= 0:
        raise ValueError(
            f"{operation}: num_samples should be a positive integer value, but got num_samples={count}"
        )


_AT_ONCE = 1024  # indices drawn with replacement by one call


class RandomSampler(Sampler[int]):
    """All indices in random order, or num_samples of them, with replacement or without.

    Without a generator, each pass draws one seed from the default generator.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator=None,
    ):
        _check_replacement(replacement, "RandomSampler")
        if num_samples is not None:
            _check_count(num_samples, "RandomSampler")
        self.data_source, self.replacement = data_source, replacement
        self._num_samples, self.generator = num_samples, generator

    @property
    def num_samples(self) -> int:
        """How many indices one pass draws."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size = len(self.data_source)
        generator = self.generator
        if generator is None:
            generator = Generator()
            generator.manual_seed(draw_seed())
        left = self.num_samples
        if self.replacement:  # a few at a time: num_samples may be as good as endless
            while left > 0:
                count = min(left, _AT_ONCE)
                drawn = ops.randint(0, size, (count,), dtype=int64, generator=generator)
                yield from drawn.tolist()
                left -= count
            return
        while left > 0:
            yield from ops.randperm(size, generator=generator).tolist()[:left]
            left -= size

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order."""

    def __init__(self, indices: Sequence[int], generator=None):
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        for place in ops.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[place]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """num_samples indices, each drawn with its weight."""

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator=None,
    ):
        _check_count(num_samples, "WeightedRandomSampler")
        _check_replacement(replacement, "WeightedRandomSampler")
        self.weights = ops.as_tensor(weights, dtype=float64)
        if self.weights.dim() != 1:
            raise ValueError(
                "weights should be a 1d sequence but given weights have shape "
                f"{tuple(self.weights.shape)}"
            )
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self) -> Iterator[int]:
        drawn = ops.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        )
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list]):
    """Lists of batch_size indices of another sampler; the last may be shorter."""

    def __init__(self, sampler: Sampler | Iterable, batch_size: int, drop_last: bool):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        count = len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
