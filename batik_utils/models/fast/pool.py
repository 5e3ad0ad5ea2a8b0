"""Pooling, bias and ReLU as one layer, whose gradient costs little, and the scratch networks made of it."""

from batik_utils.backend import compiled  # before keras: one thread, quiet logs

# isort: split
import keras
import numpy as np
from keras import layers, ops

PLACES = np.arange(4, dtype=np.int32)  # a window's pixels, row by row


def faster(plain: keras.Model) -> keras.Model:
    """The same function of the same weights in the same order, with each convolution's bias and ReLU after its pooling.

    plain is a chain of layers in which every Conv2D has a bias and a ReLU and is followed by a MaxPooling2D of 2x2.
    """
    x = images = keras.Input(plain.input_shape[1:])
    for layer in plain.layers[1:]:
        if isinstance(layer, layers.Conv2D):
            config = layer.get_config() | {"use_bias": False, "activation": "linear"}
            x = layers.Conv2D.from_config(config)(x)
        elif isinstance(layer, layers.MaxPooling2D):
            x = PoolBiasRelu(dtype=layer.dtype_policy)(x)
        else:
            x = type(layer).from_config(layer.get_config())(x)
    model = keras.Model(images, x, name=plain.name)
    model.set_weights(plain.get_weights())
    return model


class PoolBiasRelu(layers.Layer):
    """relu(maxpool2x2(x) + bias), which equals maxpool2x2(relu(x + bias)) exactly, on a quarter of the pixels.

    x is [b, h, w, c]; the result [b, h // 2, w // 2, c]. Its gradient goes to the first of a window's largest
    values, as Keras' does, and is written from one byte per window that the forward pass keeps, in which bit k
    says that pixel k takes it (none where ReLU lets nothing through). TensorFlow's own MaxPoolGrad took 39 % of
    a training step on one core.
    """

    def build(self, input_shape):
        """One bias per channel."""
        _, self.height, self.width, channels = input_shape
        self.bias = self.add_weight(shape=(channels,), initializer="zeros", name="bias")
        self._pool, self._key, self._read_key = compiled(_pool), compiled(_largest_key), compiled(_read_key)
        self._to_pixels, self._passed = compiled(self._spread), compiled(_passed)

    def call(self, x):
        """See the class."""
        narrow = keras.backend.standardize_dtype(x.dtype) == "bfloat16"

        @ops.custom_gradient
        def pool(x, bias):
            out, takers = self._read_key(self._key(x), bias) if narrow else self._pool(x, bias)

            def gradient(*args, upstream=None):
                (upstream,) = args if upstream is None else (upstream,)
                passed = self._passed(takers, upstream)
                # A product with ones: the sum over a tall matrix is much slower, and rounds more in bfloat16.
                ones = ops.ones((1, ops.shape(passed)[0]), dtype=passed.dtype)
                return self._to_pixels(takers, upstream), ops.matmul(ones, passed)[0]

            return out, gradient

        return pool(x, ops.cast(self.bias, x.dtype))

    def compute_output_shape(self, input_shape):
        """Half the sides, rounded down."""
        batch, height, width, channels = input_shape
        return (batch, height // 2, width // 2, channels)

    def _spread(self, takers, upstream):
        place, dtype = PLACES.reshape(1, 1, 2, 1, 2, 1), upstream.dtype
        takers, upstream = takers[:, :, None, :, None, :], upstream[:, :, None, :, None, :]
        if keras.backend.standardize_dtype(dtype) == "bfloat16":  # XLA is faster by a choice here ...
            pixels = ops.where(
                ops.bitwise_and(takers, np.int8(1) << place.astype("int8")) != 0, upstream, ops.zeros((), dtype)
            )
        else:  # ... and by a product here.
            bit = ops.bitwise_and(ops.right_shift(ops.cast(takers, "int32"), place), 1)
            pixels = upstream * ops.cast(bit, dtype)
        rows, columns = 2 * (self.height // 2), 2 * (self.width // 2)
        pixels = ops.reshape(pixels, (-1, rows, columns, upstream.shape[-1]))
        return ops.pad(pixels, [[0, 0], [0, self.height - rows], [0, self.width - columns], [0, 0]])


def _windows(x):
    """The four pixels of every window, each [b, h // 2, w // 2, c]."""
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    windows = ops.reshape(x[:, : 2 * rows, : 2 * columns], (-1, rows, 2, columns, 2, x.shape[-1]))
    return [windows[:, :, i, :, j] for i in (0, 1) for j in (0, 1)]


def _pool(x, bias):
    a, b, c, d = _windows(x)
    largest = ops.maximum(ops.maximum(a, b), ops.maximum(c, d))
    bit = [ops.cast(1 << int(k), "int8") for k in PLACES]
    takers = ops.where(b == largest, bit[1], ops.where(c == largest, bit[2], bit[3]))
    return _let_through(largest + bias, ops.where(a == largest, bit[0], takers))


def _largest_key(x):
    """Each window's largest value and its first place, bfloat16 -> one int32, in one pass over x.

    The bits of a bfloat16, read as an integer, have its order once those of the negative ones are turned round;
    two more bits, counting down, make the first of equals the largest.
    """
    keys = [
        ops.cast(_in_order(pixels), "int32") * 4 + int(3 - k)
        for k, pixels in zip(PLACES, _windows(ops.view(x, "int16")), strict=True)
    ]
    return ops.maximum(ops.maximum(keys[0], keys[1]), ops.maximum(keys[2], keys[3]))


def _read_key(key, bias):
    value = ops.view(_in_order(ops.cast(ops.right_shift(key, 2), "int16")), "bfloat16")
    bit = ops.right_shift(ops.cast(8, "int32"), ops.bitwise_and(key, 3))
    return _let_through(value + bias, ops.cast(bit, "int8"))


def _in_order(bits):
    """Turn the bits of negative numbers round, or back: its own inverse."""
    sign, rest = np.int16(15), np.int16(0x7FFF)
    return ops.bitwise_xor(bits, ops.bitwise_and(ops.right_shift(bits, sign), rest))


def _let_through(out, takers):
    return ops.relu(out), ops.where(out > 0, takers, ops.cast(0, "int8"))


def _passed(takers, upstream):
    passed = ops.where(takers != 0, upstream, ops.zeros((), upstream.dtype))
    return ops.reshape(passed, (-1, upstream.shape[-1]))
