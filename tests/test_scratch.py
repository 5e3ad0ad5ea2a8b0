"""Scratch networks: the seed's architecture, and fits that repeat bit by bit."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from batik_utils.errors import BatikError
from batik_utils.models import train_scratch as room
from batik_utils.models.corruptions import tamper
from batik_utils.models.scratch import ARCHITECTURES, build_scratch, initial_weights, side_seen
from batik_utils.models.train_scratch import train_scratch
from batik_utils.models.work import Task, training_seed
from batik_utils.study import Augmentation, ScratchModel
from batik_utils.values import Fit, Hyper, Split
from benchmarks.count import multiply_adds

SIZE, CLASSES = 40, 3
SPEC = ScratchModel(
    kind="scratch",
    title="Scratch CNN",
    architecture="seed_cnn",
    epochs=3,
    batch_size=8,
    augmentation=Augmentation(rotation=40, shift=0.2, shear=0.2, zoom=0.2, horizontal_flip=True),
)
HYPER = Hyper(epochs=3, learning_rate=1e-3, dropout=0.5)


def pictures(n=30, size=SIZE):
    """Noise of one bright channel per class: easy to tell apart, and no two alike."""
    labels = np.arange(n, dtype=np.int64) % CLASSES
    images = np.random.default_rng(5).integers(0, 120, (n, size, size, 3), dtype=np.uint8)
    images[np.arange(n), :, :, labels] += 100
    return images, labels, tuple(f"{i:064x}" for i in range(n))


def fit(spec=SPEC, hyper=HYPER, seed=0, **asked):
    """(result, weights) of one fit; five rows validate and five test."""
    images, labels, hashes = pictures()
    split = Split("published", 0, 0, tuple(range(20)), tuple(range(20, 25)), tuple(range(25, 30)))
    task = Task(
        model=spec,
        fits=(Fit("study", "scratch", "published", 0, 0, seed, hyper),),
        splits=(split,),
        labels=tuple(labels.tolist()),
        classes=CLASSES,
        history=True,
        **asked,
    )
    return train_scratch(task, hashes, hashes, images)[0]


def test_the_seeds_network_is_the_seeds_layer_by_layer():
    model = build_scratch("seed_cnn", 224, 3, 0.5)
    assert model.count_params() == 11_169_347
    # The last two rows and columns are never seen.
    assert (side_seen(model), side_seen(build_scratch("pooled_cnn", 224, 3, 0.5))) == (222, 224)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["InputLayer", "Rescaling", *["Conv2D", "MaxPooling2D"] * 3, "Flatten", "Dense", "Dropout", "Dense"]
    assert [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)] == [32, 64, 128]


def test_multiply_adds_are_those_of_the_arithmetic_floor():
    forward, training = multiply_adds("seed_cnn", 224, 3)
    by_hand = 222**2 * 27 * 32 + 109**2 * 288 * 64 + 52**2 * 576 * 128 + 86528 * 128 + 128 * 3
    assert forward == by_hand
    assert training == 3 * by_hand - 222**2 * 27 * 32
    # Issue 3's figure: 120 images x 20 epochs are 6.7 TFLOP.
    assert 6.5e12 < 2 * training * 120 * 20 < 6.8e12


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("size", [40, 43, 48])
def test_what_lies_beyond_the_side_seen_changes_nothing(architecture, size):
    images = pictures(4, size)[0].astype(np.float32)
    model = build_scratch(architecture, size, CLASSES, 0.0)
    side, said = side_seen(model), model.predict_on_batch(images)
    for edge, same in ((side, True), (side - 1, False)):
        other = images.copy()
        other[:, edge:] = other[:, :, edge:] = 255
        assert np.array_equal(model.predict_on_batch(other), said) == (same or edge >= size)


def test_weights_are_drawn_from_the_seed_as_keras_draws_them():
    model = build_scratch("seed_cnn", SIZE, CLASSES, 0.5, seed=7)
    for drawn, again in zip(model.get_weights(), initial_weights(model, 7), strict=True):
        np.testing.assert_array_equal(drawn, again)
    other = build_scratch("seed_cnn", SIZE, CLASSES, 0.5, seed=8).get_weights()
    keras_kernel = np.asarray(keras.initializers.GlorotUniform(seed=1)((3, 3, 64, 128)))
    kernel = model.get_weights()[4]
    assert kernel.shape == keras_kernel.shape and not np.array_equal(kernel, other[4])
    assert abs(kernel.mean()) < 1e-3
    assert kernel.std() == pytest.approx(keras_kernel.std(), rel=0.02)
    assert np.abs(kernel).max() == pytest.approx(np.abs(keras_kernel).max(), rel=0.01)
    assert not model.get_weights()[1].any()  # biases


def test_an_unknown_name_is_one_clear_line():
    with pytest.raises(BatikError, match="no architecture 'sed_cnn'; there are seed_cnn, pooled_cnn"):
        build_scratch("sed_cnn", SIZE, CLASSES, 0.5)
    with pytest.raises(BatikError, match="float32 or bfloat16"):
        build_scratch("seed_cnn", SIZE, CLASSES, 0.5, precision="float16")


def test_a_fit_repeats_bit_by_bit_whatever_ran_before_it():
    room._trainer.cache_clear()
    first, weights = fit()
    other, _ = fit(seed=1, hyper=Hyper(epochs=1, learning_rate=1e-2, dropout=0.5))
    assert not np.array_equal(first.y_prob, other.y_prob)
    again, same = fit()
    assert first.to_json() == again.to_json() and np.array_equal(first.y_prob, again.y_prob)
    assert all(np.array_equal(one, two) for one, two in zip(weights, same, strict=True))


def test_a_fit_in_a_fresh_process_is_the_fit_in_this_one(tmp_path):
    fit(seed=1)
    here, weights = fit(seed=2)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import numpy as np; import test_scratch as t\n"
        "r, weights = t.fit(seed=2); np.savez(sys.argv[2], r.y_prob, r.val_prob, *weights)"
    )
    folder = str(Path(__file__).parent)
    command = [sys.executable, "-c", code, folder, str(tmp_path / "there.npz")]
    root = Path(folder).parent  # the benchmarks are a package there
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    there = np.load(tmp_path / "there.npz")
    for i, array in enumerate([here.y_prob, here.val_prob, *weights]):
        np.testing.assert_array_equal(array, there[f"arr_{i}"])


def test_a_shorter_fit_is_the_beginning_of_a_longer_one():
    (long, _), (short, _) = fit(checkpoints=(1, 2)), fit(hyper=Hyper(epochs=2, learning_rate=1e-3, dropout=0.5))
    assert sorted(long.checkpoints) == [1, 2]
    np.testing.assert_array_equal(long.checkpoints[2]["val"], short.val_prob)
    np.testing.assert_array_equal(long.checkpoints[2]["test"], short.y_prob)
    assert {name: values[:2] for name, values in long.history.items()} == short.history


def test_what_a_fit_leaves_behind():
    images, _, hashes = pictures()
    result, weights = fit(corruptions=("greyscale", "border"))
    assert {name: len(values) for name, values in result.history.items()} == dict.fromkeys(
        ["accuracy", "loss", "val_accuracy", "val_loss"], 3
    )
    plain = build_scratch("seed_cnn", SIZE, CLASSES, 0.5)
    plain.set_weights(weights)
    assert result.parameters == plain.count_params() and result.paths == hashes[25:]
    grey, border = (tamper(images[25:], name, hashes[25:]) for name in ("greyscale", "border"))
    shown = {"y_prob": images[25:], "val_prob": images[20:25], "greyscale": grey, "border": border}
    for name, pixels in shown.items():
        said = getattr(result, name, None) if name.endswith("prob") else result.corruptions[name]
        assert said.dtype == np.float64
        np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-12)
        np.testing.assert_allclose(plain.predict_on_batch(pixels.astype(np.float32)), said, atol=1e-5)


def test_a_fit_that_diverges_says_where():
    with pytest.raises(BatikError, match=r"Scratch CNN \(seed 0\) gave NaN at epoch \d"):
        fit(hyper=Hyper(epochs=20, learning_rate=1e38, dropout=0.5))
    assert np.isfinite(fit()[0].history["loss"]).all()  # and leaves nothing behind


@pytest.mark.parametrize(
    ("architecture", "precision"), [("seed_cnn", "float32"), ("seed_cnn", "bfloat16"), ("pooled_cnn", "float32")]
)
def test_it_learns_what_is_easy(architecture, precision):
    spec = SPEC.model_copy(update={"architecture": architecture, "precision": precision})
    result, _ = fit(spec, Hyper(epochs=15, learning_rate=2e-3, dropout=0.5))
    assert result.history["loss"][-1] < 0.5 * result.history["loss"][0]
    said = np.concatenate([result.val_prob, result.y_prob]).argmax(axis=1)
    assert np.mean(said == np.arange(20, 30) % CLASSES) >= 0.8


def test_the_history_is_keras_own_running_mean():
    """One epoch with nothing random in it, against keras.Model.fit on the plain network in the same order."""
    still = SPEC.model_copy(update={"augmentation": Augmentation()})
    hyper = Hyper(epochs=1, learning_rate=1e-3, dropout=0.0)
    ours, _ = fit(still, hyper)
    seed = training_seed(ours.fit)
    images, labels, _ = pictures()
    order = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0]))).permutation(np.arange(20))
    model = build_scratch("seed_cnn", SIZE, CLASSES, 0.0, seed)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    images = images.astype(np.float32)
    held = (images[20:25], labels[20:25])
    theirs = model.fit(images[order], labels[order], 8, 1, 0, shuffle=False, validation_data=held).history
    for name, values in ours.history.items():
        assert values == pytest.approx(theirs[name], rel=1e-3), name


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_jax_trains_the_same_network_up_to_rounding(precision):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_scratch as t\n"
        "h = t.Hyper(epochs=2, learning_rate=1e-3, dropout=0.0)\n"  # dropout is drawn otherwise in each backend
        "spec = t.SPEC.model_copy(update={'precision': sys.argv[2]})\n"
        "print(*t.fit(spec, h)[0].history['loss'])"
    )
    losses = []
    for backend in ("tensorflow", "jax"):
        env = {**os.environ, "KERAS_BACKEND": backend}
        command = [sys.executable, "-c", code, str(Path(__file__).parent), precision]
        said = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
        losses.append([float(loss) for loss in said.split()])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3 if precision == "float32" else 0.05)
