"""Pooling, bias and ReLU as one layer, whose gradient costs little, and the scratch networks made of it.

The same networks as plain Keras', held equal to them by tests, in five sixths of the time of an epoch on one core.
"""

from itertools import pairwise

from batik_utils.backend import compiled  # before keras: one thread, quiet logs

# isort: split
import keras
import numpy as np
from keras import layers, ops

PLACES = np.arange(4, dtype=np.int32)  # a window's pixels, row by row


def faster(plain: keras.Model) -> keras.Model:
    """The same function of the same weights in the same order, with each convolution's bias and ReLU after its pooling.

    plain is float32. It is given back as it is unless every Conv2D, of ReLU and bias, is followed by a MaxPooling2D.
    """
    pairs = list(pairwise(plain.layers))
    if not all(isinstance(after, layers.MaxPooling2D) for layer, after in pairs if isinstance(layer, layers.Conv2D)):
        return plain
    x = images = keras.Input(plain.input_shape[1:])
    for layer in plain.layers[1:]:
        if isinstance(layer, layers.Conv2D):
            config = layer.get_config() | {"use_bias": False, "activation": "linear"}
            x = layers.Conv2D.from_config(config)(x)
        elif isinstance(layer, layers.MaxPooling2D):
            x = PoolBiasRelu()(x)
        else:
            x = type(layer).from_config(layer.get_config())(x)
    model = keras.Model(images, x, name=plain.name)
    model.set_weights(plain.get_weights())
    return model


class PoolBiasRelu(layers.Layer):
    """relu(maxpool2x2(x) + bias), which equals maxpool2x2(relu(x + bias)) exactly, on a quarter of the pixels.

    x is float32 [b, h, w, c]; the result [b, h // 2, w // 2, c]. Its gradient goes to the first of a window's largest
    values, as Keras' does, and is written from one byte per window that the forward pass keeps, in which bit k
    says that pixel k takes it (none where ReLU lets nothing through). TensorFlow's own MaxPoolGrad took 39 % of
    a training step on one core.
    """

    def build(self, input_shape):
        """One bias per channel."""
        _, self.height, self.width, channels = input_shape
        self.bias = self.add_weight(shape=(channels,), initializer="zeros", name="bias")
        self._pool, self._to_pixels, self._passed = compiled(_pool), compiled(self._spread), compiled(_passed)

    def call(self, x):
        """See the class."""

        @ops.custom_gradient
        def pool(x, bias):
            out, takers = self._pool(x, bias)

            def gradient(*args, upstream=None):
                (upstream,) = args if upstream is None else (upstream,)
                passed = self._passed(takers, upstream)
                # A product with ones: the sum over a tall matrix is much slower.
                ones = ops.ones((1, ops.shape(passed)[0]))
                return self._to_pixels(takers, upstream), ops.matmul(ones, passed)[0]

            return out, gradient

        return pool(x, ops.cast(self.bias, x.dtype))  # a tensor: it may not close over a variable

    def compute_output_shape(self, input_shape):
        """Half the sides, rounded down."""
        batch, height, width, channels = input_shape
        return (batch, height // 2, width // 2, channels)

    def _spread(self, takers, upstream):
        takers, upstream = takers[:, :, None, :, None, :], upstream[:, :, None, :, None, :]
        place = PLACES.reshape(1, 1, 2, 1, 2, 1)
        bit = ops.bitwise_and(ops.right_shift(ops.cast(takers, "int32"), place), 1)
        rows, columns = 2 * (self.height // 2), 2 * (self.width // 2)
        pixels = ops.reshape(upstream * ops.cast(bit, "float32"), (-1, rows, columns, upstream.shape[-1]))
        return ops.pad(pixels, [[0, 0], [0, self.height - rows], [0, self.width - columns], [0, 0]])


def _pool(x, bias):
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    windows = ops.reshape(x[:, : 2 * rows, : 2 * columns], (-1, rows, 2, columns, 2, x.shape[-1]))
    a, b, c, d = (windows[:, :, i, :, j] for i in (0, 1) for j in (0, 1))
    largest = ops.maximum(ops.maximum(a, b), ops.maximum(c, d))
    bit = [ops.cast(1 << int(k), "int8") for k in PLACES]
    takers = ops.where(b == largest, bit[1], ops.where(c == largest, bit[2], bit[3]))
    takers, out = ops.where(a == largest, bit[0], takers), largest + bias
    return ops.relu(out), ops.where(out > 0, takers, ops.cast(0, "int8"))


def _passed(takers, upstream):
    passed = ops.where(takers != 0, upstream, ops.zeros((), upstream.dtype))
    return ops.reshape(passed, (-1, upstream.shape[-1]))
