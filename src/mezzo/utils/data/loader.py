"""DataLoader: batches of a dataset, made here or ahead of time by worker processes.

The order of batches depends on the seed alone, not on the number of workers: request i goes to worker
i mod n and answers are taken in the order of the requests.
"""

from __future__ import annotations

import itertools
from collections import deque

from mezzo.utils.data.collate import default_collate, default_convert
from mezzo.utils.data.dataset import IterableDataset
from mezzo.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    draw_seed,
)
from mezzo.utils.data.worker import End, Failure, Fetcher
from mezzo.utils.data.workers import Workers, context_of

_FIXED = {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"}
_NOTHING = object()


class DataLoader:
    """Iterates over batches of a dataset.

    pin_memory is accepted: there is nothing to pin for while tensors stay on the CPU.

    Example: >>> for x, y in DataLoader(TensorDataset(xs, ys), batch_size=32, shuffle=True): ...
    """

    def __init__(
        self,
        dataset,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler=None,
        batch_sampler=None,
        num_workers: int = 0,
        collate_fn=None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ):
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        streams = isinstance(dataset, IterableDataset)
        _check_sampling(streams, batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.dataset, self.num_workers, self.timeout = dataset, num_workers, timeout
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.worker_init_fn, self.generator = worker_init_fn, generator
        self.multiprocessing_context = multiprocessing_context
        self.persistent_workers, self.in_order = persistent_workers, in_order
        if sampler is None and not streams:
            sampler = (
                RandomSampler(dataset, generator=generator)
                if shuffle
                else SequentialSampler(dataset)
            )
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        elif batch_size is not None and not streams:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        elif batch_size is not None and batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        self.batch_size, self.drop_last = batch_size, drop_last
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self._batched = batch_size is not None or batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if self._batched else default_convert)
        self._streams, self._workers = streams, None
        self._built = True

    def __setattr__(self, name: str, value) -> None:
        if name in _FIXED and "_built" in self.__dict__:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self):
        """How workers are started: None (the default), 'fork', 'spawn', ... or a context."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context) -> None:
        if context is None:
            self._context = None
            return
        if self.num_workers == 0:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading (num_workers > "
                "0), but got num_workers=0"
            )
        self._context = context_of(context)

    def _indices(self):
        """What is fetched for each batch: indices, or the number of samples of a stream."""
        if self._streams:
            return itertools.repeat(self.batch_size)
        return iter(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def __len__(self) -> int:
        if not self._streams:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)
        count = len(self.dataset)
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self):
        seed = draw_seed(self.generator)  # with and without workers, so that the order is the same
        if self.num_workers == 0:
            return self._iterate_here()
        workers = self._workers
        if workers is None or not workers.stop.alive:
            workers = Workers(
                context_of(self._context),
                self.num_workers,
                seed,
                self.dataset,
                self._batched,
                self.collate_fn,
                self.drop_last,
                self.worker_init_fn,
            )
            self._workers = workers if self.persistent_workers else None
        return _Iterator(self, workers)

    def _iterate_here(self):
        fetcher = Fetcher(self.dataset, self._batched, self.collate_fn, self.drop_last)
        for index in self._indices():
            batch = fetcher.fetch(index)
            if isinstance(batch, End):
                return
            yield batch


class _Iterator:
    """One pass over the batches that workers make; keeps prefetch_factor requests with each."""

    def __init__(self, loader: DataLoader, workers: Workers):
        self._workers, self._timeout = workers, loader.timeout
        self._in_order, self._keep = loader.in_order, loader.persistent_workers
        self._indices = loader._indices()
        self._length = loader.__len__
        self._epoch = workers.begin()
        self._pending: deque[int] = deque()  # the worker of each request, oldest first
        self._exhausted: set[int] = set()
        for _ in range(loader.prefetch_factor):
            for worker in range(loader.num_workers):
                self._request(worker)

    def __iter__(self):
        return self

    def __len__(self) -> int:
        return self._length()

    def _request(self, worker: int) -> None:
        index = next(self._indices, _NOTHING)
        if index is not _NOTHING:
            self._workers.ask(worker, index)
            self._pending.append(worker)

    def __next__(self):
        if self._pending and self._epoch != self._workers.epoch:
            raise RuntimeError(
                "DataLoader: another pass over persistent workers was begun; this one cannot go on. "
                "Use persistent_workers=False to iterate twice at a time."
            )
        while self._pending:
            candidates = [self._pending[0]] if self._in_order else sorted({*self._pending})
            worker, answer = self._workers.receive(candidates, self._timeout)
            self._pending.remove(worker)
            if isinstance(answer, End):
                self._exhausted.add(worker)
                continue
            if worker not in self._exhausted:
                self._request(worker)
            if isinstance(answer, Failure):
                answer.reraise()
            return answer
        if not self._keep:
            self._workers.stop()
        raise StopIteration


def _check_workers(count: int, timeout: float, prefetch: int | None, persistent: bool) -> None:
    if count < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if count == 0 and prefetch is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing. let num_workers > 0 to "
            "enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch is not None and prefetch < 1:
        raise ValueError("prefetch_factor option should be positive")
    if persistent and count == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_sampling(streams: bool, batch_size, shuffle, sampler, batch_sampler, drop_last) -> None:
    """Refuse options that contradict each other, in PyTorch's words."""
    if streams:
        for name, given in (
            ("shuffle", shuffle or None),
            ("sampler", sampler),
            ("batch_sampler", batch_sampler),
        ):
            if given is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                    f"{name}={given}"
                )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (
        batch_size != 1 or shuffle or sampler is not None or drop_last
    ):
        raise ValueError(
            "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
        )
    if batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )
