"""A study and its data turned into a list of tasks; pure, apart from asking whether optional weights can be had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

from batik_utils.cache import digest_json
from batik_utils.data.split import PROTOCOLS, Round
from batik_utils.dataset import load_dataset
from batik_utils.experiment import keys
from batik_utils.experiment.store import Store
from batik_utils.models.backbones import BACKBONES, Backbone
from batik_utils.models.baselines import BASELINES
from batik_utils.models.corruptions import CORRUPTIONS
from batik_utils.models.features import FeatureSpec
from batik_utils.models.kinds import KINDS, repetition
from batik_utils.models.work import Task
from batik_utils.stats.search import chosen_setting
from batik_utils.study import Repetition, Study
from batik_utils.study_file import load_study
from batik_utils.values import Dataset, Fit, Hyper, Results

WORDS = {
    "title",
    "note",
    "optional",
    "variant_of",
    "mistake",
    "stand_in",
    "image",
    "protocols",
    "corruptions",
    "chosen",
    "once",
}
OWN_SETTING = {"search", "tuned", "epochs", "learning_rate", "dropout"}
"""Fields of a model that change no number by themselves: these are replaced by the fit's own setting."""


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
    return plan.next(Store(study.name).load(plan.tasks)) if plan.waiting else plan


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
    given = study.compare[0] not in left_out and bool(study.models[study.compare[0]].trained)
    models |= {name: b for name, b in BASELINES.items() if given or b.inputs != "features"}

    @cache
    def rounds(protocol: str, often: Repetition) -> tuple[Round, ...]:
        return tuple(PROTOCOLS[protocol](study, dataset, often))

    tasks: list[Task[Any]] = []
    waiting: list[str] = []
    for name, model in models.items():
        kind = KINDS[model.kind]
        make = partial(_tasks, study, dataset, name, model, kind.features(model, study, backbones))
        trained = model.trained
        own = Hyper(trained.epochs, trained.learning_rate, trained.dropout) if trained else Hyper()
        chosen: Hyper | None = own
        asked = getattr(model, "protocols", None) or kind.protocols or PROTOCOLS
        for protocol in (protocol for protocol in PROTOCOLS if protocol in asked):
            for part in rounds(protocol, repetition(model, study)):
                if part.setting == "tried":
                    if trained and (search := trained.search):  # the epoch counts are checkpoints of the longest
                        settings = product([max(search.epochs)], search.learning_rate, search.dropout)
                        epochs = tuple(sorted(search.epochs))
                        tried = [t for s in settings for t in make(part, Hyper(*s), search.seeds, epochs)]
                        tasks += tried
                        chosen = _settled(name, tried, done, settle)
                elif hyper := chosen if part.setting == "chosen" else own:
                    tasks += make(part, hyper, part.seeds if trained and not trained.once else 1)
                else:
                    waiting.append(name)
    return Plan(study, dataset, tuple(tasks), tuple(waiting), left_out, backbones)


def _settled(model: str, search: Sequence[Task[Any]], done: Results, settle: bool) -> Hyper | None:
    """What a model's search chose; None where it is not done."""
    known = {r.fit: not r.missing for r in done if (r.fit.model, r.fit.protocol) == (model, "search")}
    said = [known.get(fit) for task in search for fit in task.fits]
    return chosen_setting(done, model) if None not in said and (settle or all(said)) else None


def _tasks(
    study: Study,
    dataset: Dataset,
    name: str,
    model: Any,
    spec: FeatureSpec | None,
    part: Round,
    hyper: Hyper,
    seeds: int,
    checkpoints: tuple[int, ...] = (),
) -> Iterator[Task[Any]]:
    """The fits of one setting of a model on the splits of a round, cut into tasks."""
    kind, image = KINDS[model.kind], spec.image if spec else study.image_of(model)
    labels = tuple((dataset.labels if part.labels is None else part.labels).tolist())
    kept_whole = tuple((dataset.groups if part.groups is None else part.groups).tolist())
    pairs = [
        (Fit(study.name, name, split.protocol, split.repeat, split.fold, seed, hyper), split)
        for split in part.splits
        for seed in range(seeds)
    ]
    asked: dict[str, Any] = {
        "corruptions": CORRUPTIONS if part.corruptions and study.grouped.corruptions and model.corruptions else (),
        "checkpoints": checkpoints,
        "history": part.history,
    }
    shared = {
        "study": study.name,
        "image": image.model_dump(),
        "model": model.model_dump(exclude=WORDS | OWN_SETTING),
        **vars(hyper),
        "labels": digest_json(labels)[:16],
        "groups": digest_json(kept_whole)[:16],
        "backbone": spec.backbone.name if spec else "",
        "weights": spec.backbone.weights_sha256() if spec else "",
        "views": spec.views if spec else 0,
        **asked,
    }
    if kind.wants_others(model):
        others = dataset.others
        shared["others"] = digest_json([others.sha256, others.labels.tolist()])[:16] if others else ""
    groups = kind.together(pairs, model)
    for group in groups:
        fits, splits = zip(*group, strict=True)
        parameters = shared | {
            "fits": [(f.protocol, f.repeat, f.fold, f.seed) for f in fits],
            "rows": digest_json([(s.train, s.val, s.test) for s in splits])[:16],
        }
        slug = f"{name}.{fits[0].protocol}"
        if checkpoints:
            slug += f".lr{hyper.learning_rate:g}-d{hyper.dropout:g}"
        if len(groups) > 1 or part.labels is not None:
            slug += f".r{fits[0].repeat}f{fits[0].fold}s{fits[0].seed}"
        yield Task(
            model=model,
            fits=fits,
            splits=splits,
            labels=labels,
            groups=kept_whole,
            classes=len(dataset.motifs),
            image=image,
            features=spec,
            slug=slug,
            parts=keys.task_parts(dataset, parameters, *kind.code, *([keys.FEATURES] if spec else [])),
            cost=sum(kind.cost(model, hyper.epochs, len(s.train), image.size) for s in splits),
            **asked,
        )
