"""Work on a Dask cluster, whose workers may come, go and die while it lasts, and share no file system with us."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from batik_utils.errors import BatikError
from batik_utils.experiment.workers import Died, Done, Job, Runner, told_apart

WAIT = 60  # seconds to wait for a first worker
LARGE = 1_000_000  # bytes from which an array travels once and is shared by the jobs, not sent with each


@contextmanager
def cluster(address: str) -> Iterator[Runner]:
    """The workers of one scheduler; raises BatikError where nobody answers or no worker joins."""
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
            client.wait_for_workers(1, timeout=WAIT)
        except TimeoutError:
            raise BatikError(
                f"No worker joined the Dask scheduler at {address} within {WAIT} seconds; start some, or wait "
                "until your queue gives them."
            ) from None
        yield lambda jobs: told_apart(len(jobs), partial(_attempt, client, jobs))


def _attempt(client: Any, jobs: Sequence[Job], indices: Sequence[int]) -> Done:
    """As many jobs as workers can take are under way, counted anew with every result: workers may join late."""
    from distributed import as_completed

    # Of this attempt alone: the scheduler gives up what was held where workers died, and whatever needs it.
    held: dict[int, Any] = {}
    waiting, under_way = list(indices)[::-1], as_completed(loop=client.loop)
    sent: dict[Any, int] = {}
    while waiting or sent:
        while waiting and len(sent) < max(2, 2 * sum(client.ncores().values())):
            index = waiting.pop()
            function, arguments = jobs[index]
            sendable = [_hold(client, argument, held) for argument in arguments]
            future = client.submit(function, *sendable, pure=False, priority=-index)
            sent[future] = index
            under_way.add(future)
        future = next(under_way)
        yield sent.pop(future), _outcome(future)


def _hold(client: Any, argument: Any, held: dict[int, Any]) -> Any:
    if not isinstance(argument, np.ndarray) or argument.nbytes < LARGE:
        return argument
    if id(argument) not in held:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
            # A task of its own, not scattered data: the scheduler can do it again where its worker is gone.
            held[id(argument)] = client.submit(_itself, argument, pure=False)
    return held[id(argument)]


def _itself(argument: Any) -> Any:
    return argument


def _outcome(future: Any) -> Any:
    """A job's result; Died where the scheduler gave it up after some workers died of it, or of a neighbour."""
    from distributed import KilledWorker

    if future.status == "finished":
        return future.result()
    if future.status != "error":
        return Died(f"the scheduler gave it up ({future.status})")
    error = future.exception()
    if isinstance(error, KilledWorker):
        return Died("its process died on every worker that tried it: perhaps out of memory")
    if isinstance(error, BatikError):
        raise error
    raise BatikError(f"A Dask worker cannot run batik_utils: {type(error).__name__}: {error}") from None
