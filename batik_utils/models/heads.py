"""Heads on frozen features: small networks in NumPy, of which hundreds are trained while Keras trains a few.

Its layers, first weights, loss, dropout and Adam are Keras' own, as tests show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from batik_utils.models.work import Fitted, Task, followed, training_seed
from batik_utils.study_models import PretrainedModel

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
    spec, model, hyper, labels = task.features, task.model, task.fits[place].hyper, np.asarray(task.labels)
    rate = 0.0 if model.untrained else hyper.learning_rate
    train, seed = np.asarray(task.splits[place].train), np.random.SeedSequence(training_seed(task.fits[place]))
    assert spec is not None
    # Each kind of randomness has its own generator, so that the settings of its runs differ in nothing else.
    first, order, masks = (np.random.Generator(np.random.Philox(kind)) for kind in seed.spawn(3))
    head = Head(features.shape[2], model.hidden, task.classes, hyper.dropout, first)
    views = 1 + first.permutation(spec.views) if spec.views else np.zeros(1, np.int64)

    def learn(epoch: int) -> dict[str, float]:
        rows, means = order.permutation(train), {"accuracy": 0.0, "loss": 0.0}
        for start in range(0, len(rows), model.batch_size):
            batch = rows[start : start + model.batch_size]
            said = head.learn(features[batch, views[epoch % len(views)]], labels[batch], rate, masks)
            means = {name: mean + said[name] * len(batch) / len(rows) for name, mean in means.items()}
        return means

    def ask(rows: Sequence[int], corruption: str) -> NDArray[np.float64]:
        place = 1 + spec.views + task.corruptions.index(corruption) if corruption else 0
        return softmax(head.logits(features[list(rows), place]).astype(np.float64), axis=1)

    parameters = spec.backbone.parameters + sum(weight.size for weight in head.weights.values())
    return followed(task, place, paths, parameters, learn, ask), head.weights


class Head:
    """Dense with ReLU (none where hidden is 0), dropout, dense: float32 [b, inputs] → logits [b, classes]."""

    def __init__(self, inputs: int, hidden: int, classes: int, dropout: float, rng: np.random.Generator) -> None:
        shapes: dict[str, tuple[int, ...]] = {"hidden_kernel": (inputs, hidden), "hidden_bias": (hidden,)}
        shapes = (shapes if hidden else {}) | {"kernel": (hidden or inputs, classes), "bias": (classes,)}
        self.weights, self._mean, self._square = (
            {name: np.zeros(shape, np.float32) for name, shape in shapes.items()} for _ in range(3)
        )
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
        gradients = {"kernel": seen.T @ back, "bias": back.sum(0)}
        if "hidden_kernel" in self.weights:
            back = (back @ self.weights["kernel"].T) * kept * (hidden > 0)
            gradients |= {"hidden_kernel": x.T @ back, "hidden_bias": back.sum(0)}
        self._adam(gradients, rate)
        return {"accuracy": float(accuracy), "loss": float(loss)}

    def _hidden(self, x: Floats) -> Floats:
        if "hidden_kernel" not in self.weights:
            return x
        return np.maximum(x @ self.weights["hidden_kernel"] + self.weights["hidden_bias"], 0)

    def _adam(self, gradients: dict[str, Floats], rate: float, decays: tuple[float, float] = (0.9, 0.999)) -> None:
        """Kingma and Ba (2015), in the form at the end of their section 2, with Keras' constants."""
        self._steps += 1
        first, second = decays
        step = np.float32(rate * np.sqrt(1 - second**self._steps) / (1 - first**self._steps))
        for name, gradient in gradients.items():
            mean, square = self._mean[name], self._square[name]
            mean += (gradient - mean) * np.float32(1 - first)
            square += (gradient**2 - square) * np.float32(1 - second)
            self.weights[name] -= step * mean / (np.sqrt(square) + np.float32(1e-7))
