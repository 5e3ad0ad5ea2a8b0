"""Networks with ImageNet weights and a new last layer, trained as a whole: the second seed study's best was one."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import batik_utils.backend  # noqa: F401  (before keras: one thread, quiet logs)

# isort: split
import keras
import numpy as np
from numpy.typing import NDArray

from batik_utils.models.backbones import backbone
from batik_utils.models.scratch import initial_weights
from batik_utils.models.train import ready, train_plainly
from batik_utils.models.work import Fitted, Task, training_seed
from batik_utils.study_models import FinetunedModel

MOMENTUM = 0.9
"""Of batch normalisation's averages, as PyTorch's; with Keras' .999 some dozens of steps would leave them ImageNet's,
while the weights have moved away."""


def train_finetuned(
    task: Task[FinetunedModel], paths: Sequence[str], sha256s: Sequence[str], images: NDArray[np.uint8]
) -> list[Fitted]:
    """Train every fit of the task, as train_scratch does but from the backbone's weights and a head drawn by seed."""
    done = []
    for place, fit in enumerate(task.fits):
        network, known = _network(task.model.backbone, int(images.shape[1]), task.classes, fit.hyper.dropout)
        head = initial_weights(network, training_seed(fit))[len(known) :]
        done.append(train_plainly(task, place, paths, sha256s, images, network, [*known, *head]))
    return done


def build_finetuned(name: str, size: int, classes: int, dropout: float) -> keras.Model:
    """A backbone and a new last layer, all trainable: RGB 0-255 [b, size, size, 3] → probabilities [b, classes].

    The last layer's weights are Keras' own draw. Raises BatikError where the backbone's cannot be had.
    """
    base = backbone(name).build(size)
    base.trainable = True
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    x = keras.layers.Dropout(dropout, name="dropout")(base.output)
    last = keras.layers.Dense(classes, activation="softmax", name="probabilities")
    return keras.Model(base.input, last(x), name=name)


@functools.lru_cache(maxsize=2)
def _network(name: str, size: int, classes: int, dropout: float) -> tuple[keras.Model, list[NDArray[np.float32]]]:
    """A compiled network, and the backbone's own weights, which come first among its."""
    network = build_finetuned(name, size, classes, dropout)
    known = network.get_weights()[:-2]
    return ready(network), known
