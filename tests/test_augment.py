"""What is done to pictures: ImageDataGenerator's transforms, drawn from a hash and a view; corruptions; texture."""

import hashlib
from contextlib import nullcontext

import numpy as np
import pytest
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from scipy import stats

from batik_utils.models import texture
from batik_utils.models.augment import IDENTITY, draw_parameters, draw_transforms, transform_vector, warp
from batik_utils.models.corruptions import CORRUPTIONS, tamper
from batik_utils.study_models import Augmentation

SEED = Augmentation(rotation=40, shift=0.2, shear=0.2, zoom=0.2, horizontal_flip=True)
STRONG_SHEAR = Augmentation(rotation=40, shift=0.2, shear=30, zoom=0.2, horizontal_flip=True)
STILL = {"theta": 0.0, "tx": 0.0, "ty": 0.0, "shear": 0.0, "zx": 1.0, "zy": 1.0, "flip_horizontal": False}
HASHES = [f"{i:064x}" for i in range(2000)]

# A pixel's position is computed in float32 here and in float64 by scipy: at 224 pixels they differ by some 4e-5
# of a pixel, that is by at most 4e-5 x 255 grey levels between two neighbours as different as can be.
TOLERANCE = 0.01

COMPONENTS = {
    "nothing": {},
    "rotation": {"theta": 33.0},
    "rotation the other way": {"theta": -40.0},
    "tx": {"tx": 7.3},
    "ty": {"ty": -9.6},
    "shear": {"shear": 25.0},
    "zoom in x": {"zx": 0.83},
    "zoom out y": {"zy": 1.19},
    "flip": {"flip_horizontal": True},
    "all": {"theta": -21.0, "tx": 5.5, "ty": -3.2, "shear": 14.0, "zx": 0.9, "zy": 1.15, "flip_horizontal": True},
}


def noise(size):
    return np.random.default_rng(size).integers(0, 256, (size, size, 3), dtype=np.uint8)


def smooth(size):
    y, x = np.mgrid[:size, :size] / size
    return np.stack([255 * x, 255 * y, 127.5 + 127.5 * np.sin(9 * x + 5 * y)], axis=-1).astype(np.uint8)


def moved(image, parameters):
    """By ImageDataGenerator, and by the warp."""
    # scipy keeps the name that Keras' legacy module calls, and says that it is old.
    still = all(parameters[name] == STILL[name] for name in STILL if name != "flip_horizontal")
    with nullcontext() if still else pytest.warns(DeprecationWarning):
        theirs = ImageDataGenerator(fill_mode="nearest").apply_transform(image.astype(np.float32), parameters)
    vector = transform_vector(parameters, image.shape[0]).astype(np.float32)
    return theirs, warp(image[None], vector[None])[0]


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_is_what_image_data_generator_does(component):
    for image in (noise(64), smooth(57)):
        theirs, ours = moved(image, STILL | COMPONENTS[component])
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)
        assert component == "nothing" or np.abs(ours - image.astype(np.float32)).max() > 1
    for spec in (SEED, STRONG_SHEAR):  # and at full size
        theirs, ours = moved(noise(224), draw_parameters(spec, HASHES[0], 1 + [*COMPONENTS].index(component), 224))
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


def test_a_batch_gets_each_image_its_own_transform_and_view_zero_is_the_untouched_image():
    images, transforms = np.stack([noise(40), smooth(40)]), draw_transforms(SEED, HASHES[:2], [1, 0], 40)
    together = warp(images, transforms)
    np.testing.assert_array_equal(together[0], warp(images[:1], transforms[:1])[0])
    np.testing.assert_allclose(warp(images, transforms, 30), together[:, :30, :30], atol=TOLERANCE)
    np.testing.assert_array_equal(together[1], images[1])
    np.testing.assert_array_equal(transforms[1], np.float32(IDENTITY))


def test_a_transform_depends_on_the_image_and_the_view_alone():
    forward = draw_transforms(SEED, HASHES[:4], [3, 1, 2, 9], 224)
    backward = draw_transforms(SEED, HASHES[:4][::-1], [9, 2, 1, 3], 224)
    assert forward.dtype == np.float32 and forward.shape == (4, 8)
    np.testing.assert_array_equal(forward, backward[::-1])
    np.testing.assert_array_equal(forward[2:3], draw_transforms(SEED, [HASHES[2]], [2], 224))
    views = draw_transforms(SEED, HASHES[:1] * 500, range(1, 501), 224)
    images = draw_transforms(SEED, HASHES[:500], [1] * 500, 224)
    assert len(np.unique(np.concatenate([views, images]), axis=0)) == 999  # image 0's view 1 is in both
    none = draw_transforms(Augmentation(), HASHES[:5], range(1, 6), 224)
    np.testing.assert_array_equal(none, np.tile(np.float32(IDENTITY), (5, 1)))


@pytest.mark.parametrize("spec", [SEED, STRONG_SHEAR])
def test_parameters_are_uniform_over_the_ranges_that_image_data_generator_means(spec):
    drawn = [draw_parameters(spec, sha256, 1, 224) for sha256 in HASHES]
    limits = {"theta": 40, "tx": 44.8, "ty": 44.8, "shear": spec.shear, "zx": 0.2, "zy": 0.2}  # degrees and pixels
    columns = {name: np.array([d[name] for d in drawn]) - name.startswith("z") for name in limits}
    for name, limit in limits.items():
        assert np.abs(columns[name]).max() <= limit
        assert stats.kstest(columns[name], stats.uniform(-limit, 2 * limit).cdf).pvalue > 1e-3, name
    assert abs(np.corrcoef(list(columns.values())) - np.eye(6)).max() < 0.1
    assert 0.45 < np.mean([d["flip_horizontal"] for d in drawn]) < 0.55


def test_turning_one_range_off_leaves_the_other_draws():
    less = SEED.model_copy(update={"rotation": 0.0})
    drawn, still = draw_parameters(SEED, HASHES[0], 1, 224), draw_parameters(less, HASHES[0], 1, 224)
    assert drawn["theta"] and still == drawn | {"theta": 0}


IMAGES = np.stack([noise(66), noise(66)[::-1], noise(66)[:, ::-1]])
DIGESTS = [hashlib.sha256(bytes([i])).hexdigest() for i in range(3)]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_corruption_is_a_pure_function_of_each_image(corruption):
    before = IMAGES.copy()
    out = tamper(IMAGES, corruption, DIGESTS[:3])
    assert out.shape == IMAGES.shape and out.dtype == np.uint8
    assert (before == IMAGES).all() and not (out == IMAGES).all()
    assert (tamper(IMAGES[1:2], corruption, DIGESTS[1:2])[0] == out[1]).all()


def test_a_corruption_takes_away_what_it_says_and_only_that():
    grey, blur, patches, border = (tamper(IMAGES, name, DIGESTS[:3]) for name in CORRUPTIONS)
    assert (np.ptp(grey, axis=3) == 0).all()
    assert blur.std() < 0.5 * IMAGES.std() and abs(blur.mean() - IMAGES.mean()) < 1
    assert (border[:, :8] == IMAGES[:, :8]).all() and (border[:, :, -8:] == IMAGES[:, :, -8:]).all()
    assert (np.ptp(border[:, 8:-8, 8:-8], axis=(1, 2)) == 0).all()
    assert (np.sort(IMAGES, axis=None) == np.sort(patches, axis=None)).all()  # every pixel is kept
    same = (patches == IMAGES)[:, :64, :64].reshape(3, 4, 16, 4, 16, 3).all(axis=(2, 4, 5))
    assert (same.sum(axis=(1, 2)) < 8).all()
    again = tamper(IMAGES[[0, 0]], "patches", DIGESTS[:2])
    assert not (again[0] == again[1]).all()  # the order follows the hash


@pytest.mark.parametrize("name", texture.DESCRIPTORS)
def test_descriptors_are_finite_of_the_stated_length_and_blind_to_nothing(name):
    describe, length = texture.DESCRIPTORS[name]
    plain, other = describe(np.zeros((64, 64, 3), np.uint8)), describe(noise(64))
    assert plain.shape == other.shape == (length,) and np.isfinite([plain, other]).all()
    assert not np.allclose(plain, other)
    assert np.linalg.norm(texture.describe(noise(64), name)) == pytest.approx(1, abs=1e-6)


def test_local_binary_patterns_do_not_see_brightness():
    describe, _ = texture.DESCRIPTORS["patterns"]
    grey = np.repeat(noise(64)[..., :1] // 3, 3, axis=2)
    # Shares of patterns; a few pixels that equal a neighbour fall otherwise by a rounding.
    np.testing.assert_allclose(describe(grey) ** 2, describe(grey + 100) ** 2, atol=0.01)
