"""The networks that are trained from random weights, in plain Keras."""

import batik_utils.backend  # noqa: F401  (before keras: one thread, quiet logs)

# isort: split
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

Layers = list[Callable[[Any], Any]]  # one after another
IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])  # mean and standard deviation of R, G, B


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
        layers.Dense(classes, activation="softmax", name="probabilities"),
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
        layers.Dense(classes, activation="softmax", name="probabilities"),
    ]


def small_cnn(classes: int, dropout: float) -> Layers:
    """A network of a quarter of a million parameters with batch normalisation, for pictures of any size."""
    return [
        *_normalised(24, stride=2),
        *_normalised(48),
        layers.MaxPooling2D(),
        *_normalised(72),
        *_normalised(72),
        layers.MaxPooling2D(),
        *_normalised(96),
        *_normalised(120),
        layers.GlobalAveragePooling2D(),
        layers.Dropout(dropout),
        layers.Dense(classes, activation="softmax", name="probabilities"),
    ]


def dense512_cnn(classes: int, dropout: float) -> Layers:
    """Study two's scratch model 1: 51,387,363 parameters at 224 and 3 classes."""
    return [
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dropout(dropout),
        layers.Dense(classes, activation="softmax", name="probabilities"),
    ]


def dense128_cnn(classes: int, dropout: float) -> Layers:
    """Study two's scratch model 3: 25,710,019 parameters at 224 and 3 classes; dropout after each of three ReLUs."""
    drop = (lambda: [layers.Dropout(dropout)]) if dropout else list
    return [
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        *drop(),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        *drop(),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        *drop(),
        layers.Dense(classes, activation="softmax", name="probabilities"),
    ]


def resnet18(classes: int, dropout: float) -> Layers:
    """Study two's scratch model 2: K. He et al., CVPR 2016, table 1; 11,187,651 parameters with 3 classes."""
    return [
        *_normalised(64, stride=2, window=7),
        layers.MaxPooling2D(3, 2, padding="same"),
        *(_residual(filters, 1 + (filters > 64 and not again)) for filters in (64, 128, 256, 512) for again in (0, 1)),
        layers.GlobalAveragePooling2D(),
        layers.Dropout(dropout),
        layers.Dense(classes, activation="softmax", name="probabilities"),
    ]


def _residual(filters: int, stride: int) -> Callable[[Any], Any]:
    """A basic block; where it halves the sides, a 1 x 1 convolution brings its input to the same shape."""
    body = [*_normalised(filters, stride), *_normalised(filters)[:-1]]
    short = _normalised(filters, stride, window=1)[:-1] if stride > 1 else []
    add, relu = layers.Add(), layers.ReLU()

    def block(x: Any) -> Any:
        ends = []
        for path in (body, short):
            end = x
            for layer in path:
                end = layer(end)
            ends.append(end)
        return relu(add(ends))

    return block


def _normalised(filters: int, stride: int = 1, window: int = 3) -> Layers:
    convolution = layers.Conv2D(filters, window, stride, padding="same", use_bias=False)
    return [convolution, layers.BatchNormalization(momentum=0.9), layers.ReLU()]


_BUILDERS = (seed_cnn, pooled_cnn, small_cnn, dense512_cnn, dense128_cnn, resnet18)
ARCHITECTURES = {build.__name__: build for build in _BUILDERS}
"""By the names that a study's `architecture` may take."""


def build_scratch(
    architecture: str, size: int, classes: int, dropout: float, seed: int = 0, pixels: str = "unit"
) -> keras.Model:
    """Build a network: images [b, size, size, 3] of 0-255 RGB -> class probabilities float32 [b, classes].

    Its weights are drawn from seed (see initial_weights); pixels is as ScratchModel's.
    """
    scale: tuple[Any, Any] = (1 / 255, 0.0)
    if pixels == "imagenet":
        mean, deviation = IMAGENET
        scale = (1 / (255 * deviation)).tolist(), (-mean / deviation).tolist()
    x = images = keras.Input((size, size, 3), name="images")
    for layer in [layers.Rescaling(*scale, name="rescale"), *ARCHITECTURES[architecture](classes, dropout)]:
        x = layer(x)
    model = keras.Model(images, x, name=architecture)
    model.set_weights(initial_weights(model, seed))
    return model


def initial_weights(model: keras.Model, seed: int) -> list[NDArray[np.float32]]:
    """Glorot-uniform kernels, zero biases, in the order of get_weights: as Keras', but the same under every backend."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0x5C4A7C4])))
    ones = {"gamma", "moving_variance"}  # batch normalisation starts as the function that changes nothing
    weights = [np.full(w.shape, w.name in ones, np.float32) for w in model.weights]
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
    """The side in pixels of the top left part of a picture that a network looks at: of 224, study one's sees 222.

    Pooling drops an odd row and column, so what only they see need not be computed. A convolution that pads sees all.
    """
    side = 0
    for layer in reversed(model.layers):
        if isinstance(layer, layers.MaxPooling2D):
            side = 2 * (side or layer.output.shape[1])
        elif isinstance(layer, layers.Conv2D):
            side = layer.input.shape[1] if layer.padding == "same" else side + layer.kernel_size[0] - 1
    return side


def ask_all_views(network: keras.Model, size: int) -> keras.Model:
    """The mean of a network's answers to a picture [b, size, size, 3], upright, mirrored both ways and transposed."""
    side = network.input_shape[1]
    pictures = keras.Input((size, size, 3), name="images")
    small = pictures if size == side else keras.ops.image.resize(pictures, (side, side), antialias=True)
    views = [small, small[:, :, ::-1], small[:, ::-1], keras.ops.transpose(small, (0, 2, 1, 3))]
    return keras.Model(pictures, keras.layers.average([network(view) for view in views]), name=network.name)
