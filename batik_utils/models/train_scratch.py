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
from batik_utils.models.annexe import fast
from batik_utils.models.augment import augmentation, draw_transforms
from batik_utils.models.corruptions import tamper
from batik_utils.models.scratch import build_scratch, initial_weights, side_seen
from batik_utils.models.work import Fitted, Work, evaluation_sets, training_seed
from batik_utils.study import ScratchModel
from batik_utils.values import Hyper

VIEWS_PER_SEED = 1000
"""Seed s sees the views from 1 + s x this on: every seed its own, and the first epochs alike for any length of fit."""
EVALUATION_BATCH = 32
Said = dict[str, NDArray[np.float64]]
"""Per evaluation set: probabilities [m, classes], rows sum to 1."""


@dataclass(frozen=True)
class TrainedScratch:
    """What one fit leaves behind."""

    history: dict[str, list[float]]
    """Per epoch: accuracy, loss (running means over the epoch's batches, dropout on, as Keras' fit reports), and
    val_accuracy, val_loss where there is an evaluation set "val"."""
    probabilities: Said
    """After the last epoch."""
    checkpoints: dict[int, Said]
    """{epochs: the same, after that many epochs}."""
    corruptions: Said
    """Per corruption."""
    weights: list[NDArray[np.float32]] = field(repr=False)
    """In the order of build_scratch(...).get_weights()."""


def fit_scratch(
    work: Work[ScratchModel], paths: Sequence[str], sha256s: Sequence[str], images: NDArray[np.uint8]
) -> list[Fitted]:
    """Do the work on images [n, s, s, 3]: each of its fits by itself."""
    done: list[Fitted] = []
    for place, (fit, split) in enumerate(zip(work.fits, work.splits, strict=True)):
        test = np.asarray(split.test)
        hashes = [sha256s[i] for i in test]
        asked = evaluation_sets(split)
        if work.history:
            asked.setdefault("val", split.test)
        trained = train_scratch(
            work.model,
            fit.hyper,
            images,
            np.asarray(work.labels),
            sha256s,
            split.train,
            asked,
            training_seed(fit),
            work.classes,
            {corruption: tamper(images[test], corruption, hashes) for corruption in work.corruptions},
            work.checkpoints,
        )
        more = {"checkpoints": trained.checkpoints, "corruptions": trained.corruptions}
        history = trained.history if work.history else {}
        size = sum(w.size for w in trained.weights)
        result = work.result(place, paths, trained.probabilities, size, history=history, **more)
        done.append((result, trained.weights))
    return done


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
    checkpoints: Sequence[int] = (),
) -> TrainedScratch:
    """Fit a scratch network on the rows `train` and say what it thinks of every evaluation set.

    images are uint8 RGB [n, s, s, 3] (may be memory-mapped), labels and sha256s [n]; train and the evaluation
    sets are row numbers. Epoch e shows each image's view 1 + seed x 1000 + e; the batch order, the first
    weights and the dropout come from seed. The result does not depend on which fits ran before in this process.
    Raises BatikError where the loss is not finite, naming the epoch.
    """
    size, rows = int(images.shape[1]), np.sort(np.asarray(train, dtype=np.int64))
    trainer = _trainer(spec.architecture, size, classes, hyper.dropout, spec.precision, fast() is not None)
    trainer.reset(seed, hyper.learning_rate)
    history: dict[str, list[float]] = {}
    kept: dict[int, Said] = {}
    for epoch in range(hyper.epochs):
        order = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch]))).permutation(rows)
        view = 1 + seed * VIEWS_PER_SEED + epoch
        transforms = draw_transforms(spec.augmentation, [sha256s[row] for row in order], [view] * len(order), size)
        now = trainer.epoch(images, labels, order, transforms, spec.batch_size)
        if not np.isfinite(now["loss"]):
            raise BatikError(f"{spec.title} (seed {seed}) gave NaN at epoch {epoch + 1}; try a lower learning rate.")
        said: Said = {}
        if "val" in eval_sets:
            said["val"] = trainer.predict(images, eval_sets["val"])
            truth = labels[np.asarray(eval_sets["val"], dtype=np.int64)]
            right = np.clip(said["val"][np.arange(len(truth)), truth], 1e-7, 1 - 1e-7)
            now["val_accuracy"] = float(np.mean(said["val"].argmax(axis=1) == truth))
            now["val_loss"] = float(-np.log(right).mean())
        for name, value in now.items():
            history.setdefault(name, []).append(value)
        if epoch + 1 in checkpoints or epoch + 1 == hyper.epochs:
            others = {name: chosen for name, chosen in eval_sets.items() if name not in said}
            kept[epoch + 1] = said | {name: trainer.predict(images, chosen) for name, chosen in others.items()}
    return TrainedScratch(
        history=history,
        probabilities=kept[hyper.epochs],
        checkpoints={epochs: kept[epochs] for epochs in checkpoints if epochs in kept},
        corruptions={
            name: trainer.predict(pictures, range(len(pictures))) for name, pictures in (corruptions or {}).items()
        },
        weights=trainer.network.get_weights(),
    )


class _Trainer:
    """A compiled network with its augmentation in front, which can be put back to a seed's first state."""

    def __init__(self, architecture: str, size: int, classes: int, dropout: float, precision: str) -> None:
        annexe = fast()
        self.side = side_seen(build_scratch(architecture, size, classes, dropout))
        network = build_scratch(architecture, self.side, classes, dropout, precision=precision)
        self.network = annexe.faster(network) if annexe else network
        pictures = keras.Input((size, size, 3), dtype="uint8", name="pictures")
        transforms = keras.Input((8,), name="transforms")
        augmented = augmentation(self.side)([pictures, transforms])
        self.model = keras.Model([pictures, transforms], self.network(augmented))
        self.model.compile(
            optimizer=annexe.FusedAdam() if annexe else keras.optimizers.Adam(),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            # TensorFlow's own convolutions are faster than XLA's on a CPU; the annexe compiles what gains by it.
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

    def epoch(self, images, labels, order, transforms, batch_size) -> dict[str, float]:
        """Accuracy and loss over one pass, weighted by the batches' lengths."""
        means = {"accuracy": 0.0, "loss": 0.0}
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            part = [images[rows], transforms[start : start + batch_size]]
            said = self.model.train_on_batch(part, labels[rows], return_dict=True)  # of this batch alone
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
def _trainer(architecture: str, size: int, classes: int, dropout: float, precision: str, _helped: bool) -> _Trainer:
    return _Trainer(architecture, size, classes, dropout, precision)
