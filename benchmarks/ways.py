"""One scratch fit of a study in three ways: the seed studies', plain Keras' as a reader would write it, and ours."""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import layers
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from batik_utils.data.obtain import find_photographs
from batik_utils.dataset import load_dataset
from batik_utils.errors import BatikError
from batik_utils.study import Study
from batik_utils.study_file import load_study
from batik_utils.values import Dataset, Fit, Hyper, Split


def load(name: str) -> tuple[Study, Dataset]:
    """Read a study and its pictures; where they cannot be had, the sample study and its."""
    study = load_study(name)
    try:
        return study, load_dataset(study)
    except BatikError:
        sample = load_study("sample")
        # The same arithmetic as the study that was asked for: its size of picture.
        sample = sample.model_copy(update={"image": study.image, "motifs": sample.motifs[: len(study.motifs)]})
        return sample, load_dataset(sample)


def halves(dataset: Dataset) -> tuple[list[int], list[int]]:
    """Four fifths to train on, one fifth to look at, motif by motif: 120 and 30 of the seed's 150."""
    train, held = [], []
    for label in range(len(dataset.motifs)):
        rows = [int(row) for row in (dataset.labels == label).nonzero()[0]]
        held += rows[: len(rows) // 5]
        train += rows[len(rows) // 5 :]
    return train, held


def seed_cnn(size: int, classes: int) -> list[Any]:
    """The layers of seed 000's scratch CNN, word for word, after its input."""
    network: list[Any] = []
    for filters in (32, 64, 128):
        network += [layers.Conv2D(filters, (3, 3), activation="relu"), layers.MaxPooling2D(pool_size=(2, 2))]
    network += [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(0.5)]
    return [*network, layers.Dense(classes, activation="softmax")]


def seeds_way(study: Study, dataset: Dataset, epochs: int) -> None:
    """Files read in every epoch and augmented one by one in Python, as flow_from_directory does it.

    Through flow_from_dataframe, the same loader, which lets files that are no images be left out. The drawn sample has
    no files: its pictures flow from memory, which is kind to the seeds.
    """
    spec = study.models[study.compare[1]]
    change, train_and_held = spec.augmentation, halves(dataset)
    ranges = {"width_shift_range": change.shift, "height_shift_range": change.shift, "zoom_range": change.zoom}
    ranges |= {
        "rotation_range": change.rotation,
        "shear_range": change.shear,
        "horizontal_flip": change.horizontal_flip,
    }
    pictures = [ImageDataGenerator(rescale=1 / 255, fill_mode="nearest", **ranges), ImageDataGenerator(rescale=1 / 255)]
    size, one_hot = (dataset.size, dataset.size), np.eye(len(dataset.motifs), dtype=np.float32)[dataset.labels]
    flows = []
    for generator, rows in zip(pictures, train_and_held, strict=True):
        if dataset.source.is_drawn:
            flows.append(generator.flow(dataset.images[rows].astype(np.float32), one_hot[rows], spec.batch_size))
            continue
        names, motifs = [dataset.paths[row] for row in rows], [dataset.motifs[dataset.labels[row]] for row in rows]
        files, folder = pd.DataFrame({"filename": names, "class": motifs}), find_photographs(None, dataset.motifs)[0]
        options = {"classes": list(dataset.motifs), "validate_filenames": False, "batch_size": spec.batch_size}
        flows.append(generator.flow_from_dataframe(files, folder, target_size=size, **options))
    model = keras.Sequential([keras.Input((*size, 3)), *seed_cnn(dataset.size, len(dataset.motifs))])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(flows[0], validation_data=flows[1], epochs=epochs, verbose=0)


def plain(study: Study, dataset: Dataset, epochs: int) -> None:
    """The same network on arrays, with Keras' own augmentation layers before it, by model.fit."""
    spec, (train, held) = study.models[study.compare[1]], halves(dataset)
    change = spec.augmentation
    augmentation = [
        layers.RandomRotation(change.rotation / 360, "nearest"),
        layers.RandomTranslation(change.shift, change.shift, "nearest"),
        layers.RandomShear(float(np.tan(np.radians(change.shear))), 0.0, fill_mode="nearest"),
        layers.RandomZoom(change.zoom, change.zoom, "nearest"),
        *([layers.RandomFlip("horizontal")] if change.horizontal_flip else []),
    ]
    inside = [layers.Rescaling(1 / 255), *seed_cnn(dataset.size, len(dataset.motifs))]
    model = keras.Sequential([keras.Input((dataset.size, dataset.size, 3)), *augmentation, *inside])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = np.asarray(dataset.images, np.float32), dataset.labels
    seen = images[held], labels[held]
    model.fit(images[train], labels[train], spec.batch_size, epochs, validation_data=seen, verbose=0)


def ours(study: Study, dataset: Dataset, epochs: int) -> None:
    """The verdict's scratch model as this project trains it."""
    from batik_utils.models.train import train_scratch  # which sets TensorFlow up for all that follows
    from batik_utils.models.work import Task

    model, (train, held) = study.models[study.compare[1]], halves(dataset)
    fit = Fit(study.name, "scratch", "bench", 0, 0, 0, Hyper(epochs, model.learning_rate, model.dropout))
    split = Split("bench", 0, 0, tuple(train), (), tuple(held))
    labels, classes = tuple(dataset.labels.tolist()), len(dataset.motifs)
    task = Task(model=model, fits=(fit,), splits=(split,), labels=labels, classes=classes, history=True)
    train_scratch(task, dataset.paths, dataset.sha256, dataset.images)


WAYS: dict[str, Callable[[Study, Dataset, int], None]] = {"the seeds'": seeds_way, "plain Keras": plain, "ours": ours}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("study")
    parser.add_argument("epochs", type=int)
    asked = parser.parse_args()
    opened, seconds = load(asked.study), []
    keras.utils.set_random_seed(0)
    for length in (1, 1 + asked.epochs):  # an epoch is what the second fit takes longer, compiling and loading aside
        start = time.perf_counter()
        WAYS[asked.way](*opened, length)
        seconds.append(time.perf_counter() - start)
    print(json.dumps((seconds[1] - seconds[0]) / asked.epochs))
