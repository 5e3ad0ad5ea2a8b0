"""Backbones and their features: published counts and weights, one input for all, computed once for each image."""

import hashlib
import os
from dataclasses import replace

import numpy as np
import pytest

import batik_utils.backend  # noqa: F401

# isort: split
import keras
import tiny

from batik_utils.errors import BatikError
from batik_utils.experiment import keys
from batik_utils.experiment.store import FeatureStore
from batik_utils.models import weights
from batik_utils.models.backbones import BACKBONES, backbone
from batik_utils.models.corruptions import tamper
from batik_utils.models.efficientnet_lite import lite_features, load_lite
from batik_utils.models.features import FeatureSpec, compute_features
from batik_utils.models.kinds import KINDS
from batik_utils.models.weights import WEIGHTS, Weights, weights_file
from batik_utils.study_models import Augmentation, Image, PretrainedModel

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
    assert (entry.name, model.count_params()) == (name, entry.parameters)
    assert (model.input_shape, model.output_shape) == ((None, 64, 64, 3), (None, entry.features))
    assert not model.trainable_weights


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


@needs_index
@pytest.mark.parametrize(("variant", "other"), [("lite0", "lite2"), ("lite2", "lite0")])
def test_efficientnet_lite_takes_every_weight_of_its_file_once_and_matches_the_published_network(variant, other):
    """Logits of the .pth in plain PyTorch on one made picture (x = 127 + 64·cos of position), to 1e-4."""
    y, x, c = np.meshgrid(np.arange(224), np.arange(224), np.arange(3), indexing="ij")
    waves = (127 + 64 * np.cos(x / 9 + c) + 63 * np.cos(y / 14 - c)).astype(np.float32)
    pytorch = [0.50657, 2.65846, -0.80228, -1.02137, -1.3304, 0.1145, -1.77186, -0.59923, -1.01508, -1.05106]
    # With its classifier, so that nothing in the file is left over.
    inputs = keras.Input((224, 224, 3))
    maps = lite_features(keras.layers.Rescaling(1 / 128, -127 / 128)(inputs), variant)
    logits = keras.layers.Dense(1000, name="fc")(keras.layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(inputs, logits)
    load_lite(model, weights_file(f"efficientnet_{variant}"))
    logits = model.predict_on_batch(waves[None])[0]
    assert variant == "lite2" or np.abs(logits[: len(pytorch)] - pytorch).max() < 1e-4
    assert np.isfinite(logits).all()
    with pytest.raises((KeyError, ValueError)):
        load_lite(BACKBONES[f"efficientnet_{other}"].architecture(64), weights_file(f"efficientnet_{variant}"))


def test_efficientnet_from_a_users_file_is_what_keras_makes_of_it_and_a_file_that_does_not_fit_is_refused(
    tmp_path, monkeypatch
):
    """The road that EfficientNet-B2's weights take, with a generated file of the right make."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    path, ours = tmp_path / "models" / "theirs.h5", BACKBONES["efficientnet_b2"]
    path.parent.mkdir()

    def publish(model):
        with h5py.File(path, "w") as file:
            save_weights_to_hdf5_group(file, model)
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        monkeypatch.setitem(WEIGHTS, "efficientnet_b2", Weights(filename=path.name, digest=digest))

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    how = {"include_top": False, "input_shape": (64, 64, 3)}
    made = keras.applications.EfficientNetB2(weights=None, **how)
    shake(made)
    publish(made)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(path))
    theirs = keras.applications.EfficientNetB2(weights="imagenet", pooling="avg", **how)
    x = pictures(2, 64)
    np.testing.assert_allclose(ours.build(64).predict_on_batch(x), theirs.predict_on_batch(x), atol=1e-4)
    assert ours.fetch() == path
    assert ours.weights_sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
    publish(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    with pytest.raises(ValueError):
        ours.build(64)


def test_no_weights_means_no_backbone(tmp_path, monkeypatch):
    """Never a random backbone under a pretrained one's name."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("BATIK_OFFLINE", "1")
    monkeypatch.setattr(weights, "ROOT", tmp_path / "checkout")
    for entry in BACKBONES.values():
        with pytest.raises(BatikError, match="cannot be had"):
            entry.build(64)
    with pytest.raises(BatikError, match="did you mean 'efficientnet_lite2'"):
        backbone("efficientnet-lite2")


MODEL = PretrainedModel(kind="pretrained", title="MobileNetV2", backbone="mobilenet_v2", epochs=1)


@needs_index
@pytest.mark.parametrize("hidden", [0, 128])
def test_a_pretrained_model_is_its_backbone_and_its_head(hidden):
    rng = np.random.default_rng(3)
    head = {"kernel": rng.normal(0, 0.1, (hidden or 1280, 3)), "bias": rng.normal(0, 0.1, 3)}
    if hidden:
        head |= {"hidden_kernel": rng.normal(0, 0.1, (1280, hidden)), "hidden_bias": rng.normal(0, 0.1, hidden)}
    model = KINDS["pretrained"].assemble(MODEL, head, 96, ("kawung", "parang", "céplok ☁"), 0.5)
    assert model.count_params() == (2_422_339 if hidden else 2_261_827)
    x = pictures(2, 96)
    features = BACKBONES["mobilenet_v2"].build(96).predict_on_batch(x)
    if hidden:
        features = np.maximum(features @ head["hidden_kernel"] + head["hidden_bias"], 0)
    logits = features @ head["kernel"] + head["bias"]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_on_batch(x), expected, atol=1e-4)
    with pytest.raises(BatikError, match="This head does not fit MobileNetV2"):
        KINDS["pretrained"].assemble(MODEL, head | {"bias": np.zeros(4)}, 96, ("a", "b", "c"), 0.0)


def spec(**changes) -> FeatureSpec:
    moved = {"augmentation": Augmentation(rotation=40.0, shift=0.2), "views": 5, "corruptions": ("greyscale", "border")}
    return FeatureSpec(**{"backbone": tiny.TinyBackbone(), "image": Image(size=tiny.SIZE), **moved, **changes})


def computed(spec: FeatureSpec, row: int = 0) -> np.ndarray:
    data = tiny.dataset()
    return compute_features(spec, data.images[row], data.sha256[row])


def test_view_0_is_the_untouched_image_then_come_views_that_differ_and_corruptions_last():
    data, found = tiny.dataset(), computed(spec())
    assert found.shape == spec().shape == (8, 6) and found.dtype == np.float32
    assert len(np.unique(found[:6], axis=0)) == 6
    network, image, sha256 = spec().backbone.build(tiny.SIZE), data.images[:1], data.sha256[:1]
    shown = {0: image, 6: tamper(image, "greyscale", sha256), 7: tamper(image, "border", sha256)}
    for place, pixels in shown.items():
        by_hand = np.asarray(network.predict_on_batch(pixels.astype(np.float32)))[0]
        np.testing.assert_allclose(found[place], by_hand, rtol=1e-5)
    computed(spec(), row=1)  # and nothing depends on what was computed before
    assert np.array_equal(computed(spec()), found)


def test_flips_alone_make_two_views_however_many_are_asked_for():
    found = computed(spec(augmentation=Augmentation(horizontal_flip=True), views=20))
    assert len(found) == 23 and len(np.unique(found[:21], axis=0)) == 2


def test_features_are_named_by_everything_that_they_depend_on(monkeypatch):
    other = ({}, {"views": 6}, {"image": Image(size=64)}, {"corruptions": ()}, {"augmentation": Augmentation()})
    names = {keys.feature_key(spec(**changes)) for changes in other}
    monkeypatch.setattr(tiny.TinyBackbone, "weights_sha256", lambda self: "other")
    names.add(keys.feature_key(spec()))
    monkeypatch.setattr(keys, "code", lambda *names: {"edited": "1"})
    names.add(keys.feature_key(spec()))
    assert len(names) == 7
    data = tiny.dataset()
    images = np.array(data.images)
    images[3, 0, 0, 0] += 1
    before, after = (keys.image_keys(d, Image()) for d in (data, replace(data, images=images)))
    assert [i for i in range(24) if before[i] != after[i]] == [3]


def test_the_store_gives_back_what_it_was_given_and_nothing_that_is_of_no_use(tmp_path):
    store, given = FeatureStore(spec(), tmp_path), np.arange(48, dtype=np.float32).reshape(8, 6)
    assert store.read("a") is None
    store.write("a", given)
    assert np.array_equal(store.read("a"), given) and store.read("a").dtype == np.float32
    for wrong in (np.ones((2, 2), np.float32), np.full((8, 6), np.nan, np.float32), given.astype(int), {"a": given}):
        store.write("a", wrong)
        assert store.read("a") is None
