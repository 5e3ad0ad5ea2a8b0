"""The annexe is plain Keras, only faster: layer by layer, as a whole fit, and nothing needs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import test_scratch
from keras import ops
from test_augment import HASHES, SEED, TOLERANCE, noise, smooth

from batik_utils.models import annexe
from batik_utils.models.augment import AffineAugmentation, draw_transforms
from batik_utils.models.fast import FusedAdam, PoolBiasRelu, faster, four_passes
from batik_utils.models.scratch import ARCHITECTURES, build_scratch

PRECISIONS = ["float32", "mixed_bfloat16"]
SHAPES = [(2, 9, 8, 4), (3, 6, 7, 32), (1, 5, 5, 3)]


def drawn(shape, kind):
    """Noise, or noise of five values: it ties in most windows, as bfloat16 activations often do."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=shape) if kind == "noise" else rng.integers(-2, 3, shape)).astype(np.float32)


def changed(model, x, target):
    """The weights' change in a step of plain gradient descent, which is the gradient itself."""
    before = model.get_weights()
    model.train_on_batch(x, target)
    return [new - old for new, old in zip(model.get_weights(), before, strict=True)]


@pytest.mark.parametrize("policy", PRECISIONS)
@pytest.mark.parametrize("kind", ["noise", "ties"])
@pytest.mark.parametrize("shape", SHAPES)
def test_its_pooling_and_gradient_are_those_of_bias_relu_and_pooling(shape, kind, policy):
    x, target = drawn(shape, kind), drawn((shape[0], shape[1] // 2, shape[2] // 2, shape[3]), "noise")
    kernel, bias = np.eye(shape[-1], dtype=np.float32)[None, None], np.linspace(-1, 1, shape[-1])
    # A 1x1 convolution in front: its gradient is the pool's gradient, summed against the picture.
    conv = {"filters": shape[-1], "kernel_size": 1, "dtype": policy}
    plain = [keras.layers.Conv2D(**conv, activation="relu"), keras.layers.MaxPooling2D(dtype=policy)]
    said, after = [], []
    for layers in (plain, [keras.layers.Conv2D(**conv, use_bias=False), PoolBiasRelu(dtype=policy)]):
        model = keras.Sequential([keras.Input(shape[1:]), *layers])
        model.set_weights([kernel, bias])
        loss = lambda target, out: ops.sum(ops.cast(out, "float32") * target)  # noqa: E731
        model.compile(keras.optimizers.SGD(1.0), loss, jit_compile=False)
        said.append(ops.convert_to_numpy(ops.cast(model(x), "float32")))
        after.append(changed(model, x, target))
    np.testing.assert_array_equal(said[1], said[0])
    assert np.isnan(ops.convert_to_numpy(ops.cast(model(x * np.nan), "float32"))).all()  # and nothing is hidden
    assert said[1].shape == target.shape and np.abs(after[1][1]).max() > 0.1
    rounding = 1e-4 if policy == "float32" else 0.3  # sums of up to 63 terms, each of eight bits
    for ours, theirs in zip(after[1], after[0], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=rounding)


PLAIN = sorted({*ARCHITECTURES} - {"small_cnn"})  # that one has a training of its own


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


@pytest.mark.parametrize("settings", [{}, {"beta_1": 0.5, "epsilon": 1e-3}])
def test_its_adam_takes_the_steps_of_keras_adam(settings):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 4)).astype(np.float32), rng.normal(size=(16, 1)).astype(np.float32)

    def steps(optimizer):
        """Weights after every step of a small regression, the learning rate changed in mid-way."""
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)])
        shapes = [w.shape for w in model.get_weights()]
        model.set_weights([0.1 * (i + 1) + np.arange(np.prod(s)).reshape(s) for i, s in enumerate(shapes)])
        model.compile(optimizer, "mse", jit_compile=False)
        seen = []
        for step in range(5):
            model.optimizer.learning_rate = 1e-2 if step < 3 else 1e-3
            model.train_on_batch(x, y)
            seen.append(np.concatenate([w.ravel() for w in model.get_weights()]))
        return np.array(seen)

    ours, theirs = steps(FusedAdam(**settings)), steps(keras.optimizers.Adam(**settings))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert np.abs(np.diff(ours, axis=0)).max(axis=1).min() > 1e-4  # every step moved something


@pytest.mark.parametrize("side", [None, 1, 30, 39])
def test_its_warp_is_keras_affine_transform_or_its_top_left(side):
    wide = np.concatenate([noise(40), smooth(40)], axis=1)  # a picture need not be square
    for images in (np.stack([noise(40), smooth(40)]), wide[None].repeat(2, axis=0)):
        transforms = draw_transforms(SEED, HASHES[:2], [1, 2], 40)
        plain, fast = (AffineAugmentation(side, warp)([images, transforms]) for warp in (None, four_passes()))
        assert fast.shape == plain.shape == (2, side or 40, side or images.shape[2], 3)
        np.testing.assert_allclose(fast, plain, atol=TOLERANCE)


@pytest.mark.parametrize("architecture", PLAIN)
def test_a_fit_without_it_is_the_same_to_rounding(architecture, monkeypatch):
    spec = test_scratch.SPEC.model_copy(update={"architecture": architecture})
    hyper = test_scratch.Hyper(epochs=2, learning_rate=1e-3, dropout=0.5)
    helped, _ = test_scratch.fit(spec, hyper)
    assert annexe.fast() is not None and annexe.arithmetic() == "tensorflow"
    monkeypatch.setenv("BATIK_PLAIN", "1")
    plain, _ = test_scratch.fit(spec, hyper)
    assert annexe.fast() is None and annexe.arithmetic() == "tensorflow, plain"
    np.testing.assert_allclose(helped.y_prob, plain.y_prob, atol=1e-4)
    np.testing.assert_allclose(helped.history["loss"], plain.history["loss"], rtol=1e-3)


def test_everything_works_with_its_folder_deleted(tmp_path):
    package = Path(annexe.__file__).parents[1]
    shutil.copytree(package, tmp_path / "batik_utils", ignore=shutil.ignore_patterns("fast", "__pycache__"))
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; import tiny, batik_utils\n"
        "assert batik_utils.__path__ == [sys.argv[1] + '/batik_utils']\n"
        "results = tiny.run_plan(tiny.plan(), executor='serial', progress=False)\n"
        "assert 'batik_utils.models.fast' not in sys.modules; print(len(results), len(results.missing))"
    )
    env = {**os.environ, "BATIK_CACHE": str(tmp_path / "cache"), "PYTHONPATH": ""}
    command = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    said = subprocess.run(command, env=env, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert said.split() == ["34", "0"]
