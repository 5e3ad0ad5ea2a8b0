"""The fast pooling layer is Keras' own three layers, forward and backward, ties and all, in both precisions."""

import keras
import numpy as np
import pytest
from keras import ops

from batik_utils.models.fast.pool import PoolBiasRelu

PRECISIONS = ["float32", "mixed_bfloat16"]
SHAPES = [(2, 9, 8, 4), (3, 6, 7, 32), (1, 5, 5, 3)]


def drawn(shape, kind):
    """Noise, or noise of five values: it ties in most windows, as bfloat16 activations often do."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=shape) if kind == "noise" else rng.integers(-2, 3, shape)).astype(np.float32)


def pooled(x, policy, bias):
    layer = PoolBiasRelu(dtype=policy)
    model = keras.Sequential([keras.Input(x.shape[1:], dtype=x.dtype), layer])
    layer.bias.assign(bias)
    assert model.output_shape[1:] == (x.shape[1] // 2, x.shape[2] // 2, x.shape[3])
    return as_float(model(x))


def narrowed(values, policy):
    dtype = keras.dtype_policies.get(policy).compute_dtype
    return ops.cast(values, dtype)


def as_float(values):
    return ops.convert_to_numpy(ops.cast(values, "float32"))


@pytest.mark.parametrize("policy", PRECISIONS)
@pytest.mark.parametrize("kind", ["noise", "ties"])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_bias_relu_and_pooling(shape, kind, policy):
    x, bias = narrowed(drawn(shape, kind), policy), np.linspace(-1, 1, shape[-1])
    theirs = ops.max_pool(ops.relu(x + ops.cast(bias, x.dtype)), (2, 2), (2, 2))
    np.testing.assert_array_equal(pooled(x, policy, bias), as_float(theirs))


@pytest.mark.parametrize("policy", PRECISIONS)
@pytest.mark.parametrize("kind", ["noise", "ties"])
@pytest.mark.parametrize("shape", SHAPES)
def test_its_gradient_goes_to_the_first_of_a_windows_largest(shape, kind, policy):
    x, weights = drawn(shape, kind), drawn((shape[0], shape[1] // 2, shape[2] // 2, shape[3]), "noise")
    kernel, bias = np.eye(shape[-1], dtype=np.float32)[None, None], np.linspace(-1, 1, shape[-1])
    after = []
    # A 1x1 convolution in front: its gradient is the pool's gradient, summed against the picture.
    conv = {"filters": shape[-1], "kernel_size": 1, "dtype": policy}
    plain = [keras.layers.Conv2D(**conv, activation="relu"), keras.layers.MaxPooling2D(dtype=policy)]
    for layers in (plain, [keras.layers.Conv2D(**conv, use_bias=False), PoolBiasRelu(dtype=policy)]):
        model = keras.Sequential([keras.Input(shape[1:]), *layers])
        model.set_weights([kernel, bias])
        model.compile(
            keras.optimizers.SGD(1.0), lambda target, out: ops.sum(ops.cast(out, "float32") * target), jit_compile=False
        )
        model.train_on_batch(x, weights)
        after.append(model.get_weights())
    rounding = 1e-4 if policy == "float32" else 0.3  # sums of up to 63 terms, each of eight bits
    for ours, theirs in zip(after[1], after[0], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=rounding)
    assert np.abs(after[1][1] - bias).max() > 0.1


def test_what_is_not_a_number_stays_so():
    for policy in PRECISIONS:
        x = np.full((1, 4, 4, 2), np.nan, np.float32)
        assert np.isnan(pooled(narrowed(x, policy), policy, np.zeros(2))).all()
