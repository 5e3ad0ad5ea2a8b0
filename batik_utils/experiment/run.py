"""Doing what a plan still lacks, on one process or many; whatever is done stays done."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from batik_utils.data.obtain import cache_dir
from batik_utils.errors import BatikError
from batik_utils.experiment import keys
from batik_utils.experiment.cluster import cluster
from batik_utils.experiment.plan import Plan
from batik_utils.experiment.store import Store
from batik_utils.experiment.tasks import attempt, failed, work
from batik_utils.experiment.workers import Job, Runner, in_turn, processes
from batik_utils.files import digest_json
from batik_utils.models.features import FeatureSpec, FeatureStore, compute_features
from batik_utils.models.kinds import KINDS
from batik_utils.models.work import Fitted, Task, Weights
from batik_utils.progress import Progress
from batik_utils.values import Dataset, Results, Split


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
    store = store or Store(plan.study.name)
    tried: set[str] = set()
    while True:
        mine = own_tasks(plan, shard) if shard else plan.tasks
        known = store.is_done if retry else store.read
        missing = [task for task in mine if task.key not in tried and not known(task)]
        if missing:
            with opened(executor, jobs) as run, Progress(progress) as bar:
                for task, fitted in _done(missing, plan.dataset, run, bar):
                    results = [result for result, _ in fitted]
                    store.write(task, results)
                    for result in results:
                        if result.missing:
                            bar.say(f"{result.fit.name}: {result.missing}")
                    bar.advance(len(results), task.cost)
            tried |= {task.key for task in missing}
        everything = store.load(plan)
        following = plan.next(everything, settle=True) if plan.waiting else plan
        if len(following.waiting) == len(plan.waiting):
            return everything
        plan = following


def opened(executor: str, jobs: int | None = None) -> AbstractContextManager[Runner]:
    """What runs jobs: this process, local ones, or a cluster; see run_plan."""
    if executor == "serial":
        return nullcontext(in_turn)
    return processes(jobs) if executor == "processes" else cluster(executor)


def own_tasks(plan: Plan, shard: tuple[int, int]) -> list[Task]:
    """The tasks of shard (i, n): of every model and protocol each n-th, whatever else is planned, done or missing.

    So shards agree on whose a task is while others finish theirs, and while a search's choice adds new ones.
    """
    if not 1 <= shard[0] <= shard[1]:
        raise BatikError(f"A shard is i/n with 1 ≤ i ≤ n, such as 2/8, not {shard[0]}/{shard[1]}.")
    mine: list[Task] = []
    seen: Counter[tuple[str, str]] = Counter()
    for task in plan.tasks:
        group = (task.fits[0].model, task.fits[0].protocol)
        first = int(digest_json(group)[:8], 16)
        if (first + seen[group]) % shard[1] == shard[0] - 1:
            mine.append(task)
        seen[group] += 1
    return mine


def final_weights(plan: Plan, model: str, on: Literal["all", "published"] = "all") -> Weights:
    """The weights of a model trained on every image, for use, or on the published split's training images alone.

    Both with the setting of its published fits and seed 0. A head's are by name (hidden_kernel, hidden_bias, kernel,
    bias), a scratch network's in the order of build_scratch(...).get_weights(). Raises BatikError where there is no
    such setting (yet), or the fit fails.
    """
    if model in plan.waiting:
        plan = plan.next(Store(plan.study.name).load(plan), settle=True)
    like = next((t for t in plan.tasks if (t.fits[0].model, t.fits[0].protocol) == (model, "published")), None)
    if like is None:
        raise BatikError(f"{plan.study.name} has no published fit of {model} (yet); run the study first.")
    every = tuple(range(len(plan.dataset)))
    split = Split("deployed", 0, 0, every, (), every) if on == "all" else like.splits[0]
    fit = replace(like.fits[0], protocol=split.protocol, seed=0)
    task = replace(like, fits=(fit,), splits=(split,), corruptions=(), checkpoints=(), history=False)
    ((_, ((result, weights),)),) = _done([task], plan.dataset, in_turn, Progress(False), keep_weights=True)
    if result.missing:
        raise BatikError(f"{fit.name} failed: {result.missing}")
    features = _features([task], plan.dataset, in_turn, Progress(False)).get(task.features)
    return KINDS[task.model.kind].deployed(task, weights, features)


def clean_features(plan: Plan, model: str) -> NDArray[np.float32]:
    """The frozen features of the untouched images under a pretrained model's backbone, [n, d], from the cache.

    Raises BatikError where they have not been computed.
    """
    spec = next((t.features for t in plan.tasks if t.features and t.fits[0].model == model), None)
    if spec is None:
        raise BatikError(f"{model} has no frozen features in {plan.study.name}.")
    found = [_feature_store(spec).read(key) for key in keys.image_keys(plan.dataset)]
    if any(features is None for features in found):
        raise BatikError(f"The features of {model} are not all there; run `batik run {plan.study.name}` first.")
    return np.stack([features[0] for features in found if features is not None])


def _feature_store(spec: FeatureSpec) -> FeatureStore:
    return FeatureStore(cache_dir() / "features" / keys.feature_key(spec), spec)


def _done(
    tasks: Sequence[Task], dataset: Dataset, run: Runner, bar: Progress, keep_weights: bool = False
) -> Iterator[tuple[Task, list[Fitted]]]:
    """Each task with its results and weights, as they finish; the features that they need are computed first."""
    given = _features(tasks, dataset, run, bar)
    bar.stage("fits", sum(len(task.fits) for task in tasks), "fits", sum(task.cost for task in tasks))
    inputs: dict[Any, NDArray[Any]] = {}  # made once for all tasks that are given the same
    queue: list[Task] = []
    jobs: list[Job] = []
    caller = keys.identity()
    for task in sorted(tasks, key=lambda t: (-t.cost, t.slug)):
        features, same = given.get(task.features), (task.fits[0].model, task.features)
        if isinstance(features, str):
            yield task, [(failed(fit, features), {}) for fit in task.fits]
            continue
        if same not in inputs:
            inputs[same] = KINDS[task.model.kind].inputs(task, dataset, features)
        queue.append(task)
        arguments = (work, task, dataset.paths, dataset.sha256, inputs[same], keep_weights)
        jobs.append((attempt, (caller, *arguments)))
    for index, fitted in run(jobs):
        task = queue[index]
        yield task, [(failed(fit, fitted), {}) for fit in task.fits] if isinstance(fitted, str) else fitted


def _features(
    tasks: Sequence[Task], dataset: Dataset, run: Runner, bar: Progress
) -> dict[FeatureSpec | None, NDArray[np.float32] | str]:
    """What tasks are given, kept on disk: [n, views, d], zero where none needs the image; or why there is nothing."""
    needed: dict[FeatureSpec, set[int]] = defaultdict(set)
    for task in tasks:
        if task.features:
            needed[task.features].update(task.rows)
    images = keys.image_keys(dataset)
    found: dict[FeatureSpec | None, Any] = {}
    broken: dict[FeatureSpec | None, str] = {}
    # By the image's own key: the same picture twice is computed once.
    wanted: dict[tuple[FeatureSpec, str], list[int]] = defaultdict(list)
    for spec, rows in needed.items():
        found[spec], store = np.zeros((len(dataset), *spec.shape), np.float32), _feature_store(spec)
        for row in sorted(rows):
            if (kept := store.read(images[row])) is None:
                wanted[spec, images[row]].append(row)
            else:
                found[spec][row] = kept
    places = [(spec, image, same) for (spec, image), same in wanted.items()]
    caller, first = keys.identity(), [(spec, same[0]) for spec, _, same in places]
    jobs: list[Job] = [
        (attempt, (caller, compute_features, spec, np.array(dataset.images[row]), dataset.sha256[row]))
        for spec, row in first
    ]
    bar.stage("features", len(jobs), "images")
    for index, features in run(jobs):
        spec, image, same = places[index]
        if not isinstance(features, str) and np.isfinite(features).all():
            _feature_store(spec).write(image, features)
            found[spec][same] = features
        else:
            reason = features if isinstance(features, str) else "the backbone gave NaN"
            broken[spec] = f"no {spec.backbone.title} features of {dataset.paths[same[0]]}: {reason}"
        bar.advance()
    return found | broken
