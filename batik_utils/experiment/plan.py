"""A study and its data turned into a list of tasks; pure, apart from asking whether optional weights can be had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from batik_utils.data.split import PROTOCOLS, Round
from batik_utils.dataset import load_dataset
from batik_utils.experiment import keys
from batik_utils.experiment.store import Store
from batik_utils.files import digest_json
from batik_utils.models.backbones import BACKBONES, Backbone
from batik_utils.models.baselines import BASELINES
from batik_utils.models.corruptions import CORRUPTIONS
from batik_utils.models.features import FeatureSpec
from batik_utils.models.kinds import FEATURES, KINDS
from batik_utils.models.work import Task
from batik_utils.stats.search import chosen_setting
from batik_utils.study import Repetition, Study
from batik_utils.study_file import load_study
from batik_utils.values import Dataset, Fit, Hyper, Results

UNUSED = {
    "title",
    "note",
    "optional",
    "variant_of",
    "mistake",
    "stand_in",
    "search",
    "tuned",
    "epochs",
    "learning_rate",
    "dropout",
}
"""Fields of a model that change no number by themselves: words, and what the fit's own setting replaces."""


@dataclass(frozen=True)
class Plan:
    """The tasks of a study that can be named now."""

    study: Study
    dataset: Dataset = field(repr=False)
    tasks: tuple[Task[Any], ...]
    waiting: tuple[str, ...]
    """Models whose other fits wait for their search: plan again with its results (run_plan does)."""
    left_out: Mapping[str, str]  # {optional model: why its weights cannot be had}
    backbones: Mapping[str, Backbone] = field(repr=False)

    def next(self, done: Results, settle: bool = False) -> Plan:
        """The plan again, knowing these results; settle lets a search be decided although some of its fits failed."""
        return make_plan(self.study, self.dataset, done, self.backbones, settle)


def open_plan(name: str | Path, data: Path | None = None, settings: Iterable[str] = ()) -> Plan:
    """The plan of a study by name or file, with its data loaded and the results so far taken into account.

    settings are as load_study takes them.
    """
    study = load_study(name, settings)
    plan = make_plan(study, load_dataset(study, data))
    return plan.next(Store(study.name).load(plan)) if plan.waiting else plan


def make_plan(
    study: Study,
    dataset: Dataset,
    done: Results = Results(()),  # noqa: B008  (frozen and empty)
    backbones: Mapping[str, Backbone] = BACKBONES,
    settle: bool = False,
) -> Plan:
    """List every task of the study, model by model and protocol by protocol.

    A model with a search has its fits under the protocols that use its choice only where `done` holds the whole
    search, every fit of it a success (or, to settle it, at least one setting's). Raises BatikError for a model that
    is not optional and whose weights cannot be had.
    """
    reasons = {name: KINDS[m.kind].unavailable(m, backbones) for name, m in study.models.items()}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    models: dict[str, Any] = {name: model for name, model in study.models.items() if name not in left_out}
    # A baseline on frozen features is given those of the verdict's pretrained model; a recipe has linear heads itself.
    given = study.compare[0] not in left_out and study.models[study.compare[0]].kind != "recipe"
    models |= {name: b for name, b in BASELINES.items() if given or b.inputs != "features"}

    @cache
    def rounds(protocol: str, often: Repetition) -> tuple[Round, ...]:
        return tuple(PROTOCOLS[protocol](study, dataset, often))

    tasks: list[Task[Any]] = []
    waiting: list[str] = []
    for name, model in models.items():
        kind = KINDS[model.kind]
        make, often = (
            _Maker(study, dataset, name, model, kind.features(model, study, backbones)),
            kind.repetition(study),
        )
        chosen: Hyper | None = make.own
        for protocol in PROTOCOLS if kind.protocols is None else kind.protocols:
            for part in rounds(protocol, often):
                if part.setting == "tried":
                    tried = list(make.tried(part)) if model.search else []
                    tasks += tried
                    if tried:
                        chosen = chosen_setting(done, name) if _complete(tried, done, settle) else None
                elif hyper := chosen if part.setting == "chosen" else make.own:
                    tasks += make.tasks(part, hyper, part.seeds)
                else:
                    waiting.append(name)
    return Plan(study, dataset, tuple(tasks), tuple(waiting), left_out, backbones)


def _complete(search: Sequence[Task[Any]], done: Results, settle: bool) -> bool:
    known = {(r.fit.model, r.fit.protocol, r.fit.seed, r.fit.hyper): not r.missing for r in done}
    said = [known.get((f.model, f.protocol, f.seed, f.hyper)) for task in search for f in task.fits]
    return None not in said and (settle or all(said))


@dataclass
class _Maker:
    """Makes the tasks of one model."""

    study: Study
    dataset: Dataset
    name: str
    model: Any
    spec: FeatureSpec | None

    @property
    def own(self) -> Hyper:
        return Hyper(self.model.epochs, self.model.learning_rate, self.model.dropout)

    def tried(self, part: Round) -> Iterator[Task[Any]]:
        """One task or more per setting of a search; the epoch counts are checkpoints of the longest."""
        search = self.model.search
        for rate, dropout in product(search.learning_rate, search.dropout):
            hyper = Hyper(max(search.epochs), rate, dropout)
            yield from self.tasks(part, hyper, search.seeds, tuple(sorted(search.epochs)))

    def tasks(self, part: Round, hyper: Hyper, seeds: int, checkpoints: tuple[int, ...] = ()) -> Iterator[Task[Any]]:
        """The fits of one setting on the splits of a round, cut into tasks."""
        kind, spec, study = KINDS[self.model.kind], self.spec, self.study
        labels = tuple((self.dataset.labels if part.labels is None else part.labels).tolist())
        kept_whole = tuple((self.dataset.groups if part.groups is None else part.groups).tolist())
        pairs = [
            (Fit(study.name, self.name, split.protocol, split.repeat, split.fold, seed, hyper), split)
            for split in part.splits
            for seed in range(seeds)
        ]
        groups = kind.together(pairs, self.model)
        asked: dict[str, Any] = {
            "corruptions": CORRUPTIONS if part.corruptions and study.grouped.corruptions else (),
            "checkpoints": checkpoints,
            "history": part.history,
        }
        for group in groups:
            fits, splits = zip(*group, strict=True)
            parameters = {
                "study": study.name,
                "image": study.image.model_dump(),
                "model": self.model.model_dump(exclude=UNUSED),
                "epochs": hyper.epochs,
                "learning_rate": hyper.learning_rate,
                "dropout": hyper.dropout,
                "fits": [(f.protocol, f.repeat, f.fold, f.seed) for f in fits],
                "rows": digest_json([(s.train, s.val, s.test) for s in splits])[:16],
                "labels": digest_json(labels)[:16],
                "groups": digest_json(kept_whole)[:16],
                "backbone": spec.backbone.name if spec else "",
                "weights": spec.backbone.weights_sha256() if spec else "",
                "views": spec.views if spec else 0,
                **asked,
            }
            slug = f"{self.name}.{fits[0].protocol}"
            if checkpoints:
                slug += f".lr{hyper.learning_rate:g}-d{hyper.dropout:g}"
            if len(groups) > 1 or part.labels is not None:
                slug += f".r{fits[0].repeat}f{fits[0].fold}s{fits[0].seed}"
            yield Task(
                model=self.model,
                fits=fits,
                splits=splits,
                labels=labels,
                groups=kept_whole,
                classes=len(self.dataset.motifs),
                features=spec,
                slug=slug,
                parts=keys.task_parts((*kind.code, *(FEATURES if spec else ())), self.dataset, parameters),
                cost=kind.cost * max(1, hyper.epochs) * sum(len(s.train) for s in splits),
                **asked,
            )
