"""A small classifier that is made in seconds, for the tests of its file, its answers and its commands."""

from functools import cache
from typing import Any

import numpy as np

from batik_utils.cache import digest
from batik_utils.deploy.bundle import About, Bundle

SIZE, MOTIFS = 32, ("batik-red", "batik-blue", "batik-grey")
TEMPERATURE = 1.5
HELD = {"value": 0.91, "low": 0.8, "high": 0.97, "n": 96}
ACCURACY = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 96}


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


def described(
    model: bytes, training: np.ndarray, images: np.ndarray, labels: list[int], motifs: tuple[str, ...], **more: Any
) -> Bundle:
    """A model with all that is known of it; more are other words of its About."""
    from batik_utils.deploy.gate import fingerprint

    rows = [
        {
            "name": f"{motifs[label]}/{i}.png",
            "motif": label,
            "palette": [("#" + image[0, 0].tobytes().hex(), 0.7), ("#ffffff", 0.3)],
            "fingerprint": fingerprint(image),
        }
        for i, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    about = {
        "format": 5,
        "protocol": "grouped",
        "study": {"name": "small", "title": "A small study"},
        "model": {"name": "small", "title": "Small", "parameters": 1000, "starts": "random"},
        "motifs": list(motifs),
        "image": {"size": images.shape[1], "resize": "bilinear", "fit": "stretch"},
        "temperature": TEMPERATURE,
        "evidence": "exact",
        "accuracy": ACCURACY,
        "sources_accuracy": None,
        "gate": {
            "neighbours": 3, "threshold": 2.0, "auroc": 0.99, "ordinary_turned_away": 0.9, "own_turned_away": 0.02,
            "n_ordinary": 10, "n_own": 6,
        },
        "sets": {"coverage": 0.9, "threshold": 0.5, "measured": HELD, "per_motif": {motifs[0]: HELD}, "mean_size": 1.1},
        "training": {"width": training.shape[1], "rows": rows},
        "batik": True,
        "drawn": False,
        "limits": {"en": ["Not for money."], "id": ["Bukan untuk uang."]},
        "sha256": digest(model),
    } | more  # fmt: skip
    return Bundle(model, About.model_validate(about), training.astype(np.float16))


@cache
def bundle() -> Bundle:
    """A whole classifier, its gate wide open."""
    from batik_utils.deploy.convert import ask_litert, to_litert, with_three_outputs

    model, labels = to_litert(with_three_outputs(network(), TEMPERATURE)), [i % 3 for i in range(12)]
    return described(model, ask_litert(model, pictures())["features"], pictures(), labels, MOTIFS)


def changed(**changes: Any) -> Bundle:
    """The same with other words."""
    whole = bundle()
    return Bundle(whole.model, About.model_validate(whole.about.model_dump() | changes), whole.training)
