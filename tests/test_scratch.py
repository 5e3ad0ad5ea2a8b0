"""Networks that are trained here: the originals' architectures, fits that repeat bit by bit, backbones trained on."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import tiny

import batik_utils.backend  # noqa: F401  (before keras)

# isort: split
import keras

from batik_utils.cache import digest
from batik_utils.errors import BatikError
from batik_utils.experiment.run import work
from batik_utils.models import train as room
from batik_utils.models.backbones import BACKBONES
from batik_utils.models.corruptions import tamper
from batik_utils.models.fast import faster
from batik_utils.models.kinds import KINDS
from batik_utils.models.scratch import ARCHITECTURES, build_scratch, initial_weights, side_seen
from batik_utils.models.work import Task, training_seed
from batik_utils.study_models import Augmentation, FinetunedModel, Regularisation, ScratchModel
from batik_utils.values import Fit, Hyper, Split

SIZE, CLASSES = 40, 3
MOVED = Augmentation(rotation=40, shift=0.2, shear=0.2, zoom=0.2, horizontal_flip=True)
STILL = ScratchModel(kind="scratch", title="Scratch CNN", architecture="seed_cnn", epochs=3, batch_size=8)
SPEC = STILL.model_copy(update={"augmentation": MOVED})
OTHER = STILL.model_copy(update={"epochs": 1, "dropout": 0.0, "pixels": "imagenet"})
SMALL = {"architecture": "small_cnn", "regularised": Regularisation(crop=32, side=48), "learning_rate": 2e-3}
SMALL = STILL.model_copy(update=SMALL | {"title": "Small", "epochs": 6, "dropout": 0.1})
TUNED = FinetunedModel(kind="finetuned", title="F", backbone="tiny", epochs=2, batch_size=8, dropout=0.0)


def pictures(n=30, size=SIZE):
    """Noise of one bright channel per class: easy to tell apart, and no two alike."""
    labels = np.arange(n, dtype=np.int64) % CLASSES
    images = np.random.default_rng(5).integers(0, 120, (n, size, size, 3), dtype=np.uint8)
    images[np.arange(n), :, :, labels] += 100
    return images, labels, tuple(f"{i:064x}" for i in range(n))


def dark_and_bright():
    """Larger noise, half as many of its pictures darkened."""
    images, labels = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), dtype=np.uint8), np.arange(30) % 2
    images[labels == 1] //= 3
    return images, labels, tuple(f"{i:064x}" for i in range(30))


def fit(spec=SPEC, seed=0, given=None, checkpoints=(), corruptions=(), **hyper):
    """(result, weights) of one fit; five rows validate and five test."""
    images, labels, hashes = given or pictures()
    hyper = {"epochs": spec.epochs, "learning_rate": spec.learning_rate, "dropout": spec.dropout} | hyper
    task = Task(
        model=spec,
        fits=(Fit("study", "scratch", "published", 0, 0, seed, Hyper(**hyper)),),
        splits=(Split("published", 0, 0, tuple(range(20)), tuple(range(20, 25)), tuple(range(25, 30))),),
        labels=tuple(labels.tolist()),
        classes=int(labels.max()) + 1,
        history=True,
        checkpoints=checkpoints,
        corruptions=corruptions,
    )
    return work(task, hashes, hashes, images, keep_weights=True)[0]


def assembled(spec, weights, size=SIZE, motifs=3):
    """What the network that is put together says of pictures."""
    network = KINDS[spec.kind].assemble(spec, weights, size, list("abc"[:motifs]), 0.0)
    return lambda images: network.predict_on_batch(images.astype(np.float32))


def test_the_seeds_network_is_the_seeds_layer_by_layer():
    model = build_scratch("seed_cnn", 224, 3, 0.5)
    assert model.count_params() == 11_169_347
    # The last two rows and columns are never seen.
    assert (side_seen(model), side_seen(build_scratch("pooled_cnn", 224, 3, 0.5))) == (222, 224)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["InputLayer", "Rescaling", *["Conv2D", "MaxPooling2D"] * 3, "Flatten", "Dense", "Dropout", "Dense"]
    assert [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)] == [32, 64, 128]


def test_study_twos_networks_have_the_parameters_of_the_originals_and_their_pixels_imagenets():
    known = {"dense512_cnn": 51_387_363, "dense128_cnn": 25_710_019, "resnet18": 11_178_051 + 2 * 4_800}
    for architecture, parameters in known.items():
        model = build_scratch(architecture, 224, 3, 0.2, pixels="imagenet")
        assert model.count_params() == parameters and side_seen(model) == 224
        drops = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
        assert len(drops) == (3 if architecture == "dense128_cnn" else 1)
    white = model.get_layer("rescale")(np.full((1, 2, 2, 3), 255.0))
    np.testing.assert_allclose(white[0, 0, 0], (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-5)


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
    kernel, theirs = model.get_weights()[4], np.asarray(keras.initializers.GlorotUniform(seed=1)((3, 3, 64, 128)))
    assert kernel.shape == theirs.shape and not np.array_equal(kernel, initial_weights(model, 8)[4])
    assert abs(kernel.mean()) < 1e-3 and kernel.std() == pytest.approx(theirs.std(), rel=0.02)
    assert np.abs(kernel).max() == pytest.approx(np.abs(theirs).max(), rel=0.01)
    assert not model.get_weights()[1].any()  # biases


def elsewhere(what: str, **env) -> list:
    """What print gives of an expression (t is this module) in a fresh process, word by word."""
    command = [sys.executable, "-c", f"import test_scratch as t; print({what})"]
    return subprocess.check_output(command, env=tiny.ENV | env, text=True).split()


def digests(seed: int) -> str:
    """Of a fit's probabilities and weights."""
    result, weights = fit(seed=seed)
    return " ".join(digest(np.ascontiguousarray(a).tobytes()) for a in (result.y_prob, result.val_prob, *weights))


def test_a_fit_repeats_bit_by_bit_whatever_ran_before_it_and_in_a_fresh_process():
    room._network.cache_clear()
    first = digests(seed=0)
    fit(seed=1, epochs=1, learning_rate=1e-2)
    assert first != digests(seed=1)
    assert digests(seed=0) == first == " ".join(elsewhere("t.digests(0)"))


def test_a_shorter_fit_is_the_beginning_of_a_longer_one():
    (long, _), (short, _) = fit(checkpoints=(1, 2)), fit(epochs=2)
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
    assert result.parameters == sum(weight.size for weight in weights) and result.paths == hashes[25:]
    grey, border = (tamper(images[25:], name, hashes[25:]) for name in ("greyscale", "border"))
    shown = {"y_prob": images[25:], "val_prob": images[20:25], "greyscale": grey, "border": border}
    for name, pixels in shown.items():
        said = getattr(result, name, None) if name.endswith("prob") else result.corruptions[name]
        assert said.dtype == np.float64
        np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-12)
        np.testing.assert_allclose(assembled(SPEC, weights)(pixels), said, atol=1e-5)


def test_a_fit_that_diverges_says_where_and_leaves_nothing_behind():
    with pytest.raises(BatikError, match=r"Scratch CNN \(seed 0\) gave NaN at epoch \d"):
        fit(epochs=20, learning_rate=1e38)
    assert np.isfinite(fit(epochs=1)[0].history["loss"]).all()


def test_it_learns_what_is_easy():
    result, _ = fit(epochs=15, learning_rate=2e-3)
    assert result.history["loss"][-1] < 0.5 * result.history["loss"][0]
    said = np.concatenate([result.val_prob, result.y_prob]).argmax(axis=1)
    assert np.mean(said == np.arange(20, 30) % CLASSES) >= 0.8


def test_the_history_is_keras_own_running_mean():
    """One epoch with nothing random in it, against keras.Model.fit on the plain network in the same order."""
    ours, _ = fit(OTHER)
    seed = training_seed(ours.fit)
    images, labels, _ = pictures()
    order = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0]))).permutation(np.arange(20))
    model = build_scratch("seed_cnn", SIZE, CLASSES, 0.0, seed, pixels="imagenet")
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    images = images.astype(np.float32)
    held = (images[20:25], labels[20:25])
    theirs = model.fit(images[order], labels[order], 8, 1, 0, shuffle=False, validation_data=held).history
    for name, values in ours.history.items():
        assert values == pytest.approx(theirs[name], rel=1e-3), name


def test_mirrored_test_pictures_are_some_of_them_and_change_no_training():
    (straight, weights), (turned, same) = fit(OTHER), fit(OTHER.model_copy(update={"flipped_tests": True}))
    assert all(map(np.array_equal, weights, same))
    differ = (straight.y_prob != turned.y_prob).any(axis=1)
    assert 0 < differ.sum() < len(differ)
    said = assembled(OTHER, weights)(pictures()[0][25:][differ, :, ::-1])
    np.testing.assert_allclose(said, turned.y_prob[differ], atol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_jax_trains_the_same_network_up_to_rounding():
    # Without dropout, which is drawn otherwise in each backend.
    what = "*t.fit(t.SPEC, epochs=2, dropout=0.0)[0].history['loss']"
    losses = (elsewhere(what, KERAS_BACKEND=backend) for backend in ("tensorflow", "jax"))
    theirs, ours = (np.array(words, float) for words in losses)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_a_regularised_network_learns_repeats_after_one_that_diverged_and_is_saved_as_it_was_judged():
    given = dark_and_bright()
    result, weights = fit(SMALL, given=given, corruptions=("greyscale",))
    assert result.history["accuracy"][-1] > 0.8 > result.history["accuracy"][0]
    assert result.parameters < 1_000_000
    # The judged pictures were rounded to whole numbers between shrinking and asking.
    np.testing.assert_allclose(assembled(SMALL, weights, 64, 2)(given[0][25:]), result.y_prob, atol=1e-3)
    with pytest.raises(BatikError, match=r"Small \(seed 1\) gave NaN at epoch \d"):
        fit(SMALL, given=given, epochs=20, learning_rate=1e30, seed=1)
    assert fit(SMALL, given=given)[0].y_prob.tobytes() == result.y_prob.tobytes()


def test_every_weight_of_a_finetuned_network_learns_from_the_backbones(monkeypatch):
    monkeypatch.setitem(BACKBONES, "tiny", tiny.TinyBackbone())
    first = BACKBONES["tiny"].build(SIZE).get_weights()[0]
    (still, started), (result, weights) = fit(TUNED, learning_rate=1e-30), fit(TUNED)
    np.testing.assert_array_equal(started[0], first)
    assert (weights[0] != first).any() and not np.array_equal(result.y_prob, still.y_prob)
    np.testing.assert_allclose(assembled(TUNED, weights)(pictures()[0][25:]), result.y_prob, atol=1e-6)
    assert KINDS["finetuned"].weights_sha256(TUNED) == "tiny"


def changed(model, x, target):
    """The weights' change in a step of plain gradient descent, which is the gradient itself."""
    before = model.get_weights()
    model.train_on_batch(x, target)
    return [new - old for new, old in zip(model.get_weights(), before, strict=True)]


@pytest.mark.parametrize(
    ("architecture", "size"),
    [("seed_cnn", 40), *((name, 43) for name in sorted({*ARCHITECTURES} - {"small_cnn", "resnet18"}))],
)
def test_faster_networks_are_the_same_functions_of_the_same_weights_and_learn_alike(architecture, size):
    images, labels, _ = pictures(6, size)
    images = np.concatenate([images[:3], images[3:, :1, :1] + 0 * images[3:]]).astype(np.float32)  # of which half tie
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
