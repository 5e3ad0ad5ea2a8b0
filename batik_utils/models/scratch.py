"""The networks that are trained from random weights, in plain Keras."""

from collections.abc import Callable

import batik_utils.backend  # noqa: F401  (before keras: one thread, quiet logs)

# isort: split
import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

Layers = list[keras.layers.Layer]


def seed_cnn(classes: int, dropout: float) -> Layers:
    """Study one's scratch model, layer by layer (seed 000, section 2): 11,169,347 parameters at 224 and 3 classes."""
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(128, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(dropout),
        layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities"),
    ]


def pooled_cnn(classes: int, dropout: float) -> Layers:
    """Study two's "CNN with dropout" (the seed gives no layers): four blocks, then the mean over positions."""
    blocks: Layers = []
    for filters in (16, 32, 64, 128):
        blocks += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
    return [
        *blocks,
        layers.GlobalAveragePooling2D(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(dropout),
        layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities"),
    ]


def small_cnn(classes: int, dropout: float) -> Layers:
    """A network of a quarter of a million parameters with batch normalisation, for pictures of any size."""
    blocks: Layers = []
    for filters, stride, pooled in (
        (24, 2, False),
        (48, 1, True),
        (72, 1, False),
        (72, 1, True),
        (96, 1, False),
        (120, 1, False),
    ):
        blocks += [
            layers.Conv2D(filters, 3, stride, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            *([layers.MaxPooling2D()] if pooled else []),
        ]
    return [
        *blocks,
        layers.GlobalAveragePooling2D(),
        layers.Dropout(dropout),
        layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities"),
    ]


ARCHITECTURES: dict[str, Callable[[int, float], Layers]] = {
    "seed_cnn": seed_cnn,
    "pooled_cnn": pooled_cnn,
    "small_cnn": small_cnn,
}
"""The names that a study's `architecture` may take."""


def build_scratch(
    architecture: str, size: int, classes: int, dropout: float, seed: int = 0, precision: str = "float32"
) -> keras.Model:
    """Build a network: images [b, size, size, 3] of 0-255 RGB -> class probabilities float32 [b, classes].

    Its weights are drawn from seed (see initial_weights). precision is "float32" or "bfloat16" (arithmetic in
    bfloat16; weights and softmax stay float32).
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
    try:
        stack = ARCHITECTURES[architecture](classes, dropout)
    finally:
        keras.config.set_dtype_policy(before)
    x = images = keras.Input((size, size, 3), name="images")
    for layer in [layers.Rescaling(1 / 255, dtype="float32", name="rescale"), *stack]:
        x = layer(x)
    model = keras.Model(images, x, name=architecture)
    model.set_weights(initial_weights(model, seed))
    return model


def initial_weights(model: keras.Model, seed: int) -> list[NDArray[np.float32]]:
    """Glorot-uniform kernels and zero biases, as Keras draws them by default, in the order of get_weights.

    They are drawn by numpy, so that they are the same under every backend.
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0x5C4A7C4])))
    # Batch normalisation starts as the function that changes nothing.
    ones = {"gamma", "moving_variance"}
    weights = [(np.ones if w.name in ones else np.zeros)(w.shape, np.float32) for w in model.weights]
    for drawn in (weight for weight in weights if weight.ndim > 1):
        *window, fan_in, fan_out = drawn.shape
        limit = np.sqrt(6.0 / (int(np.prod(window)) * (fan_in + fan_out)))
        rng.random(dtype=np.float32, out=drawn)
        drawn *= 2 * limit
        drawn -= limit
    return weights


def seed_dropout(model: keras.Model, seed: int) -> None:
    """Start the random numbers of a model's dropout layers anew."""
    for generator in (layer.seed_generator for layer in model.layers if hasattr(layer, "seed_generator")):
        generator.state.assign(np.array([seed, 0], dtype=generator.state.dtype))


def side_seen(model: keras.Model) -> int:
    """The side in pixels of the top left part of a picture that one of these networks looks at.

    Pooling drops an odd row and column, so the pixels that only they see need not be computed: of 224, the
    seed's network sees 222. A convolution that pads sees everything, its zeros included.
    """
    side = 0
    for layer in reversed(model.layers):
        if isinstance(layer, layers.MaxPooling2D):
            side = 2 * (side or layer.output.shape[1])
        elif isinstance(layer, layers.Conv2D):
            side = layer.input.shape[1] if layer.padding == "same" else side + layer.kernel_size[0] - 1
    return side
