"""Results on disk: one small file per task, written wholly or not at all, named by what it depends on."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batik_utils.data.obtain import cache_dir
from batik_utils.experiment.keys import explain
from batik_utils.experiment.plan import Plan, Task
from batik_utils.values import FitResult, Results


class Store:
    """One study's results in a folder. There is no time in a result's file; times lie beside, in timings/."""

    def __init__(self, study: str, folder: Path | None = None) -> None:
        self.folder = (folder or cache_dir() / "results") / study

    def read(self, task: Task) -> list[FitResult] | None:
        """The task's results, failed ones included; None if there are none. A damaged file counts as none."""
        raw = _load(self._path(task)) or _load(self._failed(task))
        if raw is None or raw.get("key") != task.key:
            return None
        try:
            return [FitResult.from_json(item) for item in raw["results"]]
        except (KeyError, TypeError, ValueError, IndexError):
            return None

    def is_done(self, task: Task) -> bool:
        """Whether every fit of the task has succeeded."""
        results = self.read(task)
        return results is not None and not any(r.missing for r in results)

    def is_tried(self, task: Task) -> bool:
        """Whether every fit of the task has a result, be it why it failed."""
        return self.read(task) is not None

    def write(self, task: Task, results: Sequence[FitResult], seconds: float) -> None:
        """Keep a task's results; failed fits are kept with their reason, in a file of another name.

        So a merge of folders that never overwrites cannot keep a failure instead of a success.
        """
        raw = {"key": task.key, "parts": task.parts, "results": [r.to_json() for r in results]}
        wrong = any(r.missing for r in results)
        path = self._failed(task) if wrong else self._path(task)
        _write(self.folder / "timings" / self._path(task).name, {"fits": len(results), "seconds": round(seconds, 3)})
        _write(path, raw)
        if not wrong:
            self._failed(task).unlink(missing_ok=True)

    def load(self, plan: Plan) -> Results:
        """Everything of the plan that has been run, in the plan's order."""
        return Results(tuple(r for task in plan.tasks for r in self.read(task) or ()))

    def seconds(self, plan: Plan) -> dict[str, float]:
        """{task: seconds it took on its process} for the tasks that have been run."""
        timings = ((t.slug, _load(self.folder / "timings" / self._path(t).name)) for t in plan.tasks)
        return {slug: raw["seconds"] for slug, raw in timings if raw}

    def why_stale(self, task: Task) -> str:
        """Why older results of this task no longer hold; empty if there are none."""
        reasons = []
        for path in sorted(self.folder.glob(f"{task.slug}--*.json")):
            raw = _load(path)
            if raw and raw.get("key") != task.key:
                reasons.append(explain(raw.get("parts", {}), task.parts))
        # Of several, the nearest to the present says most.
        return min(reasons, key=len, default="")

    def _path(self, task: Task) -> Path:
        return self.folder / f"{task.slug}--{task.key[:16]}.json"

    def _failed(self, task: Task) -> Path:
        return self._path(task).with_suffix(".failed")


def status(plan: Plan, store: Store) -> list[dict[str, Any]]:
    """One row per task: {"task", "fits", "state": done | failed | stale | missing, "why"}."""
    rows = []
    for task in plan.tasks:
        results = store.read(task)
        if results is not None:
            why = "; ".join(f"{r.fit.name}: {r.missing}" for r in results if r.missing)
            state = "failed" if why else "done"
        else:
            why = store.why_stale(task)
            state = "stale" if why else "missing"
        rows.append({"task": task.slug, "fits": len(task.fits), "state": state, "why": why})
    return rows


def _load(path: Path) -> dict[str, Any] | None:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return raw if isinstance(raw, dict) else None


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes of two machines that share a folder may have one number.
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(value, file, sort_keys=True, allow_nan=False)
    os.chmod(part, 0o644)
    os.replace(part, path)
