"""Train scratch networks, plainly as the seed studies did, or regularised so that few pictures go far."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import batik_utils.backend  # noqa: F401  (before keras: one thread, quiet logs)

# isort: split
import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError
from batik_utils.models.augment import draw_transforms, warp
from batik_utils.models.corruptions import tamper
from batik_utils.models.fast import faster
from batik_utils.models.scratch import ask_all_views, build_scratch, initial_weights, seed_dropout, side_seen
from batik_utils.models.work import Fitted, Task, followed, training_seed
from batik_utils.study_models import ScratchModel

VIEWS_PER_SEED = 1000
"""Seed s sees the views from 1 + s x this on: every seed its own, and the first epochs alike for any length of fit."""
EVALUATION_BATCH = 32
WARM_UP = 3  # epochs in which a regularised network's learning rate rises from nothing
JIT = keras.backend.backend() != "tensorflow"  # whose own convolutions are faster than XLA's on a CPU


def train_scratch(
    task: Task[ScratchModel], paths: Sequence[str], sha256s: Sequence[str], images: NDArray[np.uint8]
) -> list[Fitted]:
    """Train a network for every fit of the task, one after another; each with its weights as build_scratch orders them.

    images are uint8 RGB [n, s, s, 3] (may be memory-mapped); paths and sha256s, of the files, are [n]. The batch order,
    the first weights and the dropout come from the fit's training seed. A result does not depend on which fits ran
    before in this process. Raises BatikError where the loss is not finite, naming the epoch.

    Epoch e shows each image's view 1 + seed x 1000 + e. Models with `regularised` have AdamW with a cosine schedule
    (Loshchilov & Hutter 2019), random resized crops, flips, transposition and colour jitter, mixup (Zhang et al. 2018)
    and CutMix (Yun et al. 2019), label smoothing, and an average of the weights over steps, which is what is asked and
    kept.
    """
    train = _regularised if task.model.regularised else _plain
    return [train(task, place, paths, sha256s, images) for place in range(len(task.fits))]


def _plain(task: Task[ScratchModel], place: int, paths, sha256s, images) -> Fitted:
    spec, fit = task.model, task.fits[place]
    how = spec.architecture, int(images.shape[1]), task.classes, fit.hyper.dropout, spec.pixels
    network = _network(*how)
    return train_plainly(task, place, paths, sha256s, images, network, initial_weights(network, training_seed(fit)))


def train_plainly(
    task: Task[Any],
    place: int,
    paths: Sequence[str],
    sha256s: Sequence[str],
    images: NDArray[np.uint8],
    network: keras.Model,
    first: Sequence[NDArray[np.float32]],
) -> Fitted:
    """Train a network made by `ready` from its first weights for the fit at a place of the task; see train_scratch.

    A network may look at the top left part of the pictures alone.
    """
    spec, fit, labels, size = task.model, task.fits[place], np.asarray(task.labels), int(images.shape[1])
    seed, train, side = training_seed(fit), np.sort(task.splits[place].train), network.input_shape[1]
    mirrored = np.random.default_rng(seed).random(len(paths)) < 0.5 * getattr(spec, "flipped_tests", False)
    network.set_weights(first)
    for variable in network.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    network.optimizer.learning_rate = fit.hyper.learning_rate
    seed_dropout(network, seed)

    def learn(epoch: int) -> dict[str, float]:
        order = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch]))).permutation(train)
        view, means = 1 + seed * VIEWS_PER_SEED + epoch, {"accuracy": 0.0, "loss": 0.0}
        for start in range(0, len(order), spec.batch_size):
            rows = order[start : start + spec.batch_size]
            transforms = draw_transforms(spec.augmentation, [sha256s[row] for row in rows], [view] * len(rows), size)
            said = network.train_on_batch(warp(images[rows], transforms, side), labels[rows], return_dict=True)
            means = {name: mean + float(said[name]) * len(rows) / len(order) for name, mean in means.items()}
        return _finite(means, task, place, epoch)

    def ask(rows: Sequence[int], corruption: str) -> NDArray[np.float64]:
        pictures, turned = _shown(images, rows, corruption, sha256s), mirrored[list(rows)]
        pictures[turned] = pictures[turned, :, ::-1]
        return _said(network, pictures[:, :side, :side])

    result = followed(task, place, paths, network.count_params(), learn, ask)
    return result, network.get_weights()


@functools.lru_cache(maxsize=2)
def _network(architecture: str, size: int, classes: int, dropout: float, pixels: str) -> keras.Model:
    side = side_seen(build_scratch(architecture, size, classes, dropout))
    network = build_scratch(architecture, side, classes, dropout, pixels=pixels)
    return ready(faster(network))


def ready(network: keras.Model) -> keras.Model:
    """Compile a network for its side of pictures; each fit puts it back to its own first state."""
    side = network.input_shape[1]
    network.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=JIT)
    # Two batches of different length make TensorFlow trace a step for any length now, once, so that the first fit of a
    # process runs the very graph that its later fits run.
    for length in (2, 3):
        blank = np.zeros((length, side, side, 3), np.float32)
        network.train_on_batch(blank, np.zeros(length, np.int64))
        network.predict_on_batch(blank)
    return network


def _regularised(task: Task[ScratchModel], place: int, paths, sha256s, images) -> Fitted:
    model, fit, labels = task.model, task.fits[place], np.asarray(task.labels)
    how, hyper, seed, train = model.regularised, fit.hyper, training_seed(fit), np.asarray(task.splits[place].train)
    assert how is not None
    small = _shrunk(images, how.side)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0xC409])))
    steps = -(-len(train) // model.batch_size)
    network, whole = (
        build_scratch(model.architecture, side, task.classes, hyper.dropout, seed) for side in (how.crop, how.side)
    )
    seed_dropout(network, seed)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, hyper.epochs * steps, 0.01, warmup_target=hyper.learning_rate, warmup_steps=WARM_UP * steps
    )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=how.smoothing)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=how.weight_decay)
    network.compile(optimizer, loss, metrics=["accuracy"], jit_compile=JIT)
    asked, mean, step = ask_all_views(whole, how.side), network.get_weights(), 0

    def learn(epoch: int) -> dict[str, float]:
        nonlocal mean, step
        # A short last batch is filled up with other training pictures: every step sees one shape.
        order, means = np.resize(rng.permutation(train), (steps, model.batch_size)), {"accuracy": 0.0, "loss": 0.0}
        for rows in order:
            crops = np.stack([_crop(small[row], how.crop, rng) for row in rows])
            targets = np.eye(task.classes, dtype=np.float32)[labels[rows]]
            if rng.random() < how.mix:
                crops, targets = _mixed(crops, targets, rng)
            said = network.train_on_batch(crops, targets, return_dict=True)
            means = {name: value + float(said[name]) / steps for name, value in means.items()}
            step += 1
            # The average forgets its beginning sooner than its end, as TensorFlow's moving averages do.
            keep = min(how.average, (1 + step) / (10 + step))
            mean = [keep * m + (1 - keep) * w for m, w in zip(mean, network.get_weights(), strict=True)]
        whole.set_weights(mean)
        return _finite(means, task, place, epoch)

    def ask(rows: Sequence[int], corruption: str) -> NDArray[np.float64]:
        pictures = _shrunk(_shown(images, rows, corruption, sha256s), how.side) if corruption else small[list(rows)]
        return _said(asked, pictures)

    return followed(task, place, paths, whole.count_params(), learn, ask), mean


def _finite(means: dict[str, float], task: Task[ScratchModel], place: int, epoch: int) -> dict[str, float]:
    if not np.isfinite(means["loss"]):
        named = f"{task.model.title} (seed {task.fits[place].seed})"
        raise BatikError(f"{named} gave NaN at epoch {epoch + 1}; try a lower learning rate.")
    return means


def _shown(images: NDArray[np.uint8], rows: Sequence[int], corruption: str, sha256s: Sequence[str]) -> NDArray:
    """Some pictures as they are, or tampered with."""
    pictures = images[list(rows)]
    return tamper(pictures, corruption, [sha256s[row] for row in rows]) if corruption else pictures


def _said(network: keras.Model, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    parts = (pictures[i : i + EVALUATION_BATCH].astype(np.float32) for i in range(0, len(pictures), EVALUATION_BATCH))
    said = np.concatenate([np.asarray(network.predict_on_batch(part), np.float64) for part in parts])
    return said / said.sum(axis=1, keepdims=True)


def _shrunk(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pictures [n, h, w, 3] at another side, antialiased, as the saved model does it: [n, side, side, 3]."""
    parts = (images[i : i + EVALUATION_BATCH].astype(np.float32) for i in range(0, len(images), EVALUATION_BATCH))
    resized = [np.asarray(keras.ops.image.resize(part, (side, side), antialias=True)) for part in parts]
    return np.round(np.concatenate(resized)).clip(0, 255).astype(np.uint8)


def _crop(image: NDArray[np.uint8], side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A random part of a picture (30 to 100 % of its area) at this side, turned over and recoloured at random."""
    whole, area, stretch = len(image), rng.uniform(0.3, 1), np.exp(rng.uniform(-0.3, 0.3))
    height, width = (min(whole, round(whole * np.sqrt(area * ratio))) for ratio in (1 / stretch, stretch))
    y, x = rng.integers(0, whole - height + 1), rng.integers(0, whole - width + 1)
    crop = cv2.resize(image[y : y + height, x : x + width], (side, side), interpolation=cv2.INTER_LINEAR)
    axes = rng.random(3) < 0.5
    crop = crop[:: -1 if axes[0] else 1, :: -1 if axes[1] else 1].astype(np.float32)
    crop = crop.transpose(1, 0, 2) if axes[2] else crop
    grey, middle = crop.mean(axis=2, keepdims=True), crop.mean(axis=(0, 1))
    crop = grey + (crop - grey) * rng.uniform(0.6, 1.4)
    lit = middle * rng.uniform(0.75, 1.25) * rng.uniform(0.92, 1.08, 3)
    return np.clip((crop - middle) * rng.uniform(0.7, 1.3) + lit, 0, 255).astype(np.float32)


def _mixed(crops: NDArray, targets: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Each picture mixed with another, or with a square of another pasted in, and its target in the same shares."""
    other, share = rng.permutation(len(crops)), float(rng.beta(0.4, 0.4))
    if rng.random() < 0.5:
        crops = (share * crops + (1 - share) * crops[other]).astype(np.float32)
    else:
        side = round(crops.shape[1] * np.sqrt(1 - share))
        y, x = rng.integers(0, crops.shape[1] - side + 1, 2)
        crops, pasted = crops.copy(), crops[other]
        crops[:, y : y + side, x : x + side] = pasted[:, y : y + side, x : x + side]
        share = 1 - side**2 / crops.shape[1] ** 2
    return crops, (share * targets + (1 - share) * targets[other]).astype(np.float32)
