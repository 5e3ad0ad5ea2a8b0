"""A study's classifier made: chosen, trained on every picture, calibrated, converted, judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from batik_utils import backend
from batik_utils.cache import digest, rounded
from batik_utils.data.obtain import find_photographs
from batik_utils.deploy import gate as gates
from batik_utils.deploy.answers import distances
from batik_utils.deploy.bundle import About, Accuracy, Bundle, Model, Named, Row, Training
from batik_utils.deploy.convert import ask_litert, faithful
from batik_utils.deploy.sets import prediction_sets
from batik_utils.errors import BatikError
from batik_utils.experiment import Plan, final_weights
from batik_utils.models.kinds import KINDS
from batik_utils.palette import palette
from batik_utils.stats.calibration import fit_temperature, pooled, scale
from batik_utils.stats.compare import shared_folds
from batik_utils.stats.scores import grouped_interval, parameters
from batik_utils.study import Study
from batik_utils.values import Results

MOST_PARAMETERS = 10_000_000
"""That a model for use may have."""
MOST_COMPARED = 100
"""Pictures, evenly spread, on which a converted model is held to Keras."""
_LIMITS = yaml.safe_load(Path(__file__).with_name("limits.yaml").read_text(encoding="utf-8"))


class Made(NamedTuple):
    """A classifier, and what is measured of it, in plain JSON values rounded as metrics.json is."""

    bundle: Bundle
    numbers: dict[str, Any]


class Recommended(NamedTuple):
    """The recommended model, trained on every picture."""

    name: str
    temperature: float  # for its logits
    network: Any  # keras.Model: float32 [b, s, s, 3] RGB 0-255 → softmax [b, m], without the temperature


def recommended(study: Study, results: Results) -> str:
    """The name of the model to use, from a study's results.

    The rule: of the models that a network can be made of, have at most MOST_PARAMETERS and repeat nobody's mistake on
    purpose, the one whose accuracy in grouped cross-validation has the highest lower bound; of equals, the smallest.
    No published test image has a say. Raises BatikError where there is none.
    """
    sizes = {m: parameters(results, m) for m in study.models if results.select(m, "published").items}
    if not sizes:
        raise BatikError(f"no published fit succeeded in {study.name}.")
    able = [
        m
        for m, size in sizes.items()
        if KINDS[study.models[m].kind].can_be_saved(study.models[m])
        and not study.models[m].variant_of
        and size <= MOST_PARAMETERS
    ]
    if not able:
        raise BatikError(
            f"no model of {study.name} can be saved as a network of at most {MOST_PARAMETERS:,} parameters."
        )
    shared = shared_folds(results, *study.compare)
    intervals = {m: grouped_interval(shared, m) for m in able}
    return max(able, key=lambda m: (round(i.low, 6) if (i := intervals[m]) else -1.0, -sizes[m]))


def train_recommended(plan: Plan, results: Results) -> Recommended:
    """Train the model to use on every picture."""
    backend.start()
    import keras

    name, data = recommended(plan.study, results), plan.dataset
    fits, model = list(results.select(name, "grouped")), plan.study.models[name]
    kind, weights = KINDS[model.kind], final_weights(plan, name)
    # Keras counts the layers that it has named so far, and their names are in the file.
    keras.utils.clear_session()
    network = kind.assemble(model, weights, plan.study.image_of(model).size, data.motifs, 0.0)
    temperature = fit_temperature(*pooled(fits)) if fits else 1.0
    return Recommended(name, temperature, network)


def make_classifier(plan: Plan, results: Results, data: Path | None = None) -> Made:
    """The classifier of a study, from its results.

    data is the folder of pictures that was given, if one was (see find_photographs); of the published collection,
    other motifs are asked about, too. Raises BatikError where no model of the study can be used, or the converted one
    does not say what Keras says.
    """
    study, dataset = plan.study, plan.dataset
    name, temperature, network = train_recommended(plan, results)
    spec = study.models[name]
    image, pictures = study.image_of(spec), dataset.pictures(study.image_of(spec))
    from batik_utils.deploy.graph import with_three_outputs

    compared = spread(pictures)
    model, precision, agreed = faithful(with_three_outputs(network, temperature), compared)
    said = ask_litert(model, pictures)
    training, starts = said["features"].astype(np.float16), KINDS[spec.kind].describe(spec).starts
    gate, auroc, unseen = None, None, None
    if starts != "random":  # else its features were trained on these pictures, and none can be left out
        own = gates.left_out(training, dataset.groups, gates.NEIGHBOURS)
        ordinary, judges = gates.ordinary_pictures(image)
        far = distances(ask_litert(model, ordinary)["features"], training, gates.NEIGHBOURS)
        gate, auroc = gates.make_gate(own, dataset.groups, far, judges)
        if dataset.source.kind == "published":
            others = gates.other_motifs(study, image, find_photographs(data, study.motifs)[0])
            fits = list(results.select(name, "grouped"))
            sure = scale(pooled(fits)[1], temperature).max(axis=1) if fits else None
            unseen = _unseen(model, others, training, own, sure)
    about = About(
        format=3,
        study=Named(name=study.name, title=study.title),
        model=Model(name=name, title=spec.title, parameters=network.count_params(), starts=starts),
        motifs=list(dataset.motifs),
        image=image,
        temperature=round(temperature, 6),
        evidence="exact" if "evidence" in said else "occlusion",
        accuracy=_accuracy(shared_folds(results, *study.compare), name, "grouped"),
        sources_accuracy=_accuracy(results, name, "sources"),
        gate=gate,
        sets=prediction_sets(results, name, temperature),
        training=Training(width=training.shape[1], rows=_rows(plan)),
        batik=dataset.source.kind == "published",
        drawn=dataset.source.is_drawn,
        limits={language: [*texts["always"], texts[dataset.source.kind]] for language, texts in _LIMITS.items()},
        sha256=digest(model),
    )
    numbers = about.model_dump(include={"temperature", "evidence", "gate", "sets"}) | {
        "model": name,
        "title": spec.title,
        "parameters": about.model.parameters,
        "bytes": len(model),
        "precision": precision,
        "compared": len(compared),
        "agreement": agreed,  # of float16 with Keras: the share of these pictures whose most probable motif is the same
        # How often an ordinary picture is further from the training pictures than one of the own, left out.
        "auroc": auroc,
        "unseen": unseen,
    }
    return Made(Bundle(model, about, training), json.loads(json.dumps(numbers), parse_float=rounded))


def spread(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most MOST_COMPARED of the pictures, evenly spread."""
    return pictures[np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_COMPARED)).astype(int))]


def _unseen(
    model: bytes,
    others: list[tuple[str, NDArray[np.uint8]]],
    training: NDArray[np.float16],
    own: NDArray[np.float64],
    sure: NDArray[np.float64] | None,
) -> dict[str, Any] | None:
    """How often other motifs' pictures look stranger than the own: by distance and by confidence (sure, of the own)."""
    if not others:
        return None
    said = ask_litert(model, np.stack([picture for _, picture in others]))
    return {
        "motifs": len({motif for motif, _ in others}),
        "images": len(others),
        "auroc": gates.auroc(own, distances(said["features"], training, gates.NEIGHBOURS)),
        "auroc_confidence": None if sure is None else gates.auroc(-sure, -said["probabilities"].max(axis=1)),
    }


def _rows(plan: Plan) -> list[Row]:
    data = plan.dataset
    rows = zip(data.paths, data.labels.tolist(), data.images, strict=True)
    found = ((path, label, palette(image[::2, ::2])) for path, label, image in rows)
    return [Row(name=n, motif=m, palette=[(c, round(share, 3)) for c, share in colours]) for n, m, colours in found]


def _accuracy(results: Results, model: str, protocol: Literal["grouped", "sources"]) -> Accuracy | None:
    band = grouped_interval(results, model, protocol=protocol)
    if band is None:
        return None
    value, low, high = (round(v, 6) for v in (band.value, band.low, band.high))
    images = len({path for r in results.select(model, protocol) for path in r.paths})
    return Accuracy(value=value, low=low, high=high, images=images, protocol=protocol)
