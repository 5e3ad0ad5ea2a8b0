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
from batik_utils.deploy.copies import SMALL, fingerprint
from batik_utils.deploy.sets import prediction_sets
from batik_utils.errors import BatikError
from batik_utils.experiment import Plan, final_weights
from batik_utils.models.kinds import KINDS
from batik_utils.palette import palette
from batik_utils.stats.calibration import calibrate, fit_temperature, pooled, scale, whole_runs
from batik_utils.stats.compare import compare, shared_folds
from batik_utils.stats.scores import grouped_interval, out_of_fold, parameters
from batik_utils.study import Study
from batik_utils.values import Results

Protocol = Literal["grouped", "sources"]
PROTOCOLS: tuple[Protocol, ...] = ("grouped", "sources")
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
    protocol: Protocol  # of judged_by
    temperature: float  # for its logits
    network: Any  # keras.Model: float32 [b, s, s, 3] RGB 0-255 → softmax [b, m], without the temperature


def recommended(study: Study, results: Results) -> str:
    """The name of the model to use, from a study's results.

    The rule: of the models that a network can be made of, have at most MOST_PARAMETERS, repeat nobody's mistake on
    purpose and beat chance (the lower bound of accuracy is over it, with whole sources on one side too where that was
    measured), the one whose accuracy in grouped cross-validation has the highest lower bound. Of those whose bound is
    the same to a tenth of a point, or that are practically the same as it, the most accurate; of equals, the smallest.
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
    bands = {m: band for m in able if (band := grouped_interval(shared, m)) and _beats_chance(shared, m)}
    if not bands:
        raise BatikError(f"no model of {study.name} that can be given out is shown to beat chance.")
    best = max(bands, key=lambda m: bands[m].low)
    ties = [m for m in bands if round(bands[m].low - bands[best].low, 3) == 0 or _same(shared, m, best)]
    return max(ties, key=lambda m: (round(bands[m].value, 3), -sizes[m]))


def _beats_chance(results: Results, model: str) -> bool:
    """Whether accuracy is shown to be over the share of the commonest motif, in each cross-validation there is."""
    found = [(grouped_interval(results, model, protocol=p), out_of_fold(results, model, p)) for p in PROTOCOLS]
    return all(band.low > np.bincount(oof.y_true).max() / len(oof.y_true) for band, oof in found if band and oof)


def _same(results: Results, a: str, b: str) -> bool:
    found = compare(results, a, b)
    return found is not None and found.word == "same"


def train_recommended(plan: Plan, results: Results) -> Recommended:
    """Train the model to use on every picture, with the very setting that cross-validation judged.

    Raises BatikError where the published fits, whose setting it would have, have another.
    """
    backend.start()
    import keras

    name, data = recommended(plan.study, results), plan.dataset
    model = plan.study.models[name]
    if len({r.fit.hyper for p in ("published", *PROTOCOLS) for r in results.select(name, p)}) > 1:
        raise BatikError(
            f"{name} has another setting on the published split than in cross-validation, which judged it."
        )
    kind, weights = KINDS[model.kind], final_weights(plan, name)
    # Keras counts the layers that it has named so far, and their names are in the file.
    keras.utils.clear_session()
    network = kind.assemble(model, weights, plan.study.image_of(model).size, data.motifs, 0.0)
    protocol = judged_by(results, name)
    fits = list(results.select(name, protocol))
    temperature = fit_temperature(*pooled(fits)) if fits else 1.0
    return Recommended(name, protocol, temperature, network)


def judged_by(results: Results, model: str) -> Protocol:
    """By which cross-validation a model in use is set and measured: whole sources on one side, where it has that."""
    return "sources" if whole_runs(results, model, "sources") else "grouped"


def make_classifier(plan: Plan, results: Results, data: Path | None = None) -> Made:
    """The classifier of a study, from its results.

    data is the folder of pictures that was given, if one was (see find_photographs); of the published collection,
    other motifs are asked about, too. Raises BatikError where no model of the study can be used, or the converted one
    does not say what Keras says.
    """
    study, dataset = plan.study, plan.dataset
    shared = shared_folds(results, *study.compare)
    name, protocol, temperature, network = train_recommended(plan, results)
    spec, kept = study.models[name], dataset.sources if protocol == "sources" else dataset.groups
    image, pictures = study.image_of(spec), dataset.pictures(study.image_of(spec))
    from batik_utils.deploy.graph import with_three_outputs

    compared = spread(pictures)
    model, precision, agreed = faithful(with_three_outputs(network, temperature), compared)
    said = ask_litert(model, pictures)
    training, starts = said["features"].astype(np.float16), KINDS[spec.kind].describe(spec).starts
    gate, auroc, unseen = None, None, None
    if starts != "random":  # else its features were trained on these pictures, and none can be left out
        own = gates.left_out(training, kept, gates.NEIGHBOURS)
        ordinary, judges = gates.ordinary_pictures(image)
        far = distances(ask_litert(model, ordinary)["features"], training, gates.NEIGHBOURS)
        gate, auroc = gates.make_gate(own, kept, far, judges)
        others = []
        if dataset.source.kind == "published":
            others = gates.other_motifs(study, image, find_photographs(data, study.motifs)[0])
        if others:
            fits = list(results.select(name, protocol))
            sure = scale(pooled(fits)[1], temperature).max(axis=1) if fits else None
            asked = ask_litert(model, np.stack([picture for _, picture in others]))
            strange = distances(asked["features"], training, gates.NEIGHBOURS)
            unseen = {
                "motifs": len({motif for motif, _ in others}),
                "images": len(others),
                "auroc": gates.auroc(own, strange),
                "auroc_confidence": None if sure is None else gates.auroc(-sure, -asked["probabilities"].max(axis=1)),
            }
            if gate:
                turned = {"others_turned_away": float((strange > gate.threshold).mean()), "n_others": len(others)}
                gate = gate.model_copy(update=turned)
    together = dict(zip(dataset.paths, kept.tolist(), strict=True))
    calibrated = calibrate(results, name, protocol)
    tested = len({path for r in results.select(name, protocol) for path in r.paths})
    about = About(
        format=4,
        study=Named(name=study.name, title=study.title),
        model=Model(name=name, title=spec.title, parameters=network.count_params(), starts=starts),
        motifs=list(dataset.motifs),
        image=image,
        protocol=protocol,
        temperature=round(temperature, 6),
        evidence="exact" if "evidence" in said else "occlusion",
        accuracy=_accuracy(shared, name, "grouped"),
        sources_accuracy=_accuracy(shared, name, "sources"),
        gate=gate,
        sets=prediction_sets(results, name, temperature, protocol, dataset.motifs, together),
        training=Training(width=training.shape[1], rows=_rows(plan)),
        batik=dataset.source.kind == "published",
        drawn=dataset.source.is_drawn,
        limits={language: [*texts["always"], texts[dataset.source.kind]] for language, texts in _LIMITS.items()},
        sha256=digest(model),
    )
    numbers = about.model_dump(include={"protocol", "temperature", "evidence", "gate", "sets"}) | {
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
        # How far confidence and accuracy lie apart, with a temperature that never saw the pictures.
        "calibration": calibrated and {"error": calibrated.after.ece, "n": tested},
    }
    return Made(Bundle(model, about, training), json.loads(json.dumps(numbers), parse_float=rounded))


def spread(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most MOST_COMPARED of the pictures, evenly spread."""
    return pictures[np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_COMPARED)).astype(int))]


def _rows(plan: Plan) -> list[Row]:
    data = plan.dataset
    whole = data.images if data.source.is_drawn else data.pictures(SMALL)  # a model's own pictures may be cropped
    rows = zip(data.paths, data.labels.tolist(), data.images, whole, strict=True)
    return [
        Row(name=path, motif=motif, palette=_colours(image), fingerprint=fingerprint(picture))
        for path, motif, image, picture in rows
    ]


def _colours(image: NDArray[np.uint8]) -> list[tuple[str, float]]:
    return [(colour, round(share, 3)) for colour, share in palette(image[::2, ::2])]


def _accuracy(results: Results, model: str, protocol: Protocol) -> Accuracy | None:
    band = grouped_interval(results, model, protocol=protocol)
    if band is None:
        return None
    value, low, high = (round(v, 6) for v in (band.value, band.low, band.high))
    images = len({path for r in results.select(model, protocol) for path in r.paths})
    return Accuracy(value=value, low=low, high=high, images=images, protocol=protocol)
