"""What does jobs on this machine: this process, or local ones that are ended with it, by joblib."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor, process_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from batik_utils.errors import BatikError

Job = tuple[Callable[..., Any], tuple[Any, ...]]  # a function that workers can import, and its arguments
WORKER_GROWTH = 4_000_000_000  # bytes by which a local worker may grow over its first job before it is replaced
WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class WorkerDied:
    """Stands for the result of a job whose process died, with a reason for people."""

    reason: str


@dataclass
class Local:
    """This process, or processes of this machine, as joblib is set up around it."""

    side_by_side: int

    @classmethod
    @contextmanager
    def serial(cls) -> Iterator[Local]:
        """This process alone."""
        with parallel_config(backend="sequential"):
            yield cls(1)

    @classmethod
    @contextmanager
    def processes(cls, jobs: int | None) -> Iterator[Local]:
        """So many processes, by default one per core, of one thread each."""
        jobs = jobs or cpu_count()
        # With one job, joblib would stay in this process; a process may die without taking the run with it.
        own = {"initializer": _begin, "initargs": (os.getpid(),)}
        with parallel_config(backend="loky", n_jobs=max(2, jobs), inner_max_num_threads=1, **own):
            yield cls(jobs)

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        """Do the jobs in about their order; gives (index, result) as they finish.

        Where a worker dies, whatever it and its neighbours were doing is done again, each by itself, so that the
        guilty job can be told from the others; its result is then a WorkerDied, and the rest goes on.
        """
        left = dict(enumerate(jobs))
        while left:
            sent: list[int] = []
            try:
                yield from self._drain(left, _noting(list(left), sent), self.side_by_side)
            except TerminatedWorkerError as error:
                # Only jobs that were sent and did not come back can be guilty.
                suspects = [index for index in sent if index in left]
                if not suspects:
                    raise BatikError(f"The workers died before they had work: {error}") from None
                for index in suspects:
                    try:
                        yield from self._drain(left, [index], 1)
                    except TerminatedWorkerError as death:
                        del left[index]
                        killed = " (SIGKILL: perhaps out of memory)" if "SIGKILL" in str(death) else ""
                        yield index, WorkerDied(f"its process died{killed}")

    def _drain(self, left: dict[int, Job], indices: Iterable[int], side_by_side: int) -> Iterator[tuple[int, Any]]:
        # One job alone stays alone; otherwise the next ones wait beside the workers, so that none idles.
        ahead = side_by_side if side_by_side == 1 else 2 * side_by_side
        parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=ahead)
        calls = (delayed(_indexed)(index, left[index][0], *left[index][1]) for index in indices)
        for index, result in parallel(calls):
            del left[index]
            yield index, result


def release_workers() -> None:
    """End the idle local processes, which keep their networks (and more than a gigabyte each) for the next job."""
    get_reusable_executor().shutdown(wait=True)


def _begin(parent: int) -> None:
    """What a local worker does first: see to it that it ends when its parent was killed, and not before."""
    # loky restarts a worker that grows by 300 MB, which it takes for a leak. Here it is a compiled network, kept on
    # purpose for the next fit; a restart would compile it again. There is no public setting.
    process_executor._MAX_MEMORY_LEAK_SIZE = WORKER_GROWTH
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:  # on Windows for ever: there a killed parent's children stay
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def _noting(indices: list[int], sent: list[int]) -> Iterator[int]:
    for index in indices:
        sent.append(index)
        yield index


def _indexed(index: int, function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    return index, function(*arguments)
