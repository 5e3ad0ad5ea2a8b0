"""Each corruption takes away what it says, and only that."""

import hashlib

import numpy as np
import pytest

from batik_utils.errors import BatikError
from batik_utils.models.corruptions import CORRUPTIONS, tamper

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 66, 66, 3), dtype=np.uint8)
HASHES = [hashlib.sha256(bytes([i])).hexdigest() for i in range(3)]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_corruption_is_a_pure_function_of_each_image(corruption):
    before = IMAGES.copy()
    out = tamper(IMAGES, corruption, HASHES)
    assert out.shape == IMAGES.shape and out.dtype == np.uint8
    assert (before == IMAGES).all() and not (out == IMAGES).all()
    assert (tamper(IMAGES[1:2], corruption, HASHES[1:2])[0] == out[1]).all()


def test_greyscale_has_no_colour():
    out = tamper(IMAGES, "greyscale", HASHES)
    assert (np.ptp(out, axis=3) == 0).all()


def test_blur_takes_detail_and_keeps_the_mean():
    out = tamper(IMAGES, "blur", HASHES).astype(float)
    assert out.std() < 0.5 * IMAGES.std()
    assert abs(out.mean() - IMAGES.mean()) < 1


def test_patches_keep_every_pixel_and_move_most_patches():
    out = tamper(IMAGES, "patches", HASHES)
    for image, shuffled in zip(IMAGES, out, strict=True):
        assert (np.sort(image, axis=None) == np.sort(shuffled, axis=None)).all()
        same = [
            (image[y : y + 16, x : x + 16] == shuffled[y : y + 16, x : x + 16]).all()
            for y in range(0, 64, 16)
            for x in range(0, 64, 16)
        ]
        assert sum(same) < 8
    again = tamper(IMAGES[[0, 0]], "patches", HASHES[:2])
    assert not (again[0] == again[1]).all()  # The order follows the hash.


def test_border_keeps_the_border_only():
    out = tamper(IMAGES, "border", HASHES)
    assert (out[:, :8] == IMAGES[:, :8]).all() and (out[:, :, -8:] == IMAGES[:, :, -8:]).all()
    inside = out[:, 8:-8, 8:-8]
    assert (np.ptp(inside, axis=(1, 2)) == 0).all()


def test_an_unknown_corruption_is_an_error():
    with pytest.raises(BatikError, match="greyscale"):
        tamper(IMAGES, "gray", HASHES)
