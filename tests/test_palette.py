"""A palette holds a picture's colours and nothing of where they lay."""

import numpy as np
import pytest

from batik_utils.palette import palette


def noise(seed=0, size=40):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def test_shares_are_of_the_area_and_the_largest_comes_first():
    image = np.zeros((10, 10, 3), dtype=np.uint8)
    image[:3] = (255, 0, 0)
    assert palette(image) == [("#000000", 0.7), ("#ff0000", 0.3)]
    assert palette(np.stack([image, np.zeros_like(image)])) == [("#000000", 0.85), ("#ff0000", 0.15)]


def test_at_most_five_colours_that_sum_to_one():
    found = palette(noise())
    assert len(found) == 5 and sum(share for _, share in found) == pytest.approx(1)
    assert [share for _, share in found] == sorted((share for _, share in found), reverse=True)


def test_a_palette_knows_nothing_of_where_pixels_lay():
    image = noise()
    shuffled = np.random.default_rng(1).permutation(image.reshape(-1, 3)).reshape(image.shape)
    assert palette(shuffled) == palette(image) != palette(noise(2))
