"""Doing what a plan still lacks, on one process or many; whatever is done stays done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from batik_utils import backend
from batik_utils.cache import digest_json
from batik_utils.errors import BatikError
from batik_utils.experiment import keys
from batik_utils.experiment.plan import Plan
from batik_utils.experiment.store import FeatureStore, Store
from batik_utils.experiment.workers import Runner, workers
from batik_utils.models.features import FeatureSpec, compute_features
from batik_utils.models.kinds import KINDS
from batik_utils.models.work import Fitted, Task, Weights, checked
from batik_utils.progress import Progress
from batik_utils.values import Dataset, Failed, FitResult, Results, Split

Given = dict[Any, Any]  # by FeatureSpec, features [n, views, d] or Failed; by (it,) those of other motifs' pictures


def run_plan(
    plan: Plan,
    jobs: int | None = None,
    executor: str = "processes",
    shard: tuple[int, int] | None = None,
    progress: bool = True,
    store: Store | None = None,
    retry: bool = True,
) -> Results:
    """Do every task of the plan that has no result; return all results.

    executor and jobs are as workers takes them. shard (i, n), from 1 to n, does every n-th task only, and gives only
    results that exist. A fit that failed is in the results with its reason and is tried again by the next run that may
    retry. Raises BatikError for a wrong shard, or an executor that does not answer.
    """
    store = store or Store(plan.study.name)
    mine = own_tasks(plan, shard) if shard else plan.tasks
    known = store.is_done if retry else store.read
    missing = [task for task in mine if not known(task)]
    if missing:
        with workers(executor, jobs) as run, Progress(progress) as bar:
            given = _features(missing, plan.dataset, run, bar)
            for task, fitted in _done(missing, plan.dataset, given, run, bar):
                results = [result for result, _ in fitted]
                store.write(task, results)
                for result in Results(tuple(results)).missing:
                    bar.say(f"{result.fit.name}: {result.missing}")
                bar.advance(len(results), task.cost)
    return store.load(plan.tasks)


def own_tasks(plan: Plan, shard: tuple[int, int]) -> list[Task]:
    """The tasks of shard (i, n): of every model and protocol each n-th, whatever else is planned, done or missing.

    So shards agree on whose a task is while others finish theirs.
    """
    if not 1 <= shard[0] <= shard[1]:
        raise BatikError(f"A shard is i/n with 1 ≤ i ≤ n, such as 2/8, not {shard[0]}/{shard[1]}.")
    mine = []
    for group, tasks in groupby(plan.tasks, key=lambda task: (task.fits[0].model, task.fits[0].protocol)):
        first = int(digest_json(group)[:8], 16)
        mine += [task for at, task in enumerate(tasks, first) if at % shard[1] == shard[0] - 1]
    return mine


def final_weights(plan: Plan, model: str, on: Literal["all", "published"] = "all") -> Weights:
    """The weights of a model trained on every image, for use, or on the published split's training images alone.

    Both with the setting of its published fits and seed 0. A head's are by name (hidden_kernel, hidden_bias, kernel,
    bias), a network's in the order of its get_weights(). Raises BatikError where there is no such fit, or it fails.
    """
    like = next((t for t in plan.tasks if (t.fits[0].model, t.fits[0].protocol) == (model, "published")), None)
    if like is None:
        raise BatikError(f"{plan.study.name} has no published fit of {model}.")
    every = tuple(range(len(plan.dataset)))
    split = Split("deployed", 0, 0, every, (), every) if on == "all" else like.splits[0]
    fit = replace(like.fits[0], protocol=split.protocol, seed=0)
    task = replace(like, fits=(fit,), splits=(split,), corruptions=(), checkpoints=(), history=False)
    with workers("serial") as run, Progress(False) as bar:
        given = _features([task], plan.dataset, run, bar)
        ((_, fitted),) = _done([task], plan.dataset, given, run, bar, keep_weights=True)
    result, weights = fitted[0]
    if result.missing:
        raise BatikError(f"{fit.name} failed: {result.missing}")
    others = _others(task, plan.dataset, given)
    return KINDS[task.model.kind].deployed(task, weights, given.get(task.features), *others)


def clean_features(plan: Plan, model: str) -> NDArray[np.float32]:
    """The frozen features of the untouched images under a pretrained model's backbone, [n, d], from the cache.

    Raises BatikError where they have not been computed.
    """
    spec = next((t.features for t in plan.tasks if t.features and t.fits[0].model == model), None)
    if spec is None:
        raise BatikError(f"{model} has no frozen features in {plan.study.name}.")
    backend.start()  # quietly, for the store asks a recipe's networks how wide their layers are
    store = FeatureStore(spec)
    found = [store.read(key) for key in keys.image_keys(plan.dataset, spec.image)]
    if any(features is None for features in found):
        raise BatikError(f"The features of {model} are not all there; run `batik run {plan.study.name}` first.")
    return np.stack([features[0] for features in found if features is not None])


def _done(
    tasks: Sequence[Task], dataset: Dataset, given: Given, run: Runner, bar: Progress, keep_weights: bool = False
) -> Iterator[tuple[Task, list[Fitted]]]:
    """Each task with its results and weights, as they finish."""
    bar.stage("fits", sum(len(task.fits) for task in tasks), "fits", sum(task.cost for task in tasks))
    inputs: dict[Any, NDArray[Any]] = {}  # made once for all tasks that are given the same
    queue, jobs = [], []
    for task in sorted(tasks, key=lambda t: (-t.cost, t.slug)):
        features, same = given.get(task.features), (task.fits[0].model, task.features)
        others = _others(task, dataset, given)
        if lacking := [found for found in (features, *others) if isinstance(found, Failed)]:
            yield task, [(FitResult.failed(fit, lacking[0]), {}) for fit in task.fits]
            continue
        if same not in inputs:
            inputs[same] = KINDS[task.model.kind].inputs(task, dataset, features, *others)
        queue.append(task)
        jobs.append((work, task, dataset.paths, dataset.sha256, inputs[same], keep_weights))
    for index, done in run(jobs):
        fits = queue[index].fits
        yield queue[index], [(FitResult.failed(fit, done), {}) for fit in fits] if isinstance(done, Failed) else done


def work(
    task: Task[Any], paths: Sequence[str], sha256s: Sequence[str], inputs: Any, keep_weights: bool = False
) -> list[Fitted]:
    """Do a task; inputs are those of its model's kind, one row per image; weights come back where they are asked for.

    A fit that gives no finite numbers gives a FitResult that says so.
    """
    done = KINDS[task.model.kind].fit(task, paths, sha256s, inputs)
    return [(checked(result), weights if keep_weights else {}) for result, weights in done]


def _others(task: Task, dataset: Dataset, given: Given) -> list[Any]:
    """One thing: features [p, d] and labels [p] of other motifs' pictures, or why there are none; [] where unwanted."""
    if dataset.others is None or not KINDS[task.model.kind].wants_others(task.model):
        return []
    features = given[(task.features,)]
    return [features if isinstance(features, Failed) else (features[:, 0], dataset.others.labels)]


def _features(tasks: Sequence[Task], dataset: Dataset, run: Runner, bar: Progress) -> Given:
    """What tasks are given, kept on disk: [n, views, d], zero where none needs the image; or why there is nothing."""
    needed: dict[FeatureSpec, set[int]] = defaultdict(set)
    wider: dict[FeatureSpec, FeatureSpec] = {}
    for task in tasks:
        if task.features:
            needed[task.features].update(task.rows)
            if dataset.others and KINDS[task.model.kind].wants_others(task.model):
                wider[task.features] = replace(task.features, corruptions=())
    given = _computed(needed, dataset, run, bar)
    if dataset.others and wider:
        every = set(range(len(dataset.others)))
        apart = _computed(dict.fromkeys(wider.values(), every), dataset.others, run, bar)
        given |= {(spec,): apart[plain] for spec, plain in wider.items()}
    return given


def _computed(needed: Mapping[FeatureSpec, set[int]], dataset: Dataset, run: Runner, bar: Progress) -> Given:
    """Features [n, views, d] of the rows of a dataset that are needed, or Failed, by FeatureSpec."""
    if needed:
        backend.start()  # quietly, for a recipe's networks are asked how wide their layers are
    images = {image: keys.image_keys(dataset, image) for image in {spec.image for spec in needed}}
    found: Given = {}
    broken: Given = {}
    # By the image's own key: the same picture twice is computed once.
    wanted: dict[tuple[FeatureSpec, str], list[int]] = defaultdict(list)
    stores = {spec: FeatureStore(spec) for spec in needed}
    for spec, rows in needed.items():
        found[spec] = np.zeros((len(dataset), *spec.shape), np.float32)
        for row in sorted(rows):
            if (kept := stores[spec].read(images[spec.image][row])) is None:
                wanted[spec, images[spec.image][row]].append(row)
            else:
                found[spec][row] = kept
    places = list(wanted.items())
    firsts = [(spec, same[0]) for (spec, _), same in places]
    bar.stage("features", len(places), "images", sum(spec.cost for spec, _ in firsts))
    pictures = {image: dataset.pictures(image) for image in images}
    jobs = [(compute_features, spec, np.array(pictures[spec.image][row]), dataset.sha256[row]) for spec, row in firsts]
    for index, features in run(jobs):
        (spec, image), same = places[index]
        if not isinstance(features, Failed) and np.isfinite(features).all():
            stores[spec].write(image, features)
            found[spec][same] = features
        else:
            reason = features.reason if isinstance(features, Failed) else "the backbone gave NaN"
            broken[spec] = Failed(f"no {spec.backbone.title} features of {dataset.paths[same[0]]}: {reason}")
        bar.advance(1, spec.cost)
    return found | broken
