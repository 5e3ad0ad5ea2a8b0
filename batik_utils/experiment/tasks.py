"""Doing one task in whatever process it lands: plain arrays in, plain results out, nothing written."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from batik_utils import backend
from batik_utils.errors import BatikError
from batik_utils.experiment import keys
from batik_utils.models.features import FeatureSpec, compute_features
from batik_utils.models.kinds import KINDS
from batik_utils.models.work import Fitted, Task
from batik_utils.values import Fit, FitResult

_ONE_AT_A_TIME = threading.Lock()
"""Compiled models are reused, so two threads of one process (a Dask worker's) must not run two tasks at once."""


def work_features(spec: FeatureSpec, image: NDArray[np.uint8], sha256: str, code: str) -> NDArray[np.float32] | str:
    """The features of one image, or why there are none."""
    _same_code(code)
    with _ONE_AT_A_TIME, threadpool_limits(1):
        try:
            backend.start()
            features = compute_features(spec, image, sha256)
        except Exception as error:
            return _reason(error)
    return features if np.isfinite(features).all() else "the backbone gave NaN"


def work(
    task: Task[Any], paths: Sequence[str], sha256s: Sequence[str], inputs: Any, code: str, keep_weights: bool = False
) -> list[Fitted]:
    """Do a task; inputs are those of its model's kind, one row per image; weights come back where they are asked for.

    A fit that fails gives a FitResult that says why; raises BatikError only where this process runs other code
    than the caller.
    """
    _same_code(code)
    with _ONE_AT_A_TIME, threadpool_limits(1):
        try:
            backend.start()
            done = KINDS[task.model.kind].fit(task, paths, sha256s, inputs)
            return [(_checked(result), weights if keep_weights else {}) for result, weights in done]
        except Exception as error:
            return [(failed(fit, _reason(error)), {}) for fit in task.fits]


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


def _same_code(code: str) -> None:
    if code != keys.code_sha256():
        raise BatikError(
            "A worker runs other code than the caller; install the same batik_utils on both, edit none in a run."
        )


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:300] if isinstance(error, BatikError) else f"{type(error).__name__}: {text}"[:300]
