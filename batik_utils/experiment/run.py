"""Doing what a plan still lacks, on one process or many; whatever is done stays done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.data.obtain import cache_dir
from batik_utils.errors import BatikError
from batik_utils.experiment import keys
from batik_utils.experiment.cluster import Cluster
from batik_utils.experiment.plan import Plan
from batik_utils.experiment.store import Store
from batik_utils.experiment.tasks import failed, work, work_features
from batik_utils.experiment.workers import Job, Local, WorkerDied
from batik_utils.files import digest_json
from batik_utils.models.features import FeatureSpec, FeatureStore
from batik_utils.models.kinds import KINDS
from batik_utils.models.work import Fitted, Task, Weights
from batik_utils.progress import Progress
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
    tried: set[str] = set()
    while True:
        mine = own_tasks(plan, shard) if shard else plan.tasks
        known = store.is_done if retry else store.read
        missing = [task for task in mine if task.key not in tried and not known(task)]
        if missing:
            with opened(executor, jobs) as workers, Progress(progress) as bar:
                _Run(plan.dataset, store, workers, bar).run(missing)
            tried |= {task.key for task in missing}
        results = store.load(plan)
        following = plan.next(results, settle=True) if plan.waiting else plan
        if len(following.waiting) == len(plan.waiting):
            return results
        plan = following


@contextmanager
def opened(executor: str, jobs: int | None = None) -> Iterator[Local | Cluster]:
    """What runs jobs, by its method run: this process, local ones, or a cluster; see run_plan."""
    with (
        Local.serial()
        if executor == "serial"
        else Local.processes(jobs)
        if executor == "processes"
        else Cluster.at(executor)
    ) as workers:
        yield workers


def own_tasks(plan: Plan, shard: tuple[int, int]) -> list[Task]:
    """The tasks of shard (i, n): of every model and protocol each n-th, whatever else is planned, done or missing.

    So shards agree on whose a task is while others finish theirs, and while a search's choice adds new ones.
    """
    mine: list[Task] = []
    seen: Counter[tuple[str, str]] = Counter()
    for task in plan.tasks:
        group = (task.fits[0].model, task.fits[0].protocol)
        first = int(digest_json(group)[:8], 16)
        if (first + seen[group]) % shard[1] == shard[0] - 1:
            mine.append(task)
        seen[group] += 1
    return mine


def final_weights(plan: Plan, model: str) -> Weights:
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
                with opened("serial") as here:
                    run = _Run(plan.dataset, store, here, Progress(False), keep_weights=True)
                    result, weights = run.fitted(task)[place]
                if result.missing:
                    raise BatikError(f"{fit.name} failed: {result.missing}")
                features = run.features[task.features] if task.features else None
                return KINDS[task.model.kind].deployed(task, weights, features)
    raise BatikError(f"{plan.study.name} has no published fit of {model} (yet); run the study first.")


def clean_features(plan: Plan, model: str) -> NDArray[np.float32]:
    """The frozen features of the untouched images under a pretrained model's backbone, [n, d], from the cache.

    Raises BatikError where they have not been computed.
    """
    spec = next((t.features for t in plan.tasks if t.features and t.fits[0].model == model), None)
    if spec is None:
        raise BatikError(f"{model} has no frozen features in {plan.study.name}.")
    store = _feature_store(spec)
    found = [features[0] for key in keys.image_keys(plan.dataset) if (features := store.read(key)) is not None]
    if len(found) < len(plan.dataset):
        raise BatikError(f"The features of {model} are not all there; run `batik run {plan.study.name}` first.")
    return np.stack(found)


def _feature_store(spec: FeatureSpec) -> FeatureStore:
    return FeatureStore(cache_dir() / "features" / keys.feature_key(spec), spec)


@dataclass
class _Run:
    """Tasks being done; whatever several of them are given is made once."""

    dataset: Dataset
    store: Store
    workers: Local | Cluster
    bar: Progress
    keep_weights: bool = False
    features: dict[FeatureSpec, NDArray[np.float32]] = field(default_factory=dict)
    """[n, views, d] per spec; zero where no task needs the image."""
    _broken: dict[FeatureSpec, str] = field(default_factory=dict)
    _inputs: dict[tuple[str, FeatureSpec | None], NDArray[Any]] = field(default_factory=dict)

    def run(self, tasks: Sequence[Task]) -> None:
        """Do the tasks and write each result as it comes."""
        self._compute_features(tasks)
        self.bar.stage("fits", sum(len(task.fits) for task in tasks), "fits", sum(task.cost for task in tasks))
        queue = []
        for task in sorted(tasks, key=lambda t: (-t.cost, t.slug)):
            if task.features in self._broken:
                self._fail(task, self._broken[task.features])
            else:
                queue.append(task)
        for index, fitted in self.workers.run([self._job(task) for task in queue]):
            if isinstance(fitted, WorkerDied):
                self._fail(queue[index], fitted.reason)
            else:
                self._keep(queue[index], [result for result, _ in fitted])

    def fitted(self, task: Task) -> list[Fitted]:
        """One task done, nothing written but features."""
        self._compute_features([task])
        if task.features in self._broken:
            raise BatikError(self._broken[task.features])
        ((_, fitted),) = self.workers.run([self._job(task)])
        return fitted

    def _fail(self, task: Task, reason: str) -> None:
        self._keep(task, [failed(fit, reason) for fit in task.fits])

    def _keep(self, task: Task, results: list[FitResult]) -> None:
        self.store.write(task, results)
        for result in results:
            if result.missing:
                self.bar.say(f"{result.fit.name}: {result.missing}")
        self.bar.advance(len(results), task.cost)

    def _job(self, task: Task) -> Job:
        data, given = self.dataset, (task.fits[0].model, task.features)
        if given not in self._inputs:
            features = self.features[task.features] if task.features else None
            self._inputs[given] = KINDS[task.model.kind].inputs(task, data, features)
        return work, (task, data.paths, data.sha256, self._inputs[given], keys.code_sha256(), self.keep_weights)

    def _compute_features(self, tasks: Sequence[Task]) -> None:
        """Have the features of every image that a task needs, on disk and in memory."""
        data, images = self.dataset, keys.image_keys(self.dataset)
        # By the image's own key: the same picture twice is computed once.
        wanted: dict[tuple[FeatureSpec, str], list[int]] = {}
        for spec, rows in _rows_by_spec(tasks).items():
            self.features[spec] = np.zeros((len(data), *spec.shape), np.float32)
            store = _feature_store(spec)
            for row in rows:
                features = store.read(images[row])
                if features is None:
                    wanted.setdefault((spec, images[row]), []).append(row)
                else:
                    self.features[spec][row] = features
        queue: list[Job] = [
            (work_features, (spec, np.array(data.images[rows[0]]), data.sha256[rows[0]], keys.code_sha256()))
            for (spec, _), rows in wanted.items()
        ]
        self.bar.stage("features", len(queue), "images")
        places = list(wanted.items())
        for index, features in self.workers.run(queue):
            (spec, image), rows = places[index]
            if isinstance(features, np.ndarray):
                _feature_store(spec).write(image, features)
                self.features[spec][rows] = features
            else:
                reason = features.reason if isinstance(features, WorkerDied) else features
                self._broken[spec] = f"no {spec.backbone.title} features of {data.paths[rows[0]]}: {reason}"
            self.bar.advance()


def _rows_by_spec(tasks: Sequence[Task]) -> dict[FeatureSpec, list[int]]:
    rows: dict[FeatureSpec, set[int]] = {}
    for task in tasks:
        if task.features:
            rows.setdefault(task.features, set()).update(task.rows)
    return {spec: sorted(needed) for spec, needed in rows.items()}
