"""Doing one task in whatever process it lands: plain arrays in, plain results out, nothing written."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from batik_utils import backend
from batik_utils.errors import BatikError
from batik_utils.experiment import keys
from batik_utils.experiment.plan import Task
from batik_utils.models.features import FeatureSpec, compute_features
from batik_utils.values import Fit, FitResult, Split

_ONE_AT_A_TIME = threading.Lock()
"""Compiled models are reused, so two threads of one process (a Dask worker's) must not run two tasks at once."""


@dataclass(frozen=True)
class Outcome:
    """What came of one task."""

    results: list[FitResult]
    seconds: float
    weights: list[dict[str, NDArray[np.float32]] | list[NDArray[np.float32]]]
    """Per fit, where they were asked for: a head's by name, or a scratch network's in order."""


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
    task: Task, paths: Sequence[str], sha256s: Sequence[str], arrays: NDArray, code: str, keep_weights: bool = False
) -> Outcome:
    """Do a task; arrays are images (scratch), features (heads) or a baseline's inputs, one row per image.

    A fit that fails gives a FitResult that says why; raises BatikError only where this process runs other code
    than the caller.
    """
    _same_code(code)
    start = time.perf_counter()
    with _ONE_AT_A_TIME, threadpool_limits(1):
        weights: list = []
        try:
            backend.start()
            results = _DO[task.kind](task, paths, sha256s, arrays, weights if keep_weights else None)
            results = [_checked(r) for r in results]
        except Exception as error:
            results = [failed(fit, _reason(error)) for fit in task.fits]
    return Outcome(results, time.perf_counter() - start, weights)


def training_seed(fit: Fit) -> int:
    """The seed of a fit's training, from its seed, repeat and fold: no two fits of one protocol share one."""
    return int(np.random.SeedSequence([fit.seed, fit.repeat, fit.fold]).generate_state(1)[0])


def failed(fit: Fit, reason: str) -> FitResult:
    """The result of a fit that has none."""
    return FitResult(fit, (), np.zeros(0, np.int64), np.zeros((0, 0)), 0, missing=reason)


def _heads(task: Task, paths, sha256s, features, weights) -> list[FitResult]:
    from batik_utils.models.heads import Replicate, train_heads

    heads = train_heads(
        features,
        np.asarray(task.labels),
        [Replicate(s.train, _asked(task, s), training_seed(f)) for f, s in zip(task.fits, task.splits, strict=True)],
        task.fits[0].hyper,
        task.classes,
        task.model.hidden,
        task.model.batch_size,
        task.features.views,
        task.corruptions,
        task.checkpoints,
        task.history,
    )
    results = []
    for fit, split, head in zip(task.fits, task.splits, heads, strict=True):
        size = task.features.backbone.parameters + sum(w.size for w in head.weights.values())
        results.append(
            _result(task, fit, split, paths, head.probabilities, size, head.checkpoints, head.corruptions, head.history)
        )
        if weights is not None:
            weights.append(head.weights)
    return results


def _scratch(task: Task, paths, sha256s, images, weights) -> list[FitResult]:
    from batik_utils.models.corruptions import tamper
    from batik_utils.models.train_scratch import train_scratch

    (fit,), (split,) = task.fits, task.splits
    test = np.asarray(split.test)
    hashes = [sha256s[i] for i in test]
    asked = _asked(task, split)
    if task.history:
        asked.setdefault("val", split.test)
    trained = train_scratch(
        spec=task.model,
        hyper=fit.hyper,
        images=images,
        labels=np.asarray(task.labels),
        sha256s=sha256s,
        train=split.train,
        eval_sets=asked,
        seed=training_seed(fit),
        classes=task.classes,
        corruptions={corruption: tamper(images[test], corruption, hashes) for corruption in task.corruptions},
        precision=task.precision,
        checkpoints=task.checkpoints,
    )
    if weights is not None:
        weights.append(trained.weights)
    history = trained.history if task.history else {}
    size = sum(w.size for w in trained.weights)
    return [
        _result(task, fit, split, paths, trained.probabilities, size, trained.checkpoints, trained.corruptions, history)
    ]


def _baseline(task: Task, paths, sha256s, inputs, weights) -> list[FitResult]:
    from batik_utils.models.baselines import fit_baseline

    labels = np.asarray(task.labels)
    size = (inputs.shape[1] + 1) * task.classes
    results = []
    for fit, split in zip(task.fits, task.splits, strict=True):
        said = fit_baseline(inputs, labels, task.classes, split, fit.seed)
        results.append(_result(task, fit, split, paths, {"test": said}, size, {}, {}, {}))
    return results


_DO = {"heads": _heads, "scratch": _scratch, "baseline": _baseline}


def _asked(task: Task, split: Split) -> dict[str, Sequence[int]]:
    return {"test": split.test, "val": split.val} if split.val else {"test": split.test}


def _result(
    task: Task, fit: Fit, split: Split, paths, said, parameters, checkpoints, corruptions, history
) -> FitResult:
    labels = np.asarray(task.labels)
    test, val = np.asarray(split.test), np.asarray(split.val, np.int64)
    return FitResult(
        fit=fit,
        paths=tuple(paths[i] for i in test),
        y_true=labels[test],
        y_prob=said["test"],
        parameters=int(parameters),
        history=history,
        val_paths=tuple(paths[i] for i in val),
        val_true=labels[val] if split.val else None,
        val_prob=said["val"] if split.val else None,
        checkpoints=checkpoints,
        corruptions=corruptions,
    )


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
