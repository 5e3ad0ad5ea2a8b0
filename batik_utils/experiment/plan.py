"""A study and its data turned into a list of tasks; pure, apart from fetching the weights that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

from batik_utils.cache import digest_json
from batik_utils.data.split import PROTOCOLS, Round
from batik_utils.dataset import load_dataset
from batik_utils.experiment import keys
from batik_utils.models.backbones import BACKBONES, Backbone, backbone
from batik_utils.models.baselines import BASELINES
from batik_utils.models.corruptions import CORRUPTIONS
from batik_utils.models.features import FeatureSpec
from batik_utils.models.kinds import KINDS, repetition
from batik_utils.models.work import Task
from batik_utils.study import Repetition, Study
from batik_utils.study_file import load_study
from batik_utils.study_models import Image
from batik_utils.values import Dataset, Fit, Hyper

WORDS = {*("title", "note", "variant_of", "mistake", "image", "protocols", "corruptions", "chosen", "once")}
OWN_SETTING = {"runs", "tuned", "epochs", "learning_rate", "dropout"}
"""Fields of a model that change no number by themselves: these are replaced by the fit's own setting."""


@dataclass(frozen=True)
class Plan:
    """The tasks of a study."""

    study: Study
    dataset: Dataset = field(repr=False)
    tasks: tuple[Task[Any], ...]


def open_plan(name: str | Path, data: Path | None = None, settings: Iterable[str] = ()) -> Plan:
    """The plan of a study by name or file, with its data loaded; settings are as load_study takes them."""
    study = load_study(name, settings)
    return make_plan(study, load_dataset(study, data))


def make_plan(study: Study, dataset: Dataset, backbones: Mapping[str, Backbone] = BACKBONES) -> Plan:
    """List every task of the study, model by model and protocol by protocol.

    Raises BatikError where weights cannot be had.
    """
    for name in {name for model in study.models.values() for name in model.backbones}:
        backbone(name, backbones).fetch()
    # A baseline on frozen features is given those of the verdict's pretrained model; a recipe has linear heads itself.
    given = study.models[study.compare[0]].trained
    models: dict[str, Any] = study.models | {n: b for n, b in BASELINES.items() if given or b.inputs != "features"}

    @cache
    def pictures(image: Image, others: bool = False) -> str:
        given = dataset.others if others else dataset
        return keys.picture_key(given, image) if given else ""

    @cache
    def rounds(protocol: str, often: Repetition) -> tuple[Round, ...]:
        return tuple(PROTOCOLS[protocol](study, dataset, often))

    tasks: list[Task[Any]] = []
    for name, model in models.items():
        kind = KINDS[model.kind]
        make = partial(_tasks, study, dataset, pictures, name, model, kind.features(model, study, backbones))
        trained = model.trained
        own = Hyper(trained.epochs, trained.learning_rate, trained.dropout) if trained else Hyper()
        asked = getattr(model, "protocols", None) or kind.protocols or PROTOCOLS
        for protocol in (protocol for protocol in PROTOCOLS if protocol in asked):
            for part in rounds(protocol, repetition(model, study)):
                if not part.tried:
                    tasks += make(part, own, part.seeds if trained and not trained.once else 1)
                elif trained and (runs := trained.runs):  # the epoch counts are checkpoints of the longest
                    for rate, dropout in product(runs.learning_rate or (own.learning_rate,), runs.dropout):
                        longest = Hyper(max(runs.epochs), rate, dropout)
                        tasks += make(part, longest, runs.seeds, tuple(sorted(runs.epochs)))
    return Plan(study, dataset, tuple(tasks))


def _tasks(
    study: Study,
    dataset: Dataset,
    pictures: Callable[..., str],
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
        "weights": spec.backbone.weights_sha256() if spec else kind.weights_sha256(model) or "",
        "views": spec.views if spec else 0,
        **asked,
    }
    if kind.wants_others(model):
        shared["others"] = pictures(image, others=True)[:16]
    for group in kind.together(pairs, model):
        fits, splits = zip(*group, strict=True)
        parameters = shared | {
            "fits": [(f.protocol, f.repeat, f.fold, f.seed) for f in fits],
            "rows": digest_json([(s.train, s.val, s.test) for s in splits])[:16],
        }
        slug = f"{name}.{fits[0].protocol}"
        if checkpoints:
            slug += f".lr{hyper.learning_rate:g}-d{hyper.dropout:g}"
        slug += f".r{fits[0].repeat}f{fits[0].fold}s{fits[0].seed}"  # however many there are: more seeds redo none
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
            parts=keys.task_parts(pictures(image), parameters, *kind.code, *([keys.FEATURES] if spec else [])),
            cost=sum(kind.cost(model, hyper.epochs, len(s.train), image.size) for s in splits),
            **asked,
        )
