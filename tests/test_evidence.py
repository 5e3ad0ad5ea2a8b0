"""Explanations that are checked: a map marks the thing, and deleting it hurts more than deleting at random."""

import numpy as np
import pytest
from classifiers import SIZE, network

from batik_utils.deploy.evidence import deletion_curves, evidence_map
from batik_utils.deploy.graph import with_three_outputs


def cloths(count, seed):
    """Grey noise with a red or a blue patch of 8 × 8 pixels somewhere: (pictures, labels, where)."""
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(60, 190, (count, SIZE, SIZE, 1)).repeat(3, axis=3), np.arange(count) % 2
    places = rng.integers(0, SIZE - 8, (count, 2))
    for image, label, (y, x) in zip(images, labels, places, strict=True):
        image[y : y + 8, x : x + 8] = [(255, 0, 0), (0, 0, 255)][label]
    return images.astype(np.uint8), labels, places


@pytest.fixture(scope="module")
def model():
    """It counts red and blue, and says the third motif where there is neither."""
    whole = network(hidden=2)
    kernel, head = np.zeros((8, 8, 3, 6)), np.zeros((6, 2))
    kernel[..., 0, 0] = kernel[..., 2, 1] = 1 / 64
    kernel[..., 1, :2] = -1 / 64
    head[[0, 1], [0, 1]] = 100
    whole.set_weights([kernel, np.zeros(6), head, np.zeros(2), np.array([[1, 0, 0], [0, 1, 0]]), np.array([0, 0, 0.5])])
    return with_three_outputs(whole, 1.0)


def asking(model, exact):
    def ask(picture):
        said = {name: np.asarray(value)[0] for name, value in model.predict_on_batch(picture[None]).items()}
        return said if exact else {name: said[name] for name in ("probabilities", "features")}

    return ask


@pytest.mark.parametrize("exact", [True, False], ids=["own map", "occlusion"])
def test_deleting_marked_fields_hurts_more_than_random_ones(model, exact):
    images, *_ = cloths(20, 1)
    found = deletion_curves(asking(model, exact), images, exact)
    assert found.shares[0] == 0 and found.marked[0] == found.random[0] > 0.9 and found.images > 5
    assert np.mean(found.marked[1:4]) < np.mean(found.random[1:4]) - 0.2


@pytest.mark.parametrize("exact", [True, False], ids=["own map", "occlusion"])
def test_the_map_marks_what_the_motif_is_known_by(model, exact):
    images, labels, places = cloths(12, 2)
    for image, label, place in zip(images, labels, places, strict=True):
        found = evidence_map(asking(model, exact), image, label)
        y, x = (np.array(np.unravel_index(found.argmax(), found.shape)) + 0.5) * SIZE / len(found)
        assert np.abs(np.array([y, x]) - (place + 4)).max() < 9


def test_both_curves_are_the_same_every_time(model):
    images, *_ = cloths(4, 3)
    assert deletion_curves(asking(model, True), images, True) == deletion_curves(asking(model, True), images, True)
