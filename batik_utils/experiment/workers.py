"""Doing jobs: in this process, in local ones that end with it (joblib), or on a Dask cluster that shares no disk."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor, process_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from batik_utils import backend
from batik_utils.errors import BatikError
from batik_utils.experiment import keys
from batik_utils.values import Failed

Job = tuple[Any, ...]  # a function that workers can import, and its arguments
Done = Iterator[tuple[int, Any]]  # (index of the job, what it gave or Failed) as they finish
Runner = Callable[[Sequence[Job]], Done]
DIED = Failed("its process died (perhaps out of memory)")
WORKER_GROWTH = 4_000_000_000  # bytes by which a local worker may grow over its first job before it is replaced
WATCH_SECONDS = 0.5
WAIT_SECONDS = 60  # for a cluster's first worker
LARGE = 1_000_000  # bytes from which an array travels to a cluster once, not with each job
_ONE_AT_A_TIME = threading.Lock()
"""Compiled models are reused, so two threads of one process (a Dask worker's) must not run two jobs at once."""


@contextmanager
def workers(executor: str = "processes", count: int | None = None) -> Iterator[Runner]:
    """What does jobs: "serial", "processes" (so many of one thread each; one per core) or a scheduler's "tcp://…".

    Raises BatikError for a scheduler that does not answer or has no workers, and for workers with other code.
    """
    if executor == "serial":
        yield lambda jobs: (_attempt(keys.identity(), index, *job) for index, job in enumerate(jobs))
    elif executor == "processes":
        count = count or cpu_count()
        # With one job, joblib would stay in this process; a process may die without taking the run with it.
        own = {"initializer": _begin, "initargs": (os.getpid(),)}
        with parallel_config(backend="loky", n_jobs=max(2, count), inner_max_num_threads=1, **own):
            # One process has one job; otherwise the next ones wait beside the workers, so that none idles.
            yield partial(_local, 1 if count == 1 else 2 * count)
    else:
        with _cluster(executor) as client:
            yield partial(_remote, client)


def release_workers() -> None:
    """End the idle local processes, which keep their networks (and more than a gigabyte each) for the next job."""
    get_reusable_executor().shutdown(wait=True)


def _local(ahead: int, jobs: Sequence[Job]) -> Done:
    left, caller = list(range(len(jobs))), keys.identity()
    while left:
        calls = [delayed(_attempt)(caller, index, *jobs[index]) for index in left]
        try:
            for index, result in Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=ahead)(calls):
                left.remove(index)
                yield index, result
        except TerminatedWorkerError:
            if ahead == 1:
                yield left.pop(0), DIED
            ahead = 1  # the rest one by one: memory is short, and what dies is known by its turn


def _remote(client: Any, jobs: Sequence[Job], again: Sequence[int] | None = None) -> Done:
    # Not by joblib's Dask backend: it waits for ever for a job whose worker died, and loses what that one held.
    from distributed import KilledWorker, as_completed

    caller, held, suspects = keys.identity(), {}, []

    def sendable(argument: Any) -> Any:
        if not isinstance(argument, np.ndarray) or argument.nbytes < LARGE:
            return argument
        if id(argument) not in held:
            # A task of its own, not scattered data: the scheduler can do it again where its worker is gone.
            held[id(argument)] = client.submit(np.asarray, argument, pure=False)
        return held[id(argument)]

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
        sent = {
            client.submit(_attempt, caller, i, *map(sendable, jobs[i]), pure=False): i
            for i in again or range(len(jobs))
        }
    for future in as_completed(list(sent), loop=client.loop):
        error = future.exception() if future.status == "error" else None
        if isinstance(error, BatikError):
            raise error
        if error is not None and not isinstance(error, KilledWorker):
            raise BatikError(f"A Dask worker cannot run batik_utils: {type(error).__name__}: {error}") from None
        index = sent.pop(future)
        if future.status == "finished":
            yield future.result()
        elif again is None:
            suspects.append(index)  # or a neighbour of what killed the worker: each is tried once more by itself
        else:
            yield index, DIED
    for index in suspects:
        yield from _remote(client, jobs, [index])


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise BatikError("Dask is not installed; pip install 'batik-utils[dask]'.") from None
    try:
        client = Client(address, set_as_default=False, timeout=20)
    except (OSError, ValueError) as error:
        raise BatikError(f"No Dask scheduler answers at {address}: {type(error).__name__}.") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_SECONDS)
        except TimeoutError:
            none = f"No worker joined the Dask scheduler at {address} within {WAIT_SECONDS} seconds"
            raise BatikError(f"{none}; start some, or wait until your queue gives them.") from None
        yield client


def _attempt(caller: Mapping[str, str], index: int, function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    """What a job gives, or Failed; raises BatikError where this process is not as its caller."""
    for name, here in keys.identity().items():
        if here != caller.get(name):
            raise BatikError(
                f"A worker has another {name} than its caller ({here}, not {caller.get(name)}); install the same "
                "version of the project, from its lock file, on both, and edit none in a run."
            )
    with _ONE_AT_A_TIME, threadpool_limits(1):
        try:
            backend.start()
            _forget_settings()
            return index, function(*arguments)
        except Exception as error:
            text = " ".join(str(error).split())
            return index, Failed((text if isinstance(error, BatikError) else f"{type(error).__name__}: {text}")[:300])


def _forget_settings() -> None:
    """Undo what ~/.keras/keras.json says, which belongs to another project and would change every number."""
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")


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
