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

MEASURES = ("accuracy", "loss")


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
    count, size, inputs = len(task.fits), model.batch_size, features.shape[2]
    steps, *others = {steps_per_epoch(len(split.train), size) for split in task.splits}
    if others:
        raise ValueError("heads that are trained together must have equally many steps per epoch")
    pairs = zip(task.fits, task.splits, strict=True)
    streams = [_Stream(training_seed(fit), split.train, spec.views, size, steps) for fit, split in pairs]
    sets = [evaluation_sets(split) for split in task.splits]
    weight = np.stack([s.weight for s in streams])
    sizes = (weight.reshape(count, steps, size) > 0).sum(2)
    network, no_mask = _network(count, inputs, model.hidden, task.classes), np.ones((count, 1, 1), np.float32)
    initial = [s.initial(inputs, model.hidden, task.classes) for s in streams]
    network.set_weights([np.stack(parts) for parts in zip(*initial, strict=True)])
    network.optimizer.build(network.trainable_variables)
    for variable in network.optimizer.variables:
        variable.assign(ops.zeros_like(variable))
    network.optimizer.learning_rate = hyper.learning_rate
    longest = max(len(rows) for asked in sets for rows in asked.values())

    def ask(name: str, view: int = 0) -> list[NDArray[np.float64]]:
        # Every set is filled up to the longest, so that the graph sees one shape only.
        filled = np.stack([np.pad(np.asarray(s[name], np.int64), (0, longest - len(s[name]))) for s in sets])
        said = softmax(np.asarray(network.predict_on_batch([features[filled, view], no_mask])))
        return [probabilities[: len(s[name])] for probabilities, s in zip(said, sets, strict=True)]

    def ask_all() -> list[Said]:
        said = {name: ask(name) for name in sets[0]}
        return [{name: rows[r] for name, rows in said.items()} for r in range(count)]

    watched = "val" if "val" in sets[0] else "test"
    curves: list[dict[str, list[float]]] = [{} for _ in streams]
    kept: dict[int, list[Said]] = {}
    for epoch in range(hyper.epochs):
        order = np.stack([s.order() for s in streams])
        view = np.array([[s.view(epoch)] for s in streams])
        masks = [s.masks(hyper.dropout, model.hidden or inputs) for s in streams]
        logs = []  # per step: each replicate's mean accuracy and loss before it
        for step in range(steps):
            part = slice(step * size, (step + 1) * size)
            rows = order[:, part]
            given = [features[rows, view], np.stack([m[part] for m in masks]) if hyper.dropout else no_mask]
            logs.append(network.train_on_batch(given, labels[rows], sample_weight=weight[:, part], return_dict=True))
        if task.history:
            means = {name: np.stack([np.atleast_1d(log[f"mean_{name}"]) for log in logs], 1) for name in MEASURES}
            for r, said in enumerate(ask(watched)):
                now = {name: float(np.average(v[r], weights=sizes[r])) for name, v in means.items()}
                for name, value in (now | judged(said, labels[list(sets[r][watched])])).items():
                    curves[r].setdefault(name, []).append(value)
        if epoch + 1 in task.checkpoints:
            kept[epoch + 1] = ask_all()
    corrupted = {name: ask("test", 1 + spec.views + i) for i, name in enumerate(task.corruptions)}
    done: list[Fitted] = []
    for r, probabilities in enumerate(ask_all()):
        *hidden, kernel, bias = (w[r] for w in network.get_weights())
        weights = {"hidden_kernel": hidden[0], "hidden_bias": hidden[1][0]} if hidden else {}
        weights |= {"kernel": kernel, "bias": bias[0]}
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
        if self.name == "mean_accuracy":
            rows = ops.cast(ops.equal(ops.cast(y_true, "int32"), ops.argmax(y_pred, -1)), "float32")
        else:
            rows = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        self.value.assign(ops.sum(rows * sample_weight, -1))

    def result(self):
        return ops.convert_to_tensor(self.value)


@lru_cache(maxsize=4)
def _network(replicates: int, inputs: int, hidden: int, classes: int) -> keras.Model:
    """One compiled model; heads of one shape use it one after another, so it is traced once per process."""
    x = keras.Input(batch_shape=(replicates, None, inputs))
    mask = keras.Input(batch_shape=(replicates, None, None))
    y = _BatchedDense(hidden, relu=True)(x) if hidden else x
    model = keras.Model([x, mask], _BatchedDense(classes)(ops.multiply(y, mask)))
    model.compile(
        optimizer=keras.optimizers.Adam(),
        # With weights that sum to 1 over each replicate's batch: the sum over replicates of their mean losses.
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
        weighted_metrics=[_PerReplicate(f"mean_{name}", replicates) for name in MEASURES],
        # Keras refuses XLA for this model under TensorFlow and warns if it is asked for.
        jit_compile=False,
    )
    return model
