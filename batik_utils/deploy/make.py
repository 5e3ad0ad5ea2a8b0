"""A study's classifier made: chosen, trained on every picture, calibrated, converted, judged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from batik_utils import backend
from batik_utils.cache import digest, rounded
from batik_utils.data import palette
from batik_utils.data.decode import read_image
from batik_utils.data.obtain import find_photographs, motif_of, other_motifs
from batik_utils.deploy import gate as gates
from batik_utils.deploy.answers import distances, members
from batik_utils.deploy.bundle import About, Bundle, Measured, Model, Named, Protocol, Row, Sets, Training
from batik_utils.errors import BatikError
from batik_utils.experiment import Plan, final_weights
from batik_utils.models.kinds import KINDS
from batik_utils.stats.calibration import calibrate, fit_temperature, pooled, scale, whole_runs
from batik_utils.stats.compare import compare, shared_folds, uneven
from batik_utils.stats.intervals import wilson
from batik_utils.stats.scores import Labels, Probabilities, fold_scores, grouped_interval, out_of_fold, parameters
from batik_utils.study import Study
from batik_utils.values import Results

PROTOCOLS: tuple[Protocol, ...] = ("grouped", "sources")
MOST_PARAMETERS = 10_000_000  # that a model for use may have
MOST_COMPARED = 100  # pictures, evenly spread, on which a converted model is held to Keras
COVERAGE = 0.9  # how often a prediction set is to hold the true motif
_LIMITS = yaml.safe_load(Path(__file__).with_name("limits.yaml").read_text(encoding="utf-8"))


class Made(NamedTuple):
    """A classifier, and what is measured of it, in plain JSON values rounded as metrics.json is."""

    bundle: Bundle
    numbers: dict[str, Any]


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
    small = {m: study.models[m] for m, size in sizes.items() if size <= MOST_PARAMETERS}
    able = [m for m, spec in small.items() if KINDS[spec.kind].can_be_saved(spec) and not spec.variant_of]
    if not able:
        most = f"{MOST_PARAMETERS:,} parameters"
        raise BatikError(f"no model of {study.name} can be saved as a network of at most {most}.")
    shared = shared_folds(results, *study.compare)
    bands = {m: band for m in able if (band := grouped_interval(shared, m)) and _beats_chance(shared, m)}
    if not bands:
        raise BatikError(f"no model of {study.name} that can be given out is shown to beat chance.")
    best = max(bands, key=lambda m: bands[m].low)

    def ties(model: str) -> bool:
        found = compare(shared, model, best)
        return round(bands[model].low - bands[best].low, 3) == 0 or bool(found and found.word == "same")

    return max(filter(ties, bands), key=lambda m: (round(bands[m].value, 3), -sizes[m]))


def _beats_chance(results: Results, model: str) -> bool:
    """Whether accuracy is shown to be over the share of the commonest motif, in each cross-validation there is."""
    found = [(grouped_interval(results, model, protocol=p), out_of_fold(results, model, p)) for p in PROTOCOLS]
    return all(band.low > np.bincount(oof.y_true).max() / len(oof.y_true) for band, oof in found if band and oof)


def train_recommended(plan: Plan, results: Results) -> tuple[str, float, Any]:
    """The model to use, trained on every picture with the very setting that cross-validation judged.

    Returns its name, the temperature for its logits, and a keras.Model (float32 [b, s, s, 3] RGB 0-255 → softmax
    [b, m]) without it. Raises BatikError where the published fits, whose setting it would have, have another.
    """
    backend.start()
    import keras

    name = recommended(plan.study, results)
    model = plan.study.models[name]
    if len({r.fit.hyper for p in ("published", *PROTOCOLS) for r in results.select(name, p)}) > 1:
        other = "another setting on the published split than in cross-validation"
        raise BatikError(f"{name} has {other}, which judged it.")
    weights = final_weights(plan, name)
    # Keras counts the layers that it has named so far, and their names are in the file.
    keras.utils.clear_session()
    size = plan.study.image_of(model).size
    network = KINDS[model.kind].assemble(model, weights, size, plan.dataset.motifs, 0.0)
    fits = results.select(name, judged_by(results, name)).items
    return name, fit_temperature(*pooled(fits)) if fits else 1.0, network


def judged_by(results: Results, model: str) -> Protocol:
    """By which cross-validation a model in use is set and measured: whole sources on one side, where it has that."""
    return "sources" if whole_runs(results, model, "sources") else "grouped"


def make_classifier(plan: Plan, results: Results, data: Path | None = None) -> Made:
    """The classifier of a study, from its results; data is the folder of pictures that was given, if one was.

    Raises BatikError where no model of the study can be used, or the converted one does not say what Keras says.
    """
    study, dataset = plan.study, plan.dataset
    name, temperature, network = train_recommended(plan, results)
    from batik_utils.deploy.convert import ask_litert, faithful, with_three_outputs

    spec, protocol = study.models[name], judged_by(results, name)
    shared, fits = shared_folds(results, *study.compare), results.select(name, protocol).items
    kept, starts = dataset.sources if protocol == "sources" else dataset.groups, KINDS[spec.kind].describe(spec).starts
    image = study.image_of(spec)
    pictures = dataset.pictures(image)
    compared = spread(pictures)
    model, agreed = faithful(with_three_outputs(network, temperature), compared)
    said = ask_litert(model, pictures)
    training = said["features"].astype(np.float16)
    gate, auroc, unseen = None, None, None
    if starts != "random":  # else its features were trained on these pictures, and none can be left out
        own = distances(training, training, gates.NEIGHBOURS, kept[:, None] == kept)
        ordinary, judges = gates.ordinary_pictures(image)
        far = distances(ask_litert(model, ordinary)["features"], training, gates.NEIGHBOURS)
        gate, auroc = gates.make_gate(own, kept, far, judges)
        others: list[str] = []
        if dataset.source.kind == "published":
            folder = find_photographs(data, study.motifs)[0]
            named, lacking = other_motifs(study.motifs, folder)
            others = [] if lacking else named  # what is measured must not depend on what else lies there
        if others:
            asked = ask_litert(model, np.stack([read_image(folder / path, **dict(image))[0] for path in others]))
            strange = distances(asked["features"], training, gates.NEIGHBOURS)
            motifs = len({motif_of(path) for path in others})
            unseen = {"motifs": motifs, "images": len(others), "auroc": gates.auroc(own, strange)}
            if gate:
                turned = {"others_turned_away": float((strange > gate.threshold).mean()), "n_others": len(others)}
                gate = gate.model_copy(update=turned)
    together, counts = dict(zip(dataset.paths, kept.tolist(), strict=True)), np.bincount(dataset.labels)
    about = About(
        format=5,
        study=Named(name=study.name, title=study.title),
        model=Model(name=name, title=spec.title, parameters=network.count_params(), starts=starts),
        motifs=list(dataset.motifs),
        image=image,
        protocol=protocol,
        temperature=round(temperature, 6),
        evidence="exact" if "evidence" in said else "occlusion",
        accuracy=_accuracy(shared, name, "grouped", counts),
        sources_accuracy=_accuracy(shared, name, "sources", counts),
        gate=gate,
        sets=prediction_sets(results, name, temperature, protocol, dataset.motifs, together),
        training=Training(width=training.shape[1], rows=_rows(plan)),
        batik=dataset.source.kind == "published",
        drawn=dataset.source.is_drawn,
        limits={language: [*texts["always"], texts[dataset.source.kind]] for language, texts in _LIMITS.items()},
        sha256=digest(model),
    )
    # How far confidence and accuracy lie apart, with a temperature that never saw the pictures.
    calibrated, tested = calibrate(results, name, protocol), len({path for r in fits for path in r.paths})
    numbers = about.model_dump(include={"protocol", "temperature", "evidence", "gate", "sets"}) | {
        "model": name,
        "title": spec.title,
        "parameters": about.model.parameters,
        "bytes": len(model),
        "precision": "float16",
        "compared": len(compared),
        "agreement": agreed,  # of float16 with Keras: the share of these pictures whose most probable motif is the same
        # How often an ordinary picture is further from the training pictures than one of the own, left out.
        "auroc": auroc,
        "unseen": unseen,
        "calibration": calibrated and {"error": calibrated.after.ece, "n": tested},
    }
    return Made(Bundle(model, about, training), json.loads(json.dumps(numbers), parse_float=rounded))


def spread(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most MOST_COMPARED of the pictures, evenly spread."""
    return pictures[np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_COMPARED)).astype(int))]


def _rows(plan: Plan) -> list[Row]:
    data = plan.dataset
    whole = data.images if data.source.is_drawn else data.pictures(gates.SMALL)  # a model's own pictures may be cropped
    rows = []
    for path, motif, image, picture in zip(data.paths, data.labels.tolist(), data.images, whole, strict=True):
        colours = [(colour, round(share, 3)) for colour, share in palette(image[::2, ::2])]
        rows.append(Row(name=path, motif=motif, palette=colours, fingerprint=gates.fingerprint(picture)))
    return rows


def _accuracy(results: Results, model: str, protocol: Protocol, counts: NDArray[np.int64]) -> Measured | None:
    band = grouped_interval(results, model, protocol=protocol)
    if band is None:
        return None
    value, low, high = (round(v, 6) for v in (band.value, band.low, band.high))
    images = len({path for r in results.select(model, protocol) for path in r.paths})
    even = round(fold_scores(results, model, protocol, "balanced")["value"].mean(), 6) if uneven(counts) else None
    return Measured(value=value, low=low, high=high, n=images, balanced=even)


def prediction_sets(
    results: Results, model: str, temperature: float, protocol: str, motifs: Sequence[str], kept: Mapping[str, int]
) -> Sets | None:
    """The rule for sets, from a model's predictions in cross-validation; None where there are too few folds.

    A set holds the motifs of probability 1 - threshold or more (Sadinle, Lei and Wasserman 2019), and the most
    probable one always. Coverage and size are measured on each fold with temperature and threshold from the other
    folds of its repeat; kept is {path: what the protocol keeps on one side}, of which each counts once in an interval.
    """
    whole = whole_runs(results, model, protocol)
    if not whole:
        return None
    found = []
    for folds in whole:
        for fold in folds:
            y_true, y_prob = pooled([other for other in folds if other is not fold])
            heat = fit_temperature(y_true, y_prob)
            held = members(scale(fold.y_prob, heat), threshold(y_true, scale(y_prob, heat)))
            truth = {"path": fold.paths, "motif": fold.y_true, "held": held[np.arange(len(held)), fold.y_true]}
            found.append(pd.DataFrame(truth | {"size": held.sum(axis=1)}))
    pictures = pd.concat(found).groupby("path").mean()
    pictures["kept"] = [kept[path] for path in pictures.index]

    def measured(rows: pd.DataFrame) -> Measured:
        band = wilson(rows["held"].mean() * (distinct := rows["kept"].nunique()), distinct)
        return Measured(value=round(band.value, 6), low=round(band.low, 6), high=round(band.high, 6), n=len(rows))

    limits = [threshold(y_true, scale(y_prob, temperature)) for y_true, y_prob in map(pooled, whole)]
    parts = {name: pictures[pictures["motif"] == place] for place, name in enumerate(motifs)}
    return Sets(
        coverage=COVERAGE,
        threshold=round(float(np.median(limits)), 6),
        measured=measured(pictures),
        per_motif={name: measured(rows) for name, rows in parts.items() if len(rows)},
        mean_size=round(float(pictures["size"].mean()), 6),
    )


def threshold(y_true: Labels, y_prob: Probabilities) -> float:
    """How improbable the truth [n] may be, given probabilities [n, m] in which each picture is once."""
    improbable = 1 - y_prob[np.arange(len(y_true)), y_true]
    level = min(1.0, COVERAGE * (1 + 1 / len(improbable)))  # the next picture counts as one more
    return float(np.quantile(improbable, level, method="inverted_cdf"))
