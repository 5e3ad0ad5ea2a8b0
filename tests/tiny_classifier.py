"""A classifier made in seconds, which anyone can foretell: red cloth is Bali, green Betawi, blue Celup, white none."""

from pathlib import Path
from typing import Any

import numpy as np

import batik_utils.backend  # noqa: F401  (before keras)

# isort: split
import keras
from browsing import had
from classifiers import ACCURACY, HELD, described
from keras import layers

from batik_utils.app.build import FOLDER, build_page
from batik_utils.deploy.bundle import Bundle
from batik_utils.deploy.convert import to_litert

SIZE, PLACES = 64, 8
COLOURS = {"batik-bali": (200, 20, 20), "batik-betawi": (20, 200, 20), "batik-celup": (20, 20, 200)}
NEVER = ("batik-garutan", "batik-kawung", "batik-lasem", "batik-parang", "my own cloth")  # the last has no plate
MOTIFS = (*COLOURS, *NEVER)


def cloth(colour, size=(SIZE, SIZE), seed=0):
    """A picture [height, width, 3] of one colour, with some noise."""
    noise = np.random.default_rng(seed).integers(-15, 16, (*size, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def network(evidence=True):
    """uint8 [1, s, s, 3] → probabilities, features (the mean colour's direction) and, where wished, evidence."""
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(keras.ops.cast(image, "float32"))
    maps = layers.AveragePooling2D(SIZE // PLACES)(x)
    found = layers.Conv2D(len(MOTIFS), 1, name="speaks")(maps)
    outputs = {
        "probabilities": layers.Softmax()(layers.GlobalAveragePooling2D()(found)),
        "features": layers.UnitNormalization()(layers.GlobalAveragePooling2D()(maps)),
    }
    outputs |= {"evidence": found} if evidence else {}
    named = {name: layers.Identity(name=name)(value) for name, value in outputs.items()}
    model = keras.Model(image, named)
    kernel = np.zeros((1, 1, 3, len(MOTIFS)), np.float32)
    kernel[0, 0, np.arange(3), np.arange(3)] = 6
    model.get_layer("speaks").set_weights([kernel, np.repeat([0, -1], [3, len(NEVER)]).astype(np.float32)])
    return model


def bundle(evidence=True):
    """The classifier with all that is known of it; violet cloth is in training too, so that it is no stranger.

    That which has no evidence crops its pictures, and was measured on motifs that differ in size.
    """
    learnt = [(colour, motif) for motif, colour in enumerate(COLOURS.values())] + [((140, 20, 140), 0)]
    pictures = np.stack([cloth(colour, seed=i) for i in range(3) for colour, _ in learnt])
    labels = [motif for _ in range(3) for _, motif in learnt]
    means = pictures.mean((1, 2)) / 255
    features = means / np.linalg.norm(means, axis=1, keepdims=True)
    more: dict[str, Any] = {
        "study": {"name": "tiny", "title": "Tiny <b>cloth</b>"},
        "image": {"size": SIZE, "resize": "bilinear", "fit": "stretch" if evidence else "crop"},
        "evidence": "exact" if evidence else "occlusion",
        "accuracy": ACCURACY | {"balanced": None if evidence else 0.4},
        "sources_accuracy": ACCURACY | {"value": 0.5},
        "gate": {
            "neighbours": 2, "threshold": 0.05, "auroc": 0.99, "ordinary_turned_away": 0.97, "own_turned_away": 0.05,
            "n_ordinary": 30, "n_own": 20,
        },
        "sets": {"coverage": 0.9, "threshold": 0.8, "measured": HELD, "per_motif": {}, "mean_size": 1.2},
    }  # fmt: skip
    return described(to_litert(network(evidence)), features, pictures, labels, MOTIFS, **more)


def write_page(folder: Path, evidence=True) -> tuple[Path, Bundle]:
    """The classifier's page in a folder; skips where the runtime cannot be had."""
    had(FOLDER)
    made, page = bundle(evidence), folder / "classifier.html"
    page.write_bytes(build_page(made))
    return page, made
