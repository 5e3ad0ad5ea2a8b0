"""A small classifier that is made in seconds, for the tests of its file, its answers and its command."""

from functools import cache
from typing import Any

import numpy as np

from batik_utils.cache import digest
from batik_utils.deploy.bundle import About, Bundle

SIZE, MOTIFS = 32, ("batik-red", "batik-blue", "batik-grey")
TEMPERATURE = 1.5


def network(seed: int = 0, hidden: int = 0, classes: int = 3) -> Any:
    """RGB 0-255 → softmax, by one convolution, the mean over places and a head, all of random weights."""
    import batik_utils.backend  # noqa: F401  (before keras)

    # isort: split
    import keras

    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="preprocessing")(image)
    x = keras.layers.Conv2D(6, 8, strides=4, activation="relu", name="convolution")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    if hidden:
        x = keras.layers.Dense(hidden, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(x)
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax", name="motif")(x), name="small")


def pictures(count: int = 12, seed: int = 0) -> np.ndarray:
    """Noisy squares [count, s, s, 3]: reddish, bluish and grey in turn."""
    images = np.random.default_rng(seed).integers(0, 90, (count, SIZE, SIZE, 3))
    for row in range(count):
        images[row, :, :, 0] += 120 * (row % 3 == 0)
        images[row, :, :, 2] += 120 * (row % 3 == 1)
    return images.astype(np.uint8)


@cache
def bundle() -> Bundle:
    """A whole classifier, its gate wide open."""
    from batik_utils.deploy.convert import ask_litert, to_litert
    from batik_utils.deploy.copies import fingerprint
    from batik_utils.deploy.graph import with_three_outputs

    model = to_litert(with_three_outputs(network(), TEMPERATURE))
    training = ask_litert(model, pictures())["features"].astype(np.float16)
    held = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 12}
    rows = [
        {
            "name": f"{MOTIFS[i % 3]}/{i}.png",
            "motif": i % 3,
            "palette": [("#aabbcc", 1.0)],
            "fingerprint": fingerprint(p),
        }
        for i, p in enumerate(pictures())
    ]
    about = {
        "format": 4,
        "protocol": "grouped",
        "study": {"name": "small", "title": "A small study"},
        "model": {"name": "small", "title": "Small", "parameters": 1000, "starts": "random"},
        "motifs": list(MOTIFS),
        "image": {"size": SIZE, "resize": "bilinear", "fit": "stretch"},
        "temperature": TEMPERATURE,
        "evidence": "exact",
        "accuracy": {"value": 0.9, "low": 0.8, "high": 0.95, "images": 12, "protocol": "grouped"},
        "sources_accuracy": None,
        "gate": {
            "neighbours": 3, "threshold": 2.0, "auroc": 0.99, "ordinary_turned_away": 0.9, "own_turned_away": 0.02,
            "n_ordinary": 10, "n_own": 6,
        },
        "sets": {"coverage": 0.9, "threshold": 0.5, "measured": held, "per_motif": {MOTIFS[0]: held}, "mean_size": 1.1},
        "training": {"width": training.shape[1], "rows": rows},
        "batik": True,
        "drawn": False,
        "limits": {"en": ["Not for money."], "id": ["Bukan untuk uang."]},
        "sha256": digest(model),
    }  # fmt: skip
    return Bundle(model, About.model_validate(about), training)


def changed(**changes: Any) -> Bundle:
    """The same with other words."""
    whole = bundle()
    return Bundle(whole.model, About.model_validate(whole.about.model_dump() | changes), whole.training)
