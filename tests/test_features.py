"""Features are computed once per image, with a view for every epoch, and survive damage and interruption."""

from dataclasses import replace

import numpy as np
import tiny

from batik_utils.experiment import keys
from batik_utils.experiment.store import FeatureStore
from batik_utils.models.corruptions import tamper
from batik_utils.models.features import FeatureSpec, compute_features
from batik_utils.study_models import Augmentation, Image


def _spec(**changes) -> FeatureSpec:
    parts = dict(
        backbone=tiny.TinyBackbone(),
        image=Image(size=tiny.SIZE),
        augmentation=Augmentation(rotation=40.0, shift=0.2),
        views=5,
        corruptions=("greyscale", "border"),
    )
    return FeatureSpec(**{**parts, **changes})


def _compute(spec: FeatureSpec, row: int = 0) -> np.ndarray:
    data = tiny.dataset()
    return compute_features(spec, data.images[row], data.sha256[row])


def test_view_0_is_the_untouched_image_then_come_views_that_differ_and_corruptions_last():
    spec, data = _spec(), tiny.dataset()
    found = _compute(spec)
    assert found.shape == spec.shape == (8, 6) and found.dtype == np.float32
    assert len(np.unique(found[:6], axis=0)) == 6
    network, image, sha256 = spec.backbone.build(tiny.SIZE), data.images[:1], data.sha256[:1]
    shown = {0: image, 6: tamper(image, "greyscale", sha256), 7: tamper(image, "border", sha256)}
    for place, pixels in shown.items():
        by_hand = np.asarray(network.predict_on_batch(pixels.astype(np.float32)))[0]
        np.testing.assert_allclose(found[place], by_hand, rtol=1e-5)
    _compute(spec, row=1)  # and nothing depends on what was computed before
    assert np.array_equal(_compute(spec), found)


def test_flips_alone_make_two_views_however_many_are_asked_for():
    found = _compute(_spec(augmentation=Augmentation(horizontal_flip=True), views=20))
    assert len(found) == 23 and len(np.unique(found[:21], axis=0)) == 2


def test_the_folder_is_named_by_everything_that_the_features_depend_on(monkeypatch):
    other = ({}, {"views": 6}, {"image": Image(size=64)}, {"corruptions": ()}, {"augmentation": Augmentation()})
    names = {keys.feature_key(_spec(**changes)) for changes in other}
    monkeypatch.setattr(tiny.TinyBackbone, "weights_sha256", lambda self: "other")
    names.add(keys.feature_key(_spec()))
    monkeypatch.setattr(keys, "code", lambda *names: {"edited": "1"})
    names.add(keys.feature_key(_spec()))
    assert len(names) == 7


def test_a_file_is_named_by_the_image_itself():
    data = tiny.dataset()
    images = np.array(data.images)
    images[3, 0, 0, 0] += 1
    before, after = (keys.image_keys(d, Image()) for d in (data, replace(data, images=images)))
    assert [i for i in range(24) if before[i] != after[i]] == [3]


def test_the_store_gives_back_what_it_was_given_and_nothing_that_is_of_no_use(tmp_path):
    store, given = FeatureStore(_spec(), tmp_path), np.arange(48, dtype=np.float32).reshape(8, 6)
    assert store.read("a") is None
    store.write("a", given)
    assert np.array_equal(store.read("a"), given) and store.read("a").dtype == np.float32
    for wrong in (np.ones((2, 2), np.float32), np.full((8, 6), np.nan, np.float32), given.astype(int), {"a": given}):
        store.write("a", wrong)
        assert store.read("a") is None
