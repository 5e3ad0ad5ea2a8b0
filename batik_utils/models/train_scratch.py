"""Train one scratch network: one compiled model per shape and process, reset to its seed before every fit."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import batik_utils.backend  # noqa: F401  (before keras: one thread, quiet logs)

# isort: split
import keras
import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError
from batik_utils.models.augment import AffineAugmentation, draw_transforms
from batik_utils.models.fast.adam import FusedAdam
from batik_utils.models.scratch import build_scratch, initial_weights, side_seen
from batik_utils.study import ScratchModel
from batik_utils.values import Hyper

VIEWS_PER_SEED = 1000
"""Seed s sees the views from 1 + s x this on: every seed its own, and the first epochs alike for any length of fit."""

EVALUATION_BATCH = 32


@dataclass(frozen=True)
class TrainedScratch:
    """What one fit leaves behind; c is the number of classes."""

    history: dict[str, list[float]]
    """Per epoch: accuracy, loss (running means over the epoch's batches, dropout on, as Keras' fit reports), and
    val_accuracy, val_loss where there is an evaluation set "val"."""
    probabilities: dict[str, NDArray[np.float64]]
    """Per evaluation set, after the last epoch: [m, c], rows sum to 1."""
    checkpoints: dict[int, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    """{epochs: the same, after that many epochs}."""
    corruptions: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Per corruption: [m, c]."""
    weights: list[NDArray[np.float32]] = field(default_factory=list)
    """In the order of build_scratch(...).get_weights()."""
    parameters: int = 0


def train_scratch(
    spec: ScratchModel,
    hyper: Hyper,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    sha256s: Sequence[str],
    train: Sequence[int],
    eval_sets: Mapping[str, Sequence[int]],
    seed: int,
    classes: int,
    corruptions: Mapping[str, NDArray[np.uint8]] | None = None,
    precision: str = "float32",
    checkpoints: Sequence[int] = (),
) -> TrainedScratch:
    """Fit a scratch network on the rows `train` and say what it thinks of every evaluation set.

    images are uint8 RGB [n, s, s, 3] (may be memory-mapped), labels and sha256s [n]; train and the evaluation
    sets are row numbers. Epoch e shows each image's view 1 + seed x 1000 + e; the batch order, the first
    weights and the dropout come from seed. The result does not depend on which fits ran before in this process.
    Raises BatikError where the loss is not finite, naming the epoch.
    """
    size, rows = int(images.shape[1]), np.sort(np.asarray(train, dtype=np.int64))
    trainer = _trainer(spec.architecture, size, classes, hyper.dropout, precision)
    trainer.reset(seed, hyper.learning_rate)
    names = ["accuracy", "loss"] + (["val_accuracy", "val_loss"] if "val" in eval_sets else [])
    history: dict[str, list[float]] = {name: [] for name in names}
    kept: dict[int, dict[str, NDArray[np.float64]]] = {}
    for epoch in range(hyper.epochs):
        order = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch]))).permutation(rows)
        hashes = [sha256s[row] for row in order]
        view = 1 + seed * VIEWS_PER_SEED + epoch
        transforms = draw_transforms(spec.augmentation, hashes, [view] * len(order), size)
        loss, accuracy = trainer.epoch(images, labels, order, transforms, spec.batch_size)
        if not np.isfinite(loss):
            raise BatikError(f"{spec.title} (seed {seed}) gave NaN at epoch {epoch + 1}; try a lower learning rate.")
        history["accuracy"].append(accuracy)
        history["loss"].append(loss)
        said: dict[str, NDArray[np.float64]] = {}
        if "val" in eval_sets:
            said["val"] = trainer.predict(images, eval_sets["val"])
            truth = labels[np.asarray(eval_sets["val"], dtype=np.int64)]
            history["val_accuracy"].append(float(np.mean(said["val"].argmax(axis=1) == truth)))
            history["val_loss"].append(_cross_entropy(said["val"], truth))
        if epoch + 1 in checkpoints or epoch + 1 == hyper.epochs:
            kept[epoch + 1] = {
                name: said[name] if name in said else trainer.predict(images, chosen)
                for name, chosen in eval_sets.items()
            }
    return TrainedScratch(
        history=history,
        probabilities=kept[hyper.epochs],
        checkpoints={epochs: kept[epochs] for epochs in checkpoints if epochs in kept},
        corruptions={
            name: trainer.predict(pictures, range(len(pictures))) for name, pictures in (corruptions or {}).items()
        },
        weights=trainer.network.get_weights(),
        parameters=trainer.network.count_params(),
    )


class _Trainer:
    """A compiled network with its augmentation in front, which can be put back to a seed's first state."""

    def __init__(self, architecture: str, size: int, classes: int, dropout: float, precision: str):
        self.side = side_seen(architecture, size)
        self.network = build_scratch(architecture, self.side, classes, dropout, fast=True, precision=precision)
        pictures = keras.Input((size, size, 3), dtype="uint8", name="pictures")
        transforms = keras.Input((8,), name="transforms")
        augmented = AffineAugmentation(self.side, name="augment")([pictures, transforms])
        self.model = keras.Model([pictures, transforms], self.network(augmented))
        self.model.compile(
            optimizer=FusedAdam(),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            # TensorFlow's own convolutions are faster than XLA's on a CPU; PoolBiasRelu compiles what gains by it.
            jit_compile=keras.backend.backend() != "tensorflow",
        )
        # Two batches of different length make TensorFlow trace a step for any length now, once, so that the
        # first fit of a process runs the very graph that its later fits run.
        for length in (2, 3):
            blank = np.zeros((length, size, size, 3), dtype=np.uint8)
            still = np.zeros((length, 8), dtype=np.float32)
            self.model.train_on_batch([blank, still], np.zeros(length, dtype=np.int64))
            self.predict(blank, range(length))

    def reset(self, seed: int, learning_rate: float) -> None:
        self.network.set_weights(initial_weights(self.network, seed))
        for variable in self.model.optimizer.variables:
            variable.assign(np.zeros(variable.shape, dtype=keras.backend.standardize_dtype(variable.dtype)))
        self.model.optimizer.learning_rate = learning_rate
        for layer in self.network.layers:
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                generator.state.assign(np.array([seed, 0], dtype=generator.state.dtype))

    def epoch(self, images, labels, order, transforms, batch_size) -> tuple[float, float]:
        loss = accuracy = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            part = [images[rows], transforms[start : start + batch_size]]
            said = self.model.train_on_batch(part, labels[rows], return_dict=True)  # of this batch alone
            loss += float(said["loss"]) * len(rows) / len(order)
            accuracy += float(said["accuracy"]) * len(rows) / len(order)
        return loss, accuracy

    def predict(self, images: NDArray[np.uint8], rows: Sequence[int]) -> NDArray[np.float64]:
        rows = np.asarray(rows, dtype=np.int64)
        parts = [np.zeros((0, self.network.output_shape[-1]))]
        for start in range(0, len(rows), EVALUATION_BATCH):
            batch = images[rows[start : start + EVALUATION_BATCH], : self.side, : self.side].astype(np.float32)
            parts.append(np.asarray(self.network.predict_on_batch(batch), dtype=np.float64))
        said = np.concatenate(parts)
        return said / said.sum(axis=1, keepdims=True)


@functools.lru_cache(maxsize=2)
def _trainer(architecture: str, size: int, classes: int, dropout: float, precision: str) -> _Trainer:
    return _Trainer(architecture, size, classes, dropout, precision)


def _cross_entropy(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    right = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(right, 1e-7, 1 - 1e-7)).mean())
