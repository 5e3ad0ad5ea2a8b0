"""A study's classifier made: chosen, trained on every picture, calibrated, converted, judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from batik_utils import backend
from batik_utils.cache import digest, rounded
from batik_utils.data.obtain import find_photographs
from batik_utils.data.split import published_split
from batik_utils.deploy import gate as gates
from batik_utils.deploy.answers import distances
from batik_utils.deploy.bundle import About, Accuracy, Bundle, Gate, Model, Named, Row, Training
from batik_utils.deploy.choice import recommended
from batik_utils.deploy.convert import (
    PRECISIONS,
    Pictures,
    Precision,
    agreement,
    ask_keras,
    ask_litert,
    demand_parity,
    faithful,
    to_litert,
)
from batik_utils.deploy.evidence import deletion_curves
from batik_utils.deploy.litert import Runtime
from batik_utils.deploy.measured import Deletion, Deployed, Precise, Unseen
from batik_utils.deploy.ordinary import ordinary_pictures
from batik_utils.deploy.sets import prediction_sets
from batik_utils.deploy.unseen import other_motifs
from batik_utils.experiment import Plan, final_weights
from batik_utils.models.kinds import KINDS
from batik_utils.palette import palette
from batik_utils.stats.calibration import fit_temperature, pooled, scale
from batik_utils.values import Results

MOST_COMPARED = 100
"""Pictures, evenly spread, on which a converted model is held to Keras, and ranges for int8 are measured."""
_LIMITS = yaml.safe_load(Path(__file__).with_name("limits.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True, eq=False)
class Made:
    """A classifier and what is measured of it."""

    bundle: Bundle
    numbers: dict[str, Any]
    """Deployed in plain JSON values, rounded as metrics.json is."""


class Network(NamedTuple):
    """A model put together."""

    answers: Any  # the keras.Model of with_three_outputs
    parameters: int
    variant: str  # of Kind.variant


def make_classifier(plan: Plan, results: Results, metrics: Mapping[str, Any], data: Path | None = None) -> Made:
    """The classifier of a study, from its results and the numbers of metrics.json.

    data is the folder of pictures that was given, if one was (see find_photographs); of the published collection,
    other motifs are asked about, too. Raises BatikError where no model of the study can be used, or the converted one
    does not say what Keras says.
    """
    study, dataset = plan.study, plan.dataset
    name, temperature, network = deployed_network(plan, results, metrics)
    spec, numbers = study.models[name], metrics["models"][name]
    starts = KINDS[spec.kind].describe(spec).starts
    precision, model = faithful(network.answers, spread(dataset.images))
    training = ask_litert(model, dataset.images)["features"].astype(np.float16)

    gate, auroc, unseen = None, None, None
    if starts != "random":  # else its features were trained on these pictures, and none can be left out
        own = gates.left_out(training, dataset.groups, gates.NEIGHBOURS)
        gate, auroc = _gate(plan, model, training, own)
        if dataset.source.kind == "published":
            fits = list(results.select(name, "grouped"))
            sure = scale(pooled(fits)[1], temperature).max(axis=1) if fits else None
            unseen = _unseen(plan, find_photographs(data, study.motifs)[0], model, training, own, sure)

    about = About(
        format=2,
        study=Named(name=study.name, title=study.title),
        model=Model(name=name, title=spec.title, parameters=network.parameters, starts=starts),
        motifs=list(dataset.motifs),
        size=dataset.size,
        resize=study.image.resize,
        fit=study.image.fit,
        temperature=round(temperature, 6),
        evidence="exact" if "evidence" in Runtime(model).outputs else "occlusion",
        accuracy=_accuracy(numbers, "grouped"),
        sources_accuracy=_accuracy(numbers, "sources"),
        gate=gate,
        sets=prediction_sets(results, name, temperature),
        training=Training(width=training.shape[1], rows=_rows(plan)),
        batik=dataset.source.kind == "published",
        drawn=dataset.source.is_drawn,
        limits={language: [*texts["always"], texts[dataset.source.kind]] for language, texts in _LIMITS.items()},
        sha256=digest(model),
    )
    judged, precisions, deletion, held_out = _judged(plan, name, temperature, precision)
    measured = Deployed(
        model=name,
        title=spec.title,
        variant=network.variant,
        judged=judged,
        parameters=network.parameters,
        bytes=len(model),
        evidence=about.evidence,
        temperature=about.temperature,
        precision=precision,
        precisions=precisions,
        held_out=held_out,
        auroc=auroc,
        gate=gate,
        unseen=unseen,
        sets=about.sets,
        deletion=deletion,
    )
    return Made(Bundle(model, about, training), json.loads(measured.model_dump_json(), parse_float=rounded))


def deployed_network(plan: Plan, results: Results, metrics: Mapping[str, Any]) -> tuple[str, float, Network]:
    """The recommended model trained on every picture: its name, its temperature, the network."""
    name = recommended(plan.study, metrics)
    fits = list(results.select(name, "grouped"))
    temperature = fit_temperature(*pooled(fits)) if fits else 1.0
    return name, temperature, _network(plan, name, temperature, "all")


def spread(pictures: Pictures) -> Pictures:
    """At most MOST_COMPARED of the pictures, evenly spread."""
    return pictures[np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_COMPARED)).astype(int))]


def _judged(
    plan: Plan, name: str, temperature: float, given_out: Precision
) -> tuple[str, list[Precise], Deletion, int]:
    """What only pictures can tell that a model was not trained on: of the published training images' own classifier.

    Its variant, its precisions, its deletion curves, and over how many pictures.
    """
    data = plan.dataset
    split = published_split(plan.study, data)
    test, labels = data.images[list(split.test)], data.labels[list(split.test)]
    network, some = _network(plan, name, temperature, "published"), spread(data.images)
    models = to_litert(network.answers, PRECISIONS, spread(data.images[list(split.train)]))
    converted = dict(zip(PRECISIONS, models, strict=True))
    expected, precisions = ask_keras(network.answers, some)["probabilities"], []
    for precision, model in converted.items():
        said = ask_litert(model, some)["probabilities"]
        if precision == "float32":
            demand_parity(said, expected)
        apart = np.abs(said - expected).max(axis=1)
        precisions.append(
            Precise(
                precision=precision,
                bytes=len(model),
                largest=float(apart.max()),
                median=float(np.median(apart)),
                agreement=agreement(said, expected),
                accuracy=float((ask_litert(model, test)["probabilities"].argmax(1) == labels).mean()),
            )
        )
    runtime = Runtime(converted[given_out])
    return network.variant, precisions, deletion_curves(runtime.ask, test, "evidence" in runtime.outputs), len(test)


def _network(plan: Plan, name: str, temperature: float, on: Literal["all", "published"]) -> Network:
    backend.start()
    import keras

    from batik_utils.deploy.graph import with_three_outputs

    model, data = plan.study.models[name], plan.dataset
    kind, weights = KINDS[model.kind], final_weights(plan, name, on)
    # Keras counts the layers that it has named so far, and their names are in the file.
    keras.utils.clear_session()
    whole = kind.assemble(model, weights, data.size, data.motifs, 0.0)
    return Network(with_three_outputs(whole, temperature), whole.count_params(), kind.variant(model, weights))


def _gate(
    plan: Plan, model: bytes, training: NDArray[np.float16], own: NDArray[np.float64]
) -> tuple[Gate | None, float]:
    ordinary = ordinary_pictures(**dict(plan.study.image))
    far = distances(ask_litert(model, ordinary.pictures)["features"], training, gates.NEIGHBOURS)
    return gates.make_gate(own, plan.dataset.groups, far, ordinary.judges)


def _unseen(
    plan: Plan,
    folder: Path,
    model: bytes,
    training: NDArray[np.float16],
    own: NDArray[np.float64],
    sure: NDArray[np.float64] | None,
) -> Unseen | None:
    """How far other motifs' pictures look stranger than the own: by distance, and by confidence (of the own: sure)."""
    found = list(other_motifs(plan.study, folder))
    if not found:
        return None
    said = ask_litert(model, np.stack([picture for _, picture in found]))
    return Unseen(
        motifs=len({motif for motif, _ in found}),
        images=len(found),
        auroc=gates.auroc(own, distances(said["features"], training, gates.NEIGHBOURS)),
        auroc_confidence=None if sure is None else gates.auroc(-sure, -said["probabilities"].max(axis=1)),
    )


def _rows(plan: Plan) -> list[Row]:
    data = plan.dataset
    rows = zip(data.paths, data.labels.tolist(), data.images, strict=True)
    found = ((path, label, palette(image[::2, ::2])) for path, label, image in rows)
    return [Row(name=n, motif=m, palette=[(c, round(share, 3)) for c, share in colours]) for n, m, colours in found]


def _accuracy(numbers: Mapping[str, Any], protocol: Literal["grouped", "sources"]) -> Accuracy | None:
    found = numbers.get(protocol) or {}
    if not found.get("interval"):
        return None
    low, high = found["interval"]
    return Accuracy(value=found["accuracy"], low=low, high=high, images=found["n_test"], protocol=protocol)
