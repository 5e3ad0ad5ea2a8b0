"""Backbones: one input for all, the published counts, and the published weights in the right places."""

import hashlib
import os

import numpy as np
import pytest

import batik_utils.backend  # noqa: F401

# isort: split
import keras

from batik_utils.errors import BatikError
from batik_utils.models import weights
from batik_utils.models.backbones import BACKBONES, backbone
from batik_utils.models.efficientnet_lite import lite_features, load_lite
from batik_utils.models.kinds import KINDS
from batik_utils.models.weights import WEIGHTS, Weights, weights_file
from batik_utils.study_models import PretrainedModel

needs_index = pytest.mark.skipif(os.environ.get("BATIK_OFFLINE") == "1", reason="BATIK_OFFLINE=1")
DISTINCT = sorted(set(BACKBONES) - {"mobilenet_v2_unit_range"})


def pictures(n: int, size: int, seed: int = 0) -> np.ndarray:
    """Coloured blocks, float32 0-255, [n, size, size, 3]."""
    blocks = np.random.default_rng(seed).uniform(0, 255, (n, -(-size // 16), -(-size // 16), 3))
    return blocks.repeat(16, 1).repeat(16, 2)[:, :size, :size].astype(np.float32)


def shake(model) -> None:
    """Give batch normalisation statistics that it would have after training."""
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            n = layer.gamma.shape
            low, high = rng.uniform(0.5, 1.5, (2, *n))
            layer.set_weights([low, rng.normal(0, 0.2, n), rng.normal(0, 0.1, n), high])


@pytest.mark.parametrize("name", DISTINCT)
def test_each_network_has_the_registered_size(name):
    entry = BACKBONES[name]
    model = entry.architecture(64)
    assert entry.name == name
    assert model.count_params() == entry.parameters
    assert model.input_shape == (None, 64, 64, 3)
    assert model.output_shape == (None, entry.features)
    assert not model.trainable_weights


def test_the_seed_studys_pretrained_model_has_its_published_parameters():
    base = BACKBONES["mobilenet_v2"].architecture(224)
    x = keras.layers.Dense(3)(keras.layers.Dense(128)(base.output))
    assert (base.count_params(), keras.Model(base.input, x).count_params()) == (2_257_984, 2_422_339)


@needs_index
@pytest.mark.parametrize("size", [128, 260])
def test_mobilenet_v2_is_the_official_one_and_its_unit_range_twin_sees_the_same_picture_wrongly(size):
    """Same features as the official with-top file, loaded by Keras' own code, before its classifier."""
    whole = keras.applications.MobileNetV2(weights=None)
    whole.load_weights(str(weights_file("mobilenet_v2")))
    bare = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(size, size, 3), pooling="avg")
    bare.set_weights(whole.get_weights()[:-2])
    x, (right, wrong) = pictures(2, size), (BACKBONES[f"mobilenet_v2{kind}"] for kind in ("", "_unit_range"))
    expected = bare.predict_on_batch(x / 127.5 - 1)
    np.testing.assert_allclose(right.build(size).predict_on_batch(x), expected, atol=1e-5)
    unit = bare.predict_on_batch(x / 255)
    np.testing.assert_allclose(wrong.build(size).predict_on_batch(x), unit, atol=1e-4)
    assert np.abs(unit - expected).max() > 0.5 and right.weights_sha256() == wrong.weights_sha256()


def lite_with_top(variant: str, size: int):
    """EfficientNet-Lite with its classifier, so that nothing in the file is left over; pictures 0-255 → logits."""
    inputs = keras.Input((size, size, 3))
    x = lite_features(keras.layers.Rescaling(1 / 128, -127 / 128)(inputs), variant)
    logits = keras.layers.Dense(1000, name="fc")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, logits)
    load_lite(model, weights_file(f"efficientnet_{variant}"))
    return model


@needs_index
@pytest.mark.parametrize(("variant", "other"), [("lite0", "lite2"), ("lite2", "lite0")])
def test_efficientnet_lite_takes_every_weight_of_its_file_once_and_matches_the_published_network(variant, other):
    """Logits of the .pth in plain PyTorch on one made picture (x = 127 + 64·cos of position), to 1e-4."""
    y, x, c = np.meshgrid(np.arange(224), np.arange(224), np.arange(3), indexing="ij")
    waves = (127 + 64 * np.cos(x / 9 + c) + 63 * np.cos(y / 14 - c)).astype(np.float32)
    pytorch = [0.50657, 2.65846, -0.80228, -1.02137, -1.3304, 0.1145, -1.77186, -0.59923, -1.01508, -1.05106]
    logits = lite_with_top(variant, 224).predict_on_batch(waves[None])[0]
    assert variant == "lite2" or np.abs(logits[: len(pytorch)] - pytorch).max() < 1e-4
    assert np.isfinite(logits).all()
    with pytest.raises((KeyError, ValueError)):
        load_lite(BACKBONES[f"efficientnet_{other}"].architecture(64), weights_file(f"efficientnet_{variant}"))


@pytest.fixture
def a_users_file(tmp_path, monkeypatch):
    """a_users_file(model, name) writes a model's weights as Keras publishes them, and says that they are name's."""

    def write(model, name):
        import h5py
        from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

        path = tmp_path / "models" / "theirs.h5"
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            save_weights_to_hdf5_group(file, model)
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        monkeypatch.setitem(WEIGHTS, name, Weights(filename=path.name, digest=digest))
        return path

    return write


def test_efficientnet_from_a_users_file_is_what_keras_makes_of_it(a_users_file, monkeypatch):
    """The road that EfficientNet-B2's weights take, with a generated file of the right make."""
    made = keras.applications.EfficientNetB2(weights=None, include_top=False, input_shape=(64, 64, 3))
    shake(made)
    path = a_users_file(made, "efficientnet_b2")
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(path))
    theirs = keras.applications.EfficientNetB2(
        weights="imagenet", include_top=False, input_shape=(64, 64, 3), pooling="avg"
    )
    x = pictures(2, 64)
    ours = BACKBONES["efficientnet_b2"]
    np.testing.assert_allclose(ours.build(64).predict_on_batch(x), theirs.predict_on_batch(x), atol=1e-4)
    assert ours.unavailable() is None
    assert ours.weights_sha256() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_users_file_that_does_not_fit_is_refused(a_users_file):
    a_users_file(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), "efficientnet_b2")
    with pytest.raises(ValueError):
        BACKBONES["efficientnet_b2"].build(64)


def test_no_weights_means_no_backbone(tmp_path, monkeypatch):
    """Never a random backbone under a pretrained one's name."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("BATIK_OFFLINE", "1")
    monkeypatch.setattr(weights, "ROOT", tmp_path / "checkout")
    for entry in BACKBONES.values():
        with pytest.raises(BatikError, match="cannot be had"):
            entry.build(64)
        reason = entry.unavailable()
        assert WEIGHTS[entry.weights].filename in reason and str(tmp_path) not in reason
    with pytest.raises(BatikError, match="did you mean 'efficientnet_lite2'"):
        backbone("efficientnet-lite2")


MOTIFS = ("kawung", "parang", "céplok ☁")
MODEL = PretrainedModel(kind="pretrained", title="MobileNetV2", backbone="mobilenet_v2", epochs=1)


@needs_index
@pytest.mark.parametrize("hidden", [0, 128])
def test_a_pretrained_model_is_its_backbone_and_its_head(hidden):
    rng = np.random.default_rng(3)
    head = {"kernel": rng.normal(0, 0.1, (hidden or 1280, 3)), "bias": rng.normal(0, 0.1, 3)}
    if hidden:
        head |= {"hidden_kernel": rng.normal(0, 0.1, (1280, hidden)), "hidden_bias": rng.normal(0, 0.1, hidden)}
    model = KINDS["pretrained"].assemble(MODEL, head, 96, MOTIFS, 0.5)
    assert model.count_params() == (2_422_339 if hidden else 2_261_827)
    x = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype(np.float32)
    features = BACKBONES["mobilenet_v2"].build(96).predict_on_batch(x)
    if hidden:
        features = np.maximum(features @ head["hidden_kernel"] + head["hidden_bias"], 0)
    logits = features @ head["kernel"] + head["bias"]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_on_batch(x), expected, atol=1e-4)


@needs_index
def test_a_head_that_does_not_fit_is_refused():
    with pytest.raises(BatikError, match="This head does not fit MobileNetV2"):
        KINDS["pretrained"].assemble(MODEL, {"kernel": np.zeros((1280, 4)), "bias": np.zeros(4)}, 96, MOTIFS, 0.0)
