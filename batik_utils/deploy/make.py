"""A study's classifier made: chosen, trained on every picture, calibrated, converted, and held to what Keras says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from batik_utils import backend
from batik_utils.deploy.bundle import FORMAT, About, Accuracy, Bundle, Model, Named, Row, Training
from batik_utils.deploy.choice import recommended
from batik_utils.deploy.convert import to_litert
from batik_utils.deploy.litert import Runtime
from batik_utils.errors import BatikError
from batik_utils.experiment import Plan, final_weights
from batik_utils.files import digest
from batik_utils.models.kinds import KINDS
from batik_utils.stats.calibration import fit_temperature
from batik_utils.values import Results

COLOURS = 5


def make_classifier(plan: Plan, results: Results, metrics: Mapping[str, Any]) -> Bundle:
    """The classifier of a study, from its results and the numbers of metrics.json.

    Raises BatikError where no model of it can be used, or the converted one does not say what Keras says.
    """
    backend.start()
    from batik_utils.deploy.graph import with_three_outputs

    study, data = plan.study, plan.dataset
    name = recommended(study, metrics)
    model, said = study.models[name], metrics["models"][name]
    kind = KINDS[model.kind]
    dropout = said["published"]["hyper"]["dropout"]
    network = kind.assemble(model, final_weights(plan, name), data.size, data.motifs, dropout)
    temperature = _temperature(results, name)
    classifier = with_three_outputs(network, temperature)
    exact, small = to_litert(classifier, ("float32", "float16"), data.images)
    expected = np.concatenate([classifier.predict_on_batch(image[None])["probabilities"] for image in data.images])
    demand_parity(expected, *(ask_all(Runtime(content), data.images)["probabilities"] for content in (exact, small)))
    runtime = Runtime(small)
    features = ask_all(runtime, data.images)["features"].astype(np.float16)
    rows = [
        Row(name=path, motif=label, palette=palette(image))
        for path, label, image in zip(data.paths, data.labels.tolist(), data.images, strict=True)
    ]
    about = About(
        format=FORMAT,
        study=Named(name=study.name, title=study.title),
        model=Model(name=name, title=model.title, parameters=said["parameters"], starts=kind.describe(model).starts),
        motifs=list(data.motifs),
        size=data.size,
        resize=study.image.resize,
        temperature=round(temperature, 6),
        evidence="exact" if "evidence" in runtime.outputs else "occlusion",
        accuracy=_accuracy(said, "grouped"),
        sources_accuracy=_accuracy(said, "sources"),
        gate=None,
        sets=None,
        training=Training(width=features.shape[1], rows=rows),
        drawn=data.source.is_drawn,
        limits=limits(data.source.kind),
        sha256=digest(small),
    )
    return Bundle(small, about, features)


def ask_all(runtime: Runtime, pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Answers to pictures [n, s, s, 3] by name, each [n, ...]."""
    answers = [runtime.ask(picture) for picture in pictures]
    return {name: np.stack([answer[name] for answer in answers]) for name in runtime.outputs}


MOST_APART = 1e-4
LEAST_AGREEMENT = 0.99


def demand_parity(
    keras: NDArray[np.float32], float32: NDArray[np.float32], float16: NDArray[np.float32] | None = None
) -> None:
    """BatikError where a converted model's probabilities [n, m] are not Keras'.

    In float32 none may be MOST_APART off; in float16 the most probable motif may differ for 1 - LEAST_AGREEMENT of the
    pictures.
    """
    apart = float(np.abs(float32 - keras).max())
    if not apart < MOST_APART:
        raise BatikError(f"The converted model is not the network: its probabilities are up to {apart:.2g} off.")
    if float16 is not None:
        agreement = float((float16.argmax(1) == keras.argmax(1)).mean())
        if agreement < LEAST_AGREEMENT:
            raise BatikError(f"The model in float16 agrees with the network on {agreement:.1%} of the pictures only.")


def palette(picture: NDArray[np.uint8]) -> list[tuple[str, float]]:
    """A picture's commonest colours ("#rrggbb") with their shares, at most COLOURS of them, by median cut."""
    reduced = Image.fromarray(picture).quantize(COLOURS, Image.Quantize.MEDIANCUT)
    colours, counts = reduced.getpalette() or [], sorted(reduced.getcolors() or [], reverse=True)
    whole = picture.shape[0] * picture.shape[1]
    return [("#" + bytes(colours[3 * i : 3 * i + 3]).hex(), round(count / whole, 3)) for count, i in counts]


def limits(kind: str) -> list[str]:
    """What a classifier must not be used for, by where its pictures are from: "published", "folder" or "drawn"."""
    learnt = {
        "published": "It knows few photographs of each motif, from few sources: another camera, cloth or shop is another "
        "population. Its labels are the publisher's folders; no expert is known to have checked them.",
        "folder": "It knows the pictures of one folder: those of another camera, place or maker are another population.",
        "drawn": "It was trained on drawings by a program: about batik, and photographs of it, it says nothing.",
    }
    return [
        "It knows only the motifs that it names and cannot recognise others: cloth of another motif gets one of these.",
        learnt[kind],
        "It must not be used to judge authenticity, origin, value or ownership.",
    ]


def _temperature(results: Results, name: str) -> float:
    """That of the out-of-fold probabilities of all grouped fits; 1 where there are none."""
    fits = results.select(name, "grouped")
    if not len(fits):
        return 1.0
    y_true, y_prob = (np.concatenate([getattr(r, part) for r in fits]) for part in ("y_true", "y_prob"))
    return fit_temperature(y_true, y_prob)


def _accuracy(said: Mapping[str, Any], protocol: str) -> Accuracy | None:
    found = said.get(protocol) or {}
    if not found.get("interval"):
        return None
    low, high = found["interval"]
    return Accuracy(value=found["accuracy"], low=low, high=high, images=found["n_test"], protocol=protocol)
