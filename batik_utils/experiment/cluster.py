"""Work on a Dask cluster, whose workers may come, go and die while it lasts, and share no file system with us."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from batik_utils.errors import BatikError
from batik_utils.experiment.keys import identity
from batik_utils.experiment.workers import Job, WorkerDied

WAIT = 60  # seconds to wait for a first worker
LARGE = 1_000_000  # bytes from which an array travels once and is shared by the jobs, not sent with each


@dataclass(frozen=True)
class Cluster:
    """The workers of one scheduler."""

    client: Any

    @classmethod
    @contextmanager
    def at(cls, address: str) -> Iterator[Cluster]:
        """Connect; raises BatikError where nobody answers, no worker joins, or a worker is not as we are."""
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
            _refuse_others(client)
            yield cls(client)

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        """Do the jobs in about their order; gives (index, result) as they finish.

        The scheduler gives up a job after some workers have died of it, or of a neighbour in their queue; so what it
        gives up is done again, each by itself, and where that fails its result is a WorkerDied. As many jobs as
        workers can take are under way, counted anew with every result: workers may join late.
        """
        held: dict[int, Any] = {}
        suspects = []
        for index, future in self._finished(jobs, range(len(jobs)), held):
            if future.status == "finished":
                yield index, future.result()
            else:
                _death(future)
                suspects.append(index)
        for suspect in suspects:
            for index, future in self._finished(jobs, [suspect], held):
                yield index, future.result() if future.status == "finished" else _death(future)

    def _finished(self, jobs: Sequence[Job], indices: Sequence[int], held: dict[int, Any]) -> Iterator[tuple[int, Any]]:
        from distributed import as_completed

        waiting = list(indices)[::-1]
        sent: dict[Any, int] = {}
        under_way = as_completed(loop=self.client.loop)
        while waiting or sent:
            while waiting and len(sent) < max(2, 2 * sum(self.client.ncores().values())):
                index = waiting.pop()
                function, arguments = jobs[index]
                sendable = [self._hold(argument, held) for argument in arguments]
                future = self.client.submit(function, *sendable, pure=False, priority=-index)
                sent[future] = index
                under_way.add(future)
            future = next(under_way)
            yield sent.pop(future), future

    def _hold(self, argument: Any, held: dict[int, Any]) -> Any:
        if not isinstance(argument, np.ndarray) or argument.nbytes < LARGE:
            return argument
        if id(argument) not in held:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
                # A task of its own, not scattered data: the scheduler can do it again where its worker is gone.
                held[id(argument)] = self.client.submit(_itself, argument, pure=False)
        return held[id(argument)]


def _itself(argument: Any) -> Any:
    return argument


def _death(future: Any) -> WorkerDied:
    """Why the scheduler gave a job up; raises the job's own exception, if that is why."""
    from distributed import KilledWorker

    if future.status != "error":
        return WorkerDied(f"the scheduler gave it up ({future.status})")
    error = future.exception()
    if isinstance(error, KilledWorker):
        return WorkerDied("its process died on every worker that tried it: perhaps out of memory")
    raise error


def _refuse_others(client: Any) -> None:
    try:
        found = client.run(identity)
    except Exception as error:
        raise BatikError(f"A Dask worker cannot run batik_utils: {type(error).__name__}: {error}") from None
    own = identity()
    for worker, theirs in found.items():
        for name in own:
            if own[name] != theirs.get(name):
                raise BatikError(
                    f"The Dask worker {worker} has another {name} than the caller ({theirs.get(name)}, not "
                    f"{own[name]}); install the same version of the project, from its lock file, on both."
                )
