"""Where work is done: in this process or in local ones, by joblib, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor, process_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from batik_utils.errors import BatikError
from batik_utils.experiment.cluster import Cluster
from batik_utils.experiment.jobs import Job, WorkerDied

WORKER_GROWTH = 4_000_000_000
"""Bytes by which a local worker may grow over its first job before it is replaced."""


@contextmanager
def opened(executor: str, jobs: int | None = None) -> Iterator[Local | Cluster]:
    """What runs jobs, by its method run: this process, local ones, or a cluster.

    executor is "serial", "processes" (jobs of them, by default one per core; one thread each) or the address of a
    Dask scheduler. Raises BatikError where that does not answer, or its workers run other code.
    """
    if executor == "serial":
        with parallel_config(backend="sequential"):
            yield Local(1)
    elif executor == "processes":
        jobs = jobs or cpu_count()
        # With one job, joblib would stay in this process; a process may die without taking the run with it.
        with parallel_config(backend="loky", n_jobs=max(2, jobs), inner_max_num_threads=1):
            yield Local(jobs)
    else:
        with Cluster.at(executor) as cluster:
            yield cluster


@dataclass
class Local:
    """This process, or processes of this machine, as joblib is set up around it."""

    side_by_side: int

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
                        yield index, WorkerDied.of(death)

    def _drain(self, left: dict[int, Job], indices: Any, side_by_side: int) -> Iterator[tuple[int, Any]]:
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


def _noting(indices: list[int], sent: list[int]) -> Iterator[int]:
    for index in indices:
        sent.append(index)
        yield index


def _indexed(index: int, function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    # loky restarts a worker that grows by 300 MB, which it takes for a leak. Here it is a compiled network, kept on
    # purpose for the next fit; a restart would compile it again. There is no public setting.
    process_executor._MAX_MEMORY_LEAK_SIZE = WORKER_GROWTH
    return index, function(*arguments)
