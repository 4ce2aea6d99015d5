"""What runs in a worker process: fetch batches on request, send them back, report every error.

A worker listens in a thread, so that the parent's requests never wait for a worker that itself waits
to send; and so it notices at once when the parent is gone.
"""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from mezzo.kernels.cpu import pool
from mezzo.ops.random import manual_seed
from mezzo.utils.data.dataset import IterableDataset
from mezzo.utils.data.transport import send


@dataclasses.dataclass(frozen=True)
class WorkerInfo:
    """Which worker this is: id of num_workers, its seed, and its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_current: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """The WorkerInfo of this process, or None in the main process."""
    return _current


class End:
    """In place of a batch: the stream is exhausted."""


@dataclasses.dataclass
class Fetcher:
    """Makes batches of a dataset; `batched` says whether an index is a list of them."""

    dataset: Any
    batched: bool
    collate: Callable
    drop_last: bool

    def __post_init__(self):
        streams = isinstance(self.dataset, IterableDataset)
        self._stream = iter(self.dataset) if streams else None

    def fetch(self, index):
        """The batch of an index (for a stream: of so many samples), or End."""
        if self._stream is not None:
            return self._next(index)
        if not self.batched:
            return self.collate(self.dataset[index])
        if getattr(self.dataset, "__getitems__", None) is not None:
            return self.collate(self.dataset.__getitems__(index))
        return self.collate([self.dataset[i] for i in index])

    def _next(self, count: int | None):
        samples = []
        for sample in self._stream:
            samples.append(sample)
            if len(samples) >= (count or 1):
                break
        if not samples or (self.batched and self.drop_last and len(samples) < count):
            return End()
        return self.collate(samples if self.batched else samples[0])


class _Text(str):
    """A message whose repr is itself: KeyError prints the repr."""

    def __repr__(self) -> str:
        return str(self)


@dataclasses.dataclass
class Failure:
    """An exception of a worker, with its traceback as text."""

    kind: type[BaseException]
    text: str

    def reraise(self) -> None:
        """Raise the same kind of exception here, with the worker's traceback in the message."""
        text = _Text(self.text) if issubclass(self.kind, KeyError) else self.text
        try:
            error = self.kind(text)
        except Exception:  # an exception whose constructor takes other arguments
            error = RuntimeError(text)
        raise error


def failure(error: BaseException, id: int) -> Failure:
    """The Failure of an exception that is being handled in worker `id`."""
    import traceback  # what only workers need, `import mezzo` does without

    kind = type(error)
    return Failure(
        kind,
        f"Caught {kind.__name__} in DataLoader worker process {id}.\nOriginal "
        f"{traceback.format_exc()}",
    )


@dataclasses.dataclass
class Job:
    """All that a worker is started with. `inherited` are the parent's pipes that fork copied."""

    dataset: Any
    batched: bool
    collate: Callable
    drop_last: bool
    id: int
    count: int
    seed: int
    initialise: Callable | None
    inherited: list


def run(connection, job: Job) -> None:
    """The main function of a worker."""
    import queue

    for pipe in job.inherited:
        pipe.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it stops the workers
    tasks: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
    broken = _prepare(job)
    epoch, fetcher = None, None
    while (task := tasks.get()) is not None:
        number, index = task
        try:
            if broken is None and number != epoch:
                epoch = number
                fetcher = Fetcher(job.dataset, job.batched, job.collate, job.drop_last)
            answer = broken or fetcher.fetch(index)
        except Exception as error:
            answer = failure(error, job.id)
        if not _answer(connection, number, answer, job.id):
            return


def _prepare(job: Job) -> Failure | None:
    """Seed the process and call the user's function; a failure is kept to answer every request."""
    global _current
    import random

    _current = WorkerInfo(job.id, job.count, job.seed, job.dataset)
    try:
        random.seed(job.seed)
        np.random.seed([job.seed & 0xFFFFFFFF, job.seed >> 32])
        manual_seed(job.seed)
        pool.set_num_threads(1)  # the workers are the parallelism
        if job.initialise is not None:
            job.initialise(job.id)
    except Exception as error:
        return failure(error, job.id)
    return None


def _listen(connection, tasks) -> None:
    """Move requests from the pipe to the queue; None when the parent is done or gone."""
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        tasks.put(None)


def _answer(connection, number: int, answer, id: int) -> bool:
    """Send an answer; False when the parent no longer listens."""
    try:
        try:
            send(connection, (number, answer))
        except (BrokenPipeError, ConnectionError):
            return False
        except Exception as error:  # the batch, or the class of an exception, cannot be pickled
            told = failure(error, id)
            text = answer.text if isinstance(answer, Failure) else told.text
            send(connection, (number, Failure(RuntimeError, text)))
    except OSError:
        return False
    return True
