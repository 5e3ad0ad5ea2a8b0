"""Features are computed once per image, with a view for every epoch, and survive damage and interruption."""

import numpy as np
import pytest
import tiny

from batik_utils.experiment import keys
from batik_utils.models.corruptions import tamper
from batik_utils.models.features import FeatureSpec, FeatureStore, compute_features
from batik_utils.study import Augmentation


def _spec(**changes) -> FeatureSpec:
    parts = dict(
        backbone=tiny.TinyBackbone(),
        size=tiny.SIZE,
        augmentation=Augmentation(rotation=40.0, shift=0.2),
        views=5,
        corruptions=("greyscale", "border"),
    )
    return FeatureSpec(**{**parts, **changes})


def _compute(spec: FeatureSpec, row: int = 0) -> np.ndarray:
    data = tiny.dataset()
    return compute_features(spec, data.images[row], data.sha256[row])


def test_view_0_is_the_untouched_image_and_corruptions_come_last():
    spec, data = _spec(), tiny.dataset()
    found = _compute(spec)
    assert found.shape == spec.shape == (8, 6) and found.dtype == np.float32
    network = spec.backbone.build(tiny.SIZE)

    def by_hand(images: np.ndarray) -> np.ndarray:
        return np.asarray(network.predict_on_batch(images.astype(np.float32)))[0]

    np.testing.assert_allclose(found[0], by_hand(data.images[:1]), rtol=1e-5)
    for place, corruption in ((6, "greyscale"), (7, "border")):
        np.testing.assert_allclose(
            found[place], by_hand(tamper(data.images[:1], corruption, data.sha256[:1])), rtol=1e-5
        )


def test_every_augmented_view_differs():
    assert len(np.unique(_compute(_spec())[:6], axis=0)) == 6


def test_flips_alone_make_two_views_however_many_are_asked_for():
    found = _compute(_spec(augmentation=Augmentation(horizontal_flip=True), views=20))
    assert len(found) == 23
    assert len(np.unique(found[:21], axis=0)) == 2


def test_the_features_of_an_image_do_not_depend_on_what_was_computed_before():
    first = _compute(_spec())
    _compute(_spec(), row=1)
    assert np.array_equal(_compute(_spec()), first)


def test_the_folder_is_named_by_everything_that_the_features_depend_on(monkeypatch):
    names = {
        keys.feature_key(_spec()),
        keys.feature_key(_spec(views=6)),
        keys.feature_key(_spec(size=64)),
        keys.feature_key(_spec(corruptions=())),
        keys.feature_key(_spec(augmentation=Augmentation())),
    }
    monkeypatch.setattr(tiny.TinyBackbone, "weights_sha256", lambda self: "other")
    names.add(keys.feature_key(_spec()))
    monkeypatch.setattr(keys, "_source", lambda name: "edited")
    names.add(keys.feature_key(_spec()))
    assert len(names) == 7


def test_a_file_is_named_by_the_image_itself():
    data = tiny.dataset()
    images = np.array(data.images)
    images[3, 0, 0, 0] += 1
    changed = type(data)(**{**vars(data), "images": images})
    before, after = keys.image_keys(data), keys.image_keys(changed)
    assert [i for i in range(24) if before[i] != after[i]] == [3]


def test_the_store_gives_back_what_it_was_given(tmp_path):
    store, found = FeatureStore(tmp_path / "some", _spec()), np.arange(48, dtype=np.float32).reshape(8, 6)
    assert store.read("a") is None
    store.write("a", found)
    assert np.array_equal(store.read("a"), found) and store.read("a").dtype == np.float32
    assert [p.name for p in store.folder.iterdir()] == ["a.features"]


@pytest.mark.parametrize("damage", [b"", b"half", "one byte", "half", "a plain array"])
def test_a_damaged_or_altered_file_counts_as_missing_and_is_set_aside(tmp_path, damage):
    store = FeatureStore(tmp_path, _spec())
    path = tmp_path / "a.features"
    store.write("a", np.ones((8, 6), np.float32))
    whole = path.read_bytes()
    if damage == "a plain array":
        with path.open("wb") as file:
            np.save(file, np.ones((8, 6), np.float32))
    else:
        altered = {"one byte": whole[:-1] + bytes([whole[-1] ^ 1]), "half": whole[: len(whole) // 2]}
        path.write_bytes(damage if isinstance(damage, bytes) else altered[damage])
    assert store.read("a") is None and not path.exists()


def test_features_of_another_shape_or_that_are_no_numbers_are_refused(tmp_path):
    store = FeatureStore(tmp_path, _spec())
    store.write("shape", np.ones((2, 2), np.float32))
    store.write("nan", np.full((8, 6), np.nan, np.float32))
    assert store.read("shape") is None and store.read("nan") is None
