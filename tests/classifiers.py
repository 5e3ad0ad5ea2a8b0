"""Two classifiers that are made in seconds: one of random weights, and one whose answers anyone can foretell."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import batik_utils.backend  # noqa: F401  (before keras)

# isort: split
import keras
from browsing import had
from keras import layers

from batik_utils.app.build import FOLDER, build_page
from batik_utils.cache import digest
from batik_utils.deploy.bundle import About, Bundle
from batik_utils.deploy.convert import ask_litert, to_litert, with_three_outputs
from batik_utils.deploy.gate import fingerprint

SIZE, MOTIFS = 32, ("batik-red", "batik-blue", "batik-grey")
ABOUT = yaml.safe_load("""
format: 5
study: {name: small, title: A small study}
model: {name: small, title: Small, parameters: 1000, starts: random}
protocol: grouped
temperature: 1.5
evidence: exact
accuracy: {value: 0.9, low: 0.8, high: 0.95, n: 96}
sources_accuracy: null
gate: {neighbours: 3, threshold: 2.0, auroc: 0.99, ordinary_turned_away: 0.9, own_turned_away: 0.02, n_ordinary: 10,
       n_own: 6}
sets: {coverage: 0.9, threshold: 0.5, measured: {value: 0.91, low: 0.8, high: 0.97, n: 96}, per_motif: {},
       mean_size: 1.1}
batik: true
drawn: false
limits: {en: [Not for money.], id: [Bukan untuk uang.]}
""")
TEMPERATURE = ABOUT["temperature"]


def network(seed: int = 0, hidden: int = 0, classes: int = 3) -> Any:
    """RGB 0-255 → softmax, by one convolution, the mean over places and a head, all of random weights."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.Rescaling(1 / 255, name="preprocessing")(image)
    x = layers.Conv2D(6, 8, strides=4, activation="relu", name="convolution")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    if hidden:
        x = layers.Dense(hidden, activation="relu", name="hidden")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", name="motif")(x), name="small")


def pictures(count: int = 12, seed: int = 0) -> np.ndarray:
    """Noisy squares [count, s, s, 3]: reddish, bluish and grey in turn."""
    images = np.random.default_rng(seed).integers(0, 90, (count, SIZE, SIZE, 3))
    for row in range(count):
        images[row, :, :, 0] += 120 * (row % 3 == 0)
        images[row, :, :, 2] += 120 * (row % 3 == 1)
    return images.astype(np.uint8)


def described(
    model: bytes, training: np.ndarray, images: np.ndarray, labels: list[int], motifs: tuple[str, ...], **more: Any
) -> Bundle:
    """A model with all that is known of it; more are other words of its About."""
    rows = [
        {
            "name": f"{motifs[label]}/{i}.png",
            "motif": label,
            "palette": [("#" + image[0, 0].tobytes().hex(), 0.7), ("#ffffff", 0.3)],
            "fingerprint": fingerprint(image),
        }
        for i, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    known = {
        "motifs": list(motifs),
        "image": {"size": images.shape[1], "resize": "bilinear", "fit": "stretch"},
        "training": {"width": training.shape[1], "rows": rows},
        "sha256": digest(model),
    }
    return Bundle(model, About.model_validate(ABOUT | known | more), training.astype(np.float16))


@cache
def bundle() -> Bundle:
    """The classifier of random weights, its gate wide open."""
    model, labels = to_litert(with_three_outputs(network(), TEMPERATURE)), [i % 3 for i in range(12)]
    return described(model, ask_litert(model, pictures())["features"], pictures(), labels, MOTIFS)


def changed(**changes: Any) -> Bundle:
    """The same with other words."""
    whole = bundle()
    return Bundle(whole.model, About.model_validate(whole.about.model_dump() | changes), whole.training)


CLOTH, PLACES = 64, 8  # the side of its pictures, and of its map of evidence
COLOURS = {"batik-bali": (200, 20, 20), "batik-betawi": (20, 200, 20), "batik-celup": (20, 20, 200)}
NEVER = ("batik-garutan", "batik-kawung", "batik-lasem", "batik-parang", "my own cloth")  # the last has no plate
CLOTHS = (*COLOURS, *NEVER)


def cloth(colour, size=(CLOTH, CLOTH), seed=0):
    """A picture [height, width, 3] of one colour, with some noise."""
    noise = np.random.default_rng(seed).integers(-15, 16, (*size, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def colour_network(evidence=True):
    """uint8 [1, s, s, 3] → probabilities, features (the mean colour's direction) and, where wished, evidence."""
    image = keras.Input((CLOTH, CLOTH, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(keras.ops.cast(image, "float32"))
    maps = layers.AveragePooling2D(CLOTH // PLACES)(x)
    found = layers.Conv2D(len(CLOTHS), 1, name="speaks")(maps)
    outputs = {
        "probabilities": layers.Softmax()(layers.GlobalAveragePooling2D()(found)),
        "features": layers.UnitNormalization()(layers.GlobalAveragePooling2D()(maps)),
    }
    outputs |= {"evidence": found} if evidence else {}
    model = keras.Model(image, {name: layers.Identity(name=name)(value) for name, value in outputs.items()})
    kernel = np.zeros((1, 1, 3, len(CLOTHS)), np.float32)
    kernel[0, 0, np.arange(3), np.arange(3)] = 6
    model.get_layer("speaks").set_weights([kernel, np.repeat([0, -1], [3, len(NEVER)]).astype(np.float32)])
    return model


def of_colours(evidence=True):
    """Red cloth is Bali, green Betawi, blue Celup, violet Bali or Celup, and white none.

    The one that has no evidence crops its pictures, and was measured on motifs that differ in size.
    """
    learnt = [(colour, motif) for motif, colour in enumerate(COLOURS.values())] + [((140, 20, 140), 0)]
    images = np.stack([cloth(colour, seed=i) for i in range(3) for colour, _ in learnt])
    means = images.mean((1, 2)) / 255
    features = means / np.linalg.norm(means, axis=1, keepdims=True)
    more = {
        "study": {"name": "tiny", "title": "Tiny <b>cloth</b>"},
        "image": {"size": CLOTH, "resize": "bilinear", "fit": "stretch" if evidence else "crop"},
        "evidence": "exact" if evidence else "occlusion",
        "accuracy": ABOUT["accuracy"] | {"balanced": None if evidence else 0.4},
        "sources_accuracy": ABOUT["accuracy"] | {"value": 0.5},
        "gate": ABOUT["gate"] | {"neighbours": 2, "threshold": 0.05},
        "sets": ABOUT["sets"] | {"threshold": 0.8},
    }
    labels = [motif for _ in range(3) for _, motif in learnt]
    return described(to_litert(colour_network(evidence)), features, images, labels, CLOTHS, **more)


def write_page(folder: Path, evidence=True) -> tuple[Path, Bundle]:
    """The page of the classifier of colours in a folder; skips where the runtime cannot be had."""
    had(FOLDER)
    made, page = of_colours(evidence), folder / "classifier.html"
    page.write_bytes(build_page(made))
    return page, made
