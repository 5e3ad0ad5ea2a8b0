"""Doing one job in whatever process it lands: plain arrays in, plain results out, nothing written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from batik_utils import backend
from batik_utils.errors import BatikError
from batik_utils.experiment import keys
from batik_utils.models.kinds import KINDS
from batik_utils.models.work import Fitted, Task
from batik_utils.values import Fit, FitResult

_ONE_AT_A_TIME = threading.Lock()
"""Compiled models are reused, so two threads of one process (a Dask worker's) must not run two jobs at once."""


def attempt(caller: Mapping[str, str], function: Callable[..., Any], *arguments: Any) -> Any:
    """function(*arguments) on one thread, or why there is no result, as text.

    caller is keys.identity() of who asks: raises BatikError where this process is not as that one.
    """
    for name, here in keys.identity().items():
        if here != caller.get(name):
            raise BatikError(
                f"A worker has another {name} than its caller ({here}, not {caller.get(name)}); install the same "
                "version of the project, from its lock file, on both, and edit none in a run."
            )
    with _ONE_AT_A_TIME, threadpool_limits(1):
        try:
            backend.start()
            return function(*arguments)
        except Exception as error:
            text = " ".join(str(error).split())
            return text[:300] if isinstance(error, BatikError) else f"{type(error).__name__}: {text}"[:300]


def work(
    task: Task[Any], paths: Sequence[str], sha256s: Sequence[str], inputs: Any, keep_weights: bool = False
) -> list[Fitted]:
    """Do a task; inputs are those of its model's kind, one row per image; weights come back where they are asked for.

    A fit that gives no finite numbers gives a FitResult that says so.
    """
    done = KINDS[task.model.kind].fit(task, paths, sha256s, inputs)
    return [(_checked(result), weights if keep_weights else {}) for result, weights in done]


def failed(fit: Fit, reason: str) -> FitResult:
    """The result of a fit that has none."""
    return FitResult(fit, (), np.zeros(0, np.int64), np.zeros((0, 0)), 0, missing=reason)


def _checked(result: FitResult) -> FitResult:
    said = [result.y_prob, *result.corruptions.values(), *(a for c in result.checkpoints.values() for a in c.values())]
    said += [np.asarray(values) for values in result.history.values()]
    said += [] if result.val_prob is None else [result.val_prob]
    if all(np.isfinite(array).all() for array in said):
        # Through JSON, so that a fresh result equals the same one read back tomorrow.
        return FitResult.from_json(result.to_json())
    return failed(result.fit, "training diverged (NaN)")
