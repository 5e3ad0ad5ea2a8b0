"""The seed studies' way: pictures augmented one by one in Python, Keras' fit, the frozen base run for every batch.

Photographs are read from their files in every epoch, as the seeds' flow_from_directory reads them (through
flow_from_dataframe, the same loader, which lets the two files that are not images be left out). The procedural
sample has no files: its pictures flow from memory, which is kind to the seeds.
"""

import argparse
import json
import time
from typing import Any

import keras
import numpy as np
import pandas
from keras import layers
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from batik_utils.data.obtain import find_photographs
from batik_utils.study import Augmentation
from batik_utils.values import Dataset
from benchmarks.pictures import halves, load


def generator(spec: Augmentation, rescale: float | None) -> ImageDataGenerator:
    """Keras' own generator with the ranges of a study's augmentation."""
    return ImageDataGenerator(
        rescale=rescale,
        rotation_range=spec.rotation,
        width_shift_range=spec.shift,
        height_shift_range=spec.shift,
        shear_range=spec.shear,
        zoom_range=spec.zoom,
        horizontal_flip=spec.horizontal_flip,
        fill_mode="nearest",
    )


def scratch(size: int, classes: int) -> keras.Model:
    """Seed 000's scratch CNN, word for word."""
    network = [keras.Input((size, size, 3))]
    for filters in (32, 64, 128):
        network += [layers.Conv2D(filters, (3, 3), activation="relu"), layers.MaxPooling2D(pool_size=(2, 2))]
    network += [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(0.5)]
    return keras.Sequential([*network, layers.Dense(classes, activation="softmax")])


def pretrained(size: int, classes: int) -> keras.Model:
    """Seed 000's MobileNetV2: the whole frozen network in the loop, a small head trained."""
    from batik_utils.models.backbones import BACKBONES

    base = BACKBONES["mobilenet_v2"].build(size)
    base.trainable = False
    x = layers.Dense(128, activation="relu")(base.output)
    x = layers.Dropout(0.5)(x)
    return keras.Model(base.input, layers.Dense(classes, activation="softmax")(x))


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch, validation included."""

    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        """Start."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stop."""
        self.seconds.append(time.perf_counter() - self.start)


def _flow(pictures: ImageDataGenerator, dataset: Dataset, rows: list[int], batch_size: int) -> Any:
    if dataset.source.is_drawn:
        targets = np.eye(len(dataset.motifs), dtype=np.float32)[dataset.labels[rows]]
        return pictures.flow(np.asarray(dataset.images[rows], dtype=np.float32), targets, batch_size=batch_size)
    folder, _ = find_photographs(None, dataset.motifs)
    files = pandas.DataFrame(
        {
            "filename": [dataset.paths[row] for row in rows],
            "class": [dataset.motifs[dataset.labels[row]] for row in rows],
        }
    )
    side = (dataset.size, dataset.size)
    return pictures.flow_from_dataframe(
        files, folder, target_size=side, batch_size=batch_size, classes=list(dataset.motifs), validate_filenames=False
    )


def fit(kind: str, study_name: str, epochs: int, seed: int = 0) -> keras.callbacks.History:
    """One fit as the seeds do it; its history, with "seconds" of every epoch."""
    keras.utils.set_random_seed(seed)
    study, dataset = load(study_name)
    spec = study.models[study.compare[("pretrained", "scratch").index(kind)]]
    train, held = halves(dataset)
    build, rescale = {"scratch": (scratch, 1 / 255), "pretrained": (pretrained, None)}[kind]
    model = build(dataset.size, len(dataset.motifs))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    batches = _flow(generator(spec.augmentation, rescale), dataset, train, spec.batch_size)
    validation = _flow(ImageDataGenerator(rescale=rescale), dataset, held, spec.batch_size)
    clock = Clock()
    done = model.fit(batches, validation_data=validation, epochs=epochs, verbose=0, callbacks=[clock])
    done.history["seconds"] = clock.seconds
    return done


def seconds_per_epoch(kind: str, study_name: str, epochs: int) -> float:
    """Median over `epochs` epochs after the first, which compiles."""
    return float(np.median(fit(kind, study_name, 1 + epochs).history["seconds"][1:]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["scratch", "pretrained"])
    parser.add_argument("--study", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()
    print(json.dumps({"seconds_per_epoch": seconds_per_epoch(asked.kind, asked.study, asked.epochs)}))
