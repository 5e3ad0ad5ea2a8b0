"""Heads on frozen features: small networks in NumPy, of which hundreds are trained while Keras trains a few.

Its layers, first weights, loss, dropout and Adam are Keras' own, as tests show.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from batik_utils.models.work import Fitted, Said, Task, evaluation_sets, judged, training_seed
from batik_utils.study import PretrainedModel

Floats = NDArray[np.float32]


def train_heads(task: Task[PretrainedModel], paths: Sequence[str], features: Floats) -> list[Fitted]:
    """Train a head for every fit of the task, one after another; each with its weights by name.

    features is [n, 1 + views + corruptions, d]: of each image the untouched view, the augmented views and the
    corruptions, in that order; paths is [n]. Each epoch shows a head all its training rows through the next view of
    its own order (the untouched one where there are no views). Weights are hidden_kernel [d, hidden] and hidden_bias
    [hidden], unless hidden is 0, kernel [., classes] and bias [classes].
    """
    return [_train(task, place, paths, features) for place in range(len(task.fits))]


def _train(task: Task[PretrainedModel], place: int, paths: Sequence[str], features: Floats) -> Fitted:
    spec, model, hyper, split = task.features, task.model, task.fits[place].hyper, task.splits[place]
    assert spec is not None
    labels, sets = np.asarray(task.labels), evaluation_sets(split)
    watched = list(sets.get("val", split.test))
    # Each kind of randomness has its own generator, so that settings of a search differ in nothing else.
    first, order, masks = (
        np.random.Generator(np.random.Philox(kind))
        for kind in np.random.SeedSequence(training_seed(task.fits[place])).spawn(3)
    )
    head = Head(features.shape[2], model.hidden, task.classes, hyper.dropout, first)
    views = 1 + first.permutation(spec.views) if spec.views else np.zeros(1, np.int64)

    def ask(rows: Sequence[int], view: int = 0) -> NDArray[np.float64]:
        return softmax(head.logits(features[list(rows), view]).astype(np.float64), axis=1)

    def ask_all() -> Said:
        return {name: ask(rows) for name, rows in sets.items()}

    history: dict[str, list[float]] = {}
    kept: dict[int, Said] = {}
    for epoch in range(hyper.epochs):
        rows, now = order.permutation(np.asarray(split.train, np.int64)), {"accuracy": 0.0, "loss": 0.0}
        for start in range(0, len(rows), model.batch_size):
            batch = rows[start : start + model.batch_size]
            said = head.learn(features[batch, views[epoch % len(views)]], labels[batch], hyper.learning_rate, masks)
            now = {name: value + said[name] * len(batch) / len(rows) for name, value in now.items()}
        if task.history:
            for name, value in (now | judged(ask(watched), labels[watched])).items():
                history.setdefault(name, []).append(value)
        if epoch + 1 in task.checkpoints:
            kept[epoch + 1] = ask_all()
    corruptions = {name: ask(split.test, 1 + spec.views + i) for i, name in enumerate(task.corruptions)}
    more = {"history": history, "checkpoints": kept, "corruptions": corruptions}
    return task.result(place, paths, ask_all(), spec.backbone.parameters + head.vector.size, **more), head.weights


class Head:
    """Dense with ReLU (none where hidden is 0), dropout, dense: float32 [b, inputs] → logits [b, classes]."""

    def __init__(self, inputs: int, hidden: int, classes: int, dropout: float, rng: np.random.Generator) -> None:
        sizes = list(pairwise([inputs, hidden, classes] if hidden else [inputs, classes]))
        shapes = [shape for fan_in, fan_out in sizes for shape in ((fan_in, fan_out), (fan_out,))]
        names = ["hidden_kernel", "hidden_bias", "kernel", "bias"][-len(shapes) :]
        # All weights in one vector, so that Adam is a few operations for all.
        self.vector, self._gradient, self._mean, self._square = np.zeros((4, sum(map(np.prod, shapes))), np.float32)
        self.weights, self.gradients = (_cut(vector, names, shapes) for vector in (self.vector, self._gradient))
        self._dropout, self._steps = dropout, 0
        for kernel in (weight for weight in self.weights.values() if weight.ndim == 2):
            limit = np.sqrt(6 / sum(kernel.shape))  # Glorot and Bengio's (2010), as Keras' Dense
            kernel[:] = rng.uniform(-limit, limit, kernel.shape)

    def logits(self, x: Floats) -> Floats:
        """What it says of features [b, inputs]."""
        return self._hidden(x) @ self.weights["kernel"] + self.weights["bias"]

    def learn(self, x: Floats, labels: NDArray[np.int64], rate: float, rng: np.random.Generator) -> dict[str, float]:
        """Take one step on a batch; its accuracy and loss before it."""
        hidden, rows = self._hidden(x), np.arange(len(x))
        kept: Floats | np.float32 = np.float32(1)
        if self._dropout:
            kept = (rng.random(hidden.shape, np.float32) >= self._dropout) * np.float32(1 / (1 - self._dropout))
        seen = hidden * kept
        said = softmax((seen @ self.weights["kernel"] + self.weights["bias"]).astype(np.float64), axis=1)
        accuracy, loss = np.mean(said.argmax(1) == labels), -np.mean(np.log(np.maximum(said[rows, labels], 1e-7)))
        said[rows, labels] -= 1
        back = (said / len(x)).astype(np.float32)
        np.matmul(seen.T, back, out=self.gradients["kernel"])
        back.sum(0, out=self.gradients["bias"])
        if "hidden_kernel" in self.weights:
            back = (back @ self.weights["kernel"].T) * kept * (hidden > 0)
            np.matmul(x.T, back, out=self.gradients["hidden_kernel"])
            back.sum(0, out=self.gradients["hidden_bias"])
        self._adam(rate)
        return {"accuracy": float(accuracy), "loss": float(loss)}

    def _hidden(self, x: Floats) -> Floats:
        if "hidden_kernel" not in self.weights:
            return x
        return np.maximum(x @ self.weights["hidden_kernel"] + self.weights["hidden_bias"], 0)

    def _adam(self, rate: float, decay: float = 0.9, decay_square: float = 0.999, epsilon: float = 1e-7) -> None:
        """Kingma and Ba (2015), in the form at the end of their section 2, with Keras' constants."""
        self._steps += 1
        self._mean += (self._gradient - self._mean) * np.float32(1 - decay)
        self._square += (self._gradient**2 - self._square) * np.float32(1 - decay_square)
        step = rate * np.sqrt(1 - decay_square**self._steps) / (1 - decay**self._steps)
        self.vector -= np.float32(step) * self._mean / (np.sqrt(self._square) + np.float32(epsilon))


def _cut(vector: Floats, names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> dict[str, Floats]:
    """A vector as weights of these shapes, which share its memory."""
    parts = np.split(vector, np.cumsum([np.prod(shape) for shape in shapes])[:-1])
    return {name: part.reshape(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
