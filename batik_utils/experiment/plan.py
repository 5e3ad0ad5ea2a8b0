"""A study and its data turned into a list of tasks; pure, apart from asking whether optional weights can be had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

from batik_utils.data.split import curve_splits, grouped_splits, permuted, published_split
from batik_utils.errors import BatikError
from batik_utils.experiment import keys
from batik_utils.experiment.choose import SEARCH, choose
from batik_utils.models.backbones import BACKBONES, Backbone
from batik_utils.models.baselines import BASELINES
from batik_utils.models.corruptions import CORRUPTIONS
from batik_utils.models.features import FeatureSpec
from batik_utils.study import PretrainedModel, Repetition, ScratchModel, Study, load_study
from batik_utils.values import Dataset, Fit, Hyper, Results, Split

CROWD = 10
"""Heads trained together at most: of 5, 10 and 25, 10 took the least processor time per head."""
PERMUTED = Repetition(repeats=2, seeds=1)
BASELINE = Hyper(epochs=0, learning_rate=0.0, dropout=0.0)
"""Stands where a baseline has no such hyperparameters."""


@dataclass(frozen=True)
class Task:
    """What one process does in one go: one scratch fit, one crowd of heads, or one baseline on all its splits."""

    slug: str
    """Names the task for people and, with the key, its file; the same however code and parameters change."""
    kind: Literal["scratch", "heads", "baseline"]
    fits: tuple[Fit, ...]
    splits: tuple[Split, ...]
    """One per fit."""
    labels: tuple[int, ...] = field(repr=False)
    """Of every row of the dataset; shuffled in the permutation control."""
    classes: int
    model: ScratchModel | PretrainedModel | None
    features: FeatureSpec | None
    baseline: str
    corruptions: tuple[str, ...]
    checkpoints: tuple[int, ...]
    history: bool
    precision: str
    parts: dict[str, Any] = field(repr=False)
    """What the results depend on, see keys.task_parts."""
    cost: float
    """Roughly, for doing the longest first."""

    @property
    def key(self) -> str:
        """sha256 over parts."""
        return keys.digest(self.parts)

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of the dataset that the task needs, sorted."""
        return tuple(sorted({i for s in self.splits for part in (s.train, s.val, s.test) for i in part}))


@dataclass(frozen=True)
class Plan:
    """The tasks of a study that can be named now."""

    study: Study
    dataset: Dataset = field(repr=False)
    full: bool
    precision: str
    tasks: tuple[Task, ...]
    waiting: tuple[str, ...]
    """Models whose other fits wait for their search: plan again with its results (run_plan does)."""
    left_out: Mapping[str, str]
    """{optional model: why its weights cannot be had}."""
    backbones: Mapping[str, Backbone] = field(repr=False)

    def next(self, done: Results, settle: bool = False) -> Plan:
        """The plan again, knowing these results; settle lets a search be decided although some of its fits failed."""
        return make_plan(self.study, self.dataset, self.full, done, self.precision, self.backbones, settle)


def open_plan(name: str | Path, data: Path | None = None, full: bool = False, precision: str = "float32") -> Plan:
    """The plan of a study by name or file, with its data loaded and the results so far taken into account."""
    from batik_utils.data.load import load_dataset
    from batik_utils.experiment.store import Store

    study = load_study(name)
    plan = make_plan(study, load_dataset(study, data), full, precision=precision)
    return plan.next(Store(study.name).load(plan)) if plan.waiting else plan


def make_plan(
    study: Study,
    dataset: Dataset,
    full: bool = False,
    done: Results = Results(()),  # noqa: B008  (frozen and empty)
    precision: str = "float32",
    backbones: Mapping[str, Backbone] = BACKBONES,
    settle: bool = False,
) -> Plan:
    """List every task of the study; full gives scratch models the repetition of the pretrained ones.

    A model with a search has its fits under the other protocols only where `done` holds the whole search, every fit
    of it a success (or, to settle it, at least one setting's), or where they do not depend on it. Raises BatikError
    for a model that is not optional and whose weights cannot be had.
    """
    left_out = _left_out(study, backbones)
    make = _Maker(study, dataset, precision, backbones)
    tasks: list[Task] = []
    waiting = []
    grouped = _Once(lambda repeats: grouped_splits(study, dataset, repeats))
    curves = _Once(lambda repeats: curve_splits(study, dataset, repeats))
    published = published_split(study, dataset)
    for name, model in study.models.items():
        if name in left_out:
            continue
        own = Hyper(model.epochs, model.learning_rate, model.dropout)
        searched = make.search(name, published) if model.search else []
        tasks += searched
        hyper = own if not searched else choose(done, name) if _complete(searched, done, settle) else None
        if hyper is None:
            waiting.append(name)
        else:
            seeds = range(study.published.seeds)
            tasks += make.tasks(name, hyper, [(published, s) for s in seeds], corruptions=True, history=True)
        pretrained = model.kind == "pretrained"
        often = study.grouped.pretrained if pretrained or full else study.grouped.scratch
        tasks += make.tasks(name, own, _pairs(grouped(often.repeats), often.seeds), corruptions=True)
        if pretrained or full:
            for k in study.grouped.curve:
                some = [s for s in curves(study.grouped.pretrained.repeats) if s.protocol == f"curve-{k}"]
                tasks += make.tasks(name, own, _pairs(some, 1))
        if study.grouped.permuted and (pretrained or full):
            for repeat in range(PERMUTED.repeats if pretrained else 1):
                shuffled = permuted(dataset, repeat)
                some = [s for s in grouped_splits(study, shuffled, repeat + 1) if s.repeat == repeat]
                some = [replace(s, protocol="permuted") for s in some]
                tasks += make.tasks(name, own, _pairs(some, PERMUTED.seeds), labels=shuffled.labels)
    for baseline in BASELINES:
        if baseline != "features" or study.compare[0] not in left_out:
            tasks.append(make.baseline(baseline, grouped(study.grouped.pretrained.repeats)))
    return Plan(study, dataset, full, precision, tuple(tasks), tuple(waiting), left_out, backbones)


def _complete(search: Sequence[Task], done: Results, settle: bool) -> bool:
    known = {(r.fit.model, r.fit.protocol, r.fit.seed, r.fit.hyper): not r.missing for r in done}
    said = [known.get((f.model, f.protocol, f.seed, f.hyper)) for task in search for f in task.fits]
    return None not in said and (settle or all(said))


class _Once:
    """A function of one argument that remembers."""

    def __init__(self, function: Callable[[int], list[Split]]) -> None:
        self._function = function
        self._known: dict[int, list[Split]] = {}

    def __call__(self, argument: int) -> list[Split]:
        if argument not in self._known:
            self._known[argument] = self._function(argument)
        return self._known[argument]


class _Maker:
    """Makes tasks of one study on one dataset."""

    def __init__(self, study: Study, dataset: Dataset, precision: str, backbones: Mapping[str, Backbone]) -> None:
        self.study, self.dataset, self.precision, self.backbones = study, dataset, precision, backbones

    def search(self, name: str, split: Split) -> list[Task]:
        """One task or more per setting; the epoch counts are checkpoints of the longest."""
        search = self.study.models[name].search
        split = replace(split, protocol=SEARCH)
        tasks = []
        for rate, dropout in product(search.learning_rate, search.dropout):
            pairs = [(split, seed) for seed in range(search.seeds)]
            hyper = Hyper(max(search.epochs), rate, dropout)
            tasks += self.tasks(name, hyper, pairs, checkpoints=tuple(sorted(search.epochs)))
        return tasks

    def tasks(
        self,
        name: str,
        hyper: Hyper,
        pairs: Sequence[tuple[Split, int]],
        corruptions: bool = False,
        history: bool = False,
        checkpoints: tuple[int, ...] = (),
        labels: Iterable[int] | None = None,
    ) -> list[Task]:
        """The (split, seed) pairs of one model and setting, cut into tasks."""
        model = self.study.models[name]
        fits = [
            Fit(self.study.name, name, split.protocol, split.repeat, split.fold, seed, hyper) for split, seed in pairs
        ]
        both = [(fit, split) for fit, (split, _) in zip(fits, pairs, strict=True)]
        spec = self._features(model) if model.kind == "pretrained" else None
        groups = _crowds(both, model.batch_size) if spec else [[pair] for pair in both]
        return [
            self._task(
                _slug(group, len(groups) > 1),
                "heads" if spec else "scratch",
                group,
                labels=labels,
                model=model,
                features=spec,
                corruptions=tuple(CORRUPTIONS) if corruptions else (),
                checkpoints=checkpoints,
                history=history,
            )
            for group in groups
        ]

    def baseline(self, name: str, splits: Sequence[Split]) -> Task:
        """One baseline on all the splits."""
        model = f"baseline_{name}"
        fits = [Fit(self.study.name, model, s.protocol, s.repeat, s.fold, 0, BASELINE) for s in splits]
        spec = self._features(self.study.models[self.study.compare[0]]) if name == "features" else None
        pairs = list(zip(fits, splits, strict=True))
        return self._task(f"{model}.grouped", "baseline", pairs, features=spec, baseline=name)

    def _features(self, model: PretrainedModel) -> FeatureSpec:
        # Enough views that every epoch of the longest fit sees a fresh one; none where nothing is changed.
        views = max(model.epochs, *(model.search.epochs if model.search else (0,)))
        changed = model.augmentation != type(model.augmentation)()
        return FeatureSpec(
            _backbone(model.backbone, self.backbones),
            self.study.image.size,
            model.augmentation,
            views if changed else 0,
            tuple(CORRUPTIONS),
        )

    def _task(
        self,
        slug: str,
        kind: Literal["scratch", "heads", "baseline"],
        pairs: Sequence[tuple[Fit, Split]],
        labels: Iterable[int] | None = None,
        model: ScratchModel | PretrainedModel | None = None,
        features: FeatureSpec | None = None,
        baseline: str = "",
        corruptions: tuple[str, ...] = (),
        checkpoints: tuple[int, ...] = (),
        history: bool = False,
    ) -> Task:
        fits, splits = zip(*pairs, strict=True)
        labels = tuple(int(i) for i in (self.dataset.labels if labels is None else labels))
        hyper = fits[0].hyper
        # The label, the search's values and what the fit's own setting replaces change no number.
        unused = {"title", "search", "optional", "epochs", "learning_rate", "dropout"}
        parameters = {
            "study": self.study.name,
            "image": self.study.image.model_dump(),
            "model": model.model_dump(exclude=unused) if model else baseline,
            "epochs": hyper.epochs,
            "learning_rate": hyper.learning_rate,
            "dropout": hyper.dropout,
            "fits": [(f.protocol, f.repeat, f.fold, f.seed) for f in fits],
            "rows": keys.digest([(s.train, s.val, s.test) for s in splits])[:16],
            "labels": keys.digest(labels)[:16],
            "backbone": features.backbone.name if features else "",
            "weights": features.backbone.weights_sha256() if features else "",
            "views": features.views if features else 0,
            "corruptions": corruptions,
            "checkpoints": checkpoints,
            "history": history,
            "precision": self.precision if kind == "scratch" else "float32",
        }
        images = sum(len(s.train) for s in splits) * max(1, hyper.epochs)
        return Task(
            slug=slug,
            kind=kind,
            fits=fits,
            splits=splits,
            labels=labels,
            classes=len(self.dataset.motifs),
            model=model,
            features=features,
            baseline=baseline,
            corruptions=corruptions,
            checkpoints=checkpoints,
            history=history,
            precision=parameters["precision"],
            parts=keys.task_parts(kind, self.dataset, parameters, keys.FEATURES if features and baseline else ()),
            # A crowd's images pass through one small matrix, a scratch network's through all of it.
            cost=images * (1000.0 if kind == "scratch" else 1.0),
        )


def _pairs(splits: Iterable[Split], seeds: int) -> list[tuple[Split, int]]:
    return [(split, seed) for split in splits for seed in range(seeds)]


def _crowds(pairs: Sequence[tuple[Fit, Split]], batch_size: int) -> list[list[tuple[Fit, Split]]]:
    # Replicates of one crowd take equally many steps per epoch (train_heads says why). Which crowd a fit is in is
    # settled here and nowhere else, so that no executor or shard can change a rounding.
    by_steps: dict[int, list[tuple[Fit, Split]]] = defaultdict(list)
    for pair in pairs:
        by_steps[-(-len(pair[1].train) // batch_size)].append(pair)
    return [group[i : i + CROWD] for _, group in sorted(by_steps.items()) for i in range(0, len(group), CROWD)]


def _slug(group: Sequence[tuple[Fit, Split]], several: bool) -> str:
    fit = group[0][0]
    name = f"{fit.model}.{fit.protocol}"
    if fit.protocol == SEARCH:
        name += f".lr{fit.hyper.learning_rate:g}-d{fit.hyper.dropout:g}"
    return name + (f".r{fit.repeat}f{fit.fold}s{fit.seed}" if several or fit.protocol == "permuted" else "")


def _backbone(name: str, backbones: Mapping[str, Backbone]) -> Backbone:
    if name not in backbones:
        raise BatikError(f"There is no backbone {name!r}; known are: {', '.join(sorted(backbones))}.")
    return backbones[name]


def _left_out(study: Study, backbones: Mapping[str, Backbone]) -> dict[str, str]:
    left_out = {}
    for name, model in study.models.items():
        if model.kind == "pretrained" and (reason := _backbone(model.backbone, backbones).unavailable()):
            if not model.optional:
                raise BatikError(f"{study.name} needs the model {name}, but {reason}.")
            left_out[name] = reason
    return left_out
