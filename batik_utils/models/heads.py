"""Batched heads: many replicates of one small network on frozen features, trained as one Keras model.

Every weight has a replicate axis in front and every layer works on each replicate by itself, so the gradient of the
sum of the replicates' losses falls apart into the gradients of each, and Adam works element by element. A replicate
learns exactly what it would learn alone; one pass of the graph serves all of them.
"""

from __future__ import annotations

import batik_utils.backend  # noqa: F401  isort: skip  (before keras)

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from batik_utils.models.work import Fitted, Said, Task, evaluation_sets, judged, steps_per_epoch, training_seed
from batik_utils.study import PretrainedModel


def train_heads(task: Task[PretrainedModel], paths: Sequence[str], features: NDArray[np.float32]) -> list[Fitted]:
    """Train a head for every fit of the task, all together; each with its weights by name.

    features is [n, 1 + views + corruptions, d]: of each image the untouched view, the augmented views and the
    corruptions, in that order; paths is [n]. Each epoch shows a head all its training rows through the next view of
    its own order (the untouched one where there are no views). Weights are hidden_kernel [d, hidden] and hidden_bias
    [hidden], unless hidden is 0, kernel [., classes] and bias [classes]. All fits must have as many steps per epoch as
    each other, because Adam counts steps: ValueError otherwise.
    """
    spec, model, hyper, labels = task.features, task.model, task.fits[0].hyper, np.asarray(task.labels)
    assert spec is not None
    count, steps = len(task.fits), steps_per_epoch(len(task.splits[0].train), model.batch_size)
    if any(steps_per_epoch(len(split.train), model.batch_size) != steps for split in task.splits):
        raise ValueError("heads that are trained together must have equally many steps per epoch")
    pairs = list(zip(task.fits, task.splits, strict=True))
    streams = [_Stream(training_seed(fit), split.train, spec.views, model.batch_size, steps) for fit, split in pairs]
    sets = [evaluation_sets(split) for split in task.splits]
    weight = np.stack([s.weight for s in streams])
    sizes = (weight.reshape(count, steps, model.batch_size) > 0).sum(2)
    heads = _heads(count, features.shape[2], model.hidden, task.classes)
    initial = [s.initial(features.shape[2], model.hidden, task.classes) for s in streams]
    heads.start(initial, hyper.learning_rate)
    longest = max(len(rows) for asked in sets for rows in asked.values())

    def ask(name: str, view: int = 0) -> list[NDArray[np.float64]]:
        rows = [np.asarray(asked[name], np.int64) for asked in sets]
        # Every set is filled up to the longest, so that the graph sees one shape only.
        filled = np.stack([np.pad(part, (0, longest - len(part))) for part in rows])
        said = heads.probabilities(features[filled, view])
        return [probabilities[: len(part)] for probabilities, part in zip(said, rows, strict=True)]

    def ask_all() -> list[Said]:
        said = {name: ask(name) for name in sets[0]}
        return [{name: rows[r] for name, rows in said.items()} for r in range(count)]

    watched = "val" if "val" in sets[0] else "test"
    curves: list[dict[str, list[float]]] = [{} for _ in pairs]
    kept: dict[int, list[Said]] = {}
    for epoch in range(hyper.epochs):
        order = np.stack([s.order() for s in streams])
        view = np.array([[s.view(epoch)] for s in streams])
        masks = [s.masks(hyper.dropout, model.hidden or features.shape[2]) for s in streams]
        steps_said = []
        for step in range(steps):
            part = slice(step * model.batch_size, (step + 1) * model.batch_size)
            rows = order[:, part]
            mask = np.stack([m[part] for m in masks]) if hyper.dropout else _no_mask(count)
            steps_said.append(heads.step(features[rows, view], mask, labels[rows], weight[:, part]))
        if task.history:
            series = zip(("accuracy", "loss"), zip(*steps_said, strict=True), strict=True)
            means = {name: np.stack(values, axis=1) for name, values in series}
            for r, said in enumerate(ask(watched)):
                now = {name: float(np.average(v[r], weights=sizes[r])) for name, v in means.items()}
                for name, value in (now | judged(said, labels[list(sets[r][watched])])).items():
                    curves[r].setdefault(name, []).append(value)
        if epoch + 1 in task.checkpoints:
            kept[epoch + 1] = ask_all()
    corrupted = {name: ask("test", 1 + spec.views + i) for i, name in enumerate(task.corruptions)}
    done: list[Fitted] = []
    for r, probabilities in enumerate(ask_all()):
        weights = heads.weights(r)
        more = {"history": curves[r], "checkpoints": {epochs: said[r] for epochs, said in kept.items()}}
        more["corruptions"] = {name: said[r] for name, said in corrupted.items()}
        parameters = spec.backbone.parameters + sum(w.size for w in weights.values())
        done.append((task.result(r, paths, probabilities, parameters, **more), weights))
    return done


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities along the last axis, in float64, so that rows sum to 1."""
    z = logits.astype(np.float64)
    z = np.exp(z - z.max(-1, keepdims=True))
    return z / z.sum(-1, keepdims=True)


class _Stream:
    """Everything random about one replicate, each kind from its own generator."""

    def __init__(self, seed: int, train: Sequence[int], views: int, batch_size: int, steps: int) -> None:
        kinds = np.random.SeedSequence(seed).spawn(4)
        self._initial, self._order, self._masks, shuffle = (np.random.Generator(np.random.PCG64(k)) for k in kinds)
        self._views = 1 + shuffle.permutation(views) if views else np.zeros(1, np.int64)
        self._train = np.asarray(train, np.int64)
        self._slots = steps * batch_size
        real = np.arange(self._slots) < len(self._train)
        sizes = np.add.reduceat(real, np.arange(0, self._slots, batch_size))
        # A batch's loss is the mean over its real rows; the filling of a short last batch weighs nothing.
        self.weight = (real / np.repeat(sizes, batch_size)).astype(np.float32)

    def initial(self, inputs: int, hidden: int, classes: int) -> list[NDArray[np.float32]]:
        """Glorot-uniform kernels and zero biases, as Keras' Dense."""
        weights = []
        for fan_in, fan_out in pairwise([inputs, hidden, classes] if hidden else [inputs, classes]):
            limit = np.sqrt(6 / (fan_in + fan_out))
            weights.append(self._initial.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32))
            weights.append(np.zeros((1, fan_out), np.float32))
        return weights

    def order(self) -> NDArray[np.int64]:
        """The next epoch's rows, [steps * batch_size]; slots past the last row repeat it."""
        rows = self._order.permutation(self._train)
        return np.pad(rows, (0, self._slots - len(rows)), mode="edge")

    def view(self, epoch: int) -> int:
        return int(self._views[epoch % len(self._views)])

    def masks(self, dropout: float, width: int) -> NDArray[np.float32]:
        """The next epoch's dropout masks, [steps * batch_size, width]: 0 or 1 / (1 - dropout)."""
        if not dropout:
            return np.ones((1, 1), np.float32)
        draws = self._masks.integers(0, 65536, (self._slots, width), dtype=np.uint16)
        return (draws >= round(dropout * 65536)) * np.float32(1 / (1 - dropout))


class _BatchedDense(keras.layers.Layer):
    """A dense layer per replicate: [r, b, d] times [r, d, h]."""

    def __init__(self, units: int, relu: bool = False) -> None:
        super().__init__()
        self.units = units
        self.relu = relu

    def build(self, shape: tuple[int | None, ...]) -> None:
        replicates, _, inputs = shape
        self.kernel = self.add_weight(shape=(replicates, inputs, self.units), initializer="zeros")
        self.bias = self.add_weight(shape=(replicates, 1, self.units), initializer="zeros")

    def call(self, x):
        y = ops.einsum("rbd,rdh->rbh", x, self.kernel) + self.bias
        return ops.relu(y) if self.relu else y


class _PerReplicate(keras.metrics.Metric):
    """Mean accuracy or loss of the current batch for each replicate, [r]."""

    def __init__(self, name: str, replicates: int) -> None:
        super().__init__(name=name)
        self.value = self.add_variable((replicates,), initializer="zeros", name="value")

    def update_state(self, y_true, y_pred, sample_weight=None):
        if self.name == "accuracy":
            rows = ops.cast(ops.equal(ops.cast(y_true, "int32"), ops.argmax(y_pred, -1)), "float32")
        else:
            rows = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        self.value.assign(ops.sum(rows * sample_weight, -1))

    def result(self):
        return ops.convert_to_tensor(self.value)


class _Heads:
    """One compiled model; heads of one shape use it one after another, so it is traced once per process."""

    def __init__(self, replicates: int, inputs: int, hidden: int, classes: int) -> None:
        self.replicates = replicates
        x = keras.Input(batch_shape=(replicates, None, inputs))
        mask = keras.Input(batch_shape=(replicates, None, None))
        y = _BatchedDense(hidden, relu=True)(x) if hidden else x
        y = _BatchedDense(classes)(ops.multiply(y, mask))
        self.model = keras.Model([x, mask], y)
        self.model.compile(
            optimizer=keras.optimizers.Adam(),
            # With weights that sum to 1 over each replicate's batch: the sum over replicates of their mean losses.
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
            weighted_metrics=[_PerReplicate("accuracy", replicates), _PerReplicate("mean_loss", replicates)],
            # Keras refuses XLA for this model under TensorFlow and warns if it is asked for.
            jit_compile=False,
        )

    def start(self, initial: list[list[NDArray[np.float32]]], learning_rate: float) -> None:
        """Forget everything; set each replicate's weights."""
        self.model.set_weights([np.stack(parts) for parts in zip(*initial, strict=True)])
        optimizer = self.model.optimizer
        optimizer.build(self.model.trainable_variables)
        for variable in optimizer.variables:
            variable.assign(np.zeros(variable.shape, keras.backend.standardize_dtype(variable.dtype)))
        optimizer.learning_rate = learning_rate

    def step(self, x, mask, y, weight) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One batch of each replicate; returns its mean accuracy [r] and loss [r] before the step."""
        logs = self.model.train_on_batch([x, mask], y, sample_weight=weight, return_dict=True)
        return np.atleast_1d(logs["accuracy"]), np.atleast_1d(logs["mean_loss"])

    def probabilities(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        return softmax(np.asarray(self.model.predict_on_batch([x, _no_mask(self.replicates)])))

    def weights(self, replicate: int) -> dict[str, NDArray[np.float32]]:
        *hidden, kernel, bias = (w[replicate] for w in self.model.get_weights())
        named = {"hidden_kernel": hidden[0], "hidden_bias": hidden[1][0]} if hidden else {}
        return {**named, "kernel": kernel, "bias": bias[0]}


@lru_cache(maxsize=4)
def _heads(replicates: int, inputs: int, hidden: int, classes: int) -> _Heads:
    return _Heads(replicates, inputs, hidden, classes)


def _no_mask(replicates: int) -> NDArray[np.float32]:
    return np.ones((replicates, 1, 1), np.float32)
