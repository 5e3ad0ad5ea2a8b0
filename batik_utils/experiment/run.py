"""Doing what a plan still lacks, on one process or many; whatever is done stays done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from batik_utils.data.obtain import cache_dir
from batik_utils.errors import BatikError
from batik_utils.experiment import keys
from batik_utils.experiment.cluster import Cluster
from batik_utils.experiment.jobs import Job, WorkerDied
from batik_utils.experiment.plan import Plan, Task
from batik_utils.experiment.progress import Progress
from batik_utils.experiment.store import Store
from batik_utils.experiment.tasks import Outcome, failed, work, work_features
from batik_utils.experiment.workers import Local, opened
from batik_utils.models.features import FeatureSpec, FeatureStore
from batik_utils.values import Dataset, FitResult, Results


def run_plan(
    plan: Plan,
    jobs: int | None = None,
    executor: str = "processes",
    shard: tuple[int, int] | None = None,
    progress: bool = True,
    store: Store | None = None,
    retry: bool = True,
) -> Results:
    """Do every task of the plan that has no result, and those that wait for a search after it; return all results.

    executor is "serial", "processes" (jobs of them; one per core by default) or a Dask scheduler's "tcp://…".
    shard (i, n), from 1 to n, does every n-th task only, and gives only results that exist. A fit that failed is in
    the results with its reason and is tried again by the next run that may retry; a search is settled by those of
    its settings that succeeded. Raises BatikError for a wrong shard, or an executor that does not answer.
    """
    if shard and not 1 <= shard[0] <= shard[1]:
        raise BatikError(f"A shard is i/n with i from 1 to n, not {shard[0]}/{shard[1]}.")
    store = store or Store(plan.study.name)
    fresh: dict[str, list[FitResult]] = {}
    while True:
        mine = own_tasks(plan, shard) if shard else plan.tasks
        settled = store.is_done if retry else store.is_tried
        missing = [task for task in mine if task.key not in fresh and not settled(task)]
        if missing:
            bar = Progress(_amount(missing), progress, cost=sum(task.cost for task in missing))
            with opened(executor, jobs) as workers, bar:
                fresh.update(_Run(plan.dataset, store, workers, bar).run(missing))
        results = store.load(plan)
        following = plan.next(results, settle=True) if plan.waiting else plan
        if len(following.waiting) == len(plan.waiting):
            return results
        plan = following


def own_tasks(plan: Plan, shard: tuple[int, int]) -> list[Task]:
    """The tasks of shard (i, n): of every model and protocol each n-th, whatever else is planned, done or missing.

    So shards agree on whose a task is while others finish theirs, and while a search's choice adds new ones.
    """
    mine, seen = [], Counter()
    for task in plan.tasks:
        group = (task.fits[0].model, task.fits[0].protocol)
        first = int(keys.digest(group)[:8], 16)
        if (first + seen[group]) % shard[1] == shard[0] - 1:
            mine.append(task)
        seen[group] += 1
    return mine


def final_weights(plan: Plan, model: str) -> dict[str, NDArray[np.float32]] | list[NDArray[np.float32]]:
    """The weights of a model's fit with seed 0 under the published protocol, trained again as it was.

    A head's are by name (hidden_kernel, hidden_bias, kernel, bias), a scratch network's in the order of
    build_scratch(...).get_weights(). Raises BatikError where there is no such fit or it fails.
    """
    store = Store(plan.study.name)
    if model in plan.waiting:
        plan = plan.next(store.load(plan), settle=True)
    for task in plan.tasks:
        for place, fit in enumerate(task.fits):
            if (fit.model, fit.protocol, fit.seed) == (model, "published", 0):
                with opened("serial") as here, Progress(_amount([task]), False) as bar:
                    outcome = _Run(plan.dataset, store, here, bar, keep_weights=True).outcome(task)
                if outcome.results[place].missing:
                    raise BatikError(f"{fit.name} failed: {outcome.results[place].missing}")
                return outcome.weights[place]
    raise BatikError(f"{plan.study.name} has no published fit of {model} (yet); run the study first.")


def clean_features(plan: Plan, model: str) -> NDArray[np.float32]:
    """The frozen features of the untouched images under a pretrained model's backbone, [n, d], from the cache.

    Raises BatikError where they have not been computed.
    """
    spec = next((t.features for t in plan.tasks if t.features and t.fits[0].model == model), None)
    if spec is None:
        raise BatikError(f"{model} has no frozen features in {plan.study.name}.")
    kept = FeatureStore(cache_dir() / "features" / keys.feature_key(spec))
    found = [kept.read(image, spec) for image in keys.image_keys(plan.dataset)]
    if any(features is None for features in found):
        raise BatikError(f"The features of {model} are not all there; run `batik run {plan.study.name}` first.")
    return np.stack([features[0] for features in found])


@dataclass
class _Run:
    dataset: Dataset
    store: Store
    workers: Local | Cluster
    bar: Progress
    keep_weights: bool = False
    _features: dict[FeatureSpec, NDArray[np.float32]] = field(default_factory=dict)
    _inputs: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _broken: dict[FeatureSpec, str] = field(default_factory=dict)

    def run(self, tasks: Sequence[Task]) -> dict[str, list[FitResult]]:
        """Do the tasks, write each result as it comes, give them by key."""
        done: dict[str, list[FitResult]] = {}
        self._compute_features(tasks)
        queue = []
        for task in sorted(tasks, key=lambda t: (-t.cost, t.slug)):
            if task.features in self._broken:
                done[task.key] = self._keep(task, [failed(f, self._broken[task.features]) for f in task.fits], 0.0)
            else:
                queue.append(task)
        for index, outcome in self.workers.run([self._job(task) for task in queue]):
            task = queue[index]
            if isinstance(outcome, WorkerDied):
                done[task.key] = self._keep(task, [failed(f, outcome.reason) for f in task.fits], 0.0)
            else:
                done[task.key] = self._keep(task, outcome.results, outcome.seconds)
        return done

    def outcome(self, task: Task) -> Outcome:
        """One task's outcome, nothing written but features."""
        self._compute_features([task])
        if task.features in self._broken:
            raise BatikError(self._broken[task.features])
        ((_, outcome),) = self.workers.run([self._job(task)])
        return outcome

    def _keep(self, task: Task, results: list[FitResult], seconds: float) -> list[FitResult]:
        self.store.write(task, results, seconds)
        for result in results:
            if result.missing:
                self.bar.say(f"{result.fit.name}: {result.missing}")
        self.bar.advance(len(results), task.cost)
        return results

    def _job(self, task: Task) -> Job:
        data = self.dataset
        return work, (task, data.paths, data.sha256, self._arrays(task), keys.code_sha256(), self.keep_weights)

    def _arrays(self, task: Task) -> NDArray:
        if task.kind == "scratch":
            return self.dataset.images
        if task.kind == "heads":
            return self._features[task.features]
        if task.baseline not in self._inputs:
            from batik_utils.models.baselines import baseline_inputs

            clean = self._features[task.features][:, 0] if task.features else None
            self._inputs[task.baseline] = baseline_inputs(task.baseline, self.dataset, clean)
        return self._inputs[task.baseline]

    def _compute_features(self, tasks: Sequence[Task]) -> None:
        """Have the features of every image that a task needs, on disk and in memory."""
        images = keys.image_keys(self.dataset)
        rows = _rows_by_spec(tasks)
        stores = {spec: FeatureStore(cache_dir() / "features" / keys.feature_key(spec)) for spec in rows}
        wanted = [
            (spec, row) for spec, needed in rows.items() for row in needed if not stores[spec].has(images[row], spec)
        ]
        # The same picture twice is computed once.
        wanted = list({(spec, images[row]): (spec, row) for spec, row in wanted}.values())
        data = self.dataset
        queue: list[Job] = [
            (work_features, (spec, np.array(data.images[row]), data.sha256[row], keys.code_sha256()))
            for spec, row in wanted
        ]
        self.bar.expect(len(queue))
        for index, features in self.workers.run(queue):
            spec, row = wanted[index]
            if isinstance(features, np.ndarray):
                stores[spec].write(images[row], features)
            else:
                reason = features.reason if isinstance(features, WorkerDied) else features
                self._broken[spec] = f"no {spec.backbone.title} features of {data.paths[row]}: {reason}"
            self.bar.advance_features()
        for spec, needed in rows.items():
            if spec not in self._broken:
                self._features[spec] = stores[spec].gather(images, needed, spec)


def _rows_by_spec(tasks: Iterable[Task]) -> dict[FeatureSpec, list[int]]:
    rows: dict[FeatureSpec, set[int]] = {}
    for task in tasks:
        if task.features:
            rows.setdefault(task.features, set()).update(task.rows)
    return {spec: sorted(needed) for spec, needed in rows.items()}


def _amount(tasks: Sequence[Task]) -> int:
    return sum(len(task.fits) for task in tasks)
