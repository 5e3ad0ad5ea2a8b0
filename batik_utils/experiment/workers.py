"""What does jobs on this machine: this process, or local ones that are ended with it, by joblib."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor, process_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from batik_utils.errors import BatikError

Job = tuple[Callable[..., Any], tuple[Any, ...]]  # a function that workers can import, and its arguments
Done = Iterator[tuple[int, Any]]  # (index of the job, its result) as they finish
Runner = Callable[[Sequence[Job]], Done]
WORKER_GROWTH = 4_000_000_000  # bytes by which a local worker may grow over its first job before it is replaced
WATCH_SECONDS = 0.5


class Died(str):
    """Stands for the result of a job whose process died, and says so."""


def in_turn(jobs: Sequence[Job]) -> Done:
    """Do the jobs one after another in this process."""
    return ((index, function(*arguments)) for index, (function, arguments) in enumerate(jobs))


@contextmanager
def processes(count: int | None) -> Iterator[Runner]:
    """So many processes, by default one per core, of one thread each; a job of which one dies gives Died."""
    count = count or cpu_count()
    # With one job, joblib would stay in this process; a process may die without taking the run with it.
    own = {"initializer": _begin, "initargs": (os.getpid(),)}
    with parallel_config(backend="loky", n_jobs=max(2, count), inner_max_num_threads=1, **own):
        yield lambda jobs: told_apart(len(jobs), partial(_attempt, jobs, count))


def told_apart(count: int, attempt: Callable[[Sequence[int]], Done]) -> Done:
    """Do `count` jobs by attempt(indices), which gives Died for whatever was under way where a process died.

    Those are done again, each by itself, so that the guilty job can be told from its neighbours.
    """
    suspects = []
    for index, result in attempt(range(count)):
        if isinstance(result, Died):
            suspects.append(index)
        else:
            yield index, result
    for index in suspects:
        yield from attempt([index])


def release_workers() -> None:
    """End the idle local processes, which keep their networks (and more than a gigabyte each) for the next job."""
    get_reusable_executor().shutdown(wait=True)


def _attempt(jobs: Sequence[Job], side_by_side: int, indices: Sequence[int]) -> Done:
    left, sent = list(indices), []

    def calls() -> Iterable[Any]:
        for index in indices:
            sent.append(index)
            yield delayed(_indexed)(index, *jobs[index])

    # One process has one job; otherwise the next ones wait beside the workers, so that none idles.
    ahead = side_by_side if side_by_side == 1 else 2 * side_by_side
    try:
        for index, result in Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=ahead)(calls()):
            left.remove(index)
            yield index, result
    except TerminatedWorkerError as error:
        if not sent:
            raise BatikError(f"The workers died before they had work: {error}") from None
        killed = " (SIGKILL: perhaps out of memory)" if "SIGKILL" in str(error) else ""
        for index in set(sent).intersection(left):
            yield index, Died(f"its process died{killed}")
        if rest := [index for index in left if index not in sent]:
            yield from _attempt(jobs, side_by_side, rest)


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


def _indexed(index: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[int, Any]:
    return index, function(*arguments)
