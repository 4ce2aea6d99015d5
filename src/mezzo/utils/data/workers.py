"""The worker processes of a DataLoader, seen from the parent: start, ask, receive, stop."""

from __future__ import annotations

import os
import signal
import time
import warnings
import weakref

from mezzo.utils.data.transport import receive
from mezzo.utils.data.worker import Job, run

PATIENCE = 5.0  # seconds a worker has to finish what it is doing before it is terminated


class Workers:
    """Processes with one pipe each. Every request and answer carries the number of its epoch."""

    def __init__(
        self, context, count: int, seed: int, dataset, batched, collate, drop_last, init_fn
    ):
        self.epoch = 0
        self.connections: list = []
        self.processes: list = []
        self.stop = weakref.finalize(self, _stop, self.processes, self.connections, os.getpid())
        forks = context.get_start_method() == "fork"
        try:
            for id in range(count):
                ours, theirs = context.Pipe()
                self.connections.append(ours)
                job = Job(
                    dataset, batched, collate, drop_last, id, count, seed + id, init_fn,
                    list(self.connections) if forks else [],
                )  # fmt: skip
                process = context.Process(target=run, args=(theirs, job), daemon=True)
                _start(process)
                self.processes.append(process)
                theirs.close()
        except BaseException:
            self.stop()
            raise

    def begin(self) -> int:
        """A new epoch; answers of earlier ones will be dropped."""
        self.epoch += 1
        return self.epoch

    def ask(self, worker: int, index) -> None:
        """Request a batch from one worker."""
        try:
            self.connections[worker].send((self.epoch, index))
        except (BrokenPipeError, ConnectionError):
            self._dead(worker)

    def receive(self, candidates: list[int], timeout: float):
        """(worker, answer) of the first of the candidates that answers.

        Raises: RuntimeError after `timeout` seconds (0: never), or if one of them is dead.
        """
        from multiprocessing.connection import wait

        deadline = time.monotonic() + timeout if timeout > 0 else None
        pipes = {self.connections[worker]: worker for worker in candidates}
        ends = {self.processes[worker].sentinel: worker for worker in candidates}
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = wait([*pipes, *ends], left)
            if not ready:
                raise RuntimeError(
                    f"DataLoader timed out after {timeout} seconds; raise timeout, or find out with "
                    "num_workers=0 what the dataset waits for."
                )
            answered = [pipe for pipe in ready if pipe in pipes]
            for pipe in answered:
                worker = pipes[pipe]
                try:
                    epoch, answer = receive(pipe)
                except (EOFError, ConnectionError):
                    self._dead(worker)
                if epoch == self.epoch:
                    return worker, answer
            if not answered:
                self._dead(ends[ready[0]])

    def _dead(self, worker: int) -> None:
        """Stop the others and say what happened to this one."""
        process = self.processes[worker]
        process.join(PATIENCE)
        pid, code = process.pid, process.exitcode
        self.stop()
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            how = f"was killed by signal: {name}"
            hint = " The system may have run out of memory." if -code == signal.SIGKILL else ""
        else:
            how, hint = f"exited unexpectedly with exit code {code}", ""
        raise RuntimeError(
            f"DataLoader worker {worker} (pid {pid}) {how}.{hint} Use num_workers=0 to see the error in "
            "this process."
        )


def context_of(given):
    """The multiprocessing context that a name, a context or None means. Raises: ValueError, TypeError."""
    import multiprocessing

    if given is None:
        return multiprocessing.get_context()
    if isinstance(given, str):
        methods = multiprocessing.get_all_start_methods()
        if given not in methods:
            raise ValueError(
                "multiprocessing_context option should specify a valid start method in "
                f"{methods!r}, but got multiprocessing_context={given!r}"
            )
        return multiprocessing.get_context(given)
    if not hasattr(given, "get_start_method") or not hasattr(given, "Process"):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string "
            f"specifying the start method, but got multiprocessing_context={given}"
        )
    return given


def _start(process) -> None:
    """Start a process; mezzo's threads survive a fork, so Python's warning about it is not shown."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
        process.start()


def _stop(processes: list, connections: list, owner: int) -> None:
    """Close the pipes, which ends the workers, and wait; terminate those that take too long."""
    if os.getpid() != owner:  # a copy in a forked child: the processes are not its own
        return
    for connection in connections:
        connection.close()
    deadline = time.monotonic() + PATIENCE
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    for end in ("terminate", "kill"):
        for process in processes:
            if process.is_alive():
                getattr(process, end)()
                process.join(1.0)
    for process in processes:
        if not process.is_alive():
            process.close()
