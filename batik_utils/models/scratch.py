"""The networks that are trained from random weights, each once as plain Keras layers and once in a fast form.

The two forms are the same function of the same weights, in the same order. The plain form is what is shown,
counted, saved and loaded; the fast form is what is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import batik_utils.backend  # noqa: F401  (before keras: one thread, quiet logs)

# isort: split
import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from batik_utils.errors import BatikError
from batik_utils.models.fast.pool import PoolBiasRelu

Tensor = Any
Block = Callable[[Tensor, int, str], Tensor]
"""(features, filters, padding) -> features of half the side: 3x3 convolution, bias, ReLU, 2x2 max-pooling."""


def seed_cnn(x: Tensor, block: Block, classes: int, dropout: float, policy: str) -> Tensor:
    """Study one's scratch model, layer by layer (seed 000, section 2): 11,169,347 parameters at 224 and 3 classes."""
    for filters in (32, 64, 128):
        x = block(x, filters, "valid")
    x = layers.Flatten(dtype=policy)(x)
    return _classifier(x, classes, dropout, policy)


def pooled_cnn(x: Tensor, block: Block, classes: int, dropout: float, policy: str) -> Tensor:
    """Study two's "CNN with dropout" (the seed gives no layers): four blocks, then the mean over positions."""
    for filters in (16, 32, 64, 128):
        x = block(x, filters, "same")
    x = layers.GlobalAveragePooling2D(dtype=policy)(x)
    return _classifier(x, classes, dropout, policy)


ARCHITECTURES: dict[str, Callable[..., Tensor]] = {"seed_cnn": seed_cnn, "pooled_cnn": pooled_cnn}
"""The names that a study's `architecture` may take."""


def build_scratch(
    architecture: str,
    size: int,
    classes: int,
    dropout: float,
    seed: int = 0,
    *,
    fast: bool = False,
    precision: str = "float32",
) -> keras.Model:
    """Build a network: images [b, size, size, 3] of 0-255 RGB -> class probabilities float32 [b, classes].

    Its weights are drawn from seed as Keras draws them by default (Glorot uniform kernels, zero biases), by
    numpy, so that they are the same under every backend. fast gives the form that trains faster; precision is
    "float32" or "bfloat16" (arithmetic in bfloat16; weights, the optimiser and the softmax stay float32).
    Raises BatikError for a name that is not in ARCHITECTURES or a precision that is neither.
    """
    if architecture not in ARCHITECTURES:
        raise BatikError(f"There is no architecture {architecture!r}; there are {', '.join(ARCHITECTURES)}.")
    if precision not in ("float32", "bfloat16"):
        raise BatikError(f"precision is float32 or bfloat16, not {precision!r}.")
    policy = "float32" if precision == "float32" else "mixed_bfloat16"
    images = keras.Input((size, size, 3), name="images")
    block = _fast_block(policy) if fast else _plain_block(policy)
    x = layers.Rescaling(1 / 255, dtype="float32", name="rescale")(images)
    model = keras.Model(images, ARCHITECTURES[architecture](x, block, classes, dropout, policy), name=architecture)
    model.set_weights(initial_weights(model, seed))
    return model


def initial_weights(model: keras.Model, seed: int) -> list[NDArray[np.float32]]:
    """Draw Glorot-uniform kernels (zero biases) for every weight of a model, in the order of get_weights."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0x5C4A7C4])))
    return [_glorot(rng, weight.shape) for weight in model.weights]


def _glorot(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if len(shape) == 1:
        return np.zeros(shape, dtype=np.float32)
    field = int(np.prod(shape[:-2]))
    limit = np.sqrt(6.0 / (field * (shape[-2] + shape[-1])))
    drawn = rng.random(shape, dtype=np.float32)
    drawn *= 2 * limit
    drawn -= limit
    return drawn


def multiply_adds(architecture: str, size: int, classes: int) -> tuple[int, int]:
    """Count one image's multiply-adds (forward, training step) in the convolutions and matrix products.

    A training step computes each layer forward, its weights' gradient, and its input's gradient, the last not
    for the first layer, whose input is the picture.
    """
    model = build_scratch(architecture, size, classes, 0.0)
    forward = []
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            _, height, width, _ = layer.output.shape
            forward.append(height * width * int(np.prod(layer.kernel.shape)))
        elif isinstance(layer, layers.Dense):
            forward.append(int(np.prod(layer.kernel.shape)))
    return sum(forward), 3 * sum(forward) - forward[0]


def side_seen(architecture: str, size: int) -> int:
    """The side in pixels of the top left part of a picture that a network of this size looks at.

    Pooling drops an odd row and column, so the pixels that only they see need not be computed: of 224, the
    seed's network sees 222. A convolution that pads sees everything, its zeros included.
    """
    side = None
    for layer in reversed(build_scratch(architecture, size, 2, 0.0).layers):
        if isinstance(layer, layers.MaxPooling2D):
            side = 2 * (side or layer.output.shape[1])
        elif isinstance(layer, layers.Conv2D):
            side = layer.input.shape[1] if layer.padding == "same" else side + layer.kernel_size[0] - 1
    return side


def _classifier(x: Tensor, classes: int, dropout: float, policy: str) -> Tensor:
    x = layers.Dense(128, activation="relu", dtype=policy)(x)
    x = layers.Dropout(dropout, dtype=policy)(x)
    return layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)


def _plain_block(policy: str) -> Block:
    def block(x: Tensor, filters: int, padding: str) -> Tensor:
        x = layers.Conv2D(filters, 3, padding=padding, activation="relu", dtype=policy)(x)
        return layers.MaxPooling2D(dtype=policy)(x)

    return block


def _fast_block(policy: str) -> Block:
    def block(x: Tensor, filters: int, padding: str) -> Tensor:
        x = layers.Conv2D(filters, 3, padding=padding, use_bias=False, dtype=policy)(x)
        return PoolBiasRelu(dtype=policy)(x)

    return block
