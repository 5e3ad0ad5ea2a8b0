"""Train one scratch network: one compiled model per shape and process, reset to its seed before every fit."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import batik_utils.backend  # noqa: F401  (before keras: one thread, quiet logs)

# isort: split
import keras
import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError
from batik_utils.models.augment import draw_transforms, warp
from batik_utils.models.corruptions import tamper
from batik_utils.models.fast import faster
from batik_utils.models.scratch import build_scratch, initial_weights, seed_dropout, side_seen
from batik_utils.models.work import Fitted, Said, Task, evaluation_sets, judged, training_seed
from batik_utils.study import ScratchModel

VIEWS_PER_SEED = 1000
"""Seed s sees the views from 1 + s x this on: every seed its own, and the first epochs alike for any length of fit."""
EVALUATION_BATCH = 32


def train_scratch(
    task: Task[ScratchModel], paths: Sequence[str], sha256s: Sequence[str], images: NDArray[np.uint8]
) -> list[Fitted]:
    """Train a network for every fit of the task, one after another; each with its weights as build_scratch orders them.

    images are uint8 RGB [n, s, s, 3] (may be memory-mapped); paths and sha256s, of the files, are [n]. Epoch e shows
    each image's view 1 + seed x 1000 + e; the batch order, the first weights and the dropout come from the fit's
    training seed. A result does not depend on which fits ran before in this process. Raises BatikError where the loss
    is not finite, naming the epoch.
    """
    return [_train(task, place, paths, sha256s, images) for place in range(len(task.fits))]


def _train(task: Task[ScratchModel], place: int, paths, sha256s, images) -> Fitted:
    spec, fit, split, labels = task.model, task.fits[place], task.splits[place], np.asarray(task.labels)
    hyper, seed, size = fit.hyper, training_seed(fit), int(images.shape[1])
    sets = evaluation_sets(split)
    if task.history:
        sets.setdefault("val", split.test)
    trainer = _trainer(spec.architecture, size, task.classes, hyper.dropout, spec.precision)
    trainer.reset(seed, hyper.learning_rate)
    history: dict[str, list[float]] = {}
    kept: dict[int, Said] = {}
    for epoch in range(hyper.epochs):
        order = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch]))).permutation(
            np.sort(split.train)
        )
        view = 1 + seed * VIEWS_PER_SEED + epoch
        transforms = draw_transforms(spec.augmentation, [sha256s[row] for row in order], [view] * len(order), size)
        now = trainer.epoch(images, labels, order, transforms, spec.batch_size)
        if not np.isfinite(now["loss"]):
            raise BatikError(
                f"{spec.title} (seed {fit.seed}) gave NaN at epoch {epoch + 1}; try a lower learning rate."
            )
        said: Said = {}
        if task.history:
            said["val"] = trainer.predict(images, sets["val"])
            for name, value in (now | judged(said["val"], labels[list(sets["val"])])).items():
                history.setdefault(name, []).append(value)
        if epoch + 1 in task.checkpoints or epoch + 1 == hyper.epochs:
            others = {name: rows for name, rows in sets.items() if name not in said}
            kept[epoch + 1] = said | {name: trainer.predict(images, rows) for name, rows in others.items()}
    test = np.asarray(split.test)
    tampered = {name: tamper(images[test], name, [sha256s[i] for i in test]) for name in task.corruptions}
    corruptions = {name: trainer.predict(pictures, range(len(test))) for name, pictures in tampered.items()}
    weights = trainer.network.get_weights()
    more = {"history": history, "corruptions": corruptions, "checkpoints": {e: kept[e] for e in task.checkpoints}}
    return task.result(place, paths, kept[hyper.epochs], sum(w.size for w in weights), **more), weights


class _Trainer:
    """A compiled network that can be put back to a seed's first state."""

    def __init__(self, architecture: str, size: int, classes: int, dropout: float, precision: str) -> None:
        self.side = side_seen(build_scratch(architecture, size, classes, dropout))
        plain = build_scratch(architecture, self.side, classes, dropout, precision=precision)
        self.network = faster(plain) if precision == "float32" else plain
        self.network.compile(
            optimizer=keras.optimizers.Adam(),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            # TensorFlow's own convolutions are faster than XLA's on a CPU.
            jit_compile=keras.backend.backend() != "tensorflow",
        )
        # Two batches of different length make TensorFlow trace a step for any length now, once, so that the
        # first fit of a process runs the very graph that its later fits run.
        for length in (2, 3):
            blank = np.zeros((length, size, size, 3), dtype=np.uint8)
            self.network.train_on_batch(
                blank[:, : self.side, : self.side].astype(np.float32), np.zeros(length, dtype=np.int64)
            )
            self.predict(blank, range(length))

    def reset(self, seed: int, learning_rate: float) -> None:
        self.network.set_weights(initial_weights(self.network, seed))
        for variable in self.network.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        self.network.optimizer.learning_rate = learning_rate
        seed_dropout(self.network, seed)

    def epoch(self, images, labels, order, transforms, batch_size) -> dict[str, float]:
        """Accuracy and loss over one pass, weighted by the batches' lengths."""
        means = {"accuracy": 0.0, "loss": 0.0}
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            seen = warp(images[rows], transforms[start : start + batch_size], self.side)
            said = self.network.train_on_batch(seen, labels[rows], return_dict=True)  # of this batch alone
            for name in means:
                means[name] += float(said[name]) * len(rows) / len(order)
        return means

    def predict(self, images: NDArray[np.uint8], rows: Sequence[int]) -> NDArray[np.float64]:
        chosen = np.asarray(rows, dtype=np.int64)
        parts = [np.zeros((0, self.network.output_shape[-1]))]
        for start in range(0, len(chosen), EVALUATION_BATCH):
            batch = images[chosen[start : start + EVALUATION_BATCH], : self.side, : self.side].astype(np.float32)
            parts.append(np.asarray(self.network.predict_on_batch(batch), dtype=np.float64))
        said = np.concatenate(parts)
        return said / said.sum(axis=1, keepdims=True)


@functools.lru_cache(maxsize=2)
def _trainer(architecture: str, size: int, classes: int, dropout: float, precision: str) -> _Trainer:
    return _Trainer(architecture, size, classes, dropout, precision)
