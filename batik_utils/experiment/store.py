"""Results and features on disk: checked when they are read, written wholly or not at all, named by what they are of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.cache import read_kept, write_kept
from batik_utils.data.obtain import cache_dir
from batik_utils.experiment.keys import explain, feature_key
from batik_utils.models.features import FeatureSpec
from batik_utils.models.work import Task
from batik_utils.values import Fit, FitResult, Hyper, Results


class Store:
    """One study's results, a file for each task; nothing in a file tells when or how fast it was made."""

    def __init__(self, study: str, folder: Path | None = None) -> None:
        self.folder = (folder or cache_dir() / "results") / study

    def read(self, task: Task[Any]) -> list[FitResult] | None:
        """The task's results, failed ones included; None if there are none. A damaged file counts as none."""
        for path in (self._path(task), self._failed(task)):
            raw = read_kept(path, lambda raw: raw | {"results": [_result(item) for item in raw["results"]]})
            if raw and raw["key"] == task.key and task.is_answered_by(raw["results"]):
                return raw["results"]
        return None

    def is_done(self, task: Task[Any]) -> bool:
        """Whether every fit of the task has succeeded."""
        results = self.read(task)
        return results is not None and not any(r.missing for r in results)

    def write(self, task: Task[Any], results: Sequence[FitResult]) -> None:
        """Keep a task's results; failed fits are kept with their reason, in a file of another name.

        So a merge of folders that never overwrites cannot keep a failure instead of a success.
        """
        wrong = any(r.missing for r in results)
        content = {"key": task.key, "parts": task.parts, "results": list(results)}
        write_kept(self._failed(task) if wrong else self._path(task), content)
        if not wrong:
            self._failed(task).unlink(missing_ok=True)

    def load(self, tasks: Iterable[Task[Any]]) -> Results:
        """Everything of these tasks that has been run, in their order."""
        return Results(tuple(r for task in tasks for r in self.read(task) or ()))

    def status(self, tasks: Iterable[Task[Any]]) -> list[dict[str, Any]]:
        """One row per task: {"task", "fits", "state": done | failed | stale | missing, "why"}."""
        rows = []
        for task in tasks:
            results = self.read(task)
            if results is None:
                # Of several older results, the nearest to the present says most.
                older = [read_kept(p) for p in sorted(self.folder.glob(f"{task.slug}--*.npz"))]
                why = min((explain(raw["parts"], task.parts) for raw in older if raw), key=len, default="")
                state = "stale" if why else "missing"
            else:
                why = "; ".join(f"{r.fit.name}: {r.missing}" for r in results if r.missing)
                state = "failed" if why else "done"
            rows.append({"task": task.slug, "fits": len(task.fits), "state": state, "why": why})
        return rows

    def _path(self, task: Task[Any]) -> Path:
        return self.folder / f"{task.slug}--{task.key[:16]}.npz"

    def _failed(self, task: Task[Any]) -> Path:
        return self._path(task).with_suffix(".failed")


def _result(raw: dict[str, Any]) -> FitResult:
    fit = Fit(**raw["fit"] | {"hyper": Hyper(**raw["fit"]["hyper"])})
    checkpoints = {int(epochs): said for epochs, said in raw["checkpoints"].items()}
    paths = {name: tuple(raw[name]) for name in ("paths", "val_paths")}
    return FitResult(**raw | paths | {"fit": fit, "checkpoints": checkpoints})


class FeatureStore:
    """One file per image, named by its content, in the folder of one spec."""

    def __init__(self, spec: FeatureSpec, folder: Path | None = None) -> None:
        self.folder, self.spec = (folder or cache_dir() / "features") / feature_key(spec), spec

    def write(self, image: str, features: NDArray[np.float32]) -> None:
        """Keep the features of the image with this content hash, wholly or not at all."""
        write_kept(self.folder / f"{image}.npz", features)

    def read(self, image: str) -> NDArray[np.float32] | None:
        """One image's features, of spec.shape; None where they are not there, damaged or not finite."""
        kept = read_kept(self.folder / f"{image}.npz", np.asarray)
        good = kept is not None and kept.dtype == np.float32 and kept.shape == self.spec.shape
        return kept if good and np.isfinite(kept).all() else None
