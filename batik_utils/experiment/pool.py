"""Where work is done: in this process, in local processes, or on a Dask cluster; joblib underneath all three."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor, process_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from batik_utils.errors import BatikError
from batik_utils.experiment.keys import code_sha256

WORKER_GROWTH = 4_000_000_000
"""Bytes by which a local worker may grow over its first job before it is replaced."""

Job = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function that workers can import, and its arguments."""


@contextmanager
def opened(executor: str, jobs: int | None = None) -> Iterator[int]:
    """Everything that run_jobs does inside happens on this executor; gives the number of jobs side by side.

    executor is "serial", "processes" (jobs of them, by default one per core; one thread each) or the address of a
    Dask scheduler. Raises BatikError where that does not answer, or its workers run other code.
    """
    if executor == "serial":
        with parallel_config(backend="sequential"):
            yield 1
    elif executor == "processes":
        jobs = jobs or cpu_count()
        # With one job, joblib would stay in this process; a process may die without taking the run with it.
        with parallel_config(backend="loky", n_jobs=max(2, jobs), inner_max_num_threads=1):
            yield jobs
    else:
        with _client(executor) as client, parallel_config(backend="dask", client=client, n_jobs=-1):
            yield sum(client.ncores().values())


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise BatikError("Dask is not installed; pip install 'batik-utils[dask]'.") from None
    try:
        client = Client(address, set_as_default=False, timeout=20)
    except (OSError, ValueError) as error:
        raise BatikError(f"No Dask scheduler answers at {address}: {type(error).__name__}.") from None
    with client:
        client.wait_for_workers(1, timeout=60)
        try:
            found = client.run(code_sha256)
        except Exception as error:
            raise BatikError(
                f"A Dask worker cannot run batik_utils: {type(error).__name__}: {error}"
            ) from None
        if other := [worker for worker, code in found.items() if code != code_sha256()]:
            raise BatikError(
                f"The Dask worker {other[0]} runs another version of batik_utils than the caller."
            )
        yield client


def run_jobs(jobs: Sequence[Job], side_by_side: int) -> Iterator[tuple[int, Any]]:
    """Do the jobs in about their order; gives (index, result) as they finish.

    Where a worker dies, whatever it and its neighbours were doing is done again, each by itself, so that the guilty
    job can be told from the others; its result is then a WorkerDied, and the rest goes on.
    """
    left = dict(enumerate(jobs))
    while left:
        sent: list[int] = []
        try:
            yield from _drain(left, _noting(list(left), sent), side_by_side)
        except _died() as error:
            # Only jobs that were sent and did not come back can be guilty.
            suspects = [index for index in sent if index in left]
            if not suspects:
                raise BatikError(f"The workers died before they had work: {error}") from None
            for index in suspects:
                try:
                    yield from _drain(left, [index], 1)
                except _died() as death:
                    del left[index]
                    yield index, WorkerDied(death)


def release_workers() -> None:
    """End the idle local processes, which keep their networks (and more than a gigabyte each) for the next job."""
    get_reusable_executor().shutdown(wait=True)


class WorkerDied:
    """Stands for the result of a job whose process died, with a reason for people."""

    def __init__(self, death: Exception) -> None:
        killed = isinstance(death, TerminatedWorkerError) and "SIGKILL" in str(death)
        self.reason = "its process died" + (" (SIGKILL: perhaps out of memory)" if killed else "")


def _drain(left: dict[int, Job], indices: Any, side_by_side: int) -> Iterator[tuple[int, Any]]:
    # One job alone stays alone; otherwise the next ones wait beside the workers, so that none idles.
    ahead = side_by_side if side_by_side == 1 else 2 * side_by_side
    parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=ahead)
    calls = (delayed(_indexed)(index, left[index][0], *left[index][1]) for index in indices)
    for index, result in parallel(calls):
        del left[index]
        yield index, result


def _noting(indices: list[int], sent: list[int]) -> Iterator[int]:
    for index in indices:
        sent.append(index)
        yield index


def _indexed(index: int, function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    # loky restarts a worker that grows by 300 MB, which it takes for a leak. Here it is a compiled network, kept on
    # purpose for the next fit; a restart would compile it again. There is no public setting.
    process_executor._MAX_MEMORY_LEAK_SIZE = WORKER_GROWTH
    return index, function(*arguments)


def _died() -> tuple[type[Exception], ...]:
    try:
        from distributed import KilledWorker
    except ImportError:
        return (TerminatedWorkerError,)
    return (TerminatedWorkerError, KilledWorker)
