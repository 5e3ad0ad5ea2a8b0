"""Train a small scratch network on random crops, mixed pictures and averaged weights, so that few pictures go far."""

from __future__ import annotations

from collections.abc import Sequence

import batik_utils.backend  # noqa: F401  (before keras: one thread, quiet logs)

# isort: split
import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError
from batik_utils.models.corruptions import tamper
from batik_utils.models.scratch import build_scratch, seed_dropout
from batik_utils.models.work import Fitted, Task, evaluation_sets, judged, steps_per_epoch, training_seed
from batik_utils.study import Regularisation, ScratchModel

EVALUATION_BATCH = 32
WARM_UP = 3  # epochs in which the learning rate rises from nothing


def train_small(
    task: Task[ScratchModel], paths: Sequence[str], sha256s: Sequence[str], images: NDArray
) -> list[Fitted]:
    """As train_scratch, for models with `regularised`: AdamW with a cosine schedule (Loshchilov & Hutter 2019), random
    resized crops, flips, transposition and colour jitter, mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019), label
    smoothing, and an average of the weights over steps, which is what is asked and kept.
    """
    how = task.model.regularised
    assert how is not None
    small = shrunk(images, how.side)
    return [_train(task, how, place, paths, sha256s, images, small) for place in range(len(task.fits))]


def _train(task: Task[ScratchModel], how: Regularisation, place: int, paths, sha256s, images, small) -> Fitted:
    model, fit, split, labels = task.model, task.fits[place], task.splits[place], np.asarray(task.labels)
    hyper, seed, train = fit.hyper, training_seed(fit), np.asarray(split.train)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0xC409])))
    steps = steps_per_epoch(len(train), model.batch_size)
    network, whole = (
        build_scratch(model.architecture, side, task.classes, hyper.dropout, seed, model.precision)
        for side in (how.crop, how.side)
    )
    seed_dropout(network, seed)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, hyper.epochs * steps, 0.01, warmup_target=hyper.learning_rate, warmup_steps=WARM_UP * steps
    )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=how.smoothing)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=how.weight_decay)
    network.compile(optimizer, loss, metrics=["accuracy"], jit_compile=keras.backend.backend() != "tensorflow")
    asked = ask_all_views(whole, how.side)
    mean, step = network.get_weights(), 0
    sets = evaluation_sets(split) | ({} if split.val or not task.history else {"val": split.test})

    def ask(pictures: NDArray) -> NDArray[np.float64]:
        whole.set_weights(mean)
        parts = [
            pictures[i : i + EVALUATION_BATCH].astype(np.float32) for i in range(0, len(pictures), EVALUATION_BATCH)
        ]
        said = np.concatenate([np.asarray(asked.predict_on_batch(part), np.float64) for part in parts])
        return said / said.sum(axis=1, keepdims=True)

    def ask_all() -> dict[str, NDArray[np.float64]]:
        return {name: ask(small[list(rows)]) for name, rows in sets.items()}

    history: dict[str, list[float]] = {}
    kept = {}
    for epoch in range(1, hyper.epochs + 1):
        # A short last batch is filled up with other training pictures: every step sees one shape.
        order = np.resize(rng.permutation(train), steps * model.batch_size)
        now = {"accuracy": 0.0, "loss": 0.0}
        for rows in order.reshape(steps, -1):
            crops = np.stack([_crop(small[row], how.crop, rng) for row in rows])
            targets = np.eye(task.classes, dtype=np.float32)[labels[rows]]
            if rng.random() < how.mix:
                crops, targets = _mixed(crops, targets, rng)
            said = network.train_on_batch(crops, targets, return_dict=True)
            now = {name: value + float(said[name]) / steps for name, value in now.items()}
            step += 1
            # The average forgets its beginning sooner than its end, as TensorFlow's moving averages do.
            keep = min(how.average, (1 + step) / (10 + step))
            mean = [keep * m + (1 - keep) * w for m, w in zip(mean, network.get_weights(), strict=True)]
        if not np.isfinite(now["loss"]):
            raise BatikError(f"{model.title} (seed {fit.seed}) gave NaN at epoch {epoch}; try a lower learning rate.")
        if task.history:
            said = ask(small[list(sets["val"])])
            for name, value in (now | judged(said, labels[list(sets["val"])])).items():
                history.setdefault(name, []).append(value)
        if epoch in task.checkpoints or epoch == hyper.epochs:
            kept[epoch] = ask_all()
    test = np.asarray(split.test)
    tampered = {name: tamper(images[test], name, [sha256s[i] for i in test]) for name in task.corruptions}
    corruptions = {name: ask(shrunk(pictures, how.side)) for name, pictures in tampered.items()}
    more = {"history": history, "corruptions": corruptions, "checkpoints": {e: kept[e] for e in task.checkpoints}}
    return task.result(place, paths, kept[hyper.epochs], sum(w.size for w in mean), **more), mean


def ask_all_views(network: keras.Model, size: int) -> keras.Model:
    """The mean of a network's answers to a picture [b, size, size, 3], upright, mirrored both ways and transposed."""
    side = network.input_shape[1]
    pictures = keras.Input((size, size, 3), name="images")
    small = pictures if size == side else keras.ops.image.resize(pictures, (side, side), antialias=True)
    views = [small, small[:, :, ::-1], small[:, ::-1], keras.ops.transpose(small, (0, 2, 1, 3))]
    return keras.Model(pictures, keras.layers.average([network(view) for view in views]), name=network.name)


def shrunk(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
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
