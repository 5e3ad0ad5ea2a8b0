"""Results on disk: one sealed file per task, written wholly or not at all, named by what it depends on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batik_utils.data.obtain import cache_dir
from batik_utils.experiment.keys import explain
from batik_utils.files import read_sealed_json, write_sealed
from batik_utils.models.work import Task
from batik_utils.values import FitResult, Results

if TYPE_CHECKING:
    from batik_utils.experiment.plan import Plan


class Store:
    """One study's results in a folder; nothing in a file tells when or how fast it was made."""

    def __init__(self, study: str, folder: Path | None = None) -> None:
        self.folder = (folder or cache_dir() / "results") / study

    def read(self, task: Task[Any]) -> list[FitResult] | None:
        """The task's results, failed ones included; None if there are none. A damaged file counts as none."""
        for path in (self._path(task), self._failed(task)):
            raw = _load(path)
            if raw.get("key") == task.key:
                return [FitResult.from_json(item) for item in raw["results"]]
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
        raw = {"key": task.key, "parts": task.parts, "results": [r.to_json() for r in results]}
        content = json.dumps(raw, sort_keys=True, allow_nan=False).encode()
        write_sealed(self._failed(task) if wrong else self._path(task), content)
        if not wrong:
            self._failed(task).unlink(missing_ok=True)

    def load(self, plan: Plan) -> Results:
        """Everything of the plan that has been run, in the plan's order."""
        return Results(tuple(r for task in plan.tasks for r in self.read(task) or ()))

    def why_stale(self, task: Task[Any]) -> str:
        """Why older results of this task no longer hold; empty if there are none."""
        older = [_load(path) for path in sorted(self.folder.glob(f"{task.slug}--*.result"))]
        # Of several, the nearest to the present says most.
        return min((explain(raw["parts"], task.parts) for raw in older if raw), key=len, default="")

    def _path(self, task: Task[Any]) -> Path:
        return self.folder / f"{task.slug}--{task.key[:16]}.result"

    def _failed(self, task: Task[Any]) -> Path:
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


def _load(path: Path) -> dict[str, Any]:
    return read_sealed_json(path) or {}
