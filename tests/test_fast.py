"""The faster pooling is plain Keras': layer by layer, and in whole networks."""

import keras
import numpy as np
import pytest
import test_scratch
from keras import ops

from batik_utils.models.fast import PoolBiasRelu, faster
from batik_utils.models.scratch import ARCHITECTURES, build_scratch

SHAPES = [(2, 9, 8, 4), (3, 6, 7, 32), (1, 5, 5, 3)]


def drawn(shape, kind):
    """Noise, or noise of five values: it ties in most windows."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=shape) if kind == "noise" else rng.integers(-2, 3, shape)).astype(np.float32)


def changed(model, x, target):
    """The weights' change in a step of plain gradient descent, which is the gradient itself."""
    before = model.get_weights()
    model.train_on_batch(x, target)
    return [new - old for new, old in zip(model.get_weights(), before, strict=True)]


@pytest.mark.parametrize("kind", ["noise", "ties"])
@pytest.mark.parametrize("shape", SHAPES)
def test_its_pooling_and_gradient_are_those_of_bias_relu_and_pooling(shape, kind):
    x, target = drawn(shape, kind), drawn((shape[0], shape[1] // 2, shape[2] // 2, shape[3]), "noise")
    kernel, bias = np.eye(shape[-1], dtype=np.float32)[None, None], np.linspace(-1, 1, shape[-1])
    # A 1x1 convolution in front: its gradient is the pool's gradient, summed against the picture.
    conv = {"filters": shape[-1], "kernel_size": 1}
    plain = [keras.layers.Conv2D(**conv, activation="relu"), keras.layers.MaxPooling2D()]
    said, after = [], []
    for layers in (plain, [keras.layers.Conv2D(**conv, use_bias=False), PoolBiasRelu()]):
        model = keras.Sequential([keras.Input(shape[1:]), *layers])
        model.set_weights([kernel, bias])
        loss = lambda target, out: ops.sum(out * target)  # noqa: E731
        model.compile(keras.optimizers.SGD(1.0), loss, jit_compile=False)
        said.append(ops.convert_to_numpy(model(x)))
        after.append(changed(model, x, target))
    np.testing.assert_array_equal(said[1], said[0])
    assert np.isnan(ops.convert_to_numpy(model(x * np.nan))).all()  # and nothing is hidden
    assert said[1].shape == target.shape and np.abs(after[1][1]).max() > 0.1
    for ours, theirs in zip(after[1], after[0], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


PLAIN = sorted({*ARCHITECTURES} - {"small_cnn", "resnet18"})  # of which every convolution is pooled at once


@pytest.mark.parametrize("size", [40, 43])
@pytest.mark.parametrize("architecture", PLAIN)
def test_its_networks_are_the_same_functions_of_the_same_weights_and_learn_alike(architecture, size):
    images, labels, _ = test_scratch.pictures(6, size)
    images = images.astype(np.float32)
    plain = build_scratch(architecture, size, 3, 0.0, seed=3)
    fast = faster(plain)
    assert [w.shape for w in plain.get_weights()] == [w.shape for w in fast.get_weights()]
    np.testing.assert_allclose(fast.predict_on_batch(images), plain.predict_on_batch(images), atol=1e-6)
    after = []
    for model in (plain, fast):
        model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", jit_compile=False)
        after.append(changed(model, images, labels))
    for slow, quick in zip(*after, strict=True):
        assert np.abs(slow).max() > 1e-6
        np.testing.assert_allclose(quick, slow, atol=1e-3 * np.abs(slow).max())


def test_a_network_whose_convolutions_are_not_pooled_at_once_stays_as_it_is():
    for plain in (build_scratch("resnet18", 40, 3, 0.0), build_scratch("dense128_cnn", 40, 3, 0.5)):
        assert faster(plain) is plain
